/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chrome_tasks.c: see chrome_tasks.h. */
#include "report/chrome_tasks.h"

#include <errno.h>
#include <string.h>

#include "base/u64map.h"
#include "report/sqlrow.h"
#include "report/task_stats.h"
#include "report/view_text.h"

/* Ids that no process and no other track has: Linux's pid_max is at most 2^22; export_chrome.c takes up to 4 << 22. */
#define TASKS_PID   ((u64)1 << 22)
#define TRACK_TASKS ((u64)8 << 22)
#define SLICES_MAX  ((size_t)1 << 25)

enum slice_kind { SLICE_POLL, SLICE_READY, SLICE_SPAWNED };

struct slice {
	u64 ts, end;
	u64 thread_id; /* of a poll */
	enum slice_kind kind;
};

struct track {
	u64 pid;
	struct chrome_track chrome;
	size_t first, n; /* slices */
	bool shown;
};

struct chrome_tasks {
	sqlite3 *db;
	const struct capture_facts *f;
	u64 lo, hi;
	struct task_stats s;
	struct track *tracks; /* one of each row of s */
	struct slice *slices; /* by task, then time */
	size_t n, cap;
	struct u64map pids; /* process of each runtime */
	u64 first_process;
	sqlite3_stmt *on_cpu;
	u64 next_flow;
};

static u64 track_id(size_t task)
{
	return TRACK_TASKS + task;
}

struct chrome_tasks *chrome_tasks_free(struct chrome_tasks *t)
{
	if (!t)
		return NULL;
	task_stats_release(&t->s);
	u64map_release(&t->pids);
	(void)sqlite3_finalize(t->on_cpu);
	free(t->tracks);
	free(t->slices);
	free(t);
	return NULL;
}

static void free_tasks_p(struct chrome_tasks **t)
{
	*t = chrome_tasks_free(*t);
}

/* ---- slices ---- */

/* Behind those of its task that are there; what a damaged capture made overlap is cut at the later one's expense. */
static int add_slice(struct chrome_tasks *t, size_t task, struct slice s)
{
	struct track *k = &t->tracks[task];

	s.ts = max_u64(s.ts, t->lo);
	s.end = min_u64(s.end, t->hi);
	if (k->n && t->slices[t->n - 1].end > s.ts) {
		struct slice *last = &t->slices[t->n - 1];

		/* An end that was not seen. */
		if (last->end >= t->hi && last->ts < s.ts)
			last->end = s.ts;
		s.ts = max_u64(s.ts, last->end);
	}
	if (s.end < s.ts || (s.end == s.ts && s.kind != SLICE_POLL))
		return 0;
	if (t->n == t->cap) {
		size_t want = t->cap ? t->cap * 2 : 1024;
		struct slice *p = want > SLICES_MAX ? NULL : reallocarray(t->slices, want, sizeof(*p));

		if (!p)
			return -ENOMEM;
		t->slices = p;
		t->cap = want;
	}
	if (!k->n)
		k->first = t->n;
	k->n++;
	t->slices[t->n++] = s;
	return 0;
}

/*
 * One row for each slice: 0 a poll, 1 ready since a wake, 2 ready since its spawn. Without exact polls those that were caught; then it is not known
 * when a task became ready.
 */
#define EXACT_SQL                                                                                                                                            \
	"SELECT runtime_id, task_id, ts, coalesce(ts + dur, ?2), 0 AS what, thread_id FROM task_poll WHERE task_id IS NOT NULL AND ts <= ?2 "                \
	"AND coalesce(ts + dur, ?2) >= ?1 UNION ALL "                                                                                                        \
	"SELECT runtime_id, task_id, ts, ts + delay, 1, 0 FROM task_wake WHERE task_id IS NOT NULL AND delay IS NOT NULL AND ts <= ?2 AND ts + delay >= ?1 " \
	"UNION ALL SELECT k.runtime_id, k.task_id, k.ts_spawn, p.first, 2, 0 FROM _task AS k JOIN (SELECT task_row, min(ts) AS first "                       \
	"FROM _task_poll GROUP BY task_row) AS p ON p.task_row = k.id WHERE k.ts_spawn <= ?2 AND k.ts_spawn <= p.first AND p.first >= ?1 "                   \
	"ORDER BY runtime_id, task_id, ts, what DESC"
