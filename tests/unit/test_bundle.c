/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_bundle.c: `ascope bundle` on captures whose module is this program (its build-id, real offsets of its functions), recorded at a path where nothing
 * is: the names can only come from --target, or from the capture itself. And the rows of kinds symbol, frame and module_names as a reader takes them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "capture_builder.h"
#include "format/fmt_reader.h"
#include "report/bundle.h"
#include "report/check.h"
#include "report/db.h"
#include "report/load_dict.h"
#include "report/load_symbol.h"
#include "report/sym.h"
#include "tests/unit/own_code.h"

#define AT(ms)	  (CB_START + (u64)(ms)*1000000)
#define BASE	  0x40000000ULL /* module 2 is mapped so that address = file offset + BASE */
#define NOT_THERE "/nonexistent/orders"

/* Functions whose names the frames must get; not inlined, and told apart. */
__attribute__((noinline)) static int bundle_inner(int x)
{
	return x * 3 + 1;
}

__attribute__((noinline)) static int bundle_outer(int x)
{
	return bundle_inner(x) + 5;
}

__attribute__((noinline)) static int bundle_leaf(int x)
{
	return x ^ 7;
}

struct fixture {
	struct capture_builder cb;
	char self[256];
	char build_id[2 * SYM_BUILD_ID_MAX + 1];
	char out[80];
	u64 told;
	char why[512];
};

/* A wait of 50 ms in a poll whose stack is leaf < outer, and a sample in inner called by outer. */
static void add_events(struct fixture *fx)
{
	struct capture_builder *cb = &fx->cb;
	u64 wait[] = {BASE + own_file_off(bundle_leaf) + 1, BASE + own_file_off(bundle_outer) + 1}, callers[] = {wait[1]};
	struct fmt_switch_out out = {.ts = AT(0),
				     .thread = 1,
				     .state = 1,
				     .ctx_status = FMT_CTX_READ,
				     .context = CB_CONTEXT_MT,
				     .budget = CB_BUDGET,
				     .runtime = 1,
				     .core = 9,
				     .park = 1,
				     .task = 5,
				     .tick = 5,
				     .syscall = 36,
				     .ustack = cb_stack(cb, FMT_STACK_USER, wait, 2)};

	cb_row(cb, FMT_MODULE,
	       &(struct fmt_module){.idx = 2, .path = cb_string(cb, NOT_THERE), .build_id = cb_string(cb, fx->build_id)});
	cb_row(cb, FMT_MAPPING, &(struct fmt_mapping){.process = 1, .module = 2, .start = BASE, .end = BASE + 0x10000000});
	cb_row(cb, FMT_SWITCH_OUT, &out);
	cb_row(cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = AT(50), .thread = 1});
	cb_row(cb, FMT_SAMPLE,
	       &(struct fmt_sample){.ts = AT(51),
				    .thread = 1,
				    .mode = 1,
				    .pc = BASE + own_file_off(bundle_inner),
				    .ustack = cb_stack(cb, FMT_STACK_USER, callers, 1)});
	cb_flush(cb);
}

static int setup(void **state)
{
	struct fixture *fx = calloc(1, sizeof(*fx));
	struct sym_module *m;
	ssize_t n;

	assert_non_null(fx);
	assert_int_equal(bundle_outer(1) + bundle_leaf(1), 15);
	n = readlink("/proc/self/exe", fx->self, sizeof(fx->self) - 1);
	assert_true(n > 0);
	assert_int_equal(sym_module_open(fx->self, &m, NULL), 0);
	assert_int_equal(sym_module_build_id(m, fx->build_id), 0);
	sym_module_close(m);
	cb_init(&fx->cb);
	(void)snprintf(fx->out, sizeof(fx->out), "%s.out", fx->cb.path);
	add_events(fx);
	*state = fx;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fx = *state;

	(void)unlink(fx->out);
	cb_release(&fx->cb);
	free(fx);
	return 0;
}

static void note(void *ctx, const char *path, const char *why)
{
	struct fixture *fx = ctx;

	fx->told++;
	(void)snprintf(fx->why, sizeof(fx->why), "%s: %s", path, why);
}

