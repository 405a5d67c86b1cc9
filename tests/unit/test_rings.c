/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_rings.c: rings in plain memory: what a ring can hold, hostile lengths, and the order in which several are taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

#include "record/ring_maps.h"
#include "record/rings.h"

enum { SIZE = 1 << 13, RINGS = 3, MAX_SEEN = 4096 };
#define MS NSEC_PER_MSEC

/* A producer: what kernel/bpf/ringbuf.c does. The data is memory of its own, so that a sanitizer sees reads beside it. */
struct made {
	u8 *data;
	u64 consumer, producer;
};

struct seen {
	u32 kind, tid, cpu, sum;
	u64 ts;
};

struct place {
	struct made ring[RINGS];
	struct rings *rings;
	struct seen seen[MAX_SEEN];
	u32 n;
	u64 find; /* a stack to look for when an event is delivered; 0 none */
	bool found;
	int answer; /* of the callback */
};

static int note(void *ctx, const struct wire_hdr *h, size_t size)
{
	struct place *p = ctx;
	struct seen *s = &p->seen[p->n];

	assert_in_range(p->n, 0, MAX_SEEN - 1);
	assert_int_equal((uintptr_t)h & 7, 0);
	*s = (struct seen){.kind = h->kind, .tid = h->tid, .cpu = h->cpu, .ts = h->ts};
	for (size_t i = sizeof(*h); i < size; i++)
		s->sum += ((const u8 *)h)[i];
	p->n++;
	if (p->find && h->kind != WIRE_STACK) {
		u64 hash = p->find;

		p->find = 0;
		p->found = rings_find_stack(p->rings, hash);
	}
	return p->answer;
}

static struct ring_memory memory_of(struct made *m)
{
	return (struct ring_memory){.consumer = &m->consumer, .producer = &m->producer, .data = m->data, .size = SIZE};
}

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_int_equal(rings_new(RINGS, note, p, &p->rings), 0);
	for (u32 i = 0; i < RINGS; i++) {
		struct ring_memory m;

		p->ring[i].data = aligned_alloc(8, SIZE);
		p->ring[i].consumer = p->ring[i].producer = (u64)SIZE * 5;
		m = memory_of(&p->ring[i]);
		rings_add(p->rings, &m);
	}
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	for (u32 i = 0; i < RINGS; i++)
		free(p->ring[i].data);
	rings_free(p->rings);
	free(p);
	return 0;
}

static u32 *header_at(struct made *m, u64 at)
{
	return (u32 *)(void *)(m->data + at % SIZE);
}

