/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* export_stacks.h: how stacks are written as text: one line for an args panel, and the names of folded stacks. */
#pragma once

#include "base/buf.h"
#include "report/view_stack.h"

/*
 * A stack as "a < b < c", innermost first, frames of the runtime and std as "..", behind what b holds: to be read in an args panel.
 * 16 frames at most. 0 or -ENOMEM.
 */
int stack_line(const struct vstack *s, bool kernel, struct buf *b) __must_check;

/*
 * One frame of a folded stack: clean, without ';', and not ending in a blank and digits (which would be read as a count).
 * malloc'ed; -ENOMEM.
 */
int folded_name(const char *raw, const char *suffix, char **ret) __must_check;
