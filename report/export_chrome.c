/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * export_chrome.c: Chrome's trace event JSON, for ui.perfetto.dev, chrome://tracing and speedscope.
 *
 * Object form, traceEvents first, one complete X event a line, M events before them, metadata last. Each thread has a track of
 * its own, whose slices are the segments of view_timeline.h (side by side, nothing nests), and when it polled a second one with
 * the polls; with --tasks each task has one (chrome_tasks.h). So no two slices of a track overlap partially, which older viewers drop. Losses have tracks too. Timestamps are us
 * since the recording began, exact to the ns once rounded (put_dur).
 */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/u64map.h"
#include "report/chrome_out.h"
#include "report/chrome_tasks.h"
#include "report/export.h"
#include "report/export_stacks.h"
#include "report/sqlrow.h"
#include "report/view_head.h"
#include "report/view_timeline.h"
#include "version.h"

/* Track ids that no thread can have: Linux's pid_max is at most 2^22. */
#define TRACK_POLLS ((u64)1 << 22)
#define TRACK_GAPS  ((u64)3 << 22)

#define CUT_BUCKETS 4096
#define CUT_ROUNDS  4

struct chrome {
	sqlite3 *db;
	const struct export_opts *o;
	const struct capture_facts *f;
	struct chrome_out w;
	struct tl_threads threads;
	u64 *tracks; /* per thread: the tid of its track */
	struct stack_texts stacks;
	struct tl_idle idle;
	struct chrome_tasks_result tasks; /* --tasks */
};

/* ---- tracks ---- */

static size_t thread_index(const struct chrome *c, const struct tl_thread *t)
{
	return (size_t)(t - c->threads.rows);
}

static void thread_label(const struct chrome *c, const struct tl_thread *t, const char *suffix, char *buf, size_t n)
{
	char who[64] = "";

	if (t->has_worker && c->f->mt_runtimes > 1)
		(void)snprintf(who, sizeof(who), "runtime %llu worker %llu", (unsigned long long)t->runtime_id,
			       (unsigned long long)t->worker);
	else if (t->has_worker)
		(void)snprintf(who, sizeof(who), "worker %llu", (unsigned long long)t->worker);
	else if (t->has_runtime)
		(void)snprintf(who, sizeof(who), "runtime %llu", (unsigned long long)t->runtime_id);
	if (*who)
		(void)snprintf(buf, n, "%s%s (%.64s)", who, suffix, t->name);
	else
		(void)snprintf(buf, n, "%.64s%s", t->name, suffix);
}

/* A tid that served two program images of one process names two threads: the later one gets a track that no thread has. */
static void assign_tracks(struct chrome *c)
{
	for (size_t i = 0; i < c->threads.n; i++) {
		const struct tl_thread *t = &c->threads.rows[i];

		c->tracks[i] = t->tid;
		for (size_t k = 0; k < i; k++)
			if (c->threads.rows[k].pid == t->pid && c->threads.rows[k].tid == t->tid)
				c->tracks[i] = TRACK_POLLS * 2 + i;
	}
}

static void put_track_names(struct chrome *c)
{
	char label[192];

	for (size_t i = 0; i < c->threads.n; i++) {
		const struct tl_thread *t = &c->threads.rows[i];

		/* Of two program images the later one names the process, as ps(1) would. */
		if (i + 1 == c->threads.n || t[1].pid != t->pid)
			chrome_put_meta(&c->w, "process_name", t->pid, t->pid, t->process, 0);
		thread_label(c, t, "", label, sizeof(label));
		chrome_put_meta(&c->w, "thread_name", t->pid, c->tracks[i], label, 0);
		chrome_put_meta(&c->w, "thread_sort_index", t->pid, c->tracks[i], NULL, 16 + 2 * i);
	}
}

/* ---- slices of threads ---- */

static int put_stacks(struct chrome *c, u64 stack_id, u64 kstack_id)
{
	struct stack_text user, kernel;
	int r;

	r = stack_texts_get(&c->stacks, stack_id, false, &user);
	if (r == 0)
		r = stack_texts_get(&c->stacks, kstack_id, true, &kernel);
	if (r < 0)
		return r;
	if (has_text(&user))
		json_kv_string(&c->w.j, "stack", user.text);
	if (has_text(&kernel))
		json_kv_string(&c->w.j, "kernel", kernel.text);
	return 0;
}

