/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * discover.h: finds Tokio in the targets and keeps looking: runtimes may start after the recording. Uses layout.h for the scan
 * and calibrate.h for the tick, tells the kernel side and writes the layout entries.
 */
#pragma once

#include "base/base.h"
#include "record/catalog.h"
#include "record/kernel_side.h"

struct discover {
	struct catalog *cat;
	struct kernel_side *kernel;
};

/* A target process, or a new image of one: reads its maps and ELF tables, makes it known to the kernel side and looks for a runtime. */
int discover_process(struct discover *d, struct cat_process *p, u64 ts) __must_check;

/* Looks again at every process whose runtime is not confirmed and whose time has come. */
int discover_tick(struct discover *d, u64 now) __must_check;

/* Takes the raw bytes of a Core for the calibration of the tick. */
int discover_core(struct discover *d, const struct wire_core *e) __must_check;

/* One pass over all threads as they are: writes the attach snapshot. Call once, when records already flow. */
int discover_snapshot(struct discover *d, struct fmt_writer *w) __must_check;
