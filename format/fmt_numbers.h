/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_numbers.h: a column of numbers to bytes and back: the encodings of FORMAT.md section 5 that need nothing but the column itself. Called by
 * fmt_codec.c and fmt_class.c.
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "format/fmt_cursor.h"
#include "format/fmt_def.h"

/*
 * Appends n > 0 values to out (whose sticky error the caller checks) and returns the encoding: const when they are all equal, else `want`, one of
 * varint, delta, dict, split, split_delta; a dict of too many values becomes varint. tmp has room for n values.
 */
enum fmt_encoding fmt_numbers_encode(const u64 *v, u32 n, enum fmt_encoding want, u64 *tmp, struct buf *out);

/* Tokens. Values below 16 are their token. Others: the place of the highest bit (4 to 63) and the two bits behind it; the rest is `extra` bits, at most 61. */
static inline u32 fmt_split_extra(u32 token)
{
	return token < 16 ? 0 : (token >> 2) - 2;
}

static inline u8 fmt_split_token(u64 v)
{
	u32 top;

	if (v < 16)
		return (u8)v;
	top = 63 - (u32)__builtin_clzll(v);
	return (u8)(((top - 4) << 2) + 16 + ((v >> (top - 2)) & 3));
}

/* The split coding of the values as they are. */
void fmt_split_encode(const u64 *v, u32 n, struct buf *out);

/* Reads n values and all of c into ret. 0, -EBADMSG or -ENODATA (c->what says where); ret is then of no meaning. */
int fmt_numbers_decode(struct fmt_cursor *c, u8 enc, u32 n, u64 *ret) __must_check;

/* How many different values there are among v[0], v[stride], ... (n of them), counted up to FMT_MAX_DICT + 1. */
u32 fmt_numbers_distinct(const u64 *v, size_t stride, u32 n);
