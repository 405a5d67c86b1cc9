/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view_timegrid.c: `ascope report --timeline`: a picture of the recording in characters: a row for each worker, its time from left to right,
 * how busy it was as eighth blocks, and below where its polls blocked, as letters. What is not known is never drawn as idle.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/human.h"
#include "report/timeline_grid.h"
#include "report/view.h"
#include "report/view_spans.h"

#define LABEL_WIDTH 16
#define SHARE_WIDTH 9
#define TICK_MIN    9 /* columns from one tick of the axis to the next, at least */

struct grid_view {
	const struct report_opts *o;
	struct capture_facts f;
	struct timeline_grid g;
	FILE *out;
};

static const char class_letters[CLASS_COUNT] = {
	[CLASS_SLEEP] = 'S', [CLASS_LOCK] = 'L',    [CLASS_DISK] = 'D',	 [CLASS_NETWORK] = 'N', [CLASS_DNS] = 'R',
	[CLASS_PIPE] = 'P',  [CLASS_PROCESS] = 'X', [CLASS_FAULT] = 'F', [CLASS_CPU] = 'C',	[CLASS_OTHER] = 'O',
};

struct drawing {
	const char *levels[9]; /* of utilisation: from none to all */
	const char *unknown, *absent, *frame, *axis, *tick;
};

static const struct drawing drawings[] = {
	{{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}, "?", "·", "│", "─", "┴"},
	{{" ", ".", ":", "-", "=", "+", "*", "%", "#"}, "?", "~", "|", "-", "+"},
};

static const struct drawing *drawing_of(const struct grid_view *v)
{
	return &drawings[v->o->ascii];
}

/* ---- cells ---- */

/* Eighths of part in whole: 0 only for nothing, 8 only for (almost) all. */
static u32 eighths(u64 part, u64 whole)
{
	u64 n = whole ? (u64)((double)part / (double)whole * 8 + 0.5) : 0;

	return (u32)(part && !n ? 1 : min_u64(n, 8));
}

static const char *cell_text(const struct grid_view *v, const struct grid_cell *c)
{
	const struct drawing *d = drawing_of(v);
	u64 wall = grid_cell_wall(c);

	if (!wall)
		return d->absent;
	if (c->unknown * 2 > wall)
		return d->unknown;
	return d->levels[eighths(c->on_cpu, wall - c->unknown)];
}

static void put_utilisation(const struct grid_view *v, const struct grid_row *row)
{
	const char *frame = drawing_of(v)->frame;

	(void)fputs(frame, v->out);
	for (u32 i = 0; i < v->g.n_columns; i++)
		(void)fputs(cell_text(v, &row->cells[i]), v->out);
	(void)fputs(frame, v->out);
}

/* The class that most of the cell's blocked time is of; 0 none. Small where it is less than half of the column. */
static char mark_of(const struct grid_view *v, const struct grid_row *row, u32 column)
{
	const u64 *blocked = row->cells[column].blocked;
	u64 all = 0, width = grid_bound(&v->g, column + 1) - grid_bound(&v->g, column);
	int most = 0;

	for (int i = 0; i < CLASS_COUNT; i++) {
		all += blocked[i];
		if (blocked[i] > blocked[most])
			most = i;
	}
	if (!all)
		return 0;
	return all * 2 >= width ? class_letters[most] : (char)(class_letters[most] - 'A' + 'a');
}

static void put_marks(const struct grid_view *v, const struct grid_row *row)
{
	const char *frame = drawing_of(v)->frame;

	if (!row->blocks)
		return;
	(void)fprintf(v->out, "%*s%s", LABEL_WIDTH, "", frame);
	for (u32 i = 0; i < v->g.n_columns; i++) {
		char text[2] = {mark_of(v, row, i), 0};

		if (text[0])
			text_color(v->out, v->o->color, text[0] < 'a' ? TEXT_RED : TEXT_YELLOW, text);
		else
			(void)fputc(' ', v->out);
	}
	(void)fprintf(v->out, "%s\n", frame);
}

static u64 blocked_sum(const struct grid_cell *c)
{
	u64 all = 0;

	for (int i = 0; i < CLASS_COUNT; i++)
		all += c->blocked[i];
	return all;
}

static int put_worker(const struct grid_view *v, const struct grid_row *row)
{
	u64 wall = grid_cell_wall(&row->sum), blocked = blocked_sum(&row->sum);
	char label[96];
	int r = span_thread_label(&v->f, row->t, label, sizeof(label));

	if (r < 0)
		return r;
	text_left_elided(v->out, label, LABEL_WIDTH);
	put_utilisation(v, row);
	text_right(v->out, row->sum.unknown == wall ? "?" : text_percent(row->sum.on_cpu, wall - row->sum.unknown).s,
		   SHARE_WIDTH);
	text_right(v->out, blocked ? text_percent(blocked, wall).s : "-", SHARE_WIDTH);
	(void)fputc('\n', v->out);
	put_marks(v, row);
	return 0;
}

