/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* calibrate.c: see calibrate.h. Every offset is a suspect until a pair of records on one Core rules it out. */
#include "record/calibrate.h"

#include <errno.h>
#include <string.h>

enum core_state { STATE_OTHER, STATE_PARKED, STATE_POLL };

enum {
	NEED_PARK_EDGES = 6,
	NEED_FREE_EDGES = 16,
	MANY_PARK_EDGES = 256,
	NS_PER_TURN = 30, /* no scheduler loop turns faster */
	SLACK_TURNS = 256,
};

/*
 * A current-thread runtime has no `park` to look at: there it parks when it waits outside a poll and outside a task. With a task id it may be a wait in
 * task::unconstrained(), which has no budget, or a park within spawn_blocking's task: neither is evidence.
 */
static enum core_state state_of(const struct wire_core *e)
{
	if (e->ctx.budget)
		return STATE_POLL;
	if (!e->waits)
		return STATE_OTHER;
	if (e->ctx.flavor == WIRE_FLAVOR_MULTI_THREAD)
		return e->ctx.park ? STATE_OTHER : STATE_PARKED;
	return e->ctx.task ? STATE_OTHER : STATE_PARKED;
}

static struct calibrate_core *core_slot(struct calibrate *c, u64 addr)
{
	struct calibrate_core *s;

	for (u32 i = 0; i < CALIBRATE_CORES; i++)
		if (c->cores[i].addr == addr)
			return &c->cores[i];
	s = &c->cores[c->next_core++ % CALIBRATE_CORES];
	s->addr = 0; /* the caller sees that there is nothing to compare with */
	return s;
}

/*
 * A current-thread runtime polls the root future before it turns, and with it all tasks of a LocalSet that the root future runs (so does every actix
 * worker): behind a park only a multi-thread worker's first poll comes after a turn.
 */
static bool must_grow(const struct calibrate_core *a, enum core_state b_state, const struct wire_core *e)
{
	if (a->state == STATE_POLL && b_state == STATE_PARKED)
		return true;
	return a->state == STATE_PARKED && b_state == STATE_POLL && e->ctx.flavor == WIRE_FLAVOR_MULTI_THREAD;
}

static void compare(struct calibrate *c, const struct calibrate_core *a, const u32 *words, enum core_state state,
		    const struct wire_core *e)
{
	u64 limit = (e->h.ts - a->ts) / NS_PER_TURN + SLACK_TURNS;
	bool grow = must_grow(a, state, e);
	bool free_edge = a->state == STATE_POLL && state == STATE_POLL && a->task != e->ctx.task;

	c->park_edges += grow;
	c->free_edges += free_edge;
	for (u32 i = 0; i < CALIBRATE_WORDS; i++) {
		u32 delta = words[i] - a->words[i];

		if (delta > limit || (grow && !delta))
			c->dead[i] = true;
		c->turned[i] += free_edge && delta;
	}
}

static bool survives(const struct calibrate *c, u32 i)
{
	bool turns = c->turned[i] && c->turned[i] * 2 >= c->free_edges; /* most of them: LIFO follow-ups share a tick */

	if (c->dead[i])
		return false;
	/*
	 * Where tasks wake each other nearly all polls are LIFO follow-ups. Then what grew at every one of very many parks, and many times between polls besides: no
	 * count of parks does both, and is 4 bytes wide (looks_wide()).
	 */
	if (c->park_edges >= MANY_PARK_EDGES && c->turned[i] >= NEED_FREE_EDGES)
		return true;
	if (c->park_edges >= NEED_PARK_EDGES &&
	    (c->is_current_thread || !c->free_edges)) /* a LocalSet's tasks share a tick, too */
		return true;
	return turns;
}

/*
 * Looks like the lower half of a 64-bit counter. The tick never does: since 1.29 its neighbour is global_queue_interval, which is not 0. Counters of parks
 * and polls do, and some grow as the tick grows in some programs: they are no answer even when nothing else is left.
 */
static bool looks_wide(const struct calibrate *c, u32 i)
{
	return i % 2 == 0 && i + 1 < CALIBRATE_WORDS && !c->upper_used[i];
}

/* No table breaks a tie: known offsets are where other versions have their counters. More evidence does. */
static int decide(const struct calibrate *c)
{
	int found = -EAGAIN;

	if (c->park_edges < NEED_PARK_EDGES && c->free_edges < NEED_FREE_EDGES)
		return -EAGAIN;
	for (u32 i = 0; i < CALIBRATE_WORDS; i++) {
		if (!survives(c, i) || looks_wide(c, i))
			continue;
		if (found >= 0)
			return -EAGAIN;
		found = (int)(i * 4);
	}
	return found;
}

int calibrate_add(struct calibrate *c, const struct wire_core *e)
{
	struct calibrate_core *s = core_slot(c, e->ctx.core);
	enum core_state state = state_of(e);
	u32 words[CALIBRATE_WORDS];

	memcpy(words, e->bytes, sizeof(words));
	c->records++;
	c->is_current_thread = e->ctx.flavor == WIRE_FLAVOR_CURRENT_THREAD;
	for (u32 i = 0; i + 1 < CALIBRATE_WORDS; i++)
		c->upper_used[i] |= words[i + 1] != 0;
	if (s->addr && e->h.ts > s->ts)
		compare(c, s, words, state, e);
	/* what is neither park nor poll carries no evidence of an edge, but must not hide that a park or poll came before */
	if (s->addr && state == STATE_OTHER)
		return decide(c);
	*s = (struct calibrate_core){.addr = e->ctx.core, .ts = e->h.ts, .task = e->ctx.task, .state = (u8)state};
	memcpy(s->words, words, sizeof(words));
	return decide(c);
}
