/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sample_capture.h: a small capture of known contents for the tests of what reads captures, ways to spoil it, and a way to run a
 * command and see all it says. Files lie in a directory of their own that sample_release() removes.
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"

struct sample {
	char dir[64];
	char path[96]; /* dir/sample.ascope */
};

/* What differs from the plain sample: 3 data blocks, everything whole, nothing lost. */
struct sample_recipe {
	u64 lost;	   /* lost.ring_full total, and as much in a gap */
	bool lost_by_kind; /* the total is lost.ring_full.switch_out; the gap stays ring_full */
	bool no_totals;	   /* as if killed before they were written */
	u64 unread;	   /* switch-outs (of 1000) whose context could not be read */
	u64 no_table;	   /* of 10 user stacks, how many end for want of a table; each is that of 100 switch-outs */
	bool samples;	   /* 6 samples besides: 3 with callers (of stack 1, 2, 1), 2 without, 1 whose callers are lost */
	bool guessed;	   /* stack 1 was found by frame pointers from its second frame on */
	bool throttle;	   /* a cgroup, named as the program, ran out of cpu quota */
	bool no_events;
	bool no_close; /* the file ends behind the last data block */
	bool hostile_names;
};

/* Fails the test when it cannot make the file. */
void sample_make(struct sample *s, const struct sample_recipe *r);
void sample_release(struct sample *s);

void sample_cut(const struct sample *s, u64 size); /* truncates */
void sample_flip(const struct sample *s, u64 off); /* inverts one byte */
u64 sample_size(const struct sample *s);

/* What a command said. */
struct ran {
	int exit_code;
	struct buf out, err; /* NUL-terminated behind len */
};

/* argv is NULL-terminated, argv[0] the command's name. Runs in a child. */
void run_command(struct ran *r, int (*cmd)(int, char **), const char *const *argv);
void ran_release(struct ran *r);