static void put_waker(struct chrome *c, const struct tl_segment *s)
{
	if (!s->has_waker)
		return;
	json_key(&c->w.j, "waker");
	if (s->waker_tid)
		json_u64(&c->w.j, s->waker_tid);
	else
		json_string(&c->w.j, "irq");
	if (s->waker_task)
		json_kv_u64(&c->w.j, "waker_task", s->waker_task);
}

static int put_segment_args(struct chrome *c, const struct tl_thread *t, const struct tl_segment *s)
{
	char state[2] = {s->state, '\0'};

	if (c->o->no_args || s->kind == TL_ONCPU || s->kind == TL_UNSEEN)
		return 0;
	json_kv_string(&c->w.j, "state", state);
	json_kv_string(&c->w.j, "role", s->role);
	if (s->class_name)
		json_kv_string(&c->w.j, "class", s->class_name);
	if (s->syscall)
		json_kv_string(&c->w.j, "syscall", s->syscall);
	if (s->has_task)
		json_kv_u64(&c->w.j, "task", s->task_id);
	if (t->has_worker)
		json_kv_u64(&c->w.j, "worker", t->worker);
	if (s->poll_id)
		json_kv_u64(&c->w.j, "poll_id", s->poll_id);
	put_waker(c, s);
	return put_stacks(c, s->stack_id, s->kstack_id);
}

/* Whether a segment becomes a slice, and of which category; NULL when it does not. */
static int segment_category(struct chrome *c, const struct tl_segment *s, const char **ret)
{
	int idle = tl_is_idle(&c->idle, s);

	if (idle < 0)
		return idle;
	*ret = s->kind == TL_ONCPU						       ? "oncpu"
	       : s->kind == TL_RUNNABLE						       ? "runnable"
	       : s->kind == TL_UNSEEN						       ? "unseen"
	       : idle								       ? "idle"
	       : s->role && strcmp(s->role, "in_poll") == 0 && !strchr("Tt", s->state) ? "blocked"
										       : "offcpu";
	if (c->o->no_idle && (idle || s->kind == TL_UNSEEN) && s->kind != TL_RUNNABLE)
		*ret = NULL;
	return 0;
}

/* "blocked: sleep process_large_file", "parked", "waiting: lock" */
static int segment_name(struct chrome *c, const struct tl_segment *s, const char *cat, char *buf, size_t n)
{
	struct stack_text st;
	const char *word;
	int r;

	if (s->kind != TL_WAIT) {
		(void)snprintf(buf, n, "%s", s->kind == TL_ONCPU ? "on-CPU" : s->kind == TL_RUNNABLE ? "runnable" : "no events");
		return 0;
	}
	if (strcmp(cat, "idle") == 0) {
		(void)snprintf(buf, n, "%s", s->role && strcmp(s->role, "parked") == 0 ? "parked" : "idle");
		return 0;
	}
	if (strchr("TtXZ", s->state)) {
		(void)snprintf(buf, n, "%s", s->state == 'T' || s->state == 't' ? "stopped" : "exited");
		return 0;
	}
	r = stack_texts_get(&c->stacks, s->stack_id, false, &st);
	if (r < 0)
		return r;
	word = strcmp(cat, "blocked") == 0 ? "blocked" : "waiting";
	(void)snprintf(buf, n, "%s: %s%s%s", word, s->class_name ? s->class_name : "other", st.place ? " " : "",
		       st.place ? st.place : "");
	return 0;
}

static int put_segment(void *ctx, const struct tl_thread *t, const struct tl_segment *s)
{
	struct chrome *c = ctx;
	const char *cat;
	char name[256];
	int r;

	r = segment_category(c, s, &cat);
	if (r < 0 || !cat)
		return r;
	r = segment_name(c, s, cat, name, sizeof(name));
	if (r < 0)
		return r;
	chrome_slice_begin(&c->w, cat, name, t->pid, c->tracks[thread_index(c, t)], s->ts, s->end);
	r = put_segment_args(c, t, s);
	chrome_event_end(&c->w);
	return r;
}

/* ---- polls ---- */

#define POLLS_SQL                                                                                                                     \
	"SELECT thread_id, ts, dur + stopped, task_id, class, syscall, holds, state, classified, dur_min, dur_max, off_cpu, on_cpu, " \
	"runnable, waits, samples, function, file, line, stack_id, kstack_id, id, lifo, queued FROM poll "                            \
	"WHERE ts < ?2 AND ts + dur + stopped >= ?1 ORDER BY thread_id, ts, id"

