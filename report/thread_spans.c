/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* thread_spans.c: see thread_spans.h. */
#include "report/thread_spans.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "report/sqlrow.h"

static const char *const state_names[WAIT_STATES] = {
	[WAIT_DISK] = "disk",
	[WAIT_NETWORK] = "network",
	[WAIT_DNS] = "dns",
	[WAIT_LOCK] = "lock",
	[WAIT_SLEEP] = "sleep",
	[WAIT_PIPE] = "pipe",
	[WAIT_PROCESS] = "process",
	[WAIT_FAULT] = "page fault",
	[WAIT_EVENTS] = "poll/epoll",
	[WAIT_OTHER] = "other",
	[WAIT_STOPPED] = "stopped",
	[WAIT_UNKNOWN] = "unknown",
	[WAIT_IDLE_PARKED] = "parked",
	[WAIT_IDLE_DRIVER] = "driver",
	[WAIT_IDLE_POOL] = "pool idle",
	[WAIT_READY_WOKEN] = "woken",
	[WAIT_READY_PREEMPTED] = "preempted",
};

const char *wait_state_name(enum wait_state s)
{
	return state_names[s];
}

/* ---- kinds of wait ---- */

static bool text_is(const char *s, const char *what)
{
	return s && strcmp(s, what) == 0;
}

/* In a call that waits for any of many files: an event loop. */
static bool is_event_loop(const struct span_wait *k)
{
	static const char *const calls[] = {"epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select", "pselect6"};

	if (text_is(k->detail, "event loop"))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (text_is(k->syscall, calls[i]))
			return true;
	return false;
}

