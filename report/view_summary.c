/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view_summary.c: `ascope report --summary`: one screen about a capture: where each thread's time went, what it waited for, which
 * places blocked, what was sampled and lost. The parts of a thread's time add up to its wall time (view_timeline.h), and the view
 * says so where they cannot be known.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/human.h"
#include "base/json.h"
#include "report/sqlrow.h"
#include "report/view.h"
#include "report/view_blocks.h"
#include "report/view_head.h"
#include "report/view_places.h"
#include "report/view_spans.h"
#include "report/view_text.h"
#include "report/view_throttle.h"
#include "report/view_timeline.h"

#define SUMMARY_THREADS 16 /* --top of the table of threads */
#define SUMMARY_CLASSES 8
#define SUMMARY_PLACES	5
#define NAME_WIDTH	28

enum part { PART_ONCPU, PART_RUNNABLE, PART_BLOCKED, PART_PARKED, PART_OTHER, PARTS };

static const char *const part_names[PARTS] = {"on-CPU", "runnable", "blocked", "parked", "other"};
static const char *const part_keys[PARTS] = {"on_cpu", "runnable", "blocked_in_poll", "parked", "other"};

struct thread_time {
	u64 part[PARTS]; /* ns */
	u64 wall;
	u64 switches;
};

struct summary {
	sqlite3 *db;
	const struct report_opts *o;
	const struct capture_facts *f;
	struct tl_threads threads;
	struct thread_time *times; /* by index in threads */
};

static int add_segment(void *ctx, const struct tl_thread *t, const struct tl_segment *s)
{
	struct summary *v = ctx;
	struct thread_time *time = &v->times[t - v->threads.rows];
	enum part part = PART_OTHER;
	u64 len = s->end - s->ts;

	if (s->kind == TL_ONCPU)
		part = PART_ONCPU;
	else if (s->kind == TL_RUNNABLE)
		part = PART_RUNNABLE;
	else if (s->role && strcmp(s->role, "in_poll") == 0 && s->state != 'T' && s->state != 't')
		part = PART_BLOCKED;
	else if (s->role && strcmp(s->role, "parked") == 0)
		part = PART_PARKED;
	time->part[part] += len;
	time->wall += len;
	time->switches += s->first;
	return 0;
}

static int summary_load(struct summary *v)
{
	int r;

	r = tl_threads_load(v->db, v->f->lo, v->f->hi, &v->threads);
	if (r < 0)
		return r;
	v->times = calloc(v->threads.n + 1, sizeof(*v->times));
	if (!v->times)
		return -ENOMEM;
	return timeline_walk(v->db, &v->threads, add_segment, v);
}

static void summary_release(struct summary *v)
{
	tl_threads_release(&v->threads);
	free(v->times);
}

static void heading(const struct summary *v, FILE *out, const char *text)
{
	(void)fputc('\n', out);
	text_color(out, v->o->color, TEXT_BOLD, text);
}

/* ---- threads ---- */

static int thread_name(const struct summary *v, const struct tl_thread *t, char *buf, size_t n)
{
	_cleanup_free_ char *name = NULL;
	int r;

	r = text_clean(t->name, "?", &name);
	if (r < 0)
		return r;
	if (t->has_worker && v->f->mt_runtimes > 1)
		(void)snprintf(buf, n, "rt %llu worker %llu", (unsigned long long)t->runtime_id, (unsigned long long)t->worker);
	else if (t->has_worker)
		(void)snprintf(buf, n, "worker %llu", (unsigned long long)t->worker);
	else if (t->has_runtime)
		(void)snprintf(buf, n, "runtime %llu (%.*s)", (unsigned long long)t->runtime_id, NAME_WIDTH, name);
	else
		(void)snprintf(buf, n, "%.*s", NAME_WIDTH, name);
	return 0;
}

static void put_time_cells(const struct thread_time *time, bool seen, FILE *out)
{
	for (int p = 0; p < PARTS; p++) {
		(void)fputc(' ', out);
		if (!seen && p != PART_OTHER)
			text_right(out, "?", 9);
		else
			text_right(out, time->part[p] ? human_ns(time->part[p]).s : "-", 9);
	}
}

