/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_source.h: the bytes of a capture file, for fmt_reader.c: read into the reader's own memory and never mapped, so that a file
 * that is cut while it is read is a short read and no SIGBUS, and memory does not grow with the file.
 */
#pragma once

#include <sys/types.h>

#include "base/base.h"

#ifndef FMT_SOURCE_WINDOW		    /* as FMT_CELLS */
#define FMT_SOURCE_WINDOW ((size_t)1 << 18) /* what a search reads at a time */
#endif

struct fmt_source {
	int fd;
	u64 size; /* bytes; lowered when the file turns out to be shorter than it was */
	u64 bytes_read;
	u8 *window; /* of the searches; FMT_SOURCE_WINDOW bytes, made when first needed */
	u64 window_off;
	size_t window_len;
};

/* 0, -errno of open(2), -EISDIR, -ESPIPE when it is no regular file. A source that is all 0 but fd -1 may be closed, too. */
int fmt_source_open(struct fmt_source *s, const char *path) __must_check;
void fmt_source_close(struct fmt_source *s);

/* n bytes at off; fewer only at the end of the file. Returns the count or -errno. */
ssize_t fmt_source_read(struct fmt_source *s, u64 off, void *p, size_t n) __must_check;

/* What to look for: `magic`, and these 8 bytes so far behind its start. */
struct fmt_pattern {
	u8 magic[4];
	u8 tail[8];
	u32 tail_at;
};

/*
 * Where the pattern lies next, at `from` or behind it and before `to`. 1; 0 nowhere; -errno. Of a place at which the file ends before the tail does only the magic
 * is looked at. Holes of a sparse file are not read.
 */
int fmt_source_find(struct fmt_source *s, u64 from, u64 to, const struct fmt_pattern *pattern, u64 *ret_off) __must_check;
