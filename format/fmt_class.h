/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_class.h: classes of rows: rows that agree in all columns of a set are one class, so that the set costs one number a row and the values of each
 * class once a section. What a thread is, where it runs and how it waits goes together: a hundred classes say what twenty columns would. FORMAT.md
 * section 5, encodings `class` and `group`.
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "format/fmt_cursor.h"
#include "format/fmt_def.h"

struct fmt_classes {
	u32 n;	    /* classes */
	u16 *of;    /* class of each row */
	u32 *first; /* a row of each class */
	u32 rows_cap, n_members;
	u16 members[FMT_MAX_COLUMNS];
	struct class_table *table;
};

void fmt_classes_release(struct fmt_classes *k);

/*
 * Finds the classes of rows by the columns `members` (indices into a row of n_cols values). true: found, and numbered so that values and indices compress
 * well; false when there are so many that they would not pay, or no memory.
 */
bool fmt_classes_find(struct fmt_classes *k, const u64 *values, u32 n_cols, u32 rows, const u16 *members, u32 n_members);

/* Appends the class column. */
void fmt_classes_encode(const struct fmt_classes *k, u32 rows, struct buf *out);

/* Reads it: *ret_n classes, `rows` numbers below that into ret. 0 or the cursor's error. */
int fmt_classes_decode(struct fmt_cursor *c, u32 rows, u32 *ret_n, u16 *ret) __must_check;

/* What class `of` has in some column. */
struct fmt_class_value {
	u64 value;
	u32 of;
};

/* Sorts v and numbers its different values from 0: classes of equal value get equal numbers, ret[class] is the class's. n is at most FMT_MAX_CLASSES. */
void fmt_class_groups(struct fmt_class_value *v, u32 n, u16 *ret);
