/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_poll.c: which records become one poll, and what a poll says: the classifier from end to end, a few records of one
 * thread at a time. cb_load() asserts for each capture that the parts of every poll add up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include "thread_events.h"

/* ---- one wait ---- */

static void sleep_in_poll(void **state)
{
	struct capture_builder *cb = *state;
	sqlite3 *db;

	OUTSIDE(9);
	OUT(10, .lifo = 2, .queued = 200);
	WAKING(60);
	IN(60.5);
	PARK(70);
	cb_finish(cb);
	db = cb_load(cb);
	cb_rows(db, POLLS, "10000|50500|50000|0|500|1|sleep|complete");
	cb_rows(db,
		"SELECT class, rule, syscall, holds, worker, task_id, tick, joined_by, classified, lifo, queued, "
		"dur_min = dur, dur_max = dur FROM poll",
		"sleep|nanosleep|clock_nanosleep|runtime|3|30|5|tick+budget|1|1|199|1|1");
	cb_rows(db, "SELECT pid, ns_pid, tid, ns_tid, worker, runtime_id, task_id, waits, syscall FROM blocking",
		"1000|7|1001|8|3|1|30|1|clock_nanosleep");
	cb_rows(db, "SELECT role, state, poll_id, class, waker_tid, waker_task FROM offcpu ORDER BY ts",
		"parked|S|-|other|-|-\nin_poll|S|1|sleep|0|-\nparked|S|-|other|-|-");
	cb_rows(db, "SELECT verdict, verdict_why FROM capture", "complete|");
	cb_rows(db, "SELECT * FROM loss", "");
	sqlite3_close(db);
}

static void insane_queue_depths_are_dropped(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10, .lifo = 3, .queued = 100000);
	IN(60);
	cb_expect(cb, "SELECT lifo, queued FROM poll", "-|-");
}

static void not_woken_is_all_waiting(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10);
	IN(60);
	PARK(61);
	cb_expect(cb, POLLS, "10000|50000|50000|0|0|1|sleep|complete");
}

static void waking_before_the_switch_counts_from_the_switch(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10);
	cb_flush(cb); /* of another cpu's ring: behind it in the file */
	WAKING(9.9);
	IN(12);
	cb_expect(cb, POLLS, "10000|2000|0|0|2000|1|sleep|complete");
}

static void waker(u64 ms, struct capture_builder *cb, u64 budget)
{
	cb_row(cb, FMT_WAKING,
	       &(struct fmt_waking){
		       .ts = AT(ms), .thread = 1, .waker_tid = 77, .waker_context = 1, .waker_budget = budget, .waker_task = 5});
}

static void a_waker_is_a_task_only_within_a_poll(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10);
	waker(11, cb, CB_BUDGET);
	waker(12, cb, 0); /* it is awake by now */
	IN(13);
	OUT(20);
	waker(21, cb, 0); /* a worker's driver: the id is that of the worker itself */
	IN(22);
	cb_expect(cb, "SELECT waker_tid, waker_task, (ts_waking - 1000000000) / 1000 FROM offcpu ORDER BY ts",
		  "77|5|11000\n77|-|21000");
}

/* Whom an interrupt happened to stop is not the one who woke. */
static void an_interrupt_is_no_waker(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10);
	cb_row(cb, FMT_WAKING,
	       &(struct fmt_waking){.ts = AT(11),
				    .thread = 1,
				    .source = 1,
				    .waker_tid = 77,
				    .waker_context = 1,
				    .waker_budget = CB_BUDGET,
				    .waker_task = 5});
	IN(13);
	cb_expect(cb, "SELECT waker_tid, waker_task FROM offcpu", "0|-");
}

/* ---- stacks of wakers ---- */

static u64 kernel_stack_of(struct capture_builder *cb, u64 addr, const char *inner, const char *outer)
{
	const u64 addrs[] = {addr, addr + 0x10};
	u64 k = cb_stack(cb, FMT_STACK_KERNEL, addrs, 2);

	cb_row(cb, FMT_KSYM, &(struct fmt_ksym){.addr = addr, .name = cb_string(cb, inner)});
	cb_row(cb, FMT_KSYM, &(struct fmt_ksym){.addr = addr + 0x10, .name = cb_string(cb, outer)});
	return k;
}

