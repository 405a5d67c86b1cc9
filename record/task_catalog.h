/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_catalog.h: types of tasks (vtables) and calls of spawn (Locations), as records of tasks name them by address. Part of the catalog: reads each from the
 * process's memory the first time, checks that it is what it should be, writes its dictionary row and gives it an index. Used by record/convert.c for what
 * probes send, by record/owned_list.c for tasks that are found in memory, and by record/task_probes.c for what there is to learn.
 *
 * All addresses come from the target and are worth nothing until they are checked: a probe may have met something that is no task. What cannot be what it
 * should be gets index 0. At most TASK_CATALOG_MAX of either kind are written in a recording; later ones get index 0, too, and are counted.
 *
 * Sources: tokio 1.0 - 1.54 src/runtime/task/raw.rs (Vtable: declared order is memory order in every build measured, 30-tokio.md 1.2);
 * library/core/src/panic/location.rs (Location: file, line, column).
 */
#pragma once

#include "base/base.h"
#include "record/catalog.h"

enum { TASK_CATALOG_MAX = 1 << 16 };

struct task_catalog_counts {
	u32 vtables, locations; /* rows */
	u64 not_tasks;	   /* hits of probes whose places were found by their code, at which there was no such task: no rows */
	u64 bad_vtables;   /* addresses of a vtable at which there was none; each counted once per process */
	u64 bad_locations; /* likewise; what lies in the register is not always a Location */
	u64 no_room;	   /* references that got index 0 because there were too many */
	u64 learned;	   /* tasks whose location is that of their type, the call itself being watched no more */
};

/* The copy of Tokio that is in a module, or NULL. Of one that is mapped twice the first. */
struct cat_copy *task_catalog_copy(const struct cat_process *p, u32 module);

/*
 * The layout index of a copy. If its contexts were not found yet, the index is given now and a row of kind layout says so (found_by 0): tasks can be told
 * before the runtime's threads are.
 */
u32 task_catalog_layout(struct catalog *c, const struct cat_process *p, struct cat_copy *copy);

/* The index of the vtable at addr in p's memory; 0 none there, or no room. Of a process that is gone an unread one (poll 0). copy may be NULL: 0. */
u32 task_catalog_vtable(struct catalog *c, struct cat_process *p, struct cat_copy *copy, u64 addr);

/*
 * The index of the core::panic::Location at addr; 0 none there, or no room. It must lie in the memory of the module that holds the copy, and its file's name in
 * the memory of any module.
 */
u32 task_catalog_location(struct catalog *c, struct cat_process *p, struct cat_copy *copy, u64 addr);

struct task_catalog_counts task_catalog_counts(struct catalog *c);

/*
 * Learning which types are spawned at one place only. `location` is the task's (0: it has none), `watched` whether the call of spawn was watched when it was
 * made. Returns the location that the task is to have.
 */
u32 task_catalog_learn(struct catalog *c, struct cat_process *p, u32 vtable, u32 location, bool watched);

/* A process's pairs of vtable and location that were new so far, and spawns since the last. is_single: every type that was seen has one location. */
struct task_catalog_learned {
	u32 pairs;
	u64 since;
	bool is_single;
};
struct task_catalog_learned task_catalog_learned(const struct cat_process *p);

/* For the catalog: frees what a process owns of it. */
void task_catalog_release(struct cat_process *p);
