/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_lists.c: see task_lists.h. A runtime goes: met -> its row is found, a look now and then until it is -> the walk, in slices between drains of the ring -> its
 * rows, in slices, too -> done, or unknown for a reason. A layout found anew (another gen) has its rows' offsets looked for again; its tasks are written once.
 */
#include "record/task_lists.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "record/copies.h"
#include "record/task_catalog.h"

#define SLICE	   (8 * NSEC_PER_MSEC) /* of a turn, in which the ring is not drained */
#define LOOK_AGAIN (500 * NSEC_PER_MSEC)
enum { MAX_RUNTIMES = 1024 /* of a process */, MAX_LOOKS = 20, STEP = 128 /* tasks between two looks at the clock */ };

enum progress { MET, WALKING, WRITING, DONE, UNKNOWN };

struct task_runtime {
	u64 handle, sched;
	u32 copy;	    /* index */
	u32 gen;	    /* of its layout when it was met last */
	bool mt, is_placed; /* the kernel side is told where its queues are, as far as they are known */
	enum progress progress;
	enum runtime_look look;	  /* how the last one ended */
	enum owned_status walked; /* how the walk ended */
	u32 looks;
	u64 next_look; /* CLOCK_MONOTONIC ns */
	u32 tasks;     /* WRITING, DONE: how many were written */
	const struct runtime_row *row;
};

struct task_lists {
	u32 n, cap;
	struct task_runtime *runtimes;
	u32 walking; /* 1 + index; 0 none: one list of a process at a time */
	struct owned_walk walk;
};

void task_lists_release(struct cat_process *p)
{
	if (!p->lists)
		return;
	owned_walk_release(&p->lists->walk);
	free(p->lists->runtimes);
	free(p->lists);
	p->lists = NULL;
}

static struct task_runtime *find(const struct task_lists *l, u64 handle, u32 copy)
{
	for (u32 i = 0; i < l->n; i++)
		if (l->runtimes[i].handle == handle && l->runtimes[i].copy == copy)
			return &l->runtimes[i];
	return NULL;
}

static struct task_runtime *add(struct cat_process *p)
{
	struct task_lists *l = p->lists ? p->lists : (p->lists = calloc(1, sizeof(*l)));

	if (!l || l->n == MAX_RUNTIMES)
		return NULL;
	if (l->n == l->cap) {
		u32 cap = l->cap ? l->cap * 2 : 4;
		struct task_runtime *r = reallocarray(l->runtimes, cap, sizeof(*r));

		if (!r)
			return NULL;
		l->runtimes = r;
		l->cap = cap;
	}
	return &l->runtimes[l->n++];
}

void task_lists_meet(struct cat_process *p, const struct cat_copy *copy, const struct wire_ctx *x, u64 handle)
{
	u32 i = (u32)(copy - p->copies);
	struct task_runtime *r = p->lists ? find(p->lists, handle, i) : NULL;

	if (!handle)
		return;
	if (!r) {
		r = add(p);
		if (r)
			*r = (struct task_runtime){.handle = handle, .copy = i};
	}
	if (!r || r->gen == copy->wire.gen)
		return;
	r->gen = copy->wire.gen;
	r->sched = x->sched;
	r->mt = x->flavor == WIRE_FLAVOR_MULTI_THREAD;
	r->is_placed = false;
	r->looks = 0;
	r->next_look = 0;
}

/* ---- which row ---- */

/* The current-thread Core that a thread holds in the context that the runtime was met in, if it still is one of that runtime. */
static u64 core_of(struct cat_process *p, const struct task_runtime *r)
{
	const struct wire_layout *l = &p->copies[r->copy].wire;
	u64 owner, core;

	if (r->mt || cat_process_read(p, r->sched + l->ct_owner, &owner, sizeof(owner)) < 0 || owner != r->handle ||
	    cat_process_read(p, r->sched + l->ct_core, &core, sizeof(core)) < 0)
		return 0;
	return core;
}

/* What is known already stays: runtimes of one copy and flavor are alike. */
static bool place(struct wire_layout *w, bool mt, const struct runtime_layout *found)
{
	u16 *inject = mt ? &w->off_inject : &w->off_inject_ct;

	if (*inject == WIRE_NO_FIELD)
		*inject = found->inject_len;
	if (!mt && w->off_tasks == WIRE_NO_FIELD)
		w->off_tasks = found->tasks_len;
	return *inject != WIRE_NO_FIELD && (mt || w->off_tasks != WIRE_NO_FIELD);
}

static void look(struct cat_process *p, struct task_runtime *r, u64 now)
{
	struct cat_copy *c = &p->copies[r->copy];
	const struct runtime_at at = {.handle = r->handle, .core = core_of(p, r), .mt = r->mt};
	struct runtime_layout found;

	r->looks++;
	r->next_look = now + LOOK_AGAIN;
	r->look = runtime_find(c->elf->version, &at, cat_process_read, p, &found);
	if (r->look != RUNTIME_FITS) {
		if (r->looks >= MAX_LOOKS && r->progress == MET)
			r->progress = UNKNOWN;
		return;
	}
	r->row = found.row;
	if (c->wire.valid && c->wire.gen == r->gen) {
		struct wire_layout before = c->wire;

		r->is_placed = place(&c->wire, r->mt, &found);
		p->unpublished |= before.off_inject != c->wire.off_inject || before.off_inject_ct != c->wire.off_inject_ct ||
				  before.off_tasks != c->wire.off_tasks;
	}
}

