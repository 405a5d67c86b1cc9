/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* view_timeline.c: see view_timeline.h. */
#include "report/view_timeline.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "report/sqlrow.h"

#define THREADS_SQL                                                                                                                     \
	"WITH served AS (SELECT thread_id AS id, runtime_id, worker, row_number() OVER (PARTITION BY thread_id ORDER BY ts, "           \
	"runtime_id, worker) AS nth FROM worker) "                                                                                      \
	"SELECT t.id, t.process_id, p.pid, t.tid, t.name, p.name, t.ts_start, t.ts_end, s.runtime_id, s.worker, "                       \
	"EXISTS (SELECT 1 FROM _offcpu AS o WHERE o.thread_id = t.id) OR EXISTS (SELECT 1 FROM _sample AS e WHERE e.thread_id = t.id) " \
	"FROM thread AS t JOIN process AS p ON p.id = t.process_id "                                                                    \
	"LEFT JOIN served AS s ON s.id = t.id AND s.nth = 1 "                                                                           \
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
		r = ARRAY_ROOM(t.rows, t.n, &cap);
		if (r < 0)
			return r;
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

/* ---- the distinct states, roles and classes ---- */

#define WAIT_KINDS_MAX (1 << 20)

struct wait_kind {
	char state;
	char *role, *class_name, *syscall;
};

struct walk {
	tl_fn fn;
	void *ctx;
	const struct tl_thread *t;
	u64 cursor;		 /* the thread's time is given out up to here */
	struct wait_kind *kinds; /* by id of _wait */
	size_t n_kinds;
	sqlite3_stmt *rows, *task;
	u64 poll_id, task_id; /* the last that was asked for */
	bool has_task;
};

static void walk_release(struct walk *w)
{
	for (size_t i = 0; i < w->n_kinds; i++) {
		free(w->kinds[i].role);
		free(w->kinds[i].class_name);
		free(w->kinds[i].syscall);
	}
	free(w->kinds);
	(void)sqlite3_finalize(w->rows);
	(void)sqlite3_finalize(w->task);
	*w = (struct walk){0};
}
#define _cleanup_walk_ _cleanup_(walk_release)

static int dup_text(sqlite3_stmt *st, int col, char **ret)
{
	const char *text = sql_text(st, col);

	*ret = text ? strdup(text) : NULL;
	return text && !*ret ? -ENOMEM : 0;
}

static int load_kinds(sqlite3 *db, struct walk *w)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	u64 last;
	int r = sql_one_u64(db, "SELECT max(id) FROM _wait", NULL, 0, &last);

	if (r < 0)
		return r;
	if (last >= WAIT_KINDS_MAX)
		return -EFBIG;
	w->kinds = calloc(last + 1, sizeof(*w->kinds));
	if (!w->kinds)
		return -ENOMEM;
	w->n_kinds = last + 1;
	r = sql_prepare(db, &st, "SELECT id, state, role, class, syscall FROM _wait", NULL, 0);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		struct wait_kind *k = &w->kinds[min_u64(sql_u64(st, 0), last)];
		const char *state = sql_text(st, 1);

		k->state = state ? *state : '?';
		r = dup_text(st, 2, &k->role);
		if (r == 0)
			r = dup_text(st, 3, &k->class_name);
		if (r == 0)
			r = dup_text(st, 4, &k->syscall);
		if (r < 0)
			return r;
	}
	return r;
}

/* ---- the walk ---- */

/* Of one thread, from the last row that begins before the window on: of one thread they do not overlap (schema.sql, _offcpu). */
#define OFFCPU_SQL                                                                                                                 \
	"SELECT ts, dur, waking, wait_id, poll_id, stack_id, kstack_id, waker_tid, waker_task, cpu, "                              \
	"waker_stack_id, waker_kstack_id FROM _offcpu "                                                                            \
	"WHERE thread_id = ?1 AND ts <= ?3 AND ts >= coalesce((SELECT max(ts) FROM _offcpu WHERE thread_id = ?1 AND ts < ?2), 0) " \
	"ORDER BY ts, id"

