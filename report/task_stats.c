/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_stats.c: see task_stats.h. Tasks are read once, in order of (runtime, task); what polls, samples and wakes tell of them is read
 * in the same order and merged in one pass each, so that nothing is looked up.
 */
#include "report/task_stats.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "report/sqlrow.h"

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

static u32 find_site(const struct task_stats *s, u64 site_id)
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
		t->same = find_site(s, sql_u64(st, 4));
		r = sql_dup(st, 1, &t->file);
		if (r == 0)
			r = sql_dup(st, 2, &t->function);
		if (r < 0)
			return r;
	}
	return r;
}

/* ---- tasks ---- */

/* Those of the window; of a task whose spawn or end was not seen, what was seen of it may lie elsewhere. */
#define TASKS_SQL                                                                                                                \
	"SELECT runtime_id, task_id, type_id, site_id, ts_spawn, ts_end, ts_first, ts_last, spawned_by, spawned_from, "          \
	"alive_at_end FROM task WHERE coalesce(ts_spawn, 0) <= ?2 AND coalesce(ts_end, ?1) >= ?1 "                               \
	"ORDER BY runtime_id, task_id"

static int load_tasks(sqlite3 *db, const struct capture_facts *f, struct task_stats *s)
{
	u64 binds[2] = {f->lo, f->hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	size_t cap = 0;
	int r;

	r = sql_prepare(db, &st, TASKS_SQL, binds, 2);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0 && s->n < TASKS_MAX) {
		const char *from = sql_text(st, 9);
		struct task_stat *t;

		r = ARRAY_ROOM(s->rows, s->n, &cap);
		if (r < 0)
			return r;
		t = &s->rows[s->n++];
		*t = (struct task_stat){
			.runtime_id = sql_u64(st, 0),
			.task_id = sql_u64(st, 1),
			.type = task_stats_type(s, sql_u64(st, 2)),
			.site = find_site(s, sql_u64(st, 3)),
			.ts_spawn = sql_u64(st, 4),
			.ts_end = sql_u64(st, 5),
			.ts_first = sql_u64(st, 6),
			.ts_last = sql_u64(st, 7),
			.spawned_by = sql_u64(st, 8),
			.from = from ? *from : '\0',
			.alive = sql_is_null(st, 10) ? -1 : sql_u64(st, 10) != 0,
		};
	}
	if (r < 0)
		return r;
	/* Of millions, the room for more would be hundreds of MB that was never used. */
	if (s->n) {
		struct task_stat *rows = reallocarray(s->rows, s->n, sizeof(*rows));

		s->rows = rows ? rows : s->rows;
	}
	return 0;
}

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

static const struct task_stat *find_in(const struct task_stats *s, u64 runtime_id, u64 task_id)
{
	size_t at = first_from(s, runtime_id, task_id);

	return at < s->n && !key_compare(&s->rows[at], runtime_id, task_id) ? &s->rows[at] : NULL;
}

const struct task_stat *task_stats_find(const struct task_stats *s, u64 runtime_id, u64 task_id)
{
	const struct task_stat *ret = find_in(s, runtime_id, task_id);
	size_t at = 0;

	if (ret || !task_id)
		return ret;
	while (at < s->n) {
		u64 id = s->rows[at].runtime_id;
		const struct task_stat *t = find_in(s, id, task_id);

		if (t && ret)
			return NULL;
		ret = t ? t : ret;
		at = id < UINT64_MAX ? first_from(s, id + 1, 0) : s->n;
	}
	return ret;
}

/* ---- what polls, samples and wakes tell, each in order of (runtime, task) ---- */

typedef int (*merge_fn)(struct task_stats *s, struct task_stat *t, sqlite3_stmt *st);

static int merge(sqlite3 *db, const u64 binds[3], struct task_stats *s, const char *sql, merge_fn fn)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	size_t at = 0;
	int r;

	r = sql_prepare(db, &st, sql, binds, (u32)(strstr(sql, "?3") ? 3 : 2));
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		while (at < s->n && key_compare(&s->rows[at], sql_u64(st, 0), sql_u64(st, 1)) < 0)
			at++;
		if (at == s->n)
			break;
		if (key_compare(&s->rows[at], sql_u64(st, 0), sql_u64(st, 1)) != 0)
			continue;
		r = fn(s, &s->rows[at], st);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : 0;
}

/* Of a poll that crosses an edge of the window, the share within; whether it is one poll (classified) matters for the longest only. */
#define CAUGHT_SQL                                                                                                                   \
	"SELECT runtime_id, task_id, CAST(total(off_cpu * share) AS INTEGER), CAST(total(runnable * share) AS INTEGER), count(*), "  \
	"max(CASE WHEN classified THEN dur ELSE 0 END), CAST(total(dur * share) AS INTEGER) FROM (SELECT *, CASE WHEN dur = 0 THEN " \
	"0.0 ELSE 1.0 * max(0, min(ts + dur + stopped, ?2) - max(ts, ?1)) / (dur + stopped) END AS share FROM poll "                 \
	"WHERE task_id IS NOT NULL AND ts <= ?2 AND ts + dur + stopped >= ?1) GROUP BY runtime_id, task_id ORDER BY runtime_id, task_id"

