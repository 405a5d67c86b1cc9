/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_sym.c: report/sym_*.c: this program names its own code. Its functions and lines are the truth: __LINE__, __FILE__, and
 * addresses the code takes of itself. Then damaged copies of it: fewer names are fine, a crash is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "format/fmt_file_id.h"
#include "report/sym_impl.h"

#define COPY_MAX ((size_t)256 << 20)

static const void *call_address;
static u32 leaf_line, inner_line, outer_line;

/* Where it was called from, as a stack has it: the address behind the call. */
static __attribute__((noinline)) u64 take_return_address(u64 x)
{
	call_address = __builtin_return_address(0);
	return x + 1;
}

static inline __attribute__((always_inline)) u64 leaf_fn(u64 x)
{
	leaf_line = __LINE__ + 1;
	return take_return_address(x * 3) + 1;
}

static inline __attribute__((always_inline)) u64 inner_fn(u64 x)
{
	inner_line = __LINE__ + 1;
	return leaf_fn(x + 7) * 2;
}

static __attribute__((noinline)) u64 outer_fn(u64 x)
{
	outer_line = __LINE__ + 1;
	return inner_fn(x ^ 5) + 3;
}

/* File and offset of an address, from /proc/self/maps. */
static bool find_mapping(const void *p, char *path, size_t n, u64 *ret_off)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[4096];
	bool found = false;

	assert_non_null(f);
	while (!found && fgets(line, sizeof(line), f)) {
		unsigned long lo, hi, off;
		int at = 0;

		if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %n", &lo, &hi, &off, &at) < 3 || !at)
			continue;
		if ((uintptr_t)p < lo || (uintptr_t)p >= hi)
			continue;
		line[strcspn(line, "\n")] = '\0';
		(void)snprintf(path, n, "%s", line + at);
		*ret_off = (uintptr_t)p - lo + off;
		found = true;
	}
	(void)fclose(f);
	return found;
}

static u64 own_offset(const void *p)
{
	char path[4096];
	u64 off = 0;

	assert_true(find_mapping(p, path, sizeof(path), &off));
	return off;
}

static struct sym_module *open_ok(const char *path)
{
	struct sym_module *m = NULL;
	const char *why = "";

	if (sym_module_open(path, &m, &why))
		fail_msg("%s: %s", path, why);
	return m;
}

static void test_open_errors(void **state)
{
	char path[] = "/tmp/test_sym.XXXXXX";
	_cleanup_close_ int fd = mkstemp(path);
	struct sym_module *m = NULL;
	const char *why = NULL;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(sym_module_open("/nonexistent/file", &m, &why), -ENOENT);
	assert_non_null(why);
	assert_int_equal(sym_module_open("/tmp", &m, NULL), -ENOEXEC);
	assert_int_equal(sym_module_open("/dev/null", &m, &why), -ENOEXEC);
	assert_int_equal(sym_module_open(path, &m, &why), -ENOEXEC); /* empty */
	assert_int_equal(fd_write_full(fd, "#!/bin/sh\n", 10), 0);
	assert_int_equal(sym_module_open(path, &m, &why), -ENOEXEC);
	assert_string_equal(why, "not an ELF file");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(sym_module_open(path, &m, &why), -ENOEXEC); /* and does not hang */
	assert_int_equal(unlink(path), 0);
	assert_null(m);
	assert_null(sym_module_close(NULL));
}

