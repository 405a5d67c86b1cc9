/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_sym_hostile.c: files that lie, through the child (60-reliability.md W8): this program with its headers and debug information damaged, always in the
 * same ways, and DWARF made to take all time, all memory or the whole stack. Whatever libelf and libdw do with them, the parent gets an outcome, in time, and
 * goes on; the next file has its names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <dwarf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fdio.h"
#include "dwarf_image.h"
#include "report/sym_child.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#else
#define HAS_ASAN 0
#endif

enum { N_LOOKUPS = 256, N_OUTCOMES = SYM_CHILD_BROKEN + 1 };

/* Limits that a sound file of this size is far below. */
static const struct sym_child_opts small = {.memory = 192 << 20, .seconds = 5};

/* Reads a file that may be anything; closes fd. */
static struct sym_child *read_file(int fd, const struct sym_wire_lookup *lookups, u64 n)
{
	struct sym_input in = {.fd = fd, .debug_fd = -1, .alt_fd = -1};
	/* types of tasks, too: that none of this program's functions is a task's is no matter to a file that lies */
	const struct sym_wire_tasks_of tasks[] = {{n ? lookups[0].file_off : 0, n > 1 ? lookups[1].file_off : 0},
						  {UINT64_MAX, 1}};
	struct sym_child *c;

	assert_int_equal(sym_child_start(&small, &in, lookups, n, &c), 0);
	sym_child_ask_tasks(c, tasks, ARRAY_SIZE(tasks));
	while (sym_child_outcome(c) == SYM_CHILD_RUNNING)
		assert_int_equal(sym_child_step(&c, 1, 1000), 0);
	assert_int_equal(!sym_child_why(c)[0], sym_child_outcome(c) == SYM_CHILD_OK);
	(void)close(fd);
	return c;
}

/* ---- this program, damaged ---- */

struct image {
	u8 *data;
	size_t size;
	const Elf64_Shdr *sections;
	u32 n_sections;
	const char *names;
	struct sym_wire_lookup lookups[N_LOOKUPS];
	u32 seen[N_OUTCOMES];
	u32 runs;
};

static int setup(void **state)
{
	struct image *im = calloc(1, sizeof(*im));
	_cleanup_buf_ struct buf b = BUF_INIT;
	const Elf64_Ehdr *eh;

	assert_non_null(im);
	assert_int_equal(file_read_all("/proc/self/exe", &b, 1 << 30), 0);
	im->size = b.len;
	im->data = TAKE_PTR(b.data);
	eh = (const Elf64_Ehdr *)(const void *)im->data;
	im->sections = (const Elf64_Shdr *)(const void *)(im->data + eh->e_shoff);
	im->n_sections = eh->e_shnum;
	im->names = (const char *)im->data + im->sections[eh->e_shstrndx].sh_offset;
	for (u32 i = 0; i < im->n_sections; i++)
		if (!strcmp(im->names + im->sections[i].sh_name, ".text"))
			for (u32 k = 0; k < N_LOOKUPS; k++)
				im->lookups[k].file_off = im->sections[i].sh_offset + im->sections[i].sh_size / N_LOOKUPS * k;
	assert_true(im->lookups[1].file_off > im->lookups[0].file_off);
	*state = im;
	return 0;
}

static int teardown(void **state)
{
	struct image *im = *state;

	free(im->data);
	free(im);
	return 0;
}

static void take(struct image *im, int fd)
{
	struct sym_child *c = read_file(fd, im->lookups, N_LOOKUPS);

	im->seen[sym_child_outcome(c)]++;
	im->runs++;
	(void)sym_child_close(c);
}

static void print_seen(const struct image *im, const char *what)
{
	print_message("# %s: %u files, %u read, %u refused, %u crashed, %u took too long, %u needed too much, %u said nonsense\n",
		      what, im->runs, im->seen[SYM_CHILD_OK], im->seen[SYM_CHILD_REFUSED], im->seen[SYM_CHILD_CRASHED],
		      im->seen[SYM_CHILD_TIME], im->seen[SYM_CHILD_MEMORY], im->seen[SYM_CHILD_BROKEN]);
}

