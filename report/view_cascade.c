/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view_cascade.c: `ascope report --cascade [N]`: one block and the tasks that waited behind it: when each was ready, when it finally ran and for
 * how long, and which tasks it woke only then, indented under it. N counts as --blocking does with the same options.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/human.h"
#include "report/cascade.h"
#include "report/sqlrow.h"
#include "report/view.h"
#include "report/view_block.h"
#include "report/view_probes.h"
#include "report/view_text.h"
#include "report/view_timeline.h"

#define CASCADE_STEPS 40 /* --top */
#define NAME_WIDTH    41

struct cascade_view {
	sqlite3 *db;
	const struct report_opts *o;
	const struct capture_facts *f;
	FILE *out;
	struct blocks blocks;
	const struct block *k; /* NULL: there is none */
	u64 number, available;
	struct cascade c;
	struct tl_threads threads;
};

static void cascade_view_release(struct cascade_view *v)
{
	blocks_release(&v->blocks);
	cascade_release(&v->c);
	tl_threads_release(&v->threads);
}

/* The n-th block as view_blocking.c numbers them: those of runtimes, then the others. */
static int find_block(struct cascade_view *v)
{
	bool by_place = v->o->top == REPORT_TOP_UNSET && v->o->block;
	u64 limit = !v->o->block ? 1 : by_place ? REPORT_TOP_TEXT : v->o->top;

	v->number = max_u64(v->o->block, 1);
	for (int group = BLOCKS_RUNTIME; group <= BLOCKS_OTHER; group++) {
		int r;

		blocks_release(&v->blocks);
		r = blocks_load(v->db, v->o, v->f, (enum block_group)group, by_place ? BLOCKS_BY_PLACE : BLOCKS_LONGEST, limit,
				&v->blocks);
		if (r < 0)
			return r;
		if (v->number <= v->available + v->blocks.n) {
			v->k = &v->blocks.rows[v->number - v->available - 1];
			return 0;
		}
		v->available += v->blocks.n;
	}
	return 0;
}

static int cascade_view_load(struct cascade_view *v)
{
	u64 max = v->o->top == REPORT_TOP_UNSET ? CASCADE_STEPS : v->o->top ? v->o->top : UINT64_MAX;
	int r = find_block(v);

	if (r < 0 || !v->k)
		return r;
	r = cascade_load(v->db, v->k, max, &v->c);
	return r < 0 ? r : tl_threads_load(v->db, v->f->ts_start, v->f->ts_end, &v->threads);
}

static const struct tl_thread *find_thread(const struct cascade_view *v, u64 id)
{
	for (size_t i = 0; i < v->threads.n; i++)
		if (v->threads.rows[i].id == id)
			return &v->threads.rows[i];
	return NULL;
}

/* ---- text ---- */

static void put_time(const struct cascade_view *v, u64 ts, u32 width)
{
	char text[48] = "-";

	if (ts) {
		u64 us = (max_u64(ts, v->f->ts_start) - v->f->ts_start) / NSEC_PER_USEC;

		(void)snprintf(text, sizeof(text), "+%llu.%06llu s", (unsigned long long)(us / 1000000),
			       (unsigned long long)(us % 1000000));
	}
	text_right(v->out, text, width);
}

static void put_span(const struct cascade_view *v, bool known, u64 ns, u32 width)
{
	text_right(v->out, known ? human_ns(ns).s : "-", width);
}

static const char *waker_text(const char *waker)
{
	static const char *const texts[][2] = {{"completion", "by the end of a task"},
					       {"root", "by a root future"},
					       {"driver", "by I/O, timer or yield"},
					       {"blocking_pool", "by the blocking pool"},
					       {"outside", "by a thread outside the runtime"}};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (waker && strcmp(waker, texts[i][0]) == 0)
			return texts[i][1];
	return waker ? "" : "since its spawn";
}