/* ---- axis ---- */

static u64 tick_step(const struct grid_view *v)
{
	static const u64 steps[] = {1, 2, 5};
	u64 least = (v->g.hi - v->g.lo) * TICK_MIN / v->g.n_columns, ten = 1;

	for (;; ten *= 10) {
		for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
			if (steps[i] * ten >= least)
				return steps[i] * ten;
		if (ten > UINT64_MAX / 100)
			return ten;
	}
}

static void tick_text(u64 at, u64 step, char *buf, size_t n)
{
	static const struct {
		u64 ns;
		const char *unit;
	} units[] = {{NSEC_PER_SEC, "s"}, {NSEC_PER_MSEC, "ms"}, {NSEC_PER_USEC, "us"}, {1, "ns"}};
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(units) && step * 10 < units[i].ns)
		i++;
	if (step < units[i].ns)
		(void)snprintf(buf, n, "%llu.%llu %s", (unsigned long long)(at / units[i].ns),
			       (unsigned long long)(at % units[i].ns * 10 / units[i].ns), units[i].unit);
	else
		(void)snprintf(buf, n, "%llu %s", (unsigned long long)(at / units[i].ns), units[i].unit);
}

/* The column that an instant, ns since the recording began, lies in; n_columns: in none. */
static u32 tick_column(const struct grid_view *v, u64 at)
{
	for (u32 i = 0; i < v->g.n_columns; i++)
		if (v->f.ts_start + at < grid_bound(&v->g, i + 1))
			return i;
	return v->g.n_columns;
}

static void put_axis(const struct grid_view *v)
{
	u64 step = tick_step(v), first = v->g.lo - v->f.ts_start;
	const struct drawing *d = drawing_of(v);
	u32 col = 0;

	first = (first + step - 1) / step * step;
	(void)fprintf(v->out, "%*s ", LABEL_WIDTH, "");
	for (u64 at = first; v->f.ts_start + at < v->g.hi; at += step) {
		for (u32 to = tick_column(v, at); col < to; col++)
			(void)fputs(d->axis, v->out);
		(void)fputs(d->tick, v->out);
		col++;
	}
	for (; col < v->g.n_columns; col++)
		(void)fputs(d->axis, v->out);
	(void)fprintf(v->out, "\n%*s ", LABEL_WIDTH, "");
	col = 0;
	for (u64 at = first; v->f.ts_start + at < v->g.hi; at += step) {
		char text[48];
		u32 to = tick_column(v, at);

		tick_text(at, step, text, sizeof(text));
		/* Where it would end behind the line, none. */
		if (to < col || to + strlen(text) > v->g.n_columns + 2 * SHARE_WIDTH)
			continue;
		(void)fprintf(v->out, "%*s%s", (int)(to - col), "", text);
		col = to + (u32)strlen(text);
	}
	(void)fputc('\n', v->out);
}

/* ---- what is no worker ---- */

/* A number of each cell in units of its column, as levels of the highest. */
static void put_counts(const struct grid_view *v, const char *label, const u64 *ns)
{
	const struct drawing *d = drawing_of(v);
	double most = 0;

	for (u32 i = 0; i < v->g.n_columns; i++) {
		double n = (double)ns[i] / (double)max_u64(grid_bound(&v->g, i + 1) - grid_bound(&v->g, i), 1);

		most = n > most ? n : most;
	}
	text_left_elided(v->out, label, LABEL_WIDTH);
	(void)fputs(d->frame, v->out);
	for (u32 i = 0; i < v->g.n_columns; i++) {
		u64 width = max_u64(grid_bound(&v->g, i + 1) - grid_bound(&v->g, i), 1);

		(void)fputs(d->levels[most > 0 ? eighths(ns[i], (u64)((double)width * most + 0.5)) : 0], v->out);
	}
	(void)fprintf(v->out, most > 0 && most < 0.01 ? "%s  max < 0.01\n" : "%s  max %.2f\n", d->frame, most);
}

static int put_group(const struct grid_view *v, enum grid_group which)
{
	const struct grid_row *row = &v->g.groups[which];
	_cleanup_free_ u64 *ns = calloc(v->g.n_columns, sizeof(*ns));
	char label[64];

	if (!ns)
		return -ENOMEM;
	if (!row->threads)
		return 0;
	/* A thread of the pool serves while it has a job, whether that runs or waits. */
	for (u32 i = 0; i < v->g.n_columns; i++)
		ns[i] = row->cells[i].on_cpu + (which == GRID_POOL ? row->cells[i].waiting + row->cells[i].runnable : 0);
	(void)snprintf(label, sizeof(label), "%s (%llu)", grid_group_name(which), (unsigned long long)row->threads);
	put_counts(v, label, ns);
	put_marks(v, row);
	return 0;
}

