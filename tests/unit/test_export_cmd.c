/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_export_cmd.c: `ascope export` and `ascope report` as commands: usage, exit codes, and that a file appears whole or not at
 * all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/fdio.h"
#include "report/cmds.h"
#include "report_fixture.h"
#include "sample_capture.h"

#define MAX_ARGS 8

/* Runs with the capture as last operand; checks the exit code. The caller releases. */
static struct ran run(int (*cmd)(int, char **), const struct sample *s, const char *const *args, int want)
{
	const char *argv[MAX_ARGS + 4] = {cmd == report_cmd ? "report" : "export"};
	struct ran r = {0};
	u32 n = 1;

	while (*args)
		argv[n++] = *args++;
	argv[n++] = "--no-cache";
	if (s)
		argv[n++] = s->path;
	run_command(&r, cmd, argv);
	if (r.exit_code != want)
		fail_msg("exit code %d, not %d: %s", r.exit_code, want, (const char *)r.err.data);
	return r;
}

static void check_usage(int (*cmd)(int, char **), const struct sample *s, const char *const *args, const char *says)
{
	struct ran r = run(cmd, s, args, 2);

	assert_int_equal(r.out.len, 0);
	if (!strstr((const char *)r.err.data, says))
		fail_msg("'%s' does not say '%s'", (const char *)r.err.data, says);
	ran_release(&r);
}

static void test_usage(void **state)
{
	struct sample s;

	(void)state;
	sample_make(&s, &(struct sample_recipe){0});
	check_usage(export_cmd, NULL, (const char *const[]){"--chrome", NULL}, "which capture file?");
	check_usage(export_cmd, &s, (const char *const[]){NULL}, "which format?");
	check_usage(export_cmd, &s, (const char *const[]){"--chrome", "--folded", NULL}, "more than one format");
	check_usage(export_cmd, &s, (const char *const[]){"--folded", "--oncpu", "--offcpu", NULL}, "ask for one");
	check_usage(export_cmd, &s, (const char *const[]){"--folded", "--no-args", NULL}, "belong to --chrome");
	check_usage(export_cmd, &s, (const char *const[]){"--folded", "--all", NULL}, "belongs to --offcpu");
	check_usage(export_cmd, &s, (const char *const[]){"--pprof", "--wall", "--blocking", NULL}, "ask for one");
	check_usage(export_cmd, &s, (const char *const[]){"--chrome", "--offcpu", NULL}, "belong to profiles");
	check_usage(export_cmd, &s, (const char *const[]){"--chrome", "--tid", "7", NULL}, "belong to profiles");
	check_usage(export_cmd, &s, (const char *const[]){"--speedscope", "--by", "name", NULL}, "thread, task, class or none");
	check_usage(export_cmd, &s, (const char *const[]){"--folded", "--min", "1ms", NULL}, "a sample has no length");
	check_usage(export_cmd, &s, (const char *const[]){"--folded", "--wall", "--min", "2ms", "--max", "1ms", NULL}, "--max");
	check_usage(export_cmd, &s, (const char *const[]){"--chrome", "--from", "2s", "--to", "1s", NULL}, "later than --from");
	check_usage(export_cmd, &s, (const char *const[]){"--chrome", "--from", "10h", NULL}, "behind the end");
	check_usage(report_cmd, NULL, (const char *const[]){NULL}, "which capture file?");
	check_usage(report_cmd, &s, (const char *const[]){"--blocking", "--summary", NULL}, "ask for one");
	check_usage(report_cmd, &s, (const char *const[]){"--from", "10h", NULL}, "behind the end");
	check_usage(report_cmd, &s, (const char *const[]){"--min", "long", NULL}, "--min");
	sample_release(&s);
}

static void test_exit_codes(void **state)
{
	static const char *const views[][3] = {{NULL}, {"--summary", NULL}, {"--json", NULL}, {"--summary", "--json", NULL}};
	struct sample whole, lossy;

	(void)state;
	sample_make(&whole, &(struct sample_recipe){0});
	sample_make(&lossy, &(struct sample_recipe){.lost = 17});
	for (size_t i = 0; i < ARRAY_SIZE(views); i++) {
		struct ran good = run(report_cmd, &whole, views[i], 0), bad = run(report_cmd, &lossy, views[i], 3);

		assert_true(good.out.len > 0 && bad.out.len > 0);
		assert_null(strchr((const char *)good.out.data, '\x1b'));
		ran_release(&good);
		ran_release(&bad);
	}
	sample_release(&whole);
	sample_release(&lossy);
}

