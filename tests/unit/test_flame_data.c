/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_flame_data.c: the tree that is drawn: preorder, what becomes one node, the sum of its weights is the profile's, and a base beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "report/flame_data.h"

static char *put(const struct profile *p, const struct profile *base)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	struct json j;

	assert_non_null(out);
	json_init(&j, out, false);
	j.for_html = true;
	assert_int_equal(flame_data_put(&j, p, base), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void expect(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("%s is not in %s", part, text);
}

/* main -> work twice, at other lines: one node. main -> wait; and main itself. */
static struct profile_frame frames[] = {
	{.name = "main", .file = "a.rs", .line = 3, .kind = FRAME_USER, .has_kind = true},
	{.name = "work", .file = "a.rs", .line = 10, .kind = FRAME_USER, .has_kind = true},
	{.name = "work", .file = "a.rs", .line = 14, .kind = FRAME_USER, .has_kind = true},
	{.name = "work", .kernel = true},
};
static const u32 main_work[] = {0, 1}, main_work_14[] = {0, 2}, main_kernel[] = {0, 3};
static struct profile_stack stacks[] = {
	{.frames = main_work, .n = 1, .samples = 1, .ns = 10},
	{.frames = main_work, .n = 2, .samples = 2, .ns = 20},
	{.frames = main_work_14, .n = 2, .samples = 3, .ns = 30},
	{.frames = main_kernel, .n = 2, .samples = 0, .ns = 5},
};
static const struct profile profile = {.frames = frames,
				       .n_frames = 4,
				       .stacks = stacks,
				       .n_stacks = 4,
				       .samples = 6,
				       .ns = 65,
				       .period_ns = 10,
				       .lo = 1,
				       .hi = 100};

static void a_tree(void **state)
{
	char *text = put(&profile, NULL);

	(void)state;
	expect(text, "{\"total_ns\":65,\"samples\":6,\"period_ns\":10,\"lo_ns\":1,\"hi_ns\":100,\"kinds\":[\"user\",");
	expect(text, "\"strings\":[\"\",\"all\",\"main\",\"a.rs\",\"work\"],\"frames\":{\"name\":[1,2,4,4],");
	expect(text, "\"file\":[0,3,3,0],\"module\":[0,0,0,0]");
	/* the kernel's work is another function than the program's */
	expect(text, "\"nodes\":{\"depth\":[0,1,2,2],\"frame\":[0,1,2,3],\"self_ns\":[0,10,50,5],\"self_samples\":[0,1,5,0],"
		     "\"line\":[0,3,10,0],\"lines\":[0,0,4,0]}}");
	assert_null(strstr(text, "base"));
	free(text);
}

/* What only the base has is a node, too, without a weight. */
static void a_base(void **state)
{
	struct profile now = profile;
	char *text;

	(void)state;
	now.n_stacks = 1;
	now.ns = 10;
	now.samples = 1;
	text = put(&now, &profile);
	expect(text, "\"base\":{\"total_ns\":65,\"samples\":6,");
	expect(text, "\"depth\":[0,1,2,2],\"frame\":[0,1,2,3],\"self_ns\":[0,10,0,0],\"self_samples\":[0,1,0,0],");
	expect(text, "\"base_ns\":[0,10,50,5],\"base_samples\":[0,1,5,0]}}");
	free(text);
}

static void nothing(void **state)
{
	char *text = put(&(struct profile){0}, NULL);

	(void)state;
	expect(text, "\"strings\":[\"\",\"all\"]");
	expect(text, "\"nodes\":{\"depth\":[0],\"frame\":[0],\"self_ns\":[0],");
	free(text);
}

static void hostile_names(void **state)
{
	struct profile_frame bad = {.name = "</script><!--\xff\xe2\x80\xae", .file = "\"&\x1b", .module = "<img src=x>"};
	static const u32 only[] = {0};
	struct profile_stack one = {.frames = only, .n = 1, .samples = 1, .ns = 1};
	struct profile p = {.frames = &bad, .n_frames = 1, .stacks = &one, .n_stacks = 1, .samples = 1, .ns = 1};
	char *text = put(&p, NULL);

	(void)state;
	assert_null(strpbrk(text, "<>&\x1b\xff"));
	assert_null(strstr(text, "\xe2\x80\xae"));
	expect(text, "\"\\u003c/script\\u003e\\u003c!--\xef\xbf\xbd\xef\xbf\xbd\"");
	expect(text, "\"\\\"\\u0026\xef\xbf\xbd\"");
	expect(text, "\"\\u003cimg src=x\\u003e\"");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tree),
		cmocka_unit_test(a_base),
		cmocka_unit_test(nothing),
		cmocka_unit_test(hostile_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
