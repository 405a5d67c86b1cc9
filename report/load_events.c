/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* load_events.c: see load_events.h. */
#include "report/load_events.h"

#include <errno.h>

#include "base/array.h"
#include "report/load_wake.h"
#include "report/wait_detail.h"

/* ---- rows ---- */

static int put_sample(struct event_loader *el, u64 id, const struct sample_row *s, u32 weight)
{
	stack_store_keep(el->stacks, s->ustack, weight);
	stack_store_keep(el->stacks, s->kstack, weight);
	return row_writer_sample(&el->rows, id, s);
}

/*
 * The sample that was held is not the only record of poll `poll_id`, or that poll has a row for another reason: its row leads to it. `weight`: as
 * stack_store_keep()'s.
 */
static int release_held(struct event_loader *el, u64 poll_id, u32 weight)
{
	struct thread_load *t = el->at;
	struct sample_row row = t->held;

	if (!poll_id || row.poll_id != poll_id)
		return 0;
	t->held.poll_id = 0;
	t->poll_with_rows = row.poll_id;
	return put_sample(el, t->held_id, &row, weight);
}

/* It is: its poll has no row, and the sample says itself what task was polled. */
static int release_alone(struct event_loader *el, u64 runtime_id, u64 task)
{
	struct thread_load *t = el->at;
	struct sample_row row = t->held;

	if (!row.poll_id)
		return 0;
	t->held.poll_id = 0;
	if (el->rows_wanted == CAPTURE_ROWS_POLLS)
		return 0;
	row.poll_id = 0;
	row.runtime_id = runtime_id;
	row.task = task;
	return put_sample(el, t->held_id, &row, 0);
}

static int write_offcpu(void *ctx, const struct offcpu_row *o)
{
	struct event_loader *el = ctx;
	u64 id = ++el->offcpus;
	int err;

	if (o->role == ROLE_PARKED && o->is_wait) {
		err = driver_stall_park(&el->stall, el->at->tasks.ci, o->verdict.rule == RULE_EVENT_LOOP, o->ts, o->ts + o->dur);
		if (err)
			return err;
	}
	if (!o->poll_id && el->rows_wanted == CAPTURE_ROWS_POLLS)
		return 0;
	err = release_held(el, o->poll_id, 1);
	if (err)
		return err;
	if (o->poll_id)
		el->at->poll_with_rows = o->poll_id;
	stack_store_keep(el->stacks, o->ustack, o->poll_id != 0);
	stack_store_keep(el->stacks, o->kstack, o->poll_id != 0);
	stack_store_keep(el->stacks, o->waker_ustack, 0);
	stack_store_keep(el->stacks, o->waker_kstack, 0);
	return row_writer_offcpu(&el->rows, id, o);
}

static int write_sample(void *ctx, const struct sample_row *s)
{
	struct event_loader *el = ctx;
	struct thread_load *t = el->at;
	bool is_next = s->poll_id && (t->held.poll_id == s->poll_id || t->poll_with_rows == s->poll_id);
	u64 id = ++el->samples;
	int err = release_held(el, s->poll_id, 1);

	if (err)
		return err;
	if (is_next)
		return put_sample(el, id, s, 1);
	if (!s->poll_id)
		return el->rows_wanted == CAPTURE_ROWS_ALL ? put_sample(el, id, s, 0) : 0;
	err = release_alone(el, 0, 0); /* of a poll that was given up, not closed */
	t->held = *s;
	t->held_id = id;
	return err;
}

/* The process of a thread's image; 0 unknown. */
static u64 process_of(const struct event_loader *el, u64 thread)
{
	const struct dict_thread *t = dict_table_find(&el->d->threads, thread, NULL);

	return t ? t->f.process : 0;
}

/* 1 + value; 0 not read */
static struct db_val queue_val(u64 n)
{
	return n ? DB_INT(n - 1) : DB_NULL;
}

