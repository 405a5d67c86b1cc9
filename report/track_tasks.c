/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* track_tasks.c: see track_tasks.h. */
#include "report/track_tasks.h"

#include <errno.h>
#include <string.h>

#include "report/frame_kind.h"
#include "report/sqlrow.h"
#include "report/stack_calls.h"

static int dup_text(const struct track_tasks *t, sqlite3_stmt *st, int col, char **ret)
{
	const char *text = sql_text(st, col);

	*ret = NULL;
	if (!text)
		return 0;
	if (t->json)
		return json_inner(text, ret);
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

static int make_type(const struct track_tasks *t, sqlite3_stmt *st, struct track_type *k)
{
	const char *name = sql_text(st, 1);
	char path[FRAME_NAME_LEN];
	int r = dup_text(t, st, 1, &k->name);

	if (r < 0 || !name)
		return r;
	if (!strstr(name, " | "))
		name = frame_function_path(name, path, sizeof(path));
	if (t->json)
		return json_inner(name, &k->label);
	k->label = strdup(name);
	return k->label ? 0 : -ENOMEM;
}

static int load_types(struct track_tasks *t, sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	u64 n;
	int r = sql_one_u64(db, "SELECT count(*) FROM task_type", NULL, 0, &n);

	if (r < 0)
		return r;
	t->types = calloc(n + 1, sizeof(*t->types));
	if (!t->types)
		return -ENOMEM;
	r = sql_prepare(db, &st, "SELECT id, name FROM task_type ORDER BY id", NULL, 0);
	t->n_types = 1;
	while (r >= 0 && t->n_types <= n && (r = db_step(st)) > 0) {
		r = u64map_put(&t->type_at, sql_u64(st, 0), t->n_types);
		if (r == 0)
			r = make_type(t, st, &t->types[t->n_types++]);
	}
	return r < 0 ? r : 0;
}

static int load_sites(struct track_tasks *t, sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	u64 n;
	int r = sql_one_u64(db, "SELECT count(*) FROM _spawn_site", NULL, 0, &n);

	if (r < 0)
		return r;
	t->sites = calloc(n + 1, sizeof(*t->sites));
	if (!t->sites)
		return -ENOMEM;
	r = sql_prepare(db, &st, "SELECT id, file, function, line FROM spawn_site ORDER BY id", NULL, 0);
	t->n_sites = 1;
	while (r >= 0 && t->n_sites <= n && (r = db_step(st)) > 0) {
		struct track_site *s = &t->sites[t->n_sites];

		s->line = sql_u64(st, 3);
		r = u64map_put(&t->site_at, sql_u64(st, 0), t->n_sites++);
		if (r == 0)
			r = dup_text(t, st, 1, &s->file);
		if (r == 0)
			r = dup_text(t, st, 2, &s->function);
	}
	return r < 0 ? r : 0;
}

int track_tasks_init(struct track_tasks *t, sqlite3 *db, bool json)
{
	int r;

	*t = (struct track_tasks){.json = json};
	t->cache = calloc(TRACK_TASKS_CACHE, sizeof(*t->cache));
	r = t->cache ? load_types(t, db) : -ENOMEM;
	if (r == 0)
		r = load_sites(t, db);
	if (r == 0)
		r = sql_prepare(db, &t->by_row, "SELECT id, task_id, type_id, site_id FROM _task WHERE id = ?1", NULL, 0);
	/* As view blocking finds the task of a poll. */
	if (r == 0)
		r = sql_prepare(
			db, &t->by_id,
			"SELECT id, task_id, type_id, site_id FROM _task WHERE task_id = ?1 AND owner = ?2 ORDER BY id LIMIT 1",
			NULL, 0);
	if (r < 0)
		track_tasks_release(t);
	return r;
}

void track_tasks_release(struct track_tasks *t)
{
	for (size_t i = 0; i < t->n_types; i++) {
		free(t->types[i].name);
		free(t->types[i].label);
	}
	for (size_t i = 0; i < t->n_sites; i++) {
		free(t->sites[i].file);
		free(t->sites[i].function);
	}
	free(t->types);
	free(t->sites);
	free(t->cache);
	u64map_release(&t->type_at);
	u64map_release(&t->site_at);
	(void)sqlite3_finalize(t->by_row);
	(void)sqlite3_finalize(t->by_id);
	*t = (struct track_tasks){0};
}

static int read_task(const struct track_tasks *t, sqlite3_stmt *st, struct track_task *ret)
{
	u64 type = 0, site = 0;
	int r = db_step(st);

	if (r > 0) {
		(void)u64map_get(&t->type_at, sql_u64(st, 2), &type);
		(void)u64map_get(&t->site_at, sql_u64(st, 3), &site);
		ret->row = sql_u64(st, 0);
		ret->task_id = sql_u64(st, 1);
	}
	ret->type = &t->types[type];
	ret->site = &t->sites[site];
	(void)sqlite3_reset(st);
	return r < 0 ? r : 0;
}

int track_tasks_row(struct track_tasks *t, u64 row, struct track_task *ret)
{
	struct track_task *c = &t->cache[row % TRACK_TASKS_CACHE];
	int r;

	*ret = (struct track_task){0, 0, &t->types[0], &t->sites[0]};
	if (!row)
		return 0;
	if (c->row != row) {
		r = sql_rebind(t->by_row, row);
		if (r == 0)
			r = read_task(t, t->by_row, ret);
		if (r < 0 || !ret->row)
			return r;
		*c = *ret;
	}
	*ret = *c;
	return 0;
}

int track_tasks_find(struct track_tasks *t, u64 task_id, bool has_runtime, u64 runtime_id, u64 process_id, struct track_task *ret)
{
	s64 owner = has_runtime ? (s64)runtime_id : -(s64)process_id;
	int r = sql_rebind(t->by_id, task_id);

	*ret = (struct track_task){0, task_id, &t->types[0], &t->sites[0]};
	if (r == 0)
		r = db_errno(sqlite3_bind_int64(t->by_id, 2, owner));
	return r < 0 ? r : read_task(t, t->by_id, ret);
}
