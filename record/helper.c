/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* helper.c: see helper.h. One request, one answer, in order, over a SOCK_SEQPACKET pair; an opened file travels as SCM_RIGHTS (unix(7)). */
#include "record/helper.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"

enum { HELPER_TIMEOUT_S = 2, MAX_KNOWN = 256 };

enum helper_op { HELPER_OPEN = 1, HELPER_SET_TARGET, HELPER_REMOVE_TARGET };

struct helper_request {
	u32 op; /* enum helper_op */
	u32 seq;
	union {
		struct proc_request open;
		struct {
			u32 tgid;
			struct wire_target target;
		} set;
	};
};

struct helper_answer {
	u32 seq;
	s32 err; /* 0, or negative errno; a file comes along with 0 to HELPER_OPEN */
};

/* ---- the helper ---- */

/* What of a target must be taken while it lives, for its JIT compiler's map, which is read after the last event. */
struct known {
	u32 pid;
	uid_t owner;
	int root; /* O_PATH */
	bool ended;
};

struct server {
	int sock, targets_fd;
	struct known known[MAX_KNOWN]; /* targets beyond that lose the map when they end early */
	u32 n_known;
};

static bool is_target(const struct server *s, u32 tgid)
{
	struct wire_target t;

	return bpf_map_lookup_elem(s->targets_fd, &tgid, &t) == 0;
}

static struct known *find_known(struct server *s, u32 pid)
{
	for (u32 i = 0; i < s->n_known; i++)
		if (s->known[i].pid == pid)
			return &s->known[i];
	return NULL;
}

/* A target was met. One that ended may have left its pid to another. */
static void get_to_know(struct server *s, u32 pid)
{
	struct known *k = find_known(s, pid);
	struct known now = {.pid = pid, .root = -1};

	if (k ? !k->ended : s->n_known == MAX_KNOWN)
		return;
	now.root = proc_open_root(pid);
	if (now.root < 0 || proc_owner(pid, &now.owner) < 0) {
		if (now.root >= 0)
			(void)close(now.root);
		return;
	}
	if (k)
		(void)close(k->root);
	else
		k = &s->known[s->n_known++];
	*k = now;
}

static void get_to_know_all(struct server *s)
{
	u32 pid, next;

	for (int err = bpf_map_get_next_key(s->targets_fd, NULL, &next); !err;
	     err = bpf_map_get_next_key(s->targets_fd, &pid, &next)) {
		get_to_know(s, next);
		pid = next;
	}
}

/* A thread's files are asked for by the thread's id: its process is what counts. */
static bool may_open(struct server *s, const struct proc_request *r)
{
	struct proc_status st;

	if (r->file == PROC_KALLSYMS)
		return true;
	if (is_target(s, r->pid)) {
		get_to_know(s, r->pid);
		return true;
	}
	if (r->file != PROC_STATUS && r->file != PROC_COMM)
		return false;
	return proc_status(NULL, r->pid, &st) == 0 && is_target(s, st.tgid);
}

static int serve_open(struct server *s, const struct proc_request *r)
{
	const struct known *k = r->file == PROC_PERFMAP ? find_known(s, r->pid) : NULL;

	if (k && (k->ended || !proc_exists(k->pid)))
		return proc_open_perfmap_in(k->root, r->ns_pid ? r->ns_pid : r->pid, k->owner);
	return may_open(s, r) ? proc_open_here(r) : -EPERM;
}

/* Returns what the answer's err is to be; *fd gets a file to send. */
static int serve(struct server *s, struct helper_request *r, int *fd)
{
	struct known *k;
	int err;

	switch (r->op) {
	case HELPER_OPEN:
		r->open.path[sizeof(r->open.path) - 1] = 0;
		*fd = serve_open(s, &r->open);
		return *fd < 0 ? *fd : 0;
	case HELPER_SET_TARGET: /* BPF_EXIST: never a new one */
		err = bpf_map_update_elem(s->targets_fd, &r->set.tgid, &r->set.target, BPF_EXIST);
		return err < 0 ? -errno : 0;
	case HELPER_REMOVE_TARGET:
		k = find_known(s, r->set.tgid);
		if (k)
			k->ended = true;
		err = bpf_map_delete_elem(s->targets_fd, &r->set.tgid);
		return err < 0 ? -errno : 0;
	default:
		return -EINVAL;
	}
}

static int send_answer(int sock, const struct helper_answer *a, int fd)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)a, .iov_len = sizeof(*a)};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* It keeps two descriptors: the socket and the map. Ctrl-C is for the recorder, which still needs the helper while it ends. */
static void keep_only(int *sock, int *targets_fd)
{
	int map = fcntl(*targets_fd, F_DUPFD, 5); /* it may be one of the two numbers itself */
	sigset_t all;

	(void)dup2(*sock, 3);
	(void)dup2(map, 4);
	*sock = 3;
	*targets_fd = 4;
	(void)syscall(SYS_close_range, 5, ~0U, 0);
	(void)close(STDIN_FILENO);
	(void)close(STDOUT_FILENO);
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)prctl(PR_SET_NAME, "ascope-helper", 0, 0, 0);
}

