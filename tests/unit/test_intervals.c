/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_intervals.c: where a thread's records begin, end or have holes: attach, exit, exec, stops, gaps, lost switches,
 * damaged files. cb_load() asserts for each capture that the parts of every poll add up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <stdio.h>

#include "thread_events.h"

/* ---- begin and end ---- */

#define SNAPSHOT(ms, ...)                                                                                                        \
	cb_row(cb, FMT_SNAPSHOT,                                                                                                 \
	       &(struct fmt_snapshot){                                                                                           \
		       .ts = AT(ms), .thread = 1, .state = STATE_S, .coherent = 1, IN_POLL, .syscall = SLEEP, __VA_ARGS__})

static void blocked_before_the_recording(void **state)
{
	struct capture_builder *cb = *state;

	SNAPSHOT(1);
	WAKING(40);
	IN(41);
	OUT(50);
	IN(55);
	PARK(60);
	cb_finish(cb);
	cb_expect(cb, POLLS, "0|55000|45000|9000|1000|2|sleep|open-start");
	cb_expect(cb, "SELECT (ts - 1000000000) / 1000, cpu, role FROM offcpu ORDER BY ts LIMIT 1", "0|-|in_poll");
}

#define SPAN "SELECT (ts - 1000000000) / 1000, dur / 1000, dur_max / 1000, state FROM poll ORDER BY ts LIMIT 1"

/* A thread that runs when the recording begins is not in the snapshot: its first sample tells, and does not prove where the poll began. */
static void on_cpu_since_before_the_recording(void **state)
{
	struct capture_builder *cb = *state;

	cb_meta(cb, "sample.period_ns", "2000000");
	SAMPLE(1.5);
	SAMPLE(3.5);
	SAMPLE(21.5);
	OUTSIDE(22);
	SAMPLE(23, .tick = 10); /* the next one is whole */
	SAMPLE(25, .tick = 10);
	OUTSIDE(26);
	cb_expect(cb, SPAN, "1500|20000|21998|open-start");
	cb_expect(cb, "SELECT group_concat(state) FROM poll", "open-start,complete");
}

/* So does one that was preempted in its poll: it comes back first. */
static void preempted_before_the_recording(void **state)
{
	struct capture_builder *cb = *state;

	cb_meta(cb, "sample.period_ns", "2000000");
	IN(7);
	SAMPLE(8);
	SAMPLE(20);
	OUTSIDE(21);
	cb_expect(cb, SPAN, "8000|12000|20998|open-start");
}

/* A wait soon after the recording began, of a poll that nothing was seen of before. */
static void waits_soon_after_the_begin(void **state)
{
	struct capture_builder *cb = *state;

	cb_meta(cb, "sample.period_ns", "2000000");
	OUT(1);
	IN(41);
	PARK(42);
	cb_expect(cb, SPAN, "1000|40000|40000|open-start");
}

/* Where samples would have told of it, a poll began when its first record says. */
static void begins_where_samples_would_have_told(void **state)
{
	struct capture_builder *cb = *state;

	cb_meta(cb, "sample.period_ns", "2000000");
	OUT(11);
	IN(41);
	PARK(42);
	cb_expect(cb, SPAN, "11000|30000|30000|complete");
}

static void a_thread_that_began_while_recording(void **state)
{
	struct capture_builder *cb = *state;

	cb_meta(cb, "sample.period_ns", "2000000");
	cb_row(cb, FMT_THREAD_START, &(struct fmt_thread_start){.ts = AT(0.5), .thread = 1});
	SAMPLE(1);
	SAMPLE(21);
	OUTSIDE(22);
	cb_expect(cb, SPAN, "1000|20000|21998|complete");
}

static void longer_than_the_recording(void **state)
{
	struct capture_builder *cb = *state;

	cb_meta(cb, "sample.period_ns", "2000000");
	cb_end(cb, AT(100));
	SAMPLE(1);
	SAMPLE(50);
	SAMPLE(99);
	cb_expect(cb, SPAN, "1000|98000|100000|open-both");
}

static void blocked_longer_than_the_recording(void **state)
{
	struct capture_builder *cb = *state;

	cb_end(cb, AT(100));
	SNAPSHOT(1);
	cb_expect(cb, POLLS, "0|100000|100000|0|0|1|sleep|open-both");
}

