/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_symtab.c: functions by address from .symtab, else .dynsym. Used by sym_module.c where DWARF has no name.
 * Invariant: symbols are sorted by address, one per address, and each ends inside its executable segment.
 */
#include <errno.h>
#include <string.h>

#include "report/sym_impl.h"

#define SYMBOLS_MAX   ((size_t)16 << 20)
#define BACKTRACK_MAX 64 /* symbols looked at behind the nearest one when they overlap */

enum { RANK_SIZED = 1 << 8, RANK_FUNC = 1 << 7, RANK_GLOBAL = 1 << 6 };

/* Of the names of one address people know "nanosleep" better than "__GI___nanosleep": sized functions, few underscores, global. */
static u32 symbol_rank(const GElf_Sym *sym, const char *name)
{
	u32 rank = sym->st_size ? RANK_SIZED : 0;
	size_t underscores = strspn(name, "_");

	if (GELF_ST_TYPE(sym->st_info) != STT_NOTYPE)
		rank |= RANK_FUNC;
	if (GELF_ST_BIND(sym->st_info) != STB_LOCAL)
		rank |= RANK_GLOBAL;
	return rank + (u32)(underscores < 8 ? 8 - underscores : 0);
}

static bool is_code_symbol(const struct sym_elf *e, const GElf_Sym *sym, const char *name)
{
	int type = GELF_ST_TYPE(sym->st_info);

	if (sym->st_shndx == SHN_UNDEF || sym->st_shndx == SHN_ABS || sym->st_shndx == SHN_COMMON || !*name)
		return false;
	if (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE)
		return false;
	/* "$x" and the like mark changes between code and data, ".L" are an assembler's own. */
	if (type == STT_NOTYPE && (*name == '$' || !strncmp(name, ".L", 2)))
		return false;
	return sym_elf_exec_end(e, sym->st_value) != 0;
}

static u64 section_end(const struct sym_elf *e, const GElf_Sym *sym)
{
	Elf_Scn *scn = elf_getscn(e->elf, sym->st_shndx);
	u64 end = sym_elf_exec_end(e, sym->st_value);
	GElf_Shdr sh;

	if (!scn || !gelf_getshdr(scn, &sh) || sh.sh_addr > sym->st_value || sh.sh_size > UINT64_MAX - sh.sh_addr)
		return end;
	return sh.sh_addr + sh.sh_size > sym->st_value ? min_u64(end, sh.sh_addr + sh.sh_size) : end;
}

/* end: of its section when the symbol has no size; shortened to the next symbol's start once they are sorted. */
static void symbol_add(struct sym_symtab *t, const struct sym_elf *e, const GElf_Sym *in)
{
	GElf_Sym sym = *in;
	const char *name = elf_strptr(e->elf, t->strings, sym.st_name);
	u64 end;

	if (e->machine == EM_ARM)
		sym.st_value &= ~1ULL; /* set for Thumb code */
	if (!name || !is_code_symbol(e, &sym, name))
		return;
	end = section_end(e, &sym);
	if (sym.st_size && sym.st_size < end - sym.st_value)
		end = sym.st_value + sym.st_size;
	t->symbols[t->n++] = (struct sym_symbol){
		.addr = sym.st_value,
		.end = end,
		.name = sym.st_name,
		.rank = symbol_rank(&sym, name),
	};
}

static int symbol_cmp(const void *pa, const void *pb)
{
	const struct sym_symbol *a = pa, *b = pb;

	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	if (a->rank != b->rank)
		return a->rank > b->rank ? -1 : 1;
	if (a->end != b->end)
		return a->end > b->end ? -1 : 1;
	return a->name < b->name ? -1 : a->name > b->name; /* any order, but always the same */
}

static void finish(struct sym_symtab *t)
{
	u64 max_end = 0;
	u32 n = 0;

	if (t->n)
		qsort(t->symbols, t->n, sizeof(*t->symbols), symbol_cmp);
	for (u32 i = 0; i < t->n; i++)
		if (!n || t->symbols[n - 1].addr != t->symbols[i].addr)
			t->symbols[n++] = t->symbols[i];
	t->n = n;
	for (u32 i = 0; i < n; i++) {
		struct sym_symbol *s = &t->symbols[i];

		if (!(s->rank & RANK_SIZED) && i + 1 < n)
			s->end = min_u64(s->end, t->symbols[i + 1].addr);
		max_end = max_u64(max_end, s->end);
		s->max_end = max_end;
	}
}

static int read_table(struct sym_symtab *t, const struct sym_elf *e, Elf_Scn *scn)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	GElf_Shdr sh;
	size_t n;

	if (!data || !gelf_getshdr(scn, &sh) || !sh.sh_entsize)
		return 0;
	n = data->d_size / gelf_fsize(e->elf, ELF_T_SYM, 1, EV_CURRENT);
	if (!n || n > SYMBOLS_MAX)
		return 0;
	t->strings = sh.sh_link;
	t->elf = e->elf;
	t->symbols = calloc(n, sizeof(*t->symbols));
	if (!t->symbols)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		GElf_Sym sym;

		if (gelf_getsym(data, (int)i, &sym))
			symbol_add(t, e, &sym);
	}
	finish(t);
	return 0;
}

int sym_symtab_read(struct sym_symtab *t, const struct sym_elf *e)
{
	static const u32 types[] = {SHT_SYMTAB, SHT_DYNSYM};

	*t = (struct sym_symtab){0};
	for (size_t i = 0; i < ARRAY_SIZE(types) && !t->n; i++) {
		Elf_Scn *scn = NULL;

		while (!t->n && (scn = elf_nextscn(e->elf, scn))) {
			GElf_Shdr sh;
			int err;

			if (!gelf_getshdr(scn, &sh) || sh.sh_type != types[i])
				continue;
			sym_symtab_release(t);
			err = read_table(t, e, scn);
			if (err)
				return err;
		}
	}
	return 0;
}

void sym_symtab_release(struct sym_symtab *t)
{
	free(t->symbols);
	*t = (struct sym_symtab){0};
}

const char *sym_symtab_name(const struct sym_symtab *t, u64 addr)
{
	u32 lo = 0, hi = t->n;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (t->symbols[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (u32 i = lo; i > 0 && lo - i < BACKTRACK_MAX && t->symbols[i - 1].max_end > addr; i--)
		if (t->symbols[i - 1].end > addr)
			return elf_strptr(t->elf, t->strings, t->symbols[i - 1].name);
	return NULL;
}
