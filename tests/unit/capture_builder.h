/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * capture_builder.h: small captures for tests, written through format/fmt_writer.h, and the database they load into. Every
 * failure fails the test. A fresh builder holds one process (1, pid 1000), one thread (1, tid 1001), one module (1) mapped at
 * CB_CODE, one Tokio layout (1) and its contexts.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "format/fmt_writer.h"

#define CB_CODE		    0x10000ULL /* module 1 is mapped here, file offset 0x1000 on, CB_CODE_SIZE bytes */
#define CB_CODE_SIZE	    0x100000ULL
#define CB_CONTEXT_MT	    1		  /* worker 3 of a multi-thread runtime, tick proven from the start */
#define CB_CONTEXT_CT	    2		  /* a current_thread runtime, tick proven */
#define CB_CONTEXT_UNPROVEN 3		  /* worker 0 of a multi-thread runtime whose tick is not proven */
#define CB_START	    1000000000ULL /* ts_start, ns */
#define CB_BUDGET	    129		  /* coop budget: all 128 units left */

struct capture_builder {
	char path[64];
	int fd;
	struct fmt_writer *w;
	u64 next_string, next_stack;
};

void cb_init(struct capture_builder *cb);    /* a file in /tmp and the entries above */
void cb_release(struct capture_builder *cb); /* removes the file and its database */

void cb_row(struct capture_builder *cb, enum fmt_kind_id kind, const void *row);
u64 cb_string(struct capture_builder *cb, const char *s);
void cb_meta(struct capture_builder *cb, const char *key, const char *value);
void cb_end(struct capture_builder *cb, u64 ts); /* when the recording ended; without it, at its last event */
void cb_total(struct capture_builder *cb, const char *key, u64 value);
u64 cb_stack(struct capture_builder *cb, enum fmt_stack_kind kind, const u64 *addrs, u32 n); /* its index */
/* The same with how its walk ended, and 1 + the first frame found by a frame pointer (0 none). */
u64 cb_stack_ended(struct capture_builder *cb, const u64 *addrs, u32 n, u64 status, u64 fp_from);
/* A perf map of the process, in pieces of `size` bytes. */
void cb_perfmap(struct capture_builder *cb, u64 process, const char *text, size_t size);
void cb_flush(struct capture_builder *cb);
void cb_finish(struct capture_builder *cb);  /* footer and all; the file is closed */
void cb_abandon(struct capture_builder *cb); /* as a killed recorder leaves it: flushed, no footer */

/* Loads the finished file into a database in memory, symbols of user code apart. */
sqlite3 *cb_load(struct capture_builder *cb);
void cb_refine(sqlite3 *db); /* refine_run() with the built-in libraries */

/* First column of the first row; fails the test when there is none. */
s64 cb_int(sqlite3 *db, const char *sql);

/* All rows, columns joined by `|`, rows by newline, NULL as `-`. Valid until the next call. */
const char *cb_text(sqlite3 *db, const char *sql);

void cb_rows(sqlite3 *db, const char *sql, const char *rows); /* cb_text() must give these rows */

/* Finishes the capture when it is not, loads it, compares, closes. */
void cb_expect(struct capture_builder *cb, const char *sql, const char *rows);

/* cmocka's setup and teardown for tests whose state is a struct capture_builder. */
int cb_setup(void **state);
int cb_teardown(void **state);
