/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chrome.h: one export as Chrome's trace, for export_chrome.c and the chrome_*.c alone. */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "report/chrome_flows.h"
#include "report/chrome_out.h"
#include "report/chrome_tasks.h"
#include "report/export.h"
#include "report/timeline_counts.h"
#include "report/track_walk.h"
#include "report/view_head.h"
#include "report/view_timeline.h"

/* Track ids that no thread can have: Linux's pid_max is at most 2^22. chrome_tasks.c takes those from 8 << 22 on. */
#define TRACK_TWIN ((u64)2 << 22)
#define TRACK_GAPS ((u64)3 << 22)

struct chrome_lost {
	u64 gaps, causes; /* instants */
	u64 events;	  /* the last value of the counter */
};

/* One entry for each remainder of an id of _wait; the last that was asked for. */
#define CHROME_WAITS 256

struct chrome_wait {
	u64 wait_id;
	char *args; /* NULL: none yet */
	size_t n;
};

struct chrome {
	sqlite3 *db;
	const struct export_opts *o;
	const struct capture_facts *f;
	struct chrome_out w;
	struct track_opts track;
	struct tl_threads threads;
	struct chrome_track *tracks; /* of each thread */
	struct stack_calls calls;
	struct chrome_wait waits[CHROME_WAITS];
	struct track_tasks tasks;
	struct timeline_counts counts;
	struct chrome_flows flows;
	struct chrome_tasks *task_tracks; /* --tasks */
	struct chrome_tasks_result tasks_result;
	struct chrome_lost lost;
	u64 hi; /* the end of what is written: f->hi, or where --max-events cut */
};

/* chrome_tracks.c: names and order of processes and threads. */
int chrome_tracks_put(struct chrome *c) __must_check;

/* chrome_slices.c: one slice of a thread's track. */
int chrome_put_slice(struct chrome *c, const struct tl_thread *t, const struct track_slice *s) __must_check;

/* chrome_lost.c: names of the tracks of losses; then their slices, instants and counter. */
int chrome_lost_names(struct chrome *c) __must_check;
int chrome_lost_put(struct chrome *c) __must_check;

/* chrome_fit.c: c->hi becomes the end of the longest window from f->lo on that has at most --max-events slices. */
int chrome_fit(struct chrome *c) __must_check;

static inline size_t chrome_thread_index(const struct chrome *c, const struct tl_thread *t)
{
	return (size_t)(t - c->threads.rows);
}
