/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view_offcpu.c: `ascope report --offcpu`: where the time off the CPU went, of all threads or those that were asked for: by state, system
 * call, thread, waker, length and stack. Its first line adds up: on a CPU, runnable, off it and not known are the threads' time.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/human.h"
#include "base/strtab.h"
#include "report/offcpu_stats.h"
#include "report/sqlrow.h"
#include "report/view.h"
#include "report/view_offcpu.h"
#include "report/view_spans.h"
#include "report/view_stack.h"

#define KINDS_SHOWN   12 /* without --top or --full */
#define THREADS_SHOWN 12
#define WAKERS_SHOWN  8
#define STACKS_SHOWN  5
#define STACKS_READ   2000 /* distinct stacks with most time that are spelled out, to find those that read alike */
#define TIME_WIDTH    11
#define WAKER_ROW     80 /* columns of a row of wakers */

struct offcpu_view {
	sqlite3 *db;
	const struct report_opts *o;
	struct capture_facts f;
	struct offcpu_stats s;
	FILE *out;
};

static u64 top_of(const struct offcpu_view *v, u64 unset)
{
	if (v->o->top == REPORT_TOP_UNSET)
		return v->o->full ? UINT64_MAX : unset;
	return v->o->top ? v->o->top : UINT64_MAX;
}

static bool is_narrow(const struct offcpu_view *v)
{
	return v->o->width < 100;
}

static void put_more(const struct offcpu_view *v, u64 n, u64 top)
{
	if (n > top)
		(void)fprintf(v->out, "  ... %s more (--top 0 lists all)\n", human_count(n - top).s);
}

static void put_columns(const struct offcpu_view *v, const char *const *names, size_t n, u32 width)
{
	for (size_t i = 0; i < n; i++)
		text_right(v->out, names[i], width);
	(void)fputc('\n', v->out);
}

/* ---- what adds up ---- */

static void put_sum(const struct offcpu_view *v)
{
	const struct off_thread *x = &v->s.all;
	u64 parts = x->on_cpu + x->runnable + x->waiting + x->idle + x->unknown;
	char text[400];

	(void)snprintf(text, sizeof(text), "%s thread%s, %s of time = on-CPU %s + runnable %s + off-CPU %s + not known %s%s",
		       human_count(v->s.threads.n).s, v->s.threads.n == 1 ? "" : "s", human_ns(x->wall).s, human_ns(x->on_cpu).s,
		       human_ns(x->runnable).s, human_ns(x->waiting + x->idle).s, human_ns(x->unknown).s,
		       parts == x->wall ? "" : " (WHICH DOES NOT ADD UP: please report it)");
	span_line(v->out, v->o, "threads", text);
	(void)snprintf(text, sizeof(text),
		       "%s = waiting %s + idle %s (workers that are parked, threads of the blocking pool without a job)",
		       human_ns(x->waiting + x->idle).s, human_ns(x->waiting).s, human_ns(x->idle).s);
	span_line(v->out, v->o, "off-CPU", text);
	if (v->s.is_filtered && v->s.left_out.n) {
		(void)snprintf(text, sizeof(text), "%s times off the CPU, %s, are left out by what was asked for",
			       human_count(v->s.left_out.n).s, human_ns(v->s.left_out.ns).s);
		span_line(v->out, v->o, "left out", text);
	}
	if (v->s.throttled) {
		(void)snprintf(text, sizeof(text), "%s of the runnable time lies where the cpu quota of a cgroup was used up",
			       human_ns(v->s.throttled).s);
		span_line(v->out, v->o, "throttled", text);
	}
}

/* ---- states ---- */

