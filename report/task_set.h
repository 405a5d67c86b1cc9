/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_set.h: how many distinct tasks were seen, without a row for each. Ids of one runtime are handed out in sequence, so 512 neighbours
 * share a page of bits. Called by load_events.c for every poll.
 */
#pragma once

#include "base/u64map.h"

#define TASK_SET_MAX_PAGES                                                                                                       \
	(1U << 20) /* 64 MB, for ids that are no sequence, which only a damaged or hostile capture has: more are not counted */

struct task_set {
	struct u64map *pages_of; /* by runtime: id / 512 -> page */
	u64 n_runtimes;
	u64 (*pages)[8];
	u32 n_pages;
	size_t cap_pages;
	u64 count; /* distinct ones; a lower bound when is_full */
	bool is_full;
};

/* Of runtimes 0 to n_runtimes. Release in any case. 0 or -ENOMEM. */
int task_set_init(struct task_set *t, u64 n_runtimes) __must_check;
void task_set_release(struct task_set *t);
bool task_set_has(const struct task_set *t, u64 runtime, u64 task);
int task_set_add(struct task_set *t, u64 runtime, u64 task) __must_check; /* 0 or -ENOMEM */
