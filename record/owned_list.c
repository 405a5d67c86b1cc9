/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * owned_list.c: the walk of a runtime's list of live tasks while the runtime works on it.
 *
 * Every step is proven: a task that was followed to bears the list's number and points back to the one it was reached from. Tokio inserts at the head only and clears
 * the links of what it takes out, so a walk whose every step holds has met all tasks that were in the list all the time. A step that does not hold has a shard
 * begun anew. Bounds: OWNED_MAX_TASKS, the list's own count as it changes, MAX_RETRIES, OWNED_MAX_PASSES.
 */
#include "record/owned_list.h"

#include <errno.h>
#include <string.h>

#define NO	    WIRE_NO_FIELD
#define MAX_TRAILER (1u << 26) /* bytes of a future: more is none */
#define MAX_SHARDS  65536u
#define MAX_CHANGES (1ULL << 32)
enum { MAX_RETRIES = 256, MAX_VTABLES = 65536, CELL_BYTES = 512, SLACK = 64, COMPLETE = 2 };

struct reader {
	layout_read_fn read;
	void *ctx;
};

static int get(const struct reader *r, u64 addr, u64 *ret)
{
	return layout_is_user_addr(addr) ? r->read(r->ctx, addr, ret, sizeof(*ret)) : -EFAULT;
}

void owned_walk_begin(struct owned_walk *w, const struct runtime_row *row, u64 handle)
{
	*w = (struct owned_walk){.row = row, .handle = handle};
}

void owned_walk_release(struct owned_walk *w)
{
	free(w->pass[0].tasks);
	free(w->pass[1].tasks);
	u64map_release(&w->vtables);
	*w = (struct owned_walk){0};
}

/* ---- one task ---- */

/* Where a type of task keeps its trailer and its id. 0; -EAGAIN nonsense. */
static int offsets_of(struct owned_walk *w, const struct reader *r, u64 vtable, u32 *ret_trailer, u32 *ret_id)
{
	u64 packed, trailer = 0, id = 0;

	if (u64map_get(&w->vtables, vtable, &packed)) {
		*ret_trailer = (u32)(packed >> 32);
		*ret_id = (u32)packed;
		return 0;
	}
	if (vtable % 8 || w->vtables.n >= MAX_VTABLES ||
	    (w->row->vtable_trailer_offset != NO && get(r, vtable + w->row->vtable_trailer_offset, &trailer) < 0) ||
	    (w->row->vtable_id_offset != NO && get(r, vtable + w->row->vtable_id_offset, &id) < 0))
		return -EAGAIN;
	if (trailer > MAX_TRAILER || trailer % 8 || id % 8 || (trailer ? id >= trailer : id != 0))
		return -EAGAIN;
	if (u64map_put(&w->vtables, vtable, trailer << 32 | id) < 0)
		return -ENOMEM;
	*ret_trailer = (u32)trailer;
	*ret_id = (u32)id;
	return 0;
}

/* 8 bytes of a task: out of what was read of it already, or by another read. */
static int word(const struct reader *r, u64 task, const u8 *cell, size_t n, u64 off, u64 *ret)
{
	if (off + 8 > n)
		return get(r, task + off, ret);
	*ret = layout_u64(cell, off);
	return 0;
}

/* As much of a cell at once as tasks of the type before needed: neighbours in a list are often of one type. */
static size_t guess_size(const struct owned_walk *w)
{
	const size_t header = (size_t)max_u64(w->row->task_owner_id, w->row->task_vtable) + 8;
	u64 packed;

	if (!u64map_get(&w->vtables, w->last_vtable, &packed))
		return header;
	return (size_t)min_u64(CELL_BYTES, max_u64(header, (packed >> 32) + w->row->task_next + 8));
}

/* 0; -EAGAIN: it is not, or no longer, a task of this list behind w->prev. */
static int read_task(struct owned_walk *w, const struct reader *r, struct owned_task *t, u64 *ret_next)
{
	const struct runtime_row *row = w->row;
	size_t n = guess_size(w), header = (size_t)max_u64(row->task_owner_id, row->task_vtable) + 8;
	u32 trailer = 0, id = 0;
	u64 owner, prev;
	u8 cell[CELL_BYTES];
	int err;

	*t = (struct owned_task){.header = w->next};
	if (!layout_is_user_addr(t->header) || t->header % 8)
		return -EAGAIN;
	if (r->read(r->ctx, t->header, cell, n) < 0) {
		n = header; /* its cell may be smaller than that of the one before, at the end of a mapping */
		if (r->read(r->ctx, t->header, cell, n) < 0)
			return -EAGAIN;
	}
	t->state = (u32)layout_u64(cell, 0);
	t->vtable = layout_u64(cell, row->task_vtable);
	owner = layout_u64(cell, row->task_owner_id);
	if (owner != w->owner_id)
		return -EAGAIN;
	err = offsets_of(w, r, t->vtable, &trailer, &id);
	if (err)
		return err;
	w->last_vtable = t->vtable;
	if (word(r, t->header, cell, n, (u64)trailer + row->task_prev, &prev) < 0 ||
	    word(r, t->header, cell, n, (u64)trailer + row->task_next, ret_next) < 0 ||
	    (id && word(r, t->header, cell, n, id, &t->id) < 0))
		return -EAGAIN;
	return prev == w->prev ? 0 : -EAGAIN;
}

