/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stack_status.h: how the walk of a user stack ended, in the words of the database and JSON and in those of people. The one table
 * of it, for the loader, the verdict, `ascope info` and the views.
 */
#pragma once

#include "base/base.h"
#include "format/fmt_def.h"

/*
 * Statuses are those of enum fmt_stack_status; 0 stands for a stack that was not walked: only the address that was interrupted is
 * known.
 */
#define STACK_LEAF_ONLY 0
#define STACK_STATUSES	FMT_STACK_STATUS_END /* one above the last */

/* The status of a stack entry of a capture: one of 1..9; what is neither (a later version's, a damaged column) is not whole for all that is known. */
static inline u64 stack_status_of_entry(u64 status)
{
	return status >= FMT_STACK_WHOLE && status < STACK_STATUSES ? status : FMT_STACK_TRUNCATED;
}

/* "whole", "truncated", ..., "leaf_only"; status below STACK_STATUSES, as in all that follows. Static. */
const char *stack_status_name(u64 status);

/* The status of a name, STACK_STATUSES for any other text. */
u64 stack_status_of(const char *name);

/* Why the walk ended early, to be put behind a place: "no unwind table". For a whole stack "whole". Static. */
const char *stack_status_why(u64 status);

/* A walk that is known not to have reached the outermost frame: every status but whole and frame_pointers, which cannot tell. */
bool stack_status_is_cut(u64 status);

/* Speaks for or against the capture: not one by frame pointers, which cannot tell, nor one of a program that was being loaded, when nobody can. */
bool stack_status_is_judged(u64 status);

/* The outermost frame that was found is where it went wrong: its module is worth naming. */
bool stack_status_has_culprit(u64 status);
