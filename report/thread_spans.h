/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * thread_spans.h: the time of threads as it was recorded: on a CPU, ready for one, off it, or not known. What --offcpu, --oncpu and
 * --timeline are made from. Unlike view_timeline.h, which gives time without events to whatever was before it, nothing is guessed here: a
 * thread was on a CPU where a switch-in says so (offcpu.ran, thread.ts_last_in), and what no row tells is unknown.
 *
 * Invariant (conservation): the spans of one thread neither overlap nor leave room: their lengths add up to the part of the window in
 * which the thread lived. The sums are those of view thread_state.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "base/u64map.h"
#include "report/view.h"
#include "report/view_timeline.h"

/* What a thread off its CPU is doing, for people: the class of the wait, and what is no wait. */
enum wait_state {
	WAIT_DISK,
	WAIT_NETWORK,
	WAIT_DNS,
	WAIT_LOCK,
	WAIT_SLEEP,
	WAIT_PIPE,
	WAIT_PROCESS,
	WAIT_FAULT,
	WAIT_EVENTS, /* epoll, poll, select by the program itself */
	WAIT_OTHER,
	WAIT_STOPPED,	  /* by a signal, a debugger or the cgroup freezer */
	WAIT_UNKNOWN,	  /* a state that says nothing */
	WAIT_IDLE_PARKED, /* from here on idle: a worker without work, on its condition variable */
	WAIT_IDLE_DRIVER, /* the worker that waits for I/O and timers */
	WAIT_IDLE_POOL,	  /* a thread of the blocking pool without a job */
	WAIT_READY_WOKEN, /* from here on runnable: woken, not yet given a CPU */
	WAIT_READY_PREEMPTED,
	WAIT_STATES,
};

const char *wait_state_name(enum wait_state s); /* "page fault", "poll/epoll": stable, the JSON has them */

static inline bool wait_state_is_idle(enum wait_state s)
{
	return s >= WAIT_IDLE_PARKED && s <= WAIT_IDLE_POOL;
}

/* A row of table _wait; texts are raw, NULL when null. */
struct span_wait {
	u64 id;
	char state; /* as offcpu.state */
	char *role, *class_name, *syscall, *detail;
	enum wait_state is; /* WAIT_IDLE_POOL: only when its stack has no frame of the user's */
};

enum span_kind { SPAN_ONCPU, SPAN_READY, SPAN_WAIT, SPAN_UNKNOWN, SPAN_KINDS };

struct span {
	enum span_kind kind;
	u64 ts, end; /* ts < end, within the window */
	/* Of SPAN_READY and SPAN_WAIT: */
	u64 whole;    /* its length without regard to the window, ns */
	bool is_open; /* its end was not seen: whole is a lower bound */
	enum wait_state state;
	const struct span_wait *wait;				 /* of the switch-out; never NULL there */
	u64 poll_id, stack_id, kstack_id, waker_tid, waker_task; /* 0 none */
	u64 waker_stack_id, waker_kstack_id;			 /* 0 none */
	bool has_waker;
};

/* What --class asks for, as profiles have it: a class of wait, or idle, runnable, stopped, other; "" for the rest. */
const char *span_class(const struct span *s);

struct thread_spans {
	sqlite3_stmt *rows, *last;
	struct tl_idle idle;
	struct span_wait *kinds;
	size_t n_kinds;
	struct u64map by_id;   /* wait id -> position in kinds */
	struct u64map is_idle; /* stack id -> 1: a pool thread with it has no job */
};

int thread_spans_init(struct thread_spans *s, sqlite3 *db) __must_check;
void thread_spans_release(struct thread_spans *s);

/* Called in order of time; a negative return ends the walk and is its result. */
typedef int (*span_fn)(void *ctx, const struct tl_thread *t, const struct span *s);

/* Walks one thread from t->lo to t->hi: reads the rows of that time by their key, however long the recording is. */
int thread_spans_walk(struct thread_spans *s, const struct tl_thread *t, span_fn fn, void *ctx) __must_check;

/* Threads that lived in [lo, hi] and that o's pid, tid and comm ask for, ordered as tl_threads_load() does. */
int thread_spans_threads(sqlite3 *db, const struct report_opts *o, u64 lo, u64 hi, struct tl_threads *ret) __must_check;

/* Ids of polls of a task (Tokio's id) as keys of *ret; with task 0 nothing. */
int thread_spans_polls_of(sqlite3 *db, u64 task, struct u64map *ret) __must_check;
