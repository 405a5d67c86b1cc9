/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bundle.c: see bundle.h.
 *
 *	names of the file -> which code its stacks have -> a database in memory of just these frames -> symbolize.c
 *	  -> rows that are new -> bundle_file.c: the capture again, with them
 *
 * Nothing is written before the names are there, and nothing at all when the file has them already.
 */
#include "report/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "report/bundle_file.h"
#include "report/bundle_frames.h"
#include "report/bundle_names.h"
#include "report/bundle_tasks.h"
#include "report/check.h"
#include "report/db.h"
#include "report/load_symbol.h"
#include "report/load_write.h"
#include "report/schema.h"
#include "report/sym_fetch.h"
#include "report/symbolize.h"
#include "report/task_names.h"

struct bundle {
	const struct bundle_opts *o;
	const char *path;
	int fd; /* of the capture, as it was when reading began */
	struct fmt_reader *r;
	struct load_dict dict;
	struct frame_set frames;
	struct check *check; /* its counts of indices, and what is damaged */
	struct bundle_names names;
	sqlite3 *db;
};

/* ---- what the capture has ---- */

struct bundle_progress {
	const char *what;
	u64 size, last_percent;
};

static void show_progress(void *ctx, u64 off)
{
	struct bundle_progress *p = ctx;
	u64 percent = p->size ? off * 100 / p->size : 100;

	if (percent != p->last_percent)
		log_status("%s %u %%", p->what, (unsigned)percent);
	p->last_percent = percent;
}

static int take_block(void *ctx, const struct fmt_block *b)
{
	struct bundle *u = ctx;

	return frame_set_block(&u->frames, b);
}

/* A damaged capture is repaired first: what passes on here looks sound, and its losses would be forgotten. */
static int refuse_damaged(const struct bundle *u)
{
	const struct fmt_health *h = &u->check->health;

	if (!h->blocks_damaged && !h->blocks_missing && !h->bytes_skipped && h->closed_cleanly)
		return 0;
	log_error("%s %s; write what is intact first: ascope check --repair OUT %s", u->path,
		  h->blocks_damaged || h->blocks_missing || h->bytes_skipped ? "is damaged" : "was not closed", u->path);
	return -EBADMSG;
}

static int read_capture(struct bundle *u)
{
	const struct check_hooks hooks = {.ctx = u, .on_block = take_block};
	struct bundle_progress p = {"reading names", fmt_reader_health(u->r)->file_size, UINT64_MAX};
	int err = load_dict_read(&u->dict, u->r, show_progress, &p);

	if (!err)
		err = frame_set_init(&u->frames, &u->dict);
	p = (struct bundle_progress){"reading stacks", p.size, UINT64_MAX};
	if (!err)
		err = check_run(u->check, u->r, &hooks, show_progress, &p);
	if (!err)
		err = frame_set_conclude(&u->frames);
	log_status_end();
	if (err)
		log_error("%s: reading stopped: %s", u->path, strerror(-err));
	return err ? err : refuse_damaged(u);
}

/* ---- names ---- */

static bool is_executable_of_a_process(const struct bundle *u, u64 module)
{
	const struct fmt_module *m = dict_table_find(&u->dict.modules, module, NULL);
	const char *path = m ? load_dict_str(&u->dict, m->path) : NULL;

	for (u32 slot = 0; path && slot < u->dict.processes.n; slot++) {
		const struct dict_process *p = dict_table_at(&u->dict.processes, slot);
		const char *exe = load_dict_str(&u->dict, p->f.exe);

		if (exe && strcmp(exe, path) == 0)
			return true;
	}
	return false;
}

/* The places of one module are [from, to): whether all of them have names that cannot be bettered. */
static bool is_settled(const struct bundle *u, size_t from, size_t to)
{
	const struct fmt_module_names *m = load_symbols_of_module(&u->dict, u->frames.places[from].module);
	struct sym_frame ignored[SYM_MAX_INLINE];
	bool all = m && m->source == SYM_DWARF && m->lines == 1;

	for (size_t i = from; i < to && all; i++)
		all = load_symbols_chain(&u->dict,
					 load_symbols_find(&u->dict, u->frames.places[i].module, u->frames.places[i].key),
					 ignored) > 0;
	return all;
}

/* The frames to ask for, as rows of the database. */
static int put_frames(struct bundle *u)
{
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	const struct frame_set *f = &u->frames;
	int err = db_prepare(u->db, "INSERT INTO frame (module_id, file_off, is_return) VALUES (?, ?, ?)", &ins);

	for (size_t from = 0, to; from < f->n && !err; from = to) {
		u64 module = f->places[from].module;
		bool is_left_out;

		for (to = from; to < f->n && f->places[to].module == module;)
			to++;
		is_left_out = (u->o->libs_only && is_executable_of_a_process(u, module)) || is_settled(u, from, to);
		for (size_t i = from; i < to && !err && !is_left_out; i++)
			err = db_run(
				ins,
				(struct db_val[]){DB_INT(module), DB_INT(f->places[i].key >> 1), DB_INT(f->places[i].key & 1)},
				3);
	}
	return err;
}

static bool is_asked(void *ctx, u64 module)
{
	const struct bundle *u = ctx;

	return !u->o->libs_only || !is_executable_of_a_process(u, module);
}

