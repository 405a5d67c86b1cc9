/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* reclass.c: see reclass.h. What names mean is decided in wait_names.c, per stack; here it goes into the rows. */
#include "report/reclass.h"

#include <errno.h>
#include <string.h>

#include "report/db.h"
#include "report/wait_names.h"

/*
 * Stacks that say something, most do not: temporary table stack_says. Of a stack of two lists (interrupted address, callers) each
 * may say it; waits have one list.
 */
static int find_stacks(sqlite3 *db)
{
	return db_exec(db,
		       "DROP TABLE IF EXISTS temp.stack_says;"
		       "CREATE TEMP TABLE stack_says (stack_id INTEGER PRIMARY KEY, is_lookup INTEGER, lock TEXT, network TEXT, "
		       "kernel INTEGER);"
		       "INSERT INTO stack_says SELECT p.stack_id, max(n.is_lookup), max(n.lock), max(n.network), min(n.kernel) "
		       "FROM stack_part AS p JOIN temp.list_name AS n ON n.list_id = p.list_id "
		       "WHERE n.is_lookup OR n.lock IS NOT NULL OR n.network IS NOT NULL OR n.kernel IS NOT NULL "
		       "GROUP BY p.stack_id");
}

/* Waits, or polls, with such a stack: the columns of read_words(). */
#define WORDS_OF(table, more)                                                                                                    \
	"SELECT o.id, o.class, o.rule, o.detail, u.is_lookup, u.lock, u.network, k.kernel, " more " FROM " table " AS o "        \
	"LEFT JOIN temp.stack_says AS u ON u.stack_id = o.stack_id LEFT JOIN temp.stack_says AS k ON k.stack_id = o.kstack_id "  \
	"WHERE coalesce(o.class, 'cpu') <> 'cpu' AND (u.stack_id IS NOT NULL OR k.kernel IS NOT NULL)"

static void read_words(sqlite3_stmt *row, struct wait_words *w, struct wait_says *s)
{
	*w = (struct wait_words){(const char *)sqlite3_column_text(row, 1), (const char *)sqlite3_column_text(row, 2),
				 (const char *)sqlite3_column_text(row, 3)};
	*s = (struct wait_says){(const char *)sqlite3_column_text(row, 5), (const char *)sqlite3_column_text(row, 6),
				sqlite3_column_int(row, 4) != 0, (u32)sqlite3_column_int64(row, 7)};
}

/* The statements of refine_waits(). */
struct refining {
	sqlite3_stmt *find, *add;	/* a row of _wait */
	sqlite3_stmt *update, *changed; /* _offcpu.wait_id; temp.changed_poll */
};

static void refining_release(struct refining *r)
{
	(void)sqlite3_finalize(r->find);
	(void)sqlite3_finalize(r->add);
	(void)sqlite3_finalize(r->update);
	(void)sqlite3_finalize(r->changed);
}

/* The row of _wait that is as wait `old`, but of the class, rule and detail of w. */
static int new_wait(const struct refining *r, s64 old, const struct wait_words *w, s64 *ret)
{
	const struct db_val v[] = {DB_INT(old), db_text(w->cls), db_text(w->rule), db_text(w->detail)};
	int err = db_bind(r->find, v, ARRAY_SIZE(v)), n;

	if (err)
		return err;
	n = db_step(r->find);
	if (n == 0) {
		err = db_run(r->add, v, ARRAY_SIZE(v));
		*ret = sqlite3_last_insert_rowid(sqlite3_db_handle(r->add));
	} else {
		*ret = sqlite3_column_int64(r->find, 0);
	}
	(void)sqlite3_reset(r->find);
	return n < 0 ? n : err;
}

/* One wait; `changed` gets its poll when it is of another class now. */
static int refine_wait(const struct refining *r, sqlite3_stmt *row)
{
	struct wait_words w, before;
	struct wait_says s;
	s64 wait;
	s64 poll_id = sqlite3_column_int64(row, 8);
	int err;

	read_words(row, &w, &s);
	if (!w.cls)
		return -ENOMEM;
	before = w;
	if (!wait_words_refine(&w, &s))
		return 0;
	err = new_wait(r, sqlite3_column_int64(row, 11), &w, &wait);
	if (!err)
		err = db_run(r->update,
			     (struct db_val[]){DB_INT(sqlite3_column_int64(row, 9)), DB_INT(sqlite3_column_int64(row, 10)),
					       DB_INT(sqlite3_column_int64(row, 0)), DB_INT(wait)},
			     4);
	if (!err && poll_id && strcmp(w.cls, before.cls) != 0)
		err = db_run(r->changed, (struct db_val[]){DB_INT(poll_id)}, 1);
	return err;
}

static int prepare_refining(sqlite3 *db, struct refining *r)
{
	int err = db_prepare(
		db,
		"SELECT w.id FROM _wait AS o JOIN _wait AS w ON w.state = o.state AND w.role = o.role AND w.syscall IS o.syscall "
		"AND w.class = ?2 AND w.rule = ?3 AND w.detail IS ?4 WHERE o.id = ?1",
		&r->find);

	if (!err)
		err = db_prepare(db, "INSERT INTO _wait SELECT NULL, state, role, ?2, ?3, syscall, ?4 FROM _wait WHERE id = ?1",
				 &r->add);
	if (!err)
		err = db_prepare(db, "UPDATE _offcpu SET wait_id = ?4 WHERE thread_id = ?1 AND ts = ?2 AND id = ?3", &r->update);
	if (!err)
		err = db_prepare(db, "INSERT OR IGNORE INTO temp.changed_poll VALUES (?)", &r->changed);
	return err;
}