static int put_poll_args(struct chrome *c, sqlite3_stmt *st)
{
	static const struct {
		const char *key;
		int col;
		bool is_text;
	} args[] = {{"task", 3, false},	      {"class", 4, true},	  {"syscall", 5, true},	     {"holds", 6, true},
		    {"state", 7, true},	      {"function", 16, true},	  {"file", 17, true},	     {"line", 18, false},
		    {"poll_id", 21, false},   {"dur_min_ns", 9, false},	  {"dur_max_ns", 10, false}, {"off_cpu_ns", 11, false},
		    {"on_cpu_ns", 12, false}, {"runnable_ns", 13, false}, {"waits", 14, false},	     {"samples", 15, false},
		    {"lifo", 22, false},      {"queued", 23, false}};

	if (c->o->no_args)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(args); i++) {
		if (sql_is_null(st, args[i].col))
			continue;
		if (args[i].is_text)
			json_kv_string(&c->w.j, args[i].key, sql_text(st, args[i].col));
		else
			json_kv_u64(&c->w.j, args[i].key, sql_u64(st, args[i].col));
	}
	return put_stacks(c, sql_u64(st, 19), sql_u64(st, 20));
}

/* "task 30", "root future"; of a poll that blocked also what and where: "task 30: cpu hash_password" */
static int poll_name(struct chrome *c, sqlite3_stmt *st, char *buf, size_t n)
{
	const char *holds = sql_text(st, 6), *class_name = sql_text(st, 4);
	struct stack_text at = {0};
	char who[48];
	int r = 0;

	if (!sql_u64(st, 8))
		(void)snprintf(who, sizeof(who), "one poll or many");
	else if (!sql_is_null(st, 3))
		(void)snprintf(who, sizeof(who), "task %llu", (unsigned long long)sql_u64(st, 3));
	else
		(void)snprintf(who, sizeof(who), "%s", holds && strcmp(holds, "localset") == 0 ? "local set" : "root future");
	if (!sql_u64(st, 8) || !class_name || sql_u64(st, 11) + sql_u64(st, 12) < REPORT_MIN_NS) {
		(void)snprintf(buf, n, "%s", who);
		return 0;
	}
	r = stack_texts_get(&c->stacks, sql_u64(st, 19), false, &at);
	(void)snprintf(buf, n, "%s: %s%s%s", who, class_name, at.place ? " " : "", at.place ? at.place : "");
	return r;
}

struct poll_track {
	const struct tl_thread *t; /* NULL before the first */
	u64 tid;
	u64 done; /* its polls are written up to here */
};

static void poll_track_begin(struct chrome *c, const struct tl_thread *t, struct poll_track *track)
{
	char label[192];

	*track = (struct poll_track){t, TRACK_POLLS + thread_index(c, t), t->lo};
	thread_label(c, t, " polls", label, sizeof(label));
	chrome_put_meta(&c->w, "thread_name", t->pid, track->tid, label, 0);
	chrome_put_meta(&c->w, "thread_sort_index", t->pid, track->tid, NULL, 17 + 2 * thread_index(c, t));
}

/* Polls of a thread follow one another; what a damaged capture made overlap is cut at its successor's expense. */
static int put_poll(struct chrome *c, struct poll_track *track, sqlite3_stmt *st)
{
	u64 ts = max_u64(sql_u64(st, 1), track->done), end = min_u64(sql_u64(st, 1) + sql_u64(st, 2), track->t->hi);
	char name[256];
	int r;

	if (end < ts)
		return 0;
	r = poll_name(c, st, name, sizeof(name));
	if (r < 0)
		return r;
	track->done = end;
	chrome_slice_begin(&c->w, sql_u64(st, 8) ? "poll" : "unclassified", name, track->t->pid, track->tid, ts, end);
	r = put_poll_args(c, st);
	chrome_event_end(&c->w);
	return r;
}

static int put_polls(struct chrome *c, u64 hi)
{
	u64 binds[2] = {c->f->lo, hi};
	_cleanup_(u64map_release) struct u64map by_id = U64MAP_INIT;
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	struct poll_track track = {0};
	int r;

	for (size_t i = 0; i < c->threads.n; i++) {
		r = u64map_put(&by_id, c->threads.rows[i].id, i);
		if (r < 0)
			return r;
	}
	r = sql_prepare(c->db, &st, POLLS_SQL, binds, 2);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		u64 at;

		if (!u64map_get(&by_id, sql_u64(st, 0), &at))
			continue;
		if (track.t != &c->threads.rows[at])
			poll_track_begin(c, &c->threads.rows[at], &track);
		r = put_poll(c, &track, st);
		if (r < 0)
			return r;
	}
	return r;
}

