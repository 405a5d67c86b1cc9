/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_probes_impl.h: what the two halves of task_probes.h share: task_probes.c does it (attach, take away), task_probes_say.c says it (rows, meta, totals, stderr).
 */
#pragma once

#include "record/governor.h"
#include "record/poll_end.h"
#include "record/task_probes.h"

#define BIT(group) (1U << (group))

struct probe;
struct probed;

struct task_probes {
	struct task_probes_opts o;
	struct catalog *cat;
	struct kernel_side *kernel;
	struct probe_points *points;
	struct link_closer *closer;
	struct probe *probes;
	u32 n;
	size_t cap;
	struct probed *probed;
	u32 n_probed;
	size_t cap_probed;
	struct governor_cpu cpu; /* of processes that ended since the last window */
	struct poll_ends ends;
	u64 ends_refused;
	struct governor governor;
	struct kernel_probe_hits seen[PROBE_GROUPS];
	u64 window_from;
	u64 first; /* when the first probe was attached */
	struct {
		struct governor_verdict v;
		u64 ts;
	} taken[PROBE_GROUPS];
	u32 n_taken;
	const char *impossible[PROBE_GROUPS]; /* the first reason; static text */
	u32 n_impossible[PROBE_GROUPS];
	u32 had; /* groups that were attached somewhere, ever */
};

/* A row of kind `probe`. */
struct probe_event {
	const struct cat_process *p; /* NULL: all */
	u32 module;
	enum probe_group group;
	enum fmt_probe_action action;
	u32 places;
	u64 ts;
	const char *why; /* NULL: none */
};

void probe_event_put(struct task_probes *tp, const struct probe_event *w);

/* It could not be done: a row, and it is counted. why is static text. */
void probe_event_impossible(struct task_probes *tp, const struct cat_process *p, u32 module, enum probe_group group,
			    const char *why);

/* For an error of kernel_side_probe(); static text. */
const char *probe_event_why_not(const struct task_probes *tp, int err);

/* Why the governor takes a group away. */
void probe_event_why(const struct task_probes *tp, const struct governor_verdict *v, enum governor_why why, char *text,
		     size_t size);