static int find_names(struct bundle *u)
{
	const struct capture_opts *n = u->o->names;
	const struct symbolize_opts so = {.find = {.capture = u->path,
						   .targets = n->targets,
						   .n_targets = n->n_targets,
						   .debug_dirs = n->debug_dirs,
						   .n_debug_dirs = n->n_debug_dirs,
						   .debuginfod = n->debuginfod}};
	int err =
		sqlite3_open_v2(":memory:", &u->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) == SQLITE_OK ? 0 : -ENOMEM;

	if (n->debuginfod)
		sym_fetch_check();
	if (!err)
		err = db_exec(u->db, "BEGIN");
	if (!err)
		err = db_exec(u->db, schema_sql);
	if (!err)
		err = load_write_modules(&u->dict, u->db);
	if (!err)
		err = put_frames(u);
	if (!err)
		err = bundle_tasks_put(&u->frames, u->db, is_asked, u);
	if (err) {
		log_error("%s: %s", u->path, strerror(-err));
		return err;
	}
	err = symbolize_check_targets(u->db, &so);
	if (err)
		return err; /* it has been said */
	err = symbolize_run(u->db, &so);
	if (!err)
		err = task_names_resolve(u->db, &so);
	if (!err)
		err = bundle_names_init(
			&u->names, &u->dict,
			max_u64(u->check->refs.known[CHECK_STRING].highest, u->check->refs.wanted[CHECK_STRING].highest) + 1,
			max_u64(u->check->refs.known[CHECK_SYMBOL].highest, u->check->refs.wanted[CHECK_SYMBOL].highest) + 1);
	if (!err)
		err = bundle_names_take(&u->names, u->db);
	if (err)
		log_error("%s: names could not be looked up: %s", u->path, strerror(-err));
	return err;
}

/* ---- telling ---- */

static int tell_missing(const struct bundle *u, bundle_told_fn told, void *ctx)
{
	_cleanup_stmt_ sqlite3_stmt *rows = NULL;
	int err = db_prepare(u->db,
			     "SELECT m.id, m.path, coalesce(m.note, 'no names') FROM module AS m WHERE m.symbols IS NULL "
			     "AND m.path NOT LIKE '[%' AND EXISTS (SELECT 1 FROM frame WHERE module_id = m.id) ORDER BY m.id",
			     &rows);

	while (!err) {
		int n = db_step(rows);

		if (n <= 0)
			return n;
		if (!load_symbols_of_module(&u->dict, (u64)sqlite3_column_int64(rows, 0)))
			told(ctx, (const char *)sqlite3_column_text(rows, 1), (const char *)sqlite3_column_text(rows, 2));
	}
	return err;
}

/* What the new file has: what it had, and what came. */
static int count_named(const struct bundle *u, struct bundle_result *ret)
{
	_cleanup_stmt_ sqlite3_stmt *found = NULL;
	const struct frame_set *f = &u->frames;
	int err = db_prepare(u->db,
			     "SELECT 1 FROM frame AS f JOIN symbol AS s ON s.frame_id = f.id "
			     "WHERE f.module_id = ? AND f.file_off = ? AND f.is_return = ? LIMIT 1",
			     &found);
	bool any = false;

	for (size_t i = 0; i < f->n && !err; i++) {
		const struct frame_place *at = &f->places[i];
		bool is_last = i + 1 == f->n || f->places[i + 1].module != at->module;
		int n = load_symbols_find(&u->dict, at->module, at->key) != 0;

		if (!n) {
			err = db_bind(found, (struct db_val[]){DB_INT(at->module), DB_INT(at->key >> 1), DB_INT(at->key & 1)}, 3);
			n = err ? err : db_step(found);
		}
		if (n < 0)
			return n;
		ret->named += (u64)n;
		any |= n > 0;
		ret->modules += is_last;
		ret->modules_named += is_last && any;
		any = any && !is_last;
	}
	ret->frames = f->n;
	ret->added = u->names.n_frames;
	return err;
}

/* ---- the whole ---- */

static int write_names(void *ctx, struct fmt_writer *w)
{
	struct bundle *u = ctx;

	return bundle_names_write(&u->names, w);
}

static int bundle_all(struct bundle *u, bundle_told_fn told, void *ctx, struct bundle_result *ret)
{
	const struct bundle_file_opts fo = {
		.path = u->path, .in = u->fd, .out = u->o->out, .force = u->o->force, .write_more = write_names, .ctx = u};
	int err = read_capture(u);

	if (!err)
		err = find_names(u);
	if (err)
		return err;
	err = tell_missing(u, told, ctx);
	if (!err)
		err = count_named(u, ret);
	if (err) {
		log_error("%s: %s", u->path, strerror(-err));
		return err;
	}
	ret->bytes = ret->bytes_before = u->check->health.file_size;
	if (!u->o->out && !bundle_names_any(&u->names))
		return 0;
	ret->is_written = true;
	return bundle_file_write(&fo, u->r, &ret->bytes);
}

static void bundle_release(struct bundle *u)
{
	bundle_names_release(&u->names);
	db_close(u->db);
	frame_set_release(&u->frames); /* before what it borrows */
	load_dict_release(&u->dict);
	if (u->check)
		check_release(u->check);
	free(u->check);
	fmt_reader_close(u->r);
	if (u->fd >= 0)
		(void)close(u->fd);
}

int bundle_run(const struct bundle_opts *o, bundle_told_fn told, void *ctx, struct bundle_result *ret)
{
	struct bundle u = {
		.o = o, .path = o->names->capture, .fd = open(o->names->capture, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
	int err = 0;

	*ret = (struct bundle_result){0};
	if (u.fd < 0 || capture_file_open(u.path, &u.r) < 0) { /* which says why; the first would fail alike */
		if (u.fd < 0)
			log_error("%s: %s", u.path, strerror(errno));
		err = -EINVAL;
	}
	u.check = err ? NULL : calloc(1, sizeof(*u.check));
	if (!err && !u.check) {
		log_error("%s: %s", u.path, strerror(ENOMEM));
		err = -ENOMEM;
	}
	if (!err)
		err = bundle_all(&u, told, ctx, ret);
	bundle_release(&u);
	return err;
}
