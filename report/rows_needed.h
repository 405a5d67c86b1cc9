/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* rows_needed.h: whether a statement can be answered by a database that has the rows of reported polls only. Called by query_cmd.c. */
#pragma once

#include <sqlite3.h>

#include "report/load_events.h"

/*
 * CAPTURE_ROWS_POLLS when all that the statement reads is there at any depth: facts, and view blocking. Else CAPTURE_ROWS_ALL. What cannot be prepared
 * needs nothing: its error is told when it is run. db NULL: by the schema alone, before there is a database; this way alone tells the view
 * from a WITH blocking AS (...). 0 or negative errno. Replaces
 * the connection's authorizer.
 */
int rows_needed(sqlite3 *db, const char *sql, enum capture_rows *ret) __must_check;
