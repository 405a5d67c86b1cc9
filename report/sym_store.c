/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sym_store.c: see sym_store.h. */
#include "report/sym_store.h"

#include <errno.h>

#include "base/array.h"
#include "base/u64map.h"
#include "report/db.h"
#include "report/frame_kind.h"

static int frames_add(struct sym_frames *f, u64 id, u64 file_off, bool is_return)
{
	if (ARRAY_ROOM_RAW(f->ids, f->n, &f->cap_ids) < 0 || ARRAY_ROOM_RAW(f->lookups, f->n, &f->cap_lookups) < 0)
		return -ENOMEM;
	f->ids[f->n] = id;
	f->lookups[f->n++] = (struct sym_wire_lookup){.file_off = file_off, .is_return = is_return};
	return 0;
}

int sym_frames_load(struct sym_frames *f, sqlite3 *db, u64 module_id, bool only_nameless)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int err = db_prepare(db,
			     only_nameless ? "SELECT id, file_off, is_return FROM frame WHERE module_id = ? "
					     "AND NOT EXISTS (SELECT 1 FROM symbol WHERE frame_id = frame.id) ORDER BY file_off"
					   : "SELECT id, file_off, is_return FROM frame WHERE module_id = ? ORDER BY file_off",
			     &s);

	*f = (struct sym_frames){0};
	if (!err)
		err = db_bind(s, (struct db_val[]){DB_INT(module_id)}, 1);
	while (!err) {
		int n = db_step(s);

		if (n <= 0)
			return n;
		err = frames_add(f, (u64)sqlite3_column_int64(s, 0), (u64)sqlite3_column_int64(s, 1),
				 sqlite3_column_int(s, 2) != 0);
	}
	return err;
}

void sym_frames_release(struct sym_frames *f)
{
	free(f->ids);
	free(f->lookups);
	*f = (struct sym_frames){0};
}

struct store {
	const struct sym_answers *answers;
	const char *module_path;
	const struct library_table *libraries;
	struct u64map kinds; /* function and file, as they were answered -> enum frame_kind */
};

static int kind_of(struct store *s, const struct sym_answer *f, enum frame_kind *ret)
{
	u64 key = (u64)f->function << 32 | f->file, kind;

	if (!u64map_get(&s->kinds, key, &kind)) {
		kind = frame_kind_of(s->libraries, sym_answers_string(s->answers, f->function),
				     f->file ? sym_answers_string(s->answers, f->file) : NULL, s->module_path);
		if (u64map_put(&s->kinds, key, kind))
			return -ENOMEM;
	}
	*ret = (enum frame_kind)kind;
	return 0;
}

static int store_frame(struct store *s, sqlite3_stmt *ins, u64 id, const struct sym_answer *f, u32 n)
{
	int err = 0;

	for (u32 i = 0; i < n && !err; i++) {
		enum frame_kind kind;
		struct db_val v[] = {
			DB_INT(id),
			DB_INT(i),
			db_text(sym_answers_string(s->answers, f[i].function)),
			db_text(f[i].file ? sym_answers_string(s->answers, f[i].file) : NULL),
			db_opt(f[i].line),
			DB_INT(f[i].inlined),
			DB_NULL,
		};

		err = kind_of(s, &f[i], &kind);
		if (err)
			break;
		v[6] = db_text(frame_kind_name(kind));
		err = db_run(ins, v, ARRAY_SIZE(v));
	}
	return err;
}

static int store_all(struct store *s, sqlite3 *db, const struct sym_frames *f)
{
	_cleanup_stmt_ sqlite3_stmt *ins = NULL, *del = NULL;
	int err = db_prepare(db, "INSERT INTO symbol VALUES (?, ?, ?, ?, ?, ?, ?)", &ins);

	if (!err)
		err = db_prepare(db, "DELETE FROM symbol WHERE frame_id = ?", &del);
	for (u64 i = 0; i < f->n && !err; i++) {
		u32 n;
		const struct sym_answer *frames = sym_answers_frames(s->answers, i, &n);

		if (!n) /* nothing is known of this one */
			continue;
		err = db_run(del, (struct db_val[]){DB_INT(f->ids[i])}, 1);
		if (!err)
			err = store_frame(s, ins, f->ids[i], frames, n);
	}
	return err;
}

int sym_store_names(sqlite3 *db, const struct sym_frames *f, const struct sym_answers *a, const char *module_path,
		    const struct library_table *libraries)
{
	struct store s = {.answers = a, .module_path = module_path, .libraries = libraries};
	int err = store_all(&s, db, f);

	u64map_release(&s.kinds);
	return err;
}
