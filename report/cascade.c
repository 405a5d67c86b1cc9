/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cascade.c: see cascade.h. Polls and wakes of some seconds from the block on are held in memory, by time, and looked through from there. */
#include "report/cascade.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "report/sqlrow.h"

#define CASCADE_DEPTH	 4
#define CASCADE_CHILDREN 6		     /* of one step */
#define CASCADE_HORIZON	 (10 * NSEC_PER_SEC) /* how far behind the block's end a poll is looked for */
#define CASCADE_EVENTS	 1000000	     /* of each kind, at most */
#define CASCADE_NEXT_N	 10

struct poll_event {
	u64 ts, dur, thread_id, task_row;
};

struct wake_event {
	u64 ts, thread_id, task_row, by_task;
	char waker[16];
};

struct loader {
	sqlite3 *db;
	const struct block *k;
	u64 end; /* of the block */
	struct poll_event *polls;
	size_t n_polls;
	struct wake_event *wakes;
	size_t n_wakes;
	struct cascade c;
	size_t cap;
	u64 max;
	sqlite3_stmt *task;
};

void cascade_release(struct cascade *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->steps[i].name);
		free(c->steps[i].function);
		free(c->steps[i].file);
		free(c->steps[i].waker);
	}
	free(c->steps);
	*c = (struct cascade){0};
}

static void loader_release(struct loader *l)
{
	cascade_release(&l->c);
	free(l->polls);
	free(l->wakes);
	(void)sqlite3_finalize(l->task);
}

/* ---- events ---- */

static int load_polls(struct loader *l)
{
	u64 binds[3] = {l->k->ts, l->end + CASCADE_HORIZON, CASCADE_EVENTS};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	size_t cap = 0;
	int r;

	r = sql_prepare(
		l->db, &st,
		"SELECT ts, coalesce(dur, 0), thread_id, task_row FROM _task_poll WHERE ts >= ?1 AND ts <= ?2 ORDER BY ts LIMIT ?3",
		binds, 3);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		r = ARRAY_ROOM(l->polls, l->n_polls, &cap);
		if (r < 0)
			return r;
		l->polls[l->n_polls++] = (struct poll_event){sql_u64(st, 0), sql_u64(st, 1), sql_u64(st, 2), sql_u64(st, 3)};
	}
	return r;
}

static int load_wakes(struct loader *l)
{
	u64 binds[3] = {l->end, l->end + CASCADE_HORIZON, CASCADE_EVENTS};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	size_t cap = 0;
	int r;

	r = sql_prepare(
		l->db, &st,
		"SELECT ts, thread_id, task_row, coalesce(waker_task, 0), waker FROM _task_wake WHERE ts >= ?1 AND ts <= ?2 ORDER BY ts LIMIT ?3",
		binds, 3);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		struct wake_event *w;

		r = ARRAY_ROOM(l->wakes, l->n_wakes, &cap);
		if (r < 0)
			return r;
		w = &l->wakes[l->n_wakes++];
		*w = (struct wake_event){sql_u64(st, 0), sql_u64(st, 1), sql_u64(st, 2), sql_u64(st, 3), ""};
		(void)snprintf(w->waker, sizeof(w->waker), "%s", sql_text(st, 4) ? sql_text(st, 4) : "");
	}
	return r;
}

