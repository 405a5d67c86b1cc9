/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_schedule_place.c: how far a probe of schedule() moves along; encodings as objdump prints them of Tokio 1.24 - 1.54. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <string.h>

#include "record/schedule_place.h"

enum { ENTRY = 0x100, CALLEE = 0x180, SLOT = 0x1c0, MEMORY = 0x200 };

struct memory {
	u8 at[MEMORY];
	u64 unread; /* what reaches it cannot be read */
};

static int read_memory(void *ctx, u64 addr, void *buf, size_t n)
{
	const struct memory *m = ctx;

	if (addr + n > MEMORY || addr + n < addr || (addr <= m->unread && m->unread < addr + n))
		return -EIO;
	memcpy(buf, m->at + addr, n);
	return 0;
}

#define BEGIN	   0x48, 0x89, 0xfe, 0x48, 0x8b, 0x47, 0x10
#define BY_ADDRESS BEGIN, 0x48, 0x8b, 0x78, 0x40, 0x48, 0x01, 0xf7
#define BY_VALUE   BEGIN, 0x48, 0x8b, 0x40, 0x40, 0x48, 0x8b, 0x3c, 0x07
#define BY_SLOT	   BY_ADDRESS, 0xff, 0x25, SLOT - ENTRY - 20, 0x00, 0x00, 0x00 /* jmp *SLOT(%rip) */

struct code {
	u64 addr;
	enum schedule_how how;
	u8 entry[32], callee[32];
};

static void fill(struct memory *m, const struct code *c)
{
	const u64 callee = CALLEE;

	*m = (struct memory){.unread = MEMORY};
	memset(m->at, 0xcc, sizeof(m->at));
	memcpy(m->at + ENTRY, c->entry, sizeof(c->entry));
	memcpy(m->at + CALLEE, c->callee, sizeof(c->callee));
	memcpy(m->at + SLOT, &callee, sizeof(callee));
}

static void check(const struct code *c)
{
	struct memory m;
	struct schedule_place got;

	fill(&m, c);
	got = schedule_place_find(read_memory, &m, ENTRY);
	assert_int_equal(got.how, c->how);
	assert_int_equal(got.addr, c->addr);
}

static void moves(void **state)
{
	const struct code cases[] = {
		/* release: to current_thread's, and LocalSet's */
		{CALLEE, SCHEDULE_GUARDED, {BY_SLOT}, {0x41, 0x57, 0x41, 0x56}},
		/* to multi_thread's: mov (%rdi),%rdi; sub $-128,%rdi; xor %edx,%edx; jmp rel32 */
		{CALLEE + 9, SCHEDULE_GUARDED, {BY_SLOT}, {0x48, 0x8b, 0x3f, 0x48, 0x83, 0xef, 0x80, 0x31, 0xd2, 0xe9}},
		{CALLEE + 9, SCHEDULE_GUARDED, {BY_SLOT}, {0x48, 0x8b, 0x3f, 0x48, 0x83, 0xc7, 0x10, 0x31, 0xd2, 0xe9}},
		/* the linker knew where it leads */
		{ENTRY + 14, SCHEDULE_JUMP, {BY_ADDRESS, 0xe9}, {0}},
		{ENTRY + 14, SCHEDULE_JUMP, {BY_ADDRESS, 0xeb}, {0}},
		/* link-time optimization */
		{ENTRY + 15, SCHEDULE_JUMP, {BY_VALUE, 0xe9}, {0}},
		{ENTRY + 19, SCHEDULE_JUMP, {BY_VALUE, 0x48, 0x83, 0xc7, 0x10, 0xe9}, {0}},
		{ENTRY + 21, SCHEDULE_JUMP, {BY_VALUE, 0x48, 0x83, 0xc7, 0x10, 0x31, 0xd2, 0xe9}, {0}},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++)
		check(&cases[i]);
}

static void stays(void **state)
{
	const struct code cases[] = {
		{ENTRY, SCHEDULE_ENTRY, {0x50, BY_SLOT}, {0x41, 0x57}}, /* push: emulated as it is */
		{ENTRY, SCHEDULE_ENTRY, {BY_ADDRESS, 0xff, 0xe0}, {0}}, /* jmp *%rax */
		{ENTRY, SCHEDULE_ENTRY, {BY_ADDRESS, 0xe8}, {0}}, /* call: rsi may be gone behind it, and [rsp] is another's */
		{ENTRY, SCHEDULE_ENTRY, {BY_ADDRESS, 0x41, 0x57}, {0}},	       /* push, of a function that does it all */
		{ENTRY, SCHEDULE_ENTRY, {BEGIN, 0x48, 0x8b, 0x78, 0x38}, {0}}, /* another field of the vtable */
		{ENTRY, SCHEDULE_ENTRY, {0x48, 0x89, 0xfa, 0x48, 0x8b, 0x47, 0x10}, {0}}, /* mov %rdi,%rdx */
		{ENTRY, SCHEDULE_ENTRY, {BY_SLOT}, {0x48, 0x8b, 0x07, 0x41, 0x57}}, /* mov (%rdi),%rax: the vtable is gone */
		{ENTRY, SCHEDULE_ENTRY, {BY_SLOT}, {0x48, 0x8b, 0x37, 0xe9}},	    /* mov (%rdi),%rsi: the task is gone */
		{ENTRY, SCHEDULE_ENTRY, {BY_SLOT}, {0x31, 0xd2, 0x48, 0x8b, 0x3f, 0xe9}},
		/* jmp *SLOT(%rip), but rax is no vtable there */
		{ENTRY, SCHEDULE_ENTRY, {BY_VALUE, 0xff, 0x25, SLOT - ENTRY - 21, 0x00, 0x00, 0x00}, {0x41, 0x57}},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++)
		check(&cases[i]);
}

static void what_cannot_be_read_stays(void **state)
{
	const struct code c = {0, SCHEDULE_ENTRY, {BY_SLOT}, {0x41, 0x57}};
	const u64 unread[] = {ENTRY, ENTRY + 31, SLOT, SLOT + 7, CALLEE, CALLEE + 31};
	struct memory m;

	(void)state;
	fill(&m, &c);
	assert_int_equal(schedule_place_find(read_memory, &m, ENTRY).how, SCHEDULE_GUARDED);
	for (u32 i = 0; i < ARRAY_SIZE(unread); i++) {
		m.unread = unread[i];
		assert_int_equal(schedule_place_find(read_memory, &m, ENTRY).how, SCHEDULE_ENTRY);
		assert_int_equal(schedule_place_find(read_memory, &m, ENTRY).addr, ENTRY);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves),
		cmocka_unit_test(stays),
		cmocka_unit_test(what_cannot_be_read_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