static int run(struct fixture *fx, const char *target, const char *out, struct bundle_result *ret)
{
	struct capture_opts names = {.capture = fx->cb.path, .targets = {target}, .n_targets = target != NULL};
	struct bundle_opts o = {.names = &names, .out = out};

	fx->told = 0;
	return bundle_run(&o, note, fx, ret);
}

static struct buf contents(const char *path)
{
	struct buf b = BUF_INIT;

	assert_int_equal(file_read_all(path, &b, 1 << 24), 0);
	return b;
}

static void assert_sound(const char *path)
{
	struct check *c = calloc(1, sizeof(*c));
	struct fmt_reader *r;

	assert_non_null(c);
	assert_int_equal(fmt_reader_open(path, &r, NULL), 0);
	assert_int_equal(check_run(c, r, NULL, NULL, NULL), 0);
	for (u32 i = 0; i < c->n_faults; i++)
		print_error("%s\n", c->faults[i].what);
	assert_true(check_is_sound(c));
	check_release(c);
	free(c);
	fmt_reader_close(r);
}

/* What a report of the file at `path` would call the frames of module 2, innermost function only; file and line left out. */
static const char names_sql[] = "SELECT s.function, s.depth, s.kind FROM symbol AS s JOIN frame AS f ON f.id = s.frame_id "
				"WHERE f.module_id = 2 ORDER BY s.function, f.file_off, f.is_return, s.depth";
static const char all_sql[] =
	"SELECT f.file_off, f.is_return, s.* FROM symbol AS s JOIN frame AS f ON f.id = s.frame_id WHERE f.module_id = 2 "
	"ORDER BY 1, 2, s.depth";

static void names_of(const char *path, const char *target, const char *sql, char *buf, size_t n)
{
	struct capture_opts o = {
		.capture = path, .no_cache = true, .rows = CAPTURE_ROWS_ALL, .targets = {target}, .n_targets = target != NULL};
	struct capture_db *db;

	assert_int_equal(capture_db_open(&o, &db), 0);
	(void)snprintf(buf, n, "%s", cb_text(capture_db_handle(db), sql));
	capture_db_close(db);
}

/* ---- tests ---- */

static void names_are_carried(void **state)
{
	struct fixture *fx = *state;
	struct bundle_result r;
	char with[4096], carried[4096];
	struct stat before, after;

	cb_finish(&fx->cb);
	assert_int_equal(chmod(fx->cb.path, 0640), 0);
	assert_int_equal(stat(fx->cb.path, &before), 0);
	names_of(fx->cb.path, NULL, names_sql, carried, sizeof(carried));
	assert_string_equal(carried, "");
	names_of(fx->cb.path, fx->self, all_sql, with, sizeof(with));
	assert_non_null(strstr(with, "bundle_leaf"));

	assert_int_equal(run(fx, fx->self, NULL, &r), 0);
	assert_true(r.is_written);
	/* leaf and outer of the wait (leaf behind its call), inner, and outer as inner's caller is the same place */
	assert_int_equal(r.frames, 3);
	assert_int_equal(r.named, 3);
	assert_int_equal(r.added, 3);
	assert_int_equal(r.modules, 1);
	assert_int_equal(r.modules_named, 1);
	assert_int_equal(fx->told, 0);
	assert_sound(fx->cb.path);
	assert_int_equal(stat(fx->cb.path, &after), 0);
	assert_int_equal(after.st_mode & 0777, 0640);
	assert_int_equal((u64)after.st_size, r.bytes);
	assert_int_equal((u64)before.st_size, r.bytes_before);

	names_of(fx->cb.path, NULL, all_sql, carried, sizeof(carried));
	assert_string_equal(carried, with);
	names_of(fx->cb.path, NULL, names_sql, carried, sizeof(carried));
	assert_string_equal(carried, "bundle_inner|0|native\nbundle_leaf|0|native\nbundle_outer|0|native");
	names_of(fx->cb.path, NULL, "SELECT symbols_from, symbols, note FROM module WHERE id = 2", carried, sizeof(carried));
	assert_string_equal(carried, "capture|dwarf|-");
}

