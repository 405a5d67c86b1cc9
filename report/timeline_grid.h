/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * timeline_grid.h: workers x time: the window cut into equal columns, and what each worker did in each. Other threads are summed up in groups.
 * What `ascope report --timeline` draws.
 *
 * Invariant: the cells of a row add up to its thread's time in the window, to the ns.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "report/classify.h"
#include "report/thread_spans.h"
#include "report/view_head.h"

#define GRID_MAX_ROWS	 256 /* workers with a row of their own */
#define GRID_MAX_COLUMNS 400

struct grid_cell {
	u64 on_cpu, runnable, waiting, idle, unknown; /* ns; they add up to the time that the thread was there */
	u64 in_poll;				      /* of waiting: within a poll */
	u64 blocked[CLASS_COUNT];		      /* ns of polls that blocked for --min or longer, by their class */
};

struct grid_row {
	const struct tl_thread *t; /* NULL for a group */
	u64 threads;
	u64 blocks;		 /* polls that blocked */
	struct grid_cell sum;	 /* of its cells */
	struct grid_cell *cells; /* n_columns */
};

enum grid_group {
	GRID_MORE_WORKERS, /* above GRID_MAX_ROWS */
	GRID_BLOCK_ON,	   /* threads that polled a future themselves */
	GRID_POOL,	   /* of the blocking pool */
	GRID_OTHERS,	   /* in no runtime */
	GRID_GROUPS,
};

const char *grid_group_name(enum grid_group g);

struct timeline_grid {
	struct thread_spans spans;
	struct tl_threads threads;
	u64 lo, hi; /* ns of CLOCK_MONOTONIC */
	u32 n_columns;
	struct grid_row *rows; /* workers */
	size_t n_rows;
	struct grid_row groups[GRID_GROUPS];
	u64 *lost; /* ns of each column in which events may be missing */
	u64 lost_sum;
};

/* columns: at most GRID_MAX_COLUMNS, fewer in a window of fewer ns. Filters of o: pid, tid, comm; min_ns is of the polls that blocked. The caller releases *ret. */
int timeline_grid_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, u32 columns,
		       struct timeline_grid *ret) __must_check;
void timeline_grid_release(struct timeline_grid *g);
#define _cleanup_timeline_grid_ _cleanup_(timeline_grid_release)

/* Where column i begins, ns of CLOCK_MONOTONIC; i up to n_columns, where the last ends. */
u64 grid_bound(const struct timeline_grid *g, u32 i);
u64 grid_cell_wall(const struct grid_cell *c); /* how long the thread was there */
