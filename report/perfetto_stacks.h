/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * perfetto_stacks.h: stacks of a capture as Perfetto's interned callstacks: each is loaded and written once, inlined functions as frames of their own, the
 * kernel's frames on top of the program's. Used by export_perfetto.c. Memory goes with distinct stacks and frames.
 */
#pragma once

#include <sqlite3.h>

#include "base/u64map.h"
#include "report/perfetto_out.h"
#include "report/view_stack.h"

struct pf_stack {
	u64 iid;	   /* 0: there is no stack */
	const char *place; /* the function that the user's stack is known by, clean; NULL none. Valid until release */
};

struct pf_stacks {
	struct pf_out *o;
	struct vstack_loader loader;
	sqlite3_stmt *build_id;
	struct strtab *frames, *mappings, *places; /* an index there is the iid; of places not */
	struct u64map index;			   /* both ids -> position in rows */
	struct pf_stack_row {
		u32 iid, place;
	} * rows;
	size_t n, cap;
};

int pf_stacks_init(struct pf_stacks *s, sqlite3 *db, struct pf_out *o) __must_check;
void pf_stacks_release(struct pf_stacks *s);

/* Ids as in table stack, 0 none. What is new is defined by the packet that is ended next. */
int pf_stacks_get(struct pf_stacks *s, u64 stack_id, u64 kstack_id, struct pf_stack *ret) __must_check;
