/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_stats.h: what is known of every task, and of every kind of task (a type of future spawned at one place), within a window of
 * the recording. Shared by the reports of tasks (--tasks, --wakers, --cascade), so that they name and count alike.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "report/view_head.h"

enum task_nature {
	TASK_FUTURE,
	TASK_CLOSURE, /* of the blocking pool */
	TASK_WORKER,  /* Tokio's own main loop: no task of the user's */
};

/* A type of task. Element 0 of task_stats.types is "not known". */
struct task_type {
	u64 id;	      /* as task_type.id */
	u64 vtable;   /* address; 0 not known */
	char *name;   /* raw; NULL not known */
	u32 same;     /* the first type of the same process, name and nature: those are one kind */
	bool guessed; /* name lists candidates */
	enum task_nature nature;
};

/* A place that spawns. Element 0 of task_stats.sites is "not known". */
struct task_site {
	u64 id;		/* as spawn_site.id */
	char *file;	/* raw; NULL not known */
	char *function; /* likewise */
	u64 line;
	u32 same; /* the first site of the same place */
};

struct task_stat {
	u64 runtime_id, task_id; /* the rows are in this order; runtime_id 0 not known */
	u32 type, site;		 /* index in types and sites */
	u64 ts_spawn, ts_end;	 /* 0 not seen */
	u64 spawned_by;		 /* task id; 0 by none, or not known */
	char from;		 /* first letter of spawned_from: t, r, d, b, o; 0 not known */
	s8 alive;		 /* at the end of the recording: 1, 0, -1 not known */
	u32 nth;		 /* how many tasks of the window are before it */
	u64 busy, waited,
		blocked; /* ns within the window: in polls; of that, its thread waited; in polls that view blocking has, of min_ns or longer */
	u64 blocks;  /* of these, how many */
	u64 polls;   /* exact polls that began within the window; without has_polls: polls that were caught */
	u64 longest; /* ns, of a poll that overlaps the window */
	u64 samples; /* cpu-clock samples in its polls */
	u64 wakes;   /* within the window */
	u64 first_delay, n_delays, max_delay; /* in task_stats.delays */
};

struct task_stats {
	struct task_type *types;
	u32 n_types;
	struct task_site *sites;
	u32 n_sites;
	struct task_stat *rows; /* tasks that lived within the window, as far as that is known */
	size_t n;
	u64 n_all;   /* tasks of the window: more than n where not all are here */
	u64 *delays; /* ns, from a wake to the poll that followed, each task's ascending */
	size_t n_delays;
	bool has_polls; /* every poll is known (--polls, --wakes); else busy is estimated from waits and samples */
	bool has_wakes; /* wakes are known (--wakes) */
	bool has_life;	/* spawns or ends are known, or which tasks were alive */
};

/* Of `o` min_ns counts. */
int task_stats_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, struct task_stats *ret) __must_check;
/*
 * The same without delays, of `max` tasks at most, in the order of tasks: of those that are no loops of Tokio's own the most blocked, then the busiest, and with
 * idle_too those that were in no poll. Memory goes with max; *ret_left: how many others there are.
 */
int task_stats_load_costly(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, size_t max, bool idle_too,
			   struct task_stats *ret, u64 *ret_left) __must_check;
/* In that order, for qsort: -1, 0, 1. */
int task_stat_cost_compare(const struct task_stat *x, const struct task_stat *y);
void task_stats_release(struct task_stats *s);
#define _cleanup_task_stats_ _cleanup_(task_stats_release)

/*
 * NULL when there is none. Closures of the blocking pool are of no runtime, and tasks are spawned and woken from other runtimes: one that is not of this
 * runtime is looked for in all, and taken when only one has this id (a copy of Tokio counts the tasks of all its runtimes).
 */
const struct task_stat *task_stats_find(const struct task_stats *s, u64 runtime_id, u64 task_id);
/* Only one of this runtime. */
const struct task_stat *task_stats_find_own(const struct task_stats *s, u64 runtime_id, u64 task_id);
/* Index of a type, of a site by its id in the database, 0 when there is none. */
u32 task_stats_type(const struct task_stats *s, u64 type_id);
u32 task_stats_site(const struct task_stats *s, u64 site_id);

/* What a kind is called, clean: its type, "a | b" of candidates, else "type at 0x55..", else "(type not known)". malloc'ed. */
int task_type_label(const struct task_type *t, char **ret) __must_check;
/* "src/main.rs:88", else "in orders::main"; "" not known. malloc'ed. */
int task_site_label(const struct task_site *s, bool full, char **ret) __must_check;

struct task_kind {
	u32 type, site; /* indexes, of the first of those that are the same */
	u64 tasks;
	u64 alive, alive_unknown; /* tasks */
	u64 busy, waited, blocked, blocks, longest, polls, samples, wakes;
	u64 delays, p50, p99, max_delay; /* delay percentiles by nearest rank, ns; of `delays` wakes */
	u32 spawner;			 /* type of the tasks that spawned most of them, 0 none known */
	char from;			 /* spawned_from of most of them */
	u64 spawner_tasks;		 /* how many of `tasks` that is */
	size_t first, n;		 /* its tasks: rows[order[first .. first + n)], most blocked first */
};

struct task_kinds {
	struct task_kind *rows; /* most blocked first, then busiest */
	size_t n;
	size_t *order; /* of rows of task_stats */
};

int task_kinds_make(const struct task_stats *s, struct task_kinds *ret) __must_check;
void task_kinds_release(struct task_kinds *k);
#define _cleanup_task_kinds_ _cleanup_(task_kinds_release)

/* 1 when every poll was recorded: also to the end, by probes that were not taken away. */
#define POLLS_KNOWN_SQL                                                                                                          \
	"SELECT EXISTS (SELECT 1 FROM _task_poll) AND NOT EXISTS (SELECT 1 FROM probe WHERE action = 'taken away' "              \
	"AND grp IN ('poll', 'poll_end'))"

/* Nearest rank of n ascending numbers, 0 of none. */
u64 task_percentile(const u64 *sorted, size_t n, u32 percent);
