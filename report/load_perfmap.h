/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * load_perfmap.h: the perf maps of a capture, one for each process that has one, put together from their pieces. Used by
 * load_stack.c to name code that has no file.
 */
#pragma once

#include "report/jitmap.h"
#include "report/load_dict.h"

struct process_map; /* private */

struct perfmap_set {
	struct process_map *maps;
	u32 n;
	u64 names, malformed; /* lines of all maps */
};

/* Reads the pieces of d (borrowed, and sorted by this). 0 or -ENOMEM; release in any case. */
int perfmap_set_init(struct perfmap_set *s, struct load_dict *d) __must_check;
void perfmap_set_release(struct perfmap_set *s);

/* Number of the process's map, 0..n-1, or -1 when it has none. */
int perfmap_set_index(const struct perfmap_set *s, u64 process);

/* The name at an address of map `index`; as jitmap_find(). */
bool perfmap_set_find(const struct perfmap_set *s, int index, u64 addr, struct jitmap_text *ret);
