/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_names.c: see task_names.h. Which file was asked is kept in table meta, so that a report that is opened often asks once; another file is asked again.
 */
#include "report/task_names.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "report/db.h"
#include "report/sqlrow.h"
#include "report/sym_child.h"
#include "report/symbolize.h"

#define STEP_MS 100

/* In table meta, of a module (?1): the files that its types of tasks were asked of; and why it could not be read (symbolize.h). */
#define ASKED_KEY      "'ascope.task_names.' || ?1"
#define UNREADABLE_KEY "'ascope.unreadable.' || ?1"

static const char *const hows[] = {NULL, "v0", "dwarf", "symbols", "candidates"};

/* How much a name is worth: of two of one type the better stays. */
static const u8 ranks[] = {
	[TASK_UNKNOWN] = 0, [TASK_CANDIDATES] = 1, [TASK_BY_SYMBOLS] = 2, [TASK_BY_V0] = 3, [TASK_BY_DWARF] = 3};

struct type {
	u64 id;
	u32 rank;
};

/* A module with types of tasks, and these. */
struct module {
	u64 id;
	char *path, *build_id, *file_id, *asked; /* all but path may be NULL */
	struct type *types;
	struct sym_wire_tasks_of *asks;
	u32 n;
	size_t cap_types, cap_asks;
	u32 least; /* rank of a type */
};

struct modules {
	struct module *v;
	u32 n;
	size_t cap;
};

static void module_release(struct module *m)
{
	free(m->path);
	free(m->build_id);
	free(m->file_id);
	free(m->asked);
	free(m->types);
	free(m->asks);
}

static void modules_release(struct modules *all)
{
	for (u32 i = 0; i < all->n; i++)
		module_release(&all->v[i]);
	free(all->v);
}

/* ---- what the database has ---- */

static u32 rank_of(const char *how)
{
	for (u32 i = 1; how && i < ARRAY_SIZE(hows); i++)
		if (!strcmp(how, hows[i]))
			return ranks[i];
	return 0;
}

static int add_module(struct modules *all, sqlite3_stmt *s)
{
	struct module m = {.id = (u64)sqlite3_column_int64(s, 0), .least = UINT32_MAX};
	int err = ARRAY_ROOM(all->v, all->n, &all->cap);

	if (err)
		return err;
	err = sql_dup(s, 1, &m.path);
	if (!err)
		err = sql_dup(s, 2, &m.build_id);
	if (!err)
		err = sql_dup(s, 3, &m.file_id);
	if (!err)
		err = sql_dup(s, 4, &m.asked);
	all->v[all->n++] = m;
	return err;
}

static int add_type(struct module *m, sqlite3_stmt *s)
{
	struct type t = {.id = (u64)sqlite3_column_int64(s, 5), .rank = rank_of((const char *)sqlite3_column_text(s, 8))};
	int err;

	err = ARRAY_ROOM(m->types, m->n, &m->cap_types);
	if (!err)
		err = ARRAY_ROOM(m->asks, m->n, &m->cap_asks);
	if (err)
		return err;
	m->types[m->n] = t;
	m->asks[m->n++] = (struct sym_wire_tasks_of){.poll_off = (u64)sqlite3_column_int64(s, 6),
						     .dealloc_off = (u64)sqlite3_column_int64(s, 7)};
	m->least = m->least < t.rank ? m->least : t.rank;
	return 0;
}

/* Both functions of a vtable are in one file. */
static int list_modules(sqlite3 *db, struct modules *all)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int err =
		db_prepare(db,
			   "SELECT m.id, m.path, m.build_id, m.file_id, a.value, t.id, p.file_off, d.file_off, t.name_from "
			   "FROM task_type AS t JOIN frame AS p ON p.id = t.poll_frame_id JOIN module AS m ON m.id = p.module_id "
			   "LEFT JOIN frame AS d ON d.id = t.dealloc_frame_id AND d.module_id = m.id "
			   "LEFT JOIN meta AS a ON a.key = 'ascope.task_names.' || m.id "
			   "WHERE m.path NOT LIKE '[%' ORDER BY m.id, t.id",
			   &s);

	while (!err) {
		int n = db_step(s);

		if (n <= 0)
			return n;
		if (!all->n || all->v[all->n - 1].id != (u64)sqlite3_column_int64(s, 0))
			err = add_module(all, s);
		if (!err)
			err = add_type(&all->v[all->n - 1], s);
	}
	return err;
}

/* ---- asking ---- */

