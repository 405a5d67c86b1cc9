/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * probe_facts.h: what a capture says of probes that were taken away or could not be had: totals `probes.*` and `tasks.list_unknown` (FORMAT.md, total), for the
 * verdict. Totals, not rows of kind probe, because `ascope info` does not read events.
 */
#pragma once

#include "base/base.h"

/* X(name as in kind probe): those that --polls and --wakes ask for first */
#define PROBE_FACTS(X)                                                                                                           \
	X(schedule)                                                                                                              \
	X(poll)                                                                                                                  \
	X(poll_end)                                                                                                              \
	X(spawn)                                                                                                                 \
	X(bind)                                                                                                                  \
	X(blocking)                                                                                                              \
	X(complete)                                                                                                              \
	X(dealloc)

#define PROBE_FACT_ENUM(name) PROBE_FACT_##name,
enum probe_fact { PROBE_FACTS(PROBE_FACT_ENUM) PROBE_FACT_COUNT, PROBE_FACT_DETAIL = PROBE_FACT_spawn };
#undef PROBE_FACT_ENUM

struct probe_facts {
	u64 taken[PROBE_FACT_COUNT];	  /* ns since the recording began, of when the governor first took one away; 0 never */
	u64 impossible[PROBE_FACT_COUNT]; /* files and processes where they were not possible */
	u64 list_unknown;		  /* runtimes whose list of tasks could not be read */
};

/* Takes the value of a total when its key is one of these. */
bool probe_facts_note(struct probe_facts *f, const char *key, u64 value);
const char *probe_fact_name(enum probe_fact g); /* static */
