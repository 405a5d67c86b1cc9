/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_mappings.c: mappings, modules and their tables of this very process and its children, through the catalog. The files that are mapped here are copies of
 * this program, which is an ELF file with unwind information.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "record/catalog.h"
#include "record/mappings.h"
#include "tests/unit/raw_capture.h"

#define TS (5 * NSEC_PER_SEC)

/* A recording of this process, or another. */
struct rec {
	struct unwind_arrays a;
	struct fmt_writer *w;
	struct catalog *cat;
	struct cat_process *p;
	int fd;
};

/* Its rows. */
struct rows {
	struct fmt_reader *r;
	struct fmt_block block; /* the recordings here fit into one */
};

static void start(struct rec *s, u32 pid, bool with_tables)
{
	static const u8 uuid[16] = {6};
	struct catalog_opts o = {0};

	*s = (struct rec){.fd = memfd_create("test_mappings", MFD_CLOEXEC)};
	if (with_tables) {
		s->a = (struct unwind_arrays){.n_rows = 1 << 18, .n_idx = 1 << 16, .n_maps = 1 << 12};
		s->a.rows = calloc(s->a.n_rows, sizeof(u64));
		s->a.idx = calloc(s->a.n_idx, sizeof(u64));
		s->a.maps = calloc(s->a.n_maps, sizeof(struct uw_map));
		o.unwind = s->a;
	}
	assert_int_equal(fmt_writer_new(s->fd, uuid, 1, &s->w), 0);
	assert_int_equal(catalog_new(s->w, &o, &s->cat), 0);
	s->p = catalog_process(s->cat, pid);
	assert_non_null(s->p);
	assert_int_equal(s->p->map_gen, 0);
	assert_int_equal(catalog_scan_maps(s->cat, s->p, 0), 0);
	assert_int_not_equal(s->p->map_gen, 0);
	assert_int_equal(s->p->unpublished, 1);
	s->p->unpublished = false;
}

static void stop(struct rec *s, struct rows *ret)
{
	char path[64];

	assert_int_equal(catalog_err(s->cat), 0);
	s->cat = catalog_free(s->cat);
	assert_int_equal(fmt_writer_finish(s->w), 0);
	s->w = fmt_writer_free(s->w);
	free(s->a.rows);
	free(s->a.idx);
	free(s->a.maps);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", s->fd);
	assert_int_equal(fmt_reader_open(path, &ret->r, NULL), 0);
	assert_int_equal(close(s->fd), 0);
	assert_int_equal(fmt_reader_next(ret->r, &ret->block), 1);
}

static const struct fmt_section *section(const struct rows *rows, enum fmt_kind_id kind)
{
	for (u32 i = 0; i < rows->block.n_sections; i++)
		if (rows->block.sections[i].kind_id == kind)
			return &rows->block.sections[i];
	fail_msg("no rows of kind %d", kind);
	return NULL;
}

/* The n-th row of kind `mapping` that holds addr; false when there is none. */
static bool mapping_row(const struct rows *rows, const void *addr, u32 nth, struct fmt_mapping *ret)
{
	const struct fmt_section *s = section(rows, FMT_MAPPING);

	for (u32 i = 0; i < s->rows; i++) {
		fmt_section_row(s, i, ret);
		if (ret->start <= (u64)(uintptr_t)addr && ret->end > (u64)(uintptr_t)addr && !nth--)
			return true;
	}
	return false;
}

static struct fmt_module module_row(const struct rows *rows, u64 idx)
{
	const struct fmt_section *s = section(rows, FMT_MODULE);
	struct fmt_module m;

	for (u32 i = 0; i < s->rows; i++) {
		fmt_section_row(s, i, &m);
		if (m.idx == idx)
			return m;
	}
	fail_msg("no module %d", (int)idx);
	return m;
}

static void string_is(const struct rows *rows, u64 idx, const char *text)
{
	const struct fmt_section *s = section(rows, FMT_STRING);

	for (u32 i = 0; i < s->rows; i++) {
		if (s->cols[0][i] != idx)
			continue;
		assert_int_equal(s->payload_off[i + 1] - s->payload_off[i], strlen(text));
		assert_memory_equal(s->bytes + s->payload_off[i], text, strlen(text));
		return;
	}
	fail_msg("no string %d", (int)idx);
}

