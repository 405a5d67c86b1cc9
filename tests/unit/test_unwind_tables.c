/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_unwind_tables.c: made-up modules in plain memory; lookups as the kernel side makes them against a search through all rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <string.h>

#include "record/unwind_tables.h"

#define T0 (1000 * NSEC_PER_SEC)

struct env {
	struct unwind_arrays a;
	struct unwind_tables *t;
};

static void start(struct env *e, u32 rows, u32 idx, u32 maps)
{
	e->a = (struct unwind_arrays){.n_rows = rows, .n_idx = idx, .n_maps = maps};
	/* memory of just that size, so that a sanitizer sees what is behind it */
	e->a.rows = calloc(rows, sizeof(u64));
	e->a.idx = calloc(idx, sizeof(u64));
	e->a.maps = calloc(maps, sizeof(struct uw_map));
	assert_true(e->a.rows && e->a.idx && e->a.maps);
	assert_int_equal(unwind_tables_new(&e->a, &e->t), 0);
	assert_memory_equal(unwind_tables_arrays(e->t), &e->a, sizeof(e->a));
}

static void stop(struct env *e)
{
	assert_int_equal(e->a.rows[0] | e->a.idx[0], 0); /* never used */
	assert_null(unwind_tables_free(e->t));
	free(e->a.rows);
	free(e->a.idx);
	free(e->a.maps);
}

static u32 next(u64 *rng)
{
	*rng = *rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return (u32)(*rng >> 33);
}

/*
 * A module of n rows in `span` bytes, about as unevenly spread as code is: dense in places, nothing for long stretches. Its one segment begins at file offset
 * 0x1000 and pc 0x1000.
 */
static struct unwind_module make_module(u32 n, u32 span, u64 *rng)
{
	struct unwind_module m = {
		.status = UNWIND_MODULE_OK,
		.base = 0x400000,
		.span = span,
		.segments = {{.vaddr = 0x401000, .file_off = 0x1000, .file_size = span - 0x1000}},
		.n_segments = 1,
	};
	u32 pc = next(rng) % 700;

	m.rows.rows = calloc(n, sizeof(u64));
	assert_non_null(m.rows.rows);
	m.rows.cap = n;
	while (m.rows.n < n && pc < span) {
		m.rows.rows[m.rows.n++] = (u64)pc << 32 | (next(rng) & 0x7fffffff) << 1 | 1;
		pc += next(rng) % 9 ? 1 + next(rng) % 4 : 1 + next(rng) % 900;
	}
	return m;
}

static void release(struct unwind_module *m)
{
	free(m->rows.rows);
	m->rows.rows = NULL;
}

/* The rule for a pc by looking at all rows; 0 (UW_END) in front of the first. */
static u32 naive(const struct unwind_module *m, u32 pc)
{
	u32 rule = 0;

	for (u32 i = 0; i < m->rows.n && m->rows.rows[i] >> 32 <= pc; i++)
		rule = (u32)m->rows.rows[i];
	return rule;
}

/* As bpf/unwind.h does it. */
static u32 lookup(const struct env *e, const struct uw_map *map, u64 addr)
{
	u32 pc = (u32)(addr - map->start) + map->pc_off, block = map->idx_base + (pc >> map->block_log);
	u64 key = (u64)pc << 32 | UINT32_MAX;
	u32 at;

	assert_true(block < e->a.n_idx);
	at = (u32)e->a.idx[block];
	for (u32 step = 1u << (UW_SEARCH_STEPS - 1); step; step >>= 1)
		if (at + step < map->row_end && e->a.rows[at + step] <= key)
			at += step;
	assert_true(at && at < map->row_end);
	return e->a.rows[at] <= key ? (u32)e->a.rows[at] : 0;
}

static const struct uw_map *map_of(const struct env *e, struct unwind_slice s, u64 addr)
{
	for (u32 i = s.first; i < s.first + s.n; i++)
		if (addr >= e->a.maps[i].start && addr < e->a.maps[i].end)
			return &e->a.maps[i];
	return NULL;
}

/* ---- lookups ---- */

