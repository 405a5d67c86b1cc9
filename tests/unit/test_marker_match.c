/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_marker_match.c: what markers saw beside what the scheduler saw: who saw it, why not, and how much their lengths differ; both views of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <stdio.h>
#include <string.h>

#include "report/marker_match.h"
#include "report/view.h"
#include "thread_events.h"

#define MARK(ms, is_end, ...)                                                                                                    \
	cb_row(cb, FMT_MARKER,                                                                                                   \
	       &(struct fmt_marker){.ts = AT(ms), .thread = 1, .pair = 1, .end = (is_end), .task = 30, __VA_ARGS__})
#define START(ms, ...) MARK(ms, 0, __VA_ARGS__)
#define END(ms, ...)   MARK(ms, 1, __VA_ARGS__)
/* A poll of the thread that sleeps. */
#define BLOCK(from, to, ...) (OUT(from, __VA_ARGS__), IN(to))

struct loaded {
	sqlite3 *db;
	struct capture_facts f;
	struct marker_match m;
};

static const struct report_opts defaults = {.file = "x.ascope", .min_ns = REPORT_MIN_NS, .top = REPORT_TOP_UNSET, .width = 120};

static void load_with(struct capture_builder *cb, const struct report_opts *o, struct loaded *l)
{
	*l = (struct loaded){0};
	if (cb->w)
		cb_finish(cb);
	l->db = cb_load(cb);
	assert_int_equal(capture_facts_load(l->db, o, &l->f), 0);
	assert_int_equal(marker_match_load(l->db, o, &l->f, &l->m), 0);
	/* every interval and every poll is in one place */
	assert_int_equal(l->m.n_both + l->m.n_only, l->m.n_long);
	assert_int_equal(l->m.polls_both + l->m.polls_only + l->m.polls_part, l->m.n_polls);
}

static void load(struct capture_builder *cb, struct loaded *l)
{
	load_with(cb, &defaults, l);
}

static void release(struct loaded *l)
{
	marker_match_release(&l->m);
	capture_facts_release(&l->f);
	sqlite3_close(l->db);
}

static void counts_are(const struct loaded *l, u64 both, u64 only, u64 alone, u64 part)
{
	assert_int_equal(l->m.n_both, both);
	assert_int_equal(l->m.n_only, only);
	assert_int_equal(l->m.polls_only, alone);
	assert_int_equal(l->m.polls_part, part);
}

static void why_is(const struct loaded *l, enum marker_why why, u64 ns)
{
	counts_are(l, 0, 1, l->m.polls_only, l->m.polls_part);
	assert_int_equal(l->m.why_n[why], 1);
	assert_int_equal(l->m.why_ns[why], ns);
	assert_int_equal(l->m.only_ns, ns);
}

/* ---- by both ---- */

static void by_both(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	START(9.9);
	BLOCK(10, 60);
	END(60.2);
	PARK(61);
	IN(70);
	START(99.5);
	BLOCK(100, 120, .tick = 6);
	END(120);
	PARK(121);
	load(cb, &l);
	counts_are(&l, 2, 0, 0, 0);
	assert_int_equal(l.m.polls_both, 2);
	assert_int_equal(l.m.compared, 2);
	assert_int_equal(l.m.differ_median, 300000); /* nearest rank of 300 and 500 us */
	assert_int_equal(l.m.differ_p99, 500000);
	assert_int_equal(l.m.differ_max, 500000);
	release(&l);
}

/* One poll of many waits is one row of both. */
static void many_waits(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	START(9.9);
	for (u32 i = 0; i < 50; i++)
		BLOCK(10 + i, 10.9 + i);
	END(60);
	PARK(61);
	load(cb, &l);
	counts_are(&l, 1, 0, 0, 0);
	assert_int_equal(l.m.compared, 1);
	release(&l);
}

/* Of nested intervals both are the poll; the one of its length is compared. */
static void nested(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	START(5);
	START(9.9);
	BLOCK(10, 60);
	END(60);
	END(65);
	PARK(66);
	load(cb, &l);
	counts_are(&l, 2, 0, 0, 0);
	assert_int_equal(l.m.polls_both, 1);
	assert_int_equal(l.m.compared, 1);
	assert_int_equal(l.m.differ_max, 100000);
	release(&l);
}

