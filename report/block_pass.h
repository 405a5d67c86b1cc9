/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * block_pass.h: blocks of one capture into another, byte for byte, for what writes a capture anew (repair.c, bundle.c): nothing is interpreted
 * again, and kinds of a later version survive. Each block is fetched as it lies in the file and its checksum compared once more, so that what
 * is written is what the reader verified.
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "format/fmt_reader.h"
#include "format/fmt_writer.h"

struct block_pass {
	int in;		      /* the file that the blocks are of; borrowed */
	struct fmt_writer *w; /* borrowed */
	struct buf payload;   /* released by the caller */
};

/*
 * b as fmt_reader_next() gave it. Footer and copies are left out: the writer makes them anew, for numbers and places are others. 0, -ESTALE when the
 * file changes while it is read, else negative errno.
 */
int block_pass(struct block_pass *p, const struct fmt_block *b) __must_check;
