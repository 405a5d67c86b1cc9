/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_layout.c: the shape scan on made-up threads, for every row of the table. Each thread has a page of stack, a block of thread-locals and what Tokio keeps in
 * it; the heap holds handles, cores and workers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "record/layout.h"
#include "tests/unit/fake_memory.h"

#define NO	     WIRE_NO_FIELD
#define TLS_SIZE     0x400u
#define TLS_BACK     0x280u /* of the context */
#define MT_BACK	     0x40u  /* of the schedulers' own, before 1.29 */
#define CT_BACK	     0x38u
#define BUDGET_BACK  0x29u /* of single bytes, before 1.22 */
#define ENTERED_BACK 0x21u
#define OLD_BACK     0x300u /* of CONTEXT before 1.22, which is only a handle */
#define HEAP	     0x555500000000ULL
#define HANDLE	     (HEAP + 0xabc0)

enum state { PARKED, IN_POLL, BLOCK_IN_PLACE, CURRENT_POLL, CURRENT_PARKED, STATES };

static u64 stack_of(u32 i)
{
	return 0x7f0000000000ULL + i * 0x100000ULL;
}

static u64 fsbase_of(u32 i)
{
	return stack_of(i) + 0x50000;
}

static u64 heap_of(u32 i)
{
	return HEAP + 0x100000 + i * 0x1000ULL;
}

static bool is_mt(enum state st)
{
	return st <= BLOCK_IN_PLACE;
}

static bool is_split(const struct layout_row *row)
{
	return !row->size;
}

static bool has_mt(const struct layout_row *row)
{
	return row->mt_owner != NO;
}

/* A file without symbols, of that row's first version or of an unknown one. */
static struct tokio_elf stripped_of(const struct layout_row *row, bool version)
{
	struct tokio_elf e = {.tls_memsz = TLS_SIZE, .tls_align = 64, .n_tls_init = TLS_SIZE};
	u32 v = row->ranges[0].first;

	e.tls_init[TLS_SIZE - ENTERED_BACK] = 2;
	e.tls_init[TLS_SIZE - OLD_BACK + 8] = 2; /* the None of that handle */
	if (version)
		(void)snprintf(e.version, sizeof(e.version), "1.%u.%u", v / 1000, v % 1000);
	return e;
}

static void put_arc(struct fake_memory *m, u64 addr)
{
	fake_put(m, addr, 1 + (addr >> 12 & 3));
	fake_put(m, addr + 8, 1);
}

/* A thread's stack and TLS as they are before it enters a runtime. */
static struct layout_thread plain_thread(struct fake_memory *m, u32 i)
{
	fake_map(m, stack_of(i), 0x1000);
	fake_map(m, fsbase_of(i) - TLS_SIZE, TLS_SIZE + 8);
	fake_map(m, heap_of(i), 0x1000);
	put_arc(m, HANDLE);
	fake_put_u8(m, fsbase_of(i) - ENTERED_BACK, 2);
	fake_put_u8(m, fsbase_of(i) - OLD_BACK + 8, 2);
	return (struct layout_thread){.tls_end = fsbase_of(i),
				      .sp = stack_of(i) + 0x400,
				      .stack_start = stack_of(i),
				      .stack_end = stack_of(i) + 0x1000};
}

/* Core: what ascope does not read is noise, as the random state next to park is. */
static void put_core(struct fake_memory *m, const struct layout_row *row, u32 i, enum state st)
{
	u64 core = heap_of(i) + 0x100, queue = heap_of(i) + 0x600;

	for (u32 k = 0; k < 48; k++)
		fake_put(m, core + k * 8, 0x9e3779b97f4a7c15ULL * (k + 1) | 1);
	if (!is_mt(st)) {
		fake_put(m, core + row->tick_ct, 0xaaaaaaaa00001234ULL);
		return;
	}
	fake_put(m, core + row->tick_mt, 0xaaaaaaaa00001234ULL);
	put_arc(m, queue);
	fake_put(m, queue + 24, 7);
	fake_put(m, queue + 32, 9);
	fake_put(m, core + row->queue, queue);
	fake_put(m, core + row->park, st == IN_POLL ? heap_of(i) + 0x400 : 0);
	if (row->lifo != NO)
		fake_put(m, core + row->lifo, 0);
}

/* What the thread's scheduler context is, at `sched`. */
static void put_scheduler(struct fake_memory *m, const struct layout_row *row, u32 i, enum state st, u64 sched)
{
	u64 core = st == BLOCK_IN_PLACE ? 0 : heap_of(i) + 0x100, worker = heap_of(i) + 0x800;
	u16 owner_at = is_mt(st) ? row->mt_owner : row->ct_owner, core_at = is_mt(st) ? row->mt_core : row->ct_core;

	if (row->flavor_tag)
		fake_put(m, sched, is_mt(st));
	fake_put(m, sched + owner_at, is_mt(st) ? worker : HANDLE);
	fake_put(m, sched + core_at - 8, st == PARKED ? 0 : ~0ULL);
	fake_put(m, sched + core_at, core);
	put_arc(m, worker);
	fake_put(m, worker + 16, HANDLE);
	fake_put(m, worker + 24, i);
	put_core(m, row, i, st);
}

static void put_context(struct fake_memory *m, const struct layout_row *row, u32 i, enum state st, u64 back)
{
	u64 c = fsbase_of(i) - back;
	bool has_id = is_mt(st) || st == CURRENT_POLL;

	if (row->sched == NO) /* two u32; since 1.29 an Option of them */
		fake_put(m, c + row->rng, 0x9e3779b97f4a7c15ULL);
	else
		fake_write(m, c + row->rng, (const u32[]){1, 0x9e3779b9, 0x7f4a7c15}, 12);
	fake_put(m, c + row->handle, HANDLE);
	fake_put(m, c + row->handle - 8, has_mt(row) ? is_mt(st) : 0);
	fake_put(m, c + row->id, has_id ? 17 + i : 0);
	if (row->id_tag != NO)
		fake_put(m, c + row->id_tag, has_id);
	fake_put_u8(m, c + row->budget, st == IN_POLL || st == CURRENT_POLL);
	fake_put_u8(m, c + row->budget + 1, 99);
	fake_put_u8(m, c + row->runtime, st == BLOCK_IN_PLACE ? 2 : is_mt(st));
	if (row->sched != NO)
		fake_put(m, c + row->sched, stack_of(i) + 0x800);
}

