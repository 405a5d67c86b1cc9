/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_numbers.c: see fmt_numbers.h.
 *
 * The split coding serves zstd, which codes bytes by how often each occurs, but knows nothing of numbers: a token says how large a value is, one byte a
 * row, and has something to compress; the bits below it are noise, lie apart, and are neither compressed nor looked at.
 */
#include "format/fmt_numbers.h"

#include <errno.h>

/* ---- split ---- */

/* Little-endian whatever the machine is; compilers make one instruction of it. */
static inline void put_le64(u8 *p, u64 v)
{
	for (u32 i = 0; i < 8; i++)
		p[i] = (u8)(v >> (8 * i));
}

static inline u64 get_le64(const u8 *p)
{
	u64 v = 0;

	for (u32 i = 0; i < 8; i++)
		v |= (u64)p[i] << (8 * i);
	return v;
}

void fmt_split_encode(const u64 *v, u32 n, struct buf *out)
{
	u8 *token = buf_reserve(out, (size_t)n * 9 + 8),
	   *p; /* at most 61 bits a value besides the token, and the last store is of 8 bytes */
	u64 acc = 0;
	u32 bits = 0;

	if (!token)
		return;
	p = token + n;
	for (u32 i = 0; i < n; i++) {
		u8 t = fmt_split_token(v[i]);
		u32 extra = fmt_split_extra(t);
		u64 low = v[i] & ((1ULL << extra) - 1);

		token[i] = t;
		if (!extra)
			continue;
		acc |= low << bits;
		bits += extra;
		if (bits >= 64) {
			put_le64(p, acc);
			p += 8;
			bits -= 64;
			acc = bits ? low >> (extra - bits) : 0;
		}
	}
	put_le64(p, acc);
	p += (bits + 7) / 8;
	out->len += (size_t)(p - token);
}

/* `extra` bits from bit `at` on; the caller knows that they are there. */
static inline u64 split_bits(const u8 *p, const u8 *end, u64 at, u32 extra)
{
	const u8 *from = p + at / 8;
	u32 shift = (u32)(at % 8);
	u64 v = 0;

	if ((size_t)(end - from) >= 9) {
		v = get_le64(from) >> shift;
		if (shift + extra > 64)
			v |= (u64)from[8] << (64 - shift);
	} else {
		for (u32 i = 0; from + i < end && i < 9; i++)
			v |= i ? i * 8 >= shift && i * 8 - shift < 64 ? (u64)from[i] << (i * 8 - shift) : 0
			       : (u64)from[0] >> shift;
	}
	return v & ((1ULL << extra) - 1);
}

static int split_decode(struct fmt_cursor *c, u32 n, u64 *ret)
{
	const u8 *token = cur_bytes(c, n, "tokens of a split column"), *p, *end;
	u64 total = 0, at = 0;

	if (!token)
		return c->err;
	for (u32 i = 0; i < n; i++)
		total += fmt_split_extra(token[i]);
	p = cur_bytes(c, (total + 7) / 8, "bits of a split column");
	if (!p)
		return c->err;
	end = p + (total + 7) / 8;
	for (u32 i = 0; i < n; i++) {
		u32 t = token[i], extra = fmt_split_extra(t);

		ret[i] = t;
		if (t >= 16) {
			ret[i] = (u64)(4 | (t & 3)) << extra | split_bits(p, end, at, extra);
			at += extra;
		}
	}
	return 0;
}

/* ---- dict ---- */

/* Values of a dictionary column: found by a small open hash, so that a row costs one probe. */
struct column_dict {
	u64 values[FMT_MAX_DICT];
	u16 slots[1024]; /* index + 1 */
	u32 n;
};

/* The index of v, added when new; -1 when the dictionary is full. */
static int column_dict_index(struct column_dict *d, u64 v)
{
	u32 h = (u32)((v * 0x9e3779b97f4a7c15ULL) >> 54);

	while (d->slots[h]) {
		u32 i = d->slots[h] - 1u;

		if (d->values[i] == v)
			return (int)i;
		h = (h + 1) & 1023;
	}
	if (d->n == FMT_MAX_DICT)
		return -1;
	d->values[d->n] = v;
	d->slots[h] = (u16)++d->n;
	return (int)d->n - 1;
}

u32 fmt_numbers_distinct(const u64 *v, size_t stride, u32 n)
{
	struct column_dict d = {.n = 0};

	for (u32 i = 0; i < n; i++)
		if ((!i || v[i * stride] != v[(i - 1) * stride]) && column_dict_index(&d, v[i * stride]) < 0)
			return FMT_MAX_DICT + 1;
	return d.n;
}

