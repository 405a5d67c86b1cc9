/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* track_tasks.h: what a poll's slice says of its task: its type and where it was spawned. Memory goes with types and places, not with tasks. Used by track_walk.c. */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "base/u64map.h"

/* Texts are raw, or, where the owner said `json`, escaped for the inside of a JSON string; NULL not known. */
struct track_type {
	char *name;
	char *label; /* without generic arguments, for slices' names; of several candidates the name */
};

struct track_site {
	char *file, *function;
	u64 line;
};

struct track_task {
	u64 row;		       /* as task.id; 0 none */
	u64 task_id;		       /* Tokio's */
	const struct track_type *type; /* never NULL */
	const struct track_site *site; /* never NULL */
};

#define TRACK_TASKS_CACHE 4096

struct track_tasks {
	sqlite3_stmt *by_row, *by_id;
	struct track_type *types; /* [0] not known */
	struct track_site *sites;
	size_t n_types, n_sites;
	struct u64map type_at, site_at;
	struct track_task *cache;
	bool json;
};

int track_tasks_init(struct track_tasks *t, sqlite3 *db, bool json) __must_check;
void track_tasks_release(struct track_tasks *t);

/* By task.id. */
int track_tasks_row(struct track_tasks *t, u64 row, struct track_task *ret) __must_check;

/* By what a poll knows: runtime_id, or, where has_runtime is false, its process. */
int track_tasks_find(struct track_tasks *t, u64 task_id, bool has_runtime, u64 runtime_id, u64 process_id,
		     struct track_task *ret) __must_check;
