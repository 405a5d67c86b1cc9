/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * chrome_fit.c: --max-events: where the trace is cut, on all threads alike. Slices are counted by walking as the export does, without writing; when it is certain
 * that all fit nothing is counted, and when there are far too many, only as far as they could fit.
 */
#include <errno.h>
#include <string.h>

#include "report/chrome.h"
#include "report/sqlrow.h"

#define CUT_BUCKETS 4096
#define CUT_ROUNDS  4

/* More slices than the rows of a window can make; what polls cut in two is counted with them. */
#define BOUND_SQL                                                                                                                \
	"SELECT 5 * (SELECT count(*) FROM _offcpu) + 2 * (SELECT count(*) FROM _sample) + 9 * (SELECT count(*) FROM poll) "      \
	"+ 11 * (SELECT count(*) FROM _task_poll) + (SELECT count(*) FROM _task_wake) + (SELECT count(*) FROM _task) "           \
	"+ 2 * (SELECT count(*) FROM thread)"

struct cut {
	struct chrome *c;
	u64 lo, hi;
	u64 total;
	u64 *buckets;
};

static void count(struct cut *k, u64 ts)
{
	u64 at = ts <= k->lo ? 0 : (u64)((double)(ts - k->lo) / (double)(k->hi - k->lo) * CUT_BUCKETS);

	k->buckets[min_u64(at, CUT_BUCKETS - 1)]++;
	k->total++;
}

static int count_slice(void *ctx, const struct tl_thread *t, const struct track_slice *s)
{
	(void)t;
	if (s->shown)
		count(ctx, s->ts);
	return 0;
}

static void count_task(void *ctx, u64 ts)
{
	count(ctx, ts);
}

/* How many buckets hold at most max. */
static u64 fitting(const struct cut *k, u64 max)
{
	u64 fit = 0, sum = 0;

	while (fit < CUT_BUCKETS && sum + k->buckets[fit] <= max)
		sum += k->buckets[fit++];
	return fit;
}

static u64 bucket_end(const struct cut *k, u64 n)
{
	return n >= CUT_BUCKETS ? k->hi : k->lo + (u64)((double)(k->hi - k->lo) / CUT_BUCKETS * (double)n);
}

/* Where every row makes a slice, no more of them fit than rows: a quick look at those spares a walk over all. */
static int cut_rows(struct cut *k)
{
	const u64 window[2] = {k->lo, k->hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r;

	if (k->c->o->profile.min_ns || k->c->o->no_idle)
		return 0;
	r = sql_prepare(k->c->db, &st, "SELECT ts FROM _offcpu WHERE ts >= ?1 AND ts < ?2", window, 2);
	while (r >= 0 && (r = db_step(st)) > 0)
		count(k, sql_u64(st, 0));
	k->hi = bucket_end(k, fitting(k, k->c->o->max_events) + 1);
	return r < 0 ? r : 0;
}

static int count_window(struct cut *k)
{
	_cleanup_tl_threads_ struct tl_threads threads = {0};
	int r;

	memset(k->buckets, 0, CUT_BUCKETS * sizeof(*k->buckets));
	k->total = 0;
	r = tl_threads_load(k->c->db, k->lo, k->hi, &threads);
	if (r == 0)
		r = track_walk(k->c->db, &threads, &k->c->track, &k->c->calls, &k->c->tasks, count_slice, k);
	if (r == 0 && k->c->o->tasks)
		r = chrome_tasks_count(k->c->db, k->lo, k->hi, count_task, k);
	return r;
}

int chrome_fit(struct chrome *c)
{
	_cleanup_free_ u64 *buckets = calloc(CUT_BUCKETS, sizeof(*buckets));
	struct cut k = {.c = c, .lo = c->f->lo, .hi = c->f->hi, .buckets = buckets};
	u64 bound, max = c->o->max_events;
	int r;

	c->hi = c->f->hi;
	if (!buckets)
		return -ENOMEM;
	r = sql_one_u64(c->db, BOUND_SQL, NULL, 0, &bound);
	if (r < 0 || bound <= max || k.hi <= k.lo)
		return r;
	r = cut_rows(&k);
	for (int round = 0; round < CUT_ROUNDS && k.hi > k.lo && r == 0; round++) {
		u64 fit;

		r = count_window(&k);
		if (r == 0 && k.total <= max) {
			c->hi = k.hi;
			return 0;
		}
		fit = fitting(&k, max);
		k.hi = bucket_end(&k, max_u64(fit, 1));
		if (r == 0 && fit) {
			c->hi = k.hi;
			return 0;
		}
	}
	c->hi = k.lo;
	return r;
}
