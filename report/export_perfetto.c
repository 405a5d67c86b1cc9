/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * export_perfetto.c: Perfetto's native trace format, for captures that are too large for Chrome's JSON (doc/perfetto.md says what is in it and why so).
 *
 * Threads are walked one after the other (view_timeline.h): of each its states, and on its track the polls with the waits that lie in them. Packets are
 * written as they come; what is kept is names, stacks and tasks, not events. A slice that a damaged capture made overlap another's end is cut there, so slices
 * of a track always nest.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/u64map.h"
#include "report/export.h"
#include "report/perfetto_out.h"
#include "report/perfetto_stacks.h"
#include "report/perfetto_tasks.h"
#include "report/sqlrow.h"
#include "report/view_head.h"
#include "report/view_timeline.h"
#include "version.h"

/* uuids of tracks: these, then threads, processes, queues, tasks. 0 is Perfetto's own root. */
enum { TRACK_CAPTURE = 1, TRACK_RUNNING, TRACK_RUNNABLE, TRACK_BLOCKED, TRACK_LOST, TRACK_THREADS };

/* Counters of workers are means over this many parts of the recording, or over this long where that is longer. */
#define COUNTER_PARTS  16384
#define COUNTER_MIN_NS NSEC_PER_MSEC

/* Of workers: what they did in each part, ns. */
struct activity {
	u64 *ns[3]; /* running, runnable, blocked */
	u64 part;   /* length */
	size_t n;
};

#define NEST_MAX 2 /* a poll, a wait in it */

struct perfetto {
	sqlite3 *db;
	const struct export_opts *o;
	const struct capture_facts *f;
	struct pf_out w;
	struct tl_threads threads;
	struct pf_stacks stacks;
	struct pf_tasks tasks;
	struct tl_idle idle;
	struct u64map by_thread; /* thread id -> position in threads.rows */
	u64 n_processes, n_queues;
	u64 *process_pids; /* of process tracks */
	struct activity activity;

	/* The thread that is walked. */
	const struct tl_thread *t;
	u64 open[NEST_MAX]; /* ends of its open slices, the innermost last */
	u32 n_open;
	u64 on_cpu_since; /* 0: it is not */
	bool dead;
	sqlite3_stmt *polls; /* at the next one of all threads */
	bool has_poll;
	u64 cut; /* slices that were cut to nest */
};

static void perfetto_release(struct perfetto *p)
{
	(void)sqlite3_finalize(p->polls);
	pf_tasks_release(&p->tasks);
	pf_stacks_release(&p->stacks);
	tl_idle_release(&p->idle);
	tl_threads_release(&p->threads);
	u64map_release(&p->by_thread);
	free(p->process_pids);
	for (size_t i = 0; i < ARRAY_SIZE(p->activity.ns); i++)
		free(p->activity.ns[i]);
	pf_release(&p->w);
}

/* ---- tracks ---- */

static u64 thread_uuid(const struct perfetto *p, const struct tl_thread *t)
{
	return TRACK_THREADS + (u64)(t - p->threads.rows);
}

static u64 process_uuid_of_pid(const struct perfetto *p, u64 pid)
{
	for (u64 i = 0; i < p->n_processes; i++)
		if (p->process_pids[i] == pid)
			return TRACK_THREADS + p->threads.n + i;
	return 0;
}

/* Of the process that a runtime is in; 0, the root, when no thread of it is shown. */
static u64 process_uuid(void *ctx, u64 process_id)
{
	const struct perfetto *p = ctx;

	for (size_t i = 0; i < p->threads.n; i++)
		if (p->threads.rows[i].process_id == process_id)
			return process_uuid_of_pid(p, p->threads.rows[i].pid);
	return p->n_processes ? TRACK_THREADS + p->threads.n : 0;
}

/* "worker 2 (tokio-runtime-w)", as --chrome names it. */
static void thread_label(const struct perfetto *p, const struct tl_thread *t, char *buf, size_t n)
{
	if (t->has_worker && p->f->mt_runtimes > 1)
		(void)snprintf(buf, n, "runtime %llu worker %llu (%.64s)", (unsigned long long)t->runtime_id,
			       (unsigned long long)t->worker, t->name);
	else if (t->has_worker)
		(void)snprintf(buf, n, "worker %llu (%.64s)", (unsigned long long)t->worker, t->name);
	else if (t->has_runtime)
		(void)snprintf(buf, n, "runtime %llu (%.64s)", (unsigned long long)t->runtime_id, t->name);
	else
		(void)snprintf(buf, n, "%.64s", t->name);
}

