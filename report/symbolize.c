/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* symbolize.c: see symbolize.h. A file whose id does not agree is never used: wrong names are worse than none. */
#include "report/symbolize.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "format/fmt_file_id.h"
#include "report/db.h"
#include "report/frame_kind.h"
#include "report/sym.h"

/* Below this share of code with DWARF a program was built without debug info, and only brings the standard library's. */
#define DWARF_ENOUGH_PERCENT 50

/* One module that has frames. */
struct sym_want {
	u64 id;
	char *path, *build_id, *file_id, *from; /* from: where its names came from; all but path may be NULL */
	bool has_names;
	bool is_good; /* nothing better to look for */
};

static void want_release(struct sym_want *w)
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

/* The file's id as the capture would have it: build-id, else content id; "" when neither can be had. */
struct file_id {
	char build_id[2 * SYM_BUILD_ID_MAX + 1];
	char file_id[FMT_FILE_ID_LEN];
};

static int read_file_id(const char *path, const struct sym_module *m, struct file_id *ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	*ret = (struct file_id){0};
	if (fd < 0)
		return -errno;
	if (sym_module_build_id(m, ret->build_id) < 0)
		ret->build_id[0] = 0;
	return fmt_file_id(fd, ret->file_id);
}

static bool id_matches(const struct file_id *f, const char *build_id, const char *file_id)
{
	if (build_id && *build_id)
		return f->build_id[0] && strcasecmp(f->build_id, build_id) == 0;
	return file_id && *file_id && strcasecmp(f->file_id, file_id) == 0;
}

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

/* Opens path when it is the module's file: 1 and *ret, 0 when it is not there or not that file. why (a buffer) then says which. */
static int open_if_same(const char *path, const struct sym_want *w, struct sym_module **ret, struct buf *why)
{
	_cleanup_module_ struct sym_module *m = NULL;
	struct file_id id;
	int err = sym_module_open(path, &m, NULL);

	if (err == -ENOMEM)
		return err;
	if (!err)
		err = read_file_id(path, m, &id);
	if (err)
		return 0;
	if (!id_matches(&id, w->build_id, w->file_id)) {
		if (!why->len)
			buf_printf(why, "%s is another build (its build-id is %s)", path,
				   id.build_id[0] ? id.build_id : "missing");
		return 0;
	}
	*ret = TAKE_PTR(m);
	return 1;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* DIR/NAME; NULL on ENOMEM. dir NULL is the current directory. */
static char *join_path(const char *dir, const char *name)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (dir)
		buf_printf(&b, "%s/", dir);
	buf_puts(&b, name);
	return buf_take_str(&b);
}

/* The module's path without what the kernel appends to a deleted file's. */
static char *plain_path(const char *path)
{
	static const char deleted[] = " (deleted)";
	size_t n = strlen(path), d = sizeof(deleted) - 1;

	if (n > d && strcmp(path + n - d, deleted) == 0)
		n -= d;
	return strndup(path, n);
}

/* Tries the module's own path, then its name beside the capture and in the current directory. 1 and *ret, *ret_path; 0 none. */
static int find_by_name(const struct sym_want *w, const struct symbolize_opts *o, struct sym_module **ret, char **ret_path,
			struct buf *why)
{
	_cleanup_free_ char *own = plain_path(w->path), *dir_buf = strdup(o->capture);
	char *paths[3] = {0};
	int found = 0;

	if (!own || !dir_buf)
		return -ENOMEM;
	paths[0] = TAKE_PTR(own);
	paths[1] = join_path(dirname(dir_buf), base_name(paths[0]));
	paths[2] = join_path(NULL, base_name(paths[0]));
	for (u32 i = 0; i < ARRAY_SIZE(paths); i++) {
		if (!paths[i])
			found = -ENOMEM;
		if (found)
			break;
		found = open_if_same(paths[i], w, ret, why);
		if (found == 1)
			*ret_path = TAKE_PTR(paths[i]);
	}
	for (u32 i = 0; i < ARRAY_SIZE(paths); i++)
		free(paths[i]);
	return found;
}

