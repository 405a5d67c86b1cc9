/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * schedule_place.h: where a probe sees that a task is put into a run queue, at an instruction that the kernel emulates (probe_place.h says why). Used by
 * task_probes.c.
 *
 * Vtable.schedule - tokio/src/runtime/task/raw.rs, schedule<S>(), 1.23 and later - only fetches the task's scheduler and goes on to its own schedule(). All builds
 * that were looked at (tests/tokio: 1.24 - 1.54, three ways to link) do that in the same instructions, none of which is emulated but, where the linker knew its target,
 * the jump at the end. Else the probe moves on to where the jump leads. Any other bytes: it stays.
 */
#pragma once

#include "base/base.h"
#include "bpf/task_groups.h"

struct schedule_place {
	u64 addr;
	enum schedule_how how;
};

/* For the function at `entry` in a process's memory: as in layout.h, 0 when all was read. */
typedef int (*schedule_read_fn)(void *ctx, u64 addr, void *buf, size_t n);
struct schedule_place schedule_place_find(schedule_read_fn read, void *ctx, u64 entry);
