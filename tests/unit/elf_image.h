/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * elf_image.h: small ELF files made by hand, in the shapes that linkers give them. For test_unwind_module.c and for what fuzzing starts from.
 *
 *	offset  address         what
 *	0       load            headers, PT_LOAD R up to 0x400
 *	0x200   load + 0x200    .eh_frame_hdr
 *	0x240   load + 0x240    .eh_frame: FDEs of [0x1400, 0x1420), [0x1420, 0x1430) and, with `two`, [0x200500, 0x200510), all + load
 *	0x380   load + 0x380    PT_DYNAMIC
 *	0x400   load + 0x1400   PT_LOAD R E of 0x100 bytes: the address is not the offset, as lld does it
 *	0x500   load + 0x200500 with `two`: another one of 0x80 bytes, as BOLT does it
 *	0x580                   .debug_frame: an FDE of [0x14e0, 0x14f0) + load
 *	0x640                   section headers
 */
#pragma once

#include "base/buf.h"

struct elf_image_shape {
	u64 load;	  /* address of offset 0 */
	bool eh_frame;	  /* has FDEs */
	bool hdr;	  /* PT_GNU_EH_FRAME */
	bool no_table;	  /* .eh_frame_hdr without a sorted table */
	bool terminator;  /* behind .eh_frame; what follows it is garbage in any case */
	bool sections;	  /* section headers */
	bool plt;	  /* .plt as lld makes it at 0x1440, three entries; .plt.got at 0x1480, two of eight bytes */
	bool ibt;	  /* .plt's entries begin with endbr64 */
	bool needed;	  /* DT_NEEDED */
	bool musl;	  /* musl's _start at 0x1430 (the entry point), __restore_rt at 0x14a0, the end of __clone at 0x14b0 */
	bool clone;	  /* the end of glibc's clone3: `syscall` at 0x1430, an FDE of [0x143a, 0x1450) for the new thread */
	bool debug_frame; /* needs sections */
	bool two;
};

enum { ELF_IMAGE_SIZE = 0x900, ELF_IMAGE_EH_FRAME = 0x240, ELF_IMAGE_HDR = 0x200 };

/* The caller releases it; see buf_err(). */
struct buf elf_image_make(const struct elf_image_shape *shape);