static int put_processes(struct perfetto *p)
{
	p->process_pids = calloc(p->threads.n + 1, sizeof(*p->process_pids));
	if (!p->process_pids)
		return -ENOMEM;
	for (size_t i = 0; i < p->threads.n; i++) {
		const struct tl_thread *t = &p->threads.rows[i];

		/* Rows are by pid. Of two program images the later one names the process, as ps(1) would. */
		if (i + 1 < p->threads.n && t[1].pid == t->pid)
			continue;
		p->process_pids[p->n_processes++] = t->pid;
	}
	for (size_t i = 0; i < p->threads.n; i++) {
		const struct tl_thread *t = &p->threads.rows[i];

		if (i + 1 == p->threads.n || t[1].pid != t->pid)
			pf_put_process(&p->w, process_uuid_of_pid(p, t->pid), t->pid, t->process);
	}
	return 0;
}

static int put_tracks(struct perfetto *p)
{
	char label[192];
	int r = put_processes(p);

	if (r < 0)
		return r;
	pf_put_track(&p->w, TRACK_CAPTURE, 0, "capture", 0, true);
	for (size_t i = 0; i < p->threads.n; i++) {
		const struct tl_thread *t = &p->threads.rows[i];

		thread_label(p, t, label, sizeof(label));
		pf_put_thread(&p->w, thread_uuid(p, t), t->pid, t->tid, label, i + 1);
		r = u64map_put(&p->by_thread, t->id, i);
		if (r < 0)
			return r;
	}
	return 0;
}

static void put_capture(struct perfetto *p)
{
	const struct capture_facts *f = p->f;

	pf_instant_begin(&p->w, TRACK_CAPTURE, f->lo, PF_CAT_CAPTURE);
	pf_name(&p->w, f->windowed ? "a part of the recording begins" : "recording begins");
	pf_arg_text(&p->w, PF_KEY_TOOL, "ascope " ASCOPE_VERSION);
	pf_arg_text(&p->w, PF_KEY_CAPTURE, f->uuid);
	pf_arg_text(&p->w, PF_KEY_HOST, f->host);
	pf_arg_text(&p->w, PF_KEY_KERNEL, f->kernel);
	pf_arg_text(&p->w, PF_KEY_VERDICT, f->verdict);
	pf_arg_text(&p->w, PF_KEY_WHY, f->verdict_why);
	pf_event_end(&p->w);
	/* So that the trace is as long as the recording. */
	pf_instant_begin(&p->w, TRACK_CAPTURE, f->hi, PF_CAT_CAPTURE);
	pf_name(&p->w, f->windowed ? "the part of the recording ends" : "recording ends");
	pf_event_end(&p->w);
}

/* ---- slices of a thread ---- */

/* Ends what ends by ts. */
static void close_slices(struct perfetto *p, u64 ts)
{
	while (p->n_open && p->open[p->n_open - 1] <= ts)
		pf_slice_end(&p->w, thread_uuid(p, p->t), p->open[--p->n_open]);
}

/* Opens a slice of [*ts, end): its name and annotations are to follow, then pf_event_end. False: there is no room for it. */
static bool open_slice(struct perfetto *p, u64 ts, u64 end, enum pf_category c)
{
	close_slices(p, ts);
	if (p->n_open && p->open[p->n_open - 1] < end) {
		end = p->open[p->n_open - 1];
		p->cut++;
	}
	if (p->n_open == NEST_MAX || end < ts)
		return false;
	pf_slice_begin(&p->w, thread_uuid(p, p->t), ts, c);
	p->open[p->n_open++] = end;
	return true;
}

