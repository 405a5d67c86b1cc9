/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_ksyms.c: names for kernel addresses out of a made-up /proc/kallsyms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <string.h>

#include "record/ksyms.h"

static void find(const char *text, struct ksym_found *list, u32 n)
{
	FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");

	assert_non_null(f);
	ksyms_find(f, list, n);
	(void)fclose(f);
}

/* Modules stand behind the kernel, and are below it in memory: the file is not sorted. */
static const char kallsyms[] = "ffffffff81000000 T _stext\n"
			       "ffffffff81000000 T _text\n"
			       "ffffffff81000100 t do_one\n"
			       "ffffffff81000180 D some_data\n"
			       "ffffffff81000200 W do_two\n"
			       "0000000000000000 A hidden\n"
			       "nonsense\n"
			       "\n"
			       "ffffffffc0000300 t mod_b\t[beta]\n"
			       "ffffffffc0000100 t mod_a\t[alpha]";

static void each_address_gets_the_symbol_below_it(void **state)
{
	struct ksym_found list[] = {{.addr = 0xffffffffc00002ff}, {.addr = 0xffffffff81000100}, {.addr = 0xffffffff810001ff},
				    {.addr = 0xffffffff81000300}, {.addr = 0xffffffff81000301}, {.addr = 0xffffffffc0000300},
				    {.addr = 0xffffffff80000000}, {.addr = 0xffffffff8100000f}};
	static const struct {
		u64 addr, symbol;
		const char *name, *module;
	} expected[] = {
		{0xffffffff80000000, 0, "", ""},
		{0xffffffff8100000f, 0xffffffff81000000, "_text", ""},
		{0xffffffff81000100, 0xffffffff81000100, "do_one", ""},
		{0xffffffff810001ff, 0xffffffff81000100, "do_one", ""},
		{0xffffffff81000300, 0xffffffff81000200, "do_two", ""},
		{0xffffffff81000301, 0xffffffff81000200, "do_two", ""},
		{0xffffffffc00002ff, 0xffffffffc0000100, "mod_a", "alpha"},
		{0xffffffffc0000300, 0xffffffffc0000300, "mod_b", "beta"},
	};

	(void)state;
	find(kallsyms, list, ARRAY_SIZE(list));
	for (u32 i = 0; i < ARRAY_SIZE(list); i++) {
		assert_int_equal(list[i].addr, expected[i].addr);
		assert_int_equal(list[i].symbol, expected[i].symbol);
		assert_string_equal(list[i].name, expected[i].name);
		assert_string_equal(list[i].module, expected[i].module);
	}
}

static void long_names_are_cut(void **state)
{
	struct ksym_found one = {.addr = 0x2000};
	char text[400];

	(void)state;
	(void)snprintf(text, sizeof(text), "0000000000001000 T %0300d\t[%070d]\n", 7, 8);
	find(text, &one, 1);
	assert_int_equal(one.symbol, 0x1000);
	assert_int_equal(strlen(one.name), sizeof(one.name) - 1);
	assert_int_equal(strlen(one.module), sizeof(one.module) - 1);
}

static void no_address_no_look(void **state)
{
	struct ksym_found none[1] = {{.symbol = 5}};

	(void)state;
	find(kallsyms, none, 0);
	assert_int_equal(none[0].symbol, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_address_gets_the_symbol_below_it),
		cmocka_unit_test(long_names_are_cut),
		cmocka_unit_test(no_address_no_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