/* "LIFO slot, by task 30" */
static void step_note(const struct cascade_step *s, char *buf, size_t n)
{
	static const char *const places[] = {"", "LIFO slot", "local queue", "other worker"};
	char by[64];

	if (s->by_task)
		(void)snprintf(by, sizeof(by), "by task %llu", (unsigned long long)s->by_task);
	else
		(void)snprintf(by, sizeof(by), "%s", waker_text(s->waker));
	(void)snprintf(buf, n, "%s%s%s", places[s->place], *places[s->place] && *by ? ", " : "", by);
}

static void worker_text(const struct cascade_view *v, u64 thread_id, char *buf, size_t n)
{
	const struct tl_thread *t = find_thread(v, thread_id);

	if (!t)
		(void)snprintf(buf, n, "-");
	else if (t->has_worker)
		(void)snprintf(buf, n, "worker %llu", (unsigned long long)t->worker);
	else
		(void)snprintf(buf, n, "tid %llu", (unsigned long long)t->tid);
}

/* Where it ran, and behind it, or on a line of its own, where it had stood. */
static void put_on(const struct cascade_view *v, u32 indent, u32 col, const char *on, const char *note)
{
	u32 room = v->o->width > col + 2 + 11 ? v->o->width - col - 2 - 11 : 0;

	(void)fputs("  ", v->out);
	if (*note && text_width(note) <= room) {
		text_left(v->out, on, 11);
		(void)fputs(note, v->out);
	} else if (*note) {
		(void)fprintf(v->out, "%s\n%*s%s", on, (int)indent + 6, "", note);
	} else {
		(void)fputs(on, v->out);
	}
	(void)fputc('\n', v->out);
}

static int put_step(const struct cascade_view *v, const struct cascade_step *s)
{
	_cleanup_free_ char *name = NULL;
	u32 indent = 2 + 2 * s->level, name_w = (u32)min_u64(NAME_WIDTH, v->o->width - 50);
	char who[600], on[48], note[160];
	int r = text_clean(s->name, "", &name);

	if (r < 0)
		return r;
	if (s->task_id)
		(void)snprintf(who, sizeof(who), "task %llu%s%.500s", (unsigned long long)s->task_id, *name ? "  " : "", name);
	else
		(void)snprintf(who, sizeof(who), "a task that is not known");
	(void)fprintf(v->out, "%*s", (int)indent, "");
	if (indent + text_width(who) > name_w)
		(void)fprintf(v->out, "%s\n%*s", who, (int)name_w, "");
	else
		text_left(v->out, who, name_w - indent);
	if (v->c.source != CASCADE_NEXT) {
		put_time(v, s->ready, 14);
		put_span(v, s->ran && s->ready, s->ran - min_u64(s->ready, s->ran), 10);
	}
	put_time(v, s->ran, 14);
	put_span(v, s->dur, s->dur, 10);
	worker_text(v, s->thread_id, on, sizeof(on));
	step_note(s, note, sizeof(note));
	put_on(v, indent, name_w + (u32)(v->c.source == CASCADE_NEXT ? 24 : 48), on, v->c.source == CASCADE_NEXT ? "" : note);
	if (v->o->full && (s->file || s->function))
		return block_put_named(v->out, v->o, indent + 4, "", NULL, s->function, s->file, s->line);
	return 0;
}

static int put_steps(const struct cascade_view *v, const char *title)
{
	u32 name_w = (u32)min_u64(NAME_WIDTH, v->o->width - 50);
	int r = 0;

	(void)fputc('\n', v->out);
	text_color(v->out, v->o->color, TEXT_BOLD, title);
	(void)fprintf(v->out, "%*s", (int)(name_w - min_u64(name_w, text_width(title))), "");
	if (v->c.source != CASCADE_NEXT) {
		text_right(v->out, "ready", 14);
		text_right(v->out, "waited", 10);
	}
	text_right(v->out, "ran", 14);
	text_right(v->out, "for", 10);
	(void)fputs(v->c.source == CASCADE_NEXT ? "  on\n" : "  on         stood in, woken by\n", v->out);
	for (size_t i = 0; i < v->c.n && r == 0; i++)
		r = put_step(v, &v->c.steps[i]);
	return r;
}

