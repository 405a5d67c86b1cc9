/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_fmt_compress.c: frames of payloads that the codec made, and of bytes that are none, decompress to what went in, within the bound; columns of
 * their own make them smaller than zstd alone does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <string.h>

#include "format/fmt_codec.h"
#include "format/fmt_compress.h"
#include "tests/unit/raw_capture.h"

/* Compresses n bytes and checks that they come back; the frame's size. */
static size_t there_and_back(const u8 *p, size_t n, int level)
{
	size_t cap = fmt_compress_bound(n), size;
	_cleanup_free_ u8 *frame = malloc(cap), *back = malloc(n + 1);
	ZSTD_CCtx *z = ZSTD_createCCtx();

	assert_non_null(frame);
	assert_non_null(back);
	assert_non_null(z);
	for (u32 twice = 0; twice < 2; twice++) { /* a context is used for block after block */
		size = fmt_compress(z, level, p, n, frame, cap);
		assert_false(ZSTD_isError(size));
		assert_true(ZSTD_getFrameContentSize(frame, size) == n);
		assert_int_equal(ZSTD_findFrameCompressedSize(frame, size), size); /* one frame */
		assert_int_equal(ZSTD_decompress(back, n, frame, size), n);
		assert_memory_equal(back, p, n);
	}
	ZSTD_freeCCtx(z);
	return size;
}

static void put_section(struct buf *out, u32 rows, u64 *rnd)
{
	struct fmt_rows r = {.kind = fmt_kind_by_id(FMT_SWITCH_OUT)};
	_cleanup_buf_ struct buf scratch = BUF_INIT;
	u64 ts = 1000000000;

	for (u32 i = 0; i < rows; i++) {
		u64 v = raw_random(rnd);
		struct fmt_switch_out row = {
			.ts = ts += v % 200000, .thread = v >> 20 & 7, .state = v >> 23 & 1, .tick = i / 3, .task = v >> 30 & 3};

		assert_int_equal(fmt_rows_add(&r, &row, NULL, 0), 0);
	}
	fmt_section_encode(&r, NULL, &scratch, out);
	assert_int_equal(buf_err(out), 0);
	fmt_rows_release(&r);
}

static void sections_of_every_size(void **state)
{
	static const u32 counts[] = {0, 1, 2, 17, 127, 128, 129, 1000, 1024, 1025, 5000, 140000};
	u64 rnd = 1;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(counts); i++) {
		_cleanup_buf_ struct buf p = BUF_INIT;

		put_section(&p, counts[i], &rnd);
		(void)there_and_back(p.data, p.len, 1);
		put_section(&p, counts[ARRAY_SIZE(counts) - 1 - i] % 10000, &rnd);
		(void)there_and_back(p.data, p.len, 3);
	}
}

static void bytes_that_are_no_payload(void **state)
{
	u64 rnd = 9;

	(void)state;
	(void)there_and_back((const u8 *)"", 0, 1);
	for (u32 n = 1; n < 3000; n += n < 40 ? 1 : 97) {
		_cleanup_free_ u8 *p = malloc(n);

		assert_non_null(p);
		for (u32 i = 0; i < n; i++)
			p[i] = (u8)(raw_random(&rnd) % (n % 5 ? 4 : 256));
		(void)there_and_back(p, n, 1);
	}
}

/* What is noise in one column must not spoil the code of the others. */
static void columns_have_codes_of_their_own(void **state)
{
	_cleanup_buf_ struct buf p = BUF_INIT;
	_cleanup_free_ u8 *frame = NULL;
	u64 rnd = 4;
	size_t plain;

	(void)state;
	put_section(&p, 5000, &rnd);
	frame = malloc(ZSTD_compressBound(p.len));
	assert_non_null(frame);
	plain = ZSTD_compress(frame, ZSTD_compressBound(p.len), p.data, p.len, 1);
	assert_false(ZSTD_isError(plain));
	assert_true(there_and_back(p.data, p.len, 1) < plain * 95 / 100);
}

/* No room: an error, and nothing behind the end. */
static void too_little_room(void **state)
{
	_cleanup_buf_ struct buf p = BUF_INIT;
	ZSTD_CCtx *z = ZSTD_createCCtx();
	u8 frame[256];
	u64 rnd = 4;

	(void)state;
	assert_non_null(z);
	put_section(&p, 5000, &rnd);
	memset(frame, 0x55, sizeof(frame));
	assert_true(ZSTD_isError(fmt_compress(z, 1, p.data, p.len, frame, 100)));
	for (u32 i = 100; i < sizeof(frame); i++)
		assert_int_equal(frame[i], 0x55);
	ZSTD_freeCCtx(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sections_of_every_size),
		cmocka_unit_test(bytes_that_are_no_payload),
		cmocka_unit_test(columns_have_codes_of_their_own),
		cmocka_unit_test(too_little_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
