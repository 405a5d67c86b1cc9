/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* schedule_split.h: the places of PROBE_SCHEDULE in one mapped file, each moved along where it can be (schedule_place.h), by what a probe finds there. */
#pragma once

#include "base/base.h"
#include "record/catalog.h"
#include "record/schedule_place.h"

struct schedule_split {
	struct {
		u64 *offsets; /* in the file, each once */
		u32 n;
	} part[SCHEDULE_HOWS];
};

/* offsets: of functions' entries in the module's file, which the process has mapped. 0 or -ENOMEM, and nothing to be released. */
int schedule_split(struct cat_process *p, u32 module, const u64 *offsets, u32 n, struct schedule_split *ret) __must_check;
void schedule_split_release(struct schedule_split *s);
