/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * layout.c: the live shape scan. A thread that is inside a runtime has in its TLS, at one offset that is the same for all threads of the program, a
 * Context whose `scheduler` points into the thread's own stack (the scheduler::Context is a local of worker::run or block_on), and
 * what lies there has a shape of its own. Heap pointers look alike; pointers into one's own stack, above the stack pointer, hardly do.
 *
 * Source of the rows: tokio/src/runtime/context.rs, DWARF of builds with rustc 1.85 and 1.95 (they order the fields alike).
 */
#include "record/layout.h"

#include <errno.h>
#include <string.h>

#define NO_TAG		WIRE_NO_FIELD
#define MAX_TLS		((u64)64 << 10)
#define MAX_TASK_ID	(1ULL << 40)
#define MAX_WORKERS	4096
#define USER_ADDR_OK(a) ((a) >= 0x1000 && (a) < 1ULL << 47)

static const struct layout_row rows[] = {
#define TAGGED	 true, 8, 24, 8, 24
#define UNTAGGED false, 0, 0, 0, 16
	{"1.40+", 80, 40, 48, NO_TAG, 68, 70, TAGGED, 8, 0, 24, 104, 160},
	{"1.29-1.39", 88, 56, 40, 32, 76, 78, TAGGED, 8, 0, 24, 64, 72},
	{"1.40+ rt", 72, 32, 40, NO_TAG, 60, 62, UNTAGGED, 8, 0, 24, 104, 88},
	{"1.29-1.39 rt", 80, 48, 8, 0, 68, 70, UNTAGGED, 8, 0, 24, 64, 48},
};

const struct layout_row *layout_rows(u32 *ret_n)
{
	*ret_n = ARRAY_SIZE(rows);
	return rows;
}

/*
 * The multi-thread Core of the releases that let the LIFO slot be stolen (reverted in 1.51.2, 1.52.2 and 1.53): the slot moved into the
 * run queue, so park comes first. Seen in a 1.51.0 build; with the usual offset its parked workers looked as if inside polls.
 */
static bool has_stealable_lifo(const char *version)
{
	static const char *const releases[] = {"1.51.0", "1.51.1", "1.52.0", "1.52.1"};

	for (size_t i = 0; i < ARRAY_SIZE(releases); i++)
		if (!strcmp(version, releases[i]))
			return true;
	return false;
}

static u16 park_offset(const char *version)
{
	return has_stealable_lifo(version) ? 0 : 8;
}

struct candidate {
	u64 tls_back;
	u32 row;
	u32 votes;
};

struct scan {
	layout_read_fn read;
	void *ctx;
	u16 off_park; /* in a multi-thread Core */
	struct candidate *found;
	u32 n_found, cap;
};

static u64 at_u64(const u8 *p, u64 off)
{
	u64 v;

	memcpy(&v, p + off, 8);
	return v;
}

static bool readable(const struct scan *s, u64 addr)
{
	u64 v;

	return USER_ADDR_OK(addr) && s->read(s->ctx, addr, &v, sizeof(v)) == 0;
}

/* What CONTEXT.scheduler points to: [tag,] handle, RefCell borrow flag, core. */
static bool scheduler_fits(const struct scan *s, const struct layout_row *row, u64 sched, u64 id, u8 budget, u8 runtime)
{
	u64 c[4], tag, handle, borrow, core, park;

	if (s->read(s->ctx, sched, c, sizeof(c)) < 0)
		return false;
	tag = row->has_flavor_tag ? c[0] : 0;
	handle = row->has_flavor_tag ? c[1] : c[0];
	borrow = row->has_flavor_tag ? c[2] : c[1];
	core = row->has_flavor_tag ? c[3] : c[2];
	if (tag > 1 || !readable(s, handle) || (borrow > 1 && borrow != ~0ULL) || (core && !readable(s, core)))
		return false;
	if (tag == 0 || !core)
		return true;
	/* a parked multi-thread worker: 35-blocking.md section 3 */
	if (s->read(s->ctx, core + s->off_park, &park, sizeof(park)) < 0)
		return false;
	return park || (runtime <= 1 && budget == 0 && id);
}

static bool context_fits(const struct scan *s, const struct layout_row *row, const struct layout_thread *t, const u8 *p)
{
	u64 sched = at_u64(p, row->off_sched), id = at_u64(p, row->off_id);
	u8 budget = p[row->off_budget], runtime = p[row->off_runtime];

	if (sched % 8 || sched <= t->sp || sched >= t->stack_end || budget > 1 || runtime > 2)
		return false;
	if (row->off_id_tag != NO_TAG) {
		u64 tag = at_u64(p, row->off_id_tag);

		if (tag > 1)
			return false;
		id = tag ? id : 0;
	}
	return id < MAX_TASK_ID && scheduler_fits(s, row, sched, id, budget, runtime);
}

