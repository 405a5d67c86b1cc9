/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/array.h"

#include <errno.h>
#include <string.h>

enum { ROWS_AT_FIRST = 64 };

int array_grow_raw(void *rows, size_t n, size_t *cap, size_t size)
{
	size_t want = *cap ? *cap : ROWS_AT_FIRST;
	void *old, *p;

	while (want <= n) {
		if (want > SIZE_MAX / 2)
			return -ENOMEM;
		want *= 2;
	}
	/* The slot is a pointer of the caller's own type: its bytes are read and written, for it must not be taken for a void *. */
	memcpy(&old, rows, sizeof(old));
	p = reallocarray(old, want, size);
	if (!p)
		return -ENOMEM;
	memcpy(rows, &p, sizeof(p));
	*cap = want;
	return 0;
}

int array_grow(void *rows, size_t n, size_t *cap, size_t size)
{
	size_t before = *cap;
	u8 *p;

	if (array_grow_raw(rows, n, cap, size) < 0)
		return -ENOMEM;
	memcpy(&p, rows, sizeof(p));
	memset(p + before * size, 0, (*cap - before) * size);
	return 0;
}

int array_u64_compare(const void *a, const void *b)
{
	return compare_u64(*(const u64 *)a, *(const u64 *)b);
}

size_t array_u64_unique(u64 *at, size_t n)
{
	size_t kept = 0;

	if (n)
		qsort(at, n, sizeof(*at), array_u64_compare);
	for (size_t i = 0; i < n; i++)
		if (!kept || at[kept - 1] != at[i])
			at[kept++] = at[i];
	return kept;
}
