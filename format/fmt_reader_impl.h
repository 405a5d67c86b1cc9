/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fmt_reader_impl.h: the inside of a reader, for fmt_reader.c, fmt_reader_block.c and fmt_order.c only. */
#pragma once

#include <zstd.h>

#include "format/fmt_block.h"
#include "format/fmt_codec.h"
#include "format/fmt_reader.h"
#include "format/fmt_source.h"

struct reader_bytes {
	u8 *p;
	size_t cap;
};

/* Lost blocks numbered [next, end) whose copies are still to be looked for. */
struct reader_hole {
	bool open;
	u64 next, end;
	u64 recovered;
	struct fmt_damage damage; /* told when the hole is closed */
};

/* How far copies have been looked for. */
struct reader_ahead {
	u64 off;
	bool has_copy; /* h is the header of a copy at off, not used yet */
	struct fmt_block_header h;
};

struct fmt_reader {
	struct fmt_source src;
	u64 first_block; /* its offset */
	bool header_mended, header_to_tell;
	u64 off;
	u64 next_seq;
	bool at_end;
	struct fmt_file_info info;
	struct fmt_health health;

	bool partial; /* fmt_reader_want() was called */
	struct fmt_want want;

	void (*on_damage)(void *ctx, const struct fmt_damage *d);
	void *on_damage_ctx;
	bool has_bad; /* bytes in which no header holds, [bad.off, bad.end), and what is behind them is still to be seen */
	struct fmt_damage bad;
	u64 told_to;   /* the end of the last damage that was told */
	bool end_told; /* and that the file ends there was part of it */
	struct reader_hole hole;
	struct reader_ahead ahead;
	u64 inner_budget; /* bytes of damaged payloads that may still be searched for headers */

	ZSTD_DCtx *zstd;
	struct reader_bytes payload, raw; /* of one block */
	struct fmt_arena arena;
	struct fmt_section *sections; /* FMT_MAX_SECTIONS */
};

/* Bytes of a block in the file. */
static inline u64 reader_stored_size(const struct fmt_block_header *h)
{
	return FMT_BLOCK_HEADER + (u64)h->payload_size;
}

/* The header at off: 1 it holds and belongs to this capture; 0 not, and *ret_what says why; -errno. */
int reader_header_at(struct fmt_reader *r, u64 off, struct fmt_block_header *ret, const char **ret_what) __must_check;

/* The next place in [from, to) at which a header holds. 1; 0 and the end of the file; -errno. */
int reader_find_header(struct fmt_reader *r, u64 from, u64 to, u64 *ret_off) __must_check;

/* Reads the payload of the block at off, whose header holds, into r->payload: 0, -EBADMSG and *ret_what, -ENOMEM, -EIO. */
int reader_read_payload(struct fmt_reader *r, u64 off, const struct fmt_block_header *h, const char **ret_what) __must_check;

/* The same, and decodes it: *ret is the reader's until the next call. */
int reader_load_block(struct fmt_reader *r, u64 off, const struct fmt_block_header *h, struct fmt_block *ret,
		      const char **ret_what) __must_check;
