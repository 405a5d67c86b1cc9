/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_names.h: names for the types of tasks of a database (table task_type): finds the file that has each vtable's functions, as symbolize.c does, and asks for
 * what task_find.h can tell of them. Called behind symbolize_run(), which notes in table module what file is missing.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"

struct symbolize_opts;

/* 1 when task_names_resolve() would ask a file that was not asked before; 0 not; negative errno. */
int task_names_are_needed(sqlite3 *db, const struct symbolize_opts *o) __must_check;

/*
 * Fills name, name_from and kind where more can be told than is known. The caller has begun a transaction. A file that cannot be read costs its types' names.
 * 0, -ENOMEM, or the database's error.
 */
int task_names_resolve(sqlite3 *db, const struct symbolize_opts *o) __must_check;