static int vote(struct scan *s, u64 tls_back, u32 row)
{
	struct candidate *c;

	for (u32 i = 0; i < s->n_found; i++) {
		if (s->found[i].tls_back == tls_back && s->found[i].row == row) {
			s->found[i].votes++;
			return 0;
		}
	}
	if (s->n_found == s->cap) {
		u32 cap = s->cap ? s->cap * 2 : 16;

		c = reallocarray(s->found, cap, sizeof(*c));
		if (!c)
			return -ENOMEM;
		s->found = c;
		s->cap = cap;
	}
	s->found[s->n_found++] = (struct candidate){.tls_back = tls_back, .row = row, .votes = 1};
	return 0;
}

/* The symbol may name the place of T or of the storage around it: rustc 1.85's lazy storage has T behind 8 bytes of state. */
static bool symbol_names(const struct tokio_elf *e, u64 tls_back, const struct layout_row *row)
{
	for (u32 i = 0; i < e->n_symbols; i++) {
		u64 back = tokio_elf_tls_back(e, e->symbols[i].value);

		if (back == tls_back || (back == tls_back + 8 && e->symbols[i].size > row->size))
			return true;
	}
	return false;
}

static int scan_thread(struct scan *s, const struct tokio_elf *e, const struct layout_thread *t)
{
	u64 size = min_u64(tokio_elf_tls_size(e), MAX_TLS);
	_cleanup_free_ u8 *tls = malloc(size + 1);
	int err;

	if (!tls)
		return -ENOMEM;
	if (!t->tls_end || s->read(s->ctx, t->tls_end - size, tls, size) < 0)
		return 0;
	for (u32 r = 0; r < ARRAY_SIZE(rows); r++) {
		for (u64 off = 0; off + rows[r].size <= size; off += 8) {
			if (e->n_symbols && !symbol_names(e, size - off, &rows[r]))
				continue;
			if (!context_fits(s, &rows[r], t, tls + off))
				continue;
			err = vote(s, size - off, r);
			if (err)
				return err;
		}
	}
	return 0;
}

static bool version_at_least_1_40(const char *version)
{
	return strtoul(version + 2, NULL, 10) >= 40;
}

/* The row of a symbol's size; the one size that two rows share is told apart by the version. */
static const struct layout_row *row_by_symbol(const struct tokio_elf *e)
{
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].size == e->symbols[0].size &&
		    (!e->version[0] || version_at_least_1_40(e->version) == (rows[i].off_id_tag == NO_TAG)))
			return &rows[i];
	return NULL;
}

static void choose(const struct scan *s, const struct tokio_elf *e, struct layout_result *ret)
{
	const struct candidate *best = NULL;

	for (u32 i = 0; i < s->n_found; i++) {
		if (!best || s->found[i].votes > best->votes) {
			best = &s->found[i];
			ret->candidates = 1;
		} else if (s->found[i].votes == best->votes) {
			ret->candidates++;
		}
	}
	if (best) {
		ret->outcome = ret->candidates == 1 ? LAYOUT_FOUND : LAYOUT_AMBIGUOUS;
		ret->row = &rows[best->row];
		ret->at[LAYOUT_CONTEXT] = -(s32)best->tls_back;
		ret->threads = best->votes;
		ret->symbol_agrees = e->n_symbols > 0;
	} else if (e->n_symbols == 1 && row_by_symbol(e)) {
		ret->outcome = LAYOUT_BY_SYMBOL;
		ret->row = row_by_symbol(e);
		ret->at[LAYOUT_CONTEXT] = -(s32)tokio_elf_tls_back(e, e->symbols[0].value);
		ret->symbol_agrees = true;
	}
}

int layout_find(const struct tokio_elf *e, const struct layout_thread *threads, u32 n, layout_read_fn read, void *ctx,
		struct layout_result *ret)
{
	struct scan s = {.read = read, .ctx = ctx, .off_park = park_offset(e->version)};
	int err = 0;

	*ret = (struct layout_result){.outcome = LAYOUT_NONE};
	for (u32 i = 0; i < LAYOUT_PLACES; i++)
		ret->at[i] = WIRE_NOWHERE;
	if (!e->tls_memsz || e->tls_align > 1 << 16)
		return 0;
	for (u32 i = 0; i < n && !err; i++)
		err = scan_thread(&s, e, &threads[i]);
	if (!err)
		choose(&s, e, ret);
	free(s.found);
	return err;
}

