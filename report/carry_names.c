/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * carry_names.c: see carry_names.h. The old database is only read, and all of it before the new one is touched: that has no journal, so that nothing
 * done to it can be taken back.
 */
#include "report/carry_names.h"

#include <errno.h>

#include "base/log.h"
#include "report/db.h"

/*
 * Modules, names by frames of the new database, names of types of tasks with what was asked for them (task_names.c), and the table of libraries that says whose code they are (refine.c labels them anew for another). Frames
 * that the old database has not (it has fewer rows) stay without: that is noted, and the file asked again when it is there.
 */
static const char read_sql[] =
	"CREATE TEMP TABLE carried AS SELECT o.id, o.symbols_from, o.symbols, o.note, EXISTS (SELECT 1 FROM main.frame AS f WHERE f.module_id = o.id "
	"AND NOT EXISTS (SELECT 1 FROM old.frame AS was WHERE was.module_id = f.module_id AND was.file_off = f.file_off "
	"AND was.is_return = f.is_return)) AS in_part FROM old.module AS o JOIN main.module AS m ON m.id = o.id "
	"AND m.path = o.path AND m.build_id IS o.build_id AND m.file_id IS o.file_id "
	"WHERE o.symbols IS NOT NULL AND (m.symbols IS NULL OR (m.symbols = 'symtab' AND o.symbols = 'dwarf'));"
	"CREATE TEMP TABLE carried_symbol AS SELECT f.id AS frame_id, s.depth, s.function, s.file, s.line, s.inlined, s.kind FROM temp.carried AS c "
	"JOIN old.frame AS was ON was.module_id = c.id JOIN old.symbol AS s ON s.frame_id = was.id "
	"JOIN main.frame AS f ON f.module_id = was.module_id AND f.file_off = was.file_off AND f.is_return = was.is_return;"
	"CREATE TEMP TABLE carried_type AS SELECT t.id, t.name, t.name_from, t.kind, m.id AS module_id FROM old.task_type AS t "
	"JOIN old.frame AS was ON was.id = t.poll_frame_id JOIN main.task_type AS n ON n.id = t.id AND n.vtable = t.vtable "
	"JOIN main.frame AS f ON f.id = n.poll_frame_id AND f.module_id = was.module_id AND f.file_off = was.file_off "
	"JOIN old.module AS o ON o.id = was.module_id JOIN main.module AS m ON m.id = o.id AND m.path = o.path "
	"AND m.build_id IS o.build_id AND m.file_id IS o.file_id WHERE t.name IS NOT NULL AND n.name IS NULL;"
	"CREATE TEMP TABLE carried_fact AS SELECT key, value FROM old.meta "
	"WHERE key = 'ascope.libraries' AND EXISTS (SELECT 1 FROM temp.carried) "
	"OR key IN (SELECT 'ascope.task_names.' || module_id FROM temp.carried_type)";

static const char write_sql[] =
	"BEGIN;"
	"DELETE FROM main.symbol WHERE frame_id IN (SELECT frame_id FROM temp.carried_symbol);"
	"INSERT INTO main.symbol SELECT * FROM temp.carried_symbol;"
	"UPDATE main.module SET symbols_from = c.symbols_from || iif(c.in_part, ', in part', ''), symbols = c.symbols, "
	"note = iif(c.in_part, 'names are missing: a part of the recording was loaded without ' || c.symbols_from || '; pass it with --target', c.note) "
	"FROM temp.carried AS c WHERE c.id = module.id;"
	"UPDATE main.task_type SET name = c.name, name_from = c.name_from, kind = c.kind FROM temp.carried_type AS c "
	"WHERE c.id = task_type.id;"
	"INSERT OR REPLACE INTO main.meta SELECT key, value FROM temp.carried_fact;"
	"COMMIT";

static const char drop_sql[] = "DROP TABLE IF EXISTS temp.carried; DROP TABLE IF EXISTS temp.carried_symbol; "
			       "DROP TABLE IF EXISTS temp.carried_type; DROP TABLE IF EXISTS temp.carried_fact";

static int read_old(sqlite3 *db, const char *path)
{
	_cleanup_stmt_ sqlite3_stmt *attach = NULL;
	int err = db_prepare(db, "ATTACH ? AS old", &attach);

	if (!err)
		err = db_run(attach, (struct db_val[]){db_text(path)}, 1);
	if (err)
		return err;
	err = db_exec(db, read_sql);
	if (err)
		log_debug("%s: its names are not taken over: %s", path, sqlite3_errmsg(db));
	(void)sqlite3_finalize(TAKE_PTR(attach));
	(void)sqlite3_exec(db, "DETACH old", NULL, NULL, NULL);
	return err;
}

int carry_names(sqlite3 *db, const char *old_path)
{
	int err = read_old(db, old_path), drop_err;

	if (!err)
		err = db_exec(db, write_sql);
	else if (err != -ENOMEM)
		err = 0;
	drop_err = db_exec(db, drop_sql);
	return err ? err : drop_err;
}
