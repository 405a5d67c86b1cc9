/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_helper.c: what a recorder without privileges gets from the helper, and what it does not. Needs root, as loading BPF does: without it the whole file
 * is skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "record/helper.h"
#include "record/privileges.h"

struct fixture {
	struct helper h;
	pid_t target, other; /* two processes of root's; only the first is a target */
	int map;
};

static pid_t sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

static void end(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static int set_up(void **state)
{
	struct fixture *fx = calloc(1, sizeof(*fx));
	struct wire_target t = {.map_n = 1};

	*state = fx;
	if (!fx || geteuid() != 0)
		return 0;
	fx->map = bpf_map_create(BPF_MAP_TYPE_HASH, "targets", sizeof(u32), sizeof(struct wire_target), 8, NULL);
	if (fx->map < 0)
		return 0;
	fx->target = sleeper();
	fx->other = sleeper();
	assert_int_equal(bpf_map_update_elem(fx->map, &fx->target, &t, BPF_ANY), 0);
	assert_int_equal(helper_start(&fx->h, fx->map), 0);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fx = *state;

	if (fx->target) {
		helper_stop(&fx->h);
		if (fx->target > 0)
			end(fx->target);
		end(fx->other);
		assert_int_equal(close(fx->map), 0);
	}
	free(fx);
	return 0;
}

#define NEED_ROOT(fx)                                                                                                            \
	do {                                                                                                                     \
		if (!(fx)->target)                                                                                               \
			skip();                                                                                                  \
	} while (0)

/* Runs fn in a child that has no privileges, as the recorder while it records; fn's answer must be 0. */
static void without_privileges(struct fixture *fx, int (*fn)(struct fixture *fx))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(privileges_drop() < 0 ? 99 : fn(fx));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define CHECK(n, cond)                                                                                                           \
	do {                                                                                                                     \
		if (!(cond))                                                                                                     \
			return (n);                                                                                              \
	} while (0)

static int files_of_a_target(struct fixture *fx)
{
	const struct procfs fs = {.open = helper_open, .ctx = &fx->h};
	_cleanup_buf_ struct buf text = BUF_INIT;
	char exe[256];
	int fd = proc_open_mem(NULL, (u32)fx->target);

	CHECK(1, geteuid() != 0 && fd == -EACCES); /* on its own it cannot */
	fd = proc_open_mem(&fs, (u32)fx->target);
	CHECK(2, fd >= 0);
	CHECK(3, fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK(4, proc_exe(&fs, (u32)fx->target, exe, sizeof(exe)) == 0 && strstr(exe, "test_helper"));
	fd = proc_open_kallsyms(&fs);
	CHECK(5, fd >= 0 && fd_read_all(fd, &text, (size_t)64 << 20) == 0);
	CHECK(6, strstr((const char *)text.data, "000000000000") != (const char *)text.data); /* with addresses */
	CHECK(7, proc_open_perfmap(&fs, (u32)fx->target, 0) == -ENOENT);
	return 0;
}

static int nothing_of_others(struct fixture *fx)
{
	const struct procfs fs = {.open = helper_open, .ctx = &fx->h};
	struct wire_target t = {.map_n = 7}, back;
	struct proc_request wild = {.file = 4711, .pid = (u32)fx->target};
	u32 other = (u32)fx->other;
	struct proc_status st;

	CHECK(1, proc_open_mem(&fs, other) == -EPERM);
	CHECK(2, proc_open_mem(&fs, (u32)getpid()) == -EPERM);
	CHECK(3, proc_status(&fs, other, &st) == -EPERM);
	CHECK(4, proc_status(&fs, (u32)fx->target, &st) == 0 && st.tgid == (u32)fx->target);
	CHECK(5, helper_open(&fx->h, &wild) == -EINVAL);
	CHECK(6, helper_set_target(&fx->h, other, &t) == -ENOENT);
	CHECK(7, helper_set_target(&fx->h, (u32)fx->target, &t) == 0);
	CHECK(8, bpf_map_lookup_elem(fx->map, &fx->target, &back) == 0 && back.map_n == 7);
	CHECK(9, helper_remove_target(&fx->h, (u32)fx->target) == 0);
	CHECK(10, proc_open_mem(&fs, (u32)fx->target) == -EPERM);
	return 0;
}

/* Sends bytes that helper.c would not, of request `op` (enum helper_op) about a probe of n places, and takes the answer. */
static int answer_to(struct fixture *fx, u32 op, u32 n, size_t bytes)
{
	struct {
		u32 op, seq, tgid, group;
		u64 cookie;
		u32 n, pad;
		struct proc_request file;
		u64 offsets[3];
	} r = {.op = op, .tgid = (u32)fx->target, .n = n, .file = {.file = PROC_EXE, .pid = (u32)fx->target}};
	struct {
		u32 seq;
		s32 err;
	} a = {.err = 1};

	assert_true(bytes <= sizeof(r));
	if (send(fx->h.sock, &r, bytes, 0) < 0 || recv(fx->h.sock, &a, sizeof(a), 0) != sizeof(a))
		return 1;
	return a.err;
}

static int nothing_that_was_not_sent(struct fixture *fx)
{
	enum { OPEN = 1, SET_TARGET, REMOVE_TARGET, PROBE, OTHER };
	const size_t empty = 32 + sizeof(struct proc_request), one = empty + 8;

	CHECK(1, answer_to(fx, PROBE, 1, one) == -EOPNOTSUPP); /* it is understood: there is no program for it */
	CHECK(2, answer_to(fx, PROBE, 2, one) == -EINVAL);
	CHECK(3, answer_to(fx, PROBE, 1, one - 1) == -EINVAL);
	CHECK(4, answer_to(fx, PROBE, 1, one + 8) == -EINVAL);
	CHECK(5, answer_to(fx, PROBE, UINT32_MAX, one) == -EINVAL);
	CHECK(6, answer_to(fx, PROBE, 1, 24) == -EINVAL);
	CHECK(7, answer_to(fx, PROBE, 0, empty) == -EOPNOTSUPP);
	CHECK(8, answer_to(fx, OPEN, 0, 12) == -EINVAL);
	CHECK(9, answer_to(fx, SET_TARGET, 0, 12) == -EINVAL);
	CHECK(10, answer_to(fx, REMOVE_TARGET, 0, 12) == -EINVAL);
	CHECK(11, answer_to(fx, OTHER, 0, one) == -EINVAL);
	CHECK(12, answer_to(fx, PROBE, 0, 4) == -EINVAL);
	return 0;
}

static int no_way_back(struct fixture *fx)
{
	(void)fx;
	CHECK(1, setuid(0) < 0 && errno == EPERM);
	CHECK(2, seteuid(0) < 0 && errno == EPERM);
	CHECK(3, bpf_map_create(BPF_MAP_TYPE_HASH, "x", 4, 4, 1, NULL) < 0);
	return 0;
}

static void target(void **state)
{
	NEED_ROOT((struct fixture *)*state);
	without_privileges(*state, files_of_a_target);
}

static void others(void **state)
{
	NEED_ROOT((struct fixture *)*state);
	without_privileges(*state, nothing_of_others);
}

static void malformed(void **state)
{
	NEED_ROOT((struct fixture *)*state);
	without_privileges(*state, nothing_that_was_not_sent);
}

static void dropped(void **state)
{
	NEED_ROOT((struct fixture *)*state);
	without_privileges(*state, no_way_back);
}

/* The descriptors of the recorder that the helper holds are the two that it needs. */
static void holds_nothing(void **state)
{
	struct fixture *fx = *state;
	const struct procfs fs = {.open = helper_open, .ctx = &fx->h};
	char path[64];
	u32 open_fds = 0;

	NEED_ROOT(fx);
	(void)close(proc_open_kallsyms(&fs));
	/* an answer is sent before the file is closed: with the next one, which has no file, it is */
	assert_int_equal(proc_open_mem(&fs, (u32)fx->other), -EPERM);
	for (u32 fd = 0; fd < 256; fd++) {
		struct stat st;

		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%u", fx->h.pid, fd);
		open_fds += stat(path, &st) == 0 && fd != STDERR_FILENO;
	}
	assert_int_equal(open_fds, 3); /* the socket, the map, and the root directory of the one target */
}

static void write_perfmap(pid_t pid, uid_t owner, char *path, size_t n)
{
	int fd;

	(void)snprintf(path, n, "/tmp/perf-%d.map", pid);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "10 5 f\n", 7), 7);
	assert_int_equal(fchown(fd, owner, owner), 0);
	assert_int_equal(close(fd), 0);
}

