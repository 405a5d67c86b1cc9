/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_writer.h: write a capture file, front to back: no seek, nothing back-patched, so a pipe is as good as a file.
 *
 *	fmt_writer_new(fd, uuid, level, &w)     header is written
 *	fmt_writer_row(w, FMT_SWITCH_IN, &(struct fmt_switch_in){...}, NULL, 0)
 *	fmt_writer_flush(w)                     what was added so far reaches the file: a dictionary block, an events block
 *	fmt_writer_finish(w)                    last blocks, copies of dictionary blocks, footer, trailer, fdatasync
 *	fmt_writer_free(w)
 *
 * After a write error (full disk) the writer keeps the file valid up to the last whole block and every later call returns that error.
 */
#pragma once

#include "base/base.h"
#include "format/fmt_def.h"

struct fmt_writer;
struct fmt_block_header;
struct fmt_section;

/* Counters since the writer was made. */
struct fmt_writer_stats {
	u64 bytes; /* in the file */
	u64 raw;   /* payload bytes before compression; copies and footer not counted, here and in rows */
	u64 rows;
	u64 blocks; /* the footer not counted */
};

/* Where the bytes go, in order and once; record/output.c has one that watches the disk and its limits. */
struct fmt_sink {
	void *ctx; /* borrowed */
	/* All n bytes, or -errno and, as far as that can be done, none of them. */
	int (*write)(void *ctx, const void *p, size_t n);
	int (*sync)(
		void *ctx); /* to the disk, where there is one. 0 or -errno, after which no byte before it may be trusted to be there */
};

/*
 * Starts a capture. level is zstd's, 1..19. Writes the header at once: 0, -ENOMEM or what the sink says. With an fd (borrowed, opened for writing, at its
 * start) a write that failed is cut off again where that can be done.
 */
int fmt_writer_new(int fd, const u8 uuid[16], int level, struct fmt_writer **ret) __must_check;
int fmt_writer_new_to(const struct fmt_sink *sink, const u8 uuid[16], int level, struct fmt_writer **ret) __must_check;
/* Is told every row that was taken, in order; for what the recorder counts of them. */
typedef void (*fmt_row_fn)(void *ctx, enum fmt_kind_id kind, const void *row);
void fmt_writer_watch(struct fmt_writer *w, fmt_row_fn fn, void *ctx);

/*
 * When copies of dictionary blocks are written: by a flush that comes `ns` after the first one that has none, or when they come to so many bytes. At first
 * it is 9 s and 1 MiB. 0: by every flush.
 */
void fmt_writer_copy_after(struct fmt_writer *w, u64 ns, size_t bytes);

struct fmt_writer *fmt_writer_free(struct fmt_writer *w); /* accepts NULL; does not finish, does not close fd; returns NULL */

/*
 * Adds one record: row is the struct fmt_<kind> of `kind`; payload is n bytes (strings) or n u64 (lists), NULL and 0 for kinds without one. Writes a
 * block whenever enough has gathered. 0, -EFBIG over a limit of fmt_def.h (this row is refused, the writer goes on), or the sticky error.
 */
int fmt_writer_row(struct fmt_writer *w, enum fmt_kind_id kind, const void *row, const void *payload, size_t n) __must_check;

/*
 * Adds a block of another file as it is: h is its header, payload the h->payload_size bytes behind it, which the caller has verified; sections (n may be 0) are
 * what it holds, for the footer. Number, capture and checksum of the header are made anew; a type unknown here passes, too. Rows that wait are written first.
 */
int fmt_writer_pass(struct fmt_writer *w, const struct fmt_block_header *h, const struct fmt_section *sections, u32 n,
		    const void *payload) __must_check;

int fmt_writer_flush(struct fmt_writer *w) __must_check; /* nothing to do is success */
int fmt_writer_sync(struct fmt_writer *w) __must_check;	 /* flush and fdatasync; a pipe's EINVAL is no error */
int fmt_writer_finish(struct fmt_writer *w) __must_check;

/*
 * What fmt_writer_flush() and fmt_writer_finish() would still write, bytes, at most: rows that wait, copies that are due, footer, trailer. Close to the truth when no
 * rows wait; of those it takes the worst for granted, ten times what they mostly come to. Cheap; 0 after an error.
 */
u64 fmt_writer_closing_size(const struct fmt_writer *w);

const struct fmt_writer_stats *fmt_writer_stats(const struct fmt_writer *w);
