/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * task.bpf.h: what probes in a program's copy of Tokio send (record/probe_group.h): tasks that are made, end, are polled and woken. Each program knows the
 * registers at its place and no more; whether what they point to is a task is decided by user space, by its vtable.
 *
 * They run in the thread that hit the probe, which may be preempted meanwhile: see marker_hit() on why records are copied into the ring as a whole.
 *
 * Sources: tokio/src/runtime/task/core.rs (Header, Vtable, Cell), runtime/task/state.rs; library/core/src/panic/location.rs. 1.20 - 1.54.
 */
#pragma once

#include "outside.bpf.h"
#include "task_groups.h"
#include "tokio.bpf.h"

enum {
	HEAD_WORDS = 8,		/* of a task's Cell that one read takes: the Header, and nearly always what lies behind it */
	VTABLE_OFFSETS = 64,	/* in a Vtable: scheduler_offset, id_offset (1.23 and later) */
	CELL_MAX = 1 << 16,	/* more than any alignment makes of an offset in a Cell */
	SPAWNS = 4096,		/* slots for calls of spawn that are under way */
	SPAWN_DEPTH = 64 << 10, /* bytes of stack between a call of spawn and the bind that it leads to */
	OPEN_POLLS = 4,		/* of a thread, each within the one before, that are kept track of */
	POLLERS = 4096,		/* slots for threads that poll */
};

/* ends of polls that need not be told again: WIRE_END_KEY(), set by user space */
u64 known_ends[WIRE_END_SETS * WIRE_END_WAYS];

/* A call of a function that spawns, and that has not returned; by the thread's id modulo their number: an array is looked at in a few ns. */
struct spawn_call {
	u64 location[2], caller;
	u64 sp;	   /* where the address lies to which it returns */
	u64 check; /* spawn_check(); 0 none: threads that meet in a slot are told by it */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SPAWNS);
	__type(key, u32);
	__type(value, struct spawn_call);
} spawns SEC(".maps");

/* The polls that a thread is in; by the thread's id, as above. */
struct open_polls {
	u64 sp[OPEN_POLLS]; /* where the address lies to which each returns, the latest first; 0 none */
	u64 unsure;	    /* there may be others */
	u64 check;	    /* open_check(); 0: never used */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, POLLERS);
	__type(key, u32);
	__type(value, struct open_polls);
} polls SEC(".maps");

/* Registers of a uprobe's program, by the UAPI layout as in on_sample. */
enum { REG_AX = 10, REG_CX = 11, REG_DX = 12, REG_SI = 13, REG_DI = 14, REG_IP = 16, REG_SP = 19 };

static __always_inline u64 reg(const struct pt_regs *ctx, u32 n)
{
	return ((const volatile u64 *)ctx)[n];
}

static __always_inline u64 user_u64(u64 addr)
{
	u64 v;

	return bpf_probe_read_user(&v, sizeof(v), (void *)addr) ? 0 : v;
}

/* A hit; exact: these programs can be preempted, and others of the same cpu count then. */
static __always_inline void count_hit(u32 idx)
{
	u64 *v = stat_of(idx);

	if (v)
		__sync_fetch_and_add(v, 1);
}

/* Its time is that of the sending: so a poll has none of its begin's program in it, and a thread preempted before is not late. call: see may_call(). */
static __always_inline int send_task(void *e, u64 size, u32 kind, bool call)
{
	struct wire_hdr *h = e;
	void *ring = ring_of(h->cpu);
	u64 *sent = stat_of(WIRE_STAT_SENT + kind), flags = BPF_RB_NO_WAKEUP;

	if (!ring || !sent)
		return 0;
	h->ts = bpf_ktime_get_ns();
	if (call && may_call(h->ts))
		flags = BPF_RB_FORCE_WAKEUP;
	else if (!(*sent % 32)) /* as in submit() */
		flags = wake_flag_of(ring);
	if (bpf_ringbuf_output(ring, e, size, flags))
		stat_add(WIRE_STAT_LOST + kind);
	else
		__sync_fetch_and_add(sent, 1);
	return 0;
}