/* How many threads are ready and have no CPU. */
static int put_runnable(const struct grid_view *v)
{
	_cleanup_free_ u64 *ns = calloc(v->g.n_columns, sizeof(*ns));
	u64 all = 0;

	if (!ns)
		return -ENOMEM;
	for (u32 i = 0; i < v->g.n_columns; i++) {
		for (size_t k = 0; k < v->g.n_rows; k++)
			ns[i] += v->g.rows[k].cells[i].runnable;
		for (int k = 0; k < GRID_GROUPS; k++)
			ns[i] += v->g.groups[k].cells ? v->g.groups[k].cells[i].runnable : 0;
		all += ns[i];
	}
	if (all)
		put_counts(v, "waiting for CPU", ns);
	return 0;
}

static void put_lost(const struct grid_view *v)
{
	const char *frame = drawing_of(v)->frame;

	if (!v->g.lost_sum)
		return;
	text_left(v->out, "events lost", LABEL_WIDTH);
	(void)fputs(frame, v->out);
	for (u32 i = 0; i < v->g.n_columns; i++)
		(void)fputc(v->g.lost[i] ? '?' : ' ', v->out);
	(void)fprintf(v->out, "%s %s\n", frame, human_ns(v->g.lost_sum).s);
}

/* ---- legend ---- */

static void put_note(const struct grid_view *v, const char *text)
{
	(void)fputs("  ", v->out);
	text_paragraph(v->out, v->o->width, 4, 2, text);
}

static void put_legend(const struct grid_view *v)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *text = NULL;
	u64 used[CLASS_COUNT] = {0}, any = 0;

	for (size_t k = 0; k < v->g.n_rows; k++)
		for (int i = 0; i < CLASS_COUNT; i++)
			used[i] += v->g.rows[k].sum.blocked[i];
	for (int k = 0; k < GRID_GROUPS; k++)
		for (int i = 0; i < CLASS_COUNT; i++)
			used[i] += v->g.groups[k].sum.blocked[i];
	buf_printf(&b, "a poll blocked for %s or longer:", text_threshold(v->o->min_ns).s);
	for (int i = 0; i < CLASS_COUNT; i++) {
		any |= used[i];
		if (used[i])
			buf_printf(&b, " %c %s,", class_letters[i], wait_class_name((enum wait_class)i));
	}
	buf_puts(&b, " small where for less than half of the column");
	text = buf_take_str(&b);
	(void)fputc('\n', v->out);
	if (text && any)
		put_note(v, text);
	put_note(
		v,
		v->o->ascii
			? "rows: share of the column on a CPU, from none (blank) over . : - = + * % to all #; ?: mostly not known; ~: "
			  "the thread was not there"
			: "rows: share of the column on a CPU, from none (blank) to all (█); ?: mostly not known; ·: the thread was not there");
	put_note(
		v,
		"below the axis: how many threads at a time, as a part of the highest column (max): of the blocking pool those that had a job, of "
		"others those on a CPU");
}

/* ---- all of it ---- */

static u32 columns_of(const struct report_opts *o)
{
	return o->width - LABEL_WIDTH - 2 - 2 * SHARE_WIDTH;
}

static void put_header(const struct grid_view *v)
{
	char title[96];

	(void)fputc('\n', v->out);
	(void)snprintf(title, sizeof(title), "WORKERS, one character %s", human_ns((v->g.hi - v->g.lo) / v->g.n_columns).s);
	text_color(v->out, v->o->color, TEXT_BOLD, title);
	(void)fprintf(v->out, "%*s",
		      (int)(LABEL_WIDTH + 2 + v->g.n_columns - min_u64(text_width(title), LABEL_WIDTH + 2 + v->g.n_columns)), "");
	text_right(v->out, "on-CPU", SHARE_WIDTH);
	text_right(v->out, "blocked", SHARE_WIDTH);
	(void)fputc('\n', v->out);
}

static int put_grid(const struct grid_view *v)
{
	int r = 0;

	if (!v->g.threads.n) {
		(void)fputs("\n  no thread was there\n", v->out);
		return 0;
	}
	put_header(v);
	for (size_t i = 0; i < v->g.n_rows && r == 0; i++)
		r = put_worker(v, &v->g.rows[i]);
	if (!v->g.n_rows)
		(void)fputs("  no worker of a Tokio runtime was there\n", v->out);
	put_lost(v);
	put_axis(v);
	for (int k = 0; k < GRID_GROUPS && r == 0; k++)
		r = put_group(v, (enum grid_group)k);
	if (r == 0)
		r = put_runnable(v);
	if (r == 0)
		put_legend(v);
	return r;
}

