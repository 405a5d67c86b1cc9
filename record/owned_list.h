/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * owned_list.h: what a Tokio runtime keeps of its tasks, read from outside: which row of the table its Handle fits (owned_row.c), and a walk of the list of all
 * its live tasks (owned_list.c). Called by record/task_lists.c. Pure but for the reader it is given, so that tests feed it made-up memory.
 *
 * Nothing read is believed by itself: a row is used only where the runtime's memory has the shape it says, each task that is walked bears the number of the
 * list it was found in and points back to the one before it, and two walks must agree.
 *
 * Sources: tokio 1.20 - 1.54 runtime/task/list.rs (OwnedTasks), util/sharded_list.rs (since 1.35), util/linked_list.rs, runtime/task/core.rs (Header, Trailer),
 * runtime/scheduler/inject*; offsets by debug information (fixtures/layouts).
 */
#pragma once

#include "base/base.h"
#include "base/u64map.h"
#include "record/layout.h"

/* One known layout of a runtime. Offsets in bytes; WIRE_NO_FIELD where it does not have the field. fixtures/layouts/make.py writes them. */
struct runtime_row {
	struct {
		u32 first, last; /* LAYOUT_VERSION, both included; 0 not used */
	} ranges[LAYOUT_RANGES];
	bool mt; /* of the multi-thread scheduler */
	/* OwnedTasks, from the Arc of the Handle (of the scheduler's Shared before 1.24) */
	u16 owned_id, owned_closed;
	u16 shards, shards_len, shard_mask;	/* since 1.35 a boxed slice of lists with a lock each */
	u16 list_added, list_count;		/* tasks ever in it; tasks in it */
	u16 shard_stride, list_head, list_tail; /* of a shard; without shards head and tail count from the Arc */
	/* the injection queue, from the Arc; head and tail are not known where it is a VecDeque (current-thread before 1.29) */
	u16 inject_len, inject_head, inject_tail;
	/* the current-thread Core's queue, a VecDeque */
	u16 tasks_cap, tasks_ptr, tasks_head, tasks_len;
	/* of a task: in its Header; in its Trailer, or Header (links_in_header); in its vtable */
	u16 task_vtable, task_owner_id, task_prev, task_next, vtable_trailer_offset, vtable_id_offset;
	bool links_in_header; /* before 1.21 */
};

const struct runtime_row *runtime_rows(u32 *ret_n);

/* A runtime in the target's memory. */
struct runtime_at {
	u64 handle; /* the Arc */
	u64 core;   /* current-thread: its Core, when a thread holds it; 0 */
	bool mt;
};

enum runtime_look {
	RUNTIME_FITS,
	RUNTIME_NO_ROW,	   /* the memory has not the shape of any row of this version */
	RUNTIME_EMPTY,	   /* before 1.35: it has no task, so nothing proves a row; a later look may */
	RUNTIME_AMBIGUOUS, /* rows that differ fit equally well: none is used */
};

struct runtime_layout {
	const struct runtime_row *row; /* for the list; its other offsets count only as told below */
	u16 inject_len;		       /* from the Arc; WIRE_NO_FIELD: not known */
	u16 tasks_len;		       /* current-thread, from the Core; WIRE_NO_FIELD: not known */
};

/*
 * Which row a runtime has. `version` as tokio_elf has it: rows of it are tried, of its neighbours where no row is of it, all where it is newer than all or not
 * known. Fills *ret when RUNTIME_FITS.
 */
enum runtime_look runtime_find(const char *version, const struct runtime_at *at, layout_read_fn read, void *ctx,
			       struct runtime_layout *ret) __must_check;

/* ---- the walk ---- */

enum { OWNED_MAX_TASKS = 1000000, OWNED_MAX_PASSES = 8 };

struct owned_task {
	u64 header;
	u64 id; /* 0 not known: before 1.23 */
	u64 vtable;
	u64 ts;	   /* when it was read, CLOCK_MONOTONIC ns */
	u32 state; /* low bits of its state word */
};

enum owned_status {
	OWNED_MORE,	/* not done yet */
	OWNED_DONE,	/* two passes agree */
	OWNED_TOO_MANY, /* more tasks than OWNED_MAX_TASKS */
	OWNED_CHANGING, /* no two passes agree */
	OWNED_BROKEN,	/* what lies there is no such list */
	OWNED_NO_MEMORY,
};

struct owned_pass {
	struct owned_task *tasks;
	u32 n, cap;
	u64 added[2], count[2]; /* before and after it */
};

/* What a walk is about to do; all memory is its own. */
struct owned_walk {
	const struct runtime_row *row;
	u64 handle, owner_id, lists;
	u32 n_shards, shard, shard_first; /* first task of the pass that is of this shard */
	u64 next, prev;			  /* next: the task to be read; 0 the shard's head is to be read */
	bool in_shard;
	struct owned_pass pass[2]; /* the older first */
	u32 passes, retries;
	struct u64map vtables; /* address -> its trailer's offset << 32 | id's offset */
	u64 last_vtable;
	enum owned_status status;
};

void owned_walk_begin(struct owned_walk *w, const struct runtime_row *row, u64 handle);
void owned_walk_release(struct owned_walk *w);

/*
 * Reads up to n tasks more: a walk is done in slices, because a hundred thousand tasks take a part of a second. The list may change between and during slices.
 * `now` gives CLOCK_MONOTONIC ns.
 */
enum owned_status owned_walk_step(struct owned_walk *w, u32 n, layout_read_fn read, void *ctx, u64 (*now)(void));

/* After OWNED_DONE: the tasks that were in the list in either pass and not complete, each once; borrowed until release, *ret_n of them. */
const struct owned_task *owned_walk_tasks(const struct owned_walk *w, u32 *ret_n);