static _Noreturn void helper_main(int sock, int targets_fd, pid_t recorder)
{
	struct server *s = calloc(1, sizeof(*s));

	keep_only(&sock, &targets_fd);
	if (!s || getppid() != recorder)
		_exit(0);
	s->sock = sock;
	s->targets_fd = targets_fd;
	get_to_know_all(s);
	for (;;) {
		struct helper_request r = {0};
		struct helper_answer a;
		ssize_t n = recv(sock, &r, sizeof(r), 0);
		int fd = -1;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(0);
		a = (struct helper_answer){.seq = r.seq, .err = -EINVAL};
		if (n >= (ssize_t)offsetof(struct helper_request, open))
			a.err = serve(s, &r, &fd);
		n = send_answer(sock, &a, fd);
		if (fd >= 0)
			(void)close(fd);
		if (n < 0)
			_exit(0);
	}
}

/* ---- the recorder's side ---- */

int helper_start(struct helper *h, int targets_fd)
{
	const struct timeval limit = {.tv_sec = HELPER_TIMEOUT_S};
	int pair[2];
	pid_t pid, self = getpid();

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	/* above the two numbers that the helper uses */
	for (u32 i = 0; i < 2; i++) {
		int fd = fcntl(pair[i], F_DUPFD_CLOEXEC, 5);

		(void)close(pair[i]);
		pair[i] = fd;
	}
	if (pair[0] < 0 || pair[1] < 0 || setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		int err = -errno;

		(void)close(pair[0]);
		(void)close(pair[1]);
		return err;
	}
	if (pid == 0)
		helper_main(pair[1], targets_fd, self);
	(void)close(pair[1]);
	*h = (struct helper){.sock = pair[0], .pid = pid, .targets_fd = targets_fd};
	return 0;
}

void helper_stop(struct helper *h)
{
	if (h->sock < 0)
		return;
	(void)close(h->sock);
	(void)waitpid(h->pid, NULL, 0);
	h->sock = -1;
}

/* The answer to request `seq`; those to earlier ones, given up after a time-out, are thrown away. */
static int take_answer(struct helper *h, u32 seq, int *fd)
{
	struct helper_answer a;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;

	do {
		struct iovec iov = {.iov_base = &a, .iov_len = sizeof(a)};
		struct msghdr msg = {
			.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
		struct cmsghdr *c;
		ssize_t n;

		do
			n = recvmsg(h->sock, &msg, MSG_CMSG_CLOEXEC);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n != (ssize_t)sizeof(a))
			return -EPIPE;
		c = CMSG_FIRSTHDR(&msg);
		if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int))) {
			if (*fd >= 0)
				(void)close(*fd);
			memcpy(fd, CMSG_DATA(c), sizeof(*fd));
		}
	} while (a.seq != seq);
	return a.err;
}

static int ask(struct helper *h, struct helper_request *r, size_t size, int *fd)
{
	r->seq = ++h->seq;
	if (send(h->sock, r, size, MSG_NOSIGNAL) < 0)
		return -errno;
	return take_answer(h, r->seq, fd);
}

int helper_open(void *ctx, const struct proc_request *o)
{
	struct helper *h = ctx;
	struct helper_request r = {.op = HELPER_OPEN};
	int fd = -1, err;

	if (h->sock < 0)
		return proc_open_here(o);
	r.open = *o;
	err = ask(h, &r, offsetof(struct helper_request, open.path) + strlen(o->path) + 1, &fd);
	if (err && fd >= 0) {
		(void)close(fd);
		fd = -1;
	}
	return err ? err : fd >= 0 ? fd : -EPIPE;
}

int helper_set_target(struct helper *h, u32 tgid, const struct wire_target *t)
{
	struct helper_request r = {.op = HELPER_SET_TARGET, .set = {.tgid = tgid, .target = *t}};
	int fd = -1;

	if (h->sock < 0)
		return bpf_map_update_elem(h->targets_fd, &tgid, t, BPF_ANY) < 0 ? -errno : 0;
	return ask(h, &r, offsetof(struct helper_request, set) + sizeof(r.set), &fd);
}

int helper_remove_target(struct helper *h, u32 tgid)
{
	struct helper_request r = {.op = HELPER_REMOVE_TARGET, .set = {.tgid = tgid}};
	int fd = -1;

	if (h->sock < 0)
		return bpf_map_delete_elem(h->targets_fd, &tgid) < 0 ? -errno : 0;
	return ask(h, &r, offsetof(struct helper_request, set) + sizeof(r.set), &fd);
}
