/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* view_offcpu.h: what text and JSON of `ascope report --offcpu` share. */
#pragma once

#include "report/offcpu_stats.h"

#define OFFCPU_WAKER_NAME 96 /* bytes of a waker's name */

/* "orders (tid 547)", "interrupt", "not seen", "tid 12, no target": clean. */
int offcpu_waker_name(sqlite3 *db, const struct off_waker *w, char *buf, size_t n) __must_check;
