/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * load_stack.h: stacks of addresses -> rows of stack, stack_part, frame_list and frame. Each address becomes (module, file offset)
 * by the mappings of its process at the time its stack was first used; equal ones are one frame. Code without a file gets its name
 * from the process's perf map.
 *
 * A stack's database id is its index in the capture. A sample's stack, which the capture has as (interrupted address, callers), is
 * one stack a distinct pair, with an id behind those; it costs three short rows, as its frames are in two shared lists. Ids do not depend on
 * which stacks are kept.
 */
#pragma once

#include "report/db.h"
#include "report/load_perfmap.h"
#include "report/stack_ends.h"

struct leaf_stack; /* private */

struct stack_store {
	struct load_dict *d; /* borrowed */
	sqlite3 *db;	     /* borrowed */
	sqlite3_stmt *ins_stack, *ins_part, *ins_list, *ins_frame, *ins_symbol;
	u64 *max_end;		/* per mapping: the largest end among those of its process up to it */
	struct u64map first_of; /* process index -> its first mapping */
	struct u64map *frames;	/* per module slot, then unmapped, kernel, then each perf map: offset and is_return -> frame id */
	struct perfmap_set maps; /* of the capture's processes */
	u32 n_frame_maps;
	u64 kernel_module_id;
	u64 next_frame_id;
	u64 first_id; /* behind all indices of the capture: of lists of one interrupted address, and of stacks made of two lists */
	struct leaf_stack *leaves; /* distinct pairs: the stack of leaves[i] has id first_id + i */
	u32 *leaf_slots;	   /* hash table of them, 2 * cap_leaves long */
	u32 n_leaves, cap_leaves;
	struct u64map leaf_lists; /* frames that have a list of their own */
	struct stack_ends ends;
};

/* Sorts d->mappings and removes repeated ones; takes the pieces of perf maps. The caller releases in any case. */
int stack_store_init(struct stack_store *st, struct load_dict *d, sqlite3 *db, u64 kernel_module_id) __must_check;
void stack_store_release(struct stack_store *st);

/* How an event refers to its user stack. */
struct user_stack_ref {
	u64 ustack;	  /* stack index; 0 none */
	u64 pc;		  /* innermost address, when ustack holds only its callers; 0: ustack is all */
	u64 process;	  /* of the event's thread, for a pc without callers */
	u64 ts;		  /* of the event */
	bool behind_call; /* the innermost address lies behind a system call's instruction: it is looked up like a return address */
	bool counts;	  /* the event weighs: it is told in table stack_end */
};

/* *ret_id is the stack's database id, 0 when there is none; how it ends is counted. It gets a row when stack_store_keep() asks for it. */
int stack_store_use_user(struct stack_store *st, const struct user_stack_ref *u, u64 *ret_id) __must_check;
int stack_store_use_kernel(struct stack_store *st, u64 idx, u64 *ret_id) __must_check;

/* The stack with this id (0 and unknown ones: none) gets a row; `weight` is added to its weight. */
void stack_store_keep(struct stack_store *st, u64 id, u32 weight);

/* After the events: the rows of all that was kept. */
int stack_store_write(struct stack_store *st) __must_check;

/* The frame of one address in a process, as of ts (ns), made when new; is_return: it is a return address. */
int stack_store_frame(struct stack_store *st, u64 process, u64 addr, u64 ts, bool is_return, u64 *ret_id) __must_check;

/* What the functions of a kernel stack say of the thread. */
enum kernel_mark {
	KERNEL_STOPPED = 1,	/* by a signal, a debugger or the cgroup freezer */
	KERNEL_DYING = 4,	/* exits, or writes its core dump or waits for that */
	KERNEL_IN_SYSCALL = 2,	/* user code called the kernel; without it, a fault or an interrupt of user code did */
	KERNEL_INTERRUPTED = 8, /* by a device or a timer: what is further in is not the thread's doing */
};

/* Set of enum kernel_mark; 0 for a stack index that is none, or no kernel stack's. */
u32 stack_store_kernel_marks(struct stack_store *st, u64 idx);
