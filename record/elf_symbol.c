/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* elf_symbol.c: see elf_symbol.h. */
#include "record/elf_symbol.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/demangle.h"

enum {
	MAX_FUNCTIONS = 1 << 24,
	MAX_FDES = 1 << 24,
	MAX_COMPARED = 64, /* characters of names whose distance is taken */
};

/* ---- reading ---- */

static bool is_function(const Elf64_Sym *s, size_t strings)
{
	return ELF64_ST_TYPE(s->st_info) == STT_FUNC && s->st_shndx != SHN_UNDEF && s->st_value && s->st_name < strings;
}

static int put_function(struct elf_functions *f, const char *name, u64 addr)
{
	if (f->n >= MAX_FUNCTIONS || ARRAY_ROOM_RAW(f->rows, f->n, &f->cap) < 0)
		return -ENOMEM;
	f->rows[f->n++] = (struct elf_function){.name = name, .addr = addr};
	return 0;
}

/* The symbols of a table, whose strings become *ret_strings. */
static int read_table(const struct elf_view *v, const Elf64_Shdr *sh, struct elf_functions *f, char **ret_strings)
{
	_cleanup_free_ u8 *symbols = NULL, *strings = NULL;
	const Elf64_Shdr *str;
	size_t n_symbols, n_strings;
	int err;

	if (!sh || sh->sh_entsize != sizeof(Elf64_Sym) || sh->sh_link >= v->n_sh)
		return 0;
	str = &v->sh[sh->sh_link];
	err = elf_view_copy_at(v, sh->sh_offset, sh->sh_size, &symbols, &n_symbols);
	if (!err)
		err = elf_view_copy_at(v, str->sh_offset, str->sh_size, &strings, &n_strings);
	if (err || !n_strings || !n_symbols)
		return err;
	strings[n_strings - 1] = 0;
	for (size_t at = 0; at + sizeof(Elf64_Sym) <= n_symbols && !err; at += sizeof(Elf64_Sym)) {
		Elf64_Sym s;

		memcpy(&s, symbols + at, sizeof(s));
		if (is_function(&s, n_strings) && strings[s.st_name])
			err = put_function(f, (const char *)strings + s.st_name, s.st_value);
	}
	*ret_strings = (char *)TAKE_PTR(strings);
	return err;
}

static const Elf64_Shdr *section_of_type(const struct elf_view *v, u32 type)
{
	for (u32 i = 0; i < v->n_sh; i++)
		if (v->sh[i].sh_type == type)
			return &v->sh[i];
	return NULL;
}

