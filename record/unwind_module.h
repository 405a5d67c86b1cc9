/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * unwind_module.h: the unwind table of one ELF file or of the vdso's image: finds .eh_frame through the program headers (a stripped file
 * has nothing else), compiles it (cfi.h) and adds what .eh_frame leaves out: PLT stubs and .debug_frame, when section headers are there, and musl's
 * assembly (unwind_extra.h).
 */
#pragma once

#include "base/base.h"
#include "record/cfi.h"

enum unwind_module_status {
	UNWIND_MODULE_OK,
	UNWIND_MODULE_NO_EH_FRAME, /* nothing that tells how to unwind, or no code: frame pointers are all there is; no rows */
	UNWIND_MODULE_NOT_ELF,	   /* not an x86-64 ELF executable or shared object */
	UNWIND_MODULE_MALFORMED,
	UNWIND_MODULE_TOO_LARGE, /* spans 4 GB or more of address space */
};

/* An executable PT_LOAD. */
struct unwind_segment {
	u64 vaddr, file_off, file_size;
};

enum { UNWIND_MAX_SEGMENTS = 16 };

struct unwind_module {
	enum unwind_module_status status;
	struct cfi_rows rows; /* owned */
	struct cfi_counts counts;
	u64 base; /* virtual address of pc 0: the lowest PT_LOAD's, page aligned */
	u32 span; /* bytes from base to the end of the last page of the highest executable segment */
	struct unwind_segment segments[UNWIND_MAX_SEGMENTS];
	u32 n_segments;
};

/* From a file. 0 with *ret filled (see its status), or -ENOMEM, -EIO. fd is borrowed, its position is not moved. The file may be changed or cut by others meanwhile. */
int unwind_module_read(int fd, struct unwind_module *ret) __must_check;
/* From an image in memory as it is mapped, e.g. the vdso: file offsets are offsets into it. */
int unwind_module_read_image(const u8 *image, size_t n, struct unwind_module *ret) __must_check;
void unwind_module_release(struct unwind_module *m);

/* The pc that a file offset has (as in /proc/PID/maps: of a mapping's start). -ENOENT when no executable segment holds it. */
int unwind_module_pc(const struct unwind_module *m, u64 file_off, u32 *ret) __must_check;

/*
 * For a module with rows: the size of its index's blocks (unwind_rows.h), as a power of two, such that an index entry comes on two rows, or as near to that as rows standing close
 * together let it; and how many blocks of a size its span has. A mapping reaches to the end of the page that the segment ends in.
 */
u32 unwind_module_block_log(const struct unwind_module *m);
u32 unwind_module_blocks(const struct unwind_module *m, u32 block_log);

/*
 * About how many rows the table of a file will have, rather too many (up to twice, in optimised code) than too few, from the sizes of its sections, and its span; for sizing maps.
 * Reads headers only. Zeros when there is no table, or the file cannot be read.
 */
void unwind_module_estimate(int fd, u32 *ret_rows, u32 *ret_span);
