/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* symbolize.c: see symbolize.h. A file whose id does not agree is never used: wrong names are worse than none. */
#include "report/symbolize.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "report/db.h"
#include "report/frame_kind.h"
#include "report/sym.h"

/* Below this share of code with DWARF a program was built without debug info, and only brings the standard library's. */
#define DWARF_ENOUGH_PERCENT 50

/* One module that has frames. */
struct module {
	u64 id;
	char *path, *build_id, *file_id, *from; /* from: where its names came from; all but path may be NULL */
	bool has_names;
	bool is_good; /* nothing better to look for */
};

static void module_release(struct module *w)
{
	free(w->path);
	free(w->build_id);
	free(w->file_id);
	free(w->from);
}

static void cleanup_module_p(struct sym_module **m)
{
	*m = sym_module_close(*m);
}
#define _cleanup_module_ _cleanup_(cleanup_module_p)

/* Text of a column, "" copied as NULL; *err is set on ENOMEM. */
static char *copy_text(sqlite3_stmt *s, int col, int *err)
{
	const char *t = (const char *)sqlite3_column_text(s, col);
	char *copy;

	if (!t || !*t)
		return NULL;
	copy = strdup(t);
	if (!copy)
		*err = -ENOMEM;
	return copy;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int write_frame(sqlite3_stmt *ins, u64 frame_id, const struct sym_frame *f, int n, const char *module_path,
		       const struct library_table *libraries)
{
	int err = 0;

	for (int i = 0; i < n && !err; i++) {
		struct db_val v[] = {
			DB_INT(frame_id),
			DB_INT(i),
			db_text(f[i].function ? f[i].function : "?"),
			db_text(f[i].file),
			db_opt(f[i].line),
			DB_INT(f[i].inlined),
			db_text(frame_kind_name(frame_kind_of(libraries, f[i].function, f[i].file, module_path))),
		};

		err = db_run(ins, v, ARRAY_SIZE(v));
	}
	return err;
}

static int write_frames(sqlite3 *db, const struct module *w, struct sym_module *m, const struct library_table *libraries)
{
	_cleanup_stmt_ sqlite3_stmt *sel = NULL, *ins = NULL, *del = NULL;
	struct sym_frame frames[SYM_MAX_INLINE];
	u64 done = 0;
	int err = db_prepare(db, "SELECT id, file_off, is_return FROM frame WHERE module_id = ? ORDER BY file_off", &sel);

	if (!err)
		err = db_prepare(db, "INSERT INTO symbol VALUES (?, ?, ?, ?, ?, ?, ?)", &ins);
	if (!err)
		err = db_prepare(db, "DELETE FROM symbol WHERE frame_id IN (SELECT id FROM frame WHERE module_id = ?)", &del);
	if (!err)
		err = db_run(del, (struct db_val[]){DB_INT(w->id)}, 1);
	if (!err)
		err = db_bind(sel, (struct db_val[]){DB_INT(w->id)}, 1);
	while (!err) {
		int n = db_step(sel);

		if (n <= 0)
			return n;
		if (++done % 64 == 0)
			log_status("symbolizing %s: %llu frames", base_name(w->path), (unsigned long long)done);
		n = sym_module_lookup(m, (u64)sqlite3_column_int64(sel, 1), sqlite3_column_int(sel, 2) != 0, frames,
				      SYM_MAX_INLINE);
		if (n == -ENOMEM)
			return n;
		if (n > 0) /* a lookup that fails leaves this frame without a name */
			err = write_frame(ins, (u64)sqlite3_column_int64(sel, 0), frames, n, w->path, libraries);
	}
	return err;
}

/* What a reader should know about the names of a module; NULL when all is well. */
static const char *note_of(enum sym_source source, u32 dwarf_percent)
{
	if (source == SYM_NONE)
		return "no names: the file is stripped; pass the unstripped one of the same build with --target";
	if (source == SYM_SYMTAB || dwarf_percent < DWARF_ENOUGH_PERCENT)
		return "no line numbers: built without debug info; build with debug = \"line-tables-only\", or pass the same build "
		       "with debug info with --target";
	return NULL;
}

/* Only Rust programs and their kin are worth a note about lines: nobody passes a libc with debug info. */
static bool is_system_library(const char *path)
{
	return strncmp(path, "/lib", 4) == 0 || strncmp(path, "/usr/lib", 8) == 0;
}

static int write_module(sqlite3 *db, const struct module *w, const char *from, const char *symbols, const char *note)
{
	_cleanup_stmt_ sqlite3_stmt *upd = NULL;
	int err = db_prepare(db, "UPDATE module SET symbols_from = ?2, symbols = ?3, note = ?4 WHERE id = ?1", &upd);

	return err ? err : db_run(upd, (struct db_val[]){DB_INT(w->id), db_text(from), db_text(symbols), db_text(note)}, 4);
}

static int write_missing(sqlite3 *db, const struct module *w, const char *why)
{
	_cleanup_buf_ struct buf note = BUF_INIT;
	_cleanup_free_ char *text = NULL;

	if (w->has_names || w->path[0] == '[')
		return 0;
	buf_puts(&note, "no names: ");
	if (why)
		buf_puts(&note, why);
	else
		buf_printf(&note, "%s is not on this machine", w->path);
	if (w->build_id)
		buf_printf(&note, "; pass the file with build-id %s with --target, or its directory with --debug-dir",
			   w->build_id);
	else
		buf_puts(&note, "; pass the file that ran with --target");
	text = buf_take_str(&note);
	return text ? write_module(db, w, NULL, NULL, text) : -ENOMEM;
}

/* Where names come from, as table module has it: the file they are in, not the one with the code. */
static const char *found_in(const struct sym_found *found)
{
	return found->debug_path ? found->debug_path : found->path;
}

/* Finds the files of a module: 1, 0 none or those that were asked already, negative errno. */
static int find_files(const struct module *w, const struct symbolize_opts *o, struct sym_found *ret)
{
	const struct sym_want want = {.path = w->path, .build_id = w->build_id, .file_id = w->file_id};
	int n = sym_find(&o->find, &want, ret);

	return n == 1 && w->from && strcmp(w->from, found_in(ret)) == 0 ? 0 : n;
}

/* What sym_module calls back for split DWARF. */
struct split_source {
	const struct symbolize_opts *o;
	const struct module *w;
	const struct sym_found *found;
};

static int open_split(void *ctx, const struct sym_split_want *split)
{
	const struct split_source *s = ctx;
	const struct sym_want want = {.path = s->w->path, .build_id = s->w->build_id, .file_id = s->w->file_id};

	return sym_find_split(&s->o->find, &want, s->found, split);
}

static int name_module(sqlite3 *db, const struct module *w, const struct symbolize_opts *o, const struct sym_found *found)
{
	_cleanup_module_ struct sym_module *m = NULL;
	struct split_source split = {.o = o, .w = w, .found = found};
	struct sym_input in = {
		.fd = found->fd, .debug_fd = found->debug_fd, .alt_fd = found->alt_fd, .open_split = open_split, .ctx = &split};
	const char *note, *why = NULL;
	enum sym_source source;
	int err = sym_module_open_fd(&in, &m, &why);

	if (err == -ENOMEM)
		return err;
	if (err)
		return write_missing(db, w, why);
	source = sym_module_source(m);
	note = note_of(source, sym_module_dwarf_percent(m));
	if (source != SYM_NONE && note && is_system_library(w->path))
		note = NULL;
	if (source == SYM_NONE)
		return w->has_names ? 0 : write_module(db, w, found_in(found), NULL, note);
	err = write_frames(db, w, m, o->libraries);
	return err ? err : write_module(db, w, found_in(found), source == SYM_DWARF ? "dwarf" : "symtab", note);
}

static int symbolize_module(sqlite3 *db, const struct module *w, const struct symbolize_opts *o)
{
	_cleanup_(sym_found_release) struct sym_found found;
	int n = find_files(w, o, &found);

	if (n < 0)
		return n;
	if (n && w->has_names && !found.facts.has_dwarf) /* no better than what there is */
		return 0;
	return n ? name_module(db, w, o, &found) : write_missing(db, w, found.why);
}

typedef int (*module_fn)(sqlite3 *db, const struct module *w, const struct symbolize_opts *o);

/* Calls fn for each module with frames for which better names may exist, until it returns other than 0. */
static int for_each_module(sqlite3 *db, const struct symbolize_opts *o, module_fn fn)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int err = db_prepare(
		db,
		"SELECT id, path, build_id, file_id, symbols IS NOT NULL, symbols = 'dwarf' AND note IS NULL, symbols_from "
		"FROM module AS m "
		"WHERE path <> '[kernel]' AND EXISTS (SELECT 1 FROM frame WHERE module_id = m.id) ORDER BY id",
		&s);

	while (!err) {
		struct module w = {0};
		int n = db_step(s);

		if (n <= 0)
			return n;
		w.id = (u64)sqlite3_column_int64(s, 0);
		w.path = copy_text(s, 1, &err);
		w.build_id = copy_text(s, 2, &err);
		w.file_id = copy_text(s, 3, &err);
		w.from = copy_text(s, 6, &err);
		w.has_names = sqlite3_column_int(s, 4) != 0;
		w.is_good = sqlite3_column_int(s, 5) != 0;
		if (!err && w.path && !w.is_good)
			err = fn(db, &w, o);
		module_release(&w);
	}
	return err;
}

