/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * kern_types.h: the few kernel types and fields that ascope reads, in place of a 170,000-line vmlinux.h. CO-RE: libbpf finds
 * the real offset of every field by name in the running kernel's BTF, so only names and kinds of types matter here, not order or size.
 */
#pragma once

typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;
typedef __s32 s32;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;
enum { false = 0, true = 1 };

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_RINGBUF = 27,
};
enum { BPF_ANY = 0, BPF_NOEXIST = 1 };
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2 };
enum { BPF_RB_AVAIL_DATA = 0 };
enum { BPF_F_MMAPABLE = 1 << 10 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/*
 * arch/x86/include/asm/ptrace.h. FRED (6.9) made cs a member of a union, of 2 bytes; libbpf makes the load as wide as the running kernel's field, as both
 * are unsigned integers.
 */
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip;
	unsigned long cs;
	unsigned long sp;
};

struct thread_struct {
	unsigned long fsbase;
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;			      /* threads of the group that have not exited */
	unsigned long long sum_sched_runtime; /* ns on a cpu of those that are gone */
};

struct super_block {
	unsigned long s_magic;
};

struct inode {
	u16 i_mode;
	struct super_block *i_sb;
};

struct sock_common {
	unsigned short skc_family;
};

struct sock {
	struct sock_common __sk_common;
};

struct socket {
	struct sock *sk;
};

struct file {
	struct inode *f_inode;
	void *private_data; /* of a socket's file: its struct socket */
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct mm_struct;

struct sched_entity {
	u64 sum_exec_runtime; /* ns on a cpu since the task began */
};

/* kernel/events/uprobes.c: a thread that executes the instruction under a probe does so at xol_vaddr, in a page of its own; it is that of vaddr. */
struct uprobe_task {
	unsigned long vaddr;
	unsigned long xol_vaddr; /* 0 otherwise */
};

struct task_struct {
	unsigned int __state; /* 5.14 and later */
	unsigned int flags;
	int pid;
	int tgid;
	u64 start_time; /* CLOCK_MONOTONIC ns */
	struct sched_entity se;
	unsigned long nvcsw;
	unsigned long nivcsw;
	unsigned int in_iowait : 1;
	unsigned int frozen : 1; /* by its cgroup, v2; 5.2 and later, with CONFIG_CGROUPS */
	char comm[16];
	struct task_struct *real_parent;
	struct mm_struct *mm;
	struct files_struct *files;
	struct signal_struct *signal;
	struct thread_struct thread;
	struct uprobe_task *utask; /* with CONFIG_UPROBES */
};

/* 6.2 to 6.14 keep preempt_count in here, earlier and later kernels in a per-cpu variable of its own */
struct pcpu_hot {
	int preempt_count;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

struct bpf_perf_event_data;
