/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * capture_db.c: see capture_db.h.
 *
 *	database there and of this capture? --yes--> names missing that can be had? --yes--> add them --> open read-only
 *	                |no                                          |no -----------------------------------^
 *	                +--> load into TEMP beside it, symbolize, rename ------------------------------------^
 *
 * A database under its final name is always whole: what fails leaves only a TEMP, which is removed.
 */
#include "report/capture_db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/log.h"
#include "report/capture_file.h"
#include "report/carry_names.h"
#include "report/db.h"
#include "report/db_file.h"
#include "report/load.h"
#include "report/refine.h"
#include "report/schema.h"
#include "report/sym_fetch.h"
#include "report/symbolize.h"
#include "report/task_names.h"
#include "version.h"

struct capture_db {
	sqlite3 *handle;
	bool is_partial;
	char *path; /* of the file; NULL: it has no name */
};

/* What is being opened, and where its database is or goes. */
struct opening {
	const struct capture_opts *o;
	struct load_source src;
	char uuid[33];
	char *path;		/* of the database, once chosen */
	const char *names_from; /* a database of this capture with fewer rows, in place of which one is made; NULL none */
	struct library_table *libraries;
};

int capture_opt_target(void *ctx, const char *value)
{
	struct capture_opts *o = ctx;

	if (o->n_targets == CAPTURE_MAX_TARGETS) {
		log_error("more than %d --target options", CAPTURE_MAX_TARGETS);
		return -EINVAL;
	}
	o->targets[o->n_targets++] = value;
	return 0;
}

int capture_opt_debug_dir(void *ctx, const char *value)
{
	struct capture_opts *o = ctx;

	if (o->n_debug_dirs == CAPTURE_MAX_DEBUG_DIRS) {
		log_error("more than %d --debug-dir options", CAPTURE_MAX_DEBUG_DIRS);
		return -EINVAL;
	}
	if (!*value) {
		log_error("--debug-dir needs a directory");
		return -EINVAL;
	}
	o->debug_dirs[o->n_debug_dirs++] = value;
	return 0;
}

int capture_opt_libraries(void *ctx, const char *value)
{
	struct capture_opts *o = ctx;

	if (o->n_libraries == LIBRARY_MAX_FILES) {
		log_error("more than %d --libraries options", LIBRARY_MAX_FILES);
		return -EINVAL;
	}
	o->libraries[o->n_libraries++] = value;
	return 0;
}

static struct symbolize_opts symbolize_opts_of(const struct opening *op)
{
	return (struct symbolize_opts){.find = {.capture = op->o->capture,
						.targets = op->o->targets,
						.n_targets = op->o->n_targets,
						.debug_dirs = op->o->debug_dirs,
						.n_debug_dirs = op->o->n_debug_dirs,
						.debuginfod = op->o->debuginfod},
				       .libraries = op->libraries};
}

/* What every -ENOMEM of this file but make_db()'s has been said by. */
static int no_memory(const struct opening *op)
{
	log_error("%s: %s", op->o->capture, strerror(ENOMEM));
	return -ENOMEM;
}

/* ---- reuse ---- */

/* 1 when the text in column `col` is s. */
static bool column_is(sqlite3_stmt *row, int col, const char *s)
{
	const char *t = (const char *)sqlite3_column_text(row, col);

	return t && strcmp(t, s) == 0;
}

/* enum capture_rows of a database */
#define ROWS_SQL "(SELECT value = 'all' FROM meta WHERE key = 'ascope.rows')"

/* What made a database. Another ascope may have other columns, or come to other results from the same capture. */
struct maker_text {
	char s[96];
};

static struct maker_text maker_text(void)
{
	struct maker_text t;
	u64 hash = XXH3_64bits(schema_sql, strlen(schema_sql));

	hash = XXH3_64bits_withSeed(views_sql, strlen(views_sql), hash);
	(void)snprintf(t.s, sizeof(t.s), "%s %s %016llx", ASCOPE_VERSION, ASCOPE_GIT_ID, (unsigned long long)hash);
	return t;
}

static int note_maker(sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	struct maker_text maker = maker_text();
	int err = db_prepare(db, "INSERT OR REPLACE INTO meta VALUES ('ascope.maker', ?)", &ins);

	return err ? err : db_run(ins, (struct db_val[]){db_text(maker.s)}, 1);
}

