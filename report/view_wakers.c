/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view_wakers.c: `ascope report --wakers`: who wakes whom, and how long the woken waited for their poll. With wake records the wakes of tasks,
 * by kind, as text, JSON or a Graphviz graph; without them the wake-ups of threads, which tell who made a worker get up.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/human.h"
#include "report/sqlrow.h"
#include "report/view.h"
#include "report/view_probes.h"
#include "report/view_text.h"
#include "report/wakers.h"

#define WAKERS_SHOWN 20	 /* --top: woken kinds, or threads */
#define WAKERS_EACH  6	 /* of each its commonest wakers, without --full */
#define DOT_EDGES    400 /* more than a drawing can show */
#define NAME_MIN     24

struct wakers_view {
	sqlite3 *db;
	const struct report_opts *o;
	const struct capture_facts *f;
	struct wakers w;
	FILE *out;
	u32 name_w;
};

static void heading(const struct wakers_view *v, const char *text)
{
	(void)fputc('\n', v->out);
	text_color(v->out, v->o->color, TEXT_BOLD, text);
}

static u64 top_of(const struct wakers_view *v, u64 unset)
{
	return v->o->top == REPORT_TOP_UNSET ? unset : v->o->top ? v->o->top : UINT64_MAX;
}

/* ---- text ---- */

static void put_numbers(const struct wakers_view *v, const struct wake_sum *s)
{
	text_right(v->out, human_count(s->n).s, 10);
	text_right(v->out, s->delays ? human_ns(s->p50).s : "-", 12);
	text_right(v->out, s->delays ? human_ns(s->p99).s : "-", 11);
	text_right(v->out, s->delays ? human_ns(s->max).s : "-", 11);
	(void)fputc('\n', v->out);
}

static void put_row(const struct wakers_view *v, u32 indent, const char *name, const struct wake_sum *s)
{
	text_left_or_line(v->out, name, indent, v->name_w);
	put_numbers(v, s);
}

static void put_header(const struct wakers_view *v, const char *title, const char *first)
{
	heading(v, title);
	(void)fprintf(v->out, "%*s", (int)(v->name_w - min_u64(v->name_w, text_width(title))), "");
	text_right(v->out, "wakes", 10);
	text_right(v->out, first, 12);
	text_right(v->out, "p99", 11);
	text_right(v->out, "max", 11);
	(void)fputc('\n', v->out);
}

static void measure(struct wakers_view *v)
{
	u32 want = NAME_MIN;

	for (size_t i = 0; i < v->w.n_nodes; i++)
		want = (u32)max_u64(want, 9 + text_width(v->w.nodes[i].label));
	v->name_w = (u32)max_u64(NAME_MIN, min_u64(want, v->o->width - 44));
}

/* One woken, then who woke it: edges first..first + n of one target. */
static void put_woken(const struct wakers_view *v, const struct wake_edge *e, size_t n)
{
	u64 top = v->o->full ? UINT64_MAX : WAKERS_EACH;
	const struct wake_node *to = &v->w.nodes[e->to];

	put_row(v, 2, to->label, &to->woken);
	if (*to->place)
		(void)fprintf(v->out, "    spawned%s%s\n", strncmp(to->place, "in ", 3) == 0 ? " " : " at ", to->place);
	for (size_t i = 0; i < n && i < top; i++) {
		char name[600];

		(void)snprintf(name, sizeof(name), "by %s", v->w.nodes[e[i].from].label);
		put_row(v, 6, name, &e[i].sum);
	}
	if (n > top)
		(void)fprintf(v->out, "      ... %s more (--full lists all)\n", human_count(n - top).s);
}

static void put_edges(const struct wakers_view *v)
{
	u64 top = top_of(v, WAKERS_SHOWN), shown = 0, left = 0;

	for (size_t i = 0, n; i < v->w.n_edges; i += n) {
		n = 1;
		while (i + n < v->w.n_edges && v->w.edges[i + n].to == v->w.edges[i].to)
			n++;
		if (shown++ < top)
			put_woken(v, &v->w.edges[i], n);
		else
			left++;
	}
	if (left)
		(void)fprintf(v->out, "  ... %s more (--top 0 lists all)\n", human_count(left).s);
}

