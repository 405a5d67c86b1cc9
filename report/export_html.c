/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * export_html.c: `ascope export --html`: one file to attach to a ticket: verdict, what blocked, stacks, what each worker did when, flame
 * graphs, latencies and how it was made. It opens in any browser and needs nothing else.
 *
 * The page is the data and the scripts of report/web that draw it; the reports as text stand in it, too, for where scripts may not run. It is
 * bounded (html_limits.h), and says what it leaves out.
 * Invariant: nothing of a capture reaches the file but as JSON written for HTML or by html_text().
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "report/export.h"
#include "report/html.h"
#include "report/html_blocks.h"
#include "report/html_flames.h"
#include "report/html_latency.h"
#include "report/html_limits.h"
#include "report/html_stacks.h"
#include "report/html_timeline.h"
#include "report/sqlrow.h"
#include "report/view.h"
#include "report/view_text.h"
#include "version.h"

#define TEXT_WIDTH 110

struct html_export {
	sqlite3 *db;
	const struct export_opts *o;
	struct report_opts view;
	struct capture_facts f;
	struct html_stacks stacks;
	struct json j;
	FILE *out;
};

static void html_export_release(struct html_export *x)
{
	capture_facts_release(&x->f);
	html_stacks_release(&x->stacks);
}

/* ---- how it was made ---- */

/* A word of a command line for a shell. */
static void put_word(struct buf *b, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+=:,@%";

	if (*word && strspn(word, plain) == strlen(word)) {
		buf_puts(b, word);
		return;
	}
	buf_putc(b, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			buf_puts(b, "'\\''");
		else
			buf_putc(b, (u8)*word);
	}
	buf_putc(b, '\'');
}

static int put_made(struct html_export *x)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *command = NULL;

	buf_puts(&b, "ascope export --html");
	if (x->o->from_ns)
		buf_printf(&b, " --from %lluns", (unsigned long long)x->o->from_ns);
	if (x->o->to_ns)
		buf_printf(&b, " --to %lluns", (unsigned long long)x->o->to_ns);
	if (x->o->profile.min_ns)
		buf_printf(&b, " --min %lluns", (unsigned long long)x->o->profile.min_ns);
	buf_putc(&b, ' ');
	put_word(&b, x->o->file ? x->o->file : x->f.path);
	command = buf_take_str(&b);
	if (!command)
		return -ENOMEM;
	json_key(&x->j, "made");
	json_object_begin(&x->j);
	json_kv_string(&x->j, "command", command);
	json_kv_string(&x->j, "version", ASCOPE_VERSION " " ASCOPE_GIT_ID);
	json_kv_string(&x->j, "file", text_basename(x->o->file ? x->o->file : x->f.path));
	json_object_end(&x->j);
	return 0;
}

#define FACTS_SQL "SELECT key, value FROM meta WHERE key NOT LIKE 'ascope.%' OR key = 'ascope.version' ORDER BY key LIMIT ?1"

static int put_facts(struct html_export *x)
{
	const u64 limit = HTML_MAX_FACTS;
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_prepare(x->db, &st, FACTS_SQL, &limit, 1);

	if (r < 0)
		return r;
	json_key(&x->j, "facts");
	json_array_begin(&x->j);
	while ((r = db_step(st)) > 0) {
		json_array_begin(&x->j);
		json_string(&x->j, sql_text(st, 0));
		json_string(&x->j, sql_text(st, 1));
		json_array_end(&x->j);
	}
	json_array_end(&x->j);
	return r;
}

