/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_layout.c: the shape scan on made-up threads. Each has a page of stack, a TLS block below its thread pointer and a Tokio
 * context in it; the heap holds handles, cores and workers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <string.h>

#include "record/layout.h"
#include "tests/unit/fake_memory.h"

#define NO_TAG	 0xffff
#define TLS_SIZE 0x400u
#define TLS_BACK 0x280u /* of the context */
#define HEAP	 0x555500000000ULL

enum state { PARKED, IN_POLL, CURRENT_POLL, CURRENT_PARKED, BLOCK_IN_PLACE };

static const struct tokio_elf stripped = {.tls_memsz = TLS_SIZE, .tls_align = 64};

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
	return HEAP + i * 0x1000ULL;
}

/* A thread's stack and TLS, nothing in it. */
static struct layout_thread plain_thread(struct fake_memory *m, u32 i)
{
	fake_map(m, stack_of(i), 0x1000);
	fake_map(m, fsbase_of(i) - TLS_SIZE, TLS_SIZE + 8);
	fake_map(m, heap_of(i), 0x1000);
	return (struct layout_thread){
		.tls_end = fsbase_of(i), .sp = stack_of(i) + 0x400, .stack_start = stack_of(i), .stack_end = stack_of(i) + 0x1000};
}

/* What CONTEXT.scheduler points to, at `sched`. */
static void put_scheduler(struct fake_memory *m, const struct layout_row *row, u32 i, enum state st, u64 sched)
{
	bool mt = row->has_flavor_tag && (st == PARKED || st == IN_POLL || st == BLOCK_IN_PLACE);
	u64 core = st == BLOCK_IN_PLACE ? 0 : heap_of(i) + 0x100, at = sched;

	if (row->has_flavor_tag) {
		fake_put(m, at, mt);
		at += 8;
	}
	fake_put(m, at, heap_of(i) + 0x800); /* Arc<Worker> or Handle */
	fake_put(m, at + 8, st == PARKED ? 0 : ~0ULL);
	fake_put(m, at + 16, core);
	fake_put(m, heap_of(i) + 0x810, HEAP + 0xabc0); /* Worker: handle, index */
	fake_put(m, heap_of(i) + 0x818, i);
	fake_put(m, heap_of(i) + 0x108, st == IN_POLL ? heap_of(i) + 0x400 : 0); /* core.park */
}

/*
 * The fields of Context that ascope does not read, as they are in a runtime: neighbours decide whether a wrong row fits.
 * Order of the fields: tokio/src/runtime/context.rs as rustc 1.85 and 1.95 lay it out.
 */
static void put_other_fields(struct fake_memory *m, const struct layout_row *row, u32 i, u64 c)
{
	u64 current = c + (row->has_flavor_tag ? 0 : row->off_id_tag == NO_TAG ? 8 : 24);
	u64 thread_id = c + (row->has_flavor_tag ? (row->off_id_tag == NO_TAG ? 32 : 48) : row->off_id_tag == NO_TAG ? 0 : 16);
	u64 rng = c + row->off_sched + (row->off_id_tag == NO_TAG ? 16 : 8);

	/* current: borrow flag, [tag,] handle, depth */
	if (row->has_flavor_tag)
		fake_put(m, current + 8, 1);
	fake_put(m, current + (row->has_flavor_tag ? 16 : 8), heap_of(i) + 0x900);
	fake_put(m, current + (row->has_flavor_tag ? 24 : 16), 1);
	fake_put(m, thread_id, 3 + i);
	fake_put(m, rng, 0x9e3779b900000001ULL); /* Some, one, two */
	fake_write(m, rng + 8, &(u32){0x7f4a7c15}, 4);
}