static void test_missing_file(void **state)
{
	static const char *const args[] = {"--chrome", NULL};
	struct sample s;
	struct ran r;

	(void)state;
	sample_make(&s, &(struct sample_recipe){0});
	assert_int_equal(unlink(s.path), 0);
	r = run(export_cmd, &s, args, 1);
	assert_int_equal(r.out.len, 0);
	assert_true(r.err.len > 0);
	ran_release(&r);
	r = run(report_cmd, &s, args + 1, 1);
	ran_release(&r);
	sample_release(&s);
}

static void test_output_file(void **state)
{
	_cleanup_buf_ struct buf first = BUF_INIT, kept = BUF_INIT;
	char path[160], temp[200];
	struct sample s;
	struct ran r;
	struct stat st;

	(void)state;
	sample_make(&s, &(struct sample_recipe){.hostile_names = true});
	(void)snprintf(path, sizeof(path), "%s/trace.json", s.dir);
	(void)umask(022);
	r = run(export_cmd, &s, (const char *const[]){"--chrome", "-o", path, NULL}, 0);
	assert_int_equal(r.out.len, 0);
	ran_release(&r);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(file_read_all(path, &first, 1 << 26), 0);
	assert_true(first.len > 0);

	/* It is not replaced but with --force, and stays as it was. */
	r = run(export_cmd, &s, (const char *const[]){"--folded", "-o", path, NULL}, 1);
	assert_non_null(strstr((const char *)r.err.data, "--force"));
	ran_release(&r);
	assert_int_equal(file_read_all(path, &kept, 1 << 26), 0);
	assert_int_equal(kept.len, first.len);
	r = run(export_cmd, &s, (const char *const[]){"--folded", "--offcpu", "--all", "--force", "-o", path, NULL}, 0);
	ran_release(&r);
	buf_reset(&kept);
	assert_int_equal(file_read_all(path, &kept, 1 << 26), 0);
	assert_int_not_equal(kept.data[0], '{');

	/* No temporary file stays behind, after a failure neither. */
	assert_int_equal(unlink(path), 0);
	r = run(export_cmd, &s, (const char *const[]){"--chrome", "--from", "10h", "-o", path, NULL}, 2);
	ran_release(&r);
	assert_int_equal(access(path, F_OK), -1);
	(void)snprintf(temp, sizeof(temp), "ls %s | grep -q trace", s.dir);
	assert_int_not_equal(system(temp), 0);
	r = run(export_cmd, &s, (const char *const[]){"--chrome", "-o", "/nonexistent/trace.json", NULL}, 1);
	assert_non_null(strstr((const char *)r.err.data, "/nonexistent/trace.json"));
	ran_release(&r);
	/* What is no regular file is written to as it is. */
	r = run(export_cmd, &s, (const char *const[]){"--chrome", "-o", "/dev/null", NULL}, 0);
	ran_release(&r);
	sample_release(&s);
}

static void test_stdout(void **state)
{
	sqlite3 *db = fixture_open_empty();
	struct sample s;
	struct ran r;

	(void)state;
	sample_make(&s, &(struct sample_recipe){.hostile_names = true});
	r = run(export_cmd, &s, (const char *const[]){"--chrome", "-o", "-", NULL}, 0);
	assert_int_equal(fixture_s64(db, "SELECT json_valid(?1)", (const char *)r.out.data), 1);
	ran_release(&r);
	r = run(export_cmd, &s, (const char *const[]){"--chrome", "--max-events", "5", NULL}, 0);
	assert_non_null(strstr((const char *)r.err.data, "--max-events 5 is reached"));
	ran_release(&r);
	r = run(report_cmd, &s, (const char *const[]){"--json", NULL}, 0);
	assert_int_equal(fixture_s64(db, "SELECT json_valid(?1)", (const char *)r.out.data), 1);
	ran_release(&r);
	sample_release(&s);
	fixture_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usage),	    cmocka_unit_test(test_exit_codes), cmocka_unit_test(test_missing_file),
		cmocka_unit_test(test_output_file), cmocka_unit_test(test_stdout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