/* Maps [file_off, file_off + size) of the module at `at` and looks up every address of it. */
static void check_all(struct env *e, u32 module, const struct unwind_module *m, u64 at, u64 file_off, u64 size)
{
	const struct unwind_mapping list = {.start = at, .end = at + size, .file_off = file_off, .module = module};
	struct unwind_slice slice = {0};

	assert_int_equal(unwind_tables_set(e->t, &list, 1, T0, &slice), 0);
	assert_int_equal(slice.n, 1);
	for (u64 addr = at; addr < at + size; addr++) {
		const struct uw_map *map = map_of(e, slice, addr);

		assert_non_null(map);
		assert_int_equal(map->module, module);
		assert_int_equal(lookup(e, map, addr), naive(m, (u32)(addr - at + file_off)));
	}
	unwind_tables_drop(e->t, T0, &slice);
	assert_int_equal(slice.n, 0);
}

/* As check_all(), but where rows begin and end only. */
static void check_some(struct env *e, u32 module, const struct unwind_module *m, u32 span)
{
	const u64 at = 0x7f0000000000ULL, size = (span - 0x1000 + 0xfff) / 0x1000 * 0x1000;
	const struct unwind_mapping list = {.start = at, .end = at + size, .file_off = 0x1000, .module = module};
	struct unwind_slice slice = {0};
	const struct uw_map *map;

	assert_int_equal(unwind_tables_set(e->t, &list, 1, T0, &slice), 0);
	map = map_of(e, slice, at);
	assert_non_null(map);
	assert_int_equal(map->end, at + size);
	assert_int_equal(map->block_log, unwind_module_block_log(m));
	for (u32 i = 0; i < m->rows.n; i++) {
		u64 addr = at + (m->rows.rows[i] >> 32) - 0x1000;
		u64 last = i + 1 < m->rows.n ? at + (m->rows.rows[i + 1] >> 32) - 0x1001 : at + size - 1;

		assert_int_equal(lookup(e, map, addr), (u32)m->rows.rows[i]);
		assert_int_equal(lookup(e, map, addr + (last - addr) / 2), (u32)m->rows.rows[i]);
		assert_int_equal(lookup(e, map, last), (u32)m->rows.rows[i]);
	}
	unwind_tables_drop(e->t, T0, &slice);
}

static void every_pc(void **state)
{
	struct unwind_module m[20];
	struct env e;
	u64 rng = 7;

	(void)state;
	start(&e, 40000, 4000, 1000);
	for (u32 i = 0; i < ARRAY_SIZE(m); i++) {
		m[i] = make_module(i ? 100 * i : 1, 0x1001 + i * 0x900, &rng);
		assert_false(unwind_tables_has(e.t, i + 1));
		assert_int_equal(unwind_tables_add(e.t, i + 1, &m[i]), 0);
		assert_true(unwind_tables_has(e.t, i + 1));
	}
	for (u32 i = 0; i < ARRAY_SIZE(m); i++) {
		u32 size = (m[i].span - 0x1000 + 0xfff) / 0x1000 * 0x1000;

		check_all(&e, i + 1, &m[i], 0x7f0000000000ULL + 0x1000 * (u64)i, 0x1000, size);
		release(&m[i]);
	}
	assert_int_equal(unwind_tables_counts(e.t).modules, ARRAY_SIZE(m));
	assert_int_equal(unwind_tables_counts(e.t).without_table + unwind_tables_counts(e.t).no_room, 0);
	stop(&e);
}

/* n rows all over a module, but for `dense` of them, which are as close together as can be. */
static struct unwind_module spread_module(u32 n, u32 dense, u32 span)
{
	u64 rng = 1;
	struct unwind_module m = make_module(1, span, &rng);
	u32 step = (span - 0x1000 - dense) / (n - dense);

	release(&m);
	m.rows = (struct cfi_rows){.rows = calloc(n, sizeof(u64)), .cap = n};
	assert_non_null(m.rows.rows);
	for (u32 k = 0; k < n; k++)
		m.rows.rows[m.rows.n++] = (0x1000 + (u64)(k < dense ? k : dense + step * (k - dense))) << 32 | (k + 1);
	return m;
}

