/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_strtab.c: indices in order of interning, embedded NULs, pointers that stay valid while the table grows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <stdio.h>
#include <string.h>

#include "base/strtab.h"

static u32 intern(struct strtab *t, const char *s, size_t n, bool want_new)
{
	u32 idx = 0xdead;
	bool is_new = !want_new;

	assert_int_equal(strtab_intern(t, s, n, &idx, &is_new), 0);
	assert_int_equal(is_new, want_new);
	return idx;
}

static void indices(void **state)
{
	struct strtab *t = strtab_new();
	size_t n = 99;
	u32 idx = 9;

	(void)state;
	assert_non_null(t);
	assert_int_equal(intern(t, "", 0, false), 0);
	assert_int_equal(intern(t, NULL, 0, false), 0);
	assert_int_equal(strtab_count(t), 0);
	assert_int_equal(intern(t, "one", 3, true), 1);
	assert_int_equal(intern(t, "two", 3, true), 2);
	assert_int_equal(intern(t, "one", 3, false), 1);
	assert_int_equal(intern(t, "one", 2, true), 3); /* "on" */
	assert_int_equal(strtab_intern(t, "two", 3, &idx, NULL), 0);
	assert_int_equal(idx, 2);
	assert_int_equal(strtab_count(t), 3);
	assert_string_equal(strtab_get(t, 3, &n), "on");
	assert_int_equal(n, 2);
	assert_string_equal(strtab_get(t, 0, &n), "");
	assert_int_equal(n, 0);
	n = 99;
	assert_string_equal(strtab_get(t, 4, &n), "");
	assert_int_equal(n, 0);
	assert_string_equal(strtab_get(t, UINT32_MAX, NULL), "");
	assert_null(strtab_free(t));
	assert_null(strtab_free(NULL));
}

static void kept_texts(void **state)
{
	struct strtab *t = strtab_new();
	char text[] = "one";
	const char *a, *b = text;

	(void)state;
	assert_int_equal(strtab_keep(t, text, &a), 0);
	text[0] = 'x';
	assert_string_equal(a, "one");
	assert_int_equal(strtab_keep(t, "one", &b), 0);
	assert_ptr_equal(a, b);
	assert_int_equal(strtab_keep(t, "", &a), 0);
	assert_string_equal(a, "");
	assert_int_equal(strtab_keep(t, NULL, &b), 0);
	assert_null(b);
	assert_int_equal(strtab_count(t), 1);
	(void)strtab_free(t);
}

static void embedded_nuls(void **state)
{
	struct strtab *t = strtab_new();
	size_t n;

	(void)state;
	assert_non_null(t);
	assert_int_equal(intern(t, "\0", 1, true), 1);
	assert_int_equal(intern(t, "\0\0", 2, true), 2);
	assert_int_equal(intern(t, "a\0b", 3, true), 3);
	assert_int_equal(intern(t, "a\0c", 3, true), 4);
	assert_int_equal(intern(t, "a", 1, true), 5);
	assert_int_equal(intern(t, "a\0b", 3, false), 3);
	assert_memory_equal(strtab_get(t, 3, &n), "a\0b", 4);
	assert_int_equal(n, 3);
	strtab_free(t);
}

static void many_and_stable(void **state)
{
	struct strtab *t = strtab_new();
	const char *first;
	const size_t big_len = 100000; /* larger than a chunk */
	_cleanup_free_ char *big = malloc(big_len);
	char s[32];
	size_t n;

	(void)state;
	assert_non_null(t);
	assert_int_equal(intern(t, "first", 5, true), 1);
	first = strtab_get(t, 1, NULL);
	assert_non_null(big);
	memset(big, 'x', big_len);
	assert_int_equal(intern(t, big, big_len, true), 2);
	for (u32 i = 0; i < 100000; i++) {
		n = (size_t)snprintf(s, sizeof(s), "string %u", i);
		assert_int_equal(intern(t, s, n, true), i + 3);
	}
	for (u32 i = 0; i < 100000; i++) {
		n = (size_t)snprintf(s, sizeof(s), "string %u", i);
		assert_int_equal(intern(t, s, n, false), i + 3);
		assert_string_equal(strtab_get(t, i + 3, NULL), s);
	}
	assert_ptr_equal(strtab_get(t, 1, NULL), first);
	assert_string_equal(first, "first");
	assert_memory_equal(strtab_get(t, 2, &n), big, big_len);
	assert_int_equal(n, big_len);
	strtab_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(indices),
		cmocka_unit_test(kept_texts),
		cmocka_unit_test(embedded_nuls),
		cmocka_unit_test(many_and_stable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
