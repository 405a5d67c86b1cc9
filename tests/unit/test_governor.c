/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_governor.c: windows made by hand: what goes, when, in which order, and what stays. A trap costs 1000 ns here, so a hit 1300 to 1900. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include "record/governor.h"

#define BIT(group) (1U << (group))
#define LIFE	   (BIT(PROBE_SPAWN) | BIT(PROBE_BIND) | BIT(PROBE_BLOCKING) | BIT(PROBE_COMPLETE))
#define DETAIL	   (BIT(PROBE_POLL) | BIT(PROBE_POLL_END) | BIT(PROBE_SCHEDULE))

static struct governor governor(u32 attached)
{
	return (struct governor){.share = 200, .trap_ns = 1000, .attached = attached};
}

/* 100 ms of a target that uses one cpu. */
static struct governor_window busy(void)
{
	return (struct governor_window){.ns = GOVERNOR_WINDOW, .cpu_ns = GOVERNOR_WINDOW};
}

static struct governor_verdict run(struct governor *g, const struct governor_window *w, u32 times)
{
	struct governor_verdict v = {0};

	for (u32 i = 0; i < times && !v.take; i++)
		v = governor_window(g, w);
	return v;
}

static void within_the_budget_all_stay(void **state)
{
	struct governor g = governor(LIFE | DETAIL);
	struct governor_window w = busy();
	struct governor_verdict v;

	(void)state;
	w.hits[PROBE_POLL] = w.hits[PROBE_POLL_END] = 600; /* 6000 of each a second: 1.68 % */
	v = run(&g, &w, 100);
	assert_int_equal(v.take, 0);
	assert_int_equal(g.attached, LIFE | DETAIL);
	assert_int_equal(v.cpu_ns, NSEC_PER_SEC);
	assert_int_equal(v.ns, NSEC_PER_SEC);
	assert_int_equal(v.cost_ns, 6000 * (1500 + 1300));
	assert_int_equal(g.hits[PROBE_POLL], 100 * 600);
	assert_int_equal(g.cost[PROBE_POLL], 100 * 600 * 1500);
}

/* Each hit has the price of its own place, whatever the others of its group cost. */
static void hits_at_dearer_places(void **state)
{
	struct governor g = governor(LIFE | DETAIL);
	struct governor_window w = busy();

	(void)state;
	g.step_ns = 11000;
	w.hits[PROBE_SCHEDULE] = 100;
	(void)governor_window(&g, &w);
	assert_int_equal(g.cost[PROBE_SCHEDULE], 100 * 1700);
	w.stepped[PROBE_SCHEDULE] = 40;
	(void)governor_window(&g, &w);
	assert_int_equal(g.cost[PROBE_SCHEDULE], 200 * 1700 + 40 * 10000);
	w.program_ns[PROBE_SCHEDULE] = 100 * 300;
	(void)governor_window(&g, &w);
	assert_int_equal(g.cost[PROBE_SCHEDULE], 200 * 1700 + 100 * 1300 + 80 * 10000);
	g.step_ns = 500; /* measured badly: a step is never cheaper */
	(void)governor_window(&g, &w);
	assert_int_equal(g.cost[PROBE_SCHEDULE], 200 * 1700 + 200 * 1300 + 80 * 10000);
}

/* Ends go first; when begins alone are within the budget, these stay. */
static void least_worth_first(void **state)
{
	struct governor g = governor(LIFE | DETAIL);
	struct governor_window w = busy();
	struct governor_verdict v;

	(void)state;
	w.hits[PROBE_POLL] = w.hits[PROBE_POLL_END] = 1000; /* 2.8 % */
	v = run(&g, &w, 100);
	assert_int_equal(v.take, BIT(PROBE_POLL_END));
	assert_int_equal(v.why[PROBE_POLL_END], GOVERNOR_OVER);
	w.hits[PROBE_POLL_END] = 0;
	v = run(&g, &w, 100);
	assert_int_equal(v.take, 0);
	assert_int_equal(g.attached, (LIFE | DETAIL) & ~BIT(PROBE_POLL_END));
	assert_int_equal(g.taken, BIT(PROBE_POLL_END));
}

/* Detail before life, and of life what rests on the rest before that. */
static void order_of_all(void **state)
{
	static const u32 order[] = {BIT(PROBE_POLL_END), BIT(PROBE_POLL),     BIT(PROBE_SCHEDULE), BIT(PROBE_SPAWN),
				    BIT(PROBE_COMPLETE), BIT(PROBE_BLOCKING), BIT(PROBE_BIND)};
	struct governor g = governor(LIFE | DETAIL);

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(order); i++) {
		struct governor_window w = busy();
		u32 left = (u32)__builtin_popcount(g.attached);

		/* together just above the budget: one of them has to go */
		for (u32 k = 0; k < PROBE_GROUPS; k++)
			if (g.attached & BIT(k))
				w.hits[k] = 2100000 / left / governor_hit_ns(&g, k);
		for (u32 k = 0; k < GOVERNOR_WINDOWS; k++) { /* until the windows before are forgotten, or one has gone */
			struct governor_verdict v = governor_window(&g, &w);

			if (v.take) {
				assert_int_equal(v.take, order[i]);
				break;
			}
		}
		assert_false(g.attached & order[i]);
		g.n_past = g.next = 0;
	}
	assert_int_equal(g.attached, 0);
}

