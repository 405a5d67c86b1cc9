/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * stack.bpf.h: takes a stack, sends it once, returns its hash. User stacks are walked by unwind tables (unwind.h), kernel stacks are the kernel's own.
 *
 * A program works in the record of its slot: nothing that can interrupt it uses the same one.
 */
#pragma once

#include "emit.bpf.h"
#include "unwind.h"

const volatile bool careful = false; /* user memory is read to the program's stack only: record/kernel_bugs.h */

enum {
	SLOT_SWITCH = 0, /* sched_switch: interrupts are off */
	SLOT_SAMPLE = 1, /* the cpu clock: in a hard interrupt, which may interrupt any program but these two */
	SLOT_WAKING =
		2, /* sched_waking of another thread than the current one: interrupts are off, too (try_to_wake_up(), pi_lock) */
	SLOT_UPROBE = 3, /* the first of those for programs that others of their kind can preempt: slot_claim() */
	STACK_SLOTS = 7,
};

enum {
	KERNEL_FRAMES = 127,	 /* what the kernel gives at most, unless kernel.perf_event_max_stack was raised */
	NOTE_WORDS = 128,	 /* words of the stack that a note holds, */
	STARTING_NS = 100000000, /* after fork or exec: the time that the loader and user space need for a program's mappings */
	NOTE_SPAN = 8192,	 /* and the bytes from sp on in which they have to be */
};

/*
 * What a thread's last whole walk depended on. A walk is a function of the registers it starts with, the mappings and tables, and the words of
 * the stack that its steps read; nothing else goes into it. So when a thread is found with the same ip and sp, mappings of the same generation (a
 * generation ends when an address may mean other code), and every word that was read is what it was, then a walk would take the same steps and give the same
 * frames: the first step has the same input, so it reads the same addresses, finds the same words, and hands the same state to the second. fp is special
 * only in that a step may leave it alone: its value, from the register or a word, counts from the first rule that uses it on, and is noted then.
 *
 * Walks that read more than return addresses and frame pointers (code bytes before a guess, a signal's registers, realigned stacks), that did not end whole, or
 * whose words do not fit are not noted.
 */
struct walk_note {
	u64 ip, sp, fp;
	u64 hash;
	u32 tgid, map_gen;
	u32 usable;
	u32 exact;
	u32 needs_fp; /* the register's value was used */
	u32 n;
	u32 span; /* bytes from sp on that hold all n words */
	u32 pad;
	u64 word[NOTE_WORDS];
	u16 at[NOTE_WORDS]; /* place of each, in words from sp */
};

struct walk {
	u32 busy; /* of a slot that is claimed: slot_claim() */
	u32 pad;
	u64 hash;
	struct uw u;
	struct walk_note note;
	struct wire_stack stack; /* n frames are there */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STACK_SLOTS);
	__type(key, u32);
	__type(value, struct walk);
} walks SEC(".maps");

/*
 * A thread's note is only touched by the cpu that switches the thread out, and deleted by the thread's exit. Not task storage: before 6.4 that allocates in a way
 * that can dead-lock in sched_switch (kernel commit "bpf: Use bpf_mem_cache_alloc/free in bpf_local_storage_elem").
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096); /* threads beyond that are walked each time */
	__type(key, u32);	   /* tid */
	__type(value, struct walk_note);
} notes SEC(".maps");

struct stack_copy {
	u64 word[NOTE_SPAN / 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct stack_copy);
} stack_copies SEC(".maps");

/* When processes were forked or execed, CLOCK_MONOTONIC ns. Not in struct wire_target, which user space writes: it may not know of it yet. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 10);
	__type(key, u32); /* tgid */
	__type(value, u64);
} starts SEC(".maps");

/* Stacks sent already. A lost entry only means that a stack is sent twice. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 16);
	__type(key, u64);
	__type(value, u8);
} stacks_seen SEC(".maps");

static __always_inline struct walk *walk_of(u32 slot)
{
	return bpf_map_lookup_elem(&walks, &slot);
}

/*
 * A slot for a uprobe's program: since 6.0 it runs with preemption on, so that another thread's may begin on the same cpu before it is through (it cannot move
 * to another cpu). STACK_SLOTS when all are taken. To be released.
 */
