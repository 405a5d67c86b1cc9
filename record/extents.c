/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * extents.c: see extents.h. Between any two free parts lies a taken one, so there is at most one free part more than there are taken ones: room for
 * that many is made when a part is taken, and giving back needs none.
 */
#include "record/extents.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"

int extents_init(struct extents *e, u32 first, u32 end)
{
	*e = (struct extents){.free = calloc(4, sizeof(*e->free)), .cap_free = 4};
	if (!e->free)
		return -ENOMEM;
	if (first < end)
		e->free[e->n_free++] = (struct extent){.off = first, .n = end - first};
	return 0;
}

void extents_release(struct extents *e)
{
	free(e->free);
	*e = (struct extents){0};
}

/* Index of the first free part of at least n entries; n_free when there is none. */
static u32 first_fit(const struct extents *e, u32 n)
{
	u32 i = 0;

	while (i < e->n_free && e->free[i].n < n)
		i++;
	return i;
}

bool extents_have(const struct extents *e, u32 n)
{
	return first_fit(e, n) < e->n_free;
}

int extents_take(struct extents *e, u32 n, u32 *ret_off)
{
	u32 i = first_fit(e, n);
	struct extent *f;

	if (i == e->n_free)
		return -ENOSPC;
	if (ARRAY_ROOM(e->free, e->n_taken + 1, &e->cap_free) < 0) /* for extents_give() */
		return -ENOMEM;
	f = &e->free[i];
	*ret_off = f->off;
	f->off += n;
	f->n -= n;
	if (!f->n) {
		memmove(f, f + 1, (e->n_free - i - 1) * sizeof(*f));
		e->n_free--;
	}
	e->n_taken++;
	e->used += n;
	return 0;
}

void extents_give(struct extents *e, u32 off, u32 n)
{
	u32 lo = 0, hi = e->n_free;
	bool joins_left, joins_right;

	while (lo < hi) { /* lo: the first free part behind off */
		u32 mid = lo + (hi - lo) / 2;

		if (e->free[mid].off < off)
			lo = mid + 1;
		else
			hi = mid;
	}
	joins_left = lo && e->free[lo - 1].off + e->free[lo - 1].n == off;
	joins_right = lo < e->n_free && off + n == e->free[lo].off;
	BUG_ON(!e->n_taken || e->used < n || (lo && e->free[lo - 1].off + e->free[lo - 1].n > off) ||
	       (lo < e->n_free && off + n > e->free[lo].off));
	e->n_taken--;
	e->used -= n;
	if (joins_left && joins_right) {
		e->free[lo - 1].n += n + e->free[lo].n;
		memmove(&e->free[lo], &e->free[lo + 1], (e->n_free - lo - 1) * sizeof(*e->free));
		e->n_free--;
	} else if (joins_left) {
		e->free[lo - 1].n += n;
	} else if (joins_right) {
		e->free[lo].off = off;
		e->free[lo].n += n;
	} else {
		memmove(&e->free[lo + 1], &e->free[lo], (e->n_free - lo) * sizeof(*e->free));
		e->free[lo] = (struct extent){.off = off, .n = n};
		e->n_free++;
	}
}
