/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_verdict.c: every rule of verdict.h alone, on both sides of its threshold; hostile counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <string.h>

#include "report/verdict.h"

/* A capture with nothing wrong. */
static struct verdict_facts fine(void)
{
	return (struct verdict_facts){
		.events = 1000000,
		.blocks_intact = 100,
		.file_size = 1000000,
		.closed_cleanly = true,
		.stacks[FMT_STACK_WHOLE] = 10000,
		.contexts = 100000,
	};
}

static void expect(const struct verdict_facts *f, enum verdict_state state, const char *reasons, const char *note)
{
	struct verdict v;
	_cleanup_free_ char *text = NULL;

	verdict_decide(f, &v);
	text = verdict_reasons(&v);
	assert_string_equal(text, reasons);
	assert_int_equal(v.state, state);
	assert_int_equal(v.n_notes, note ? 1 : 0);
	if (note)
		assert_string_equal(v.notes[0], note);
}

static void complete(void **state)
{
	struct verdict_facts f = fine();

	(void)state;
	expect(&f, VERDICT_COMPLETE, "", NULL);
	f = (struct verdict_facts){.events = 1, .blocks_intact = 1, .file_size = 1, .closed_cleanly = true};
	expect(&f, VERDICT_COMPLETE, "", NULL);
	assert_string_equal(verdict_name(VERDICT_COMPLETE), "complete");
	assert_string_equal(verdict_name(VERDICT_PARTIAL), "partial");
	assert_string_equal(verdict_name(VERDICT_UNTRUSTWORTHY), "untrustworthy");
}

static void lost_events(void **state)
{
	struct verdict_facts f = fine();

	(void)state;
	f.lost = 1;
	expect(&f, VERDICT_PARTIAL, "of 1,000,001 events 1 were lost while recording (< 0.01 %)", NULL);
	f.events = 900;
	f.lost = 100; /* exactly 10 % of all is not more than 10 % */
	expect(&f, VERDICT_PARTIAL, "of 1,000 events 100 were lost while recording (10.0 %)", NULL);
	f.events = 899;
	f.lost = 101;
	expect(&f, VERDICT_UNTRUSTWORTHY, "of 1,000 events 101 were lost while recording (10.1 %)", NULL);
	f.events = 0;
	f.lost = 0;
	expect(&f, VERDICT_UNTRUSTWORTHY, "it holds no event", NULL);
}

static void damaged_files(void **state)
{
	static const char unclosed[] = "it was not closed: the recording ended abruptly, or the copy is cut short or damaged";
	struct verdict_facts f = fine();

	(void)state;
	f.blocks_intact = 18;
	f.blocks_damaged = 2;
	expect(&f, VERDICT_PARTIAL, "blocks: 20, of which 2 damaged and 0 missing (10.0 %)", NULL);
	f.blocks_missing = 1;
	expect(&f, VERDICT_UNTRUSTWORTHY, "blocks: 21, of which 2 damaged and 1 missing (14.3 %)", NULL);
	f.blocks_intact = 1; /* one alone is never more than partial: a short capture that was cut inside a block */
	f.blocks_damaged = 1;
	f.blocks_missing = 0;
	expect(&f, VERDICT_PARTIAL, "blocks: 2, of which 1 damaged and 0 missing (50.0 %)", NULL);

	f = fine();
	f.bytes_skipped = 500000;
	expect(&f, VERDICT_PARTIAL, "500.0 kB of 1.0 MB could not be read (50.0 %)", NULL);
	f.bytes_skipped++;
	expect(&f, VERDICT_UNTRUSTWORTHY, "500.0 kB of 1.0 MB could not be read (50.0 %)", NULL);

	f = fine();
	f.closed_cleanly = false;
	expect(&f, VERDICT_PARTIAL, unclosed, NULL);
}

static void evidence(void **state)
{
	struct verdict_facts f = fine();

	(void)state;
	f.contexts_unread = 100;
	expect(&f, VERDICT_COMPLETE, "", "of 100,000 runtime contexts 100 could not be read (0.10 %)");
	f.contexts_unread = 101;
	expect(&f, VERDICT_PARTIAL, "of 100,000 runtime contexts 101 could not be read (0.10 %): polls may be missing", NULL);
	f.contexts_unread = 10001;
	expect(&f, VERDICT_UNTRUSTWORTHY, "of 100,000 runtime contexts 10,001 could not be read (10.0 %): polls may be missing",
	       NULL);
}

/* n of 10,000 stacks end with this status instead of whole. */
static struct verdict_facts with_stacks(u64 status, u64 n)
{
	struct verdict_facts f = fine();

	f.stacks[FMT_STACK_WHOLE] -= n;
	f.stacks[status] += n;
	return f;
}

