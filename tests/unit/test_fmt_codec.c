/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_fmt_codec.c: every kind and every encoding there and back, at the extremes; malformed sections; the limits of FORMAT.md
 * section 8; what a hostile section may cost in memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <string.h>

#include "format/fmt_codec.h"
#include "tests/unit/raw_capture.h"

/* ---- there and back ---- */

/* Values as columns have them: constant, few, growing, any. */
static u64 value_of(u64 *rnd, u32 shape, u64 before)
{
	u64 v = raw_random(rnd);

	switch (shape) {
	case 0:
		return 42;
	case 1:
		return (v % 5) << 61;
	case 2:
		return before + v % 100000;
	default:
		return v >> (v % 64);
	}
}

static void fill(struct fmt_rows *r, u32 n, u64 *rnd)
{
	u8 payload[FMT_MAX_FRAMES * sizeof(u64)];
	u64 row[FMT_MAX_COLUMNS] = {0};
	u32 shape[FMT_MAX_COLUMNS];

	for (u32 c = 0; c < r->kind->n_cols; c++)
		shape[c] = (u32)raw_random(rnd) % 4;
	for (u32 i = 0; i < n; i++) {
		size_t size = 0;

		for (u32 c = 0; c < r->kind->n_cols; c++)
			row[c] = value_of(rnd, shape[c], row[c]);
		if (r->kind->payload != FMT_PAYLOAD_NONE)
			size = raw_random(rnd) % 8 ? raw_random(rnd) % 20 : raw_random(rnd) % (FMT_MAX_FRAMES + 1);
		for (size_t k = 0; k < sizeof(payload); k++)
			payload[k] = (u8)(k % 3 ? raw_random(rnd) : 0);
		assert_int_equal(fmt_rows_add(r, row, payload, size), 0);
	}
}

static void expect_same(const struct fmt_rows *r, const struct fmt_section *s)
{
	u64 row[FMT_MAX_COLUMNS];

	assert_ptr_equal(s->kind, r->kind);
	assert_int_equal(s->rows, r->rows);
	for (u32 i = 0; i < r->rows; i++) {
		fmt_section_row(s, i, row);
		assert_memory_equal(row, r->values + (size_t)i * r->kind->n_cols, r->kind->n_cols * sizeof(u64));
	}
	if (r->kind->payload == FMT_PAYLOAD_NONE)
		return;
	if (r->rows)
		assert_memory_equal(s->payload_off, r->payload_off, (r->rows + 1) * sizeof(u32));
	if (r->payload.len)
		assert_memory_equal(r->kind->payload == FMT_PAYLOAD_LIST ? (const void *)s->list : s->bytes, r->payload.data,
				    r->payload.len);
}

/* Encodes r, checks that it decodes to the same and to its last byte; the bytes stay in out. */
static void round_trip(const struct fmt_rows *r, struct buf *out)
{
	_cleanup_buf_ struct buf scratch = BUF_INIT;
	struct fmt_arena a = {0};
	struct fmt_section s;
	struct fmt_cursor c;

	buf_reset(out);
	fmt_section_encode(r, NULL, &scratch, out);
	assert_int_equal(buf_err(out), 0);
	c = cur_init(out->data, out->len);
	assert_int_equal(fmt_section_decode(&c, &a, NULL, &s), 0);
	assert_int_equal(cur_left(&c), 0);
	expect_same(r, &s);
	fmt_arena_release(&a);
}

static void every_kind(void **state)
{
	static const u32 counts[] = {0, 1, 2, 63, 64, 65, 700};
	_cleanup_buf_ struct buf out = BUF_INIT;
	u64 rnd = 1;
	u32 n;
	const struct fmt_kind *kinds = fmt_kinds(&n);

	(void)state;
	for (u32 k = 0; k < n; k++)
		for (u32 i = 0; i < ARRAY_SIZE(counts); i++) {
			struct fmt_rows r = {.kind = &kinds[k]};

			fill(&r, counts[i], &rnd);
			round_trip(&r, &out);
			fmt_rows_clear(&r); /* rows are used again, block after block */
			fill(&r, counts[i] / 2 + 1, &rnd);
			round_trip(&r, &out);
			fmt_rows_release(&r);
		}
}

/* The encoding byte of column k in the directory of a section. */
static u8 encoding_of(const struct buf *section, u32 k)
{
	struct fmt_cursor c = cur_init(section->data, section->len);
	u8 enc = 0;

	for (u32 i = 0; i < 4; i++)
		(void)cur_uvarint(&c, "kind, rows, columns, size");
	for (u32 i = 0; i <= k; i++) {
		(void)cur_uvarint(&c, "id");
		enc = cur_u8(&c, "encoding");
		(void)cur_uvarint(&c, "size");
	}
	assert_int_equal(c.err, 0);
	return enc;
}

