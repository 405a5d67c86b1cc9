/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_groups.h: what of a program's code may be probed (uprobes), by what it tells: one table, from which come the names in the capture, the kernel side's
 * programs and the governor's order.
 *
 * Arguments are those of the System V ABI of x86-64, as stock builds of Tokio 1.20 - 1.54 have them (tests/tokio).
 */
#pragma once

#include "ascope_wire.h"

/* X(NAME, name in the capture (kind probe), where, what the program reads there) */
#define PROBE_GROUPS_LIST(X)                                                                                                     \
	X(SPAWN, "spawn",                                                                                                        \
	  "tokio::task::spawn::spawn<F> and others that get a Location: the Location in rsi or rdx, [rsp] who called")           \
	X(BIND, "bind", "OwnedTasks::bind_inner (bind before 1.32): rsi the new task's header, [rsp] who called")                \
	X(BLOCKING, "blocking", "blocking::pool::Spawner::spawn_task: rsi the new task's header")                                \
	X(COMPLETE, "complete", "Harness::complete: rdi the header of the task whose future is done")                            \
	X(DEALLOC, "dealloc", "Vtable.dealloc: rdi the header of the task whose memory is freed")                                \
	X(POLL, "poll", "Vtable.poll: rdi the header of the task that is polled, [rsp] where the poll will return to")           \
	X(POLL_END, "poll_end", "where polls return to: learned while recording from [rsp] at POLL")                             \
	X(SCHEDULE, "schedule",                                                                                                  \
	  "Vtable.schedule: rdi the header of the task that is put into a run queue; or rsi at the jump at its end, or where that leads")

#define PROBE_GROUP_ENUM(NAME, name, doc) PROBE_##NAME,
enum probe_group { PROBE_GROUPS_LIST(PROBE_GROUP_ENUM) PROBE_GROUPS };
#undef PROBE_GROUP_ENUM

/* How a task of one version looks from its Header, as far as the programs must know; tokio/src/runtime/task/core.rs (Header, Vtable). */
struct probe_task {
	__u8 off_vtable; /* of the Vtable's address in Header: 16 since 1.21, 32 from 1.9 to 1.20 */
	__u8 has_ids;	 /* 1: Vtable ends with scheduler_offset and id_offset, at 64 and 72 (since 1.23); 0: ids stay unknown */
	__u8 how;	 /* of SCHEDULE: enum schedule_how */
};

/* Where the task's Header is at a place of SCHEDULE (record/schedule_place.h); bits 50 and 51 of its cookie. */
enum schedule_how {
	SCHEDULE_ENTRY,	  /* in rdi: the place is the function's entry */
	SCHEDULE_JUMP,	  /* in rsi: it is the function's last jump, which nothing else reaches */
	SCHEDULE_GUARDED, /* in rsi, and its vtable in rax; else somebody else came there: schedule() is called for new tasks, too, and for those that yield */
	SCHEDULE_HOWS
};

/* The cookie of such a probe: which file it is in, so that what it sends can be told to one copy of Tokio, and how tasks look there (ascope_wire.h). */
#define PROBE_COOKIE(group, module, task)                                                                                        \
	((__u64)(__u32)(module) | (__u64)(group) << 32 | (__u64)(task).off_vtable << 40 | (__u64)((task).has_ids != 0) << 48 |   \
	 (__u64)((task).how & 3) << 50)
