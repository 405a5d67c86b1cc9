/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * layout.c: which row of the table a process has, and where: rows of the right version are tried on all threads (layout_scan.c), what leads to the same reading is
 * taken together, and the reading that most threads agree on wins. Two that are equally good are none.
 */
#include "record/layout.h"

#include <errno.h>
#include <string.h>

#include "record/layout_rows.h"
#include "record/layout_scan.h"

#define MAX_TLS ((u64)64 << 10)

_Static_assert(ARRAY_SIZE(rows) <= LAYOUT_MAX_ROWS, "layout_scan.use has a place for each row");

const struct layout_row *layout_rows(u32 *ret_n)
{
	*ret_n = ARRAY_SIZE(rows);
	return rows;
}

u32 layout_version_number(const char *text)
{
	char *end;
	unsigned long minor, patch;

	if (strncmp(text, "1.", 2) != 0)
		return 0;
	minor = strtoul(text + 2, &end, 10);
	patch = *end == '.' ? strtoul(end + 1, &end, 10) : 0;
	return *end || minor > 9999 || patch > 999 ? 0 : LAYOUT_VERSION((u32)minor, (u32)patch);
}

static bool is_of(const struct layout_row *row, u32 version)
{
	for (u32 i = 0; i < LAYOUT_RANGES; i++)
		if (row->ranges[i].last && version >= row->ranges[i].first && version <= row->ranges[i].last)
			return true;
	return false;
}

static bool is_split(const struct layout_row *row)
{
	return !row->size;
}

/* What of a Context or a Core is read: where, how many bytes. */
struct field {
	u16 off, n;
};

static bool overlap(struct field a, struct field b)
{
	return a.off < b.off + b.n && b.off < a.off + a.n;
}

static bool are_apart(const struct field *f, u32 n, u32 size)
{
	for (u32 i = 0; i < n; i++) {
		if (f[i].off == WIRE_NO_FIELD)
			continue;
		if (f[i].off + f[i].n > size)
			return false;
		for (u32 k = 0; k < i; k++)
			if (f[k].off != WIRE_NO_FIELD && overlap(f[i], f[k]))
				return false;
	}
	return true;
}

bool layout_row_is_sound(const struct layout_row *row)
{
	const struct field context[] = {{row->sched, 8},   {row->id, 8},     {row->id_tag, 8}, {row->budget, 2},
					{row->runtime, 1}, {row->handle, 8}, {row->rng, 8}},
			   core[] = {{row->park, 8}, {row->lifo, 8}, {row->queue, 8}, {row->tick_mt, 4}};

	return (is_split(row) || are_apart(context, ARRAY_SIZE(context), row->size)) &&
	       are_apart(core, ARRAY_SIZE(core), LAYOUT_MAX_CORE);
}

/*
 * The rows of the file's version. One that no row holds but that lies between others (a release that was taken back, and never built) is like one of its neighbours.
 * All rows when it is newer than the table, or not known.
 */
static void choose_by_version(struct layout_scan *s)
{
	u32 version = layout_version_number(s->e->version), before = 0, after = UINT32_MAX;
	bool any = false;

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		any |= s->use[i] = version && is_of(&rows[i], version);
		for (u32 k = 0; k < LAYOUT_RANGES && rows[i].ranges[k].last; k++) {
			if (rows[i].ranges[k].last < version)
				before = (u32)max_u64(before, rows[i].ranges[k].last);
			if (rows[i].ranges[k].first > version)
				after = (u32)min_u64(after, rows[i].ranges[k].first);
		}
	}
	for (u32 i = 0; i < ARRAY_SIZE(rows) && !any; i++)
		s->use[i] = !version || after == UINT32_MAX || is_of(&rows[i], before) || is_of(&rows[i], after);
}

/* A compiler orders fields as the newest of those tried that is not newer does: rows that only older ones gave are not its. */
static void choose_rows(struct layout_scan *s)
{
	u32 like = 0;

	choose_by_version(s);
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
		if (s->use[i] && rows[i].rustc_last <= s->e->rustc)
			like = (u32)max_u64(like, rows[i].rustc_last);
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
		s->use[i] &= rows[i].rustc_last >= like && layout_row_is_sound(&rows[i]);
}