/* 1: it says that it is of this capture, made by this very ascope, with rows enough; 0: not, or with too few rows (*ret_has_names). */
static int is_wanted(const struct opening *op, sqlite3 *db, bool *ret_has_names)
{
	_cleanup_stmt_ sqlite3_stmt *row = NULL;

	*ret_has_names = false;
	if (db_prepare(db,
		       "SELECT uuid, size, mtime, (SELECT value FROM meta WHERE key = 'ascope.maker'), " ROWS_SQL " FROM capture",
		       &row) < 0 ||
	    db_step(row) != 1)
		return 0;
	if (!column_is(row, 0, op->uuid) || (u64)sqlite3_column_int64(row, 1) != op->src.size ||
	    (u64)sqlite3_column_int64(row, 2) != op->src.mtime || !column_is(row, 3, maker_text().s))
		return 0;
	*ret_has_names = sqlite3_column_int(row, 4) < (int)op->o->rows;
	return !*ret_has_names;
}

/*
 * 1: a database of ascope, made from this capture by this very ascope; 0: of ascope, but stale, or with too few rows (*ret_has_names); -EEXIST:
 * something else; negative errno: not there or unreadable.
 */
static int check_db(const struct opening *op, const char *path, bool *ret_has_names)
{
	_cleanup_db_ sqlite3 *db = NULL;
	s64 application_id = 0, version = 0;
	int err = access(path, F_OK) < 0 ? -errno : db_open_ro(path, &db);

	*ret_has_names = false;
	if (err)
		return err;
	err = db_get_s64(db, "PRAGMA application_id", &application_id);
	if (err == -EBADMSG || (!err && application_id != SCHEMA_APPLICATION_ID))
		return -EEXIST;
	if (!err)
		err = db_get_s64(db, "PRAGMA user_version", &version);
	if (err || version != SCHEMA_VERSION)
		return err;
	return schema_matches(db) == 1 ? is_wanted(op, db, ret_has_names) : 0;
}

/* ---- making ---- */

static int add_names(sqlite3 *db, const struct opening *op)
{
	struct symbolize_opts so = symbolize_opts_of(op);
	int err = symbolize_run(db, &so);

	if (!err)
		err = task_names_resolve(db, &so);
	return err ? err : refine_run(db, op->libraries);
}

static int symbolize(sqlite3 *db, const struct opening *op)
{
	struct symbolize_opts so = symbolize_opts_of(op);
	int err = db_exec(db, "BEGIN");

	if (!err)
		err = symbolize_run(db, &so);
	if (!err)
		err = task_names_resolve(db, &so);
	return err ? err : db_exec(db, "COMMIT");
}

static int fill_db(sqlite3 *db, struct fmt_reader *r, const struct opening *op)
{
	int err = db_exec(db, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;"
			      "PRAGMA threads = 2; PRAGMA temp_store = MEMORY;"
			      /* what is loaded comes from enumerations, and is checked against them in tests */
			      "PRAGMA ignore_check_constraints = 1");

	if (!err)
		err = load_capture(db, r, &op->src);
	if (!err) /* what follows looks at the same rows several times */
		err = db_exec(db, "PRAGMA cache_size = -65536");
	if (!err)
		err = note_maker(db);
	if (!err)
		err = symbolize(db, op);
	if (!err && op->names_from)
		err = carry_names(db, op->names_from);
	if (!err)
		err = db_exec(db, "BEGIN");
	if (!err)
		err = refine_run(db, op->libraries);
	if (!err)
		err = db_exec(db, "COMMIT; PRAGMA analysis_limit = 400; ANALYZE");
	log_status_end();
	return err;
}

/* Fills the new, empty file. 0, or negative errno after the reason was logged. */
static int make_db(const char *temp, struct fmt_reader *r, const struct opening *op)
{
	_cleanup_db_ sqlite3 *db = NULL;
	int err = db_open_rw(temp, &db);

	if (!err)
		err = fill_db(db, r, op);
	log_status_end();
	if (!err) {
		db = db_close(db);
		err = db_file_sync(temp);
	}
	if (err)
		log_error("cannot load %s into %s: %s%s", op->o->capture, temp,
			  db && err == -EINVAL ? sqlite3_errmsg(db) : strerror(-err),
			  err == -ENOSPC ? "; make room, or choose another place with --db FILE" : "");
	return err;
}

