/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_dump_cmd.c: `ascope dump` record by record on a capture of known contents, whole and damaged; --schema against the table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <stdio.h>
#include <string.h>

#include "format/fmt_schema.h"
#include "report/cmds.h"
#include "tests/unit/sample_capture.h"

#define has(buf_, text)	  assert_non_null(strstr((const char *)(buf_).data, text))
#define lacks(buf_, text) assert_null(strstr((const char *)(buf_).data, text))

static size_t lines_with(const struct buf *b, const char *text)
{
	size_t n = 0;

	for (const char *p = (const char *)b->data; (p = strstr(p, text)); p++)
		n++;
	return n;
}

static void everything_as_text(void **state)
{
	const struct sample_recipe recipe = {.lost = 7};
	struct sample s;
	struct ran r;

	(void)state;
	sample_make(&s, &recipe);
	run_command(&r, dump_cmd, (const char *[]){"dump", s.path, NULL});
	assert_int_equal(r.exit_code, 0);
	assert_int_equal(r.err.len, 0);
	has(r.out, "block 0 at 64: dictionary, 25 records, ");
	has(r.out, "  string idx=1 \"orders\"\n");
	has(r.out, "  meta key=3\"host\" value=4\"prod-3\"\n");
	has(r.out, "  thread idx=1 process=1 tid=24038 ns_tid=0 start=0 comm=1\"orders\"\n");
	has(r.out, "  stack idx=1 process=1 kind=1 status=1 fp_from=0 [0x401000 0x402000 0x400800]\n");
	has(r.out, "  switch_out ts=5000000000 thread=1 cpu=0 state=1 preempt=0 ctx_status=1 context=0 budget=0 runtime=0 "
		   "core=0x7f0000001000 park=0 task=30 tick=0 ");
	has(r.out, "  switch_in ts=5999500000 thread=1 cpu=1 derived=0\n");
	has(r.out, "  gap ts=5000001000 ts_end=5000002000 cause=6\"ring_full\" count=7\n");
	assert_int_equal(lines_with(&r.out, "\n  switch_out "), 1000);
	assert_int_equal(lines_with(&r.out, "\n  switch_in "), 1000);
	assert_int_equal(lines_with(&r.out, "block "), 7 + 2); /* copies name their block */
	has(r.out, ": footer, 18 records, ");
	ran_release(&r);
	sample_release(&s);
}

static void throttling(void **state)
{
	const struct sample_recipe recipe = {.throttle = true};
	struct sample s;
	struct ran r;

	(void)state;
	sample_make(&s, &recipe);
	run_command(&r, dump_cmd, (const char *[]){"dump", s.path, NULL});
	assert_int_equal(r.exit_code, 0);
	has(r.out, "  throttle ts=5100000000 ts_end=5200000000 cgroup=2\"/usr/bin/orders\" periods=1 throttled=80000000\n");
	ran_release(&r);
	run_command(&r, dump_cmd, (const char *[]){"dump", "--json", s.path, NULL});
	assert_int_equal(r.exit_code, 0);
	has(r.out, "\"kind\":\"throttle\",\"ts\":5100000000,\"ts_end\":5200000000,\"cgroup\":\"/usr/bin/orders\",\"periods\":1,"
		   "\"throttled\":80000000}\n");
	ran_release(&r);
	sample_release(&s);
}

static void json_lines(void **state)
{
	const struct sample_recipe recipe = {.hostile_names = true};
	struct sample s;
	struct ran r;

	(void)state;
	sample_make(&s, &recipe);
	run_command(&r, dump_cmd, (const char *[]){"dump", "--json", s.path, NULL});
	assert_int_equal(r.exit_code, 0);
	lacks(r.out, "\033");
	has(r.out, "{\"block\":0,\"kind\":\"string\",\"idx\":1,\"bytes\":\"\\u001b[31mevil\\\"\\\\\"}\n");
	has(r.out, "{\"block\":0,\"kind\":\"thread\",\"idx\":1,\"process\":1,\"tid\":24038,\"ns_tid\":0,\"start\":0,"
		   "\"comm\":\"\\u001b[31mevil\\\"\\\\\"}\n");
	/* the column `kind` of a stack does not clash with the line's own */
	has(r.out, "{\"block\":0,\"kind\":\"stack\",\"idx\":10,\"process\":1,\"stack_kind\":1,"
		   "\"status\":1,\"fp_from\":0,\"list\":[4198400,4202496,4196352]}\n");
	has(r.out, "\"cmdline\":null,\"cgroup\":null}\n");
	has(r.out, "{\"block\":3,\"kind\":\"switch_in\",\"ts\":5999500000,\"thread\":1,\"cpu\":1,\"derived\":0}\n");
	assert_int_equal(lines_with(&r.out, "\n"), 25 + 2000 + 1 + 2 + 6 + 11);
	ran_release(&r);
	run_command(&r, dump_cmd, (const char *[]){"dump", s.path, NULL});
	lacks(r.out, "\033");
	has(r.out, "  string idx=1 \"?[31mevil\\\"\\\\\"\n");
	ran_release(&r);
	sample_release(&s);
}

