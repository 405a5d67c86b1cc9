/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_view_throttle.c: what the reports say of cpu quota and of stops, on the hand-made database. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <stdio.h>
#include <string.h>

#include "report_fixture.h"

/* Poll 8 (on worker 1, partly runnable) and 21 (contended) may have been throttled; 1 was stopped in its middle. */
static void throttle_some(sqlite3 *db)
{
	fixture_exec(
		db, "UPDATE poll SET throttled = 1 WHERE id IN (8, 21); UPDATE poll SET stopped = 3000000000 WHERE id = 1;"
		    "INSERT INTO throttle VALUES (1012000000000, 1012100000000, '/orders.service', 1, 80000000), "
		    "(1026000000000, 1026100000000, '/orders.service', 2, 100000000), (1026000000000, 1026100000000, '/', 1, 0)");
}

static int setup(void **state)
{
	*state = fixture_open();
	return 0;
}

static int teardown(void **state)
{
	fixture_close(*state);
	return 0;
}

static void rows_say_so(void **state)
{
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *before = fixture_run(*state, view_blocking, &o), *text = NULL, *json = NULL;

	assert_null(strstr(before, "throttled"));
	assert_null(strstr(before, "stopped"));
	throttle_some(*state);
	o.top = 0;
	text = fixture_run(*state, view_blocking, &o);
	assert_int_equal(fixture_count(text, "    cpu      maybe throttled: its cgroup ran out of cpu quota about then\n"), 1);
	assert_int_equal(fixture_count(text, "\nmaybe throttled: 1 of these, while a cgroup of theirs was out of cpu quota"), 1);
	assert_int_equal(
		fixture_count(text,
			      "    stopped  its thread was stopped or frozen for 3.00 s more meanwhile, which does not count\n"),
		1);
	json = fixture_run(*state, view_blocking_json, &o);
	assert_int_equal(
		fixture_s64(*state, "SELECT sum(json_extract(value, '$.throttled')) FROM json_each(?1, '$.blocks')", json), 1);
	assert_int_equal(
		fixture_s64(*state,
			    "SELECT json_extract(value, '$.stopped') FROM json_each(?1, '$.blocks') WHERE json_extract(value, "
			    "'$.poll_id') = 1",
			    json),
		3000000000);
}

static void summary_names_the_cgroups(void **state)
{
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *before = fixture_run(*state, view_summary, &o), *text = NULL, *json = NULL, *part = NULL;

	assert_null(strstr(before, "CPU QUOTA"));
	throttle_some(*state);
	text = fixture_run(*state, view_summary, &o);
	assert_non_null(strstr(
		text,
		"\nCPU QUOTA\n"
		"  cgroup /orders.service ran out of it in 3 periods, its run queues were stopped for 180.0 ms, summed over "
		"CPUs\n"
		"  cgroup / ran out of it in 1 period\n"));
	json = fixture_run(*state, view_summary_json, &o);
	part = fixture_text(*state, "SELECT json_extract(?1, '$.throttled')", json);
	assert_string_equal(part, "[{\"cgroup\":\"/orders.service\",\"periods\":3,\"stopped\":180000000},"
				  "{\"cgroup\":\"/\",\"periods\":1,\"stopped\":0}]");
}

static void only_the_window(void **state)
{
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *text = NULL;

	throttle_some(*state);
	o.from_ns = 10 * NSEC_PER_SEC;
	o.to_ns = 14 * NSEC_PER_SEC;
	text = fixture_run(*state, view_summary, &o);
	assert_non_null(strstr(text, "cgroup /orders.service ran out of it in 1 period, its"));
	assert_null(strstr(text, "cgroup / ran"));
}

/* Whoever may make a cgroup names it. */
static void hostile_name(void **state)
{
	struct report_opts o = fixture_opts(80);
	_cleanup_free_ char *text = NULL;

	fixture_exec(*state, "INSERT INTO throttle VALUES (1012000000000, 1012100000000, '/' || char(27) || '[31m' || "
			     "replace(hex(zeroblob(2000)), '00', 'x'), 1, 1)");
	text = fixture_run(*state, view_summary, &o);
	assert_null(strchr(text, 27));
	assert_non_null(strstr(text, "xxx"));
}

/* A thread that is stopped is not blocked. */
static void stopped_time_is_other(void **state)
{
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *before = NULL, *after = NULL;
	static const char sum[] = "SELECT sum(json_extract(value, '$.blocked_in_poll')) FROM json_each(?1, '$.threads')";
	static const char other[] = "SELECT sum(json_extract(value, '$.other')) FROM json_each(?1, '$.threads')";
	s64 dur = fixture_s64(*state, "SELECT coalesce(ts_waking, ts + dur) - ts FROM offcpu WHERE poll_id = 1", NULL);

	before = fixture_run(*state, view_summary_json, &o);
	fixture_exec(*state, "UPDATE offcpu SET state = 'T', class = NULL WHERE poll_id = 1");
	after = fixture_run(*state, view_summary_json, &o);
	assert_true(dur > 0);
	assert_int_equal(fixture_s64(*state, sum, before) - fixture_s64(*state, sum, after), dur);
	assert_int_equal(fixture_s64(*state, other, after) - fixture_s64(*state, other, before), dur);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(rows_say_so),  TEST(summary_names_the_cgroups), TEST(only_the_window),
		TEST(hostile_name), TEST(stopped_time_is_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
