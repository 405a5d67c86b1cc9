/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bundle_frames.h: which code of which modules is in the stacks of a capture, makes its types of tasks or spawns them: what `ascope bundle` must find names for. Told by the file
 * itself, without a database; every frame that load_stack.c could make of a stack is here, whichever mapping it takes.
 *
 *	frame_set_init()            after load_dict_read()
 *	frame_set_block()           each block of events: which stacks they use, and which addresses were interrupted
 *	frame_set_conclude()        stacks -> places; sorts
 */
#pragma once

#include "report/load_dict.h"

struct frame_place {
	u64 module; /* index in the capture */
	u64 key;    /* load_symbols_key() */
};

struct frame_set {
	struct load_dict *d;	  /* borrowed; mappings are sorted */
	u64 *max_end;		  /* per mapping: the largest end among those of its process up to it */
	struct u64map first_of;	  /* process index -> its first mapping */
	struct u64map stack_slot; /* slot in d->stacks of each stack that events use -> how its innermost address is looked up */
	struct u64map *seen;	  /* per process slot: address * 2 + is_return */
	struct frame_place *places;
	size_t n, cap;
};

/* d outlives the set. 0 or -ENOMEM; release in any case. */
int frame_set_init(struct frame_set *f, struct load_dict *d) __must_check;
int frame_set_block(struct frame_set *f, const struct fmt_block *b) __must_check;
/* Sorts places by module and key; each is there once. Modules without an id that a file could be compared with are left out. */
int frame_set_conclude(struct frame_set *f) __must_check;

/* The place of an instruction, in the latest of the mappings that hold it, when its module has an id; false: there is none. */
bool frame_set_find(const struct frame_set *f, u64 process, u64 addr, struct frame_place *ret);

void frame_set_release(struct frame_set *f);
