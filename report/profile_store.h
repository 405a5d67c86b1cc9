/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * profile_store.h: distinct frames and stacks of a profile while it is added up. Called by profile.c alone; the formats read what profile_store_finish() makes.
 *
 * Invariant: a row is counted under a key of ids; names are looked up once for each frame, list of frames and key, whatever the number of rows.
 */
#pragma once

#include <sqlite3.h>

#include "base/strtab.h"
#include "base/u64map.h"
#include "report/profile.h"

/* What a stack is made of, outermost first. Without padding: its bytes are a key. Frames are numbers from profile_store_own(), 0 none. */
struct profile_key {
	u32 front[2];
	u64 stack_id, kstack_id; /* 0 none */
	u64 is_wait;		 /* 1: what took the stack, at a switch, stands on top of it: no part of what is told */
	u32 leaf;
	u32 behind[3];			     /* of whoever woke it: "--", then the two stacks below, then the rest */
	u64 waker_stack_id, waker_kstack_id; /* innermost frame in front: it stands next to the wait that it ended; 0 none */
};

struct profile_store {
	struct strtab *texts; /* every text of every frame */
	sqlite3_stmt *status, *parts, *list, *frame;
	struct profile_frame *frames; /* number - 1 */
	u32 n_frames;
	size_t cap_frames;
	u32 *own; /* frames that are no code, by index in texts: their number */
	size_t cap_own;
	u32 *of_wakers; /* by number of a frame: its like in stacks of wakers; 0 none yet */
	size_t cap_of_wakers;
	struct u64map frames_of; /* frame.id * 2 + kernel -> run in code */
	struct u64map lists_of;	 /* list_id * 2 + kernel -> run in code */
	u32 *code;		 /* numbers of frames, innermost first */
	size_t n_code, cap_code;
	struct strtab *keys;
	struct profile_weight {
		u64 samples, ns, count;
	} * weights; /* by index in keys */
	size_t cap_weights;
	u32 *ranks; /* of all stacks, one behind the other, while they are sorted; then the positions that profile.stacks points to */
};

/* Returns 0 or -errno. Release in any case. */
int profile_store_init(struct profile_store *s, sqlite3 *db) __must_check;
void profile_store_release(struct profile_store *s);

/* The number of a frame that is no code; the text is copied, "" is "?". -ENOMEM. */
int profile_store_own(struct profile_store *s, const char *name, u32 *ret) __must_check;

/* Adds one event (a wait, or that many samples) to a stack; nothing when it weighs nothing. -ENOMEM. */
int profile_store_add(struct profile_store *s, const struct profile_key *k, u64 samples, u64 ns) __must_check;

/* Spells the stacks out: frames, stacks and totals of *p, which points into the store from then on. */
int profile_store_finish(struct profile_store *s, struct profile *p) __must_check;
