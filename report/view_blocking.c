/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view_blocking.c: `ascope report --blocking`: which poll held which worker, for how long, at which line, why, and who waited
 * behind it.
 *
 * Polls that hold a runtime come first and are the only ones counted as worker time; root futures and local sets have a section
 * of their own. Whatever was not proven (possible, unclassified), or was the fault of busy CPUs, is counted on a line and is
 * never a row.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/human.h"
#include "report/sqlrow.h"
#include "report/view.h"
#include "report/view_block.h"
#include "report/view_blocks.h"
#include "report/view_head.h"
#include "report/view_places.h"
#include "report/view_stack.h"
#include "report/view_text.h"

struct blocking_view {
	sqlite3 *db;
	const struct report_opts *o;
	const struct capture_facts *f;
	FILE *out;
	struct vstack_loader loader;
	struct block_text text;
	u64 number; /* of the last block spelled out */
};

static void put_state(const struct blocking_view *v, const struct block *k)
{
	const char *state = k->state ? k->state : "";
	bool both = !strcmp(state, "open-both"), is_cpu = k->class_name && !strcmp(k->class_name, "cpu");

	if (both || !strcmp(state, "open-start"))
		(void)fprintf(v->out, "%*s%s already when the recording began%s: it took longer than this\n", BLOCK_INDENT, "",
			      is_cpu ? "ran" : "was blocked", both ? ", and still when it ended" : "");
	else if (!strcmp(state, "open-end"))
		(void)fprintf(v->out, "%*sstill %s when the recording ended: it took longer than this\n", BLOCK_INDENT, "",
			      is_cpu ? "ran" : "blocked");
}

/* What kept the thread from running besides what it did itself. */
static void put_interruptions(const struct blocking_view *v, const struct block *k)
{
	char text[160];

	if (k->stopped) {
		(void)snprintf(text, sizeof(text), "its thread was stopped or frozen for %s more meanwhile, which does not count",
			       human_ns(k->stopped).s);
		block_put_line(&v->text, "stopped", text);
	}
	if (k->throttled)
		block_put_line(&v->text, "cpu", "maybe throttled: its cgroup ran out of cpu quota about then");
}

/* One block that stands for its place: how many it stands for. */
static void put_others(const struct blocking_view *v, const struct block *k)
{
	if (v->o->top == REPORT_TOP_UNSET && k->place_count > 1)
		(void)fprintf(v->out, "%*sthe longest of %s at this place, %s in all\n", BLOCK_INDENT, "",
			      human_count(k->place_count).s, human_ns(k->place_total).s);
}

static void add_part(struct buf *b, u64 ns, u64 whole, const char *name)
{
	/* Below one percent it does not matter. */
	if (ns && ns >= whole / 100)
		buf_printf(b, "%s%s %s", b->len ? ", " : "", name, human_ns(ns).s);
}

static int put_parts(const struct blocking_view *v, const struct block *k)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *text = NULL;
	u64 largest = max_u64(k->off_cpu, max_u64(k->on_cpu, k->runnable));

	if (k->dur && largest >= k->dur - k->dur / 100 && k->waits < 2)
		return 0;
	add_part(&b, k->off_cpu, k->dur, "waiting");
	if (k->waits > 1)
		buf_printf(&b, " in %s waits", human_count(k->waits).s);
	add_part(&b, k->on_cpu, k->dur, "on-CPU");
	add_part(&b, k->runnable, k->dur, "runnable, but not running");
	text = buf_take_str(&b);
	if (!text)
		return -ENOMEM;
	if (*text)
		block_put_line(&v->text, "parts", text);
	return 0;
}

/* A poll seen by samples is at least dur_min and at most dur_max long. */
static void put_bounds(const struct blocking_view *v, const struct block *k)
{
	char text[160];

	if (k->dur_max <= k->dur_min || k->dur_max - k->dur_min < k->dur_min / 100)
		return;
	(void)snprintf(text, sizeof(text), "between %s and %s, seen by %s sample%s", text_exact(k->dur_min).s,
		       text_exact(k->dur_max).s, human_count(k->samples).s, k->samples == 1 ? "" : "s");
	block_put_line(&v->text, "length", text);
}