static void grid_view_release(struct grid_view *v)
{
	capture_facts_release(&v->f);
	timeline_grid_release(&v->g);
}

int view_timegrid(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_(grid_view_release) struct grid_view v = {.o = o, .out = out};
	int r = capture_facts_load(db, o, &v.f);

	if (r == 0)
		r = timeline_grid_load(db, o, &v.f, columns_of(o), &v.g);
	if (r == 0)
		r = view_head(db, o, &v.f, out);
	return r < 0 ? r : put_grid(&v);
}

/* ---- JSON ---- */

/* One number of each cell, `offset` bytes into it, as an array on one line. */
static int numbers_json(struct json *j, const char *key, const u64 *first, size_t stride, u32 n)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *text = NULL;

	for (u32 i = 0; i < n; i++)
		buf_printf(&b, "%s%llu", i ? "," : "[", (unsigned long long)*(const u64 *)((const char *)first + i * stride));
	buf_putc(&b, ']');
	text = buf_take_str(&b);
	if (!text)
		return -ENOMEM;
	json_key(j, key);
	json_raw(j, text);
	return 0;
}

static int cells_json(const struct timeline_grid *g, const struct grid_row *row, struct json *j)
{
	const struct {
		const char *key;
		const u64 *first;
	} parts[] = {
		{"on_cpu", &row->cells->on_cpu},   {"runnable", &row->cells->runnable}, {"waiting", &row->cells->waiting},
		{"in_poll", &row->cells->in_poll}, {"idle", &row->cells->idle},		{"unknown", &row->cells->unknown},
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(parts) && r == 0; i++)
		r = numbers_json(j, parts[i].key, parts[i].first, sizeof(*row->cells), g->n_columns);
	json_kv_u64(j, "blocks", row->blocks);
	json_key(j, "blocked");
	json_object_begin(j);
	for (int i = 0; i < CLASS_COUNT && r == 0; i++)
		if (row->sum.blocked[i])
			r = numbers_json(j, wait_class_name((enum wait_class)i), &row->cells->blocked[i], sizeof(*row->cells),
					 g->n_columns);
	json_object_end(j);
	return r;
}

static int rows_json(const struct timeline_grid *g, struct json *j)
{
	int r = 0;

	json_key(j, "rows");
	json_array_begin(j);
	for (size_t i = 0; i < g->n_rows && r == 0; i++) {
		const struct tl_thread *t = g->rows[i].t;

		json_object_begin(j);
		json_kv_u64(j, "pid", t->pid);
		json_kv_u64(j, "tid", t->tid);
		json_kv_string(j, "name", t->name);
		json_kv_u64(j, "runtime_id", t->runtime_id);
		json_kv_u64_or_null(j, "worker", t->has_worker, t->worker);
		r = cells_json(g, &g->rows[i], j);
		json_object_end(j);
	}
	json_array_end(j);
	json_key(j, "groups");
	json_array_begin(j);
	for (int k = 0; k < GRID_GROUPS && r == 0; k++) {
		if (!g->groups[k].threads)
			continue;
		json_object_begin(j);
		json_kv_string(j, "group", grid_group_name((enum grid_group)k));
		json_kv_u64(j, "threads", g->groups[k].threads);
		r = cells_json(g, &g->groups[k], j);
		json_object_end(j);
	}
	json_array_end(j);
	return r;
}

static int grid_json(const struct timeline_grid *g, struct json *j)
{
	_cleanup_free_ u64 *bounds = calloc(g->n_columns + 1, sizeof(*bounds));
	int r;

	if (!bounds)
		return -ENOMEM;
	for (u32 i = 0; i <= g->n_columns; i++)
		bounds[i] = grid_bound(g, i);
	json_kv_u64(j, "columns", g->n_columns);
	r = numbers_json(j, "bounds", bounds, sizeof(*bounds), g->n_columns + 1);
	if (r == 0)
		r = numbers_json(j, "lost", g->lost, sizeof(*g->lost), g->n_columns);
	return r < 0 ? r : rows_json(g, j);
}

int view_timegrid_json(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_(grid_view_release) struct grid_view v = {.o = o, .out = out};
	struct json j;
	int r = capture_facts_load(db, o, &v.f);

	if (r == 0)
		r = timeline_grid_load(db, o, &v.f, columns_of(o), &v.g);
	if (r < 0)
		return r;
	r = span_json_begin(db, o, &v.f, out, &j);
	if (r == 0)
		r = grid_json(&v.g, &j);
	if (r < 0)
		return r;
	view_json_end(&j, out);
	return 0;
}
