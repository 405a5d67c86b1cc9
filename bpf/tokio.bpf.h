/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * tokio.bpf.h: reads the Tokio context of the current thread. Offsets come from user space (struct wire_layout); what the fields
 * mean is decided offline.
 *
 * Sources: tokio/src/runtime/context.rs (Context), runtime/scheduler/mod.rs (scheduler::Context), multi_thread/worker.rs and
 * current_thread/mod.rs (Core), tokio 1.20 - 1.54; before 1.29 macros/scoped_tls.rs (CURRENT), before 1.22 coop.rs and runtime/enter.rs.
 * record/layout_ctx.c reads the same way from outside.
 */
#pragma once

#include "emit.bpf.h"

#define CTX_BYTES  WIRE_CTX_BYTES
#define CORE_BYTES 128

enum {
	MT_QUEUE_HEAD = 24, /* in that Arc: u64, low half the real head */
	WORKER_HANDLE = 16, /* in Arc<Worker> */
};

struct ctx_bytes {
	u8 at[CTX_BYTES];
};

/* Reads at an offset that the verifier can bound: the context is copied as a whole. */
static __always_inline u64 ctx_u64(const u8 *c, u32 off)
{
	u64 v;

	if (off > CTX_BYTES - 8)
		return 0;
	__builtin_memcpy(&v, c + off, 8);
	return v;
}

static __always_inline u8 ctx_u8(const u8 *c, u32 off)
{
	return off < CTX_BYTES ? c[off] : 0;
}

/*
 * Both fields by one read where they lie near: what a read costs does not depend on its length, up to there. If it reaches past the Core into memory that is
 * not there, each is read by itself.
 */
static __always_inline int read_core(const struct wire_layout *l, struct wire_ctx *x)
{
	u64 core[CORE_BYTES / 8], park;

	if (x->flavor == WIRE_FLAVOR_MULTI_THREAD && l->off_park <= CORE_BYTES - 8 && l->tick_mt <= CORE_BYTES - 8 &&
	    !(l->off_park & 7) && !(l->tick_mt & 3) && !bpf_probe_read_user(core, sizeof(core), (void *)x->core)) {
		x->park = core[l->off_park / 8 % (CORE_BYTES / 8)] != 0;
		x->tick = (u32)(core[l->tick_mt / 8 % (CORE_BYTES / 8)] >> (l->tick_mt & 4) * 8);
		return 0;
	}
	if (x->flavor == WIRE_FLAVOR_MULTI_THREAD) {
		if (bpf_probe_read_user(&park, sizeof(park), (void *)x->core + l->off_park))
			return -1;
		x->park = park != 0;
		return bpf_probe_read_user(&x->tick, 4, (void *)x->core + l->tick_mt);
	}
	return bpf_probe_read_user(&x->tick, 4, (void *)x->core + l->tick_ct);
}

static __always_inline int read_sched(const struct wire_layout *l, struct wire_ctx *x)
{
	u64 s[4] = {}; /* [tag,] owner, borrow flag, core in the order of the layout */
	bool mt;

	if (bpf_probe_read_user(s, sizeof(s), (void *)x->sched))
		return -1;
	if (l->off_sched != WIRE_NO_FIELD)
		x->flavor = l->has_flavor_tag && (u8)s[0] == 1 ? WIRE_FLAVOR_MULTI_THREAD : WIRE_FLAVOR_CURRENT_THREAD;
	mt = x->flavor == WIRE_FLAVOR_MULTI_THREAD;
	x->core = s[(mt ? l->mt_core : l->ct_core) / 8 & 3];
	return x->core ? read_core(l, x) : 0;
}

/*
 * The base of a library's thread-locals, of which *base is the thread pointer: glibc allocates a thread's block when the thread first uses it. 1: it has none
 * yet; -1: the read faulted. Source: dtv_t of glibc's sysdeps/generic/dl-dtv.h, unchanged since 2.25: dtv[-1] is the number of slots, an empty one is 0 or -1.
 */
