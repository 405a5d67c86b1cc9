/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_view_oncpu.c: samples are counted once in each list, a function once a stack, and time on the CPU is the scheduler's. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "report_fixture.h"

static s64 number(sqlite3 *db, const char *json, const char *path)
{
	char sql[160];

	(void)snprintf(sql, sizeof(sql), "SELECT json_extract(?1, '%s')", path);
	return fixture_s64(db, sql, json);
}

static void test_sums(void **state)
{
	sqlite3 *db = fixture_open();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *json = NULL, *part = NULL, *task = NULL;

	(void)state;
	o.min_ns = 0;
	fixture_exec(db, "UPDATE _offcpu SET ran = 1000000 WHERE thread_id = 3 AND ts > 1005000000000");
	json = fixture_run(db, view_oncpu_json, &o);
	assert_int_equal(number(db, json, "$.samples"), fixture_s64(db, "SELECT count(*) FROM sample", NULL));
	assert_int_equal(number(db, json, "$.sampled"),
			 fixture_s64(db, "SELECT count(*) * sample_period FROM sample, capture", NULL));
	assert_int_equal(number(db, json, "$.in_kernel"),
			 fixture_s64(db, "SELECT count(*) FROM sample WHERE mode = 'kernel'", NULL));
	assert_int_equal(number(db, json, "$.in_polls"),
			 fixture_s64(db, "SELECT count(*) FROM sample WHERE role = 'in_poll'", NULL));
	assert_int_equal(number(db, json, "$.on_cpu"), fixture_s64(db, "SELECT sum(dur) FROM sched_slice", NULL));
	assert_int_equal(fixture_s64(db, "SELECT sum(json_extract(value, '$.samples')) FROM json_each(?1, '$.threads')", json),
			 number(db, json, "$.samples"));
	/* Each sample is one function's own, one category's own, and one category's with what it called. */
	assert_int_equal(fixture_s64(db, "SELECT sum(json_extract(value, '$.self')) FROM json_each(?1, '$.functions')", json),
			 number(db, json, "$.samples") - number(db, json, "$.without_stack"));
	assert_int_equal(fixture_s64(db, "SELECT sum(json_extract(value, '$.self')) FROM json_each(?1, '$.categories')", json),
			 number(db, json, "$.samples") - number(db, json, "$.without_stack"));
	assert_int_equal(
		fixture_s64(db, "SELECT sum(json_extract(value, '$.with_called')) FROM json_each(?1, '$.categories')", json),
		number(db, json, "$.samples") - number(db, json, "$.without_stack"));
	assert_int_equal(
		fixture_s64(db,
			    "SELECT json_extract(value, '$.total') FROM json_each(?1, '$.functions') WHERE json_extract(value, "
			    "'$.function') = 'orders::auth::hash_password'",
			    json),
		fixture_s64(db,
			    "SELECT count(*) FROM sample WHERE stack_id IN (SELECT stack_id FROM stack_text WHERE function = "
			    "'orders::auth::hash_password')",
			    NULL));
	/* The hash is a library's: bcrypt, by the table. */
	assert_int_equal(
		fixture_s64(
			db,
			"SELECT json_extract(value, '$.with_called') FROM json_each(?1, '$.categories') WHERE json_extract(value, "
			"'$.category') = 'password-hash'",
			json),
		fixture_s64(db, "SELECT count(*) FROM sample WHERE stack_id = 2", NULL));
	o.from_ns = 12 * NSEC_PER_SEC;
	o.to_ns = 18100 * NSEC_PER_MSEC;
	part = fixture_run(db, view_oncpu_json, &o);
	assert_int_equal(number(db, part, "$.samples"),
			 fixture_s64(db, "SELECT count(*) FROM sample WHERE ts BETWEEN 1012000000000 AND 1018100000000", NULL));
	o = fixture_opts(120);
	o.task = 52;
	task = fixture_run(db, view_oncpu_json, &o);
	assert_int_equal(number(db, task, "$.samples"), 42);
	fixture_close(db);
}

/* A function that calls itself counts once a stack, and one of the kernel's is not the program's of the same name. */
static void test_recursion(void **state)
{
	sqlite3 *db = fixture_open();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *json = NULL;

	(void)state;
	fixture_exec(
		db,
		"DELETE FROM _sample; INSERT INTO stack (id, process_id, kind, status, depth) VALUES (90, 1, 'user', 'whole', 3);"
		"INSERT INTO frame_list VALUES (90, 0, 7), (90, 1, 7), (90, 2, 21); INSERT INTO stack_part VALUES (90, 0, 90);"
		"UPDATE symbol SET function = 'read' WHERE frame_id = 50;"
		"INSERT INTO sample (ts, thread_id, cpu, mode, role, stack_id, kstack_id) VALUES (1002000000000, 3, 0, 'user', 'none', 90, NULL), "
		"(1003000000000, 3, 0, 'kernel', 'none', 90, 21), (1004000000000, 3, 0, 'user', 'none', NULL, NULL)");
	json = fixture_run(db, view_oncpu_json, &o);
	assert_int_equal(number(db, json, "$.without_stack"), 1);
	assert_int_equal(
		fixture_s64(
			db,
			"SELECT json_extract(value, '$.total') * 10 + json_extract(value, '$.self') FROM json_each(?1, '$.functions') "
			"WHERE json_extract(value, '$.function') = 'orders::auth::hash_password'",
			json),
		21);
	assert_int_equal(
		fixture_s64(db,
			    "SELECT count(*) FROM json_each(?1, '$.functions') WHERE json_extract(value, '$.function') = 'read'",
			    json),
		2);
	assert_int_equal(
		fixture_s64(
			db,
			"SELECT json_extract(value, '$.self') FROM json_each(?1, '$.categories') WHERE json_extract(value, '$.category') = "
			"'kernel'",
			json),
		1);
	/* On behalf of the user's function both. */
	assert_int_equal(
		fixture_s64(
			db,
			"SELECT json_extract(value, '$.with_called') FROM json_each(?1, '$.categories') WHERE json_extract(value, "
			"'$.category') = 'user'",
			json),
		2);
	fixture_close(db);
}

static void test_text(void **state)
{
	static const char *const words[] = {"scheduler",
					    "samples",
					    "BY THREAD",
					    "BY CATEGORY OF CODE",
					    "hash_password  src/auth.rs:31",
					    "FUNCTIONS BY THEIR OWN TIME",
					    "render_invoice"};
	sqlite3 *db = fixture_open(), *empty = fixture_open_empty();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *text = fixture_run(db, view_oncpu, &o), *none = fixture_run(empty, view_oncpu, &o);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strstr(text, words[i]))
			fail_msg("not in the report: %s\n%s", words[i], text);
	assert_non_null(strstr(none, "nothing of it was on a CPU when the clock fired"));
	fixture_close(db);
	fixture_close(empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_sums), cmocka_unit_test(test_recursion),
					   cmocka_unit_test(test_text)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
