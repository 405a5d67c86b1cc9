/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* html_blocks.c: see html_blocks.h. */
#include "report/html_blocks.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/buf.h"
#include "report/html_limits.h"
#include "report/sqlrow.h"

/* Numbers up to here are exact in JavaScript. */
#define JS_MAX_EXACT ((u64)1 << 53)

void html_blocks_release(struct html_blocks *b)
{
	for (int g = 0; g < 2; g++) {
		places_release(&b->places[g]);
		blocks_release(&b->heads[g]);
		blocks_release(&b->longest[g]);
		free(b->place_of[g]);
	}
}

/* ---- which place a poll belongs to ---- */

/* What makes a place (view_blocks.c, PLACE_KEY): lines are none of a place whose polls held the CPU. */
static void place_key(struct buf *b, const char *name, const char *file, u64 line, const char *class_name)
{
	const bool has_line = !class_name || strcmp(class_name, "cpu") != 0;

	buf_reset(b);
	buf_printf(b, "%s%c%s%c%llu%c%s", name ? name : "", '\n', file ? file : "", '\n',
		   has_line ? (unsigned long long)line : 0ULL, '\n', class_name ? class_name : "");
}

static int index_places(const struct places *p, struct strtab *t)
{
	_cleanup_buf_ struct buf key = BUF_INIT;
	int r = 0;

	for (size_t i = 0; i < p->n && r == 0; i++) {
		bool is_new;
		u32 at;

		place_key(&key, p->rows[i].name, p->rows[i].file, p->rows[i].line, p->rows[i].class_name);
		r = buf_err(&key);
		if (r == 0)
			r = strtab_intern(t, (const char *)key.data, key.len, &at, &is_new);
		/* Two names that differ in bytes that stand for the same: positions must stay those of the rows. */
		if (r == 0 && !is_new) {
			buf_printf(&key, "\n%zu", i);
			r = buf_err(&key);
			if (r == 0)
				r = strtab_intern(t, (const char *)key.data, key.len, &at, NULL);
		}
	}
	return r;
}

/* The order is that of blocks_load(). */
#define PLACE_OF_SQL                                                                                                             \
	BLOCKS_CTE "SELECT poll_id, place, file, line, class FROM blk WHERE (holds <> 'runtime') = ?4 "                          \
		   "ORDER BY dur DESC, ts, poll_id LIMIT ?5"

static int load_place_of(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, int group,
			 struct html_blocks *b)
{
	const struct blocks *rows = &b->longest[group];
	u64 binds[5] = {o->min_ns, f->lo, f->hi, (u64)group, HTML_MAX_BLOCKS};
	_cleanup_buf_ struct buf key = BUF_INIT;
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	struct strtab *index = strtab_new();
	int r = index ? index_places(&b->places[group], index) : -ENOMEM;

	b->place_of[group] = calloc(rows->n + 1, sizeof(u32));
	if (r == 0 && !b->place_of[group])
		r = -ENOMEM;
	if (r == 0)
		r = sql_prepare(db, &st, PLACE_OF_SQL, binds, 5);
	for (size_t i = 0; r == 0 && i < rows->n; i++) {
		u32 known = strtab_count(index), at = 0;

		r = db_step(st);
		if (r <= 0 || sql_u64(st, 0) != rows->rows[i].poll_id) {
			r = r < 0 ? r : -EIO;
			break;
		}
		place_key(&key, sql_text(st, 1), sql_text(st, 2), sql_u64(st, 3), sql_text(st, 4));
		r = buf_err(&key);
		if (r == 0)
			r = strtab_intern(index, (const char *)key.data, key.len, &at, NULL);
		b->place_of[group][i] = at <= b->places[group].n && at <= known ? at : 0;
	}
	(void)strtab_free(index);
	return r;
}

int html_blocks_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, struct html_blocks *ret)
{
	_cleanup_html_blocks_ struct html_blocks b = {0};
	int r = 0;

	for (int g = BLOCKS_RUNTIME; g <= BLOCKS_OTHER && r == 0; g++) {
		r = block_totals_load(db, o, f, (enum block_group)g, &b.totals[g]);
		if (r == 0)
			r = places_load(db, o, f, (enum block_group)g, HTML_MAX_PLACES, &b.places[g]);
		if (r == 0)
			r = blocks_load(db, o, f, (enum block_group)g, BLOCKS_BY_PLACE, HTML_MAX_PLACES, &b.heads[g]);
		if (r == 0)
			r = blocks_load(db, o, f, (enum block_group)g, BLOCKS_LONGEST, HTML_MAX_BLOCKS, &b.longest[g]);
		if (r == 0)
			r = load_place_of(db, o, f, g, &b);
	}
	if (r < 0)
		return r;
	*ret = b;
	b = (struct html_blocks){0};
	return 0;
}