/* The chain of inlined calls around take_return_address(), with a line for each. */
static void test_inlined_chain(void **state)
{
	struct sym_module *m = open_ok("/proc/self/exe");
	struct sym_frame f[SYM_MAX_INLINE];
	u64 off;

	(void)state;
	assert_int_equal(outer_fn(1), (((1 ^ 5) + 7) * 3 + 2) * 2 + 3);
	off = own_offset(call_address);
	assert_int_equal(sym_module_source(m), SYM_DWARF);
	assert_true(sym_module_dwarf_percent(m) > 0);
	assert_int_equal(sym_module_lookup(m, off, true, f, SYM_MAX_INLINE), 3);
	assert_string_equal(f[0].function, "leaf_fn");
	assert_string_equal(f[1].function, "inner_fn");
	assert_string_equal(f[2].function, "outer_fn");
	assert_int_equal(f[0].line, leaf_line);
	assert_int_equal(f[1].line, inner_line);
	assert_int_equal(f[2].line, outer_line);
	assert_true(f[0].inlined && f[1].inlined && !f[2].inlined);
	for (int i = 0; i < 3; i++)
		assert_string_equal(f[i].file, __FILE__);

	/* fewer wanted: the innermost ones */
	assert_int_equal(sym_module_lookup(m, off, true, f, 2), 2);
	assert_string_equal(f[1].function, "inner_fn");
	assert_int_equal(sym_module_lookup(m, off, true, f, 0), 0);

	/* nowhere */
	assert_int_equal(sym_module_lookup(m, 0, true, f, 1), 0);
	assert_int_equal(sym_module_lookup(m, UINT64_MAX, false, f, 1), 0);
	assert_int_equal(sym_module_lookup(m, UINT64_MAX / 2, true, f, 1), 0);
	(void)sym_module_close(m);
}

/* The first instruction is the function's; the one before it, as a return address has it, is not. */
static void test_return_addresses(void **state)
{
	struct sym_module *m = open_ok("/proc/self/exe");
	u64 off = own_offset((const void *)(uintptr_t)outer_fn);
	struct sym_frame f[SYM_MAX_INLINE];
	int n;

	(void)state;
	n = sym_module_lookup(m, off, false, f, SYM_MAX_INLINE);
	assert_true(n >= 1);
	assert_string_equal(f[n - 1].function, "outer_fn");
	n = sym_module_lookup(m, off, true, f, SYM_MAX_INLINE);
	assert_true(n >= 0);
	if (n)
		assert_string_not_equal(f[n - 1].function, "outer_fn");
	(void)sym_module_close(m);
}

/* A library without debug info, most likely: names from its symbol table. */
static void test_library(void **state)
{
	struct sym_frame f[SYM_MAX_INLINE];
	struct sym_module *m;
	char path[4096];
	u64 off;
	int n;

	(void)state;
	if (!find_mapping((const void *)(uintptr_t)gnu_get_libc_version, path, sizeof(path), &off) || !strstr(path, "libc"))
		skip();
	m = open_ok(path);
	assert_int_not_equal(sym_module_source(m), SYM_NONE);
	n = sym_module_lookup(m, off, false, f, SYM_MAX_INLINE);
	assert_true(n >= 1);
	assert_non_null(strstr(f[n - 1].function, "gnu_get_libc_version"));
	(void)sym_module_close(m);
}

/* The note as the kernel mapped it. */
static int own_build_id(struct dl_phdr_info *info, size_t size, void *ctx)
{
	char *hex = ctx;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		const u8 *p = (const u8 *)(info->dlpi_addr + ph->p_vaddr), *end = p + ph->p_memsz;

		while (ph->p_type == PT_NOTE && p + 12 <= end) {
			u32 h[3];

			memcpy(h, p, sizeof(h));
			if (h[2] == NT_GNU_BUILD_ID && h[0] == 4) {
				for (u32 k = 0; k < h[1]; k++)
					(void)snprintf(hex + 2 * (size_t)k, 3, "%02x", p[16 + k]);
				return 1;
			}
			p += 12 + ((h[0] + 3) & ~3U) + ((h[1] + 3) & ~3U);
		}
	}
	return 1; /* the program comes first; libraries do not matter */
}

static void test_ids(void **state)
{
	char expected[2 * SYM_BUILD_ID_MAX + 1] = "", got[2 * SYM_BUILD_ID_MAX + 1] = "", file_id[FMT_FILE_ID_LEN];
	struct sym_module *m = open_ok("/proc/self/exe");

	(void)state;
	(void)dl_iterate_phdr(own_build_id, expected);
	assert_int_equal(sym_module_build_id(m, got), *expected ? 0 : -ENODATA);
	assert_string_equal(got, expected);
	assert_int_equal(sym_module_file_id(m, file_id), 0);
	assert_int_equal(strlen(file_id), 16);
	assert_int_equal(strspn(file_id, "0123456789abcdef"), 16);
	(void)sym_module_close(m);
}

