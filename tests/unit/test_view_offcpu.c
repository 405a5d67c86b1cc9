/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_view_offcpu.c: time off the CPU adds up to the threads' time, whatever the window; every list has the totals that SQL has; filters
 * take away what they say, and nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/strtab.h"
#include "report/offcpu_stats.h"
#include "report/view_spans.h"
#include "report_fixture.h"

/* The parts of a thread's time out of view thread_state, cut to the window :lo..:hi and to its life. */
#define STATES_SQL                                                                                                               \
	"WITH w (lo, hi) AS (SELECT json_extract(?1, '$.window_start'), json_extract(?1, '$.window_end')), "                     \
	"s AS (SELECT y.state, max(0, min(CASE WHEN y.dur >= 0 THEN y.ts + y.dur WHEN EXISTS (SELECT 1 FROM _offcpu AS o WHERE " \
	"o.thread_id = y.utid AND o.ts > y.ts) THEN y.ts ELSE w.hi END, w.hi, coalesce(t.ts_end, w.hi)) - "                      \
	"max(y.ts, w.lo, coalesce(t.ts_start, 0))) AS ns FROM thread_state AS y JOIN thread AS t ON t.id = y.utid, w) "

static s64 number(sqlite3 *db, const char *json, const char *path)
{
	char sql[160];

	(void)snprintf(sql, sizeof(sql), "SELECT json_extract(?1, '%s')", path);
	return fixture_s64(db, sql, json);
}

/* The fixture's rows do not say how long a thread ran before them: since the row before, unless that is asked away. */
static sqlite3 *open_with_runs(void)
{
	sqlite3 *db = fixture_open();

	fixture_exec(
		db,
		"UPDATE _offcpu SET ran = ts - (SELECT max(p.ts + p.dur) FROM _offcpu AS p WHERE p.thread_id = _offcpu.thread_id AND "
		"p.ts < _offcpu.ts) WHERE EXISTS (SELECT 1 FROM _offcpu AS p WHERE p.thread_id = _offcpu.thread_id AND p.ts < _offcpu.ts)");
	fixture_exec(
		db,
		"UPDATE thread SET (ts_last_in, ts_last_out) = (SELECT max(ts + dur), min(max(ts + dur) + 5000000, 1030000000000) FROM "
		"_offcpu WHERE thread_id = thread.id AND dur IS NOT NULL) WHERE id IN (SELECT thread_id FROM _offcpu) AND id NOT IN (SELECT thread_id FROM _offcpu WHERE dur IS NULL)");
	return db;
}

static void check_sums(sqlite3 *db, const char *json)
{
	assert_int_equal(number(db, json, "$.time.wall"),
			 number(db, json, "$.time.on_cpu") + number(db, json, "$.time.runnable") +
				 number(db, json, "$.time.waiting") + number(db, json, "$.time.idle") +
				 number(db, json, "$.time.unknown"));
	assert_int_equal(number(db, json, "$.time.wall"),
			 fixture_s64(db,
				     "SELECT sum(max(0, min(coalesce(ts_end, 9e18), json_extract(?1, '$.window_end')) - "
				     "max(coalesce(ts_start, 0), json_extract(?1, '$.window_start')))) FROM thread",
				     json));
	assert_int_equal(number(db, json, "$.time.on_cpu"),
			 fixture_s64(db, STATES_SQL "SELECT sum(ns) FROM s WHERE state = 'Running'", json));
	assert_int_equal(number(db, json, "$.time.runnable"),
			 fixture_s64(db, STATES_SQL "SELECT sum(ns) FROM s WHERE state IN ('R', 'R+')", json));
	assert_int_equal(number(db, json, "$.time.waiting") + number(db, json, "$.time.idle"),
			 fixture_s64(db, STATES_SQL "SELECT sum(ns) FROM s WHERE state NOT IN ('Running', 'R', 'R+')", json));
	assert_int_equal(
		fixture_s64(
			db,
			"SELECT count(*) FROM json_each(?1, '$.threads') AS t WHERE json_extract(t.value, '$.wall') <> "
			"json_extract(t.value, '$.on_cpu') + json_extract(t.value, '$.runnable') + json_extract(t.value, '$.waiting') + "
			"json_extract(t.value, '$.idle') + json_extract(t.value, '$.unknown')",
			json),
		0);
}

/* Every list has the same sum. */
static void check_lists(sqlite3 *db, const char *json)
{
	static const char *const lists[] = {"syscalls", "stacks", "threads"};
	s64 shown = number(db, json, "$.shown.total"), count = number(db, json, "$.shown.count");

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		char sql[200];

		(void)snprintf(sql, sizeof(sql), "SELECT sum(json_extract(value, '$.total')) FROM json_each(?1, '$.%s')",
			       lists[i]);
		assert_int_equal(fixture_s64(db, sql, json), shown);
		(void)snprintf(sql, sizeof(sql), "SELECT sum(json_extract(value, '$.count')) FROM json_each(?1, '$.%s')",
			       lists[i]);
		assert_int_equal(fixture_s64(db, sql, json), count);
	}
}