/* Before 1.22. */
static void put_split(struct fake_memory *m, const struct layout_row *row, u32 i, enum state st)
{
	u64 end = fsbase_of(i);

	fake_put(m, end - OLD_BACK + 8, has_mt(row) ? is_mt(st) : 0);
	fake_put(m, end - OLD_BACK + 16, HANDLE);
	fake_put_u8(m, end - BUDGET_BACK, st == IN_POLL || st == CURRENT_POLL);
	fake_put_u8(m, end - BUDGET_BACK + 1, 99);
	fake_put_u8(m, end - ENTERED_BACK, st == BLOCK_IN_PLACE ? 2 : is_mt(st));
}

static void enter(struct fake_memory *m, const struct layout_row *row, u32 i, enum state st, u64 back)
{
	put_scheduler(m, row, i, st, stack_of(i) + 0x800);
	if (is_split(row))
		put_split(m, row, i, st);
	else
		put_context(m, row, i, st, back);
	if (row->sched == NO)
		fake_put(m, fsbase_of(i) - (is_mt(st) ? MT_BACK : CT_BACK), stack_of(i) + 0x800);
}

static struct layout_thread tokio_thread(struct fake_memory *m, const struct layout_row *row, u32 i, enum state st)
{
	struct layout_thread t = plain_thread(m, i);

	enter(m, row, i, st, TLS_BACK);
	return t;
}

static void find(const struct tokio_elf *e, const struct layout_thread *t, u32 n, struct fake_memory *m,
		 struct layout_result *ret)
{
	assert_int_equal(layout_find(e, t, n, fake_read, m, ret), 0);
}

/* The whole truth about a row's program. */
static struct layout_result truth_of(const struct layout_row *row)
{
	struct layout_result r = {.outcome = LAYOUT_FOUND, .row = row};

	r.at[LAYOUT_CONTEXT] = is_split(row) ? WIRE_NOWHERE : -(s32)TLS_BACK;
	r.at[LAYOUT_MT] = row->sched == NO && has_mt(row) ? -(s32)MT_BACK : WIRE_NOWHERE;
	r.at[LAYOUT_CT] = row->sched == NO ? -(s32)CT_BACK : WIRE_NOWHERE;
	r.at[LAYOUT_BUDGET] = is_split(row) ? -(s32)BUDGET_BACK : WIRE_NOWHERE;
	r.at[LAYOUT_RUNTIME] = is_split(row) ? -(s32)ENTERED_BACK : WIRE_NOWHERE;
	return r;
}

/* The result reads thread i, which is in that row's runtime, as it is. */
static void expect_reading(const struct layout_result *r, const struct layout_row *row, struct fake_memory *m, u32 i)
{
	struct layout_result truth = truth_of(row);
	struct wire_layout want = {.valid = 1}, got = {.valid = 1};
	struct layout_owner want_owner = {0}, got_owner = {0};
	struct wire_ctx a, b;

	layout_to_wire(&truth, &want);
	layout_to_wire(r, &got);
	layout_read_ctx(&want, fsbase_of(i), fake_read, m, &a);
	layout_read_ctx(&got, fsbase_of(i), fake_read, m, &b);
	a.tick = b.tick = 0; /* never taken from a table */
	assert_int_equal(a.status, WIRE_CTX_READ);
	assert_memory_equal(&a, &b, sizeof(a));
	if (a.sched) {
		assert_int_equal(layout_read_owner(&want, &a, fake_read, m, &want_owner), 0);
		assert_int_equal(layout_read_owner(&got, &b, fake_read, m, &got_owner), 0);
		assert_int_equal(got_owner.handle, HANDLE);
		assert_int_equal(want_owner.handle, HANDLE);
		assert_int_equal(got_owner.worker, want_owner.worker);
	}
}

static struct fake_memory *fresh(void **state)
{
	struct fake_memory *m = *state;

	m->n = 0;
	return m;
}

static const struct layout_row *row_of(u32 minor, bool mt)
{
	u32 n;
	const struct layout_row *rows = layout_rows(&n);

	for (u32 i = 0; i < n; i++)
		for (u32 k = 0; k < LAYOUT_RANGES; k++)
			if (has_mt(&rows[i]) == mt && rows[i].ranges[k].first <= LAYOUT_VERSION(minor, 0) + 999 &&
			    rows[i].ranges[k].last >= LAYOUT_VERSION(minor, 0))
				return &rows[i];
	fail_msg("no row of 1.%u", minor);
	return NULL;
}

/* ---- the table ---- */

/* Every row is; with the budget or the runtime's byte 8 bytes off, which no thread contradicts, none of a Context is. */
static void wrong_rows_are_told(void **state)
{
	u32 n, whole = 0;
	const struct layout_row *rows = layout_rows(&n);

	(void)state;
	for (u32 i = 0; i < n; i++) {
		struct layout_row r = rows[i];

		assert_true(layout_row_is_sound(&r));
		if (!r.size)
			continue;
		whole++;
		r.budget += 8;
		assert_false(layout_row_is_sound(&r));
		r.budget -= 16;
		assert_false(layout_row_is_sound(&r));
		r = rows[i];
		r.runtime += 8;
		assert_false(layout_row_is_sound(&r));
		r.runtime -= 16;
		assert_false(layout_row_is_sound(&r));
		r = rows[i];
		r.id = (u16)(r.budget & ~7);
		assert_false(layout_row_is_sound(&r));
	}
	assert_true(whole > 10);
}

