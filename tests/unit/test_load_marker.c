/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_load_marker.c: which END belongs to which START. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include "thread_events.h"

#define MARK(ms, is_end, ...)                                                                                                    \
	cb_row(cb, FMT_MARKER, &(struct fmt_marker){.ts = AT(ms), .thread = 1, .pair = 1, .end = (is_end), __VA_ARGS__})
#define START(ms, ...) MARK(ms, 0, __VA_ARGS__)
#define END(ms, ...)   MARK(ms, 1, __VA_ARGS__)
#define MARKERS                                                                                                                  \
	"SELECT id, pair, (ts - 1000000000) / 1000, dur / 1000, thread_id, end_thread_id, task_id, depth FROM marker ORDER BY id"
#define ENDS_ALONE "SELECT (SELECT value FROM meta WHERE key = 'ascope.marker.ends_alone')"

static void another_thread(struct capture_builder *cb, u64 process)
{
	cb_row(cb, FMT_THREAD, &(struct fmt_thread){.idx = 2, .process = process, .tid = 1002});
}

static void by_thread(void **state)
{
	struct capture_builder *cb = *state;

	another_thread(cb, 1);
	START(1);
	START(2, .thread = 2);
	END(11);
	END(22, .thread = 2);
	cb_expect(cb, MARKERS, "1|1|1000|10000|1|1|-|0\n2|1|2000|20000|2|2|-|0");
}

static void nested(void **state)
{
	struct capture_builder *cb = *state;

	START(1);
	START(2);
	START(3);
	END(4);
	START(5);
	END(6);
	END(7);
	END(8);
	START(9);
	END(10);
	cb_expect(
		cb, MARKERS,
		"1|1|1000|7000|1|1|-|0\n2|1|2000|5000|1|1|-|1\n3|1|3000|1000|1|1|-|2\n4|1|5000|1000|1|1|-|2\n5|1|9000|1000|1|1|-|0");
}

static void pairs_apart(void **state)
{
	struct capture_builder *cb = *state;

	cb_meta(cb, "option.marker.1", "begin,end");
	cb_meta(cb, "option.marker.2", "open,close");
	START(1);
	START(2, .pair = 2);
	END(3);
	END(4, .pair = 2);
	cb_finish(cb);
	cb_expect(cb, MARKERS, "1|1|1000|2000|1|1|-|0\n2|2|2000|2000|1|1|-|0");
	cb_expect(cb, "SELECT name FROM marker ORDER BY id", "begin,end\nopen,close");
}

/* Two tasks await inside their intervals: the thread's last START is not the one that ends. */
static void two_tasks_of_a_thread(void **state)
{
	struct capture_builder *cb = *state;

	START(1, .task = 30);
	START(2, .task = 31);
	END(3, .task = 30);
	END(4, .task = 31);
	cb_expect(cb, MARKERS, "1|1|1000|2000|1|1|30|0\n2|1|2000|2000|1|1|31|0");
}

static void a_task_that_moves(void **state)
{
	struct capture_builder *cb = *state;

	another_thread(cb, 1);
	START(1, .task = 30);
	START(2, .thread = 2, .task = 31);
	END(3, .thread = 2, .task = 30);
	END(4, .task = 31);
	cb_expect(cb, MARKERS, "1|1|1000|2000|1|2|30|0\n2|1|2000|2000|2|1|31|0");
}

/* Ids are a process's own. */
static void tasks_of_two_processes(void **state)
{
	struct capture_builder *cb = *state;

	cb_row(cb, FMT_PROCESS, &(struct fmt_process){.idx = 2, .pid = 1002, .start = 5});
	another_thread(cb, 2);
	START(1, .task = 30);
	START(2, .thread = 2, .task = 30);
	END(3, .task = 30);
	END(4, .thread = 2, .task = 30);
	cb_expect(cb, MARKERS, "1|1|1000|2000|1|1|30|0\n2|1|2000|2000|2|2|30|0");
}

/* A runtime that is found between the two: only END knows the task. */
static void a_task_that_was_not_known(void **state)
{
	struct capture_builder *cb = *state;

	another_thread(cb, 1);
	START(1);
	END(2, .thread = 2, .task = 30); /* of another thread: not this one's */
	END(3, .task = 30);
	cb_finish(cb);
	cb_expect(cb, MARKERS, "1|1|1000|2000|1|1|-|0");
	cb_expect(cb, ENDS_ALONE, "1");
}

