/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * repair.h: writes what is intact of a damaged capture as a capture that is sound. Every block whose payload holds is passed
 * through byte for byte under a new header: nothing is interpreted again, and kinds of a later version survive. What is new is
 * numbers, copies and footer, a gap where events are missing, and totals `repaired.*` that say what was lost; the uuid stays, for
 * it is the same recording.
 */
#pragma once

#include "report/check.h"

struct repair_result {
	u64 blocks, bytes; /* in OUT */
	struct repair_facts facts;
};

/*
 * path was read into `found` (check_run); out is made 0600, or replaced with force. On failure it has said why on stderr, leaves no
 * new file and returns a negative errno.
 */
int repair_file(const char *path, const struct check *found, const char *out, bool force, struct repair_result *ret) __must_check;
