/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* worker_stats.c: see worker_stats.h. */
#include "report/worker_stats.h"

#include <errno.h>
#include <string.h>

#include "base/u64map.h"
#include "report/sqlrow.h"
#include "report/task_stats.h"

void worker_stats_release(struct worker_stats *s)
{
	tl_threads_release(&s->threads);
	free(s->rows);
	*s = (struct worker_stats){0};
}

/* ---- times ---- */

static struct worker_stat *find(const struct worker_stats *s, const struct u64map *by_id, u64 thread_id)
{
	u64 at;

	return u64map_get(by_id, thread_id, &at) ? &s->rows[at] : NULL;
}

/* Polls of all threads, by thread and time, one held. */
struct polls {
	sqlite3_stmt *st;
	bool more;
	u64 thread, from, to; /* without what lies in a poll before it: they nest (block_on within block_in_place) */
};

struct walk {
	struct worker_stats *s;
	const struct u64map *by_id;
	struct tl_idle idle;
	struct polls polls;
	struct worker_stat *x; /* of the thread that is walked */
	u64 lo, hi;
};

/* Closures of the pool are polled, too, a worker's main loop among them: no tasks. An end that was not seen is no length. */
#define POLLS_SQL                                                                                                                   \
	"SELECT p.thread_id, p.ts, coalesce(p.dur, 0) FROM _task_poll AS p LEFT JOIN _task AS t ON t.id = p.task_row "              \
	"LEFT JOIN task_type AS y ON y.id = p.type_id WHERE coalesce(t.blocking, 0) = 0 AND coalesce(y.kind, 'future') = 'future' " \
	"AND p.ts <= ?2 AND p.ts + coalesce(p.dur, 0) >= ?1 ORDER BY 1, 2"

static int next_poll(struct walk *w)
{
	struct polls *p = &w->polls;
	struct worker_stat *x;
	u64 thread = p->thread, done = p->to;
	int r = db_step(p->st);

	p->more = r > 0;
	if (r <= 0)
		return r;
	p->thread = sql_u64(p->st, 0);
	if (p->thread != thread)
		done = w->lo;
	p->from = max_u64(sql_u64(p->st, 1), done);
	p->to = max_u64(min_u64(sql_u64(p->st, 1) + sql_u64(p->st, 2), w->hi), done);
	x = find(w->s, w->by_id, p->thread);
	if (x)
		x->polls += sql_u64(p->st, 1) >= w->lo;
	return 1;
}

/* What of [from, to) lies in polls of the thread. Threads come by id, the times of each in order. */
static int add_polls(struct walk *w, const struct tl_thread *t, u64 from, u64 to)
{
	struct polls *p = &w->polls;
	int r = 1;

	while (r > 0 && p->more && (p->thread < t->id || (p->thread == t->id && p->from < to))) {
		if (p->thread == t->id && p->to > from)
			w->x->in_polls += min_u64(p->to, to) - max_u64(p->from, from);
		if (p->thread == t->id && p->to > to)
			break; /* the next time lies in it, too */
		r = next_poll(w);
	}
	return r < 0 ? r : 0;
}

static bool is_role(const struct tl_segment *s, const char *role)
{
	return s->role && strcmp(s->role, role) == 0;
}

static int add_wait(struct walk *w, struct worker_stat *x, const struct tl_segment *s, u64 len)
{
	int idle = tl_is_idle(&w->idle, s);

	if (idle < 0)
		return idle;
	if (is_role(s, "in_poll") && s->state != 'T' && s->state != 't')
		x->blocked += len;
	else if (is_role(s, "parked"))
		x->parked += len;
	else if (idle)
		x->idle += len;
	else
		x->other += len;
	if (is_role(s, "blocking_pool") || is_role(s, "block_in_place"))
		x->off_worker += len;
	return 0;
}

static int add_segment(void *ctx, const struct tl_thread *t, const struct tl_segment *s)
{
	struct walk *w = ctx;
	struct worker_stat *x = w->x;
	u64 len = s->end - s->ts;

	if (!x || x->t->id != t->id)
		x = w->x = find(w->s, w->by_id, t->id);
	x->wall += len;
	x->switches += s->first;
	x->saw_pool |= is_role(s, "blocking_pool");
	x->saw_poll |= is_role(s, "in_poll") || is_role(s, "parked");
	if (s->kind == TL_ONCPU) {
		x->on_cpu += len;
		return add_polls(w, t, s->ts, s->end);
	}
	if (s->kind == TL_UNSEEN) {
		x->other += len;
		return 0;
	}
	if (s->kind == TL_RUNNABLE) {
		x->runnable += len;
		return 0;
	}
	return add_wait(w, x, s, len);
}

