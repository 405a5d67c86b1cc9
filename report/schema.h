/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * schema.h: makes the tables and views of a capture database, and what documents them in it: table ascope_doc, filled from the comments of schema.sql
 * and views.sql. Called by the loader on an empty database, and by `query --schema` on one in memory.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"

/* Everything that is run on an empty database; part of what a database is known by (capture_db.c, maker_text). */
extern const char schema_sql[]; /* report/schema.sql: the tables; made part of the program by the Makefile */
extern const char views_sql[];	/* report/views.sql: the views, run behind it */

/* 0 or negative errno; sqlite3_errmsg() of the connection says more. */
int schema_create(sqlite3 *db) __must_check;

/*
 * 1 when the database has exactly the tables and views that schema_create() makes, word by word, and no trigger; 0 when not. A file that somebody else
 * made may say that it is of this capture and hold views that compute for ever, or that say what is not so. Indexes are the loader's business.
 */
int schema_matches(sqlite3 *db) __must_check; /* or negative errno */
