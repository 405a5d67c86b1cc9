/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* governor.c: see governor.h. */
#include "record/governor.h"

/*
 * What the groups' programs take in a hit, in a thousandth of the trap's time, where the kernel does not tell (it does with kernel.bpf_stats_enabled): assumed, not
 * measured, by how much each reads of the target and whether it sends a record. A machine that traps slower also runs programs slower.
 */
static const u32 program_share[PROBE_GROUPS] = {
	[PROBE_SPAWN] = 300,   [PROBE_BIND] = 900, [PROBE_BLOCKING] = 900, [PROBE_COMPLETE] = 500,
	[PROBE_DEALLOC] = 500, [PROBE_POLL] = 500, [PROBE_POLL_END] = 300, [PROBE_SCHEDULE] = 700,
};

/* Who goes first: detail before the life of tasks, and what says least before what other things rest on. */
static const u8 order[PROBE_GROUPS] = {PROBE_POLL_END, PROBE_POLL,     PROBE_SCHEDULE, PROBE_SPAWN,
				       PROBE_DEALLOC,  PROBE_COMPLETE, PROBE_BLOCKING, PROBE_BIND};

#define BIT(group) (1U << (group))

u64 governor_hit_ns(const struct governor *g, enum probe_group group)
{
	return g->trap_ns + g->trap_ns * program_share[group] / 1000;
}

/* A window's hits of a group. */
static u64 cost_of(const struct governor *g, const struct governor_window *w, enum probe_group group)
{
	u64 ns = w->program_ns[group] ? w->hits[group] * g->trap_ns + w->program_ns[group]
				      : w->hits[group] * governor_hit_ns(g, group);

	return ns + (g->step_ns > g->trap_ns ? w->stepped[group] * (g->step_ns - g->trap_ns) : 0);
}

/* ---- what the target uses ---- */

void governor_cpu_add(struct governor_cpu *c, u64 *seen, u64 now)
{
	c->ns += now - min_u64(now, *seen);
	*seen = now;
}

u64 governor_cpu_take(struct governor_cpu *c)
{
	u64 ns = c->ns;

	c->ns = 0;
	return ns;
}

/* ---- what it costs ---- */

/* a * b / c without overflow where the result is small: times of hours, shares of ten thousandths. */
static u64 scale(u64 a, u64 b, u64 c)
{
	return (u64)((unsigned __int128)a * b / c);
}

static void note(struct governor *g, const struct governor_window *w)
{
	u32 at = g->next;

	g->past[at].ns = w->ns;
	g->past[at].cpu_ns = w->cpu_ns;
	for (u32 i = 0; i < PROBE_GROUPS; i++) {
		u64 ns = cost_of(g, w, i);

		g->past[at].cost[i] = ns;
		g->hits[i] += w->hits[i];
		g->cost[i] += ns;
	}
	g->next = (at + 1) % GOVERNOR_WINDOWS;
	if (g->n_past < GOVERNOR_WINDOWS)
		g->n_past++;
}

/* Of the groups that are attached, over the windows kept. */
static u64 sum_costs(const struct governor *g, u64 cost[PROBE_GROUPS])
{
	u64 all = 0;

	for (u32 i = 0; i < PROBE_GROUPS; i++) {
		cost[i] = 0;
		for (u32 k = 0; k < g->n_past && g->attached & BIT(i); k++)
			cost[i] += g->past[k].cost[i];
		all += cost[i];
	}
	return all;
}

/* What the probes may cost in that time. At the beginning the windows that are missing count as if the target did what it does now, without a hit. */
static u64 budget_of(const struct governor *g, struct governor_verdict *v)
{
	for (u32 k = 0; k < g->n_past; k++) {
		v->ns += g->past[k].ns;
		v->cpu_ns += g->past[k].cpu_ns;
	}
	v->ns = scale(v->ns, GOVERNOR_WINDOWS, g->n_past);
	v->cpu_ns = scale(v->cpu_ns, GOVERNOR_WINDOWS, g->n_past);
	return max_u64(scale(v->cpu_ns, g->share, GOVERNOR_ALL), scale(v->ns, GOVERNOR_FLOOR, GOVERNOR_ALL));
}

/* ---- what goes ---- */

static void take(struct governor *g, struct governor_verdict *v, enum probe_group group, enum governor_why why)
{
	if (!(g->attached & BIT(group)))
		return;
	g->attached &= ~BIT(group);
	g->taken |= BIT(group);
	v->take |= BIT(group);
	v->why[group] = why;
}

/* From the least worth on, until the rest is within the budget. What costs next to nothing would not help: it stays. */
static void take_over_budget(struct governor *g, struct governor_verdict *v, const u64 *cost, u64 budget)
{
	u64 rest = v->cost_ns;

	for (u32 i = 0; i < PROBE_GROUPS && rest > budget; i++) {
		if (cost[order[i]] < (v->cost_ns - budget) / 20)
			continue;
		take(g, v, order[i], GOVERNOR_OVER);
		rest -= cost[order[i]];
	}
}

/* What says nothing without another that is gone: an end without its begin, a call of spawn without the task that it made. */
static void take_useless(struct governor *g, struct governor_verdict *v)
{
	if (v->take & BIT(PROBE_POLL))
		take(g, v, PROBE_POLL_END, GOVERNOR_USELESS);
	if (v->take & BIT(PROBE_BIND)) /* closures of the blocking pool have their calls among these, but most calls make tasks */
		take(g, v, PROBE_SPAWN, GOVERNOR_USELESS);
}

struct governor_verdict governor_window(struct governor *g, const struct governor_window *w)
{
	struct governor_verdict v = {0};
	u64 cost[PROBE_GROUPS], budget;

	note(g, w);
	v.cost_ns = sum_costs(g, cost);
	budget = budget_of(g, &v);
	if (g->share < GOVERNOR_ALL && v.cost_ns > budget)
		take_over_budget(g, &v, cost, budget);
	if (v.take)
		take_useless(g, &v);
	/* at a low rate it costs nothing worth speaking of, and a type that is met only later would have no place */
	if (w->has_learned && g->share < GOVERNOR_ALL && cost[PROBE_SPAWN] > budget / 8)
		take(g, &v, PROBE_SPAWN, GOVERNOR_LEARNED);
	return v;
}
