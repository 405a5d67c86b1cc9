/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* elfid.h: the GNU build-id of an ELF file, read from its program headers, so that stripped files have one too. */
#pragma once

#include "base/base.h"

#define ELFID_MAX_BYTES 64			  /* longest build-id accepted; GNU ld makes 20 */
#define ELFID_HEX_LEN	(2 * ELFID_MAX_BYTES + 1) /* as text, NUL included */

/*
 * Writes the build-id of the 64-bit ELF file behind fd to hex as lower-case text. 0; -ENODATA it has none; -ENOEXEC not such a file; other negative errno
 * from pread(2). Source: System V gABI "Note Section", elf.h NT_GNU_BUILD_ID.
 */
int elf_build_id(int fd, char hex[ELFID_HEX_LEN]) __must_check;

/* The same in memory that holds a file's image from offset 0 (the vdso). */
int elf_build_id_mem(const void *image, size_t size, char hex[ELFID_HEX_LEN]) __must_check;
