/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* profile.c: see profile.h. What is counted, and under which frames; profile_store.c spells the stacks out. */
#include "report/profile.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/buf.h"
#include "report/profile_store.h"
#include "report/sqlrow.h"
#include "report/view_head.h"
#include "report/view_timeline.h"

struct profile_thread {
	u64 id, process_id, pid, tid, ts_start;
	u32 process_frame, frame;
	bool is_wanted;
};

struct loader {
	sqlite3 *db;
	const struct profile_opts *o;
	struct capture_facts facts;
	struct profile_store *s;
	struct profile_thread *threads; /* by id */
	size_t n_threads;
	struct profile_thread **by_tid; /* by tid, then by start */
	struct tl_idle idle;
	sqlite3_stmt *poll, *task;
	u64 last_poll, last_owner, last_task; /* what the two below were looked up for */
	u32 poll_frame, task_frame;
};

static void loader_release(struct loader *l)
{
	capture_facts_release(&l->facts);
	tl_idle_release(&l->idle);
	(void)sqlite3_finalize(l->poll);
	(void)sqlite3_finalize(l->task);
	free(l->threads);
	free(l->by_tid);
}

/* ---- threads ---- */

static int by_tid(const void *a, const void *b)
{
	const struct profile_thread *x = *(struct profile_thread *const *)a, *y = *(struct profile_thread *const *)b;

	if (x->tid != y->tid)
		return x->tid < y->tid ? -1 : 1;
	if (x->ts_start != y->ts_start)
		return x->ts_start < y->ts_start ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static int read_thread(struct loader *l, sqlite3_stmt *st, struct profile_thread *t)
{
	const char *name = sql_text(st, 5);
	const struct profile_opts *o = l->o;
	int r;

	*t = (struct profile_thread){.id = sql_u64(st, 0),
				     .process_id = sql_u64(st, 1),
				     .pid = sql_u64(st, 2),
				     .tid = sql_u64(st, 3),
				     .ts_start = sql_u64(st, 4)};
	t->is_wanted = (!o->pid || o->pid == t->pid) && (!o->tid || o->tid == t->tid) &&
		       (!o->comm || strcmp(o->comm, name ? name : "") == 0);
	r = profile_store_own(l->s, name, &t->frame);
	return r < 0 ? r : profile_store_own(l->s, sql_text(st, 6), &t->process_frame);
}

static int load_threads(struct loader *l)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	size_t cap = 0;
	int r;

	r = sql_prepare(l->db, &st,
			"SELECT t.id, t.process_id, p.pid, t.tid, coalesce(t.ts_start, 0), t.name, p.name FROM thread AS t "
			"JOIN process AS p ON p.id = t.process_id ORDER BY t.id",
			NULL, 0);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		r = ARRAY_ROOM(l->threads, l->n_threads, &cap);
		if (r == 0)
			r = read_thread(l, st, &l->threads[l->n_threads]);
		if (r < 0)
			return r;
		l->n_threads++;
	}
	if (r < 0)
		return r;
	l->by_tid = calloc(l->n_threads + 1, sizeof(struct profile_thread *));
	if (!l->by_tid)
		return -ENOMEM;
	for (size_t i = 0; i < l->n_threads; i++)
		l->by_tid[i] = &l->threads[i];
	qsort(l->by_tid, l->n_threads, sizeof(struct profile_thread *), by_tid);
	return 0;
}

