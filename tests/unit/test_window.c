/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_window.c: a part of a recording (--from, --to), loaded alone from the blocks it needs, gives what the whole load gives of that
 * part; and much of a long file is not read for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "record/tally.h"
#include "report/capture_db.h"
#include "report/db.h"
#include "report/load.h"
#include "tests/unit/capture_builder.h"
#include "tests/unit/raw_capture.h"
#include "tests/unit/sample_capture.h"
#include "tests/unit/thread_events.h"

enum { SECONDS = 120 };

/*
 * Every 40 ms a poll that waits: most for some ms, one for 4 s, one, from 10 s on, for 30 s, which is more than is read around a
 * part. A block a second, as a recorder writes them.
 */
static void make_long(struct capture_builder *cb, struct tally *t)
{
	u64 rnd = 7;

	cb_init(cb);
	fmt_writer_watch(cb->w, tally_row, t);
	for (u32 i = 0; i < SECONDS * 25; i++) {
		double ms = i * 40.0;
		u64 tick = 10 + i, wait = i == 1500 ? 4000 : i == 250 ? 30000 : 1 + raw_random(&rnd) % 30;

		OUTSIDE(ms + 1);
		OUT(ms + 2, .tick = tick, .task = 30 + i % 7);
		WAKING(ms + 2 + (double)wait - 0.5);
		IN(ms + 2 + (double)wait);
		SAMPLE(ms + 2 + (double)wait + 0.2, .tick = tick, .task = 30 + i % 7);
		PARK(ms + 2 + (double)wait + 1);
		if (wait > 100)
			i += (u32)wait / 40;
		if (i % 25 == 24 || wait > 100)
			cb_flush(cb);
	}
	cb_end(cb, AT(SECONDS * 1000));
	cb_total(cb, "records.contexts", t->contexts);
	cb_total(cb, "records.contexts_unread", t->contexts_unread);
	cb_total(cb, "records.events", t->events);
	cb_finish(cb);
}

static int setup(void **state)
{
	struct capture_builder *cb = calloc(1, sizeof(*cb));
	struct tally t = {0};

	if (!cb)
		return -1;
	make_long(cb, &t);
	tally_release(&t);
	*state = cb;
	return setenv("XDG_CACHE_HOME", "/proc/no-cache-here", 1);
}

static int teardown(void **state)
{
	cb_release(*state);
	free(*state);
	return 0;
}

static struct capture_db *open_part(const struct capture_builder *cb, u64 from, u64 to, bool whole)
{
	const struct capture_opts o = {
		.capture = cb->path, .no_cache = whole, .from_ns = whole ? 0 : from, .to_ns = whole ? 0 : to};
	struct capture_db *db = NULL;

	assert_int_equal(capture_db_open(&o, &db), 0);
	return db;
}

/* All rows of a query, a line each; how many goes to *ret_rows. */
static void rows_of(sqlite3 *db, const char *sql, struct buf *ret, u32 *ret_rows)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;

	*ret_rows = 0;
	assert_int_equal(db_prepare(db, sql, &st), 0);
	while (db_step(st) == 1) {
		for (int c = 0; c < sqlite3_column_count(st); c++) {
			const char *text = (const char *)sqlite3_column_text(st, c);

			buf_printf(ret, "%s|", text ? text : "-");
		}
		buf_putc(ret, '\n');
		++*ret_rows;
	}
	buf_putc(ret, 0);
	assert_int_equal(buf_err(ret), 0);
}

/* What a query gives of both, between two times. Returns how many rows. */
static u32 compare(struct capture_db *part, struct capture_db *whole, const char *sql, u64 from, u64 to)
{
	_cleanup_buf_ struct buf have = BUF_INIT;
	_cleanup_buf_ struct buf want = BUF_INIT;
	char text[1024];
	u32 n, m;

	(void)snprintf(text, sizeof(text), "WITH w(lo, hi) AS (SELECT %llu, %llu) %s", (unsigned long long)(CB_START + from),
		       (unsigned long long)(CB_START + to), sql);
	rows_of(capture_db_handle(part), text, &have, &m);
	rows_of(capture_db_handle(whole), text, &want, &n);
	assert_string_equal((const char *)have.data, (const char *)want.data);
	return n;
}

