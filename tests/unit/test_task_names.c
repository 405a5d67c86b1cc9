/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_task_names.c: names of types of tasks from the file to the database and into a bundle: through the sandboxed child, by the ids of a module whose file is
 * this program. Its functions have linkers' names of Tokio's, as Rust would give them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "capture_builder.h"
#include "report/bundle.h"
#include "report/capture_file.h"
#include "report/db.h"
#include "report/load_dict.h"
#include "report/schema.h"
#include "report/sym.h"
#include "report/sym_child.h"
#include "report/symbolize.h"
#include "report/task_names.h"
#include "tests/unit/own_code.h"

#define BASE	  0x40000000ULL /* of module 2 */
#define NOT_THERE "/nonexistent/orders"

/* poll<app::serve::{closure#0}, tokio::S>, and a drop_in_place<Stage<BlockingTask<app::work::{{closure}}>>> behind a dealloc. */
int fake_poll(int x) __asm__("_RINvNtNtNtCs1_5tokio7runtime4task3raw4pollNCNvCs2_3app5serve0NtCs1_5tokio1SEB7_");
int fake_drop(int x) __asm__(
	"_ZN4core3ptr152drop_in_place$LT$tokio..runtime..task..core..Stage$LT$tokio..runtime..blocking..task..BlockingTask$LT$"
	"app..work..$u7b$$u7b$closure$u7d$$u7d$$GT$$GT$$GT$17h0123456789abcdefE");
int fake_dealloc(int x) __asm__("_ZN5tokio7runtime4task3raw7dealloc17h0123456789abcdefE");

__attribute__((noinline)) int fake_poll(int x)
{
	return x * 5 + 2;
}

__attribute__((noinline)) int fake_drop(int x)
{
	return x * 7 + 3;
}

__attribute__((noinline)) int fake_dealloc(int x)
{
	return fake_drop(x) + 1;
}

__attribute__((noinline)) static int no_task(int x)
{
	return x * 11 + 4;
}

struct self {
	char path[256], build_id[2 * SYM_BUILD_ID_MAX + 1];
};

static struct self self(void)
{
	struct self s = {0};
	struct sym_module *m;

	assert_true(readlink("/proc/self/exe", s.path, sizeof(s.path) - 1) > 0);
	assert_int_equal(sym_module_open(s.path, &m, NULL), 0);
	assert_int_equal(sym_module_build_id(m, s.build_id), 0);
	sym_module_close(m);
	assert_int_equal(fake_poll(1) + fake_dealloc(1) + no_task(1), 33);
	return s;
}

/* ---- the database ---- */

static void put_frame(sqlite3 *db, u64 id, u64 file_off)
{
	char text[128];

	(void)snprintf(text, sizeof(text), "INSERT INTO frame VALUES (%llu, 7, %llu, 0)", (unsigned long long)id,
		       (unsigned long long)file_off);
	assert_int_equal(db_exec(db, text), 0);
}

/* Types 1: by v0, 2: by symbols, 3: nothing is to be known of it. */
static sqlite3 *make_db(const char *path, const char *build_id)
{
	const u64 poll = own_file_off(fake_poll), dealloc = own_file_off(fake_dealloc), none = own_file_off(no_task);
	char text[512];
	sqlite3 *db;

	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(db_exec(db, schema_sql), 0);
	(void)snprintf(text, sizeof(text), "INSERT INTO module (id, path, build_id) VALUES (7, '%s', '%s')", path, build_id);
	assert_int_equal(db_exec(db, text), 0);
	put_frame(db, 1, poll);
	put_frame(db, 2, dealloc);
	put_frame(db, 3, none);
	assert_int_equal(
		db_exec(db, "INSERT INTO task_type (id, vtable, poll_frame_id, dealloc_frame_id, name, name_from, kind) VALUES "
			    "(1, 16, 1, 3, NULL, NULL, NULL), (2, 32, 3, 2, 'old | ...', 'candidates', 'future'), "
			    "(3, 48, 3, NULL, NULL, NULL, 'blocking'), (4, 64, NULL, NULL, NULL, NULL, NULL)"),
		0);
	return db;
}

static const char types_sql[] =
	"SELECT group_concat(id || ' ' || coalesce(name, '-') || ' ' || coalesce(name_from, '-') || ' ' || "
	"coalesce(kind, '-'), char(10)) FROM (SELECT * FROM task_type ORDER BY id)";

static void named_once(void **state)
{
	struct self s = self();
	const char *targets[] = {s.path};
	struct symbolize_opts o = {.find = {.capture = "/nonexistent/capture", .targets = targets, .n_targets = 1}};
	sqlite3 *db = make_db(NOT_THERE, s.build_id);

	(void)state;
	assert_int_equal(task_names_are_needed(db, &o), 1);
	assert_int_equal(task_names_resolve(db, &o), 0);
	assert_string_equal(cb_text(db, types_sql),
			    "1 app::serve v0 future\n2 app::work::{closure} symbols blocking\n3 - - blocking\n4 - - -");
	/* this file was asked; not again, and what is known stays */
	assert_int_equal(task_names_are_needed(db, &o), 0);
	assert_int_equal(db_exec(db, "UPDATE task_type SET name = 'kept' WHERE id = 1"), 0);
	assert_int_equal(task_names_resolve(db, &o), 0);
	assert_string_equal(cb_text(db, "SELECT name FROM task_type WHERE id = 1"), "kept");
	/* asked again, a candidate is no better than a name that is sure */
	assert_int_equal(db_exec(db, "DELETE FROM meta; UPDATE task_type SET name_from = 'dwarf', name = 'sure' WHERE id = 2"),
			 0);
	assert_int_equal(task_names_resolve(db, &o), 0);
	assert_string_equal(cb_text(db, "SELECT name FROM task_type WHERE id = 2"), "sure");
	db_close(db);
}

