/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * callsite.c: see callsite.h. A stack is walked from its outermost frame; each step looks up the child of the row so far that has this frame, or adds it.
 * Stacks share lists of callers (stack_part): a list that was walked from the same row before is not walked again.
 */
#include "report/callsite.h"

#include <errno.h>
#include <stdio.h>

#include "base/u64map.h"
#include "report/db.h"

struct tree {
	sqlite3_stmt *parts, *frames, *add, *lead;
	struct u64map children; /* row << 32 | frame -> row */
	struct u64map lists;	/* row << 32 | list -> row */
	struct u64map of_stack; /* stack -> row; of user stacks */
	u32 n, max;
	u64 cut; /* stacks that did not fit */
};

/* Both are numbers of this database, counted from 1: larger ones are no ids. 0: out of range. */
static u64 key_of(u64 row, s64 id)
{
	return id <= 0 || id > UINT32_MAX ? 0 : row << 32 | (u64)id;
}

static u64 depth_of(u64 row_depth)
{
	return row_depth & 0xffff;
}

/* *at: the row and, in the low 16 bits, its depth + 1. -E2BIG (which no error of SQLite becomes): no id, or the tree is full. */
static int step(struct tree *t, u64 *at, s64 frame)
{
	u64 row = *at >> 16, key = key_of(row, frame), child;
	int err;

	if (!key)
		return -E2BIG;
	if (u64map_get(&t->children, key, &child)) {
		*at = child << 16 | (depth_of(*at) + 1);
		return 0;
	}
	if (t->n >= t->max || depth_of(*at) == 0xffff)
		return -E2BIG;
	child = t->n + 1;
	err = u64map_put(&t->children, key, child);
	if (!err)
		err = db_run(t->add, (struct db_val[]){DB_INT(child), DB_INT(depth_of(*at)), db_opt(row), DB_INT(frame)}, 4);
	if (err)
		return err;
	t->n++;
	*at = child << 16 | (depth_of(*at) + 1);
	return 0;
}

static int walk_list(struct tree *t, u64 *at, s64 list)
{
	u64 key = key_of(*at >> 16, list);
	int n;

	if (!key)
		return -E2BIG;
	if (u64map_get(&t->lists, key, at))
		return 0;
	n = db_bind(t->frames, (struct db_val[]){DB_INT(list)}, 1);
	while (!n && (n = db_step(t->frames)) == 1)
		n = step(t, at, sqlite3_column_int64(t->frames, 0));
	(void)sqlite3_reset(t->frames);
	return n < 0 ? n : u64map_put(&t->lists, key, *at);
}

/* From *at (0: no row yet) through the stack. */
static int walk_stack(struct tree *t, u64 *at, s64 stack)
{
	int n = db_bind(t->parts, (struct db_val[]){DB_INT(stack)}, 1);

	while (!n && (n = db_step(t->parts)) == 1)
		n = walk_list(t, at, sqlite3_column_int64(t->parts, 0));
	(void)sqlite3_reset(t->parts);
	return n;
}

/* A user stack (or 0), and a kernel stack on top of it (or 0). */
static int add_stack(struct tree *t, s64 stack, s64 kstack)
{
	u64 at = 0;
	int err = 0;

	if (!stack || !u64map_get(&t->of_stack, (u64)stack, &at))
		err = stack ? walk_stack(t, &at, stack) : 0;
	if (!err && stack)
		err = u64map_put(&t->of_stack, (u64)stack, at);
	if (!err && kstack)
		err = walk_stack(t, &at, kstack);
	if (err == -E2BIG) {
		t->cut++;
		return 0;
	}
	if (err || !at) /* a stack without frames */
		return err;
	return db_run(t->lead, (struct db_val[]){DB_INT(stack), DB_INT(kstack), DB_INT(at >> 16)}, 3);
}

static int add_all(struct tree *t, sqlite3 *db, const char *sql)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int n = db_prepare(db, sql, &s);

	while (!n && (n = db_step(s)) == 1)
		n = add_stack(t, sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1));
	return n;
}

static int prepare(struct tree *t, sqlite3 *db)
{
	int err = db_prepare(db, "SELECT list_id FROM stack_part WHERE stack_id = ? ORDER BY depth DESC", &t->parts);

	if (!err)
		err = db_prepare(db, "SELECT frame_id FROM frame_list WHERE list_id = ? ORDER BY depth DESC", &t->frames);
	if (!err)
		err = db_prepare(db, "INSERT INTO stack_profile_callsite VALUES (?, ?, ?, ?)", &t->add);
	if (!err)
		err = db_prepare(db, "INSERT OR IGNORE INTO _stack_callsite VALUES (?, ?, ?)", &t->lead);
	return err;
}

static int note_cut(const struct tree *t, sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	char text[24];
	int err;

	if (!t->cut)
		return 0;
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)t->cut);
	err = db_prepare(db, "INSERT OR REPLACE INTO meta VALUES ('ascope.callsites_cut', ?)", &ins);
	return err ? err : db_run(ins, (struct db_val[]){db_text(text)}, 1);
}

int callsites_fill(sqlite3 *db, u32 max)
{
	struct tree t = {.max = max};
	int err = prepare(&t, db);

	if (!err)
		err = add_all(&t, db, "SELECT id, 0 FROM stack WHERE kind = 'user'");
	if (!err)
		err = add_all(&t, db, "SELECT DISTINCT coalesce(stack_id, 0), kstack_id FROM sample WHERE kstack_id IS NOT NULL");
	if (!err)
		err = note_cut(&t, db);
	(void)sqlite3_finalize(t.parts);
	(void)sqlite3_finalize(t.frames);
	(void)sqlite3_finalize(t.add);
	(void)sqlite3_finalize(t.lead);
	u64map_release(&t.children);
	u64map_release(&t.lists);
	u64map_release(&t.of_stack);
	return err;
}
