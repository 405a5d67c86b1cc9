/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_fmt_coded.c: the range coder; what switches say of samples; sections of samples there and back, beside switches that fit and that do not; malformed
 * columns of the encodings symbols, steps, like and count.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <string.h>

#include "format/fmt_beside.h"
#include "format/fmt_codec.h"
#include "format/fmt_coder.h"
#include "tests/unit/raw_capture.h"

/* ---- the coder ---- */

enum { BITS = 5, CONTEXTS = 3 };

/* n symbols, each below 1 << `width`, every third one without a context, with plain bits in between. Returns the bytes that they took. */
static size_t coder_round(u32 n, u32 width, u64 seed)
{
	struct fmt_prob probs[(CONTEXTS + 1) << BITS];
	struct fmt_tree t = {.probs = probs, .bits = BITS, .contexts = CONTEXTS};
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct fmt_put put;
	struct fmt_get get;
	u64 rnd = seed;

	buf_puts(&out, "before");
	memset(probs, 0, sizeof(probs));
	put = fmt_put_init(&out);
	for (u32 i = 0; i < n; i++) {
		u64 v = raw_random(&rnd);

		fmt_put_symbol(&put, &t, i % (CONTEXTS + 1), (u32)v & ((1u << width) - 1));
		fmt_put_bits(&put, v >> 32, i % 5 ? 0 : 1 + i % 32);
	}
	fmt_put_end(&put);
	assert_int_equal(buf_err(&out), 0);
	assert_memory_equal(out.data, "before", 6);

	memset(probs, 0, sizeof(probs));
	get = fmt_get_init(out.data + 6, out.len - 6);
	rnd = seed;
	for (u32 i = 0; i < n; i++) {
		u64 v = raw_random(&rnd);
		u32 bits = i % 5 ? 0 : 1 + i % 32;

		assert_int_equal(fmt_get_symbol(&get, &t, i % (CONTEXTS + 1)), v & ((1u << width) - 1));
		assert_int_equal(fmt_get_bits(&get, bits), v >> 32 & ((1ULL << bits) - 1));
	}
	assert_ptr_equal(get.p, get.end); /* all was needed */
	return out.len - 6;
}

static void coder_there_and_back(void **state)
{
	(void)state;
	for (u64 seed = 1; seed < 2000; seed++)
		(void)coder_round((u32)seed % 50, 1 + (u32)seed % BITS, seed);
	(void)coder_round(100000, BITS, 1);
	assert_int_equal(coder_round(0, BITS, 1), 0);
}

/* What is always the same is learnt: 10,000 symbols of 5 bits in a few dozen bytes. */
static void coder_learns(void **state)
{
	struct fmt_prob probs[1 << BITS] = {0};
	struct fmt_tree t = {.probs = probs, .bits = BITS};
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct fmt_put put = fmt_put_init(&out);

	(void)state;
	for (u32 i = 0; i < 10000; i++)
		fmt_put_symbol(&put, &t, 0, 21);
	fmt_put_end(&put);
	assert_in_range(out.len, 1, 40);
	assert_int_equal(probs[1].zero, 64); /* the highest bit of 21 is 1: as unlikely to be 0 as can be */
	assert_int_equal(probs[1].met, 30);
}

/* FORMAT.md: 32768, then 2 * 32768 div 3 more after a 0, and 2 * 54613 div 5 less after a 1; a context begins where the node without one is. */
static void probabilities(void **state)
{
	struct fmt_prob probs[2 << 1] = {0};
	struct fmt_tree t = {.probs = probs, .bits = 1, .contexts = 1};
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct fmt_put put = fmt_put_init(&out);

	(void)state;
	fmt_put_symbol(&put, &t, 0, 0);
	assert_int_equal(probs[1].zero, 32768 + 21845);
	assert_int_equal(probs[1].met, 2);
	fmt_put_symbol(&put, &t, 1, 1);
	assert_int_equal(probs[1].zero, 54613 - 21845);
	assert_int_equal(probs[1].met, 3);
	assert_int_equal(probs[2 + 1].zero, 54613 - 21845); /* step 5 as well: it began with m = 2 */
	assert_int_equal(probs[2 + 1].met, 3);
	buf_release(&out);
}

/* ---- beside switches ---- */