static void no_file_no_name(void **state)
{
	struct self s = self();
	struct symbolize_opts o = {.find = {.capture = "/nonexistent/capture"}};
	sqlite3 *db = make_db(NOT_THERE, s.build_id);

	(void)state;
	assert_int_equal(task_names_are_needed(db, &o), 0);
	assert_int_equal(task_names_resolve(db, &o), 0);
	assert_string_equal(cb_text(db, types_sql), "1 - - -\n2 old | ... candidates future\n3 - - blocking\n4 - - -");
	db_close(db);
	db = make_db(s.path, "00112233445566778899"); /* another build of it is none */
	assert_int_equal(task_names_resolve(db, &o), 0);
	assert_int_equal(cb_int(db, "SELECT count(*) FROM task_type WHERE name_from = 'v0'"), 0);
	db_close(db);
}

static int crash(const struct sym_serve *s)
{
	(void)s;
	__builtin_trap();
}

static void reader_that_crashes(void **state)
{
	struct self s = self();
	const char *targets[] = {s.path};
	const struct sym_child_opts child = {.body = crash};
	struct symbolize_opts o = {.find = {.capture = "/nonexistent/capture", .targets = targets, .n_targets = 1},
				   .child = &child};
	sqlite3 *db = make_db(NOT_THERE, s.build_id);

	(void)state;
	assert_int_equal(task_names_resolve(db, &o), 0);
	assert_int_equal(cb_int(db, "SELECT count(*) FROM task_type WHERE name IS NOT NULL"), 1);
	assert_int_equal(symbolize_has_failed(db), 1);
	assert_int_equal(task_names_are_needed(db, &o), 0);
	db_close(db);
}

/* ---- bundles ---- */

static void told(void *ctx, const char *path, const char *why)
{
	(void)ctx;
	(void)path;
	(void)why;
}

static struct bundle_result bundle(const char *capture, const char *target)
{
	struct capture_opts names = {.capture = capture, .targets = {target}, .n_targets = target != NULL};
	struct bundle_opts o = {.names = &names};
	struct bundle_result r;

	assert_int_equal(bundle_run(&o, told, NULL, &r), 0);
	return r;
}

static void show_progress(void *ctx, u64 off)
{
	(void)ctx;
	(void)off;
}

/* How the file has the name of a vtable: "name how kind". */
static void expect_name(const char *capture, u64 vtable, const char *want)
{
	struct fmt_reader *r;
	struct load_dict d;
	const struct fmt_task_name *n;
	char got[256] = "";

	assert_int_equal(capture_file_open(capture, &r), 0);
	assert_int_equal(load_dict_read(&d, r, show_progress, NULL), 0);
	n = dict_table_find(&d.task_names, vtable, NULL);
	if (n)
		(void)snprintf(got, sizeof(got), "%s %u %u", n->name ? load_dict_str(&d, n->name) : "-", (u32)n->how,
			       (u32)n->kind);
	assert_string_equal(got, want);
	load_dict_release(&d);
	fmt_reader_close(r);
}

static void bundled(void **state)
{
	struct capture_builder *cb = *state;
	struct self s = self();
	struct bundle_result r;

	cb_row(cb, FMT_MODULE,
	       &(struct fmt_module){.idx = 2, .path = cb_string(cb, NOT_THERE), .build_id = cb_string(cb, s.build_id)});
	cb_row(cb, FMT_MAPPING, &(struct fmt_mapping){.process = 1, .module = 2, .start = BASE, .end = BASE + 0x10000000});
	cb_row(cb, FMT_VTABLE,
	       &(struct fmt_vtable){
		       .idx = 3, .layout = 1, .addr = BASE + 16, .poll = BASE + own_file_off(fake_poll), .dealloc = 1});
	cb_row(cb, FMT_VTABLE,
	       &(struct fmt_vtable){.idx = 4,
				    .layout = 1,
				    .addr = BASE + 32,
				    .poll = BASE + own_file_off(no_task),
				    .dealloc = BASE + own_file_off(fake_dealloc)});
	cb_row(cb, FMT_VTABLE, &(struct fmt_vtable){.idx = 5, .layout = 1, .addr = BASE + 48, .poll = 12345});
	cb_row(cb, FMT_VTABLE, &(struct fmt_vtable){.idx = 6, .layout = 99, .poll = UINT64_MAX, .dealloc = UINT64_MAX});
	cb_finish(cb);
	r = bundle(cb->path, NULL);
	assert_false(r.is_written);
	r = bundle(cb->path, s.path);
	assert_true(r.is_written);
	expect_name(cb->path, 3, "app::serve 1 1");
	expect_name(cb->path, 4, "app::work::{closure} 3 2");
	expect_name(cb->path, 5, "");
	expect_name(cb->path, 6, "");
	r = bundle(cb->path, s.path); /* it has them */
	assert_false(r.is_written);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(named_once),
		cmocka_unit_test(no_file_no_name),
		cmocka_unit_test(reader_that_crashes),
		cmocka_unit_test_setup_teardown(bundled, cb_setup, cb_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
