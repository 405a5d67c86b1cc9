/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* view_markers_json.c: `ascope report --markers --json`. Its keys are stable (doc/ascope-report.1). */
#include <errno.h>

#include "base/json.h"
#include "report/marker_match.h"
#include "report/sqlrow.h"
#include "report/view.h"
#include "report/view_head.h"
#include "report/view_stack.h"

struct markers_json {
	const struct marker_match *m;
	struct json *j;
	struct vstack_loader loader;
	sqlite3_stmt *parts;
	u64 top;
};

/* ---- pairs and sums ---- */

static void put_pairs(const struct marker_match *m, struct json *j)
{
	json_key(j, "pairs");
	json_array_begin(j);
	for (u32 k = 0; k < m->n_pairs; k++) {
		const struct marker_pair_stats *s = &m->pairs[k];

		json_object_begin(j);
		json_kv_u64(j, "pair", s->pair);
		json_kv_string(j, "text", s->text);
		json_kv_u64(j, "count", s->count);
		json_kv_u64(j, "no_end", s->no_end);
		json_kv_u64(j, "total", s->total);
		json_kv_u64(j, "median", s->median);
		json_kv_u64(j, "p99", s->p99);
		json_kv_u64(j, "max", s->max);
		json_object_end(j);
	}
	json_array_end(j);
	json_kv_u64(j, "ends_alone", m->ends_alone);
}

static void put_differences(const struct marker_match *m, struct json *j)
{
	json_key(j, "difference");
	json_object_begin(j);
	json_kv_u64(j, "compared", m->compared);
	json_kv_u64_or_null(j, "median", m->compared, m->differ_median);
	json_kv_u64_or_null(j, "p99", m->compared, m->differ_p99);
	json_kv_u64_or_null(j, "max", m->compared, m->differ_max);
	json_object_end(j);
}

static void put_reasons(const struct marker_match *m, struct json *j)
{
	json_key(j, "reasons");
	json_array_begin(j);
	for (u32 w = 0; w < WHY_COUNT; w++) {
		if (!m->why_n[w])
			continue;
		json_object_begin(j);
		json_kv_string(j, "reason", marker_why_key(w));
		json_kv_u64(j, "count", m->why_n[w]);
		json_kv_u64(j, "total", m->why_ns[w]);
		json_object_end(j);
	}
	json_array_end(j);
}

/* ---- rows ---- */

static int put_place(struct markers_json *v, u64 stack)
{
	_cleanup_vstack_ struct vstack s = {0};
	const struct vframe *frame;
	int r = vstack_load(&v->loader, stack, false, &s);

	if (r < 0)
		return r;
	frame = vstack_place(&s);
	json_kv_string(v->j, "function", frame ? frame->function : NULL);
	json_kv_string(v->j, "file", frame ? frame->file : NULL);
	json_kv_u64_or_null(v->j, "line", frame && frame->line, frame ? frame->line : 0);
	json_kv_u64_or_null(v->j, "stack_id", stack, stack);
	return 0;
}

static void put_interval(struct json *j, const struct marker_interval *i)
{
	json_kv_u64(j, "marker_id", i->id);
	json_kv_u64(j, "pair", i->pair);
	json_kv_u64(j, "ts", i->ts);
	json_kv_u64(j, "dur", i->end - i->ts);
	json_kv_u64(j, "tid", i->tid);
	json_kv_u64_or_null(j, "task_id", i->task, i->task);
}

static int put_both_row(struct markers_json *v, const struct marker_interval *i)
{
	const struct marker_poll *p = &v->m->polls[i->poll];

	put_interval(v->j, i);
	json_kv_u64(v->j, "poll_id", p->id);
	json_kv_u64(v->j, "poll_ts", p->ts);
	json_kv_u64(v->j, "poll_dur", p->end - p->ts);
	json_kv_string(v->j, "class", p->class_name);
	json_kv_bool(v->j, "over_await", i->spans);
	return put_place(v, i->stack);
}

struct part_sums {
	struct json *j;
	u64 out, runnable;
};

static int put_part(void *ctx, const struct marker_part *p)
{
	struct part_sums *s = ctx;

	s->out += p->off + p->runnable;
	s->runnable += p->runnable;
	if (!p->off)
		return 0;
	json_object_begin(s->j);
	json_kv_string(s->j, "role", p->role);
	json_kv_string(s->j, "class", p->class_name);
	json_kv_u64(s->j, "ns", p->off);
	json_object_end(s->j);
	return 0;
}

