/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_fdio.c: maxima to the byte, pipes that deliver in pieces, errors as errno. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/fdio.h"

static int file_of(const char *contents, size_t n)
{
	int fd = memfd_create("test_fdio", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, contents, n), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void read_all_and_maximum(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_close_ int fd = file_of("0123456789", 10);

	(void)state;
	buf_puts(&b, "> ");
	assert_int_equal(fd_read_all(fd, &b, 10), 0);
	assert_int_equal(b.len, 12);
	assert_memory_equal(b.data, "> 0123456789", 12);

	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(fd, &b, 9), -EFBIG);
	assert_int_equal(b.len, 12);
	assert_int_equal(buf_err(&b), 0);

	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(fd, &b, SIZE_MAX), 0);
	assert_int_equal(b.len, 22);
	assert_int_equal(fd_read_all(fd, &b, 0), 0); /* at the end: nothing is exactly 0 bytes */
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(fd, &b, 0), -EFBIG);
}

static void the_bufs_own_maximum(void **state)
{
	_cleanup_buf_ struct buf b = {.max = 10};
	_cleanup_close_ int fd = file_of("0123456789", 10);

	(void)state;
	assert_int_equal(fd_read_all(fd, &b, SIZE_MAX), 0);
	assert_int_equal(b.len, 10);
	buf_reset(&b);
	buf_putc(&b, 'x');
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(fd, &b, SIZE_MAX), -EFBIG);
	assert_int_equal(b.len, 1);
}

static void pread_full(void **state)
{
	_cleanup_close_ int fd = file_of("0123456789", 10);
	char got[16];

	(void)state;
	assert_int_equal(fd_pread_full(fd, got, 4, 3), 4);
	assert_memory_equal(got, "3456", 4);
	assert_int_equal(fd_pread_full(fd, got, 16, 8), 2);
	assert_memory_equal(got, "89", 2);
	assert_int_equal(fd_pread_full(fd, got, 16, 10), 0);
	assert_int_equal(fd_pread_full(fd, got, 16, UINT64_MAX), -EOVERFLOW);
	assert_int_equal(fd_pread_full(-1, got, 16, 0), -EBADF);
}

static void write_errors(void **state)
{
	_cleanup_close_ int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(fd_write_full(-1, "x", 1), -EBADF);
	assert_int_equal(fd_write_full(-1, "x", 0), 0);
	assert_true(full >= 0);
	assert_int_equal(fd_write_full(full, "x", 1), -ENOSPC);
}

/* 1 MiB through a pipe of 64 KiB: both sides see short transfers. */
static void through_a_pipe(void **state)
{
	const size_t n = 1 << 20;
	_cleanup_free_ u8 *data = malloc(n);
	_cleanup_buf_ struct buf b = BUF_INIT;
	int fds[2], status = 0;
	pid_t pid;

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < n; i++)
		data[i] = (u8)(i * 31 >> 3);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		(void)close(fds[0]);
		_exit(fd_write_full(fds[1], data, n) ? 1 : 0);
	}
	(void)close(fds[1]);
	assert_int_equal(fd_read_all(fds[0], &b, n), 0);
	(void)close(fds[0]);
	assert_int_equal(b.len, n);
	assert_memory_equal(b.data, data, n);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void files(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(file_read_all("/nonexistent/x", &b, 100), -ENOENT);
	assert_int_equal(file_read_all("/", &b, 100), -EISDIR);
	assert_int_equal(b.len, 0);
	assert_int_equal(file_read_all("/dev/null", &b, 0), 0);
	assert_int_equal(b.len, 0);
	assert_string_equal((char *)b.data, "");		       /* the NUL is there for an empty file, too */
	assert_int_equal(file_read_all("/proc/self/comm", &b, 64), 0); /* size 0 by stat(2) */
	assert_string_equal((char *)b.data, "test_fdio\n");
	assert_int_equal(b.len, 10);
	assert_int_equal(file_read_all("/dev/zero", &b, 1 << 20), -EFBIG);
	assert_int_equal(b.len, 10);
}

static void memstream_without_a_text(void **state)
{
	_cleanup_free_ char *text = NULL;
	char *none = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	(void)state;
	assert_non_null(f);
	assert_true(fputs("whole", f) >= 0);
	assert_int_equal(memstream_close(f, &text), 0);
	assert_string_equal(text, "whole");
	free(TAKE_PTR(text));
	f = open_memstream(&text, &n);
	assert_non_null(f);
	assert_int_equal(memstream_close(f, &none), -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_all_and_maximum),
		cmocka_unit_test(the_bufs_own_maximum),
		cmocka_unit_test(pread_full),
		cmocka_unit_test(write_errors),
		cmocka_unit_test(through_a_pipe),
		cmocka_unit_test(files),
		cmocka_unit_test(memstream_without_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
