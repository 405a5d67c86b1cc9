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

#include "base/array.h"
#include "base/clock.h"
#include "record/copies.h"
#include "record/link_closer.h"
#include "record/probe_place.h"
#include "record/probe_points.h"
#include "record/procfs.h"
#include "record/schedule_split.h"
#include "record/task_catalog.h"
#include "record/task_probes_impl.h"

/* Files are read in the main loop: so much of a turn at most (one more), for the ring must be drained. */
#define TICK_BUDGET	(50 * NSEC_PER_MSEC)
#define SPAWN_IN_FLIGHT NSEC_PER_MSEC /* a call of spawn that began before its probe was there has ended by then */

/* One call of kernel_side_probe(). */
struct probe {
	struct cat_process *p;
	u32 module;
	enum probe_group group;
	enum schedule_how how; /* of PROBE_SCHEDULE; else SCHEDULE_ENTRY */
	struct kernel_probe_links links;
	u64 ticket; /* link_closer.h: it is being taken away; 0: it is there */
};

/* A process that has probes. */
struct probed {
	struct cat_process *p;
	u64 cpu_ns; /* at the last window */
};

u32 task_probes_groups(const struct task_probes_opts *o)
{
	u32 life = BIT(PROBE_SPAWN) | BIT(PROBE_BIND) | BIT(PROBE_BLOCKING) | BIT(PROBE_COMPLETE) | BIT(PROBE_DEALLOC);
	u32 polls = BIT(PROBE_POLL) | BIT(PROBE_POLL_END);

	if (o->off)
		return 0;
	return life | (o->polls || o->wakes ? polls : 0) | (o->wakes ? BIT(PROBE_SCHEDULE) : 0);
}

/* ---- attach ---- */

static int add_probe(struct task_probes *tp, const struct probe *b)
{
	if (ARRAY_ROOM(tp->probes, tp->n, &tp->cap) < 0)
		return -ENOMEM;
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
	if (ARRAY_ROOM(tp->probed, tp->n_probed, &tp->cap_probed) < 0)
		return -ENOMEM;
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
	enum schedule_how how;
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
		if (tp->probes[i].module == a->module && a->module && tp->probes[i].group == a->group &&
		    tp->probes[i].how == a->how && !tp->probes[i].ticket)
			return &tp->probes[i];
	return NULL;
}

