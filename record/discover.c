/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * discover.c: see discover.h. A process goes through: unknown -> by symbol (contexts are read at once, so that nothing is missed while the runtime starts) ->
 * confirmed by the live scan. Without a symbol the scan alone decides. Several equally good places are never used.
 */
#include "record/discover.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "record/copies.h"
#include "record/procfs.h"
#include "record/refusals.h"
#include "record/task_lists.h"

#define LOOK_FIRST (10 * NSEC_PER_MSEC)
#define LOOK_MAX   (5 * NSEC_PER_SEC)
#define LOOK_AGAIN (20 * NSEC_PER_SEC) /* at a copy that is confirmed but open: a program may never run a worker */
enum { MAX_SCAN_THREADS = 512, MAX_CORE_RECORDS = 500000 };

/* Tables are built, and maps read, in the main loop: so much of a turn at most (one process more), for the ring must be drained. */
#define SCAN_BUDGET (50 * NSEC_PER_MSEC)

static int tell_kernel(struct discover *d, struct cat_process *p)
{
	struct wire_target t = {.map_first = p->slice.first, .map_n = p->slice.n, .map_gen = p->map_gen};

	/* threads that wait since before have had their stacks cut short; now they can be walked from outside */
	if (p->unpublished && p->met_unknown && p->slice.n) {
		d->want_snapshot = true;
		p->met_unknown = false;
	}
	p->unpublished = false;
	copies_to_wire(p, &t);
	return kernel_side_set_target(d->kernel, p->pid, &t);
}

/* ---- the scan ---- */

struct thread_list {
	struct cat_process *p;
	const struct cat_copy *copy;
	struct tls_place where;
	u32 n;
	struct layout_thread *threads; /* MAX_SCAN_THREADS, as all below */
	struct sleeper *sleepers;      /* of the same threads */
	struct layout_word *words;     /* what they say */
};

/* Whether a thread has run between two looks at it. */
struct sleeper {
	u32 tid;
	bool is_asleep;
	u64 switches;
};

static int collect_thread(void *ctx, const struct wire_task *t)
{
	struct thread_list *l = ctx;
	u64 tls_end;

	if (t->tgid != l->p->pid || l->n == MAX_SCAN_THREADS)
		return 0;
	tls_end = copies_tls_end(l->p, l->copy, &l->where, t->fsbase);
	if (!tls_end)
		return 0;
	l->sleepers[l->n] = (struct sleeper){t->tid, t->state != 0, t->nvcsw + t->nivcsw};
	l->threads[l->n++] = (struct layout_thread){.tls_end = tls_end, .sp = t->sp};
	return 0;
}

static int collect_stack(void *ctx, const struct proc_map *m)
{
	struct thread_list *l = ctx;

	for (u32 i = 0; i < l->n; i++) {
		if (l->threads[i].sp >= m->start && l->threads[i].sp < m->end) {
			l->threads[i].stack_start = m->start;
			l->threads[i].stack_end = m->end;
		}
	}
	return 0;
}

static const char *found_by(const struct layout_result *r)
{
	if (r->outcome == LAYOUT_BY_SYMBOL)
		return "symbol";
	return r->symbol_agrees ? "symbol+scan" : "scan";
}

/* The layout as the kernel side uses it: places count from where it finds the copy's base. */
static struct wire_layout wire_of(const struct cat_copy *c, const struct tls_place *where, const struct layout_result *r)
{
	struct wire_layout l = {.valid = 1, .want_core = 3 /* both flavors */};

	layout_to_wire(r, &l);
	l.dtv_off = where->dtv_off;
	l.at = copies_place_from_base(c, where, l.at);
	l.at_mt = copies_place_from_base(c, where, l.at_mt);
	l.at_ct = copies_place_from_base(c, where, l.at_ct);
	l.at_budget = copies_place_from_base(c, where, l.at_budget);
	l.at_runtime = copies_place_from_base(c, where, l.at_runtime);
	return l;
}

/* What an earlier look has seen and this one has not, no thread being in that scheduler now. */
static void keep_places(struct wire_layout *l, const struct wire_layout *known)
{
	if (l->at_mt == WIRE_NOWHERE)
		l->at_mt = known->at_mt;
	if (l->at_ct == WIRE_NOWHERE)
		l->at_ct = known->at_ct;
}

