/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * track_calls.c: functions on a CPU, from samples. A sample says where a thread was at an instant; each stands for half a period on either side of it, and
 * samples of one function that follow one another make one slice. So the lengths are estimates, and between slices nothing is known.
 */
#include <errno.h>
#include <string.h>

#include "report/sqlrow.h"
#include "report/track_impl.h"

#define SAMPLES_SQL                                                                                                              \
	"SELECT ts, stack_id, kstack_id, poll_id, task_id FROM _sample WHERE thread_id = ?1 AND ts BETWEEN ?2 AND ?3 ORDER BY ts, id"

struct kid {
	const struct stack_call *call;
	u64 ts, end;
};

struct run {
	struct track_slice s; /* .call NULL: none is open */
	u64 last;	      /* its last sample */
	struct kid kids[TRACK_MAX_KIDS];
	u32 n_kids;
};

int track_samples_init(struct track_walk *w, sqlite3 *db)
{
	return sql_prepare(db, &w->samples, SAMPLES_SQL, NULL, 0);
}

static int step(struct track_walk *w)
{
	int r = db_step(w->samples);

	w->has_sample = r > 0;
	w->sample_ts = w->has_sample ? sql_u64(w->samples, 0) : 0;
	return r < 0 ? r : 0;
}

int track_samples_begin(struct track_walk *w)
{
	const u64 binds[3] = {w->t->id, w->t->lo, w->t->hi};
	int r = 0;

	(void)sqlite3_reset(w->samples);
	for (int i = 0; i < 3 && r == 0; i++)
		r = db_errno(sqlite3_bind_int64(w->samples, i + 1, (sqlite3_int64)min_u64(binds[i], INT64_MAX)));
	return r < 0 ? r : step(w);
}

static int give_run(struct track_walk *w, struct run *run)
{
	int r;

	if (!run->s.call)
		return 0;
	r = track_give(w, &run->s);
	for (u32 i = 0; i < run->n_kids && r == 0; i++) {
		struct track_slice kid = run->s;

		kid.kind = TRACK_LIBRARY;
		kid.depth++;
		kid.call = run->kids[i].call;
		kid.ts = run->kids[i].ts;
		kid.end = run->kids[i].end;
		if (kid.end > kid.ts)
			r = track_give(w, &kid);
	}
	run->s.call = NULL;
	run->n_kids = 0;
	return r;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void add_kid(struct run *run, const struct stack_call *call, u64 ts, u64 end, u64 period)
{
	struct kid *last = run->n_kids ? &run->kids[run->n_kids - 1] : NULL;

	if (!call->library)
		return;
	if (last && same_text(last->call->library, call->library) && ts - last->end <= period) {
		last->end = end;
		return;
	}
	run->kids[run->n_kids++] = (struct kid){call, ts, end};
}

/* The sample that the statement stands at, within a slice of time on a CPU. */
static int add_sample(struct track_walk *w, const struct track_slice *state, struct run *run, u64 *done)
{
	u64 half = w->o->sample_period / 2, at = w->sample_ts, ts, end;
	const struct stack_call *call;
	bool joins;
	int r = stack_calls_get(w->calls, sql_u64(w->samples, 1), false, &call);

	if (r < 0 || !call || !call->name)
		return r;
	ts = max_u64(*done, at - min_u64(half, at));
	end = min_u64(state->end, at + half);
	if (end <= ts)
		end = ts = min_u64(max_u64(ts, state->ts), state->end);
	joins = run->s.call && run->n_kids < TRACK_MAX_KIDS && at - run->last <= 2 * w->o->sample_period &&
		same_text(run->s.call->name, call->name) && same_text(run->s.call->category, call->category);
	if (!joins) {
		r = give_run(w, run);
		run->s = *state;
		run->s.kind = TRACK_CALL;
		run->s.depth++;
		run->s.segment = NULL;
		run->s.call = call;
		run->s.ts = ts;
		run->s.samples = 0;
		run->s.stack_id = sql_u64(w->samples, 1);
		run->s.kstack_id = sql_u64(w->samples, 2);
		run->s.has_task = !state->poll && !sql_is_null(w->samples, 4);
		run->s.task_id = sql_u64(w->samples, 4);
	}
	run->s.samples++;
	run->s.end = end;
	run->last = at;
	*done = end;
	add_kid(run, call, ts, end, w->o->sample_period);
	return r;
}

/* A sample at the end of a poll that it is the last record of belongs to that poll. */
static bool is_within(const struct track_walk *w, const struct track_slice *state)
{
	return w->sample_ts < state->end || (w->sample_ts == state->end && state->poll && state->poll->poll_id &&
					     state->poll->end == state->end && sql_u64(w->samples, 3) == state->poll->poll_id);
}

int track_samples_give(struct track_walk *w, const struct track_slice *state)
{
	struct run run;
	u64 done = state->ts;
	int r = 0;

	if (!w->has_sample || !is_within(w, state))
		return 0;
	run.s.call = NULL;
	run.n_kids = 0;
	run.last = 0;
	while (r == 0 && w->has_sample && is_within(w, state)) {
		if (state->state == TRACK_CPU && w->sample_ts >= state->ts && state->shown)
			r = add_sample(w, state, &run, &done);
		if (r == 0)
			r = step(w);
	}
	return r < 0 ? r : give_run(w, &run);
}
