/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* symbolize.c: see symbolize.h. A file whose id does not agree is never used: wrong names are worse than none. */
#include "report/symbolize.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/buf.h"
#include "base/log.h"
#include "report/db.h"
#include "report/sym_child.h"
#include "report/sym_store.h"

/* Below this share of code with DWARF a program was built without debug info, and only brings the standard library's. */
#define DWARF_ENOUGH_PERCENT 50

#define JOBS_AT_ONCE	2
#define STATUS_EVERY_MS 100

/* In table meta, of a module (?1) whose reader failed: why. */
#define UNREADABLE_KEY "'ascope.unreadable.' || ?1"

/* One module that has frames. */
struct module {
	u64 id;
	char *path, *build_id, *file_id, *from; /* from: where its names came from; all but path may be NULL */
	bool has_names;
};

/* A module whose names are being read. */
struct job {
	struct module module;
	struct sym_found found;
	struct sym_frames frames;
	struct sym_input in;
	const struct symbolize_opts *o;
	struct sym_child *child; /* NULL: not started, or over */
};

static void module_release(struct module *w)
{
	free(w->path);
	free(w->build_id);
	free(w->file_id);
	free(w->from);
}

#define JOB_NONE                                                                                                                 \
	{                                                                                                                        \
		.found = {.fd = -1, .debug_fd = -1, .alt_fd = -1 }                                                               \
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

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
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

	return n == 1 && w->from && strcmp(w->from, ret->from) == 0 ? 0 : n;
}

/* What the child asks for: files of split DWARF. */
static int open_split(void *ctx, const struct sym_split_want *split)
{
	const struct job *j = ctx;
	const struct sym_want want = {.path = j->module.path, .build_id = j->module.build_id, .file_id = j->module.file_id};

	return sym_find_split(&j->o->find, &want, &j->found, split);
}

/*
 * The reader failed. What is written is not tried again while the same file is found (find_files()), so that a report that is
 * opened often does not wait each time.
 */
static int write_failed(sqlite3 *db, const struct job *j, const char *why)
{
	_cleanup_buf_ struct buf note = BUF_INIT;
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	_cleanup_free_ char *text = NULL;
	const struct module *m = &j->module;
	int err;

	buf_printf(&note, "%s: the debug info of %s could not be read (%s)", m->has_names ? "no line numbers" : "no names",
		   found_in(&j->found), why);
	if (!m->has_names)
		buf_puts(&note, "; pass another file of the same build with --target");
	text = buf_take_str(&note);
	err = text ? db_prepare(db, "INSERT OR REPLACE INTO meta VALUES (" UNREADABLE_KEY ", ?2)", &ins) : -ENOMEM;
	if (!err)
		err = db_run(ins, (struct db_val[]){DB_INT(m->id), db_text(why)}, 2);
	return err ? err : write_module(db, m, j->found.from, m->has_names ? "symtab" : NULL, text);
}

/* What the file's debug information leads to and is not there; *ret NULL when nothing is missing. */
static int note_missing_parts(const struct job *j, const struct sym_answers *a, char **ret)
{
	_cleanup_buf_ struct buf note = BUF_INIT;
	u32 n = a->done.split_missing;

	*ret = NULL;
	if (j->found.why)
		buf_printf(&note, "names are missing: %s; pass its directory with --debug-dir", j->found.why);
	else if (n)
		buf_printf(&note,
			   "names are missing: the debug information of %u unit%s is in %s.dwp or in .dwo files that are not on "
			   "this machine; pass their directory with --debug-dir",
			   n, n == 1 ? "" : "s", base_name(j->module.path));
	else
		return 0;
	*ret = buf_take_str(&note);
	return *ret ? 0 : -ENOMEM;
}

