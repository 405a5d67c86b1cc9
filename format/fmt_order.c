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

static bool is_before(const struct sort_key *x, const struct sort_key *y)
{
	return x->ts != y->ts ? x->ts < y->ts : x->order < y->order;
}

/* Behind the last key of the run that begins at `from`: keys that are in order already. */
static size_t run_end(const struct sort_key *v, size_t from, size_t n)
{
	size_t i = from + 1;

	while (i < n && is_before(&v[i - 1], &v[i]))
		i++;
	return i;
}

static void merge(const struct sort_key *a, const struct sort_key *a_end, const struct sort_key *b, const struct sort_key *b_end,
		  struct sort_key *out)
{
	while (a < a_end && b < b_end)
		*out++ = is_before(b, a) ? *b++ : *a++;
	while (a < a_end)
		*out++ = *a++;
	while (b < b_end)
		*out++ = *b++;
}

/*
 * The keys in order: `v` or `other`, which has room for as many. Natural merge sort: the events of a kind nearly always are in order, so that there are as
 * many runs as kinds, and few passes. v has n >= 1.
 */
static struct sort_key *sort_keys(struct sort_key *v, struct sort_key *other, size_t n)
{
	while (run_end(v, 0, n) < n) {
		struct sort_key *from = v;

		for (size_t at = 0, end; at < n; at = end) {
			size_t mid = run_end(from, at, n);

			end = mid < n ? run_end(from, mid, n) : n;
			merge(from + at, from + mid, from + mid, from + end, other + at);
		}
		v = other;
		other = from;
	}
	return v;
}

int fmt_block_events(struct fmt_reader *r, const struct fmt_block *b, const struct fmt_ref **ret)
{
	struct sort_key *keys, *other;
	struct fmt_ref *refs;
	size_t n = 0, max = 0;

	for (u32 s = 0; s < b->n_sections; s++)
		if (b->sections[s].kind && b->sections[s].kind->is_event)
			max += b->sections[s].rows;
	keys = fmt_arena_alloc(&r->arena, (max + 1) * sizeof(*keys));
	other = fmt_arena_alloc(&r->arena, (max + 1) * sizeof(*other));
	refs = fmt_arena_alloc(&r->arena, (max + 1) * sizeof(*refs));
	if (!keys || !other || !refs)
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
	if (n)
		keys = sort_keys(keys, other, n);
	for (size_t i = 0; i < n; i++)
		refs[i] = (struct fmt_ref){
			.ts = keys[i].ts,
			.section = (u32)(keys[i].order >> 32) & 0xff,
			.row = (u32)keys[i].order,
		};
	*ret = refs;
	return (int)n;
}
