/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * gzip.c: see gzip.h. Bytes are collected into blocks; each is compressed by itself, so a match never leaves its block: what is lost by that is little, and
 * memory stays at two blocks' size.
 */
#include "base/gzip.h"

#include <errno.h>
#include <string.h>

enum {
	BLOCK = 1 << 16,
	WINDOW = 1 << 15, /* RFC 1951: the farthest distance */
	MATCH_MIN = 4,	  /* shorter ones are not looked for */
	MATCH_MAX = 258,
	HASH_BITS = 14,
	END_OF_BLOCK = 256,
};

struct gzip {
	FILE *out;
	u8 in[BLOCK];
	u32 n;
	u32 last[1 << HASH_BITS]; /* position + 1 of the last four bytes of this hash in the block */
	u32 crc_table[256];
	u32 crc, size;
	u64 bits; /* not yet written, the first at bit 0 */
	u32 n_bits;
};

/* ---- bits ---- */

static void put_bits(struct gzip *z, u32 value, u32 n)
{
	z->bits |= (u64)value << z->n_bits;
	z->n_bits += n;
	while (z->n_bits >= 8) {
		(void)putc((int)(z->bits & 0xff), z->out);
		z->bits >>= 8;
		z->n_bits -= 8;
	}
}

/* Huffman codes go out from their highest bit on. */
static void put_code(struct gzip *z, u32 code, u32 n)
{
	u32 reversed = 0;

	for (u32 i = 0; i < n; i++)
		reversed |= (code >> i & 1) << (n - 1 - i);
	put_bits(z, reversed, n);
}

/* RFC 1951, 3.2.6 */
static void put_symbol(struct gzip *z, u32 symbol)
{
	if (symbol < 144)
		put_code(z, 0x30 + symbol, 8);
	else if (symbol < 256)
		put_code(z, 0x190 + symbol - 144, 9);
	else if (symbol < 280)
		put_code(z, symbol - 256, 7);
	else
		put_code(z, 0xc0 + symbol - 280, 8);
}

/*
 * RFC 1951, 3.2.5: lengths from 3 and distances from 1 fall into classes of doubling width. Of a value counted from 0, with `sub` classes to each power of
 * two: its class, and how many bits tell it from others of the class.
 */
static u32 class_of(u32 value, u32 sub_bits, u32 *ret_extra)
{
	u32 extra = 0;

	while (value >> (extra + sub_bits + 1))
		extra++;
	*ret_extra = extra;
	return (extra << sub_bits) + (value >> extra);
}

static void put_match(struct gzip *z, u32 len, u32 distance)
{
	u32 extra, class;

	if (len == MATCH_MAX) {
		put_symbol(z, 285);
	} else {
		class = class_of(len - 3, 2, &extra);
		put_symbol(z, 257 + class);
		put_bits(z, (len - 3) & ((1U << extra) - 1), extra);
	}
	class = class_of(distance - 1, 1, &extra);
	put_code(z, class, 5);
	put_bits(z, (distance - 1) & ((1U << extra) - 1), extra);
}

/* ---- blocks ---- */

static u32 hash_at(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v * 2654435761U >> (32 - HASH_BITS);
}

static u32 match_length(const struct gzip *z, u32 a, u32 b)
{
	u32 n = 0;

	while (b + n < z->n && n < MATCH_MAX && z->in[a + n] == z->in[b + n])
		n++;
	return n;
}

static void put_block(struct gzip *z, bool is_last)
{
	u32 i = 0;

	memset(z->last, 0, sizeof(z->last));
	put_bits(z, is_last, 1);
	put_bits(z, 1, 2); /* fixed codes */
	while (i < z->n) {
		u32 len = 0, at = 0;

		if (i + MATCH_MIN <= z->n) {
			u32 *slot = &z->last[hash_at(z->in + i)];

			at = *slot;
			*slot = i + 1;
			if (at && i - (at - 1) <= WINDOW)
				len = match_length(z, at - 1, i);
		}
		if (len < MATCH_MIN) {
			put_symbol(z, z->in[i++]);
			continue;
		}
		put_match(z, len, i - (at - 1));
		for (u32 end = i + len; ++i < end;)
			if (i + MATCH_MIN <= z->n)
				z->last[hash_at(z->in + i)] = i + 1;
	}
	put_symbol(z, END_OF_BLOCK);
	z->n = 0;
}

static ssize_t take(void *cookie, const char *bytes, size_t n)
{
	struct gzip *z = cookie;

	for (size_t i = 0; i < n; i++) {
		if (z->n == BLOCK)
			put_block(z, false);
		z->in[z->n++] = (u8)bytes[i];
		z->crc = z->crc_table[(z->crc ^ (u8)bytes[i]) & 0xff] ^ z->crc >> 8;
	}
	z->size += (u32)n;
	return ferror(z->out) ? 0 : (ssize_t)n;
}

FILE *gzip_open(FILE *out, struct gzip **ret)
{
	/* RFC 1952: deflate, no flags, no time, no extra flags, system not known */
	static const u8 header[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
	struct gzip *z = calloc(1, sizeof(*z));
	FILE *f;

	if (!z)
		return NULL;
	z->out = out;
	z->crc = ~0U;
	for (u32 i = 0; i < 256; i++) {
		u32 c = i;

		for (u32 k = 0; k < 8; k++)
			c = c & 1 ? 0xedb88320U ^ c >> 1 : c >> 1;
		z->crc_table[i] = c;
	}
	f = fopencookie(z, "w", (cookie_io_functions_t){.write = take});
	if (!f) {
		free(z);
		return NULL;
	}
	(void)fwrite(header, 1, sizeof(header), out);
	*ret = z;
	return f;
}

int gzip_close(FILE *f, struct gzip *z)
{
	int r;

	if (!f)
		return 0;
	r = fclose(f) != 0 ? -EIO : 0;
	put_block(z, true);
	if (z->n_bits)
		put_bits(z, 0, 8 - z->n_bits);
	put_bits(z, ~z->crc & 0xffff, 16);
	put_bits(z, ~z->crc >> 16, 16);
	put_bits(z, z->size & 0xffff, 16);
	put_bits(z, z->size >> 16, 16);
	if (ferror(z->out))
		r = -EIO;
	free(z);
	return r;
}
