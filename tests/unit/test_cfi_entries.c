/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_cfi_entries.c: hand-made .eh_frame sections: encodings, CIEs of all sorts, order and overlaps of FDEs, sections that lie or end early. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <stdio.h>
#include <string.h>

#include "tests/unit/cfi_check.h"

static void encodings(void **state)
{
	static const u8 formats[] = {0, 1, 2, 3, 4, 8, 9, 10, 11, 12}, bases[] = {0x00, 0x10, 0x30};

	(void)state;
	for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
		for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
			struct section s = section_new();
			u8 encoding = formats[f] | bases[i];
			struct cfi_counts counts;
			char name[32];
			size_t cie;

			if (bases[i] == 0x10 && formats[f] < 4 && formats[f])
				continue; /* code lies below the section: not with an unsigned distance of fewer than eight bytes */
			s.encoding = encoding;
			cie = section_put_cie(&s, 1, "zR", &encoding, 1, 16, USUAL_PROGRAM);
			section_put_fde(&s, cie, 0x1230, 0x10, BYTES(0x44, 0x0e, 16));
			(void)snprintf(name, sizeof(name), "encoding %#x", encoding);
			counts = CHECK(name, &s, ROW(0x1230, SP(1, 0)), ROW(0x1234, SP(2, 0)), ROW(0x1240, UW_END));
			assert_int_equal(counts.fdes, 1);
		}
	}
}

/* What no linker writes leaves an FDE whose range is not known. */
static void encodings_refused(void **state)
{
	static const u8 bad[] = {0x05, 0x06, 0x07, 0x0d, 0x0e, 0x0f, 0x20, 0x2b, 0x40, 0x50, 0x5b, 0x60, 0x9b, 0x80, 0xff};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct section s = section_new();
		struct cfi_counts counts;
		size_t cie = section_put_cie(&s, 1, "zR", &bad[i], 1, 16, USUAL_PROGRAM);

		s.encoding = 0x1b;
		section_put_fde(&s, cie, TEXT, 0x100, BYTES(0));
		section_put_fde(&s, section_put_usual_cie(&s), 0x2000, 0x10, BYTES(0));
		counts = CHECK("refused", &s, ROW(0x2000, SP(1, 0)), ROW(0x2010, UW_END));
		assert_int_equal(counts.bad_fdes, 1);
		assert_int_equal(counts.fdes, 1);
	}
}

/* An unknown letter in front of R: where R's byte is cannot be known. */
static void unknown_letter_before_encoding(void **state)
{
	struct section s = section_new();
	struct cfi_counts counts;
	size_t cie = section_put_cie(&s, 1, "zxR", BYTES(0x03), 16, USUAL_PROGRAM);

	(void)state;
	s.encoding = 0x03;
	section_put_fde(&s, cie, TEXT, 0x10, BYTES(0));
	counts = cfi_check("unknown letter", &s, NULL, 0);
	assert_int_equal(counts.bad_fdes, 1);
}

static void high_addresses(void **state)
{
	const u64 base = 0x7f1200000000;
	struct section s = {.vaddr = base + 0x10000};
	struct cfi_rows rows = {0};
	size_t cie = section_put_usual_cie(&s);

	(void)state;
	section_put_fde(&s, cie, base + TEXT, 0x10, BYTES(0));
	section_put_fde(&s, cie, base + TEXT + 0x20, 0x10, BYTES(0));
	(void)cfi_compile_at(&s, base, base + TEXT, base + TEXT_END, &rows);
	cfi_assert_rows("high", &rows,
			(const u64[]){ROW(0x1000, SP(1, 0)), ROW(0x1010, UW_END), ROW(0x1020, SP(1, 0)), ROW(0x1030, UW_END)}, 4);
	free(rows.rows);
	buf_release(&s.b);
}

static void entries_of_64_bits(void **state)
{
	struct section s = section_new();
	size_t cie;

	(void)state;
	s.is_64 = true;
	cie = section_put_usual_cie(&s);
	section_put_fde(&s, cie, TEXT, 0x10, BYTES(0x44, 0x0e, 16));
	s.is_64 = false;
	section_put_fde(&s, cie, 0x2000, 0x10, BYTES(0));
	CHECK("64 bits", &s, ROW(0x1000, SP(1, 0)), ROW(0x1004, SP(2, 0)), ROW(0x1010, UW_END), ROW(0x2000, SP(1, 0)),
	      ROW(0x2010, UW_END));
}

