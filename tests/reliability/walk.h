/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * walk.h: what a capture is found to hold, so that two readings can be compared: the reader's, block by block with a digest of all values; and the file's own
 * layout, taken from the headers as FORMAT.md section 3 has them, without the reader.
 */
#pragma once

#include "base/base.h"
#include "format/fmt_reader.h"

enum { WALK_BLOCKS = 128, WALK_IDS = 2048 };

/* Block types as FORMAT.md section 3 numbers them. */
enum { TYPE_EVENTS = 1, TYPE_FOOTER = 2, TYPE_DICTIONARY = 3, TYPE_COPY = 4 };

/* One reading. */
struct walk {
	u32 n;
	u64 seq[WALK_BLOCKS];
	u32 type[WALK_BLOCKS];
	u64 digest[WALK_BLOCKS]; /* of type, rows, all values and payloads */
	u64 rows;
	u64 names;	/* digest of all dictionary entries, whatever blocks they were in */
	u64 unresolved; /* references of events to entries that were not given before them */
	int err;	/* of fmt_reader_next() */
	struct fmt_health health;
	u64 recovered; /* blocks that were given by their copies */
};

/* Reads all; the reader is not closed. */
void walk_reader(struct fmt_reader *r, struct walk *ret);

/* Opens and reads: 0, or what fmt_reader_open() says (then *ret is untouched). */
int walk_path(const char *path, struct walk *ret) __must_check;

/* A block as it lies in the file. */
struct place {
	u64 off, end;
	u64 seq;
	u32 type;
	u64 copy_of; /* of a copy: the sequence number of the block it repeats */
};

/* The blocks of n bytes that hold a whole capture; returns how many, 0 when it is not whole or has more than max. */
u32 walk_layout(const u8 *p, size_t n, struct place *ret, u32 max);
