/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_export_chrome.c: the trace as a viewer reads it: valid, properly nested, and its slices add up to each thread's time. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "report/export.h"
#include "report/sqlrow.h"
#include "report_fixture.h"

/* What a thread did: these do not nest. Functions in waits and on a CPU, and polls, do. */
#define STATES                                                                                                                   \
	"(cat IN ('cpu', 'runnable', 'park', 'idle', 'stopped', 'exited', 'unseen') OR cat LIKE 'blocked.%' OR cat LIKE 'wait.%')"

static char *run(sqlite3 *db, const struct export_opts *o, struct export_result *ret)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	assert_int_equal(export_chrome(db, o, out, ret), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

static struct export_opts defaults(void)
{
	return (struct export_opts){.file = "orders.ascope", .max_events = EXPORT_MAX_EVENTS};
}

/* The events as a table: ts and dur in ns, rounded as Perfetto does, and as JavaScript has them. */
static void load(sqlite3 *db, const char *json)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;

	fixture_exec(db, "DROP TABLE IF EXISTS ev; CREATE TEMP TABLE ev (ph, name, pid, tid, cat, ts, dur, args, us, dur_us)");
	assert_int_equal(
		db_prepare(
			db,
			"INSERT INTO ev SELECT json_extract(value, '$.ph'), json_extract(value, '$.name'), json_extract(value, "
			"'$.pid'), "
			"json_extract(value, '$.tid'), json_extract(value, '$.cat'), CAST(round(json_extract(value, '$.ts') * "
			"1000) AS INTEGER), "
			"CAST(round(json_extract(value, '$.dur') * 1000) AS INTEGER), json_extract(value, '$.args'), "
			"json_extract(value, '$.ts'), json_extract(value, '$.dur') FROM "
			"json_each(?1, '$.traceEvents')",
			&st),
		0);
	assert_int_equal(sqlite3_bind_text(st, 1, json, -1, SQLITE_STATIC), SQLITE_OK);
	assert_int_equal(db_step(st), 0);
}

/* In order of time, outer before inner, as in the file: each ends within every one that is open. `base`: taken off first, as speedscope does. */
static void check_track(sqlite3 *db, const char *columns, bool from_base)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	char sql[300];
	double open[16], base = 0;
	u64 pid = 0, tid = 0;
	u32 depth = 0;
	s64 row[16];

	(void)snprintf(sql, sizeof(sql),
		       "SELECT pid, tid, %s, rowid FROM ev WHERE ph = 'X' ORDER BY pid, tid, ts, dur DESC, rowid", columns);
	assert_int_equal(db_prepare(db, sql, &st), 0);
	while (db_step(st) > 0) {
		double ts = sqlite3_column_double(st, 2), dur = sqlite3_column_double(st, 3);

		if (pid != sql_u64(st, 0) || tid != sql_u64(st, 1)) {
			depth = 0;
			base = from_base ? ts : 0;
		}
		pid = sql_u64(st, 0);
		tid = sql_u64(st, 1);
		ts -= base;
		while (depth && open[depth - 1] <= ts)
			depth--;
		if (depth && ts + dur > open[depth - 1])
			fail_msg("track %llu: a slice at %f overlaps the one around it", (unsigned long long)tid, ts);
		if (depth && dur > 0 && row[depth - 1] > sqlite3_column_int64(st, 4))
			fail_msg("track %llu: a slice at %f comes before the one around it", (unsigned long long)tid, ts);
		assert_true(depth < ARRAY_SIZE(open));
		row[depth] = sqlite3_column_int64(st, 4);
		open[depth++] = ts + dur;
	}
}

static void check_nesting(sqlite3 *db)
{
	check_track(db, "ts, dur", false);
	check_track(db, "us, dur_us", false);
	check_track(db, "us, dur_us", true);
}

