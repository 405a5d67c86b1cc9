/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * ascope.bpf.c: the kernel side. Each program looks at a tracepoint, a cpu-clock tick or a task, asks whether it concerns a
 * target, and sends raw facts. What they mean is decided offline; the one policy here is which switch-outs get stacks.
 */
#include "emit.bpf.h"
#include "evidence.bpf.h"
#include "marker.bpf.h"
#include "outside.bpf.h"
#include "stack.bpf.h"
#include "task.bpf.h"
#include "tokio.bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

const volatile bool all_stacks = false;	    /* --stacks=all */
const volatile bool waker_stacks = false;   /* --waker-stacks */
const volatile bool has_prev_state = false; /* sched_switch has a fourth argument (5.18): prev's state as the scheduler saw it */
volatile u32 recording = 0;		    /* set once everything is attached: a capture begins at one instant */

/* include/linux/sched.h */
#define PF_EXITING     0x00000004
#define PF_IO_WORKER   0x00000010 /* io_uring's: a process's memory, but no user code */
#define PF_USER_WORKER 0x00004000 /* since 6.4: the same for others */
#define PF_KTHREAD     0x00200000

#define NR_clone  56
#define NR_clone3 435 /* arch/x86/entry/syscalls/syscall_64.tbl */

#define USER32_CS 0x23 /* arch/x86/include/asm/segment.h: 32-bit code */

extern const int __preempt_count __ksym __weak;
extern const struct pcpu_hot pcpu_hot __ksym __weak;

/*
 * Whether an interrupt (or its bottom half) runs, and not the current thread: include/linux/preempt.h. Kernels without
 * CONFIG_KALLSYMS_ALL do not export the address of the counter; there user space loads the programs that guess.
 */
static __always_inline bool in_interrupt_exact(void)
{
	const u32 serving = 0x00000100 /* softirq */ | 0x000f0000 /* hardirq */ | 0x00f00000 /* nmi */;
	u32 count = 0;

	if (bpf_core_field_exists(struct pcpu_hot, preempt_count)) {
		if (&pcpu_hot)
			count = (u32)((const struct pcpu_hot *)bpf_this_cpu_ptr(&pcpu_hot))->preempt_count;
	} else if (&__preempt_count) {
		count = *(const u32 *)bpf_this_cpu_ptr(&__preempt_count);
	}
	return count & serving;
}

/* A thread that wakes another does so from a system call; outside of one (orig_ax < 0), or on the idle task, it was interrupted. */
static __always_inline bool in_interrupt_guess(struct task_struct *cur)
{
	struct pt_regs *regs;

	if (!cur->pid)
		return true;
	if ((cur->flags & PF_KTHREAD) || !cur->mm)
		return false;
	regs = (struct pt_regs *)bpf_task_pt_regs(cur);
	return (s64)regs->orig_ax < 0;
}

/* While the tick's place in Core is being calibrated, its raw bytes go along. record/calibrate.c */
static __always_inline void send_core(const struct wire_layout *l, const struct wire_ctx *x, bool waits, u32 tgid, u32 tid)
{
	struct wire_core *e;
	u64 part[4], from = x->core;

	if (!l->want_core || x->status != WIRE_CTX_READ || !x->core || !(l->want_core & (1u << (x->flavor - 1))))
		return;
	e = RESERVE(struct wire_core, WIRE_CORE);
	if (!e)
		return;
	e->h.tgid = tgid;
	e->h.tid = tid;
	e->ctx = *x;
	e->waits = waits;
	if (x->flavor == WIRE_FLAVOR_CURRENT_THREAD)
		from += l->core_from;
	for (u32 i = 0; i < WIRE_CORE_BYTES; i += sizeof(part)) { /* by way of the stack: record/kernel_bugs.h */
		if (bpf_probe_read_user(part, sizeof(part), (void *)from + i)) {
			bpf_ringbuf_discard(e, BPF_RB_NO_WAKEUP);
			return;
		}
		for (u32 k = 0; k < sizeof(part) / 8; k++)
			((u64 *)e->bytes)[i / 8 + k] = part[k];
	}
	submit(e, WIRE_CORE);
}

/* A thread behind the system call that made it. In the parent ax is -ENOSYS, then a tid; what is no thread may share its parent's stack. */
static __always_inline bool is_new_thread(struct task_struct *t, u64 nr, u64 ax)
{
	return (nr == NR_clone || nr == NR_clone3) && !ax && t->pid != t->tgid;
}

