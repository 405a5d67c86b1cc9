/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_classify.c: a case for each row of the tables of design 35-blocking: the predicate (section 3), states that count, the
 * classes (section 5).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <string.h>
#include <sys/syscall.h>

#include "format/fmt_def.h"
#include "report/classify.h"

#define MT FMT_FLAVOR_MULTI_THREAD
#define CT FMT_FLAVOR_CURRENT_THREAD

struct predicate_case {
	const char *what;
	struct context_facts f;
	enum role role;
	enum holds holds;
};

/* status, scheduler, flavor, budget, runtime, core, park, task, syscall, waiting */
static const struct predicate_case predicate[] = {
	{"parked worker", {1, true, MT, 0, 1, 9, 0, 1, SYS_futex + 1, true}, ROLE_PARKED, HOLDS_NOTHING},
	{"PARKED comes first", {1, true, MT, 129, 1, 9, 0, 1, 0, true}, ROLE_PARKED, HOLDS_NOTHING},
	{"parking worker on the cpu", {1, true, MT, 0, 1, 9, 0, 1, 0, false}, ROLE_PARKED, HOLDS_NOTHING},
	{"task on a worker", {1, true, MT, 129, 1, 9, 1, 30, 0, true}, ROLE_IN_POLL, HOLDS_RUNTIME},
	{"budget used up is still a poll", {1, true, MT, 1, 1, 9, 1, 30, 0, true}, ROLE_IN_POLL, HOLDS_RUNTIME},
	{"unconstrained", {1, true, MT, 0, 1, 9, 1, 30, 0, true}, ROLE_IN_POLL, HOLDS_RUNTIME},
	{"scheduler code without an id", {1, true, MT, 0, 1, 9, 1, 0, 0, false}, ROLE_SCHEDULER, HOLDS_NOTHING},
	{"task on current_thread", {1, true, CT, 129, 0, 9, 0, 30, 0, true}, ROLE_IN_POLL, HOLDS_RUNTIME},
	{"root future on current_thread", {1, true, CT, 129, 0, 9, 0, 0, 0, true}, ROLE_IN_POLL, HOLDS_RUNTIME},
	{"parked current_thread", {1, true, CT, 0, 0, 9, 0, 0, SYS_epoll_wait + 1, true}, ROLE_PARKED, HOLDS_NOTHING},
	{"parked current_thread in a closure with an id",
	 {1, true, CT, 0, 0, 9, 0, 4, SYS_epoll_wait + 1, true},
	 ROLE_PARKED,
	 HOLDS_NOTHING},
	{"the same without an I/O driver", {1, true, CT, 0, 0, 9, 0, 4, SYS_futex + 1, true}, ROLE_PARKED, HOLDS_NOTHING},
	{"unconstrained on current_thread", {1, true, CT, 0, 0, 9, 0, 30, SYS_read + 1, true}, ROLE_IN_POLL, HOLDS_RUNTIME},
	{"current_thread between polls, on the cpu", {1, true, CT, 0, 0, 9, 0, 0, 0, false}, ROLE_SCHEDULER, HOLDS_NOTHING},
	{"current_thread without its core", {1, true, CT, 0, 0, 0, 0, 0, 0, false}, ROLE_SCHEDULER, HOLDS_NOTHING},
	{"block_in_place", {1, true, MT, 0, 2, 0, 0, 30, 0, true}, ROLE_BLOCK_IN_PLACE, HOLDS_NOTHING},
	{"block_on in block_in_place", {1, true, MT, 129, 1, 0, 0, 30, 0, true}, ROLE_BLOCK_IN_PLACE, HOLDS_NOTHING},
	{"block_on in block_in_place, parked",
	 {1, true, MT, 0, 1, 0, 0, 30, SYS_futex + 1, true},
	 ROLE_BLOCK_IN_PLACE,
	 HOLDS_NOTHING},
	{"worker's loop, on the cpu", {1, true, MT, 0, 1, 0, 0, 30, 0, false}, ROLE_BLOCK_IN_PLACE, HOLDS_NOTHING},
	{"drop while the runtime ends", {1, true, MT, 0, 1, 0, 0, 30, SYS_nanosleep + 1, true}, ROLE_IN_POLL, HOLDS_RUNTIME},
	{"sleep in block_in_place", {1, true, MT, 0, 2, 0, 0, 30, SYS_nanosleep + 1, true}, ROLE_BLOCK_IN_PLACE, HOLDS_NOTHING},
	{"drop while a current_thread runtime ends",
	 {1, true, CT, 0, 2, 0, 0, 30, SYS_nanosleep + 1, true},
	 ROLE_IN_POLL,
	 HOLDS_RUNTIME},
	{"current_thread without its core waits", {1, true, CT, 0, 0, 0, 0, 0, SYS_read + 1, true}, ROLE_PARKED, HOLDS_NOTHING},
	{"unknown flavor: budget decides", {1, true, 0, 129, 1, 9, 0, 30, 0, true}, ROLE_IN_POLL, HOLDS_RUNTIME},
	{"unknown flavor outside", {1, true, 0, 0, 1, 9, 0, 30, 0, true}, ROLE_PARKED, HOLDS_NOTHING},
	{"local set", {1, false, 0, 129, 0, 0, 0, 30, 0, true}, ROLE_IN_POLL, HOLDS_LOCALSET},
	{"root future of a local set", {1, false, 0, 129, 0, 0, 0, 0, 0, true}, ROLE_IN_POLL, HOLDS_LOCALSET},
	{"unconstrained in a local set", {1, false, 0, 0, 0, 0, 0, 30, SYS_nanosleep + 1, true}, ROLE_IN_POLL, HOLDS_LOCALSET},
	{"the same on the cpu", {1, false, 0, 0, 0, 0, 0, 30, 0, false}, ROLE_IN_POLL, HOLDS_LOCALSET},
	{"second block_on of a current_thread runtime, parked",
	 {1, false, 0, 0, 0, 0, 0, 4, SYS_futex + 1, true},
	 ROLE_BLOCKING_POOL,
	 HOLDS_NOTHING},
	{"root future", {1, false, 0, 129, 1, 0, 0, 0, 0, true}, ROLE_IN_POLL, HOLDS_ROOT},
	{"block_on thread between polls", {1, false, 0, 0, 1, 0, 0, 0, SYS_futex + 1, true}, ROLE_PARKED, HOLDS_NOTHING},
	{"block_on in spawn_blocking", {1, false, 0, 129, 1, 0, 0, 4, 0, true}, ROLE_BLOCKING_POOL, HOLDS_NOTHING},
	{"block_on in spawn_blocking, parked", {1, false, 0, 0, 1, 0, 0, 4, 0, true}, ROLE_BLOCKING_POOL, HOLDS_NOTHING},
	{"spawn_blocking", {1, false, 0, 0, 2, 0, 0, 4, 0, true}, ROLE_BLOCKING_POOL, HOLDS_NOTHING},
	{"runtime 2 is never a poll, without an id neither", {1, false, 0, 129, 2, 0, 0, 0, 0, true}, ROLE_NONE, HOLDS_NOTHING},
	{"runtime 2 is never a poll", {1, false, 0, 129, 2, 0, 0, 4, 0, true}, ROLE_BLOCKING_POOL, HOLDS_NOTHING},
	{"idle pool thread, or none of tokio's", {1, false, 0, 0, 2, 0, 0, 0, 0, true}, ROLE_NONE, HOLDS_NOTHING},
	{"unread", {2, true, MT, 129, 1, 9, 1, 30, 0, true}, ROLE_UNREAD, HOLDS_NOTHING},
	{"no layout", {0, true, MT, 129, 1, 9, 1, 30, 0, true}, ROLE_UNKNOWN, HOLDS_NOTHING},
	{"a status of a later version", {3, true, MT, 129, 1, 9, 1, 30, 0, true}, ROLE_UNKNOWN, HOLDS_NOTHING},
};