/* It is read as long as it is whole: how many of the places have names. */
static u32 named_places(struct image *im)
{
	struct sym_child *c = read_file(dwarf_image_file(im->data, im->size), im->lookups, N_LOOKUPS);
	u32 named = 0;

	assert_string_equal(sym_child_why(c), "");
	for (u32 i = 0; i < N_LOOKUPS; i++) {
		u32 n;

		(void)sym_answers_frames(sym_child_answers(c), i, &n);
		named += n > 0;
	}
	(void)sym_child_close(c);
	return named;
}

static void whole(void **state)
{
	assert_in_range(named_places(*state), N_LOOKUPS * 9 / 10, N_LOOKUPS);
}

/* Cut at, before and behind the edge of every section, and within the headers. */
static void truncated(void **state)
{
	struct image *im = *state;

	for (u32 i = 0; i < im->n_sections; i++)
		for (int d = -1; d <= 1; d++) {
			size_t at = im->sections[i].sh_offset + (size_t)(d + 1) * im->sections[i].sh_size / 2;

			if (at < im->size)
				take(im, dwarf_image_file(im->data, at));
		}
	for (size_t n = 0; n < 130; n += 13)
		take(im, dwarf_image_file(im->data, n));
	print_seen(im, "truncated");
	assert_int_equal(im->seen[SYM_CHILD_BROKEN], 0);
	/* Without section headers it still is a program, but has no names. Without program headers it is none. */
	assert_true(im->seen[SYM_CHILD_OK] > 0);
	assert_true(im->seen[SYM_CHILD_REFUSED] > 0);
	whole(state);
}

static bool is_read(const struct image *im, const Elf64_Shdr *s)
{
	const char *name = im->names + s->sh_name;

	return !strncmp(name, ".debug_", 7) || !strcmp(name, ".symtab") || !strcmp(name, ".strtab") ||
	       !strcmp(name, ".rela.dyn") || !strcmp(name, ".shstrtab");
}

/* Each field of each section header that is read, with values at the edges. */
static void section_headers(void **state)
{
	static const struct {
		u32 off, size;
	} fields[] = {
		{offsetof(Elf64_Shdr, sh_name), 4},    {offsetof(Elf64_Shdr, sh_type), 4}, {offsetof(Elf64_Shdr, sh_flags), 8},
		{offsetof(Elf64_Shdr, sh_offset), 8},  {offsetof(Elf64_Shdr, sh_size), 8}, {offsetof(Elf64_Shdr, sh_link), 4},
		{offsetof(Elf64_Shdr, sh_entsize), 8},
	};
	static const u64 values[] = {0, 1, SHF_COMPRESSED, INT32_MAX, UINT64_MAX - 7};
	struct image *im = *state;

	for (u32 i = 0; i < im->n_sections; i++)
		for (u32 k = 0; k < ARRAY_SIZE(fields) * ARRAY_SIZE(values) && is_read(im, &im->sections[i]); k++) {
			u8 *p = (u8 *)(uintptr_t)&im->sections[i] + fields[k / ARRAY_SIZE(values)].off;
			u32 size = fields[k / ARRAY_SIZE(values)].size;
			u8 old[8];

			memcpy(old, p, size);
			memcpy(p, &values[k % ARRAY_SIZE(values)], size);
			take(im, dwarf_image_file(im->data, im->size));
			memcpy(p, old, size);
		}
	print_seen(im, "section headers");
	assert_int_equal(im->seen[SYM_CHILD_BROKEN], 0);
	whole(state);
}