/* The map of a target that has ended is still given, if it is its user's; that of others never. */
static void perfmap_of_the_ended(void **state)
{
	struct fixture *fx = *state;
	const struct procfs fs = {.open = helper_open, .ctx = &fx->h};
	char path[64], others_path[64];
	pid_t pid;
	int fd;

	NEED_ROOT(fx);
	pid = fx->target;
	(void)close(proc_open_mem(&fs, (u32)pid)); /* it has begun to serve, and has met the target */
	write_perfmap(pid, 0, path, sizeof(path));
	write_perfmap(fx->other, 0, others_path, sizeof(others_path));
	end(pid);
	assert_int_equal(helper_remove_target(&fx->h, (u32)pid), 0);
	fd = proc_open_perfmap(&fs, (u32)pid, 0);
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(proc_open_mem(&fs, (u32)pid), -EPERM);
	assert_int_equal(proc_open_perfmap(&fs, (u32)fx->other, 0), -EPERM);
	assert_int_equal(chown(path, 12345, 12345), 0);
	assert_int_equal(proc_open_perfmap(&fs, (u32)pid, 0), -ENOENT);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(unlink(others_path), 0);
	fx->target = -1; /* gone already; a new one would hold the helper's socket */
}

/* A helper that does not answer is given up; its late answers are not taken for others. */
static void hangs(void **state)
{
	struct fixture *fx = *state;
	const struct procfs fs = {.open = helper_open, .ctx = &fx->h};
	int fd;

	NEED_ROOT(fx);
	assert_int_equal(kill(fx->h.pid, SIGSTOP), 0);
	assert_int_equal(proc_open_mem(&fs, (u32)fx->target), -ETIMEDOUT);
	assert_int_equal(kill(fx->h.pid, SIGCONT), 0);
	assert_int_equal(proc_open_mem(&fs, (u32)fx->other), -EPERM);
	fd = proc_open_mem(&fs, (u32)fx->target);
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
}

static void dies(void **state)
{
	struct fixture *fx = *state;
	const struct procfs fs = {.open = helper_open, .ctx = &fx->h};

	NEED_ROOT(fx);
	assert_int_equal(kill(fx->h.pid, SIGKILL), 0);
	assert_true(proc_open_mem(&fs, (u32)fx->target) < 0);
	assert_true(proc_open_mem(&fs, (u32)fx->target) < 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {TEST(target),  TEST(others),	       TEST(malformed),
					   TEST(dropped), TEST(holds_nothing), TEST(perfmap_of_the_ended),
					   TEST(hangs),	  TEST(dies)};

	return cmocka_run_group_tests_name("helper", tests, NULL, NULL);
}
