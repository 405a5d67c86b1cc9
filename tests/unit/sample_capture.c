/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sample_capture.c: see sample_capture.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fdio.h"
#include "format/fmt_writer.h"
#include "tests/unit/sample_capture.h"

#define T0 5000000000ULL
#define row_(w, KIND, kind, ...)                                                                                                 \
	assert_int_equal(fmt_writer_row(w, FMT_##KIND, &(const struct fmt_##kind){__VA_ARGS__}, NULL, 0), 0)

enum { STR_COMM = 1, STR_PATH, STR_KEY, STR_VALUE, STR_LOST, STR_RING_FULL, STR_VERSION, STR_FOUND, STR_ROW, STR_TOTAL };

static void put_strings(struct fmt_writer *w, const struct sample_recipe *r)
{
	const char *texts[] = {
		[STR_COMM] = r->hostile_names ? "\033[31mevil\"\\" : "orders",
		[STR_PATH] = "/usr/bin/orders",
		[STR_KEY] = "host",
		[STR_VALUE] = "prod-3",
		[STR_LOST] = r->lost_by_kind ? "lost.ring_full.switch_out" : "lost.ring_full",
		[STR_RING_FULL] = "ring_full",
		[STR_VERSION] = "1.43.4",
		[STR_FOUND] = "shape scan, 4 threads agree",
		[STR_ROW] = "ctx-80",
		[STR_TOTAL] = "events.seen",
	};

	for (u64 i = 1; i < ARRAY_SIZE(texts); i++) {
		const struct fmt_string row = {.idx = i};

		assert_int_equal(fmt_writer_row(w, FMT_STRING, &row, texts[i], strlen(texts[i])), 0);
	}
}

static void put_dictionary(struct fmt_writer *w, const struct sample_recipe *r)
{
	const u64 addrs[] = {0x401000, 0x402000, 0x400800};

	put_strings(w, r);
	row_(w, META, meta, .key = STR_KEY, .value = STR_VALUE);
	row_(w, PROCESS, process, .idx = 1, .pid = 24036, .comm = STR_COMM, .exe = STR_PATH);
	row_(w, THREAD, thread, .idx = 1, .process = 1, .tid = 24038, .comm = STR_COMM);
	row_(w, MODULE, module, .idx = 1, .path = STR_PATH);
	row_(w, LAYOUT, layout, .idx = 1, .process = 1, .module = 1, .row = STR_ROW, .version = STR_VERSION,
	     .found_by = STR_FOUND, .threads = 4, .tick_from_mt = T0);
	for (u64 i = 1; i <= 10; i++) {
		const struct fmt_stack stack = {.idx = i,
						.process = 1,
						.kind = FMT_STACK_USER,
						.status = i <= r->no_table ? FMT_STACK_NO_TABLE : FMT_STACK_WHOLE,
						.fp_from = r->guessed && i == 1 ? 2 : 0};

		assert_int_equal(fmt_writer_row(w, FMT_STACK, &stack, addrs, ARRAY_SIZE(addrs)), 0);
	}
}

static void put_events(struct fmt_writer *w, const struct sample_recipe *r)
{
	row_(w, CLOCK, clock, .ts = T0, .boottime = T0, .realtime = 1767225600000000000ULL); /* 2026-01-01 00:00:00 UTC */
	for (u64 i = 0; i < 1000 && !r->no_events; i++) {
		row_(w, SWITCH_OUT, switch_out, .ts = T0 + i * 1000000, .thread = 1, .cpu = i % 2, .state = 1,
		     .ctx_status = i < r->unread ? FMT_CTX_UNREAD : FMT_CTX_READ, .core = 0x7f0000001000ULL, .task = 30,
		     .ustack = 1 + i % 10);
		row_(w, SWITCH_IN, switch_in, .ts = T0 + i * 1000000 + 500000, .thread = 1, .cpu = i % 2);
		if (i == 499)
			assert_int_equal(fmt_writer_flush(w), 0);
	}
}

static void put_samples(struct fmt_writer *w)
{
	static const u64 callers[] = {1, 2, 1, 0, 0, 99};

	for (u64 i = 0; i < ARRAY_SIZE(callers); i++)
		row_(w, SAMPLE, sample, .ts = T0 + 700000 + i, .thread = 1, .mode = 1, .pc = 0x401000 + i, .ustack = callers[i]);
}

static void put_totals(struct fmt_writer *w, const struct sample_recipe *r)
{
	row_(w, TOTAL, total, .key = STR_TOTAL, .value = 1);
	row_(w, TOTAL, total, .key = STR_TOTAL, .value = 2000); /* the latest counts */
	if (r->lost && !r->no_totals)
		row_(w, TOTAL, total, .key = STR_LOST, .value = r->lost);
	if (r->throttle)
		row_(w, THROTTLE, throttle, .ts = T0 + 100000000, .ts_end = T0 + 200000000, .cgroup = STR_PATH, .periods = 1,
		     .throttled = 80000000);
	if (r->lost)
		row_(w, GAP, gap, .ts = T0 + 1000, .ts_end = T0 + 2000, .cause = STR_RING_FULL, .count = r->lost);
	assert_int_equal(fmt_writer_flush(w), 0);
}

void sample_make(struct sample *s, const struct sample_recipe *r)
{
	static const u8 uuid[16] = {0x1b, 0x4e, 0x28, 0xba, 0x2f, 0xa1, 0x41, 0xd2,
				    0x88, 0x3f, 0x00, 0x16, 0xd3, 0xcc, 0xa4, 0x27};
	_cleanup_close_ int fd = -1;
	struct fmt_writer *w = NULL;

	(void)snprintf(s->dir, sizeof(s->dir), "/tmp/ascope-sample-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	(void)snprintf(s->path, sizeof(s->path), "%s/sample.ascope", s->dir);
	fd = open(s->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fmt_writer_new(fd, uuid, 1, &w), 0);
	put_dictionary(w, r);
	assert_int_equal(fmt_writer_flush(w), 0);
	put_events(w, r);
	if (r->samples)
		put_samples(w);
	put_totals(w, r);
	if (!r->no_close)
		assert_int_equal(fmt_writer_finish(w), 0);
	fmt_writer_free(w);
}

void sample_release(struct sample *s)
{
	(void)unlink(s->path);
	(void)rmdir(s->dir);
}

void sample_cut(const struct sample *s, u64 size)
{
	assert_int_equal(truncate(s->path, (off_t)size), 0);
}

void sample_flip(const struct sample *s, u64 off)
{
	_cleanup_close_ int fd = open(s->path, O_RDWR | O_CLOEXEC);
	u8 byte;

	assert_true(fd >= 0);
	assert_int_equal(fd_pread_full(fd, &byte, 1, off), 1);
	byte ^= 0xff;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)off), 1);
}

