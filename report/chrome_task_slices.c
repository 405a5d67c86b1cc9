/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * chrome_task_slices.c: what is on the tracks of tasks (chrome_tasks.h): polls, and the times that a task was ready, written as they are read; and arrows.
 *
 * Invariant: of each track one slice is kept, of arrows the earliest --max-flows; nothing grows with the length of the recording.
 */
#include <errno.h>
#include <string.h>

#include "report/chrome_flows.h"
#include "report/chrome_tasks_impl.h"
#include "report/poll_over.h"
#include "report/sqlrow.h"

static void put_slice(const struct chrome_tasks *t, struct chrome_out *w, const struct track *k, const struct tl_threads *threads)
{
	static const char *const cats[] = {"task_poll", "ready", "ready"};
	const struct slice *s = &k->last;
	const struct task_stat *row = &t->s.rows[k->task];
	const struct task_type *type = &t->s.types[row->type];
	const struct task_site *site = &t->s.sites[row->site];

	chrome_slice_begin(w, &k->chrome, cats[s->kind], NULL, s->ts, s->end, 0);
	if (s->kind == SLICE_POLL)
		chrome_puts_raw(w, type->name && *type->name ? type->name : "poll");
	else
		chrome_puts(w, s->kind == SLICE_READY ? "ready" : "spawned, ready");
	chrome_args_begin(w);
	if (!w->no_args && s->kind == SLICE_POLL) {
		chrome_arg_u64(w, "task", row->task_id);
		for (size_t i = 0; i < threads->n; i++) {
			if (threads->rows[i].id != s->thread_id)
				continue;
			chrome_arg_u64(w, "tid", threads->rows[i].tid);
			if (threads->rows[i].has_worker)
				chrome_arg_u64(w, "worker", threads->rows[i].worker);
		}
		if (site->file) {
			chrome_arg_raw(w, "spawn_file", site->file);
			chrome_arg_u64(w, "spawn_line", site->line);
		}
	}
	chrome_event_end(w);
}

/* ---- slices, in order of time, as they are read ---- */

struct writing {
	struct chrome_tasks *t;
	struct chrome_out *w;
	const struct tl_threads *threads;
	const struct chrome_track *tracks; /* of the threads; NULL: not all slices are there */
	struct chrome_flows flows;
};

/* What was kept of the track is final. Only polls have arrows; one of no length may have them, too. */
static void put_last(struct writing *p, struct track *k)
{
	const struct slice *s = &k->last;

	if (!k->has_last)
		return;
	k->has_last = false;
	put_slice(p->t, p->w, k, p->threads);
	if (s->kind != SLICE_POLL)
		return;
	chrome_flows_cover(&p->flows, (u32)(k - p->t->tracks), s->ts, max_u64(s->end, s->ts + 1), true);
	if (k->spawn) {
		p->flows.rows[k->spawn - 1].to = s->ts;
		p->flows.rows[k->spawn - 1].covered |= 2;
		k->spawn = 0;
	}
}

/* What a damaged capture made overlap is cut at the later one's expense. */
static void take_slice(struct writing *p, struct track *k, struct slice s)
{
	s.ts = max_u64(s.ts, p->t->lo);
	s.end = min_u64(s.end, p->t->hi);
	if (k->has_last && k->last.end > s.ts) {
		if (k->last.open && k->last.ts < s.ts)
			k->last.end = s.ts;
		s.ts = max_u64(s.ts, k->last.end);
	}
	if (s.end < s.ts || (s.end == s.ts && s.kind != SLICE_POLL))
		return;
	put_last(p, k);
	k->last = s;
	k->has_last = true;
}

/* Ids are in the order of time. */
#define POLLS_SQL                                                                                                                \
	"SELECT ts, " POLL_END_SQL ", task_row, thread_id FROM _task_poll AS p WHERE ts <= ?2 AND coalesce(ts + dur, ?2) >= ?1 " \
	"ORDER BY id"
#define READY_SQL                                                                                                                \
	"SELECT ts, ts + delay, task_row, 0 FROM _task_wake WHERE delay IS NOT NULL AND ts <= ?2 AND ts + delay >= ?1 ORDER BY id"

struct source {
	sqlite3_stmt *st;
	enum slice_kind kind;
	int more; /* as of db_step() */
};

static int source_next(struct writing *p, struct source *s)
{
	struct track *k = NULL;
	u64 at;

	if (!sql_is_null(s->st, 2) && u64map_get(&p->t->rows, sql_u64(s->st, 2), &at))
		k = &p->t->tracks[at];
	if (k) {
		bool open = sql_is_null(s->st, 1);
		u64 end = open ? p->t->hi : sql_u64(s->st, 1);

		take_slice(p, k, (struct slice){sql_u64(s->st, 0), end, sql_u64(s->st, 3), s->kind, open});
	}
	s->more = db_step(s->st);
	return s->more < 0 ? s->more : 0;
}

