/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_schema.c: a capture database documents itself, and its views say what the tables under them do: every table, view and column has its sentence,
 * Perfetto's names are there, the time of a thread adds up, and every stack is in the tree of call sites.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>

#include "report/callsite.h"
#include "report/db.h"
#include "report/schema.h"
#include "report_fixture.h"

static void assert_number(sqlite3 *db, const char *sql, s64 want)
{
	s64 got = -1;
	int err = db_get_s64(db, sql, &got);

	if (err || got != want)
		print_error("%s\nis %lld (%d, %s), not %lld\n", sql, (long long)got, err, sqlite3_errmsg(db), (long long)want);
	assert_int_equal(err, 0);
	assert_int_equal(got, want);
}

/* Fails with the first row of a query that should have none. */
static void assert_no_row(sqlite3 *db, const char *sql)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int err = db_prepare(db, sql, &s);

	if (err)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	if (db_step(s) != 0)
		fail_msg("%s: %s", sql, sqlite3_column_text(s, 0));
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

#define COLUMNS                                                                                                                  \
	"(SELECT s.type, s.name AS tbl, c.name AS col FROM sqlite_schema AS s, pragma_table_xinfo(s.name) AS c WHERE s.type IN ('table', 'view'))"

static void everything_has_its_sentence(void **state)
{
	sqlite3 *db = *state;

	assert_no_row(
		db,
		"SELECT name FROM sqlite_schema AS s WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite%' AND NOT EXISTS "
		"(SELECT 1 FROM ascope_doc AS d WHERE d.name = s.name AND d.\"column\" IS NULL AND length(d.text) > 10)");
	assert_no_row(db, "SELECT tbl || '.' || col FROM " COLUMNS " AS c WHERE type = 'view' AND NOT EXISTS "
			  "(SELECT 1 FROM ascope_doc AS d WHERE d.name = tbl AND d.\"column\" = col AND d.text <> '')");
	/* and none is about what is not there, or there twice */
	assert_no_row(db,
		      "SELECT d.name || '.' || d.\"column\" FROM ascope_doc AS d WHERE d.\"column\" IS NOT NULL AND NOT EXISTS "
		      "(SELECT 1 FROM " COLUMNS " AS c WHERE d.name = tbl AND d.\"column\" = col)");
	assert_no_row(
		db, "SELECT name FROM ascope_doc AS d WHERE NOT EXISTS (SELECT 1 FROM sqlite_schema AS s WHERE s.name = d.name)");
	assert_no_row(db, "SELECT name FROM ascope_doc GROUP BY name, \"column\" HAVING count(*) > 1");
	assert_number(
		db,
		"SELECT count(*) FROM ascope_doc WHERE name = 'blocking' AND \"column\" = 'held' AND text LIKE 'off_cpu + on_cpu%'",
		1);
	assert_number(
		db,
		"SELECT count(*) FROM ascope_doc WHERE name = 'loss' AND \"column\" IS NULL AND text LIKE 'What is missing, by cause.%'",
		1);
}

