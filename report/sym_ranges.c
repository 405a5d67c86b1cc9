/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sym_ranges.c: see sym_ranges.h. */
#include "report/sym_ranges.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"

#define RANGES_MAX (16U << 20)

enum {
	DIGIT_BITS = 11,
	DIGITS = 1 << DIGIT_BITS,
	FEW = 256, /* so many are sorted by comparing */
};

int sym_ranges_add(struct sym_ranges *r, u64 lo, u64 hi, u32 owner)
{
	if (lo >= hi)
		return 0;
	if (r->n >= RANGES_MAX)
		return -EFBIG;
	if (ARRAY_ROOM_RAW(r->v, r->n, &r->cap) < 0)
		return -ENOMEM;
	r->v[r->n++] = (struct sym_range){.lo = lo, .hi = hi, .owner = owner};
	return 0;
}

void sym_ranges_release(struct sym_ranges *r)
{
	free(r->v);
	*r = (struct sym_ranges){0};
}

static int range_cmp(const void *pa, const void *pb)
{
	const struct sym_range *a = pa, *b = pb;

	if (a->lo != b->lo)
		return a->lo < b->lo ? -1 : 1;
	return a->owner < b->owner ? -1 : a->owner > b->owner;
}

static void sort_digit(const struct sym_range *from, struct sym_range *to, u32 n, u64 min, u32 shift)
{
	u32 at[DIGITS] = {0};
	u32 sum = 0;

	for (u32 i = 0; i < n; i++)
		at[(from[i].lo - min) >> shift & (DIGITS - 1)]++;
	for (u32 d = 0; d < DIGITS; d++) {
		u32 count = at[d];

		at[d] = sum;
		sum += count;
	}
	for (u32 i = 0; i < n; i++)
		to[at[(from[i].lo - min) >> shift & (DIGITS - 1)]++] = from[i];
}

/*
 * Sorts by start, digit by digit: a unit's code lies close together, so that two or three passes do, where comparing takes half of
 * the time that reading the entries does. `other` has room for as many.
 */
static void sort_ranges(struct sym_range *v, struct sym_range *other, u32 n)
{
	struct sym_range *from = v, *to = other;
	u64 min = UINT64_MAX, max = 0;
	bool is_sorted = true;

	for (u32 i = 0; i < n; i++) {
		min = min_u64(min, v[i].lo);
		max = max_u64(max, v[i].lo);
		is_sorted &= !i || v[i - 1].lo <= v[i].lo;
	}
	if (is_sorted)
		return;
	if (n < FEW) {
		qsort(v, n, sizeof(*v), range_cmp);
		return;
	}
	for (u32 shift = 0; shift < 64 && (max - min) >> shift; shift += DIGIT_BITS) {
		struct sym_range *swap = from;

		sort_digit(from, to, n, min, shift);
		from = to;
		to = swap;
	}
	if (from != v)
		memcpy(v, from, n * sizeof(*v));
}

/* A heap of the ranges that cover the sweep's position, highest owner on top. */
static void heap_push(struct sym_range *heap, u32 *n, struct sym_range x)
{
	u32 i = (*n)++;

	while (i && heap[(i - 1) / 2].owner < x.owner) {
		heap[i] = heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap[i] = x;
}

static void heap_pop(struct sym_range *heap, u32 *n)
{
	struct sym_range x = heap[--*n];
	u32 i = 0;

	for (;;) {
		u32 child = 2 * i + 1;

		if (child >= *n)
			break;
		if (child + 1 < *n && heap[child + 1].owner > heap[child].owner)
			child++;
		if (heap[child].owner <= x.owner)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = x;
}

/* Appends, joining with the previous range of the same owner. */
static int emit(struct sym_ranges *out, u64 lo, u64 hi, u32 owner)
{
	struct sym_range *last = out->n ? &out->v[out->n - 1] : NULL;

	if (last && last->hi == lo && last->owner == owner) {
		last->hi = hi;
		return 0;
	}
	return sym_ranges_add(out, lo, hi, owner);
}

static int sweep(const struct sym_ranges *r, struct sym_range *heap, struct sym_ranges *out)
{
	u32 n_heap = 0, next = 0;
	u64 pos = 0;

	while (next < r->n || n_heap) {
		u64 until;
		int err;

		if (!n_heap)
			pos = max_u64(pos, r->v[next].lo);
		while (next < r->n && r->v[next].lo <= pos)
			heap_push(heap, &n_heap, r->v[next++]);
		while (n_heap && heap[0].hi <= pos)
			heap_pop(heap, &n_heap);
		if (!n_heap)
			continue;
		until = next < r->n ? min_u64(heap[0].hi, r->v[next].lo) : heap[0].hi;
		err = emit(out, pos, until, heap[0].owner);
		if (err)
			return err;
		pos = until;
	}
	return 0;
}

int sym_ranges_flatten(struct sym_ranges *r)
{
	_cleanup_free_ struct sym_range *heap = NULL;
	struct sym_ranges out = {0};
	int err;

	if (!r->n)
		return 0;
	heap = calloc(r->n, sizeof(*heap));
	if (!heap) {
		sym_ranges_release(r);
		return -ENOMEM;
	}
	sort_ranges(r->v, heap, r->n);
	err = sweep(r, heap, &out);
	sym_ranges_release(r);
	if (err) {
		sym_ranges_release(&out);
		return err == -EFBIG ? 0 : err;
	}
	*r = out;
	return 0;
}

const struct sym_range *sym_ranges_find(const struct sym_ranges *r, u64 addr)
{
	u32 lo = 0, hi = r->n;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (addr >= r->v[mid].hi)
			lo = mid + 1;
		else if (addr < r->v[mid].lo)
			hi = mid;
		else
			return &r->v[mid];
	}
	return NULL;
}