static int put_gaps(struct html_export *x)
{
	const u64 binds[3] = {HTML_MAX_GAPS, x->f.lo, x->f.hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_prepare(
		x->db, &st,
		"SELECT ts, ts_end, cause, count FROM gap WHERE ts <= ?3 AND ts_end >= ?2 ORDER BY ts, ts_end, cause LIMIT ?1",
		binds, 3);

	if (r < 0)
		return r;
	json_key(&x->j, "gaps");
	json_array_begin(&x->j);
	while ((r = db_step(st)) > 0) {
		json_array_begin(&x->j);
		json_s64(&x->j, (s64)(sql_u64(st, 0) - x->f.ts_start));
		json_s64(&x->j, (s64)(sql_u64(st, 1) - x->f.ts_start));
		json_string(&x->j, sql_text(st, 2));
		json_u64(&x->j, sql_u64(st, 3));
		json_array_end(&x->j);
	}
	json_array_end(&x->j);
	return r;
}

/* ---- data ---- */

static int put_blocks(struct html_export *x, struct export_result *ret)
{
	_cleanup_html_blocks_ struct html_blocks b = {0};
	int r = html_blocks_load(x->db, &x->view, &x->f, &b);

	if (r == 0)
		r = html_blocks_put(&b, &x->f, &x->view, &x->stacks, &x->j);
	ret->events = html_blocks_count(&b);
	return r;
}

static int put_data(struct html_export *x, struct export_result *ret)
{
	int r;

	html_data_begin(x->out, "data");
	json_init(&x->j, x->out, false);
	x->j.for_html = true;
	json_object_begin(&x->j);
	json_kv_u64(&x->j, "version", 1);
	r = put_made(x);
	if (r == 0)
		r = view_head_json(x->db, &x->f, &x->j);
	if (r < 0)
		return r;
	json_kv_u64(&x->j, "lo", x->f.lo - x->f.ts_start);
	json_kv_u64(&x->j, "hi", x->f.hi - x->f.ts_start);
	json_kv_u64(&x->j, "events_lost", x->f.lost);
	json_kv_string(&x->j, "notes", x->f.notes);
	/* JavaScript's numbers do not hold ns since 1970. */
	json_kv_u64(&x->j, "realtime_ms", x->f.realtime_start / NSEC_PER_MSEC);
	r = put_blocks(x, ret);
	if (r == 0)
		r = html_timeline_put(x->db, &x->f, &x->stacks, &x->j);
	if (r == 0)
		r = html_latency_put(x->db, &x->f, &x->j);
	if (r == 0)
		r = put_facts(x);
	if (r == 0)
		r = put_gaps(x);
	if (r < 0)
		return r;
	html_stacks_put(&x->stacks, &x->j);
	json_object_end(&x->j);
	html_data_end(x->out);
	return 0;
}

/* ---- the page ---- */

typedef int view_fn(sqlite3 *db, const struct report_opts *o, FILE *out);

/* The same for where no script runs, for grep, and to be pasted. */
static int put_text(struct html_export *x, const char *id, view_fn *view)
{
	_cleanup_free_ char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	int r, closed;

	if (!f)
		return -ENOMEM;
	r = view(x->db, &x->view, f);
	closed = memstream_close(f, &text);
	if (r < 0 || closed < 0)
		return r < 0 ? r : closed;
	(void)fprintf(x->out, "<pre id=\"%s\">", id);
	html_text(x->out, text);
	(void)fputs("</pre>\n", x->out);
	return 0;
}

static int put_page(struct html_export *x, struct export_result *ret)
{
	static const struct web_asset *const styles[] = {&web_page_css, &web_flame_css, &web_report_css, NULL};
	static const struct web_asset *const scripts[] = {WEB_FLAME_SCRIPTS,	   &web_report_base_js, &web_report_table_js,
							  &web_report_timeline_js, &web_report_js,	NULL};
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *title = NULL;
	struct html_page page = {.styles = styles, .scripts = scripts};
	int r;

	buf_printf(&b, "ascope: %s", text_basename(x->o->file ? x->o->file : x->f.path));
	title = buf_take_str(&b);
	if (!title)
		return -ENOMEM;
	page.title = title;
	html_begin(x->out, &page);
	(void)fputs(
		"<main id=\"report\"></main>\n<section id=\"text\">\n<h2>As text</h2>\n"
		"<noscript><p>Scripts may not run here: this is the report as text. In a browser that runs them there is more.</p></noscript>\n",
		x->out);
	r = put_text(x, "text-blocking", view_blocking);
	if (r == 0)
		r = put_text(x, "text-summary", view_summary);
	(void)fputs("</section>\n", x->out);
	if (r == 0)
		r = put_data(x, ret);
	if (r == 0)
		r = html_flames_put(x->db, &x->view, x->out);
	html_end(x->out, &page);
	return r;
}

int export_html(sqlite3 *db, const struct export_opts *o, FILE *out, struct export_result *ret)
{
	_cleanup_(html_export_release) struct html_export x = {
		.db = db,
		.o = o,
		.out = out,
		.view = {.file = o->file,
			 .min_ns = o->profile.min_ns ? o->profile.min_ns : REPORT_MIN_NS,
			 .top = REPORT_TOP_UNSET,
			 .from_ns = o->from_ns,
			 .to_ns = o->to_ns,
			 .width = TEXT_WIDTH},
	};
	int r = capture_facts_load(db, &x.view, &x.f);

	if (r == 0)
		r = html_stacks_init(&x.stacks, db);
	return r < 0 ? r : put_page(&x, ret);
}
