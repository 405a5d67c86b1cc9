/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view_head.h: what every view says first and last: the capture, its verdict, and what could not be named.
 */
#pragma once

#include <sqlite3.h>
#include <stdio.h>

#include "base/base.h"
#include "base/json.h"
#include "report/view.h"
#include "report/view_text.h"

/* The capture in numbers. Texts are raw (as in the database), never NULL. */
struct capture_facts {
	char *uuid, *path, *host, *kernel;
	char *verdict;	   /* complete, partial, untrustworthy */
	char *verdict_why; /* reasons, one a line */
	char *stopped_by;  /* fact recording.stopped_by; "" when it is not known */
	char *notes;	   /* what is not known of tasks, one a line; "" nothing */
	u64 ts_start, ts_end, realtime_start, sample_period;
	u64 lo, hi; /* the window asked for, CLOCK_MONOTONIC ns; lo <= hi, within ts_start..ts_end */
	bool windowed;
	/*
	 * Only a part of the recording was loaded (--from, --to without a database): the events from here to here, CLOCK_MONOTONIC ns; 0, 0: all. Counts
	 * below are of that part, but for `lost` and `events`.
	 */
	u64 read_lo, read_hi;
	u64 lost;      /* events that were not delivered */
	u64 gap_ns;    /* union of the gaps within the recording */
	u64 switches;  /* times a thread left its cpu */
	u64 events;    /* records behind switches, wakings and samples: what `lost` is compared with */
	u64 samples;   /* cpu-clock samples */
	u64 tasks;     /* distinct tasks caught */
	u64 processes; /* program images */
	u64 threads;
	u64 runtimes;	   /* Tokio runtimes found */
	u64 mt_runtimes;   /* of them, those that are not one thread */
	u64 mt_workers;	   /* workers of multi-thread runtimes */
	u64 ct_runtimes;   /* runtimes that are one thread: each counts as one worker's time */
	u64 tick_unproven; /* runtimes whose CPU-bound polls are unclassified */
	/* Switch-outs and samples that carry a user stack: table stack_end. */
	u64 stacks_fp;		  /* walked by frame pointers alone */
	u64 stacks, stacks_whole; /* the others, whose end is known */
	u64 stacks_guessed;	  /* of all: rest in part on a frame pointer */
};

static inline u64 facts_window(const struct capture_facts *f)
{
	return f->hi - f->lo;
}

static inline u64 facts_workers(const struct capture_facts *f)
{
	return f->mt_workers + f->ct_runtimes;
}

/* -ENODATA when the database has no capture row; -ERANGE when the window begins behind the end of the recording. */
int capture_facts_load(sqlite3 *db, const struct report_opts *o, struct capture_facts *ret) __must_check;
void capture_facts_release(struct capture_facts *f);
#define _cleanup_facts_ _cleanup_(capture_facts_release)

/* "4 workers + 1 current_thread runtime"; "no Tokio runtime" */
int facts_workers_text(const struct capture_facts *f, char **ret) __must_check;

/* Share of whole stacks among those whose end is known: "99.98 %"; "100 %" only when it is all of them. */
struct text_dur facts_whole_text(const struct capture_facts *f);

/* File, host, process, duration, workers, switches, tasks, verdict and its reasons. */
int view_head(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, FILE *out) __must_check;

/* Runtimes found, or that there are none and what that costs. */
int view_runtimes(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, FILE *out) __must_check;

/* One line: how many stacks are whole, and where and why the walks of the others ended. Nothing when no record carries a stack. */
int view_stack_ends(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, FILE *out) __must_check;

/* Share of stack frames without a name, by module, and what to pass. Nothing when all have one. */
int view_unnamed(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check;

/* One line for the head of a report when so many frames lack names, and something can be done, that places are addresses. */
int view_unnamed_note(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check;

/* "capture": {...} and "verdict": {...} of an open JSON object. */
int view_head_json(sqlite3 *db, const struct capture_facts *f, struct json *j) __must_check;

/* The one JSON object of a report: opened, with its version and the head. The version goes up when a key changes its meaning or goes. */
int view_json_begin(sqlite3 *db, const struct capture_facts *f, FILE *out, struct json *j) __must_check;
void view_json_end(struct json *j, FILE *out);