static void put_state_row(const struct offcpu_view *v, const char *name, const struct off_sum *sum)
{
	char open[48] = "";

	(void)fputs("  ", v->out);
	text_left(v->out, name, 20);
	text_right(v->out, human_count(sum->n).s, 10);
	text_right(v->out, human_ns(sum->ns).s, TIME_WIDTH);
	text_right(v->out, text_percent(sum->ns, v->s.all.wall).s, 9);
	text_right(v->out, human_ns(sum->n ? sum->ns / sum->n : 0).s, TIME_WIDTH);
	(void)snprintf(open, sizeof(open), "%s%s", sum->is_max_open ? ">= " : "", human_ns(sum->max).s);
	text_right(v->out, open, TIME_WIDTH + 3);
	if (!is_narrow(v)) {
		(void)fputs("  ", v->out);
		text_bar(v->out, sum->ns, v->s.all.wall, (u32)min_u64(40, v->o->width - 80), v->o->ascii);
	}
	(void)fputc('\n', v->out);
}

static int by_time(const void *a, const void *b, void *ctx)
{
	const struct off_sum *sums = ctx;
	const u32 *x = a, *y = b;

	if (sums[*x].ns != sums[*y].ns)
		return sums[*x].ns < sums[*y].ns ? 1 : -1;
	return *x < *y ? -1 : *x > *y;
}

/* Of states from..to those that there are, most time first. */
static void put_state_group(const struct offcpu_view *v, u32 from, u32 to, const char *prefix)
{
	u32 order[WAIT_STATES], n = 0;

	for (u32 i = from; i <= to; i++)
		if (v->s.states[i].n)
			order[n++] = i;
	qsort_r(order, n, sizeof(*order), by_time, (void *)v->s.states);
	for (u32 i = 0; i < n; i++) {
		char name[48];

		(void)snprintf(name, sizeof(name), "%s%s", prefix, wait_state_name((enum wait_state)order[i]));
		put_state_row(v, name, &v->s.states[order[i]]);
	}
}

static void put_states(const struct offcpu_view *v)
{
	static const char *const columns[] = {"time", "share", "mean", "longest"};
	bool any = false;

	for (u32 i = 0; i < WAIT_STATES; i++)
		any |= v->s.states[i].n != 0;
	span_heading(v->out, v->o, "BY STATE");
	if (!any) {
		(void)fputs("\n  nothing of it was off the CPU\n", v->out);
		return;
	}
	(void)fprintf(v->out, "%*s", 14, "");
	text_right(v->out, "times", 10);
	text_right(v->out, columns[0], TIME_WIDTH);
	text_right(v->out, columns[1], 9);
	text_right(v->out, columns[2], TIME_WIDTH);
	text_right(v->out, columns[3], TIME_WIDTH + 3);
	(void)fputc('\n', v->out);
	put_state_group(v, 0, WAIT_UNKNOWN, "");
	put_state_group(v, WAIT_READY_WOKEN, WAIT_READY_PREEMPTED, "runnable: ");
	put_state_group(v, WAIT_IDLE_PARKED, WAIT_IDLE_POOL, "idle: ");
	(void)fputs("  ", v->out);
	text_paragraph(
		v->out, v->o->width, 2, 2,
		"share: of the threads' time; longest: whole, though only a part of it may lie in the time that was asked for");
}

/* ---- system calls ---- */

/* "lock: mutex" */
static int kind_text(const struct off_kind *k, char *buf, size_t n)
{
	_cleanup_free_ char *detail = NULL;
	const char *name = wait_state_name(k->state);
	int r = text_clean(k->kind->detail, "", &detail);

	if (r < 0)
		return r;
	(void)snprintf(buf, n, "%s%s%.40s", name, *detail && strcmp(detail, name) ? ": " : "",
		       strcmp(detail, name) ? detail : "");
	return 0;
}