static const struct profile_thread *thread_of_id(const struct loader *l, u64 id)
{
	size_t lo = 0, hi = l->n_threads;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (l->threads[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < l->n_threads && l->threads[lo].id == id ? &l->threads[lo] : NULL;
}

/* The last thread of this tid that had begun by then; NULL: no thread of a target's. */
static const struct profile_thread *thread_of_tid(const struct loader *l, u64 tid, u64 ts)
{
	size_t lo = 0, hi = l->n_threads;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct profile_thread *t = l->by_tid[mid];

		if (t->tid < tid || (t->tid == tid && t->ts_start <= ts))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && l->by_tid[lo - 1]->tid == tid ? l->by_tid[lo - 1] : NULL;
}

/* ---- tasks ---- */

#define POLL_SQL "SELECT p.runtime_id, p.task_id FROM poll AS p WHERE p.id = ?1"

#define TASK_SQL                                                                                                                 \
	"SELECT y.name, s.file, s.line FROM _task AS k LEFT JOIN task_type AS y ON y.id = k.type_id "                            \
	"LEFT JOIN spawn_site AS s ON s.id = k.site_id "                                                                         \
	"WHERE k.id = (SELECT min(i.id) FROM _task AS i WHERE i.task_id = ?1 AND i.owner = ?2)"

/* Its type, else where it was spawned, else that neither is known. */
static int read_task(struct loader *l, u32 *ret)
{
	_cleanup_free_ char *text = NULL;
	const char *name = "[task, type not known]";
	int r = db_step(l->task);

	if (r < 0)
		return r;
	if (r > 0 && sql_text(l->task, 0)) {
		name = sql_text(l->task, 0);
	} else if (r > 0 && sql_text(l->task, 1)) {
		_cleanup_buf_ struct buf b = BUF_INIT;

		buf_printf(&b, "[task of %s:%llu]", sql_text(l->task, 1), (unsigned long long)sql_u64(l->task, 2));
		text = buf_take_str(&b);
		if (!text)
			return -ENOMEM;
		name = text;
	}
	r = profile_store_own(l->s, name, ret);
	(void)sqlite3_reset(l->task);
	return r;
}

/* runtime_id 0: a task of no runtime, which is its process's. */
static int task_frame(struct loader *l, const struct profile_thread *t, u64 runtime_id, u64 task_id, u32 *ret)
{
	s64 owner = runtime_id ? (s64)runtime_id : -(s64)(t ? t->process_id : 0);
	int r;

	if (!l->task_frame || l->last_owner != (u64)owner || l->last_task != task_id) {
		r = sql_rebind(l->task, task_id);
		if (r == 0)
			r = db_errno(sqlite3_bind_int64(l->task, 2, owner));
		if (r == 0)
			r = read_task(l, &l->task_frame);
		if (r < 0)
			return r;
		l->last_owner = (u64)owner;
		l->last_task = task_id;
	}
	*ret = l->task_frame;
	return 0;
}

/* poll_id 0: outside of polls. */
static int poll_frame(struct loader *l, const struct profile_thread *t, u64 poll_id, u32 *ret)
{
	int r;

	if (!poll_id)
		return profile_store_own(l->s, "[no task]", ret);
	if (!l->poll_frame || l->last_poll != poll_id) {
		r = sql_rebind(l->poll, poll_id);
		if (r == 0)
			r = db_step(l->poll);
		if (r < 0)
			return r;
		if (!r || sql_is_null(l->poll, 1))
			r = profile_store_own(l->s, r ? "[root future]" : "[no task]", &l->poll_frame);
		else
			r = task_frame(l, t, sql_u64(l->poll, 0), sql_u64(l->poll, 1), &l->poll_frame);
		(void)sqlite3_reset(l->poll);
		if (r < 0)
			return r;
		l->last_poll = poll_id;
	}
	*ret = l->poll_frame;
	return 0;
}

/* ---- keys ---- */

/* What a stack is counted under, besides itself. */
struct where {
	const struct profile_thread *t;
	const char *class_name;
	u64 poll_id, runtime_id, task_id; /* the last two of a sample whose poll has no row */
};

static int put_front(struct loader *l, const struct where *w, struct profile_key *k)
{
	if (l->o->by == PROFILE_BY_NONE)
		return 0;
	k->front[0] = w->t->process_frame;
	if (l->o->by == PROFILE_BY_CLASS)
		return profile_store_own(l->s, w->class_name, &k->front[1]);
	if (l->o->by == PROFILE_BY_TASK)
		return w->task_id && !w->poll_id ? task_frame(l, w->t, w->runtime_id, w->task_id, &k->front[1])
						 : poll_frame(l, w->t, w->poll_id, &k->front[1]);
	k->front[1] = w->t->frame;
	return 0;
}

struct waker {
	u64 tid, task; /* tid 0: an interrupt; task 0: none */
	u64 stack_id, kstack_id;
};

/* Who woke it, behind "--": its stack, if one was taken, the kind of task that did, and its thread. */
static int put_waker(struct loader *l, const struct where *w, const struct waker *by, u64 ts, struct profile_key *k)
{
	const struct profile_thread *waker = thread_of_tid(l, by->tid, ts);
	size_t at = 0;
	int r;

	k->waker_stack_id = by->stack_id;
	k->waker_kstack_id = by->kstack_id;
	r = profile_store_own(l->s, "--", &k->behind[at++]);
	if (r == 0 && by->task) {
		u64 runtime_id = 0;

		/* A task is woken by one of its own runtime, as far as ids can be told apart at all. */
		if (w->poll_id) {
			r = sql_rebind(l->poll, w->poll_id);
			if (r == 0)
				r = db_step(l->poll);
			if (r > 0)
				runtime_id = sql_u64(l->poll, 0);
			(void)sqlite3_reset(l->poll);
			r = r < 0 ? r : 0;
		}
		if (r == 0)
			r = task_frame(l, waker ? waker : w->t, runtime_id, by->task, &k->behind[at++]);
	}
	if (r < 0)
		return r;
	if (waker)
		k->behind[at] = waker->frame;
	else
		r = profile_store_own(l->s, by->tid ? "[another process]" : "[interrupt]", &k->behind[at]);
	return r;
}

/* ---- samples ---- */

/*
 * Samples at the very edge (the clock fired while the recording was ending) count when all of it is asked for. The task costs a lookup each, so it is asked
 * for where it is needed.
 */
#define SAMPLES_SQL(task)                                                                                                        \
	"SELECT thread_id, stack_id, kstack_id, poll_id, " task " FROM sample WHERE ts >= ?1 AND ts <= ?2 "                      \
	"ORDER BY thread_id, ts, id"

static int add_samples(struct loader *l)
{
	u64 window[2] = {l->facts.windowed ? l->facts.lo : 0, l->facts.windowed ? l->facts.hi : INT64_MAX};
	bool tasks = l->o->by == PROFILE_BY_TASK || l->o->task;
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	struct where w = {.class_name = "cpu"};
	int r;

	r = sql_prepare(l->db, &st, tasks ? SAMPLES_SQL("runtime_id, task_id") : SAMPLES_SQL("NULL, NULL"), window, 2);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		struct profile_key k = {.stack_id = sql_u64(st, 1), .kstack_id = sql_u64(st, 2)};
		u64 thread_id = sql_u64(st, 0);

		if (!w.t || w.t->id != thread_id)
			w.t = thread_of_id(l, thread_id);
		w.poll_id = sql_u64(st, 3);
		w.runtime_id = sql_u64(st, 4);
		w.task_id = sql_u64(st, 5);
		if (!w.t || !w.t->is_wanted || (l->o->task && w.task_id != l->o->task))
			continue;
		r = put_front(l, &w, &k);
		if (r == 0)
			r = profile_store_add(l->s, &k, 1, l->facts.sample_period);
		if (r < 0)
			return r;
	}
	return r;
}

/* ---- waits ---- */

/* ns: its length without regard to --from and --to, as in `report --offcpu`: they choose what part of it is weighed. */
static bool is_wanted_wait(const struct profile_opts *o, const char *class_name, u64 ns)
{
	return ns >= o->min_ns && (!o->max_ns || ns <= o->max_ns) &&
	       (!o->class_is || (class_name && strcmp(class_name, o->class_is) == 0));
}

static int add_segment(void *ctx, const struct tl_thread *t, const struct tl_segment *s)
{
	struct loader *l = ctx;
	struct profile_key k = {.stack_id = s->stack_id, .kstack_id = s->kstack_id, .is_wait = 1};
	struct where w = {.t = thread_of_id(l, t->id), .poll_id = s->poll_id};
	const char *leaf = NULL;
	int idle, r = 0;

	/* Dead threads wait for nothing. */
	if (s->kind == TL_ONCPU || (s->kind == TL_WAIT && (s->state == 'X' || s->state == 'Z')) || !w.t)
		return 0;
	idle = tl_is_idle(&l->idle, s);
	if (idle < 0)
		return idle;
	if (s->kind == TL_UNSEEN)
		leaf = "[no events]";
	else if (s->kind == TL_RUNNABLE)
		leaf = "[runnable]";
	else if (idle)
		leaf = "[idle]";
	if (leaf && !l->o->all)
		return 0;
	w.class_name = s->kind == TL_UNSEEN	? "no events"
		       : s->kind == TL_RUNNABLE ? "runnable"
		       : idle			? "idle"
		       : s->class_name		? s->class_name
		       : strchr("Tt", s->state) ? "stopped"
						: "other";
	if ((l->o->task && (!s->has_task || s->task_id != l->o->task)) ||
	    !is_wanted_wait(l->o, w.class_name, max_u64(s->whole, s->end - s->ts)))
		return 0;
	if (leaf)
		r = profile_store_own(l->s, leaf, &k.leaf);
	if (r == 0)
		r = put_front(l, &w, &k);
	if (r == 0 && l->o->wakers && s->kind == TL_WAIT && s->has_waker) {
		const struct waker by = {s->waker_tid, s->waker_task, s->waker_stack_id, s->waker_kstack_id};

		r = put_waker(l, &w, &by, s->end, &k);
	}
	return r < 0 ? r : profile_store_add(l->s, &k, 0, s->end - s->ts);
}

static int add_waits(struct loader *l)
{
	_cleanup_tl_threads_ struct tl_threads threads = {0};
	size_t n = 0;
	int r;

	r = tl_threads_load(l->db, l->facts.lo, l->facts.hi, &threads);
	if (r < 0)
		return r;
	/* Those that are not wanted go to the end, where the walk does not see them. */
	for (size_t i = 0; i < threads.n; i++) {
		const struct profile_thread *t = thread_of_id(l, threads.rows[i].id);

		if (t && t->is_wanted) {
			struct tl_thread row = threads.rows[n];

			threads.rows[n++] = threads.rows[i];
			threads.rows[i] = row;
		}
	}
	return timeline_walk(l->db, &(const struct tl_threads){.rows = threads.rows, .n = n}, add_segment, l);
}

/* ---- blocking polls ---- */

/* Which polls: those of `ascope report --blocking` with the same options. */
#define BLOCKS_SQL                                                                                                               \
	"SELECT b.poll_id, p.thread_id, b.off_cpu, b.on_cpu, b.runnable, b.class, b.task_id FROM blocking AS b "                 \
	"JOIN poll AS p ON p.id = b.poll_id WHERE b.dur_max >= ?3 AND b.held >= ?3 AND (?4 = 0 OR b.held <= ?4) "                \
	"AND b.ts <= ?2 AND b.ts + b.dur >= ?1 ORDER BY b.poll_id"

#define BLOCK_WAITS_SQL                                                                                                          \
	"SELECT ts, coalesce(dur, max(0, (SELECT ts_end FROM capture) - ts)), ts_waking, state, class, stack_id, kstack_id, "    \
	"waker_tid, waker_task, waker_stack_id, waker_kstack_id FROM offcpu WHERE poll_id = ?1 ORDER BY ts, id"

#define BLOCK_SAMPLES_SQL "SELECT stack_id, kstack_id, count(*) FROM sample WHERE poll_id = ?1 GROUP BY 1, 2 ORDER BY 1, 2"

struct block_loader {
	struct loader *l;
	sqlite3_stmt *waits, *samples;
	struct where w;
	u64 off_cpu, on_cpu, runnable; /* of the poll: what is not given to a stack yet */
};

static void block_loader_release(struct block_loader *b)
{
	(void)sqlite3_finalize(b->waits);
	(void)sqlite3_finalize(b->samples);
}

static int add_block_part(struct block_loader *b, struct profile_key *k, const char *class_name, const char *leaf, u64 *left,
			  u64 samples, u64 ns)
{
	int r = 0;

	ns = min_u64(ns, *left);
	*left -= ns;
	b->w.class_name = class_name;
	if (leaf)
		r = profile_store_own(b->l->s, leaf, &k->leaf);
	if (r == 0)
		r = put_front(b->l, &b->w, k);
	return r < 0 ? r : profile_store_add(b->l->s, k, samples, ns);
}

static int add_block_wait(struct block_loader *b, sqlite3_stmt *st)
{
	struct profile_key k = {.stack_id = sql_u64(st, 5), .kstack_id = sql_u64(st, 6), .is_wait = 1}, ready = k;
	u64 dur = sql_u64(st, 1), ts = sql_u64(st, 0), waking = sql_u64(st, 2);
	const char *state = sql_text(st, 3), *class_name = sql_text(st, 4);
	const struct waker by = {sql_u64(st, 7), sql_u64(st, 8), sql_u64(st, 9), sql_u64(st, 10)};
	u64 off = state && *state == 'R' ? 0 : sql_is_null(st, 2) ? dur : min_u64(waking - min_u64(waking, ts), dur);
	int r = 0;

	/* Stopped by a signal or a debugger: no part of the poll's time. */
	if (state && strchr("Tt", *state))
		return 0;
	if (b->l->o->wakers && !sql_is_null(st, 7))
		r = put_waker(b->l, &b->w, &by, ts + off, &k);
	if (r == 0)
		r = add_block_part(b, &k, class_name ? class_name : "other", NULL, &b->off_cpu, 0, off);
	return r < 0 ? r : add_block_part(b, &ready, "runnable", "[runnable]", &b->runnable, 0, dur - off);
}

/* The time on a cpu goes to the samples in equal parts: it is known exactly, where it went is not. */
static int add_block_samples(struct block_loader *b)
{
	u64 total = 0, given = 0, on_cpu = b->on_cpu;
	int r;

	while ((r = db_step(b->samples)) > 0)
		total += sql_u64(b->samples, 2);
	if (r < 0)
		return r;
	(void)sqlite3_reset(b->samples);
	while (total && (r = db_step(b->samples)) > 0) {
		struct profile_key k = {.stack_id = sql_u64(b->samples, 0), .kstack_id = sql_u64(b->samples, 1)};
		u64 n = sql_u64(b->samples, 2), before = on_cpu / total * given + on_cpu % total * given / total;

		given += n;
		r = add_block_part(b, &k, "cpu", NULL, &b->on_cpu, n,
				   on_cpu / total * given + on_cpu % total * given / total - before);
		if (r < 0)
			return r;
	}
	(void)sqlite3_reset(b->samples);
	return r;
}

static int add_block(struct block_loader *b, u64 poll_id)
{
	int r;

	r = sql_rebind(b->waits, poll_id);
	if (r == 0)
		r = sql_rebind(b->samples, poll_id);
	while (r >= 0 && (r = db_step(b->waits)) > 0)
		r = add_block_wait(b, b->waits);
	(void)sqlite3_reset(b->waits);
	if (r == 0)
		r = add_block_samples(b);
	/* What no row tells. */
	if (r == 0)
		r = add_block_part(b, &(struct profile_key){0}, "cpu", "[on cpu, no sample]", &b->on_cpu, 0, b->on_cpu);
	if (r == 0)
		r = add_block_part(b, &(struct profile_key){0}, "other", "[wait not recorded]", &b->off_cpu, 0, b->off_cpu);
	if (r == 0)
		r = add_block_part(b, &(struct profile_key){0}, "runnable", "[runnable]", &b->runnable, 0, b->runnable);
	return r;
}

static int add_blocks(struct loader *l)
{
	u64 binds[4] = {l->facts.lo, l->facts.hi, l->o->min_ns, l->o->max_ns};
	_cleanup_(block_loader_release) struct block_loader b = {.l = l};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r;

	r = sql_prepare(l->db, &st, BLOCKS_SQL, binds, 4);
	if (r == 0)
		r = sql_prepare(l->db, &b.waits, BLOCK_WAITS_SQL, NULL, 0);
	if (r == 0)
		r = sql_prepare(l->db, &b.samples, BLOCK_SAMPLES_SQL, NULL, 0);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		const char *class_name = sql_text(st, 5);

		b.w = (struct where){.t = thread_of_id(l, sql_u64(st, 1)), .poll_id = sql_u64(st, 0)};
		b.off_cpu = sql_u64(st, 2);
		b.on_cpu = sql_u64(st, 3);
		b.runnable = sql_u64(st, 4);
		if (!b.w.t || !b.w.t->is_wanted || (l->o->task && sql_u64(st, 6) != l->o->task) ||
		    (l->o->class_is && (!class_name || strcmp(class_name, l->o->class_is) != 0)))
			continue;
		r = add_block(&b, b.w.poll_id);
		if (r < 0)
			return r;
	}
	return r;
}

