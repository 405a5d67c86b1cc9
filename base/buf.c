/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * buf.c: growable bytes; used by the codec, the readers of /proc and everything that assembles text.
 * Invariant: len <= cap, len <= max (cap may be one more: a NUL behind the contents is not counted), data is NULL only while cap
 * is 0; once err is set, nothing changes until reset or release.
 */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { BUF_MIN_CAP = 64 };

static size_t max_contents(const struct buf *b)
{
	return b->max ? b->max : BUF_MAX_DEFAULT;
}

static void buf_fail(struct buf *b, int err)
{
	if (!b->err)
		b->err = err;
}

void buf_release(struct buf *b)
{
	free(b->data);
	b->data = NULL;
	b->len = b->cap = 0;
	b->err = 0;
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->err = 0;
}

int buf_err(const struct buf *b)
{
	return b->err;
}

u8 *buf_reserve(struct buf *b, size_t n)
{
	size_t max = max_contents(b);
	size_t cap;
	u8 *data;

	if (b->err)
		return NULL;
	if (n > max || b->len > max - n) {
		buf_fail(b, -EFBIG);
		return NULL;
	}
	if (b->data && b->cap - b->len >= n)
		return b->data + b->len;
	/* Doubling, but never beyond max: a buffer that is nearly full does not take twice its limit. */
	cap = b->cap > max / 2 ? max : b->cap * 2;
	if (cap < b->len + n)
		cap = b->len + n;
	if (cap < BUF_MIN_CAP)
		cap = BUF_MIN_CAP;
	data = realloc(b->data, cap);
	if (!data) {
		buf_fail(b, -ENOMEM);
		return NULL;
	}
	b->data = data;
	b->cap = cap;
	return b->data + b->len;
}

void buf_put(struct buf *b, const void *p, size_t n)
{
	u8 *to = n ? buf_reserve(b, n) : NULL;

	if (!to)
		return;
	memcpy(to, p, n);
	b->len += n;
}

void buf_putc(struct buf *b, u8 c)
{
	buf_put(b, &c, 1);
}

void buf_puts(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	size_t room = b->data && !b->err ? b->cap - b->len : 0;
	va_list ap;
	u8 *to;
	int n;

	if (b->err)
		return;
	va_start(ap, fmt);
	n = vsnprintf(room ? (char *)b->data + b->len : NULL, room, fmt, ap);
	va_end(ap);
	if (n < 0) {
		buf_fail(b, -EINVAL);
		return;
	}
	/*
	 * vsnprintf wants room for a NUL; it lies behind len and is not part of the contents, so it does not count against max
	 * either.
	 */
	if ((size_t)n >= room) {
		size_t max = b->max;

		b->max = max_contents(b) == SIZE_MAX ? SIZE_MAX : max_contents(b) + 1;
		to = buf_reserve(b, (size_t)n + 1);
		b->max = max;
		if (!to)
			return;
		va_start(ap, fmt);
		n = vsnprintf((char *)to, (size_t)n + 1, fmt, ap);
		va_end(ap);
		if (n < 0) {
			buf_fail(b, -EINVAL);
			return;
		}
	} else if (!buf_reserve(b, (size_t)n)) {
		return;
	}
	b->len += (size_t)n;
}

void buf_put_le32(struct buf *b, u32 v)
{
	u8 le[4];

	for (u32 i = 0; i < sizeof(le); i++)
		le[i] = (u8)(v >> (8 * i));
	buf_put(b, le, sizeof(le));
}

void buf_put_le64(struct buf *b, u64 v)
{
	u8 le[8];

	for (u32 i = 0; i < sizeof(le); i++)
		le[i] = (u8)(v >> (8 * i));
	buf_put(b, le, sizeof(le));
}

/* At most 10 bytes; returns how many. */
static size_t encode_uvarint(u8 *to, u64 v)
{
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		to[n++] = (u8)(v | 0x80);
	to[n++] = (u8)v;
	return n;
}

void buf_put_uvarint(struct buf *b, u64 v)
{
	u8 bytes[10];

	/* The codec's hottest call: straight into place while there is room for the longest form. */
	if (!b->err && b->cap - b->len >= sizeof(bytes) && b->cap <= max_contents(b))
		b->len += encode_uvarint(b->data + b->len, v);
	else
		buf_put(b, bytes, encode_uvarint(bytes, v));
}

char *buf_take_str(struct buf *b)
{
	char *s = b->err ? NULL : realloc(b->data, b->len + 1);
	int err = b->err;

	if (!s) {
		buf_release(b);
		buf_fail(b, err ? err : -ENOMEM);
		return NULL;
	}
	s[b->len] = '\0';
	b->data = NULL;
	b->len = b->cap = 0;
	return s;
}
