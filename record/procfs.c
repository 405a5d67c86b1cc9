/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* procfs.c: see procfs.h. Formats: proc(5), Documentation/filesystems/proc.rst. */
#include "record/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

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

/* ---- opening ---- */

static int open_at(int dir, const char *path)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

int proc_open_root(u32 pid)
{
	char dir[64];
	int fd;

	(void)snprintf(dir, sizeof(dir), "/proc/%u/root", pid);
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? gone(-errno) : fd;
}

/* A path as the process with this root sees it: absolute symbolic links in a container stay in the container. openat2(2), Linux 5.6. */
static int open_in_root(int root, const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, .resolve = RESOLVE_IN_ROOT};
	long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int proc_open_in_root(u32 pid, const char *path)
{
	_cleanup_close_ int root = proc_open_root(pid);

	return root < 0 ? root : open_in_root(root, path);
}

static int open_mapped(const struct proc_request *r)
{
	_cleanup_close_ int root = -1;
	char path[96];
	struct stat st;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%u/map_files/%" PRIx64 "-%" PRIx64, r->pid, r->start, r->end);
	fd = open_at(AT_FDCWD, path);
	if (fd >= 0)
		return fd;
	/* without CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE; the device number is not compared, btrfs and overlayfs show another one to stat */
	root = proc_open_root(r->pid);
	fd = root < 0 ? root : open_in_root(root, r->path);
	if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_ino != r->inode)) {
		(void)close(fd);
		return -ESTALE;
	}
	return fd;
}

int proc_owner(u32 pid, uid_t *ret)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%u", pid);
	if (stat(path, &st) < 0)
		return gone(-errno);
	*ret = st.st_uid;
	return 0;
}

int proc_open_perfmap_in(int root, u32 ns_pid, uid_t owner)
{
	char path[64];
	struct stat st;
	int fd;

	(void)snprintf(path, sizeof(path), "/tmp/perf-%u.map", ns_pid);
	fd = open_in_root(root, path);
	/* anybody may put a file into /tmp: only one of the process's own user, or of root, is believed, as perf does */
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_uid && st.st_uid != owner))) {
		(void)close(fd);
		return -ENOENT;
	}
	return fd;
}

static int open_perfmap(const struct proc_request *r)
{
	_cleanup_close_ int root = proc_open_root(r->pid);
	uid_t owner;

	if (root < 0)
		return root;
	return proc_owner(r->pid, &owner) < 0 ? -ESRCH : proc_open_perfmap_in(root, r->ns_pid ? r->ns_pid : r->pid, owner);
}

int proc_open_here(const struct proc_request *r)
{
	static const char *const names[] = {
		[PROC_STATUS] = "status", [PROC_COMM] = "comm", [PROC_STAT] = "stat", [PROC_CMDLINE] = "cmdline",
		[PROC_MAPS] = "maps",	  [PROC_MEM] = "mem",	[PROC_EXE] = "exe",   [PROC_CGROUP] = "cgroup",
	};
	char path[64];

	if (r->file == PROC_KALLSYMS)
		return open_at(AT_FDCWD, "/proc/kallsyms");
	if (r->file == PROC_MAPPED)
		return open_mapped(r);
	if (r->file == PROC_PERFMAP)
		return open_perfmap(r);
	if (r->file >= ARRAY_SIZE(names) || !names[r->file])
		return -EINVAL;
	(void)snprintf(path, sizeof(path), "/proc/%u/%s", r->pid, names[r->file]);
	return gone(open_at(AT_FDCWD, path));
}

static int open_file(const struct procfs *fs, const struct proc_request *r)
{
	return fs ? fs->open(fs->ctx, r) : proc_open_here(r);
}

static int open_of(const struct procfs *fs, u32 pid, enum proc_file file)
{
	const struct proc_request r = {.file = file, .pid = pid};

	return open_file(fs, &r);
}

/* Text, NUL-terminated behind ret->len. */
static int read_of(const struct procfs *fs, u32 pid, enum proc_file file, struct buf *ret)
{
	_cleanup_close_ int fd = open_of(fs, pid, file);
	int err = fd < 0 ? fd : fd_read_all(fd, ret, MAX_PROC_TEXT);

	if (err)
		return gone(err);
	buf_putc(ret, 0);
	err = buf_err(ret);
	ret->len -= !err;
	return err;
}