#define TASK_HDR(kind_id, cur)                                                                                                   \
	((struct wire_hdr){                                                                                                      \
		.kind = (kind_id), .cpu = bpf_get_smp_processor_id(), .tgid = (u32)(cur)->tgid, .tid = (u32)(cur)->pid})

/* A word of a Cell: from what was read at once, or by itself. */
static __always_inline u64 cell_u64(const u64 *head, u64 header, u64 off)
{
	u64 word = off / 8;

	if (off > CELL_MAX || off & 7)
		return 0;
	barrier_var(word); /* the compiler makes a mask of the two, by which the verifier sees no bound */
	return word < HEAD_WORDS ? head[word & (HEAD_WORDS - 1)] : user_u64(header + off);
}

/* Fills *r; *handle, unless NULL, with what the scheduler's field holds. */
static __always_inline void read_task(struct wire_task_ref *r, u64 header, u64 cookie, u64 *handle)
{
	u64 head[HEAD_WORDS], off[2];

	r->header = header;
	r->module = WIRE_COOKIE_MODULE(cookie);
	if (bpf_probe_read_user(head, sizeof(head), (void *)header))
		return;
	r->state = (u32)head[0];
	r->vtable = head[WIRE_COOKIE_VTABLE(cookie) / 8 & (HEAD_WORDS - 1)];
	if (!WIRE_COOKIE_IDS(cookie) || bpf_probe_read_user(off, sizeof(off), (void *)r->vtable + VTABLE_OFFSETS))
		return;
	r->task = cell_u64(head, header, off[1]);
	if (handle)
		*handle = cell_u64(head, header, off[0]);
}

/* What the thread itself is doing; all 0, "not read", in a child that has its parent's thread-locals. */
static __always_inline void read_by(struct wire_task_by *b, struct task_struct *cur)
{
	struct wire_target *t = target_of((u32)cur->tgid);
	struct wire_ctx x = {};

	if (!t || is_copied(cur))
		return;
	(void)read_ctx(t, &x, cur->thread.fsbase, true);
	b->task = x.task;
	b->budget = x.budget;
	b->status = x.status;
	b->runtime = x.runtime;
	b->entered = x.sched != 0;
}

/* ---- spawn ---- */

/* core::panic::Location as rustc 1.63 - 1.97 lays it out. */
struct location {
	u64 file, file_len;
	u32 line, column;
};

/* Near the code, as constants and code of one file are: rustc's code model (small) has them within 2 GB. */
static __always_inline bool is_near(u64 addr, u64 ip)
{
	return addr - ip + (1ULL << 31) < 1ULL << 32;
}

static __always_inline bool is_location(u64 addr, u64 ip)
{
	struct location l;

	if (addr & 7 || !is_near(addr, ip) || bpf_probe_read_user(&l, sizeof(l), (void *)addr))
		return false;
	return is_near(l.file, ip) && l.file_len - 1 < WIRE_LOCATION_FILE_MAX && l.line - 1 < WIRE_LOCATION_LINE_MAX &&
	       l.column - 1 < WIRE_LOCATION_LINE_MAX;
}

static __always_inline u64 spawn_check(const struct spawn_call *s, u32 tid)
{
	u64 h = s->location[0];

	h = h * 0x9e3779b97f4a7c15 + s->location[1];
	h = h * 0x9e3779b97f4a7c15 + s->caller;
	h = h * 0x9e3779b97f4a7c15 + s->sp;
	return (h * 0x9e3779b97f4a7c15 + tid) | 1;
}

static __always_inline struct spawn_call *spawn_slot(u32 tid)
{
	u32 i = tid % SPAWNS;

	return bpf_map_lookup_elem(&spawns, &i);
}

/*
 * A function with #[track_caller] that spawns is entered. Where the Location is depends on the future: passed by its address it leaves rsi; in registers, or not
 * at all, it leaves another; JoinSet's functions have `self` before both.
 */