static bool has_spoken(const struct layout_witness *w)
{
	return w->fit[0] || w->fit[1];
}

/* A reading that no thread ever confirmed gives way to one that threads have: what it told is void. */
static void take_reading(struct cat_copy *c, const struct layout_result *r)
{
	bool is_other = c->reading && !layout_reads_alike(c->reading, r->row);

	if (is_other && (c->wire.valid || c->is_unfit) && !has_spoken(&c->witness))
		c->void_until = clock_ns(CLOCK_MONOTONIC);
	if (is_other || !c->reading)
		c->witness = (struct layout_witness){0};
	c->is_unfit = false;
	c->reading = r->row;
}

static int use_layout(struct discover *d, struct thread_list *tl, struct cat_copy *c, const struct layout_result *r, u64 ts)
{
	struct wire_layout l = wire_of(c, &tl->where, r);
	bool same_row = c->wire.valid && c->row && !strcmp(c->row, r->row->name), same_place;

	take_reading(c, r);
	memcpy(c->at, r->at, sizeof(c->at));
	if (same_row)
		keep_places(&l, &c->wire);
	same_place = same_row && c->wire.dtv_off == l.dtv_off && c->wire.at == l.at && c->wire.at_mt == l.at_mt &&
		     c->wire.at_ct == l.at_ct && c->wire.at_budget == l.at_budget && c->wire.at_runtime == l.at_runtime;
	c->is_confirmed = r->outcome == LAYOUT_FOUND;
	c->is_partial = r->is_partial;
	c->threads = r->threads;
	c->row = r->row->name;
	c->found_by = found_by(r);
	c->is_ambiguous = false;
	if (!same_place) {
		l.gen = catalog_next_gen(d->cat);
		c->wire = l;
		c->tls_back = l.at == WIRE_NOWHERE ? 0 : (u64)(0 - (s64)r->at[LAYOUT_CONTEXT]);
		c->layout_ts = ts;
		c->tick_from_mt = c->tick_from_ct = 0;
		free(TAKE_PTR(c->cal_mt)); /* what it was fed with was read otherwise */
		free(TAKE_PTR(c->cal_ct));
		d->want_snapshot = true;
	}
	catalog_layout(d->cat, tl->p, c, ts);
	return tell_kernel(d, tl->p);
}

/* ---- what threads say of it ---- */

/* Of a thread that has run since it was asked, what was read may be of two moments. */
static int still_asleep(void *ctx, const struct wire_task *t)
{
	struct thread_list *l = ctx;

	for (u32 i = 0; t->tgid == l->p->pid && i < l->n; i++)
		if (l->sleepers[i].tid == t->tid)
			l->sleepers[i].is_asleep &= t->state != 0 && t->nvcsw + t->nivcsw == l->sleepers[i].switches;
	return 0;
}

/* What it told and will tell is void; who is there and when it ran is recorded all the same. */
static int give_up_layout(struct discover *d, struct cat_process *p, struct cat_copy *c, u64 ts)
{
	if (!d->is_quiet)
		log_warn("%s", REFUSAL_UNFIT);
	catalog_row(d->cat, FMT_META,
		    &(struct fmt_meta){.key = catalog_string(d->cat, "tokio.not_usable"),
				       .value = catalog_string(d->cat, REFUSAL_UNFIT)});
	c->is_unfit = true;
	c->is_confirmed = c->is_partial = c->is_ambiguous = false;
	c->void_until = UINT64_MAX;
	c->tick_from_mt = c->tick_from_ct = 0;
	c->wire.valid = 0;
	c->wire.want_core = 0;
	c->wire.gen = 0; /* records that were read with it and are still to come are none of this copy's */
	catalog_layout(d->cat, p, c, ts);
	return tell_kernel(d, p);
}