/* Half of the shorter one is not more than half. */
static void half(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	BLOCK(10, 50);
	START(50); /* nothing in common */
	PARK(50.1);
	IN(90);
	END(90);
	START(120, .task = 0);
	BLOCK(110, 130, .tick = 6); /* 10 of the interval's 20 ms, of the poll's 20 */
	END(140, .task = 0);
	PARK(141);
	load(cb, &l);
	counts_are(&l, 0, 2, 1, 1);
	release(&l);
}

static void over_half(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	OUT(110);
	START(119.9, .task = 0);
	IN(130);
	END(139.9, .task = 0);
	PARK(141);
	load(cb, &l);
	counts_are(&l, 1, 0, 0, 0);
	release(&l);
}

/* An interval over an await: its blocked polls count one by one, its length is compared with none. */
static void over_an_await(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	START(9);
	BLOCK(10, 30);
	PARK(31);
	IN(90);
	BLOCK(91, 131, .tick = 6);
	END(132);
	PARK(133);
	load(cb, &l);
	counts_are(&l, 1, 0, 0, 0);
	assert_int_equal(l.m.polls_both, 2);
	assert_int_equal(l.m.compared, 0);
	assert_true(l.m.intervals[0].spans);
	assert_int_equal(l.m.polls[l.m.intervals[0].poll].end - l.m.polls[l.m.intervals[0].poll].ts, 40000000);
	release(&l);
}

/* The task goes on on another thread and blocks there. */
static void moved(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	cb_row(cb, FMT_THREAD, &(struct fmt_thread){.idx = 2, .process = 1, .tid = 1002});
	START(9);
	PARK(10);
	OUT(20, .thread = 2);
	cb_row(cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = AT(60), .thread = 2});
	END(61, .thread = 2);
	IN(70);
	BLOCK(71, 91, .task = 31, .tick = 7); /* another task, behind it */
	PARK(92);
	load(cb, &l);
	counts_are(&l, 1, 0, 1, 0);
	assert_int_equal(l.m.compared, 0);
	release(&l);
}

/* ---- by the marker only ---- */

/* The task awaits, and another one blocks its thread meanwhile. */
static void another_task(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	START(9);
	PARK(9.5);
	IN(10);
	BLOCK(10.5, 60, .task = 31, .tick = 6);
	END(61);
	PARK(62);
	load(cb, &l);
	why_is(&l, WHY_AWAIT, 52000000);
	counts_are(&l, 0, 1, 1, 0);
	release(&l);
}

static void parked(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	IN(1);
	START(9);
	PARK(10);
	IN(60);
	END(61);
	PARK(62);
	load(cb, &l);
	why_is(&l, WHY_AWAIT, 52000000);
	counts_are(&l, 0, 1, 0, 0);
	release(&l);
}

#define POOL .context = 0, .budget = 0, .runtime = 2, .core = 0, .park = 0, .tick = 0

static void on_the_pool(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	IN(1);
	START(9);
	OUT(10, POOL);
	IN(60);
	END(61);
	OUT(62, POOL, .task = 0);
	load(cb, &l);
	why_is(&l, WHY_POOL, 52000000);
	release(&l);
}

/* It computes there: only samples tell where. */
static void busy_on_the_pool(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	IN(1);
	START(9);
	for (u32 i = 10; i < 60; i += 2)
		SAMPLE(i, POOL);
	END(61);
	OUT(62, POOL, .task = 0);
	load(cb, &l);
	why_is(&l, WHY_POOL, 52000000);
	release(&l);
}

static void handed_off(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	IN(1);
	START(9);
	BLOCK(10, 60, .core = 0, .park = 0, .tick = 0);
	END(61);
	PARK(62);
	load(cb, &l);
	why_is(&l, WHY_IN_PLACE, 52000000);
	release(&l);
}

static void no_cpu(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	IN(1);
	START(9);
	OUT(10, .state = 0, .preempt = 1, .syscall = 0);
	IN(58);
	END(61);
	PARK(62);
	load(cb, &l);
	why_is(&l, WHY_RUNNABLE, 52000000);
	release(&l);
}

/* Woken early, and left without a cpu: the waking divides the time. */
static void woken_without_cpu(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	IN(1);
	START(9);
	OUT(10);
	WAKING(12);
	IN(60);
	END(61);
	PARK(62);
	load(cb, &l);
	why_is(&l, WHY_RUNNABLE, 52000000);
	release(&l);
}

