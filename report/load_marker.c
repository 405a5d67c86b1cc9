/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* load_marker.c: see load_marker.h. */
#include "report/load_marker.h"

#include <errno.h>

#include "base/array.h"

enum {
	MAX_OPEN = 1 << 20, /* STARTs without END that are kept */
	MAX_PAIR = 8,	    /* record's --marker */
};

/* Whose marker it is: a task's, or with task 0 a thread's. */
struct owner {
	u64 pair, process, task, thread;
};

struct open_marker {
	u64 id, ts, thread, task, ustack, depth;
	struct owner owner;
	u32 next; /* 1 + the one that was opened before, of the same hash; 0 none */
	bool used;
};

static struct owner owner_of(const struct fmt_marker *e, u64 process, bool by_task)
{
	if (by_task)
		return (struct owner){.pair = e->pair, .process = process, .task = e->task};
	return (struct owner){.pair = e->pair, .process = process, .thread = e->thread};
}

static bool is_same(const struct owner *a, const struct owner *b)
{
	return a->pair == b->pair && a->process == b->process && a->task == b->task && a->thread == b->thread;
}

static u64 hash_of(const struct owner *o)
{
	const u64 v[4] = {o->pair, o->process, o->task, o->thread};
	u64 h = 0x2545f4914f6cdd1dULL;

	for (u32 i = 0; i < 4; i++) {
		h = (h ^ v[i]) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 29;
	}
	return h;
}

int marker_loader_init(struct marker_loader *ml, sqlite3 *db)
{
	*ml = (struct marker_loader){.next_id = 1};
	return db_prepare(
		db,
		"INSERT INTO marker SELECT ?1, ?2, (SELECT value FROM meta WHERE key = 'option.marker.' || ?2), ?3, ?4, ?5, ?6, ?7, ?8, ?9",
		&ml->ins);
}

void marker_loader_release(struct marker_loader *ml)
{
	(void)sqlite3_finalize(ml->ins);
	free(ml->open);
	u64map_release(&ml->last);
	*ml = (struct marker_loader){0};
}

/* end NULL: it has none. */
static int write_row(struct marker_loader *ml, const struct open_marker *m, const struct fmt_marker *end)
{
	struct db_val v[] = {
		DB_INT(m->id),
		DB_INT(m->owner.pair),
		DB_INT(m->thread),
		DB_INT(m->ts),
		end ? DB_INT(end->ts - m->ts) : DB_NULL,
		end ? DB_INT(end->thread) : DB_NULL,
		db_opt(m->task),
		DB_INT(m->depth),
		db_opt(m->ustack),
	};

	return db_run(ml->ins, v, ARRAY_SIZE(v));
}

/* An unused entry; 0 when there is none, else 1 + its number. */
static u32 take_entry(struct marker_loader *ml)
{
	u32 at = ml->free_open;

	if (at) {
		ml->free_open = ml->open[at - 1].next;
		return at;
	}
	if (ml->n_open >= MAX_OPEN || ARRAY_ROOM_RAW(ml->open, ml->n_open, &ml->cap_open) < 0)
		return 0;
	return ++ml->n_open;
}

static int begin(struct marker_loader *ml, const struct fmt_marker *e, u64 process)
{
	struct owner o = owner_of(e, process, e->task != 0);
	u64 hash = hash_of(&o), last = 0;
	struct open_marker *m;
	u32 at = take_entry(ml);

	if (!at) {
		ml->refused++;
		return 0;
	}
	(void)u64map_get(&ml->last, hash, &last);
	m = &ml->open[at - 1];
	*m = (struct open_marker){.id = ml->next_id++,
				  .ts = e->ts,
				  .thread = e->thread,
				  .task = e->task,
				  .ustack = e->ustack,
				  .owner = o,
				  .next = (u32)last,
				  .used = true};
	for (u32 k = m->next; k; k = ml->open[k - 1].next) {
		if (is_same(&ml->open[k - 1].owner, &o)) {
			m->depth = ml->open[k - 1].depth + 1;
			break;
		}
	}
	return u64map_put(&ml->last, hash, at);
}

/* Ends the innermost START of that owner: 1, 0 there is none, or negative errno. */
static int end_of(struct marker_loader *ml, const struct fmt_marker *e, struct owner o)
{
	u64 hash = hash_of(&o), last = 0;
	u32 before = 0;
	int err = 0;

	(void)u64map_get(&ml->last, hash, &last);
	for (u32 k = (u32)last; k; before = k, k = ml->open[k - 1].next) {
		struct open_marker *m = &ml->open[k - 1];

		if (!is_same(&m->owner, &o) || e->ts < m->ts)
			continue;
		err = write_row(ml, m, e);
		if (before)
			ml->open[before - 1].next = m->next;
		else if (!err)
			err = u64map_put(&ml->last, hash, m->next);
		*m = (struct open_marker){.next = ml->free_open};
		ml->free_open = k;
		return err ? err : 1;
	}
	return 0;
}

int marker_loader_event(struct marker_loader *ml, const struct fmt_marker *e, u64 process)
{
	int n = 0;

	if (!e->pair || e->pair > MAX_PAIR) {
		ml->refused++;
		return 0;
	}
	if (!e->end)
		return begin(ml, e, process);
	if (e->task)
		n = end_of(ml, e, owner_of(e, process, true));
	if (!n) /* also where the task's id was not known yet at START */
		n = end_of(ml, e, owner_of(e, process, false));
	ml->ends_alone += n == 0;
	return n < 0 ? n : 0;
}

int marker_loader_finish(struct marker_loader *ml)
{
	int err = 0;

	for (u32 i = 0; i < ml->n_open && !err; i++)
		if (ml->open[i].used)
			err = write_row(ml, &ml->open[i], NULL);
	return err;
}

int marker_loader_facts(const struct marker_loader *ml, sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	struct db_val n = DB_INT(ml->ends_alone);
	int err;

	if (!ml->ends_alone)
		return 0;
	err = db_prepare(db, "INSERT OR REPLACE INTO meta VALUES ('ascope.marker.ends_alone', CAST(?1 AS TEXT))", &ins);
	return err ? err : db_run(ins, &n, 1);
}
