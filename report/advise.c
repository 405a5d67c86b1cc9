/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * advise.c: see advise.h. There may be millions of polls but only so many pairs of class and libraries, so the table is asked once
 * for each pair, from within the one statement that updates them.
 */
#include "report/advise.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/buf.h"
#include "base/strtab.h"
#include "report/db.h"

struct adviser {
	const struct library_table *libraries;
	struct strtab *asked; /* class, detail, libraries: index i is answered by answers[i] */
	struct strtab *texts; /* answers: index = advice.id */
	u32 *answers;
	size_t cap;
	struct buf key;
};

static int remember(struct adviser *a, u32 idx, u32 answer)
{
	if (ARRAY_ROOM(a->answers, idx, &a->cap) < 0)
		return -ENOMEM;
	a->answers[idx] = answer;
	return 0;
}

/* advice.id, 0 none; negative errno. */
static s64 ask(struct adviser *a, const char *cls, const char *detail, const char *names)
{
	const char *text;
	u32 idx, answer = 0;
	bool is_new;
	int err;

	buf_reset(&a->key);
	buf_printf(&a->key, "%s\n%s\n%s", cls, detail ? detail : "", names);
	err = buf_err(&a->key);
	if (!err)
		err = strtab_intern(a->asked, (const char *)a->key.data, a->key.len, &idx, &is_new);
	if (err)
		return err;
	if (!is_new)
		return a->answers[idx];
	text = library_table_try(a->libraries, cls, detail, names);
	if (text)
		err = strtab_intern(a->texts, text, strlen(text), &answer, NULL);
	if (!err)
		err = remember(a, idx, answer);
	return err ? err : (s64)answer;
}

/* SQL: advice_id(class, detail, libraries) */
static void advice_id(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	const char *cls = (const char *)sqlite3_value_text(argv[0]), *detail = (const char *)sqlite3_value_text(argv[1]),
		   *names = (const char *)sqlite3_value_text(argv[2]);
	s64 id = cls ? ask(sqlite3_user_data(ctx), cls, detail, names ? names : "") : 0;

	(void)argc;
	if (id < 0)
		sqlite3_result_error_nomem(ctx);
	else if (id)
		sqlite3_result_int64(ctx, id);
}

/*
 * The libraries of each poll's stack, those that count most first: temporary table stack_library. Inside the user's own code
 * that is the one it called, then those further in; without any, the innermost. A stack may have two lists, of the interrupted
 * address and of its callers; callers behind the user's own frame, or behind the poll of the task, do not count.
 */
static const char stack_library_sql[] =
	"DROP TABLE IF EXISTS temp.stack_library;"
	"CREATE TEMP TABLE stack_library (stack_id INTEGER PRIMARY KEY, names TEXT, library TEXT);"
	"INSERT INTO stack_library SELECT stack_id, names, nullif(substr(names, 1, instr(names, char(10)) - 1), '') FROM ("
	"SELECT s.stack_id, CASE WHEN a.has_user THEN a.libs_out WHEN a.polls THEN a.libs_in "
	"WHEN b.has_user THEN b.libs_out || coalesce(a.libs_out, '') "
	"ELSE coalesce(a.libs_in, '') || coalesce(b.libs_in, '') END AS names "
	"FROM (SELECT DISTINCT stack_id FROM poll WHERE stack_id IS NOT NULL AND (waits > 0 OR dur > 0)) AS s "
	"LEFT JOIN stack_part AS p ON p.stack_id = s.stack_id AND p.depth = 0 LEFT JOIN temp.list_name AS a ON a.list_id = p.list_id "
	"LEFT JOIN stack_part AS q ON q.stack_id = s.stack_id AND q.depth > 0 LEFT JOIN temp.list_name AS b ON b.list_id = q.list_id) "
	"WHERE true ON CONFLICT DO NOTHING";

static int write_texts(sqlite3 *db, const struct strtab *texts)
{
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	int err = db_exec(db, "DELETE FROM advice");

	if (!err)
		err = db_prepare(db, "INSERT INTO advice VALUES (?, ?)", &ins);
	for (u32 i = 1; i <= strtab_count(texts) && !err; i++)
		err = db_run(ins, (struct db_val[]){DB_INT(i), db_text(strtab_get(texts, i, NULL))}, 2);
	return err;
}

static int update_polls(sqlite3 *db, struct adviser *a)
{
	int err = db_errno(sqlite3_create_function(db, "advice_id", 3, SQLITE_UTF8, a, advice_id, NULL, NULL));

	if (err)
		return err;
	err = db_exec(db, "UPDATE poll SET "
			  "library = (SELECT library FROM temp.stack_library AS l WHERE l.stack_id = poll.stack_id), "
			  "advice_id = advice_id(class, detail, (SELECT names FROM temp.stack_library AS l "
			  "WHERE l.stack_id = poll.stack_id)) WHERE waits > 0 OR dur > 0");
	/* it points at this function's memory */
	(void)sqlite3_create_function(db, "advice_id", 3, SQLITE_UTF8, NULL, NULL, NULL, NULL);
	return err;
}

int advise_polls(sqlite3 *db, const struct library_table *libraries)
{
	struct adviser a = {.libraries = libraries, .asked = strtab_new(), .texts = strtab_new()};
	int err = a.asked && a.texts ? db_exec(db, stack_library_sql) : -ENOMEM;

	if (!err)
		err = update_polls(db, &a);
	if (!err)
		err = write_texts(db, a.texts);
	(void)strtab_free(a.asked);
	(void)strtab_free(a.texts);
	buf_release(&a.key);
	free(a.answers);
	return err;
}