static int write_named(sqlite3 *db, const struct job *j, const struct sym_answers *a)
{
	const struct module *m = &j->module;
	enum sym_source source = (enum sym_source)a->opened.source;
	const char *note = note_of(source, a->opened.dwarf_percent);
	_cleanup_stmt_ sqlite3_stmt *del = NULL;
	_cleanup_free_ char *missing = NULL;
	int err = db_prepare(db, "DELETE FROM meta WHERE key = " UNREADABLE_KEY, &del);

	if (!err)
		err = db_run(del, (struct db_val[]){DB_INT(m->id)}, 1);
	if (err)
		return err;
	if (source != SYM_NONE && note && is_system_library(m->path))
		note = NULL;
	if (source == SYM_NONE)
		return m->has_names ? 0 : write_module(db, m, j->found.from, NULL, note);
	err = sym_store_names(db, &j->frames, a, m->path, j->o->libraries);
	if (!err)
		err = note_missing_parts(j, a, &missing);
	if (missing)
		note = missing;
	return err ? err : write_module(db, m, j->found.from, source == SYM_DWARF ? "dwarf" : "symtab", note);
}

/* ---- jobs ---- */

static void job_release(struct job *j)
{
	j->child = sym_child_close(j->child);
	sym_frames_release(&j->frames);
	sym_found_release(&j->found);
	module_release(&j->module);
	*j = (struct job)JOB_NONE;
}

/* Starts what is to be read for a module: 1, 0 there is nothing (which is written), negative errno. */
static int job_start(sqlite3 *db, struct job *j, const struct symbolize_opts *o)
{
	struct module *m = &j->module;
	int n, err;

	j->o = o;
	n = find_files(m, o, &j->found);
	if (n < 0)
		return n;
	if (n && m->has_names && !j->found.facts.has_dwarf) /* no better than what there is */
		return 0;
	if (!n) /* what was asked already has its note */
		return j->found.path ? 0 : write_missing(db, m, j->found.why);
	err = sym_frames_load(&j->frames, db, m->id, !m->has_names);
	if (err)
		return err;
	j->in = (struct sym_input){
		.fd = j->found.fd, .debug_fd = j->found.debug_fd, .alt_fd = j->found.alt_fd, .open_split = open_split, .ctx = j};
	err = sym_child_start(o->child, &j->in, j->frames.lookups, j->frames.n, &j->child);
	if (err == -ENOMEM)
		return err;
	return err ? write_failed(db, j, strerror(-err)) : 1;
}

static int job_finish(sqlite3 *db, const struct job *j)
{
	const struct sym_child *c = j->child;

	log_debug("%s: sandbox layers %x, %s", found_in(&j->found), sym_child_answers(c)->opened.layers,
		  sym_child_outcome(c) == SYM_CHILD_OK ? "read" : sym_child_why(c));
	switch (sym_child_outcome(c)) {
	case SYM_CHILD_OK:
		return write_named(db, j, sym_child_answers(c));
	case SYM_CHILD_REFUSED:
	case SYM_CHILD_CRASHED:
	case SYM_CHILD_TIME:
	case SYM_CHILD_MEMORY:
	case SYM_CHILD_BROKEN:
		return write_failed(db, j, sym_child_why(c));
	case SYM_CHILD_RUNNING:
		break;
	}
	return -EINVAL;
}

/* The jobs that run; those that are over are finished and taken out. */
struct jobs {
	struct job *v[JOBS_AT_ONCE];
	u32 n;
};

static int jobs_step(sqlite3 *db, struct jobs *jobs)
{
	struct sym_child *children[JOBS_AT_ONCE];
	int err;

	for (u32 i = 0; i < jobs->n; i++)
		children[i] = jobs->v[i]->child;
	err = sym_child_step(children, jobs->n, STATUS_EVERY_MS);
	if (!err && jobs->n)
		log_status("symbolizing %s: %llu of %llu frames", base_name(jobs->v[0]->module.path),
			   (unsigned long long)sym_child_answers(children[0])->n_lookups_done,
			   (unsigned long long)jobs->v[0]->frames.n);
	for (u32 i = 0; i < jobs->n && !err;) {
		struct job *j = jobs->v[i];

		if (sym_child_outcome(j->child) == SYM_CHILD_RUNNING) {
			i++;
			continue;
		}
		err = job_finish(db, j);
		job_release(j);
		jobs->v[i] = jobs->v[--jobs->n];
	}
	return err;
}