/* Returns the record's position; -1: no room. bits: BPF_RINGBUF_BUSY_BIT, BPF_RINGBUF_DISCARD_BIT. */
static s64 put(struct made *m, const void *p, u32 n, u32 bits)
{
	u64 at = m->producer, next = at + (n + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;

	if (next - m->consumer > SIZE)
		return -1;
	header_at(m, at)[0] = n | bits;
	header_at(m, at)[1] = 0xdeadbeef; /* the kernel's own */
	for (u32 i = 0; i < n; i++)
		m->data[(at + BPF_RINGBUF_HDR_SZ + i) % SIZE] = ((const u8 *)p)[i];
	m->producer = next;
	return (s64)at;
}

static s64 put_event(struct place *p, u32 ring, u64 ts, u32 bits)
{
	struct wire_waking e = {.h = {.kind = WIRE_WAKING, .cpu = ring, .ts = ts, .tid = (u32)(ts % 1000003)}, .state = 7};

	return put(&p->ring[ring], &e, sizeof(e), bits);
}

static void put_stack(struct place *p, u32 ring, u64 ts, u64 hash, u32 n)
{
	struct wire_stack s = {.h = {.kind = WIRE_STACK, .cpu = ring, .ts = ts}, .hash = hash, .n = n};

	assert_true(put(&p->ring[ring], &s, (u32)(offsetof(struct wire_stack, frames) + n * 8), 0) >= 0);
}

static void put_exec(struct place *p, u32 ring, u64 ts)
{
	struct wire_exec e = {.h = {.kind = WIRE_EXEC, .cpu = ring, .ts = ts}};

	assert_true(put(&p->ring[ring], &e, sizeof(e), 0) >= 0);
}

static void assert_times(const struct place *p, const u64 *ts, u32 n)
{
	assert_int_equal(p->n, n);
	for (u32 i = 0; i < n; i++)
		assert_int_equal(p->seen[i].ts, ts[i]);
}
#define ASSERT_TIMES(p, ...) assert_times(p, (const u64[]){__VA_ARGS__}, sizeof((const u64[]){__VA_ARGS__}) / sizeof(u64))

static void assert_all_told(const struct place *p)
{
	for (u32 i = 0; i < RINGS; i++)
		assert_int_equal(p->ring[i].consumer, p->ring[i].producer);
	assert_int_equal(rings_counts(p->rings).left, 0);
}

/* ---- one ring ---- */

static void looks_at_what_a_ring_holds(void **state)
{
	struct place *p = *state;
	struct made *m = &p->ring[0];
	struct ring_memory mem = memory_of(m);
	struct ring_slot s;
	u64 begin = m->producer;
	const u8 nine[9] = {0};

	assert_int_equal(ring_look(&mem, begin, begin, &s), RING_EMPTY);
	(void)put(m, nine, 9, 0);
	assert_int_equal(ring_look(&mem, begin, m->producer, &s), RING_RECORD);
	assert_int_equal(s.data, begin + 8);
	assert_int_equal(s.len, 9);
	assert_int_equal(s.next, begin + 24);
	header_at(m, begin)[0] = 9 | BPF_RINGBUF_BUSY_BIT;
	assert_int_equal(ring_look(&mem, begin, m->producer, &s), RING_BUSY);
	assert_int_equal(s.next, begin + 24);
	header_at(m, begin)[0] = 9 | BPF_RINGBUF_DISCARD_BIT;
	assert_int_equal(ring_look(&mem, begin, m->producer, &s), RING_DISCARDED);
}

static void refuses_what_no_producer_writes(void **state)
{
	struct place *p = *state;
	struct made *m = &p->ring[0];
	struct ring_memory mem = memory_of(m);
	struct ring_slot s;
	u64 begin = m->producer;
	const u8 some[100] = {0};

	(void)put(m, some, 100, 0);
	assert_int_equal(ring_look(&mem, begin, begin + SIZE + 8, &s), RING_MALFORMED); /* more than a ring holds */
	assert_int_equal(ring_look(&mem, begin + 8, begin, &s), RING_MALFORMED);	/* a producer that went back */
	assert_int_equal(ring_look(&mem, begin, begin + 104, &s), RING_MALFORMED);	/* a record beyond the end */
	assert_int_equal(ring_look(&mem, begin + 4, begin + 112, &s), RING_MALFORMED);
	header_at(m, begin)[0] = 105;
	assert_int_equal(ring_look(&mem, begin, begin + 112, &s), RING_MALFORMED);
	header_at(m, begin)[0] = 104;
	assert_int_equal(ring_look(&mem, begin, begin + 112, &s), RING_RECORD);
	header_at(m, begin)[0] = 0x3fffffff;
	assert_int_equal(ring_look(&mem, begin, begin + 112, &s), RING_MALFORMED);
}

/* Every header word, at every place from the start to the end of a ring: nothing is read outside (a sanitizer's to see), and every pass ends. */
static void survives_any_bytes(void **state)
{
	struct place *p = *state;
	struct made *m = &p->ring[0];
	u64 x = 88172645463325252ULL, taken = 0;

	for (u32 round = 0; round < 2000; round++) {
		u64 held = 8 * (1 + x % (SIZE / 8));

		for (u32 i = 0; i < SIZE / 4; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17; /* xorshift64 */
			/* mostly lengths that can be */
			((u32 *)(void *)m->data)[i] = (u32)(x & 3 ? x >> 32 & 0x7f : x >> 32);
		}
		m->consumer = m->producer; /* as if all was taken */
		m->producer += round % 16 ? held : x;
		p->n = 0;
		assert_true(rings_take(p->rings, UINT64_MAX, true, MAX_SEEN) >= 0);
		for (u32 i = 0; i < p->n; i++)
			p->found |= rings_find_stack(p->rings, p->seen[i].ts);
		taken += p->n;
		m->producer &= ~7ULL;
		m->consumer = m->producer;
		rings_free(p->rings);
		assert_int_equal(rings_new(RINGS, note, p, &p->rings), 0);
		for (u32 i = 0; i < RINGS; i++) {
			struct ring_memory mem = memory_of(&p->ring[i]);

			rings_add(p->rings, &mem);
		}
	}
	assert_true(taken > 1000); /* some of it made sense */
}

/* Sizes that do not divide the ring's: records wrap at every offset, header or data first at the start again. */
static void takes_records_that_wrap(void **state)
{
	struct place *p = *state;
	u32 sent = 0;

	for (u32 i = 0; i < 2000; i++) {
		struct wire_stack s = {.h = {.kind = WIRE_STACK, .ts = 10 * MS + i, .tid = i}, .n = i % 50};
		u32 size = (u32)offsetof(struct wire_stack, frames) + i % 50 * 8, sum = 0;

		for (u32 k = 0; k < s.n; k++)
			s.frames[k] = k + i % 7;
		for (u32 k = sizeof(s.h); k < size; k++)
			sum += ((const u8 *)&s)[k];
		p->n = 0;
		assert_true(put(&p->ring[1], &s, size, 0) >= 0);
		assert_int_equal(rings_take(p->rings, UINT64_MAX, false, 10), 1);
		assert_int_equal(p->seen[0].tid, i);
		assert_int_equal(p->seen[0].sum, sum);
		sent += size + 8;
	}
	assert_true(sent > 10 * SIZE);
	assert_all_told(p);
}

static void skips_what_was_discarded(void **state)
{
	struct place *p = *state;

	put_event(p, 0, 10, BPF_RINGBUF_DISCARD_BIT);
	put_event(p, 0, 20, 0);
	put_event(p, 0, 30, BPF_RINGBUF_DISCARD_BIT);
	assert_int_equal(rings_take(p->rings, 10 * MS, false, 10), 1);
	ASSERT_TIMES(p, 20);
	assert_all_told(p);
}

static void a_full_ring_is_emptied(void **state)
{
	struct place *p = *state;
	u32 n = 0;

	while (put_event(p, 2, 100 + n, 0) >= 0)
		n++;
	assert_true(n >= SIZE / (sizeof(struct wire_waking) + 8 + 8));
	assert_int_equal(rings_take(p->rings, 10 * MS, false, MAX_SEEN), n);
	assert_all_told(p);
	assert_in_range(rings_counts(p->rings).most, SIZE - sizeof(struct wire_waking) - 8, SIZE);
	assert_true(put_event(p, 2, 5000, 0) >= 0);
}

static void records_of_no_possible_length_are_left_out(void **state)
{
	struct place *p = *state;
	static const u8 zeros[sizeof(struct wire_stack) + 8];

	(void)put(&p->ring[0], zeros, 0, 0);
	(void)put(&p->ring[0], zeros, sizeof(struct wire_hdr) - 1, 0);
	(void)put(&p->ring[0], zeros, sizeof(zeros), 0);
	put_event(p, 0, 20, 0);
	assert_int_equal(rings_take(p->rings, 10 * MS, false, 10), 1);
	ASSERT_TIMES(p, 20);
	assert_int_equal(rings_counts(p->rings).bad, 3);
}

static void a_malformed_ring_is_given_up_to_its_end(void **state)
{
	struct place *p = *state;
	s64 at;

	put_event(p, 0, 10, 0);
	at = put_event(p, 0, 20, 0);
	put_event(p, 0, 30, 0);
	put_event(p, 1, 25, 0);
	header_at(&p->ring[0], (u64)at)[0] = SIZE;
	assert_int_equal(rings_take(p->rings, 10 * MS, false, 10), 2);
	ASSERT_TIMES(p, 10, 25);
	assert_int_equal(rings_counts(p->rings).malformed, 1);
	assert_all_told(p);
	put_event(p, 0, 40, 0);
	assert_int_equal(rings_take(p->rings, 10 * MS, false, 10), 1);
	assert_int_equal(p->seen[2].ts, 40);
}

/* ---- several ---- */

static void takes_by_time(void **state)
{
	struct place *p = *state;

	put_event(p, 2, 10, 0);
	put_event(p, 1, 20, 0);
	put_event(p, 0, 30, 0);
	put_event(p, 0, 35, 0);
	put_event(p, 2, 40, 0);
	put_event(p, 1, 50, 0);
	put_event(p, 1, 60, 0);
	put_event(p, 0, 70, 0);
	assert_int_equal(rings_take(p->rings, 10 * MS, false, 100), 8);
	ASSERT_TIMES(p, 10, 20, 30, 35, 40, 50, 60, 70);
	assert_int_equal(rings_counts(p->rings).late, 0);
	assert_all_told(p);
}

/* A thread that goes from cpu to cpu: each step is younger than the one before. Taken in many passes while it runs. */
static void keeps_the_order_of_a_thread_that_migrates(void **state)
{
	struct place *p = *state;
	u64 x = 12345, now = 10 * MS, last = 0;
	u32 sent = 0;

	for (u32 i = 0; i < MAX_SEEN - 1; i++) {
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		now += x >> 44;
		if (put_event(p, (u32)(x >> 33) % RINGS, now, 0) >= 0)
			sent++;
		if ((x >> 50) % 16 == 0)
			assert_true(rings_take(p->rings, now, false, 1 + (x >> 20) % 64) >= 0);
	}
	while (rings_take(p->rings, UINT64_MAX, false, 64))
		continue;
	assert_int_equal(p->n, sent);
	for (u32 i = 0; i < p->n; i++) {
		assert_true(p->seen[i].ts > last);
		last = p->seen[i].ts;
	}
	assert_int_equal(rings_counts(p->rings).late, 0);
}

static void what_is_younger_than_the_slack_waits(void **state)
{
	struct place *p = *state;
	u64 now = 10 * MS;

	put_event(p, 0, now - RINGS_SLACK - 1, 0);
	put_event(p, 0, now - RINGS_SLACK, 0);
	put_event(p, 1, now - 5, 0);
	assert_int_equal(rings_take(p->rings, now, false, 100), 1);
	assert_int_equal(rings_known_until(p->rings), now - RINGS_SLACK);
	assert_int_equal(rings_take(p->rings, now, false, 100), 0);
	put_event(p, 2, now - RINGS_SLACK + 3, 0); /* a walk ended */
	assert_int_equal(rings_take(p->rings, now + MS, false, 100), 3);
	ASSERT_TIMES(p, now - RINGS_SLACK - 1, now - RINGS_SLACK, now - RINGS_SLACK + 3, now - 5);
	assert_int_equal(rings_counts(p->rings).late, 0);
}

static void what_comes_late_is_delivered_and_counted(void **state)
{
	struct place *p = *state;

	put_event(p, 0, 5 * MS, 0);
	assert_int_equal(rings_take(p->rings, 10 * MS, false, 100), 1);
	put_event(p, 1, 4 * MS, 0);
	put_event(p, 1, 5 * MS, 0);
	put_event(p, 1, 6 * MS, 0);
	assert_int_equal(rings_take(p->rings, 10 * MS, false, 100), 3);
	ASSERT_TIMES(p, 5 * MS, 4 * MS, 5 * MS, 6 * MS);
	assert_int_equal(rings_counts(p->rings).late, 1);
}

static void a_record_that_is_not_submitted_holds_younger_ones_up(void **state)
{
	struct place *p = *state;
	u64 now = 10 * MS;
	s64 at;

	put_event(p, 0, now - 5, 0);
	put_event(p, 1, now - 10, 0);
	at = put_event(p, 1, now - 7, BPF_RINGBUF_BUSY_BIT);
	assert_int_equal(rings_take(p->rings, now, false, 100), 0);
	/* first seen there at this pass: older than that by the slack it is not */
	put_event(p, 0, now + 2 * MS, 0);
	assert_int_equal(rings_take(p->rings, now + MS, false, 100), 2);
	assert_int_equal(rings_take(p->rings, now + 5 * MS, false, 100), 0);
	ASSERT_TIMES(p, now - 10, now - 5);
	header_at(&p->ring[1], (u64)at)[0] &= ~BPF_RINGBUF_BUSY_BIT;
	assert_int_equal(rings_take(p->rings, now + 5 * MS, false, 100), 2);
	assert_int_equal(p->seen[2].ts, now - 7);
	assert_int_equal(p->seen[3].ts, now + 2 * MS);
}

static void but_not_for_ever(void **state)
{
	struct place *p = *state;
	u64 now = 10 * MS;

	put_event(p, 0, now + 10 * MS, 0);
	put_event(p, 1, now, BPF_RINGBUF_BUSY_BIT);
	assert_int_equal(rings_take(p->rings, now + MS, false, 100), 0);
	assert_int_equal(rings_take(p->rings, now + MS + RINGS_HOLD, false, 100), 0);
	assert_int_equal(rings_take(p->rings, now + MS + RINGS_HOLD + 1, false, 100), 1);
	assert_true(rings_counts(p->rings).left > 0);
}

static void at_the_end_all_is_taken(void **state)
{
	struct place *p = *state;

	put_event(p, 0, 30, 0);
	put_event(p, 1, UINT64_MAX, 0); /* no time of this world */
	put_event(p, 1, 10, BPF_RINGBUF_BUSY_BIT);
	put_event(p, 2, 20, 0);
	assert_int_equal(rings_take(p->rings, 10, false, 100), 0);
	assert_int_equal(rings_take(p->rings, UINT64_MAX, false, 100), 3);
	ASSERT_TIMES(p, 20, 30, UINT64_MAX);
	assert_true(rings_known_until(p->rings) > UINT64_MAX / 2);
	assert_true(rings_counts(p->rings).left > 0);
}

static void takes_no_more_than_asked(void **state)
{
	struct place *p = *state;

	for (u64 i = 1; i <= 10; i++)
		put_event(p, (u32)(i % RINGS), i * 10, 0);
	assert_int_equal(rings_take(p->rings, 10 * MS, false, 4), 4);
	assert_int_equal(rings_known_until(p->rings), 50);
	assert_int_equal(rings_take(p->rings, 10 * MS, false, 4), 4);
	assert_int_equal(rings_take(p->rings, 10 * MS, false, 4), 2);
	ASSERT_TIMES(p, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100);
	assert_all_told(p);
}

static void an_error_ends_the_pass(void **state)
{
	struct place *p = *state;

	put_event(p, 0, 10, 0);
	put_event(p, 0, 20, 0);
	p->answer = -ENOSPC;
	assert_int_equal(rings_take(p->rings, 10 * MS, false, 10), -ENOSPC);
	p->answer = 0;
	assert_int_equal(rings_take(p->rings, 10 * MS, false, 10), 1);
	ASSERT_TIMES(p, 10, 20);
}

/* ---- stacks and images ---- */

static void a_stack_does_not_hold_up_its_event(void **state)
{
	struct place *p = *state;

	put_stack(p, 0, 110, 1, 3); /* user and kernel stack of a switch-out at 100, which was walked until 115 */
	put_stack(p, 0, 115, 2, 3);
	put_event(p, 0, 100, 0);
	put_event(p, 1, 95, 0);
	put_event(p, 1, 105, 0);
	assert_int_equal(rings_take(p->rings, 10 * MS, false, 10), 5);
	ASSERT_TIMES(p, 95, 110, 115, 100, 105);
	assert_int_equal(rings_counts(p->rings).late, 0);
}

static void a_stack_is_not_drawn_before_what_came_before(void **state)
{
	struct place *p = *state;
	struct wire_waking e = {.h = {.kind = WIRE_WAKING, .cpu = 77, .ts = 100}};

	put_stack(p, 0, 110, 1, 3);
	(void)put(&p->ring[0], &e, sizeof(e), 0); /* of another cpu in this ring: not the stack's event */
	put_exec(p, 1, 105);
	assert_int_equal(rings_take(p->rings, 10 * MS, false, 10), 3);
	ASSERT_TIMES(p, 105, 110, 100);
}

static void a_stack_that_is_named_before_its_turn_is_found(void **state)
{
	struct place *p = *state;

	put_event(p, 0, 90, 0);
	put_event(p, 1, 95, 0);
	put_event(p, 1, 96, BPF_RINGBUF_BUSY_BIT); /* does not hide what is behind it */
	put_stack(p, 1, 130, 0x1111, 4);
	put_stack(p, 1, 140, 0x2222, 4);
	p->find = 0x2222;
	assert_int_equal(rings_take(p->rings, 10 * MS, false, 10), 2);
	assert_true(p->found);
	ASSERT_TIMES(p, 90, 140, 95);
	assert_int_equal(rings_counts(p->rings).looked_up, 1);
	p->find = 0x3333;
	put_event(p, 0, 200, 0);
	assert_int_equal(rings_take(p->rings, 10 * MS, false, 10), 1);
	assert_false(p->found);
}

static void an_exec_is_delivered_at_once_with_all_before_it(void **state)
{
	struct place *p = *state;
	u64 now = 10 * MS;

	put_event(p, 0, now - 400, 0);
	put_event(p, 0, now - 200, 0);
	put_exec(p, 1, now - 300);
	assert_int_equal(rings_take(p->rings, now, false, 10), 0);
	assert_int_equal(rings_take(p->rings, now, true, 10), 2);
	ASSERT_TIMES(p, now - 400, now - 300);
	assert_int_equal(rings_known_until(p->rings), now - 299);
	assert_int_equal(rings_take(p->rings, now, true, 10), 0); /* nothing urgent any more */
}

/* ---- sizes ---- */

static void shares_the_memory_out(void **state)
{
	static const struct {
		u32 cpus;
		u64 bytes;
		u32 n, size;
	} rows[] = {
		{1, 16 << 20, 1, 16 << 20},  {2, 16 << 20, 2, 8 << 20},	   {3, 16 << 20, 3, 4 << 20}, {16, 16 << 20, 16, 1 << 20},
		{32, 16 << 20, 32, 1 << 20}, {512, 16 << 20, 32, 1 << 20}, {8, 1, 8, 1 << 20},	      {1, UINT64_MAX, 1, 1 << 30},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ring_plan p = ring_plan_for(rows[i].cpus, rows[i].bytes);

		assert_int_equal(p.n, rows[i].n);
		assert_int_equal(p.size, rows[i].size);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(looks_at_what_a_ring_holds),
		TEST(refuses_what_no_producer_writes),
		TEST(survives_any_bytes),
		TEST(takes_records_that_wrap),
		TEST(skips_what_was_discarded),
		TEST(a_full_ring_is_emptied),
		TEST(records_of_no_possible_length_are_left_out),
		TEST(a_malformed_ring_is_given_up_to_its_end),
		TEST(takes_by_time),
		TEST(keeps_the_order_of_a_thread_that_migrates),
		TEST(what_is_younger_than_the_slack_waits),
		TEST(what_comes_late_is_delivered_and_counted),
		TEST(a_record_that_is_not_submitted_holds_younger_ones_up),
		TEST(but_not_for_ever),
		TEST(at_the_end_all_is_taken),
		TEST(takes_no_more_than_asked),
		TEST(an_error_ends_the_pass),
		TEST(a_stack_does_not_hold_up_its_event),
		TEST(a_stack_is_not_drawn_before_what_came_before),
		TEST(a_stack_that_is_named_before_its_turn_is_found),
		TEST(an_exec_is_delivered_at_once_with_all_before_it),
		cmocka_unit_test(shares_the_memory_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
