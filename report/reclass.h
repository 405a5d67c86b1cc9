/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * reclass.h: classes and details of waits and polls, once more, now that the frames of their stacks have names. One pass over the
 * waits; then each poll whose waits changed class is classified again, once. Called by refine.c.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"

/* Reads temporary table list_name (list_names.h). Run again, it changes nothing. */
int reclass_waits(sqlite3 *db) __must_check;
