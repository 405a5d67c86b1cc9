/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * intervals.h: the scheduling of one thread -> times off the cpu, samples, and through poll.h the polls. The loader feeds
 * each thread's events in file order; this pairs switch-outs with switch-ins, splits waits at the waking, and forgets what it
 * was pairing wherever events may be missing.
 *
 *	unknown --switch-in, sample--> on --switch-out--> off --switch-in--> on        a gap leads from every state back to unknown
 */
#pragma once

#include "base/base.h"
#include "format/fmt_def.h"
#include "report/poll.h"

/* What the dictionaries say about a context entry. */
struct context_info {
	u64 layout;	/* capture's layout index */
	u64 flavor;	/* enum fmt_flavor */
	u64 tick_from;	/* ticks of records from this time on are proven; 0 never */
	bool no_ids;	/* its records carry no task id: Tokio before 1.22 */
	u64 runtime_id; /* 0 none */
	u64 worker;	/* 1 + index; 0 none */
};

/* Rows for the tables of the same name. */
struct offcpu_row {
	u64 thread_id, ts, dur;
	bool has_end;  /* dur is known; else the thread was still out at the end */
	u64 ts_waking; /* 0 not seen */
	u64 cpu;
	bool has_cpu;
	char state;
	enum role role;
	u64 poll_id;
	bool is_wait; /* has a class */
	struct wait_verdict verdict;
	u64 syscall, ustack, kstack;
	bool has_waker;
	u64 waker_tid, waker_task;	/* tid 0 an interrupt; task 0 none */
	u64 waker_ustack, waker_kstack; /* 0 none */
	bool has_ran;
	u64 ran; /* how long it had been on its cpu before, ns */
};

struct sample_row {
	u64 thread_id, ts, cpu;
	bool in_kernel;
	enum role role;
	u64 poll_id, ustack, kstack;
	u64 runtime_id, task; /* of the poll, where it has no row; set by load_events.c, 0 none */
};

struct interval_sink {
	void *ctx;
	int (*offcpu)(void *ctx, const struct offcpu_row *row);
	int (*sample)(void *ctx, const struct sample_row *row);
	int (*poll)(void *ctx, u64 thread_id, const struct poll_row *row);
};

/* Events may be missing in [ts, ts_end). */
struct gap_span {
	u64 ts, ts_end;
};

struct intervals {
	struct interval_sink sink;
	u64 ts_start, ts_end;	     /* of the recording */
	u64 sample_period;	     /* ns; 0 no sampling */
	const struct gap_span *gaps; /* sorted, not overlapping; borrowed */
	size_t n_gaps;
	u64 next_poll_id;
	/* what did not fit, counted */
	u64 out_of_order; /* events older than one of their thread before them in the file */
	u64 unpaired;	  /* switches whose counterpart is missing where no gap says so */
	u64 unread;	  /* contexts that could not be read */
};

/* What a switch-out is, where its state does not tell. */
enum out_kind {
	OUT_OWN,     /* the thread's own doing, or a preemption: the state says it */
	OUT_STOPPED, /* by a signal, a debugger or the cgroup freezer */
	OUT_DYING,   /* it never comes back to user code */
};

enum run_state { RUN_UNKNOWN = 0, RUN_ON, RUN_OFF };

/* One thread; zeroed, then thread_id set, is a fresh one. */
struct thread_run {
	u64 thread_id;
	enum run_state state;
	bool seen;
	bool exited; /* or on the way there: its context says nothing any more */
	bool placed; /* something said where it was before: a record of its own with a context, or that it began in the capture */
	u64 last;    /* its latest instant */
	size_t gap_at;
	u64 on_since, on_cpu; /* while RUN_ON: on this cpu (1 + number) since then; 0 unknown */
	/* its time on the cpu that no row of offcpu tells: from, to, 1 + cpu; last_in 0: none */
	u64 last_in, last_out, last_cpu;
	struct wait_facts last_call; /* of its latest wait in a system call, for restart_syscall */
	struct poll poll;
	struct offcpu_row out; /* while RUN_OFF */
};

/* All return 0 or the sink's error. ci may be NULL: the context entry is none or unknown. */
int intervals_switch_out(struct intervals *iv, struct thread_run *t, const struct fmt_switch_out *e,
			 const struct context_info *ci, enum out_kind kind) __must_check; /* kind: as its kernel stack shows it */
/* The thread began while recording: whatever poll it is in did, too. */
void intervals_begin(struct thread_run *t);
int intervals_switch_in(struct intervals *iv, struct thread_run *t, const struct fmt_switch_in *e) __must_check;
int intervals_waking(struct intervals *iv, struct thread_run *t, const struct fmt_waking *e) __must_check;
int intervals_sample(struct intervals *iv, struct thread_run *t, const struct fmt_sample *e,
		     const struct context_info *ci) __must_check;
/*
 * A thread that waits, and did not move while it was looked at, has the stack it was switched out with: the snapshot's, which must be whole, replaces one that was
 * cut short because the thread's files were not known yet.
 */
void intervals_retake(struct thread_run *t, const struct fmt_snapshot *e);
int intervals_snapshot(struct intervals *iv, struct thread_run *t, const struct fmt_snapshot *e,
		       const struct context_info *ci) __must_check;
int intervals_exit(struct intervals *iv, struct thread_run *t,
		   u64 ts) __must_check;				       /* thread exit, and exec of the calling thread */
int intervals_finish(struct intervals *iv, struct thread_run *t) __must_check; /* the recording is over */