/* Perfetto's public tables (trace_processor, commit ec5d16b1) with the columns that are promised here. */
static void perfetto_names(void **state)
{
	static const char *const queries[] = {
		"SELECT upid, pid, name, start_ts, end_ts FROM process",
		"SELECT utid, tid, name, start_ts, end_ts, upid, is_main_thread FROM thread",
		"SELECT id, name, type, parent_id, source_arg_set_id FROM track",
		"SELECT id, ts, dur, track_id, category, cat, name, depth, parent_id, arg_set_id, thread_ts, thread_dur FROM slice",
		"SELECT id, ts, dur, cpu, utid, end_state, priority, ucpu FROM sched_slice",
		"SELECT id, ts, dur, cpu, utid, end_state, priority, ucpu FROM sched",
		"SELECT id, ts, dur, cpu, utid, state, io_wait, blocked_function, waker_utid, waker_id, irq_context, ucpu FROM thread_state",
		"SELECT id, slice_out, slice_in, trace_id, arg_set_id FROM flow",
		"SELECT id, ts, track_id, value, arg_set_id FROM counter",
		"SELECT name, key_type, int_value, str_value FROM metadata",
		"SELECT name, idx, severity, source, value FROM stats",
		"SELECT id, build_id, exact_offset, start_offset, start, \"end\", load_bias, name FROM stack_profile_mapping",
		"SELECT id, name, mapping, rel_pc, symbol_set_id, deobfuscated_name FROM stack_profile_frame",
		"SELECT id, depth, parent_id, frame_id FROM stack_profile_callsite",
		"SELECT id, symbol_set_id, name, source_file, line_number, inlined FROM stack_profile_symbol",
		"SELECT id, ts, utid, cpu, cpu_mode, callsite_id, unwind_error, perf_session_id FROM perf_sample",
	};
	sqlite3 *db = *state;

	for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
		_cleanup_stmt_ sqlite3_stmt *s = NULL;

		if (db_prepare(db, queries[i], &s) < 0)
			fail_msg("%s: %s", queries[i], sqlite3_errmsg(db));
	}
	assert_number(db, "SELECT count(*) - (SELECT count(*) FROM sample) FROM perf_sample", 0);
	assert_number(db, "SELECT count(*) - (SELECT count(*) FROM poll) FROM slice WHERE depth = 0 AND cat <> 'marker'", 0);
	/* a wait lies in the slice of its poll, on its track */
	assert_no_row(db, "SELECT c.id FROM slice AS c WHERE c.cat = 'wait' AND NOT EXISTS "
			  "(SELECT 1 FROM slice AS p WHERE p.id = c.parent_id AND p.track_id = c.track_id AND p.depth = 0)");
	assert_no_row(db, "SELECT id FROM slice GROUP BY id HAVING count(*) > 1");
	assert_no_row(db, "SELECT id FROM thread_state GROUP BY id HAVING count(*) > 1");
	assert_no_row(db, "SELECT id FROM track GROUP BY id HAVING count(*) > 1");
	assert_no_row(db, "SELECT track_id FROM slice WHERE track_id NOT IN (SELECT id FROM thread_track)");
	assert_no_row(db, "SELECT track_id FROM counter WHERE track_id NOT IN (SELECT id FROM counter_track)");
}

/* A thread that runs 10 ns, waits 20 (of it 5 woken), runs 30, is preempted for 40, runs to the end; another that wakes it from within a poll. */
#define TWO_THREADS                                                                                                                                       \
	"INSERT INTO capture VALUES ('u', 'x.ascope', 1, 1, 1000, 1200, 5000001000, NULL, NULL, 0, 'complete', '');"                                      \
	"INSERT INTO process (id, pid, name, ts_start) VALUES (1, 7, 'p', 0);"                                                                            \
	"INSERT INTO thread (id, process_id, tid, name, ts_last_in, ts_last_out, last_cpu) VALUES (1, 1, 7, 'a', 1100, 1200, 3), "                        \
	"(2, 1, 8, 'b', NULL, NULL, NULL);"                                                                                                               \
	"INSERT INTO _wait (id, state, role, class, rule, syscall) VALUES (1, 'S', 'in_poll', 'lock', 'futex', 'futex'), "                                \
	"(2, 'R', 'in_poll', NULL, NULL, NULL), (3, 'D', 'none', 'disk', 'iowait', NULL);"                                                                \
	"INSERT INTO runtime VALUES (1, 1, 7, NULL, 'multi_thread', 1, NULL, 'x', 1, 0, 1);"                                                              \
	"INSERT INTO worker VALUES (1, 0, 1, 1000);"                                                                                                      \
	"INSERT INTO poll (id, ts, dur, dur_min, dur_max, off_cpu, on_cpu, runnable, waits, samples, class, rule, holds, thread_id, runtime_id, worker, " \
	"task_id, joined_by, classified, state, queued, lifo) VALUES "                                                                                    \
	"(1, 1010, 90, 90, 90, 15, 30, 45, 1, 0, 'lock', 'futex', 'runtime', 1, 1, 0, 5, 'tick', 1, 'complete', 3, 1), "                                  \
	"(2, 1005, 50, 50, 50, 0, 50, 0, 0, 2, 'cpu', 'cpu', 'runtime', 2, 1, 0, 6, 'tick', 1, 'complete', NULL, NULL);"                                  \
	"INSERT INTO _offcpu (thread_id, ts, id, dur, waking, cpu, wait_id, poll_id, waker_tid, waker_task, ran) VALUES "                                 \
	"(1, 1010, 1, 20, 15, 2, 1, 1, 8, 6, 10), (1, 1060, 2, 40, NULL, 3, 2, 1, NULL, NULL, 30), (2, 1150, 3, NULL, NULL, 0, 3, NULL, NULL, NULL, 20);"