static __always_inline int library_base(const struct wire_layout *l, u64 *base)
{
	u64 dtv, slots, block;

	if (bpf_probe_read_user(&dtv, 8, (void *)*base + 8) || bpf_probe_read_user(&slots, 8, (void *)dtv - 16))
		return -1;
	if (slots < l->dtv_off / 16)
		return 1;
	if (bpf_probe_read_user(&block, 8, (void *)dtv + l->dtv_off))
		return -1;
	*base = block;
	return block + 1 < 2;
}

static __always_inline int note_unread(struct wire_ctx *x)
{
	x->status = WIRE_CTX_UNREAD;
	stat_add(WIRE_STAT_UNREAD);
	return -1;
}

static __always_inline void read_fields(const struct wire_layout *l, struct wire_ctx *x, const u8 *c)
{
	x->task = ctx_u64(c, l->off_id);
	if (l->off_id_tag != WIRE_NO_FIELD && ctx_u64(c, l->off_id_tag) != 1)
		x->task = 0;
	x->budget = ctx_u8(c, l->off_budget) == 1 ? 1 + ctx_u8(c, l->off_budget + 1) : 0;
	x->runtime = ctx_u8(c, l->off_runtime);
}

/*
 * Before 1.29 each scheduler has a thread-local of its own for what Context.scheduler is now. Both are set where a worker's task called block_in_place and
 * within it ran a current-thread runtime: that is the inner one.
 */
static __always_inline int read_slots(const struct wire_layout *l, struct wire_ctx *x, u64 base)
{
	if (l->at_ct != WIRE_NOWHERE && bpf_probe_read_user(&x->sched, 8, (void *)(base + (s64)l->at_ct)))
		return -1;
	if (x->sched) {
		x->flavor = WIRE_FLAVOR_CURRENT_THREAD;
		return 0;
	}
	if (l->at_mt != WIRE_NOWHERE && bpf_probe_read_user(&x->sched, 8, (void *)(base + (s64)l->at_mt)))
		return -1;
	x->flavor = x->sched ? WIRE_FLAVOR_MULTI_THREAD : WIRE_FLAVOR_UNKNOWN;
	return 0;
}

/*
 * Before 1.29; before 1.22 budget and runtime are thread-locals of their own, too, and there is no task id. A function of its own: today's programs do not pay
 * for it. buf is the caller's, for the stack is small.
 */
__attribute__((noinline)) int read_old(const struct wire_layout *l, struct wire_ctx *x, u64 base, struct ctx_bytes *buf)
{
	u8 *c;

	if (!l || !x || !buf)
		return -1;
	c = buf->at;
	if (l->at == WIRE_NOWHERE) {
		if (bpf_probe_read_user(c, 2, (void *)(base + (s64)l->at_budget)) ||
		    bpf_probe_read_user(&x->runtime, 1, (void *)(base + (s64)l->at_runtime)))
			return note_unread(x);
		x->budget = c[0] == 1 ? 1 + c[1] : 0;
	} else {
		if (bpf_probe_read_user(c, CTX_BYTES, (void *)(base + (s64)l->at)))
			return note_unread(x);
		read_fields(l, x, c);
	}
	if (read_slots(l, x, base))
		return note_unread(x);
	/* Context is made when it is first used, and all 0 until then, which would read as "entered" */
	if (l->at != WIRE_NOWHERE && !x->sched && !x->runtime && !x->budget && !x->task)
		x->runtime = WIRE_NOT_ENTERED;
	x->status = WIRE_CTX_READ;
	return 0;
}

/* What CONTEXT itself says. 0; -1 when there is nothing more to read: status then tells why. */
static __always_inline int read_outer(const struct wire_layout *l, struct wire_ctx *x, u64 base)
{
	struct ctx_bytes c;

	x->status = WIRE_CTX_NO_LAYOUT;
	x->gen = l->gen;
	if (!l->valid)
		return -1;
	if (!base)
		return note_unread(x);
	if (l->dtv_off) {
		int missing = library_base(l, &base);

		if (missing < 0)
			return note_unread(x);
		if (missing) { /* the thread has not used this copy */
			x->status = WIRE_CTX_READ;
			x->runtime = WIRE_NOT_ENTERED;
			return -1;
		}
	}
	if (l->off_sched == WIRE_NO_FIELD)
		return read_old(l, x, base, &c);
	if (bpf_probe_read_user(&c, sizeof(c), (void *)(base + (s64)l->at)))
		return note_unread(x);
	x->sched = ctx_u64(c.at, l->off_sched);
	read_fields(l, x, c.at);
	x->status = WIRE_CTX_READ;
	return 0;
}