#define N_OUTS 6
static const struct fmt_switch_out outs[N_OUTS] = {
	{.ts = 100, .thread = 1, .cpu = 0, .tick = 10},	   {.ts = 150, .thread = 2, .cpu = 1, .tick = 50},
	{.ts = 200, .thread = 3, .cpu = 0, .tick = 7},	   {.ts = 300, .thread = 1, .cpu = 0, .tick = 30},
	{.ts = 300, .thread = 4097, .cpu = 1, .tick = 99}, {.ts = 250, .thread = 2, .cpu = 1, .tick = 60}, /* late */
};
#define N_SAMPLES 5
static const struct fmt_sample samples[N_SAMPLES] = {
	{.ts = 50, .thread = 1, .cpu = 0, .tick = 5},	  {.ts = 250, .thread = 1, .cpu = 0, .tick = 21},
	{.ts = 260, .thread = 1, .cpu = 0, .tick = 22},	  {.ts = 270, .thread = 2, .cpu = 1, .tick = 55},
	{.ts = 300, .thread = 1, .cpu = 4096, .tick = 0},
};

static void columns_of(const void *rows, u32 n, enum fmt_kind_id id, struct fmt_columns *ret)
{
	*ret = (struct fmt_columns){.kind = fmt_kind_by_id(id), .rows = n, .step = fmt_kind_by_id(id)->n_cols};
	for (u32 c = 0; c < ret->kind->n_cols; c++)
		ret->of[c] = (const u64 *)rows + c;
}

enum { TS = 0, THREAD = 1, CPU = 2, TICK = offsetof(struct fmt_sample, tick) / sizeof(u64) };

static void what_switches_say(void **state)
{
	static const u32 next[N_SAMPLES] = {1, 4, 4, 5, 0}, recent[N_SAMPLES] = {0, 1, FMT_BESIDE_OWN + 1, 2, 5};
	/* 25 is 10 + 20 * 150 / 200, 22 is 21 + 9 * 10 / 50. The end of cpu 1 is thread 4097's, not 2's; but as the latest row it passes for one of thread 1. */
	static const u64 tick[N_SAMPLES] = {0, 25, 22, 50, 99};
	static const u32 context[N_SAMPLES] = {35, 6, 5, 34, 34};
	static u32 slots[FMT_BESIDE_SLOTS], own[FMT_BESIDE_SLOTS];
	u32 n[N_SAMPLES], r[N_SAMPLES], link[N_OUTS], of;
	struct fmt_columns s, o;
	struct fmt_beside b = {.outs = &o, .ts = TS, .thread = THREAD, .cpu = CPU, .next = n, .recent = r, .link = link};
	int out_tick;

	(void)state;
	b.slots = slots;
	b.own = own;
	columns_of(outs, N_OUTS, FMT_SWITCH_OUT, &o);
	columns_of(samples, N_SAMPLES, FMT_SAMPLE, &s);
	out_tick = fmt_beside_column(&s, TICK);
	assert_int_equal(out_tick, offsetof(struct fmt_switch_out, tick) / sizeof(u64));
	assert_int_equal(fmt_beside_column(&s, offsetof(struct fmt_sample, pc) / sizeof(u64)), -1);
	fmt_beside_next(&b, &s);
	fmt_beside_recent(&b, &s);
	for (u32 i = 0; i < N_SAMPLES; i++) {
		assert_int_equal(n[i], next[i]);
		assert_int_equal(r[i], recent[i]);
		assert_int_equal(fmt_beside_count(&b, &s, TICK, out_tick, i, &of), tick[i]);
		assert_int_equal(of, context[i]);
	}
	assert_int_equal(fmt_beside_value(&b, &s, THREAD, THREAD, 0), 1);
	assert_int_equal(fmt_beside_value(&b, &s, THREAD, THREAD, 3), 4097);
	assert_int_equal(fmt_beside_value(&b, &s, THREAD, THREAD, 4), 2);  /* none is next: the row before */
	assert_int_equal(fmt_beside_value(&b, &s, TICK, out_tick, 0), 10); /* how the run ends */
	assert_int_equal(fmt_beside_value(&b, &s, TICK, out_tick, 3), 50); /* not its run: the recent row */
	assert_int_equal(fmt_beside_value(&b, &s, TICK, -1, 2), 21);	   /* of its own rows alone */
	assert_int_equal(fmt_beside_value(&b, &s, TICK, -1, 3), 0);
	b.outs = NULL;
	fmt_beside_next(&b, &s);
	fmt_beside_recent(&b, &s);
	assert_int_equal(n[0], 0);
	assert_int_equal(r[1], FMT_BESIDE_OWN);
}