enum {
	POLL_THREAD,
	POLL_TS,
	POLL_DUR,
	POLL_TASK,
	POLL_CLASS,
	POLL_SYSCALL,
	POLL_DETAIL,
	POLL_HOLDS,
	POLL_STATE,
	POLL_CLASSIFIED,
	POLL_DUR_MIN,
	POLL_DUR_MAX,
	POLL_OFF_CPU,
	POLL_ON_CPU,
	POLL_RUNNABLE,
	POLL_WAITS,
	POLL_SAMPLES,
	POLL_FUNCTION,
	POLL_FILE,
	POLL_LINE,
	POLL_STACK,
	POLL_KSTACK,
	POLL_ID,
	POLL_RUNTIME,
};
#define POLLS_SQL                                                                                                                \
	"SELECT thread_id, ts, dur + stopped, task_id, class, syscall, detail, holds, state, classified, dur_min, dur_max, "     \
	"off_cpu, on_cpu, runnable, waits, samples, function, file, line, stack_id, kstack_id, id, runtime_id FROM poll "        \
	"WHERE ts < ?2 AND ts + dur + stopped >= ?1 ORDER BY thread_id, ts, id"

static int put_poll_args(struct perfetto *p, sqlite3_stmt *st)
{
	static const struct {
		enum pf_key key;
		int col;
		bool is_text;
	} args[] = {
		{PF_KEY_TASK, POLL_TASK, false},       {PF_KEY_CLASS, POLL_CLASS, true},
		{PF_KEY_SYSCALL, POLL_SYSCALL, true},  {PF_KEY_DETAIL, POLL_DETAIL, true},
		{PF_KEY_STATE, POLL_STATE, true},      {PF_KEY_FUNCTION, POLL_FUNCTION, true},
		{PF_KEY_FILE, POLL_FILE, true},	       {PF_KEY_LINE, POLL_LINE, false},
		{PF_KEY_POLL_ID, POLL_ID, false},      {PF_KEY_DUR_MIN, POLL_DUR_MIN, false},
		{PF_KEY_DUR_MAX, POLL_DUR_MAX, false}, {PF_KEY_OFF_CPU, POLL_OFF_CPU, false},
		{PF_KEY_ON_CPU, POLL_ON_CPU, false},   {PF_KEY_RUNNABLE, POLL_RUNNABLE, false},
		{PF_KEY_WAITS, POLL_WAITS, false},     {PF_KEY_SAMPLES, POLL_SAMPLES, false},
	};
	const char *kind = NULL, *site = NULL;
	int r = 0;

	if (p->o->no_args)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(args); i++) {
		if (sql_is_null(st, args[i].col))
			continue;
		if (args[i].is_text)
			pf_arg_text(&p->w, args[i].key, sql_text(st, args[i].col));
		else
			pf_arg_u64(&p->w, args[i].key, sql_u64(st, args[i].col));
	}
	if (!sql_is_null(st, POLL_TASK))
		r = pf_tasks_name(&p->tasks, sql_u64(st, POLL_RUNTIME), p->t->process_id, sql_u64(st, POLL_TASK), &kind, &site);
	pf_arg_text(&p->w, PF_KEY_KIND, kind);
	pf_arg_text(&p->w, PF_KEY_SPAWN, site);
	return r;
}

/* "task 30", "root future"; of a poll that blocked also what and where: "task 30: cpu hash_password". As --chrome names it. */
static void put_poll_name(struct perfetto *p, sqlite3_stmt *st, const char *place)
{
	const char *holds = sql_text(st, POLL_HOLDS), *class_name = sql_text(st, POLL_CLASS);
	bool is_one = sql_u64(st, POLL_CLASSIFIED) != 0;
	char who[48], name[256];

	if (!is_one)
		(void)snprintf(who, sizeof(who), "one poll or many");
	else if (!sql_is_null(st, POLL_TASK))
		(void)snprintf(who, sizeof(who), "task %llu", (unsigned long long)sql_u64(st, POLL_TASK));
	else
		(void)snprintf(who, sizeof(who), "%s", holds && strcmp(holds, "localset") == 0 ? "local set" : "root future");
	if (!is_one || !class_name || sql_u64(st, POLL_OFF_CPU) + sql_u64(st, POLL_ON_CPU) < REPORT_MIN_NS)
		(void)snprintf(name, sizeof(name), "%s", who);
	else
		(void)snprintf(name, sizeof(name), "%s: %s%s%s", who, class_name, place ? " " : "", place ? place : "");
	pf_name_once(&p->w, name);
}

