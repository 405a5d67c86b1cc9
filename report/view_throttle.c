/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* view_throttle.c: see view_throttle.h. */
#include "report/view_throttle.h"

#include "base/human.h"
#include "report/sqlrow.h"
#include "report/view_text.h"

#define THROTTLED_SQL                                                                                                            \
	"SELECT cgroup, CAST(total(periods) AS INTEGER), CAST(total(dur) AS INTEGER) FROM throttle WHERE ts <= ?2 "              \
	"AND ts_end >= ?1 GROUP BY cgroup ORDER BY 2 DESC, 1"

int view_throttled(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, FILE *out)
{
	u64 binds[2] = {f->lo, f->hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	bool headed = false;
	int r;

	r = sql_prepare(db, &st, THROTTLED_SQL, binds, 2);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		_cleanup_free_ char *cgroup = NULL;
		char text[512], stopped[96] = "";

		r = text_clean(sql_text(st, 0), "?", &cgroup);
		if (r < 0)
			return r;
		if (!headed) {
			(void)fputc('\n', out);
			text_color(out, o->color, TEXT_BOLD, "CPU QUOTA");
			(void)fputc('\n', out);
		}
		headed = true;
		if (sql_u64(st, 2))
			(void)snprintf(stopped, sizeof(stopped), ", its run queues were stopped for %s, summed over CPUs",
				       human_ns(sql_u64(st, 2)).s);
		(void)snprintf(text, sizeof(text), "cgroup %.300s ran out of it in %s period%s%s", cgroup,
			       human_count(sql_u64(st, 1)).s, sql_u64(st, 1) == 1 ? "" : "s", stopped);
		(void)fputs("  ", out);
		text_paragraph(out, o->width, 4, 2, text);
	}
	return r;
}

int view_throttled_json(sqlite3 *db, const struct capture_facts *f, struct json *j)
{
	u64 binds[2] = {f->lo, f->hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r;

	r = sql_prepare(db, &st, THROTTLED_SQL, binds, 2);
	if (r < 0)
		return r;
	json_key(j, "throttled");
	json_array_begin(j);
	while ((r = db_step(st)) > 0) {
		json_object_begin(j);
		json_kv_string(j, "cgroup", sql_text(st, 0));
		json_kv_u64(j, "periods", sql_u64(st, 1));
		json_kv_u64(j, "stopped", sql_u64(st, 2));
		json_object_end(j);
	}
	json_array_end(j);
	return r;
}