static int by_id_compare(const void *a, const void *b)
{
	const struct tl_thread *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* Threads are walked by id, as their polls come. */
static int load_times(sqlite3 *db, const struct capture_facts *f, const struct u64map *by_id, struct worker_stats *s)
{
	struct walk w = {.s = s, .by_id = by_id, .lo = f->lo, .hi = f->hi};
	_cleanup_free_ struct tl_thread *rows = calloc(s->threads.n + 1, sizeof(*rows));
	struct tl_threads threads = {rows, s->threads.n};
	u64 binds[2] = {f->lo, f->hi};
	int r;

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < s->threads.n; i++)
		rows[i] = s->threads.rows[i];
	qsort(rows, s->threads.n, sizeof(*rows), by_id_compare);
	r = tl_idle_init(&w.idle, db);
	if (r == 0)
		r = sql_prepare(db, &w.polls.st, POLLS_SQL, binds, 2);
	if (r == 0)
		r = next_poll(&w);
	if (r >= 0)
		r = timeline_walk(db, &threads, add_segment, &w);
	while (r >= 0 && w.polls.more) /* those behind the last time on a cpu are counted, too */
		r = next_poll(&w);
	(void)sqlite3_finalize(w.polls.st);
	tl_idle_release(&w.idle);
	return r < 0 ? r : 0;
}

/* ---- what they executed ---- */

#define SAMPLES_SQL                                                                                                              \
	"SELECT thread_id, count(*), count(*) FILTER (WHERE role = 'in_poll'), max(role = 'blocking_pool') FROM sample "         \
	"WHERE ts BETWEEN ?1 AND ?2 GROUP BY thread_id"

static int load_samples(sqlite3 *db, const struct capture_facts *f, const struct u64map *by_id, struct worker_stats *s)
{
	u64 binds[2] = {f->lo, f->hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_prepare(db, &st, SAMPLES_SQL, binds, 2);

	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		struct worker_stat *x = find(s, by_id, sql_u64(st, 0));

		if (!x)
			continue;
		x->samples = sql_u64(st, 1);
		x->samples_in_poll = sql_u64(st, 2);
		x->saw_poll |= x->samples_in_poll != 0;
		x->saw_pool |= sql_u64(st, 3) != 0;
	}
	return r;
}

/* Where polls were not recorded, the share of samples. */
static void split(struct worker_stats *s)
{
	for (size_t i = 0; i < s->threads.n; i++) {
		struct worker_stat *x = &s->rows[i];

		/* Root futures have no probe. */
		if (s->has_polls && x->polls && x->t->has_worker) {
			x->has_split = x->exact = true;
		} else {
			x->has_split = x->samples != 0;
			x->in_polls = x->samples ? (u64)((double)x->on_cpu * (double)x->samples_in_poll / (double)x->samples) : 0;
		}
	}
}

/* Tasks woken on one thread and then polled on another, of the runtime that both serve. */
#define MOVES_SQL                                                                                                                \
	"SELECT w.thread_id, p.thread_id, t.runtime_id, count(*) FROM _task_wake AS w JOIN _task AS t ON t.id = w.task_row "     \
	"JOIN _task_poll AS p ON p.task_row = w.task_row AND p.ts = w.ts + w.delay "                                             \
	"WHERE w.delay IS NOT NULL AND w.ts BETWEEN ?1 AND ?2 GROUP BY 1, 2, 3"

static int load_moves(sqlite3 *db, const struct capture_facts *f, const struct u64map *by_id, struct worker_stats *s)
{
	u64 binds[2] = {f->lo, f->hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_prepare(db, &st, MOVES_SQL, binds, 2);

	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		struct worker_stat *from = find(s, by_id, sql_u64(st, 0)), *to = find(s, by_id, sql_u64(st, 1));
		u64 runtime = sql_u64(st, 2), n = sql_u64(st, 3);

		if (!from || !to || !from->t->has_worker || !to->t->has_worker || from->t->runtime_id != runtime ||
		    to->t->runtime_id != runtime)
			continue;
		from->woken += n;
		/* block_in_place gives a worker another thread. */
		if (from->t->worker != to->t->worker) {
			from->moved_away += n;
			to->moved_here += n;
		}
	}
	return r;
}

static void give_roles(struct worker_stats *s)
{
	for (size_t i = 0; i < s->threads.n; i++) {
		struct worker_stat *x = &s->rows[i];

		x->role = x->t->has_runtime ? WORKER_WORKER : x->saw_pool ? WORKER_POOL : x->saw_poll ? WORKER_ROOT : WORKER_NONE;
	}
}

static int exists(sqlite3 *db, const char *sql, bool *ret)
{
	u64 n = 0;
	int r = sql_one_u64(db, sql, NULL, 0, &n);

	*ret = n != 0;
	return r;
}

