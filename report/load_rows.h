/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * load_rows.h: rows of off-CPU intervals and samples -> tables _offcpu, _wait, _sample, _sample_kind (schema.sql has their contract). Called by
 * load_events.c for every row: what is text goes into the small tables once.
 */
#pragma once

#include "base/u64map.h"
#include "report/db.h"
#include "report/intervals.h"

struct row_writer {
	sqlite3 *db; /* borrowed */
	sqlite3_stmt *ins_offcpu, *ins_sample, *ins_wait, *ins_kind;
	struct u64map waits, kinds; /* what makes a row of _wait, _sample_kind -> its id */
};

/* Release in any case. 0 or negative errno. */
int row_writer_init(struct row_writer *w, sqlite3 *db) __must_check;
void row_writer_release(struct row_writer *w);

/* Ids count all rows, whether or not they are written. */
int row_writer_offcpu(struct row_writer *w, u64 id, const struct offcpu_row *row) __must_check;
int row_writer_sample(struct row_writer *w, u64 id, const struct sample_row *row) __must_check;