static void the_table(void **state)
{
	u32 n;
	const struct layout_row *rows = layout_rows(&n);

	(void)state;
	assert_true(n > 20);
	for (u32 i = 0; i < n; i++) {
		const struct layout_row *r = &rows[i];

		assert_non_null(r->name);
		assert_true(r->ranges[0].first >= LAYOUT_VERSION(20, 0));
		for (u32 k = 0; k < LAYOUT_RANGES && r->ranges[k].last; k++) {
			assert_true(r->ranges[k].first <= r->ranges[k].last);
			assert_true(!k || r->ranges[k - 1].last < r->ranges[k].first);
			/* 1.22 brought Context, 1.29 the scheduler within, 1.40 an id that is never 0 */
			assert_int_equal(is_split(r), r->ranges[k].last < LAYOUT_VERSION(22, 0));
			assert_int_equal(r->sched != NO, r->ranges[k].first >= LAYOUT_VERSION(29, 0));
			assert_int_equal(r->id_tag != NO, r->ranges[k].first >= LAYOUT_VERSION(22, 0) &&
								  r->ranges[k].last < LAYOUT_VERSION(40, 0));
		}
		/* what the kernel side relies on */
		assert_true(is_split(r) ||
			    (r->budget <= WIRE_CTX_BYTES - 2 && r->runtime < WIRE_CTX_BYTES && r->id <= WIRE_CTX_BYTES - 8));
		assert_true(is_split(r) ||
			    (r->symbol_size >= r->size && r->value_at + r->size <= r->symbol_size && r->handle >= 8));
		assert_true(r->sched == NO || r->sched <= WIRE_CTX_BYTES - 8);
		assert_true(r->ct_core % 8 == 0 && r->ct_core < 32 && r->ct_core >= 8 && r->tick_ct % 4 == 0 &&
			    r->tick_ct < 1024);
		assert_int_equal(r->flavor_tag, r->sched != NO && has_mt(r));
		if (has_mt(r)) {
			assert_true(r->mt_core % 8 == 0 && r->mt_core < 32 && r->mt_core >= 8);
			assert_true(r->is_unstable ? r->park <= LAYOUT_MAX_CORE && r->queue <= LAYOUT_MAX_CORE
						   : r->park <= 32 && r->queue <= 32);
			assert_int_equal(r->worker_handle, LAYOUT_WORKER_HANDLE);
			assert_int_equal(r->worker_index, LAYOUT_WORKER_INDEX);
			assert_true(r->tick_mt % 4 == 0 && (r->is_unstable || r->tick_mt <= 120));
		}
	}
}

/* Every minor has rows for both sorts of build; the LIFO slot could be stolen in four releases only. */
static void the_versions(void **state)
{
	u32 n, stealable = 0;
	const struct layout_row *rows = layout_rows(&n);

	(void)state;
	for (u32 minor = 20; minor <= 54; minor++) {
		assert_non_null(row_of(minor, true));
		assert_non_null(row_of(minor, false));
	}
	for (u32 i = 0; i < n; i++) {
		if (!has_mt(&rows[i]) || rows[i].lifo != NO)
			continue;
		stealable++;
		assert_true(rows[i].is_unstable || !rows[i].park);
		assert_false(rows[i].plain_queue);
		assert_int_equal(rows[i].ranges[0].first, LAYOUT_VERSION(51, 0));
		assert_int_equal(rows[i].ranges[0].last, LAYOUT_VERSION(51, 1));
		assert_int_equal(rows[i].ranges[1].first, LAYOUT_VERSION(52, 0));
		assert_int_equal(rows[i].ranges[1].last, LAYOUT_VERSION(52, 1));
		assert_int_equal(rows[i].ranges[2].last, 0);
	}
	assert_true(stealable > 0);
}

/* ---- finding ---- */

static void every_row_in_every_state(void **state)
{
	u32 n;
	const struct layout_row *rows = layout_rows(&n);

	for (u32 k = 0; k < n; k++) {
		for (enum state st = has_mt(&rows[k]) ? PARKED : CURRENT_POLL; st < STATES; st++) {
			struct tokio_elf e = stripped_of(&rows[k], true);
			struct fake_memory *m = fresh(state);
			struct layout_thread t[6];
			struct layout_result r;

			for (u32 i = 0; i < 4; i++)
				t[i] = tokio_thread(m, &rows[k], i, st);
			t[4] = plain_thread(m, 4); /* not everyone is in a runtime */
			t[5] = (struct layout_thread){.tls_end = 0x123456000, .sp = 8};
			find(&e, t, 6, m, &r);
			assert_int_equal(r.threads, 4);
			assert_false(r.symbol_agrees);
			if (rows[k].sched == NO && has_mt(&rows[k])) /* the other scheduler's place is still to be seen */
				assert_true(r.is_partial);
			/* before 1.22 the budget is a byte that only a task in its poll shows */
			if (is_split(&rows[k]) && st != IN_POLL && st != CURRENT_POLL) {
				assert_int_equal(r.outcome, LAYOUT_AMBIGUOUS);
				continue;
			}
			assert_int_equal(r.outcome, LAYOUT_FOUND);
			assert_int_equal(r.candidates, 1);
			for (u32 i = 0; i < 5; i++)
				expect_reading(&r, &rows[k], m, i);
		}
	}
}

/* Without a version all rows are tried: the right reading or none, never another. */
static void every_row_without_a_version(void **state)
{
	u32 n, found = 0, tried = 0;
	const struct layout_row *rows = layout_rows(&n);

	for (u32 k = 0; k < n; k++) {
		for (enum state st = has_mt(&rows[k]) ? PARKED : CURRENT_POLL; st < STATES; st++) {
			struct tokio_elf e = stripped_of(&rows[k], false);
			struct fake_memory *m = fresh(state);
			struct layout_thread t[4];
			struct layout_result r;

			for (u32 i = 0; i < 3; i++)
				t[i] = tokio_thread(m, &rows[k], i, st);
			t[3] = plain_thread(m, 3);
			find(&e, t, 4, m, &r);
			assert_true(r.outcome == LAYOUT_FOUND || r.outcome == LAYOUT_AMBIGUOUS);
			tried++;
			found += r.outcome == LAYOUT_FOUND;
			for (u32 i = 0; i < 4 && r.outcome == LAYOUT_FOUND; i++)
				expect_reading(&r, &rows[k], m, i);
		}
	}
	assert_true(found * 2 >= tried);
}

