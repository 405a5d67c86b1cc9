/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view_tasks.c: `ascope report --tasks`: which kinds of task there are (a type of future spawned at one place), how many live, what they
 * cost and how long they wait for their turn. A number that was not recorded is "-" or "?", and the foot says how to record it.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/human.h"
#include "report/sqlrow.h"
#include "report/task_stats.h"
#include "report/view.h"
#include "report/view_head.h"
#include "report/view_probes.h"
#include "report/view_text.h"

#define TASKS_KINDS	20 /* --top of kinds */
#define TASKS_OF_A_KIND 10 /* --full: tasks listed of each kind without --top */
#define NAME_MIN_WIDTH	14

struct tasks_view {
	sqlite3 *db;
	const struct report_opts *o;
	const struct capture_facts *f;
	struct task_stats s;
	struct task_kinds k;
	FILE *out;
	u32 name_w;
};

static void tasks_view_release(struct tasks_view *v)
{
	task_kinds_release(&v->k);
	task_stats_release(&v->s);
}

static int tasks_load(struct tasks_view *v)
{
	int r = task_stats_load(v->db, v->o, v->f, &v->s);

	return r < 0 ? r : task_kinds_make(&v->s, &v->k);
}

/* ---- rows ---- */

enum column { COL_TASKS, COL_ALIVE, COL_BUSY, COL_BLOCKED, COL_LONGEST, COL_POLLS, COL_P50, COL_P99, COL_MAX, COLUMNS };

struct cells {
	char s[COLUMNS][HUMAN_LEN + 2];
};

static const u32 column_w[COLUMNS] = {8, 6, 10, 10, 10, 9, 10, 9, 9};

/* On a narrow terminal one percentile of the delays must do. */
static bool column_shown(const struct tasks_view *v, u32 i)
{
	if (i == COL_P50 || i == COL_MAX)
		return v->s.has_wakes && v->o->width >= 110;
	return i != COL_P99 || v->s.has_wakes;
}

static void put_cells(const struct tasks_view *v, const struct cells *c)
{
	u32 n = COLUMNS;

	while (n && (!c->s[n - 1][0] || !column_shown(v, n - 1)))
		n--;
	for (u32 i = 0; i < n; i++)
		if (column_shown(v, i))
			text_right(v->out, c->s[i], column_w[i]);
	(void)fputc('\n', v->out);
}

/* A name is never cut: where it is too long the numbers stand on the next line. */
static void put_row(const struct tasks_view *v, u32 indent, const char *name, const struct cells *c)
{
	text_left_or_line(v->out, name, indent, v->name_w);
	put_cells(v, c);
}

static void set_ns(char *cell, bool known, u64 ns)
{
	(void)snprintf(cell, HUMAN_LEN + 2, "%s", known ? human_ns(ns).s : "-");
}

/* What is estimated is marked. */
static void set_busy(const struct tasks_view *v, char *cell, u64 busy, u64 samples)
{
	(void)snprintf(cell, HUMAN_LEN + 2, "%s%s", !v->s.has_polls && samples ? "~" : "", busy ? human_ns(busy).s : "-");
}

static void kind_cells(const struct tasks_view *v, const struct task_kind *k, struct cells *c)
{
	(void)snprintf(c->s[COL_TASKS], sizeof(c->s[0]), "%s", human_count(k->tasks).s);
	/* Where of some it is not known, the others are at least so many. */
	(void)snprintf(c->s[COL_ALIVE], sizeof(c->s[0]), "%s%s", k->alive_unknown && k->alive ? ">=" : "",
		       k->alive_unknown && !k->alive ? "?" : human_count(k->alive).s);
	set_busy(v, c->s[COL_BUSY], k->busy, k->samples);
	set_ns(c->s[COL_BLOCKED], k->blocked, k->blocked);
	set_ns(c->s[COL_LONGEST], k->longest, k->longest);
	(void)snprintf(c->s[COL_POLLS], sizeof(c->s[0]), "%s", k->polls ? human_count(k->polls).s : "-");
	set_ns(c->s[COL_P50], k->delays, k->p50);
	set_ns(c->s[COL_P99], k->delays, k->p99);
	set_ns(c->s[COL_MAX], k->delays, k->max_delay);
}

