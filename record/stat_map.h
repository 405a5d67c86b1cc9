/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stat_map.h: the kernel side's counters (enum wire_stat), read where the programs count, without a system call. Used by kernel_side.c.
 */
#pragma once

#include "base/base.h"
#include "bpf/ascope_wire.h"

struct stat_map {
	const struct wire_stats *at; /* NULL: not mapped */
	u32 cpus;
};

/* The map's memory, an entry a cpu. map_fd is borrowed. 0 or a negative errno; to be unmapped. */
int stat_map_open(int map_fd, u32 cpus, struct stat_map *ret) __must_check;
void stat_map_close(struct stat_map *m);

/* Over all cpus. idx is below WIRE_STATS. */
u64 stat_map_sum(const struct stat_map *m, u32 idx);