static void check_form(sqlite3 *db, const char *json)
{
	assert_int_equal(fixture_s64(db, "SELECT json_valid(?1)", json), 1);
	assert_int_equal(strncmp(json, "{\"traceEvents\":[\n{\"ph\":\"M\"", 26), 0);
	load(db, json);
	assert_int_equal(fixture_s64(db, "SELECT count(*) FROM ev WHERE ph NOT IN ('X', 'M', 's', 'f', 'C', 'i')", NULL), 0);
	assert_int_equal(fixture_s64(db, "SELECT count(*) FROM ev WHERE cat IS NULL OR ts IS NULL", NULL), 0);
	assert_int_equal(fixture_s64(db, "SELECT count(*) FROM ev WHERE args IS NOT NULL AND json_type(args) <> 'object'", NULL),
			 0);
	assert_int_equal(fixture_s64(db, "SELECT count(*) FROM ev WHERE ph = 'X' AND (dur IS NULL OR dur < 0)", NULL), 0);
	/* Names of tracks come before all else. */
	assert_int_equal(
		fixture_s64(db,
			    "SELECT count(*) FROM ev AS x WHERE ph = 'X' AND NOT EXISTS (SELECT 1 FROM ev AS m WHERE m.name = "
			    "'thread_name' AND m.pid = x.pid AND m.tid = x.tid)",
			    NULL),
		0);
	assert_int_equal(fixture_s64(db, "SELECT max(rowid) FROM ev WHERE ph = 'M'", NULL),
			 fixture_s64(db, "SELECT count(*) FROM ev WHERE ph = 'M'", NULL));
	check_nesting(db);
}

static void test_whole(void **state)
{
	sqlite3 *db = fixture_open();
	struct export_opts o = defaults();
	struct export_result result;
	_cleanup_free_ char *json = run(db, &o, &result), *again = run(db, &o, &result);

	(void)state;
	assert_string_equal(json, again);
	check_form(db, json);
	assert_int_equal(result.events, fixture_s64(db, "SELECT count(*) FROM ev WHERE ph = 'X'", NULL));
	assert_int_equal(result.cut_at_ns, 0);
	/* One line an event. */
	assert_int_equal(fixture_count(json, "\n{\"ph\""), fixture_s64(db, "SELECT count(*) FROM ev", NULL));
	/* Slices of a thread's own track add up to its time within the recording. */
	assert_int_equal(
		fixture_s64(
			db,
			"SELECT count(*) FROM thread AS t WHERE (SELECT sum(dur) FROM ev WHERE ph = 'X' AND ev.tid = t.tid AND " STATES
			") <> "
			"min(1030000000000, coalesce(t.ts_end, 1030000000000)) - max(1000000000000, coalesce(t.ts_start, 0))",
			NULL),
		0);
	/* Every poll is there, with its length; one of them is not told apart from others. */
	assert_int_equal(fixture_s64(db,
				     "SELECT count(*) FROM ev JOIN poll AS p ON p.id = json_extract(args, '$.poll_id') "
				     "WHERE cat IN ('poll', 'unclassified') AND ev.dur = p.dur AND ev.ts = p.ts - 1000000000000",
				     NULL),
			 21);
	assert_int_equal(fixture_s64(db, "SELECT count(*) FROM ev WHERE cat = 'unclassified'", NULL), 1);
	assert_int_equal(fixture_s64(db, "SELECT sum(dur) FROM ev WHERE cat LIKE 'blocked.%'", NULL),
			 fixture_s64(db, "SELECT sum(off_cpu) FROM poll", NULL));
	assert_int_equal(
		fixture_s64(db, "SELECT json_extract(?1, '$.metadata.capture.uuid') = '5f0c0ffe-0000-4000-8000-00000000a5c0'",
			    json),
		1);
	fixture_close(db);
}

