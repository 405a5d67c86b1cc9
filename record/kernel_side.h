/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * kernel_side.h: the BPF programs as an object: load, attach, drain, detach. Links only: when this process ends, however it
 * ends, nothing stays behind in the kernel.
 */
#pragma once

#include "base/base.h"
#include "bpf/ascope_wire.h"
#include "record/helper.h"
#include "record/marker.h"
#include "record/probe_group.h"
#include "record/rings.h"
#include "record/unwind_size.h"
#include "record/unwind_tables.h"

struct kernel_side;

struct kernel_side_opts {
	u64 sample_freq; /* Hz; 0 = no samples */
	bool all_stacks;
	bool waker_stacks;		     /* of whoever wakes a target's thread */
	u64 ring_bytes;			     /* of all rings together, about: ring_plan_for() */
	bool careful;			     /* read user memory to the stack only: kernel_bugs.h */
	const struct marker_places *markers; /* borrowed; may have none */
	struct helper *helper;		     /* borrowed; not started yet */
	struct unwind_size unwind;	     /* unwind_size_for() */
	bool irq_exact;	  /* the kernel exports its preempt counter (ksyms.h): wakers in interrupts are known, not guessed */
	u32 probe_groups; /* bit 1 << enum probe_group: those that may be attached later; 0: none of their programs is loaded */
};

/*
 * Loads the programs. On failure a negative errno, and one line on stderr that says what the kernel lacks or which capability is missing; a
 * verifier's refusal goes to a file that the line names. fn gets every record; returns non-zero to stop draining.
 */
int kernel_side_load(const struct kernel_side_opts *o, rings_fn fn, void *ctx, struct kernel_side **ret) __must_check;
struct kernel_side *kernel_side_free(struct kernel_side *k); /* detaches; accepts NULL, returns NULL */

/* The arrays for unwind tables, of the sizes asked for, memory mapped until kernel_side_free(). */
const struct unwind_arrays *kernel_side_unwind_arrays(const struct kernel_side *k);

int kernel_side_attach(struct kernel_side *k) __must_check; /* all links; records flow only after kernel_side_start() */
void kernel_side_start(struct kernel_side *k);
void kernel_side_stop(struct kernel_side *k); /* no record after this; what is in the ring can still be drained */
void kernel_side_detach(
	struct kernel_side *k); /* takes the programs away, after the stop; with uprobes that can last half a second */

/*
 * Starts the helper and gives up all privileges of this process; everything below still works. -EOPNOTSUPP when this kernel asks for privileges
 * at every bpf(2) command (before 5.19): they are kept then. Other errors are final.
 */
int kernel_side_drop_privileges(struct kernel_side *k) __must_check;
bool kernel_side_can_drop(const struct kernel_side *k); /* whether this kernel lets it */

int kernel_side_epoll_fd(const struct kernel_side *k);
/*
 * Delivers the records that are due, of all rings in the order of their time (rings.h); after kernel_side_stop() all. Returns how many, or the negative error of
 * fn. Not all at once: is_behind() says of what it returned whether it is to be called again soon.
 */
int kernel_side_drain(struct kernel_side *k) __must_check;
bool kernel_side_is_behind(const struct kernel_side *k, int taken);
u64 kernel_side_known_until(const struct kernel_side *k); /* records older than this were delivered, CLOCK_MONOTONIC ns */
bool kernel_side_find_stack(struct kernel_side *k,
			    u64 hash); /* delivers a stack's record before its turn; false: it is nowhere */

struct kernel_side_rings {
	u32 n, size; /* rings, bytes of each */
	struct rings_counts counts;
};
struct kernel_side_rings kernel_side_rings(const struct kernel_side *k);

int kernel_side_set_target(struct kernel_side *k, u32 tgid, const struct wire_target *t) __must_check;
void kernel_side_remove_target(struct kernel_side *k, u32 tgid);

/* Sums of the per-cpu counters, index = enum wire_stat. */
void kernel_side_stats(const struct kernel_side *k, u64 ret[WIRE_STATS]);

struct kernel_side_cost {
	u64 ns, runs;	    /* time the programs ran and how often, where kernel.bpf_stats_enabled allows; zeros else */
	u32 verified_insns; /* instructions that the verifier went through for the program that took it most (since 5.16) */
};
struct kernel_side_cost kernel_side_cost(const struct kernel_side *k);