int symbolize_run(sqlite3 *db, const struct symbolize_opts *o)
{
	int err = for_each_module(db, o, symbolize_module);

	log_status_end();
	return err;
}

/* Whether it can give names is seen by its headers: only the child reads more. */
static int is_better(sqlite3 *db, const struct module *w, const struct symbolize_opts *o)
{
	_cleanup_(sym_found_release) struct sym_found found;
	int n = find_files(w, o, &found);

	(void)db;
	return n == 1 ? found.facts.has_dwarf || !w->has_names : n;
}

int symbolize_is_needed(sqlite3 *db, const struct symbolize_opts *o)
{
	return for_each_module(db, o, is_better);
}

/* The programs of the capture, for the message about a --target that is none of them: those first whose name is the same. */
static int list_programs(sqlite3 *db, const char *target, struct buf *ret)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int err = db_prepare(
		db,
		"SELECT path, coalesce(build_id, 'none, file id ' || file_id, 'none') FROM module AS m WHERE path NOT LIKE '[%' "
		"ORDER BY path NOT LIKE '%/' || ?1, NOT EXISTS (SELECT 1 FROM process WHERE exe = m.path), id LIMIT 3",
		&s);

	if (!err)
		err = db_bind(s, (struct db_val[]){db_text(base_name(target))}, 1);
	while (!err) {
		int n = db_step(s);

		if (n <= 0)
			return n;
		buf_printf(ret, "\n  %s: build-id %s", (const char *)sqlite3_column_text(s, 0),
			   (const char *)sqlite3_column_text(s, 1));
	}
	return err;
}