static void test_args(void **state)
{
	sqlite3 *db = fixture_open();
	struct export_opts o = defaults();
	struct export_result result;
	_cleanup_free_ char *json = run(db, &o, &result), *bare = NULL, *args = NULL;

	(void)state;
	load(db, json);
	args = fixture_text(db, "SELECT args FROM ev WHERE name = 'blocked: sleep process_large_file' AND ts = 3214000000", NULL);
	assert_string_equal(
		args,
		"{\"state\":\"S\",\"role\":\"in_poll\",\"class\":\"sleep\",\"syscall\":\"clock_nanosleep\",\"task\":30,"
		"\"worker\":1,"
		"\"poll_id\":1,\"waker\":\"irq\",\"stack\":\"clock_nanosleep < .. < process_large_file < handle_upload::{async "
		"fn}\","
		"\"kernel\":\"do_nanosleep < hrtimer_nanosleep < __x64_sys_clock_nanosleep\"}");
	assert_int_equal(
		fixture_s64(db,
			    "SELECT count(*) FROM ev WHERE name = 'thread_name' AND json_extract(args, '$.name') = 'worker 2 "
			    "(tid 24039)'",
			    NULL),
		1);
	/* The wait says what it was for: not once more in the time from its wake to the CPU. One that was preempted has no wait before it. */
	assert_int_equal(fixture_s64(db,
				     "SELECT count(*) > 20 FROM ev WHERE cat = 'runnable' AND args NOT LIKE '%\"state\":\"R\"%'",
				     NULL),
			 1);
	assert_int_equal(
		fixture_s64(
			db,
			"SELECT count(*) FROM ev WHERE cat = 'runnable' AND args NOT LIKE '%\"state\":\"R\"%' AND "
			"(args LIKE '%\"class\"%' OR args LIKE '%\"syscall\"%' OR args LIKE '%\"stack\"%' OR args LIKE '%\"kernel\"%')",
			NULL),
		0);
	assert_int_equal(
		fixture_s64(db, "SELECT count(*) FROM ev WHERE cat = 'runnable' AND args LIKE '%\"state\":\"R\"%'", NULL), 2);
	/* speedscope shows even an empty object. */
	assert_int_equal(fixture_s64(db, "SELECT count(*) FROM ev WHERE args = '{}'", NULL), 0);
	o.no_args = true;
	bare = run(db, &o, &result);
	check_form(db, bare);
	assert_int_equal(fixture_s64(db, "SELECT count(*) FROM ev WHERE ph = 'X' AND args IS NOT NULL", NULL), 0);
	assert_int_equal(fixture_s64(db, "SELECT count(*) FROM ev WHERE ph = 'M' AND args IS NULL", NULL), 0);
	/* A poll that blocked says what and where, on a CPU too; a short one is its task. */
	assert_int_equal(fixture_s64(db, "SELECT count(*) FROM ev WHERE name LIKE 'task % cpu hash_password'", NULL), 3);
	assert_int_equal(fixture_s64(db, "SELECT count(*) FROM ev WHERE name = 'root future: sleep load_config'", NULL), 1);
	assert_int_equal(
		fixture_s64(db, "SELECT count(*) FROM ev WHERE cat = 'poll' AND dur < 10000000 AND name LIKE '%: %'", NULL), 0);
	fixture_close(db);
}

static void test_exact_times(void **state)
{
	sqlite3 *db = fixture_open_empty();
	struct export_opts o = defaults();
	struct export_result result;
	_cleanup_free_ char *json = NULL;

	(void)state;
	fixture_exec(
		db,
		"INSERT INTO process VALUES (1, 5, NULL, NULL, 'p', NULL, 0, NULL, NULL); INSERT INTO thread (id, process_id, tid, ns_tid, name, ts_start, ts_end) VALUES (1, 1, 5, NULL, "
		"'t', NULL, NULL);"
		"INSERT INTO offcpu (thread_id, ts, dur, ts_waking, state, role) VALUES (1, 1000000001007, 10000003, "
		"1000010001000, 'S', 'none')");
	json = run(db, &o, &result);
	assert_non_null(strstr(json, "\"ts\":1.007,\"dur\":9999.9929,"));
	assert_non_null(strstr(json, "\"ts\":10001.000,\"dur\":0.0099,"));
	fixture_close(db);
}

static void test_max_events(void **state)
{
	sqlite3 *db = fixture_open();
	struct export_opts o = defaults();
	struct export_result whole;
	_cleanup_free_ char *all = run(db, &o, &whole);
	/* The two slices of losses are besides. */
	u64 limits[] = {0, 1, 7, 100, 1000, whole.events - 3, whole.events - 2};

	(void)state;
	assert_int_equal(fixture_count(all, "\n{\"ph\":\"X\""), whole.events);
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct export_result result;
		_cleanup_free_ char *json = NULL;
		u64 gaps;

		o.max_events = limits[i];
		json = run(db, &o, &result);
		load(db, json);
		check_nesting(db);
		gaps = (u64)fixture_s64(db, "SELECT count(*) FROM ev WHERE cat = 'lost'", NULL);
		assert_true(result.events <= limits[i] + gaps);
		assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.metadata.truncated')", json),
				 limits[i] < whole.events - 2);
		assert_int_equal(result.cut_at_ns != 0, limits[i] < whole.events - 2);
		/* Nothing of it is behind the cut, on any thread. */
		if (result.cut_at_ns)
			assert_int_equal(
				fixture_s64(db,
					    "SELECT count(*) FROM ev WHERE ph = 'X' AND ts + dur > (SELECT json_extract(?1, "
					    "'$.metadata.window_to_ns'))",
					    json),
				0);
	}
	fixture_close(db);
}