/* The context of a thread in state st, `back` below its thread pointer. */
static void put_context(struct fake_memory *m, const struct layout_row *row, u32 i, enum state st, u64 back)
{
	u64 c = fsbase_of(i) - back, sched = stack_of(i) + 0x800;
	bool poll = st == IN_POLL || st == CURRENT_POLL;

	put_other_fields(m, row, i, c);
	fake_put(m, c + row->off_sched, sched);
	fake_put(m, c + row->off_id, st == CURRENT_PARKED ? 0 : 17 + i);
	if (row->off_id_tag != NO_TAG)
		fake_put(m, c + row->off_id_tag, st != CURRENT_PARKED);
	fake_put_u8(m, c + row->off_budget, poll);
	fake_put_u8(m, c + row->off_budget + 1, 99);
	fake_put_u8(m, c + row->off_runtime, st == BLOCK_IN_PLACE ? 1 : 0);
	put_scheduler(m, row, i, st, sched);
}

static struct layout_thread tokio_thread(struct fake_memory *m, const struct layout_row *row, u32 i, enum state st)
{
	struct layout_thread t = plain_thread(m, i);

	put_context(m, row, i, st, TLS_BACK);
	return t;
}

static void find(const struct tokio_elf *e, const struct layout_thread *t, u32 n, struct fake_memory *m,
		 struct layout_result *ret)
{
	assert_int_equal(layout_find(e, t, n, fake_read, m, ret), 0);
}

static void expect_found(const struct layout_result *r, const struct layout_row *row, u32 threads)
{
	assert_int_equal(r->outcome, LAYOUT_FOUND);
	assert_ptr_equal(r->row, row);
	assert_int_equal(r->at[LAYOUT_CONTEXT], -(s32)TLS_BACK);
	assert_int_equal(r->threads, threads);
	assert_int_equal(r->candidates, 1);
}

static struct fake_memory *fresh(void **state)
{
	struct fake_memory *m = *state;

	m->n = 0;
	return m;
}

/* ---- finding ---- */

static void every_row_in_every_state(void **state)
{
	u32 n;
	const struct layout_row *rows = layout_rows(&n);
	struct layout_result r;

	assert_int_equal(n, 4);
	for (u32 k = 0; k < n; k++) {
		static const enum state states[] = {PARKED, IN_POLL, BLOCK_IN_PLACE, CURRENT_POLL, CURRENT_PARKED};

		for (u32 s = rows[k].has_flavor_tag ? 0 : 3; s < ARRAY_SIZE(states); s++) {
			struct fake_memory *m = fresh(state);
			struct layout_thread t[6];

			t[0] = tokio_thread(m, &rows[k], 0, states[s]);
			find(&stripped, t, 1, m, &r);
			expect_found(&r, &rows[k], 1);
			for (u32 i = 1; i < 4; i++)
				t[i] = tokio_thread(m, &rows[k], i, states[s]);
			t[4] = plain_thread(m, 4); /* not everyone is in a runtime */
			t[5] = (struct layout_thread){.tls_end = 0x123456000, .sp = 8};
			find(&stripped, t, 6, m, &r);
			expect_found(&r, &rows[k], 4);
			assert_false(r.symbol_agrees);
		}
	}
}

static void threads_in_different_states(void **state)
{
	const struct layout_row *rows = layout_rows(&(u32){0});
	struct fake_memory *m = fresh(state);
	struct layout_thread t[4];
	struct layout_result r;

	t[0] = tokio_thread(m, &rows[0], 0, PARKED);
	t[1] = tokio_thread(m, &rows[0], 1, IN_POLL);
	t[2] = tokio_thread(m, &rows[0], 2, CURRENT_POLL);
	t[3] = tokio_thread(m, &rows[0], 3, BLOCK_IN_PLACE);
	find(&stripped, t, 4, m, &r);
	expect_found(&r, &rows[0], 4);
}

