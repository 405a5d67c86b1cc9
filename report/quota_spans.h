/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* quota_spans.h: times in which a process may have stood still for its cpu quota, out of table throttle, and how much of a span lies in them. */
#pragma once

#include <sqlite3.h>

#include "base/base.h"

struct quota_spans {
	struct quota_span {
		u64 ts, end;
	} * rows; /* ascending, not touching */
	size_t n;
};

/* Of the cgroup of a process and those above it. The caller releases *ret. */
int quota_spans_load(sqlite3 *db, u64 process_id, struct quota_spans *ret) __must_check;
void quota_spans_release(struct quota_spans *q);

/* ns of [ts, end) within them. */
u64 quota_spans_within(const struct quota_spans *q, u64 ts, u64 end);