static int put_kinds(const struct offcpu_view *v)
{
	static const char *const columns[] = {"times", "time", "mean", "longest"};
	u64 top = top_of(v, KINDS_SHOWN);

	if (!v->s.n_kinds)
		return 0;
	span_heading(v->out, v->o, "BY SYSTEM CALL");
	(void)fprintf(v->out, "%*s", 9, "");
	text_left(v->out, "call", 17);
	put_columns(v, columns, ARRAY_SIZE(columns), TIME_WIDTH - 1);
	for (size_t i = 0; i < v->s.n_kinds && i < top; i++) {
		const struct off_kind *k = &v->s.kinds[i];
		_cleanup_free_ char *call = NULL;
		char what[96];
		int r = kind_text(k, what, sizeof(what));

		if (r == 0)
			r = text_clean(k->kind->syscall, "-", &call);
		if (r < 0)
			return r;
		(void)fputs("  ", v->out);
		text_left(v->out, what, 20);
		(void)fputc(' ', v->out);
		text_left(v->out, call, 17);
		text_right(v->out, human_count(k->sum.n).s, TIME_WIDTH - 1);
		text_right(v->out, human_ns(k->sum.ns).s, TIME_WIDTH - 1);
		text_right(v->out, human_ns(k->sum.n ? k->sum.ns / k->sum.n : 0).s, TIME_WIDTH - 1);
		text_right(v->out, human_ns(k->sum.max).s, TIME_WIDTH - 1);
		(void)fputc('\n', v->out);
	}
	put_more(v, v->s.n_kinds, top);
	return 0;
}

/* ---- lengths ---- */

static void put_hist(const struct offcpu_view *v, const struct off_hist *h, const char *title)
{
	u32 first = OFFCPU_BUCKETS, last = 0;
	u64 most = 0;

	for (u32 b = 0; b < OFFCPU_BUCKETS; b++) {
		if (!h->n[b])
			continue;
		first = (u32)min_u64(first, b);
		last = b;
		most = max_u64(most, h->n[b]);
	}
	if (!most)
		return;
	span_heading(v->out, v->o, title);
	(void)fprintf(v->out, "%*s", (int)(24 - min_u64(24, strlen(title))), "");
	text_right(v->out, "times", 10);
	text_right(v->out, "time", TIME_WIDTH);
	(void)fputc('\n', v->out);
	for (u32 b = first; b <= last; b++) {
		char range[96];
		u64 from, to;

		off_hist_range(b, &from, &to);
		if (to == UINT64_MAX)
			(void)snprintf(range, sizeof(range), "from %s", text_threshold(from).s);
		else
			(void)snprintf(range, sizeof(range), "%s to %s", text_threshold(from).s, text_threshold(to).s);
		(void)fputs("  ", v->out);
		text_left(v->out, from ? range : "below 1 us", 22);
		text_right(v->out, human_count(h->n[b]).s, 10);
		text_right(v->out, h->n[b] ? human_ns(h->ns[b]).s : "-", TIME_WIDTH);
		if (h->n[b])
			(void)fputs("  ", v->out);
		text_bar(v->out, h->n[b], most, (u32)min_u64(60, v->o->width - 49), v->o->ascii);
		(void)fputc('\n', v->out);
	}
}

/* ---- threads ---- */

static int put_thread(const struct offcpu_view *v, const struct off_thread *x)
{
	const u64 cells[] = {x->on_cpu, x->runnable, x->waiting, x->idle, x->unknown};
	u32 most = 0;
	char name[96], tid[24];
	int r = span_thread_label(&v->f, x->t, name, sizeof(name));

	if (r < 0)
		return r;
	(void)snprintf(tid, sizeof(tid), "%llu", (unsigned long long)x->t->tid);
	(void)fputs("  ", v->out);
	text_left_elided(v->out, name, is_narrow(v) ? 12 : 28);
	text_right(v->out, tid, 9);
	for (size_t i = 0; i < ARRAY_SIZE(cells); i++)
		text_right(v->out, cells[i] ? human_ns(cells[i]).s : "-", TIME_WIDTH - 1);
	for (u32 i = 0; i <= WAIT_UNKNOWN; i++)
		if (x->by_state[i] > x->by_state[most])
			most = i;
	if (!is_narrow(v) && x->by_state[most])
		(void)fprintf(v->out, "   %s %s", wait_state_name((enum wait_state)most), human_ns(x->by_state[most]).s);
	(void)fputc('\n', v->out);
	return 0;
}