static int refuse_target(sqlite3 *db, const char *target, const struct sym_file *file)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *list = NULL;
	int err = list_programs(db, target, &b);

	list = buf_take_str(&b);
	if (err)
		return err;
	if (!list)
		return -ENOMEM;
	log_error(
		"--target %s was not recorded: its build-id is %s, the capture has%s\n"
		"Pass the file that ran (same build; an unstripped copy has the same build-id), or leave --target out to see addresses.",
		target, file->build_id[0] ? file->build_id : "missing", *list ? list : " no modules");
	return -EINVAL;
}

static int check_target(sqlite3 *db, const char *target)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	const char *why = NULL;
	struct sym_file file;
	_cleanup_close_ int fd = sym_file_open(target, &file, &why);
	int err;

	if (fd < 0) {
		log_error("--target %s: %s", target, fd == -ENOEXEC && why ? why : strerror(-fd));
		return fd;
	}
	err = db_prepare(db, "SELECT build_id, file_id FROM module", &s);
	while (!err) {
		int n = db_step(s);

		if (n < 0)
			return n;
		if (!n)
			return refuse_target(db, target, &file);
		if (sym_file_is(&file, (const char *)sqlite3_column_text(s, 0), (const char *)sqlite3_column_text(s, 1)))
			return 0;
	}
	return err;
}

int symbolize_check_targets(sqlite3 *db, const struct symbolize_opts *o)
{
	int err = 0;

	for (u32 i = 0; i < o->find.n_targets && !err; i++)
		err = check_target(db, o->find.targets[i]);
	return err;
}
