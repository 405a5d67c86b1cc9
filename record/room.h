/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * room.h: stops a recording while its file still has room for its end: the rows that wait, the copies of dictionaries, kernel symbols, totals, the footer.
 * Called by session.c between records. output.h knows how much room there is, fmt_writer_closing_size() what the writer still has to write.
 */
#pragma once

#include "base/base.h"
#include "format/fmt_writer.h"
#include "record/catalog.h"
#include "record/output.h"
#include "record/stop.h"

struct room {
	struct output *out; /* all borrowed */
	struct fmt_writer *w;
	struct catalog *cat;
	struct stop *stop;
	bool is_short; /* ask again after every record */
	u32 calls;     /* until plenty of room is asked for again */
};

/*
 * To be called after each record, and when there is plenty of room after every 64th at the latest. Sets the reason to stop when there is room for nothing but
 * the end; flushes before that. 0 or the writer's error.
 */
int room_keep(struct room *r) __must_check;

/* Whether n more bytes than the end's have room; flushes to find out. A perfmap_room function, ctx is the struct room. */
bool room_has(void *ctx, size_t n);
