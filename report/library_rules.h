/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* library_rules.h: the rules of a struct library_table, for library_table.c, library_parse.c and library_files.c alone. */
#pragma once

#include "base/base.h"
#include "report/library_table.h"

/* Texts point into the table's copies, or are static. */
struct library_rule {
	const char *prefix, *name, *category;
	size_t crate_n; /* bytes of prefix that are the crate */
	bool is_own;	/* the user's */
};

struct code_rule {
	const char *prefix;
	enum frame_kind kind;
};

struct try_rule {
	const char *cls, *detail; /* NULL any */
	const char *target;	  /* a library, "@category", "*" */
	const char *text;	  /* "-": nothing */
	bool is_own;
};

/* The first of two rules that match counts. Own rules come before built-in ones. */
struct library_table {
	struct library_rule *libraries;
	struct code_rule *codes;
	struct try_rule *tries;
	u32 *by_crate; /* indices of libraries, by crate, then by index */
	char **texts;
	u32 n_libraries, n_codes, n_tries, n_texts;
	size_t cap_libraries, cap_codes, cap_tries, cap_texts;
	u64 hash;
	bool adds_builtin; /* what is added from now on is not the user's */
};

#define LIBRARY_HASH_INIT 0xcbf29ce484222325ULL /* FNV-1a, 64 bits */

/* Puts a rule at an index, moving those from there on. 0 or -ENOMEM. */
int library_rules_insert(struct library_table *t, u32 at, const struct library_rule *r) __must_check;
