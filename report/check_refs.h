/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * check_refs.h: do the records of a capture hold together? For `ascope check`, block by block: every index a record names has an
 * entry in front of it (FORMAT.md section 4, Order), none is above the limit, and what a thread did is in the order of time.
 * Memory is a bit for each dictionary entry and a time for each thread and kind, never more for an event.
 */
#pragma once

#include "base/base.h"
#include "format/fmt_reader.h"

/* The dictionaries that records refer to. */
enum check_dict {
	CHECK_NONE,
	CHECK_STRING,
	CHECK_PROCESS,
	CHECK_THREAD,
	CHECK_MODULE,
	CHECK_STACK,
	CHECK_LAYOUT,
	CHECK_CONTEXT,
	CHECK_SYMBOL,
	CHECK_VTABLE,
	CHECK_LOCATION,
	CHECK_DICTS,
};

/* A set of indices up to FMT_MAX_ID, in pages that appear when they are needed. */
struct check_bits {
	u64 **pages, n_pages;
	u64 n; /* bits set */
	u64 highest;
};

/* The first record with something wrong. */
struct check_place {
	u64 seq, offset; /* of its block */
	const struct fmt_kind *kind;
	u32 column;
	u64 value;
};

struct check_dangling {
	u64 uses;    /* references that had no entry in front of them */
	u64 entries; /* distinct entries that are in no block at all: set by check_refs_conclude() */
	u64 late;    /* distinct entries that come only behind their first use: likewise */
	struct check_place first;
};

struct check_refs {
	struct check_bits known[CHECK_DICTS], wanted[CHECK_DICTS];
	struct check_dangling dangling[CHECK_DICTS];
	u64 above_limit; /* indices above FMT_MAX_ID */
	struct check_place first_above;
	u64 steps_back, max_step; /* records of a thread earlier than the one of their kind before it; ns */
	struct check_place first_step;
	u64 *last[64]; /* by kind id, then thread: its last time */
	u64 cap_last[64];
	u64 memory;	    /* bytes in use */
	bool is_incomplete; /* more entries or threads than memory was allowed for: some were not looked at */
};

/* Zero-initialise; release at the end. 0 or -ENOMEM. */
int check_refs_block(struct check_refs *c, const struct fmt_block *b) __must_check;
void check_refs_conclude(struct check_refs *c);
void check_refs_release(struct check_refs *c);

const char *check_dict_name(enum check_dict d, bool plural); /* "string", "strings": static */

/* The dictionary that a column refers to, CHECK_NONE for other columns: by name, so that a new kind is checked without a change here. */
enum check_dict check_dict_of(const struct fmt_kind *k, u32 column);
