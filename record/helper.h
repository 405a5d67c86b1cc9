/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * helper.h: the one process that keeps its privileges while recording. It opens the few files of /proc that the recorder cannot open without
 * (procfs.h: enum proc_file) and updates the table of targets; it parses nothing. Everything that reads untrusted bytes (ELF, .eh_frame, maps, the
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
#include "record/procfs.h"

struct helper {
	int sock; /* -1: none; requests are then served in this process */
	pid_t pid;
	u32 seq;
	int targets_fd; /* map of targets; borrowed */
};

#define HELPER_INIT ((struct helper){.sock = -1, .targets_fd = -1})

/* Starts it. targets_fd (hash map tgid -> struct wire_target) is borrowed and must outlive the helper. 0 or negative errno. */
int helper_start(struct helper *h, int targets_fd) __must_check;
/* Lets it end and waits for it. */
void helper_stop(struct helper *h);

/* A procfs open function; ctx is the struct helper. -ETIMEDOUT when the helper hangs (a dead network file system), which is final. */
int helper_open(void *ctx, const struct proc_request *r);

/* Of a process that is a target already; in the process itself before helper_start(), which may add targets. 0 or negative errno. */
int helper_set_target(struct helper *h, u32 tgid, const struct wire_target *t) __must_check;
int helper_remove_target(struct helper *h, u32 tgid);
