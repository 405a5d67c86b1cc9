/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * procfs.h: what /proc says of a process. Its text is untrusted (names hold any byte) and a process may vanish between any two
 * reads: -ESRCH then.
 */
#pragma once

#include <limits.h>
#include <sys/types.h>

#include "base/base.h"

/* Everything that is opened below /proc, by name; so that a helper with privileges can open it for a recorder without (helper.h). */
enum proc_file {
	PROC_STATUS = 1,
	PROC_COMM,
	PROC_STAT,
	PROC_CMDLINE,
	PROC_MAPS,
	PROC_MEM,
	PROC_EXE,     /* the program itself */
	PROC_MAPPED,  /* the file behind a mapping: start, end, dev, inode, path */
	PROC_PERFMAP, /* /tmp/perf-PID.map as the process sees it: ns_pid */
	PROC_KALLSYMS,
	PROC_CGROUP,
};

struct proc_request {
	u32 file; /* enum proc_file */
	u32 pid;
	u32 ns_pid;
	u32 pad;
	u64 start, end;
	u64 dev, inode;
	char path[PATH_MAX];
};

/* How /proc is opened: NULL wherever a `const struct procfs *` is asked for means with this process's own rights. */
struct procfs {
	int (*open)(void *ctx, const struct proc_request *r); /* a new fd, or negative errno */
	void *ctx;
};

/* Opens with this process's own rights: a new read-only fd with O_CLOEXEC; -ESRCH when the process is gone, -EACCES, ... */
int proc_open_here(const struct proc_request *r) __must_check;

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
int proc_status(const struct procfs *fs, u32 pid, struct proc_status *ret) __must_check;

/* Start of a process, ns of CLOCK_MONOTONIC, as exact as field 22 of /proc/PID/stat is (clock ticks, 10 ms). */
int proc_start_time(const struct procfs *fs, u32 pid, u64 *ret_ns) __must_check;

/* Target of /proc/PID/exe without " (deleted)", into buf. */
int proc_exe(const struct procfs *fs, u32 pid, char *buf, size_t n) __must_check;

/* Arguments joined by blanks, cut at n - 1 bytes. */
int proc_cmdline(const struct procfs *fs, u32 pid, char *buf, size_t n) __must_check;

/* One line of /proc/PID/maps. path is "" for anonymous memory, else as the kernel prints it ("[vdso]", "/usr/bin/x (deleted)"). */
struct proc_map {
	u64 start, end;
	u64 file_off;
	u64 dev; /* as makedev() makes it; 0 with inode 0 when there is no file */
	u64 inode;
	bool exec, read, write;
	const char *path;
};

/* Calls fn for each mapping until it returns non-zero, which is returned. */
typedef int (*proc_map_fn)(void *ctx, const struct proc_map *m);
int proc_maps(const struct procfs *fs, u32 pid, proc_map_fn fn, void *ctx) __must_check;

/*
 * Opens the file behind a mapping: through map_files (the very file, also when deleted or in another mount namespace), else by its path as the process
 * sees it, if that still is the file of the mapping (-ESTALE when not). fd or -errno.
 */
int proc_open_mapped(const struct procfs *fs, u32 pid, const struct proc_map *m) __must_check;

int proc_open_mem(const struct procfs *fs, u32 pid) __must_check; /* /proc/PID/mem, read-only: fd or -errno */
int proc_open_exe(const struct procfs *fs, u32 pid) __must_check; /* the program that the process runs: fd or -errno */
/* The map that a JIT compiler keeps of its code, a regular file of the process's user or of root; -ENOENT when there is none. */
int proc_open_perfmap(const struct procfs *fs, u32 pid, u32 ns_pid) __must_check;
/* The pieces of the latter, for a process that may have ended since they were taken: its root directory (O_PATH) and its user. */
int proc_open_root(u32 pid) __must_check;
int proc_owner(u32 pid, uid_t *ret) __must_check;
int proc_open_perfmap_in(int root, u32 ns_pid, uid_t owner) __must_check;
/* A path as the process sees it: its root, absolute symbolic links in a container stay there. */
int proc_open_in_root(u32 pid, const char *path) __must_check;
int proc_open_kallsyms(const struct procfs *fs) __must_check;
int proc_open_cgroup(const struct procfs *fs,
		     u32 pid) __must_check; /* /proc/PID/cgroup, to be read again and again: fd or -errno */
/*
 * S_IFMT >> 12 of a process's open file that is a socket or a pipe; 0 others, unknown, or without the right to look (this process's). By the name that
 * /proc gives the descriptor: to ask the file itself could take as long as its server.
 */
u16 proc_fd_type(u32 pid, int fd);
int proc_read_mem(int mem_fd, u64 addr, void *buf, size_t n) __must_check; /* all n bytes, or -EFAULT */

bool proc_exists(u32 pid); /* also as a zombie; needs no right to look at it */

/* Calls fn for each process (thread group) of the host. */
typedef int (*proc_pid_fn)(void *ctx, u32 pid);
int proc_each(proc_pid_fn fn, void *ctx) __must_check;