static void put_paragraph(const struct cascade_view *v, const char *text)
{
	(void)fputs("\n  ", v->out);
	text_paragraph(v->out, v->o->width, 4, 2, text);
}

/* The steps, or what is known in place of them and how to record more. */
static int put_chain(const struct cascade_view *v)
{
	char text[400];
	u64 later = 0;
	int r = 0;

	if (v->c.source == CASCADE_QUEUES) {
		put_paragraph(
			v,
			v->k->has_lifo || v->k->has_queued
				? "Which tasks these were was not recorded, only how many stood in the queues: ascope record --wakes tells each of them."
				: "Which tasks became ready while it lasted was not recorded: ascope record --wakes tells.");
		return 0;
	}
	if (v->c.source == CASCADE_NEXT) {
		r = v->c.n ? put_steps(v, "WHAT ITS THREAD POLLED NEXT") : 0;
		put_paragraph(
			v, "Whether these waited for the block is not known without wake records: ascope record --wakes tells.");
		return r;
	}
	if (!v->c.victims) {
		put_paragraph(v, v->c.source == CASCADE_EXACT
					 ? "No task was delayed by it: none was ready, or other workers took those that were."
					 : "No task is known that was delayed by it; but not every wake about it was recorded.");
		return 0;
	}
	r = put_steps(v, "WHO WAITED BEHIND IT");
	for (size_t i = 0; i < v->c.n; i++)
		later += v->c.steps[i].level > 0;
	(void)snprintf(text, sizeof(text), "%s task%s delayed by the block itself, by %s in all%s", human_count(v->c.victims).s,
		       v->c.victims == 1 ? " was" : "s were", human_ns(v->c.total).s,
		       later ? "; those that are indented were woken by the task above them, and could not be earlier" : "");
	put_paragraph(v, text);
	for (size_t i = 0; i < v->c.n; i++)
		if (v->c.steps[i].place == PLACE_LIFO) {
			(void)fputs("  ", v->out);
			text_paragraph(
				v->out, v->o->width, 4, 2,
				"LIFO slot: woken last on that worker and polled first behind the block, or the only one there when the slot was read to be full");
			break;
		}
	if (v->c.truncated)
		(void)fputs("  There are more: --top 0 tells as many as are known.\n", v->out);
	if (v->c.source == CASCADE_PART)
		(void)fputs("  Not every wake about it was recorded (see PROBES): there may be more.\n", v->out);
	return r;
}

static int put_no_block(const struct cascade_view *v)
{
	char text[200];

	if (v->o->block)
		(void)snprintf(text, sizeof(text),
			       "There is no block number %llu: %s with these options (see ascope report --blocking).",
			       (unsigned long long)v->o->block, v->available ? "fewer are listed" : "none is listed");
	else
		(void)snprintf(text, sizeof(text),
			       "No poll blocked for %s or longer (--min): there is nothing that could cascade.",
			       text_threshold(v->o->min_ns).s);
	put_paragraph(v, text);
	return 0;
}

int view_cascade(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_facts_ struct capture_facts f = {0};
	_cleanup_(cascade_view_release) struct cascade_view v = {.db = db, .o = o, .f = &f, .out = out};
	const struct block_text text = {o, &f, out};
	int r;

	r = capture_facts_load(db, o, &f);
	if (r == 0)
		r = view_head(db, o, &f, out);
	if (r == 0)
		r = cascade_view_load(&v);
	if (r < 0)
		return r;
	if (!v.k)
		return put_no_block(&v);
	r = block_put_title(&text, v.k, o->block);
	if (r == 0)
		r = block_put_task(&text, v.k);
	if (r == 0)
		r = block_put_where(&text, db, v.k);
	if (r == 0)
		r = block_put_paid_by(&text, v.k);
	if (r == 0)
		r = put_chain(&v);
	return r < 0 ? r : view_probes(db, o, &f, out);
}

/* ---- JSON ---- */

