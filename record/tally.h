/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tally.h: counts what the rows of a capture say while they are written, so that `ascope info` need not read all events again to
 * judge the capture. The session hangs tally_row() into the writer (fmt_writer_watch) and writes the sums as totals `records.*`
 * (FORMAT.md, total) behind the last event. Counts exactly what report/capture_scan.c counts of a whole file.
 */
#pragma once

#include "base/base.h"
#include "format/fmt_def.h"

#define TALLY_CAUSES 16

struct tally {
	u64 events;		       /* rows of event kinds, clock and gap apart */
	u64 contexts, contexts_unread; /* rows whose context was to be read; of these, that could not be */
	/* switch-outs and samples that carry a user stack, by its status; 0: only the interrupted address is known */
	u64 stacks[FMT_STACK_STATUS_END];
	u64 stacks_guessed; /* of these, how many rest in part on a frame pointer */
	u64 realtime_offset;
	bool has_clock; /* realtime_offset, of the first clock row, is known */
	struct {
		u64 cause; /* string index */
		u64 count;
	} gaps[TALLY_CAUSES];
	u32 n_gaps;
	bool is_wrong; /* out of memory, or more causes than there is room for: the sums are not to be written */
	u8 *stack_of;  /* by stack index: its status and flags */
	size_t cap_stacks;
};

/* Zero-initialise; tally_release() at the end. */
void tally_release(struct tally *t);

/* An fmt_row_fn; ctx is the struct tally. */
void tally_row(void *ctx, enum fmt_kind_id kind, const void *row);