static void test_adds_up(void **state)
{
	sqlite3 *db = open_with_runs();
	struct report_opts o = fixture_opts(120);

	(void)state;
	o.min_ns = 0;
	for (u64 from = 0; from < 30; from += 7) {
		for (u64 to = from + 1; to <= 31; to += 6) {
			_cleanup_free_ char *json = NULL;

			o.from_ns = from * NSEC_PER_SEC + from * 12345;
			o.to_ns = to > 30 ? 0 : to * NSEC_PER_SEC;
			json = fixture_run(db, view_offcpu_json, &o);
			check_sums(db, json);
			check_lists(db, json);
			assert_int_equal(number(db, json, "$.shown.total"), number(db, json, "$.time.waiting"));
			assert_int_equal(number(db, json, "$.left_out.count"), 0);
			assert_int_equal(fixture_s64(db,
						     "SELECT sum(json_extract(value, '$.total')) FROM json_each(?1, '$.states')",
						     json),
					 number(db, json, "$.time.waiting") + number(db, json, "$.time.idle") +
						 number(db, json, "$.time.runnable"));
		}
	}
	fixture_close(db);
}

static void test_states(void **state)
{
	sqlite3 *db = open_with_runs();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *json = NULL;

	(void)state;
	o.min_ns = 0;
	json = fixture_run(db, view_offcpu_json, &o);
	/* Each state is a class of waits, up to their wakings; idle ones and event loops apart. */
	assert_int_equal(
		fixture_s64(
			db,
			"SELECT sum(coalesce(ts_waking, ts + dur, 1030000000000) - ts) FROM offcpu WHERE class = 'sleep' AND role <> 'parked'",
			NULL),
		fixture_s64(
			db,
			"SELECT sum(json_extract(value, '$.total')) FROM json_each(?1, '$.states') WHERE json_extract(value, '$.state') = "
			"'sleep'",
			json));
	assert_int_equal(
		fixture_s64(db, "SELECT sum(coalesce(ts_waking, ts + dur, 1030000000000) - ts) FROM offcpu WHERE role = 'parked'",
			    NULL),
		fixture_s64(
			db,
			"SELECT sum(json_extract(value, '$.total')) FROM json_each(?1, '$.states') WHERE json_extract(value, '$.state') IN "
			"('driver', 'parked')",
			json));
	assert_int_equal(
		fixture_s64(
			db,
			"SELECT sum(json_extract(value, '$.total')) FROM json_each(?1, '$.states') WHERE json_extract(value, '$.state') = 'pool idle'",
			json),
		fixture_s64(db, "SELECT sum(coalesce(ts_waking, ts + dur) - ts) FROM offcpu WHERE stack_id = 8", NULL));
	assert_int_equal(
		fixture_s64(
			db,
			"SELECT json_extract(value, '$.total') FROM json_each(?1, '$.states') WHERE json_extract(value, '$.state') = 'preempted'",
			json),
		fixture_s64(db, "SELECT sum(dur) FROM offcpu WHERE state = 'R'", NULL));
	/* Lengths: all waits are in the histogram. */
	assert_int_equal(
		fixture_s64(db, "SELECT sum(json_extract(value, '$.count')) FROM json_each(?1, '$.waits_by_length')", json),
		number(db, json, "$.shown.count"));
	assert_int_equal(
		fixture_s64(db,
			    "SELECT sum(json_extract(value, '$.count')) FROM json_each(?1, '$.waits_by_length') WHERE "
			    "json_extract(value, '$.from') = 200000000 AND json_extract(value, '$.to') = 500000000",
			    json),
		fixture_s64(
			db,
			"SELECT count(*) FROM offcpu WHERE role <> 'parked' AND coalesce(stack_id, 0) <> 8 AND state <> 'R' AND "
			"coalesce(ts_waking, ts + dur, 1030000000000) - ts >= 200000000 AND coalesce(ts_waking, ts + dur, "
			"1030000000000) - ts < 500000000",
			NULL));
	fixture_close(db);
}

static s64 shown(sqlite3 *db, const struct report_opts *o)
{
	_cleanup_free_ char *json = fixture_run(db, view_offcpu_json, o);

	check_lists(db, json);
	return number(db, json, "$.shown.total");
}

