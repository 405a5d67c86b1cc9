/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_load.c: what the loader makes of files it must not trust: captures of random records, of every kind and with every
 * column wild, and intact ones that were cut or flipped anywhere. A load never fails and never crashes, and the invariants
 * that cb_load() asserts hold; conservation is asserted here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "capture_builder.h"
#include "format/fmt_schema.h"
#include "report/capture_scan.h"

/* xorshift: the same captures in every run. */
static u64 next_random(u64 *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Mostly small, so that ids meet entries; sometimes anything. */
static u64 random_value(u64 *seed)
{
	u64 r = next_random(seed), v = next_random(seed);

	switch (r % 8) {
	case 0:
		return v;
	case 1:
		return v % 3 ? UINT64_MAX - v % 3 : (u64)INT64_MAX + v % 3;
	case 2:
		return CB_START + v % 1000000;
	case 3:
		return 0;
	default:
		return v % 6;
	}
}

static void random_row(struct capture_builder *cb, u64 *seed, const struct fmt_kind *k)
{
	u64 row[FMT_MAX_COLUMNS], payload[16];
	size_t n = k->payload == FMT_PAYLOAD_NONE ? 0 : next_random(seed) % 16;

	if (k->id >= FMT_INDEX) /* the footer's rows are the writer's */
		return;
	for (u32 c = 0; c < k->n_cols; c++)
		row[c] = random_value(seed);
	if (k->is_event && next_random(seed) % 4)
		row[0] = CB_START + next_random(seed) % 1000000;
	if (k->is_event && next_random(seed) % 4)
		row[1] = 1 + next_random(seed) % 3;
	for (size_t i = 0; i < ARRAY_SIZE(payload); i++)
		payload[i] = random_value(seed);
	/* rows above a limit of the format are refused by the writer, and that is fine here */
	(void)!fmt_writer_row(cb->w, k->id, row, n ? payload : NULL, n);
}

static void random_records(void **state)
{
	u32 n_kinds;
	const struct fmt_kind *kinds = fmt_kinds(&n_kinds);

	(void)state;
	for (u64 run = 1; run <= 40; run++) {
		struct capture_builder cb;
		u64 seed = run * 0x9e3779b97f4a7c15ULL;

		cb_init(&cb);
		for (int i = 0; i < 2000; i++) {
			random_row(&cb, &seed, &kinds[next_random(&seed) % n_kinds]);
			if (next_random(&seed) % 300 == 0)
				cb_flush(&cb);
		}
		cb_finish(&cb);
		sqlite3_close(cb_load(&cb));
		cb_release(&cb);
	}
}

/* A busy thread: polls, waits, preemptions, samples, wakings, now and then a lost switch. */
static void busy_thread(struct capture_builder *cb, u64 *seed, u64 thread)
{
	u64 ts = CB_START;

	for (int i = 0; i < 300; i++) {
		u64 r = next_random(seed), step = 1000 + next_random(seed) % 1000000;
		bool polls = r % 3 != 0;
		struct fmt_switch_out out = {.ts = ts += step,
					     .thread = thread,
					     .state = 1 + r / 8 % 2,
					     .preempt = r / 16 % 4 == 0,
					     .ctx_status = FMT_CTX_READ,
					     .context = CB_CONTEXT_MT,
					     .budget = polls ? CB_BUDGET : 0,
					     .runtime = 1,
					     .core = 0xc0 + thread,
					     .park = polls,
					     .task = polls ? 30 : 1,
					     .tick = (u64)i / 8,
					     .syscall = SYS_read + 1};

		if (r / 64 % 3 == 0)
			cb_row(cb, FMT_SAMPLE,
			       &(struct fmt_sample){.ts = ts - step / 2,
						    .thread = thread,
						    .mode = 1,
						    .ctx_status = FMT_CTX_READ,
						    .context = CB_CONTEXT_MT,
						    .budget = out.budget,
						    .runtime = 1,
						    .core = out.core,
						    .park = out.park,
						    .task = out.task,
						    .tick = out.tick});
		cb_row(cb, FMT_SWITCH_OUT, &out);
		if (r / 256 % 50 == 0)
			continue;
		if (!out.preempt)
			cb_row(cb, FMT_WAKING, &(struct fmt_waking){.ts = ts + step / 2, .thread = thread});
		ts += step;
		cb_row(cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = ts, .thread = thread});
	}
}

static void build_busy(struct capture_builder *cb, u64 seed)
{
	cb_init(cb);
	for (u64 t = 1; t <= 3; t++) {
		if (t > 1)
			cb_row(cb, FMT_THREAD, &(struct fmt_thread){.idx = t, .process = 1, .tid = 1000 + t});
		busy_thread(cb, &seed, t);
		cb_flush(cb);
	}
	cb_finish(cb);
}