static int put_poll(struct event_loader *el, u64 thread_id, const struct poll_row *p, const struct victims *paid)
{
	u64 stalled;
	bool knows_stalled;
	int err = driver_stall_poll(&el->stall, p, &stalled, &knows_stalled);
	struct db_val v[] = {
		DB_INT(p->id),
		DB_INT(p->ts),
		DB_INT(p->dur),
		DB_INT(p->dur),
		DB_INT(p->dur_max),
		DB_INT(p->off_cpu),
		DB_INT(p->on_cpu),
		DB_INT(p->runnable),
		DB_INT(p->waits),
		DB_INT(p->samples),
		db_text(wait_class_name(p->cls)),
		db_text(wait_rule_name(p->rule)),
		p->cls == CLASS_CPU ? DB_NULL : db_text(syscall_name(p->syscall)),
		db_text(wait_detail_of_call((struct wait_verdict){p->cls, p->rule}, p->cls == CLASS_CPU ? 0 : p->syscall)),
		db_text(holds_name(p->holds)),
		DB_INT(thread_id),
		db_opt(p->runtime_id),
		p->worker ? DB_INT(p->worker - 1) : DB_NULL,
		db_opt(p->task),
		p->proven ? DB_INT(p->tick) : DB_NULL,
		db_text(poll_join_name(p->join)),
		DB_INT(p->classified),
		db_text(poll_state_name(p->state)),
		db_opt(p->ustack),
		db_opt(p->kstack),
		queue_val(p->queues.lifo),
		queue_val(p->queues.queued),
		DB_INT(p->stopped),
		DB_INT(throttle_set_overlaps(&el->throttles, process_of(el, thread_id), p->ts, p->ts + p->dur + p->stopped)),
		queue_val(p->queues.inject),
		queue_val(p->queues_end.lifo),
		queue_val(p->queues_end.queued),
		queue_val(p->queues_end.inject),
		db_opt(p->ts_queues_end),
		paid->is_known ? DB_INT(paid->n) : DB_NULL,
		paid->is_known && paid->n ? DB_INT(paid->worst) : DB_NULL,
		knows_stalled ? DB_INT(stalled) : DB_NULL,
	};

	if (err)
		return err;
	stack_store_keep(el->stacks, p->ustack, 0);
	stack_store_keep(el->stacks, p->kstack, 0);
	return db_run(el->ins_poll, v, ARRAY_SIZE(v));
}

/* Seen between the begin of a task's budget and its id, or behind it: the id is that of the worker's own loop, which is no task that is polled. */
static bool is_workers_own_id(const struct task_thread *t, u64 task)
{
	return t->has_base && t->base_task == task && t->ci && t->ci->flavor == FMT_FLAVOR_MULTI_THREAD && t->ci->worker;
}

static int write_poll(void *ctx, u64 thread_id, const struct poll_row *row)
{
	struct event_loader *el = ctx;
	bool is_told = row->waits || row->dur, is_held = el->at->held.poll_id == row->id;
	struct poll_row own = *row;
	const struct poll_row *p = &own;
	struct victims paid;
	int err;

	if (is_workers_own_id(&el->at->tasks, own.task))
		own.task = 0;
	err = task_loader_block(&el->task_loader, &el->at->tasks, p, &paid);
	if (err)
		return err;

	if (!p->classified && p->runtime_id && p->dur)
		el->runtimes->runtimes[p->runtime_id - 1].unclassified++;
	if (p->task) {
		err = task_set_add(&el->tasks, p->runtime_id, p->task);
		task_loader_polled(&el->task_loader, p->runtime_id, p->task);
	}
	if (err)
		return err;
	/* where ticks are not proven a single sample may be part of more, which is told */
	if (!is_told && p->classified && el->at->poll_with_rows != p->id)
		return is_held ? release_alone(el, p->runtime_id, p->task) : 0;
	err = release_held(el, p->id, is_told);
	return err ? err : put_poll(el, thread_id, p, &paid);
}