static void test_filters(void **state)
{
	sqlite3 *db = open_with_runs();
	struct report_opts all = fixture_opts(120), o;

	(void)state;
	all.min_ns = 0;
	o = all;
	o.class_is = "lock";
	assert_int_equal(
		shown(db, &o),
		fixture_s64(
			db,
			"SELECT sum(coalesce(ts_waking, ts + dur) - ts) FROM offcpu WHERE class = 'lock' AND role <> 'parked' AND "
			"coalesce(stack_id, 0) <> 8",
			NULL));
	o = all;
	o.task = 30;
	assert_int_equal(shown(db, &o), 450210000);
	o = all;
	o.tid = 24038;
	assert_int_equal(
		shown(db, &o),
		fixture_s64(
			db,
			"SELECT sum(coalesce(ts_waking, ts + dur) - ts) FROM offcpu WHERE thread_id = 3 AND state <> 'R' AND role <> "
			"'parked'",
			NULL));
	o = all;
	o.min_ns = 100 * NSEC_PER_MSEC;
	o.max_ns = 400 * NSEC_PER_MSEC;
	assert_int_equal(
		shown(db, &o),
		fixture_s64(
			db,
			"SELECT sum(coalesce(ts_waking, ts + dur, 1030000000000) - ts) FROM offcpu WHERE role <> 'parked' AND "
			"coalesce(stack_id, 0) <> 8 AND state <> 'R' AND coalesce(ts_waking, ts + dur, 1030000000000) - ts BETWEEN "
			"100000000 AND 400000000",
			NULL));
	o = all;
	o.comm = "no such name";
	assert_int_equal(shown(db, &o), 0);
	o = all;
	o.pid = 24036;
	assert_int_equal(shown(db, &o), shown(db, &all));
	o = all;
	o.all = true;
	assert_int_equal(
		shown(db, &o),
		shown(db, &all) + fixture_s64(db, "SELECT sum(coalesce(dur, 1030000000000 - ts)) FROM offcpu", NULL) -
			fixture_s64(
				db,
				"SELECT sum(coalesce(ts_waking, ts + dur, 1030000000000) - ts) FROM offcpu WHERE state <> 'R' AND role "
				"<> 'parked' AND coalesce(stack_id, 0) <> 8",
				NULL));
	fixture_close(db);
}

/* What no row tells is not known: neither idle nor running. */
static void test_unknown(void **state)
{
	sqlite3 *db = fixture_open_empty();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *json = NULL, *text = NULL;

	(void)state;
	o.min_ns = 0;
	fixture_exec(
		db,
		"INSERT INTO process VALUES (1, 5, NULL, NULL, 'p', NULL, 0, NULL, NULL); INSERT INTO thread (id, process_id, tid, ns_tid, name, "
		"ts_start, ts_end) VALUES (1, 1, 5, NULL, 't', NULL, NULL), (2, 1, 6, NULL, 'silent', NULL, NULL);"
		"INSERT INTO offcpu (thread_id, ts, dur, ts_waking, state, role, class, ran) VALUES "
		"(1, 1001000000000, 1000000000, 1001900000000, 'S', 'none', 'sleep', 400000000), "
		"(1, 1005000000000, NULL, NULL, 'S', 'none', 'pipe', 1000000000), (1, 1010000000000, 2000000000, NULL, 'D', 'none', 'disk', NULL)");
	json = fixture_run(db, view_offcpu_json, &o);
	check_sums(db, json);
	assert_int_equal(number(db, json, "$.time.wall"), 60 * NSEC_PER_SEC);
	assert_int_equal(number(db, json, "$.time.on_cpu"), 1400000000);
	assert_int_equal(number(db, json, "$.time.runnable"), 100000000);
	/* The open wait in the middle ended nobody knows when. */
	assert_int_equal(number(db, json, "$.time.waiting"), 2900000000);
	assert_int_equal(number(db, json, "$.time.unknown"), 60000000000 - 1400000000 - 100000000 - 2900000000);
	text = fixture_run(db, view_offcpu, &o);
	assert_non_null(strstr(text, "= on-CPU 1.40 s + runnable 100.0 ms + off-CPU 2.90 s + not known 55.6 s\n"));
	assert_null(strstr(text, "ADD UP"));
	fixture_close(db);
}

static void test_throttled(void **state)
{
	sqlite3 *db = open_with_runs();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *json = NULL;

	(void)state;
	o.min_ns = 0;
	/* Thread 5 was preempted from 26.071 s to 26.084 s; readings count back by what was counted. */
	fixture_exec(
		db,
		"UPDATE process SET cgroup = '/a/b'; INSERT INTO throttle VALUES (1026080000000, 1026100000000, '/a', 1, 4000000), "
		"(1026000000000, 1027000000000, '/a/bc', 1, 4000000)");
	json = fixture_run(db, view_offcpu_json, &o);
	assert_int_equal(
		number(db, json, "$.throttled"),
		8000000 +
			fixture_s64(
				db,
				"SELECT coalesce(sum(max(0, min(ts + dur, 1026100000000) - max(ts_waking, 1026076000000))), 0) FROM offcpu "
				"WHERE ts_waking < 1026100000000 AND ts + dur > 1026076000000",
				NULL));
	fixture_close(db);
}