static void task_cells(const struct tasks_view *v, const struct task_stat *t, struct cells *c)
{
	const u64 *delays = t->n_delays ? v->s.delays + t->first_delay : NULL;

	(void)snprintf(c->s[COL_ALIVE], sizeof(c->s[0]), "%s", t->alive < 0 ? "?" : t->alive ? "yes" : "no");
	set_busy(v, c->s[COL_BUSY], t->busy, t->samples);
	set_ns(c->s[COL_BLOCKED], t->blocked, t->blocked);
	set_ns(c->s[COL_LONGEST], t->longest, t->longest);
	(void)snprintf(c->s[COL_POLLS], sizeof(c->s[0]), "%s", t->polls ? human_count(t->polls).s : "-");
	set_ns(c->s[COL_P50], t->n_delays, delays ? task_percentile(delays, t->n_delays, 50) : 0);
	set_ns(c->s[COL_P99], t->n_delays, delays ? task_percentile(delays, t->n_delays, 99) : 0);
	set_ns(c->s[COL_MAX], t->n_delays, t->max_delay);
}

static void put_header(const struct tasks_view *v, const char *title)
{
	struct cells c = {{"tasks", "alive", "busy", "blocked", "longest", "", "delay p50", "p99", "max"}};

	(void)snprintf(c.s[COL_POLLS], sizeof(c.s[0]), "%s", v->s.has_polls ? "polls" : "caught");
	(void)fputc('\n', v->out);
	text_color(v->out, v->o->color, TEXT_BOLD, title);
	(void)fprintf(v->out, "%*s", (int)(v->name_w - min_u64(v->name_w, text_width(title))), "");
	put_cells(v, &c);
}

/* ---- kinds ---- */

static const char *from_text(char from)
{
	switch (from) {
	case 'r':
		return "a root future (block_on)";
	case 'd':
		return "the runtime's driver";
	case 'b':
		return "the blocking pool";
	case 'o':
		return "a thread outside the runtime";
	default:
		return NULL;
	}
}

/* "spawned at src/main.rs:88 by orders::accept_loop" */
static int put_spawned(const struct tasks_view *v, const struct task_kind *k)
{
	_cleanup_free_ char *site = NULL, *by = NULL;
	const char *from = from_text(k->from);
	struct text_wrap w;
	char share[64] = "";
	int r;

	r = task_site_label(&v->s.sites[k->site], v->o->full, &site);
	if (r == 0 && k->from == 't')
		r = task_type_label(&v->s.types[k->spawner], &by);
	if (r < 0)
		return r;
	if (!*site && !by && !from)
		return 0;
	(void)fprintf(v->out, "    spawned%s%s", !*site ? "" : strncmp(site, "in ", 3) == 0 ? " " : " at ", site);
	text_wrap_begin(&w, v->out, v->o->width, 8, (u32)(11 + text_width(site) + 4), " ");
	w.first = false;
	if (by || from) {
		_cleanup_buf_ struct buf b = BUF_INIT;
		_cleanup_free_ char *text = NULL;

		if (k->spawner_tasks < k->tasks)
			(void)snprintf(share, sizeof(share), " (%s of them)", human_count(k->spawner_tasks).s);
		buf_printf(&b, "by %s%s%s", by && k->spawner ? "" : by ? "a task " : from, by ? by : "", share);
		text = buf_take_str(&b);
		if (!text)
			return -ENOMEM;
		text_wrap_word(&w, text);
	}
	(void)fputc('\n', v->out);
	return 0;
}

