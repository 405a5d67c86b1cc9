/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* html_latency.c: see html_latency.h. */
#include "report/html_latency.h"

#include <errno.h>

#include "report/sqlrow.h"
#include "report/task_stats.h"

#define SUB_BITS 4 /* a bin is at most 1/16 of its value wide */
#define SUB	 (1U << SUB_BITS)
#define BINS	 ((64 - SUB_BITS + 1) * SUB)

struct histogram {
	u64 bins[BINS], count, max;
	double sum;
};

static u32 bin_of(u64 v)
{
	u32 top;

	if (v < SUB)
		return (u32)v;
	top = 63 - (u32)__builtin_clzll(v);
	return (top - SUB_BITS + 1) * SUB + ((v >> (top - SUB_BITS)) & (SUB - 1));
}

static int fill(sqlite3 *db, const char *sql, const struct capture_facts *f, struct histogram *h)
{
	u64 binds[2] = {f->lo, f->hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_prepare(db, &st, sql, binds, 2);

	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		const u64 v = sql_u64(st, 0);

		h->bins[bin_of(v)]++;
		h->count++;
		h->sum += (double)v;
		h->max = max_u64(h->max, v);
	}
	return r;
}

static void put(const struct histogram *h, struct json *j)
{
	json_object_begin(j);
	json_kv_u64(j, "count", h->count);
	json_key(j, "sum_ns");
	json_double(j, h->sum, 0);
	json_kv_u64(j, "max_ns", h->max);
	json_key(j, "bins");
	json_array_begin(j);
	for (u32 i = 0; i < BINS; i++) {
		if (!h->bins[i])
			continue;
		json_u64(j, i);
		json_u64(j, h->bins[i]);
	}
	json_array_end(j);
	json_object_end(j);
}

/* Polls of tasks that began in the window and whose end was seen: closures of the blocking pool and a worker's main loop are none. */
#define EXACT_SQL                                                                                                                   \
	"SELECT p.dur FROM _task_poll AS p LEFT JOIN _task AS t ON t.id = p.task_row LEFT JOIN task_type AS y ON y.id = p.type_id " \
	"WHERE p.dur IS NOT NULL AND coalesce(t.blocking, 0) = 0 AND coalesce(y.kind, 'future') = 'future' "                        \
	"AND p.ts BETWEEN ?1 AND ?2"
#define CAUGHT_SQL "SELECT dur FROM poll WHERE classified = 1 AND ts BETWEEN ?1 AND ?2"
#define DELAYS_SQL "SELECT delay FROM _task_wake WHERE delay IS NOT NULL AND ts BETWEEN ?1 AND ?2"

int html_latency_put(sqlite3 *db, const struct capture_facts *f, struct json *j)
{
	_cleanup_free_ struct histogram *h = calloc(2, sizeof(*h));
	u64 exact = 0, wakes = 0;
	int r = h ? 0 : -ENOMEM;

	if (r == 0)
		r = sql_one_u64(db, POLLS_KNOWN_SQL, NULL, 0, &exact);
	if (r == 0)
		r = sql_one_u64(db, "SELECT EXISTS (SELECT 1 FROM _task_wake)", NULL, 0, &wakes);
	if (r == 0)
		r = fill(db, exact ? EXACT_SQL : CAUGHT_SQL, f, &h[0]);
	if (r == 0)
		r = fill(db, DELAYS_SQL, f, &h[1]);
	if (r < 0)
		return r;
	json_key(j, "latency");
	json_object_begin(j);
	json_kv_bool(j, "exact", exact);
	json_key(j, "polls");
	put(&h[0], j);
	json_key(j, "delays");
	if (wakes)
		put(&h[1], j);
	else
		json_null(j);
	json_object_end(j);
	return 0;
}