static void test_text(void **state)
{
	static const char *const words[] = {
		"BY STATE",	   "BY SYSTEM CALL",	 "BY THREAD",
		"WAITS BY LENGTH", "RUNNABLE BY LENGTH", "ENDED BY",
		"STACKS",	   "idle: driver",	 "runnable: preempted",
		"an interrupt",	   "process_large_file", "  200 ms to 500 ms ",
	};
	sqlite3 *db = open_with_runs();
	struct report_opts o = fixture_opts(80);
	_cleanup_free_ char *text = NULL, *ascii = NULL;

	(void)state;
	o.min_ns = 0;
	text = fixture_run(db, view_offcpu, &o);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strstr(text, words[i]))
			fail_msg("not in the report: %s\n%s", words[i], text);
	assert_non_null(strstr(text, "█"));
	o.ascii = true;
	ascii = fixture_run(db, view_offcpu, &o);
	assert_null(strstr(ascii, "█"));
	assert_non_null(strstr(ascii, "##"));
	fixture_close(db);
}

/* The same thread wakes from two functions: two rows, which add up to what was one. */
static void test_waker_functions(void **state)
{
	sqlite3 *db = open_with_runs();
	struct report_opts o = fixture_opts(80);
	_cleanup_free_ char *before = NULL, *json = NULL, *narrow = NULL, *wide = NULL;
	static const char of[] =
		"(SELECT sum(value ->> '$.total') FROM json_each(?1, '$.wakers') WHERE value ->> '$.tid' = 24037)";
	char sql[256];

	(void)state;
	o.min_ns = 0;
	before = fixture_run(db, view_offcpu_json, &o);
	assert_null(strstr(before, "process_large_file\",\n      \"count"));
	fixture_exec(db, "UPDATE _offcpu SET waker_stack_id = 1, waker_kstack_id = 20 WHERE waker_tid = 24037 AND id % 3 = 0;"
			 "UPDATE _offcpu SET waker_stack_id = 2 WHERE waker_tid = 24037 AND id % 3 = 1");
	json = fixture_run(db, view_offcpu_json, &o);
	(void)snprintf(sql, sizeof(sql), "SELECT %s", of);
	assert_int_equal(fixture_s64(db, sql, json), fixture_s64(db, sql, before));
	for (u32 stack = 1; stack <= 2; stack++) {
		(void)snprintf(sql, sizeof(sql),
			       "SELECT sum(value ->> '$.count') FROM json_each(?1, '$.wakers') WHERE value ->> '$.function' = "
			       "(SELECT function FROM stack_place WHERE stack_id = %u)",
			       stack);
		assert_int_equal(fixture_s64(db, sql, json),
				 fixture_s64(db,
					     stack == 1 ? "SELECT count(*) FROM offcpu WHERE waker_stack_id = 1"
							: "SELECT count(*) FROM offcpu WHERE waker_stack_id = 2",
					     NULL));
	}
	narrow = fixture_run(db, view_offcpu, &o);
	assert_non_null(strstr(narrow, "\n      from orders::api::process_large_file\n"));
	o.width = 120;
	wide = fixture_run(db, view_offcpu, &o);
	assert_non_null(strstr(wide, "ms   orders::api::process_large_file\n"));
	fixture_close(db);
}

static void test_buckets(void **state)
{
	u64 from, to, last = 0;

	(void)state;
	for (u32 b = 0; b < OFFCPU_BUCKETS; b++) {
		off_hist_range(b, &from, &to);
		assert_int_equal(from, last);
		assert_int_equal(off_hist_bucket(from), b);
		assert_int_equal(off_hist_bucket(to - 1), b);
		last = to;
	}
	off_hist_range(1, &from, &to);
	assert_int_equal(from, 1000);
	off_hist_range(OFFCPU_BUCKETS - 1, &from, &to);
	assert_int_equal(from, 1000 * NSEC_PER_SEC);
	assert_true(to == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adds_up),		cmocka_unit_test(test_states),	  cmocka_unit_test(test_filters),
		cmocka_unit_test(test_unknown),		cmocka_unit_test(test_throttled), cmocka_unit_test(test_text),
		cmocka_unit_test(test_waker_functions), cmocka_unit_test(test_buckets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
