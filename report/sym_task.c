/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_task.c: types of tasks out of an ELF file: its symbols - every name of an address, unlike sym_symtab.c's -, its code, and the pointers that the dynamic
 * linker puts into its data, as task_find.h wants them. Made when the first task is asked for.
 *
 * Untrusted like all of the file: what does not fit is left out, which costs names.
 */
#include <errno.h>
#include <string.h>

#include "base/fdio.h"

#include "base/array.h"
#include "report/sym_impl.h"
#include "report/task_find.h"

#define FUNCS_MAX  ((size_t)8 << 20)
#define RELOCS_MAX ((size_t)8 << 20)
#define DATA_MAX   ((u64)256 << 20) /* of a segment that is searched for vtables */

struct reloc {
	u64 at, value;
};

struct sym_tasks {
	const struct sym_elf *elf; /* with the code; borrowed */
	struct task_code code;
	struct task_code_part parts[SYM_MAX_SEGMENTS];
	struct task_code_func *funcs;
	struct reloc *relocs; /* by address */
	size_t n_relocs;
	struct task_census *census;
};

/* ---- symbols ---- */

static int func_cmp(const void *pa, const void *pb)
{
	const struct task_code_func *a = pa, *b = pb;
	int by_name;

	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	by_name = strcmp(a->name, b->name); /* any order, but always the same */
	return by_name ? by_name : (a->end > b->end) - (a->end < b->end);
}

static void add_func(struct sym_tasks *t, const struct sym_elf *e, size_t strings, const GElf_Sym *sym)
{
	const char *name = elf_strptr(e->elf, strings, sym->st_name);
	u64 end = sym_elf_exec_end(t->elf, sym->st_value);

	if (GELF_ST_TYPE(sym->st_info) != STT_FUNC || sym->st_shndx == SHN_UNDEF || !name || !*name || !end)
		return;
	if (sym->st_size && sym->st_size < end - sym->st_value)
		end = sym->st_value + sym->st_size;
	t->funcs[t->code.n_funcs++] = (struct task_code_func){.addr = sym->st_value, .end = end, .name = name};
}

static int read_symbols(struct sym_tasks *t, const struct sym_elf *e, Elf_Scn *scn, const GElf_Shdr *sh)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	size_t n = data && sh->sh_entsize ? data->d_size / gelf_fsize(e->elf, ELF_T_SYM, 1, EV_CURRENT) : 0;

	if (!n || n > FUNCS_MAX)
		return 0;
	t->funcs = calloc(n, sizeof(*t->funcs));
	if (!t->funcs)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		GElf_Sym sym;

		if (gelf_getsym(data, (int)i, &sym))
			add_func(t, e, sh->sh_link, &sym);
	}
	if (t->code.n_funcs)
		qsort(t->funcs, t->code.n_funcs, sizeof(*t->funcs), func_cmp);
	for (u32 i = t->code.n_funcs; i-- > 1;) /* one that begins later ends those before it, but aliases end together */
		if (t->funcs[i - 1].addr == t->funcs[i].addr)
			t->funcs[i - 1].end = min_u64(t->funcs[i - 1].end, t->funcs[i].end);
		else
			t->funcs[i - 1].end = min_u64(t->funcs[i - 1].end, t->funcs[i].addr);
	t->code.funcs = t->funcs;
	return 0;
}

/* .symtab, or what is left of it: functions for others. */
static int read_funcs(struct sym_tasks *t, const struct sym_elf *e)
{
	static const u32 types[] = {SHT_SYMTAB, SHT_DYNSYM};
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(types) && !t->code.n_funcs && !err; i++) {
		Elf_Scn *scn = NULL;

		while (!t->code.n_funcs && !err && (scn = elf_nextscn(e->elf, scn))) {
			GElf_Shdr sh;

			if (!gelf_getshdr(scn, &sh) || sh.sh_type != types[i])
				continue;
			free(TAKE_PTR(t->funcs));
			err = read_symbols(t, e, scn, &sh);
		}
	}
	return err;
}

/* ---- code and data ---- */

static void read_parts(struct sym_tasks *t)
{
	const struct sym_elf *e = t->elf;

	for (u32 i = 0; i < e->n_segments; i++) {
		const struct sym_segment *s = &e->segments[i];
		Elf_Data *data;

		if (!s->is_exec || s->off > INT64_MAX || s->off >= e->size || s->size > e->size - s->off)
			continue;
		data = elf_getdata_rawchunk(e->elf, (s64)s->off, s->size, ELF_T_BYTE);
		if (data && data->d_buf && data->d_size == s->size)
			t->parts[t->code.n_parts++] = (struct task_code_part){s->addr, s->size, data->d_buf};
	}
	t->code.parts = t->parts;
}

