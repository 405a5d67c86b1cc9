/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_reader.c: see task_reader.h. All that tells of a task is sorted once, and added up as it comes by: of two views that each sort the same polls and samples
 * the second one cost as much as the rest of an export.
 */
#include "report/task_reader.h"

#include <errno.h>

#include "report/sqlrow.h"

/* The order of tasks; tasks of LocalSets and closures are of no runtime, and told apart by their process. */
#define TASK_KEY "CASE WHEN owner > 0 THEN owner ELSE 0 END, task_id, owner"

enum { SEEN_POLL, SEEN_SAMPLE, SEEN_TASK };
enum {
	COL_RUNTIME,
	COL_TASK,
	COL_OWNER,
	COL_WHAT,

	COL_TS,
	COL_DUR,
	COL_STOPPED,
	COL_OFF_CPU,
	COL_RUNNABLE,
	COL_CLASSIFIED,

	COL_IN_POLL = COL_DUR,
	COL_NAMED,

	COL_ROW = COL_TS,
	COL_TYPE,
	COL_SITE,
	COL_SPAWN,
	COL_END,
	COL_BY,
	COL_FROM,
	COL_AT_START,
};

/*
 * What makes a task, as in view task: a poll, a sample of a poll without row, or a row of its own. A sample of a poll that has a row only counts. The cross join is
 * for the order: samples are many, their kinds few.
 */
#define SEEN_SQL                                                                                                                  \
	"SELECT " TASK_KEY ", what, a, b, c, d, e, f, g, h FROM ("                                                                \
	"SELECT coalesce(p.runtime_id, -(SELECT t.process_id FROM thread AS t WHERE t.id = p.thread_id)) AS owner, p.task_id AS " \
	"task_id, 0 AS what, p.ts AS a, p.dur AS b, p.stopped AS c, p.off_cpu AS d, p.runnable AS e, p.classified AS f, NULL AS " \
	"g, NULL AS h FROM poll AS p WHERE p.task_id IS NOT NULL "                                                                \
	"UNION ALL "                                                                                                              \
	"SELECT coalesce(s.runtime_id, p.runtime_id, -(SELECT t.process_id FROM thread AS t WHERE t.id = s.thread_id)), "         \
	"coalesce(s.task_id, p.task_id), 1, s.ts, k.role = 'in_poll', s.task_id IS NOT NULL, NULL, NULL, NULL, NULL, NULL FROM "  \
	"_sample AS s CROSS JOIN _sample_kind AS k ON k.id = s.kind_id LEFT JOIN poll AS p ON p.id = s.poll_id WHERE "            \
	"coalesce(s.task_id, p.task_id) IS NOT NULL "                                                                             \
	"UNION ALL "                                                                                                              \
	"SELECT owner, task_id, 2, id, type_id, site_id, ts_spawn, ts_end, spawned_by, spawned_from, alive_at_start FROM _task) " \
	"ORDER BY " TASK_KEY

/* As the report of blocked polls lists them (BLOCKS_CTE). */
#define BLOCKS_SQL                                                                                                               \
	"SELECT " TASK_KEY ", count(*), CAST(total(part) AS INTEGER) FROM (SELECT coalesce(b.runtime_id, -(SELECT t.process_id " \
	"FROM poll AS p JOIN thread AS t ON t.id = p.thread_id WHERE p.id = b.poll_id)) AS owner, b.task_id AS task_id, "        \
	"max(0, min(b.ts + b.dur, ?2) - max(b.ts, ?1)) AS part FROM blocking AS b WHERE b.task_id IS NOT NULL AND "              \
	"b.dur_max >= ?3 AND b.held >= ?3 AND b.ts <= ?2 AND b.ts + b.dur >= ?1) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"

/* Every poll, where all were recorded. */
#define POLLS_SQL                                                                                                                \
	"SELECT CASE WHEN t.owner > 0 THEN t.owner ELSE 0 END, t.task_id, t.owner, count(*) FILTER (WHERE p.ts >= ?1), "         \
	"CAST(total(max(0, min(p.ts + coalesce(p.dur, 0), ?2) - max(p.ts, ?1))) AS INTEGER), max(coalesce(p.dur, 0)) FROM "      \
	"_task_poll AS p CROSS JOIN _task AS t ON t.id = p.task_row WHERE p.ts <= ?2 AND p.ts + coalesce(p.dur, 0) >= ?1 "       \
	"GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"

