/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_rows_needed.c: which statements can be answered without all rows; and how many tasks there were, counted without a row for each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include "report/rows_needed.h"
#include "report/task_set.h"

static void statements(void **state)
{
	static const struct {
		const char *sql;
		enum capture_rows rows;
	} cases[] = {
		{"SELECT 1", CAPTURE_ROWS_POLLS},
		{"SELECT * FROM blocking", CAPTURE_ROWS_POLLS},
		{"SELECT count(*) FROM blocking JOIN thread USING (tid), capture", CAPTURE_ROWS_POLLS},
		{"SELECT value FROM json_each('[1]')", CAPTURE_ROWS_POLLS},
		{"SELECT name FROM sqlite_schema", CAPTURE_ROWS_POLLS},
		{"SELECT * FROM nowhere", CAPTURE_ROWS_POLLS}, /* its error is told later */
		{"SELECT count(*) FROM poll", CAPTURE_ROWS_POLLS},
		{"SELECT ts FROM blocking WHERE poll_id IN (SELECT id FROM POLL)", CAPTURE_ROWS_POLLS},
		{"SELECT count(*) FROM offcpu", CAPTURE_ROWS_ALL},
		{"SELECT ts FROM sample", CAPTURE_ROWS_ALL},
		{"SELECT * FROM blocking JOIN stack_text USING (stack_id)", CAPTURE_ROWS_ALL},
		{"WITH x AS (SELECT thread_id FROM _offcpu) SELECT count(*) FROM x", CAPTURE_ROWS_ALL},
		{"WITH blocking AS (SELECT thread_id FROM _sample) SELECT count(*) FROM blocking", CAPTURE_ROWS_ALL},
		{"WITH x AS (SELECT dur FROM Blocking) SELECT count(*) FROM x", CAPTURE_ROWS_POLLS},
		{"SELECT file FROM spawn_site JOIN _task ON site_id = spawn_site.id", CAPTURE_ROWS_POLLS},
		{"SELECT name FROM task", CAPTURE_ROWS_ALL}, /* what it sums up is in samples, too */
		{"SELECT delay FROM task_wake", CAPTURE_ROWS_ALL},
		{"WITH spawn_site AS (SELECT thread_id FROM _sample) SELECT * FROM blocking, spawn_site", CAPTURE_ROWS_ALL},
		{"SELECT grp FROM probe", CAPTURE_ROWS_POLLS},
		{"SELECT dur_ms FROM v_blocking_ts", CAPTURE_ROWS_POLLS},
		{"SELECT dur FROM thread_state", CAPTURE_ROWS_ALL}, /* a view over views */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum capture_rows rows;

		assert_int_equal(rows_needed(cases[i].sql, &rows), 0);
		if (rows != cases[i].rows)
			fail_msg("%s", cases[i].sql);
	}
}

static void tasks(void **state)
{
	struct task_set t;

	(void)state;
	assert_int_equal(task_set_init(&t, 2), 0);
	for (u64 task = 1; task <= 2000; task++)
		assert_int_equal(task_set_add(&t, 1, task), 0);
	for (u64 task = 1000; task <= 3000; task++)
		assert_int_equal(task_set_add(&t, 1, task), 0);
	assert_int_equal(t.count, 3000);
	assert_int_equal(task_set_add(&t, 2, 7), 0); /* ids are each runtime's own */
	assert_int_equal(task_set_add(&t, 0, UINT64_MAX), 0);
	assert_int_equal(task_set_add(&t, 0, UINT64_MAX - 1), 0);
	assert_int_equal(task_set_add(&t, 0, UINT64_MAX), 0);
	assert_int_equal(t.count, 3003);
	task_set_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(statements), cmocka_unit_test(tasks)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