static __always_inline int task_spawn_called(struct pt_regs *ctx, struct task_struct *cur)
{
	const u64 ip = reg(ctx, REG_IP);
	u64 may_be[4] = {reg(ctx, REG_SI), reg(ctx, REG_DX), reg(ctx, REG_DI), reg(ctx, REG_CX)};
	struct spawn_call s = {.sp = reg(ctx, REG_SP)}, *slot = spawn_slot((u32)cur->pid);

#pragma unroll
	for (u32 i = 0; i < 4; i++) {
		if (s.location[1] || !is_location(may_be[i], ip))
			continue;
		if (s.location[0])
			s.location[1] = may_be[i];
		else
			s.location[0] = may_be[i];
	}
	s.caller = user_u64(s.sp);
	s.check = spawn_check(&s, (u32)cur->pid);
	if (slot)
		*slot = s;
	return 0;
}

/*
 * The call of spawn that this thread is in, by which the task is made; false: none. One that never made a task, because it panicked, is not under way any more:
 * its return address is gone from the stack, or it lies below.
 */
static __always_inline bool take_spawn(struct spawn_call *s, u32 tid, u64 sp)
{
	struct spawn_call *slot = spawn_slot(tid);

	if (!slot || !slot->check)
		return false;
	*s = *slot;
	if (s->check != spawn_check(s, tid))
		return false;
	slot->check = 0;
	return s->sp - sp < SPAWN_DEPTH && s->caller && user_u64(s->sp) == s->caller;
}

/* A task is made: rsi is its Header. */
static __always_inline int task_made(struct pt_regs *ctx, struct task_struct *cur, bool blocking)
{
	struct wire_task_spawn e = {.h = TASK_HDR(WIRE_TASK_SPAWN, cur), .blocking = blocking};
	u64 cookie = bpf_get_attach_cookie(ctx), sp = reg(ctx, REG_SP);
	struct spawn_call s;

	read_task(&e.ref, reg(ctx, REG_SI), cookie, blocking ? 0 : &e.handle);
	read_by(&e.by, cur);
	if (take_spawn(&s, (u32)cur->pid, sp)) {
		e.location[0] = s.location[0];
		e.location[1] = s.location[1];
		e.caller = s.caller;
	} else {
		e.caller = user_u64(sp);
	}
	return send_task(&e, sizeof(e), WIRE_TASK_SPAWN, false);
}

/* ---- the others: rdi is the task's Header ---- */

static __always_inline int task_ended(struct pt_regs *ctx, struct task_struct *cur, bool freed)
{
	struct wire_task_end e = {.h = TASK_HDR(WIRE_TASK_END, cur), .freed = freed};

	read_task(&e.ref, reg(ctx, REG_DI), bpf_get_attach_cookie(ctx), 0);
	return send_task(&e, sizeof(e), WIRE_TASK_END, false);
}

static __always_inline bool is_known_end(u32 tgid, u64 addr)
{
	u64 key = WIRE_END_KEY(tgid, addr);
	const u64 *set = known_ends + WIRE_END_SET(key) * WIRE_END_WAYS;

	return set[0] == key || set[1] == key || set[2] == key || set[3] == key;
}

static __always_inline u64 open_check(const struct open_polls *o, u32 tid)
{
	u64 h = o->unsure;

#pragma unroll
	for (u32 i = 0; i < OPEN_POLLS; i++)
		h = h * 0x9e3779b97f4a7c15 + o->sp[i];
	return (h * 0x9e3779b97f4a7c15 + tid) | 1;
}

static __always_inline void leave_poll(struct open_polls *o)
{
#pragma unroll
	for (u32 i = 0; i + 1 < OPEN_POLLS; i++)
		o->sp[i] = o->sp[i + 1];
	o->sp[OPEN_POLLS - 1] = 0;
}

