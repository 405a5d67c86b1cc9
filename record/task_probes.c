/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_probes.c: see task_probes.h.
 *
 * Invariants:
 *  1. A group that the governor has taken is attached nowhere any more.
 *  2. Probes of a process image that is over are taken away before the next image of the same pid gets any: they would see it, too.
 *  3. Only what the governor knows of (governor.attached) can be hit.
 */
#include "record/task_probes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "record/copies.h"
#include "record/governor.h"
#include "record/link_closer.h"
#include "record/poll_end.h"
#include "record/probe_points.h"
#include "record/procfs.h"
#include "record/task_catalog.h"

/* Files are read in the main loop: so much of a turn at most (one more), for the ring must be drained. */
#define TICK_BUDGET	(50 * NSEC_PER_MSEC)
#define SPAWN_IN_FLIGHT NSEC_PER_MSEC /* a call of spawn that began before its probe was there has ended by then */

#define BIT(group) (1U << (group))

#define PROBE_GROUP_NAME(NAME, name, doc) [PROBE_##NAME] = (name),
static const char *const group_names[PROBE_GROUPS] = {PROBE_GROUPS_LIST(PROBE_GROUP_NAME)};

/* One call of kernel_side_probe(). */
struct probe {
	struct cat_process *p;
	u32 module;
	enum probe_group group;
	struct kernel_probe_links links;
	u64 ticket; /* link_closer.h: it is being taken away; 0: it is there */
};

/* A process that has probes. */
struct probed {
	struct cat_process *p;
	u64 cpu_ns; /* at the last window */
};

struct task_probes {
	struct task_probes_opts o;
	struct catalog *cat;
	struct kernel_side *kernel;
	struct probe_points *points;
	struct link_closer *closer;
	struct probe *probes;
	u32 n, cap;
	struct probed *probed;
	u32 n_probed, cap_probed;
	struct poll_ends ends;
	u64 ends_refused;
	struct governor governor;
	struct kernel_probe_hits seen[PROBE_GROUPS];
	u64 window_from;
	u64 first; /* when the first probe was attached */
	struct {
		struct governor_verdict v;
		u64 ts;
	} taken[PROBE_GROUPS];
	u32 n_taken;
	const char *impossible[PROBE_GROUPS]; /* the first reason; static text */
	u32 n_impossible[PROBE_GROUPS];
	u32 had; /* groups that were attached somewhere, ever */
};

u32 task_probes_groups(const struct task_probes_opts *o)
{
	u32 life = BIT(PROBE_SPAWN) | BIT(PROBE_BIND) | BIT(PROBE_BLOCKING) | BIT(PROBE_COMPLETE) | BIT(PROBE_DEALLOC);
	u32 polls = BIT(PROBE_POLL) | BIT(PROBE_POLL_END);

	if (o->off)
		return 0;
	return life | (o->polls || o->wakes ? polls : 0) | (o->wakes ? BIT(PROBE_SCHEDULE) : 0);
}

/* ---- rows ---- */

struct what {
	const struct cat_process *p; /* NULL: all */
	u32 module;
	enum probe_group group;
	enum fmt_probe_action action;
	u32 places;
	u64 ts;
	const char *why; /* NULL: none */
};

static void put_row(struct task_probes *tp, const struct what *w)
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

static const char *why_not(struct task_probes *tp, int err)
{
	const char *why = kernel_side_probe_why(tp->kernel);

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
		return strerrordesc_np(-err);
	}
}

static void not_possible(struct task_probes *tp, const struct cat_process *p, u32 module, enum probe_group group, const char *why)
{
	if (!tp->impossible[group])
		tp->impossible[group] = why;
	tp->n_impossible[group]++;
	put_row(tp, &(struct what){.p = p,
				   .module = module,
				   .group = group,
				   .action = FMT_PROBE_IMPOSSIBLE,
				   .ts = clock_ns(CLOCK_MONOTONIC),
				   .why = why});
}

/* ---- attach ---- */

