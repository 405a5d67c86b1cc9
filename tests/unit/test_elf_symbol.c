/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_elf_symbol.c: functions by name in files made here and in this very program; where functions begin; files that are broken in every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/buf.h"
#include "record/elf_symbol.h"
#include "tests/unit/elf_image.h"

#define BEGIN_1	 "_ZN6orders8checkout5begin17h0123456789abcdefE"
#define BEGIN_2	 "_ZN6orders5stock5begin17h0123456789abcde0E"
#define BEGIN_3	 "_ZN6orders5stock5begin17h0123456789abcde1E"
#define BEGIN_V0 "_RNvNtCs1234_6orders7payment5begin"

struct symbol {
	const char *name;
	u64 value;
	u8 info;
	u16 section;
};

enum { FUNC = STT_FUNC | STB_GLOBAL << 4, OBJECT = STT_OBJECT | STB_GLOBAL << 4, IFUNC = STT_GNU_IFUNC | STB_GLOBAL << 4 };

static const struct symbol symbols[] = {
	{"work_begin", 0x1400, FUNC, 1},
	{"alias_of_it", 0x1400, FUNC, 1},
	{"work_end", 0x1440, FUNC, 1},
	{BEGIN_1, 0x1450, FUNC, 1},
	{BEGIN_2, 0x1460, FUNC, 1},
	{BEGIN_3, 0x1468, FUNC, 1},
	{BEGIN_V0, 0x1470, FUNC, 1},
	{"memcpy@@GLIBC_2.14", 0x1480, FUNC, 1},
	{"a_variable", 0x1490, OBJECT, 1},
	{"a_resolver", 0x14a0, IFUNC, 1},
	{"elsewhere", 0x14b0, FUNC, SHN_UNDEF},
	{"nowhere", 0, FUNC, 1},
};

/* The image of elf_image.h, with .symtab and .strtab and their headers behind it. */
static struct buf make(void)
{
	const struct elf_image_shape shape = {.eh_frame = true, .hdr = true};
	struct buf b = elf_image_make(&shape), strings = BUF_INIT, table = BUF_INIT;
	static const char names[] = "\0.symtab\0.strtab";
	Elf64_Shdr sh[4] = {{0}};
	Elf64_Ehdr eh;

	buf_putc(&strings, 0);
	for (u32 i = 0; i < ARRAY_SIZE(symbols); i++) {
		Elf64_Sym s = {.st_name = (u32)strings.len,
			       .st_info = symbols[i].info,
			       .st_shndx = symbols[i].section,
			       .st_value = symbols[i].value,
			       .st_size = 4};

		buf_put(&strings, symbols[i].name, strlen(symbols[i].name) + 1);
		buf_put(&table, &s, sizeof(s));
	}
	sh[1] = (Elf64_Shdr){.sh_name = 1,
			     .sh_type = SHT_SYMTAB,
			     .sh_offset = b.len,
			     .sh_size = table.len,
			     .sh_link = 2,
			     .sh_entsize = sizeof(Elf64_Sym)};
	buf_put(&b, table.data, table.len);
	sh[2] = (Elf64_Shdr){.sh_name = 9, .sh_type = SHT_STRTAB, .sh_offset = b.len, .sh_size = strings.len};
	buf_put(&b, strings.data, strings.len);
	sh[3] = (Elf64_Shdr){.sh_name = 9, .sh_type = SHT_STRTAB, .sh_offset = b.len, .sh_size = sizeof(names)};
	buf_put(&b, names, sizeof(names));
	while (b.len % 8)
		buf_putc(&b, 0);
	memcpy(&eh, b.data, sizeof(eh));
	eh.e_shoff = b.len;
	eh.e_shnum = ARRAY_SIZE(sh);
	eh.e_shentsize = sizeof(*sh);
	eh.e_shstrndx = 3;
	memcpy(b.data, &eh, sizeof(eh));
	buf_put(&b, sh, sizeof(sh));
	assert_int_equal(buf_err(&b), 0);
	buf_release(&strings);
	buf_release(&table);
	return b;
}

struct opened {
	struct buf image;
	struct elf_view v;
	struct elf_functions f;
};

static void open_made(struct opened *o)
{
	*o = (struct opened){.image = make()};
	assert_int_equal(elf_view_open(&o->v, -1, o->image.data, o->image.len), 0);
	assert_int_equal(elf_functions_read(&o->v, &o->f), 0);
}

static void release(struct opened *o)
{
	elf_functions_release(&o->f);
	elf_view_release(&o->v);
	buf_release(&o->image);
}

static int find(const struct opened *o, const char *name, u64 *ret_first)
{
	struct elf_function found[2] = {{0}};
	int n = elf_functions_find(&o->f, name, found, 2);

	*ret_first = found[0].addr;
	return n;
}

static void by_name(void **state)
{
	static const struct {
		const char *name;
		int n;
		u64 addr;
	} cases[] = {
		{"work_begin", 1, 0x1400},
		{"alias_of_it", 1, 0x1400},
		{"work_end", 1, 0x1440},
		{BEGIN_1, 1, 0x1450},
		{BEGIN_2, 1, 0x1460},
		{"orders::checkout::begin", 1, 0x1450},
		{"orders::stock::begin", 2, 0x1460}, /* two instances of one generic function */
		{"orders::payment::begin", 1, 0x1470},
		{"memcpy", 1, 0x1480},
		{"memcpy@@GLIBC_2.14", 1, 0x1480},
		{"memcpy@GLIBC_2.2.5", 0, 0},
		{"begin", 0, 0},
		{"checkout::begin", 0, 0},
		{"work_begi", 0, 0},
		{"work_begin_", 0, 0},
		{"a_variable", 0, 0},
		{"a_resolver", 0, 0}, /* it runs once, in the loader */
		{"elsewhere", 0, 0},
		{"nowhere", 0, 0},
		{"::", 0, 0},
	};
	struct opened o;

	(void)state;
	open_made(&o);
	assert_int_equal(o.f.n, 8);
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 addr;

		if (find(&o, cases[i].name, &addr) != cases[i].n || addr != cases[i].addr)
			fail_msg("%s: 0x%llx", cases[i].name, (unsigned long long)addr);
	}
	release(&o);
}