/* ---- writing ---- */

static void put_totals(const struct html_blocks *b, const struct capture_facts *f, const struct report_opts *o, struct json *j)
{
	static const char *const names[] = {"runtime", "root_and_localset"};

	json_key(j, "totals");
	json_object_begin(j);
	json_kv_u64(j, "min_ns", o->min_ns);
	json_kv_u64(j, "worker_time", facts_workers(f) * facts_window(f));
	for (int g = BLOCKS_RUNTIME; g <= BLOCKS_OTHER; g++) {
		json_key(j, names[g]);
		json_object_begin(j);
		json_kv_u64(j, "count", b->totals[g].count);
		json_kv_u64(j, "total", b->totals[g].dur);
		json_kv_u64(j, "lost", b->totals[g].inside);
		json_kv_u64(j, "max", b->totals[g].worst);
		json_kv_u64(j, "places", b->places[g].all);
		json_object_end(j);
	}
	json_object_end(j);
}

static void put_columns(struct json *j, const char *key, const char *const *names, size_t n)
{
	json_key(j, key);
	json_array_begin(j);
	for (size_t i = 0; i < n; i++)
		json_string(j, names[i]);
	json_array_end(j);
}

static void put_or_null(struct json *j, bool known, u64 v)
{
	if (known)
		json_u64(j, v);
	else
		json_null(j);
}

/* Tokio's ids go beyond what JavaScript's numbers hold. */
static void put_id(struct json *j, bool known, u64 v)
{
	char text[24];

	if (known && v > JS_MAX_EXACT) {
		(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
		json_string(j, text);
	} else {
		put_or_null(j, known, v);
	}
}

static const char *const place_columns[] = {"name",  "label", "file", "line", "class",	 "worker_time",
					    "count", "total", "max",  "p99",  "victims", "at_least"};

/* Whom they delayed: known exactly, or at least so many, or not at all. */
static void put_victims(struct json *j, const struct place *p)
{
	const bool part = p->victims_in_part || p->queued_known;

	put_or_null(j, p->victims_known || part, p->victims_known ? p->victims : max_u64(p->victims, p->queued));
	json_bool(j, !p->victims_known && part);
}

static int put_place(const struct place *p, int group, struct html_stacks *s, struct json *j)
{
	_cleanup_free_ char *label = NULL;
	u32 at[4];
	int r = place_label(p, false, &label);

	if (r == 0)
		r = html_text_add(s, p->name, &at[0]);
	if (r == 0)
		r = html_text_add(s, label, &at[1]);
	if (r == 0)
		r = html_text_add(s, p->file, &at[2]);
	if (r == 0)
		r = html_text_add(s, p->class_name, &at[3]);
	if (r < 0)
		return r;
	json_array_begin(j);
	for (int i = 0; i < 3; i++)
		json_u64(j, at[i]);
	json_u64(j, p->line);
	json_u64(j, at[3]);
	json_bool(j, group == BLOCKS_RUNTIME);
	json_u64(j, p->count);
	json_u64(j, p->total);
	json_u64(j, p->max);
	json_u64(j, p->p99);
	put_victims(j, p);
	json_array_end(j);
	return 0;
}

static const char *const block_columns[] = {
	"poll_id", "place",	  "ts",	      "dur",	    "dur_min",	  "dur_max", "off_cpu", "on_cpu", "runnable", "waits",
	"samples", "class",	  "detail",   "syscall",    "holds",	  "state",   "thread",	"tid",	  "worker",   "runtime",
	"task",	   "task_name",	  "spawn_fn", "spawn_file", "spawn_line", "stack",   "kstack",	"lifo",	  "queued",   "inject",
	"victims", "worst_delay", "driver",   "stopped",    "throttled",  "cpu",     "advice"};

static int put_block(const struct block *k, u64 place, const struct capture_facts *f, struct html_stacks *s, struct json *j)
{
	const char *const texts[] = {k->class_name, k->detail,	       k->syscall,    k->holds, k->state,
				     k->task_name,  k->spawn_function, k->spawn_file, k->advice};
	u32 at[ARRAY_SIZE(texts)], stack = 0, kstack = 0;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(texts) && r == 0; i++)
		r = html_text_add(s, texts[i], &at[i]);
	if (r == 0)
		r = html_stack_add(s, k->stack_id, false, &stack);
	if (r == 0)
		r = html_stack_add(s, k->kstack_id, true, &kstack);
	if (r < 0)
		return r;
	json_array_begin(j);
	json_u64(j, k->poll_id);
	put_or_null(j, place, place - 1);
	json_s64(j, (s64)(k->ts - f->ts_start));
	json_u64(j, k->dur);
	json_u64(j, k->dur_min);
	json_u64(j, k->dur_max);
	json_u64(j, k->off_cpu);
	json_u64(j, k->on_cpu);
	json_u64(j, k->runnable);
	json_u64(j, k->waits);
	json_u64(j, k->samples);
	for (int i = 0; i < 5; i++)
		json_u64(j, at[i]);
	json_u64(j, k->thread_id);
	json_u64(j, k->tid);
	put_or_null(j, k->has_worker, k->worker);
	put_or_null(j, k->runtime_id, k->runtime_id);
	put_id(j, k->has_task, k->task_id);
	for (int i = 5; i < 8; i++)
		json_u64(j, at[i]);
	json_u64(j, k->spawn_line);
	json_u64(j, stack);
	json_u64(j, kstack);
	put_or_null(j, k->has_lifo, k->lifo);
	put_or_null(j, k->has_queued, k->queued);
	put_or_null(j, k->has_inject, k->inject);
	put_or_null(j, k->has_victims, k->victims);
	json_u64(j, k->worst_delay);
	put_or_null(j, k->has_stalled, k->driver_stalled);
	json_u64(j, k->stopped);
	json_bool(j, k->throttled);
	put_or_null(j, k->has_cpu, k->cpu);
	json_u64(j, at[8]);
	json_array_end(j);
	return 0;
}

