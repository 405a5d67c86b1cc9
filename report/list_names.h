/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * list_names.h: what the names of each list of frames say, looked at once per list, which many stacks share, and once per name:
 * the frame that it is reported under, the libraries between it and the wait, what kind of wait. Called by refine.c.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "report/library_table.h"

/*
 * Fills the temporary table list_name, one row for each list that has a named frame:
 *	list_id INTEGER PRIMARY KEY
 *	rank, function, file, line, kind	its best frame (refine.c); rank is null for a kernel list
 *	polls		1: a task's poll is among them, frames of lists further out are not the task's
 *	has_user	1: the user's own code is among them, before any task's poll
 *	is_lookup, lock, network, kernel	as struct wait_says
 *	libs_out, libs_in	libraries inside the user's code, each ended by a newline: the one that it called first, then those
 *				further in; and those of a list without user code, what is no std before what is
 */
int list_names_make(sqlite3 *db, const struct library_table *libraries) __must_check;
