/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* repair_facts.c: see repair_facts.h. */
#include "report/repair_facts.h"

#include <string.h>

static const struct {
	const char *key;
	size_t off;
} members[] = {
#define REPAIR_ROW(member, key) {key, offsetof(struct repair_facts, member)},
	REPAIR_FACTS(REPAIR_ROW)
#undef REPAIR_ROW
};

u64 repair_facts_value(const struct repair_facts *f, u32 i)
{
	u64 v;

	memcpy(&v, (const u8 *)f + members[i].off, sizeof(v));
	return v;
}

bool repair_facts_note(struct repair_facts *f, const char *key, u64 value)
{
	for (u32 i = 0; i < REPAIR_KEYS; i++) {
		if (strcmp(members[i].key, key) != 0)
			continue;
		value = max_u64(value, repair_facts_value(f, i)); /* sums only grow: the latest is the greatest */
		memcpy((u8 *)f + members[i].off, &value, sizeof(value));
		return true;
	}
	return false;
}

const char *repair_facts_key(u32 i)
{
	return members[i].key;
}
