/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fmt_cursor.c: see fmt_cursor.h. An error empties the cursor, which is what makes later reads cheap no-ops. */
#include "format/fmt_cursor.h"

#include <errno.h>

int cur_fail(struct fmt_cursor *c, int err, const char *what)
{
	if (!c->err) {
		c->err = err;
		c->what = what;
		c->p = c->end;
	}
	return c->err;
}

const u8 *cur_bytes(struct fmt_cursor *c, size_t n, const char *what)
{
	const u8 *p = c->p;

	if (c->err || cur_left(c) < n) {
		cur_fail(c, -ENODATA, what);
		return NULL;
	}
	c->p += n;
	return p;
}

u8 cur_u8(struct fmt_cursor *c, const char *what)
{
	const u8 *p = cur_bytes(c, 1, what);

	return p ? p[0] : 0;
}

u16 cur_le16(struct fmt_cursor *c, const char *what)
{
	const u8 *p = cur_bytes(c, 2, what);

	return p ? (u16)(p[0] | p[1] << 8) : 0;
}

u32 cur_le32(struct fmt_cursor *c, const char *what)
{
	const u8 *p = cur_bytes(c, 4, what);

	return p ? (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24 : 0;
}

u64 cur_le64(struct fmt_cursor *c, const char *what)
{
	u64 lo = cur_le32(c, what);

	return lo | (u64)cur_le32(c, what) << 32;
}

u64 cur_uvarint_slow(struct fmt_cursor *c, const char *what)
{
	u64 v = 0;

	for (u32 shift = 0; shift < 70; shift += 7) {
		u8 b = cur_u8(c, what);

		if (c->err)
			return 0;
		if (shift == 63 && b > 1)
			break;
		v |= (u64)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
	cur_fail(c, -EBADMSG, what);
	return 0;
}

u64 cur_uvarint_max(struct fmt_cursor *c, u64 max, const char *what)
{
	u64 v = cur_uvarint(c, what);

	if (v > max) {
		cur_fail(c, -EBADMSG, what);
		return 0;
	}
	return v;
}
