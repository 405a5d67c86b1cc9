/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* capture_builder.c: see capture_builder.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include "capture_builder.h"

#include <stdio.h>
#include <string.h>

#include "report/db.h"
#include "report/load.h"
#include "report/refine.h"

void cb_row(struct capture_builder *cb, enum fmt_kind_id kind, const void *row)
{
	assert_int_equal(fmt_writer_row(cb->w, kind, row, NULL, 0), 0);
}

u64 cb_string(struct capture_builder *cb, const char *s)
{
	struct fmt_string row = {.idx = cb->next_string++};

	assert_int_equal(fmt_writer_row(cb->w, FMT_STRING, &row, s, strlen(s)), 0);
	return row.idx;
}

void cb_meta(struct capture_builder *cb, const char *key, const char *value)
{
	struct fmt_meta row = {.key = cb_string(cb, key), .value = cb_string(cb, value)};

	cb_row(cb, FMT_META, &row);
}

void cb_total(struct capture_builder *cb, const char *key, u64 value)
{
	struct fmt_total row = {.key = cb_string(cb, key), .value = value};

	cb_row(cb, FMT_TOTAL, &row);
}

void cb_end(struct capture_builder *cb, u64 ts)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)ts);
	cb_meta(cb, "recording.end_ns", text);
}

u64 cb_stack(struct capture_builder *cb, enum fmt_stack_kind kind, const u64 *addrs, u32 n)
{
	struct fmt_stack row = {
		.idx = cb->next_stack++, .process = kind == FMT_STACK_USER, .kind = kind, .status = FMT_STACK_WHOLE};

	assert_int_equal(fmt_writer_row(cb->w, FMT_STACK, &row, addrs, n), 0);
	return row.idx;
}

u64 cb_stack_ended(struct capture_builder *cb, const u64 *addrs, u32 n, u64 status, u64 fp_from)
{
	struct fmt_stack row = {
		.idx = cb->next_stack++, .process = 1, .kind = FMT_STACK_USER, .status = status, .fp_from = fp_from};

	assert_int_equal(fmt_writer_row(cb->w, FMT_STACK, &row, addrs, n), 0);
	return row.idx;
}

void cb_perfmap(struct capture_builder *cb, u64 process, const char *text, size_t size)
{
	struct fmt_perfmap row = {.process = process};

	for (size_t at = 0, n = strlen(text); at < n; at += size, row.chunk++)
		assert_int_equal(fmt_writer_row(cb->w, FMT_PERFMAP, &row, text + at, min_u64(size, n - at)), 0);
}

static void add_tokio(struct capture_builder *cb)
{
	u64 version = cb_string(cb, "1.54.1"), row = cb_string(cb, "1.40+"), found = cb_string(cb, "shape scan, 4 threads");

	for (u64 i = 1; i <= 2; i++) /* layout 2: as 1, but no tick was proven */
		cb_row(cb, FMT_LAYOUT,
		       &(struct fmt_layout){.idx = i,
					    .process = 1,
					    .module = 1,
					    .row = row,
					    .version = version,
					    .found_by = found,
					    .tick_from_mt = i == 1,
					    .tick_from_ct = i == 1});
	cb_row(cb, FMT_CONTEXT,
	       &(struct fmt_context){.idx = CB_CONTEXT_MT,
				     .thread = 1,
				     .layout = 1,
				     .flavor = FMT_FLAVOR_MULTI_THREAD,
				     .handle = 0x5000,
				     .worker = 4});
	cb_row(cb, FMT_CONTEXT,
	       &(struct fmt_context){
		       .idx = CB_CONTEXT_CT, .thread = 1, .layout = 1, .flavor = FMT_FLAVOR_CURRENT_THREAD, .handle = 0x6000});
	cb_row(cb, FMT_CONTEXT,
	       &(struct fmt_context){.idx = CB_CONTEXT_UNPROVEN,
				     .thread = 1,
				     .layout = 2,
				     .flavor = FMT_FLAVOR_MULTI_THREAD,
				     .handle = 0x7000,
				     .worker = 1});
}

