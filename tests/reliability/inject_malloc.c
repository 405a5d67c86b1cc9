/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * inject_malloc.c: the writer and the reader with their k-th allocation failing, for every k, once only and from then on; and the writer with its k-th write
 * or sync failing. Prints TAP. Linked with --wrap for what allocates (see the Makefile), so that it works under ASan and LSan, too.
 *
 * What must hold: the call that fails says -ENOMEM (or what the sink said) and so does every later one; nothing is leaked; what is in the file is a valid
 * prefix: its whole blocks are the first of those an undisturbed run writes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <zstd.h>

#include "base/fdio.h"
#include "format/fmt_writer.h"
#include "tests/reliability/gen.h"
#include "tests/reliability/walk.h"

/* What fails next. The wrappers have no other way to be told. */
static struct {
	u64 calls;   /* so far */
	u64 fail_at; /* 0: none */
	bool sticky;
	u64 failed;
	s64 live; /* allocations that were not freed */
} inject;

static bool must_fail(void)
{
	inject.calls++;
	if (!inject.fail_at || (inject.sticky ? inject.calls < inject.fail_at : inject.calls != inject.fail_at))
		return false;
	inject.failed++;
	errno = ENOMEM;
	return true;
}

static void *note(void *p)
{
	inject.live += p != NULL;
	return p;
}

/* The linker sends every call of `name` in the objects of this program to __wrap_name (ld(1), --wrap). */
void *__real_malloc(size_t n);
void *__real_calloc(size_t k, size_t n);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t k, size_t n);
void __real_free(void *p);
ZSTD_CCtx *__real_ZSTD_createCCtx(void);
ZSTD_DCtx *__real_ZSTD_createDCtx(void);
size_t __real_ZSTD_freeCCtx(ZSTD_CCtx *c);
size_t __real_ZSTD_freeDCtx(ZSTD_DCtx *d);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t k, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t k, size_t n);
void __wrap_free(void *p);
ZSTD_CCtx *__wrap_ZSTD_createCCtx(void);
ZSTD_DCtx *__wrap_ZSTD_createDCtx(void);
size_t __wrap_ZSTD_freeCCtx(ZSTD_CCtx *c);
size_t __wrap_ZSTD_freeDCtx(ZSTD_DCtx *d);

void *__wrap_malloc(size_t n)
{
	return must_fail() ? NULL : note(__real_malloc(n));
}

void *__wrap_calloc(size_t k, size_t n)
{
	return must_fail() ? NULL : note(__real_calloc(k, n));
}

void *__wrap_realloc(void *p, size_t n)
{
	void *q = must_fail() ? NULL : __real_realloc(p, n);

	inject.live += q && !p;
	return q;
}

void *__wrap_reallocarray(void *p, size_t k, size_t n)
{
	void *q = must_fail() ? NULL : __real_reallocarray(p, k, n);

	inject.live += q && !p;
	return q;
}

void __wrap_free(void *p)
{
	inject.live -= p != NULL;
	__real_free(p);
}

ZSTD_CCtx *__wrap_ZSTD_createCCtx(void)
{
	return must_fail() ? NULL : note(__real_ZSTD_createCCtx());
}

ZSTD_DCtx *__wrap_ZSTD_createDCtx(void)
{
	return must_fail() ? NULL : note(__real_ZSTD_createDCtx());
}

size_t __wrap_ZSTD_freeCCtx(ZSTD_CCtx *c)
{
	inject.live -= c != NULL;
	return __real_ZSTD_freeCCtx(c);
}

size_t __wrap_ZSTD_freeDCtx(ZSTD_DCtx *d)
{
	inject.live -= d != NULL;
	return __real_ZSTD_freeDCtx(d);
}

/* ---- what is tried ---- */

/* A sink whose k-th call fails; it writes to fd. */
struct faulty {
	int fd;
	u64 bytes, writes, syncs;
	u64 fail_write, fail_sync; /* which, from 1; 0 none */
};

enum { SINK_ERROR = -ENOSPC };

static int faulty_write(void *ctx, const void *p, size_t n)
{
	struct faulty *f = ctx;
	int err;

	if (++f->writes == f->fail_write)
		return SINK_ERROR;
	err = fd_write_full(f->fd, p, n);
	f->bytes += err ? 0 : n;
	return err;
}

