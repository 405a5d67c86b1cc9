/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * db.h: the few things ascope does with SQLite, as negative errno instead of result codes. Nothing here logs;
 * sqlite3_errmsg() of the connection says more until the next call.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"

#define SCHEMA_VERSION	      6		 /* PRAGMA user_version; a database of another version is made anew */
#define SCHEMA_APPLICATION_ID 0x4153434f /* PRAGMA application_id, "ASCO" */

/*
 * 0 for SQLITE_OK, SQLITE_DONE and SQLITE_ROW; -ENOMEM, -ENOSPC, -EIO, -EROFS, -EACCES, -EBUSY, -EBADMSG (corrupt, not a
 * database), else -EINVAL.
 */
int db_errno(int rc) __must_check;

/*
 * Opens a connection to a file for reading and writing (it must exist) or for reading only. The caller closes it with
 * db_close().
 */
int db_open_rw(const char *path, sqlite3 **ret) __must_check;
int db_open_ro(const char *path, sqlite3 **ret) __must_check;
sqlite3 *db_close(sqlite3 *db); /* accepts NULL, returns NULL; statements must be finalized */

int db_exec(sqlite3 *db, const char *sql) __must_check; /* one or more statements, rows ignored */
int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret) __must_check;

/* One row: 1 a row is there, 0 done, or negative errno. */
int db_step(sqlite3_stmt *s) __must_check;

/* The first column of the first row as an integer; -ENODATA when there is no row. */
int db_get_s64(sqlite3 *db, const char *sql, s64 *ret) __must_check;

/* One value to bind. Text is borrowed until the statement has run. */
struct db_val {
	enum { DB_VAL_NULL, DB_VAL_INT, DB_VAL_TEXT } type;
	s64 i;
	const char *s;
};

#define DB_NULL	  ((struct db_val){.type = DB_VAL_NULL})
#define DB_INT(v) ((struct db_val){.type = DB_VAL_INT, .i = (s64)(v)})

/* NULL when s is NULL. */
static inline struct db_val db_text(const char *s)
{
	return s ? (struct db_val){.type = DB_VAL_TEXT, .s = s} : DB_NULL;
}

/* NULL when v is 0: most ids and numbers of a capture have 0 for "none". */
static inline struct db_val db_opt(u64 v)
{
	return v ? DB_INT(v) : DB_NULL;
}

int db_bind(sqlite3_stmt *s, const struct db_val *v, u32 n) __must_check; /* parameters 1..n, after a reset */
int db_run(sqlite3_stmt *s, const struct db_val *v, u32 n) __must_check;  /* binds, runs to the end, resets */

static inline void db_stmt_cleanup_p(sqlite3_stmt **s)
{
	(void)sqlite3_finalize(*s);
}

static inline void db_cleanup_p(sqlite3 **db)
{
	*db = db_close(*db);
}

#define _cleanup_stmt_ _cleanup_(db_stmt_cleanup_p)
#define _cleanup_db_   _cleanup_(db_cleanup_p)
