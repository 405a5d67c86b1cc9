/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chrome_tasks_impl.h: tracks of tasks, for chrome_tasks.c, which chooses and names them, and chrome_task_slices.c, which fills them. */
#pragma once

#include "base/u64map.h"
#include "report/chrome_tasks.h"
#include "report/task_stats.h"

enum slice_kind { SLICE_POLL, SLICE_READY, SLICE_SPAWNED };

struct slice {
	u64 ts, end;
	u64 thread_id; /* of a poll */
	enum slice_kind kind;
	bool open; /* nothing tells when it was over: what follows on the track, or the window */
};

struct track {
	size_t task; /* row of s */
	u64 pid;
	struct chrome_track chrome;
	struct slice last; /* not written yet: the next one may cut it */
	bool has_last;
	u32 spawn; /* of the arrow from its spawn, and 1; 0: none that waits for its first poll */
};

#define NO_TRACK UINT32_MAX

struct chrome_tasks {
	sqlite3 *db;
	const struct capture_facts *f;
	u64 lo, hi;
	struct task_stats s;
	bool *any;	      /* of each row of s: it has slices */
	u32 *track_of;	      /* of each row of s: position in tracks, NO_TRACK */
	struct track *tracks; /* of the tasks that are shown, in the order of s */
	u32 n;
	u64 left;	    /* tasks for which there were no tracks left */
	struct u64map rows; /* id of _task -> position in tracks */
	struct u64map pids; /* process of each runtime */
	u64 first_process;
	sqlite3_stmt *on_cpu;
};
