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

#define ID(kind, member)	     ((u8)(offsetof(struct fmt_##kind, member) / sizeof(u64) + 1))
#define SYMBOLS(kind, member, given) {ID(kind, member), FMT_ENC_SYMBOLS, given}
#define STEPS(kind, member, given)   {ID(kind, member), FMT_ENC_STEPS, given}

static const struct plan sample_plan[] = {
	SYMBOLS(sample, cpu, ID(sample, cpu)),
	SYMBOLS(sample, thread, ID(sample, cpu)),
	SYMBOLS(sample, mode, 0),
	SYMBOLS(sample, context, ID(sample, thread)),
	SYMBOLS(sample, runtime, ID(sample, thread)),
	SYMBOLS(sample, core, ID(sample, thread)),
	SYMBOLS(sample, budget, ID(sample, mode)),
	SYMBOLS(sample, park, ID(sample, budget)),
	SYMBOLS(sample, ustack, ID(sample, budget)),
	SYMBOLS(sample, kstack, ID(sample, mode)),
	SYMBOLS(sample, pc, ID(sample, budget)),
	STEPS(sample, task, ID(sample, thread)),
	STEPS(sample, tick, ID(sample, thread)),
	STEPS(sample, ts, ID(sample, cpu)),
};

/* Memory for one section. */
struct coded_work {
	const struct fmt_rows *r;
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

/* With the period that the values seem to have, and without: whatever takes less. */
static void put_steps(struct coded_work *w, u32 c, u32 by, struct buf *out)
{
	struct fmt_given g = given(w, by);
	size_t start = out->len, mid, n;
	u64 period = c ? 0 : fmt_steps_period(w->column, w->r->rows, g, w->last, w->tmp);

	fmt_steps_put(w->column, w->r->rows, g, 0, w->probs, w->last, out);
	if (!period)
		return;
	mid = out->len;
	fmt_steps_put(w->column, w->r->rows, g, period, w->probs, w->last, out);
	n = out->len - mid;
	if (buf_err(out))
		return;
	if (n < mid - start)
		memmove(out->data + start, out->data + mid, n);
	out->len = n < mid - start ? start + n : mid;
}

static void put_column(struct coded_work *w, const struct plan *p, struct buf *directory, struct buf *data)
{
	enum fmt_encoding enc = (enum fmt_encoding)p->enc;
	size_t start = data->len;

	if (!take_column(w, p->column - 1u)) {
		enc = FMT_ENC_CONST;
		buf_put_uvarint(data, w->column[0]);
	} else if (enc == FMT_ENC_SYMBOLS) {
		put_symbols(w, p->column - 1u, p->given, data);
	} else {
		put_steps(w, p->column - 1u, p->given, data);
	}
	put_entry(directory, p->column, enc, data->len - start);
}

void fmt_coded_section_encode(const struct fmt_rows *r, struct buf *directory, struct buf *data)
{
	_cleanup_free_ struct coded_work *w = malloc(sizeof(*w) + (size_t)r->rows * r->kind->n_cols * sizeof(u16));
	u64 done = 0;

	if (!w) {
		data->err = data->err ? data->err : -ENOMEM;
		return;
	}
	w->r = r;
	memset(w->symbols, 0, sizeof(w->symbols));
	for (u32 i = 0; i < ARRAY_SIZE(sample_plan); i++) {
		put_column(w, &sample_plan[i], directory, data);
		done |= 1ULL << (sample_plan[i].column - 1);
	}
	for (u32 c = 0; c < r->kind->n_cols; c++)
		if (!(done >> c & 1))
			put_column(w, &(struct plan){(u8)(c + 1), FMT_ENC_SYMBOLS, 0}, directory, data);
}