/* The file of a module that may know more: 1, 0 there is none, negative errno. */
static int find_file(const struct module *m, const struct symbolize_opts *o, struct sym_found *ret)
{
	const struct sym_want want = {.path = m->path, .build_id = m->build_id, .file_id = m->file_id};
	int n;

	*ret = (struct sym_found){.fd = -1, .debug_fd = -1, .alt_fd = -1};
	if (m->least == ranks[TASK_BY_DWARF])
		return 0;
	n = sym_find(&o->find, &want, ret);
	return n == 1 && m->asked && !strcmp(m->asked, ret->from) ? 0 : n;
}

struct asking {
	const struct module *m;
	const struct symbolize_opts *o;
	struct sym_found found;
};

static int open_split(void *ctx, const struct sym_split_want *split)
{
	const struct asking *a = ctx;
	const struct sym_want want = {.path = a->m->path, .build_id = a->m->build_id, .file_id = a->m->file_id};

	return sym_find_split(&a->o->find, &want, &a->found, split);
}

static int write_meta(sqlite3 *db, const char *sql, u64 module_id, const char *value)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int err = db_prepare(db, sql, &s);

	return err ? err : db_run(s, (struct db_val[]){DB_INT(module_id), db_text(value)}, 2);
}

/* That a task is a closure of the pool was seen when it was spawned; a name that tells nothing more does not take that away. */
static int write_types(sqlite3 *db, const struct module *m, const struct sym_answers *a)
{
	_cleanup_stmt_ sqlite3_stmt *name = NULL, *kind = NULL;
	int err = db_prepare(db, "UPDATE task_type SET name = ?2, name_from = ?3 WHERE id = ?1", &name);

	if (!err)
		err = db_prepare(db, "UPDATE task_type SET kind = ?2 WHERE id = ?1 AND (kind IS NULL OR ?2 <> 'future')", &kind);
	for (u32 i = 0; i < m->n && !err; i++) {
		struct sym_wire_task t = sym_answers_task(a, i);

		if (t.how && ranks[t.how] >= m->types[i].rank)
			err = db_run(name,
				     (struct db_val[]){DB_INT(m->types[i].id), db_text(sym_answers_string(a, t.name)),
						       db_text(hows[t.how])},
				     3);
		if (!err && (t.how || t.kind != TASK_FUTURE))
			err = db_run(kind,
				     (struct db_val[]){DB_INT(m->types[i].id), db_text(task_kind_name((enum task_kind)t.kind))},
				     2);
	}
	return err;
}

static int run_child(struct sym_child *c)
{
	int err = 0;

	while (!err && sym_child_outcome(c) == SYM_CHILD_RUNNING)
		err = sym_child_step(&c, 1, STEP_MS);
	return err;
}

static int ask(sqlite3 *db, struct asking *a)
{
	const struct sym_input in = {
		.fd = a->found.fd, .debug_fd = a->found.debug_fd, .alt_fd = a->found.alt_fd, .open_split = open_split, .ctx = a};
	struct sym_child *c = NULL;
	int err = sym_child_start(a->o->child, &in, NULL, 0, &c);

	if (err == -ENOMEM)
		return err;
	if (err) {
		log_debug("%s: types of tasks: %s", a->found.path, strerror(-err));
		return 0;
	}
	sym_child_ask_tasks(c, a->m->asks, a->m->n);
	err = run_child(c);
	log_debug("%s: types of tasks: %s", a->found.path, sym_child_outcome(c) == SYM_CHILD_OK ? "read" : sym_child_why(c));
	if (!err && sym_child_outcome(c) == SYM_CHILD_OK)
		err = write_types(db, a->m, sym_child_answers(c));
	else if (!err && sym_child_outcome(c) != SYM_CHILD_REFUSED)
		err = write_meta(db, "INSERT OR REPLACE INTO meta VALUES (" UNREADABLE_KEY ", ?2)", a->m->id, sym_child_why(c));
	if (!err)
		err = write_meta(db, "INSERT OR REPLACE INTO meta VALUES (" ASKED_KEY ", ?2)", a->m->id, a->found.from);
	(void)sym_child_close(c);
	return err;
}

int task_names_resolve(sqlite3 *db, const struct symbolize_opts *o)
{
	_cleanup_(modules_release) struct modules all = {.n = 0};
	int err = list_modules(db, &all);

	for (u32 i = 0; i < all.n && !err; i++) {
		struct asking a = {.m = &all.v[i], .o = o};

		err = find_file(a.m, o, &a.found);
		if (err > 0)
			err = ask(db, &a);
		sym_found_release(&a.found);
	}
	return err;
}

int task_names_are_needed(sqlite3 *db, const struct symbolize_opts *o)
{
	_cleanup_(modules_release) struct modules all = {.n = 0};
	int is = list_modules(db, &all);

	for (u32 i = 0; i < all.n && !is; i++) {
		struct sym_found found;

		is = find_file(&all.v[i], o, &found);
		sym_found_release(&found);
	}
	return is;
}
