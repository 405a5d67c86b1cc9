/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * layout_scan.c: the live shape scan. A thread that is inside a runtime has in its TLS, at one place that is the same for all threads of the program, a pointer
 * into its own stack: to the scheduler's context, a local of worker::run or block_on. What lies there has a shape of its own. Heap pointers look alike; pointers into
 * one's own stack, above the stack pointer, hardly do. Since 1.29 that pointer is a field of Context. Before, it is a thread-local of its own, one for each scheduler;
 * then Context (since 1.22) is where the TLS holds the handle of that scheduler, in the right place among the right neighbours.
 */
#include "record/layout_scan.h"

#include <errno.h>
#include <string.h>

#define NO	    WIRE_NO_FIELD
#define MAX_TASK_ID (1ULL << 40)
#define MAX_QUEUED  256
#define MAX_REFS    (1ULL << 32)
enum { NOT_ENTERED = WIRE_NOT_ENTERED, ENTERED_BLOCKING_OK = 1, FULL_BUDGET = 128, QUEUE_HEAD = 24 };

/* What the scheduler's context that a thread is in says. */
struct sched_seen {
	bool mt;
	bool has_core;
	bool parked; /* multi-thread: park is taken out of the core */
	u64 handle;
};

static bool readable(const struct layout_scan *s, u64 addr)
{
	u64 v;

	return layout_is_user_addr(addr) && s->read(s->ctx, addr, &v, sizeof(v)) == 0;
}

static bool null_or_readable(const struct layout_scan *s, u64 addr)
{
	return !addr || readable(s, addr);
}

/* The counts in front of what an Arc holds. */
static bool is_arc(const struct layout_scan *s, u64 addr)
{
	u64 refs[2];

	return layout_is_user_addr(addr) && addr % 8 == 0 && s->read(s->ctx, addr, refs, sizeof(refs)) == 0 && refs[0] &&
	       refs[0] < MAX_REFS && refs[1] && refs[1] < MAX_REFS;
}

static bool read_u64(const struct layout_scan *s, u64 addr, u16 off, u64 *ret)
{
	return off <= LAYOUT_MAX_CORE && s->read(s->ctx, addr + off, ret, sizeof(*ret)) == 0;
}

static bool queue_fits(const struct layout_scan *s, const struct layout_row *row, u64 queue)
{
	u64 q[2];

	if (!is_arc(s, queue))
		return false;
	if (!row->plain_queue)
		return true;
	return s->read(s->ctx, queue + QUEUE_HEAD, q, sizeof(q)) == 0 && (u32)q[1] - (u32)q[0] <= MAX_QUEUED;
}

static bool mt_core_fits(const struct layout_scan *s, const struct layout_row *row, u64 core, struct sched_seen *seen)
{
	u64 park, queue, lifo;

	if (!read_u64(s, core, row->park, &park) || !read_u64(s, core, row->queue, &queue))
		return false;
	seen->parked = !park;
	if (!null_or_readable(s, park) || !queue_fits(s, row, queue))
		return false;
	return row->lifo == NO || (read_u64(s, core, row->lifo, &lifo) && null_or_readable(s, lifo));
}

static bool mt_fits(const struct layout_scan *s, const struct layout_row *row, const u64 *c, struct sched_seen *seen)
{
	u64 core = c[row->mt_core / 8], worker = c[row->mt_owner / 8], borrow = c[row->mt_core / 8 - 1], index;

	if ((borrow > 1 && borrow != ~0ULL) || !is_arc(s, worker) ||
	    s->read(s->ctx, worker + row->worker_handle, &seen->handle, sizeof(seen->handle)) < 0 ||
	    s->read(s->ctx, worker + row->worker_index, &index, sizeof(index)) < 0 || index >= LAYOUT_MAX_WORKERS ||
	    !is_arc(s, seen->handle))
		return false;
	seen->has_core = core != 0;
	return !core || (layout_is_user_addr(core) && mt_core_fits(s, row, core, seen));
}

static bool ct_fits(const struct layout_scan *s, const struct layout_row *row, const u64 *c, struct sched_seen *seen)
{
	u64 core = c[row->ct_core / 8], borrow = c[row->ct_core / 8 - 1];

	seen->handle = c[row->ct_owner / 8];
	seen->has_core = core != 0;
	return (borrow <= 1 || borrow == ~0ULL) && is_arc(s, seen->handle) && null_or_readable(s, core);
}