/* Whether user code that runs there could be walked: a kernel's worker has none, and 32-bit code has other rules. */
static __always_inline bool runs_user_code(u32 flags, u16 cs)
{
	return !(flags & (PF_KTHREAD | PF_IO_WORKER | PF_USER_WORKER)) && cs != USER32_CS;
}

/* Whether there is a user stack to walk: x86-64 code, in memory that is still there. *r is set either way. */
static __always_inline bool user_regs_of(struct task_struct *t, struct pt_regs *regs, struct user_regs *r)
{
	r->ip = in_line(t, regs->ip);
	r->sp = regs->sp;
	r->fp = regs->bp;
	r->regs = (u64)regs;
	r->in_syscall = (s64)regs->orig_ax >= 0;
	r->new_thread = is_new_thread(t, regs->orig_ax, regs->ax);
	return t->mm && runs_user_code(t->flags, (u16)regs->cs);
}

/*
 * Cgroup v2 freezes a thread by a sleep of its own (kernel/signal.c, do_freezer_trap), whose state is that of any other; the bit that tells is task->frozen.
 * It goes along as the state that v1 has for it since 6.1. The bit is set, too, while the parent of a vfork waits (kernel/fork.c, wait_for_vfork_done), for the
 * freezer need not wait for that; but that wait is no sleep which a signal ends, and the trap is.
 */
#define TASK_FROZEN	   0x8000
#define TASK_INTERRUPTIBLE 0x0001

static __always_inline void switch_out(void *ctx, bool preempt, struct task_struct *prev, u32 state)
{
	struct wire_target *t = target_of((u32)prev->tgid);
	struct wire_switch_out *e;
	struct queue_depths q = {};
	struct wire_wait wait = {};
	struct wire_ctx x = {};
	struct pt_regs *regs;
	struct user_regs r;
	u64 ustack = 0, kstack = 0;
	u32 copy = 0;
	bool waits = !preempt && state != 0, wanted;
	u64 now;

	if (!t || (prev->flags & PF_KTHREAD))
		return;
	now = bpf_ktime_get_ns(); /* before the walk: the thread would be out by the time that is done */
	regs = (struct pt_regs *)bpf_task_pt_regs(prev);
	if (prev->mm && !is_outside(&x, prev, regs->orig_ax))
		copy = read_ctx(t, &x, prev->thread.fsbase, false);
	wanted = all_stacks || (waits && !is_idle_wait(&x));
	if (wanted && prev->mm) {
		if (user_regs_of(prev, regs, &r))
			ustack = thread_stack(t, &r, (u32)prev->tgid, prev->flags & PF_EXITING ? 0 : (u32)prev->pid);
		kstack = kernel_stack(ctx, SLOT_SWITCH);
	}
	wait_evidence(&wait, prev, regs);
	if (wanted)
		wait_file(&wait);
	if (wanted && x.budget)
		read_queues(&t->layout[copy], &x, &q);
	e = RESERVE_AT(struct wire_switch_out, WIRE_SWITCH_OUT, now);
	if (!e)
		return;
	e->h.tgid = (u32)prev->tgid;
	e->h.tid = (u32)prev->pid;
	e->ctx = x;
	e->state = state;
	if (waits && (state & TASK_INTERRUPTIBLE) && bpf_core_field_exists(prev->frozen) && BPF_CORE_READ_BITFIELD(prev, frozen))
		e->state |= TASK_FROZEN;
	e->preempt = preempt;
	e->ustack = ustack;
	e->kstack = kstack;
	e->wait = wait;
	e->exec = prev->se.sum_exec_runtime;
	e->switches = (u32)(prev->nvcsw + prev->nivcsw);
	e->lifo = q.lifo;
	e->queued = q.queued;
	e->inject = q.inject;
	submit(e, WIRE_SWITCH_OUT);
	send_core(&t->layout[copy], &x, waits, (u32)prev->tgid, (u32)prev->pid);
}

SEC("tp_btf/sched_switch")
int on_sched_switch(u64 *ctx)
{
	bool preempt = ctx[0];
	struct task_struct *prev = (void *)ctx[1], *next = (void *)ctx[2];
	struct wire_switch_in *e;

	if (!recording)
		return 0;
	if (prev->pid)
		switch_out(ctx, preempt, prev, has_prev_state ? (u32)ctx[3] : prev->__state);
	if (next->pid && is_target((u32)next->tgid)) {
		e = RESERVE(struct wire_switch_in, WIRE_SWITCH_IN);
		if (e) {
			e->h.tgid = (u32)next->tgid;
			e->h.tid = (u32)next->pid;
			submit(e, WIRE_SWITCH_IN);
		}
	}
	return 0;
}

