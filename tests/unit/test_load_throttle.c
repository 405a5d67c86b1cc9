/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_load_throttle.c: which polls may have been throttled, from captures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <stdio.h>

#include "report/load_throttle.h"
#include "thread_events.h"

#define THROTTLED "SELECT (ts - 1000000000) / 1000000, throttled FROM poll ORDER BY ts"

static void throttle(struct capture_builder *cb, const char *cgroup, double from, double to, u64 periods, u64 ms)
{
	cb_row(cb, FMT_THROTTLE,
	       &(struct fmt_throttle){.ts = AT(from),
				      .ts_end = AT(to),
				      .cgroup = cb_string(cb, cgroup),
				      .periods = periods,
				      .throttled = ms * 1000000});
}

static void is_in(struct capture_builder *cb, const char *cgroup)
{
	cb_row(cb, FMT_PROCESS, &(struct fmt_process){.idx = 1, .pid = 1000, .cgroup = cb_string(cb, cgroup)});
}

/* Polls of 10 ms each 100 ms. */
static void polls(struct capture_builder *cb, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		OUT(100 * i + 50, .tick = 5 + i);
		IN(100 * i + 60);
	}
	PARK(100 * n);
	cb_finish(cb);
}

static void polls_in_the_window(void **state)
{
	struct capture_builder *cb = *state;

	is_in(cb, "/app.slice/orders");
	throttle(cb, "/app.slice/orders", 300, 400, 1, 30);
	throttle(cb, "/app.slice/orders", 400, 500, 1, 80);
	throttle(cb, "/app.slice/orders", 700, 800, 2, 0);
	polls(cb, 9);
	/* what was counted from 300 on may have begun 30 ms before; without a time, a period before 700 */
	cb_expect(cb, THROTTLED, "50|0\n150|0\n250|0\n350|1\n450|1\n550|0\n650|1\n750|1\n850|0");
	cb_expect(cb, "SELECT (ts - 1000000000) / 1000000, (ts_end - ts) / 1000000, cgroup, periods, dur / 1000000 FROM throttle",
		  "300|100|/app.slice/orders|1|30\n400|100|/app.slice/orders|1|80\n700|100|/app.slice/orders|2|0");
	cb_expect(cb, "SELECT cgroup FROM process", "/app.slice/orders");
	cb_expect(cb, "SELECT count(*), sum(throttled) FROM blocking", "9|4");
	cb_expect(cb, "SELECT * FROM loss", "");
}

/* A stop of nearly a second is counted when it ends, over windows that told of shorter ones. */
static void long_stop_reaches_back(void **state)
{
	struct capture_builder *cb = *state;

	is_in(cb, "/a");
	throttle(cb, "/a", 100, 200, 1, 10);
	throttle(cb, "/a", 500, 600, 1, 90);
	throttle(cb, "/a", 800, 900, 1, 760);
	polls(cb, 10);
	cb_expect(cb, THROTTLED, "50|1\n150|1\n250|1\n350|1\n450|1\n550|1\n650|1\n750|1\n850|1\n950|0");
}

static void only_cgroups_of_the_process(void **state)
{
	struct capture_builder *cb = *state;

	is_in(cb, "/a/b");
	throttle(cb, "/a/bc", 0, 100, 1, 1);
	throttle(cb, "/a/b/c", 100, 200, 1, 1);
	throttle(cb, "/a", 200, 300, 1, 1);
	throttle(cb, "/", 300, 400, 1, 1);
	throttle(cb, "/b", 400, 500, 1, 1);
	throttle(cb, "/new/place", 500, 600, 1, 1);
	is_in(cb, "/new/place"); /* it moved: it was in both */
	polls(cb, 7);
	cb_expect(cb, THROTTLED, "50|0\n150|0\n250|1\n350|1\n450|0\n550|1\n650|0");
	cb_expect(cb, "SELECT cgroup FROM process", "/new/place");
}

/* A stop lies within its poll, though it is no part of its length. */
static void stopped_poll_lasts_on(void **state)
{
	struct capture_builder *cb = *state;

	is_in(cb, "/a");
	throttle(cb, "/a", 500, 600, 1, 10);
	OUT(50);
	IN(60);
	OUT(61, .state = STATE_T);
	IN(700);
	OUT(701);
	IN(710);
	PARK(711);
	cb_finish(cb);
	cb_expect(cb, THROTTLED, "50|1");
}

static void damaged_rows(void **state)
{
	struct capture_builder *cb = *state;

	is_in(cb, "/a");
	cb_row(cb, FMT_THROTTLE,
	       &(struct fmt_throttle){.ts = AT(90), .ts_end = AT(10), .cgroup = cb_string(cb, "/a"), .periods = 1});
	cb_row(cb, FMT_THROTTLE, &(struct fmt_throttle){.ts = AT(0), .ts_end = AT(10), .cgroup = 999, .periods = 1});
	cb_row(cb, FMT_THROTTLE, &(struct fmt_throttle){.ts = AT(0), .ts_end = AT(10), .cgroup = 0, .periods = 1});
	cb_row(cb, FMT_THROTTLE,
	       &(struct fmt_throttle){.ts = AT(0), .ts_end = UINT64_MAX, .cgroup = cb_string(cb, "/a"), .periods = 1});
	polls(cb, 1);
	cb_expect(cb, THROTTLED, "50|0");
	cb_expect(cb, "SELECT count(*), max(cgroup) FROM throttle", "2|?");
	cb_expect(cb, "SELECT cause, count FROM loss", "bad_rows|2");
}

static void more_cgroups_than_are_kept(void **state)
{
	struct capture_builder *cb = *state;
	char name[32];

	is_in(cb, "/n0");
	for (int i = 0; i < THROTTLE_MAX_CGROUPS + 50; i++) {
		(void)snprintf(name, sizeof(name), "/n%d", i);
		throttle(cb, name, 0, 100, 1, 1);
	}
	polls(cb, 2);
	cb_expect(cb, THROTTLED, "50|1\n150|0");
}

static void paths(void **state)
{
	(void)state;
	assert_true(throttle_is_above("/a", "/a"));
	assert_true(throttle_is_above("/a", "/a/b"));
	assert_true(throttle_is_above("/", "/"));
	assert_true(throttle_is_above("/", "/a"));
	assert_true(throttle_is_above("/a/", "/a"));
	assert_false(throttle_is_above("/a", "/ab"));
	assert_false(throttle_is_above("/a/b", "/a"));
	assert_false(throttle_is_above("/b", "/a/b"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, cb_setup, cb_teardown)
	const struct CMUnitTest tests[] = {
		TEST(polls_in_the_window),   TEST(long_stop_reaches_back), TEST(only_cgroups_of_the_process),
		TEST(stopped_poll_lasts_on), TEST(damaged_rows),	   TEST(more_cgroups_than_are_kept),
		cmocka_unit_test(paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
