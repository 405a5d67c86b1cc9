/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_gzip.c: what gzip(1) reads back is what was written: empty, incompressible, long runs, matches at every distance and length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/gzip.h"

/* Compresses into a file and lets gzip(1) read it; returns the file's size. */
static u64 round_trip(const u8 *data, size_t n, size_t piece)
{
	char path[] = "/tmp/ascope-test-gzip-XXXXXX", command[96];
	_cleanup_buf_ struct buf back = BUF_INIT;
	struct gzip *z = NULL;
	FILE *out, *f;
	long size;
	int fd;

	fd = mkstemp(path);
	assert_true(fd >= 0);
	out = fdopen(fd, "w");
	assert_non_null(out);
	f = gzip_open(out, &z);
	assert_non_null(f);
	for (size_t i = 0; i < n; i += piece)
		assert_int_equal(fwrite(data + i, 1, min_u64(piece, n - i), f), min_u64(piece, n - i));
	assert_int_equal(gzip_close(f, z), 0);
	size = ftell(out);
	assert_int_equal(fclose(out), 0);
	(void)snprintf(command, sizeof(command), "gzip -dc < %s", path);
	f = popen(command, "r");
	assert_non_null(f);
	while (!feof(f)) {
		u8 *p = buf_reserve(&back, 4096);

		assert_non_null(p);
		back.len += fread(p, 1, 4096, f);
	}
	assert_int_equal(pclose(f), 0);
	assert_int_equal(back.len, n);
	if (n)
		assert_memory_equal(back.data, data, n);
	assert_int_equal(unlink(path), 0);
	return (u64)size;
}

static void fill_random(u8 *data, size_t n, u64 seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		data[i] = (u8)(seed >> 33);
	}
}

static void test_round_trips(void **state)
{
	enum { N = 300000 };
	_cleanup_free_ u8 *data = malloc(N);

	(void)state;
	assert_non_null(data);
	assert_int_equal(round_trip(data, 0, 1), 20);
	memset(data, 0, N);
	assert_true(round_trip(data, N, 1000) < 4000);
	fill_random(data, N, 1);
	assert_true(round_trip(data, N, N) < N + N / 8);
	assert_true(round_trip(data, 65536, 65536) > 65536);
	assert_true(round_trip(data, 65537, 1) > 65537);
	/* Each piece once more at a growing distance, and with a growing length. */
	for (u32 i = 0, len = 3; i + 40000 + len < N; i += 2 * len, len = len % 300 + 1)
		memcpy(data + i + len + (i % 32768), data + i, len);
	(void)round_trip(data, N, 777);
	for (u32 i = 0; i < N; i++)
		data[i] = "abcabcabdabc;0"[i * i % 14];
	assert_true(round_trip(data, N, 4096) < N / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