static void debug_frame(void **state)
{
	(void)state;
	for (int is_64 = 0; is_64 < 2; is_64++) {
		struct section s = section_new();
		size_t cie;

		s.debug_frame = true;
		s.is_64 = is_64;
		(void)section_put_cie(&s, 3, "", NULL, 0, 16, BYTES(0x0c, 7, 8));
		cie = section_put_cie(&s, 3, "", NULL, 0, 16, USUAL_PROGRAM);
		section_put_fde(&s, cie, TEXT, 0x10, BYTES(0x44, 0x0e, 16));
		CHECK(".debug_frame", &s, ROW(0x1000, SP(1, 0)), ROW(0x1004, SP(2, 0)), ROW(0x1010, UW_END));
	}
}

static void versions(void **state)
{
	(void)state;
	for (u8 version = 0; version < 7; version++) {
		struct section s = section_new();
		struct cfi_counts counts;
		size_t cie;
		bool good = version == 1 || version == 3 || version == 4;

		s.encoding = 0x1b;
		cie = section_put_cie(&s, version, "zR", BYTES(0x1b), 16, USUAL_PROGRAM);
		section_put_fde(&s, cie, TEXT, 0x10, BYTES(0));
		if (good)
			counts = CHECK("version", &s, ROW(0x1000, SP(1, 0)), ROW(0x1010, UW_END));
		else
			counts = cfi_check("version", &s, NULL, 0);
		assert_int_equal(counts.fdes, good);
		assert_int_equal(counts.bad_fdes, !good);
	}
}

struct augmentation_case {
	const char *letters;
	u8 data[24];
	u8 n, encoding;
	u32 rule;
};

static void augmentations(void **state)
{
	static const struct augmentation_case cases[] = {
		{"", {0}, 0, 0x00, SP(1, 0)},
		{"eh", {0}, 0, 0x00, SP(1, 0)},
		{"z", {0}, 0, 0x00, SP(1, 0)},
		{"zR", {0x03}, 1, 0x03, SP(1, 0)},
		{"zLR", {0x1b, 0x03}, 2, 0x03, SP(1, 0)},
		{"zPLR", {0x9b, 1, 2, 3, 4, 0x1b, 0x03}, 7, 0x03, SP(1, 0)},
		{"zPLR", {0x00, 1, 2, 3, 4, 5, 6, 7, 8, 0x1b, 0x03}, 11, 0x03, SP(1, 0)},
		{"zPR", {0x01, 0x80, 0x01, 0x03}, 4, 0x03, SP(1, 0)},
		{"zPR", {0xff, 0x03}, 2, 0x03, SP(1, 0)},
		/* the CIE begins at 0, so its data is at 8 + 1 + 4 + 3 + 1 = 17, the pointer behind its encoding at 18, aligned at 24 */
		{"zPR", {0x50, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x03}, 16, 0x03, SP(1, 0)},
		{"zRB", {0x03}, 1, 0x03, SP(1, 0)},
		{"zRG", {0x03}, 1, 0x03, SP(1, 0)},
		{"zRx", {0x03, 0xff, 0xff}, 3, 0x03, SP(1, 0)}, /* sized: libgcc goes on without the unknown, so do we */
		{"x", {0}, 0, 0x00, KIND(UW_BAD)},		/* where instructions begin is not known, the range is */
		{"Rz", {0}, 0, 0x00, KIND(UW_BAD)},
		{"zRS", {0x03}, 1, 0x03, KIND(UW_BAD)}, /* a signal frame with an ordinary rule */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct augmentation_case *c = &cases[i];
		struct section s = section_new();
		struct cfi_counts counts;
		size_t cie;

		s.encoding = c->encoding;
		cie = section_put_cie(&s, 1, c->letters, c->data, c->n, 16, USUAL_PROGRAM);
		section_put_fde(&s, cie, TEXT, 0x10, BYTES(0));
		counts = CHECK(c->letters, &s, ROW(0x1000, c->rule), ROW(0x1010, UW_END));
		assert_int_equal(counts.fdes + counts.bad_fdes, 1);
	}
}

