/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* procfs.c: see procfs.h. Formats: proc(5), Documentation/filesystems/proc.rst. */
#include "record/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/parse.h"

#define MAX_PROC_TEXT ((size_t)64 << 20) /* maps of a process with 100,000s of mappings stay below */

/* /proc answers ENOENT for a process that is gone before open and ESRCH after. */
static int gone(int err)
{
	return err == -ENOENT ? -ESRCH : err;
}

static int read_proc(u32 pid, const char *name, struct buf *ret)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
	return gone(file_read_all(path, ret, MAX_PROC_TEXT));
}

/* The value behind "Key:\t" at the start of a line, or NULL. */
static const char *status_field(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (!strncmp(line, key, n) && line[n] == ':')
			return line + n + 1 + strspn(line + n + 1, "\t ");
	return NULL;
}

static u32 field_u32(const char *text, const char *key)
{
	const char *v = status_field(text, key);

	return v ? (u32)strtoul(v, NULL, 10) : 0;
}

static u32 last_u32_of_line(const char *v)
{
	u32 last = 0;

	while (v && *v && *v != '\n') {
		char *end;
		unsigned long x = strtoul(v, &end, 10);

		if (end == v)
			break;
		last = (u32)x;
		v = end + strspn(end, "\t ");
	}
	return last;
}

int proc_status(u32 pid, struct proc_status *ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_buf_ struct buf comm = BUF_INIT;
	struct proc_status s = {0};
	const char *text;
	size_t n;
	int err = read_proc(pid, "status", &b);

	if (!err)
		err = read_proc(pid, "comm", &comm);
	if (err)
		return err;
	text = (const char *)b.data;
	s.tgid = field_u32(text, "Tgid");
	s.ppid = field_u32(text, "PPid");
	s.uid = field_u32(text, "Uid");
	s.is_kernel_thread = field_u32(text, "Kthread") == 1 || !status_field(text, "VmSize");
	s.ns_pid = last_u32_of_line(status_field(text, "NStgid"));
	s.ns_tid = last_u32_of_line(status_field(text, "NSpid"));
	if (!s.tgid)
		return -EBADMSG;
	n = comm.len && comm.data[comm.len - 1] == '\n' ? comm.len - 1 : comm.len;
	memcpy(s.comm, comm.data, n < sizeof(s.comm) ? n : sizeof(s.comm) - 1);
	*ret = s;
	return 0;
}

int proc_start_time(u32 pid, u64 *ret_ns)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	u64 mono, boot, since_boot;
	const char *p;
	int err = read_proc(pid, "stat", &b);

	if (err)
		return err;
	p = strrchr((const char *)b.data, ')'); /* comm may hold blanks and parentheses: fields count from the last one */
	for (u32 field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (!p)
		return -EBADMSG;
	since_boot = strtoull(p + 1, NULL, 10) * (NSEC_PER_SEC / (u64)sysconf(_SC_CLK_TCK));
	/* field 22 counts CLOCK_BOOTTIME, which runs on in suspend */
	mono = clock_ns(CLOCK_MONOTONIC);
	boot = clock_ns(CLOCK_BOOTTIME);
	*ret_ns = since_boot > boot - mono ? since_boot - (boot - mono) : 0;
	return 0;
}

int proc_exe(u32 pid, char *buf, size_t n)
{
	static const char deleted[] = " (deleted)";
	char path[64];
	ssize_t len;

	(void)snprintf(path, sizeof(path), "/proc/%u/exe", pid);
	len = readlink(path, buf, n - 1);
	if (len < 0)
		return gone(-errno);
	buf[len] = 0;
	if ((size_t)len >= sizeof(deleted) - 1 && !strcmp(buf + len - (sizeof(deleted) - 1), deleted))
		buf[len - (ssize_t)(sizeof(deleted) - 1)] = 0;
	return 0;
}

int proc_cmdline(u32 pid, char *buf, size_t n)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int err = read_proc(pid, "cmdline", &b);
	size_t len;

	if (err)
		return err;
	len = b.len < n - 1 ? b.len : n - 1;
	memcpy(buf, b.data, len);
	while (len && !buf[len - 1])
		len--;
	for (size_t i = 0; i < len; i++)
		if (!buf[i])
			buf[i] = ' ';
	buf[len] = 0;
	return 0;
}

/* "start-end perms offset dev inode   path"; the path reaches to the end of the line and may hold blanks. */
static int parse_map_line(char *line, struct proc_map *ret)
{
	struct proc_map m = {.path = ""};
	char perms[8];
	int path_at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*x:%*x %" SCNu64 " %n", &m.start, &m.end, perms, &m.file_off,
		   &m.inode, &path_at) < 5)
		return -EBADMSG;
	m.read = perms[0] == 'r';
	m.write = perms[1] == 'w';
	m.exec = perms[2] == 'x';
	if (path_at)
		m.path = line + path_at;
	*ret = m;
	return 0;
}

int proc_maps(u32 pid, proc_map_fn fn, void *ctx)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char *line, *end;
	int err = read_proc(pid, "maps", &b);

	if (err)
		return err;
	for (line = (char *)b.data; *line; line = end + 1) {
		struct proc_map m;

		end = strchr(line, '\n');
		if (!end)
			break;
		*end = 0;
		if (parse_map_line(line, &m) < 0)
			continue;
		err = fn(ctx, &m);
		if (err)
			return err;
	}
	return 0;
}

int proc_open_mapped(u32 pid, const struct proc_map *m)
{
	char path[PATH_MAX + 64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%u/map_files/%" PRIx64 "-%" PRIx64, pid, m->start, m->end);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd >= 0)
		return fd;
	(void)snprintf(path, sizeof(path), "/proc/%u/root%s", pid, m->path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd >= 0 ? fd : gone(-errno);
}

int proc_open_mem(u32 pid)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%u/mem", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 ? fd : gone(-errno);
}

int proc_read_mem(int mem_fd, u64 addr, void *buf, size_t n)
{
	return addr > INT64_MAX || fd_pread_full(mem_fd, buf, n, addr) != (ssize_t)n ? -EFAULT : 0;
}

int proc_each(proc_pid_fn fn, void *ctx)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	int err = 0;

	if (!d)
		return -errno;
	while (!err && (e = readdir(d))) {
		u64 pid;

		if (parse_u64(e->d_name, &pid) == 0 && pid <= UINT32_MAX)
			err = fn(ctx, (u32)pid);
	}
	(void)closedir(d);
	return err;
}
