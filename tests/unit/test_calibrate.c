/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_calibrate.c: simulated schedulers, turn by turn, with the fields that real Cores have around the tick
 * (multi_thread/worker.rs, current_thread/mod.rs, metrics/batch.rs, tokio 1.29 - 1.54), watched as the kernel side watches:
 * samples, waits, parks. The tick is found wherever it lies, and nothing else ever is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <string.h>

#include "record/calibrate.h"
#include "tests/unit/raw_capture.h"

#define US	NSEC_PER_USEC
#define OUTSIDE 4096u /* an offset that is not among the bytes sent */

/* What a program does, how it is seen, and what its Core looks like. Shares are in percent. */
struct program {
	u8 flavor;
	u32 tick_off;	      /* even multiples of 4; OUTSIDE: further on than is read */
	bool next_word_empty; /* nothing but 0 behind the tick: half of a u64 by the looks of it */
	u32 second_tick;      /* offset of a field that does as the tick does; 0 none */
	u32 first_tick;	      /* start value */
	u32 tasks;
	u32 polls_per_wake;	 /* polls between two parks, about; 0: never parks */
	u64 poll_ns, park_ns;	 /* about */
	u32 lifo;		 /* share of polls that follow in the LIFO slot, same tick */
	u32 eager_parks;	 /* share of parks that return at once, so that no switch shows them */
	u32 waits_in_poll;	 /* share of polls that block */
	u32 waits_unconstrained; /* share of polls that block outside the coop budget */
	bool root_unconstrained; /* the root future does so, too: with no task id, that looks like a park */
	u32 preempted;		 /* share of turns with a preemption out of a poll */
	u64 root_task;		 /* current-thread: id while the root future runs, and while parked */
	bool local_set;		 /* current-thread: all tasks are a LocalSet's, which the root future runs */
	u32 cores;
	u64 sample_ns; /* period of the samples; 0 none */
};

/* A Core and its scheduler loop. */
struct core {
	const struct program *p;
	u64 addr;
	u32 tick, turn_polls;
	u64 task;
	bool fresh; /* current-thread: the root future comes first */
	u32 left;   /* polls until the next park */
	u64 park_count, park_unpark, poll_count, polls_at_park, scheduled, busy_ns, started_ns, noop;
	u32 rand[2];
	u64 lifo_ptr;
};

struct sim {
	u64 rnd, now, next_sample;
	struct calibrate cal;
	struct core cores[8];
	int found;
	u32 records;
};

static u32 percent(struct sim *s)
{
	return (u32)(raw_random(&s->rnd) % 100);
}

static u64 about(struct sim *s, u64 v)
{
	return v / 2 + raw_random(&s->rnd) % (v + 1);
}

/* The other fields, each once, in 8-byte places, turned by an amount that depends on the tick's place: each is a neighbour once. */
static void render(const struct core *c, u8 *bytes)
{
	const struct program *p = c->p;
	const u64 fields[] = {
		c->lifo_ptr,
		0x7f1200003400ULL,
		c->rand[0] | (u64)c->rand[1] << 32,
		c->park_count,
		c->park_unpark,
		c->noop,
		c->poll_count,
		c->polls_at_park,
		c->scheduled,
		c->busy_ns,
		c->started_ns / NSEC_PER_SEC,
		c->started_ns % NSEC_PER_SEC | 0xabcdULL << 32,
		0x3ff1745d1745d174ULL ^ c->polls_at_park * 0x9e3779b97f4a7c15ULL,
		1,
		c->turn_polls,
		0,
	};
	u32 places = WIRE_CORE_BYTES / 8, next = p->tick_off / 4;
	u32 tick[2] = {c->tick, p->next_word_empty ? 0 : 61};

	for (u32 i = 0; i < places; i++) {
		u32 k = (i + next) % places;
		u64 v = k < ARRAY_SIZE(fields) ? fields[k] : 0;

		memcpy(bytes + 8 * (size_t)i, &v, 8);
	}
	if (p->second_tick)
		memcpy(bytes + p->second_tick, &c->tick, 4);
	if (p->tick_off % 8 == 4) { /* the other 4-byte field comes first */
		memcpy(bytes + p->tick_off - 4, &tick[1], 4);
		memcpy(bytes + p->tick_off, &tick[0], 4);
	} else if (p->tick_off < WIRE_CORE_BYTES) {
		memcpy(bytes + p->tick_off, tick, 8);
	}
}

