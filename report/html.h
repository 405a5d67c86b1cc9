/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * html.h: self-contained HTML files: head and end with our scripts and style sheets inline, and strangers' text made inert. Used by
 * `ascope export --flamegraph` and --html.
 *
 * A page asks the network for nothing and runs only our scripts: its Content-Security-Policy names them by their hash, which the
 * Makefile takes when it embeds report/web/. So there are no style="" and onclick="" attributes; scripts may set element.style.
 */
#pragma once

#include <stdio.h>

#include "base/base.h"

/* A file of report/web, embedded. flame.css is web_flame_css. */
struct web_asset {
	const char *text;
	const char *sha256; /* base64 */
};

extern const struct web_asset web_flame_model_js;     /* what that draws; goes before it */
extern const struct web_asset web_flame_canvas_js;    /* how it draws; before it, too */
extern const struct web_asset web_flame_js;	      /* ascopeFlame(element, data, options) */
extern const struct web_asset web_flame_css;	      /* its look */
extern const struct web_asset web_flame_page_js;      /* the page that is nothing but a flame graph */
extern const struct web_asset web_page_css;	      /* what pages have in common: colours, type */
extern const struct web_asset web_report_base_js;     /* the report (export_html.c): elements, numbers as people read them */
extern const struct web_asset web_report_table_js;    /* its table of blocks */
extern const struct web_asset web_report_timeline_js; /* its timeline */
extern const struct web_asset web_report_js;	      /* puts it together */
extern const struct web_asset web_report_css;	      /* its look */

struct html_page {
	const char *title;			/* raw */
	const struct web_asset *const *styles;	/* in this order, up to NULL */
	const struct web_asset *const *scripts; /* run in this order when the page is read whole; up to NULL */
};

/* Text between tags, or inside a quoted attribute: escaped; invalid UTF-8 and what utf8_is_unsafe() becomes U+FFFD. */
void html_text(FILE *out, const char *s);

void html_begin(FILE *out, const struct html_page *p); /* up to and with <body> */
void html_end(FILE *out, const struct html_page *p);   /* the scripts, </body></html> */

/*
 * A block of data that scripts read: JSON.parse(document.getElementById(id).textContent). Between the two calls one JSON value is
 * written with json.for_html set.
 */
void html_data_begin(FILE *out, const char *id);
void html_data_end(FILE *out);

/* The scripts of a flame graph, in their order. */
#define WEB_FLAME_SCRIPTS &web_flame_model_js, &web_flame_canvas_js, &web_flame_js