/* One thing wrong at a time: not found. */
static void what_does_not_fit(void **state)
{
	const struct layout_row *row = layout_rows(&(u32){0});
	u64 c = fsbase_of(0) - TLS_BACK, sched = stack_of(0) + 0x800;
	const struct {
		u64 addr, value;
		bool byte;
	} wrong[] = {
		{c + row->off_sched, heap_of(0) + 0x800, false},   /* into the heap */
		{c + row->off_sched, stack_of(0) + 0x3f8, false},  /* below the stack pointer */
		{c + row->off_sched, stack_of(0) + 0x804, false},  /* not aligned */
		{c + row->off_sched, stack_of(0) + 0x1000, false}, /* behind the stack */
		{c + row->off_sched, 0, false},
		{c + row->off_id, 1ULL << 41, false},
		{c + row->off_budget, 2, true},
		{c + row->off_runtime, 3, true},
		{sched, 2, false},			   /* tag */
		{sched + 8, 0x500, false},		   /* handle */
		{sched + 8, 0xffff800000000000ULL, false}, /* a kernel address */
		{sched + 16, 5, false},			   /* borrow flag */
		{sched + 24, 0x666600000000ULL, false},	   /* core */
	};

	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct fake_memory *m = fresh(state);
		struct layout_thread t = tokio_thread(m, row, 0, IN_POLL);
		struct layout_result r;

		find(&stripped, &t, 1, m, &r);
		assert_int_equal(r.outcome, LAYOUT_FOUND);
		if (wrong[i].addr == c + row->off_sched && wrong[i].value) /* all else would fit there */
			put_scheduler(m, row, 0, IN_POLL, wrong[i].value);
		if (wrong[i].byte)
			fake_put_u8(m, wrong[i].addr, (u8)wrong[i].value);
		else
			fake_put(m, wrong[i].addr, wrong[i].value);
		find(&stripped, &t, 1, m, &r);
		assert_int_equal(r.outcome, LAYOUT_NONE);
	}
}

/* A parked worker has no park, so something else must speak for it: no budget, a task id, a runtime entered. */
static void a_core_without_park(void **state)
{
	const struct layout_row *row = layout_rows(&(u32){0});
	u64 c = fsbase_of(0) - TLS_BACK;

	for (u32 i = 0; i < 3; i++) {
		struct fake_memory *m = fresh(state);
		struct layout_thread t = tokio_thread(m, row, 0, PARKED);
		struct layout_result r;

		if (i == 0)
			fake_put_u8(m, c + row->off_budget, 1);
		else if (i == 1)
			fake_put_u8(m, c + row->off_runtime, 2);
		else
			fake_put(m, c + row->off_id, 0);
		find(&stripped, &t, 1, m, &r);
		assert_int_equal(r.outcome, LAYOUT_NONE);
	}
}

/* On each thread the same number of bytes further up: heap pointers in the scheduler's place, right in everything else. */
static void decoys_in_the_heap(void **state)
{
	const struct layout_row *row = layout_rows(&(u32){0});
	struct fake_memory *m = fresh(state);
	struct layout_thread t[3];
	struct layout_result r;

	for (u32 i = 0; i < 3; i++) {
		u64 decoy = fsbase_of(i) - 0x100;

		t[i] = tokio_thread(m, row, i, PARKED);
		fake_put(m, decoy + row->off_sched, heap_of(i) + 0x600);
		fake_put(m, decoy + row->off_id, 5);
		put_scheduler(m, row, i, PARKED, heap_of(i) + 0x600);
	}
	find(&stripped, t, 3, m, &r);
	expect_found(&r, row, 3);
}

static void the_most_votes_win(void **state)
{
	const struct layout_row *row = layout_rows(&(u32){0});
	struct fake_memory *m = fresh(state);
	struct layout_thread t[3];
	struct layout_result r;

	for (u32 i = 0; i < 3; i++)
		t[i] = tokio_thread(m, row, i, PARKED);
	put_context(m, row, 0, PARKED, 0x180); /* a second place, on one thread only */
	find(&stripped, t, 3, m, &r);
	expect_found(&r, row, 3);
	put_context(m, row, 1, PARKED, 0x180);
	put_context(m, row, 2, PARKED, 0x180); /* on all: which is it? */
	find(&stripped, t, 3, m, &r);
	assert_int_equal(r.outcome, LAYOUT_AMBIGUOUS);
	assert_int_equal(r.candidates, 2);
}

/* ---- with the symbol ---- */

static struct tokio_elf with_symbol(u64 back, u64 size)
{
	struct tokio_elf e = stripped;

	e.has_symtab = true;
	e.symbols[e.n_symbols++] = (struct tokio_symbol){.value = TLS_SIZE - back, .size = size};
	return e;
}

