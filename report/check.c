/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * check.c: see check.h.
 *
 * What is lost is found by the sequence numbers of the blocks that are delivered, copies included: whatever became of the bytes
 * between two of them, the numbers between are lost. What was in them is known from their own headers (when the payload alone
 * is damaged), from the footer's index, or else bounded by their neighbours' times.
 */
#include "report/check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fdio.h"
#include "base/parse.h"
#include "format/fmt_block.h"

/* Strings are kept for a few names; a hostile file's may be any number. */
#define MAX_STRING_BYTES ((u64)24 << 20)

/* Half of the list is kept for the blocks: a footer that is wrong in each row would hide what is wrong with them. */
static void __printf_fmt(4, 5) add_fault(struct check *c, u64 off, u64 seq, const char *fmt, ...)
{
	bool is_footers = off == UINT64_MAX;
	struct check_fault *f;
	va_list ap;

	c->footer_faults += is_footers;
	if (c->n_faults == CHECK_MAX_FAULTS || (is_footers && c->footer_faults > CHECK_MAX_FAULTS / 2)) {
		c->n_faults_untold++;
		return;
	}
	f = &c->faults[c->n_faults++];
	f->off = off;
	f->seq = seq;
	va_start(ap, fmt);
	(void)vsnprintf(f->what, sizeof(f->what), fmt, ap);
	va_end(ap);
}

/* ---- the footer ---- */

static int keep_index(struct check *c, const struct fmt_section *s)
{
	if (c->index || !s->rows)
		return 0;
	c->index = calloc(s->rows, sizeof(*c->index));
	if (!c->index)
		return -ENOMEM;
	for (u32 i = 0; i < s->rows; i++) {
		fmt_section_row(s, i, &c->index[c->n_index]);
		/* one that is out of order could not be searched: what does not grow is left out, and the blocks tell */
		if (!c->n_index || c->index[c->n_index].seq > c->index[c->n_index - 1].seq)
			c->n_index++;
		else
			add_fault(c, UINT64_MAX, UINT64_MAX, "the footer lists block %" PRIu64 " behind block %" PRIu64,
				  c->index[c->n_index].seq, c->index[c->n_index - 1].seq);
	}
	return 0;
}

static int read_footer(struct check *c, struct fmt_reader *r)
{
	struct fmt_block b;
	int n = fmt_reader_footer(r, &b);

	if (n <= 0)
		return n;
	c->has_footer = true;
	for (u32 i = 0; i < b.n_sections; i++) {
		if (b.sections[i].kind_id == FMT_INDEX) {
			int err = keep_index(c, &b.sections[i]);

			if (err)
				return err;
		}
	}
	return 0;
}

