/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * query_print.h: the rows of a statement as an aligned table, CSV or JSON. Values come from an untrusted capture: tables are
 * cleaned for the terminal, CSV is made harmless for spreadsheets, JSON is always valid.
 */
#pragma once

#include <sqlite3.h>
#include <stdio.h>

#include "base/base.h"

enum query_format { QUERY_TABLE, QUERY_CSV, QUERY_JSON };

/* Runs the statement to its end. 0, or negative errno (the connection knows more); the output is well-formed in either case. */
int query_print(sqlite3_stmt *s, enum query_format format, FILE *out) __must_check;
