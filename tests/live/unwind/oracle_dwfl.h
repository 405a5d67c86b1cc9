/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* oracle_dwfl.h: walks by libdwfl over an oracle_record: same registers, same memory. */
#pragma once

#include "base/base.h"
#include "tests/live/unwind/oracle_wire.h"

struct oracle_dwfl;

/* Of a live process. 0, or -errno; libdwfl's own words on stderr. */
int oracle_dwfl_open(u32 pid, struct oracle_dwfl **ret) __must_check;
struct oracle_dwfl *oracle_dwfl_close(struct oracle_dwfl *o); /* accepts NULL, returns NULL */
/* Look at the process's mappings again. */
int oracle_dwfl_refresh(struct oracle_dwfl *o) __must_check;

struct oracle_stack {
	u64 frames[WIRE_MAX_FRAMES + 64];
	u32 n;
	bool no_cfi; /* the last frame's pc has no call frame information: what libdwfl guesses beyond it was cut */
	bool ended;  /* libdwfl says that there is no further frame */
};

void oracle_dwfl_walk(struct oracle_dwfl *o, const struct oracle_record *e, struct oracle_stack *ret);

/* "function+0x12 (module)" of an address, into buf. */
void oracle_dwfl_describe(struct oracle_dwfl *o, u64 pc, char *buf, size_t n);
