/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* load_task.c: see load_task.h. */
#include "report/load_task.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/strtab.h"
#include "report/capture_file.h"
#include "report/load_wake.h"

#define RUNTIME_NOT_ENTERED 2 /* column runtime: tokio/src/runtime/context/runtime.rs, EnterRuntime::NotEntered */

enum { KIND_FUTURE = 1, KIND_CLOSURE = 2 };

/* ---- who ---- */

/*
 * By the thread's context, as design 30-tokio section 6 has it (measured on 1.24 - 1.53): in a poll the coop budget is set and the id is the task's; when a task
 * completes, the id is the worker's own again while the budget is still there; without budget, a thread in a scheduler context runs the driver. A task that
 * opted out of the budget, and one in block_in_place, has its id alone.
 */
enum task_from task_from_of(const struct task_thread *t, const struct task_by *by)
{
	bool is_own = t->has_base && t->base_task == by->task;

	if (!by->entered)
		return TASK_FROM_UNKNOWN;
	if (by->entered == 1) { /* in no scheduler context */
		if (by->budget)
			return !by->task ? TASK_FROM_ROOT : by->runtime == 1 ? TASK_FROM_POOL : TASK_FROM_TASK;
		return by->task ? TASK_FROM_POOL : TASK_FROM_OUTSIDE;
	}
	if (by->budget)
		return is_own && by->task ? TASK_FROM_COMPLETION : by->task ? TASK_FROM_TASK : TASK_FROM_ROOT;
	if (by->task && !is_own && (t->has_base || by->runtime == RUNTIME_NOT_ENTERED))
		return TASK_FROM_TASK;
	return TASK_FROM_DRIVER;
}

static const char *spawned_from(enum task_from from)
{
	static const char *const names[] = {
		[TASK_FROM_TASK] = "task",	    [TASK_FROM_ROOT] = "root",	     [TASK_FROM_DRIVER] = "driver",
		[TASK_FROM_POOL] = "blocking_pool", [TASK_FROM_OUTSIDE] = "outside", [TASK_FROM_COMPLETION] = "driver",
	};

	return names[from];
}

/* ---- entries ---- */

static int add_entry(struct task_loader *tl, struct task_entry **ret)
{
	if (tl->free_entry) {
		*ret = &tl->entries[tl->free_entry - 1];
		tl->free_entry = (*ret)->ready; /* the list of free ones is linked by it */
		return 0;
	}
	if (ARRAY_ROOM(tl->entries, tl->n_entries, &tl->cap_entries) < 0)
		return -ENOMEM;
	*ret = &tl->entries[tl->n_entries++];
	return 0;
}

int task_entry_find(struct task_loader *tl, u64 layout, u64 task, struct task_entry **ret)
{
	const struct fmt_layout *l;
	struct task_entry *k;
	u32 at, slot;
	int err;

	*ret = NULL;
	if (!task || !layout)
		return 0;
	at = task_index_get(&tl->index, layout, task);
	if (at) {
		*ret = &tl->entries[at - 1];
		return 0;
	}
	l = dict_table_find(&tl->d->layouts, layout, &slot);
	if (!l) {
		tl->bad_refs++;
		return 0;
	}
	if (task_set_has(&tl->written, slot, task))
		return 0;
	err = add_entry(tl, &k);
	if (err)
		return err;
	*k = (struct task_entry){.id = ++tl->next_id, .layout = layout, .task = task};
	if (dict_table_find(&tl->d->processes, l->process, NULL))
		k->process = l->process;
	*ret = k;
	return task_index_put(&tl->index, layout, task, (u32)(k - tl->entries) + 1);
}

static int write_task(struct task_loader *tl, const struct task_entry *k)
{
	static const char *const ends[] = {NULL, "done", "cancelled", "dropped"};
	struct db_val v[] = {
		DB_INT(k->id),
		DB_INT(k->layout),
		db_opt(k->process),
		DB_INT(k->task),
		db_opt(k->runtime_id),
		db_opt(k->type),
		db_opt(k->site),
		db_opt(k->spawned_by),
		db_text(spawned_from(k->from)),
		db_opt(k->ts_spawn),
		db_opt(k->ts_end),
		db_text(ends[k->how]),
		DB_INT(k->blocking),
		DB_INT(k->is_listed && !k->ts_spawn),
	};

	return db_run(tl->ins_task, v, ARRAY_SIZE(v));
}

