/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* driver_stall.c: see driver_stall.h. */
#include "report/driver_stall.h"

#include <errno.h>

#include "base/array.h"

enum { SEEN_IN_DRIVER = 1, SEEN_ELSEWHERE = 2 };

int driver_stall_init(struct driver_stall *ds, const struct runtime_set *rs)
{
	*ds = (struct driver_stall){.runtimes = rs};
	ds->seen = calloc((size_t)rs->n_runtimes + 1, 1);
	return ds->seen ? 0 : -ENOMEM;
}

void driver_stall_release(struct driver_stall *ds)
{
	free(ds->spans);
	free(ds->seen);
	*ds = (struct driver_stall){0};
}

static int add_span(struct driver_stall *ds, const struct stall_span *s)
{
	int err = ARRAY_ROOM(ds->spans, ds->n, &ds->cap);

	if (err)
		return err;
	ds->spans[ds->n++] = *s;
	return 0;
}

int driver_stall_park(struct driver_stall *ds, const struct context_info *ci, bool in_driver, u64 from, u64 to)
{
	if (!ci || !ci->runtime_id)
		return 0;
	ds->seen[ci->runtime_id] |= in_driver ? SEEN_IN_DRIVER : SEEN_ELSEWHERE;
	if (in_driver || !ci->worker || to - from < STALL_MIN)
		return 0;
	return add_span(ds, &(struct stall_span){.runtime_id = ci->runtime_id, .worker = ci->worker, .from = from, .to = to});
}

int driver_stall_poll(struct driver_stall *ds, const struct poll_row *p, u64 *ret_now, bool *ret_is_known)
{
	u64 flavor = p->runtime_id ? ds->runtimes->runtimes[p->runtime_id - 1].flavor : 0;
	u64 to = p->ts + p->dur + p->stopped;

	*ret_now = flavor == FMT_FLAVOR_CURRENT_THREAD ? p->dur : 0;
	*ret_is_known = p->holds == HOLDS_RUNTIME && p->classified &&
			(flavor == FMT_FLAVOR_CURRENT_THREAD || (flavor == FMT_FLAVOR_MULTI_THREAD && p->worker));
	if (!*ret_is_known || flavor == FMT_FLAVOR_CURRENT_THREAD || to - p->ts < STALL_MIN)
		return 0;
	return add_span(ds, &(struct stall_span){p->runtime_id, p->worker, p->ts, to, p->id, p->dur});
}

/* ---- at the end ---- */

static int by_worker(const void *a, const void *b)
{
	const struct stall_span *x = a, *y = b;

	if (x->runtime_id != y->runtime_id)
		return x->runtime_id < y->runtime_id ? -1 : 1;
	if (x->worker != y->worker)
		return x->worker < y->worker ? -1 : 1;
	return x->from < y->from ? -1 : x->from > y->from;
}

/* A worker more, or one less, cannot serve from ts on. */
struct stall_edge {
	u64 ts;
	int by;
};

static int by_time(const void *a, const void *b)
{
	const struct stall_edge *x = a, *y = b;

	return x->ts != y->ts ? (x->ts < y->ts ? -1 : 1) : y->by - x->by; /* one that goes on in another span never was able */
}

/* Spans of one runtime, each worker's merged -> edges in the order of time; their number. */
static size_t edges_of(const struct stall_span *s, size_t n, struct stall_edge *e)
{
	size_t n_edges = 0;
	u64 to = 0;

	for (size_t i = 0; i < n; i++) {
		bool is_new = !i || s[i].worker != s[i - 1].worker || s[i].from > to;

		if (is_new) {
			if (i)
				e[n_edges++] = (struct stall_edge){to, -1};
			e[n_edges++] = (struct stall_edge){s[i].from, 1};
			to = s[i].to;
		} else {
			to = max_u64(to, s[i].to);
		}
	}
	e[n_edges++] = (struct stall_edge){to, -1};
	qsort(e, n_edges, sizeof(*e), by_time);
	return n_edges;
}

/* Where all workers are unable: spans in the place of the edges, in the order of time. `sum`: of the lengths of those before each. */
struct stalled {
	u64 from, to, sum;
};

static size_t stalled_spans(const struct stall_edge *e, size_t n, u64 workers, struct stalled *ret)
{
	u64 unable = 0, sum = 0;
	size_t n_spans = 0;

	for (size_t i = 0; i < n; i++) {
		bool was = unable >= workers;

		unable = e[i].by > 0 ? unable + 1 : unable - 1;
		if (!was && unable >= workers)
			ret[n_spans].from = e[i].ts;
		if (was && unable < workers) {
			ret[n_spans].to = e[i].ts;
			ret[n_spans].sum = sum;
			sum += e[i].ts - ret[n_spans].from;
			n_spans++;
		}
	}
	return n_spans;
}