static void predicate_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(predicate); i++) {
		struct role_facts r = classify_context(&predicate[i].f);

		if (r.role != predicate[i].role || r.holds != predicate[i].holds)
			fail_msg("%s: %s, %s", predicate[i].what, role_name(r.role), holds_name(r.holds));
	}
}

static void states(void **state)
{
	static const struct {
		u64 bits;
		bool preempt;
		char letter;
		bool waits;
	} cases[] = {
		{0, false, 'R', false},	     {0x1, true, 'R', false},	 {0x1, false, 'S', true},    {0x2, false, 'D', true},
		{0x102, false, 'D', true},   {0x402, false, 'I', true},	 {0x2001, false, 'S', true}, {0x1000, false, 'D', true},
		{0x4, false, 'T', false},    {0x104, false, 'T', false}, {0x8, false, 't', false},   {0x10, false, 'X', false},
		{0x80, false, 'X', false},   {0x20, false, 'Z', false},	 {0x40, false, 'P', false},  {0x8000, false, 'T', false},
		{0x8001, false, 'T', false}, {0x200, false, '?', false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char letter = classify_state(cases[i].bits, cases[i].preempt);

		if (letter != cases[i].letter || classify_state_waits(letter) != cases[i].waits)
			fail_msg("%#llx %d: %c", (unsigned long long)cases[i].bits, cases[i].preempt, letter);
	}
}

struct class_case {
	const char *what;
	struct wait_facts f;
	enum wait_class cls;
	const char *rule;
};

#define CALL(name) (SYS_##name + 1)
#define FIFO	   1
#define CHR	   2
#define DIR	   4
#define BLK	   6
#define REG	   8
#define SOCK	   12

/* state, syscall, arg0, iowait, fd_type, fd_family */
static const struct class_case classes[] = {
	{"page fault", {'D', 0, 0, true, 0, 0}, CLASS_FAULT, "fault"},
	{"page fault in S: userfaultfd", {'S', 0, 0, false, 0, 0}, CLASS_FAULT, "fault"},
	{"no system call, unknown state", {'?', 0, 0, false, 0, 0}, CLASS_OTHER, "other"},
	{"sleep", {'S', CALL(clock_nanosleep), 0, false, 0, 0}, CLASS_SLEEP, "nanosleep"},
	{"old sleep", {'S', CALL(nanosleep), 0, false, REG, 0}, CLASS_SLEEP, "nanosleep"},
	{"futex", {'S', CALL(futex), 0, false, 0, 0}, CLASS_LOCK, "futex"},
	{"futex comes before iowait", {'D', CALL(futex), 0, true, 0, 0}, CLASS_LOCK, "futex"},
	{"futex_waitv", {'S', 449 + 1, 0, false, 0, 0}, CLASS_LOCK, "futex"},
	{"futex_wait", {'S', 455 + 1, 0, false, 0, 0}, CLASS_LOCK, "futex"},
	{"read on a socket", {'S', CALL(read), 3, false, SOCK, 3}, CLASS_NETWORK, "socket"},
	{"write to a unix socket", {'S', CALL(write), 3, false, SOCK, 2}, CLASS_NETWORK, "socket"},
	{"recvfrom, type not read", {'S', CALL(recvfrom), 3, false, 0, 0}, CLASS_NETWORK, "socket"},
	{"sendmsg", {'S', CALL(sendmsg), 3, false, 0, 0}, CLASS_NETWORK, "socket"},
	{"connect", {'S', CALL(connect), 3, false, SOCK, 3}, CLASS_NETWORK, "socket"},
	{"accept", {'S', CALL(accept4), 3, false, SOCK, 3}, CLASS_NETWORK, "socket"},
	{"poll on a socket", {'S', CALL(poll), 0, false, SOCK, 3}, CLASS_NETWORK, "socket"},
	{"ppoll on a socket", {'S', CALL(ppoll), 0, false, 0, 3}, CLASS_NETWORK, "socket"},
	{"socket comes before iowait", {'S', CALL(read), 3, true, SOCK, 3}, CLASS_NETWORK, "socket"},
	{"iowait", {'D', CALL(mmap), 0, true, 0, 0}, CLASS_DISK, "iowait"},
	{"read from a file in iowait", {'D', CALL(read), 3, true, REG, 0}, CLASS_DISK, "iowait"},
	{"read from a file", {'S', CALL(pread64), 3, false, REG, 0}, CLASS_DISK, "file"},
	{"write to a block device", {'D', CALL(write), 3, false, BLK, 0}, CLASS_DISK, "file"},
	{"wait4 whose pid looks like a file", {'S', CALL(wait4), 3, false, REG, 0}, CLASS_PROCESS, "child"},
	{"wait4 whose pid looks like a socket", {'S', CALL(wait4), 3, false, SOCK, 3}, CLASS_PROCESS, "child"},
	{"fsync", {'D', CALL(fsync), 3, false, 0, 0}, CLASS_DISK, "fsync"},
	{"fdatasync", {'S', CALL(fdatasync), 3, false, 0, 0}, CLASS_DISK, "fsync"},
	{"open in D", {'D', CALL(openat), 0, false, 0, 0}, CLASS_DISK, "path"},
	{"open of a FIFO", {'S', CALL(openat), 0, false, 0, 0}, CLASS_OTHER, "other"},
	{"statx in D", {'D', CALL(statx), 0, false, DIR, 0}, CLASS_DISK, "path"},
	{"read from a pipe", {'S', CALL(read), 3, false, FIFO, 0}, CLASS_PIPE, "pipe"},
	{"read from a tty", {'S', CALL(read), 0, false, CHR, 0}, CLASS_PIPE, "device"},
	{"poll on a tty", {'S', CALL(poll), 0, false, CHR, 0}, CLASS_PIPE, "device"},
	{"readdir", {'D', CALL(getdents64), 3, false, DIR, 0}, CLASS_DISK, "file"},
	{"flock", {'S', CALL(flock), 3, false, REG, 0}, CLASS_DISK, "file"},
	{"io_uring, whose waits count as I/O", {'S', 426 + 1, 3, true, 0, 0}, CLASS_OTHER, "io-uring"},
	{"read from an eventfd", {'S', CALL(read), 3, false, 0, 0}, CLASS_OTHER, "other"},
	{"ppoll on a pipe", {'S', CALL(ppoll), 0, false, FIFO, 0}, CLASS_PIPE, "pipe"},
	{"select, whose first argument is no file", {'S', CALL(pselect6), 5, false, 0, 0}, CLASS_OTHER, "event-loop"},
	{"poll on a pipe", {'S', CALL(poll), 0, false, FIFO, 0}, CLASS_PIPE, "pipe"},
	{"poll on a pidfd, which says that it is a regular file", {'S', CALL(poll), 0, false, REG, 0}, CLASS_OTHER, "event-loop"},
	{"waitid", {'S', CALL(waitid), 0, false, 0, 0}, CLASS_PROCESS, "child"},
	{"vfork", {'D', CALL(vfork), 0, false, 0, 0}, CLASS_PROCESS, "child"},
	{"clone with CLONE_VFORK", {'D', CALL(clone), 0x4111, false, 0, 0}, CLASS_PROCESS, "child"},
	{"clone", {'D', CALL(clone), 0x111, false, 0, 0}, CLASS_OTHER, "other"},
	{"epoll", {'S', CALL(epoll_wait), 3, false, 0, 0}, CLASS_OTHER, "event-loop"},
	{"poll on nothing known", {'S', CALL(poll), 0, false, 0, 0}, CLASS_OTHER, "event-loop"},
	{"select", {'S', CALL(select), 5, false, 0, 0}, CLASS_OTHER, "event-loop"},
	{"anything else", {'S', CALL(pause), 0, false, 0, 0}, CLASS_OTHER, "other"},
	{"unknown number", {'D', 100000, 0, false, REG, 0}, CLASS_OTHER, "other"},
};

static void class_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		struct wait_verdict v = classify_wait(&classes[i].f);

		if (v.cls != classes[i].cls || strcmp(wait_rule_name(v.rule), classes[i].rule) != 0)
			fail_msg("%s: %s by %s", classes[i].what, wait_class_name(v.cls), wait_rule_name(v.rule));
	}
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(syscall_name(CALL(read)), "read");
	assert_string_equal(syscall_name(CALL(clock_nanosleep)), "clock_nanosleep");
	assert_string_equal(syscall_name(455 + 1), "futex_wait");
	assert_null(syscall_name(0));
	assert_null(syscall_name(100000));
	assert_null(syscall_name(UINT64_MAX));
	for (int c = 0; c < CLASS_COUNT; c++)
		assert_non_null(wait_class_name(c));
	for (int r = 0; r < RULE_COUNT; r++)
		assert_non_null(wait_rule_name(r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(predicate_rows),
		cmocka_unit_test(states),
		cmocka_unit_test(class_rows),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
