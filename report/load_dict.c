/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* load_dict.c: see load_dict.h. */
#include "report/load_dict.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "report/load_symbol.h"

#define DICT_MAX_ROWS (1U << 31) /* of a table: a slot is a u32 */

void *dict_table_at(const struct dict_table *t, u32 slot)
{
	return t->rows + (size_t)slot * t->row_size;
}

void *dict_table_find(const struct dict_table *t, u64 idx, u32 *ret_slot)
{
	u64 slot;

	if (!idx || !u64map_get(&t->by_idx, idx, &slot))
		return NULL;
	if (ret_slot)
		*ret_slot = (u32)slot;
	return dict_table_at(t, (u32)slot);
}

void *dict_table_add(struct dict_table *t, u64 idx, bool *ret_is_new)
{
	u64 slot;

	*ret_is_new = false;
	if (u64map_get(&t->by_idx, idx, &slot))
		return dict_table_at(t, (u32)slot);
	if (t->n >= DICT_MAX_ROWS || array_room_raw(&t->rows, t->n, &t->cap, t->row_size) < 0)
		return NULL;
	if (u64map_put(&t->by_idx, idx, t->n) < 0)
		return NULL;
	*ret_is_new = true;
	memset(dict_table_at(t, t->n), 0, t->row_size);
	return dict_table_at(t, t->n++);
}

void dict_table_release(struct dict_table *t)
{
	free(t->rows);
	u64map_release(&t->by_idx);
	*t = (struct dict_table){0};
}

void load_dict_release(struct load_dict *d)
{
	dict_table_release(&d->strings);
	dict_table_release(&d->processes);
	dict_table_release(&d->threads);
	dict_table_release(&d->modules);
	dict_table_release(&d->stacks);
	dict_table_release(&d->layouts);
	dict_table_release(&d->contexts);
	dict_table_release(&d->ksyms);
	dict_table_release(&d->symbols);
	dict_table_release(&d->module_names);
	dict_table_release(&d->vtables);
	dict_table_release(&d->locations);
	dict_table_release(&d->task_names);
	buf_release(&d->text);
	buf_release(&d->addrs);
	buf_release(&d->map_text);
	u64map_release(&d->meta);
	u64map_release(&d->totals);
	free(d->mappings);
	free(d->pieces);
	free(d->gaps);
	free(d->spans);
	free(d->members);
	free(d->throttles);
	free(d->probes);
	free(d->symbol_frames);
	*d = (struct load_dict){0};
}

const char *load_dict_str(const struct load_dict *d, u64 idx)
{
	const struct dict_string *s = dict_table_find(&d->strings, idx, NULL);

	return s ? (const char *)d->text.data + s->off : NULL;
}

/* A key may have been interned under several indices; metadata is small. */
const char *load_dict_meta(const struct load_dict *d, const char *key)
{
	for (size_t i = 0; i < d->meta.cap; i++) {
		const char *text = d->meta.used[i] ? load_dict_str(d, d->meta.keys[i]) : NULL;

		if (text && strcmp(text, key) == 0)
			return load_dict_str(d, d->meta.values[i]);
	}
	return NULL;
}

static bool index_ok(struct load_dict *d, u64 idx)
{
	if (idx && idx <= FMT_MAX_ID)
		return true;
	d->bad_rows++;
	return false;
}

/* Adds one row to the array whose address arr is (base/array.h). */
static void *array_add(void *arr, size_t *n, size_t *cap, size_t size)
{
	u8 *rows;

	if (array_room(arr, *n, cap, size) < 0)
		return NULL;
	memcpy(&rows, arr, sizeof(rows));
	return rows + (*n)++ * size;
}

