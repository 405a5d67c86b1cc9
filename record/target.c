/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* target.c: see target.h. */
#include "record/target.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/parse.h"
#include "record/procfs.h"

static int add(struct target_list *l, u32 pid)
{
	for (u32 i = 0; i < l->n; i++)
		if (l->pids[i] == pid)
			return 0;
	if (l->n == TARGET_MAX_PIDS) {
		log_error("more than %d processes: record fewer at a time", TARGET_MAX_PIDS);
		return -EFBIG;
	}
	l->pids[l->n++] = pid;
	return 0;
}

/* Somebody may have read the pid inside a container: find whom it names there. */
struct ns_search {
	u32 ns_pid;
	u32 found;
	char comm[64];
};

static int compare_ns_pid(void *ctx, u32 pid)
{
	struct ns_search *s = ctx;
	struct proc_status st;

	if (proc_status(NULL, pid, &st) == 0 && st.ns_pid == s->ns_pid && st.tgid != s->ns_pid) {
		s->found = st.tgid;
		memcpy(s->comm, st.comm, sizeof(s->comm));
	}
	return 0;
}

static int no_such_pid(u32 pid)
{
	struct ns_search s = {.ns_pid = pid};

	if (proc_each(compare_ns_pid, &s) == 0 && s.found)
		log_error("no process %u on this host; inside its container process %u (%s) has that pid: use -p %u", pid,
			  s.found, s.comm, s.found);
	else
		log_error("no process %u (it may have ended; `pgrep -a NAME` lists what runs)", pid);
	return -ESRCH;
}

static int add_pid(struct target_list *l, const char *word)
{
	struct proc_status st;
	u64 pid;
	int err;

	if (parse_u64(word, &pid) < 0 || !pid || pid > INT32_MAX) {
		log_error("'%s' is not a pid", word);
		return -EINVAL;
	}
	err = proc_status(NULL, (u32)pid, &st);
	if (err == -ESRCH)
		return no_such_pid((u32)pid);
	if (err) {
		log_error("cannot look at process %llu: %s", (unsigned long long)pid, strerror(-err));
		return err;
	}
	if (st.is_kernel_thread) {
		log_error("process %llu (%s) is a kernel thread or has ended: there is no user code to record",
			  (unsigned long long)pid, st.comm);
		return -EINVAL;
	}
	return add(l, st.tgid);
}

int target_add_pids(struct target_list *l, const char *words)
{
	char word[32];
	int err = 0;

	while (!err && words[strspn(words, ", \t\n")]) {
		size_t n;

		words += strspn(words, ", \t\n");
		n = strcspn(words, ", \t\n");
		(void)snprintf(word, sizeof(word), "%.*s", (int)min_u64(n, sizeof(word) - 1), words);
		words += n;
		err = add_pid(l, word);
	}
	return err;
}

struct comm_search {
	struct target_list *list;
	const char *comm;
};

static int compare_comm(void *ctx, u32 pid)
{
	struct comm_search *s = ctx;
	struct proc_status st;

	if (proc_status(NULL, pid, &st) < 0 || st.is_kernel_thread || strcmp(st.comm, s->comm) != 0 || st.tgid == (u32)getpid())
		return 0;
	return add(s->list, st.tgid);
}

int target_add_comm(struct target_list *l, const char *comm)
{
	char cut[16];
	struct comm_search s = {.list = l, .comm = cut};
	u32 before = l->n;
	int err;

	(void)snprintf(cut, sizeof(cut), "%s", comm); /* the kernel keeps 15 bytes of a name */
	err = proc_each(compare_comm, &s);
	if (err)
		return err;
	if (l->n == before) {
		log_error(
			"no process is named '%s' (the name is that of /proc/PID/comm, at most 15 bytes; `ps -eo pid,comm` lists them)",
			cut);
		return -ESRCH;
	}
	return 0;
}

/* In the child: wait for the word, then become the command. Only async-signal-safe calls. */
static _Noreturn void child_main(char **argv, int go_fd, int err_fd)
{
	sigset_t none;
	char byte;
	int err;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (read(go_fd, &byte, 1) != 1)
		_exit(127); /* ascope gave up */
	(void)execvp(argv[0], argv);
	err = errno;
	(void)!write(err_fd, &err, sizeof(err));
	_exit(127);
}

int target_spawn(char **argv, struct target_child *ret)
{
	int go[2] = {-1, -1}, fail[2] = {-1, -1};
	pid_t pid;

	if (pipe2(go, O_CLOEXEC) < 0 || pipe2(fail, O_CLOEXEC) < 0) {
		int err = -errno;

		log_error("cannot make a pipe: %s", strerror(-err));
		return err;
	}
	pid = fork();
	if (pid < 0) {
		int err = -errno;

		log_error("cannot fork: %s", strerror(-err));
		return err;
	}
	if (pid == 0) {
		(void)close(go[1]);
		(void)close(fail[0]);
		child_main(argv, go[0], fail[1]);
	}
	(void)close(go[0]);
	(void)close(fail[1]);
	*ret = (struct target_child){.pid = pid, .go_fd = go[1], .err_fd = fail[0]};
	return 0;
}

int target_go(struct target_child *c, const char *name)
{
	int failed = 0;

	if (write(c->go_fd, "g", 1) != 1)
		return -EPIPE;
	/* the pipe closes on exec: end of file says that it went well */
	if (read(c->err_fd, &failed, sizeof(failed)) == (ssize_t)sizeof(failed)) {
		log_error("cannot run '%s': %s", name, strerror(failed));
		return -failed;
	}
	return 0;
}

void target_child_release(struct target_child *c)
{
	if (c->go_fd >= 0)
		(void)close(c->go_fd);
	if (c->err_fd >= 0)
		(void)close(c->err_fd);
	c->go_fd = c->err_fd = -1;
}
