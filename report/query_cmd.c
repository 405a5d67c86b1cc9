/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* query_cmd.c: `ascope query FILE "SQL"`: one read-only statement over a capture's database. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/human.h"
#include "base/log.h"
#include "base/opts.h"
#include "report/capture_db.h"
#include "report/cmds.h"
#include "report/db.h"
#include "report/query_print.h"
#include "report/query_schema.h"
#include "report/rows_needed.h"
#include "report/sqlrow.h"

#define MAX_SQL		 (1 << 20) /* bytes read from stdin */
#define PROGRESS_OPCODES 10000

/*
 * What one statement may take: sooner or later somebody asks a database that somebody else made. A value or a row longer than this ends the statement
 * ("string or blob too big"); what sorting and grouping need beyond SQLite's cache goes to a temporary file.
 */
#define MAX_VALUE      (64 << 20) /* bytes */
#define MAX_LIKE       1000	  /* bytes of a LIKE or GLOB pattern: they take exponential time */
#define POINT_AT_WIDTH 120	  /* characters of a line of SQL that an error shows */

struct query_opts {
	struct capture_opts capture;
	bool csv, csv_exact, json, schema, load;
	u64 timeout; /* ns; 0 none */
};

static u64 now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * NSEC_PER_SEC + (u64)ts.tv_nsec;
}

static int is_late(void *deadline)
{
	return now_ns() > *(const u64 *)deadline;
}

/* Pragmas that only tell something. */
static bool is_harmless_pragma(const char *name, const char *value)
{
	static const char *const with_value[] = {"table_info",	    "table_xinfo", "table_list",       "index_list",
						 "index_info",	    "index_xinfo", "foreign_key_list", "foreign_key_check",
						 "integrity_check", "quick_check"};

	if (!value)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(with_value); i++)
		if (sqlite3_stricmp(name, with_value[i]) == 0)
			return true;
	return false;
}

/* The connection is read-only already; this keeps other files out, VACUUM INTO included. */
static int authorize(void *ctx, int action, const char *a, const char *b, const char *database, const char *trigger)
{
	(void)ctx;
	(void)database;
	(void)trigger;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_CREATE_TABLE:
	case SQLITE_INSERT:
	case SQLITE_UPDATE:
		/* json_each() and pragma_...() declare themselves so; in the file the connection refuses it */
		return action == SQLITE_CREATE_TABLE || (a && strcmp(a, "sqlite_master") == 0) ? SQLITE_OK : SQLITE_DENY;
	case SQLITE_FUNCTION:
		return b && sqlite3_stricmp(b, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
	case SQLITE_PRAGMA:
		return is_harmless_pragma(a, b) ? SQLITE_OK : SQLITE_DENY;
	default:
		return SQLITE_DENY;
	}
}

static bool is_char_begin(char c)
{
	return ((u8)c & 0xc0) != 0x80;
}

/* Text as it is, but what a terminal would obey. */
static void put_clean(struct buf *b, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_putc(b, ((u8)s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7f ? '?' : (u8)s[i]);
}

/* The line of the SQL that holds byte `off`, or a part of a long one, and a caret below it; where there are several lines, which one it is. */
static void point_at(struct buf *b, const char *sql, size_t off)
{
	size_t begin = off, end, line = 1;

	while (begin && sql[begin - 1] != '\n' && off - begin < POINT_AT_WIDTH / 2)
		begin--;
	while (begin && sql[begin - 1] != '\n' && !is_char_begin(sql[begin]))
		begin++;
	end = begin + strcspn(sql + begin, "\n");
	if (end - begin > POINT_AT_WIDTH)
		end = begin + POINT_AT_WIDTH;
	while (end > begin && sql[end] && !is_char_begin(sql[end]))
		end--;
	for (size_t i = 0; i < off; i++)
		line += sql[i] == '\n';
	if (strchr(sql, '\n'))
		buf_printf(b, " (line %zu)", line);
	buf_puts(b, "\n  ");
	put_clean(b, sql + begin, end - begin);
	buf_puts(b, "\n  ");
	for (size_t i = begin; i < off; i++)
		if (is_char_begin(sql[i]))
			buf_putc(b, sql[i] == '\t' ? '\t' : ' ');
	buf_putc(b, '^');
}

static void explain_error(sqlite3 *db, const char *sql, int err, u64 timeout)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *text = NULL;
	int off = sqlite3_error_offset(db);

	if (err == -EINTR) {
		log_error("stopped after --timeout (%llu ms)", (unsigned long long)(timeout / NSEC_PER_MSEC));
		return;
	}
	if (err == -ENOMEM) {
		log_error("SQL: %s", strerror(ENOMEM));
		return;
	}
	if (sqlite3_errcode(db) == SQLITE_AUTH)
		buf_puts(
			&b,
			"not allowed here: ascope query only reads this capture's database (no ATTACH, no changes, no settings)");
	else
		buf_puts(&b, sqlite3_errmsg(db));
	if (off >= 0 && (size_t)off <= strlen(sql))
		point_at(&b, sql, (size_t)off);
	text = buf_take_str(&b);
	log_error("SQL: %s", text ? text : strerror(ENOMEM));
}

