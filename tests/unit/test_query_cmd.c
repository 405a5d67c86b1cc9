/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_query_cmd.c: `ascope query` as scripts see it: output formats, exit codes, that nothing can be changed, and where an
 * error in the SQL is shown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <string.h>

#include "capture_builder.h"
#include "report/cmds.h"
#include "sample_capture.h"

static int setup(void **state)
{
	struct capture_builder *cb = calloc(1, sizeof(*cb));

	assert_non_null(cb);
	cb_init(cb);
	cb_row(cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = CB_START, .thread = 1});
	*state = cb;
	return 0;
}

static int teardown(void **state)
{
	cb_release(*state);
	free(*state);
	return 0;
}

/*
 * Runs `ascope query CAPTURE a b` and compares exit code and standard output; returns what it said on stderr, or NULL to free
 * nothing.
 */
static void run(struct capture_builder *cb, const char *a, const char *b, int code, const char *out, const char *err_part)
{
	const char *argv[] = {"query", cb->path, a, b, NULL};
	struct ran r = {0};

	if (cb->w)
		cb_finish(cb);
	run_command(&r, query_cmd, argv);
	if (r.exit_code != code || (out && strcmp((const char *)r.out.data, out) != 0))
		print_error("exit %d, stdout:\n%s\nstderr:\n%s\n", r.exit_code, (const char *)r.out.data,
			    (const char *)r.err.data);
	assert_int_equal(r.exit_code, code);
	if (out)
		assert_string_equal((const char *)r.out.data, out);
	if (err_part)
		assert_non_null(strstr((const char *)r.err.data, err_part));
	ran_release(&r);
}

#define VALUES "SELECT 1 AS n, -5 AS m, 1.5 AS r, NULL AS x, x'01ff' AS b, 'a\"b,c' AS t, '=1+1' AS f, 'two\nlines' AS l"

static void json(void **state)
{
	run(*state, "--json", VALUES, 0,
	    "[\n{\"n\":1,\"m\":-5,\"r\":1.5,\"x\":null,\"b\":\"01ff\",\"t\":\"a\\\"b,c\",\"f\":\"=1+1\",\"l\":\"two\\nlines\"}]\n",
	    NULL);
	run(*state, "--json", "SELECT 1 WHERE 0", 0, "[]\n", NULL);
	run(*state, "--json", "SELECT 9223372036854775807 AS a, 2 AS a, 1e999 AS i, 3.0 AS r", 0,
	    "[\n{\"a\":9223372036854775807,\"a_2\":2,\"i\":null,\"r\":3.0}]\n", NULL);
}

static void csv(void **state)
{
	run(*state, "--csv", VALUES, 0, "n,m,r,x,b,t,f,l\r\n1,-5,1.5,,01ff,\"a\"\"b,c\",\"'=1+1\",\"two\nlines\"\r\n", NULL);
	run(*state, "--csv", "SELECT '-1' AS a, '+x' AS b, '@y' AS c, -1 AS d", 0, "a,b,c,d\r\n\"'-1\",\"'+x\",\"'@y\",-1\r\n",
	    NULL);
}

static void table(void **state)
{
	run(*state, "SELECT 'long text' AS a, 5 AS number UNION ALL SELECT 'x', 12345", NULL, 0,
	    "a          number\nlong text       5\nx           12345\n", NULL);
	run(*state, "SELECT char(27) || '[31m' AS evil, NULL AS x", NULL, 0, "evil   x\n?[31m  NULL\n", NULL);
	run(*state, "SELECT 1 AS a WHERE 0", NULL, 0, "a\n", NULL);
	/* more rows than are looked at for the widths */
	run(*state,
	    "WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x WHERE i < 5000) SELECT count(*), sum(i) FROM x", NULL,
	    0, NULL, NULL);
}

static void errors(void **state)
{
	run(*state, "SELECT *\nFROM polls WHERE 1", NULL, 1, "", "no such table: polls");
	run(*state, "SELECT ts,\n  durr FROM poll", NULL, 1, "", "    durr FROM poll\n    ^");
	run(*state, "SELECT 1; SELECT 2", NULL, 1, "", "one statement");
	run(*state, "SELECT 1 AS a; -- done", NULL, 0, "a\n1\n", NULL);
	run(*state, "  ; -- nothing", NULL, 1, "", "no statement");
}

static void nothing_can_be_changed(void **state)
{
	static const char *const attempts[] = {"DELETE FROM poll",
					       "CREATE TABLE x (a)",
					       "CREATE TEMP TABLE x (a)",
					       "ATTACH '/tmp/ascope-test-attached' AS a",
					       "VACUUM INTO '/tmp/ascope-test-vacuum'",
					       "PRAGMA query_only = 0",
					       "PRAGMA journal_mode = WAL",
					       "UPDATE capture SET path = 'x'",
					       "SELECT load_extension('x')",
					       "UPDATE sqlite_master SET sql = 'x'"};

	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++)
		run(*state, attempts[i], NULL, 1, NULL, "SQL: ");
	assert_int_equal(access("/tmp/ascope-test-attached", F_OK), -1);
	assert_int_equal(access("/tmp/ascope-test-vacuum", F_OK), -1);
	run(*state, "PRAGMA user_version", NULL, 0, NULL, NULL);
	run(*state, "SELECT count(*) > 20 AS n FROM pragma_table_info('poll')", NULL, 0, "n\n1\n", NULL);
	run(*state, "SELECT value FROM json_each('[7]')", NULL, 0, "value\n    7\n", NULL);
}

static void timeout(void **state)
{
	run(*state, "--timeout=50ms", "WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x) SELECT count(*) FROM x", 1,
	    NULL, "--timeout");
	run(*state, "--timeout=50ms", "SELECT 1 AS a", 0, "a\n1\n", NULL);
}

static void usage(void **state)
{
	run(*state, "SELECT 1", "SELECT 2", 2, "", "quotes");
	run(*state, "--csv", "--json", 2, "", "not both");
	run(*state, "--wrong", NULL, 2, "", NULL);
}

static void damaged_capture(void **state)
{
	struct capture_builder *cb = *state;

	cb_abandon(cb);
	run(cb, "SELECT count(*) AS n FROM loss", NULL, 3, "n\n1\n", "incomplete");
	run(cb, "SELECT nonsense", NULL, 1, "", NULL);
}

static void schema(void **state)
{
	const char *argv[] = {"query", "--schema", NULL};
	struct ran r = {0};
	const char *out;

	(void)state;
	run_command(&r, query_cmd, argv);
	out = (const char *)r.out.data;
	assert_int_equal(r.exit_code, 0);
	assert_non_null(strstr(out, "view blocking\n    One row per blocked poll"));
	assert_non_null(strstr(out, "table loss\n"));
	assert_non_null(strstr(out, "\n    waker_tid      INTEGER  thread that woke it; null not seen, 0 an interrupt\n"));
	assert_non_null(strstr(out, "\n    held                    off_cpu + on_cpu: what the poll itself took\n"));
	ran_release(&r);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(json),    TEST(csv),   TEST(table),	   TEST(errors), TEST(nothing_can_be_changed),
		TEST(timeout), TEST(usage), TEST(damaged_capture), TEST(schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