/* Few rows in much code: blocks are as large as it takes, and as rows that stand close together let them be. */
static void sizes_of_blocks(void **state)
{
	enum { PER_LOG = 6 };
	u32 n_of_log[UW_BLOCK_LOG_MAX + 1] = {0};
	u64 rng = 11;

	(void)state;
	for (u32 log = UW_BLOCK_LOG; log <= UW_BLOCK_LOG_MAX; log++) {
		for (u32 i = 0; i < PER_LOG; i++) {
			u32 span = 0x1000 + (next(&rng) % 8 + 1) * 0x40000, n = (span >> log) * 2 + 2 - 2 * (i & 1),
			    dense = i / 2 * 130, got;
			struct unwind_module m;
			struct env e;

			n = n < 4 ? 4 : n;
			dense = dense < n ? dense : n - 1;
			m = spread_module(n, dense, span);
			got = unwind_module_block_log(&m);
			assert_in_range(got, UW_BLOCK_LOG, UW_BLOCK_LOG_MAX);
			n_of_log[got]++;
			if (!dense && got < UW_BLOCK_LOG_MAX)
				assert_true(unwind_module_blocks(&m, got) <= n / 2);
			if (got > UW_BLOCK_LOG)
				assert_true(unwind_module_blocks(&m, got - 1) > n / 2);
			start(&e, n + 2, (span >> UW_BLOCK_LOG) + 18, 10);
			assert_int_equal(unwind_tables_add(e.t, 1, &m), 0);
			assert_int_equal(unwind_tables_counts(e.t).modules, 1);
			check_some(&e, 1, &m, span);
			release(&m);
			stop(&e);
		}
	}
	for (u32 log = UW_BLOCK_LOG; log <= UW_BLOCK_LOG_MAX - 2; log++)
		assert_true(n_of_log[log] > 0);
}

/* A row for every byte of a block: the most there can be. */
static void the_densest_block(void **state)
{
	u64 rows[600], rng = 3;
	struct unwind_module m = make_module(1, 0x3000, &rng);
	struct env e;

	(void)state;
	release(&m);
	m.rows = (struct cfi_rows){.rows = rows, .n = ARRAY_SIZE(rows), .cap = ARRAY_SIZE(rows)};
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
		rows[i] = (0x1100 + (u64)i) << 32 | (i + 1);
	start(&e, 1000, 100, 10);
	assert_int_equal(unwind_tables_add(e.t, 9, &m), 0);
	check_all(&e, 9, &m, 0x10000, 0x1000, 0x2000);
	stop(&e);
}

/* The end of the address range that a pc can have. */
static void the_largest_span(void **state)
{
	u64 rows[2] = {0x10ULL << 32 | 5, 0xfffffff0ULL << 32 | 6};
	struct unwind_module m = {.status = UNWIND_MODULE_OK,
				  .rows = {.rows = rows, .n = 2, .cap = 2},
				  .span = 0xffffffff,
				  .segments = {{.vaddr = 0, .file_off = 0, .file_size = 0xffffffff}},
				  .n_segments = 1};
	const struct unwind_mapping list = {.start = 1ULL << 40, .end = (1ULL << 40) + (1ULL << 32), .module = 1};
	struct unwind_slice slice = {0};
	const struct uw_map *map;
	struct env e;

	(void)state;
	start(&e, 10, (1 << 24) + 1, 10);
	assert_int_equal(unwind_tables_add(e.t, 1, &m), 0);
	assert_int_equal(unwind_tables_counts(e.t).idx, 1 << (32 - UW_BLOCK_LOG_MAX));
	assert_int_equal(unwind_tables_set(e.t, &list, 1, T0, &slice), 0);
	map = map_of(&e, slice, list.end - 1);
	assert_non_null(map);
	assert_int_equal(lookup(&e, map, list.end - 1), 6);
	assert_int_equal(lookup(&e, map, list.end - 17), 5);
	assert_int_equal(lookup(&e, map, list.start + 0xf), 0);
	assert_int_equal(lookup(&e, map, list.start + 0x10), 5);
	stop(&e);
}

/* ---- slices ---- */