static __always_inline u32 slot_claim(void)
{
	for (u32 slot = SLOT_UPROBE; slot < STACK_SLOTS; slot++) {
		struct walk *w = walk_of(slot);

		if (w && !__sync_val_compare_and_swap(&w->busy, 0, 1))
			return slot;
	}
	return STACK_SLOTS;
}

static __always_inline void slot_release(u32 slot)
{
	struct walk *w = walk_of(slot);

	if (w)
		(void)__sync_lock_test_and_set(&w->busy, 0);
}

static __always_inline u64 mix(u64 h, u64 v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ULL;
	return h ^ (h >> 29);
}

/* ---- notes ---- */

static __always_inline void note_word(struct walk_note *note, u64 addr, u64 value)
{
	u64 at = addr - note->sp;
	u32 n = note->n;

	if (n >= NOTE_WORDS || at > NOTE_SPAN - 8 || at & 7) {
		note->usable = 0;
		return;
	}
	note->word[n] = value;
	note->at[n] = (u16)(at >> 3);
	note->n = n + 1;
	if (note->span < at + 8)
		note->span = at + 8;
}

/* The hash of the stack that a walk from w->u would give again; 0: it has to be walked. */
__attribute__((noinline)) u64 same_walk(struct walk_note *note, struct walk *w)
{
	struct stack_copy *copy;
	u32 zero = 0, span, n;
	u64 h;

	if (!note || !w || careful)
		return 0;
	if (note->ip != w->u.ip || note->sp != w->u.sp || note->exact != (w->u.flags & UW_EXACT) ||
	    note->map_gen != w->note.map_gen || note->tgid != w->note.tgid || (note->needs_fp && note->fp != w->u.fp))
		return 0;
	copy = bpf_map_lookup_elem(&stack_copies, &zero);
	span = note->span;
	n = note->n;
	if (!copy || span > sizeof(*copy) || bpf_probe_read_user(copy, span, (void *)note->sp))
		return 0;
	for (u32 i = 0; i < NOTE_WORDS; i++) {
		barrier_var(n); /* keep the test an order, not an inequality: the verifier must see the bound */
		if (i >= n)
			break;
		if (copy->word[note->at[i] % (NOTE_SPAN / 8)] != note->word[i])
			return 0;
	}
	h = note->hash;
	return bpf_map_lookup_elem(&stacks_seen, &h) ? h : 0;
}

static __always_inline void keep_note(struct walk_note *note, u64 hash, u32 tid)
{
	note->hash = hash;
	bpf_map_update_elem(&notes, &tid, note, BPF_ANY);
}

/* ---- walks ---- */

/* Adds the frame that the walk is at, and goes to its caller. */
__attribute__((noinline)) int walk_frame(struct walk *w)
{
	u64 fp, fp_at;
	u32 n;
	int r;

	if (!w)
		return UW_BROKEN;
	n = w->stack.n;
	if (n >= WIRE_MAX_FRAMES)
		return UW_TRUNCATED;
	w->stack.frames[n] = w->u.ip;
	w->stack.n = n + 1;
	w->hash = mix(w->hash, w->u.ip);
	fp = w->u.fp;
	fp_at = w->u.fp_at;
	r = uw_step(&w->u);
	if (!w->note.usable)
		return r;
	if (w->u.flags & UW_USED_FP) {
		if (!fp_at)
			w->note.needs_fp = 1;
		else
			note_word(&w->note, fp_at, fp);
	}
	if (w->u.flags & UW_OTHER)
		w->note.usable = 0;
	w->u.flags &= ~(u32)UW_OUT;
	if (r == UW_MORE || !w->u.ip)
		note_word(&w->note, w->u.sp - 8, w->u.ip);
	return r;
}

