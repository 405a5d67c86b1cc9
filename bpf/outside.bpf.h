/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * outside.bpf.h: threads whose Tokio context is not to be read, because what it says is another thread's, or nobody's any more.
 *
 * A child process has one thread, and that has a copy of its parent's thread-locals (or, after vfork and in posix_spawn, those themselves): a child that a
 * task forks would be "in a poll" until it runs another program. And during execve the old image's thread-locals are gone, though the thread pointer is still
 * the old one. Both are outside of every runtime.
 */
#pragma once

#include "emit.bpf.h"

/* include/linux/sched.h, arch/x86/entry/syscalls/syscall_64.tbl */
enum {
	NR_execve = 59,
	NR_execveat = 322,
};

/* Children forked from inside a runtime that have not run another program yet; tid. An LRU map always takes one more. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, u8);
} copied SEC(".maps");

u32 copied_ever = 0; /* most programs never fork: then the map need not be looked at */

static __always_inline bool is_copied(const struct task_struct *t)
{
	u32 tid = (u32)t->pid;

	return copied_ever && t->pid == t->tgid && bpf_map_lookup_elem(&copied, &tid);
}

/* *x says so when it is; else it is left alone. t is the current thread. */
static __always_inline bool is_outside(struct wire_ctx *x, const struct task_struct *t, u64 nr)
{
	if (nr != NR_execve && nr != NR_execveat && !is_copied(t))
		return false;
	x->status = WIRE_CTX_READ;
	x->runtime = WIRE_NOT_ENTERED;
	return true;
}

static __always_inline void forget_copied(u32 tid)
{
	if (copied_ever)
		bpf_map_delete_elem(&copied, &tid);
}

/*
 * x is the parent's context, of the thread that forks. A mark stays when its thread exits, which may be sampled on its way out: the next child of that tid takes it
 * away.
 */
static __always_inline void note_copied(const struct wire_ctx *x, const struct task_struct *parent, u32 child)
{
	u8 yes = 1;

	/* what could not be read may be inside: a child that is taken for its parent's task is the worse mistake */
	if (!is_copied(parent) && (x->status == WIRE_CTX_NO_LAYOUT || (x->status == WIRE_CTX_READ && !x->sched && !x->budget &&
								       !x->task && x->runtime == WIRE_NOT_ENTERED))) {
		forget_copied(child);
		return;
	}
	copied_ever = 1;
	bpf_map_update_elem(&copied, &child, &yes, BPF_ANY);
}
