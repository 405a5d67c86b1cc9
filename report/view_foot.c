/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view_foot.c: what every view says last (runtimes, code without names), and the JSON of capture and verdict; declared in
 * view_head.h.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/human.h"
#include "report/sqlrow.h"
#include "report/view_head.h"
#include "report/view_text.h"

static int runtime_line(sqlite3_stmt *st, const struct report_opts *o, FILE *out)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *version = NULL, *flavor = NULL, *module = NULL, *found = NULL, *line = NULL;
	bool ct;
	int r;

	r = text_clean(sql_text(st, 2), NULL, &flavor);
	if (r == 0)
		r = text_clean(sql_text(st, 1), "of unknown version", &version);
	if (r == 0)
		r = text_clean(sql_text(st, 4), "?", &module);
	if (r == 0)
		r = text_clean(sql_text(st, 6), "", &found);
	if (r < 0)
		return r;
	ct = strcmp(flavor, "current_thread") == 0;
	buf_printf(&b, "  runtime %llu  tokio %s  %s", (unsigned long long)sql_u64(st, 0), version, flavor);
	if (!ct)
		buf_printf(&b, "  %llu worker%s", (unsigned long long)sql_u64(st, 3), sql_u64(st, 3) == 1 ? "" : "s");
	buf_printf(&b, "  pid %llu  in %s  found by %s;", (unsigned long long)sql_u64(st, 5), text_basename(module), found);
	if (sql_u64(st, 7))
		buf_puts(&b, " polls told apart by tick");
	else
		buf_puts(&b, " tick not proven: CPU-bound polls are unclassified");
	line = buf_take_str(&b);
	if (!line)
		return -ENOMEM;
	text_paragraph(out, o->width, 4, 0, line);
	return 0;
}

int view_runtimes(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, FILE *out)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r;

	(void)fputc('\n', out);
	if (!f->runtimes) {
		static const char text[] =
			"No Tokio runtime was found: which task ran, which worker it held and what counts as blocking are "
			"unknown. What remains: "
			"where each thread ran and waited (report --summary, export --folded --offcpu, query).";

		text_color(out, o->color, TEXT_BOLD, "RUNTIMES");
		(void)fputs("\n  ", out);
		text_paragraph(out, o->width, 2, 2, text);
		return 0;
	}
	text_color(out, o->color, TEXT_BOLD, "RUNTIMES");
	(void)fputc('\n', out);
	r = sql_prepare(
		db, &st,
		"SELECT runtime_id, tokio_version, flavor, workers, module, pid, found_by, tick_valid FROM runtime ORDER BY "
		"runtime_id",
		NULL, 0);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		r = runtime_line(st, o, out);
		if (r < 0)
			return r;
	}
	return r;
}

/* Frames of distinct stacks without a symbol, by module; module 0 is "in no known mapping". */
#define UNNAMED_SQL                                                                                                              \
	"SELECT m.path, m.note, count(*) FROM stack_frame AS sf JOIN frame AS f ON f.id = sf.frame_id "                          \
	"LEFT JOIN module AS m ON m.id = f.module_id "                                                                           \
	"WHERE NOT EXISTS (SELECT 1 FROM symbol AS s WHERE s.frame_id = f.id) "                                                  \
	"GROUP BY m.id ORDER BY 3 DESC, 1 LIMIT 8"

int view_unnamed(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	bool headed = false;
	u64 total;
	int r;

	r = sql_one_u64(db, "SELECT count(*) FROM stack_frame", NULL, 0, &total);
	if (r < 0)
		return r;
	r = sql_prepare(db, &st, UNNAMED_SQL, NULL, 0);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		_cleanup_free_ char *module = NULL, *note = NULL;

		r = text_clean(sql_text(st, 0), "(no known module)", &module);
		if (r == 0)
			r = text_clean(sql_text(st, 1), "", &note);
		if (r < 0)
			return r;
		/* A handful of frames without a name is nothing to act on, unless something can be passed. */
		if (!*note && sql_u64(st, 2) < total / 1000)
			continue;
		if (!headed) {
			(void)fputc('\n', out);
			text_color(out, o->color, TEXT_BOLD, "WITHOUT NAMES");
			(void)fputs(" (share of all stack frames)\n", out);
			headed = true;
		}

		(void)fputs("  ", out);
		text_right(out, text_percent(sql_u64(st, 2), total).s, 7);
		(void)fprintf(out, "  %s\n", module);
		if (*note) {
			(void)fprintf(out, "%11s", "");
			text_paragraph(out, o->width, 11, 11, note);
		}
	}
	return r;
}

