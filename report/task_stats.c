/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_stats.c: see task_stats.h. Tasks come from task_reader.c in order of (runtime, task); their wakes are read in the same order and merged in one pass, so
 * that nothing is looked up.
 */
#include "report/task_stats.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "report/sqlrow.h"
#include "report/task_reader.h"

/* Tasks that a report looks at: beyond it no list is read by people, and `query` is the tool. */
#define TASKS_MAX ((size_t)1 << 24)

void task_stats_release(struct task_stats *s)
{
	for (u32 i = 0; i < s->n_types; i++)
		free(s->types[i].name);
	for (u32 i = 0; i < s->n_sites; i++) {
		free(s->sites[i].file);
		free(s->sites[i].function);
	}
	free(s->types);
	free(s->sites);
	free(s->rows);
	free(s->delays);
	*s = (struct task_stats){0};
}

/* ---- types and sites: the number of the first row that is the same comes from SQL, so that equal ones are found in one pass ---- */

#define TYPES_SQL                                                                                                                \
	"SELECT id, vtable, name, name_from IS 'candidates', kind, CASE WHEN name IS NULL THEN id ELSE "                         \
	"min(id) OVER (PARTITION BY process_id, name, coalesce(kind, 'future')) END FROM task_type ORDER BY id"

static int load_types(sqlite3 *db, struct task_stats *s)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	size_t cap = 0;
	int r;

	r = ARRAY_ROOM(s->types, 0, &cap);
	if (r == 0)
		r = sql_prepare(db, &st, TYPES_SQL, NULL, 0);
	if (r < 0)
		return r;
	s->n_types = 1;
	while ((r = db_step(st)) > 0) {
		struct task_type *t;
		const char *kind = sql_text(st, 4);

		r = ARRAY_ROOM(s->types, s->n_types, &cap);
		if (r < 0)
			return r;
		t = &s->types[s->n_types++];
		t->id = sql_u64(st, 0);
		t->vtable = sql_u64(st, 1);
		t->guessed = sql_u64(st, 3) != 0;
		t->nature = !kind || !strcmp(kind, "future") ? TASK_FUTURE : !strcmp(kind, "worker") ? TASK_WORKER : TASK_CLOSURE;
		t->same = task_stats_type(s, sql_u64(st, 5));
		r = sql_dup(st, 2, &t->name);
		if (r < 0)
			return r;
	}
	return r;
}

