/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_marker.c: what --marker takes and refuses, and where its functions are found: the target is this very process. Messages are tested in tests/cli/10-marker.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "record/marker.h"

void test_marker_begin(void);
void test_marker_end(void);

__attribute__((noinline)) void test_marker_begin(void)
{
	__asm__ volatile("nop");
}

__attribute__((noinline)) void test_marker_end(void)
{
	__asm__ volatile("nop; nop");
}

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static void pairs(void **state)
{
	static const struct {
		const char *text;
		int err;
		const char *file[2], *name[2];
	} cases[] = {
		{"a,b", 0, {NULL, NULL}, {"a", "b"}},
		{" a , b ", 0, {NULL, NULL}, {"a", "b"}},
		{"x::y::a,x::y::b", 0, {NULL, NULL}, {"x::y::a", "x::y::b"}},
		{"lib:a,./lib.so:x::b", 0, {"lib", "./lib.so"}, {"a", "x::b"}},
		{"lib.so.1:0x1f,0x20", 0, {"lib.so.1", NULL}, {"0x1f", "0x20"}},
		{"<A<B, C> as D>::a,f::<(u8, [u8; 2])>", 0, {NULL, NULL}, {"<A<B, C> as D>::a", "f::<(u8, [u8; 2])>"}},
		{"f::<fn() -> u8>,g", 0, {NULL, NULL}, {"f::<fn() -> u8>", "g"}},
		{"a,lib:a", 0, {NULL, "lib"}, {"a", "a"}}, /* perhaps two functions */
		{"", -EINVAL, {NULL, NULL}, {NULL, NULL}},
		{"a", -EINVAL, {NULL, NULL}, {NULL, NULL}},
		{",", -EINVAL, {NULL, NULL}, {NULL, NULL}},
		{"a,", -EINVAL, {NULL, NULL}, {NULL, NULL}},
		{",b", -EINVAL, {NULL, NULL}, {NULL, NULL}},
		{"a,b,c", -EINVAL, {NULL, NULL}, {NULL, NULL}},
		{"lib:,b", -EINVAL, {NULL, NULL}, {NULL, NULL}},
		{":a,b", -EINVAL, {NULL, NULL}, {NULL, NULL}},
		{"0x,b", -EINVAL, {NULL, NULL}, {NULL, NULL}},
		{"0x12z,b", -EINVAL, {NULL, NULL}, {NULL, NULL}},
		{"0x11111111111111111,b", -EINVAL, {NULL, NULL}, {NULL, NULL}},
		{"a,a", -EINVAL, {NULL, NULL}, {NULL, NULL}},
		{"lib:a, lib:a", -EINVAL, {NULL, NULL}, {NULL, NULL}},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct marker_list l = {0};
		int err = marker_add(&l, cases[i].text);

		if (err != cases[i].err)
			fail_msg("'%s': %d", cases[i].text, err);
		for (u32 side = 0; side < 2 && !err; side++)
			if (!same(l.pairs[0].side[side].file, cases[i].file[side]) ||
			    !same(l.pairs[0].side[side].name, cases[i].name[side]))
				fail_msg("'%s': '%s' '%s'", cases[i].text, l.pairs[0].side[side].file,
					 l.pairs[0].side[side].name);
		marker_list_release(&l);
	}
}

static void too_many(void **state)
{
	struct marker_list l = {0};

	(void)state;
	for (u32 i = 0; i < MARKER_MAX_PAIRS; i++)
		assert_int_equal(marker_add(&l, "a,b"), 0);
	assert_int_equal(marker_add(&l, "a,b"), -EINVAL);
	assert_int_equal(l.n, MARKER_MAX_PAIRS);
	marker_list_release(&l);
}

static struct target_list self(void)
{
	return (struct target_list){.pids = {(u32)getpid()}, .n = 1};
}

