/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* view_throttle.h: what the reports say of cpu quota: cgroups that ran out of it (table throttle). */
#pragma once

#include "base/json.h"
#include "report/view_head.h"

/* "/a/b ran out of cpu quota in 12 periods (stopped for 1.2 s, summed over CPUs)", one paragraph a cgroup below a heading; nothing when none did. */
int view_throttled(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, FILE *out) __must_check;

/* Key `throttled`: an array of {cgroup, periods, stopped}. */
int view_throttled_json(sqlite3 *db, const struct capture_facts *f, struct json *j) __must_check;