static int put_thread(const struct summary *v, const struct tl_thread *t, const struct thread_time *time, FILE *out)
{
	char name[96], tid[24];
	int r;

	r = thread_name(v, t, name, sizeof(name));
	if (r < 0)
		return r;
	(void)snprintf(tid, sizeof(tid), "%llu", (unsigned long long)t->tid);
	(void)fputs("  ", out);
	text_left_elided(out, name, v->o->width >= 100 ? NAME_WIDTH : 12);
	text_right(out, tid, 8);
	put_time_cells(time, t->seen, out);
	text_right(out, human_count(time->switches).s, 8);
	(void)fputc('\n', out);
	return 0;
}

struct rest {
	struct thread_time time;
	u64 n;
};

static void rest_add(struct rest *rest, const struct thread_time *time)
{
	for (int p = 0; p < PARTS; p++)
		rest->time.part[p] += time->part[p];
	rest->time.wall += time->wall;
	rest->time.switches += time->switches;
	rest->n++;
}

static void put_rest(const struct summary *v, const struct rest *rest, FILE *out)
{
	char name[48];

	if (!rest->n)
		return;
	(void)snprintf(name, sizeof(name), "%s more", human_count(rest->n).s);
	(void)fputs("  ", out);
	text_left(out, name, v->o->width >= 100 ? NAME_WIDTH : 12);
	text_right(out, "", 8);
	put_time_cells(&rest->time, true, out);
	text_right(out, human_count(rest->time.switches).s, 8);
	(void)fputc('\n', out);
}

static int put_threads(const struct summary *v, FILE *out)
{
	u64 top = v->o->top == REPORT_TOP_UNSET ? SUMMARY_THREADS : v->o->top ? v->o->top : UINT64_MAX;
	struct rest rest = {0};
	bool unseen = false;
	int r;

	if (!v->threads.n)
		return 0;
	heading(v, out, "TIME BY THREAD");
	(void)fprintf(out, "%*s", (v->o->width >= 100 ? NAME_WIDTH : 12) + 2 - 14, "");
	text_right(out, "tid", 8);
	for (int p = 0; p < PARTS; p++) {
		(void)fputc(' ', out);
		text_right(out, part_names[p], 9);
	}
	text_right(out, "out", 8);
	(void)fputc('\n', out);
	for (size_t i = 0; i < v->threads.n; i++) {
		const struct tl_thread *t = &v->threads.rows[i];

		unseen |= !t->seen;
		if (i >= top) {
			rest_add(&rest, &v->times[i]);
			continue;
		}
		r = put_thread(v, t, &v->times[i], out);
		if (r < 0)
			return r;
	}
	put_rest(v, &rest, out);
	(void)fputs("  ", out);
	text_paragraph(
		out, v->o->width, 2, 2,
		unseen ? "blocked: waiting inside a poll; parked: idle between polls; other: waiting elsewhere; out: times it "
			 "left its cpu; ?: no event of it"
		       : "blocked: waiting inside a poll; parked: idle between polls; other: waiting elsewhere; out: times it "
			 "left its cpu");
	return 0;
}

/* ---- classes, samples, losses ---- */

#define CLASSES_SQL                                                                                                              \
	"SELECT coalesce(class, 'preempted') AS what, role, coalesce(syscall, ''), count(*), "                                   \
	"CAST(total(max(0, min(coalesce(ts + dur, ?2), ?2) - max(ts, ?1))) AS INTEGER) AS spent, coalesce(detail, '') "          \
	"FROM offcpu WHERE ts <= ?2 AND (dur IS NULL OR ts + dur >= ?1) AND role <> 'parked' "                                   \
	"GROUP BY what, detail, role, syscall ORDER BY spent DESC, what, detail, role, syscall LIMIT ?3"

static int put_classes(const struct summary *v, FILE *out)
{
	u64 binds[3] = {v->f->lo, v->f->hi, SUMMARY_CLASSES};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	bool headed = false;
	int r;

	r = sql_prepare(v->db, &st, CLASSES_SQL, binds, 3);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		_cleanup_free_ char *syscall = NULL, *role = NULL, *detail = NULL;
		char what[64];

		r = text_clean(sql_text(st, 2), "", &syscall);
		if (r == 0)
			r = text_clean(sql_text(st, 1), "", &role);
		if (r == 0)
			r = text_clean(sql_text(st, 5), "", &detail);
		if (r < 0)
			return r;
		if (!headed)
			heading(v, out, "OFF-CPU, NOT PARKED");
		if (!headed)
			(void)fputs("    role             syscall              count      total\n", out);
		headed = true;
		(void)fputs("  ", out);
		if (strcmp(detail, sql_text(st, 0)) == 0)
			*detail = '\0';
		(void)snprintf(what, sizeof(what), "%s%s%s", sql_text(st, 0), *detail ? ": " : "", detail);
		text_left(out, what, 20);
		(void)fputs(" ", out);
		text_left(out, role, 16);
		(void)fputs(" ", out);
		text_left(out, syscall, 18);
		text_right(out, human_count(sql_u64(st, 3)).s, 10);
		text_right(out, human_ns(sql_u64(st, 4)).s, 11);
		(void)fputc('\n', out);
	}
	if (headed) {
		(void)fputs("  ", out);
		text_paragraph(out, v->o->width, 2, 2,
			       "preempted: taken off its cpu while it could run; none: a thread of no Tokio runtime");
	}
	return r;
}