static int add_probe(struct task_probes *tp, const struct probe *b)
{
	if (tp->n == tp->cap) {
		u32 cap = tp->cap ? tp->cap * 2 : 16;
		struct probe *list = reallocarray(tp->probes, cap, sizeof(*list));

		if (!list)
			return -ENOMEM;
		tp->probes = list;
		tp->cap = cap;
	}
	tp->probes[tp->n++] = *b;
	return 0;
}

static bool process_cpu(u32 pid, u64 *ret)
{
	struct timespec t;
	clockid_t id;

	if (clock_getcpuclockid((pid_t)pid, &id) != 0 || clock_gettime(id, &t) < 0)
		return false;
	*ret = (u64)t.tv_sec * NSEC_PER_SEC + (u64)t.tv_nsec;
	return true;
}

static int add_probed(struct task_probes *tp, struct cat_process *p)
{
	for (u32 i = tp->n_probed; i--;)
		if (tp->probed[i].p == p)
			return 0;
	if (tp->n_probed == tp->cap_probed) {
		u32 cap = tp->cap_probed ? tp->cap_probed * 2 : 16;
		struct probed *list = reallocarray(tp->probed, cap, sizeof(*list));

		if (!list)
			return -ENOMEM;
		tp->probed = list;
		tp->cap_probed = cap;
	}
	tp->probed[tp->n_probed] = (struct probed){.p = p};
	(void)process_cpu(p->pid, &tp->probed[tp->n_probed].cpu_ns);
	tp->n_probed++;
	return 0;
}

struct attach {
	struct cat_process *p;
	u32 module;
	const struct probe_file *file;
	enum probe_group group;
	const u64 *offsets;
	u32 n;
};

/*
 * On a kernel whose links see all processes that have the file mapped: the one that is there already, which stays until the end; NULL otherwise. An end of polls that
 * only a later process meets has no probe then.
 */
static const struct probe *shared(const struct task_probes *tp, const struct attach *a)
{
	for (u32 i = 0; i < tp->n && !kernel_side_probe_is_by_process(tp->kernel); i++)
		if (tp->probes[i].module == a->module && a->module && tp->probes[i].group == a->group && !tp->probes[i].ticket)
			return &tp->probes[i];
	return NULL;
}

static void put_attached(struct task_probes *tp, const struct attach *a, const struct kernel_probe_links *l)
{
	put_row(tp, &(struct what){.p = a->p,
				   .module = a->module,
				   .group = a->group,
				   .action = FMT_PROBE_ATTACHED,
				   .places = l->places,
				   .ts = clock_ns(CLOCK_MONOTONIC),
				   .why = l->refused ? "the kernel can probe only some of the places" : NULL});
}

/* 0 also when it could not be done. */
static int attach(struct task_probes *tp, const struct attach *a)
{
	struct kernel_probe kp = {.tgid = a->p->pid,
				  .file = a->file->request,
				  .group = a->group,
				  .module = a->module,
				  .task = a->file->task,
				  .offsets = a->offsets,
				  .n = a->n};
	struct probe b = {.p = a->p, .module = a->module, .group = a->group};
	const struct probe *there = shared(tp, a);
	int err;

	if (tp->governor.taken & BIT(a->group))
		return 0;
	if (there) {
		put_attached(tp, a, &there->links);
		return add_probed(tp, a->p);
	}
	err = kernel_side_probe(tp->kernel, &kp, &b.links);
	if (err == -ESRCH)
		return 0;
	if (err) {
		not_possible(tp, a->p, a->module, a->group, why_not(tp, err));
		return 0;
	}
	err = add_probe(tp, &b);
	if (!err)
		err = add_probed(tp, a->p);
	if (err) {
		kernel_side_unprobe(tp->kernel, &b.links);
		return err;
	}
	if (!tp->first)
		tp->first = tp->window_from = clock_ns(CLOCK_MONOTONIC);
	tp->governor.attached |= BIT(a->group);
	tp->governor.group_trap_ns[a->group] = max_u64(tp->governor.group_trap_ns[a->group], b.links.hit_ns);
	tp->had |= BIT(a->group);
	put_attached(tp, a, &b.links);
	return 0;
}