/* Whether `addr` may be the context of a scheduler of that flavor. */
static bool sched_fits(const struct layout_scan *s, const struct layout_row *row, u64 addr, bool mt, struct sched_seen *seen)
{
	u64 c[4];
	u16 core = mt ? row->mt_core : row->ct_core, owner = mt ? row->mt_owner : row->ct_owner;

	*seen = (struct sched_seen){.mt = mt};
	if (core < 8 || core > sizeof(c) - 8 || owner > sizeof(c) - 8 || s->read(s->ctx, addr, c, sizeof(c)) < 0)
		return false;
	if (row->flavor_tag && c[0] != mt)
		return false;
	return mt ? mt_fits(s, row, c, seen) : ct_fits(s, row, c, seen);
}

/*
 * The handle that is current, RefCell<Option<scheduler::Handle>>: in front of the Arc is the enum's tag or, with one variant only, the borrow flag. Whoever enters a
 * runtime makes its handle current; code that runs there may enter another runtime's handle for a while, but then there is that.
 */
static bool handle_fits(const struct layout_scan *s, const struct layout_row *row, const u8 *p)
{
	u64 before;

	if (row->handle < 8)
		return false;
	before = layout_u64(p, row->handle - 8);
	return (before <= 1 || (row->mt_owner == NO && before == ~0ULL)) && is_arc(s, layout_u64(p, row->handle));
}

/*
 * Whoever enters a runtime is given a seed: two u32, since 1.29 an Option of them, and all of it is other than 0 (but for one time in 2^31). Without that every row would
 * fit where all else is 0, too.
 */
static bool rng_fits(const struct layout_row *row, const u8 *p)
{
	u32 words[3] = {0, 0, 1};

	memcpy(words, p + row->rng, row->sched == NO ? 8 : 12);
	return words[0] && words[1] && words[2];
}

/* What a Context says next to its scheduler: a parked worker runs no task, but the one that is the worker (since 1.22). */
static bool fields_fit(const struct layout_scan *s, const struct layout_row *row, const u8 *p, const struct sched_seen *seen)
{
	u64 id = layout_u64(p, row->id);
	u8 budget = p[row->budget], runtime = p[row->runtime];

	if (budget > 1 || runtime > NOT_ENTERED || !handle_fits(s, row, p))
		return false;
	if (row->id_tag != NO) {
		u64 tag = layout_u64(p, row->id_tag);

		if (tag > 1)
			return false;
		id = tag ? id : 0;
	}
	if (id >= MAX_TASK_ID)
		return false;
	if (!rng_fits(row, p))
		return false;
	return !(seen->has_core && seen->parked && seen->mt) || (runtime < NOT_ENTERED && !budget && id);
}

bool layout_symbol_allows(const struct tokio_elf *e, const struct layout_row *row, enum layout_place place, s32 at)
{
	for (u32 i = 0; i < e->n_symbols; i++) {
		s64 symbol = -(s64)tokio_elf_tls_back(e, e->symbols[i].value);

		if (e->symbols[i].place != place)
			continue;
		/* the symbol names the value, or its storage: rustc 1.85 puts a lazy one's state in front */
		if (symbol == at || (symbol + 8 == at && e->symbols[i].size > (place == LAYOUT_CONTEXT ? row->size : 8)))
			return true;
	}
	return !e->n_symbols;
}

static int vote(struct layout_scan *s, const struct layout_vote *v)
{
	for (u32 i = 0; i < s->n_votes; i++) {
		if (s->votes[i].row == v->row && !memcmp(s->votes[i].at, v->at, sizeof(v->at))) {
			s->votes[i].threads++;
			s->votes[i].with_mt_core += v->with_mt_core;
			return 0;
		}
	}
	if (s->n_votes == s->cap) {
		u32 cap = s->cap ? s->cap * 2 : 16;
		struct layout_vote *votes = reallocarray(s->votes, cap, sizeof(*votes));

		if (!votes)
			return -ENOMEM;
		s->votes = votes;
		s->cap = cap;
	}
	s->votes[s->n_votes++] = *v;
	s->votes[s->n_votes - 1].threads = 1;
	return 0;
}

