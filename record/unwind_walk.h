/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * unwind_walk.h: the kernel side's walker (bpf/unwind.h), compiled for user space: walks threads that stand still through /proc/PID/mem (snapshot.c), and
 * lets tests compare it with libdwfl without a kernel.
 */
#pragma once

#include "base/base.h"
#include "record/unwind_tables.h"

/* All n bytes of the thread's memory at addr into buf, or a negative errno. */
typedef int (*unwind_read_fn)(void *ctx, u64 addr, void *buf, size_t n);

struct unwind_regs {
	u64 ip, sp, fp;
	bool after_call;    /* ip is behind a call or system call instruction: rules are looked up at ip - 1 */
	u16 known;	    /* of `other`, a bit for each */
	u64 other[UW_REGS]; /* by DWARF number; a few rules for innermost frames need one */
};

struct unwind_stack {
	u64 *frames; /* innermost first; room for `max`, provided by the caller */
	u32 max;
	u32 n;		       /* out */
	u32 fp_from;	       /* out: 1 + first frame found by a frame pointer; 0 none */
	enum uw_status status; /* out */
};

void unwind_walk(const struct unwind_arrays *a, struct unwind_slice slice, const struct unwind_regs *regs, unwind_read_fn read,
		 void *ctx, struct unwind_stack *s);