/* True when nothing but blanks, semicolons and comments follows. */
static bool is_blank_sql(sqlite3 *db, const char *sql)
{
	while (*sql) {
		_cleanup_stmt_ sqlite3_stmt *s = NULL;
		const char *tail = sql;

		if (sqlite3_prepare_v2(db, sql, -1, &s, &tail) != SQLITE_OK || s)
			return false;
		if (tail == sql)
			break;
		sql = tail;
	}
	return true;
}

static int run_sql(sqlite3 *db, const char *sql, const struct query_opts *q)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	enum query_format format = q->json ? QUERY_JSON : q->csv_exact ? QUERY_CSV_EXACT : q->csv ? QUERY_CSV : QUERY_TABLE;
	u64 deadline = now_ns() + q->timeout;
	const char *tail = "";
	int err;

	(void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, MAX_VALUE);
	(void)sqlite3_limit(db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, MAX_LIKE);
	(void)sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
	(void)sqlite3_set_authorizer(db, authorize, NULL);
	if (q->timeout)
		sqlite3_progress_handler(db, PROGRESS_OPCODES, is_late, &deadline);
	err = db_errno(sqlite3_prepare_v2(db, sql, -1, &s, &tail));
	if (!err && !s) {
		log_error("SQL: there is no statement in it; ascope query --schema lists the tables");
		return -EINVAL;
	}
	if (!err && !is_blank_sql(db, tail)) {
		log_error("SQL: one statement at a time; behind the first there is: %.40s", tail);
		return -EINVAL;
	}
	if (!err)
		err = query_print(s, format, stdout);
	if (err && err != -EPIPE)
		explain_error(db, sql, err, q->timeout);
	return err;
}

/* The SQL: the operand, or standard input when that is `-` or missing on a pipe. NULL after the mistake was named. */
static char *read_sql(const char *operand)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char *text;
	int err;

	if (operand && strcmp(operand, "-") != 0) {
		text = strdup(operand);
		if (!text)
			log_error("%s", strerror(ENOMEM));
		return text;
	}
	err = fd_read_all(STDIN_FILENO, &b, MAX_SQL);
	if (err == -EFBIG)
		log_error("the SQL on standard input is longer than %d bytes", MAX_SQL);
	else if (err < 0)
		log_error("cannot read SQL from standard input: %s", strerror(-err));
	else if (b.len && memchr(b.data, 0, b.len)) {
		log_error("the SQL on standard input has a NUL byte in it: that is no text");
		err = -EINVAL;
	}
	if (err < 0)
		return NULL;
	text = buf_take_str(&b);
	if (!text)
		log_error("%s", strerror(ENOMEM));
	return text;
}

/* Output that did not get out: main() says so. */
static int flush_output(void)
{
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -EIO;
}

/* For programs that read the database themselves. */
static int load_file(struct query_opts *q)
{
	struct capture_db *db;

	q->capture.rows = CAPTURE_ROWS_ALL;
	if (q->capture.no_cache) {
		log_error("--load with --no-cache would leave nothing: name a place with --db FILE");
		return 2;
	}
	if (capture_db_open(&q->capture, &db) < 0)
		return 1;
	(void)printf("%s\n", capture_db_path(db));
	capture_db_close(db);
	return flush_output() < 0 ? 1 : 0;
}

/* On standard error, with the first of the verdict's reasons. */
static void warn_partial(sqlite3 *db, const char *path)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	struct human_clean why;
	const char *text = NULL;

	if (sql_prepare(db, &st, "SELECT verdict_why FROM capture", NULL, 0) == 0 && db_step(st) > 0)
		text = sql_text(st, 0);
	if (!text)
		text = "";
	log_warn("%s is incomplete%s%s (SELECT verdict_why FROM capture; SELECT * FROM loss; SELECT path, note FROM module)",
		 path, *text ? ": " : "", human_clean(&why, text, strcspn(text, "\n")));
}

