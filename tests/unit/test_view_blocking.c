/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_view_blocking.c: the blocking report on the hand-made database: its numbers against SQL, its words, its width. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "report/view_text.h"
#include "report_fixture.h"

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

static void test_places_equal_sql(void **state)
{
	sqlite3 *db = *state;
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *json = fixture_run(db, view_blocking_json, &o);

	assert_int_equal(fixture_s64(db, "SELECT json_valid(?1)", json), 1);
	/* Every place and class of the view, with the same numbers, and no other. */
	assert_int_equal(
		fixture_s64(
			db,
			"WITH mine AS (SELECT json_extract(value, '$.file') AS file, json_extract(value, '$.line') AS line, "
			"json_extract(value, '$.class') AS class, json_extract(value, '$.worker_time') AS wt, "
			"json_extract(value, '$.count') AS n, json_extract(value, '$.total') AS total, json_extract(value, "
			"'$.max') AS max "
			"FROM json_each(?1, '$.places')), "
			"theirs AS (SELECT file, line, class, holds = 'runtime' AS wt, count(*), sum(dur), max(dur) FROM blocking "
			"WHERE dur_min >= 10000000 GROUP BY function, file, line, class, wt) "
			"SELECT (SELECT count(*) FROM mine) = (SELECT count(*) FROM theirs) AND "
			"NOT EXISTS (SELECT * FROM mine EXCEPT SELECT * FROM theirs)",
			json),
		1);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.totals.runtime.total')", json),
			 fixture_s64(db, "SELECT sum(dur) FROM blocking WHERE dur_min >= 10000000 AND holds = 'runtime'", NULL));
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.totals.runtime.count')", json), 14);
	/* Nearest rank: of 6 the 6th, of 3 the 3rd. */
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.places[0].p99')", json), 450210000);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.places[0].queued_max')", json), 200);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.places[1].queued_max') IS NULL", json), 1);
}

/* Where a CPU-bound poll was sampled is no place of its own: one function, one line of the table, told by its longest. */
static void test_cpu_lines_are_one_place(void **state)
{
	sqlite3 *db = *state;
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *json = NULL, *text = NULL;

	fixture_exec(db, "UPDATE poll SET line = line + id % 50 WHERE class = 'cpu' AND classified = 1");
	json = fixture_run(db, view_blocking_json, &o);
	assert_int_equal(
		fixture_s64(db, "SELECT count(*) FROM json_each(?1, '$.places') WHERE json_extract(value, '$.class') = 'cpu'",
			    json),
		1);
	assert_int_equal(fixture_s64(db,
				     "SELECT json_extract(value, '$.count') = 3 AND json_extract(value, '$.line') = "
				     "(SELECT line FROM blocking WHERE class = 'cpu' ORDER BY dur DESC, ts LIMIT 1) "
				     "FROM json_each(?1, '$.places') WHERE json_extract(value, '$.class') = 'cpu'",
				     json),
			 1);
	text = fixture_run(db, view_blocking, &o);
	assert_int_equal(fixture_count(text, "  cpu"), 2);
}

static void test_p99_of_many(void **state)
{
	sqlite3 *db = *state;
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *json = NULL;

	/* 300 blocks of 20.001 .. 20.300 ms at one place: nearest rank of the 99th percentile is the 297th. */
	fixture_exec(
		db,
		"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) "
		"INSERT INTO poll (ts, dur, dur_min, dur_max, off_cpu, on_cpu, runnable, waits, samples, class, rule, holds, "
		"thread_id, "
		"joined_by, classified, state, function, file, line) "
		"SELECT 1000000000000 + i, 20000000 + i * 1000, 20000000 + i * 1000, 20000000 + i * 1000, 20000000, 0, 0, 1, 0, "
		"'pipe', 'pipe', "
		"'runtime', 2, 'tick', 1, 'complete', 'm::f', 'm.rs', 1 FROM n ORDER BY i * 7 % 300");
	json = fixture_run(db, view_blocking_json, &o);
	assert_int_equal(
		fixture_s64(
			db,
			"SELECT json_extract(value, '$.p99') FROM json_each(?1, '$.places') WHERE json_extract(value, '$.file') "
			"= 'm.rs'",
			json),
		20297000);
}