static int reloc_cmp(const void *pa, const void *pb)
{
	const struct reloc *a = pa, *b = pb;

	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	return (a->value > b->value) - (a->value < b->value);
}

/* What the dynamic linker makes of the file's own addresses: R_X86_64_RELATIVE, and what it looks up by names that the file defines itself. */
static int read_relocs(struct sym_tasks *t, const struct sym_elf *e, Elf_Scn *scn, const GElf_Shdr *sh)
{
	Elf_Scn *syms_scn = elf_getscn(e->elf, sh->sh_link);
	Elf_Data *data = elf_getdata(scn, NULL), *syms = syms_scn ? elf_getdata(syms_scn, NULL) : NULL;
	size_t n = data && sh->sh_entsize ? data->d_size / gelf_fsize(e->elf, ELF_T_RELA, 1, EV_CURRENT) : 0;
	struct reloc *v;

	if (!n || n > RELOCS_MAX || t->n_relocs > RELOCS_MAX - n)
		return 0;
	v = reallocarray(t->relocs, t->n_relocs + n, sizeof(*v));
	if (!v)
		return -ENOMEM;
	t->relocs = v;
	for (size_t i = 0; i < n; i++) {
		GElf_Rela r;
		GElf_Sym sym;
		u64 value;

		if (!gelf_getrela(data, (int)i, &r))
			continue;
		value = (u64)r.r_addend;
		if (GELF_R_TYPE(r.r_info) != R_X86_64_RELATIVE) {
			if (!syms || !gelf_getsym(syms, (int)GELF_R_SYM(r.r_info), &sym) || sym.st_shndx == SHN_UNDEF)
				continue;
			value = sym.st_value + (GELF_R_TYPE(r.r_info) == R_X86_64_64 ? value : 0);
		}
		t->relocs[t->n_relocs++] = (struct reloc){r.r_offset, value};
	}
	return 0;
}

static int read_all_relocs(struct sym_tasks *t)
{
	Elf_Scn *scn = NULL;
	int err = 0;

	while (!err && (scn = elf_nextscn(t->elf->elf, scn))) {
		GElf_Shdr sh;

		if (gelf_getshdr(scn, &sh) && sh.sh_type == SHT_RELA && sh.sh_flags & SHF_ALLOC)
			err = read_relocs(t, t->elf, scn, &sh);
	}
	if (t->n_relocs)
		qsort(t->relocs, t->n_relocs, sizeof(*t->relocs), reloc_cmp);
	return err;
}

/* Where relocations with the addend in place (RELR) or none at all (not position independent) leave what the file has. */
static bool pointer_in_file(const struct sym_elf *e, u64 addr, u64 *ret)
{
	for (u32 i = 0; i < e->n_segments; i++) {
		const struct sym_segment *s = &e->segments[i];
		u8 b[8];
		u64 v = 0;

		if (addr < s->addr || addr - s->addr >= s->size || s->size - (addr - s->addr) < sizeof(b))
			continue;
		if (fd_pread_full(e->fd, b, sizeof(b), s->off + (addr - s->addr)) != sizeof(b))
			return false;
		for (u32 k = 0; k < sizeof(b); k++)
			v |= (u64)b[k] << 8 * k;
		*ret = v;
		return v != 0;
	}
	return false;
}

static bool pointer_at(void *ctx, u64 addr, u64 *ret)
{
	const struct sym_tasks *t = ctx;
	size_t lo = 0, hi = t->n_relocs;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->relocs[mid].at < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < t->n_relocs && t->relocs[lo].at == addr) {
		*ret = t->relocs[lo].value;
		return true;
	}
	return pointer_in_file(t->elf, addr, ret);
}

/* ---- vtables ---- */

struct vtables {
	struct task_vtable *v;
	u32 n;
	size_t cap;
};

static bool has_name(const struct sym_tasks *t, u64 addr, const char *part)
{
	u32 at = task_code_at(&t->code, addr);
	u32 n = at < t->code.n_funcs ? task_code_names(&t->code, at) : 0;

	for (u32 i = 0; i < n; i++)
		if (strstr(t->funcs[at + i].name, part))
			return true;
	return false;
}

