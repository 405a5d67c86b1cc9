/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_log.c: the exact lines when stderr is no terminal; on a terminal (a pty) colour, NO_COLOR, and the status line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <string.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/log.h"

/* Runs fn in a child whose stderr is `to`; returns the wait status. */
static int in_child(int to, void (*fn)(void))
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		if (dup2(to, 2) != 2)
			_exit(99);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int said_in_a_pipe(void (*fn)(void), char *said, size_t size)
{
	int fds[2], status;
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	status = in_child(fds[1], fn);
	(void)close(fds[1]);
	n = read(fds[0], said, size - 1);
	assert_true(n >= 0);
	said[n] = '\0';
	(void)close(fds[0]);
	return status;
}

static void said_on_a_terminal(void (*fn)(void), char *said, size_t size)
{
	struct winsize ws = {.ws_row = 24, .ws_col = 20};
	int master, slave;
	size_t n = 0;

	assert_int_equal(openpty(&master, &slave, NULL, NULL, &ws), 0);
	assert_int_equal(in_child(slave, fn), 0);
	/* a worker of the kernel brings what was written, at its leisure and in parts */
	while (n < size - 1 && poll(&(struct pollfd){.fd = master, .events = POLLIN}, 1, 500) > 0) {
		ssize_t got = read(master, said + n, size - 1 - n);

		assert_true(got > 0);
		n += (size_t)got;
	}
	said[n] = '\0';
	(void)close(master);
	(void)close(slave);
}

static void all_levels(void)
{
	(void)unsetenv("ASCOPE_DEBUG");
	(void)unsetenv("NO_COLOR");
	log_error("no %s", "file");
	log_warn("odd: \033[2J\a");
	log_info("two\n\tlines");
	log_debug("hidden");
	log_status("50 %%");
	log_status_end();
	log_set_quiet(true);
	log_info("hidden");
	log_error("seen");
	log_set_quiet(false);
	(void)setenv("ASCOPE_DEBUG", "1", 1);
	log_debug("deep");
}

static void in_a_pipe(void **state)
{
	char said[1024];

	(void)state;
	assert_int_equal(said_in_a_pipe(all_levels, said, sizeof(said)), 0);
	assert_string_equal(said, "ascope: error: no file\n"
				  "ascope: warning: odd: ?[2J?\n"
				  "ascope: two\n\tlines\n"
				  "ascope: error: seen\n"
				  "ascope: debug: deep\n");
}

static void status_and_error(void)
{
	(void)unsetenv("NO_COLOR");
	log_status("half %s", "of a line that is too long for it");
	log_error("x");
}

static void status_without_colour(void)
{
	(void)setenv("NO_COLOR", "1", 1);
	log_status("a\nb");
	log_status("c");
	log_status_end();
	log_status_end();
	log_error("x");
}

static void on_a_terminal(void **state)
{
	char said[1024];

	(void)state;
	said_on_a_terminal(status_and_error, said, sizeof(said));
	assert_string_equal(said, "\r\033[Khalf of a line that"
				  "\r\033[Kascope: \033[1;31merror: \033[0mx\r\n");
	said_on_a_terminal(status_without_colour, said, sizeof(said));
	assert_string_equal(said, "\r\033[Ka\r\033[Kc\r\033[Kascope: error: x\r\n");
}

static void a_bug(void)
{
	BUG_ON(1 + 1 == 2);
}

static void bug_aborts(void **state)
{
	char said[1024];
	int status;

	(void)state;
	status = said_in_a_pipe(a_bug, said, sizeof(said));
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), 6);
	assert_non_null(strstr(said, "ascope: bug: "));
	assert_non_null(strstr(said, "test_log.c:"));
	assert_non_null(strstr(said, ": 1 + 1 == 2\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_a_pipe),
		cmocka_unit_test(on_a_terminal),
		cmocka_unit_test(bug_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
