/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_reader.h: tasks of the window one after the other, in order of (runtime, task), with what polls, samples and blocks tell of each. Used by task_stats.c.
 * No memory goes with their number: SQLite sorts what is known of them, in a file where it is much.
 */
#pragma once

#include "report/task_stats.h"

/* Rows of one statement, in the order of tasks: its first three columns are the runtime (0 none), the task and its owner as in view task. */
struct task_feed {
	sqlite3_stmt *st;
	bool has; /* it is at a row */
};

struct task_reader {
	const struct task_stats *s;
	u64 lo, hi, period;
	struct task_feed seen, blocks, polls;
	u32 n; /* tasks so far */
};

/* Of `s` the types, sites and has_polls must be there and stay. The caller releases *ret, also after a failure. */
int task_reader_init(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, const struct task_stats *s,
		     struct task_reader *ret) __must_check;
void task_reader_release(struct task_reader *r);
#define _cleanup_task_reader_ _cleanup_(task_reader_release)

/* 1 and the next task, all but its wakes and delays; 0 at the end; -errno. */
int task_reader_next(struct task_reader *r, struct task_stat *ret) __must_check;
