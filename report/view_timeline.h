/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view_timeline.h: the time of every thread, cut into what it did: on a CPU, ready for one, or waiting. Shared by the summary and
 * the exports, so that they cannot disagree.
 *
 * Invariant (conservation): the segments of one thread neither overlap nor leave room: their lengths add up to the part of the
 * window in which the thread lived.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"

enum tl_kind {
	TL_ONCPU,
	TL_RUNNABLE, /* preempted, or woken and not yet given a cpu */
	TL_WAIT,     /* waiting, stopped or dead: see state */
	TL_UNSEEN,   /* no event of this thread in the whole recording: it did not run, or ran without a break */
	TL_KINDS,
};

struct tl_thread {
	u64 id, process_id, pid, tid;
	u64 lo, hi;	      /* its life within the window, CLOCK_MONOTONIC ns */
	char *name, *process; /* raw, never NULL */
	bool has_runtime;     /* it served a runtime: as worker, or as the thread of a current_thread runtime */
	bool has_worker;
	u64 runtime_id, worker;
	bool seen; /* it has at least one event */
};

struct tl_threads {
	struct tl_thread *rows; /* by process, threads of runtimes first, then by tid */
	size_t n;
};

/* Threads that lived in [lo, hi]. */
int tl_threads_load(sqlite3 *db, u64 lo, u64 hi, struct tl_threads *ret) __must_check;
void tl_threads_release(struct tl_threads *t);
#define _cleanup_tl_threads_ _cleanup_(tl_threads_release)

struct tl_segment {
	enum tl_kind kind;
	u64 ts, end; /* ts < end */
	u64 whole;   /* TL_WAIT, TL_RUNNABLE: its length without regard to the window, ns; at least end - ts */
	/* Of the switch-out that began it; not for TL_ONCPU and TL_UNSEEN. Texts are raw, valid during the call, NULL when null. */
	char state; /* as offcpu.state */
	const char *role, *class_name, *syscall;
	u64 poll_id, task_id, stack_id, kstack_id, waker_tid, waker_task, cpu; /* 0 none */
	u64 waker_stack_id, waker_kstack_id;				       /* 0 none */
	u64 wait_id; /* of state, role, class_name and syscall: equal ids, equal texts */
	bool has_waker, has_task, has_cpu;
	bool first; /* the first segment of its switch-out: counts as the switch */
};

/* Called in order of time for each thread; a negative return ends the walk and is its result. */
typedef int (*tl_fn)(void *ctx, const struct tl_thread *t, const struct tl_segment *s);

/* Walks the threads one after the other, each from its t->lo to its t->hi. */
int timeline_walk(sqlite3 *db, const struct tl_threads *threads, tl_fn fn, void *ctx) __must_check;

/*
 * Waiting for work rather than doing it: a parked worker, or a thread of the blocking pool without a job (its stack has no frame
 * of the user's).
 */
struct tl_idle {
	sqlite3_stmt *has_user_frames;
	u64 stack_id; /* the last that was asked for, and the answer */
	bool idle;
};
int tl_idle_init(struct tl_idle *i, sqlite3 *db) __must_check;
void tl_idle_release(struct tl_idle *i);
/* 1 idle, 0 not, or negative errno. */
int tl_is_idle(struct tl_idle *i, const struct tl_segment *s) __must_check;