struct waker_stacks {
	u64 user, kernel;
};

/* t: the waker's target; NULL: it is none's, and its code is not known. */
static __always_inline void take_waker_stacks(void *ctx, const struct wire_target *t, struct task_struct *waker,
					      struct waker_stacks *s)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(waker);
	struct user_regs r;

	if (t && user_regs_of(waker, regs, &r))
		s->user = whole_stack(SLOT_WAKING, t, &r, (u32)waker->tgid);
	s->kernel = kernel_stack(ctx, SLOT_WAKING);
}

/* of_wait: p may wait for this; else it is new. */
static __always_inline int waking(void *ctx, struct task_struct *p, bool exact, bool of_wait)
{
	struct task_struct *waker;
	struct wire_target *t = 0;
	struct waker_stacks s = {};
	struct wire_waking *e;
	struct wire_ctx x = {};
	u64 now = 0;
	bool irq;

	if (!recording || !is_target((u32)p->tgid))
		return 0;
	waker = bpf_get_current_task_btf();
	irq = exact ? in_interrupt_exact() : in_interrupt_guess(waker);
	if (!irq) {
		t = target_of((u32)waker->tgid);
		if (t && waker->mm && !is_copied(waker))
			(void)read_ctx(t, &x, waker->thread.fsbase, true);
		if (waker_stacks && of_wait && p != waker) {
			now = bpf_ktime_get_ns(); /* as in switch_out() */
			take_waker_stacks(ctx, t, waker, &s);
		}
	}
	e = RESERVE_AT(struct wire_waking, WIRE_WAKING, now ? now : bpf_ktime_get_ns());
	if (!e)
		return 0;
	e->h.tgid = (u32)p->tgid;
	e->h.tid = (u32)p->pid;
	e->state = p->__state; /* both tracepoints come before it is changed */
	e->irq = irq;
	if (!irq) {
		e->waker_ctx = x;
		e->waker_tgid = (u32)waker->tgid;
		e->waker_tid = (u32)waker->pid;
		e->waker_ustack = s.user;
		e->waker_kstack = s.kernel;
	}
	submit(e, WIRE_WAKING);
	return 0;
}

