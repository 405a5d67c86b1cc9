/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* dwarf_image.c: see dwarf_image.h. */
#include "dwarf_image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h> /* needs the ones above */

#include <string.h>
#include <sys/mman.h>

#include "base/fdio.h"

static void put_zeros(struct buf *b, size_t n)
{
	u8 *p = buf_reserve(b, n);

	assert_non_null(p);
	memset(p, 0, n);
	b->len += n;
}

void dwarf_image_begin(struct dwarf_image *d)
{
	*d = (struct dwarf_image){.n = 1};
	put_zeros(&d->file, DWARF_IMAGE_CODE + DWARF_IMAGE_CODE_SIZE);
	buf_putc(&d->names, 0);
}

u32 dwarf_image_section(struct dwarf_image *d, const char *name, const struct buf *contents)
{
	Elf64_Shdr *s = &d->sections[d->n];

	assert_true(d->n + 1 < ARRAY_SIZE(d->sections));
	assert_int_equal(buf_err(contents), 0);
	*s = (Elf64_Shdr){.sh_name = (Elf64_Word)d->names.len,
			  .sh_type = SHT_PROGBITS,
			  .sh_offset = d->file.len,
			  .sh_size = contents->len,
			  .sh_addralign = 1};
	buf_put(&d->names, name, strlen(name) + 1);
	buf_put(&d->file, contents->data, contents->len);
	return d->n++;
}

int dwarf_image_file(const void *p, size_t n)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, p, n), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

int dwarf_image_end(struct dwarf_image *d)
{
	struct buf names = d->names;
	u32 names_idx;
	Elf64_Ehdr eh = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			 .e_type = ET_EXEC,
			 .e_machine = EM_X86_64,
			 .e_version = EV_CURRENT,
			 .e_phoff = sizeof(eh),
			 .e_ehsize = sizeof(eh),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 1,
			 .e_shentsize = sizeof(Elf64_Shdr)};
	Elf64_Phdr ph = {.p_type = PT_LOAD,
			 .p_flags = PF_R | PF_X,
			 .p_vaddr = DWARF_IMAGE_BASE,
			 .p_filesz = DWARF_IMAGE_CODE + DWARF_IMAGE_CODE_SIZE,
			 .p_memsz = DWARF_IMAGE_CODE + DWARF_IMAGE_CODE_SIZE,
			 .p_align = 0x1000};
	int fd;

	d->names = (struct buf){0};
	buf_puts(&names, ".shstrtab");
	buf_putc(&names, 0);
	names_idx = d->n++;
	d->sections[names_idx] = (Elf64_Shdr){.sh_name = (Elf64_Word)names.len - 10,
					      .sh_type = SHT_STRTAB,
					      .sh_offset = d->file.len,
					      .sh_size = names.len,
					      .sh_addralign = 1};
	buf_put(&d->file, names.data, names.len);
	put_zeros(&d->file, 8 - d->file.len % 8);
	eh.e_shoff = d->file.len;
	eh.e_shnum = (Elf64_Half)d->n;
	eh.e_shstrndx = (Elf64_Half)names_idx;
	buf_put(&d->file, d->sections, d->n * sizeof(d->sections[0]));
	assert_int_equal(buf_err(&d->file), 0);
	memcpy(d->file.data, &eh, sizeof(eh));
	memcpy(d->file.data + sizeof(eh), &ph, sizeof(ph));
	fd = dwarf_image_file(d->file.data, d->file.len);
	buf_release(&names);
	buf_release(&d->file);
	return fd;
}
