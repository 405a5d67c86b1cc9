/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_extents.c: the allocator against a map of every entry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <string.h>

#include "record/extents.h"

static void first_fit(void **state)
{
	struct extents e;
	u32 a, b, c, d;

	(void)state;
	assert_int_equal(extents_init(&e, 1, 101), 0);
	assert_int_equal(extents_take(&e, 10, &a), 0);
	assert_int_equal(extents_take(&e, 20, &b), 0);
	assert_int_equal(extents_take(&e, 30, &c), 0);
	assert_int_equal(a, 1);
	assert_int_equal(b, 11);
	assert_int_equal(c, 31);
	assert_int_equal(e.used, 60);
	extents_give(&e, a, 10);
	assert_int_equal(extents_take(&e, 11, &d), 0); /* too large for the first gap */
	assert_int_equal(d, 61);
	assert_int_equal(extents_take(&e, 10, &a), 0);
	assert_int_equal(a, 1);
	extents_give(&e, a, 10);
	extents_give(&e, b, 20); /* joins */
	assert_int_equal(extents_take(&e, 30, &a), 0);
	assert_int_equal(a, 1);
	assert_int_equal(extents_take(&e, 30, &b), -ENOSPC);
	assert_true(extents_have(&e, 29));
	assert_false(extents_have(&e, 30));
	extents_release(&e);
}

static void nothing_to_give(void **state)
{
	struct extents e;
	u32 at;

	(void)state;
	assert_int_equal(extents_init(&e, 1, 0), 0);
	assert_int_equal(extents_take(&e, 1, &at), -ENOSPC);
	extents_release(&e);
	assert_int_equal(extents_init(&e, 1, 1), 0);
	assert_int_equal(extents_take(&e, 1, &at), -ENOSPC);
	extents_release(&e);
}

enum { FIRST = 3, END = 503, PARTS = 200 };

static u32 next(u64 *rng)
{
	*rng = *rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return (u32)(*rng >> 33);
}

/* The first n free entries in a row, by looking at every entry; 0 when there are none. */
static u32 naive_fit(const u8 *used, u32 n)
{
	u32 row = 0;

	for (u32 i = FIRST; i < END; i++) {
		row = used[i] ? 0 : row + 1;
		if (row == n)
			return i + 1 - n;
	}
	return 0;
}

static void check_list(const struct extents *e, const u8 *used)
{
	u32 n = 0, parts = 0;

	for (u32 i = FIRST; i < END; i++) {
		n += used[i];
		parts += !used[i] && (i == FIRST || used[i - 1]);
	}
	assert_int_equal(e->used, n);
	assert_int_equal(e->n_free, parts); /* joined wherever they touch */
}

static void any_order(void **state)
{
	struct extent parts[PARTS] = {0};
	u8 used[END] = {0};
	struct extents e;
	u64 rng = 42;
	u32 refused = 0;

	(void)state;
	assert_int_equal(extents_init(&e, FIRST, END), 0);
	for (u32 step = 0; step < 20000; step++) {
		struct extent *p = &parts[next(&rng) % PARTS];

		if (p->n) {
			extents_give(&e, p->off, p->n);
			memset(used + p->off, 0, p->n);
			p->n = 0;
		} else {
			u32 n = 1 + next(&rng) % 12, want = naive_fit(used, n), off = 0;
			int err = extents_take(&e, n, &off);

			assert_int_equal(err, want ? 0 : -ENOSPC);
			refused += !want;
			if (err)
				continue;
			assert_int_equal(off, want);
			memset(used + off, 1, n);
			*p = (struct extent){.off = off, .n = n};
		}
		check_list(&e, used);
	}
	assert_true(refused > 100); /* it was full at times */
	extents_release(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_fit),
		cmocka_unit_test(nothing_to_give),
		cmocka_unit_test(any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
