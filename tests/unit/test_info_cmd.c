/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_info_cmd.c: `ascope info` on captures of known contents, whole and spoiled: numbers, verdict, exit codes, messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <stdio.h>
#include <string.h>

#include "report/cmds.h"
#include "tests/unit/sample_capture.h"

static void info(struct ran *r, const struct sample *s, bool json)
{
	const char *text[] = {"info", s->path, NULL}, *as_json[] = {"info", "--json", s->path, NULL};

	run_command(r, info_cmd, json ? as_json : text);
}

#define has(buf_, text)	  assert_non_null(strstr((const char *)(buf_).data, text))
#define lacks(buf_, text) assert_null(strstr((const char *)(buf_).data, text))

static void a_complete_capture(void **state)
{
	const struct sample_recipe recipe = {0};
	struct sample s;
	struct ran r;

	(void)state;
	sample_make(&s, &recipe);
	info(&r, &s, true);
	assert_int_equal(r.exit_code, 0);
	assert_int_equal(r.err.len, 0);
	has(r.out, "{\n  \"schema_version\": 1,\n  \"verdict\": \"complete\",\n  \"reasons\": [],\n  \"notes\": [],\n"
		   "  \"duration_ns\": 999500000,\n  \"ts_first\": 5000000000,\n  \"ts_last\": 5999500000,\n"
		   "  \"events\": {\n    \"switch_out\": 1000,\n    \"switch_in\": 1000,\n    \"clock\": 1\n  },\n");
	has(r.out,
	    "  \"lost\": {},\n  \"stacks\": {\n    \"total\": 1000,\n    \"whole\": 1000,\n    \"truncated\": 0,\n"
	    "    \"no_table\": 0,\n    \"fault\": 0,\n    \"frame_pointers\": 0,\n    \"no_mapping\": 0,\n"
	    "    \"bad_rule\": 0,\n    \"broken\": 0,\n    \"starting\": 0,\n    \"leaf_only\": 0,\n    \"guessed\": 0\n  },\n"
	    "  \"stacks_distinct\": {\n    \"total\": 10,\n    \"whole\": 10,\n");
	has(r.out, "  \"blocks\": {\n    \"intact\": 7,\n    \"damaged\": 0,\n    \"missing\": 0\n  },\n");
	has(r.out, "\"tokio_version\": \"1.43.4\"");
	has(r.out, "\"key\": \"events.seen\",\n      \"value\": 2000\n"); /* the latest of two */
	ran_release(&r);

	info(&r, &s, false);
	assert_int_equal(r.exit_code, 0);
	has(r.out, "999.5 ms  2,000 events");
	has(r.out, "recorded 2026-01-01 00:00:00 UTC");
	has(r.out, "verdict     COMPLETE\n");
	has(r.out, "1b4e28ba-2fa1-41d2-883f-0016d3cca427, format version 1\n");
	has(r.out, "7 blocks intact, 0 damaged, 0 missing; closed cleanly\n");
	has(r.out, "LOST\n  nothing\n");
	has(r.out, "tokio 1.43.4 in /usr/bin/orders (pid 24036), 4 threads; found by: shape scan, 4 threads agree\n");
	ran_release(&r);
	sample_release(&s);
}

static void lost_events(void **state)
{
	const struct sample_recipe recipe = {.lost = 7};
	struct sample s;
	struct ran r;

	(void)state;
	sample_make(&s, &recipe);
	info(&r, &s, true);
	assert_int_equal(r.exit_code, 3);
	/* total and gap tell of the same 7: they are not added */
	has(r.out,
	    "\"verdict\": \"partial\",\n  \"reasons\": [\n    \"of 2,007 events 7 were lost while recording (0.35 %)\"\n  ]");
	has(r.out, "  \"lost\": {\n    \"ring_full\": 7\n  },\n");
	ran_release(&r);
	sample_release(&s);
}

/* A gap of ring_full and totals of ring_full.KIND tell of the same events, too; without totals the gap is all there is. */
static void lost_events_by_kind(void **state)
{
	const struct sample_recipe by_kind = {.lost = 7, .lost_by_kind = true}, killed = {.lost = 7, .no_totals = true};
	struct sample s;
	struct ran r;

	(void)state;
	sample_make(&s, &by_kind);
	info(&r, &s, true);
	has(r.out, "of 2,007 events 7 were lost");
	has(r.out, "  \"lost\": {\n    \"ring_full.switch_out\": 7\n  },\n");
	ran_release(&r);
	sample_release(&s);
	sample_make(&s, &killed);
	info(&r, &s, true);
	has(r.out, "of 2,007 events 7 were lost");
	has(r.out, "  \"lost\": {\n    \"ring_full\": 7\n  },\n");
	ran_release(&r);
	sample_release(&s);
}

static void no_event(void **state)
{
	const struct sample_recipe recipe = {.no_events = true};
	struct sample s;
	struct ran r;

	(void)state;
	sample_make(&s, &recipe);
	info(&r, &s, true);
	assert_int_equal(r.exit_code, 3);
	has(r.out, "\"verdict\": \"untrustworthy\",\n  \"reasons\": [\n    \"it holds no event\"\n  ]");
	ran_release(&r);
	sample_release(&s);
}

