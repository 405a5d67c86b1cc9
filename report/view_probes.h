/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* view_probes.h: what of the target's tasks was watched, for how long, and what was not: the reports of tasks end with it. */
#pragma once

#include <sqlite3.h>
#include <stdio.h>

#include "base/json.h"
#include "report/view.h"
#include "report/view_head.h"

/* Section PROBES: a line for each group; nothing when the capture says nothing of probes. */
int view_probes(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, FILE *out) __must_check;

/* "probes": [...] of an open JSON object. */
int view_probes_json(sqlite3 *db, struct json *j) __must_check;