/* What polls say they waited is what their waits say. */
static void parts_agree_with_waits(void **state)
{
	struct capture_builder cb;
	sqlite3 *db;

	(void)state;
	build_busy(&cb, 7);
	db = cb_load(&cb);
	assert_true(cb_int(db, "SELECT count(*) FROM poll WHERE waits > 1 AND samples > 1") > 5);
	assert_string_equal(cb_text(db, "SELECT cause FROM loss"), "unpaired");
	assert_int_equal(
		cb_int(db,
		       "SELECT count(*) FROM poll AS p WHERE off_cpu + runnable <> (SELECT coalesce(sum(coalesce(o.ts + o.dur, "
		       "(SELECT ts_end FROM capture)) - o.ts), 0) FROM offcpu AS o WHERE o.poll_id = p.id)"),
		0);
	assert_int_equal(
		cb_int(db, "SELECT count(*) FROM poll AS p WHERE samples <> (SELECT count(*) FROM sample WHERE poll_id = p.id)"),
		0);
	assert_int_equal(cb_int(db, "SELECT count(*) FROM poll AS a JOIN poll AS b ON a.thread_id = b.thread_id AND a.id < b.id "
				    "AND a.ts < b.ts + b.dur AND b.ts < a.ts + a.dur"),
			 0); /* a thread is in one poll at a time */
	assert_int_equal(cb_int(db,
				"SELECT count(*) FROM offcpu AS a JOIN offcpu AS b ON a.thread_id = b.thread_id AND a.id < b.id "
				"AND a.ts < b.ts + b.dur AND b.ts < a.ts + a.dur"),
			 0);
	sqlite3_close(db);
	cb_release(&cb);
}

static void damage(const char *path, u64 *seed)
{
	FILE *f = fopen(path, "r+");
	long size, at;
	int c;

	assert_non_null(f);
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	size = ftell(f);
	at = FMT_HEADER_SIZE + (long)(next_random(seed) % (u64)(size - FMT_HEADER_SIZE));
	if (next_random(seed) % 3 == 0) {
		assert_int_equal(ftruncate(fileno(f), at), 0);
	} else {
		assert_int_equal(fseek(f, at, SEEK_SET), 0);
		c = fgetc(f);
		assert_int_equal(fseek(f, at, SEEK_SET), 0);
		assert_true(fputc(c ^ 0x55, f) != EOF);
	}
	assert_int_equal(fclose(f), 0);
}

static void damage_anywhere(void **state)
{
	(void)state;
	for (u64 run = 1; run <= 60; run++) {
		struct capture_builder cb;
		u64 seed = run * 0x2545f4914f6cdd1dULL;
		sqlite3 *db;

		build_busy(&cb, 7);
		damage(cb.path, &seed);
		db = cb_load(&cb);
		assert_int_equal(cb_int(db, "SELECT verdict <> 'complete' AND verdict_why <> '' FROM capture"), 1);
		assert_int_equal(cb_int(db, "SELECT count(*) > 0 FROM loss WHERE cause <> 'unpaired'"), 1);
		sqlite3_close(db);
		cb_release(&cb);
	}
}

/* The disk was full: what was recorded is whole and the file closed, but `info` and the database say that it ended early. */
static void stopped_early(void **state)
{
	static const char why[] = "it stopped early: the disk was full after 2.00 s";
	struct capture_builder cb;
	struct capture_scan scan;
	struct fmt_reader *r = NULL;

	(void)state;
	cb_init(&cb);
	cb_row(&cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = CB_START + 5, .thread = 1});
	cb_meta(&cb, "recording.stopped_by", "disk full");
	cb_end(&cb, CB_START + 2 * NSEC_PER_SEC);
	cb_finish(&cb);
	assert_int_equal(fmt_reader_open(cb.path, &r, NULL), 0);
	assert_int_equal(capture_scan_run(&scan, r), 0);
	assert_int_equal(scan.verdict.state, VERDICT_PARTIAL);
	assert_int_equal(scan.verdict.n_reasons, 1);
	assert_string_equal(scan.verdict.reasons[0], why);
	capture_scan_release(&scan);
	fmt_reader_close(r);
	cb_expect(&cb, "SELECT verdict, verdict_why, (SELECT value FROM meta WHERE key = 'ascope.data_lost') FROM capture",
		  "partial|it stopped early: the disk was full after 2.00 s|1");
	cb_release(&cb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_records),
		cmocka_unit_test(parts_agree_with_waits),
		cmocka_unit_test(damage_anywhere),
		cmocka_unit_test(stopped_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