static struct layout_vote new_vote(u32 row)
{
	return (struct layout_vote){.row = row, .at = {WIRE_NOWHERE, WIRE_NOWHERE, WIRE_NOWHERE, WIRE_NOWHERE, WIRE_NOWHERE}};
}

/* Since 1.29: the pointer at `off` of the block would be Context.scheduler. */
static int try_scoped(struct layout_scan *s, u32 r, u64 off, u64 sched)
{
	const struct layout_row *row = &layout_rows(&(u32){0})[r];
	struct layout_vote v = new_vote(r);
	struct sched_seen seen;
	bool fits;

	if (off < row->sched || off - row->sched + row->size > s->size)
		return 0;
	v.at[LAYOUT_CONTEXT] = (s32)((s64)(off - row->sched) - (s64)s->size);
	if (!layout_symbol_allows(s->e, row, LAYOUT_CONTEXT, v.at[LAYOUT_CONTEXT]))
		return 0;
	fits = (row->flavor_tag && sched_fits(s, row, sched, true, &seen)) || sched_fits(s, row, sched, false, &seen);
	if (!fits || !fields_fit(s, row, s->tls + off - row->sched, &seen))
		return 0;
	v.with_mt_core = seen.mt && seen.has_core;
	return vote(s, &v);
}

/* 1.22 - 1.28: a Context for a scheduler that was found, everywhere in the block where its handle is. Before 1.22 the handle is somewhere, too. */
static int try_contexts(struct layout_scan *s, struct layout_vote *v, const struct layout_row *row, const struct sched_seen *seen)
{
	int err = 0;

	for (u64 off = 0; off + 8 <= s->size && !err; off += 8) {
		u64 start = off - row->handle;

		if (layout_u64(s->tls, off) != seen->handle)
			continue;
		if (!row->size)
			return vote(s, v);
		if (off < row->handle || start + row->size > s->size)
			continue;
		v->at[LAYOUT_CONTEXT] = (s32)((s64)start - (s64)s->size);
		if (row->mt_owner != NO && layout_u64(s->tls, off - 8) != seen->mt)
			continue;
		if (fields_fit(s, row, s->tls + start, seen) &&
		    layout_symbol_allows(s->e, row, LAYOUT_CONTEXT, v->at[LAYOUT_CONTEXT]))
			err = vote(s, v);
	}
	return err;
}

/* Before 1.29: the pointer at `off` of the block would be the CURRENT of a scheduler. */
static int try_slot(struct layout_scan *s, u32 r, u64 off, u64 sched, bool mt)
{
	const struct layout_row *row = &layout_rows(&(u32){0})[r];
	enum layout_place place = mt ? LAYOUT_MT : LAYOUT_CT;
	struct layout_vote v = new_vote(r);
	struct sched_seen seen;

	v.at[place] = (s32)((s64)off - (s64)s->size);
	if (!layout_symbol_allows(s->e, row, place, v.at[place]) || !sched_fits(s, row, sched, mt, &seen))
		return 0;
	v.with_mt_core = mt && seen.has_core;
	return try_contexts(s, &v, row, &seen);
}

static bool read_block(struct layout_scan *s, const struct layout_thread *t)
{
	return t->tls_end && s->read(s->ctx, t->tls_end - s->size, s->tls, s->size) == 0;
}

static int scan_thread(struct layout_scan *s, const struct layout_thread *t)
{
	u32 n_rows;
	const struct layout_row *rows = layout_rows(&n_rows);
	int err = 0;

	if (!read_block(s, t))
		return 0;
	for (u64 off = 0; off + 8 <= s->size; off += 8) {
		u64 sched = layout_u64(s->tls, off);

		if (sched % 8 || sched <= t->sp || sched >= t->stack_end)
			continue;
		for (u32 r = 0; r < n_rows && !err; r++) {
			if (!s->use[r])
				continue;
			if (rows[r].sched != NO) {
				err = try_scoped(s, r, off, sched);
				continue;
			}
			if (rows[r].mt_owner != NO)
				err = try_slot(s, r, off, sched, true);
			if (!err)
				err = try_slot(s, r, off, sched, false);
		}
		if (err)
			return err;
	}
	return 0;
}

