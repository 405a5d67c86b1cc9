/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* task_probes_say.c: the half of task_probes.h that says what was done and what could not be: rows of kind `probe`, meta, totals, stderr. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "record/probe_points.h"
#include "record/task_catalog.h"
#include "record/task_probes_impl.h"

#define PROBE_GROUP_NAME(NAME, name, doc) [PROBE_##NAME] = (name),
static const char *const group_names[PROBE_GROUPS] = {PROBE_GROUPS_LIST(PROBE_GROUP_NAME)};

/* What is missing without it, for people. */
static const char *const group_tells[PROBE_GROUPS] = {
	[PROBE_SPAWN] = "places of spawns",
	[PROBE_BIND] = "spawns of tasks",
	[PROBE_BLOCKING] = "closures for the blocking pool",
	[PROBE_COMPLETE] = "ends of tasks",
	[PROBE_DEALLOC] = "ends of tasks",
	[PROBE_POLL] = "polls",
	[PROBE_POLL_END] = "ends of polls",
	[PROBE_SCHEDULE] = "wakes",
};

/* ---- rows ---- */

void probe_event_put(struct task_probes *tp, const struct probe_event *w)
{
	bool is_over = w->action == FMT_PROBE_TAKEN || w->action == FMT_PROBE_KEPT;

	catalog_row(tp->cat, FMT_PROBE,
		    &(struct fmt_probe){
			    .ts = w->ts,
			    .process = w->p ? w->p->idx : 0,
			    .module = w->module,
			    .group = catalog_string(tp->cat, group_names[w->group]),
			    .action = w->action,
			    .places = w->places,
			    .hits = is_over ? tp->governor.hits[w->group] : 0,
			    .cost = is_over ? tp->governor.cost[w->group] : 0,
			    .why = catalog_string(tp->cat, w->why),
		    });
}

const char *probe_event_why_not(const struct task_probes *tp, int err)
{
	const char *why = kernel_side_probe_why(tp->kernel), *text;

	switch (err) {
	case -EOPNOTSUPP:
		return why ? why : "this kernel cannot";
	case -EPERM:
	case -EACCES:
		return "not permitted";
	case -E2BIG:
		return "more places than this kernel can probe at a time";
	case -EINVAL:
		return "the kernel can probe none of the places";
	case -ETIMEDOUT:
		return "the helper process did not answer";
	case -EMFILE:
	case -ENFILE:
		return "too many open files";
	default:
		text = strerrordesc_np(-err); /* none of the kernel's own, as ENOTSUPP */
		return text ? text : "the kernel refuses it";
	}
}

void probe_event_impossible(struct task_probes *tp, const struct cat_process *p, u32 module, enum probe_group group,
			    const char *why)
{
	if (!tp->impossible[group])
		tp->impossible[group] = why;
	tp->n_impossible[group]++;
	probe_event_put(tp, &(struct probe_event){.p = p,
						  .module = module,
						  .group = group,
						  .action = FMT_PROBE_IMPOSSIBLE,
						  .ts = clock_ns(CLOCK_MONOTONIC),
						  .why = why});
}

void probe_event_why(const struct task_probes *tp, const struct governor_verdict *v, enum governor_why why, char *text,
		     size_t size)
{
	double share = v->cpu_ns ? 100.0 * (double)v->cost_ns / (double)v->cpu_ns : 100;

	if (why == GOVERNOR_LEARNED)
		(void)snprintf(text, size, "all spawn sites learned");
	else if (why == GOVERNOR_USELESS)
		(void)snprintf(text, size, "of no use without those that were taken away");
	else
		(void)snprintf(text, size, "probes cost %.2f %% of the target's cpu time, more than %.4g %%",
			       share > 100 ? 100 : share, (double)tp->governor.share / 100);
}

/* ---- what is said ---- */

void task_probes_options(const struct task_probes *tp, struct facts *f)
{
	char share[16];

	facts_meta(f, "option.tasks", tp->o.off ? "off" : "auto");
	facts_meta(f, "option.polls", tp->o.polls || tp->o.wakes ? "yes" : "no");
	facts_meta(f, "option.wakes", tp->o.wakes ? "yes" : "no");
	if (tp->o.off)
		return;
	(void)snprintf(share, sizeof(share), "%.4g", (double)tp->o.overhead / 100);
	facts_meta(f, "option.max_overhead", share);
	facts_meta(f, "probes.kind",
		   kernel_side_probe_why(tp->kernel)	     ? "none"
		   : kernel_side_has_probe_multi(tp->kernel) ? "uprobe_multi"
							     : "uprobe");
	facts_meta_u64(f, "probes.trap_ns", tp->governor.trap_ns);
	facts_meta_u64(f, "probes.step_ns", max_u64(tp->governor.step_ns, tp->governor.trap_ns));
}

