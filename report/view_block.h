/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* view_block.h: what is said of one blocked poll: its title, its task, and who paid for it. Shared by --blocking and --cascade. */
#pragma once

#include <stdio.h>

#include "report/view_blocks.h"

#define BLOCK_INDENT 4

struct block_text {
	const struct report_opts *o;
	const struct capture_facts *f;
	FILE *out;
};

/* A line "label    text", broken between words. */
void block_put_line(const struct block_text *v, const char *label, const char *text);

/* Number 0: "LONGEST" in its place. "#1  450.21 ms  sleep (clock_nanosleep)   worker 2 (tid 24038, cpu 1)   +3.214 s" */
int block_put_title(const struct block_text *v, const struct block *k, u64 number) __must_check;

/* "task 30  orders::api::handle_upload   spawned at src/main.rs:88", or that it is none */
int block_put_task(const struct block_text *v, const struct block *k) __must_check;

/* The one line of its stack that matters: "at  process_large_file  src/api.rs:142"; nothing without a stack. */
int block_put_where(const struct block_text *v, sqlite3 *db, const struct block *k) __must_check;

/* Who waited behind it: lines "paid by" and "driver"; nothing of what was not recorded. */
int block_put_paid_by(const struct block_text *v, const struct block *k) __must_check;

/*
 * Whether the task in a worker's LIFO slot can be taken by another worker; NULL (version not known): it may.
 * Source: tokio's changelog; design 35-blocking section 6.
 */
bool block_lifo_is_stealable(const char *tokio_version);

/* A line: `who`, the task's type and where it was spawned. Texts are raw; any but `who` may be NULL. */
int block_put_named(FILE *out, const struct report_opts *o, u32 indent, const char *who, const char *name, const char *function,
		    const char *file, u64 line) __must_check;