/* The dictionary and then row indices, which tmp holds meanwhile; false (out unchanged) when there are too many values. */
static bool dict_encode(const u64 *v, u32 n, u64 *tmp, struct buf *out)
{
	struct column_dict d = {.n = 0};
	u8 *indices;

	for (u32 i = 0; i < n; i++) {
		int k = i && v[i] == v[i - 1] ? (int)tmp[i - 1] : column_dict_index(&d, v[i]);

		if (k < 0)
			return false;
		tmp[i] = (u64)k;
	}
	buf_put_uvarint(out, d.n);
	for (u32 i = 0; i < d.n; i++)
		buf_put_uvarint(out, d.values[i]);
	indices = buf_reserve(out, n);
	if (!indices)
		return true; /* out has the error */
	for (u32 i = 0; i < n; i++)
		indices[i] = (u8)tmp[i];
	out->len += n;
	return true;
}

static int dict_decode(struct fmt_cursor *c, u32 rows, u64 *ret)
{
	u64 values[FMT_MAX_DICT];
	u64 n = cur_uvarint_max(c, FMT_MAX_DICT, "dictionary size");
	const u8 *indices;
	u8 most = 0;

	for (u64 i = 0; i < n; i++)
		values[i] = cur_uvarint(c, "dictionary value");
	indices = cur_bytes(c, rows, "dictionary indices");
	if (!indices)
		return c->err;
	for (u32 i = 0; i < rows; i++)
		most = indices[i] > most ? indices[i] : most;
	if (rows && most >= n)
		return cur_fail(c, -EBADMSG, "dictionary index");
	for (u32 i = 0; i < rows; i++)
		ret[i] = values[indices[i]];
	return 0;
}

/* ---- all ---- */

enum fmt_encoding fmt_numbers_encode(const u64 *v, u32 n, enum fmt_encoding want, u64 *tmp, struct buf *out)
{
	u64 differ = 0, prev = 0;

	for (u32 i = 1; i < n; i++)
		differ |= v[i] ^ v[0];
	if (!differ) {
		buf_put_uvarint(out, v[0]);
		return FMT_ENC_CONST;
	}
	if (want == FMT_ENC_DICT && dict_encode(v, n, tmp, out))
		return FMT_ENC_DICT;
	if (want == FMT_ENC_SPLIT) {
		fmt_split_encode(v, n, out);
		return FMT_ENC_SPLIT;
	}
	if (want == FMT_ENC_DELTA || want == FMT_ENC_SPLIT_DELTA) {
		for (u32 i = 0; i < n; i++) {
			tmp[i] = fmt_zigzag(v[i] - prev);
			prev = v[i];
		}
		if (want == FMT_ENC_SPLIT_DELTA)
			fmt_split_encode(tmp, n, out);
		for (u32 i = 0; i < n && want == FMT_ENC_DELTA; i++)
			buf_put_uvarint(out, tmp[i]);
		return want;
	}
	for (u32 i = 0; i < n; i++)
		buf_put_uvarint(out, v[i]);
	return FMT_ENC_VARINT;
}

int fmt_numbers_decode(struct fmt_cursor *c, u8 enc, u32 n, u64 *ret)
{
	u64 v = 0;

	switch (enc) {
	case FMT_ENC_CONST:
		v = cur_uvarint(c, "constant column");
		for (u32 i = 0; i < n; i++)
			ret[i] = v;
		break;
	case FMT_ENC_VARINT:
	case FMT_ENC_DELTA:
		for (u32 i = 0; i < n; i++)
			ret[i] = cur_uvarint(c, enc == FMT_ENC_DELTA ? "delta column" : "varint column");
		break;
	case FMT_ENC_DICT:
		(void)dict_decode(c, n, ret);
		break;
	case FMT_ENC_SPLIT:
	case FMT_ENC_SPLIT_DELTA:
		(void)split_decode(c, n, ret);
		break;
	default:
		return cur_fail(c, -EBADMSG, "unknown column encoding");
	}
	if (c->err)
		return c->err;
	for (u32 i = 0; i < n && (enc == FMT_ENC_DELTA || enc == FMT_ENC_SPLIT_DELTA); i++)
		ret[i] = v += fmt_unzigzag(ret[i]);
	/* FORMAT.md section 5: the data of a column is used up exactly. */
	return cur_left(c) ? cur_fail(c, -EBADMSG, "bytes behind a column") : 0;
}
