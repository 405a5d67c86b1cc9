/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * procfs.h: what /proc says of a process. Its text is untrusted (names hold any byte) and a process may vanish between any two
 * reads: -ESRCH then.
 */
#pragma once

#include <sys/types.h>

#include "base/base.h"

struct proc_status {
	char comm[64]; /* as in /proc/PID/comm */
	u32 tgid;
	u32 ppid;
	u32 ns_pid; /* tgid in its innermost pid namespace; equals tgid when there is none */
	u32 ns_tid; /* the thread's own id there */
	u32 uid;
	bool is_kernel_thread;
};

/* pid may be a thread id; tgid says its process. 0, -ESRCH, -EACCES, -EBADMSG. */
int proc_status(u32 pid, struct proc_status *ret) __must_check;

/* Start of a process, ns of CLOCK_MONOTONIC, as exact as field 22 of /proc/PID/stat is (clock ticks, 10 ms). */
int proc_start_time(u32 pid, u64 *ret_ns) __must_check;

/* Target of /proc/PID/exe without " (deleted)", into buf. */
int proc_exe(u32 pid, char *buf, size_t n) __must_check;

/* Arguments joined by blanks, cut at n - 1 bytes. */
int proc_cmdline(u32 pid, char *buf, size_t n) __must_check;

/* One line of /proc/PID/maps. path is "" for anonymous memory, else as the kernel prints it ("[vdso]", "/usr/bin/x (deleted)"). */
struct proc_map {
	u64 start, end;
	u64 file_off;
	u64 inode;
	bool exec, read, write;
	const char *path;
};

/* Calls fn for each mapping until it returns non-zero, which is returned. */
typedef int (*proc_map_fn)(void *ctx, const struct proc_map *m);
int proc_maps(u32 pid, proc_map_fn fn, void *ctx) __must_check;

/* Opens the file behind a mapping: through map_files (the very file, also when deleted or in another mount namespace), else through PID/root. fd or -errno. */
int proc_open_mapped(u32 pid, const struct proc_map *m) __must_check;

int proc_open_mem(u32 pid) __must_check;				   /* /proc/PID/mem, read-only: fd or -errno */
int proc_read_mem(int mem_fd, u64 addr, void *buf, size_t n) __must_check; /* all n bytes, or -EFAULT */

/* Calls fn for each process (thread group) of the host. */
typedef int (*proc_pid_fn)(void *ctx, u32 pid);
int proc_each(proc_pid_fn fn, void *ctx) __must_check;