static void put_attached(struct task_probes *tp, const struct attach *a, const struct kernel_probe_links *l)
{
	probe_event_put(tp, &(struct probe_event){.p = a->p,
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
	struct probe b = {.p = a->p, .module = a->module, .group = a->group, .how = a->how};
	const struct probe *there = shared(tp, a);
	int err;

	kp.task.how = (u8)a->how;
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
		probe_event_impossible(tp, a->p, a->module, a->group, probe_event_why_not(tp, err));
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

static int attach_schedule(struct task_probes *tp, const struct attach *a)
{
	_cleanup_(schedule_split_release) struct schedule_split split = {0};
	struct attach part = *a;
	int err = schedule_split(a->p, a->module, a->offsets, a->n, &split);

	for (u32 how = 0; how < SCHEDULE_HOWS && !err; how++) {
		part.how = (enum schedule_how)how;
		part.offsets = split.part[how].offsets;
		part.n = split.part[how].n;
		err = part.n ? attach(tp, &part) : 0;
	}
	return err;
}

/* In the order of the groups: calls of spawn before what makes the task, so that no task seems to have been made without a call. */
static int attach_groups(struct task_probes *tp, struct cat_process *p, struct cat_copy *copy, const struct probe_file *f)
{
	u64 before = clock_ns(CLOCK_MONOTONIC);
	int err = 0;

	copy->by_shape = f->points.by_shape;
	for (u32 g = 0; g < PROBE_GROUPS && !err; g++) {
		const struct tokio_group *at = &f->points.group[g];
		const struct attach a = {
			.p = p, .module = copy->module, .file = f, .group = g, .offsets = at->offsets, .n = at->n};

		if (!is_wanted(tp, f, g))
			continue;
		if (at->n)
			err = g == PROBE_SCHEDULE ? attach_schedule(tp, &a) : attach(tp, &a);
		else
			probe_event_impossible(tp, p, copy->module, g, at->missing ? at->missing : "there is no such place");
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
	if (err == -ESRCH || err == -ENOENT ||
	    err == -EPERM) /* it has ended: -EPERM is the helper's, for what is no target any more */
		return 0;
	probe_event_impossible(tp, p, copy->module, PROBE_BIND,
			       err == -EACCES ? "the file cannot be opened" : "the file cannot be read");
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

/* From where a poll returns to, in that mapping: bytes to a place where a probe is cheaper. */
static u32 cheaper_place(struct cat_process *p, const struct cat_mapping *m, u64 addr)
{
	u8 code[PROBE_PLACE_CODE];
	size_t n = (size_t)min_u64(sizeof(code), m->end - addr);

	return cat_process_read(p, addr, code, n) == 0 ? probe_place_behind_call(code, n) : 0;
}

/* The place in the file of an address that follows a call in the mapped text of the module, or a little behind it; false: it is none. */
static bool place_of_end(struct cat_process *p, u32 module, u64 addr, u64 *ret_off)
{
	u8 code[POLL_END_CALL];

	for (u32 i = 0; i < p->n_maps; i++) {
		const struct cat_mapping *m = &p->maps[i];

		if (m->module != module || addr < m->start + sizeof(code) || addr >= m->end)
			continue;
		*ret_off = addr - m->start + m->file_off + cheaper_place(p, m, addr);
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
			governor_cpu_add(&tp->cpu, &tp->probed[i].cpu_ns, tp->probed[i].p->cpu_ns);
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

static void take_away(struct task_probes *tp, const struct governor_verdict *v, u64 now)
{
	char why[128];

	if (v->take & BIT(PROBE_SPAWN))
		stop_watching(tp, now);
	for (u32 g = 0; g < PROBE_GROUPS; g++) {
		struct probe_event w = {.group = g, .action = FMT_PROBE_TAKEN, .ts = now, .why = why};

		if (!(v->take & BIT(g)))
			continue;
		w.places = drop_group(tp, g);
		probe_event_why(tp, v, v->why[g], why, sizeof(why));
		probe_event_put(tp, &w);
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
	u64 cpu;

	for (u32 i = 0; i < tp->n_probed; i++)
		if (!tp->probed[i].p->gone && process_cpu(tp->probed[i].p->pid, &cpu))
			governor_cpu_add(&tp->cpu, &tp->probed[i].cpu_ns, cpu);
	return governor_cpu_take(&tp->cpu);
}

static struct governor_window measure(struct task_probes *tp, u64 now)
{
	struct kernel_probe_hits hits[PROBE_GROUPS];
	struct governor_window w = {.ns = now - tp->window_from, .cpu_ns = cpu_since(tp), .has_learned = has_learned(tp)};

	memcpy(hits, tp->seen, sizeof(hits));
	kernel_side_probe_hits(tp->kernel, hits);
	for (u32 g = 0; g < PROBE_GROUPS; g++) {
		w.hits[g] = hits[g].hits - tp->seen[g].hits;
		w.stepped[g] = hits[g].stepped - tp->seen[g].stepped;
		w.program_ns[g] = hits[g].ns - tp->seen[g].ns;
		tp->seen[g] = hits[g];
	}
	tp->window_from = now;
	return w;
}

static void govern(struct task_probes *tp, u64 now)
{
	struct governor_window w = measure(tp, now);
	struct governor_verdict v = governor_window(&tp->governor, &w);

	if (v.take)
		take_away(tp, &v, now);
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
		govern(tp, now);
	return t.err;
}

/* ---- begin and end ---- */

int task_probes_new(const struct task_probes_opts *o, struct catalog *c, struct kernel_side *k, struct task_probes **ret)
{
	struct task_probes *tp = calloc(1, sizeof(*tp));
	const char *why = o->off ? NULL : kernel_side_probe_why(k);
	struct kernel_probe_cost cost = {.stepped_ns = 0};

	if (!tp)
		return -ENOMEM;
	tp->o = *o;
	tp->cat = c;
	tp->kernel = k;
	if (kernel_side_probe_cost(k, &cost) < 0)
		cost.emulated_ns = GOVERNOR_TRAP_NS;
	tp->governor = (struct governor){.share = o->overhead, .trap_ns = cost.emulated_ns, .step_ns = cost.stepped_ns};
	if (probe_points_new(c, &tp->points) < 0 || link_closer_new(&tp->closer) < 0) {
		task_probes_free(tp);
		return -ENOMEM;
	}
	for (u32 g = 0; g < PROBE_GROUPS && why; g++)
		if (task_probes_groups(o) & BIT(g))
			probe_event_impossible(tp, NULL, 0, g, why);
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

	if (tp->first) {
		struct governor_window w = measure(tp, ts);

		(void)governor_window(&tp->governor, &w); /* for the sums: it is too late to take anything, whatever it says */
	}
	for (u32 g = 0; g < PROBE_GROUPS; g++) {
		struct probe_event what = {.group = g, .action = FMT_PROBE_KEPT, .ts = ts};

		what.places = drop_group(tp, g);
		if (tp->had & BIT(g) && !(taken & BIT(g)))
			probe_event_put(tp, &what);
	}
}
