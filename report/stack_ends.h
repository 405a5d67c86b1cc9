/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stack_ends.h: how the walks of user stacks ended and in which module, counted by what was recorded: table stack_end. Filled by
 * load_stack.c while events are read; the verdict is made from its sums.
 */
#pragma once

#include "base/u64map.h"
#include "report/db.h"
#include "report/verdict.h"

struct stack_end {
	u64 status; /* see stack_status.h */
	u64 module; /* id; 0 none */
	u64 events, guessed, stacks;
};

struct stack_ends {
	struct stack_end *rows;
	u32 n;
	size_t cap;
	struct u64map by_key; /* status and module -> position */
};

#define STACK_ENDS_INIT ((struct stack_ends){0})

void stack_ends_release(struct stack_ends *e);

/* Position of (status, module); the module counts only for statuses that have a culprit (stack_status.h). 0 or -ENOMEM. */
int stack_ends_find(struct stack_ends *e, u64 status, u64 module, u32 *ret_at) __must_check;

/* Fills table stack_end, rows without any event apart. */
int stack_ends_write(const struct stack_ends *e, sqlite3 *db) __must_check;

/* Adds the events to the facts' sums by status. */
void stack_ends_sum(const struct stack_ends *e, struct verdict_facts *f);
