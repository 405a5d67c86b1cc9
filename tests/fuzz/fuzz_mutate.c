/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_mutate.c: the mutator of targets that take a whole capture.
 *
 * Everything in a capture is behind checksums and zstd frames, so plain mutations would all be refused at the door. The mutator
 * takes a capture apart, changes the inside, and puts it together again with checksums and sizes that hold.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

#include "base/buf.h"
#include "format/fmt_block.h"
#include "format/fmt_reader.h"
#include "tests/fuzz/fuzz.h"

FUZZ_PLAIN static u64 get_le(const u8 *p, u32 bytes)
{
	u64 v = 0;

	for (u32 i = 0; i < bytes; i++)
		v |= (u64)p[i] << (8 * i);
	return v;
}

static void put_le(u8 *p, u64 v, u32 bytes)
{
	for (u32 i = 0; i < bytes; i++)
		p[i] = (u8)(v >> (8 * i));
}

/* Payload size of the block at p, of which n bytes are there; 0 when none begins here or it does not fit. FORMAT.md section 3. */
FUZZ_PLAIN static size_t payload_at(const u8 *p, size_t n)
{
	size_t size;

	if (n < FMT_BLOCK_HEADER || get_le(p, 4) != FMT_BLOCK_MAGIC)
		return 0;
	size = get_le(p + 16, 4);
	return size <= n - FMT_BLOCK_HEADER ? size : 0;
}

/* Makes every checksum of the file hold that can. */
static void repair(u8 *data, size_t size)
{
	size_t off = FMT_HEADER_SIZE;

	if (size < FMT_HEADER_SIZE)
		return;
	memcpy(data, FMT_MAGIC, 8);
	put_le(data + 56, XXH3_64bits(data, 56), 8);
	while (off + 4 <= size) {
		size_t n = payload_at(data + off, size - off);
		u8 *p = data + off;

		if (n) {
			put_le(p + 56, XXH3_64bits(p + FMT_BLOCK_HEADER, n), 8);
			memcpy(p + 64, data + 32, 8);
			put_le(p + 72, XXH3_64bits(p, 72), 8);
			off += FMT_BLOCK_HEADER + n;
		} else {
			off++;
		}
	}
	if (size >= FMT_HEADER_SIZE + FMT_TRAILER_SIZE && !memcmp(data + size - FMT_TRAILER_SIZE, FMT_TRAILER_MAGIC, 8))
		put_le(data + size - 8, XXH3_64bits(data + size - FMT_TRAILER_SIZE, 24), 8);
}

/* Sections and rows of a payload as its own numbers have it, for the block's header. */
static void count_sections(const u8 *p, size_t n, u32 *ret_sections, u64 *ret_rows)
{
	struct fmt_cursor c = cur_init(p, n);

	*ret_sections = 0;
	*ret_rows = 0;
	while (cur_left(&c)) {
		u64 rows;

		(void)cur_uvarint(&c, "kind");
		rows = cur_uvarint(&c, "rows");
		(void)cur_uvarint(&c, "columns");
		if (!cur_bytes(&c, cur_uvarint(&c, "size"), "body"))
			return;
		++*ret_sections;
		*ret_rows += rows;
	}
}

enum { MAX_RAW = 1 << 16 };

/* Out of the contexts that fuzz_zstd.c keeps. As ZSTD_decompress() and ZSTD_compress(). */
static size_t unpack(u8 *to, size_t room, const u8 *p, size_t n)
{
	ZSTD_DCtx *z = ZSTD_createDCtx();
	size_t ret = z ? ZSTD_decompressDCtx(z, to, room, p, n) : (size_t)-1;

	(void)ZSTD_freeDCtx(z);
	return ret;
}

static size_t pack(u8 *to, size_t room, const u8 *p, size_t n)
{
	ZSTD_CCtx *z = ZSTD_createCCtx();
	size_t ret = z ? ZSTD_compressCCtx(z, to, room, p, n, 1) : (size_t)-1;

	(void)ZSTD_freeCCtx(z);
	return ret;
}

