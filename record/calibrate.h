/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * calibrate.h: finds, from live bytes, at which offset of a scheduler Core its tick lies. Tables cannot be trusted here: the offset moves with Tokio's
 * version and with cargo features, and a wrong one makes many polls look like one (35-blocking.md section 2). Pure: tests feed it.
 *
 * What is known of the tick (multi_thread/worker.rs Context::run, current_thread/mod.rs CoreGuard::block_on, 1.29 - 1.54):
 *  - it is a u32 that only grows, by one per turn of the scheduler's loop;
 *  - a turn begins with it, so it grows between a poll and the next park, and (multi-thread) between a park and the next poll;
 *  - it grows between polls of different tasks that no park separates (LIFO follow-ups and a LocalSet's tasks excepted): counters of parks do not;
 *  - it is 4 bytes wide and its neighbour is another field that is not 0: the metrics' counters, one of which grows just like it in a
 *    program that parks after every poll, are 8 bytes wide and their upper half stays 0.
 * Better no answer than a wrong one: two offsets that fit, or one that may be a counter's half, are no answer.
 */
#pragma once

#include "base/base.h"
#include "bpf/ascope_wire.h"

#define CALIBRATE_WORDS (WIRE_CORE_BYTES / 4)
#define CALIBRATE_CORES 64

struct calibrate_core {
	u64 addr; /* of the Core; 0 a free place */
	u64 ts;
	u64 task;
	u8 state; /* enum core_state */
	u32 words[CALIBRATE_WORDS];
};

/* One per process image and flavor. All zero is the start. */
struct calibrate {
	bool dead[CALIBRATE_WORDS];	  /* offsets ruled out, index = offset / 4 */
	bool upper_used[CALIBRATE_WORDS]; /* the word behind it was seen to be other than 0 */
	u32 turned[CALIBRATE_WORDS];	  /* grew between two polls with no park between */
	u32 park_edges;			  /* park -> poll and poll -> park pairs seen */
	u32 free_edges;			  /* poll -> poll pairs of different tasks with no park between */
	bool is_current_thread;
	u64 records;
	struct calibrate_core cores[CALIBRATE_CORES];
	u32 next_core; /* place to reuse when all are taken */
};

/*
 * Takes one record. Returns the proven offset in bytes, or -EAGAIN while the evidence does not single one out.
 */
int calibrate_add(struct calibrate *c, const struct wire_core *e) __must_check;