int layout_scan_threads(struct layout_scan *s)
{
	int err = 0;

	for (u32 i = 0; i < s->n && !err; i++)
		err = scan_thread(s, &s->threads[i]);
	return err;
}

/* ---- what a thread says of a reading ---- */

static bool is_in_stack(const struct layout_thread *t, u64 addr)
{
	return addr % 8 == 0 && addr > t->sp && addr < t->stack_end;
}

/* The first pointer into the thread's own stack in that part of its block; 0 none. */
static u64 stack_pointer_in(const struct layout_scan *s, const struct layout_thread *t, s64 from, u64 n)
{
	u64 start = (u64)((s64)s->size + from);

	if (from >= 0 || (u64)-from > s->size)
		return 0;
	for (u64 off = start; off + 8 <= start + n && off + 8 <= s->size; off += 8)
		if (is_in_stack(t, layout_u64(s->tls, off)))
			return layout_u64(s->tls, off);
	return 0;
}

/*
 * Where the thread keeps the scheduler's context that it is in, be the row right or wrong; 0: it is in none. A row that names its place tells first, then all that
 * the symbols cover, which hold no other such pointer.
 */
static u64 entered(const struct layout_scan *s, const struct layout_row *row, const s32 *at, const struct layout_thread *t,
		   enum layout_place *ret)
{
	static const enum layout_place places[] = {LAYOUT_CT, LAYOUT_MT, LAYOUT_CONTEXT};
	u64 found = 0;

	for (u32 i = 0; i < ARRAY_SIZE(places) && !found; i++) {
		*ret = places[i];
		if (row && at[places[i]] != WIRE_NOWHERE && places[i] == LAYOUT_CONTEXT && row->sched != NO)
			found = stack_pointer_in(s, t, at[LAYOUT_CONTEXT] + row->sched, 8);
		if (row && at[places[i]] != WIRE_NOWHERE && !found)
			found = stack_pointer_in(s, t, at[places[i]], places[i] == LAYOUT_CONTEXT ? row->size : 8);
		for (u32 k = 0; k < s->e->n_symbols && !found; k++)
			if (s->e->symbols[k].place == places[i])
				found = stack_pointer_in(s, t, -(s64)tokio_elf_tls_back(s->e, s->e->symbols[k].value),
							 s->e->symbols[k].size);
	}
	return found;
}

/* Whether all that a row reads of the thread makes sense; *seen is what scheduler that is. */
static bool reading_fits(const struct layout_scan *s, const struct layout_row *row, const s32 *at, u64 sched,
			 enum layout_place place, struct sched_seen *seen)
{
	s64 context = at[LAYOUT_CONTEXT] == WIRE_NOWHERE ? -1 : (s64)s->size + at[LAYOUT_CONTEXT];
	bool fits;

	if (row->size && (context < 0 || (u64)context + row->size > s->size))
		return false;
	if (row->sched != NO) {
		if (layout_u64(s->tls, (u64)context + row->sched) != sched)
			return false;
		fits = (row->flavor_tag && sched_fits(s, row, sched, true, seen)) || sched_fits(s, row, sched, false, seen);
	} else {
		fits = (place == LAYOUT_CT || row->mt_owner != NO) && sched_fits(s, row, sched, place == LAYOUT_MT, seen);
	}
	return fits && (!row->size || fields_fit(s, row, s->tls + context, seen));
}

struct layout_word layout_scan_ask(struct layout_scan *s, const struct layout_row *row, const s32 *at,
				   const struct layout_thread *t)
{
	struct layout_word w = {0};
	struct sched_seen seen = {0};
	enum layout_place place;
	u64 sched, tag;

	if (!read_block(s, t))
		return w;
	sched = entered(s, row, at, t, &place);
	if (!sched || s->read(s->ctx, sched, &tag, sizeof(tag)) < 0)
		return w;
	w.mt = place == LAYOUT_MT || (place == LAYOUT_CONTEXT && row && row->flavor_tag && tag == 1);
	if (!row || !reading_fits(s, row, at, sched, place, &seen))
		w.what = LAYOUT_SAYS_MISFIT;
	else if (seen.has_core)
		w.what = LAYOUT_SAYS_FITS;
	if (w.what == LAYOUT_SAYS_FITS && w.mt && row->id != NO && row->size)
		w.task = layout_u64(s->tls, (u64)((s64)s->size + at[LAYOUT_CONTEXT] + row->id));
	return w;
}

