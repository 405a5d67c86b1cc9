/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cascade.h: the tasks that one block delayed, and the tasks that those woke only then. Needs wake records (record --wakes): table block_victim
 * says whom the block delayed, tables of wakes and polls when each finally ran, for how long, and whom it woke meanwhile.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "report/view_blocks.h"

enum cascade_source {
	CASCADE_QUEUES, /* no wakes: nothing but how many tasks were queued */
	CASCADE_NEXT,	/* polls, but no wakes: what the thread polled next, whether or not that waited for the block */
	CASCADE_PART,	/* wakes, but not all of them are known: there may be more */
	CASCADE_EXACT,
};

enum cascade_place { PLACE_UNKNOWN, PLACE_LIFO, PLACE_LOCAL, PLACE_TAKEN };

struct cascade_step {
	u32 level;    /* 0: delayed by the block; else woken by the task of a step before it, the last one of level - 1 */
	u64 task_row; /* as task.id; 0 not known */
	u64 runtime_id, task_id;
	char *name, *function, *file; /* its type, and where it was spawned; raw, NULL when not known */
	u64 line;
	char *waker;		  /* as task_wake.waker; NULL: ready since it was spawned */
	u64 by_task;		  /* task that woke it; 0 none */
	u64 ready;		  /* from then on; 0 not known */
	u64 delayed;		  /* level 0: how long of the block it waited, ns */
	u64 ran, dur;		  /* its next poll, and how long that took; 0 not seen */
	u64 thread_id;		  /* on this thread; 0 not seen */
	enum cascade_place place; /* level 0 */
};

struct cascade {
	enum cascade_source source;
	struct cascade_step *steps; /* in the order in which they are told: each with what it woke behind it */
	size_t n;
	u64 victims;	/* steps of level 0 there are, told or not */
	u64 total;	/* their `delayed`, ns */
	bool truncated; /* there are more steps than `max`, or deeper ones */
};

/* `max`: how many steps at most. Of the block: poll_id, thread_id, ts, dur and stopped count. */
int cascade_load(sqlite3 *db, const struct block *k, u64 max, struct cascade *ret) __must_check;
void cascade_release(struct cascade *c);
