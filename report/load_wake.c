/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* load_wake.c: see load_wake.h. Numbers of elements are 1 + their position, so that 0 is none. */
#include "report/load_wake.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "report/load_exact.h"

#define RUNTIME_NOT_ENTERED 2 /* as in load_task.c: on a worker's thread, block_in_place has handed its core off */

/* Tasks that left a queue during one poll: more are not kept, so that a hostile file costs no more. A queue of Tokio's has 257 places. */
#define MAX_GONE 65536

/* Rows of block_victim: of blocks that a person would call one, and not more than anybody reads. */
#define VICTIM_ROWS    1000
#define VICTIM_MIN_DUR NSEC_PER_MSEC

static struct ready *ready_at(const struct wake_store *ws, u32 n)
{
	return &ws->ready[n - 1];
}

/* ---- elements and queues ---- */

static int new_ready(struct wake_store *ws, u32 *ret)
{
	if (ws->free_ready) {
		*ret = ws->free_ready;
		ws->free_ready = ready_at(ws, *ret)->next;
		return 0;
	}
	if (ARRAY_ROOM(ws->ready, ws->n_ready, &ws->cap_ready) < 0)
		return -ENOMEM;
	*ret = ++ws->n_ready;
	return 0;
}

static void free_ready(struct wake_store *ws, u32 n)
{
	ready_at(ws, n)->next = ws->free_ready;
	ws->free_ready = n;
}

static int new_queue(struct wake_store *ws, struct task_thread *t, u32 *ret)
{
	if (ARRAY_ROOM(ws->queues, ws->n_queues, &ws->cap_queues) < 0)
		return -ENOMEM;
	ws->queues[ws->n_queues] = (struct run_queue){.epoch = ws->epoch, .thread = t};
	*ret = ++ws->n_queues;
	return 0;
}

static void unlink_ready(struct wake_store *ws, u32 n)
{
	struct ready *r = ready_at(ws, n);
	struct run_queue *q = &ws->queues[r->queue - 1];

	if (r->prev)
		ready_at(ws, r->prev)->next = r->next;
	else
		q->head = r->next;
	if (r->next)
		ready_at(ws, r->next)->prev = r->prev;
	else
		q->tail = r->prev;
	q->n--;
}

static void drop_gone(struct wake_store *ws, struct run_queue *q)
{
	while (q->gone) {
		u32 n = q->gone;

		q->gone = ready_at(ws, n)->next;
		free_ready(ws, n);
	}
	q->n_gone = 0;
}

/* Behind a gap nobody knows what still waits. Each element leaves a queue so once. */
static void refresh(struct wake_store *ws, struct run_queue *q)
{
	if (q->epoch == ws->epoch)
		return;
	q->epoch = ws->epoch;
	drop_gone(ws, q);
	while (q->head) {
		struct ready *r = ready_at(ws, q->head);

		q->head = r->next;
		r->queue = 0;
	}
	q->tail = 0;
	q->n = 0;
}

static u64 worker_key(u64 runtime_id, u64 worker)
{
	return runtime_id << 32 | worker;
}

static int queue_of_worker(struct task_loader *tl, struct task_thread *t, u32 *ret)
{
	struct wake_store *ws = &tl->wakes;
	u64 key = worker_key(t->ci->runtime_id, t->ci->worker), at;
	int err;

	if (u64map_get(&ws->by_worker, key, &at)) {
		*ret = (u32)at;
		ws->queues[at - 1].thread = t;
		return 0;
	}
	err = new_queue(ws, t, ret);
	return err ? err : u64map_put(&ws->by_worker, key, *ret);
}

/* Which queue a task goes to when thread t makes it ready: *ret 0 for one that any worker serves, or that is not known. */
static int choose_queue(struct task_loader *tl, struct task_thread *t, u32 executor, const struct task_by *by, u32 *ret)
{
	struct executor *x = &tl->executors[executor];
	bool is_local = by->entered == 2 && by->runtime != RUNTIME_NOT_ENTERED;

	*ret = 0;
	if (!executor)
		return 0;
	if (x->is_single) {
		if (!x->thread && is_local)
			x->thread = t;
		if (!x->thread)
			return 0;
		if (!x->thread->queue) {
			int err = new_queue(&tl->wakes, x->thread, &x->thread->queue);

			if (err)
				return err;
		}
		*ret = x->thread->queue;
		return 0;
	}
	if (is_local && t->ci && t->ci->worker && x->runtime_id && t->ci->runtime_id == x->runtime_id)
		return queue_of_worker(tl, t, ret);
	return 0;
}