static void thin_evidence(void **state)
{
	const struct sample_recipe recipe = {.unread = 2, .no_table = 3};
	struct sample s;
	struct ran r;

	(void)state;
	sample_make(&s, &recipe);
	info(&r, &s, true);
	assert_int_equal(r.exit_code, 3);
	has(r.out, "\"of 1,000 runtime contexts 2 could not be read (0.20 %): polls may be missing\"");
	has(r.out, "\"of 1,000 user stacks 300 are not whole (30.0 %): no unwind table 300\"");
	has(r.out, "\"total\": 1000,\n    \"whole\": 700,\n    \"truncated\": 0,\n    \"no_table\": 300,");
	has(r.out, "\"total\": 10,\n    \"whole\": 7,\n    \"truncated\": 0,\n    \"no_table\": 3,");
	has(r.out, "\"contexts\": {\n    \"total\": 1000,\n    \"unread\": 2\n  }");
	ran_release(&r);
	sample_release(&s);
}

/* Samples weigh like switch-outs, by the status of their callers; where there are none, that is a status of its own. */
static void stacks_of_samples(void **state)
{
	const struct sample_recipe recipe = {.samples = true, .guessed = true, .no_table = 1};
	struct sample s;
	struct ran r;

	(void)state;
	sample_make(&s, &recipe);
	info(&r, &s, true);
	has(r.out, "\"of 1,006 user stacks 105 are not whole (10.4 %): no unwind table 102, not walked 3\"");
	has(r.out, "\"total\": 1006,\n    \"whole\": 901,\n    \"truncated\": 0,\n    \"no_table\": 102,");
	has(r.out, "\"leaf_only\": 3,\n    \"guessed\": 102\n");
	has(r.out, "\"of 1,006 user stacks 102 rest in part on frame pointers, which may mislead (10.1 %)\"");
	ran_release(&r);
	info(&r, &s, false);
	has(r.out, "STACKS                      in records      share      distinct\n"
		   "  user whole                       901    89.56 %             9\n"
		   "  user no_table                    102    10.14 %             1\n"
		   "  user leaf_only                     3     0.30 %             0\n");
	ran_release(&r);
	sample_release(&s);
}

static void killed_cut_and_damaged(void **state)
{
	const struct sample_recipe killed = {.no_close = true}, plain = {0};
	struct sample s;
	struct ran r;

	(void)state;
	sample_make(&s, &killed);
	info(&r, &s, true);
	assert_int_equal(r.exit_code, 3);
	has(r.out, "\"verdict\": \"partial\",\n  \"reasons\": [\n    \"it was not closed");
	has(r.out, "\"switch_out\": 1000,\n    \"switch_in\": 1000,");
	ran_release(&r);
	sample_release(&s);

	sample_make(&s, &plain);
	sample_flip(&s, 500); /* inside the second block */
	info(&r, &s, true);
	assert_int_equal(r.exit_code, 3);
	has(r.out, "\"verdict\": \"partial\"");
	has(r.out, "\"switch_out\": 500,\n    \"switch_in\": 500\n");
	has(r.out, "\"damaged\": 1,");
	has(r.out, "\"what\": \"payload checksum\"");
	ran_release(&r);
	sample_release(&s);
}

/* Whatever the length of a cut copy, it is read, or refused with a reason; never a crash, never "complete". */
static void every_length(void **state)
{
	const struct sample_recipe recipe = {.lost = 7};
	struct sample s;
	u64 size;

	(void)state;
	sample_make(&s, &recipe);
	size = sample_size(&s);
	for (u64 cut = size - 1; cut != UINT64_MAX; cut -= cut > 200 ? 37 : 1) {
		struct ran r;

		sample_cut(&s, cut);
		info(&r, &s, true);
		assert_int_equal(r.exit_code, cut < 64 ? 1 : 3);
		if (cut < 64)
			has(r.err, cut < 8 ? "not an ascope capture" : "ends inside the file header");
		ran_release(&r);
	}
	sample_release(&s);
}

static void hostile_names(void **state)
{
	const struct sample_recipe recipe = {.hostile_names = true, .lost = 1};
	struct sample s;
	struct ran r;

	(void)state;
	sample_make(&s, &recipe);
	info(&r, &s, false);
	lacks(r.out, "\033");
	ran_release(&r);
	info(&r, &s, true);
	lacks(r.out, "\033");
	ran_release(&r);
	sample_release(&s);
}

static void expect_failure(const char *const *argv, int code, const char *message)
{
	struct ran r;

	run_command(&r, info_cmd, argv);
	assert_int_equal(r.exit_code, code);
	assert_int_equal(r.out.len, 0);
	has(r.err, message);
	ran_release(&r);
}

static void failures(void **state)
{
	const struct sample_recipe recipe = {0};
	struct sample s;

	(void)state;
	expect_failure((const char *[]){"info", "/nonexistent", NULL}, 1, "/nonexistent: there is no such file");
	expect_failure((const char *[]){"info", "/", NULL}, 1, "/: not a regular file");
	expect_failure((const char *[]){"info", "/proc/self/exe", NULL}, 1, "cannot be read as a capture: not an ascope capture");
	expect_failure((const char *[]){"info", NULL}, 2, "which capture? ascope info FILE");
	expect_failure((const char *[]){"info", "a", "b", NULL}, 2, "one capture at a time");
	expect_failure((const char *[]){"info", "--jsno", "a", NULL}, 2, "unknown option --jsno; did you mean --json?");
	sample_make(&s, &recipe);
	sample_flip(&s, 9);  /* inside the version: the header's checksum fails before any claim of it is believed */
	sample_flip(&s, 33); /* one byte alone would be put right */
	expect_failure((const char *[]){"info", s.path, NULL}, 1, s.path);
	sample_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_complete_capture), cmocka_unit_test(lost_events),   cmocka_unit_test(lost_events_by_kind),
		cmocka_unit_test(no_event),	      cmocka_unit_test(thin_evidence), cmocka_unit_test(killed_cut_and_damaged),
		cmocka_unit_test(every_length),	      cmocka_unit_test(hostile_names), cmocka_unit_test(failures),
		cmocka_unit_test(stacks_of_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
