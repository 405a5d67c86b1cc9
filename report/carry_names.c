/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* carry_names.c: see carry_names.h. The old database is only read. */
#include "report/carry_names.h"

#include <errno.h>

#include "base/log.h"
#include "report/db.h"

static const char carry_sql[] =
	"BEGIN;"
	"CREATE TEMP TABLE carried AS SELECT o.id, o.symbols_from, o.symbols, o.note FROM old.module AS o JOIN main.module AS m ON m.id = o.id "
	"AND m.path = o.path AND m.build_id IS o.build_id AND m.file_id IS o.file_id WHERE m.symbols IS NULL AND o.symbols IS NOT NULL;"
	"INSERT OR IGNORE INTO main.symbol SELECT f.id, s.depth, s.function, s.file, s.line, s.inlined, s.kind FROM temp.carried AS c "
	"JOIN old.frame AS was ON was.module_id = c.id JOIN old.symbol AS s ON s.frame_id = was.id "
	"JOIN main.frame AS f ON f.module_id = was.module_id AND f.file_off = was.file_off AND f.is_return = was.is_return;"
	"UPDATE main.module SET (symbols_from, symbols, note) = (SELECT symbols_from, symbols, note FROM temp.carried AS c WHERE c.id = module.id) "
	"WHERE id IN (SELECT id FROM temp.carried);"
	"DROP TABLE temp.carried;"
	"COMMIT";

int carry_names(sqlite3 *db, const char *old_path)
{
	_cleanup_stmt_ sqlite3_stmt *attach = NULL;
	int err = db_prepare(db, "ATTACH ? AS old", &attach);

	if (!err)
		err = db_run(attach, (struct db_val[]){db_text(old_path)}, 1);
	if (err)
		return err == -ENOMEM ? err : 0;
	err = db_exec(db, carry_sql);
	if (err) {
		log_debug("%s: its names are not taken over: %s", old_path, sqlite3_errmsg(db));
		if (!sqlite3_get_autocommit(db))
			(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	}
	(void)sqlite3_finalize(TAKE_PTR(attach));
	(void)sqlite3_exec(db, "DETACH old", NULL, NULL, NULL);
	return err == -ENOSPC || err == -EIO || err == -ENOMEM ? err : 0;
}
