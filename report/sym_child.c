/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_child.c: see sym_child.h. fork(2) without exec: the child has all code at hand, and no path to a binary is needed. It closes every file but its own and
 * keeps no secret that it could tell anyone: its one way out are the two sockets to this process.
 */
#include "report/sym_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "report/sym_serve.h"

#define DEFAULT_MEMORY	((u64)2 << 30)
#define DEFAULT_SECONDS 60
#define MAX_FILES	4096 /* of the child: units of split DWARF may be many */
#define READ_MAX	((size_t)64 << 10)
#define REAP_NS		(2 * NSEC_PER_SEC) /* a process that has closed its files has this long to end */
#define WAIT_FACTOR	3ULL
#define MAX_CHILDREN	8

/* Address space on top of the memory, as files are mapped: enough for the largest known debug info, but a sparse file must not lift the limit. */
#define MAX_MAPPED ((u64)8 << 30)

struct sym_child {
	struct sym_child_opts opts;
	struct sym_input in;
	const struct sym_wire_lookup *lookups;
	u64 n_lookups, n_sent;
	const struct sym_wire_tasks_of *tasks;
	u64 n_tasks, n_tasks_sent;
	pid_t pid; /* 0: reaped */
	int sock, files;
	struct buf out; /* lookups to be sent */
	size_t out_pos;
	bool all_sent;
	u64 waited; /* ns */
	enum sym_outcome outcome;
	struct sym_answers answers;
	char why[SYM_WIRE_WHY_MAX + 64];
	u8 chunk[READ_MAX]; /* as it was received */
};

/* ---- the child ---- */

static u64 file_size(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0 ? (u64)st.st_size : 0;
}