/* ---- reading ---- */

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

int proc_status(const struct procfs *fs, u32 pid, struct proc_status *ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_buf_ struct buf comm = BUF_INIT;
	struct proc_status s = {0};
	const char *text;
	size_t n;
	int err = read_of(fs, pid, PROC_STATUS, &b);

	if (!err)
		err = read_of(fs, pid, PROC_COMM, &comm);
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

int proc_start_time(const struct procfs *fs, u32 pid, u64 *ret_ns)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	u64 mono, boot, since_boot;
	const char *p;
	int err = read_of(fs, pid, PROC_STAT, &b);

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

int proc_exe(const struct procfs *fs, u32 pid, char *buf, size_t n)
{
	static const char deleted[] = " (deleted)";
	_cleanup_close_ int fd = open_of(fs, pid, PROC_EXE);
	char path[64];
	ssize_t len;

	if (fd < 0)
		return fd;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, buf, n - 1);
	if (len < 0)
		return -errno;
	buf[len] = 0;
	if ((size_t)len >= sizeof(deleted) - 1 && !strcmp(buf + len - (sizeof(deleted) - 1), deleted))
		buf[len - (ssize_t)(sizeof(deleted) - 1)] = 0;
	return 0;
}

int proc_cmdline(const struct procfs *fs, u32 pid, char *buf, size_t n)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int err = read_of(fs, pid, PROC_CMDLINE, &b);
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
	u32 dev_major, dev_minor;
	int path_at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %x:%x %" SCNu64 " %n", &m.start, &m.end, perms, &m.file_off,
		   &dev_major, &dev_minor, &m.inode, &path_at) < 7)
		return -EBADMSG;
	m.dev = makedev(dev_major, dev_minor);
	m.read = perms[0] == 'r';
	m.write = perms[1] == 'w';
	m.exec = perms[2] == 'x';
	if (path_at)
		m.path = line + path_at;
	*ret = m;
	return 0;
}

int proc_maps(const struct procfs *fs, u32 pid, proc_map_fn fn, void *ctx)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char *line, *end;
	int err = read_of(fs, pid, PROC_MAPS, &b);

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

int proc_open_mapped(const struct procfs *fs, u32 pid, const struct proc_map *m)
{
	struct proc_request r = {
		.file = PROC_MAPPED, .pid = pid, .start = m->start, .end = m->end, .dev = m->dev, .inode = m->inode};

	if ((size_t)snprintf(r.path, sizeof(r.path), "%s", m->path) >= sizeof(r.path))
		return -ENAMETOOLONG;
	return open_file(fs, &r);
}

int proc_open_mem(const struct procfs *fs, u32 pid)
{
	return open_of(fs, pid, PROC_MEM);
}

int proc_open_exe(const struct procfs *fs, u32 pid)
{
	return open_of(fs, pid, PROC_EXE);
}

int proc_open_perfmap(const struct procfs *fs, u32 pid, u32 ns_pid)
{
	const struct proc_request r = {.file = PROC_PERFMAP, .pid = pid, .ns_pid = ns_pid};

	return open_file(fs, &r);
}

int proc_open_kallsyms(const struct procfs *fs)
{
	return open_of(fs, 0, PROC_KALLSYMS);
}

int proc_open_cgroup(const struct procfs *fs, u32 pid)
{
	return open_of(fs, pid, PROC_CGROUP);
}

u16 proc_fd_type(u32 pid, int fd)
{
	char path[64], name[16] = "";

	(void)snprintf(path, sizeof(path), "/proc/%u/fd/%d", pid, fd);
	if (readlink(path, name, sizeof(name) - 1) < 0)
		return 0;
	return strncmp(name, "socket:[", 8) == 0 ? S_IFSOCK >> 12 : strncmp(name, "pipe:[", 6) == 0 ? S_IFIFO >> 12 : 0;
}

int proc_read_mem(int mem_fd, u64 addr, void *buf, size_t n)
{
	return addr > INT64_MAX || fd_pread_full(mem_fd, buf, n, addr) != (ssize_t)n ? -EFAULT : 0;
}

bool proc_exists(u32 pid)
{
	return kill((pid_t)pid, 0) == 0 || errno == EPERM;
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
