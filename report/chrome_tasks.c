/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chrome_tasks.c: see chrome_tasks.h. */
#include "report/chrome_tasks.h"

#include <errno.h>
#include <string.h>

#include "report/chrome_tasks_impl.h"
#include "report/poll_over.h"
#include "report/sqlrow.h"
#include "report/view_text.h"

/* Ids that no process and no other track has: Linux's pid_max is at most 2^22; export_chrome.c takes up to 4 << 22. */
#define TASKS_PID   ((u64)1 << 22)
#define TRACK_TASKS ((u64)8 << 22)

/* Tasks among which those with slices in the window are looked for: memory goes with it, not with the length of the recording. */
#define CANDIDATES_MAX 65536

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
	u64map_release(&t->rows);
	(void)sqlite3_finalize(t->on_cpu);
	free(t->any);
	free(t->track_of);
	free(t->tracks);
	free(t);
	return NULL;
}

static void free_tasks_p(struct chrome_tasks **t)
{
	*t = chrome_tasks_free(*t);
}

/* ---- which tasks ---- */

/* Those that have slices, in the order of task_stats. */
#define EXACT_TASKS_SQL                                                                                                                \
	"SELECT DISTINCT k.runtime_id, k.task_id FROM _task AS k WHERE EXISTS (SELECT 1 FROM _task_poll AS p WHERE p.task_row = k.id " \
	"AND p.ts <= ?2 AND coalesce(" POLL_END_SQL ", ?2) >= ?1) "                                                                    \
	"OR EXISTS (SELECT 1 FROM _task_wake AS w WHERE w.task_row = k.id AND w.delay > 0 AND w.ts < ?2 AND w.ts + w.delay > ?1) "     \
	"OR (k.ts_spawn < ?2 AND (SELECT min(p.ts) FROM _task_poll AS p WHERE p.task_row = k.id) > max(?1, k.ts_spawn)) "              \
	"ORDER BY k.runtime_id, k.task_id"
#define CAUGHT_TASKS_SQL                                                                                                         \
	"SELECT DISTINCT runtime_id, task_id FROM poll WHERE task_id IS NOT NULL AND classified AND ts <= ?2 "                   \
	"AND ts + dur + stopped >= ?1 ORDER BY runtime_id, task_id"

static int mark_tasks(struct chrome_tasks *t)
{
	u64 binds[2] = {t->lo, t->hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	size_t at = 0;
	int r = sql_prepare(t->db, &st, t->s.has_polls ? EXACT_TASKS_SQL : CAUGHT_TASKS_SQL, binds, 2);

	while (r >= 0 && (r = db_step(st)) > 0) {
		u64 runtime = sql_u64(st, 0), task = sql_u64(st, 1);

		while (at < t->s.n && (t->s.rows[at].runtime_id < runtime ||
				       (t->s.rows[at].runtime_id == runtime && t->s.rows[at].task_id < task)))
			at++;
		if (at == t->s.n)
			return 0;
		t->any[at] = t->any[at] || (t->s.rows[at].runtime_id == runtime && t->s.rows[at].task_id == task);
	}
	return r;
}

static int costs_more(const void *a, const void *b)
{
	const struct task_stat *const *x = a, *const *y = b;

	return task_stat_cost_compare(*x, *y);
}

static int by_row(const void *a, const void *b)
{
	const struct task_stat *const *x = a, *const *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Tokio's own loops are tasks of the blocking pool that run as long as their runtime: the threads' tracks show that. */
static int choose_tracks(struct chrome_tasks *t)
{
	_cleanup_free_ const struct task_stat **order = calloc(t->s.n + 1, sizeof(*order));
	size_t n = 0;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < t->s.n; i++) {
		t->track_of[i] = NO_TRACK;
		if (t->any[i] && t->s.types[t->s.rows[i].type].nature != TASK_WORKER)
			order[n++] = &t->s.rows[i];
	}
	qsort(order, n, sizeof(*order), costs_more);
	t->n = (u32)min_u64(n, CHROME_TASKS_MAX);
	t->left += n - t->n;
	qsort(order, t->n, sizeof(*order), by_row);
	t->tracks = calloc(t->n + 1, sizeof(*t->tracks));
	if (!t->tracks)
		return -ENOMEM;
	for (u32 i = 0; i < t->n; i++) {
		struct track *k = &t->tracks[i];
		u64 process = t->first_process;

		(void)u64map_get(&t->pids, order[i]->runtime_id, &process);
		k->task = (size_t)(order[i] - t->s.rows);
		k->pid = TASKS_PID + (process & (TASKS_PID - 1));
		k->chrome = chrome_track_of(k->pid, track_id(k->task));
		t->track_of[k->task] = i;
	}
	return 0;
}

/* Two tasks of one id that no runtime tells apart share a track. */
static int map_rows(struct chrome_tasks *t)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = db_prepare(t->db, "SELECT id FROM _task WHERE task_id = ?1 AND coalesce(runtime_id, 0) = ?2", &st);

	for (u32 i = 0; i < t->n && r == 0; i++) {
		const struct task_stat *row = &t->s.rows[t->tracks[i].task];

		r = db_bind(st, (struct db_val[]){DB_INT(row->task_id), DB_INT(row->runtime_id)}, 2);
		while (r >= 0 && (r = db_step(st)) > 0)
			r = u64map_put(&t->rows, sql_u64(st, 0), i);
		(void)sqlite3_reset(st);
	}
	return r;
}

