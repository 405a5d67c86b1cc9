/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* load_write.h: dictionary tables of the database: process, thread, module, mapping, meta, total, gap, loss. Called by load.c. */
#pragma once

#include "report/db.h"
#include "report/load_dict.h"
#include "report/load_perfmap.h"

/* Database id of the module row that stands for the kernel: behind all others. */
u64 load_kernel_module_id(const struct load_dict *d);

/* Before the events: modules (the kernel's included) and mappings, meta, totals, gaps. */
int load_write_modules(const struct load_dict *d, sqlite3 *db) __must_check;
int load_write_facts(const struct load_dict *d, sqlite3 *db) __must_check;

/*
 * After the events, which tell ends and names, and name threads of which no entry survived. ts_start, ns: for processes whose
 * start is unknown.
 */
int load_write_tasks(const struct load_dict *d, sqlite3 *db, u64 ts_start) __must_check;

/* What could be read of the perf maps, into meta; nothing when there is none. */
int load_write_perfmaps(sqlite3 *db, const struct perfmap_set *maps) __must_check;

/* Table throttle. */
int load_write_throttles(const struct load_dict *d, sqlite3 *db) __must_check;

/* One row of loss; nothing when count is 0. Of what is there and this the larger count stays. */
int load_write_loss(sqlite3 *db, const char *cause, u64 count) __must_check;

/*
 * The loss of events: for each cause the larger of total lost.CAUSE and the sum of its gaps. The sum over causes goes to
 * *ret_lost.
 */
int load_write_lost_events(const struct load_dict *d, sqlite3 *db, u64 *ret_lost) __must_check;
