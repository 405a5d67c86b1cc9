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
#include "record/uprobe_link.h"

enum { HELPER_TIMEOUT_S = 2, MAX_KNOWN = 256, MAX_SENT_FDS = UPROBE_SINGLE_MAX };

enum helper_op { HELPER_OPEN = 1, HELPER_SET_TARGET, HELPER_REMOVE_TARGET, HELPER_PROBE };

struct probe_request {
	u32 tgid;
	u32 group; /* enum probe_group */
	u64 cookie;
	u32 n;
	u32 pad;
	struct proc_request file;
	u64 offsets[UPROBE_MULTI_MAX];
};

struct helper_request {
	u32 op; /* enum helper_op */
	u32 seq;
	union {
		struct proc_request open;
		struct {
			u32 tgid;
			struct wire_target target;
		} set;
		struct probe_request probe;
	};
};

/* Without anything behind what the operation uses. */
#define SET_BYTES      (offsetof(struct helper_request, set) + sizeof(((struct helper_request *)0)->set))
#define PROBE_BYTES(n) (offsetof(struct helper_request, probe.offsets) + (size_t)(n) * sizeof(u64))

struct helper_answer {
	u32 seq;
	s32 err; /* 0, or negative errno; a file comes along with 0 to HELPER_OPEN, links to HELPER_PROBE */
};

/* Descriptors that travel with an answer. */
struct fds {
	int fd[MAX_SENT_FDS];
	u32 n;
};

union fds_control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * MAX_SENT_FDS)];
};

static void close_fds(struct fds *f)
{
	for (u32 i = 0; i < f->n; i++)
		(void)close(f->fd[i]);
	f->n = 0;
}

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
	struct helper_programs programs;
	struct helper_request request;
	struct known known[MAX_KNOWN]; /* targets beyond that lose the map when they end early */
	u32 n_known;
};

static bool in_map(int targets_fd, u32 tgid)
{
	struct wire_target t;

	return bpf_map_lookup_elem(targets_fd, &tgid, &t) == 0;
}