/* A poll begins whose return address lies at sp. Those that began deeper in the stack are over, with an end that nobody saw; unless there are several stacks. */
static __always_inline void poll_is_open(u32 tid, u64 sp)
{
	u32 at = tid % POLLERS;
	struct open_polls *slot = bpf_map_lookup_elem(&polls, &at), o;

	if (!slot)
		return;
	o = *slot;
	if (o.check != open_check(&o, tid))
		o = (struct open_polls){.unsure = o.check != 0};
#pragma unroll
	for (u32 i = 0; i < OPEN_POLLS; i++) {
		if (!o.sp[0] || o.sp[0] > sp)
			break;
		o.unsure |= o.sp[0] < sp;
		leave_poll(&o);
	}
	o.unsure |= o.sp[OPEN_POLLS - 1] != 0;
#pragma unroll
	for (u32 i = OPEN_POLLS - 1; i; i--)
		o.sp[i] = o.sp[i - 1];
	o.sp[0] = sp;
	o.check = open_check(&o, tid);
	*slot = o;
}

/*
 * Whether the thread came from a poll, or may have: the place can be some instructions behind the call (record/probe_place.h), and be reached by a jump, too. A
 * return has taken its address from the stack, and nothing in between moves the stack pointer; no poll can be open at that depth while its caller goes on.
 */
static __always_inline bool poll_is_over(u32 tid, u64 sp)
{
	u32 at = tid % POLLERS;
	struct open_polls *slot = bpf_map_lookup_elem(&polls, &at), o;
	bool found;

	if (!slot)
		return true;
	o = *slot;
	if (o.check != open_check(&o, tid))
		return true;
#pragma unroll
	for (u32 i = 0; i < OPEN_POLLS; i++) {
		if (!o.sp[0] || o.sp[0] + 8 >= sp)
			break;
		o.unsure = 1;
		leave_poll(&o);
	}
	found = o.sp[0] + 8 == sp;
	if (found)
		leave_poll(&o);
	o.check = open_check(&o, tid);
	*slot = o;
	return found || o.unsure;
}

static __always_inline int task_polled(struct pt_regs *ctx, struct task_struct *cur)
{
	struct wire_task_poll e = {.h = TASK_HDR(WIRE_TASK_POLL, cur)};

	read_task(&e.ref, reg(ctx, REG_DI), bpf_get_attach_cookie(ctx), 0);
	e.returns_to = user_u64(reg(ctx, REG_SP));
	poll_is_open(e.h.tid, reg(ctx, REG_SP));
	if (is_known_end(e.h.tgid, e.returns_to))
		e.returns_to = 0;
	return send_task(&e, sizeof(e), WIRE_TASK_POLL, e.returns_to != 0);
}

static __always_inline int task_poll_ended(struct pt_regs *ctx, struct task_struct *cur)
{
	struct wire_task_poll e = {.h = TASK_HDR(WIRE_TASK_POLL, cur), .end = 1};

	if (!poll_is_over(e.h.tid, reg(ctx, REG_SP)))
		return 0;
	e.ref.module = WIRE_COOKIE_MODULE(bpf_get_attach_cookie(ctx));
	return send_task(&e, sizeof(e), WIRE_TASK_POLL, false);
}

static __always_inline int task_scheduled(struct pt_regs *ctx, struct task_struct *cur)
{
	struct wire_task_wake e = {.h = TASK_HDR(WIRE_TASK_WAKE, cur)};
	u64 cookie = bpf_get_attach_cookie(ctx), header = reg(ctx, REG_SI);

	if (WIRE_COOKIE_HOW(cookie) == SCHEDULE_ENTRY)
		header = reg(ctx, REG_DI);
	read_task(&e.ref, header, cookie, 0);
	if (WIRE_COOKIE_HOW(cookie) == SCHEDULE_GUARDED && (!e.ref.vtable || reg(ctx, REG_AX) != e.ref.vtable))
		return 0;
	read_by(&e.by, cur);
	return send_task(&e, sizeof(e), WIRE_TASK_WAKE, false);
}
