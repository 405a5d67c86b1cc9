/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bundle_tasks.h: the types of tasks of a capture as rows of a database in which task_names.h can name them. Used by bundle.c. */
#pragma once

#include <sqlite3.h>

#include "report/bundle_frames.h"

/* What the capture says of a vtable's name, or NULL. */
const struct fmt_task_name *bundle_task_name(const struct load_dict *d, u64 vtable);

/* As column name_from of table task_type has it; NULL for 0 and what is not known. */
const char *bundle_task_how(u64 how);

typedef bool (*bundle_wants_fn)(void *ctx, u64 module);

/*
 * Rows of table task_type, with those of table frame that they need, for all vtables whose functions are in modules for which is_wanted says so. f is concluded.
 * 0 or the database's error.
 */
int bundle_tasks_put(const struct frame_set *f, sqlite3 *db, bundle_wants_fn is_wanted, void *ctx) __must_check;