/* The published mapping that holds addr, or NULL. */
static const struct uw_map *published(const struct rec *s, const void *addr)
{
	for (u32 i = s->p->slice.first; i < s->p->slice.first + s->p->slice.n; i++)
		if (s->a.maps[i].start <= (u64)(uintptr_t)addr && s->a.maps[i].end > (u64)(uintptr_t)addr)
			return &s->a.maps[i];
	return NULL;
}

/* The rule that holds at addr, as bpf/unwind.h finds it. */
static u32 rule_at(const struct rec *s, const void *addr)
{
	const struct uw_map *map = published(s, addr);
	u32 pc, at;

	assert_non_null(map);
	assert_int_not_equal(map->row_end, 0);
	pc = (u32)((u64)(uintptr_t)addr - map->start) + map->pc_off;
	at = (u32)s->a.idx[map->idx_base + (pc >> map->block_log)];
	while (at + 1 < map->row_end && s->a.rows[at + 1] >> 32 <= pc)
		at++;
	return (u32)s->a.rows[at];
}

/* At a function's first instruction. */
static const u32 entry_rule = UW_SP | 1 << 12;

/* ---- files to map ---- */

struct file {
	char path[64];
	size_t size;
	u64 text_off, text_size; /* its executable segment, in whole pages */
};

static void write_file(const char *path, const struct buf *b, size_t n)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, b->data, n), 0);
	assert_int_equal(ftruncate(fd, (off_t)n), 0);
}

static void read_self(struct buf *ret)
{
	_cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fd_read_all(fd, ret, (size_t)256 << 20), 0);
}

/* A copy of this program in a new file. */
static void make_file(struct file *f, size_t extra)
{
	_cleanup_close_ int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct unwind_module m;

	assert_int_equal(unwind_module_read(exe, &m), 0);
	assert_int_equal(m.status, UNWIND_MODULE_OK);
	f->text_off = m.segments[0].file_off / 4096 * 4096;
	f->text_size = (m.segments[0].file_off + m.segments[0].file_size + 4095) / 4096 * 4096 - f->text_off;
	unwind_module_release(&m);
	(void)snprintf(f->path, sizeof(f->path), "/tmp/test_mappings.XXXXXX");
	assert_int_equal(close(mkstemp(f->path)), 0);
	read_self(&b);
	for (size_t i = 0; i < extra; i++)
		buf_putc(&b, 0);
	assert_int_equal(buf_err(&b), 0);
	f->size = b.len;
	write_file(f->path, &b, b.len);
}

static void *map_text(const struct file *f, void *at)
{
	_cleanup_close_ int fd = open(f->path, O_RDONLY | O_CLOEXEC);
	void *p = mmap(at, f->text_size, PROT_READ | PROT_EXEC, MAP_PRIVATE | (at ? MAP_FIXED : 0), fd, (off_t)f->text_off);

	assert_true(fd >= 0);
	assert_true(p != MAP_FAILED);
	return p;
}