static bool is_target(const struct server *s, u32 tgid)
{
	return in_map(s->targets_fd, tgid);
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

static bool is_program_file(const struct proc_request *r, u32 tgid)
{
	return (r->file == PROC_EXE || r->file == PROC_MAPPED) && r->pid == tgid;
}

static u32 max_places(const struct helper_programs *pr)
{
	return pr->multi ? UPROBE_MULTI_MAX : UPROBE_SINGLE_MAX;
}

/* In the helper, or in the recorder while there is none. f gets the links. */
static int attach(int targets_fd, const struct helper_programs *pr, const struct helper_probe *p, struct fds *f)
{
	struct uprobe_places at = {.pid = pr->by_process ? p->tgid : 0, .cookie = p->cookie, .offsets = p->offsets, .n = p->n};
	_cleanup_close_ int file = -1;
	int err;

	if (p->group >= PROBE_GROUPS || !(pr->groups >> p->group & 1))
		return -EOPNOTSUPP;
	if (!p->n || p->n > max_places(pr))
		return -EINVAL;
	if (!is_program_file(p->file, p->tgid) || !in_map(targets_fd, p->tgid))
		return -EPERM;
	file = proc_open_here(p->file);
	if (file < 0)
		return file;
	at.file = file;
	if (!pr->multi) {
		err = uprobe_link_single(pr->fd[p->group], &at, f->fd);
		f->n = err ? 0 : p->n;
		return err;
	}
	f->fd[0] = uprobe_link_multi(pr->fd[p->group], &at);
	f->n = f->fd[0] >= 0;
	return f->n ? 0 : f->fd[0];
}

static int serve_probe(struct server *s, struct probe_request *r, struct fds *f)
{
	struct helper_probe p = {.file = &r->file,
				 .tgid = r->tgid,
				 .group = (enum probe_group)r->group,
				 .cookie = r->cookie,
				 .offsets = r->offsets,
				 .n = r->n};

	r->file.path[sizeof(r->file.path) - 1] = 0;
	get_to_know(s, r->tgid);
	return attach(s->targets_fd, &s->programs, &p, f);
}

static int serve_file(struct server *s, struct proc_request *r, struct fds *f)
{
	r->path[sizeof(r->path) - 1] = 0;
	f->fd[0] = serve_open(s, r);
	f->n = f->fd[0] >= 0;
	return f->n ? 0 : f->fd[0];
}

/* Whether all that a request speaks of was sent: what was not reads as zeros, and a zero is a place in a file. */
static bool is_whole(const struct helper_request *r, size_t got)
{
	switch (r->op) {
	case HELPER_OPEN:
		return got > offsetof(struct helper_request, open.path);
	case HELPER_SET_TARGET:
	case HELPER_REMOVE_TARGET:
		return got >= SET_BYTES;
	case HELPER_PROBE:
		return got >= PROBE_BYTES(0) && r->probe.n <= UPROBE_MULTI_MAX && got == PROBE_BYTES(r->probe.n);
	default:
		return false;
	}
}

/* Returns what the answer's err is to be; *f gets what is to be sent with it. */
static int serve(struct server *s, struct helper_request *r, struct fds *f)
{
	struct known *k;
	int err;

	switch (r->op) {
	case HELPER_OPEN:
		return serve_file(s, &r->open, f);
	case HELPER_PROBE:
		return serve_probe(s, &r->probe, f);
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

static int send_answer(int sock, const struct helper_answer *a, const struct fds *f)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)a, .iov_len = sizeof(*a)};
	union fds_control control = {0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (f->n) {
		struct cmsghdr *c;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * f->n);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * f->n);
		memcpy(CMSG_DATA(c), f->fd, sizeof(int) * f->n);
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

enum {
	FIRST_KEPT = 3,
	MAX_KEPT = 2 + PROBE_GROUPS,
};

/* The descriptors that it keeps: the socket, the map, the programs. Ctrl-C is for the recorder, which still needs the helper while it ends. */
static void keep_only(struct server *s)
{
	int *kept[MAX_KEPT] = {&s->sock, &s->targets_fd};
	u32 n = 2;
	sigset_t all;

	for (u32 g = 0; g < PROBE_GROUPS; g++)
		if (s->programs.groups >> g & 1)
			kept[n++] = &s->programs.fd[g];
	for (u32 i = 0; i < n; i++) /* each may have the number that another is to get */
		*kept[i] = fcntl(*kept[i], F_DUPFD, FIRST_KEPT + MAX_KEPT);
	for (u32 i = 0; i < n; i++) {
		(void)dup2(*kept[i], FIRST_KEPT + (int)i);
		*kept[i] = FIRST_KEPT + (int)i;
	}
	(void)syscall(SYS_close_range, FIRST_KEPT + n, ~0U, 0);
	(void)close(STDIN_FILENO);
	(void)close(STDOUT_FILENO);
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)prctl(PR_SET_NAME, "ascope-helper", 0, 0, 0);
}

static _Noreturn void helper_main(int sock, int targets_fd, const struct helper_programs *programs, pid_t recorder)
{
	struct server *s = calloc(1, sizeof(*s));

	if (!s || getppid() != recorder)
		_exit(0);
	s->sock = sock;
	s->targets_fd = targets_fd;
	s->programs = *programs;
	keep_only(s);
	if (getppid() != recorder) /* it ended before its death was asked for */
		_exit(0);
	get_to_know_all(s);
	for (;;) {
		struct helper_request *r = &s->request;
		struct helper_answer a;
		struct fds f = {.n = 0};
		ssize_t n;

		memset(r, 0, sizeof(*r)); /* what a shorter one does not say */
		n = recv(s->sock, r, sizeof(*r), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(0);
		a = (struct helper_answer){.seq = r->seq, .err = -EINVAL};
		if (n >= (ssize_t)offsetof(struct helper_request, open) && is_whole(r, (size_t)n))
			a.err = serve(s, r, &f);
		n = send_answer(s->sock, &a, &f);
		close_fds(&f);
		if (n < 0)
			_exit(0);
	}
}

/* ---- the recorder's side ---- */

int helper_start(struct helper *h, int targets_fd)
{
	const struct timeval limit = {.tv_sec = HELPER_TIMEOUT_S};
	const struct helper_programs programs = h->programs;
	int pair[2];
	pid_t pid, self = getpid();

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	if (setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 || (pid = fork()) < 0) {
		int err = -errno;

		(void)close(pair[0]);
		(void)close(pair[1]);
		return err;
	}
	if (pid == 0)
		helper_main(pair[1], targets_fd, &programs, self);
	(void)close(pair[1]);
	*h = (struct helper){.sock = pair[0], .pid = pid, .targets_fd = targets_fd, .programs = programs};
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

/* Those that came with a message, in place of what is in *f. */
static void take_fds(struct msghdr *msg, struct fds *f)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(msg);

	close_fds(f);
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len < CMSG_LEN(0))
		return;
	f->n = (u32)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	if (f->n > MAX_SENT_FDS) /* the kernel gives no more than there is room for */
		f->n = MAX_SENT_FDS;
	memcpy(f->fd, CMSG_DATA(c), f->n * sizeof(int));
}

