/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * discover.c: see discover.h. A process goes through: unknown -> by symbol (contexts are read at once, so that nothing is missed while the runtime starts) ->
 * confirmed by the live scan. Without a symbol the scan alone decides. Several equally good places are never used.
 */
#include "record/discover.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "record/layout.h"
#include "record/procfs.h"

#define LOOK_FIRST (10 * NSEC_PER_MSEC)
#define LOOK_MAX   (5 * NSEC_PER_SEC)
enum { MAX_SCAN_THREADS = 512, MAX_CORE_RECORDS = 500000 };

/* Tables are built, and maps read, in the main loop: so much of a turn at most (one process more), for the ring must be drained. */
#define SCAN_BUDGET (50 * NSEC_PER_MSEC)

static void read_elf(struct cat_process *p)
{
	_cleanup_close_ int fd = proc_open_exe(p->fs, p->pid);

	p->elf_read = true;
	if (fd < 0 || tokio_elf_read(fd, &p->elf) < 0)
		p->elf = (struct tokio_elf){0};
}

static int tell_kernel(struct discover *d, struct cat_process *p)
{
	struct wire_target t = {.layout = {p->layout}, .map_first = p->slice.first, .map_n = p->slice.n, .map_gen = p->map_gen};

	/* threads that wait since before have had their stacks cut short; now they can be walked from outside */
	if (p->unpublished && p->met_unknown && p->slice.n) {
		d->want_snapshot = true;
		p->met_unknown = false;
	}
	p->unpublished = false;
	return kernel_side_set_target(d->kernel, p->pid, &t);
}

/* ---- the scan ---- */

struct thread_list {
	u32 pid;
	u32 n;
	struct layout_thread *threads; /* MAX_SCAN_THREADS */
};

static int collect_thread(void *ctx, const struct wire_task *t)
{
	struct thread_list *l = ctx;

	if (t->tgid == l->pid && l->n < MAX_SCAN_THREADS)
		l->threads[l->n++] = (struct layout_thread){.fsbase = t->fsbase, .sp = t->sp};
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

static int use_layout(struct discover *d, struct cat_process *p, const struct layout_result *r, u64 ts)
{
	bool same_place =
		p->layout.valid && p->layout.at == r->at[LAYOUT_CONTEXT] && p->layout_row && !strcmp(p->layout_row, r->row->name);

	p->layout_confirmed = r->outcome == LAYOUT_FOUND;
	p->layout_threads = r->threads;
	p->layout_row = r->row->name;
	p->found_by = found_by(r);
	p->ambiguous = false;
	if (!same_place) {
		layout_to_wire(r, p->elf.version, &p->layout);
		p->layout.valid = 1;
		p->layout.gen++;
		p->layout.want_core = 3; /* both flavors */
		p->layout_ts = ts;
		p->tick_from_mt = p->tick_from_ct = 0;
		d->want_snapshot = true;
	}
	catalog_layout(d->cat, p, ts);
	return tell_kernel(d, p);
}

static int look(struct discover *d, struct cat_process *p, u64 ts)
{
	_cleanup_free_ struct layout_thread *threads = calloc(MAX_SCAN_THREADS, sizeof(*threads));
	struct thread_list l = {.pid = p->pid, .threads = threads};
	struct layout_result r;
	int err;

	if (!threads)
		return -ENOMEM;
	p->look_interval_ns = p->look_interval_ns ? min_u64(p->look_interval_ns * 2, LOOK_MAX) : LOOK_FIRST;
	p->next_look_ns = ts + p->look_interval_ns;
	err = kernel_side_each_thread(d->kernel, collect_thread, &l);
	if (err)
		return err;
	if (proc_maps(p->fs, p->pid, collect_stack, &l) < 0)
		return 0; /* it is gone */
	err = layout_find(&p->elf, threads, l.n, cat_process_read, p, &r);
	if (err)
		return err;
	p->ambiguous = r.outcome == LAYOUT_AMBIGUOUS;
	if (r.outcome == LAYOUT_FOUND || (r.outcome == LAYOUT_BY_SYMBOL && !p->layout.valid))
		return use_layout(d, p, &r, ts);
	return 0;
}

int discover_process(struct discover *d, struct cat_process *p, u64 ts)
{
	int err;

	read_elf(p);
	if (catalog_scan_maps(d->cat, p, ts) < 0)
		return 0; /* gone already: its events still count */
	err = tell_kernel(d, p);
	return err ? err : look(d, p, ts);
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
		if (!p->elf_read)
			err = discover_process(t->d, p, now);
		else if (catalog_scan_due(p, now) && catalog_scan_maps(t->d->cat, p, now) == -ENOMEM)
			err = -ENOMEM;
	}
	return !err && p->unpublished ? tell_kernel(t->d, p) : err;
}

static void tick_process(void *ctx, struct cat_process *p)
{
	struct tick_ctx *t = ctx;

	if (!t->err)
		t->err = keep_current(t, p);
	if (!t->err && p->elf_read && !p->layout_confirmed && p->elf.tls_memsz && t->now >= p->next_look_ns)
		t->err = look(t->d, p, t->now);
}

int discover_tick(struct discover *d, u64 now)
{
	struct tick_ctx t = {.d = d, .now = now, .began = clock_ns(CLOCK_MONOTONIC)};

	catalog_each_process(d->cat, tick_process, &t);
	return t.err;
}

/* ---- the tick ---- */

int discover_core(struct discover *d, const struct wire_core *e)
{
	struct cat_process *p = catalog_process(d->cat, e->h.tgid);
	bool mt = e->ctx.flavor == WIRE_FLAVOR_MULTI_THREAD;
	u32 bit = 1u << (e->ctx.flavor - 1);
	struct calibrate **slot, *c;
	u16 *off;
	int found;

	if (!p || p->gone || e->ctx.gen != p->layout.gen || !(p->layout.want_core & bit))
		return 0;
	slot = mt ? &p->cal_mt : &p->cal_ct;
	c = *slot ? *slot : (*slot = calloc(1, sizeof(*c)));
	if (!c)
		return -ENOMEM;
	off = mt ? &p->layout.tick_mt : &p->layout.tick_ct;
	found = calibrate_add(c, e);
	if (found < 0) {
		if (c->records < MAX_CORE_RECORDS)
			return 0;
		p->layout.want_core &=
			~bit; /* it will not come to a decision: CPU-bound polls stay unclassified, and the report says so */
		return tell_kernel(d, p);
	}
	/* records read with the right offset all along are good from the first on */
	*(mt ? &p->tick_from_mt : &p->tick_from_ct) = *off == found ? max_u64(p->layout_ts, 1) : e->h.ts + NSEC_PER_MSEC;
	*off = (u16)found;
	p->layout.want_core &= ~bit;
	catalog_layout(d->cat, p, e->h.ts);
	return tell_kernel(d, p);
}