static void time_adds_up(void **state)
{
	sqlite3 *db = NULL;

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(schema_create(db), 0);
	fixture_exec(db, TWO_THREADS);
	assert_number(db, "SELECT sum(dur) FROM thread_state WHERE utid = 1", 200);
	assert_no_row(
		db,
		"SELECT ts FROM (SELECT ts, dur, lead(ts) OVER (ORDER BY ts) AS next FROM thread_state WHERE utid = 1) WHERE ts + dur <> next");
	assert_number(
		db,
		"SELECT count(*) FROM thread_state WHERE utid = 1 AND (state, ts, dur) IN (VALUES ('Running', 1000, 10), ('S', 1010, 15), "
		"('R', 1025, 5), ('Running', 1030, 30), ('R+', 1060, 40), ('Running', 1100, 100))",
		6);
	assert_number(db, "SELECT waker_utid FROM thread_state WHERE state = 'R'", 2);
	assert_number(db, "SELECT dur FROM thread_state WHERE utid = 2 AND state = 'D' AND io_wait = 1", -1);
	assert_number(
		db,
		"SELECT count(*) FROM sched WHERE (utid, ts, dur, cpu, end_state) IN (VALUES (1, 1000, 10, 2, 'S'), (1, 1030, 30, 3, 'R+'), "
		"(2, 1130, 20, 0, 'D'))",
		3);
	assert_number(db, "SELECT count(*) FROM sched WHERE utid = 1 AND ts = 1100 AND end_state IS NULL AND cpu = 3", 1);
	assert_number(db, "SELECT on_cpu * 1000 + off_cpu FROM coverage WHERE thread_id = 1", 140060);
	assert_number(db, "SELECT unknown FROM coverage WHERE thread_id = 1", 0);
	assert_number(db, "SELECT unknown FROM coverage WHERE thread_id = 2", 200 - 20 - 50);
	assert_number(db, "SELECT slice_out * 1000 + slice_in FROM flow", 2 * 4 * 1000 + 1 * 4);
	assert_number(db, "SELECT delay FROM wakeup WHERE waker_tid = 8 AND slept = 15 AND waker_task = 6", 5);
	assert_number(db, "SELECT value FROM counter AS c JOIN counter_track AS t ON t.id = c.track_id AND t.worker = 0", 4);
	assert_number(db, "SELECT busy * 1000 + blocked FROM task WHERE task_id = 5 AND polls = 1", 90015);
	assert_number(db, "SELECT round(time * 1e9) FROM v_blocking_ts WHERE poll_id = 1", 5000001010);
	assert_number(db, "SELECT round(busy * 1e3) FROM v_utilisation_ts WHERE name = 'worker 0'", 700);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* A run of 2.5 s is shared out among the seconds that it lies in. */
static void utilisation_of_long_runs(void **state)
{
	sqlite3 *db = NULL;

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(schema_create(db), 0);
	fixture_exec(
		db, TWO_THREADS
		"DELETE FROM _offcpu; UPDATE capture SET ts_end = 1000 + 3500000000, realtime_start = 0;"
		"UPDATE thread SET ts_last_in = NULL;"
		"INSERT INTO _offcpu (thread_id, ts, id, dur, cpu, wait_id, ran) VALUES (1, 3250001000, 1, 1, 0, 1, 2500000000)");
	assert_number(
		db,
		"SELECT group_concat(CAST(round(busy * 100) AS INTEGER), '') FROM (SELECT * FROM v_utilisation_ts ORDER BY time)",
		2510010050);
	assert_number(db, "SELECT count(*) FROM v_utilisation_ts WHERE time = CAST(time AS INTEGER)", 4);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Damaged times: a run of 146 years, which has an end here. */
static void utilisation_of_damaged_times(void **state)
{
	sqlite3 *db = NULL;

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(schema_create(db), 0);
	fixture_exec(
		db, TWO_THREADS
		"DELETE FROM _offcpu; UPDATE capture SET ts_end = 1 << 62, realtime_start = 0;"
		"UPDATE thread SET ts_last_in = NULL;"
		"INSERT INTO _offcpu (thread_id, ts, id, dur, cpu, wait_id, ran) VALUES (1, 1 << 62, 1, 1, 0, 1, (1 << 62) - 1000)");
	assert_number(db, "SELECT count(*) FROM v_utilisation_ts", 500001);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Frames from the row up, innermost first, beside those of the stack. */
#define WALK                                                                                                                     \
	"WITH RECURSIVE up (stack_id, depth, id) AS (SELECT stack_id, 0, callsite_id FROM stack_callsite UNION ALL "             \
	"SELECT up.stack_id, up.depth + 1, c.parent_id FROM up JOIN stack_profile_callsite AS c ON c.id = up.id WHERE c.parent_id IS NOT NULL) "

static void every_stack_is_in_the_tree(void **state)
{
	sqlite3 *db = *state;

	fixture_exec(db, "BEGIN");
	assert_int_equal(callsites_fill(db, CALLSITES_MAX), 0);
	fixture_exec(db, "COMMIT");
	assert_number(db, "SELECT count(*) > 5 FROM stack_callsite", 1);
	assert_no_row(
		db, "SELECT id FROM stack WHERE kind = 'user' AND depth > 0 AND id NOT IN (SELECT stack_id FROM stack_callsite)");
	assert_no_row(
		db, WALK
		"SELECT f.stack_id FROM stack_frame AS f JOIN stack AS s ON s.id = f.stack_id AND s.kind = 'user' LEFT JOIN up USING (stack_id, depth) "
		"LEFT JOIN stack_profile_callsite AS c ON c.id = up.id WHERE c.frame_id IS NOT f.frame_id");
	assert_no_row(
		db, WALK
		"SELECT stack_id FROM up GROUP BY stack_id HAVING count(*) <> (SELECT count(*) FROM stack_frame AS f WHERE f.stack_id = up.stack_id)");
	/* a tree: no frame twice below one row; depths count from the outermost */
	assert_no_row(db, "SELECT parent_id FROM stack_profile_callsite GROUP BY parent_id, frame_id HAVING count(*) > 1");
	assert_no_row(db,
		      "SELECT c.id FROM stack_profile_callsite AS c LEFT JOIN stack_profile_callsite AS p ON p.id = c.parent_id "
		      "WHERE c.depth <> coalesce(p.depth + 1, 0)");
	/* samples in the kernel: its frames stand on the program's */
	assert_no_row(
		db,
		"SELECT s.id FROM sample AS s JOIN perf_sample AS p USING (id) JOIN stack_profile_callsite AS c ON c.id = p.callsite_id "
		"WHERE s.kstack_id IS NOT NULL AND c.frame_id <> (SELECT frame_id FROM stack_frame AS f WHERE f.stack_id = s.kstack_id AND f.depth = 0)");
	assert_number(
		db,
		"SELECT count(*) FROM perf_sample WHERE callsite_id IS NULL AND id IN (SELECT id FROM sample WHERE stack_id IN "
		"(SELECT id FROM stack WHERE depth > 0))",
		0);
}

static void a_tree_that_does_not_fit(void **state)
{
	sqlite3 *db = *state;

	assert_int_equal(callsites_fill(db, 10), 0);
	assert_number(db, "SELECT count(*) FROM stack_profile_callsite", 10);
	assert_number(db, "SELECT value > 0 FROM meta WHERE key = 'ascope.callsites_cut'", 1);
	assert_no_row(
		db, WALK
		"SELECT stack_id FROM up GROUP BY stack_id HAVING count(*) <> (SELECT count(*) FROM stack_frame AS f WHERE f.stack_id = up.stack_id)");
}

/* No room on the disk, or what SQLite refuses: no tree that was cut. */
static void a_tree_that_fails(void **state)
{
	sqlite3 *db = *state;

	fixture_exec(db, "CREATE TEMP TABLE stack_profile_callsite (id PRIMARY KEY CHECK (id < 5), depth, parent_id, frame_id)");
	assert_int_equal(callsites_fill(db, CALLSITES_MAX), -EINVAL);
	assert_number(db, "SELECT count(*) FROM meta WHERE key = 'ascope.callsites_cut'", 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(everything_has_its_sentence),
		TEST(perfetto_names),
		cmocka_unit_test(time_adds_up),
		cmocka_unit_test(utilisation_of_long_runs),
		cmocka_unit_test(utilisation_of_damaged_times),
		TEST(every_stack_is_in_the_tree),
		TEST(a_tree_that_does_not_fit),
		TEST(a_tree_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