/* ---- damaged copies ---- */

static void write_copy(const char *path, const u8 *data, size_t n)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, data, n), 0);
}

static void rename_section(struct buf *b, const char *name, const char *to)
{
	size_t n = strlen(name) + 1;
	u8 *at = memmem(b->data, b->len, name, n);

	assert_int_equal(strlen(to) + 1, n);
	assert_non_null(at);
	for (; at; at = memmem(at, b->len - (size_t)(at - b->data), name, n))
		memcpy(at, to, n);
}

static void test_without_debug_info(void **state)
{
	char path[] = "/tmp/test_sym.XXXXXX";
	_cleanup_close_ int fd = mkstemp(path);
	_cleanup_buf_ struct buf exe = {0};
	struct sym_frame f[SYM_MAX_INLINE];
	struct sym_module *m;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(file_read_all("/proc/self/exe", &exe, COPY_MAX), 0);
	rename_section(&exe, ".debug_info", ".xebug_info");
	write_copy(path, exe.data, exe.len);
	assert_true(outer_fn(1) != 0);
	m = open_ok(path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(sym_module_source(m), SYM_SYMTAB);
	assert_int_equal(sym_module_dwarf_percent(m), 0);
	assert_int_equal(sym_module_lookup(m, own_offset(call_address), true, f, SYM_MAX_INLINE), 1);
	assert_string_equal(f[0].function, "outer_fn");
	assert_null(f[0].file);
	assert_int_equal(f[0].line, 0);
	(void)sym_module_close(m);
}

/* Opens, asks around, closes. */
static void use_copy(const char *path, u64 off)
{
	struct sym_frame f[SYM_MAX_INLINE];
	char hex[2 * SYM_BUILD_ID_MAX + 1];
	struct sym_module *m;

	if (sym_module_open(path, &m, NULL))
		return;
	(void)!sym_module_build_id(m, hex);
	for (u64 i = 0; i < 40; i++) {
		int n = sym_module_lookup(m, off + i * 97, i % 2, f, SYM_MAX_INLINE);

		for (int k = 0; k < n; k++)
			assert_non_null(f[k].function);
	}
	(void)sym_module_close(m);
}

static u64 next_random(u64 *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void test_damaged_copies(void **state)
{
	char path[] = "/tmp/test_sym.XXXXXX";
	_cleanup_close_ int fd = mkstemp(path);
	_cleanup_buf_ struct buf exe = {0};
	u64 seed = 88172645463325252ULL, off;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(file_read_all("/proc/self/exe", &exe, COPY_MAX), 0);
	assert_true(outer_fn(1) != 0);
	off = own_offset(call_address);
	for (int round = 0; round < 40; round++) {
		u64 n_flips = 1 + next_random(&seed) % 200;

		/* they add up; headers at both ends are hit every fourth round */
		for (u64 i = 0; i < n_flips; i++) {
			u64 at = round % 4 ? 0x1000 + next_random(&seed) % (exe.len - 0x1000)
					   : exe.len - 1 - next_random(&seed) % 4096;

			exe.data[at] ^= (u8)(1U << next_random(&seed) % 8);
		}
		write_copy(path, exe.data, round % 8 == 7 ? exe.len - exe.len / 8 : exe.len);
		use_copy(path, off);
	}
	assert_int_equal(unlink(path), 0);
}

/* ---- parts ---- */

static void check_owner(const struct sym_ranges *r, u64 addr, u32 owner)
{
	const struct sym_range *in = sym_ranges_find(r, addr);

	assert_int_equal(in ? in->owner : SYM_NO_OWNER, owner);
}

static void test_ranges(void **state)
{
	struct sym_ranges r = {0};

	(void)state;
	assert_int_equal(sym_ranges_flatten(&r), 0);
	check_owner(&r, 5, SYM_NO_OWNER);
	assert_int_equal(sym_ranges_add(&r, 100, 200, 0), 0);
	assert_int_equal(sym_ranges_add(&r, 120, 160, 1), 0); /* inside */
	assert_int_equal(sym_ranges_add(&r, 130, 140, 2), 0); /* inside that */
	assert_int_equal(sym_ranges_add(&r, 190, 210, 3), 0); /* across the end */
	assert_int_equal(sym_ranges_add(&r, 300, 300, 4), 0); /* empty */
	assert_int_equal(sym_ranges_add(&r, 50, 20, 4), 0);   /* backwards */
	assert_int_equal(sym_ranges_add(&r, UINT64_MAX - 1, UINT64_MAX, 5), 0);
	assert_int_equal(sym_ranges_flatten(&r), 0);
	check_owner(&r, 99, SYM_NO_OWNER);
	check_owner(&r, 100, 0);
	check_owner(&r, 119, 0);
	check_owner(&r, 120, 1);
	check_owner(&r, 130, 2);
	check_owner(&r, 139, 2);
	check_owner(&r, 140, 1);
	check_owner(&r, 160, 0);
	check_owner(&r, 190, 3);
	check_owner(&r, 209, 3);
	check_owner(&r, 210, SYM_NO_OWNER);
	check_owner(&r, 300, SYM_NO_OWNER);
	check_owner(&r, UINT64_MAX - 1, 5);
	check_owner(&r, UINT64_MAX, SYM_NO_OWNER);
	sym_ranges_release(&r);
}

/* Enough that they are sorted by digits, in no order, far apart: each inner range lies in an outer one of lower number. */
static void test_many_ranges(void **state)
{
	const u32 n = 3000;
	struct sym_ranges r = {0};

	(void)state;
	for (u32 i = 0; i < n; i++) {
		u64 at = 0x5500000000ULL + (u64)(i * 7919 % n) * 100003;

		assert_int_equal(sym_ranges_add(&r, at, at + 1000, i), 0);
	}
	for (u32 i = 0; i < n; i++) {
		u64 at = 0x5500000000ULL + (u64)(i * 7919 % n) * 100003;

		assert_int_equal(sym_ranges_add(&r, at + 500, at + 600, n + i), 0);
	}
	assert_int_equal(sym_ranges_flatten(&r), 0);
	for (u32 i = 0; i < n; i++) {
		u64 at = 0x5500000000ULL + (u64)(i * 7919 % n) * 100003;

		check_owner(&r, at - 1, SYM_NO_OWNER);
		check_owner(&r, at, i);
		check_owner(&r, at + 499, i);
		check_owner(&r, at + 500, n + i);
		check_owner(&r, at + 599, n + i);
		check_owner(&r, at + 600, i);
		check_owner(&r, at + 999, i);
		check_owner(&r, at + 1000, SYM_NO_OWNER);
	}
	sym_ranges_release(&r);
}

static void test_cursor(void **state)
{
	const u8 bytes[] = {0x12, 0x34, 0xe5, 0x8e, 0x26, 0x80, 0x80};
	struct sym_cursor c = {.p = bytes, .end = bytes + sizeof(bytes)};

	(void)state;
	assert_int_equal(sym_cursor_uint(&c, 2), 0x3412);
	assert_int_equal(sym_cursor_uleb(&c), 624485);
	assert_false(c.is_broken);
	assert_int_equal(sym_cursor_uleb(&c), 0); /* never ends */
	assert_true(c.is_broken);
	c = (struct sym_cursor){.p = bytes, .end = bytes + 2, .is_big = true};
	assert_int_equal(sym_cursor_uint(&c, 2), 0x1234);
	assert_int_equal(sym_cursor_uint(&c, 1), 0);
	assert_true(c.is_broken);
	c = (struct sym_cursor){.p = bytes, .end = bytes + 2};
	sym_cursor_skip(&c, UINT64_MAX);
	assert_true(c.is_broken && c.p == c.end);
}

static void check_body(struct sym_module *m, const char *function, const char *file, const char *caller, const char *caller_file,
		       const char *expected)
{
	struct sym_frame f = {.function = function, .file = file};
	struct sym_frame up = {.function = "x", .typed_name = caller, .file = caller_file};

	assert_int_equal(sym_qualify_body(m, &f, &up), 0);
	assert_string_equal(f.function, expected);
}

static void test_inlined_bodies(void **state)
{
	const char *tokio = "/root/.cargo/registry/src/index/tokio-1.54.1/src/runtime/task/core.rs";
	struct sym_module m = {.strings = strtab_new()};

	(void)state;
	assert_non_null(m.strings);
	check_body(&m, "{async_fn#0}", "src/a.rs", "poll<a::b::{async_fn_env#0}, alloc::sync::Arc<H>>", tokio,
		   "a::b::{async_fn#0}");
	check_body(&m, "{async_block#1}", "src/a.rs", "poll<a::b::{async_block_env#1}>", tokio, "a::b::{async_block#1}");
	check_body(&m, "{async_block#0}", "src/a.rs", "poll<a::b::{async_block_env#1}>", tokio, "{async_block#0}");
	check_body(&m, "{closure#0}<u32>", "src/a.rs", "map<a::b::{closure_env#0}<u32>, u8>", tokio, "a::b::{closure#0}");
	check_body(&m, "{closure#0}<u32>", "src/a.rs", "map<a::b::{closure_env#0}<u8>>", tokio, "{closure#0}<u32>");
	check_body(&m, "{closure#0}", "src/a.rs", "map<a::b::{closure_env#0}<u8>>", tokio, "{closure#0}");
	/* the same twice is one, two are none */
	check_body(&m, "{async_fn#0}", "src/a.rs", "f<a::b::{async_fn_env#0}, S<a::b::{async_fn_env#0}>>", tokio,
		   "a::b::{async_fn#0}");
	check_body(&m, "{async_fn#0}", "src/a.rs", "f<a::b::{async_fn_env#0}, a::c::{async_fn_env#0}>", tokio, "{async_fn#0}");
	check_body(&m, "{async_fn#0}", "src/a.rs", "f<fn(a::X<u8>) -> a::b::{async_fn_env#0}>", tokio, "a::b::{async_fn#0}");
	check_body(&m, "{async_fn#0}", "src/a.rs", "f<a::S<u8>::b::{async_fn_env#0}>", tokio, "a::S<u8>::b::{async_fn#0}");
	/* async bodies call others than their arguments, unless the caller is a dependency and the body is not */
	check_body(&m, "{async_fn#0}", "src/a.rs", "{async_block#0}<a::b::{async_fn_env#0}>", tokio, "a::b::{async_fn#0}");
	check_body(&m, "{async_fn#0}", "src/a.rs", "{async_block#0}<a::b::{async_fn_env#0}>", "src/b.rs", "{async_fn#0}");
	check_body(&m, "{async_fn#0}", tokio, "{async_block#0}<a::b::{async_fn_env#0}>", tokio, "{async_fn#0}");
	/* nothing to do, nothing to go by */
	check_body(&m, "a::get", "src/a.rs", "poll<a::b::{async_fn_env#0}>", tokio, "a::get");
	check_body(&m, "{async_fn#0}", NULL, NULL, NULL, "{async_fn#0}");
	check_body(&m, "{async_fn#0}", NULL, "poll<{async_fn_env#0}>", NULL, "{async_fn#0}");
	check_body(&m, "{impl#0}", NULL, "poll<", NULL, "{impl#0}");
	check_body(&m, "{", NULL, "poll<a::{async_fn_env#0}", NULL, "{");
	assert_string_equal(sym_with_closure_name(&m, "a::b::{{closure}}", "{async_fn#0}<u8>"), "a::b::{async_fn#0}");
	assert_string_equal(sym_with_closure_name(&m, "a::b::{closure#0}", "{async_block#0}"), "a::b::{async_block#0}");
	assert_string_equal(sym_with_closure_name(&m, "a::b", "{async_fn#0}"), "a::b");
	assert_string_equal(sym_with_closure_name(&m, "a::b::{{closure}}", "b"), "a::b::{{closure}}");
	assert_string_equal(sym_with_closure_name(&m, "a::b::{{closure}}", NULL), "a::b::{{closure}}");
	m.strings = strtab_free(m.strings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_errors),
		cmocka_unit_test(test_inlined_chain),
		cmocka_unit_test(test_return_addresses),
		cmocka_unit_test(test_library),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_without_debug_info),
		cmocka_unit_test(test_damaged_copies),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_many_ranges),
		cmocka_unit_test(test_cursor),
		cmocka_unit_test(test_inlined_bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