static u64 next_random(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* Few, some or many bytes of one section changed. */
static void random_bytes(void **state)
{
	struct image *im = *state;
	_cleanup_free_ u8 *saved = malloc(im->size);
	u64 random = 1;

	assert_non_null(saved);
	memcpy(saved, im->data, im->size);
	for (u32 round = 0; round < 12; round++)
		for (u32 i = 0; i < im->n_sections; i++) {
			const Elf64_Shdr *s = &im->sections[i];

			if (!is_read(im, s) || !s->sh_size)
				continue;
			for (u32 k = 0; k < 1U << 2 * (round % 6); k++)
				im->data[s->sh_offset + next_random(&random) % s->sh_size] = (u8)next_random(&random);
			take(im, dwarf_image_file(im->data, im->size));
			memcpy(im->data, saved, im->size);
		}
	print_seen(im, "random bytes");
	assert_int_equal(im->seen[SYM_CHILD_BROKEN], 0);
	assert_true(im->seen[SYM_CHILD_OK] > im->runs / 2);
	whole(state);
}

/* ---- DWARF made to harm ---- */

enum { CU = 1, FUNCTION, INLINED, BY_SPECIFICATION, LEAF };

static void put_uleb(struct buf *b, u64 v)
{
	buf_put_uvarint(b, v);
}

static void put_abbrev(struct buf *b, u64 code, u64 tag, bool children, const u16 (*attrs)[2])
{
	put_uleb(b, code);
	put_uleb(b, tag);
	buf_putc(b, children);
	for (; (*attrs)[0]; attrs++) {
		put_uleb(b, (*attrs)[0]);
		put_uleb(b, (*attrs)[1]);
	}
	buf_putc(b, 0);
	buf_putc(b, 0);
}

static void put_abbrevs(struct buf *b)
{
	static const u16 cu[][2] = {
		{DW_AT_low_pc, DW_FORM_addr}, {DW_AT_high_pc, DW_FORM_data8}, {DW_AT_stmt_list, DW_FORM_sec_offset}, {0}};
	static const u16 function[][2] = {
		{DW_AT_low_pc, DW_FORM_addr}, {DW_AT_high_pc, DW_FORM_data8}, {DW_AT_name, DW_FORM_string}, {0}};
	static const u16 inlined[][2] = {
		{DW_AT_abstract_origin, DW_FORM_ref4}, {DW_AT_low_pc, DW_FORM_addr}, {DW_AT_high_pc, DW_FORM_data8}, {0}};
	static const u16 by_spec[][2] = {
		{DW_AT_specification, DW_FORM_ref4}, {DW_AT_low_pc, DW_FORM_addr}, {DW_AT_high_pc, DW_FORM_data8}, {0}};

	put_abbrev(b, CU, DW_TAG_compile_unit, true, cu);
	put_abbrev(b, FUNCTION, DW_TAG_subprogram, true, function);
	put_abbrev(b, INLINED, DW_TAG_inlined_subroutine, true, inlined);
	put_abbrev(b, BY_SPECIFICATION, DW_TAG_subprogram, false, by_spec);
	put_abbrev(b, LEAF, DW_TAG_subprogram, false, function);
	buf_putc(b, 0);
}

#define CODE_ADDR (DWARF_IMAGE_BASE + DWARF_IMAGE_CODE)

/* The header of a unit, whose length unit_end() writes. Returns where it begins. */
static size_t unit_begin(struct buf *b)
{
	size_t at = b->len;

	buf_put_le32(b, 0);
	buf_put(b, "\4\0", 2);
	buf_put_le32(b, 0); /* abbreviations */
	buf_putc(b, 8);
	put_uleb(b, CU);
	buf_put_le64(b, CODE_ADDR);
	buf_put_le64(b, DWARF_IMAGE_CODE_SIZE);
	buf_put_le32(b, 0); /* line table */
	return at;
}

static void unit_end(struct buf *b, size_t at)
{
	u32 length;

	assert_int_equal(buf_err(b), 0);
	length = (u32)(b->len - at - 4);
	memcpy(b->data + at, &length, sizeof(length));
}

static void put_function(struct buf *b, u32 code, u64 size)
{
	put_uleb(b, code);
	buf_put_le64(b, CODE_ADDR);
	buf_put_le64(b, size);
	buf_put(b, "outer", 6);
}

static void put_refers(struct buf *b, u32 code, u32 to)
{
	put_uleb(b, code);
	buf_put_le32(b, to);
	buf_put_le64(b, CODE_ADDR);
	buf_put_le64(b, 0x100);
}

struct parts {
	struct buf info, abbrev, line, ranges;
};

/* A sound file, which each of the others differs from in one thing. */
static void make_sound(struct parts *p)
{
	size_t at = unit_begin(&p->info);

	put_function(&p->info, FUNCTION, 0x100);
	buf_putc(&p->info, 0);
	buf_putc(&p->info, 0);
	unit_end(&p->info, at);
}

static void make_deep_inlines(struct parts *p)
{
	enum { N = 200000 };
	size_t at = unit_begin(&p->info), function = p->info.len - at;

	put_function(&p->info, FUNCTION, 0x100);
	for (u32 i = 0; i < N; i++)
		put_refers(&p->info, INLINED, (u32)function);
	for (u32 i = 0; i < N + 2; i++)
		buf_putc(&p->info, 0);
	unit_end(&p->info, at);
}

/* An entry that specifies itself, and two that specify each other. */
static void make_self_specification(struct parts *p)
{
	size_t at = unit_begin(&p->info);

	put_refers(&p->info, BY_SPECIFICATION, (u32)(p->info.len - at));
	buf_putc(&p->info, 0);
	unit_end(&p->info, at);
}

static void make_specification_ring(struct parts *p)
{
	size_t at = unit_begin(&p->info), first = p->info.len - at;

	put_refers(&p->info, BY_SPECIFICATION, (u32)first + 21);
	put_refers(&p->info, BY_SPECIFICATION, (u32)first);
	buf_putc(&p->info, 0);
	unit_end(&p->info, at);
}

static void make_specification_outside(struct parts *p)
{
	size_t at = unit_begin(&p->info);

	put_refers(&p->info, BY_SPECIFICATION, UINT32_MAX - 3);
	buf_putc(&p->info, 0);
	unit_end(&p->info, at);
}

static void make_many_units(struct parts *p)
{
	for (u32 i = 0; i < 200000; i++) {
		size_t at = unit_begin(&p->info);

		unit_end(&p->info, at);
	}
}

static void make_many_functions(struct parts *p)
{
	size_t at = unit_begin(&p->info);

	for (u32 i = 0; i < 500000; i++)
		put_function(&p->info, LEAF, i % DWARF_IMAGE_CODE_SIZE);
	buf_putc(&p->info, 0);
	unit_end(&p->info, at);
}

static void make_length_lies(struct parts *p)
{
	make_sound(p);
	memset(p->info.data, 0xff, 4); /* 64-bit DWARF whose length are the bytes behind it */
}

static void make_endless_leb(struct parts *p)
{
	make_sound(p);
	for (u32 i = 0; i < 100000; i++)
		buf_putc(&p->info, 0xff);
	unit_end(&p->info, 0);
}

static void make_many_abbrevs(struct parts *p)
{
	static const u16 none[][2] = {{0}};

	make_sound(p);
	p->abbrev.len--;
	for (u64 i = 100; i < 500000; i++)
		put_abbrev(&p->abbrev, i << 20, DW_TAG_subprogram, true, none);
	buf_putc(&p->abbrev, 0);
}

static void make_wide_abbrev(struct parts *p)
{
	make_sound(p);
	p->abbrev.len--;
	put_uleb(&p->abbrev, 99);
	put_uleb(&p->abbrev, DW_TAG_subprogram);
	buf_putc(&p->abbrev, 0);
	for (u32 i = 0; i < 2000000; i++) {
		put_uleb(&p->abbrev, DW_AT_low_pc);
		put_uleb(&p->abbrev, DW_FORM_indirect);
	}
}

/* A line table of one unit: `rows` rows of one byte each, all at one place. */
static void put_line_table(struct buf *b, u32 rows)
{
	size_t at = b->len;

	buf_put_le32(b, 0);
	buf_put(b, "\4\0", 2);
	buf_put_le32(b, 0);
	buf_put(b, "\1\1\1\xfb\x0e\x0d\0\1\1\1\1\0\0\0\1\0\0\1", 18);
	buf_putc(b, 0);		      /* no directories */
	buf_put(b, "a.c\0\0\0\0", 7); /* one file */
	buf_putc(b, 0);
	unit_end(b, at);
	{
		u32 header = (u32)(b->len - at - 10);

		memcpy(b->data + at + 6, &header, 4);
	}
	buf_put(b, "\0\x09\2", 3);
	buf_put_le64(b, CODE_ADDR);
	for (u32 i = 0; i < rows; i++)
		buf_putc(b, 18); /* next line, same address */
	buf_put(b, "\2\x80\2\0\1\1", 6);
	unit_end(b, at);
}

static void make_line_table(struct parts *p)
{
	make_sound(p);
	put_line_table(&p->line, 1);
}

static void make_line_bomb(struct parts *p)
{
	make_sound(p);
	put_line_table(&p->line, 12000000);
}

struct hostile {
	const char *name;
	void (*make)(struct parts *p);
	u32 outcomes;	      /* bits: what may come of it, by enum sym_outcome */
	const char *function; /* of the first byte of code, when it is read; NULL: any */
};

#define MAY(o) (1U << SYM_CHILD_##o)
/* What libdw makes of it is its own affair. */
#define MAY_FAIL (MAY(OK) | MAY(CRASHED) | MAY(TIME) | MAY(MEMORY) | MAY(REFUSED))

static const struct hostile made[] = {
	{"sound", make_sound, MAY(OK), "outer"},
	{"line table", make_line_table, MAY(OK), "outer"},
	{"deep inlines", make_deep_inlines, MAY_FAIL, "outer"},
	{"self specification", make_self_specification, MAY_FAIL, NULL},
	{"specification ring", make_specification_ring, MAY_FAIL, NULL},
	{"specification outside", make_specification_outside, MAY_FAIL, NULL},
	{"many units", make_many_units, MAY(MEMORY), NULL},
	{"many functions", make_many_functions, MAY_FAIL, "outer"},
	{"length lies", make_length_lies, MAY_FAIL, NULL},
	{"endless leb", make_endless_leb, MAY_FAIL, "outer"},
	{"many abbrevs", make_many_abbrevs, MAY_FAIL, NULL},
	{"wide abbrev", make_wide_abbrev, MAY_FAIL, NULL},
	{"line bomb", make_line_bomb, MAY(MEMORY), NULL},
};

static int make_file(const struct hostile *h)
{
	struct parts p = {0};
	struct dwarf_image d;

	put_abbrevs(&p.abbrev);
	h->make(&p);
	dwarf_image_begin(&d);
	(void)dwarf_image_section(&d, ".debug_info", &p.info);
	(void)dwarf_image_section(&d, ".debug_abbrev", &p.abbrev);
	(void)dwarf_image_section(&d, ".debug_line", &p.line);
	buf_release(&p.info);
	buf_release(&p.abbrev);
	buf_release(&p.line);
	buf_release(&p.ranges);
	return dwarf_image_end(&d);
}

static void made_to_harm(void **state)
{
	const struct sym_wire_lookup lookups[] = {{DWARF_IMAGE_CODE, 0}, {DWARF_IMAGE_CODE + 1, 1}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		struct sym_child *c = read_file(make_file(&made[i]), lookups, ARRAY_SIZE(lookups));
		enum sym_outcome o = sym_child_outcome(c);

		print_message("# %s: %s\n", made[i].name, o == SYM_CHILD_OK ? "read" : sym_child_why(c));
		if (!HAS_ASAN)
			assert_true(1U << o & made[i].outcomes);
		if (o == SYM_CHILD_OK && made[i].function) {
			u32 n;
			const struct sym_answer *f = sym_answers_frames(sym_child_answers(c), 0, &n);

			assert_true(n > 0);
			assert_string_equal(sym_answers_string(sym_child_answers(c), f->function), made[i].function);
		}
		(void)sym_child_close(c);
	}
}

/* A section that says it is 3 GiB when it is decompressed. */
static void compressed_bomb(void **state)
{
	static const u8 zeros[4 << 20];
	struct buf b = BUF_INIT, abbrev = BUF_INIT;
	Elf64_Chdr ch = {.ch_type = ELFCOMPRESS_ZLIB, .ch_size = 3ULL << 30, .ch_addralign = 1};
	struct dwarf_image d;
	struct sym_child *c;
	u32 idx;

	(void)state;
	buf_put(&b, &ch, sizeof(ch));
	buf_put(&b, zeros, sizeof(zeros)); /* libelf 0.188 refuses what claims to be more than 1032 times as large */
	put_abbrevs(&abbrev);
	dwarf_image_begin(&d);
	idx = dwarf_image_section(&d, ".debug_info", &b);
	d.sections[idx].sh_flags = SHF_COMPRESSED;
	(void)dwarf_image_section(&d, ".debug_abbrev", &abbrev);
	buf_release(&b);
	buf_release(&abbrev);
	c = read_file(dwarf_image_end(&d), NULL, 0);
	if (!HAS_ASAN) {
		assert_string_equal(sym_child_why(c), "the reader needed more than 192 MiB of memory");
		assert_int_equal(sym_child_outcome(c), SYM_CHILD_MEMORY);
	}
	(void)sym_child_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whole, setup, teardown),
		cmocka_unit_test_setup_teardown(truncated, setup, teardown),
		cmocka_unit_test_setup_teardown(section_headers, setup, teardown),
		cmocka_unit_test_setup_teardown(random_bytes, setup, teardown),
		cmocka_unit_test(made_to_harm),
		cmocka_unit_test(compressed_bomb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
