/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* html_latency.h: how long polls took, and how long woken tasks waited for theirs, as histograms for the HTML report. */
#pragma once

#include <sqlite3.h>

#include "base/json.h"
#include "report/view_head.h"

/*
 * Key "latency" of an open object: "polls" and, where wakes were recorded (else null), "delays": {"count", "sum_ns", "max_ns", "bins": [number, count, ...]}. Bin n < 16
 * holds the value n; bin n from 16 on holds [(16 + n % 16) << s, (17 + n % 16) << s) ns with s = n / 16 - 1. "exact": polls are all that
 * were (record --polls); else those that were caught at two instants.
 */
int html_latency_put(sqlite3 *db, const struct capture_facts *f, struct json *j) __must_check;