/* ---- sections ---- */

struct both {
	struct fmt_rows outs, samples;
};

static struct both both_new(void)
{
	return (struct both){.outs.kind = fmt_kind_by_id(FMT_SWITCH_OUT), .samples.kind = fmt_kind_by_id(FMT_SAMPLE)};
}

static void both_release(struct both *b)
{
	fmt_rows_release(&b->outs);
	fmt_rows_release(&b->samples);
}

/* Both sections, as in a block: they are read to what they were. Returns the bytes of the samples'. */
static size_t both_round_trip(const struct both *b)
{
	_cleanup_buf_ struct buf scratch = BUF_INIT, out = BUF_INIT;
	struct fmt_section o, s;
	struct fmt_arena a = {0};
	struct fmt_cursor c;
	size_t before;
	u64 row[FMT_MAX_COLUMNS];

	fmt_section_encode(&b->outs, NULL, &scratch, &out);
	before = out.len;
	fmt_section_encode(&b->samples, &b->outs, &scratch, &out);
	assert_int_equal(buf_err(&out), 0);
	c = cur_init(out.data, out.len);
	assert_int_equal(fmt_section_decode(&c, &a, NULL, &o), 0);
	assert_int_equal(fmt_section_decode(&c, &a, &o, &s), 0);
	assert_int_equal(cur_left(&c), 0);
	assert_int_equal(s.rows, b->samples.rows);
	for (u32 i = 0; i < s.rows; i++) {
		fmt_section_row(&s, i, row);
		assert_memory_equal(row, b->samples.values + (size_t)i * s.kind->n_cols, s.kind->n_cols * sizeof(u64));
	}
	fmt_arena_release(&a);
	return out.len - before;
}

enum { PERIOD = 2004008, RUNS = 400 };

/* Two cpus on which four threads take turns, a millisecond or so each, and a timer on each cpu that comes late by up to 1 us. */
static void put_load(struct both *b, u64 *rnd)
{
	u64 end[2] = {NSEC_PER_SEC, NSEC_PER_SEC + 1234}, fires[2] = {end[0] + 99999, end[1] + 777777}, tick[4] = {0};

	for (u32 i = 0; i < RUNS; i++) {
		u32 cpu = end[1] < end[0], thread = (u32)(raw_random(rnd) % 2) * 2 + cpu;
		u64 from = end[cpu];
		struct fmt_switch_out out = {.thread = thread + 1,
					     .cpu = cpu,
					     .ctx_status = 1,
					     .context = thread + 1,
					     .runtime = 1,
					     .core = 0x7f0012345000 + thread * 0x1000,
					     .task = 1 + raw_random(rnd) % 5};

		end[cpu] += 500000 + raw_random(rnd) % 1000000;
		for (; fires[cpu] < end[cpu]; fires[cpu] += PERIOD) {
			struct fmt_sample s = {.ts = fires[cpu] + raw_random(rnd) % 1024,
					       .thread = out.thread,
					       .cpu = cpu,
					       .mode = 1,
					       .ctx_status = 1,
					       .context = out.context,
					       .runtime = 1,
					       .core = out.core,
					       .task = out.task,
					       .tick = tick[thread] + 40 * (fires[cpu] - from) / (end[cpu] - from),
					       .pc = 0x401000};

			assert_int_equal(fmt_rows_add(&b->samples, &s, NULL, 0), 0);
		}
		out.ts = end[cpu];
		out.tick = tick[thread] += 40;
		assert_int_equal(fmt_rows_add(&b->outs, &out, NULL, 0), 0);
	}
}

/* Of such samples only the time and, by a little, the tick is news: 10 bits and a token that says so, and which cpu. */
static void samples_beside_switches(void **state)
{
	struct both b = both_new();
	u64 rnd = 5;
	size_t with, without;

	(void)state;
	put_load(&b, &rnd);
	assert_in_range(b.samples.rows, 150, 250);
	with = both_round_trip(&b);
	fmt_rows_clear(&b.outs);
	without = both_round_trip(&b);
	both_release(&b);
	assert_in_range(with, 200, 600); /* 3 bytes a sample at most, the directory and all that is the same included */
	assert_true(without > with + 200);
}

