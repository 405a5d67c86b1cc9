/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* room.c: see room.h. */
#include "record/room.h"

/* What finishing adds to fmt_writer_closing_size(): facts and totals, a row and a name for each kernel address; all of it twice, for the copies. */
enum { END_FACTS = 16 << 10, END_PER_KSYM = 80 };
/* What may come between two calls: with little room that is one record, with the rows of a stack or a process. */
#define SLACK_FAR  ((u64)1 << 20)
#define SLACK_NEAR ((u64)16 << 10)
/* Room that a flush must find: more than SLACK_NEAR by the bound of some thirty records, or every record would soon be a block of its own. */
#define WORTH_IT ((u64)24 << 10)
enum { FAR_EVERY = 256 }; /* calls: while room is short the file system is not asked for plenty at each */

static enum stop_reason reason_of(enum output_full full)
{
	switch (full) {
	case OUTPUT_MAX_SIZE:
		return STOP_MAX_SIZE;
	case OUTPUT_FILE_LIMIT:
		return STOP_FILE_LIMIT;
	case OUTPUT_DISK_QUOTA:
		return STOP_DISK_QUOTA;
	default:
		return STOP_DISK_FULL;
	}
}

/* Whether the end and `more` bytes have room. */
static enum output_full look(const struct room *r, u64 more)
{
	const u64 *addrs;
	u64 end = fmt_writer_closing_size(r->w) + END_FACTS + (u64)catalog_kernel_addrs(r->cat, &addrs) * END_PER_KSYM;

	return output_room(r->out, end + more);
}

/* The bound of rows that wait is far above what they come to, so with little room they are written first. */
int room_keep(struct room *r)
{
	enum output_full full;
	int err;

	if (!r->is_short || ++r->calls >= FAR_EVERY) {
		r->calls = 0;
		r->is_short = look(r, SLACK_FAR) != OUTPUT_HAS_ROOM;
	}
	if (!r->is_short || look(r, SLACK_NEAR) == OUTPUT_HAS_ROOM)
		return 0;
	err = fmt_writer_flush(r->w);
	full = look(r, WORTH_IT);
	if (full != OUTPUT_HAS_ROOM)
		r->stop->reason = reason_of(full); /* in the last drain, too: what is left out then lies before any other end */
	return err;
}

bool room_has(void *ctx, size_t n)
{
	struct room *r = ctx;

	if (look(r, n + SLACK_NEAR) == OUTPUT_HAS_ROOM)
		return true;
	return fmt_writer_flush(r->w) == 0 && look(r, n + SLACK_NEAR) == OUTPUT_HAS_ROOM;
}
