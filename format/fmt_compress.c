/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_compress.c: see fmt_compress.h. Called by the writer.
 *
 * zstd has one Huffman code for all literals of a block of up to 128 KiB. The columns of a second are less than that together, and each would have a code
 * of its own: tokens of times, class numbers, and bits that are noise and cost time for nothing. So the block ends at the end of every column that is
 * large enough to pay for its own.
 */
#include "format/fmt_compress.h"

#include "format/fmt_cursor.h"
#include "format/fmt_def.h"

#define OWN_BLOCK   1024u /* a column of this size gets a block of its own: a Huffman code takes some 50 bytes */
#define NOISE_BLOCK 128u  /* bits of a split column: stored as they are, which takes 3 bytes */

struct frame {
	ZSTD_CCtx *z;
	ZSTD_inBuffer in; /* size: what may be read so far */
	ZSTD_outBuffer out;
	size_t error; /* of zstd; 0 none */
};

/* Puts everything up to the end of `in` into the frame. */
static void feed(struct frame *f, ZSTD_EndDirective how)
{
	size_t left;

	if (f->error)
		return;
	do {
		left = ZSTD_compressStream2(f->z, &f->out, &f->in, how);
		if (ZSTD_isError(left))
			f->error = left;
	} while (!f->error && left && f->out.pos < f->out.size);
	if (!f->error && left)
		f->error = (size_t)-70; /* ZSTD_error_dstSize_tooSmall: the bound is wrong */
}

/* The next n bytes are data of their own, if there are enough of them. */
static void stream(struct frame *f, size_t n, size_t enough)
{
	if (n < enough) {
		f->in.size += n;
		return;
	}
	if (f->in.size > f->in.pos)
		feed(f, ZSTD_e_flush);
	f->in.size += n;
	feed(f, ZSTD_e_flush);
}

static void column(struct frame *f, u8 enc, size_t rows, size_t n)
{
	/* what is in front of the tokens of a group column is a byte: a token more or less does no harm */
	if ((enc == FMT_ENC_SPLIT || enc == FMT_ENC_SPLIT_DELTA || enc == FMT_ENC_GROUP) && n >= rows) {
		stream(f, rows, OWN_BLOCK);
		stream(f, n - rows, NOISE_BLOCK);
	} else {
		stream(f, n, OWN_BLOCK);
	}
}

/* One section, as fmt_section_encode() made it. */
static void section(struct frame *f, struct fmt_cursor *c)
{
	struct {
		u8 enc;
		size_t size;
	} dir[FMT_MAX_COLUMNS + 2];
	const u8 *start = c->p;
	u64 rows, n;

	(void)cur_uvarint(c, "kind");
	rows = cur_uvarint(c, "rows");
	n = cur_uvarint_max(c, ARRAY_SIZE(dir), "columns");
	(void)cur_uvarint(c, "size");
	for (u64 i = 0; i < n; i++) {
		(void)cur_uvarint(c, "column");
		dir[i].enc = cur_u8(c, "encoding");
		dir[i].size = cur_uvarint(c, "size");
	}
	if (!c->err)
		f->in.size += (size_t)(c->p - start);
	for (u64 i = 0; i < n && cur_bytes(c, dir[i].size, "data"); i++)
		column(f, dir[i].enc, rows, dir[i].size);
}

size_t fmt_compress_bound(size_t n)
{
	return ZSTD_compressBound(n) + n / 32 +
	       64; /* blocks of less than 128 bytes come in pairs with larger ones, and a header is 3 bytes */
}

size_t fmt_compress(ZSTD_CCtx *z, int level, const u8 *p, size_t n, u8 *dst, size_t cap)
{
	struct frame f = {.z = z, .in = {.src = p}, .out = {.dst = dst, .size = cap}};
	struct fmt_cursor c = cur_init(p, n);

	(void)ZSTD_CCtx_reset(z, ZSTD_reset_session_only);
	f.error = ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, level);
	if (!ZSTD_isError(f.error))
		f.error = ZSTD_CCtx_setPledgedSrcSize(z, n);
	if (!ZSTD_isError(f.error))
		f.error = 0;
	while (cur_left(&c) && !f.error)
		section(&f, &c);
	f.in.size = n;
	feed(&f, ZSTD_e_end);
	return f.error ? f.error : f.out.pos;
}