/* When it was: not of what was taken away because it had told all. */
static void total_taken(const struct task_probes *tp, struct facts *f, u32 i, u64 start)
{
	const struct governor_verdict *v = &tp->taken[i].v;
	char key[64];

	for (u32 g = 0; g < PROBE_GROUPS; g++) {
		if (!(v->take & BIT(g)) || v->why[g] == GOVERNOR_LEARNED)
			continue;
		(void)snprintf(key, sizeof(key), "probes.taken.%s", group_names[g]);
		facts_total(f, key, max_u64(tp->taken[i].ts - start, 1));
	}
}

void task_probes_facts(struct task_probes *tp, struct facts *f, u64 start)
{
	struct task_catalog_counts n = task_catalog_counts(tp->cat);
	char key[64];

	for (u32 g = 0; g < PROBE_GROUPS; g++) {
		if (tp->n_impossible[g]) {
			(void)snprintf(key, sizeof(key), "probes.impossible.%s", group_names[g]);
			facts_total(f, key, tp->n_impossible[g]);
		}
		if (!(tp->had & BIT(g)))
			continue;
		(void)snprintf(key, sizeof(key), "probes.hits.%s", group_names[g]);
		facts_total(f, key, tp->governor.hits[g]);
		(void)snprintf(key, sizeof(key), "probes.cost_ns.%s", group_names[g]);
		facts_total(f, key, tp->governor.cost[g]);
	}
	for (u32 i = 0; i < tp->n_taken; i++)
		total_taken(tp, f, i, start);
	facts_total(f, "probes.read_ns", probe_points_ns(tp->points));
	facts_total(f, "tasks.vtables", n.vtables);
	facts_total(f, "tasks.locations", n.locations);
	facts_total(f, "tasks.learned", n.learned);
	facts_total(f, "tasks.bad_vtables", n.bad_vtables);
	facts_total(f, "tasks.not_tasks", n.not_tasks);
	facts_total(f, "tasks.bad_locations", n.bad_locations);
	facts_total(f, "tasks.no_room", n.no_room);
	facts_total(f, "tasks.poll_ends_refused", tp->ends_refused + tp->ends.no_room);
}

static void list_groups(const char *const *names, u32 mask, char *text, size_t size)
{
	size_t at = 0;

	text[0] = 0;
	for (u32 g = 0; g < PROBE_GROUPS; g++) {
		int n = mask & BIT(g) ? snprintf(text + at, size - at, "%s%s", at ? ", " : "", names[g]) : 0;

		if (n > 0 && (size_t)n < size - at)
			at += (size_t)n;
	}
}

static void say_taken(const struct task_probes *tp, u32 i, u64 start)
{
	const struct governor_verdict *v = &tp->taken[i].v;
	double after = (double)(tp->taken[i].ts - start) / 1e9;
	char groups[96], missing[192], why[128];
	u32 first = (u32)__builtin_ctz(v->take);

	for (u32 g = 0; g < PROBE_GROUPS; g++)
		if (v->take & BIT(g) && v->why[g] == GOVERNOR_OVER)
			first = g;
	list_groups(group_names, v->take, groups, sizeof(groups));
	list_groups(group_tells, v->take, missing, sizeof(missing));
	probe_event_why(tp, v, v->why[first], why, sizeof(why));
	if (v->why[first] == GOVERNOR_LEARNED)
		log_info("note: the probes %s were taken away after %.1f s: %s", groups, after, why);
	else
		log_warn("from %.1f s on the capture has no %s: the probes (%s) were taken away, as %s (--max-overhead)", after,
			 missing, groups, why);
}

static bool was_had(const struct task_probes *tp, u32 groups)
{
	return tp->had & groups;
}

/* What was asked for, and could be had in no process. */
static void say_impossible(const struct task_probes *tp)
{
	const u32 ends = BIT(PROBE_COMPLETE) | BIT(PROBE_DEALLOC);

	for (u32 g = 0; g < PROBE_GROUPS; g++) {
		if (!tp->impossible[g] || was_had(tp, BIT(g) & ends ? ends : BIT(g)))
			continue;
		if (g == PROBE_SPAWN || g == PROBE_BLOCKING || (g == PROBE_DEALLOC && tp->impossible[PROBE_COMPLETE]))
			continue; /* where spawns are inlined their places are found otherwise; a program need not have a closure */
		log_warn("the capture has no %s: no probe could be set: %s", group_tells[g], tp->impossible[g]);
	}
}

void task_probes_say(const struct task_probes *tp, u64 start)
{
	const char *why = kernel_side_probe_why(tp->kernel);

	if (tp->o.off)
		return;
	if (why)
		log_warn("the life of tasks was not recorded: %s", why);
	else
		say_impossible(tp);
	for (u32 i = 0; i < tp->n_taken; i++)
		say_taken(tp, i, start);
}
