/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_poll_end.c: what can be in front of a return address (encodings as objdump prints them), and the list of such addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <string.h>

#include "record/poll_end.h"

struct code {
	u8 n;
	u8 bytes[POLL_END_CALL];
};

/* Behind 0x90s, as many as there is room. */
static bool is_call(const struct code *c)
{
	u8 text[POLL_END_CALL];

	memset(text, 0x90, sizeof(text));
	memcpy(text + sizeof(text) - c->n, c->bytes, c->n);
	return poll_end_is_call(text, sizeof(text));
}

static void calls(void **state)
{
	const struct code cases[] = {
		{5, {0xe8, 0x12, 0x34, 0x56, 0x78}},		 /* call rel32 */
		{2, {0xff, 0xd0}},				 /* call *%rax */
		{3, {0x41, 0xff, 0xd7}},			 /* call *%r15 */
		{2, {0xff, 0x10}},				 /* call *(%rax) */
		{3, {0xff, 0x50, 0x08}},			 /* call *0x8(%rax) */
		{6, {0xff, 0x90, 0x00, 0x01, 0x00, 0x00}},	 /* call *0x100(%rax) */
		{6, {0xff, 0x15, 0x10, 0x20, 0x30, 0x00}},	 /* call *0x302010(%rip) */
		{3, {0xff, 0x14, 0x24}},			 /* call *(%rsp) */
		{4, {0xff, 0x54, 0x24, 0x08}},			 /* call *0x8(%rsp) */
		{7, {0xff, 0x94, 0xc8, 0x00, 0x01, 0x00, 0x00}}, /* call *0x100(%rax,%rcx,8) */
		{7, {0xff, 0x14, 0xc5, 0x00, 0x01, 0x00, 0x00}}, /* call *0x100(,%rax,8) */
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++)
		assert_true(is_call(&cases[i]));
}

static void others(void **state)
{
	const struct code cases[] = {
		{1, {0xc3}},				   /* ret */
		{5, {0xe9, 0x12, 0x34, 0x56, 0x78}},	   /* jmp rel32 */
		{2, {0xff, 0xe0}},			   /* jmp *%rax */
		{2, {0xff, 0xc0}},			   /* inc %eax */
		{3, {0xff, 0xd0, 0x90}},		   /* a call, and another instruction */
		{6, {0xff, 0x35, 0x10, 0x20, 0x30, 0x00}}, /* push 0x302010(%rip) */
		{7, {0x48, 0x89, 0xc7, 0x48, 0x83, 0xc4, 0x08}},
		{0, {0}},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++)
		assert_false(is_call(&cases[i]));
}

/* No byte in front of what is given is looked at. */
static void short_code(void **state)
{
	static const u8 code[] = {0xe8, 0xff, 0xd0, 0, 0};

	(void)state;
	assert_true(poll_end_is_call(code, 5));
	assert_false(poll_end_is_call(code + 1, 4));
	assert_false(poll_end_is_call(code, 0));
	assert_true(poll_end_is_call(code + 1, 2));
	assert_false(poll_end_is_call(code + 2, 1));
}

static void list(void **state)
{
	struct poll_ends *e = calloc(1, sizeof(*e));

	(void)state;
	assert_non_null(e);
	poll_ends_note(e, 1, 7, 0x1000);
	poll_ends_note(e, 1, 7, 0x1000);
	poll_ends_note(e, 2, 7, 0x1000);
	assert_int_equal(e->n, 2);
	assert_int_equal(e->n_new, 2);
	e->ends[0].state = e->ends[1].state = POLL_END_DONE;
	e->n_new = 0;
	poll_ends_note(e, 1, 7, 0x1000);
	assert_int_equal(e->n_new, 0);
	poll_ends_note(e, 1, 7, 0x2000);
	poll_ends_forget(e, 2);
	assert_int_equal(e->n, 2);
	assert_int_equal(e->n_new, 1);
	assert_int_equal(e->ends[1].addr, 0x2000);
	for (u64 i = 0; i < POLL_ENDS; i++)
		poll_ends_note(e, 3, 7, 0x10000 + i);
	assert_int_equal(e->n, POLL_ENDS);
	assert_int_equal(e->no_room, 2);
	free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls),
		cmocka_unit_test(others),
		cmocka_unit_test(short_code),
		cmocka_unit_test(list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