static void test_blocks_json(void **state)
{
	static const char *const keys[] = {"ts",       "dur",	 "dur_min",  "dur_max",	   "off_cpu", "on_cpu",
					   "runnable", "waits",	 "class",    "syscall",	   "pid",     "ns_pid",
					   "tid",      "ns_tid", "worker",   "runtime_id", "task_id", "function",
					   "file",     "line",	 "stack_id", "state",	   "frames"};
	sqlite3 *db = *state;
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *json = fixture_run(db, view_blocking_json, &o), *names = NULL;

	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.schema_version')", json), 1);
	assert_int_equal(fixture_s64(db, "SELECT json_array_length(?1, '$.blocks')", json), 16);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		char sql[160];

		(void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM json_each(?1, '$.blocks[0]') WHERE key = '%s'", keys[i]);
		assert_int_equal(fixture_s64(db, sql, json), 1);
	}
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.blocks[0].tid')", json), 24038);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.blocks[0].dur')", json), 450210000);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.verdict.lost.ring_full')", json), 37);
	assert_int_equal(fixture_s64(db, "SELECT json_array_length(?1, '$.verdict.reasons')", json), 2);
	/* Kernel first, then user, each innermost first, inlined functions included. */
	names = fixture_text(
		db,
		"SELECT group_concat(json_extract(value, '$.kind') || CASE json_extract(value, '$.inlined') WHEN 1 THEN '+' "
		"ELSE '' END, ' ') "
		"FROM json_each(?1, '$.blocks[0].frames')",
		json);
	assert_string_equal(
		names,
		"kernel kernel kernel kernel kernel kernel kernel native std+ std user+ user std+ runtime+ runtime runtime std");
	/* Frames without a name. */
	assert_int_equal(
		fixture_s64(db,
			    "SELECT count(*) FROM json_each(?1, '$.blocks') AS b, json_each(b.value, '$.frames') AS f "
			    "WHERE json_extract(b.value, '$.class') = 'other' AND json_extract(f.value, '$.function') IS NULL "
			    "AND json_extract(f.value, '$.kind') IS NULL",
			    json),
		3);
}

static void test_text(void **state)
{
	static const char *const words[] = {
		"orders.ascope  prod-3  pid 24036 orders  30.0 s  4 workers + 1 current_thread runtime",
		"PARTIAL 99.0 % (37 lost, 98.96 % stacks whole)",
		"of 15,873 events 37 were lost while recording (0.23 %)",
		"14 blocked polls >= 10 ms   worker time lost 2.80 s of 150 s (1.9 %)   worst 450.2 ms",
		"#1  450.21 ms  sleep (clock_nanosleep)   worker 1 (tid 24038, cpu 1)   +3.214 s\n    task 30\n",
		"process_large_file         src/api.rs:142\n",
		"handle_upload::{async fn}  src/api.rs:89\n",
		"... 5 runtime frames (--full)",
		"kernel   do_nanosleep < hrtimer_nanosleep < __x64_sys_clock_nanosleep\n",
		">= 200 queued at its start (1 in the LIFO slot, 199 local)",
		"try      tokio::time::sleep(..).await, or tokio::task::spawn_blocking for code that must block",
		"try      reqwest::Client (async) in place of reqwest::blocking",
		"try      tokio::task::spawn_blocking around the hash: it is slow by design",
		"was blocked already when the recording began",
		"still blocked when the recording ended",
		"current_thread runtime 2 (tid 24042, cpu 1)",
		"root future (block_on) of this runtime",
		"root future on thread orders (tid 24036",
		"local set on thread orders (tid 24036",
		"parts    waiting 20.0 ms in 20 waits, on-CPU 4.0 ms, runnable, but not running 1.0 ms",
		"length   between 92.40 ms and 96.40 ms, seen by 47 samples",
		"... the stack could not be walked further: at the limit of frames\n",
		"reqwest::blocking::client::Client::execute  reqwest-0.12.9/src/blocking/client.rs:900\n",
		"fetch_rates?                                src/pricing.rs:55\n",
		"... the stack could not be walked further: no unwind table (libweird.so.1)\n",
		"orders+0x2400",
		"\nSTACKS  98.96 % of 193 whole; ended early: 1 in libweird.so.1 (no unwind table), 1 at the limit of frames; 1 walked by "
		"frame pointers alone: whether they are\n        whole is not known; 1 rest in part on frame pointers (such frames are "
		"marked ?)\n",
		"ROOT FUTURES AND LOCAL SETS: 2 blocked polls >= 10 ms, 305.0 ms in all, not counted as worker time",
		"possible: 1 more poll may",
		"unclassified: 1 stretch",
		"contention: 1 poll lasted >= 10 ms because the CPUs were busy",
		"2.6 %  /opt/vendor/libweird.so.1\n",
		"pass --target libweird.so.1",
		"runtime 2  tokio 1.53.1  current_thread  pid 24036",
	};
	sqlite3 *db = *state;
	struct report_opts o = fixture_opts(160);
	_cleanup_free_ char *text = NULL;

	o.top = 0;
	text = fixture_run(db, view_blocking, &o);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strstr(text, words[i]))
			fail_msg("not in the report: %s\n%s", words[i], text);
	/* A queue that was not read is not spoken of: 4 blocks of the first place have one, the sleep of task 45 has not. */
	assert_int_equal(fixture_count(text, "\n#"), 16);
	assert_int_equal(fixture_count(text, "paid by"), 8);
	assert_null(strchr(text, '\x1b'));
}

