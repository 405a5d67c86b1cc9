/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* embed.c: see embed.h. */
#include "record/embed.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/log.h"
#include "record/privileges.h"
#include "record/procfs.h"

enum { MAX_ROOTS = 16, FIRST_FD = 3, NICE = 10 };

int embed_check(const char *path)
{
	struct stat st;

	if (!strcmp(path, "-")) {
		log_error(
			"--embed puts names into the file when it is closed, and standard output cannot be changed then; use -o FILE, or `ascope bundle` where the capture arrives");
		return -EINVAL;
	}
	if (lstat(path, &st) == 0 && S_ISFIFO(st.st_mode)) {
		log_error(
			"--embed puts names into the file when it is closed, and %s is a FIFO; use another file, or `ascope bundle` where the capture arrives",
			path);
		return -EINVAL;
	}
	return 0;
}

/* ---- the process ---- */

/*
 * Everything but the pipe, which becomes FIRST_FD, and standard error. The recorder's end of the pipe goes first and by itself: were it left here, by a kernel
 * before 5.9 that has no close_range(2), the pipe would never end.
 */
static void keep_only(int pipe_fd, int recorders_fd)
{
	int null;

	(void)close(recorders_fd);
	(void)dup2(pipe_fd, FIRST_FD); /* before the standard ones, of which it may be one */
	null = open("/dev/null", O_RDWR);
	(void)dup2(null, STDIN_FILENO);
	(void)dup2(null, STDOUT_FILENO);
	(void)syscall(SYS_close_range, FIRST_FD + 1, ~0U, 0);
}

static bool is_listed(const struct stat *roots, u32 n, const struct stat *st)
{
	for (u32 i = 0; i < n; i++)
		if (roots[i].st_dev == st->st_dev && roots[i].st_ino == st->st_ino)
			return true;
	return false;
}

/* The roots of targets that are not this process's; what holds them open outlives the target. */
static u32 open_roots(const struct target_list *targets, int fds[MAX_ROOTS])
{
	struct stat seen[MAX_ROOTS + 1];
	u32 n = 0;

	if (stat("/", &seen[0]) < 0)
		return 0;
	for (u32 i = 0; i < targets->n && n < MAX_ROOTS; i++) {
		struct stat st;
		int fd = proc_open_root(targets->pids[i]); /* with FD_CLOEXEC */

		if (fd < 0)
			continue;
		if (fstat(fd, &st) < 0 || is_listed(seen, n + 1, &st) || fcntl(fd, F_SETFD, 0) < 0) {
			(void)close(fd);
			continue;
		}
		seen[n + 1] = st;
		fds[n++] = fd;
	}
	return n;
}

/* Ctrl-C ends the recording, not this; afterwards it is for the bundle. What came while it was blocked is thrown away. */
static void take_signals_again(void)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	sigset_t none;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		(void)signal(ends[i], SIG_IGN);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		(void)signal(ends[i], SIG_DFL);
}

static bool is_told_to_go(void)
{
	char c;
	ssize_t n;

	do
		n = read(FIRST_FD, &c, 1);
	while (n < 0 && errno == EINTR);
	(void)close(FIRST_FD);
	return n == 1;
}

static _Noreturn void run_bundle(enum embed what, const char *path, const int *roots, u32 n_roots, bool quiet)
{
	char dirs[MAX_ROOTS][32];
	const char *argv[MAX_ROOTS * 2 + 8];
	u32 n = 0;

	argv[n++] = "ascope";
	argv[n++] = "bundle";
	argv[n++] = "--modules";
	argv[n++] = what == EMBED_LIBS ? "libs" : "all";
	for (u32 i = 0; i < n_roots; i++) {
		(void)snprintf(dirs[i], sizeof(dirs[i]), "/proc/self/fd/%d", roots[i]);
		argv[n++] = "--debug-dir";
		argv[n++] = dirs[i];
	}
	if (quiet)
		argv[n++] = "--quiet";
	argv[n++] = "--";
	argv[n++] = path;
	argv[n] = NULL;
	(void)execv("/proc/self/exe", (char **)(uintptr_t)argv);
	log_error("cannot run ascope bundle: %s", strerror(errno));
	_exit(1);
}

static _Noreturn void embedder_main(const int pair[2], enum embed what, const char *path, const struct target_list *targets,
				    bool quiet)
{
	int roots[MAX_ROOTS];
	u32 n_roots;
	sigset_t all;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	keep_only(pair[0], pair[1]);
	(void)prctl(PR_SET_NAME, "ascope-embed", 0, 0, 0);
	n_roots = open_roots(targets, roots);
	if (!is_told_to_go())
		_exit(0);
	(void)setpriority(PRIO_PROCESS, 0, NICE);
	if (privileges_become_invoker() < 0)
		_exit(1);
	take_signals_again();
	run_bundle(what, path, roots, n_roots, quiet);
}

/* ---- the recorder's side ---- */

static int start(struct embedder *e, enum embed what, const char *path, const struct target_list *targets, bool quiet)
{
	int pair[2];
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	child_want_statuses();
	pid = fork();
	if (pid == 0)
		embedder_main(pair, what, path, targets, quiet);
	if (pid < 0) {
		int err = -errno;

		(void)close(pair[0]);
		(void)close(pair[1]);
		return err;
	}
	(void)close(pair[0]);
	*e = (struct embedder){.pid = pid, .go_fd = pair[1]};
	return 0;
}

void embed_start(struct embedder *e, enum embed what, const char *path, const struct target_list *targets, bool quiet)
{
	int err = what == EMBED_NONE ? 0 : start(e, what, path, targets, quiet);

	if (err)
		log_warn("no names will be put into %s: %s; ascope bundle can do that later", path, strerror(-err));
}

static int wait_for(pid_t pid, int *ret_status)
{
	pid_t got;

	do
		got = waitpid(pid, ret_status, 0);
	while (got < 0 && errno == EINTR);
	return got == pid ? 0 : -errno;
}

void embed_run(struct embedder *e, const char *path)
{
	static const char later[] = "recorded, but no names were put into it";
	int status = 0, err;

	if (!e->pid)
		return;
	err = write(e->go_fd, "g", 1) == 1 ? 0 : -errno;
	(void)close(e->go_fd);
	if (!err)
		err = wait_for(e->pid, &status);
	*e = EMBEDDER_INIT;
	if (err)
		log_warn("%s: %s: %s", path, later, strerror(-err));
	else if (WIFSIGNALED(status))
		log_warn("%s: %s: ascope bundle was killed (%s)", path, later, strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status))
		log_warn("%s: %s; `ascope bundle` can do that later, on this host", path, later);
}

void embed_stop(struct embedder *e)
{
	if (!e->pid)
		return;
	(void)close(e->go_fd);
	(void)wait_for(e->pid, &(int){0});
	*e = EMBEDDER_INIT;
}
