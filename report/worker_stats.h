/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * worker_stats.h: where the time of every thread of a runtime went: of workers, of the blocking pool, of threads in block_on. What a thread is
 * comes from what it was seen doing, never from its name. Used by `ascope report --workers`.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "report/view_head.h"
#include "report/view_timeline.h"

enum worker_role {
	WORKER_WORKER, /* of a multi-thread runtime, or the thread of a current_thread one */
	WORKER_POOL,   /* served the blocking pool and was never a worker */
	WORKER_ROOT,   /* polled a future in block_on */
	WORKER_NONE,   /* was in no runtime */
};

struct worker_stat {
	const struct tl_thread *t;
	enum worker_role role;
	u64 wall;			       /* ns of its life within the window: the sum of the next six */
	u64 on_cpu, runnable, blocked, parked; /* blocked: waiting in a poll */
	u64 idle;			       /* pool threads: waiting for a job */
	u64 other;			       /* waiting elsewhere: jobs of the pool, block_in_place, the runtime's own locks */
	u64 off_worker;			       /* of other: a worker's thread in block_in_place or the pool */
	u64 in_polls;			       /* of on_cpu: within polls; has_split */
	bool has_split, exact;		       /* exact: every poll was recorded; else by samples */
	u64 switches, samples, samples_in_poll;
	u64 polls; /* exact polls that began */
	u64 woken, moved_away,
		moved_here; /* tasks of its runtime woken on this worker; of these polled by another worker; and the other way */
	bool saw_pool, saw_poll;
};

struct worker_stats {
	struct tl_threads threads;
	struct worker_stat *rows; /* of threads, likewise ordered */
	bool has_polls, has_wakes;
};

int worker_stats_load(sqlite3 *db, const struct capture_facts *f, struct worker_stats *ret) __must_check;
void worker_stats_release(struct worker_stats *s);
#define _cleanup_worker_stats_ _cleanup_(worker_stats_release)

/* How its workers share the work, and what stood still, of one runtime. */
struct runtime_hints {
	u64 workers;
	u64 busy, busiest;	  /* ns on a CPU or blocked: of all workers, and of the one with most */
	u64 busiest_worker;	  /* its index */
	u64 lifo_blocks, lifo;	  /* blocked polls of --min with a task in the LIFO slot, and their time, ns */
	u64 stalled_blocks;	  /* blocked polls that kept everybody from the I/O driver */
	u64 stalled, stalled_max; /* how long nobody served it, in all and at a time, ns */
	bool stalled_known;
	u64 woken, moved; /* as of worker_stat */
};
int runtime_hints_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, const struct worker_stats *s,
		       u64 runtime_id, struct runtime_hints *ret) __must_check;