/* The answer to request `seq`; those to earlier ones, given up after a time-out, are thrown away. */
static int take_answer(struct helper *h, u32 seq, struct fds *f)
{
	struct helper_answer a;
	union fds_control control;

	do {
		struct iovec iov = {.iov_base = &a, .iov_len = sizeof(a)};
		struct msghdr msg = {
			.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
		ssize_t n;

		do
			n = recvmsg(h->sock, &msg, MSG_CMSG_CLOEXEC);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		take_fds(&msg, f);
		if (n != (ssize_t)sizeof(a))
			return -EPIPE;
		if (a.seq == seq && (msg.msg_flags & MSG_CTRUNC)) /* this process has no room for so many */
			return -EMFILE;
	} while (a.seq != seq);
	return a.err;
}

/* f gets what comes with the answer 0, and is empty after any other. */
static int ask(struct helper *h, struct helper_request *r, size_t size, struct fds *f)
{
	int err;

	r->seq = ++h->seq;
	if (send(h->sock, r, size, MSG_NOSIGNAL) < 0)
		return -errno;
	err = take_answer(h, r->seq, f);
	if (err)
		close_fds(f);
	return err;
}

int helper_open(void *ctx, const struct proc_request *o)
{
	struct helper *h = ctx;
	struct fds f = {.n = 0};
	_cleanup_free_ struct helper_request *r = NULL;
	int err;

	if (h->sock < 0)
		return proc_open_here(o);
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->op = HELPER_OPEN;
	r->open = *o;
	err = ask(h, r, offsetof(struct helper_request, open.path) + strlen(o->path) + 1, &f);
	if (err)
		return err;
	if (f.n == 1)
		return f.fd[0];
	close_fds(&f);
	return -EPIPE;
}

static int ask_about_target(struct helper *h, enum helper_op op, u32 tgid, const struct wire_target *t)
{
	_cleanup_free_ struct helper_request *r = calloc(1, sizeof(*r));
	struct fds f = {.n = 0};

	if (!r)
		return -ENOMEM;
	r->op = op;
	r->set.tgid = tgid;
	if (t)
		r->set.target = *t;
	return ask(h, r, SET_BYTES, &f);
}

int helper_set_target(struct helper *h, u32 tgid, const struct wire_target *t)
{
	if (h->sock < 0)
		return bpf_map_update_elem(h->targets_fd, &tgid, t, BPF_ANY) < 0 ? -errno : 0;
	return ask_about_target(h, HELPER_SET_TARGET, tgid, t);
}

int helper_remove_target(struct helper *h, u32 tgid)
{
	if (h->sock < 0)
		return bpf_map_delete_elem(h->targets_fd, &tgid) < 0 ? -errno : 0;
	return ask_about_target(h, HELPER_REMOVE_TARGET, tgid, NULL);
}

u32 helper_probe_max(const struct helper *h)
{
	return max_places(&h->programs);
}

static int ask_for_probe(struct helper *h, const struct helper_probe *p, struct fds *f)
{
	_cleanup_free_ struct helper_request *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	if (!p->n || p->n > max_places(&h->programs))
		return -EINVAL;
	r->op = HELPER_PROBE;
	r->probe = (struct probe_request){.tgid = p->tgid, .group = p->group, .cookie = p->cookie, .n = p->n, .file = *p->file};
	memcpy(r->probe.offsets, p->offsets, p->n * sizeof(*p->offsets));
	return ask(h, r, PROBE_BYTES(p->n), f);
}

int helper_probe(struct helper *h, const struct helper_probe *p, int *fds)
{
	struct fds f = {.n = 0};
	int err = h->sock < 0 ? attach(h->targets_fd, &h->programs, p, &f) : ask_for_probe(h, p, &f);

	if (err)
		return err;
	memcpy(fds, f.fd, f.n * sizeof(*fds));
	return (int)f.n;
}
