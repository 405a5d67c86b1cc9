/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cgroup.h: what the kernel's texts say of the cpu controller: which cgroup a process is in, where that cgroup's files are, how often it was out of quota.
 * Text in, values out; record/throttle.c reads the files. Everything here is untrusted: whoever may make a cgroup names it.
 *
 * Sources: cgroups(7), Documentation/admin-guide/cgroup-v2.rst ("cpu.stat"), Documentation/scheduler/sched-bwc.rst (v1), proc_pid_mountinfo(5).
 */
#pragma once

#include <limits.h>

#include "base/base.h"
#include "record/procfs.h"

enum { CGROUP_MAX_DEPTH = 32 }; /* of a path; deeper ones are cut: their outer cgroups are watched */

/*
 * From the text of /proc/PID/cgroup: the path in the hierarchy that has the cpu controller, which is a v1 one when a line names it, else v2. The path is
 * relative to the root of the reader's cgroup namespace, and begins with "/.." for a process outside of that. Into buf; *ret_v1 may be NULL.
 * 0; -ENOENT when there is no such line; -ENAMETOOLONG.
 */
int cgroup_path_of(const char *text, char *buf, size_t n, bool *ret_v1) __must_check;

/* The same of a process; fs as in procfs.h. 0, or an error of /proc, or one of the above. */
int cgroup_of_process(const struct procfs *fs, u32 pid, char *buf, size_t n) __must_check;

/* Where a hierarchy is mounted. */
struct cgroup_mount {
	char point[PATH_MAX]; /* "" not mounted */
	char root[PATH_MAX];  /* path of the cgroup that is seen at `point`, "/" usually */
};

struct cgroup_mounts {
	struct cgroup_mount v1, v2; /* v1: the one with the cpu controller */
};

/* From the text of /proc/self/mountinfo. */
void cgroup_mounts_parse(const char *text, struct cgroup_mounts *ret);

/* The same of this process; all "" when that cannot be read. ret is large: 16 KiB. */
void cgroup_mounts_read(struct cgroup_mounts *ret);

/* The file cpu.stat of a cgroup, into buf. 0; -ENOENT when the cgroup cannot be seen through the mount; -ENAMETOOLONG. */
int cgroup_stat_path(const struct cgroup_mount *m, const char *cgroup, char *buf, size_t n) __must_check;

/* Makes the path that of the cgroup above it; false, and unchanged, for "/" and what is no absolute path. */
bool cgroup_to_parent(char *path);

struct cgroup_counts {
	u64 periods;	  /* nr_throttled */
	u64 throttled_ns; /* throttled_time (v1, ns) or throttled_usec (v2); 0 when not there */
};

/* From the text of cpu.stat. 0; -ENOENT when it has no nr_throttled (a v2 cgroup without the cpu controller). */
int cgroup_counts_parse(const char *text, struct cgroup_counts *ret) __must_check;
