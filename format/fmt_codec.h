/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fmt_codec.h: one kind's rows to bytes and back: the column directory and the columns. FORMAT.md sections 4 and 5. */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "format/fmt_cursor.h"
#include "format/fmt_reader.h"
#include "format/fmt_schema.h"

/* Rows of one kind waiting to be encoded: row-major, n_cols u64 each. */
struct fmt_rows {
	const struct fmt_kind *kind;
	u64 *values; /* rows * kind->n_cols */
	u32 rows, cap;
	u32 *payload_off;   /* rows + 1 */
	struct buf payload; /* bytes, or u64 elements */
};

void fmt_rows_release(struct fmt_rows *r);
void fmt_rows_clear(struct fmt_rows *r);

/* Appends a row; payload is n bytes or n u64 as the kind says. 0, -ENOMEM, -EFBIG (over a limit of fmt_def.h). */
int fmt_rows_add(struct fmt_rows *r, const void *row, const void *payload, size_t n) __must_check;

/*
 * Appends the section to out (whose sticky error the caller checks). outs: rows of switch_out that are in front of it in the same block, or NULL. scratch is
 * reused between calls.
 */
void fmt_section_encode(const struct fmt_rows *r, const struct fmt_rows *outs, struct buf *scratch, struct buf *out);

/* Memory that one decoded block lives in: freed or reused as a whole. */
struct fmt_arena {
	struct fmt_chunks {
		u8 **at;
		size_t n, cap, bytes;
	} chunks, big;	  /* of one size, and what does not fit into one */
	size_t used, cur; /* in chunk cur */
	u64 cells;	  /* values decoded since the last reset, held below FMT_MAX_CELLS */
};

void *fmt_arena_take(struct fmt_arena *a, size_t n);  /* not zeroed, 16-aligned; NULL on ENOMEM */
void *fmt_arena_alloc(struct fmt_arena *a, size_t n); /* zeroed, 16-aligned; NULL on ENOMEM */
void fmt_arena_reset(struct fmt_arena *a);	      /* forget everything, keep the memory of ordinary size */
void fmt_arena_release(struct fmt_arena *a);

/*
 * Decodes the next section. outs: the section of switch_out in front of it in the same block, or NULL. Unknown kinds and columns are skipped, columns that are absent read 0. 0, -EBADMSG / -ENODATA (c->what says where), -ENOMEM.
 */
int fmt_section_decode(struct fmt_cursor *c, struct fmt_arena *a, const struct fmt_section *outs,
		       struct fmt_section *ret) __must_check;
