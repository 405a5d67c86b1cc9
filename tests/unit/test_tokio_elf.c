/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_tokio_elf.c: the place of a TLS symbol by the linkers' formula; ELF files made here with the symbols and panic locations
 * of Tokio, and files that are broken in every byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fdio.h"
#include "record/tokio_elf.h"
#include "tests/unit/raw_capture.h"

/* addr = fsbase + st_value - memsz - ((-p_vaddr - memsz) & (p_align - 1)); worked by hand */
static void bytes_back_from_the_thread_pointer(void **state)
{
	static const struct {
		u64 memsz, align, vaddr, symbol, back, size;
	} cases[] = {
		{0x120, 0x20, 0x10000, 0, 0x120, 0x120}, /* 30-tokio.md: lea -0x120(%rax) */
		{0x120, 0x20, 0x10000, 0x50, 0xd0, 0x120},
		{0x118, 0x20, 0x10000, 0, 0x120, 0x120}, /* padding behind the block */
		{0x118, 0x20, 0x10000, 0x118, 8, 0x120},
		{0x40, 0x40, 0x1010, 0, 0x70, 0x70}, /* p_vaddr not aligned: padding before it as well */
		{0x40, 0x40, 0x1030, 0, 0x50, 0x50},
		{0x41, 1, 0x1001, 0, 0x41, 0x48},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct tokio_elf e = {
			.tls_memsz = cases[i].memsz, .tls_align = cases[i].align, .tls_vaddr = cases[i].vaddr};

		assert_int_equal(tokio_elf_tls_back(&e, cases[i].symbol), cases[i].back);
		assert_int_equal(tokio_elf_tls_size(&e), cases[i].size);
		/* the block's first byte is as aligned as p_vaddr is */
		assert_int_equal((0x7f0000000000ULL - tokio_elf_tls_back(&e, 0) - e.tls_vaddr) % e.tls_align, 0);
	}
}

/* ---- made files ---- */

struct tls_symbol {
	const char *name;
	u64 value, size;
	u8 type;
};

/* An ELF file: header, PT_TLS, null section, .symtab, .strtab, and behind them `tail`. */
static void make_elf(const struct tls_symbol *syms, u32 n, const char *tail, struct buf *ret)
{
	_cleanup_buf_ struct buf names = BUF_INIT, table = BUF_INIT;
	u64 at = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);
	Elf64_Ehdr e = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			.e_type = ET_DYN,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_phoff = sizeof(e),
			.e_ehsize = sizeof(e),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 1,
			.e_shentsize = sizeof(Elf64_Shdr),
			.e_shnum = 3};
	Elf64_Phdr tls = {.p_type = PT_TLS, .p_vaddr = 0x5000, .p_memsz = 0x200, .p_align = 32};
	Elf64_Shdr sh[3] = {{0}};
	Elf64_Sym none = {0};

	buf_putc(&names, 0);
	buf_put(&table, &none, sizeof(none));
	for (u32 i = 0; i < n; i++) {
		Elf64_Sym s = {.st_name = (u32)names.len,
			       .st_info = syms[i].type,
			       .st_shndx = 1,
			       .st_value = syms[i].value,
			       .st_size = syms[i].size};

		buf_put(&table, &s, sizeof(s));
		buf_put(&names, syms[i].name, strlen(syms[i].name) + 1);
	}
	sh[1] = (Elf64_Shdr){
		.sh_type = SHT_SYMTAB, .sh_offset = at, .sh_size = table.len, .sh_link = 2, .sh_entsize = sizeof(Elf64_Sym)};
	sh[2] = (Elf64_Shdr){.sh_type = SHT_STRTAB, .sh_offset = at + table.len, .sh_size = names.len};
	while (names.len % 8)
		buf_putc(&names, 0);
	e.e_shoff = at + table.len + names.len;
	buf_reset(ret);
	buf_put(ret, &e, sizeof(e));
	buf_put(ret, &tls, sizeof(tls));
	buf_put(ret, table.data, table.len);
	buf_put(ret, names.data, names.len);
	buf_put(ret, sh, sizeof(sh));
	buf_puts(ret, tail);
	assert_int_equal(buf_err(ret), 0);
}

static int read_bytes(const void *p, size_t n, struct tokio_elf *ret)
{
	_cleanup_close_ int fd = memfd_create("test_tokio_elf", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, p, n), 0);
	return tokio_elf_read(fd, ret);
}