/* A task is over for good: its row is written and its entry free. */
static int retire(struct task_loader *tl, u32 at)
{
	struct task_entry *k = &tl->entries[at];
	u32 slot = 0;
	int err = ready_gone(tl, k, k->ts_end, false);

	if (!err)
		err = write_task(tl, k);
	if (!err && dict_table_find(&tl->d->layouts, k->layout, &slot))
		err = task_set_add(&tl->written, slot, k->task);
	task_index_remove(&tl->index, k->layout, k->task);
	*k = (struct task_entry){.ready = tl->free_entry};
	tl->free_entry = at + 1;
	return err;
}

static int retire_later(struct task_loader *tl, u32 at)
{
	u32 oldest = tl->late_at;
	int err = 0;

	if (tl->n_late == TASK_LATE) {
		err = retire(tl, tl->late[oldest]);
		tl->late_at = (oldest + 1) % TASK_LATE;
		tl->n_late--;
	}
	tl->late[(tl->late_at + tl->n_late++) % TASK_LATE] = at;
	return err;
}

/* ---- what events refer to ---- */

u64 task_type_of(const struct task_loader *tl, u64 layout, u64 vtable)
{
	const struct fmt_vtable *v = dict_table_find(&tl->d->vtables, vtable, NULL);

	return v && v->layout == layout ? vtable : 0;
}

/* The executor behind a handle; 0 for none. */
static int executor_of(struct task_loader *tl, u64 layout, u64 handle, u32 *ret)
{
	u64 key[2] = {layout, handle};
	bool is_new;
	int err;

	*ret = 0;
	if (!handle)
		return 0;
	err = strtab_intern(tl->handles, (const char *)key, sizeof(key), ret, &is_new);
	if (err || !is_new)
		return err;
	if (ARRAY_ROOM(tl->executors, *ret, &tl->cap_executors) < 0)
		return -ENOMEM;
	tl->executors[*ret] = (struct executor){.is_single = true};
	return 0;
}

static int set_executor(struct task_loader *tl, struct task_entry *k, u64 handle)
{
	int err = k->executor ? 0 : executor_of(tl, k->layout, handle, &k->executor);

	if (!err && !k->runtime_id)
		k->runtime_id = tl->executors[k->executor].runtime_id;
	if (!err && k->runtime_id)
		tl->runtimes->runtimes[k->runtime_id - 1].is_there =
			true; /* its Handle was read from the task, not from a thread's context */
	return err;
}

#define LOCAL_SET_OF (1ULL << 63) /* with a thread's index: no address of user space */

int task_entry_local(struct task_loader *tl, const struct task_thread *t, struct task_entry *k)
{
	return set_executor(tl, k, LOCAL_SET_OF | t->run->thread_id);
}

/* The place of a call of spawn: of its Location, else of the return address. One Location may be called from several compiled functions: it is one place. */
static int site_of(struct task_loader *tl, u64 process, const struct fmt_task_spawn *e, u64 *ret)
{
	const struct fmt_location *l = dict_table_find(&tl->d->locations, e->location, NULL);
	const char *file = l && l->layout == e->layout ? load_dict_str(tl->d, l->file) : NULL;
	u64 key[4] = {e->layout, file ? l->file : 0, file ? l->line : e->caller, file ? l->column : 0}, frame = 0;
	bool is_new;
	u32 site;
	int err;

	*ret = 0;
	if (!file && !e->caller)
		return 0;
	err = strtab_intern(tl->sites, (const char *)key, sizeof(key), &site, &is_new);
	*ret = site;
	if (err || !is_new)
		return err;
	if (e->caller && process)
		err = stack_store_frame(tl->stacks, process, e->caller, e->ts, true, &frame);
	if (err)
		return err;
	return db_run(tl->ins_site,
		      (struct db_val[]){DB_INT(site), db_text(file), file ? DB_INT(min_u64(l->line, INT32_MAX)) : DB_NULL,
					file ? DB_INT(min_u64(l->column, INT32_MAX)) : DB_NULL, db_opt(frame)},
		      5);
}

/* ---- events ---- */

static void note_kind(struct task_loader *tl, u64 type, bool blocking)
{
	u32 slot;

	if (type && dict_table_find(&tl->d->vtables, type, &slot))
		tl->type_kinds[slot] |= blocking ? KIND_CLOSURE : KIND_FUTURE;
}

