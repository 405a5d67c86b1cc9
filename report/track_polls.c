/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* track_polls.c: polls of a thread in order of time: exact ones and those that were caught, which are one where they are the same. */
#include <errno.h>
#include <string.h>

#include "report/poll_over.h"
#include "report/sqlrow.h"
#include "report/track_impl.h"

/* From the last one that begins before the window on: those that were caught do not overlap. */
#define CAUGHT_SQL                                                                                                                   \
	"SELECT ts, ts + dur + stopped, id, task_id, runtime_id, classified, class, syscall, detail, holds, state, function, file, " \
	"library, line, dur_min, dur_max, off_cpu, on_cpu, runnable, waits, samples, stack_id, kstack_id, lifo, queued, inject "     \
	"FROM poll WHERE thread_id = ?1 AND ts <= ?3 "                                                                               \
	"AND ts >= coalesce((SELECT max(ts) FROM poll WHERE thread_id = ?1 AND ts < ?2), 0) ORDER BY ts, id"
/* They nest: the outer one began first. Tokio's own main loops are closures of the blocking pool, too: what they run is shown, not they. */
#define EXACT_SQL                                                                                                                \
	"SELECT ts, " POLL_END_SQL ", task_row FROM _task_poll AS p WHERE thread_id = ?1 AND ts <= ?3 "                          \
	"AND (dur IS NULL OR ts + dur >= ?2) "                                                                                   \
	"AND (type_id IS NULL OR type_id NOT IN (SELECT id FROM task_type WHERE kind = 'worker')) ORDER BY ts, id"

int track_polls_init(struct track_walk *w, sqlite3 *db)
{
	int r = sql_prepare(db, &w->caught, CAUGHT_SQL, NULL, 0);

	return r < 0 ? r : sql_prepare(db, &w->exact, EXACT_SQL, NULL, 0);
}

static int step(sqlite3_stmt *st, bool *has, u64 *ts)
{
	int r = db_step(st);

	*has = r > 0;
	*ts = *has ? sql_u64(st, 0) : 0;
	return r < 0 ? r : 0;
}

int track_polls_begin(struct track_walk *w)
{
	const u64 binds[3] = {w->t->id, w->t->lo, w->t->hi};
	sqlite3_stmt *st[2] = {w->caught, w->exact};
	int r = 0;

	for (size_t s = 0; s < 2; s++) {
		(void)sqlite3_reset(st[s]);
		for (int i = 0; i < 3 && r == 0; i++)
			r = db_errno(sqlite3_bind_int64(st[s], i + 1, (sqlite3_int64)min_u64(binds[i], INT64_MAX)));
	}
	if (r == 0)
		r = step(w->caught, &w->has_caught, &w->caught_ts);
	return r < 0 ? r : step(w->exact, &w->has_exact, &w->exact_ts);
}

u64 track_polls_next(const struct track_walk *w)
{
	return min_u64(w->has_caught ? w->caught_ts : UINT64_MAX, w->has_exact ? w->exact_ts : UINT64_MAX);
}

static int read_caught(struct track_walk *w, struct track_poll *p)
{
	sqlite3_stmt *st = w->caught;
	int r = 0;

	p->poll_id = sql_u64(st, 2);
	if (!p->exact && !sql_is_null(st, 3)) {
		p->has_task = true;
		r = track_tasks_find(w->tasks, sql_u64(st, 3), !sql_is_null(st, 4), sql_u64(st, 4), w->t->process_id, &p->task);
	}
	p->classified = sql_u64(st, 5) != 0 || p->exact;
	p->class_name = sql_text(st, 6);
	p->syscall = sql_text(st, 7);
	p->detail = sql_text(st, 8);
	p->holds = sql_text(st, 9);
	p->state = sql_text(st, 10);
	p->function = sql_text(st, 11);
	p->file = sql_text(st, 12);
	p->library = sql_text(st, 13);
	p->line = sql_u64(st, 14);
	p->dur_min = sql_u64(st, 15);
	p->dur_max = sql_u64(st, 16);
	p->off_cpu = sql_u64(st, 17);
	p->on_cpu = sql_u64(st, 18);
	p->runnable = sql_u64(st, 19);
	p->waits = sql_u64(st, 20);
	p->samples = sql_u64(st, 21);
	p->stack_id = sql_u64(st, 22);
	p->kstack_id = sql_u64(st, 23);
	p->has_lifo = !sql_is_null(st, 24);
	p->lifo = sql_u64(st, 24);
	p->has_queued = !sql_is_null(st, 25);
	p->queued = sql_u64(st, 25);
	p->has_inject = !sql_is_null(st, 26);
	p->inject = sql_u64(st, 26);
	return r;
}

