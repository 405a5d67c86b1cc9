/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_reader_block.c: finds and loads single blocks, wherever they lie, for fmt_reader.c: it knows of no order and counts nothing. See fmt_reader_impl.h.
 */
#include <errno.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "format/fmt_reader_impl.h"

/* ---- headers ---- */

static u64 uuid_lo(const struct fmt_reader *r)
{
	u64 v;

	memcpy(&v, r->info.uuid, 8);
	return v;
}

int reader_header_at(struct fmt_reader *r, u64 off, struct fmt_block_header *ret, const char **ret_what)
{
	u8 bytes[FMT_BLOCK_HEADER];
	ssize_t n = fmt_source_read(&r->src, off, bytes, sizeof(bytes));
	struct fmt_cursor c;

	if (n < 0)
		return (int)n;
	c = cur_init(bytes, (size_t)n);
	if (fmt_block_header_decode(&c, ret) < 0) {
		*ret_what = (size_t)n < sizeof(bytes) ? "file ends inside a block header" : c.what;
		return 0;
	}
	*ret_what = "block of another capture";
	return ret->uuid_lo == uuid_lo(r);
}

int reader_find_header(struct fmt_reader *r, u64 from, u64 to, u64 *ret_off)
{
	struct fmt_pattern pattern = {.magic = {0x41, 0x42, 0x4c, 0x4b}, .tail_at = 64}; /* FMT_BLOCK_MAGIC, and the uuid */
	struct fmt_block_header h;
	const char *what;
	u64 off = from;
	int n;

	memcpy(pattern.tail, r->info.uuid, sizeof(pattern.tail));
	while ((n = fmt_source_find(&r->src, off, to, &pattern, &off)) == 1) {
		n = reader_header_at(r, off, &h, &what);
		if (n < 0)
			return n;
		*ret_off = off++;
		if (n)
			return 1;
	}
	*ret_off = r->src.size;
	return n;
}

/* ---- payloads ---- */

/* At least n bytes, contents lost. NULL on ENOMEM. */
static u8 *room(struct reader_bytes *b, size_t n)
{
	if (b->cap < n) {
		free(b->p);
		b->p = malloc(n);
		b->cap = b->p ? n : 0;
	}
	return b->p;
}

int reader_read_payload(struct fmt_reader *r, u64 off, const struct fmt_block_header *h, const char **ret_what)
{
	u8 *p = room(&r->payload, h->payload_size + 1u);
	ssize_t n;

	if (!p)
		return -ENOMEM;
	n = fmt_source_read(&r->src, off + FMT_BLOCK_HEADER, p, h->payload_size);
	if (n < 0)
		return (int)n;
	*ret_what = "file ends inside a block";
	if ((size_t)n < h->payload_size)
		return -EBADMSG;
	*ret_what = "payload checksum";
	return XXH3_64bits(p, h->payload_size) == h->payload_sum ? 0 : -EBADMSG;
}

static int decompress(struct fmt_reader *r, const struct fmt_block_header *h, const char **ret_what)
{
	size_t n;

	*ret_what = "block flags";
	if ((h->flags & ~FMT_FLAGS_KNOWN) || !(h->flags & FMT_FLAG_ZSTD))
		return -EBADMSG;
	if (!room(&r->raw, h->raw_size + 1u))
		return -ENOMEM;
	*ret_what = "zstd frame";
	n = ZSTD_decompressDCtx(r->zstd, r->raw.p, h->raw_size, r->payload.p, h->payload_size);
	if (ZSTD_isError(n) && ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
		return -ENOMEM;
	return ZSTD_isError(n) || n != h->raw_size ? -EBADMSG : 0;
}

/* FORMAT.md section 3: the payload of another type is not known. */
static bool has_sections(u32 type)
{
	return type == FMT_BLOCK_EVENTS || type == FMT_BLOCK_FOOTER || type == FMT_BLOCK_DICTIONARY || type == FMT_BLOCK_COPY;
}

/* r->payload, which holds, into the reader's sections. 0, -EBADMSG, -ENOMEM. */
static int decode_payload(struct fmt_reader *r, const struct fmt_block_header *h, struct fmt_block *b, const char **ret_what)
{
	const struct fmt_section *outs = NULL;
	struct fmt_cursor c;
	u64 rows = 0;
	int err;

	if (!has_sections(h->type))
		return 0;
	err = decompress(r, h, ret_what);
	if (err)
		return err;
	fmt_arena_reset(&r->arena);
	c = cur_init(r->raw.p, h->raw_size);
	for (u32 i = 0; i < h->sections; i++) {
		err = fmt_section_decode(&c, &r->arena, outs, &r->sections[i]);
		*ret_what = c.what;
		if (err)
			return err == -ENOMEM ? err : -EBADMSG;
		rows += r->sections[i].rows;
		outs = r->sections[i].kind_id == FMT_SWITCH_OUT ? &r->sections[i] : outs;
	}
	*ret_what = "block contents and header disagree";
	if (rows != h->rows || cur_left(&c))
		return -EBADMSG;
	b->sections = r->sections;
	b->n_sections = h->sections;
	return 0;
}

static void fill_block(u64 off, const struct fmt_block_header *h, struct fmt_block *b)
{
	*b = (struct fmt_block){
		.offset = off,
		.type = h->type,
		.seq = h->seq,
		.ts_first = h->ts_first,
		.ts_last = h->ts_last,
		.copy_of = h->copy_of,
		.rows = h->rows,
		.stored_size = (u32)reader_stored_size(h),
		.raw_size = h->raw_size,
	};
}

int reader_load_block(struct fmt_reader *r, u64 off, const struct fmt_block_header *h, struct fmt_block *ret,
		      const char **ret_what)
{
	int err = reader_read_payload(r, off, h, ret_what);

	fill_block(off, h, ret);
	return err ? err : decode_payload(r, h, ret, ret_what);
}
