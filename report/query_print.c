/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* query_print.c: see query_print.h. */
#include "report/query_print.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/human.h"
#include "base/json.h"
#include "base/utf8.h"
#include "report/db.h"

/* A table's widths are those of its first rows; later ones only push their own line out of shape. */
#define TABLE_AHEAD 1000
#define TABLE_CELLS 100000

/* The next row; an output that takes no more ends it. 1, 0 or negative errno. */
static int next_row(sqlite3_stmt *s, FILE *out)
{
	return ferror(out) ? -EPIPE : db_step(s);
}

/* Bytes of a column that is a text, a number or a blob. Valid until the next call for the column. */
struct column_bytes {
	const char *p; /* never NULL */
	size_t n;
};

/* The pointer is asked for first: where there is no memory for the value it is NULL, and the length of another try. 0 or -ENOMEM. */
static int column_bytes(sqlite3_stmt *s, int col, struct column_bytes *ret)
{
	const char *p = sqlite3_column_type(s, col) == SQLITE_BLOB ? sqlite3_column_blob(s, col)
								   : (const char *)sqlite3_column_text(s, col);

	*ret = (struct column_bytes){p ? p : "", p ? (size_t)sqlite3_column_bytes(s, col) : 0};
	return !p && sqlite3_errcode(sqlite3_db_handle(s)) == SQLITE_NOMEM ? -ENOMEM : 0;
}

static int hex_of(struct buf *b, sqlite3_stmt *s, int col)
{
	struct column_bytes v;
	int err = column_bytes(s, col, &v);

	for (size_t i = 0; i < v.n; i++)
		buf_printf(b, "%02x", (u8)v.p[i]);
	return err ? err : buf_err(b);
}

/* Shortest text that reads back as the same number, always with a point or an exponent. */
static void real_of(struct buf *b, double v)
{
	char text[32];

	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	buf_puts(b, text);
	if (!strpbrk(text, ".einEIN"))
		buf_puts(b, ".0");
}

/* ---- JSON ---- */

static int json_value(struct json *j, sqlite3_stmt *s, int col)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *text = NULL;
	struct column_bytes v;
	int err = 0;

	switch (sqlite3_column_type(s, col)) {
	case SQLITE_INTEGER:
		json_s64(j, sqlite3_column_int64(s, col));
		return 0;
	case SQLITE_FLOAT:
		if (!isfinite(sqlite3_column_double(s, col)))
			break;
		real_of(&b, sqlite3_column_double(s, col));
		text = buf_take_str(&b);
		if (!text)
			return -ENOMEM;
		json_raw(j, text);
		return 0;
	case SQLITE_TEXT:
		err = column_bytes(s, col, &v);
		if (!err)
			json_stringn(j, v.p, v.n);
		return err;
	case SQLITE_BLOB:
		err = hex_of(&b, s, col);
		text = buf_take_str(&b);
		if (err || !text)
			return -ENOMEM;
		json_string(j, text);
		return 0;
	default:
		break;
	}
	json_null(j);
	return 0;
}

/* Key of a column: its name; a repeated name gets a number, because an object's keys are unique. NULL on ENOMEM. */
static char *json_key_of(sqlite3_stmt *s, int col)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	const char *name = sqlite3_column_name(s, col);
	int before = 0;

	if (!name)
		return NULL;
	for (int i = 0; i < col; i++) {
		const char *other = sqlite3_column_name(s, i);

		if (!other)
			return NULL;
		before += strcmp(other, name) == 0;
	}
	buf_puts(&b, name);
	if (before)
		buf_printf(&b, "_%d", before + 1);
	return buf_take_str(&b);
}

static int print_json(sqlite3_stmt *s, FILE *out)
{
	int cols = sqlite3_column_count(s), n = 0;
	char **keys = calloc((size_t)cols + 1, sizeof(*keys));
	struct json j;

	for (int c = 0; keys && c < cols; c++) {
		keys[c] = json_key_of(s, c);
		if (!keys[c])
			n = -ENOMEM;
	}
	json_init(&j, out, false);
	json_array_begin(&j);
	while (keys && n >= 0 && (n = next_row(s, out)) == 1) {
		(void)fputc('\n', out);
		json_object_begin(&j);
		for (int c = 0; c < cols && n > 0; c++) {
			json_key(&j, keys[c]);
			if (json_value(&j, s, c) < 0)
				n = -ENOMEM;
		}
		json_object_end(&j);
	}
	json_array_end(&j);
	(void)fputc('\n', out);
	for (int c = 0; keys && c < cols; c++)
		free(keys[c]);
	if (!keys)
		n = -ENOMEM;
	free(keys);
	return n;
}

