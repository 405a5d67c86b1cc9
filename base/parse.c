/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * parse.c: strict numbers from text; used by option parsing and by the readers of /proc. strtoull is not used: it takes blanks,
 * signs and trailing bytes, and "-1" as 2^64 - 1.
 */
#include "base/parse.h"

#include <errno.h>
#include <string.h>

/* The digits at *s, at least one; *s moves behind them. */
static int digits(const char **s, u64 *ret)
{
	const char *p = *s;
	u64 v = 0;

	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (u64)(*p - '0'), &v))
			return -ERANGE;
	}
	*s = p;
	*ret = v;
	return 0;
}

int parse_u64(const char *s, u64 *ret)
{
	u64 v;
	int err = digits(&s, &v);

	if (err)
		return err;
	if (*s)
		return -EINVAL;
	*ret = v;
	return 0;
}

/* ns that the decimals behind a point mean; *s moves behind them. What is finer than a nanosecond is cut off. */
static int fraction(const char **s, u64 unit_ns, u64 *ret_ns)
{
	const char *p = *s;
	u64 rest = 0, scale = 1;

	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (scale >= 1000000000000000ULL)
			continue; /* 15 decimals are finer than a nanosecond of the longest unit, an hour */
		scale *= 10;
		rest = rest * 10 + (u64)(*p - '0');
	}
	*s = p;
	*ret_ns = (u64)((unsigned __int128)rest * unit_ns / scale);
	return 0;
}

static u64 duration_unit_ns(const char *unit)
{
	static const struct {
		const char *name;
		u64 ns;
	} units[] = {
		{"", NSEC_PER_SEC},
		{"s", NSEC_PER_SEC},
		{"ms", NSEC_PER_MSEC},
		{"us", NSEC_PER_USEC},
		{"\xc2\xb5s", NSEC_PER_USEC}, /* U+00B5, micro sign */
		{"ns", 1},
		{"m", 60 * NSEC_PER_SEC},
		{"min", 60 * NSEC_PER_SEC},
		{"h", 3600 * NSEC_PER_SEC},
	};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (!strcmp(unit, units[i].name))
			return units[i].ns;
	}
	return 0;
}

int parse_duration(const char *s, u64 *ret_ns)
{
	u64 whole, unit, part = 0, ns;
	int err = digits(&s, &whole);
	const char *point = NULL;

	if (err)
		return err;
	if (*s == '.') {
		point = ++s;
		if (!*s || !strchr("0123456789", *s))
			return -EINVAL;
		s += strspn(s, "0123456789");
	}
	unit = duration_unit_ns(s);
	if (!unit)
		return -EINVAL;
	if (point) {
		err = fraction(&point, unit, &part);
		if (err)
			return err;
	}
	if (__builtin_mul_overflow(whole, unit, &ns) || __builtin_add_overflow(ns, part, &ns))
		return -ERANGE;
	*ret_ns = ns;
	return 0;
}

int parse_size(const char *s, u64 *ret_bytes)
{
	static const char letters[] = "kKmMgGtT"; /* two a power */
	const char *letter;
	u64 v, unit = 1;
	int err = digits(&s, &v);

	if (err)
		return err;
	if (*s) {
		letter = strchr(letters, *s);
		if (!letter || s[1])
			return -EINVAL;
		unit = 1ULL << (10 * ((letter - letters) / 2 + 1));
	}
	if (__builtin_mul_overflow(v, unit, &v))
		return -ERANGE;
	*ret_bytes = v;
	return 0;
}