static int put_poll(struct perfetto *p)
{
	sqlite3_stmt *st = p->polls;
	u64 ts = max_u64(sql_u64(st, POLL_TS), p->t->lo), end = min_u64(sql_u64(st, POLL_TS) + sql_u64(st, POLL_DUR), p->t->hi);
	struct pf_stack stack;
	int r;

	/* Of two that overlap the later one begins where the first ends. */
	close_slices(p, ts);
	if (p->n_open) {
		ts = p->open[0];
		p->cut++;
		close_slices(p, ts);
	}
	r = pf_stacks_get(&p->stacks, sql_u64(st, POLL_STACK), sql_u64(st, POLL_KSTACK), &stack);
	if (r < 0 || end < ts || !open_slice(p, ts, end, sql_u64(st, POLL_CLASSIFIED) ? PF_CAT_POLL : PF_CAT_UNCLASSIFIED))
		return r;
	put_poll_name(p, st, stack.place);
	r = put_poll_args(p, st);
	pf_stack(&p->w, stack.iid);
	pf_event_end(&p->w);
	return r;
}

/* The polls of the thread that begin by ts. */
static int put_polls(struct perfetto *p, u64 ts)
{
	int r;

	while (p->has_poll) {
		u64 thread_id = sql_u64(p->polls, POLL_THREAD);

		if (thread_id > p->t->id || (thread_id == p->t->id && sql_u64(p->polls, POLL_TS) > ts))
			return 0;
		r = thread_id == p->t->id ? put_poll(p) : 0;
		if (r < 0)
			return r;
		r = db_step(p->polls);
		if (r < 0)
			return r;
		p->has_poll = r > 0;
	}
	return 0;
}

static bool is_blocked(const struct tl_segment *s)
{
	return s->role && strcmp(s->role, "in_poll") == 0 && !strchr("Tt", s->state);
}

/* waker_function: where the waker was when it ended the wait; NULL not known. */
static void put_wait_args(struct perfetto *p, const struct tl_segment *s, const char *waker_function)
{
	char state[2] = {s->state, '\0'};

	if (p->o->no_args)
		return;
	pf_arg_text(&p->w, PF_KEY_STATE, state);
	pf_arg_text(&p->w, PF_KEY_ROLE, s->role);
	pf_arg_text(&p->w, PF_KEY_CLASS, s->class_name);
	pf_arg_text(&p->w, PF_KEY_SYSCALL, s->syscall);
	if (s->has_task)
		pf_arg_u64(&p->w, PF_KEY_TASK, s->task_id);
	if (s->poll_id)
		pf_arg_u64(&p->w, PF_KEY_POLL_ID, s->poll_id);
	if (s->has_waker && s->waker_tid)
		pf_arg_u64(&p->w, PF_KEY_WAKER, s->waker_tid);
	else if (s->has_waker)
		pf_arg_text(&p->w, PF_KEY_WAKER, "irq");
	if (s->has_waker && s->waker_task)
		pf_arg_u64(&p->w, PF_KEY_WAKER_TASK, s->waker_task);
	if (s->has_waker && waker_function)
		pf_arg_text(&p->w, PF_KEY_WAKER_FUNCTION, waker_function);
}

static int put_wait(struct perfetto *p, const struct tl_segment *s)
{
	int idle = tl_is_idle(&p->idle, s), r;
	enum pf_category c = idle > 0 ? PF_CAT_PARK : is_blocked(s) ? PF_CAT_BLOCKED : PF_CAT_WAIT;
	struct pf_stack stack, from;
	char name[256];

	if (idle < 0)
		return idle;
	/* The dead wait for nothing. */
	if ((idle && p->o->no_idle) || strchr("XZ", s->state))
		return 0;
	r = pf_stacks_get(&p->stacks, s->stack_id, s->kstack_id, &stack);
	if (r == 0)
		r = pf_stacks_get(&p->stacks, s->waker_stack_id, 0, &from);
	if (r < 0 || !open_slice(p, s->ts, s->end, c))
		return r;
	if (idle)
		(void)snprintf(name, sizeof(name), "%s", s->role && strcmp(s->role, "parked") == 0 ? "parked" : "idle");
	else if (strchr("Tt", s->state))
		(void)snprintf(name, sizeof(name), "stopped");
	else
		(void)snprintf(name, sizeof(name), "%s: %s%s%s", c == PF_CAT_BLOCKED ? "blocked" : "waiting",
			       s->class_name ? s->class_name : "other", stack.place ? " " : "", stack.place ? stack.place : "");
	pf_name(&p->w, name);
	put_wait_args(p, s, from.place);
	pf_stack(&p->w, stack.iid);
	pf_event_end(&p->w);
	return 0;
}

