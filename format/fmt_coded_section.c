/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_coded_section.c: see fmt_coded_section.h.
 *
 * A plan says, per kind, in which order columns are written and what each is read in the light of: what it goes by must stand before it. The plan of
 * samples is what took fewest bytes of several tried (doc/bench.md); a column without a line in it comes last, as symbols without a context.
 */
#include "format/fmt_coded_section.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "format/fmt_coded.h"

struct plan {
	u8 column; /* id */
	u8 enc;
	u8 given; /* id of the column whose symbols are contexts or groups; 0 none */
};

#define ID(kind, member) ((u8)(offsetof(struct fmt_##kind, member) / sizeof(u64) + 1))
#define SYMBOLS(kind, member, given)                                                                                             \
	{                                                                                                                        \
		ID(kind, member), FMT_ENC_SYMBOLS, given                                                                         \
	}
#define LIKE(kind, member, given)                                                                                                \
	{                                                                                                                        \
		ID(kind, member), FMT_ENC_LIKE, given                                                                            \
	}
#define COUNT(kind, member)                                                                                                      \
	{                                                                                                                        \
		ID(kind, member), FMT_ENC_COUNT, 0                                                                               \
	}
#define STEPS(kind, member, given)                                                                                               \
	{                                                                                                                        \
		ID(kind, member), FMT_ENC_STEPS, given                                                                           \
	}

static const struct plan sample_plan[] = {
	SYMBOLS(sample, cpu, ID(sample, cpu)),
	STEPS(sample, ts, ID(sample, cpu)),
	LIKE(sample, thread, 0),
	LIKE(sample, ctx_status, 0),
	LIKE(sample, context, 0),
	LIKE(sample, runtime, 0),
	SYMBOLS(sample, mode, 0),
	SYMBOLS(sample, budget, ID(sample, mode)),
	SYMBOLS(sample, park, ID(sample, budget)),
	LIKE(sample, core, ID(sample, park)),
	LIKE(sample, task, ID(sample, budget)),
	COUNT(sample, tick),
	SYMBOLS(sample, ustack, ID(sample, budget)),
	SYMBOLS(sample, kstack, ID(sample, mode)),
	SYMBOLS(sample, pc, ID(sample, ustack)),
};

/* ---- put ---- */

/* Memory for one section. `outs` is of no use where its kind has no ts, thread and cpu: it has, by its plan. */
struct coded_work {
	const struct fmt_rows *r;
	struct fmt_columns section, outs;
	struct fmt_beside beside;
	u32 put; /* columns written */
	u32 slots[FMT_BESIDE_SLOTS], own[FMT_BESIDE_SLOTS], next[FMT_MAX_CODED], recent[FMT_MAX_CODED];
	u64 column[FMT_MAX_CODED], values[FMT_MAX_CODED], tmp[FMT_MAX_CODED];
	struct fmt_class_value sorted[FMT_MAX_CODED];
	struct fmt_last last[FMT_MAX_CODED];
	struct fmt_symbols symbols[FMT_MAX_COLUMNS];
	struct fmt_prob probs[FMT_MAX_PROBS];
	u16 of[]; /* rows x columns */
};

_Static_assert(FMT_MAX_CODED <= FMT_MAX_CLASSES, "symbols are numbered as classes are");

bool fmt_coded_section_fits(const struct fmt_rows *r)
{
	return r->kind->id == FMT_SAMPLE && r->rows <= FMT_MAX_CODED;
}

static void put_entry(struct buf *out, u32 column_id, enum fmt_encoding enc, size_t size)
{
	buf_put_uvarint(out, column_id);
	buf_putc(out, (u8)enc);
	buf_put_uvarint(out, size);
}

/* Column c's values into w->column; false when they are all equal. */
static bool take_column(struct coded_work *w, u32 c)
{
	u64 differ = 0;

	for (u32 i = 0; i < w->r->rows; i++) {
		w->column[i] = w->r->values[(size_t)i * w->r->kind->n_cols + c];
		differ |= w->column[i] ^ w->column[0];
	}
	return differ;
}