u64 sample_size(const struct sample *s)
{
	struct stat st;

	assert_int_equal(stat(s->path, &st), 0);
	return (u64)st.st_size;
}

static void slurp(int fd, struct buf *ret)
{
	u8 *nul;

	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(fd, ret, 1 << 26), 0);
	nul = buf_reserve(ret, 1);
	assert_non_null(nul);
	*nul = '\0';
}

void run_command(struct ran *r, int (*cmd)(int, char **), const char *const *argv)
{
	_cleanup_close_ int out = memfd_create("out", MFD_CLOEXEC);
	_cleanup_close_ int err = memfd_create("err", MFD_CLOEXEC);
	int argc = 0, status = 0;
	char *args[16];
	pid_t pid;

	for (; argv[argc]; argc++) {
		assert_true(argc < 15);
		args[argc] = (char *)(uintptr_t)argv[argc];
	}
	args[argc] = NULL;
	assert_true(out >= 0 && err >= 0);
	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		int code;

		if (dup2(out, 1) != 1 || dup2(err, 2) != 2)
			_exit(99);
		code = cmd(argc, args);
		(void)fflush(NULL);
		_exit(code);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	*r = (struct ran){.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status)};
	slurp(out, &r->out);
	slurp(err, &r->err);
}

void ran_release(struct ran *r)
{
	buf_release(&r->out);
	buf_release(&r->err);
}