/* "task 30  +3.214 s lived 1.20 s" */
static void task_life(const struct tasks_view *v, const struct task_stat *t, char *buf, size_t n)
{
	char runtime[40] = "", from[40] = "", lived[64] = "";
	u64 start = v->f->ts_start;

	if (v->f->runtimes > 1 && t->runtime_id)
		(void)snprintf(runtime, sizeof(runtime), "rt %llu ", (unsigned long long)t->runtime_id);
	if (t->ts_spawn >= start && t->ts_spawn)
		(void)snprintf(from, sizeof(from), "  +%s", text_offset(t->ts_spawn - start).s);
	if (t->ts_end > start && t->ts_spawn)
		(void)snprintf(lived, sizeof(lived), ", %s", human_ns(t->ts_end - min_u64(t->ts_spawn, t->ts_end)).s);
	else if (t->ts_end > start)
		(void)snprintf(lived, sizeof(lived), "  ended +%s", text_offset(t->ts_end - start).s);
	(void)snprintf(buf, n, "%stask %llu%s%s", runtime, (unsigned long long)t->task_id, from, lived);
}

static void put_tasks_of(const struct tasks_view *v, const struct task_kind *k)
{
	u64 top = v->o->top == REPORT_TOP_UNSET ? TASKS_OF_A_KIND : v->o->top ? v->o->top : UINT64_MAX;
	char name[160];

	for (size_t i = 0; i < k->n && i < top; i++) {
		const struct task_stat *t = &v->s.rows[v->k.order[k->first + i]];
		struct cells c = {0};

		task_life(v, t, name, sizeof(name));
		task_cells(v, t, &c);
		put_row(v, 4, name, &c);
	}
	if (k->n > top)
		(void)fprintf(v->out, "    ... %s more (--top 0 lists all)\n", human_count(k->n - top).s);
}

static int put_kind(const struct tasks_view *v, const struct task_kind *k)
{
	_cleanup_free_ char *name = NULL;
	struct cells c = {0};
	int r;

	r = task_type_label(&v->s.types[k->type], &name);
	if (r < 0)
		return r;
	kind_cells(v, k, &c);
	put_row(v, 2, name, &c);
	r = put_spawned(v, k);
	if (r == 0 && v->o->full)
		put_tasks_of(v, k);
	return r;
}

static int put_kinds(struct tasks_view *v, enum task_nature nature, const char *title)
{
	u64 top = v->o->top == REPORT_TOP_UNSET ? TASKS_KINDS : v->o->top ? v->o->top : UINT64_MAX, n = 0;
	int r;

	for (size_t i = 0; i < v->k.n; i++) {
		if (v->s.types[v->k.rows[i].type].nature != nature || n++ >= top)
			continue;
		if (n == 1)
			put_header(v, title);
		r = put_kind(v, &v->k.rows[i]);
		if (r < 0)
			return r;
	}
	if (n > top)
		(void)fprintf(v->out, "  ... %s more kind%s (--top 0 lists all)\n", human_count(n - top).s,
			      n - top == 1 ? "" : "s");
	return 0;
}

/* ---- around the table ---- */

static void measure(struct tasks_view *v)
{
	u32 numbers = 0, want = NAME_MIN_WIDTH;

	for (u32 i = 0; i < COLUMNS; i++)
		numbers += column_shown(v, i) ? column_w[i] : 0;
	for (size_t i = 0; i < v->k.n; i++) {
		const struct task_type *t = &v->s.types[v->k.rows[i].type];

		want = (u32)max_u64(want, 2 + (t->name ? text_width(t->name) : 32));
	}
	if (v->o->full)
		want = (u32)max_u64(want, 40);
	v->name_w = (u32)max_u64(NAME_MIN_WIDTH, min_u64(want, v->o->width > numbers ? v->o->width - numbers : 0));
}

struct totals {
	u64 kinds, tasks, alive, alive_unknown, busy, blocked, samples, unnamed, unseen;
};

static struct totals add_up(const struct tasks_view *v)
{
	struct totals t = {0};

	for (size_t i = 0; i < v->k.n; i++) {
		const struct task_kind *k = &v->k.rows[i];

		if (v->s.types[k->type].nature != TASK_FUTURE)
			continue;
		t.kinds++;
		t.tasks += k->tasks;
		t.alive += k->alive;
		t.alive_unknown += k->alive_unknown;
		t.busy += k->busy;
		t.blocked += k->blocked;
		t.samples += k->samples;
		t.unnamed += !v->s.types[k->type].name && v->s.types[k->type].vtable ? k->tasks : 0;
		t.unseen += !v->s.types[k->type].name && !v->s.types[k->type].vtable ? k->tasks : 0;
	}
	return t;
}