static void a_waker_has_stacks(void **state)
{
	const u64 addrs[] = {CB_CODE + 0x10, CB_CODE + 0x20};
	struct capture_builder *cb = *state;
	u64 u = cb_stack(cb, FMT_STACK_USER, addrs, 2), k = kernel_stack_of(cb, 0x100, "futex_wake", "do_syscall_64");

	OUT(10);
	cb_row(cb, FMT_WAKING,
	       &(struct fmt_waking){.ts = AT(11), .thread = 1, .waker_tid = 77, .waker_ustack = u, .waker_kstack = k});
	cb_row(cb, FMT_WAKING, &(struct fmt_waking){.ts = AT(12), .thread = 1, .waker_tid = 78}); /* it is awake by now */
	IN(13);
	OUT(20);
	cb_row(cb, FMT_WAKING, &(struct fmt_waking){.ts = AT(21), .thread = 1, .waker_tid = 77, .waker_kstack = k});
	IN(22);
	OUT(30);
	cb_row(cb, FMT_WAKING, &(struct fmt_waking){.ts = AT(31), .thread = 1, .waker_tid = 77, .waker_ustack = u + 9});
	IN(32);
	cb_expect(
		cb,
		"SELECT o.waker_tid, count(f.depth), o.waker_kstack_id = k.stack_id, min(r.is_return) FROM offcpu AS o "
		"LEFT JOIN stack_text AS k ON k.function = 'futex_wake' LEFT JOIN stack_frame AS f ON f.stack_id = o.waker_stack_id "
		"LEFT JOIN frame AS r ON r.id = f.frame_id "
		"GROUP BY o.id ORDER BY o.ts",
		"77|2|1|1\n77|0|1|-\n77|0|-|-");
}

/* Guessed to be its victim's doing while recording: the kernel stack shows better. */
static void a_waker_was_interrupted(void **state)
{
	const u64 addrs[] = {CB_CODE + 0x10, CB_CODE + 0x20};
	struct capture_builder *cb = *state;
	u64 u = cb_stack(cb, FMT_STACK_USER, addrs, 2),
	    k = kernel_stack_of(cb, 0x100, "hrtimer_wakeup", "asm_sysvec_apic_timer_interrupt");

	OUT(10);
	cb_row(cb, FMT_WAKING,
	       &(struct fmt_waking){.ts = AT(11),
				    .thread = 1,
				    .waker_tid = 77,
				    .waker_context = 1,
				    .waker_budget = CB_BUDGET,
				    .waker_task = 5,
				    .waker_ustack = u,
				    .waker_kstack = k});
	IN(13);
	cb_expect(cb, "SELECT waker_tid, waker_task, waker_stack_id, waker_kstack_id FROM offcpu", "0|-|-|-");
}

/* ---- the predicate ---- */

static void parked_workers_are_no_polls(void **state)
{
	struct capture_builder *cb = *state;

	PARK(10);
	IN(60);
	OUT(61, .budget = 0, .park = 0, .task = 1, .syscall = FUTEX);
	IN(99);
	cb_expect(cb, "SELECT count(*) FROM poll", "0");
}

static void spawn_blocking_and_block_in_place_are_harmless(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10, .context = 0, .budget = 0, .runtime = 2, .core = 0);
	IN(20);
	OUT(30, .context = 0, .budget = CB_BUDGET, .runtime = 1,
	    .core = 0); /* Handle::block_on in spawn_blocking: an id, no scheduler */
	IN(40);
	OUT(50, .budget = 0, .runtime = 2, .core = 0); /* block_in_place leaves the runtime */
	IN(60);
	OUT(70, .core = 0); /* block_on within it */
	IN(80);
	OUT(90, .context = 0, .budget = 0, .runtime = 2, .core = 0, .task = 0);
	IN(95);
	cb_finish(cb);
	cb_expect(cb, "SELECT count(*) FROM poll", "0");
	cb_expect(cb, "SELECT role FROM offcpu ORDER BY ts",
		  "blocking_pool\nblocking_pool\nblock_in_place\nblock_in_place\nnone");
}