/* What column `id` says of each row, if it was written as symbols. */
static struct fmt_given given(const struct coded_work *w, u32 id)
{
	if (!id || !w->symbols[id - 1].n)
		return (struct fmt_given){0};
	return (struct fmt_given){.column = id, .symbols = &w->symbols[id - 1]};
}

static void put_symbols(struct coded_work *w, u32 c, u32 by, struct buf *out)
{
	struct fmt_symbols *s = &w->symbols[c];

	s->of = w->of + (size_t)c * w->r->rows;
	for (u32 i = 0; i < w->r->rows; i++)
		w->sorted[i] = (struct fmt_class_value){.value = w->column[i], .of = i};
	fmt_class_groups(w->sorted, w->r->rows, s->of);
	for (u32 i = 0; i < w->r->rows; i++)
		if (!i || w->sorted[i].value != w->sorted[i - 1].value)
			w->values[s->n++] = w->sorted[i].value;
	fmt_symbols_put(w->values, s, w->r->rows, given(w, by), w->probs, out);
}

/* What was appended to out from mid on in place of what is there from start on, if it is shorter; else it is taken back. */
static bool keep_shorter(struct buf *out, size_t start, size_t mid)
{
	size_t n = out->len - mid;
	bool shorter = n < mid - start;

	if (buf_err(out))
		return false;
	if (shorter)
		memmove(out->data + start, out->data + mid, n);
	out->len = shorter ? start + n : mid;
	return shorter;
}

/* With the period that the values seem to have, and without: whatever takes less. */
static void put_steps(struct coded_work *w, u32 c, u32 by, struct buf *out)
{
	struct fmt_given g = given(w, by);
	size_t start = out->len, mid;
	u64 period = c ? 0 : fmt_steps_period(w->column, w->r->rows, g, w->last, w->tmp);

	fmt_steps_put(w->column, w->r->rows, g, 0, w->probs, w->last, out);
	if (!period)
		return;
	mid = out->len;
	fmt_steps_put(w->column, w->r->rows, g, period, w->probs, w->last, out);
	(void)keep_shorter(out, start, mid);
}

/* Columns that others are read in the light of. */
static bool must_be_there(const struct coded_work *w, u32 c)
{
	return (int)c == w->beside.ts || (int)c == w->beside.thread || (int)c == w->beside.cpu;
}

/* Mostly as the switches say; or, where that is seldom so, as symbols. */
static enum fmt_encoding put_like(struct coded_work *w, u32 c, u32 by, struct buf *out)
{
	size_t start = out->len, mid;

	fmt_like_put(&w->section, c, &w->beside, given(w, by), w->probs, out);
	mid = out->len;
	put_symbols(w, c, by, out);
	if (keep_shorter(out, start, mid))
		return FMT_ENC_SYMBOLS;
	w->symbols[c].n = 0;
	return FMT_ENC_LIKE;
}

static void put_column(struct coded_work *w, const struct plan *p, struct buf *directory, struct buf *data)
{
	enum fmt_encoding enc = (enum fmt_encoding)p->enc;
	size_t start = data->len;

	if (!take_column(w, p->column - 1u)) {
		if (!w->column[0] && !must_be_there(w, p->column - 1u))
			return; /* it reads 0 where it is absent: four bytes a block less, which is much where a block has few samples */
		enc = FMT_ENC_CONST;
		buf_put_uvarint(data, w->column[0]);
	} else if (enc == FMT_ENC_SYMBOLS) {
		put_symbols(w, p->column - 1u, p->given, data);
	} else if (enc == FMT_ENC_STEPS) {
		put_steps(w, p->column - 1u, p->given, data);
	} else if (enc == FMT_ENC_LIKE) {
		enc = put_like(w, p->column - 1u, p->given, data);
	} else {
		fmt_count_put(&w->section, p->column - 1u, &w->beside, w->probs, data);
	}
	put_entry(directory, p->column, enc, data->len - start);
	w->put++;
}

