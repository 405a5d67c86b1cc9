/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* elf_image.c: see elf_image.h. */
#include "tests/unit/elf_image.h"

#include <elf.h>
#include <string.h>

#include "tests/unit/cfi_section.h"

enum {
	OFF_DYNAMIC = 0x380,
	OFF_NAMES = 0x3a0,
	OFF_TEXT = 0x400,
	OFF_TEXT2 = 0x500,
	OFF_DEBUG = 0x580,
	OFF_SHDRS = 0x640,
	MAX_SHDRS = 8
};

static const char names[] = "\0.eh_frame\0.plt\0.plt.got\0.debug_frame\0.shstrtab\0.iplt\0.plt.sec";

static u32 name_of(const char *name)
{
	for (u32 i = 1; i < sizeof(names); i++)
		if (!names[i - 1] && !strcmp(names + i, name))
			return i;
	return 0;
}

static void put_at(struct buf *b, size_t off, const void *p, size_t n)
{
	if (off + n <= b->len)
		memcpy(b->data + off, p, n);
}

static size_t put_eh_frame(struct buf *b, const struct elf_image_shape *shape)
{
	struct section s = {.vaddr = shape->load + ELF_IMAGE_EH_FRAME};
	size_t cie = section_put_usual_cie(&s), n, last;
	u32 hdr[3 + 2 * 3] = {0x3b031b01, ELF_IMAGE_EH_FRAME - ELF_IMAGE_HDR - 4, 0};

	section_put_fde(&s, cie, shape->load + 0x1400, 0x20, BYTES(0x41, 0x0e, 16, 0x86, 2));
	last = s.entry;
	section_put_fde(&s, cie, shape->load + 0x1420, 0x10, BYTES(0));
	if (shape->clone)
		section_put_fde(&s, cie, shape->load + 0x143a, 0x16, BYTES(0x07, 16));
	if (shape->two)
		section_put_fde(&s, cie, shape->load + 0x200500, 0x10, BYTES(0x0e, 24));
	if (shape->no_table)
		hdr[0] = 0xff031b01;
	/* only the last FDE's place matters here */
	hdr[2] = 2;
	hdr[3] = 0x1400 - ELF_IMAGE_HDR;
	hdr[4] = (u32)(ELF_IMAGE_EH_FRAME - ELF_IMAGE_HDR + s.entry);
	hdr[5] = 0x1420 - ELF_IMAGE_HDR;
	hdr[6] = (u32)(ELF_IMAGE_EH_FRAME - ELF_IMAGE_HDR + last);
	n = s.b.len;
	if (shape->terminator)
		buf_put_le32(&s.b, 0);
	while (ELF_IMAGE_EH_FRAME + s.b.len < OFF_DYNAMIC)
		buf_putc(&s.b, 0x11);
	put_at(b, ELF_IMAGE_EH_FRAME, s.b.data, s.b.len);
	put_at(b, ELF_IMAGE_HDR, hdr, shape->no_table ? 8 : sizeof(hdr));
	buf_release(&s.b);
	return n;
}

static size_t put_debug_frame(struct buf *b, u64 load)
{
	struct section s = {.debug_frame = true};
	size_t cie = section_put_cie(&s, 3, "", NULL, 0, 16, USUAL_PROGRAM), n;

	/* wrong about __restore_rt, as musl's is */
	section_put_fde(&s, cie, load + 0x14a0, 9, BYTES(0));
	section_put_fde(&s, cie, load + 0x14e0, 0x10, BYTES(0x0e, 32));
	n = s.b.len;
	put_at(b, OFF_DEBUG, s.b.data, n);
	buf_release(&s.b);
	return n;
}

static void put_phdrs(struct buf *b, const struct elf_image_shape *shape, Elf64_Ehdr *eh)
{
	const Elf64_Phdr all[] = {
		{.p_type = PT_LOAD, .p_flags = PF_R, .p_vaddr = shape->load, .p_filesz = OFF_TEXT, .p_memsz = OFF_TEXT},
		{.p_type = PT_LOAD,
		 .p_flags = PF_R | PF_X,
		 .p_offset = OFF_TEXT,
		 .p_vaddr = shape->load + 0x1400,
		 .p_filesz = 0x100,
		 .p_memsz = 0x100},
		{.p_type = PT_DYNAMIC,
		 .p_flags = PF_R,
		 .p_offset = OFF_DYNAMIC,
		 .p_vaddr = shape->load + OFF_DYNAMIC,
		 .p_filesz = 32},
		{.p_type = PT_GNU_EH_FRAME,
		 .p_flags = PF_R,
		 .p_offset = ELF_IMAGE_HDR,
		 .p_vaddr = shape->load + ELF_IMAGE_HDR,
		 .p_filesz = 36},
		{.p_type = PT_LOAD,
		 .p_flags = PF_R | PF_X,
		 .p_offset = OFF_TEXT2,
		 .p_vaddr = shape->load + 0x200500,
		 .p_filesz = 0x80,
		 .p_memsz = 0x80},
	};

	eh->e_phoff = sizeof(*eh);
	eh->e_phentsize = sizeof(all[0]);
	for (u32 i = 0; i < ARRAY_SIZE(all); i++)
		if ((all[i].p_type != PT_GNU_EH_FRAME || shape->hdr) && (all[i].p_offset != OFF_TEXT2 || shape->two))
			put_at(b, eh->e_phoff + eh->e_phnum++ * sizeof(all[0]), &all[i], sizeof(all[0]));
}

