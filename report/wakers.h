/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * wakers.h: wakes as a graph: nodes are kinds of task (a type of future spawned at one place) and what else wakes (the driver, the blocking
 * pool, threads outside), edges the wakes from one to another with their delays. Without wake records the nodes are threads.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "report/view_head.h"

struct wake_sum {
	u64 n;			  /* wakes */
	u64 delays;		  /* of these, those whose delay is known */
	u64 p50, p99, max, total; /* of these, ns, by nearest rank */
};

struct wake_node {
	char *label;	  /* clean */
	char *place;	  /* where it is spawned, clean; "" not known, or no task */
	const char *what; /* as task_wake.waker, or thread, interrupt */
	bool is_task;
	u64 tasks;	       /* of the kind */
	struct wake_sum woken; /* all edges to it */
	u64 most;	       /* wakes of its heaviest edge, either way */
};

struct wake_edge {
	u32 from, to; /* index of nodes */
	struct wake_sum sum;
};

struct wakers {
	bool of_tasks;
	struct wake_node *nodes;
	size_t n_nodes;
	struct wake_edge *edges; /* the woken most often first, all edges to it side by side, the commonest first */
	size_t n_edges;
	struct wake_sum all;
};

int wakers_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, struct wakers *ret) __must_check;
void wakers_release(struct wakers *w);

/* The fewest wakes of an edge so that at most `max` edges have as many; 0: all. */
u64 wakers_least(const struct wakers *w, u64 max);
