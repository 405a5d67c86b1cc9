/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * layout_ctx.c: what a layout that was found says to the kernel side, and the kernel side's reading (bpf/tokio.bpf.h) once more for threads that are looked at
 * from outside. Both must give the same for the same memory.
 */
#include "record/layout.h"

#include <errno.h>

/* Where the bytes for calibration begin: the Core's start, or near the tick where that lies too far in (the driver came first before 1.32). */
static u16 core_from(u16 tick)
{
	return tick == WIRE_NO_FIELD || tick < WIRE_CORE_BYTES ? 0 : (u16)((tick - WIRE_CORE_BYTES / 2) & ~7);
}

void layout_to_wire(const struct layout_result *r, struct wire_layout *l)
{
	const struct layout_row *row = r->row;

	l->dtv_off = 0;
	l->at = r->at[LAYOUT_CONTEXT];
	l->at_mt = r->at[LAYOUT_MT];
	l->at_ct = r->at[LAYOUT_CT];
	l->at_budget = r->at[LAYOUT_BUDGET];
	l->at_runtime = r->at[LAYOUT_RUNTIME];
	l->off_sched = row->sched;
	l->off_id = row->id;
	l->off_id_tag = row->id_tag;
	l->off_budget = row->budget;
	l->off_runtime = row->runtime;
	l->has_flavor_tag = row->flavor_tag;
	l->mt_owner = row->mt_owner;
	l->mt_core = row->mt_core;
	l->ct_owner = row->ct_owner;
	l->ct_core = row->ct_core;
	l->off_park = row->park;
	l->off_lifo = row->lifo;
	l->off_queue = row->plain_queue && row->lifo != WIRE_NO_FIELD ? row->queue : WIRE_NO_FIELD;
	l->off_inject = l->off_inject_ct = l->off_tasks = WIRE_NO_FIELD; /* task_lists.c finds them */
	l->tick_mt = row->tick_mt;
	l->tick_ct = row->tick_ct;
	l->core_from = core_from(row->tick_ct);
}

/*
 * The schedulers' own thread-locals, before 1.29. Both are set where a worker's task called block_in_place and within it ran a current-thread runtime: that is
 * the inner one.
 */
static int read_slots(const struct wire_layout *l, u64 base, layout_read_fn read, void *ctx, struct wire_ctx *x)
{
	const s32 at[] = {l->at_ct, l->at_mt};
	static const u8 flavors[] = {WIRE_FLAVOR_CURRENT_THREAD, WIRE_FLAVOR_MULTI_THREAD};

	for (u32 i = 0; i < ARRAY_SIZE(at) && !x->sched; i++) {
		if (at[i] == WIRE_NOWHERE)
			continue;
		if (read(ctx, base + (u64)(s64)at[i], &x->sched, sizeof(x->sched)) < 0)
			return -EFAULT;
		x->flavor = x->sched ? flavors[i] : WIRE_FLAVOR_UNKNOWN;
	}
	return 0;
}

/* Before 1.22 there is no Context, and no task id. */
static int read_split(const struct wire_layout *l, u64 base, layout_read_fn read, void *ctx, struct wire_ctx *x)
{
	u8 budget[2];

	if (read(ctx, base + (u64)(s64)l->at_budget, budget, sizeof(budget)) < 0 ||
	    read(ctx, base + (u64)(s64)l->at_runtime, &x->runtime, sizeof(x->runtime)) < 0)
		return -EFAULT;
	x->budget = budget[0] == 1 ? (u16)(1 + budget[1]) : 0;
	return read_slots(l, base, read, ctx, x);
}