static s32 le32(const u8 *p)
{
	return (s32)((u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24);
}

/* The sorted table of .eh_frame_hdr, in the one encoding that linkers write: 4-byte offsets from its own address. */
static int read_fdes(const struct elf_view *v, struct elf_functions *f)
{
	const Elf64_Phdr *ph = elf_view_phdr(v, PT_GNU_EH_FRAME);
	static const u8 usual[4] = {1, 0x1b, 0x03, 0x3b};
	_cleanup_free_ u8 *p = NULL;
	size_t size, n;
	int err;

	if (!ph)
		return 0;
	err = elf_view_copy_at(v, ph->p_offset, ph->p_filesz, &p, &size);
	if (err || size < 12 || memcmp(p, usual, sizeof(usual)) != 0)
		return err;
	n = min_u64(min_u64((u32)le32(p + 8), (size - 12) / 8), MAX_FDES);
	f->fdes = calloc(n + 1, sizeof(*f->fdes));
	if (!f->fdes)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		f->fdes[i] = ph->p_vaddr + (u64)(s64)le32(p + 12 + 8 * i);
	f->n_fdes = n;
	return 0;
}

static int by_addr(const void *a, const void *b)
{
	const struct elf_function *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return strcmp(x->name, y->name);
}

int elf_functions_read(const struct elf_view *v, struct elf_functions *ret)
{
	int err = read_table(v, section_of_type(v, SHT_SYMTAB), ret, &ret->strings[0]);

	if (!err)
		err = read_table(v, section_of_type(v, SHT_DYNSYM), ret, &ret->strings[1]);
	if (!err)
		err = read_fdes(v, ret);
	if (!err && ret->n)
		qsort(ret->rows, ret->n, sizeof(*ret->rows), by_addr);
	return err;
}

void elf_functions_release(struct elf_functions *f)
{
	free(f->rows);
	free(f->strings[0]);
	free(f->strings[1]);
	free(f->fdes);
	*f = (struct elf_functions){0};
}

bool elf_functions_begin_at(const struct elf_functions *f, u64 addr)
{
	for (size_t i = 0; i < f->n && f->rows[i].addr <= addr; i++)
		if (f->rows[i].addr == addr)
			return true;
	for (size_t i = 0; i < f->n_fdes; i++) /* sorted, if the file says so; it is asked once */
		if (f->fdes[i] == addr)
			return true;
	return false;
}

int elf_file_offset(const struct elf_view *v, u64 addr, u64 *ret)
{
	const Elf64_Phdr *p = elf_view_load(v, addr);

	if (!p || !(p->p_flags & PF_X))
		return -ENOENT;
	*ret = p->p_offset + (addr - p->p_vaddr);
	return 0;
}

/* ---- by name ---- */

/* The linker name without "@VERSION". */
static bool is_linker_name(const char *linker, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(linker, name, n) && (!linker[n] || linker[n] == '@');
}

static bool is_word(char c)
{
	return isalnum((u8)c) || c == '_' || (u8)c >= 0x80;
}

/* The longest identifier of a readable name: both manglings spell it out, so that only few names need to be demangled. */
static char *longest_word(const char *name)
{
	const char *best = name;
	size_t best_n = 0;

	for (const char *p = name; *p;) {
		size_t n = 0;

		while (is_word(p[n]))
			n++;
		if (n > best_n) {
			best = p;
			best_n = n;
		}
		p += n ? n : 1;
	}
	return strndup(best, best_n);
}

/* Functions whose linker name passes, one an address: the rows are sorted by it. */
static int find(const struct elf_functions *f, const char *name, const char *word, struct elf_function *ret, u32 max)
{
	u64 last = 0;
	u32 n = 0;

	for (size_t i = 0; i < f->n; i++) {
		const struct elf_function *row = &f->rows[i];
		bool same;

		if (n && row->addr == last)
			continue;
		if (word) {
			_cleanup_free_ char *readable = strstr(row->name, word) ? demangle_name(row->name) : NULL;

			same = readable && !strcmp(readable, name);
		} else {
			same = is_linker_name(row->name, name);
		}
		if (!same)
			continue;
		if (n < max)
			ret[n] = *row;
		n++;
		last = row->addr;
	}
	return (int)n;
}

int elf_functions_find(const struct elf_functions *f, const char *name, struct elf_function *ret, u32 max)
{
	_cleanup_free_ char *word = longest_word(name);
	int n;

	if (!word)
		return -ENOMEM;
	n = find(f, name, NULL, ret, max);
	return n ? n : find(f, name, word, ret, max);
}

/* ---- near misses ---- */

/* Behind the last "::" that is in no brackets: the function's own name. */
static const char *last_part(const char *name)
{
	const char *last = name;
	int depth = 0;

	for (const char *p = name; *p; p++) {
		depth += (*p == '<') - (*p == '>' && p > name && p[-1] != '-');
		if (depth <= 0 && p[0] == ':' && p[1] == ':' && p[2])
			last = p + 2;
	}
	return last;
}

/* Letters to insert, delete or replace (Levenshtein); of the first MAX_COMPARED of each. */
static u32 distance(const char *a, const char *b)
{
	size_t n = strnlen(a, MAX_COMPARED), m = strnlen(b, MAX_COMPARED);
	u32 row[MAX_COMPARED + 1];

	for (size_t j = 0; j <= m; j++)
		row[j] = (u32)j;
	for (size_t i = 1; i <= n; i++) {
		u32 corner = row[0];

		row[0] = (u32)i;
		for (size_t j = 1; j <= m; j++) {
			u32 change = corner + (a[i - 1] != b[j - 1]), less = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);

			corner = row[j];
			row[j] = change < less ? change : less;
		}
	}
	return row[m];
}

/* 0: not near. */
static u32 score(const char *readable, const char *name, const char *own)
{
	const char *last = last_part(readable);
	size_t n = strlen(own), len = strlen(readable), whole = strlen(name);
	u32 d;

	if (len > whole + 2 && !strcmp(readable + len - whole, name) && readable[len - whole - 1] == ':')
		return 1000; /* the path lacks its beginning */
	if (!strcmp(last, own))
		return 900;
	if (n >= 4 && strstr(last, own))
		return 600 - (u32)min_u64(strlen(last) - n, 99);
	d = distance(last, own);
	return d <= max_u64(1, min_u64(n, strlen(last)) / 3) ? 500 - 10 * d : 0;
}

static bool is_known(const struct elf_near *near, u32 n, const char *name, u64 addr)
{
	for (u32 i = 0; i < n; i++)
		if (near[i].addr == addr && !strcmp(near[i].name, name))
			return true;
	return false;
}

/* Keeps the best, earlier ones first among equals. Takes the name. */
static void insert(struct elf_near *near, u32 *n, u32 max, struct elf_near what)
{
	u32 at = *n;

	while (at && near[at - 1].score < what.score)
		at--;
	if (at >= max) {
		free(what.name);
		return;
	}
	if (*n == max)
		free(near[--*n].name);
	memmove(&near[at + 1], &near[at], (*n - at) * sizeof(*near));
	near[at] = what;
	++*n;
}

int elf_functions_near(const struct elf_functions *f, const char *name, struct elf_near *near, u32 *n, u32 max)
{
	const char *own = last_part(name);

	for (size_t i = 0; i < f->n; i++) {
		_cleanup_free_ char *readable = demangle_name(f->rows[i].name);
		u32 s = readable ? score(readable, name, own) : 0;

		if (!readable)
			return -ENOMEM;
		if (s && !is_known(near, *n, readable, f->rows[i].addr))
			insert(near, n, max, (struct elf_near){.name = TAKE_PTR(readable), .addr = f->rows[i].addr, .score = s});
	}
	return 0;
}
