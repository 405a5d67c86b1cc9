/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_export_folded.c: collapsed stacks: their totals are the database's, their frames survive flamegraph.pl's reading. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "report/export.h"
#include "report/export_stacks.h"
#include "report_fixture.h"

static char *run(sqlite3 *db, const struct export_opts *o)
{
	struct export_result result;
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	assert_int_equal(export_folded(db, o, out, &result), 0);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(result.events, fixture_count(text, "\n"));
	return text;
}

/* Sum of the counts; checks the form of each line: a text, one blank, digits, sorted, distinct. */
static u64 sum(const char *text)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *line;
	const char *last = "";
	u64 total = 0;

	while ((line = strsep(&rest, "\n")) != NULL) {
		char *count = strrchr(line, ' ');

		if (!*line)
			continue;
		assert_non_null(count);
		assert_true(strspn(count + 1, "0123456789") == strlen(count + 1) && count[1] != '0');
		*count = '\0';
		assert_true(strcmp(last, line) < 0);
		last = line;
		total += strtoull(count + 1, NULL, 10);
	}
	return total;
}

static void test_oncpu(void **state)
{
	sqlite3 *db = fixture_open();
	struct export_opts o = {.file = "x"};
	_cleanup_free_ char *text = run(db, &o), *again = run(db, &o), *part = NULL;

	(void)state;
	assert_int_equal(sum(text), fixture_s64(db, "SELECT count(*) FROM sample", NULL));
	assert_string_equal(text, again);
	/* Inlined and kernel frames are marked, ';' within a name is not a separator. */
	assert_non_null(strstr(text, "bcrypt::bcrypt::<[u8: 24]>;bcrypt::blowfish::Blowfish::encipher_[i] 133\n"));
	assert_non_null(strstr(text, ";__x64_sys_futex_[k];futex_wait_queue_[k];"));
	assert_int_equal(strncmp(text, "orders;metrics;", 15), 0);
	o.from_ns = 6 * NSEC_PER_SEC;
	o.to_ns = 7 * NSEC_PER_SEC;
	part = run(db, &o);
	assert_int_equal(sum(part), 47);
	fixture_close(db);
}

static void test_offcpu(void **state)
{
	sqlite3 *db = fixture_open();
	struct export_opts o = {.file = "x", .profile = {.kind = PROFILE_OFFCPU}};
	_cleanup_free_ char *text = run(db, &o), *all = NULL;

	(void)state;
	/* Waiting in polls and the pool thread's job; neither parks nor the pool's wait for work. */
	assert_int_equal(
		sum(text),
		fixture_s64(db,
			    "SELECT sum(coalesce(ts_waking, 1030000000000) - ts) / 1000 FROM offcpu WHERE role <> 'parked' "
			    "AND coalesce(stack_id, 0) <> 8 AND state <> 'R'",
			    NULL));
	assert_null(strstr(text, "[idle]"));
	assert_non_null(strstr(text, "[stack cut];"));
	assert_non_null(strstr(text, ";orders+0x2400;libweird.so.1+0x200 "));
	o.profile.all = true;
	all = run(db, &o);
	/* All of the time that was not on a CPU, the thread never seen included. */
	assert_int_equal(
		sum(all),
		fixture_s64(db, "SELECT (sum(coalesce(dur, 1030000000000 - ts)) + 30000000000) / 1000 FROM offcpu", NULL));
	assert_non_null(strstr(all, ";[idle] "));
	assert_non_null(strstr(all, ";[runnable] "));
	/* A name ending in a number keeps its count apart; escapes do not reach the reader. */
	assert_non_null(strstr(all, "orders;ev\"il:<b>?[31m_7;[no events] 30000000\n"));
	fixture_close(db);
}

static void check_name(const char *raw, const char *suffix, const char *want)
{
	_cleanup_free_ char *got = NULL;

	assert_int_equal(folded_name(raw, suffix, &got), 0);
	assert_string_equal(got, want);
}

static void test_names(void **state)
{
	(void)state;
	check_name("f::<[u8; 32]>", "_[k]", "f::<[u8: 32]>_[k]");
	check_name("thread 12", "", "thread_12");
	check_name("thread 1.5", "", "thread_1.5");
	check_name("12", "", "12");
	check_name("a\nb", "", "a?b");
	check_name("", "", "?");
}

static void test_empty(void **state)
{
	sqlite3 *db = fixture_open_empty();
	struct export_opts o = {.file = "x"};
	_cleanup_free_ char *text = run(db, &o);

	(void)state;
	assert_string_equal(text, "");
	fixture_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oncpu),
		cmocka_unit_test(test_offcpu),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