#define CAUGHT_SQL                                                                                                                          \
	"SELECT runtime_id, task_id, ts, ts + dur + stopped, 0, thread_id FROM poll WHERE task_id IS NOT NULL AND classified AND ts <= ?2 " \
	"AND ts + dur + stopped >= ?1 ORDER BY runtime_id, task_id, ts, id"

static int load_slices(struct chrome_tasks *t)
{
	u64 binds[2] = {t->lo, t->hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	size_t at = 0;
	int r = sql_prepare(t->db, &st, t->s.has_polls ? EXACT_SQL : CAUGHT_SQL, binds, 2);

	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		const struct slice s = {sql_u64(st, 2), sql_u64(st, 3), sql_u64(st, 5),
					(enum slice_kind)min_u64(sql_u64(st, 4), SLICE_SPAWNED)};
		const struct task_stat *row;

		while (at < t->s.n && (t->s.rows[at].runtime_id < sql_u64(st, 0) ||
				       (t->s.rows[at].runtime_id == sql_u64(st, 0) && t->s.rows[at].task_id < sql_u64(st, 1))))
			at++;
		if (at == t->s.n)
			break;
		row = &t->s.rows[at];
		if (row->runtime_id != sql_u64(st, 0) || row->task_id != sql_u64(st, 1))
			continue;
		r = add_slice(t, at, s);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : 0;
}

static int costs_more(const void *a, const void *b)
{
	const struct task_stat *const *x = a, *const *y = b;

	if ((*x)->blocked != (*y)->blocked)
		return (*x)->blocked > (*y)->blocked ? -1 : 1;
	if ((*x)->busy != (*y)->busy)
		return (*x)->busy > (*y)->busy ? -1 : 1;
	return *x < *y ? -1 : *x > *y;
}

/* Tokio's own loops are tasks of the blocking pool that run as long as their runtime: the threads' tracks show that. */
static int choose_tracks(struct chrome_tasks *t)
{
	_cleanup_free_ const struct task_stat **order = calloc(t->s.n + 1, sizeof(*order));
	size_t n = 0;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < t->s.n; i++)
		if (t->tracks[i].n && t->s.types[t->s.rows[i].type].nature != TASK_WORKER)
			order[n++] = &t->s.rows[i];
	qsort(order, n, sizeof(*order), costs_more);
	for (size_t i = 0; i < n && i < CHROME_TASKS_MAX; i++)
		t->tracks[order[i] - t->s.rows].shown = true;
	return 0;
}

static int load_processes(struct chrome_tasks *t)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_one_u64(t->db, "SELECT min(id) FROM process", NULL, 0, &t->first_process);

	if (r == 0)
		r = sql_prepare(t->db, &st, "SELECT runtime_id, process_id FROM runtime", NULL, 0);
	while (r >= 0 && (r = db_step(st)) > 0)
		r = u64map_put(&t->pids, sql_u64(st, 0), sql_u64(st, 1));
	if (r < 0)
		return r;
	for (size_t i = 0; i < t->s.n; i++) {
		u64 process = t->first_process;

		(void)u64map_get(&t->pids, t->s.rows[i].runtime_id, &process);
		t->tracks[i].pid = TASKS_PID + (process & (TASKS_PID - 1));
		t->tracks[i].chrome = chrome_track_of(t->tracks[i].pid, track_id(i));
	}
	return 0;
}