/* The kernel side looks. */
static void record(struct sim *s, const struct core *c, u8 budget, bool park, u64 task, bool waits)
{
	struct wire_core e = {.h = {.kind = WIRE_CORE, .ts = s->now, .tgid = 7, .tid = 8}, .waits = waits};
	int found;

	if (s->found >= 0)
		return;
	e.ctx = (struct wire_ctx){.sched = 0x7ffe00000000ULL,
				  .core = c->addr,
				  .task = task,
				  .budget = budget,
				  .status = WIRE_CTX_READ,
				  .flavor = c->p->flavor,
				  .park = c->p->flavor == WIRE_FLAVOR_MULTI_THREAD && park};
	render(c, e.bytes);
	found = calibrate_add(&s->cal, &e);
	s->records++;
	if (found >= 0) {
		s->found = found;
		if ((u32)found != c->p->tick_off)
			print_error("tick at %u, found at %d after %u records\n", c->p->tick_off, found, s->records);
		assert_int_equal(found, c->p->tick_off); /* never another, whatever the program */
	} else {
		assert_int_equal(found, -EAGAIN);
	}
}

/* Time goes by in a poll; the cpu clock fires. */
static void run(struct sim *s, const struct core *c, u64 ns, u8 budget, u64 task)
{
	u64 end = s->now + ns, period = c->p->sample_ns;

	while (period && s->next_sample < end) {
		s->now = max_u64(s->now, s->next_sample);
		s->next_sample += period;
		record(s, c, budget, true, task, false);
	}
	s->now = end;
}

static void poll(struct sim *s, struct core *c, u64 task)
{
	const struct program *p = c->p;
	u8 budget = (u8)(100 + percent(s) % 28);

	c->poll_count++;
	c->task = task;
	run(s, c, about(s, p->poll_ns) / 2, budget, task);
	if (percent(s) < p->waits_in_poll) {
		record(s, c, budget, true, task, true);
		s->now += about(s, 300 * US);
	}
	if (percent(s) < p->waits_unconstrained && (task || p->root_unconstrained)) {
		record(s, c, 0, true, task, true);
		s->now += about(s, 300 * US);
	}
	if (percent(s) < p->preempted)
		record(s, c, budget, true, task, false);
	c->scheduled += percent(s) < 50; /* it wakes another */
	c->lifo_ptr = percent(s) < p->lifo ? 0x7f1200010000ULL + task * 0x180 : 0;
	run(s, c, about(s, p->poll_ns) / 2, budget, task);
}

static void park(struct sim *s, struct core *c)
{
	const struct program *p = c->p;
	u64 task = p->flavor == WIRE_FLAVOR_MULTI_THREAD ? 4 : p->root_task; /* a worker is a blocking task */

	c->park_count++;
	c->park_unpark++;
	c->noop += c->poll_count == c->polls_at_park;
	c->polls_at_park = c->poll_count;
	c->busy_ns += s->now - c->started_ns;
	if (percent(s) >= p->eager_parks) {
		record(s, c, 0, false, task, true);
		s->now += about(s, p->park_ns);
	} else {
		s->now += 700;
	}
	c->park_unpark++;
	c->started_ns = s->now;
	c->fresh = true;
	c->left = p->polls_per_wake ? 1 + (u32)(raw_random(&s->rnd) % (2 * p->polls_per_wake)) : 0;
}

static u64 next_task(struct sim *s, const struct core *c)
{
	return 10 + raw_random(&s->rnd) % c->p->tasks;
}

static void turn_multi_thread(struct sim *s, struct core *c)
{
	c->tick++;
	if (c->p->polls_per_wake && !c->left) {
		c->rand[0] = (u32)raw_random(&s->rnd); /* looked whom to steal from */
		c->rand[1] = (u32)raw_random(&s->rnd);
		park(s, c);
		return;
	}
	c->left -= c->left > 0;
	poll(s, c, next_task(s, c));
	for (u32 i = 0; i < 3 && percent(s) < c->p->lifo; i++)
		poll(s, c, c->p->tasks == 2 ? 21 - c->task : next_task(s, c));
}