/* How many there are in this epoch. */
static u64 *nowhere_now(struct wake_store *ws)
{
	if (ws->nowhere_epoch != ws->epoch)
		ws->nowhere = 0;
	ws->nowhere_epoch = ws->epoch;
	return &ws->nowhere;
}

static int add_ready(struct task_loader *tl, struct task_thread *t, struct task_entry *k, const struct ready *from,
		     const struct task_by *by)
{
	struct wake_store *ws = &tl->wakes;
	struct ready *r;
	u32 n, queue;
	int err = choose_queue(tl, t, k->executor, by, &queue);

	if (!err)
		err = new_ready(ws, &n);
	if (err)
		return err;
	r = ready_at(ws, n);
	*r = *from;
	r->epoch = ws->epoch;
	r->entry = (u32)(k - tl->entries) + 1;
	r->task_row = k->id;
	r->queue = queue;
	r->is_nowhere = !k->executor;
	if (r->is_nowhere)
		*nowhere_now(ws) += 1;
	k->ready = n;
	if (queue) {
		struct run_queue *q = &ws->queues[queue - 1];

		refresh(ws, q);
		if (q->tail) /* events of other cpus may come late */
			r->ts = max_u64(r->ts, ready_at(ws, q->tail)->ts);
		r->prev = q->tail;
		*(q->tail ? &ready_at(ws, q->tail)->next : &q->head) = n;
		q->tail = n;
		q->n++;
	}
	return 0;
}

/* ---- rows ---- */

static int write_wake(struct task_loader *tl, const struct ready *r, u64 delay, bool has_delay)
{
	static const char *const names[] = {
		[TASK_FROM_UNKNOWN] = "unknown", [TASK_FROM_TASK] = "task",	[TASK_FROM_COMPLETION] = "completion",
		[TASK_FROM_ROOT] = "root",	 [TASK_FROM_DRIVER] = "driver", [TASK_FROM_POOL] = "blocking_pool",
		[TASK_FROM_OUTSIDE] = "outside",
	};
	bool has_task = r->waker == TASK_FROM_TASK || r->waker == TASK_FROM_POOL;

	if (!r->wake_id || !tl->wants_rows)
		return 0;
	return db_run(tl->wakes.ins_wake,
		      (struct db_val[]){DB_INT(r->wake_id), DB_INT(r->ts), DB_INT(r->thread), db_opt(r->task_row),
					db_opt(r->type), db_text(names[r->waker]), has_task ? db_opt(r->waker_task) : DB_NULL,
					has_delay ? DB_INT(delay) : DB_NULL},
		      8);
}

static int write_poll(struct task_loader *tl, const struct task_thread *t, const struct open_poll *o, u64 ts_end)
{
	return db_run(tl->wakes.ins_poll,
		      (struct db_val[]){DB_INT(o->id), DB_INT(o->ts), ts_end ? DB_INT(ts_end - o->ts) : DB_NULL,
					DB_INT(t->run->thread_id), db_opt(o->task_row), db_opt(o->type)},
		      6);
}

/* ---- gaps ---- */

void wake_store_advance(struct task_loader *tl, u64 ts)
{
	const struct intervals *iv = tl->iv;

	while (tl->gap_at < iv->n_gaps && iv->gaps[tl->gap_at].ts <= ts) {
		if (!(tl->wakes.epoch & 1))
			tl->wakes.epoch++;
		if (iv->gaps[tl->gap_at].ts_end > ts)
			return;
		tl->wakes.epoch++;
		tl->gap_at++;
	}
}

/* ---- ready, and no longer ---- */

