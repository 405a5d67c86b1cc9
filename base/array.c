/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/array.h"

#include <errno.h>
#include <string.h>

enum { ROWS_AT_FIRST = 64 };

int array_room(void *rows, size_t n, size_t *cap, size_t size)
{
	size_t want = *cap ? *cap : ROWS_AT_FIRST;
	void *old, *p;

	if (n < *cap)
		return 0;
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
	memset((u8 *)p + *cap * size, 0, (want - *cap) * size);
	memcpy(rows, &p, sizeof(p));
	*cap = want;
	return 0;
}