static void as_columns(const struct fmt_rows *r, struct fmt_columns *ret)
{
	*ret = (struct fmt_columns){.kind = r->kind, .rows = r->rows, .step = r->kind->n_cols};
	for (u32 c = 0; r->rows && c < r->kind->n_cols; c++) /* without rows there are no values */
		ret->of[c] = r->values + c;
}

static void look_beside(struct coded_work *w, const struct fmt_rows *outs, u32 *link)
{
	as_columns(w->r, &w->section);
	if (outs)
		as_columns(outs, &w->outs);
	w->beside = (struct fmt_beside){.outs = outs ? &w->outs : NULL,
					.ts = fmt_column_named(w->r->kind, "ts"),
					.thread = fmt_column_named(w->r->kind, "thread"),
					.cpu = fmt_column_named(w->r->kind, "cpu"),
					.next = w->next,
					.recent = w->recent,
					.link = link,
					.slots = w->slots,
					.own = w->own};
	fmt_beside_next(&w->beside, &w->section);
	fmt_beside_recent(&w->beside, &w->section);
}

u32 fmt_coded_section_encode(const struct fmt_rows *r, const struct fmt_rows *outs, struct buf *directory, struct buf *data)
{
	_cleanup_free_ struct coded_work *w = malloc(sizeof(*w) + (size_t)r->rows * r->kind->n_cols * sizeof(u16));
	_cleanup_free_ u32 *link = malloc((outs ? outs->rows : 0) * sizeof(*link) + 1);
	u64 done = 0;

	if (!w || !link) {
		data->err = data->err ? data->err : -ENOMEM;
		return 0;
	}
	w->r = r;
	w->put = 0;
	memset(w->symbols, 0, sizeof(w->symbols));
	look_beside(w, outs, link);
	for (u32 i = 0; i < ARRAY_SIZE(sample_plan); i++) {
		put_column(w, &sample_plan[i], directory, data);
		done |= 1ULL << (sample_plan[i].column - 1);
	}
	for (u32 c = 0; c < r->kind->n_cols; c++)
		if (!(done >> c & 1))
			put_column(w, &(struct plan){(u8)(c + 1), FMT_ENC_SYMBOLS, 0}, directory, data);
	return w->put;
}

/* ---- get ---- */

static void section_columns(const struct fmt_section *s, struct fmt_columns *ret)
{
	*ret = (struct fmt_columns){.kind = s->kind, .rows = s->rows, .step = 1};
	for (u32 c = 0; c < s->kind->n_cols; c++)
		ret->of[c] = s->cols[c];
}

/* A column of a code takes longer than others of as many rows, and counts for more. */
enum { SYMBOL_CELLS = 8, NUMBER_CELLS = 16 };

static int charge(struct fmt_cursor *c, struct fmt_arena *a, u64 cells)
{
	a->cells += cells;
	return a->cells > FMT_MAX_CELLS ? cur_fail(c, -EBADMSG, "too many values in one block") : 0;
}

static int memory_new(struct fmt_coded_reader *k)
{
	if (k->memory.probs)
		return 0;
	k->memory.values = fmt_arena_take(k->a, FMT_MAX_CLASSES * sizeof(*k->memory.values));
	k->memory.last = fmt_arena_take(k->a, FMT_MAX_CLASSES * sizeof(*k->memory.last));
	k->memory.probs = fmt_arena_take(k->a, FMT_MAX_PROBS * sizeof(*k->memory.probs));
	return k->memory.values && k->memory.last && k->memory.probs ? 0 : -ENOMEM;
}

/* The symbols of column g; of column 0, and of a column of symbols itself (is_own), with which they are on the way, nothing. */
static int given_of(const struct fmt_coded_reader *k, struct fmt_cursor *c, u64 g, bool is_own, const struct fmt_symbols **ret)
{
	*ret = NULL;
	if (!g || is_own)
		return 0;
	if (g > FMT_MAX_COLUMNS || !k->symbols[g - 1].n)
		return cur_fail(c, -EBADMSG, "a code goes by a column without symbols");
	*ret = &k->symbols[g - 1];
	return 0;
}