/* No layout was known when the recording began; the second snapshot sees what the first could not. */
static void runtime_found_while_blocked_since_before(void **state)
{
	struct capture_builder *cb = *state;

	SNAPSHOT(1, .ctx_status = FMT_CTX_NO_LAYOUT, .context = 0, .budget = 0, .core = 0, .park = 0, .task = 0);
	SNAPSHOT(30);
	IN(50);
	PARK(51);
	cb_expect(cb, SPAN, "0|50000|50000|open-start");
}

/* The thread waits, and as far as the first copy of Tokio goes it is in no runtime; then its own is found. */
static void another_copy_is_found_while_it_waits(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10, .context = 0, .budget = 0, .runtime = 2, .core = 0, .park = 0, .task = 0);
	SNAPSHOT(30);
	IN(50);
	PARK(51);
	cb_expect(cb, SPAN, "10000|40000|40000|complete");
	cb_expect(cb, "SELECT role FROM offcpu ORDER BY ts LIMIT 1", "in_poll");
}

static void snapshot_of_no_use(void **state)
{
	struct capture_builder *cb = *state;

	SNAPSHOT(1, .coherent = 0);
	SNAPSHOT(2, .on_cpu = 1, .state = 0);
	PARK(10);
	SNAPSHOT(11); /* the thread has events by now */
	IN(40);
	cb_expect(cb, "SELECT count(*) FROM poll", "0");
}

static void snapshot_of_a_parked_worker(void **state)
{
	struct capture_builder *cb = *state;

	SNAPSHOT(1, .budget = 0, .park = 0, .task = 1, .syscall = EPOLL);
	IN(40);
	cb_expect(cb, "SELECT (ts - 1000000000) / 1000, dur / 1000, role, poll_id FROM offcpu", "0|40000|parked|-");
}

static void still_blocked_at_the_end(void **state)
{
	struct capture_builder *cb = *state;

	cb_end(cb, AT(100));
	OUTSIDE(9);
	OUT(10);
	cb_finish(cb);
	cb_expect(cb, POLLS, "10000|90000|90000|0|0|1|sleep|open-end");
	cb_expect(cb, "SELECT dur, role FROM offcpu WHERE poll_id = 1", "-|in_poll");
}

static void woken_at_the_end(void **state)
{
	struct capture_builder *cb = *state;

	cb_end(cb, AT(100));
	OUT(10);
	WAKING(90);
	cb_expect(cb, POLLS, "10000|90000|80000|0|10000|1|sleep|open-end");
}

static void on_cpu_at_the_end(void **state)
{
	struct capture_builder *cb = *state;

	cb_meta(cb, "sample.period_ns", "2000000");
	cb_end(cb, AT(100));
	SAMPLE(80);
	SAMPLE(99);
	cb_expect(cb, "SELECT dur / 1000, dur_max / 1000, state FROM poll", "19000|100000|open-end");
}

static void exit_while_asleep(void **state)
{
	struct capture_builder *cb = *state;

	OUTSIDE(9);
	OUT(10);
	cb_row(cb, FMT_THREAD_EXIT, &(struct fmt_thread_exit){.ts = AT(30), .thread = 1, .group_dead = 1});
	OUT(30.2, .ctx_status = FMT_CTX_UNREAD, .state = STATE_D, .syscall = 0); /* its memory is gone: nobody's loss */
	IN(30.4);
	OUT(30.5, .ctx_status = FMT_CTX_UNREAD, .state = 0x80, .syscall = 0);
	cb_end(cb, AT(100));
	cb_finish(cb);
	cb_expect(cb, POLLS, "10000|20000|20000|0|0|1|sleep|complete");
	cb_expect(cb,
		  "SELECT (ts_end - 1000000000) / 1000 FROM thread UNION ALL SELECT (ts_end - 1000000000) / 1000 FROM process",
		  "30000\n30000");
	cb_expect(cb, "SELECT role FROM offcpu ORDER BY ts", "parked\nin_poll\nnone");
	cb_expect(cb, "SELECT * FROM loss", "");
}

static void exec_ends_a_poll(void **state)
{
	struct capture_builder *cb = *state;

	cb_row(cb, FMT_PROCESS, &(struct fmt_process){.idx = 2, .pid = 1000, .start = 5, .exec_gen = 1});
	SAMPLE(10);
	SAMPLE(12);
	cb_row(cb, FMT_EXEC, &(struct fmt_exec){.ts = AT(13), .thread = 1, .process = 2});
	cb_end(cb, AT(100));
	cb_finish(cb);
	cb_expect(cb, "SELECT dur / 1000, dur_max / 1000 FROM poll", "2000|13000");
	cb_expect(cb, "SELECT (ts_end - 1000000000) / 1000 FROM process ORDER BY id", "13000\n-");
}

