/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ring_maps.h: the kernel's ring buffers: made, put into the BPF programs' map of rings, mapped into memory, given to rings.h. Called by kernel_side.c.
 *
 * Each is mapped once, not twice in a row as libbpf does it: the kernel puts all pages into the page table at once, and they would count twice as memory.
 */
#pragma once

#include "base/base.h"
#include "record/rings.h"

struct ring_plan {
	u32 n;	  /* rings; cpu i uses ring i % n */
	u32 size; /* of each, bytes: a power of two */
};

/*
 * For so many cpus, so that all rings together have `bytes` or, as sizes are powers of two, down to half of it; or more, as no ring is smaller than 1 MiB: load is
 * rarely spread evenly. Both at least 1.
 */
struct ring_plan ring_plan_for(u32 cpus, u64 bytes);

struct ring_maps;

/* `map_fd`: the array of rings, with at least plan.n entries. Records go to fn (rings.h). 0 or a negative errno. */
int ring_maps_new(int map_fd, struct ring_plan plan, rings_fn fn, void *ctx, struct ring_maps **ret) __must_check;
struct ring_maps *ring_maps_free(struct ring_maps *m); /* accepts NULL, returns NULL */

struct rings *ring_maps_rings(const struct ring_maps *m);
int ring_maps_epoll_fd(
	const struct ring_maps *m);	   /* readable when a ring's producer asked for attention, until ring_maps_woken() */
bool ring_maps_woken(struct ring_maps *m); /* since the last call */