/* 0; 1: another process made one meanwhile, which may have more rows, and it stays. */
static int take_place(const struct opening *op, const char *temp, const char *path)
{
	bool has_names;
	int err;

	if (check_db(op, path, &has_names) == 1)
		return 1;
	err = db_file_replace(temp, path);
	if (err == -EBUSY)
		log_error("cannot replace %s: another process has been writing to it for %d s; run again, or use --no-cache",
			  path, DB_FILE_WAIT_MS / 1000);
	else if (err)
		log_error("cannot rename %s to %s: %s", temp, path, strerror(-err));
	return err;
}

/*
 * Loads into a temporary beside path and renames it: 0, or 1 when one that another process made is there by then. -EACCES, -EROFS, -ENOENT without a
 * word when nothing can be created there; else it has said why.
 */
static int build_at(const struct opening *op, struct fmt_reader *r, const char *path)
{
	_cleanup_free_ char *temp = NULL;
	int err = db_file_create_temp(path, &temp);

	if (err == -EACCES || err == -EROFS || err == -ENOENT || err == -EPERM)
		return err == -EPERM ? -EACCES : err;
	if (err == -ENOMEM)
		return no_memory(op);
	if (err) {
		log_error("cannot create a temporary file beside %s: %s", path, strerror(-err));
		return -EINVAL;
	}
	err = make_db(temp, r, op);
	if (!err)
		err = take_place(op, temp, path);
	(void)unlink(temp); /* gone when it has its name */
	return err < 0 ? -EINVAL : err;
}

/* ---- where ---- */

/* $XDG_CACHE_HOME/ascope/UUID.db with its directories; -ENOENT when neither XDG_CACHE_HOME nor HOME is set. */
static int cache_path(const struct opening *op, char **ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *dir = NULL;
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (xdg && xdg[0] == '/') {
		(void)mkdir(xdg, 0700);
		buf_puts(&b, xdg);
	} else if (home && home[0] == '/') {
		buf_printf(&b, "%s/.cache", home);
	} else {
		return -ENOENT;
	}
	buf_putc(&b, 0);
	if (buf_err(&b))
		return no_memory(op);
	(void)mkdir((const char *)b.data, 0700);
	b.len--;
	buf_puts(&b, "/ascope");
	dir = buf_take_str(&b);
	if (!dir)
		return no_memory(op);
	(void)mkdir(dir, 0700);
	buf_printf(&b, "%s/%s.db", dir, op->uuid);
	*ret = buf_take_str(&b);
	return *ret ? 0 : no_memory(op);
}

static char *path_beside(const char *capture)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_printf(&b, "%s.db", capture);
	return buf_take_str(&b);
}

/*
 * Uses or makes the database at path: 1 reused, 0 made, -EACCES, -EROFS, -ENOENT, -EEXIST: not possible here; other errors
 * were said.
 */
static int settle_at(struct opening *op, struct fmt_reader *r, const char *path)
{
	bool has_names;
	int state = check_db(op, path, &has_names), err;

	if (state != 1) {
		if (state == -EEXIST)
			return state;
		if (has_names)
			op->names_from = path; /* of the one beside the capture too, when its directory cannot be written */
		err = build_at(op, r, path);
		if (err < 0)
			return err;
		state = err;
	}
	op->path = strdup(path);
	return op->path ? state == 1 : no_memory(op);
}

static bool is_place_error(int err)
{
	return err == -EACCES || err == -EROFS || err == -ENOENT || err == -EEXIST;
}

static int settle_given(struct opening *op, struct fmt_reader *r)
{
	int err = settle_at(op, r, op->o->db);

	if (err == -EEXIST)
		log_error("--db %s is a file of something else; it is left as it is: name another, or remove it", op->o->db);
	else if (is_place_error(err))
		log_error("cannot create the database %s: %s", op->o->db, strerror(-err));
	return err;
}

static int settle_default(struct opening *op, struct fmt_reader *r)
{
	_cleanup_free_ char *beside = path_beside(op->o->capture), *cache = NULL;
	int err;

	if (!beside)
		return no_memory(op);
	err = settle_at(op, r, beside);
	if (is_place_error(err)) {
		err = cache_path(op, &cache);
		if (!err)
			err = settle_at(op, r, cache);
	}
	if (is_place_error(err))
		log_error("cannot create a database beside %s nor in %s; name a place with --db FILE, or use --no-cache",
			  op->o->capture, cache ? cache : "$XDG_CACHE_HOME/ascope");
	op->names_from = NULL; /* beside, or cache */
	return err;
}

