/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* capture_scan_impl.h: what the two ways of reading a capture have in common: capture_scan.c (all of it), capture_quick.c. */
#pragma once

#include "report/capture_scan.h"

/* The value of a key, made with 0 when the key is new; NULL on ENOMEM. Valid until the next call for this table. */
u64 *scan_table_value(struct scan_table *t, u64 key);

/* Takes what a block says into the tables and counts. 0 or -ENOMEM. */
int capture_scan_block(struct capture_scan *s, const struct fmt_block *b) __must_check;

/* From tables and counts to losses and verdict. 0 or -ENOMEM. */
int capture_scan_conclude(struct capture_scan *s) __must_check;
