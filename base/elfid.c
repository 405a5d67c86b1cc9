/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* elfid.c: walks PT_NOTE segments. The file is untrusted: every size is bounded before it is used. */
#include "base/elfid.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fdio.h"

#define MAX_PHDRS      256
#define MAX_NOTES_SIZE 65536

/* Where bytes come from: a file or memory. */
struct image {
	int fd; /* -1: memory */
	const u8 *mem;
	size_t size;
};

static int image_read(const struct image *im, void *p, size_t n, u64 off)
{
	ssize_t got;

	if (im->fd < 0) {
		if (off > im->size || n > im->size - off)
			return -ENODATA;
		memcpy(p, im->mem + off, n);
		return 0;
	}
	got = fd_pread_full(im->fd, p, n, off);
	if (got < 0)
		return (int)got;
	return (size_t)got == n ? 0 : -ENODATA;
}

static int find_in_notes(const u8 *p, size_t n, char *hex)
{
	while (n >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr h;
		size_t name_sz, desc_sz;

		memcpy(&h, p, sizeof(h));
		p += sizeof(h);
		n -= sizeof(h);
		name_sz = ((size_t)h.n_namesz + 3) & ~(size_t)3;
		desc_sz = ((size_t)h.n_descsz + 3) & ~(size_t)3;
		if (name_sz > n || desc_sz > n - name_sz)
			return -ENODATA;
		if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 && !memcmp(p, "GNU", 4) && h.n_descsz &&
		    h.n_descsz <= ELFID_MAX_BYTES) {
			for (u32 i = 0; i < h.n_descsz; i++)
				(void)snprintf(hex + 2 * (size_t)i, 3, "%02x", p[name_sz + i]);
			return 0;
		}
		p += name_sz + desc_sz;
		n -= name_sz + desc_sz;
	}
	return -ENODATA;
}

static int build_id(const struct image *im, char *hex)
{
	Elf64_Ehdr e;
	int err = image_read(im, &e, sizeof(e), 0);

	if (err)
		return err == -ENODATA ? -ENOEXEC : err;
	if (memcmp(e.e_ident, ELFMAG, SELFMAG) != 0 || e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_ident[EI_DATA] != ELFDATA2LSB ||
	    e.e_phentsize != sizeof(Elf64_Phdr) || e.e_phnum > MAX_PHDRS)
		return -ENOEXEC;
	for (u32 i = 0; i < e.e_phnum; i++) {
		_cleanup_free_ u8 *notes = NULL;
		Elf64_Phdr ph;

		err = image_read(im, &ph, sizeof(ph), e.e_phoff + (u64)i * sizeof(ph));
		if (err)
			return err;
		if (ph.p_type != PT_NOTE || ph.p_filesz > MAX_NOTES_SIZE)
			continue;
		notes = malloc(ph.p_filesz + 1);
		if (!notes)
			return -ENOMEM;
		err = image_read(im, notes, ph.p_filesz, ph.p_offset);
		if (!err)
			err = find_in_notes(notes, ph.p_filesz, hex);
		if (err != -ENODATA)
			return err;
	}
	return -ENODATA;
}

int elf_build_id(int fd, char hex[ELFID_HEX_LEN])
{
	return build_id(&(struct image){.fd = fd}, hex);
}

int elf_build_id_mem(const void *image, size_t size, char hex[ELFID_HEX_LEN])
{
	return build_id(&(struct image){.fd = -1, .mem = image, .size = size}, hex);
}
