/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_html.c: strangers' text cannot leave the place where it stands in a page, be it text or data; the policy names the scripts and styles that are there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "report/html.h"

/* A byte that is no UTF-8, a control byte, an override of the reading direction, a line separator. */
#define HOSTILE "\xff\x1b\xe2\x80\xae\xe2\x80\xa8"
#define FFFD	"\xef\xbf\xbd"

static void expect_text(const char *raw, const char *want)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	assert_non_null(out);
	html_text(out, raw);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, want);
	free(text);
}

static void text_is_inert(void **state)
{
	(void)state;
	expect_text("", "");
	expect_text("</script><!--\"'&lt;", "&lt;/script&gt;&lt;!--&quot;&#39;&amp;lt;");
	expect_text("a" HOSTILE "b", "a" FFFD FFFD FFFD FFFD "b");
	expect_text("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80");
	/* cut in the middle of a character: each byte is one wrong byte */
	expect_text("x\xf0\x9f", "x" FFFD FFFD);
}

static void expect_data(bool for_html, const char *raw, const char *want)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	struct json j;

	assert_non_null(out);
	json_init(&j, out, false);
	j.for_html = for_html;
	json_string(&j, raw);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, want);
	free(text);
}

static void data_is_inert(void **state)
{
	(void)state;
	expect_data(true, "</script><!--&", "\"\\u003c/script\\u003e\\u003c!--\\u0026\"");
	expect_data(true, "a" HOSTILE "b", "\"a" FFFD FFFD FFFD FFFD "b\"");
	expect_data(true, "\"\\'", "\"\\\"\\\\'\"");
	/* elsewhere a reader has it as it was */
	expect_data(false, "</script>&\xe2\x80\xae", "\"</script>&\xe2\x80\xae\"");
}

static void a_page_names_what_it_runs(void **state)
{
	static const struct web_asset css = {"p{}", "Q1NT"}, one = {"f();", "T05F"}, two = {"g();", "VFdP"};
	static const struct web_asset *const styles[] = {&css, NULL}, *const scripts[] = {&one, &two, NULL};
	struct html_page page = {.title = "<b>\"" HOSTILE, .styles = styles, .scripts = scripts};
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	(void)state;
	assert_non_null(out);
	html_begin(out, &page);
	html_data_begin(out, "data");
	(void)fputs("{}", out);
	html_data_end(out);
	html_end(out, &page);
	assert_int_equal(fclose(out), 0);
	assert_non_null(strstr(
		text,
		"content=\"default-src 'none'; base-uri 'none'; form-action 'none'; script-src 'sha256-T05F' 'sha256-VFdP'; "
		"style-src 'sha256-Q1NT'\">"));
	assert_non_null(strstr(text, "<title>&lt;b&gt;&quot;" FFFD FFFD FFFD FFFD "</title>\n<style>p{}</style>\n</head>"));
	assert_non_null(strstr(text, "<body>\n<script type=\"application/json\" id=\"data\">{}</script>\n"
				     "<script>f();</script>\n<script>g();</script>\n</body>\n</html>\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_inert),
		cmocka_unit_test(data_is_inert),
		cmocka_unit_test(a_page_names_what_it_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