static void what_a_slice_says(void **state)
{
	u64 rng = 5;
	struct unwind_module m = make_module(50, 0x3210, &rng), none = {.status = UNWIND_MODULE_NO_EH_FRAME};
	const struct unwind_mapping list[] = {
		{.start = 0x1000, .end = 0x2000, .file_off = 0x2000, .module = 3},   /* the middle page of it */
		{.start = 0x3000, .end = 0x4000, .module = 0},			     /* anonymous */
		{.start = 0x5000, .end = 0x6000, .file_off = 0x1000, .module = 4},   /* has no table */
		{.start = 0x7000, .end = 0x8000, .file_off = 0x1000, .module = 5},   /* was never added */
		{.start = 0x9000, .end = 0xa000, .file_off = 0x90000, .module = 3},  /* nothing executable there */
		{.start = 0x10000, .end = 0x90000, .file_off = 0x1000, .module = 3}, /* longer than the segment */
	};
	struct unwind_slice slice = {0};
	struct uw_map *maps;
	struct env e;

	(void)state;
	start(&e, 100, 100, 10);
	assert_int_equal(unwind_tables_add(e.t, 3, &m), 0);
	assert_int_equal(unwind_tables_add(e.t, 4, &none), 0);
	assert_true(unwind_tables_has(e.t, 4));
	assert_int_equal(unwind_tables_set(e.t, list, ARRAY_SIZE(list), T0, &slice), 0);
	assert_int_equal(slice.n, ARRAY_SIZE(list));
	maps = e.a.maps + slice.first;
	assert_memory_equal(&maps[0],
			    (&(struct uw_map){.start = 0x1000,
					      .end = 0x2000,
					      .idx_base = 1,
					      .pc_off = 0x2000,
					      .row_end = 51,
					      .module = 3,
					      .block_log = 10}),
			    sizeof(*maps));
	assert_memory_equal(&maps[1], (&(struct uw_map){.start = 0x3000, .end = 0x4000}), sizeof(*maps));
	assert_memory_equal(&maps[2], (&(struct uw_map){.start = 0x5000, .end = 0x6000, .module = 4}), sizeof(*maps));
	assert_memory_equal(&maps[3], (&(struct uw_map){.start = 0x7000, .end = 0x8000, .module = 5}), sizeof(*maps));
	assert_memory_equal(&maps[4], (&(struct uw_map){.start = 0x9000, .end = 0xa000, .module = 3}), sizeof(*maps));
	/* the index covers whole pages: four, from pc 0 on */
	assert_int_equal(maps[5].end, 0x10000 + 0x3000);
	assert_int_equal(unwind_tables_counts(e.t).idx, 16); /* of 1 KB: 32 of half as much would be more than one for two rows */
	assert_int_equal(unwind_tables_counts(e.t).rows, 50);
	assert_int_equal(unwind_tables_counts(e.t).maps, ARRAY_SIZE(list));
	assert_int_equal(unwind_tables_counts(e.t).without_table, 1);
	/* an empty list is an empty slice */
	assert_int_equal(unwind_tables_set(e.t, NULL, 0, T0, &slice), 0);
	assert_int_equal(slice.n, 0);
	release(&m);
	stop(&e);
}

static void too_many_mappings(void **state)
{
	enum { N = UW_MAX_MAPS + 300 };
	_cleanup_free_ struct unwind_mapping *list = calloc(N, sizeof(*list));
	struct unwind_slice slice = {0};
	struct env e;
	u32 files = 0;

	(void)state;
	start(&e, 100, 100, 3 * UW_MAX_MAPS);
	assert_non_null(list);
	for (u32 i = 0; i < N; i++) /* every other one is anonymous */
		list[i] = (struct unwind_mapping){
			.start = 0x1000 * (u64)(i + 1), .end = 0x1000 * (u64)(i + 2), .module = i % 2 ? 7 : 0};
	assert_int_equal(unwind_tables_set(e.t, list, N, T0, &slice), 0);
	assert_int_equal(slice.n, UW_MAX_MAPS);
	for (u32 i = 0; i < slice.n; i++) {
		const struct uw_map *map = &e.a.maps[slice.first + i];

		files += map->module == 7;
		assert_true(!i || map[-1].end <= map->start);
	}
	assert_int_equal(files, N / 2); /* all of them */
	assert_int_equal(unwind_tables_counts(e.t).maps_cut, 300);
	for (u32 i = 0; i < N; i++)
		list[i].module = 7;
	assert_int_equal(unwind_tables_set(e.t, list, N, T0, &slice), 0);
	assert_int_equal(slice.n, UW_MAX_MAPS);
	assert_int_equal(e.a.maps[slice.first + slice.n - 1].start, list[UW_MAX_MAPS - 1].start);
	stop(&e);
}

/* ---- room ---- */

static int set_some(struct env *e, u32 n, u32 module, u64 now, struct unwind_slice *slice)
{
	struct unwind_mapping list[32];

	assert_true(n <= ARRAY_SIZE(list));
	for (u32 i = 0; i < n; i++)
		list[i] = (struct unwind_mapping){.start = 0x100000 * (u64)(i + 1),
						  .end = 0x100000 * (u64)(i + 1) + 0x1000,
						  .file_off = 0x1000,
						  .module = module};
	return unwind_tables_set(e->t, list, n, now, slice);
}

