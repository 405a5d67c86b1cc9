/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_bench.c: the symbolizer as a program of its own, to be timed and compared with others'. Called by symbolize.py and by hand.
 *
 *	sym_bench pcs FILE N [SEED]	N different addresses of code, drawn evenly from the sections with code, one a line
 *	sym_bench names FILE [-r]	names of the addresses on standard input; -r: each is the last byte of a call
 *	sym_bench tasks FILE		types of tasks, by the addresses of their vtables' poll and dealloc, two a line on standard input
 *	sym_bench demangle		linker names on standard input to readable ones
 *
 * Addresses are the ELF file's, in hex. The output of names is that of `llvm-symbolizer -i --no-demangle --print-address`: the address, for each frame its
 * function and FILE:LINE:0, an empty line. A frame without a name is "??", an address without frames one such frame.
 */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/demangle.h"
#include "base/u64map.h"
#include "report/sym.h"
#include "report/task_find.h"

static int fail(const char *what, const char *why)
{
	(void)fprintf(stderr, "sym_bench: %s: %s\n", what, why);
	return 1;
}

static u64 next_random(u64 *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Sections with code: where, how long, and where in the file. */
struct code {
	u64 addr[64], size[64], off[64], total;
	u32 n;
};

static int code_read(struct code *c, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf_Scn *scn = NULL;
	Elf *elf;

	*c = (struct code){0};
	(void)elf_version(EV_CURRENT);
	elf = fd < 0 ? NULL : elf_begin(fd, ELF_C_READ_MMAP, NULL);
	while (elf && c->n < ARRAY_SIZE(c->addr) && (scn = elf_nextscn(elf, scn))) {
		GElf_Shdr sh;

		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_PROGBITS || !(sh.sh_flags & SHF_EXECINSTR))
			continue;
		c->addr[c->n] = sh.sh_addr;
		c->off[c->n] = sh.sh_offset;
		c->size[c->n++] = sh.sh_size;
		c->total += sh.sh_size;
	}
	if (elf)
		(void)elf_end(elf);
	return c->total ? 0 : fail(path, "no ELF file with code");
}

static bool offset_of(const struct code *c, u64 addr, u64 *ret)
{
	for (u32 i = 0; i < c->n; i++)
		if (addr >= c->addr[i] && addr - c->addr[i] < c->size[i]) {
			*ret = c->off[i] + (addr - c->addr[i]);
			return true;
		}
	return false;
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
	struct code code;
	u64 have = 0;
	int err = code_read(&code, path);

	if (!err && code.total / 2 < n)
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
	return err;
}

static int print_names(const char *path, bool is_return)
{
	struct sym_frame f[SYM_MAX_INLINE];
	struct sym_module *m = NULL;
	const char *why = "";
	struct code code;
	char line[64];

	if (code_read(&code, path))
		return 1;
	if (sym_module_open(path, &m, &why))
		return fail(path, why);
	while (fgets(line, sizeof(line), stdin)) {
		u64 addr = strtoull(line, NULL, 16), off;
		int n = 0;

		if (offset_of(&code, addr, &off))
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

static int print_tasks(const char *path)
{
	static const char *const hows[] = {"none", "v0", "dwarf", "symbols", "candidates"};
	struct sym_module *m = NULL;
	const char *why = "";
	struct code code;
	char line[64];
	int err = 0;

	if (code_read(&code, path))
		return 1;
	if (sym_module_open(path, &m, &why))
		return fail(path, why);
	while (!err && fgets(line, sizeof(line), stdin)) {
		u64 poll_off = 0, dealloc_off = 0;
		struct task_answer a;
		char *rest;

		(void)offset_of(&code, strtoull(line, &rest, 16), &poll_off);
		(void)offset_of(&code, strtoull(rest, NULL, 16), &dealloc_off);
		err = sym_module_task(m, poll_off, dealloc_off, &a);
		if (!err)
			printf("%s\t%s\t%s\n", hows[a.how], task_kind_name(a.kind), a.name);
	}
	(void)sym_module_close(m);
	return err ? fail(path, strerror(-err)) : 0;
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
	if (argc == 3 && !strcmp(argv[1], "tasks"))
		return print_tasks(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "demangle"))
		return print_demangled();
	return fail("usage", "sym_bench pcs FILE N [SEED] | names FILE [-r] | tasks FILE | demangle");
}
