/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stop.h: why and when a recording ends: the signals that end it, and the names that the capture gives to its end.
 *
 * SIGINT, SIGTERM and SIGHUP end it; but not a SIGHUP that was ignored when ascope started (nohup(1)).
 */
#pragma once

#include "base/base.h"

enum stop_reason {
	STOP_NO,
	STOP_TIME,
	STOP_SIGNAL,
	STOP_TARGET,
	STOP_ERROR,
	STOP_MAX_SIZE,
	STOP_FILE_LIMIT,
	STOP_DISK_FULL,
	STOP_DISK_QUOTA,
};

struct stop {
	int signal_fd; /* readable when there is something for stop_take_signals(); -1: none */
	enum stop_reason reason;
	bool is_urgent;	  /* a second signal: nothing that takes time is to be done any more */
	u64 first_signal; /* CLOCK_MONOTONIC ns; 0 none */
};

#define STOP_INIT ((struct stop){.signal_fd = -1})

/* Blocks the signals, so that none is lost, and opens signal_fd. Before anything is forked. 0 or negative errno. */
int stop_watch_signals(struct stop *s) __must_check;
void stop_release(struct stop *s);

/* Takes what has come, and buries children of ours. now: CLOCK_MONOTONIC ns. */
void stop_take_signals(struct stop *s, u64 now);

void stop_because(struct stop *s, enum stop_reason why); /* the first reason stands */
bool stop_is_full(const struct stop *s);		 /* nothing but the end has room in the file */

const char *stop_name(enum stop_reason why); /* "duration", "disk full": meta recording.stopped_by */
