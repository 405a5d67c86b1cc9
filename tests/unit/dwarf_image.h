/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * dwarf_image.h: ELF files with DWARF made by hand, to be hostile: a section per call, with any contents and any lies in its header. For test_sym_hostile.c.
 *
 * The file: ELF header, one PT_LOAD (R E) of the whole file at address 0x400000, so that file offset 0x1000 + x is address 0x401000 + x; 64 KiB of "code" at
 * 0x1000; then the sections, their names, the section headers.
 */
#pragma once

#include <elf.h>

#include "base/buf.h"

enum { DWARF_IMAGE_CODE = 0x1000, DWARF_IMAGE_CODE_SIZE = 0x10000, DWARF_IMAGE_BASE = 0x400000 };

struct dwarf_image {
	struct buf file, names;
	Elf64_Shdr sections[16];
	u32 n;
};

void dwarf_image_begin(struct dwarf_image *d);

/* A section of these bytes. The header may be changed in d->sections[] until the end. Returns its index. */
u32 dwarf_image_section(struct dwarf_image *d, const char *name, const struct buf *contents);

/* Writes what is missing; an open file descriptor of the image, position 0. Asserts that it works; releases d. */
int dwarf_image_end(struct dwarf_image *d);

/* An open, unnamed file of these bytes. */
int dwarf_image_file(const void *p, size_t n);
