/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * layout_scan.h: what each thread says to each row: layout.c's part that looks at memory. A vote names a row and the places that the thread's memory fits.
 */
#pragma once

#include "record/layout.h"

enum { LAYOUT_MAX_ROWS = 256 };

struct layout_vote {
	u32 row; /* index in layout_rows() */
	s32 at[LAYOUT_PLACES];
	u32 threads;
	u32 with_mt_core; /* of these: multi-thread workers with their core, which alone tell some rows apart */
};

struct layout_scan {
	const struct tokio_elf *e;
	const struct layout_thread *threads;
	u32 n;
	layout_read_fn read;
	void *ctx;
	bool use[LAYOUT_MAX_ROWS];
	u64 size; /* of a block of thread-locals */
	u8 *tls;  /* of the thread that is looked at */
	struct layout_vote *votes;
	u32 n_votes, cap;
};

/* Whether the file's symbols, where it has any, name that place of a row at `at`; a symbol may be missing, then that code is, too. */
bool layout_symbol_allows(const struct tokio_elf *e, const struct layout_row *row, enum layout_place place, s32 at);

/* Looks at all threads; fills votes. 0 or -ENOMEM. */
int layout_scan_threads(struct layout_scan *s) __must_check;

/* What one thread says of a row at these places; as layout_ask(). */
struct layout_word layout_scan_ask(struct layout_scan *s, const struct layout_row *row, const s32 *at,
				   const struct layout_thread *t);

/*
 * Before 1.22: finds the thread-locals of budget and runtime for the schedulers' places in v, by what they must be on threads that are parked, run a task or
 * are in no runtime. Returns whether there is exactly one place for each; else v is unchanged.
 */
bool layout_scan_bytes(struct layout_scan *s, struct layout_vote *v);
