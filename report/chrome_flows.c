/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chrome_flows.c: see chrome_flows.h. */
#include "report/chrome_flows.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "report/sqlrow.h"

static int compare_tid(const void *a, const void *b, void *ctx)
{
	const struct tl_thread *rows = ctx, *x = &rows[*(const u32 *)a], *y = &rows[*(const u32 *)b];

	return x->tid != y->tid ? (x->tid < y->tid ? -1 : 1) : x < y ? -1 : x > y;
}

static int compare_id(const void *a, const void *b, void *ctx)
{
	const struct tl_thread *rows = ctx, *x = &rows[*(const u32 *)a], *y = &rows[*(const u32 *)b];

	return x->id < y->id ? -1 : x->id > y->id;
}

int chrome_flows_init(struct chrome_flows *f, const struct tl_threads *threads, u64 max)
{
	*f = (struct chrome_flows){.threads = threads, .max = max};
	f->by_tid = calloc(threads->n + 1, sizeof(*f->by_tid));
	f->by_id = calloc(threads->n + 1, sizeof(*f->by_id));
	if (!f->by_tid || !f->by_id)
		return -ENOMEM;
	for (u32 i = 0; i < threads->n; i++)
		f->by_tid[i] = f->by_id[i] = i;
	qsort_r(f->by_tid, threads->n, sizeof(*f->by_tid), compare_tid, threads->rows);
	qsort_r(f->by_id, threads->n, sizeof(*f->by_id), compare_id, threads->rows);
	return 0;
}

void chrome_flows_release(struct chrome_flows *f)
{
	free(f->by_tid);
	free(f->by_id);
	free(f->rows);
	free(f->ends);
	*f = (struct chrome_flows){0};
}

/* ---- threads ---- */

static bool lives(const struct tl_thread *t, u64 ts)
{
	return t->lo <= ts && ts < t->hi;
}

/* A tid may have served several threads: the one that lived then. */
static bool find_tid(const struct chrome_flows *f, u64 tid, u64 ts, u32 *ret)
{
	size_t lo = 0, hi = f->threads->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (f->threads->rows[f->by_tid[mid]].tid < tid)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < f->threads->n && f->threads->rows[f->by_tid[lo]].tid == tid; lo++) {
		*ret = f->by_tid[lo];
		if (lives(&f->threads->rows[*ret], ts))
			return true;
	}
	return false;
}

static bool find_id(const struct chrome_flows *f, u64 id, u64 ts, u32 *ret)
{
	size_t lo = 0, hi = f->threads->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (f->threads->rows[f->by_id[mid]].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == f->threads->n || f->threads->rows[f->by_id[lo]].id != id)
		return false;
	*ret = f->by_id[lo];
	return lives(&f->threads->rows[*ret], ts);
}

/* ---- the earliest ---- */

static int compare_flow(const void *a, const void *b)
{
	const struct chrome_flow *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	if (x->to != y->to)
		return x->to < y->to ? -1 : 1;
	if (x->to_thread != y->to_thread)
		return x->to_thread < y->to_thread ? -1 : 1;
	if (x->from_thread != y->from_thread)
		return x->from_thread < y->from_thread ? -1 : 1;
	return (int)x->kind - (int)y->kind;
}

static void swap(struct chrome_flow *a, struct chrome_flow *b)
{
	struct chrome_flow t = *a;

	*a = *b;
	*b = t;
}

static void sift_up(struct chrome_flow *h, size_t at)
{
	for (; at && compare_flow(&h[(at - 1) / 2], &h[at]) < 0; at = (at - 1) / 2)
		swap(&h[(at - 1) / 2], &h[at]);
}

static void sift_down(struct chrome_flow *h, size_t n)
{
	for (size_t at = 0, kid; (kid = 2 * at + 1) < n; at = kid) {
		if (kid + 1 < n && compare_flow(&h[kid], &h[kid + 1]) < 0)
			kid++;
		if (compare_flow(&h[at], &h[kid]) >= 0)
			return;
		swap(&h[at], &h[kid]);
	}
}

int chrome_flows_add(struct chrome_flows *f, const struct chrome_flow *flow)
{
	if (f->n >= f->max) {
		f->left++;
		if (f->max && compare_flow(flow, &f->rows[0]) < 0) {
			f->rows[0] = *flow;
			sift_down(f->rows, f->n);
		}
		return 0;
	}
	if (ARRAY_ROOM(f->rows, f->n, &f->cap) < 0)
		return -ENOMEM;
	f->rows[f->n] = *flow;
	sift_up(f->rows, f->n++);
	return 0;
}

int chrome_flows_add_thread(struct chrome_flows *f, u64 waker_tid, u64 ts, const struct tl_thread *woken, u64 in)
{
	struct chrome_flow flow = {.from = ts, .to = in, .to_thread = (u32)(woken - f->threads->rows), .kind = FLOW_THREAD};

	/* A waker that is no target's thread has no track. */
	if (!find_tid(f, waker_tid, ts, &flow.from_thread) || flow.from_thread == flow.to_thread)
		return 0;
	return chrome_flows_add(f, &flow);
}