static int put_try(const struct blocking_view *v, const struct block *k)
{
	_cleanup_free_ char *text = NULL;
	int r = k->advice ? text_clean(k->advice, "", &text) : 0;

	if (r == 0 && text)
		block_put_line(&v->text, "try", text);
	return r;
}

static int put_block(struct blocking_view *v, const struct block *k)
{
	struct vstack_style frames = {v->o->full, v->o->width, BLOCK_INDENT + 2},
			    kernel_style = {v->o->full, v->o->width, BLOCK_INDENT};
	_cleanup_vstack_ struct vstack user = {0}, kernel = {0};
	int r;

	r = vstack_load(&v->loader, k->stack_id, false, &user);
	if (r == 0)
		r = vstack_load(&v->loader, k->kstack_id, true, &kernel);
	if (r == 0)
		r = block_put_title(&v->text, k, ++v->number);
	if (r < 0)
		return r;
	put_others(v, k);
	put_state(v, k);
	r = block_put_task(&v->text, k);
	if (r == 0)
		r = vstack_print(&user, &frames, v->out);
	if (!user.n && !user.cut)
		(void)fprintf(v->out, "%*s(no user stack)\n", BLOCK_INDENT + 2, "");
	if (r == 0)
		r = vstack_print_kernel(&kernel, &kernel_style, v->out);
	if (r < 0)
		return r;
	put_bounds(v, k);
	r = put_parts(v, k);
	put_interruptions(v, k);
	if (r == 0)
		r = block_put_paid_by(&v->text, k);
	return r < 0 ? r : put_try(v, k);
}

/* What of the group is not spelled out, and how to see it. */
static void put_more(const struct blocking_view *v, const struct blocks *b, u64 count)
{
	char text[192], at[64] = "";

	if (count <= b->n)
		return;
	if (v->o->top != REPORT_TOP_UNSET) {
		(void)snprintf(text, sizeof(text), "... %s more (--top 0 lists all)", human_count(count - b->n).s);
	} else {
		if (b->places > b->n)
			(void)snprintf(at, sizeof(at), " and %s more", human_count(b->places - b->n).s);
		(void)snprintf(text, sizeof(text), "... %s more at %s place%s%s (--top N: the N longest, --top 0: all)",
			       human_count(count - b->n).s, b->n == 1 ? "this" : "these", b->n == 1 ? "" : "s", at);
	}
	(void)fputc('\n', v->out);
	text_paragraph(v->out, v->o->width, 4, 0, text);
}

/*
 * Without --top one block stands for each place: many blocks of one place are one mistake, and the next mistake must not be pages
 * away.
 */
static int put_group(struct blocking_view *v, enum block_group group, u64 count)
{
	bool by_place = v->o->top == REPORT_TOP_UNSET;
	u64 top = by_place ? REPORT_TOP_TEXT : v->o->top;
	_cleanup_blocks_ struct blocks b = {0};
	int r;

	r = view_places(v->db, v->o, v->f, group, top ? max_u64(top, REPORT_TOP_TEXT) : 0, v->out);
	if (r == 0)
		r = blocks_load(v->db, v->o, v->f, group, by_place ? BLOCKS_BY_PLACE : BLOCKS_LONGEST, top, &b);
	if (r < 0)
		return r;
	for (size_t i = 0; i < b.n; i++) {
		r = put_block(v, &b.rows[i]);
		if (r < 0)
			return r;
	}
	put_more(v, &b, count);
	return 0;
}

