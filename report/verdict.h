/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * verdict.h: may a reader trust this capture? The one place of that rule, for `ascope info` and for the loader (whose verdict
 * every report prints).
 *
 *	untrustworthy  no event at all; more than 10 % of the events lost; more than 10 % of the blocks (and more than one)
 *	               damaged or missing; more than half of the file unreadable; more than 10 % of the contexts unread
 *	partial        anything is lost, damaged or missing; not closed cleanly; stopped by a full disk or an error, when more was
 *	               asked for (that it ended at --max-size is a note); more than 1 in 1,000 contexts unread; more
 *	               than 1 % of the user stacks, and ten at least, not whole, weighed by the records that carry them (of those whose end is
 *	               known: walks by frame pointers alone cannot tell, and while a program is being loaded
 *	               nobody can, which are notes, not reasons);
 *	               probes that --polls or --wakes asked for were not possible, or were taken away (no data is lost by that)
 *	complete       otherwise
 *
 * What a repaired capture lost counts as if it were lost now.
 *
 * One bad block alone is never more than "partial": a recorder that was killed, or a copy that was cut, ends inside a block, and
 * a short capture has few.
 */
#pragma once

#include "base/base.h"
#include "report/probe_facts.h"
#include "report/repair_facts.h"
#include "report/stack_status.h"

/* What ended the recording: fact recording.stopped_by, as far as it matters here. */
enum verdict_end {
	VERDICT_END_AS_ASKED, /* --duration, a signal, the target's exit; or it is not known */
	VERDICT_END_MAX_SIZE,
	VERDICT_END_FILE_LIMIT,
	VERDICT_END_DISK_FULL,
	VERDICT_END_DISK_QUOTA,
	VERDICT_END_ERROR,
};

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
	enum verdict_end end;
	u64 duration;		      /* of the recording, ns: for the text alone */
	struct repair_facts repaired; /* what was lost before this file was written from a damaged one */

	/* switch-outs and samples that carry a user stack, by how its walk ended (stack_status.h) */
	u64 stacks[STACK_STATUSES];
	u64 stacks_guessed; /* of these, how many rest in part on a frame pointer */

	u64 contexts;	     /* records whose context columns were to be read (ctx_status 1 or 2) */
	u64 contexts_unread; /* of these, status 2: the read faulted */

	struct probe_facts probes;
};

#define VERDICT_MAX_LINES 16
#define VERDICT_LINE	  256

struct verdict {
	enum verdict_state state;
	bool is_lossy;	  /* a reason says that data is missing that was recorded, or should have been: commands exit with 3 */
	u32 n_task_notes; /* how many of the notes, the last ones, are of probes and tasks */
	u32 n_reasons;	  /* 0 when complete, at least 1 else */
	u32 n_notes;	  /* what a report may print besides; changes nothing */
	char reasons[VERDICT_MAX_LINES][VERDICT_LINE]; /* plain sentences without a full stop; no text out of the capture */
	char notes[VERDICT_MAX_LINES][VERDICT_LINE];
};

/* Sums over f->stacks: all, and those whose end is known. */
u64 verdict_stacks(const struct verdict_facts *f);
u64 verdict_stacks_known(const struct verdict_facts *f);

/* Of the fact's text, which may be NULL or anything. */
enum verdict_end verdict_end_of(const char *stopped_by);

void verdict_decide(const struct verdict_facts *f, struct verdict *ret);

/* "complete", "partial", "untrustworthy": as in the database, in JSON; static. */
const char *verdict_name(enum verdict_state state);

/* The reasons, one a line, without a newline at the end; "" when complete. malloc'ed; NULL on ENOMEM. */
char *verdict_reasons(const struct verdict *v);