int event_loader_init(struct event_loader *el, struct load_dict *d, struct runtime_set *rs, struct stack_store *st, sqlite3 *db)
{
	int err;

	*el = (struct event_loader){.d = d, .runtimes = rs, .stacks = st, .db = db};
	el->iv.sink = (struct interval_sink){el, write_offcpu, write_sample, write_poll};
	el->iv.next_poll_id = 1;
	el->iv.gaps = d->spans;
	el->iv.n_gaps = d->n_spans;
	err = throttle_set_init(&el->throttles, d);
	if (!err)
		err = task_set_init(&el->tasks, rs->n_runtimes);
	if (!err)
		err = row_writer_init(&el->rows, db);
	if (!err)
		err = db_prepare(
			db,
			"INSERT INTO poll VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL, NULL, NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			&el->ins_poll);
	if (!err)
		err = marker_loader_init(&el->markers, db);
	if (!err)
		err = driver_stall_init(&el->stall, rs);
	return err ? err : task_loader_init(&el->task_loader, d, rs, st, db, &el->iv);
}

void event_loader_release(struct event_loader *el)
{
	row_writer_release(&el->rows);
	(void)sqlite3_finalize(el->ins_poll);
	marker_loader_release(&el->markers);
	driver_stall_release(&el->stall);
	task_loader_release(&el->task_loader);
	for (u32 i = 0; i < el->cap_runs; i++)
		free(el->runs[i]);
	free(el->runs);
	throttle_set_release(&el->throttles);
	task_set_release(&el->tasks);
	*el = (struct event_loader){0};
}

/* The state of the thread an event names; *ret is NULL for an impossible index. A thread whose entry was lost gets an empty one. */
static int run_of(struct event_loader *el, u64 idx, struct thread_load **ret)
{
	struct dict_thread *t;
	bool is_new;
	u32 slot;
	int err;

	*ret = NULL;
	if (!idx || idx > FMT_MAX_ID) {
		el->bad_times++;
		return 0;
	}
	if (!dict_table_find(&el->d->threads, idx, &slot)) {
		t = dict_table_add(&el->d->threads, idx, &is_new);
		if (!t)
			return -ENOMEM;
		t->f.idx = idx;
		el->unknown_threads++;
		slot = el->d->threads.n - 1;
	}
	err = ARRAY_ROOM(el->runs, slot, &el->cap_runs);
	if (err)
		return err;
	if (!el->runs[slot]) {
		el->runs[slot] = calloc(1, sizeof(**el->runs));
		if (!el->runs[slot])
			return -ENOMEM;
		el->runs[slot]->run.thread_id = idx;
		el->runs[slot]->tasks.run = &el->runs[slot]->run;
	}
	*ret = el->runs[slot];
	return 0;
}

static void count_context(struct event_loader *el, u64 status)
{
	el->contexts += status == FMT_CTX_READ || status == FMT_CTX_UNREAD;
	el->contexts_unread += status == FMT_CTX_UNREAD;
}

/* What the latest record of a thread says for events of tasks; `role` is what it was doing. */
static int note_context(struct event_loader *el, const struct context_info *ci, u64 ctx_status, u64 task, enum role role)
{
	struct task_thread *t = &el->at->tasks;

	if (ctx_status != FMT_CTX_READ)
		return 0;
	t->ci = ci;
	if (role != ROLE_PARKED && role != ROLE_SCHEDULER)
		return 0;
	t->base_task = task;
	t->has_base = ci != NULL;
	return t->n_open ? task_thread_idle(&el->task_loader, t) : 0;
}

static int on_switch_out(struct event_loader *el, struct thread_run *t, struct fmt_switch_out *e)
{
	const struct context_info *ci = runtime_set_context(el->runtimes, e->context, e->ts);
	u32 marks = stack_store_kernel_marks(el->stacks, e->kstack);
	enum out_kind kind = marks & KERNEL_DYING ? OUT_DYING : marks & KERNEL_STOPPED ? OUT_STOPPED : OUT_OWN;
	/* in a system call the user ip is the address behind its instruction */
	struct user_stack_ref u = {.ustack = e->ustack, .ts = e->ts, .behind_call = e->syscall != 0, .counts = true};
	int err = stack_store_use_user(el->stacks, &u, &e->ustack);

	if (!err)
		err = stack_store_use_kernel(el->stacks, e->kstack, &e->kstack);
	count_context(el, e->ctx_status);
	if (!err)
		err = intervals_switch_out(&el->iv, t, e, ci, kind);
	return err ? err : note_context(el, ci, e->ctx_status, e->task, t->out.role);
}

/*
 * The waker was in a system call unless its kernel stack says otherwise (FORMAT.md). That also shows the interrupts that a recorder had to guess at (waker.interrupts)
 * and took for their victim's doing.
 */
static int on_waking(struct event_loader *el, struct thread_run *t, struct fmt_waking *e)
{
	u32 marks = e->waker_kstack ? stack_store_kernel_marks(el->stacks, e->waker_kstack) : KERNEL_IN_SYSCALL;
	struct user_stack_ref u = {.ustack = e->waker_ustack, .ts = e->ts, .behind_call = marks & KERNEL_IN_SYSCALL};
	int err = 0;

	if (marks & KERNEL_INTERRUPTED) {
		e->source = 1;
		e->waker_ustack = e->waker_kstack = 0;
	}
	if (e->waker_kstack)
		err = stack_store_use_kernel(el->stacks, e->waker_kstack, &e->waker_kstack);
	if (!err && e->waker_ustack)
		err = stack_store_use_user(el->stacks, &u, &e->waker_ustack);
	return err ? err : intervals_waking(&el->iv, t, e);
}

/*
 * User code that was interrupted stands at pc exactly. In the kernel it is behind a system call, or at an instruction that
 * faulted, which is exact again; where no kernel stack tells, the address itself is right for both but at the end of a function.
 */
static int on_sample(struct event_loader *el, struct thread_run *t, struct fmt_sample *e)
{
	const struct context_info *ci = runtime_set_context(el->runtimes, e->context, e->ts);
	bool behind_call = e->mode == 2 && e->pc && stack_store_kernel_marks(el->stacks, e->kstack) & KERNEL_IN_SYSCALL;
	struct user_stack_ref u = {.ustack = e->ustack,
				   .pc = e->pc,
				   .process = process_of(el, e->thread),
				   .ts = e->ts,
				   .behind_call = behind_call,
				   .counts = true};
	int err = stack_store_use_user(el->stacks, &u, &e->ustack);

	if (!err)
		err = stack_store_use_kernel(el->stacks, e->kstack, &e->kstack);
	count_context(el, e->ctx_status);
	if (!err)
		err = intervals_sample(&el->iv, t, e, ci);
	return err ? err : note_context(el, ci, e->ctx_status, e->task, ROLE_UNKNOWN);
}

static int on_snapshot(struct event_loader *el, struct thread_run *t, struct fmt_snapshot *e)
{
	const struct context_info *ci = runtime_set_context(el->runtimes, e->context, e->ts);
	const struct dict_stack *s = dict_table_find(&el->d->stacks, e->ustack, NULL);
	bool is_whole = s && s->status == FMT_STACK_WHOLE;
	struct user_stack_ref u = {.ustack = e->ustack, .ts = e->ts, .behind_call = e->syscall != 0};
	int err = stack_store_use_user(el->stacks, &u, &e->ustack);

	if (is_whole && e->ustack)
		intervals_retake(t, e);
	count_context(el, e->ctx_status);
	if (!err)
		err = intervals_snapshot(&el->iv, t, e, ci);
	return err ? err : note_context(el, ci, e->ctx_status, e->task, t->state == RUN_OFF ? t->out.role : ROLE_UNKNOWN);
}

/* No instant of the thread's scheduling: what the scheduler saw must not depend on markers. */
static int on_marker(struct event_loader *el, struct fmt_marker *e)
{
	struct user_stack_ref u = {.ustack = e->ustack, .ts = e->ts, .behind_call = true};
	int err = stack_store_use_user(el->stacks, &u, &e->ustack);

	stack_store_keep(el->stacks, e->ustack, 1);
	return err ? err : marker_loader_event(&el->markers, e, process_of(el, e->thread));
}

union any_event {
	u64 cols[FMT_MAX_COLUMNS];
	struct fmt_switch_out out;
	struct fmt_switch_in in;
	struct fmt_waking waking;
	struct fmt_sample sample;
	struct fmt_snapshot snapshot;
	struct fmt_thread_start start;
	struct fmt_thread_exit exit;
	struct fmt_exec exec;
	struct fmt_marker marker;
	struct fmt_task_spawn task_spawn;
	struct fmt_task_end task_end;
	struct fmt_task_alive task_alive;
	struct fmt_task_poll task_poll;
	struct fmt_task_wake task_wake;
};

#define ZERO_COLUMN(name, ...) record_->name = 0;
/* The columns that every record of a thread's context has. */
#define FORGET_CONTEXT(record)                                                                                                   \
	do {                                                                                                                     \
		__typeof__(record) *record_ = &(record);                                                                         \
		FMT_CTX_COLS(ZERO_COLUMN)                                                                                        \
	} while (0)

/* What a record says of the runtime, where the recorder found later that it was read at the wrong places. The rest of it stands. */
static void drop_void(struct event_loader *el, u32 kind, union any_event *e)
{
	u64 process = process_of(el, e->cols[1]), ts = e->cols[0];

	switch (kind) {
	case FMT_SWITCH_OUT:
		if (runtime_set_is_void(el->runtimes, e->out.context, process, ts)) {
			FORGET_CONTEXT(e->out);
			e->out.lifo = e->out.queued = e->out.inject = 0;
		}
		break;
	case FMT_SAMPLE:
		if (runtime_set_is_void(el->runtimes, e->sample.context, process, ts)) {
			FORGET_CONTEXT(e->sample);
			e->sample.lifo = e->sample.queued = e->sample.inject = 0;
		}
		break;
	case FMT_SNAPSHOT:
		if (runtime_set_is_void(el->runtimes, e->snapshot.context, process, ts))
			FORGET_CONTEXT(e->snapshot);
		break;
	case FMT_WAKING:
		if (e->waking.waker_context && runtime_set_is_void(el->runtimes, e->waking.waker_context, process, ts))
			e->waking.waker_context = e->waking.waker_budget = e->waking.waker_task = 0;
		break;
	case FMT_TASK_SPAWN:
		if (runtime_set_is_void(el->runtimes, 0, process, ts))
			e->task_spawn.by_task = e->task_spawn.budget = e->task_spawn.runtime = e->task_spawn.entered = 0;
		break;
	case FMT_TASK_WAKE:
		if (runtime_set_is_void(el->runtimes, 0, process, ts))
			e->task_wake.by_task = e->task_wake.budget = e->task_wake.runtime = e->task_wake.entered = 0;
		break;
	default:
		break;
	}
}

/* Events of tasks say nothing about the scheduling of the thread that they are of. */
static int on_task_event(struct event_loader *el, u32 kind, union any_event *e)
{
	struct task_thread *t = &el->at->tasks;

	wake_store_advance(&el->task_loader, e->cols[0]);
	switch (kind) {
	case FMT_TASK_SPAWN:
		return task_loader_spawn(&el->task_loader, t, &e->task_spawn);
	case FMT_TASK_END:
		return task_loader_end(&el->task_loader, &e->task_end);
	case FMT_TASK_POLL:
		return task_loader_poll(&el->task_loader, t, &e->task_poll);
	default:
		return task_loader_wake(&el->task_loader, t, &e->task_wake);
	}
}

static int on_event(struct event_loader *el, u32 kind, union any_event *e)
{
	struct thread_run *t;
	int err;

	if (kind == FMT_CLOCK || kind == FMT_GAP || kind == FMT_THROTTLE || kind == FMT_PROBE)
		return 0; /* first pass */
	if (e->cols[0] > LOAD_TS_MAX) {
		el->bad_times++;
		return 0;
	}
	if (el->is_window && (e->cols[0] < el->iv.ts_start || e->cols[0] > el->iv.ts_end))
		return 0;
	if (kind == FMT_TASK_ALIVE)
		return task_loader_alive(&el->task_loader, &e->task_alive);
	err = run_of(el, e->cols[1], &el->at); /* column 2 of all other kinds is the thread */
	if (err || !el->at)
		return err;
	t = &el->at->run;
	if (el->runtimes->void_until)
		drop_void(el, kind, e);
	switch (kind) {
	case FMT_SWITCH_OUT:
		return on_switch_out(el, t, &e->out);
	case FMT_SWITCH_IN:
		return intervals_switch_in(&el->iv, t, &e->in);
	case FMT_WAKING:
		return on_waking(el, t, &e->waking);
	case FMT_SAMPLE:
		return on_sample(el, t, &e->sample);
	case FMT_SNAPSHOT:
		return on_snapshot(el, t, &e->snapshot);
	case FMT_MARKER:
		return on_marker(el, &e->marker);
	case FMT_TASK_SPAWN:
	case FMT_TASK_END:
	case FMT_TASK_POLL:
	case FMT_TASK_WAKE:
		return on_task_event(el, kind, e);
	case FMT_THREAD_EXIT:
	case FMT_EXEC:
		load_dict_note_event(el->d, kind, e);
		return intervals_exit(&el->iv, t, e->exit.ts);
	case FMT_THREAD_START:
		intervals_begin(t);
		load_dict_note_event(el->d, kind, e);
		return 0;
	default:
		load_dict_note_event(el->d, kind, e);
		return 0;
	}
}

/* The recording is over: what the thread did last goes to its entry, which becomes its row. */
static int finish_thread(struct event_loader *el, u32 slot)
{
	struct thread_run *run = &el->runs[slot]->run;
	struct dict_thread *t = dict_table_at(&el->d->threads, slot);
	int err;

	el->at = el->runs[slot];
	err = intervals_finish(&el->iv, run);
	if (!err)
		err = release_alone(el, 0, 0);
	if (!err)
		err = task_thread_idle(&el->task_loader, &el->at->tasks);
	t->ts_last_in = run->last_in;
	t->ts_last_out = run->last_out;
	t->last_cpu = run->last_cpu;
	return err;
}

static bool is_known_event(const struct fmt_section *s)
{
	return s->kind && s->kind->is_event && s->kind->n_cols >= 2;
}

int event_loader_read(struct event_loader *el, struct fmt_reader *r, load_progress_fn progress, void *ctx)
{
	struct fmt_block b;
	int err, n;

	fmt_reader_rewind(r);
	while ((err = fmt_reader_next(r, &b)) == 1) {
		const struct fmt_ref *refs;

		progress(ctx, b.offset);
		n = fmt_block_events(r, &b, &refs);
		if (n < 0)
			return n;
		for (int i = 0; i < n; i++) {
			const struct fmt_section *s = &b.sections[refs[i].section];
			union any_event e;

			if (!is_known_event(s))
				continue;
			fmt_section_row(s, refs[i].row, &e);
			err = on_event(el, s->kind_id, &e);
			if (err)
				return err;
		}
	}
	for (u32 slot = 0; slot < el->cap_runs && !err; slot++)
		if (el->runs[slot])
			err = finish_thread(el, slot);
	if (!err)
		err = task_loader_finish(&el->task_loader);
	if (!err)
		err = driver_stall_write(&el->stall, el->db);
	return err ? err : marker_loader_finish(&el->markers);
}
