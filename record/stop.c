/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* stop.c: see stop.h. */
#include "record/stop.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

/* A terminal's Ctrl-C reaches us, and wrappers around us (sudo, timeout) that pass it on: that is one, not two. */
#define SAME_SIGNAL (250 * NSEC_PER_MSEC)

/* Blocked signals come to a signalfd even when they are ignored (signal(7)), so nohup(1) is asked for. */
static bool is_ignored(int number)
{
	struct sigaction now;

	return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

int stop_watch_signals(struct stop *s)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGCHLD);
	if (!is_ignored(SIGHUP))
		(void)sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd < 0 ? -errno : 0;
}

void stop_release(struct stop *s)
{
	if (s->signal_fd >= 0)
		(void)close(s->signal_fd);
	s->signal_fd = -1;
}

/* Children of ours: the command. Its exit is not the end while processes it left behind still run. */
static void reap(void)
{
	int status;

	while (waitpid(-1, &status, WNOHANG) > 0)
		continue;
}

void stop_take_signals(struct stop *s, u64 now)
{
	struct signalfd_siginfo si;

	while (read(s->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGCHLD) {
			reap();
			continue;
		}
		stop_because(s, STOP_SIGNAL);
		if (s->first_signal && now - s->first_signal > SAME_SIGNAL)
			s->is_urgent = true;
		if (!s->first_signal)
			s->first_signal = now;
	}
}

void stop_because(struct stop *s, enum stop_reason why)
{
	if (s->reason == STOP_NO)
		s->reason = why;
}

bool stop_is_full(const struct stop *s)
{
	return s->reason >= STOP_MAX_SIZE;
}

static const char *const names[] = {
	[STOP_NO] = "unknown",
	[STOP_TIME] = "duration",
	[STOP_SIGNAL] = "signal",
	[STOP_TARGET] = "target exited",
	[STOP_ERROR] = "error",
	[STOP_MAX_SIZE] = "max-size",
	[STOP_FILE_LIMIT] = "file size limit",
	[STOP_DISK_FULL] = "disk full",
	[STOP_DISK_QUOTA] = "disk quota",
};

const char *stop_name(enum stop_reason why)
{
	return names[why];
}
