/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sym_fetch.c: see sym_fetch.h. */
#include "report/sym_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/log.h"

#define PROGRAM "debuginfod-find"
#define WALL_MS 180000
#define END_MS	2000 /* a program that has closed its output has this long to end */

static bool starts_with(const char *s, size_t n, const char *with)
{
	return n >= strlen(with) && memcmp(s, with, strlen(with)) == 0;
}

bool sym_fetch_is_server(const char *url, size_t n)
{
	static const char *const local[] = {"http://localhost", "http://127.0.0.1", "http://[::1]"};

	if (starts_with(url, n, "https://"))
		return n > strlen("https://");
	for (size_t i = 0; i < ARRAY_SIZE(local); i++) {
		size_t len = strlen(local[i]);

		if (starts_with(url, n, local[i]) && (n == len || url[len] == '/' || url[len] == ':') && !memchr(url, '@', n))
			return true;
	}
	return false;
}

/* The servers of $DEBUGINFOD_URLS that may be asked, a blank behind each. */
static void list_servers(struct buf *ret)
{
	const char *p = secure_getenv("DEBUGINFOD_URLS");

	while (p && *p) {
		size_t n;

		p += strspn(p, " \t\n");
		n = strcspn(p, " \t\n");
		if (n && sym_fetch_is_server(p, n)) {
			buf_put(ret, p, n);
			buf_putc(ret, ' ');
		}
		p += n;
	}
}

bool sym_fetch_has_server(void)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	list_servers(&b);
	return b.len != 0;
}

/* As posix_spawnp(3) looks for it. */
static bool has_program(const char *name)
{
	const char *dirs = getenv("PATH");

	if (!dirs)
		dirs = "/bin:/usr/bin"; /* confstr(_CS_PATH) of glibc */
	for (const char *p = dirs;; p++) {
		size_t n = strcspn(p, ":");
		char path[PATH_MAX];

		if (n < sizeof(path) &&
		    snprintf(path, sizeof(path), "%.*s/%s", n ? (int)n : 1, n ? p : ".", name) < (int)sizeof(path) &&
		    access(path, X_OK) == 0)
			return true;
		p += n;
		if (!*p)
			return false;
	}
}

void sym_fetch_check(void)
{
	if (!has_program(PROGRAM))
		log_warn("--debuginfod: the program debuginfod-find is not installed (it comes with elfutils, in Debian in the "
			 "package debuginfod)");
}

#define ENV_MAX 4096

/* This process's environment with the servers and limits; texts holds what is new. -E2BIG when it is too large. */
static int make_env(char *env[ENV_MAX], struct buf *texts)
{
	static const char *const limits[] = {"DEBUGINFOD_MAXSIZE=2147483648", "DEBUGINFOD_MAXTIME=120", "DEBUGINFOD_TIMEOUT=30"};
	u32 n = 0;

	for (char **e = environ; *e; e++) {
		if (starts_with(*e, strlen(*e), "DEBUGINFOD_URLS="))
			continue;
		if (n + 8 >= ENV_MAX)
			return -E2BIG;
		env[n++] = *e;
	}
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		size_t name = strcspn(limits[i], "=") + 1;
		bool is_set = false;

		for (char **e = environ; *e; e++)
			is_set |= starts_with(*e, strlen(*e), limits[i]) || strncmp(*e, limits[i], name) == 0;
		if (!is_set)
			env[n++] = (char *)(uintptr_t)limits[i];
	}
	buf_puts(texts, "DEBUGINFOD_URLS=");
	list_servers(texts);
	buf_putc(texts, '\0');
	env[n++] = (char *)texts->data;
	env[n] = NULL;
	return buf_err(texts);
}

static int spawn(const char *kind, const char *build_id, int out, pid_t *ret)
{
	_cleanup_buf_ struct buf texts = BUF_INIT;
	_cleanup_free_ char **env = calloc(ENV_MAX, sizeof(*env));
	char *argv[] = {(char *)(uintptr_t)PROGRAM, (char *)(uintptr_t)kind, (char *)(uintptr_t)build_id, NULL};
	posix_spawn_file_actions_t actions;
	int err = env ? make_env(env, &texts) : -ENOMEM;

	if (err)
		return err;
	if (posix_spawn_file_actions_init(&actions))
		return -ENOMEM;
	err = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (!err)
		err = posix_spawn_file_actions_adddup2(&actions, out, 1);
	if (!err)
		err = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (!err)
		err = posix_spawnp(ret, argv[0], &actions, NULL, argv, env);
	(void)posix_spawn_file_actions_destroy(&actions);
	return -err;
}

static u64 now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

/* What the program prints, which is a path. 0, -ETIME, -ENOMEM, -EFBIG. */
static int read_output(int fd, struct buf *ret)
{
	u64 until = now_ms() + WALL_MS;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		u64 now = now_ms();
		int n = now < until ? poll(&p, 1, (int)(until - now)) : 0;
		char b[512];
		ssize_t got;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ETIME;
		got = read(fd, b, sizeof(b));
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			return buf_err(ret);
		if (got > 0)
			buf_put(ret, b, (size_t)got);
		if (buf_err(ret))
			return buf_err(ret);
	}
}

/* Of a program that ends by itself or is killed: 0, -ENOENT it has failed, -ETIME it was killed here, other -errno. */
static int wait_for(pid_t pid)
{
	u64 until = now_ms() + END_MS;
	bool is_late = false;
	int status;
	pid_t got;

	while ((got = waitpid(pid, &status, is_late ? 0 : WNOHANG)) != pid) {
		if (got < 0 && errno != EINTR)
			return -errno;
		if (!is_late && now_ms() >= until) {
			(void)kill(pid, SIGKILL);
			is_late = true;
		} else if (!got) {
			(void)poll(NULL, 0, 1);
		}
	}
	if (is_late)
		return -ETIME;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ENOENT;
}

int sym_fetch(const char *kind, const char *build_id, char **ret_path)
{
	_cleanup_buf_ struct buf out = {.max = PATH_MAX};
	_cleanup_close_ int r = -1, w = -1;
	int fds[2], err, exit_err;
	pid_t pid;

	if (!*build_id || build_id[strspn(build_id, "0123456789abcdefABCDEF")] || !sym_fetch_has_server())
		return -ENOENT;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	r = fds[0];
	w = fds[1];
	child_want_statuses();
	err = spawn(kind, build_id, w, &pid);
	if (err)
		return err;
	(void)close(TAKE_FD(w));
	log_status("asking debuginfod for the %s of %s", kind, build_id);
	err = read_output(r, &out);
	if (err)
		(void)kill(pid, SIGKILL);
	exit_err = wait_for(pid);
	log_status_end();
	if (err || exit_err)
		return err ? err : exit_err;
	while (out.len && out.data[out.len - 1] == '\n')
		out.len--;
	if (!out.len || out.data[0] != '/' || memchr(out.data, '\0', out.len))
		return -ENOENT;
	*ret_path = buf_take_str(&out);
	return *ret_path ? 0 : -ENOMEM;
}