static int resolve(const char *text, char **command, struct marker_places *ret)
{
	struct target_list targets = command ? (struct target_list){.n = 0} : self();
	struct marker_list l = {0};
	int err;

	assert_int_equal(marker_add(&l, text), 0);
	err = marker_resolve(&l, &targets, command, ret);
	marker_list_release(&l);
	return err;
}

/* The code at a place is that of a function. */
static void is_code_of(const struct marker_place *p, void (*fn)(void))
{
	u8 file[8];

	assert_int_equal(pread(p->fd, file, sizeof(file), (off_t)p->off), sizeof(file));
	assert_memory_equal(file, (const void *)(uintptr_t)fn, sizeof(file));
}

static void in_the_program(void **state)
{
	struct marker_places p;

	(void)state;
	assert_int_equal(resolve("test_marker_begin,test_marker_end", NULL, &p), 0);
	assert_int_equal(p.n, 2);
	assert_int_equal(p.n_files, 1); /* read once */
	is_code_of(&p.rows[0], test_marker_begin);
	is_code_of(&p.rows[1], test_marker_end);
	assert_int_equal(p.rows[0].pair, 0);
	assert_int_equal(p.rows[0].end, 0);
	assert_int_equal(p.rows[1].end, 1);
	marker_places_release(&p);
}

static void in_a_command(void **state)
{
	char exe[4096], *command[] = {exe, NULL};
	struct marker_places p;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	(void)state;
	assert_true(n > 0);
	exe[n] = 0;
	assert_int_equal(resolve("test_marker_begin,test_marker_end", command, &p), 0);
	is_code_of(&p.rows[0], test_marker_begin);
	marker_places_release(&p);
	/* by way of PATH */
	assert_int_equal(setenv("PATH", "/nonexistent:/bin:/usr/bin", 1), 0);
	command[0] = (char[]){"no-such-program"};
	assert_int_equal(resolve("test_marker_begin,test_marker_end", command, &p), -ENOENT);
	marker_places_release(&p);
	/* a library is not there yet */
	command[0] = exe;
	assert_int_equal(resolve("libc:malloc,libc:free", command, &p), -ESRCH);
	marker_places_release(&p);
}

/* By the file's name with and without suffixes, and by its path as it is mapped. */
static void in_a_library(void **state)
{
	static const char *const texts[] = {"libc:malloc,libc:free", "libc.so:malloc,libc.so.6:free"};
	struct marker_places p;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(resolve(texts[i], NULL, &p), 0);
		assert_int_equal(p.n, 2);
		assert_int_equal(p.n_files, 1);
		assert_true(p.rows[0].off != p.rows[1].off);
		marker_places_release(&p);
	}
	assert_int_equal(resolve("lib:malloc,test_marker_end", NULL, &p), -ESRCH); /* libc is not "lib" */
	marker_places_release(&p);
}

static void refused(void **state)
{
	static const struct {
		const char *text;
		int err;
	} cases[] = {
		{"test_marker_begin,test_marker_ent", -ESRCH},
		{"test_marker_begin,0x1", -EINVAL},
		{"/etc/passwd:begin,test_marker_end", -ENOEXEC},
		{"/nonexistent:begin,test_marker_end", -ENOENT},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct marker_places p;
		int err = resolve(cases[i].text, NULL, &p);

		if (err != cases[i].err)
			fail_msg("'%s': %d", cases[i].text, err);
		marker_places_release(&p);
	}
}

/* By different names: found out only where they are. */
static void one_function(void **state)
{
	struct marker_places p;
	char text[4200], exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	(void)state;
	assert_true(n > 0);
	exe[n] = 0;
	(void)snprintf(text, sizeof(text), "test_marker_begin,%s:test_marker_begin", exe);
	assert_int_equal(resolve(text, NULL, &p), -EINVAL);
	marker_places_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs),	cmocka_unit_test(too_many),	cmocka_unit_test(in_the_program),
		cmocka_unit_test(in_a_command), cmocka_unit_test(in_a_library), cmocka_unit_test(refused),
		cmocka_unit_test(one_function),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