/* ---- opening ---- */

/* The way readers see it: nothing can be changed through this connection. */
static int open_final(const char *path, struct capture_db *db)
{
	s64 lost = 0;
	int err = db_open_ro(path, &db->handle);

	if (!err)
		err = db_exec(db->handle, "PRAGMA query_only = 1");
	if (!err)
		err = db_get_s64(db->handle, "SELECT value = '1' FROM meta WHERE key = 'ascope.data_lost'", &lost);
	if (err)
		log_error("cannot read the database %s: %s; remove it and run again", path,
			  db->handle ? sqlite3_errmsg(db->handle) : strerror(-err));
	db->is_partial = lost != 0;
	return err;
}

/* A database made earlier: names that it lacks and that can be had now are added, and another table of libraries is heard. */
static int update_names(const struct opening *op, const struct capture_db *ro)
{
	_cleanup_db_ sqlite3 *db = NULL;
	struct symbolize_opts so = symbolize_opts_of(op);
	int err = symbolize_is_needed(ro->handle, &so);

	if (!err)
		err = task_names_are_needed(ro->handle, &so);
	if (!err)
		err = refine_is_needed(ro->handle, op->libraries);
	if (err < 0)
		log_error("cannot read the database %s: %s", op->path, strerror(-err));
	if (err <= 0)
		return err;
	err = db_open_rw(op->path, &db);
	if (!err)
		err = db_exec(db, "BEGIN IMMEDIATE");
	if (!err)
		err = add_names(db, op);
	if (!err)
		err = db_exec(db, "COMMIT");
	log_status_end();
	if (!err || (!op->o->n_targets && !op->o->n_debug_dirs && !op->o->debuginfod &&
		     !op->o->n_libraries)) /* nobody asked for it: the names are as good as they were */
		return 0;
	log_error("cannot add names to %s: %s; use --db FILE or --no-cache", op->path, strerror(-err));
	return err;
}

/* The last steps of both ways. A --target that is refused costs no second load: by now the database stays. */
static int finish_open(struct opening *op, const char *path, bool is_reused, struct capture_db *db)
{
	struct symbolize_opts so = symbolize_opts_of(op);
	int err = open_final(path, db);

	if (!err)
		err = symbolize_check_targets(db->handle, &so);
	if (!err && is_reused)
		err = update_names(op, db);
	return err;
}

/* How often a database that was there, or was just made, may be another one by the time that it is opened. */
#define MAX_TRIES 3

/* Others may make databases under the same name: of fewer rows, or with --db of another capture. What is opened is looked at again. */
static int open_cached(struct opening *op, struct fmt_reader *r, struct capture_db *db)
{
	for (u32 i = 0; i < MAX_TRIES; i++) {
		bool has_names;
		int err = op->o->db ? settle_given(op, r) : settle_default(op, r);

		if (err >= 0)
			err = finish_open(op, op->path, err == 1, db);
		if (err < 0 || is_wanted(op, db->handle, &has_names) == 1)
			return err;
		log_debug("%s: replaced by another process", op->path);
		db->handle = db_close(db->handle);
		free(TAKE_PTR(op->path));
	}
	log_error("%s: other processes replace its database again and again; use --db FILE or --no-cache", op->o->capture);
	return -EBUSY;
}

/* A database that has no name once it is open. */
static int open_private(struct opening *op, struct fmt_reader *r, struct capture_db *db)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *temp = NULL;
	const char *dir = getenv("TMPDIR");
	int fd, err;

	buf_printf(&b, "%s/ascope-XXXXXX", dir && *dir ? dir : "/tmp");
	temp = buf_take_str(&b);
	if (!temp)
		return no_memory(op);
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0) {
		err = -errno;
		log_error("cannot create a temporary database %s: %s; set TMPDIR", temp, strerror(-err));
		return err;
	}
	(void)close(fd);
	err = make_db(temp, r, op);
	if (!err)
		err = finish_open(op, temp, false, db);
	(void)unlink(temp);
	return err;
}

/* ---- a part ---- */

/* A database made earlier that open_cached() would use as it is. */
static bool has_database(const struct opening *op)
{
	_cleanup_free_ char *beside = path_beside(op->o->capture), *cache = NULL;
	bool has_names;

	if (op->o->no_cache)
		return false;
	if (op->o->db)
		return check_db(op, op->o->db, &has_names) == 1;
	return (beside && check_db(op, beside, &has_names) == 1) ||
	       (cache_path(op, &cache) == 0 && check_db(op, cache, &has_names) == 1);
}