/* wait_class_name() of classify.h has the classes. */
static enum wait_state state_of_class(const struct span_wait *k)
{
	static const struct {
		const char *name;
		enum wait_state state;
	} classes[] = {
		{"disk", WAIT_DISK},   {"network", WAIT_NETWORK}, {"dns", WAIT_DNS},	     {"lock", WAIT_LOCK},
		{"sleep", WAIT_SLEEP}, {"pipe", WAIT_PIPE},	  {"process", WAIT_PROCESS}, {"fault", WAIT_FAULT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		if (text_is(k->class_name, classes[i].name))
			return classes[i].state;
	if (!k->class_name)
		return WAIT_UNKNOWN;
	return is_event_loop(k) ? WAIT_EVENTS : WAIT_OTHER;
}

static enum wait_state state_of(const struct span_wait *k)
{
	if (k->state == 'R')
		return WAIT_READY_PREEMPTED;
	if (k->state == 'T' || k->state == 't')
		return WAIT_STOPPED;
	if (text_is(k->role, "parked"))
		return is_event_loop(k) ? WAIT_IDLE_DRIVER : WAIT_IDLE_PARKED;
	if (text_is(k->role, "blocking_pool") && text_is(k->class_name, "lock"))
		return WAIT_IDLE_POOL;
	return state_of_class(k);
}

static int dup_text(sqlite3_stmt *st, int col, char **ret)
{
	const char *s = sql_text(st, col);

	*ret = s ? strdup(s) : NULL;
	return s && !*ret ? -ENOMEM : 0;
}

static int read_kind(sqlite3_stmt *st, struct span_wait *k)
{
	const char *state = sql_text(st, 1);
	int r;

	*k = (struct span_wait){.id = sql_u64(st, 0), .state = state ? *state : '?'};
	r = dup_text(st, 2, &k->role);
	if (r == 0)
		r = dup_text(st, 3, &k->class_name);
	if (r == 0)
		r = dup_text(st, 4, &k->syscall);
	if (r == 0)
		r = dup_text(st, 5, &k->detail);
	k->is = state_of(k);
	return r;
}

static int load_kinds(struct thread_spans *s, sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	size_t cap = 0;
	int r = sql_prepare(db, &st, "SELECT id, state, role, class, syscall, detail FROM _wait ORDER BY id", NULL, 0);

	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		r = ARRAY_ROOM(s->kinds, s->n_kinds, &cap);
		if (r < 0)
			return r;
		s->n_kinds++;
		r = read_kind(st, &s->kinds[s->n_kinds - 1]);
		if (r == 0)
			r = u64map_put(&s->by_id, s->kinds[s->n_kinds - 1].id, s->n_kinds - 1);
		if (r < 0)
			return r;
	}
	return r;
}

/*
 * The rows that reach into [?2, ..): from the one that began last before it on. Rows of one thread follow one another (schema.sql), so none
 * further back does.
 */
#define ROWS_SQL                                                                                                                 \
	"SELECT ts, dur, waking, ran, wait_id, poll_id, stack_id, kstack_id, waker_tid, waker_task, "                            \
	"waker_stack_id, waker_kstack_id FROM _offcpu "                                                                          \
	"WHERE thread_id = ?1 AND ts >= coalesce((SELECT max(ts) FROM _offcpu WHERE thread_id = ?1 AND ts <= ?2), ?2) ORDER BY ts, id"

int thread_spans_init(struct thread_spans *s, sqlite3 *db)
{
	int r;

	*s = (struct thread_spans){.by_id = U64MAP_INIT, .is_idle = U64MAP_INIT};
	r = load_kinds(s, db);
	if (r == 0)
		r = tl_idle_init(&s->idle, db);
	if (r == 0)
		r = sql_prepare(db, &s->rows, ROWS_SQL, NULL, 0);
	if (r == 0)
		r = sql_prepare(db, &s->last, "SELECT ts_last_in, ts_last_out FROM thread WHERE id = ?1", NULL, 0);
	if (r < 0)
		thread_spans_release(s);
	return r;
}

void thread_spans_release(struct thread_spans *s)
{
	for (size_t i = 0; i < s->n_kinds; i++) {
		free(s->kinds[i].role);
		free(s->kinds[i].class_name);
		free(s->kinds[i].syscall);
		free(s->kinds[i].detail);
	}
	free(s->kinds);
	u64map_release(&s->by_id);
	u64map_release(&s->is_idle);
	tl_idle_release(&s->idle);
	(void)sqlite3_finalize(s->rows);
	(void)sqlite3_finalize(s->last);
	*s = (struct thread_spans){0};
}

const char *span_class(const struct span *s)
{
	if (s->kind == SPAN_READY)
		return "runnable";
	if (s->kind != SPAN_WAIT)
		return "";
	if (wait_state_is_idle(s->state))
		return "idle";
	return s->state == WAIT_STOPPED ? "stopped" : s->wait->class_name ? s->wait->class_name : "other";
}

/* ---- the walk ---- */

/* A row of _offcpu. */
struct off_row {
	u64 ts, dur, waking, ran;
	bool has_dur, has_waking, has_ran;
	struct span span; /* what it says of its spans */
};

struct walk {
	struct thread_spans *s;
	const struct tl_thread *t;
	span_fn fn;
	void *ctx;
	u64 cursor; /* the thread's time is given out up to here */
};

static u64 add_u64(u64 a, u64 b)
{
	return a + min_u64(b, UINT64_MAX - a);
}

/* Of a thread of the pool in a lock: a job waits, or it waits for a job. Asked once a stack. */
static int pool_state(struct thread_spans *s, struct span *sp)
{
	struct tl_segment seg = {
		.kind = TL_WAIT, .role = sp->wait->role, .class_name = sp->wait->class_name, .stack_id = sp->stack_id};
	u64 idle;
	int r = 0;

	if (!u64map_get(&s->is_idle, sp->stack_id, &idle)) {
		r = tl_is_idle(&s->idle, &seg);
		if (r < 0)
			return r;
		idle = (u64)r;
		r = u64map_put(&s->is_idle, sp->stack_id, idle);
	}
	sp->state = idle ? WAIT_IDLE_POOL : state_of_class(sp->wait);
	return r;
}

static int read_row(struct thread_spans *s, struct off_row *o)
{
	sqlite3_stmt *st = s->rows;
	u64 at;

	*o = (struct off_row){
		.ts = sql_u64(st, 0),
		.dur = sql_u64(st, 1),
		.waking = sql_u64(st, 2),
		.ran = sql_u64(st, 3),
		.has_dur = !sql_is_null(st, 1),
		.has_waking = !sql_is_null(st, 2),
		.has_ran = !sql_is_null(st, 3),
		.span = {.poll_id = sql_u64(st, 5),
			 .stack_id = sql_u64(st, 6),
			 .kstack_id = sql_u64(st, 7),
			 .waker_tid = sql_u64(st, 8),
			 .waker_task = sql_u64(st, 9),
			 .has_waker = !sql_is_null(st, 8),
			 .waker_stack_id = sql_u64(st, 10),
			 .waker_kstack_id = sql_u64(st, 11)},
	};
	if (!u64map_get(&s->by_id, sql_u64(st, 4), &at))
		return -EBADMSG;
	o->span.wait = &s->kinds[at];
	o->span.state = o->span.wait->is;
	return o->span.state == WAIT_IDLE_POOL ? pool_state(s, &o->span) : 0;
}

/* Gives [cursor, end) out. */
static int give(struct walk *w, const struct span *of, enum span_kind kind, u64 end)
{
	struct span s = *of;

	end = min_u64(end, w->t->hi);
	if (end <= w->cursor)
		return 0;
	s.kind = kind;
	s.ts = w->cursor;
	s.end = end;
	w->cursor = end;
	return w->fn(w->ctx, w->t, &s);
}

static int give_plain(struct walk *w, enum span_kind kind, u64 end)
{
	struct span none = {0};

	return give(w, &none, kind, end);
}

/* has_next: a row of the thread follows, at `next`. */
static int walk_row(struct walk *w, const struct off_row *o, bool has_next, u64 next)
{
	u64 on_from = o->has_ran ? o->ts - min_u64(o->ran, o->ts) : o->ts, in = add_u64(o->ts, o->dur), woken;
	struct span s = o->span;
	int r = give_plain(w, SPAN_UNKNOWN, on_from);

	if (r == 0)
		r = give_plain(w, SPAN_ONCPU, o->ts);
	if (r < 0)
		return r;
	if (!o->has_dur)
		in = has_next ? o->ts : max_u64(w->t->hi, o->ts); /* when it came back is not known unless it did not */
	if (has_next)
		in = min_u64(in, max_u64(next, o->ts));
	woken = in;
	if (s.state == WAIT_READY_PREEMPTED)
		woken = o->ts;
	else if (o->has_waking)
		woken = min_u64(add_u64(o->ts, o->waking), in);
	s.whole = woken - o->ts;
	s.is_open = !o->has_dur && woken == in;
	r = give(w, &s, SPAN_WAIT, woken);
	if (r < 0)
		return r;
	if (s.state != WAIT_READY_PREEMPTED)
		s.state = WAIT_READY_WOKEN;
	s.whole = in - woken;
	s.is_open = !o->has_dur;
	return give(w, &s, SPAN_READY, in);
}

/* What it ran behind its last row. */
static int walk_rest(struct walk *w)
{
	u64 in, out;
	int r = sql_rebind(w->s->last, w->t->id);

	if (r == 0)
		r = db_step(w->s->last);
	if (r < 0)
		return r;
	in = sql_u64(w->s->last, 0);
	out = sql_u64(w->s->last, 1);
	if (r > 0 && out > in) {
		r = give_plain(w, SPAN_UNKNOWN, in);
		if (r == 0)
			r = give_plain(w, SPAN_ONCPU, out);
	} else {
		r = 0;
	}
	(void)sqlite3_reset(w->s->last);
	return r < 0 ? r : give_plain(w, SPAN_UNKNOWN, w->t->hi);
}

static int step_row(struct thread_spans *s, struct off_row *o)
{
	int r = db_step(s->rows), err;

	if (r <= 0)
		return r;
	err = read_row(s, o);
	return err < 0 ? err : 1;
}

int thread_spans_walk(struct thread_spans *s, const struct tl_thread *t, span_fn fn, void *ctx)
{
	struct walk w = {.s = s, .t = t, .fn = fn, .ctx = ctx, .cursor = t->lo};
	struct off_row row, next = {0};
	int r = sql_rebind(s->rows, t->id), more;

	if (r == 0)
		r = db_errno(sqlite3_bind_int64(s->rows, 2, (sqlite3_int64)min_u64(t->lo, INT64_MAX)));
	if (r < 0)
		return r;
	more = step_row(s, &row);
	while (more > 0 && w.cursor < t->hi) {
		more = step_row(s, &next);
		if (more < 0)
			break;
		r = walk_row(&w, &row, more > 0, next.ts);
		if (r < 0)
			return r;
		row = next;
	}
	(void)sqlite3_reset(s->rows);
	return more < 0 ? more : walk_rest(&w);
}

/* ---- what was asked for ---- */

static bool is_asked(const struct report_opts *o, const struct tl_thread *t)
{
	return (!o->pid || t->pid == o->pid) && (!o->tid || t->tid == o->tid) && (!o->comm || strcmp(t->name, o->comm) == 0);
}

int thread_spans_threads(sqlite3 *db, const struct report_opts *o, u64 lo, u64 hi, struct tl_threads *ret)
{
	_cleanup_tl_threads_ struct tl_threads t = {0};
	size_t kept = 0;
	int r = tl_threads_load(db, lo, hi, &t);

	if (r < 0)
		return r;
	for (size_t i = 0; i < t.n; i++) {
		struct tl_thread swap = t.rows[i];

		if (!is_asked(o, &swap))
			continue;
		t.rows[i] = t.rows[kept];
		t.rows[kept++] = swap;
	}
	for (size_t i = kept; i < t.n; i++) {
		free(t.rows[i].name);
		free(t.rows[i].process);
	}
	t.n = kept;
	*ret = t;
	t = (struct tl_threads){0};
	return 0;
}

int thread_spans_polls_of(sqlite3 *db, u64 task, struct u64map *ret)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r;

	if (!task)
		return 0;
	r = sql_prepare(db, &st, "SELECT id FROM poll WHERE task_id = ?1", &task, 1);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		r = u64map_put(ret, sql_u64(st, 0), 1);
		if (r < 0)
			return r;
	}
	return r;
}
