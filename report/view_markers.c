/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view_markers.c: `ascope report --markers`: what the user's markers saw and what the scheduler saw, side by side (marker_match.h). Lists hold the longest, --top of
 * each kind.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/human.h"
#include "report/marker_match.h"
#include "report/sqlrow.h"
#include "report/view.h"
#include "report/view_head.h"
#include "report/view_stack.h"
#include "report/view_text.h"

enum { NAME_WIDTH = 40, NUMBER_WIDTH = 11 };

struct markers_view {
	sqlite3 *db;
	const struct report_opts *o;
	const struct capture_facts *f;
	const struct marker_match *m;
	FILE *out;
	struct vstack_loader loader;
};

static void heading(const struct markers_view *v, const char *text)
{
	(void)fputc('\n', v->out);
	text_color(v->out, v->o->color, TEXT_BOLD, text);
}

/* ---- pairs ---- */

static void put_cell(FILE *out, const char *text)
{
	text_right(out, text, NUMBER_WIDTH);
}

static int put_pair(const struct markers_view *v, const struct marker_pair_stats *s)
{
	_cleanup_free_ char *text = NULL;
	u64 ended = s->count - s->no_end;
	int r = text_clean(s->text, "?", &text);

	if (r < 0)
		return r;
	(void)fputs("  ", v->out);
	if (text_width(text) > NAME_WIDTH) /* a name is never cut: numbers stand on the next line */
		(void)fprintf(v->out, "%s\n%*s", text, NAME_WIDTH + 2, "");
	else
		text_left(v->out, text, NAME_WIDTH);
	text_right(v->out, human_count(s->count).s, 9);
	put_cell(v->out, ended ? human_ns(s->total).s : "-");
	put_cell(v->out, ended ? human_ns(s->median).s : "-");
	put_cell(v->out, ended ? human_ns(s->p99).s : "-");
	put_cell(v->out, ended ? human_ns(s->max).s : "-");
	text_right(v->out, s->no_end ? human_count(s->no_end).s : "-", 8);
	(void)fputc('\n', v->out);
	return 0;
}

static int put_pairs(const struct markers_view *v)
{
	static const char *const columns[] = {"total", "median", "p99", "max"};
	bool any = false;
	int r = 0;

	heading(v, "MARKERS");
	if (!v->m->n_pairs) {
		(void)fputs("  none: the capture was recorded without --marker START,END\n", v->out);
		return 0;
	}
	(void)fprintf(v->out, "%*s", NAME_WIDTH + 2 - 7, "");
	text_right(v->out, "count", 9);
	for (size_t c = 0; c < ARRAY_SIZE(columns); c++)
		put_cell(v->out, columns[c]);
	text_right(v->out, "no END", 8);
	(void)fputc('\n', v->out);
	for (u32 k = 0; k < v->m->n_pairs && r == 0; k++) {
		r = put_pair(v, &v->m->pairs[k]);
		any |= v->m->pairs[k].count == 0;
	}
	if (any) {
		(void)fputs("  ", v->out);
		text_paragraph(
			v->out, v->o->width, 2, 2,
			"count 0: the functions were never entered while recording; a call that the compiler inlined does not enter them");
	}
	if (v->m->ends_alone)
		(void)fprintf(v->out,
			      "  ENDs without START: %s (intervals that began before the recording, or a path around START)\n",
			      human_count(v->m->ends_alone).s);
	return r;
}

/* ---- lists ---- */

/* "back_off  src/orders.rs:18" of the frame that a stack is known by. */
static int put_place(struct markers_view *v, u64 stack)
{
	_cleanup_vstack_ struct vstack s = {0};
	_cleanup_free_ char *name = NULL, *place = NULL;
	const struct vframe *frame;
	int r = vstack_load(&v->loader, stack, false, &s);

	if (r < 0)
		return r;
	frame = vstack_place(&s);
	if (!frame) {
		(void)fputs("(no stack)\n", v->out);
		return 0;
	}
	r = vframe_label(frame, v->o->full, &name);
	if (r == 0)
		r = text_place(frame->file, frame->line, v->o->full, &place);
	if (r == 0)
		(void)fprintf(v->out, "%s%s%s\n", name, *place ? "  " : "", place);
	return r;
}

static void put_when(const struct markers_view *v, u64 tid, u64 ts)
{
	char text[48];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)tid);
	text_right(v->out, text, 9);
	(void)snprintf(text, sizeof(text), "+%s", text_offset(ts > v->f->ts_start ? ts - v->f->ts_start : 0).s);
	put_cell(v->out, text);
	(void)fputs("  ", v->out);
}

static u64 listed(const struct markers_view *v, u64 n)
{
	u64 top = v->o->top == REPORT_TOP_UNSET ? REPORT_TOP_TEXT : v->o->top ? v->o->top : n;

	return min_u64(top, n);
}

static const char *s_of(u64 n)
{
	return n == 1 ? "" : "s";
}

static void put_rest(const struct markers_view *v, u64 n)
{
	u64 rest = n - listed(v, n);

	if (rest)
		(void)fprintf(v->out, "  and %s shorter one%s (--top 0 lists all)\n", human_count(rest).s, s_of(rest));
}

static int put_both_row(struct markers_view *v, const struct marker_interval *i)
{
	const struct marker_poll *p = &v->m->polls[i->poll];
	u64 a = i->end - i->ts, b = p->end - p->ts;
	char differ[48];

	put_cell(v->out, text_exact(a).s);
	(void)fputc(' ', v->out);
	put_cell(v->out, text_exact(b).s);
	(void)fputc(' ', v->out);
	(void)snprintf(differ, sizeof(differ), "%c%s", b < a ? '-' : '+', text_exact(a > b ? a - b : b - a).s);
	text_right(v->out, i->spans ? "await" : differ, 12);
	(void)fputs("  ", v->out);
	text_left(v->out, p->class_name ? p->class_name : "?", 8);
	put_when(v, i->tid, i->ts);
	return put_place(v, i->stack);
}

