/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * protobuf.c: see protobuf.h. A nested field's length is not known before its end: one byte is left for it, and the contents move
 * when it takes more.
 */
#include "base/protobuf.h"

#include <errno.h>
#include <string.h>

#include "base/utf8.h"

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_LEN = 2 };

/* What waits for the stream, so that it is not called for every field. */
#define FLUSH_AT ((size_t)64 << 10)

void pb_init(struct pb *p, FILE *out)
{
	*p = (struct pb){.b = {.max = PB_MAX_FIELD + FLUSH_AT}, .out = out};
}

void pb_release(struct pb *p)
{
	buf_release(&p->b);
}

static void flush(struct pb *p)
{
	if (!p->out || p->b.err)
		return;
	if (p->b.len)
		(void)fwrite(p->b.data, 1, p->b.len, p->out);
	p->b.len = 0;
}

static void done(struct pb *p)
{
	if (!p->depth && p->b.len >= FLUSH_AT)
		flush(p);
}

static void put_tag(struct pb *p, u32 field, u32 wire)
{
	BUG_ON(!field || field >> 29);
	buf_put_uvarint(&p->b, (u64)field << 3 | wire);
}

void pb_u64(struct pb *p, u32 field, u64 v)
{
	put_tag(p, field, WIRE_VARINT);
	buf_put_uvarint(&p->b, v);
	done(p);
}

void pb_fixed64(struct pb *p, u32 field, u64 v)
{
	put_tag(p, field, WIRE_FIXED64);
	buf_put_le64(&p->b, v);
	done(p);
}

void pb_double(struct pb *p, u32 field, double v)
{
	u64 bits;

	_Static_assert(sizeof(bits) == sizeof(v), "double is IEEE 754 binary64");
	memcpy(&bits, &v, sizeof(bits));
	pb_fixed64(p, field, bits);
}

void pb_bytes(struct pb *p, u32 field, const void *data, size_t n)
{
	put_tag(p, field, WIRE_LEN);
	buf_put_uvarint(&p->b, n);
	buf_put(&p->b, data, n);
	done(p);
}

void pb_string(struct pb *p, u32 field, const char *s)
{
	static const char replacement[] = "\xef\xbf\xbd";
	size_t n, from = 0, at = 0;

	s = s ? s : "";
	n = strlen(s);
	pb_begin(p, field);
	while (at < n) {
		u32 cp;
		size_t len = (u8)s[at] < 0x80 ? 1 : utf8_decode((const u8 *)s + at, n - at, &cp);

		if (!len) {
			buf_put(&p->b, s + from, at - from);
			buf_puts(&p->b, replacement);
			from = at + 1;
		}
		at += len ? len : 1;
	}
	buf_put(&p->b, s + from, n - from);
	pb_end(p);
}

void pb_packed_u64(struct pb *p, u32 field, const u64 *v, size_t n)
{
	if (!n)
		return;
	pb_begin(p, field);
	for (size_t i = 0; i < n; i++)
		buf_put_uvarint(&p->b, v[i]);
	pb_end(p);
}

void pb_begin(struct pb *p, u32 field)
{
	BUG_ON(p->depth == PB_MAX_DEPTH);
	put_tag(p, field, WIRE_LEN);
	buf_putc(&p->b, 0);
	p->open[p->depth++] = p->b.len;
}

static size_t varint_size(u64 v)
{
	size_t n = 1;

	for (; v >= 0x80; v >>= 7)
		n++;
	return n;
}

void pb_end(struct pb *p)
{
	size_t start, n, extra;

	BUG_ON(!p->depth);
	start = p->open[--p->depth];
	/* After an error positions mean nothing. */
	if (p->b.err)
		return;
	n = p->b.len - start;
	extra = varint_size(n) - 1;
	if (extra) {
		if (!buf_reserve(&p->b, extra))
			return;
		memmove(p->b.data + start + extra, p->b.data + start, n);
	}
	p->b.len = start - 1;
	buf_put_uvarint(&p->b, n);
	p->b.len += n;
	done(p);
}

void pb_raw_varint(struct pb *p, u64 v)
{
	buf_put_uvarint(&p->b, v);
}

int pb_finish(struct pb *p)
{
	BUG_ON(p->depth);
	flush(p);
	if (p->b.err)
		return p->b.err;
	return p->out && ferror(p->out) ? -EIO : 0;
}