/* What its time on its thread consisted of; of one that moved it is not known whose it was. */
static int put_only_row(struct markers_json *v, const struct marker_interval *i)
{
	struct part_sums s = {.j = v->j};
	u64 len = i->end - i->ts;
	int r = 0;

	put_interval(v->j, i);
	json_kv_string(v->j, "reason", marker_why_key(i->why));
	json_kv_bool(v->j, "moved", i->moved);
	json_key(v->j, "off_cpu");
	json_array_begin(v->j);
	if (!i->moved)
		r = marker_parts(v->parts, i, put_part, &s);
	json_array_end(v->j);
	json_kv_u64_or_null(v->j, "runnable", !i->moved, s.runnable);
	json_kv_u64_or_null(v->j, "on_cpu", !i->moved, len > s.out ? len - s.out : 0);
	return r < 0 ? r : put_place(v, i->stack);
}

typedef int (*put_interval_fn)(struct markers_json *v, const struct marker_interval *i);

static int list_intervals(struct markers_json *v, bool both, put_interval_fn put)
{
	_cleanup_free_ u32 *list = NULL;
	u32 n = 0;
	int r = marker_list_intervals(v->m, both, &list, &n);

	json_key(v->j, "list");
	json_array_begin(v->j);
	for (u32 k = 0; r == 0 && k < min_u64(n, v->top); k++) {
		json_object_begin(v->j);
		r = put(v, &v->m->intervals[list[k]]);
		json_object_end(v->j);
	}
	json_array_end(v->j);
	return r;
}

static int list_polls(struct markers_json *v)
{
	_cleanup_free_ u32 *list = NULL;
	u32 n = 0;
	int r = marker_list_polls(v->m, &list, &n);

	json_key(v->j, "list");
	json_array_begin(v->j);
	for (u32 k = 0; r == 0 && k < min_u64(n, v->top); k++) {
		const struct marker_poll *p = &v->m->polls[list[k]];

		json_object_begin(v->j);
		json_kv_u64(v->j, "poll_id", p->id);
		json_kv_u64(v->j, "ts", p->ts);
		json_kv_u64(v->j, "dur", p->end - p->ts);
		json_kv_u64(v->j, "tid", p->tid);
		json_kv_u64_or_null(v->j, "task_id", p->task, p->task);
		json_kv_string(v->j, "class", p->class_name);
		r = put_place(v, p->stack);
		json_object_end(v->j);
	}
	json_array_end(v->j);
	return r;
}

/* ---- the whole ---- */

static int put_all(struct markers_json *v)
{
	const struct marker_match *m = v->m;
	struct json *j = v->j;
	int r;

	json_kv_u64(j, "min_ns", m->min_ns);
	put_pairs(m, j);
	json_kv_u64(j, "intervals", m->n_long);
	json_kv_u64(j, "polls", m->n_polls);
	json_key(j, "both");
	json_object_begin(j);
	json_kv_u64(j, "intervals", m->n_both);
	json_kv_u64(j, "polls", m->polls_both);
	put_differences(m, j);
	r = list_intervals(v, true, put_both_row);
	json_object_end(j);
	json_key(j, "marker_only");
	json_object_begin(j);
	json_kv_u64(j, "intervals", m->n_only);
	json_kv_u64(j, "total", m->only_ns);
	put_reasons(m, j);
	if (r == 0)
		r = list_intervals(v, false, put_only_row);
	json_object_end(j);
	json_key(j, "scheduler_only");
	json_object_begin(j);
	json_kv_u64(j, "polls", m->polls_only);
	json_kv_u64(j, "total", m->polls_only_ns);
	if (r == 0)
		r = list_polls(v);
	json_object_end(j);
	json_key(j, "in_part");
	json_object_begin(j);
	json_kv_u64(j, "polls", m->polls_part);
	json_kv_u64(j, "total", m->polls_part_ns);
	json_object_end(j);
	return r;
}

int view_markers_json(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_facts_ struct capture_facts f = {0};
	_cleanup_marker_match_ struct marker_match m = {0};
	_cleanup_stmt_ sqlite3_stmt *parts = NULL;
	struct json j;
	struct markers_json v = {.m = &m, .j = &j, .top = o->top == REPORT_TOP_UNSET || !o->top ? UINT64_MAX : o->top};
	int r;

	r = capture_facts_load(db, o, &f);
	if (r == 0)
		r = marker_match_load(db, o, &f, &m);
	if (r == 0)
		r = marker_parts_prepare(db, &parts);
	if (r == 0)
		r = vstack_loader_init(&v.loader, db);
	v.parts = parts;
	if (r == 0) {
		r = view_json_begin(db, &f, out, &j);
		if (r == 0)
			r = put_all(&v);
		view_json_end(&j, out);
	}
	vstack_loader_release(&v.loader);
	return r;
}