int task_loader_spawn(struct task_loader *tl, struct task_thread *t, const struct fmt_task_spawn *e)
{
	struct task_by by = {e->by_task, e->budget, e->runtime, e->entered};
	struct task_entry *k;
	u64 site;
	int err = task_entry_find(tl, e->layout, e->task, &k);

	tl->has_tasks = true;
	if (err || !k || k->ts_spawn)
		return err;
	k->ts_spawn = e->ts;
	k->type = task_type_of(tl, e->layout, e->vtable);
	k->blocking = e->blocking != 0;
	k->from = task_from_of(t, &by);
	if (k->from == TASK_FROM_TASK || k->from == TASK_FROM_POOL)
		k->spawned_by = e->by_task;
	note_kind(tl, k->type, k->blocking);
	err = site_of(tl, k->process, e, &site);
	k->site = site;
	if (!err)
		err = set_executor(tl, k, e->handle);
	return err || k->blocking ? err : ready_spawned(tl, t, k, e);
}

int task_loader_end(struct task_loader *tl, const struct fmt_task_end *e)
{
	struct task_entry *k;
	int err = task_entry_find(tl, e->layout, e->task, &k);

	tl->has_tasks = true;
	if (err || !k || k->ts_end)
		return err;
	k->ts_end = e->ts;
	k->how = e->how >= FMT_TASK_DONE && e->how <= FMT_TASK_FREED ? e->how : 0;
	err = ready_gone(tl, k, e->ts, false);
	return err ? err : retire_later(tl, (u32)(k - tl->entries));
}

int task_loader_alive(struct task_loader *tl, const struct fmt_task_alive *e)
{
	struct task_entry *k;
	int err = task_entry_find(tl, e->layout, e->task, &k);

	tl->has_tasks = true;
	if (err || !k)
		return err;
	k->is_listed = true;
	if (!k->type)
		k->type = task_type_of(tl, e->layout, e->vtable);
	note_kind(tl, k->type, false);
	return set_executor(tl, k, e->handle);
}

/* Of a LocalSet that runs outside any runtime's threads polls have no runtime, and its tasks have none, either. */
void task_loader_polled(struct task_loader *tl, u64 runtime_id, u64 task)
{
	const struct runtime_info *r;
	u32 at;

	if (!tl->has_tasks || !runtime_id || runtime_id > tl->runtimes->n_runtimes)
		return;
	r = &tl->runtimes->runtimes[runtime_id - 1];
	at = task_index_get(&tl->index, r->layout, task);
	if (at && !tl->entries[at - 1].runtime_id)
		tl->entries[at - 1].runtime_id = runtime_id;
}

/* ---- tables ---- */

static int write_types(struct task_loader *tl)
{
	static const char *const hows[] = {NULL, "v0", "dwarf", "symbols", "candidates"};
	static const char *const kinds[] = {NULL, "future", "blocking", NULL}, *const told[] = {NULL, "future", "blocking",
												"worker"};
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	struct load_dict *d = tl->d;
	int err = db_prepare(tl->db, "INSERT INTO task_type VALUES (?, ?, ?, ?, ?, ?, ?, ?)", &ins);

	for (u32 slot = 0; slot < d->vtables.n && !err; slot++) {
		const struct fmt_vtable *v = dict_table_at(&d->vtables, slot);
		const struct fmt_layout *l = dict_table_find(&d->layouts, v->layout, NULL);
		const struct fmt_task_name *n = dict_table_find(&d->task_names, v->idx, NULL);
		const char *text = n ? load_dict_str(d, n->name) : NULL, *kind = kinds[tl->type_kinds[slot]];
		_cleanup_free_ char *name = text ? capture_text_clean(text, strlen(text)) : NULL;
		u64 process = l && dict_table_find(&d->processes, l->process, NULL) ? l->process : 0, poll = 0, dealloc = 0;

		if (text && !name)
			return -ENOMEM;
		if (n && n->kind < ARRAY_SIZE(told) && (!kind || n->kind > 1))
			kind = told[n->kind];
		if (process && v->poll)
			err = stack_store_frame(tl->stacks, process, v->poll, tl->iv->ts_end, false, &poll);
		if (!err && process && v->dealloc)
			err = stack_store_frame(tl->stacks, process, v->dealloc, tl->iv->ts_end, false, &dealloc);
		if (!err)
			err = db_run(ins,
				     (struct db_val[]){DB_INT(v->idx), db_opt(process), DB_INT(v->addr), db_opt(poll),
						       db_opt(dealloc), db_text(name),
						       db_text(name && n->how < ARRAY_SIZE(hows) ? hows[n->how] : NULL),
						       db_text(kind)},
				     8);
	}
	return err;
}