/* mapping: start is delta-coded, process and module by dictionary; meta: both columns varint; switch_in: ts is split */
static void column_round_trip(const u64 *values, u32 n, u8 as_delta, u8 as_dict, u8 as_varint)
{
	struct fmt_rows map = {.kind = fmt_kind_by_id(FMT_MAPPING)}, meta = {.kind = fmt_kind_by_id(FMT_META)};
	struct fmt_rows in = {.kind = fmt_kind_by_id(FMT_SWITCH_IN)};
	_cleanup_buf_ struct buf out = BUF_INIT;

	for (u32 i = 0; i < n; i++) {
		assert_int_equal(
			fmt_rows_add(&map, &(struct fmt_mapping){.process = values[i], .module = i, .start = values[i]}, NULL, 0),
			0);
		assert_int_equal(fmt_rows_add(&meta, &(struct fmt_meta){.key = values[i], .value = i}, NULL, 0), 0);
		assert_int_equal(fmt_rows_add(&in, &(struct fmt_switch_in){.ts = values[i]}, NULL, 0), 0);
	}
	round_trip(&map, &out);
	assert_int_equal(encoding_of(&out, 0), as_dict);
	assert_int_equal(encoding_of(&out, 2), as_delta);
	round_trip(&meta, &out);
	assert_int_equal(encoding_of(&out, 0), as_varint);
	round_trip(&in, &out);
	assert_int_equal(encoding_of(&out, 0), as_delta == FMT_ENC_CONST ? FMT_ENC_CONST : FMT_ENC_SPLIT_DELTA);
	fmt_rows_release(&map);
	fmt_rows_release(&meta);
	fmt_rows_release(&in);
}

