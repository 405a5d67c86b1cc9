/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * oracle.bpf.c: the product's walker at cpu-clock ticks and at a uprobe, sent together with the registers and up to 64 KB of the stack that it walked, so
 * that oracle.c can walk the very same with libdwfl.
 */
/* the product, whose kernel types come first */
#include "stack.bpf.h"

#include "oracle_wire.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 26);
} snapshots SEC(".maps");

volatile u64 lost = 0;

/* In the order of struct bpf_perf_event_data's regs: arch/x86/include/uapi/asm/ptrace.h. */
enum { R15, R14, R13, R12, RBP, RBX, R11, R10, R9, R8, RAX, RCX, RDX, RSI, RDI, ORIG_RAX, RIP, CS, EFLAGS, RSP };

/* By pages, so that nothing is left out where the stack ends. The red zone may begin on a page that was never touched. */
static __always_inline void take_stack(struct oracle_record *e)
{
	u64 sp = e->regs[7], at = (sp - ORACLE_RED_ZONE) & ~(u64)(ORACLE_CHUNK - 1);
	u32 got = 0;

	if (bpf_probe_read_user(e->stack, 8, (void *)at))
		at = sp & ~(u64)(ORACLE_CHUNK - 1);
	e->stack_at = at;
#pragma unroll
	for (int i = 0; i < ORACLE_CHUNKS; i++) {
		if (bpf_probe_read_user(e->stack + i * ORACLE_CHUNK, ORACLE_CHUNK, (void *)(at + i * ORACLE_CHUNK)))
			break;
		got = (i + 1) * ORACLE_CHUNK;
	}
	e->stack_bytes = got;
}

/* With the product's own walk, in the record of the slot that such a program has. */
static __always_inline void walk(struct oracle_record *e, struct wire_target *t, u32 tgid, u32 slot)
{
	const struct user_regs r = {.ip = e->regs[16],
				    .sp = e->regs[7],
				    .fp = e->regs[6],
				    .regs = (u64)bpf_task_pt_regs(bpf_get_current_task_btf()),
				    .in_syscall = e->in_syscall};
	struct walk *w = walk_of(slot);

	e->status = UW_MORE;
	e->n = 0;
	if (!w)
		return;
	begin_walk(w, t, &r, tgid);
	w->note.usable = 0;
	e->status = (u32)walk_user(w, 0);
	e->n = w->stack.n;
	e->fp_from = w->stack.fp_from;
	bpf_probe_read_kernel(e->frames, sizeof(e->frames), w->stack.frames);
}

static __always_inline void send(struct oracle_record *e, struct wire_target *t, u32 slot)
{
	u64 id = bpf_get_current_pid_tgid();

	e->tid = (u32)id;
	take_stack(e);
	walk(e, t, (u32)(id >> 32), slot);
	bpf_ringbuf_submit(e, 0);
}

static __always_inline struct oracle_record *reserve(void)
{
	struct oracle_record *e = bpf_ringbuf_reserve(&snapshots, sizeof(*e), 0);

	if (!e)
		__sync_fetch_and_add(&lost, 1);
	return e;
}

/* From the array of pt_regs' words to DWARF's numbers. */
#define COPY_REGS(to, r)                                                                                                         \
	do {                                                                                                                     \
		(to)[0] = (r)[RAX];                                                                                              \
		(to)[1] = (r)[RDX];                                                                                              \
		(to)[2] = (r)[RCX];                                                                                              \
		(to)[3] = (r)[RBX];                                                                                              \
		(to)[4] = (r)[RSI];                                                                                              \
		(to)[5] = (r)[RDI];                                                                                              \
		(to)[6] = (r)[RBP];                                                                                              \
		(to)[7] = (r)[RSP];                                                                                              \
		(to)[8] = (r)[R8];                                                                                               \
		(to)[9] = (r)[R9];                                                                                               \
		(to)[10] = (r)[R10];                                                                                             \
		(to)[11] = (r)[R11];                                                                                             \
		(to)[12] = (r)[R12];                                                                                             \
		(to)[13] = (r)[R13];                                                                                             \
		(to)[14] = (r)[R14];                                                                                             \
		(to)[15] = (r)[R15];                                                                                             \
		(to)[16] = (r)[RIP];                                                                                             \
	} while (0)

static __always_inline struct wire_target *current_target(void)
{
	return target_of((u32)(bpf_get_current_pid_tgid() >> 32));
}

SEC("perf_event")
int on_tick(struct bpf_perf_event_data *ctx)
{
	volatile u64 *r = (volatile u64 *)ctx;
	struct wire_target *t = current_target();
	struct oracle_record *e;

	if (!t)
		return 0;
	e = reserve();
	if (!e)
		return 0;
	e->uprobe = 0;
	e->user_mode = (r[CS] & 3) != 0;
	if (e->user_mode) {
		COPY_REGS(e->regs, r);
		e->in_syscall = 0;
	} else {
		struct pt_regs *p = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());

		e->regs[0] = p->ax;
		e->regs[1] = p->dx;
		e->regs[2] = p->cx;
		e->regs[3] = p->bx;
		e->regs[4] = p->si;
		e->regs[5] = p->di;
		e->regs[6] = p->bp;
		e->regs[7] = p->sp;
		e->regs[8] = p->r8;
		e->regs[9] = p->r9;
		e->regs[10] = p->r10;
		e->regs[11] = p->r11;
		e->regs[12] = p->r12;
		e->regs[13] = p->r13;
		e->regs[14] = p->r14;
		e->regs[15] = p->r15;
		e->regs[16] = p->ip;
		e->in_syscall = (s64)p->orig_ax >= 0;
	}
	send(e, t, SLOT_SAMPLE);
	return 0;
}

SEC("uprobe")
int on_uprobe(struct pt_regs *ctx)
{
	volatile u64 *r = (volatile u64 *)ctx;
	struct wire_target *t = current_target();
	struct oracle_record *e;
	u32 slot;

	if (!t)
		return 0;
	slot = slot_claim();
	if (slot == STACK_SLOTS)
		return 0;
	e = reserve();
	if (e) {
		e->uprobe = 1;
		e->user_mode = 1;
		e->in_syscall = 0;
		COPY_REGS(e->regs, r);
		send(e, t, slot);
	}
	slot_release(slot);
	return 0;
}
