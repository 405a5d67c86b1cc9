/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_u64map.c: 100,000 keys of several shapes, the extreme ones included, against what was put in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <string.h>

#include "base/u64map.h"

#define N 100000u

static void empty(void **state)
{
	struct u64map m = U64MAP_INIT;
	u64 v = 7;

	(void)state;
	assert_false(u64map_get(&m, 0, &v));
	assert_int_equal(v, 7);
	u64map_release(&m);
}

static void extreme_keys_and_values(void **state)
{
	struct u64map m = U64MAP_INIT;
	u64 v = 7;

	(void)state;
	assert_int_equal(u64map_put(&m, UINT64_MAX, 0), 0);
	assert_false(u64map_get(&m, 0, &v)); /* 0 is a key like another, not "free" */
	assert_int_equal(u64map_put(&m, 0, UINT64_MAX), 0);
	assert_true(u64map_get(&m, 0, &v));
	assert_int_equal(v, UINT64_MAX);
	assert_true(u64map_get(&m, UINT64_MAX, &v));
	assert_int_equal(v, 0);
	assert_int_equal(u64map_put(&m, 0, 1), 0);
	assert_true(u64map_get(&m, 0, &v));
	assert_int_equal(v, 1);
	assert_int_equal(m.n, 2);
	u64map_release(&m);
	assert_int_equal(m.n, 0);
	assert_false(u64map_get(&m, 0, &v));
}

/* dense ids, page addresses, and values that differ in the high bits only */
static u64 key_of(u32 shape, u64 i)
{
	return shape == 0 ? i : shape == 1 ? i << 12 : i << 44;
}

static void many(void **state)
{
	(void)state;
	for (u32 shape = 0; shape < 3; shape++) {
		struct u64map m = U64MAP_INIT;
		u64 v = 0;

		for (u64 i = 0; i < N; i++)
			assert_int_equal(u64map_put(&m, key_of(shape, i), ~i), 0);
		assert_int_equal(u64map_put(&m, UINT64_MAX, 42), 0);
		assert_int_equal(m.n, N + 1);
		for (u64 i = 0; i < N; i++) {
			assert_true(u64map_get(&m, key_of(shape, i), &v));
			assert_int_equal(v, ~i);
		}
		assert_true(u64map_get(&m, UINT64_MAX, &v));
		assert_int_equal(v, 42);
		for (u64 i = N; i < N + 1000; i++)
			assert_false(u64map_get(&m, key_of(shape, i), &v));
		u64map_release(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty),
		cmocka_unit_test(extreme_keys_and_values),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