static void add_sample(struct both *b, struct fmt_sample s)
{
	assert_int_equal(fmt_rows_add(&b->samples, &s, NULL, 0), 0);
}

/* A column that is 0 in each row is not written, but for those that others are read in the light of. */
static void columns_of_zeros_are_left_out(void **state)
{
	struct both b = both_new();
	_cleanup_buf_ struct buf scratch = BUF_INIT, out = BUF_INIT;
	struct fmt_cursor c;

	(void)state;
	for (u64 i = 0; i < 20; i++)
		add_sample(&b, (struct fmt_sample){.ts = 1000 * i});
	(void)both_round_trip(&b);
	fmt_section_encode(&b.samples, NULL, &scratch, &out);
	c = cur_init(out.data, out.len);
	assert_int_equal(cur_uvarint(&c, "kind"), FMT_SAMPLE);
	assert_int_equal(cur_uvarint(&c, "rows"), 20);
	assert_int_equal(cur_uvarint(&c, "columns"), 3);
	fmt_rows_clear(&b.samples);
	for (u64 i = 0; i < 20; i++)
		add_sample(&b, (struct fmt_sample){0}); /* not even a time */
	(void)both_round_trip(&b);
	both_release(&b);
}

/* A value that is seldom what the switches foresee, one of two: a bit or so each, not its 6 bytes. */
static void few_values_that_switches_do_not_foresee(void **state)
{
	struct both b = both_new();
	u64 rnd = 9;

	(void)state;
	for (u64 i = 0; i < 200; i++)
		add_sample(&b, (struct fmt_sample){.thread = 1, .core = raw_random(&rnd) % 2 ? 0x7f0012345000 : 0x7f0012346780});
	assert_in_range(both_round_trip(&b), 25, 100);
	both_release(&b);
}

/* Whatever is beside: switches of other threads, of other times, in no order, at the ends of u64. */
static void any_samples_beside_any_switches(void **state)
{
	static const u64 odd[] = {0, 1, 4096, 4097, UINT64_MAX, 1ULL << 63, (1ULL << 63) - 1, 1ULL << 40};
	u64 rnd = 77;

	(void)state;
	for (u32 round = 0; round < 300; round++) {
		struct both b = both_new();
		u64 n = raw_random(&rnd) % 60, m = raw_random(&rnd) % 60, range = 1ULL << raw_random(&rnd) % 64;

		for (u64 i = 0; i < n + m; i++) {
			struct fmt_rows *r = i < n ? &b.outs : &b.samples;
			u64 row[FMT_MAX_COLUMNS] = {0};

			for (u32 c = 0; c < r->kind->n_cols; c++)
				row[c] =
					raw_random(&rnd) % 4 ? raw_random(&rnd) % range : odd[raw_random(&rnd) % ARRAY_SIZE(odd)];
			assert_int_equal(fmt_rows_add(r, row, NULL, 0), 0);
		}
		(void)both_round_trip(&b);
		both_release(&b);
	}
}

/* As many rows as a code may have, each column with as many values; one more row, and the section goes by other encodings. */
static void most_rows(void **state)
{
	struct both b = both_new();
	u64 row[FMT_MAX_COLUMNS] = {0};

	(void)state;
	for (u64 i = 0; i <= FMT_MAX_CODED; i++) {
		for (u32 c = 0; c < b.samples.kind->n_cols; c++)
			row[c] = i * 1000003 * (c + 1);
		assert_int_equal(fmt_rows_add(&b.samples, row, NULL, 0), 0);
		if (i + 1 >= FMT_MAX_CODED)
			(void)both_round_trip(&b);
	}
	both_release(&b);
}

/* ---- sections by hand ---- */

static int decode(enum fmt_kind_id kind, u64 rows, const struct raw_column *cols, size_t n)
{
	_cleanup_buf_ struct buf p = BUF_INIT;
	struct fmt_arena a = {0};
	struct fmt_section s = {0};
	struct fmt_cursor c;
	int err;

	raw_section(&p, kind, rows, cols, n);
	c = cur_init(p.data, p.len);
	err = fmt_section_decode(&c, &a, NULL, &s);
	if (err)
		assert_non_null(c.what);
	fmt_arena_release(&a);
	return err;
}

static int decode_one(u64 rows, u32 id, u8 enc, const char *data, size_t n)
{
	const struct raw_column col = {.id = id, .enc = enc, .data = data, .size = n};

	return decode(FMT_SAMPLE, rows, &col, 1);
}

