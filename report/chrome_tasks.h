/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * chrome_tasks.h: `ascope export --chrome --tasks`: a track for each task, with its polls and the times that it was ready and waited for one, and
 * arrows from a spawn to the first poll and from a wake to the poll that followed. Used by export_chrome.c.
 *
 * Invariants: slices of a track lie side by side; each end of an arrow lies in a slice of its track; ids of arrows come in pairs.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "report/chrome_out.h"
#include "report/view_head.h"
#include "report/view_timeline.h"

#define CHROME_TASKS_MAX 4096 /* tracks: those of the tasks that blocked or ran longest */

struct chrome_tasks_result {
	u64 tasks, tasks_left; /* with a track, and without for there were too many */
	u64 flows, flows_left; /* arrows, and those above the limit */
	u64 flows_unplaced;    /* arrows without a slice to begin or end in: what ran there was not recorded */
	bool exact;	       /* slices are all polls; else those that were caught */
};

struct chrome_tasks;

/* What lies in [lo, hi] of the recording. `o` min_ns as for reports. The caller owns *ret. */
int chrome_tasks_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, u64 lo, u64 hi,
		      struct chrome_tasks **ret) __must_check;
struct chrome_tasks *chrome_tasks_free(struct chrome_tasks *t); /* accepts NULL, returns NULL */

/* Beginnings of the slices that there may be in [lo, hi], for the search of how much fits into --max-events: at least as many as chrome_tasks_put writes. */
int chrome_tasks_count(sqlite3 *db, u64 lo, u64 hi, void (*fn)(void *ctx, u64 ts), void *ctx) __must_check;

/* Metadata of the tracks, which comes before all slices. */
int chrome_tasks_names(struct chrome_tasks *t, struct chrome_out *w) __must_check;

/*
 * Slices and arrows, read and written in bounded memory. Threads and their tracks, for arrows that begin outside of tasks; NULL tracks: not all of their slices
 * are drawn, and such arrows have nowhere to begin. Ids of arrows are 1 to ret->flows; of those that may be the earliest max_flows are looked at.
 */
int chrome_tasks_put(struct chrome_tasks *t, struct chrome_out *w, const struct tl_threads *threads,
		     const struct chrome_track *tracks, u64 max_flows, struct chrome_tasks_result *ret) __must_check;