/* ---- states of a thread ---- */

static enum pf_state state_of(char letter)
{
	switch (letter) {
	case 'D':
		return PF_STATE_DISK;
	case 'T':
	case 't':
		return PF_STATE_STOPPED;
	case 'X':
	case 'Z':
		return PF_STATE_DEAD;
	default:
		return PF_STATE_SLEEP;
	}
}

static void put_state(struct perfetto *p, u64 ts, u64 cpu, enum pf_state state)
{
	if (p->dead)
		return;
	pf_thread_state(&p->w, ts, p->t->tid, p->t->name, cpu, state);
	p->dead = state == PF_STATE_DEAD;
}

/* On which cpu a thread ran is known when it leaves it. */
static void put_ran(struct perfetto *p, bool has_cpu, u64 cpu)
{
	if (p->on_cpu_since && has_cpu)
		put_state(p, p->on_cpu_since, cpu, PF_STATE_RUNNING);
	p->on_cpu_since = 0;
}

static void put_states(struct perfetto *p, const struct tl_segment *s)
{
	if (s->kind == TL_ONCPU) {
		p->on_cpu_since = s->ts;
		return;
	}
	if (s->kind == TL_UNSEEN)
		return;
	put_ran(p, s->has_cpu, s->cpu);
	if (s->kind == TL_WAIT)
		put_state(p, s->ts, s->cpu, state_of(s->state));
	else if (s->has_waker && !s->first && !p->dead)
		pf_waking(&p->w, s->ts, p->t->tid, p->t->name, s->cpu, s->waker_tid);
	else
		put_state(p, s->ts, s->cpu, PF_STATE_RUNNABLE);
}

/* ---- counters ---- */

static int activity_init(struct activity *a, u64 length)
{
	a->part = max_u64((length + COUNTER_PARTS - 1) / COUNTER_PARTS, COUNTER_MIN_NS);
	a->n = (size_t)(length / a->part + 1);
	for (size_t i = 0; i < ARRAY_SIZE(a->ns); i++) {
		a->ns[i] = calloc(a->n, sizeof(*a->ns[i]));
		if (!a->ns[i])
			return -ENOMEM;
	}
	return 0;
}

static void activity_add(struct activity *a, size_t what, u64 from, u64 to)
{
	while (from < to) {
		size_t at = (size_t)(from / a->part);
		u64 end = min_u64(to, (at + 1) * a->part);

		if (at >= a->n)
			return;
		a->ns[what][at] += end - from;
		from = end;
	}
}

static void count_activity(struct perfetto *p, const struct tl_segment *s)
{
	size_t what = s->kind == TL_ONCPU ? 0 : s->kind == TL_RUNNABLE ? 1 : 2;

	if (!p->t->has_runtime || s->kind == TL_UNSEEN || (what == 2 && !is_blocked(s)))
		return;
	activity_add(&p->activity, what, s->ts - p->f->lo, s->end - p->f->lo);
}

static void put_activity(struct perfetto *p)
{
	static const char *const names[] = {"workers running", "workers runnable", "workers blocked in polls"};
	const struct activity *a = &p->activity;
	u64 length = p->f->hi - p->f->lo;

	for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
		u64 track = TRACK_RUNNING + k, last = UINT64_MAX;

		pf_put_counter_track(&p->w, track, 0, names[k], "workers", 1 + k);
		for (size_t i = 0; i < a->n && i * a->part < length; i++) {
			u64 part = min_u64(a->part, length - i * a->part);

			/* Where it stays the same nothing is written, but for a last part that is shorter. */
			if (a->ns[k][i] == last && part == a->part)
				continue;
			last = a->ns[k][i];
			pf_counter(&p->w, track, p->f->lo + i * a->part, (double)last / (double)part);
		}
		pf_counter(&p->w, track, p->f->hi, 0);
	}
}

#define QUEUES_SQL                                                                                                               \
	"SELECT runtime_id, worker, ts, queued + coalesce(lifo, 0) FROM poll WHERE queued IS NOT NULL AND runtime_id IS NOT "    \
	"NULL AND ts >= ?1 AND ts <= ?2 ORDER BY runtime_id, worker, ts, id"

