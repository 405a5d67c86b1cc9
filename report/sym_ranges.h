/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_ranges.h: address ranges with owners: collected in any order, then flattened into a sorted disjoint list and searched. Used by sym_dwarf.c (units),
 * sym_scope.c (functions and inlined calls) and jitmap.c (lines of a perf map).
 */
#pragma once

#include "base/base.h"

/* Half-open range and whose it is. */
struct sym_range {
	u64 lo, hi;
	u32 owner;
};

struct sym_ranges {
	struct sym_range *v;
	u32 n;
	size_t cap;
};

#define SYM_NO_OWNER UINT32_MAX

int sym_ranges_add(struct sym_ranges *r, u64 lo, u64 hi, u32 owner) __must_check; /* empty ranges are dropped; -ENOMEM, -EFBIG */
void sym_ranges_release(struct sym_ranges *r);

/*
 * Makes the ranges sorted and disjoint: where several overlap, the highest owner keeps the addresses. When there are too many for
 * that, none are left, which costs names. 0 or -ENOMEM; after an error none are left either.
 */
int sym_ranges_flatten(struct sym_ranges *r) __must_check;

/* The one of flattened ranges that holds an address, or NULL. */
const struct sym_range *sym_ranges_find(const struct sym_ranges *r, u64 addr);