/*
 * Whether a part of the recording is asked for that can be loaded alone: 1 and *ret_window; 0 not: the file was not closed, is
 * damaged, was written by an earlier recorder, or the part is most of it.
 */
static int choose_window(const struct opening *op, struct fmt_reader *r, struct capture_scan *whole, struct load_window *ret)
{
	u64 start, length, from = op->o->from_ns, to = op->o->to_ns;
	int err;

	if ((!from && !to) || op->o->db || has_database(op))
		return 0;
	err = capture_scan_quick(whole, r);
	if (err)
		return err;
	start = whole->ts_first;
	length = capture_scan_duration(whole);
	if (!whole->is_quick || from >= length)
		return 0;
	from = from > CAPTURE_MARGIN_NS ? from - CAPTURE_MARGIN_NS : 0;
	to = to && to < length ? min_u64(to + CAPTURE_MARGIN_NS, length) : length;
	if (!from && to == length)
		return 0;
	*ret = (struct load_window){.from = start + from, .to = start + to, .whole = whole};
	return 1;
}

static int open_capture(struct opening *op, struct fmt_reader *r, struct capture_db *db)
{
	_cleanup_(capture_scan_release) struct capture_scan whole = {0};
	struct load_window window;
	int n = choose_window(op, r, &whole, &window);

	if (n < 0) {
		log_error("%s: %s", op->o->capture, strerror(-n));
		return n;
	}
	if (n == 1)
		op->src.window = &window;
	n = n == 1 || op->o->no_cache ? open_private(op, r, db) : open_cached(op, r, db);
	op->src.window = NULL;
	log_debug("%s: %llu of %llu bytes were read", op->o->capture, (unsigned long long)fmt_reader_bytes_read(r),
		  (unsigned long long)op->src.size);
	return n;
}

static int describe_source(struct opening *op, const struct fmt_reader *r)
{
	struct stat st;

	if (stat(op->o->capture, &st) < 0)
		return -errno;
	op->src = (struct load_source){
		.path = op->o->capture,
		.size = (u64)st.st_size,
		.mtime = (u64)st.st_mtim.tv_sec * NSEC_PER_SEC + (u64)st.st_mtim.tv_nsec,
		.rows = op->o->rows,
		.libraries = op->libraries,
	};
	load_uuid_text(fmt_reader_info(r), op->uuid);
	return 0;
}

int capture_db_open(const struct capture_opts *o, struct capture_db **ret)
{
	_cleanup_reader_ struct fmt_reader *r = NULL;
	struct opening op = {.o = o};
	struct capture_db *db;
	_cleanup_library_table_ struct library_table *libraries = NULL;
	int err;

	if (o->debuginfod && !sym_fetch_has_server()) {
		log_error(
			"--debuginfod: $DEBUGINFOD_URLS names no server; set it, as DEBUGINFOD_URLS=https://debuginfod.debian.net "
			"(https only, but for servers on this machine)");
		return -EINVAL;
	}
	if (o->debuginfod)
		sym_fetch_check();
	err = capture_file_open(o->capture, &r);
	if (!err)
		err = library_table_load(o->libraries, o->n_libraries, &libraries);
	if (err)
		return err;
	op.libraries = libraries;
	err = describe_source(&op, r);
	if (err) {
		log_error("%s: %s", o->capture, strerror(-err));
		return err;
	}
	db = calloc(1, sizeof(*db));
	if (!db) {
		log_error("%s: %s", o->capture, strerror(ENOMEM));
		return -ENOMEM;
	}
	err = open_capture(&op, r, db);
	db->path = op.path;
	if (err) {
		capture_db_close(db);
		return err;
	}
	*ret = db;
	return 0;
}

struct capture_db *capture_db_close(struct capture_db *db)
{
	if (!db)
		return NULL;
	db_close(db->handle);
	free(db->path);
	free(db);
	return NULL;
}

sqlite3 *capture_db_handle(const struct capture_db *db)
{
	return db->handle;
}

const char *capture_db_path(const struct capture_db *db)
{
	return db->path ? db->path : "";
}

bool capture_db_is_partial(const struct capture_db *db)
{
	/* Asked now, not when it was opened: names may have been added since. */
	return db->is_partial || symbolize_has_failed(db->handle) > 0;
}