int chrome_tasks_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, u64 lo, u64 hi,
		      struct chrome_tasks **ret)
{
	_cleanup_(free_tasks_p) struct chrome_tasks *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->db = db;
	t->f = f;
	t->lo = lo;
	t->hi = hi;
	t->pids = (struct u64map)U64MAP_INIT;
	r = task_stats_load(db, o, f, &t->s);
	if (r < 0)
		return r;
	t->tracks = calloc(t->s.n + 1, sizeof(*t->tracks));
	if (!t->tracks)
		return -ENOMEM;
	r = load_slices(t);
	if (r == 0)
		r = load_processes(t);
	if (r == 0)
		r = choose_tracks(t);
	/* The thread was on its cpu before the next time that it left it, or since the last time. */
	if (r == 0)
		r = db_prepare(
			db,
			"SELECT coalesce((SELECT o.ran IS NOT NULL AND o.ts - o.ran <= ?2 FROM _offcpu AS o WHERE o.thread_id = ?1 AND o.ts > ?2 "
			"ORDER BY o.ts LIMIT 1), (SELECT h.ts_last_in <= ?2 AND ?2 < h.ts_last_out FROM thread AS h WHERE h.id = ?1), 0)",
			&t->on_cpu);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(t);
	return 0;
}

#define COUNT_SQL                                                                                                                                   \
	"SELECT ts FROM _task_poll WHERE ts <= ?2 AND ts + coalesce(dur, 0) >= ?1 UNION ALL SELECT ts FROM _task_wake WHERE ts <= ?2 AND ts >= ?1 " \
	"UNION ALL SELECT ts_spawn FROM _task WHERE ts_spawn BETWEEN ?1 AND ?2 UNION ALL "                                                          \
	"SELECT ts FROM poll WHERE NOT EXISTS (SELECT 1 FROM _task_poll) AND task_id IS NOT NULL AND ts <= ?2 AND ts + dur >= ?1"

int chrome_tasks_count(sqlite3 *db, u64 lo, u64 hi, void (*fn)(void *ctx, u64 ts), void *ctx)
{
	u64 binds[2] = {lo, hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_prepare(db, &st, COUNT_SQL, binds, 2);

	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0)
		fn(ctx, sql_u64(st, 0));
	return r;
}

/* ---- tracks ---- */

static void put_names(const struct chrome_tasks *t, struct chrome_out *w, size_t task)
{
	const struct task_stat *row = &t->s.rows[task];
	const struct task_type *type = &t->s.types[row->type];
	char label[400];

	(void)snprintf(label, sizeof(label), "task %llu%s%.300s", (unsigned long long)row->task_id, type->name ? " " : "",
		       type->name ? type->name : "");
	chrome_put_meta(w, "thread_name", t->tracks[task].pid, track_id(task), label, 0);
	chrome_put_meta(w, "thread_sort_index", t->tracks[task].pid, track_id(task), NULL, task);
}

static int put_process_names(const struct chrome_tasks *t, struct chrome_out *w)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_prepare(t->db, &st, "SELECT id, name FROM process ORDER BY id", NULL, 0);

	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		u64 pid = TASKS_PID + (sql_u64(st, 0) & (TASKS_PID - 1));
		char label[128];
		bool used = false;

		for (size_t i = 0; i < t->s.n && !used; i++)
			used = t->tracks[i].shown && t->tracks[i].pid == pid;
		if (!used)
			continue;
		(void)snprintf(label, sizeof(label), "%.64s tasks", sql_text(st, 1));
		chrome_put_meta(w, "process_name", pid, pid, label, 0);
	}
	return r;
}

