/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* export_stacks.h: one-line forms of stacks, made once a stack: an export asks for the same few thousands millions of times. */
#pragma once

#include "base/buf.h"
#include "base/u64map.h"
#include "report/view_stack.h"

enum stack_form {
	STACK_FORM_LINE,   /* "a < b < c", innermost first, runtime and std frames as "..": to be read in an args panel */
	STACK_FORM_FOLDED, /* "root;..;leaf", every frame, _[k] and _[i] appended: flamegraph.pl and its relatives */
};

struct stack_texts {
	struct vstack_loader loader;
	enum stack_form form;
	struct u64map index; /* stack id -> position in rows */
	struct stack_text {
		char *text;  /* raw for LINE, clean for FOLDED; "" for an empty stack */
		char *place; /* the function it is known by; NULL none */
	} * rows;
	size_t n, cap;
};

static inline bool has_text(const struct stack_text *t)
{
	return t->text && *t->text;
}

int stack_texts_init(struct stack_texts *t, sqlite3 *db, enum stack_form form) __must_check;
void stack_texts_release(struct stack_texts *t);
#define _cleanup_stack_texts_ _cleanup_(stack_texts_release)

/* The texts are borrowed until release; stack_id 0 gives NULL and NULL. */
int stack_texts_get(struct stack_texts *t, u64 stack_id, bool kernel, struct stack_text *ret) __must_check;

/* STACK_FORM_LINE of a stack, behind what b holds. 0 or -ENOMEM. */
int stack_line(const struct vstack *s, bool kernel, struct buf *b) __must_check;

/*
 * One frame of a folded stack: clean, without ';', and not ending in a blank and digits (which would be read as a count).
 * malloc'ed; -ENOMEM.
 */
int folded_name(const char *raw, const char *suffix, char **ret) __must_check;