/* The thread that serves a queue is in a poll whose end is not known yet: what leaves the queue now may have waited for it. */
static bool may_wait_for_poll(const struct run_queue *q)
{
	return q->thread && q->thread->run && q->thread->run->poll.is_open;
}

/* What left the queue before the poll's latest record has not waited for its end. */
static void prune_gone(struct wake_store *ws, struct run_queue *q)
{
	u32 *link = &q->gone;

	while (*link) {
		u32 n = *link;

		if (ready_at(ws, n)->ts_gone > q->thread->run->poll.ts_last) {
			link = &ready_at(ws, n)->next;
			continue;
		}
		*link = ready_at(ws, n)->next;
		free_ready(ws, n);
		q->n_gone--;
	}
}

/* An element that is in no list any more may still count for the poll that its queue's thread is in. */
static void keep_gone(struct wake_store *ws, struct run_queue *q, u32 n, u64 ts)
{
	struct ready *r = ready_at(ws, n);

	if (ts && may_wait_for_poll(q)) {
		if (q->n_gone == MAX_GONE)
			prune_gone(ws, q);
		if (q->n_gone < MAX_GONE) {
			r->ts_gone = ts;
			r->entry = 0;
			r->next = q->gone;
			q->gone = n;
			q->n_gone++;
			return;
		}
	}
	free_ready(ws, n);
}

/* Its poll tells where it waited: if one thread serves that, it is as if it had been in its queue. *ret NULL: not so. */
static int queue_it_was_in(struct task_loader *tl, const struct task_entry *k, const struct ready *r, struct run_queue **ret)
{
	const struct executor *x = &tl->executors[k->executor];
	int err = 0;

	*ret = NULL;
	if (!r->is_nowhere || !k->executor || !x->is_single || !x->thread)
		return 0;
	if (!x->thread->queue)
		err = new_queue(&tl->wakes, x->thread, &x->thread->queue);
	if (err)
		return err;
	*ret = &tl->wakes.queues[x->thread->queue - 1];
	refresh(&tl->wakes, *ret);
	return 0;
}

int ready_gone(struct task_loader *tl, struct task_entry *k, u64 ts, bool is_polled)
{
	struct wake_store *ws = &tl->wakes;
	u32 n = k->ready;
	struct run_queue *q = NULL;
	struct ready *r;
	bool is_known;
	int err;

	if (!n)
		return 0;
	k->ready = 0;
	r = ready_at(ws, n);
	is_known = r->epoch == ws->epoch && !(ws->epoch & 1) && ts;
	if (r->queue)
		refresh(ws, &ws->queues[r->queue - 1]);
	err = write_wake(tl, r, ts > r->ts ? ts - r->ts : 0, is_known && is_polled);
	if (r->is_nowhere && r->epoch == ws->epoch)
		*nowhere_now(ws) -= 1;
	if (r->queue) {
		q = &ws->queues[r->queue - 1];
		unlink_ready(ws, n);
	} else if (!err) {
		err = queue_it_was_in(tl, k, r, &q);
	}
	if (q)
		keep_gone(ws, q, n, is_known ? max_u64(ts, r->ts) : 0);
	else
		free_ready(ws, n);
	return err;
}

int ready_spawned(struct task_loader *tl, struct task_thread *t, struct task_entry *k, const struct fmt_task_spawn *e)
{
	struct task_by by = {e->by_task, e->budget, e->runtime, e->entered};
	struct ready r = {.ts = e->ts, .thread = t->run->thread_id};

	if (!tl->has_exact || k->ready)
		return 0;
	return add_ready(tl, t, k, &r, &by);
}

int task_loader_wake(struct task_loader *tl, struct task_thread *t, const struct fmt_task_wake *e)
{
	struct task_by by = {e->by_task, e->budget, e->runtime, e->entered};
	struct ready r = {.ts = e->ts, .thread = t->run->thread_id, .waker = task_from_of(t, &by), .waker_task = e->by_task};
	struct task_entry *k;
	int err = task_entry_find(tl, e->layout, e->task, &k);

	tl->has_tasks = true;
	r.wake_id = ++tl->wakes.wakes;
	r.type = task_type_of(tl, e->layout, e->vtable);
	if (err)
		return err;
	if (!k || k->ts_end)
		return write_wake(tl, &r, 0, false);
	if (!k->type)
		k->type = r.type;
	err = ready_gone(tl, k, 0, false); /* its poll in between was not seen */
	return err ? err : add_ready(tl, t, k, &r, &by);
}

