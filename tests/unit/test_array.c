/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_array.c: rows of an array that grows keep what is in them, new ones are zero, and too much changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"

static void test_rows_stay_and_new_ones_are_zero(void **state)
{
	_cleanup_free_ u32 *rows = NULL;
	size_t cap = 0;

	(void)state;
	for (u32 n = 0; n < 1000; n++) {
		assert_int_equal(ARRAY_ROOM(rows, n, &cap), 0);
		assert_true(n < cap);
		assert_int_equal(rows[n], 0);
		rows[n] = n + 1;
	}
	for (u32 n = 0; n < 1000; n++)
		assert_int_equal(rows[n], n + 1);
}

static void test_room_far_behind_the_end(void **state)
{
	_cleanup_free_ u8 *rows = NULL;
	size_t cap = 0;

	(void)state;
	assert_int_equal(ARRAY_ROOM(rows, 5000, &cap), 0);
	assert_true(cap > 5000);
	for (u32 n = 0; n <= 5000; n++)
		assert_int_equal(rows[n], 0);
}

static void test_raw_rows_stay(void **state)
{
	_cleanup_free_ u32 *rows = NULL;
	size_t cap = 0;

	(void)state;
	for (u32 n = 0; n < 1000; n++) {
		assert_int_equal(ARRAY_ROOM_RAW(rows, n, &cap), 0);
		assert_true(n < cap);
		rows[n] = n;
	}
	for (u32 n = 0; n < 1000; n++)
		assert_int_equal(rows[n], n);
	assert_int_equal(ARRAY_ROOM_RAW(rows, SIZE_MAX / 8, &cap), -ENOMEM);
	assert_int_equal(cap, 1024);
	assert_int_equal(rows[999], 999);
}

static void test_too_much_leaves_the_array_as_it_was(void **state)
{
	_cleanup_free_ u64 *rows = NULL;
	size_t cap = 0;

	(void)state;
	assert_int_equal(ARRAY_ROOM(rows, 0, &cap), 0);
	rows[0] = 7;
	assert_int_equal(ARRAY_ROOM(rows, SIZE_MAX - 1, &cap), -ENOMEM);
	assert_int_equal(ARRAY_ROOM(rows, SIZE_MAX / 16, &cap), -ENOMEM);
	assert_int_equal(cap, 64);
	assert_int_equal(rows[0], 7);
}

static void test_numbers_once_and_in_order(void **state)
{
	u64 at[] = {9, UINT64_MAX, 3, 9, 0, 3, (u64)1 << 63, 9};
	const u64 want[] = {0, 3, 9, (u64)1 << 63, UINT64_MAX};

	(void)state;
	assert_int_equal(array_u64_unique(at, ARRAY_SIZE(at)), ARRAY_SIZE(want));
	assert_memory_equal(at, want, sizeof(want));
	assert_int_equal(array_u64_unique(NULL, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_stay_and_new_ones_are_zero),
		cmocka_unit_test(test_room_far_behind_the_end),
		cmocka_unit_test(test_raw_rows_stay),
		cmocka_unit_test(test_too_much_leaves_the_array_as_it_was),
		cmocka_unit_test(test_numbers_once_and_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