/* Walks from w->u on. skip_first: the innermost frame is not part of the stack. Leaves stack.n, status and fp_from. */
__attribute__((noinline)) int walk_user(struct walk *w, u32 skip_first)
{
	int r = UW_MORE;

	if (!w)
		return UW_BROKEN;
	if (skip_first)
		r = uw_step(&w->u);
	for (u32 i = 0; i <= WIRE_MAX_FRAMES; i++) {
		if (r != UW_MORE)
			break;
		r = walk_frame(w);
	}
	w->stack.status = (u16)r;
	w->stack.fp_from = w->u.fp_from ? (u16)(w->u.fp_from - (skip_first != 0)) : 0;
	return r;
}

/*
 * In place of walk_user() for a new thread: it stands behind the system call on an empty stack, and the C library ends the function's call frame information before that.
 */
__attribute__((noinline)) int walk_new_thread(struct walk *w, u32 skip_first)
{
	if (!w)
		return UW_BROKEN;
	if (!skip_first) {
		w->stack.frames[0] = w->u.ip;
		w->stack.n = 1;
		w->hash = mix(w->hash, w->u.ip);
	}
	w->note.usable = 0;
	w->stack.status = UW_WHOLE;
	w->stack.fp_from = 0;
	return UW_WHOLE;
}

/* Sends the stack unless it was sent before. Returns its hash, 0 when it is lost. */
__attribute__((noinline)) u64 send_stack(struct walk *w)
{
	struct wire_stack *s;
	u64 h, size;
	u32 n;
	u8 one = 1;
	bool settled;

	if (!w)
		return 0;
	s = &w->stack;
	h = mix(w->hash, (u64)s->status << 1 | s->in_syscall) | 1; /* 0 means none */
	/* one with a pc in no known mapping makes user space look at the mappings: let it be told again as long as that has not helped */
	settled = s->status != UW_NO_MAPPING && s->status != UW_STARTING;
	if (settled && bpf_map_lookup_elem(&stacks_seen, &h))
		return h;
	n = s->n;
	if (n > WIRE_MAX_FRAMES)
		return 0;
	s->h.kind = WIRE_STACK;
	s->h.cpu = bpf_get_smp_processor_id();
	s->h.ts = bpf_ktime_get_ns();
	s->h.tid = 0;
	s->hash = h;
	size = __builtin_offsetof(struct wire_stack, frames) + (u64)n * 8;
	if (output(s, size, !settled && may_call(s->h.ts))) {
		stat_add(WIRE_STAT_LOST + WIRE_STACK);
		return 0;
	}
	stat_add(WIRE_STAT_SENT + WIRE_STACK);
	if (settled)
		bpf_map_update_elem(&stacks_seen, &h, &one, BPF_ANY);
	return h;
}

/* User registers, and how they came about. */
struct user_regs {
	u64 ip, sp, fp;
	u64 regs; /* address of the struct pt_regs that they are in; 0 not known */
	u32 in_syscall;
	u32 new_thread; /* it did not run yet, or goes back from the clone that made it: nobody has called it */
};

static __always_inline void begin_walk(struct walk *w, const struct wire_target *t, const struct user_regs *r, u32 tgid)
{
	u32 gen = t->map_gen;

	uw_start(&w->u, t->map_first, t->map_n, r->ip, r->sp, r->fp, r->in_syscall);
	w->u.regs = r->regs;
	w->hash = mix(0x2545f4914f6cdd1dULL, (u64)gen << 32 | tgid);
	w->stack.h.tgid = tgid;
	w->stack.kernel = 0;
	w->stack.n = 0;
	w->note.tgid = tgid;
	w->note.map_gen = gen;
}

static __always_inline void note_start(u32 tgid)
{
	u64 now = bpf_ktime_get_ns();

	bpf_map_update_elem(&starts, &tgid, &now, BPF_ANY);
}

static __always_inline bool is_starting(u32 tgid)
{
	const u64 *ts = bpf_map_lookup_elem(&starts, &tgid);

	return ts && bpf_ktime_get_ns() - *ts < STARTING_NS;
}

