/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * owned_row.c: which row of the table a runtime's memory fits. Version alone does not tell: the drivers, the kind of locks and the compiler move everything. What
 * tells is the list of tasks itself: a power of two of shards, a mask that is one less, and tasks that bear the list's number.
 */
#include "record/owned_list.h"

#include <errno.h>

#include "record/runtime_rows.h"

#define NO	   WIRE_NO_FIELD
#define MAX_ID	   (1ULL << 40)
#define MAX_SHARDS 65536u /* OwnedTasks::gen_shared_list_size */
#define MAX_CAP	   (1ULL << 32)
#define MAX_INJECT 1000000u
enum { TRIES = 4 /* of what may be caught in the middle of a change */, LOOKED_AT = 64 /* shards, for a task */ };

const struct runtime_row *runtime_rows(u32 *ret_n)
{
	*ret_n = ARRAY_SIZE(rows);
	return rows;
}

static bool is_of(const struct runtime_row *row, u32 version)
{
	for (u32 i = 0; i < LAYOUT_RANGES; i++)
		if (row->ranges[i].last && version >= row->ranges[i].first && version <= row->ranges[i].last)
			return true;
	return false;
}

struct chosen {
	bool use[ARRAY_SIZE(rows)];
};

/* As layout.c chooses rows, but that all of the neighbours' are tried where no row is of the version. */
static void choose(struct chosen *c, u32 version, bool mt)
{
	u32 before = 0, after = UINT32_MAX;
	bool any = false;

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		any |= version && is_of(&rows[i], version);
		for (u32 k = 0; k < LAYOUT_RANGES && rows[i].ranges[k].last; k++) {
			if (rows[i].ranges[k].last < version)
				before = (u32)max_u64(before, rows[i].ranges[k].last);
			if (rows[i].ranges[k].first > version)
				after = (u32)min_u64(after, rows[i].ranges[k].first);
		}
	}
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct runtime_row *r = &rows[i];

		c->use[i] = r->mt == mt && (any				      ? is_of(r, version)
					    : !version || after == UINT32_MAX ? true
									      : is_of(r, before) || is_of(r, after));
	}
}

struct look {
	const struct runtime_at *at;
	layout_read_fn read;
	void *ctx;
};

static bool get(const struct look *l, u64 addr, u64 *ret)
{
	return layout_is_user_addr(addr) && l->read(l->ctx, addr, ret, sizeof(*ret)) == 0;
}

static bool field(const struct look *l, u16 off, u64 *ret)
{
	return off != NO && get(l, l->at->handle + off, ret);
}

static bool is_task_or_null(u64 addr)
{
	return !addr || (layout_is_user_addr(addr) && addr % 8 == 0);
}

/* Whether the task at `task` bears the list's number. */
static bool bears(const struct look *l, const struct runtime_row *row, u64 task, u64 owner_id)
{
	u64 id, vtable;

	return get(l, task + row->task_owner_id, &id) && id == owner_id && get(l, task + row->task_vtable, &vtable) &&
	       layout_is_user_addr(vtable) && vtable % 8 == 0;
}

enum fit {
	FIT_NO,
	FIT_EMPTY, /* nothing speaks against it, and no task for it */
	FIT_SHAPE, /* shards and their mask */
	FIT_TASKS, /* tasks that bear the list's number */
};

/* One list: where its head is, and its tail. */
static enum fit list_fits(const struct look *l, const struct runtime_row *row, u64 head_at, u64 tail_at, u64 owner_id)
{
	u64 head, tail;

	if (!get(l, head_at, &head) || !get(l, tail_at, &tail) || !head != !tail || !is_task_or_null(head) ||
	    !is_task_or_null(tail))
		return FIT_NO;
	if (!head)
		return FIT_EMPTY;
	return bears(l, row, head, owner_id) && bears(l, row, tail, owner_id) ? FIT_TASKS : FIT_NO;
}

static enum fit shards_fit(const struct look *l, const struct runtime_row *row, u64 owner_id)
{
	u64 lists, n, mask, count = 0;
	enum fit best = FIT_SHAPE;

	if (!field(l, row->shards, &lists) || !field(l, row->shards_len, &n) || !field(l, row->shard_mask, &mask))
		return FIT_NO;
	if (!n || n > MAX_SHARDS || (n & (n - 1)) || mask != n - 1 || !layout_is_user_addr(lists) || lists % 8)
		return FIT_NO;
	if (row->list_count != NO && (!field(l, row->list_count, &count) || count > UINT32_MAX))
		return FIT_NO;
	for (u64 i = 0; i < n && i < LOOKED_AT; i++) {
		u64 shard = lists + i * row->shard_stride;
		enum fit f = list_fits(l, row, shard + row->list_head, shard + row->list_tail, owner_id);

		if (f == FIT_NO)
			return FIT_NO;
		best = f > best ? f : best;
	}
	return best;
}

static enum fit owned_fits_once(const struct look *l, const struct runtime_row *row)
{
	u64 id, count, refs[2], handle = l->at->handle;
	u8 closed;

