/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* carry_names.h: names that an earlier database of the same capture has, for a new one of more rows. Called by capture_db.c. */
#pragma once

#include <sqlite3.h>

#include "base/base.h"

/*
 * Modules of db for which no file was found, or one without DWARF where there was DWARF before, get the names that the database at old_path has. Ids of modules
 * are those of the capture, so they are equal in both; frames are found by module, offset and whether they return. Outside of a transaction, before
 * refine_run(). 0 or negative errno, when db is not to be used; an old database that cannot be read is none.
 */
int carry_names(sqlite3 *db, const char *old_path) __must_check;