/* Of the end of a task, completion says it; where there is no place for that, what frees it does. The others are wanted as asked for. */
static bool is_wanted(const struct task_probes *tp, const struct probe_file *f, enum probe_group group)
{
	if (!(task_probes_groups(&tp->o) & BIT(group)) || group == PROBE_POLL_END)
		return false;
	return group != PROBE_DEALLOC || !f->points.group[PROBE_COMPLETE].n;
}

/* In the order of the groups: calls of spawn before what makes the task, so that no task seems to have been made without a call. */
static int attach_groups(struct task_probes *tp, struct cat_process *p, struct cat_copy *copy, const struct probe_file *f)
{
	u64 before = clock_ns(CLOCK_MONOTONIC);
	int err = 0;

	for (u32 g = 0; g < PROBE_GROUPS && !err; g++) {
		const struct tokio_group *at = &f->points.group[g];
		const struct attach a = {
			.p = p, .module = copy->module, .file = f, .group = g, .offsets = at->offsets, .n = at->n};

		if (!is_wanted(tp, f, g))
			continue;
		if (at->n)
			err = attach(tp, &a);
		else
			not_possible(tp, p, copy->module, g, at->missing ? at->missing : "there is no such place");
	}
	for (u32 i = tp->n; i-- && tp->probes[i].p == p;) {
		if (tp->probes[i].module != copy->module || tp->probes[i].group != PROBE_SPAWN)
			continue;
		copy->spawn_from = max_u64(before, clock_ns(CLOCK_MONOTONIC)) + SPAWN_IN_FLIGHT;
		copy->spawn_until = UINT64_MAX;
	}
	return err;
}

static bool holds_tokio(const struct cat_copy *c)
{
	return c->elf->n_symbols || c->elf->names_tokio || c->is_confirmed;
}

static bool has_probes(const struct task_probes *tp, u32 pid)
{
	for (u32 i = 0; i < tp->n && kernel_side_probe_is_by_process(tp->kernel); i++)
		if (tp->probes[i].p->pid == pid && tp->probes[i].p->gone)
			return true;
	return false;
}

static int probe_copy(struct task_probes *tp, struct cat_process *p, struct cat_copy *copy)
{
	struct probe_file *f;
	int err;

	copy->is_probed = true;
	err = probe_points_find(tp->points, p, copy, &f);
	if (err == -ENOMEM)
		return err;
	if (!err)
		return attach_groups(tp, p, copy, f);
	not_possible(tp, p, copy->module, PROBE_BIND, err == -EACCES ? "the file cannot be opened" : "the file cannot be read");
	return 0;
}

struct tick {
	struct task_probes *tp;
	u64 began;
	int err;
};

static bool is_late(const struct tick *t)
{
	return clock_ns(CLOCK_MONOTONIC) - t->began > TICK_BUDGET;
}

static void tick_process(void *ctx, struct cat_process *p)
{
	struct tick *t = ctx;

	for (u32 i = 0; i < p->n_copies && !t->err; i++) {
		struct cat_copy *c = &p->copies[i];

		if (c->is_probed || !c->is_mapped || !holds_tokio(c) || is_late(t) || has_probes(t->tp, p->pid))
			continue;
		t->err = probe_copy(t->tp, p, c);
	}
}

/* ---- ends of polls ---- */

void task_probes_returns(void *ctx, u32 tgid, u32 module, u64 addr)
{
	struct task_probes *tp = ctx;

	poll_ends_note(&tp->ends, tgid, module, addr);
}

/* The place in the file of an address that follows a call in the mapped text of the module; false: it is none. */
static bool place_of_end(struct cat_process *p, u32 module, u64 addr, u64 *ret_off)
{
	u8 code[POLL_END_CALL];

	for (u32 i = 0; i < p->n_maps; i++) {
		const struct cat_mapping *m = &p->maps[i];

		if (m->module != module || addr < m->start + sizeof(code) || addr >= m->end)
			continue;
		*ret_off = addr - m->start + m->file_off;
		return cat_process_read(p, addr - sizeof(code), code, sizeof(code)) == 0 && poll_end_is_call(code, sizeof(code));
	}
	return false;
}

