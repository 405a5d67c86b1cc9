/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* tokio_elf.c: see tokio_elf.h. The ELF is the target's own, and untrusted like any file. */
#include "record/tokio_elf.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <string.h>
#include <unistd.h>

/*
 * The storages of Tokio's `thread_local!`s, in legacy and v0 mangling; std's lazy-state byte is a symbol of its own with "5STATE". The first that fits counts.
 * tokio/src: runtime/context.rs (CONTEXT), macros/scoped_tls.rs (FOO within CURRENT, before 1.29), coop.rs and runtime/enter.rs (before 1.22).
 * rustc 1.63 - 1.95 [shared notes 30-tokio.md 2.3]. Before 1.22 CONTEXT was a handle only, of 32 bytes at most.
 */
static const struct name_rule {
	const char *path;
	enum layout_place place;
	u64 min_size, max_size;
} name_rules[] = {
	{"5tokio7runtime7context7CONTEXT", LAYOUT_CONTEXT, 48, 512},
	{"5tokio7runtime9scheduler12multi_thread6worker7CURRENT3FOO", LAYOUT_MT, 8, 16},
	{"5tokio7runtime11thread_pool6worker7CURRENT3FOO", LAYOUT_MT, 8, 16},
	{"5tokio7runtime9scheduler14current_thread7CURRENT3FOO", LAYOUT_CT, 8, 16},
	{"5tokio7runtime15basic_scheduler7CURRENT3FOO", LAYOUT_CT, 8, 16},
	{"5tokio4coop7CURRENT", LAYOUT_BUDGET, 2, 3},
	{"5tokio7runtime4coop7CURRENT", LAYOUT_BUDGET, 2, 3},
	{"5tokio7runtime5enter7ENTERED", LAYOUT_RUNTIME, 1, 2},
};

static const struct name_rule *rule_of(const char *name, const GElf_Sym *s)
{
	if (strstr(name, "5STATE"))
		return NULL;
	for (u32 i = 0; i < ARRAY_SIZE(name_rules); i++)
		if (s->st_size >= name_rules[i].min_size && s->st_size <= name_rules[i].max_size &&
		    strstr(name, name_rules[i].path))
			return &name_rules[i];
	return NULL;
}

static void scan_symtab(Elf *elf, Elf_Scn *scn, const GElf_Shdr *sh, struct tokio_elf *e)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	size_t n = sh->sh_entsize ? sh->sh_size / sh->sh_entsize : 0;

	for (size_t i = 0; data && i < n && i <= INT32_MAX; i++) {
		const struct name_rule *rule;
		GElf_Sym sym;
		const char *name;

		if (!gelf_getsym(data, (int)i, &sym) || GELF_ST_TYPE(sym.st_info) != STT_TLS)
			continue;
		name = elf_strptr(elf, sh->sh_link, sym.st_name);
		rule = name ? rule_of(name, &sym) : NULL;
		if (rule && e->n_symbols < TOKIO_MAX_SYMBOLS)
			e->symbols[e->n_symbols++] =
				(struct tokio_symbol){.place = rule->place, .value = sym.st_value, .size = sym.st_size};
	}
}

/* "rustc version 1.95.0 (...)": the compiler orders a struct's fields. The highest, where several took part. */
static void read_comment(Elf_Scn *scn, struct tokio_elf *e)
{
	static const char prefix[] = "rustc version 1.";
	Elf_Data *data = elf_getdata(scn, NULL);
	const char *p = data ? data->d_buf : NULL, *end = p ? p + data->d_size : NULL;

	while (p && (p = memmem(p, (size_t)(end - p), prefix, sizeof(prefix) - 1))) {
		u32 minor = 0;

		for (p += sizeof(prefix) - 1; p < end && isdigit((unsigned char)*p) && minor < 1000; p++)
			minor = minor * 10 + (u32)(*p - '0');
		e->rustc = (u32)max_u64(e->rustc, minor);
	}
}