static void unpaired(void **state)
{
	struct capture_builder *cb = *state;

	END(1);
	END(2, .task = 30);
	START(3, .task = 30);
	START(4);
	END(5, .pair = 2);
	cb_end(cb, AT(9));
	cb_finish(cb);
	cb_expect(cb, MARKERS, "1|1|3000|-|1|-|30|0\n2|1|4000|-|1|-|-|0");
	cb_expect(cb, ENDS_ALONE, "3");
	cb_expect(cb, "SELECT verdict FROM capture", "complete"); /* what began before, or ends behind, is not lost */
}

static void none(void **state)
{
	struct capture_builder *cb = *state;

	OUT(1);
	IN(2);
	cb_finish(cb);
	cb_expect(cb, "SELECT count(*) FROM marker", "0");
	cb_expect(cb, ENDS_ALONE, "-");
}

static void impossible(void **state)
{
	struct capture_builder *cb = *state;

	START(1, .pair = 0);
	START(2, .pair = 9);
	END(3, .pair = UINT64_MAX);
	START(5);
	END(4); /* before its START */
	cb_finish(cb);
	cb_expect(cb, "SELECT cause, count FROM loss", "bad_rows|3");
	cb_expect(cb, MARKERS, "1|1|5000|-|1|-|-|0");
	cb_expect(cb, ENDS_ALONE, "1");
}

/* Many open at once, ended in another order: entries are used again, and the chains stay whole. */
static void many(void **state)
{
	struct capture_builder *cb = *state;

	for (u64 round = 0; round < 2; round++) {
		for (u64 i = 0; i < 1000; i++)
			START((double)(round * 4000 + i), .task = 100 + i);
		for (u64 i = 0; i < 1000; i++)
			END((double)(round * 4000 + 2000 + i), .task = 100 + i * 7 % 1000);
	}
	cb_finish(cb);
	cb_expect(cb, "SELECT count(*), count(DISTINCT task_id), count(dur), max(depth), max(id) FROM marker",
		  "2000|1000|2000|0|2000");
	cb_expect(
		cb,
		"SELECT count(*) FROM marker WHERE (ts + dur - 1000000000) / 1000000 % 4000 - 2000 = (task_id - 100) * 143 % 1000",
		"2000"); /* 7 * 143 = 1 (mod 1000) */
	cb_expect(cb, ENDS_ALONE, "-");
}

/* Markers are no part of the thread's scheduling. */
static void polls_are_the_same(void **state)
{
	struct capture_builder *cb = *state;

	START(9, .task = 30);
	OUT(10);
	START(20); /* nonsense: it is out */
	IN(60);
	END(61, .task = 30);
	PARK(62);
	cb_finish(cb);
	cb_expect(cb, POLLS, "10000|50000|50000|0|0|1|sleep|complete");
	cb_expect(cb, "SELECT count(*) FROM loss", "0");
}

/* Return addresses: those of callers. */
static void the_stack(void **state)
{
	struct capture_builder *cb = *state;
	u64 stack = cb_stack(cb, FMT_STACK_USER, (u64[]){CB_CODE + 0x20, CB_CODE + 0x40}, 2);

	START(1, .ustack = stack);
	END(2);
	cb_expect(
		cb,
		"SELECT sf.depth, f.file_off - 0x1000, f.is_return FROM marker AS m JOIN stack_frame AS sf ON sf.stack_id = m.stack_id "
		"JOIN frame AS f ON f.id = sf.frame_id ORDER BY 1",
		"0|32|1\n1|64|1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(by_thread, cb_setup, cb_teardown),
		cmocka_unit_test_setup_teardown(nested, cb_setup, cb_teardown),
		cmocka_unit_test_setup_teardown(pairs_apart, cb_setup, cb_teardown),
		cmocka_unit_test_setup_teardown(two_tasks_of_a_thread, cb_setup, cb_teardown),
		cmocka_unit_test_setup_teardown(a_task_that_moves, cb_setup, cb_teardown),
		cmocka_unit_test_setup_teardown(tasks_of_two_processes, cb_setup, cb_teardown),
		cmocka_unit_test_setup_teardown(a_task_that_was_not_known, cb_setup, cb_teardown),
		cmocka_unit_test_setup_teardown(unpaired, cb_setup, cb_teardown),
		cmocka_unit_test_setup_teardown(none, cb_setup, cb_teardown),
		cmocka_unit_test_setup_teardown(impossible, cb_setup, cb_teardown),
		cmocka_unit_test_setup_teardown(many, cb_setup, cb_teardown),
		cmocka_unit_test_setup_teardown(polls_are_the_same, cb_setup, cb_teardown),
		cmocka_unit_test_setup_teardown(the_stack, cb_setup, cb_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
