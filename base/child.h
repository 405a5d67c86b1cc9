/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* child.h: child processes of this one; called before fork(2) by who waits for the status (embed.c, sym_child.c, sym_fetch.c). */
#pragma once

#include <signal.h>
#include <stddef.h>

/*
 * Makes ended children leave a status. Where SIGCHLD is ignored, which may be inherited from who started us, they leave none: waitpid(2) fails with ECHILD
 * (wait(2), NOTES), and the pid may be another's. The children inherit it, too.
 */
static inline void child_want_statuses(void)
{
	struct sigaction now, dfl = {.sa_handler = SIG_DFL};

	if (sigaction(SIGCHLD, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
		(void)sigaction(SIGCHLD, &dfl, NULL);
}
