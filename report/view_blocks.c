/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* view_blocks.c: see view_blocks.h. */
#include "report/view_blocks.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/buf.h"
#include "report/frame_kind.h"
#include "report/sqlrow.h"
#include "report/view_text.h"

/* What --top 0 may list: beyond it the list is no longer read by people, and `query` is the tool. */
#define BLOCKS_MAX ((u64)1 << 20)

#define IN_GROUP "((holds <> 'runtime') = ?4)"

static void block_binds(const struct report_opts *o, const struct capture_facts *f, enum block_group group, u64 limit, u64 ret[5])
{
	ret[0] = o->min_ns;
	ret[1] = f->lo;
	ret[2] = f->hi;
	ret[3] = (u64)group;
	ret[4] = limit && limit < BLOCKS_MAX ? limit : BLOCKS_MAX;
}

int block_totals_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, enum block_group group,
		      struct block_totals *ret)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	u64 binds[5];
	int r;

	block_binds(o, f, group, 0, binds);
	r = sql_prepare(
		db, &st,
		BLOCKS_CTE
		"SELECT count(*), CAST(total(dur) AS INTEGER), CAST(total(inside) AS INTEGER), max(dur) FROM blk WHERE " IN_GROUP,
		binds, 4);
	if (r < 0)
		return r;
	r = db_step(st);
	if (r < 0)
		return r;
	*ret = (struct block_totals){sql_u64(st, 0), sql_u64(st, 1), sql_u64(st, 2), sql_u64(st, 3)};
	return 0;
}

void places_release(struct places *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->rows[i].name);
		free(p->rows[i].file);
		free(p->rows[i].class_name);
	}
	free(p->rows);
	*p = (struct places){0};
}

int place_label(const struct place *p, bool full, char **ret)
{
	const char *name = p->name ? p->name : "?";
	char buf[FRAME_NAME_LEN];

	if (p->is_user && !full)
		return text_clean(frame_display_function(name, buf, sizeof(buf)), "?", ret);
	return text_clean(*name == '/' ? text_basename(name) : name, "?", ret);
}

/*
 * What makes a place. Polls that held the CPU were sampled somewhere in it: their lines, which may be those of one loop, are no
 * places of their own, and the place is known by the line of the longest.
 */
#define PLACE_KEY  "place, file, spot, class"
#define PLACE_SPOT "CASE class WHEN 'cpu' THEN NULL ELSE line END AS spot"
#define PLACES_SQL                                                                                                               \
	BLOCKS_CTE                                                                                                               \
	", spots AS (SELECT *, " PLACE_SPOT " FROM blk WHERE " IN_GROUP "), "                                                    \
	"ranked AS (SELECT *, row_number() OVER (PARTITION BY " PLACE_KEY " ORDER BY dur, ts DESC, poll_id DESC) AS rank, "      \
	"count(*) OVER (PARTITION BY " PLACE_KEY ") AS n FROM spots), "                                                          \
	"grouped AS (SELECT " PLACE_KEY ", max(CASE WHEN rank = n THEN line END) AS line, count(*) AS count, "                   \
	"CAST(total(dur) AS INTEGER) AS total, max(dur) AS max, "                                                                \
	"max(CASE WHEN rank = (n * 99 + 99) / 100 THEN dur END) AS p99, "                                                        \
	"max(coalesce(lifo, 0) + coalesce(queued, 0)) AS behind, "                                                               \
	"max(lifo IS NOT NULL OR queued IS NOT NULL) AS known, max(place_kind IS 'user') AS is_user, "                           \
	"min(victims IS NOT NULL) AS exact, CAST(total(victims) AS INTEGER) AS victims, count(victims) AS counted "              \
	"FROM ranked GROUP BY " PLACE_KEY ") "                                                                                   \
	"SELECT place, file, class, line, count, total, max, p99, known, behind, is_user, count(*) OVER (), exact, victims, "    \
	"counted "                                                                                                               \
	"FROM grouped ORDER BY total DESC, place, file, line, class LIMIT ?5"

static int place_read(sqlite3_stmt *st, struct place *p)
{
	int r;

	r = sql_dup(st, 0, &p->name);
	if (r == 0)
		r = sql_dup(st, 1, &p->file);
	if (r == 0)
		r = sql_dup(st, 2, &p->class_name);
	p->line = sql_u64(st, 3);
	p->count = sql_u64(st, 4);
	p->total = sql_u64(st, 5);
	p->max = sql_u64(st, 6);
	p->p99 = sql_u64(st, 7);
	p->queued_known = sql_u64(st, 8) != 0;
	p->queued = sql_u64(st, 9);
	p->is_user = sql_u64(st, 10) != 0;
	p->victims_known = sql_u64(st, 12) != 0;
	p->victims = sql_u64(st, 13);
	p->victims_in_part = !p->victims_known && sql_u64(st, 14) != 0;
	return r;
}