static void again_is_nothing(void **state)
{
	struct fixture *fx = *state;
	struct bundle_result r;
	struct buf a, b;

	cb_finish(&fx->cb);
	assert_int_equal(run(fx, fx->self, NULL, &r), 0);
	a = contents(fx->cb.path);
	assert_int_equal(run(fx, fx->self, NULL, &r), 0);
	assert_false(r.is_written);
	assert_int_equal(r.named, 3);
	assert_int_equal(r.added, 0);
	assert_int_equal(run(fx, NULL, NULL, &r), 0);
	assert_false(r.is_written);
	assert_int_equal(fx->told, 0); /* its names are there */
	b = contents(fx->cb.path);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	buf_release(&a);
	buf_release(&b);
}

static void missing_files_are_told(void **state)
{
	struct fixture *fx = *state;
	struct bundle_result r;
	struct buf a, b;

	cb_finish(&fx->cb);
	a = contents(fx->cb.path);
	assert_int_equal(run(fx, NULL, NULL, &r), 0);
	assert_false(r.is_written);
	assert_int_equal(r.named, 0);
	assert_int_equal(r.modules_named, 0);
	assert_int_equal(fx->told, 1);
	assert_non_null(strstr(fx->why, NOT_THERE ": no names"));
	assert_non_null(strstr(fx->why, "--target"));
	b = contents(fx->cb.path);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	/* a file that is none of the capture's */
	assert_int_equal(run(fx, "/bin/sh", NULL, &r), -EINVAL);
	buf_release(&a);
	buf_release(&b);
}

static void another_file(void **state)
{
	struct fixture *fx = *state;
	struct capture_opts names = {.capture = fx->cb.path, .targets = {fx->self}, .n_targets = 1};
	struct bundle_opts o = {.names = &names, .out = fx->out};
	struct bundle_result r;
	struct buf a, b;
	char carried[4096];

	cb_finish(&fx->cb);
	a = contents(fx->cb.path);
	assert_int_equal(run(fx, fx->self, fx->out, &r), 0);
	assert_true(r.is_written);
	assert_sound(fx->out);
	names_of(fx->out, NULL, names_sql, carried, sizeof(carried));
	assert_non_null(strstr(carried, "bundle_outer"));
	b = contents(fx->cb.path);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	assert_int_equal(run(fx, fx->self, fx->out, &r), -EEXIST);
	o.force = true;
	assert_int_equal(bundle_run(&o, note, fx, &r), 0);
	assert_sound(fx->out);
	o.out = fx->cb.path; /* itself */
	assert_int_equal(bundle_run(&o, note, fx, &r), -EBUSY);
	buf_release(&b);
	b = contents(fx->cb.path);
	assert_int_equal(a.len, b.len);
	/* without names it is written all the same, when it is asked for by name */
	assert_int_equal(unlink(fx->out), 0);
	assert_int_equal(run(fx, NULL, fx->out, &r), 0);
	assert_true(r.is_written);
	assert_sound(fx->out);
	buf_release(&a);
	buf_release(&b);
}

static void libs_only(void **state)
{
	struct fixture *fx = *state;
	struct capture_opts names = {.capture = fx->cb.path, .targets = {fx->self}, .n_targets = 1};
	struct bundle_opts o = {.names = &names, .libs_only = true};
	struct bundle_result r;

	cb_row(&fx->cb, FMT_PROCESS,
	       &(struct fmt_process){
		       .idx = 1, .pid = 1000, .comm = cb_string(&fx->cb, "x"), .exe = cb_string(&fx->cb, NOT_THERE)});
	cb_finish(&fx->cb);
	assert_int_equal(bundle_run(&o, note, fx, &r), 0);
	assert_false(r.is_written);
	o.libs_only = false;
	assert_int_equal(bundle_run(&o, note, fx, &r), 0);
	assert_true(r.is_written);
}

/* The payload of a block, broken. */
static void break_block(const char *path, u64 offset)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	u8 c;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &c, 1, (off_t)offset + FMT_BLOCK_HEADER + 12), 1);
	c ^= 0x10;
	assert_int_equal(pwrite(fd, &c, 1, (off_t)offset + FMT_BLOCK_HEADER + 12), 1);
	(void)close(fd);
}

static void damaged_and_unclosed_are_refused(void **state)
{
	struct fixture *fx = *state;
	struct bundle_result r;
	struct stat st;

	cb_abandon(&fx->cb);
	assert_int_equal(run(fx, fx->self, NULL, &r), -EBADMSG);
	assert_int_equal(run(fx, fx->self, fx->out, &r), -EBADMSG);
	assert_int_equal(stat(fx->out, &st), -1);
	break_block(fx->cb.path, FMT_HEADER_SIZE);
	assert_int_equal(run(fx, fx->self, NULL, &r), -EBADMSG);
}

