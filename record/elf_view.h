/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * elf_view.h: the headers of an x86-64 ELF file, and bytes of it by address. Files are read with pread(2) into memory of ours, never mapped: whoever cuts
 * a mapped file short while it is read raises SIGBUS here.
 *
 * Sources: System V gABI 4.1 chapters 4 and 5, elf(5).
 */
#pragma once

#include <elf.h>

#include "base/base.h"

struct elf_view {
	int fd;		 /* borrowed; -1: image */
	const u8 *image; /* borrowed */
	u64 size;	 /* bytes of the file or the image, when it was opened */
	Elf64_Ehdr eh;
	Elf64_Phdr *ph; /* owned; eh.e_phnum of them */
	Elf64_Shdr *sh; /* owned; NULL without section headers */
	u32 n_sh;
	char *names; /* owned; section names, NUL-terminated */
	size_t names_size;
};

/*
 * Reads the headers of the file behind fd or, if fd is -1, of an image in memory. 0; -ENOEXEC not a 64-bit x86-64 executable or shared object; -EBADMSG malformed
 * program headers (section headers that make no sense count as absent); -ENOMEM; another negative errno of pread(2). To be released in any case.
 */
int elf_view_open(struct elf_view *v, int fd, const u8 *image, size_t image_size) __must_check;
void elf_view_release(struct elf_view *v);

/* Bytes read from a file offset, fewer only at the end; or negative errno. */
ssize_t elf_view_read(const struct elf_view *v, void *p, size_t n, u64 off) __must_check;

/* The PT_LOAD whose file bytes hold an address, or NULL. */
const Elf64_Phdr *elf_view_load(const struct elf_view *v, u64 vaddr);
/* The first program header of a type, or NULL. */
const Elf64_Phdr *elf_view_phdr(const struct elf_view *v, u32 type);
/* The first section of that name, or NULL. */
const Elf64_Shdr *elf_view_section(const struct elf_view *v, const char *name);

/*
 * Up to n bytes at an address, as far as its PT_LOAD and the file reach, in new memory: the caller frees *ret (NULL when *ret_n is 0). 0, -ENOMEM, or what pread(2) said.
 */
int elf_view_copy(const struct elf_view *v, u64 vaddr, u64 n, u8 **ret, size_t *ret_n) __must_check;
/* The same for a file offset. */
int elf_view_copy_at(const struct elf_view *v, u64 off, u64 n, u8 **ret, size_t *ret_n) __must_check;
