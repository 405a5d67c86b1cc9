/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * symbolize.h: names for the frames of a database: finds the file of each module that has frames (its build-id must agree,
 * whatever its name), asks sym.h and fills table symbol. What was found, or what to pass, is said in table module.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "report/sym_find.h"

struct library_table;
struct sym_child_opts;

struct symbolize_opts {
	struct sym_finder find;		       /* where to look */
	const struct library_table *libraries; /* tells whose code a frame is; NULL: by its source file alone */
	const struct sym_child_opts *child;    /* limits of the reader; NULL: the usual ones */
};

/*
 * Each --target must be the file of a module. 0; -EINVAL after it was said on stderr which is not, with its id and those of
 * the capture; -errno of a file that cannot be read, likewise said.
 */
int symbolize_check_targets(sqlite3 *db, const struct symbolize_opts *o) __must_check;

/* 1 when symbolize_run() would find names that are not in the database; 0 not; negative errno. */
int symbolize_is_needed(sqlite3 *db, const struct symbolize_opts *o) __must_check;

/*
 * Adds all names that can be found. db is writable; the caller has begun a transaction. Files are read in children
 * (sym_child.h): one that cannot be read costs its module's names, which is noted there, and nothing else.
 */
int symbolize_run(sqlite3 *db, const struct symbolize_opts *o) __must_check;

/* 1 when the debug information of a module could not be read: its reader crashed, took too long, needed too much. */
int symbolize_has_failed(sqlite3 *db) __must_check;