/* ---- all of it ---- */

static int add_all(struct loader *l)
{
	int r = 0;

	if (l->o->kind == PROFILE_BLOCKING)
		return add_blocks(l);
	if (l->o->kind == PROFILE_ONCPU ||
	    (l->o->kind == PROFILE_WALL && (!l->o->class_is || strcmp(l->o->class_is, "cpu") == 0)))
		r = add_samples(l);
	if (r == 0 && l->o->kind != PROFILE_ONCPU)
		r = add_waits(l);
	return r;
}

static int loader_init(struct loader *l)
{
	const struct report_opts window = {.from_ns = l->o->from_ns, .to_ns = l->o->to_ns};
	int r;

	r = capture_facts_load(l->db, &window, &l->facts);
	if (r == 0)
		r = profile_store_init(l->s, l->db);
	if (r == 0)
		r = load_threads(l);
	if (r == 0)
		r = tl_idle_init(&l->idle, l->db);
	if (r == 0)
		r = sql_prepare(l->db, &l->poll, POLL_SQL, NULL, 0);
	return r < 0 ? r : sql_prepare(l->db, &l->task, TASK_SQL, NULL, 0);
}

int profile_load(sqlite3 *db, const struct profile_opts *o, struct profile *ret)
{
	_cleanup_profile_ struct profile p = {.store = calloc(1, sizeof(struct profile_store))};
	_cleanup_(loader_release) struct loader l = {.db = db, .o = o, .s = p.store};
	bool begun;
	int r;

	if (!p.store)
		return -ENOMEM;
	/* One transaction: else each statement that is run once a stack locks the file anew. */
	begun = sqlite3_get_autocommit(db) && db_exec(db, "BEGIN") == 0;
	r = loader_init(&l);
	if (r == 0)
		r = add_all(&l);
	if (r == 0)
		r = profile_store_finish(p.store, &p);
	/* After a mistake it stays open until the database is closed: ending it would take the message away. */
	if (r == 0 && begun)
		r = db_exec(db, "COMMIT");
	if (r < 0)
		return r;
	p.n_front = o->by == PROFILE_BY_NONE ? 0 : 2;
	p.front[0] = "process";
	p.front[1] = o->by == PROFILE_BY_TASK ? "task" : o->by == PROFILE_BY_CLASS ? "class" : "thread";
	p.period_ns = l.facts.sample_period;
	p.lo = l.facts.lo - l.facts.ts_start;
	p.hi = l.facts.hi - l.facts.ts_start;
	p.realtime_ns = l.facts.realtime_start;
	*ret = p;
	p = (struct profile){0};
	return 0;
}

void profile_release(struct profile *p)
{
	if (p->store)
		profile_store_release(p->store);
	free(p->store);
	free(p->frames);
	free(p->stacks);
	*p = (struct profile){0};
}
