/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * unwind_size.h: how large the kernel side's arrays for unwind tables (unwind_tables.h) are to be: they are made before anything is known for sure, and
 * cannot grow.
 */
#pragma once

#include "base/base.h"

struct unwind_size {
	u32 rows, idx, maps; /* entries, of 8, 8 and 32 bytes of kernel memory that are allocated at once */
};

/*
 * For recording these processes: the rows that the files they have mapped now will have (estimated from the counts in .eh_frame_hdr, each file once) and a
 * quarter more, at least 2^20, or 2^21 for a command that is not started yet; an index entry for every two
 * rows; mappings for some thousand processes and changes. At most 2^24 rows and 2^23 index entries: 192 MB.
 *
 * Files that are not to be read count nothing. Cannot fail: without memory the least is given.
 */
struct unwind_size unwind_size_for(const u32 *pids, u32 n, bool command);