/* How walks ended is told in events, the commonest first; the rest is summed up; 100 % is said only when it is. */
static void test_stack_ends(void **state)
{
	sqlite3 *db = *state;
	struct report_opts o = fixture_opts(160);
	_cleanup_free_ char *many = NULL, *all = NULL, *json = NULL, *none = NULL;

	fixture_exec(
		db,
		"DELETE FROM stack_end; INSERT INTO stack_end VALUES ('whole', NULL, 9999989, 0, 5), ('no_table', 3, 5, 0, 1), "
		"('no_table', 2, 1, 0, 1), ('fault', 2, 2, 0, 1), ('leaf_only', NULL, 2, 0, 1), ('no_mapping', NULL, 1, 0, 1)");
	many = fixture_run(db, view_blocking, &o);
	assert_non_null(strstr(many, "(37 lost, 99.99 % stacks whole)"));
	assert_non_null(strstr(
		many, "\nSTACKS  99.99 % of 10,000,000 whole; ended early: 5 in libweird.so.1 (no unwind table), "
		      "2 in libc.so.6 (stack memory not readable), 2 not walked, 1 in no known\n        file, 1 elsewhere\n"));
	json = fixture_run(db, view_blocking_json, &o);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.verdict.stacks')", json), 10000000);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.verdict.stacks_whole')", json), 9999989);
	assert_int_equal(
		fixture_s64(db,
			    "SELECT count(*) FROM json_each(?1, '$.verdict.stack_ends') WHERE value ->> 'status' = 'no_table' "
			    "AND value ->> 'module' LIKE '%/libweird.so.1' AND value ->> 'events' = 5",
			    json),
		1);
	fixture_exec(db, "DELETE FROM stack_end WHERE status <> 'whole'");
	all = fixture_run(db, view_blocking, &o);
	assert_non_null(strstr(all, "(37 lost, 100 % stacks whole)"));
	assert_non_null(strstr(all, "\nSTACKS  100 % of 9,999,989 whole\n"));
	fixture_exec(db, "DELETE FROM stack_end");
	none = fixture_run(db, view_blocking, &o);
	assert_null(strstr(none, "STACKS"));
	assert_null(strstr(none, "stacks whole"));
}

/* A frame that a frame pointer led to is marked, in JSON too, and the status of the stack is told. */
static void test_guessed(void **state)
{
	sqlite3 *db = *state;
	struct report_opts o = fixture_opts(160);
	_cleanup_free_ char *json = fixture_run(db, view_blocking_json, &o), *marks = NULL, *empty = NULL;

	marks = fixture_text(
		db,
		"SELECT group_concat(f.value ->> 'guessed', '') FROM json_each(?1, '$.blocks') AS b, "
		"json_each(b.value, '$.frames') AS f WHERE b.value ->> 'syscall' = 'recvfrom' AND b.value ->> 'stack_id' = 6",
		json);
	assert_string_equal(marks, "0011");
	assert_int_equal(fixture_s64(db,
				     "SELECT count(*) FROM json_each(?1, '$.blocks') WHERE value ->> 'stack_status' = 'no_table'",
				     json),
			 1);
	/* a stack without a frame still says why */
	fixture_exec(db, "DELETE FROM stack_part WHERE stack_id = 6");
	o.top = 0;
	empty = fixture_run(db, view_blocking, &o);
	assert_non_null(strstr(empty, "      ... the stack could not be walked at all: no unwind table\n"));
}

