/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * export_chrome.c: Chrome's trace event JSON, for ui.perfetto.dev, chrome://tracing and speedscope.
 *
 * Object form, traceEvents first, M events before all others, one complete X event a line, metadata last. Each thread has a track with the slices of
 * track_walk.h: polls, in them what the thread did, in that functions; with --tasks each task has one, too (chrome_tasks.h). No two slices of a track overlap
 * partially, which older viewers drop. Losses have tracks, instants and a counter. Timestamps are us since the recording began, exact to the ns once rounded
 * (chrome_out.c).
 */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "report/chrome.h"
#include "report/sqlrow.h"
#include "version.h"

struct thread_walk {
	struct chrome *c;
	const struct tl_thread *t;
	u64 waker_tid, woken; /* of the wait that the thread comes from; 0: none that was seen */
};

static int count_state(struct chrome *c, const struct tl_thread *t, const struct track_slice *s)
{
	if (s->state == TRACK_RUNNABLE)
		return timeline_counts_add(&c->counts, t->pid, COUNT_RUNNABLE, s->ts, s->end);
	if (!t->has_runtime && !t->has_worker)
		return 0;
	if (s->state == TRACK_CPU)
		return timeline_counts_add(&c->counts, t->pid, COUNT_RUNNING, s->ts, s->end);
	return s->state == TRACK_BLOCKED ? timeline_counts_add(&c->counts, t->pid, COUNT_BLOCKED, s->ts, s->end) : 0;
}

/* An arrow leads to where the thread is on a CPU again. */
static int follow_waker(struct thread_walk *k, const struct tl_thread *t, const struct track_slice *s)
{
	u64 waker = k->waker_tid;

	if (s->segment->kind == TL_WAIT) {
		k->waker_tid = s->segment->has_waker ? s->segment->waker_tid : 0;
		k->woken = s->segment->end;
	} else if (s->state == TRACK_CPU) {
		k->waker_tid = 0;
		if (waker)
			return chrome_flows_add_thread(&k->c->flows, waker, k->woken, t, s->ts);
	}
	return 0;
}

static int walk_slice(void *ctx, const struct tl_thread *t, const struct track_slice *s)
{
	struct thread_walk *k = ctx;
	int r = 0;

	if (k->t != t)
		*k = (struct thread_walk){.c = k->c, .t = t};
	if (s->kind == TRACK_STATE) {
		r = count_state(k->c, t, s);
		if (r == 0)
			r = follow_waker(k, t, s);
	}
	return r < 0 || !s->shown ? r : chrome_put_slice(k->c, t, s);
}

/* ---- arrows ---- */

static int cover_slice(void *ctx, const struct tl_thread *t, const struct track_slice *s)
{
	struct chrome *c = ctx;

	if (s->shown)
		chrome_flows_cover(&c->flows, (u32)chrome_thread_index(c, t), s->ts, s->end, false);
	return 0;
}

static int put_flows(struct chrome *c)
{
	u64 max = c->o->max_flows - min_u64(c->tasks_result.flows, c->o->max_flows);
	struct track_opts states = c->track;
	int r = 0;

	/* With --tasks those of tasks are on the tasks' tracks. */
	if (!c->o->tasks)
		r = chrome_flows_add_tasks(&c->flows, c->db, c->f->lo, c->hi);
	chrome_flows_sort(&c->flows, max);
	/* Slices that are left out leave room: which ends lie there? */
	if (r == 0 && c->flows.n && (states.min_ns || states.no_idle)) {
		states.calls = false;
		r = chrome_flows_expect(&c->flows);
		if (r == 0)
			r = track_walk(c->db, &c->threads, &states, &c->calls, &c->tasks, cover_slice, c);
		chrome_flows_drop(&c->flows);
	}
	if (r == 0)
		chrome_flows_put(&c->flows, &c->w, c->tracks, c->tasks_result.flows + 1);
	return r;
}

/* ---- counters ---- */

static void put_count(void *ctx, u64 pid, enum timeline_count k, u64 ts, u64 value)
{
	chrome_put_counter(ctx, timeline_count_name(k), timeline_count_series(k), pid, ts, value);
}

/* From its wake or spawn on until it is polled a task is ready. */
#define READY_SQL                                                                                                                \
	"SELECT r.pid, w.ts, w.ts + w.delay FROM _task_wake AS w JOIN thread AS t ON t.id = w.thread_id "                        \
	"JOIN process AS r ON r.id = t.process_id WHERE w.delay IS NOT NULL UNION ALL "                                          \
	"SELECT r.pid, k.ts_spawn, (SELECT min(p.ts) FROM _task_poll AS p WHERE p.task_row = k.id) AS first FROM _task AS k "    \
	"JOIN process AS r ON r.id = k.process_id WHERE k.ts_spawn IS NOT NULL AND first >= k.ts_spawn "                         \
	"AND EXISTS (SELECT 1 FROM _task_wake)"

static int put_counts(struct chrome *c)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_prepare(c->db, &st, READY_SQL, NULL, 0);

	while (r >= 0 && (r = db_step(st)) > 0)
		r = timeline_counts_add(&c->counts, sql_u64(st, 0), COUNT_READY, sql_u64(st, 1), sql_u64(st, 2));
	if (r < 0)
		return r;
	timeline_counts_each(&c->counts, put_count, &c->w);
	return 0;
}

/* ---- the file ---- */