/* glibc's __restore_rt, as its readelf --debug-dump=frames shows it. */
static void signal_frames(void **state)
{
	static const u8 good[] = {0x0f, 4, 0x77, 0xa0, 1, 0x06, 0x10, 6, 3, 0x77, 0xf8, 0, 0x10, 16, 3, 0x77, 0xa8, 1};

	(void)state;
	for (size_t flip = 0; flip <= sizeof(good); flip++) {
		struct section s = section_new();
		u8 program[sizeof(good)];
		size_t cie;

		memcpy(program, good, sizeof(good));
		if (flip < sizeof(good))
			program[flip] ^= 1;
		s.encoding = 0x1b;
		cie = section_put_cie(&s, 1, "zRS", BYTES(0x1b), 16, USUAL_PROGRAM);
		section_put_fde(&s, cie, TEXT, 0x10, program, sizeof(program));
		CHECK("signal", &s, ROW(0x1000, KIND(flip < sizeof(good) ? UW_BAD : UW_SIGNAL)), ROW(0x1010, UW_END));
	}
}

static void bad_cies(void **state)
{
	static const struct {
		u8 program[8];
		u8 n, ra;
	} cases[] = {
		{{0x0c, 7, 8, 0x90, 1}, 5, 15},	      /* the return address is in another column */
		{{0x0c, 7, 8, 0x90, 1, 0x41}, 6, 16}, /* a location in a CIE */
		{{0x0c, 7, 8, 0x90, 1, 0xc6}, 6, 16}, /* initial instructions that restore */
		{{0x0c, 7, 8, 0x90, 1, 0x3f}, 6, 16}, /* unknown */
		{{0x0c, 7, 8, 0x90, 1, 0x0b}, 6, 16}, /* nothing to restore */
		{{0x0c, 7, 8}, 3, 16},		      /* nothing about the return address */
		{{0x90, 1}, 2, 16},		      /* nothing about the CFA */
		{{0x0e, 8, 0x90, 1}, 4, 16},	      /* a CFA without a register */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct section s = section_new();
		struct cfi_counts counts;
		size_t cie;

		s.encoding = 0x1b;
		cie = section_put_cie(&s, 1, "zR", BYTES(0x1b), cases[i].ra, cases[i].program, cases[i].n);
		section_put_fde(&s, cie, TEXT, 0x10, BYTES(0x44, 0x86, 2));
		section_put_fde(&s, section_put_usual_cie(&s), 0x1010, 0x10, BYTES(0));
		counts = CHECK("bad CIE", &s, ROW(0x1000, KIND(UW_BAD)), ROW(0x1010, SP(1, 0)), ROW(0x1020, UW_END));
		assert_int_equal(counts.bad_fdes + counts.bad_rules, 1);
	}
}

/* The size of the CIE's augmentation data reaches out of the entry: its FDEs have no range that could be known. */
static void augmentation_too_long(void **state)
{
	static const u8 sizes[] = {9, 0x40, 0x7f, 0xff};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct section s = section_new();
		size_t cie = section_put_usual_cie(&s);
		struct cfi_counts counts;

		assert_int_equal(s.b.data[cie + 15], 1); /* length, id, version, "zR", three numbers, and there the size is */
		s.b.data[cie + 15] = sizes[i];
		section_put_fde(&s, cie, TEXT, 0x10, BYTES(0));
		counts = cfi_check("too long", &s, NULL, 0);
		assert_int_equal(counts.bad_fdes, 1);
	}
}

/* An FDE may name a CIE that is not one. */
static void no_such_cie(void **state)
{
	static const size_t offs[] = {1, 4, 20, 21, 24, 0x7fffff00};
	struct section s = section_new();
	struct cfi_counts counts;
	size_t cie = section_put_usual_cie(&s);

	(void)state;
	section_put_fde(&s, cie, TEXT, 0x10, BYTES(0));
	for (size_t i = 0; i < ARRAY_SIZE(offs); i++)
		section_put_fde(&s, offs[i], TEXT + 0x100, 0x10, BYTES(0)); /* offs: an FDE's, or within an entry, or outside */
	counts = CHECK("no such CIE", &s, ROW(0x1000, SP(1, 0)), ROW(0x1010, UW_END));
	assert_int_equal(counts.bad_fdes, ARRAY_SIZE(offs));
	assert_int_equal(counts.fdes, 1);
}

