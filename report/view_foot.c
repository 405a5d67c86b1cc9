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
#include "report/stack_status.h"
#include "report/view_head.h"
#include "report/view_text.h"

static int runtime_line(sqlite3_stmt *st, const struct report_opts *o, FILE *out)
{
	_cleanup_free_ char *version = NULL, *flavor = NULL, *module = NULL, *found = NULL;
	char words[6][320] = {""};
	struct text_wrap w;
	int r;

	r = text_clean(sql_text(st, 2), "unknown", &flavor);
	if (r == 0)
		r = text_clean(sql_text(st, 1), "of unknown version", &version);
	if (r == 0)
		r = text_clean(sql_text(st, 4), "?", &module);
	if (r == 0)
		r = text_clean(sql_text(st, 6), "", &found);
	if (r < 0)
		return r;
	(void)snprintf(words[0], sizeof(words[0]), "runtime %llu", (unsigned long long)sql_u64(st, 0));
	(void)snprintf(words[1], sizeof(words[1]), "tokio %.64s", version);
	if (strcmp(flavor, "current_thread") != 0)
		(void)snprintf(words[2], sizeof(words[2]), "%.32s  %llu worker%s", flavor, (unsigned long long)sql_u64(st, 3),
			       sql_u64(st, 3) == 1 ? "" : "s");
	else
		(void)snprintf(words[2], sizeof(words[2]), "%.32s", flavor);
	(void)snprintf(words[3], sizeof(words[3]), "pid %llu  in %.255s", (unsigned long long)sql_u64(st, 5),
		       text_basename(module));
	(void)snprintf(words[4], sizeof(words[4]), "found by %.64s", found);
	(void)snprintf(words[5], sizeof(words[5]), "%s",
		       sql_u64(st, 7) ? "polls told apart by tick" : "tick not proven: CPU-bound polls are unclassified");
	(void)fputs("  ", out);
	text_wrap_begin(&w, out, o->width, 4, 2, "  ");
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		text_wrap_word(&w, words[i]);
	(void)fputc('\n', out);
	return 0;
}

/* Without a runtime: none was found, or what was found turned out to be read at the wrong places. */
static int no_runtimes(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	static const char rest[] = "which task ran, which worker it held and what counts as blocking are unknown. What remains: "
				   "where each thread ran and waited (report --summary, export --folded --offcpu, query).";
	char text[640];
	u64 unfit = 0;
	int r = sql_one_u64(db, "SELECT count(*) FROM meta WHERE key = 'tokio.not_usable'", NULL, 0, &unfit);

	if (r < 0)
		return r;
	(void)snprintf(text, sizeof(text), "%s: %s",
		       unfit ? "Runtime context not usable, for the target's threads contradict the layout of its Tokio"
			     : "No Tokio runtime was found",
		       rest);
	text_color(out, o->color, TEXT_BOLD, "RUNTIMES");
	(void)fputs("\n  ", out);
	text_paragraph(out, o->width, 2, 2, text);
	return 0;
}

int view_runtimes(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, FILE *out)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r;

	(void)fputc('\n', out);
	if (!f->runtimes)
		return no_runtimes(db, o, out);
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

#define ENDS_SHOWN 4 /* reasons of one line; the others are summed up */

/* "12 in libfoo.so (no unwind table)", "3 at the limit of frames" */
static int end_text(sqlite3_stmt *st, struct buf *b)
{
	const char *why = stack_status_why(min_u64(stack_status_of(sql_text(st, 0)), STACK_STATUSES - 1));
	_cleanup_free_ char *module = NULL;
	int r;

	if (!sql_text(st, 1)) {
		buf_printf(b, "%s %s", human_count(sql_u64(st, 2)).s, why);
		return 0;
	}
	r = text_clean(text_basename(sql_text(st, 1)), "?", &module);
	if (r < 0)
		return r;
	buf_printf(b, "%s in %s (%s)", human_count(sql_u64(st, 2)).s, module, why);
	return 0;
}

/* What is not whole: the commonest ends. */
static int cut_ends(sqlite3 *db, const struct capture_facts *f, struct buf *b)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	u64 left = f->stacks - f->stacks_whole;
	int r;

	r = sql_prepare(db, &st,
			"SELECT e.status, m.path, e.events FROM stack_end AS e LEFT JOIN module AS m ON m.id = e.module_id "
			"WHERE e.status NOT IN ('whole', 'frame_pointers') ORDER BY e.events DESC, e.status, m.path",
			NULL, 0);
	for (u32 i = 0; r >= 0 && i < ENDS_SHOWN && (r = db_step(st)) > 0; i++) {
		buf_puts(b, i ? ", " : "; ended early: ");
		r = end_text(st, b);
		left -= min_u64(sql_u64(st, 2), left);
	}
	if (r >= 0 && left)
		buf_printf(b, ", %s elsewhere", human_count(left).s);
	return r < 0 ? r : 0;
}

