/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * capture_scan.c: see capture_scan.h. Names are looked up after the pass: a string may stand behind its first use when the block
 * that held it before is damaged and a later checkpoint repeats it.
 */
#include "report/capture_scan.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/parse.h"
#include "report/capture_scan_impl.h"

/* The shares of many small blocks are summed in fractions of a byte; conclude() makes bytes of them. */
#define STORED_UNIT 1024ULL

static u64 add_saturated(u64 a, u64 b)
{
	u64 sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

u64 *scan_table_value(struct scan_table *t, u64 key)
{
	u64 at;

	if (u64map_get(&t->by_key, key, &at))
		return &t->entries[at].value;
	if (ARRAY_ROOM_RAW(t->entries, t->n, &t->cap) < 0)
		return NULL;
	if (u64map_put(&t->by_key, key, t->n))
		return NULL;
	t->entries[t->n] = (struct scan_entry){.key = key};
	return &t->entries[t->n++].value;
}

static int table_set(struct scan_table *t, u64 key, u64 value)
{
	u64 *slot = scan_table_value(t, key);

	if (!slot)
		return -ENOMEM;
	*slot = value;
	return 0;
}

static void table_release(struct scan_table *t)
{
	u64map_release(&t->by_key);
	free(t->entries);
}

static int note_stack(struct capture_scan *s, const struct fmt_stack *row)
{
	u64 *seen = scan_table_value(&s->stacks, row->idx);

	if (!seen)
		return -ENOMEM;
	if (*seen)
		return 0;
	if (row->kind == FMT_STACK_KERNEL) {
		*seen = SCAN_KERNEL;
		s->kernel_stacks++;
	} else {
		u64 status = stack_status_of_entry(row->status);

		*seen = status + 1 + (row->fp_from ? SCAN_GUESSED : 0);
		s->user_stacks[status]++;
	}
	return 0;
}

static int note_layout(struct capture_scan *s, const struct fmt_layout *row)
{
	struct fmt_layout *layouts;

	for (size_t i = 0; i < s->n_layouts; i++) {
		if (s->layouts[i].idx == row->idx) {
			s->layouts[i] = *row;
			return 0;
		}
	}
	if (s->n_layouts == 4096) /* a process has a handful: more is a hostile file, and this search is linear */
		return 0;
	layouts = reallocarray(s->layouts, s->n_layouts + 1, sizeof(*layouts));
	if (!layouts)
		return -ENOMEM;
	s->layouts = layouts;
	s->layouts[s->n_layouts++] = *row;
	return 0;
}

static void note_clock(struct capture_scan *s, const struct fmt_clock *row)
{
	if (!s->has_clock)
		s->realtime_offset = row->realtime - row->ts;
	s->has_clock = true;
}

static int note_gap(struct capture_scan *s, const struct fmt_gap *row)
{
	u64 *sum;

	if (!row->cause) /* blocks that a repair found lost: no events that the recorder could not have */
		return 0;
	sum = scan_table_value(&s->gaps, row->cause);
	if (!sum)
		return -ENOMEM;
	*sum = add_saturated(*sum, row->count);
	return 0;
}

/* Any kind's row, big enough for each; columns in order. */
union scan_row {
	u64 cols[FMT_MAX_COLUMNS];
	struct fmt_meta meta;
	struct fmt_total total;
	struct fmt_process process;
	struct fmt_module module;
	struct fmt_module_names names;
	struct fmt_stack stack;
	struct fmt_layout layout;
	struct fmt_clock clock;
	struct fmt_gap gap;
	struct fmt_switch_out switch_out;
	struct fmt_sample sample;
};

static int note_row(struct capture_scan *s, u32 kind_id, const union scan_row *row)
{
	switch (kind_id) {
	case FMT_META:
		return table_set(&s->meta, row->meta.key, row->meta.value);
	case FMT_TOTAL:
		return table_set(&s->totals, row->total.key, row->total.value);
	case FMT_PROCESS:
		return table_set(&s->processes, row->process.idx, row->process.pid);
	case FMT_MODULE:
		return table_set(&s->modules, row->module.idx, row->module.path);
	case FMT_MODULE_NAMES:
		return table_set(&s->names, row->names.module, 2 * (row->names.source == 2 ? 2 : 1) + (row->names.lines == 1));
	case FMT_STACK:
		return note_stack(s, &row->stack);
	case FMT_LAYOUT:
		return note_layout(s, &row->layout);
	case FMT_GAP:
		return note_gap(s, &row->gap);
	case FMT_CLOCK:
		note_clock(s, &row->clock);
		return 0;
	default:
		return 0;
	}
}

static bool rows_matter(u32 kind_id)
{
	switch (kind_id) {
	case FMT_META:
	case FMT_TOTAL:
	case FMT_PROCESS:
	case FMT_MODULE:
	case FMT_MODULE_NAMES:
	case FMT_STACK:
	case FMT_LAYOUT:
	case FMT_GAP:
	case FMT_CLOCK:
		return true;
	default:
		return false;
	}
}

/* By name, so that a kind that gains the context columns is counted without a change here. */
static void count_contexts(struct capture_scan *s, const struct fmt_section *sec)
{
	for (u32 c = 0; c < sec->kind->n_cols; c++) {
		if (strcmp(sec->kind->cols[c].name, "ctx_status") != 0)
			continue;
		for (u32 i = 0; i < sec->rows; i++) {
			s->facts.contexts += sec->cols[c][i] == FMT_CTX_READ || sec->cols[c][i] == FMT_CTX_UNREAD;
			s->facts.contexts_unread += sec->cols[c][i] == FMT_CTX_UNREAD;
		}
	}
}

static int count_use(struct scan_table *t, u64 idx)
{
	u64 *n = scan_table_value(t, idx);

	if (!n)
		return -ENOMEM;
	(*n)++;
	return 0;
}

/* Which user stacks the records carry. What became of them is known when all entries are: see weigh_stacks(). */
static int count_stacks(struct capture_scan *s, const struct fmt_section *sec)
{
	int err = 0;

	for (u32 i = 0; i < sec->rows && !err; i++) {
		union scan_row row;
		u64 pc = 0, ustack;

		fmt_section_row(sec, i, &row);
		ustack = sec->kind_id == FMT_SAMPLE ? row.sample.ustack : row.switch_out.ustack;
		if (sec->kind_id == FMT_SAMPLE)
			pc = row.sample.pc;
		if (pc || ustack)
			err = count_use(pc ? &s->leaf_uses : &s->stack_uses, ustack);
	}
	return err;
}

static int scan_section(struct capture_scan *s, const struct fmt_block *b, const struct fmt_section *sec)
{
	bool known = sec->kind && sec->kind_id < SCAN_KINDS;
	struct scan_kind *k = known ? &s->kinds[sec->kind_id] : &s->unknown;
	union scan_row row = {0};

	if (sec->kind_id >= FMT_INDEX) /* the footer's: about the file, not of the recording */
		return 0;
	k->rows += sec->rows;
	k->encoded += sec->encoded_size;
	if (b->raw_size)
		k->stored += STORED_UNIT * b->stored_size * sec->encoded_size / b->raw_size;
	if (!known)
		return 0;
	if (fmt_is_recorded_event(sec->kind_id))
		s->facts.events += sec->rows;
	count_contexts(s, sec);
	if (sec->kind_id == FMT_SWITCH_OUT || sec->kind_id == FMT_SAMPLE) {
		int err = count_stacks(s, sec);

		if (err)
			return err;
	}
	for (u32 i = 0; rows_matter(sec->kind_id) && i < sec->rows; i++) {
		int err;

		fmt_section_row(sec, i, &row);
		err = note_row(s, sec->kind_id, &row);
		if (err)
			return err;
	}
	return 0;
}

int capture_scan_block(struct capture_scan *s, const struct fmt_block *b)
{
	int err = capture_strings_add(&s->strings, b);

	if (b->type == FMT_BLOCK_FOOTER) {
		s->footer_bytes = s->health.file_size - b->offset;
		return err;
	}
	s->stored += b->stored_size;
	s->raw += b->raw_size;
	if (b->ts_first && (!s->ts_first || b->ts_first < s->ts_first))
		s->ts_first = b->ts_first;
	s->ts_last = max_u64(s->ts_last, b->ts_last);
	for (u32 i = 0; !err && i < b->n_sections; i++)
		err = scan_section(s, b, &b->sections[i]);
	return err;
}

static const char lost_prefix[] = "lost.";

/* "ring_full" covers the totals of "ring_full" and of "ring_full.switch_out". */
static bool covers(const char *gap_cause, const char *cause)
{
	size_t n = strlen(gap_cause);

	return !strncmp(gap_cause, cause, n) && (!cause[n] || cause[n] == '.');
}

/* Adds to the count of a cause; by_text is keyed by the cause's index in texts, so that two indices of one text are one cause. */
static int add_lost(struct scan_table *by_text, struct strtab *texts, const char *cause, u64 count)
{
	u32 text;
	u64 *slot;

	if (!count)
		return 0;
	if (!*cause)
		cause = "unnamed";
	if (strtab_intern(texts, cause, strlen(cause), &text, NULL))
		return -ENOMEM;
	slot = scan_table_value(by_text, text);
	if (!slot)
		return -ENOMEM;
	*slot = add_saturated(*slot, count);
	return 0;
}

/*
 * Totals and gaps tell of the same events: a total how many, a gap when. Of a gap's cause only what the totals do not account for
 * is added, as in a file that ended before its totals were written.
 */
static int gather_gaps(const struct capture_scan *s, struct scan_table *by_text, size_t n_totals)
{
	enum { MAX_CAUSES = 1024 }; /* a recorder has a dozen; more is a hostile file, and this search is quadratic */
	struct strtab *texts = s->strings.texts;
	int err = 0;

	n_totals = min_u64(n_totals, MAX_CAUSES);
	for (size_t i = 0; !err && i < s->gaps.n; i++) {
		const char *cause = capture_strings_get(&s->strings, s->gaps.entries[i].key, NULL);
		u64 told = 0, count = s->gaps.entries[i].value;

		for (size_t k = 0; k < n_totals && i < MAX_CAUSES; k++)
			if (covers(cause, strtab_get(texts, (u32)by_text->entries[k].key, NULL)))
				told = add_saturated(told, by_text->entries[k].value);
		err = add_lost(by_text, texts, cause, count > told ? count - told : 0);
	}
	return err;
}

static int gather_lost(struct capture_scan *s, struct scan_table *by_text)
{
	struct strtab *texts = s->strings.texts;
	int err = 0;

	for (size_t i = 0; !err && i < s->totals.n; i++) {
		const char *key = capture_strings_get(&s->strings, s->totals.entries[i].key, NULL);

		if (!strncmp(key, lost_prefix, strlen(lost_prefix)))
			err = add_lost(by_text, texts, key + strlen(lost_prefix), s->totals.entries[i].value);
	}
	if (!err)
		err = gather_gaps(s, by_text, by_text->n);
	if (err)
		return err;
	s->lost = calloc(by_text->n + 1, sizeof(*s->lost));
	if (!s->lost)
		return -ENOMEM;
	for (size_t i = 0; i < by_text->n; i++) {
		const char *cause = strtab_get(texts, (u32)by_text->entries[i].key, NULL);

		s->lost[s->n_lost++] = (struct scan_lost){.cause = cause, .count = by_text->entries[i].value};
		s->facts.lost = add_saturated(s->facts.lost, by_text->entries[i].value);
	}
	return 0;
}

/* A time that the recorder wrote down among the facts; 0 when it did not, or when it is no time. */
static u64 meta_time(const struct capture_scan *s, const char *key)
{
	for (size_t i = 0; i < s->meta.n; i++) {
		u64 v;

		if (!strcmp(capture_strings_get(&s->strings, s->meta.entries[i].key, NULL), key) &&
		    parse_u64(capture_strings_get(&s->strings, s->meta.entries[i].value, NULL), &v) == 0 && v <= INT64_MAX)
			return v;
	}
	return 0;
}

static enum verdict_end meta_end(const struct capture_scan *s)
{
	for (size_t i = 0; i < s->meta.n; i++)
		if (!strcmp(capture_strings_get(&s->strings, s->meta.entries[i].key, NULL), "recording.stopped_by"))
			return verdict_end_of(capture_strings_get(&s->strings, s->meta.entries[i].value, NULL));
	return VERDICT_END_AS_ASKED;
}

/* What the recording covers: as it says itself, widened to its events. A quiet end of a recording has no event. */
static void widen_times(struct capture_scan *s)
{
	u64 start = meta_time(s, "recording.start_ns");

	if (start && (!s->ts_first || start < s->ts_first))
		s->ts_first = start;
	s->ts_last = max_u64(s->ts_last, meta_time(s, "recording.end_ns"));
}

/* Adds the uses of one table to the sums by status; `missing` counts for entries that are not there, when it is a status. */
static void weigh_uses(struct capture_scan *s, const struct scan_table *uses, u64 missing)
{
	struct verdict_facts *f = &s->facts;

	for (size_t i = 0; i < uses->n; i++) {
		u64 at, entry = 0, n = uses->entries[i].value;

		if (u64map_get(&s->stacks.by_key, uses->entries[i].key, &at))
			entry = s->stacks.entries[at].value;
		if (entry && !(entry & SCAN_KERNEL)) {
			f->stacks[(entry & ~(u64)SCAN_GUESSED) - 1] += n;
			f->stacks_guessed += entry & SCAN_GUESSED ? n : 0;
		} else if (missing < STACK_STATUSES) {
			f->stacks[missing] += n;
		}
	}
}

/* A record whose stack was lost carries none; of a sample with a pc the innermost address is left. */
static void weigh_stacks(struct capture_scan *s)
{
	weigh_uses(s, &s->stack_uses, STACK_STATUSES);
	weigh_uses(s, &s->leaf_uses, STACK_LEAF_ONLY);
}

static void gather_totals(struct capture_scan *s)
{
	for (size_t i = 0; i < s->totals.n; i++) {
		const char *key = capture_strings_get(&s->strings, s->totals.entries[i].key, NULL);

		(void)repair_facts_note(&s->facts.repaired, key, s->totals.entries[i].value);
		(void)probe_facts_note(&s->facts.probes, key, s->totals.entries[i].value);
	}
}

int capture_scan_conclude(struct capture_scan *s)
{
	const struct fmt_health *h = &s->health;
	struct verdict_facts *f = &s->facts;
	struct scan_table by_text = {0};
	int err = gather_lost(s, &by_text);

	table_release(&by_text);
	if (err)
		return err;
	gather_totals(s);
	f->blocks_intact = h->blocks_intact;
	f->blocks_damaged = h->blocks_damaged;
	f->blocks_missing = h->blocks_missing;
	f->bytes_skipped = h->bytes_skipped;
	f->file_size = h->file_size;
	f->closed_cleanly = h->closed_cleanly;
	widen_times(s);
	f->end = meta_end(s);
	f->duration = capture_scan_duration(s);
	verdict_decide(f, &s->verdict);
	return 0;
}

int capture_scan_run(struct capture_scan *s, struct fmt_reader *r)
{
	struct fmt_block b;
	int n;

	*s = (struct capture_scan){.file = *fmt_reader_info(r)};
	n = capture_strings_init(&s->strings);
	if (n)
		return n;
	fmt_reader_rewind(r);
	s->health.file_size = fmt_reader_health(r)->file_size;
	while ((n = fmt_reader_next(r, &b)) == 1) {
		n = capture_scan_block(s, &b);
		if (n)
			break;
	}
	if (n < 0)
		return n;
	s->health = *fmt_reader_health(r);
	s->copies = s->health.copies;
	s->copy_bytes = s->health.copy_bytes;
	for (u32 i = 0; i < SCAN_KINDS; i++)
		s->kinds[i].stored = (s->kinds[i].stored + STORED_UNIT / 2) / STORED_UNIT;
	s->unknown.stored = (s->unknown.stored + STORED_UNIT / 2) / STORED_UNIT;
	weigh_stacks(s);
	return capture_scan_conclude(s);
}

void capture_scan_release(struct capture_scan *s)
{
	capture_strings_release(&s->strings);
	table_release(&s->meta);
	table_release(&s->totals);
	table_release(&s->gaps);
	table_release(&s->modules);
	table_release(&s->names);
	table_release(&s->processes);
	table_release(&s->stacks);
	table_release(&s->stack_uses);
	table_release(&s->leaf_uses);
	free(s->layouts);
	free(s->lost);
}

u64 capture_scan_duration(const struct capture_scan *s)
{
	return s->ts_last > s->ts_first ? s->ts_last - s->ts_first : 0;
}