/* The longest of each place, and then the others. `first` is the position of the group's first place. */
static int put_group(const struct html_blocks *b, int group, u64 first, const struct capture_facts *f, struct html_stacks *s,
		     struct json *j, u64 *ret_n)
{
	const struct blocks *heads = &b->heads[group], *longest = &b->longest[group];
	_cleanup_free_ u64 *ids = calloc(heads->n + 1, sizeof(*ids));
	int r = ids ? 0 : -ENOMEM;

	for (size_t i = 0; i < heads->n && r == 0; i++) {
		ids[i] = heads->rows[i].poll_id;
		r = put_block(&heads->rows[i], i < b->places[group].n ? first + i + 1 : 0, f, s, j);
	}
	if (r < 0)
		return r;
	*ret_n += heads->n;
	qsort(ids, heads->n, sizeof(*ids), array_u64_compare);
	for (size_t i = 0; i < longest->n && r == 0; i++) {
		const u32 place = b->place_of[group][i];

		if (bsearch(&longest->rows[i].poll_id, ids, heads->n, sizeof(*ids), array_u64_compare))
			continue;
		r = put_block(&longest->rows[i], place ? first + place : 0, f, s, j);
		(*ret_n)++;
	}
	return r;
}

int html_blocks_put(const struct html_blocks *b, const struct capture_facts *f, const struct report_opts *o,
		    struct html_stacks *s, struct json *j)
{
	u64 places = b->places[0].all + b->places[1].all, blocks = b->totals[0].count + b->totals[1].count, n = 0;
	int r = 0;

	put_totals(b, f, o, j);
	put_columns(j, "place_columns", place_columns, ARRAY_SIZE(place_columns));
	json_key(j, "places");
	json_array_begin(j);
	for (int g = BLOCKS_RUNTIME; g <= BLOCKS_OTHER; g++)
		for (size_t i = 0; i < b->places[g].n && r == 0; i++)
			r = put_place(&b->places[g].rows[i], g, s, j);
	json_array_end(j);
	put_columns(j, "block_columns", block_columns, ARRAY_SIZE(block_columns));
	json_key(j, "blocks");
	json_array_begin(j);
	for (int g = BLOCKS_RUNTIME; g <= BLOCKS_OTHER && r == 0; g++)
		r = put_group(b, g, g ? b->places[0].n : 0, f, s, j, &n);
	json_array_end(j);
	json_key(j, "left");
	json_object_begin(j);
	json_kv_u64(j, "places", places - b->places[0].n - b->places[1].n);
	json_kv_u64(j, "blocks", blocks - min_u64(n, blocks));
	json_kv_u64(j, "stacks", s->left);
	json_object_end(j);
	return r;
}

u64 html_blocks_count(const struct html_blocks *b)
{
	return b->totals[0].count + b->totals[1].count;
}
