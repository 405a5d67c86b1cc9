/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* load_runtime.c: see load_runtime.h. */
#include "report/load_runtime.h"

#include <errno.h>
#include <string.h>

#include "base/strtab.h"

static u64 tick_from_of(const struct fmt_layout *l, u64 flavor)
{
	if (flavor == FMT_FLAVOR_MULTI_THREAD)
		return l->tick_from_mt;
	return flavor == FMT_FLAVOR_CURRENT_THREAD ? l->tick_from_ct : 0;
}

/* The runtime of a context, added when new; 0 when the layout is missing. */
static int runtime_of(struct runtime_set *rs, struct strtab *keys, const struct fmt_context *c, struct runtime_info **ret)
{
	const struct fmt_layout *l = dict_table_find(&rs->d->layouts, c->layout, NULL);
	u64 key[2] = {c->layout, c->handle};
	struct runtime_info *r;
	bool is_new;
	u32 at;
	int err;

	*ret = NULL;
	if (!l || !dict_table_find(&rs->d->processes, l->process, NULL))
		return 0;
	err = strtab_intern(keys, (const char *)key, sizeof(key), &at, &is_new);
	if (err)
		return err;
	r = &rs->runtimes[at - 1];
	*ret = r;
	if (is_new) {
		*r = (struct runtime_info){.id = at, .layout = c->layout, .handle = c->handle, .process = l->process};
		rs->n_runtimes = at;
	}
	r->n_workers = max_u64(r->n_workers, c->worker);
	if (c->flavor && !r->flavor) {
		r->flavor = c->flavor == FMT_FLAVOR_MULTI_THREAD || c->flavor == FMT_FLAVOR_CURRENT_THREAD ? c->flavor : 0;
		r->tick_from = tick_from_of(l, r->flavor);
	}
	return 0;
}

/* Of most captures nothing is. */
static int note_void(struct runtime_set *rs)
{
	for (u32 i = 0; i < rs->d->layouts.n; i++) {
		const struct fmt_layout *l = dict_table_at(&rs->d->layouts, i);
		u32 slot;

		if (!l->void_until || !dict_table_find(&rs->d->processes, l->process, &slot))
			continue;
		if (!rs->void_until)
			rs->void_until = calloc((size_t)rs->d->processes.n, sizeof(*rs->void_until));
		if (!rs->void_until)
			return -ENOMEM;
		rs->void_until[slot] = max_u64(rs->void_until[slot], l->void_until);
	}
	return 0;
}

int runtime_set_init(struct runtime_set *rs, const struct load_dict *d)
{
	struct strtab *keys = strtab_new();
	int err = keys ? 0 : -ENOMEM;

	*rs = (struct runtime_set){.d = d};
	rs->runtimes = calloc((size_t)d->contexts.n + 1, sizeof(*rs->runtimes));
	rs->contexts = calloc((size_t)d->contexts.n + 1, sizeof(*rs->contexts));
	rs->first_seen = calloc((size_t)d->contexts.n + 1, sizeof(*rs->first_seen));
	if (!rs->runtimes || !rs->contexts || !rs->first_seen)
		err = -ENOMEM;
	for (u32 slot = 0; slot < d->contexts.n && !err; slot++) {
		const struct fmt_context *c = dict_table_at(&d->contexts, slot);
		const struct fmt_layout *l = dict_table_find(&d->layouts, c->layout, NULL);
		struct runtime_info *r = NULL;

		if (!l || l->void_until != UINT64_MAX)
			err = runtime_of(rs, keys, c, &r);
		rs->contexts[slot] = (struct context_info){
			.layout = c->layout,
			.flavor = c->flavor,
			.tick_from = l ? tick_from_of(l, c->flavor) : 0,
			.runtime_id = !err && r ? r->id : 0,
			.worker = c->worker,
			.no_ids = l && l->no_task_ids,
		};
	}
	strtab_free(keys);
	return err ? err : note_void(rs);
}

void runtime_set_release(struct runtime_set *rs)
{
	free(rs->void_until);
	free(rs->runtimes);
	free(rs->contexts);
	free(rs->first_seen);
	*rs = (struct runtime_set){0};
}

const struct context_info *runtime_set_context(struct runtime_set *rs, u64 idx, u64 ts)
{
	u32 slot;

	if (!dict_table_find(&rs->d->contexts, idx, &slot))
		return NULL;
	if (!rs->first_seen[slot] || ts < rs->first_seen[slot])
		rs->first_seen[slot] = ts;
	return &rs->contexts[slot];
}

bool runtime_set_is_void(const struct runtime_set *rs, u64 context, u64 process, u64 ts)
{
	const struct fmt_context *c = rs->void_until && context ? dict_table_find(&rs->d->contexts, context, NULL) : NULL;
	const struct fmt_layout *l = c ? dict_table_find(&rs->d->layouts, c->layout, NULL) : NULL;
	u32 slot;

	if (l)
		return ts < l->void_until;
	return rs->void_until && !context && dict_table_find(&rs->d->processes, process, &slot) && ts < rs->void_until[slot];
}