/* ---- polls ---- */

int task_thread_idle(struct task_loader *tl, struct task_thread *t)
{
	int err = 0;

	while (t->n_open && !err)
		err = write_poll(tl, t, &t->open[--t->n_open], 0);
	return err;
}

static int poll_ends(struct task_loader *tl, struct task_thread *t, u64 ts)
{
	const struct open_poll *o;

	if (t->n_open && t->open_epoch != tl->wakes.epoch)
		return task_thread_idle(tl, t);
	if (!t->n_open)
		return 0;
	o = &t->open[--t->n_open];
	return write_poll(tl, t, o, max_u64(ts, o->ts));
}

static int poll_begins(struct task_loader *tl, struct task_thread *t, const struct open_poll *o)
{
	int err = 0;

	if (t->n_open && t->open_epoch != tl->wakes.epoch)
		err = task_thread_idle(tl, t);
	if (!err && t->n_open == OPEN_POLLS) { /* ends are missing: the outermost is the oldest */
		err = write_poll(tl, t, &t->open[0], 0);
		memmove(&t->open[0], &t->open[1], sizeof(t->open) - sizeof(t->open[0]));
		t->n_open--;
	}
	t->open[t->n_open++] = *o;
	t->open_epoch = tl->wakes.epoch;
	return err;
}

/* What polls it is where its tasks are polled. */
static int learn_executor(struct task_loader *tl, struct task_thread *t, struct task_entry *k)
{
	int err = 0;

	if (!k->executor && t->ci && t->ci->layout == k->layout && t->ci->runtime_id) {
		k->executor = (u32)t->ci->runtime_id;
		if (!k->runtime_id)
			k->runtime_id = t->ci->runtime_id;
	}
	if (!k->executor && !t->ci && t->has_local_set)
		err = task_entry_local(tl, t, k);
	if (k->executor && tl->executors[k->executor].is_single)
		tl->executors[k->executor].thread = t;
	return err;
}

int task_loader_poll(struct task_loader *tl, struct task_thread *t, const struct fmt_task_poll *e)
{
	struct open_poll o = {.ts = e->ts};
	struct task_entry *k;
	int err;

	tl->has_tasks = true;
	if (e->end)
		return tl->wants_rows ? poll_ends(tl, t, e->ts) : 0;
	o.id = ++tl->wakes.polls;
	o.type = task_type_of(tl, e->layout, e->vtable);
	err = task_entry_find(tl, e->layout, e->task, &k);
	if (err)
		return err;
	if (k) {
		o.task_row = k->id;
		if (!k->type)
			k->type = o.type;
		err = learn_executor(tl, t, k);
		if (k->ready && !k->executor)
			t->ts_stranger = e->ts;
		if (!err)
			err = ready_gone(tl, k, e->ts, true);
	}
	return err || !tl->wants_rows ? err : poll_begins(tl, t, &o);
}

/* ---- who paid ---- */

struct block {
	u64 id, from, to;
	bool has_rows;
	u32 rows;
	struct victims *v;
};

static int add_victim(struct task_loader *tl, struct block *b, const struct ready *r, bool is_counted)
{
	u64 waited = b->to - max_u64(r->ts, b->from);

	b->v->n += !is_counted;
	b->v->worst = max_u64(b->v->worst, waited);
	if (!b->has_rows || b->rows == VICTIM_ROWS)
		return 0;
	b->rows++;
	return db_run(tl->wakes.ins_victim,
		      (struct db_val[]){DB_INT(b->id), DB_INT(r->task_row), db_opt(r->wake_id), DB_INT(r->ts), DB_INT(waited),
					DB_INT(r->thread)},
		      6);
}

/*
 * Those that still wait are in the order of time, so that only the ones that are too young are looked at to count, and the oldest waited longest. Those that left
 * are looked at once: this poll is over.
 */
