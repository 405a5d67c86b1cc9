/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_view_wakers.c: who wakes whom: sums against plain SQL, a graph whose text no name can break, threads where wakes were not recorded. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "report/view_text.h"
#include "report/wakers.h"
#include "report_fixture.h"

static void test_edges(void **state)
{
	sqlite3 *db = fixture_open_tasks();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *json = fixture_run(db, view_wakers_json, &o), *text = fixture_run(db, view_wakers, &o);

	(void)state;
	assert_int_equal(fixture_s64(db, "SELECT json_valid(?1)", json), 1);
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.of') = 'tasks'", json), 1);
	assert_int_equal(fixture_s64(db, "SELECT sum(json_extract(value, '$.wakes')) FROM json_each(?1, '$.edges')", json),
			 fixture_s64(db, "SELECT count(*) FROM _task_wake", NULL));
	assert_int_equal(fixture_s64(db, "SELECT sum(json_extract(value, '$.wakes')) FROM json_each(?1, '$.nodes')", json),
			 fixture_s64(db, "SELECT count(*) FROM _task_wake", NULL));
	assert_int_equal(fixture_s64(db, "SELECT sum(json_extract(value, '$.delay_total')) FROM json_each(?1, '$.edges')", json),
			 fixture_s64(db, "SELECT sum(delay) FROM _task_wake", NULL));
	/* Woken by a closure of the pool, whose task is known. */
	assert_int_equal(
		fixture_s64(
			db,
			"SELECT count(*) FROM json_each(?1, '$.edges') AS e WHERE json_extract(?1, '$.nodes[' || json_extract(e.value, '$.from') || '].name') = "
			"'orders::render::render_invoice::{closure}' AND json_extract(?1, '$.nodes[' || json_extract(e.value, '$.to') || '].name') = 'orders::auth::login'",
			json),
		1);
	assert_non_null(strstr(text, "      by I/O, timer or yield                               4 "));
	assert_non_null(strstr(text, "by the end of a task"));
	assert_null(strchr(text, '\033'));
	fixture_close(db);
}

/* Every line of the graph is a node, an edge, an attribute or a comment, and quotes are closed on it. */
static void check_dot(const char *dot)
{
	u32 nodes = 0, edges = 0;

	for (const char *line = dot; *line; line += strcspn(line, "\n") + 1) {
		size_t n = strcspn(line, "\n");
		bool quoted = false;

		for (size_t i = 0; i < n; i++) {
			assert_true((u8)line[i] >= ' ');
			if (quoted && line[i] == '\\')
				i++;
			else if (line[i] == '"')
				quoted = !quoted;
		}
		assert_false(quoted);
		if (strncmp(line, "  n", 3) == 0 && isdigit(line[3])) {
			char *copy = strndup(line, n);

			assert_non_null(copy);
			assert_true(strcmp(copy + n - 2, "];") == 0);
			if (strstr(copy, " -> n"))
				edges++;
			else
				nodes++;
			free(copy);
		}
	}
	assert_int_equal(edges, 10);
	assert_int_equal(nodes, 10);
}

static void test_dot(void **state)
{
	sqlite3 *db = fixture_open_tasks();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *dot = fixture_run(db, view_wakers_dot, &o), *few = NULL;

	(void)state;
	check_dot(dot);
	assert_int_equal(fixture_count(dot, "digraph wakers {"), 1);
	assert_non_null(strstr(dot, "[label=\"ev\\\"il<a\\\\b>?[31m | orders::cache::sweep\\nsrc/config.rs:18\"]"));
	assert_non_null(strstr(dot, "color=red"));
	o.top = 2;
	few = fixture_run(db, view_wakers_dot, &o);
	assert_int_equal(fixture_count(few, " -> n"), 2);
	assert_non_null(strstr(few, "8 edges of fewer than 2 wakes are left out"));
	fixture_close(db);
}

static void test_threads(void **state)
{
	sqlite3 *db = fixture_open(), *empty = fixture_open_empty();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *json = fixture_run(db, view_wakers_json, &o), *text = fixture_run(db, view_wakers, &o),
			    *none = fixture_run(empty, view_wakers, &o);

	(void)state;
	assert_int_equal(fixture_s64(db, "SELECT json_extract(?1, '$.of') = 'threads'", json), 1);
	assert_int_equal(fixture_s64(db, "SELECT sum(json_extract(value, '$.wakes')) FROM json_each(?1, '$.edges')", json),
			 fixture_s64(db, "SELECT count(*) FROM wakeup WHERE waker_tid IS NOT NULL AND role <> 'none'", NULL));
	assert_non_null(strstr(text, "ascope record --wakes"));
	assert_non_null(strstr(text, "  worker 2"));
	assert_non_null(strstr(none, "none was seen"));
	fixture_close(db);
	fixture_close(empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_dot),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
