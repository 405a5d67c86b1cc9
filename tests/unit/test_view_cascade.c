/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_view_cascade.c: one block and its chain: order, depth, whom each woke, and what is said when wakes, or polls, were not recorded. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "report/view_text.h"
#include "report_fixture.h"

static s64 step(sqlite3 *db, const char *json, u32 n, const char *key)
{
	char sql[96];

	(void)snprintf(sql, sizeof(sql), "SELECT json_extract(?1, '$.steps[%u].%s')", n, key);
	return fixture_s64(db, sql, json);
}

static void test_chain(void **state)
{
	static const struct {
		u64 task, level, by;
	} want[] = {{31, 0, 30}, {61, 1, 31}, {44, 0, 0}, {60, 1, 44}, {45, 0, 0}};
	sqlite3 *db = fixture_open_tasks();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *json = fixture_run(db, view_cascade_json, &o), *text = fixture_run(db, view_cascade, &o),
			    *few = NULL;

	(void)state;
	assert_int_equal(fixture_s64(db, "SELECT json_valid(?1)", json), 1);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.block.poll_id')", json), 1);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.known_by') = 'wakes'", json), 1);
	assert_int_equal(fixture_s64(db, "SELECT json_array_length(?1, '$.steps')", json), ARRAY_SIZE(want));
	for (u32 i = 0; i < ARRAY_SIZE(want); i++) {
		assert_int_equal(step(db, json, i, "task_id"), want[i].task);
		assert_int_equal(step(db, json, i, "level"), want[i].level);
		assert_int_equal(step(db, json, i, "waker_task"), want[i].by);
		assert_true(step(db, json, i, "ran") >= step(db, json, i, "ready"));
	}
	/* The one woken last on the thread stood in the LIFO slot; another worker took 44. */
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.steps[0].place') = 'lifo'", json), 1);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.steps[2].place') = 'taken'", json), 1);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.steps[4].place') = 'local'", json), 1);
	assert_int_equal(step(db, json, 0, "ran"), 1003664300000);
	assert_int_equal(step(db, json, 0, "ran_for"), 1200000);
	assert_int_equal(step(db, json, 2, "worker"), 0);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.delayed_total')", json),
			 fixture_s64(db, "SELECT sum(delayed) FROM block_victim", NULL));
	assert_non_null(strstr(text, "LONGEST  450.21 ms  sleep (clock_nanosleep)   worker 1"));
	assert_non_null(strstr(text, "    at       process_large_file  src/api.rs:142\n"));
	assert_non_null(strstr(text, "\n    task 61 "));
	assert_non_null(strstr(text, "+3.664300 s    1.2 ms  worker 1"));
	assert_non_null(strstr(text, "\n  LIFO slot: woken last on that worker"));
	assert_null(strstr(text, "There are more"));
	o.top = 2;
	few = fixture_run(db, view_cascade, &o);
	assert_non_null(strstr(few, "There are more: --top 0"));
	fixture_close(db);
}