/* Calls of spawn say nothing of tasks that are not seen; those of closures for the blocking pool are few, and do not hold them. */
static void no_calls_without_tasks(void **state)
{
	struct governor g = governor(LIFE);
	struct governor_window w = busy();
	struct governor_verdict v;

	(void)state;
	w.hits[PROBE_BIND] = 20000;
	w.hits[PROBE_SPAWN] = 1; /* next to nothing: not for its cost */
	w.hits[PROBE_BLOCKING] = 1;
	v = run(&g, &w, 1);
	assert_int_equal(v.take, BIT(PROBE_BIND) | BIT(PROBE_SPAWN));
	assert_int_equal(v.why[PROBE_BIND], GOVERNOR_OVER);
	assert_int_equal(v.why[PROBE_SPAWN], GOVERNOR_USELESS);
	assert_int_equal(g.attached, BIT(PROBE_BLOCKING) | BIT(PROBE_COMPLETE));
}

/* A group that costs nothing is not sacrificed for one that does. */
static void the_cheap_stay(void **state)
{
	struct governor g = governor(LIFE | DETAIL);
	struct governor_window w = busy();
	struct governor_verdict v;

	(void)state;
	w.hits[PROBE_COMPLETE] = 20000;
	v = run(&g, &w, 100);
	assert_int_equal(v.take, BIT(PROBE_COMPLETE));
	assert_int_equal(g.attached, (LIFE | DETAIL) & ~BIT(PROBE_COMPLETE));
}

static void ends_without_begins_go_along(void **state)
{
	struct governor g = governor(LIFE | DETAIL);
	struct governor_window w = busy();
	struct governor_verdict v;

	(void)state;
	w.hits[PROBE_POLL] = 50000;
	w.hits[PROBE_POLL_END] = 10;
	v = run(&g, &w, 100);
	assert_int_equal(v.take, BIT(PROBE_POLL) | BIT(PROBE_POLL_END));
	assert_int_equal(v.why[PROBE_POLL], GOVERNOR_OVER);
	assert_int_equal(v.why[PROBE_POLL_END], GOVERNOR_USELESS);
}

static void spawns_without_tasks_go_along(void **state)
{
	struct governor g = governor(BIT(PROBE_SPAWN) | BIT(PROBE_BIND));
	struct governor_window w = busy();
	struct governor_verdict v;

	(void)state;
	w.hits[PROBE_BIND] = 50000; /* a release build with spawn inlined */
	v = run(&g, &w, 100);
	assert_int_equal(v.take, BIT(PROBE_SPAWN) | BIT(PROBE_BIND));
	assert_int_equal(v.why[PROBE_SPAWN], GOVERNOR_USELESS);
}

/* One second's worth of the budget may be spent at once: at the beginning, too, and after a pause. */
static void bursts(void **state)
{
	for (u32 quiet = 0; quiet < 30; quiet += 15) {
		struct governor g = governor(LIFE);
		struct governor_window w = busy();

		(void)state;
		assert_int_equal(run(&g, &w, quiet).take, 0);
		w.hits[PROBE_BIND] = 10000; /* 19 ms of the 20 of a second */
		assert_int_equal(governor_window(&g, &w).take, 0);
		w.hits[PROBE_BIND] = 0;
		assert_int_equal(run(&g, &w, GOVERNOR_WINDOWS - 1).take, 0);
		w.hits[PROBE_BIND] = 10000;
		assert_int_equal(governor_window(&g, &w).take, 0);
		w.hits[PROBE_BIND] = 1000;
		assert_true(governor_window(&g, &w).take & BIT(PROBE_BIND));
	}
}

/* 0.5 % of a cpu is always allowed, more is not. */
static void idle_target(void **state)
{
	struct governor g = governor(LIFE);
	struct governor_window w = {.ns = GOVERNOR_WINDOW};

	(void)state;
	w.hits[PROBE_BIND] = 260; /* 494 us of the 500, in each of ten windows a second */
	assert_int_equal(run(&g, &w, 100).take, 0);
	w.hits[PROBE_BIND] = 270;
	assert_true(run(&g, &w, 100).take & BIT(PROBE_BIND));
}

/*
 * Four processes a window, one after the other, each of 25 ms of cpu and 250 tasks: 0.8 ms of 25 each, within a share of 5 %. Each is met at 1 ms and seen at most
 * once more before it ends.
 */
