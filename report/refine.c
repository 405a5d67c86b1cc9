/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* refine.c: see refine.h. Its work is linear in the lists of frames, waits and polls: what names mean is decided once for each name. */
#include "report/refine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "report/advise.h"
#include "report/db.h"
#include "report/frame_kind.h"
#include "report/list_names.h"
#include "report/reclass.h"

/* ---- the table of libraries that the database was made with ---- */

#define HASH_LEN 17

static void hash_text(const struct library_table *libraries, char buf[HASH_LEN])
{
	(void)snprintf(buf, HASH_LEN, "%016llx", (unsigned long long)library_table_hash(libraries));
}

/* 1 the same, 0 another, -ENODATA none yet. */
static int has_same_table(sqlite3 *db, const struct library_table *libraries)
{
	_cleanup_stmt_ sqlite3_stmt *row = NULL;
	char hash[HASH_LEN];
	int err = db_prepare(db, "SELECT value = ? FROM meta WHERE key = 'ascope.libraries'", &row);

	hash_text(libraries, hash);
	if (!err)
		err = db_bind(row, (struct db_val[]){db_text(hash)}, 1);
	if (!err)
		err = db_step(row);
	if (err < 0)
		return err;
	return err ? sqlite3_column_int(row, 0) : -ENODATA;
}

int refine_is_needed(sqlite3 *db, const struct library_table *libraries)
{
	int same = has_same_table(db, libraries);

	return same == -ENODATA ? 1 : same < 0 ? same : !same;
}

/* Whose code a frame is may be another's by another table. Names of JIT code and the kernel are not asked. */
static int relabel_symbols(sqlite3 *db, const struct library_table *libraries)
{
	_cleanup_stmt_ sqlite3_stmt *rows = NULL, *upd = NULL;
	int err = db_prepare(db,
			     "SELECT s.frame_id, s.depth, s.function, s.file, s.kind, m.path FROM symbol AS s "
			     "JOIN frame AS f ON f.id = s.frame_id JOIN module AS m ON m.id = f.module_id "
			     "WHERE s.kind NOT IN ('jit', 'kernel')",
			     &rows);

	if (!err)
		err = db_prepare(db, "UPDATE symbol SET kind = ?3 WHERE frame_id = ?1 AND depth = ?2", &upd);
	while (!err) {
		int n = db_step(rows);
		const char *kind, *was;

		if (n <= 0)
			return n;
		was = (const char *)sqlite3_column_text(rows, 4);
		kind = frame_kind_name(frame_kind_of(libraries, (const char *)sqlite3_column_text(rows, 2),
						     (const char *)sqlite3_column_text(rows, 3),
						     (const char *)sqlite3_column_text(rows, 5)));
		if (!was || strcmp(was, kind) != 0)
			err = db_run(upd,
				     (struct db_val[]){DB_INT(sqlite3_column_int64(rows, 0)),
						       DB_INT(sqlite3_column_int64(rows, 1)), db_text(kind)},
				     3);
	}
	return err;
}

static int use_table(sqlite3 *db, const struct library_table *libraries)
{
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	int same = has_same_table(db, libraries), err;
	char hash[HASH_LEN];

	if (same == 1 || (same < 0 && same != -ENODATA))
		return same == 1 ? 0 : same;
	err = same == 0 ? relabel_symbols(db, libraries) : 0;
	hash_text(libraries, hash);
	if (!err)
		err = db_prepare(db, "INSERT OR REPLACE INTO meta VALUES ('ascope.libraries', ?)", &ins);
	return err ? err : db_run(ins, (struct db_val[]){db_text(hash)}, 1);
}

/* ---- places ---- */

/*
 * Fills stack_place. Of a stack's lists the one with the best frame is taken, of equals the inner one (beside a lone min() SQLite
 * takes the other columns from the row that has it); callers of the frame that polls the task do not count.
 */
static int find_places(sqlite3 *db)
{
	return db_exec(db, "DELETE FROM stack_place;"
			   "INSERT INTO stack_place SELECT stack_id, function, file, line, kind FROM "
			   "(SELECT p.stack_id, n.function, n.file, n.line, n.kind, min(2 * n.rank + (p.depth > 0)) "
			   "FROM stack_part AS p CROSS JOIN temp.list_name AS n ON n.list_id = p.list_id "
			   "WHERE n.rank IS NOT NULL AND (p.depth = 0 OR NOT EXISTS (SELECT 1 FROM stack_part AS leaf "
			   "JOIN temp.list_name AS ll USING (list_id) "
			   "WHERE leaf.stack_id = p.stack_id AND leaf.depth = 0 AND ll.polls)) GROUP BY p.stack_id)");
}

/* Polls on the cpu: the function that most of the evidence shows, then the commonest stack with it. */
static const char cpu_stack_sql[] =
	"WITH evidence AS (SELECT e.stack_id, sp.function FROM (SELECT stack_id FROM sample WHERE poll_id = ?1 "
	"AND stack_id IS NOT NULL UNION ALL "
	"SELECT stack_id FROM offcpu WHERE poll_id = ?1 AND state = 'R' AND stack_id IS NOT NULL) AS e "
	"LEFT JOIN stack_place AS sp USING (stack_id)), "
	"best AS (SELECT function FROM evidence GROUP BY function ORDER BY function IS NULL, count(*) DESC, function LIMIT 1) "
	"UPDATE poll SET stack_id = (SELECT stack_id FROM evidence WHERE function IS (SELECT function FROM best) GROUP BY stack_id "
	"ORDER BY count(*) DESC, stack_id LIMIT 1) WHERE id = ?1 AND EXISTS (SELECT 1 FROM evidence)";

static int choose_cpu_stacks(sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *polls = NULL, *choose = NULL;
	/* a poll of one sample has no choice */
	int err = db_prepare(db, "SELECT id FROM poll WHERE class = 'cpu' AND dur > 0", &polls);

	if (!err)
		err = db_prepare(db, cpu_stack_sql, &choose);
	while (!err) {
		int n = db_step(polls);

		if (n <= 0)
			return n;
		err = db_run(choose, (struct db_val[]){DB_INT(sqlite3_column_int64(polls, 0))}, 1);
	}
	return err;
}

int refine_run(sqlite3 *db, const struct library_table *libraries)
{
	int err = use_table(db, libraries);

	if (!err)
		err = list_names_make(db, libraries);
	if (!err)
		err = find_places(db);
	if (!err)
		err = reclass_waits(db);
	if (!err)
		err = choose_cpu_stacks(db);
	if (!err)
		err = db_exec(db, "UPDATE poll SET (function, file, line) = "
				  "(SELECT function, file, line FROM stack_place AS p WHERE p.stack_id = poll.stack_id) "
				  "WHERE function IS NOT NULL OR stack_id IN (SELECT stack_id FROM stack_place)");
	return err ? err : advise_polls(db, libraries);
}
