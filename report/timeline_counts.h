/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * timeline_counts.h: how many threads or tasks were in a state, process by process, at instants a fixed step apart. Intervals may come in any order; memory
 * goes with the number of instants, not with events. Shared by the exports of timelines.
 */
#pragma once

#include "base/base.h"

#define TIMELINE_COUNTS_MAX	  16384 /* instants */
#define TIMELINE_COUNTS_PROCESSES 64	/* that are counted; more are not */

enum timeline_count {
	COUNT_RUNNING,	/* workers on a CPU */
	COUNT_BLOCKED,	/* workers that waited inside a poll */
	COUNT_RUNNABLE, /* threads that were ready and had no CPU */
	COUNT_READY,	/* tasks that were woken or spawned and not yet polled (where that was recorded) */
	TIMELINE_COUNTS,
};

const char *timeline_count_name(enum timeline_count k);	  /* "running workers" */
const char *timeline_count_series(enum timeline_count k); /* "workers" */

struct timeline_counts {
	u64 lo, step; /* the n-th instant is lo + n * step, CLOCK_MONOTONIC ns; step: 1 ms or more */
	u32 n;
	u64 pids[TIMELINE_COUNTS_PROCESSES];
	s32 *deltas[TIMELINE_COUNTS_PROCESSES]; /* [kind * (n + 1) + instant] */
	bool used[TIMELINE_COUNTS_PROCESSES][TIMELINE_COUNTS];
	u32 n_pids;
};

void timeline_counts_init(struct timeline_counts *c, u64 lo, u64 hi);
void timeline_counts_release(struct timeline_counts *c);

/* One more in [ts, end). 0 or -ENOMEM. */
int timeline_counts_add(struct timeline_counts *c, u64 pid, enum timeline_count k, u64 ts, u64 end) __must_check;

/* Called at the first instant and wherever a count changes, counters one after the other. */
typedef void (*timeline_count_fn)(void *ctx, u64 pid, enum timeline_count k, u64 ts, u64 value);
void timeline_counts_each(const struct timeline_counts *c, timeline_count_fn fn, void *ctx);