int places_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, enum block_group group, u64 limit,
		struct places *ret)
{
	_cleanup_places_ struct places p = {0};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	size_t cap = 0;
	u64 binds[5];
	int r;

	block_binds(o, f, group, limit, binds);
	r = sql_prepare(db, &st, PLACES_SQL, binds, 5);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		r = ARRAY_ROOM(p.rows, p.n, &cap);
		if (r < 0)
			return r;
		p.all = sql_u64(st, 11);
		r = place_read(st, &p.rows[p.n++]);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	*ret = p;
	p = (struct places){0};
	return 0;
}

void blocks_release(struct blocks *b)
{
	for (size_t i = 0; i < b->n; i++) {
		struct block *k = &b->rows[i];

		free(k->class_name);
		free(k->syscall);
		free(k->holds);
		free(k->state);
		free(k->thread_name);
		free(k->flavor);
		free(k->tokio_version);
		free(k->detail);
		free(k->advice);
		free(k->task_name);
		free(k->spawn_function);
		free(k->spawn_file);
	}
	free(b->rows);
	*b = (struct blocks){0};
}

/* `ranked` is blk with what is known of each one's place. Looking at places costs, so the plain list does without. */
#define BLOCK_ROWS(ranked, places, tail)                                                                                         \
	BLOCKS_CTE ", spots AS (SELECT *, " PLACE_SPOT " FROM blk WHERE " IN_GROUP "), ranked AS (SELECT *, " ranked             \
		   " FROM spots) "                                                                                               \
		   "SELECT b.poll_id, b.ts, b.dur, b.dur_min, b.dur_max, b.off_cpu, b.on_cpu, b.runnable, b.waits, b.samples, "  \
		   "b.pid, b.tid, b.worker, b.runtime_id, b.task_id, b.stack_id, b.kstack_id, b.lifo, b.queued, "                \
		   "b.here, b.here_total, r.task_ids, b.class, b.syscall, b.holds, b.state, r.flavor, r.tokio_version, "         \
		   "(SELECT t.name FROM poll AS p JOIN thread AS t ON t.id = p.thread_id WHERE p.id = b.poll_id), "              \
		   "b.detail, b.advice, b.task_name, b.spawn_function, b.spawn_file, " places ", b.stopped, b.throttled, "       \
		   "b.spawn_line, b.inject, b.lifo_end, b.queued_end, b.inject_end, b.victims, b.worst_delay, "                  \
		   "b.driver_stalled, (SELECT p.thread_id FROM poll AS p WHERE p.id = b.poll_id) "                               \
		   "FROM ranked AS b LEFT JOIN runtime AS r ON r.runtime_id = b.runtime_id " tail " LIMIT ?5"
#define IN_PLACE "OVER (PARTITION BY " PLACE_KEY

static const char *const block_rows_sql[] = {
	[BLOCKS_LONGEST] = BLOCK_ROWS("0 AS here, 0 AS here_total", "0", "ORDER BY b.dur DESC, b.ts, b.poll_id"),
	[BLOCKS_BY_PLACE] =
		BLOCK_ROWS("row_number() " IN_PLACE " ORDER BY dur DESC, ts, poll_id) AS rank, count(*) " IN_PLACE ") AS here, "
			   "CAST(total(dur) " IN_PLACE ") AS INTEGER) AS here_total",
			   "count(*) OVER ()", "WHERE b.rank = 1 ORDER BY b.here_total DESC, b.place, b.file, b.line, b.class"),
};

#define BLOCK_PLACES_COL 34 /* `places` of BLOCK_ROWS */

