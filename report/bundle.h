/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bundle.h: puts the names of a capture's stacks into the capture, on a host that has the files: its blocks pass through as they are, rows of
 * kinds symbol, frame and module_names come behind them (FORMAT.md), then a new footer. What names are the very code gives that reports
 * use (symbolize.h), so that a report of the new file says what a report beside the files would.
 */
#pragma once

#include <sqlite3.h>

#include "report/capture_db.h"

struct bundle_opts {
	const struct capture_opts *names; /* capture, targets, and where else to look */
	const char *out;		  /* a new file; NULL: the capture itself is replaced, when the new one is whole */
	bool force;			  /* overwrite out */
	bool libs_only;			  /* no names of the processes' own executables */
};

struct bundle_result {
	u64 frames;		 /* places of code in stacks that were to be named */
	u64 named;		 /* of them, have a name in the new file */
	u64 added;		 /* rows of kind frame that were written */
	u64 bytes_before, bytes; /* of the files; equal when nothing was written */
	bool is_written;
	u64 modules, modules_named; /* with such places; of them, those with names in the file */
};

/* A module without names, and why. */
typedef void (*bundle_told_fn)(void *ctx, const char *path, const char *why);

/*
 * told is called for each module without names with the reason and what to pass (a sentence). 0, or a negative errno after the reason was said on
 * stderr; the capture is then as it was, and no new file is left.
 */
int bundle_run(const struct bundle_opts *o, bundle_told_fn told, void *ctx, struct bundle_result *ret) __must_check;
