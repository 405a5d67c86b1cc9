/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bundle_names.h: names in a database -> the rows of kinds string, symbol, frame, module_names and task_name that a capture lacks. What it has is used
 * again: a name that is there twice is stored once, and what is the same makes no row.
 */
#pragma once

#include <sqlite3.h>

#include "base/strtab.h"
#include "format/fmt_writer.h"
#include "report/load_dict.h"

/* Things that have an index in the capture. */
struct name_table {
	struct strtab *keys;
	u64 *idx; /* by number in keys: index in the capture */
	size_t cap;
	u64 next; /* the next free index in the capture */
};

struct bundle_names {
	const struct load_dict *d; /* borrowed */
	struct name_table texts, symbols;
	u32 old_texts;				 /* of texts, those that the capture has */
	struct buf new_symbols, frames, modules; /* arrays of struct fmt_symbol, fmt_frame, fmt_module_names */
	u64 n_frames, n_modules;		 /* rows of frames, modules */
	struct buf tasks;			 /* array of struct fmt_task_name */
	u64 n_tasks;
};

/* next_string, next_symbol: the least index that the capture neither has nor names. 0 or -ENOMEM; release in any case. */
int bundle_names_init(struct bundle_names *n, const struct load_dict *d, u64 next_string, u64 next_symbol) __must_check;
void bundle_names_release(struct bundle_names *n);

/*
 * All names in db (tables module, frame, symbol, task_type; filled by symbolize_run(), task_names_resolve()). Of a module whose names in the capture are better, nothing is
 * taken. 0, -ENOMEM, -ERANGE when indices run out, or the database's error.
 */
int bundle_names_take(struct bundle_names *n, sqlite3 *db) __must_check;

/* Whether there is anything to write. */
bool bundle_names_any(const struct bundle_names *n);
int bundle_names_write(const struct bundle_names *n, struct fmt_writer *w) __must_check;