static void near_is(const struct opened *o, const char *name, const char *first, u32 n)
{
	struct elf_near near[5];
	u32 got = 0;

	assert_int_equal(elf_functions_near(&o->f, name, near, &got, 5), 0);
	if (got != n || (n && strcmp(near[0].name, first) != 0))
		fail_msg("%s: %u, %s", name, got, got ? near[0].name : "");
	for (u32 i = 0; i < got; i++) {
		assert_true(!i || near[i].score <= near[i - 1].score);
		free(near[i].name);
	}
}

static void near_misses(void **state)
{
	struct opened o;

	(void)state;
	open_made(&o);
	near_is(&o, "checkout::begin", "orders::checkout::begin", 5); /* the tail of a path before equal last parts */
	near_is(&o, "begin", "orders::checkout::begin", 5);	      /* and work_begin, which has it in it */
	near_is(&o, "work_begun", "work_begin", 1);
	near_is(&o, "wrok_end", "work_end", 1);
	near_is(&o, "xyzzy", NULL, 0);
	release(&o);
}

static void where_functions_begin(void **state)
{
	struct opened o;
	u64 off;

	(void)state;
	open_made(&o);
	assert_true(elf_functions_begin_at(&o.f, 0x1440));
	assert_true(elf_functions_begin_at(&o.f, 0x1420)); /* by its call frame information alone, as in a stripped file */
	assert_false(elf_functions_begin_at(&o.f, 0x1421));
	assert_false(elf_functions_begin_at(&o.f, 0x1441));
	assert_false(elf_functions_begin_at(&o.f, 0x1490)); /* data */
	assert_int_equal(elf_file_offset(&o.v, 0x1440, &off), 0);
	assert_int_equal(off, 0x440);				       /* the address is not the offset */
	assert_int_equal(elf_file_offset(&o.v, 0x200, &off), -ENOENT); /* not executable */
	assert_int_equal(elf_file_offset(&o.v, 0x9000, &off), -ENOENT);
	release(&o);
}

/* For the linker: a function whose name is known. */
void test_elf_symbol_here(void);
__attribute__((noinline)) void test_elf_symbol_here(void)
{
	__asm__ volatile("nop");
}

static void this_program(void **state)
{
	struct elf_function found;
	struct elf_functions f = {0};
	struct elf_view v;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	u64 off;
	u8 file[8];

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(elf_view_open(&v, fd, NULL, 0), 0);
	assert_int_equal(elf_functions_read(&v, &f), 0);
	assert_int_equal(elf_functions_find(&f, "test_elf_symbol_here", &found, 1), 1);
	assert_true(elf_functions_begin_at(&f, found.addr));
	assert_int_equal(elf_file_offset(&v, found.addr, &off), 0);
	assert_int_equal(pread(fd, file, sizeof(file), (off_t)off), sizeof(file));
	assert_memory_equal(file, (const void *)(uintptr_t)test_elf_symbol_here, sizeof(file)); /* the very code */
	elf_functions_release(&f);
	elf_view_release(&v);
	assert_int_equal(close(fd), 0);
}

/* Any byte may be anything: no crash, no hang, no read outside. */
static void broken_files(void **state)
{
	struct buf b = make();

	(void)state;
	for (size_t at = 0; at < b.len; at++) {
		for (u32 k = 0; k < 3; k++) {
			_cleanup_free_ u8 *copy = malloc(b.len);
			struct elf_functions f = {0};
			struct elf_function found;
			struct elf_near near[2];
			struct elf_view v;
			u32 n = 0;

			assert_non_null(copy);
			memcpy(copy, b.data, b.len);
			copy[at] = (u8)(k == 0 ? 0 : k == 1 ? 0xff : copy[at] + 1);
			if (elf_view_open(&v, -1, copy, b.len) == 0 && elf_functions_read(&v, &f) == 0) {
				assert_true(elf_functions_find(&f, "orders::stock::begin", &found, 1) >= 0);
				assert_int_equal(elf_functions_near(&f, "begin", near, &n, 2), 0);
				(void)elf_functions_begin_at(&f, 0x1440);
			}
			for (u32 i = 0; i < n; i++)
				free(near[i].name);
			elf_functions_release(&f);
			elf_view_release(&v);
		}
	}
	for (size_t cut = 0; cut < b.len; cut += 7) {
		_cleanup_free_ u8 *copy = malloc(cut ? cut : 1);
		struct elf_functions f = {0};
		struct elf_view v;

		assert_non_null(copy);
		memcpy(copy, b.data, cut);
		if (elf_view_open(&v, -1, copy, cut) == 0)
			assert_int_equal(elf_functions_read(&v, &f), 0);
		elf_functions_release(&f);
		elf_view_release(&v);
	}
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_name),	cmocka_unit_test(near_misses),	cmocka_unit_test(where_functions_begin),
		cmocka_unit_test(this_program), cmocka_unit_test(broken_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