static int put_exact(struct writing *p)
{
	const u64 binds[2] = {p->t->lo, p->t->hi};
	_cleanup_stmt_ sqlite3_stmt *polls = NULL, *wakes = NULL;
	struct source a = {.kind = SLICE_POLL}, b = {.kind = SLICE_READY};
	int r = sql_prepare(p->t->db, &polls, POLLS_SQL, binds, 2);

	if (r == 0)
		r = sql_prepare(p->t->db, &wakes, READY_SQL, binds, 2);
	if (r < 0)
		return r;
	a.st = polls;
	b.st = wakes;
	a.more = db_step(a.st);
	b.more = db_step(b.st);
	r = a.more < 0 ? a.more : b.more < 0 ? b.more : 0;
	while (r == 0 && (a.more > 0 || b.more > 0)) {
		bool wake = b.more > 0 && (a.more <= 0 || sql_u64(b.st, 0) <= sql_u64(a.st, 0));

		r = source_next(p, wake ? &b : &a);
	}
	return r;
}

/* From its spawn to its first poll, before all else of a task. */
static int put_spawned(struct writing *p)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = db_prepare(
		p->t->db,
		"SELECT ts_spawn, (SELECT min(p.ts) FROM _task_poll AS p WHERE p.task_row = k.id) AS first FROM _task AS k "
		"WHERE task_id = ?1 AND coalesce(runtime_id, 0) = ?2 AND first >= ts_spawn ORDER BY ts_spawn, id",
		&st);

	for (u32 i = 0; i < p->t->n && r == 0; i++) {
		const struct task_stat *row = &p->t->s.rows[p->t->tracks[i].task];

		r = db_bind(st, (struct db_val[]){DB_INT(row->task_id), DB_INT(row->runtime_id)}, 2);
		while (r >= 0 && (r = db_step(st)) > 0)
			if (sql_u64(st, 0) <= p->t->hi && sql_u64(st, 1) >= p->t->lo)
				take_slice(p, &p->t->tracks[i],
					   (struct slice){sql_u64(st, 0), sql_u64(st, 1), 0, SLICE_SPAWNED, false});
		(void)sqlite3_reset(st);
	}
	return r;
}

/* Without exact polls; then it is not known when a task became ready. SQLite sorts in bounded memory. */
#define CAUGHT_SQL                                                                                                                       \
	"SELECT coalesce(runtime_id, 0), task_id, ts, ts + dur + stopped, thread_id FROM poll WHERE task_id IS NOT NULL AND classified " \
	"AND ts <= ?2 AND ts + dur + stopped >= ?1 ORDER BY 1, 2, ts, id"