/* Whether two rows at the same places are read alike; with `mt` also on a multi-thread worker with its core. Ticks are only first guesses. */
static bool reads_alike(const struct layout_row *a, const struct layout_row *b, bool mt)
{
	if (a->sched != b->sched || is_split(a) != is_split(b) || a->id != b->id || a->id_tag != b->id_tag ||
	    a->budget != b->budget || a->runtime != b->runtime || a->flavor_tag != b->flavor_tag || a->ct_owner != b->ct_owner ||
	    a->ct_core != b->ct_core)
		return false;
	return !mt || (a->mt_owner == b->mt_owner && a->mt_core == b->mt_core && a->park == b->park && a->lifo == b->lifo &&
		       a->queue == b->queue && a->plain_queue == b->plain_queue);
}

/* Two places agree where one of them is not known. */
static bool compatible(const struct layout_vote *a, const struct layout_vote *b)
{
	for (u32 i = 0; i < LAYOUT_PLACES; i++)
		if (a->at[i] != b->at[i] && a->at[i] != WIRE_NOWHERE && b->at[i] != WIRE_NOWHERE)
			return false;
	return a->row == b->row;
}

bool layout_reads_alike(const struct layout_row *a, const struct layout_row *b)
{
	return reads_alike(a, b, true);
}

static int most_threads_first(const void *a, const void *b)
{
	const struct layout_vote *x = a, *y = b;

	return x->threads != y->threads ? (x->threads < y->threads) - (x->threads > y->threads)
					: (x->row > y->row) - (x->row < y->row);
}

/*
 * Before 1.29 a thread shows the place of the scheduler it is in only: what belongs together is put together, the places with most threads first. Votes that were
 * taken in have 0 threads left.
 */
static void join_votes(struct layout_scan *s)
{
	if (s->n_votes)
		qsort(s->votes, s->n_votes, sizeof(*s->votes), most_threads_first);
	for (u32 i = 0; i < s->n_votes; i++) {
		struct layout_vote *v = &s->votes[i];

		for (u32 k = i + 1; v->threads && k < s->n_votes; k++) {
			struct layout_vote *other = &s->votes[k];

			if (!other->threads || !compatible(v, other))
				continue;
			for (u32 p = 0; p < LAYOUT_PLACES; p++)
				if (v->at[p] == WIRE_NOWHERE)
					v->at[p] = other->at[p];
			v->threads += other->threads;
			v->with_mt_core += other->with_mt_core;
			other->threads = 0;
		}
	}
}

static bool has_place(const struct layout_row *row, enum layout_place p)
{
	switch (p) {
	case LAYOUT_CONTEXT:
		return !is_split(row);
	case LAYOUT_MT:
		return row->sched == WIRE_NO_FIELD && row->mt_owner != WIRE_NO_FIELD;
	case LAYOUT_CT:
		return row->sched == WIRE_NO_FIELD;
	default:
		return is_split(row);
	}
}

/* Places that no thread has shown, by their symbols. */
static void add_by_symbols(const struct tokio_elf *e, struct layout_vote *v)
{
	const struct layout_row *row = &rows[v->row];

	for (enum layout_place p = 0; p < LAYOUT_PLACES; p++) {
		const struct tokio_symbol *symbol = tokio_elf_symbol(e, p);

		if (v->at[p] != WIRE_NOWHERE || !symbol)
			continue;
		if (!has_place(row, p))
			continue;
		v->at[p] = -(s32)tokio_elf_tls_back(e, symbol->value) + (p == LAYOUT_CONTEXT ? row->value_at : 0);
	}
}

/* A file with symbols has one for all it uses. */
static bool is_partial(const struct tokio_elf *e, const struct layout_vote *v)
{
	const struct layout_row *row = &rows[v->row];

	return !e->n_symbols && ((has_place(row, LAYOUT_CT) && v->at[LAYOUT_CT] == WIRE_NOWHERE) ||
				 (has_place(row, LAYOUT_MT) && v->at[LAYOUT_MT] == WIRE_NOWHERE));
}

/* All places that a reading needs; before 1.22 budget and runtime are bytes of their own, which only their symbols or all threads together show. */
static bool is_whole(struct layout_scan *s, struct layout_vote *v)
{
	if (!is_split(&rows[v->row]))
		return v->at[LAYOUT_CONTEXT] != WIRE_NOWHERE;
	if (v->at[LAYOUT_BUDGET] != WIRE_NOWHERE && v->at[LAYOUT_RUNTIME] != WIRE_NOWHERE)
		return true;
	return !s->e->n_symbols && layout_scan_bytes(s, v);
}

/* Rows that differ only in what no thread shows yet are one for now; is_partial has them looked at again. */
static bool same_reading(const struct layout_vote *a, const struct layout_vote *b)
{
	return !memcmp(a->at, b->at, sizeof(a->at)) &&
	       reads_alike(&rows[a->row], &rows[b->row], a->with_mt_core || b->with_mt_core);
}