/* ---- CSV, RFC 4180 ---- */

/* Writes valid UTF-8 without NUL: anything else becomes U+FFFD, a quote two. */
static void csv_text(FILE *out, const char *text, size_t n)
{
	for (size_t i = 0, len; i < n; i += len) {
		u32 cp;

		for (len = 0; i + len < n && (u8)text[i + len] < 0x80 && text[i + len] && text[i + len] != '"';)
			len++;
		if (len) {
			(void)fwrite(text + i, 1, len, out);
			continue;
		}
		len = utf8_decode((const u8 *)text + i, n - i, &cp);
		if (!len || !cp) {
			(void)fputs("\xef\xbf\xbd", out);
			len = 1;
		} else {
			if (cp == '"')
				(void)fputc('"', out);
			(void)fwrite(text + i, 1, len, out);
		}
	}
}

/* may_be_formula: a text, for a spreadsheet, which runs what begins so. */
static void csv_field(FILE *out, const char *text, size_t n, bool may_be_formula)
{
	bool is_formula = may_be_formula && n && text[0] && strchr("=+-@\t\r", text[0]);
	bool quoted = is_formula;

	for (size_t i = 0; i < n && !quoted; i++)
		quoted = text[i] && strchr(",\"\r\n", text[i]);
	if (quoted)
		(void)fputc('"', out);
	if (is_formula)
		(void)fputc('\'', out);
	csv_text(out, text, n);
	if (quoted)
		(void)fputc('"', out);
}

static int csv_value(FILE *out, sqlite3_stmt *s, int col, bool exact)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int type = sqlite3_column_type(s, col), err;
	struct column_bytes v;

	if (type == SQLITE_NULL)
		return 0;
	if (type == SQLITE_FLOAT || type == SQLITE_BLOB) {
		if (type == SQLITE_FLOAT)
			real_of(&b, sqlite3_column_double(s, col));
		err = type == SQLITE_BLOB ? hex_of(&b, s, col) : buf_err(&b);
		if (!err)
			csv_field(out, (const char *)b.data, b.len, false);
		return err;
	}
	err = column_bytes(s, col, &v);
	if (err)
		return err;
	if (type == SQLITE_TEXT && !v.n)
		(void)fputs("\"\"", out); /* not NULL */
	else
		csv_field(out, v.p, v.n, type == SQLITE_TEXT && !exact);
	return 0;
}

static int print_csv(sqlite3_stmt *s, FILE *out, bool exact)
{
	int cols = sqlite3_column_count(s), n;

	for (int c = 0; c < cols; c++) {
		const char *name = sqlite3_column_name(s, c);

		if (c)
			(void)fputc(',', out);
		if (!name)
			return -ENOMEM;
		csv_field(out, name, strlen(name), !exact);
	}
	(void)fputs("\r\n", out);
	while ((n = next_row(s, out)) == 1) {
		for (int c = 0; c < cols; c++) {
			int err;

			if (c)
				(void)fputc(',', out);
			err = csv_value(out, s, c, exact);
			if (err)
				return err;
		}
		(void)fputs("\r\n", out);
	}
	return n;
}

/* ---- table ---- */

struct table {
	int cols;
	size_t rows;
	char **names; /* cleaned */
	char **cells; /* rows * cols, then the rest unused */
	bool *right;  /* by cell: numbers */
	size_t *width;
	size_t cap;
};

static void table_release(struct table *t)
{
	for (size_t i = 0; t->cells && i < t->rows * (size_t)t->cols; i++)
		free(t->cells[i]);
	for (int c = 0; t->names && c < t->cols; c++)
		free(t->names[c]);
	free(t->names);
	free(t->cells);
	free(t->right);
	free(t->width);
}

/* Characters, not bytes: cells are valid UTF-8 by now. */
static size_t text_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((u8)*s & 0xc0) != 0x80;
	return n;
}

/* Of n bytes, for a terminal; NULL on ENOMEM. */
static char *clean_text(const char *text, size_t n)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *raw = NULL;

	for (size_t i = 0; i < n; i++)
		buf_putc(&b, text[i] ? (u8)text[i] : 1); /* NUL becomes '?', too */
	raw = buf_take_str(&b);
	return raw ? human_sanitize(raw) : NULL;
}

