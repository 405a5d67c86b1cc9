/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * unwind_tables.h: the unwind tables of all modules and the mappings of all processes, in the three arrays that the kernel side reads
 * (bpf/unwind_rows.h). Readers take no lock: what they can reach is never changed. A new slice of mappings is written beside the old one and published by
 * the caller with one map update (kernel_side_set_target); freed space is used again only after a time of grace, when no walk can be in it.
 */
#pragma once

#include "base/base.h"
#include "base/clock.h"
#include "bpf/unwind_rows.h"
#include "record/unwind_module.h"

#define UNWIND_GRACE NSEC_PER_SEC /* a walk takes microseconds */
/* A forked child begins with its parent's slice and keeps it until user space has met the child, even if the parent is gone by then. */
#define UNWIND_SLICE_GRACE (5 * NSEC_PER_SEC)

/* The arrays: memory mapped from BPF maps, or plain memory in tests. Borrowed. */
struct unwind_arrays {
	u64 *rows;
	u64 *idx;
	struct uw_map *maps;
	u32 n_rows, n_idx, n_maps; /* entries; entry 0 of rows and idx is never used */
};

/* A process's mappings in the maps array. */
struct unwind_slice {
	u32 first, n;
};

/* One executable mapping, as it is to be published. */
struct unwind_mapping {
	u64 start, end;
	u64 file_off;
	u32 module; /* the catalog's index; 0 anonymous: no table */
};

struct unwind_tables;

int unwind_tables_new(const struct unwind_arrays *a, struct unwind_tables **ret) __must_check;
struct unwind_tables *unwind_tables_free(struct unwind_tables *t); /* accepts NULL, returns NULL; leaves the arrays alone */

/* Tells the time, CLOCK_MONOTONIC ns: space whose grace is over becomes free. As do unwind_tables_set() and unwind_tables_drop(). */
void unwind_tables_tick(struct unwind_tables *t, u64 now);

/*
 * Whether a module needs no unwind_tables_add(): its table is there, or it is known to have none, or there was no room for it and still is none. A table that
 * no slice names stays until its room is needed; then it is to be added anew.
 */
bool unwind_tables_has(const struct unwind_tables *t, u32 module);

/*
 * Publishes a module's table under the catalog's index. The module is copied. 0, also when it has no table or no room was left (then the module counts as one
 * without a table, see the counts); -ENOMEM.
 */
int unwind_tables_add(struct unwind_tables *t, u32 module, const struct unwind_module *m) __must_check;

/*
 * Writes a slice for a process: `list` sorted by start, without overlaps, its modules added before (one that was not has no table); of more than UW_MAX_MAPS
 * mappings those with a module and lower addresses. The slice that *slice names is given back and replaced. -ENOSPC when the array is full, -ENOMEM: *slice is then empty. `now`:
 * CLOCK_MONOTONIC ns.
 */
int unwind_tables_set(struct unwind_tables *t, const struct unwind_mapping *list, u32 n, u64 now,
		      struct unwind_slice *slice) __must_check;
/* The process is gone. *slice is then empty. */
void unwind_tables_drop(struct unwind_tables *t, u64 now, struct unwind_slice *slice);

struct unwind_tables_counts {
	u32 modules, without_table, no_room; /* modules with a table now; without any; that have one for which no room was left */
	u32 evicted;			     /* tables that were removed to make room */
	u32 rows, idx, maps;		     /* entries in use */
	u64 maps_cut;			     /* mappings left out of slices: over UW_MAX_MAPS, or no room in the array */
	u64 builds, build_ns; /* tables compiled and the time spent, as the caller notes with unwind_tables_note_build() */
};
struct unwind_tables_counts unwind_tables_counts(const struct unwind_tables *t);
void unwind_tables_note_build(struct unwind_tables *t, u64 ns);
const struct unwind_arrays *unwind_tables_arrays(const struct unwind_tables *t);
