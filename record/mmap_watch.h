/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * mmap_watch.h: news of executable mappings that any process makes (dlopen, exec, JIT compilers), from the kernel's perf events. The kernel writes them to a
 * ring per cpu and wakes nobody: session.c drains them in its turns. So a library is known 100 ms after it is mapped, or when its code is met first, and exactly since when.
 *
 * Needs CAP_PERFMON or root to open; nothing to drain. Without it recording works, but finds out from the first stack that it cannot finish.
 */
#pragma once

#include "base/base.h"

struct mmap_watch;

/* A process (thread group) has mapped [addr, addr + len) executable at ts, CLOCK_MONOTONIC ns. */
typedef void (*mmap_watch_fn)(void *ctx, u32 pid, u64 addr, u64 len, u64 ts);

/* Opens one event for each online cpu. -EPERM, -EACCES: not permitted; others of perf_event_open(2) and mmap(2). */
int mmap_watch_open(struct mmap_watch **ret) __must_check;
struct mmap_watch *mmap_watch_free(struct mmap_watch *w); /* accepts NULL, returns NULL */

struct mmap_watch_counts {
	u64 news;      /* records of new mappings */
	u64 lost;      /* records that the kernel had no room for, as far as it tells */
	u64 malformed; /* times a ring had to be skipped, because it made no sense */
};

/* Calls fn for what is new, in the order of each cpu. True when something was lost: any process may have mapped anything. Adds to *counts. w may be NULL. */
bool mmap_watch_drain(struct mmap_watch *w, mmap_watch_fn fn, void *ctx, struct mmap_watch_counts *counts);

/*
 * The same for one ring's data area of `size` bytes (a power of two), for the bytes from *tail to head (counting on across wraps, as struct
 * perf_event_mmap_page does), which may be anything. *tail is then head.
 */
bool mmap_watch_parse(const u8 *data, size_t size, u64 head, u64 *tail, mmap_watch_fn fn, void *ctx,
		      struct mmap_watch_counts *counts);
