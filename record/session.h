/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* session.h: one recording from first to last: load, attach, run, drain, finish. */
#pragma once

#include "base/base.h"
#include "record/embed.h"
#include "record/marker.h"
#include "record/target.h"
#include "record/task_probes.h"

struct session_opts {
	struct target_list targets;
	char **command;	    /* -- CMD ARGS, NULL-terminated; NULL = none */
	const char *output; /* path; "-" is standard output */
	bool force;	    /* overwrite output */
	enum embed embed;   /* names put into it when it is closed */
	u64 max_size;	    /* bytes of it; 0 = no limit */
	struct marker_list markers;
	u64 duration_ns; /* 0 = until stopped */
	u64 sample_freq; /* Hz; 0 = no samples */
	bool all_stacks;
	bool waker_stacks;
	bool store_cmdline;
	bool quiet;
	struct task_probes_opts tasks;
	u64 ring_bytes;
	int compress_level;
};

/* Records. Returns the exit code: 0, 1 after it said why, 3 when the capture is there but something was lost. */
int session_run(const struct session_opts *o) __must_check;