static void threads_in_different_states(void **state)
{
	u32 n;
	const struct layout_row *rows = layout_rows(&n);

	for (u32 k = 0; k < n; k++) {
		static const enum state mt[] = {PARKED, IN_POLL, CURRENT_POLL, BLOCK_IN_PLACE},
					ct[] = {CURRENT_PARKED, CURRENT_POLL, CURRENT_POLL, CURRENT_PARKED};
		struct tokio_elf e = stripped_of(&rows[k], true);
		struct fake_memory *m = fresh(state);
		struct layout_thread t[5];
		struct layout_result r;

		for (u32 i = 0; i < 4; i++)
			t[i] = tokio_thread(m, &rows[k], i, has_mt(&rows[k]) ? mt[i] : ct[i]);
		t[4] = plain_thread(m, 4);
		find(&e, t, 5, m, &r);
		assert_int_equal(r.outcome, LAYOUT_FOUND);
		assert_int_equal(r.threads, 4);
		if (has_mt(&rows[k])) /* both schedulers were seen */
			assert_false(r.is_partial);
		for (u32 i = 0; i < 5; i++)
			expect_reading(&r, &rows[k], m, i);
	}
}

/* One thing wrong at a time: not found. */
static void what_does_not_fit(void **state)
{
	const struct layout_row *row = row_of(54, true);
	struct tokio_elf e = stripped_of(row, true);
	u64 c = fsbase_of(0) - TLS_BACK, sched = stack_of(0) + 0x800, core = heap_of(0) + 0x100, worker = heap_of(0) + 0x800;
	const struct {
		u64 addr, value;
		bool byte;
	} wrong[] = {
		{c + row->sched, heap_of(0) + 0xa00, false},   /* into the heap */
		{c + row->sched, stack_of(0) + 0x3f8, false},  /* below the stack pointer */
		{c + row->sched, stack_of(0) + 0x804, false},  /* not aligned */
		{c + row->sched, stack_of(0) + 0x1000, false}, /* behind the stack */
		{c + row->sched, 0, false},
		{c + row->id, 1ULL << 41, false},
		{c + row->budget, 2, true},
		{c + row->runtime, 3, true},
		{sched, 2, false},			   /* tag */
		{sched + 8, 0x500, false},		   /* worker */
		{sched + 8, 0xffff800000000000ULL, false}, /* a kernel address */
		{sched + 16, 5, false},			   /* borrow flag */
		{sched + 24, 0x666600000000ULL, false},	   /* core */
		{worker, 0, false},			   /* nobody holds it */
		{worker + 16, 0x500, false},		   /* its handle */
		{worker + 24, 4096, false},		   /* its index */
		{core + row->park, 0x123456789abcdef0ULL, false},
		{core + row->lifo, 0x500, false},
		{core + row->queue, 0, false},
		{heap_of(0) + 0x600 + 32, 300, false}, /* queue longer than it can be */
	};

	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct fake_memory *m = fresh(state);
		struct layout_thread t = tokio_thread(m, row, 0, IN_POLL);
		struct layout_result r;

		find(&e, &t, 1, m, &r);
		assert_int_equal(r.outcome, LAYOUT_FOUND);
		if (wrong[i].addr == c + row->sched && wrong[i].value) /* all else would fit there */
			put_scheduler(m, row, 0, IN_POLL, wrong[i].value);
		if (wrong[i].byte)
			fake_put_u8(m, wrong[i].addr, (u8)wrong[i].value);
		else
			fake_put(m, wrong[i].addr, wrong[i].value);
		find(&e, &t, 1, m, &r);
		assert_int_equal(r.outcome, LAYOUT_NONE);
	}
}

/* A parked worker has no park, so something else must speak for it: no budget, a task id, a runtime entered. */
static void a_core_without_park(void **state)
{
	const struct layout_row *row = row_of(54, true);
	struct tokio_elf e = stripped_of(row, true);
	u64 c = fsbase_of(0) - TLS_BACK;

	for (u32 i = 0; i < 3; i++) {
		struct fake_memory *m = fresh(state);
		struct layout_thread t = tokio_thread(m, row, 0, PARKED);
		struct layout_result r;

		if (i == 0)
			fake_put_u8(m, c + row->budget, 1);
		else if (i == 1)
			fake_put_u8(m, c + row->runtime, 2);
		else
			fake_put(m, c + row->id, 0);
		find(&e, &t, 1, m, &r);
		assert_int_equal(r.outcome, LAYOUT_NONE);
	}
}

/* 1.22 - 1.28: a handle elsewhere in the block is not Context's, nor is one without its seed. */
static void contexts_that_are_none(void **state)
{
	const struct layout_row *row = row_of(25, true);
	struct tokio_elf e = stripped_of(row, true);
	u64 c = fsbase_of(0) - TLS_BACK;

	for (u32 i = 0; i < 4; i++) {
		struct fake_memory *m = fresh(state);
		struct layout_thread t = tokio_thread(m, row, 0, PARKED);
		struct layout_result r;

		fake_put(m, fsbase_of(0) - 0x80, HANDLE);
		find(&e, &t, 1, m, &r);
		assert_int_equal(r.outcome, LAYOUT_FOUND);
		assert_int_equal(r.at[LAYOUT_CONTEXT], -(s32)TLS_BACK);
		if (i == 0)
			fake_put(m, c + row->handle, HANDLE + 0x100);
		else if (i == 1)
			fake_put(m, c + row->rng, 0);
		else if (i == 2)
			fake_put(m, c + row->handle - 8, 0); /* a current-thread handle */
		else
			fake_put(m, c + row->id_tag, 2); /* not made yet */
		find(&e, &t, 1, m, &r);
		assert_int_equal(r.outcome, LAYOUT_NONE);
	}
}

/* On each thread the same number of bytes further up: heap pointers in the scheduler's place, right in everything else. */
static void decoys_in_the_heap(void **state)
{
	const struct layout_row *row = row_of(54, true);
	struct tokio_elf e = stripped_of(row, true);
	struct fake_memory *m = fresh(state);
	struct layout_thread t[3];
	struct layout_result r;

	for (u32 i = 0; i < 3; i++) {
		t[i] = tokio_thread(m, row, i, PARKED);
		put_context(m, row, i, PARKED, 0x100);
		fake_put(m, fsbase_of(i) - 0x100 + row->sched, heap_of(i) + 0xa00);
		put_scheduler(m, row, i, PARKED, heap_of(i) + 0xa00);
	}
	find(&e, t, 3, m, &r);
	assert_int_equal(r.outcome, LAYOUT_FOUND);
	assert_int_equal(r.at[LAYOUT_CONTEXT], -(s32)TLS_BACK);
}

