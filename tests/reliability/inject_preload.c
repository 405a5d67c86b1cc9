/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * inject_preload.c: LD_PRELOAD: the k-th call of one sort fails. Used by inject.py on whole commands; counts are left in a file, whatever becomes of the process.
 *
 *	ASCOPE_INJECT="CALL K HOW"	CALL: memory sqlite write sync rename close truncate read;  K: from 1, 0 none
 *					HOW: ERRNO (the k-th call only), ERRNO+ (the k-th and all after it), short (from the k-th on, a byte at a time),
 *					abort (there, for a debugger)
 *	ASCOPE_INJECT_COUNT=FILE	16 bytes: calls seen, calls failed (u64 each)
 *
 * `sqlite` is allocations that libsqlite3 asks for, `memory` all others: of 54,000 in a report 53,000 are SQLite's, which would hide the 800 that ascope makes.
 * Descriptors 0 to 2 are left alone: what a command says is what is looked at. close(2) closes before it fails, as Linux does.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"

/* glibc's own names of what is interposed here (malloc/malloc.c). */
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t k, size_t n);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t align, size_t n);

enum call { CALL_NONE, CALL_MEMORY, CALL_SQLITE, CALL_WRITE, CALL_SYNC, CALL_RENAME, CALL_CLOSE, CALL_TRUNCATE, CALL_READ };

/* Set once before main(). */
static struct {
	enum call call;
	u64 k;
	int err; /* 0: short */
	bool sticky, abort;
	_Atomic u64 *count; /* calls, failures */
	uintptr_t sqlite, sqlite_end;
} plan;

static bool must_fail(enum call call)
{
	u64 n;

	if (plan.call != call || !plan.count)
		return false;
	n = atomic_fetch_add(&plan.count[0], 1) + 1;
	if (!plan.k || (plan.sticky ? n < plan.k : n != plan.k))
		return false;
	atomic_fetch_add(&plan.count[1], 1);
	if (plan.abort)
		abort();
	return true;
}

static int find_sqlite(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	if (!strstr(info->dlpi_name, "/libsqlite3."))
		return 0;
	for (u32 i = 0; i < info->dlpi_phnum; i++) {
		uintptr_t start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;

		if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X) {
			plan.sqlite = start;
			plan.sqlite_end = start + info->dlpi_phdr[i].p_memsz;
		}
	}
	return 1;
}

/* Whether the allocation asked for by the code at `caller` is one that must fail. */
static bool no_memory(const void *caller)
{
	uintptr_t at = (uintptr_t)caller;

	if (!must_fail(at >= plan.sqlite && at < plan.sqlite_end ? CALL_SQLITE : CALL_MEMORY))
		return false;
	errno = ENOMEM;
	return true;
}

static __attribute__((constructor)) void read_plan(void)
{
	static const char *const names[] = {"", "memory", "sqlite", "write", "sync", "rename", "close", "truncate", "read"};
	const char *text = getenv("ASCOPE_INJECT"), *path = getenv("ASCOPE_INJECT_COUNT");
	char call[16] = "", how[16] = "";
	unsigned long long k = 0;
	void *p;
	int fd;

	if (!text || !path || sscanf(text, "%15s %llu %15s", call, &k, how) != 3)
		return;
	fd = open(path, O_RDWR | O_CLOEXEC);
	p = fd < 0 ? MAP_FAILED : mmap(NULL, 2 * sizeof(u64), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		(void)close(fd);
	if (p == MAP_FAILED)
		return;
	(void)dl_iterate_phdr(find_sqlite, NULL);
	plan.k = k;
	plan.sticky = strchr(how, '+') || !strcmp(how, "short");
	plan.abort = !strcmp(how, "abort");
	plan.err = !strncmp(how, "ENOMEM", 6)	? ENOMEM
		   : !strncmp(how, "ENOSPC", 6) ? ENOSPC
		   : !strncmp(how, "EINTR", 5)	? EINTR
		   : !strcmp(how, "short")	? 0
						: EIO;
	for (u32 i = 1; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], call))
			plan.call = (enum call)i;
	plan.count = p;
}

/* ---- memory ---- */

void *malloc(size_t n)
{
	if (no_memory(__builtin_return_address(0)))
		return NULL;
	return __libc_malloc(n);
}

void *calloc(size_t k, size_t n)
{
	if (no_memory(__builtin_return_address(0)))
		return NULL;
	return __libc_calloc(k, n);
}

void *realloc(void *p, size_t n)
{
	if (no_memory(__builtin_return_address(0)))
		return NULL;
	return __libc_realloc(p, n);
}

void *reallocarray(void *p, size_t k, size_t n)
{
	size_t bytes;

	if (__builtin_mul_overflow(k, n, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return no_memory(__builtin_return_address(0)) ? NULL : __libc_realloc(p, bytes);
}

void *aligned_alloc(size_t align, size_t n)
{
	if (no_memory(__builtin_return_address(0)))
		return NULL;
	return __libc_memalign(align, n);
}

int posix_memalign(void **ret, size_t align, size_t n)
{
	void *p = no_memory(__builtin_return_address(0)) ? NULL : __libc_memalign(align, n);

	if (!p)
		return ENOMEM;
	*ret = p;
	return 0;
}

/* ---- files ---- */

#define REAL(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

/* The bytes of n that may go through; 0 when the call fails. */
static size_t allowed(enum call call, int fd, size_t n)
{
	if (fd <= STDERR_FILENO || !must_fail(call))
		return n;
	if (!plan.err)
		return n ? 1 : 0;
	errno = plan.err;
	return 0;
}

ssize_t write(int fd, const void *p, size_t n)
{
	size_t some = allowed(CALL_WRITE, fd, n);

	return n && !some ? -1 : REAL(write)(fd, p, some);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t off)
{
	size_t some = allowed(CALL_WRITE, fd, n);

	return n && !some ? -1 : REAL(pwrite)(fd, p, some, off);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t off)
{
	size_t some = allowed(CALL_WRITE, fd, n);

	return n && !some ? -1 : REAL(pwrite64)(fd, p, some, off);
}

ssize_t read(int fd, void *p, size_t n)
{
	size_t some = allowed(CALL_READ, fd, n);

	return n && !some ? -1 : REAL(read)(fd, p, some);
}

ssize_t pread(int fd, void *p, size_t n, off_t off)
{
	size_t some = allowed(CALL_READ, fd, n);

	return n && !some ? -1 : REAL(pread)(fd, p, some, off);
}

ssize_t pread64(int fd, void *p, size_t n, off64_t off)
{
	size_t some = allowed(CALL_READ, fd, n);

	return n && !some ? -1 : REAL(pread64)(fd, p, some, off);
}

static int refused(void)
{
	errno = plan.err ? plan.err : EIO;
	return -1;
}

int fsync(int fd)
{
	return must_fail(CALL_SYNC) ? refused() : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
	return must_fail(CALL_SYNC) ? refused() : REAL(fdatasync)(fd);
}

int rename(const char *from, const char *to)
{
	return must_fail(CALL_RENAME) ? refused() : REAL(rename)(from, to);
}

int close(int fd)
{
	int res = REAL(close)(fd);

	return !res && fd > STDERR_FILENO && must_fail(CALL_CLOSE) ? refused() : res;
}

int ftruncate(int fd, off_t size)
{
	return must_fail(CALL_TRUNCATE) ? refused() : REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
	return must_fail(CALL_TRUNCATE) ? refused() : REAL(ftruncate64)(fd, size);
}