/*
 * What runs the task is one line, with the user's code that entered the runtime in it; a user's function between two of
 * the task's own frames is not.
 */
static void test_outer_frames(void **state)
{
	static const char more[] =
		"INSERT INTO frame VALUES (60, 1, 9472, 1), (61, 1, 9488, 1), (62, 1, 9504, 1);"
		"INSERT INTO symbol VALUES (60, 0, 'orders::main', 'src/main.rs', 7, 0, 'user'), "
		"(61, 0, 'tokio::runtime::runtime::Runtime::block_on', '/r/tokio-1.53.1/src/runtime/runtime.rs', 370, 0, 'runtime'), "
		"(62, 0, 'tokio::time::timeout::poll', '/r/tokio-1.53.1/src/time/timeout.rs', 1, 0, 'runtime');"
		"INSERT INTO frame_list VALUES (3, 7, 4), (3, 8, 60);" /* file: a task polled below main */
		"UPDATE frame_list SET frame_id = 62 WHERE list_id = 1 AND depth = 3;"
		"UPDATE frame_list SET frame_id = 14 WHERE list_id = 1 AND depth = 4;" /* sleep: one future within another */
		"INSERT INTO frame_list VALUES (7, 2, 61), (7, 3, 60)";		       /* a root future below main */
	sqlite3 *db = *state;
	struct report_opts o = fixture_opts(160);
	_cleanup_free_ char *text = NULL, *full = NULL;

	fixture_exec(db, more);
	o.top = 0;
	text = fixture_run(db, view_blocking, &o);
	assert_non_null(strstr(text, "      load_config  src/config.rs:18\n      ... 8 outer frames (--full)\n"));
	assert_non_null(strstr(
		text, "src/api.rs:89\n      ... 1 runtime frame (--full)\n      fetch_rates                src/pricing.rs:55\n"));
	assert_non_null(strstr(text, "      load_config  src/config.rs:18\n      ... 2 outer frames (--full)\n"));
	assert_null(strstr(text, "src/main.rs:7"));
	o.full = true;
	full = fixture_run(db, view_blocking, &o);
	assert_int_equal(fixture_count(full, "src/main.rs:7"), 2);
}

/* Code of a JIT compiler is shown wherever it is, under the name it was given. */
static void test_jit_frames(void **state)
{
	sqlite3 *db = *state;
	struct report_opts o = fixture_opts(160);
	_cleanup_free_ char *text = NULL, *json = NULL;

	fixture_exec(db, "INSERT INTO symbol VALUES (30, 0, 'JS:*get total<T>', '/srv/js dir/a.js', 10, 0, 'jit')");
	o.top = 0;
	text = fixture_run(db, view_blocking, &o);
	assert_non_null(strstr(text, "      JS:*get total<T>?                           /srv/js dir/a.js:10\n"
				     "      ... the stack could not be walked further: no unwind table (libweird.so.1)\n"));
	/* of the stripped stack it is the innermost frame: all there is to tell */
	assert_non_null(strstr(text, "      JS:*get total<T>  /srv/js dir/a.js:10\n      orders+0x2400\n"));
	json = fixture_run(db, view_blocking_json, &o);
	assert_int_equal(fixture_s64(db,
				     "SELECT count(*) FROM json_each(?1, '$.blocks') AS b, json_each(b.value, '$.frames') AS f "
				     "WHERE f.value ->> 'kind' = 'jit' AND f.value ->> 'line' = 10",
				     json),
			 2);
}

