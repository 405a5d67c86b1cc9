/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_compress.h: a block's payload to one zstd frame. Any frame of the payload's bytes will do for a reader; this one is smaller, since it is cut into
 * zstd's blocks where one kind of data ends and the next begins.
 */
#pragma once

#include <zstd.h>

#include "base/base.h"

/* Bytes that n bytes may become at most. */
size_t fmt_compress_bound(size_t n);

/* One frame of p, n bytes, at `level` of zstd into dst, which has room for fmt_compress_bound(n): its size, or an error as ZSTD_isError() knows it. */
size_t fmt_compress(ZSTD_CCtx *z, int level, const u8 *p, size_t n, u8 *dst, size_t cap);
