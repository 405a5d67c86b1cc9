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
	assert_null(strstr(text, "There are more"));
	o.top = 2;
	few = fixture_run(db, view_cascade, &o);
	assert_non_null(strstr(few, "There are more: --top 0"));
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
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_less_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
