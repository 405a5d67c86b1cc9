/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * export_flame.c: `ascope export --flamegraph`: a profile, or two side by side (--diff), as one HTML file that draws itself: report/web/flame.js with
 * the tree of flame_data.h. The page is in html.h's frame and asks nobody for anything.
 */
#include <errno.h>
#include <string.h>

#include "base/human.h"
#include "base/log.h"
#include "report/capture_db.h"
#include "report/export.h"
#include "report/flame_data.h"
#include "report/html.h"
#include "version.h"

static const struct web_asset *const styles[] = {&web_page_css, &web_flame_css, NULL};
static const struct web_asset *const scripts[] = {WEB_FLAME_SCRIPTS, &web_flame_page_js, NULL};

static const char *const titles[] = {
	[PROFILE_ONCPU] = "On-CPU flame graph",
	[PROFILE_OFFCPU] = "Off-CPU flame graph",
	[PROFILE_WALL] = "Wall-clock flame graph",
	[PROFILE_BLOCKING] = "Flame graph of blocking polls",
};

static const char *const weights[] = {
	[PROFILE_ONCPU] = "time on CPU",
	[PROFILE_OFFCPU] = "time waiting",
	[PROFILE_WALL] = "time on CPU and waiting",
	[PROFILE_BLOCKING] = "time inside polls that blocked",
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* What the page says about itself; the viewer makes the rest from the numbers. */
static void put_about(struct json *j, const struct export_opts *o)
{
	enum profile_kind kind = o->profile.kind;

	json_kv_string(j, "title", titles[kind]);
	json_kv_string(j, "weight", weights[kind]);
	json_kv_string(j, "kind", (const char *const[]){"oncpu", "offcpu", "wall", "blocking"}[kind]);
	json_kv_string(j, "file", base_name(o->file));
	if (o->base)
		json_kv_string(j, "base_file", base_name(o->base->capture));
	json_kv_string(j, "made_by", "ascope " ASCOPE_VERSION);
}

static int put_page(const struct export_opts *o, const struct profile *p, const struct profile *base, FILE *out)
{
	_cleanup_free_ char *title = NULL;
	struct html_page page = {.styles = styles, .scripts = scripts};
	struct json j;
	int r;

	if (asprintf(&title, "%s of %s", titles[o->profile.kind], base_name(o->file)) < 0)
		return -ENOMEM;
	page.title = title;
	html_begin(out, &page);
	(void)fputs(
		"<main id=\"page\"><noscript>This page draws itself with its own script: allow scripts to see it.</noscript></main>\n",
		out);
	html_data_begin(out, "data");
	json_init(&j, out, false);
	j.for_html = true;
	json_object_begin(&j);
	put_about(&j, o);
	json_key(&j, "flame");
	r = flame_data_put(&j, p, base);
	if (r < 0)
		return r;
	json_object_end(&j);
	html_data_end(out);
	html_end(out, &page);
	return 0;
}

/* The same question to another capture. What is wrong with it was said. */
static int load_base(const struct export_opts *o, struct profile *ret)
{
	struct capture_db *cdb = NULL;
	int r = capture_db_open(o->base, &cdb);

	if (r < 0)
		return r;
	r = export_profile(capture_db_handle(cdb), o, ret);
	if (r == 0 && capture_db_is_partial(cdb))
		log_warn("%s lost data or is damaged: what it is compared with may be too little", o->base->capture);
	(void)capture_db_close(cdb);
	return r;
}

int export_flame(sqlite3 *db, const struct export_opts *o, FILE *out, struct export_result *ret)
{
	_cleanup_profile_ struct profile p = {0}, base = {0};
	int r = export_profile(db, o, &p);

	if (r == 0 && o->base)
		r = load_base(o, &base);
	if (r == 0)
		r = put_page(o, &p, o->base ? &base : NULL, out);
	if (r == 0)
		*ret = (struct export_result){.events = p.n_stacks};
	return r;
}
