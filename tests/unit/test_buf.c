/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_buf.c: growth, the maximum, the sticky error, and varints against bytes worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <string.h>

#include "base/buf.h"

#define assert_bytes(b, ...)                                                                                                     \
	do {                                                                                                                     \
		const u8 want_[] = {__VA_ARGS__};                                                                                \
		assert_int_equal(buf_err(b), 0);                                                                                 \
		assert_int_equal((b)->len, sizeof(want_));                                                                       \
		assert_memory_equal((b)->data, want_, sizeof(want_));                                                            \
	} while (0)

static void appends(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	buf_put(&b, NULL, 0);
	assert_int_equal(b.len, 0);
	buf_put(&b, "ab", 2);
	buf_putc(&b, 'c');
	buf_puts(&b, "de");
	buf_printf(&b, "%d-%s", 42, "x");
	assert_bytes(&b, 'a', 'b', 'c', 'd', 'e', '4', '2', '-', 'x');
	buf_reset(&b);
	buf_put_le32(&b, 0x11223344);
	buf_put_le64(&b, 0x0102030405060708ULL);
	assert_bytes(&b, 0x44, 0x33, 0x22, 0x11, 8, 7, 6, 5, 4, 3, 2, 1);
}

static void uvarint_bytes(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	buf_put_uvarint(&b, 0);
	buf_put_uvarint(&b, 1);
	buf_put_uvarint(&b, 127);
	assert_bytes(&b, 0x00, 0x01, 0x7f);
	buf_reset(&b);
	buf_put_uvarint(&b, 128);
	buf_put_uvarint(&b, 300);
	buf_put_uvarint(&b, 16383);
	buf_put_uvarint(&b, 16384);
	assert_bytes(&b, 0x80, 0x01, 0xac, 0x02, 0xff, 0x7f, 0x80, 0x80, 0x01);
	buf_reset(&b);
	buf_put_uvarint(&b, UINT64_MAX);
	assert_bytes(&b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);
	buf_reset(&b);
	buf_put_uvarint(&b, 1ULL << 63);
	assert_bytes(&b, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01);
}

static void maximum_is_exact_and_sticky(void **state)
{
	_cleanup_buf_ struct buf b = {.max = 8};

	(void)state;
	buf_puts(&b, "1234567");
	buf_putc(&b, '8');
	assert_int_equal(buf_err(&b), 0);
	buf_putc(&b, '9');
	assert_int_equal(buf_err(&b), -EFBIG);
	assert_int_equal(b.len, 8);
	assert_null(buf_reserve(&b, 0));
	buf_printf(&b, "x");
	buf_put_uvarint(&b, 1);
	assert_int_equal(b.len, 8);
	assert_memory_equal(b.data, "12345678", 8);

	buf_reset(&b);
	assert_int_equal(buf_err(&b), 0);
	buf_puts(&b, "again");
	assert_int_equal(b.len, 5);
	assert_int_equal(b.max, 8);
}

static void maximum_of_printf_and_varint(void **state)
{
	_cleanup_buf_ struct buf b = {.max = 8};

	(void)state;
	buf_printf(&b, "%s", "12345678"); /* the NUL of vsnprintf does not count */
	assert_int_equal(buf_err(&b), 0);
	assert_int_equal(b.len, 8);
	buf_reset(&b);
	buf_printf(&b, "%s", "123456789");
	assert_int_equal(buf_err(&b), -EFBIG);
	assert_int_equal(b.len, 0);

	buf_reset(&b);
	buf_puts(&b, "123456");
	buf_put_uvarint(&b, 128);
	assert_int_equal(buf_err(&b), 0);
	assert_int_equal(b.len, 8);
	buf_put_uvarint(&b, 0);
	assert_int_equal(buf_err(&b), -EFBIG);
	assert_int_equal(b.len, 8);
}

static void huge_reserve_is_refused(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	buf_putc(&b, 'x');
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_int_equal(buf_err(&b), -EFBIG);
	assert_int_equal(b.len, 1);
}

static void grows_to_a_megabyte(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	for (u32 i = 0; i < 1 << 18; i++)
		buf_put_le32(&b, i);
	assert_int_equal(buf_err(&b), 0);
	assert_int_equal(b.len, 1 << 20);
	for (u32 i = 0; i < 1 << 18; i++)
		assert_memory_equal(b.data + 4 * (size_t)i, &i, 4);
}

static void take_str_hands_over(void **state)
{
	_cleanup_buf_ struct buf b = {.max = 4};
	char *s;

	(void)state;
	buf_puts(&b, "abcd");
	s = buf_take_str(&b);
	assert_string_equal(s, "abcd");
	free(s);
	assert_null(b.data);
	assert_int_equal(b.len, 0);

	s = buf_take_str(&b); /* of an empty buffer */
	assert_string_equal(s, "");
	free(s);

	buf_puts(&b, "abcde");
	assert_null(buf_take_str(&b));
	assert_int_equal(b.len, 0);
	assert_int_equal(buf_err(&b), -EFBIG);
	buf_release(&b);
	assert_int_equal(buf_err(&b), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends),
		cmocka_unit_test(uvarint_bytes),
		cmocka_unit_test(maximum_is_exact_and_sticky),
		cmocka_unit_test(maximum_of_printf_and_varint),
		cmocka_unit_test(huge_reserve_is_refused),
		cmocka_unit_test(grows_to_a_megabyte),
		cmocka_unit_test(take_str_hands_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
