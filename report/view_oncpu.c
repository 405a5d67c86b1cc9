/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view_oncpu.c: `ascope report --oncpu`: where CPU time went, of all threads or those that were asked for: by thread (exactly, and by samples
 * beside it), by category of code, by function. Samples stand for one period each.
 */
#include <errno.h>
#include <string.h>

#include "base/human.h"
#include "report/oncpu_stats.h"
#include "report/view.h"
#include "report/view_spans.h"

#define THREADS_SHOWN	16 /* without --top or --full */
#define FUNCTIONS_SHOWN 15
#define CALLERS_SHOWN	10
#define CELL_WIDTH	11
#define SHARE_WIDTH	9

struct oncpu_view {
	const struct report_opts *o;
	struct capture_facts f;
	struct oncpu_stats s;
	FILE *out;
};

static u64 top_of(const struct oncpu_view *v, u64 unset)
{
	if (v->o->top == REPORT_TOP_UNSET)
		return v->o->full ? UINT64_MAX : unset;
	return v->o->top ? v->o->top : UINT64_MAX;
}

static u64 sampled(const struct oncpu_view *v, u64 samples)
{
	return samples * v->s.period;
}

static void put_sums(const struct oncpu_view *v)
{
	const struct on_thread *x = &v->s.all;
	char text[400];

	(void)snprintf(text, sizeof(text), "%s of %s of %s thread%s (%s)", human_ns(x->on_cpu).s, human_ns(x->wall).s,
		       human_count(v->s.threads.n).s, v->s.threads.n == 1 ? "" : "s", text_percent(x->on_cpu, x->wall).s);
	span_line(v->out, v->o, "scheduler", text);
	if (!v->s.period)
		(void)snprintf(text, sizeof(text), "not taken (record --freq 0): what was executed is not known");
	else if (!x->samples)
		(void)snprintf(text, sizeof(text), "none, of one every %s: nothing of it was on a CPU when the clock fired",
			       human_ns(v->s.period).s);
	else
		(void)snprintf(text, sizeof(text), "%s, one every %s of CPU: %s%s%s%s; %s in the kernel",
			       human_count(x->samples).s, human_ns(v->s.period).s, human_ns(sampled(v, x->samples)).s,
			       v->o->task ? "" : ", ", v->o->task ? "" : text_percent(sampled(v, x->samples), x->on_cpu).s,
			       v->o->task ? "" : " of what the scheduler says", text_percent(x->in_kernel, x->samples).s);
	span_line(v->out, v->o, "samples", text);
	if (v->s.no_stack) {
		(void)snprintf(text, sizeof(text), "%s of the samples have none", human_count(v->s.no_stack).s);
		span_line(v->out, v->o, "stacks", text);
	}
}

/* ---- threads ---- */

static int busiest_first(const void *a, const void *b)
{
	const struct on_thread *const *x = a, *const *y = b;

	if ((*x)->samples != (*y)->samples && !(*x)->on_cpu && !(*y)->on_cpu)
		return (*x)->samples > (*y)->samples ? -1 : 1;
	if ((*x)->on_cpu != (*y)->on_cpu)
		return (*x)->on_cpu > (*y)->on_cpu ? -1 : 1;
	return *x < *y ? -1 : *x > *y;
}

static int put_thread(const struct oncpu_view *v, const struct on_thread *x)
{
	u32 name_width = v->o->width < 100 ? 16 : 28;
	char name[96], tid[24];
	int r = span_thread_label(&v->f, x->t, name, sizeof(name));

	if (r < 0)
		return r;
	(void)snprintf(tid, sizeof(tid), "%llu", (unsigned long long)x->t->tid);
	(void)fputs("  ", v->out);
	text_left_elided(v->out, name, name_width);
	text_right(v->out, tid, SHARE_WIDTH);
	text_right(v->out, x->on_cpu ? human_ns(x->on_cpu).s : "-", CELL_WIDTH);
	text_right(v->out, text_percent(x->on_cpu, x->wall).s, SHARE_WIDTH);
	text_right(v->out, x->samples ? human_count(x->samples).s : "-", CELL_WIDTH);
	text_right(v->out, x->samples ? human_ns(sampled(v, x->samples)).s : "-", CELL_WIDTH);
	text_right(v->out, x->samples ? text_percent(x->in_poll, x->samples).s : "-", SHARE_WIDTH);
	(void)fputc('\n', v->out);
	return 0;
}