static int block_read(sqlite3_stmt *st, struct block *k)
{
	char **texts[] = {&k->class_name,  &k->syscall, &k->holds,  &k->state,	   &k->flavor,	       &k->tokio_version,
			  &k->thread_name, &k->detail,	&k->advice, &k->task_name, &k->spawn_function, &k->spawn_file};
	u64 *numbers[] = {&k->poll_id, &k->ts,		&k->dur,	 &k->dur_min,  &k->dur_max,   &k->off_cpu,
			  &k->on_cpu,  &k->runnable,	&k->waits,	 &k->samples,  &k->pid,	      &k->tid,
			  &k->worker,  &k->runtime_id,	&k->task_id,	 &k->stack_id, &k->kstack_id, &k->lifo,
			  &k->queued,  &k->place_count, &k->place_total, &k->task_ids};
	u64 *more[] = {&k->spawn_line, &k->inject,	&k->lifo_end,	    &k->queued_end, &k->inject_end,
		       &k->victims,    &k->worst_delay, &k->driver_stalled, &k->thread_id};
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		*numbers[i] = sql_u64(st, (int)i);
	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		*more[i] = sql_u64(st, BLOCK_PLACES_COL + 3 + (int)i);
	k->has_inject = !sql_is_null(st, BLOCK_PLACES_COL + 4);
	k->has_end = !sql_is_null(st, BLOCK_PLACES_COL + 6);
	k->has_victims = !sql_is_null(st, BLOCK_PLACES_COL + 8);
	k->has_stalled = !sql_is_null(st, BLOCK_PLACES_COL + 10);
	k->has_worker = !sql_is_null(st, 12);
	k->has_task = !sql_is_null(st, 14);
	k->has_lifo = !sql_is_null(st, 17);
	k->has_queued = !sql_is_null(st, 18);
	k->stopped = sql_u64(st, BLOCK_PLACES_COL + 1);
	k->throttled = sql_u64(st, BLOCK_PLACES_COL + 2) != 0;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		r = sql_dup(st, (int)(ARRAY_SIZE(numbers) + i), texts[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

struct poll_ref {
	u64 poll_id;
	struct block *block;
};

static int poll_ref_compare(const void *a, const void *b)
{
	const struct poll_ref *x = a, *y = b;

	return x->poll_id < y->poll_id ? -1 : x->poll_id > y->poll_id;
}

/* Where each block's thread last ran before its longest wait (or where it was sampled): one pass over the events for all blocks. */
static int load_cpus(sqlite3 *db, struct blocks *b)
{
	_cleanup_free_ struct poll_ref *refs = NULL;
	_cleanup_buf_ struct buf ids = BUF_INIT;
	_cleanup_free_ char *text = NULL;
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	struct db_val bind;
	int r;

	refs = calloc(b->n + 1, sizeof(*refs));
	if (!refs)
		return -ENOMEM;
	buf_putc(&ids, '[');
	for (size_t i = 0; i < b->n; i++) {
		buf_printf(&ids, "%s%llu", i ? "," : "", (unsigned long long)b->rows[i].poll_id);
		refs[i] = (struct poll_ref){b->rows[i].poll_id, &b->rows[i]};
	}
	buf_putc(&ids, ']');
	text = buf_take_str(&ids);
	if (!text)
		return -ENOMEM;
	qsort(refs, b->n, sizeof(*refs), poll_ref_compare);
	r = db_prepare(
		db,
		"WITH want AS MATERIALIZED (SELECT value AS id FROM json_each(?1)) "
		"SELECT poll_id, cpu, coalesce(dur, 0) FROM offcpu WHERE poll_id IN (SELECT id FROM want) AND cpu IS NOT NULL "
		"UNION ALL SELECT poll_id, cpu, 0 FROM sample WHERE poll_id IN (SELECT id FROM want) ORDER BY 1, 3 DESC, 2",
		&st);
	if (r < 0)
		return r;
	bind = db_text(text);
	r = db_bind(st, &bind, 1);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		struct poll_ref key = {.poll_id = sql_u64(st, 0)},
				*at = bsearch(&key, refs, b->n, sizeof(*refs), poll_ref_compare);

		if (!at || at->block->has_cpu)
			continue;
		at->block->has_cpu = true;
		at->block->cpu = sql_u64(st, 1);
	}
	return r;
}

int blocks_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, enum block_group group,
		enum block_list list, u64 limit, struct blocks *ret)
{
	_cleanup_blocks_ struct blocks b = {0};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	size_t cap = 0;
	u64 binds[5];
	int r;

	block_binds(o, f, group, limit, binds);
	r = sql_prepare(db, &st, block_rows_sql[list], binds, 5);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		r = ARRAY_ROOM(b.rows, b.n, &cap);
		if (r < 0)
			return r;
		b.places = sql_u64(st, BLOCK_PLACES_COL);
		r = block_read(st, &b.rows[b.n++]);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (b.n) {
		r = load_cpus(db, &b);
		if (r < 0)
			return r;
	}
	*ret = b;
	b = (struct blocks){0};
	return 0;
}