static int most_first(const void *a, const void *b)
{
	const struct off_thread *const *x = a, *const *y = b;
	u64 p = (*x)->shown.ns, q = (*y)->shown.ns;

	if (p != q)
		return p > q ? -1 : 1;
	return *x < *y ? -1 : *x > *y;
}

static int put_threads(const struct offcpu_view *v)
{
	static const char *const columns[] = {"on-CPU", "runnable", "waiting", "idle", "unknown"};
	_cleanup_free_ const struct off_thread **order = calloc(v->s.threads.n + 1, sizeof(*order));
	u64 top = top_of(v, THREADS_SHOWN);
	int r = 0;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < v->s.threads.n; i++)
		order[i] = &v->s.rows[i];
	qsort(order, v->s.threads.n, sizeof(*order), most_first);
	span_heading(v->out, v->o, "BY THREAD");
	(void)fprintf(v->out, "%*s", (is_narrow(v) ? 14 : 30) - 9, "");
	text_right(v->out, "tid", 9);
	put_columns(v, columns, ARRAY_SIZE(columns), TIME_WIDTH - 1);
	for (size_t i = 0; i < v->s.threads.n && i < top && r == 0; i++)
		r = put_thread(v, order[i]);
	put_more(v, v->s.threads.n, top);
	return r;
}

/* ---- wakers ---- */

int offcpu_waker_name(sqlite3 *db, const struct off_waker *w, char *buf, size_t n)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	_cleanup_free_ char *name = NULL;
	int r;

	if (w->is_other || !w->is_known || !w->tid) {
		(void)snprintf(buf, n, "%s", w->is_other ? "other processes" : w->is_known ? "an interrupt" : "not seen");
		return 0;
	}
	r = sql_prepare(db, &st, "SELECT name FROM thread WHERE tid = ?1 ORDER BY ts_start DESC, id DESC LIMIT 1", &w->tid, 1);
	if (r == 0)
		r = db_step(st);
	if (r < 0)
		return r;
	r = text_clean(sql_text(st, 0), "?", &name);
	if (r == 0)
		(void)snprintf(buf, n, "%.40s (tid %llu)", name, (unsigned long long)w->tid);
	return r;
}

/* Behind the row, or, where there is no room, below it. */
static int put_waker_function(const struct offcpu_view *v, const struct off_waker *w)
{
	u32 room = v->o->width - (is_narrow(v) ? 11 : WAKER_ROW + 3);
	_cleanup_free_ char *name = NULL;
	int r = w->function ? text_clean(w->function, "?", &name) : 0;

	if (r < 0)
		return r;
	if (name) {
		(void)fputs(is_narrow(v) ? "\n      from " : "   ", v->out);
		text_left_elided(v->out, name, (u32)min_u64(strlen(name), max_u64(room, 20)));
	}
	(void)fputc('\n', v->out);
	return 0;
}