static void the_most_votes_win(void **state)
{
	const struct layout_row *row = row_of(54, true);
	struct tokio_elf e = stripped_of(row, true);
	struct fake_memory *m = fresh(state);
	struct layout_thread t[3];
	struct layout_result r;

	for (u32 i = 0; i < 3; i++)
		t[i] = tokio_thread(m, row, i, PARKED);
	put_context(m, row, 0, PARKED, 0x180); /* a second place, on one thread only */
	find(&e, t, 3, m, &r);
	assert_int_equal(r.outcome, LAYOUT_FOUND);
	assert_int_equal(r.at[LAYOUT_CONTEXT], -(s32)TLS_BACK);
	assert_int_equal(r.threads, 3);
	put_context(m, row, 1, PARKED, 0x180);
	put_context(m, row, 2, PARKED, 0x180); /* on all: which is it? */
	find(&e, t, 3, m, &r);
	assert_int_equal(r.outcome, LAYOUT_AMBIGUOUS);
	assert_int_equal(r.candidates, 2);
}

/* rustc 1.63 and 1.85 order the fields differently, and on a parked thread of some versions all that would tell is 0: the compiler's name does. */
static void the_compiler_decides(void **state)
{
	u32 n, tried = 0;
	const struct layout_row *rows = layout_rows(&n);

	for (u32 k = 0; k < n; k++) {
		struct tokio_elf e = stripped_of(&rows[k], true);
		struct fake_memory *m = fresh(state);
		struct layout_thread t;
		struct layout_result r;

		if (rows[k].rustc_last >= 85)
			continue;
		t = tokio_thread(m, &rows[k], 0, CURRENT_POLL);
		e.rustc = 63;
		find(&e, &t, 1, m, &r);
		assert_int_equal(r.outcome, LAYOUT_FOUND);
		expect_reading(&r, &rows[k], m, 0);
		e.rustc = 999; /* as the newest that was tried */
		find(&e, &t, 1, m, &r);
		assert_true(!r.row || r.row->rustc_last >= 85);
		tried++;
	}
	assert_true(tried > 0);
}

/* A version that the table does not know yet: all rows are tried. */
static void a_newer_version(void **state)
{
	const struct layout_row *row = row_of(54, true);
	struct tokio_elf e = stripped_of(row, false);
	struct fake_memory *m = fresh(state);
	struct layout_thread t = tokio_thread(m, row, 0, IN_POLL);
	struct layout_result r;

	memcpy(e.version, "1.999.0", 8);
	find(&e, &t, 1, m, &r);
	assert_int_equal(r.outcome, LAYOUT_FOUND);
	expect_reading(&r, row, m, 0);
	memcpy(e.version, "1.36.0", 7); /* and of another version none is taken */
	find(&e, &t, 1, m, &r);
	assert_int_equal(r.outcome, LAYOUT_NONE);
}

/* ---- with symbols ---- */

static void add_symbol(struct tokio_elf *e, enum layout_place place, u64 back, u64 size)
{
	e->symbols[e->n_symbols++] = (struct tokio_symbol){.place = place, .value = TLS_SIZE - back, .size = size};
}

static struct tokio_elf with_symbols(const struct layout_row *row, bool version)
{
	struct tokio_elf e = stripped_of(row, version);

	if (!is_split(row))
		add_symbol(&e, LAYOUT_CONTEXT, TLS_BACK + row->value_at, row->symbol_size);
	if (row->sched == NO) {
		add_symbol(&e, LAYOUT_CT, CT_BACK, 8);
		if (has_mt(row))
			add_symbol(&e, LAYOUT_MT, MT_BACK, 8);
	}
	if (is_split(row)) {
		add_symbol(&e, LAYOUT_BUDGET, BUDGET_BACK, 2);
		add_symbol(&e, LAYOUT_RUNTIME, ENTERED_BACK, 1);
	}
	return e;
}

static void every_row_with_symbols(void **state)
{
	u32 n;
	const struct layout_row *rows = layout_rows(&n);

	for (u32 k = 0; k < n; k++) {
		for (enum state st = has_mt(&rows[k]) ? PARKED : CURRENT_POLL; st < STATES; st++) {
			struct tokio_elf e = with_symbols(&rows[k], true);
			struct fake_memory *m = fresh(state);
			struct layout_thread t[2];
			struct layout_result r;

			t[0] = tokio_thread(m, &rows[k], 0, st);
			t[1] = plain_thread(m, 1);
			find(&e, t, 2, m, &r);
			assert_int_equal(r.outcome, LAYOUT_FOUND);
			assert_true(r.symbol_agrees);
			assert_false(r.is_partial);
			expect_reading(&r, &rows[k], m, 0);
			expect_reading(&r, &rows[k], m, 1);
		}
	}
}

/* Before any thread has entered: the reading is known, or nothing is. */
static void symbols_alone(void **state)
{
	u32 n, found = 0;
	const struct layout_row *rows = layout_rows(&n);

	for (u32 k = 0; k < n; k++) {
		struct tokio_elf e = with_symbols(&rows[k], true);
		struct fake_memory *m = fresh(state);
		struct layout_thread t = plain_thread(m, 0);
		struct layout_result r;

		find(&e, &t, 1, m, &r);
		if (r.outcome == LAYOUT_NONE)
			continue;
		assert_int_equal(r.outcome, LAYOUT_BY_SYMBOL);
		assert_int_equal(r.threads, 0);
		found++;
		tokio_thread(m, &rows[k], 0, CURRENT_POLL);
		expect_reading(&r, &rows[k], m, 0);
	}
	assert_true(found * 2 >= n); /* compilers that lay the storage out differently need a thread to tell */
}