/* ---- losses ---- */

/* One track per cause; gaps of one cause that overlap become one slice. */
static int put_gaps(struct chrome *c, u64 hi)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	u64 track = TRACK_GAPS, pid = c->threads.n ? c->threads.rows[0].pid : 1, done = 0;
	char last[64] = "", label[96];
	int r;

	r = sql_prepare(c->db, &st, "SELECT cause, ts, ts_end, count FROM gap ORDER BY cause, ts, ts_end", NULL, 0);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		const char *cause = sql_text(st, 0);
		u64 ts, end = min_u64(sql_u64(st, 2), hi);

		if (track == TRACK_GAPS || strncmp(cause, last, sizeof(last) - 1) != 0) {
			(void)snprintf(last, sizeof(last), "%s", cause);
			(void)snprintf(label, sizeof(label), "events lost: %s", last);
			chrome_put_meta(&c->w, "thread_name", pid, ++track, label, 0);
			chrome_put_meta(&c->w, "thread_sort_index", pid, track, NULL, min_u64(track - TRACK_GAPS, 15));
			done = c->f->lo;
		}
		ts = max_u64(sql_u64(st, 1), done);
		if (end <= ts)
			continue;
		done = end;
		(void)snprintf(label, sizeof(label), "lost: %s", last);
		chrome_slice_begin(&c->w, "lost", label, pid, track, ts, end);
		if (!c->o->no_args)
			json_kv_u64(&c->w.j, "count", sql_u64(st, 3));
		chrome_event_end(&c->w);
	}
	return r;
}

/* ---- --max-events ---- */

struct cut {
	struct chrome *c;
	u64 lo, hi;
	u64 total;
	u64 *buckets;
};

static void cut_count(struct cut *k, u64 ts)
{
	u64 at = ts <= k->lo ? 0 : (u64)((double)(ts - k->lo) / (double)(k->hi - k->lo) * CUT_BUCKETS);

	k->buckets[min_u64(at, CUT_BUCKETS - 1)]++;
	k->total++;
}

static int cut_segment(void *ctx, const struct tl_thread *t, const struct tl_segment *s)
{
	struct cut *k = ctx;
	const char *cat;
	int r;

	(void)t;
	r = segment_category(k->c, s, &cat);
	if (r == 0 && cat)
		cut_count(k, s->ts);
	return r;
}

static void cut_task(void *ctx, u64 ts)
{
	cut_count(ctx, ts);
}

static int cut_polls(struct cut *k)
{
	u64 binds[2] = {k->lo, k->hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r;

	r = sql_prepare(k->c->db, &st, "SELECT ts FROM poll WHERE ts < ?2 AND ts + dur >= ?1", binds, 2);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0)
		cut_count(k, sql_u64(st, 0));
	return r;
}

/*
 * The end of the longest window from lo on whose events are at most `max`: by buckets of time, refined where the first bucket
 * alone is too much.
 */
static int fit_window(struct chrome *c, u64 lo, u64 *hi)
{
	_cleanup_free_ u64 *buckets = calloc(CUT_BUCKETS, sizeof(*buckets));
	int r;

	if (!buckets)
		return -ENOMEM;
	for (int round = 0; round<CUT_ROUNDS && * hi> lo; round++) {
		struct cut k = {.c = c, .lo = lo, .hi = *hi, .buckets = buckets};
		_cleanup_tl_threads_ struct tl_threads threads = {0};
		u64 fit = 0, sum = 0;

		memset(buckets, 0, CUT_BUCKETS * sizeof(*buckets));
		r = tl_threads_load(c->db, lo, *hi, &threads);
		if (r == 0)
			r = timeline_walk(c->db, &threads, cut_segment, &k);
		if (r == 0)
			r = cut_polls(&k);
		if (r == 0 && c->o->tasks)
			r = chrome_tasks_count(c->db, lo, *hi, cut_task, &k);
		if (r < 0)
			return r;
		if (k.total <= c->o->max_events)
			return 0;
		while (fit < CUT_BUCKETS && sum + buckets[fit] <= c->o->max_events)
			sum += buckets[fit++];
		*hi = lo + (u64)((double)(*hi - lo) / CUT_BUCKETS * (double)max_u64(fit, 1));
		if (fit)
			return 0;
	}
	*hi = lo;
	return 0;
}

