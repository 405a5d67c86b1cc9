/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_lists.h: the runtimes of the targets, each looked at once: tasks that are alive are written (kind task_alive), and the kernel side is told where the depths
 * of its queues are. A runtime is met when a thread's scheduler context is (catalog_context()). Uses owned_list.h.
 *
 * Not in these lists: closures of the blocking pool, and tasks of a LocalSet, which keeps them in a list of its own that no thread-local leads to.
 */
#pragma once

#include "base/base.h"
#include "record/catalog.h"
#include "record/owned_list.h"

/* A thread of p is in a scheduler context of the runtime whose Handle is at `handle`. Out of memory, or too many: it is not looked at. */
void task_lists_meet(struct cat_process *p, const struct cat_copy *copy, const struct wire_ctx *x, u64 handle);

/*
 * Goes on with what there is to look at, for some milliseconds at most; to be called at every turn. walks: lists of tasks, too; else only where the queues are.
 * 0 or -ENOMEM.
 */
int task_lists_tick(struct catalog *cat, bool walks) __must_check;

struct task_lists_counts {
	u64 runtimes; /* that were met */
	u64 walked;   /* of those: all their tasks are written */
	u64 tasks;    /* rows written */
};

/* At the end, where lists were to be walked: counts, and says in the capture of each runtime that could not be why. */
struct task_lists_counts task_lists_finish(struct catalog *cat);

/* For the catalog: frees what a process owns of it. */
void task_lists_release(struct cat_process *p);
