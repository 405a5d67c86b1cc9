/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * track_walk.h: what the track of a thread shows in a viewer, as nested slices: polls, in (and between) them what the thread did (the segments of
 * view_timeline.h), in that the functions that stacks caught it in. Shared by the exports of timelines, so that they show the same.
 *
 * Invariants: the slices of a thread come in order of time, outer ones first, and each lies within the one around it; slices of TRACK_STATE are never in one
 * another, and add up to the thread's time in the window.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "report/stack_calls.h"
#include "report/track_tasks.h"
#include "report/view_timeline.h"

enum track_kind {
	TRACK_POLL,
	TRACK_STATE,
	TRACK_CALL, /* a function: of a wait the one that its stack is known by; on a CPU an estimate: a sample stands for half a period on either side of it */
	TRACK_LIBRARY, /* within a TRACK_CALL: the library that the function called */
};

/* Of a TRACK_STATE. */
enum track_state {
	TRACK_CPU,
	TRACK_RUNNABLE,
	TRACK_PARK,    /* a parked worker */
	TRACK_IDLE,    /* a thread of the blocking pool without a job */
	TRACK_BLOCKED, /* waiting inside a poll */
	TRACK_WAIT,    /* any other waiting */
	TRACK_STOPPED, /* by a signal or a debugger */
	TRACK_EXITED,
	TRACK_UNSEEN, /* no event of the thread in the recording */
	TRACK_STATES,
};
const char *track_state_name(enum track_state s); /* cpu, runnable, park, idle, blocked, wait, stopped, exited, unseen */

/*
 * A poll: as probes saw it (exact), as it was caught (a row of table poll), or both. Columns of the row, NULL and 0 without one; its texts are raw and valid
 * during the call for its TRACK_POLL alone.
 */
struct track_poll {
	u64 ts, end; /* within the window and within the poll around it */
	bool exact;
	u64 poll_id; /* 0: no row */
	struct track_task task;
	bool has_task;
	bool classified; /* 0: it may be several polls; true without a row */
	const char *class_name, *syscall, *detail, *holds, *state, *function, *file, *library;
	u64 line, dur_min, dur_max, off_cpu, on_cpu, runnable, waits, samples, stack_id, kstack_id, lifo, queued, inject;
	bool has_lifo, has_queued, has_inject;
};

struct track_slice {
	enum track_kind kind;
	u64 ts, end;
	u32 depth;		/* how many slices are around it */
	bool shown;		/* false: shorter than min_ns, or of an idle thread that is left out; it is counted, not drawn */
	enum track_state state; /* of it, or of the one around it; not for TRACK_POLL */
	const struct track_poll *poll;	  /* it, or the innermost that it lies in; NULL none */
	const struct tl_segment *segment; /* TRACK_STATE: what it is a part of */
	const struct stack_call *call;	  /* TRACK_CALL, TRACK_LIBRARY */
	u64 stack_id, kstack_id;	  /* TRACK_CALL: of the wait, or the first sample */
	u64 samples;			  /* TRACK_CALL on a CPU: how many it is made of */
	bool has_task;			  /* TRACK_CALL outside of polls that are known: it is in one, of this task */
	u64 task_id;
};

struct track_opts {
	u64 min_ns;	   /* shorter slices are not shown */
	bool no_idle;	   /* nor those of parked, idle and unseen threads */
	bool calls;	   /* TRACK_CALL and TRACK_LIBRARY */
	u64 sample_period; /* ns */
};

/* Called in order of time for each thread; a negative return ends the walk and is its result. */
typedef int (*track_fn)(void *ctx, const struct tl_thread *t, const struct track_slice *s);

/* `calls` and `tasks` may be shared by several walks; calls are trimmed. */
int track_walk(sqlite3 *db, const struct tl_threads *threads, const struct track_opts *o, struct stack_calls *calls,
	       struct track_tasks *tasks, track_fn fn, void *ctx) __must_check;