static void short_polls(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	IN(1);
	START(9);
	BLOCK(10, 18);
	BLOCK(18.1, 26, .tick = 6);
	END(26.5);
	PARK(27);
	load(cb, &l);
	why_is(&l, WHY_SHORT, 17500000);
	release(&l);
}

static void no_proof(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	PARK(8);
	IN(8.5);
	START(9);
	END(30);
	PARK(31);
	load(cb, &l);
	why_is(&l, WHY_CPU, 21000000);
	release(&l);
}

static void no_runtime(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	IN(1);
	START(9, .task = 0);
	OUT(10, .ctx_status = FMT_CTX_READ, .context = 0, .budget = 0, .runtime = 2, .core = 0, .park = 0, .task = 0, .tick = 0);
	IN(60);
	END(61, .task = 0);
	PARK(62);
	load(cb, &l);
	why_is(&l, WHY_NO_RUNTIME, 52000000);
	release(&l);
}

static void unread(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	IN(1);
	START(9);
	BLOCK(10, 60, .ctx_status = FMT_CTX_UNREAD, .context = 0, .budget = 0, .core = 0);
	END(61);
	PARK(62);
	load(cb, &l);
	why_is(&l, WHY_UNREAD, 52000000);
	release(&l);
}

/* ---- by the scheduler only, in part ---- */

static void by_the_scheduler_only(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	START(1);
	END(2);
	BLOCK(10, 60);
	START(60.1);
	END(60.2);
	PARK(61);
	load(cb, &l);
	counts_are(&l, 0, 0, 1, 0);
	assert_int_equal(l.m.polls_only_ns, 50000000);
	assert_int_equal(l.m.n_intervals, 2);
	release(&l);
}

static void in_part(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	BLOCK(10, 50);
	START(50.1);
	BLOCK(50.2, 52);
	END(52.1);
	PARK(61);
	load(cb, &l);
	counts_are(&l, 0, 0, 0, 1);
	assert_int_equal(l.m.polls_part_ns, 42000000);
	release(&l);
}

/* Its END is behind the recording: it is open, but has no length. */
static void still_open(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	IN(1);
	START(9);
	BLOCK(10, 60);
	cb_end(cb, AT(62));
	load(cb, &l);
	counts_are(&l, 0, 0, 0, 1);
	assert_int_equal(l.m.pairs[0].no_end, 1);
	release(&l);
}

/* An END that was lost, or a path around it: the START is not open for ever. */
static void never_ended(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	START(1);
	START(5);
	END(6);
	BLOCK(10, 60);
	PARK(61);
	load(cb, &l);
	counts_are(&l, 0, 0, 1, 0);
	release(&l);
}

/* ---- numbers ---- */

static void pairs(void **state)
{
	struct capture_builder *cb = *state;
	struct loaded l;

	cb_meta(cb, "option.marker.1", "a,b");
	cb_meta(cb, "option.marker.2", "c,d");
	for (u32 i = 1; i <= 100; i++) {
		START(i * 10);
		END(i * 10 + i * 0.01);
	}
	START(2000);
	load(cb, &l);
	assert_int_equal(l.m.n_pairs, 2);
	assert_string_equal(l.m.pairs[0].text, "a,b");
	assert_int_equal(l.m.pairs[0].count, 101);
	assert_int_equal(l.m.pairs[0].no_end, 1);
	assert_int_equal(l.m.pairs[0].total, 50500000);
	assert_int_equal(l.m.pairs[0].median, 500000);
	assert_int_equal(l.m.pairs[0].p99, 990000);
	assert_int_equal(l.m.pairs[0].max, 1000000);
	assert_string_equal(l.m.pairs[1].text, "c,d"); /* asked for, and never entered */
	assert_int_equal(l.m.pairs[1].count, 0);
	assert_int_equal(l.m.n_long, 0);
	release(&l);
}

