/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * chrome_out.h: single events of Chrome's trace JSON, one a line; used by the chrome_*.c. Times are ns of CLOCK_MONOTONIC, not before ts_start. Texts called
 * `inner` are escaped already (json_inner()): an export writes the same few a million times.
 *
 * Invariant: what is in `buf` comes before what is written to `out` by others: chrome_flush() first.
 */
#pragma once

#include <stdio.h>
#include <string.h>

#include "base/base.h"

#define CHROME_BUF ((size_t)1 << 18)

struct chrome_out {
	FILE *out;
	char *buf;
	size_t n;
	u64 ts_start; /* of the recording */
	u64 bytes;    /* written and in buf */
	u64 events;   /* X events */
	u64 others;   /* all others but M */
	bool no_args;
	bool any;     /* an event was written: the next one needs a comma */
	bool has_arg; /* args of the event that is open has one */
};

/* Where an event belongs: made once, written often. */
struct chrome_track {
	char text[56]; /* "pid":1,"tid":2 */
};

int chrome_out_init(struct chrome_out *w, FILE *out, u64 ts_start, bool no_args) __must_check;
void chrome_out_release(struct chrome_out *w);
void chrome_flush(struct chrome_out *w);
void chrome_put(struct chrome_out *w, const char *text, size_t n);

static inline void chrome_puts(struct chrome_out *w, const char *inner)
{
	chrome_put(w, inner, strlen(inner));
}

void chrome_puts_raw(struct chrome_out *w, const char *raw); /* escaped on the way */
void chrome_put_u64(struct chrome_out *w, u64 v);

struct chrome_track chrome_track_of(u64 pid, u64 tid);

/*
 * A slice [ts, end) with `depth` others around it; category (inner) "cat", or with sub (raw) "cat.sub". The name follows by chrome_puts(), then come
 * chrome_args_begin(), chrome_arg*(), chrome_event_end(): with no_args, the last alone counts.
 */
void chrome_slice_begin(struct chrome_out *w, const struct chrome_track *track, const char *cat, const char *sub, u64 ts, u64 end,
			u32 depth);
void chrome_args_begin(struct chrome_out *w);
void chrome_arg(struct chrome_out *w, const char *key, const char *inner);   /* nothing when inner is NULL or "" */
void chrome_arg_raw(struct chrome_out *w, const char *key, const char *raw); /* likewise */
void chrome_arg_u64(struct chrome_out *w, const char *key, u64 v);
void chrome_event_end(struct chrome_out *w);

/* Metadata `what` of a track: its name, or where name (raw) is NULL its index in the order of tracks. */
void chrome_put_meta(struct chrome_out *w, const char *what, u64 pid, u64 tid, const char *name, u64 index);

/* One side of an arrow; the two have one id and name, and each lies in a slice of its track. */
void chrome_put_flow(struct chrome_out *w, bool begins, const char *name, u64 id, const struct chrome_track *track, u64 ts);

/* A counter of a process from ts on. Texts are inner. */
void chrome_put_counter(struct chrome_out *w, const char *name, const char *series, u64 pid, u64 ts, u64 value);

/* An instant that concerns everything; its name follows, as of a slice. */
void chrome_instant_begin(struct chrome_out *w, const char *cat, const struct chrome_track *track, u64 ts);
