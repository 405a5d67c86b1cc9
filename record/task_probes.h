/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_probes.h: which code of which target is probed, from when to when. Probes go to every copy of Tokio as soon as it is known (at the start, behind an exec,
 * when a library is loaded), in every process that maps it; they go away when the process ends, when the governor says so (governor.h), and at the end. Each of
 * that becomes a row of kind `probe`. Used by record/session.c.
 *
 * By default only what happens once or twice in the life of a task is probed; nothing that happens at each poll.
 */
#pragma once

#include "base/base.h"
#include "record/catalog.h"
#include "record/facts.h"
#include "record/kernel_side.h"

struct task_probes_opts {
	bool off;     /* no probe at all */
	bool polls;   /* begin and end of every poll */
	bool wakes;   /* every wake that queues a task; and polls */
	u32 overhead; /* the share of the target's cpu time that probes may cost, hundredths of a percent; GOVERNOR_ALL: no limit */
};

/* The groups that may be attached, for struct kernel_side_opts. */
u32 task_probes_groups(const struct task_probes_opts *o);

struct task_probes;

/* All is borrowed. 0 or -ENOMEM. */
int task_probes_new(const struct task_probes_opts *o, struct catalog *c, struct kernel_side *k,
		    struct task_probes **ret) __must_check;
struct task_probes *task_probes_free(struct task_probes *tp); /* takes what is left away; accepts NULL, returns NULL */

/*
 * To be called at every turn, when copies of Tokio are up to date (discover_tick()), and before recording begins: attaches what is new, takes away what is over.
 * Errors of the writer stick in the catalog. 0 or -ENOMEM; that something cannot be probed is no error, but a row.
 */
int task_probes_tick(struct task_probes *tp, u64 now) __must_check;

/* A struct convert's poll_returns; ctx is the struct task_probes. */
void task_probes_returns(void *ctx, u32 tgid, u32 module, u64 addr);

/* The end, at ts: says what was still there, and takes it away. To be called when no more records are sent. */
void task_probes_end(struct task_probes *tp, u64 ts);

void task_probes_options(const struct task_probes *tp, struct facts *f); /* meta */
/* Totals, after the end. start: of the recording, CLOCK_MONOTONIC ns. */
void task_probes_facts(struct task_probes *tp, struct facts *f, u64 start);
/* On stderr, what the user did not get and why. */
void task_probes_say(const struct task_probes *tp, u64 start);
