/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* quota_spans.c: see quota_spans.h. */
#include "report/quota_spans.h"

#include <errno.h>

#include "base/array.h"
#include "report/load_throttle.h"
#include "report/sqlrow.h"

/*
 * The kernel counts a stop when it ends, so that it began up to its length, or a period, before the first reading (load_throttle.c has the
 * source). 100 ms is the default period, 1 s the longest.
 */
#define SPANS_SQL                                                                                                                \
	"SELECT t.ts - CASE WHEN t.dur > 0 THEN min(t.dur, 1000000000) ELSE 100000000 END AS begin_ts, t.ts_end, t.cgroup, "     \
	"(SELECT cgroup FROM process WHERE id = ?1) FROM throttle AS t ORDER BY begin_ts"

void quota_spans_release(struct quota_spans *q)
{
	free(q->rows);
	*q = (struct quota_spans){0};
}

static int add(struct quota_spans *q, size_t *cap, u64 ts, u64 end)
{
	if (q->n && ts <= q->rows[q->n - 1].end) {
		q->rows[q->n - 1].end = max_u64(q->rows[q->n - 1].end, end);
		return 0;
	}
	if (ARRAY_ROOM(q->rows, q->n, cap) < 0)
		return -ENOMEM;
	q->rows[q->n++] = (struct quota_span){ts, end};
	return 0;
}

int quota_spans_load(sqlite3 *db, u64 process_id, struct quota_spans *ret)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	struct quota_spans q = {0};
	size_t cap = 0;
	int r = sql_prepare(db, &st, SPANS_SQL, &process_id, 1);

	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		const char *path = sql_text(st, 2), *own = sql_text(st, 3);

		if (!path || !own || !throttle_is_above(path, own) || sql_u64(st, 1) <= sql_u64(st, 0))
			continue;
		r = add(&q, &cap, sql_u64(st, 0), sql_u64(st, 1));
		if (r < 0)
			break;
	}
	if (r < 0)
		quota_spans_release(&q);
	else
		*ret = q;
	return r;
}

u64 quota_spans_within(const struct quota_spans *q, u64 ts, u64 end)
{
	size_t lo = 0, hi = q->n;
	u64 ns = 0;

	/* The first that ends behind ts. */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (q->rows[mid].end <= ts)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < q->n && q->rows[lo].ts < end; lo++)
		ns += min_u64(q->rows[lo].end, end) - max_u64(q->rows[lo].ts, ts);
	return ns;
}
