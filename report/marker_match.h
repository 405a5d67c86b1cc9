/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * marker_match.h: what markers saw beside what the scheduler saw (`ascope report --markers`). Neither view has a part in the other: intervals come from table
 * `marker`, polls from view `blocking`. Used by view_markers.c and view_markers_json.c.
 *
 * An interval and a poll may be the same when the interval was open during the poll on the poll's thread, or, if its task moved to another thread at an await,
 * in the poll's task; and never when both have task ids that differ. Then
 *
 *	seen by both		the interval lasted --min or longer, and they share more than half of the shorter one
 *	by the marker only	an interval of --min or longer without such a poll; the largest part of its time says why
 *	by the scheduler only	a blocked poll during which no interval was open at all
 *	in part			other polls: an interval was open for a part of them that does not make it one
 *
 * An interval that goes over an await is no block by itself: its blocked polls are matched one by one, and its length is compared with none.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "report/view_head.h"

/* Why an interval has no blocked poll. */
enum marker_why {
	WHY_AWAIT,	/* its task gave the worker back meanwhile */
	WHY_POOL,	/* on the blocking pool */
	WHY_IN_PLACE,	/* in block_in_place */
	WHY_NO_RUNTIME, /* on a thread that has entered no runtime */
	WHY_RUNNABLE,	/* ready to run without a cpu */
	WHY_SHORT,	/* waited in a poll, which did not hold its worker for --min */
	WHY_CPU,	/* executed, without proof that one poll held the cpu for --min */
	WHY_UNREAD,	/* it is not known what the thread was doing */
	WHY_COUNT,
};

const char *marker_why_key(enum marker_why w);	/* "blocking_pool": stable */
const char *marker_why_text(enum marker_why w); /* for people */

#define NO_MATCH UINT32_MAX

struct marker_interval {
	u64 id, pair, ts, end; /* end: ts without one */
	u64 thread, tid, process, task, stack;
	bool has_end;
	bool moved; /* END on another thread */
	bool spans; /* of those seen by both: over an await */
	bool both;
	bool foreign;	     /* open on a thread that ran a blocked poll of another task */
	u32 poll;	     /* index of the poll whose length is nearest, of those that it is; NO_MATCH */
	enum marker_why why; /* has_end, long enough, not both */
};

struct marker_poll {
	u64 id, ts, end, thread, tid, process, task, stack;
	char *class_name; /* owned */
	bool both, open;  /* open: an interval was, at least for a part of it */
	u32 interval;	  /* index, likewise */
};

struct marker_pair_stats {
	u64 pair;
	char *text;				    /* owned; raw */
	u64 count, no_end, total, median, p99, max; /* durations of those with END, ns, by nearest rank */
};

struct marker_match {
	struct marker_interval *intervals; /* by thread and time */
	u32 n_intervals;
	struct marker_poll *polls; /* by thread and time */
	u32 n_polls;
	struct marker_pair_stats *pairs;
	u32 n_pairs;
	u64 min_ns;
	u64 ends_alone; /* of the whole capture */
	/* intervals of --min or longer */
	u64 n_long, n_both, n_only, only_ns;
	u64 why_n[WHY_COUNT], why_ns[WHY_COUNT];
	u64 polls_both, polls_only, polls_only_ns, polls_part, polls_part_ns;
	/* of intervals and polls that are each other's, the difference in length, ns */
	u64 compared, differ_median, differ_p99, differ_max;
};

/* 0 or negative errno. To be released in any case. */
int marker_match_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f,
		      struct marker_match *ret) __must_check;
void marker_match_release(struct marker_match *m);
#define _cleanup_marker_match_ _cleanup_(marker_match_release)

static inline bool marker_is_long(const struct marker_match *m, const struct marker_interval *i)
{
	return i->has_end && i->end - i->ts >= m->min_ns;
}

/* Indices of the intervals of --min or longer that are (not) seen by both, and of the polls by the scheduler only: longest first, malloc'ed. -ENOMEM. */
int marker_list_intervals(const struct marker_match *m, bool both, u32 **ret, u32 *ret_n) __must_check;
int marker_list_polls(const struct marker_match *m, u32 **ret, u32 *ret_n) __must_check;

/* One part of an interval's time on its thread. */
struct marker_part {
	const char *role, *class_name; /* as in table offcpu; class NULL: not a wait. Valid until the next call. */
	u64 off, runnable;	       /* ns */
};

/* Calls fn for each time off the cpu within the interval, cut to it. 0, negative errno, or what fn returned. */
typedef int (*marker_part_fn)(void *ctx, const struct marker_part *p);
int marker_parts(sqlite3_stmt *st, const struct marker_interval *i, marker_part_fn fn, void *ctx) __must_check;
int marker_parts_prepare(sqlite3 *db, sqlite3_stmt **ret) __must_check;