/* A context that void records alone have named is none. */
static bool is_there(const struct runtime_set *rs, u32 slot)
{
	const struct fmt_context *c = dict_table_at(&rs->d->contexts, slot);
	const struct fmt_layout *l = dict_table_find(&rs->d->layouts, c->layout, NULL);

	return rs->contexts[slot].runtime_id && (!l || !l->void_until || rs->first_seen[slot]);
}

struct worker_row {
	u64 runtime_id, worker, thread, ts;
};

static int compare_workers(const void *a, const void *b)
{
	const struct worker_row *x = a, *y = b;

	if (x->runtime_id != y->runtime_id)
		return x->runtime_id < y->runtime_id ? -1 : 1;
	if (x->worker != y->worker)
		return x->worker < y->worker ? -1 : 1;
	if (x->thread != y->thread)
		return x->thread < y->thread ? -1 : 1;
	return x->ts < y->ts ? -1 : x->ts > y->ts;
}

/* One row per (runtime, worker, thread), with the first time; counts the workers of each runtime. */
static int write_workers(struct runtime_set *rs, sqlite3 *db, u64 ts_start)
{
	_cleanup_free_ struct worker_row *rows = calloc((size_t)rs->d->contexts.n + 1, sizeof(*rows));
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	size_t n = 0;
	int err = db_prepare(db, "INSERT INTO worker VALUES (?, ?, ?, ?)", &ins);

	if (!rows)
		return -ENOMEM;
	for (u32 slot = 0; slot < rs->d->contexts.n; slot++) {
		const struct fmt_context *c = dict_table_at(&rs->d->contexts, slot);

		if (is_there(rs, slot) && dict_table_find(&rs->d->threads, c->thread, NULL))
			rows[n++] = (struct worker_row){rs->contexts[slot].runtime_id, c->worker, c->thread,
							rs->first_seen[slot] ? rs->first_seen[slot] : ts_start};
	}
	qsort(rows, n, sizeof(*rows), compare_workers);
	for (size_t i = 0; i < n && !err; i++) {
		const struct worker_row *w = &rows[i], *prev = i ? w - 1 : NULL;
		bool same_runtime = prev && prev->runtime_id == w->runtime_id;
		struct runtime_info *r = &rs->runtimes[w->runtime_id - 1];

		if (same_runtime && prev->worker == w->worker && prev->thread == w->thread)
			continue;
		if (w->worker && !(same_runtime && prev->worker == w->worker))
			r->workers++;
		err = db_run(ins,
			     (struct db_val[]){DB_INT(w->runtime_id), w->worker ? DB_INT(w->worker - 1) : DB_NULL,
					       DB_INT(w->thread), DB_INT(w->ts)},
			     4);
	}
	return err;
}

int runtime_set_write(struct runtime_set *rs, sqlite3 *db, u64 ts_start)
{
	static const char *const flavors[] = {"unknown", "current_thread", "multi_thread"};
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	int err = db_prepare(db, "INSERT INTO runtime VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", &ins);

	if (!err)
		err = write_workers(rs, db, ts_start);
	for (u32 slot = 0; slot < rs->d->contexts.n; slot++)
		if (is_there(rs, slot))
			rs->runtimes[rs->contexts[slot].runtime_id - 1].is_there = true;
	for (u32 i = 0; i < rs->n_runtimes && !err; i++) {
		const struct runtime_info *r = &rs->runtimes[i];
		const struct fmt_layout *l = dict_table_find(&rs->d->layouts, r->layout, NULL);
		const struct dict_process *p = dict_table_find(&rs->d->processes, r->process, NULL);
		const struct fmt_module *m = dict_table_find(&rs->d->modules, l->module, NULL);
		const char *found_by = load_dict_str(rs->d, l->found_by);
		/* a current_thread runtime has no worker index: its one thread at a time is its worker */
		u64 workers = r->flavor == FMT_FLAVOR_CURRENT_THREAD ? 1 : r->workers;
		struct db_val v[] = {
			DB_INT(r->id),
			DB_INT(r->process),
			DB_INT(p->f.pid),
			db_text(load_dict_str(rs->d, l->version)),
			db_text(flavors[r->flavor]),
			DB_INT(workers),
			db_text(m ? load_dict_str(rs->d, m->path) : NULL),
			db_text(found_by ? found_by : "unknown"),
			DB_INT(r->tick_from != 0),
			db_opt(r->tick_from),
			DB_INT(!l->no_task_ids),
		};

		err = r->is_there ? db_run(ins, v, ARRAY_SIZE(v)) : 0;
	}
	return err;
}
