/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * load_wake.h: wakes and polls that probes saw -> tables _task_poll, _task_wake and block_victim, and what a block cost others: poll.victims. Works on
 * struct task_loader (load_task.h), fed by load_events.c.
 *
 * Rule of the victims (doc/tasks.md): a task pays for a block when it was ready, in a queue that only the blocked thread served, before the block's end,
 * and its poll began behind it, or not at all. Such a queue is a multi-thread worker's own one (a task woken or spawned by that worker's thread goes there),
 * and every queue of an executor that polls on one thread: a current_thread runtime, one with one worker, a LocalSet. A task that another worker stole
 * while the block lasted paid nothing that is counted here.
 */
#pragma once

#include "report/load_task.h"
#include "report/poll.h"

int wake_store_init(struct task_loader *tl) __must_check; /* needs the rest of tl to be set up */
void wake_store_release(struct task_loader *tl);

/* A record of time ts is next: whatever waited before a gap is no longer known to wait. Before all of the below, in the order of time. */
void wake_store_advance(struct task_loader *tl, u64 ts);

int task_loader_poll(struct task_loader *tl, struct task_thread *t, const struct fmt_task_poll *e) __must_check;
int task_loader_wake(struct task_loader *tl, struct task_thread *t, const struct fmt_task_wake *e) __must_check;

/* A task that is ready since it was spawned. */
int ready_spawned(struct task_loader *tl, struct task_thread *t, struct task_entry *k,
		  const struct fmt_task_spawn *e) __must_check;

/* A task does not wait any more: its poll began at ts, or (is_polled false) it was dropped then, or nothing more is known (ts 0). No-op when it did not wait. */
int ready_gone(struct task_loader *tl, struct task_entry *k, u64 ts, bool is_polled) __must_check;

/* No poll is under way on the thread: what was seen to begin there has ended unseen. */
int task_thread_idle(struct task_loader *tl, struct task_thread *t) __must_check;

struct victims {
	bool is_known; /* every wake and poll about the block is in the capture */
	u64 n;
	u64 worst; /* ns of the block that one of them waited at most */
};

/* What a poll of thread t that is over cost others. Once for each poll of the thread, in order; wants_rows: rows of block_victim are written. */
int task_loader_block(struct task_loader *tl, struct task_thread *t, const struct poll_row *p, struct victims *ret) __must_check;