/* ---- the file ---- */

static int put_metadata(struct chrome *c, u64 hi)
{
	struct json *j = &c->w.j;
	int r;

	json_object_begin(j);
	json_kv_string(j, "tool", "ascope " ASCOPE_VERSION);
	json_kv_string(j, "time_base", "us since the recording began");
	json_kv_u64(j, "window_from_ns", c->f->lo - c->f->ts_start);
	json_kv_u64(j, "window_to_ns", hi - c->f->ts_start);
	json_kv_u64(j, "events", c->w.events);
	json_kv_bool(j, "truncated", hi != c->f->hi);
	json_kv_u64(j, "max_events", c->o->max_events);
	if (c->o->tasks) {
		json_kv_u64(j, "task_tracks", c->tasks.tasks);
		json_kv_u64(j, "task_tracks_left_out", c->tasks.tasks_left);
		json_kv_bool(j, "task_polls_exact", c->tasks.exact);
		json_kv_u64(j, "flows", c->tasks.flows);
		json_kv_u64(j, "flows_left_out", c->tasks.flows_left);
		json_kv_u64(j, "flows_without_slice", c->tasks.flows_unplaced);
		json_kv_u64(j, "max_flows", c->o->max_flows);
	}
	r = view_head_json(c->db, c->f, j);
	json_object_end(j);
	return r;
}

static int put_tasks(struct chrome *c, u64 hi)
{
	const struct report_opts o = {.file = c->o->file, .min_ns = REPORT_MIN_NS};
	struct chrome_tasks *t = NULL;
	int r;

	if (!c->o->tasks)
		return 0;
	r = chrome_tasks_load(c->db, &o, c->f, c->f->lo, hi, &t);
	if (r == 0)
		r = chrome_tasks_put(t, &c->w, &c->threads, c->tracks, c->o->max_flows, &c->tasks);
	(void)chrome_tasks_free(t);
	return r;
}

static int put_file(struct chrome *c, u64 hi)
{
	int r;

	c->tracks = calloc(c->threads.n + 1, sizeof(*c->tracks));
	if (!c->tracks)
		return -ENOMEM;
	assign_tracks(c);
	(void)fputs("{\"traceEvents\":[", c->w.out);
	put_track_names(c);
	r = put_gaps(c, hi);
	if (r == 0)
		r = timeline_walk(c->db, &c->threads, put_segment, c);
	if (r == 0)
		r = put_polls(c, hi);
	if (r == 0)
		r = put_tasks(c, hi);
	if (r < 0)
		return r;
	(void)fputs("\n],\"displayTimeUnit\":\"ms\",\"metadata\":", c->w.out);
	r = put_metadata(c, hi);
	(void)fputs("}\n", c->w.out);
	return r;
}

int export_chrome(sqlite3 *db, const struct export_opts *o, FILE *out, struct export_result *ret)
{
	struct report_opts window = {.file = o->file, .from_ns = o->from_ns, .to_ns = o->to_ns};
	_cleanup_facts_ struct capture_facts f = {0};
	struct chrome c = {.db = db, .o = o, .f = &f, .w = {.out = out, .no_args = o->no_args}};
	u64 hi;
	int r;

	r = capture_facts_load(db, &window, &f);
	if (r < 0)
		return r;
	json_init(&c.w.j, out, false);
	c.w.ts_start = f.ts_start;
	hi = f.hi;
	r = tl_idle_init(&c.idle, db);
	if (r == 0)
		r = stack_texts_init(&c.stacks, db, STACK_FORM_LINE);
	if (r == 0)
		r = fit_window(&c, f.lo, &hi);
	if (r == 0)
		r = tl_threads_load(db, f.lo, hi, &c.threads);
	if (r == 0)
		r = put_file(&c, hi);
	if (r == 0)
		*ret = (struct export_result){c.w.events, hi != f.hi ? max_u64(hi - f.ts_start, 1) : 0, c.tasks.tasks,
					      c.tasks.tasks_left, c.tasks.flows_left};
	free(c.tracks);
	tl_threads_release(&c.threads);
	stack_texts_release(&c.stacks);
	tl_idle_release(&c.idle);
	return r;
}
