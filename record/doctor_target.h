/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * doctor_target.h: one process as a recording would find it: its copies of Tokio, by the very code that the recorder uses (discover.h, tokio_points.h), and what
 * its threads are right now. For doctor_cmd.c.
 *
 * Without a kernel side only the files are read: where the runtime's context lies is then not known.
 */
#pragma once

#include <limits.h>

#include "base/base.h"
#include "record/catalog.h"
#include "record/kernel_side.h"
#include "record/tokio_points.h"

/* A file of the process that holds Tokio. */
struct doctor_copy {
	char path[PATH_MAX];
	bool is_program; /* the main program; else a library */
	struct tokio_elf elf;
	struct tokio_points points;
	int points_err;		     /* negative errno: the file could not be read for them */
	bool has_debug;		     /* it has .debug_info */
	u32 unwind_permille;	     /* of its code that has unwind rules */
	u64 start;		     /* address of its first executable mapping */
	const struct cat_copy *live; /* borrowed from the catalog; NULL: not looked at */
};

enum doctor_role {
	DOCTOR_OTHER,	 /* in no runtime, or an idle thread of the blocking pool: the context is the same */
	DOCTOR_WORKER,	 /* of a multi-thread runtime */
	DOCTOR_IN_PLACE, /* the same in block_in_place: another thread works meanwhile */
	DOCTOR_CURRENT,	 /* drives a current_thread runtime */
	DOCTOR_BLOCK_ON, /* waits in block_on of a multi-thread runtime */
	DOCTOR_BLOCKING, /* runs a closure of the blocking pool */
	DOCTOR_UNREAD,	 /* its context could not be read, or no layout is known */
	DOCTOR_ROLES,
};
const char *doctor_role_name(enum doctor_role r); /* "worker", ...: for programs */

struct doctor_thread {
	u32 tid;
	char comm[WIRE_COMM_LEN + 1];
	enum doctor_role role;
	u32 worker;   /* 1 + index; 0 none */
	u32 runtime;  /* number in doctor_target.runtimes; 0 none, else 1 + index */
	bool in_poll; /* of a task, or of what block_on runs */
	u64 task;     /* that it polls, or whose closure it runs; 0 none, or none that is a task of the program's */
};

struct doctor_runtime {
	u64 handle;
	bool is_multi; /* multi-thread; else current_thread */
	u32 workers;   /* threads that were seen as its workers, or drive it */
	u32 copy;      /* index in doctor_target.copies */
};

struct doctor_target {
	u32 pid;
	char comm[64];
	char exe[PATH_MAX];
	int err;		    /* negative errno: it could not be looked at */
	struct doctor_copy *copies; /* owned */
	u32 n_copies;
	struct doctor_runtime *runtimes; /* owned */
	u32 n_runtimes;
	struct doctor_thread *threads; /* owned; none without a kernel side */
	u32 n_threads;
	struct catalog *cat; /* owned; NULL without a kernel side */
	struct fmt_writer *w;
	struct cat_process *process;
};

/* Looks at a process. kernel may be NULL. 0, and *ret says how it went; -ENOMEM. To be released in any case, before the kernel side. */
int doctor_target_look(u32 pid, struct kernel_side *kernel, struct doctor_target *ret) __must_check;
void doctor_target_release(struct doctor_target *t);

/* Whether everything is there: each copy's context is found on live threads, and no probes are missing. */
bool doctor_target_is_whole(const struct doctor_target *t);
