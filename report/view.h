/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view.h: the views of `ascope report`. Each reads an open capture database and writes to a stream; none opens, exits or logs, so
 * that a test can run them on a database made by hand. 0 or negative errno; write errors are the stream's and are looked at by
 * the command.
 */
#pragma once

#include <sqlite3.h>
#include <stdio.h>

#include "base/base.h"

#define REPORT_MIN_NS	 (10 * NSEC_PER_MSEC) /* --min */
#define REPORT_TOP_TEXT	 10		      /* places of a text view without --top; JSON lists all */
#define REPORT_TOP_UNSET UINT64_MAX

struct library_table;

struct report_opts {
	const char *file; /* path of the capture as the user gave it */
	u64 min_ns;	  /* polls at least this long are reported */
	u64 top;	  /* polls spelled out; 0 = all; REPORT_TOP_UNSET = the view's own default */
	u64 from_ns;	  /* window, ns since the recording began */
	u64 to_ns;	  /* 0 = to the end */
	bool full;	  /* every frame, whole paths */
	bool color;
	u32 width; /* of the output, characters */
	u64 block; /* cascade: number of the block, as --blocking counts with the same options; 0: the longest */
	/* Of the reports of threads' time (offcpu, oncpu, timeline): only of these; 0, NULL: all. As in profile.h. */
	u64 pid, tid, task;
	const char *comm, *class_is;
	u64 max_ns;			       /* waits at most this long; 0: any. min_ns is theirs, too */
	bool all;			       /* idle and runnable time in every list */
	bool ascii;			       /* no character outside ASCII but those of names */
	const struct library_table *libraries; /* categories of code; NULL: the built-in rules */
};

int view_blocking(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check;
int view_blocking_json(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check;
int view_summary(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check;
int view_summary_json(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check;
int view_markers(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check;
int view_markers_json(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check;
int view_tasks(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check;
int view_tasks_json(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check;
int view_workers(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check;
int view_workers_json(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check;
int view_wakers(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check;
int view_wakers_json(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check;
int view_wakers_dot(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check; /* Graphviz */
int view_cascade(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check;
int view_cascade_json(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check;
int view_offcpu(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check; /* min_ns: waits, 0 all */
int view_offcpu_json(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check;
int view_oncpu(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check;
int view_oncpu_json(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check;
int view_timegrid(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check; /* report --timeline */
int view_timegrid_json(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check;
