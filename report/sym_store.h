/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sym_store.h: between table frame, a child's lookups and table symbol. Used by symbolize.c. */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "report/sym_wire.h"

struct library_table;

/* Frames of one module to be asked for; owned, sym_frames_release(). */
struct sym_frames {
	u64 *ids; /* of table frame */
	struct sym_wire_lookup *lookups;
	u64 n;
	size_t cap_ids, cap_lookups;
};

/* Frames of a module by file offset: all of them, or those without a name. */
int sym_frames_load(struct sym_frames *f, sqlite3 *db, u64 module_id, bool only_nameless) __must_check;
void sym_frames_release(struct sym_frames *f);

/* Writes what was answered. A frame that has got a name loses those it had. */
int sym_store_names(sqlite3 *db, const struct sym_frames *f, const struct sym_answers *a, const char *module_path,
		    const struct library_table *libraries) __must_check;