static void default_signals(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		(void)sigaction(i, &dfl, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Never returns. */
static void child_main(const struct sym_child *c, int sock, int files, pid_t parent)
{
	const int in[3] = {c->in.fd, c->in.debug_fd, c->in.alt_fd};
	struct sym_serve s = {.sock = 3, .files = 4, .in = {.fd = -1, .debug_fd = -1, .alt_fd = -1}};
	struct sym_sandbox_limits l = {
		.memory = c->opts.memory, .cpu_s = c->opts.seconds, .files = MAX_FILES, .without = c->opts.without};
	int *const out[3] = {&s.in.fd, &s.in.debug_fd, &s.in.alt_fd};
	int keep[5] = {sock, files};
	u64 mapped = 0;
	u32 n = 2;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(SYM_SERVE_NO_PARENT);
	(void)prctl(PR_SET_NAME, "ascope-symbols", 0, 0, 0);
	default_signals();
	for (u32 i = 0; i < ARRAY_SIZE(in); i++) {
		mapped = min_u64(mapped + min_u64(file_size(in[i]), MAX_MAPPED), MAX_MAPPED);
		if (in[i] >= 0) {
			*out[i] = 3 + (int)n;
			keep[n++] = in[i];
		}
	}
	l.memory += mapped;
	if (!c->in.open_split)
		s.files = -1;
	(void)unsetenv("DEBUGINFOD_URLS");
	if (sym_sandbox_keep_fds(keep, n) < 0)
		_exit(SYM_SERVE_NO_PARENT);
	s.layers = sym_sandbox_enter(&l);
	_exit(c->opts.body ? c->opts.body(&s) : sym_serve_run(&s));
}

/* ---- start, end ---- */

static int socket_pair(int type, int ret[2])
{
	return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ret) < 0 ? -errno : 0;
}

static void close_pair(const int pair[2])
{
	cleanup_close_p(&pair[0]);
	cleanup_close_p(&pair[1]);
}

static int start_process(struct sym_child *c)
{
	int sock[2] = {-1, -1}, files[2] = {-1, -1};
	pid_t self = getpid();
	int err = socket_pair(SOCK_STREAM, sock);

	if (!err)
		err = socket_pair(SOCK_SEQPACKET, files);
	child_want_statuses();
	if (!err) {
		c->pid = fork();
		if (!c->pid)
			child_main(c, sock[1], files[1], self);
		if (c->pid < 0) {
			err = -errno;
			c->pid = 0;
		}
	}
	if (err) {
		close_pair(sock);
		close_pair(files);
		return err;
	}
	(void)close(sock[1]);
	(void)close(files[1]);
	c->sock = sock[0];
	c->files = files[0];
	return 0;
}

int sym_child_start(const struct sym_child_opts *o, const struct sym_input *in, const struct sym_wire_lookup *lookups, u64 n,
		    struct sym_child **ret)
{
	struct sym_child *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->opts = o ? *o : (struct sym_child_opts){0};
	if (!c->opts.memory)
		c->opts.memory = DEFAULT_MEMORY;
	if (!c->opts.seconds)
		c->opts.seconds = DEFAULT_SECONDS;
	c->in = *in;
	c->lookups = lookups;
	c->n_lookups = n;
	c->sock = c->files = -1;
	err = sym_answers_init(&c->answers, n);
	if (!err)
		err = start_process(c);
	if (err) {
		(void)sym_child_close(c);
		return err;
	}
	*ret = c;
	return 0;
}

void sym_child_ask_tasks(struct sym_child *c, const struct sym_wire_tasks_of *v, u64 n)
{
	c->tasks = v;
	c->n_tasks = c->answers.n_tasks = n;
}

static void end_process(struct sym_child *c)
{
	if (c->pid > 0) {
		(void)kill(c->pid, SIGKILL);
		while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	c->pid = 0;
	cleanup_close_p(&c->sock);
	cleanup_close_p(&c->files);
	c->sock = c->files = -1;
}

struct sym_child *sym_child_close(struct sym_child *c)
{
	if (!c)
		return NULL;
	end_process(c);
	buf_release(&c->out);
	sym_answers_release(&c->answers);
	free(c);
	return NULL;
}

/* ---- outcomes ---- */

static void settle(struct sym_child *c, enum sym_outcome outcome)
{
	c->outcome = outcome;
	switch (outcome) {
	case SYM_CHILD_TIME:
		(void)snprintf(c->why, sizeof(c->why), "the reader took longer than %u s", c->opts.seconds);
		break;
	case SYM_CHILD_MEMORY:
		if (c->opts.memory >> 30)
			(void)snprintf(c->why, sizeof(c->why), "the reader needed more than %llu GiB of memory",
				       (unsigned long long)(c->opts.memory >> 30));
		else
			(void)snprintf(c->why, sizeof(c->why), "the reader needed more than %llu MiB of memory",
				       (unsigned long long)(c->opts.memory >> 20));
		break;
	case SYM_CHILD_REFUSED:
		(void)snprintf(c->why, sizeof(c->why), "%s", c->answers.why);
		break;
	case SYM_CHILD_BROKEN:
		(void)snprintf(c->why, sizeof(c->why), "the reader sent %s", c->answers.why);
		break;
	default:
		break;
	}
	end_process(c);
}

/* Waits for a process that has closed its sockets; its status, or -1 when it did not end by itself. */
static int reap(struct sym_child *c)
{
	u64 until = clock_ns(CLOCK_MONOTONIC) + REAP_NS;
	int status = -1;

	while (clock_ns(CLOCK_MONOTONIC) < until) {
		pid_t pid = waitpid(c->pid, &status, WNOHANG);

		if (pid == c->pid) {
			c->pid = 0;
			return status;
		}
		if (pid < 0 && errno != EINTR) {
			c->pid = 0; /* somebody else has: SIGCHLD is ignored */
			return -1;
		}
		(void)poll(NULL, 0, 1);
	}
	return -1;
}

/* It closed its sockets before it had said all. */
static void settle_gone(struct sym_child *c)
{
	int status = reap(c);

	if (status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == SYM_SERVE_NO_MEMORY) {
		settle(c, SYM_CHILD_MEMORY);
	} else if (status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU) {
		settle(c, SYM_CHILD_TIME);
	} else {
		if (status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			(void)snprintf(c->why, sizeof(c->why), "the reader was killed, perhaps because memory ran out");
		else if (status != -1 && WIFSIGNALED(status))
			(void)snprintf(c->why, sizeof(c->why), "the reader crashed: %s", strsignal(WTERMSIG(status)));
		else
			(void)snprintf(c->why, sizeof(c->why), "the reader ended too early");
		settle(c, SYM_CHILD_CRASHED);
	}
}

static void settle_by_answers(struct sym_child *c)
{
	switch (c->answers.state) {
	case SYM_ANSWERS_DONE:
		settle(c, SYM_CHILD_OK);
		break;
	case SYM_ANSWERS_FAILED:
		settle(c, c->answers.err == -ENOMEM ? SYM_CHILD_MEMORY : SYM_CHILD_REFUSED);
		break;
	default:
		break;
	}
}

/* ---- talking ---- */

/* The next record of what is asked for; false: all was put. */
static bool put_asked(struct sym_child *c)
{
	u64 lookups = min_u64(c->n_lookups - c->n_sent, SYM_WIRE_LOOKUPS);
	u64 tasks = min_u64(c->n_tasks - c->n_tasks_sent, SYM_WIRE_TASKS);

	buf_reset(&c->out);
	c->out_pos = 0;
	if (lookups)
		sym_wire_put(&c->out, SYM_WIRE_LOOKUPS_OF, c->lookups + c->n_sent, (u32)(lookups * sizeof(*c->lookups)));
	else if (tasks)
		sym_wire_put(&c->out, SYM_WIRE_TASKS_OF, c->tasks + c->n_tasks_sent, (u32)(tasks * sizeof(*c->tasks)));
	if (buf_err(&c->out)) /* tried again at the next step */
		return true;
	if (lookups)
		c->n_sent += lookups;
	else
		c->n_tasks_sent += tasks;
	return lookups || tasks;
}

static void send_lookups(struct sym_child *c)
{
	while (!c->all_sent) {
		ssize_t n;

		if (c->out_pos == c->out.len) {
			if (!put_asked(c)) {
				(void)shutdown(c->sock, SHUT_WR);
				c->all_sent = true;
				return;
			}
			if (buf_err(&c->out))
				return;
		}
		n = send(c->sock, c->out.data + c->out_pos, c->out.len - c->out_pos, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			c->all_sent = true; /* what it said before it ended is still to be read */
		if (n < 0)
			return;
		c->out_pos += (size_t)n;
	}
}

static int take_answers(struct sym_child *c)
{
	for (;;) {
		ssize_t n = recv(c->sock, c->chunk, sizeof(c->chunk), MSG_DONTWAIT);
		int err;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0) {
			settle_gone(c);
			return 0;
		}
		err = sym_answers_feed(&c->answers, c->chunk, (size_t)n);
		if (err == -EBADMSG)
			settle(c, SYM_CHILD_BROKEN);
		else if (!err)
			settle_by_answers(c);
		if (err || c->outcome != SYM_CHILD_RUNNING)
			return err == -EBADMSG ? 0 : err;
	}
}

static bool is_elf_file(int fd)
{
	struct stat st;
	char magic[4];

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fd_pread_full(fd, magic, sizeof(magic), 0) == sizeof(magic) &&
	       !memcmp(magic, "\177ELF", sizeof(magic));
}

static void send_file(const struct sym_child *c, s32 err, int fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	struct iovec iov = {.iov_base = &err, .iov_len = sizeof(err)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (!err) {
		struct cmsghdr *m = &control.head;

		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		m->cmsg_level = SOL_SOCKET;
		m->cmsg_type = SCM_RIGHTS;
		m->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(m), &fd, sizeof(fd));
	}
	(void)sendmsg(c->files, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* One request: any file descriptors that come with it are dropped by the kernel, as no room is given for them. */
static void take_request(struct sym_child *c)
{
	u8 packet[SYM_WIRE_WANT_MAX];
	ssize_t n = recv(c->files, packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC);
	struct sym_split_want want;
	int fd;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { /* its end shows on the other socket; here it would be ready for ever */
		(void)close(TAKE_FD(c->files));
		return;
	}
	if (!c->in.open_split || sym_wire_get_want(packet, (size_t)n, &want) < 0) {
		(void)snprintf(c->answers.why, sizeof(c->answers.why), "a request that makes no sense");
		settle(c, SYM_CHILD_BROKEN);
		return;
	}
	fd = c->in.open_split(c->in.ctx, &want);
	if (fd >= 0 && !is_elf_file(fd)) {
		(void)close(fd);
		fd = -ENOEXEC;
	}
	send_file(c, fd < 0 ? fd : 0, fd);
	if (fd >= 0)
		(void)close(fd);
}

/* ---- waiting ---- */

/* ns. On a busy host the cpu time that it may use takes longer. */
static u64 wait_limit(const struct sym_child *c)
{
	return c->opts.seconds * WAIT_FACTOR * NSEC_PER_SEC;
}

static int poll_children(struct sym_child *const *children, u32 n, struct pollfd *p, int max_ms)
{
	for (u32 i = 0; i < n; i++) {
		const struct sym_child *c = children[i];
		u64 limit = wait_limit(c), left = c->waited < limit ? limit - c->waited : 0;
		bool runs = c->outcome == SYM_CHILD_RUNNING;

		p[2 * i] = (struct pollfd){.fd = runs ? c->sock : -1, .events = (short)(POLLIN | (c->all_sent ? 0 : POLLOUT))};
		p[2 * i + 1] = (struct pollfd){.fd = runs ? c->files : -1, .events = POLLIN};
		if (runs)
			max_ms = (int)min_u64((u64)max_ms, left / NSEC_PER_MSEC + 1);
	}
	return poll(p, 2 * n, max_ms) < 0 && errno != EINTR ? -errno : 0;
}

static int serve_child(struct sym_child *c, const struct pollfd *sock, const struct pollfd *files)
{
	int err = 0;

	if (c->outcome == SYM_CHILD_RUNNING && files->revents & POLLIN)
		take_request(c);
	if (c->outcome == SYM_CHILD_RUNNING && sock->revents & (POLLIN | POLLHUP | POLLERR))
		err = take_answers(c);
	if (!err && c->outcome == SYM_CHILD_RUNNING && sock->revents & POLLOUT)
		send_lookups(c);
	return err;
}

int sym_child_step(struct sym_child *const *children, u32 n, int max_ms)
{
	struct pollfd p[2 * MAX_CHILDREN] = {{0}};
	u64 start = clock_ns(CLOCK_MONOTONIC), spent;
	int err;

	if (n > MAX_CHILDREN)
		return -EINVAL;
	err = poll_children(children, n, p, max_ms);
	for (u32 i = 0; i < n && !err; i++)
		err = serve_child(children[i], &p[2 * i], &p[2 * i + 1]);
	spent = clock_ns(CLOCK_MONOTONIC) - start;
	for (u32 i = 0; i < n && !err; i++) {
		struct sym_child *c = children[i];

		c->waited += spent;
		if (c->outcome == SYM_CHILD_RUNNING && c->waited >= wait_limit(c))
			settle(c, SYM_CHILD_TIME);
	}
	return err;
}

enum sym_outcome sym_child_outcome(const struct sym_child *c)
{
	return c->outcome;
}

const char *sym_child_why(const struct sym_child *c)
{
	return c->why;
}

pid_t sym_child_pid(const struct sym_child *c)
{
	return c->pid;
}

const struct sym_answers *sym_child_answers(const struct sym_child *c)
{
	return &c->answers;
}