static void put_note(const struct wakers_view *v, const char *text)
{
	(void)fputs("  ", v->out);
	text_paragraph(v->out, v->o->width, 4, 2, text);
}

static void put_tasks(struct wakers_view *v)
{
	char text[200];

	(void)snprintf(text, sizeof(text), "%s wakes put a task into a run queue", human_count(v->w.all.n).s);
	(void)fputc('\n', v->out);
	text_paragraph(v->out, v->o->width, 2, 0, text);
	put_header(v, "WHO IS WOKEN, BY WHOM", "delay p50");
	put_edges(v);
	(void)fputc('\n', v->out);
	put_note(
		v,
		"delay: from the wake to the poll that followed. Not counted: wakes of a task that is queued already, its own during its poll, spawns");
	put_note(v, "I/O, timer or yield: woken by the runtime between polls; end of a task: it was joined (JoinHandle)");
}

static void put_threads(struct wakers_view *v)
{
	(void)fputc('\n', v->out);
	text_paragraph(
		v->out, v->o->width, 2, 0,
		"Which task woke which was not recorded: ascope record --wakes does. What follows are wake-ups of threads: they tell who made a parked "
		"worker, or a thread that waited in a poll, run again.");
	if (!v->w.n_edges) {
		put_note(v, "none was seen in this time");
		return;
	}
	put_header(v, "WHICH THREAD, BY WHOM", "to cpu p50");
	put_edges(v);
	(void)fputc('\n', v->out);
	put_note(v, "to cpu: from the wake-up until the thread ran; an interrupt: a timer or a device");
}

int view_wakers(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_facts_ struct capture_facts f = {0};
	struct wakers_view v = {.db = db, .o = o, .f = &f, .out = out};
	int r;

	r = capture_facts_load(db, o, &f);
	if (r == 0)
		r = view_head(db, o, &f, out);
	if (r == 0)
		r = wakers_load(db, o, &f, &v.w);
	if (r < 0)
		return r;
	measure(&v);
	if (v.w.of_tasks)
		put_tasks(&v);
	else
		put_threads(&v);
	wakers_release(&v.w);
	return view_probes(db, o, &f, out);
}

/* ---- Graphviz ---- */

/* A quoted string of the DOT language: `"` and `\` are escaped, and `&`, which begins an entity of HTML in any label. The text is clean UTF-8 without control bytes. */
static void put_dot_text(FILE *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '&') {
			(void)fputs("&amp;", out);
			continue;
		}
		if (*s == '"' || *s == '\\')
			(void)fputc('\\', out);
		(void)fputc(*s, out);
	}
}

static void put_dot_node(const struct wakers_view *v, size_t i)
{
	const struct wake_node *n = &v->w.nodes[i];

	(void)fprintf(v->out, "  n%zu [label=\"", i);
	put_dot_text(v->out, n->label);
	if (*n->place) {
		(void)fputs("\\n", v->out);
		put_dot_text(v->out, n->place);
	}
	if (n->tasks > 1)
		(void)fprintf(v->out, "\\n%s tasks", human_count(n->tasks).s);
	(void)fprintf(v->out, "\"%s];\n", n->is_task ? "" : ", shape=ellipse, style=dashed");
}

/* Line width 1 to 6 by the logarithm of the count. */
static u32 pen_width(u64 n)
{
	u32 width = 1;

	while (n >= 10 && width < 6) {
		n /= 10;
		width++;
	}
	return width;
}

static void put_dot_edge(const struct wakers_view *v, const struct wake_edge *e)
{
	(void)fprintf(v->out, "  n%u -> n%u [label=\"%s", e->from, e->to, human_count(e->sum.n).s);
	if (e->sum.delays)
		(void)fprintf(v->out, "\\np99 %s", human_ns(e->sum.p99).s);
	(void)fprintf(v->out, "\", penwidth=%u%s];\n", pen_width(e->sum.n),
		      e->sum.delays && e->sum.p99 >= v->o->min_ns ? ", color=red" : "");
}

