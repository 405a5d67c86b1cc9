/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * html_timeline.h: what each thread did when, for the HTML report: the segments of view_timeline.h, of which short ones are put
 * together until all fit. Called by export_html.c.
 *
 * Invariant: as the segments of a thread leave no room, those here do not, and the parts of a thread add up to its time in the window.
 */
#pragma once

#include <sqlite3.h>

#include "base/json.h"
#include "report/html_stacks.h"
#include "report/view_head.h"

/*
 * Keys of an open object: "threads", rows with the parts of the thread's time and `seg`, its segments in order of time: length * 8 + kind, where kind 7
 * (several that were too short) is followed by their shares in percent, part k at bits 7k; "timeline": how short is too short, and the threads without segments.
 */
int html_timeline_put(sqlite3 *db, const struct capture_facts *f, struct html_stacks *s, struct json *j) __must_check;
