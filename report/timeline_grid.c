/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* timeline_grid.c: see timeline_grid.h. */
#include "report/timeline_grid.h"

#include <errno.h>
#include <string.h>

#include "report/sqlrow.h"

const char *grid_group_name(enum grid_group g)
{
	static const char *const names[GRID_GROUPS] = {
		[GRID_MORE_WORKERS] = "more",
		[GRID_BLOCK_ON] = "block_on",
		[GRID_POOL] = "pool",
		[GRID_OTHERS] = "others",
	};

	return names[g];
}

u64 grid_bound(const struct timeline_grid *g, u32 i)
{
	u64 span = g->hi - g->lo;

	return g->lo + span / g->n_columns * i + span % g->n_columns * i / g->n_columns;
}

u64 grid_cell_wall(const struct grid_cell *c)
{
	return c->on_cpu + c->runnable + c->waiting + c->idle + c->unknown;
}

/* The column of an instant in [lo, hi). */
static u32 column_of(const struct timeline_grid *g, u64 ts)
{
	u32 c = (u32)min_u64((ts - g->lo) / max_u64((g->hi - g->lo) / g->n_columns, 1), g->n_columns - 1);

	while (c && grid_bound(g, c) > ts)
		c--;
	while (c + 1 < g->n_columns && grid_bound(g, c + 1) <= ts)
		c++;
	return c;
}

/* Adds [ts, end), cut to the window, to one number of each cell that it touches: the one that lies `offset` bytes into a cell. */
static void spread(const struct timeline_grid *g, struct grid_row *row, size_t offset, u64 ts, u64 end)
{
	ts = max_u64(ts, g->lo);
	end = min_u64(end, g->hi);
	if (ts >= end)
		return;
	for (u32 c = column_of(g, ts); c < g->n_columns && ts < end; c++) {
		u64 to = min_u64(grid_bound(g, c + 1), end);

		*(u64 *)((char *)&row->cells[c] + offset) += to - ts;
		*(u64 *)((char *)&row->sum + offset) += to - ts;
		ts = to;
	}
}

struct load {
	const struct report_opts *o;
	struct timeline_grid *g;
	struct grid_row *row; /* of the thread that is walked */
	bool saw_pool, saw_poll;
	struct u64map *row_of; /* thread id -> 1 + row, or GRID_MAX_ROWS + 1 + group */
};

static bool is_role(const struct span *s, const char *role)
{
	return s->wait && s->wait->role && strcmp(s->wait->role, role) == 0;
}

static int add_span(void *ctx, const struct tl_thread *t, const struct span *s)
{
	static const size_t parts[SPAN_KINDS] = {
		[SPAN_ONCPU] = offsetof(struct grid_cell, on_cpu),
		[SPAN_READY] = offsetof(struct grid_cell, runnable),
		[SPAN_WAIT] = offsetof(struct grid_cell, waiting),
		[SPAN_UNKNOWN] = offsetof(struct grid_cell, unknown),
	};
	struct load *l = ctx;
	bool idle = s->kind == SPAN_WAIT && wait_state_is_idle(s->state);

	(void)t;
	spread(l->g, l->row, idle ? offsetof(struct grid_cell, idle) : parts[s->kind], s->ts, s->end);
	l->saw_pool |= is_role(s, "blocking_pool");
	l->saw_poll |= is_role(s, "in_poll") || is_role(s, "parked");
	if (s->kind == SPAN_WAIT && is_role(s, "in_poll") && s->state != WAIT_STOPPED)
		spread(l->g, l->row, offsetof(struct grid_cell, in_poll), s->ts, s->end);
	return 0;
}

static void add_cells(struct grid_cell *to, const struct grid_cell *from)
{
	to->on_cpu += from->on_cpu;
	to->runnable += from->runnable;
	to->waiting += from->waiting;
	to->idle += from->idle;
	to->unknown += from->unknown;
	to->in_poll += from->in_poll;
}

static int new_cells(const struct timeline_grid *g, struct grid_row *row)
{
	row->cells = calloc(g->n_columns, sizeof(*row->cells));
	return row->cells ? 0 : -ENOMEM;
}

static enum grid_group group_of(const struct load *l, const struct tl_thread *t)
{
	if (t->has_runtime)
		return GRID_MORE_WORKERS;
	return l->saw_pool ? GRID_POOL : l->saw_poll ? GRID_BLOCK_ON : GRID_OTHERS;
}

/* A thread without a row of its own: into its group, which is known when it was walked. */
static int walk_grouped(struct load *l, const struct tl_thread *t, struct grid_row *scratch)
{
	struct timeline_grid *g = l->g;
	struct grid_row *group;
	int r;

	memset(scratch->cells, 0, g->n_columns * sizeof(*scratch->cells));
	scratch->sum = (struct grid_cell){0};
	l->row = scratch;
	l->saw_pool = l->saw_poll = false;
	r = thread_spans_walk(&g->spans, t, add_span, l);
	if (r < 0)
		return r;
	group = &g->groups[group_of(l, t)];
	if (!group->cells)
		r = new_cells(g, group);
	if (r < 0)
		return r;
	for (u32 c = 0; c < g->n_columns; c++)
		add_cells(&group->cells[c], &scratch->cells[c]);
	add_cells(&group->sum, &scratch->sum);
	group->threads++;
	return u64map_put(l->row_of, t->id, GRID_MAX_ROWS + 1 + (u64)(group - g->groups));
}

