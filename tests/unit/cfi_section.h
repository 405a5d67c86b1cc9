/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cfi_section.h: makes .eh_frame and .debug_frame sections by hand. For tests of record/cfi.c and for what its fuzzing starts from. */
#pragma once

#include "base/buf.h"

/* Addresses small enough for pointers of two bytes. */
enum { TEXT = 0x1000, TEXT_END = 0x5000, SECTION = 0x6000, DATA_BASE = 0x800 };

#define BYTES(...)    ((const u8[]){__VA_ARGS__}), sizeof((const u8[]){__VA_ARGS__})
#define USUAL_PROGRAM BYTES(0x0c, 7, 8, 0x90, 1) /* def_cfa rsp 8; offset ra cfa-8 */

struct section {
	struct buf b;
	u64 vaddr;
	bool is_64, debug_frame;
	u8 encoding;  /* of addresses in FDEs */
	bool sized;   /* FDEs have augmentation data */
	size_t entry; /* where the last entry starts */
};

static inline struct section section_new(void)
{
	return (struct section){.vaddr = SECTION};
}

/* A CIE with all that varies. Its offset. */
size_t section_put_cie(struct section *s, u8 version, const char *augmentation, const u8 *data, size_t n_data, u8 ra,
		       const u8 *program, size_t n);
/* The one that nearly all files have: "zR", pcrel sdata4. */
size_t section_put_usual_cie(struct section *s);
/* An FDE of the CIE at an offset; in the encoding that the section says, with augmentation data if the last CIE put had some. */
void section_put_fde(struct section *s, size_t cie, u64 start, u64 size, const u8 *program, size_t n);
