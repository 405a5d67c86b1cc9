/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* oracle_wire.h: what oracle.bpf.c sends to oracle.c: a walk, and all that is needed to do it again. */
#pragma once

#include "ascope_wire.h"

enum { ORACLE_CHUNK = 4096, ORACLE_CHUNKS = 16, ORACLE_RED_ZONE = 128, ORACLE_REGS = 17 };

struct oracle_record {
	__u32 tid;
	__u32 status; /* enum uw_status */
	__u32 fp_from;
	__u32 n;
	__u32 user_mode; /* user code was interrupted, or a uprobe hit */
	__u32 in_syscall;
	__u32 uprobe;
	__u32 stack_bytes;
	__u64 stack_at;		 /* address of stack[0] */
	__u64 regs[ORACLE_REGS]; /* in DWARF's order: System V ABI for x86-64, figure 3.36; the last is the instruction pointer */
	__u64 frames[WIRE_MAX_FRAMES]; /* innermost first */
	__u8 stack[ORACLE_CHUNK * ORACLE_CHUNKS];
};
