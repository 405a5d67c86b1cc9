/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* view_spans.h: what the reports of threads' time (--offcpu, --oncpu, --timeline) print alike. */
#pragma once

#include <stdio.h>

#include "base/base.h"
#include "base/json.h"
#include "report/view_head.h"
#include "report/view_timeline.h"

/* "worker 2", "rt 1 worker 2", or the thread's name, clean. */
int span_thread_label(const struct capture_facts *f, const struct tl_thread *t, char *buf, size_t n) __must_check;

/* A bar of value to max, at most width columns wide; anything above 0 is seen. */
void text_bar(FILE *out, u64 value, u64 max, u32 width, bool ascii);

/* A heading of a section, in front of it an empty line. */
void span_heading(FILE *out, const struct report_opts *o, const char *text);

/* "  label   text", broken between words. */
void span_line(FILE *out, const struct report_opts *o, const char *label, const char *text);

/* A line that says which filters were asked for; nothing without any. */
int span_filters(FILE *out, const struct report_opts *o) __must_check;

/* Key `filters` of an open object; null what was not asked for. */
void span_filters_json(struct json *j, const struct report_opts *o);

/* "pid", "tid", "name", "worker" of an open object. */
void span_thread_json(struct json *j, const struct tl_thread *t);

/* As view_json_begin(), then "window_start", "window_end", "filters". view_json_end() ends it. */
int span_json_begin(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, FILE *out,
		    struct json *j) __must_check;
