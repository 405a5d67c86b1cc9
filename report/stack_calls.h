/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stack_calls.h: what a stack says of a call timeline: the user's function that it lies in, the library which that called, and the kinds of both by the
 * table of libraries; worked out once a stack, and kept in bounded memory. Used by track_walk.c and the exports that show its slices.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "base/u64map.h"
#include "report/library_table.h"
#include "report/view_stack.h"

/* Texts are clean; where the owner said `json` they are escaped for the inside of a JSON string. */
struct stack_call {
	char *name;		      /* the function that the stack is known by (vstack_place); NULL: the stack is empty */
	const char *category;	      /* of its code: user, a category of the table of libraries, else as symbol.kind; unknown */
	char *library;		      /* what that function called; NULL: its own code runs or waits */
	const char *library_category; /* likewise; NULL with library */
	char *text;		      /* as stack_line() writes it; "" when the stack is empty */
	size_t text_n;		      /* its length */
};

struct stack_calls {
	struct vstack_loader loader;
	const struct library_table *libraries;
	struct u64map user, kernel; /* stack id -> position in rows */
	struct stack_call **rows;
	size_t n, cap, bytes;
	bool json;
};

/* `libraries` outlives it. */
int stack_calls_init(struct stack_calls *c, sqlite3 *db, const struct library_table *libraries, bool json) __must_check;
void stack_calls_release(struct stack_calls *c);

/* Borrowed until the next stack_calls_trim() or release. stack_id 0 gives NULL. */
int stack_calls_get(struct stack_calls *c, u64 stack_id, bool kernel, const struct stack_call **ret) __must_check;

/* Forgets all when it is much. */
void stack_calls_trim(struct stack_calls *c);

/* A copy of text for the inside of a JSON string; NULL is "". malloc'ed; -ENOMEM. */
int json_inner(const char *text, char **ret) __must_check;