/* ---- its tasks ---- */

static u64 now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* From where it stopped the time before. True when all are written. */
static bool write_tasks(struct catalog *cat, struct cat_process *p, struct task_runtime *r, u64 until)
{
	struct cat_copy *c = &p->copies[r->copy];
	u32 n, i = r->tasks;
	const struct owned_task *t = owned_walk_tasks(&p->lists->walk, &n);

	for (; i < n && (i % STEP || i == r->tasks || now_ns() < until); i++)
		catalog_row(cat, FMT_TASK_ALIVE,
			    &(struct fmt_task_alive){.ts = t[i].ts,
						     .layout = c->layout_idx,
						     .handle = r->handle,
						     .task = t[i].id,
						     .vtable = task_catalog_vtable(cat, p, c, t[i].vtable),
						     .state = t[i].state});
	r->tasks = i;
	return i == n;
}

static int walk(struct cat_process *p, struct task_runtime *r, u64 until)
{
	struct owned_walk *w = &p->lists->walk;
	enum owned_status st;

	do
		st = owned_walk_step(w, STEP, cat_process_read, p, now_ns);
	while (st == OWNED_MORE && now_ns() < until);
	if (st == OWNED_MORE)
		return 0;
	r->walked = st;
	r->progress = st == OWNED_DONE ? WRITING : UNKNOWN;
	return st == OWNED_NO_MEMORY ? -ENOMEM : 0;
}

/* The list that is under way, as far as there is time. */
static int go_on(struct catalog *cat, struct cat_process *p, u64 until)
{
	struct task_lists *l = p->lists;
	struct task_runtime *r = &l->runtimes[l->walking - 1];
	int err = r->progress == WALKING ? walk(p, r, until) : 0;

	if (r->progress == WRITING && write_tasks(cat, p, r, until))
		r->progress = DONE;
	if (r->progress == DONE || r->progress == UNKNOWN) {
		owned_walk_release(&l->walk);
		l->walking = 0;
	}
	return err;
}

struct tick {
	struct catalog *cat;
	bool walks;
	u64 until;
	int err;
};

static void tick_process(void *ctx, struct cat_process *p)
{
	struct tick *t = ctx;
	struct task_lists *l = p->lists;
	u64 now = now_ns();

	for (u32 i = 0; l && i < l->n && !t->err && now < t->until; i++, now = now_ns()) {
		struct task_runtime *r = &l->runtimes[i];

		/* looks go on after the walk, until the places of its queues are known */
		if ((!r->row || !r->is_placed) && r->looks < MAX_LOOKS && now >= r->next_look && l->walking != i + 1)
			look(p, r, now);
		if (t->walks && r->progress == MET && r->row && !l->walking) {
			owned_walk_begin(&l->walk, r->row, r->handle);
			l->walking = i + 1;
			r->progress = WALKING;
		}
		if (l->walking == i + 1)
			t->err = go_on(t->cat, p, t->until);
	}
}

int task_lists_tick(struct catalog *cat, bool walks)
{
	struct tick t = {.cat = cat, .walks = walks, .until = now_ns() + SLICE};

	catalog_each_process(cat, tick_process, &t);
	return t.err;
}

/* ---- the end ---- */

/* NULL: it was walked. */
static const char *why_unknown(const struct task_runtime *r)
{
	if (r->progress == DONE)
		return NULL;
	if (r->progress == WALKING)
		return "the recording or the process ended first";
	if (!r->row) {
		switch (r->look) {
		case RUNTIME_EMPTY:
			return "it had no task by which its list could be told";
		case RUNTIME_AMBIGUOUS:
			return "several layouts fit its memory equally well";
		default:
			return r->looks ? "no known layout fits its memory" : "the recording or the process ended first";
		}
	}
	switch (r->walked) {
	case OWNED_TOO_MANY:
		return "it has too many";
	case OWNED_CHANGING:
		return "its list changed too fast: no two looks agreed";
	default:
		return "its list could not be read";
	}
}

struct finish {
	struct catalog *cat;
	struct task_lists_counts n;
};

static void finish_process(void *ctx, struct cat_process *p)
{
	struct finish *f = ctx;
	char text[FMT_MAX_STRING];

	for (u32 i = 0; p->lists && i < p->lists->n; i++) {
		struct task_runtime *r = &p->lists->runtimes[i];
		const char *why;

		if (r->progress == WRITING && write_tasks(f->cat, p, r, UINT64_MAX)) /* all of a list, or nothing */
			r->progress = DONE;
		why = why_unknown(r);
		f->n.runtimes++;
		f->n.walked += !why;
		f->n.tasks += r->tasks;
		if (!why)
			continue;
		(void)snprintf(text, sizeof(text), "process %u, runtime 0x%llx: %s", p->pid, (unsigned long long)r->handle, why);
		catalog_row(f->cat, FMT_META,
			    &(struct fmt_meta){.key = catalog_string(f->cat, "tasks.list_unknown"),
					       .value = catalog_string(f->cat, text)});
	}
}

struct task_lists_counts task_lists_finish(struct catalog *cat)
{
	struct finish f = {.cat = cat};

	catalog_each_image(cat, finish_process, &f);
	return f.n;
}
