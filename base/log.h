/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * log.h: the only writer to stderr. base/ (but for opts.c, which names mistakes of usage) and format/ never call it; a command
 * logs an error once, where it gives up. Every line begins with "ascope: ". Colour only when stderr is a terminal and NO_COLOR is
 * not set.
 */
#pragma once

#include "base/base.h"

void log_error(const char *fmt, ...) __printf_fmt(1, 2); /* "ascope: error: ..." */
void log_warn(const char *fmt, ...) __printf_fmt(1, 2);	 /* "ascope: warning: ..." */
void log_info(const char *fmt, ...) __printf_fmt(1, 2);	 /* "ascope: ..."; silenced by log_set_quiet */
void log_debug(const char *fmt, ...) __printf_fmt(1, 2); /* only with ASCOPE_DEBUG set in the environment */
void log_set_quiet(bool quiet);

/* One line that is overwritten in place on a terminal, and nothing elsewhere. The next log line or log_status_end() clears it. */
void log_status(const char *fmt, ...) __printf_fmt(1, 2);
void log_status_end(void);
bool log_stderr_is_terminal(void);