/*
 * Fills *x for the current thread, whose fs base is given, as one copy of Tokio has it. A read that faults leaves status UNREAD: "unknown", never "not in a
 * runtime". A global function, so that the verifier looks at it once (unwind.bpf.h).
 */
__attribute__((noinline)) int read_copy(const struct wire_layout *l, struct wire_ctx *x, u64 fs)
{
	if (!l || !x)
		return 0;
	if (read_outer(l, x, fs) == 0 && x->sched && read_sched(l, x))
		(void)note_unread(x);
	return 0;
}

/* The same for one that wakes another: which task it runs; flavor, Core and what lies in it are left out, which halves the price. */
__attribute__((noinline)) int read_copy_task(const struct wire_layout *l, struct wire_ctx *x, u64 fs)
{
	if (l && x)
		(void)read_outer(l, x, fs);
	return 0;
}

/* Whether the thread has anything to do with the copy it was read with. record/copies.c has the same rule. */
static __always_inline bool is_inside(const struct wire_ctx *x)
{
	return x->status == WIRE_CTX_READ && (x->sched || x->budget || x->task || x->runtime != WIRE_NOT_ENTERED);
}

/*
 * Of several copies of Tokio the first in whose runtime the thread is; else as the first has it, which *x was read with. Returns its number, below WIRE_COPIES.
 * Read into *x anew each time: a second struct would not fit on the stack, which all functions that are called share.
 */
__attribute__((noinline)) int read_other_copies(const struct wire_target *t, struct wire_ctx *x, u64 fs, int only_task)
{
	u32 i = 1;

	if (!t || !x)
		return 0;
	for (u32 turn = 1; turn <= WIRE_COPIES; turn++) {
		*x = (struct wire_ctx){};
		if (only_task)
			read_copy_task(&t->layout[i], x, fs);
		else
			read_copy(&t->layout[i], x, fs);
		if (!i || is_inside(x)) /* none: the first one's word */
			return (int)i;
		i = i + 1 < WIRE_COPIES && t->layout[i + 1].valid ? i + 1 : 0;
	}
	return 0;
}

/* Of one copy, which is what nearly all processes have, this is all. */
static __always_inline u32 read_ctx(const struct wire_target *t, struct wire_ctx *x, u64 fs, bool only_task)
{
	u32 copy;

	if (only_task)
		read_copy_task(&t->layout[0], x, fs);
	else
		read_copy(&t->layout[0], x, fs);
	if (is_inside(x) || !t->layout[1].valid)
		return 0;
	copy = (u32)read_other_copies(t, x, fs, only_task);
	barrier_var(copy); /* the compiler knows what it returns, the verifier does not */
	return copy < WIRE_COPIES ? copy : 0;
}

/* How many tasks wait to run, for "who paid": each 1 + number, 0 not read, as in struct wire_switch_out. */
struct queue_depths {
	u32 inject;
	u16 queued;
	u8 lifo;
	u8 pad;
};

#define MAX_LOCAL  256	   /* slots of a worker's queue */
#define MAX_QUEUED 65534   /* of the current-thread scheduler's, which has no bound: this means so many or more */
#define MAX_INJECT 1000000 /* more makes no sense */

static __always_inline int worker_depths(const struct wire_layout *l, const struct wire_ctx *x, struct queue_depths *q)
{
	u64 lifo, queue, ends[2];
	u32 depth;

	if (l->off_queue == WIRE_NO_FIELD)
		return 0;
	if (bpf_probe_read_user(&lifo, 8, (void *)x->core + l->off_lifo) ||
	    bpf_probe_read_user(&queue, 8, (void *)x->core + l->off_queue) ||
	    bpf_probe_read_user(ends, sizeof(ends), (void *)queue + MT_QUEUE_HEAD))
		return -1;
	depth = (u32)ends[1] - (u32)ends[0];
	if (depth > MAX_LOCAL)
		return -1;
	q->lifo = 1 + (lifo != 0);
	q->queued = (u16)(1 + depth);
	return 0;
}