/* Replaces the payload of the block at off by a mutation of it. Returns the file's new size; the old one when that fails. */
static size_t mutate_payload(u8 *data, size_t size, size_t max_size, size_t off, u32 seed)
{
	size_t n = payload_at(data + off, size - off), rest = size - off - FMT_BLOCK_HEADER - n,
	       bound = ZSTD_compressBound(MAX_RAW), packed, raw_size;
	_cleanup_free_ u8 *raw = malloc(MAX_RAW), *out = malloc(bound);
	u8 *h = data + off;
	u32 sections;
	u64 rows;

	if (!raw || !out)
		return size;
	raw_size = unpack(raw, MAX_RAW, h + FMT_BLOCK_HEADER, n);
	if (ZSTD_isError(raw_size))
		return size;
	raw_size = LLVMFuzzerMutate(raw, raw_size, MAX_RAW);
	packed = pack(out, bound, raw, raw_size);
	if (ZSTD_isError(packed) || off + FMT_BLOCK_HEADER + packed + rest > max_size)
		return size;
	memmove(h + FMT_BLOCK_HEADER + packed, h + FMT_BLOCK_HEADER + n, rest);
	memcpy(h + FMT_BLOCK_HEADER, out, packed);
	put_le(h + 16, packed, 4);
	put_le(h + 20, raw_size, 4);
	if (seed % 4) { /* let the header agree, so that the rows are handed out */
		count_sections(raw, raw_size, &sections, &rows);
		put_le(h + 24, rows, 4);
		put_le(h + 28, sections, 4);
	}
	return off + FMT_BLOCK_HEADER + packed + rest;
}

/* Types, numbers and what a copy repeats: the fields by which a reader finds its way. */
static void mutate_header(u8 *h, u32 seed)
{
	switch (seed % 4) {
	case 0:
		put_le(h + 4, 1 + seed / 4 % 5, 2);
		break;
	case 1:
		put_le(h + 8, get_le(h + 8, 8) + seed / 4 % 5 - 2, 8);
		break;
	case 2:
		put_le(h + 4, FMT_BLOCK_COPY, 2);
		put_le(h + 48, seed / 4 % 8, 8);
		break;
	default:
		put_le(h + 32 + seed / 4 % 2 * 8, seed, 8);
	}
}

/* Takes the block out, puts it once more behind itself, or makes a copy of it there. */
static size_t mutate_order(u8 *data, size_t size, size_t max_size, size_t off, u32 seed)
{
	size_t n = FMT_BLOCK_HEADER + payload_at(data + off, size - off);

	if (seed % 3 == 0) {
		memmove(data + off, data + off + n, size - off - n);
		return size - n;
	}
	if (size + n > max_size)
		return size;
	memmove(data + off + n, data + off, size - off);
	put_le(data + off + n + 8, get_le(data + off + 8, 8) + 1, 8);
	if (seed % 3 == 1) {
		put_le(data + off + n + 48, get_le(data + off + 8, 8), 8);
		put_le(data + off + n + 4, FMT_BLOCK_COPY, 2);
	}
	return size + n;
}

size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max_size, u32 seed)
{
	size_t blocks[64];
	u32 n_blocks = 0;

	for (size_t off = FMT_HEADER_SIZE; off + FMT_BLOCK_HEADER <= size && n_blocks < ARRAY_SIZE(blocks);) {
		size_t n = payload_at(data + off, size - off);

		if (n)
			blocks[n_blocks++] = off;
		off += n ? FMT_BLOCK_HEADER + n : 1;
	}
	if (n_blocks && seed % 8 == 1)
		mutate_header(data + blocks[(seed >> 8) % n_blocks], seed >> 4);
	else if (n_blocks && seed % 8 == 2)
		size = mutate_order(data, size, max_size, blocks[(seed >> 8) % n_blocks], seed >> 4);
	else if (n_blocks && seed % 8)
		size = mutate_payload(data, size, max_size, blocks[(seed >> 8) % n_blocks], seed >> 4);
	else
		size = LLVMFuzzerMutate(data, size, max_size);
	if (seed % 16 != 15) /* now and then the checksums themselves are the matter */
		repair(data, size);
	return size;
}