static int walk_threads(struct load *l)
{
	struct timeline_grid *g = l->g;
	struct grid_row scratch = {0};
	int r = new_cells(g, &scratch);

	for (size_t i = 0; i < g->threads.n && r == 0; i++) {
		const struct tl_thread *t = &g->threads.rows[i];

		if (!t->has_runtime || g->n_rows == GRID_MAX_ROWS) {
			r = walk_grouped(l, t, &scratch);
			continue;
		}
		l->row = &g->rows[g->n_rows++];
		*l->row = (struct grid_row){.t = t, .threads = 1};
		r = new_cells(g, l->row);
		if (r == 0)
			r = thread_spans_walk(&g->spans, t, add_span, l);
		if (r == 0)
			r = u64map_put(l->row_of, t->id, g->n_rows);
	}
	free(scratch.cells);
	return r;
}

/* The polls that `ascope report --blocking` has, and root futures and local sets besides. */
#define BLOCKS_SQL                                                                                                               \
	"SELECT p.thread_id, b.ts, b.dur + b.stopped, b.class FROM blocking AS b JOIN poll AS p ON p.id = b.poll_id "            \
	"WHERE b.dur_max >= ?1 AND b.held >= ?1 AND b.ts <= ?3 AND b.ts + b.dur >= ?2 ORDER BY b.poll_id"

static enum wait_class class_of(const char *name)
{
	for (int i = 0; i < CLASS_COUNT; i++)
		if (name && strcmp(name, wait_class_name((enum wait_class)i)) == 0)
			return (enum wait_class)i;
	return CLASS_OTHER;
}

static int add_blocks(sqlite3 *db, struct load *l)
{
	u64 binds[3] = {l->o->min_ns, l->g->lo, l->g->hi}, at;
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_prepare(db, &st, BLOCKS_SQL, binds, 3);

	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		struct grid_row *row;
		u64 ts = sql_u64(st, 1), end = ts + min_u64(sql_u64(st, 2), UINT64_MAX - ts);

		if (!u64map_get(l->row_of, sql_u64(st, 0), &at))
			continue;
		row = at > GRID_MAX_ROWS ? &l->g->groups[at - GRID_MAX_ROWS - 1] : &l->g->rows[at - 1];
		row->blocks++;
		spread(l->g, row, offsetof(struct grid_cell, blocked) + class_of(sql_text(st, 3)) * sizeof(u64), ts, end);
	}
	return r;
}

/* Gaps may overlap, one for each cause: their union. */
static int add_gaps(sqlite3 *db, struct timeline_grid *g)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	struct grid_row row = {0};
	u64 done = g->lo;
	int r = sql_prepare(db, &st, "SELECT ts, ts_end FROM gap ORDER BY ts, ts_end", NULL, 0);

	if (r == 0)
		r = new_cells(g, &row);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		u64 ts = max_u64(sql_u64(st, 0), done), end = min_u64(sql_u64(st, 1), g->hi);

		if (end <= ts)
			continue;
		spread(g, &row, offsetof(struct grid_cell, unknown), ts, end);
		done = end;
	}
	for (u32 c = 0; c < g->n_columns; c++)
		g->lost[c] = row.cells[c].unknown;
	g->lost_sum = row.sum.unknown;
	free(row.cells);
	return r;
}

void timeline_grid_release(struct timeline_grid *g)
{
	for (size_t i = 0; i < g->n_rows; i++)
		free(g->rows[i].cells);
	for (int i = 0; i < GRID_GROUPS; i++)
		free(g->groups[i].cells);
	free(g->rows);
	free(g->lost);
	tl_threads_release(&g->threads);
	thread_spans_release(&g->spans);
	*g = (struct timeline_grid){0};
}

int timeline_grid_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, u32 columns,
		       struct timeline_grid *ret)
{
	_cleanup_timeline_grid_ struct timeline_grid g = {.lo = f->lo, .hi = max_u64(f->hi, f->lo + 1)};
	_cleanup_(u64map_release) struct u64map row_of = U64MAP_INIT;
	struct load l = {.o = o, .g = &g, .row_of = &row_of};
	int r = thread_spans_init(&g.spans, db);

	if (r == 0)
		r = thread_spans_threads(db, o, f->lo, f->hi, &g.threads);
	if (r < 0)
		return r;
	g.n_columns = (u32)max_u64(1, min_u64(min_u64(columns, GRID_MAX_COLUMNS), g.hi - g.lo));
	g.rows = calloc(GRID_MAX_ROWS, sizeof(*g.rows));
	g.lost = calloc(g.n_columns, sizeof(*g.lost));
	if (!g.rows || !g.lost)
		return -ENOMEM;
	r = walk_threads(&l);
	if (r == 0)
		r = add_blocks(db, &l);
	if (r == 0)
		r = add_gaps(db, &g);
	if (r < 0)
		return r;
	*ret = g;
	g = (struct timeline_grid){0};
	return 0;
}