static void unconstrained_tasks_are_polls(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10, .budget = 0);
	IN(60);
	cb_expect(cb, "SELECT holds, task_id, dur / 1000 FROM blocking", "runtime|30|50000");
}

static void root_future_and_local_set(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10, .context = 0, .core = 0, .task = 0);
	IN(60);
	OUT(70, .context = 0, .core = 0, .runtime = 0);
	IN(90);
	cb_expect(cb, "SELECT holds, dur / 1000, runtime_id, worker, task_id, joined_by, classified FROM poll ORDER BY ts",
		  "root|50000|-|-|-|interval|1\nlocalset|20000|-|-|30|interval|1");
}

static void current_thread(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10, .context = CB_CONTEXT_CT, .runtime = 0, .park = 0);
	IN(60);
	OUT(61, .context = CB_CONTEXT_CT, .runtime = 0, .park = 0, .budget = 0, .task = 0, .syscall = EPOLL);
	IN(99);
	OUT(100, .context = CB_CONTEXT_CT, .runtime = 0, .park = 0, .task = 0); /* the root future of block_on */
	IN(120);
	cb_finish(cb);
	cb_expect(cb,
		  "SELECT r.flavor, r.workers, p.worker, p.task_id, p.dur / 1000, p.holds FROM poll AS p "
		  "JOIN runtime AS r USING (runtime_id) ORDER BY p.ts",
		  "current_thread|1|-|30|50000|runtime\ncurrent_thread|1|-|-|20000|runtime");
	cb_expect(cb, "SELECT role FROM offcpu ORDER BY ts", "in_poll\nparked\nin_poll");
}

static void unread_is_not_outside(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10, .ctx_status = FMT_CTX_UNREAD);
	IN(60);
	OUT(70, .ctx_status = FMT_CTX_NO_LAYOUT);
	IN(80);
	cb_finish(cb);
	cb_expect(cb, "SELECT role FROM offcpu ORDER BY ts", "unread\nunknown");
	cb_expect(cb, "SELECT cause, count FROM loss", "unread|1");
	cb_expect(cb, "SELECT count(*) FROM poll", "0");
}

/* ---- polls of many records ---- */

static void many_waits_are_one_poll(void **state)
{
	struct capture_builder *cb = *state;

	OUTSIDE(9);
	for (int i = 0; i < 200; i++) {
		OUT(10 + i * 0.3,
		    .budget = CB_BUDGET - (u64)(i & 1)); /* spending budget within a poll does not split it at its waits */
		IN(10 + i * 0.3 + 0.25);
	}
	PARK(80);
	cb_expect(cb, "SELECT dur / 1000, off_cpu / 1000, on_cpu / 1000, waits, class, joined_by FROM poll",
		  "59950|50000|9950|200|sleep|tick");
}

static void another_task_or_tick_between_splits(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10);
	IN(20);
	OUT(21, .task = 31);
	IN(31);
	OUT(32); /* task 30 again, same tick: LIFO */
	IN(42);
	OUT(43, .tick = 6);
	IN(53);
	cb_expect(cb, "SELECT task_id, tick, dur / 1000 FROM poll ORDER BY ts", "30|5|10000\n31|5|10000\n30|5|10000\n30|6|10000");
}

/* After block_in_place a thread may serve another core, where the same numbers mean another turn. */
static void another_core_between_splits(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10);
	IN(20);
	OUT(21, .core = 0xd0);
	IN(31);
	cb_expect(cb, "SELECT dur / 1000 FROM poll ORDER BY ts", "10000\n10000");
}

static void leaving_the_poll_between_splits(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10);
	IN(20);
	PARK(21);
	IN(22);
	OUT(23);
	IN(33);
	cb_expect(cb, "SELECT dur / 1000 FROM poll ORDER BY ts", "10000\n10000");
}

