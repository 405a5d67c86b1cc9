/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * base.h: what every file of ascope may rely on. Types, attributes, scope-bound ownership.
 *
 * Error idiom of the whole tree: functions return 0 (or a count) or a negative errno; `errno` itself is read only on the line
 * after a libc call. base/ and format/ never log; a command logs once. Out-parameters named ret_x are written on success only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

#define NSEC_PER_SEC  1000000000ULL
#define NSEC_PER_MSEC 1000000ULL
#define NSEC_PER_USEC 1000ULL

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define __must_check	   __attribute__((warn_unused_result))
#define __printf_fmt(f, a) __attribute__((format(printf, f, a)))
#define __maybe_unused	   __attribute__((unused))

/* Our own broken invariants only, never the contents of a file. */
#define BUG_ON(cond)                                                                                                             \
	do {                                                                                                                     \
		if (__builtin_expect(!!(cond), 0))                                                                               \
			bug_abort(__FILE__, __LINE__, #cond);                                                                    \
	} while (0)

/* Prints "ascope: bug: FILE:LINE: COND" and aborts. */
_Noreturn void bug_abort(const char *file, int line, const char *cond);

static inline u64 min_u64(u64 a, u64 b)
{
	return a < b ? a : b;
}

static inline u64 max_u64(u64 a, u64 b)
{
	return a > b ? a : b;
}

/* For qsort and bsearch: -1, 0, 1. */
static inline int compare_u64(u64 a, u64 b)
{
	return (a > b) - (a < b);
}

/* Scope-bound ownership: a local owns with _cleanup_*, hands over with TAKE_PTR / TAKE_FD. */
#define _cleanup_(fn) __attribute__((cleanup(fn)))

static inline void cleanup_free_p(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close_p(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

#define _cleanup_free_	_cleanup_(cleanup_free_p)
#define _cleanup_close_ _cleanup_(cleanup_close_p)

static inline void *take_ptr(void *slot)
{
	void *p = *(void **)slot;

	*(void **)slot = NULL;
	return p;
}

static inline int take_fd(int *slot)
{
	int fd = *slot;

	*slot = -1;
	return fd;
}

#define TAKE_PTR(p) ((__typeof__(p))take_ptr(&(p)))
#define TAKE_FD(fd) take_fd(&(fd))