/* The first row of the index that is of block seq or a later one; n_index: there is none. */
static u32 index_at_or_behind(const struct check *c, u64 seq)
{
	u32 lo = 0, hi = c->n_index;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (c->index[mid].seq < seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The index's row of a block; NULL when it has none. Numbers are asked for in rising order. */
static const struct fmt_index *index_of(struct check *c, u64 seq)
{
	u32 at = c->index_at < c->n_index && c->index[c->index_at].seq == seq ? c->index_at : index_at_or_behind(c, seq);

	c->index_at = at + 1;
	return at < c->n_index && c->index[at].seq == seq ? &c->index[at] : NULL;
}

/* A block as its header has it against its row of the footer. */
static void compare_index(struct check *c, const struct fmt_block *b)
{
	const struct fmt_index *x = index_of(c, b->seq);
	const struct {
		const char *what;
		u64 footer, block;
	} cells[] = {
		{"offset", x ? x->offset : 0, b->offset},      {"type", x ? x->type : 0, b->type},
		{"records", x ? x->rows : 0, b->rows},	       {"first time", x ? x->ts_first : 0, b->ts_first},
		{"last time", x ? x->ts_last : 0, b->ts_last}, {"copied block", x ? x->copy_of : 0, b->copy_of},
	};

	for (size_t i = 0; x && i < ARRAY_SIZE(cells); i++)
		if (cells[i].footer != cells[i].block)
			add_fault(c, UINT64_MAX, b->seq,
				  "the footer says %s %" PRIu64 " of block %" PRIu64 ", the block %" PRIu64, cells[i].what,
				  cells[i].footer, b->seq, cells[i].block);
}

static void compare_total(struct check *c, const struct fmt_section *s, u32 row)
{
	struct fmt_kind_total t;
	const struct fmt_kind *k;

	fmt_section_row(s, row, &t);
	if (t.kind >= CHECK_KINDS)
		return;
	k = fmt_kind_by_id(t.kind);
	if (t.rows != c->rows[t.kind])
		add_fault(c, UINT64_MAX, UINT64_MAX, "the footer says %" PRIu64 " records of kind %s, the blocks hold %" PRIu64,
			  t.rows, k ? k->name : "(later version)", c->rows[t.kind]);
	else if (t.encoded != c->encoded[t.kind])
		add_fault(c, UINT64_MAX, UINT64_MAX,
			  "the footer says %" PRIu64 " encoded bytes of kind %s, the blocks hold %" PRIu64, t.encoded,
			  k ? k->name : "(later version)", c->encoded[t.kind]);
}

/* ---- what is lost ---- */

static void on_damage(void *ctx, const struct fmt_damage *d)
{
	struct check *c = ctx;
	struct fmt_damage full = *d;
	const struct fmt_index *x = NULL;

	/* a header that holds tells more than the index: it is the block itself */
	if (d->blocks == 1 && !d->type)
		x = index_of(c, d->seq);
	if (x) {
		full.type = (u32)x->type;
		full.ts_first = x->ts_first;
		full.ts_last = x->ts_last;
		full.rows = x->rows;
	}
	if (full.ts_first && full.type == FMT_BLOCK_EVENTS)
		c->ts_first = c->ts_first ? min_u64(c->ts_first, full.ts_first) : full.ts_first;
	if (c->n_damages < CHECK_MAX_DAMAGES)
		c->damages[c->n_damages++] = full;
	else
		c->n_untold++;
	if (d->blocks == 1 && full.type && c->n_pending < ARRAY_SIZE(c->pending))
		c->pending[c->n_pending++] = full;
}

static const struct fmt_damage *pending_of(const struct check *c, u64 seq)
{
	for (u32 i = 0; i < c->n_pending; i++)
		if (c->pending[i].seq == seq)
			return &c->pending[i];
	return NULL;
}

static void tell_lost(struct check *c, const struct check_lost *l)
{
	if (c->n_lost < CHECK_MAX_SPANS)
		c->lost[c->n_lost++] = *l;
	else
		c->n_lost_untold++;
	if (!c->err && c->hooks && c->hooks->on_lost && l->has_events)
		c->err = c->hooks->on_lost(c->hooks->ctx, l);
}

static void close_open(struct check *c, u64 ts_next)
{
	if (!c->is_open)
		return;
	/* blocks of several rings overlap in time */
	if (c->open.ts_first && ts_next) {
		u64 lo = min_u64(c->open.ts_first, ts_next), hi = max_u64(c->open.ts_first, ts_next);

		c->open.ts_first = lo;
		c->open.ts_last = hi;
	} else {
		c->open.ts_first = c->open.ts_last = max_u64(c->open.ts_first, ts_next);
	}
	c->is_open = false;
	tell_lost(c, &c->open);
}

/* Blocks of which nothing is known. */
static void lose_unknown(struct check *c, u64 seq, u64 blocks)
{
	c->blocks_lost += blocks;
	if (c->is_open) {
		c->open.blocks += blocks;
		return;
	}
	c->is_open = true;
	c->open =
		(struct check_lost){.seq = seq, .blocks = blocks, .ts_first = c->ts_last, .has_events = true, .has_names = true};
}

static void lose_known(struct check *c, u64 seq, const struct fmt_damage *d)
{
	struct check_lost l = {.seq = seq,
			       .blocks = 1,
			       .ts_first = d->ts_first,
			       .ts_last = d->ts_last,
			       .records = d->rows,
			       .has_events = d->type != FMT_BLOCK_DICTIONARY,
			       .has_names = d->type == FMT_BLOCK_DICTIONARY,
			       .is_exact = true};

	if (d->type == FMT_BLOCK_COPY || d->type == FMT_BLOCK_FOOTER || d->recovered)
		return; /* nothing that is not there once more */
	c->blocks_lost++;
	c->event_blocks_lost += l.has_events;
	c->name_blocks_lost += l.has_names;
	c->records_lost += l.has_events ? d->rows : 0;
	tell_lost(c, &l);
}

/* One number that did not come, but that a header or the index tells of. */
static void lose(struct check *c, u64 seq)
{
	const struct fmt_damage *d = pending_of(c, seq);
	const struct fmt_index *x = d ? NULL : index_of(c, seq);

	if (d)
		lose_known(c, seq, d);
	else if (x)
		lose_known(c, seq,
			   &(struct fmt_damage){
				   .type = (u32)x->type, .ts_first = x->ts_first, .ts_last = x->ts_last, .rows = x->rows});
}

/* The least number in [from, to) that a header or the index tells of; `to` when there is none. */
static u64 next_known(const struct check *c, u64 from, u64 to)
{
	u32 at = index_at_or_behind(c, from);

	if (at < c->n_index)
		to = min_u64(to, c->index[at].seq);
	for (u32 i = 0; i < c->n_pending; i++)
		if (c->pending[i].seq >= from)
			to = min_u64(to, c->pending[i].seq);
	return to;
}

/* The numbers from the next expected one up to `to`, which may be far away in a file that lies. */
static void lose_up_to(struct check *c, u64 to)
{
	for (u64 seq = c->next_seq; seq < to; seq++) {
		u64 known = next_known(c, seq, to);

		if (known > seq)
			lose_unknown(c, seq, known - seq);
		if (known < to)
			lose(c, known);
		seq = known;
	}
}

/* ---- intact blocks ---- */

static int keep_strings(struct check *c, const struct fmt_block *b)
{
	for (u32 i = 0; i < b->n_sections; i++)
		if (b->sections[i].kind_id == FMT_STRING)
			c->string_bytes += b->sections[i].encoded_size;
	return c->string_bytes > MAX_STRING_BYTES ? 0 : capture_strings_add(&c->strings, b);
}

static void note_fact(struct check *c, const struct fmt_section *s, u32 i)
{
	const char *key = capture_strings_get(&c->strings, s->cols[0][i], NULL);
	u64 v;

	if (s->kind_id == FMT_TOTAL)
		(void)repair_facts_note(&c->repaired, key, s->cols[1][i]);
	else if (!strcmp(key, "recording.start_ns") &&
		 parse_u64(capture_strings_get(&c->strings, s->cols[1][i], NULL), &v) == 0 && v <= INT64_MAX)
		c->start = v;
}

/* The least and greatest time of the events are the header's; kinds are in the blocks they belong to. */
static void check_contents(struct check *c, const struct fmt_block *b)
{
	u64 first = UINT64_MAX, last = 0;
	bool misplaced = false, is_known = true;

	for (u32 i = 0; i < b->n_sections; i++) {
		const struct fmt_section *s = &b->sections[i];
		bool is_dictionary = s->kind_id < FMT_SWITCH_OUT, is_footer = s->kind_id >= FMT_INDEX;

		if (!s->kind) { /* of a later version: where it belongs and whether it has times is not known here */
			is_known = false;
			continue;
		}
		misplaced |= is_dictionary != (b->type == FMT_BLOCK_DICTIONARY || b->type == FMT_BLOCK_COPY) ||
			     is_footer != (b->type == FMT_BLOCK_FOOTER);
		for (u32 k = 0; s->kind->is_event && k < s->rows; k++) {
			first = min_u64(first, s->cols[0][k]);
			last = max_u64(last, s->cols[0][k]);
		}
	}
	if (misplaced)
		add_fault(c, b->offset, b->seq, "block %" PRIu64 " holds records that do not belong into blocks of its type",
			  b->seq);
	if (is_known && first != UINT64_MAX && (first != b->ts_first || last != b->ts_last))
		add_fault(c, b->offset, b->seq, "the header of block %" PRIu64 " says other times than its events do", b->seq);
}

static void count_block(struct check *c, const struct fmt_block *b)
{
	c->blocks++;
	c->event_blocks += b->type == FMT_BLOCK_EVENTS;
	c->dictionary_blocks += b->type == FMT_BLOCK_DICTIONARY;
	c->copies += b->type == FMT_BLOCK_COPY;
	if (b->type == FMT_BLOCK_COPY || b->type == FMT_BLOCK_FOOTER)
		return;
	c->unknown_blocks += b->type != FMT_BLOCK_EVENTS && b->type != FMT_BLOCK_DICTIONARY;
	c->records += b->rows;
	for (u32 i = 0; i < b->n_sections; i++) {
		const struct fmt_section *s = &b->sections[i];

		if (s->kind_id < CHECK_KINDS) {
			c->rows[s->kind_id] += s->rows;
			c->encoded[s->kind_id] += s->encoded_size;
		}
		if (s->kind && fmt_is_recorded_event(s->kind_id))
			c->events += s->rows;
	}
}

static int read_contents(struct check *c, const struct fmt_block *b)
{
	int err = keep_strings(c, b);

	check_contents(c, b);
	count_block(c, b);
	if (!err && b->type != FMT_BLOCK_COPY)
		err = check_refs_block(&c->refs, b);
	for (u32 i = 0; i < b->n_sections && !err && b->type == FMT_BLOCK_DICTIONARY; i++)
		for (u32 k = 0;
		     (b->sections[i].kind_id == FMT_META || b->sections[i].kind_id == FMT_TOTAL) && k < b->sections[i].rows; k++)
			note_fact(c, &b->sections[i], k);
	if (b->ts_first) {
		c->ts_first = c->ts_first ? min_u64(c->ts_first, b->ts_first) : b->ts_first;
		c->ts_last = max_u64(c->ts_last, b->ts_last);
	}
	return err;
}

static int take_block(struct check *c, const struct fmt_block *b)
{
	int err;

	if (b->seq > c->next_seq)
		lose_up_to(c, b->seq);
	if (b->recovered) /* it is its copy that was read */
		c->blocks_recovered++;
	else if (b->type != FMT_BLOCK_FOOTER)
		compare_index(c, b);
	c->n_pending = 0;
	c->next_seq = max_u64(c->next_seq, b->seq + 1);
	if (b->ts_first || b->type == FMT_BLOCK_FOOTER)
		close_open(c, b->ts_first);
	err = read_contents(c, b);
	if (!err && !c->err && c->hooks && c->hooks->on_block)
		c->err = c->hooks->on_block(c->hooks->ctx, b);
	return err ? err : c->err;
}

/* ---- the end ---- */

static void tell_dangling(struct check *c, enum check_dict d)
{
	const struct check_dangling *x = &c->refs.dangling[d];
	const struct check_place *p = &x->first;

	if (x->entries)
		add_fault(c, p->offset, p->seq,
			  "%" PRIu64 " %s that records name %s in no block (first: %s %" PRIu64
			  ", in column %s of %s, block %" PRIu64 ")",
			  x->entries, check_dict_name(d, x->entries > 1), x->entries > 1 ? "are" : "is",
			  check_dict_name(d, false), p->value, p->kind->cols[p->column].name, p->kind->name, p->seq);
	else if (x->late)
		add_fault(c, p->offset, p->seq,
			  "%" PRIu64 " %s come behind records that name them (first: %s %" PRIu64
			  ", in column %s of %s, block %" PRIu64 ")",
			  x->late, check_dict_name(d, true), check_dict_name(d, false), p->value, p->kind->cols[p->column].name,
			  p->kind->name, p->seq);
}

/* Dangling names are what the loss of names means, and no fault of their own. */
static void conclude(struct check *c)
{
	bool names_lost =
		c->name_blocks_lost || c->blocks_lost > c->event_blocks_lost || c->repaired.blocks_lost || c->repaired.not_closed;

	check_refs_conclude(&c->refs);
	for (u32 d = CHECK_NONE + 1; d < CHECK_DICTS && !names_lost && c->health.closed_cleanly && !c->refs.is_incomplete; d++)
		tell_dangling(c, d);
	if (c->refs.above_limit) {
		const struct check_place *p = &c->refs.first_above;

		add_fault(c, p->offset, p->seq,
			  "%" PRIu64 " indices are above the limit (first: %" PRIu64 ", in column %s of %s, block %" PRIu64 ")",
			  c->refs.above_limit, p->value, p->kind->cols[p->column].name, p->kind->name, p->seq);
	}
	if (!c->start || (c->ts_first && c->start > c->ts_first))
		c->start = c->ts_first;
}

/* Only when all of the blocks are there can their sums be those of the footer. */
static int compare_totals(struct check *c, struct fmt_reader *r)
{
	struct fmt_block b;
	int n;

	if (!c->has_footer || c->blocks_lost || c->health.blocks_damaged > c->blocks_recovered)
		return 0;
	n = fmt_reader_footer(r, &b);
	for (u32 i = 0; n == 1 && i < b.n_sections; i++)
		for (u32 k = 0; b.sections[i].kind_id == FMT_KIND_TOTAL && k < b.sections[i].rows; k++)
			compare_total(c, &b.sections[i], k);
	return n < 0 ? n : 0;
}

int check_run(struct check *c, struct fmt_reader *r, const struct check_hooks *hooks, void (*progress)(void *ctx, u64 off),
	      void *progress_ctx)
{
	const struct fmt_want all = {.dictionaries = true, .events = true, .copies = true, .others = true};
	struct fmt_block b;
	int n = capture_strings_init(&c->strings);

	c->file = *fmt_reader_info(r);
	c->hooks = hooks;
	if (!n)
		n = read_footer(c, r);
	if (n < 0)
		return n;
	fmt_reader_want(r, &all);
	fmt_reader_on_damage(r, on_damage, c);
	fmt_reader_rewind(r);
	while ((n = fmt_reader_next(r, &b)) == 1) {
		if (progress)
			progress(progress_ctx, b.offset);
		n = take_block(c, &b);
		if (n)
			break;
	}
	fmt_reader_on_damage(r, NULL, NULL);
	if (n < 0)
		return n;
	c->health = *fmt_reader_health(r);
	/* headers that hold behind the last block that does */
	for (u32 i = 0; i < c->n_pending; i++)
		if (c->pending[i].seq >= c->next_seq) {
			lose_up_to(c, c->pending[i].seq + 1);
			c->next_seq = c->pending[i].seq + 1;
		}
	close_open(c, 0);
	if (!c->err)
		c->err = compare_totals(c, r);
	conclude(c);
	return c->err;
}

int check_trailer(struct check *c, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	u8 bytes[FMT_TRAILER_SIZE];
	struct fmt_cursor cur;
	struct fmt_trailer t;
	ssize_t n;

	if (!c->health.closed_cleanly)
		return 0;
	if (fd < 0)
		return -errno;
	n = fd_pread_full(fd, bytes, sizeof(bytes), c->health.file_size - sizeof(bytes));
	if (n < 0)
		return (int)n;
	cur = cur_init(bytes, (size_t)n);
	if (fmt_trailer_decode(&cur, &t) == 0 && t.blocks != c->next_seq)
		add_fault(c, UINT64_MAX, UINT64_MAX, "the trailer says %" PRIu64 " blocks, the footer's number %" PRIu64,
			  t.blocks, c->next_seq - 1);
	return 0;
}

void check_release(struct check *c)
{
	check_refs_release(&c->refs);
	capture_strings_release(&c->strings);
	free(c->index);
	c->index = NULL;
}

bool check_is_sound(const struct check *c)
{
	return !c->n_damages && !c->n_faults && c->health.closed_cleanly && !c->health.blocks_damaged &&
	       !c->health.blocks_missing && !c->health.bytes_skipped;
}