/* What was looked at and not found: a report without rows must not read as "all is well" without saying what it saw. */
static int put_nothing(struct blocking_view *v)
{
	struct report_opts all = *v->o;
	_cleanup_free_ char *workers = NULL, *name = NULL, *place = NULL;
	_cleanup_blocks_ struct blocks longest = {0};
	_cleanup_places_ struct places where = {0};
	char text[512];
	int r;

	r = facts_workers_text(v->f, &workers);
	if (r < 0)
		return r;
	(void)snprintf(text, sizeof(text), "no poll %s for >= %s in %s%s%s; looked at %s switches and %s samples",
		       v->f->runtimes ? "blocked" : "was seen", text_threshold(v->o->min_ns).s, human_ns(facts_window(v->f)).s,
		       v->f->runtimes ? " on " : ": ", v->f->runtimes ? workers : "no Tokio runtime was found (see below)",
		       human_count(v->f->switches).s, human_count(v->f->samples).s);
	text_paragraph(v->out, v->o->width, 4, 0, text);
	if (strcmp(v->f->verdict, "complete") != 0)
		(void)fputs("  the recording is not complete (see above): a block may be among the missing\n", v->out);
	if (v->f->tick_unproven) {
		(void)snprintf(
			text, sizeof(text),
			"  only waits were judged on %s of %s runtime%s: polls that hold the CPU cannot be told apart there "
			"(tick not proven)",
			human_count(v->f->tick_unproven).s, human_count(v->f->runtimes).s, v->f->runtimes == 1 ? "" : "s");
		text_paragraph(v->out, v->o->width, 4, 0, text);
	}
	all.min_ns = 0;
	r = blocks_load(v->db, &all, v->f, BLOCKS_RUNTIME, BLOCKS_LONGEST, 1, &longest);
	if (r < 0 || !longest.n)
		return r;
	all.min_ns = longest.rows[0].dur_min;
	r = places_load(v->db, &all, v->f, BLOCKS_RUNTIME, 1, &where);
	if (r < 0 || !where.n)
		return r;
	r = place_label(&where.rows[0], v->o->full, &name);
	if (r == 0)
		r = text_place(where.rows[0].file, where.rows[0].line, v->o->full, &place);
	if (r < 0)
		return r;
	(void)fprintf(v->out, "  the longest took %s (%s): %s%s%s\n", text_exact(longest.rows[0].dur).s,
		      longest.rows[0].class_name, name, *place ? "  " : "", place);
	return 0;
}

static void put_totals(struct blocking_view *v, const struct block_totals *t)
{
	u64 total = facts_workers(v->f) * facts_window(v->f);
	char words[3][128];
	struct text_wrap w;

	(void)snprintf(words[0], sizeof(words[0]), "%s blocked poll%s >= %s", human_count(t->count).s, t->count == 1 ? "" : "s",
		       text_threshold(v->o->min_ns).s);
	(void)snprintf(words[1], sizeof(words[1]), "worker time lost %s of %s (%s)", human_ns(t->inside).s, human_ns(total).s,
		       text_percent(t->inside, total).s);
	(void)snprintf(words[2], sizeof(words[2]), "worst %s", human_ns(t->worst).s);
	text_wrap_begin(&w, v->out, v->o->width, 2, 0, "   ");
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		text_wrap_word(&w, words[i]);
	(void)fputc('\n', v->out);
}

#define CONTENDED "classified = 1 AND dur_max >= ?1 AND dur_min >= ?1 AND off_cpu + on_cpu < ?1 AND ts <= ?3 AND ts + dur >= ?2"

