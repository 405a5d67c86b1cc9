/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_code_shape.c: Tokio's functions by their first instructions: as compilers made them, with other registers, and what only resembles them. */
#include "record/code_shape.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h> /* needs the four above */

struct code {
	size_t n;
	u8 b[CODE_SHAPE_BYTES];
};

#define CODE(...)                                                                                                                \
	{                                                                                                                        \
		.n = sizeof((u8[]){__VA_ARGS__}), .b = { __VA_ARGS__ }                                                           \
	}

/* Tokio 1.54.1, fat LTO: push %rbx; sub $0xd0, %rsp; mov %rdi, %rbx; mov (%rdi), %rax; xchg %ax, %ax; mov %rax, %rcx; xor $3, %rcx; lock cmpxchg %rcx, (%rbx) */
static const struct code complete_lto = CODE(0x53, 0x48, 0x81, 0xec, 0xd0, 0, 0, 0, 0x48, 0x89, 0xfb, 0x48, 0x8b, 0x07, 0x66,
					     0x90, 0x48, 0x89, 0xc1, 0x48, 0x83, 0xf1, 0x03, 0xf0, 0x48, 0x0f, 0xb1, 0x0b);
/* State::transition_to_complete: mov (%rdi), %rax; mov %rax, %rcx; xor $3, %rcx; lock cmpxchg %rcx, (%rdi) */
static const struct code complete_state =
	CODE(0x48, 0x8b, 0x07, 0x48, 0x89, 0xc1, 0x48, 0x83, 0xf1, 0x03, 0xf0, 0x48, 0x0f, 0xb1, 0x0f);
/* the same with r12 for the state, which takes a SIB, r9 for the new one, and the copy written as a load */
static const struct code complete_r12 = CODE(0x4c, 0x8b, 0xe7, 0x49, 0x83, 0xf1, 0x03, 0xf0, 0x4d, 0x0f, 0xb1, 0x0c, 0x24);
/* r13, which takes a displacement */
static const struct code complete_r13 = CODE(0x49, 0x89, 0xfd, 0x48, 0x83, 0xf1, 0x03, 0xf0, 0x49, 0x0f, 0xb1, 0x4d, 0x00);

/* Tokio 1.54.1: mov %rsi, %rbx; mov %rdi, %r12; mov 0x28(%rdi), %rax; mov %rax, 0x18(%rsi); mov 0x10(%rsi), %rax; mov 0x48(%rax), %rax */
static const struct code bind_release = CODE(0x48, 0x89, 0xf3, 0x49, 0x89, 0xfc, 0x48, 0x8b, 0x47, 0x28, 0x48, 0x89, 0x46, 0x18,
					     0x48, 0x8b, 0x46, 0x10, 0x48, 0x8b, 0x40, 0x48);
/* by the copy in r12, and other registers */
static const struct code bind_r12 =
	CODE(0x49, 0x89, 0xf4, 0x4d, 0x89, 0x44, 0x24, 0x18, 0x4d, 0x8b, 0x4c, 0x24, 0x10, 0x49, 0x8b, 0x49, 0x48);

static bool is_complete(const struct code *c)
{
	return code_shape_is_complete(c->b, c->n);
}

static bool is_bind(const struct code *c)
{
	return code_shape_is_bind(c->b, c->n);
}

static void what_compilers_make_is_known(void **state)
{
	(void)state;
	assert_true(is_complete(&complete_lto));
	assert_true(is_complete(&complete_state));
	assert_true(is_complete(&complete_r12));
	assert_true(is_complete(&complete_r13));
	assert_true(is_bind(&bind_release));
	assert_true(is_bind(&bind_r12));
	assert_false(is_bind(&complete_lto));
	assert_false(is_complete(&bind_release));
}

/* Each byte from which on the shape counts, changed, and the code cut anywhere: it is not known any more. */
static void check_exact(const struct code *whole, size_t from, bool (*is)(const struct code *))
{
	for (size_t i = from; i < whole->n; i++) {
		struct code c = *whole;

		c.b[i] ^= 1;
		if (is(&c))
			fail_msg("byte %zu of %zu does not matter", i, whole->n);
		c = *whole;
		c.n = i;
		if (is(&c))
			fail_msg("%zu bytes of %zu are enough", i, whole->n);
	}
}

static void every_byte_counts(void **state)
{
	(void)state;
	check_exact(&complete_lto, 19, is_complete);
	check_exact(&complete_state, 6, is_complete);
	check_exact(&complete_r12, 0, is_complete);
	check_exact(&complete_r13, 0, is_complete);
	check_exact(&bind_release, 10, is_bind);
	check_exact(&bind_r12, 0, is_bind);
}

static void only_arguments_are_tasks(void **state)
{
	struct code c = complete_lto;

	(void)state;
	c.b[10] = 0xf3; /* mov %rsi, %rbx: the second argument */
	assert_false(is_complete(&c));
	c = bind_release;
	c.b[13] = 0x18; /* what is stored, read and asked must be the same task: mov %rax, 0x18(%rdi) */
	c.b[12] = 0x47;
	assert_false(is_bind(&c));
	c = bind_r12;
	c.b[2] = 0xfc; /* mov %rdi, %r12 */
	assert_false(is_bind(&c));
}

static void any_bytes_end_in_an_answer(void **state)
{
	u64 x = 88172645463325252ULL;
	u32 known = 0;

	(void)state;
	for (u32 i = 0; i < 200000; i++) {
		u8 b[CODE_SHAPE_BYTES];
		size_t n;

		for (u32 k = 0; k < sizeof(b); k++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			b[k] = (u8)x;
		}
		n = x % (sizeof(b) + 1);
		known += code_shape_is_complete(b, n) || code_shape_is_bind(b, n);
	}
	assert_int_equal(known, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_compilers_make_is_known),
		cmocka_unit_test(every_byte_counts),
		cmocka_unit_test(only_arguments_are_tasks),
		cmocka_unit_test(any_bytes_end_in_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
