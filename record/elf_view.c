/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* elf_view.c: see elf_view.h. Called by unwind_module.c and unwind_extra.c. */
#include "record/elf_view.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fdio.h"

enum {
	MAX_PHDRS = 1024,     /* a linker writes about ten */
	MAX_NAMES = 1 << 20,  /* bytes of section names */
	MAX_COPY = 256 << 20, /* bytes; the .eh_frame of a 200 MB library has 10 MB */
};

ssize_t elf_view_read(const struct elf_view *v, void *p, size_t n, u64 off)
{
	if (off >= v->size)
		return 0;
	n = min_u64(n, v->size - off);
	if (v->fd >= 0)
		return fd_pread_full(v->fd, p, n, off);
	memcpy(p, v->image + off, n);
	return (ssize_t)n;
}

int elf_view_copy_at(const struct elf_view *v, u64 off, u64 n, u8 **ret, size_t *ret_n)
{
	_cleanup_free_ u8 *p = NULL;
	ssize_t got;

	*ret = NULL;
	*ret_n = 0;
	if (off >= v->size)
		return 0;
	n = min_u64(min_u64(n, v->size - off), MAX_COPY);
	p = malloc(n ? n : 1);
	if (!p)
		return -ENOMEM;
	got = elf_view_read(v, p, n, off);
	if (got < 0)
		return (int)got;
	if (!got)
		return 0;
	*ret = TAKE_PTR(p);
	*ret_n = (size_t)got;
	return 0;
}

const Elf64_Phdr *elf_view_load(const struct elf_view *v, u64 vaddr)
{
	for (u32 i = 0; i < v->eh.e_phnum; i++) {
		const Elf64_Phdr *p = &v->ph[i];

		if (p->p_type == PT_LOAD && vaddr >= p->p_vaddr && vaddr - p->p_vaddr < p->p_filesz)
			return p;
	}
	return NULL;
}

const Elf64_Phdr *elf_view_phdr(const struct elf_view *v, u32 type)
{
	for (u32 i = 0; i < v->eh.e_phnum; i++)
		if (v->ph[i].p_type == type)
			return &v->ph[i];
	return NULL;
}

const Elf64_Shdr *elf_view_section(const struct elf_view *v, const char *name)
{
	for (u32 i = 0; i < v->n_sh; i++)
		if (v->sh[i].sh_name < v->names_size && !strcmp(v->names + v->sh[i].sh_name, name))
			return &v->sh[i];
	return NULL;
}

int elf_view_copy(const struct elf_view *v, u64 vaddr, u64 n, u8 **ret, size_t *ret_n)
{
	const Elf64_Phdr *p = elf_view_load(v, vaddr);

	*ret = NULL;
	*ret_n = 0;
	if (!p)
		return 0;
	vaddr -= p->p_vaddr;
	return elf_view_copy_at(v, p->p_offset + vaddr, min_u64(n, p->p_filesz - vaddr), ret, ret_n);
}

/* Exactly n bytes, or -EBADMSG. */
static int read_exactly(const struct elf_view *v, void *p, size_t n, u64 off)
{
	ssize_t got = elf_view_read(v, p, n, off);

	return got < 0 ? (int)got : (size_t)got < n ? -EBADMSG : 0;
}

static bool is_ours(const Elf64_Ehdr *eh)
{
	return !memcmp(eh->e_ident, ELFMAG, SELFMAG) && eh->e_ident[EI_CLASS] == ELFCLASS64 &&
	       eh->e_ident[EI_DATA] == ELFDATA2LSB && eh->e_machine == EM_X86_64 &&
	       (eh->e_type == ET_EXEC || eh->e_type == ET_DYN);
}

/* No range may wrap, so that nobody has to ask again. */
static bool phdrs_make_sense(const struct elf_view *v)
{
	for (u32 i = 0; i < v->eh.e_phnum; i++) {
		const Elf64_Phdr *p = &v->ph[i];

		if (p->p_vaddr > INT64_MAX || p->p_memsz > INT64_MAX || p->p_filesz > INT64_MAX || p->p_offset > INT64_MAX ||
		    p->p_vaddr + p->p_filesz > INT64_MAX || p->p_offset + p->p_filesz > INT64_MAX)
			return false;
	}
	return true;
}

static int read_phdrs(struct elf_view *v)
{
	size_t n = v->eh.e_phnum * sizeof(*v->ph);
	int err;

	if (!v->eh.e_phnum || v->eh.e_phnum > MAX_PHDRS || v->eh.e_phentsize != sizeof(*v->ph)) {
		v->eh.e_phnum = 0;
		return -EBADMSG;
	}
	v->ph = malloc(n);
	err = v->ph ? read_exactly(v, v->ph, n, v->eh.e_phoff) : -ENOMEM;
	if (!err && !phdrs_make_sense(v))
		err = -EBADMSG;
	if (err)
		v->eh.e_phnum = 0;
	return err;
}

/* Absent, cut or strange section headers are no error: sstrip and old packers take them off. */
static int read_shdrs(struct elf_view *v)
{
	_cleanup_free_ Elf64_Shdr *sh = NULL;
	_cleanup_free_ char *names = NULL;
	u32 n = v->eh.e_shnum, strings = v->eh.e_shstrndx;
	int err;

	if (!v->eh.e_shoff || !n || v->eh.e_shentsize != sizeof(*sh) || strings >= n)
		return 0;
	sh = malloc(n * sizeof(*sh));
	if (!sh)
		return -ENOMEM;
	err = read_exactly(v, sh, n * sizeof(*sh), v->eh.e_shoff);
	if (err || sh[strings].sh_type == SHT_NOBITS || !sh[strings].sh_size || sh[strings].sh_size > MAX_NAMES)
		return err == -EBADMSG ? 0 : err;
	names = malloc(sh[strings].sh_size);
	if (!names)
		return -ENOMEM;
	err = read_exactly(v, names, sh[strings].sh_size, sh[strings].sh_offset);
	if (err)
		return err == -EBADMSG ? 0 : err;
	v->names_size = sh[strings].sh_size;
	names[v->names_size - 1] = 0;
	v->names = TAKE_PTR(names);
	v->sh = TAKE_PTR(sh);
	v->n_sh = n;
	return 0;
}

/* What is no file, such as a device, has no size to trust, and is not read. */
static int file_size(int fd, u64 *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*ret = S_ISREG(st.st_mode) ? (u64)st.st_size : 0;
	return 0;
}

int elf_view_open(struct elf_view *v, int fd, const u8 *image, size_t image_size)
{
	int err;

	*v = (struct elf_view){.fd = fd, .image = image, .size = image_size};
	err = fd >= 0 ? file_size(fd, &v->size) : 0;
	if (!err)
		err = read_exactly(v, &v->eh, sizeof(v->eh), 0);
	if (err == -EBADMSG || (!err && !is_ours(&v->eh)))
		err = -ENOEXEC;
	if (err) {
		v->eh.e_phnum = 0;
		return err;
	}
	err = read_phdrs(v);
	return err ? err : read_shdrs(v);
}

void elf_view_release(struct elf_view *v)
{
	free(v->ph);
	free(v->sh);
	free(v->names);
	*v = (struct elf_view){.fd = -1};
}
