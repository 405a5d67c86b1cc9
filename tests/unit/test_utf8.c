/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_utf8.c: every length, its first and last code point, and everything that only looks like UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <string.h>

#include "base/utf8.h"

static void valid(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		u32 cp;
	} cases[] = {
		{"\0", 1, 0},
		{"\x7f", 1, 0x7f},
		{"\xc2\x80", 2, 0x80},
		{"\xdf\xbf", 2, 0x7ff},
		{"\xe0\xa0\x80", 3, 0x800},
		{"\xed\x9f\xbf", 3, 0xd7ff},
		{"\xee\x80\x80", 3, 0xe000},
		{"\xef\xbf\xbf", 3, 0xffff},
		{"\xf0\x90\x80\x80", 4, 0x10000},
		{"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		u32 cp = 0xdead;

		assert_int_equal(utf8_decode((const u8 *)cases[i].bytes, cases[i].len, &cp), cases[i].len);
		assert_int_equal(cp, cases[i].cp);
		/* one byte short it is cut off, and no byte behind n is looked at */
		if (cases[i].len > 1)
			assert_int_equal(utf8_decode((const u8 *)cases[i].bytes, cases[i].len - 1, &cp), 0);
	}
}

static void invalid(void **state)
{
	static const char *const cases[] = {
		"\x80",		"\xbf",		"\xc0\x80",	    "\xc1\xbf",		"\xe0\x9f\xbf",
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80",
		"\xff",		"\xc3\x28",	"\xe2\x28\xa1",	    "\xf0\x28\x8c\xbc",
	};
	u32 cp = 42;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(utf8_decode((const u8 *)cases[i], strlen(cases[i]), &cp), 0);
	assert_int_equal(cp, 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(valid), cmocka_unit_test(invalid)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
