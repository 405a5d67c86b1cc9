/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * helper.h: the one process that keeps its privileges while recording. It opens the few files of /proc that the recorder cannot open without
 * (procfs.h: enum proc_file), updates the table of targets and puts probes into targets' code; it parses nothing. Everything that reads untrusted bytes (ELF, .eh_frame, maps, the
 * ring) runs in the recorder, without privileges.
 *
 * It serves only processes that are targets, as the kernel side's map has them (the kernel side adds their children), and the recorder's own descriptor of
 * that map is made read-only: so a recorder that a hostile file has taken over cannot turn the helper on other processes.
 *
 * It ends when the recorder does: the socket closes.
 */
#pragma once

#include <sys/types.h>

#include "base/base.h"
#include "bpf/ascope_wire.h"
#include "record/probe_group.h"
#include "record/procfs.h"

/* The programs for probes (uprobe_link.h); all zero: none. */
struct helper_programs {
	u32 groups;	      /* bit 1 << enum probe_group: those that there are */
	int fd[PROBE_GROUPS]; /* borrowed */
	bool multi;	      /* they are for uprobe_multi links */
	bool by_process;      /* links can be for one process; else they are for all, and the programs look */
};

struct helper {
	int sock; /* -1: none; requests are then served in this process */
	pid_t pid;
	u32 seq;
	int targets_fd; /* map of targets; borrowed */
	struct helper_programs programs;
};

#define HELPER_INIT ((struct helper){.sock = -1, .targets_fd = -1})

/* Starts it, with h->programs. targets_fd (hash map tgid -> struct wire_target) is borrowed and must outlive the helper. 0 or negative errno. */
int helper_start(struct helper *h, int targets_fd) __must_check;
/* Lets it end and waits for it. */
void helper_stop(struct helper *h);

/* A procfs open function; ctx is the struct helper. -ETIMEDOUT when the helper hangs (a dead network file system), which is final. */
int helper_open(void *ctx, const struct proc_request *r);

/* Of a process that is a target already; in the process itself before helper_start(), which may add targets. 0 or negative errno. */
int helper_set_target(struct helper *h, u32 tgid, const struct wire_target *t) __must_check;
int helper_remove_target(struct helper *h, u32 tgid);

struct helper_probe {
	const struct proc_request *file; /* PROC_EXE or PROC_MAPPED */
	u32 tgid;			 /* a target; that of file */
	enum probe_group group;
	u64 cookie;
	const u64 *offsets;
	u32 n; /* at most helper_probe_max() */
};

u32 helper_probe_max(const struct helper *h); /* places of one request */

/*
 * Puts the group's program on places of a file that a target has mapped. Returns how many descriptors it put into fds (room for helper_probe_max()), which hold
 * the probes: 1 with programs.multi, else n. Or a negative errno, and nothing stays: -EOPNOTSUPP no program for that group, -EPERM not a target.
 */
int helper_probe(struct helper *h, const struct helper_probe *p, int *fds) __must_check;