/* Polls that may have been long enough, and records that cannot be told apart into polls. */
static int put_unproven(struct blocking_view *v)
{
	u64 binds[3] = {v->o->min_ns, v->f->lo, v->f->hi}, possible, unclassified, contended, throttled;
	char text[256];
	int r;

	r = sql_one_u64(v->db,
			"SELECT count(*) FROM blocking WHERE dur_min < ?1 AND dur_max >= ?1 AND ts <= ?3 AND ts + dur >= ?2",
			binds, 3, &possible);
	if (r == 0)
		r = sql_one_u64(
			v->db, "SELECT count(*) FROM poll WHERE classified = 0 AND dur_max >= ?1 AND ts <= ?3 AND ts + dur >= ?2",
			binds, 3, &unclassified);
	/* Long, but not by what it did. */
	if (r == 0)
		r = sql_one_u64(v->db, "SELECT count(*) FROM poll WHERE " CONTENDED, binds, 3, &contended);
	if (r == 0)
		r = sql_one_u64(v->db, "SELECT count(*) FROM poll WHERE throttled AND " CONTENDED, binds, 3, &throttled);
	if (r < 0)
		return r;
	if (possible || unclassified || contended)
		(void)fputc('\n', v->out);
	if (possible) {
		(void)snprintf(text, sizeof(text),
			       "possible: %s more poll%s may have lasted >= %s (proven for less; a higher --freq tells)",
			       human_count(possible).s, possible == 1 ? "" : "s", text_threshold(v->o->min_ns).s);
		text_paragraph(v->out, v->o->width, 4, 0, text);
	}
	if (unclassified) {
		(void)snprintf(text, sizeof(text),
			       "unclassified: %s stretch%s of >= %s in polls may each be one poll or many (tick not proven)",
			       human_count(unclassified).s, unclassified == 1 ? "" : "es", text_threshold(v->o->min_ns).s);
		text_paragraph(v->out, v->o->width, 4, 0, text);
	}
	if (contended) {
		(void)snprintf(text, sizeof(text),
			       "contention: %s poll%s lasted >= %s because the CPUs were busy, not because of what they did",
			       human_count(contended).s, contended == 1 ? "" : "s", text_threshold(v->o->min_ns).s);
		text_paragraph(v->out, v->o->width, 4, 0, text);
	}
	if (throttled) {
		(void)snprintf(
			text, sizeof(text),
			"maybe throttled: %s of these, while a cgroup of theirs was out of cpu quota (--summary tells which)",
			human_count(throttled).s);
		text_paragraph(v->out, v->o->width, 4, 0, text);
	}
	return 0;
}

static int put_body(struct blocking_view *v)
{
	struct block_totals t[2];
	char text[256];
	int r;

	r = block_totals_load(v->db, v->o, v->f, BLOCKS_RUNTIME, &t[0]);
	if (r == 0)
		r = block_totals_load(v->db, v->o, v->f, BLOCKS_OTHER, &t[1]);
	if (r < 0)
		return r;
	(void)fputc('\n', v->out);
	if (t[0].count) {
		put_totals(v, &t[0]);
		r = put_group(v, BLOCKS_RUNTIME, t[0].count);
	} else {
		r = put_nothing(v);
	}
	if (r < 0)
		return r;
	if (t[1].count) {
		(void)fputc('\n', v->out);
		text_color(v->out, v->o->color, TEXT_BOLD, "ROOT FUTURES AND LOCAL SETS");
		(void)snprintf(text, sizeof(text), ": %s blocked poll%s >= %s, %s in all, not counted as worker time",
			       human_count(t[1].count).s, t[1].count == 1 ? "" : "s", text_threshold(v->o->min_ns).s,
			       human_ns(t[1].inside).s);
		text_paragraph(v->out, v->o->width, 4, 27, text);
		r = put_group(v, BLOCKS_OTHER, t[1].count);
		if (r < 0)
			return r;
	}
	return put_unproven(v);
}

int view_blocking(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_facts_ struct capture_facts f = {0};
	struct blocking_view v = {.db = db, .o = o, .f = &f, .out = out, .text = {o, &f, out}};
	int r;

	r = capture_facts_load(db, o, &f);
	if (r == 0)
		r = view_head(db, o, &f, out);
	if (r == 0)
		r = view_unnamed_note(db, o, out);
	if (r == 0)
		r = vstack_loader_init(&v.loader, db);
	if (r < 0)
		return r;
	r = put_body(&v);
	vstack_loader_release(&v.loader);
	if (r == 0)
		r = view_stack_ends(db, o, &f, out);
	if (r == 0)
		r = view_unnamed(db, o, out);
	if (r == 0)
		r = view_runtimes(db, o, &f, out);
	return r;
}
