/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* probe_facts.c: see probe_facts.h. */
#include "report/probe_facts.h"

#include <string.h>

const char *probe_fact_name(enum probe_fact g)
{
#define PROBE_FACT_NAME(name) [PROBE_FACT_##name] = #name,
	static const char *const names[] = {PROBE_FACTS(PROBE_FACT_NAME)};
#undef PROBE_FACT_NAME

	return names[g];
}

/* The value for a key behind a prefix; NULL for others. */
static u64 *value_of(u64 values[PROBE_FACT_COUNT], const char *key, const char *prefix)
{
	size_t n = strlen(prefix);

	if (strncmp(key, prefix, n) != 0)
		return NULL;
	for (u32 g = 0; g < PROBE_FACT_COUNT; g++)
		if (strcmp(key + n, probe_fact_name((enum probe_fact)g)) == 0)
			return &values[g];
	return NULL;
}

bool probe_facts_note(struct probe_facts *f, const char *key, u64 value)
{
	u64 *v = value_of(f->taken, key, "probes.taken.");

	if (!v)
		v = value_of(f->impossible, key, "probes.impossible.");
	if (!v && strcmp(key, "tasks.list_unknown") == 0)
		v = &f->list_unknown;
	if (v)
		*v = value;
	return v != NULL;
}
