/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* walk.c: see walk.h. */
#include "tests/reliability/walk.h"

#include <string.h>

#include "format/fmt_def.h"

/* Which dictionary entries have been given so far. */
struct known {
	u8 entry[32][WALK_IDS / 8];
};

static u64 mix(u64 sum, u64 v)
{
	sum = (sum ^ v) * 0x9fb21c651e98df25ULL;
	return sum ^ sum >> 32;
}

static u64 digest_row(const struct fmt_section *s, u32 i)
{
	u64 row[FMT_MAX_COLUMNS], sum = s->kind_id;

	fmt_section_row(s, i, row);
	for (u32 c = 0; c < s->kind->n_cols; c++)
		sum = mix(sum, row[c]);
	for (u32 k = s->payload_off ? s->payload_off[i] : 0; s->payload_off && k < s->payload_off[i + 1]; k++)
		sum = mix(sum, s->kind->payload == FMT_PAYLOAD_LIST ? s->list[k] : s->bytes[k]);
	return sum;
}

static void note_entries(struct known *known, const struct fmt_section *s)
{
	for (u32 i = 0; i < s->rows; i++)
		if (s->cols[0][i] < WALK_IDS)
			known->entry[s->kind_id][s->cols[0][i] / 8] |= (u8)(1u << s->cols[0][i] % 8);
}

static u64 unresolved(const struct known *known, const struct fmt_section *s)
{
	u64 n = 0;

	for (u32 c = 0; c < s->kind->n_cols; c++) {
		const char *name = s->kind->cols[c].name;
		u32 to = !strcmp(name, "thread")			? FMT_THREAD
			 : !strcmp(name, "ustack")			? FMT_STACK
			 : !strncmp(s->kind->cols[c].doc, "string:", 7) ? FMT_STRING
									: 0;

		for (u32 i = 0; to && i < s->rows; i++) {
			u64 idx = s->cols[c][i];

			n += idx && (idx >= WALK_IDS || !(known->entry[to][idx / 8] & 1u << idx % 8));
		}
	}
	return n;
}

static void walk_block(const struct fmt_block *b, struct known *known, struct walk *ret)
{
	u64 sum = mix(b->type, b->rows);

	for (u32 i = 0; i < b->n_sections; i++) {
		const struct fmt_section *s = &b->sections[i];

		for (u32 row = 0; s->kind && row < s->rows; row++) {
			u64 d = digest_row(s, row);

			/* the footer speaks of places in the file, and its rows may be in any order: all the same, it is one of the blocks */
			sum = mix(sum, d);
			if (s->kind_id < 32)
				ret->names += d;
		}
		if (s->kind && s->kind_id < 32)
			note_entries(known, s);
		if (s->kind && s->kind->is_event)
			ret->unresolved += unresolved(known, s);
	}
	if (ret->n < WALK_BLOCKS) {
		ret->seq[ret->n] = b->seq;
		ret->type[ret->n] = b->type;
		ret->digest[ret->n] = sum;
	}
	ret->n++;
	ret->rows += b->rows;
}

void walk_reader(struct fmt_reader *r, struct walk *ret)
{
	struct known known = {0};
	struct fmt_block b;

	*ret = (struct walk){0};
	while ((ret->err = fmt_reader_next(r, &b)) == 1)
		walk_block(&b, &known, ret);
	ret->health = *fmt_reader_health(r);
}

int walk_path(const char *path, struct walk *ret)
{
	struct fmt_reader *r = NULL;
	struct fmt_diag diag;
	int err = fmt_reader_open(path, &r, &diag);

	if (err)
		return err;
	walk_reader(r, ret);
	fmt_reader_close(r);
	return 0;
}

static u64 le(const u8 *p, u32 bytes)
{
	u64 v = 0;

	for (u32 i = 0; i < bytes; i++)
		v |= (u64)p[i] << (8 * i);
	return v;
}

u32 walk_layout(const u8 *p, size_t n, struct place *ret, u32 max)
{
	size_t off = FMT_HEADER_SIZE, end = n - FMT_TRAILER_SIZE;
	u32 blocks = 0;

	if (n < FMT_HEADER_SIZE + FMT_TRAILER_SIZE || le(p + 12, 4) != FMT_HEADER_SIZE)
		return 0;
	while (off < end) {
		if (end - off < FMT_BLOCK_HEADER || le(p + off, 4) != FMT_BLOCK_MAGIC || blocks == max)
			return 0;
		ret[blocks] = (struct place){.off = off, .seq = le(p + off + 8, 8), .type = (u32)le(p + off + 4, 2)};
		if (ret[blocks].type == TYPE_COPY)
			ret[blocks].copy_of = le(p + off + 48, 8);
		off += FMT_BLOCK_HEADER + le(p + off + 16, 4);
		ret[blocks++].end = off;
	}
	return off == end ? blocks : 0;
}
