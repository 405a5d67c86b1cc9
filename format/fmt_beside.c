/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fmt_beside.c: see fmt_beside.h. Both sides come here with the same values, so that what is said of them need not be right, only the same. */
#include "format/fmt_beside.h"

#include <string.h>

static u64 cell(const struct fmt_columns *s, u32 column, u32 row)
{
	return s->of[column][(size_t)row * s->step];
}

int fmt_column_named(const struct fmt_kind *k, const char *name)
{
	for (u32 i = 0; i < k->n_cols; i++)
		if (!strcmp(k->cols[i].name, name))
			return (int)i;
	return -1;
}

int fmt_beside_column(const struct fmt_columns *s, u32 c)
{
	return fmt_column_named(fmt_kind_by_id(FMT_SWITCH_OUT), s->kind->cols[c].name);
}

static u32 slot(u64 v)
{
	return (u32)v % FMT_BESIDE_SLOTS;
}

enum { OUT_TS = 0, OUT_THREAD = 1, OUT_CPU = 2 };
_Static_assert(offsetof(struct fmt_switch_out, thread) == OUT_THREAD * sizeof(u64) &&
		       offsetof(struct fmt_switch_out, cpu) == OUT_CPU * sizeof(u64),
	       "columns of switch_out");

/* From the end: slots[cpu] is the first row of that cpu, link[row] the one after it, both + 1. Then forward: what was passed is not the next any more. */
void fmt_beside_next(struct fmt_beside *b, const struct fmt_columns *s)
{
	u32 n = b->outs ? b->outs->rows : 0, at = 0;

	memset(b->slots, 0, FMT_BESIDE_SLOTS * sizeof(*b->slots));
	for (u32 i = n; i-- > 0;) {
		u32 *first = &b->slots[slot(cell(b->outs, OUT_CPU, i))];

		b->link[i] = *first;
		*first = i + 1;
	}
	for (u32 i = 0; i < s->rows; i++) {
		for (; at < n && cell(b->outs, OUT_TS, at) <= cell(s, (u32)b->ts, i); at++)
			b->slots[slot(cell(b->outs, OUT_CPU, at))] = b->link[at];
		b->next[i] = b->slots[slot(cell(s, (u32)b->cpu, i))];
	}
}

void fmt_beside_recent(struct fmt_beside *b, const struct fmt_columns *s)
{
	u32 n = b->outs ? b->outs->rows : 0, at = 0;

	memset(b->slots, 0, FMT_BESIDE_SLOTS * sizeof(*b->slots));
	memset(b->own, 0, FMT_BESIDE_SLOTS * sizeof(*b->own));
	for (u32 i = 0; i < s->rows; i++) {
		u64 ts = cell(s, (u32)b->ts, i);
		u32 k = slot(cell(s, (u32)b->thread, i)), out, own = b->own[k];

		for (; at < n && cell(b->outs, OUT_TS, at) <= ts; at++)
			b->slots[slot(cell(b->outs, OUT_THREAD, at))] = at + 1;
		out = b->slots[k];
		b->recent[i] = own && (!out || cell(s, (u32)b->ts, own - 1) >= cell(b->outs, OUT_TS, out - 1))
				       ? FMT_BESIDE_OWN + own - 1
				       : out;
		b->own[k] = i + 1;
	}
}

/* The next switch of its cpu, where that is its own thread's. 0 none. */
static u32 end_of_run(const struct fmt_beside *b, const struct fmt_columns *s, u32 i)
{
	u32 next = b->next[i];

	return next && cell(b->outs, OUT_THREAD, next - 1) == cell(s, (u32)b->thread, i) ? next : 0;
}

static u64 recent_value(const struct fmt_beside *b, const struct fmt_columns *s, u32 c, int out_column, u32 recent)
{
	if (recent & FMT_BESIDE_OWN)
		return cell(s, c, recent - FMT_BESIDE_OWN);
	return recent && out_column >= 0 ? cell(b->outs, (u32)out_column, recent - 1) : 0;
}

u64 fmt_beside_value(const struct fmt_beside *b, const struct fmt_columns *s, u32 c, int out_column, u32 i)
{
	u32 next;

	if ((int)c == b->thread)
		return b->next[i] ? cell(b->outs, OUT_THREAD, b->next[i] - 1) : i ? cell(s, c, i - 1) : 0;
	next = out_column >= 0 ? end_of_run(b, s, i) : 0;
	return next ? cell(b->outs, (u32)out_column, next - 1) : recent_value(b, s, c, out_column, b->recent[i]);
}

u64 fmt_beside_count(const struct fmt_beside *b, const struct fmt_columns *s, u32 c, int out_column, u32 i, u32 *ret_context)
{
	u32 recent = b->recent[i], next = out_column >= 0 ? end_of_run(b, s, i) : 0;
	u64 from = recent_value(b, s, c, out_column, recent), since, at, growth, span;

	*ret_context = recent ? FMT_BESIDE_CONTEXTS - 1 : FMT_BESIDE_CONTEXTS;
	if (!recent || !next)
		return from;
	since = recent_value(b, s, (u32)b->ts, OUT_TS, recent);
	growth = cell(b->outs, (u32)out_column, next - 1) - from;
	span = cell(b->outs, OUT_TS, next - 1) - since;
	at = cell(s, (u32)b->ts, i) - since;
	if (growth > UINT32_MAX || span > UINT32_MAX || !span || at > span)
		return from;
	*ret_context = growth ? 33 - (u32)__builtin_clz((u32)growth) : 1;
	return from + growth * at / span;
}