/* One pass of the task iterator over all threads of all targets. */
typedef int (*kernel_side_task_fn)(void *ctx, const struct wire_task *t);
int kernel_side_each_thread(struct kernel_side *k, kernel_side_task_fn fn, void *ctx) __must_check;

/*
 * Probes in targets' code (probe_group.h), attached and taken away at any time between kernel_side_load() and kernel_side_free(): uprobe_multi links where
 * the kernel has them, else perf events, one for each place (uprobe_link.h). They see one process, all of its threads; not a child that it forks, which gets
 * its own; behind an exec they are to be attached anew, even if it is the same program.
 */
struct kernel_probe {
	u32 tgid;		  /* a target */
	struct proc_request file; /* PROC_EXE or PROC_MAPPED of the same pid */
	enum probe_group group;	  /* one of kernel_side_opts.probe_groups */
	u32 module;		  /* comes back in what the probes send (wire_task_ref.module) */
	struct probe_task task;	  /* how a task looks to this file's Tokio */
	const u64 *offsets;	  /* in the file, of instructions' first bytes; borrowed */
	u32 n;			  /* 1 or more */
};

enum {
	KERNEL_PROBE_MAX = 65536,     /* places of one call, uprobe_multi */
	KERNEL_PROBE_MAX_SINGLE = 512 /* the same of single uprobes: more are -E2BIG */
};

struct kernel_probe_links {
	int *fds;    /* owned; to be given to kernel_side_unprobe() */
	u32 n;	     /* of them */
	u32 places;  /* that are probed now */
	u32 refused; /* places at which the kernel does not allow a probe: the instruction cannot be stepped over */
	u32 stepped; /* of places: those at which a hit is dearer (kernel_side_probe_cost()) */
};

/*
 * Attaches. 0; or a negative errno, and then nothing stays: -EOPNOTSUPP the kernel cannot (kernel_side_probe_why()), -EPERM or -EACCES it is not permitted or
 * tgid is not a target (any more), -E2BIG too many places, -EINVAL no place can be probed, -ESRCH the process has ended, -ETIMEDOUT (helper.h), -EMFILE, -ENOMEM.
 */
int kernel_side_probe(struct kernel_side *k, const struct kernel_probe *p, struct kernel_probe_links *ret) __must_check;

/* Takes the probes away, frees and clears *l, which may be empty. Uprobes are gone when this returns; it can last some 50 ms. */
void kernel_side_unprobe(struct kernel_side *k, struct kernel_probe_links *l);

/*
 * The end of polls that return to this address has a probe, or shall have none: they are sent without returns_to from now on. -ENOSPC: no more room (some hundred
 * addresses of all processes together), they go on to be sent. forget: the process ended or runs another program.
 */
int kernel_side_know_end(struct kernel_side *k, u32 tgid, u64 address);
void kernel_side_forget_ends(struct kernel_side *k, u32 tgid);

/* How this kernel can probe, found out by trying on a function of ascope's own while loading. */
bool kernel_side_has_probe_multi(const struct kernel_side *k);
/* NULL, or why nothing can be probed: static text for the user. */
const char *kernel_side_probe_why(const struct kernel_side *k);

/* False: the links of kernel_side_probe() see all processes that have the file mapped, not one; what is no target is not counted. One is enough for all then. */
bool kernel_side_probe_is_by_process(const struct kernel_side *k);

/*
 * What one hit costs the target beyond the time that the program runs, ns, measured while loading: at a place that begins as most functions do, with an instruction
 * that the kernel emulates; and at one that it lets the thread execute elsewhere, by a single step, which is twice as dear, and fifteen times on virtual machines
 * that leave for each step. -ENODATA: not measured.
 */
struct kernel_probe_cost {
	u64 emulated_ns, stepped_ns;
};
int kernel_side_probe_cost(const struct kernel_side *k, struct kernel_probe_cost *ret) __must_check;

struct kernel_probe_hits {
	u64 hits;    /* in targets, since loading */
	u64 stepped; /* those of them at dearer places */
	u64 ns;	     /* that the group's program ran, where kernel.bpf_stats_enabled allows; 0 else */
};

/* hits: what it said last, at first zeros; each goes on from there. */
void kernel_side_probe_hits(const struct kernel_side *k, struct kernel_probe_hits hits[PROBE_GROUPS]);
