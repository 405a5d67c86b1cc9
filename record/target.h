/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* target.h: whom to record: processes by pid or name, or a command that waits until the probes are in place. */
#pragma once

#include <sys/types.h>

#include "base/base.h"

#define TARGET_MAX_PIDS 1024

struct target_list {
	u32 pids[TARGET_MAX_PIDS]; /* thread group ids as the host sees them */
	u32 n;
};

/* Adds the process that a word names ("24036", "24036 24037", "24036,24037"). 0, or negative after it said on stderr what is wrong and what to do. */
int target_add_pids(struct target_list *l, const char *words) __must_check;
/* Adds every process with this command name (/proc/PID/comm, at most 15 bytes). Likewise. */
int target_add_comm(struct target_list *l, const char *comm) __must_check;

/* A child process that stands still before its exec. */
struct target_child {
	pid_t pid;
	int go_fd;  /* write a byte: it execs */
	int err_fd; /* its errno when exec failed; end of file when it did not */
};

/* Forks. As above, says what is wrong. argv is NULL-terminated. */
int target_spawn(char **argv, struct target_child *ret) __must_check;
/* Lets it exec; says why when that fails. */
int target_go(struct target_child *c, const char *name) __must_check;
void target_child_release(struct target_child *c); /* closes the pipes; a child that never went ends by itself */
