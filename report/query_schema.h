/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * query_schema.h: `ascope query --schema`: every table and view of a capture database with its sentence, every column with its comment, as the database
 * itself has them in table ascope_doc.
 */
#pragma once

#include <sqlite3.h>
#include <stdio.h>

#include "base/base.h"

/* db: a capture's, only read; NULL: what a new one has. 0 or negative errno. */
int query_schema_print(sqlite3 *db, FILE *out) __must_check;