static void test_window_and_idle(void **state)
{
	sqlite3 *db = fixture_open();
	struct export_opts o = defaults();
	struct export_result result;
	_cleanup_free_ char *json = NULL;

	(void)state;
	o.from_ns = 3300 * NSEC_PER_MSEC;
	o.to_ns = 3500 * NSEC_PER_MSEC;
	o.no_idle = true;
	json = run(db, &o, &result);
	check_form(db, json);
	assert_int_equal(
		fixture_s64(db, "SELECT count(*) FROM ev WHERE ph = 'X' AND (ts < 3300000000 OR ts + dur > 3500000000)", NULL),
		0);
	assert_int_equal(fixture_s64(db, "SELECT count(*) FROM ev WHERE cat IN ('idle', 'park')", NULL), 0);
	assert_int_equal(fixture_s64(db, "SELECT sum(dur) FROM ev WHERE cat LIKE 'blocked.%'", NULL), 200000000);
	fixture_close(db);
}

/* One pid and tid with two program images (exec): their slices must not share a track. */
static void test_exec_reuses_tid(void **state)
{
	sqlite3 *db = fixture_open_empty();
	struct export_opts o = defaults();
	struct export_result result;
	_cleanup_free_ char *json = NULL;

	(void)state;
	fixture_exec(
		db,
		"INSERT INTO process VALUES (1, 5, NULL, NULL, 'sh', NULL, 0, NULL, NULL), (2, 5, NULL, NULL, 'orders', NULL, 0, NULL, NULL);"
		"INSERT INTO thread (id, process_id, tid, ns_tid, name, ts_start, ts_end) VALUES (1, 1, 5, NULL, 'sh', NULL, NULL), (2, 2, 5, NULL, 'orders', NULL, NULL);"
		"INSERT INTO offcpu (thread_id, ts, dur, state, role) VALUES (1, 1001000000000, 2000000000, 'S', 'none'), "
		"(2, 1002000000000, 2000000000, 'S', 'none')");
	json = run(db, &o, &result);
	check_form(db, json);
	assert_int_equal(fixture_s64(db, "SELECT count(DISTINCT tid) FROM ev WHERE ph = 'X'", NULL), 2);
	fixture_close(db);
}

/* Tasks: every exact poll on its task's track, arrows in pairs, both ends within slices, the cap told. */
static void check_flows(sqlite3 *db, const char *json, s64 flows)
{
	static const char sql[] =
		"WITH e AS (SELECT json_extract(value, '$.ph') AS ph, json_extract(value, '$.id') AS id, json_extract(value, '$.name') AS name, "
		"json_extract(value, '$.pid') AS pid, json_extract(value, '$.tid') AS tid, json_extract(value, '$.bp') AS bp, "
		"CAST(round(json_extract(value, '$.ts') * 1000) AS INTEGER) AS ts FROM json_each(?1, '$.traceEvents')), "
		"s AS (SELECT * FROM e WHERE ph = 's'), f AS (SELECT * FROM e WHERE ph = 'f' AND bp = 'e') "
		"SELECT count(*) FROM s JOIN f ON f.id = s.id AND f.name = s.name AND f.ts >= s.ts "
		"WHERE EXISTS (SELECT 1 FROM ev AS x WHERE x.ph = 'X' AND x.pid = s.pid AND x.tid = s.tid AND x.ts <= s.ts AND s.ts < x.ts + x.dur) "
		"AND EXISTS (SELECT 1 FROM ev AS x WHERE x.ph = 'X' AND x.pid = f.pid AND x.tid = f.tid AND "
		"CASE f.name WHEN 'thread wake' THEN x.cat = 'cpu' AND x.ts <= f.ts AND f.ts < x.ts + x.dur ELSE x.cat = 'task_poll' AND x.ts = f.ts END)";

	assert_int_equal(
		fixture_s64(
			db,
			"SELECT count(DISTINCT json_extract(value, '$.id')) FROM json_each(?1, '$.traceEvents') WHERE json_extract(value, "
			"'$.ph') IN ('s', 'f')",
			json),
		flows);
	assert_int_equal(fixture_s64(db, "SELECT count(*) FROM ev WHERE ph IN ('s', 'f')", NULL), 2 * flows);
	assert_int_equal(fixture_s64(db, sql, json), flows);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.metadata.flows')", json), flows);
}

