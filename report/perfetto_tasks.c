/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * perfetto_tasks.c: see perfetto_tasks.h. Polls and wakes are read side by side in the order of time, so that what is pending (a wake whose poll has not come)
 * is all that is remembered. Slices of one track never overlap: the end of one is written when the next begins, or at the end.
 */
#include "report/perfetto_tasks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/u64map.h"
#include "report/poll_over.h"
#include "report/sqlrow.h"

/* ---- what is known of tasks ---- */

void pf_tasks_release(struct pf_tasks *t)
{
	for (u32 i = 0; t->kinds && i < t->s.n_types; i++)
		free(t->kinds[i]);
	for (u32 i = 0; t->sites && i < t->s.n_sites; i++)
		free(t->sites[i]);
	free(t->kinds);
	free(t->sites);
	free(t->rows);
	(void)sqlite3_finalize(t->name);
	(void)sqlite3_finalize(t->spawner);
	u64map_release(&t->by_row);
	u64map_release(&t->processes);
	task_stats_release(&t->s);
	*t = (struct pf_tasks){0};
}

static int load_labels(struct pf_tasks *t)
{
	int r = 0;

	t->kinds = calloc((size_t)t->s.n_types + 1, sizeof(*t->kinds));
	t->sites = calloc((size_t)t->s.n_sites + 1, sizeof(*t->sites));
	if (!t->kinds || !t->sites)
		return -ENOMEM;
	for (u32 i = 0; i < t->s.n_types && r == 0; i++)
		if (i)
			r = task_type_label(&t->s.types[i], &t->kinds[i]);
	for (u32 i = 0; i < t->s.n_sites && r == 0; i++)
		if (i)
			r = task_site_label(&t->s.sites[i], true, &t->sites[i]);
	return r;
}

static int load_map(sqlite3 *db, const char *sql, struct u64map *map)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_prepare(db, &st, sql, NULL, 0);

	while (r == 0 && (r = db_step(st)) > 0)
		r = u64map_put(map, sql_u64(st, 0), sql_u64(st, 1));
	return r;
}

/* The position of a task that has a track. */
static bool find_shown(const struct pf_tasks *t, u64 runtime_id, u64 task_id, size_t *ret)
{
	const struct task_stat *row = task_stats_find_own(&t->s, runtime_id, task_id);

	if (row)
		*ret = (size_t)(row - t->s.rows);
	return row != NULL;
}

/* Rows of _task to tasks that have a track. */
static int load_rows(struct pf_tasks *t)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_prepare(t->db, &st, "SELECT id, runtime_id, task_id FROM _task ORDER BY id", NULL, 0);
	size_t i;

	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		if (!find_shown(t, sql_u64(st, 1), sql_u64(st, 2), &i))
			continue;
		r = u64map_put(&t->by_row, sql_u64(st, 0), i);
		if (r < 0)
			return r;
	}
	return r;
}

#define NAME_SQL "SELECT type_id, site_id FROM _task WHERE task_id = ?1 AND owner = ?2 ORDER BY id DESC LIMIT 1"
/* As task_stats_find() looks: of this runtime, else of the only one that has this id. */
#define SPAWNER_SQL                                                                                                              \
	"SELECT max(coalesce(runtime_id, 0)), count(DISTINCT coalesce(runtime_id, 0)), "                                         \
	"count(*) FILTER (WHERE coalesce(runtime_id, 0) = ?2) FROM _task WHERE task_id = ?1"

int pf_tasks_load(sqlite3 *db, const struct capture_facts *f, u64 uuid, struct pf_tasks *ret)
{
	const struct report_opts o = {.min_ns = REPORT_MIN_NS};
	int r;

	*ret = (struct pf_tasks){.db = db, .uuid = uuid};
	r = task_stats_load_costly(db, &o, f, PF_TASKS_MAX, false, &ret->s, &ret->left);
	if (r < 0)
		return r;
	r = load_labels(ret);
	ret->rows = calloc(ret->s.n + 1, sizeof(*ret->rows));
	if (!ret->rows)
		return -ENOMEM;
	if (r == 0 && ret->s.has_life)
		r = sql_prepare(db, &ret->name, NAME_SQL, NULL, 0);
	if (r == 0)
		r = sql_prepare(db, &ret->spawner, SPAWNER_SQL, NULL, 0);
	/* Polls that were only caught name their tasks themselves. */
	if (r == 0 && ret->s.has_polls)
		r = load_rows(ret);
	return r < 0 ? r : load_map(db, "SELECT runtime_id, process_id FROM runtime", &ret->processes);
}