static void put_slice(const struct chrome_tasks *t, struct chrome_out *w, size_t task, const struct slice *s,
		      const struct tl_threads *threads)
{
	static const char *const cats[] = {"task_poll", "ready", "ready"};
	const struct task_stat *row = &t->s.rows[task];
	const struct task_type *type = &t->s.types[row->type];
	const struct task_site *site = &t->s.sites[row->site];

	chrome_slice_begin(w, &t->tracks[task].chrome, cats[s->kind], NULL, s->ts, s->end, 0);
	if (s->kind == SLICE_POLL)
		chrome_puts_raw(w, type->name && *type->name ? type->name : "poll");
	else
		chrome_puts(w, s->kind == SLICE_READY ? "ready" : "spawned, ready");
	chrome_args_begin(w);
	if (!w->no_args && s->kind == SLICE_POLL) {
		chrome_arg_u64(w, "task", row->task_id);
		for (size_t i = 0; i < threads->n; i++) {
			if (threads->rows[i].id != s->thread_id)
				continue;
			chrome_arg_u64(w, "tid", threads->rows[i].tid);
			if (threads->rows[i].has_worker)
				chrome_arg_u64(w, "worker", threads->rows[i].worker);
		}
		if (site->file) {
			chrome_arg_raw(w, "spawn_file", site->file);
			chrome_arg_u64(w, "spawn_line", site->line);
		}
	}
	chrome_event_end(w);
}

/* ---- arrows ---- */

/* The poll of a task that an instant lies in; its end does not. NULL: none, or its track is not shown. */
static const struct slice *find_poll(const struct chrome_tasks *t, const struct task_stat *row, u64 ts, bool begins)
{
	const struct track *k = row ? &t->tracks[row - t->s.rows] : NULL;
	size_t lo = 0, hi = k && k->shown ? k->n : 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct slice *s = &t->slices[k->first + mid];

		if (s->ts < ts || (s->ts == ts && s->kind != SLICE_POLL))
			lo = mid + 1;
		else
			hi = mid;
	}
	/* lo: the first poll from ts on */
	if (k && k->shown && lo < k->n && t->slices[k->first + lo].ts == ts && t->slices[k->first + lo].kind == SLICE_POLL)
		return &t->slices[k->first + lo];
	if (begins || !lo || !k || !k->shown)
		return NULL;
	return t->slices[k->first + lo - 1].kind == SLICE_POLL && ts < t->slices[k->first + lo - 1].end
		       ? &t->slices[k->first + lo - 1]
		       : NULL;
}

struct arrows {
	struct chrome_tasks *t;
	struct chrome_out *w;
	const struct tl_threads *threads;
	const struct chrome_track *tracks;
	u64 max;
	struct chrome_tasks_result *ret;
};

/* The track of a thread that was on its cpu at an instant, which has a slice of that. */
static int find_thread(const struct arrows *a, u64 thread_id, u64 ts, const struct chrome_track **ret)
{
	bool found;
	int r;

	*ret = NULL;
	for (size_t i = 0; i < a->threads->n; i++) {
		const struct tl_thread *h = &a->threads->rows[i];

		if (h->id != thread_id || ts < h->lo || ts >= h->hi)
			continue;
		r = db_bind(a->t->on_cpu, (struct db_val[]){DB_INT(thread_id), DB_INT(ts)}, 2);
		if (r == 0)
			r = db_step(a->t->on_cpu);
		if (r < 0)
			return r;
		found = r > 0 && sql_u64(a->t->on_cpu, 0) != 0;
		(void)sqlite3_reset(a->t->on_cpu);
		*ret = found ? &a->tracks[i] : NULL;
	}
	return 0;
}