/* The length of each worker's queue, as it was read when the worker began to wait within a poll. */
static int put_queues(struct perfetto *p)
{
	u64 binds[2] = {p->f->lo, p->f->hi}, runtime = 0, worker = 0;
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	char name[96];
	int r = sql_prepare(p->db, &st, QUEUES_SQL, binds, 2);

	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		/* One of a current_thread runtime has no number. */
		u64 of = sql_is_null(st, 1) ? UINT64_MAX : sql_u64(st, 1);

		if (!p->n_queues || sql_u64(st, 0) != runtime || of != worker) {
			runtime = sql_u64(st, 0);
			worker = of;
			p->n_queues++;
			if (of == UINT64_MAX)
				(void)snprintf(name, sizeof(name), "queue of runtime %llu", (unsigned long long)runtime);
			else
				(void)snprintf(name, sizeof(name), "queue of worker %llu of runtime %llu", (unsigned long long)of,
					       (unsigned long long)runtime);
			pf_put_counter_track(&p->w, p->tasks.uuid - p->n_queues, 0, name, "tasks", 8 + p->n_queues);
		}
		pf_counter(&p->w, p->tasks.uuid - p->n_queues, sql_u64(st, 2), (double)sql_u64(st, 3));
	}
	return r;
}

/* ---- losses ---- */

/* A track for each cause; gaps of one cause that overlap become one slice. */
static int put_gaps(struct perfetto *p, u64 uuid)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	char last[64] = "", name[96];
	u64 track = uuid - 1, done = 0;
	int r = sql_prepare(p->db, &st, "SELECT cause, ts, ts_end, count FROM gap ORDER BY cause, ts, ts_end", NULL, 0);

	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		const char *cause = sql_text(st, 0);
		u64 ts, end = min_u64(sql_u64(st, 2), p->f->hi);

		if (track < uuid || strncmp(cause, last, sizeof(last) - 1) != 0) {
			(void)snprintf(last, sizeof(last), "%s", cause);
			(void)snprintf(name, sizeof(name), "events lost: %s", last);
			pf_put_track(&p->w, ++track, 0, name, 4, true);
			done = p->f->lo;
		}
		ts = max_u64(sql_u64(st, 1), done);
		if (end <= ts)
			continue;
		done = end;
		pf_slice_begin(&p->w, track, ts, PF_CAT_LOST);
		pf_name(&p->w, "lost");
		pf_arg_text(&p->w, PF_KEY_CLASS, last);
		pf_arg_u64(&p->w, PF_KEY_COUNT, sql_u64(st, 3));
		pf_event_end(&p->w);
		pf_slice_end(&p->w, track, end);
	}
	return r;
}

/* ---- samples ---- */

#define SAMPLES_SQL                                                                                                              \
	"SELECT s.thread_id, s.ts, s.cpu, k.mode, s.stack_id, s.kstack_id FROM _sample AS s CROSS JOIN _sample_kind AS k ON "    \
	"k.id = s.kind_id WHERE s.ts >= ?1 AND s.ts <= ?2 ORDER BY s.thread_id, s.ts, s.id"

static int put_samples(struct perfetto *p)
{
	/* Samples at the very edge (the clock fired while the recording was ending) count when all of it is asked for. */
	u64 binds[2] = {p->f->windowed ? p->f->lo : 0, p->f->windowed ? p->f->hi : INT64_MAX}, at = 0;
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_prepare(p->db, &st, SAMPLES_SQL, binds, 2);

	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		const char *mode = sql_text(st, 3);
		struct pf_stack stack;

		if (!u64map_get(&p->by_thread, sql_u64(st, 0), &at))
			continue;
		r = pf_stacks_get(&p->stacks, sql_u64(st, 4), sql_u64(st, 5), &stack);
		if (r < 0)
			return r;
		pf_sample(&p->w, sql_u64(st, 1), p->threads.rows[at].pid, p->threads.rows[at].tid, sql_u64(st, 2),
			  mode && strcmp(mode, "kernel") == 0, stack.iid);
	}
	return r;
}

/* ---- the walk ---- */

