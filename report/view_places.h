/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* view_places.h: the table BY PLACE of --blocking and --summary. */
#pragma once

#include "report/view_blocks.h"

/* Writes nothing when no poll is in the group; limit 0 = all places. */
int view_places(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, enum block_group group, u64 limit,
		FILE *out) __must_check;