static int put_wakers(const struct offcpu_view *v)
{
	static const char *const columns[] = {"times", "of tasks", "time", "longest"};
	u64 top = top_of(v, WAKERS_SHOWN);
	bool any = false;

	for (size_t i = 0; i < v->s.n_wakers; i++)
		any |= v->s.wakers[i].is_known;
	if (!any)
		return 0;
	span_heading(v->out, v->o, "ENDED BY");
	(void)fprintf(v->out, "%*s", 20, "");
	text_left(v->out, "wait", 12);
	put_columns(v, columns, ARRAY_SIZE(columns), TIME_WIDTH - 1);
	for (size_t i = 0; i < v->s.n_wakers && i < top; i++) {
		const struct off_waker *w = &v->s.wakers[i];
		char name[OFFCPU_WAKER_NAME];
		int r = offcpu_waker_name(v->db, w, name, sizeof(name));

		if (r < 0)
			return r;
		(void)fputs("  ", v->out);
		text_left_elided(v->out, name, 25);
		(void)fputc(' ', v->out);
		text_left(v->out, wait_state_name(w->state), 12);
		text_right(v->out, human_count(w->sum.n).s, TIME_WIDTH - 1);
		text_right(v->out, w->of_tasks ? human_count(w->of_tasks).s : "-", TIME_WIDTH - 1);
		text_right(v->out, human_ns(w->sum.ns).s, TIME_WIDTH - 1);
		text_right(v->out, human_ns(w->sum.max).s, TIME_WIDTH - 1);
		r = put_waker_function(v, w);
		if (r < 0)
			return r;
	}
	put_more(v, v->s.n_wakers, top);
	return 0;
}

/* ---- stacks ---- */

/* Stacks that read alike: they differ in frames that are not shown. */
struct shown_stack {
	u32 kind;
	char *text; /* as it is printed below the title */
	struct off_sum sum;
	u64 tid; /* of all of them; 0: they are of several threads */
};

struct shown_stacks {
	struct shown_stack *rows;
	size_t n;
	struct strtab *texts; /* kind and text: index - 1 is the position */
};

static void shown_release(struct shown_stacks *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->rows[i].text);
	free(s->rows);
	s->texts = strtab_free(s->texts);
}

static int print_stack(const struct offcpu_view *v, struct vstack_loader *l, const struct off_stack *x, FILE *out)
{
	struct vstack_style style = {.full = v->o->full, .width = v->o->width, .indent = 4};
	_cleanup_vstack_ struct vstack user = {0}, kernel = {0};
	int r = vstack_load(l, x->stack_id, false, &user);

	if (r == 0)
		r = vstack_load(l, x->kstack_id, true, &kernel);
	if (r < 0)
		return r;
	if (!user.n && !kernel.n)
		(void)fputs("    (no stack was taken)\n", out);
	if (user.n || user.cut)
		r = vstack_print(&user, &style, out);
	return r < 0 ? r : vstack_print_kernel(&kernel, &style, out);
}

static int stack_as_text(const struct offcpu_view *v, struct vstack_loader *l, const struct off_stack *x, char **ret)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	int r, closed;

	if (!out)
		return -ENOMEM;
	r = print_stack(v, l, x, out);
	closed = memstream_close(out, &text);
	r = r < 0 ? r : closed;
	if (r < 0)
		free(text);
	else
		*ret = text;
	return r;
}

static void add_shown(struct shown_stack *to, const struct off_stack *x)
{
	u64 tid = x->threads == 1 ? x->tid : 0;

	to->tid = !to->sum.n || to->tid == tid ? tid : 0;
	to->sum.n += x->sum.n;
	to->sum.ns += x->sum.ns;
	to->sum.max = max_u64(to->sum.max, x->sum.max);
}

static int show_stack(const struct offcpu_view *v, struct vstack_loader *l, const struct off_stack *x, struct shown_stacks *s)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_buf_ struct buf key = BUF_INIT;
	bool is_new;
	u32 idx;
	int r = stack_as_text(v, l, x, &text);

	if (r < 0)
		return r;
	buf_printf(&key, "%u\n", x->kind);
	buf_puts(&key, text);
	r = buf_err(&key);
	if (r == 0)
		r = strtab_intern(s->texts, (const char *)key.data, key.len, &idx, &is_new);
	if (r < 0)
		return r;
	if (is_new)
		s->rows[s->n++] = (struct shown_stack){.kind = x->kind, .text = TAKE_PTR(text)};
	add_shown(&s->rows[idx - 1], x);
	return 0;
}

