/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * perfmap.h: copies /tmp/perf-PID.map, in which JIT compilers say where they put code (tools/perf/Documentation/jit-interface.txt in the kernel tree), raw into
 * the capture. Called after the last event, so that it names everything that was seen.
 */
#pragma once

#include "format/fmt_writer.h"
#include "record/catalog.h"

#define PERFMAP_MAX ((size_t)64 << 20) /* bytes of one process's map; what lies behind is left out */

struct perfmap_counts {
	u32 files, cut; /* cut: not whole, or not there at all */
	u64 bytes;
};

/* Whether the capture may take n more bytes: asked before each piece; what has no room is left out and counted in `cut`. */
struct perfmap_room {
	bool (*has_room)(void *ctx, size_t n);
	void *ctx;
};

/* Of the last image of every process. A process without one is no error. 0 or the writer's error. */
int perfmap_copy(struct catalog *cat, const struct procfs *fs, struct fmt_writer *w, const struct perfmap_room *room,
		 struct perfmap_counts *ret) __must_check;
