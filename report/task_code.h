/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_code.h: which functions a function calls or jumps to, as far as that is plain without a disassembler: bytes that read as a call or jump and lead exactly
 * to a function's first byte. x86-64. Pure functions over code and symbols in memory; task_find.c asks.
 *
 * A displacement or data between instructions may look like a call, too: one that also hits a function's start is rare, and whoever uses the answer must be
 * able to bear it.
 */
#pragma once

#include "base/base.h"

struct task_code_part {
	u64 addr, size; /* addr + size does not wrap */
	const u8 *bytes;
};

/* One name of a function. Those of one address stand side by side. */
struct task_code_func {
	u64 addr, end;
	const char *name; /* linker's */
};

struct task_code {
	const struct task_code_part *parts;
	u32 n_parts;
	const struct task_code_func *funcs; /* by addr */
	u32 n_funcs;
	/* What the pointer at an address is when the program runs; false: not known. */
	bool (*pointer)(void *ctx, u64 addr, u64 *ret);
	void *ctx;
};

#define TASK_CODE_BYTES_MAX ((u64)256 << 10) /* of one function that are looked at */

/* The first name of the function that begins exactly here; n_funcs: none does. */
u32 task_code_at(const struct task_code *c, u64 addr);

/* How many names the function has that begins at funcs[i].addr, i its first. */
u32 task_code_names(const struct task_code *c, u32 i);

/*
 * The functions that the code from addr to end calls or jumps to, as indices of their first names, each once, in the order of the code. Returns how many there
 * are in ret (max at most). What is behind end - the next function - is not read.
 */
u32 task_code_callees(const struct task_code *c, u64 addr, u64 end, u32 *ret, u32 max);
