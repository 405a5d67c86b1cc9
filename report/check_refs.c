/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* check_refs.c: see check_refs.h. */
#include "report/check_refs.h"

#include <errno.h>
#include <string.h>

/* A hostile file may spread its indices so that each takes a page of its own. */
#define MAX_MEMORY ((u64)64 << 20)

#define PAGE_BITS 32768ULL

const char *check_dict_name(enum check_dict d, bool plural)
{
	static const char *const names[CHECK_DICTS][2] = {
		[CHECK_NONE] = {"none", "none"},
		[CHECK_STRING] = {"string", "strings"},
		[CHECK_PROCESS] = {"process", "processes"},
		[CHECK_THREAD] = {"thread", "threads"},
		[CHECK_MODULE] = {"module", "modules"},
		[CHECK_STACK] = {"stack", "stacks"},
		[CHECK_LAYOUT] = {"layout", "layouts"},
		[CHECK_CONTEXT] = {"context", "contexts"},
		[CHECK_SYMBOL] = {"symbol", "symbols"},
		[CHECK_VTABLE] = {"vtable", "vtables"},
		[CHECK_LOCATION] = {"location", "locations"},
	};

	return names[d][plural];
}

enum check_dict check_dict_of(const struct fmt_kind *k, u32 column)
{
	static const struct {
		const char *name;
		enum check_dict dict;
	} names[] = {
		{"thread", CHECK_THREAD},      {"waker", CHECK_THREAD},		 {"parent", CHECK_THREAD},
		{"process", CHECK_PROCESS},    {"module", CHECK_MODULE},	 {"layout", CHECK_LAYOUT},
		{"context", CHECK_CONTEXT},    {"waker_context", CHECK_CONTEXT}, {"ustack", CHECK_STACK},
		{"kstack", CHECK_STACK},       {"symbol", CHECK_SYMBOL},	 {"caller", CHECK_SYMBOL},
		{"vtable", CHECK_VTABLE},      {"location", CHECK_LOCATION},	 {"waker_ustack", CHECK_STACK},
		{"waker_kstack", CHECK_STACK},
	};
	const struct fmt_column *c = &k->cols[column];

	if (!strncmp(c->doc, "string:", 7))
		return CHECK_STRING;
	if (k->id == FMT_TASK_SPAWN && !strcmp(c->name, "caller")) /* an address */
		return CHECK_NONE;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(c->name, names[i].name))
			return names[i].dict;
	return CHECK_NONE;
}

/* The dictionary whose entries a kind holds; their first column is the index. */
static enum check_dict dict_defined_by(u32 kind_id)
{
	switch (kind_id) {
	case FMT_STRING:
		return CHECK_STRING;
	case FMT_PROCESS:
		return CHECK_PROCESS;
	case FMT_THREAD:
		return CHECK_THREAD;
	case FMT_MODULE:
		return CHECK_MODULE;
	case FMT_STACK:
		return CHECK_STACK;
	case FMT_LAYOUT:
		return CHECK_LAYOUT;
	case FMT_CONTEXT:
		return CHECK_CONTEXT;
	case FMT_SYMBOL:
		return CHECK_SYMBOL;
	case FMT_VTABLE:
		return CHECK_VTABLE;
	case FMT_LOCATION:
		return CHECK_LOCATION;
	default:
		return CHECK_NONE;
	}
}

/* ---- sets of indices ---- */

static bool bits_has(const struct check_bits *b, u64 idx)
{
	const u64 *page = idx / PAGE_BITS < b->n_pages ? b->pages[idx / PAGE_BITS] : NULL;

	return page && page[idx % PAGE_BITS / 64] >> (idx % 64) & 1;
}

/* Room for page i. */
static int grow_pages(struct check_refs *c, struct check_bits *b, u64 i)
{
	u64 n = b->n_pages ? b->n_pages : 1, **pages;

	while (n <= i)
		n *= 2;
	pages = reallocarray(b->pages, n, sizeof(*pages));
	if (!pages)
		return -ENOMEM;
	memset(pages + b->n_pages, 0, (n - b->n_pages) * sizeof(*pages));
	c->memory += (n - b->n_pages) * sizeof(*pages);
	b->pages = pages;
	b->n_pages = n;
	return 0;
}

/* idx is at most FMT_MAX_ID. 1 it was added, 0 it was there or there is no room, -ENOMEM. */
static int bits_add(struct check_refs *c, struct check_bits *b, u64 idx)
{
	u64 *word;

	if (idx / PAGE_BITS >= b->n_pages && grow_pages(c, b, idx / PAGE_BITS) < 0)
		return -ENOMEM;
	if (!b->pages[idx / PAGE_BITS]) {
		if (c->memory >= MAX_MEMORY) {
			c->is_incomplete = true;
			return 0;
		}
		b->pages[idx / PAGE_BITS] = calloc(PAGE_BITS / 64, sizeof(u64));
		if (!b->pages[idx / PAGE_BITS])
			return -ENOMEM;
		c->memory += PAGE_BITS / 8;
	}
	b->highest = max_u64(b->highest, idx);
	word = &b->pages[idx / PAGE_BITS][idx % PAGE_BITS / 64];
	if (*word >> (idx % 64) & 1)
		return 0;
	*word |= 1ULL << (idx % 64);
	b->n++;
	return 1;
}

static void bits_release(struct check_bits *b)
{
	for (u64 i = 0; i < b->n_pages; i++)
		free(b->pages[i]);
	free(b->pages);
}