static int add_caught(struct task_stats *s, struct task_stat *t, sqlite3_stmt *st)
{
	(void)s;
	t->waited = sql_u64(st, 2);
	t->busy = sql_u64(st, 2) + sql_u64(st, 3); /* executing is added by samples */
	t->polls = sql_u64(st, 4);
	t->longest = sql_u64(st, 5);
	t->first_delay = sql_u64(st, 6); /* lent, until the samples are known: a lower bound of busy */
	return 0;
}

/* As the report of blocked polls lists them (BLOCKS_CTE). */
#define BLOCKS_SQL                                                                                                               \
	"SELECT runtime_id, task_id, count(*), CAST(total(max(0, min(ts + dur, ?2) - max(ts, ?1))) AS INTEGER) FROM blocking WHERE task_id IS NOT NULL AND dur_max >= ?3 AND held >= ?3 AND ts <= ?2 AND ts + dur >= ?1 GROUP BY runtime_id, task_id ORDER BY runtime_id, task_id"

static int add_blocks(struct task_stats *s, struct task_stat *t, sqlite3_stmt *st)
{
	(void)s;
	t->blocks = sql_u64(st, 2);
	t->blocked = sql_u64(st, 3);
	return 0;
}

#define SAMPLES_SQL                                                                                                                 \
	"SELECT runtime_id, task_id, count(*) FROM sample WHERE role = 'in_poll' AND task_id IS NOT NULL AND ts BETWEEN ?1 AND ?2 " \
	"GROUP BY runtime_id, task_id ORDER BY runtime_id, task_id"

static int add_samples(struct task_stats *s, struct task_stat *t, sqlite3_stmt *st)
{
	(void)s;
	t->samples = sql_u64(st, 2);
	return 0;
}

#define POLLS_SQL                                                                                                                                      \
	"SELECT runtime_id, task_id, count(*) FILTER (WHERE ts >= ?1), CAST(total(max(0, min(ts + coalesce(dur, 0), ?2) - max(ts, ?1))) AS INTEGER), " \
	"max(coalesce(dur, 0)) FROM task_poll WHERE task_id IS NOT NULL AND ts <= ?2 AND ts + coalesce(dur, 0) >= ?1 "                                 \
	"GROUP BY runtime_id, task_id ORDER BY runtime_id, task_id"

static int add_polls(struct task_stats *s, struct task_stat *t, sqlite3_stmt *st)
{
	(void)s;
	t->polls = sql_u64(st, 2);
	/* A poll whose end was not seen, because it is still open, is known by what was caught of it. */
	t->busy = max_u64(sql_u64(st, 3), t->waited);
	t->longest = max_u64(sql_u64(st, 4), t->longest);
	return 0;
}

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

/*
 * Time in polls: exact where every poll was recorded. Else the waits are known (every switch is), and what was executed is estimated by
 * samples; never less than what was proven.
 */
static void estimate_busy(struct task_stats *s, u64 period)
{
	for (size_t i = 0; i < s->n; i++) {
		struct task_stat *t = &s->rows[i];

		if (!s->has_polls)
			t->busy = max_u64(t->busy + t->samples * period, t->first_delay);
		t->first_delay = 0;
	}
}

int task_stats_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, struct task_stats *ret)
{
	_cleanup_task_stats_ struct task_stats s = {0};
	u64 binds[3] = {f->lo, f->hi, o->min_ns};
	int r;

	r = load_types(db, &s);
	if (r == 0)
		r = load_sites(db, &s);
	if (r == 0)
		r = load_tasks(db, f, &s);
	if (r == 0)
		r = exists(db, POLLS_KNOWN_SQL, &s.has_polls);
	if (r == 0)
		r = exists(db, "SELECT EXISTS (SELECT 1 FROM task_wake)", &s.has_wakes);
	if (r == 0)
		r = exists(db, "SELECT EXISTS (SELECT 1 FROM _task)", &s.has_life);
	if (r == 0)
		r = merge(db, binds, &s, CAUGHT_SQL, add_caught);
	if (r == 0)
		r = merge(db, binds, &s, BLOCKS_SQL, add_blocks);
	if (r == 0)
		r = merge(db, binds, &s, SAMPLES_SQL, add_samples);
	if (r < 0)
		return r;
	estimate_busy(&s, f->sample_period);
	if (s.has_polls)
		r = merge(db, binds, &s, POLLS_SQL, add_polls);
	if (r == 0 && s.has_wakes)
		r = load_delays(db, f, &s);
	if (r < 0)
		return r;
	*ret = s;
	s = (struct task_stats){0};
	return 0;
}