static void budget_splits_what_only_samples_join(void **state)
{
	struct capture_builder *cb = *state;

	SAMPLE(10);
	SAMPLE(12);
	SAMPLE(14, .budget = CB_BUDGET - 1); /* LIFO ping-pong: same id, same tick, another poll */
	SAMPLE(16, .budget = CB_BUDGET - 1);
	cb_end(cb, AT(100));
	cb_expect(cb, "SELECT dur / 1000, dur_max / 1000, samples, class, joined_by FROM poll ORDER BY ts",
		  "2000|14000|2|cpu|tick+budget\n2000|88000|2|cpu|tick+budget");
}

/* A wait, a preemption or a sample by chance, budget spent, a wait: all of one poll. */
static void a_wait_ties_what_ran_since(void **state)
{
	struct capture_builder *cb = *state;

	OUTSIDE(9);
	OUT(10);
	IN(20);
	OUT(21, .state = 0, .preempt = 1);
	IN(25);
	OUT(26, .budget = CB_BUDGET - 1);
	IN(36);
	SAMPLE(37, .budget = CB_BUDGET - 1);
	OUT(38, .budget = CB_BUDGET - 3);
	IN(48);
	PARK(49);
	cb_expect(cb, "SELECT dur / 1000, off_cpu / 1000, runnable / 1000, waits, samples, class, joined_by FROM poll",
		  "38000|30000|4000|3|1|sleep|tick");
}

static void preemption_is_runnable_time(void **state)
{
	struct capture_builder *cb = *state;

	OUTSIDE(9);
	SAMPLE(10);
	OUT(12, .state = 0, .preempt = 1, .syscall = 0);
	IN(15);
	OUT(16, .state = STATE_S, .preempt = 1); /* preempt wins over the state */
	IN(18);
	SAMPLE(30);
	PARK(33);
	cb_finish(cb);
	cb_expect(cb, POLLS, "10000|20000|0|15000|5000|0|cpu|complete");
	cb_expect(cb, "SELECT dur_min / 1000, dur_max / 1000 FROM poll", "20000|24000");
	cb_expect(cb, "SELECT state, class, role FROM offcpu ORDER BY ts",
		  "S|other|parked\nR|-|in_poll\nR|-|in_poll\nS|other|parked");
}

static void contention_is_not_blocking(void **state)
{
	struct capture_builder *cb = *state;

	SAMPLE(10);
	OUT(10.1, .state = 0, .preempt = 1);
	IN(40);
	SAMPLE(40.2);
	OUT(50, .tick = 6);
	WAKING(61);
	IN(95); /* 11 ms of sleep, 34 ms for a cpu: blocking, though mostly runnable */
	cb_expect(cb, BLOCKING, "50000|45000|sleep");
}

static void largest_part_gives_the_class(void **state)
{
	struct capture_builder *cb = *state;
	u64 addr[] = {CB_CODE + 0x10};
	u64 small = cb_stack(cb, FMT_STACK_USER, addr, 1), large = cb_stack(cb, FMT_STACK_USER, addr, 1),
	    first = cb_stack(cb, FMT_STACK_USER, addr, 1);

	OUT(10, .ustack = first);
	IN(18); /* sleep, 8 ms: the longest single wait */
	OUT(18.001, .syscall = READ, .fd_type = FD_REG, .ustack = small);
	IN(23);
	OUT(23.001, .syscall = READ, .fd_type = FD_REG, .ustack = large);
	IN(29); /* disk, 5 + 6 ms */
	SAMPLE(38);
	cb_finish(cb);
	cb_expect(cb, "SELECT class, rule, syscall, stack_id = 2, off_cpu / 1000, on_cpu / 1000, dur / 1000 FROM poll",
		  "disk|file|read|1|18998|9002|28000");
}

