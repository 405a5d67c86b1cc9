/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * load_throttle.h: when each process may have been stopped because its cgroup, or one above it, was out of cpu quota. Made from the dictionary after its
 * pass; asked for every poll.
 */
#pragma once

#include "report/load_dict.h"

enum { THROTTLE_MAX_CGROUPS = 256 }; /* that were throttled, of one capture; the recorder watches 128 at a time */

/* What one cgroup's cpu.stat told, sorted and merged. */
struct throttled_cgroup {
	u64 cgroup; /* string */
	struct gap_span *spans;
	size_t n;
};

/* Which of the above one process was in or below. */
struct throttled_process {
	u64 process;
	u64 cgroups[THROTTLE_MAX_CGROUPS / 64]; /* a bit each */
};

struct throttle_set {
	struct gap_span *spans; /* of all cgroups */
	struct throttled_cgroup *cgroups;
	u32 n_cgroups;
	struct dict_table processes;
};

/* Release in any case. 0 or -ENOMEM. */
int throttle_set_init(struct throttle_set *ts, const struct load_dict *d) __must_check;
void throttle_set_release(struct throttle_set *ts);

/* Whether [ts, ts_end], ns, touches a time in which the process may have been throttled. */
bool throttle_set_overlaps(const struct throttle_set *set, u64 process, u64 ts, u64 ts_end);

/* Whether the cgroup at `path` is the one at `below`, or one above it. */
bool throttle_is_above(const char *path, const char *below);
