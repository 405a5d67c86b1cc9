/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fmt_order.c: the events of a block, which lie by kind, in the order of time. Part of fmt_reader.h. */
#include <errno.h>

#include "format/fmt_reader_impl.h"

/* At equal times: whatever else happened, then switch-outs, then switch-ins: one sched_switch gives an out and an in of the same instant. */
static int event_rank(u32 kind_id)
{
	return kind_id == FMT_SWITCH_IN ? 2 : kind_id == FMT_SWITCH_OUT ? 1 : 0;
}

struct sort_key {
	u64 ts;
	u64 order; /* rank, section, row */
};

static int compare_keys(const void *a, const void *b)
{
	const struct sort_key *x = a, *y = b;

	if (x->ts != y->ts)
		return x->ts < y->ts ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

int fmt_block_events(struct fmt_reader *r, const struct fmt_block *b, const struct fmt_ref **ret)
{
	struct sort_key *keys;
	struct fmt_ref *refs;
	size_t n = 0, max = 0;

	for (u32 s = 0; s < b->n_sections; s++)
		if (b->sections[s].kind && b->sections[s].kind->is_event)
			max += b->sections[s].rows;
	keys = fmt_arena_alloc(&r->arena, (max + 1) * sizeof(*keys));
	refs = fmt_arena_alloc(&r->arena, (max + 1) * sizeof(*refs));
	if (!keys || !refs)
		return -ENOMEM;
	for (u32 s = 0; s < b->n_sections; s++) {
		const struct fmt_section *sec = &b->sections[s];

		if (!sec->kind || !sec->kind->is_event)
			continue;
		for (u32 i = 0; i < sec->rows; i++)
			keys[n++] = (struct sort_key){
				.ts = sec->cols[0][i],
				.order = (u64)event_rank(sec->kind_id) << 60 | (u64)s << 32 | i,
			};
	}
	qsort(keys, n, sizeof(*keys), compare_keys);
	for (size_t i = 0; i < n; i++)
		refs[i] = (struct fmt_ref){
			.ts = keys[i].ts,
			.section = (u32)(keys[i].order >> 32) & 0xff,
			.row = (u32)keys[i].order,
		};
	*ret = refs;
	return (int)n;
}
