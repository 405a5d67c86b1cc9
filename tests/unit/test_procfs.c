/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_procfs.c: what /proc says of this very process and its children, with names that hold blanks, parentheses and line ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "record/procfs.h"

/* A pid that no process has: of a child that was waited for. */
static u32 dead_pid(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return (u32)pid;
}

static void status_of_this_process(void **state)
{
	static const char *const names[] = {"plain", "a b) (c",		") R 1 1 1",	  "\t\n\\n x",
					    "",	     "(((((((((((((((", "123456789012345"};
	struct proc_status st;
	u64 start, before = clock_ns(CLOCK_MONOTONIC);

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(prctl(PR_SET_NAME, names[i]), 0);
		assert_int_equal(proc_status(NULL, (u32)getpid(), &st), 0);
		assert_string_equal(st.comm, names[i]);
		assert_int_equal(st.tgid, getpid());
		assert_int_equal(st.ppid, getppid());
		assert_int_equal(st.uid, getuid());
		assert_int_equal(st.ns_pid, getpid());
		assert_int_equal(st.ns_tid, getpid());
		assert_false(st.is_kernel_thread);
		/* the fields of /proc/PID/stat behind the name */
		assert_int_equal(proc_start_time(NULL, (u32)getpid(), &start), 0);
		assert_true(start > 0 && start <= before + 20 * NSEC_PER_MSEC);
		assert_true(before - start < 600 * NSEC_PER_SEC);
	}
}