#define WAKES_SQL                                                                                                                \
	"SELECT w.ts, w.thread_id, w.ts + w.delay, (SELECT p.thread_id FROM _task_poll AS p WHERE p.task_row = w.task_row "      \
	"AND p.ts = w.ts + w.delay ORDER BY p.id LIMIT 1) FROM _task_wake AS w WHERE w.delay IS NOT NULL AND w.ts >= ?1 "        \
	"AND w.ts < ?2 ORDER BY w.id"
/* A task is spawned in a poll of another: in the last that began before. Ids of tasks are those of one copy of Tokio. */
#define SPAWNS_SQL                                                                                                               \
	"SELECT k.ts_spawn, (SELECT p.thread_id FROM _task_poll AS p WHERE p.task_row = (SELECT min(s.id) FROM _task AS s "      \
	"WHERE s.task_id = k.spawned_by AND s.layout = k.layout) AND p.ts <= k.ts_spawn AND (p.dur IS NULL OR "                  \
	"p.ts + p.dur >= k.ts_spawn) ORDER BY p.ts DESC LIMIT 1), (SELECT min(p.ts) FROM _task_poll AS p "                       \
	"WHERE p.task_row = k.id), (SELECT p.thread_id FROM _task_poll AS p WHERE p.task_row = k.id ORDER BY p.ts LIMIT 1) "     \
	"FROM _task AS k WHERE k.spawned_by IS NOT NULL AND k.ts_spawn >= ?1 AND k.ts_spawn < ?2 ORDER BY k.ts_spawn, k.id"

static int add_rows(struct chrome_flows *f, sqlite3 *db, const char *sql, int thread_col, int to_col, enum chrome_flow_kind kind,
		    const u64 *window)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_prepare(db, &st, sql, window, 2);

	while (r >= 0 && (r = db_step(st)) > 0) {
		struct chrome_flow flow = {.from = sql_u64(st, 0), .to = sql_u64(st, to_col), .kind = kind};

		/* It was not polled within the recording, or by whom it was spawned was not. */
		if (sql_is_null(st, 3) || flow.to < flow.from)
			continue;
		if (!find_id(f, sql_u64(st, thread_col), flow.from, &flow.from_thread) ||
		    !find_id(f, sql_u64(st, 3), flow.to, &flow.to_thread)) {
			f->unplaced++;
			continue;
		}
		r = chrome_flows_add(f, &flow);
	}
	return r < 0 ? r : 0;
}

int chrome_flows_add_tasks(struct chrome_flows *f, sqlite3 *db, u64 lo, u64 hi)
{
	const u64 window[2] = {lo, hi};
	int r = add_rows(f, db, WAKES_SQL, 1, 2, FLOW_WAKE, window);

	return r < 0 ? r : add_rows(f, db, SPAWNS_SQL, 1, 2, FLOW_SPAWN, window);
}

void chrome_flows_sort(struct chrome_flows *f, u64 max)
{
	if (f->n)
		qsort(f->rows, f->n, sizeof(*f->rows), compare_flow);
	if (f->n > max) {
		f->left += f->n - max;
		f->n = max;
	}
}

/* ---- slices that they need ---- */

static int compare_end(const void *a, const void *b)
{
	const struct flow_end *x = a, *y = b;

	if (x->thread != y->thread)
		return x->thread < y->thread ? -1 : 1;
	return x->ts < y->ts ? -1 : x->ts > y->ts;
}

int chrome_flows_expect(struct chrome_flows *f)
{
	f->ends = calloc(2 * f->n + 1, sizeof(*f->ends));
	if (!f->ends)
		return -ENOMEM;
	for (size_t i = 0; i < f->n; i++) {
		f->ends[2 * i] = (struct flow_end){f->rows[i].from, f->rows[i].from_thread, (u32)i, 1};
		f->ends[2 * i + 1] = (struct flow_end){f->rows[i].to, f->rows[i].to_thread, (u32)i, 2};
	}
	qsort(f->ends, 2 * f->n, sizeof(*f->ends), compare_end);
	return 0;
}

void chrome_flows_cover(struct chrome_flows *f, u32 thread, u64 ts, u64 end, bool begins)
{
	const struct flow_end first = {.ts = ts, .thread = thread};
	size_t lo = 0, hi = 2 * f->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (compare_end(&f->ends[mid], &first) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < 2 * f->n && f->ends[lo].thread == first.thread && f->ends[lo].ts < end; lo++)
		if (!begins || f->ends[lo].bit != 2 || f->ends[lo].ts == ts)
			f->rows[f->ends[lo].flow].covered |= f->ends[lo].bit;
}

void chrome_flows_drop(struct chrome_flows *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		if (f->rows[i].covered == 3)
			f->rows[n++] = f->rows[i];
	f->unplaced += f->n - n;
	f->n = n;
}

const char *chrome_flow_name(enum chrome_flow_kind kind)
{
	static const char *const names[] = {"thread wake", "wake", "spawn"};

	return names[kind];
}

void chrome_flows_put(const struct chrome_flows *f, struct chrome_out *w, const struct chrome_track *tracks, u64 first_id)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct chrome_flow *k = &f->rows[i];

		chrome_put_flow(w, true, chrome_flow_name(k->kind), first_id + i, &tracks[k->from_thread], k->from);
		chrome_put_flow(w, false, chrome_flow_name(k->kind), first_id + i, &tracks[k->to_thread], k->to);
	}
}
