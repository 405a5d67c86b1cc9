/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * oncpu_stats.h: time on the CPU of the threads that were asked for: exactly, as the scheduler has it, and by samples, which tell what was
 * executed. Memory goes with distinct stacks and functions, not with samples.
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "report/frame_kind.h"
#include "report/thread_spans.h"
#include "report/view_head.h"

struct on_thread {
	const struct tl_thread *t;
	u64 wall, on_cpu;		 /* ns, by the scheduler; on_cpu is only what a switch-in and a switch-out tell */
	u64 samples, in_kernel, in_poll; /* samples; of them in the kernel, in polls */
};

struct on_function {
	char *name;	      /* path without generic arguments; "orders (no name)" for code without */
	char *label;	      /* the same for people, clean */
	char *place;	      /* where it stands, clean: of the sample that was seen first; "" unknown */
	const char *category; /* as on_category.name; borrowed */
	bool has_kind;
	enum frame_kind kind;
	u64 self, total; /* samples in its own code; with what it called */
	u64 seen_in;	 /* 1 + the stack that counted for total last */
};

/* Code by the table of libraries: user, a category of it, else std, runtime, native, jit, kernel, library; unknown. */
struct on_category {
	const char *name; /* borrowed */
	u64 self;	  /* samples in its own code */
	u64 with_called;  /* samples in it, or in code of std, the system or the kernel that it called */
};

struct oncpu_stats {
	struct tl_threads threads;
	struct on_thread *rows;	       /* of threads, likewise ordered */
	struct on_thread all;	       /* their sum; t is NULL */
	u64 period;		       /* ns between samples; 0: not sampled */
	u64 no_stack;		       /* samples without any frame */
	u64 stacks;		       /* distinct ones */
	struct on_function *functions; /* most self first */
	size_t n_functions;
	struct on_category *categories; /* most with_called first */
	size_t n_categories;
	struct library_table *own_table; /* NULL: o->libraries was used */
};

/* Filters of o: pid, tid, comm, task (then rows[].on_cpu is of all of the thread). The caller releases *ret. */
int oncpu_stats_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f,
		     struct oncpu_stats *ret) __must_check;
void oncpu_stats_release(struct oncpu_stats *s);
#define _cleanup_oncpu_stats_ _cleanup_(oncpu_stats_release)