static int processes_json(sqlite3 *db, struct json *j)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r;

	r = sql_prepare(db, &st, "SELECT pid, ns_pid, name, exe FROM process ORDER BY id", NULL, 0);
	if (r < 0)
		return r;
	json_key(j, "processes");
	json_array_begin(j);
	while ((r = db_step(st)) > 0) {
		json_object_begin(j);
		json_kv_u64(j, "pid", sql_u64(st, 0));
		json_key(j, "ns_pid");
		if (sql_is_null(st, 1))
			json_null(j);
		else
			json_u64(j, sql_u64(st, 1));
		json_kv_string(j, "name", sql_text(st, 2));
		json_kv_string(j, "exe", sql_text(st, 3));
		json_object_end(j);
	}
	json_array_end(j);
	return r;
}

static int runtimes_json(sqlite3 *db, struct json *j)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r;

	r = sql_prepare(
		db, &st,
		"SELECT runtime_id, pid, tokio_version, flavor, workers, module, found_by, tick_valid FROM runtime ORDER BY "
		"runtime_id",
		NULL, 0);
	if (r < 0)
		return r;
	json_key(j, "runtimes");
	json_array_begin(j);
	while ((r = db_step(st)) > 0) {
		json_object_begin(j);
		json_kv_u64(j, "runtime_id", sql_u64(st, 0));
		json_kv_u64(j, "pid", sql_u64(st, 1));
		json_kv_string(j, "tokio_version", sql_text(st, 2));
		json_kv_string(j, "flavor", sql_text(st, 3));
		json_kv_u64(j, "workers", sql_u64(st, 4));
		json_kv_string(j, "module", sql_text(st, 5));
		json_kv_string(j, "found_by", sql_text(st, 6));
		json_kv_u64(j, "tick_valid", sql_u64(st, 7));
		json_object_end(j);
	}
	json_array_end(j);
	return r;
}

static int verdict_json(sqlite3 *db, const struct capture_facts *f, struct json *j)
{
	_cleanup_free_ char *copy = strdup(f->verdict_why);
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	char *rest = copy, *line;
	int r;

	if (!copy)
		return -ENOMEM;
	r = sql_prepare(db, &st, "SELECT cause, count FROM loss ORDER BY cause", NULL, 0);
	if (r < 0)
		return r;
	json_key(j, "verdict");
	json_object_begin(j);
	json_kv_string(j, "state", f->verdict);
	json_key(j, "lost");
	json_object_begin(j);
	while ((r = db_step(st)) > 0)
		json_kv_u64(j, sql_text(st, 0), sql_u64(st, 1));
	json_object_end(j);
	json_key(j, "reasons");
	json_array_begin(j);
	while ((line = strsep(&rest, "\n")) != NULL)
		if (*line)
			json_string(j, line);
	json_array_end(j);
	json_kv_u64(j, "gap_ns", f->gap_ns);
	json_kv_u64(j, "stacks", f->stacks);
	json_kv_u64(j, "stacks_whole", f->stacks_whole);
	json_kv_u64(j, "stacks_frame_pointers", f->stacks_fp);
	json_kv_u64(j, "runtimes_tick_unproven", f->tick_unproven);
	json_object_end(j);
	return r;
}

int view_head_json(sqlite3 *db, const struct capture_facts *f, struct json *j)
{
	int r;

	json_key(j, "capture");
	json_object_begin(j);
	json_kv_string(j, "uuid", f->uuid);
	json_kv_string(j, "path", f->path);
	json_kv_string(j, "host", f->host);
	json_kv_string(j, "kernel", f->kernel);
	json_kv_u64(j, "ts_start", f->ts_start);
	json_kv_u64(j, "ts_end", f->ts_end);
	json_kv_u64(j, "duration_ns", f->ts_end - f->ts_start);
	json_key(j, "realtime_start");
	if (f->realtime_start)
		json_u64(j, f->realtime_start);
	else
		json_null(j);
	json_kv_u64(j, "sample_period", f->sample_period);
	json_kv_u64(j, "workers", facts_workers(f));
	json_kv_u64(j, "switches", f->switches);
	json_kv_u64(j, "samples", f->samples);
	json_kv_u64(j, "tasks", f->tasks);
	r = processes_json(db, j);
	if (r == 0)
		r = runtimes_json(db, j);
	if (r < 0)
		return r;
	json_object_end(j);
	return verdict_json(db, f, j);
}
