/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* tally.c: see tally.h. On the path of every row: no search, no allocation but for a growing table of stacks. */
#include "record/tally.h"

#include <stdlib.h>

#include "base/array.h"
#include "format/fmt_schema.h"

/* Flags beside a status in stack_of. */
#define IS_KNOWN   0x80
#define IS_KERNEL  0x40
#define IS_GUESSED 0x20

void tally_release(struct tally *t)
{
	free(t->stack_of);
	t->stack_of = NULL;
	t->cap_stacks = 0;
}

/* An index keeps its first meaning, as for readers. */
static void note_stack(struct tally *t, const struct fmt_stack *s)
{
	if (s->idx > FMT_MAX_ID || ARRAY_ROOM(t->stack_of, s->idx, &t->cap_stacks) < 0) {
		t->is_wrong = true;
		return;
	}
	if (t->stack_of[s->idx])
		return;
	t->stack_of[s->idx] =
		(u8)(IS_KNOWN | (s->kind == FMT_STACK_KERNEL ? IS_KERNEL : 0) | (s->fp_from ? IS_GUESSED : 0) |
		     (s->status >= FMT_STACK_WHOLE && s->status < FMT_STACK_STATUS_END ? s->status : FMT_STACK_TRUNCATED));
}

/* Of a sample with a pc and without callers the innermost address is all that is known: status 0. */
static void count_stack(struct tally *t, u64 ustack, u64 pc)
{
	u8 s = ustack < t->cap_stacks ? t->stack_of[ustack] : 0;

	if (s & IS_KNOWN && !(s & IS_KERNEL)) {
		t->stacks[s & (IS_GUESSED - 1)]++;
		t->stacks_guessed += s & IS_GUESSED ? 1 : 0;
	} else if (pc) {
		t->stacks[0]++;
	}
}

static void count_context(struct tally *t, u64 status)
{
	t->contexts += status == FMT_CTX_READ || status == FMT_CTX_UNREAD;
	t->contexts_unread += status == FMT_CTX_UNREAD;
}

static void count_gap(struct tally *t, const struct fmt_gap *g)
{
	u32 i = 0;

	while (i < t->n_gaps && t->gaps[i].cause != g->cause)
		i++;
	if (i == TALLY_CAUSES) {
		t->is_wrong = true;
		return;
	}
	t->gaps[i].cause = g->cause;
	t->gaps[i].count += g->count;
	t->n_gaps = (u32)max_u64(t->n_gaps, i + 1);
}

static void note_clock(struct tally *t, const struct fmt_clock *c)
{
	if (!t->has_clock)
		t->realtime_offset = c->realtime - c->ts;
	t->has_clock = true;
}

_Static_assert(FMT_STACK_STATUS_END <= IS_GUESSED, "a status fits beside the flags");

void tally_row(void *ctx, enum fmt_kind_id kind, const void *row)
{
	struct tally *t = ctx;

	t->events += fmt_is_recorded_event(kind);
	switch (kind) {
	case FMT_STACK:
		note_stack(t, row);
		break;
	case FMT_SWITCH_OUT:
		count_context(t, ((const struct fmt_switch_out *)row)->ctx_status);
		if (((const struct fmt_switch_out *)row)->ustack)
			count_stack(t, ((const struct fmt_switch_out *)row)->ustack, 0);
		break;
	case FMT_SAMPLE:
		count_context(t, ((const struct fmt_sample *)row)->ctx_status);
		if (((const struct fmt_sample *)row)->ustack || ((const struct fmt_sample *)row)->pc)
			count_stack(t, ((const struct fmt_sample *)row)->ustack, ((const struct fmt_sample *)row)->pc);
		break;
	case FMT_SNAPSHOT:
		count_context(t, ((const struct fmt_snapshot *)row)->ctx_status);
		break;
	case FMT_GAP:
		count_gap(t, row);
		break;
	case FMT_CLOCK:
		note_clock(t, row);
		break;
	default:
		break;
	}
}
