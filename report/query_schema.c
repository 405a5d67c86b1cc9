/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* query_schema.c: see query_schema.h. The database may be anybody's: what is printed is cleaned for the terminal. */
#include "report/query_schema.h"

#include <errno.h>
#include <string.h>

#include "base/human.h"
#include "report/db.h"
#include "report/schema.h"

#define TEXT_WIDTH   120 /* where sentences are broken */
#define COLUMN_WIDTH 14
#define TYPE_WIDTH   8

/* What is listed, what is internal last; and its sentence. */
static const char objects_sql[] =
	"SELECT s.type, s.name, d.text FROM sqlite_schema AS s LEFT JOIN ascope_doc AS d ON d.name = s.name AND d.\"column\" IS NULL "
	"WHERE s.type IN ('table', 'view') AND s.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
	"ORDER BY s.name LIKE '\\_%' ESCAPE '\\', s.type = 'table', s.name";

static const char columns_sql[] =
	"SELECT c.name, c.type, d.text FROM pragma_table_xinfo(?1) AS c LEFT JOIN ascope_doc AS d ON d.name = ?1 AND d.\"column\" = c.name "
	"ORDER BY c.cid";

/* Text of a column of the statement, cleaned; "" when null. */
static const char *clean_column(sqlite3_stmt *s, int col, struct human_clean *to)
{
	const char *text = (const char *)sqlite3_column_text(s, col);

	return text ? human_clean(to, text, (size_t)sqlite3_column_bytes(s, col)) : "";
}

/* Breaks the text at blanks, each line behind four blanks. */
static void print_wrapped(FILE *out, const char *text)
{
	size_t at = 0;

	while (*text) {
		size_t n = strcspn(text, " ");

		if (at && at + 1 + n > TEXT_WIDTH) {
			(void)fputc('\n', out);
			at = 0;
		}
		(void)fprintf(out, "%s%.*s", at ? " " : "    ", (int)n, text);
		at += n + (at ? 1 : 4);
		text += n + (text[n] == ' ');
	}
	if (at)
		(void)fputc('\n', out);
}

/* `clean` is room for one text. */
static int print_columns(sqlite3_stmt *columns, const char *name, struct human_clean *clean, FILE *out)
{
	int n = db_bind(columns, (struct db_val[]){db_text(name)}, 1);

	while (!n && (n = db_step(columns)) == 1) {
		bool has_type = sqlite3_column_bytes(columns, 1) > 0, has_text = sqlite3_column_bytes(columns, 2) > 0;

		(void)fprintf(out, "    %-*s", has_type || has_text ? COLUMN_WIDTH : 0, clean_column(columns, 0, clean));
		if (has_type || has_text)
			(void)fprintf(out, " %-*s", has_text ? TYPE_WIDTH : 0, clean_column(columns, 1, clean));
		(void)fprintf(out, "%s%s\n", has_text ? " " : "", clean_column(columns, 2, clean));
		n = 0;
	}
	return n;
}

static int print_objects(sqlite3 *db, FILE *out)
{
	_cleanup_stmt_ sqlite3_stmt *objects = NULL, *columns = NULL;
	struct human_clean clean;
	bool any = false;
	int n = db_prepare(db, objects_sql, &objects);

	if (!n)
		n = db_prepare(db, columns_sql, &columns);
	while (!n && (n = db_step(objects)) == 1) {
		const char *name = (const char *)sqlite3_column_text(objects, 1);

		(void)fprintf(out, "%s%s", any ? "\n" : "", clean_column(objects, 0, &clean));
		(void)fprintf(out, " %s\n", clean_column(objects, 1, &clean));
		any = true;
		print_wrapped(out, clean_column(objects, 2, &clean));
		n = print_columns(columns, name ? name : "", &clean, out);
	}
	return n;
}

int query_schema_print(sqlite3 *db, FILE *out)
{
	_cleanup_db_ sqlite3 *own = NULL;
	int err;

	if (db)
		return print_objects(db, out);
	err = db_errno(sqlite3_open(":memory:", &own));
	if (!err)
		err = schema_create(own);
	return err ? err : print_objects(own, out);
}