#define SAMPLES_SQL                                                                                                              \
	"SELECT role, mode, count(*), sum(count(*)) OVER () FROM sample WHERE ts >= ?1 AND ts <= ?2 GROUP BY role, mode "        \
	"ORDER BY 3 DESC, 1, 2"

static int put_samples(const struct summary *v, FILE *out)
{
	u64 binds[2] = {v->f->lo, v->f->hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	struct text_wrap w;
	bool any = false;
	int r;

	heading(v, out, "SAMPLES");
	(void)fputs("  ", out);
	r = sql_prepare(v->db, &st, SAMPLES_SQL, binds, 2);
	if (r < 0)
		return r;
	text_wrap_begin(&w, out, v->o->width, 2, 9, ",  ");
	while ((r = db_step(st)) > 0) {
		_cleanup_free_ char *role = NULL, *mode = NULL;
		char word[128];

		r = text_clean(sql_text(st, 0), "", &role);
		if (r == 0)
			r = text_clean(sql_text(st, 1), "", &mode);
		if (r < 0)
			return r;
		(void)snprintf(word, sizeof(word), "%.32s %.8s %s (%s)", role, mode, human_count(sql_u64(st, 2)).s,
			       text_percent(sql_u64(st, 2), sql_u64(st, 3)).s);
		text_wrap_word(&w, word);
		any = true;
	}
	if (r == 0 && !any)
		(void)fputs(v->f->sample_period ? "none: no thread was on a CPU when the clock fired" : "not taken (--freq 0)",
			    out);
	(void)fputc('\n', out);
	return r;
}

static int put_losses(const struct summary *v, FILE *out)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	struct text_wrap w;
	bool any = false;
	int r;

	heading(v, out, "LOST");
	(void)fputs("  ", out);
	r = sql_prepare(v->db, &st, "SELECT cause, count FROM loss WHERE count > 0 ORDER BY count DESC, cause", NULL, 0);
	if (r < 0)
		return r;
	text_wrap_begin(&w, out, v->o->width, 2, 6, ",  ");
	while ((r = db_step(st)) > 0) {
		_cleanup_free_ char *cause = NULL;
		char word[96];

		r = text_clean(sql_text(st, 0), "?", &cause);
		if (r < 0)
			return r;
		(void)snprintf(word, sizeof(word), "%.48s %s", cause, human_count(sql_u64(st, 1)).s);
		text_wrap_word(&w, word);
		any = true;
	}
	if (!any)
		(void)fputs("nothing", out);
	if (v->f->gap_ns)
		(void)fprintf(out, ";  events may be missing in %s (%s of the recording)", human_ns(v->f->gap_ns).s,
			      text_percent(v->f->gap_ns, v->f->ts_end - v->f->ts_start).s);
	(void)fputc('\n', out);
	return r;
}

/* ---- text ---- */

static int put_blocked(const struct summary *v, FILE *out)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *text = NULL;
	struct block_totals t[2];
	int r;

	r = block_totals_load(v->db, v->o, v->f, BLOCKS_RUNTIME, &t[0]);
	if (r == 0)
		r = block_totals_load(v->db, v->o, v->f, BLOCKS_OTHER, &t[1]);
	if (r < 0)
		return r;
	heading(v, out, "BLOCKED POLLS");
	buf_printf(&b, "  %s >= %s held a worker", human_count(t[0].count).s, text_threshold(v->o->min_ns).s);
	if (t[0].count)
		buf_printf(&b, " for %s (%s of worker time)", human_ns(t[0].inside).s,
			   text_percent(t[0].inside, facts_workers(v->f) * facts_window(v->f)).s);
	if (t[1].count)
		buf_printf(&b, "; %s of root futures and local sets", human_count(t[1].count).s);
	if (!v->f->runtimes)
		buf_puts(&b, " (no Tokio runtime was found)");
	text = buf_take_str(&b);
	if (!text)
		return -ENOMEM;
	text_paragraph(out, v->o->width, 4, 13, text);
	return view_places(v->db, v->o, v->f, BLOCKS_RUNTIME, SUMMARY_PLACES, out);
}