/* From `by` (or, where that is NULL or was not in a poll, the thread) at `from` to the poll of `to` that begins at `ts`. */
static int put_arrow(struct arrows *a, const char *name, const struct task_stat *by, u64 thread_id, u64 from,
		     const struct task_stat *to, u64 ts)
{
	const struct slice *target = find_poll(a->t, to, ts, true), *origin = by == to ? NULL : find_poll(a->t, by, from, false);
	const struct chrome_track *track = NULL;
	int r = 0;

	if (from < a->t->lo || ts > a->t->hi)
		return 0;
	if (!target) {
		a->ret->flows_unplaced++;
		return 0;
	}
	if (origin)
		track = &a->t->tracks[by - a->t->s.rows].chrome;
	else if (thread_id)
		r = find_thread(a, thread_id, from, &track);
	if (r < 0)
		return r;
	if (!track) {
		a->ret->flows_unplaced++;
		return 0;
	}
	if (a->ret->flows >= a->max) {
		a->ret->flows_left++;
		return 0;
	}
	a->ret->flows++;
	a->t->next_flow++;
	chrome_put_flow(a->w, true, name, a->t->next_flow, track, from);
	chrome_put_flow(a->w, false, name, a->t->next_flow, &a->t->tracks[to - a->t->s.rows].chrome, ts);
	return 0;
}

/* A task's first poll, when its spawn was seen. */
static int put_spawns(struct arrows *a)
{
	const struct chrome_tasks *t = a->t;
	int r = 0;

	for (size_t i = 0; i < t->s.n && r == 0; i++) {
		const struct task_stat *row = &t->s.rows[i];
		const struct track *k = &t->tracks[i];

		if (!k->shown || row->ts_spawn < t->lo || !row->ts_spawn || !row->spawned_by)
			continue;
		for (size_t n = 0; n < k->n; n++) {
			if (t->slices[k->first + n].kind != SLICE_POLL)
				continue;
			r = put_arrow(a, "spawn", task_stats_find(&t->s, row->runtime_id, row->spawned_by), 0, row->ts_spawn, row,
				      t->slices[k->first + n].ts);
			break;
		}
	}
	return r;
}

#define WAKES_SQL                                                                                                                      \
	"SELECT runtime_id, task_id, ts, delay, thread_id, waker_task FROM task_wake WHERE delay IS NOT NULL AND task_id IS NOT NULL " \
	"AND ts >= ?1 AND ts <= ?2 ORDER BY ts, id"

static int put_wakes(struct arrows *a)
{
	u64 binds[2] = {a->t->lo, a->t->hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_prepare(a->t->db, &st, WAKES_SQL, binds, 2);

	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		const struct task_stat *to = task_stats_find(&a->t->s, sql_u64(st, 0), sql_u64(st, 1));
		const struct task_stat *by =
			sql_is_null(st, 5) ? NULL : task_stats_find(&a->t->s, sql_u64(st, 0), sql_u64(st, 5));

		if (!to)
			continue;
		r = put_arrow(a, "wake", by, sql_u64(st, 4), sql_u64(st, 2), to, sql_u64(st, 2) + sql_u64(st, 3));
		if (r < 0)
			return r;
	}
	return r;
}

int chrome_tasks_names(struct chrome_tasks *t, struct chrome_out *w)
{
	for (size_t i = 0; i < t->s.n; i++)
		if (t->tracks[i].shown)
			put_names(t, w, i);
	return put_process_names(t, w);
}

int chrome_tasks_put(struct chrome_tasks *t, struct chrome_out *w, const struct tl_threads *threads,
		     const struct chrome_track *tracks, u64 max_flows, struct chrome_tasks_result *ret)
{
	struct chrome_tasks_result result = {.exact = t->s.has_polls};
	struct arrows a = {t, w, threads, tracks, max_flows, &result};
	int r;

	for (size_t i = 0; i < t->s.n; i++) {
		const struct track *k = &t->tracks[i];

		result.tasks += k->shown;
		result.tasks_left += k->n && !k->shown && t->s.types[t->s.rows[i].type].nature != TASK_WORKER;
		for (size_t n = 0; n < k->n && k->shown; n++)
			put_slice(t, w, i, &t->slices[k->first + n], threads);
	}
	r = put_spawns(&a);
	if (r == 0)
		r = put_wakes(&a);
	if (r < 0)
		return r;
	*ret = result;
	return 0;
}
