/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* db.c: thin helpers over the SQLite C API; called by the loader, the symbolizer and the commands. */
#include "report/db.h"

#include <errno.h>

#define DB_BUSY_MS 5000

int db_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return 0;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_IOERR:
		return -EIO;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	case SQLITE_INTERRUPT:
		return -EINTR;
	default:
		return -EINVAL;
	}
}

static int open_flags(const char *path, int flags, sqlite3 **ret)
{
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

	if (rc != SQLITE_OK) {
		(void)sqlite3_close(db);
		return db_errno(rc);
	}
	(void)sqlite3_busy_timeout(db, DB_BUSY_MS);
	if (flags == SQLITE_OPEN_READONLY) /* loading turns the journal off, which the defensive mode forbids */
		(void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL); /* there are none */
	if (flags == SQLITE_OPEN_READONLY)				      /* the file may be damaged, or made to be */
		(void)sqlite3_exec(db, "PRAGMA cell_size_check = 1; PRAGMA mmap_size = 0", NULL, NULL, NULL);
	*ret = db;
	return 0;
}

int db_open_rw(const char *path, sqlite3 **ret)
{
	return open_flags(path, SQLITE_OPEN_READWRITE, ret);
}

int db_open_ro(const char *path, sqlite3 **ret)
{
	return open_flags(path, SQLITE_OPEN_READONLY, ret);
}

sqlite3 *db_close(sqlite3 *db)
{
	(void)sqlite3_close(db);
	return NULL;
}

int db_exec(sqlite3 *db, const char *sql)
{
	return db_errno(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret)
{
	return db_errno(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL));
}

int db_step(sqlite3_stmt *s)
{
	int rc = sqlite3_step(s);

	return rc == SQLITE_ROW ? 1 : db_errno(rc);
}

int db_get_s64(sqlite3 *db, const char *sql, s64 *ret)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	err = db_step(s);
	if (err < 0)
		return err;
	if (err == 0)
		return -ENODATA;
	*ret = sqlite3_column_int64(s, 0);
	return 0;
}

int db_bind(sqlite3_stmt *s, const struct db_val *v, u32 n)
{
	int rc = SQLITE_OK;

	(void)sqlite3_reset(s);
	for (u32 i = 0; i < n && rc == SQLITE_OK; i++) {
		int at = (int)i + 1;

		if (v[i].type == DB_VAL_INT)
			rc = sqlite3_bind_int64(s, at, v[i].i);
		else if (v[i].type == DB_VAL_TEXT)
			rc = sqlite3_bind_text(s, at, v[i].s, -1, SQLITE_STATIC);
		else
			rc = sqlite3_bind_null(s, at);
	}
	return db_errno(rc);
}

int db_run(sqlite3_stmt *s, const struct db_val *v, u32 n)
{
	int rc, err = db_bind(s, v, n);

	if (err)
		return err;
	do
		rc = sqlite3_step(s);
	while (rc == SQLITE_ROW);
	err = db_errno(rc);
	(void)sqlite3_reset(s);
	return err;
}
