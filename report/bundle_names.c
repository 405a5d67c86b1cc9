/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bundle_names.c: see bundle_names.h. */
#include "report/bundle_names.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "report/bundle_tasks.h"
#include "report/db.h"
#include "report/load_symbol.h"
#include "report/task_name.h"

/* What makes a symbol: equal ones are one. No padding: it is a key as bytes. */
struct symbol_key {
	u64 caller, function, file, line;
};

/* ---- tables ---- */

/* The index of a key that is there or, when new, of the next one free. */
static int table_put(struct name_table *t, const void *key, size_t n, u64 known_idx, u64 *ret, bool *ret_is_new)
{
	u32 at;
	int err = strtab_intern(t->keys, key, n, &at, ret_is_new);

	if (err)
		return err;
	if (*ret_is_new) {
		if (ARRAY_ROOM_RAW(t->idx, at, &t->cap) < 0)
			return -ENOMEM;
		if (!known_idx && t->next > FMT_MAX_ID)
			return -ERANGE;
		t->idx[at] = known_idx ? known_idx : t->next++;
	}
	*ret = t->idx[at];
	return 0;
}

/* A name as the format can have it: cut at its limit, between characters. */
static size_t text_len(const char *s)
{
	size_t n = strlen(s);

	if (n <= FMT_MAX_STRING)
		return n;
	n = FMT_MAX_STRING;
	while (n && ((u8)s[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static int text_idx(struct bundle_names *n, const char *s, u64 *ret)
{
	bool is_new;

	*ret = 0;
	return s && *s ? table_put(&n->texts, s, text_len(s), 0, ret, &is_new) : 0;
}

static int symbol_idx(struct bundle_names *n, const struct symbol_key *k, u64 *ret)
{
	bool is_new;
	int err = table_put(&n->symbols, k, sizeof(*k), 0, ret, &is_new);

	if (!err && is_new) {
		const struct fmt_symbol row = {
			.idx = *ret, .caller = k->caller, .function = k->function, .file = k->file, .line = k->line};

		buf_put(&n->new_symbols, &row, sizeof(row));
		err = buf_err(&n->new_symbols);
	}
	return err;
}

/* ---- what the capture has ---- */

static int keep_text(struct bundle_names *n, u64 idx)
{
	const char *s = load_dict_str(n->d, idx);
	bool is_new;
	u64 at;

	return s && *s ? table_put(&n->texts, s, strlen(s), idx, &at, &is_new) : 0;
}

/* Its names and symbols may be used again. Of two that are equal the first is. */
static int keep_symbols(struct bundle_names *n)
{
	int err = 0;

	for (u32 slot = 0; slot < n->d->symbols.n && !err; slot++) {
		const struct fmt_symbol *s = dict_table_at(&n->d->symbols, slot);
		struct symbol_key key = {s->caller, s->function, s->file, s->line};
		bool is_new;
		u64 at;

		err = keep_text(n, s->function);
		if (!err)
			err = keep_text(n, s->file);
		if (!err)
			err = table_put(&n->symbols, &key, sizeof(key), s->idx, &at, &is_new);
	}
	return err;
}

static int keep_task_names(struct bundle_names *n)
{
	int err = 0;

	for (u32 slot = 0; slot < n->d->task_names.n && !err; slot++)
		err = keep_text(n, ((const struct fmt_task_name *)dict_table_at(&n->d->task_names, slot))->name);
	return err;
}

int bundle_names_init(struct bundle_names *n, const struct load_dict *d, u64 next_string, u64 next_symbol)
{
	int err;

	*n = (struct bundle_names){.d = d};
	n->texts = (struct name_table){.keys = strtab_new(), .next = next_string};
	n->symbols = (struct name_table){.keys = strtab_new(), .next = next_symbol};
	if (!n->texts.keys || !n->symbols.keys)
		return -ENOMEM;
	err = keep_symbols(n);
	if (!err)
		err = keep_task_names(n);
	n->old_texts = strtab_count(n->texts.keys);
	return err;
}

static void table_release(struct name_table *t)
{
	strtab_free(t->keys);
	free(t->idx);
}

void bundle_names_release(struct bundle_names *n)
{
	table_release(&n->texts);
	table_release(&n->symbols);
	buf_release(&n->new_symbols);
	buf_release(&n->frames);
	buf_release(&n->modules);
	buf_release(&n->tasks);
	*n = (struct bundle_names){0};
}

/* ---- taking ---- */

/* The frame as the capture has it already. */
static bool has_chain(const struct bundle_names *n, u64 module, u64 key, const struct sym_frame *f, u32 count)
{
	struct sym_frame old[SYM_MAX_INLINE];
	u32 m = load_symbols_chain(n->d, load_symbols_find(n->d, module, key), old);

	if (m != count)
		return false;
	for (u32 i = 0; i < m; i++) {
		const char *file = f[i].file ? f[i].file : "", *old_file = old[i].file ? old[i].file : "";

		if (old[i].line != f[i].line || strlen(old[i].function) != text_len(f[i].function) ||
		    strncmp(old[i].function, f[i].function, text_len(f[i].function)) != 0 || strlen(old_file) != text_len(file) ||
		    strncmp(old_file, file, text_len(file)) != 0)
			return false;
	}
	return true;
}

/* f: innermost first. */
static int take_chain(struct bundle_names *n, u64 module, u64 file_off, bool is_return, const struct sym_frame *f, u32 count)
{
	struct fmt_frame row = {.module = module, .file_off = file_off, .is_return = is_return};
	int err = 0;

	if (!count || has_chain(n, module, load_symbols_key(file_off, is_return), f, count))
		return 0;
	for (u32 i = count; i > 0 && !err; i--) {
		struct symbol_key key = {.caller = row.symbol, .line = f[i - 1].line};

		err = text_idx(n, f[i - 1].function, &key.function);
		if (!err)
			err = text_idx(n, f[i - 1].file, &key.file);
		if (!err)
			err = symbol_idx(n, &key, &row.symbol);
	}
	if (err)
		return err;
	buf_put(&n->frames, &row, sizeof(row));
	n->n_frames++;
	return buf_err(&n->frames);
}

/* Copies of one row's texts, for they are SQLite's only until the next one. */
struct chain {
	struct sym_frame f[SYM_MAX_INLINE];
	char *texts[SYM_MAX_INLINE * 2];
	u32 n;
};

static void chain_clear(struct chain *c)
{
	for (u32 i = 0; i < 2 * c->n; i++)
		free(c->texts[i]);
	c->n = 0;
}

static int chain_add(struct chain *c, sqlite3_stmt *row)
{
	const char *function = (const char *)sqlite3_column_text(row, 3), *file = (const char *)sqlite3_column_text(row, 4);
	s64 line = sqlite3_column_int64(row, 5);
	u32 i = c->n;

	if (i == SYM_MAX_INLINE)
		return 0;
	c->texts[2 * i] = strdup(function ? function : "?");
	c->texts[2 * i + 1] = file ? strdup(file) : NULL;
	c->f[i] = (struct sym_frame){
		.function = c->texts[2 * i], .file = c->texts[2 * i + 1], .line = line > 0 && line <= INT32_MAX ? (u32)line : 0};
	c->n++;
	return c->texts[2 * i] && (!file || c->texts[2 * i + 1]) ? 0 : -ENOMEM;
}

static int take_frames(struct bundle_names *n, sqlite3 *db, u64 module)
{
	_cleanup_stmt_ sqlite3_stmt *rows = NULL;
	struct chain c = {.n = 0};
	u64 file_off = 0;
	bool is_return = false;
	int more, err = db_prepare(
			  db,
			  "SELECT f.file_off, f.is_return, s.depth, s.function, s.file, s.line FROM frame AS f "
			  "JOIN symbol AS s ON s.frame_id = f.id WHERE f.module_id = ? ORDER BY f.file_off, f.is_return, s.depth",
			  &rows);

	if (!err)
		err = db_bind(rows, (struct db_val[]){DB_INT(module)}, 1);
	for (more = 1; more == 1 && !err;) {
		more = db_step(rows);
		if (more < 0)
			err = more;
		if (!err && (!more || sqlite3_column_int(rows, 2) == 0)) { /* another frame begins */
			err = take_chain(n, module, file_off, is_return, c.f, c.n);
			chain_clear(&c);
		}
		if (err || !more)
			break;
		file_off = (u64)sqlite3_column_int64(rows, 0);
		is_return = sqlite3_column_int(rows, 1) != 0;
		err = chain_add(&c, rows);
	}
	chain_clear(&c);
	return err;
}

/* Names from debug info with lines are better than without, and those than a symbol table's. */
static u32 rank_of(const struct fmt_module_names *m)
{
	return m ? 2 * (m->source == SYM_DWARF) + (m->lines == 1) + 1 : 0;
}

static int take_module(struct bundle_names *n, sqlite3 *db, const struct fmt_module_names *found)
{
	const struct fmt_module_names *old = load_symbols_of_module(n->d, found->module);

	if (rank_of(found) < rank_of(old))
		return 0;
	if (!old || old->source != found->source || old->lines != found->lines) {
		buf_put(&n->modules, found, sizeof(*found));
		n->n_modules++;
		if (buf_err(&n->modules))
			return buf_err(&n->modules);
	}
	return take_frames(n, db, found->module);
}

static u64 kind_number(const char *kind)
{
	for (u32 i = 0; kind && i < TASK_KINDS; i++)
		if (!strcmp(kind, task_kind_name((enum task_kind)i)))
			return i + 1;
	return 0;
}

static u64 how_number(const char *how)
{
	for (u64 i = 1; how && bundle_task_how(i); i++)
		if (!strcmp(how, bundle_task_how(i)))
			return i;
	return 0;
}

/* Names of types of tasks that the capture has not, or has otherwise. */
static int take_tasks(struct bundle_names *n, sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *rows = NULL;
	int more, err = db_prepare(db,
				   "SELECT id, name, name_from, kind FROM task_type WHERE name IS NOT NULL OR kind IS NOT NULL "
				   "ORDER BY id",
				   &rows);

	while (!err && (more = db_step(rows)) != 0) {
		struct fmt_task_name row = {.how = how_number((const char *)sqlite3_column_text(rows, 2)),
					    .kind = kind_number((const char *)sqlite3_column_text(rows, 3))};
		const struct fmt_task_name *old;

		if (more < 0)
			return more;
		row.vtable = (u64)sqlite3_column_int64(rows, 0);
		old = bundle_task_name(n->d, row.vtable);
		if (!row.kind && old) /* it was not asked for again */
			row.kind = old->kind;
		err = text_idx(n, (const char *)sqlite3_column_text(rows, 1), &row.name);
		if (err || (old && old->name == row.name && old->how == row.how && old->kind == row.kind))
			continue;
		buf_put(&n->tasks, &row, sizeof(row));
		n->n_tasks++;
		err = buf_err(&n->tasks);
	}
	return err;
}

static int take_modules(struct bundle_names *n, sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *rows = NULL;
	/* a note about a system library without lines is left out by symbolize.c: what lines it has tells */
	int err = db_prepare(db,
			     "SELECT m.id, m.symbols = 'dwarf', m.symbols = 'dwarf' AND m.note IS NULL FROM module AS m "
			     "WHERE m.symbols IS NOT NULL AND EXISTS (SELECT 1 FROM frame WHERE module_id = m.id) ORDER BY m.id",
			     &rows);

	while (!err) {
		struct fmt_module_names found;
		int more = db_step(rows);

		if (more <= 0)
			return more;
		found = (struct fmt_module_names){.module = (u64)sqlite3_column_int64(rows, 0),
						  .source = sqlite3_column_int(rows, 1) ? SYM_DWARF : SYM_SYMTAB,
						  .lines = sqlite3_column_int(rows, 2) != 0};
		err = take_module(n, db, &found);
	}
	return err;
}

int bundle_names_take(struct bundle_names *n, sqlite3 *db)
{
	int err = take_modules(n, db);

	return err ? err : take_tasks(n, db);
}

/* ---- writing ---- */

bool bundle_names_any(const struct bundle_names *n)
{
	return n->n_frames || n->n_modules || n->n_tasks;
}

static int write_rows(struct fmt_writer *w, enum fmt_kind_id kind, const struct buf *rows, size_t size)
{
	int err = 0;

	for (size_t at = 0; at < rows->len && !err; at += size)
		err = fmt_writer_row(w, kind, rows->data + at, NULL, 0);
	return err;
}

int bundle_names_write(const struct bundle_names *n, struct fmt_writer *w)
{
	int err = 0;

	for (u32 i = n->old_texts + 1; i <= strtab_count(n->texts.keys) && !err; i++) {
		size_t len;
		const char *s = strtab_get(n->texts.keys, i, &len);

		err = fmt_writer_row(w, FMT_STRING, &(struct fmt_string){.idx = n->texts.idx[i]}, s, len);
	}
	if (!err)
		err = write_rows(w, FMT_SYMBOL, &n->new_symbols, sizeof(struct fmt_symbol));
	if (!err)
		err = write_rows(w, FMT_FRAME, &n->frames, sizeof(struct fmt_frame));
	if (!err)
		err = write_rows(w, FMT_MODULE_NAMES, &n->modules, sizeof(struct fmt_module_names));
	return err ? err : write_rows(w, FMT_TASK_NAME, &n->tasks, sizeof(struct fmt_task_name));
}
