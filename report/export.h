/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * export.h: the formats of `ascope export`. Each reads an open capture database and writes to a stream; the same database gives
 * the same bytes.
 */
#pragma once

#include <sqlite3.h>
#include <stdio.h>

#include "base/base.h"
#include "report/library_table.h"
#include "report/profile.h"

#define EXPORT_MAX_EVENTS 1000000 /* --max-events: what a viewer in a browser still opens */
#define EXPORT_MAX_BYTES                                                                                                         \
	((u64)512 << 20)	/* a longer text is more than a viewer in JavaScript can hold in one string (V8: 2^29 - 24) */
#define EXPORT_MAX_FLOWS 100000 /* --max-flows */

struct capture_opts;

struct export_opts {
	const struct capture_opts *base; /* flamegraph --diff: the capture to compare with; NULL none */

	const char *file;		       /* path of the capture as the user gave it */
	u64 from_ns;			       /* window, ns since the recording began */
	u64 to_ns;			       /* 0 = to the end */
	u64 max_events;			       /* chrome */
	u64 max_flows;			       /* chrome: arrows at most */
	bool tasks;			       /* chrome: a track for each task, and arrows */
	bool no_args;			       /* chrome: names and times only */
	bool no_idle;			       /* chrome: without the slices of parked workers and idle pool threads */
	const struct library_table *libraries; /* chrome: of which kind a function is; NULL: the built-in rules */
	struct profile_opts
		profile; /* profiles: what is weighed; its window is from_ns and to_ns above (export_profile). chrome: min_ns alone */
};

struct export_result {
	u64 events;    /* slices, or lines */
	u64 cut_at_ns; /* chrome: --max-events was reached: nothing from this time on (ns since the recording began); 0 = whole */
	u64 tasks, tasks_left; /* chrome --tasks: tasks with a track, and those without because there were too many */
	u64 flows_left;	       /* chrome: arrows above --max-flows */
	u64 all_events, bytes; /* chrome: slices, arrows, counters and instants together; size */
};

/* The profile that was asked for, within the window of the export. As profile_load(). */
int export_profile(sqlite3 *db, const struct export_opts *o, struct profile *ret) __must_check;

/* What is weighed, for titles: "time on CPU", "waiting", "time on CPU and waiting", "time in blocking polls". Static. */
const char *export_profile_word(const struct export_opts *o);

int export_chrome(sqlite3 *db, const struct export_opts *o, FILE *out, struct export_result *ret) __must_check;
int export_perfetto(sqlite3 *db, const struct export_opts *o, FILE *out, struct export_result *ret) __must_check;
int export_html(sqlite3 *db, const struct export_opts *o, FILE *out, struct export_result *ret) __must_check;
int export_folded(sqlite3 *db, const struct export_opts *o, FILE *out, struct export_result *ret) __must_check;
int export_speedscope(sqlite3 *db, const struct export_opts *o, FILE *out, struct export_result *ret) __must_check;
int export_pprof(sqlite3 *db, const struct export_opts *o, FILE *out, struct export_result *ret) __must_check;
int export_firefox(sqlite3 *db, const struct export_opts *o, FILE *out, struct export_result *ret) __must_check;
int export_flame(sqlite3 *db, const struct export_opts *o, FILE *out, struct export_result *ret) __must_check;
