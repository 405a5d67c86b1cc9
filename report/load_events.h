/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * load_events.h: the second pass over a capture: every event to its thread (intervals.h), what comes out to the tables
 * _offcpu, _sample and poll.
 */
#pragma once

#include "report/db.h"
#include "report/driver_stall.h"
#include "report/intervals.h"
#include "report/load_dict.h"
#include "report/load_marker.h"
#include "report/load_rows.h"
#include "report/load_runtime.h"
#include "report/load_stack.h"
#include "report/load_task.h"
#include "report/load_throttle.h"
#include "report/task_set.h"

/* Which rows are written; all are counted. */
enum capture_rows {
	CAPTURE_ROWS_POLLS, /* off-CPU intervals and samples of the polls that have a row (schema.sql), which is what reports of blocking tell of */
	CAPTURE_ROWS_ALL,
};

/* One thread, and what is not decided of its rows. */
struct thread_load {
	struct thread_run run;
	u64 poll_with_rows;	/* the poll that the latest row in a poll belongs to */
	struct sample_row held; /* first record of its poll, which may stay the only one; poll_id 0: none */
	u64 held_id;
	struct task_thread tasks;
};

struct event_loader {
	struct load_dict *d; /* borrowed, as the next three */
	struct runtime_set *runtimes;
	struct stack_store *stacks;
	sqlite3 *db;
	struct throttle_set throttles;
	struct intervals iv;
	struct marker_loader markers;
	struct task_loader task_loader;
	struct driver_stall stall;
	enum capture_rows rows_wanted;
	struct thread_load **runs; /* by slot of d->threads; entries appear with a thread's first event */
	size_t cap_runs;
	struct row_writer rows;
	sqlite3_stmt *ins_poll;
	struct thread_load *at; /* the thread whose event is being read */
	u64 offcpus, samples;	/* rows so far, written or not */
	struct task_set tasks;	/* of all polls, written or not */
	bool is_window;		/* only events from iv.ts_start to iv.ts_end are taken: blocks hold more */
	u64 contexts;		/* records whose context was to be read */
	u64 contexts_unread;	/* of these, that could not be read */
	u64 bad_times;		/* events whose time is no time, or whose thread index is none */
	u64 unknown_threads;	/* threads named by events, of which the dictionary says nothing */
};

/* el->iv.ts_start, ts_end and sample_period are the caller's. Release in any case. */
int event_loader_init(struct event_loader *el, struct load_dict *d, struct runtime_set *rs, struct stack_store *st,
		      sqlite3 *db) __must_check;
void event_loader_release(struct event_loader *el);

/* Reads all events and ends what is still open at ts_end. */
int event_loader_read(struct event_loader *el, struct fmt_reader *r, load_progress_fn progress, void *ctx) __must_check;
