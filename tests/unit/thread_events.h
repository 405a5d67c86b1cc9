/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * thread_events.h: one line a record, for tests of what the loader makes of a thread's records (test_poll.c,
 * test_intervals.c). Each macro writes into `cb`; what it is given behind the time overrides the columns of a worker that
 * polls task 30.
 */
#pragma once

#include <sys/syscall.h>

#include "capture_builder.h"

#define AT(ms)	(CB_START + (u64)((ms)*1000 + 0.5) * 1000) /* ms since the recording began; fractions to 1 us */
#define STATE_S 1
#define STATE_D 2
#define STATE_T 4
#define SLEEP	(SYS_clock_nanosleep + 1)
#define READ	(SYS_read + 1)
#define FUTEX	(SYS_futex + 1)
#define EPOLL	(SYS_epoll_wait + 1)
#define FD_REG	8
#define POLLS                                                                                                                    \
	"SELECT (ts - 1000000000) / 1000, dur / 1000, off_cpu / 1000, on_cpu / 1000, "                                           \
	"runnable / 1000, waits, class, state FROM poll ORDER BY ts"
#define BLOCKING "SELECT (ts - 1000000000) / 1000, dur / 1000, class FROM blocking ORDER BY ts"

/* Context columns of a multi-thread worker that polls task 30 at tick 5; a test overrides what it is about. */
#define IN_POLL                                                                                                                  \
	.ctx_status = FMT_CTX_READ, .context = CB_CONTEXT_MT, .budget = CB_BUDGET, .runtime = 1, .core = 0xc0, .park = 1,        \
	.task = 30, .tick = 5

#define OUT(ms, ...)                                                                                                             \
	cb_row(cb, FMT_SWITCH_OUT,                                                                                               \
	       &(struct fmt_switch_out){                                                                                         \
		       .ts = AT(ms), .thread = 1, .cpu = 2, .state = STATE_S, IN_POLL, .syscall = SLEEP, __VA_ARGS__})
#define IN(ms)	   cb_row(cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = AT(ms), .thread = 1, .cpu = 2})
#define WAKING(ms) cb_row(cb, FMT_WAKING, &(struct fmt_waking){.ts = AT(ms), .thread = 1, .source = 1})
#define SAMPLE(ms, ...)                                                                                                          \
	cb_row(cb, FMT_SAMPLE, &(struct fmt_sample){.ts = AT(ms), .thread = 1, .cpu = 2, .mode = 1, IN_POLL, __VA_ARGS__})
#define PARK(ms) OUT(ms, .budget = 0, .park = 0, .task = 1, .tick = 9, .syscall = EPOLL)
/* The thread is on its cpu outside any poll: a park and its end. */
#define OUTSIDE(ms) (PARK((ms)-0.002), IN(ms))

/* A designator that is given twice is the point of these macros. */
#pragma GCC diagnostic ignored "-Woverride-init"