static int compare_shown(const void *a, const void *b)
{
	const struct shown_stack *x = a, *y = b;

	if (x->sum.ns != y->sum.ns)
		return x->sum.ns > y->sum.ns ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return strcmp(x->text, y->text);
}

static int load_shown(const struct offcpu_view *v, struct shown_stacks *s)
{
	_cleanup_vstack_loader_ struct vstack_loader l = {0};
	size_t n = min_u64(v->s.n_stacks, STACKS_READ);
	int r = vstack_loader_init(&l, v->db);

	s->rows = calloc(n + 1, sizeof(*s->rows));
	s->texts = strtab_new();
	if (!s->rows || !s->texts)
		return -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++)
		r = show_stack(v, &l, &v->s.stacks[i], s);
	if (r == 0)
		qsort(s->rows, s->n, sizeof(*s->rows), compare_shown);
	return r;
}

static int put_stack(const struct offcpu_view *v, const struct shown_stack *x, u64 number)
{
	const struct off_kind *k = &v->s.kinds[x->kind];
	_cleanup_free_ char *call = NULL;
	char what[96], times[96], title[300];
	int r = kind_text(k, what, sizeof(what));

	if (r == 0)
		r = text_clean(k->kind->syscall, "", &call);
	if (r < 0)
		return r;
	(void)snprintf(times, sizeof(times), "%s times, longest %s", human_count(x->sum.n).s, text_exact(x->sum.max).s);
	(void)snprintf(title, sizeof(title), "#%llu  %s  %s%s%.40s%s   %s   ", (unsigned long long)number,
		       text_exact(x->sum.ns).s, what, *call ? " (" : "", call, *call ? ")" : "", x->sum.n == 1 ? "once" : times);
	(void)fputc('\n', v->out);
	text_color(v->out, v->o->color, TEXT_BOLD, title);
	if (x->tid)
		(void)fprintf(v->out, "tid %llu\n", (unsigned long long)x->tid);
	else
		(void)fputs("several threads\n", v->out);
	(void)fputs(x->text, v->out);
	return 0;
}

static int put_stacks(const struct offcpu_view *v)
{
	_cleanup_(shown_release) struct shown_stacks s = {0};
	u64 top = top_of(v, STACKS_SHOWN);
	int r;

	if (!v->s.n_stacks)
		return 0;
	r = load_shown(v, &s);
	if (r < 0)
		return r;
	span_heading(v->out, v->o, "STACKS");
	(void)fprintf(v->out, "  %s of %s%s, most time first\n", human_count(min_u64(top, s.n)).s, human_count(s.n).s,
		      v->s.n_stacks > STACKS_READ ? " (and rarer ones)" : "");
	for (size_t i = 0; i < s.n && i < top && r == 0; i++)
		r = put_stack(v, &s.rows[i], i + 1);
	return r;
}

static void offcpu_view_release(struct offcpu_view *v)
{
	capture_facts_release(&v->f);
	offcpu_stats_release(&v->s);
}

int view_offcpu(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_(offcpu_view_release) struct offcpu_view v = {.db = db, .o = o, .out = out};
	int r = capture_facts_load(db, o, &v.f);

	if (r == 0)
		r = offcpu_stats_load(db, o, &v.f, &v.s);
	if (r == 0)
		r = view_head(db, o, &v.f, out);
	if (r == 0)
		r = span_filters(out, o);
	if (r < 0)
		return r;
	span_heading(out, o, "TIME");
	(void)fputc('\n', out);
	put_sum(&v);
	put_states(&v);
	r = put_kinds(&v);
	if (r == 0)
		r = put_threads(&v);
	if (r < 0)
		return r;
	put_hist(&v, &v.s.waits, "WAITS BY LENGTH");
	put_hist(&v, &v.s.ready, "RUNNABLE BY LENGTH");
	r = put_wakers(&v);
	if (r == 0)
		r = put_stacks(&v);
	return r < 0 ? r : view_unnamed(db, o, out);
}
