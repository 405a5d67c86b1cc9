/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * offcpu_stats.h: time off the CPU of the threads that were asked for, added up: by state, system call, stack, waker, thread and length.
 * Memory goes with distinct stacks and wakers, not with events.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "base/strtab.h"
#include "report/thread_spans.h"
#include "report/view_head.h"

#define OFFCPU_BUCKETS 29 /* below 1 us, then three a decade: 1, 2, 5, 10 us .. 500 s, and from 1000 s on */

struct off_sum {
	u64 n;		  /* waits, or times it was runnable */
	u64 ns;		  /* of them, what lies in the window */
	u64 max;	  /* the longest, whole */
	u64 open;	  /* of n: their end was not seen */
	bool is_max_open; /* of the longest it was not: it is a lower bound */
};

struct off_thread {
	const struct tl_thread *t;
	u64 wall;				      /* the sum of the next five */
	u64 on_cpu, runnable, waiting, idle, unknown; /* whatever filters say */
	struct off_sum shown;	   /* off the CPU, what filters let through: of waits, and with all of the rest, too */
	u64 by_state[WAIT_STATES]; /* ns of shown, and of idle and runnable time that filters let through */
};

struct off_kind {
	const struct span_wait *kind; /* class, detail, system call; role and state are those of the first of its kind */
	enum wait_state state;
	struct off_sum sum;
};

struct off_stack {
	u64 stack_id, kstack_id; /* 0 none */
	u32 kind;		 /* position in kinds */
	struct off_sum sum;
	u64 tid;	 /* of the longest */
	u64 threads;	 /* distinct threads with it */
	u64 last_thread; /* id of the thread that was counted last */
};

struct off_waker {
	u64 tid;	       /* 0 an interrupt */
	bool is_known;	       /* false: who woke it was not seen */
	bool is_other;	       /* threads of no target, all in one: tid is 0 */
	enum wait_state state; /* of the wait that ended */
	const char *
		function; /* from which it woke: that of its stack (stack_place), raw, of functions; NULL no stack was taken, or it has no names */
	struct off_sum sum;
	u64 of_tasks; /* of sum.n: woken from within a task */
};

struct off_hist {
	u64 n[OFFCPU_BUCKETS], ns[OFFCPU_BUCKETS];
};

struct offcpu_stats {
	struct thread_spans spans;
	struct tl_threads threads;
	struct off_thread *rows; /* of threads, likewise ordered */
	struct off_thread all;	 /* their sum; t is NULL */
	struct off_sum states[WAIT_STATES];
	struct off_sum left_out; /* waits, idle and runnable times that filters took away */
	u64 throttled; /* of runnable time that is shown: while the cpu quota of its cgroup, or of one above, was used up */
	struct off_hist waits, ready; /* by whole length; waits: without idle ones, unless all */
	struct off_kind *kinds;	      /* waits; most time first, as are the next */
	size_t n_kinds;
	struct off_stack *stacks;
	size_t n_stacks;
	struct off_waker *wakers;
	size_t n_wakers;
	struct strtab *functions; /* of wakers */
	bool is_filtered;	  /* by length, class or task */
};

/* With o->all idle and runnable time is in kinds, stacks and wakers, too. The caller releases *ret. 0 or negative errno. */
int offcpu_stats_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f,
		      struct offcpu_stats *ret) __must_check;
void offcpu_stats_release(struct offcpu_stats *s);
#define _cleanup_offcpu_stats_ _cleanup_(offcpu_stats_release)

/* Lengths from *ret_from to below *ret_to, ns; of the last bucket *ret_to is UINT64_MAX. */
void off_hist_range(u32 bucket, u64 *ret_from, u64 *ret_to);
u32 off_hist_bucket(u64 ns);