int view_stack_ends(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, FILE *out)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *text = NULL;
	int r = 0;

	if (!f->stacks && !f->stacks_fp)
		return 0;
	if (f->stacks) {
		buf_printf(&b, "%s of %s whole", facts_whole_text(f).s, human_count(f->stacks).s);
		r = cut_ends(db, f, &b);
	}
	if (f->stacks_fp)
		buf_printf(&b, "%s%s walked by frame pointers alone: whether they are whole is not known", f->stacks ? "; " : "",
			   human_count(f->stacks_fp).s);
	if (f->stacks_guessed)
		buf_printf(&b, "; %s rest in part on frame pointers (such frames are marked ?)",
			   human_count(f->stacks_guessed).s);
	text = buf_take_str(&b);
	if (r < 0 || !text)
		return r < 0 ? r : -ENOMEM;
	(void)fputc('\n', out);
	text_color(out, o->color, TEXT_BOLD, "STACKS");
	(void)fputs("  ", out);
	text_paragraph(out, o->width, 8, 8, text);
	return 0;
}

/* Lists of what reports tell of: the others may not have been loaded. */
#define WEIGHED                                                                                                                  \
	"sf.list_id IN (SELECT p.list_id FROM stack AS st CROSS JOIN stack_part AS p ON p.stack_id = st.id WHERE st.weight > 0)"

/*
 * Frames without a symbol, by module, each list of frames counted once (callers that many samples share, too); module 0 is "in no
 * known mapping".
 */
#define UNNAMED_SQL                                                                                                              \
	"SELECT m.path, m.note, count(*) FROM frame_list AS sf JOIN frame AS f ON f.id = sf.frame_id "                           \
	"LEFT JOIN module AS m ON m.id = f.module_id "                                                                           \
	"WHERE " WEIGHED " AND NOT EXISTS (SELECT 1 FROM symbol AS s WHERE s.frame_id = f.id) "                                  \
	"GROUP BY m.id ORDER BY 3 DESC, 1 LIMIT 8"

int view_unnamed(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	bool headed = false;
	u64 total;
	int r;

	r = sql_one_u64(db, "SELECT count(*) FROM frame_list AS sf WHERE " WEIGHED, NULL, 0, &total);
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

/* Below this share the names that are there tell enough. */
#define UNNAMED_NOTE_PERCENT 10

int view_unnamed_note(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	u64 total, missing;
	int r;

	r = sql_one_u64(db, "SELECT count(*) FROM frame_list AS sf WHERE " WEIGHED, NULL, 0, &total);
	if (r == 0)
		r = sql_one_u64(db,
				"SELECT count(*) FROM frame_list AS sf JOIN frame AS f ON f.id = sf.frame_id "
				"JOIN module AS m ON m.id = f.module_id WHERE " WEIGHED " AND m.note IS NOT NULL "
				"AND NOT EXISTS (SELECT 1 FROM symbol AS s WHERE s.frame_id = f.id)",
				NULL, 0, &missing);
	if (r < 0 || missing < (total * UNNAMED_NOTE_PERCENT + 99) / 100 || !missing)
		return r;
	text_color(out, o->color, TEXT_YELLOW, "  NAMES ARE MISSING");
	(void)fprintf(out, " for %s of stack frames: see WITHOUT NAMES below\n", text_percent(missing, total).s);
	return 0;
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

/* How the walks of user stacks ended: by status, and where an end has a module, by that. */
static int stack_ends_json(sqlite3 *db, struct json *j)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r;

	r = sql_prepare(db, &st,
			"SELECT e.status, m.path, e.events FROM stack_end AS e LEFT JOIN module AS m ON m.id = e.module_id "
			"ORDER BY e.events DESC, e.status, m.path",
			NULL, 0);
	if (r < 0)
		return r;
	json_key(j, "stack_ends");
	json_array_begin(j);
	while ((r = db_step(st)) > 0) {
		json_object_begin(j);
		json_kv_string(j, "status", sql_text(st, 0));
		json_kv_string(j, "module", sql_text(st, 1));
		json_kv_u64(j, "events", sql_u64(st, 2));
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
	if (r < 0)
		return r;
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
	json_kv_u64(j, "stacks_guessed", f->stacks_guessed);
	json_kv_u64(j, "runtimes_tick_unproven", f->tick_unproven);
	r = stack_ends_json(db, j);
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
	json_key(j, "stopped_by"); /* as the recorder says; null: it does not, for it was killed or the end is missing */
	if (*f->stopped_by)
		json_string(j, f->stopped_by);
	else
		json_null(j);
	json_kv_u64_or_null(j, "realtime_start", f->realtime_start, f->realtime_start);
	json_kv_u64(j, "sample_period", f->sample_period);
	json_kv_u64_or_null(j, "read_from_ns", f->read_hi != 0, f->read_lo - f->ts_start); /* null: all of it was read */
	json_kv_u64_or_null(j, "read_to_ns", f->read_hi != 0, f->read_hi - f->ts_start);
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

int view_json_begin(sqlite3 *db, const struct capture_facts *f, FILE *out, struct json *j)
{
	json_init(j, out, true);
	json_object_begin(j);
	json_kv_u64(j, "schema_version", 1);
	return view_head_json(db, f, j);
}

void view_json_end(struct json *j, FILE *out)
{
	json_object_end(j);
	(void)fputc('\n', out);
}
