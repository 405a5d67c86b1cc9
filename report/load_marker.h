/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * load_marker.h: marker records -> intervals, table `marker`: a START and the END that belongs to it. Called by load_events.c in file order.
 *
 * Records of a pair belong together by task where its id is known, so that a task that awaits in between, and goes on on another thread, finds its START
 * again; else by thread. Within that they nest: an END ends the innermost open START.
 */
#pragma once

#include "base/u64map.h"
#include "format/fmt_def.h"
#include "report/db.h"

struct open_marker; /* private */

struct marker_loader {
	sqlite3_stmt *ins;
	struct open_marker *open; /* those that are not ended, and free ones */
	u32 n_open, free_open;
	size_t cap_open;
	struct u64map last; /* hash of whom it belongs to -> 1 + the innermost one, of all that share the hash */
	u64 next_id;
	u64 ends_alone; /* ENDs without START */
	u64 refused;	/* impossible rows, and STARTs beyond what is kept open */
};

int marker_loader_init(struct marker_loader *ml, sqlite3 *db) __must_check;
void marker_loader_release(struct marker_loader *ml);

/* e->ustack is the database's stack id, 0 none; process is that of its thread, 0 unknown. 0 or negative errno. */
int marker_loader_event(struct marker_loader *ml, const struct fmt_marker *e, u64 process) __must_check;

/* What did not fit, into meta. */
int marker_loader_facts(const struct marker_loader *ml, sqlite3 *db) __must_check;

/* Writes those that have no END. */
int marker_loader_finish(struct marker_loader *ml) __must_check;