static void selections(void **state)
{
	const struct sample_recipe recipe = {0};
	struct sample s;
	struct ran r;

	(void)state;
	sample_make(&s, &recipe);
	run_command(&r, dump_cmd, (const char *[]){"dump", "--block=3", "--kind", "switch_in", s.path, NULL});
	assert_int_equal(r.exit_code, 0);
	assert_int_equal(lines_with(&r.out, "\n"), 501);
	assert_int_equal(lines_with(&r.out, "\n  switch_in "), 500);
	assert_int_equal(lines_with(&r.out, "block 3 at "), 1);
	lacks(r.out, "missing");
	ran_release(&r);
	run_command(&r, dump_cmd, (const char *[]){"dump", "--block=9", s.path, NULL});
	assert_int_equal(r.exit_code, 1);
	has(r.err, "there is no intact block 9");
	ran_release(&r);
	sample_release(&s);
}

static void damage_is_named(void **state)
{
	const struct sample_recipe recipe = {0};
	const char *copy;
	struct sample s;
	size_t copy_off;
	struct ran r;

	(void)state;
	sample_make(&s, &recipe);
	sample_flip(&s, 500); /* inside the second block */
	run_command(&r, dump_cmd, (const char *[]){"dump", s.path, NULL});
	assert_int_equal(r.exit_code, 3);
	has(r.out, "-- block 1 is damaged or missing --\n");
	assert_int_equal(lines_with(&r.out, "\n  switch_in "), 500);
	has(r.err, ": payload checksum; what is intact was printed");
	ran_release(&r);
	sample_release(&s);

	sample_make(&s, &recipe);
	sample_flip(&s, 200); /* inside the first: its copy stands in for it */
	run_command(&r, dump_cmd, (const char *[]){"dump", s.path, NULL});
	assert_int_equal(r.exit_code, 3);
	has(r.out, ": dictionary, lost, from its copy, 25 records, ");
	has(r.out, "  total key=10\"events.seen\" value=2000\n");
	assert_non_null(copy = strstr((const char *)r.out.data, "block 4 at "));
	copy_off = strtoul(copy + strlen("block 4 at "), NULL, 10);
	has(r.out, ": copy of block 0, 25 records, ");
	assert_int_equal(lines_with(&r.out, "\n  string "), 10);
	ran_release(&r);
	run_command(&r, dump_cmd, (const char *[]){"dump", "--block=4", s.path, NULL});
	assert_int_equal(lines_with(&r.out, "\n  string "), 10);
	ran_release(&r);
	sample_flip(&s, copy_off + 100); /* and inside that: its strings are gone, what refers to them says so */
	run_command(&r, dump_cmd, (const char *[]){"dump", "--kind=total", s.path, NULL});
	assert_int_equal(r.exit_code, 3);
	has(r.out, "  total key=10(missing) value=2000\n");
	ran_release(&r);
	run_command(&r, dump_cmd, (const char *[]){"dump", "--kind=total", "--json", s.path, NULL});
	has(r.out, "{\"block\":2,\"kind\":\"total\",\"key\":null,\"key_idx\":10,\"value\":2000}\n");
	ran_release(&r);
	sample_release(&s);
}

static void schema_names_every_column(void **state)
{
	u32 n;
	const struct fmt_kind *kinds = fmt_kinds(&n);
	struct ran text, json;
	size_t columns = 0;

	(void)state;
	run_command(&text, dump_cmd, (const char *[]){"dump", "--schema", NULL});
	run_command(&json, dump_cmd, (const char *[]){"dump", "--schema", "--json", NULL});
	assert_int_equal(text.exit_code, 0);
	assert_int_equal(json.exit_code, 0);
	for (u32 k = 0; k < n; k++) {
		char line[512];

		(void)snprintf(line, sizeof(line), "%s (kind %u, ", kinds[k].name, (u32)kinds[k].id);
		has(text.out, line);
		columns += kinds[k].n_cols;
		for (u32 c = 0; c < kinds[k].n_cols; c++)
			has(text.out, kinds[k].cols[c].doc);
	}
	assert_int_equal(lines_with(&json.out, "\"doc\": "), columns);
	has(text.out, "stack (kind 7, no event, payload: list of u64)\n    1  idx            delta   ");
	ran_release(&text);
	ran_release(&json);
}

static void expect_failure(const char *const *argv, int code, const char *message)
{
	struct ran r;

	run_command(&r, dump_cmd, argv);
	assert_int_equal(r.exit_code, code);
	assert_int_equal(r.out.len, 0);
	has(r.err, message);
	ran_release(&r);
}

static void failures(void **state)
{
	(void)state;
	expect_failure((const char *[]){"dump", "/nonexistent", NULL}, 1, "there is no such file");
	expect_failure((const char *[]){"dump", NULL}, 2, "which capture?");
	expect_failure((const char *[]){"dump", "--schema", "x", NULL}, 2, "--schema takes no FILE");
	expect_failure((const char *[]){"dump", "--kind=nonsense", "x", NULL}, 2, "there is no kind 'nonsense'");
	expect_failure((const char *[]){"dump", "--block=-1", "x", NULL}, 2, "--block: '-1'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_as_text), cmocka_unit_test(throttling),
		cmocka_unit_test(json_lines),	      cmocka_unit_test(selections),
		cmocka_unit_test(damage_is_named),    cmocka_unit_test(schema_names_every_column),
		cmocka_unit_test(failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