static void malformed_symbols(void **state)
{
	(void)state;
	assert_int_equal(decode_one(2, 3, FMT_ENC_SYMBOLS, "\x00\x02\x05\x01", 4), 0); /* no byte of code: as if it were zeros */
	assert_int_equal(decode_one(2, 3, FMT_ENC_SYMBOLS, "\x03\x02\x05\x01", 4), 0); /* by itself */
	assert_int_equal(decode_one(2, 3, FMT_ENC_SYMBOLS, "\x00\x02\x05\x01\x00\x00\x00\x00", 8), 0);
	assert_int_equal(decode_one(2, 3, FMT_ENC_SYMBOLS, "\x00\x02\x05\x01\x00\x00\x00\x00\x00", 9),
			 -EBADMSG); /* a byte too many */
	assert_int_equal(decode_one(2, 3, FMT_ENC_SYMBOLS, "\x00\x00", 2), -EBADMSG);
	assert_int_equal(decode_one(2, 3, FMT_ENC_SYMBOLS, "\x00\x03\x05\x01\x01", 5), -EBADMSG); /* more symbols than rows */
	assert_int_equal(decode_one(2, 3, FMT_ENC_SYMBOLS, "\x00\x02\x05", 3), -ENODATA);
	assert_int_equal(decode_one(3, 3, FMT_ENC_SYMBOLS, "\x00\x03\x05\x01\x01\xff\xff\xff\xff", 9),
			 -EBADMSG);							      /* symbol 3 of 3 */
	assert_int_equal(decode_one(2, 3, FMT_ENC_SYMBOLS, "\x04\x02\x05\x01", 4), -EBADMSG); /* by a column that is not there */
	assert_int_equal(decode_one(2, 3, FMT_ENC_SYMBOLS, "\x40\x02\x05\x01", 4), -EBADMSG);
	assert_int_equal(decode_one(2, 3, FMT_ENC_SYMBOLS, "\x41\x02\x05\x01", 4), -EBADMSG); /* ... and cannot be */
	assert_int_equal(decode_one(0, 3, FMT_ENC_SYMBOLS, "\x00\x00", 2), -EBADMSG);
	assert_int_equal(decode_one(FMT_MAX_CODED, 3, FMT_ENC_SYMBOLS, "\x00\x02\x05\x01", 4), 0);
	assert_int_equal(decode_one(FMT_MAX_CODED + 1, 3, FMT_ENC_SYMBOLS, "\x00\x02\x05\x01", 4), -EBADMSG);
}

/* A column of n symbols, 0, 1, 2, ..., by column g; no byte of code. */
static struct raw_column n_symbols(struct buf *b, u32 id, u32 g, u32 n)
{
	buf_reset(b);
	buf_put_uvarint(b, g);
	buf_put_uvarint(b, n);
	for (u32 i = 0; i < n; i++)
		buf_putc(b, i != 0);
	return (struct raw_column){.id = id, .enc = FMT_ENC_SYMBOLS, .data = b->data, .size = b->len};
}

/* 300 symbols are 9 bits: in 127 contexts and without one they have 65,536 nodes, and may not have more. */
static void too_many_contexts(void **state)
{
	_cleanup_buf_ struct buf a = BUF_INIT, b = BUF_INIT;

	(void)state;
	assert_int_equal(decode(FMT_SAMPLE, 300, (struct raw_column[]){n_symbols(&a, 3, 0, 127), n_symbols(&b, 4, 3, 300)}, 2),
			 0);
	assert_int_equal(decode(FMT_SAMPLE, 300, (struct raw_column[]){n_symbols(&a, 3, 0, 128), n_symbols(&b, 4, 3, 300)}, 2),
			 -EBADMSG);
	assert_int_equal(decode(FMT_SAMPLE, 300, (struct raw_column[]){n_symbols(&a, 3, 3, 300)}, 1), -EBADMSG);
}