static void test_tasks(void **state)
{
	sqlite3 *db = fixture_open_tasks();
	struct export_opts o = defaults();
	struct export_result result;
	_cleanup_free_ char *json = NULL, *cut = NULL, *few = NULL;
	s64 flows;

	(void)state;
	o.tasks = true;
	o.max_flows = EXPORT_MAX_FLOWS;
	json = run(db, &o, &result);
	check_form(db, json);
	assert_int_equal(result.events, fixture_s64(db, "SELECT count(*) FROM ev WHERE ph = 'X'", NULL));
	assert_int_equal(fixture_s64(db, "SELECT count(*) FROM ev WHERE cat = 'task_poll'", NULL),
			 fixture_s64(db, "SELECT count(*) FROM _task_poll", NULL));
	assert_int_equal(
		fixture_s64(db,
			    "SELECT count(*) FROM ev JOIN task_poll AS p ON p.task_id = json_extract(args, '$.task') "
			    "AND ev.ts = p.ts - 1000000000000 AND (p.dur IS NULL OR ev.dur = p.dur) WHERE cat = 'task_poll'",
			    NULL),
		fixture_s64(db, "SELECT count(*) FROM _task_poll", NULL));
	/* From a wake to its poll the task is ready; none of these is of no length here. */
	assert_int_equal(fixture_s64(db, "SELECT count(*) FROM ev WHERE name = 'ready'", NULL),
			 fixture_s64(db, "SELECT count(delay) FROM _task_wake", NULL));
	assert_int_equal(fixture_s64(db, "SELECT sum(dur) FROM ev WHERE name = 'ready'", NULL),
			 fixture_s64(db, "SELECT sum(delay) FROM _task_wake", NULL));
	assert_int_equal(
		fixture_s64(db,
			    "SELECT count(*) FROM ev WHERE ph = 'M' AND name = 'thread_name' AND json_extract(args, '$.name') = "
			    "'task 30 orders::api::handle_upload'",
			    NULL),
		1);
	assert_int_equal(result.flows_left, 0);
	flows = fixture_s64(db, "SELECT json_extract(?1, '$.metadata.flows')", json);
	/* Tasks 30, 31, 44 and 45 were spawned in a poll of task 3; task 30 woke 31, 31 woke 61, 44 woke 60. */
	assert_int_equal(fixture_s64(db, "SELECT count(*) FROM ev WHERE ph = 's' AND name = 'spawn'", NULL), 4);
	assert_true(flows >= 7);
	check_flows(db, json, flows);
	o.max_flows = 5;
	cut = run(db, &o, &result);
	check_form(db, cut);
	check_flows(db, cut, 5);
	/* All that there may be are written, left out, or have nothing to begin or end in. */
	assert_int_equal(5 + result.flows_left +
				 (u64)fixture_s64(db, "SELECT json_extract(?1, '$.metadata.flows_without_slice')", cut),
			 flows + fixture_s64(db, "SELECT json_extract(?1, '$.metadata.flows_without_slice')", json));
	/* Slices of threads that are not drawn are no place for an arrow to begin in. */
	o.max_flows = EXPORT_MAX_FLOWS;
	o.profile.min_ns = NSEC_PER_SEC;
	few = run(db, &o, &result);
	check_form(db, few);
	check_flows(db, few, fixture_s64(db, "SELECT json_extract(?1, '$.metadata.flows')", few));
	fixture_close(db);
}

#define THREAD_NEXT "(SELECT min(n.ts) FROM _task_poll AS n WHERE n.thread_id = p.thread_id AND n.ts > p.ts)"
#define TASK_NEXT   "(SELECT min(n.ts) FROM _task_poll AS n WHERE n.task_row = p.task_row AND n.ts > p.ts)"
#define PARKED	    "(SELECT min(o.ts) FROM offcpu AS o WHERE o.thread_id = p.thread_id AND o.role = 'parked' AND o.ts > p.ts)"
#define NEVER	    "9e18"
/* Each slice of a poll with what may have ended it. */
#define DRAWN                                                                                                                    \
	"(SELECT 1000000000000 + ev.ts + ev.dur AS till, coalesce(" THREAD_NEXT ", " NEVER                                       \
	") AS thread_next, coalesce(" TASK_NEXT ", " NEVER ") AS task_next, coalesce(" PARKED ", " NEVER                         \
	") AS parked FROM ev JOIN task_poll AS p ON "                                                                            \
	"p.task_id = json_extract(ev.args, '$.task') AND ev.ts = p.ts - 1000000000000 WHERE cat = 'task_poll')"

