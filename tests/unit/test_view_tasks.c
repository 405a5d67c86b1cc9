/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_view_tasks.c: kinds of task: what belongs together, sums against plain SQL, what is said where something was not recorded. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "report/task_stats.h"
#include "report/view_text.h"
#include "report_fixture.h"

static s64 of_kind(sqlite3 *db, const char *json, const char *name, const char *key)
{
	char sql[256];

	(void)snprintf(
		sql, sizeof(sql),
		"SELECT json_extract(value, '$.%s') FROM json_each(?1, '$.kinds') WHERE json_extract(value, '$.name') = '%s'",
		key, name);
	return fixture_s64(db, sql, json);
}

static void test_kinds(void **state)
{
	static const char upload[] = "orders::api::handle_upload";
	sqlite3 *db = fixture_open_tasks();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *json = NULL;

	(void)state;
	o.full = true;
	json = fixture_run(db, view_tasks_json, &o);
	assert_int_equal(fixture_s64(db, "SELECT json_valid(?1)", json), 1);
	/* Two vtables and two columns of one line are one kind. */
	assert_int_equal(of_kind(db, json, upload, "tasks"), 6);
	assert_int_equal(of_kind(db, json, upload, "alive_at_end"), 3);
	assert_int_equal(of_kind(db, json, upload, "spawn_line"), 88);
	assert_int_equal(
		of_kind(db, json, upload, "blocked"),
		fixture_s64(db,
			    "SELECT sum(dur) FROM blocking WHERE task_name = 'orders::api::handle_upload' AND held >= 10000000",
			    NULL));
	/* Poll 6 lies in an exact poll whose end was not seen, poll 5 in none: they are known by what was caught. */
	assert_int_equal(
		of_kind(db, json, upload, "busy"),
		fixture_s64(
			db,
			"SELECT sum(dur) FROM task_poll JOIN task_type AS y ON y.id = type_id WHERE y.name = 'orders::api::handle_upload'",
			NULL) +
			310000000 + 200000000);
	assert_int_equal(of_kind(db, json, upload, "delays"), 7);
	assert_int_equal(of_kind(db, json, upload, "wakes"), 8);
	assert_int_equal(of_kind(db, json, upload, "delay_max"), fixture_s64(db, "SELECT max(delay) FROM _task_wake", NULL));
	/* Ranks 4 and 7 of 7. */
	assert_int_equal(
		of_kind(db, json, upload, "delay_p50"),
		fixture_s64(
			db,
			"SELECT delay FROM _task_wake WHERE type_id IN (1, 4) AND delay IS NOT NULL ORDER BY delay LIMIT 1 OFFSET 3",
			NULL));
	assert_int_equal(of_kind(db, json, upload, "delay_p99"), of_kind(db, json, upload, "delay_max"));
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.kinds[0].spawned_by') = 'orders::accept_loop'", json), 1);
	/* A hash of 90 ms is a block, too, though its thread never waits. */
	assert_int_equal(of_kind(db, json, "orders::auth::login", "blocks"), 3);
	assert_int_equal(of_kind(db, json, "orders::auth::login", "waited"), 0);
	assert_int_equal(fixture_s64(db, "SELECT sum(json_extract(value, '$.tasks')) FROM json_each(?1, '$.kinds')", json),
			 fixture_s64(db, "SELECT count(*) FROM task", NULL));
	assert_int_equal(fixture_s64(db, "SELECT sum(json_array_length(value, '$.list')) FROM json_each(?1, '$.kinds')", json),
			 fixture_s64(db, "SELECT count(*) FROM task", NULL));
	/* Most blocked first. */
	assert_int_equal(
		fixture_s64(
			db,
			"SELECT count(*) FROM (SELECT json_extract(value, '$.blocked') AS b, lag(json_extract(value, '$.blocked')) OVER (ORDER BY key) "
			"AS before FROM json_each(?1, '$.kinds')) WHERE b > before",
			json),
		0);
	fixture_close(db);
}