/* ---- before 1.22 ---- */

struct byte_scan {
	bool *budget, *runtime; /* by offset in the block: still possible */
	bool *used;		/* a budget was seen there */
};

/* The byte with which the thread-local at an offset of the block begins. */
static u8 first_value(const struct layout_scan *s, u64 off)
{
	u64 start = s->size - tokio_elf_tls_back(s->e, 0);

	return off >= start && off - start < s->e->n_tls_init ? s->e->tls_init[off - start] : 0;
}

/* The scheduler that the thread whose block was read is in, by the places in v. False: none. */
static bool current_sched(const struct layout_scan *s, const struct layout_vote *v, struct sched_seen *seen)
{
	const struct layout_row *row = &layout_rows(&(u32){0})[v->row];

	for (u32 mt = 0; mt < 2; mt++) {
		s32 at = v->at[mt ? LAYOUT_MT : LAYOUT_CT];
		u64 sched = at == WIRE_NOWHERE ? 0 : layout_u64(s->tls, (u64)((s64)s->size + at));

		if (sched && sched_fits(s, row, sched, mt, seen))
			return true;
	}
	return false;
}

/* CONTEXT's Option<Handle> changes from 2 to 1 just like the runtime's byte, but has the handle behind it. */
static bool is_handle_tag(const struct layout_scan *s, u64 off, const struct sched_seen *seen)
{
	return seen && off + 16 <= s->size && layout_u64(s->tls, off + 8) == seen->handle;
}

static void rule_out(const struct layout_scan *s, struct byte_scan *b, const struct sched_seen *seen)
{
	for (u64 off = 0; off + 1 < s->size; off++) {
		u8 v = s->tls[off], next = s->tls[off + 1];
		bool runtime_ok = v <= NOT_ENTERED, budget_ok = v == 0 || (v == 1 && next <= FULL_BUDGET);

		if (seen && seen->mt)
			runtime_ok = seen->has_core ? v == ENTERED_BLOCKING_OK : v >= ENTERED_BLOCKING_OK && v <= NOT_ENTERED;
		else if (seen)
			runtime_ok = v == 0;
		if (seen && seen->mt && seen->has_core && seen->parked)
			budget_ok = v == 0;
		b->runtime[off] &= runtime_ok && first_value(s, off) == NOT_ENTERED && !is_handle_tag(s, off, seen);
		b->budget[off] &= budget_ok && first_value(s, off) == 0;
		b->used[off] |= seen && v == 1 && next > 0 && next <= FULL_BUDGET;
	}
}

static bool only_one(const struct layout_scan *s, const bool *possible, const bool *used, s32 *ret)
{
	u32 n = 0;

	for (u64 off = 0; off < s->size; off++) {
		if (!possible[off] || (used && !used[off]))
			continue;
		*ret = (s32)((s64)off - (s64)s->size);
		n++;
	}
	return n == 1;
}

bool layout_scan_bytes(struct layout_scan *s, struct layout_vote *v)
{
	_cleanup_free_ bool *flags = malloc(3 * s->size);
	struct byte_scan b;
	s32 budget = WIRE_NOWHERE, runtime = WIRE_NOWHERE;

	if (!flags)
		return false;
	b = (struct byte_scan){flags, flags + s->size, flags + 2 * s->size};
	memset(flags, true, 2 * s->size);
	memset(b.used, false, s->size);
	b.budget[s->size - 1] = b.runtime[s->size - 1] = false;
	for (u32 i = 0; i < s->n; i++) {
		struct sched_seen seen;

		if (read_block(s, &s->threads[i]))
			rule_out(s, &b, current_sched(s, v, &seen) ? &seen : NULL);
	}
	if (!only_one(s, b.runtime, NULL, &runtime) || !only_one(s, b.budget, b.used, &budget))
		return false;
	v->at[LAYOUT_BUDGET] = budget;
	v->at[LAYOUT_RUNTIME] = runtime;
	return true;
}