static bool others_may_differ(const struct layout_scan *s, const struct layout_vote *v)
{
	bool mt = rows[v->row].flavor_tag || v->at[LAYOUT_MT] != WIRE_NOWHERE;

	for (u32 i = 0; i < s->n_votes; i++)
		if (s->votes[i].threads == v->threads && !rows[s->votes[i].row].is_unstable &&
		    !reads_alike(&rows[s->votes[i].row], &rows[v->row], mt))
			return true;
	return false;
}

/*
 * The vote with most threads. Of rows that are read alike the first counts, which is the one with the most features, and so the one whose tick is likeliest. Returns
 * how many readings have that many, 0 none.
 */
static u32 best_vote(const struct layout_scan *s, struct layout_vote **ret)
{
	struct layout_vote *best = NULL;
	u32 n = 0;

	for (u32 i = 0; i < s->n_votes; i++) {
		struct layout_vote *v = &s->votes[i];

		if (v->threads && (!best || v->threads > best->threads || (v->threads == best->threads && v->row < best->row)))
			best = v;
	}
	for (u32 i = 0; best && i < s->n_votes; i++) {
		bool is_new = s->votes[i].threads == best->threads;

		for (u32 k = 0; k < i && is_new; k++)
			is_new = s->votes[k].threads != best->threads || !same_reading(&s->votes[k], &s->votes[i]);
		n += is_new;
	}
	*ret = best;
	return n;
}

static void take(const struct layout_scan *s, const struct layout_vote *v, enum layout_outcome outcome, struct layout_result *ret)
{
	ret->outcome = outcome;
	ret->row = &rows[v->row];
	memcpy(ret->at, v->at, sizeof(ret->at));
	ret->threads = v->threads;
	ret->with_mt_core = v->with_mt_core;
	ret->symbol_agrees = s->e->n_symbols > 0;
	ret->is_partial = is_partial(s->e, v) || others_may_differ(s, v);
}

/* No thread has entered a runtime yet: the symbols say where, and if their sizes and the version leave one reading, how. */
static int vote_by_symbols(struct layout_scan *s)
{
	const struct tokio_symbol *context = tokio_elf_symbol(s->e, LAYOUT_CONTEXT);
	const bool is_old = tokio_elf_has_symbol(s->e, LAYOUT_RUNTIME), has_mt = tokio_elf_has_symbol(s->e, LAYOUT_MT),
		   has_slots = has_mt || tokio_elf_has_symbol(s->e, LAYOUT_CT);

	free(TAKE_PTR(s->votes));
	s->n_votes = 0;
	s->votes = calloc(ARRAY_SIZE(rows), sizeof(*s->votes));
	if (!s->votes)
		return -ENOMEM;
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		struct layout_vote v = {.row = i, .at = {WIRE_NOWHERE, WIRE_NOWHERE, WIRE_NOWHERE, WIRE_NOWHERE, WIRE_NOWHERE}};

		if (!s->use[i] || rows[i].is_unstable || is_old != is_split(&rows[i]) ||
		    (!is_old && (!context || context->size != rows[i].symbol_size)))
			continue;
		if ((has_slots && !has_place(&rows[i], LAYOUT_CT)) || (has_mt && !has_place(&rows[i], LAYOUT_MT)) ||
		    (!has_slots && has_place(&rows[i], LAYOUT_CT)))
			continue;
		add_by_symbols(s->e, &v);
		if (!is_whole(s, &v))
			continue;
		v.threads = v.with_mt_core = 1;
		s->votes[s->n_votes++] = v;
	}
	return 0;
}

/* Every program since 1.22 fits an older row, which asks for less: such votes count only where nothing says more. */
static void drop_weaker_votes(struct layout_scan *s)
{
	u32 most = 0;

	for (u32 i = 0; i < s->n_votes; i++)
		if (!is_split(&rows[s->votes[i].row]))
			most = (u32)max_u64(most, s->votes[i].threads);
	for (u32 i = 0; i < s->n_votes; i++)
		if (most && is_split(&rows[s->votes[i].row]) && s->votes[i].threads <= most)
			s->votes[i].threads = 0;
}

/* Nearly all builds are stable ones, and a worker without its core fits both: the others' rows count only where they fit threads that no such row does. */
static void drop_unstable_votes(struct layout_scan *s)
{
	u32 most = 0;

	for (u32 i = 0; i < s->n_votes; i++)
		if (!rows[s->votes[i].row].is_unstable)
			most = (u32)max_u64(most, s->votes[i].threads);
	for (u32 i = 0; i < s->n_votes; i++)
		if (rows[s->votes[i].row].is_unstable && s->votes[i].threads <= most)
			s->votes[i].threads = 0;
}