static void threshold_and_window(void **state)
{
	struct capture_builder *cb = *state;
	struct report_opts o = defaults;
	struct loaded l;

	for (u32 i = 0; i < 4; i++) { /* 5, 15, 25 and 35 ms */
		START(100 * i + 9.9);
		BLOCK(100 * i + 10, 100 * i + 15 + 10 * i, .tick = 6 + i);
		END(100 * i + 15.1 + 10 * i);
		PARK(100 * i + 60);
		IN(100 * i + 70);
	}
	o.min_ns = 20 * NSEC_PER_MSEC;
	load_with(cb, &o, &l);
	counts_are(&l, 2, 0, 0, 0);
	release(&l);
	o.min_ns = NSEC_PER_MSEC;
	o.from_ns = 100 * NSEC_PER_MSEC;
	o.to_ns = 300 * NSEC_PER_MSEC;
	load_with(cb, &o, &l);
	counts_are(&l, 2, 0, 0, 0);
	assert_int_equal(l.m.n_intervals, 2);
	release(&l);
}

/* ---- views ---- */

typedef int (*view_fn)(sqlite3 *db, const struct report_opts *o, FILE *out);

static char *text_of(sqlite3 *db, view_fn view, const struct report_opts *o)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	assert_non_null(out);
	assert_int_equal(view(db, o, out), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in:\n%s", part, text);
}

static void make_all(struct capture_builder *cb)
{
	cb_meta(cb, "option.marker.1", "begin,end");
	START(9.9);
	BLOCK(10, 60);
	END(60.2);
	PARK(61);
	IN(70);
	BLOCK(100, 120, .tick = 6);
	PARK(121);
	IN(130);
	START(131);
	PARK(132);
	IN(190);
	END(191);
	START(200);
	BLOCK(201, 217, .tick = 8);
	END(217.25);
	PARK(218);
	END(219);
	cb_finish(cb);
}

static void views(void **state)
{
	struct capture_builder *cb = *state;
	struct report_opts o = defaults;
	_cleanup_free_ char *text = NULL, *json = NULL, *cut = NULL;
	sqlite3 *db;

	make_all(cb);
	db = cb_load(cb);
	text = text_of(db, view_markers, &o);
	has(text, "  begin,end                                       3   127.6 ms");
	has(text, "ENDs without START: 1 (");
	has(text, "3 intervals and 3 blocked polls lasted 10 ms or longer");
	has(text, "SEEN BY BOTH  2 intervals, 2 polls");
	has(text, "differ by 300.0 us in the median, 1.3 ms at p99, 1.3 ms at most (2 pairs)");
	has(text, "50.30 ms    50.00 ms    -300.0 us  sleep ");
	has(text, "BY THE MARKER ONLY  1 interval, 60.0 ms");
	has(text, "        1    60.0 ms  await          over an await");
	has(text, "BY THE SCHEDULER ONLY  1 poll, 20.0 ms");
	json = text_of(db, view_markers_json, &o);
	has(json, "\"reason\": \"await\"");
	has(json, "\"role\": \"parked\"");
	has(json, "\"ns\": 58000000");
	has(json, "\"on_cpu\": 2000000"); /* 60 - 58 */
	has(json, "\"over_await\": false");
	has(json, "\"ends_alone\": 1");
	o.top = 1;
	cut = text_of(db, view_markers, &o);
	has(cut, "  and 1 shorter one (--top 0 lists all)");
	assert_null(strstr(cut, "17.25 ms"));
	sqlite3_close(db);
}

static void views_of_none(void **state)
{
	struct capture_builder *cb = *state;
	_cleanup_free_ char *text = NULL, *json = NULL;
	sqlite3 *db;

	BLOCK(10, 60);
	cb_finish(cb);
	db = cb_load(cb);
	text = text_of(db, view_markers, &defaults);
	has(text, "none: the capture was recorded without --marker START,END");
	assert_null(strstr(text, "BY THE SCHEDULER ONLY"));
	json = text_of(db, view_markers_json, &defaults);
	has(json, "\"pairs\": []");
	sqlite3_close(db);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, cb_setup, cb_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(by_both),
		TEST(many_waits),
		TEST(nested),
		TEST(half),
		TEST(over_half),
		TEST(over_an_await),
		TEST(moved),
		TEST(another_task),
		TEST(parked),
		TEST(on_the_pool),
		TEST(busy_on_the_pool),
		TEST(handed_off),
		TEST(no_cpu),
		TEST(woken_without_cpu),
		TEST(short_polls),
		TEST(no_proof),
		TEST(no_runtime),
		TEST(unread),
		TEST(by_the_scheduler_only),
		TEST(in_part),
		TEST(still_open),
		TEST(never_ended),
		TEST(pairs),
		TEST(threshold_and_window),
		TEST(views),
		TEST(views_of_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
