/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * capture_db.h: from a capture file to an open database. The one door of report, query and export: it finds a database made
 * earlier from the same capture, or loads the capture into a new one (temporary file, renamed when whole), symbolizes what
 * has no names yet, and opens it.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "base/opts.h"
#include "report/library_table.h"
#include "report/load_events.h"

#define CAPTURE_MAX_TARGETS    16
#define CAPTURE_MAX_DEBUG_DIRS 16

struct capture_opts {
	const char *capture; /* path of the capture file */
	const char *db;	     /* --db: where the database goes; NULL = CAPTURE.db beside it, else in $XDG_CACHE_HOME/ascope */
	bool no_cache;	     /* --no-cache: load into a private temporary database, leave nothing behind */
	const char *targets
		[CAPTURE_MAX_TARGETS]; /* --target: binaries to take names from; refused when their build-id is in no module */
	u32 n_targets;
	const char *debug_dirs[CAPTURE_MAX_DEBUG_DIRS]; /* --debug-dir: where else files with names are looked for */
	u32 n_debug_dirs;
	bool debuginfod; /* --debuginfod: ask the servers in $DEBUGINFOD_URLS for what is not on this machine */
	const char
		*libraries[LIBRARY_MAX_FILES]; /* --libraries: files of rules, before the configuration's and the built-in ones */
	u32 n_libraries;
	/*
	 * Only this part of the recording will be looked at (ns since it began; to_ns 0: to the end; both 0: all): where no database is there yet, one
	 * of that part is made, of the blocks that are needed, and not kept.
	 */
	u64 from_ns, to_ns;
	enum capture_rows rows; /* at least these are loaded */
};

/* What is read around a part: a poll or wait that began before is whole when it is not longer. */
#define CAPTURE_MARGIN_NS (10 * NSEC_PER_SEC)

/* The rows of --db, --no-cache, --target, --libraries for a command's option table: macro, so that the four commands share one wording. */
int capture_opt_target(void *ctx, const char *value); /* an opt_fn; ctx is the struct capture_opts */
int capture_opt_debug_dir(void *ctx, const char *value);
int capture_opt_libraries(void *ctx, const char *value);
#define CAPTURE_OPT_ROWS(o)                                                                                                      \
	{0,                                                                                                                      \
	 "target",                                                                                                               \
	 OPT_CALLBACK,                                                                                                           \
	 (o),                                                                                                                    \
	 "BIN",                                                                                                                  \
	 "take names from this binary (its build-id must be in the capture); may be repeated",                                   \
	 capture_opt_target},                                                                                                    \
		{0,                                                                                                              \
		 "debug-dir",                                                                                                    \
		 OPT_CALLBACK,                                                                                                   \
		 (o),                                                                                                            \
		 "DIR",                                                                                                          \
		 "look here for programs and debug files (taken by build-id); may be repeated",                                  \
		 capture_opt_debug_dir},                                                                                         \
		{0,	   "debuginfod",                                                                                         \
		 OPT_FLAG, &(o)->debuginfod,                                                                                     \
		 NULL,	   "ask the servers in $DEBUGINFOD_URLS for what is not on this machine",                                \
		 NULL},                                                                                                          \
		{0,                                                                                                              \
		 "libraries",                                                                                                    \
		 OPT_CALLBACK,                                                                                                   \
		 (o),                                                                                                            \
		 "FILE",                                                                                                         \
		 "rules about libraries and what to try, before the built-in ones; may be repeated",                             \
		 capture_opt_libraries},                                                                                         \
		{0,	   "db",   OPT_STRING,                                                                                   \
		 &(o)->db, "FILE", "keep the database here (default: beside the capture, else $XDG_CACHE_HOME/ascope)",          \
		 NULL},                                                                                                          \
	{                                                                                                                        \
		0, "no-cache", OPT_FLAG, &(o)->no_cache, NULL, "load into a temporary database and leave nothing behind", NULL   \
	}

struct capture_db;

/*
 * Opens, loading and symbolizing when needed. On failure it has said why on stderr (what, where, what to do) and returns a
 * negative errno. The caller owns *ret.
 */
int capture_db_open(const struct capture_opts *o, struct capture_db **ret) __must_check;
struct capture_db *capture_db_close(struct capture_db *db); /* accepts NULL, returns NULL */

sqlite3 *capture_db_handle(const struct capture_db *db); /* read-only connection; borrowed */

/* File of the database, borrowed; "" when it has no name (--no-cache). */
const char *capture_db_path(const struct capture_db *db);

/*
 * True when the capture was damaged, truncated or lost events, or when the reader of a module's debug information failed: the
 * command's exit code is then 3.
 */
bool capture_db_is_partial(const struct capture_db *db);