/* Without a reading: symbols say that there is a Tokio, threads may show that no row is right. */
static int ask_threads(struct discover *d, struct thread_list *l, struct cat_copy *c, u64 ts)
{
	const struct layout_row *row = c->wire.valid ? c->reading : NULL;
	u32 n = 0;
	int err;

	if (c->is_unfit || (!row && c->is_ambiguous))
		return 0;
	err = layout_ask(c->elf, row, c->at, l->threads, l->n, cat_process_read, l->p, l->words);
	for (u32 i = 0; i < l->n; i++)
		n += l->words[i].what != LAYOUT_SAYS_NOTHING && l->sleepers[i].is_asleep;
	if (err || !n)
		return err;
	err = kernel_side_each_thread(d->kernel, still_asleep, l);
	if (err)
		return err;
	for (u32 i = 0; i < l->n; i++)
		if (!l->sleepers[i].is_asleep)
			l->words[i] = (struct layout_word){0};
	layout_hear(&c->witness, l->words, l->n);
	return layout_is_refuted(&c->witness) ? give_up_layout(d, l->p, c, ts) : 0;
}

/*
 * A worker that is in its runtime, but has its core out of its place, fits rows of other builds, too: until one was seen with it, another row of the same place is
 * still possible, and so is that none is right.
 */
static bool is_open(const struct cat_copy *c)
{
	return c->is_confirmed && c->reading->mt_owner != WIRE_NO_FIELD && !c->witness.fit[1];
}

static bool is_better(const struct cat_copy *c, const struct layout_result *r)
{
	if (r->outcome != LAYOUT_FOUND || (c->is_unfit && layout_reads_alike(c->reading, r->row)))
		return false;
	if (!c->is_confirmed || c->is_partial)
		return true;
	return r->with_mt_core && !layout_reads_alike(c->reading, r->row) && !memcmp(c->at, r->at, sizeof(c->at));
}

static int look(struct discover *d, struct cat_process *p, struct cat_copy *c, u64 ts)
{
	_cleanup_free_ struct layout_thread *threads = calloc(MAX_SCAN_THREADS, sizeof(*threads));
	_cleanup_free_ struct sleeper *sleepers = calloc(MAX_SCAN_THREADS, sizeof(*sleepers));
	_cleanup_free_ struct layout_word *words = calloc(MAX_SCAN_THREADS, sizeof(*words));
	struct thread_list l = {.p = p, .copy = c, .threads = threads, .sleepers = sleepers, .words = words};
	struct layout_result r;
	u64 max;
	int err;

	if (!threads || !sleepers || !words)
		return -ENOMEM;
	max = c->is_confirmed && !c->is_partial ? LOOK_AGAIN : LOOK_MAX;
	c->look_interval_ns = c->look_interval_ns ? min_u64(c->look_interval_ns * 2, max) : LOOK_FIRST;
	c->next_look_ns = ts + c->look_interval_ns;
	if (copies_place(p, c, &l.where) < 0)
		return 0; /* it is being loaded, or gone */
	err = kernel_side_each_thread(d->kernel, collect_thread, &l);
	if (err)
		return err;
	if (proc_maps(p->fs, p->pid, collect_stack, &l) < 0)
		return 0; /* it is gone */
	err = layout_find(c->elf, threads, l.n, cat_process_read, p, &r);
	if (err)
		return err;
	c->is_ambiguous = r.outcome == LAYOUT_AMBIGUOUS && !c->is_confirmed && !c->is_unfit;
	c->candidates = r.candidates;
	if (is_better(c, &r) || (r.outcome == LAYOUT_BY_SYMBOL && !c->wire.valid && !c->is_unfit))
		err = use_layout(d, &l, c, &r, ts);
	return err ? err : ask_threads(d, &l, c, ts);
}

/* At every copy whose runtime is not confirmed and whose time has come. */
static int look_at_copies(struct discover *d, struct cat_process *p, u64 ts, u64 now)
{
	int err = 0;

	for (u32 i = 0; i < p->n_copies && !err; i++) {
		struct cat_copy *c = &p->copies[i];

		if ((!c->is_confirmed || c->is_partial || is_open(c)) && c->is_mapped && !c->refused && now >= c->next_look_ns)
			err = look(d, p, c, ts);
	}
	return err;
}

