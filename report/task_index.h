/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_index.h: (copy of Tokio, task id) -> number, for the tasks that the loader still has to do with: entries are removed again, so that it stays as
 * small as the tasks that live at one time. Called by load_task.c.
 */
#pragma once

#include "base/base.h"

struct task_slot {
	u64 layout, task;
	u32 value; /* 0: free */
};

struct task_index {
	struct task_slot *slots;
	u32 cap, n; /* cap: 0 or a power of two */
};

void task_index_release(struct task_index *t);
u32 task_index_get(const struct task_index *t, u64 layout, u64 task); /* 0 none */
int task_index_put(struct task_index *t, u64 layout, u64 task,
		   u32 value) __must_check;			    /* of a pair that is not there; value > 0. 0 or -ENOMEM */
void task_index_remove(struct task_index *t, u64 layout, u64 task); /* no-op when it is not there */