/* Of the tasks that waited the one made ready last was in the slot; a single one tells nothing by its order, but the slot was read. */
static void test_lifo_slot(void **state)
{
	static const struct {
		const char *change, *places;
	} cases[] = {
		{"UPDATE _task_poll SET ts = ts - 80000 WHERE ts = 1003664300000", "lifo,taken,local"},
		/* 45 ran before it: it was at the queue's head, and so the slot was empty */
		{"UPDATE _task_poll SET ts = 1003664250000 WHERE ts = 1003665600000", "local,local,taken"},
		/* 45 was spawned last, and ran behind 31: nobody was in the slot */
		{"UPDATE block_victim SET ts = 1003300000000, wake_id = NULL WHERE task_row = (SELECT id FROM _task WHERE task_id = 45)",
		 "local,taken,local"},
		/* 45 is made ready last by another thread: that is no business of this worker's slot */
		{"UPDATE block_victim SET ts = 1003300000000, thread_id = 4 WHERE task_row = (SELECT id FROM _task WHERE task_id = 45)",
		 "lifo,taken,-"},
		/* one of its victims has no row */
		{"UPDATE poll SET victims = 4 WHERE id = 1", "-,taken,local"},
		/* one alone, that was there when the slot was read */
		{"DELETE FROM block_victim WHERE task_row = (SELECT id FROM _task WHERE task_id = 45); UPDATE poll SET victims = 2, lifo = 1 WHERE id = 1",
		 "lifo,taken"},
		{"UPDATE poll SET lifo = 0 WHERE id = 1", "local,taken"},
		/* one alone, that was woken later: what was read at the end holds */
		{"UPDATE block_victim SET ts = 1003300000000 WHERE task_row = (SELECT id FROM _task WHERE task_id = 31)",
		 "lifo,taken"},
		{"UPDATE poll SET lifo_end = 0 WHERE id = 1", "-,taken"},
	};
	sqlite3 *db = NULL;
	struct report_opts o = fixture_opts(120);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *json = NULL, *sql = NULL;

		if (i < 6) { /* those behind go on from there */
			if (db)
				fixture_close(db);
			db = fixture_open_tasks();
		}
		fixture_exec(db, cases[i].change);
		json = fixture_run(db, view_cascade_json, &o);
		assert_true(asprintf(&sql,
				     "SELECT group_concat(coalesce(json_extract(value, '$.place'), '-')) = '%s' FROM "
				     "json_each(?1, '$.steps') WHERE json_extract(value, '$.level') = 0",
				     cases[i].places) > 0);
		if (fixture_s64(db, sql, json) != 1)
			fail_msg("case %zu is not %s: %s", i, cases[i].places, strstr(json, "\"steps\""));
	}
	fixture_close(db);
}

/* N is the number that --blocking prints with the same options. */
static void test_number(void **state)
{
	sqlite3 *db = fixture_open_tasks();
	struct report_opts o = fixture_opts(120);

	(void)state;
	for (u64 n = 1; n <= 3; n++) {
		_cleanup_free_ char *blocking = NULL, *text = NULL;
		char title[8];
		const char *at, *there;

		o.block = 0;
		blocking = fixture_run(db, view_blocking, &o);
		o.block = n;
		text = fixture_run(db, view_cascade, &o);
		(void)snprintf(title, sizeof(title), "\n#%llu ", (unsigned long long)n);
		at = strstr(blocking, title);
		there = strstr(text, title);
		assert_non_null(at);
		assert_non_null(there);
		assert_int_equal(strncmp(at, there, strcspn(at + 1, "\n") + 1), 0);
	}
	o.block = 99;
	{
		_cleanup_free_ char *none = fixture_run(db, view_cascade, &o), *json = fixture_run(db, view_cascade_json, &o);

		assert_non_null(strstr(none, "There is no block number 99"));
		assert_int_equal(fixture_s64(db, "SELECT json_type(?1, '$.block') = 'null'", json), 1);
	}
	fixture_close(db);
}

static void test_less_known(void **state)
{
	sqlite3 *db = fixture_open_tasks(), *plain = fixture_open(), *empty = fixture_open_empty();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *part = NULL, *next = NULL, *queues = fixture_run(plain, view_cascade, &o),
			    *none = fixture_run(empty, view_cascade, &o);

	(void)state;
	fixture_exec(db, "UPDATE poll SET victims = NULL");
	part = fixture_run(db, view_cascade, &o);
	assert_non_null(strstr(part, "Not every wake about it was recorded"));
	assert_non_null(strstr(part, "  task 31  orders::api::handle_upload"));
	fixture_exec(db, "DELETE FROM _task_wake; DELETE FROM block_victim");
	next = fixture_run(db, view_cascade, &o);
	assert_non_null(strstr(next, "WHAT ITS THREAD POLLED NEXT"));
	assert_non_null(strstr(next, "at its end 1 in the LIFO slot, 220"));
	assert_non_null(strstr(queues, ">= 200 queued at its start (1 in the LIFO slot, 199 local)"));
	assert_non_null(strstr(queues, "ascope record --wakes tells each of them"));
	assert_non_null(strstr(none, "No poll blocked for 10 ms or longer"));
	fixture_close(db);
	fixture_close(plain);
	fixture_close(empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_lifo_slot),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_less_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
