/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * refine.h: what becomes known of waits and polls once frames have names: the function each stack is reported under, classes and
 * details that only names tell (reclass.h), the stack that stands for a poll on the CPU, libraries and what to try (advise.h).
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "report/library_table.h"

/*
 * Run after symbolize_run(), again whenever names were added, and with another table of libraries. db is writable; the caller has
 * begun a transaction.
 */
int refine_run(sqlite3 *db, const struct library_table *libraries) __must_check;

/* 1 when the database was refined with another table of libraries than this, 0 not; negative errno. */
int refine_is_needed(sqlite3 *db, const struct library_table *libraries) __must_check;