static int load_processes(struct chrome_tasks *t)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_one_u64(t->db, "SELECT min(id) FROM process", NULL, 0, &t->first_process);

	if (r == 0)
		r = sql_prepare(t->db, &st, "SELECT runtime_id, process_id FROM runtime", NULL, 0);
	while (r >= 0 && (r = db_step(st)) > 0)
		r = u64map_put(&t->pids, sql_u64(st, 0), sql_u64(st, 1));
	return r < 0 ? r : 0;
}

/* The thread was on its cpu before the next time that it left it, or since the last time. */
#define ON_CPU_SQL                                                                                                                 \
	"SELECT coalesce((SELECT o.ran IS NOT NULL AND o.ts - o.ran <= ?2 FROM _offcpu AS o WHERE o.thread_id = ?1 AND o.ts > ?2 " \
	"ORDER BY o.ts LIMIT 1), (SELECT h.ts_last_in <= ?2 AND ?2 < h.ts_last_out FROM thread AS h WHERE h.id = ?1), 0)"

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
	t->pids = t->rows = U64MAP_INIT;
	/* One that only waited for a worker has slices, too. */
	r = task_stats_load_costly(db, o, f, CANDIDATES_MAX, true, &t->s, &t->left);
	if (r < 0)
		return r;
	t->any = calloc(t->s.n + 1, sizeof(*t->any));
	t->track_of = calloc(t->s.n + 1, sizeof(*t->track_of));
	if (!t->any || !t->track_of)
		return -ENOMEM;
	r = mark_tasks(t);
	if (r == 0)
		r = load_processes(t);
	if (r == 0)
		r = choose_tracks(t);
	if (r == 0)
		r = map_rows(t);
	if (r == 0)
		r = db_prepare(db, ON_CPU_SQL, &t->on_cpu);
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

static void put_names(const struct chrome_tasks *t, struct chrome_out *w, const struct track *k)
{
	const struct task_stat *row = &t->s.rows[k->task];
	const struct task_type *type = &t->s.types[row->type];
	char label[400];

	(void)snprintf(label, sizeof(label), "task %llu%s%.300s", (unsigned long long)row->task_id, type->name ? " " : "",
		       type->name ? type->name : "");
	chrome_put_meta(w, "thread_name", k->pid, track_id(k->task), label, 0);
	chrome_put_meta(w, "thread_sort_index", k->pid, track_id(k->task), NULL, k->task);
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

		for (u32 i = 0; i < t->n && !used; i++)
			used = t->tracks[i].pid == pid;
		if (!used)
			continue;
		(void)snprintf(label, sizeof(label), "%.64s tasks", sql_text(st, 1));
		chrome_put_meta(w, "process_name", pid, pid, label, 0);
	}
	return r;
}

int chrome_tasks_names(struct chrome_tasks *t, struct chrome_out *w)
{
	for (u32 i = 0; i < t->n; i++)
		put_names(t, w, &t->tracks[i]);
	return put_process_names(t, w);
}