static int put_threads(const struct oncpu_view *v)
{
	_cleanup_free_ const struct on_thread **order = calloc(v->s.threads.n + 1, sizeof(*order));
	u64 top = top_of(v, THREADS_SHOWN);
	int r = 0;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < v->s.threads.n; i++)
		order[i] = &v->s.rows[i];
	qsort(order, v->s.threads.n, sizeof(*order), busiest_first);
	span_heading(v->out, v->o, "BY THREAD");
	(void)fprintf(v->out, "%*s", (v->o->width < 100 ? 18 : 30) - 9, "");
	text_right(v->out, "tid", SHARE_WIDTH);
	text_right(v->out, "on-CPU", CELL_WIDTH);
	text_right(v->out, "of time", SHARE_WIDTH);
	text_right(v->out, "samples", CELL_WIDTH);
	text_right(v->out, "their time", CELL_WIDTH);
	text_right(v->out, "in polls", SHARE_WIDTH);
	(void)fputc('\n', v->out);
	for (size_t i = 0; i < v->s.threads.n && i < top && r == 0; i++)
		r = put_thread(v, order[i]);
	if (v->s.threads.n > top)
		(void)fprintf(v->out, "  ... %s more (--top 0 lists all)\n", human_count(v->s.threads.n - top).s);
	return r;
}

/* ---- categories ---- */

static int put_categories(const struct oncpu_view *v)
{
	u64 bar = v->o->width < 100 ? 0 : min_u64(40, v->o->width - 75);

	if (!v->s.n_categories)
		return 0;
	span_heading(v->out, v->o, "BY CATEGORY OF CODE");
	(void)fprintf(v->out, "%*s", 3, "");
	text_right(v->out, "with called", 22);
	text_right(v->out, "time", CELL_WIDTH);
	text_right(v->out, "self", SHARE_WIDTH);
	text_right(v->out, "time", CELL_WIDTH);
	(void)fputc('\n', v->out);
	for (size_t i = 0; i < v->s.n_categories; i++) {
		const struct on_category *c = &v->s.categories[i];
		_cleanup_free_ char *name = NULL;
		int r = text_clean(c->name, "?", &name);

		if (r < 0)
			return r;
		(void)fputs("  ", v->out);
		text_left(v->out, name, 33);
		text_right(v->out, c->with_called ? text_percent(c->with_called, v->s.all.samples).s : "-", SHARE_WIDTH);
		text_right(v->out, c->with_called ? human_ns(sampled(v, c->with_called)).s : "-", CELL_WIDTH);
		text_right(v->out, c->self ? text_percent(c->self, v->s.all.samples).s : "-", SHARE_WIDTH);
		text_right(v->out, c->self ? human_ns(sampled(v, c->self)).s : "-", CELL_WIDTH);
		if (bar && c->with_called) {
			(void)fputs("  ", v->out);
			text_bar(v->out, c->with_called, v->s.all.samples, (u32)bar, v->o->ascii);
		}
		(void)fputc('\n', v->out);
	}
	(void)fputs("  ", v->out);
	text_paragraph(v->out, v->o->width, 4, 2,
		       "with called: its own code, and what it called of std, the system's libraries and the kernel");
	return 0;
}

/* ---- functions ---- */

static void put_function(const struct oncpu_view *v, const struct on_function *x)
{
	u32 used = 2 + 2 * SHARE_WIDTH + CELL_WIDTH + 2, room = v->o->width - used;

	(void)fputs("  ", v->out);
	text_right(v->out, x->self ? text_percent(x->self, v->s.all.samples).s : "-", SHARE_WIDTH);
	text_right(v->out, x->self ? human_ns(sampled(v, x->self)).s : "-", CELL_WIDTH);
	text_right(v->out, text_percent(x->total, v->s.all.samples).s, SHARE_WIDTH);
	(void)fputs("  ", v->out);
	if (!*x->place) {
		(void)fprintf(v->out, "%s%s\n", x->label, x->kind == FRAME_KERNEL && x->has_kind ? "  [kernel]" : "");
		return;
	}
	(void)fputs(x->label, v->out);
	if (text_width(x->label) + 2 + text_width(x->place) > room)
		(void)fprintf(v->out, "\n%*s%s\n", (int)used + 2, "", x->place);
	else
		(void)fprintf(v->out, "  %s\n", x->place);
}

static void put_function_header(const struct oncpu_view *v, const char *title)
{
	span_heading(v->out, v->o, title);
	(void)fprintf(v->out, "\n  ");
	text_right(v->out, "self", SHARE_WIDTH);
	text_right(v->out, "time", CELL_WIDTH);
	text_right(v->out, "total", SHARE_WIDTH);
	(void)fputc('\n', v->out);
}

static int most_total(const void *a, const void *b)
{
	const struct on_function *const *x = a, *const *y = b;

	if ((*x)->total != (*y)->total)
		return (*x)->total > (*y)->total ? -1 : 1;
	return *x < *y ? -1 : *x > *y;
}

/* The program's own functions, with what they called. */
static int put_own(const struct oncpu_view *v)
{
	_cleanup_free_ const struct on_function **order = calloc(v->s.n_functions + 1, sizeof(*order));
	u64 top = top_of(v, CALLERS_SHOWN);
	size_t n = 0;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < v->s.n_functions; i++)
		if (v->s.functions[i].has_kind && (v->s.functions[i].kind == FRAME_USER || v->s.functions[i].kind == FRAME_JIT))
			order[n++] = &v->s.functions[i];
	if (!n)
		return 0;
	qsort(order, n, sizeof(*order), most_total);
	put_function_header(v, "THE PROGRAM'S OWN FUNCTIONS, WITH WHAT THEY CALLED");
	for (size_t i = 0; i < n && i < top; i++)
		put_function(v, order[i]);
	if (n > top)
		(void)fprintf(v->out, "  ... %s more (--top 0 lists all)\n", human_count(n - top).s);
	return 0;
}