/* ---- a pass ---- */

static struct owned_pass *current(struct owned_walk *w)
{
	return &w->pass[1];
}

static int read_counts(struct owned_walk *w, const struct reader *r, u32 when)
{
	struct owned_pass *p = current(w);

	p->added[when] = p->count[when] = 0;
	if (w->row->list_added != NO && get(r, w->handle + w->row->list_added, &p->added[when]) < 0)
		return -EFAULT;
	if (w->row->list_count != NO && get(r, w->handle + w->row->list_count, &p->count[when]) < 0)
		return -EFAULT;
	return 0;
}

static u64 shard_at(const struct owned_walk *w)
{
	return w->row->shards == NO ? w->handle : w->lists + (u64)w->shard * w->row->shard_stride;
}

/* The pass that was current is the older one now. */
static int begin_pass(struct owned_walk *w, const struct reader *r)
{
	struct owned_pass older = w->pass[1];

	w->pass[1] = w->pass[0];
	w->pass[0] = older;
	current(w)->n = 0;
	w->shard = w->retries = 0;
	w->in_shard = false;
	w->n_shards = 1;
	if (get(r, w->handle + w->row->owned_id, &w->owner_id) < 0 || !w->owner_id)
		return -EFAULT;
	if (w->row->shards != NO) {
		u64 n;

		if (get(r, w->handle + w->row->shards, &w->lists) < 0 || get(r, w->handle + w->row->shards_len, &n) < 0 || !n ||
		    n > MAX_SHARDS)
			return -EFAULT;
		w->n_shards = (u32)n;
	}
	return read_counts(w, r, 0);
}

static int keep(struct owned_walk *w, const struct owned_task *t)
{
	struct owned_pass *p = current(w);

	if (p->n == p->cap) {
		u32 cap = p->cap ? p->cap * 2 : 256;
		struct owned_task *tasks = reallocarray(p->tasks, cap, sizeof(*tasks));

		if (!tasks)
			return -ENOMEM;
		p->tasks = tasks;
		p->cap = cap;
	}
	p->tasks[p->n++] = *t;
	return 0;
}

/* What was read of this shard is worth nothing. */
static enum owned_status shard_again(struct owned_walk *w)
{
	current(w)->n = w->shard_first;
	w->in_shard = false;
	return ++w->retries > MAX_RETRIES ? OWNED_CHANGING : OWNED_MORE;
}

/* The shard is over if its tail still is what was read last. */
static enum owned_status end_shard(struct owned_walk *w, const struct reader *r)
{
	u64 tail;

	if (get(r, shard_at(w) + w->row->list_tail, &tail) < 0)
		return OWNED_BROKEN;
	if (tail != w->prev)
		return shard_again(w);
	w->in_shard = false;
	w->shard++;
	return OWNED_MORE;
}

static enum owned_status begin_shard(struct owned_walk *w, const struct reader *r)
{
	w->shard_first = current(w)->n;
	w->prev = 0;
	w->in_shard = true;
	return get(r, shard_at(w) + w->row->list_head, &w->next) < 0 ? OWNED_BROKEN : OWNED_MORE;
}

static enum owned_status next_task(struct owned_walk *w, const struct reader *r, u64 now)
{
	struct owned_task t;
	u64 next;
	int err = read_task(w, r, &t, &next);

	if (err == -EAGAIN)
		return shard_again(w);
	t.ts = now;
	if (err || keep(w, &t) < 0)
		return OWNED_NO_MEMORY;
	if (current(w)->n > OWNED_MAX_TASKS)
		return OWNED_TOO_MANY;
	w->prev = w->next;
	w->next = next;
	return OWNED_MORE;
}

/* ---- do two passes agree? ---- */