/* Of a bundled file any block may be lost: its names are there as before. */
static void loss_of_a_block_loses_no_name(void **state)
{
	struct fixture *fx = *state;
	struct bundle_result r;
	char want[4096], got[4096];
	u64 offsets[64], n = 0;
	struct fmt_reader *reader;
	struct fmt_block b;
	struct buf whole;

	cb_finish(&fx->cb);
	assert_int_equal(run(fx, fx->self, NULL, &r), 0);
	names_of(fx->cb.path, NULL, all_sql, want, sizeof(want));
	assert_int_equal(fmt_reader_open(fx->cb.path, &reader, NULL), 0);
	while (fmt_reader_next(reader, &b) == 1)
		if (b.type == FMT_BLOCK_DICTIONARY)
			offsets[n++] = b.offset;
	fmt_reader_close(reader);
	assert_true(n >= 2);
	whole = contents(fx->cb.path);
	for (u64 i = 0; i < n; i++) {
		int fd = open(fx->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		assert_true(fd >= 0);
		assert_int_equal(fd_write_full(fd, whole.data, whole.len), 0);
		(void)close(fd);
		break_block(fx->out, offsets[i]);
		names_of(fx->out, NULL, all_sql, got, sizeof(got));
		assert_string_equal(got, want);
	}
	buf_release(&whole);
}

/* ---- rows as a reader takes them ---- */

/* A frame of module 1 (at CB_CODE, file offset 0x1000) in the stack of one more wait: names come by rows alone. */
static void add_plain_wait(struct fixture *fx)
{
	u64 addrs[] = {CB_CODE + 0x10, CB_CODE + 0x20};
	struct fmt_switch_out out = {
		.ts = AT(100), .thread = 1, .state = 1, .syscall = 36, .ustack = cb_stack(&fx->cb, FMT_STACK_USER, addrs, 2)};

	cb_row(&fx->cb, FMT_SWITCH_OUT, &out);
	cb_row(&fx->cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = AT(150), .thread = 1});
}

static void put_symbol(struct fixture *fx, u64 idx, u64 caller, const char *function, const char *file, u64 line)
{
	cb_row(&fx->cb, FMT_SYMBOL,
	       &(struct fmt_symbol){.idx = idx,
				    .caller = caller,
				    .function = *function ? cb_string(&fx->cb, function) : 999999,
				    .file = file ? cb_string(&fx->cb, file) : 0,
				    .line = line});
}

static void put_frame(struct fixture *fx, u64 file_off, u64 symbol)
{
	cb_row(&fx->cb, FMT_FRAME, &(struct fmt_frame){.module = 1, .file_off = file_off, .is_return = 1, .symbol = symbol});
}

static const char chain_sql[] =
	"SELECT s.function, s.file, s.line, s.inlined FROM symbol AS s JOIN frame AS f ON f.id = s.frame_id "
	"WHERE f.module_id = 1 AND f.file_off = 4112 ORDER BY s.depth";

static void later_rows_replace(void **state)
{
	struct fixture *fx = *state;

	add_plain_wait(fx);
	put_symbol(fx, 1, 0, "old", NULL, 0);
	put_symbol(fx, 2, 0, "outer", "o.rs", 20);
	put_symbol(fx, 3, 2, "inner", "i.rs", 10);
	put_symbol(fx, 3, 0, "another three", NULL, 0); /* the first entry of an index holds */
	put_frame(fx, 0x1010, 1);
	cb_flush(&fx->cb);
	put_frame(fx, 0x1010, 3);
	put_frame(fx, 0x1020, 1);
	put_frame(fx, 0x1020, 0); /* taken back */
	put_frame(fx, 0x1030, 1); /* of no stack */
	cb_row(&fx->cb, FMT_MODULE_NAMES, &(struct fmt_module_names){.module = 1, .source = 1});
	cb_row(&fx->cb, FMT_MODULE_NAMES, &(struct fmt_module_names){.module = 1, .source = 2, .lines = 1});
	cb_row(&fx->cb, FMT_MODULE_NAMES, &(struct fmt_module_names){.module = 77, .source = 2, .lines = 1});
	cb_expect(&fx->cb, chain_sql, "inner|i.rs|10|1\nouter|o.rs|20|0");
	cb_expect(&fx->cb, "SELECT count(*) FROM symbol WHERE kind <> 'kernel'", "2");
	cb_expect(&fx->cb, "SELECT symbols_from, symbols, note FROM module WHERE id = 1", "capture|dwarf|-");
}

