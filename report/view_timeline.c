/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* view_timeline.c: see view_timeline.h. */
#include "report/view_timeline.h"

#include <errno.h>
#include <string.h>

#include "report/sqlrow.h"

#define THREADS_SQL                                                                                                              \
	"WITH seen AS (SELECT thread_id AS id FROM offcpu UNION SELECT thread_id FROM sample), "                                 \
	"served AS (SELECT thread_id AS id, runtime_id, worker, row_number() OVER (PARTITION BY thread_id ORDER BY ts, "         \
	"runtime_id, worker) AS nth FROM worker) "                                                                               \
	"SELECT t.id, t.process_id, p.pid, t.tid, t.name, p.name, t.ts_start, t.ts_end, s.runtime_id, s.worker, "                \
	"t.id IN (SELECT id FROM seen) FROM thread AS t JOIN process AS p ON p.id = t.process_id "                               \
	"LEFT JOIN served AS s ON s.id = t.id AND s.nth = 1 "                                                                    \
	"ORDER BY p.pid, p.id, s.runtime_id IS NULL, s.runtime_id, s.worker IS NULL, s.worker, t.tid, t.id"

void tl_threads_release(struct tl_threads *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->rows[i].name);
		free(t->rows[i].process);
	}
	free(t->rows);
	*t = (struct tl_threads){0};
}

static int read_thread(sqlite3_stmt *st, u64 lo, u64 hi, struct tl_thread *t)
{
	const char *name = sql_text(st, 4), *process = sql_text(st, 5);

	*t = (struct tl_thread){
		.id = sql_u64(st, 0),
		.process_id = sql_u64(st, 1),
		.pid = sql_u64(st, 2),
		.tid = sql_u64(st, 3),
		.lo = max_u64(lo, sql_u64(st, 6)),
		.hi = sql_is_null(st, 7) ? hi : min_u64(hi, sql_u64(st, 7)),
		.has_runtime = !sql_is_null(st, 8),
		.has_worker = !sql_is_null(st, 9),
		.runtime_id = sql_u64(st, 8),
		.worker = sql_u64(st, 9),
		.seen = sql_u64(st, 10) != 0,
	};
	t->name = strdup(name ? name : "");
	t->process = strdup(process ? process : "");
	return t->name && t->process ? 0 : -ENOMEM;
}

int tl_threads_load(sqlite3 *db, u64 lo, u64 hi, struct tl_threads *ret)
{
	_cleanup_tl_threads_ struct tl_threads t = {0};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	size_t cap = 0;
	int r;

	r = sql_prepare(db, &st, THREADS_SQL, NULL, 0);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		if (t.n == cap) {
			size_t want = cap ? cap * 2 : 32;
			struct tl_thread *p = reallocarray(t.rows, want, sizeof(*p));

			if (!p)
				return -ENOMEM;
			t.rows = p;
			cap = want;
		}
		t.n++;
		r = read_thread(st, lo, hi, &t.rows[t.n - 1]);
		if (r < 0)
			return r;
		if (t.rows[t.n - 1].lo >= t.rows[t.n - 1].hi) {
			t.n--;
			free(t.rows[t.n].name);
			free(t.rows[t.n].process);
		}
	}
	if (r < 0)
		return r;
	*ret = t;
	t = (struct tl_threads){0};
	return 0;
}

/*
 * One statement for all threads, ordered by thread: `next` ends a wait that was cut open by a gap, or that (in a damaged capture)
 * overlaps the one after it.
 */
#define OFFCPU_SQL                                                                                                               \
	"SELECT thread_id, ts, dur, next, ts_waking, state, role, class, syscall, poll_id, stack_id, kstack_id, waker_tid, "     \
	"waker_task, cpu, (SELECT task_id FROM poll WHERE poll.id = poll_id) FROM "                                              \
	"(SELECT *, lead(ts) OVER (PARTITION BY thread_id ORDER BY ts, id) AS next FROM offcpu) "                                \
	"WHERE ts <= ?2 AND (dur IS NULL OR ts + dur >= ?1) ORDER BY thread_id, ts, id"

struct walk {
	tl_fn fn;
	void *ctx;
	const struct tl_thread *t;
	u64 cursor; /* the thread's time is given out up to here */
};

static int give(struct walk *w, struct tl_segment *s, enum tl_kind kind, u64 end)
{
	int r;

	if (end <= w->cursor)
		return 0;
	s->kind = kind;
	s->ts = w->cursor;
	s->end = end;
	w->cursor = end;
	r = w->fn(w->ctx, w->t, s);
	s->first = false;
	return r;
}

static u64 clamp_u64(u64 v, u64 lo, u64 hi)
{
	return max_u64(lo, min_u64(v, hi));
}

