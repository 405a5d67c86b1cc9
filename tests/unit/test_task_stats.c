/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_task_stats.c: tasks as they are read one by one: against view task and table poll, those that cost most against all, and ids that are alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "report/task_stats.h"
#include "report_fixture.h"

/* 400 tasks of different cost, many alike, a second process, tasks of LocalSets in both with one id, and ids that only damage makes. */
static const char many_sql[] =
	"INSERT INTO process VALUES (2, 24100, 24100, 0, 'other', '/srv/other', 990000000000, NULL, '/');"
	"INSERT INTO thread (id, process_id, tid, ns_tid, name, ts_start) VALUES (900, 2, 24100, 24100, 'other', 990000000000);"
	"CREATE TEMP TABLE extra (ts, dur, thread, runtime, task, off);"
	"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)"
	" INSERT INTO extra SELECT 1020000000000 + i * 1000000, 1000 + i * 7919 % 101 * 300000, 2, 1, 1000 + i % 350, i % 3 FROM n;"
	"INSERT INTO extra VALUES (1021000000000, 500, 2, NULL, 7, 1), (1021000000000, 900, 900, NULL, 7, 1), (1022000000000, 10, 2, 1, -5, 1),"
	" (1022000001000, 20, 2, 1, -6, 1);"
	"INSERT INTO poll (ts, dur, dur_min, dur_max, off_cpu, on_cpu, runnable, waits, samples, class, rule, holds, thread_id, runtime_id, task_id,"
	" joined_by, classified, state) SELECT ts, dur, dur, dur, dur * off / 2, 0, dur - dur * off / 2, 1, 0, 'other', 'none', 'runtime', thread,"
	" runtime, task, 'tick', off > 0, 'complete' FROM extra;";

static void load(sqlite3 *db, u64 from, u64 to, size_t max, struct task_stats *ret, u64 *left)
{
	struct report_opts o = fixture_opts(120);
	_cleanup_facts_ struct capture_facts f = {0};

	o.from_ns = from;
	o.to_ns = to;
	assert_int_equal(capture_facts_load(db, &o, &f), 0);
	if (max)
		assert_int_equal(task_stats_load_costly(db, &o, &f, max, false, ret, left), 0);
	else
		assert_int_equal(task_stats_load(db, &o, &f, ret), 0);
}

static bool costs_more(const struct task_stat *a, const struct task_stat *b)
{
	if (a->blocked != b->blocked)
		return a->blocked > b->blocked;
	return a->busy != b->busy ? a->busy > b->busy : a->nth < b->nth;
}

/* The `max` that cost most are those of all, in their order; none that is left out costs more. */
static void check_costly(sqlite3 *db, const struct task_stats *all, size_t max)
{
	_cleanup_task_stats_ struct task_stats top = {0};
	const struct task_stat *least = NULL;
	u64 left = 0, could = 0;
	size_t at = 0;

	load(db, 0, 0, max, &top, &left);
	assert_int_equal(top.n_all, all->n);
	for (size_t i = 0; i < top.n; i++) {
		const struct task_stat *t = &top.rows[i], *same = &all->rows[t->nth];

		assert_true(i == 0 || t->nth > top.rows[i - 1].nth);
		assert_true(t->runtime_id == same->runtime_id && t->task_id == same->task_id && t->type == same->type &&
			    t->site == same->site && t->busy == same->busy && t->waited == same->waited &&
			    t->blocked == same->blocked && t->polls == same->polls && t->longest == same->longest);
		if (!least || costs_more(least, t))
			least = t;
	}
	for (size_t i = 0; i < all->n; i++) {
		const struct task_stat *t = &all->rows[i];
		bool kept = at < top.n && top.rows[at].nth == i,
		     can = (t->polls || t->busy) && all->types[t->type].nature != TASK_WORKER;

		could += can;
		at += kept;
		assert_true(!kept || can);
		if (can && !kept)
			assert_true(costs_more(least, t));
	}
	assert_int_equal(at, top.n);
	assert_int_equal(top.n, min_u64(max, could));
	assert_int_equal(left, could - top.n);
}

static void test_costly(void **state)
{
	static const size_t most[] = {1, 7, 100, 349, 350, 100000};

	(void)state;
	for (u32 with_life = 0; with_life < 2; with_life++) {
		sqlite3 *db = with_life ? fixture_open_tasks() : fixture_open();
		_cleanup_task_stats_ struct task_stats all = {0};

		fixture_exec(db, many_sql);
		load(db, 0, 0, 0, &all, NULL);
		assert_int_equal(all.has_polls, with_life);
		assert_int_equal(all.n, fixture_s64(db, "SELECT count(*) FROM task", NULL));
		assert_int_equal(all.n_all, all.n);
		for (size_t i = 0; i < all.n; i++)
			assert_int_equal(all.rows[i].nth, i);
		for (size_t i = 0; i < ARRAY_SIZE(most); i++)
			check_costly(db, &all, most[i]);
		fixture_close(db);
	}
}

static void test_sums(void **state)
{
	sqlite3 *db = fixture_open();
	_cleanup_task_stats_ struct task_stats all = {0}, part = {0};
	u64 polls = 0, waited = 0, samples = 0, local = 0, lengths = 0;

	(void)state;
	fixture_exec(db, many_sql);
	load(db, 0, 0, 0, &all, NULL);
	for (size_t i = 0; i < all.n; i++) {
		polls += all.rows[i].polls;
		waited += all.rows[i].waited;
		samples += all.rows[i].samples;
		if (all.rows[i].runtime_id || all.rows[i].task_id != 7)
			continue;
		local++;
		lengths += all.rows[i].longest;
	}
	assert_int_equal(polls, fixture_s64(db, "SELECT count(*) FROM poll WHERE task_id IS NOT NULL", NULL));
	assert_int_equal(waited, fixture_s64(db, "SELECT sum(off_cpu) FROM poll WHERE task_id IS NOT NULL", NULL));
	assert_int_equal(samples,
			 fixture_s64(db, "SELECT count(*) FROM sample WHERE role = 'in_poll' AND task_id IS NOT NULL", NULL));
	/* Tasks of LocalSets of two processes: two, though their ids are alike. */
	assert_int_equal(local, 2);
	assert_int_equal(lengths, 1400);
	/* 9 ms of it: polls cross both edges. */
	load(db, 20005000000, 20014000000, 0, &part, NULL);
	polls = waited = 0;
	for (size_t i = 0; i < part.n; i++) {
		polls += part.rows[i].polls;
		waited += part.rows[i].waited;
	}
	assert_int_equal(polls,
			 fixture_s64(db,
				     "SELECT count(*) FROM poll WHERE task_id IS NOT NULL AND ts <= 1020014000000 AND ts + dur + "
				     "stopped >= 1020005000000",
				     NULL));
	assert_true(polls > 5);
	/* Each task's sum is cut to whole ns. */
	assert_in_range(
		fixture_s64(
			db,
			"SELECT CAST(total(1.0 * off_cpu * (min(ts + dur + stopped, 1020014000000) - max(ts, 1020005000000)) / "
			"(dur + stopped)) AS INTEGER) FROM poll WHERE task_id IS NOT NULL AND ts <= 1020014000000 AND ts + dur "
			"+ stopped >= 1020005000000",
			NULL) -
			(s64)waited,
		0, part.n);
	fixture_close(db);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_costly),
		cmocka_unit_test(test_sums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
