/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_info_quick.c: what the recorder sums up while it writes (record/tally.c, facts_records) is what a reader counts who reads
 * every event: `ascope info` says the same both ways, of captures that a generator makes, and so does the database's verdict.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "record/catalog.h"
#include "record/facts.h"
#include "record/tally.h"
#include "report/capture_scan.h"
#include "report/cmds.h"
#include "report/db.h"
#include "report/load.h"
#include "tests/unit/raw_capture.h"
#include "tests/unit/sample_capture.h"

struct made {
	char path[64];
	struct fmt_writer *w;
	struct catalog *cat;
	struct tally tally;
	u64 rnd;
};

#define put(m, KIND, kind, ...)                                                                                                  \
	assert_int_equal(fmt_writer_row((m)->w, FMT_##KIND, &(const struct fmt_##kind){__VA_ARGS__}, NULL, 0), 0)

static u64 draw(struct made *m, u64 below)
{
	return raw_random(&m->rnd) % below;
}

/* Entries of user and kernel stacks, of every status and some that no recorder gives; some twice. */
static void put_stacks(struct made *m)
{
	for (u64 i = 1; i <= 40; i++) {
		const u64 frames[] = {0x1000, 0x2000};
		const struct fmt_stack s = {.idx = 1 + draw(m, 30),
					    .kind = draw(m, 4) ? FMT_STACK_USER : FMT_STACK_KERNEL,
					    .status = 1 + draw(m, FMT_STACK_STATUS_END + 1),
					    .fp_from = draw(m, 3)};

		assert_int_equal(fmt_writer_row(m->w, FMT_STACK, &s, frames, 2), 0);
	}
}

static void put_events(struct made *m, u64 n)
{
	u32 causes[] = {catalog_string(m->cat, "ring_full"), catalog_string(m->cat, "late")};

	for (u64 i = 0; i < n; i++) {
		u64 ts = 1000000 + i * 1000, ustack = draw(m, 3) ? draw(m, 35) : 0, status = draw(m, 3);

		switch (draw(m, 7)) {
		case 0:
			put(m, SAMPLE, sample, .ts = ts, .thread = 1, .mode = 1, .ctx_status = status, .ustack = ustack,
			    .pc = draw(m, 2) * 0x4000);
			break;
		case 1:
			put(m, SNAPSHOT, snapshot, .ts = ts, .thread = 2, .ctx_status = status, .ustack = ustack);
			break;
		case 2:
			put(m, CLOCK, clock, .ts = ts, .boottime = ts, .realtime = 1767225600000000000ULL + i);
			break;
		case 3:
			if (draw(m, 4) == 0)
				put(m, GAP, gap, .ts = ts, .ts_end = ts + 5, .cause = causes[draw(m, 2)],
				    .count = 1 + draw(m, 9));
			break;
		case 4:
			put(m, WAKING, waking, .ts = ts, .thread = 1);
			break;
		default:
			put(m, SWITCH_OUT, switch_out, .ts = ts, .thread = 1, .ctx_status = status, .ustack = ustack);
			put(m, SWITCH_IN, switch_in, .ts = ts + 500, .thread = 1);
		}
		if (draw(m, 50) == 0)
			assert_int_equal(fmt_writer_flush(m->w), 0);
	}
}

static void made_begin(struct made *m, u64 seed)
{
	const u8 uuid[16] = {(u8)seed};
	const struct catalog_opts co = {0};
	int fd;

	*m = (struct made){.path = "/tmp/ascope-quick-XXXXXX", .rnd = seed};
	fd = mkstemp(m->path);
	assert_true(fd >= 0);
	assert_int_equal(fmt_writer_new(fd, uuid, 1, &m->w), 0);
	fmt_writer_watch(m->w, tally_row, &m->tally);
	assert_int_equal(catalog_new(m->w, &co, &m->cat), 0);
	put(m, THREAD, thread, .idx = 1, .tid = 11);
	put(m, THREAD, thread, .idx = 2, .tid = 12);
	put_stacks(m);
	put_events(m, draw(m, 400));
}

static void made_end(struct made *m)
{
	struct facts f = {.w = m->w, .cat = m->cat};

	facts_records(&f, &m->tally);
	assert_int_equal(facts_err(&f), 0);
	assert_int_equal(fmt_writer_finish(m->w), 0);
	m->cat = catalog_free(m->cat);
	m->w = fmt_writer_free(m->w);
	tally_release(&m->tally);
}

static void scan(const char *path, bool quick, struct capture_scan *s, u64 *ret_read)
{
	struct fmt_reader *r = NULL;

	assert_int_equal(fmt_reader_open(path, &r, NULL), 0);
	assert_int_equal(quick ? capture_scan_quick(s, r) : capture_scan_run(s, r), 0);
	*ret_read = fmt_reader_bytes_read(r);
	fmt_reader_close(r);
}

/* The output of info, but for the one line that tells how it was read. */
static void expect_same_output(const char *path)
{
	const char *const quick[] = {"info", "--json", path, NULL}, *const full[] = {"info", "--json", "--scan", path, NULL};
	struct ran a, b;
	const char *x, *y;

	run_command(&a, info_cmd, quick);
	run_command(&b, info_cmd, full);
	assert_int_equal(a.exit_code, b.exit_code);
	x = strstr((const char *)a.out.data, "\"events_verified\": false");
	y = strstr((const char *)b.out.data, "\"events_verified\": true");
	assert_non_null(x);
	assert_non_null(y);
	assert_int_equal(x - (const char *)a.out.data, y - (const char *)b.out.data);
	assert_memory_equal(a.out.data, b.out.data, x - (const char *)a.out.data);
	assert_string_equal(strchr(x, '\n'), strchr(y, '\n'));
	ran_release(&a);
	ran_release(&b);
}

static void expect_same_verdict(const char *path, const struct capture_scan *s)
{
	const struct load_source src = {.path = path, .size = 1, .rows = CAPTURE_ROWS_ALL};
	_cleanup_free_ char *why = verdict_reasons(&s->verdict);
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	struct fmt_reader *r = NULL;
	sqlite3 *db;

	assert_int_equal(fmt_reader_open(path, &r, NULL), 0);
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(load_capture(db, r, &src), 0);
	assert_int_equal(db_prepare(db, "SELECT verdict, verdict_why FROM capture", &st), 0);
	assert_int_equal(db_step(st), 1);
	assert_string_equal((const char *)sqlite3_column_text(st, 0), verdict_name(s->verdict.state));
	assert_string_equal((const char *)sqlite3_column_text(st, 1), why);
	(void)sqlite3_finalize(TAKE_PTR(st));
	(void)sqlite3_close(db);
	fmt_reader_close(r);
}

static bool compare_ways(u64 seed)
{
	struct capture_scan *quick = calloc(1, sizeof(*quick)), *full = calloc(1, sizeof(*full));
	struct made m;
	u64 read;
	bool has_all;

	assert_true(quick && full);
	made_begin(&m, seed);
	made_end(&m);
	scan(m.path, true, quick, &read);
	scan(m.path, false, full, &read);
	assert_true(quick->is_quick);
	assert_false(full->is_quick);
	assert_memory_equal(&quick->facts, &full->facts, sizeof(full->facts));
	assert_memory_equal(&quick->kinds, &full->kinds, sizeof(full->kinds));
	assert_int_equal(quick->n_lost, full->n_lost);
	has_all = full->facts.contexts_unread && full->facts.stacks_guessed && full->n_lost;
	expect_same_output(m.path);
	expect_same_verdict(m.path, full);
	capture_scan_release(quick);
	capture_scan_release(full);
	free(quick);
	free(full);
	(void)unlink(m.path);
	return has_all;
}

static void both_ways_say_the_same(void **state)
{
	u32 told = 0;

	(void)state;
	for (u64 seed = 1; seed <= 60; seed++)
		told += compare_ways(seed);
	assert_true(told > 30); /* the captures have what is compared */
}

/* No sums of the events, or not of these: all is read. */
static void sums_that_cannot_be_used(void **state)
{
	struct capture_scan s;
	struct made m;
	u64 read;

	(void)state;
	made_begin(&m, 5); /* none */
	m.tally.is_wrong = true;
	made_end(&m);
	scan(m.path, true, &s, &read);
	assert_false(s.is_quick);
	capture_scan_release(&s);
	(void)unlink(m.path);

	made_begin(&m, 5); /* one event too many */
	m.tally.events++;
	made_end(&m);
	scan(m.path, true, &s, &read);
	assert_false(s.is_quick);
	capture_scan_release(&s);
	(void)unlink(m.path);
}

/* The payloads of events are not read. */
static void little_is_read(void **state)
{
	struct capture_scan s;
	struct made m;
	u64 read, whole;

	(void)state;
	made_begin(&m, 9);
	put_events(&m, 200000);
	made_end(&m);
	scan(m.path, true, &s, &read);
	assert_true(s.is_quick);
	capture_scan_release(&s);
	scan(m.path, false, &s, &whole);
	assert_true(whole > 400000);
	if (read * 2 >= whole)
		print_error("%llu of %llu bytes were read\n", (unsigned long long)read, (unsigned long long)whole);
	assert_true(read * 2 < whole);
	capture_scan_release(&s);
	(void)unlink(m.path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways_say_the_same),
		cmocka_unit_test(sums_that_cannot_be_used),
		cmocka_unit_test(little_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
