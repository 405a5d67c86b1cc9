/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_demangle.c: base/demangle.c: legacy, v0 and C++ names, compilers' suffixes, and names nobody's compiler made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <string.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/demangle.h"

static const struct {
	const char *in, *out;
} names[] = {
	/* legacy: hash removed, escapes decoded */
	{"_ZN4core3ptr13drop_in_place17h0123456789abcdefE", "core::ptr::drop_in_place"},
	{"_ZN4core3ptr13drop_in_place17h0123456789abcdefE.llvm.16978493370809296425", "core::ptr::drop_in_place"},
	{"_ZN6orders3api13handle_upload28_$u7b$$u7b$closure$u7d$$u7d$17hdbac563d0ee7c1f2E",
	 "orders::api::handle_upload::{{closure}}"},
	{"_ZN55_$LT$orders..api..Store$u20$as$u20$core..fmt..Debug$GT$3fmt17h930b740aa94f1d3aE.llvm.12",
	 "<orders::api::Store as core::fmt::Debug>::fmt"},
	{"_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$3bar17h930b740aa94f1d3aE",
	 "<Test + 'static as foo::Bar<Test>>::bar"},
	{"_ZN6orders3api3get17h930b740aa94f1d3aE.cold", "orders::api::get"},
	{"_ZN6orders3api3get17h930b740aa94f1d3aE.part.0.llvm.77", "orders::api::get"},
	/* a hash with too few different digits for libiberty */
	{"_ZN6orders3get17h0000000000000000E", "orders::get"},
	/* link-time optimization numbers what was local to its unit */
	{"_ZN50_$LT$ignore..Error$u20$as$u20$core..fmt..Debug$GT$3fmt17h1639442b52f50e31E.2523.llvm.99",
	 "<ignore::Error as core::fmt::Debug>::fmt"},
	/* v0 */
	{"_RNvCsgStHSCytQ6I_7mycrate4main", "mycrate::main"},
	{"_RNCNvCsgStHSCytQ6I_7mycrate4main0B3_", "mycrate::main::{closure#0}"},
	{"_RNvNtCsgStHSCytQ6I_7mycrate3api3get.llvm.9876543210", "mycrate::api::get"},
	{"_RINvNtC3std3mem8align_ofmE", "std::mem::align_of::<u32>"},
	/* C++ */
	{"_ZNSt6vectorIiSaIiEE9push_backERKi", "std::vector<int, std::allocator<int> >::push_back"},
	{"_ZN4shop3runEi.constprop.0", "shop::run"},
	/* C */
	{"clock_nanosleep", "clock_nanosleep"},
	{"memcpy@@GLIBC_2.14", "memcpy"},
	{"fts3_expr.part.3", "fts3_expr"},
	{"do_work.cold", "do_work"},
	{"do_work.isra.0.cold", "do_work"},
	{"fn.lto_priv.0", "fn"},
	/* what is not a suffix stays */
	{"a.b", "a.b"},
	{".cold", ".cold"},
	{"x.llvm.", "x.llvm."},
	{"version.12", "version.12"},
	{"", ""},
	{"_R", "_R"},
	{"_ZN", "_ZN"},
	{"_RNvC6_123foo", "_RNvC6_123foo"},
	{"@", "@"},
};

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *out = demangle_name(names[i].in);

		assert_non_null(out);
		assert_string_equal(out, names[i].out);
	}
}

static void test_long_name_is_cut(void **state)
{
	const size_t n = 200000;
	_cleanup_free_ char *in = malloc(n + 1);
	_cleanup_free_ char *out = NULL;

	(void)state;
	assert_non_null(in);
	memset(in, 'x', n);
	memcpy(in, "_ZN", 3);
	in[n] = '\0';
	out = demangle_name(in);
	assert_non_null(out);
	assert_int_equal(strlen(out), 65536);
	assert_memory_equal(in, out, 65536);
}

/* Nesting far deeper than any stack: libiberty's limit must hold. */
static void test_deep_name(void **state)
{
	_cleanup_buf_ struct buf in = {0};
	_cleanup_free_ char *out = NULL;

	(void)state;
	buf_puts(&in, "_RIC1a");
	for (int i = 0; i < 30000; i++)
		buf_puts(&in, "R");
	buf_puts(&in, "mE");
	buf_putc(&in, 0);
	assert_int_equal(buf_err(&in), 0);
	out = demangle_name((const char *)in.data);
	assert_non_null(out);
}

/* Each tuple holds the one before it twice, by back reference: 2^40 elements out of 300 bytes. */
static void test_name_that_explodes(void **state)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	_cleanup_buf_ struct buf in = {0};
	_cleanup_free_ char *out = NULL;
	size_t prev;

	(void)state;
	buf_puts(&in, "_RIC1a");
	prev = in.len - 2;
	buf_puts(&in, "TmmE");
	for (int i = 0; i < 40; i++) {
		size_t here = in.len - 2;

		buf_puts(&in, "T");
		for (int k = 0; k < 2; k++) {
			/* base 62, one less: "_" is 0, "0_" is 1 */
			buf_puts(&in, "B");
			if (prev > 62)
				buf_putc(&in, (u8)digits[(prev - 1) / 62]);
			buf_putc(&in, (u8)digits[(prev - 1) % 62]);
			buf_puts(&in, "_");
		}
		buf_puts(&in, "E");
		prev = here;
	}
	buf_puts(&in, "E");
	buf_putc(&in, 0);
	assert_int_equal(buf_err(&in), 0);
	out = demangle_name((const char *)in.data);
	assert_non_null(out);
	assert_true(strlen(out) <= 65536);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_long_name_is_cut),
		cmocka_unit_test(test_deep_name),
		cmocka_unit_test(test_name_that_explodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
