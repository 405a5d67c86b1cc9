/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_coded.h: columns of a section of few rows, by a code that adapts (fmt_coder.h): FORMAT.md section 5, encodings `symbols`, `steps`, `like` and
 * `count`. Called by fmt_coded_section.c.
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "format/fmt_beside.h"
#include "format/fmt_class.h"
#include "format/fmt_coder.h"
#include "format/fmt_cursor.h"
#include "format/fmt_def.h"

/* A column as symbols: which of its n different values, in ascending order, a row has. */
struct fmt_symbols {
	u32 n; /* 0: the column is not one of symbols */
	u16 *of;
};

/*
 * Appends a column of symbols. values: ascending, each once, s->n of them. given: the column whose symbol of the same row is the context, or s itself: that
 * of the row before; NULL: none. Where given has too many symbols it is not used. probs has room for FMT_MAX_PROBS.
 */
struct fmt_given {
	u32 column; /* id */
	const struct fmt_symbols *symbols;
};
void fmt_symbols_put(const u64 *values, const struct fmt_symbols *s, u32 rows, struct fmt_given given, struct fmt_prob *probs,
		     struct buf *out);

/* The latest value of a group. */
struct fmt_last {
	u64 at;
	bool seen;
};

/* Appends a column of steps: differences within the groups of `group` (column 0: one group), around multiples of period (0: none). last: a value for each symbol. */
void fmt_steps_put(const u64 *v, u32 rows, struct fmt_given group, u64 period, struct fmt_prob *probs, struct fmt_last *last,
		   struct buf *out);

/* The period that columns of times may have, ns; 0 none worth it. v, rows: as fmt_steps_put(). tmp: rows values. */
u64 fmt_steps_period(const u64 *v, u32 rows, struct fmt_given group, struct fmt_last *last, u64 *tmp);

/*
 * Append a column c of s by the switches beside it: b has next, and but for the column of threads recent. like: values that are mostly the same as there; count:
 * a counter that only grows.
 */
void fmt_like_put(const struct fmt_columns *s, u32 c, const struct fmt_beside *b, struct fmt_given given, struct fmt_prob *probs,
		  struct buf *out);
void fmt_count_put(const struct fmt_columns *s, u32 c, const struct fmt_beside *b, struct fmt_prob *probs, struct buf *out);

/* Memory of a reader for one section. */
struct fmt_coded {
	struct fmt_prob *probs; /* FMT_MAX_PROBS */
	u64 *values;		/* FMT_MAX_CLASSES */
	struct fmt_last *last;	/* as many */
};

/*
 * Read all of c, from behind the id of the column that it goes by, into ret, a value for each row. s: how far the section is decoded; ret is its column `column`. 0 or the
 * cursor's error.
 */
int fmt_symbols_get(struct fmt_cursor *c, const struct fmt_coded *k, const struct fmt_symbols *given, bool own, u32 rows,
		    struct fmt_symbols *ret_symbols, u64 *ret) __must_check;
int fmt_steps_get(struct fmt_cursor *c, const struct fmt_coded *k, const struct fmt_symbols *group, u32 rows,
		  u64 *ret) __must_check;
int fmt_like_get(struct fmt_cursor *c, const struct fmt_coded *k, const struct fmt_columns *s, u32 column,
		 const struct fmt_beside *b, const struct fmt_symbols *given, u64 *ret) __must_check;
int fmt_count_get(struct fmt_cursor *c, const struct fmt_coded *k, const struct fmt_columns *s, u32 column,
		  const struct fmt_beside *b, u64 *ret) __must_check;