static void read_segment(sqlite3_stmt *st, struct tl_segment *s)
{
	const char *state = sql_text(st, 5);

	*s = (struct tl_segment){
		.state = state ? *state : '?',
		.role = sql_text(st, 6),
		.class_name = sql_text(st, 7),
		.syscall = sql_text(st, 8),
		.poll_id = sql_u64(st, 9),
		.stack_id = sql_u64(st, 10),
		.kstack_id = sql_u64(st, 11),
		.waker_tid = sql_u64(st, 12),
		.waker_task = sql_u64(st, 13),
		.cpu = sql_u64(st, 14),
		.task_id = sql_u64(st, 15),
		.has_waker = !sql_is_null(st, 12),
		.has_task = !sql_is_null(st, 15),
		.has_cpu = !sql_is_null(st, 14),
		.first = true,
	};
}

static int walk_row(struct walk *w, sqlite3_stmt *st)
{
	u64 ts = sql_u64(st, 1), hi = w->t->hi, out, woken, in;
	struct tl_segment on = {0}, off;
	int r;

	out = clamp_u64(ts, w->cursor, hi);
	in = sql_is_null(st, 2) ? hi : ts + min_u64(sql_u64(st, 2), UINT64_MAX - ts);
	if (!sql_is_null(st, 3))
		in = min_u64(in, sql_u64(st, 3));
	in = clamp_u64(in, out, hi);
	read_segment(st, &off);
	woken = off.state == 'R' ? out : sql_is_null(st, 4) ? in : clamp_u64(sql_u64(st, 4), out, in);
	r = give(w, &on, TL_ONCPU, out);
	if (r < 0)
		return r;
	r = give(w, &off, TL_WAIT, woken);
	return r < 0 ? r : give(w, &off, TL_RUNNABLE, in);
}

/* All of one thread: its rows, which the statement stands at, and what is behind the last of them. */
static int walk_thread(struct walk *w, sqlite3_stmt *st, bool *has_row)
{
	struct tl_segment rest = {0};
	int r = 1;

	w->cursor = w->t->lo;
	while (*has_row && sql_u64(st, 0) == w->t->id) {
		r = walk_row(w, st);
		if (r < 0)
			return r;
		r = db_step(st);
		if (r < 0)
			return r;
		*has_row = r > 0;
	}
	return give(w, &rest, w->t->seen ? TL_ONCPU : TL_UNSEEN, w->t->hi);
}

static int by_id(const void *a, const void *b)
{
	const struct tl_thread *const *x = a, *const *y = b;

	return (*x)->id < (*y)->id ? -1 : (*x)->id > (*y)->id;
}

int timeline_walk(sqlite3 *db, const struct tl_threads *threads, tl_fn fn, void *ctx)
{
	_cleanup_free_ const struct tl_thread **order = NULL;
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	struct walk w = {.fn = fn, .ctx = ctx};
	u64 window[2] = {UINT64_MAX, 0};
	bool has_row;
	int r;

	order = calloc(threads->n + 1, sizeof(*order));
	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < threads->n; i++) {
		order[i] = &threads->rows[i];
		window[0] = min_u64(window[0], order[i]->lo);
		window[1] = max_u64(window[1], order[i]->hi);
	}
	qsort(order, threads->n, sizeof(*order), by_id);
	r = sql_prepare(db, &st, OFFCPU_SQL, window, 2);
	if (r < 0)
		return r;
	r = db_step(st);
	if (r < 0)
		return r;
	has_row = r > 0;
	for (size_t i = 0; i < threads->n; i++) {
		w.t = order[i];
		/* Rows of threads that did not live in the window. */
		while (has_row && sql_u64(st, 0) < w.t->id) {
			r = db_step(st);
			if (r < 0)
				return r;
			has_row = r > 0;
		}
		r = walk_thread(&w, st, &has_row);
		if (r < 0)
			return r;
	}
	return 0;
}

int tl_idle_init(struct tl_idle *i, sqlite3 *db)
{
	return sql_prepare(db, &i->has_user_frames,
			   "SELECT 1 FROM stack_frame AS sf JOIN symbol AS s ON s.frame_id = sf.frame_id "
			   "WHERE sf.stack_id = ?1 AND s.kind IN ('user', 'library', 'jit') LIMIT 1",
			   NULL, 0);
}

void tl_idle_release(struct tl_idle *i)
{
	(void)sqlite3_finalize(i->has_user_frames);
	i->has_user_frames = NULL;
}

int tl_is_idle(struct tl_idle *i, const struct tl_segment *s)
{
	int r;

	if (!s->role || s->kind == TL_ONCPU || s->kind == TL_UNSEEN)
		return 0;
	if (strcmp(s->role, "parked") == 0)
		return 1;
	/* A pool thread waits for jobs on a condition variable; the recorder takes no stack there (--stacks=auto). */
	if (strcmp(s->role, "blocking_pool") != 0 || !s->class_name || strcmp(s->class_name, "lock") != 0)
		return 0;
	if (!s->stack_id)
		return 1;
	r = sql_rebind(i->has_user_frames, s->stack_id);
	if (r < 0)
		return r;
	r = db_step(i->has_user_frames);
	(void)sqlite3_reset(i->has_user_frames);
	return r < 0 ? r : !r;
}
