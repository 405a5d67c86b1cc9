/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tokio_points.h: where in an ELF file each group of probes goes (probe_group.h), or why there is no such place. Read once per file, by the recorder when it
 * meets a copy of Tokio and by `ascope doctor`. The file is the target's own, and untrusted: reading is bounded, and every place that is given is the start of a
 * function (a symbol's value, or where call frame information begins) in an executable segment of the file: an instruction begins there.
 *
 * Sources: tokio 1.20 - 1.54 (src/runtime/task/raw.rs, harness.rs, list.rs, runtime/blocking/pool.rs, task/spawn.rs) as rustc 1.95 builds them; System V gABI 4.1
 * chapter 5 (relocations; RELR).
 */
#pragma once

#include "base/base.h"
#include "record/elf_view.h"
#include "record/probe_group.h"
#include "record/tokio_elf.h"
#include "record/vtable_scan.h"

enum { TOKIO_MAX_PLACES = 1 << 16 /* of a group */ };

struct tokio_group {
	u64 *offsets; /* owned; file offsets, sorted, none twice */
	u32 n;
	size_t cap;
	const char *missing; /* NULL; or, n being 0, why: static text, one line, to be put behind "no probe on X: " */
};

enum tokio_points_from {
	TOKIO_POINTS_NONE,    /* no place was found */
	TOKIO_POINTS_SYMBOLS, /* .symtab or .dynsym */
	TOKIO_POINTS_SHAPES,  /* stripped: tables that look like a task's vtable */
};

struct tokio_points {
	/* POLL_END is learned while recording: without places unless from_usdt has it, and without a reason where POLL has some */
	struct tokio_group group[PROBE_GROUPS];
	enum tokio_points_from from;
	struct probe_task task; /* how a task looks to this file's Tokio */
	bool has_usdt;		/* there is a provider "tokio" in .note.stapsdt; from_usdt: groups whose places are its */
	u32 from_usdt;		/* bit 1 << enum probe_group */
	u32 by_shape;		/* the same: groups whose places were found by their code (code_shape.h) */
	/* all tables that look like a task's vtable, with symbols or without; none before Tokio 1.23 */
	struct tokio_vtables vtables;
};

/*
 * Reads a file in which there is Tokio (e says so). 0, with reasons where there are no places; -ENOMEM; another negative errno of pread(2). To be released in any case.
 */
int tokio_points_read(const struct elf_view *v, const struct tokio_elf *e, struct tokio_points *ret) __must_check;
void tokio_points_release(struct tokio_points *p);
