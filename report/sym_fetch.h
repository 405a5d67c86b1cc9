/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_fetch.h: files from debuginfod servers (--debuginfod), through the program debuginfod-find of elfutils, so that ascope is
 * not linked with an HTTP client. Called by sym_find.c, which takes what comes only when its build-id is the one asked for.
 * Nothing here is used unless the user asked for it.
 */
#pragma once

#include "base/base.h"

/* True when $DEBUGINFOD_URLS names a server that may be asked: https, or http on this machine. */
bool sym_fetch_has_server(void);

/* Warns when debuginfod-find is not installed: to be called once, where --debuginfod is given; sym_fetch() is silent about it. */
void sym_fetch_check(void);

/* Whether a word of $DEBUGINFOD_URLS (n bytes) is such a server. */
bool sym_fetch_is_server(const char *url, size_t n);

/*
 * Fetches `kind` ("debuginfo" or "executable") of a build-id (hex) into debuginfod's cache: 0 and its path, which the caller frees.
 * -ENOENT no server has it, or debuginfod-find is not installed (sym_fetch_check()); -ETIME it took longer than three
 * minutes, or did not end after its answer; other -errno. Limits of size and time that are not in the environment: 2 GiB, 120 s, 30 s without a byte
 * (debuginfod-find(1), DEBUGINFOD_MAXSIZE, _MAXTIME, _TIMEOUT).
 */
int sym_fetch(const char *kind, const char *build_id, char **ret_path) __must_check;
