/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_view_timeline.c: conservation: the segments of every thread follow one another without room or overlap, whatever the rows
 * are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "report/view_timeline.h"
#include "report_fixture.h"

struct check {
	const struct tl_threads *threads;
	u64 *cursor;   /* per thread */
	u64 *kind_sum; /* per thread and kind */
	u64 first;     /* segments that begin a switch-out */
	u64 idle;      /* ns */
	struct tl_idle idler;
};

static int check_segment(void *ctx, const struct tl_thread *t, const struct tl_segment *s)
{
	struct check *c = ctx;
	size_t i = (size_t)(t - c->threads->rows);
	int idle = tl_is_idle(&c->idler, s);

	assert_true(idle >= 0);
	assert_int_equal(s->ts, c->cursor[i]);
	assert_true(s->end > s->ts);
	c->cursor[i] = s->end;
	c->kind_sum[i * TL_KINDS + s->kind] += s->end - s->ts;
	c->first += s->first;
	if (idle && s->kind == TL_WAIT)
		c->idle += s->end - s->ts;
	return 0;
}

/* Walks and checks; the caller frees kind_sum. */
static struct check walk(sqlite3 *db, u64 lo, u64 hi, struct tl_threads *t)
{
	struct check c = {.threads = t};

	assert_int_equal(tl_threads_load(db, lo, hi, t), 0);
	assert_int_equal(tl_idle_init(&c.idler, db), 0);
	c.cursor = calloc(t->n + 1, sizeof(u64));
	c.kind_sum = calloc((t->n + 1) * TL_KINDS, sizeof(u64));
	for (size_t i = 0; i < t->n; i++)
		c.cursor[i] = t->rows[i].lo;
	assert_int_equal(timeline_walk(db, t, check_segment, &c), 0);
	for (size_t i = 0; i < t->n; i++)
		assert_int_equal(c.cursor[i], t->rows[i].hi);
	free(c.cursor);
	tl_idle_release(&c.idler);
	return c;
}

static void test_conservation(void **state)
{
	sqlite3 *db = fixture_open();
	_cleanup_tl_threads_ struct tl_threads t = {0};
	struct check c = walk(db, FIXTURE_START, FIXTURE_END, &t);
	u64 in_poll = 0;

	(void)state;
	assert_int_equal(t.n, 8);
	/* Threads of runtimes first, workers in order. */
	assert_int_equal(t.rows[0].tid, 24037);
	assert_int_equal(t.rows[3].tid, 24040);
	assert_int_equal(t.rows[4].tid, 24042);
	/* The pool thread lived from 2 s to 28 s. */
	assert_int_equal(t.rows[6].hi - t.rows[6].lo, 26 * NSEC_PER_SEC);
	/* Of the one without events nothing is known. */
	assert_int_equal(c.kind_sum[7 * TL_KINDS + TL_UNSEEN], 30 * NSEC_PER_SEC);
	/* Against SQL: waiting of worker 1, up to its wakings. */
	in_poll = (u64)fixture_s64(
		db, "SELECT sum(coalesce(ts_waking, ts + dur) - ts) FROM offcpu WHERE thread_id = 3 AND state <> 'R'", NULL);
	assert_int_equal(c.kind_sum[1 * TL_KINDS + TL_WAIT], in_poll);
	assert_int_equal(c.first, 1510);
	/* Idle: the parks, and the pool's wait for a job, not its job. */
	assert_int_equal(
		c.idle,
		fixture_s64(
			db,
			"SELECT sum(coalesce(ts_waking, 1030000000000) - ts) FROM offcpu WHERE role = 'parked' OR stack_id = 8",
			NULL));
	free(c.kind_sum);
	tl_threads_release(&t);
	fixture_close(db);
}

static void test_windows(void **state)
{
	sqlite3 *db = fixture_open();

	(void)state;
	for (u64 lo = FIXTURE_START; lo < FIXTURE_END; lo += 1777777777) {
		for (u64 len = 1; len < 20 * NSEC_PER_SEC; len = len * 7 + 13) {
			struct tl_threads t = {0};
			struct check c = walk(db, lo, min_u64(lo + len, FIXTURE_END), &t);

			free(c.kind_sum);
			tl_threads_release(&t);
		}
	}
	fixture_close(db);
}

/* Rows that no sound loader writes: overlaps, wakings outside, an open row in the middle, times behind the end. */
static void test_hostile_rows(void **state)
{
	sqlite3 *db = fixture_open();
	struct tl_threads t = {0};
	struct check c;

	(void)state;
	fixture_exec(
		db,
		"INSERT INTO offcpu (thread_id, ts, dur, ts_waking, state, role) VALUES "
		"(8, 1001000000000, 5000000000, 999, 'S', 'none'), (8, 1002000000000, 5000000000, 9000000000000, 'S', 'none'), "
		"(8, 1003000000000, NULL, NULL, 'S', 'none'), (8, 1004000000000, 1, NULL, 'R', 'none'), "
		"(8, 1004000000000, 9223372036854775807, NULL, 'D', 'none'), (8, 9000000000000, 1, NULL, 'S', 'none'), "
		"(8, -5, -7, -9, 'S', 'none')");
	c = walk(db, FIXTURE_START, FIXTURE_END, &t);
	assert_int_equal(c.kind_sum[7 * TL_KINDS + TL_UNSEEN], 0);
	free(c.kind_sum);
	tl_threads_release(&t);
	fixture_close(db);
}

static void test_open_row_ends_at_next(void **state)
{
	sqlite3 *db = fixture_open_empty();
	struct tl_threads t = {0};
	struct check c;

	(void)state;
	fixture_exec(
		db,
		"INSERT INTO process VALUES (1, 5, NULL, NULL, 'p', NULL, 0, NULL, NULL); INSERT INTO thread (id, process_id, tid, ns_tid, name, ts_start, ts_end) VALUES (1, 1, 5, NULL, "
		"'t', NULL, NULL);"
		"INSERT INTO offcpu (thread_id, ts, dur, ts_waking, state, role) VALUES "
		"(1, 1001000000000, NULL, NULL, 'S', 'none'), (1, 1003000000000, 1000000000, 1003500000000, 'S', 'none')");
	/* Seen from a window behind the open row, too: it must not reach into it. */
	c = walk(db, FIXTURE_START + 5 * NSEC_PER_SEC, FIXTURE_END, &t);
	assert_int_equal(c.kind_sum[TL_WAIT], 0);
	assert_int_equal(c.kind_sum[TL_ONCPU], 25 * NSEC_PER_SEC);
	free(c.kind_sum);
	tl_threads_release(&t);
	c = walk(db, FIXTURE_START, FIXTURE_END, &t);
	assert_int_equal(c.kind_sum[TL_WAIT], 2500000000);
	assert_int_equal(c.kind_sum[TL_RUNNABLE], 500000000);
	assert_int_equal(c.kind_sum[TL_ONCPU], 27 * NSEC_PER_SEC);
	free(c.kind_sum);
	tl_threads_release(&t);
	fixture_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conservation),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_hostile_rows),
		cmocka_unit_test(test_open_row_ends_at_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