/* LocalSet::run_until() as the root future (actix): up to 61 tasks in one poll of it, then the scheduler's loop turns, and finds nothing to run. */
static void turn_local_set(struct sim *s, struct core *c)
{
	for (u32 i = 0; i < 61 && (!c->p->polls_per_wake || c->left); i++) {
		c->left -= c->left > 0;
		poll(s, c, next_task(s, c));
	}
	c->tick++;
	if (c->p->polls_per_wake && !c->left)
		park(s, c);
}

/* block_on(): the root future when it was woken, then up to 61 turns, then a look at the driver. */
static void turn_current_thread(struct sim *s, struct core *c)
{
	if (c->p->local_set) {
		turn_local_set(s, c);
		return;
	}
	if (c->fresh || c->turn_polls == 61) {
		if (percent(s) < 60)
			poll(s, c, c->p->root_task);
		c->fresh = false;
		c->turn_polls = 0;
		return;
	}
	c->tick++;
	c->turn_polls++;
	if (c->p->polls_per_wake && !c->left) {
		park(s, c);
		c->turn_polls = 0;
		return;
	}
	c->left -= c->left > 0;
	poll(s, c, next_task(s, c));
}

/* Runs until the tick is found, or so many records were looked at. Returns the offset, or -EAGAIN. */
static int simulate(const struct program *p, u64 seed, u32 max_records)
{
	struct sim *s = calloc(1, sizeof(*s));
	u32 n = p->cores ? p->cores : 1;
	int found;

	assert_non_null(s);
	s->rnd = seed;
	s->now = 5 * NSEC_PER_SEC + raw_random(&s->rnd) % NSEC_PER_SEC;
	s->next_sample = s->now;
	s->found = -EAGAIN;
	for (u32 i = 0; i < n; i++)
		s->cores[i] = (struct core){.p = p,
					    .addr = 0x7f1200000000ULL + i * 0x1000,
					    .tick = p->first_tick + 1000 * i,
					    .started_ns = s->now,
					    .left = 3};
	for (u32 turn = 0; s->found < 0 && s->records < max_records && turn < 200 * max_records; turn++) {
		struct core *c = &s->cores[raw_random(&s->rnd) % n];

		if (p->flavor == WIRE_FLAVOR_MULTI_THREAD)
			turn_multi_thread(s, c);
		else
			turn_current_thread(s, c);
	}
	found = s->found;
	free(s);
	return found;
}

enum { MT = WIRE_FLAVOR_MULTI_THREAD, CT = WIRE_FLAVOR_CURRENT_THREAD, SEEDS = 8 };

/* Wherever the tick lies. At 40 and beyond, as in front are lifo, park, rand and queue (or the task queue). */
static void expect_found_anywhere(struct program p, u32 max_records)
{
	for (p.tick_off = 36; p.tick_off < WIRE_CORE_BYTES; p.tick_off += 4)
		for (u64 seed = 1; seed <= SEEDS; seed++)
			assert_int_equal(simulate(&p, seed, max_records), p.tick_off);
}

/* Found or not, but never wrong: record() sees to that. */
static void expect_never_wrong(struct program p, u32 max_records)
{
	for (p.tick_off = 36; p.tick_off < WIRE_CORE_BYTES; p.tick_off += 4)
		for (u64 seed = 1; seed <= SEEDS; seed++)
			(void)simulate(&p, seed, max_records);
}

static void expect_no_decision(struct program p, u32 max_records)
{
	for (u64 seed = 1; seed <= 10 * SEEDS; seed++)
		assert_int_equal(simulate(&p, seed, max_records), -EAGAIN);
}

