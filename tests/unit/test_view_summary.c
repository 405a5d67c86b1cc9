/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_view_summary.c: the one-screen summary: parts of a thread's time add up, hostile names are harmless, emptiness is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "report/view_text.h"
#include "report_fixture.h"

static void test_parts_add_up(void **state)
{
	sqlite3 *db = fixture_open();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *json = fixture_run(db, view_summary_json, &o);

	(void)state;
	assert_int_equal(fixture_s64(db, "SELECT json_valid(?1)", json), 1);
	assert_int_equal(fixture_s64(db, "SELECT json_array_length(?1, '$.threads')", json), 8);
	assert_int_equal(
		fixture_s64(db,
			    "SELECT count(*) FROM json_each(?1, '$.threads') AS t WHERE json_extract(t.value, '$.wall') <> "
			    "json_extract(t.value, '$.on_cpu') + json_extract(t.value, '$.runnable') + json_extract(t.value, "
			    "'$.blocked_in_poll') + "
			    "json_extract(t.value, '$.parked') + json_extract(t.value, '$.other')",
			    json),
		0);
	assert_int_equal(fixture_s64(db, "SELECT sum(json_extract(value, '$.switches')) FROM json_each(?1, '$.threads')", json),
			 1510);
	/* The blocks of worker 3: one of them still open, which counts to the end. */
	assert_int_equal(fixture_s64(db,
				     "SELECT json_extract(value, '$.blocked_in_poll') FROM json_each(?1, '$.threads') WHERE "
				     "json_extract(value, '$.tid') = 24040",
				     json),
			 fixture_s64(db, "SELECT sum(off_cpu) FROM poll WHERE thread_id = 5", NULL));
	assert_int_equal(fixture_s64(db, "SELECT sum(json_extract(value, '$.count')) FROM json_each(?1, '$.samples')", json),
			 158);
	fixture_close(db);
}

static void test_text(void **state)
{
	static const char *const words[] = {
		"worker 0",
		"runtime 2 (metrics)",
		"?         ?",
		"14 >= 10 ms held a worker for 2.80 s (1.9 % of worker time)",
		"in_poll user 156 (98.7 %),  in_poll kernel 2 (1.3 %)",
		"ring_full 37;  events may be missing in 300.0 ms (1.0 % of the recording)",
		"ev\"il;<b>?[31m 7",
	};
	sqlite3 *db = fixture_open();
	struct report_opts o = fixture_opts(160);
	_cleanup_free_ char *text = fixture_run(db, view_summary, &o);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strstr(text, words[i]))
			fail_msg("not in the summary: %s\n%s", words[i], text);
	assert_null(strchr(text, '\x1b'));
	fixture_close(db);
}

static void test_widths(void **state)
{
	sqlite3 *db = fixture_open();

	(void)state;
	for (u32 width = TEXT_MIN_WIDTH; width <= TEXT_MAX_WIDTH; width += 8) {
		struct report_opts o = fixture_opts(width);
		_cleanup_free_ char *text = fixture_run(db, view_summary, &o);
		char *rest = text, *line;

		while ((line = strsep(&rest, "\n")) != NULL)
			if (text_width(line) > width && strchr(line + strspn(line, " "), ' '))
				fail_msg("width %u: %s", width, line);
	}
	fixture_close(db);
}

static void test_top_threads(void **state)
{
	sqlite3 *db = fixture_open();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *text = NULL;

	(void)state;
	o.top = 2;
	text = fixture_run(db, view_summary, &o);
	assert_non_null(strstr(text, "  6 more  "));
	fixture_close(db);
}

static void test_empty(void **state)
{
	sqlite3 *db = fixture_open_empty();
	struct report_opts o = fixture_opts(80);
	_cleanup_free_ char *text = fixture_run(db, view_summary, &o), *json = fixture_run(db, view_summary_json, &o);

	(void)state;
	assert_non_null(strstr(text, "no process seen"));
	assert_non_null(strstr(text, "LOST  nothing"));
	assert_int_equal(fixture_s64(db, "SELECT json_valid(?1)", json), 1);
	fixture_close(db);
}

static void test_stopped_by(void **state)
{
	sqlite3 *db = fixture_open();
	struct report_opts o = fixture_opts(160);
	_cleanup_free_ char *plain = fixture_run(db, view_summary, &o), *unknown = fixture_run(db, view_summary_json, &o), *text,
			    *json;

	(void)state;
	assert_null(strstr(plain, "--max-size"));
	assert_int_equal(fixture_s64(db, "SELECT json_type(?1, '$.capture.stopped_by') = 'null'", unknown), 1);
	fixture_exec(db, "INSERT INTO meta VALUES ('recording.stopped_by', 'max-size')");
	text = fixture_run(db, view_summary, &o);
	json = fixture_run(db, view_summary_json, &o);
	assert_non_null(strstr(text, "\n  it ended at --max-size after 30.0 s\n"));
	assert_int_equal(fixture_s64(db, "SELECT ?1 ->> '$.capture.stopped_by' = 'max-size'", json), 1);
	fixture_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_add_up), cmocka_unit_test(test_text),  cmocka_unit_test(test_widths),
		cmocka_unit_test(test_top_threads),  cmocka_unit_test(test_empty), cmocka_unit_test(test_stopped_by),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
