/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_link_closer.c: ends of pipes stand for probes: the other end tells when they are closed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>
#include <cmocka.h> /* needs the four above */

#include "record/link_closer.h"

enum { BATCHES = 20, EACH = 5 };

static void all_is_closed_in_the_order_of_tickets(void **state)
{
	int ends[BATCHES][EACH];
	struct link_closer *c;
	u64 tickets[BATCHES];

	(void)state;
	assert_int_equal(link_closer_new(&c), 0);
	assert_true(link_closer_is_done(c, 7));
	for (u32 b = 0; b < BATCHES; b++) {
		int *fds = calloc(EACH, sizeof(*fds));

		assert_non_null(fds);
		for (u32 i = 0; i < EACH; i++) {
			int pair[2];

			assert_int_equal(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
			ends[b][i] = pair[0];
			fds[i] = pair[1];
		}
		tickets[b] = link_closer_put(c, fds, EACH);
		assert_true(!b || tickets[b] > tickets[b - 1]);
	}
	for (u32 b = 0; b < BATCHES; b++) {
		while (!link_closer_is_done(c, tickets[b]))
			(void)sched_yield();
		for (u32 i = 0; i < EACH; i++) {
			char byte;

			assert_int_equal(read(ends[b][i], &byte, 1), 0); /* closed; -EAGAIN while it is open */
			(void)close(ends[b][i]);
		}
	}
	assert_null(link_closer_free(c));
}

static void the_end_waits(void **state)
{
	int *fds = calloc(1, sizeof(*fds)), pair[2];
	struct link_closer *c;
	char byte;

	(void)state;
	assert_non_null(fds);
	assert_int_equal(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(link_closer_new(&c), 0);
	fds[0] = pair[1];
	assert_int_equal(link_closer_put(c, NULL, 0), 1);
	assert_int_equal(link_closer_put(c, fds, 1), 2);
	assert_null(link_closer_free(c));
	assert_int_equal(read(pair[0], &byte, 1), 0);
	(void)close(pair[0]);
	assert_null(link_closer_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_closed_in_the_order_of_tickets),
		cmocka_unit_test(the_end_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