static void the_start_of_a_child(void **state)
{
	u64 before, start, after;
	int ends[2];
	pid_t pid;
	char c;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	before = clock_ns(CLOCK_MONOTONIC);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		(void)close(ends[1]);
		_exit(read(ends[0], &c, 1) < 0);
	}
	after = clock_ns(CLOCK_MONOTONIC);
	assert_int_equal(proc_start_time(NULL, (u32)pid, &start), 0);
	assert_true(start + 20 * NSEC_PER_MSEC >= before && start <= after + 20 * NSEC_PER_MSEC);
	assert_int_equal(close(ends[0]) | close(ends[1]), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static int count_maps(void *ctx, const struct proc_map *m)
{
	(void)m;
	++*(int *)ctx;
	return 0;
}

static void processes_that_are_gone(void **state)
{
	u32 pid = dead_pid();
	struct proc_status st;
	char text[PATH_MAX];
	int n = 0;
	u64 start;

	(void)state;
	assert_int_equal(proc_status(NULL, pid, &st), -ESRCH);
	assert_int_equal(proc_start_time(NULL, pid, &start), -ESRCH);
	assert_int_equal(proc_exe(NULL, pid, text, sizeof(text)), -ESRCH);
	assert_int_equal(proc_cmdline(NULL, pid, text, sizeof(text)), -ESRCH);
	assert_int_equal(proc_maps(NULL, pid, count_maps, &n), -ESRCH);
	assert_int_equal(proc_open_mem(NULL, pid), -ESRCH);
	assert_int_equal(proc_open_mapped(NULL, pid, &(struct proc_map){.start = 0x1000, .end = 0x2000, .path = "/bin/sh"}),
			 -ESRCH);
	assert_int_equal(proc_status(NULL, UINT32_MAX, &st), -ESRCH);
	assert_int_equal(n, 0);
}

/* A zombie is still there, but its memory, executable and arguments are not. */
static void a_zombie(void **state)
{
	struct proc_status st;
	char text[PATH_MAX];
	siginfo_t info;
	int n = 0, fd;
	pid_t pid = fork();
	u64 v;

	(void)state;
	assert_true(pid >= 0);
	if (!pid)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(proc_status(NULL, (u32)pid, &st), 0);
	assert_int_equal(st.tgid, pid);
	assert_true(proc_exe(NULL, (u32)pid, text, sizeof(text)) < 0);
	assert_int_equal(proc_cmdline(NULL, (u32)pid, text, sizeof(text)), 0);
	assert_string_equal(text, "");
	assert_int_equal(proc_maps(NULL, (u32)pid, count_maps, &n), 0);
	assert_int_equal(n, 0);
	fd = proc_open_mem(NULL, (u32)pid);
	assert_true(fd < 0 || proc_read_mem(fd, (u64)(uintptr_t)&v, &v, sizeof(v)) == -EFAULT);
	if (fd >= 0)
		assert_int_equal(close(fd), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void executable_and_arguments(void **state)
{
	char exe[PATH_MAX], link[PATH_MAX], text[PATH_MAX], small[5];
	ssize_t n = readlink("/proc/self/exe", link, sizeof(link) - 1);

	(void)state;
	assert_true(n > 0);
	link[n] = 0;
	assert_int_equal(proc_exe(NULL, (u32)getpid(), exe, sizeof(exe)), 0);
	assert_string_equal(exe, link);
	assert_int_equal(proc_exe(NULL, (u32)getpid(), small, sizeof(small)), 0); /* cut, and ended */
	assert_int_equal(strlen(small), 4);
	assert_int_equal(proc_cmdline(NULL, (u32)getpid(), text, sizeof(text)), 0);
	assert_non_null(strstr(text, "test_procfs"));
	assert_int_equal(proc_cmdline(NULL, (u32)getpid(), small, sizeof(small)), 0);
	assert_int_equal(strlen(small), 4);
	assert_int_equal(memcmp(small, text, 4), 0);
}

/* Runs argv in a child and waits until its exec has happened; the caller kills it. */
static pid_t spawn_program(const char *path, const char *const *argv)
{
	int ends[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		(void)execv(path, (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	assert_int_equal(close(ends[1]), 0);
	assert_int_equal(read(ends[0], &c, 1), 0); /* closed by exec */
	assert_int_equal(close(ends[0]), 0);
	return pid;
}

static int find_exec_file(void *ctx, const struct proc_map *m)
{
	struct proc_map *ret = ctx;

	if (!m->exec || m->path[0] != '/' || ret->start)
		return 0;
	*ret = *m;
	ret->path = strdup(m->path);
	return 0;
}

/* The binary was replaced while it runs: as deploys do. */
static void a_deleted_executable(void **state)
{
	char dir[] = "/tmp/ascope-test-XXXXXX", path[96], cmd[256], text[PATH_MAX];
	static const char *const argv[] = {"sleep", "100", NULL};
	struct proc_map m = {0};
	struct stat before, after;
	int status, fd;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/a b (c)", dir);
	(void)snprintf(cmd, sizeof(cmd), "cp /bin/sleep '%s'", path);
	assert_int_equal(system(cmd), 0);
	pid = spawn_program(path, argv);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(proc_exe(NULL, (u32)pid, text, sizeof(text)), 0);
	assert_string_equal(text, path);
	assert_int_equal(proc_cmdline(NULL, (u32)pid, text, sizeof(text)), 0);
	assert_string_equal(text, "sleep 100");
	assert_int_equal(proc_maps(NULL, (u32)pid, find_exec_file, &m), 0);
	assert_non_null(m.path);
	assert_int_equal(strncmp(m.path, path, strlen(path)), 0);
	assert_string_equal(m.path + strlen(path), " (deleted)");
	fd = proc_open_mapped(NULL, (u32)pid, &m);
	if (fd >= 0) { /* map_files needs privileges on older kernels */
		assert_int_equal(fstat(fd, &after), 0);
		assert_int_equal(after.st_ino, before.st_ino);
		assert_int_equal(close(fd), 0);
	} else {
		assert_true(geteuid() != 0);
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(rmdir(dir), 0);
	free((char *)(uintptr_t)m.path);
}

/* ---- maps and memory ---- */

struct seen_maps {
	u32 n;
	bool text, heap_like, stack, vdso;
	u64 before;
};

static int look_at_map(void *ctx, const struct proc_map *m)
{
	struct seen_maps *s = ctx;
	u64 here = (u64)(uintptr_t)&dead_pid, local = (u64)(uintptr_t)&s;

	assert_true(m->start < m->end && m->start >= s->before);
	s->before = m->end;
	s->n++;
	if (here >= m->start && here < m->end) {
		assert_true(m->exec && m->read && !m->write && m->inode);
		assert_non_null(strstr(m->path, "test_procfs"));
		s->text = true;
	}
	if (local >= m->start && local < m->end)
		s->stack = m->read && m->write && !m->exec;
	if (!strcmp(m->path, "[vdso]"))
		s->vdso = m->exec && !m->inode;
	if (!m->path[0])
		s->heap_like = true;
	return 0;
}

static int stop_at_third(void *ctx, const struct proc_map *m)
{
	(void)m;
	return ++*(int *)ctx == 3 ? 77 : 0;
}

static void maps_of_this_process(void **state)
{
	struct seen_maps s = {0};
	int n = 0;

	(void)state;
	assert_int_equal(proc_maps(NULL, (u32)getpid(), look_at_map, &s), 0);
	assert_true(s.n > 10 && s.text && s.stack && s.heap_like);
	assert_int_equal(proc_maps(NULL, (u32)getpid(), stop_at_third, &n), 77);
	assert_int_equal(n, 3);
}

struct wanted {
	u64 start;
	char path[128];
	u64 file_off;
};

static int find_map(void *ctx, const struct proc_map *m)
{
	struct wanted *w = ctx;

	if (m->start != w->start)
		return 0;
	(void)snprintf(w->path, sizeof(w->path), "%s", m->path);
	w->file_off = m->file_off;
	return 1;
}

/* The kernel writes a line end in a name as \012: one mapping stays one line. */
static void a_mapped_file_with_an_odd_name(void **state)
{
	static const char *const names[] = {"x y  z", "line\nend", "7f00-7f01 r-xp", "tail ", "ends (deleted)"};
	static const char *const shown[] = {"x y  z", "line\\012end", "7f00-7f01 r-xp", "tail ", "ends (deleted)"};
	char dir[] = "/tmp/ascope-test-XXXXXX", path[96], expected[96];

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		struct wanted w = {0};
		void *p;
		int fd;

		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)snprintf(expected, sizeof(expected), "%s/%s", dir, shown[i]);
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, 3 * 4096), 0);
		p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 8192);
		assert_ptr_not_equal(p, MAP_FAILED);
		w.start = (u64)(uintptr_t)p;
		assert_int_equal(proc_maps(NULL, (u32)getpid(), find_map, &w), 1);
		assert_string_equal(w.path, expected);
		assert_int_equal(w.file_off, 8192);
		assert_int_equal(munmap(p, 4096) | close(fd) | unlink(path), 0);
	}
	assert_int_equal(rmdir(dir), 0);
}

static void memory_of_this_process(void **state)
{
	_cleanup_close_ int fd = proc_open_mem(NULL, (u32)getpid());
	u64 v = 0x1122334455667788ULL, got = 0;
	u8 *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(proc_read_mem(fd, (u64)(uintptr_t)&v, &got, sizeof(got)), 0);
	assert_int_equal(got, v);
	assert_int_equal(proc_read_mem(fd, 0, &got, sizeof(got)), -EFAULT);
	assert_int_equal(proc_read_mem(fd, UINT64_MAX, &got, sizeof(got)), -EFAULT);
	assert_int_equal(proc_read_mem(fd, INT64_MAX, &got, sizeof(got)), -EFAULT);
	assert_int_equal(proc_read_mem(fd, 0xffff888000000000ULL, &got, sizeof(got)), -EFAULT);
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(munmap(p + 4096, 4096), 0);
	assert_int_equal(proc_read_mem(fd, (u64)(uintptr_t)(p + 4092), &got, sizeof(got)), -EFAULT); /* half is not enough */
	assert_int_equal(proc_read_mem(fd, (u64)(uintptr_t)(p + 4088), &got, sizeof(got)), 0);
	assert_int_equal(munmap(p, 4096), 0);
}

/* ---- processes and threads ---- */

static int find_self(void *ctx, u32 pid)
{
	struct seen_maps *s = ctx;

	assert_true(pid > 0);
	s->n++;
	return pid == (u32)getpid() ? 5 : 0;
}

static void every_process(void **state)
{
	struct seen_maps s = {0};

	(void)state;
	assert_int_equal(proc_each(find_self, &s), 5);
	assert_true(s.n > 0);
}

static void kernel_threads(void **state)
{
	struct proc_status st;

	(void)state;
	if (proc_status(NULL, 2, &st) < 0 || strcmp(st.comm, "kthreadd") != 0)
		skip(); /* in a pid namespace */
	assert_true(st.is_kernel_thread);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_of_this_process),   cmocka_unit_test(the_start_of_a_child),
		cmocka_unit_test(processes_that_are_gone),  cmocka_unit_test(a_zombie),
		cmocka_unit_test(executable_and_arguments), cmocka_unit_test(a_deleted_executable),
		cmocka_unit_test(maps_of_this_process),	    cmocka_unit_test(a_mapped_file_with_an_odd_name),
		cmocka_unit_test(memory_of_this_process),   cmocka_unit_test(every_process),
		cmocka_unit_test(kernel_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
