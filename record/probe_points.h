/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * probe_points.h: the places for probes of the files that hold a Tokio, each file read once for all processes that run it. Used by record/task_probes.c.
 */
#pragma once

#include "base/base.h"
#include "record/catalog.h"
#include "record/probe_group.h"
#include "record/procfs.h"
#include "record/tokio_points.h"

struct probe_file {
	u32 module, process; /* process: index, of a file whose module is not known; else 0 */
	struct tokio_points points;
	struct probe_task task;
	struct proc_request request; /* of the process that probe_points_find() was called for last */
};

struct probe_points;

/* The catalog is borrowed. 0 or -ENOMEM. */
int probe_points_new(struct catalog *c, struct probe_points **ret) __must_check;
struct probe_points *probe_points_free(struct probe_points *pp); /* accepts NULL, returns NULL */

/*
 * The file of a copy, and how to open it in that process. Valid until the next call. 0, -ENOMEM, or another negative errno: the file cannot be opened or read, or
 * is not mapped any more.
 */
int probe_points_find(struct probe_points *pp, struct cat_process *p, const struct cat_copy *copy,
		      struct probe_file **ret) __must_check;

/* How a task looks to a Tokio of that version ("" unknown), or else to the vtables found in its file; tokio/src/runtime/task/core.rs. */
struct probe_task probe_points_task(const char *version, const struct tokio_points *points);

u64 probe_points_ns(const struct probe_points *pp); /* time that reading files took */
