/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* array.h: arrays that grow by doubling. */
#pragma once

#include "base/base.h"

/*
 * Room for row n of an array of *cap rows of `size` bytes each; rows is the address of the pointer to the first, which may move. Rows that were never used are
 * zeroed. The array stays the caller's, to be freed with free(). -ENOMEM: as it was.
 */
int array_room(void *rows, size_t n, size_t *cap, size_t size) __must_check;

/* The same with the row's own size. */
#define ARRAY_ROOM(rows, n, cap) array_room(&(rows), n, cap, sizeof(*(rows)))