static int by_task(const void *a, const void *b)
{
	const struct owned_task *x = a, *y = b;

	if (x->header != y->header)
		return x->header < y->header ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

static u64 distance(u64 a, u64 b)
{
	return a > b ? a - b : b - a;
}

/* Tasks that only the one pass has, and only the other; both are sorted. */
static void compare(const struct owned_pass *a, const struct owned_pass *b, u64 *ret_gone, u64 *ret_new)
{
	u32 i = 0, k = 0;

	*ret_gone = *ret_new = 0;
	while (i < a->n || k < b->n) {
		int c = i == a->n ? 1 : k == b->n ? -1 : by_task(&a->tasks[i], &b->tasks[k]);

		*ret_gone += c < 0;
		*ret_new += c > 0;
		i += c <= 0;
		k += c >= 0;
	}
}

static bool has_twice(const struct owned_pass *p)
{
	for (u32 i = 1; i < p->n; i++)
		if (p->tasks[i].header == p->tasks[i - 1].header)
			return true;
	return false;
}

/*
 * How far counts may be off: by what came and went, and where there is such, by threads that are between the list and its counter, which are changed one after the
 * other. A list that stands still must be right to the task.
 */
static u64 tolerance(u64 changes)
{
	return changes ? changes + SLACK : 0;
}

/* What came into the list and what went between two readings of its counters. False: they make no sense. */
static bool changes_between(const u64 *added, const u64 *count, u64 *ret_came, u64 *ret_went)
{
	*ret_came = added[1] - added[0];
	*ret_went = count[0] + *ret_came - count[1];
	return *ret_came <= MAX_CHANGES && *ret_went <= MAX_CHANGES;
}

/* A pass may miss what came and meet what went while it ran, no more. */
static bool is_explained(const struct owned_pass *p)
{
	u64 came, went;

	return changes_between(p->added, p->count, &came, &went) && distance(p->n, p->count[1]) <= tolerance(came + went);
}

static bool agree_by_counters(const struct owned_pass *a, const struct owned_pass *b, u64 gone, u64 new)
{
	const u64 added[2] = {a->added[0], b->added[1]}, count[2] = {a->count[0], b->count[1]};
	u64 came, went;

	return is_explained(a) && is_explained(b) && changes_between(added, count, &came, &went) && new <= tolerance(came) &&
	       gone <= tolerance(went);
}

/* A count alone does not tell what came and went: each pass must have as many as it says, up to what the passes differ by, and that must be the lesser part. */
static bool agree_by_count(const struct owned_pass *a, const struct owned_pass *b, u64 gone, u64 new)
{
	u64 changes = tolerance(gone + new + distance(a->count[0], b->count[1]));

	return distance(a->n, a->count[1]) <= changes && distance(b->n, b->count[1]) <= changes && gone + new <= SLACK + b->n / 4;
}

/* Without counters the passes must be the same. */
static bool agree(const struct owned_walk *w)
{
	const struct owned_pass *a = &w->pass[0], *b = &w->pass[1];
	u64 gone, new;

	if (has_twice(a) || has_twice(b))
		return false;
	compare(a, b, &gone, &new);
	if (w->row->list_count == NO)
		return !gone && !new;
	return w->row->list_added == NO ? agree_by_count(a, b, gone, new) : agree_by_counters(a, b, gone, new);
}

/* What the older pass has and the newer has not, is added to the newer: it was there. Completed ones are taken out. */
static enum owned_status join(struct owned_walk *w)
{
	const struct owned_pass *a = &w->pass[0];
	struct owned_pass *b = &w->pass[1];
	u32 k = 0, n = b->n, kept = 0;

	for (u32 i = 0; i < a->n; i++) {
		while (k < n && by_task(&b->tasks[k], &a->tasks[i]) < 0)
			k++;
		if ((k == n || by_task(&b->tasks[k], &a->tasks[i])) && keep(w, &a->tasks[i]) < 0)
			return OWNED_NO_MEMORY;
	}
	for (u32 i = 0; i < b->n; i++)
		if (!(b->tasks[i].state & COMPLETE))
			b->tasks[kept++] = b->tasks[i];
	b->n = kept;
	return OWNED_DONE;
}

static enum owned_status end_pass(struct owned_walk *w, const struct reader *r)
{
	struct owned_pass *p = current(w);

	if (read_counts(w, r, 1) < 0)
		return OWNED_BROKEN;
	if (p->n)
		qsort(p->tasks, p->n, sizeof(*p->tasks), by_task);
	w->passes++;
	if (w->passes >= 2 && agree(w))
		return join(w);
	if (w->passes >= OWNED_MAX_PASSES)
		return OWNED_CHANGING;
	return begin_pass(w, r) < 0 ? OWNED_BROKEN : OWNED_MORE;
}

enum owned_status owned_walk_step(struct owned_walk *w, u32 n, layout_read_fn read, void *ctx, u64 (*now)(void))
{
	const struct reader r = {read, ctx};

	if (!w->passes && !w->n_shards && begin_pass(w, &r) < 0)
		w->status = OWNED_BROKEN;
	while (w->status == OWNED_MORE && n--) {
		if (w->shard == w->n_shards)
			w->status = end_pass(w, &r);
		else if (!w->in_shard)
			w->status = begin_shard(w, &r);
		else if (!w->next)
			w->status = end_shard(w, &r);
		else
			w->status = next_task(w, &r, now());
	}
	return w->status;
}

const struct owned_task *owned_walk_tasks(const struct owned_walk *w, u32 *ret_n)
{
	*ret_n = w->status == OWNED_DONE ? w->pass[1].n : 0;
	return w->pass[1].tasks;
}
