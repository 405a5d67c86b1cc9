/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* rows_needed.c: see rows_needed.h. SQLite tells which tables a statement reads, and through which view. */
#include "report/rows_needed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "report/db.h"
#include "report/schema.h"

struct reading {
	struct buf tables; /* of the database, each name NUL-terminated; views are not asked: what they read is */
	bool trusts_views; /* the names of the views that are whole are theirs */
	bool needs_all;
};

/* Views whose rows are the same at any depth, though a table that they read is not. */
static const char *const whole_views[] = {"blocking", "spawn_site"};

static bool is_whole_view(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(whole_views); i++)
		if (sqlite3_stricmp(name, whole_views[i]) == 0)
			return true;
	return false;
}

/* The same at any depth. */
static bool is_always_whole(const char *table)
{
	static const char *const names[] = {"capture", "meta",	   "total",	"loss",	       "gap",
					    "process", "throttle", "thread",	"mapping",     "runtime",
					    "worker",  "marker",   "stack_end", "ascope_doc",  "poll",
					    "advice",  "_task",	   "task_type", "_spawn_site", "probe"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (sqlite3_stricmp(table, names[i]) == 0)
			return true;
	return false;
}

static bool is_table(const struct reading *r, const char *name)
{
	for (size_t at = 0; at < r->tables.len; at += strlen((const char *)r->tables.data + at) + 1)
		if (sqlite3_stricmp((const char *)r->tables.data + at, name) == 0)
			return true;
	return false;
}

static int note_read(void *ctx, int action, const char *table, const char *column, const char *database, const char *view)
{
	struct reading *r = ctx;
	bool by_whole = r->trusts_views && view && is_whole_view(view);

	(void)column;
	(void)database;
	if (action == SQLITE_READ && table && !by_whole && !is_always_whole(table) && !is_whole_view(table) && is_table(r, table))
		r->needs_all = true;
	return SQLITE_OK;
}

static int list_tables(sqlite3 *db, struct buf *ret)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int err = db_prepare(db, "SELECT name FROM sqlite_schema WHERE type = 'table'", &s);

	while (!err) {
		int n = db_step(s);

		if (n <= 0)
			return n < 0 ? n : buf_err(ret);
		buf_puts(ret, (const char *)sqlite3_column_text(s, 0));
		buf_putc(ret, 0);
	}
	return err;
}

/* 1: *ret is what the statement needs; 0: it cannot be prepared. */
static int find_needed(sqlite3 *db, const char *sql, bool trusts_views, enum capture_rows *ret)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	struct reading r = {.tables = BUF_INIT, .trusts_views = trusts_views};
	int err = list_tables(db, &r.tables), is_prepared = 0;

	if (!err) {
		(void)sqlite3_set_authorizer(db, note_read, &r);
		err = db_errno(sqlite3_prepare_v2(db, sql, -1, &s, NULL));
		(void)sqlite3_set_authorizer(db, NULL, NULL);
		is_prepared = !err;
		if (err != -ENOMEM)
			err = 0;
	}
	*ret = r.needs_all ? CAPTURE_ROWS_ALL : CAPTURE_ROWS_POLLS;
	buf_release(&r.tables);
	return err ? err : is_prepared;
}

/* The views that are whole become tables of the same columns. */
static int replace_views(sqlite3 *own)
{
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(whole_views) && !err; i++) {
		char sql[96];

		(void)snprintf(sql, sizeof(sql), "CREATE TABLE _columns_%zu AS SELECT * FROM %s", i, whole_views[i]);
		err = db_exec(own, sql);
	}
	for (size_t i = 0; i < ARRAY_SIZE(whole_views) && !err; i++) {
		char sql[160];

		(void)snprintf(sql, sizeof(sql), "DROP VIEW %s; CREATE TABLE %s AS SELECT * FROM _columns_%zu", whole_views[i],
			       whole_views[i], i);
		err = db_exec(own, sql);
	}
	return err;
}

/* By a database that is ours to change. SQLite gives WITH blocking AS (...) the view's name, too: such a statement is asked again without the view. */
static int find_by_schema(sqlite3 *own, const char *sql, enum capture_rows *ret)
{
	enum capture_rows without;
	int n = find_needed(own, sql, true, ret);

	if (n != 1 || *ret == CAPTURE_ROWS_ALL)
		return n;
	n = replace_views(own);
	if (!n)
		n = find_needed(own, sql, false, &without);
	if (n == 1 && without == CAPTURE_ROWS_ALL)
		*ret = without;
	return n;
}

int rows_needed(const char *sql, enum capture_rows *ret)
{
	_cleanup_db_ sqlite3 *own = NULL;
	int n;

	n = db_errno(sqlite3_open(":memory:", &own));
	if (!n)
		n = schema_create(own);
	if (!n)
		n = find_by_schema(own, sql, ret);
	return n < 0 ? n : 0;
}