static void block_json(const struct cascade_view *v, struct json *j)
{
	const struct block *k = v->k;

	json_key(j, "block");
	if (!k) {
		json_null(j);
		return;
	}
	json_object_begin(j);
	json_kv_u64_or_null(j, "number", v->o->block, v->number);
	json_kv_u64(j, "poll_id", k->poll_id);
	json_kv_u64(j, "ts", k->ts);
	json_kv_u64(j, "dur", k->dur);
	json_kv_string(j, "class", k->class_name);
	json_kv_u64(j, "tid", k->tid);
	json_kv_u64_or_null(j, "worker", k->has_worker, k->worker);
	json_kv_u64_or_null(j, "runtime_id", k->runtime_id, k->runtime_id);
	json_kv_u64_or_null(j, "task_id", k->has_task, k->task_id);
	json_kv_string(j, "task_name", k->task_name);
	json_kv_u64_or_null(j, "lifo", k->has_lifo, k->lifo);
	json_kv_u64_or_null(j, "queued", k->has_queued, k->queued);
	json_kv_u64_or_null(j, "inject", k->has_inject, k->inject);
	json_kv_u64_or_null(j, "victims", k->has_victims, k->victims);
	json_kv_u64_or_null(j, "worst_delay", k->has_victims, k->worst_delay);
	json_kv_u64_or_null(j, "driver_stalled", k->has_stalled, k->driver_stalled);
	json_object_end(j);
}

static void step_json(const struct cascade_view *v, const struct cascade_step *s, struct json *j)
{
	static const char *const places[] = {NULL, "lifo", "local", "taken"};
	const struct tl_thread *t = find_thread(v, s->thread_id);

	json_object_begin(j);
	json_kv_u64(j, "level", s->level);
	json_kv_u64_or_null(j, "runtime_id", s->runtime_id, s->runtime_id);
	json_kv_u64_or_null(j, "task_id", s->task_id, s->task_id);
	json_kv_string(j, "name", s->name);
	json_kv_string(j, "spawn_function", s->function);
	json_kv_string(j, "spawn_file", s->file);
	json_kv_u64_or_null(j, "spawn_line", s->line, s->line);
	json_kv_string(j, "waker", s->waker);
	json_kv_u64_or_null(j, "waker_task", s->by_task, s->by_task);
	json_kv_u64_or_null(j, "ready", s->ready, s->ready);
	json_kv_u64_or_null(j, "delayed", !s->level && s->ready, s->delayed);
	json_kv_u64_or_null(j, "ran", s->ran, s->ran);
	json_kv_u64_or_null(j, "ran_for", s->dur, s->dur);
	json_kv_u64_or_null(j, "tid", t, t ? t->tid : 0);
	json_kv_u64_or_null(j, "worker", t && t->has_worker, t ? t->worker : 0);
	json_kv_string(j, "place", places[s->place]);
	json_object_end(j);
}

int view_cascade_json(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	static const char *const sources[] = {"queues", "next_polls", "wakes_in_part", "wakes"};
	_cleanup_facts_ struct capture_facts f = {0};
	_cleanup_(cascade_view_release) struct cascade_view v = {.db = db, .o = o, .f = &f, .out = out};
	struct json j;
	int r;

	r = capture_facts_load(db, o, &f);
	if (r == 0)
		r = cascade_view_load(&v);
	if (r < 0)
		return r;
	r = view_json_begin(db, &f, out, &j);
	if (r < 0)
		return r;
	block_json(&v, &j);
	json_kv_string(&j, "known_by", v.k ? sources[v.c.source] : NULL);
	json_kv_u64(&j, "delayed_tasks", v.c.victims);
	json_kv_u64(&j, "delayed_total", v.c.total);
	json_kv_bool(&j, "truncated", v.c.truncated);
	json_key(&j, "steps");
	json_array_begin(&j);
	for (size_t i = 0; i < v.c.n; i++)
		step_json(&v, &v.c.steps[i], &j);
	json_array_end(&j);
	r = view_probes_json(db, &j);
	if (r < 0)
		return r;
	view_json_end(&j, out);
	return 0;
}
