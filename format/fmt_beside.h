/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_beside.h: what a block's switches say of its samples: FORMAT.md section 5, "Beside switches". The switch that ends the run in which a sample was taken is
 * the next one of its cpu: whose it is, and how the runtime stood then, is mostly the sample's as well. Called by fmt_coded_section.c and fmt_coded.c.
 */
#pragma once

#include "base/base.h"
#include "format/fmt_schema.h"

/* Rows whose columns are `step` values apart, each. */
struct fmt_columns {
	const struct fmt_kind *kind;
	u32 rows, step;
	const u64 *of[FMT_MAX_COLUMNS];
};

enum { FMT_BESIDE_SLOTS = 4096 }; /* cpus and threads go by their lower 12 bits: a collision costs bytes, no more */

#define FMT_BESIDE_OWN (1u << 31)

struct fmt_beside {
	const struct fmt_columns *outs; /* switch_out of the same block; NULL none */
	int ts, thread, cpu;		/* columns of the section */
	u32 *next;			/* of each row: 1 + row of outs; 0 none */
	u32 *recent;			/* 1 + row of outs, FMT_BESIDE_OWN + row of the section; 0 none */
	u32 *link;			/* outs->rows; memory, as are: */
	u32 *slots, *own;		/* FMT_BESIDE_SLOTS each */
};

/* The column of k that is called so, or -1. */
int fmt_column_named(const struct fmt_kind *k, const char *name);

/* The column of switch_out that has the name of column c, or -1. */
int fmt_beside_column(const struct fmt_columns *s, u32 c);

/* Fill next, and recent; s: the section, whose ts and cpu (ts and thread) are known. */
void fmt_beside_next(struct fmt_beside *b, const struct fmt_columns *s);
void fmt_beside_recent(struct fmt_beside *b, const struct fmt_columns *s);

/* What column c of row i may be: that of the next switch when that is of the same thread, else of the thread's latest row. 0 when there is none. */
u64 fmt_beside_value(const struct fmt_beside *b, const struct fmt_columns *s, u32 c, int out_column, u32 i);

/* What a counter that only grows may be. *ret_context: how far off it can be, 1..FMT_BESIDE_CONTEXTS. */
enum { FMT_BESIDE_CONTEXTS = 35 };
u64 fmt_beside_count(const struct fmt_beside *b, const struct fmt_columns *s, u32 c, int out_column, u32 i, u32 *ret_context);
