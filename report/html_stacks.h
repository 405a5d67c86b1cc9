/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * html_stacks.h: texts, functions and stacks of the HTML report, each stored once and known by its position. export_html.c and its
 * parts add while they write theirs; the tables are written behind them.
 *
 * Position 0 of each table is "none".
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "base/json.h"
#include "base/strtab.h"
#include "report/view_stack.h"

struct html_stacks {
	struct vstack_loader loader;
	struct strtab *texts;	  /* clean */
	struct strtab *functions; /* keys: struct html_function */
	struct strtab *stacks;	  /* keys: struct html_stack_key */
	struct buf *lists;	  /* by position - 1: the functions of each stack, u32, innermost first */
	const char **whys;	  /* likewise: why a walk ended early; NULL: it did not */
	size_t cap_lists, cap_whys;
	u64 left; /* stacks that had no room */
};

int html_stacks_init(struct html_stacks *s, sqlite3 *db) __must_check;
void html_stacks_release(struct html_stacks *s);

/* The position of a text, without control bytes and invalid UTF-8; NULL and "" are 0. */
int html_text_add(struct html_stacks *s, const char *text, u32 *ret) __must_check;

/* The position of a stack; 0 when stack_id is 0, or beyond HTML_MAX_STACKS of them, which are counted in `left`. */
int html_stack_add(struct html_stacks *s, u64 stack_id, bool kernel, u32 *ret) __must_check;

/*
 * Keys of an open object: "texts": [null, ...]; "functions": [null, [name, file, line, module, kind, bits, label], ...] where name, file, module and label (as reports have it) are
 * positions of texts, kind is the text of symbol.kind or null, and bits are 1 shown, 2 inlined into the next, 4 a guess, 8 kernel;
 * "stacks": [null, {"f": [function, ...], "why": ...}, ...].
 */
void html_stacks_put(const struct html_stacks *s, struct json *j);