static __always_inline int current_thread_depth(const struct wire_layout *l, const struct wire_ctx *x, struct queue_depths *q)
{
	u64 n;

	if (l->off_tasks == WIRE_NO_FIELD)
		return 0;
	if (bpf_probe_read_user(&n, 8, (void *)x->core + l->off_tasks) || n > MAX_INJECT)
		return -1;
	q->queued = (u16)(1 + (n < MAX_QUEUED ? n : MAX_QUEUED));
	return 0;
}

/*
 * Of the runtime whose Core the thread has; called in a poll only. What makes no sense is left 0. A function of its own, so that the verifier looks at it once.
 * `q` is zeroed by the caller.
 */
__attribute__((noinline)) int read_queues(const struct wire_layout *l, const struct wire_ctx *x, struct queue_depths *q)
{
	u64 handle, n;
	bool mt;

	if (!l || !x || !q || !x->core)
		return 0;
	mt = x->flavor == WIRE_FLAVOR_MULTI_THREAD;
	if (mt ? worker_depths(l, x, q) : current_thread_depth(l, x, q))
		return 0;
	if ((mt ? l->off_inject : l->off_inject_ct) == WIRE_NO_FIELD)
		return 0;
	if (bpf_probe_read_user(&handle, 8, (void *)x->sched + (mt ? l->mt_owner : l->ct_owner)) ||
	    (mt && bpf_probe_read_user(&handle, 8, (void *)handle + WORKER_HANDLE)) ||
	    bpf_probe_read_user(&n, 8, (void *)handle + (mt ? l->off_inject : l->off_inject_ct)))
		return 0;
	if (n <= MAX_INJECT)
		q->inject = 1 + (u32)n;
	return 0;
}

/*
 * The poll that a thread was last sampled in, by its tid modulo the number of places; two that meet there cost each other their depths, no more. Without a lock,
 * for a sample may come in an interrupt that no lock is safe in.
 */
#define POLLS_SEEN 4096
struct poll_seen {
	u64 key;
	u32 tid;
	u32 samples;
};
static struct poll_seen polls_seen[POLLS_SEEN]; /* static: user space need not know it */

/*
 * Depths are of use where a poll holds the cpu: from the second sample of one poll on, which is where that begins to show, now and then while it lasts, and in the
 * first sample behind it. Others would pay for them with bytes: nearly every sample of a healthy program is in another poll than the one before.
 */
static __always_inline bool wants_queues(u32 tid, const struct wire_ctx *x)
{
	struct poll_seen *s = &polls_seen[tid % POLLS_SEEN];
	u64 key = (x->core ^ (u64)x->tick << 48 ^ x->task << 20) * 0x9e3779b97f4a7c15ULL ^ x->tick;
	u32 before;

	if (s->tid == tid && s->key == key) {
		s->samples++;
		return s->samples == 2 || s->samples % 16 == 0;
	}
	before = s->tid == tid ? s->samples : 0;
	s->key = key;
	s->tid = tid;
	s->samples = 1;
	return before >= 2;
}

/* Policy (the only one in the kernel): which switch-outs deserve a stack. 35-blocking.md section 7. */
static __always_inline bool is_idle_wait(const struct wire_ctx *x)
{
	if (x->status != WIRE_CTX_READ || x->budget)
		return false;
	if (!x->sched)
		return x->runtime == WIRE_NOT_ENTERED && !x->task; /* idle pool thread, or not Tokio's */
	if (x->flavor == WIRE_FLAVOR_MULTI_THREAD)
		return x->core && !x->park;
	return x->core &&
	       !x->task; /* current-thread: no poll, so it parks; with an id it may be task::unconstrained(), which has no budget */
}
