/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_sandbox.h: gives up, for ever, everything that a reader of untrusted files does not need: files, network, other processes, privileges, memory and time
 * without end. Used by sym_child.c in the child, between fork and the first byte of the file.
 */
#pragma once

#include "base/base.h"

/* What holds. A container's own filter or an old kernel may refuse the last two; the others always work. */
enum sym_layer {
	SYM_LAYER_LIMITS = 1,	/* RLIMIT_*, no privileges, not dumpable, no new privileges */
	SYM_LAYER_LANDLOCK = 2, /* Linux 5.13: no file can be opened, from 6.7 on no TCP socket used */
	SYM_LAYER_SECCOMP = 4,	/* only the calls that reading memory and open files needs */
	SYM_LAYERS_ALL = 7,
};

struct sym_sandbox_limits {
	u64 memory;  /* bytes of address space that may be mapped on top of what is mapped already */
	u32 cpu_s;   /* seconds of cpu time; then SIGXCPU ends the process */
	u32 files;   /* file descriptors below this number */
	u32 without; /* layers to leave out (enum sym_layer), as if the kernel refused them; for tests */
};

/*
 * Keeps only the n fds given, and moves them to 3, 4, ... in their order; 0, 1 and 2 become /dev/null, or are closed where there is none. fds are above 2,
 * all different. 0 or -errno.
 */
int sym_sandbox_keep_fds(const int *fds, u32 n) __must_check;

/*
 * To be called with one thread. A call that is refused gives EACCES (opening files) or EPERM and goes on; memory cannot become executable. Returns the layers
 * that hold (enum sym_layer).
 */
u32 sym_sandbox_enter(const struct sym_sandbox_limits *l);