static int refine_waits(sqlite3 *db)
{
	_cleanup_(refining_release) struct refining r = {0};
	_cleanup_stmt_ sqlite3_stmt *rows = NULL;
	int err = db_exec(db,
			  "DROP TABLE IF EXISTS temp.changed_poll; CREATE TEMP TABLE changed_poll (poll_id INTEGER PRIMARY KEY)");

	if (!err)
		err = prepare_refining(db, &r);
	if (!err)
		err = db_prepare(
			db,
			WORDS_OF("(SELECT i.*, w.class, w.rule, w.detail FROM _offcpu AS i JOIN _wait AS w ON w.id = i.wait_id)",
				 "o.poll_id, o.thread_id, o.ts, o.wait_id"),
			&rows);
	while (!err) {
		int n = db_step(rows);

		if (n <= 0)
			return n;
		err = refine_wait(&r, rows);
	}
	return err;
}

/* ---- polls ---- */

/* The waits of one poll with the time that each was off the cpu: to its waking, its end, or the end of the recording. */
#define WAITS_OF_POLL                                                                                                            \
	"SELECT class, rule, syscall, detail, stack_id, kstack_id, "                                                             \
	"max(0, min(coalesce(ts_waking, ts + dur, (SELECT ts_end FROM capture)), "                                               \
	"coalesce(ts + dur, (SELECT ts_end FROM capture))) - ts) AS off FROM offcpu WHERE poll_id = ?1 AND class IS NOT NULL"

static const char largest_sql[] =
	"SELECT class, total(off) AS sum FROM (" WAITS_OF_POLL ") GROUP BY class ORDER BY sum DESC, class LIMIT 1";
static const char reclass_sql[] = "UPDATE poll SET class = ?2, "
				  "(rule, syscall, detail) = (SELECT rule, syscall, detail FROM (" WAITS_OF_POLL
				  ") WHERE class = ?2 ORDER BY off DESC LIMIT 1), "
				  "(stack_id, kstack_id) = (SELECT stack_id, kstack_id FROM (" WAITS_OF_POLL ") WHERE class = ?2 "
				  "ORDER BY stack_id IS NULL, off DESC LIMIT 1), "
				  "dur_max = dur WHERE id = ?1 AND on_cpu <= ?3";
static const char to_cpu_sql[] =
	"UPDATE poll SET class = 'cpu', rule = 'cpu', syscall = NULL, detail = NULL, kstack_id = NULL WHERE id = ?1 AND on_cpu > ?3";

/* The largest part of a poll may be another one, now that some of its waits have another class. */
static int reclass_poll(sqlite3_stmt *largest, sqlite3_stmt *reclass, sqlite3_stmt *to_cpu, u64 poll_id)
{
	struct db_val v[3] = {DB_INT(poll_id)};
	int err = db_bind(largest, v, 1);

	if (!err)
		err = db_step(largest);
	if (err <= 0)
		return err;
	v[1] = db_text((const char *)sqlite3_column_text(largest, 0));
	v[2] = DB_INT(sqlite3_column_int64(largest, 1));
	err = db_run(reclass, v, 3);
	if (!err)
		err = db_run(to_cpu, v, 3);
	(void)sqlite3_reset(largest);
	return err;
}

static int reclass_polls(sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *polls = NULL, *largest = NULL, *reclass = NULL, *to_cpu = NULL;
	int err = db_prepare(db, "SELECT poll_id FROM temp.changed_poll", &polls);

	if (!err)
		err = db_prepare(db, largest_sql, &largest);
	if (!err)
		err = db_prepare(db, reclass_sql, &reclass);
	if (!err)
		err = db_prepare(db, to_cpu_sql, &to_cpu);
	while (!err) {
		int n = db_step(polls);

		if (n <= 0)
			return n;
		err = reclass_poll(largest, reclass, to_cpu, (u64)sqlite3_column_int64(polls, 0));
	}
	return err;
}

/* The detail of a poll whose class stays: as that of the wait whose stack it has. */
static int detail_polls(sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *rows = NULL, *upd = NULL;
	int err = db_prepare(db, WORDS_OF("poll", "NULL"), &rows);

	if (!err)
		err = db_prepare(db, "UPDATE poll SET rule = ?2, detail = ?3 WHERE id = ?1", &upd);
	while (!err) {
		int n = db_step(rows);
		struct wait_words w, before;
		struct wait_says s;

		if (n <= 0)
			return n;
		read_words(rows, &w, &s);
		before = w;
		if (!w.cls)
			return -ENOMEM;
		/* a class that would change here is one that the poll has not: it stands for other waits */
		if (wait_words_refine(&w, &s) && strcmp(w.cls, before.cls) == 0)
			err = db_run(upd,
				     (struct db_val[]){DB_INT(sqlite3_column_int64(rows, 0)), db_text(w.rule), db_text(w.detail)},
				     3);
	}
	return err;
}

int reclass_waits(sqlite3 *db)
{
	int err = find_stacks(db);

	if (!err)
		err = refine_waits(db);
	if (!err)
		err = reclass_polls(db);
	return err ? err : detail_polls(db);
}
