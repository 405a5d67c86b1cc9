/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * refusals.h: what a host or a program does not allow, in the words that the recorder and `ascope doctor` both use: one place, so that they say the same.
 * Each is one line without a full stop; what can be done about it stands in the text, or behind it as ..._FIX.
 */
#pragma once

#define REFUSAL_PID_NAMESPACE                                                                                                    \
	"ascope runs inside a pid namespace (a container): the kernel reports the host's pids; record on the host, or with --pid=host"

#define REFUSAL_NO_BTF                                                                                                           \
	"this kernel has no BTF (/sys/kernel/btf/vmlinux): ascope needs a kernel built with CONFIG_DEBUG_INFO_BTF, as those of " \
	"Debian 11, Ubuntu 20.10, RHEL 8.2 and later are"

#define REFUSAL_NO_RIGHTS     "not permitted to load BPF programs: needs root, or the capabilities CAP_BPF and CAP_PERFMON"
#define REFUSAL_NO_RIGHTS_FIX "sudo ascope record ..., or setcap cap_bpf,cap_perfmon,cap_sys_ptrace=ep"

#define REFUSAL_PROGRAMS "the kernel refused ascope's BPF programs"

#define REFUSAL_CAN_LOCK_UP                                                                                                          \
	"this kernel can lock up when user memory is read in an interrupt (fixed in 6.1.36, 6.3.10 and 6.4): recording without cpu " \
	"samples, so polls that hold the cpu will not be seen; a newer kernel of the same series has the fix"

#define REFUSAL_AMBIGUOUS                                                                                                          \
	"Tokio's context fits several places in the target's memory equally well; ascope does not guess: the capture has threads " \
	"and stacks, but cannot say what runs in a task"

#define REFUSAL_UNFIT                                                                                                            \
	"runtime context not usable: the target's threads contradict the layout that its Tokio's version and symbols call for; " \
	"the capture has threads and stacks, but cannot say what runs in a task"

#define REFUSAL_NO_RUNTIME                                                                                                       \
	"no Tokio runtime was found in the target: the capture has threads and stacks, but no runtime context, and --blocking "  \
	"will be empty"
