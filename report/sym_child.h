/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_child.h: names for code addresses, read in a child process that can do nothing else (sym_sandbox.h), because the libraries that read ELF and DWARF
 * files may crash, hang or be taken over by a hostile one. Called by symbolize.c; several children may run at a time.
 */
#pragma once

#include <sys/types.h>

#include "base/base.h"
#include "report/sym.h"
#include "report/sym_sandbox.h"
#include "report/sym_wire.h"

enum sym_outcome {
	SYM_CHILD_RUNNING,
	SYM_CHILD_OK,
	SYM_CHILD_REFUSED, /* the file is not one that can be read; why says what it is not */
	SYM_CHILD_CRASHED,
	SYM_CHILD_TIME,	  /* took longer than allowed */
	SYM_CHILD_MEMORY, /* needed more than allowed */
	SYM_CHILD_BROKEN, /* said what makes no sense: the file has taken it over, or the like */
};

struct sym_serve;

struct sym_child_opts {
	u64 memory;  /* bytes, the files themselves not counted; 0: 2 GiB */
	u32 seconds; /* of cpu time; it is waited for three times as long. 0: 60 */
	u32 without; /* layers of the sandbox to leave out (enum sym_layer); for tests */
	/* What runs in the child, already in the sandbox, and gives its exit code; NULL: sym_serve_run(). For tests. */
	int (*body)(const struct sym_serve *s);
};

struct sym_child;

/*
 * Starts a reader of in's files (file descriptors stay the caller's) that answers the n lookups, which must live as long. in->open_split is called in this
 * process, from sym_child_step(); what it gives is handed on only when it is a regular ELF file. 0 or -errno: no process could be made.
 */
int sym_child_start(const struct sym_child_opts *o, const struct sym_input *in, const struct sym_wire_lookup *lookups, u64 n,
		    struct sym_child **ret) __must_check;

/* Before the first sym_child_step(): types of tasks to be answered besides (sym_answers_task()); v must live as long. */
void sym_child_ask_tasks(struct sym_child *c, const struct sym_wire_tasks_of *v, u64 n);

/* Ends it when it runs. Accepts NULL, returns NULL. */
struct sym_child *sym_child_close(struct sym_child *c);

/* Waits for any of n children to say something, at most max_ms, and takes it in. Time in which nobody calls this counts for none of them. 0 or -errno. */
int sym_child_step(struct sym_child *const *children, u32 n, int max_ms) __must_check;

enum sym_outcome sym_child_outcome(const struct sym_child *c);

/* What to say of it: "the reader crashed (Segmentation fault)", "took longer than 60 s", ...; "" when RUNNING or OK. */
const char *sym_child_why(const struct sym_child *c);

/* Its process; 0 when it is over. */
pid_t sym_child_pid(const struct sym_child *c);

/* What it has said; only when it is OK is that all. */
const struct sym_answers *sym_child_answers(const struct sym_child *c);