static int write_probes(const struct task_loader *tl)
{
	static const char *const actions[] = {NULL, "attached", "not possible", "taken away", "at end"};
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	struct load_dict *d = tl->d;
	int err = db_prepare(tl->db, "INSERT INTO probe VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", &ins);

	for (size_t i = 0; i < d->n_probes && !err; i++) {
		const struct fmt_probe *p = &d->probes[i];
		const char *group = load_dict_str(d, p->group);

		err = db_run(ins,
			     (struct db_val[]){DB_INT(p->ts),
					       dict_table_find(&d->processes, p->process, NULL) ? DB_INT(p->process) : DB_NULL,
					       dict_table_find(&d->modules, p->module, NULL) ? DB_INT(p->module) : DB_NULL,
					       db_text(group ? group : "?"), db_text(actions[p->action]),
					       DB_INT(min_u64(p->places, INT64_MAX)), DB_INT(min_u64(p->hits, INT64_MAX)),
					       DB_INT(min_u64(p->cost, INT64_MAX)), db_text(load_dict_str(d, p->why))},
			     9);
	}
	return err;
}

int task_loader_finish(struct task_loader *tl)
{
	int err = 0;

	for (u32 i = 0; i < tl->n_entries && !err; i++) {
		struct task_entry *k = &tl->entries[i];

		if (k->id)
			err = ready_gone(tl, k, 0, false);
		if (!err && k->id)
			err = write_task(tl, k);
	}
	if (!err)
		err = write_types(tl);
	return err ? err : write_probes(tl);
}

/* ---- begin and end ---- */

/* Executor n is runtime n; others are added behind. */
static int add_runtimes(struct task_loader *tl)
{
	const struct runtime_set *rs = tl->runtimes;
	u64 n = rs->n_runtimes;

	tl->cap_executors = n + 16;
	tl->executors = calloc(tl->cap_executors, sizeof(*tl->executors));
	if (!tl->executors)
		return -ENOMEM;
	for (u64 i = 0; i < n; i++) {
		const struct runtime_info *r = &rs->runtimes[i];
		u64 key[2] = {r->layout, r->handle};
		u32 at;
		int err = strtab_intern(tl->handles, (const char *)key, sizeof(key), &at, NULL);

		if (err)
			return err;
		BUG_ON(at != i + 1);
		tl->executors[at] = (struct executor){.runtime_id = r->id, .is_single = r->flavor == FMT_FLAVOR_CURRENT_THREAD};
	}
	for (u32 slot = 0; slot < tl->d->contexts.n; slot++) /* a runtime with one worker is as good as a current_thread one */
		if (rs->contexts[slot].runtime_id && rs->contexts[slot].flavor == FMT_FLAVOR_MULTI_THREAD)
			tl->executors[rs->contexts[slot].runtime_id].is_single =
				rs->runtimes[rs->contexts[slot].runtime_id - 1].n_workers == 1;
	return 0;
}

int task_loader_init(struct task_loader *tl, struct load_dict *d, struct runtime_set *rs, struct stack_store *st, sqlite3 *db,
		     const struct intervals *iv)
{
	int err;

	*tl = (struct task_loader){.d = d, .runtimes = rs, .stacks = st, .db = db, .iv = iv};
	tl->handles = strtab_new();
	tl->sites = strtab_new();
	tl->late = calloc(TASK_LATE, sizeof(*tl->late));
	tl->type_kinds = calloc((size_t)d->vtables.n + 1, 1);
	if (!tl->handles || !tl->sites || !tl->late || !tl->type_kinds)
		return -ENOMEM;
	err = task_set_init(&tl->written, d->layouts.n);
	if (!err)
		err = add_runtimes(tl);
	if (!err)
		err = db_prepare(db, "INSERT INTO _task VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", &tl->ins_task);
	if (!err)
		err = db_prepare(db, "INSERT INTO _spawn_site VALUES (?, ?, ?, ?, ?)", &tl->ins_site);
	return err ? err : wake_store_init(tl);
}

void task_loader_release(struct task_loader *tl)
{
	wake_store_release(tl);
	(void)sqlite3_finalize(tl->ins_task);
	(void)sqlite3_finalize(tl->ins_site);
	strtab_free(tl->handles);
	strtab_free(tl->sites);
	task_index_release(&tl->index);
	task_set_release(&tl->written);
	free(tl->entries);
	free(tl->late);
	free(tl->executors);
	free(tl->type_kinds);
	free(tl->exact);
	*tl = (struct task_loader){0};
}