static void a_slice_waits(void **state)
{
	struct unwind_slice a = {0}, b = {0}, c = {0};
	u32 first;
	struct env e;

	(void)state;
	start(&e, 10, 10, 100);
	assert_int_equal(set_some(&e, 4, 0, T0, &a), 0);
	first = a.first;
	unwind_tables_drop(e.t, T0, &a);
	assert_int_equal(a.n, 0);
	assert_int_equal(unwind_tables_counts(e.t).maps, 4); /* a child may still name it */
	assert_int_equal(set_some(&e, 4, 0, T0 + UNWIND_SLICE_GRACE - 1, &b), 0);
	assert_true(b.first >= first + 4);
	assert_int_equal(set_some(&e, 4, 0, T0 + UNWIND_SLICE_GRACE, &c), 0);
	assert_int_equal(c.first, first);
	unwind_tables_drop(e.t, T0, &a); /* was empty: nothing happens */
	assert_int_equal(unwind_tables_counts(e.t).maps, 8);
	stop(&e);
}

static void a_slice_waits_less_when_it_is_full(void **state)
{
	struct unwind_slice a = {0}, b = {0};
	struct env e;

	(void)state;
	start(&e, 10, 10, 10);
	assert_int_equal(set_some(&e, 8, 0, T0, &a), 0);
	/* replacing needs room beside the old one; when there is none, the process has none */
	assert_int_equal(set_some(&e, 8, 0, T0, &a), -ENOSPC);
	assert_int_equal(a.n, 0);
	assert_int_equal(unwind_tables_counts(e.t).maps_cut, 8);
	assert_int_equal(set_some(&e, 8, 0, T0 + UNWIND_GRACE - 1, &a), -ENOSPC);
	assert_int_equal(set_some(&e, 8, 0, T0 + UNWIND_GRACE, &a), 0);
	assert_int_equal(a.first, 0);
	assert_int_equal(set_some(&e, 3, 0, T0 + UNWIND_GRACE, &b), -ENOSPC);
	assert_int_equal(set_some(&e, 2, 0, T0 + UNWIND_GRACE, &b), 0);
	/* time does not run backwards */
	unwind_tables_drop(e.t, T0, &a);
	assert_int_equal(set_some(&e, 8, 0, T0 + 2 * UNWIND_GRACE - 1, &a), -ENOSPC);
	assert_int_equal(set_some(&e, 8, 0, T0 + 2 * UNWIND_GRACE, &a), 0);
	stop(&e);
}

/* Room for two modules of the three. */
static void an_unnamed_table_goes(void **state)
{
	struct unwind_slice slice[4] = {0};
	struct unwind_module m[3];
	struct env e;
	u64 rng = 9, now = T0;

	(void)state;
	for (u32 i = 0; i < 3; i++) {
		m[i] = make_module(40, 0x3000, &rng);
		assert_int_equal(m[i].rows.n, 40);
	}
	start(&e, 1 + 2 * 40 + 30, 1000, 1000);
	assert_int_equal(unwind_tables_add(e.t, 1, &m[0]), 0);
	assert_int_equal(unwind_tables_add(e.t, 2, &m[1]), 0);
	assert_int_equal(set_some(&e, 1, 1, now, &slice[0]), 0);
	assert_int_equal(set_some(&e, 1, 1, now, &slice[1]), 0);
	assert_int_equal(set_some(&e, 1, 2, now, &slice[2]), 0);

	/* named: no room for a third */
	assert_int_equal(unwind_tables_add(e.t, 3, &m[2]), 0);
	assert_int_equal(unwind_tables_counts(e.t).no_room, 1);
	assert_int_equal(unwind_tables_counts(e.t).modules, 2);
	assert_true(unwind_tables_has(e.t, 3)); /* another try would not help */
	assert_int_equal(set_some(&e, 1, 3, now, &slice[3]), 0);
	assert_int_equal(e.a.maps[slice[3].first].row_end, 0);

	/* one of two is gone: still named, and by a slice that waits, too */
	unwind_tables_drop(e.t, now, &slice[0]);
	now += UNWIND_SLICE_GRACE + UNWIND_GRACE;
	unwind_tables_tick(e.t, now);
	assert_true(unwind_tables_has(e.t, 3));
	unwind_tables_drop(e.t, now, &slice[1]);
	now += UNWIND_SLICE_GRACE;
	unwind_tables_tick(e.t, now); /* the slice is free; a walk may still be in the table */
	assert_true(unwind_tables_has(e.t, 3));
	now += UNWIND_GRACE - 1;
	unwind_tables_tick(e.t, now);
	assert_true(unwind_tables_has(e.t, 3));
	now += 1;
	unwind_tables_tick(e.t, now);
	assert_false(unwind_tables_has(e.t, 3)); /* now it would */
	assert_true(unwind_tables_has(e.t, 1));
	assert_int_equal(unwind_tables_add(e.t, 3, &m[2]), 0);
	assert_true(unwind_tables_has(e.t, 3));
	assert_false(unwind_tables_has(e.t, 1));
	assert_true(unwind_tables_has(e.t, 2));
	assert_int_equal(unwind_tables_counts(e.t).evicted, 1);
	assert_int_equal(unwind_tables_counts(e.t).no_room, 0);
	assert_int_equal(set_some(&e, 1, 3, now, &slice[3]), 0);
	assert_int_not_equal(e.a.maps[slice[3].first].row_end, 0);
	check_all(&e, 3, &m[2], 0x10000, 0x1000, 0x2000);
	check_all(&e, 2, &m[1], 0x10000, 0x1000, 0x2000);
	for (u32 i = 0; i < 3; i++)
		release(&m[i]);
	stop(&e);
}

