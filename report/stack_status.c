/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* stack_status.c: see stack_status.h. */
#include "report/stack_status.h"

#include <string.h>

#include "format/fmt_schema.h"

static const struct {
	const char *why;
	bool is_cut, is_judged, has_culprit;
} statuses[STACK_STATUSES] = {
	[STACK_LEAF_ONLY] = {"not walked", true, true, false},
	[FMT_STACK_WHOLE] = {"whole", false, true, false},
	[FMT_STACK_TRUNCATED] = {"at the limit of frames", true, true, false},
	[FMT_STACK_NO_TABLE] = {"no unwind table", true, true, true},
	[FMT_STACK_FAULT] = {"stack memory not readable", true, true, true},
	[FMT_STACK_FP] = {"walked by frame pointers", false, false, false},
	[FMT_STACK_NO_MAPPING] = {"in no known file", true, true, false},
	[FMT_STACK_BAD_RULE] = {"unwind rule that cannot be followed", true, true, true},
	[FMT_STACK_BROKEN] = {"stack pointer led nowhere", true, true, true},
	[FMT_STACK_STARTING] = {"while the program was being loaded", true, false, false},
};

const char *stack_status_name(u64 status)
{
	return status == STACK_LEAF_ONLY ? "leaf_only" : fmt_stack_status_name(status);
}

u64 stack_status_of(const char *name)
{
	for (u64 i = 0; name && i < STACK_STATUSES; i++)
		if (strcmp(stack_status_name(i), name) == 0)
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

bool stack_status_is_judged(u64 status)
{
	return statuses[status].is_judged;
}

bool stack_status_has_culprit(u64 status)
{
	return statuses[status].has_culprit;
}
