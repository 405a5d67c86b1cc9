/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* tls_slot.c: see tls_slot.h. The file is the target's own, and untrusted like any file. */
#include "record/tls_slot.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "record/elf_view.h"

enum {
	MAX_DYNAMIC = 1 << 16, /* bytes */
	MAX_RELA = 64 << 20,
	MAX_SYMS = 16 << 20,
	MAX_MODULES = 4096, /* libraries with thread-locals in one process */
	DTV_ENTRY = 16,
};

/* What the dynamic section says. */
struct dynamic {
	u64 rela, rela_size, jmprel, jmprel_size, symtab;
};

static int read_dynamic(const struct elf_view *v, struct dynamic *ret)
{
	const Elf64_Phdr *ph = elf_view_phdr(v, PT_DYNAMIC);
	_cleanup_free_ u8 *bytes = NULL;
	const Elf64_Dyn *d;
	size_t n;
	int err;

	*ret = (struct dynamic){0};
	if (!ph)
		return 0;
	err = elf_view_copy(v, ph->p_vaddr, min_u64(ph->p_filesz, MAX_DYNAMIC), &bytes, &n);
	if (err)
		return err;
	d = (const void *)bytes;
	for (size_t i = 0; i < n / sizeof(*d) && d[i].d_tag != DT_NULL; i++) {
		if (d[i].d_tag == DT_RELA)
			ret->rela = d[i].d_un.d_ptr;
		else if (d[i].d_tag == DT_RELASZ)
			ret->rela_size = d[i].d_un.d_val;
		else if (d[i].d_tag == DT_JMPREL)
			ret->jmprel = d[i].d_un.d_ptr;
		else if (d[i].d_tag == DT_PLTRELSZ)
			ret->jmprel_size = d[i].d_un.d_val;
		else if (d[i].d_tag == DT_SYMTAB)
			ret->symtab = d[i].d_un.d_ptr;
	}
	return 0;
}

/* The symbol that a relocation is about, if this file defines it: another file's block is no business of ours. */
static bool defined_here(const struct elf_view *v, const struct dynamic *d, u64 index, u64 *ret_value)
{
	_cleanup_free_ u8 *bytes = NULL;
	const Elf64_Sym *sym;
	size_t n;

	*ret_value = 0;
	if (!index)
		return true;
	if (!d->symtab || index > MAX_SYMS || elf_view_copy(v, d->symtab + index * sizeof(*sym), sizeof(*sym), &bytes, &n) < 0 ||
	    n < sizeof(*sym))
		return false;
	sym = (const void *)bytes;
	*ret_value = sym->st_value;
	return sym->st_shndx != SHN_UNDEF && ELF64_ST_TYPE(sym->st_info) == STT_TLS;
}

static enum tls_slot_kind kind_of(u64 type)
{
	switch (type) {
	case R_X86_64_DTPMOD64:
		return TLS_SLOT_MODULE;
	case R_X86_64_TPOFF64:
		return TLS_SLOT_OFFSET;
	case R_X86_64_TLSDESC:
		return TLS_SLOT_DESCRIPTOR;
	default:
		return TLS_SLOT_NONE;
	}
}

/* A slot with the module's number is the best there is, a descriptor the worst. */
static int scan_relocations(const struct elf_view *v, const struct dynamic *d, u64 at, u64 size, struct tls_slot *ret)
{
	_cleanup_free_ u8 *bytes = NULL;
	const Elf64_Rela *r;
	size_t n;
	int err = elf_view_copy(v, at, min_u64(size, MAX_RELA), &bytes, &n);

	if (err)
		return err;
	r = (const void *)bytes;
	for (size_t i = 0; i < n / sizeof(*r); i++) {
		enum tls_slot_kind kind = kind_of(ELF64_R_TYPE(r[i].r_info));
		u64 value;

		if (kind == TLS_SLOT_NONE || (ret->kind != TLS_SLOT_NONE && ret->kind <= kind) ||
		    !defined_here(v, d, ELF64_R_SYM(r[i].r_info), &value))
			continue;
		ret->kind = kind;
		ret->vaddr = r[i].r_offset;
		ret->symbol = value + (u64)r[i].r_addend;
	}
	return 0;
}

static void find_text(const struct elf_view *v, struct tls_slot *ret)
{
	for (u32 i = 0; i < v->eh.e_phnum; i++) {
		if (v->ph[i].p_type != PT_LOAD || !(v->ph[i].p_flags & PF_X))
			continue;
		ret->text_delta = v->ph[i].p_vaddr - v->ph[i].p_offset;
		return;
	}
}

int tls_slot_read(int fd, struct tls_slot *ret)
{
	struct elf_view v;
	struct dynamic d;
	int err = elf_view_open(&v, fd, NULL, 0);

	*ret = (struct tls_slot){0};
	if (!err)
		err = read_dynamic(&v, &d);
	if (!err)
		find_text(&v, ret);
	if (!err && d.rela)
		err = scan_relocations(&v, &d, d.rela, d.rela_size, ret);
	if (!err && d.jmprel)
		err = scan_relocations(&v, &d, d.jmprel, d.jmprel_size, ret);
	elf_view_release(&v);
	return err;
}

bool tls_slot_is_for_musl(int fd)
{
	static const char musl[] = "/ld-musl-";
	_cleanup_free_ u8 *name = NULL;
	const Elf64_Phdr *ph;
	struct elf_view v;
	size_t n = 0;

	if (elf_view_open(&v, fd, NULL, 0) == 0) {
		ph = elf_view_phdr(&v, PT_INTERP);
		if (ph && elf_view_copy_at(&v, ph->p_offset, min_u64(ph->p_filesz, PATH_MAX), &name, &n) < 0)
			n = 0;
	}
	elf_view_release(&v);
	return n && memmem(name, n, musl, sizeof(musl) - 1);
}

int tls_place_read(const struct tls_slot *s, u64 bias, tls_read_fn read, void *ctx, struct tls_place *ret)
{
	u64 v;

	if (s->kind != TLS_SLOT_MODULE && s->kind != TLS_SLOT_OFFSET)
		return -EBADMSG;
	if (read(ctx, bias + s->vaddr, &v, sizeof(v)) < 0)
		return -EFAULT;
	if (!v)
		return -EAGAIN; /* the dynamic linker has not come to it */
	if (s->kind == TLS_SLOT_MODULE) {
		if (v > MAX_MODULES)
			return -EBADMSG;
		*ret = (struct tls_place){.dtv_off = (u32)v * DTV_ENTRY};
		return 0;
	}
	*ret = (struct tls_place){.distance = (s64)(v - s->symbol)};
	return ret->distance < 0 && ret->distance > -(s64)MAX_RELA ? 0 : -EBADMSG; /* below the thread pointer: TLS variant II */
}

int tls_block(u32 dtv_off, u64 fsbase, tls_read_fn read, void *ctx, u64 *ret)
{
	u64 dtv, slots, block;

	if (!fsbase || read(ctx, fsbase + 8, &dtv, sizeof(dtv)) < 0 || read(ctx, dtv - DTV_ENTRY, &slots, sizeof(slots)) < 0)
		return -EFAULT;
	if (slots < dtv_off / DTV_ENTRY)
		return -ENOENT;
	if (read(ctx, dtv + dtv_off, &block, sizeof(block)) < 0)
		return -EFAULT;
	if (block + 1 < 2) /* 0, or -1 as TLS_DTV_UNALLOCATED */
		return -ENOENT;
	*ret = block;
	return 0;
}