/* What is left of a thread when the next one begins. */
static int leave_thread(struct perfetto *p)
{
	u64 cpu = 0;
	int r = 0;

	if (!p->t)
		return 0;
	if (p->on_cpu_since) {
		u64 id = p->t->id;
		_cleanup_stmt_ sqlite3_stmt *st = NULL;

		r = sql_prepare(p->db, &st, "SELECT last_cpu FROM thread WHERE id = ?1", &id, 1);
		if (r == 0)
			r = db_step(st);
		if (r < 0)
			return r;
		if (r > 0 && !sql_is_null(st, 0)) {
			cpu = sql_u64(st, 0);
			put_ran(p, true, cpu);
		}
	}
	if (p->t->seen && p->t->hi < p->f->hi)
		put_state(p, p->t->hi, cpu, PF_STATE_DEAD);
	r = put_polls(p, p->t->hi);
	close_slices(p, UINT64_MAX);
	return r;
}

static int enter_thread(struct perfetto *p, const struct tl_thread *t)
{
	int r = leave_thread(p);

	p->t = t;
	p->n_open = 0;
	p->on_cpu_since = 0;
	p->dead = false;
	return r;
}

static int put_segment(void *ctx, const struct tl_thread *t, const struct tl_segment *s)
{
	struct perfetto *p = ctx;
	int r = t == p->t ? 0 : enter_thread(p, t);

	if (r < 0)
		return r;
	count_activity(p, s);
	put_states(p, s);
	if (s->kind != TL_WAIT)
		return 0;
	r = put_polls(p, s->ts);
	return r < 0 ? r : put_wait(p, s);
}

static int put_threads(struct perfetto *p)
{
	u64 binds[2] = {p->f->lo, p->f->hi};
	int r = sql_prepare(p->db, &p->polls, POLLS_SQL, binds, 2);

	if (r == 0)
		r = db_step(p->polls);
	if (r < 0)
		return r;
	p->has_poll = r > 0;
	r = timeline_walk(p->db, &p->threads, put_segment, p);
	return r < 0 ? r : leave_thread(p);
}

static int put_all(struct perfetto *p)
{
	struct pf_places where = {&p->threads, TRACK_THREADS, process_uuid, p};
	u64 causes = 0, queues = 0;
	int r;

	pf_put_start(&p->w, p->f->ts_start, p->f->realtime_start, p->f->sample_period);
	r = put_tracks(p);
	if (r == 0)
		r = sql_one_u64(p->db, "SELECT count(DISTINCT cause) FROM gap", NULL, 0, &causes);
	if (r == 0)
		r = sql_one_u64(
			p->db,
			"SELECT count(*) FROM (SELECT DISTINCT runtime_id, worker FROM worker UNION SELECT DISTINCT runtime_id, worker FROM poll)",
			NULL, 0, &queues);
	if (r == 0)
		r = put_gaps(p, TRACK_THREADS + p->threads.n + p->n_processes);
	/* Queues take the numbers below the tasks'. */
	if (r == 0)
		r = pf_tasks_load(p->db, p->f, TRACK_THREADS + p->threads.n + p->n_processes + causes + queues, &p->tasks);
	if (r < 0)
		return r;
	put_capture(p);
	r = put_threads(p);
	if (r == 0)
		r = put_queues(p);
	if (r == 0)
		r = pf_tasks_put(&p->tasks, &p->w, p->f, &where);
	if (r == 0)
		r = put_samples(p);
	if (r < 0)
		return r;
	put_activity(p);
	return pf_finish(&p->w);
}

int export_perfetto(sqlite3 *db, const struct export_opts *o, FILE *out, struct export_result *ret)
{
	struct report_opts window = {.file = o->file, .from_ns = o->from_ns, .to_ns = o->to_ns};
	_cleanup_facts_ struct capture_facts facts = {0};
	_cleanup_(perfetto_release) struct perfetto p = {.db = db, .o = o, .f = &facts};
	int r;

	r = pf_init(&p.w, out);
	if (r == 0)
		r = capture_facts_load(db, &window, &facts);
	if (r == 0)
		r = tl_threads_load(db, facts.lo, facts.hi, &p.threads);
	if (r == 0)
		r = pf_stacks_init(&p.stacks, db, &p.w);
	if (r == 0)
		r = tl_idle_init(&p.idle, db);
	if (r == 0)
		r = activity_init(&p.activity, facts.hi - facts.lo);
	if (r == 0)
		r = put_all(&p);
	if (r < 0)
		return r;
	*ret = (struct export_result){.events = p.w.slices, .tasks = p.tasks.s.n, .tasks_left = p.tasks.left};
	return 0;
}
