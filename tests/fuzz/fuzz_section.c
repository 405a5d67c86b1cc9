/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_section.c: any bytes as the decompressed payload of a block: sections are decoded until one does not hold; what was decoded is within the limits, and,
 * encoded and decoded again, the same. No checksum stands in front, so that plain mutations reach every line of the codec.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fdio.h"
#include "format/fmt_codec.h"
#include "tests/fuzz/fuzz.h"
#include "tests/reliability/gen.h"

/* A broken promise of fmt_codec.h, as libFuzzer wants to hear of it. */
#define MUST(cond)                                                                                                               \
	do {                                                                                                                     \
		if (!(cond))                                                                                                     \
			__builtin_trap();                                                                                        \
	} while (0)

static void check_payload(const struct fmt_section *s)
{
	u32 most = s->kind->payload == FMT_PAYLOAD_LIST ? FMT_MAX_FRAMES : FMT_MAX_STRING;

	if (s->kind->payload == FMT_PAYLOAD_NONE) {
		MUST(!s->payload_off);
		return;
	}
	MUST(s->payload_off && !s->payload_off[0]);
	for (u32 i = 0; i < s->rows; i++)
		MUST(s->payload_off[i + 1] >= s->payload_off[i] && s->payload_off[i + 1] - s->payload_off[i] <= most);
}

/* A section without a payload column has rows of none. */
static const void *payload_of(const struct fmt_section *s, u32 row)
{
	u32 from = s->payload_off ? s->payload_off[row] : 0;

	if (s->list)
		return s->list + from;
	return s->bytes ? s->bytes + from : NULL;
}

static size_t payload_len(const struct fmt_section *s, u32 row)
{
	return s->payload_off ? s->payload_off[row + 1] - s->payload_off[row] : 0;
}

static void same(const struct fmt_section *a, const struct fmt_section *b)
{
	size_t unit = a->kind->payload == FMT_PAYLOAD_LIST ? sizeof(u64) : 1;

	MUST(a->kind == b->kind && a->rows == b->rows);
	for (u32 c = 0; c < a->kind->n_cols; c++)
		MUST(!a->rows || !memcmp(a->cols[c], b->cols[c], a->rows * sizeof(u64)));
	for (u32 i = 0; i < a->rows; i++) {
		MUST(payload_len(a, i) == payload_len(b, i));
		MUST(!payload_len(a, i) || !memcmp(payload_of(a, i), payload_of(b, i), payload_len(a, i) * unit));
	}
}

static void rows_of(const struct fmt_section *s, struct fmt_rows *ret)
{
	u64 row[FMT_MAX_COLUMNS];

	*ret = (struct fmt_rows){.kind = s->kind};
	for (u32 i = 0; i < s->rows; i++) {
		fmt_section_row(s, i, row);
		MUST(fmt_rows_add(ret, row, payload_of(s, i), payload_len(s, i)) == 0);
	}
}

/* What was decoded can be encoded, beside the same switches, and is then decoded to the same. */
static void encode_again(const struct fmt_section *s, const struct fmt_section *outs, struct fmt_arena *arena)
{
	struct fmt_rows rows, out_rows = {0};
	_cleanup_buf_ struct buf scratch = BUF_INIT, out = BUF_INIT;
	struct fmt_section again;
	struct fmt_cursor c;

	rows_of(s, &rows);
	if (outs)
		rows_of(outs, &out_rows);
	fmt_section_encode(&rows, outs ? &out_rows : NULL, &scratch, &out);
	MUST(buf_err(&out) == 0);
	c = cur_init(out.data, out.len);
	MUST(fmt_section_decode(&c, arena, outs, &again) == 0 && !cur_left(&c));
	same(s, &again);
	fmt_arena_reset(arena);
	fmt_rows_release(&rows);
	fmt_rows_release(&out_rows);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct fmt_arena arena, arena_again; /* their chunks are kept, or getting it would be most of the time */
	struct fmt_cursor c = cur_init(data, size);
	struct fmt_section outs = {0};
	u64 cells = 0;

	while (cur_left(&c)) {
		struct fmt_section s;
		size_t left = cur_left(&c);
		int err = fmt_section_decode(&c, &arena, outs.kind ? &outs : NULL, &s);

		MUST(err == 0 || err == -EBADMSG || err == -ENODATA);
		if (err) {
			MUST(c.what);
			break;
		}
		MUST(cur_left(&c) < left && s.rows <= FMT_MAX_ROWS);
		if (!s.kind)
			continue;
		cells += (u64)s.rows * s.kind->n_cols;
		MUST(cells <= FMT_MAX_CELLS);
		check_payload(&s);
		if ((u64)s.rows * s.kind->n_cols < 2000) /* a constant column makes a quarter of a million rows of two bytes */
			encode_again(&s, outs.kind ? &outs : NULL, &arena_again);
		if (s.kind_id == FMT_SWITCH_OUT && s.rows < 2000)
			outs = s;
	}
	fmt_arena_reset(&arena); /* here: what was got and is not given back makes libFuzzer look for leaks after this input */
	return 0;
}

size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max_size, u32 seed)
{
	(void)seed;
	return LLVMFuzzerMutate(data, size, max_size);
}

static int gen_rows(struct gen *g, const struct fmt_kind *kind, u32 n, struct fmt_rows *ret)
{
	u64 row[FMT_MAX_COLUMNS], payload[FMT_MAX_FRAMES];
	int err = 0;

	*ret = (struct fmt_rows){.kind = kind};
	for (u32 i = 0; i < n && !err; i++) {
		size_t len = gen_row(g, kind, row, payload);

		err = fmt_rows_add(ret, row, payload, len);
	}
	return err;
}

/* One section of n rows; beside: and switches in front of it. */
static int put_section(struct gen *g, const struct fmt_kind *kind, u32 n, bool beside, struct buf *ret)
{
	struct fmt_rows rows = {0}, outs = {0};
	_cleanup_buf_ struct buf scratch = BUF_INIT;
	int err = beside ? gen_rows(g, fmt_kind_by_id(FMT_SWITCH_OUT), n, &outs) : 0;

	if (!err)
		err = gen_rows(g, kind, n, &rows);
	if (!err && beside)
		fmt_section_encode(&outs, NULL, &scratch, ret);
	if (!err)
		fmt_section_encode(&rows, beside ? &outs : NULL, &scratch, ret);
	fmt_rows_release(&rows);
	fmt_rows_release(&outs);
	return err ? err : buf_err(ret);
}

static int save_section(struct gen *g, const char *dir, const char *name, const struct fmt_kind *kind, bool beside)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int err = put_section(g, kind, kind->is_event ? 30 : 5, beside, &b);

	return err ? err : fuzz_seed_save(dir, name, b.data, b.len);
}

int fuzz_seeds_write(const char *dir)
{
	struct gen g = {.rnd = 7, .ts = NSEC_PER_SEC};
	u32 n_kinds;
	const struct fmt_kind *kinds = fmt_kinds(&n_kinds);
	int err = 0;

	for (u32 i = 0; i < ARRAY_SIZE(g.next_idx); i++)
		g.next_idx[i] = 1;
	for (u32 k = 0; k < n_kinds && !err; k++)
		err = save_section(&g, dir, kinds[k].name, &kinds[k], false);
	return err ? err : save_section(&g, dir, "sample_beside", fmt_kind_by_id(FMT_SAMPLE), true);
}
