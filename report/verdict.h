/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * verdict.h: may a reader trust this capture? The one place of that rule, for `ascope info` and for the loader (whose verdict
 * every report prints).
 *
 *	untrustworthy  no event at all; more than 10 % of the events lost; more than 10 % of the blocks (and more than one)
 *	               damaged or missing; more than half of the file unreadable; more than 10 % of the contexts unread
 *	partial        anything is lost, damaged or missing; not closed cleanly; more than 1 in 1,000 contexts unread; more
 *	               than 1 % of the user stacks not whole (of those whose end is known: frame pointers cannot tell, which
 *	               is a note, not a reason)
 *	complete       otherwise
 *
 * One bad block alone is never more than "partial": a recorder that was killed, or a copy that was cut, ends inside a block, and
 * a short capture has few.
 */
#pragma once

#include "base/base.h"

enum verdict_state { VERDICT_COMPLETE, VERDICT_PARTIAL, VERDICT_UNTRUSTWORTHY };

/* Counts of one capture; everything in it may come from a damaged or hostile file, so any value is allowed. */
struct verdict_facts {
	u64 events; /* event records read (kinds with is_event, but neither clock nor gap) */
	/*
	 * Events that were not delivered: the totals lost.*, and what gaps tell beyond them (a gap of cause C covers lost.C and
	 * lost.C.*).
	 */
	u64 lost;

	u64 blocks_intact, blocks_damaged, blocks_missing; /* as in struct fmt_health */
	u64 bytes_skipped, file_size;			   /* likewise, bytes */
	bool closed_cleanly;				   /* likewise */

	u64 stacks;	  /* distinct user stacks */
	u64 stacks_whole; /* of these, status 1 */
	u64 stacks_fp;	  /* of these, status 5: frame pointers, completeness unknown */

	u64 contexts;	     /* records whose context columns were to be read (ctx_status 1 or 2) */
	u64 contexts_unread; /* of these, status 2: the read faulted */
};

#define VERDICT_MAX_LINES 8
#define VERDICT_LINE	  160

struct verdict {
	enum verdict_state state;
	u32 n_reasons;				       /* 0 when complete, at least 1 else */
	u32 n_notes;				       /* what a report may print besides; changes nothing */
	char reasons[VERDICT_MAX_LINES][VERDICT_LINE]; /* plain sentences without a full stop; no text out of the capture */
	char notes[VERDICT_MAX_LINES][VERDICT_LINE];
};

void verdict_decide(const struct verdict_facts *f, struct verdict *ret);

/* "complete", "partial", "untrustworthy": as in the database, in JSON; static. */
const char *verdict_name(enum verdict_state state);

/* The reasons, one a line, without a newline at the end; "" when complete. malloc'ed; NULL on ENOMEM. */
char *verdict_reasons(const struct verdict *v);
