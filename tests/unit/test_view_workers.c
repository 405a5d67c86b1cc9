/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_view_workers.c: parts of a thread's time add up, exact polls tell what was executed, moves of tasks between workers are counted once. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "report/view_text.h"
#include "report_fixture.h"

#define WORKERS "json_each(?1, '$.runtimes') AS r, json_each(r.value, '$.workers') AS t"

#define OF_WORKER_2 " FROM " WORKERS " WHERE json_extract(t.value, '$.tid') = 24039"
#define IN_POLLS    "SELECT json_extract(t.value, '$.in_polls')" OF_WORKER_2
#define BLOCKED	    "SELECT json_extract(t.value, '$.blocked')" OF_WORKER_2
#define ON_CPU_IN_POLLS                                                                                                             \
	"SELECT sum(p.dur - (SELECT coalesce(sum(max(min(o.ts + o.dur, p.ts + p.dur) - max(o.ts, p.ts), 0)), 0) FROM _offcpu AS o " \
	"WHERE o.thread_id = 4)) FROM _task_poll AS p WHERE p.thread_id = 4"

static void test_parts(void **state)
{
	sqlite3 *db = fixture_open_tasks();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *json = fixture_run(db, view_workers_json, &o), *more = NULL;

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
	/* Worker 2: its polls, without the time in which it was off the cpu meanwhile; what its thread waited between polls is not taken off them. */
	assert_int_equal(fixture_s64(db, IN_POLLS, json), fixture_s64(db, ON_CPU_IN_POLLS, NULL));
	fixture_exec(
		db,
		"INSERT INTO _offcpu (id, thread_id, ts, dur, wait_id) SELECT 900, 4, 1020000000000, 5000000, wait_id FROM _offcpu WHERE poll_id IS NOT NULL LIMIT 1");
	more = fixture_run(db, view_workers_json, &o);
	assert_true(fixture_s64(db, BLOCKED, more) - fixture_s64(db, BLOCKED, json) >= 1000000);
	assert_int_equal(fixture_s64(db, IN_POLLS, more), fixture_s64(db, IN_POLLS, json));
	/* Task 44 was woken on worker 1 and polled on worker 0; 61 on worker 1, and polled on worker 2. */
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.runtimes[0].moved')", json), 2);
	assert_int_equal(fixture_s64(db,
				     "SELECT json_extract(t.value, '$.moved_away') FROM " WORKERS
				     " WHERE json_extract(t.value, '$.tid') = 24038",
				     json),
			 2);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.runtimes[0].woken')", json),
			 fixture_s64(db, "SELECT count(delay) FROM _task_wake", NULL));
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.runtimes[0].driver_stalled')", json), 882650000);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.runtimes[0].driver_stalled_max')", json), 450150000);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.runtimes[0].driver_stalled_blocks')", json), 2);
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
		"nobody served it for 882.7 ms (2.9 %), at most 450.2 ms at a time, in 2 blocked polls:",
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

/* A stall that began before the window and lasts beyond it: what of it lies in the window. */
static void test_stall_of_window(void **state)
{
	sqlite3 *db = fixture_open_tasks();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *json = NULL;

	(void)state;
	o.from_ns = 3300 * NSEC_PER_MSEC;
	o.to_ns = 3500 * NSEC_PER_MSEC;
	json = fixture_run(db, view_workers_json, &o);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.runtimes[0].driver_stalled')", json), 200 * NSEC_PER_MSEC);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.runtimes[0].driver_stalled_max')", json),
			 200 * NSEC_PER_MSEC);
	fixture_close(db);
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
		cmocka_unit_test(test_stall_of_window),
		cmocka_unit_test(test_stealable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
