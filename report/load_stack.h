/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * load_stack.h: stacks of addresses -> rows of stack, frame and stack_frame. Each address becomes (module, file offset) by
 * the mappings of its process at the time its stack was first used; equal ones are one frame. A stack's database id is its
 * index in the capture.
 */
#pragma once

#include "report/db.h"
#include "report/load_dict.h"

struct stack_store {
	struct load_dict *d; /* borrowed */
	sqlite3 *db;	     /* borrowed */
	sqlite3_stmt *ins_stack, *ins_stack_frame, *ins_frame, *ins_symbol;
	u64 *max_end;		/* per mapping: the largest end among those of its process up to it */
	struct u64map first_of; /* process index -> its first mapping */
	struct u64map *frames;	/* per module slot, then unmapped, then kernel: offset and is_return -> frame id */
	u32 n_frame_maps;
	u64 kernel_module_id;
	u64 next_frame_id;
	u64 truncated, fault, no_table, whole; /* user stacks stored, by how they ended */
};

/* Sorts d->mappings and removes repeated ones. The caller releases in any case. */
int stack_store_init(struct stack_store *st, struct load_dict *d, sqlite3 *db, u64 kernel_module_id) __must_check;
void stack_store_release(struct stack_store *st);

/*
 * Stores a stack when it is not yet; *ret_id is its database id, 0 when the capture has no such stack of this kind (enum
 * fmt_stack_kind). ts: of the event that uses it; top_is_return: frame 0 is looked up like a return address (an address
 * behind a system call instruction).
 */
int stack_store_use(struct stack_store *st, u64 idx, u64 kind, u64 ts, bool top_is_return, u64 *ret_id) __must_check;

/* True when a kernel stack is that of a thread stopped by a signal, a debugger or the cgroup freezer. */
bool stack_store_is_stop(struct stack_store *st, u64 idx);
