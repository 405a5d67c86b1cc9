/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* shapes.c: C with cold parts, a clone for a constant, a function that ends in a call, nested inlining. For sym_truth.sh; linked to shapes.cpp. */
#include <stdio.h>
#include <stdlib.h>

static __attribute__((noinline, noreturn, cold)) void give_up(const char *why, long x)
{
	fprintf(stderr, "%s: %ld\n", why, x);
	exit(1);
}

/* its last instruction is a call: the return address is the next function's */
__attribute__((noinline)) void ends_in_call(long x)
{
	give_up("ends in a call", x);
}

static inline __attribute__((always_inline)) long leaf(long x)
{
	return x * 31 + (x >> 3);
}

static inline __attribute__((always_inline)) long middle(long x)
{
	long sum = 0;

	for (long i = 0; i < x % 16; i++)
		sum += leaf(x + i);
	return sum;
}

static __attribute__((noinline)) long by_constant(long x, long n)
{
	long v = middle(x);

	while (n-- > 0)
		v = leaf(v) ^ n;
	return v;
}

long c_part(long x);
long c_part(long x)
{
	if (__builtin_expect(x < -100, 0)) {
		if (x == -101)
			ends_in_call(x);
		give_up("too small", middle(x));
	}
	return by_constant(x, 7) + (x > 5 ? middle(x) : by_constant(-x, 7));
}

#ifdef WITH_MAIN
int main(int argc, char **argv)
{
	(void)argv;
	printf("%ld\n", c_part(argc));
	return 0;
}
#endif
