/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * unwind_rows.h: the unwind table as both sides see it: record/unwind_*.c writes it into three BPF array maps through mmap, bpf/unwind.h reads it.
 *
 * A module's .eh_frame becomes sorted rows; a row holds from its pc to the next row's:
 *
 *	row  = pc << 32 | rule          pc: virtual address minus the module's lowest (page-aligned) PT_LOAD address
 *	rule = cfa:20 | fp:8 | kind:4   cfa and fp signed, in units of 8 bytes; fp 0: the caller's frame pointer is unchanged,
 *	                                else it was saved at CFA + fp * 8
 *
 * The return address is always at CFA - 8 (System V ABI for x86-64, "The stack frame"); the caller's stack pointer is the CFA.
 */
#pragma once

#ifndef __bpf__
#include <linux/types.h>
#endif

enum uw_kind {
	UW_END = 0,	 /* no FDE covers this pc */
	UW_SP = 1,	 /* CFA = sp + cfa */
	UW_FP = 2,	 /* CFA = fp + cfa */
	UW_PLT = 3,	 /* CFA = sp + 8 + ((pc & 15) >= cfa field ? 8 : 0): a stub of GNU ld's .plt */
	UW_SIGNAL = 4,	 /* signal trampoline: registers are in the ucontext at sp */
	UW_STOP = 5,	 /* outermost frame: the return address is undefined */
	UW_BAD = 6,	 /* an FDE covers this pc, but its rule does not fit here */
	UW_DEREF_FP = 7, /* CFA = *(fp + cfa), caller's fp = *fp: a realigned stack of gcc's */
	UW_DEREF_SP =
		8, /* CFA = *(sp + offset) + n * 8: OpenSSL's assembly, which keeps the old sp on a realigned stack; n in the register's place */
	/* The next four name a register that is only known of the innermost frame; uw_rule_reg() and uw_rule_reg_off() in place of cfa. */
	UW_REG =
		9, /* CFA = register + offset: assembly, which may keep the old sp anywhere, and gcc's prologue of a realigned stack */
	UW_REG_FP = 10, /* the same, caller's fp = *fp while that is in the frame: between such a prologue and its epilogue */
	UW_RA_REG =
		11, /* CFA = sp + offset, return address in the register: glibc's vfork, whose child would overwrite it on the stack */
	UW_DEREF_AT = 12, /* CFA = *(sp + offset + register * 8) + 8: OpenSSL's, behind an array on the stack */
	UW_KINDS,
};

#define UW_FP_BITS  8
#define UW_CFA_BITS 20
#define UW_CFA_MAX  ((1 << (UW_CFA_BITS - 1)) - 1) /* in units of 8 bytes */
#define UW_FP_MAX   ((1 << (UW_FP_BITS - 1)) - 1)

/* Fields in units of 8 bytes. */
static inline __u32 uw_rule(enum uw_kind kind, __s32 fp, __s32 cfa)
{
	return (__u32)kind | ((__u32)fp & 0xff) << 4 | (__u32)cfa << 12;
}

/* ... and back, in bytes. */
static inline __s64 uw_rule_fp(__u32 rule)
{
	return (__s64)((__s32)(rule << 20) >> 24) * 8;
}

static inline __s64 uw_rule_cfa(__u32 rule)
{
	return (__s64)((__s32)rule >> 12) * 8;
}

/*
 * The cfa field of a rule that names a register: offset:16, signed, in units of 8 bytes, and the register's DWARF number (System V ABI AMD64 1.0 figure 3.36).
 */
#define UW_REGS	    16
#define UW_REG_BITS 4

static inline __u32 uw_rule_with_reg(enum uw_kind kind, __s32 fp, __u32 reg, __s32 off)
{
	return uw_rule(kind, fp, (__s32)((__u32)off << UW_REG_BITS | (reg & (UW_REGS - 1))));
}

static inline __u32 uw_rule_reg(__u32 rule)
{
	return rule >> 12 & (UW_REGS - 1);
}

static inline __s64 uw_rule_reg_off(__u32 rule)
{
	return (__s64)((__s32)rule >> 16) * 8;
}

/*
 * The index divides a module's span into blocks of 2^log bytes, from UW_BLOCK_LOG on; the fewer rows the module has, the larger. Entry b is the number (in the
 * rows map) of the module's last row with pc <= b << log, its first row where there is none. Between two blocks' starts are fewer than 2^UW_SEARCH_STEPS rows, so that a
 * search within a block takes as many steps.
 */
#define UW_BLOCK_LOG	 8
#define UW_BLOCK_LOG_MAX 20
#define UW_SEARCH_STEPS	 8

/* An executable mapping of a process. Those of one process are a slice of the maps array, sorted by start, without overlaps. */
struct uw_map {
	__u64 start, end; /* addresses */
	__u32 idx_base;	  /* number of the module's first index entry */
	__u32 pc_off;	  /* pc of `start` in the module */
	__u32 row_end; /* number behind the module's last row; 0: no table (no .eh_frame, JIT code): frame pointers are tried */
	__u32 module : 24;   /* the catalog's module index; 0 none */
	__u32 block_log : 8; /* of the module's index */
};

#define UW_MAX_MAPS 1023 /* of one process: ten search steps */

/* How a walk ended. The same numbers as enum fmt_stack_status. */
enum uw_status {
	UW_MORE = 0,	   /* a step's answer: go on */
	UW_WHOLE = 1,	   /* at the outermost frame */
	UW_TRUNCATED = 2,  /* at WIRE_MAX_FRAMES */
	UW_NO_TABLE = 3,   /* no FDE (or no table) for a pc, and no plausible frame pointer */
	UW_FAULT = 4,	   /* stack memory could not be read */
	UW_NO_MAPPING = 6, /* a pc in no known executable mapping */
	UW_BAD_RULE = 7,   /* a rule that cannot be expressed */
	UW_BROKEN = 8,	   /* the stack pointer did not move towards the stack's base */
	UW_STARTING = 9,   /* as UW_NO_MAPPING or UW_FAULT, so soon after fork or exec that nobody could do better */
	UW_STATUSES,
};
