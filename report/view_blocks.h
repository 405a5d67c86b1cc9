/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view_blocks.h: the blocked polls that a report is about, as SQL (shared by the text, the JSON and the summary) and as rows.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "report/view_head.h"

/*
 * "WITH blk AS (...)": ?1 threshold (of what the poll held its worker: time waiting for a cpu is not its doing), ?2 and ?3 the window. The columns of view blocking, and
 *	place       function, when it is the user's or a library's; else the program's innermost code address without a name;
 *	            else function
 *	place_kind  as symbol.kind when place is a function; null for an address
 *	inside      the part of dur within the window
 * A poll belongs to the window when it overlaps it.
 */
#define BLOCKS_ADDRESS                                                                                                           \
	"(SELECT m.path || printf('+0x%x', f.file_off) FROM stack AS k JOIN process AS q ON q.id = k.process_id "                \
	"JOIN stack_frame AS sf ON sf.stack_id = k.id JOIN frame AS f ON f.id = sf.frame_id "                                    \
	"JOIN module AS m ON m.id = f.module_id AND m.path = q.exe WHERE k.id = b.stack_id "                                     \
	"AND NOT EXISTS (SELECT 1 FROM symbol AS s WHERE s.frame_id = f.id) ORDER BY sf.depth LIMIT 1)"
#define BLOCKS_CTE                                                                                                               \
	"WITH blk AS (SELECT b.*, "                                                                                              \
	"CASE WHEN p.kind IN ('user', 'library', 'jit') THEN b.function "                                                        \
	"ELSE coalesce(" BLOCKS_ADDRESS ", b.function, '(no stack)') END AS place, p.kind AS place_kind, "                       \
	"max(0, min(b.ts + b.dur, ?3) - max(b.ts, ?2)) AS inside "                                                               \
	"FROM blocking AS b LEFT JOIN stack_place AS p ON p.stack_id = b.stack_id "                                              \
	"WHERE b.dur_max >= ?1 AND b.held >= ?1 AND b.ts <= ?3 AND b.ts + b.dur >= ?2) "

/* Polls that hold a runtime, or (other) a root future's or a local set's, which hold nothing but themselves: never one number. */
enum block_group { BLOCKS_RUNTIME = 0, BLOCKS_OTHER = 1 };

struct block_totals {
	u64 count;
	u64 dur;    /* ns */
	u64 inside; /* ns of it within the window */
	u64 worst;  /* ns */
};

int block_totals_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, enum block_group group,
		      struct block_totals *ret) __must_check;

/* One line of BY PLACE. */
struct place {
	char *name, *file; /* raw; file NULL unknown */
	char *class_name;
	bool is_user; /* name is a function of the user's own */
	u64 line;
	u64 count, total, max, p99; /* durations in ns; p99 by nearest rank */
	bool queued_known;
	u64 queued; /* most tasks seen queued behind one of its blocks */
	bool victims_known, victims_in_part;
	u64 victims; /* tasks delayed by its blocks, of those of which that is known */
};

/*
 * The name for people, clean: the user's own function without its modules unless full; "orders+0x2400" without a name. malloc'ed;
 * -ENOMEM.
 */
int place_label(const struct place *p, bool full, char **ret) __must_check;

struct places {
	struct place *rows; /* most total time first */
	size_t n;
	u64 all; /* how many there are, listed or not */
};

int places_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, enum block_group group, u64 limit,
		struct places *ret) __must_check;
void places_release(struct places *p);
#define _cleanup_places_ _cleanup_(places_release)

/* One blocked poll; 0 and `has_` members say what is not known. */
struct block {
	u64 poll_id, ts, dur, dur_min, dur_max, off_cpu, on_cpu, runnable, waits, samples;
	char *class_name, *syscall, *holds, *state, *thread_name, *flavor, *tokio_version; /* raw, NULL when null */
	char *detail, *advice;								   /* likewise */
	u64 pid, tid, worker, runtime_id, task_id, stack_id, kstack_id, lifo, queued, cpu;
	bool has_worker, has_task, has_lifo, has_queued, has_cpu;
	u64 stopped;		      /* in between, not part of dur, ns */
	bool throttled;		      /* maybe, for its cgroup's cpu quota */
	u64 place_count, place_total; /* blocks at its place, itself included, and what they took, ns; BLOCKS_BY_PLACE only */
	u64 task_ids;		      /* 0: its Tokio keeps none, so that has_task says nothing */
	char *task_name, *spawn_function, *spawn_file; /* raw, NULL when null */
	u64 spawn_line, inject, lifo_end, queued_end, inject_end, victims, worst_delay, driver_stalled, thread_id;
	bool has_inject, has_end, has_victims, has_stalled; /* has_end: queues were read at its end, too */
};

struct blocks {
	struct block *rows;
	size_t n;
	u64 places; /* how many there are, listed or not; BLOCKS_BY_PLACE only */
};

enum block_list {
	BLOCKS_LONGEST,	 /* longest first */
	BLOCKS_BY_PLACE, /* of each place its longest one; the places in the order of places_load() */
};

/* limit 0 = all */
int blocks_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, enum block_group group,
		enum block_list list, u64 limit, struct blocks *ret) __must_check;
void blocks_release(struct blocks *b);
#define _cleanup_blocks_ _cleanup_(blocks_release)
