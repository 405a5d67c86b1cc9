/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * poll.h: one thread's records -> polls (design 35-blocking section 1). A poll is a maximal run of in-poll records of equal
 * key with no other record between. Called by intervals.c in the order of the thread's events. Invariant of every finished
 * poll: off_cpu + on_cpu + runnable == dur; the time that its thread was stopped in between is apart, so the poll ends at
 * ts + dur + stopped.
 *
 *	closed --poll_record()--> open --poll_record() same key, poll_interval()--> open
 *	open --poll_close(), poll_record() other key--> closed
 */
#pragma once

#include "base/base.h"
#include "report/classify.h"

/* Equal in all records of one poll. */
struct poll_key {
	u64 layout; /* capture's layout index: the process and its copy of tokio; 0 without a scheduler */
	u64 core;   /* address of the Core */
	u64 task;   /* 0 a root future */
	u64 tick;
	enum holds holds;
};

/* Tasks in the queues at an instant. */
struct poll_queues {
	u64 lifo, queued, inject; /* as recorded: 1 + value; 0 not read */
};

/* One in-poll instant: a switch-out, a sample. */
struct poll_record {
	u64 ts;
	struct poll_key key;
	bool proven;  /* the tick is: records of equal key belong to one poll */
	bool is_wait; /* a switch-out that waits; else evidence that the thread was on the cpu (sample, preemption) */
	bool is_sample;
	u64 budget;	/* coop budget, as recorded */
	u64 runtime_id; /* 0 none */
	u64 worker;	/* 1 + index; 0 none */
	u64 ustack;
	struct poll_queues queues;
};

/* How the time from a switch-out to the next instant divides. */
struct poll_interval {
	u64 ts_end;
	u64 off, runnable, stopped; /* ns */
	bool is_wait;
	struct wait_verdict verdict; /* of a wait */
	u64 syscall;		     /* 1 + number */
	u64 ustack, kstack;
};

enum poll_state { POLL_COMPLETE, POLL_OPEN_START, POLL_OPEN_END, POLL_OPEN_BOTH };
enum poll_join { POLL_JOIN_INTERVAL, POLL_JOIN_TICK_BUDGET, POLL_JOIN_TICK };

/* The longest wait of one class. */
struct poll_wait {
	u64 off;   /* all waits of this class, ns */
	u32 count; /* waits of this class */
	u64 longest;
	u64 stack_longest; /* longest one that has a user stack */
	enum wait_rule rule;
	u64 syscall;
	u64 ustack, kstack;
};

struct poll {
	bool is_open;
	u64 id;
	struct poll_key key;
	bool proven, is_wait_only; /* is_wait_only: one wait of a poll whose tick is not proven */
	u64 ts_first, ts_last;
	u64 prev_instant; /* the thread's last instant before this poll */
	u64 last_budget;
	bool has_waited;
	u64 off_cpu, on_cpu, runnable, stopped; /* parts of ts_last - ts_first */
	u64 waits, samples;
	u64 runtime_id, worker;
	u64 sample_ustack;	   /* of the first record on the cpu that has one */
	struct poll_queues queues; /* each of the first wait at which it was read */
	enum poll_state state;
	enum poll_join join;
	struct poll_wait by_class[CLASS_COUNT];
};

/* A finished poll, as table `poll` has it. */
struct poll_row {
	u64 id, ts, dur, dur_max, off_cpu, on_cpu, runnable, stopped, waits, samples;
	enum wait_class cls;
	enum wait_rule rule;
	u64 syscall;
	enum holds holds;
	u64 runtime_id, worker, task, tick;
	bool proven, classified;
	enum poll_join join;
	enum poll_state state;
	u64 ustack, kstack;
	struct poll_queues queues;
	struct poll_queues queues_end; /* at the thread's next own record */
	u64 ts_queues_end;	       /* when that was; 0 not read */
};

typedef int (*poll_emit_fn)(void *ctx, const struct poll_row *row);

struct poll_sink {
	poll_emit_fn emit;
	void *ctx;
	u64 next_id; /* id of the next poll, from 1 */
};

/*
 * Adds an instant: to the open poll, or to a new one after closing that. prev_instant is the thread's instant before this
 * one, of whatever kind (ns; bounds what the new poll can have been). 0 or the error of emit.
 */
int poll_record(struct poll *p, const struct poll_record *r, u64 prev_instant, struct poll_sink *sink) __must_check;

/* The recording ends, and this poll had not. */
void poll_is_open_end(struct poll *p);

/* Whether a record would be one more of the open poll. */
bool poll_joins(const struct poll *p, const struct poll_record *r);

/*
 * The thread is back (or its wait has another end): the time since its last record, a switch-out, divides so. No-op when no
 * poll is open.
 */
void poll_interval(struct poll *p, const struct poll_interval *i);

/*
 * Whatever comes next is not in this poll; next_instant (ns) bounds how long it can have been. `next`, not NULL: a record at that instant, whose queues are
 * those behind the poll when it is of the same Core. No-op when no poll is open.
 */
int poll_close(struct poll *p, u64 next_instant, const struct poll_record *next, struct poll_sink *sink) __must_check;

const char *poll_state_name(enum poll_state s);
const char *poll_join_name(enum poll_join j);
