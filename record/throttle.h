/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * throttle.h: notices when a cgroup of a target, or one above it, runs out of cpu quota: a thread that is stopped for that looks like one that waits for a
 * busy cpu. Reads their cpu.stat at every tick and writes what grew (FORMAT.md, throttle). Files stay open; they are world-readable, so no
 * privilege is needed but for /proc/PID/cgroup on a host that hides processes, which the helper opens.
 *
 * A process that is new, or has moved to another cgroup, is noticed at the tick. A thread that is in another cgroup than its process is not.
 */
#pragma once

#include "record/catalog.h"
#include "record/cgroup.h"

struct throttle_watch;

#define THROTTLE_TICK (100 * NSEC_PER_MSEC) /* what a caller should leave between two ticks */

/*
 * c and w are borrowed and must outlive it; mounts are copied. 0 or -ENOMEM. A host without cgroups (mounts of cgroup_mounts_read() are "") is no error: then
 * nothing is ever written.
 */
int throttle_watch_new(struct catalog *c, struct fmt_writer *w, const struct cgroup_mounts *mounts,
		       struct throttle_watch **ret) __must_check;
struct throttle_watch *throttle_watch_free(struct throttle_watch *t); /* accepts NULL, returns NULL */

/* A reading; the first one of a cgroup is what later ones are compared with. 0 or the writer's error. */
int throttle_watch_tick(struct throttle_watch *t) __must_check;

/* Processes that were not watched because there were too many. */
u64 throttle_watch_left_out(const struct throttle_watch *t);