/* All ends of one copy that are new go into one link. */
static int probe_ends(struct task_probes *tp, struct cat_process *p, struct cat_copy *copy)
{
	struct attach a = {.p = p, .module = copy->module, .group = PROBE_POLL_END};
	u64 offsets[POLL_ENDS];
	struct probe_file *f;
	int err = probe_points_find(tp->points, p, copy, &f);

	if (err)
		return err == -ENOMEM ? err : 0;
	for (u32 i = 0; i < tp->ends.n; i++) {
		struct poll_end *e = &tp->ends.ends[i];

		if (e->state != POLL_END_NEW || e->pid != p->pid || e->module != copy->module)
			continue;
		e->state = POLL_END_DONE;
		if (place_of_end(p, copy->module, e->addr, &offsets[a.n]))
			a.n++;
		else
			tp->ends_refused++;
		if (kernel_side_know_end(tp->kernel, p->pid, e->addr) < 0)
			tp->ends.no_room++;
	}
	a.file = f;
	a.offsets = offsets;
	return a.n ? attach(tp, &a) : 0;
}

static void tick_ends(void *ctx, struct cat_process *p)
{
	struct tick *t = ctx;

	for (u32 i = 0; i < p->n_copies && !t->err; i++)
		if (p->copies[i].is_probed && p->copies[i].is_mapped)
			t->err = probe_ends(t->tp, p, &p->copies[i]);
}

/* ---- take away ---- */

/* Beside the main loop. Its entry stays until it is gone. */
static void drop(struct task_probes *tp, struct probe *b)
{
	b->ticket = link_closer_put(tp->closer, TAKE_PTR(b->links.fds), b->links.n);
	b->links.n = 0;
}

/* Of a group, all that are there. Returns how many places they had. */
static u32 drop_group(struct task_probes *tp, enum probe_group group)
{
	u32 places = 0;

	for (u32 i = 0; i < tp->n; i++) {
		if (tp->probes[i].group != group || tp->probes[i].ticket)
			continue;
		places += tp->probes[i].links.places;
		drop(tp, &tp->probes[i]);
	}
	return places;
}

static void forget_dropped(struct task_probes *tp)
{
	u32 n = 0;

	for (u32 i = 0; i < tp->n; i++)
		if (!tp->probes[i].ticket || !link_closer_is_done(tp->closer, tp->probes[i].ticket))
			tp->probes[n++] = tp->probes[i];
	tp->n = n;
}

/* Of processes that are gone. */
static void retire(struct task_probes *tp)
{
	u32 n = 0;

	for (u32 i = 0; i < tp->n && kernel_side_probe_is_by_process(tp->kernel); i++)
		if (tp->probes[i].p->gone && !tp->probes[i].ticket)
			drop(tp, &tp->probes[i]);
	forget_dropped(tp);
	for (u32 i = 0; i < tp->n_probed; i++) {
		if (tp->probed[i].p->gone) {
			kernel_side_forget_ends(tp->kernel, tp->probed[i].p->pid);
			poll_ends_forget(&tp->ends, tp->probed[i].p->pid);
		} else {
			tp->probed[n++] = tp->probed[i];
		}
	}
	tp->n_probed = n;
}

static void stop_watching(struct task_probes *tp, u64 now)
{
	for (u32 i = 0; i < tp->n_probed; i++)
		for (u32 k = 0; k < tp->probed[i].p->n_copies; k++)
			tp->probed[i].p->copies[k].spawn_until = min_u64(tp->probed[i].p->copies[k].spawn_until, now);
}