/* Whichever of two comes first in the list of classes. */
static void largest_part_in_either_order(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10); /* sleep, 12 ms */
	IN(22);
	OUT(22.5, .syscall = READ, .fd_type = FD_REG); /* disk, 8 ms */
	IN(30.5);
	PARK(31);
	IN(32);
	OUT(40, .tick = 6); /* sleep, 8 ms */
	IN(48);
	OUT(48.5, .tick = 6, .syscall = READ, .fd_type = FD_REG); /* disk, 12 ms */
	IN(60.5);
	cb_expect(cb, "SELECT class FROM poll ORDER BY ts", "sleep\ndisk");
}

static void mostly_on_cpu_is_cpu(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10);
	IN(15);
	SAMPLE(22);
	cb_expect(cb, "SELECT class, rule, syscall, off_cpu / 1000, on_cpu / 1000 FROM poll", "cpu|cpu|-|5000|7000");
}

/* ---- tick not proven ---- */

static void unproven_tick_waits_alone(void **state)
{
	struct capture_builder *cb = *state;

	SAMPLE(8, .context = CB_CONTEXT_UNPROVEN);
	OUT(10, .context = CB_CONTEXT_UNPROVEN);
	IN(60);
	OUT(61, .context = CB_CONTEXT_UNPROVEN);
	IN(80);
	SAMPLE(82, .context = CB_CONTEXT_UNPROVEN);
	SAMPLE(84, .context = CB_CONTEXT_UNPROVEN);
	cb_finish(cb);
	cb_expect(cb, "SELECT dur / 1000, class, joined_by, classified, tick FROM poll ORDER BY ts",
		  "0|cpu|interval|0|-\n50000|sleep|interval|1|-\n19000|sleep|interval|1|-\n2000|cpu|interval|0|-");
	cb_expect(cb, BLOCKING, "10000|50000|sleep\n61000|19000|sleep");
	cb_expect(cb, "SELECT tick_valid, tick_from FROM runtime ORDER BY runtime_id", "1|1\n1|1\n0|-");
	cb_expect(cb, "SELECT verdict, verdict_why FROM capture",
		  "partial|CPU-bound polls of runtime 3 are unclassified: tick not proven (1 stretches of samples)");
}

static void tick_proven_from_a_time_on(void **state)
{
	struct capture_builder *cb = *state;

	cb_row(cb, FMT_LAYOUT,
	       &(struct fmt_layout){.idx = 2, .process = 1, .module = 1, .tick_from_mt = AT(50)}); /* replaces the entry before */
	SAMPLE(10, .context = CB_CONTEXT_UNPROVEN);
	SAMPLE(49, .context = CB_CONTEXT_UNPROVEN);
	SAMPLE(51, .context = CB_CONTEXT_UNPROVEN);
	SAMPLE(71, .context = CB_CONTEXT_UNPROVEN);
	cb_finish(cb);
	cb_expect(cb, "SELECT dur / 1000, classified, joined_by FROM poll ORDER BY ts", "39000|0|interval\n20000|1|tick+budget");
	cb_expect(cb, "SELECT tick_valid, tick_from / 1000000 FROM runtime WHERE runtime_id = 3", "1|1050");
	cb_expect(cb, "SELECT verdict FROM capture", "complete");
}

/* ---- Tokio before 1.22: no task ids ---- */

/* Held runtimes, not root futures; and a worker asleep outside a budget with its park in place is in unconstrained() or a drop, as with ids. */
static void without_task_ids(void **state)
{
	struct capture_builder *cb = *state;

	cb_row(cb, FMT_LAYOUT,
	       &(struct fmt_layout){.idx = 2, .process = 1, .module = 1, .no_task_ids = 1}); /* replaces the entry before */
	OUT(10, .context = CB_CONTEXT_UNPROVEN, .task = 0);
	IN(60);
	OUT(70, .context = CB_CONTEXT_UNPROVEN, .task = 0, .budget = 0, .park = 1);
	IN(95);
	OUT(100, .context = CB_CONTEXT_UNPROVEN, .task = 0, .budget = 0, .park = 0); /* parked */
	IN(200);
	cb_finish(cb);
	cb_expect(cb, "SELECT dur / 1000, holds, task_id FROM poll ORDER BY ts", "50000|runtime|-\n25000|runtime|-");
	cb_expect(cb, "SELECT task_ids FROM runtime ORDER BY runtime_id", "1\n1\n0");
}

