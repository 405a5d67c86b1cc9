/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fdio.h: whole reads and writes. On failure a buffer is as long as before. A maximum is bytes read by this call; the buffer's
 * own maximum holds besides (-EFBIG, not sticky).
 */
#pragma once

#include <stdio.h>

#include "base/base.h"
#include "base/buf.h"

int fd_write_full(int fd, const void *p, size_t n) __must_check;	/* 0 or -errno; EINTR and short writes are handled */
ssize_t fd_pread_full(int fd, void *p, size_t n, u64 off) __must_check; /* bytes read (short only at the end), or -errno */
int fd_read_all(int fd, struct buf *ret, size_t max) __must_check;	/* appends until end of file; -EFBIG above max */
int file_read_all(const char *path, struct buf *ret, size_t max) __must_check; /* likewise; NUL-terminates behind len */

/*
 * Closes what open_memstream(text, ...) opened: 0, and *text is there, or -ENOMEM. glibc's fclose() succeeds without a text when its last allocation fails
 * (2.36, libio/memstream.c, _IO_mem_finish). The caller frees *text either way.
 */
int memstream_close(FILE *f, char *const *text) __must_check;
