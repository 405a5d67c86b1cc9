/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* report_fixture.c: see report_fixture.h. */
#include "report_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "report/refine.h"
#include "report/schema.h"
#include "report/sqlrow.h"

void fixture_exec(sqlite3 *db, const char *sql)
{
	char *why = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s", why);
}

/* Tests write rows as they read them: into the views. */
static const char triggers_sql[] =
	"CREATE TRIGGER put_offcpu INSTEAD OF INSERT ON offcpu BEGIN "
	"INSERT INTO _wait (state, role, class, rule, syscall, detail) "
	"SELECT new.state, new.role, new.class, new.rule, new.syscall, new.detail WHERE NOT EXISTS (SELECT 1 FROM _wait WHERE "
	"(state, role) = (new.state, new.role) AND class IS new.class AND rule IS new.rule AND syscall IS new.syscall AND detail IS new.detail);"
	"INSERT INTO _offcpu SELECT new.thread_id, new.ts, coalesce(new.id, (SELECT count(*) FROM _offcpu) + 1), new.dur, new.ts_waking - new.ts, new.cpu, "
	"w.id, new.poll_id, new.stack_id, new.kstack_id, new.waker_tid, new.waker_task, new.ran, new.waker_stack_id, new.waker_kstack_id FROM _wait AS w WHERE "
	"(state, role) = (new.state, new.role) AND class IS new.class AND rule IS new.rule AND syscall IS new.syscall AND detail IS new.detail; END;"
	"CREATE TRIGGER put_sample INSTEAD OF INSERT ON sample BEGIN "
	"INSERT INTO _sample_kind (mode, role) SELECT new.mode, new.role WHERE NOT EXISTS "
	"(SELECT 1 FROM _sample_kind WHERE (mode, role) = (new.mode, new.role));"
	"INSERT INTO _sample SELECT new.thread_id, new.ts, coalesce(new.id, (SELECT count(*) FROM _sample) + 1), new.cpu, k.id, new.poll_id, new.stack_id, "
	"new.kstack_id, NULL, NULL FROM _sample_kind AS k WHERE (mode, role) = (new.mode, new.role); END;"
	"CREATE TRIGGER change_offcpu INSTEAD OF UPDATE ON offcpu BEGIN DELETE FROM _offcpu WHERE id = old.id;"
	"INSERT INTO offcpu SELECT new.id, new.thread_id, new.ts, new.dur, new.ts_waking, new.cpu, new.state, new.role, new.poll_id, new.class, new.rule, "
	"new.syscall, new.detail, new.stack_id, new.kstack_id, new.waker_tid, new.waker_task, new.ran, new.waker_stack_id, new.waker_kstack_id; END;";

static sqlite3 *open_schema(void)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(schema_create(db), 0);
	fixture_exec(db, triggers_sql);
	return db;
}

sqlite3 *fixture_open(void)
{
	_cleanup_library_table_ struct library_table *libraries = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;
	sqlite3 *db = open_schema();

	assert_int_equal(file_read_all("tests/unit/data/report_db.sql", &b, 1 << 20), 0);
	fixture_exec(db, (const char *)b.data);
	/* what loading counts */
	fixture_exec(
		db,
		"UPDATE stack SET weight = 1; INSERT INTO meta SELECT 'ascope.switches', count(*) FROM offcpu "
		"UNION ALL SELECT 'ascope.samples', count(*) FROM sample "
		"UNION ALL SELECT 'ascope.events', count(*) + count(dur) + count(ts_waking) + (SELECT count(*) FROM sample) FROM offcpu "
		"UNION ALL SELECT 'ascope.tasks', count(DISTINCT format('%d:%d', runtime_id, task_id)) FROM poll WHERE task_id IS NOT NULL");
	/* what names add: details, libraries, what to try */
	assert_int_equal(library_table_builtin(&libraries), 0);
	assert_int_equal(refine_run(db, libraries), 0);
	return db;
}

sqlite3 *fixture_open_tasks(void)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	sqlite3 *db = fixture_open();

	assert_int_equal(file_read_all("tests/unit/data/tasks_db.sql", &b, 1 << 20), 0);
	fixture_exec(db, (const char *)b.data);
	return db;
}

sqlite3 *fixture_open_empty(void)
{
	sqlite3 *db = open_schema();

	fixture_exec(db, "INSERT INTO capture VALUES ('u', 'empty.ascope', 1, 1, 1000000000000, 1030000000000, NULL, NULL, NULL, "
			 "2004008, 'complete', '')");
	return db;
}

sqlite3 *fixture_close(sqlite3 *db)
{
	assert_int_equal(sqlite3_close(db), SQLITE_OK); /* busy: a view left a statement open */
	return NULL;
}

char *fixture_run(sqlite3 *db, fixture_view view, const struct report_opts *o)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	assert_non_null(out);
	assert_int_equal(view(db, o, out), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

static sqlite3_stmt *run_one(sqlite3 *db, const char *sql, const char *text)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	if (text)
		assert_int_equal(sqlite3_bind_text(st, 1, text, -1, SQLITE_STATIC), SQLITE_OK);
	if (sqlite3_step(st) != SQLITE_ROW)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	return st;
}

s64 fixture_s64(sqlite3 *db, const char *sql, const char *text)
{
	_cleanup_stmt_ sqlite3_stmt *st = run_one(db, sql, text);

	return sqlite3_column_int64(st, 0);
}

char *fixture_text(sqlite3 *db, const char *sql, const char *text)
{
	_cleanup_stmt_ sqlite3_stmt *st = run_one(db, sql, text);
	const char *s = sql_text(st, 0);

	return s ? strdup(s) : NULL;
}

u32 fixture_count(const char *text, const char *needle)
{
	u32 n = 0;

	for (const char *p = text; (p = strstr(p, needle)) != NULL; p += strlen(needle))
		n++;
	return n;
}