static int count_queue(struct task_loader *tl, struct block *b, struct run_queue *q)
{
	struct wake_store *ws = &tl->wakes;
	u64 n = q->n;
	int err = 0;

	for (u32 i = q->tail; i && ready_at(ws, i)->ts >= b->to; i = ready_at(ws, i)->prev)
		n--;
	b->v->n += n;
	for (u32 i = q->head; n && !err; i = ready_at(ws, i)->next, n--) {
		err = add_victim(tl, b, ready_at(ws, i), true);
		if (!b->has_rows || b->rows == VICTIM_ROWS)
			break;
	}
	for (u32 i = q->gone; i && !err; i = ready_at(ws, i)->next)
		if (ready_at(ws, i)->ts < b->to && ready_at(ws, i)->ts_gone > b->to)
			err = add_victim(tl, b, ready_at(ws, i), false);
	return err;
}

/* No event since the block began may be missing. */
static bool is_whole(const struct task_loader *tl, const struct poll_row *p)
{
	const struct intervals *iv = tl->iv;

	if (tl->wakes.epoch & 1)
		return false;
	return !tl->gap_at || iv->gaps[tl->gap_at - 1].ts_end <= p->ts;
}

/* A LocalSet's tasks are in no list: one that was spawned before the recording may wait for this block, and nobody knows yet that it is this set's. */
static bool may_have_strangers(struct wake_store *ws, const struct task_thread *t, const struct poll_row *p)
{
	return p->holds == HOLDS_LOCALSET && !p->runtime_id && (*nowhere_now(ws) || t->ts_stranger > p->ts);
}

int task_loader_block(struct task_loader *tl, struct task_thread *t, const struct poll_row *p, struct victims *ret)
{
	struct wake_store *ws = &tl->wakes;
	struct block b = {.id = p->id, .from = p->ts, .to = p->ts + p->dur + p->stopped, .v = ret};
	u64 at = 0;
	u32 queues[2] = {t->queue, 0};
	int err = 0;

	*ret = (struct victims){0};
	if (!tl->has_exact)
		return 0;
	t->has_local_set |= p->holds == HOLDS_LOCALSET && !p->runtime_id;
	wake_store_advance(tl, p->ts);
	if (p->runtime_id && p->worker && u64map_get(&ws->by_worker, worker_key(p->runtime_id, p->worker), &at))
		queues[1] = (u32)at;
	ret->is_known = (p->dur || p->waits) && is_whole(tl, p) && !may_have_strangers(ws, t, p) && load_exact_holds(tl, t, p);
	b.has_rows = tl->wants_rows && p->classified && p->dur >= VICTIM_MIN_DUR;
	for (u32 i = 0; i < ARRAY_SIZE(queues) && !err; i++) {
		struct run_queue *q = queues[i] ? &ws->queues[queues[i] - 1] : NULL;

		if (!q)
			continue;
		refresh(ws, q);
		if (ret->is_known)
			err = count_queue(tl, &b, q);
		drop_gone(ws, q);
	}
	return err;
}

/* ---- begin and end ---- */

int wake_store_init(struct task_loader *tl)
{
	struct wake_store *ws = &tl->wakes;
	int err = load_exact_init(tl);

	if (!err)
		err = db_prepare(tl->db, "INSERT INTO _task_poll VALUES (?, ?, ?, ?, ?, ?)", &ws->ins_poll);
	if (!err)
		err = db_prepare(tl->db, "INSERT INTO _task_wake VALUES (?, ?, ?, ?, ?, ?, ?, ?)", &ws->ins_wake);
	if (!err)
		err = db_prepare(tl->db, "INSERT INTO block_victim VALUES (?, ?, ?, ?, ?, ?)", &ws->ins_victim);
	return err;
}

void wake_store_release(struct task_loader *tl)
{
	struct wake_store *ws = &tl->wakes;

	(void)sqlite3_finalize(ws->ins_poll);
	(void)sqlite3_finalize(ws->ins_wake);
	(void)sqlite3_finalize(ws->ins_victim);
	u64map_release(&ws->by_worker);
	free(ws->ready);
	free(ws->queues);
}
