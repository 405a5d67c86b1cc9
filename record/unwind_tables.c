/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * unwind_tables.c: see unwind_tables.h. Called by record/mappings.c and modules.c.
 *
 *	slice:  live (a process names it) -> waiting (UNWIND_SLICE_GRACE; under pressure UNWIND_GRACE) -> free
 *	table:  named by slices, live or waiting -> named by none: stays, for the program may be started again -> removed when room is needed, UNWIND_GRACE
 *	        after the last slice that named it became free
 *
 * Invariant: an entry of the arrays that a walk can reach (through the kernel side's target entry, then through slice and index) is never written. A target
 * entry names a slice that is live, or one that is waiting for less than its grace.
 */
#include "record/unwind_tables.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "record/extents.h"

enum { MAX_MODULES = 1 << 24 }; /* struct uw_map has so many bits for one */

enum table_state {
	TABLE_UNKNOWN, /* never added, or removed */
	TABLE_NONE,    /* the module has none */
	TABLE_NO_ROOM,
	TABLE_HERE,
};

struct table {
	enum table_state state;
	u32 first_row, n_rows, first_idx, n_idx; /* with TABLE_NO_ROOM: how much room it wants */
	u32 block_log;				 /* of its index */
	u32 named;				 /* by that many mappings in slices */
	u64 unnamed_since;
	struct unwind_module *layout; /* of the module, without its rows; NULL for TABLE_UNKNOWN and TABLE_NONE */
};

/* A slice given back. */
struct waiting {
	struct unwind_slice slice;
	u64 since;
};

struct unwind_tables {
	struct unwind_arrays a;
	struct extents rows, idx, maps;
	struct table *tables; /* by module index */
	size_t n_tables;
	struct waiting *waiting; /* queue: [first_waiting, first_waiting + n_waiting), wrapping */
	u32 first_waiting, n_waiting, cap_waiting, n_live;
	u64 now; /* the latest time told */
	struct unwind_tables_counts counts;
};

int unwind_tables_new(const struct unwind_arrays *a, struct unwind_tables **ret)
{
	struct unwind_tables *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->a = *a;
	if (extents_init(&t->rows, 1, a->n_rows) < 0 || extents_init(&t->idx, 1, a->n_idx) < 0 ||
	    extents_init(&t->maps, 0, a->n_maps) < 0) {
		unwind_tables_free(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

struct unwind_tables *unwind_tables_free(struct unwind_tables *t)
{
	if (!t)
		return NULL;
	for (u32 i = 0; i < t->n_tables; i++)
		free(t->tables[i].layout);
	free(t->tables);
	free(t->waiting);
	extents_release(&t->rows);
	extents_release(&t->idx);
	extents_release(&t->maps);
	free(t);
	return NULL;
}

/* ---- slices that wait ---- */

static void free_slice(struct unwind_tables *t, const struct unwind_slice *s)
{
	for (u32 i = s->first; i < s->first + s->n; i++) {
		u32 module = t->a.maps[i].module;

		if (!module || module >= t->n_tables || !t->tables[module].named)
			continue;
		if (!--t->tables[module].named)
			t->tables[module].unnamed_since = t->now;
	}
	extents_give(&t->maps, s->first, s->n);
}

/* Frees slices that wait for at least `grace`. */
static void free_waiting(struct unwind_tables *t, u64 grace)
{
	while (t->n_waiting) {
		struct waiting *w = &t->waiting[t->first_waiting];

		if (t->now - w->since < grace)
			return;
		free_slice(t, &w->slice);
		t->first_waiting = (t->first_waiting + 1) % t->cap_waiting;
		t->n_waiting--;
	}
}

void unwind_tables_tick(struct unwind_tables *t, u64 now)
{
	t->now = max_u64(t->now, now);
	free_waiting(t, UNWIND_SLICE_GRACE);
}

/* Room in the queue for every slice that is live, and one more: giving back must not fail. */
static int reserve_waiting(struct unwind_tables *t)
{
	u32 cap = t->cap_waiting ? t->cap_waiting * 2 : 16;
	struct waiting *bigger;

	if (t->n_waiting + t->n_live + 1 <= t->cap_waiting)
		return 0;
	bigger = calloc(cap, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	for (u32 i = 0; i < t->n_waiting; i++)
		bigger[i] = t->waiting[(t->first_waiting + i) % t->cap_waiting];
	free(t->waiting);
	t->waiting = bigger;
	t->cap_waiting = cap;
	t->first_waiting = 0;
	return 0;
}

static void give_back(struct unwind_tables *t, struct unwind_slice *slice)
{
	if (slice->n) {
		BUG_ON(!t->n_live || t->n_waiting == t->cap_waiting);
		t->waiting[(t->first_waiting + t->n_waiting++) % t->cap_waiting] =
			(struct waiting){.slice = *slice, .since = t->now};
		t->n_live--;
	}
	*slice = (struct unwind_slice){0};
}

void unwind_tables_drop(struct unwind_tables *t, u64 now, struct unwind_slice *slice)
{
	unwind_tables_tick(t, now);
	give_back(t, slice);
}

/* ---- modules ---- */

static bool is_removable(const struct unwind_tables *t, const struct table *tb)
{
	return tb->state == TABLE_HERE && !tb->named && t->now - tb->unnamed_since >= UNWIND_GRACE;
}

static struct table *oldest_removable(const struct unwind_tables *t)
{
	struct table *oldest = NULL;

	for (u32 i = 0; i < t->n_tables; i++)
		if (is_removable(t, &t->tables[i]) && (!oldest || t->tables[i].unnamed_since < oldest->unnamed_since))
			oldest = &t->tables[i];
	return oldest;
}

static void remove_table(struct unwind_tables *t, struct table *tb)
{
	extents_give(&t->rows, tb->first_row, tb->n_rows);
	extents_give(&t->idx, tb->first_idx, tb->n_idx);
	free(tb->layout);
	*tb = (struct table){.state = TABLE_UNKNOWN};
	t->counts.evicted++;
}

/* Whether a table for which there was no room might get it now: in parts that are too small, at worst. */
static bool room_for(const struct unwind_tables *t, const struct table *tb)
{
	u64 rows = t->a.n_rows - 1 - t->rows.used, idx = t->a.n_idx - 1 - t->idx.used;
	bool any = false;

	if (extents_have(&t->rows, tb->n_rows) && extents_have(&t->idx, tb->n_idx))
		return true;
	for (u32 i = 0; i < t->n_tables; i++) {
		if (!is_removable(t, &t->tables[i]))
			continue;
		any = true;
		rows += t->tables[i].n_rows;
		idx += t->tables[i].n_idx;
	}
	return any && rows >= tb->n_rows && idx >= tb->n_idx;
}

bool unwind_tables_has(const struct unwind_tables *t, u32 module)
{
	const struct table *tb;

	if (module >= t->n_tables)
		return false;
	tb = &t->tables[module];
	return tb->state != TABLE_UNKNOWN && !(tb->state == TABLE_NO_ROOM && room_for(t, tb));
}

static int reserve_tables(struct unwind_tables *t, u32 module)
{
	return module >= MAX_MODULES ? -ENOMEM : ARRAY_ROOM(t->tables, module, &t->n_tables);
}

/* As extents_take(), at the price of tables that nobody needs. */
static int take_room(struct unwind_tables *t, struct extents *e, u32 n, u32 *ret_off)
{
	struct table *old;
	int err;

	while ((err = extents_take(e, n, ret_off)) == -ENOSPC) {
		old = oldest_removable(t);
		if (!old)
			break;
		remove_table(t, old);
	}
	return err;
}

static void write_table(struct unwind_tables *t, const struct table *tb, const u64 *rows)
{
	u64 *idx = t->a.idx + tb->first_idx;
	u32 r = 0;

	memcpy(t->a.rows + tb->first_row, rows, tb->n_rows * sizeof(*rows));
	for (u32 b = 0; b < tb->n_idx; b++) {
		while (r + 1 < tb->n_rows && rows[r + 1] >> 32 <= (u64)b << tb->block_log)
			r++;
		idx[b] = tb->first_row + r;
	}
}

int unwind_tables_add(struct unwind_tables *t, u32 module, const struct unwind_module *m)
{
	struct table *tb;
	int err = reserve_tables(t, module);

	if (err)
		return err;
	tb = &t->tables[module];
	if (tb->state == TABLE_HERE || tb->state == TABLE_NONE)
		return 0;
	if (m->status != UNWIND_MODULE_OK || !m->rows.n || !m->span) {
		tb->state = TABLE_NONE;
		return 0;
	}
	if (!tb->layout)
		tb->layout = malloc(sizeof(*tb->layout));
	if (!tb->layout)
		return -ENOMEM;
	*tb->layout = *m;
	tb->layout->rows = (struct cfi_rows){0};
	tb->n_rows = m->rows.n;
	tb->block_log = unwind_module_block_log(m);
	tb->n_idx = unwind_module_blocks(m, tb->block_log);
	tb->state = TABLE_NO_ROOM;
	if (!room_for(t, tb))
		return 0;
	err = take_room(t, &t->rows, tb->n_rows, &tb->first_row);
	if (!err) {
		err = take_room(t, &t->idx, tb->n_idx, &tb->first_idx);
		if (err)
			extents_give(&t->rows, tb->first_row, tb->n_rows);
	}
	if (err)
		return err == -ENOSPC ? 0 : err;
	write_table(t, tb, m->rows.rows);
	tb->state = TABLE_HERE;
	return 0;
}

/* ---- slices ---- */

/* A mapping may reach further than its module's table, if somebody made it by hand: it is cut there, so that nobody looks into the next module's index. */
static void write_map(struct unwind_tables *t, const struct unwind_mapping *m, struct uw_map *to)
{
	struct table *tb = &t->tables[m->module];
	u32 pc;

	*to = (struct uw_map){.start = m->start, .end = m->end, .module = m->module & (MAX_MODULES - 1)};
	if (!m->module)
		return;
	tb->named++;
	if (tb->state != TABLE_HERE || unwind_module_pc(tb->layout, m->file_off, &pc) < 0 || pc >> tb->block_log >= tb->n_idx)
		return;
	to->end = min_u64(m->end, m->start + ((u64)tb->n_idx << tb->block_log) - pc);
	to->pc_off = pc;
	to->block_log = tb->block_log;
	to->idx_base = tb->first_idx;
	to->row_end = tb->first_row + tb->n_rows;
}

/* Of too many mappings those without a module are left out first: they have no table. So many of them stay. */
static u32 anon_to_keep(const struct unwind_mapping *list, u32 n)
{
	u32 anon = 0, excess = n > UW_MAX_MAPS ? n - UW_MAX_MAPS : 0;

	for (u32 i = 0; i < n; i++)
		anon += !list[i].module;
	return anon > excess ? anon - excess : 0;
}

static int take_slice(struct unwind_tables *t, u32 n, u32 *ret_first)
{
	int err = reserve_waiting(t);

	if (err)
		return err;
	err = extents_take(&t->maps, n, ret_first);
	if (err != -ENOSPC)
		return err;
	free_waiting(t, UNWIND_GRACE);
	return extents_take(&t->maps, n, ret_first);
}

int unwind_tables_set(struct unwind_tables *t, const struct unwind_mapping *list, u32 n, u64 now, struct unwind_slice *slice)
{
	struct unwind_slice fresh = {0};
	u32 kept = (u32)min_u64(n, UW_MAX_MAPS), anon_left = anon_to_keep(list, n);
	int err = 0;

	unwind_tables_tick(t, now);
	for (u32 i = 0; i < n && !err; i++)
		err = reserve_tables(t, list[i].module); /* free_slice() counts down what write_map() counts up */
	if (kept && !err)
		err = take_slice(t, kept, &fresh.first);
	give_back(t, slice);
	t->counts.maps_cut += err ? n : n - kept;
	if (err || !kept)
		return err;
	for (u32 i = 0; i < n && fresh.n < kept; i++) {
		if (!list[i].module && !anon_left)
			continue;
		anon_left -= !list[i].module;
		write_map(t, &list[i], &t->a.maps[fresh.first + fresh.n++]);
	}
	t->n_live++;
	*slice = fresh;
	return 0;
}

/* ---- what it came to ---- */

struct unwind_tables_counts unwind_tables_counts(const struct unwind_tables *t)
{
	struct unwind_tables_counts c = t->counts;

	for (u32 i = 0; i < t->n_tables; i++) {
		c.modules += t->tables[i].state == TABLE_HERE;
		c.without_table += t->tables[i].state == TABLE_NONE;
		c.no_room += t->tables[i].state == TABLE_NO_ROOM;
	}
	c.rows = t->rows.used;
	c.idx = t->idx.used;
	c.maps = t->maps.used;
	return c;
}

void unwind_tables_note_build(struct unwind_tables *t, u64 ns)
{
	t->counts.builds++;
	t->counts.build_ns += ns;
}

const struct unwind_arrays *unwind_tables_arrays(const struct unwind_tables *t)
{
	return &t->a;
}
