/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_json.c: exact text of nested values, escapes, pretty printing; misuse must abort. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <math.h>
#include <string.h>
#include <sys/wait.h>

#include "base/json.h"

struct out {
	FILE *f;
	char *text;
	size_t n;
	struct json j;
};

static void out_open(struct out *o, bool pretty)
{
	o->text = NULL;
	o->f = open_memstream(&o->text, &o->n);
	assert_non_null(o->f);
	json_init(&o->j, o->f, pretty);
}

static void out_expect(struct out *o, const char *want)
{
	assert_int_equal(fclose(o->f), 0);
	assert_string_equal(o->text, want);
	free(o->text);
}

static void nesting(void **state)
{
	struct out o;

	(void)state;
	out_open(&o, false);
	json_object_begin(&o.j);
	json_key(&o.j, "a");
	json_array_begin(&o.j);
	json_u64(&o.j, UINT64_MAX);
	json_s64(&o.j, INT64_MIN);
	json_array_begin(&o.j);
	json_array_end(&o.j);
	json_object_begin(&o.j);
	json_object_end(&o.j);
	json_null(&o.j);
	json_array_end(&o.j);
	json_kv_string(&o.j, "s", NULL);
	json_kv_u64(&o.j, "u", 7);
	json_kv_bool(&o.j, "t", true);
	json_kv_bool(&o.j, "f", false);
	json_key(&o.j, "raw");
	json_raw(&o.j, "[1]");
	json_object_end(&o.j);
	out_expect(&o, "{\"a\":[18446744073709551615,-9223372036854775808,[],{},null],\"s\":null,\"u\":7,\"t\":true,\"f\":false,"
		       "\"raw\":[1]}");
}

static void a_sibling_after_a_container(void **state)
{
	struct out o;

	(void)state;
	out_open(&o, false);
	json_array_begin(&o.j);
	json_array_begin(&o.j);
	json_u64(&o.j, 1);
	json_array_end(&o.j);
	json_array_begin(&o.j); /* the depth's comma state must begin anew */
	json_u64(&o.j, 2);
	json_array_end(&o.j);
	json_array_end(&o.j);
	out_expect(&o, "[[1],[2]]");
}

static void pretty(void **state)
{
	struct out o;

	(void)state;
	out_open(&o, true);
	json_object_begin(&o.j);
	json_kv_u64(&o.j, "a", 1);
	json_key(&o.j, "b");
	json_array_begin(&o.j);
	json_u64(&o.j, 2);
	json_u64(&o.j, 3);
	json_array_end(&o.j);
	json_key(&o.j, "c");
	json_object_begin(&o.j);
	json_object_end(&o.j);
	json_object_end(&o.j);
	out_expect(&o, "{\n  \"a\": 1,\n  \"b\": [\n    2,\n    3\n  ],\n  \"c\": {}\n}");
}

static void lines(void **state)
{
	struct out o;

	(void)state;
	out_open(&o, false);
	json_u64(&o.j, 1);
	(void)fputc('\n', o.f);
	json_object_begin(&o.j);
	json_object_end(&o.j);
	out_expect(&o, "1\n{}");
}

static void string_is(const char *s, size_t n, const char *want)
{
	struct out o;

	out_open(&o, false);
	json_stringn(&o.j, s, n);
	out_expect(&o, want);
}

static void escapes(void **state)
{
	(void)state;
	string_is("", 0, "\"\"");
	string_is("a\"b\\c/", 6, "\"a\\\"b\\\\c/\"");
	string_is("\n\t\r", 3, "\"\\n\\t\\r\"");
	string_is("\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\"");
	string_is("<script>&'", 10, "\"<script>&'\"");
	string_is("\xc3\xa9\xf0\x9f\x98\x80", 6, "\"\xc3\xa9\xf0\x9f\x98\x80\"");
	string_is("a\xff"
		  "b",
		  3,
		  "\"a\xef\xbf\xbd"
		  "b\"");
	string_is("\xc3", 1, "\"\xef\xbf\xbd\"");
	string_is("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void doubles(void **state)
{
	struct out o;

	(void)state;
	out_open(&o, false);
	json_array_begin(&o.j);
	json_double(&o.j, 1.5, 2);
	json_double(&o.j, -0.25, 3);
	json_double(&o.j, 2.0, 0);
	json_double(&o.j, 2.0, -3);
	json_double(&o.j, NAN, 2);
	json_double(&o.j, -INFINITY, 2);
	json_array_end(&o.j);
	out_expect(&o, "[1.50,-0.250,2,2,null,null]");
	out_open(&o, false);
	json_double(&o.j, 1e308, 17); /* the longest text fits */
	assert_int_equal(fclose(o.f), 0);
	assert_int_equal(o.n, 309 + 1 + 17);
	free(o.text);
}

static void keys_are_escaped(void **state)
{
	struct out o;

	(void)state;
	out_open(&o, false);
	json_object_begin(&o.j);
	json_kv_u64(&o.j, "a\"b", 1);
	json_object_end(&o.j);
	out_expect(&o, "{\"a\\\"b\":1}");
}

static void value_without_key(struct json *j)
{
	json_object_begin(j);
	json_u64(j, 1);
}

static void key_in_array(struct json *j)
{
	json_array_begin(j);
	json_key(j, "a");
}

static void end_of_the_other_kind(struct json *j)
{
	json_array_begin(j);
	json_object_end(j);
}

static void end_of_nothing(struct json *j)
{
	json_array_end(j);
}

static void end_after_key(struct json *j)
{
	json_object_begin(j);
	json_key(j, "a");
	json_object_end(j);
}

static void too_deep(struct json *j)
{
	for (u32 i = 0; i < JSON_MAX_DEPTH; i++)
		json_array_begin(j);
}

static void misuse_aborts(void **state)
{
	void (*const cases[])(struct json *) = {value_without_key, key_in_array,  end_of_the_other_kind,
						end_of_nothing,	   end_after_key, too_deep};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		pid_t pid = fork();
		int status = 0;

		assert_true(pid >= 0);
		if (!pid) {
			FILE *null = fopen("/dev/null", "w");
			struct json j;

			if (!null || !freopen("/dev/null", "w", stderr))
				_exit(1);
			json_init(&j, null, false);
			cases[i](&j);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), 6);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nesting),	    cmocka_unit_test(a_sibling_after_a_container),
		cmocka_unit_test(pretty),	    cmocka_unit_test(lines),
		cmocka_unit_test(escapes),	    cmocka_unit_test(doubles),
		cmocka_unit_test(keys_are_escaped), cmocka_unit_test(misuse_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