int pf_tasks_name(struct pf_tasks *t, u64 runtime_id, u64 process_id, u64 task_id, const char **ret_kind, const char **ret_site)
{
	s64 owner = runtime_id ? (s64)runtime_id : -(s64)process_id;
	int r;

	*ret_kind = *ret_site = NULL;
	if (!t->name)
		return 0;
	r = db_bind(t->name, (struct db_val[]){DB_INT(task_id), DB_INT(owner)}, 2);
	if (r == 0)
		r = db_step(t->name);
	if (r <= 0)
		return r;
	*ret_kind = t->kinds[task_stats_type(&t->s, sql_u64(t->name, 0))];
	*ret_site = t->sites[task_stats_site(&t->s, sql_u64(t->name, 1))];
	return 0;
}

/* ---- tracks ---- */

struct putter {
	struct pf_tasks *t;
	struct pf_out *o;
	const struct capture_facts *f;
	const struct pf_places *where;
	struct u64map by_thread; /* thread id -> position in threads */
	struct u64map groups;	 /* process -> track that its tasks are below */
	u64 flow;		 /* ids of arrows so far */
};

static void putter_release(struct putter *p)
{
	u64map_release(&p->by_thread);
	u64map_release(&p->groups);
}

/* The track that a task's is below: one a process. */
static int group_of(struct putter *p, const struct task_stat *row, u64 *ret)
{
	u64 process_id = 0;
	int r;

	(void)u64map_get(&p->t->processes, row->runtime_id, &process_id);
	if (u64map_get(&p->groups, process_id, ret))
		return 0;
	*ret = p->t->uuid + p->t->s.n_all + p->groups.n;
	r = u64map_put(&p->groups, process_id, *ret);
	if (r == 0)
		pf_put_track(p->o, *ret, p->where->process_uuid(p->where->ctx, process_id), "tasks", 2, true);
	return r;
}

static u64 track_of(const struct putter *p, size_t i)
{
	return p->t->uuid + p->t->s.rows[i].nth;
}

static int put_tracks(struct putter *p)
{
	struct pf_tasks *t = p->t;
	int r = 0;

	for (size_t i = 0; i < t->s.n && r == 0; i++) {
		const struct task_stat *row = &t->s.rows[i];
		const char *kind = t->kinds[row->type], *site = t->sites[row->site];
		char name[512];
		u64 group;

		r = group_of(p, row, &group);
		if (r < 0)
			break;
		(void)snprintf(name, sizeof(name), "task %llu%s%.200s%s%.200s", (unsigned long long)row->task_id, kind ? " " : "",
			       kind ? kind : "", site ? " at " : "", site ? site : "");
		pf_put_track(p->o, track_of(p, i), group, name, row->nth, true);
	}
	return r;
}

/* ---- slices ---- */

static void close_slice(struct putter *p, size_t i, u64 ts)
{
	struct pf_task *k = &p->t->rows[i];

	if (!k->open)
		return;
	k->end = min_u64(k->end, ts);
	k->open = false;
	pf_slice_end(p->o, track_of(p, i), k->end);
}

/*
 * Makes room for a slice that begins at *ts: the one before it ends by then. A task is polled again as soon as its poll has said that it is over, which may be
 * before the thread has left it: so the earlier of two polls ends where the later begins. False when nothing of the new one is left.
 */
static bool next_slice(struct putter *p, size_t i, u64 *ts, u64 end)
{
	*ts = max_u64(*ts, p->f->lo);
	if (!p->t->rows[i].open)
		*ts = max_u64(*ts, p->t->rows[i].end);
	if (end < *ts || *ts > p->f->hi)
		return false;
	close_slice(p, i, *ts);
	return true;
}

static void slice_is_open(struct putter *p, size_t i, u64 end, bool has_end)
{
	struct pf_task *k = &p->t->rows[i];

	k->open = true;
	k->has_end = has_end;
	k->end = min_u64(end, p->f->hi);
}

static void put_ready(struct putter *p, size_t i, u64 ts, u64 end, const char *name)
{
	const struct pf_task *k = &p->t->rows[i];

	if (k->open && k->has_end)
		ts = max_u64(ts, k->end);
	if (ts >= end || max_u64(ts, p->f->lo) >= end || !next_slice(p, i, &ts, end) || ts == end)
		return;
	pf_slice_begin(p->o, track_of(p, i), ts, PF_CAT_READY);
	pf_name(p->o, name);
	pf_event_end(p->o);
	slice_is_open(p, i, end, true);
}