static void say_why(const struct task_probes *tp, const struct governor_verdict *v, enum governor_why why, char *text,
		    size_t size)
{
	double share = v->cpu_ns ? 100.0 * (double)v->cost_ns / (double)v->cpu_ns : 100;

	if (why == GOVERNOR_LEARNED)
		(void)snprintf(text, size, "all spawn sites learned");
	else if (why == GOVERNOR_USELESS)
		(void)snprintf(text, size, "of no use without those that were taken away");
	else
		(void)snprintf(text, size, "probes cost %.1f %% of the target's cpu time, more than %.4g %%",
			       share > 100 ? 100 : share, (double)tp->governor.share / 100);
}

static void take_away(struct task_probes *tp, const struct governor_verdict *v, u64 now)
{
	char why[128];

	if (v->take & BIT(PROBE_SPAWN))
		stop_watching(tp, now);
	for (u32 g = 0; g < PROBE_GROUPS; g++) {
		struct what w = {.group = g, .action = FMT_PROBE_TAKEN, .ts = now, .why = why};

		if (!(v->take & BIT(g)))
			continue;
		w.places = drop_group(tp, g);
		say_why(tp, v, v->why[g], why, sizeof(why));
		put_row(tp, &w);
	}
	tp->taken[tp->n_taken].v = *v;
	tp->taken[tp->n_taken++].ts = now;
}

/* ---- the governor's windows ---- */

static bool has_learned(const struct task_probes *tp)
{
	bool any = false;

	for (u32 i = 0; i < tp->n_probed; i++) {
		struct task_catalog_learned l = task_catalog_learned(tp->probed[i].p);

		if (l.pairs && (!l.is_single || l.since < GOVERNOR_LEARN_MIN))
			return false;
		any |= l.pairs > 0;
	}
	return any;
}

static u64 cpu_since(struct task_probes *tp)
{
	u64 sum = 0, cpu;

	for (u32 i = 0; i < tp->n_probed; i++) {
		if (tp->probed[i].p->gone || !process_cpu(tp->probed[i].p->pid, &cpu))
			continue;
		sum += cpu - min_u64(cpu, tp->probed[i].cpu_ns);
		tp->probed[i].cpu_ns = cpu;
	}
	return sum;
}

/* 0 or an error of the map of counters. */
static int measure(struct task_probes *tp, u64 now, struct governor_window *ret)
{
	struct kernel_probe_hits hits[PROBE_GROUPS];
	int err = kernel_side_probe_hits(tp->kernel, hits);

	if (err)
		return err;
	*ret = (struct governor_window){.ns = now - tp->window_from, .cpu_ns = cpu_since(tp), .has_learned = has_learned(tp)};
	for (u32 g = 0; g < PROBE_GROUPS; g++) {
		ret->hits[g] = hits[g].hits - tp->seen[g].hits;
		ret->program_ns[g] = hits[g].ns - tp->seen[g].ns;
		tp->seen[g] = hits[g];
	}
	tp->window_from = now;
	return 0;
}

static int govern(struct task_probes *tp, u64 now)
{
	struct governor_window w;
	struct governor_verdict v;
	int err = measure(tp, now, &w);

	if (err)
		return err;
	v = governor_window(&tp->governor, &w);
	if (v.take)
		take_away(tp, &v, now);
	return 0;
}

int task_probes_tick(struct task_probes *tp, u64 now)
{
	struct tick t = {.tp = tp, .began = clock_ns(CLOCK_MONOTONIC)};

	if (tp->o.off || kernel_side_probe_why(tp->kernel))
		return 0;
	retire(tp);
	catalog_each_process(tp->cat, tick_process, &t);
	if (!t.err && tp->ends.n_new) {
		tp->ends.n_new = 0;
		catalog_each_process(tp->cat, tick_ends, &t);
	}
	if (!t.err && tp->first && now >= tp->window_from + GOVERNOR_WINDOW)
		t.err = govern(tp, now);
	return t.err;
}

/* ---- begin and end ---- */

