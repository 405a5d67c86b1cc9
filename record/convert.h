/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* convert.h: wire records to format rows: the one place where the structs of the kernel side and those of the file meet. */
#pragma once

#include "base/base.h"
#include "bpf/ascope_wire.h"
#include "format/fmt_writer.h"
#include "record/catalog.h"

/* What a thread's last switch said. */
struct convert_thread {
	u64 ts, exec; /* of the last switch-out */
	u32 switches;
	bool is_out;
};

/* Zero-initialise but for cat and w; convert_release() at the end. */
struct convert {
	struct catalog *cat;
	struct fmt_writer *w;
	struct convert_thread *threads; /* by thread index */
	size_t cap_threads;
	bool (*find_stack)(void *ctx,
			   u64 hash); /* may have convert_record() called with a stack that is still to come; NULL: none is */
	void *find_ctx;
	/* polls return to addr, where no probe is; NULL: nobody asks */
	void (*poll_returns)(void *ctx, u32 tgid, u32 module, u64 addr);
	void *returns_ctx;
	u64 last_ts;	    /* of the last record taken */
	u64 bad_records;    /* too short for their kind, or of no known kind */
	u64 stacks_missing; /* events whose stack record never came */
};

void convert_release(struct convert *cv);

/* The records of tasks (WIRE_TASK_*), whole ones: convert_record() calls it. */
int convert_task(struct convert *cv, const struct wire_hdr *h) __must_check;

/* Writes the rows of one record. WIRE_CORE is not for the file and is ignored. 0 or the writer's error. */
int convert_record(struct convert *cv, const struct wire_hdr *h, size_t size) __must_check;

/*
 * Fills the eight context columns (FMT_CTX_COLS, from ctx_status on) of a row: `cols` points to its ctx_status.
 */
void convert_ctx(struct catalog *cat, struct cat_process *p, u32 thread, const struct wire_ctx *x, u64 *cols);

/* The kernel side's rule which waits are idle ones (tokio.bpf.h), for threads looked at from outside. */
bool convert_is_idle(const struct wire_ctx *x);
