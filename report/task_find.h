/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_find.h: the type of a task by the functions in its vtable: from their own names where these tell it (v0), else from the names of what they call. Pure:
 * over a symbol table and code in memory (task_code.h), demangling included. Called by sym_task.c, in the child.
 *
 * What it rests on (Tokio 1.20 - 1.54, measured by tests/symbols/task_names.py): `dealloc` drops a Cell<T, S>, `poll` drops the Stage<T> of a finished task, and
 * the names of drop_in_place have T in full; `poll` calls the future's own body, whose name has no type arguments. The linker may have merged functions of
 * several types, and left all names or only some: so each says "one of these", or no more than "perhaps one of these" where it serves more types than it has
 * names for. Which function serves whom is told by a census of all vtables of the file.
 */
#pragma once

#include "base/buf.h"
#include "report/task_code.h"
#include "report/task_name.h"

enum task_how { TASK_UNKNOWN = 0, TASK_BY_V0 = 1, TASK_BY_DWARF = 2, TASK_BY_SYMBOLS = 3, TASK_CANDIDATES = 4 };

#define TASK_CANDIDATES_MAX 4 /* that are named; when there are more, or may be, the name ends in " | ..." */

/* A vtable: addresses of its functions in the ELF file; schedule 0: not known (before 1.23). */
struct task_vtable {
	u64 poll, schedule, dealloc;
};

struct task_census;

/* Of all vtables of a file (v is sorted). Vtables behind the first 16,384 are left out. -ENOMEM; c outlives it. */
int task_census_new(const struct task_code *c, struct task_vtable *v, u32 n, struct task_census **ret) __must_check;
struct task_census *task_census_free(struct task_census *t); /* accepts NULL, returns NULL */

struct task_query {
	u64 poll, dealloc;		  /* addresses in the ELF file; 0 not known */
	const char *typed_poll;		  /* poll<T, S> by the debug info; NULL none */
	const char *typed_dealloc;	  /* dealloc<T, S> */
	const struct task_census *census; /* NULL: none, and every name is believed */
};

struct task_answer {
	enum task_how how;
	enum task_kind kind;
	char name[TASK_CANDIDATES_MAX * TASK_NAME_MAX]; /* "" with TASK_UNKNOWN; candidates with " | " between */
};

/* 0 or -ENOMEM. */
int task_find(const struct task_code *c, const struct task_query *q, struct task_answer *ret) __must_check;
