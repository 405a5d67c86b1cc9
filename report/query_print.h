/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * query_print.h: the rows of a statement as an aligned table, CSV or JSON. Values come from an untrusted capture: tables are
 * cleaned for the terminal, CSV is made harmless for spreadsheets, JSON is always valid.
 */
#pragma once

#include <sqlite3.h>
#include <stdio.h>

#include "base/base.h"

/* QUERY_CSV puts an apostrophe before texts that a spreadsheet would run (= + - @, tab, return); QUERY_CSV_EXACT does not. */
enum query_format { QUERY_TABLE, QUERY_CSV, QUERY_CSV_EXACT, QUERY_JSON };

/*
 * Runs the statement to its end, a row at a time. 0, or negative errno (the connection knows more; -EPIPE: the output takes no more, its error flag
 * says so); the output is well-formed in either case.
 */
int query_print(sqlite3_stmt *s, enum query_format format, FILE *out) __must_check;