static void *map_anon(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

/* Where the copy that is mapped at `text` has the function fn of this program. */
static const void *in_copy(const struct file *f, const void *text, const void *fn)
{
	struct unwind_module m;
	_cleanup_close_ int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	extern const char __ehdr_start; /* of the linker: the program's first byte */
	u32 pc;

	assert_int_equal(unwind_module_read(exe, &m), 0);
	assert_int_equal(unwind_module_pc(&m, f->text_off, &pc), 0);
	unwind_module_release(&m);
	return (const char *)text + ((u64)(uintptr_t)fn - (u64)(uintptr_t)&__ehdr_start) - pc;
}

/* ---- one process ---- */

static void this_process(void **state)
{
	const void *in_libc = (const void *)(uintptr_t)&getppid, *here = (const void *)(uintptr_t)&this_process;
	struct unwind_tables_counts counts;
	struct fmt_mapping m;
	struct fmt_module exe;
	struct rows rows;
	struct stat st;
	struct rec s;
	char path[256];
	u32 exe_module, vdso = 0;
	ssize_t n;

	(void)state;
	start(&s, (u32)getpid(), true);
	assert_int_equal(rule_at(&s, here), entry_rule);
	assert_int_equal(rule_at(&s, in_libc), entry_rule);
	assert_true(mappings_hold(s.p, (u64)(uintptr_t)here));
	assert_false(mappings_hold(s.p, (u64)(uintptr_t)&s));
	assert_false(mappings_hold(s.p, 0));
	assert_memory_equal(catalog_unwind(s.cat), &s.a, sizeof(s.a));
	counts = catalog_unwind_counts(s.cat);
	assert_true(counts.modules >= 3); /* program, libc, vdso */
	assert_int_equal(counts.no_room, 0);
	assert_int_equal(counts.maps, s.p->slice.n);
	assert_true(counts.builds >= 3 && counts.build_ns > 0);
	exe_module = s.p->exe_module;
	for (u32 i = 0; i < s.p->slice.n; i++) {
		const struct uw_map *map = &s.a.maps[s.p->slice.first + i];

		assert_true(map->start < map->end);
		assert_true(!i || map[-1].end <= map->start);
	}
	stop(&s, &rows);
	assert_true(mapping_row(&rows, here, 0, &m));
	assert_false(mapping_row(&rows, here, 1, &m));
	assert_true(mapping_row(&rows, here, 0, &m));
	assert_int_equal(m.ts, 0);
	assert_int_equal(m.module, exe_module);
	exe = module_row(&rows, m.module);
	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	assert_true(n > 0);
	path[n] = 0;
	string_is(&rows, exe.path, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(exe.inode, st.st_ino);
	assert_int_equal(exe.size, st.st_size);
	assert_true(exe.build_id || exe.file_id);
	for (u32 i = 1; i <= section(&rows, FMT_MODULE)->rows; i++) {
		exe = module_row(&rows, i);
		vdso += !exe.inode && exe.build_id;
	}
	assert_int_equal(vdso, 1);
	fmt_reader_close(rows.r);
}

/* A library comes and goes; news says exactly when. */
static void a_new_library(void **state)
{
	u32 gen, before, builds;
	struct fmt_mapping m;
	struct rows rows;
	struct file f;
	struct rec s;
	void *text;

	(void)state;
	make_file(&f, 0);
	start(&s, (u32)getpid(), true);
	gen = s.p->map_gen;
	before = s.p->slice.n;
	builds = (u32)catalog_unwind_counts(s.cat).builds;
	assert_false(catalog_scan_due(s.p, UINT64_MAX / 2));

	text = map_text(&f, NULL);
	catalog_mapped(s.cat, (u32)getpid() + 1, (u64)(uintptr_t)text, f.text_size, 1); /* of nobody we know */
	assert_false(catalog_scan_due(s.p, UINT64_MAX / 2));
	catalog_mapped(s.cat, (u32)getpid(), (u64)(uintptr_t)text, f.text_size, TS - 77);
	assert_true(catalog_scan_due(s.p, s.p->scan.ended + NSEC_PER_SEC));
	assert_false(catalog_scan_due(s.p, s.p->scan.ended)); /* not at once after the last */
	assert_int_equal(catalog_scan_maps(s.cat, s.p, TS), 0);
	assert_false(catalog_scan_due(s.p, UINT64_MAX / 2));
	assert_true(s.p->unpublished);
	assert_int_equal(s.p->map_gen, gen); /* no address means something else than before */
	assert_int_equal(s.p->slice.n, before + 1);
	assert_int_equal(catalog_unwind_counts(s.cat).builds, builds + 1);
	assert_int_equal(rule_at(&s, in_copy(&f, text, (const void *)(uintptr_t)&a_new_library)), entry_rule);

	/* a look that finds nothing changes nothing */
	s.p->unpublished = false;
	assert_int_equal(catalog_scan_maps(s.cat, s.p, TS), 0);
	assert_false(s.p->unpublished);

	assert_int_equal(munmap(text, f.text_size), 0);
	assert_int_equal(catalog_scan_maps(s.cat, s.p, TS), 0);
	assert_true(s.p->unpublished);
	assert_int_not_equal(s.p->map_gen, gen); /* what comes there next may be anything */
	assert_null(published(&s, text));
	assert_false(mappings_hold(s.p, (u64)(uintptr_t)text));

	stop(&s, &rows);
	assert_true(mapping_row(&rows, text, 0, &m));
	assert_int_equal(m.ts, TS - 77);
	assert_int_equal(m.file_off, f.text_off);
	string_is(&rows, module_row(&rows, m.module).path, f.path);
	assert_false(mapping_row(&rows, text, 1, &m));
	fmt_reader_close(rows.r);
	assert_int_equal(unlink(f.path), 0);
}

/* Other files at the same place: by another name, by the same name, and the same file written anew. */
static void a_replaced_library(void **state)
{
	static const u64 times[] = {0, TS + 1, TS + 2, TS + 7};
	_cleanup_buf_ struct buf b = BUF_INIT;
	u32 gens[4], modules[4];
	struct file f[2];
	struct fmt_mapping m;
	struct rows rows;
	struct rec s;
	void *text;

	(void)state;
	make_file(&f[0], 0);
	make_file(&f[1], 8);
	text = map_text(&f[0], NULL);
	start(&s, (u32)getpid(), true);
	modules[0] = published(&s, text)->module;
	gens[0] = s.p->map_gen;

	(void)map_text(&f[1], text);
	assert_int_equal(catalog_scan_maps(s.cat, s.p, TS + 1), 0); /* without news */
	modules[1] = published(&s, text)->module;
	gens[1] = s.p->map_gen;

	assert_int_equal(rename(f[0].path, f[1].path), 0);
	(void)map_text(&f[1], text);
	catalog_mapped(s.cat, (u32)getpid(), (u64)(uintptr_t)text, f[1].text_size, TS + 2);
	assert_int_equal(catalog_scan_maps(s.cat, s.p, TS + 5), 0);
	modules[2] = published(&s, text)->module;
	gens[2] = s.p->map_gen;
	assert_int_equal(modules[2], modules[0]); /* the very same file as at first */

	/* device, inode, path, size, addresses stay: only news makes us look again, and only the modification time tells */
	read_self(&b);
	b.data[b.len - 1] ^= 1;
	write_file(f[1].path, &b, b.len);
	assert_int_equal(utimensat(AT_FDCWD, f[1].path, (const struct timespec[2]){{.tv_sec = 1}, {.tv_sec = 1}}, 0), 0);
	(void)map_text(&f[1], text);
	assert_int_equal(catalog_scan_maps(s.cat, s.p, TS + 6), 0);
	assert_int_equal(published(&s, text)->module, modules[2]);
	catalog_mapped(s.cat, (u32)getpid(), (u64)(uintptr_t)text, 4096, TS + 7);
	assert_int_equal(catalog_scan_maps(s.cat, s.p, TS + 8), 0);
	modules[3] = published(&s, text)->module;
	gens[3] = s.p->map_gen;
	assert_int_not_equal(published(&s, text)->row_end, 0);

	/* mapped anew, but it is what it was */
	catalog_mapped(s.cat, (u32)getpid(), (u64)(uintptr_t)text, 4096, TS + 9);
	s.p->unpublished = false;
	assert_int_equal(catalog_scan_maps(s.cat, s.p, TS + 10), 0);
	assert_false(s.p->unpublished);
	assert_int_equal(s.p->map_gen, gens[3]);

	stop(&s, &rows);
	for (u32 i = 0; i < 4; i++) {
		assert_true(mapping_row(&rows, text, i, &m));
		assert_int_equal(m.module, modules[i]);
		assert_int_equal(m.ts, times[i]);
		assert_true(!i || gens[i] != gens[i - 1]);
	}
	assert_false(mapping_row(&rows, text, 4, &m));
	assert_int_not_equal(modules[1], modules[0]);
	assert_int_not_equal(modules[3], modules[0]);
	assert_int_not_equal(modules[3], modules[1]);
	fmt_reader_close(rows.r);
	assert_int_equal(munmap(text, f[0].text_size) | unlink(f[1].path), 0);
}

static void a_deleted_library(void **state)
{
	struct fmt_mapping m;
	struct fmt_module row;
	struct rows rows;
	struct file f;
	struct rec s;
	void *text;

	(void)state;
	make_file(&f, 0);
	text = map_text(&f, NULL);
	assert_int_equal(unlink(f.path), 0);
	start(&s, (u32)getpid(), true);
	if (geteuid()) { /* map_files needs a privilege; without, it is known but cannot be read */
		assert_int_equal(published(&s, text)->row_end, 0);
	} else {
		assert_int_equal(rule_at(&s, in_copy(&f, text, (const void *)(uintptr_t)&a_deleted_library)), entry_rule);
	}
	stop(&s, &rows);
	assert_true(mapping_row(&rows, text, 0, &m));
	row = module_row(&rows, m.module);
	string_is(&rows, row.path, f.path);
	assert_int_equal(row.size, geteuid() ? 0 : f.size);
	fmt_reader_close(rows.r);
	assert_int_equal(munmap(text, f.text_size), 0);
}

/* Another file of that name must not be read in its place. */
static void a_deleted_library_with_a_successor(void **state)
{
	struct fmt_mapping m;
	struct rows rows;
	struct file f, g;
	struct rec s;
	void *text;

	(void)state;
	make_file(&f, 0);
	make_file(&g, 8);
	text = map_text(&f, NULL);
	assert_int_equal(rename(g.path, f.path), 0);
	start(&s, (u32)getpid(), true);
	stop(&s, &rows);
	assert_true(mapping_row(&rows, text, 0, &m));
	assert_int_equal(module_row(&rows, m.module).size, geteuid() ? 0 : f.size);
	fmt_reader_close(rows.r);
	assert_int_equal(munmap(text, f.text_size) | unlink(f.path), 0);
}

/* Code made at run time has no module, and no row; but it is known. */
static void anonymous_code(void **state)
{
	struct fmt_mapping m;
	struct rows rows;
	struct rec s;
	u32 before, gen;
	char *code;

	(void)state;
	start(&s, (u32)getpid(), true);
	before = s.p->slice.n;
	gen = s.p->map_gen;
	code = map_anon(0x4000);
	assert_int_equal(mprotect(code + 0x2000, 0x2000, PROT_READ | PROT_WRITE | PROT_EXEC), 0); /* two mappings now */
	assert_int_equal(catalog_scan_maps(s.cat, s.p, TS), 0);
	assert_true(mappings_hold(s.p, (u64)(uintptr_t)code));
	assert_int_equal(s.p->slice.n, before + 1); /* as one */
	assert_memory_equal(published(&s, code + 0x3000),
			    (&(struct uw_map){.start = (u64)(uintptr_t)code, .end = (u64)(uintptr_t)code + 0x4000}),
			    sizeof(struct uw_map));
	assert_int_equal(munmap(code + 0x2000, 0x2000), 0);
	assert_int_equal(catalog_scan_maps(s.cat, s.p, TS), 0);
	assert_int_equal(s.p->map_gen, gen); /* JIT compilers do that all the time */
	assert_int_equal(munmap(code, 0x2000), 0);
	stop(&s, &rows);
	assert_false(mapping_row(&rows, code, 0, &m));
	fmt_reader_close(rows.r);
}

static void a_library_where_code_was(void **state)
{
	struct rows rows;
	struct rec s;
	struct file f;
	u32 gen;
	char *code;

	(void)state;
	make_file(&f, 0);
	code = map_anon(f.text_size);
	start(&s, (u32)getpid(), true);
	gen = s.p->map_gen;
	assert_int_equal(munmap(code, f.text_size), 0);
	assert_int_equal(catalog_scan_maps(s.cat, s.p, TS), 0);
	assert_int_equal(s.p->map_gen, gen);
	(void)map_text(&f, code);
	assert_int_equal(catalog_scan_maps(s.cat, s.p, TS), 0);
	assert_int_not_equal(s.p->map_gen, gen);
	assert_int_not_equal(published(&s, code)->module, 0);
	stop(&s, &rows);
	fmt_reader_close(rows.r);
	assert_int_equal(munmap(code, f.text_size) | unlink(f.path), 0);
}

/* ---- stacks that ask for it ---- */

static u32 put_stack(struct rec *s, u64 hash, const void *addr, enum fmt_stack_status status)
{
	const u64 frames[2] = {(u64)(uintptr_t)&put_stack, (u64)(uintptr_t)addr};

	return catalog_stack(s->cat, hash, s->p, &(struct cat_stack){.frames = frames, .n = 2, .status = status}, TS);
}

static void stacks_ask(void **state)
{
	u64 last;
	struct rows rows;
	struct rec s;
	char *code;

	(void)state;
	start(&s, (u32)getpid(), true);
	code = map_anon(0x1000);
	last = s.p->scan.ended;
	s.p->scan.ended = 0; /* long ago */
	assert_int_equal(put_stack(&s, 1, (const void *)(uintptr_t)&getppid, FMT_STACK_WHOLE), 1);
	assert_int_equal(s.p->scan.ended, 0); /* all known */
	assert_int_equal(put_stack(&s, 2, code, FMT_STACK_NO_TABLE), 2);
	assert_true(s.p->scan.ended > last);
	assert_non_null(published(&s, code));

	s.p->scan.ended = 0;
	assert_int_equal(put_stack(&s, 3, (const void *)(uintptr_t)&getppid, FMT_STACK_NO_MAPPING), 3);
	assert_true(s.p->scan.ended > last);

	/* too soon: then later */
	last = s.p->scan.ended = clock_ns(CLOCK_MONOTONIC) + NSEC_PER_SEC;
	assert_int_equal(put_stack(&s, 4, (const void *)0x10, FMT_STACK_BROKEN), 4);
	assert_int_equal(s.p->scan.ended, last);
	assert_false(catalog_scan_due(s.p, last + 9 * NSEC_PER_MSEC));
	assert_true(catalog_scan_due(s.p, last + NSEC_PER_SEC));

	/* nonsense addresses: less and less often */
	for (u32 i = 0; i < 10; i++)
		assert_int_equal(catalog_scan_maps(s.cat, s.p, TS), 0);
	mappings_miss(s.p);
	assert_false(catalog_scan_due(s.p, s.p->scan.ended + 999 * NSEC_PER_MSEC));
	assert_true(catalog_scan_due(s.p, s.p->scan.ended + 2 * NSEC_PER_SEC));
	catalog_mapped_unknown(s.cat); /* but news are news */
	s.p->scan.cost = 0;
	assert_true(catalog_scan_due(s.p, s.p->scan.ended + 10 * NSEC_PER_MSEC));

	catalog_process_exit(s.cat, (u32)getpid(), 0);
	assert_false(catalog_scan_due(s.p, UINT64_MAX / 2));
	assert_int_equal(put_stack(&s, 5, (const void *)0x10, FMT_STACK_BROKEN), 5);
	assert_int_equal(s.p->scan.wanted, 0);
	assert_int_equal(munmap(code, 0x1000), 0);
	stop(&s, &rows);
	assert_int_equal(section(&rows, FMT_STACK)->rows, 5);
	fmt_reader_close(rows.r);
}

/* A helper that is slow to answer, on a busy machine: waiting is no reason to look less often. */
static int open_slowly(void *ctx, const struct proc_request *r)
{
	const struct timespec pause = {.tv_nsec = 20 * NSEC_PER_MSEC};
	u32 *n = ctx;

	++*n;
	(void)nanosleep(&pause, NULL);
	return proc_open_here(r);
}

static void a_slow_helper(void **state)
{
	u32 opened = 0;
	struct procfs slow = {.open = open_slowly, .ctx = &opened};
	u64 before, waited;
	struct rows rows;
	struct rec s;

	(void)state;
	start(&s, (u32)getpid(), true);
	s.p->fs = &slow;
	before = clock_ns(CLOCK_MONOTONIC);
	catalog_mapped_unknown(s.cat); /* everything is looked at anew */
	assert_int_equal(catalog_scan_maps(s.cat, s.p, TS), 0);
	waited = opened * 20 * NSEC_PER_MSEC;
	assert_true(opened >= 3);
	assert_true(s.p->scan.ended - before >= waited);
	assert_true(s.p->scan.cost <= s.p->scan.ended - before - waited);
	s.p->fs = NULL;
	stop(&s, &rows);
	fmt_reader_close(rows.r);
}

/* ---- several processes ---- */

/* A child that waits to be killed, and maps `f` first, if there is one. */
static u32 spawn(const struct file *f)
{
	int ends[2];
	char c = 0;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (f)
			(void)map_text(f, NULL);
		(void)!write(ends[1], &c, 1);
		for (;;)
			(void)pause();
	}
	assert_int_equal(read(ends[0], &c, 1), 1);
	assert_int_equal(close(ends[0]) | close(ends[1]), 0);
	return (u32)pid;
}

static void end(u32 pid)
{
	assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
	assert_int_equal(waitpid((pid_t)pid, NULL, 0), pid);
}

static void one_table_for_all(void **state)
{
	struct unwind_tables_counts before, after;
	struct cat_process *child, *again;
	struct unwind_slice slice;
	struct rows rows;
	struct rec s;
	u32 pid, modules;

	(void)state;
	start(&s, (u32)getpid(), true);
	before = catalog_unwind_counts(s.cat);
	pid = spawn(NULL);
	child = catalog_process_start(s.cat, pid);
	assert_non_null(child);
	assert_int_equal(catalog_scan_maps(s.cat, child, TS), 0);
	after = catalog_unwind_counts(s.cat);
	assert_int_equal(after.builds, before.builds);
	assert_int_equal(after.rows, before.rows);
	assert_int_equal(child->slice.n, s.p->slice.n);
	assert_int_not_equal(child->slice.first, s.p->slice.first);
	assert_int_not_equal(child->map_gen, s.p->map_gen);
	assert_memory_equal(s.a.maps + child->slice.first, s.a.maps + s.p->slice.first, child->slice.n * sizeof(struct uw_map));
	slice = child->slice;
	again = catalog_process_exec(s.cat, pid);
	assert_non_null(again);
	assert_int_equal(child->slice.n, 0);
	assert_int_equal(again->map_gen, 0);
	assert_int_equal(catalog_scan_maps(s.cat, again, TS), 0);
	assert_true(again->slice.first >= slice.first + slice.n); /* for a time, somebody may walk there */
	end(pid);
	assert_int_equal(catalog_scan_maps(s.cat, again, TS), -ESRCH);
	catalog_process_exit(s.cat, pid, 0);
	assert_int_equal(again->slice.n, 0);
	assert_int_equal(catalog_unwind_counts(s.cat).maps, 3 * slice.n); /* they wait */
	modules = after.modules;
	assert_int_equal(catalog_unwind_counts(s.cat).modules, modules);
	stop(&s, &rows);
	assert_true(section(&rows, FMT_MODULE)->rows < 2 * modules);
	fmt_reader_close(rows.r);
}

/* Without arrays: rows are written all the same. */
static void no_tables(void **state)
{
	struct fmt_mapping m;
	struct rows rows;
	struct rec s;

	(void)state;
	start(&s, (u32)getpid(), false);
	assert_null(catalog_unwind(s.cat));
	assert_int_equal(catalog_unwind_counts(s.cat).builds, 0);
	assert_int_equal(s.p->slice.n, 0);
	stop(&s, &rows);
	assert_true(mapping_row(&rows, (const void *)(uintptr_t)&no_tables, 0, &m));
	fmt_reader_close(rows.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(this_process),
		cmocka_unit_test(a_new_library),
		cmocka_unit_test(a_replaced_library),
		cmocka_unit_test(a_deleted_library),
		cmocka_unit_test(a_deleted_library_with_a_successor),
		cmocka_unit_test(anonymous_code),
		cmocka_unit_test(a_library_where_code_was),
		cmocka_unit_test(stacks_ask),
		cmocka_unit_test(a_slow_helper),
		cmocka_unit_test(one_table_for_all),
		cmocka_unit_test(no_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
