/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * chrome_flows.h: arrows between threads' tracks: from the thread that woke another to where that one runs again, from the wake of a task to the poll that
 * followed, and from a spawn to the first poll. The earliest --max-flows are kept.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "report/chrome_out.h"
#include "report/view_timeline.h"

enum chrome_flow_kind { FLOW_THREAD, FLOW_WAKE, FLOW_SPAWN };

struct chrome_flow {
	u64 from, to;		    /* times */
	u64 thread_id;		    /* chrome_tasks.c: the thread that it comes from where from_thread has no slice; 0 none */
	u32 from_thread, to_thread; /* positions in the threads; chrome_tasks.c: in its tracks, NO_TRACK */
	enum chrome_flow_kind kind;
	u32 covered; /* bits 1 and 2: the ends that lie in a slice */
};

struct flow_end {
	u64 ts;
	u32 thread, flow, bit;
};

struct chrome_flows {
	const struct tl_threads *threads;
	u32 *by_tid, *by_id;	  /* positions of threads */
	struct chrome_flow *rows; /* while it is filled a heap, the latest first; then by time */
	size_t n, cap, max;
	struct flow_end *ends; /* by thread, then time */
	u64 left, unplaced;
};

int chrome_flows_init(struct chrome_flows *f, const struct tl_threads *threads, u64 max) __must_check;
void chrome_flows_release(struct chrome_flows *f);

/* With max set and all else 0 it may be filled by this alone. The earliest are kept. */
int chrome_flows_add(struct chrome_flows *f, const struct chrome_flow *flow) __must_check;

/* A thread that was woken at `ts` by thread `waker_tid` ran again at `in`. */
int chrome_flows_add_thread(struct chrome_flows *f, u64 waker_tid, u64 ts, const struct tl_thread *woken, u64 in) __must_check;

/* Wakes and spawns of tasks in [lo, hi) whose polls are known. */
int chrome_flows_add_tasks(struct chrome_flows *f, sqlite3 *db, u64 lo, u64 hi) __must_check;

/* All are there: puts them in order; no more are kept than max. */
void chrome_flows_sort(struct chrome_flows *f, u64 max);

/* Where not all time has slices: chrome_flows_expect(), then each slice that is drawn, then those without are dropped. */
int chrome_flows_expect(struct chrome_flows *f) __must_check;
void chrome_flows_cover(struct chrome_flows *f, u32 thread, u64 ts, u64 end, bool begins); /* begins: only there may one end */
void chrome_flows_drop(struct chrome_flows *f);

const char *chrome_flow_name(enum chrome_flow_kind kind);

/* Ids from first_id on. */
void chrome_flows_put(const struct chrome_flows *f, struct chrome_out *w, const struct chrome_track *tracks, u64 first_id);
