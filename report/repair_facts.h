/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * repair_facts.h: what a capture that `ascope check --repair` wrote says of that: totals `repaired.*` (FORMAT.md, total), sums over
 * all repairs it went through.
 */
#pragma once

#include "base/base.h"

/* X(member, key): in the order in which they are written */
#define REPAIR_FACTS(X)                                                                                                          \
	X(blocks, "repaired.blocks")                                                                                             \
	X(blocks_lost, "repaired.blocks_lost")                                                                                   \
	X(records_lost, "repaired.records_lost")                                                                                 \
	X(bytes, "repaired.bytes")                                                                                               \
	X(bytes_lost, "repaired.bytes_lost")                                                                                     \
	X(not_closed, "repaired.not_closed")

#define REPAIR_MEMBER(member, key) u64 member;
struct repair_facts {
	REPAIR_FACTS(REPAIR_MEMBER)
};
#undef REPAIR_MEMBER

#define REPAIR_KEYS (sizeof(struct repair_facts) / sizeof(u64))

/* Takes the value of a total when its key is one of these. */
bool repair_facts_note(struct repair_facts *f, const char *key, u64 value);

/* The i-th key and its value; i below REPAIR_KEYS. */
const char *repair_facts_key(u32 i);
u64 repair_facts_value(const struct repair_facts *f, u32 i);

/* The file was repaired at least once. */
static inline bool repair_facts_any(const struct repair_facts *f)
{
	return f->blocks != 0 || f->not_closed != 0;
}