static int decide(struct layout_scan *s, struct layout_result *ret)
{
	struct layout_vote *best;
	int err;

	join_votes(s);
	drop_weaker_votes(s);
	for (u32 i = 0; i < s->n_votes; i++) {
		const struct layout_row *row = &rows[s->votes[i].row];

		add_by_symbols(s->e, &s->votes[i]);
		if (tokio_elf_has_symbol(s->e, LAYOUT_MT) &&
		    !has_place(row, LAYOUT_MT)) /* of a build without the multi-thread scheduler */
			s->votes[i].threads = 0;
	}
	drop_unstable_votes(s);
	ret->candidates = best_vote(s, &best);
	if (best) {
		take(s, best, ret->candidates == 1 && is_whole(s, best) ? LAYOUT_FOUND : LAYOUT_AMBIGUOUS, ret);
		memcpy(ret->at, best->at, sizeof(ret->at));
		return 0;
	}
	if (!s->e->n_symbols)
		return 0;
	err = vote_by_symbols(s);
	if (err)
		return err;
	if (best_vote(s, &best) == 1) {
		take(s, best, LAYOUT_BY_SYMBOL, ret);
		ret->threads = ret->with_mt_core = 0;
	}
	return 0;
}

static bool has_tls(const struct tokio_elf *e)
{
	return e->tls_memsz && e->tls_align <= 1 << 16;
}

static int make_block(struct layout_scan *s)
{
	s->size = min_u64(tokio_elf_tls_size(s->e), MAX_TLS);
	s->tls = malloc(s->size + 1);
	return s->tls ? 0 : -ENOMEM;
}

int layout_find(const struct tokio_elf *e, const struct layout_thread *threads, u32 n, layout_read_fn read, void *ctx,
		struct layout_result *ret)
{
	struct layout_scan s = {.e = e, .threads = threads, .n = n, .read = read, .ctx = ctx};
	int err;

	*ret = (struct layout_result){.outcome = LAYOUT_NONE};
	for (u32 i = 0; i < LAYOUT_PLACES; i++)
		ret->at[i] = WIRE_NOWHERE;
	if (!has_tls(e))
		return 0;
	err = make_block(&s);
	if (err)
		return err;
	choose_rows(&s);
	err = layout_scan_threads(&s);
	if (!err)
		err = decide(&s, ret);
	free(s.tls);
	free(s.votes);
	return err;
}

/* ---- whether it stays so ---- */

int layout_ask(const struct tokio_elf *e, const struct layout_row *row, const s32 *at, const struct layout_thread *threads, u32 n,
	       layout_read_fn read, void *ctx, struct layout_word *ret)
{
	struct layout_scan s = {.e = e, .threads = threads, .n = n, .read = read, .ctx = ctx};
	int err;

	memset(ret, 0, n * sizeof(*ret));
	if (!has_tls(e))
		return 0;
	err = make_block(&s);
	if (err)
		return err;
	for (u32 i = 0; i < n; i++)
		ret[i] = layout_scan_ask(&s, row, at, &threads[i]);
	free(s.tls);
	return 0;
}

static bool has_anothers_task(const struct layout_word *words, u32 n, u32 i)
{
	for (u32 k = 0; k < n && words[i].task; k++)
		if (k != i && words[k].task == words[i].task && words[k].what == LAYOUT_SAYS_FITS)
			return true;
	return false;
}

void layout_hear(struct layout_witness *w, const struct layout_word *words, u32 n)
{
	u32 misfit[2] = {0};

	for (u32 i = 0; i < n; i++) {
		if (words[i].what == LAYOUT_SAYS_NOTHING)
			continue;
		if (words[i].what == LAYOUT_SAYS_MISFIT || has_anothers_task(words, n, i))
			misfit[words[i].mt]++;
		else
			w->fit[words[i].mt]++;
	}
	for (u32 mt = 0; mt < 2; mt++) {
		w->misfit[mt] += misfit[mt];
		w->looks[mt] += misfit[mt] != 0;
	}
}

bool layout_is_refuted(const struct layout_witness *w)
{
	enum { NEED_LOOKS = 4, NEED_THREADS = 4, TIMES = 4 };

	for (u32 mt = 0; mt < 2; mt++)
		if (w->looks[mt] >= NEED_LOOKS && w->misfit[mt] >= NEED_THREADS && w->misfit[mt] > (u64)TIMES * w->fit[mt])
			return true;
	return false;
}
