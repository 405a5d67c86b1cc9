/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_view_workers.c: parts of a thread's time add up, exact polls tell what was executed, moves of tasks between workers are counted once. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "report/view_text.h"
#include "report_fixture.h"

#define WORKERS "json_each(?1, '$.runtimes') AS r, json_each(r.value, '$.workers') AS t"

static void test_parts(void **state)
{
	sqlite3 *db = fixture_open_tasks();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *json = fixture_run(db, view_workers_json, &o);

	(void)state;
	assert_int_equal(fixture_s64(db, "SELECT json_valid(?1)", json), 1);
	assert_int_equal(fixture_s64(db, "SELECT count(*) FROM " WORKERS, json), 5);
	assert_int_equal(
		fixture_s64(
			db,
			"SELECT count(*) FROM " WORKERS
			" WHERE json_extract(t.value, '$.wall') <> json_extract(t.value, '$.on_cpu') + json_extract(t.value, '$.blocked') + "
			"json_extract(t.value, '$.runnable') + json_extract(t.value, '$.parked') + json_extract(t.value, '$.idle') + json_extract(t.value, '$.other')",
			json),
		0);
	assert_int_equal(
		fixture_s64(
			db,
			"SELECT count(*) FROM " WORKERS
			" WHERE json_extract(t.value, '$.on_cpu') <> json_extract(t.value, '$.in_polls') + json_extract(t.value, "
			"'$.scheduling')",
			json),
		0);
	/* Worker 2: its polls, without what they waited or were ready in. */
	assert_int_equal(
		fixture_s64(db,
			    "SELECT json_extract(t.value, '$.in_polls') FROM " WORKERS
			    " WHERE json_extract(t.value, '$.tid') = 24039",
			    json),
		fixture_s64(
			db,
			"SELECT (SELECT sum(dur) FROM _task_poll WHERE thread_id = 4) - (SELECT sum(off_cpu + runnable) FROM poll WHERE thread_id = 4 AND id NOT IN (19))",
			NULL));
	/* Task 44 was woken on worker 1 and polled on worker 0; 61 on worker 1, and polled on worker 2. */
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.runtimes[0].moved')", json), 2);
	assert_int_equal(fixture_s64(db,
				     "SELECT json_extract(t.value, '$.moved_away') FROM " WORKERS
				     " WHERE json_extract(t.value, '$.tid') = 24038",
				     json),
			 2);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.runtimes[0].woken')", json),
			 fixture_s64(db, "SELECT count(delay) FROM _task_wake", NULL));
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.runtimes[0].driver_stalled')", json), 881150000);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.runtimes[0].lifo_blocks')", json), 3);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.blocking_pool[0].tid')", json), 24041);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.block_on[0].tid')", json), 24036);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.no_runtime[0].tid')", json), 24043);
	fixture_close(db);
}

static void test_text(void **state)
{
	static const char *const words[] = {
		"RUNTIME 1  tokio 1.53.1  multi_thread  pid 24036   share of 30.0 s",
		"worker 1 was busy for 12.7 s, 1.01 times the mean of 12.5 s",
		"3 blocked polls (615.5 ms) kept a task in the LIFO slot waiting, which no other worker can take",
		"stood still in 2 blocked polls, 881.2 ms of their time",
		"tasks woken on a worker were polled by another one",
		"BLOCKING POOL",
		"BLOCK_ON",
	};
	sqlite3 *db = fixture_open_tasks(), *plain = fixture_open(), *empty = fixture_open_empty();
	struct report_opts o = fixture_opts(160);
	_cleanup_free_ char *text = fixture_run(db, view_workers, &o), *by_samples = NULL, *none = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strstr(text, words[i]))
			fail_msg("not in the report: %s\n%s", words[i], text);
	o.width = 80;
	by_samples = fixture_run(plain, view_workers, &o);
	assert_non_null(strstr(by_samples, "~39.9 %"));
	assert_non_null(strstr(by_samples, "ascope record --wakes"));
	for (const char *line = by_samples; *line; line += strcspn(line, "\n") + 1)
		if (strncmp(line, "  worker", 8) == 0)
			assert_true(strcspn(line, "\n") <= 80);
	none = fixture_run(empty, view_workers, &o);
	assert_non_null(strstr(none, "No Tokio runtime was found"));
	fixture_close(db);
	fixture_close(plain);
	fixture_close(empty);
}

/* A version that lets others take it is not said to hold it. */
static void test_stealable(void **state)
{
	sqlite3 *db = fixture_open_tasks();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *text = NULL;

	(void)state;
	fixture_exec(db, "UPDATE runtime SET tokio_version = '1.52.1'");
	text = fixture_run(db, view_workers, &o);
	assert_non_null(strstr(text, "kept a task in the LIFO slot waiting\n"));
	fixture_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_stealable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
