/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * marker.bpf.h: what a uprobe on a user's own function sends (record/marker.h). It does not count as evidence of any poll: the
 * scheduler's view must be the same with and without markers.
 */
#pragma once

#include "stack.bpf.h"
#include "tokio.bpf.h"

const volatile bool has_uprobes = false; /* markers, or probes of tasks */

#define XOL_SLOT_BYTES 128 /* UPROBE_XOL_SLOT_BYTES, arch/x86/include/asm/uprobes.h */

/* Where a thread is that the kernel lets execute the instruction under a probe out of line: there are no unwind tables for that page. */
static __always_inline u64 in_line(struct task_struct *t, u64 ip)
{
	struct uprobe_task *u;
	u64 xol;

	if (!has_uprobes || !bpf_core_field_exists(t->utask))
		return ip;
	u = t->utask;
	xol = u ? u->xol_vaddr : 0;
	return xol && ip - xol < XOL_SLOT_BYTES ? u->vaddr + (ip - xol) : ip;
}

/* The callers of the function, which has just been entered. Another thread's probe may begin on this cpu meanwhile: hence a slot of its own. */
static __always_inline u64 marker_stack(struct pt_regs *ctx, const struct wire_target *t, struct task_struct *cur)
{
	/* by the UAPI layout, as in on_sample */
	volatile u64 *raw = (void *)ctx;
	struct user_regs r = {.ip = raw[16], .sp = raw[19], .fp = raw[4], .regs = (u64)bpf_task_pt_regs(cur)};
	u32 slot = slot_claim();
	u64 h;

	if (slot >= STACK_SLOTS)
		return 0;
	h = callers(slot, t, &r, (u32)cur->tgid);
	slot_release(slot);
	return h;
}

/*
 * Copied into the ring as a whole: reserved first and filled in then, a record of a thread that is preempted meanwhile would hold up all that
 * come after it (since 6.0 uprobes' programs run with preemption on).
 */
static __always_inline int marker_hit(struct pt_regs *ctx, struct wire_target *t, struct task_struct *cur)
{
	struct wire_marker e = {.h = {.kind = WIRE_MARKER, .ts = bpf_ktime_get_ns()}};
	u64 cookie = bpf_get_attach_cookie(ctx);
	struct wire_ctx x = {};

	e.h.cpu = bpf_get_smp_processor_id();
	e.h.tgid = (u32)cur->tgid;
	e.h.tid = (u32)cur->pid;
	e.pair = (u32)(cookie >> 1);
	e.end = cookie & 1;
	(void)read_ctx(t, &x, cur->thread.fsbase, true);
	e.task = x.task;
	if (!e.end) {
		e.ustack = marker_stack(ctx, t, cur);
		e.h.ts = bpf_ktime_get_ns();
	}
	if (output(&e, sizeof(e), false))
		stat_add(WIRE_STAT_LOST + WIRE_MARKER);
	else
		stat_add(WIRE_STAT_SENT + WIRE_MARKER);
	return 0;
}