/* How much of the spans lies before ts. */
static u64 stalled_before(const struct stalled *s, size_t n, u64 ts)
{
	size_t lo = 0, hi = n; /* the first span that begins at ts or later */

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s[mid].from < ts)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? s[lo - 1].sum + min_u64(ts, s[lo - 1].to) - s[lo - 1].from : 0;
}

static int write_spans(sqlite3_stmt *ins, u64 runtime_id, const struct stalled *s, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++)
		if (s[i].to > s[i].from)
			err = db_run(ins, (struct db_val[]){DB_INT(runtime_id), DB_INT(s[i].from), DB_INT(s[i].to - s[i].from)},
				     3);
	return err;
}

static int write_runtime(const struct driver_stall *ds, sqlite3_stmt *upd, sqlite3_stmt *ins, const struct stall_span *s,
			 size_t n)
{
	_cleanup_free_ struct stall_edge *edges = calloc(2 * n, sizeof(*edges));
	_cleanup_free_ struct stalled *stalled = calloc(n + 1, sizeof(*stalled));
	u64 workers = ds->runtimes->runtimes[s->runtime_id - 1].n_workers;
	size_t n_stalled;
	int err = 0;

	if (!edges || !stalled)
		return -ENOMEM;
	n_stalled = stalled_spans(edges, edges_of(s, n, edges), workers, stalled);
	for (size_t i = 0; i < n && !err; i++) {
		u64 ns = s[i].poll_id
				 ? stalled_before(stalled, n_stalled, s[i].to) - stalled_before(stalled, n_stalled, s[i].from)
				 : 0;

		if (ns)
			err = db_run(upd, (struct db_val[]){DB_INT(s[i].poll_id), DB_INT(min_u64(ns, s[i].dur))}, 2);
	}
	return err ? err : write_spans(ins, s->runtime_id, stalled, n_stalled);
}

/* One thread serves it, or it blocks. */
static int write_current_thread(const struct driver_stall *ds, sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	int err = db_prepare(db,
			     "INSERT INTO driver_stall SELECT runtime_id, ts, dur + stopped FROM poll WHERE runtime_id = ?1 AND "
			     "driver_stalled >= ?2 ORDER BY ts",
			     &ins);

	for (u32 i = 0; i < ds->runtimes->n_runtimes && !err; i++)
		if (ds->runtimes->runtimes[i].flavor == FMT_FLAVOR_CURRENT_THREAD)
			err = db_run(ins, (struct db_val[]){DB_INT(ds->runtimes->runtimes[i].id), DB_INT(STALL_MIN)}, 2);
	return err;
}

/* Of a runtime that has no driver nothing was ever stalled. */
static int clear_without_driver(const struct driver_stall *ds, sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *upd = NULL;
	_cleanup_stmt_ sqlite3_stmt *del = NULL;
	int err = db_prepare(db, "UPDATE poll SET driver_stalled = NULL WHERE runtime_id = ?1", &upd);

	if (!err)
		err = db_prepare(db, "DELETE FROM driver_stall WHERE runtime_id = ?1", &del);

	for (u32 i = 0; i < ds->runtimes->n_runtimes && !err; i++) {
		const struct runtime_info *r = &ds->runtimes->runtimes[i];
		u8 seen = ds->seen[r->id];

		/* a current_thread runtime that was never seen to park at all may have one; of the other kind somebody parks sooner or later */
		if (seen & SEEN_IN_DRIVER || (!seen && r->flavor == FMT_FLAVOR_CURRENT_THREAD))
			continue;
		err = db_run(upd, (struct db_val[]){DB_INT(r->id)}, 1);
		if (!err)
			err = db_run(del, (struct db_val[]){DB_INT(r->id)}, 1);
	}
	return err;
}

int driver_stall_write(struct driver_stall *ds, sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *upd = NULL, *ins = NULL;
	int err = db_prepare(db, "UPDATE poll SET driver_stalled = ?2 WHERE id = ?1", &upd);

	if (!err)
		err = db_prepare(db, "INSERT INTO driver_stall VALUES (?, ?, ?)", &ins);
	if (ds->n)
		qsort(ds->spans, ds->n, sizeof(*ds->spans), by_worker);
	for (size_t i = 0, k; i < ds->n && !err; i = k) {
		for (k = i + 1; k < ds->n && ds->spans[k].runtime_id == ds->spans[i].runtime_id; k++)
			;
		err = write_runtime(ds, upd, ins, ds->spans + i, k - i);
	}
	if (!err)
		err = write_current_thread(ds, db);
	return err ? err : clear_without_driver(ds, db);
}
