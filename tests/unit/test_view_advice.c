/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_view_advice.c: which sentence a block gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "report/view_advice.h"

static void test_matches(void **state)
{
	(void)state;
	assert_true(advice_function_matches("std::fs::read", "std::fs"));
	assert_true(advice_function_matches("<std::fs::File as std::io::Read>::read", "std::fs"));
	assert_true(advice_function_matches("<&std::net::TcpStream as std::io::Read>::read", "std::net"));
	assert_true(advice_function_matches("bcrypt::bcrypt", "bcrypt"));
	assert_false(advice_function_matches("std::fsx::read", "std::fs"));
	assert_false(advice_function_matches("tokio_postgres::connect", "postgres"));
	assert_false(advice_function_matches("orders::postgres::connect", "postgres"));
	/* A later occurrence counts when the first does not. */
	assert_true(advice_function_matches("my_regex::wrap<regex::Regex>", "regex"));
}

static void test_files(void **state)
{
	(void)state;
	assert_true(advice_file_matches("/rustc/abc/library/std/src/sync/mpsc/mod.rs", "std::sync::mpsc"));
	assert_true(advice_file_matches("/rustc/abc/library/std/src/sync/mpsc.rs", "std::sync::mpsc"));
	assert_false(advice_file_matches("/rustc/abc/library/std/src/sync/mpscx.rs", "std::sync::mpsc"));
	assert_false(advice_file_matches("/rustc/abc/library/std/src/sync", "std::sync::mpsc"));
	assert_false(advice_file_matches("src/sync/mpsc.rs", "std::sync::mpsc"));
	assert_true(advice_file_matches("/r/.cargo/registry/src/index-1/regex-automata-0.4.1/src/x.rs", "regex_automata"));
	assert_false(advice_file_matches("/r/.cargo/registry/src/index-1/regex-automata-0.4.1/src/x.rs", "regex"));
	assert_false(advice_file_matches("/r/.cargo/registry/src/index-1", "regex"));
	assert_false(advice_file_matches("src/regex-0.1/x.rs", "regex"));
}

static const char *advice(const char *class_name, const char *const *functions, const enum frame_kind *kinds, u32 n)
{
	struct vframe frames[8] = {0};
	struct vstack s = {.frames = frames, .n = n};

	for (u32 i = 0; i < n; i++) {
		frames[i].function = (char *)(uintptr_t)functions[i];
		frames[i].has_kind = true;
		frames[i].kind = kinds[i];
	}
	return advice_for(class_name, &s);
}

static void test_rules(void **state)
{
	static const enum frame_kind kinds[] = {FRAME_STD, FRAME_USER, FRAME_RUNTIME, FRAME_STD};
	static const char *const recv[] = {"std::sync::mpsc::Receiver<T>::recv", "a::b", "tokio::x", "std::thread::join"};
	static const char *const plain[] = {"std::sys::x", "a::b", "tokio::x", "std::sync::mpsc::Receiver<T>::recv"};

	(void)state;
	assert_non_null(strstr(advice("lock", recv, kinds, 4), "tokio::sync::mpsc"));
	/* Frames outside the runtime belong to whoever made the thread. */
	assert_non_null(strstr(advice("lock", plain, kinds, 4), "hold the lock for less"));
	assert_non_null(strstr(advice("sleep", plain, kinds, 0), "tokio::time::sleep"));
	assert_null(advice("other", plain, kinds, 4));
	assert_null(advice("no such class", plain, kinds, 4));
}

/* Every class of the schema but `other` has something to say. */
static void test_every_class(void **state)
{
	static const char *const classes[] = {"sleep", "lock", "disk", "network", "dns", "pipe", "process", "fault", "cpu"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		assert_non_null(advice(classes[i], NULL, NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_every_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