/* ---- one block ---- */

static void set_place(struct check_place *p, const struct fmt_block *b, const struct fmt_section *s, u32 column, u64 value)
{
	*p = (struct check_place){.seq = b->seq, .offset = b->offset, .kind = s->kind, .column = column, .value = value};
}

static void note_above(struct check_refs *c, const struct fmt_block *b, const struct fmt_section *s, u32 column, u64 value)
{
	if (!c->above_limit++)
		set_place(&c->first_above, b, s, column, value);
}

static int define(struct check_refs *c, enum check_dict d, const struct fmt_block *b, const struct fmt_section *s)
{
	for (u32 i = 0; i < s->rows; i++) {
		u64 idx = s->cols[0][i];

		if (idx > FMT_MAX_ID)
			note_above(c, b, s, 0, idx);
		else if (idx && bits_add(c, &c->known[d], idx) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int look_up(struct check_refs *c, enum check_dict d, const struct fmt_block *b, const struct fmt_section *s, u32 column)
{
	const u64 *values = s->cols[column];
	u64 good = 0; /* columns repeat themselves: the value that was found last is not looked for again */

	for (u32 i = 0; i < s->rows; i++) {
		u64 idx = values[i];

		if (idx == good || !idx)
			continue;
		if (idx > FMT_MAX_ID) {
			note_above(c, b, s, column, idx);
			continue;
		}
		if (bits_has(&c->known[d], idx)) {
			good = idx;
			continue;
		}
		if (!c->dangling[d].uses++)
			set_place(&c->dangling[d].first, b, s, column, idx);
		if (bits_add(c, &c->wanted[d], idx) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Room for the last time of thread `idx` in records of a kind; false when there is none. */
static int grow_last(struct check_refs *c, u32 kind_id, u64 idx)
{
	u64 cap = c->cap_last[kind_id] ? c->cap_last[kind_id] : 256, *p;

	while (cap <= idx)
		cap *= 2;
	if (c->memory + cap * sizeof(*p) > MAX_MEMORY) {
		c->is_incomplete = true;
		return 0;
	}
	p = realloc(c->last[kind_id], cap * sizeof(*p));
	if (!p)
		return -ENOMEM;
	memset(p + c->cap_last[kind_id], 0, (cap - c->cap_last[kind_id]) * sizeof(*p));
	c->memory += (cap - c->cap_last[kind_id]) * sizeof(*p);
	c->last[kind_id] = p;
	c->cap_last[kind_id] = cap;
	return 1;
}

static int follow_time(struct check_refs *c, const struct fmt_block *b, const struct fmt_section *s, u32 column)
{
	const u64 *threads = s->cols[column], *times = s->cols[0];
	u32 kind_id = s->kind_id;

	for (u32 i = 0; i < s->rows; i++) {
		u64 idx = threads[i], *last;

		if (!idx || idx > FMT_MAX_ID)
			continue;
		if (idx >= c->cap_last[kind_id]) {
			int n = grow_last(c, kind_id, idx);

			if (n < 0)
				return n;
			if (!n)
				continue;
		}
		last = &c->last[kind_id][idx];
		if (times[i] >= *last) {
			*last = times[i];
			continue;
		}
		c->max_step = max_u64(c->max_step, *last - times[i]);
		if (!c->steps_back++)
			set_place(&c->first_step, b, s, 0, times[i]);
	}
	return 0;
}

static int check_section(struct check_refs *c, const struct fmt_block *b, const struct fmt_section *s)
{
	enum check_dict own = dict_defined_by(s->kind_id);
	int err = 0;

	if (own != CHECK_NONE) /* first: a symbol names others of its block */
		err = define(c, own, b, s);
	for (u32 i = 0; i < s->kind->n_cols && !err; i++) {
		enum check_dict d = check_dict_of(s->kind, i);

		if (d != CHECK_NONE)
			err = look_up(c, d, b, s, i);
		if (!err && d == CHECK_THREAD && i == 1 && s->kind->is_event && s->kind_id < ARRAY_SIZE(c->last))
			err = follow_time(c, b, s, i);
	}
	return err;
}

int check_refs_block(struct check_refs *c, const struct fmt_block *b)
{
	int err = 0;

	for (u32 i = 0; i < b->n_sections && !err; i++)
		if (b->sections[i].kind && b->sections[i].kind_id < FMT_INDEX)
			err = check_section(c, b, &b->sections[i]);
	return err;
}

void check_refs_conclude(struct check_refs *c)
{
	for (u32 d = CHECK_NONE + 1; d < CHECK_DICTS; d++) {
		const struct check_bits *w = &c->wanted[d], *k = &c->known[d];

		c->dangling[d].entries = c->dangling[d].late = 0;
		for (u64 i = 0; i < w->n_pages; i++) {
			for (u64 j = 0; w->pages[i] && j < PAGE_BITS / 64; j++) {
				u64 there = i < k->n_pages && k->pages[i] ? k->pages[i][j] : 0;

				c->dangling[d].entries += (u64)__builtin_popcountll(w->pages[i][j] & ~there);
				c->dangling[d].late += (u64)__builtin_popcountll(w->pages[i][j] & there);
			}
		}
	}
}

void check_refs_release(struct check_refs *c)
{
	for (u32 d = 0; d < CHECK_DICTS; d++) {
		bits_release(&c->known[d]);
		bits_release(&c->wanted[d]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(c->last); i++)
		free(c->last[i]);
	*c = (struct check_refs){0};
}