static int read_tables(Elf *elf, int fd, struct tokio_elf *e)
{
	u64 init_at = 0;
	size_t names = 0;
	GElf_Ehdr eh;
	size_t n = 0;

	if (!gelf_getehdr(elf, &eh) || eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_machine != EM_X86_64 ||
	    elf_getphdrnum(elf, &n) < 0)
		return -ENOEXEC;
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr ph;

		if (gelf_getphdr(elf, (int)i, &ph) && ph.p_type == PT_TLS) {
			e->tls_memsz = ph.p_memsz;
			e->tls_align = ph.p_align ? ph.p_align : 1;
			e->tls_vaddr = ph.p_vaddr;
			e->n_tls_init = (u32)min_u64(ph.p_filesz, TOKIO_MAX_TLS_INIT);
			init_at = ph.p_offset;
		}
	}
	if (e->n_tls_init && pread(fd, e->tls_init, e->n_tls_init, (off_t)init_at) != (ssize_t)e->n_tls_init)
		e->n_tls_init = 0;
	if (elf_getshdrstrndx(elf, &names) < 0)
		names = 0;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));) {
		const char *name;
		GElf_Shdr sh;

		if (gelf_getshdr(scn, &sh) && sh.sh_type == SHT_PROGBITS && (name = elf_strptr(elf, names, sh.sh_name)) &&
		    !strcmp(name, ".comment"))
			read_comment(scn, e);
		if (gelf_getshdr(scn, &sh) && sh.sh_type == SHT_SYMTAB) {
			e->has_symtab = true;
			scan_symtab(elf, scn, &sh, e);
		}
	}
	return 0;
}

/*
 * "tokio-1.54.1/src/" as cargo's registry path puts it into panic locations. Several versions in one file leave it unknown: false, there is no more to look for.
 */
static bool find_version(const char *p, size_t n, struct tokio_elf *e)
{
	static const char prefix[] = "/tokio-1.";
	const char *end = p + n, *at = p;

	while ((at = memmem(at, (size_t)(end - at), prefix, sizeof(prefix) - 1))) {
		const char *v = at + 7, *q = v;
		char found[sizeof(e->version)] = "";

		while (q < end && (isdigit((unsigned char)*q) || *q == '.') && (size_t)(q - v) < sizeof(found) - 1)
			q++;
		at = q;
		if (end - q < 5 || memcmp(q, "/src/", 5) != 0)
			continue;
		memcpy(found, v, (size_t)(q - v));
		e->names_tokio = true;
		if (e->version[0] && strcmp(e->version, found) != 0) {
			e->version[0] = 0;
			return false;
		}
		memcpy(e->version, found, sizeof(found));
	}
	return true;
}

/* Read and not mapped: a file that somebody cuts short meanwhile would kill this process. */
static int find_version_in_file(int fd, struct tokio_elf *e)
{
	enum { PIECE = 1 << 20, OVERLAP = 64 /* longer than what is looked for */ };
	_cleanup_free_ char *piece = malloc(PIECE);

	if (!piece)
		return -ENOMEM;
	for (off_t at = 0;; at += PIECE - OVERLAP) {
		ssize_t n = pread(fd, piece, PIECE, at);

		if (n < 0)
			return -errno;
		if (!find_version(piece, (size_t)n, e) || n < PIECE)
			return 0;
	}
}

int tokio_elf_read(int fd, struct tokio_elf *ret)
{
	struct tokio_elf e = {0};
	Elf *elf;
	char c;
	int err;

	(void)elf_version(EV_CURRENT);
	if (pread(fd, &c, 1, 0) < 0) /* what libelf says of it is less */
		return -errno;
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf)
		return -ENOEXEC;
	err = read_tables(elf, fd, &e);
	(void)elf_end(elf);
	if (err)
		return err;
	if (e.tls_memsz) /* else there is no context, either, and nobody asks for the version */
		err = find_version_in_file(fd, &e);
	if (!err)
		*ret = e;
	return err;
}

u64 tokio_elf_tls_back(const struct tokio_elf *e, u64 symbol_value)
{
	u64 pad = (0 - e->tls_vaddr - e->tls_memsz) & (e->tls_align - 1);

	return e->tls_memsz + pad - symbol_value;
}

u64 tokio_elf_tls_size(const struct tokio_elf *e)
{
	return (tokio_elf_tls_back(e, 0) + 7) & ~7ULL;
}

const struct tokio_symbol *tokio_elf_symbol(const struct tokio_elf *e, enum layout_place place)
{
	const struct tokio_symbol *found = NULL;

	for (u32 i = 0; i < e->n_symbols; i++) {
		if (e->symbols[i].place != place)
			continue;
		if (found)
			return NULL;
		found = &e->symbols[i];
	}
	return found;
}

bool tokio_elf_has_symbol(const struct tokio_elf *e, enum layout_place place)
{
	for (u32 i = 0; i < e->n_symbols; i++)
		if (e->symbols[i].place == place)
			return true;
	return false;
}