static void the_symbol_decides(void **state)
{
	const struct layout_row *row = row_of(54, true);
	struct tokio_elf stripped = stripped_of(row, true), there = stripped, elsewhere = stripped, lazy = stripped;
	struct fake_memory *m = fresh(state);
	struct layout_thread t = tokio_thread(m, row, 0, PARKED);
	struct layout_result r;

	add_symbol(&there, LAYOUT_CONTEXT, TLS_BACK, row->symbol_size);
	add_symbol(&elsewhere, LAYOUT_CONTEXT, 0x180, row->symbol_size);
	add_symbol(&lazy, LAYOUT_CONTEXT, TLS_BACK + 8, row->size + 8);
	find(&there, &t, 1, m, &r);
	assert_int_equal(r.outcome, LAYOUT_FOUND);
	assert_true(r.symbol_agrees);
	find(&lazy, &t, 1, m, &r); /* rustc 1.85: 8 bytes of state before the value */
	assert_int_equal(r.outcome, LAYOUT_FOUND);
	assert_int_equal(r.at[LAYOUT_CONTEXT], -(s32)TLS_BACK);
	/* a place that fits but that no symbol names is not tokio's */
	find(&elsewhere, &t, 1, m, &r);
	assert_int_equal(r.outcome, LAYOUT_BY_SYMBOL);
	assert_int_equal(r.at[LAYOUT_CONTEXT], -0x180);
	assert_int_equal(r.threads, 0);
	/* and of two places that fit, the named one */
	put_context(m, row, 0, PARKED, 0x180);
	find(&stripped, &t, 1, m, &r);
	assert_int_equal(r.outcome, LAYOUT_AMBIGUOUS);
	find(&there, &t, 1, m, &r);
	assert_int_equal(r.outcome, LAYOUT_FOUND);
	assert_int_equal(r.at[LAYOUT_CONTEXT], -(s32)TLS_BACK);
}

/* Two copies of tokio in one program: none is taken by its symbol alone, each when a thread is in it. */
static void two_symbols(void **state)
{
	const struct layout_row *row = row_of(54, true);
	struct tokio_elf e = with_symbols(row, true);
	struct fake_memory *m = fresh(state);
	struct layout_thread t = plain_thread(m, 0);
	struct layout_result r;

	add_symbol(&e, LAYOUT_CONTEXT, 0x180, row->symbol_size);
	find(&e, &t, 1, m, &r);
	assert_int_equal(r.outcome, LAYOUT_NONE);
	enter(m, row, 0, PARKED, TLS_BACK);
	find(&e, &t, 1, m, &r);
	assert_int_equal(r.outcome, LAYOUT_FOUND);
	assert_int_equal(r.at[LAYOUT_CONTEXT], -(s32)TLS_BACK);
}

/* The context at the very start of a TLS segment that begins at an odd place. */
static void the_whole_segment_is_searched(void **state)
{
	const struct layout_row *row = row_of(54, true);
	static const u64 vaddrs[] = {0x1000, 0x1010, 0x1038, 0x1004};

	for (u32 i = 0; i < ARRAY_SIZE(vaddrs); i++) {
		struct tokio_elf e = {.tls_memsz = 124, .tls_align = 64, .tls_vaddr = vaddrs[i], .version = "1.54.1"};
		struct fake_memory *m = fresh(state);
		struct layout_thread t = plain_thread(m, 0);
		u64 back = tokio_elf_tls_back(&e, vaddrs[i] % 8); /* the first aligned place */
		struct layout_result r;

		enter(m, row, 0, PARKED, back);
		find(&e, &t, 1, m, &r);
		assert_int_equal(r.outcome, LAYOUT_FOUND);
		assert_int_equal(r.at[LAYOUT_CONTEXT], -(s32)back);
	}
}

static void hostile_segments(void **state)
{
	const struct layout_row *row = row_of(54, true);
	static const struct tokio_elf elfs[] = {
		{.tls_memsz = 0, .tls_align = 64},
		{.tls_memsz = UINT64_MAX, .tls_align = 64},
		{.tls_memsz = UINT64_MAX - 100, .tls_align = 1 << 16, .tls_vaddr = 77},
		{.tls_memsz = 1, .tls_align = 1},
		{.tls_memsz = 1 << 30, .tls_align = 3},
		{.tls_memsz = TLS_SIZE, .tls_align = 1 << 20},
	};
	struct tokio_elf stripped = stripped_of(row, true);
	struct fake_memory *m = fresh(state);
	struct layout_thread t = tokio_thread(m, row, 0, PARKED);
	struct layout_result r;

	for (u32 i = 0; i < ARRAY_SIZE(elfs); i++) {
		find(&elfs[i], &t, 1, m, &r);
		assert_int_equal(r.outcome, LAYOUT_NONE);
	}
	find(&stripped, NULL, 0, m, &r);
	assert_int_equal(r.outcome, LAYOUT_NONE);
}

/* ---- reading ---- */

static struct wire_layout wire_of(const struct layout_row *row)
{
	struct layout_result r = truth_of(row);
	struct wire_layout l = {.valid = 1, .gen = 3};

	layout_to_wire(&r, &l);
	return l;
}

static void reading_every_row(void **state)
{
	u32 n;
	const struct layout_row *rows = layout_rows(&n);

	for (u32 k = 0; k < n; k++) {
		for (enum state st = has_mt(&rows[k]) ? PARKED : CURRENT_POLL; st < STATES; st++) {
			const struct layout_row *row = &rows[k];
			struct wire_layout l = wire_of(row);
			struct fake_memory *m = fresh(state);
			bool poll = st == IN_POLL || st == CURRENT_POLL, has_id = !is_split(row) && st != CURRENT_PARKED;
			struct wire_ctx x;

			assert_int_equal(l.off_queue != NO, has_mt(row) && row->plain_queue && row->lifo != NO);
			assert_true(row->tick_ct < l.core_from + WIRE_CORE_BYTES && row->tick_ct >= l.core_from);
			tokio_thread(m, row, 5, st);
			layout_read_ctx(&l, fsbase_of(5), fake_read, m, &x);
			assert_int_equal(x.status, WIRE_CTX_READ);
			assert_int_equal(x.gen, 3);
			assert_int_equal(x.sched, stack_of(5) + 0x800);
			assert_int_equal(x.task, has_id ? 22 : 0);
			assert_int_equal(x.budget, poll ? 100 : 0);
			assert_int_equal(x.runtime, st == BLOCK_IN_PLACE ? 2 : is_mt(st));
			assert_int_equal(x.flavor, is_mt(st) ? WIRE_FLAVOR_MULTI_THREAD : WIRE_FLAVOR_CURRENT_THREAD);
			assert_int_equal(x.core, st == BLOCK_IN_PLACE ? 0 : heap_of(5) + 0x100);
			assert_int_equal(x.park, st == IN_POLL);
			assert_int_equal(x.tick, st == BLOCK_IN_PLACE ? 0 : 0x1234);
		}
	}
}