static void stopped_time_never_counts(void **state)
{
	struct capture_builder *cb = *state;

	OUTSIDE(9);
	SAMPLE(10);
	OUT(11, .state = STATE_T);
	IN(511);
	SAMPLE(512);
	SAMPLE(513);
	cb_finish(cb);
	cb_expect(cb, POLLS, "10000|3000|0|3000|0|0|cpu|complete");
	cb_expect(cb, "SELECT stopped / 1000, dur_max / 1000 FROM poll", "500000|4000");
	cb_expect(cb, "SELECT state, class, poll_id, dur / 1000 FROM offcpu WHERE role = 'in_poll'", "T|-|1|500000");
}

/* Nothing but the tick says that both sides are one poll. */
static void stop_ends_what_is_not_proven(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10, .context = CB_CONTEXT_UNPROVEN);
	IN(22);
	OUT(23, .context = CB_CONTEXT_UNPROVEN, .state = STATE_T);
	IN(523);
	OUT(524, .context = CB_CONTEXT_UNPROVEN, .syscall = SYS_restart_syscall + 1);
	IN(540);
	cb_finish(cb);
	cb_expect(cb, BLOCKING, "10000|12000|sleep\n524000|16000|sleep");
	cb_expect(cb, "SELECT total(stopped) FROM poll", "0.0");
}

/* A debugger's stop, and what a waking in it does: ready to run is no longer stopped. */
static void traced_then_woken(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10);
	WAKING(14);
	IN(15);
	OUT(16, .state = 8);
	WAKING(300);
	IN(303);
	OUT(304, .syscall = SYS_restart_syscall + 1);
	IN(310);
	PARK(311);
	cb_finish(cb);
	cb_expect(cb, POLLS, "10000|16000|10000|2000|4000|2|sleep|complete");
	cb_expect(cb, "SELECT stopped / 1000, rule, (SELECT max(state) FROM offcpu) FROM poll", "284000|nanosleep|t");
}

/* Not long enough by itself: the stop does not make it long. */
static void stopped_poll_is_no_block(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10);
	IN(12);
	OUT(12.1, .state = STATE_T);
	IN(512);
	OUT(512.1, .syscall = SYS_restart_syscall + 1);
	IN(514);
	PARK(514.1);
	cb_finish(cb);
	cb_expect(cb, "SELECT dur / 1000, dur_max / 1000, held / 1000, stopped / 1000 FROM blocking", "4100|4100|4100|499900");
	cb_expect(cb, "SELECT count(*) FROM blocking WHERE dur >= 10000000 OR dur_max >= 10000000", "0");
}

static void stopped_at_both_ends(void **state)
{
	struct capture_builder *cb = *state;

	cb_end(cb, AT(1000));
	SNAPSHOT(1, .state = STATE_T);
	IN(300);
	OUT(300.5, .syscall = SYS_restart_syscall + 1);
	IN(315);
	OUT(316, .state = STATE_T);
	cb_finish(cb);
	cb_expect(cb, POLLS, "0|16000|14500|1500|0|1|sleep|open-both");
	cb_expect(cb, "SELECT stopped / 1000 FROM poll", "984000");
}

static void frozen_cgroup_never_counts(void **state)
{
	struct capture_builder *cb = *state;
	u64 addrs[] = {0x100, 0x200};
	u64 k = cb_stack(cb, FMT_STACK_KERNEL, addrs, 2);

	cb_row(cb, FMT_KSYM, &(struct fmt_ksym){.addr = 0x100, .name = cb_string(cb, "schedule")});
	cb_row(cb, FMT_KSYM, &(struct fmt_ksym){.addr = 0x200, .name = cb_string(cb, "do_freezer_trap")});
	OUT(11, .kstack = k); /* S, in the system call it interrupted */
	IN(511);
	cb_finish(cb);
	cb_expect(cb, "SELECT state, poll_id, dur / 1000 FROM offcpu", "T|1|500000");
	cb_expect(cb, BLOCKING, "");
	cb_expect(cb, "SELECT function, kind, module FROM stack_text",
		  "schedule|kernel|[kernel]\ndo_freezer_trap|kernel|[kernel]");
}

