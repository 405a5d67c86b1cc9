/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_protobuf.c: exact bytes, by the examples of the encoding's documentation and by hand; limits; streaming in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "base/protobuf.h"

static void expect(struct pb *p, const char *want, size_t n)
{
	assert_int_equal(pb_finish(p), 0);
	assert_int_equal(p->b.len, n);
	assert_memory_equal(p->b.data, want, n);
	pb_release(p);
}
#define EXPECT(p, want) expect(p, want, sizeof(want) - 1)

static void the_examples_of_the_documentation(void **state)
{
	const u64 packed[] = {3, 270, 86942};
	struct pb p;

	(void)state;
	pb_init(&p, NULL);
	pb_u64(&p, 1, 150);
	EXPECT(&p, "\x08\x96\x01");
	pb_init(&p, NULL);
	pb_string(&p, 2, "testing");
	EXPECT(&p, "\x12\x07testing");
	pb_init(&p, NULL);
	pb_begin(&p, 3);
	pb_u64(&p, 1, 150);
	pb_end(&p);
	EXPECT(&p, "\x1a\x03\x08\x96\x01");
	pb_init(&p, NULL);
	pb_packed_u64(&p, 6, packed, 3);
	EXPECT(&p, "\x32\x06\x03\x8e\x02\x9e\xa7\x05");
}

static void every_kind_of_field(void **state)
{
	const u64 packed[] = {1, 128};
	struct pb p;

	(void)state;
	pb_init(&p, NULL);
	pb_u64(&p, 15, 0);
	pb_u64(&p, 16, UINT64_MAX);
	pb_fixed64(&p, 1, 0x0102030405060708);
	pb_double(&p, 2, 1.0);
	pb_bytes(&p, 3, "a\0b", 3);
	pb_bytes(&p, 3, NULL, 0);
	pb_packed_u64(&p, 4, packed, 2);
	pb_packed_u64(&p, 4, packed, 0);
	pb_begin(&p, 5);
	pb_raw_varint(&p, 300);
	pb_end(&p);
	pb_u64(&p, (1U << 29) - 1, 1);
	EXPECT(&p, "\x78\x00"
		   "\x80\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
		   "\x09\x08\x07\x06\x05\x04\x03\x02\x01"
		   "\x11\0\0\0\0\0\0\xf0\x3f"
		   "\x1a\x03"
		   "a\0b"
		   "\x1a\x00"
		   "\x22\x03\x01\x80\x01"
		   "\x2a\x02\xac\x02"
		   "\xf8\xff\xff\xff\x0f\x01");
}

static void strings_are_utf8(void **state)
{
	struct pb p;

	(void)state;
	pb_init(&p, NULL);
	pb_string(&p, 1, NULL);
	pb_string(&p, 1, "\xc3\xa9\xf0\x9f\x98\x80");
	pb_string(&p, 1,
		  "a\xff"
		  "b\xc3");
	EXPECT(&p, "\x0a\x00"
		   "\x0a\x06\xc3\xa9\xf0\x9f\x98\x80"
		   "\x0a\x08"
		   "a\xef\xbf\xbd"
		   "b\xef\xbf\xbd");
}

/* Lengths that take one, two and three bytes, one in the other. */
static void lengths_are_shortest(void **state)
{
	static u8 fill[20000];
	struct pb p;
	const u8 *d;

	(void)state;
	pb_init(&p, NULL);
	pb_begin(&p, 1);
	pb_begin(&p, 2);
	pb_bytes(&p, 3, fill, 125);
	pb_end(&p); /* 127 bytes */
	pb_begin(&p, 2);
	pb_bytes(&p, 3, fill, 126);
	pb_end(&p); /* 128 bytes */
	pb_bytes(&p, 4, fill, 20000);
	pb_end(&p);
	assert_int_equal(pb_finish(&p), 0);
	d = p.b.data;
	/* 20000 = 0x4e20, with its tag and length 20004; 20004 + 2 + 127 + 3 + 128 = 20264 = 0x4f28 */
	assert_memory_equal(d, "\x0a\xa8\x9e\x01\x12\x7f\x1a\x7d", 8);
	assert_memory_equal(d + 6 + 127, "\x12\x80\x01\x1a\x7e", 5);
	assert_memory_equal(d + 6 + 127 + 3 + 128, "\x22\xa0\x9c\x01", 4);
	assert_int_equal(p.b.len, 4 + 20264);
	pb_release(&p);
}

static void a_stream_gets_what_memory_would(void **state)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	struct pb p, q;

	(void)state;
	assert_non_null(f);
	pb_init(&p, f);
	pb_init(&q, NULL);
	for (u64 i = 0; i < 100000; i++) {
		for (int k = 0; k < 2; k++) {
			struct pb *to = k ? &q : &p;

			pb_begin(to, 1);
			pb_u64(to, 8, i);
			pb_string(to, 2, "name");
			pb_end(to);
		}
		/* one piece waits, not all of it */
		assert_true(p.b.len < (size_t)128 << 10);
	}
	assert_int_equal(pb_finish(&p), 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(n, q.b.len);
	assert_memory_equal(text, q.b.data, n);
	free(text);
	pb_release(&p);
	pb_release(&q);
}

static void a_field_has_a_limit(void **state)
{
	static u8 fill[1 << 20];
	struct pb p;

	(void)state;
	pb_init(&p, NULL);
	pb_begin(&p, 1);
	for (int i = 0; i < 70; i++)
		pb_bytes(&p, 2, fill, sizeof(fill));
	pb_end(&p);
	assert_int_equal(pb_finish(&p), -EFBIG);
	assert_true(p.b.len <= PB_MAX_FIELD + (64 << 10));
	pb_release(&p);
}

static void errors_of_the_stream_are_told(void **state)
{
	FILE *f = fopen("/dev/full", "we");
	struct pb p;

	(void)state;
	assert_non_null(f);
	pb_init(&p, f);
	for (int i = 0; i < 100000; i++)
		pb_u64(&p, 1, 1);
	assert_int_equal(pb_finish(&p), -EIO);
	pb_release(&p);
	(void)fclose(f);
}

static void end_of_nothing(struct pb *p)
{
	pb_end(p);
}

static void finish_in_a_field(struct pb *p)
{
	pb_begin(p, 1);
	(void)!pb_finish(p);
}

static void field_zero(struct pb *p)
{
	pb_u64(p, 0, 1);
}

static void too_deep(struct pb *p)
{
	for (int i = 0; i <= PB_MAX_DEPTH; i++)
		pb_begin(p, 1);
}

static void misuse_aborts(void **state)
{
	void (*const misuses[])(struct pb *) = {end_of_nothing, finish_in_a_field, field_zero, too_deep};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(misuses); i++) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (pid == 0) {
			struct pb p;

			(void)!freopen("/dev/null", "w", stderr);
			pb_init(&p, NULL);
			misuses[i](&p);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_the_documentation),
		cmocka_unit_test(every_kind_of_field),
		cmocka_unit_test(strings_are_utf8),
		cmocka_unit_test(lengths_are_shortest),
		cmocka_unit_test(a_stream_gets_what_memory_would),
		cmocka_unit_test(a_field_has_a_limit),
		cmocka_unit_test(errors_of_the_stream_are_told),
		cmocka_unit_test(misuse_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