/* In no runtime: that was read, and is no failure. Between 1.22 and 1.28 a Context that was never used is all 0, which is not "entered". */
static void reading_threads_in_no_runtime(void **state)
{
	u32 n;
	const struct layout_row *rows = layout_rows(&n);

	for (u32 k = 0; k < n; k++) {
		struct wire_layout l = wire_of(&rows[k]);
		struct fake_memory *m = fresh(state);
		struct wire_ctx x;

		plain_thread(m, 3);
		if (rows[k].sched != NO) /* it begins with that value */
			fake_put_u8(m, fsbase_of(3) - TLS_BACK + rows[k].runtime, 2);
		layout_read_ctx(&l, fsbase_of(3), fake_read, m, &x);
		assert_int_equal(x.status, WIRE_CTX_READ);
		assert_int_equal(x.sched | x.core | x.task | x.flavor | x.budget, 0);
		assert_int_equal(x.runtime, 2);
		l.valid = 0;
		layout_read_ctx(&l, fsbase_of(3), fake_read, m, &x);
		assert_int_equal(x.status, WIRE_CTX_NO_LAYOUT);
	}
}

/* Before 1.29, in block_in_place on a worker: the current-thread runtime that runs there is the inner one. */
static void a_runtime_within_block_in_place(void **state)
{
	const struct layout_row *row = row_of(25, true);
	struct wire_layout l = wire_of(row);
	struct fake_memory *m = fresh(state);
	struct wire_ctx x;

	tokio_thread(m, row, 0, BLOCK_IN_PLACE);
	put_scheduler(m, row, 0, CURRENT_POLL, stack_of(0) + 0x600);
	fake_put(m, fsbase_of(0) - CT_BACK, stack_of(0) + 0x600);
	layout_read_ctx(&l, fsbase_of(0), fake_read, m, &x);
	assert_int_equal(x.flavor, WIRE_FLAVOR_CURRENT_THREAD);
	assert_int_equal(x.sched, stack_of(0) + 0x600);
}

/* A read that faults makes the whole "unread": never "in no runtime", never half of it. */
static void faults(void **state)
{
	static const u32 minors[] = {20, 25, 36, 51, 54};
	const u64 pages[] = {fsbase_of(0) - TLS_BACK, stack_of(0), heap_of(0)};

	for (u32 k = 0; k < ARRAY_SIZE(minors); k++) {
		struct wire_layout l = wire_of(row_of(minors[k], true));

		for (u32 i = 0; i <= ARRAY_SIZE(pages); i++) {
			struct fake_memory *m = fresh(state);
			struct wire_ctx x;

			tokio_thread(m, row_of(minors[k], true), 0, IN_POLL);
			if (i < ARRAY_SIZE(pages))
				fake_unmap(m, pages[i]);
			layout_read_ctx(&l, i < ARRAY_SIZE(pages) ? fsbase_of(0) : 0, fake_read, m, &x);
			assert_int_equal(x.status, WIRE_CTX_UNREAD);
			assert_int_equal(x.sched | x.core | x.task | x.budget | x.flavor, 0);
			assert_int_equal(x.gen, 3);
		}
	}
}

static void owners_that_make_no_sense(void **state)
{
	const struct layout_row *row = row_of(54, true);
	struct wire_layout l = wire_of(row);
	struct fake_memory *m = fresh(state);
	struct layout_owner owner = {.worker = 77};
	struct wire_ctx x;

	tokio_thread(m, row, 0, IN_POLL);
	layout_read_ctx(&l, fsbase_of(0), fake_read, m, &x);
	fake_put(m, heap_of(0) + 0x818, 4096);
	assert_int_equal(layout_read_owner(&l, &x, fake_read, m, &owner), -EBADMSG);
	fake_put(m, heap_of(0) + 0x818, 4095);
	fake_put(m, heap_of(0) + 0x810, 0xfff);
	assert_int_equal(layout_read_owner(&l, &x, fake_read, m, &owner), -EBADMSG);
	fake_put(m, heap_of(0) + 0x810, ~0ULL);
	assert_int_equal(layout_read_owner(&l, &x, fake_read, m, &owner), -EBADMSG);
	fake_put(m, x.sched + 8, 0x10);
	assert_int_equal(layout_read_owner(&l, &x, fake_read, m, &owner), -EFAULT);
	fake_put(m, x.sched + 8, 0x666600000000ULL);
	assert_int_equal(layout_read_owner(&l, &x, fake_read, m, &owner), -EFAULT);
	x.flavor = WIRE_FLAVOR_CURRENT_THREAD;
	assert_int_equal(layout_read_owner(&l, &x, fake_read, m, &owner), 0);
	fake_put(m, x.sched + 8, 0);
	assert_int_equal(layout_read_owner(&l, &x, fake_read, m, &owner), -EBADMSG);
	fake_unmap(m, x.sched);
	assert_int_equal(layout_read_owner(&l, &x, fake_read, m, &owner), -EFAULT);
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct fake_memory));
	return *state ? 0 : -1;
}

/* ---- what threads say of a reading ---- */

static struct layout_word word_of(const struct tokio_elf *e, const struct layout_row *row, struct fake_memory *m,
				  const struct layout_thread *t)
{
	struct layout_result truth = truth_of(row);
	struct layout_word w;

	assert_int_equal(layout_ask(e, row, truth.at, t, 1, fake_read, m, &w), 0);
	return w;
}

/* No thread contradicts the right row, whatever it does, with symbols and without. */
static void nobody_contradicts_what_is_right(void **state)
{
	u32 n;
	const struct layout_row *rows = layout_rows(&n);

	for (u32 k = 0; k < 2 * n; k++) {
		const struct layout_row *row = &rows[k / 2];
		struct tokio_elf e = k % 2 ? with_symbols(row, true) : stripped_of(row, true);

		for (enum state st = has_mt(row) ? PARKED : CURRENT_POLL; st < STATES; st++) {
			struct fake_memory *m = fresh(state);
			struct layout_thread t = tokio_thread(m, row, 0, st);
			struct layout_word w = word_of(&e, row, m, &t);

			assert_int_equal(w.what, st == BLOCK_IN_PLACE ? LAYOUT_SAYS_NOTHING : LAYOUT_SAYS_FITS);
			assert_int_equal(w.mt, is_mt(st));
			t = plain_thread(m, 1);
			assert_int_equal(word_of(&e, row, m, &t).what, LAYOUT_SAYS_NOTHING);
		}
	}
}