static const struct program idle = {
	.tasks = 20,
	.polls_per_wake = 1,
	.poll_ns = 60 * US,
	.park_ns = 10 * NSEC_PER_MSEC,
	.waits_in_poll = 20,
	.sample_ns = 2 * NSEC_PER_MSEC,
};
static const struct program busy = {.tasks = 50, .poll_ns = 800 * US, .sample_ns = 2 * NSEC_PER_MSEC};
static const struct program mixed = {
	.tasks = 50,
	.polls_per_wake = 10,
	.poll_ns = 200 * US,
	.park_ns = 500 * US,
	.lifo = 10,
	.eager_parks = 30,
	.waits_in_poll = 10,
	.preempted = 5,
	.cores = 4,
	.sample_ns = 2 * NSEC_PER_MSEC,
};

static struct program of(const struct program *p, u8 flavor)
{
	struct program copy = *p;

	copy.flavor = flavor;
	if (flavor == CT) {
		copy.lifo = 0;
		copy.cores = 1;
	}
	return copy;
}

static void an_idle_program(void **state)
{
	(void)state;
	expect_found_anywhere(of(&idle, MT), 2000);
	expect_found_anywhere(of(&idle, CT), 2000);
}

static void full_load_without_parks(void **state)
{
	(void)state;
	expect_found_anywhere(of(&busy, MT), 2000);
	expect_found_anywhere(of(&busy, CT), 2000);
}

static void a_mixed_load(void **state)
{
	(void)state;
	expect_found_anywhere(of(&mixed, MT), 3000);
	expect_found_anywhere(of(&mixed, CT), 3000);
}

static void a_tick_that_wraps(void **state)
{
	struct program p = of(&mixed, MT);

	(void)state;
	p.first_tick = UINT32_MAX - 20;
	expect_found_anywhere(p, 3000);
	p = of(&idle, CT);
	p.first_tick = UINT32_MAX - 3;
	expect_found_anywhere(p, 3000);
}

/* Two tasks wake each other in the LIFO slot: up to four polls share a tick, with parks and without. */
static void lifo_ping_pong(void **state)
{
	struct program p = of(&busy, MT);

	(void)state;
	p.tasks = 2;
	p.poll_ns = 3 * NSEC_PER_MSEC;
	for (p.lifo = 70; p.lifo <= 100; p.lifo += 10)
		expect_never_wrong(p, 600);
	p.polls_per_wake = 4;
	p.park_ns = 300 * US;
	expect_never_wrong(p, 600);
	p.poll_ns = 50 * US;
	p.waits_in_poll = 50;
	expect_never_wrong(p, 600);
}

/* The same for long enough: what grew at each of hundreds of parks, and often between polls, is the tick. */
static void lifo_ping_pong_with_many_parks(void **state)
{
	struct program p = of(&idle, MT);

	(void)state;
	p.tasks = 4;
	p.polls_per_wake = 12;
	p.lifo = 90;
	p.waits_in_poll = 100; /* each poll is seen */
	expect_found_anywhere(p, 12000);
}

/* Nothing behind the tick: it may be half of a counter. An answer is not needed, a wrong one is not taken. */
static void a_tick_like_a_counter(void **state)
{
	const struct program *programs[] = {&idle, &busy, &mixed};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(programs) * 2; i++) {
		struct program p = of(programs[i / 2], i % 2 ? CT : MT);

		p.next_word_empty = true;
		expect_never_wrong(p, 600);
	}
}

/* The tick is not among the bytes (a Core of another version, say): counters of parks and polls are left, and are not it. */
static void no_tick_at_all(void **state)
{
	const struct program *programs[] = {&idle, &busy, &mixed};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(programs) * 2; i++) {
		struct program p = of(programs[i / 2], i % 2 ? CT : MT);

		p.tick_off = OUTSIDE;
		expect_no_decision(p, 1500);
		p.tick_off += 16; /* turns the other fields: each of them comes to lie where ticks were met */
		expect_no_decision(p, 1500);
		p.lifo = i % 2 ? 0 : 90;
		p.tick_off += 24;
		expect_no_decision(p, 1500);
	}
}

static void two_that_cannot_be_told_apart(void **state)
{
	const struct program *programs[] = {&idle, &busy, &mixed};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(programs) * 2; i++) {
		struct program p = of(programs[i / 2], i % 2 ? CT : MT);

		p.tick_off = 104;
		p.second_tick = 140; /* narrow: at an odd place */
		expect_no_decision(p, 1500);
		p.tick_off = 160;
		expect_no_decision(p, 1500);
	}
}

