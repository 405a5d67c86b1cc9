/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* stack_status.c: see stack_status.h. */
#include "report/stack_status.h"

#include <string.h>

static const struct {
	const char *name, *why;
	bool is_cut, has_culprit;
} statuses[STACK_STATUSES] = {
	[STACK_LEAF_ONLY] = {"leaf_only", "not walked", true, false},
	[FMT_STACK_WHOLE] = {"whole", "whole", false, false},
	[FMT_STACK_TRUNCATED] = {"truncated", "at the limit of frames", true, false},
	[FMT_STACK_NO_TABLE] = {"no_table", "no unwind table", true, true},
	[FMT_STACK_FAULT] = {"fault", "stack memory not readable", true, true},
	[FMT_STACK_FP] = {"frame_pointers", "walked by frame pointers", false, false},
	[FMT_STACK_NO_MAPPING] = {"no_mapping", "in no known file", true, false},
	[FMT_STACK_BAD_RULE] = {"bad_rule", "unwind rule that cannot be followed", true, true},
	[FMT_STACK_BROKEN] = {"broken", "stack pointer led nowhere", true, true},
	[FMT_STACK_STARTING] = {"starting", "while the program was being loaded", true, false},
};

const char *stack_status_name(u64 status)
{
	return statuses[status].name;
}

u64 stack_status_of(const char *name)
{
	for (u64 i = 0; name && i < STACK_STATUSES; i++)
		if (strcmp(statuses[i].name, name) == 0)
			return i;
	return STACK_STATUSES;
}

const char *stack_status_why(u64 status)
{
	return statuses[status].why;
}

bool stack_status_is_cut(u64 status)
{
	return statuses[status].is_cut;
}

bool stack_status_has_culprit(u64 status)
{
	return statuses[status].has_culprit;
}