static void the_symbol_decides(void **state)
{
	const struct layout_row *row = layout_rows(&(u32){0});
	struct tokio_elf there = with_symbol(TLS_BACK, 80), elsewhere = with_symbol(0x180, 80),
			 lazy = with_symbol(TLS_BACK + 8, 88);
	struct fake_memory *m = fresh(state);
	struct layout_thread t = tokio_thread(m, row, 0, PARKED);
	struct layout_result r;

	find(&there, &t, 1, m, &r);
	expect_found(&r, row, 1);
	assert_true(r.symbol_agrees);
	find(&lazy, &t, 1, m, &r); /* rustc 1.85: 8 bytes of state before the value */
	expect_found(&r, row, 1);
	assert_true(r.symbol_agrees);
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
	expect_found(&r, row, 1);
}

static void the_symbol_alone(void **state)
{
	u32 n;
	const struct layout_row *rows = layout_rows(&n);
	static const struct {
		u64 size;
		const char *version, *row;
	} cases[] = {
		{80, "", "1.40+"},	    {80, "1.54.1", "1.40+"}, {80, "1.38.0", "1.29-1.39 rt"}, {88, "1.29.0", "1.29-1.39"},
		{72, "1.40.0", "1.40+ rt"}, {88, "1.43.4", NULL},    {72, "1.38.0", NULL},	     {96, "", NULL},
	};
	struct fake_memory *m = fresh(state);
	struct layout_thread t = plain_thread(m, 0);
	struct layout_result r;

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tokio_elf e = with_symbol(TLS_BACK, cases[i].size);

		memcpy(e.version, cases[i].version, strlen(cases[i].version));
		find(&e, &t, 1, m, &r);
		assert_int_equal(r.outcome, cases[i].row ? LAYOUT_BY_SYMBOL : LAYOUT_NONE);
		if (!cases[i].row)
			continue;
		assert_string_equal(r.row->name, cases[i].row);
		assert_true(r.row >= rows && r.row < rows + n);
		assert_int_equal(r.at[LAYOUT_CONTEXT], -(s32)TLS_BACK);
		assert_true(r.symbol_agrees);
	}
}

/* Two copies of tokio in one program: none is taken by its symbol alone, each when a thread is in it. */
static void two_symbols(void **state)
{
	const struct layout_row *row = layout_rows(&(u32){0});
	struct tokio_elf e = with_symbol(TLS_BACK, 80);
	struct fake_memory *m = fresh(state);
	struct layout_thread t = plain_thread(m, 0);
	struct layout_result r;

	e.symbols[e.n_symbols++] = (struct tokio_symbol){.value = TLS_SIZE - 0x180, .size = 80};
	find(&e, &t, 1, m, &r);
	assert_int_equal(r.outcome, LAYOUT_NONE);
	put_context(m, row, 0, PARKED, TLS_BACK);
	find(&e, &t, 1, m, &r);
	expect_found(&r, row, 1);
}

/* The context at the very start of a TLS segment that begins at an odd place. */
static void the_whole_segment_is_searched(void **state)
{
	const struct layout_row *row = layout_rows(&(u32){0});
	static const u64 vaddrs[] = {0x1000, 0x1010, 0x1038, 0x1004};

	for (u32 i = 0; i < ARRAY_SIZE(vaddrs); i++) {
		struct tokio_elf e = {.tls_memsz = 124, .tls_align = 64, .tls_vaddr = vaddrs[i]};
		struct fake_memory *m = fresh(state);
		struct layout_thread t = plain_thread(m, 0);
		u64 back = tokio_elf_tls_back(&e, vaddrs[i] % 8); /* the first aligned place */
		struct layout_result r;

		put_context(m, row, 0, PARKED, back);
		find(&e, &t, 1, m, &r);
		assert_int_equal(r.outcome, LAYOUT_FOUND);
		assert_int_equal(r.at[LAYOUT_CONTEXT], -(s32)back);
	}
}