/* Without a kernel stack that tells, the recorder's frozen bit does. */
static void frozen_bit_never_counts(void **state)
{
	struct capture_builder *cb = *state;

	SNAPSHOT(1, .state = 0x8000 | 0x2000 | STATE_S);
	IN(300);
	OUT(301, .state = 0x8000 | 0x2000 | STATE_S);
	IN(801);
	cb_finish(cb);
	cb_expect(cb, "SELECT state, dur / 1000 FROM offcpu ORDER BY ts", "T|300000\nT|500000");
	cb_expect(cb, "SELECT dur / 1000, stopped / 1000, waits FROM poll", "1000|800000|0");
}

/* Cgroup v1 freezes a sleeper in its sleep: only the waking shows it. */
static void woken_out_of_the_freezer(void **state)
{
	struct capture_builder *cb = *state;

	OUT(11);
	cb_row(cb, FMT_WAKING, &(struct fmt_waking){.ts = AT(511), .thread = 1, .source = 0, .waker_tid = 7, .state = 0x8000});
	IN(512);
	OUT(513, .tick = 6);
	cb_row(cb, FMT_WAKING, &(struct fmt_waking){.ts = AT(533), .thread = 1, .source = 1, .state = 0x2001});
	IN(534);
	PARK(535);
	cb_finish(cb);
	cb_expect(cb, "SELECT dur / 1000, off_cpu / 1000, runnable / 1000, stopped / 1000, waits FROM poll ORDER BY ts",
		  "1000|0|1000|500000|0\n21000|20000|1000|0|1");
	cb_expect(cb, "SELECT state, class, dur / 1000 FROM offcpu ORDER BY ts", "T|-|501000\nS|sleep|21000\nS|other|-");
}

/* The block ends where death begins: what a thread waits for then (a core dump, its files) is nobody's poll. */
static void dying_never_counts(void **state)
{
	struct capture_builder *cb = *state;
	u64 addrs[] = {0x100, 0x200};
	u64 k = cb_stack(cb, FMT_STACK_KERNEL, addrs, 2);

	cb_row(cb, FMT_KSYM, &(struct fmt_ksym){.addr = 0x100, .name = cb_string(cb, "schedule")});
	cb_row(cb, FMT_KSYM, &(struct fmt_ksym){.addr = 0x200, .name = cb_string(cb, "coredump_task_exit")});
	OUT(10);
	IN(25);
	OUT(26, .state = 0x402, .kstack = k);
	IN(3026);
	SAMPLE(3027); /* the context still looks like a poll's */
	OUT(3028, .state = STATE_D);
	IN(3029);
	cb_row(cb, FMT_THREAD_EXIT, &(struct fmt_thread_exit){.ts = AT(3030), .thread = 1});
	cb_finish(cb);
	cb_expect(cb, POLLS, "10000|15000|15000|0|0|1|sleep|complete");
	cb_expect(cb, "SELECT state, role, poll_id, dur / 1000 FROM offcpu ORDER BY ts",
		  "S|in_poll|1|15000\nI|none|-|3000000\nD|none|-|1000");
	cb_expect(cb, "SELECT role FROM sample", "none");
}

static void restarted_call_keeps_its_class(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10);
	IN(20);
	OUT(21, .state = STATE_T);
	IN(31);
	OUT(32, .syscall = SYS_restart_syscall + 1);
	IN(60);
	cb_expect(cb, "SELECT dur / 1000, class, syscall FROM poll ORDER BY ts", "40000|sleep|clock_nanosleep");
}

/* ---- what is missing ---- */

static void gap_resets_pairing(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10);
	IN(95); /* may be the end of a later wait */
	SAMPLE(96);
	SAMPLE(97);
	cb_row(cb, FMT_GAP,
	       &(struct fmt_gap){
		       .ts = AT(50), .ts_end = AT(90), .cause = cb_string(cb, "ring_full"), .count = 3}); /* drained later */
	cb_total(cb, "lost.ring_full", 5);
	cb_finish(cb);
	cb_expect(cb, "SELECT dur / 1000, state FROM poll ORDER BY ts", "1000|complete");
	cb_expect(cb, "SELECT count(*) FROM offcpu", "0");
	cb_expect(cb, "SELECT cause, count FROM loss", "ring_full|5");
	cb_expect(cb, "SELECT cause, count, (ts_end - ts) / 1000 FROM gap", "ring_full|3|40000");
	cb_expect(cb, "SELECT verdict <> 'complete' FROM capture", "1");
}