void cb_init(struct capture_builder *cb)
{
	static const u8 uuid[16] = {0xca, 0xfe, 1};
	u64 name;

	*cb = (struct capture_builder){.path = "/tmp/ascope-test-XXXXXX", .next_string = 1, .next_stack = 1};
	cb->fd = mkstemp(cb->path);
	assert_true(cb->fd >= 0);
	assert_int_equal(fmt_writer_new(cb->fd, uuid, 1, &cb->w), 0);
	name = cb_string(cb, "app");
	cb_row(cb, FMT_PROCESS,
	       &(struct fmt_process){
		       .idx = 1, .pid = 1000, .ns_pid = 7, .start = 5, .comm = name, .exe = cb_string(cb, "/opt/app")});
	cb_row(cb, FMT_THREAD, &(struct fmt_thread){.idx = 1, .process = 1, .tid = 1001, .ns_tid = 8, .start = 6, .comm = name});
	cb_row(cb, FMT_MODULE,
	       &(struct fmt_module){.idx = 1, .path = cb_string(cb, "/opt/app"), .build_id = cb_string(cb, "aabbcc")});
	cb_row(cb, FMT_MAPPING,
	       &(struct fmt_mapping){
		       .process = 1, .module = 1, .start = CB_CODE, .end = CB_CODE + CB_CODE_SIZE, .file_off = 0x1000});
	cb_meta(cb, "recording.start_ns", "1000000000");
	add_tokio(cb);
}

void cb_flush(struct capture_builder *cb)
{
	assert_int_equal(fmt_writer_flush(cb->w), 0);
}

static void close_file(struct capture_builder *cb)
{
	cb->w = fmt_writer_free(cb->w);
	assert_int_equal(close(cb->fd), 0);
	cb->fd = -1;
}

void cb_finish(struct capture_builder *cb)
{
	assert_int_equal(fmt_writer_finish(cb->w), 0);
	close_file(cb);
}

void cb_abandon(struct capture_builder *cb)
{
	cb_flush(cb);
	close_file(cb);
}

void cb_release(struct capture_builder *cb)
{
	char db[80];

	if (cb->w)
		close_file(cb);
	(void)snprintf(db, sizeof(db), "%s.db", cb->path);
	(void)unlink(db);
	(void)unlink(cb->path);
}

void cb_refine(sqlite3 *db)
{
	_cleanup_library_table_ struct library_table *libraries = NULL;

	assert_int_equal(library_table_builtin(&libraries), 0);
	assert_int_equal(refine_run(db, libraries), 0);
}

static sqlite3 *load_rows(struct capture_builder *cb, enum capture_rows rows)
{
	struct load_source src = {.path = cb->path, .size = 1, .mtime = 2, .rows = rows};
	struct fmt_reader *r;
	struct fmt_diag diag;
	sqlite3 *db;
	int err;

	assert_int_equal(fmt_reader_open(cb->path, &r, &diag), 0);
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	err = load_capture(db, r, &src);
	if (err)
		print_error("load: %d %s\n", err, sqlite3_errmsg(db));
	assert_int_equal(err, 0);
	cb_refine(db);
	fmt_reader_close(r);
	assert_string_equal(cb_text(db, "PRAGMA foreign_key_check"), "");
	return db;
}

static void expect_same_rows(sqlite3 *a, sqlite3 *b, const char *sql)
{
	_cleanup_stmt_ sqlite3_stmt *x = NULL, *y = NULL;
	int n;

	assert_int_equal(db_prepare(a, sql, &x), 0);
	assert_int_equal(db_prepare(b, sql, &y), 0);
	do {
		n = db_step(x);
		if (db_step(y) != n)
			fail_msg("as many rows: %s", sql);
		for (int c = 0; n == 1 && c < sqlite3_column_count(x); c++) {
			const char *t = (const char *)sqlite3_column_text(x, c), *u = (const char *)sqlite3_column_text(y, c);

			if (!t != !u || (t && strcmp(t, u) != 0))
				fail_msg("%s: %s: %s and %s", sql, sqlite3_column_name(x, c), t ? t : "null", u ? u : "null");
		}
	} while (n == 1);
	assert_int_equal(n, 0);
}

