/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * governor.h: decides which groups of probes are worth what they cost the target. Arithmetic over what it is told, window by window (about 100 ms each): no
 * clock, no /proc, no kernel; record/task_probes.c feeds it and does what it says. A group that it has taken is never given back.
 *
 * What a probe costs is estimated: hits x (trap + program). Over the last GOVERNOR_SPAN that must stay within the share asked for of the cpu time that the
 * target's processes used, which includes the probes' own; but GOVERNOR_FLOOR of one cpu is always allowed, or an idle target would lose its probes to a
 * handful of hits.
 */
#pragma once

#include "base/base.h"
#include "record/probe_group.h"

enum {
	GOVERNOR_WINDOWS = 10,	   /* that are looked at together */
	GOVERNOR_ALL = 10000,	   /* share that is no limit */
	GOVERNOR_LEARN_MIN = 1000, /* spawns without a new pair of type and place, before their places count as learned */
	GOVERNOR_TRAP_NS = 1000,   /* of a hit, when it could not be measured */
};
#define GOVERNOR_WINDOW (100 * NSEC_PER_MSEC)
#define GOVERNOR_FLOOR	50 /* hundredths of a percent of one cpu */

enum governor_why { GOVERNOR_KEEP, GOVERNOR_OVER, GOVERNOR_USELESS, GOVERNOR_LEARNED };

struct governor_window {
	u64 ns;					       /* that it lasted */
	u64 cpu_ns;				       /* cpu time of the processes that have probes */
	u64 hits[PROBE_GROUPS], stepped[PROBE_GROUPS]; /* stepped: those of the hits that cost step_ns */
	u64 program_ns[PROBE_GROUPS];		       /* 0: not known, the table in governor.c holds */
	bool has_learned;			       /* the places of all spawns are known by their types (task_catalog.h) */
};

/* Cpu time that the processes used in a window, of those, too, that end in it: short-lived ones may be all that there are. */
struct governor_cpu {
	u64 ns; /* so far */
};

struct governor {
	u32 share;   /* what is allowed, hundredths of a percent; GOVERNOR_ALL: no limit */
	u64 trap_ns; /* of one hit, without the program */
	u64 step_ns; /* the same at a place where the kernel lets the thread make a step; 0: as trap_ns */
	u32 attached; /* bit 1 << group: those that have probes somewhere; set by the caller, who adds; governor_window() takes away */
	u32 taken;				    /* those that it has taken */
	u64 hits[PROBE_GROUPS], cost[PROBE_GROUPS]; /* in all; cost: ns */
	struct {
		u64 ns, cpu_ns, cost[PROBE_GROUPS];
	} past[GOVERNOR_WINDOWS];
	u32 n_past, next;
};

/* What is to go now. */
struct governor_verdict {
	u32 take;			     /* bit 1 << group; 0: all may stay */
	enum governor_why why[PROBE_GROUPS]; /* of those */
	u64 cost_ns, cpu_ns, ns;	     /* over the time looked at: of all probes; of the target; the time itself */
};

/* Of one process: what it has used by now, in all, ns; *seen is that of the last time. Less than that (0: not known, of one that has ended) adds nothing. */
void governor_cpu_add(struct governor_cpu *c, u64 *seen, u64 now);

/* The sum, for governor_window.cpu_ns; the next window begins at 0. */
u64 governor_cpu_take(struct governor_cpu *c);

struct governor_verdict governor_window(struct governor *g, const struct governor_window *w);

/* What a hit of a group costs, ns, by estimate, where the kernel emulates the instruction. */
u64 governor_hit_ns(const struct governor *g, enum probe_group group);
