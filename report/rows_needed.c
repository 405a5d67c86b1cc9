/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* rows_needed.c: see rows_needed.h. SQLite tells which tables a statement reads, and through which view. */
#include "report/rows_needed.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "report/db.h"
#include "report/schema.h"

struct reading {
	struct buf tables; /* of the database, each name NUL-terminated; views are not asked: what they read is */
	bool needs_all;
};

/* The same at any depth. */
static bool is_always_whole(const char *table)
{
	static const char *const names[] = {"capture", "meta",	  "total",   "loss",   "gap",	 "process",   "throttle",
					    "thread",  "mapping", "runtime", "worker", "marker", "stack_end", "ascope_doc",
					    "poll",    "advice"};

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

/* View blocking leaves out what is left out at any depth. */
static int note_read(void *ctx, int action, const char *table, const char *column, const char *database, const char *view)
{
	struct reading *r = ctx;
	bool by_blocking = view && strcmp(view, "blocking") == 0;

	(void)column;
	(void)database;
	if (action == SQLITE_READ && table && !by_blocking && !is_always_whole(table) && is_table(r, table))
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

static int find_needed(sqlite3 *db, const char *sql, enum capture_rows *ret)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	struct reading r = {.tables = BUF_INIT};
	int err = list_tables(db, &r.tables);

	if (!err) {
		(void)sqlite3_set_authorizer(db, note_read, &r);
		err = db_errno(sqlite3_prepare_v2(db, sql, -1, &s, NULL)) == -ENOMEM ? -ENOMEM : 0;
		(void)sqlite3_set_authorizer(db, NULL, NULL);
	}
	*ret = r.needs_all ? CAPTURE_ROWS_ALL : CAPTURE_ROWS_POLLS;
	buf_release(&r.tables);
	return err;
}

int rows_needed(sqlite3 *db, const char *sql, enum capture_rows *ret)
{
	_cleanup_db_ sqlite3 *own = NULL;
	int err;

	if (db)
		return find_needed(db, sql, ret);
	err = db_errno(sqlite3_open(":memory:", &own));
	if (!err)
		err = schema_create(own);
	return err ? err : find_needed(own, sql, ret);
}