/* No return was seen: a poll ends where its thread does something else, or its task is polled again; the last one with the recording. */
static void test_tasks_unended(void **state)
{
	sqlite3 *db = fixture_open_tasks();
	struct export_opts o = defaults();
	struct export_result result;
	_cleanup_free_ char *json = NULL, *later = NULL;

	(void)state;
	o.tasks = true;
	o.max_flows = EXPORT_MAX_FLOWS;
	/* Task 47 is polled on thread 5 to the end: here another thread polls it before. */
	fixture_exec(
		db,
		"INSERT INTO _task_poll (ts, thread_id, task_row, type_id) SELECT 1029900000000, 2, id, type_id FROM _task WHERE task_id = 47; "
		"UPDATE _task_poll SET dur = NULL");
	json = run(db, &o, &result);
	check_form(db, json);
	assert_int_equal(fixture_s64(db, "SELECT count(*) FROM " DRAWN, NULL),
			 fixture_s64(db, "SELECT count(*) FROM _task_poll", NULL));
	assert_int_equal(
		fixture_s64(db, "SELECT count(*) FROM " DRAWN " WHERE till <> min(thread_next, task_next, parked, 1030000000000)",
			    NULL),
		0);
	assert_true(fixture_s64(db, "SELECT count(*) FROM " DRAWN " WHERE till = thread_next", NULL) > 0);
	assert_true(fixture_s64(db, "SELECT count(*) FROM " DRAWN " WHERE till = task_next", NULL) > 0);
	assert_true(fixture_s64(db, "SELECT count(*) FROM " DRAWN " WHERE till = parked", NULL) > 0);
	/* A task whose only poll was over before the window has no track. */
	o.from_ns = 18500 * NSEC_PER_MSEC;
	later = run(db, &o, &result);
	check_form(db, later);
	assert_int_equal(
		fixture_s64(
			db,
			"SELECT count(*) FROM ev WHERE name = 'thread_name' AND json_extract(args, '$.name') LIKE 'task 52 %'",
			NULL),
		0);
	fixture_close(db);
}

/* A poll that goes on beyond the window is drawn to its end, though its task was woken in it. */
static void test_tasks_woken_in_poll(void **state)
{
	sqlite3 *db = fixture_open_tasks();
	struct export_opts o = defaults();
	struct export_result result;
	_cleanup_free_ char *json = NULL;

	(void)state;
	o.tasks = true;
	o.from_ns = 8000 * NSEC_PER_MSEC;
	o.to_ns = 8400 * NSEC_PER_MSEC;
	/* Task 44 is polled from 8.10999 s on for 450 ms, and again at 9 s. */
	fixture_exec(
		db,
		"INSERT INTO _task_poll (ts, dur, thread_id, task_row, type_id) SELECT 1009000000000, 1000, 2, id, type_id FROM _task WHERE task_id = 44; "
		"INSERT INTO _task_wake (ts, thread_id, task_row, type_id, waker, delay) SELECT 1008200000000, 2, id, type_id, 'driver', 800000000 "
		"FROM _task WHERE task_id = 44");
	json = run(db, &o, &result);
	check_form(db, json);
	assert_int_equal(
		fixture_s64(db, "SELECT ts + dur FROM ev WHERE cat = 'task_poll' AND json_extract(args, '$.task') = 44", NULL),
		8400 * NSEC_PER_MSEC);
	fixture_close(db);
}

/* Without exact polls the tracks have the polls that were caught, and no arrows. */
static void test_tasks_caught(void **state)
{
	sqlite3 *db = fixture_open();
	struct export_opts o = defaults();
	struct export_result result;
	_cleanup_free_ char *json = NULL;

	(void)state;
	o.tasks = true;
	o.max_flows = EXPORT_MAX_FLOWS;
	json = run(db, &o, &result);
	check_form(db, json);
	check_flows(db, json, fixture_s64(db, "SELECT count(*) FROM ev WHERE ph = 's' AND name = 'thread wake'", NULL));
	assert_int_equal(fixture_s64(db, "SELECT count(*) FROM ev WHERE cat = 'task_poll'", NULL),
			 fixture_s64(db, "SELECT count(*) FROM poll WHERE task_id IS NOT NULL AND classified", NULL));
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.metadata.task_polls_exact')", json), 0);
	fixture_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),		cmocka_unit_test(test_tasks),
		cmocka_unit_test(test_tasks_caught),	cmocka_unit_test(test_args),
		cmocka_unit_test(test_tasks_unended),	cmocka_unit_test(test_tasks_woken_in_poll),
		cmocka_unit_test(test_exact_times),	cmocka_unit_test(test_max_events),
		cmocka_unit_test(test_window_and_idle), cmocka_unit_test(test_exec_reuses_tid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
