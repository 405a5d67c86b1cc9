/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* extents.h: which parts of an array are free, first fit. Used by record/unwind_tables.c for each of its three arrays. */
#pragma once

#include "base/base.h"

struct extent {
	u32 off, n; /* entries */
};

/* Zero-initialise, then extents_init(). */
struct extents {
	struct extent *free; /* sorted, never touching each other */
	u32 n_free;
	size_t cap_free;
	u32 n_taken; /* parts that are out */
	u32 used;    /* entries that are out */
};

/* Entries [first, end) are free. 0 or -ENOMEM. */
int extents_init(struct extents *e, u32 first, u32 end) __must_check;
void extents_release(struct extents *e);

/* The first part of n > 0 entries that is free. 0, -ENOSPC, -ENOMEM. */
int extents_take(struct extents *e, u32 n, u32 *ret_off) __must_check;
/* Gives back a part just as it was taken. Cannot fail. */
void extents_give(struct extents *e, u32 off, u32 n);
bool extents_have(const struct extents *e, u32 n); /* extents_take() would find n entries */
