/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* load_symbol.c: see load_symbol.h. */
#include "report/load_symbol.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "report/capture_file.h"
#include "report/db.h"
#include "report/frame_kind.h"

/* ---- rows of the file ---- */

static int add_symbol(struct load_dict *d, const struct fmt_section *s, u32 i)
{
	struct fmt_symbol f, *to;
	bool is_new;

	fmt_section_row(s, i, &f);
	if (!f.idx || f.idx > FMT_MAX_ID) {
		d->bad_rows++;
		return 0;
	}
	to = dict_table_add(&d->symbols, f.idx, &is_new);
	if (!to)
		return -ENOMEM;
	if (!is_new)
		return 0;
	*to = f;
	if (to->caller >= to->idx) /* chains must end */
		to->caller = 0;
	return 0;
}

static int add_frame(struct load_dict *d, const struct fmt_section *s, u32 i)
{
	struct fmt_frame f;

	fmt_section_row(s, i, &f);
	if (f.file_off >= LOAD_FILE_OFF_MAX || f.is_return > 1 || d->n_symbol_frames >= LOAD_MAX_SYMBOL_FRAMES) {
		d->bad_rows++;
		return 0;
	}
	if (ARRAY_ROOM_RAW(d->symbol_frames, d->n_symbol_frames, &d->cap_symbol_frames) < 0)
		return -ENOMEM;
	d->symbol_frames[d->n_symbol_frames] = (struct load_frame_row){.module = f.module,
								       .key = load_symbols_key(f.file_off, f.is_return),
								       .symbol = f.symbol,
								       .row = d->n_symbol_frames};
	d->n_symbol_frames++;
	return 0;
}

static int add_module_names(struct load_dict *d, const struct fmt_section *s, u32 i)
{
	void *to;
	bool is_new;

	if (!s->cols[0][i] || s->cols[0][i] > FMT_MAX_ID) {
		d->bad_rows++;
		return 0;
	}
	to = dict_table_add(&d->module_names, s->cols[0][i], &is_new);
	if (!to)
		return -ENOMEM;
	fmt_section_row(s, i, to);
	return 0;
}

int load_symbols_add(struct load_dict *d, const struct fmt_section *s, u32 i)
{
	if (s->kind_id == FMT_SYMBOL)
		return add_symbol(d, s, i);
	return s->kind_id == FMT_FRAME ? add_frame(d, s, i) : add_module_names(d, s, i);
}

/* By place; of equal ones the last row comes first. */
static int compare_rows(const void *a, const void *b)
{
	const struct load_frame_row *x = a, *y = b;

	if (x->module != y->module)
		return x->module < y->module ? -1 : 1;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->row > y->row ? -1 : x->row < y->row;
}

void load_symbols_sort(struct load_dict *d)
{
	size_t n = 0;

	if (!d->n_symbol_frames)
		return;
	qsort(d->symbol_frames, d->n_symbol_frames, sizeof(*d->symbol_frames), compare_rows);
	for (size_t i = 0; i < d->n_symbol_frames; i++) {
		const struct load_frame_row *last = n ? &d->symbol_frames[n - 1] : NULL, *at = &d->symbol_frames[i];

		if (!last || last->module != at->module || last->key != at->key)
			d->symbol_frames[n++] = *at;
	}
	d->n_symbol_frames = n;
}

/* ---- looking up ---- */

u64 load_symbols_find(const struct load_dict *d, u64 module, u64 key)
{
	size_t lo = 0, hi = d->n_symbol_frames;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct load_frame_row *at = &d->symbol_frames[mid];

		if (at->module == module && at->key == key)
			return at->symbol;
		if (at->module < module || (at->module == module && at->key < key))
			lo = mid + 1;
		else
			hi = mid;
	}
	return 0;
}

u32 load_symbols_chain(const struct load_dict *d, u64 symbol, struct sym_frame ret[SYM_MAX_INLINE])
{
	u32 n = 0;

	while (symbol && n < SYM_MAX_INLINE) {
		const struct fmt_symbol *s = dict_table_find(&d->symbols, symbol, NULL);
		const char *function = s ? load_dict_str(d, s->function) : NULL;

		if (!function || !*function)
			return 0;
		ret[n++] = (struct sym_frame){.function = function,
					      .file = load_dict_str(d, s->file),
					      .line = s->line <= INT32_MAX ? (u32)s->line : 0,
					      .inlined = s->caller != 0};
		symbol = s->caller;
	}
	return n;
}