static int run_jobs(sqlite3 *db, const struct symbolize_opts *o, struct job *all, u32 n)
{
	struct jobs jobs = {.n = 0};
	u32 next = 0;
	int err = 0;

	/* fork(2) takes 1 ms, and 0.1-0.3 ms more for each megabyte in use (measured); what loading has left is given back first. */
	if (n) {
		(void)sqlite3_db_release_memory(db);
		(void)malloc_trim(0);
	}
	while (!err && (next < n || jobs.n)) {
		if (next == n || jobs.n == JOBS_AT_ONCE) {
			err = jobs_step(db, &jobs);
			continue;
		}
		err = job_start(db, &all[next], o);
		if (err > 0) {
			jobs.v[jobs.n++] = &all[next];
			err = 0;
		} else {
			job_release(&all[next]);
		}
		next++;
	}
	return err;
}

/* ---- modules ---- */

/* Modules with frames for which better names may exist; owned by the caller, each as the module of a job. */
static int list_modules(sqlite3 *db, struct job **ret, u32 *ret_n)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int err = db_prepare(
		db,
		"SELECT id, path, build_id, file_id, symbols IS NOT NULL, symbols = 'dwarf' AND note IS NULL, symbols_from "
		"FROM module AS m "
		"WHERE path <> '[kernel]' AND EXISTS (SELECT 1 FROM frame WHERE module_id = m.id) ORDER BY id",
		&s);
	size_t cap = 0;

	while (!err) {
		struct module w = {0};
		int n = db_step(s);

		if (n <= 0)
			return n;
		if (sqlite3_column_int(s, 5))
			continue;
		if (ARRAY_ROOM(*ret, *ret_n, &cap) < 0)
			return -ENOMEM;
		w.id = (u64)sqlite3_column_int64(s, 0);
		w.path = copy_text(s, 1, &err);
		w.build_id = copy_text(s, 2, &err);
		w.file_id = copy_text(s, 3, &err);
		w.from = copy_text(s, 6, &err);
		w.has_names = sqlite3_column_int(s, 4) != 0;
		if (err || !w.path) {
			module_release(&w);
			continue;
		}
		(*ret)[*ret_n] = (struct job)JOB_NONE;
		(*ret)[(*ret_n)++].module = w;
	}
	return err;
}

static void jobs_free(struct job *v, u32 n)
{
	for (u32 i = 0; i < n; i++)
		job_release(&v[i]);
	free(v);
}

int symbolize_run(sqlite3 *db, const struct symbolize_opts *o)
{
	struct job *all = NULL;
	u32 n = 0;
	int err = list_modules(db, &all, &n);

	if (!err)
		err = run_jobs(db, o, all, n);
	jobs_free(all, n);
	log_status_end();
	return err;
}

/* Whether it can give names is seen by its headers: only the child reads more. */
static int is_better(const struct module *w, const struct symbolize_opts *o)
{
	_cleanup_(sym_found_release) struct sym_found found;
	int n = find_files(w, o, &found);

	return n == 1 ? found.facts.has_dwarf || !w->has_names : n;
}

int symbolize_is_needed(sqlite3 *db, const struct symbolize_opts *o)
{
	struct job *all = NULL;
	u32 n = 0;
	int is = list_modules(db, &all, &n);

	for (u32 i = 0; i < n && !is; i++)
		is = is_better(&all[i].module, o);
	jobs_free(all, n);
	return is;
}

int symbolize_has_failed(sqlite3 *db)
{
	s64 n = 0;
	int err = db_get_s64(db, "SELECT count(*) FROM meta WHERE key GLOB 'ascope.unreadable.*'", &n);

	return err ? err : n > 0;
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