static void malformed_steps(void **state)
{
	const struct raw_column by_const[] = {{.id = 3, .enc = FMT_ENC_CONST, .data = "\x01", .size = 1},
					      {.id = 1, .enc = FMT_ENC_STEPS, .data = "\x03\x00", .size = 2}};
	const struct raw_column by_symbols[] = {{.id = 3, .enc = FMT_ENC_SYMBOLS, .data = "\x00\x02\x05\x01", .size = 4},
						{.id = 1, .enc = FMT_ENC_STEPS, .data = "\x03\x00", .size = 2}};

	(void)state;
	assert_int_equal(decode_one(2, 1, FMT_ENC_STEPS, "\x00\x00", 2), 0);
	assert_int_equal(decode_one(2, 1, FMT_ENC_STEPS, "\x00", 1), -ENODATA);
	assert_int_equal(decode_one(2, 1, FMT_ENC_STEPS, "\x00\x00\x00\x00\x00\x00\x01\x01\x01", 9), -EBADMSG);
	assert_int_equal(decode(FMT_SAMPLE, 2, by_const, 2), -EBADMSG); /* no symbols */
	assert_int_equal(decode(FMT_SAMPLE, 2, by_symbols, 2), 0);
	assert_int_equal(decode_one(2, 1, FMT_ENC_STEPS, "\x01\x00", 2), -EBADMSG);				  /* by itself */
	assert_int_equal(decode_one(3, 1, FMT_ENC_STEPS, "\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11), 0); /* any period */
}

static void what_goes_by_switches_has_its_columns_in_front(void **state)
{
	const struct raw_column ts = {.id = 1, .enc = FMT_ENC_CONST, .data = "\x09", .size = 1},
				thread = {.id = 2, .enc = FMT_ENC_LIKE, .data = "\x00", .size = 1},
				cpu = {.id = 3, .enc = FMT_ENC_CONST, .data = "\x01", .size = 1},
				task = {.id = 11, .enc = FMT_ENC_LIKE, .data = "\x00", .size = 1},
				tick = {.id = 12, .enc = FMT_ENC_COUNT, .data = "", .size = 0},
				exit = {.id = 2, .enc = FMT_ENC_LIKE, .data = "\x00", .size = 1},
				counted = {.id = 2, .enc = FMT_ENC_COUNT, .data = "", .size = 0},
				known = {.id = 2, .enc = FMT_ENC_CONST, .data = "\x01", .size = 1},
				own_ts = {.id = 1, .enc = FMT_ENC_LIKE, .data = "\x00", .size = 1},
				own_cpu = {.id = 3, .enc = FMT_ENC_LIKE, .data = "\x00", .size = 1};

	(void)state;
	assert_int_equal(decode(FMT_SAMPLE, 2, (struct raw_column[]){ts, cpu, thread, task, tick}, 5), 0);
	assert_int_equal(decode(FMT_SAMPLE, 2, (struct raw_column[]){ts, thread, cpu}, 3), -EBADMSG);
	assert_int_equal(decode(FMT_SAMPLE, 2, (struct raw_column[]){cpu, thread, ts}, 3), -EBADMSG);
	assert_int_equal(decode(FMT_SAMPLE, 2, (struct raw_column[]){ts, cpu, task, thread}, 4), -EBADMSG);
	assert_int_equal(decode(FMT_SAMPLE, 2, (struct raw_column[]){ts, cpu, tick, thread}, 4), -EBADMSG);
	assert_int_equal(decode(FMT_THREAD_EXIT, 2, (struct raw_column[]){ts, exit}, 2), -EBADMSG); /* has no cpu */
	assert_int_equal(decode(FMT_SAMPLE, 2, (struct raw_column[]){ts, cpu, counted, tick}, 4), -EBADMSG);
	assert_int_equal(decode(FMT_SAMPLE, 2, (struct raw_column[]){cpu, known, own_ts}, 3), -EBADMSG); /* by itself */
	assert_int_equal(decode(FMT_SAMPLE, 2, (struct raw_column[]){ts, known, own_cpu}, 3), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(coder_there_and_back),
		cmocka_unit_test(coder_learns),
		cmocka_unit_test(probabilities),
		cmocka_unit_test(what_switches_say),
		cmocka_unit_test(samples_beside_switches),
		cmocka_unit_test(columns_of_zeros_are_left_out),
		cmocka_unit_test(few_values_that_switches_do_not_foresee),
		cmocka_unit_test(any_samples_beside_any_switches),
		cmocka_unit_test(most_rows),
		cmocka_unit_test(malformed_symbols),
		cmocka_unit_test(too_many_contexts),
		cmocka_unit_test(malformed_steps),
		cmocka_unit_test(what_goes_by_switches_has_its_columns_in_front),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