static void hostile_segments(void **state)
{
	const struct layout_row *row = layout_rows(&(u32){0});
	static const struct tokio_elf elfs[] = {
		{.tls_memsz = 0, .tls_align = 64},
		{.tls_memsz = UINT64_MAX, .tls_align = 64},
		{.tls_memsz = UINT64_MAX - 100, .tls_align = 1 << 16, .tls_vaddr = 77},
		{.tls_memsz = 1, .tls_align = 1},
		{.tls_memsz = 1 << 30, .tls_align = 3},
		{.tls_memsz = TLS_SIZE, .tls_align = 1 << 20},
	};
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
	const struct layout_result r = {.outcome = LAYOUT_FOUND,
					.row = row,
					.at = {-(s32)TLS_BACK, WIRE_NOWHERE, WIRE_NOWHERE, WIRE_NOWHERE, WIRE_NOWHERE}};
	struct wire_layout l = {.valid = 1, .gen = 3};

	layout_to_wire(&r, "1.54.1", &l);
	return l;
}

/* 1.51.0: with the usual offset of park, every parked worker looked as if inside a poll for as long as it idled. */
static void releases_with_a_stealable_lifo_slot(void **state)
{
	static const char *const versions[] = {"1.51.0", "1.51.1", "1.52.0", "1.52.1"};
	const struct layout_row *row = layout_rows(&(u32){0});
	const struct layout_result r = {.outcome = LAYOUT_FOUND,
					.row = row,
					.at = {-(s32)TLS_BACK, WIRE_NOWHERE, WIRE_NOWHERE, WIRE_NOWHERE, WIRE_NOWHERE}};

	for (u32 i = 0; i < ARRAY_SIZE(versions); i++) {
		struct wire_layout l = {.valid = 1};
		struct fake_memory *m = fresh(state);
		struct wire_ctx x;

		layout_to_wire(&r, versions[i], &l);
		assert_int_equal(l.off_queue, WIRE_NO_FIELD);
		tokio_thread(m, row, 5, PARKED);
		fake_put(m, heap_of(5) + 0x100, 0);			/* park is taken */
		fake_put(m, heap_of(5) + 0x108, 0x123456789abcdef0ULL); /* the random state that took its place */
		layout_read_ctx(&l, fsbase_of(5), fake_read, m, &x);
		assert_int_equal(x.status, WIRE_CTX_READ);
		assert_int_equal(x.park, 0);
	}
	for (u32 i = 0; i < 2; i++) {
		struct wire_layout l = {.valid = 1};

		layout_to_wire(&r, i ? "1.51.2" : "", &l);
		assert_int_equal(l.off_park, 8);
		assert_int_equal(l.off_queue, 24);
	}
}

static void reading_every_row(void **state)
{
	u32 n;
	const struct layout_row *rows = layout_rows(&n);

	for (u32 k = 0; k < n; k++) {
		struct wire_layout l = wire_of(&rows[k]);
		struct fake_memory *m = fresh(state);
		struct layout_owner owner;
		struct wire_ctx x;
		bool mt = rows[k].has_flavor_tag;

		tokio_thread(m, &rows[k], 5, mt ? IN_POLL : CURRENT_POLL);
		fake_put(m, heap_of(5) + 0x100 + (mt ? l.tick_mt : l.tick_ct), 0xaaaaaaaa00001234ULL);
		layout_read_ctx(&l, fsbase_of(5), fake_read, m, &x);
		assert_int_equal(x.status, WIRE_CTX_READ);
		assert_int_equal(x.gen, 3);
		assert_int_equal(x.sched, stack_of(5) + 0x800);
		assert_int_equal(x.task, 22);
		assert_int_equal(x.budget, 100);
		assert_int_equal(x.runtime, 0);
		assert_int_equal(x.flavor, mt ? WIRE_FLAVOR_MULTI_THREAD : WIRE_FLAVOR_CURRENT_THREAD);
		assert_int_equal(x.core, heap_of(5) + 0x100);
		assert_int_equal(x.park, mt);
		assert_int_equal(x.tick, 0x1234);
		assert_int_equal(layout_read_owner(&l, &x, fake_read, m, &owner), 0);
		assert_int_equal(owner.handle, mt ? HEAP + 0xabc0 : heap_of(5) + 0x800);
		assert_int_equal(owner.worker, mt ? 6 : 0);
		if (rows[k].off_id_tag != NO_TAG) { /* None: what lies in the value's place means nothing */
			fake_put(m, fsbase_of(5) - TLS_BACK + rows[k].off_id_tag, 0);
			layout_read_ctx(&l, fsbase_of(5), fake_read, m, &x);
			assert_int_equal(x.task, 0);
		}
	}
}

