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
	u64 flushed;  /* bytes that are no longer in buf */
	u64 events;   /* X events */
	u64 others;   /* all others but M */
	int err;      /* -ENOMEM: a text is missing, the file is not whole; errors of `out` stay there */
	bool no_args;
	bool any;     /* an event was written: the next one needs a comma */
	bool has_arg; /* args of the event that is open has one */
};

/* Where an event belongs: made once, written often. */
struct chrome_track {
	char text[64]; /* "pid":1,"tid":2,"cat":" */
	u32 n;
};

int chrome_out_init(struct chrome_out *w, FILE *out, u64 ts_start, bool no_args) __must_check;
void chrome_out_release(struct chrome_out *w);
void chrome_flush(struct chrome_out *w);
u64 chrome_bytes(const struct chrome_out *w); /* written so far, with what is in buf */
void chrome_put_far(struct chrome_out *w, const char *text, size_t n);

/* Inline, as what follows: an event is some twenty pieces of a known length. */
static inline void chrome_put(struct chrome_out *w, const char *text, size_t n)
{
	if (n > CHROME_BUF - w->n) {
		chrome_put_far(w, text, n);
		return;
	}
	memcpy(w->buf + w->n, text, n);
	w->n += n;
}

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
void chrome_event_end(struct chrome_out *w);

static inline void chrome_args_begin(struct chrome_out *w)
{
	chrome_put(w, "\"", 1);
	w->has_arg = false;
}

/* Before each of them, whatever it is. An event without any has no args: speedscope shows even an empty object behind the name. */
static inline void chrome_arg_next(struct chrome_out *w)
{
	if (w->has_arg)
		chrome_put(w, ",", 1);
	else
		chrome_put(w, ",\"args\":{", 9);
	w->has_arg = true;
}

static inline void chrome_key(struct chrome_out *w, const char *key)
{
	chrome_arg_next(w);
	chrome_put(w, "\"", 1);
	chrome_put(w, key, strlen(key));
	chrome_put(w, "\":", 2);
}

static inline void chrome_arg_n(struct chrome_out *w, const char *key, const char *inner, size_t n) /* nothing when n is 0 */
{
	if (w->no_args || !n)
		return;
	chrome_key(w, key);
	chrome_put(w, "\"", 1);
	chrome_put(w, inner, n);
	chrome_put(w, "\"", 1);
}

static inline void chrome_arg(struct chrome_out *w, const char *key, const char *inner) /* nothing when inner is NULL or "" */
{
	chrome_arg_n(w, key, inner, inner ? strlen(inner) : 0);
}

static inline void chrome_arg_raw(struct chrome_out *w, const char *key, const char *raw) /* likewise */
{
	if (w->no_args || !raw || !*raw)
		return;
	chrome_key(w, key);
	chrome_put(w, "\"", 1);
	chrome_puts_raw(w, raw);
	chrome_put(w, "\"", 1);
}

static inline void chrome_arg_u64(struct chrome_out *w, const char *key, u64 v)
{
	if (w->no_args)
		return;
	chrome_key(w, key);
	chrome_put_u64(w, v);
}

/* Metadata `what` of a track: its name, or where name (raw) is NULL its index in the order of tracks. */
void chrome_put_meta(struct chrome_out *w, const char *what, u64 pid, u64 tid, const char *name, u64 index);

/* One side of an arrow; the two have one id and name, and each lies in a slice of its track. */
void chrome_put_flow(struct chrome_out *w, bool begins, const char *name, u64 id, const struct chrome_track *track, u64 ts);

/* A counter of a process from ts on. Texts are inner. */
void chrome_put_counter(struct chrome_out *w, const char *name, const char *series, u64 pid, u64 ts, u64 value);

/* An instant that concerns everything; its name follows, as of a slice. */
void chrome_instant_begin(struct chrome_out *w, const char *cat, const struct chrome_track *track, u64 ts);
