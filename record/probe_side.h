/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * probe_side.h: the part of kernel_side.c that puts probes into programs' code; kernel_side.h says what its functions do. How this kernel can do it is found out
 * by trying: probes on functions of the recorder's own must be hit exactly as often as those are called, by the process's first thread and by another.
 *
 * Before the programs are loaded: probe_side_multi(). After: probe_side_try(). Kernels whose uprobe_multi links take a process's id for a thread's (6.6 to 6.11,
 * until 46ba0e49b642 and 4a365eb8a6d9) are noticed by that second thread; links are for all processes then.
 */
#pragma once

#include "base/base.h"
#include "record/helper.h"
#include "record/kernel_side.h"

struct probe_end {
	u32 tgid; /* 0: free */
	u64 address;
};

struct probe_side {
	struct helper *helper; /* borrowed */
	u32 groups;	       /* asked for */
	bool multi;
	const char *why;	     /* NULL, or why there are no probes */
	u64 emulated_ns, stepped_ns; /* price of a hit, by the instruction there (uprobe_is_emulated()); 0: not measured */
	u64 *keys;		     /* the programs' known_ends; borrowed */
	struct probe_end ends[WIRE_END_SETS * WIRE_END_WAYS]; /* what each of them is of */
};

/* For the programs' expected attach type. */
bool probe_side_multi(struct probe_side *s);

/* own_prog: the program for the recorder's own function, which counts in *own_hits. Sets s->helper->programs, or s->why. */
void probe_side_try(struct probe_side *s, const struct helper_programs *programs, int own_prog, const u64 *own_hits);

int probe_side_attach(struct probe_side *s, const struct kernel_probe *p, struct kernel_probe_links *ret) __must_check;
int probe_side_know_end(struct probe_side *s, u32 tgid, u64 address);
void probe_side_forget_ends(struct probe_side *s, u32 tgid);