static const struct tls_symbol many[] = {
	{"_ZN5tokio7runtime7context7CONTEXT29_$u7b$$u7b$constant$u7d$$u7d$28_$u7b$$u7b$closure$u7d$$u7d$3VAL17h0123456789abcdefE",
	 0x40, 80, STT_TLS},
	{"_ZN5tokio7runtime7context7CONTEXT7__getit5STATE17h0123456789abcdefE", 0x90, 1, STT_TLS},
	{"_ZN5tokio7runtime7context7CONTEXT5STATE17h0123456789abcdefE", 0x98, 64, STT_TLS},
	{"_RNvNCNKNvNtNtCs1_5tokio7runtime7context7CONTEXT0023___RUST_STD_INTERNAL_VAL", 0x100, 88, STT_TLS},
	{"_ZN5tokio7runtime7context7CONTEXT7__getit17h0123456789abcdefE", 0x1234, 80, STT_FUNC},
	{"_ZN5tokio7runtime7context7CONTEXT3VAL17h0123456789abcdefE", 0x1c0, 23, STT_TLS},
	{"_ZN5other7runtime7context7CONTEXT3VAL17h0123456789abcdefE", 0x180, 80, STT_TLS},
};

static void symbols_of_the_context(void **state)
{
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct tokio_elf e;

	(void)state;
	make_elf(many, ARRAY_SIZE(many), "", &file);
	assert_int_equal(read_bytes(file.data, file.len, &e), 0);
	assert_int_equal(e.tls_memsz, 0x200);
	assert_int_equal(e.tls_align, 32);
	assert_int_equal(e.tls_vaddr, 0x5000);
	assert_true(e.has_symtab);
	assert_int_equal(e.n_symbols, 2);
	assert_int_equal(e.symbols[0].value, 0x40);
	assert_int_equal(e.symbols[0].size, 80);
	assert_int_equal(e.symbols[1].value, 0x100);
	assert_string_equal(e.version, "");
}

/* Before 1.29 the schedulers have thread-locals of their own, before 1.22 budget and runtime as well; CONTEXT was a handle only then. */
static void symbols_of_older_versions(void **state)
{
	static const struct tls_symbol old[] = {
		{"_ZN5tokio7runtime7context7CONTEXT7__getit3VAL17h0123456789abcdefE", 0x10, 32, STT_TLS},
		{"_ZN5tokio4coop7CURRENT7__getit3VAL17h0123456789abcdefE", 0x40, 2, STT_TLS},
		{"_ZN5tokio4coop7CURRENT7__getit5STATE17h0123456789abcdefE", 0x48, 2, STT_TLS},
		{"_ZN5tokio7runtime5enter7ENTERED7__getit3VAL17h0123456789abcdefE", 0x50, 1, STT_TLS},
		{"_ZN5tokio7runtime11thread_pool6worker7CURRENT3FOO7__getit3VAL17h0123456789abcdefE", 0x58, 8, STT_TLS},
		{"_ZN5tokio7runtime15basic_scheduler7CURRENT3FOO7__getit3VAL17h0123456789abcdefE", 0x60, 8, STT_TLS},
		{"_ZN5tokio7runtime9scheduler12multi_thread6worker7CURRENT3FOO29_$u7b$$u7b$constant", 0x68, 8, STT_TLS},
		{"_RNvNvNvNtNtNtCs1_5tokio7runtime9scheduler14current_thread7CURRENT3FOO0023___RUST_STD_INTERNAL_VAL", 0x70, 8,
		 STT_TLS},
	};
	static const struct {
		enum layout_place place;
		u64 value;
	} want[] = {{LAYOUT_BUDGET, 0x40}, {LAYOUT_RUNTIME, 0x50}, {LAYOUT_MT, 0x58},
		    {LAYOUT_CT, 0x60},	   {LAYOUT_MT, 0x68},	   {LAYOUT_CT, 0x70}};
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct tokio_elf e;

	(void)state;
	make_elf(old, ARRAY_SIZE(old), "", &file);
	assert_int_equal(read_bytes(file.data, file.len, &e), 0);
	assert_int_equal(e.n_symbols, ARRAY_SIZE(want));
	for (u32 i = 0; i < ARRAY_SIZE(want); i++) {
		assert_int_equal(e.symbols[i].place, want[i].place);
		assert_int_equal(e.symbols[i].value, want[i].value);
	}
	assert_false(tokio_elf_has_symbol(&e, LAYOUT_CONTEXT));
	assert_int_equal(tokio_elf_symbol(&e, LAYOUT_BUDGET)->value, 0x40);
	assert_null(tokio_elf_symbol(&e, LAYOUT_MT)); /* two: which copy's? */
}

static void more_symbols_than_fit(void **state)
{
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct tls_symbol syms[TOKIO_MAX_SYMBOLS + 5];
	struct tokio_elf e;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(syms); i++)
		syms[i] = many[0];
	make_elf(syms, ARRAY_SIZE(syms), "", &file);
	assert_int_equal(read_bytes(file.data, file.len, &e), 0);
	assert_int_equal(e.n_symbols, TOKIO_MAX_SYMBOLS);
}

