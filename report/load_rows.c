/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* load_rows.c: see load_rows.h. Millions of rows pass here: values are bound as they are, without a detour through struct db_val. */
#include "report/load_rows.h"

#include <errno.h>

#include "report/wait_detail.h"

static const char *state_text(char state)
{
	static const char *const texts[] = {"S", "D", "I", "T", "t", "X", "Z", "P", "R"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i][0] == state)
			return texts[i];
	return "?";
}

int row_writer_init(struct row_writer *w, sqlite3 *db)
{
	int err;

	*w = (struct row_writer){.db = db};
	err = db_prepare(db, "INSERT INTO _offcpu VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", &w->ins_offcpu);
	if (!err)
		err = db_prepare(db, "INSERT INTO _sample VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", &w->ins_sample);
	if (!err)
		err = db_prepare(db, "INSERT INTO _wait VALUES (?, ?, ?, ?, ?, ?, ?)", &w->ins_wait);
	if (!err)
		err = db_prepare(db, "INSERT INTO _sample_kind VALUES (?, ?, ?)", &w->ins_kind);
	return err;
}

void row_writer_release(struct row_writer *w)
{
	(void)sqlite3_finalize(w->ins_offcpu);
	(void)sqlite3_finalize(w->ins_sample);
	(void)sqlite3_finalize(w->ins_wait);
	(void)sqlite3_finalize(w->ins_kind);
	u64map_release(&w->waits);
	u64map_release(&w->kinds);
	*w = (struct row_writer){0};
}

/* ---- the small tables ---- */

static int wait_id(struct row_writer *w, const struct offcpu_row *o, u64 *ret)
{
	/* numbers of system calls beyond the known ones have no name, so they make no row of their own */
	u64 call = syscall_name(o->syscall) ? o->syscall : 0;
	u64 key = call << 32 | (u64)(u8)o->state << 24 | (u64)o->role << 16;

	if (o->is_wait)
		key |= (u64)(o->verdict.cls + 1) << 8 | o->verdict.rule;
	if (u64map_get(&w->waits, key, ret))
		return 0;
	*ret = w->waits.n + 1;
	if (u64map_put(&w->waits, key, *ret) < 0)
		return -ENOMEM;
	return db_run(w->ins_wait,
		      (struct db_val[]){
			      DB_INT(*ret),
			      db_text(state_text(o->state)),
			      db_text(role_name(o->role)),
			      db_text(o->is_wait ? wait_class_name(o->verdict.cls) : NULL),
			      db_text(o->is_wait ? wait_rule_name(o->verdict.rule) : NULL),
			      db_text(syscall_name(o->syscall)),
			      db_text(o->is_wait ? wait_detail_of_call(o->verdict, o->syscall) : NULL),
		      },
		      7);
}

static int kind_id(struct row_writer *w, const struct sample_row *s, u64 *ret)
{
	u64 key = (u64)s->role << 1 | s->in_kernel;

	if (u64map_get(&w->kinds, key, ret))
		return 0;
	*ret = w->kinds.n + 1;
	if (u64map_put(&w->kinds, key, *ret) < 0)
		return -ENOMEM;
	return db_run(w->ins_kind,
		      (struct db_val[]){DB_INT(*ret), db_text(s->in_kernel ? "kernel" : "user"), db_text(role_name(s->role))}, 3);
}

/* ---- rows ---- */

static void bind_or_null(sqlite3_stmt *s, int at, u64 v, bool is_known)
{
	if (is_known)
		(void)sqlite3_bind_int64(s, at, (s64)v); /* fails only where `at` is no parameter: the step would say so */
	else
		(void)sqlite3_bind_null(s, at);
}

static int run(sqlite3_stmt *s)
{
	int rc = sqlite3_step(s);

	(void)sqlite3_reset(s);
	return rc == SQLITE_DONE ? 0 : db_errno(rc);
}

int row_writer_offcpu(struct row_writer *w, u64 id, const struct offcpu_row *o)
{
	sqlite3_stmt *s = w->ins_offcpu;
	u64 wait;
	int err = wait_id(w, o, &wait);

	if (err)
		return err;
	bind_or_null(s, 1, o->thread_id, true);
	bind_or_null(s, 2, o->ts, true);
	bind_or_null(s, 3, id, true);
	bind_or_null(s, 4, o->dur, o->has_end);
	bind_or_null(s, 5, o->ts_waking - o->ts, o->ts_waking != 0);
	bind_or_null(s, 6, o->cpu, o->has_cpu);
	bind_or_null(s, 7, wait, true);
	bind_or_null(s, 8, o->poll_id, o->poll_id != 0);
	bind_or_null(s, 9, o->ustack, o->ustack != 0);
	bind_or_null(s, 10, o->kstack, o->kstack != 0);
	bind_or_null(s, 11, o->waker_tid, o->has_waker);
	bind_or_null(s, 12, o->waker_task, o->waker_task != 0);
	bind_or_null(s, 13, o->ran, o->has_ran);
	bind_or_null(s, 14, o->waker_ustack, o->waker_ustack != 0);
	bind_or_null(s, 15, o->waker_kstack, o->waker_kstack != 0);
	return run(s);
}

int row_writer_sample(struct row_writer *w, u64 id, const struct sample_row *r)
{
	sqlite3_stmt *s = w->ins_sample;
	u64 kind;
	int err = kind_id(w, r, &kind);

	if (err)
		return err;
	bind_or_null(s, 1, r->thread_id, true);
	bind_or_null(s, 2, r->ts, true);
	bind_or_null(s, 3, id, true);
	bind_or_null(s, 4, r->cpu, true);
	bind_or_null(s, 5, kind, true);
	bind_or_null(s, 6, r->poll_id, r->poll_id != 0);
	bind_or_null(s, 7, r->ustack, r->ustack != 0);
	bind_or_null(s, 8, r->kstack, r->kstack != 0);
	bind_or_null(s, 9, r->runtime_id, r->runtime_id != 0);
	bind_or_null(s, 10, r->task, r->task != 0);
	return run(s);
}