/* A row of it. */
struct off_row {
	u64 ts, dur, waking, wait_id;
	bool has_dur, has_waking;
	struct tl_segment s;
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

/* Many waits in a row are of one poll. */
static int read_task(struct walk *w, struct tl_segment *s)
{
	int r;

	if (!s->poll_id)
		return 0;
	if (s->poll_id != w->poll_id) {
		r = sql_rebind(w->task, s->poll_id);
		if (r == 0)
			r = db_step(w->task);
		if (r < 0)
			return r;
		w->poll_id = s->poll_id;
		w->has_task = r > 0 && !sql_is_null(w->task, 0);
		w->task_id = r > 0 ? sql_u64(w->task, 0) : 0;
		(void)sqlite3_reset(w->task);
	}
	s->has_task = w->has_task;
	s->task_id = w->task_id;
	return 0;
}

static int read_row(struct walk *w, struct off_row *o)
{
	static const struct wait_kind unknown = {.state = '?'};
	sqlite3_stmt *st = w->rows;
	u64 wait_id = sql_u64(st, 3);
	const struct wait_kind *k = wait_id < w->n_kinds ? &w->kinds[wait_id] : &unknown;

	*o = (struct off_row){
		.ts = sql_u64(st, 0),
		.dur = sql_u64(st, 1),
		.waking = sql_u64(st, 2),
		.has_dur = !sql_is_null(st, 1),
		.has_waking = !sql_is_null(st, 2),
		.s =
			{
				.state = k->state ? k->state : '?',
				.role = k->role,
				.class_name = k->class_name,
				.syscall = k->syscall,
				.wait_id = wait_id,
				.poll_id = sql_u64(st, 4),
				.stack_id = sql_u64(st, 5),
				.kstack_id = sql_u64(st, 6),
				.has_waker = !sql_is_null(st, 7),
				.waker_tid = sql_u64(st, 7),
				.waker_task = sql_u64(st, 8),
				.has_cpu = !sql_is_null(st, 9),
				.cpu = sql_u64(st, 9),
				.waker_stack_id = sql_u64(st, 10),
				.waker_kstack_id = sql_u64(st, 11),
				.first = true,
			},
	};
	return read_task(w, &o->s);
}

/* `next`: where the row behind it begins; that ends a wait that was cut open by a gap, or (in a damaged capture) overlaps it. */
static int walk_row(struct walk *w, struct off_row *o, u64 next)
{
	u64 hi = w->t->hi, out, woken, in, whole_in, whole_woken;
	struct tl_segment on = {0};
	int r;

	whole_in = o->has_dur ? o->ts + min_u64(o->dur, UINT64_MAX - o->ts) : hi;
	whole_in = max_u64(min_u64(whole_in, next), o->ts);
	whole_woken = o->s.state == 'R' ? o->ts
		      : !o->has_waking	? whole_in
					: min_u64(o->ts + min_u64(o->waking, UINT64_MAX - o->ts), whole_in);
	out = clamp_u64(o->ts, w->cursor, hi);
	in = clamp_u64(whole_in, out, hi);
	woken = clamp_u64(whole_woken, out, in);
	r = give(w, &on, TL_ONCPU, out);
	if (r < 0)
		return r;
	o->s.whole = whole_woken - o->ts;
	r = give(w, &o->s, TL_WAIT, woken);
	o->s.whole = whole_in - whole_woken;
	return r < 0 ? r : give(w, &o->s, TL_RUNNABLE, in);
}

/* All of one thread: its rows, and what is behind the last of them. */
static int walk_thread(struct walk *w)
{
	const u64 binds[3] = {w->t->id, w->t->lo, w->t->hi};
	struct tl_segment rest = {0};
	struct off_row row, next;
	int more, r = 0;

	for (int i = 0; i < 3 && r == 0; i++)
		r = sqlite3_bind_int64(w->rows, i + 1, (sqlite3_int64)min_u64(binds[i], INT64_MAX)) == SQLITE_OK ? 0 : -EIO;
	if (r < 0)
		return r;
	w->cursor = w->t->lo;
	more = db_step(w->rows);
	if (more > 0)
		r = read_row(w, &row);
	while (more > 0 && r == 0) {
		more = db_step(w->rows);
		if (more > 0)
			r = read_row(w, &next);
		if (r == 0 && more >= 0)
			r = walk_row(w, &row, more > 0 ? next.ts : UINT64_MAX);
		row = next;
	}
	(void)sqlite3_reset(w->rows);
	if (r < 0 || more < 0)
		return r < 0 ? r : more;
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
	_cleanup_walk_ struct walk w = {.fn = fn, .ctx = ctx};
	int r;

	order = calloc(threads->n + 1, sizeof(*order));
	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < threads->n; i++)
		order[i] = &threads->rows[i];
	qsort(order, threads->n, sizeof(*order), by_id);
	r = load_kinds(db, &w);
	if (r == 0)
		r = sql_prepare(db, &w.rows, OFFCPU_SQL, NULL, 0);
	if (r == 0)
		r = sql_prepare(db, &w.task, "SELECT task_id FROM poll WHERE id = ?1", NULL, 0);
	for (size_t i = 0; i < threads->n && r == 0; i++) {
		w.t = order[i];
		r = walk_thread(&w);
	}
	return r;
}

int tl_idle_init(struct tl_idle *i, sqlite3 *db)
{
	*i = (struct tl_idle){0};
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
	if (i->stack_id == s->stack_id)
		return i->idle;
	r = sql_rebind(i->has_user_frames, s->stack_id);
	if (r < 0)
		return r;
	r = db_step(i->has_user_frames);
	(void)sqlite3_reset(i->has_user_frames);
	if (r < 0)
		return r;
	i->stack_id = s->stack_id;
	i->idle = !r;
	return i->idle;
}
