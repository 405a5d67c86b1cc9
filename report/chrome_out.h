/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * chrome_out.h: single events of Chrome's trace JSON, one a line; used by export_chrome.c and chrome_tasks.c. Times are ns of CLOCK_MONOTONIC, not before
 * ts_start; names are raw.
 */
#pragma once

#include <stdio.h>

#include "base/base.h"
#include "base/json.h"

struct chrome_out {
	FILE *out;
	struct json j;
	u64 ts_start; /* of the recording */
	bool no_args;
	bool any;   /* an event was written: the next one needs a comma */
	u64 events; /* X events */
};

/* Leaves the event open. */
void chrome_event_begin(struct chrome_out *c, const char *ph, const char *name, u64 pid, u64 tid);

/* A slice [ts, end). Unless no_args, leaves "args" open, which chrome_event_end() closes. */
void chrome_slice_begin(struct chrome_out *c, const char *cat, const char *name, u64 pid, u64 tid, u64 ts, u64 end);
void chrome_event_end(struct chrome_out *c);

/* Metadata `what` of a track: its name, or where name is NULL its index in the order of tracks. */
void chrome_put_meta(struct chrome_out *c, const char *what, u64 pid, u64 tid, const char *name, u64 index);

/* One side of an arrow; the two have one id and name, and each lies in a slice of its track. */
void chrome_put_flow(struct chrome_out *c, bool begins, const char *name, u64 id, u64 pid, u64 tid, u64 ts);
