/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* calibrate.c: see calibrate.h. Every offset is a suspect until a pair of records on one Core rules it out. */
#include "record/calibrate.h"

#include <errno.h>
#include <string.h>

enum core_state { STATE_OTHER, STATE_PARKED, STATE_POLL };

enum {
	NEED_PARK_EDGES = 6,
	NEED_FREE_EDGES = 16,
	NS_PER_TURN = 30, /* no scheduler loop turns faster */
	SLACK_TURNS = 256,
};

/* Where builds at hand had it; only ever used to choose among offsets that the evidence left standing. */
static const u16 known_mt[] = {64, 104};
static const u16 known_ct[] = {48, 72, 88, 112, 136, 160};

static enum core_state state_of(const struct wire_core *e)
{
	if (e->ctx.budget)
		return STATE_POLL;
	if (!e->waits)
		return STATE_OTHER;
	if (e->ctx.flavor == WIRE_FLAVOR_MULTI_THREAD)
		return e->ctx.park ? STATE_OTHER : STATE_PARKED;
	return STATE_PARKED;
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

/* A current-thread runtime polls the root future (id 0) before it turns. */
static bool must_grow(const struct calibrate_core *a, enum core_state b_state, const struct wire_core *e)
{
	if (a->state == STATE_POLL && b_state == STATE_PARKED)
		return true;
	return a->state == STATE_PARKED && b_state == STATE_POLL && (e->ctx.flavor == WIRE_FLAVOR_MULTI_THREAD || e->ctx.task);
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

static bool is_known(u32 off, u8 flavor)
{
	const u16 *known = flavor == WIRE_FLAVOR_MULTI_THREAD ? known_mt : known_ct;
	size_t n = flavor == WIRE_FLAVOR_MULTI_THREAD ? ARRAY_SIZE(known_mt) : ARRAY_SIZE(known_ct);

	for (size_t i = 0; i < n; i++)
		if (known[i] == off)
			return true;
	return false;
}

static bool survives(const struct calibrate *c, u32 i)
{
	if (c->dead[i] || c->turned[i] * 2 < c->free_edges) /* most of them: LIFO follow-ups share a tick */
		return false;
	return c->turned[i] || c->park_edges >= NEED_PARK_EDGES;
}

/* Looks like the lower half of a 64-bit counter. */
static bool looks_wide(const struct calibrate *c, u32 i)
{
	return i % 2 == 0 && i + 1 < CALIBRATE_WORDS && !c->upper_used[i];
}

static int decide(const struct calibrate *c, u8 flavor)
{
	u32 n[3] = {0}; /* survivors: all, narrow, narrow and known */
	int last[3] = {-EAGAIN, -EAGAIN, -EAGAIN};

	if (c->park_edges < NEED_PARK_EDGES && c->free_edges < NEED_FREE_EDGES)
		return -EAGAIN;
	for (u32 i = 0; i < CALIBRATE_WORDS; i++) {
		u32 classes = !survives(c, i) ? 0 : looks_wide(c, i) ? 1 : is_known(i * 4, flavor) ? 3 : 2;

		for (u32 k = 0; k < classes; k++) {
			n[k]++;
			last[k] = (int)(i * 4);
		}
	}
	for (u32 k = 0; k < ARRAY_SIZE(n); k++)
		if (n[k] == 1)
			return last[k];
	return -EAGAIN;
}

int calibrate_add(struct calibrate *c, const struct wire_core *e)
{
	struct calibrate_core *s = core_slot(c, e->ctx.core);
	enum core_state state = state_of(e);
	u32 words[CALIBRATE_WORDS];

	memcpy(words, e->bytes, sizeof(words));
	c->records++;
	for (u32 i = 0; i + 1 < CALIBRATE_WORDS; i++)
		c->upper_used[i] |= words[i + 1] != 0;
	if (s->addr && e->h.ts > s->ts)
		compare(c, s, words, state, e);
	/* what is neither park nor poll carries no evidence of an edge, but must not hide that a park or poll came before */
	if (s->addr && state == STATE_OTHER)
		return decide(c, e->ctx.flavor);
	*s = (struct calibrate_core){.addr = e->ctx.core, .ts = e->h.ts, .task = e->ctx.task, .state = (u8)state};
	memcpy(s->words, words, sizeof(words));
	return decide(c, e->ctx.flavor);
}