static void put_totals(const struct tasks_view *v, const struct totals *t)
{
	u64 worker_time = facts_workers(v->f) * facts_window(v->f);
	char words[4][128];
	struct text_wrap w;

	(void)snprintf(words[0], sizeof(words[0]), "%s task%s of %s kind%s", human_count(t->tasks).s, t->tasks == 1 ? "" : "s",
		       human_count(t->kinds).s, t->kinds == 1 ? "" : "s");
	if (!v->s.has_life)
		(void)snprintf(words[1], sizeof(words[1]), "caught in polls");
	else if (t->alive_unknown)
		(void)snprintf(words[1], sizeof(words[1]), "%s alive at the end, of %s not known", human_count(t->alive).s,
			       human_count(t->alive_unknown).s);
	else
		(void)snprintf(words[1], sizeof(words[1]), "%s alive at the end", human_count(t->alive).s);
	(void)snprintf(words[2], sizeof(words[2]), "busy %s%s of %s worker time (%s)", !v->s.has_polls && t->samples ? "~" : "",
		       human_ns(t->busy).s, human_ns(worker_time).s, text_percent(t->busy, worker_time).s);
	(void)snprintf(words[3], sizeof(words[3]), "blocked %s", human_ns(t->blocked).s);
	(void)fputc('\n', v->out);
	text_wrap_begin(&w, v->out, v->o->width, 2, 0, "   ");
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		text_wrap_word(&w, words[i]);
	(void)fputc('\n', v->out);
}

static void put_note(const struct tasks_view *v, const char *text)
{
	(void)fputs("  ", v->out);
	text_paragraph(v->out, v->o->width, 4, 2, text);
}

static void put_notes(const struct tasks_view *v, const struct totals *t)
{
	char text[400];

	(void)fputc('\n', v->out);
	(void)snprintf(text, sizeof(text),
		       "blocked: polls that held their worker for %s or longer, waiting or executing (--blocking, --min)",
		       text_threshold(v->o->min_ns).s);
	put_note(v, text);
	if (v->s.has_polls)
		put_note(v, "busy: time in polls, every one recorded");
	else if (v->f->sample_period)
		(void)snprintf(
			text, sizeof(text),
			"busy: waits in polls, and executing by samples (one every %s), so ~; caught: polls with a wait or "
			"several samples in them. For every poll: ascope record --polls",
			human_ns(v->f->sample_period).s);
	else
		(void)snprintf(
			text, sizeof(text),
			"busy: waits in polls alone, for no samples were taken (--freq 0). For every poll: ascope record --polls");
	if (!v->s.has_polls)
		put_note(v, text);
	if (v->s.has_wakes)
		put_note(v, "delay: from the wake that put the task into a run queue to the poll that followed");
	else
		put_note(v, "how long tasks waited between wake and poll was not recorded: ascope record --wakes");
	if (!v->s.has_life)
		put_note(
			v,
			"where tasks were spawned, and which are alive, was not recorded: ascope record without --tasks=off, of a Tokio whose "
			"functions are found (ascope doctor -p PID)");
	else if (t->alive_unknown)
		put_note(v, "alive ?: neither their end nor that they live on was seen");
	if (t->unseen && v->s.has_life)
		put_note(
			v,
			"type not known: neither their spawn nor, by a probe, a poll of theirs was seen; Tokio's own loop of a worker is such a task, too");
	if (t->unnamed)
		(void)snprintf(text, sizeof(text),
			       "no name: %s task%s; see WITHOUT NAMES, if it is there, for binaries to pass, or ascope doctor",
			       human_count(t->unnamed).s, t->unnamed == 1 ? "" : "s");
	if (t->unnamed && v->s.has_life)
		put_note(v, text);
}

#define ROOTS_SQL                                                                                                                \
	"SELECT count(*), CAST(total(off_cpu) AS INTEGER), CAST(total(dur) AS INTEGER), max(dur) FROM poll "                     \
	"WHERE task_id IS NULL AND holds <> 'localset' AND (worker IS NULL OR runtime_id IN (SELECT r.runtime_id FROM runtime "  \
	"AS r WHERE r.task_ids = 0)) AND ts <= ?2 AND ts + dur + stopped >= ?1"