static int faulty_sync(void *ctx)
{
	struct faulty *f = ctx;

	return ++f->syncs == f->fail_sync ? SINK_ERROR : 0;
}

static const struct gen_plan plan = {.seed = 3, .flushes = 3, .entries = 5, .events = 9, .finish = true};
static const u8 uuid[16] = {1, 2, 3};

/* Writes a capture into f->fd; 0 or the error, which must then be that of every later call. */
static int write_capture(struct faulty *f, bool *ret_sticks)
{
	const struct fmt_sink sink = {.ctx = f, .write = faulty_write, .sync = faulty_sync};
	struct fmt_writer *w = NULL;
	int err;

	if (ftruncate(f->fd, 0) < 0 || lseek(f->fd, 0, SEEK_SET) < 0)
		abort();
	f->bytes = f->writes = f->syncs = 0;
	*ret_sticks = true;
	err = fmt_writer_new_to(&sink, uuid, 1, &w);
	if (err)
		return err;
	err = fmt_writer_sync(w);
	if (!err)
		err = gen_write(w, &plan);
	if (err) {
		u64 writes = f->writes, failed = inject.fail_at;

		inject.fail_at = 0; /* the cause is gone; the error is not */
		*ret_sticks = fmt_writer_flush(w) == err && fmt_writer_sync(w) == err && fmt_writer_finish(w) == err &&
			      f->writes == writes;
		inject.fail_at = failed;
	}
	fmt_writer_free(w);
	return err;
}

struct test {
	const char *name;
	u64 runs, failures;
	char first[200];
};

static void fail(struct test *t, u64 k, const char *what)
{
	if (!t->failures++)
		(void)snprintf(t->first, sizeof(t->first), "k = %llu%s: %s", (unsigned long long)k,
			       inject.sticky ? ", sticky" : "", what);
}

static void end(u32 *n, u32 *failed, const struct test *t)
{
	bool bad = t->failures || !t->runs;

	++*n;
	*failed += bad;
	(void)printf("%s %u - %s: %llu runs\n", bad ? "not ok" : "ok", *n, t->name, (unsigned long long)t->runs);
	if (t->failures)
		(void)printf("# %llu failures, the first: %s\n", (unsigned long long)t->failures, t->first);
}

static void arm(u64 k, bool sticky)
{
	inject.calls = inject.failed = 0;
	inject.fail_at = k;
	inject.sticky = sticky;
}

/* What is in the file begins as `whole` does. */
static bool is_prefix(const char *path, const struct walk *whole, bool complete)
{
	struct walk *w = __real_calloc(1, sizeof(*w));
	bool ok = w != NULL;

	arm(0, false);
	ok = ok && walk_path(path, w) == 0 && w->err == 0 && w->n <= whole->n && w->health.closed_cleanly == complete;
	/* without memory a column may be coded in a plainer way: the rows are the same, the sizes that the footer tells are not */
	for (u32 i = 0; ok && i < w->n; i++)
		ok = w->seq[i] == whole->seq[i] && w->type[i] == whole->type[i] &&
		     (w->digest[i] == whole->digest[i] || w->type[i] == TYPE_FOOTER);
	ok = ok && (!complete || w->n == whole->n);
	__real_free(w);
	return ok;
}

static void writer_without_memory(u32 *n, u32 *failed, struct faulty *f, const char *path, const struct walk *whole)
{
	struct test t = {.name = "writer: every allocation fails once, or from then on"};

	for (u32 sticky = 0; sticky < 2; sticky++) {
		for (u64 k = 1; k < 100000; k++) {
			s64 live = inject.live;
			bool sticks;
			int err;

			arm(k, sticky);
			err = write_capture(f, &sticks);
			if (!inject.failed)
				break;
			t.runs++;
			if (err != -ENOMEM && err != 0)
				fail(&t, k, "another error than -ENOMEM");
			if (inject.live != live)
				fail(&t, k, "memory is lost");
			if (!sticks)
				fail(&t, k, "a later call succeeds, or writes");
			if (f->bytes && !is_prefix(path, whole, !err))
				fail(&t, k, "the file is no valid prefix");
		}
	}
	end(n, failed, &t);
}

