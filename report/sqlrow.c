/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sqlrow.c: see sqlrow.h. */
#include "report/sqlrow.h"

#include <errno.h>
#include <string.h>

int sql_prepare(sqlite3 *db, sqlite3_stmt **ret, const char *sql, const u64 *binds, u32 n)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r;

	r = db_prepare(db, sql, &st);
	if (r < 0)
		return r;
	for (u32 i = 0; i < n; i++) {
		r = db_errno(sqlite3_bind_int64(st, (int)i + 1, (sqlite3_int64)min_u64(binds[i], INT64_MAX)));
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(st);
	return 0;
}

int sql_rebind(sqlite3_stmt *st, u64 value)
{
	/* What the run before this one ended with was the business of its db_step(). */
	(void)sqlite3_reset(st);
	return db_errno(sqlite3_bind_int64(st, 1, (sqlite3_int64)min_u64(value, INT64_MAX)));
}

u64 sql_u64(sqlite3_stmt *st, int col)
{
	sqlite3_int64 v = sqlite3_column_int64(st, col);

	return v < 0 ? 0 : (u64)v;
}

bool sql_is_null(sqlite3_stmt *st, int col)
{
	return sqlite3_column_type(st, col) == SQLITE_NULL;
}

const char *sql_text(sqlite3_stmt *st, int col)
{
	return (const char *)sqlite3_column_text(st, col);
}

int sql_dup(sqlite3_stmt *st, int col, char **ret)
{
	const char *s = sql_text(st, col);

	*ret = s && *s ? strdup(s) : NULL;
	return s && *s && !*ret ? -ENOMEM : 0;
}

int sql_one_u64(sqlite3 *db, const char *sql, const u64 *binds, u32 n, u64 *ret)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r;

	r = sql_prepare(db, &st, sql, binds, n);
	if (r < 0)
		return r;
	r = db_step(st);
	if (r < 0)
		return r;
	*ret = r ? sql_u64(st, 0) : 0;
	return 0;
}
