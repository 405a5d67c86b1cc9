/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* list_names.c: see list_names.h. */
#include "report/list_names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/buf.h"
#include "base/strtab.h"
#include "base/u64map.h"
#include "report/db.h"
#include "report/frame_kind.h"
#include "report/wait_names.h"

#define CHAIN_MAX 8 /* libraries of one list: what is between the first seven and the last one is left out */

/* What one name says, whatever list it is in. */
struct symbol_fact {
	const struct name_hint *hint;
	u32 library; /* index in names; 0 none */
	u32 kernel;
	enum frame_kind kind;
	bool has_file, is_lookup, is_task_poll;
};

struct chain_link {
	u32 library;
	bool is_std;
};

/* The list being read. */
struct list {
	u64 id; /* 0 none */
	int rank;
	bool polls, has_user;
	u32 kernel;
	struct name_scan scan;
	struct chain_link chain[CHAIN_MAX];
	u32 n_chain;
	char function[FRAME_NAME_LEN];
	char *file;
	u64 line;
	enum frame_kind kind;
};

struct reader {
	const struct library_table *libraries;
	sqlite3_stmt *rows, *ins;
	struct strtab *names; /* of libraries */
	struct u64map seen;   /* frame << 16 | depth -> index in facts + 1 */
	struct symbol_fact *facts;
	u32 n_facts;
	size_t cap_facts;
	struct list list;
};

enum { COL_LIST, COL_FRAME, COL_DEPTH, COL_FUNCTION, COL_FILE, COL_LINE, COL_KIND };

/* The innermost frame of the best rank is the one that a stack is reported under. */
static int kind_rank(enum frame_kind kind)
{
	static const enum frame_kind ranked[] = {FRAME_USER, FRAME_JIT, FRAME_LIBRARY, FRAME_NATIVE, FRAME_STD, FRAME_RUNTIME};

	for (int i = 0; i < (int)ARRAY_SIZE(ranked); i++)
		if (kind == ranked[i])
			return i;
	return (int)ARRAY_SIZE(ranked);
}

static const char *column_text(const struct reader *r, int col)
{
	return (const char *)sqlite3_column_text(r->rows, col);
}

/* ---- names ---- */

static int learn_symbol(struct reader *r, struct symbol_fact *ret)
{
	const char *function = column_text(r, COL_FUNCTION), *file = column_text(r, COL_FILE), *kind = column_text(r, COL_KIND);
	char crate[LIBRARY_MAX_PREFIX + 1];
	const char *library;

	if (!function || !kind)
		return -ENOMEM;
	*ret = (struct symbol_fact){.kind = FRAME_NATIVE, .has_file = file && *file};
	(void)frame_kind_of_name(kind, &ret->kind);
	if (ret->kind == FRAME_KERNEL) {
		ret->kernel = kernel_hint_of(function);
		return 0;
	}
	ret->hint = name_hint_of(function, file, ret->kind);
	ret->is_lookup = name_is_lookup(function, ret->kind);
	ret->is_task_poll = ret->kind == FRAME_RUNTIME && frame_is_task_poll(function, file);
	library = library_table_name(r->libraries, function, file, ret->kind, crate, sizeof(crate));
	return library ? strtab_intern(r->names, library, strlen(library), &ret->library, NULL) : 0;
}

/* The facts of the row's name, from before or new. */
static int fact_of_row(struct reader *r, struct symbol_fact *ret)
{
	u64 key = (u64)sqlite3_column_int64(r->rows, COL_FRAME) << 16 | ((u64)sqlite3_column_int64(r->rows, COL_DEPTH) & 0xffff);
	u64 at;
	int err;

	if (u64map_get(&r->seen, key, &at)) {
		*ret = r->facts[at];
		return 0;
	}
	err = learn_symbol(r, ret);
	if (!err)
		err = ARRAY_ROOM_RAW(r->facts, r->n_facts, &r->cap_facts);
	if (err)
		return err;
	r->facts[r->n_facts] = *ret;
	return u64map_put(&r->seen, key, r->n_facts++);
}

/* ---- lists ---- */

/* How many bytes of s, max at most, end with a whole character. */
static size_t whole_chars(const char *s, size_t max)
{
	size_t n = strnlen(s, max + 1);

	if (n <= max)
		return n;
	for (n = max; n && ((u8)s[n] & 0xc0) == 0x80;)
		n--;
	return n;
}

/* The best frame so far. */
static int keep_frame(struct reader *r, enum frame_kind kind, int rank)
{
	const char *function = column_text(r, COL_FUNCTION), *file = column_text(r, COL_FILE);
	struct list *l = &r->list;
	char *copy = file ? strdup(file) : NULL;

	if (!function || (file && !copy))
		return -ENOMEM;
	free(l->file);
	l->file = copy;
	l->line = (u64)sqlite3_column_int64(r->rows, COL_LINE);
	l->rank = rank;
	l->kind = kind;
	if (kind == FRAME_JIT) /* no Rust path: as it is, but for its length */
		(void)snprintf(l->function, sizeof(l->function), "%.*s", (int)whole_chars(function, sizeof(l->function) - 1),
			       function);
	else
		(void)frame_function_path(function, l->function, sizeof(l->function));
	return 0;
}

