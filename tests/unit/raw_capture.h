/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * raw_capture.h: captures made by hand, byte by byte where it matters, for the tests of format/: what no writer of ours would
 * write can be written here. Every failure to make one fails the test. A capture lives in memory and is read through a memfd.
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "format/fmt_block.h"
#include "format/fmt_reader.h"

#define RAW_MAX_BLOCKS 64

struct raw_capture {
	struct buf file;
	u8 uuid[16];
	u64 seq;			  /* of the next block */
	u32 n_blocks;			  /* the footer included */
	u64 start_of[RAW_MAX_BLOCKS + 1]; /* block k is file.data[start_of[k], start_of[k + 1]) */
};

/* One column of a section, as it lies in the file. */
struct raw_column {
	u64 id;
	u8 enc;
	const void *data;
	size_t size;
};

void raw_init(struct raw_capture *c, u8 first_uuid_byte); /* the file header */
void raw_release(struct raw_capture *c);

/* Appends a section to a payload. */
void raw_section(struct buf *payload, u64 kind, u64 rows, const struct raw_column *cols, u32 n);

/* Appends a data block with this payload and the next sequence number; the payload is emptied. */
void raw_block(struct raw_capture *c, struct buf *payload, u32 rows, u32 sections);

/* Appends a block with this header, of which sizes, payload checksum and uuid are filled in; flags as given. */
void raw_block_as(struct raw_capture *c, const struct fmt_block_header *h, const struct buf *payload);

/* Appends an empty footer and the trailer. */
void raw_end(struct raw_capture *c);

/* Opens n bytes as a capture file: 0 and the reader, or what fmt_reader_open() says. */
int raw_open(const void *p, size_t n, struct fmt_reader **ret, struct fmt_diag *reterr);

#define RAW_MAX_DAMAGES 16

/* All that a reader gave and told. */
struct raw_seen {
	u32 n_blocks; /* intact ones of any type; copies only where they are wanted */
	u64 rows;     /* of events and dictionary blocks */
	u64 seq[RAW_MAX_BLOCKS];
	u64 digest[RAW_MAX_BLOCKS]; /* over every row, payload and time-ordered event of the block */
	struct fmt_health health;
	u32 n_damages;
	struct fmt_damage damages[RAW_MAX_DAMAGES]; /* the first of them */
};

/* Reads to the end, looking at every value. The reader is not closed. */
void raw_walk(struct fmt_reader *r, struct raw_seen *ret);

/* The same for n bytes that must open. */
void raw_read(const void *p, size_t n, struct raw_seen *ret);

/* A 64-bit generator for tests (splitmix64): the same numbers in every run. */
u64 raw_random(u64 *state);