	if (!get(l, handle, &refs[0]) || !get(l, handle + 8, &refs[1]) || !refs[0] || !refs[1] || refs[0] >= 1ULL << 32 ||
	    refs[1] >= 1ULL << 32)
		return FIT_NO;
	if (!field(l, row->owned_id, &id) || !id || id >= MAX_ID || l->read(l->ctx, handle + row->owned_closed, &closed, 1) < 0 ||
	    closed > 1)
		return FIT_NO;
	if (row->shards != NO)
		return shards_fit(l, row, id);
	if (row->list_count != NO && (!field(l, row->list_count, &count) || count > UINT32_MAX))
		return FIT_NO;
	return list_fits(l, row, handle + row->list_head, handle + row->list_tail, id);
}

/* The target runs meanwhile: what does not fit may have been caught between two writes. */
static enum fit owned_fits(const struct look *l, const struct runtime_row *row)
{
	enum fit f = FIT_NO;

	for (u32 i = 0; i < TRIES && f == FIT_NO; i++)
		f = owned_fits_once(l, row);
	return f;
}

static bool inject_fits_once(const struct look *l, const struct runtime_row *row)
{
	u64 len, head, tail;

	if (!field(l, row->inject_len, &len) || len > MAX_INJECT)
		return false;
	if (row->inject_head == NO)
		return true;
	return field(l, row->inject_head, &head) && field(l, row->inject_tail, &tail) && is_task_or_null(head) &&
	       is_task_or_null(tail) && !head == !tail && !head == !len;
}

static bool inject_fits(const struct look *l, const struct runtime_row *row)
{
	bool fits = false;

	for (u32 i = 0; i < TRIES && !fits; i++)
		fits = inject_fits_once(l, row);
	return fits;
}

static bool tasks_fit(const struct look *l, const struct runtime_row *row)
{
	u64 core = l->at->core, cap, p, head, len;

	for (u32 i = 0; i < TRIES; i++) {
		if (!core || row->tasks_len == NO || !get(l, core + row->tasks_cap, &cap) || !get(l, core + row->tasks_ptr, &p) ||
		    !get(l, core + row->tasks_head, &head) || !get(l, core + row->tasks_len, &len))
			return false;
		if (cap && cap < MAX_CAP && layout_is_user_addr(p) && p % 8 == 0 && head < cap && len <= cap)
			return true;
	}
	return false;
}

static bool same_list(const struct runtime_row *a, const struct runtime_row *b)
{
	return a->owned_id == b->owned_id && a->shards == b->shards && a->shards_len == b->shards_len &&
	       a->shard_mask == b->shard_mask && a->list_added == b->list_added && a->list_count == b->list_count &&
	       a->shard_stride == b->shard_stride && a->list_head == b->list_head && a->list_tail == b->list_tail &&
	       a->task_vtable == b->task_vtable && a->task_owner_id == b->task_owner_id && a->task_prev == b->task_prev &&
	       a->task_next == b->task_next && a->vtable_trailer_offset == b->vtable_trailer_offset &&
	       a->vtable_id_offset == b->vtable_id_offset && a->links_in_header == b->links_in_header;
}

/* The one offset that rows name which fit; NO when they name several. */
struct agreed {
	u16 off;
	bool any, differ;
};

static void agree(struct agreed *a, u16 off)
{
	a->differ |= a->any && a->off != off;
	a->any = true;
	a->off = off;
}

static u16 agreed_on(const struct agreed *a)
{
	return a->any && !a->differ ? a->off : NO;
}

/* The other offsets, by the rows whose list is that of `row`. */
static void find_others(const struct look *l, const struct chosen *c, const struct runtime_row *row, struct runtime_layout *ret)
{
	struct agreed inject = {0}, tasks = {0};

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!c->use[i] || !same_list(&rows[i], row))
			continue;
		if (inject_fits(l, &rows[i]))
			agree(&inject, rows[i].inject_len);
		if (tasks_fit(l, &rows[i]))
			agree(&tasks, rows[i].tasks_len);
	}
	*ret = (struct runtime_layout){.row = row, .inject_len = agreed_on(&inject), .tasks_len = agreed_on(&tasks)};
}

enum runtime_look runtime_find(const char *version, const struct runtime_at *at, layout_read_fn read, void *ctx,
			       struct runtime_layout *ret)
{
	const struct look l = {.at = at, .read = read, .ctx = ctx};
	const struct runtime_row *best = NULL;
	enum fit best_fit = FIT_NO;
	bool differ = false;
	struct chosen c;

	choose(&c, layout_version_number(version), at->mt);
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		enum fit f = c.use[i] ? owned_fits(&l, &rows[i]) : FIT_NO;

		if (f == FIT_NO || f < best_fit)
			continue;
		differ = f == best_fit && (differ || !same_list(best, &rows[i]));
		best = &rows[i];
		best_fit = f;
	}
	if (!best)
		return RUNTIME_NO_ROW;
	if (best_fit == FIT_EMPTY)
		return RUNTIME_EMPTY;
	if (differ)
		return RUNTIME_AMBIGUOUS;
	find_others(&l, &c, best, ret);
	return RUNTIME_FITS;
}
