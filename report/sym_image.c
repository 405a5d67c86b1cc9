/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_image.c: an ELF file in memory made of given sections, for libdw, which reads nothing but whole files. Used by sym_split.c
 * and sym_module.c. Layout: header, section headers, names, contents, each on a multiple of 8.
 */
#include <errno.h>
#include <string.h>

#include "report/sym_impl.h"

#define IMAGE_MAX ((u64)1 << 30)

static u64 align8(u64 n)
{
	return (n + 7) & ~7ULL;
}

/* Bytes of the image, *ret_names where the names begin; UINT64_MAX when it is too large. */
static u64 image_size(const struct sym_image_section *v, u32 n, u64 *ret_names)
{
	u64 size = align8(sizeof(Elf64_Ehdr) + (n + 2) * sizeof(Elf64_Shdr));

	*ret_names = size;
	size += 1 + sizeof(".shstrtab");
	for (u32 i = 0; i < n; i++)
		size += strlen(v[i].name) + 1;
	size = align8(size);
	for (u32 i = 0; i < n; i++) {
		if (v[i].data.size > IMAGE_MAX)
			return UINT64_MAX;
		size += align8(v[i].data.size);
	}
	return size > IMAGE_MAX ? UINT64_MAX : size;
}

static void put_header(struct sym_image *im, const struct sym_elf *like, u32 n)
{
	Elf64_Ehdr eh = {
		.e_type = ET_REL, /* it has no segments */
		.e_machine = like->machine,
		.e_version = EV_CURRENT,
		.e_shoff = sizeof(eh),
		.e_ehsize = sizeof(eh),
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = (Elf64_Half)(n + 2),
		.e_shstrndx = (Elf64_Half)(n + 1),
	};

	memcpy(eh.e_ident, ELFMAG, SELFMAG);
	eh.e_ident[EI_CLASS] = ELFCLASS64;
	eh.e_ident[EI_DATA] = ELFDATA2LSB;
	eh.e_ident[EI_VERSION] = EV_CURRENT;
	memcpy(im->bytes, &eh, sizeof(eh));
}

/* Section `i` from 1; names_at is advanced behind its name. */
static void put_section(struct sym_image *im, u32 i, const char *name, u64 names, u64 *names_at, u32 type, u64 off, u64 size)
{
	Elf64_Shdr sh = {.sh_name = (Elf64_Word)(*names_at - names),
			 .sh_type = type,
			 .sh_offset = off,
			 .sh_size = size,
			 .sh_addralign = 1};

	memcpy(im->bytes + sizeof(Elf64_Ehdr) + i * sizeof(sh), &sh, sizeof(sh));
	memcpy(im->bytes + *names_at, name, strlen(name) + 1);
	*names_at += strlen(name) + 1;
}

int sym_image_make(struct sym_image *im, const struct sym_elf *like, const struct sym_image_section *v, u32 n)
{
	u64 names, names_at, at, size = image_size(v, n, &names);

	*im = (struct sym_image){0};
	if (size == UINT64_MAX || like->is_big)
		return -EFBIG;
	im->bytes = calloc(1, size);
	if (!im->bytes)
		return -ENOMEM;
	put_header(im, like, n);
	names_at = names + 1;
	at = names + 1 + sizeof(".shstrtab");
	for (u32 i = 0; i < n; i++)
		at += strlen(v[i].name) + 1;
	at = align8(at);
	for (u32 i = 0; i < n; i++) {
		if (v[i].data.size)
			memcpy(im->bytes + at, v[i].data.data, v[i].data.size);
		put_section(im, i + 1, v[i].name, names, &names_at, SHT_PROGBITS, at, v[i].data.size);
		at += align8(v[i].data.size);
	}
	put_section(im, n + 1, ".shstrtab", names, &names_at, SHT_STRTAB, names, names_at + sizeof(".shstrtab") - names);
	im->elf = elf_memory((char *)im->bytes, size);
	im->dbg = im->elf ? dwarf_begin_elf(im->elf, DWARF_C_READ, NULL) : NULL;
	if (im->dbg)
		return 0;
	sym_image_release(im);
	return -EBADMSG;
}

void sym_image_release(struct sym_image *im)
{
	if (im->dbg)
		(void)dwarf_end(im->dbg);
	if (im->elf)
		(void)elf_end(im->elf);
	free(im->bytes);
	*im = (struct sym_image){0};
}