static void versions(void **state)
{
#define AT "/root/.cargo/registry/src/index.crates.io-6f17d22bba15001f"
	static const struct {
		const char *text, *version;
	} cases[] = {
		{"", ""},
		{AT "/tokio-1.54.1/src/runtime/park.rs", "1.54.1"},
		{AT "/tokio-1.54.1/src/a.rs" AT "/tokio-1.54.1/src/b.rs", "1.54.1"},
		{AT "/tokio-1.54.1/src/a.rs" AT "/tokio-1.38.0/src/b.rs", ""}, /* two copies */
		{AT "/tokio-1.54.1/src/a.rs" AT "/tokio-1.38.0/src/b.rs" AT "/tokio-1.38.0/src/b.rs", ""},
		{AT "/tokio-1.38.0/src/a.rs" AT "/tokio-1.54.1/src/b.rs" AT "/tokio-1.54.1/src/b.rs", ""},
		{AT "/tokio-util-0.7.1/src/a.rs", ""},
		{AT "/tokio-1.5/lib/a.rs", ""},
		{"tokio-1.54.1/src/a.rs", ""},
		{AT "/tokio-1.111111111111111111111111111111/src/", ""},
		{AT "/tokio-1.54.1/sr", ""},
		{AT "/tokio-1.", ""},
	};
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct tokio_elf e;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		make_elf(many, 1, cases[i].text, &file);
		assert_int_equal(read_bytes(file.data, file.len, &e), 0);
		assert_string_equal(e.version, cases[i].version);
	}
}

static void no_elf_of_this_machine(void **state)
{
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct tokio_elf e = {.tls_memsz = 77};
	int ends[2];

	(void)state;
	assert_int_equal(read_bytes("", 0, &e), -ENOEXEC);
	assert_int_equal(read_bytes("#!/bin/sh\n", 10, &e), -ENOEXEC);
	assert_int_equal(read_bytes("!<arch>\n", 8, &e), -ENOEXEC);
	make_elf(many, 1, "", &file);
	file.data[EI_CLASS] = ELFCLASS32;
	assert_int_equal(read_bytes(file.data, file.len, &e), -ENOEXEC);
	file.data[EI_CLASS] = ELFCLASS64;
	file.data[18] = EM_AARCH64;
	assert_int_equal(read_bytes(file.data, file.len, &e), -ENOEXEC);
	assert_int_equal(tokio_elf_read(-1, &e), -EBADF);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_true(tokio_elf_read(ends[0], &e) < 0);
	assert_int_equal(close(ends[0]) | close(ends[1]), 0);
	assert_int_equal(e.tls_memsz, 77); /* nothing is written on failure */
}

/* Cut anywhere, or any byte changed: an error or some answer, but no read outside. */
static void broken_files(void **state)
{
	static const u8 values[] = {0, 1, 0x7f, 0x80, 0xff};
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct tokio_elf e;
	u64 rnd = 5;

	(void)state;
	make_elf(many, ARRAY_SIZE(many), "/tokio-1.54.1/src/a.rs", &file);
	for (size_t n = 0; n < file.len; n += 3)
		(void)!read_bytes(file.data, n, &e);
	for (size_t at = 4; at < file.len; at++) {
		for (u32 i = 0; i < ARRAY_SIZE(values); i++) {
			u8 was = file.data[at];

			file.data[at] = values[i];
			if (read_bytes(file.data, file.len, &e) == 0)
				assert_true(e.n_symbols <= TOKIO_MAX_SYMBOLS && strlen(e.version) < sizeof(e.version));
			file.data[at] = was;
		}
	}
	for (u32 i = 0; i < 2000; i++) {
		for (size_t at = 4; at < file.len; at++)
			if (raw_random(&rnd) % 20 == 0)
				file.data[at] = (u8)raw_random(&rnd);
		(void)!read_bytes(file.data, file.len, &e);
	}
}

/* This test's own binary: thread-local storage of the C library's kind or none, no Tokio. */
static void a_real_file(void **state)
{
	_cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct tokio_elf e;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(tokio_elf_read(fd, &e), 0);
	assert_true(e.has_symtab);
	assert_int_equal(e.n_symbols, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_back_from_the_thread_pointer),
		cmocka_unit_test(symbols_of_the_context),
		cmocka_unit_test(symbols_of_older_versions),
		cmocka_unit_test(more_symbols_than_fit),
		cmocka_unit_test(versions),
		cmocka_unit_test(no_elf_of_this_machine),
		cmocka_unit_test(broken_files),
		cmocka_unit_test(a_real_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
