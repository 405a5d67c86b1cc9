/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bundle_tasks.c: see bundle_tasks.h. */
#include "report/bundle_tasks.h"

#include "report/db.h"

static const char *const hows[] = {NULL, "v0", "dwarf", "symbols", "candidates"};

const struct fmt_task_name *bundle_task_name(const struct load_dict *d, u64 vtable)
{
	return dict_table_find(&d->task_names, vtable, NULL);
}

const char *bundle_task_how(u64 how)
{
	return how < ARRAY_SIZE(hows) ? hows[how] : NULL;
}

struct types {
	const struct frame_set *f;
	sqlite3_stmt *put_frame, *find_frame, *put_type;
};

/* The row of table frame of a place, made when it is not there. */
static int frame_id(const struct types *t, const struct frame_place *at, u64 *ret)
{
	struct db_val v[] = {DB_INT(at->module), DB_INT(at->key >> 1), DB_INT(at->key & 1)};
	int err = db_run(t->put_frame, v, ARRAY_SIZE(v));

	if (!err)
		err = db_bind(t->find_frame, v, ARRAY_SIZE(v));
	if (!err)
		err = db_step(t->find_frame);
	if (err == 1)
		*ret = (u64)sqlite3_column_int64(t->find_frame, 0);
	return err < 0 ? err : 0;
}

static int put_type(const struct types *t, const struct fmt_vtable *v, const struct frame_place *poll,
		    const struct frame_place *dealloc)
{
	const struct load_dict *d = t->f->d;
	const struct fmt_task_name *known = bundle_task_name(d, v->idx);
	const char *how = known ? bundle_task_how(known->how) : NULL, *name = how ? load_dict_str(d, known->name) : NULL;
	u64 poll_id = 0, dealloc_id = 0;
	int err = frame_id(t, poll, &poll_id);

	if (!err && dealloc)
		err = frame_id(t, dealloc, &dealloc_id);
	if (err)
		return err;
	return db_run(t->put_type,
		      (struct db_val[]){DB_INT(v->idx), DB_INT(v->addr), DB_INT(poll_id), db_opt(dealloc_id), db_text(name),
					db_text(name ? how : NULL)},
		      6);
}

static int put_types(const struct types *t, bundle_wants_fn is_wanted, void *ctx)
{
	const struct load_dict *d = t->f->d;
	int err = 0;

	for (u32 slot = 0; slot < d->vtables.n && !err; slot++) {
		const struct fmt_vtable *v = dict_table_at(&d->vtables, slot);
		const struct fmt_layout *l = dict_table_find(&d->layouts, v->layout, NULL);
		struct frame_place poll, dealloc;
		bool has_dealloc;

		if (!l || !frame_set_find(t->f, l->process, v->poll, &poll) || !is_wanted(ctx, poll.module))
			continue;
		has_dealloc = frame_set_find(t->f, l->process, v->dealloc, &dealloc) && dealloc.module == poll.module;
		err = put_type(t, v, &poll, has_dealloc ? &dealloc : NULL);
	}
	return err;
}

int bundle_tasks_put(const struct frame_set *f, sqlite3 *db, bundle_wants_fn is_wanted, void *ctx)
{
	_cleanup_stmt_ sqlite3_stmt *put_frame = NULL, *find_frame = NULL, *put = NULL;
	struct types t = {.f = f};
	int err = db_prepare(db, "INSERT OR IGNORE INTO frame (module_id, file_off, is_return) VALUES (?, ?, ?)", &put_frame);

	if (!err)
		err = db_prepare(db, "SELECT id FROM frame WHERE module_id = ? AND file_off = ? AND is_return = ?", &find_frame);
	if (!err)
		err = db_prepare(db,
				 "INSERT INTO task_type (id, vtable, poll_frame_id, dealloc_frame_id, name, name_from) "
				 "VALUES (?, ?, ?, ?, ?, ?)",
				 &put);
	t.put_frame = put_frame;
	t.find_frame = find_frame;
	t.put_type = put;
	return err ? err : put_types(&t, is_wanted, ctx);
}
