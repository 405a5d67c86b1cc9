/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_view_text.c: words on a screen. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "report/view_text.h"

static void check_place(const char *file, u64 line, bool full, const char *want)
{
	_cleanup_free_ char *got = NULL;

	assert_int_equal(text_place(file, line, full, &got), 0);
	assert_string_equal(got, want);
}

static void test_place(void **state)
{
	(void)state;
	check_place("src/api.rs", 142, false, "src/api.rs:142");
	check_place("src/api.rs", 0, false, "src/api.rs");
	check_place(NULL, 7, false, "");
	check_place("/rustc/0123abc/library/std/src/fs.rs", 310, false, "library/std/src/fs.rs:310");
	check_place("/rustc/0123abc/library/std/src/fs.rs", 310, true, "/rustc/0123abc/library/std/src/fs.rs:310");
	check_place("/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/serde-1.0.0/src/de.rs", 1, false,
		    "serde-1.0.0/src/de.rs:1");
	check_place("/opt/rust/lib/rustlib/src/rust/library/core/src/x.rs", 2, false, "library/core/src/x.rs:2");
	check_place("/home/me/work/src/main.rs", 3, false, "/home/me/work/src/main.rs:3");
	/* Prefixes with nothing behind them are left alone. */
	check_place("/rustc/0123abc", 1, false, "/rustc/0123abc:1");
	check_place("/registry/src/x/", 1, false, "/registry/src/x/:1");
	check_place("a\x1b[2Jb", 1, false, "a?[2Jb:1");
}

static char *with_stream(void (*fn)(FILE *out))
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	fn(out);
	(void)fclose(out);
	return text;
}

static void write_columns(FILE *out)
{
	text_left(out, "ab", 4);
	text_right(out, "c\xc3\xa9", 4);
	text_left_elided(out, "orders::api::h\xc3\xa9llo", 9);
	text_left_elided(out, "short", 7);
	text_left_elided(out, "longer", 2);
}

static void write_wrapped(FILE *out)
{
	struct text_wrap w;

	text_wrap_begin(&w, out, 10, 2, 0, " < ");
	text_wrap_word(&w, "alpha");
	text_wrap_word(&w, "b");
	text_wrap_word(&w, "gamma");
	text_wrap_word(&w, "a_word_longer_than_the_width");
}

static void write_paragraph(FILE *out)
{
	text_paragraph(out, 10, 2, 4, "one two  three four");
	text_paragraph(out, 10, 2, 0, "");
}

static void write_colors(FILE *out)
{
	text_color(out, true, TEXT_RED, "x");
	text_color(out, false, TEXT_RED, "y");
}

static void test_columns(void **state)
{
	_cleanup_free_ char *columns = with_stream(write_columns), *wrapped = with_stream(write_wrapped),
			    *paragraph = with_stream(write_paragraph), *colors = with_stream(write_colors);

	(void)state;
	assert_string_equal(columns, "ab    c\xc3\xa9..::h\xc3\xa9lloshort  longer");
	assert_string_equal(wrapped, "alpha < b\n  < gamma\n  < a_word_longer_than_the_width");
	assert_string_equal(paragraph, "one\n  two \n  three\n  four\n\n");
	assert_string_equal(colors, "\x1b[1;31mx\x1b[0my");
}

static void test_durations(void **state)
{
	(void)state;
	assert_string_equal(text_threshold(10 * NSEC_PER_MSEC).s, "10 ms");
	assert_string_equal(text_threshold(1500 * NSEC_PER_USEC).s, "1500 us");
	assert_string_equal(text_threshold(2 * NSEC_PER_SEC).s, "2 s");
	assert_string_equal(text_threshold(0).s, "0 ms");
	assert_string_equal(text_exact(450214999).s, "450.21 ms");
	assert_string_equal(text_exact(1234567890).s, "1.234 s");
	assert_string_equal(text_exact(12345).s, "12.3 us");
	assert_string_equal(text_offset(3214999999).s, "3.214 s");
	assert_string_equal(text_percent(1, 3).s, "33.3 %");
	assert_string_equal(text_percent(1, 0).s, "0.0 %");
}

static void test_terminal(void **state)
{
	(void)state;
	assert_int_equal(setenv("COLUMNS", "40", 1), 0);
	assert_int_equal(text_terminal_width(1), TEXT_MIN_WIDTH);
	assert_int_equal(setenv("COLUMNS", "100", 1), 0);
	assert_int_equal(text_terminal_width(1), 100);
	assert_int_equal(setenv("COLUMNS", "100000000000", 1), 0);
	assert_int_equal(text_terminal_width(1), TEXT_MAX_WIDTH);
	assert_int_equal(setenv("COLUMNS", "wide", 1), 0);
	assert_int_equal(text_terminal_width(-1), TEXT_PIPE_WIDTH);
	assert_int_equal(setenv("NO_COLOR", "1", 1), 0);
	assert_false(text_terminal_color(1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