static void the_index_is_full(void **state)
{
	struct unwind_module m;
	struct env e;
	u64 rng = 1;

	(void)state;
	start(&e, 1000, 1 + 2, 10);
	m = make_module(10, 0x2001, &rng); /* three pages, blocks of one each */
	assert_int_equal(unwind_tables_add(e.t, 1, &m), 0);
	assert_int_equal(unwind_tables_counts(e.t).no_room, 1);
	assert_int_equal(unwind_tables_counts(e.t).rows + unwind_tables_counts(e.t).idx, 0);
	release(&m);
	m = make_module(4, 0x2000, &rng);
	assert_int_equal(unwind_tables_add(e.t, 2, &m), 0);
	assert_int_equal(unwind_tables_counts(e.t).modules, 1);
	assert_int_equal(unwind_tables_counts(e.t).idx, 2);
	release(&m);
	stop(&e);
}

/* Removing what can be removed would not help: nothing is removed, and nobody is told to try again. */
static void no_vain_try(void **state)
{
	struct unwind_slice slice = {0};
	struct unwind_module small, large;
	struct env e;
	u64 rng = 4;

	(void)state;
	small = make_module(20, 0x3000, &rng);
	large = make_module(90, 0x3000, &rng);
	start(&e, 1 + 80, 1000, 10);
	assert_int_equal(unwind_tables_add(e.t, 1, &small), 0);
	assert_int_equal(set_some(&e, 1, 1, T0, &slice), 0);
	assert_int_equal(unwind_tables_add(e.t, 2, &large), 0);
	unwind_tables_drop(e.t, T0, &slice);
	unwind_tables_tick(e.t, T0 + UNWIND_SLICE_GRACE);
	unwind_tables_tick(e.t, T0 + UNWIND_SLICE_GRACE + UNWIND_GRACE);
	assert_true(unwind_tables_has(e.t, 2));
	assert_int_equal(unwind_tables_add(e.t, 3, &large), 0);
	assert_true(unwind_tables_has(e.t, 1));
	assert_int_equal(unwind_tables_counts(e.t).no_room, 2);
	assert_int_equal(unwind_tables_counts(e.t).evicted, 0);
	release(&small);
	release(&large);
	stop(&e);
}

/* ---- many processes, in any order ---- */

enum { PROCS = 15, MODULES = 40, PER_PROC = 12 };

/* A slice that somebody may still walk through, and what it said when it was written. */
struct witness {
	struct unwind_slice slice;
	struct uw_map maps[PER_PROC];
	u64 until; /* 0 while it is live */
};

struct crowd {
	struct env e;
	struct unwind_module modules[MODULES];
	struct witness live[PROCS];
	struct witness *gone; /* queue */
	u32 n_gone, first_gone;
	u64 rng, now;
};