static int add_string(struct load_dict *d, const struct fmt_section *s, u32 i)
{
	u32 from = s->payload_off[i], len = s->payload_off[i + 1] - from;
	u64 idx = s->cols[0][i];
	struct dict_string *str;
	bool is_new;

	if (!index_ok(d, idx))
		return 0;
	str = dict_table_add(&d->strings, idx, &is_new);
	if (!str)
		return -ENOMEM;
	if (!is_new) /* repeated by checkpoints; an index never changes its meaning */
		return 0;
	str->off = d->text.len;
	str->len = len;
	buf_put(&d->text, s->bytes + from, len);
	buf_putc(&d->text, 0);
	return buf_err(&d->text);
}

static int add_stack(struct load_dict *d, const struct fmt_section *s, u32 i)
{
	u32 from = s->payload_off[i], len = s->payload_off[i + 1] - from;
	struct fmt_stack f;
	struct dict_stack *st;
	bool is_new;

	fmt_section_row(s, i, &f);
	if (!index_ok(d, f.idx))
		return 0;
	st = dict_table_add(&d->stacks, f.idx, &is_new);
	if (!st)
		return -ENOMEM;
	if (!is_new)
		return 0;
	*st = (struct dict_stack){.idx = f.idx, .process = f.process, .kind = f.kind, .status = f.status};
	st->off = d->addrs.len / sizeof(u64);
	st->len = min_u64(len, FMT_MAX_FRAMES);
	st->fp_from = f.fp_from <= st->len ? f.fp_from : 0;
	if (st->len)
		buf_put(&d->addrs, s->list + from, st->len * sizeof(u64));
	return buf_err(&d->addrs);
}

static int add_thread(struct load_dict *d, const struct fmt_section *s, u32 i)
{
	struct fmt_thread f;
	struct dict_thread *t;
	bool is_new;

	fmt_section_row(s, i, &f);
	if (!index_ok(d, f.idx))
		return 0;
	t = dict_table_add(&d->threads, f.idx, &is_new);
	if (!t)
		return -ENOMEM;
	t->f = f;
	if (f.start && f.start < LOAD_TS_MAX)
		t->ts_start = f.start;
	if (!t->name_ts)
		t->name = f.comm;
	return 0;
}

static int add_process(struct load_dict *d, const struct fmt_section *s, u32 i)
{
	struct fmt_process f;
	struct dict_process *p;
	bool is_new;

	fmt_section_row(s, i, &f);
	if (!index_ok(d, f.idx))
		return 0;
	p = dict_table_add(&d->processes, f.idx, &is_new);
	if (!p)
		return -ENOMEM;
	p->f = f;
	if (f.cgroup) {
		struct dict_member *m = array_add(&d->members, &d->n_members, &d->cap_members, sizeof(*m));

		if (!m)
			return -ENOMEM;
		*m = (struct dict_member){f.idx, f.cgroup};
	}
	return 0;
}

static int add_throttle(struct load_dict *d, const struct fmt_section *s, u32 i)
{
	struct fmt_throttle f, *t;

	fmt_section_row(s, i, &f);
	if (f.ts > LOAD_TS_MAX || f.ts_end > LOAD_TS_MAX || f.ts_end < f.ts || f.throttled > LOAD_TS_MAX ||
	    f.periods > LOAD_TS_MAX) {
		d->bad_rows++;
		return 0;
	}
	t = array_add(&d->throttles, &d->n_throttles, &d->cap_throttles, sizeof(*t));
	if (!t)
		return -ENOMEM;
	*t = f;
	return 0;
}

