/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_parse.c: what is taken, to the value; what is refused, and as what; an output is not touched on failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>

#include "base/parse.h"

struct parse_case {
	const char *text;
	int err;
	u64 value;
};

static void check(int (*parse)(const char *, u64 *), const struct parse_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		u64 v = 0xabad1dea;
		int err = parse(cases[i].text, &v);

		if (err != cases[i].err)
			print_error("\"%s\": %d instead of %d\n", cases[i].text, err, cases[i].err);
		assert_int_equal(err, cases[i].err);
		assert_int_equal(v, err ? 0xabad1dea : cases[i].value);
	}
}

static void whole_numbers(void **state)
{
	static const struct parse_case cases[] = {
		{"0", 0, 0},
		{"007", 0, 7},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"99999999999999999999999", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"1\n", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
		{"1.5", -EINVAL, 0},
		{"12a", -EINVAL, 0},
	};

	(void)state;
	check(parse_u64, cases, ARRAY_SIZE(cases));
}

static void durations(void **state)
{
	static const struct parse_case cases[] = {
		{"0", 0, 0},
		{"30", 0, 30 * NSEC_PER_SEC},
		{"2.5", 0, 2500000000ULL},
		{"2.5s", 0, 2500000000ULL},
		{"10ms", 0, 10000000},
		{"1.5ms", 0, 1500000},
		{"250us", 0, 250000},
		{"250\xc2\xb5s", 0, 250000},
		{"40ns", 0, 40},
		{"3m", 0, 180 * NSEC_PER_SEC},
		{"3min", 0, 180 * NSEC_PER_SEC},
		{"1h", 0, 3600 * NSEC_PER_SEC},
		{"0.000000001", 0, 1},
		{"0.1", 0, 100000000}, /* exact: no binary fraction in between */
		{"1.9ns", 0, 1},       /* finer than a nanosecond is cut off */
		{"0.0000000000000000000000001h", 0, 0},
		{"1.99999999999999999999999h", 0, 2 * 3600 * NSEC_PER_SEC - 1},
		{"18446744073709551615ns", 0, UINT64_MAX},
		{"18446744073.709551615", 0, UINT64_MAX},
		{"18446744073.709551616", -ERANGE, 0},
		{"18446744073709551616ns", -ERANGE, 0},
		{"18446744074", -ERANGE, 0},
		{"5124096h", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"ms", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"-1ms", -EINVAL, 0},
		{".5s", -EINVAL, 0},
		{"1.s", -EINVAL, 0},
		{"1.", -EINVAL, 0},
		{"1.5.5s", -EINVAL, 0},
		{"1,5s", -EINVAL, 0},
		{"10 ms", -EINVAL, 0},
		{"10ms ", -EINVAL, 0},
		{"10MS", -EINVAL, 0},
		{"10sec", -EINVAL, 0},
		{"1e3", -EINVAL, 0},
		{"inf", -EINVAL, 0},
	};

	(void)state;
	check(parse_duration, cases, ARRAY_SIZE(cases));
}

static void sizes(void **state)
{
	static const struct parse_case cases[] = {
		{"0", 0, 0},
		{"4096", 0, 4096},
		{"64k", 0, 65536},
		{"64K", 0, 65536},
		{"10M", 0, 10485760},
		{"1G", 0, 1073741824},
		{"2T", 0, 2199023255552ULL},
		{"16777215T", 0, 16777215ULL << 40},
		{"16777216T", -ERANGE, 0},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"k", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"1.5G", -EINVAL, 0},
		{"10MB", -EINVAL, 0},
		{"10X", -EINVAL, 0},
		{"10 M", -EINVAL, 0},
	};

	(void)state;
	check(parse_size, cases, ARRAY_SIZE(cases));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_numbers),
		cmocka_unit_test(durations),
		cmocka_unit_test(sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