int task_probes_new(const struct task_probes_opts *o, struct catalog *c, struct kernel_side *k, struct task_probes **ret)
{
	struct task_probes *tp = calloc(1, sizeof(*tp));
	const char *why = o->off ? NULL : kernel_side_probe_why(k);

	if (!tp)
		return -ENOMEM;
	tp->o = *o;
	tp->cat = c;
	tp->kernel = k;
	tp->governor = (struct governor){.share = o->overhead};
	if (kernel_side_probe_cost(k, &tp->governor.trap_ns) < 0)
		tp->governor.trap_ns = GOVERNOR_TRAP_NS;
	if (probe_points_new(c, &tp->points) < 0 || link_closer_new(&tp->closer) < 0) {
		task_probes_free(tp);
		return -ENOMEM;
	}
	for (u32 g = 0; g < PROBE_GROUPS && why; g++)
		if (task_probes_groups(o) & BIT(g))
			not_possible(tp, NULL, 0, g, why);
	*ret = tp;
	return 0;
}

struct task_probes *task_probes_free(struct task_probes *tp)
{
	if (!tp)
		return NULL;
	for (u32 g = 0; tp->closer && g < PROBE_GROUPS; g++)
		(void)drop_group(tp, g);
	link_closer_free(tp->closer);
	probe_points_free(tp->points);
	free(tp->probes);
	free(tp->probed);
	free(tp);
	return NULL;
}

void task_probes_end(struct task_probes *tp, u64 ts)
{
	const u32 taken = tp->governor.taken;
	struct governor_window w;

	if (tp->first && measure(tp, ts, &w) == 0)
		(void)governor_window(&tp->governor, &w); /* for the sums: it is too late to take anything, whatever it says */
	for (u32 g = 0; g < PROBE_GROUPS; g++) {
		struct what what = {.group = g, .action = FMT_PROBE_KEPT, .ts = ts};

		what.places = drop_group(tp, g);
		if (tp->had & BIT(g) && !(taken & BIT(g)))
			put_row(tp, &what);
	}
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
	facts_total(f, "tasks.bad_locations", n.bad_locations);
	facts_total(f, "tasks.no_room", n.no_room);
	facts_total(f, "tasks.poll_ends_refused", tp->ends_refused + tp->ends.no_room);
}

static void list_groups(u32 mask, char *text, size_t size)
{
	size_t at = 0;

	text[0] = 0;
	for (u32 g = 0; g < PROBE_GROUPS; g++) {
		int n = mask & BIT(g) ? snprintf(text + at, size - at, "%s%s", at ? ", " : "", group_names[g]) : 0;

		if (n > 0 && (size_t)n < size - at)
			at += (size_t)n;
	}
}

static void say_taken(const struct task_probes *tp, u32 i, u64 start)
{
	const struct governor_verdict *v = &tp->taken[i].v;
	double after = (double)(tp->taken[i].ts - start) / 1e9;
	char groups[96], why[128];
	u32 first = (u32)__builtin_ctz(v->take);

	for (u32 g = 0; g < PROBE_GROUPS; g++)
		if (v->take & BIT(g) && v->why[g] == GOVERNOR_OVER)
			first = g;
	list_groups(v->take, groups, sizeof(groups));
	say_why(tp, v, v->why[first], why, sizeof(why));
	if (v->why[first] == GOVERNOR_LEARNED)
		log_info("note: the probes %s were taken away after %.1f s: %s", groups, after, why);
	else
		log_warn(
			"the probes %s were taken away after %.1f s: %s (--max-overhead); what they tell is missing from then on",
			groups, after, why);
}

void task_probes_say(const struct task_probes *tp, u64 start)
{
	const char *why = kernel_side_probe_why(tp->kernel);
	u32 detail = task_probes_groups(&tp->o) & (BIT(PROBE_POLL) | BIT(PROBE_SCHEDULE));

	if (tp->o.off)
		return;
	if (why)
		log_warn("the life of tasks was not recorded: %s", why);
	for (u32 g = 0; g < PROBE_GROUPS && !why; g++)
		if (detail & BIT(g) && !(tp->had & BIT(g)) && tp->impossible[g])
			log_warn("%s: no probe could be set: %s", g == PROBE_POLL ? "--polls" : "--wakes", tp->impossible[g]);
	for (u32 i = 0; i < tp->n_taken; i++)
		say_taken(tp, i, start);
}