static int feed_next(struct task_feed *f)
{
	int r = db_step(f->st);

	f->has = r > 0;
	return r < 0 ? r : 0;
}

static int feed_init(sqlite3 *db, const char *sql, const u64 *binds, u32 n, struct task_feed *ret)
{
	int r = sql_prepare(db, &ret->st, sql, binds, n);

	return r < 0 ? r : feed_next(ret);
}

int task_reader_init(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, const struct task_stats *s,
		     struct task_reader *ret)
{
	u64 binds[3] = {f->lo, f->hi, o->min_ns};
	int r;

	*ret = (struct task_reader){.s = s, .lo = f->lo, .hi = f->hi, .period = f->sample_period};
	r = feed_init(db, SEEN_SQL, NULL, 0, &ret->seen);
	if (r == 0)
		r = feed_init(db, BLOCKS_SQL, binds, 3, &ret->blocks);
	if (r == 0 && s->has_polls)
		r = feed_init(db, POLLS_SQL, binds, 2, &ret->polls);
	return r;
}

void task_reader_release(struct task_reader *r)
{
	(void)sqlite3_finalize(r->seen.st);
	(void)sqlite3_finalize(r->blocks.st);
	(void)sqlite3_finalize(r->polls.st);
	*r = (struct task_reader){0};
}

/* ---- one task ---- */

/* As SQL has them, so that damaged numbers, which may be negative, are told apart. */
struct task_key {
	s64 runtime_id, task_id, owner; /* owner 0: not known */
};

static struct task_key feed_key(const struct task_feed *f)
{
	return (struct task_key){sqlite3_column_int64(f->st, COL_RUNTIME), sqlite3_column_int64(f->st, COL_TASK),
				 sqlite3_column_int64(f->st, COL_OWNER)};
}

static int compare_s64(s64 a, s64 b)
{
	return (a > b) - (a < b);
}

/* The order of TASK_KEY; an owner that is not known sorts first, and no other is 0. */
static int key_compare(const struct task_key *a, const struct task_key *b)
{
	int c = compare_s64(a->runtime_id, b->runtime_id);

	if (c == 0)
		c = compare_s64(a->task_id, b->task_id);
	if (c != 0 || a->owner == b->owner)
		return c;
	if (!a->owner || !b->owner)
		return a->owner ? 1 : -1;
	return compare_s64(a->owner, b->owner);
}

