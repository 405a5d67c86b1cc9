/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * query_schema.c: see query_schema.h. Reads schema.sql as its first lines promise: comment lines directly above a CREATE
 * describe it, a comment behind a column is the column's. The columns of a view are asked from SQLite.
 */
#include "report/query_schema.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "report/db.h"
#include "report/schema_sql.h"

struct schema_reader {
	FILE *out;
	sqlite3 *db;	  /* empty, with the schema: for the columns of views */
	struct buf about; /* comment lines just read */
	bool in_table;
	bool in_view;
	bool any;
};

/* A line of the schema; text is not NUL-terminated. */
struct line {
	const char *text;
	size_t len;
};

static bool line_starts(const struct line *l, const char *s)
{
	return l->len >= strlen(s) && strncmp(l->text, s, strlen(s)) == 0;
}

/* Length of the word at p, within n bytes. */
static size_t word_len(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && (isalnum((u8)p[i]) || p[i] == '_'))
		i++;
	return i;
}

static void print_about(struct schema_reader *r)
{
	(void)fwrite(r->about.data, 1, r->about.len, r->out);
	buf_reset(&r->about);
}

static int print_view_columns(struct schema_reader *r, const char *name, size_t n)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *sql = NULL;
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int err;

	buf_printf(&b, "SELECT * FROM %.*s", (int)n, name);
	sql = buf_take_str(&b);
	if (!sql)
		return -ENOMEM;
	err = db_prepare(r->db, sql, &s);
	if (err)
		return err;
	for (int c = 0; c < sqlite3_column_count(s); c++)
		(void)fprintf(r->out, "    %s\n", sqlite3_column_name(s, c));
	return 0;
}

static int begin_object(struct schema_reader *r, const struct line *l, const char *what)
{
	const char *name = l->text + strlen(what);
	size_t n = word_len(name, l->len - strlen(what));
	bool is_view = line_starts(l, "CREATE VIEW");

	(void)fprintf(r->out, "%s%s %.*s\n", r->any ? "\n" : "", is_view ? "view" : "table", (int)n, name);
	r->any = true;
	print_about(r);
	r->in_view = is_view;
	/* a table on one line has its columns there */
	r->in_table = !is_view && !memchr(l->text, ';', l->len);
	if (!is_view && !r->in_table) {
		const char *open = memchr(l->text, '(', l->len), *end = l->text + l->len;

		(void)fprintf(r->out, "    %.*s\n", (int)(end - open), open);
	}
	return is_view ? print_view_columns(r, name, n) : 0;
}

/* "    name TYPE ..., -- comment": name, type and comment. Constraints have no comment and no lower-case first word. */
static void print_column(struct schema_reader *r, const struct line *l)
{
	size_t lead = strspn(l->text, " "), name_len, type_len;
	const char *name = l->text + lead, *type, *comment = NULL;

	name_len = word_len(name, l->len - lead);
	if (!name_len || !islower((u8)name[0]))
		return;
	type = name + name_len + strspn(name + name_len, " ");
	type_len = word_len(type, (size_t)(l->text + l->len - type));
	for (const char *p = l->text; p + 3 < l->text + l->len && !comment; p++)
		if (strncmp(p, "-- ", 3) == 0)
			comment = p + 3;
	(void)fprintf(r->out, "    %-14.*s %-8.*s", (int)name_len, name, (int)type_len, type);
	if (comment)
		(void)fprintf(r->out, " %.*s", (int)(l->text + l->len - comment), comment);
	(void)fputc('\n', r->out);
}

static int read_line(struct schema_reader *r, const struct line *l)
{
	if (line_starts(l, "-- ")) {
		buf_puts(&r->about, "    ");
		buf_put(&r->about, l->text + 3, l->len - 3);
		buf_putc(&r->about, '\n');
		return buf_err(&r->about);
	}
	if (line_starts(l, "CREATE TABLE "))
		return begin_object(r, l, "CREATE TABLE ");
	if (line_starts(l, "CREATE VIEW "))
		return begin_object(r, l, "CREATE VIEW ");
	buf_reset(&r->about); /* not directly above anything */
	if (line_starts(l, ")"))
		r->in_table = false;
	else if (r->in_table)
		print_column(r, l);
	return 0;
}

int query_schema_print(FILE *out)
{
	struct schema_reader r = {.out = out};
	int err = db_errno(sqlite3_open(":memory:", &r.db));

	if (!err)
		err = db_exec(r.db, schema_sql);
	for (const char *p = schema_sql; *p && !err;) {
		struct line l = {p, strcspn(p, "\n")};

		err = read_line(&r, &l);
		p += l.len + (p[l.len] == '\n');
	}
	buf_release(&r.about);
	db_close(r.db);
	return err;
}