/* `column` is the one that is read: it has a place already, but no values. */
static int beside_new(struct fmt_coded_reader *k, struct fmt_cursor *c, u32 column)
{
	struct fmt_beside *b = &k->beside;
	u32 rows = k->s->rows, outs = k->outs ? k->outs->rows : 0;
	int err = charge(c, k->a, outs);

	if (err)
		return err;
	b->ts = fmt_column_named(k->s->kind, "ts");
	b->thread = fmt_column_named(k->s->kind, "thread");
	b->cpu = fmt_column_named(k->s->kind, "cpu");
	if (b->ts < 0 || b->thread < 0 || b->cpu < 0 || !k->s->cols[b->ts] || !k->s->cols[b->cpu] || (int)column == b->ts ||
	    (int)column == b->cpu)
		return cur_fail(c, -EBADMSG, "no time and cpu in front of a column that goes by switches");
	b->next = fmt_arena_take(k->a, (2ULL * rows + outs + 2ULL * FMT_BESIDE_SLOTS) * sizeof(u32));
	if (!b->next)
		return -ENOMEM;
	b->recent = b->next + rows;
	b->link = b->recent + rows;
	b->slots = b->link + outs;
	b->own = b->slots + FMT_BESIDE_SLOTS;
	if (k->outs) {
		section_columns(k->outs, &k->out_columns);
		b->outs = &k->out_columns;
	}
	fmt_beside_next(b, &k->columns);
	return 0;
}

/*
 * What the switches say of a row: of its thread when it is known where it was and when, of all else when it is known which thread it is. A counter goes
 * by the recent row, which a thread has none of before it is known.
 */
static int look(struct fmt_coded_reader *k, struct fmt_cursor *c, u32 column, u8 enc)
{
	struct fmt_beside *b = &k->beside;
	int err;

	section_columns(k->s, &k->columns);
	err = b->next ? 0 : beside_new(k, c, column);
	if (err || ((int)column == b->thread && enc == FMT_ENC_LIKE))
		return err;
	if (!k->s->cols[b->thread] || (int)column == b->thread)
		return cur_fail(c, -EBADMSG, "no thread in front of a column that goes by switches");
	if (!k->has_recent)
		fmt_beside_recent(b, &k->columns);
	k->has_recent = true;
	return 0;
}

int fmt_coded_read(struct fmt_coded_reader *k, struct fmt_cursor *c, u32 column, u8 enc, u64 *ret)
{
	u32 rows = k->s->rows;
	const struct fmt_symbols *given = NULL;
	u64 g = enc == FMT_ENC_COUNT ? 0 : cur_uvarint(c, "column that a code goes by");
	bool is_own = enc == FMT_ENC_SYMBOLS && g == column + 1ULL;
	int err = rows > FMT_MAX_CODED ? cur_fail(c, -EBADMSG, "too many rows for a code") : c->err;

	err = err ? err : charge(c, k->a, (u64)rows * (enc == FMT_ENC_SYMBOLS ? SYMBOL_CELLS : NUMBER_CELLS));
	err = err ? err : memory_new(k);
	err = err ? err : given_of(k, c, g, is_own, &given);
	if (!err && (enc == FMT_ENC_LIKE || enc == FMT_ENC_COUNT))
		err = look(k, c, column, enc);
	if (err)
		return err;
	switch (enc) {
	case FMT_ENC_SYMBOLS:
		k->symbols[column].of = fmt_arena_take(k->a, rows * sizeof(u16) + 1);
		if (!k->symbols[column].of)
			return -ENOMEM;
		return fmt_symbols_get(c, &k->memory, given, is_own, rows, &k->symbols[column], ret);
	case FMT_ENC_STEPS:
		return fmt_steps_get(c, &k->memory, given, rows, ret);
	case FMT_ENC_LIKE:
		return fmt_like_get(c, &k->memory, &k->columns, column, &k->beside, given, ret);
	default:
		return fmt_count_get(c, &k->memory, &k->columns, column, &k->beside, ret);
	}
}