static size_t first_wake(const struct loader *l, u64 ts)
{
	size_t lo = 0, hi = l->n_wakes;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (l->wakes[mid].ts < ts)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static size_t first_poll(const struct loader *l, u64 ts)
{
	size_t lo = 0, hi = l->n_polls;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (l->polls[mid].ts < ts)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void find_poll(const struct loader *l, struct cascade_step *s)
{
	for (size_t i = first_poll(l, s->ready); i < l->n_polls && s->task_row; i++) {
		if (l->polls[i].task_row != s->task_row)
			continue;
		s->ran = l->polls[i].ts;
		s->dur = l->polls[i].dur;
		s->thread_id = l->polls[i].thread_id;
		return;
	}
}

/* ---- steps ---- */

static int name_task(struct loader *l, struct cascade_step *s)
{
	int r;

	if (!s->task_row)
		return 0;
	r = sql_rebind(l->task, s->task_row);
	if (r == 0)
		r = db_step(l->task);
	if (r <= 0)
		return r;
	s->runtime_id = sql_u64(l->task, 0);
	s->task_id = sql_u64(l->task, 1);
	s->line = sql_u64(l->task, 5);
	r = sql_dup(l->task, 2, &s->name);
	if (r == 0)
		r = sql_dup(l->task, 3, &s->function);
	if (r == 0)
		r = sql_dup(l->task, 4, &s->file);
	(void)sqlite3_reset(l->task);
	return r;
}

/* Takes what `s` owns. */
static int add_step(struct loader *l, struct cascade_step s)
{
	if (ARRAY_ROOM(l->c.steps, l->c.n, &l->cap) < 0) {
		free(s.waker);
		return -ENOMEM;
	}
	l->c.steps[l->c.n++] = s;
	return name_task(l, &l->c.steps[l->c.n - 1]);
}

static bool is_told(const struct loader *l, u64 task_row, u64 ready)
{
	for (size_t i = 0; i < l->c.n; i++)
		if (l->c.steps[i].task_row == task_row && l->c.steps[i].ready == ready)
			return true;
	return false;
}

/* What the task of step `at` woke in its poll: it would have been woken earlier. */
static int add_woken(struct loader *l, size_t at)
{
	const struct cascade_step s = l->c.steps[at];
	u32 children = 0;
	int r;

	if (!s.ran || !s.dur || !s.task_id)
		return 0;
	for (size_t i = first_wake(l, s.ran); i < l->n_wakes && l->wakes[i].ts <= s.ran + s.dur; i++) {
		const struct wake_event *w = &l->wakes[i];
		struct cascade_step child = {
			.level = s.level + 1, .task_row = w->task_row, .by_task = w->by_task, .ready = w->ts};

		if (w->thread_id != s.thread_id || w->by_task != s.task_id || strcmp(w->waker, "task") != 0 ||
		    is_told(l, w->task_row, w->ts))
			continue;
		if (l->c.n >= l->max || children++ >= CASCADE_CHILDREN || child.level > CASCADE_DEPTH) {
			l->c.truncated = true;
			return 0;
		}
		child.waker = strdup(w->waker);
		if (!child.waker)
			return -ENOMEM;
		find_poll(l, &child);
		r = add_step(l, child);
		if (r == 0)
			r = add_woken(l, l->c.n - 1);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- whom the block delayed ---- */

#define VICTIMS_SQL                                                                                                              \
	"SELECT v.task_row, v.ts, v.delayed, w.waker, coalesce(w.waker_task, 0), v.thread_id FROM block_victim AS v "            \
	"LEFT JOIN _task_wake AS w ON w.id = v.wake_id WHERE v.poll_id = ?1 ORDER BY v.ts, v.task_row"
/* Where not every wake is known: tasks that the block's own thread had woken, and that ran behind it. */
#define PART_SQL                                                                                                                           \
	"SELECT w.task_row, w.ts, min(coalesce(w.ts + w.delay, ?3), ?3) - max(w.ts, ?2), w.waker, coalesce(w.waker_task, 0), w.thread_id " \
	"FROM _task_wake AS w WHERE w.thread_id = ?4 AND w.ts < ?3 AND (w.ts + w.delay >= ?3 OR w.delay IS NULL AND w.ts >= ?2) "          \
	"AND w.task_row IS NOT NULL ORDER BY w.ts, w.task_row"

struct victim {
	struct cascade_step step;
	u64 ready_thread; /* what woke or spawned it */
};

static int by_run(const void *a, const void *b)
{
	const struct victim *x = a, *y = b;
	u64 p = x->step.ran ? x->step.ran : UINT64_MAX, q = y->step.ran ? y->step.ran : UINT64_MAX;

	if (p != q)
		return p < q ? -1 : 1;
	return x->step.ready < y->step.ready ? -1 : x->step.ready > y->step.ready;
}

/* The block's thread took it from its own queue or slot. */
static bool is_own(const struct loader *l, const struct victim *v)
{
	return v->step.ran && v->step.thread_id == l->k->thread_id && v->ready_thread == l->k->thread_id;
}

/* What the thread polled first behind the block was this. */
static bool ran_first(const struct loader *l, const struct cascade_step *s)
{
	for (size_t i = first_poll(l, l->end); i < l->n_polls; i++)
		if (l->polls[i].thread_id == l->k->thread_id)
			return l->polls[i].ts == s->ran && l->polls[i].task_row == s->task_row;
	return false;
}

/* What the slot was read to hold says of the only task that can have been in it. */
static enum cascade_place place_as_read(const struct block *k, const struct cascade_step *s)
{
	if (k->has_lifo && s->ready < k->ts)
		return k->lifo ? PLACE_LIFO : PLACE_LOCAL;
	return k->has_end && k->lifo_end ? PLACE_LIFO : PLACE_UNKNOWN;
}

/*
 * Where each stood. A task that is made ready on a worker goes into its LIFO slot, and who was there to the end of the local queue; behind a poll the slot is served
 * first, then the queue from its head (Tokio 1.20 - 1.54, worker.rs run_task). So of several that waited, the one made ready last stood in the slot when it ran
 * first; of a single one the order says nothing, but what was read of the slot may. Where another thread polled a task, it was taken from the queue.
 */
static void give_places(const struct loader *l, struct victim *v, size_t n)
{
	bool knows_all = l->c.source == CASCADE_EXACT && l->k->victims == n;
	struct victim *last = NULL;
	size_t own = 0;

	for (size_t i = 0; i < n; i++) {
		if (v[i].ready_thread == l->k->thread_id && (!last || v[i].step.ready >= last->step.ready))
			last = &v[i];
		if (v[i].step.ran && v[i].step.thread_id != l->k->thread_id)
			v[i].step.place = PLACE_TAKEN;
		else if (is_own(l, &v[i]))
			v[i].step.place = PLACE_LOCAL;
		own += v[i].step.place == PLACE_LOCAL;
	}
	if (!l->k->has_worker || !last || last->step.place != PLACE_LOCAL)
		return;
	if (!knows_all)
		last->step.place = PLACE_UNKNOWN;
	else if (own == 1)
		last->step.place = place_as_read(l->k, &last->step);
	else if (ran_first(l, &last->step))
		last->step.place = PLACE_LIFO;
}

static int read_victims(struct loader *l, sqlite3_stmt *st, struct victim **ret, size_t *ret_n)
{
	_cleanup_free_ struct victim *v = NULL;
	size_t n = 0, cap = 0;
	int r;

	while ((r = db_step(st)) > 0 && n < CASCADE_EVENTS) {
		r = ARRAY_ROOM(v, n, &cap);
		if (r < 0)
			return r;
		v[n] = (struct victim){.ready_thread = sql_u64(st, 5)};
		v[n].step.task_row = sql_u64(st, 0);
		v[n].step.ready = sql_u64(st, 1);
		v[n].step.delayed = sql_u64(st, 2);
		v[n].step.by_task = sql_u64(st, 4);
		l->c.total += v[n].step.delayed;
		/* Its next poll began behind the block's end, or it would not be one. */
		struct cascade_step probe = {.task_row = v[n].step.task_row, .ready = max_u64(v[n].step.ready, l->k->ts)};

		find_poll(l, &probe);
		v[n].step.ran = probe.ran;
		v[n].step.dur = probe.dur;
		v[n].step.thread_id = probe.thread_id;
		n++;
	}
	if (r < 0)
		return r;
	*ret_n = n;
	*ret = TAKE_PTR(v);
	return 0;
}

static int waker_of(struct loader *l, const struct victim *v, char **ret)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	u64 binds[2] = {v->step.ready, v->step.task_row};
	int r = sql_prepare(l->db, &st, "SELECT waker FROM _task_wake WHERE ts = ?1 AND task_row = ?2", binds, 2);

	if (r == 0)
		r = db_step(st);
	return r <= 0 ? r : sql_dup(st, 0, ret);
}

static int add_victims(struct loader *l)
{
	u64 binds[4] = {l->k->poll_id, l->k->ts, l->end, l->k->thread_id};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	_cleanup_free_ struct victim *v = NULL;
	size_t n = 0;
	int r;

	r = l->c.source == CASCADE_EXACT ? sql_prepare(l->db, &st, VICTIMS_SQL, binds, 1)
					 : sql_prepare(l->db, &st, PART_SQL, binds, 4);
	if (r == 0)
		r = read_victims(l, st, &v, &n);
	if (r < 0)
		return r;
	give_places(l, v, n);
	qsort(v, n, sizeof(*v), by_run);
	l->c.victims = n;
	for (size_t i = 0; i < n; i++) {
		if (l->c.n >= l->max) {
			l->c.truncated = true;
			return 0;
		}
		r = waker_of(l, &v[i], &v[i].step.waker);
		if (r == 0)
			r = add_step(l, v[i].step);
		if (r == 0)
			r = add_woken(l, l->c.n - 1);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Without wakes: what the block's thread polled next. */
static int add_next(struct loader *l)
{
	u64 shown = 0;
	int r = 0;

	for (size_t i = first_poll(l, l->end); i < l->n_polls && shown < CASCADE_NEXT_N && r == 0; i++) {
		const struct poll_event *p = &l->polls[i];

		if (p->thread_id != l->k->thread_id)
			continue;
		shown++;
		r = add_step(l, (struct cascade_step){
					.task_row = p->task_row, .ran = p->ts, .dur = p->dur, .thread_id = p->thread_id});
	}
	return r;
}

static int find_source(struct loader *l)
{
	u64 wakes, polls;
	int r;

	r = sql_one_u64(l->db, "SELECT EXISTS (SELECT 1 FROM _task_wake)", NULL, 0, &wakes);
	if (r == 0)
		r = sql_one_u64(l->db, "SELECT EXISTS (SELECT 1 FROM _task_poll)", NULL, 0, &polls);
	l->c.source = l->k->has_victims ? CASCADE_EXACT
		      : r == 0 && wakes ? CASCADE_PART
		      : r == 0 && polls ? CASCADE_NEXT
					: CASCADE_QUEUES;
	return r;
}

int cascade_load(sqlite3 *db, const struct block *k, u64 max, struct cascade *ret)
{
	_cleanup_(loader_release) struct loader l = {.db = db, .k = k, .end = k->ts + k->dur + k->stopped, .max = max};
	int r;

	r = find_source(&l);
	if (r == 0)
		r = sql_prepare(
			db, &l.task,
			"SELECT k.runtime_id, k.task_id, y.name, s.function, s.file, s.line FROM _task AS k LEFT JOIN task_type AS y ON y.id = k.type_id "
			"LEFT JOIN spawn_site AS s ON s.id = k.site_id WHERE k.id = ?1",
			NULL, 0);
	if (r == 0 && l.c.source != CASCADE_QUEUES)
		r = load_polls(&l);
	if (r == 0 && l.c.source >= CASCADE_PART)
		r = load_wakes(&l);
	if (r < 0)
		return r;
	r = l.c.source >= CASCADE_PART ? add_victims(&l) : l.c.source == CASCADE_NEXT ? add_next(&l) : 0;
	if (r < 0)
		return r;
	*ret = l.c;
	l.c = (struct cascade){0};
	return 0;
}
