/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * refine.h: what needs names: the user's own function of each stack, waits in a name lookup (class dns), the place of each
 * poll. Run after symbolize.h has added names; running it again changes nothing but what new names change.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"

/* True for a function that looks names up (getaddrinfo and what is below it). kind: as in table symbol. */
bool refine_is_name_lookup(const char *function, const char *kind);

/* db is writable; the caller has begun a transaction. 0 or negative errno. */
int refine_run(sqlite3 *db) __must_check;
