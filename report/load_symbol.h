/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * load_symbol.h: the names that a capture carries (FORMAT.md, kinds symbol, frame, module_names): gathered by load_dict.c in the first
 * pass, written into the database by load.c when its frames are there. bundle.c compares them with those that it finds.
 */
#pragma once

#include <sqlite3.h>

#include "report/load_dict.h"
#include "report/sym.h"

struct library_table;

/* A row of kind frame. */
struct load_frame_row {
	u64 module, key; /* load_symbols_key() */
	u64 symbol;
	size_t row; /* which row of the file: of equal places the last holds */
};

/* The key of a place in its module; file_off is below LOAD_FILE_OFF_MAX. */
#define LOAD_FILE_OFF_MAX (1ULL << 62)
static inline u64 load_symbols_key(u64 file_off, bool is_return)
{
	return file_off * 2 + is_return;
}

/*
 * Places with names of one capture, 32 bytes each: a recording has some ten thousand, but a block of constant columns, 262144 rows in a few bytes, may be
 * repeated.
 */
#define LOAD_MAX_SYMBOL_FRAMES ((size_t)1 << 22)

/* Rows as the first pass meets them. 0 or -ENOMEM; a row that cannot be, or is one too many, is counted in d->bad_rows. */
int load_symbols_add(struct load_dict *d, const struct fmt_section *s, u32 i) __must_check;

/* When all rows are in: makes load_symbols_find() possible. */
void load_symbols_sort(struct load_dict *d);

/* The innermost symbol of a place; 0 none. */
u64 load_symbols_find(const struct load_dict *d, u64 module, u64 key);

/*
 * The chain of a symbol, innermost first, into ret: at most SYM_MAX_INLINE frames (names point into d). Returns how many; 0 when the
 * chain leads to a symbol or a name that is lost.
 */
u32 load_symbols_chain(const struct load_dict *d, u64 symbol, struct sym_frame ret[SYM_MAX_INLINE]);

/* What the file says of a module's names; NULL when it carries none. */
const struct fmt_module_names *load_symbols_of_module(const struct load_dict *d, u64 module);

/*
 * Names for all rows of table frame that the capture has names for, and module.symbols_from ('capture'), symbols, note. libraries tells whose
 * code a frame is; NULL: by its source file alone. 0 or negative errno.
 */
int load_symbols_write(const struct load_dict *d, sqlite3 *db, const struct library_table *libraries) __must_check;
