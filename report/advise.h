/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* advise.h: which library each poll was in, and what to try: columns poll.library and poll.advice_id, table advice. Called by refine.c. */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "report/library_table.h"

/* Reads temporary table list_name (list_names.h); what was there of an earlier run is made anew. */
int advise_polls(sqlite3 *db, const struct library_table *libraries) __must_check;