/* FDEs of many CIEs, in no order. */
static void many_cies(void **state)
{
	enum { N = 100 };
	struct section s = section_new();
	struct cfi_rows rows = {0};
	size_t cies[N];

	(void)state;
	s.encoding = 0x1b;
	for (u8 i = 0; i < N; i++) {
		const u8 program[] = {0x0c, 7, (u8)(8 * (1 + i % 15)), 0x90, 1};

		cies[i] = section_put_cie(&s, 1, "zR", BYTES(0x1b), 16, program, sizeof(program));
	}
	for (u32 i = 0; i < N; i++) {
		u32 k = i * 37 % N;

		section_put_fde(&s, cies[k], TEXT + 16 * k, 16, BYTES(0));
	}
	assert_int_equal(cfi_compile_at(&s, 0, TEXT, TEXT_END, &rows).fdes, N);
	assert_int_equal(rows.n, N + 1);
	for (u32 i = 0; i < N; i++)
		assert_true(rows.rows[i] == ROW(TEXT + 16 * i, SP(1 + i % 15, 0)));
	free(rows.rows);
	buf_release(&s.b);
}

/* ---- from FDEs to rows ---- */

static void order_and_gaps(void **state)
{
	struct section s = section_new();
	size_t cie = section_put_usual_cie(&s);

	(void)state;
	section_put_fde(&s, cie, 0x3000, 0x10, BYTES(0x0e, 24));
	section_put_fde(&s, cie, 0x1000, 0x10, BYTES(0));
	section_put_fde(&s, cie, 0x1010, 0x10, BYTES(0x0e, 16)); /* right behind: no END */
	section_put_fde(&s, cie, 0x1020, 0x10, BYTES(0x0e, 16)); /* with the same rule: no row */
	section_put_fde(&s, cie, 0x2000, 0x10, BYTES(0x0e, 24)); /* between gaps */
	section_put_fde(&s, cie, 0x2fff, 0x1, BYTES(0x0e, 32));
	CHECK("order", &s, ROW(0x1000, SP(1, 0)), ROW(0x1010, SP(2, 0)), ROW(0x1030, UW_END), ROW(0x2000, SP(3, 0)),
	      ROW(0x2010, UW_END), ROW(0x2fff, SP(4, 0)), ROW(0x3000, SP(3, 0)), ROW(0x3010, UW_END));
}

/* The last row of a function may lie at or behind its end: it must not be seen in the next one. */
static void clipped_rows(void **state)
{
	struct section s = section_new();
	size_t cie = section_put_usual_cie(&s);

	(void)state;
	section_put_fde(&s, cie, 0x1000, 0x10, BYTES(0x48, 0x0e, 16, 0x48, 0x0e, 24));	       /* at the end */
	section_put_fde(&s, cie, 0x1010, 0x10, BYTES(0x48, 0x0e, 16, 0x60, 0x0e, 24));	       /* far behind it */
	section_put_fde(&s, cie, 0x1020, 0x10, BYTES(0x04, 0xff, 0xff, 0xff, 0xff, 0x0e, 24)); /* at the other end of the world */
	section_put_fde(&s, cie, 0x1030, 0x10, BYTES(0x50, 0x3f)); /* damage behind the end does no harm */
	CHECK("clipped", &s, ROW(0x1000, SP(1, 0)), ROW(0x1008, SP(2, 0)), ROW(0x1010, SP(1, 0)), ROW(0x1018, SP(2, 0)),
	      ROW(0x1020, SP(1, 0)), ROW(0x1040, UW_END));
}