static int query_file(struct query_opts *q, const char *operand)
{
	_cleanup_free_ char *sql = read_sql(operand);
	struct capture_db *db;
	int err;

	if (!sql)
		return 1;
	if (rows_needed(sql, &q->capture.rows) < 0)
		q->capture.rows = CAPTURE_ROWS_ALL;
	if (capture_db_open(&q->capture, &db) < 0)
		return 1;
	err = run_sql(capture_db_handle(db), sql, q);
	if (flush_output() < 0)
		err = -EIO;
	if (!err && capture_db_is_partial(db)) {
		warn_partial(capture_db_handle(db), q->capture.capture);
		err = 3;
	}
	capture_db_close(db);
	return err < 0 ? 1 : err;
}

/* db NULL: of a database that any capture would have. */
static int print_schema(sqlite3 *db)
{
	int err = query_schema_print(db, stdout);

	if (err)
		log_error("cannot print the schema: %s", strerror(-err));
	return err || flush_output() < 0 ? 1 : 0;
}

static int schema_of_file(const struct query_opts *q)
{
	struct capture_db *db;
	int res;

	if (capture_db_open(&q->capture, &db) < 0)
		return 1;
	res = print_schema(capture_db_handle(db));
	capture_db_close(db);
	return res;
}

/* Says what is wrong with what is asked for; 0 when nothing is. */
static int check_usage(const struct query_opts *q, int n, char **operands)
{
	if ((q->csv || q->csv_exact) && q->json)
		log_error("--csv or --json, not both");
	else if (q->schema && n > 1)
		log_error("--schema takes no SQL: ascope query --schema, or ascope query FILE --schema");
	else if (q->load && (q->schema || n != 1))
		log_error("--load takes a capture alone: ascope query FILE --load");
	else if (q->schema || q->load)
		return 0;
	else if (n < 1 || n > 2)
		log_error("%s (see ascope query --help)",
			  n ? "too many arguments: put the SQL in quotes" : "which capture? ascope query FILE \"SQL\"");
	else if (n == 1 && isatty(STDIN_FILENO))
		log_error("no SQL: ascope query %s \"SELECT ...\"; --schema lists the tables", operands[0]);
	else
		return 0;
	return -EINVAL;
}

int query_cmd(int argc, char **argv)
{
	struct query_opts q = {0};
	const struct opt table[] = {
		{0, "csv", OPT_FLAG, &q.csv, NULL, "comma-separated values (RFC 4180)", NULL},
		{0, "csv-exact", OPT_FLAG, &q.csv_exact, NULL,
		 "the same, and texts that a spreadsheet takes for formulas stay as they are", NULL},
		{0, "json", OPT_FLAG, &q.json, NULL, "one array of objects", NULL},
		{0, "schema", OPT_FLAG, &q.schema, NULL, "list tables, views and columns, and what they mean", NULL},
		{0, "load", OPT_FLAG, &q.load, NULL,
		 "load all rows and print the path of the database, for sqlite3, Datasette, Python", NULL},
		{0, "timeout", OPT_DURATION, &q.timeout, "TIME", "give up after this long (default: never)", NULL},
		CAPTURE_OPT_ROWS(&q.capture),
	};
	const struct opts o = {
		.command = "ascope query",
		.synopsis = "FILE \"SQL\"\nFILE - < query.sql\n[FILE] --schema\nFILE --load",
		.summary = "Runs one SQL statement on a capture, read-only, and prints its rows.",
		.table = table,
		.n = ARRAY_SIZE(table),
		.epilog =
			"Example: ascope query orders.ascope \"SELECT function, line, dur / 1e6 AS ms FROM blocking ORDER BY dur DESC LIMIT 10\"\n"
			"Exit codes: 0 done, 1 failed, 2 usage, 3 done, but the capture is incomplete.",
	};
	int n, res = opts_parse(&o, argc, argv, &n);

	if (res)
		return res == OPTS_HELP ? 0 : 2;
	if (check_usage(&q, n, argv) < 0)
		return 2;
	if (q.schema && n == 0)
		return print_schema(NULL);
	q.capture.capture = argv[0];
	if (q.schema)
		return schema_of_file(&q);
	if (q.load)
		return load_file(&q);
	return query_file(&q, n == 2 ? argv[1] : NULL);
}
