/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fuzz.h: libFuzzer's interface (llvm.org/docs/LibFuzzer.html), which has no header of its own in C. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/base.h"
#include "base/fdio.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max_size, u32 seed);
size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t max_size); /* libFuzzer's, or fuzz_replay.c's */

/* A function whose branches are not what is searched: libFuzzer's notes of each compare would be most of its time. */
#if defined(__clang__) && __clang_major__ >= 13
#define FUZZ_PLAIN __attribute__((no_sanitize("coverage")))
#else
#define FUZZ_PLAIN
#endif

/* Writes the inputs that fuzzing starts from into a directory that exists. 0 or -errno. */
int fuzz_seeds_write(const char *dir) __must_check;

/* DIR/NAME with these n bytes. 0 or -errno. */
static inline int fuzz_seed_save(const char *dir, const char *name, const void *p, size_t n)
{
	_cleanup_close_ int fd = -1;
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	return fd < 0 ? -errno : fd_write_full(fd, p, n);
}
