/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * human.c: numbers as people read them; used by every text report. Integer arithmetic throughout, so that the text depends
 * neither on the locale nor on how a double happens to round: 999.95 us is "1.0 ms" and never "1000.0 us".
 */
#include "base/human.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* Quotient rounded half up. */
static u64 div_round(u64 v, u64 by)
{
	u64 q = v / by, rest = v % by;

	return q + (rest >= by - rest);
}

static struct human __printf_fmt(1, 2) human_printf(const char *fmt, ...)
{
	struct human h;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(h.s, sizeof(h.s), fmt, ap);
	va_end(ap);
	return h;
}

static struct human human_seconds(u64 ns)
{
	u64 s = div_round(ns, NSEC_PER_SEC);
	u64 tenth = div_round(ns, NSEC_PER_SEC / 10);
	u64 cent = div_round(ns, NSEC_PER_SEC / 100);

	if (cent < 1000)
		return human_printf("%llu.%02llu s", (unsigned long long)cent / 100, (unsigned long long)cent % 100);
	if (tenth < 1000)
		return human_printf("%llu.%llu s", (unsigned long long)tenth / 10, (unsigned long long)tenth % 10);
	if (s < 1000)
		return human_printf("%llu s", (unsigned long long)s);
	if (s < 3600)
		return human_printf("%llu min %02llu s", (unsigned long long)s / 60, (unsigned long long)s % 60);
	if (s < 86400)
		return human_printf("%llu h %02llu min", (unsigned long long)s / 3600, (unsigned long long)s / 60 % 60);
	return human_printf("%llu d %02llu h", (unsigned long long)s / 86400, (unsigned long long)s / 3600 % 24);
}

struct human human_ns(u64 ns)
{
	u64 tenth_us = div_round(ns, 100), tenth_ms = div_round(ns, 100000);

	if (ns < 1000)
		return human_printf("%llu ns", (unsigned long long)ns);
	if (tenth_us < 10000)
		return human_printf("%llu.%llu us", (unsigned long long)tenth_us / 10, (unsigned long long)tenth_us % 10);
	if (tenth_ms < 10000)
		return human_printf("%llu.%llu ms", (unsigned long long)tenth_ms / 10, (unsigned long long)tenth_ms % 10);
	return human_seconds(ns);
}

struct human human_bytes(u64 bytes)
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
	u64 unit = 1000;

	if (bytes < 1000)
		return human_printf("%llu B", (unsigned long long)bytes);
	for (u32 i = 0;; i++, unit *= 1000) {
		u64 tenth = div_round(bytes, unit / 10);

		if (tenth < 10000 || i + 1 == ARRAY_SIZE(units))
			return human_printf("%llu.%llu %s", (unsigned long long)tenth / 10, (unsigned long long)tenth % 10,
					    units[i]);
	}
}

struct human human_count(u64 n)
{
	char digits[24];
	struct human h;
	size_t len = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n), o = 0;

	for (size_t i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			h.s[o++] = ',';
		h.s[o++] = digits[i];
	}
	h.s[o] = '\0';
	return h;
}

/* out has n + 1 bytes. */
static void sanitize_to(const char *s, size_t n, char *out)
{
	size_t o = 0;

	for (size_t i = 0; i < n;) {
		u32 cp;
		size_t len = utf8_decode((const u8 *)s + i, n - i, &cp);

		if (!len || utf8_is_unsafe(cp)) {
			out[o++] = '?';
			i += len ? len : 1;
			continue;
		}
		memcpy(out + o, s + i, len);
		o += len;
		i += len;
	}
	out[o] = '\0';
}

char *human_sanitize(const char *s)
{
	size_t n = strlen(s);
	char *out = malloc(n + 1);

	if (out)
		sanitize_to(s, n, out);
	return out;
}

const char *human_clean(struct human_clean *to, const char *s, size_t n)
{
	sanitize_to(s, n > HUMAN_CLEAN_MAX ? HUMAN_CLEAN_MAX : n, to->s);
	return to->s;
}