static const char *const queries[] = {
	("SELECT ts, dur, dur_min, dur_max, off_cpu, on_cpu, runnable, waits, samples, class, rule, state, task_id, worker FROM poll, w "
	 "WHERE ts <= hi AND ts + dur >= lo ORDER BY ts"),
	"SELECT ts, dur, ts_waking, cpu, state, role, class, rule, syscall FROM offcpu, w WHERE ts <= hi AND ts + dur >= lo ORDER BY ts",
	"SELECT ts, cpu, mode, role FROM sample, w WHERE ts <= hi AND ts >= lo ORDER BY ts",
};

static void parts_are_as_in_the_whole(void **state)
{
	static const u64 parts[][2] = {{0, 9}, {41, 45}, {50, 51}, {58, 61}, {62, 63}, {90, 120}, {70, 0}};
	const struct capture_builder *cb = *state;
	struct capture_db *whole = open_part(cb, 0, 0, true);
	u32 rows = 0;

	for (u32 i = 0; i < ARRAY_SIZE(parts); i++) {
		u64 from = parts[i][0] * NSEC_PER_SEC, to = parts[i][1] * NSEC_PER_SEC;
		struct capture_db *part = open_part(cb, from, to, false);

		/* it is a part: the head says so, and the whole's times are the recording's */
		assert_int_equal(cb_int(capture_db_handle(part), "SELECT count(*) FROM meta WHERE key = 'ascope.window_from'"),
				 1);
		assert_true(cb_int(capture_db_handle(part), "SELECT count(*) FROM poll") <
			    cb_int(capture_db_handle(whole), "SELECT count(*) FROM poll"));
		(void)compare(part, whole, "SELECT uuid, ts_start, ts_end, verdict, verdict_why FROM capture", from, to);
		for (u32 k = 0; k < ARRAY_SIZE(queries); k++)
			rows += compare(part, whole, queries[k], from, to ? to : SECONDS * NSEC_PER_SEC);
		capture_db_close(part);
	}
	assert_true(rows > 5000);
	capture_db_close(whole);
}

/* The 4 s poll began before the part and ends behind it: the margin makes it whole. */
static void a_long_poll_around_a_part(void **state)
{
	struct capture_db *part = open_part(*state, 61 * NSEC_PER_SEC, 62 * NSEC_PER_SEC, false);

	assert_int_equal(cb_int(capture_db_handle(part), "SELECT count(*) FROM poll WHERE dur BETWEEN 4000000000 AND 4100000000"),
			 1);
	capture_db_close(part);
}

static void little_is_read(void **state)
{
	const struct capture_builder *cb = *state;
	const struct fmt_want want = {.dictionaries = true, .events = true, .from = AT(60000), .to = AT(70000)};
	struct fmt_reader *r = NULL;
	struct fmt_block b;
	u64 part, whole;

	assert_int_equal(fmt_reader_open(cb->path, &r, NULL), 0);
	whole = fmt_reader_health(r)->file_size;
	fmt_reader_want(r, &want);
	while (fmt_reader_next(r, &b) == 1)
		continue;
	part = fmt_reader_bytes_read(r);
	fmt_reader_close(r);
	assert_true(whole > 50000);
	assert_true(part * 3 < whole);
}

/* Nothing is left beside the capture, and a database that is there is used. */
static void no_database_is_left(void **state)
{
	const struct capture_builder *cb = *state;
	const struct capture_opts all = {.capture = cb->path};
	struct capture_db *db;
	char path[80];

	(void)snprintf(path, sizeof(path), "%s.db", cb->path);
	capture_db_close(open_part(cb, 50 * NSEC_PER_SEC, 51 * NSEC_PER_SEC, false));
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(capture_db_open(&all, &db), 0);
	capture_db_close(db);
	assert_int_equal(access(path, F_OK), 0);
	db = open_part(cb, 50 * NSEC_PER_SEC, 51 * NSEC_PER_SEC, false);
	assert_int_equal(cb_int(capture_db_handle(db), "SELECT count(*) FROM meta WHERE key = 'ascope.window_from'"), 0);
	capture_db_close(db);
	assert_int_equal(unlink(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_as_in_the_whole),
		cmocka_unit_test(a_long_poll_around_a_part),
		cmocka_unit_test(little_is_read),
		cmocka_unit_test(no_database_is_left),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