int view_summary(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_facts_ struct capture_facts f = {0};
	_cleanup_(summary_release) struct summary v = {.db = db, .o = o, .f = &f};
	int r;

	r = capture_facts_load(db, o, &f);
	if (r == 0)
		r = summary_load(&v);
	if (r == 0)
		r = view_head(db, o, &f, out);
	if (r == 0)
		r = view_runtimes(db, o, &f, out);
	if (r == 0)
		r = put_threads(&v, out);
	if (r == 0)
		r = put_blocked(&v, out);
	if (r == 0)
		r = put_classes(&v, out);
	if (r == 0)
		r = view_throttled(db, o, &f, out);
	if (r == 0)
		r = put_samples(&v, out);
	if (r == 0)
		r = put_losses(&v, out);
	if (r == 0)
		r = view_stack_ends(db, o, &f, out);
	if (r == 0)
		r = view_unnamed(db, o, out);
	return r;
}

/* ---- JSON ---- */

static void threads_json(const struct summary *v, struct json *j)
{
	json_key(j, "threads");
	json_array_begin(j);
	for (size_t i = 0; i < v->threads.n; i++) {
		const struct tl_thread *t = &v->threads.rows[i];

		json_object_begin(j);
		span_thread_json(j, t);
		json_kv_u64_or_null(j, "runtime_id", t->has_runtime, t->runtime_id);
		json_kv_bool(j, "seen", t->seen);
		json_kv_u64(j, "wall", v->times[i].wall);
		for (int p = 0; p < PARTS; p++)
			json_kv_u64(j, part_keys[p], v->times[i].part[p]);
		json_kv_u64(j, "switches", v->times[i].switches);
		json_object_end(j);
	}
	json_array_end(j);
}

static int classes_json(const struct summary *v, struct json *j)
{
	u64 binds[3] = {v->f->lo, v->f->hi, INT64_MAX};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r;

	r = sql_prepare(v->db, &st, CLASSES_SQL, binds, 3);
	if (r < 0)
		return r;
	json_key(j, "off_cpu");
	json_array_begin(j);
	while ((r = db_step(st)) > 0) {
		json_object_begin(j);
		json_kv_string(j, "class", sql_text(st, 0));
		json_kv_string(j, "role", sql_text(st, 1));
		json_kv_string(j, "syscall", *sql_text(st, 2) ? sql_text(st, 2) : NULL);
		json_kv_string(j, "detail", *sql_text(st, 5) ? sql_text(st, 5) : NULL);
		json_kv_u64(j, "count", sql_u64(st, 3));
		json_kv_u64(j, "total", sql_u64(st, 4));
		json_object_end(j);
	}
	json_array_end(j);
	return r;
}

static int samples_json(const struct summary *v, struct json *j)
{
	u64 binds[2] = {v->f->lo, v->f->hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r;

	r = sql_prepare(v->db, &st, SAMPLES_SQL, binds, 2);
	if (r < 0)
		return r;
	json_key(j, "samples");
	json_array_begin(j);
	while ((r = db_step(st)) > 0) {
		json_object_begin(j);
		json_kv_string(j, "role", sql_text(st, 0));
		json_kv_string(j, "mode", sql_text(st, 1));
		json_kv_u64(j, "count", sql_u64(st, 2));
		json_object_end(j);
	}
	json_array_end(j);
	return r;
}

int view_summary_json(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_facts_ struct capture_facts f = {0};
	_cleanup_(summary_release) struct summary v = {.db = db, .o = o, .f = &f};
	struct json j;
	int r;

	r = capture_facts_load(db, o, &f);
	if (r == 0)
		r = summary_load(&v);
	if (r < 0)
		return r;
	r = view_json_begin(db, &f, out, &j);
	if (r < 0)
		return r;
	threads_json(&v, &j);
	r = classes_json(&v, &j);
	if (r == 0)
		r = samples_json(&v, &j);
	if (r == 0)
		r = view_throttled_json(db, &f, &j);
	if (r < 0)
		return r;
	view_json_end(&j, out);
	return 0;
}
