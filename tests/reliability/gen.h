/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * gen.h: captures made by program, the same for the same plan: every kind, references that resolve, columns of all shapes (constant, few values, growing,
 * in runs, random). For the tests of damage and of failing calls, for fuzzing and for the golden captures.
 */
#pragma once

#include "base/base.h"
#include "format/fmt_writer.h"

/* What a generated capture holds. */
struct gen_plan {
	u64 seed;
	u32 flushes; /* rounds, each ended by a flush */
	u32 entries; /* dictionary entries of each kind a round */
	u32 events;  /* events of each kind a round */
	bool dense;  /* values of all columns are drawn from 64 bits: few rows make many bytes that do not compress */
	bool finish; /* with footer and trailer; else as a killed recorder leaves it */
};

/* Where a generation stands: the next index of each dictionary kind, and the clock. */
struct gen {
	u64 rnd;
	u64 ts;		  /* CLOCK_MONOTONIC ns */
	u64 next_idx[32]; /* by kind id, from 1 */
	bool dense;
	const struct fmt_kind *only; /* NULL: all kinds */
};

/* A 64-bit generator (splitmix64): the same numbers in every run. */
u64 gen_random(u64 *state);

/* One row of a kind: fills row[0 .. n_cols) and the payload (bytes or u64, room for FMT_MAX_STRING bytes or FMT_MAX_FRAMES u64); returns its length. */
size_t gen_row(struct gen *g, const struct fmt_kind *kind, u64 *row, void *payload);

/* Rows of all kinds of a writer's capture. 0 or the writer's error. */
int gen_write(struct fmt_writer *w, const struct gen_plan *p) __must_check;

/* The whole capture into fd, at its start. uuid is made from the seed. 0 or -errno. */
int gen_capture(int fd, const struct gen_plan *p) __must_check;
