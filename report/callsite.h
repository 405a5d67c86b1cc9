/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * callsite.h: fills stack_profile_callsite, the tree of all stacks, and _stack_callsite, which leads into it. Called by the loader once all rows are in;
 * needs no names. Whoever reads perf_sample, stack_callsite or these tables needs it.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"

/*
 * As many rows as the tree may have: its index is in memory while it is made, about 35 bytes a row. Stacks that do not fit have no callsite, and meta has
 * their number (ascope.callsites_cut).
 */
#define CALLSITES_MAX 2000000

/* In a transaction of the caller. 0 or negative errno. `max`: CALLSITES_MAX, or less. */
int callsites_fill(sqlite3 *db, u32 max) __must_check;