static void add_library(struct list *l, const struct symbol_fact *f)
{
	struct chain_link link = {f->library, f->kind == FRAME_STD || f->kind == FRAME_RUNTIME};

	if (!f->library || (l->n_chain && l->chain[l->n_chain - 1].library == f->library))
		return;
	if (l->n_chain == CHAIN_MAX)
		l->n_chain--;
	l->chain[l->n_chain++] = link;
}

static int add_frame(struct reader *r)
{
	struct list *l = &r->list;
	struct symbol_fact f;
	int rank, err = fact_of_row(r, &f);

	if (err)
		return err;
	if (f.kind == FRAME_KERNEL) {
		if (f.kernel && (!l->kernel || f.kernel < l->kernel))
			l->kernel = f.kernel;
		return 0;
	}
	name_scan_frame(&l->scan, &(struct scan_frame){.file = f.has_file ? "" : NULL,
						       .kind = f.kind,
						       .hint = f.hint,
						       .is_lookup = f.is_lookup,
						       .is_task_poll = f.is_task_poll});
	rank = kind_rank(f.kind);
	if (l->polls)
		return 0;
	if (!l->has_user && !f.is_task_poll)
		add_library(l, &f);
	l->has_user |= f.kind == FRAME_USER || f.kind == FRAME_JIT;
	l->polls |= f.is_task_poll;
	return rank < l->rank ? keep_frame(r, f.kind, rank) : 0;
}

static void put_link(const struct reader *r, const struct chain_link *link, struct buf *b)
{
	buf_puts(b, strtab_get(r->names, link->library, NULL));
	buf_putc(b, '\n');
}

/* The two orders of list_names.h. */
static int chain_texts(const struct reader *r, char **ret_out, char **ret_in)
{
	_cleanup_buf_ struct buf out = BUF_INIT, in = BUF_INIT;
	const struct list *l = &r->list;

	for (u32 i = l->n_chain; i--;)
		put_link(r, &l->chain[i], &out);
	for (int is_std = 0; is_std < 2; is_std++)
		for (u32 i = 0; i < l->n_chain; i++)
			if (l->chain[i].is_std == is_std)
				put_link(r, &l->chain[i], &in);
	*ret_out = buf_take_str(&out);
	*ret_in = buf_take_str(&in);
	return *ret_out && *ret_in ? 0 : -ENOMEM;
}

static int write_list(struct reader *r)
{
	_cleanup_free_ char *out = NULL, *in = NULL;
	struct list *l = &r->list;
	bool is_kernel = l->rank == INT32_MAX;
	int err = l->id ? chain_texts(r, &out, &in) : 0;

	if (l->id && !err)
		err = db_run(r->ins,
			     (struct db_val[]){DB_INT(l->id), is_kernel ? DB_NULL : DB_INT(l->rank), db_text(l->function),
					       db_text(l->file), db_opt(l->line),
					       db_text(is_kernel ? NULL : frame_kind_name(l->kind)), DB_INT(l->polls),
					       DB_INT(l->has_user), DB_INT(l->scan.is_lookup), db_text(l->scan.lock),
					       db_text(l->scan.network), db_opt(l->kernel), db_text(out), db_text(in)},
			     14);
	free(l->file);
	*l = (struct list){.rank = INT32_MAX};
	return err;
}

static int read_lists(struct reader *r)
{
	int err = 0, n;

	r->list.rank = INT32_MAX;
	while (!err && (n = db_step(r->rows)) != 0) {
		u64 id;

		if (n < 0)
			return n;
		id = (u64)sqlite3_column_int64(r->rows, COL_LIST);
		if (id != r->list.id) {
			err = write_list(r);
			r->list.id = id;
		}
		if (!err)
			err = add_frame(r);
	}
	return err ? err : write_list(r);
}

static void reader_release(struct reader *r)
{
	(void)sqlite3_finalize(r->rows);
	(void)sqlite3_finalize(r->ins);
	(void)strtab_free(r->names);
	u64map_release(&r->seen);
	free(r->facts);
	free(r->list.file);
}

int list_names_make(sqlite3 *db, const struct library_table *libraries)
{
	_cleanup_(reader_release) struct reader r = {.libraries = libraries, .names = strtab_new()};
	int err = r.names ? 0 : -ENOMEM;

	if (!err)
		err = db_exec(db,
			      "DROP TABLE IF EXISTS temp.list_name;"
			      "CREATE TEMP TABLE list_name (list_id INTEGER PRIMARY KEY, rank INTEGER, function TEXT, file TEXT, "
			      "line INTEGER, kind TEXT, polls INTEGER, has_user INTEGER, is_lookup INTEGER, lock TEXT, "
			      "network TEXT, kernel INTEGER, libs_out TEXT, libs_in TEXT)");
	/* CROSS JOIN keeps the loops in this order: then both primary keys give the order of rows for free */
	if (!err)
		err = db_prepare(db,
				 "SELECT l.list_id, s.frame_id, s.depth, s.function, s.file, s.line, s.kind FROM frame_list AS l "
				 "CROSS JOIN symbol AS s ON s.frame_id = l.frame_id ORDER BY l.list_id, l.depth, s.depth",
				 &r.rows);
	if (!err)
		err = db_prepare(db, "INSERT INTO temp.list_name VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", &r.ins);
	return err ? err : read_lists(&r);
}