/* Polls outside of every task: block_on's own future; a worker that was caught before a task's id was there is none. Without ids of tasks (Tokio before 1.22) any poll may be a task's. */
static int put_roots(const struct tasks_view *v)
{
	u64 binds[2] = {v->f->lo, v->f->hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	u64 no_ids = 0;
	int r;

	r = sql_one_u64(v->db, "SELECT count(*) FROM runtime WHERE task_ids = 0", NULL, 0, &no_ids);
	if (r == 0)
		r = sql_prepare(v->db, &st, ROOTS_SQL, binds, 2);
	if (r == 0)
		r = db_step(st);
	if (r < 0)
		return r;
	if (sql_u64(st, 0))
		(void)fprintf(v->out, "\n%s: %s poll%s caught, %s in all, blocked %s, longest %s\n",
			      no_ids ? "Polls of tasks without id (Tokio before 1.22) and root futures"
				     : "Root futures (block_on)",
			      human_count(sql_u64(st, 0)).s, sql_u64(st, 0) == 1 ? "" : "s", human_ns(sql_u64(st, 2)).s,
			      human_ns(sql_u64(st, 1)).s, human_ns(sql_u64(st, 3)).s);
	return 0;
}

static void put_nothing(const struct tasks_view *v)
{
	(void)fputc('\n', v->out);
	if (!v->f->runtimes)
		text_paragraph(v->out, v->o->width, 2, 0,
			       "no task is known: no Tokio runtime was found in this capture (ascope doctor -p PID says why)");
	else
		text_paragraph(v->out, v->o->width, 2, 0,
			       "no task is known in this time: none was spawned or ended, and none was caught in a poll");
}

int view_tasks(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_facts_ struct capture_facts f = {0};
	_cleanup_(tasks_view_release) struct tasks_view v = {.db = db, .o = o, .f = &f, .out = out};
	struct totals t;
	int r;

	r = capture_facts_load(db, o, &f);
	if (r == 0)
		r = tasks_load(&v);
	if (r == 0)
		r = view_head(db, o, &f, out);
	if (r < 0)
		return r;
	t = add_up(&v);
	if (!v.s.n) {
		put_nothing(&v);
		return view_probes(db, o, &f, out);
	}
	measure(&v);
	put_totals(&v, &t);
	r = put_kinds(&v, TASK_FUTURE, "TASKS BY KIND");
	if (r == 0)
		r = put_kinds(&v, TASK_CLOSURE, "BLOCKING POOL");
	if (r == 0)
		r = put_roots(&v);
	if (r < 0)
		return r;
	put_notes(&v, &t);
	r = view_probes(db, o, &f, out);
	return r < 0 ? r : view_unnamed(db, o, out);
}

/* ---- JSON ---- */

static const char *from_word(char from)
{
	static const char *const words[] = {"task", "root", "driver", "blocking_pool", "outside"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (from == words[i][0])
			return words[i];
	return NULL;
}

static void delays_json(struct json *j, u64 n, u64 p50, u64 p99, u64 max)
{
	json_kv_u64(j, "delays", n);
	json_kv_u64_or_null(j, "delay_p50", n, p50);
	json_kv_u64_or_null(j, "delay_p99", n, p99);
	json_kv_u64_or_null(j, "delay_max", n, max);
}

static void task_json(const struct tasks_view *v, const struct task_stat *t, struct json *j)
{
	const u64 *delays = t->n_delays ? v->s.delays + t->first_delay : NULL;

	json_object_begin(j);
	json_kv_u64_or_null(j, "runtime_id", t->runtime_id, t->runtime_id);
	json_kv_u64(j, "task_id", t->task_id);
	json_kv_u64_or_null(j, "ts_spawn", t->ts_spawn, t->ts_spawn);
	json_kv_u64_or_null(j, "ts_end", t->ts_end, t->ts_end);
	json_kv_u64_or_null(j, "spawned_by", t->spawned_by, t->spawned_by);
	json_kv_string(j, "spawned_from", from_word(t->from));
	json_kv_u64_or_null(j, "alive_at_end", t->alive >= 0, t->alive > 0);
	json_kv_u64(j, "busy", t->busy);
	json_kv_u64(j, "waited", t->waited);
	json_kv_u64(j, "blocked", t->blocked);
	json_kv_u64(j, "blocks", t->blocks);
	json_kv_u64(j, "longest", t->longest);
	json_kv_u64(j, "polls", t->polls);
	json_kv_u64(j, "samples", t->samples);
	json_kv_u64_or_null(j, "wakes", v->s.has_wakes, t->wakes);
	delays_json(j, t->n_delays, delays ? task_percentile(delays, t->n_delays, 50) : 0,
		    delays ? task_percentile(delays, t->n_delays, 99) : 0, t->max_delay);
	json_object_end(j);
}

static void kind_json(const struct tasks_view *v, const struct task_kind *k, struct json *j)
{
	static const char *const natures[] = {"future", "blocking", "worker"};
	const struct task_type *type = &v->s.types[k->type];
	const struct task_site *site = &v->s.sites[k->site];

	json_object_begin(j);
	json_kv_string(j, "name", type->name);
	json_kv_bool(j, "name_guessed", type->guessed);
	json_kv_string(j, "kind", natures[type->nature]);
	json_kv_string(j, "spawn_file", site->file);
	json_kv_u64_or_null(j, "spawn_line", site->line, site->line);
	json_kv_string(j, "spawn_function", site->function);
	json_kv_string(j, "spawned_from", from_word(k->from));
	json_kv_string(j, "spawned_by", v->s.types[k->spawner].name);
	json_kv_u64(j, "tasks", k->tasks);
	json_kv_u64(j, "alive_at_end", k->alive);
	json_kv_u64(j, "alive_unknown", k->alive_unknown);
	json_kv_u64(j, "busy", k->busy);
	json_kv_u64(j, "waited", k->waited);
	json_kv_u64(j, "blocked", k->blocked);
	json_kv_u64(j, "blocks", k->blocks);
	json_kv_u64(j, "longest", k->longest);
	json_kv_u64(j, "polls", k->polls);
	json_kv_u64(j, "samples", k->samples);
	json_kv_u64_or_null(j, "wakes", v->s.has_wakes, k->wakes);
	delays_json(j, k->delays, k->p50, k->p99, k->max_delay);
	if (v->o->full) {
		json_key(j, "list");
		json_array_begin(j);
		for (size_t i = 0; i < k->n; i++)
			task_json(v, &v->s.rows[v->k.order[k->first + i]], j);
		json_array_end(j);
	}
	json_object_end(j);
}

int view_tasks_json(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_facts_ struct capture_facts f = {0};
	_cleanup_(tasks_view_release) struct tasks_view v = {.db = db, .o = o, .f = &f, .out = out};
	u64 top = o->top == REPORT_TOP_UNSET || !o->top ? UINT64_MAX : o->top;
	struct json j;
	int r;

	r = capture_facts_load(db, o, &f);
	if (r == 0)
		r = tasks_load(&v);
	if (r < 0)
		return r;
	r = view_json_begin(db, &f, out, &j);
	if (r < 0)
		return r;
	json_kv_u64(&j, "min_ns", o->min_ns);
	json_kv_u64(&j, "window_start", f.lo);
	json_kv_u64(&j, "window_end", f.hi);
	json_kv_u64(&j, "worker_time", facts_workers(&f) * facts_window(&f));
	json_kv_bool(&j, "polls_exact", v.s.has_polls);
	json_kv_bool(&j, "wakes_recorded", v.s.has_wakes);
	json_kv_bool(&j, "life_recorded", v.s.has_life);
	json_key(&j, "kinds");
	json_array_begin(&j);
	for (size_t i = 0; i < v.k.n && i < top; i++)
		kind_json(&v, &v.k.rows[i], &j);
	json_array_end(&j);
	r = view_probes_json(db, &j);
	if (r < 0)
		return r;
	view_json_end(&j, out);
	return 0;
}
