/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* gen.c: see gen.h. What a column may hold is taken from its name and its text in fmt_def.h, so that a new column is generated without a change here. */
#include "tests/reliability/gen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format/fmt_schema.h"

u64 gen_random(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* The dictionary kind that a column refers to; 0 when it is no reference. */
static u32 refers_to(const struct fmt_column *col)
{
	static const struct {
		const char *name;
		u32 kind;
	} names[] = {{"process", FMT_PROCESS}, {"thread", FMT_THREAD}, {"parent", FMT_THREAD},	 {"waker", FMT_THREAD},
		     {"module", FMT_MODULE},   {"layout", FMT_LAYOUT}, {"context", FMT_CONTEXT}, {"waker_context", FMT_CONTEXT},
		     {"ustack", FMT_STACK},    {"kstack", FMT_STACK},  {"symbol", FMT_SYMBOL},	 {"caller", FMT_SYMBOL}};

	if (!strncmp(col->doc, "string:", 7))
		return FMT_STRING;
	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i].name, col->name))
			return names[i].kind;
	return 0;
}

/* A value of the shape that this column of this kind always has, so that each encoding is worth something somewhere. */
static u64 shaped(struct gen *g, u32 kind, u32 col)
{
	u64 r = gen_random(&g->rnd);

	if (g->dense)
		return r;
	switch ((kind * 7 + col) % 6) {
	case 0:
		return kind * 100 + col;
	case 1:
		return r % 5;
	case 2:
		return r >> (r % 64);
	case 3:
		return g->ts / 1000;
	case 4:
		return g->ts >> 20;
	default:
		return r % 400;
	}
}

static bool is_time(const char *name)
{
	return !strcmp(name, "ts") || !strcmp(name, "start") || !strcmp(name, "ts_end") || !strcmp(name, "boottime") ||
	       !strcmp(name, "realtime");
}

static u64 value_of(struct gen *g, const struct fmt_kind *kind, u32 c)
{
	const struct fmt_column *col = &kind->cols[c];
	u32 to = refers_to(col);

	if (!strcmp(col->name, "idx"))
		return g->next_idx[kind->id]++;
	if (to) /* of those that are there; those of the same round come before */
		return g->next_idx[to] > 1 ? 1 + gen_random(&g->rnd) % (g->next_idx[to] - 1) : 0;
	if (is_time(col->name) && (kind->is_event || !g->dense))
		return g->ts += gen_random(&g->rnd) % 1000000;
	if (kind->id == FMT_PERFMAP && !strcmp(col->name, "chunk"))
		return gen_random(&g->rnd) % 4;
	if (kind->id == FMT_GAP && !strcmp(col->name, "count"))
		return gen_random(&g->rnd) % 3;
	if (!strcmp(col->name, "ctx_status"))
		return FMT_CTX_READ;
	if (kind->id == FMT_STACK)
		return !strcmp(col->name, "fp_from") ? 0 : 1;
	return shaped(g, kind->id, c);
}

static size_t payload_of(struct gen *g, const struct fmt_kind *kind, void *payload)
{
	size_t n = gen_random(&g->rnd) % (kind->payload == FMT_PAYLOAD_LIST ? 20 : 60);
	u64 *list = payload;
	u8 *text = payload;

	if (kind->payload == FMT_PAYLOAD_NONE)
		return 0;
	if (kind->payload == FMT_PAYLOAD_LIST) {
		for (size_t i = 0; i < n; i++)
			list[i] = g->dense ? gen_random(&g->rnd) : 0x7f0000400000ULL + gen_random(&g->rnd) % 100000;
		return n;
	}
	for (size_t i = 0; i <= n; i++)
		text[i] = (u8)(' ' + gen_random(&g->rnd) % 95);
	return n + 1;
}

size_t gen_row(struct gen *g, const struct fmt_kind *kind, u64 *row, void *payload)
{
	for (u32 c = 0; c < kind->n_cols; c++)
		row[c] = value_of(g, kind, c);
	return payload_of(g, kind, payload);
}

static int put_round(struct fmt_writer *w, struct gen *g, const struct gen_plan *p)
{
	u64 row[FMT_MAX_COLUMNS], payload[FMT_MAX_FRAMES];
	u32 n_kinds;
	const struct fmt_kind *kinds = fmt_kinds(&n_kinds);
	int err = 0;

	for (u32 k = 0; k < n_kinds; k++) {
		u32 rows = kinds[k].is_event ? p->events : kinds[k].id < 32 ? p->entries : 0; /* the footer's are the writer's */

		for (u32 i = 0; i < rows && !err; i++) {
			size_t n = gen_row(g, &kinds[k], row, payload);

			err = fmt_writer_row(w, kinds[k].id, row, payload, n);
		}
	}
	return err;
}

int gen_write(struct fmt_writer *w, const struct gen_plan *p)
{
	struct gen g = {.rnd = p->seed, .ts = NSEC_PER_SEC, .dense = p->dense};
	int err = 0;

	for (u32 i = 0; i < ARRAY_SIZE(g.next_idx); i++)
		g.next_idx[i] = 1;
	for (u32 i = 0; i < p->flushes && !err; i++) {
		err = put_round(w, &g, p);
		if (!err)
			err = fmt_writer_flush(w);
	}
	return !err && p->finish ? fmt_writer_finish(w) : err;
}

int gen_capture(int fd, const struct gen_plan *p)
{
	struct fmt_writer *w = NULL;
	u64 state = p->seed ^ 0xa5c09e, words[2];
	u8 uuid[16];
	int err;

	words[0] = gen_random(&state);
	words[1] = gen_random(&state);
	memcpy(uuid, words, sizeof(uuid));
	err = fmt_writer_new(fd, uuid, 3, &w);
	if (err)
		return err;
	err = gen_write(w, p);
	fmt_writer_free(w);
	return err;
}
