/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_uprobe_link.c: what is refused before the kernel is asked, what the kernel refuses, and which instructions are emulated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "record/probe_side.h"
#include "record/uprobe_link.h"

static void arguments_are_checked(void **state)
{
	static const u64 offsets[UPROBE_MULTI_MAX + 1];
	int fds[UPROBE_SINGLE_MAX + 1];
	struct uprobe_places good = {.file = 0, .offsets = offsets, .n = 1}, p;

	(void)state;
	p = good;
	p.n = 0;
	assert_int_equal(uprobe_link_multi(-1, &p), -EINVAL);
	assert_int_equal(uprobe_link_single(-1, &p, fds), -EINVAL);
	p = good;
	p.n = UPROBE_MULTI_MAX + 1;
	assert_int_equal(uprobe_link_multi(-1, &p), -EINVAL);
	p.n = UPROBE_SINGLE_MAX + 1;
	assert_int_equal(uprobe_link_single(-1, &p, fds), -EINVAL);
	p = good;
	p.file = -1;
	assert_int_equal(uprobe_link_multi(-1, &p), -EINVAL);
	assert_int_equal(uprobe_link_single(-1, &p, fds), -EINVAL);
	p = good;
	p.offsets = NULL;
	assert_int_equal(uprobe_link_multi(-1, &p), -EINVAL);
	assert_int_equal(uprobe_link_single(-1, &p, fds), -EINVAL);
}

/* Places of a regular file, all of them. */
static void places_are_in_the_file(void **state)
{
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fds[3];
	off_t size = lseek(file, 0, SEEK_END);
	u64 offsets[] = {0, (u64)size - 1, 5};
	struct uprobe_places p = {.file = file, .offsets = offsets, .n = 3};
	int err;

	(void)state;
	assert_true(size > 0);
	err = uprobe_link_multi(-1, &p); /* from the kernel: this is no program, or this is not permitted */
	assert_true(err == -EBADF || err == -EPERM || err == -EINVAL);
	if (err == -EINVAL)
		skip(); /* it has no such links */
	offsets[1] = (u64)size;
	assert_int_equal(uprobe_link_multi(-1, &p), -EINVAL);
	assert_int_equal(uprobe_link_single(-1, &p, fds), -EINVAL);
	offsets[1] = UINT64_MAX;
	assert_int_equal(uprobe_link_multi(-1, &p), -EINVAL);
	offsets[1] = 1;
	p.file = dir;
	assert_int_equal(uprobe_link_multi(-1, &p), -EINVAL);
	(void)close(file);
	(void)close(dir);
}

/* No descriptor is left behind by what fails. */
static void nothing_stays_of_a_failure(void **state)
{
	static const u64 offsets[3];
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), next = dup(file), fds[3], after;
	struct uprobe_places p = {.file = file, .offsets = offsets, .n = 3};

	(void)state;
	assert_true(file >= 0 && next >= 0);
	assert_int_equal(close(next), 0);
	assert_true(uprobe_link_multi(-1, &p) < 0);
	assert_true(uprobe_link_single(-1, &p, fds) < 0);
	after = dup(file);
	assert_int_equal(after, next);
	(void)close(after);
	(void)close(file);
}

static bool emulated(const char *bytes, size_t n)
{
	return uprobe_is_emulated((const u8 *)bytes, n);
}

static void which_instructions_are_emulated(void **state)
{
	(void)state;
	assert_true(emulated("\x55\x48", 2)); /* push %rbp */
	assert_true(emulated("\x41\x57", 2)); /* push %r15 */
	assert_true(emulated("\xe9\x00", 2)); /* jmp rel32: the thunk of raw::poll */
	assert_true(emulated("\xeb\xfe", 2));
	assert_true(emulated("\xe8\x00", 2));
	assert_true(emulated("\x74\x05", 2));
	assert_true(emulated("\x0f\x84", 2));
	assert_true(emulated("\x90", 1));
	assert_false(emulated("\x41", 1)); /* cut */
	assert_false(emulated("\x0f", 1));
	assert_false(emulated("", 0));
	assert_false(emulated("\x41\x58", 2)); /* pop %r8 */
	assert_false(emulated("\x49\x50", 2)); /* push %rax with another prefix: the kernel takes 41 only */
	assert_false(emulated("\x66\xe8", 2));
	assert_false(emulated("\x48\x89", 2)); /* mov */
	assert_false(emulated("\xc3", 1));     /* ret */
	assert_false(emulated("\xf3\x0f", 2)); /* endbr64 */
}

/* Ends of polls: known once, full sets say so, a process's go together. */
static void ends_are_kept_in_sets(void **state)
{
	static u64 keys[WIRE_END_SETS * WIRE_END_WAYS];
	static struct probe_side s = {.keys = keys};
	u32 kept = 0, n = 0, set = 0;

	(void)state;
	assert_int_equal(probe_side_know_end(&s, 7, 0x1000), 0);
	assert_int_equal(probe_side_know_end(&s, 7, 0x1000), 0);
	for (u32 i = 0; i < ARRAY_SIZE(keys); i++)
		kept += keys[i] != 0;
	assert_int_equal(kept, 1);
	set = (u32)WIRE_END_SET(WIRE_END_KEY(7, 0x1000));
	for (u64 a = 0x1001; n < WIRE_END_WAYS; a++) { /* those that meet in its set */
		if ((u32)WIRE_END_SET(WIRE_END_KEY(8, a)) != set)
			continue;
		n++;
		assert_int_equal(probe_side_know_end(&s, 8, a), n < WIRE_END_WAYS ? 0 : -ENOSPC);
	}
	probe_side_forget_ends(&s, 8);
	kept = 0;
	for (u32 i = 0; i < ARRAY_SIZE(keys); i++)
		kept += keys[i] != 0;
	assert_int_equal(kept, 1);
	assert_true(keys[set * WIRE_END_WAYS] == WIRE_END_KEY(7, 0x1000));
	probe_side_forget_ends(&s, 7);
	assert_true(keys[set * WIRE_END_WAYS] == 0);
}

static void the_cookie_holds_what_programs_need(void **state)
{
	const struct probe_task task = {.off_vtable = 32, .has_ids = 1}, old = {.off_vtable = 16};
	u64 cookie = PROBE_COOKIE(PROBE_SCHEDULE, 0xfffffffe, task);

	(void)state;
	assert_int_equal(WIRE_COOKIE_MODULE(cookie), 0xfffffffe);
	assert_int_equal(WIRE_COOKIE_VTABLE(cookie), 32);
	assert_int_equal(WIRE_COOKIE_IDS(cookie), 1);
	assert_int_equal(cookie >> 32 & 0xff, PROBE_SCHEDULE);
	cookie = PROBE_COOKIE(PROBE_SPAWN, 1, old);
	assert_int_equal(WIRE_COOKIE_VTABLE(cookie), 16);
	assert_int_equal(WIRE_COOKIE_IDS(cookie), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_are_checked),      cmocka_unit_test(places_are_in_the_file),
		cmocka_unit_test(nothing_stays_of_a_failure), cmocka_unit_test(which_instructions_are_emulated),
		cmocka_unit_test(ends_are_kept_in_sets),      cmocka_unit_test(the_cookie_holds_what_programs_need),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