static void writer_with_a_bad_sink(u32 *n, u32 *failed, struct faulty *f, const char *path, const struct walk *whole)
{
	struct test t = {.name = "writer: every write and every sync fails"};

	for (u32 sync = 0; sync < 2; sync++) {
		for (u64 k = 1; k < 100000; k++) {
			s64 live = inject.live;
			bool sticks;
			int err;

			arm(0, false);
			f->fail_write = sync ? 0 : k;
			f->fail_sync = sync ? k : 0;
			err = write_capture(f, &sticks);
			if ((sync ? f->syncs : f->writes) < k)
				break;
			t.runs++;
			if (err != SINK_ERROR)
				fail(&t, k, "the sink's error is not handed on");
			if (inject.live != live)
				fail(&t, k, "memory is lost");
			if (!sticks)
				fail(&t, k, "a later call succeeds, or writes");
			/* a failed sync comes behind the last write: the file may well be whole */
			if (f->bytes && !is_prefix(path, whole, false) && !(sync && is_prefix(path, whole, true)))
				fail(&t, k, "the file is no valid prefix");
		}
	}
	f->fail_write = f->fail_sync = 0;
	end(n, failed, &t);
}

/* Reads all and sorts each block's events. */
static int read_capture(const char *path, u64 *ret_rows)
{
	const struct fmt_ref *refs;
	struct fmt_reader *r = NULL;
	struct fmt_diag diag;
	struct fmt_block b;
	int err = fmt_reader_open(path, &r, &diag);

	*ret_rows = 0;
	if (err)
		return err;
	while ((err = fmt_reader_next(r, &b)) == 1) {
		int events = fmt_block_events(r, &b, &refs);

		if (events < 0) {
			err = events;
			break;
		}
		*ret_rows += b.rows;
	}
	fmt_reader_close(r);
	return err;
}

static void reader_without_memory(u32 *n, u32 *failed, const char *name, const char *path)
{
	struct test t = {.name = name};
	u64 rows, all;
	int err;

	arm(0, false);
	err = read_capture(path, &all);
	if (err || !all)
		fail(&t, 0, "undisturbed, it does not read");
	for (u32 sticky = 0; sticky < 2; sticky++) {
		for (u64 k = 1; k < 100000; k++) {
			s64 live = inject.live;

			arm(k, sticky);
			err = read_capture(path, &rows);
			if (!inject.failed)
				break;
			t.runs++;
			if (err != -ENOMEM && (err || rows != all))
				fail(&t, k, "neither -ENOMEM nor all rows");
			if (inject.live != live)
				fail(&t, k, "memory is lost");
		}
	}
	end(n, failed, &t);
}

/* Flips a bit in the first dictionary or data block and in a later one. */
static void spoil(int fd, const struct buf *file)
{
	struct place place[64];
	u32 n = walk_layout(file->data, file->len, place, ARRAY_SIZE(place));

	for (u32 i = 0; i < n; i += n - 2) {
		u64 at = place[i].end - 3;
		u8 byte = file->data[at] ^ 1;

		if (n < 4 || pwrite(fd, &byte, 1, (off_t)at) != 1)
			abort();
	}
}

int main(void)
{
	struct faulty f = {.fd = memfd_create("inject", MFD_CLOEXEC)};
	struct walk *whole = calloc(1, sizeof(*whole));
	struct buf file = BUF_INIT;
	u32 n = 0, failed = 0;
	char path[64];
	bool sticks;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", f.fd);
	if (f.fd < 0 || !whole || write_capture(&f, &sticks) || walk_path(path, whole) || !whole->n || whole->unresolved) {
		(void)printf("Bail out! no capture\n");
		return 1;
	}
	writer_without_memory(&n, &failed, &f, path, whole);
	writer_with_a_bad_sink(&n, &failed, &f, path, whole);
	arm(0, false);
	if (write_capture(&f, &sticks) || file_read_all(path, &file, 1 << 20))
		return 1;
	reader_without_memory(&n, &failed, "reader: every allocation fails once, or from then on", path);
	spoil(f.fd, &file);
	reader_without_memory(&n, &failed, "reader of a damaged capture: every allocation fails once, or from then on", path);
	(void)printf("1..%u\n", n);
	buf_release(&file);
	free(whole);
	(void)close(f.fd);
	return failed ? 1 : 0;
}