int worker_stats_load(sqlite3 *db, const struct capture_facts *f, struct worker_stats *ret)
{
	_cleanup_(u64map_release) struct u64map by_id = U64MAP_INIT;
	_cleanup_worker_stats_ struct worker_stats s = {0};
	int r = tl_threads_load(db, f->lo, f->hi, &s.threads);

	if (r < 0)
		return r;
	s.rows = calloc(s.threads.n + 1, sizeof(*s.rows));
	if (!s.rows)
		return -ENOMEM;
	for (size_t i = 0; i < s.threads.n && r == 0; i++) {
		s.rows[i].t = &s.threads.rows[i];
		r = u64map_put(&by_id, s.threads.rows[i].id, i);
	}
	if (r == 0)
		r = load_times(db, f, &by_id, &s);
	if (r == 0)
		r = load_samples(db, f, &by_id, &s);
	if (r == 0)
		r = load_moves(db, f, &by_id, &s);
	if (r == 0)
		r = exists(db, POLLS_KNOWN_SQL, &s.has_polls);
	if (r == 0)
		r = exists(db, "SELECT EXISTS (SELECT 1 FROM _task_wake)", &s.has_wakes);
	if (r < 0)
		return r;
	split(&s);
	give_roles(&s);
	*ret = s;
	s = (struct worker_stats){0};
	return 0;
}

/* ---- hints ---- */

#define HINTS_SQL                                                                                                                \
	"SELECT count(*) FILTER (WHERE lifo > 0), CAST(total(dur) FILTER (WHERE lifo > 0) AS INTEGER), "                         \
	"count(*) FILTER (WHERE driver_stalled > 0), count(driver_stalled) FROM blocking "                                       \
	"WHERE runtime_id = ?4 AND holds = 'runtime' AND dur_max >= ?3 AND held >= ?3 AND ts <= ?2 AND ts + dur >= ?1"

#define STALL_SQL                                                                                                                 \
	"SELECT CAST(total(min(ts + dur, ?2) - max(ts, ?1)) AS INTEGER), max(min(ts + dur, ?2) - max(ts, ?1)) FROM driver_stall " \
	"WHERE runtime_id = ?3 AND ts < ?2 AND ts + dur > ?1"

/* Of two polls that block at the same time, it is one stall. */
static int load_stalls(sqlite3 *db, const struct capture_facts *f, u64 runtime_id, struct runtime_hints *h)
{
	u64 binds[3] = {f->lo, f->hi, runtime_id};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_prepare(db, &st, STALL_SQL, binds, 3);

	if (r == 0)
		r = db_step(st);
	if (r < 0)
		return r;
	h->stalled = sql_u64(st, 0);
	h->stalled_max = sql_u64(st, 1);
	h->stalled_known |= h->stalled != 0;
	return 0;
}

/* A worker's time, whichever threads served it. */
static u64 worker_busy(const struct worker_stats *s, u64 runtime_id, u64 worker)
{
	u64 busy = 0;

	for (size_t i = 0; i < s->threads.n; i++) {
		const struct tl_thread *t = &s->threads.rows[i];

		if (t->has_worker && t->runtime_id == runtime_id && t->worker == worker)
			busy += s->rows[i].on_cpu + s->rows[i].blocked;
	}
	return busy;
}

int runtime_hints_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, const struct worker_stats *s,
		       u64 runtime_id, struct runtime_hints *ret)
{
	u64 binds[4] = {f->lo, f->hi, o->min_ns, runtime_id};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	struct runtime_hints h = {0};
	u64 last = UINT64_MAX;
	int r = sql_prepare(db, &st, HINTS_SQL, binds, 4);

	if (r == 0)
		r = db_step(st);
	if (r < 0)
		return r;
	h.lifo_blocks = sql_u64(st, 0);
	h.lifo = sql_u64(st, 1);
	h.stalled_blocks = sql_u64(st, 2);
	h.stalled_known = sql_u64(st, 3) != 0;
	r = load_stalls(db, f, runtime_id, &h);
	if (r < 0)
		return r;
	/* Threads of one worker stand side by side. */
	for (size_t i = 0; i < s->threads.n; i++) {
		const struct worker_stat *x = &s->rows[i];
		u64 busy;

		if (!x->t->has_worker || x->t->runtime_id != runtime_id)
			continue;
		h.woken += x->woken;
		h.moved += x->moved_away;
		if (x->t->worker == last)
			continue;
		last = x->t->worker;
		busy = worker_busy(s, runtime_id, last);
		h.workers++;
		h.busy += busy;
		if (busy >= h.busiest) {
			h.busiest = busy;
			h.busiest_worker = last;
		}
	}
	*ret = h;
	return 0;
}