static void put_selves(const struct oncpu_view *v)
{
	u64 top = top_of(v, FUNCTIONS_SHOWN);
	size_t n = 0;

	while (n < v->s.n_functions && v->s.functions[n].self)
		n++;
	if (!n)
		return;
	put_function_header(v, "FUNCTIONS BY THEIR OWN TIME");
	for (size_t i = 0; i < n && i < top; i++)
		put_function(v, &v->s.functions[i]);
	if (n > top)
		(void)fprintf(v->out, "  ... %s more (--top 0 lists all)\n", human_count(n - top).s);
}

static void oncpu_view_release(struct oncpu_view *v)
{
	capture_facts_release(&v->f);
	oncpu_stats_release(&v->s);
}

int view_oncpu(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_(oncpu_view_release) struct oncpu_view v = {.o = o, .out = out};
	int r = capture_facts_load(db, o, &v.f);

	if (r == 0)
		r = oncpu_stats_load(db, o, &v.f, &v.s);
	if (r == 0)
		r = view_head(db, o, &v.f, out);
	if (r == 0)
		r = span_filters(out, o);
	if (r < 0)
		return r;
	span_heading(out, o, "ON-CPU");
	(void)fputc('\n', out);
	put_sums(&v);
	r = put_threads(&v);
	if (r == 0)
		r = put_categories(&v);
	if (r == 0)
		r = put_own(&v);
	if (r < 0)
		return r;
	put_selves(&v);
	return view_unnamed(db, o, out);
}

/* ---- JSON ---- */

static void threads_json(const struct oncpu_stats *s, struct json *j)
{
	json_key(j, "threads");
	json_array_begin(j);
	for (size_t i = 0; i < s->threads.n; i++) {
		const struct on_thread *x = &s->rows[i];

		json_object_begin(j);
		span_thread_json(j, x->t);
		json_kv_u64(j, "wall", x->wall);
		json_kv_u64(j, "on_cpu", x->on_cpu);
		json_kv_u64(j, "samples", x->samples);
		json_kv_u64(j, "in_kernel", x->in_kernel);
		json_kv_u64(j, "in_polls", x->in_poll);
		json_object_end(j);
	}
	json_array_end(j);
}

static void functions_json(const struct oncpu_stats *s, const struct report_opts *o, struct json *j)
{
	u64 top = o->top == REPORT_TOP_UNSET || !o->top ? UINT64_MAX : o->top;

	json_key(j, "functions");
	json_array_begin(j);
	for (size_t i = 0; i < s->n_functions && i < top; i++) {
		const struct on_function *x = &s->functions[i];

		json_object_begin(j);
		json_kv_string(j, "function", x->name);
		json_kv_string(j, "place", *x->place ? x->place : NULL);
		json_kv_string(j, "kind", x->has_kind ? frame_kind_name(x->kind) : NULL);
		json_kv_string(j, "category", x->category);
		json_kv_u64(j, "self", x->self);
		json_kv_u64(j, "total", x->total);
		json_object_end(j);
	}
	json_array_end(j);
}

int view_oncpu_json(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_(oncpu_view_release) struct oncpu_view v = {.o = o, .out = out};
	struct json j;
	int r = capture_facts_load(db, o, &v.f);

	if (r == 0)
		r = oncpu_stats_load(db, o, &v.f, &v.s);
	if (r < 0)
		return r;
	r = span_json_begin(db, o, &v.f, out, &j);
	if (r < 0)
		return r;
	json_kv_u64(&j, "sample_period", v.s.period);
	json_kv_u64(&j, "wall", v.s.all.wall);
	json_kv_u64(&j, "on_cpu", v.s.all.on_cpu);
	json_kv_u64(&j, "samples", v.s.all.samples);
	json_kv_u64(&j, "sampled", sampled(&v, v.s.all.samples));
	json_kv_u64(&j, "in_kernel", v.s.all.in_kernel);
	json_kv_u64(&j, "in_polls", v.s.all.in_poll);
	json_kv_u64(&j, "without_stack", v.s.no_stack);
	json_kv_u64(&j, "stacks", v.s.stacks);
	threads_json(&v.s, &j);
	json_key(&j, "categories");
	json_array_begin(&j);
	for (size_t i = 0; i < v.s.n_categories; i++) {
		json_object_begin(&j);
		json_kv_string(&j, "category", v.s.categories[i].name);
		json_kv_u64(&j, "self", v.s.categories[i].self);
		json_kv_u64(&j, "with_called", v.s.categories[i].with_called);
		json_object_end(&j);
	}
	json_array_end(&j);
	functions_json(&v.s, o, &j);
	view_json_end(&j, out);
	return 0;
}
