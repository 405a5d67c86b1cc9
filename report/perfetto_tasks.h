/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * perfetto_tasks.h: tasks in `ascope export --perfetto`: a track for each, with its polls and the times that it was ready, and flows from spawns to first
 * polls and from wakes to the polls that followed. Used by export_perfetto.c. It keeps the tasks that have a track; all others, polls and wakes are streamed.
 */
#pragma once

#include "base/u64map.h"
#include "report/perfetto_out.h"
#include "report/task_stats.h"
#include "report/view_timeline.h"

#define PF_TASKS_MAX 65536 /* tracks: of the tasks that blocked or ran longest */

struct pf_task {
	bool polled;				/* a poll of it came by */
	bool open;				/* a slice is: */
	bool has_end;				/* its end is known */
	u64 end;				/* then, or at the latest */
	u64 spawn_flow;				/* the arrow from its spawn to its first poll, 0 none */
	u64 wake_ts, wake_poll_ts, wake_thread; /* its latest wake, and when the poll that followed began; 0 none */
};

struct pf_tasks {
	sqlite3 *db;
	struct task_stats s;	 /* its rows are those that have a track */
	char **kinds, **sites;	 /* labels of s.types and s.sites; NULL not known */
	struct u64map by_row;	 /* _task.id -> position in rows; where every poll is known */
	struct u64map processes; /* runtime -> process */
	struct pf_task *rows;	 /* of each of s.rows */
	sqlite3_stmt *name;	 /* type and site of any task; NULL where none are known */
	sqlite3_stmt *spawner;	 /* the runtime of a task that spawned */
	u64 uuid;		 /* of the track that the first task of all has, or would have */
	u64 left;		 /* tasks without a track */
};

/* uuid: of its first track; it takes as many as there are tasks, and one for each process. The caller releases *ret. */
int pf_tasks_load(sqlite3 *db, const struct capture_facts *f, u64 uuid, struct pf_tasks *ret) __must_check;
void pf_tasks_release(struct pf_tasks *t);

/* Type and place of the spawn of a task that was polled by a thread of this runtime (0 none) and process: NULL where they are not known. */
int pf_tasks_name(struct pf_tasks *t, u64 runtime_id, u64 process_id, u64 task_id, const char **ret_kind,
		  const char **ret_site) __must_check;

/* Where tracks of others are. */
struct pf_places {
	const struct tl_threads *threads;
	u64 thread_uuid; /* of threads->rows[0]; the others follow */
	u64 (*process_uuid)(void *ctx, u64 process_id);
	void *ctx;
};

/* Tracks and what is on them. */
int pf_tasks_put(struct pf_tasks *t, struct pf_out *o, const struct capture_facts *f, const struct pf_places *where) __must_check;
