/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * html_blocks.h: the blocked polls of the HTML report: what `report --blocking` says of places and polls (view_blocks.h), as compact
 * rows. Called by export_html.c.
 */
#pragma once

#include "base/json.h"
#include "report/html_stacks.h"
#include "report/view_blocks.h"

struct html_blocks {
	struct block_totals totals[2]; /* by enum block_group */
	struct places places[2];
	struct blocks heads[2];	  /* of each place its longest: in the order of places */
	struct blocks longest[2]; /* with polls that heads has */
	u32 *place_of[2];	  /* by index in longest: its place + 1; 0: a place that is left out */
};

int html_blocks_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f,
		     struct html_blocks *ret) __must_check;
void html_blocks_release(struct html_blocks *b);
#define _cleanup_html_blocks_ _cleanup_(html_blocks_release)

/*
 * Keys of an open object: "totals", "place_columns", "places" (rows), "block_columns", "blocks" (rows), "left" (what is not embedded). Times are ns since the
 * recording began; names are positions of texts, stacks of stacks, `place` and `thread` positions of rows of places and of threads (thread ids,
 * which the reader maps).
 */
int html_blocks_put(const struct html_blocks *b, const struct capture_facts *f, const struct report_opts *o,
		    struct html_stacks *s, struct json *j) __must_check;

/* How many rows of blocks were written. */
u64 html_blocks_count(const struct html_blocks *b);
