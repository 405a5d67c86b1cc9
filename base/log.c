/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * log.c: the only writer to stderr, and the only file with mutable statics: whether info is silenced, and whether a status line
 * is on the screen. Called by commands and by opts.c.
 *
 * Invariant: a status line is never left glued to a message: whoever writes next clears it first. Messages carry strangers' text
 * (comm, paths), so control bytes never reach the terminal; newlines and tabs do, since some messages have several lines.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

static bool quiet;
static bool status_shown;

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

static const struct {
	const char *label;
	const char *colour;
} levels[] = {
	[LOG_ERROR] = {"error: ", "\033[1;31m"},
	[LOG_WARN] = {"warning: ", "\033[1;33m"},
	[LOG_INFO] = {"", ""},
	[LOG_DEBUG] = {"debug: ", "\033[2m"},
};

bool log_stderr_is_terminal(void)
{
	return isatty(STDERR_FILENO) == 1;
}

static bool use_colour(void)
{
	const char *no = getenv("NO_COLOR");

	return log_stderr_is_terminal() && (!no || !*no);
}

/* In place; the escape byte is what matters, but no other control byte has business on a terminal either. */
static void strip_controls(char *s)
{
	for (; *s; s++) {
		u8 c = (u8)*s;

		if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
			*s = '?';
	}
}

static void clear_status(void)
{
	if (!status_shown)
		return;
	(void)fputs("\r\033[K", stderr);
	status_shown = false;
}

static void __printf_fmt(2, 0) log_line(enum log_level level, const char *fmt, va_list ap)
{
	bool colour = use_colour() && *levels[level].colour;
	_cleanup_free_ char *text = NULL;
	char fixed[512];
	char *s;

	/* Out of memory is a moment at which a message matters most, so it falls back to a shortened one. */
	va_list again;
	va_copy(again, ap);
	s = vasprintf(&text, fmt, ap) < 0 ? NULL : text;
	if (!s) {
		text = NULL;
		(void)vsnprintf(fixed, sizeof(fixed), fmt, again);
		s = fixed;
	}
	va_end(again);
	strip_controls(s);
	(void)fflush(stdout);
	flockfile(stderr);
	clear_status();
	(void)fprintf(stderr, "ascope: %s%s%s%s\n", colour ? levels[level].colour : "", levels[level].label,
		      colour ? "\033[0m" : "", s);
	funlockfile(stderr);
}

void log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_ERROR, fmt, ap);
	va_end(ap);
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_WARN, fmt, ap);
	va_end(ap);
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	if (quiet)
		return;
	va_start(ap, fmt);
	log_line(LOG_INFO, fmt, ap);
	va_end(ap);
}

void log_debug(const char *fmt, ...)
{
	va_list ap;

	if (!getenv("ASCOPE_DEBUG"))
		return;
	va_start(ap, fmt);
	log_line(LOG_DEBUG, fmt, ap);
	va_end(ap);
}

void log_set_quiet(bool on)
{
	quiet = on;
}

void log_status(const char *fmt, ...)
{
	struct winsize ws;
	char line[512];
	size_t width = 79;
	va_list ap;

	if (quiet || !log_stderr_is_terminal())
		return;
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 1)
		width = ws.ws_col - 1u;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	strip_controls(line);
	line[strcspn(line, "\n")] = '\0'; /* a second line could not be overwritten in place, nor one that wraps */
	flockfile(stderr);
	(void)fprintf(stderr, "\r\033[K%.*s", (int)(width < sizeof(line) ? width : sizeof(line)), line);
	(void)fflush(stderr);
	status_shown = true;
	funlockfile(stderr);
}

void log_status_end(void)
{
	flockfile(stderr);
	clear_status();
	(void)fflush(stderr);
	funlockfile(stderr);
}

_Noreturn void bug_abort(const char *file, int line, const char *cond)
{
	clear_status();
	(void)fprintf(stderr, "ascope: bug: %s:%d: %s\n", file, line, cond);
	(void)fflush(stderr);
	abort();
}