static __always_inline u64 end_walk(struct walk *w, int status)
{
	if ((status == UW_NO_MAPPING || (status == UW_FAULT && w->stack.n <= 1)) && is_starting(w->stack.h.tgid))
		w->stack.status = status = UW_STARTING;
	stat_add(WIRE_STAT_WALK + (u32)status % UW_STATUSES);
	stat_sum(WIRE_STAT_WALK_FRAMES, w->stack.n);
	return send_stack(w);
}

/* The callers of the innermost frame. */
__attribute__((noinline)) u64 callers(u32 slot, const struct wire_target *t, const struct user_regs *r, u32 tgid)
{
	struct walk *w = walk_of(slot);

	if (!w || !t || !r)
		return 0;
	begin_walk(w, t, r, tgid);
	w->stack.in_syscall = 0;
	w->note.usable = 0;
	return end_walk(w, r->new_thread ? walk_new_thread(w, 1) : walk_user(w, 1));
}

/* All frames of a thread that is switched out. tid 0: it will not come back. */
__attribute__((noinline)) u64 thread_stack(const struct wire_target *t, const struct user_regs *r, u32 tgid, u32 tid)
{
	struct walk *w = walk_of(SLOT_SWITCH);
	struct walk_note *last = bpf_map_lookup_elem(&notes, &tid);
	u64 h;
	int status;

	if (!w || !t || !r)
		return 0;
	begin_walk(w, t, r, tgid);
	if (last) {
		h = same_walk(last, w);
		if (h) {
			stat_add(WIRE_STAT_WALK_SAME);
			return h;
		}
	}
	w->stack.in_syscall = (u32)r->in_syscall;
	w->note.ip = r->ip;
	w->note.sp = r->sp;
	w->note.fp = r->fp;
	w->note.exact = w->u.flags & UW_EXACT;
	w->note.needs_fp = w->note.n = w->note.span = 0;
	w->note.usable = !careful;
	status = r->new_thread ? walk_new_thread(w, 0) : walk_user(w, 0);
	h = end_walk(w, status);
	if (h && tid && status == UW_WHOLE && w->note.usable)
		keep_note(&w->note, h, tid);
	return h;
}

/* All frames of a thread that goes on to run: no note is kept of it. */
__attribute__((noinline)) u64 whole_stack(u32 slot, const struct wire_target *t, const struct user_regs *r, u32 tgid)
{
	struct walk *w = walk_of(slot);

	if (!w || !t || !r)
		return 0;
	begin_walk(w, t, r, tgid);
	w->stack.in_syscall = (u32)r->in_syscall;
	w->note.usable = 0;
	return end_walk(w, r->new_thread ? walk_new_thread(w, 0) : walk_user(w, 0));
}

/* ---- kernel stacks ---- */

/* Of n frames in w->stack. What depends on n stands before the loop: behind it the verifier would follow it once for each n. */
__attribute__((noinline)) u64 send_kernel_stack(struct walk *w, u32 n)
{
	u64 h = 1;

	if (!w)
		return 0;
	w->stack.h.tgid = 0;
	w->stack.kernel = 1;
	w->stack.in_syscall = 0;
	w->stack.fp_from = 0;
	w->stack.status = n >= KERNEL_FRAMES ? UW_TRUNCATED : UW_WHOLE;
	w->stack.n = n;
	for (u32 i = 0; i < KERNEL_FRAMES; i++) {
		barrier_var(n); /* as above */
		if (i >= n)
			break;
		h = mix(h, w->stack.frames[i]);
	}
	w->hash = h;
	return send_stack(w);
}

static __always_inline u64 kernel_stack(void *ctx, u32 slot)
{
	struct walk *w = walk_of(slot);
	long size;

	if (!w)
		return 0;
	size = bpf_get_stack(ctx, w->stack.frames, KERNEL_FRAMES * 8, 0);
	if (size < 8) {
		stat_add(WIRE_STAT_STACK_FAILED);
		return 0;
	}
	return send_kernel_stack(w, (u32)size / 8);
}
