/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * schema.c: see schema.h. Reads schema.sql and views.sql as their first lines promise: comment lines directly above a CREATE describe it; a comment
 * behind a column is the column's. In a view that is the last word before the comment: its columns stand one a line.
 */
#include "report/schema.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "report/db.h"

struct doc_reader {
	sqlite3_stmt *ins; /* a row of ascope_doc */
	struct buf about;  /* comment lines just read */
	struct buf name;   /* of the table or view that is being read */
	bool in_table, in_view;
};

/* A line of the schema; text is not NUL-terminated. */
struct doc_line {
	const char *text;
	size_t len;
};

static bool line_starts(const struct doc_line *l, const char *s)
{
	return l->len >= strlen(s) && strncmp(l->text, s, strlen(s)) == 0;
}

static bool is_word(char c)
{
	return isalnum((u8)c) || c == '_';
}

/* Length of the word at p, within n bytes. */
static size_t word_len(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && is_word(p[i]))
		i++;
	return i;
}

/* One row; column NULL: about the table or view itself. Resets text. */
static int put_doc(struct doc_reader *r, const char *column, size_t column_len, struct buf *text)
{
	int err;

	buf_putc(&r->name, 0);
	if (buf_err(&r->name) || buf_err(text))
		return -ENOMEM;
	r->name.len--;
	(void)sqlite3_reset(r->ins);
	err = db_errno(sqlite3_bind_text(r->ins, 1, (const char *)r->name.data, (int)r->name.len, SQLITE_TRANSIENT));
	if (!err)
		err = db_errno(column ? sqlite3_bind_text(r->ins, 2, column, (int)column_len, SQLITE_TRANSIENT)
				      : sqlite3_bind_null(r->ins, 2));
	if (!err)
		err = db_errno(sqlite3_bind_text(r->ins, 3, (const char *)text->data, (int)text->len, SQLITE_TRANSIENT));
	if (!err)
		err = db_step(r->ins);
	(void)sqlite3_reset(r->ins);
	buf_reset(text);
	return err < 0 ? err : 0;
}

/* A line "CREATE TABLE name (..." or "CREATE VIEW name ...", from its name on. */
static int begin_object(struct doc_reader *r, const struct doc_line *l, size_t name_at, bool is_view)
{
	const char *name = l->text + name_at;

	buf_reset(&r->name);
	buf_put(&r->name, name, word_len(name, l->len - name_at));
	r->in_view = is_view;
	r->in_table = !is_view;
	return put_doc(r, NULL, 0, &r->about);
}

/* Where the comment of a line is, behind the dashes; NULL without one. */
static const char *comment_of(const struct doc_line *l)
{
	for (const char *p = l->text; p + 3 < l->text + l->len; p++)
		if (strncmp(p, "-- ", 3) == 0)
			return p + 3;
	return NULL;
}

/* The column that a line of a table or view is about; NULL: none. A constraint has no lower-case first word. */
static const char *column_of(const struct doc_reader *r, const struct doc_line *l, const char *comment, size_t *ret_len)
{
	const char *p, *end;

	if (r->in_table) {
		p = l->text + strspn(l->text, " \t");
		*ret_len = word_len(p, (size_t)(l->text + l->len - p));
		return *ret_len && islower((u8)*p) ? p : NULL;
	}
	end = comment - 3;
	while (end > l->text && !is_word(end[-1]))
		end--;
	p = end;
	while (p > l->text && is_word(p[-1]))
		p--;
	*ret_len = (size_t)(end - p);
	return *ret_len ? p : NULL;
}

static int read_column(struct doc_reader *r, const struct doc_line *l)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	const char *comment = comment_of(l), *column;
	size_t len;

	column = comment ? column_of(r, l, comment, &len) : NULL;
	if (!column)
		return 0;
	buf_put(&text, comment, (size_t)(l->text + l->len - comment));
	return put_doc(r, column, len, &text);
}

static int read_line(struct doc_reader *r, const struct doc_line *l)
{
	if (line_starts(l, "-- ")) {
		if (r->about.len)
			buf_putc(&r->about, ' ');
		buf_put(&r->about, l->text + 3, l->len - 3);
		return buf_err(&r->about);
	}
	if (line_starts(l, "CREATE TABLE "))
		return begin_object(r, l, strlen("CREATE TABLE "), false);
	if (line_starts(l, "CREATE VIEW "))
		return begin_object(r, l, strlen("CREATE VIEW "), true);
	buf_reset(&r->about); /* not directly above anything */
	if (r->in_table || r->in_view) {
		if (line_starts(l, r->in_table ? ")" : "FROM "))
			r->in_table = r->in_view = false;
		else
			return read_column(r, l);
	}
	return 0;
}

static int read_docs(struct doc_reader *r, const char *sql)
{
	int err = 0;

	for (const char *p = sql; *p && !err;) {
		struct doc_line l = {p, strcspn(p, "\n")};

		err = read_line(r, &l);
		p += l.len + (p[l.len] == '\n');
	}
	return err;
}

int schema_create(sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	struct doc_reader r = {0};
	int err = db_exec(db, schema_sql);

	if (!err)
		err = db_exec(db, views_sql);
	if (!err)
		err = db_prepare(db, "INSERT INTO ascope_doc VALUES (?, ?, ?)", &ins);
	r.ins = ins;
	if (!err)
		err = read_docs(&r, schema_sql);
	if (!err)
		err = read_docs(&r, views_sql);
	buf_release(&r.about);
	buf_release(&r.name);
	return err;
}

/* Rows in the same order in every database that has the same of them. What ANALYZE makes is SQLite's own. */
static const char objects_sql[] =
	"SELECT type, name, sql FROM sqlite_schema WHERE type <> 'index' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY 1, 2";

static bool same_text(sqlite3_stmt *a, sqlite3_stmt *b, int col)
{
	const char *x = (const char *)sqlite3_column_text(a, col), *y = (const char *)sqlite3_column_text(b, col);

	return x && y && strcmp(x, y) == 0;
}

int schema_matches(sqlite3 *db)
{
	_cleanup_db_ sqlite3 *own = NULL;
	_cleanup_stmt_ sqlite3_stmt *a = NULL, *b = NULL;
	int n = db_errno(sqlite3_open(":memory:", &own)), m;

	if (!n)
		n = db_exec(own, schema_sql);
	if (!n)
		n = db_exec(own, views_sql);
	if (!n)
		n = db_prepare(own, objects_sql, &a);
	if (!n)
		n = db_prepare(db, objects_sql, &b);
	while (!n) {
		n = db_step(a);
		m = db_step(b);
		if (n < 0 || m < 0)
			return n < 0 ? n : m;
		if (n != m || (n && (!same_text(a, b, 0) || !same_text(a, b, 1) || !same_text(a, b, 2))))
			return 0;
		if (!n)
			return 1;
		n = 0;
	}
	return n;
}