/* Nothing that can be reached was written over; a few lookups per mapping. */
static void check_witness(struct crowd *c, struct witness *w)
{
	for (u32 i = 0; i < w->slice.n; i++) {
		const struct uw_map *map = &c->e.a.maps[w->slice.first + i];

		assert_memory_equal(map, &w->maps[i], sizeof(*map));
		for (u32 k = 0; map->row_end && k < 3; k++) {
			u64 off = next(&c->rng) % (map->end - map->start);

			assert_int_equal(lookup(&c->e, map, map->start + off),
					 naive(&c->modules[map->module - 1], (u32)off + map->pc_off));
		}
	}
}

static void retire(struct crowd *c, struct witness *w)
{
	if (!w->slice.n)
		return;
	c->gone = reallocarray(c->gone, c->n_gone + 1, sizeof(*c->gone));
	assert_non_null(c->gone);
	c->gone[c->n_gone] = *w;
	c->gone[c->n_gone++].until = c->now + UNWIND_GRACE; /* the shorter one: memory is short */
}

/* Programs come into use and go out of it: a window of modules that moves on. */
static void one_set(struct crowd *c, u32 proc, u32 first_module)
{
	struct unwind_mapping list[PER_PROC];
	struct witness *w = &c->live[proc], old = *w;
	u32 n = 1 + next(&c->rng) % PER_PROC;
	u64 at = 0x10000;
	int err;

	for (u32 i = 0; i < n; i++) {
		u32 r = next(&c->rng) % 13, module = r == 12 ? 0 : 1 + (first_module + r) % MODULES;

		if (module && !unwind_tables_has(c->e.t, module))
			assert_int_equal(unwind_tables_add(c->e.t, module, &c->modules[module - 1]), 0);
		list[i] = (struct unwind_mapping){.start = at, .end = at + 0x2000, .file_off = 0x1000, .module = module};
		at += 0x3000;
	}
	retire(c, &old);
	err = unwind_tables_set(c->e.t, list, n, c->now, &w->slice);
	assert_true(!err || err == -ENOSPC);
	assert_int_equal(w->slice.n, err ? 0 : n);
	memcpy(w->maps, c->e.a.maps + w->slice.first, w->slice.n * sizeof(*w->maps));
}

static void many_processes(void **state)
{
	struct crowd *c = calloc(1, sizeof(*c));
	struct unwind_tables_counts counts;

	(void)state;
	assert_non_null(c);
	c->rng = 11;
	c->now = T0;
	start(&c->e, 3500, 3000, 300);
	for (u32 i = 0; i < MODULES; i++)
		c->modules[i] = make_module(100 + i * 3, 0x3000, &c->rng);
	for (u32 step = 0; step < 6000; step++) {
		u32 proc = next(&c->rng) % PROCS;

		c->now += next(&c->rng) % (400 * NSEC_PER_MSEC);
		if (next(&c->rng) % 3) {
			one_set(c, proc, step / 20);
		} else {
			retire(c, &c->live[proc]);
			unwind_tables_drop(c->e.t, c->now, &c->live[proc].slice);
		}
		while (c->first_gone < c->n_gone && c->gone[c->first_gone].until <= c->now)
			c->first_gone++;
		for (u32 i = 0; i < PROCS; i++)
			check_witness(c, &c->live[i]);
		for (u32 i = c->first_gone; i < c->n_gone; i++)
			check_witness(c, &c->gone[i]);
	}
	counts = unwind_tables_counts(c->e.t);
	assert_true(counts.evicted > 100); /* all kinds of trouble were met */
	assert_true(counts.modules > 10);

	/* all end: everything becomes free again */
	for (u32 i = 0; i < PROCS; i++)
		unwind_tables_drop(c->e.t, c->now, &c->live[i].slice);
	unwind_tables_tick(c->e.t, c->now + UNWIND_SLICE_GRACE);
	assert_int_equal(unwind_tables_counts(c->e.t).maps, 0);
	for (u32 i = 0; i < MODULES; i++)
		release(&c->modules[i]);
	free(c->gone);
	stop(&c->e);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_pc),
		cmocka_unit_test(sizes_of_blocks),
		cmocka_unit_test(the_densest_block),
		cmocka_unit_test(the_largest_span),
		cmocka_unit_test(what_a_slice_says),
		cmocka_unit_test(too_many_mappings),
		cmocka_unit_test(a_slice_waits),
		cmocka_unit_test(a_slice_waits_less_when_it_is_full),
		cmocka_unit_test(an_unnamed_table_goes),
		cmocka_unit_test(the_index_is_full),
		cmocka_unit_test(no_vain_try),
		cmocka_unit_test(many_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