static void loss_is_counted_once(void **state)
{
	struct capture_builder *cb = *state;
	u64 cause = cb_string(cb, "ring_full");

	PARK(10);
	cb_total(cb, "lost.ring_full.sample", 5);
	cb_total(cb, "lost.ring_full.waking", 2);
	cb_total(cb, "lost.other", 0);
	cb_row(cb, FMT_GAP, &(struct fmt_gap){.ts = AT(20), .ts_end = AT(21), .cause = cause, .count = 4});
	cb_row(cb, FMT_GAP, &(struct fmt_gap){.ts = AT(30), .ts_end = AT(31), .cause = cause, .count = 4});
	cb_expect(cb, "SELECT cause, count FROM loss ORDER BY cause", "ring_full|1\nring_full.sample|5\nring_full.waking|2");
}

static void missing_counterparts(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10);
	OUT(20); /* no switch-in between, but the same poll on both sides: it waited, however long */
	IN(30);
	IN(40); /* no switch-out: it may have been anywhere */
	SAMPLE(41);
	OUT(45);
	WAKING(47);
	SAMPLE(50); /* no switch-in, but it was woken: 3 ms that it may have run */
	PARK(60);
	OUT(70);	    /* no switch-in from the park: that row is lost */
	OUT(90, .tick = 6); /* nor here, and now it is another poll */
	IN(95);
	PARK(96);
	WAKING(97);
	OUT(99, .tick = 7);
	IN(100);
	cb_finish(cb);
	cb_expect(cb, POLLS,
		  "10000|20000|20000|0|0|2|sleep|complete\n41000|9000|2000|7000|0|1|cpu|complete\n"
		  "90000|5000|5000|0|0|1|sleep|complete\n99000|1000|1000|0|0|1|sleep|complete");
	cb_expect(
		cb, "SELECT (ts - 1000000000) / 1000, dur / 1000, role FROM offcpu ORDER BY ts",
		"10000|10000|in_poll\n20000|10000|in_poll\n45000|2000|in_poll\n90000|5000|in_poll\n96000|1000|parked\n99000|1000|in_poll");
	cb_expect(cb, "SELECT cause, count FROM loss", "unpaired|6");
}

static void missing_switch_in_where_no_tick_ties(void **state)
{
	struct capture_builder *cb = *state;

	SAMPLE(10, .context = CB_CONTEXT_UNPROVEN);
	OUT(11, .context = CB_CONTEXT_UNPROVEN, .state = 0, .preempt = 1);
	SAMPLE(20, .context = CB_CONTEXT_UNPROVEN);
	cb_expect(cb, "SELECT dur / 1000 FROM poll ORDER BY ts", "1000\n0");
}

static void out_of_order_is_clamped(void **state)
{
	struct capture_builder *cb = *state;

	OUTSIDE(9);
	OUT(10);
	cb_flush(cb);
	IN(8);
	cb_finish(cb);
	cb_expect(cb, POLLS, "10000|0|0|0|0|1|sleep|complete");
	cb_expect(cb, "SELECT cause, count FROM loss", "order|1");
}

static void lost_block_resets_pairing(void **state)
{
	struct capture_builder *cb = *state;
	off_t from, to;
	FILE *f;

	OUTSIDE(9);
	OUT(10);
	cb_flush(cb);
	from = lseek(cb->fd, 0, SEEK_END);
	IN(20);
	OUT(80, .tick = 9);
	cb_flush(cb);
	to = lseek(cb->fd, 0, SEEK_END);
	IN(90);
	PARK(91);
	cb_finish(cb);
	f = fopen(cb->path, "r+");
	assert_non_null(f);
	assert_int_equal(fseek(f, (long)(from + to) / 2, SEEK_SET), 0);
	assert_int_equal(fwrite("damage!", 1, 7, f), 7);
	assert_int_equal(fclose(f), 0);
	cb_expect(cb, POLLS, ""); /* never 80 ms: what lies between is not known */
	cb_expect(cb, "SELECT count FROM loss WHERE cause = 'damaged_blocks'", "1");
	cb_expect(cb, "SELECT verdict <> 'complete' FROM capture", "1");
}