struct task_poll {
	u64 ts, end, thread_id, poll_id;
	bool has_end;
};

/* The other end of the arrow that ends in the poll: where its latest wake came from. 0: that is not known. */
static u64 put_wake(struct putter *p, size_t i, const struct task_poll *poll)
{
	struct pf_task *k = &p->t->rows[i];
	u64 at;

	if (!k->wake_ts || k->wake_poll_ts != poll->ts || k->wake_ts < p->f->lo ||
	    !u64map_get(&p->by_thread, k->wake_thread, &at))
		return 0;
	pf_instant_begin(p->o, p->where->thread_uuid + at, k->wake_ts, PF_CAT_WAKE);
	pf_name(p->o, "wake");
	pf_arg_u64(p->o, PF_KEY_TASK, p->t->s.rows[i].task_id);
	pf_flow_out(p->o, ++p->flow);
	pf_event_end(p->o);
	return p->flow;
}

static void put_poll(struct putter *p, size_t i, const struct task_poll *poll)
{
	const struct task_stat *row = &p->t->s.rows[i];
	struct pf_task *k = &p->t->rows[i];
	bool is_first = !k->polled && p->t->s.has_polls && row->ts_spawn >= p->f->lo && row->ts_spawn <= poll->ts;
	u64 ts = poll->ts, at, wake;

	k->polled = true;
	if (is_first)
		put_ready(p, i, row->ts_spawn, poll->ts, "ready since its spawn");
	if (!next_slice(p, i, &ts, poll->end))
		return;
	wake = put_wake(p, i, poll);
	if (is_first)
		k->spawn_flow = ++p->flow;
	pf_slice_begin(p->o, track_of(p, i), ts, PF_CAT_POLL);
	pf_name(p->o, "poll");
	pf_arg_u64(p->o, PF_KEY_TASK, row->task_id);
	if (u64map_get(&p->by_thread, poll->thread_id, &at)) {
		pf_arg_u64(p->o, PF_KEY_TID, p->where->threads->rows[at].tid);
		if (p->where->threads->rows[at].has_worker)
			pf_arg_u64(p->o, PF_KEY_WORKER, p->where->threads->rows[at].worker);
	}
	if (poll->poll_id)
		pf_arg_u64(p->o, PF_KEY_POLL_ID, poll->poll_id);
	if (is_first)
		pf_flow_in(p->o, k->spawn_flow);
	if (wake)
		pf_flow_in(p->o, wake);
	pf_event_end(p->o);
	slice_is_open(p, i, poll->end, poll->has_end);
}

/* ---- reading ---- */

static bool find_row(const struct pf_tasks *t, u64 task_row, size_t *ret)
{
	u64 i;

	if (!u64map_get(&t->by_row, task_row, &i))
		return false;
	*ret = (size_t)i;
	return true;
}

#define EXACT_SQL                                                                                                                \
	"SELECT task_row, ts, " POLL_END_SQL ", thread_id FROM _task_poll AS p WHERE ts <= ?2 "                                  \
	"AND (dur IS NULL OR ts + dur >= ?1) AND task_row IS NOT NULL ORDER BY id"
#define WAKES_SQL                                                                                                                \
	"SELECT task_row, ts, delay, thread_id FROM _task_wake WHERE ts <= ?2 AND ts + delay >= ?1 AND task_row IS NOT NULL "    \
	"ORDER BY id"
#define CAUGHT_SQL                                                                                                               \
	"SELECT runtime_id, task_id, ts, dur + stopped, thread_id, id FROM poll WHERE task_id IS NOT NULL AND classified "       \
	"AND ts <= ?2 AND ts + dur + stopped >= ?1 ORDER BY ts, id"

static void take_wake(struct putter *p, sqlite3_stmt *st)
{
	u64 ts = sql_u64(st, 1), poll_ts = ts + sql_u64(st, 2);
	struct pf_task *k;
	size_t i;

	if (!find_row(p->t, sql_u64(st, 0), &i))
		return;
	k = &p->t->rows[i];
	k->wake_ts = ts;
	k->wake_poll_ts = poll_ts;
	k->wake_thread = sql_u64(st, 3);
	put_ready(p, i, ts, poll_ts, "ready since a wake");
}