/* ---- read at the wrong places ---- */

/* What the scheduler saw stands; that it was a task's does not, nor is there a runtime. */
static void an_unfit_layout_tells_nothing(void **state)
{
	struct capture_builder *cb = *state;

	cb_row(cb, FMT_LAYOUT, &(struct fmt_layout){.idx = 2, .process = 1, .module = 1, .void_until = UINT64_MAX, .unfit = 1});
	OUT(10, .context = CB_CONTEXT_UNPROVEN);
	IN(60);
	SAMPLE(61, .context = CB_CONTEXT_UNPROVEN);
	SAMPLE(81, .context = CB_CONTEXT_UNPROVEN);
	OUT(90, .context = 0); /* names none: any copy of the process may be meant */
	IN(95);
	cb_finish(cb);
	cb_expect(cb, "SELECT count(*) FROM poll", "0");
	cb_expect(cb, "SELECT count(*) FROM runtime WHERE runtime_id = 3", "0");
	cb_expect(cb, "SELECT dur / 1000, role FROM offcpu ORDER BY ts", "50000|unknown\n5000|unknown");
	cb_expect(cb, "SELECT DISTINCT role FROM sample", "unknown");
}

/* Another reading was right: what it tells counts, what the first one had told does not; the other copy's records count anyway. */
static void a_layout_is_void_until_then(void **state)
{
	struct capture_builder *cb = *state;

	cb_row(cb, FMT_LAYOUT,
	       &(struct fmt_layout){.idx = 2, .process = 1, .module = 1, .tick_from_mt = 1, .void_until = AT(100)});
	OUT(10, .context = CB_CONTEXT_UNPROVEN);
	IN(60);
	OUT(70);
	IN(95);
	OUT(110, .context = CB_CONTEXT_UNPROVEN);
	IN(150);
	cb_finish(cb);
	cb_expect(cb, "SELECT dur / 1000, runtime_id FROM poll ORDER BY ts", "25000|1\n40000|3");
	cb_expect(cb, "SELECT runtime_id FROM runtime ORDER BY 1", "1\n2\n3");
	cb_expect(cb, "SELECT dur / 1000, role FROM offcpu ORDER BY ts", "50000|unknown\n25000|in_poll\n40000|in_poll");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, cb_setup, cb_teardown)
	const struct CMUnitTest tests[] = {
		TEST(sleep_in_poll),
		TEST(insane_queue_depths_are_dropped),
		TEST(not_woken_is_all_waiting),
		TEST(an_unfit_layout_tells_nothing),
		TEST(a_layout_is_void_until_then),
		TEST(waking_before_the_switch_counts_from_the_switch),
		TEST(a_waker_is_a_task_only_within_a_poll),
		TEST(an_interrupt_is_no_waker),
		TEST(a_waker_has_stacks),
		TEST(a_waker_was_interrupted),
		TEST(parked_workers_are_no_polls),
		TEST(spawn_blocking_and_block_in_place_are_harmless),
		TEST(unconstrained_tasks_are_polls),
		TEST(root_future_and_local_set),
		TEST(current_thread),
		TEST(unread_is_not_outside),
		TEST(many_waits_are_one_poll),
		TEST(another_task_or_tick_between_splits),
		TEST(another_core_between_splits),
		TEST(leaving_the_poll_between_splits),
		TEST(budget_splits_what_only_samples_join),
		TEST(a_wait_ties_what_ran_since),
		TEST(preemption_is_runnable_time),
		TEST(contention_is_not_blocking),
		TEST(largest_part_gives_the_class),
		TEST(largest_part_in_either_order),
		TEST(mostly_on_cpu_is_cpu),
		TEST(unproven_tick_waits_alone),
		TEST(tick_proven_from_a_time_on),
		TEST(without_task_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