static void truncated_file(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10);
	IN(20);
	PARK(21);
	cb_abandon(cb);
	cb_expect(cb, POLLS, "10000|10000|10000|0|0|1|sleep|complete");
	cb_expect(cb, "SELECT cause, count FROM loss", "not_closed|1");
	cb_expect(cb, "SELECT verdict, ts_end - 1021000000 FROM capture", "partial|0");
}

static void references_that_lead_nowhere(void **state)
{
	struct capture_builder *cb = *state;

	OUT(10, .thread = 77, .context = 99, .ustack = 1234, .kstack = 77, .syscall = 5000);
	cb_row(cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = AT(60), .thread = 77});
	cb_row(cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = AT(60), .thread = (1ULL << 40)});
	cb_row(cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = UINT64_MAX - 5, .thread = 1});
	cb_row(cb, FMT_MAPPING, &(struct fmt_mapping){.process = 9, .module = 9, .start = 1, .end = 2});
	cb_row(cb, FMT_CONTEXT, &(struct fmt_context){.idx = 50, .thread = 88, .layout = 44, .flavor = 9});
	cb_finish(cb);
	cb_expect(cb, "SELECT dur / 1000, runtime_id, stack_id, kstack_id, syscall, class FROM poll", "50000|-|-|-|-|other");
	cb_expect(cb,
		  "SELECT t.name, t.tid, p.pid, p.name FROM offcpu AS o JOIN thread AS t ON t.id = o.thread_id "
		  "JOIN process AS p ON p.id = t.process_id",
		  "?|0|0|?");
	cb_expect(cb, "SELECT cause, count FROM loss ORDER BY cause", "bad_rows|2\nunknown_threads|1");
}

/* What a thread ran needs no rows of its own: it lies before each row, and the last of it in table thread. */
static void time_on_the_cpu(void **state)
{
	struct capture_builder *cb = *state;
	sqlite3 *db;

	IN(10);
	OUT(15);
	IN(40);
	SAMPLE(42);
	OUT(47);
	IN(60);
	cb_end(cb, AT(70));
	cb_finish(cb);
	db = cb_load(cb);
	cb_rows(db, "SELECT dur / 1000, ran / 1000 FROM offcpu ORDER BY ts", "25000|5000\n13000|7000");
	cb_rows(db, "SELECT (ts_last_in - 1000000000) / 1000, (ts_last_out - ts_last_in) / 1000 FROM thread WHERE id = 1",
		"60000|10000");
	cb_rows(db, "SELECT value FROM meta WHERE key IN ('ascope.rows', 'ascope.switches', 'ascope.samples') ORDER BY key",
		"all\n1\n2");
	(void)sqlite3_close(db);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, cb_setup, cb_teardown)
	const struct CMUnitTest tests[] = {
		TEST(blocked_before_the_recording),
		TEST(on_cpu_since_before_the_recording),
		TEST(preempted_before_the_recording),
		TEST(waits_soon_after_the_begin),
		TEST(begins_where_samples_would_have_told),
		TEST(a_thread_that_began_while_recording),
		TEST(longer_than_the_recording),
		TEST(blocked_longer_than_the_recording),
		TEST(runtime_found_while_blocked_since_before),
		TEST(another_copy_is_found_while_it_waits),
		TEST(snapshot_of_no_use),
		TEST(snapshot_of_a_parked_worker),
		TEST(still_blocked_at_the_end),
		TEST(woken_at_the_end),
		TEST(on_cpu_at_the_end),
		TEST(exit_while_asleep),
		TEST(exec_ends_a_poll),
		TEST(stopped_time_never_counts),
		TEST(stop_ends_what_is_not_proven),
		TEST(traced_then_woken),
		TEST(stopped_poll_is_no_block),
		TEST(stopped_at_both_ends),
		TEST(frozen_cgroup_never_counts),
		TEST(frozen_bit_never_counts),
		TEST(woken_out_of_the_freezer),
		TEST(dying_never_counts),
		TEST(restarted_call_keeps_its_class),
		TEST(gap_resets_pairing),
		TEST(loss_is_counted_once),
		TEST(missing_counterparts),
		TEST(missing_switch_in_where_no_tick_ties),
		TEST(out_of_order_is_clamped),
		TEST(lost_block_resets_pairing),
		TEST(truncated_file),
		TEST(references_that_lead_nowhere),
		TEST(time_on_the_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
