/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view_places.c: see view_places.h. function and file:line stand side by side where both fit, else file:line gets a line of its
 * own. A function's path may lose its beginning; file:line is never cut.
 */
#include "report/view_places.h"

#include <errno.h>

#include "base/human.h"
#include "report/view_text.h"

#define NAME_MIN_WIDTH 12
#define NAME_MAX_WIDTH 56
#define NUMBERS_MAX    6
#define CELL_LEN       (HUMAN_LEN + 2)

struct place_cells {
	char *name, *place;
	char numbers[NUMBERS_MAX][CELL_LEN];
};

struct place_table {
	struct place_cells *rows;
	size_t n;
	u32 n_numbers; /* columns: class, count, total, max, p99 and, when known, victims or queued */
	u32 name_w, place_w, number_w[NUMBERS_MAX], numbers_w;
	bool victims; /* of some it is known exactly whom they delayed: the last column is that, elsewhere a lower bound */
};

static const char *const headings[NUMBERS_MAX] = {"class", "count", "total", "max", "p99", "queued"};
static const char *const exact_headings[NUMBERS_MAX] = {"class", "count", "total", "max", "p99", "victims"};

static const char *const *table_headings(const struct place_table *t)
{
	return t->victims ? exact_headings : headings;
}

static void place_table_release(struct place_table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->rows[i].name);
		free(t->rows[i].place);
	}
	free(t->rows);
}

static int make_cells(const struct report_opts *o, const struct place *p, struct place_cells *c)
{
	int r;

	r = place_label(p, o->full, &c->name);
	if (r == 0)
		r = text_place(p->file, p->line, o->full, &c->place);
	if (r < 0)
		return r;
	(void)snprintf(c->numbers[0], CELL_LEN, "%s", p->class_name ? p->class_name : "?");
	(void)snprintf(c->numbers[1], CELL_LEN, "%s", human_count(p->count).s);
	(void)snprintf(c->numbers[2], CELL_LEN, "%s", human_ns(p->total).s);
	(void)snprintf(c->numbers[3], CELL_LEN, "%s", human_ns(p->max).s);
	(void)snprintf(c->numbers[4], CELL_LEN, "%s", human_ns(p->p99).s);
	if (p->victims_known)
		(void)snprintf(c->numbers[5], CELL_LEN, "%s", human_count(p->victims).s);
	else if (p->victims_in_part)
		(void)snprintf(c->numbers[5], CELL_LEN, ">=%s", human_count(max_u64(p->victims, p->queued)).s);
	else if (p->queued_known)
		(void)snprintf(c->numbers[5], CELL_LEN, "%s%s", p->queued ? ">=" : "", human_count(p->queued).s);
	return 0;
}

static int make_table(const struct report_opts *o, const struct places *p, struct place_table *t)
{
	int r;

	t->rows = calloc(p->n, sizeof(*t->rows));
	if (!t->rows)
		return -ENOMEM;
	t->n_numbers = NUMBERS_MAX - 1;
	for (; t->n < p->n; t->n++) {
		r = make_cells(o, &p->rows[t->n], &t->rows[t->n]);
		if (r < 0) {
			free(t->rows[t->n].name);
			free(t->rows[t->n].place);
			return r;
		}
		if (p->rows[t->n].queued_known || p->rows[t->n].victims_known || p->rows[t->n].victims_in_part)
			t->n_numbers = NUMBERS_MAX;
		t->victims |= p->rows[t->n].victims_known || p->rows[t->n].victims_in_part;
	}
	return 0;
}

/* place_w becomes the widest file:line that still fits beside the names; longer ones get lines of their own. 0: all do. */
static void measure(struct place_table *t, u32 width)
{
	u32 room;

	for (u32 c = 0; c < t->n_numbers; c++) {
		t->number_w[c] = text_width(table_headings(t)[c]);
		for (size_t i = 0; i < t->n; i++)
			t->number_w[c] = (u32)max_u64(t->number_w[c], text_width(t->rows[i].numbers[c]));
		t->numbers_w += 2 + t->number_w[c];
	}
	for (size_t i = 0; i < t->n; i++)
		t->name_w = (u32)max_u64(t->name_w, text_width(t->rows[i].name));
	t->name_w = (u32)min_u64(max_u64(t->name_w, NAME_MIN_WIDTH), min_u64(NAME_MAX_WIDTH, width - 2 - t->numbers_w));
	room = width - t->numbers_w - 2 - t->name_w;
	for (size_t i = 0; i < t->n; i++) {
		u32 w = text_width(t->rows[i].place);

		if (w + 2 <= room && w > t->place_w)
			t->place_w = w;
	}
}

static void put_numbers(const struct place_table *t, const char *const *cells, FILE *out)
{
	u32 n = t->n_numbers;

	while (n && !*cells[n - 1])
		n--;
	for (u32 c = 0; c < n; c++) {
		(void)fputs("  ", out);
		if (c == 0)
			text_left(out, cells[c], t->number_w[c]);
		else
			text_right(out, cells[c], t->number_w[c]);
	}
	(void)fputc('\n', out);
}

static void put_table(const struct report_opts *o, const struct place_table *t, FILE *out)
{
	u32 label_w = 2 + t->name_w + (t->place_w ? 2 + t->place_w : 0);

	text_color(out, o->color, TEXT_BOLD, "BY PLACE");
	(void)fprintf(out, "%*s", (int)(label_w - 8), "");
	put_numbers(t, table_headings(t), out);
	for (size_t i = 0; i < t->n; i++) {
		const struct place_cells *row = &t->rows[i];
		bool beside = text_width(row->place) <= t->place_w;
		const char *cells[NUMBERS_MAX];

		for (u32 c = 0; c < t->n_numbers; c++)
			cells[c] = row->numbers[c];
		(void)fputs("  ", out);
		text_left_elided(out, row->name, t->name_w);
		if (t->place_w) {
			(void)fputs("  ", out);
			text_left(out, beside ? row->place : "", t->place_w);
		}
		put_numbers(t, cells, out);
		if (!beside)
			(void)fprintf(out, "      %s\n", row->place);
	}
}

int view_places(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, enum block_group group, u64 limit,
		FILE *out)
{
	_cleanup_places_ struct places p = {0};
	struct place_table t = {0};
	int r;

	r = places_load(db, o, f, group, limit, &p);
	if (r < 0 || !p.n)
		return r;
	r = make_table(o, &p, &t);
	if (r == 0) {
		measure(&t, o->width);
		(void)fputc('\n', out);
		put_table(o, &t, out);
		if (p.all > p.n)
			(void)fprintf(out, "  ... %s more place%s (--top 0 lists all)\n", human_count(p.all - p.n).s,
				      p.all - p.n == 1 ? "" : "s");
	}
	place_table_release(&t);
	return r;
}
