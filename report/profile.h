/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * profile.h: stacks and what they weigh, added up over a capture: what flame graphs and every profile format are made from. One
 * place decides what is counted, so that all formats of one question have the same total, and SQL the same again.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "report/frame_kind.h"

/* What is weighed. */
enum profile_kind {
	PROFILE_ONCPU,	  /* cpu-clock samples; ns = samples * the period of the recording */
	PROFILE_OFFCPU,	  /* waiting, ns: not of idle threads (unless all), not for a cpu (unless all) */
	PROFILE_WALL,	  /* both: ns on cpu by samples, ns of waiting */
	PROFILE_BLOCKING, /* inside polls that the view `blocking` has: ns = off_cpu + on_cpu + runnable, see below */
};

/*
 * What equals what, for the same conditions:
 *   ONCPU     samples = rows of `sample` (ts within the window); ns = samples * capture.sample_period
 *   OFFCPU    ns = sum over `offcpu` of the part [ts, coalesce(ts_waking, ts + dur, capture.ts_end)) that lies in the window, of rows whose state is not R, X
 *             or Z and that are not idle (view_timeline.h). all: ... of [ts, coalesce(ts + dur, capture.ts_end)), and the lives of threads without any row
 *   WALL      ONCPU + OFFCPU
 *   BLOCKING  ns = sum(off_cpu + on_cpu + runnable) = sum(dur) over `blocking`, samples = those with their poll_id. Polls that lie partly in the window are
 *             counted whole, as `report --blocking` lists them. A poll's on_cpu is divided evenly among its samples, and is [on cpu, no sample] where it has
 *             none; runnable is under [runnable].
 */

/* The frames that stand in front of each stack. */
enum profile_by {
	PROFILE_BY_THREAD, /* process; thread */
	PROFILE_BY_TASK,   /* process; the kind of task that was polled (its name), or [no task] */
	PROFILE_BY_CLASS,  /* process; why it waited: class of the wait, or "cpu" */
	PROFILE_BY_NONE,   /* nothing */
};

struct profile_opts {
	enum profile_kind kind;
	enum profile_by by;
	u64 from_ns, to_ns; /* window, ns since the recording began; to 0 = to the end. A wait that reaches beyond it is cut */
	u64 min_ns,
		max_ns; /* waits, as far as they lie in the window, at least, at most this long; polls for BLOCKING, as report --min; 0 = any */
	u64 pid, tid, task;   /* only of these; 0 = all. task: Tokio's id */
	const char *comm;     /* only threads of this name; NULL all */
	const char *class_is; /* only waits of this class ("cpu": only what is on a cpu), polls for BLOCKING; NULL all */
	bool all; /* OFFCPU, WALL: idle and runnable time, and threads without events, too: leaves [idle], [runnable], [no events] */
	bool wakers; /* waits: who woke it, as far as it is known, behind a frame "--": its stack, where one was recorded, innermost frame first; the kind of task; its thread's name */
};

/* A distinct frame. Texts are raw (escape them), borrowed until release. */
struct profile_frame {
	const char *name;     /* never NULL: a function, module+0x.., an address, or one of ascope's own: "[idle]", "--" .. */
	const char *file;     /* NULL unknown */
	const char *module;   /* path; NULL none */
	const char *build_id; /* hex; NULL none */
	u64 line;	      /* 0 unknown */
	u64 file_off;	      /* of the code address in its module; 0 unknown */
	enum frame_kind kind; /* where has_kind */
	bool has_kind;
	bool kernel;
	bool inlined;	/* into the frame in front of it */
	bool waker;	/* of the stack of whoever ended the wait, behind "--": innermost first; never inlined */
	bool synthetic; /* no code: process, thread, task, class, [idle], [no stack] .. */
};

/* A distinct stack. */
struct profile_stack {
	const u32 *frames; /* positions in profile.frames, outermost first */
	u32 n;
	u64 samples; /* 0 for waits */
	u64 ns;
	u64 count; /* samples, waits and times ready for a cpu */
};

struct profile {
	struct profile_frame *frames; /* in order of first use by stacks */
	u32 n_frames;
	struct profile_stack
		*stacks; /* sorted by the frames' texts (name, file, line; bytes): the same capture gives the same order */
	u32 n_stacks;
	u64 samples, ns, count; /* totals */
	u32 n_front;		/* how many frames stand in front of each stack: 2 (as profile_by says) or 0 */
	const char *front[2];	/* what these are: "process", and "thread", "task" or "class"; static */
	u64 period_ns;		/* of samples; 0: none were taken */
	u64 lo, hi;		/* what was looked at, ns since the recording began */
	u64 realtime_ns;	/* of the recording's begin, unix; 0 unknown */
	struct profile_store *store;
};

/*
 * Adds up. Memory goes with distinct stacks, not with events. The caller releases *ret. -ERANGE: from lies behind the end; -ENOMEM; -EIO with a message
 * in db.
 */
int profile_load(sqlite3 *db, const struct profile_opts *o, struct profile *ret) __must_check;
void profile_release(struct profile *p);
#define _cleanup_profile_ _cleanup_(profile_release)