static int put_metadata(struct chrome *c)
{
	struct json json, *j = &json;
	int r;

	chrome_flush(&c->w);
	json_init(j, c->w.out, false);
	json_object_begin(j);
	json_kv_string(j, "tool", "ascope " ASCOPE_VERSION);
	json_kv_string(j, "time_base", "us since the recording began");
	json_kv_u64(j, "window_from_ns", c->f->lo - c->f->ts_start);
	json_kv_u64(j, "window_to_ns", c->hi - c->f->ts_start);
	json_kv_u64(j, "events", c->w.events);
	json_kv_bool(j, "truncated", c->hi != c->f->hi);
	json_kv_u64(j, "max_events", c->o->max_events);
	json_kv_u64(j, "min_ns", c->o->profile.min_ns);
	json_kv_bool(j, "no_idle", c->o->no_idle);
	if (c->o->tasks) {
		json_kv_u64(j, "task_tracks", c->tasks_result.tasks);
		json_kv_u64(j, "task_tracks_left_out", c->tasks_result.tasks_left);
		json_kv_bool(j, "task_polls_exact", c->tasks_result.exact);
	}
	json_kv_u64(j, "flows", c->tasks_result.flows + c->flows.n);
	json_kv_u64(j, "flows_left_out", c->tasks_result.flows_left + c->flows.left);
	json_kv_u64(j, "flows_without_slice", c->tasks_result.flows_unplaced + c->flows.unplaced);
	json_kv_u64(j, "max_flows", c->o->max_flows);
	json_kv_u64(j, "counter_step_ns", c->counts.step);
	json_kv_u64(j, "gaps", c->lost.gaps);
	json_kv_u64(j, "events_lost", c->lost.events);
	r = view_head_json(c->db, c->f, j);
	json_object_end(j);
	return r;
}

static int put_names(struct chrome *c)
{
	const struct report_opts o = {.file = c->o->file, .min_ns = REPORT_MIN_NS};
	int r = chrome_tracks_put(c);

	if (r == 0)
		r = chrome_lost_names(c);
	if (r < 0 || !c->o->tasks)
		return r;
	r = chrome_tasks_load(c->db, &o, c->f, c->f->lo, c->hi, &c->task_tracks);
	return r < 0 ? r : chrome_tasks_names(c->task_tracks, &c->w);
}

static int put_file(struct chrome *c)
{
	struct thread_walk walk = {.c = c};
	int r;

	timeline_counts_init(&c->counts, c->f->lo, c->hi);
	r = chrome_flows_init(&c->flows, &c->threads, c->o->max_flows);
	chrome_puts(&c->w, "{\"traceEvents\":[");
	if (r == 0)
		r = put_names(c);
	if (r == 0)
		r = chrome_lost_put(c);
	if (r == 0)
		r = track_walk(c->db, &c->threads, &c->track, &c->calls, &c->tasks, walk_slice, &walk);
	if (r == 0 && c->task_tracks)
		r = chrome_tasks_put(c->task_tracks, &c->w, &c->threads, c->track.min_ns ? NULL : c->tracks, c->o->max_flows,
				     &c->tasks_result);
	if (r == 0)
		r = put_counts(c);
	if (r == 0)
		r = put_flows(c);
	if (r < 0)
		return r;
	chrome_puts(&c->w, "\n],\"displayTimeUnit\":\"ms\",\"metadata\":");
	r = put_metadata(c);
	chrome_puts(&c->w, "}\n");
	chrome_flush(&c->w);
	return r < 0 ? r : c->w.err;
}

static int open_names(struct chrome *c, struct library_table **own)
{
	const struct library_table *libraries = c->o->libraries;
	int r = 0;

	if (!libraries) {
		r = library_table_builtin(own);
		libraries = *own;
	}
	if (r == 0)
		r = stack_calls_init(&c->calls, c->db, libraries, true);
	return r < 0 ? r : track_tasks_init(&c->tasks, c->db, true);
}

int export_chrome(sqlite3 *db, const struct export_opts *o, FILE *out, struct export_result *ret)
{
	struct report_opts window = {.file = o->file, .from_ns = o->from_ns, .to_ns = o->to_ns};
	_cleanup_library_table_ struct library_table *own = NULL;
	_cleanup_facts_ struct capture_facts f = {0};
	struct chrome c = {.db = db, .o = o, .f = &f};
	int r;

	r = capture_facts_load(db, &window, &f);
	if (r < 0)
		return r;
	c.track = (struct track_opts){
		.min_ns = o->profile.min_ns, .no_idle = o->no_idle, .calls = true, .sample_period = f.sample_period};
	r = chrome_out_init(&c.w, out, f.ts_start, o->no_args);
	if (r == 0)
		r = open_names(&c, &own);
	if (r == 0)
		r = chrome_fit(&c);
	if (r == 0)
		r = tl_threads_load(db, f.lo, c.hi, &c.threads);
	if (r == 0)
		r = put_file(&c);
	if (r == 0)
		*ret = (struct export_result){.events = c.w.events,
					      .cut_at_ns = c.hi != f.hi ? max_u64(c.hi - f.ts_start, 1) : 0,
					      .tasks = c.tasks_result.tasks,
					      .tasks_left = c.tasks_result.tasks_left,
					      .flows_left = c.tasks_result.flows_left + c.flows.left,
					      .all_events = c.w.events + c.w.others,
					      .bytes = chrome_bytes(&c.w)};
	for (size_t i = 0; i < CHROME_WAITS; i++)
		free(c.waits[i].args);
	free(c.tracks);
	(void)chrome_tasks_free(c.task_tracks);
	chrome_flows_release(&c.flows);
	timeline_counts_release(&c.counts);
	track_tasks_release(&c.tasks);
	stack_calls_release(&c.calls);
	tl_threads_release(&c.threads);
	chrome_out_release(&c.w);
	return r;
}
