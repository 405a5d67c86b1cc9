/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* tls_image.c: see tls_image.h. */
#include "tests/unit/tls_image.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { INTERP = 0x200, SYMBOLS = 0x240, RELA = 0x300, DYNAMIC = 0x500, TEXT = 0x800, SIZE = 0x900 };

static void put_headers(u8 *file, const struct tls_image *shape)
{
	const Elf64_Phdr ph[] = {
		{.p_type = PT_LOAD, .p_flags = PF_R, .p_filesz = TEXT, .p_memsz = TEXT},
		{.p_type = PT_LOAD,
		 .p_flags = PF_R | PF_X,
		 .p_offset = TEXT,
		 .p_vaddr = TEXT + TLS_IMAGE_TEXT_DELTA,
		 .p_filesz = SIZE - TEXT,
		 .p_memsz = SIZE - TEXT},
		{.p_type = PT_DYNAMIC, .p_offset = DYNAMIC, .p_vaddr = DYNAMIC, .p_filesz = 0x100, .p_memsz = 0x100},
		{.p_type = shape->interp ? PT_INTERP : PT_NULL,
		 .p_offset = INTERP,
		 .p_vaddr = INTERP,
		 .p_filesz = shape->interp ? strlen(shape->interp) + 1 : 0},
	};
	const Elf64_Ehdr eh = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			       .e_type = ET_DYN,
			       .e_machine = EM_X86_64,
			       .e_version = EV_CURRENT,
			       .e_phoff = sizeof(eh),
			       .e_ehsize = sizeof(eh),
			       .e_phentsize = sizeof(ph[0]),
			       .e_phnum = ARRAY_SIZE(ph)};

	memcpy(file, &eh, sizeof(eh));
	memcpy(file + sizeof(eh), ph, sizeof(ph));
	if (shape->interp)
		memcpy(file + INTERP, shape->interp, strlen(shape->interp));
}

int tls_image_make(const struct tls_image *shape)
{
	u64 size = shape->n * sizeof(Elf64_Rela);
	const Elf64_Dyn dyn[] = {
		{.d_tag = DT_SYMTAB, .d_un.d_ptr = SYMBOLS},
		{.d_tag = shape->plt ? DT_JMPREL : DT_RELA, .d_un.d_ptr = RELA},
		{.d_tag = shape->plt ? DT_PLTRELSZ : DT_RELASZ, .d_un.d_val = size},
		{.d_tag = DT_NULL},
	};
	const Elf64_Sym symbols[] = {
		[TLS_IMAGE_DEFINED] = {.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_TLS), .st_shndx = 5, .st_value = TLS_IMAGE_VALUE},
		[TLS_IMAGE_UNDEFINED] = {.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_TLS), .st_shndx = SHN_UNDEF},
	};
	int fd = memfd_create("tls_image", MFD_CLOEXEC);
	u8 file[SIZE] = {0};

	BUG_ON(fd < 0);
	put_headers(file, shape);
	memcpy(file + DYNAMIC, dyn, sizeof(dyn));
	memcpy(file + SYMBOLS, symbols, sizeof(symbols));
	for (u32 i = 0; i < shape->n; i++) {
		const Elf64_Rela r = {.r_offset = shape->rela[i].slot,
				      .r_info = ELF64_R_INFO((u64)shape->rela[i].symbol, shape->rela[i].type),
				      .r_addend = shape->rela[i].addend};

		memcpy(file + RELA + i * sizeof(r), &r, sizeof(r));
	}
	BUG_ON(write(fd, file, sizeof(file)) != (ssize_t)sizeof(file));
	return fd;
}
