/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * facts.h: what a capture says of its own making: rows of the kinds `meta` and `total` (FORMAT.md section 6 lists the keys).
 * The first error sticks: after it nothing is written, and facts_err() tells it once for all.
 */
#pragma once

#include "base/base.h"
#include "format/fmt_writer.h"
#include "record/catalog.h"
#include "record/kernel_side.h"
#include "record/tally.h"
#include "record/task_lists.h"

struct facts {
	struct fmt_writer *w; /* borrowed, as is cat */
	struct catalog *cat;
	int err;
};

int facts_err(const struct facts *f) __must_check;

void facts_meta(struct facts *f, const char *key, const char *value);
void facts_meta_u64(struct facts *f, const char *key, u64 value);
void facts_total(struct facts *f, const char *key, u64 value);

void facts_host(struct facts *f);			/* ascope, host, kernel */
void facts_counters(struct facts *f, const u64 *stats); /* what the kernel side sent and lost: WIRE_STATS entries */
void facts_rings(struct facts *f, const struct kernel_side *k);
void facts_unwind(struct facts *f, const u64 *stats,
		  struct unwind_tables_counts t);	       /* how user stacks were walked, and by what */
void facts_tasks(struct facts *f, struct task_lists_counts n); /* which runtimes' tasks were seen when they were met */
void facts_cost(struct facts *f, const struct kernel_side *k); /* the recorder's own price */
/* What the events say taken together; behind the last of them. */
void facts_records(struct facts *f, const struct tally *t);
