/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view_blocking_json.c: `ascope report --blocking --json`. Its keys are stable: additions are fine, changes are not
 * (doc/ascope-report.1).
 */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "report/sqlrow.h"
#include "report/view.h"
#include "report/view_blocks.h"
#include "report/view_head.h"
#include "report/view_stack.h"

static void put_column(struct json *j, sqlite3_stmt *st, int col)
{
	json_key(j, sqlite3_column_name(st, col));
	switch (sqlite3_column_type(st, col)) {
	case SQLITE_INTEGER:
		json_s64(j, sqlite3_column_int64(st, col));
		break;
	case SQLITE_FLOAT:
		json_double(j, sqlite3_column_double(st, col), 3);
		break;
	case SQLITE_NULL:
		json_null(j);
		break;
	default:
		json_stringn(j, (const char *)sqlite3_column_text(st, col), (size_t)sqlite3_column_bytes(st, col));
	}
}

static int put_frames(struct json *j, struct vstack_loader *loader, u64 stack_id, u64 kstack_id)
{
	_cleanup_vstack_ struct vstack user = {0}, kernel = {0};
	int r;

	r = vstack_load(loader, kstack_id, true, &kernel);
	if (r == 0)
		r = vstack_load(loader, stack_id, false, &user);
	if (r < 0)
		return r;
	json_key(j, "frames");
	json_array_begin(j);
	/* Innermost first: what the kernel did stands before what asked for it. */
	vstack_json(&kernel, j);
	vstack_json(&user, j);
	json_array_end(j);
	json_kv_string(j, "stack_status", user.status);
	return 0;
}

static int column_index(sqlite3_stmt *st, const char *name)
{
	for (int i = 0; i < sqlite3_column_count(st); i++)
		if (strcmp(sqlite3_column_name(st, i), name) == 0)
			return i;
	return -1;
}

static int put_blocks(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, struct json *j)
{
	u64 binds[4] = {o->min_ns, f->lo, f->hi, o->top == REPORT_TOP_UNSET || !o->top ? INT64_MAX : o->top};
	_cleanup_vstack_loader_ struct vstack_loader loader = {0};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r, stack, kstack, inside, kind;

	r = vstack_loader_init(&loader, db);
	if (r == 0)
		r = sql_prepare(db, &st, BLOCKS_CTE "SELECT * FROM blk ORDER BY dur DESC, ts, poll_id LIMIT ?4", binds, 4);
	if (r < 0)
		return r;
	stack = column_index(st, "stack_id");
	kstack = column_index(st, "kstack_id");
	inside = column_index(st, "inside");
	kind = column_index(st, "place_kind");
	json_key(j, "blocks");
	json_array_begin(j);
	while ((r = db_step(st)) > 0) {
		json_object_begin(j);
		for (int i = 0; i < sqlite3_column_count(st); i++)
			if (i != inside && i != kind)
				put_column(j, st, i);
		r = put_frames(j, &loader, sql_u64(st, stack), sql_u64(st, kstack));
		if (r < 0)
			return r;
		json_object_end(j);
	}
	json_array_end(j);
	return r;
}

static void put_place(const struct place *p, enum block_group group, struct json *j)
{
	json_object_begin(j);
	json_kv_string(j, "function", p->name);
	json_kv_string(j, "file", p->file);
	json_kv_u64_or_null(j, "line", p->line, p->line);
	json_kv_string(j, "class", p->class_name);
	json_kv_bool(j, "worker_time", group == BLOCKS_RUNTIME);
	json_kv_u64(j, "count", p->count);
	json_kv_u64(j, "total", p->total);
	json_kv_u64(j, "max", p->max);
	json_kv_u64(j, "p99", p->p99);
	json_kv_u64_or_null(j, "queued_max", p->queued_known, p->queued);
	json_kv_u64_or_null(j, "victims", p->victims_known, p->victims);
	json_object_end(j);
}

static int put_places(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, struct json *j)
{
	u64 limit = o->top == REPORT_TOP_UNSET ? 0 : o->top;
	int r;

	json_key(j, "places");
	json_array_begin(j);
	for (int group = BLOCKS_RUNTIME; group <= BLOCKS_OTHER; group++) {
		_cleanup_places_ struct places p = {0};

		r = places_load(db, o, f, (enum block_group)group, limit, &p);
		if (r < 0)
			return r;
		for (size_t i = 0; i < p.n; i++)
			put_place(&p.rows[i], (enum block_group)group, j);
	}
	json_array_end(j);
	return 0;
}

static int put_totals(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, struct json *j)
{
	static const char *const names[] = {"runtime", "root_and_localset"};
	int r;

	json_key(j, "totals");
	json_object_begin(j);
	json_kv_u64(j, "min_ns", o->min_ns);
	json_kv_u64(j, "window_start", f->lo);
	json_kv_u64(j, "window_end", f->hi);
	json_kv_u64(j, "worker_time", facts_workers(f) * facts_window(f));
	for (int group = BLOCKS_RUNTIME; group <= BLOCKS_OTHER; group++) {
		struct block_totals t;

		r = block_totals_load(db, o, f, (enum block_group)group, &t);
		if (r < 0)
			return r;
		json_key(j, names[group]);
		json_object_begin(j);
		json_kv_u64(j, "count", t.count);
		json_kv_u64(j, "total", t.dur);
		json_kv_u64(j, "lost", t.inside);
		json_kv_u64(j, "max", t.worst);
		json_object_end(j);
	}
	json_object_end(j);
	return 0;
}

int view_blocking_json(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_facts_ struct capture_facts f = {0};
	struct json j;
	int r;

	r = capture_facts_load(db, o, &f);
	if (r < 0)
		return r;
	r = view_json_begin(db, &f, out, &j);
	if (r == 0)
		r = put_totals(db, o, &f, &j);
	if (r == 0)
		r = put_places(db, o, &f, &j);
	if (r == 0)
		r = put_blocks(db, o, &f, &j);
	if (r < 0)
		return r;
	view_json_end(&j, out);
	return 0;
}