/* One pair of these is loaded: record/kernel_side.c. */
SEC("tp_btf/sched_waking")
int BPF_PROG(waking_exact, struct task_struct *p)
{
	return waking(ctx, p, true, true);
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(wakeup_new_exact, struct task_struct *p)
{
	return waking(ctx, p, true, false);
}

SEC("tp_btf/sched_waking")
int BPF_PROG(waking_guess, struct task_struct *p)
{
	return waking(ctx, p, false, true);
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(wakeup_new_guess, struct task_struct *p)
{
	return waking(ctx, p, false, false);
}

/*
 * ctx->regs is read by the UAPI layout (include/uapi/asm/ptrace.h: bp 4, ip 16, cs 17, sp 19), without CO-RE: a vmlinux.h newer than 6.9 would make a 2-byte
 * load of cs, which the verifier refuses; and before any branch, for it refuses a pointer into ctx that may also be another.
 */
SEC("perf_event")
int on_sample(struct bpf_perf_event_data *ctx)
{
	struct task_struct *cur = bpf_get_current_task_btf();
	volatile u64 *raw = (void *)ctx;
	u64 cs = raw[17], ip = raw[16], sp = raw[19], bp = raw[4];
	struct wire_target *t;
	struct wire_sample *e;
	struct queue_depths q = {};
	struct wire_ctx x = {};
	struct user_regs r;
	struct pt_regs *regs;
	u64 ustack = 0, kstack = 0;
	u32 copy = 0;
	bool user = (cs & 3) == 3, walkable;

	if (!recording || (cur->flags & PF_KTHREAD) || !cur->mm)
		return 0;
	t = target_of((u32)cur->tgid);
	if (!t)
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(cur);
	if (!is_outside(&x, cur, regs->orig_ax))
		copy = read_ctx(t, &x, cur->thread.fsbase, false);
	walkable = user_regs_of(cur, regs, &r);
	if (user)
		r = (struct user_regs){.ip = in_line(cur, ip), .sp = sp, .fp = bp, .regs = r.regs}; /* the same struct */
	if (walkable)
		ustack = callers(SLOT_SAMPLE, t, &r, (u32)cur->tgid);
	if (!user)
		kstack = kernel_stack(ctx, SLOT_SAMPLE);
	if (x.budget && wants_queues((u32)cur->pid, &x))
		read_queues(&t->layout[copy], &x, &q);
	e = RESERVE(struct wire_sample, WIRE_SAMPLE);
	if (!e)
		return 0;
	e->h.tgid = (u32)cur->tgid;
	e->h.tid = (u32)cur->pid;
	e->ctx = x;
	e->user_mode = user;
	e->lifo = q.lifo;
	e->queued = q.queued;
	e->inject = q.inject;
	e->pc = walkable ? r.ip : 0;
	e->ustack = ustack;
	e->kstack = kstack;
	submit(e, WIRE_SAMPLE);
	send_core(&t->layout[copy], &x, false, (u32)cur->tgid, (u32)cur->pid);
	return 0;
}

/* A child process of a target is a target: it begins with its parent's image, so the layout holds for it until it execs. */
static __always_inline void follow_child(struct wire_target *t, struct task_struct *parent, u32 tgid)
{
	struct wire_ctx x = {};

	(void)read_ctx(t, &x, parent->thread.fsbase, true);
	note_copied(&x, parent, tgid);
	if (bpf_map_update_elem(&targets, &tgid, t, BPF_NOEXIST))
		stat_add(WIRE_STAT_TARGETS_FULL);
	else
		note_target(tgid);
	note_start(tgid);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct wire_target *t = target_of((u32)parent->tgid);
	struct wire_thread_start *e;

	if (!recording || !t)
		return 0;
	if (child->tgid != parent->tgid)
		follow_child(t, parent, (u32)child->tgid);
	e = RESERVE(struct wire_thread_start, WIRE_THREAD_START);
	if (!e)
		return 0;
	e->h.tgid = (u32)child->tgid;
	e->h.tid = (u32)child->pid;
	e->parent_tgid = (u32)parent->tgid;
	e->parent_tid = (u32)parent->pid;
	e->start = child->start_time;
	bpf_probe_read_kernel(e->comm, sizeof(e->comm), child->comm);
	if (child->tgid != parent->tgid && may_call(e->h.ts))
		submit_and_call(e, WIRE_THREAD_START);
	else
		submit(e, WIRE_THREAD_START);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *p, int old_pid)
{
	struct wire_target *t = target_of((u32)p->tgid);
	struct wire_exec *e;
	u32 old_tid = (u32)old_pid;

	if (!recording || !t)
		return 0;
	for (u32 i = 0; i < WIRE_COPIES; i++) { /* another image: user space looks anew */
		t->layout[i].valid = 0;
		t->layout[i].want_core = 0;
	}
	t->map_n = 0;
	t->map_gen++;
	note_start((u32)p->tgid);
	forget_copied((u32)p->pid);
	bpf_map_delete_elem(&notes, &old_tid);
	e = RESERVE(struct wire_exec, WIRE_EXEC);
	if (!e)
		return 0;
	e->h.tgid = (u32)p->tgid;
	e->h.tid = (u32)p->pid;
	e->old_tid = (u32)old_pid;
	submit_and_call(e, WIRE_EXEC); /* contexts cannot be read until user space has looked at the new image */
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *p)
{
	struct wire_thread_exit *e;
	u32 tid = (u32)p->pid;

	if (!recording || !is_target((u32)p->tgid))
		return 0;
	bpf_map_delete_elem(&notes, &tid);
	e = RESERVE(struct wire_thread_exit, WIRE_THREAD_EXIT);
	if (!e)
		return 0;
	e->h.tgid = (u32)p->tgid;
	e->h.tid = (u32)p->pid;
	e->group_dead = p->signal->live.counter == 0;
	e->cpu_ns = p->signal->sum_sched_runtime + p->se.sum_exec_runtime;
	submit(e, WIRE_THREAD_EXIT);
	return 0;
}

SEC("tp_btf/task_rename")
int BPF_PROG(on_rename, struct task_struct *p, const char *comm)
{
	struct wire_rename *e;

	if (!recording || !is_target((u32)p->tgid))
		return 0;
	e = RESERVE(struct wire_rename, WIRE_RENAME);
	if (!e)
		return 0;
	e->h.tgid = (u32)p->tgid;
	e->h.tid = (u32)p->pid;
	bpf_probe_read_kernel_str(e->comm, sizeof(e->comm), comm);
	submit(e, WIRE_RENAME);
	return 0;
}

/* A function of a pair that the user named is entered; loaded when there is one. */
SEC("uprobe")
int on_marker(struct pt_regs *ctx)
{
	struct task_struct *cur = bpf_get_current_task_btf();
	struct wire_target *t;

	if (!recording)
		return 0;
	t = target_of((u32)cur->tgid);
	return t ? marker_hit(ctx, t, cur) : 0;
}

/* The thread that hit a task's probe, if it is a target's. */
static __always_inline struct task_struct *task_hit(struct pt_regs *ctx, u32 group)
{
	struct task_struct *cur = bpf_get_current_task_btf();

	if (!recording)
		return 0;
	if (!is_target((u32)cur->tgid)) {
		stat_add(WIRE_STAT_PROBE_OTHERS);
		return 0;
	}
	count_hit(WIRE_STAT_PROBE_HITS + group);
	if (bpf_get_attach_cookie(ctx) & WIRE_COOKIE_STEPPED)
		count_hit(WIRE_STAT_PROBE_STEPPED + group);
	return cur;
}

/* Of each group (record/probe_group.h) the one that is loaded when it may be wanted; user space says whether for uprobe_multi links or perf events. */
#define TASK_PROGRAM(name, group, then)                                                                                          \
	SEC("uprobe")                                                                                                            \
	int name(struct pt_regs *ctx)                                                                                            \
	{                                                                                                                        \
		struct task_struct *cur = task_hit(ctx, group);                                                                  \
                                                                                                                                 \
		return cur ? (then) : 0;                                                                                         \
	}

TASK_PROGRAM(on_task_spawn, PROBE_SPAWN, task_spawn_called(ctx, cur))
TASK_PROGRAM(on_task_bind, PROBE_BIND, task_made(ctx, cur, false))
TASK_PROGRAM(on_task_blocking, PROBE_BLOCKING, task_made(ctx, cur, true))
TASK_PROGRAM(on_task_complete, PROBE_COMPLETE, task_ended(ctx, cur, false))
TASK_PROGRAM(on_task_dealloc, PROBE_DEALLOC, task_ended(ctx, cur, true))
TASK_PROGRAM(on_task_poll, PROBE_POLL, task_polled(ctx, cur))
TASK_PROGRAM(on_task_poll_end, PROBE_POLL_END, task_poll_ended(ctx, cur))
TASK_PROGRAM(on_task_schedule, PROBE_SCHEDULE, task_scheduled(ctx, cur))

u64 own_hits = 0;

/* On a function of the recorder's own: what a probe costs here, and whether it sees what it should (record/probe_side.c). */
SEC("uprobe")
int on_own_function(struct pt_regs *ctx)
{
	__sync_fetch_and_add(&own_hits, 1);
	return 0;
}

/* Every thread of every target as it is now; read by kernel_side_each_thread() through the iterator's file. */
SEC("iter/task")
int list_threads(struct bpf_iter__task *ctx)
{
	struct task_struct *t = ctx->task;
	struct wire_task row = {};
	struct pt_regs *regs;

	if (!t || (t->flags & PF_KTHREAD) || !is_target((u32)t->tgid))
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(t);
	row.tgid = (u32)t->tgid;
	row.tid = (u32)t->pid;
	row.state = t->__state;
	if ((row.state & TASK_INTERRUPTIBLE) && bpf_core_field_exists(t->frozen) && BPF_CORE_READ_BITFIELD_PROBED(t, frozen))
		row.state |= TASK_FROZEN;
	row.fsbase = is_copied(t) || !t->mm ? 0 : t->thread.fsbase; /* without memory: it has ended, and is not waited for yet */
	if (runs_user_code(t->flags, (u16)BPF_CORE_READ(regs, cs)) &&
	    !is_new_thread(t, BPF_CORE_READ(regs, orig_ax), BPF_CORE_READ(regs, ax)))
		row.ip = BPF_CORE_READ(regs, ip);
	row.sp = BPF_CORE_READ(regs, sp);
	row.bp = BPF_CORE_READ(regs, bp);
	row.nvcsw = t->nvcsw;
	row.nivcsw = t->nivcsw;
	row.start = t->start_time;
	bpf_probe_read_kernel(row.comm, sizeof(row.comm), t->comm);
	row.wait.iowait = BPF_CORE_READ_BITFIELD_PROBED(t, in_iowait);
	row.wait.syscall = (s32)BPF_CORE_READ(regs, orig_ax);
	row.wait.arg0 = BPF_CORE_READ(regs, di);
	if (row.wait.syscall >= 0 && arg0_is_fd(row.wait.syscall))
		file_evidence(t, (u32)row.wait.arg0, &row.wait);
	bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
	return 0;
}