/* What was mapped may hold a copy of Tokio, whoever has had the maps read: a stack at an address in no known mapping does, too. */
static int refresh_copies(struct discover *d, struct cat_process *p)
{
	bool changed = false;
	int err = p->is_rescanned ? copies_refresh(d->cat, p, &changed) : 0;

	p->is_rescanned = false;
	p->unpublished |= changed;
	return err;
}

int discover_process(struct discover *d, struct cat_process *p, u64 ts)
{
	int err;

	p->is_discovered = true;
	err = catalog_scan_maps(d->cat, p, ts);
	if (!err)
		err = refresh_copies(d, p);
	if (err)
		return err == -ENOMEM ? err : 0; /* gone already: its events still count */
	err = tell_kernel(d, p);
	return err ? err : look_at_copies(d, p, ts, ts);
}

struct tick_ctx {
	struct discover *d;
	u64 now;
	u64 began; /* this turn, CLOCK_MONOTONIC ns */
	int err;
};

/* Processes and images that are new, and new mappings of those that are known. */
static int keep_current(struct tick_ctx *t, struct cat_process *p)
{
	u64 now = clock_ns(CLOCK_MONOTONIC);
	int err = 0;

	if (now - t->began < SCAN_BUDGET) {
		if (!p->is_discovered)
			err = discover_process(t->d, p, now);
		else if (catalog_scan_due(p, now))
			err = catalog_scan_maps(t->d->cat, p, now);
		if (err != -ENOMEM) /* others: it is gone */
			err = 0;
	}
	if (!err && p->is_discovered)
		err = refresh_copies(t->d, p);
	return !err && p->unpublished ? tell_kernel(t->d, p) : err;
}

static void tick_process(void *ctx, struct cat_process *p)
{
	struct tick_ctx *t = ctx;

	if (!t->err)
		t->err = keep_current(t, p);
	if (!t->err && p->is_discovered)
		t->err = look_at_copies(t->d, p, t->now, t->now);
}

int discover_tick(struct discover *d, u64 now)
{
	struct tick_ctx t = {.d = d, .now = now, .began = clock_ns(CLOCK_MONOTONIC)};

	catalog_each_process(d->cat, tick_process, &t);
	return t.err ? t.err : task_lists_tick(d->cat, !d->no_lists);
}

/* ---- the tick ---- */

int discover_core(struct discover *d, const struct wire_core *e)
{
	struct cat_process *p = catalog_process(d->cat, e->h.tgid);
	struct cat_copy *copy = p ? copies_by_gen(p, e->ctx.gen) : NULL;
	bool mt = e->ctx.flavor == WIRE_FLAVOR_MULTI_THREAD;
	u32 bit = 1u << (e->ctx.flavor - 1);
	struct calibrate **slot, *c;
	u16 *off, found_at;
	int found, err;
	bool is_same;

	if (!copy || p->gone || !(copy->wire.want_core & bit))
		return 0;
	slot = mt ? &copy->cal_mt : &copy->cal_ct;
	c = *slot ? *slot : (*slot = calloc(1, sizeof(*c)));
	if (!c)
		return -ENOMEM;
	off = mt ? &copy->wire.tick_mt : &copy->wire.tick_ct;
	found = calibrate_add(c, e);
	if (found < 0) {
		if (c->records < MAX_CORE_RECORDS)
			return 0;
		copy->wire.want_core &=
			~bit; /* it will not come to a decision: CPU-bound polls stay unclassified, and the report says so */
		return tell_kernel(d, p);
	}
	found_at = (u16)(found + (mt ? 0 : copy->wire.core_from));
	is_same = *off == found_at;
	*off = found_at;
	copy->wire.want_core &= ~bit;
	err = tell_kernel(d, p);
	if (err)
		return err;
	/*
	 * Records read with the right offset all along are good from the first on. Else from when the kernel side knows it, which may be long after the
	 * record that decided: that waited in the ring, and until then ticks are what lay at the wrong place.
	 */
	*(mt ? &copy->tick_from_mt : &copy->tick_from_ct) =
		is_same ? max_u64(copy->layout_ts, 1) : clock_ns(CLOCK_MONOTONIC) + NSEC_PER_MSEC;
	catalog_layout(d->cat, p, copy, e->h.ts);
	return 0;
}
