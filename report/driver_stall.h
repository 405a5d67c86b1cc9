/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * driver_stall.h: table driver_stall and poll.driver_stalled: when, and how long of a block, nobody served its runtime's timers and I/O. Fed by load_events.c with what each worker did for long,
 * in any order; written at the end.
 *
 * A multi-thread runtime has one driver, which the worker that parks in it serves (epoll_wait); the others park on a condition variable and are woken for tasks
 * alone. A worker that runs will come by. So nobody serves it while every worker is in a poll or parked elsewhere (design 30-tokio section 3.2). Only what
 * lasts STALL_MIN at least without interruption counts as that, so what is told is a lower bound. In a current_thread runtime nobody but the blocked thread ever
 * serves it: all of a block is stalled. A runtime that was never seen in epoll_wait, but parked elsewhere, has no driver.
 */
#pragma once

#include "report/db.h"
#include "report/load_runtime.h"

#define STALL_MIN NSEC_PER_MSEC

/* One worker cannot serve the driver meanwhile. */
struct stall_span {
	u64 runtime_id, worker; /* worker: 1 + index */
	u64 from, to;
	u64 poll_id; /* a poll that asks how long of it was stalled; 0 a park */
	u64 dur;
};

struct driver_stall {
	const struct runtime_set *runtimes; /* borrowed */
	struct stall_span *spans;
	size_t n, cap;
	u8 *seen; /* by runtime_id: 1 parked in the driver, 2 parked elsewhere */
};

int driver_stall_init(struct driver_stall *ds, const struct runtime_set *rs) __must_check; /* release in any case */
void driver_stall_release(struct driver_stall *ds);

/* A worker of the context was parked (or waited between polls) from `from` to `to`; in_driver: in epoll_wait. */
int driver_stall_park(struct driver_stall *ds, const struct context_info *ci, bool in_driver, u64 from, u64 to) __must_check;

/* A poll with a row. *ret_now: what the row gets at once; false in *ret_is_known: null. */
int driver_stall_poll(struct driver_stall *ds, const struct poll_row *p, u64 *ret_now, bool *ret_is_known) __must_check;

/* After all rows of table poll: what was known only now, and table driver_stall. */
int driver_stall_write(struct driver_stall *ds, sqlite3 *db) __must_check;
