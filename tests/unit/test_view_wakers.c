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

#define WOKEN	  "SELECT json_extract(value, '$."
#define OF_ACCEPT "') FROM json_each(?1, '$.nodes') WHERE json_extract(value, '$.name') = 'orders::accept_loop'"
/* Edges in their order, and how often who is woken is woken in all. */
#define EDGES                                                                                                                    \
	"(SELECT e.key AS at, json_extract(e.value, '$.to') AS target, json_extract(n.value, '$.wakes') AS woken FROM "          \
	"json_each(?1, '$.edges') AS e JOIN json_each(?1, '$.nodes') AS n ON n.key = json_extract(e.value, '$.to'))"

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

/* Of 100 delays of 1 to 100 us, ranks 50 and 99. */
static void test_ranks(void **state)
{
	sqlite3 *db = fixture_open_tasks();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *json = NULL;

	(void)state;
	fixture_exec(
		db,
		"WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 100) "
		"INSERT INTO _task_wake (ts, thread_id, task_row, type_id, waker, delay) "
		"SELECT 1020000000000 + i * 1000000, 2, t.id, t.type_id, 'driver', i * 1000 FROM n, _task AS t WHERE t.task_id = 3");
	json = fixture_run(db, view_wakers_json, &o);
	assert_int_equal(fixture_s64(db, WOKEN "delay_p50" OF_ACCEPT, json), 50000);
	assert_int_equal(fixture_s64(db, WOKEN "delay_p99" OF_ACCEPT, json), 99000);
	assert_int_equal(fixture_s64(db, WOKEN "delay_max" OF_ACCEPT, json), 100000);
	fixture_close(db);
}

/* Two that were woken equally often: the edges of one, then those of the other, in the order of the nodes. */
static void test_ties(void **state)
{
	sqlite3 *db = fixture_open_tasks();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *json = NULL;

	(void)state;
	fixture_exec(db, "INSERT INTO _task_wake (ts, thread_id, task_row, type_id, waker, delay) "
			 "SELECT 1020000000000, 2, id, type_id, 'outside', 1000 FROM _task WHERE task_id = 61");
	json = fixture_run(db, view_wakers_json, &o);
	assert_int_equal(fixture_s64(db, "SELECT count(DISTINCT target) FROM " EDGES " WHERE woken = 2", json), 2);
	assert_int_equal(fixture_s64(db, "SELECT count(*) FROM " EDGES " WHERE woken = 2", json), 4);
	assert_int_equal(
		fixture_s64(db,
			    "SELECT count(*) FROM (SELECT woken, target, lag(woken) OVER (ORDER BY at) AS b, lag(target) "
			    "OVER (ORDER BY at) AS of FROM " EDGES ") WHERE woken > b OR (woken = b AND target < of)",
			    json),
		0);
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
	_cleanup_free_ char *dot = fixture_run(db, view_wakers_dot, &o), *few = NULL, *entity = NULL;

	(void)state;
	check_dot(dot);
	assert_int_equal(fixture_count(dot, "digraph wakers {"), 1);
	assert_non_null(strstr(dot, "[label=\"ev\\\"il<a\\\\b>?[31m | orders::cache::sweep\\nsrc/config.rs:18\"]"));
	assert_non_null(strstr(dot, "color=red"));
	fixture_exec(db, "UPDATE task_type SET name = 'app::a&lt;b' WHERE id = 7");
	entity = fixture_run(db, view_wakers_dot, &o);
	assert_non_null(strstr(entity, "[label=\"app::a&amp;lt;b\\n"));
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
		cmocka_unit_test(test_edges), cmocka_unit_test(test_ranks),   cmocka_unit_test(test_ties),
		cmocka_unit_test(test_dot),   cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
