/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* rows_needed.h: whether a statement can be answered by a database that has the rows of reported polls only. Called by query_cmd.c. */
#pragma once

#include "report/load_events.h"

/*
 * CAPTURE_ROWS_POLLS when all that the statement reads is there at any depth: facts, and view blocking. Else CAPTURE_ROWS_ALL. What cannot be prepared
 * needs nothing: its error is told when it is run. Asked of an empty database of the same schema, so that none need be there yet. 0 or negative errno.
 */
int rows_needed(const char *sql, enum capture_rows *ret) __must_check;