/* The best file there is for a module: a --target that is the same build, else by name. */
static int find_file(const struct sym_want *w, const struct symbolize_opts *o, struct sym_module **ret, char **ret_path,
		     struct buf *why)
{
	if (w->path[0] == '[') /* [vdso]: code without a file */
		return 0;
	for (u32 i = 0; i < o->n_targets; i++) {
		_cleanup_buf_ struct buf ignored = BUF_INIT;
		int found = 0;

		if (!w->from || strcmp(w->from, o->targets[i]) != 0) /* it has been asked already */
			found = open_if_same(o->targets[i], w, ret, &ignored);
		if (found < 0)
			return found;
		if (found) {
			*ret_path = strdup(o->targets[i]);
			return *ret_path ? 1 : -ENOMEM;
		}
	}
	return w->has_names ? 0 : find_by_name(w, o, ret, ret_path, why);
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

static int write_frames(sqlite3 *db, const struct sym_want *w, struct sym_module *m, const struct library_table *libraries)
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

static int write_module(sqlite3 *db, const struct sym_want *w, const char *from, const char *symbols, const char *note)
{
	_cleanup_stmt_ sqlite3_stmt *upd = NULL;
	int err = db_prepare(db, "UPDATE module SET symbols_from = ?2, symbols = ?3, note = ?4 WHERE id = ?1", &upd);

	return err ? err : db_run(upd, (struct db_val[]){DB_INT(w->id), db_text(from), db_text(symbols), db_text(note)}, 4);
}

static int write_missing(sqlite3 *db, const struct sym_want *w, const struct buf *why)
{
	_cleanup_buf_ struct buf note = BUF_INIT;
	_cleanup_free_ char *text = NULL;

	if (w->has_names || w->path[0] == '[')
		return 0;
	buf_puts(&note, "no names: ");
	if (why->len)
		buf_put(&note, why->data, why->len);
	else
		buf_printf(&note, "%s is not on this machine", w->path);
	if (w->build_id)
		buf_printf(&note, "; pass the file with build-id %s with --target", w->build_id);
	else
		buf_puts(&note, "; pass the file that ran with --target");
	text = buf_take_str(&note);
	return text ? write_module(db, w, NULL, NULL, text) : -ENOMEM;
}

static int symbolize_module(sqlite3 *db, const struct sym_want *w, const struct symbolize_opts *o)
{
	_cleanup_module_ struct sym_module *m = NULL;
	_cleanup_free_ char *path = NULL;
	_cleanup_buf_ struct buf why = BUF_INIT;
	enum sym_source source;
	const char *note;
	int err = find_file(w, o, &m, &path, &why);

	if (err < 0)
		return err;
	if (!err)
		return write_missing(db, w, &why);
	source = sym_module_source(m);
	note = note_of(source, sym_module_dwarf_percent(m));
	if (source != SYM_NONE && note && is_system_library(w->path))
		note = NULL;
	if (source == SYM_NONE)
		return w->has_names ? 0 : write_module(db, w, NULL, NULL, note);
	err = write_frames(db, w, m, o->libraries);
	return err ? err : write_module(db, w, path, source == SYM_DWARF ? "dwarf" : "symtab", note);
}

typedef int (*want_fn)(sqlite3 *db, const struct sym_want *w, const struct symbolize_opts *o);

/* Calls fn for each module with frames for which better names may exist, until it returns other than 0. */
static int for_each_want(sqlite3 *db, const struct symbolize_opts *o, want_fn fn)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int err = db_prepare(
		db,
		"SELECT id, path, build_id, file_id, symbols IS NOT NULL, symbols IS NOT NULL AND note IS NULL, symbols_from "
		"FROM module AS m "
		"WHERE path <> '[kernel]' AND EXISTS (SELECT 1 FROM frame WHERE module_id = m.id) ORDER BY id",
		&s);

	while (!err) {
		struct sym_want w = {0};
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
		if (!err && w.path && !w.is_good && (!w.has_names || o->n_targets))
			err = fn(db, &w, o);
		want_release(&w);
	}
	return err;
}

int symbolize_run(sqlite3 *db, const struct symbolize_opts *o)
{
	int err = for_each_want(db, o, symbolize_module);

	log_status_end();
	return err;
}

static int is_better(sqlite3 *db, const struct sym_want *w, const struct symbolize_opts *o)
{
	_cleanup_module_ struct sym_module *m = NULL;
	_cleanup_free_ char *path = NULL;
	_cleanup_buf_ struct buf why = BUF_INIT;
	int err = find_file(w, o, &m, &path, &why);

	(void)db;
	return err == 1 ? sym_module_source(m) != SYM_NONE : err;
}

int symbolize_is_needed(sqlite3 *db, const struct symbolize_opts *o)
{
	return for_each_want(db, o, is_better);
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

static int refuse_target(sqlite3 *db, const char *target, const struct file_id *id)
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
		target, id->build_id[0] ? id->build_id : "missing", *list ? list : " no modules");
	return -EINVAL;
}

static int check_target(sqlite3 *db, const char *target)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	_cleanup_module_ struct sym_module *m = NULL;
	const char *why = NULL;
	struct file_id id;
	int err = sym_module_open(target, &m, &why);

	if (!err)
		err = read_file_id(target, m, &id);
	if (err) {
		log_error("--target %s: %s", target, err == -ENOEXEC && why ? why : strerror(-err));
		return err;
	}
	err = db_prepare(db, "SELECT build_id, file_id FROM module", &s);
	while (!err) {
		int n = db_step(s);

		if (n < 0)
			return n;
		if (!n)
			return refuse_target(db, target, &id);
		if (id_matches(&id, (const char *)sqlite3_column_text(s, 0), (const char *)sqlite3_column_text(s, 1)))
			return 0;
	}
	return err;
}

int symbolize_check_targets(sqlite3 *db, const struct symbolize_opts *o)
{
	int err = 0;

	for (u32 i = 0; i < o->n_targets && !err; i++)
		err = check_target(db, o->targets[i]);
	return err;
}