static void overlaps(void **state)
{
	struct section s = section_new();
	size_t cie = section_put_usual_cie(&s);

	(void)state;
	section_put_fde(&s, cie, 0x1000, 0x100, BYTES(0x0e, 16, 0x60, 0x0e, 24)); /* reaches over the next two */
	section_put_fde(&s, cie, 0x1010, 0x20, BYTES(0x0e, 32));
	section_put_fde(&s, cie, 0x1040, 0x10, BYTES(0x0e, 40));
	section_put_fde(&s, cie, 0x2000, 0x10, BYTES(0x0e, 16)); /* twice the same start: the later in the section holds */
	section_put_fde(&s, cie, 0x2000, 0x08, BYTES(0x0e, 24));
	section_put_fde(&s, cie, 0x3000, 0, BYTES(0x0e, 24)); /* empty */
	CHECK("overlaps", &s, ROW(0x1000, SP(2, 0)), ROW(0x1010, SP(4, 0)), ROW(0x1030, UW_END), ROW(0x1040, SP(5, 0)),
	      ROW(0x1050, UW_END), ROW(0x2000, SP(3, 0)), ROW(0x2008, UW_END));
}

static void only_text(void **state)
{
	struct section s = section_new();
	struct cfi_counts counts;
	size_t cie = section_put_usual_cie(&s);

	(void)state;
	section_put_fde(&s, cie, 0, 0x10, BYTES(0)); /* what a linker dropped */
	section_put_fde(&s, cie, TEXT - 1, 0x10, BYTES(0));
	section_put_fde(&s, cie, TEXT, 1, BYTES(0));
	section_put_fde(&s, cie, TEXT_END - 1, 0x1000, BYTES(0x41, 0x0e, 16)); /* reaches out of it */
	section_put_fde(&s, cie, TEXT_END, 1, BYTES(0));
	section_put_fde(&s, cie, 0x10000000, 1, BYTES(0));
	section_put_fde(&s, cie, 0x2000, UINT32_MAX, BYTES(0)); /* of negative size */
	counts = CHECK("only text", &s, ROW(0x1000, SP(1, 0)), ROW(0x1001, UW_END), ROW(0x4fff, SP(1, 0)), ROW(0x5000, UW_END));
	assert_int_equal(counts.fdes, 2);
	assert_int_equal(counts.bad_fdes, 1);
}

/* Two executable segments, as BOLT leaves. */
static void two_segments(void **state)
{
	const struct cfi_range text[] = {{0x1000, 0x1100}, {0x4000, 0x4100}};
	struct section s = section_new();
	struct cfi_rows rows = {0};
	struct cfi_counts counts;
	size_t cie = section_put_usual_cie(&s);
	struct cfi_input in;

	(void)state;
	section_put_fde(&s, cie, 0x4000, 0x10, BYTES(0x0e, 16));
	section_put_fde(&s, cie, 0x2000, 0x10, BYTES(0));
	section_put_fde(&s, cie, 0x10f8, 0x10, BYTES(0));
	in = (struct cfi_input){
		.eh_frame = s.b.data, .size = s.b.len, .vaddr = s.vaddr, .base = 0x1000, .text = text, .n_text = 2};
	assert_int_equal(cfi_compile(&in, &rows, &counts), 0);
	cfi_assert_rows("two", &rows,
			(const u64[]){ROW(0xf8, SP(1, 0)), ROW(0x100, UW_END), ROW(0x3000, SP(2, 0)), ROW(0x3010, UW_END)}, 4);
	free(rows.rows);
	buf_release(&s.b);
}

/* Rows of another section are there already. */
static void appends(void **state)
{
	struct section s = section_new();
	struct cfi_rows rows = {0};
	size_t cie = section_put_usual_cie(&s);

	(void)state;
	assert_int_equal(cfi_rows_put(&rows, 0, 0x800, SP(1, 0)), 0);
	assert_int_equal(cfi_rows_put(&rows, 0, 0x900, SP(1, 0)), 0); /* says nothing new */
	section_put_fde(&s, cie, 0x1000, 0x10, BYTES(0));
	(void)cfi_compile_at(&s, 0, TEXT, TEXT_END, &rows);
	cfi_assert_rows("appended", &rows, (const u64[]){ROW(0x800, SP(1, 0)), ROW(0x1000, SP(1, 0)), ROW(0x1010, UW_END)}, 3);
	free(rows.rows);
	buf_release(&s.b);
}

/* ---- the section's end ---- */

