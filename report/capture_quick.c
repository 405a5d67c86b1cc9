/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * capture_quick.c: capture_scan_quick() of capture_scan.h: what a capture holds by its names, the headers of its blocks, its footer and
 * the recorder's sums; no payload of events is read. Whatever does not fit together leads to the full scan.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "report/capture_scan_impl.h"

/* The value of a total by the text of its key. */
static bool total_of(const struct capture_scan *s, const char *key, u64 *ret)
{
	bool found = false;

	for (size_t i = 0; i < s->totals.n; i++) {
		if (strcmp(capture_strings_get(&s->strings, s->totals.entries[i].key, NULL), key) != 0)
			continue;
		*ret = s->totals.entries[i].value;
		found = true;
	}
	return found;
}

/* Sizes and times of all blocks from the footer's index; false when it does not list each of them, one behind the other. */
static bool take_index(struct capture_scan *s, const struct fmt_section *x, const struct fmt_block *footer)
{
	if (x->rows != footer->seq)
		return false;
	for (u32 i = 0; i < x->rows; i++) {
		struct fmt_index row, next = {.offset = footer->offset};
		u64 size;

		fmt_section_row(x, i, &row);
		if (i + 1 < x->rows)
			fmt_section_row(x, i + 1, &next);
		if (row.seq != i || next.offset <= row.offset)
			return false;
		size = next.offset - row.offset;
		if (row.type == FMT_BLOCK_COPY) {
			s->copies++;
			s->copy_bytes += size;
			continue;
		}
		s->stored += size;
		if (row.ts_first && (!s->ts_first || row.ts_first < s->ts_first))
			s->ts_first = row.ts_first;
		s->ts_last = max_u64(s->ts_last, row.ts_last);
	}
	return true;
}

static void take_kind(struct capture_scan *s, const struct fmt_kind_total *t)
{
	const struct fmt_kind *kind = fmt_kind_by_id(t->kind);
	struct scan_kind *k = kind && t->kind < SCAN_KINDS ? &s->kinds[t->kind] : &s->unknown;

	k->rows += t->rows;
	k->encoded += t->encoded;
	k->stored += t->stored;
	s->raw += t->encoded;
	if (kind && fmt_is_recorded_event(t->kind))
		s->facts.events += t->rows;
}

/* False when the footer does not tell all that is needed. */
static bool take_footer(struct capture_scan *s, const struct fmt_block *footer)
{
	bool has_index = !footer->seq, has_kinds = false;

	memset(s->kinds, 0, sizeof(s->kinds));
	s->unknown = (struct scan_kind){0};
	s->facts.events = s->stored = s->raw = 0;
	s->ts_first = s->ts_last = 0;
	s->footer_bytes = s->health.file_size - footer->offset;
	for (u32 i = 0; i < footer->n_sections; i++) {
		const struct fmt_section *x = &footer->sections[i];

		if (x->kind_id == FMT_INDEX)
			has_index = take_index(s, x, footer);
		for (u32 row = 0; x->kind_id == FMT_KIND_TOTAL && row < x->rows; row++) {
			struct fmt_kind_total t;

			fmt_section_row(x, row, &t);
			take_kind(s, &t);
			has_kinds = true;
		}
	}
	return has_index && has_kinds;
}

static int take_gap(struct capture_scan *s, const char *cause, u64 count)
{
	u32 text;
	u64 *sum;

	if (strtab_intern(s->strings.texts, cause, strlen(cause), &text, NULL))
		return -ENOMEM;
	for (size_t i = 0; i < s->strings.by_idx.cap; i++) {
		if (!s->strings.by_idx.used[i] || s->strings.by_idx.values[i] != text)
			continue;
		sum = scan_table_value(&s->gaps, s->strings.by_idx.keys[i]);
		if (!sum)
			return -ENOMEM;
		*sum = count;
		return 0;
	}
	return 0;
}

/* The recorder's sums over its events (FORMAT.md, total): 1 they are of the events that are here, 0 not, negative errno. */
static int take_totals(struct capture_scan *s)
{
	static const char gaps[] = "records.gaps.";
	struct verdict_facts *f = &s->facts;
	u64 events, lost = 0;
	int err = 0;

	/* stacks that a repair found lost are no longer known by their status */
	(void)total_of(s, "repaired.blocks_lost", &lost);
	if (lost)
		return 0;
	/* another count: blocks were lost, and a repair made the footer anew */
	if (!total_of(s, "records.events", &events) || events != f->events)
		return 0;
	(void)total_of(s, "records.contexts", &f->contexts);
	(void)total_of(s, "records.contexts_unread", &f->contexts_unread);
	(void)total_of(s, "records.stacks_guessed", &f->stacks_guessed);
	s->has_clock = total_of(s, "records.realtime_offset", &s->realtime_offset);
	for (u64 i = 0; i < STACK_STATUSES; i++) {
		char key[64];

		(void)snprintf(key, sizeof(key), "records.stacks.%s", stack_status_name(i));
		(void)total_of(s, key, &f->stacks[i]);
	}
	for (size_t i = 0; i < s->totals.n && !err; i++) {
		const char *key = capture_strings_get(&s->strings, s->totals.entries[i].key, NULL);

		if (!strncmp(key, gaps, strlen(gaps)))
			err = take_gap(s, key + strlen(gaps), s->totals.entries[i].value);
	}
	return err ? err : 1;
}

/* All names, over the headers of all other blocks: 1 nothing is wrong, 0 something is. */
static int read_names(struct capture_scan *s, struct fmt_reader *r, u64 blocks)
{
	const struct fmt_want names = {.dictionaries = true};
	struct fmt_block b;
	int n;

	fmt_reader_want(r, &names);
	fmt_reader_rewind(r);
	s->health.file_size = fmt_reader_health(r)->file_size;
	while ((n = fmt_reader_next(r, &b)) == 1) {
		n = capture_scan_block(s, &b);
		if (n)
			break;
	}
	fmt_reader_want(r, NULL);
	s->health = *fmt_reader_health(r);
	if (n < 0)
		return n;
	if (!s->health.closed_cleanly || s->health.first_damage.what[0] ||
	    s->health.blocks_intact + s->health.blocks_hopped != blocks)
		return 0;
	s->health.blocks_intact = blocks;
	return 1;
}

static int quick(struct capture_scan *s, struct fmt_reader *r)
{
	struct fmt_block footer;
	int n = fmt_reader_footer(r, &footer);

	if (n == 1)
		n = read_names(s, r, footer.seq + 1);
	if (n == 1)
		n = fmt_reader_footer(r, &footer); /* its memory was the blocks' meanwhile */
	if (n == 1)
		n = take_footer(s, &footer) ? take_totals(s) : 0;
	if (n == 1)
		n = capture_scan_conclude(s) ? -ENOMEM : 1;
	return n;
}

int capture_scan_quick(struct capture_scan *s, struct fmt_reader *r)
{
	int n;

	*s = (struct capture_scan){.file = *fmt_reader_info(r), .is_quick = true};
	n = capture_strings_init(&s->strings);
	if (!n)
		n = quick(s, r);
	if (n)
		return n < 0 ? n : 0;
	capture_scan_release(s);
	return capture_scan_run(s, r);
}