/* What was caught of an exact poll: it begins within it and is of its task. */
static bool is_of(const struct track_walk *w, const struct track_poll *p, u64 end)
{
	return w->has_caught && w->caught_ts < end && !sql_is_null(w->caught, 3) && p->has_task &&
	       sql_u64(w->caught, 3) == p->task.task_id;
}

static void forget_texts(struct track_poll *p)
{
	p->class_name = p->syscall = p->detail = p->holds = p->state = p->function = p->file = p->library = NULL;
}

/* Gives it out within the one that is open; what a damaged capture made overlap is cut. */
static int open_poll(struct track_walk *w, struct track_poll *p)
{
	struct track_slice s = {.kind = TRACK_POLL, .shown = true, .depth = w->n_open, .poll = p};
	int r;

	p->ts = w->cursor;
	p->end = max_u64(min_u64(p->end, w->n_open ? w->open[w->n_open - 1].end : w->t->hi), p->ts);
	s.ts = p->ts;
	s.end = p->end;
	r = w->n_open < TRACK_MAX_OPEN ? track_give(w, &s) : 0;
	forget_texts(p);
	if (w->n_open < TRACK_MAX_OPEN)
		w->open[w->n_open++] = *p;
	return r;
}

static int open_exact(struct track_walk *w)
{
	struct track_poll p = {.exact = true, .classified = true};
	bool merged;
	int r;

	p.end = sql_is_null(w->exact, 1) ? UINT64_MAX : sql_u64(w->exact, 1);
	r = track_tasks_row(w->tasks, sql_u64(w->exact, 2), &p.task);
	p.has_task = p.task.row != 0;
	/* It was over before the window, or before its neighbours in a damaged capture were. */
	if (r == 0 && p.end >= w->cursor) {
		merged = is_of(w, &p, p.end);
		if (merged)
			r = read_caught(w, &p);
		if (r == 0)
			r = open_poll(w, &p);
		if (r == 0 && merged)
			r = step(w->caught, &w->has_caught, &w->caught_ts);
	}
	return r < 0 ? r : step(w->exact, &w->has_exact, &w->exact_ts);
}

static int open_caught(struct track_walk *w)
{
	struct track_poll p = {.end = sql_u64(w->caught, 1)};
	int r = 0;

	p.task.type = NULL;
	if (p.end >= w->cursor) {
		r = read_caught(w, &p);
		if (!p.has_task && r == 0)
			r = track_tasks_row(w->tasks, 0, &p.task);
		if (r == 0)
			r = open_poll(w, &p);
	}
	return r < 0 ? r : step(w->caught, &w->has_caught, &w->caught_ts);
}

int track_polls_open(struct track_walk *w)
{
	int r = 0;

	while (r == 0 && track_polls_next(w) <= w->cursor) {
		bool exact = w->has_exact && (!w->has_caught || w->exact_ts <= w->caught_ts);

		while (w->n_open && w->open[w->n_open - 1].end <= w->cursor)
			w->n_open--;
		r = exact ? open_exact(w) : open_caught(w);
	}
	return r;
}