static void test_window(void **state)
{
	sqlite3 *db = fixture_open_tasks();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *json = NULL;

	(void)state;
	/* Half of the poll of task 30: 3.414 s to 3.664 s and what follows of it. */
	o.from_ns = 3414 * NSEC_PER_MSEC;
	o.to_ns = 3664 * NSEC_PER_MSEC;
	o.full = true;
	json = fixture_run(db, view_tasks_json, &o);
	assert_int_equal(
		fixture_s64(
			db,
			"SELECT json_extract(t.value, '$.busy') FROM json_each(?1, '$.kinds') AS k, json_each(k.value, '$.list') AS t "
			"WHERE json_extract(t.value, '$.task_id') = 30",
			json),
		250000000);
	/* What ended before or was spawned later is not there. */
	assert_int_equal(
		fixture_s64(
			db,
			"SELECT count(*) FROM json_each(?1, '$.kinds') AS k, json_each(k.value, '$.list') AS t WHERE json_extract(t.value, '$.task_id') IN (47, 51, 52)",
			json),
		0);
	fixture_close(db);
}

static void test_text(void **state)
{
	static const char *const words[] = {
		"orders::api::handle_upload                  6     3    2.32 s    2.31 s  450.2 ms       13",
		"    spawned at src/main.rs:88 by orders::accept_loop (4 of them)\n",
		"  ev\"il<a\\b>?[31m | orders::cache::sweep",
		"    spawned at src/config.rs:18 by the runtime's driver\n",
		"spawned at src/main.rs:41 by a root future (block_on)",
		"(no name) 0x557e1515f4bc",
		"5 alive at the end, of 9 not known",
		"no name: 1 task; see WITHOUT NAMES, if it is there,",
		"BLOCKING POOL ",
		"orders::render::render_invoice::{closure}",
		"Root futures (block_on): 2 polls caught",
		"until +20.000 s, then taken away: all spawn sites learned",
		"not possible: no symbol of it: the binary is stripped",
	};
	sqlite3 *db = fixture_open_tasks();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *text = fixture_run(db, view_tasks, &o), *full = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strstr(text, words[i]))
			fail_msg("not in the report: %s\n%s", words[i], text);
	assert_null(strstr(text, "worker::Launch")); /* Tokio's own loop is no task of the user's */
	assert_null(strchr(text, '\033'));
	assert_null(strstr(text, "ascope record --wakes"));
	o.full = true;
	full = fixture_run(db, view_tasks, &o);
	assert_non_null(strstr(full, "task 30  +3.100 s, 600.0 ms"));
	fixture_close(db);
}

/* A capture without tasks says what it estimates, and what to record. */
static void test_not_recorded(void **state)
{
	sqlite3 *db = fixture_open(), *empty = fixture_open_empty();
	struct report_opts o = fixture_opts(80);
	_cleanup_free_ char *text = fixture_run(db, view_tasks, &o), *none = fixture_run(empty, view_tasks, &o),
			    *json = fixture_run(empty, view_tasks_json, &o);

	(void)state;
	assert_non_null(strstr(text, "(type not known)"));
	assert_null(strstr(text, "no name:"));
	assert_non_null(strstr(text, "~2.90 s"));
	assert_non_null(strstr(text, "--wakes"));
	assert_non_null(strstr(text, "--tasks=off"));
	assert_non_null(strstr(none, "no task is known: no Tokio runtime was found"));
	assert_int_equal(fixture_s64(db, "SELECT json_array_length(?1, '$.kinds')", json), 0);
	/* Polls that were recorded up to a time are not all polls. */
	fixture_exec(db, "INSERT INTO _task (layout, task_id, runtime_id, blocking, alive_at_start) VALUES (1, 30, 1, 0, 0);"
			 "INSERT INTO _task_poll (ts, dur, thread_id, task_row) VALUES (1003000000000, 1000, 3, 1);"
			 "INSERT INTO probe VALUES (1004000000000, 1, 1, 'poll', 'taken away', 1, 9, 9, 'above --max-overhead')");
	free(text);
	text = fixture_run(db, view_tasks, &o);
	assert_non_null(strstr(text, "caught"));
	fixture_close(db);
	fixture_close(empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_not_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
