/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* view_probes.c: see view_probes.h. A report of tasks is as good as its probes: one that was taken away is why later rows are missing. */
#include "report/view_probes.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/human.h"
#include "report/sqlrow.h"
#include "report/view_text.h"

/* What a group of probes tells. */
static const struct {
	const char *grp, *what;
} meanings[] = {
	{"spawn", "where tasks are spawned"}, {"bind", "tasks spawned"},   {"blocking", "closures of the blocking pool"},
	{"complete", "tasks ended"},	      {"dealloc", "tasks freed"},  {"poll", "polls begun"},
	{"poll_end", "polls ended"},	      {"schedule", "tasks woken"},
};

static const char *meaning(const char *grp)
{
	for (size_t i = 0; i < ARRAY_SIZE(meanings); i++)
		if (strcmp(grp, meanings[i].grp) == 0)
			return meanings[i].what;
	return "";
}

/*
 * One line a group: how long it was there and what it cost, or why it was not. Rows of one group are of several modules and processes;
 * counters only grow, so the largest of each is its last.
 */
#define PROBES_SQL                                                                                                                                 \
	"WITH m AS (SELECT grp, process_id, module_id, max(places) AS places, max(hits) AS hits, max(cost) AS cost FROM probe "                    \
	"GROUP BY 1, 2, 3) "                                                                                                                       \
	"SELECT p.grp, max(p.action = 'attached'), max(p.action = 'not possible'), min(CASE p.action WHEN 'taken away' THEN p.ts END), "           \
	"(SELECT CAST(total(m.hits) AS INTEGER) FROM m WHERE m.grp = p.grp), (SELECT CAST(total(m.cost) AS INTEGER) FROM m WHERE m.grp = p.grp), " \
	"(SELECT CAST(total(m.places) AS INTEGER) FROM m WHERE m.grp = p.grp), "                                                                   \
	"max(CASE p.action WHEN 'taken away' THEN p.why END), max(CASE p.action WHEN 'not possible' THEN p.why END), "                             \
	"min(CASE p.action WHEN 'attached' THEN p.ts END) "                                                                                        \
	"FROM probe AS p GROUP BY p.grp ORDER BY min(p.rowid)"

static int probe_line(sqlite3_stmt *st, const struct report_opts *o, const struct capture_facts *f, FILE *out)
{
	_cleanup_free_ char *grp = NULL, *taken_why = NULL, *missing_why = NULL, *text = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;
	u64 taken = sql_u64(st, 3);
	int r;

	r = text_clean(sql_text(st, 0), "?", &grp);
	if (r == 0)
		r = text_clean(sql_text(st, 7), "", &taken_why);
	if (r == 0)
		r = text_clean(sql_text(st, 8), "", &missing_why);
	if (r < 0)
		return r;
	if (taken)
		buf_printf(&b, "until +%s, then taken away%s%s", text_offset(max_u64(taken, f->ts_start) - f->ts_start).s,
			   *taken_why ? ": " : "", taken_why);
	else if (sql_u64(st, 1))
		buf_puts(&b, "to the end");
	if (sql_u64(st, 2))
		buf_printf(&b, "%snot possible%s%s", b.len ? "; elsewhere " : "", *missing_why ? ": " : "", missing_why);
	if (sql_u64(st, 4))
		buf_printf(&b, "; %s hits, about %s of cpu time", human_count(sql_u64(st, 4)).s, human_ns(sql_u64(st, 5)).s);
	text = buf_take_str(&b);
	if (!text)
		return -ENOMEM;
	(void)fputs("  ", out);
	text_left(out, grp, 10);
	text_left(out, meaning(grp), 30);
	text_paragraph(out, o->width, 42, 42, text);
	return 0;
}

int view_probes(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, FILE *out)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	bool headed = false;
	int r;

	r = sql_prepare(db, &st, PROBES_SQL, NULL, 0);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		if (!headed) {
			(void)fputc('\n', out);
			text_color(out, o->color, TEXT_BOLD, "PROBES");
			(void)fputc('\n', out);
		}
		headed = true;
		r = probe_line(st, o, f, out);
		if (r < 0)
			return r;
	}
	return r;
}

int view_probes_json(sqlite3 *db, struct json *j)
{
	static const char *const texts[] = {"group", "action", "why"};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r;

	r = sql_prepare(
		db, &st,
		"SELECT p.grp, p.action, p.why, p.ts, q.pid, m.path, p.places, p.hits, p.cost FROM probe AS p "
		"LEFT JOIN process AS q ON q.id = p.process_id LEFT JOIN module AS m ON m.id = p.module_id ORDER BY p.rowid",
		NULL, 0);
	if (r < 0)
		return r;
	json_key(j, "probes");
	json_array_begin(j);
	while ((r = db_step(st)) > 0) {
		json_object_begin(j);
		for (int i = 0; i < 3; i++)
			json_kv_string(j, texts[i], sql_text(st, i));
		json_kv_u64(j, "ts", sql_u64(st, 3));
		json_kv_u64_or_null(j, "pid", !sql_is_null(st, 4), sql_u64(st, 4));
		json_kv_string(j, "module", sql_text(st, 5));
		json_kv_u64(j, "places", sql_u64(st, 6));
		json_kv_u64(j, "hits", sql_u64(st, 7));
		json_kv_u64(j, "cost", sql_u64(st, 8));
		json_object_end(j);
	}
	json_array_end(j);
	return r;
}
