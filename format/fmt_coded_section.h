/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_coded_section.h: the columns of a section that go by a code that adapts (fmt_coded.h): which, and by what, which is a writer's choice; and how they are read,
 * whatever was chosen. Called by fmt_codec.c.
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "format/fmt_beside.h"
#include "format/fmt_codec.h"
#include "format/fmt_coded.h"

/* Whether the section is of a kind, and of so few rows, that it is written so. */
bool fmt_coded_section_fits(const struct fmt_rows *r);

/*
 * outs: rows of switch_out that are written before it in the same block; NULL none. Appends the columns to data and their entries to directory, in an order of its
 * own, and returns how many: those that are 0 in every row are left out. Both buffers have sticky errors.
 */
u32 fmt_coded_section_encode(const struct fmt_rows *r, const struct fmt_rows *outs, struct buf *directory, struct buf *data);

/* What is known of a section while its columns are read. All zero but for the first three. */
struct fmt_coded_reader {
	struct fmt_arena *a;
	struct fmt_section *s;		/* cols: NULL what is not read yet */
	const struct fmt_section *outs; /* switch_out in front of it in the same block; NULL none */
	struct fmt_coded memory;
	struct fmt_symbols symbols[FMT_MAX_COLUMNS];
	struct fmt_columns columns, out_columns;
	struct fmt_beside beside;
	bool has_recent;
};

/* Reads all of c, column `column` in one of the encodings symbols, steps, like and count, into ret, which is s->cols[column]. 0, the cursor's error, -ENOMEM. */
int fmt_coded_read(struct fmt_coded_reader *k, struct fmt_cursor *c, u32 column, u8 enc, u64 *ret) __must_check;
