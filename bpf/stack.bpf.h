/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * stack.bpf.h: takes a stack, sends it once, returns its hash. User frames come from frame pointers for now: take_user() is the
 * place where a walker by unwind tables plugs in.
 */
#pragma once

#include "emit.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries,
	       2); /* one for switches, one for samples: a sample may interrupt a program, but never one of its own kind */
	__type(key, u32);
	__type(value, struct wire_stack);
} stack_scratch SEC(".maps");

/* Stacks sent already. A lost entry only means that a stack is sent twice. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 16);
	__type(key, u64);
	__type(value, u8);
} stacks_seen SEC(".maps");

#define FRAMES_SIZE (WIRE_MAX_FRAMES * sizeof(u64))
#define LEAF_WORDS  16

/*
 * A libc system-call wrapper keeps no frame of its own, so a walk by frame pointers steps over its caller: the very function that
 * blocks. The first word at the stack pointer that lies in the program's text is the wrapper's return address (below it are only spilled arguments).
 * Returns it when the frame-pointer chain does not have it.
 */
static __always_inline u64 leaf_caller(const struct wire_target *t, u64 sp, u64 first_caller)
{
	u64 words[LEAF_WORDS];

	if (!t->text_end || bpf_probe_read_user(words, sizeof(words), (void *)sp))
		return 0;
	for (int i = 0; i < LEAF_WORDS; i++)
		if (words[i] >= t->text_start && words[i] < t->text_end)
			return words[i] == first_caller ? 0 : words[i];
	return 0;
}

/* Fills s->frames (innermost first) and returns how many; 0 when there is none. */
static __always_inline u32 take_user(void *ctx, const struct wire_target *t, struct pt_regs *regs, struct wire_stack *s)
{
	long size = bpf_get_stack(ctx, &s->frames[1], FRAMES_SIZE, BPF_F_USER_STACK);
	u64 leaf = 0;
	u32 n;

	if (size < 8)
		return 0;
	n = (u32)size / 8;
	if (n > WIRE_MAX_FRAMES)
		n = WIRE_MAX_FRAMES;
	s->truncated = n == WIRE_MAX_FRAMES;
	s->in_syscall = (s64)regs->orig_ax >= 0;
	if (s->in_syscall && !(s->frames[1] >= t->text_start && s->frames[1] < t->text_end))
		leaf = leaf_caller(t, regs->sp, n > 1 ? s->frames[2] : 0);
	s->frames[0] = s->frames[1];
	s->frames[1] = leaf; /* 0 = none; user space skips it */
	return n + 1;
}

static __always_inline u64 mix(u64 h, u64 v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ULL;
	return h ^ (h >> 29);
}

/* Sends the stack unless it was sent before. Returns its hash, 0 when it is lost. */
static __always_inline u64 send_stack(struct wire_stack *s, u32 n, u32 tgid, u32 gen)
{
	u64 h = mix(mix(0x2545f4914f6cdd1dULL, s->kernel ? 1 : (u64)gen << 32 | tgid), s->in_syscall);
	u64 size;
	u8 one = 1;

	for (u32 i = 0; i <= WIRE_MAX_FRAMES; i++) {
		barrier_var(n); /* keep the test an order, not an inequality: the verifier must see the bound */
		if (i >= n)
			break;
		h = mix(h, s->frames[i]);
	}
	h |= 1; /* 0 means none */
	if (bpf_map_lookup_elem(&stacks_seen, &h))
		return h;
	s->h.kind = WIRE_STACK;
	s->h.cpu = bpf_get_smp_processor_id();
	s->h.ts = bpf_ktime_get_ns();
	s->h.tgid = tgid;
	s->h.tid = 0;
	s->hash = h;
	s->n = n;
	size = __builtin_offsetof(struct wire_stack, frames) + (u64)n * 8;
	if (size > sizeof(*s))
		return 0;
	if (bpf_ringbuf_output(&ring, s, size, wake_flag())) {
		stat_add(WIRE_STAT_LOST + WIRE_STACK);
		return 0;
	}
	stat_add(WIRE_STAT_SENT + WIRE_STACK);
	bpf_map_update_elem(&stacks_seen, &h, &one, BPF_ANY);
	return h;
}

static __always_inline u64 user_stack(void *ctx, u32 slot, const struct wire_target *t, struct pt_regs *regs, u32 tgid)
{
	struct wire_stack *s = bpf_map_lookup_elem(&stack_scratch, &slot);
	u32 n;

	if (!s)
		return 0;
	s->kernel = 0;
	n = take_user(ctx, t, regs, s);
	if (!n) {
		stat_add(WIRE_STAT_STACK_FAILED);
		return 0;
	}
	return send_stack(s, n, tgid, t->layout.gen);
}

static __always_inline u64 kernel_stack(void *ctx, u32 slot)
{
	struct wire_stack *s = bpf_map_lookup_elem(&stack_scratch, &slot);
	long size;

	if (!s)
		return 0;
	size = bpf_get_stack(ctx, s->frames, FRAMES_SIZE, 0);
	if (size < 8) {
		stat_add(WIRE_STAT_STACK_FAILED);
		return 0;
	}
	s->kernel = 1;
	s->in_syscall = 0;
	s->truncated = size == FRAMES_SIZE;
	return send_stack(s, (u32)size / 8, 0, 0);
}