static void terminators(void **state)
{
	struct section s = section_new();
	struct cfi_counts counts;
	size_t cie;

	(void)state;
	buf_put_le32(&s.b, 0); /* crt files joined without a look into them */
	cie = section_put_usual_cie(&s);
	section_put_fde(&s, cie, 0x1000, 0x10, BYTES(0));
	buf_put_le32(&s.b, 0);
	section_put_fde(&s, cie, 0x2000, 0x10, BYTES(0));
	buf_put_le64(&s.b, 0);
	section_put_fde(&s, section_put_usual_cie(&s), 0x3000, 0x10, BYTES(0)); /* none behind it */
	counts = CHECK("terminators", &s, ROW(0x1000, SP(1, 0)), ROW(0x1010, UW_END), ROW(0x2000, SP(1, 0)), ROW(0x2010, UW_END),
		       ROW(0x3000, SP(1, 0)), ROW(0x3010, UW_END));
	assert_int_equal(counts.fdes, 3);
	assert_false(counts.cut);
}

static void empty(void **state)
{
	struct section s = section_new();
	struct cfi_counts counts = cfi_check("empty", &s, NULL, 0);

	(void)state;
	assert_int_equal(counts.fdes, 0);
	assert_false(counts.cut);
}

/* Every prefix: the FDEs that are whole count, in memory that ends where the prefix does. */
static void cut_anywhere(void **state)
{
	struct section s = section_new();
	size_t ends[3], cie = section_put_usual_cie(&s), whole;

	(void)state;
	for (u32 i = 0; i < 3; i++) {
		section_put_fde(&s, cie, 0x1000 + 0x100 * i, 0x10, BYTES(0x44, 0x0e, 16));
		ends[i] = s.b.len;
	}
	whole = s.b.len;
	for (size_t n = 0; n <= whole; n++) {
		struct section part = {.vaddr = SECTION, .b = {.data = malloc(n ? n : 1), .len = n}};
		struct cfi_rows rows = {0};
		struct cfi_counts counts;
		u32 expected = (n >= ends[0]) + (n >= ends[1]) + (n >= ends[2]);

		assert_non_null(part.b.data);
		memcpy(part.b.data, s.b.data, n);
		counts = cfi_compile_at(&part, 0, TEXT, TEXT_END, &rows);
		assert_int_equal(counts.fdes, expected);
		assert_int_equal(rows.n, 3 * expected);
		assert_int_equal(counts.cut, n != 0 && n != s.entry && n != ends[0] && n != ends[1] && n != ends[2] &&
						     n != cie + 4 + s.b.data[0]);
		free(rows.rows);
		free(part.b.data);
	}
	buf_release(&s.b);
}

/* Lengths that lie. */
static void bad_lengths(void **state)
{
	static const u32 lengths[] = {1, 2, 3, 0x1000, 0x7fffffff, 0xfffffff0, 0xfffffffe, 0xffffffff};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct section s = section_new();
		struct cfi_counts counts;
		size_t cie = section_put_usual_cie(&s);

		section_put_fde(&s, cie, TEXT, 0x10, BYTES(0));
		buf_put_le32(&s.b, lengths[i]);
		buf_put(&s.b, BYTES(9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9));
		if (lengths[i] < 4)
			s.b.len = s.b.len - 11 + lengths[i];
		counts = CHECK("length", &s, ROW(0x1000, SP(1, 0)), ROW(0x1010, UW_END));
		assert_int_equal(counts.cut, lengths[i] >= 4);
		assert_int_equal(counts.bad_fdes, lengths[i] < 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encodings),
		cmocka_unit_test(encodings_refused),
		cmocka_unit_test(unknown_letter_before_encoding),
		cmocka_unit_test(high_addresses),
		cmocka_unit_test(entries_of_64_bits),
		cmocka_unit_test(debug_frame),
		cmocka_unit_test(versions),
		cmocka_unit_test(augmentations),
		cmocka_unit_test(signal_frames),
		cmocka_unit_test(bad_cies),
		cmocka_unit_test(augmentation_too_long),
		cmocka_unit_test(no_such_cie),
		cmocka_unit_test(many_cies),
		cmocka_unit_test(order_and_gaps),
		cmocka_unit_test(clipped_rows),
		cmocka_unit_test(overlaps),
		cmocka_unit_test(only_text),
		cmocka_unit_test(two_segments),
		cmocka_unit_test(appends),
		cmocka_unit_test(terminators),
		cmocka_unit_test(empty),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(bad_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
