/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * uprobe_link.h: puts a BPF program on places of a file, through bpf(2) and perf_event_open(2) themselves: libbpf before 1.3 knows no uprobe_multi links, and
 * before it finds that a kernel has no perf events for uprobes it writes to tracefs, where probes outlive who made them. Here all goes with its descriptor.
 *
 * Sources: include/uapi/linux/bpf.h of Linux 6.6 (struct bpf_attr, link_create), Documentation/ABI/testing/sysfs-bus-event_source-devices-uprobe,
 * kernel/trace/bpf_trace.c (bpf_uprobe_multi_link_attach), kernel/events/core.c (perf_uprobe_event_init).
 */
#pragma once

#include "base/base.h"

#define UPROBE_MULTI_ATTACH_TYPE                                                                                                 \
	48 /* BPF_TRACE_UPROBE_MULTI: expected_attach_type of programs for uprobe_link_multi(); others need 0 */

enum {
	UPROBE_MULTI_MAX = 1024, /* places of one call: within the kernel's 2^20, and short of a second on a busy machine */
	UPROBE_SINGLE_MAX = 128, /* the same, each a descriptor */
};

struct uprobe_places {
	int file;	    /* readable; its path is not needed. Borrowed */
	u32 pid;	    /* of a process: only there; 0: wherever the file is mapped */
	u64 cookie;	    /* for the program: bpf_get_attach_cookie() */
	const u64 *offsets; /* in the file; borrowed */
	u32 n;
};

/* All places by one link. Its descriptor, or a negative errno: -EINVAL for no or too many places or one behind the file's end, or what the kernel says. */
int uprobe_link_multi(int prog_fd, const struct uprobe_places *p) __must_check;

/* Each place by a link of its own. 0 with n descriptors in fds, or a negative errno and none. */
int uprobe_link_single(int prog_fd, const struct uprobe_places *p, int *fds) __must_check;

/* Whether this kernel has uprobe_multi links: by trying one on a file that is no program. Needs the right to load BPF. */
bool uprobe_link_has_multi(void);

/* Whether it has uprobes as perf events: CONFIG_UPROBE_EVENTS, and /sys is mounted. */
bool uprobe_link_has_single(void);

/*
 * Whether the kernel emulates this instruction when a probe is hit there; others it lets the thread execute elsewhere, by a single step. False where it depends
 * on the kernel's version. Source: arch/x86/kernel/uprobes.c, branch_setup_xol_ops() and push_setup_xol_ops(), 4.20 - 6.18.
 */
bool uprobe_is_emulated(const u8 *insn, size_t n);
