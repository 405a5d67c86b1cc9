/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * load_task.h: what probes and lists tell of tasks -> tables _task, task_type, _spawn_site and probe. Fed by load_events.c in the order of the file; wakes
 * and polls are load_wake.c's, which works on what is here.
 *
 * A task is (copy of Tokio, id): ids are counted by each copy and never used again. It is kept while it lives and a while longer, because
 * events of other cpus may come late; then its row is written. Everything is looked up: indices of an untrusted file that lead nowhere are as 0.
 */
#pragma once

#include "report/db.h"
#include "report/intervals.h"
#include "report/load_dict.h"
#include "report/load_runtime.h"
#include "report/load_stack.h"
#include "report/task_index.h"
#include "report/task_set.h"

struct strtab;

#define TASK_LATE 65536U /* tasks that ended and are still kept */

enum task_from {
	TASK_FROM_UNKNOWN,
	TASK_FROM_TASK,
	TASK_FROM_COMPLETION,
	TASK_FROM_ROOT,
	TASK_FROM_DRIVER,
	TASK_FROM_POOL,
	TASK_FROM_OUTSIDE
};

/* What polls a set of tasks: a runtime (the first ones: number = runtime_id), or a LocalSet. */
struct executor {
	u64 runtime_id;		    /* 0 none is known by this handle */
	bool is_single;		    /* one thread polls all its tasks */
	struct task_thread *thread; /* that thread, when it was seen; of those that are single */
};

struct task_entry {
	u64 id; /* of its row; 0: the entry is free */
	u64 layout, task, process;
	u64 type, site, spawned_by;
	u64 ts_spawn, ts_end; /* 0 not seen */
	u64 how;	      /* enum fmt_task_end_how of the first end */
	u64 runtime_id;	      /* 0 unknown */
	u32 executor;	      /* 0 unknown */
	u32 ready;	      /* 1 + position in wake_store.ready: it waits for a poll; 0 not */
	enum task_from from;
	bool blocking, is_listed;
};

/* A poll that a probe saw begin. */
struct open_poll {
	u64 id, ts, task_row, type;
};

#define OPEN_POLLS 8 /* of one thread, one in another */

/* What is known of a thread besides its scheduling. */
struct task_thread {
	const struct thread_run *run;  /* borrowed; never NULL once it was in an event */
	const struct context_info *ci; /* its latest record's; NULL none */
	u64 base_task;		       /* its current task id while no poll runs on it */
	bool has_base;
	bool has_local_set; /* it polled one outside any runtime's threads */
	u64 ts_stranger;    /* when it polled last what had waited, and nobody knew whose it is; 0 never */
	u32 queue;	    /* 1 + position in wake_store.queues: tasks that this thread alone can poll; 0 none */
	u32 n_open;
	struct open_poll open[OPEN_POLLS];
	u64 open_epoch;
};

/* A task that is in a queue since ts. */
struct ready {
	u64 ts, ts_gone; /* ts_gone: its poll began, or it was dropped */
	u64 wake_id;	 /* 0: since it was spawned */
	u64 task_row, type, thread, waker_task;
	u64 epoch;
	bool is_nowhere; /* nobody knows yet what polls it */
	u32 entry;	 /* 1 + position; 0 none any more */
	u32 queue;	 /* 1 + position; 0 in one that is every worker's */
	u32 prev, next;	 /* 1 + position, in the queue's list or, next alone, in the list of those that are gone or free */
	enum task_from waker;
};

/* A queue that one thread serves. */
struct run_queue {
	u32 head, tail; /* 1 + position: those that wait, oldest first */
	u64 n;
	u32 gone, n_gone; /* 1 + position: those that left it while the poll at the time was not over */
	u64 epoch;
	struct task_thread *thread; /* that serves it */
};

struct wake_store {
	struct ready *ready;
	u32 n_ready, free_ready;
	size_t cap_ready;
	struct run_queue *queues;
	u32 n_queues;
	size_t cap_queues;
	struct u64map by_worker;    /* runtime_id << 32 | worker -> position */
	u64 epoch;		    /* odd: within a gap; two events of one even epoch have no gap between them */
	u64 nowhere, nowhere_epoch; /* tasks that are ready, and nobody knows yet what polls them; since that epoch began */
	u64 polls, wakes;	    /* rows so far, written or not */
	sqlite3_stmt *ins_poll, *ins_wake, *ins_victim;
};

/* From when to when every wake and poll of a copy of Tokio is in the capture; from > to: never. */
struct exact_span {
	u64 from, to;
};

struct task_loader {
	struct load_dict *d; /* borrowed, as the next four */
	struct runtime_set *runtimes;
	struct stack_store *stacks;
	sqlite3 *db;
	const struct intervals *iv;
	bool wants_rows; /* of polls, wakes and victims, too */
	bool has_tasks;	 /* an event of a task was seen */
	bool has_exact;	 /* exact[] is not never for all */
	struct task_entry *entries;
	u32 n_entries, free_entry;
	size_t cap_entries;
	struct task_index index;
	struct task_set written; /* by slot of the layout: tasks whose row is written */
	u32 *late;		 /* ring of positions of entries that ended */
	u32 late_at, n_late;
	u64 next_id;
	struct strtab *handles, *sites; /* (layout, handle) -> executor; (layout, place) -> site */
	struct executor *executors;	/* by number; 0 is none */
	u32 n_executors;
	size_t cap_executors;
	u8 *type_kinds;		  /* by slot of d->vtables: 1 a future was spawned with it, 2 a closure */
	struct exact_span *exact; /* by slot of d->layouts */
	size_t gap_at;
	u64 bad_refs; /* events whose layout is none */
	sqlite3_stmt *ins_task, *ins_site;
	struct wake_store wakes;
};

/* wants_rows is the caller's to set. Release in any case. */
int task_loader_init(struct task_loader *tl, struct load_dict *d, struct runtime_set *rs, struct stack_store *st, sqlite3 *db,
		     const struct intervals *iv) __must_check;
void task_loader_release(struct task_loader *tl);

/* t: of the thread that the event names. 0 or negative errno. */
int task_loader_spawn(struct task_loader *tl, struct task_thread *t, const struct fmt_task_spawn *e) __must_check;
int task_loader_end(struct task_loader *tl, const struct fmt_task_end *e) __must_check;
int task_loader_alive(struct task_loader *tl, const struct fmt_task_alive *e) __must_check;

/* A poll that was seen by the scheduler tells which runtime its task belongs to. */
void task_loader_polled(struct task_loader *tl, u64 runtime_id, u64 task);

/* After the events: what is left of tasks, and types, places and probes. */
int task_loader_finish(struct task_loader *tl) __must_check;

/* ---- for load_wake.c ---- */

/* The entry, made when new; NULL for id 0, an unknown layout, a task that is long over (0 is returned), or without memory. */
int task_entry_find(struct task_loader *tl, u64 layout, u64 task, struct task_entry **ret) __must_check;
/* A task of a LocalSet whose spawn was not seen: thread t polls it, and so no other. */
int task_entry_local(struct task_loader *tl, const struct task_thread *t, struct task_entry *k) __must_check;
u64 task_type_of(const struct task_loader *tl, u64 layout, u64 vtable); /* the index of a type of that layout; else 0 */

/* Who did it: of the columns by_task, budget, runtime, entered of the thread. */
struct task_by {
	u64 task, budget, runtime, entered;
};
enum task_from task_from_of(const struct task_thread *t, const struct task_by *by);