static void stacks(void **state)
{
	struct verdict_facts f = with_stacks(FMT_STACK_NO_TABLE, 1);

	(void)state;
	expect(&f, VERDICT_COMPLETE, "", "of 10,000 user stacks 1 are not whole (0.01 %): no unwind table 1");
	f = with_stacks(FMT_STACK_NO_TABLE, 100); /* exactly 1 % */
	expect(&f, VERDICT_COMPLETE, "", "of 10,000 user stacks 100 are not whole (1.0 %): no unwind table 100");
	f = with_stacks(FMT_STACK_NO_TABLE, 101);
	expect(&f, VERDICT_PARTIAL, "of 10,000 user stacks 101 are not whole (1.0 %): no unwind table 101", NULL);
	f = with_stacks(FMT_STACK_FAULT, 10000); /* the worst stacks cost the lines, not the times */
	expect(&f, VERDICT_PARTIAL, "of 10,000 user stacks 10,000 are not whole (100.0 %): stack memory not readable 10,000",
	       NULL);
	/* the three commonest reasons, whatever their number */
	f = with_stacks(FMT_STACK_TRUNCATED, 10);
	f.stacks[STACK_LEAF_ONLY] = 40;
	f.stacks[FMT_STACK_NO_MAPPING] = 30;
	f.stacks[FMT_STACK_BROKEN] = 20;
	f.stacks[FMT_STACK_BAD_RULE] = 20;
	f.stacks[FMT_STACK_WHOLE] = 880;
	expect(&f, VERDICT_PARTIAL,
	       "of 1,000 user stacks 120 are not whole (12.0 %): not walked 40, in no known file 30, unwind rule that cannot be followed 20",
	       NULL);
	assert_int_equal(verdict_stacks(&f), 1000);
}

/* Walks by frame pointers alone cannot tell: they are neither whole nor not. */
static void stacks_by_frame_pointers(void **state)
{
	static const char note[] =
		"of 10,000 user stacks 9,000 were walked by frame pointers: whether they are whole is not known";
	struct verdict_facts f = with_stacks(FMT_STACK_FP, 9000);

	(void)state;
	expect(&f, VERDICT_COMPLETE, "", note);
	assert_int_equal(verdict_stacks(&f), 10000);
	assert_int_equal(verdict_stacks_known(&f), 1000);
	f.stacks[FMT_STACK_WHOLE] = 989;
	f.stacks[FMT_STACK_FAULT] = 11; /* 1.1 % of the 1,000 that are known */
	expect(&f, VERDICT_PARTIAL, "of 1,000 user stacks 11 are not whole (1.1 %): stack memory not readable 11", note);
	f = fine();
	f.stacks_guessed = 500;
	expect(&f, VERDICT_COMPLETE, "", "of 10,000 user stacks 500 rest in part on frame pointers, which may mislead (5.0 %)");
}

static void everything_at_once(void **state)
{
	const struct verdict_facts f = {
		.lost = UINT64_MAX,
		.blocks_intact = UINT64_MAX,
		.blocks_damaged = UINT64_MAX,
		.blocks_missing = UINT64_MAX,
		.bytes_skipped = UINT64_MAX,
		.file_size = UINT64_MAX,
		.stacks = {[STACK_LEAF_ONLY] = UINT64_MAX,
			   [FMT_STACK_BAD_RULE] = UINT64_MAX,
			   [FMT_STACK_FAULT] = UINT64_MAX,
			   [FMT_STACK_FP] = UINT64_MAX},
		.stacks_guessed = UINT64_MAX,
		.contexts = 0,
		.contexts_unread = UINT64_MAX,
	};
	struct verdict v;

	(void)state;
	verdict_decide(&f, &v);
	assert_int_equal(v.state, VERDICT_UNTRUSTWORTHY);
	assert_int_equal(v.n_reasons, 7);
	assert_int_equal(v.n_notes, 2);
	for (u32 i = 0; i < v.n_reasons; i++)
		assert_true(strlen(v.reasons[i]) < VERDICT_LINE - 1); /* none was cut */
	for (u32 i = 0; i < v.n_notes; i++)
		assert_true(strlen(v.notes[i]) < VERDICT_LINE - 1);
}

/* As record/stop.c names it; what is not the user's wish makes less of the recording than was asked for. */
static void ended_early(void **state)
{
	static const struct {
		const char *stopped_by, *reason, *note;
	} ends[] = {
		{"disk full", "it stopped early: the disk was full after 12.3 s", NULL},
		{"disk quota", "it stopped early: the disk quota was used up after 12.3 s", NULL},
		{"file size limit", "it stopped early: the file reached the limit of ulimit -f after 12.3 s", NULL},
		{"error", "it stopped early: an error ended it after 12.3 s", NULL},
		{"max-size", "", "it ended at --max-size after 12.3 s"},
		{"duration", "", NULL},
		{"signal", "", NULL},
		{"target exited", "", NULL},
		{"unknown", "", NULL},
		{"of a later version", "", NULL},
		{"", "", NULL},
		{NULL, "", NULL},
	};
	struct verdict_facts f = fine();

	(void)state;
	f.duration = 12300 * NSEC_PER_MSEC;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		f.end = verdict_end_of(ends[i].stopped_by);
		expect(&f, *ends[i].reason ? VERDICT_PARTIAL : VERDICT_COMPLETE, ends[i].reason, ends[i].note);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(complete),	 cmocka_unit_test(lost_events),
		cmocka_unit_test(damaged_files), cmocka_unit_test(ended_early),
		cmocka_unit_test(evidence),	 cmocka_unit_test(everything_at_once),
		cmocka_unit_test(stacks),	 cmocka_unit_test(stacks_by_frame_pointers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
