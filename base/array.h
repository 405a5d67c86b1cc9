/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* array.h: arrays that grow by doubling, and arrays of numbers in order. */
#pragma once

#include "base/base.h"

/* What array_room() and array_room_raw() do when there is none: to be called through them. */
int array_grow(void *rows, size_t n, size_t *cap, size_t size) __must_check;
int array_grow_raw(void *rows, size_t n, size_t *cap, size_t size) __must_check;

/*
 * Room for row n of an array of *cap rows of `size` bytes each; rows is the address of the pointer to the first, which may move. Rows that were never used are
 * zeroed. The array stays the caller's, to be freed with free(). -ENOMEM: as it was.
 */
static inline __must_check int array_room(void *rows, size_t n, size_t *cap, size_t size)
{
	return n < *cap ? 0 : array_grow(rows, n, cap, size);
}

/* The same, but rows that were never used are as malloc() gives them: where there may be millions, zeroing what is not used would cost memory. */
static inline __must_check int array_room_raw(void *rows, size_t n, size_t *cap, size_t size)
{
	return n < *cap ? 0 : array_grow_raw(rows, n, cap, size);
}

/* The same with the row's own size. */
#define ARRAY_ROOM(rows, n, cap)     array_room(&(rows), n, cap, sizeof(*(rows)))
#define ARRAY_ROOM_RAW(rows, n, cap) array_room_raw(&(rows), n, cap, sizeof(*(rows)))

int array_u64_compare(const void *a, const void *b); /* for qsort and bsearch: two u64 */

/* Sorts n numbers and keeps each once; how many that are. */
size_t array_u64_unique(u64 *at, size_t n);
