/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sqlrow.h: reading rows, on top of db.h; used by the views and the exports.
 *
 * The database came from an untrusted capture: numbers are clamped to what they may be, sums are made with total() in SQL so that
 * no value can make a query fail, and texts are raw until whoever prints them cleans them (text_clean() of view_text.h, or the
 * JSON writer).
 */
#pragma once

#include "report/db.h"

/* Compiles one statement and binds `n` integers to ?1..?n. Returns 0 or -errno; the caller owns *ret. */
int sql_prepare(sqlite3 *db, sqlite3_stmt **ret, const char *sql, const u64 *binds, u32 n) __must_check;

/* Resets a statement and binds one integer to ?1: for statements that are run once a stack. */
int sql_rebind(sqlite3_stmt *st, u64 value) __must_check;

u64 sql_u64(sqlite3_stmt *st, int col); /* NULL and negative values are 0 */
bool sql_is_null(sqlite3_stmt *st, int col);
const char *sql_text(sqlite3_stmt *st, int col); /* NULL when null; valid until the next step */

/* A copy of the text; NULL when it is null or empty. malloc'ed; -ENOMEM. */
int sql_dup(sqlite3_stmt *st, int col, char **ret) __must_check;

/* The first column of the first row; *ret is 0 when there is no row. */
int sql_one_u64(sqlite3 *db, const char *sql, const u64 *binds, u32 n, u64 *ret) __must_check;