static void test_lifo_stealable(void **state)
{
	sqlite3 *db = *state;
	struct report_opts o = fixture_opts(160);
	_cleanup_free_ char *before = NULL, *after = NULL;

	o.top = 10;
	before = fixture_run(db, view_blocking, &o);
	fixture_exec(db, "UPDATE runtime SET tokio_version = '1.52.1'");
	after = fixture_run(db, view_blocking, &o);
	assert_int_equal(fixture_count(before, "could run nowhere else"), 2);
	assert_int_equal(fixture_count(after, "could run nowhere else"), 0);
}

/* No line passes the width but those that are one unbreakable path; no file:line is cut. */
static void test_widths(void **state)
{
	static const char long_place[] = "crates/cache/src/very/deeply/nested/module/of/the/application/sharded_cache.rs:1207";
	sqlite3 *db = *state;

	for (u32 width = TEXT_MIN_WIDTH; width <= TEXT_MAX_WIDTH; width += 8) {
		struct report_opts o = fixture_opts(width);
		_cleanup_free_ char *text = NULL;
		char *rest, *line;

		o.top = 0;
		text = fixture_run(db, view_blocking, &o);
		assert_true(fixture_count(text, "src/api.rs:142\n") + fixture_count(text, "src/api.rs:142 ") >= 7);
		assert_int_equal(fixture_count(text, long_place), 4);
		rest = text;
		while ((line = strsep(&rest, "\n")) != NULL) {
			if (text_width(line) > width && strchr(line + strspn(line, " "), ' '))
				fail_msg("width %u: %s", width, line);
			if (*line)
				assert_true(line[strlen(line) - 1] != ' ');
		}
	}
}

static void test_full(void **state)
{
	sqlite3 *db = *state;
	struct report_opts o = fixture_opts(160);
	_cleanup_free_ char *text = NULL;

	o.full = true;
	o.top = 0;
	text = fixture_run(db, view_blocking, &o);
	assert_null(strstr(text, "--full"));
	assert_non_null(strstr(text, "orders::api::process_large_file"));
	assert_non_null(strstr(text, "src/api.rs:142  (inlined)"));
	assert_non_null(strstr(text, "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/thread/functions.rs:301"));
	assert_non_null(strstr(text, "__schedule < schedule < do_nanosleep"));
}

static void test_color_and_verdicts(void **state)
{
	sqlite3 *db = *state;
	struct report_opts o = fixture_opts(160);
	_cleanup_free_ char *partial = NULL, *bad = NULL, *good = NULL, *cut = NULL;

	o.color = true;
	partial = fixture_run(db, view_blocking, &o);
	assert_non_null(strstr(partial, "\x1b[33mPARTIAL 99.0 %\x1b[0m"));
	fixture_exec(db, "UPDATE capture SET verdict = 'untrustworthy'");
	bad = fixture_run(db, view_blocking, &o);
	assert_non_null(strstr(bad, "\x1b[1;31mUNTRUSTWORTHY\x1b[0m"));
	fixture_exec(
		db,
		"UPDATE capture SET verdict = 'partial', verdict_why = 'it was not closed'; DELETE FROM loss; DELETE FROM gap");
	cut = fixture_run(db, view_blocking, &o);
	assert_non_null(strstr(cut, "\x1b[33mPARTIAL\x1b[0m (0 lost"));
	fixture_exec(db, "UPDATE capture SET verdict = 'complete', verdict_why = ''; UPDATE stack_end SET status = 'whole'");
	good = fixture_run(db, view_blocking, &o);
	assert_non_null(strstr(good, "\x1b[32mCOMPLETE\x1b[0m (0 lost, 100 % stacks whole)"));
}

static void test_nothing_found(void **state)
{
	sqlite3 *db = *state;
	struct report_opts o = fixture_opts(160);
	_cleanup_free_ char *text = NULL;

	o.min_ns = 2 * NSEC_PER_SEC;
	text = fixture_run(db, view_blocking, &o);
	assert_non_null(strstr(
		text,
		"no poll blocked for >= 2 s in 30.0 s on 4 workers + 1 current_thread runtime; looked at 1,510 switches and 158 "
		"samples"));
	assert_non_null(strstr(text, "a block may be among the missing"));
	assert_non_null(strstr(text, "only waits were judged on 1 of 2 runtimes"));
	assert_non_null(strstr(text, "the longest took 450.21 ms (sleep): process_large_file  src/api.rs:142"));
	assert_null(strstr(text, "BY PLACE"));
}