static void hostile_rows(void **state)
{
	struct fixture *fx = *state;
	char text[80];

	add_plain_wait(fx);
	put_symbol(fx, 1, 2, "one", NULL, 0); /* a caller behind it: it has none */
	put_symbol(fx, 2, 2, "two", "a\x1b[31m\nb", 1ULL << 40);
	put_symbol(fx, 3, 1000, "three", NULL, 0);
	put_symbol(fx, 4, 0, "", NULL, 0); /* its name is in no block */
	put_symbol(fx, 5, 4, "five", NULL, 0);
	put_symbol(fx, FMT_MAX_ID + 1, 0, "above", NULL, 0);
	for (u64 i = 100; i < 300; i++) { /* deeper than a reader follows */
		(void)snprintf(text, sizeof(text), "deep%llu", (unsigned long long)i);
		put_symbol(fx, i, i > 100 ? i - 1 : 0, text, NULL, i);
	}
	put_frame(fx, 0x1010, 2);
	put_frame(fx, 0x1020, 5); /* its caller's name is lost: it has none at all */
	put_frame(fx, 1ULL << 62, 1);
	cb_row(&fx->cb, FMT_FRAME, &(struct fmt_frame){.module = 1, .file_off = 0x1020, .is_return = 7, .symbol = 1});
	cb_row(&fx->cb, FMT_MODULE_NAMES, &(struct fmt_module_names){.module = 1, .source = 9, .lines = 3});
	cb_expect(&fx->cb, chain_sql, "two|a?[31m?b|-|0");
	cb_expect(&fx->cb, "SELECT count(*) FROM symbol WHERE function = 'five'", "0");
	cb_expect(&fx->cb, "SELECT count FROM loss WHERE cause = 'bad_rows'", "3");
	cb_expect(&fx->cb, "SELECT symbols, note LIKE 'no line numbers%' FROM module WHERE id = 1", "symtab|1");
}

/* Repeated blocks of constant columns, which take no room in the file. */
static void too_many_frames(void **state)
{
	enum { ROWS = 1 << 18 };
	u64 *zeros = calloc(ROWS, sizeof(*zeros));
	u64 *cols[FMT_MAX_COLUMNS];
	struct fmt_section s = {.kind_id = FMT_FRAME, .kind = fmt_kind_by_id(FMT_FRAME), .rows = ROWS, .cols = cols};
	struct load_dict d = {0};

	(void)state;
	assert_non_null(zeros);
	for (u32 i = 0; i < ARRAY_SIZE(cols); i++)
		cols[i] = zeros;
	for (u64 i = 0; i < LOAD_MAX_SYMBOL_FRAMES + 5; i++)
		assert_int_equal(load_symbols_add(&d, &s, (u32)(i % ROWS)), 0);
	assert_int_equal(d.n_symbol_frames, LOAD_MAX_SYMBOL_FRAMES);
	assert_int_equal(d.bad_rows, 5);
	load_dict_release(&d);
	free(zeros);
}

static void deep_chains_end(void **state)
{
	struct fixture *fx = *state;
	char text[80];

	add_plain_wait(fx);
	for (u64 i = 1; i <= 3 * SYM_MAX_INLINE; i++) {
		(void)snprintf(text, sizeof(text), "deep%llu", (unsigned long long)i);
		put_symbol(fx, i, i - 1, text, NULL, i);
	}
	put_frame(fx, 0x1010, 3 * SYM_MAX_INLINE);
	cb_row(&fx->cb, FMT_MODULE_NAMES, &(struct fmt_module_names){.module = 1, .source = 2, .lines = 1});
	cb_expect(&fx->cb, "SELECT count(*), max(depth), min(line) FROM symbol WHERE function LIKE 'deep%'", "64|63|129");
}