/* What reports tell does not depend on how many rows were loaded. */
static void expect_same_reports(sqlite3 *all, sqlite3 *polls)
{
	static const char *const queries[] = {
		"SELECT * FROM capture",
		"SELECT * FROM meta WHERE key <> 'ascope.rows' ORDER BY key",
		"SELECT * FROM loss ORDER BY cause",
		"SELECT * FROM gap",
		"SELECT * FROM thread",
		"SELECT * FROM process",
		"SELECT * FROM runtime",
		"SELECT * FROM worker",
		"SELECT * FROM marker",
		"SELECT * FROM throttle",
		"SELECT * FROM stack_end ORDER BY status, module_id",
		"SELECT * FROM blocking ORDER BY poll_id",
		"SELECT * FROM poll WHERE waits OR dur OR NOT classified ORDER BY id",
		"SELECT * FROM offcpu WHERE poll_id IS NOT NULL ORDER BY id",
		"SELECT s.* FROM sample AS s JOIN poll AS p ON p.id = s.poll_id WHERE p.waits OR p.dur ORDER BY s.id",
		"SELECT * FROM stack WHERE weight > 0 ORDER BY id",
		"SELECT t.* FROM stack_text AS t JOIN stack AS s ON s.id = t.stack_id WHERE s.weight > 0 ORDER BY t.stack_id, t.depth, t.inline_depth",
		"SELECT p.* FROM stack_place AS p JOIN stack AS s ON s.id = p.stack_id WHERE s.weight > 0 ORDER BY 1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(queries); i++)
		expect_same_rows(all, polls, queries[i]);
}

sqlite3 *cb_load(struct capture_builder *cb)
{
	sqlite3 *polls = load_rows(cb, CAPTURE_ROWS_POLLS), *db = load_rows(cb, CAPTURE_ROWS_ALL);

	expect_same_reports(db, polls);
	(void)sqlite3_close(polls);
	/* the invariants that hold for every capture, whatever the test is about */
	assert_int_equal(
		cb_int(db,
		       "SELECT count(*) FROM poll WHERE off_cpu + on_cpu + runnable <> dur OR dur_max < dur OR dur_min <> dur"),
		0);
	assert_int_equal(
		cb_int(db,
		       "SELECT count(*) FROM poll WHERE waits <> (SELECT count(*) FROM offcpu WHERE poll_id = poll.id AND class IS NOT NULL)"),
		0);
	/* the contract of _offcpu: what a thread ran before a row begins no earlier than the row before ended */
	assert_int_equal(
		cb_int(db,
		       "SELECT count(*) FROM (SELECT ts - ran AS since, lag(ts + dur) OVER (PARTITION BY thread_id ORDER BY ts, id) AS prev "
		       "FROM offcpu) WHERE since < prev"),
		0);
	assert_int_equal(
		cb_int(db,
		       "SELECT count(*) FROM thread AS t WHERE (ts_last_in IS NULL) <> (ts_last_out IS NULL) OR ts_last_in > ts_last_out OR "
		       "ts_last_in < (SELECT max(ts + coalesce(dur, 0)) FROM offcpu AS o WHERE o.thread_id = t.id)"),
		0);
	return db;
}

s64 cb_int(sqlite3 *db, const char *sql)
{
	s64 v = 0;
	int err = db_get_s64(db, sql, &v);

	if (err)
		print_error("%s: %d %s\n", sql, err, sqlite3_errmsg(db));
	assert_int_equal(err, 0);
	return v;
}

const char *cb_text(sqlite3 *db, const char *sql)
{
	static char out[4096]; /* tests are single-threaded, and compare at once */
	sqlite3_stmt *s = NULL;
	size_t n = 0;

	assert_int_equal(db_prepare(db, sql, &s), 0);
	out[0] = 0;
	while (db_step(s) == 1)
		for (int c = 0; c < sqlite3_column_count(s); c++) {
			const char *t = (const char *)sqlite3_column_text(s, c);
			const char *sep = c ? "|" : n ? "\n" : "";

			n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%s", sep, t ? t : "-");
			assert_true(n < sizeof(out));
		}
	sqlite3_finalize(s);
	return out;
}

int cb_setup(void **state)
{
	struct capture_builder *cb = calloc(1, sizeof(*cb));

	assert_non_null(cb);
	cb_init(cb);
	*state = cb;
	return 0;
}

int cb_teardown(void **state)
{
	cb_release(*state);
	free(*state);
	return 0;
}

void cb_rows(sqlite3 *db, const char *sql, const char *rows)
{
	assert_string_equal(cb_text(db, sql), rows);
}

void cb_expect(struct capture_builder *cb, const char *sql, const char *rows)
{
	sqlite3 *db;

	if (cb->w)
		cb_finish(cb);
	db = cb_load(cb);
	cb_rows(db, sql, rows);
	sqlite3_close(db);
}