static char *cell_text(sqlite3_stmt *s, int col, bool *ret_right)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int type = sqlite3_column_type(s, col);
	struct column_bytes v;

	*ret_right = type == SQLITE_INTEGER || type == SQLITE_FLOAT;
	if (type == SQLITE_NULL)
		buf_puts(&b, "NULL");
	else if (type == SQLITE_FLOAT)
		real_of(&b, sqlite3_column_double(s, col));
	else if (type != SQLITE_BLOB)
		return column_bytes(s, col, &v) ? NULL : clean_text(v.p, v.n);
	else if (hex_of(&b, s, col))
		return NULL;
	return buf_take_str(&b);
}

static void print_cell(FILE *out, const char *text, size_t width, bool right, bool is_last)
{
	size_t n = text_width(text), pad = width > n ? width - n : 0;

	if (right)
		(void)fprintf(out, "%*s%s", (int)pad, "", text);
	else if (is_last)
		(void)fputs(text, out);
	else
		(void)fprintf(out, "%s%*s", text, (int)pad, "");
	(void)fputs(is_last ? "\n" : "  ", out);
}

/* One row of the statement into the table; 0 or -ENOMEM. */
static int table_add(struct table *t, sqlite3_stmt *s)
{
	size_t at = t->rows * (size_t)t->cols;

	t->rows++; /* release looks at all cells of it: they are NULL from the start */
	for (int c = 0; c < t->cols; c++) {
		char *text = cell_text(s, c, &t->right[at + (size_t)c]);

		if (!text)
			return -ENOMEM;
		t->cells[at + (size_t)c] = text;
		if (text_width(text) > t->width[c])
			t->width[c] = text_width(text);
	}
	return 0;
}

static void table_print(const struct table *t, FILE *out)
{
	for (int c = 0; c < t->cols; c++) {
		bool right = false;

		/* The first rows of a column of numbers may be NULL. */
		for (size_t r = 0; r < t->rows && !right; r++)
			right = t->right[r * (size_t)t->cols + (size_t)c];
		print_cell(out, t->names[c], t->width[c], right, c == t->cols - 1);
	}
	for (size_t r = 0; r < t->rows; r++)
		for (int c = 0; c < t->cols; c++)
			print_cell(out, t->cells[r * (size_t)t->cols + (size_t)c], t->width[c],
				   t->right[r * (size_t)t->cols + (size_t)c], c == t->cols - 1);
}

/* A row behind those that made the widths. */
static int print_row(const struct table *t, sqlite3_stmt *s, FILE *out)
{
	for (int c = 0; c < t->cols; c++) {
		bool right;
		_cleanup_free_ char *text = cell_text(s, c, &right);

		if (!text)
			return -ENOMEM;
		print_cell(out, text, t->width[c], right, c == t->cols - 1);
	}
	return 0;
}

static int table_init(struct table *t, sqlite3_stmt *s)
{
	size_t cols = (size_t)sqlite3_column_count(s);

	*t = (struct table){.cols = (int)cols, .cap = TABLE_AHEAD * cols > TABLE_CELLS ? TABLE_CELLS / cols : TABLE_AHEAD};
	t->names = calloc(cols, sizeof(*t->names));
	t->cells = calloc(t->cap * cols, sizeof(*t->cells));
	t->right = calloc(t->cap * cols, sizeof(*t->right));
	t->width = calloc(cols, sizeof(*t->width));
	if (!t->names || !t->cells || !t->right || !t->width)
		return -ENOMEM;
	for (size_t c = 0; c < cols; c++) {
		const char *name = sqlite3_column_name(s, (int)c);

		t->names[c] = name ? human_sanitize(name) : NULL;
		if (!t->names[c])
			return -ENOMEM;
		t->width[c] = text_width(t->names[c]);
	}
	return 0;
}

static int print_table(sqlite3_stmt *s, FILE *out)
{
	struct table t;
	int n = table_init(&t, s);

	while (!n && t.rows < t.cap && (n = next_row(s, out)) == 1)
		n = table_add(&t, s);
	if (t.width && n != -ENOMEM)
		table_print(&t, out);
	while (!n && t.rows == t.cap && (n = next_row(s, out)) == 1)
		n = print_row(&t, s, out);
	table_release(&t);
	return n;
}

int query_print(sqlite3_stmt *s, enum query_format format, FILE *out)
{
	if (!sqlite3_column_count(s))
		return db_step(s);
	if (format == QUERY_JSON)
		return print_json(s, out);
	if (format == QUERY_CSV || format == QUERY_CSV_EXACT)
		return print_csv(s, out, format == QUERY_CSV_EXACT);
	return print_table(s, out);
}