void layout_to_wire(const struct layout_result *r, const char *version, struct wire_layout *l)
{
	l->dtv_off = 0;
	l->at = r->at[LAYOUT_CONTEXT];
	l->at_mt = r->at[LAYOUT_MT];
	l->at_ct = r->at[LAYOUT_CT];
	l->at_budget = r->at[LAYOUT_BUDGET];
	l->at_runtime = r->at[LAYOUT_RUNTIME];
	l->mt_owner = r->row->mt_owner;
	l->mt_core = r->row->mt_core;
	l->ct_owner = r->row->ct_owner;
	l->ct_core = r->row->ct_core;
	l->off_park = park_offset(version);
	l->off_lifo = r->row->lifo;
	l->off_queue = has_stealable_lifo(version) ? WIRE_NO_FIELD : r->row->queue;
	l->off_sched = r->row->off_sched;
	l->off_id = r->row->off_id;
	l->off_id_tag = r->row->off_id_tag;
	l->off_budget = r->row->off_budget;
	l->off_runtime = r->row->off_runtime;
	l->has_flavor_tag = r->row->has_flavor_tag;
	l->tick_mt = has_stealable_lifo(version) ? 96 : r->row->tick_mt;
	l->tick_ct = r->row->tick_ct;
}

static int read_sched(const struct wire_layout *l, layout_read_fn read, void *ctx, struct wire_ctx *x)
{
	u64 c[4], park;

	if (read(ctx, x->sched, c, sizeof(c)) < 0)
		return -EFAULT;
	x->flavor = l->has_flavor_tag && (u8)c[0] == 1 ? WIRE_FLAVOR_MULTI_THREAD : WIRE_FLAVOR_CURRENT_THREAD;
	x->core = c[(x->flavor == WIRE_FLAVOR_MULTI_THREAD ? l->mt_core : l->ct_core) / 8 % 4];
	if (!x->core)
		return 0;
	if (x->flavor == WIRE_FLAVOR_MULTI_THREAD) {
		if (read(ctx, x->core + l->off_park, &park, sizeof(park)) < 0)
			return -EFAULT;
		x->park = park != 0;
	}
	return read(ctx, x->core + (x->flavor == WIRE_FLAVOR_MULTI_THREAD ? l->tick_mt : l->tick_ct), &x->tick, sizeof(x->tick));
}

void layout_read_ctx(const struct wire_layout *l, u64 base, layout_read_fn read, void *ctx, struct wire_ctx *ret)
{
	struct wire_ctx x = {.status = WIRE_CTX_NO_LAYOUT, .gen = l->gen};
	u8 c[WIRE_CTX_BYTES];

	*ret = x;
	if (!l->valid)
		return;
	ret->status = WIRE_CTX_UNREAD;
	if (!base || read(ctx, base + (u64)(s64)l->at, c, sizeof(c)) < 0)
		return;
	x.sched = at_u64(c, l->off_sched);
	x.task = at_u64(c, l->off_id);
	if (l->off_id_tag != NO_TAG && at_u64(c, l->off_id_tag) != 1)
		x.task = 0;
	x.budget = c[l->off_budget] == 1 ? (u16)(1 + c[l->off_budget + 1]) : 0;
	x.runtime = c[l->off_runtime];
	if (x.sched && read_sched(l, read, ctx, &x) < 0)
		return;
	x.status = WIRE_CTX_READ;
	*ret = x;
}

int layout_read_owner(const struct wire_layout *l, const struct wire_ctx *x, layout_read_fn read, void *ctx,
		      struct layout_owner *ret)
{
	u64 first, worker[2];

	/* current-thread: the handle itself; multi-thread: Arc<Worker> { strong, weak, handle, index, .. } */
	if (read(ctx, x->sched + (x->flavor == WIRE_FLAVOR_MULTI_THREAD ? l->mt_owner : l->ct_owner), &first, sizeof(first)) < 0)
		return -EFAULT;
	if (x->flavor != WIRE_FLAVOR_MULTI_THREAD) {
		*ret = (struct layout_owner){.handle = first};
		return USER_ADDR_OK(first) ? 0 : -EBADMSG;
	}
	if (!USER_ADDR_OK(first) || read(ctx, first + 16, worker, sizeof(worker)) < 0)
		return -EFAULT;
	if (!USER_ADDR_OK(worker[0]) || worker[1] >= MAX_WORKERS)
		return -EBADMSG;
	*ret = (struct layout_owner){.handle = worker[0], .worker = (u32)worker[1] + 1};
	return 0;
}