const struct fmt_module_names *load_symbols_of_module(const struct load_dict *d, u64 module)
{
	return dict_table_find(&d->module_names, module, NULL);
}

/* ---- into the database ---- */

struct writer {
	const struct load_dict *d;
	const struct library_table *libraries;
	sqlite3_stmt *frames, *ins, *upd;
};

/* Names are a stranger's bytes: clean before they go anywhere. */
static int write_chain(const struct writer *w, u64 frame_id, u64 symbol, const char *module_path)
{
	struct sym_frame f[SYM_MAX_INLINE];
	u32 n = load_symbols_chain(w->d, symbol, f);
	int err = 0;

	for (u32 i = 0; i < n && !err; i++) {
		_cleanup_free_ char *function = capture_text_clean(f[i].function, strlen(f[i].function));
		_cleanup_free_ char *file = f[i].file ? capture_text_clean(f[i].file, strlen(f[i].file)) : NULL;

		if (!function || (f[i].file && !file))
			return -ENOMEM;
		err = db_run(
			w->ins,
			(struct db_val[]){DB_INT(frame_id), DB_INT(i), db_text(function), db_text(file), db_opt(f[i].line),
					  DB_INT(f[i].inlined),
					  db_text(frame_kind_name(frame_kind_of(w->libraries, function, file, module_path)))},
			7);
	}
	return err;
}

static int write_module(const struct writer *w, const struct fmt_module_names *names)
{
	const struct fmt_module *m = dict_table_find(&w->d->modules, names->module, NULL);
	const char *path = m ? load_dict_str(w->d, m->path) : NULL, *note = NULL;
	bool is_dwarf = names->source == SYM_DWARF;
	int err;

	if (!path)
		return 0;
	err = db_bind(w->frames, (struct db_val[]){DB_INT(names->module)}, 1);
	while (!err) {
		u64 key, symbol;
		int n = db_step(w->frames);

		if (n < 0)
			return n;
		if (!n)
			break;
		key = load_symbols_key((u64)sqlite3_column_int64(w->frames, 1), sqlite3_column_int(w->frames, 2) != 0);
		symbol = load_symbols_find(w->d, names->module, key);
		if (symbol)
			err = write_chain(w, (u64)sqlite3_column_int64(w->frames, 0), symbol, path);
	}
	/* nobody passes a libc with debug info */
	if (names->lines != 1 && strncmp(path, "/lib", 4) != 0 && strncmp(path, "/usr/lib", 8) != 0)
		note = "no line numbers: the names that the capture carries are from a file without debug info; build with "
		       "debug = \"line-tables-only\", or pass the same build with debug info with --target";
	return err ? err
		   : db_run(w->upd,
			    (struct db_val[]){DB_INT(names->module), db_text("capture"), db_text(is_dwarf ? "dwarf" : "symtab"),
					      db_text(note)},
			    4);
}

int load_symbols_write(const struct load_dict *d, sqlite3 *db, const struct library_table *libraries)
{
	_cleanup_stmt_ sqlite3_stmt *frames = NULL, *ins = NULL, *upd = NULL;
	struct writer w = {.d = d, .libraries = libraries};
	int err;

	if (!d->module_names.n)
		return 0;
	err = db_prepare(db, "SELECT id, file_off, is_return FROM frame WHERE module_id = ? ORDER BY file_off", &frames);
	if (!err)
		err = db_prepare(db, "INSERT INTO symbol VALUES (?, ?, ?, ?, ?, ?, ?)", &ins);
	if (!err)
		err = db_prepare(db, "UPDATE module SET symbols_from = ?2, symbols = ?3, note = ?4 WHERE id = ?1", &upd);
	w.frames = frames;
	w.ins = ins;
	w.upd = upd;
	for (u32 slot = 0; slot < d->module_names.n && !err; slot++)
		err = write_module(&w, dict_table_at(&d->module_names, slot));
	return err;
}