static int add_probe(struct load_dict *d, const struct fmt_section *s, u32 i)
{
	struct fmt_probe f, *p;

	fmt_section_row(s, i, &f);
	if (f.ts > LOAD_TS_MAX || f.action < FMT_PROBE_ATTACHED || f.action > FMT_PROBE_KEPT) {
		d->bad_rows++;
		return 0;
	}
	p = array_add(&d->probes, &d->n_probes, &d->cap_probes, sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = f;
	return 0;
}

/* Kinds whose later entry replaces the earlier, kept as they are in the file; their first column is the index. */
static int add_plain(struct load_dict *d, struct dict_table *t, const struct fmt_section *s, u32 i)
{
	void *row;
	bool is_new;

	if (!index_ok(d, s->cols[0][i]))
		return 0;
	row = dict_table_add(t, s->cols[0][i], &is_new);
	if (!row)
		return -ENOMEM;
	fmt_section_row(s, i, row);
	return 0;
}

static int add_mapping(struct load_dict *d, const struct fmt_section *s, u32 i)
{
	struct fmt_mapping f, *m;

	fmt_section_row(s, i, &f);
	if (f.start >= f.end || f.end - f.start > (1ULL << 62) || f.file_off > (1ULL << 62)) {
		d->bad_rows++;
		return 0;
	}
	m = array_add(&d->mappings, &d->n_mappings, &d->cap_mappings, sizeof(*m));
	if (!m)
		return -ENOMEM;
	*m = f;
	return 0;
}

static int add_gap(struct load_dict *d, u64 ts, u64 ts_end, u64 cause, u64 count)
{
	struct dict_gap *g;

	if (ts > LOAD_TS_MAX || ts_end > LOAD_TS_MAX || ts_end < ts) {
		d->bad_rows++;
		return 0;
	}
	g = array_add(&d->gaps, &d->n_gaps, &d->cap_gaps, sizeof(*g));
	if (!g)
		return -ENOMEM;
	*g = (struct dict_gap){ts, ts_end, cause, count};
	return 0;
}

static int add_ksym(struct load_dict *d, const struct fmt_section *s, u32 i)
{
	struct fmt_ksym f, *k;
	bool is_new;

	fmt_section_row(s, i, &f);
	k = dict_table_add(&d->ksyms, f.addr, &is_new);
	if (!k)
		return -ENOMEM;
	*k = f;
	return 0;
}

/* Repeated pieces (checkpoints) are sorted out by load_perfmap.c. All maps together are bounded by map_text's maximum. */
static int add_piece(struct load_dict *d, const struct fmt_section *s, u32 i)
{
	u32 from = s->payload_off[i], len = s->payload_off[i + 1] - from;
	struct dict_piece *p;
	struct fmt_perfmap f;

	fmt_section_row(s, i, &f);
	if (!index_ok(d, f.process))
		return 0;
	if (f.chunk >= FMT_MAX_PERFMAP || !len || d->map_text.len + len > d->map_text.max)
		return 0;
	p = array_add(&d->pieces, &d->n_pieces, &d->cap_pieces, sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = (struct dict_piece){f.process, f.chunk, d->map_text.len, len};
	buf_put(&d->map_text, s->bytes + from, len);
	return buf_err(&d->map_text);
}

/* Threads' and processes' ends and names are facts of the dictionary, though they come as events. */
static void note_exit(struct load_dict *d, const struct fmt_thread_exit *e)
{
	struct dict_thread *t = dict_table_find(&d->threads, e->thread, NULL);
	struct dict_process *p;

	if (!t || e->ts > LOAD_TS_MAX)
		return;
	t->ts_end = e->ts;
	p = dict_table_find(&d->processes, t->f.process, NULL);
	if (p && e->group_dead)
		p->ts_end = e->ts;
}

static void note_exec(struct load_dict *d, const struct fmt_exec *e)
{
	struct dict_thread *t = dict_table_find(&d->threads, e->thread, NULL);
	struct dict_process *p = t ? dict_table_find(&d->processes, t->f.process, NULL) : NULL;

	if (!p || e->ts > LOAD_TS_MAX || t->f.process == e->process)
		return;
	t->ts_end = e->ts;
	p->ts_end = e->ts;
}

static void note_rename(struct load_dict *d, const struct fmt_rename *e)
{
	struct dict_thread *t = dict_table_find(&d->threads, e->thread, NULL);

	if (!t || e->ts > LOAD_TS_MAX || e->ts < t->name_ts)
		return;
	t->name = e->comm;
	t->name_ts = e->ts;
}

void load_dict_note_event(struct load_dict *d, u32 kind, const void *row)
{
	if (kind == FMT_THREAD_EXIT) {
		note_exit(d, row);
	} else if (kind == FMT_EXEC) {
		note_exec(d, row);
	} else if (kind == FMT_RENAME) {
		note_rename(d, row);
	} else if (kind == FMT_THREAD_START) {
		const struct fmt_thread_start *e = row;
		struct dict_thread *t = dict_table_find(&d->threads, e->thread, NULL);

		if (t && !t->ts_start && e->ts <= LOAD_TS_MAX)
			t->ts_start = e->ts;
	}
}

static void add_clock(struct load_dict *d, const struct fmt_section *s, u32 i)
{
	if (!d->clock.ts && s->cols[0][i] <= LOAD_TS_MAX)
		fmt_section_row(s, i, &d->clock);
}

static int read_row(struct load_dict *d, const struct fmt_section *s, u32 i)
{
	switch (s->kind_id) {
	case FMT_STRING:
		return add_string(d, s, i);
	case FMT_META:
		return u64map_put(&d->meta, s->cols[0][i], s->cols[1][i]);
	case FMT_TOTAL:
		return u64map_put(&d->totals, s->cols[0][i], s->cols[1][i]);
	case FMT_PROCESS:
		return add_process(d, s, i);
	case FMT_THREAD:
		return add_thread(d, s, i);
	case FMT_MODULE:
		return add_plain(d, &d->modules, s, i);
	case FMT_MAPPING:
		return add_mapping(d, s, i);
	case FMT_STACK:
		return add_stack(d, s, i);
	case FMT_LAYOUT:
		return add_plain(d, &d->layouts, s, i);
	case FMT_CONTEXT:
		return add_plain(d, &d->contexts, s, i);
	case FMT_VTABLE:
		return add_plain(d, &d->vtables, s, i);
	case FMT_LOCATION:
		return add_plain(d, &d->locations, s, i);
	case FMT_TASK_NAME:
		return add_plain(d, &d->task_names, s, i);
	case FMT_PROBE:
		return add_probe(d, s, i);
	case FMT_KSYM:
		return add_ksym(d, s, i);
	case FMT_PERFMAP:
		return add_piece(d, s, i);
	case FMT_SYMBOL:
	case FMT_FRAME:
	case FMT_MODULE_NAMES:
		return load_symbols_add(d, s, i);
	case FMT_GAP:
		return add_gap(d, s->cols[0][i], s->cols[1][i], s->cols[2][i], s->cols[3][i]);
	case FMT_THROTTLE:
		return add_throttle(d, s, i);
	case FMT_CLOCK:
		add_clock(d, s, i);
		return 0;
	default:
		return 0;
	}
}

/* The events that matter here; the others are many, and the second pass reads them. */
static bool is_wanted(const struct fmt_section *s)
{
	return !s->kind->is_event || s->kind_id == FMT_GAP || s->kind_id == FMT_CLOCK || s->kind_id == FMT_THROTTLE ||
	       s->kind_id == FMT_PROBE;
}

static int read_block(struct load_dict *d, const struct fmt_block *b)
{
	for (u32 n = 0; n < b->n_sections; n++) {
		const struct fmt_section *s = &b->sections[n];
		int err = 0;

		if (!s->kind || s->kind_id >= FMT_INDEX) /* the footer's */
			continue;
		if (fmt_is_recorded_event(s->kind_id))
			d->events += s->rows;
		if (!is_wanted(s))
			continue;
		for (u32 i = 0; i < s->rows && !err; i++)
			err = read_row(d, s, i);
		if (err)
			return err;
	}
	return 0;
}

struct hole_notes {
	struct load_dict *d;
	u64 pending; /* lost blocks whose times are not known */
	int err;
};

/* What is lost of events. A dictionary block, a copy or the footer costs none. */
static void note_damage(void *ctx, const struct fmt_damage *g)
{
	struct hole_notes *n = ctx;

	if (g->recovered || (g->type && g->type != FMT_BLOCK_EVENTS))
		return;
	if (g->type && !n->err)
		n->err = add_gap(n->d, g->ts_first, g->ts_last + 1, 0, g->blocks);
	else
		n->pending += g->blocks;
}

/* Blocks missing between two intact ones: events of the time between their times may be missing. */
static int note_hole(struct hole_notes *n, const struct fmt_block *b)
{
	u64 missing = n->pending, lo = n->d->ts_last, hi = b->ts_first;

	if (n->err)
		return n->err;
	if (!missing || (!b->ts_first && b->type != FMT_BLOCK_FOOTER))
		return 0;
	n->pending = 0;
	if (b->type == FMT_BLOCK_FOOTER)
		hi = lo + 1;
	/* blocks may overlap in time */
	return add_gap(n->d, min_u64(lo, hi), max_u64(lo, hi) + 1, 0, missing);
}

static int compare_gaps(const void *a, const void *b)
{
	const struct dict_gap *x = a, *y = b;

	return x->ts < y->ts ? -1 : x->ts > y->ts;
}

static int merge_gaps(struct load_dict *d)
{
	if (!d->n_gaps)
		return 0;
	qsort(d->gaps, d->n_gaps, sizeof(*d->gaps), compare_gaps);
	d->spans = calloc(d->n_gaps, sizeof(*d->spans));
	if (!d->spans)
		return -ENOMEM;
	for (size_t i = 0; i < d->n_gaps; i++) {
		const struct dict_gap *g = &d->gaps[i];

		if (d->n_spans && g->ts <= d->spans[d->n_spans - 1].ts_end)
			d->spans[d->n_spans - 1].ts_end = max_u64(d->spans[d->n_spans - 1].ts_end, g->ts_end);
		else
			d->spans[d->n_spans++] = (struct gap_span){g->ts, g->ts_end};
	}
	return 0;
}

static void note_times(struct load_dict *d, const struct fmt_block *b)
{
	if (!b->ts_first || b->ts_last > LOAD_TS_MAX)
		return;
	d->ts_first = d->ts_first ? min_u64(d->ts_first, b->ts_first) : b->ts_first;
	d->ts_last = max_u64(d->ts_last, b->ts_last);
}

static int read_all(struct load_dict *d, struct fmt_reader *r, load_progress_fn progress, void *ctx)
{
	struct hole_notes notes = {.d = d};
	struct fmt_block b;
	int err;

	fmt_reader_rewind(r);
	fmt_reader_on_damage(r, note_damage, &notes);
	while ((err = fmt_reader_next(r, &b)) == 1) {
		progress(ctx, b.offset);
		err = note_hole(&notes, &b);
		if (!err)
			err = read_block(d, &b);
		if (err)
			break;
		note_times(d, &b);
	}
	fmt_reader_on_damage(r, NULL, NULL);
	return err ? err : notes.err;
}

int load_dict_read(struct load_dict *d, struct fmt_reader *r, load_progress_fn progress, void *ctx)
{
	int err;

	*d = (struct load_dict){0};
	d->strings.row_size = sizeof(struct dict_string);
	d->processes.row_size = sizeof(struct dict_process);
	d->threads.row_size = sizeof(struct dict_thread);
	d->modules.row_size = sizeof(struct fmt_module);
	d->stacks.row_size = sizeof(struct dict_stack);
	d->layouts.row_size = sizeof(struct fmt_layout);
	d->contexts.row_size = sizeof(struct fmt_context);
	d->ksyms.row_size = sizeof(struct fmt_ksym);
	d->symbols.row_size = sizeof(struct fmt_symbol);
	d->module_names.row_size = sizeof(struct fmt_module_names);
	d->vtables.row_size = sizeof(struct fmt_vtable);
	d->locations.row_size = sizeof(struct fmt_location);
	d->task_names.row_size = sizeof(struct fmt_task_name);
	d->text.max = d->addrs.max = (size_t)4 << 30;
	d->map_text.max = (size_t)1 << 30;
	err = read_all(d, r, progress, ctx);
	if (err)
		return err;
	d->health = *fmt_reader_health(r);
	load_symbols_sort(d);
	return merge_gaps(d);
}
