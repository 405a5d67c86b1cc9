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
	u32 files, cut;
	u64 bytes;
};

/* Of the last image of every process. A process without one is no error. 0 or the writer's error. */
int perfmap_copy(struct catalog *cat, const struct procfs *fs, struct fmt_writer *w, struct perfmap_counts *ret) __must_check;
