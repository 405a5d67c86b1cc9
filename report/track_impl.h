/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* track_impl.h: the state of a walk, for track_walk.c, track_polls.c and track_calls.c alone. */
#pragma once

#include "report/track_walk.h"

#define TRACK_MAX_OPEN                                                                                                           \
	8 /* polls within polls: a LocalSet's tasks within a task within a root future; what is deeper is left out */
#define TRACK_MAX_KIDS 64 /* libraries within one function; more begin another slice of it */

struct track_walk {
	const struct track_opts *o;
	struct stack_calls *calls;
	struct track_tasks *tasks;
	track_fn fn;
	void *ctx;
	struct tl_idle idle;
	sqlite3_stmt *caught, *exact, *samples;
	const struct tl_thread *t;
	u64 cursor; /* the thread's time is given out up to here */
	struct track_poll open[TRACK_MAX_OPEN];
	u32 n_open;
	/* The rows that the statements stand at. */
	bool has_caught, has_exact, has_sample;
	u64 caught_ts, exact_ts, sample_ts;
};

int track_give(struct track_walk *w, struct track_slice *s) __must_check;

int track_polls_init(struct track_walk *w, sqlite3 *db) __must_check;
int track_polls_begin(struct track_walk *w) __must_check; /* of w->t */
int track_polls_open(struct track_walk *w) __must_check;  /* gives out those that begin at w->cursor, and opens them */
u64 track_polls_next(const struct track_walk *w);	  /* where the next one begins, UINT64_MAX: nowhere */

int track_samples_init(struct track_walk *w, sqlite3 *db) __must_check;
int track_samples_begin(struct track_walk *w) __must_check;
/* Functions of a slice of TRACK_STATE that was given out: samples up to its end. */
int track_samples_give(struct track_walk *w, const struct track_slice *state) __must_check;
