/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * module_image.h: which addresses an ELF file takes when it is mapped. With it an address of a process can be told to be in a file's own data, though only
 * executable mappings are kept (catalog.h). Used by record/copies.c, which keeps it, and record/task_catalog.c.
 *
 * Source: System V gABI 4.1 chapter 5 (program header).
 */
#pragma once

#include "base/base.h"
#include "record/elf_view.h"

struct module_image {
	u64 start, end; /* of all segments, as the file has them; both 0: none */
	u64 text_delta; /* of the first executable segment: address - file offset */
};

struct module_image module_image_of(const struct elf_view *v);

/* What to add to an address of the file, when the file offset file_off of its first executable segment is mapped at `start`. */
static inline u64 module_image_bias(const struct module_image *i, u64 start, u64 file_off)
{
	return start - file_off - i->text_delta;
}

/* Whether n bytes at an address of the file lie in its image. */
static inline bool module_image_holds(const struct module_image *i, u64 vaddr, u64 n)
{
	return vaddr >= i->start && vaddr < i->end && n <= i->end - vaddr;
}