static int put_caught(struct writing *p)
{
	const u64 binds[2] = {p->t->lo, p->t->hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	u32 at = 0;
	int r = sql_prepare(p->t->db, &st, CAUGHT_SQL, binds, 2);

	while (r >= 0 && (r = db_step(st)) > 0) {
		const struct task_stat *row = NULL;

		for (; at < p->t->n; at++) {
			row = &p->t->s.rows[p->t->tracks[at].task];
			if (row->runtime_id > sql_u64(st, 0) ||
			    (row->runtime_id == sql_u64(st, 0) && row->task_id >= sql_u64(st, 1)))
				break;
		}
		if (at == p->t->n)
			return 0;
		if (row->runtime_id == sql_u64(st, 0) && row->task_id == sql_u64(st, 1))
			take_slice(p, &p->t->tracks[at],
				   (struct slice){sql_u64(st, 2), sql_u64(st, 3), sql_u64(st, 4), SLICE_POLL, false});
	}
	return r < 0 ? r : 0;
}

/* ---- arrows ---- */

/* The track of a task; NO_TRACK: it has none, or it is the same task. */
static u32 track_of(const struct chrome_tasks *t, const struct task_stat *row, u32 other)
{
	u32 at = row ? t->track_of[row - t->s.rows] : NO_TRACK;

	return at == other ? NO_TRACK : at;
}

/* To the first poll of each task: where that is shows when it is written. */
static int add_spawns(struct writing *p)
{
	const struct chrome_tasks *t = p->t;
	int r = 0;

	for (u32 i = 0; i < t->n && r == 0; i++) {
		const struct task_stat *row = &t->s.rows[t->tracks[i].task];
		struct chrome_flow flow = {.from = row->ts_spawn, .to = UINT64_MAX, .to_thread = i, .kind = FLOW_SPAWN};

		if (row->ts_spawn < t->lo || !row->ts_spawn || !row->spawned_by)
			continue;
		flow.from_thread = track_of(t, task_stats_find(&t->s, row->runtime_id, row->spawned_by), i);
		r = chrome_flows_add(&p->flows, &flow);
	}
	return r;
}

#define WAKES_SQL                                                                                                                \
	"SELECT task_row, ts, ts + delay, thread_id, waker_task FROM _task_wake WHERE delay IS NOT NULL AND task_row NOT NULL "  \
	"AND ts >= ?1 AND ts + delay <= ?2 ORDER BY id"

static int add_wakes(struct writing *p)
{
	const u64 binds[2] = {p->t->lo, p->t->hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_prepare(p->t->db, &st, WAKES_SQL, binds, 2);

	while (r >= 0 && (r = db_step(st)) > 0) {
		const struct task_stat *by = NULL;
		struct chrome_flow flow = {
			.from = sql_u64(st, 1), .to = sql_u64(st, 2), .thread_id = sql_u64(st, 3), .kind = FLOW_WAKE};
		u64 at;

		if (!u64map_get(&p->t->rows, sql_u64(st, 0), &at))
			continue;
		flow.to_thread = (u32)at;
		if (!sql_is_null(st, 4))
			by = task_stats_find(&p->t->s, p->t->s.rows[p->t->tracks[at].task].runtime_id, sql_u64(st, 4));
		flow.from_thread = track_of(p->t, by, flow.to_thread);
		r = chrome_flows_add(&p->flows, &flow);
	}
	return r < 0 ? r : 0;
}

/* The track of a thread that was on its cpu at an instant, which has a slice of that. */
static int find_thread(const struct writing *p, u64 thread_id, u64 ts, const struct chrome_track **ret)
{
	bool found;
	int r;

	*ret = NULL;
	for (size_t i = 0; i < p->threads->n; i++) {
		const struct tl_thread *h = &p->threads->rows[i];

		if (h->id != thread_id || ts < h->lo || ts >= h->hi)
			continue;
		r = db_bind(p->t->on_cpu, (struct db_val[]){DB_INT(thread_id), DB_INT(ts)}, 2);
		if (r == 0)
			r = db_step(p->t->on_cpu);
		if (r < 0)
			return r;
		found = r > 0 && sql_u64(p->t->on_cpu, 0) != 0;
		(void)sqlite3_reset(p->t->on_cpu);
		*ret = found ? &p->tracks[i] : NULL;
	}
	return 0;
}

/* From a poll of the task that caused it, or, where that is not known or was not in one, from the thread. */
static int put_arrows(struct writing *p, struct chrome_tasks_result *ret)
{
	int r = 0;

	ret->flows_left = p->flows.left;
	for (size_t i = 0; i < p->flows.n && r == 0; i++) {
		const struct chrome_flow *k = &p->flows.rows[i];
		const struct chrome_track *track = NULL;

		if (k->kind == FLOW_SPAWN && k->to == UINT64_MAX)
			continue;
		if (k->covered & 1)
			track = &p->t->tracks[k->from_thread].chrome;
		else if (k->thread_id && p->tracks)
			r = find_thread(p, k->thread_id, k->from, &track);
		if (r < 0)
			return r;
		if (!track || !(k->covered & 2) || k->to < k->from) {
			ret->flows_unplaced++;
			continue;
		}
		ret->flows++;
		chrome_put_flow(p->w, true, chrome_flow_name(k->kind), ret->flows, track, k->from);
		chrome_put_flow(p->w, false, chrome_flow_name(k->kind), ret->flows, &p->t->tracks[k->to_thread].chrome, k->to);
	}
	return r;
}

static int expect_arrows(struct writing *p, u64 max)
{
	int r = add_spawns(p);

	if (r == 0)
		r = add_wakes(p);
	chrome_flows_sort(&p->flows, max);
	for (u32 i = 0; i < p->flows.n; i++)
		if (p->flows.rows[i].kind == FLOW_SPAWN)
			p->t->tracks[p->flows.rows[i].to_thread].spawn = i + 1;
	return r < 0 ? r : chrome_flows_expect(&p->flows);
}

int chrome_tasks_put(struct chrome_tasks *t, struct chrome_out *w, const struct tl_threads *threads,
		     const struct chrome_track *tracks, u64 max_flows, struct chrome_tasks_result *ret)
{
	struct writing p = {.t = t, .w = w, .threads = threads, .tracks = tracks, .flows.max = max_flows};
	int r = expect_arrows(&p, max_flows);

	*ret = (struct chrome_tasks_result){.exact = t->s.has_polls, .tasks = t->n, .tasks_left = t->left};
	if (r == 0 && t->s.has_polls)
		r = put_spawned(&p);
	if (r == 0)
		r = t->s.has_polls ? put_exact(&p) : put_caught(&p);
	for (u32 i = 0; i < t->n && r == 0; i++)
		put_last(&p, &t->tracks[i]);
	if (r == 0)
		r = put_arrows(&p, ret);
	chrome_flows_release(&p.flows);
	return r;
}