static void test_window(void **state)
{
	sqlite3 *db = *state;
	struct report_opts o = fixture_opts(160);
	_cleanup_free_ char *text = NULL;
	FILE *out = fopen("/dev/null", "w");

	/* Of the poll at 3.214 s .. 3.664 s 100 ms are within: 100 ms of 5 workers' 100 ms. */
	o.from_ns = 3300 * NSEC_PER_MSEC;
	o.to_ns = 3400 * NSEC_PER_MSEC;
	text = fixture_run(db, view_blocking, &o);
	assert_non_null(
		strstr(text, "1 blocked poll >= 10 ms   worker time lost 100.0 ms of 500.0 ms (20.0 %)   worst 450.2 ms"));
	assert_non_null(strstr(text, "only window +3.300 s to +3.400 s"));
	o.from_ns = 31 * NSEC_PER_SEC;
	o.to_ns = 0;
	assert_int_equal(view_blocking(db, &o, out), -ERANGE);
	(void)fclose(out);
}

static void test_top(void **state)
{
	sqlite3 *db = *state;
	struct report_opts o = fixture_opts(160);
	_cleanup_free_ char *text = NULL, *json = NULL;

	o.top = 3;
	text = fixture_run(db, view_blocking, &o);
	assert_non_null(strstr(text, "... 11 more (--top 0 lists all)"));
	assert_null(strstr(text, "more places")); /* fewer than ten are always listed */
	json = fixture_run(db, view_blocking_json, &o);
	assert_int_equal(fixture_s64(db, "SELECT json_array_length(?1, '$.blocks')", json), 3);
}

/* Without --top: each place once, by its longest poll, in the order of the table, and how many it stands for. */
static void test_details_by_place(void **state)
{
	static const char *const order[] = {
		"\n#1  450.21 ms  sleep (clock_nanosleep)",
		"the longest of 6 at this place, 2.31 s in all\n    task 30\n",
		"\n#2  92.40 ms  cpu",
		"the longest of 3 at this place, 264.0 ms in all\n",
		"\n#3  140.30 ms  network",
		"\n#7  12.1",
		"... 7 more at these places (--top N: the N longest, --top 0: all)\n",
		"ROOT FUTURES AND LOCAL SETS",
		"\n#8  250.00 ms  sleep",
		"\n#9  55.00 ms  lock",
	};
	sqlite3 *db = *state;
	struct report_opts o = fixture_opts(160);
	_cleanup_free_ char *text = fixture_run(db, view_blocking, &o);
	const char *at = text;

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		at = strstr(at, order[i]);
		if (!at)
			fail_msg("not in the report, or not in this order: %s\n%s", order[i], text);
	}
	assert_int_equal(fixture_count(text, "\n#"), 9);
	assert_int_equal(fixture_count(text, "at this place"), 2);
}

/* More places than are listed are counted. */
static void test_details_of_many_places(void **state)
{
	sqlite3 *db = *state;
	struct report_opts o = fixture_opts(160);
	_cleanup_free_ char *text = NULL;

	fixture_exec(
		db, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) "
		    "INSERT INTO poll (ts, dur, dur_min, dur_max, off_cpu, on_cpu, runnable, waits, samples, class, rule, holds, "
		    "thread_id, joined_by, classified, state, function, file, line) "
		    "SELECT 1000000000000 + i, 20000000, 20000000, 20000000, 20000000, 0, 0, 1, 0, 'pipe', 'pipe', 'runtime', 2, "
		    "'tick', 1, 'complete', 'm::f', 'm.rs', i / 2 FROM n");
	text = fixture_run(db, view_blocking, &o);
	assert_int_equal(fixture_count(text, "\n#"), 12);
	assert_non_null(strstr(text, " more at these places and 18 more (--top N"));
}

/* When what the report is about has no names, its first lines say so. */
static void test_names_missing(void **state)
{
	sqlite3 *db = *state;
	struct report_opts o = fixture_opts(80);
	_cleanup_free_ char *named = fixture_run(db, view_blocking, &o), *text = NULL;

	assert_null(strstr(named, "NAMES ARE MISSING"));
	fixture_exec(db, "DELETE FROM symbol; UPDATE module SET note = 'no names: pass it'");
	text = fixture_run(db, view_blocking, &o);
	assert_non_null(strstr(text, "NAMES ARE MISSING for "));
	assert_true(strstr(text, "NAMES ARE MISSING") < strstr(text, "blocked polls"));
}

