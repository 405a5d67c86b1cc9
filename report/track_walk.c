/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* track_walk.c: see track_walk.h. The polls of a thread are read by track_polls.c, its samples made slices by track_calls.c. */
#include "report/track_walk.h"

#include <errno.h>
#include <string.h>

#include "report/track_impl.h"

const char *track_state_name(enum track_state s)
{
	static const char *const names[] = {"cpu", "runnable", "park", "idle", "blocked", "wait", "stopped", "exited", "unseen"};

	return s < TRACK_STATES ? names[s] : "unseen";
}

int track_give(struct track_walk *w, struct track_slice *s)
{
	s->shown = s->shown && s->end - s->ts >= w->o->min_ns;
	return w->fn(w->ctx, w->t, s);
}

static int state_of(struct track_walk *w, const struct tl_segment *s, enum track_state *ret)
{
	bool in_poll = s->role && strcmp(s->role, "in_poll") == 0;
	int idle;

	if (s->kind != TL_WAIT) {
		*ret = s->kind == TL_ONCPU ? TRACK_CPU : s->kind == TL_RUNNABLE ? TRACK_RUNNABLE : TRACK_UNSEEN;
		return 0;
	}
	idle = tl_is_idle(&w->idle, s);
	if (idle < 0)
		return idle;
	if (idle)
		*ret = strcmp(s->role, "parked") == 0 ? TRACK_PARK : TRACK_IDLE;
	else if (strchr("TtXZ", s->state))
		*ret = s->state == 'T' || s->state == 't' ? TRACK_STOPPED : TRACK_EXITED;
	else
		*ret = in_poll ? TRACK_BLOCKED : TRACK_WAIT;
	return 0;
}

/* The function that a wait is known by, as long as the wait. */
static int give_wait_call(struct track_walk *w, const struct track_slice *state)
{
	struct track_slice s = *state;
	int r;

	if (!w->o->calls || !state->shown || (s.state != TRACK_BLOCKED && s.state != TRACK_WAIT))
		return 0;
	r = stack_calls_get(w->calls, state->segment->stack_id, false, &s.call);
	if (r < 0 || !s.call || !s.call->name)
		return r;
	s.kind = TRACK_CALL;
	s.stack_id = state->segment->stack_id;
	s.kstack_id = state->segment->kstack_id;
	s.depth++;
	r = track_give(w, &s);
	if (r < 0 || !s.call->library)
		return r;
	s.kind = TRACK_LIBRARY;
	s.depth++;
	return track_give(w, &s);
}

/* A part of a segment that no poll begins or ends in. */
static int give_piece(struct track_walk *w, const struct tl_segment *segment, enum track_state state, u64 end)
{
	bool idle = state == TRACK_PARK || state == TRACK_IDLE || state == TRACK_UNSEEN;
	struct track_slice s = {
		.kind = TRACK_STATE,
		.ts = w->cursor,
		.end = end,
		.depth = w->n_open,
		.shown = !w->o->no_idle || !idle,
		.state = state,
		.poll = w->n_open ? &w->open[w->n_open - 1] : NULL,
		.segment = segment,
	};
	int r = track_give(w, &s);

	w->cursor = end;
	if (r == 0)
		r = give_wait_call(w, &s);
	return r < 0 || !w->o->calls ? r : track_samples_give(w, &s);
}

static void close_polls(struct track_walk *w)
{
	while (w->n_open && w->open[w->n_open - 1].end <= w->cursor)
		w->n_open--;
}

static int walk_segment(void *ctx, const struct tl_thread *t, const struct tl_segment *segment)
{
	struct track_walk *w = ctx;
	enum track_state state;
	int r = 0;

	if (w->t != t) {
		w->t = t;
		w->cursor = t->lo;
		w->n_open = 0;
		r = track_polls_begin(w);
		if (r == 0 && w->o->calls)
			r = track_samples_begin(w);
	}
	stack_calls_trim(w->calls);
	if (r == 0)
		r = state_of(w, segment, &state);
	while (r == 0 && w->cursor < segment->end) {
		u64 end = segment->end;

		close_polls(w);
		r = track_polls_open(w);
		close_polls(w);
		if (w->n_open)
			end = min_u64(end, w->open[w->n_open - 1].end);
		if (r == 0)
			r = give_piece(w, segment, state, min_u64(end, track_polls_next(w)));
	}
	return r;
}

int track_walk(sqlite3 *db, const struct tl_threads *threads, const struct track_opts *o, struct stack_calls *calls,
	       struct track_tasks *tasks, track_fn fn, void *ctx)
{
	struct track_walk w = {.o = o, .calls = calls, .tasks = tasks, .fn = fn, .ctx = ctx};
	int r = tl_idle_init(&w.idle, db);

	if (r == 0)
		r = track_polls_init(&w, db);
	if (r == 0)
		r = track_samples_init(&w, db);
	if (r == 0)
		r = timeline_walk(db, threads, walk_segment, &w);
	tl_idle_release(&w.idle);
	(void)sqlite3_finalize(w.caught);
	(void)sqlite3_finalize(w.exact);
	(void)sqlite3_finalize(w.samples);
	return r;
}
