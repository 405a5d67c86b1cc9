/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * symbolize.c: the symbolizer as a program of its own, to be timed and compared with others'. Called by symbolize.py and by hand.
 *
 *	symbolize pcs FILE N [SEED]	N different addresses of code, drawn evenly from the sections with code, one a line
 *	symbolize names FILE [-r]	names of the addresses on standard input; -r: each is the last byte of a call
 *	symbolize demangle		linker names on standard input to readable ones
 *
 * Addresses are the ELF file's, in hex. The output of names is that of `llvm-symbolizer -i --no-demangle --print-address`: the address, for each frame its
 * function and FILE:LINE:0, an empty line. A frame without a name is "??", an address without frames one such frame.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/demangle.h"
#include "report/sym_impl.h"

static int fail(const char *what, const char *why)
{
	(void)fprintf(stderr, "symbolize: %s: %s\n", what, why);
	return 1;
}

/* File offset of an address; executable segments alone, as the stacks of a capture have. */
static bool offset_of(const struct sym_elf *e, u64 addr, u64 *ret)
{
	for (u32 i = 0; i < e->n_segments; i++) {
		const struct sym_segment *s = &e->segments[i];

		if (s->is_exec && addr >= s->addr && addr - s->addr < s->size) {
			*ret = s->off + (addr - s->addr);
			return true;
		}
	}
	return false;
}

static u64 next_random(u64 *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Sections with code: where, how long. */
struct code {
	u64 addr[64], size[64], total;
	u32 n;
};

static void code_read(struct code *c, const struct sym_elf *e)
{
	Elf_Scn *scn = NULL;

	*c = (struct code){0};
	while (c->n < ARRAY_SIZE(c->addr) && (scn = elf_nextscn(e->elf, scn))) {
		GElf_Shdr sh;

		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_PROGBITS || !(sh.sh_flags & SHF_EXECINSTR))
			continue;
		c->addr[c->n] = sh.sh_addr;
		c->size[c->n++] = sh.sh_size;
		c->total += sh.sh_size;
	}
}

/* The k-th byte of code. */
static u64 code_byte(const struct code *c, u64 k)
{
	u32 i = 0;

	while (i + 1 < c->n && k >= c->size[i])
		k -= c->size[i++];
	return c->addr[i] + k;
}

static int print_pcs(const char *path, u64 n, u64 seed)
{
	struct u64map seen = {0};
	struct sym_elf e = {.fd = -1};
	struct code code;
	const char *why = "";
	u64 have = 0;
	int err = 0;

	if (sym_elf_open(&e, path, &why))
		return fail(path, why);
	code_read(&code, &e);
	if (code.total / 2 < n)
		err = fail(path, "has less code than that");
	while (!err && have < n) {
		u64 addr = code_byte(&code, next_random(&seed) % code.total), old;

		if (u64map_get(&seen, addr, &old))
			continue;
		err = u64map_put(&seen, addr, 1) ? fail(path, strerror(ENOMEM)) : 0;
		printf("0x%llx\n", (unsigned long long)addr);
		have++;
	}
	u64map_release(&seen);
	sym_elf_release(&e);
	return err;
}

static int print_names(const char *path, bool is_return)
{
	struct sym_frame f[SYM_MAX_INLINE];
	struct sym_module *m = NULL;
	const char *why = "";
	char line[64];

	if (sym_module_open(path, &m, &why))
		return fail(path, why);
	while (fgets(line, sizeof(line), stdin)) {
		u64 addr = strtoull(line, NULL, 16), off;
		int n = 0;

		if (offset_of(&m->elf, addr, &off))
			n = sym_module_lookup(m, off + is_return, is_return, f, SYM_MAX_INLINE);
		printf("0x%llx\n", (unsigned long long)addr);
		if (n <= 0)
			puts("??\n??:0:0");
		for (int i = 0; i < n; i++)
			printf("%s\n%s:%u:0\n", f[i].function, f[i].file ? f[i].file : "??", f[i].line);
		(void)putchar('\n');
	}
	(void)sym_module_close(m);
	return 0;
}

static int print_demangled(void)
{
	_cleanup_free_ char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	while ((n = getline(&line, &cap, stdin)) > 0) {
		_cleanup_free_ char *text = NULL;

		line[n - (line[n - 1] == '\n')] = '\0';
		text = demangle_name(line);
		if (!text)
			return fail("demangle", strerror(ENOMEM));
		puts(text);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 4 && !strcmp(argv[1], "pcs"))
		return print_pcs(argv[2], strtoull(argv[3], NULL, 10), argc > 4 ? strtoull(argv[4], NULL, 10) | 1 : 88172645463325252ULL);
	if (argc >= 3 && !strcmp(argv[1], "names"))
		return print_names(argv[2], argc > 3 && !strcmp(argv[3], "-r"));
	if (argc == 2 && !strcmp(argv[1], "demangle"))
		return print_demangled();
	return fail("usage", "symbolize pcs FILE N [SEED] | names FILE [-r] | demangle");
}