/* Rows of a symbol table only: what debug info says replaces them. */
static void better_names_replace(void **state)
{
	struct fixture *fx = *state;
	struct bundle_result r;
	char got[4096];

	put_symbol(fx, 1, 0, "from the symbol table", NULL, 0);
	cb_row(&fx->cb, FMT_FRAME,
	       &(struct fmt_frame){.module = 2, .file_off = own_file_off(bundle_leaf) + 1, .is_return = 1, .symbol = 1});
	cb_row(&fx->cb, FMT_MODULE_NAMES, &(struct fmt_module_names){.module = 2, .source = 1});
	cb_finish(&fx->cb);
	names_of(fx->cb.path, NULL, names_sql, got, sizeof(got));
	assert_string_equal(got, "from the symbol table|0|native");
	assert_int_equal(run(fx, NULL, NULL, &r), 0); /* nothing found: what is there stays */
	assert_false(r.is_written);
	assert_int_equal(r.named, 1);
	assert_int_equal(run(fx, fx->self, NULL, &r), 0);
	assert_int_equal(r.added, 3);
	assert_sound(fx->cb.path);
	names_of(fx->cb.path, NULL, names_sql, got, sizeof(got));
	assert_string_equal(got, "bundle_inner|0|native\nbundle_leaf|0|native\nbundle_outer|0|native");
}

/* A name that the capture names, but has not, is no room for a new one. */
static void new_indices_are_free(void **state)
{
	struct fixture *fx = *state;
	struct bundle_result r;
	char got[4096];

	cb_row(&fx->cb, FMT_RENAME, &(struct fmt_rename){.ts = AT(60), .thread = 1, .comm = fx->cb.next_string + 5});
	cb_finish(&fx->cb);
	names_of(fx->cb.path, NULL, "SELECT name FROM thread", got, sizeof(got));
	assert_string_equal(got, "?");
	assert_int_equal(run(fx, fx->self, NULL, &r), 0);
	assert_int_equal(r.added, 3);
	names_of(fx->cb.path, NULL, "SELECT name FROM thread", got, sizeof(got));
	assert_string_equal(got, "?");
	names_of(fx->cb.path, NULL, names_sql, got, sizeof(got));
	assert_non_null(strstr(got, "bundle_outer"));
}

/* Kernel addresses have the names that the capture has for them, and no others: this host's kernel is not asked. */
static void no_kernel_names_but_the_captures(void **state)
{
	struct fixture *fx = *state;
	u64 addrs[] = {0x1000, 0x2000};
	struct bundle_result r;
	char got[4096];

	cb_row(&fx->cb, FMT_SWITCH_OUT,
	       &(struct fmt_switch_out){
		       .ts = AT(100), .thread = 1, .state = 1, .kstack = cb_stack(&fx->cb, FMT_STACK_KERNEL, addrs, 2)});
	cb_row(&fx->cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = AT(150), .thread = 1});
	cb_row(&fx->cb, FMT_KSYM, &(struct fmt_ksym){.addr = 0x1000, .name = cb_string(&fx->cb, "known_there"), .off = 16});
	cb_finish(&fx->cb);
	assert_int_equal(run(fx, fx->self, NULL, &r), 0);
	assert_int_equal(r.frames, 3);
	names_of(fx->cb.path, NULL,
		 "SELECT f.file_off, s.function FROM frame AS f JOIN module AS m ON m.id = f.module_id LEFT JOIN symbol AS s ON "
		 "s.frame_id = f.id WHERE m.path = '[kernel]' ORDER BY 1",
		 got, sizeof(got));
	assert_string_equal(got, "4096|known_there\n8192|-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names_are_carried, setup, teardown),
		cmocka_unit_test_setup_teardown(again_is_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(missing_files_are_told, setup, teardown),
		cmocka_unit_test_setup_teardown(another_file, setup, teardown),
		cmocka_unit_test_setup_teardown(libs_only, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_and_unclosed_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(loss_of_a_block_loses_no_name, setup, teardown),
		cmocka_unit_test_setup_teardown(later_rows_replace, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_rows, setup, teardown),
		cmocka_unit_test(too_many_frames),
		cmocka_unit_test_setup_teardown(deep_chains_end, setup, teardown),
		cmocka_unit_test_setup_teardown(better_names_replace, setup, teardown),
		cmocka_unit_test_setup_teardown(new_indices_are_free, setup, teardown),
		cmocka_unit_test_setup_teardown(no_kernel_names_but_the_captures, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