static bool is_poll(const struct sym_tasks *t, u64 addr)
{
	return has_name(t, addr, "5tokio7runtime4task3raw4poll");
}

/* Since Tokio 1.23 poll, schedule, dealloc, ...; before that poll, dealloc, ... */
static int add_vtable(const struct sym_tasks *t, struct vtables *all, u64 at, u64 poll)
{
	struct task_vtable v = {.poll = poll};
	u64 second = 0, third = 0;

	if (!pointer_at((void *)(uintptr_t)t, at + 8, &second) || !pointer_at((void *)(uintptr_t)t, at + 16, &third))
		return 0;
	v.dealloc = has_name(t, second, "5tokio7runtime4task3raw7dealloc") ? second : third;
	v.schedule = v.dealloc == third ? second : 0;
	if (ARRAY_ROOM(all->v, all->n, &all->cap) < 0)
		return -ENOMEM;
	all->v[all->n++] = v;
	return 0;
}

/* In a program that is not position independent no relocation says where the pointers are: all aligned words of its data are looked at. */
static int scan_data(const struct sym_tasks *t, struct vtables *all)
{
	const struct sym_elf *e = t->elf;
	int err = 0;

	for (u32 i = 0; i < e->n_segments; i++) {
		const struct sym_segment *s = &e->segments[i];
		Elf_Data *data;
		const u8 *p;

		if (s->is_exec || s->off >= e->size || s->size > e->size - s->off || s->size > DATA_MAX)
			continue;
		data = elf_getdata_rawchunk(e->elf, (s64)s->off, s->size, ELF_T_BYTE);
		p = data ? data->d_buf : NULL;
		for (u64 at = -s->addr & 7; p && at + 24 <= data->d_size && !err; at += 8) {
			u64 v;

			memcpy(&v, p + at, sizeof(v)); /* x86-64 files only, read on x86-64 */
			if (v && sym_elf_exec_end(e, v) && is_poll(t, v))
				err = add_vtable(t, all, s->addr + at, v);
		}
	}
	return err;
}

static int count_vtables(struct sym_tasks *t)
{
	struct vtables all = {.n = 0};
	int err = 0;

	for (size_t i = 0; i < t->n_relocs && !err; i++)
		if (is_poll(t, t->relocs[i].value))
			err = add_vtable(t, &all, t->relocs[i].at, t->relocs[i].value);
	if (!err && !all.n)
		err = scan_data(t, &all);
	if (!err)
		err = task_census_new(&t->code, all.v, all.n, &t->census);
	free(all.v);
	return err;
}

/* ---- tasks ---- */

struct sym_tasks *sym_tasks_free(struct sym_tasks *t)
{
	if (t) {
		(void)task_census_free(t->census);
		free(t->funcs);
		free(t->relocs);
	}
	free(t);
	return NULL;
}

static int open_tasks(struct sym_module *m)
{
	struct sym_tasks *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	t->elf = &m->elf;
	t->code.pointer = pointer_at;
	t->code.ctx = t;
	m->tasks = t;
	err = m->debug ? read_funcs(t, m->debug) : 0;
	if (!err && !t->code.n_funcs)
		err = read_funcs(t, &m->elf);
	if (err || m->elf.machine != EM_X86_64 || m->elf.is_big)
		return err; /* without code: names that need none */
	read_parts(t);
	err = read_all_relocs(t);
	return err ? err : count_vtables(t);
}

/* "poll<T, S>" by the debug info: the name of the function that is not inlined into another. */
static const char *typed_name(struct sym_module *m, u64 addr)
{
	struct sym_frame f[SYM_MAX_INLINE];
	int n = addr ? sym_dwarf_lookup(m, addr, f, SYM_MAX_INLINE) : 0;

	return n > 0 ? f[n - 1].typed_name : NULL;
}

int sym_module_task(struct sym_module *m, u64 poll_off, u64 dealloc_off, struct task_answer *ret)
{
	struct task_query q = {0};
	int err = m->tasks ? 0 : open_tasks(m);

	*ret = (struct task_answer){0};
	if (err)
		return err;
	if (!poll_off || !sym_elf_addr_of(&m->elf, poll_off, &q.poll))
		q.poll = 0;
	if (!dealloc_off || !sym_elf_addr_of(&m->elf, dealloc_off, &q.dealloc))
		q.dealloc = 0;
	q.census = m->tasks->census;
	q.typed_poll = typed_name(m, q.poll);
	q.typed_dealloc = typed_name(m, q.dealloc);
	return task_find(&m->tasks->code, &q, ret);
}