u32 task_stats_type(const struct task_stats *s, u64 type_id)
{
	u32 lo = 1, hi = s->n_types;

	while (type_id && lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (s->types[mid].id == type_id)
			return mid;
		if (s->types[mid].id < type_id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return 0;
}

u32 task_stats_site(const struct task_stats *s, u64 site_id)
{
	u32 lo = 1, hi = s->n_sites;

	while (site_id && lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (s->sites[mid].id == site_id)
			return mid;
		if (s->sites[mid].id < site_id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return 0;
}

/* Two calls of spawn on one line are one place to people. */
#define SITES_SQL                                                                                                                \
	"SELECT id, file, function, line, CASE WHEN file IS NULL AND function IS NULL THEN id ELSE min(id) OVER "                \
	"(PARTITION BY coalesce(file, ''), coalesce(line, 0), CASE WHEN file IS NULL THEN function ELSE '' END) END "            \
	"FROM spawn_site ORDER BY id"

static int load_sites(sqlite3 *db, struct task_stats *s)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	size_t cap = 0;
	int r;

	r = ARRAY_ROOM(s->sites, 0, &cap);
	if (r == 0)
		r = sql_prepare(db, &st, SITES_SQL, NULL, 0);
	if (r < 0)
		return r;
	s->n_sites = 1;
	while ((r = db_step(st)) > 0) {
		struct task_site *t;

		r = ARRAY_ROOM(s->sites, s->n_sites, &cap);
		if (r < 0)
			return r;
		t = &s->sites[s->n_sites++];
		t->id = sql_u64(st, 0);
		t->line = sql_u64(st, 3);
		t->same = task_stats_site(s, sql_u64(st, 4));
		r = sql_dup(st, 1, &t->file);
		if (r == 0)
			r = sql_dup(st, 2, &t->function);
		if (r < 0)
			return r;
	}
	return r;
}

/* ---- tasks ---- */

static int key_compare(const struct task_stat *t, u64 runtime_id, u64 task_id)
{
	if (t->runtime_id != runtime_id)
		return t->runtime_id < runtime_id ? -1 : 1;
	return t->task_id < task_id ? -1 : t->task_id > task_id;
}

/* The first row that is not before (runtime, task). */
static size_t first_from(const struct task_stats *s, u64 runtime_id, u64 task_id)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (key_compare(&s->rows[mid], runtime_id, task_id) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct task_stat *task_stats_find_own(const struct task_stats *s, u64 runtime_id, u64 task_id)
{
	size_t at = first_from(s, runtime_id, task_id);

	return at < s->n && !key_compare(&s->rows[at], runtime_id, task_id) ? &s->rows[at] : NULL;
}

const struct task_stat *task_stats_find(const struct task_stats *s, u64 runtime_id, u64 task_id)
{
	const struct task_stat *ret = task_stats_find_own(s, runtime_id, task_id);
	size_t at = 0;

	if (ret || !task_id)
		return ret;
	while (at < s->n) {
		u64 id = s->rows[at].runtime_id;
		const struct task_stat *t = task_stats_find_own(s, id, task_id);

		if (t && ret)
			return NULL;
		ret = t ? t : ret;
		at = id < UINT64_MAX ? first_from(s, id + 1, 0) : s->n;
	}
	return ret;
}

/* ---- wakes ---- */

#define WAKES_SQL                                                                                                                \
	"SELECT runtime_id, task_id, delay FROM task_wake WHERE task_id IS NOT NULL AND ts BETWEEN ?1 AND ?2 "                   \
	"ORDER BY runtime_id, task_id, delay"

static int load_delays(sqlite3 *db, const struct capture_facts *f, struct task_stats *s)
{
	u64 binds[2] = {f->lo, f->hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	size_t at = 0, cap = 0;
	int r;

	r = sql_prepare(db, &st, WAKES_SQL, binds, 2);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		struct task_stat *t;

		while (at < s->n && key_compare(&s->rows[at], sql_u64(st, 0), sql_u64(st, 1)) < 0)
			at++;
		if (at == s->n)
			break;
		t = &s->rows[at];
		if (key_compare(t, sql_u64(st, 0), sql_u64(st, 1)) != 0)
			continue;
		t->wakes++;
		if (sql_is_null(st, 2))
			continue;
		r = ARRAY_ROOM(s->delays, s->n_delays, &cap);
		if (r < 0)
			return r;
		if (!t->n_delays++)
			t->first_delay = s->n_delays;
		t->max_delay = sql_u64(st, 2);
		s->delays[s->n_delays++] = t->max_delay;
	}
	return r < 0 ? r : 0;
}

static int exists(sqlite3 *db, const char *sql, bool *ret)
{
	u64 n;
	int r = sql_one_u64(db, sql, NULL, 0, &n);

	if (r == 0)
		*ret = n != 0;
	return r;
}

static int load_facts(sqlite3 *db, struct task_stats *s)
{
	int r = load_types(db, s);

	if (r == 0)
		r = load_sites(db, s);
	if (r == 0)
		r = exists(db, POLLS_KNOWN_SQL, &s->has_polls);
	if (r == 0)
		r = exists(db, "SELECT EXISTS (SELECT 1 FROM task_wake)", &s->has_wakes);
	return r < 0 ? r : exists(db, "SELECT EXISTS (SELECT 1 FROM _task)", &s->has_life);
}

static int open_tasks(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, struct task_stats *s,
		      struct task_reader *reader)
{
	int r = load_facts(db, s);

	return r < 0 ? r : task_reader_init(db, o, f, s, reader);
}

/* ---- all of them ---- */

static int load_tasks(struct task_reader *reader, struct task_stats *s)
{
	size_t cap = 0;
	struct task_stat t;
	int r;

	while ((r = task_reader_next(reader, &t)) > 0 && s->n < TASKS_MAX) {
		r = ARRAY_ROOM(s->rows, s->n, &cap);
		if (r < 0)
			return r;
		s->rows[s->n++] = t;
	}
	if (r < 0)
		return r;
	s->n_all = s->n;
	/* Of millions, the room for more would be hundreds of MB that was never used. */
	if (s->n) {
		struct task_stat *rows = reallocarray(s->rows, s->n, sizeof(*rows));

		s->rows = rows ? rows : s->rows;
	}
	return 0;
}

int task_stats_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, struct task_stats *ret)
{
	_cleanup_task_stats_ struct task_stats s = {0};
	_cleanup_task_reader_ struct task_reader reader = {0};
	int r = open_tasks(db, o, f, &s, &reader);

	if (r == 0)
		r = load_tasks(&reader, &s);
	if (r == 0 && s.has_wakes)
		r = load_delays(db, f, &s);
	if (r < 0)
		return r;
	*ret = s;
	s = (struct task_stats){0};
	return 0;
}

/* ---- those that cost most ---- */

int task_stat_cost_compare(const struct task_stat *x, const struct task_stat *y)
{
	int c = compare_u64(y->blocked, x->blocked);

	if (c == 0)
		c = compare_u64(y->busy, x->busy);
	return c ? c : compare_u64(x->nth, y->nth);
}

static int costly_first(const void *a, const void *b)
{
	return task_stat_cost_compare(a, b);
}

static int nth_compare(const void *a, const void *b)
{
	const struct task_stat *x = a, *y = b;

	return compare_u64(x->nth, y->nth);
}

static void keep_costly(struct task_stats *s, size_t max)
{
	if (s->n <= max)
		return;
	qsort(s->rows, s->n, sizeof(*s->rows), costly_first);
	s->n = max;
}

/* As many again as are kept come in before those that cost least go. */
static int load_costly(struct task_reader *reader, size_t max, bool idle_too, struct task_stats *s, u64 *ret_left)
{
	size_t cap = 0;
	u64 n = 0;
	struct task_stat t;
	int r;

	while ((r = task_reader_next(reader, &t)) > 0 && s->n_all < TASKS_MAX) {
		s->n_all++;
		if (s->types[t.type].nature == TASK_WORKER || (!idle_too && !t.polls && !t.busy))
			continue;
		n++;
		r = ARRAY_ROOM(s->rows, s->n, &cap);
		if (r < 0)
			return r;
		s->rows[s->n++] = t;
		if (s->n == 2 * max)
			keep_costly(s, max);
	}
	if (r < 0)
		return r;
	keep_costly(s, max);
	if (s->n)
		qsort(s->rows, s->n, sizeof(*s->rows), nth_compare);
	*ret_left = n - s->n;
	return 0;
}

int task_stats_load_costly(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, size_t max, bool idle_too,
			   struct task_stats *ret, u64 *ret_left)
{
	_cleanup_task_stats_ struct task_stats s = {0};
	_cleanup_task_reader_ struct task_reader reader = {0};
	int r = open_tasks(db, o, f, &s, &reader);

	if (r == 0)
		r = load_costly(&reader, max, idle_too, &s, ret_left);
	if (r < 0)
		return r;
	*ret = s;
	s = (struct task_stats){0};
	return 0;
}