static int read_context(const struct wire_layout *l, u64 base, layout_read_fn read, void *ctx, struct wire_ctx *x)
{
	u8 c[WIRE_CTX_BYTES];
	bool has_sched = l->off_sched != WIRE_NO_FIELD;

	if (read(ctx, base + (u64)(s64)l->at, c, sizeof(c)) < 0)
		return -EFAULT;
	x->task = layout_u64(c, l->off_id);
	if (l->off_id_tag != WIRE_NO_FIELD && layout_u64(c, l->off_id_tag) != 1)
		x->task = 0;
	x->budget = c[l->off_budget] == 1 ? (u16)(1 + c[l->off_budget + 1]) : 0;
	x->runtime = c[l->off_runtime];
	if (has_sched) {
		x->sched = layout_u64(c, l->off_sched);
		return 0;
	}
	if (read_slots(l, base, read, ctx, x) < 0)
		return -EFAULT;
	/* made when first used: all 0 until then, which would read as "entered" */
	if (!x->sched && !x->runtime && !x->budget && !x->task)
		x->runtime = WIRE_NOT_ENTERED;
	return 0;
}

static int read_sched(const struct wire_layout *l, layout_read_fn read, void *ctx, struct wire_ctx *x)
{
	u64 c[4], park;
	bool mt;

	if (read(ctx, x->sched, c, sizeof(c)) < 0)
		return -EFAULT;
	if (l->off_sched != WIRE_NO_FIELD)
		x->flavor = l->has_flavor_tag && (u8)c[0] == 1 ? WIRE_FLAVOR_MULTI_THREAD : WIRE_FLAVOR_CURRENT_THREAD;
	mt = x->flavor == WIRE_FLAVOR_MULTI_THREAD;
	x->core = c[(mt ? l->mt_core : l->ct_core) / 8 % 4];
	if (!x->core)
		return 0;
	if (mt) {
		if (read(ctx, x->core + l->off_park, &park, sizeof(park)) < 0)
			return -EFAULT;
		x->park = park != 0;
	}
	return read(ctx, x->core + (mt ? l->tick_mt : l->tick_ct), &x->tick, sizeof(x->tick));
}

void layout_read_ctx(const struct wire_layout *l, u64 base, layout_read_fn read, void *ctx, struct wire_ctx *ret)
{
	struct wire_ctx x = {.status = WIRE_CTX_NO_LAYOUT, .gen = l->gen};
	int err;

	*ret = x;
	if (!l->valid)
		return;
	ret->status = WIRE_CTX_UNREAD;
	if (!base)
		return;
	err = l->at == WIRE_NOWHERE ? read_split(l, base, read, ctx, &x) : read_context(l, base, read, ctx, &x);
	if (err < 0 || (x.sched && read_sched(l, read, ctx, &x) < 0))
		return;
	x.status = WIRE_CTX_READ;
	*ret = x;
}

int layout_read_owner(const struct wire_layout *l, const struct wire_ctx *x, layout_read_fn read, void *ctx,
		      struct layout_owner *ret)
{
	u64 first, worker[2]; /* handle, index */

	_Static_assert(LAYOUT_WORKER_INDEX == LAYOUT_WORKER_HANDLE + 8, "one read takes both");

	/* current-thread: the handle itself; multi-thread: Arc<Worker> { strong, weak, handle, index, .. } */
	if (read(ctx, x->sched + (x->flavor == WIRE_FLAVOR_MULTI_THREAD ? l->mt_owner : l->ct_owner), &first, sizeof(first)) < 0)
		return -EFAULT;
	if (x->flavor != WIRE_FLAVOR_MULTI_THREAD) {
		*ret = (struct layout_owner){.handle = first};
		return layout_is_user_addr(first) ? 0 : -EBADMSG;
	}
	if (!layout_is_user_addr(first) || read(ctx, first + LAYOUT_WORKER_HANDLE, worker, sizeof(worker)) < 0)
		return -EFAULT;
	if (!layout_is_user_addr(worker[0]) || worker[1] >= LAYOUT_MAX_WORKERS)
		return -EBADMSG;
	*ret = (struct layout_owner){.handle = worker[0], .worker = (u32)worker[1] + 1};
	return 0;
}