int view_wakers_dot(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_facts_ struct capture_facts f = {0};
	struct wakers_view v = {.db = db, .o = o, .f = &f, .out = out};
	u64 least = 0, skipped = 0;
	int r;

	r = capture_facts_load(db, o, &f);
	if (r == 0)
		r = wakers_load(db, o, &f, &v.w);
	if (r < 0)
		return r;
	least = wakers_least(&v.w, top_of(&v, DOT_EDGES));
	(void)fprintf(out, "// %s; edges: wakes; red: p99 of the delay is %s or longer\ndigraph wakers {\n",
		      v.w.of_tasks ? "wakes of tasks" : "wake-ups of threads (tasks: ascope record --wakes)",
		      text_threshold(o->min_ns).s);
	(void)fputs("  rankdir=LR;\n  node [shape=box, fontname=\"monospace\", fontsize=10];\n  edge [fontsize=9];\n", out);
	for (size_t i = 0; i < v.w.n_nodes; i++)
		if (v.w.nodes[i].most >= least && v.w.nodes[i].most)
			put_dot_node(&v, i);
	for (size_t i = 0; i < v.w.n_edges; i++) {
		if (v.w.edges[i].sum.n >= least)
			put_dot_edge(&v, &v.w.edges[i]);
		else
			skipped++;
	}
	if (skipped)
		(void)fprintf(out, "  // %llu edges of fewer than %llu wakes are left out: --top 0 draws all\n",
			      (unsigned long long)skipped, (unsigned long long)least);
	(void)fputs("}\n", out);
	wakers_release(&v.w);
	return 0;
}

/* ---- JSON ---- */

static void sum_json(struct json *j, const struct wake_sum *s)
{
	json_kv_u64(j, "wakes", s->n);
	json_kv_u64(j, "delays", s->delays);
	json_kv_u64_or_null(j, "delay_p50", s->delays, s->p50);
	json_kv_u64_or_null(j, "delay_p99", s->delays, s->p99);
	json_kv_u64_or_null(j, "delay_max", s->delays, s->max);
	json_kv_u64(j, "delay_total", s->total);
}

static void nodes_json(const struct wakers_view *v, struct json *j)
{
	json_key(j, "nodes");
	json_array_begin(j);
	for (size_t i = 0; i < v->w.n_nodes; i++) {
		const struct wake_node *n = &v->w.nodes[i];

		json_object_begin(j);
		json_kv_u64(j, "id", i);
		json_kv_string(j, "kind", n->is_task ? "task" : n->what);
		json_kv_string(j, "name", n->label);
		json_kv_string(j, "spawned_at", *n->place ? n->place : NULL);
		json_kv_u64_or_null(j, "tasks", n->is_task, n->tasks);
		sum_json(j, &n->woken);
		json_object_end(j);
	}
	json_array_end(j);
}

int view_wakers_json(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_facts_ struct capture_facts f = {0};
	struct wakers_view v = {.db = db, .o = o, .f = &f, .out = out};
	struct json j;
	int r;

	r = capture_facts_load(db, o, &f);
	if (r == 0)
		r = wakers_load(db, o, &f, &v.w);
	if (r < 0)
		return r;
	r = view_json_begin(db, &f, out, &j);
	if (r == 0) {
		json_kv_u64(&j, "window_start", f.lo);
		json_kv_u64(&j, "window_end", f.hi);
		json_kv_string(&j, "of", v.w.of_tasks ? "tasks" : "threads");
		nodes_json(&v, &j);
		json_key(&j, "edges");
		json_array_begin(&j);
		for (size_t i = 0; i < v.w.n_edges; i++) {
			json_object_begin(&j);
			json_kv_u64(&j, "from", v.w.edges[i].from);
			json_kv_u64(&j, "to", v.w.edges[i].to);
			sum_json(&j, &v.w.edges[i].sum);
			json_object_end(&j);
		}
		json_array_end(&j);
		r = view_probes_json(db, &j);
		view_json_end(&j, out);
	}
	wakers_release(&v.w);
	return r;
}
