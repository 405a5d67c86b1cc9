/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * discover.h: finds Tokio in the targets and keeps looking: runtimes may start after the recording. Uses layout.h for the scan
 * and calibrate.h for the tick, tells the kernel side and writes the layout entries.
 */
#pragma once

#include "base/base.h"
#include "record/catalog.h"
#include "record/kernel_side.h"

/* A row, and the image as which its thread was looked at; the catalog keeps those that are gone. */
struct snapshot_row {
	struct fmt_snapshot row;
	const struct cat_process *p;
};

struct discover {
	struct catalog *cat;
	struct kernel_side *kernel;
	bool no_lists; /* tasks that are alive are not asked for */
	bool is_quiet; /* the caller says itself what is not usable */
	bool want_snapshot; /* a runtime was found, or found elsewhere than thought, or mappings became known that stacks had missed: threads may be
			       waiting since before */
	struct snapshot_row *rows; /* of snapshots, not written yet; by time */
	u32 n_rows, first_row;
	size_t cap_rows;
};

void discover_release(struct discover *d);

/* A target process, or a new image of one: reads its maps and ELF tables, makes it known to the kernel side and looks for a runtime. */
int discover_process(struct discover *d, struct cat_process *p, u64 ts) __must_check;

/*
 * To be called at every turn, after the ring and the news of mappings are drained: brings mappings and their tables up to date, and looks again at every
 * process whose runtime is not confirmed and whose time has come.
 */
int discover_tick(struct discover *d, u64 now) __must_check;

/* Takes the raw bytes of a Core for the calibration of the tick. */
int discover_core(struct discover *d, const struct wire_core *e) __must_check;

/*
 * Looks at all threads as they are. Call it when records already flow, so that nothing falls between; and again when want_snapshot says so, which it clears. The
 * rows wait until discover_put_snapshot(): records of what was before them are still to come.
 */
int discover_snapshot(struct discover *d) __must_check;
/*
 * Writes the rows that are older than `until`, ns. To be called before an event of that time is written, and when all up to then are. Rows of an image that has
 * ended by then are left out: the thread had run another program already, or was a zombie, and was looked at by what was known of the old image.
 */
int discover_put_snapshot(struct discover *d, struct fmt_writer *w, u64 until) __must_check;