/* A field of the Core, of the scheduler's context or of Context elsewhere: parked workers say so, and where no row is known all that are inside. */
static void threads_contradict_what_is_wrong(void **state)
{
	u32 n, asked = 0;
	const struct layout_row *rows = layout_rows(&n);

	for (u32 k = 0; k < n; k++) {
		struct layout_row wrong[] = {rows[k], rows[k], rows[k], rows[k], rows[k]};
		struct tokio_elf e = with_symbols(&rows[k], true);
		struct fake_memory *m = fresh(state);
		struct layout_thread t;
		struct layout_word w;

		if (!has_mt(&rows[k]))
			continue;
		wrong[0].park += 8;
		wrong[1].queue += 8;
		wrong[2].mt_core -= 8;
		wrong[3].mt_owner = rows[k].mt_core;
		wrong[4].handle += 8; /* nothing of it is read before 1.22 */
		t = tokio_thread(m, &rows[k], 0, PARKED);
		for (u32 i = 0; i < ARRAY_SIZE(wrong) - is_split(&rows[k]); i++, asked++) {
			w = word_of(&e, &wrong[i], m, &t);
			assert_int_equal(w.what, LAYOUT_SAYS_MISFIT);
			assert_true(w.mt);
		}
		assert_int_equal(layout_ask(&e, NULL, NULL, &t, 1, fake_read, m, &w), 0);
		assert_int_equal(w.what, LAYOUT_SAYS_MISFIT);
	}
	assert_true(asked > 50);
}

static struct layout_witness heard(const struct layout_word *words, u32 n, u32 looks)
{
	struct layout_witness w = {0};

	for (u32 i = 0; i < looks; i++)
		layout_hear(&w, words, n);
	return w;
}

/* Not one look, not few threads, not a flavor by the other's word. */
static void what_refutes_a_reading(void **state)
{
	const struct layout_word fits = {.what = LAYOUT_SAYS_FITS, .mt = true}, misfit = {.what = LAYOUT_SAYS_MISFIT, .mt = true},
				 none = {.mt = true}, other = {.what = LAYOUT_SAYS_FITS};
	const struct layout_word one_of_five[] = {fits, fits, misfit, fits, fits}, all[] = {misfit, none, misfit},
				 mixed[] = {other, other, misfit};
	struct layout_word twins[] = {fits, fits};
	struct layout_witness w;

	(void)state;
	w = heard(one_of_five, 5, 1000);
	assert_false(layout_is_refuted(&w));
	w = heard(all, 3, 3);
	assert_false(layout_is_refuted(&w));
	w = heard(all, 3, 4);
	assert_true(layout_is_refuted(&w));
	w = heard(mixed, 3, 4);
	assert_true(layout_is_refuted(&w));
	w = heard(&misfit, 1, 4);
	layout_hear(&w, &fits, 1);
	assert_false(layout_is_refuted(&w));
	w = heard(&none, 1, 100);
	assert_false(layout_is_refuted(&w));
	twins[0].task = 7;
	twins[1].task = 8;
	w = heard(twins, 2, 10);
	assert_false(layout_is_refuted(&w));
	twins[1].task = 7; /* on two threads at a time */
	w = heard(twins, 2, 10);
	assert_true(layout_is_refuted(&w));
}

/* A tokio_unstable build is told by its workers alone, and one that has its core out of its place does not tell it from a stable one. */
static void unstable_builds(void **state)
{
	u32 n, met = 0;
	const struct layout_row *rows = layout_rows(&n);

	for (u32 k = 0; k < n; k++) {
		struct tokio_elf e = with_symbols(&rows[k], true);
		struct fake_memory *m = fresh(state);
		struct layout_thread t[2];
		struct layout_result r;

		if (!rows[k].is_unstable)
			continue;
		t[0] = tokio_thread(m, &rows[k], 0, BLOCK_IN_PLACE);
		t[1] = plain_thread(m, 1);
		find(&e, t, 2, m, &r);
		assert_int_equal(r.outcome, LAYOUT_FOUND);
		assert_false(r.row->is_unstable);
		assert_int_equal(r.with_mt_core, 0);
		t[1] = tokio_thread(m, &rows[k], 1, PARKED);
		find(&e, t, 2, m, &r);
		assert_int_equal(r.outcome, LAYOUT_FOUND);
		met += r.row->is_unstable; /* else its workers are as a stable build's, but for the tick */
		assert_int_equal(r.with_mt_core, 1);
		assert_true(layout_reads_alike(r.row, &rows[k]));
	}
	assert_true(met > 4);
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table),
		cmocka_unit_test(the_versions),
		cmocka_unit_test(wrong_rows_are_told),
		cmocka_unit_test(every_row_in_every_state),
		cmocka_unit_test(every_row_without_a_version),
		cmocka_unit_test(threads_in_different_states),
		cmocka_unit_test(what_does_not_fit),
		cmocka_unit_test(a_core_without_park),
		cmocka_unit_test(contexts_that_are_none),
		cmocka_unit_test(decoys_in_the_heap),
		cmocka_unit_test(the_most_votes_win),
		cmocka_unit_test(the_compiler_decides),
		cmocka_unit_test(a_newer_version),
		cmocka_unit_test(every_row_with_symbols),
		cmocka_unit_test(symbols_alone),
		cmocka_unit_test(the_symbol_decides),
		cmocka_unit_test(two_symbols),
		cmocka_unit_test(the_whole_segment_is_searched),
		cmocka_unit_test(hostile_segments),
		cmocka_unit_test(reading_every_row),
		cmocka_unit_test(reading_threads_in_no_runtime),
		cmocka_unit_test(a_runtime_within_block_in_place),
		cmocka_unit_test(faults),
		cmocka_unit_test(owners_that_make_no_sense),
		cmocka_unit_test(nobody_contradicts_what_is_right),
		cmocka_unit_test(threads_contradict_what_is_wrong),
		cmocka_unit_test(what_refutes_a_reading),
		cmocka_unit_test(unstable_builds),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