static void reading_other_states(void **state)
{
	const struct layout_row *row = layout_rows(&(u32){0});
	struct wire_layout l = wire_of(row);
	struct fake_memory *m = fresh(state);
	struct wire_ctx x;

	tokio_thread(m, row, 0, PARKED);
	layout_read_ctx(&l, fsbase_of(0), fake_read, m, &x);
	assert_int_equal(x.status, WIRE_CTX_READ);
	assert_int_equal(x.budget, 0);
	assert_int_equal(x.park, 0);
	tokio_thread(m, row, 1, BLOCK_IN_PLACE);
	layout_read_ctx(&l, fsbase_of(1), fake_read, m, &x);
	assert_int_equal(x.status, WIRE_CTX_READ);
	assert_int_equal(x.core, 0);
	assert_int_equal(x.runtime, 1);
	tokio_thread(m, row, 2, CURRENT_POLL);
	layout_read_ctx(&l, fsbase_of(2), fake_read, m, &x);
	assert_int_equal(x.flavor, WIRE_FLAVOR_CURRENT_THREAD);
	assert_int_equal(x.budget, 100);
	plain_thread(m, 3); /* in no runtime: that was read, and is no failure */
	fake_put_u8(m, fsbase_of(3) - TLS_BACK + row->off_runtime, 2);
	layout_read_ctx(&l, fsbase_of(3), fake_read, m, &x);
	assert_int_equal(x.status, WIRE_CTX_READ);
	assert_int_equal(x.sched | x.core | x.task | x.flavor, 0);
	assert_int_equal(x.runtime, 2);
	l.valid = 0;
	layout_read_ctx(&l, fsbase_of(0), fake_read, m, &x);
	assert_int_equal(x.status, WIRE_CTX_NO_LAYOUT);
}

/* A read that faults makes the whole "unread": never "in no runtime", never half of it. */
static void faults(void **state)
{
	const struct layout_row *row = layout_rows(&(u32){0});
	const u64 pages[] = {fsbase_of(0) - TLS_BACK, stack_of(0), heap_of(0)};
	struct wire_layout l = wire_of(row);
	struct wire_ctx x;

	for (u32 i = 0; i <= ARRAY_SIZE(pages); i++) {
		struct fake_memory *m = fresh(state);

		tokio_thread(m, row, 0, IN_POLL);
		if (i < ARRAY_SIZE(pages))
			fake_unmap(m, pages[i]);
		layout_read_ctx(&l, i < ARRAY_SIZE(pages) ? fsbase_of(0) : 0, fake_read, m, &x);
		assert_int_equal(x.status, WIRE_CTX_UNREAD);
		assert_int_equal(x.sched | x.core | x.task | x.budget | x.flavor, 0);
		assert_int_equal(x.gen, 3);
	}
}

static void owners_that_make_no_sense(void **state)
{
	const struct layout_row *row = layout_rows(&(u32){0});
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

static int teardown(void **state)
{
	free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_in_every_state),
		cmocka_unit_test(threads_in_different_states),
		cmocka_unit_test(what_does_not_fit),
		cmocka_unit_test(a_core_without_park),
		cmocka_unit_test(decoys_in_the_heap),
		cmocka_unit_test(the_most_votes_win),
		cmocka_unit_test(the_symbol_decides),
		cmocka_unit_test(the_symbol_alone),
		cmocka_unit_test(two_symbols),
		cmocka_unit_test(the_whole_segment_is_searched),
		cmocka_unit_test(hostile_segments),
		cmocka_unit_test(releases_with_a_stealable_lifo_slot),
		cmocka_unit_test(reading_every_row),
		cmocka_unit_test(reading_other_states),
		cmocka_unit_test(faults),
		cmocka_unit_test(owners_that_make_no_sense),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