static void take_poll(struct putter *p, sqlite3_stmt *st)
{
	struct task_poll poll = {.ts = sql_u64(st, 1), .thread_id = sql_u64(st, 3), .has_end = !sql_is_null(st, 2)};
	size_t i;

	if (!find_row(p->t, sql_u64(st, 0), &i))
		return;
	poll.end = poll.has_end ? sql_u64(st, 2) : p->f->hi;
	put_poll(p, i, &poll);
}

/* Both in the order of time; of the same instant the wake comes first. */
static int put_exact(struct putter *p)
{
	u64 binds[2] = {p->f->lo, p->f->hi};
	_cleanup_stmt_ sqlite3_stmt *polls = NULL, *wakes = NULL;
	int poll, wake, r = sql_prepare(p->t->db, &polls, EXACT_SQL, binds, 2);

	if (r == 0)
		r = sql_prepare(p->t->db, &wakes, WAKES_SQL, binds, 2);
	if (r < 0)
		return r;
	poll = db_step(polls);
	wake = db_step(wakes);
	while (poll > 0 || wake > 0) {
		if (wake > 0 && (poll <= 0 || sql_u64(wakes, 1) <= sql_u64(polls, 1))) {
			take_wake(p, wakes);
			wake = db_step(wakes);
		} else {
			take_poll(p, polls);
			poll = db_step(polls);
		}
	}
	return poll < 0 ? poll : wake;
}

static int put_caught(struct putter *p)
{
	u64 binds[2] = {p->f->lo, p->f->hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_prepare(p->t->db, &st, CAUGHT_SQL, binds, 2);

	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		struct task_poll poll = {sql_u64(st, 2), sql_u64(st, 2) + sql_u64(st, 3), sql_u64(st, 4), sql_u64(st, 5), true};
		size_t i;

		if (find_shown(p->t, sql_u64(st, 0), sql_u64(st, 1), &i))
			put_poll(p, i, &poll);
	}
	return r;
}

/* 1: *ret is the position of the task that spawned this one; 0: it is not known, or has no track. */
static int find_spawner(const struct pf_tasks *t, const struct task_stat *row, size_t *ret)
{
	int r;

	if (!row->spawned_by)
		return 0;
	if (find_shown(t, row->runtime_id, row->spawned_by, ret))
		return 1;
	r = db_bind(t->spawner, (struct db_val[]){DB_INT(row->spawned_by), DB_INT(row->runtime_id)}, 2);
	if (r == 0)
		r = db_step(t->spawner);
	if (r <= 0 || sql_u64(t->spawner, 2) || sql_u64(t->spawner, 1) != 1)
		return r < 0 ? r : 0;
	return find_shown(t, sql_u64(t->spawner, 0), row->spawned_by, ret);
}

/* Where the arrows to first polls come from: the spawner's track, else that of its process's tasks. */
static int put_spawns(struct putter *p)
{
	for (size_t i = 0; i < p->t->s.n; i++) {
		const struct task_stat *row = &p->t->s.rows[i];
		u64 track;
		size_t of;
		int r;

		if (!p->t->rows[i].spawn_flow)
			continue;
		r = find_spawner(p->t, row, &of);
		if (r > 0)
			track = track_of(p, of);
		else if (r == 0)
			r = group_of(p, row, &track);
		if (r < 0)
			return r;
		pf_instant_begin(p->o, track, row->ts_spawn, PF_CAT_SPAWN);
		pf_name(p->o, "spawn");
		pf_arg_u64(p->o, PF_KEY_TASK, row->task_id);
		pf_arg_text(p->o, PF_KEY_KIND, p->t->kinds[row->type]);
		pf_arg_text(p->o, PF_KEY_SPAWN, p->t->sites[row->site]);
		pf_flow_out(p->o, p->t->rows[i].spawn_flow);
		pf_event_end(p->o);
	}
	return 0;
}

int pf_tasks_put(struct pf_tasks *t, struct pf_out *o, const struct capture_facts *f, const struct pf_places *where)
{
	_cleanup_(putter_release) struct putter p = {.t = t, .o = o, .f = f, .where = where};
	int r = 0;

	for (size_t i = 0; i < where->threads->n && r == 0; i++)
		r = u64map_put(&p.by_thread, where->threads->rows[i].id, i);
	if (r == 0)
		r = put_tracks(&p);
	if (r == 0)
		r = t->s.has_polls ? put_exact(&p) : put_caught(&p);
	for (size_t i = 0; i < t->s.n && r == 0; i++)
		close_slice(&p, i, f->hi);
	return r == 0 ? put_spawns(&p) : r;
}