static int put_only_row(struct markers_view *v, const struct marker_interval *i)
{
	put_cell(v->out, text_exact(i->end - i->ts).s);
	(void)fputs("  ", v->out);
	text_left(v->out, marker_why_key(i->why), 15);
	put_when(v, i->tid, i->ts);
	return put_place(v, i->stack);
}

typedef int (*put_interval_fn)(struct markers_view *v, const struct marker_interval *i);

static int list_intervals(struct markers_view *v, bool both, put_interval_fn put)
{
	_cleanup_free_ u32 *list = NULL;
	u32 n = 0;
	int r = marker_list_intervals(v->m, both, &list, &n);

	for (u32 k = 0; r == 0 && k < listed(v, n); k++)
		r = put(v, &v->m->intervals[list[k]]);
	put_rest(v, n);
	return r;
}

static int list_polls(struct markers_view *v)
{
	_cleanup_free_ u32 *list = NULL;
	u32 n = 0;
	int r = marker_list_polls(v->m, &list, &n);

	for (u32 k = 0; r == 0 && k < listed(v, n); k++) {
		const struct marker_poll *p = &v->m->polls[list[k]];

		put_cell(v->out, text_exact(p->end - p->ts).s);
		(void)fputs("  ", v->out);
		text_left(v->out, p->class_name ? p->class_name : "?", 8);
		put_when(v, p->tid, p->ts);
		r = put_place(v, p->stack);
	}
	put_rest(v, n);
	return r;
}

/* ---- the three parts ---- */

static void put_sum(const struct markers_view *v, u64 n, const char *what, u64 ns)
{
	if (n)
		(void)fprintf(v->out, "  %s %s%s, %s\n", human_count(n).s, what, s_of(n), human_ns(ns).s);
	else
		(void)fputs("  none\n", v->out);
}

static int put_both(struct markers_view *v)
{
	const struct marker_match *m = v->m;

	heading(v, "SEEN BY BOTH");
	if (!m->n_both) {
		(void)fputs("  none\n", v->out);
		return 0;
	}
	(void)fprintf(v->out, "  %s interval%s, %s poll%s\n", human_count(m->n_both).s, s_of(m->n_both),
		      human_count(m->polls_both).s, s_of(m->polls_both));
	if (m->compared)
		(void)fprintf(v->out, "  their lengths differ by %s in the median, %s at p99, %s at most (%s pair%s)\n",
			      human_ns(m->differ_median).s, human_ns(m->differ_p99).s, human_ns(m->differ_max).s,
			      human_count(m->compared).s, s_of(m->compared));
	(void)fputs("     marker        poll      differs  class        thread         at  START was called in\n", v->out);
	return list_intervals(v, true, put_both_row);
}

static int put_marker_only(struct markers_view *v)
{
	const struct marker_match *m = v->m;

	heading(v, "BY THE MARKER ONLY");
	put_sum(v, m->n_only, "interval", m->only_ns);
	if (!m->n_only)
		return 0;
	for (u32 w = 0; w < WHY_COUNT; w++) {
		if (!m->why_n[w])
			continue;
		text_right(v->out, human_count(m->why_n[w]).s, 9);
		put_cell(v->out, human_ns(m->why_ns[w]).s);
		(void)fputs("  ", v->out);
		text_left(v->out, marker_why_key(w), 15);
		(void)fprintf(v->out, "%s\n", marker_why_text(w));
	}
	(void)fputs("     marker  mostly            thread         at  START was called in\n", v->out);
	return list_intervals(v, false, put_only_row);
}

static int put_scheduler_only(struct markers_view *v)
{
	const struct marker_match *m = v->m;
	int r = 0;

	heading(v, "BY THE SCHEDULER ONLY");
	put_sum(v, m->polls_only, "poll", m->polls_only_ns);
	if (m->polls_only) {
		(void)fputs("       poll  class        thread         at  place\n", v->out);
		r = list_polls(v);
	}
	if (r == 0 && m->polls_part)
		(void)fprintf(v->out, "\n%s more poll%s, %s, with a marker for a part only\n", human_count(m->polls_part).s,
			      s_of(m->polls_part), human_ns(m->polls_part_ns).s);
	return r;
}

static int put_all(struct markers_view *v)
{
	const struct marker_match *m = v->m;
	int r = put_pairs(v);

	if (r < 0 || !m->n_pairs)
		return r;
	(void)fprintf(v->out, "\n%s interval%s and %s blocked poll%s lasted %s or longer\n", human_count(m->n_long).s,
		      s_of(m->n_long), human_count(m->n_polls).s, s_of(m->n_polls), text_threshold(m->min_ns).s);
	r = put_both(v);
	if (r == 0)
		r = put_marker_only(v);
	if (r == 0)
		r = put_scheduler_only(v);
	return r < 0 ? r : view_unnamed(v->db, v->o, v->out);
}

int view_markers(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_facts_ struct capture_facts f = {0};
	_cleanup_marker_match_ struct marker_match m = {0};
	struct markers_view v = {.db = db, .o = o, .f = &f, .m = &m, .out = out};
	int r;

	r = capture_facts_load(db, o, &f);
	if (r == 0)
		r = marker_match_load(db, o, &f, &m);
	if (r == 0)
		r = view_head(db, o, &f, out);
	if (r == 0)
		r = vstack_loader_init(&v.loader, db);
	if (r == 0)
		r = put_all(&v);
	vstack_loader_release(&v.loader);
	return r;
}