static void encodings_at_the_extremes(void **state)
{
	static const u64 extremes[] = {0,	   UINT64_MAX, 0,   1,	   UINT64_MAX - 1, 1ULL << 63, (1ULL << 63) - 1,
				       UINT64_MAX, 127,	       128, 16383, 16384,	   0};
	static const u64 one[] = {UINT64_MAX}, same[] = {1ULL << 63, 1ULL << 63, 1ULL << 63}, late[] = {7, 7, 8};
	u64 many[300];

	(void)state;
	column_round_trip(extremes, ARRAY_SIZE(extremes), FMT_ENC_DELTA, FMT_ENC_DICT, FMT_ENC_VARINT);
	column_round_trip(one, 1, FMT_ENC_CONST, FMT_ENC_CONST, FMT_ENC_CONST);
	column_round_trip(same, 3, FMT_ENC_CONST, FMT_ENC_CONST, FMT_ENC_CONST);
	column_round_trip(late, 3, FMT_ENC_DELTA, FMT_ENC_DICT, FMT_ENC_VARINT);
	for (u32 i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (i % 256) * 0x9e3779b97f4a7c15ULL;
	column_round_trip(many, ARRAY_SIZE(many), FMT_ENC_DELTA, FMT_ENC_DICT, FMT_ENC_VARINT);
	many[299] = 1; /* the 257th distinct value */
	column_round_trip(many, ARRAY_SIZE(many), FMT_ENC_DELTA, FMT_ENC_VARINT, FMT_ENC_VARINT);
}

static void payloads_at_the_extremes(void **state)
{
	struct fmt_rows s = {.kind = fmt_kind_by_id(FMT_STRING)}, l = {.kind = fmt_kind_by_id(FMT_STACK)};
	_cleanup_buf_ struct buf out = BUF_INIT;
	char text[FMT_MAX_STRING + 1] = "a\0b\0";
	u64 list[FMT_MAX_FRAMES + 1] = {UINT64_MAX, 0, 1ULL << 63, UINT64_MAX, UINT64_MAX};

	(void)state;
	assert_int_equal(fmt_rows_add(&s, &(struct fmt_string){.idx = 1}, "", 0), 0);
	round_trip(&s, &out); /* only empty ones */
	assert_int_equal(fmt_rows_add(&s, &(struct fmt_string){.idx = 2}, text, FMT_MAX_STRING), 0);
	assert_int_equal(fmt_rows_add(&s, &(struct fmt_string){.idx = 3}, "\0\xff\0", 3), 0);
	assert_int_equal(fmt_rows_add(&s, &(struct fmt_string){.idx = 4}, NULL, 0), 0);
	assert_int_equal(fmt_rows_add(&s, &(struct fmt_string){.idx = 5}, text, FMT_MAX_STRING + 1), -EFBIG);
	assert_int_equal(s.rows, 4);
	round_trip(&s, &out);

	assert_int_equal(fmt_rows_add(&l, &(struct fmt_stack){.idx = 1}, list, 0), 0);
	round_trip(&l, &out);
	assert_int_equal(fmt_rows_add(&l, &(struct fmt_stack){.idx = 2}, list, FMT_MAX_FRAMES), 0);
	assert_int_equal(fmt_rows_add(&l, &(struct fmt_stack){.idx = 3}, list, 1), 0);
	assert_int_equal(fmt_rows_add(&l, &(struct fmt_stack){.idx = 4}, list, 0), 0);
	assert_int_equal(fmt_rows_add(&l, &(struct fmt_stack){.idx = 5}, list, FMT_MAX_FRAMES + 1), -EFBIG);
	assert_int_equal(l.rows, 4);
	round_trip(&l, &out);
	fmt_rows_release(&s);
	fmt_rows_release(&l);
}

static void too_many_rows(void **state)
{
	struct fmt_rows r = {.kind = fmt_kind_by_id(FMT_META)};
	_cleanup_buf_ struct buf out = BUF_INIT;

	(void)state;
	for (u64 i = 0; i < FMT_MAX_ROWS; i++)
		assert_int_equal(fmt_rows_add(&r, &(struct fmt_meta){.key = i}, NULL, 0), 0);
	assert_int_equal(fmt_rows_add(&r, &(struct fmt_meta){.key = 0}, NULL, 0), -EFBIG);
	round_trip(&r, &out);
	fmt_rows_release(&r);
}

/* ---- sections by hand ---- */

/* Decodes the one section in p; the first value of column `col` goes to *ret. */
static int decode(const struct buf *p, u32 col, u64 *ret)
{
	struct fmt_arena a = {0};
	struct fmt_section s = {0};
	struct fmt_cursor c = cur_init(p->data, p->len);
	int err = fmt_section_decode(&c, &a, NULL, &s);

	if (err)
		assert_non_null(c.what);
	else if (ret)
		*ret = s.cols[col][0];
	fmt_arena_release(&a);
	return err;
}

/* One column of a two-row `meta`, the other absent. */
static int decode_meta(u8 enc, const void *data, size_t n, u64 *ret)
{
	const struct raw_column col = {.id = 1, .enc = enc, .data = data, .size = n};
	_cleanup_buf_ struct buf p = BUF_INIT;

	raw_section(&p, FMT_META, 2, &col, 1);
	return decode(&p, 0, ret);
}

/* FORMAT.md section 5: any of 1-4 may be used for any ordinary column. */
static void any_encoding_for_any_column(void **state)
{
	u64 v = 0;

	(void)state;
	assert_int_equal(decode_meta(FMT_ENC_CONST, "\x05", 1, &v), 0);
	assert_int_equal(v, 5);
	assert_int_equal(decode_meta(FMT_ENC_VARINT, "\x80\x01\x07", 3, &v), 0);
	assert_int_equal(v, 128);
	assert_int_equal(decode_meta(FMT_ENC_DELTA, "\x01\x02", 2, &v), 0);
	assert_int_equal(v, UINT64_MAX);
	assert_int_equal(decode_meta(FMT_ENC_DICT, "\x02\x08\x09\x01\x00", 5, &v), 0);
	assert_int_equal(v, 9);
	assert_int_equal(decode_meta(FMT_ENC_VARINT, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00", 11, &v), 0);
	assert_int_equal(v, UINT64_MAX);
}

static void malformed_columns(void **state)
{
	(void)state;
	assert_int_equal(decode_meta(FMT_ENC_CONST, "", 0, NULL), -ENODATA);
	assert_int_equal(decode_meta(FMT_ENC_CONST, "\x05\x05", 2, NULL), -EBADMSG); /* not used up */
	assert_int_equal(decode_meta(FMT_ENC_VARINT, "\x05", 1, NULL), -ENODATA);
	assert_int_equal(decode_meta(FMT_ENC_VARINT, "\x05\x05\x05", 3, NULL), -EBADMSG);
	assert_int_equal(decode_meta(FMT_ENC_VARINT, "\x05\x80", 2, NULL), -ENODATA);
	assert_int_equal(decode_meta(FMT_ENC_DELTA, "\x05", 1, NULL), -ENODATA);
	assert_int_equal(decode_meta(FMT_ENC_DELTA, "\x05\x05\x05", 3, NULL), -EBADMSG);
	assert_int_equal(decode_meta(FMT_ENC_DICT, "\x02\x08\x09\x02\x00", 5, NULL), -EBADMSG); /* index 2 of 2 */
	assert_int_equal(decode_meta(FMT_ENC_DICT, "\x00\x00\x00", 3, NULL), -EBADMSG);		/* index 0 of 0 */
	assert_int_equal(decode_meta(FMT_ENC_DICT, "\x02\x08\x09\x01", 4, NULL), -ENODATA);	/* one index for two rows */
	assert_int_equal(decode_meta(FMT_ENC_DICT, "\x81\x02", 2, NULL), -EBADMSG);		/* 257 values */
	assert_int_equal(decode_meta(FMT_ENC_BYTES, "\x00\x00", 2, NULL), -EBADMSG);		/* a payload's encoding */
	assert_int_equal(decode_meta(FMT_ENC_LIST, "\x00\x00", 2, NULL), -EBADMSG);
	assert_int_equal(decode_meta(0, "\x00\x00", 2, NULL), -EBADMSG);
	assert_int_equal(decode_meta(11, "\x00\x00", 2, NULL), -EBADMSG);
	/* bits above 64, and an eleventh byte */
	assert_int_equal(decode_meta(FMT_ENC_CONST, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, NULL), -EBADMSG);
	assert_int_equal(decode_meta(FMT_ENC_CONST, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, NULL), -EBADMSG);
}

/* The value of FORMAT.md's example, values around each step of the token, and bits that cross bytes and words. */
static void split_bit_by_bit(void **state)
{
	u64 v = 0;

	(void)state;
	assert_int_equal(decode_meta(FMT_ENC_SPLIT, "\x27\x00\x68", 3, &v), 0);
	assert_int_equal(v, 1000);
	assert_int_equal(decode_meta(FMT_ENC_SPLIT, "\x0f\x0f", 2, &v), 0);
	assert_int_equal(v, 15);
	assert_int_equal(decode_meta(FMT_ENC_SPLIT, "\x10\x13\x0d", 3, &v), 0); /* 4 * 4 + 1, 7 * 4 + 3 */
	assert_int_equal(v, 17);
	assert_int_equal(decode_meta(FMT_ENC_SPLIT, "\xff\x00\xff\xff\xff\xff\xff\xff\xff\x1f", 10, &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(decode_meta(FMT_ENC_SPLIT_DELTA, "\x01\x01", 2, &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(decode_meta(FMT_ENC_SPLIT, "\x0f", 1, NULL), -ENODATA);
	assert_int_equal(decode_meta(FMT_ENC_SPLIT, "\x10\x0f", 2, NULL), -ENODATA);
	assert_int_equal(decode_meta(FMT_ENC_SPLIT, "\x10\x0f\x00\x00", 4, NULL), -EBADMSG);
	assert_int_equal(decode_meta(FMT_ENC_SPLIT, "\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 16, NULL),
			 -ENODATA);
	assert_int_equal(decode_meta(FMT_ENC_SPLIT, "", 0, NULL), -ENODATA);
}

static void split_at_every_size(void **state)
{
	struct fmt_rows in = {.kind = fmt_kind_by_id(FMT_SWITCH_IN)};
	_cleanup_buf_ struct buf out = BUF_INIT;
	u64 ts = 0;

	(void)state;
	for (u32 width = 0; width < 64; width++) {
		for (u32 i = 0; i < 40; i++) {
			ts += (1ULL << width) + (i % 4 == 1) - (i % 4 == 2) + i * (1ULL << width) / 16;
			assert_int_equal(fmt_rows_add(&in, &(struct fmt_switch_in){.ts = ts}, NULL, 0), 0);
			round_trip(&in, &out);
		}
		fmt_rows_clear(&in);
	}
	fmt_rows_release(&in);
}

/* ---- classes ---- */

/* The encoding of each column of a section, by id; 0 where it has none. */
static void encodings_of(const struct buf *section, u8 ret[256])
{
	struct fmt_cursor c = cur_init(section->data, section->len);
	u64 n;

	memset(ret, 0, 256);
	(void)cur_uvarint(&c, "kind");
	(void)cur_uvarint(&c, "rows");
	n = cur_uvarint(&c, "columns");
	(void)cur_uvarint(&c, "size");
	for (u64 i = 0; i < n; i++) {
		u64 id = cur_uvarint(&c, "id");

		ret[id & 255] = cur_u8(&c, "encoding");
		(void)cur_uvarint(&c, "size");
	}
	assert_int_equal(c.err, 0);
}

/* Rows of `threads` threads and 3 states, each thread with a tick of its own. */
static void put_switches(struct fmt_rows *r, u32 rows, u32 threads, u64 *rnd)
{
	for (u32 i = 0; i < rows; i++) {
		u64 v = raw_random(rnd);
		struct fmt_switch_out out = {
			.ts = i * 1000 + v % 1000, .thread = 1 + v % threads, .state = v / threads % 3, .cpu = 7};

		out.tick = out.thread * 1000000 + i;
		out.task = i % 5 ? 0 : UINT64_MAX - i;
		assert_int_equal(fmt_rows_add(r, &out, NULL, 0), 0);
	}
}

static void classes_of_rows(void **state)
{
	/* threads; are there classes: not when they are more than a quarter of the rows, or above the limit */
	static const struct {
		u32 rows, threads;
		bool classes;
	} cases[] = {{600, 20, true},	{2000, 100, true},   {4000, 300, true},
		     {200, 150, false}, {49200, 1300, true}, {49200, 1500, false}};
	_cleanup_buf_ struct buf out = BUF_INIT;
	u64 rnd = 3;
	u8 enc[256];

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fmt_rows r = {.kind = fmt_kind_by_id(FMT_SWITCH_OUT)};

		put_switches(&r, cases[i].rows, cases[i].threads, &rnd);
		round_trip(&r, &out);
		encodings_of(&out, enc);
		assert_int_equal(enc[FMT_CLASS_COLUMN], cases[i].classes ? FMT_ENC_CLASS : 0);
		assert_int_equal(enc[1], FMT_ENC_SPLIT_DELTA);
		assert_int_equal(enc[2] == FMT_ENC_CLASS, cases[i].classes);
		assert_int_equal(enc[3], FMT_ENC_CONST); /* cpu */
		assert_int_equal(enc[13], cases[i].classes ? FMT_ENC_GROUP : FMT_ENC_SPLIT_DELTA);
		fmt_rows_release(&r);
	}
}

/* Stacks that are nearly all different stay out of the classes, which the other columns have all the same. */
static void wide_columns_by_themselves(void **state)
{
	struct fmt_rows r = {.kind = fmt_kind_by_id(FMT_SWITCH_OUT)};
	_cleanup_buf_ struct buf out = BUF_INIT;
	u64 rnd = 6;
	u8 enc[256];

	(void)state;
	for (u32 i = 0; i < 1000; i++) {
		u64 v = raw_random(&rnd);
		struct fmt_switch_out row = {
			.ts = i, .thread = v % 5, .state = v >> 8 & 1, .ustack = i + 1, .kstack = v >> 10 & 63, .tick = i};

		assert_int_equal(fmt_rows_add(&r, &row, NULL, 0), 0);
	}
	round_trip(&r, &out);
	encodings_of(&out, enc);
	assert_int_equal(enc[FMT_CLASS_COLUMN], FMT_ENC_CLASS);
	assert_int_equal(enc[2], FMT_ENC_CLASS);
	assert_int_equal(enc[4], FMT_ENC_CLASS);
	assert_int_equal(enc[13], FMT_ENC_GROUP);
	assert_int_equal(enc[19], FMT_ENC_VARINT);
	assert_int_equal(enc[20], FMT_ENC_CLASS); /* 64 values in 1,000 rows are not too many */
	fmt_rows_release(&r);
}

/* A tick that steps by one in each thread costs a byte a row, though threads are far apart. */
static void groups_go_by_thread(void **state)
{
	struct fmt_rows r = {.kind = fmt_kind_by_id(FMT_SWITCH_OUT)};
	_cleanup_buf_ struct buf out = BUF_INIT;
	u64 rnd = 5, tick[8] = {0};
	u8 enc[256];

	(void)state;
	for (u32 i = 0; i < 1000; i++) {
		u64 v = raw_random(&rnd), thread = v % 8;
		struct fmt_switch_out row = {
			.ts = 5, .thread = thread << 40, .state = v >> 8 & 1, .tick = (thread << 50) + tick[thread]++};

		assert_int_equal(fmt_rows_add(&r, &row, NULL, 0), 0);
	}
	round_trip(&r, &out);
	encodings_of(&out, enc);
	assert_int_equal(enc[13], FMT_ENC_GROUP);
	assert_true(out.len < 2 * 1000 + 400);
	fmt_rows_release(&r);
}

/* switch_in of two rows: the class column, thread by class, cpu as given. */
static int decode_classes(const char *classes, size_t n, u8 enc, const char *cpu, size_t n_cpu, u64 *ret)
{
	const struct raw_column cols[] = {{.id = FMT_CLASS_COLUMN, .enc = FMT_ENC_CLASS, .data = classes, .size = n},
					  {.id = 2, .enc = FMT_ENC_CLASS, .data = "\x02\x05\x09", .size = 3},
					  {.id = 3, .enc = enc, .data = cpu, .size = n_cpu}};
	_cleanup_buf_ struct buf p = BUF_INIT;

	raw_section(&p, FMT_SWITCH_IN, 2, cols, 3);
	return decode(&p, 2, ret);
}

static void malformed_classes(void **state)
{
	static const struct raw_column late[] = {
		{.id = 2, .enc = FMT_ENC_CLASS, .data = "\x02\x05\x09", .size = 3},
		{.id = FMT_CLASS_COLUMN, .enc = FMT_ENC_CLASS, .data = "\x02\x00\x01", .size = 3}};
	static const struct raw_column other[] = {
		{.id = FMT_CLASS_COLUMN, .enc = FMT_ENC_DICT, .data = "\x02\x00\x01", .size = 3}};
	static const char ok[] = "\x02\x01\x00";
	_cleanup_buf_ struct buf p = BUF_INIT;
	u64 v = 0;

	(void)state;
	assert_int_equal(decode_classes(ok, 3, FMT_ENC_CLASS, "\x02\x07\x08", 3, &v), 0);
	assert_int_equal(v, 8);
	assert_int_equal(decode_classes(ok, 3, FMT_ENC_CLASS, "\x01\x07", 2, &v), 0);
	assert_int_equal(v, 7);
	assert_int_equal(decode_classes(ok, 3, FMT_ENC_GROUP, "\x02\x0a\x0a", 3, &v), 0); /* by thread: each row's own */
	assert_int_equal(v, 5);
	assert_int_equal(decode_classes("\x02\x01\x02", 3, FMT_ENC_CONST, "\x01", 1, NULL), -EBADMSG); /* class 2 of 2 */
	assert_int_equal(decode_classes("\x03\x00\x01\x02", 4, FMT_ENC_CONST, "\x01", 1, NULL),
			 -EBADMSG); /* 3 classes of 2 rows */
	assert_int_equal(decode_classes("\x00\x00\x00", 3, FMT_ENC_CONST, "\x01", 1, NULL), -EBADMSG);
	assert_int_equal(decode_classes("\x02\x01", 2, FMT_ENC_CONST, "\x01", 1, NULL), -ENODATA);
	assert_int_equal(decode_classes("\x02\x01\x00\x00", 4, FMT_ENC_CONST, "\x01", 1, NULL), -EBADMSG);
	assert_int_equal(decode_classes("", 0, FMT_ENC_CONST, "\x01", 1, NULL), -ENODATA);
	assert_int_equal(decode_classes(ok, 3, FMT_ENC_CLASS, "", 0, NULL), -ENODATA);
	assert_int_equal(decode_classes(ok, 3, FMT_ENC_CLASS, "\x02\x07", 2, NULL), -ENODATA);
	assert_int_equal(decode_classes(ok, 3, FMT_ENC_CLASS, "\x02\x07\x08\x09", 4, NULL), -EBADMSG);
	assert_int_equal(decode_classes(ok, 3, FMT_ENC_CLASS, "\x09\x02\x07\x08", 4, NULL), -EBADMSG); /* classes of classes */
	assert_int_equal(decode_classes(ok, 3, FMT_ENC_CLASS, "\x05\x01\x01zz", 5, NULL), -EBADMSG);
	assert_int_equal(decode_classes(ok, 3, FMT_ENC_GROUP, "\x01\x0a\x0a", 3, NULL), -EBADMSG); /* ts has no classes */
	assert_int_equal(decode_classes(ok, 3, FMT_ENC_GROUP, "\x03\x0a\x0a", 3, NULL), -EBADMSG); /* itself */
	assert_int_equal(decode_classes(ok, 3, FMT_ENC_GROUP, "\x00\x0a\x0a", 3, NULL), -EBADMSG);
	assert_int_equal(decode_classes(ok, 3, FMT_ENC_GROUP, "\xfe\x01\x0a\x0a", 4, NULL), -EBADMSG);
	assert_int_equal(decode_classes(ok, 3, FMT_ENC_GROUP, "\x02\x0a", 2, NULL), -ENODATA);
	raw_section(&p, FMT_SWITCH_IN, 2, late, 2);
	assert_int_equal(decode(&p, 0, NULL), -EBADMSG);
	buf_reset(&p);
	raw_section(&p, FMT_SWITCH_IN, 2, late, 1);
	assert_int_equal(decode(&p, 0, NULL), -EBADMSG);
	buf_reset(&p);
	raw_section(&p, FMT_SWITCH_IN, 2, other, 1);
	assert_int_equal(decode(&p, 0, NULL), -EBADMSG);
}

static int decode_payload_of(enum fmt_kind_id kind, u8 enc, const void *data, size_t n)
{
	const struct raw_column cols[] = {{.id = 1, .enc = FMT_ENC_CONST, .data = "\x01", .size = 1},
					  {.id = FMT_PAYLOAD_COLUMN, .enc = enc, .data = data, .size = n}};
	_cleanup_buf_ struct buf p = BUF_INIT;

	raw_section(&p, kind, 2, cols, 2);
	return decode(&p, 0, NULL);
}

static void malformed_payloads(void **state)
{
	(void)state;
	assert_int_equal(decode_payload_of(FMT_STRING, FMT_ENC_BYTES, "\x02\x01xyz", 5), 0);
	assert_int_equal(decode_payload_of(FMT_STRING, FMT_ENC_BYTES, "\x02\x01xy", 4), -EBADMSG);
	assert_int_equal(decode_payload_of(FMT_STRING, FMT_ENC_BYTES, "\x02\x01wxyz", 6), -EBADMSG); /* a byte too many */
	assert_int_equal(decode_payload_of(FMT_STRING, FMT_ENC_BYTES, "\x02", 1), -ENODATA);
	assert_int_equal(decode_payload_of(FMT_STRING, FMT_ENC_BYTES, "\x81\x20\x00", 3), -EBADMSG); /* 4097 bytes */
	assert_int_equal(decode_payload_of(FMT_STRING, FMT_ENC_LIST, "\x02\x01xyz", 5), -EBADMSG);
	assert_int_equal(decode_payload_of(FMT_STRING, FMT_ENC_CONST, "\x02", 1), -EBADMSG);
	assert_int_equal(decode_payload_of(FMT_STACK, FMT_ENC_LIST, "\x02\x01\x02\x02\x02", 5), 0);
	assert_int_equal(decode_payload_of(FMT_STACK, FMT_ENC_LIST, "\x02\x01\x02\x02", 4), -EBADMSG);
	assert_int_equal(decode_payload_of(FMT_STACK, FMT_ENC_LIST, "\x02\x01\x02\x02\x82", 5), -ENODATA);
	assert_int_equal(decode_payload_of(FMT_STACK, FMT_ENC_LIST, "\x02\x01\x02\x02\x02\x02", 6), -EBADMSG);
	assert_int_equal(decode_payload_of(FMT_STACK, FMT_ENC_LIST, "\x81\x04\x00", 3), -EBADMSG); /* 513 frames */
	assert_int_equal(decode_payload_of(FMT_STACK, FMT_ENC_BYTES, "\x00\x00", 2), -EBADMSG);
	/* a kind without payload does not know the column: skipped, whatever it says */
	assert_int_equal(decode_payload_of(FMT_META, FMT_ENC_BYTES, "junk", 4), 0);
}

static void absent_and_unknown_columns(void **state)
{
	const struct raw_column cols[] = {{.id = 3, .enc = FMT_ENC_CONST, .data = "\x09", .size = 1},
					  {.id = 63, .enc = 99, .data = "future", .size = 6},
					  {.id = 253, .enc = 0, .data = "", .size = 0}};
	_cleanup_buf_ struct buf p = BUF_INIT;
	struct fmt_arena a = {0};
	struct fmt_switch_in row;
	struct fmt_section s;
	struct fmt_cursor c;

	(void)state;
	raw_section(&p, FMT_SWITCH_IN, 2, cols, ARRAY_SIZE(cols));
	raw_section(&p, 999, 77, cols, 2);
	raw_section(&p, FMT_STRING, 3, NULL, 0); /* not even a payload */
	raw_section(&p, UINT32_MAX, 1, cols, 1);
	c = cur_init(p.data, p.len);
	assert_int_equal(fmt_section_decode(&c, &a, NULL, &s), 0);
	fmt_section_row(&s, 1, &row);
	assert_int_equal(row.ts, 0);
	assert_int_equal(row.thread, 0);
	assert_int_equal(row.cpu, 9);
	assert_int_equal(fmt_section_decode(&c, &a, NULL, &s), 0);
	assert_null(s.kind);
	assert_int_equal(s.kind_id, 999);
	assert_int_equal(s.rows, 77);
	assert_int_equal(fmt_section_decode(&c, &a, NULL, &s), 0);
	assert_int_equal(s.kind_id, FMT_STRING);
	assert_int_equal(s.payload_off[3], 0);
	assert_int_equal(fmt_section_decode(&c, &a, NULL, &s), 0);
	assert_null(s.kind);
	assert_int_equal(cur_left(&c), 0);
	fmt_arena_release(&a);
}

/* What is no number of a kind or a column, in any version, is not skipped. */
static void impossible_numbers(void **state)
{
	static const struct {
		u64 kind;
		u32 column;
		int err;
	} cases[] = {
		{FMT_META, 255, 0},
		{FMT_META, 256, -EBADMSG},
		{FMT_META, 1000000, -EBADMSG},
		{FMT_META, 0, -EBADMSG},
		{UINT32_MAX, 0, 0 /* skipped */},
		{1ULL << 32, 1, -EBADMSG},
		{(1ULL << 40) + FMT_META, 1, -EBADMSG},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct raw_column col = {.id = cases[i].column, .enc = FMT_ENC_CONST, .data = "\x01", .size = 1};
		_cleanup_buf_ struct buf p = BUF_INIT;

		raw_section(&p, cases[i].kind, 1, &col, 1);
		assert_int_equal(decode(&p, 0, NULL), cases[i].err);
	}
}

static void a_column_twice(void **state)
{
	const struct raw_column cols[] = {{.id = 1, .enc = FMT_ENC_CONST, .data = "\x01", .size = 1},
					  {.id = 1, .enc = FMT_ENC_CONST, .data = "\x02", .size = 1}};
	const struct raw_column payload[] = {{.id = FMT_PAYLOAD_COLUMN, .enc = FMT_ENC_BYTES, .data = "\x01x", .size = 2},
					     {.id = FMT_PAYLOAD_COLUMN, .enc = FMT_ENC_BYTES, .data = "\x00", .size = 1}};
	_cleanup_buf_ struct buf p = BUF_INIT;

	(void)state;
	raw_section(&p, FMT_META, 1, cols, 2);
	assert_int_equal(decode(&p, 0, NULL), -EBADMSG);
	buf_reset(&p);
	raw_section(&p, FMT_STRING, 1, payload, 2);
	assert_int_equal(decode(&p, 0, NULL), -EBADMSG);
}

/* Every proper beginning of a section is an error, and so is every section with a byte more or less in its body. */
static void cut_and_stretched_sections(void **state)
{
	struct fmt_rows r = {.kind = fmt_kind_by_id(FMT_STACK)};
	_cleanup_buf_ struct buf out = BUF_INIT;
	u64 rnd = 7;

	(void)state;
	fill(&r, 20, &rnd);
	round_trip(&r, &out);
	for (size_t n = 0; n < out.len; n++) {
		struct fmt_arena a = {0};
		struct fmt_section s;
		struct fmt_cursor c = cur_init(out.data, n);

		assert_true(fmt_section_decode(&c, &a, NULL, &s) < 0);
		assert_ptr_equal(c.p, c.end); /* sticky: nothing more is read */
		fmt_arena_release(&a);
	}
	fmt_rows_release(&r);
}

/* Bytes changed at random: an error or some values, never more (run it under ASan and UBSan). */
static void changed_bytes(void **state)
{
	struct fmt_rows r = {.kind = fmt_kind_by_id(FMT_SWITCH_OUT)};
	_cleanup_buf_ struct buf good = BUF_INIT, bad = BUF_INIT;
	u32 decoded = 0, refused = 0;
	u64 rnd = 11, sum = 0;

	(void)state;
	put_switches(&r, 300, 20, &rnd);
	round_trip(&r, &good);
	for (u32 round = 0; round < 20000; round++) {
		struct fmt_arena a = {0};
		struct fmt_section s;
		struct fmt_cursor c;

		buf_reset(&bad);
		buf_put(&bad, good.data, good.len);
		for (u64 i = 0; i <= round % 4; i++) {
			u64 at = raw_random(&rnd);

			bad.data[at % (at & 1 ? 120 : bad.len)] = (u8)(at >> 32); /* half of them in the directory */
		}
		c = cur_init(bad.data, bad.len);
		if (fmt_section_decode(&c, &a, NULL, &s)) {
			assert_true(c.err == -EBADMSG || c.err == -ENODATA);
			assert_non_null(c.what);
			refused++;
		} else {
			for (u32 col = 0; s.kind && col < s.kind->n_cols && s.rows; col++)
				sum += s.cols[col][0] + s.cols[col][s.rows - 1];
			decoded++;
		}
		fmt_arena_release(&a);
	}
	assert_true(decoded > 1000 && refused > 1000 && sum);
	fmt_rows_release(&r);
}

/* ---- limits ---- */

static void limits_of_a_section(void **state)
{
	const struct raw_column col = {.id = 2, .enc = FMT_ENC_CONST, .data = "\x07", .size = 1};
	struct raw_column many[FMT_MAX_COLUMNS + 3];
	_cleanup_buf_ struct buf p = BUF_INIT;

	(void)state;
	raw_section(&p, FMT_META, FMT_MAX_ROWS, &col, 1);
	assert_int_equal(decode(&p, 0, NULL), 0);
	buf_reset(&p);
	raw_section(&p, FMT_META, FMT_MAX_ROWS + 1, &col, 1);
	assert_int_equal(decode(&p, 0, NULL), -EBADMSG);
	for (u32 i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct raw_column){.id = 100 + i, .enc = FMT_ENC_CONST, .data = "\x07", .size = 1};
	buf_reset(&p);
	raw_section(&p, FMT_META, 1, many, FMT_MAX_COLUMNS + 2); /* 64, classes and a payload */
	assert_int_equal(decode(&p, 0, NULL), 0);
	buf_reset(&p);
	raw_section(&p, FMT_META, 1, many, FMT_MAX_COLUMNS + 3);
	assert_int_equal(decode(&p, 0, NULL), -EBADMSG);
	buf_reset(&p);
	buf_put(&p, "\x02\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13); /* size 2^64 - 1 */
	assert_int_equal(decode(&p, 0, NULL), -EBADMSG);
}

/* As many classes as there may be, and one more; two bytes a row above 256. */
static void limits_of_classes(void **state)
{
	const u32 rows = 5000;

	(void)state;
	for (u32 n = 255; n <= 4097; n = n < 257 ? n + 1 : n < 4096 ? 4096 : n + 1) {
		_cleanup_buf_ struct buf p = BUF_INIT, classes = BUF_INIT, table = BUF_INIT;
		struct raw_column cols[2];
		u64 v = 0;

		buf_put_uvarint(&classes, n);
		for (u32 i = 0; i < rows; i++)
			buf_putc(&classes, (u8)((n - 1) & 255));
		for (u32 i = 0; i < rows && n > 256; i++)
			buf_putc(&classes, (u8)((n - 1) >> 8));
		buf_putc(&table, FMT_ENC_VARINT);
		for (u32 i = 0; i < n; i++)
			buf_put_uvarint(&table, 7 * i);
		cols[0] = (struct raw_column){
			.id = FMT_CLASS_COLUMN, .enc = FMT_ENC_CLASS, .data = classes.data, .size = classes.len};
		cols[1] = (struct raw_column){.id = 2, .enc = FMT_ENC_CLASS, .data = table.data, .size = table.len};
		raw_section(&p, FMT_SWITCH_IN, rows, cols, 2);
		assert_int_equal(decode(&p, 1, &v), n > FMT_MAX_CLASSES ? -EBADMSG : 0);
		assert_int_equal(v, n > FMT_MAX_CLASSES ? 0 : 7 * (n - 1));
	}
}

static size_t arena_size(const struct fmt_arena *a)
{
	return a->chunks.bytes + a->big.bytes;
}

/* 64 sections of 2^18 rows in a few bytes each: refused as a whole before the memory is taken. */
static void constant_columns_are_no_bomb(void **state)
{
	const struct raw_column col = {.id = 1, .enc = FMT_ENC_CONST, .data = "\x07", .size = 1};
	_cleanup_buf_ struct buf p = BUF_INIT;
	struct fmt_arena a = {0};
	struct fmt_section s;
	struct fmt_cursor c;
	int err = 0;
	u32 n = 0;

	(void)state;
	for (u32 i = 0; i < FMT_MAX_SECTIONS; i++)
		raw_section(&p, FMT_SWITCH_OUT, FMT_MAX_ROWS, &col, 1);
	assert_true(p.len < 1024);
	c = cur_init(p.data, p.len);
	while (!err && n++ < FMT_MAX_SECTIONS)
		err = fmt_section_decode(&c, &a, NULL, &s);
	assert_int_equal(err, -EBADMSG);
	assert_true(n <= FMT_MAX_CELLS / FMT_MAX_ROWS / 22 + 1);
	assert_true(arena_size(&a) <= FMT_MAX_CELLS * sizeof(u64) + ((size_t)4 << 20));
	fmt_arena_release(&a);
}

/* Blocks that grow a little each must not make the memory grow with their number. */
static void memory_is_one_blocks(void **state)
{
	const struct raw_column col = {.id = 1, .enc = FMT_ENC_CONST, .data = "\x07", .size = 1};
	struct fmt_arena a = {0};

	(void)state;
	for (u32 block = 0; block < 50; block++) {
		_cleanup_buf_ struct buf p = BUF_INIT;
		struct fmt_section s;
		struct fmt_cursor c;

		raw_section(&p, FMT_SWITCH_IN, FMT_MAX_ROWS / 2 + 2 * block, &col, 1);
		c = cur_init(p.data, p.len);
		fmt_arena_reset(&a);
		assert_int_equal(fmt_section_decode(&c, &a, NULL, &s), 0);
		assert_true(arena_size(&a) <= (size_t)16 << 20);
	}
	fmt_arena_release(&a);
}

/* Nor must what is small behind what is big. */
static void memory_is_one_blocks_whatever_the_order(void **state)
{
	const struct raw_column col = {.id = 1, .enc = FMT_ENC_CONST, .data = "\x07", .size = 1};
	_cleanup_buf_ struct buf p = BUF_INIT;
	struct fmt_arena a = {0};
	size_t first = 0;

	(void)state;
	for (u32 i = 0; i < 4; i++)
		raw_section(&p, FMT_SWITCH_IN, i & 1 ? 10 : FMT_MAX_ROWS, &col, 1);
	for (u32 block = 0; block < 50; block++) {
		struct fmt_cursor c = cur_init(p.data, p.len);
		struct fmt_section s;

		fmt_arena_reset(&a);
		for (u32 i = 0; i < 4; i++)
			assert_int_equal(fmt_section_decode(&c, &a, NULL, &s), 0);
		first = block ? first : arena_size(&a);
		assert_int_equal(arena_size(&a), first);
	}
	fmt_arena_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind),
		cmocka_unit_test(encodings_at_the_extremes),
		cmocka_unit_test(payloads_at_the_extremes),
		cmocka_unit_test(too_many_rows),
		cmocka_unit_test(any_encoding_for_any_column),
		cmocka_unit_test(malformed_columns),
		cmocka_unit_test(split_bit_by_bit),
		cmocka_unit_test(split_at_every_size),
		cmocka_unit_test(classes_of_rows),
		cmocka_unit_test(wide_columns_by_themselves),
		cmocka_unit_test(groups_go_by_thread),
		cmocka_unit_test(malformed_classes),
		cmocka_unit_test(malformed_payloads),
		cmocka_unit_test(absent_and_unknown_columns),
		cmocka_unit_test(a_column_twice),
		cmocka_unit_test(impossible_numbers),
		cmocka_unit_test(cut_and_stretched_sections),
		cmocka_unit_test(changed_bytes),
		cmocka_unit_test(limits_of_a_section),
		cmocka_unit_test(limits_of_classes),
		cmocka_unit_test(constant_columns_are_no_bomb),
		cmocka_unit_test(memory_is_one_blocks),
		cmocka_unit_test(memory_is_one_blocks_whatever_the_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