static void put_shdrs(struct buf *b, const struct elf_image_shape *shape, Elf64_Ehdr *eh, size_t n_eh_frame, size_t n_debug)
{
	Elf64_Shdr all[MAX_SHDRS] = {0};
	u32 n = 1;

	all[n++] = (Elf64_Shdr){
		.sh_name = name_of(".shstrtab"), .sh_type = SHT_STRTAB, .sh_offset = OFF_NAMES, .sh_size = sizeof(names)};
	if (shape->eh_frame)
		all[n++] = (Elf64_Shdr){.sh_name = name_of(".eh_frame"),
					.sh_type = SHT_PROGBITS,
					.sh_addr = shape->load + ELF_IMAGE_EH_FRAME,
					.sh_offset = ELF_IMAGE_EH_FRAME,
					.sh_size = n_eh_frame};
	if (shape->plt) {
		all[n++] = (Elf64_Shdr){.sh_name = name_of(".plt"),
					.sh_type = SHT_PROGBITS,
					.sh_addr = shape->load + 0x1440,
					.sh_offset = 0x440,
					.sh_size = 0x30};
		all[n++] = (Elf64_Shdr){.sh_name = name_of(".plt.got"),
					.sh_type = SHT_PROGBITS,
					.sh_addr = shape->load + 0x1480,
					.sh_offset = 0x480,
					.sh_size = 0x10};
	}
	if (shape->debug_frame)
		all[n++] = (Elf64_Shdr){
			.sh_name = name_of(".debug_frame"), .sh_type = SHT_PROGBITS, .sh_offset = OFF_DEBUG, .sh_size = n_debug};
	put_at(b, OFF_SHDRS, all, n * sizeof(all[0]));
	put_at(b, OFF_NAMES, names, sizeof(names));
	eh->e_shoff = OFF_SHDRS;
	eh->e_shentsize = sizeof(all[0]);
	eh->e_shnum = (u16)n;
	eh->e_shstrndx = 1;
}

static void put_plt(struct buf *b, bool ibt)
{
	static const u8 head[] = {0xff, 0x35, 1, 0, 0, 0, 0xff, 0x25, 1, 0, 0, 0, 0x0f, 0x1f, 0x40, 0};
	static const u8 entry[] = {0xff, 0x25, 1, 0, 0, 0, 0x68, 0, 0, 0, 0, 0xe9, 1, 0, 0, 0};
	static const u8 ibt_entry[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x68, 0, 0, 0, 0, 0xe9, 1, 0, 0, 0, 0x66, 0x90};

	put_at(b, 0x440, head, sizeof(head));
	put_at(b, 0x450, ibt ? ibt_entry : entry, 16);
	put_at(b, 0x460, ibt ? ibt_entry : entry, 16);
}

static void put_musl(struct buf *b)
{
	put_at(b, 0x430, BYTES(0x48, 0x31, 0xed, 0x48, 0x89, 0xe7, 0xe8, 0, 0, 0, 0));
	put_at(b, 0x49f, BYTES(0x90, 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05));
	put_at(b, 0x4ad, BYTES(0x31, 0xed, 0x5f, 0x41, 0xff, 0xd1, 0x89, 0xc7, 0x31, 0xc0, 0xb0, 0x3c, 0x0f, 0x05, 0xf4));
}

struct buf elf_image_make(const struct elf_image_shape *shape)
{
	Elf64_Ehdr eh = {.e_type = shape->load ? ET_EXEC : ET_DYN,
			 .e_machine = EM_X86_64,
			 .e_version = EV_CURRENT,
			 .e_entry = shape->load + 0x1430};
	const Elf64_Dyn needed = {.d_tag = DT_NEEDED};
	size_t n_eh_frame = 0, n_debug = 0;
	struct buf b = BUF_INIT;
	u8 *all = buf_reserve(&b, ELF_IMAGE_SIZE);

	if (!all)
		return b;
	memset(all, 0, ELF_IMAGE_SIZE);
	b.len = ELF_IMAGE_SIZE;
	memcpy(eh.e_ident, ELFMAG, SELFMAG);
	eh.e_ident[EI_CLASS] = ELFCLASS64;
	eh.e_ident[EI_DATA] = ELFDATA2LSB;
	eh.e_ident[EI_VERSION] = EV_CURRENT;
	memset(all + OFF_TEXT, 0x90, 0x180);
	if (shape->eh_frame)
		n_eh_frame = put_eh_frame(&b, shape);
	if (shape->debug_frame)
		n_debug = put_debug_frame(&b, shape->load);
	if (shape->needed)
		put_at(&b, OFF_DYNAMIC, &needed, sizeof(needed));
	if (shape->plt)
		put_plt(&b, shape->ibt);
	if (shape->clone) /* syscall; test %rax,%rax; jl; je; ret */
		put_at(&b, 0x430, BYTES(0x0f, 0x05, 0x48, 0x85, 0xc0, 0x7c, 0x18, 0x74, 0x01, 0xc3));
	if (shape->musl)
		put_musl(&b);
	put_phdrs(&b, shape, &eh);
	if (shape->sections)
		put_shdrs(&b, shape, &eh, n_eh_frame, n_debug);
	put_at(&b, 0, &eh, sizeof(eh));
	return b;
}