static void short_lived_processes(void **state)
{
	(void)state;
	for (u32 counted = 0; counted < 2; counted++) {
		struct governor g = governor(LIFE);
		struct governor_cpu cpu = {0};
		u32 windows = 0;

		g.share = 500;
		while (windows++ < 100 && g.attached == LIFE) {
			struct governor_window w = {.ns = GOVERNOR_WINDOW};

			w.hits[PROBE_SPAWN] = w.hits[PROBE_BIND] = 1000;
			for (u32 i = 0; i < 4 && counted; i++) {
				u64 seen = NSEC_PER_MSEC;

				if (i % 2)
					governor_cpu_add(&cpu, &seen, 11 * NSEC_PER_MSEC);
				governor_cpu_add(&cpu, &seen, 25 * NSEC_PER_MSEC);
				governor_cpu_add(&cpu, &seen, 0); /* the end of one whose use is not known */
			}
			w.cpu_ns = governor_cpu_take(&cpu);
			assert_int_equal(w.cpu_ns, counted ? 4 * 24 * NSEC_PER_MSEC : 0);
			(void)governor_window(&g, &w);
		}
		/* Without their cpu time nothing but the floor is left: 5 ms a second, of which these take 3.2 in a window. */
		if (counted)
			assert_int_equal(g.attached, LIFE);
		else
			assert_int_equal(g.taken & BIT(PROBE_SPAWN), BIT(PROBE_SPAWN));
		assert_true(counted ? windows > 100 : windows <= 3);
	}
}

static void no_limit(void **state)
{
	struct governor g = governor(LIFE | DETAIL);
	struct governor_window w = busy();

	(void)state;
	g.share = GOVERNOR_ALL;
	w.has_learned = true;
	for (u32 i = 0; i < PROBE_GROUPS; i++)
		w.hits[i] = 1000000;
	assert_int_equal(run(&g, &w, 100).take, 0);
	assert_int_equal(g.attached, LIFE | DETAIL);
}

static void learned_sites(void **state)
{
	struct governor g = governor(LIFE);
	struct governor_window w = busy();
	struct governor_verdict v;

	(void)state;
	w.hits[PROBE_SPAWN] = w.hits[PROBE_BIND] = 100; /* 0.13 % and 0.19 % */
	w.has_learned = true;
	assert_int_equal(run(&g, &w, 100).take, 0); /* not worth it */
	w.hits[PROBE_SPAWN] = w.hits[PROBE_BIND] = 300;
	v = run(&g, &w, 100);
	assert_int_equal(v.take, BIT(PROBE_SPAWN));
	assert_int_equal(v.why[PROBE_SPAWN], GOVERNOR_LEARNED);
	w.hits[PROBE_SPAWN] = 0;
	assert_int_equal(run(&g, &w, 100).take, 0);
	assert_int_equal(g.attached, LIFE & ~BIT(PROBE_SPAWN));
}

/* Where the kernel tells how long programs ran, that counts. */
static void known_time_of_programs(void **state)
{
	struct governor g = governor(LIFE);
	struct governor_window w = busy();

	(void)state;
	w.hits[PROBE_BIND] = 1000;
	w.program_ns[PROBE_BIND] = 50000;
	(void)governor_window(&g, &w);
	assert_int_equal(g.cost[PROBE_BIND], 1000 * 1000 + 50000);
}

/* Once over, the estimate of what is left is within the budget within two windows, whatever the hits. */
static void it_holds(void **state)
{
	(void)state;
	for (u32 seed = 1; seed < 2000; seed++) {
		struct governor g = governor(LIFE | DETAIL);
		struct governor_window w = busy();
		struct governor_verdict v = {0};
		u64 cost = 0;
		u32 r = seed;

		for (u32 i = 0; i < PROBE_GROUPS; i++) {
			r = r * 1103515245 + 12345;
			w.hits[i] = (r >> 16) % (1U << ((r >> 8) % 15));
		}
		for (u32 k = 0; k < 3 * GOVERNOR_WINDOWS; k++) {
			for (u32 i = 0; i < PROBE_GROUPS; i++)
				w.hits[i] = g.attached & BIT(i) ? w.hits[i] : 0;
			v = governor_window(&g, &w);
		}
		for (u32 i = 0; i < PROBE_GROUPS; i++)
			cost += g.attached & BIT(i) ? w.hits[i] * governor_hit_ns(&g, i) : 0;
		assert_true(cost * 50 <= w.cpu_ns);
		assert_int_equal(v.take, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(within_the_budget_all_stay),
		cmocka_unit_test(hits_at_dearer_places),
		cmocka_unit_test(least_worth_first),
		cmocka_unit_test(order_of_all),
		cmocka_unit_test(no_calls_without_tasks),
		cmocka_unit_test(the_cheap_stay),
		cmocka_unit_test(ends_without_begins_go_along),
		cmocka_unit_test(spawns_without_tasks_go_along),
		cmocka_unit_test(bursts),
		cmocka_unit_test(idle_target),
		cmocka_unit_test(short_lived_processes),
		cmocka_unit_test(no_limit),
		cmocka_unit_test(learned_sites),
		cmocka_unit_test(known_time_of_programs),
		cmocka_unit_test(it_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