static void test_empty(void **state)
{
	sqlite3 *db = fixture_open_empty();
	struct report_opts o = fixture_opts(80);
	_cleanup_free_ char *text = fixture_run(db, view_blocking, &o), *json = fixture_run(db, view_blocking_json, &o);

	(void)state;
	assert_non_null(strstr(text, "COMPLETE (0 lost)"));
	assert_non_null(strstr(text, "no poll was seen for >= 10 ms in 30.0 s: no Tokio runtime was found"));
	assert_non_null(strstr(text, "No Tokio runtime was found"));
	assert_int_equal(fixture_s64(db, "SELECT json_valid(?1)", json), 1);
	assert_int_equal(fixture_s64(db, "SELECT json_array_length(?1, '$.blocks')", json), 0);
	fixture_close(db);
}

/* A database without its one capture row is an error, not a report. */
static void test_no_capture_row(void **state)
{
	sqlite3 *db = *state;
	struct report_opts o = fixture_opts(80);
	FILE *out = fopen("/dev/null", "w");

	fixture_exec(db, "DELETE FROM capture");
	assert_int_equal(view_blocking(db, &o, out), -ENODATA);
	assert_int_equal(view_summary(db, &o, out), -ENODATA);
	(void)fclose(out);
}

/* What is known of tasks: name, spawn place, exact victims, the driver. */
static void test_tasks(void **state)
{
	static const char *const words[] = {
		"  max       p99  victims\n",
		"    task 30  orders::api::handle_upload   spawned at src/main.rs:88\n",
		"3 tasks queued behind it (at its start 1 in the LIFO slot, 199 local, 47 injected); worst extra delay 450.2 ms\n",
		"    driver   the I/O driver stood still for 431.0 ms of it: all timers and I/O of runtime 1 waited\n",
	};
	sqlite3 *db = fixture_open_tasks();
	struct report_opts o = fixture_opts(160);
	_cleanup_free_ char *text = fixture_run(db, view_blocking, &o), *json = fixture_run(db, view_blocking_json, &o),
			    *all = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strstr(text, words[i]))
			fail_msg("not in the report: %s\n%s", words[i], text);
	/* known of a part of the place's blocks */
	assert_int_equal(fixture_s64(db, "SELECT json_type(?1, '$.places[0].victims') = 'null'", json), 1);
	assert_non_null(strstr(text, "  >=200\n"));
	assert_int_equal(fixture_s64(db, "SELECT json_type(?1, '$.places[1].victims') = 'null'", json), 1);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.blocks[0].task_name') = 'orders::api::handle_upload'", json),
			 1);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.blocks[0].spawn_line')", json), 88);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.blocks[0].victims')", json), 3);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.blocks[0].driver_stalled')", json), 431000000);
	o.top = 0;
	all = fixture_run(db, view_blocking, &o);
	assert_non_null(strstr(all, "no task was delayed by it (at its start 0 in the LIFO slot, 12 local)"));
	fixture_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tasks),
		cmocka_unit_test_setup_teardown(test_places_equal_sql, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cpu_lines_are_one_place, setup, teardown),
		cmocka_unit_test_setup_teardown(test_p99_of_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_blocks_json, setup, teardown),
		cmocka_unit_test_setup_teardown(test_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stack_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_guessed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_jit_frames, setup, teardown),
		cmocka_unit_test_setup_teardown(test_outer_frames, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lifo_stealable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_widths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_color_and_verdicts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_found, setup, teardown),
		cmocka_unit_test_setup_teardown(test_window, setup, teardown),
		cmocka_unit_test_setup_teardown(test_top, setup, teardown),
		cmocka_unit_test_setup_teardown(test_details_by_place, setup, teardown),
		cmocka_unit_test_setup_teardown(test_details_of_many_places, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_missing, setup, teardown),
		cmocka_unit_test(test_empty),
		cmocka_unit_test_setup_teardown(test_no_capture_row, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