/* 1: the feed is at a row of this task; what is of tasks before it is passed over. */
static int feed_at(struct task_feed *f, const struct task_key *key)
{
	while (f->has) {
		const struct task_key at = feed_key(f);
		int c = key_compare(&at, key), r;

		if (c >= 0)
			return c == 0;
		r = feed_next(f);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A task while it is added up. */
struct task_sum {
	struct task_stat t;
	bool known; /* more was seen of it than samples of polls */
	u64 row;    /* the latest of its rows in _task */
	double waited, runnable, proven;
};

/* Of a poll that crosses an edge of the window, the share within; whether it is one poll (classified) matters for the longest only. */
static void add_poll(const struct task_reader *r, struct task_sum *s)
{
	sqlite3_stmt *st = r->seen.st;
	u64 ts = sql_u64(st, COL_TS), dur = sql_u64(st, COL_DUR), length = dur + sql_u64(st, COL_STOPPED), end = ts + length;
	u64 from = max_u64(ts, r->lo), to = min_u64(end, r->hi);
	double share = dur && to > from ? 1.0 * (double)(to - from) / (double)length : 0;

	s->known = true;
	if (ts > r->hi || end < r->lo)
		return;
	s->t.polls++;
	if (sql_u64(st, COL_CLASSIFIED))
		s->t.longest = max_u64(s->t.longest, dur);
	s->waited += (double)sql_u64(st, COL_OFF_CPU) * share;
	s->runnable += (double)sql_u64(st, COL_RUNNABLE) * share;
	s->proven += (double)dur * share;
}

static void add_sample(const struct task_reader *r, struct task_sum *s)
{
	sqlite3_stmt *st = r->seen.st;
	u64 ts = sql_u64(st, COL_TS);

	s->known = s->known || sql_u64(st, COL_NAMED) != 0;
	s->t.samples += sql_u64(st, COL_IN_POLL) && ts >= r->lo && ts <= r->hi;
}

static void add_row(const struct task_reader *r, struct task_sum *s)
{
	sqlite3_stmt *st = r->seen.st;
	const char *from = sql_text(st, COL_FROM);

	if (s->row && s->row >= sql_u64(st, COL_ROW))
		return;
	s->known = true;
	s->row = sql_u64(st, COL_ROW);
	s->t.type = task_stats_type(r->s, sql_u64(st, COL_TYPE));
	s->t.site = task_stats_site(r->s, sql_u64(st, COL_SITE));
	s->t.ts_spawn = sql_u64(st, COL_SPAWN);
	s->t.ts_end = sql_u64(st, COL_END);
	s->t.spawned_by = sql_u64(st, COL_BY);
	s->t.from = from ? *from : '\0';
	s->t.alive = -1;
	if (!sql_is_null(st, COL_END))
		s->t.alive = 0;
	else if (!sql_is_null(st, COL_SPAWN) || sql_u64(st, COL_AT_START) == 1)
		s->t.alive = 1;
}

/* As CAST(total() AS INTEGER) in SQL. */
static u64 whole(double v)
{
	return v < (double)INT64_MAX ? (u64)v : (u64)INT64_MAX;
}

/*
 * Time in polls: exact where every poll was recorded. Else the waits are known (every switch is), and what was executed is estimated by
 * samples; never less than what was proven.
 */
static int add_times(struct task_reader *r, struct task_sum *s, const struct task_key *key)
{
	struct task_stat *t = &s->t;
	int found = feed_at(&r->blocks, key);

	if (found > 0) {
		t->blocks = sql_u64(r->blocks.st, 3);
		t->blocked = sql_u64(r->blocks.st, 4);
	}
	t->waited = whole(s->waited);
	t->busy = t->waited + whole(s->runnable);
	if (found < 0)
		return found;
	if (!r->s->has_polls) {
		t->busy = max_u64(t->busy + t->samples * r->period, whole(s->proven));
		return 0;
	}
	found = feed_at(&r->polls, key);
	if (found <= 0)
		return found;
	t->polls = sql_u64(r->polls.st, 3);
	/* A poll whose end was not seen, because it is still open, is known by what was caught of it. */
	t->busy = max_u64(sql_u64(r->polls.st, 4), t->waited);
	t->longest = max_u64(sql_u64(r->polls.st, 5), t->longest);
	return 0;
}

static int sum_task(struct task_reader *r, struct task_sum *ret)
{
	const struct task_key key = feed_key(&r->seen);
	struct task_key at = key;
	int err = 0;

	*ret = (struct task_sum){
		.t = {.runtime_id = sql_u64(r->seen.st, COL_RUNTIME), .task_id = sql_u64(r->seen.st, COL_TASK), .alive = -1}};
	while (r->seen.has && key_compare(&at, &key) == 0) {
		u64 what = sql_u64(r->seen.st, COL_WHAT);

		if (what == SEEN_POLL)
			add_poll(r, ret);
		else if (what == SEEN_SAMPLE)
			add_sample(r, ret);
		else
			add_row(r, ret);
		err = feed_next(&r->seen);
		if (err < 0)
			return err;
		if (r->seen.has)
			at = feed_key(&r->seen);
	}
	return add_times(r, ret, &key);
}

int task_reader_next(struct task_reader *r, struct task_stat *ret)
{
	while (r->seen.has) {
		struct task_sum s;
		int err = sum_task(r, &s);

		if (err < 0)
			return err;
		/* Of a task whose spawn or end was not seen, what was seen of it may lie outside the window. */
		if (!s.known || s.t.ts_spawn > r->hi || (s.t.alive == 0 && s.t.ts_end < r->lo))
			continue;
		*ret = s.t;
		ret->nth = r->n++;
		return 1;
	}
	return 0;
}