/* block_on() within spawn_blocking: the root future has a task id, and is polled before the loop turns. */
static void a_root_future_with_an_id(void **state)
{
	struct program p = of(&idle, CT);

	(void)state;
	p.root_task = 9;
	p.waits_in_poll = 60;
	expect_never_wrong(p, 1500);
	p.next_word_empty = true;
	expect_never_wrong(p, 1500);
	p = of(&mixed, CT);
	p.root_task = 9;
	expect_found_anywhere(p, 3000);
}

/* Behind a park, tasks run before the loop turns; between two of them it need not turn at all. */
static void tasks_of_a_local_set(void **state)
{
	const struct program *programs[] = {&idle, &mixed};
	struct program p;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(programs); i++) {
		p = of(programs[i], CT);
		p.local_set = true;
		expect_found_anywhere(p, 3000);
		p.next_word_empty = true;
		expect_never_wrong(p, 600);
		p.next_word_empty = false;
		p.tick_off = OUTSIDE;
		expect_no_decision(p, 1500);
		p.tick_off += 16;
		expect_no_decision(p, 1500);
	}
	p = of(&busy, CT);
	p.local_set = true;
	expect_never_wrong(p, 1500);
	p.poll_ns = 20 * US;
	expect_never_wrong(p, 1500);
}

/* A wait in task::unconstrained() has no budget, but is no park. */
static void unconstrained_waits(void **state)
{
	struct program p = of(&idle, CT);

	(void)state;
	p.waits_unconstrained = 30;
	expect_found_anywhere(p, 3000);
	p.flavor = MT;
	expect_found_anywhere(p, 3000);
	p = of(&mixed, CT);
	p.waits_unconstrained = 30;
	expect_found_anywhere(p, 3000);
	p.root_unconstrained = true;
	expect_never_wrong(p, 1500);
}

/* Parks that return at once show in no switch: the parks' own counters then grow between polls, too. */
static void parks_that_nobody_sees(void **state)
{
	struct program p = of(&idle, MT);

	(void)state;
	p.eager_parks = 90;
	p.poll_ns = 500 * US;
	expect_found_anywhere(p, 4000);
	p.eager_parks = 100;
	expect_found_anywhere(p, 4000);
	p.next_word_empty = true;
	expect_never_wrong(p, 1500);
	p.flavor = CT;
	expect_never_wrong(p, 1500);
}

/* More Cores than there are places, records that come too late, Cores at address 0: nothing but patience. */
static void odd_records(void **state)
{
	struct calibrate *c = calloc(1, sizeof(*c));
	struct wire_core e = {.h = {.kind = WIRE_CORE, .ts = 100}, .ctx = {.flavor = MT, .status = WIRE_CTX_READ, .budget = 5}};

	(void)state;
	assert_non_null(c);
	for (u32 i = 0; i < 3 * CALIBRATE_CORES; i++) {
		e.ctx.core = 0x1000 * (u64)(i % (CALIBRATE_CORES + 1));
		e.h.ts = 100000 - i;
		memset(e.bytes, (int)i, sizeof(e.bytes));
		assert_int_equal(calibrate_add(c, &e), -EAGAIN);
	}
	assert_int_equal(c->records, 3 * CALIBRATE_CORES);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_idle_program),
		cmocka_unit_test(full_load_without_parks),
		cmocka_unit_test(a_mixed_load),
		cmocka_unit_test(a_tick_that_wraps),
		cmocka_unit_test(lifo_ping_pong),
		cmocka_unit_test(lifo_ping_pong_with_many_parks),
		cmocka_unit_test(a_tick_like_a_counter),
		cmocka_unit_test(no_tick_at_all),
		cmocka_unit_test(two_that_cannot_be_told_apart),
		cmocka_unit_test(a_root_future_with_an_id),
		cmocka_unit_test(tasks_of_a_local_set),
		cmocka_unit_test(unconstrained_waits),
		cmocka_unit_test(parks_that_nobody_sees),
		cmocka_unit_test(odd_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
