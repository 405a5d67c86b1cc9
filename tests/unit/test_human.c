/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_human.c: every unit, and the roundings at their edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <math.h>
#include <string.h>

#include "base/human.h"

static void durations(void **state)
{
	static const struct {
		u64 ns;
		const char *text;
	} cases[] = {
		{0, "0 ns"},
		{830, "830 ns"},
		{999, "999 ns"},
		{1000, "1.0 us"},
		{1049, "1.0 us"},
		{1050, "1.1 us"},
		{12345, "12.3 us"},
		{999949, "999.9 us"},
		{999950, "1.0 ms"}, /* never "1000.0 us" */
		{450210000, "450.2 ms"},
		{999949999, "999.9 ms"},
		{999950000, "1.00 s"},
		{4510000000ULL, "4.51 s"},
		{9994999999ULL, "9.99 s"},
		{9995000000ULL, "10.0 s"},
		{30000000000ULL, "30.0 s"},
		{99949999999ULL, "99.9 s"},
		{99950000000ULL, "100 s"},
		{120000000000ULL, "120 s"},
		{999499999999ULL, "999 s"},
		{999500000000ULL, "16 min 40 s"},
		{3599499999999ULL, "59 min 59 s"},
		{3599500000000ULL, "1 h 00 min"},
		{7500000000000ULL, "2 h 05 min"},
		{86400000000000ULL, "1 d 00 h"},
		{UINT64_MAX, "213503 d 23 h"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(human_ns(cases[i].ns).s, cases[i].text);
}

static void sizes(void **state)
{
	(void)state;
	assert_string_equal(human_bytes(0).s, "0 B");
	assert_string_equal(human_bytes(830).s, "830 B");
	assert_string_equal(human_bytes(999).s, "999 B");
	assert_string_equal(human_bytes(1000).s, "1.0 kB");
	assert_string_equal(human_bytes(1500000).s, "1.5 MB");
	assert_string_equal(human_bytes(999949).s, "999.9 kB");
	assert_string_equal(human_bytes(999950).s, "1.0 MB");
	assert_string_equal(human_bytes(2340000000ULL).s, "2.3 GB");
	assert_string_equal(human_bytes(UINT64_MAX).s, "18.4 EB");
}

static void counts(void **state)
{
	(void)state;
	assert_string_equal(human_count(0).s, "0");
	assert_string_equal(human_count(999).s, "999");
	assert_string_equal(human_count(1000).s, "1,000");
	assert_string_equal(human_count(182400).s, "182,400");
	assert_string_equal(human_count(1234567).s, "1,234,567");
	assert_string_equal(human_count(UINT64_MAX).s, "18,446,744,073,709,551,615");
}

static void clean(const char *in, const char *want)
{
	_cleanup_free_ char *got = human_sanitize(in);

	assert_non_null(got);
	assert_string_equal(got, want);
}

static void sanitizes(void **state)
{
	(void)state;
	clean("", "");
	clean("plain text", "plain text");
	clean("\033[31mred\n\t\x7f", "?[31mred???");
	clean("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80");
	clean("\xc2\x9b"
	      "31m",
	      "?31m"); /* C1: CSI in one character */
	clean("a\xff"
	      "b\xc3",
	      "a?b?");			   /* no such byte; cut off */
	clean("\xc0\xaf", "??");	   /* overlong */
	clean("\xed\xa0\x80", "???");	   /* a surrogate */
	clean("\xf4\x90\x80\x80", "????"); /* above U+10FFFF */
	clean("x\xe2\x80\xae"
	      "y",
	      "x?y"); /* right-to-left override */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations),
		cmocka_unit_test(sizes),
		cmocka_unit_test(counts),
		cmocka_unit_test(sanitizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
