/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_load_task.c: what the loader makes of events of tasks: their lives, names, places, wakes and polls, who paid for a block, and how long nobody served the
 * driver. A runtime of two workers (threads 1 and 2), and a current_thread runtime and a LocalSet on thread 3.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include "report/load_task.h"
#include "thread_events.h"

#define MT_A	  11 /* context: worker 0 of runtime 0x8000, thread 1 */
#define MT_B	  12 /* worker 1 of it, thread 2 */
#define CT	  13 /* runtime 0x9000, thread 3 */
#define H_MT	  0x8000
#define H_CT	  0x9000
#define H_SET	  0xa000 /* a LocalSet's Shared: in no context */
#define T_FUTURE  21	 /* types */
#define T_OTHER	  22
#define T_CLOSURE 23

#define SPAWN(ms, id, ...)                                                                                                       \
	cb_row(cb, FMT_TASK_SPAWN,                                                                                               \
	       &(struct fmt_task_spawn){.ts = AT(ms),                                                                            \
					.thread = 1,                                                                             \
					.layout = 1,                                                                             \
					.task = (id),                                                                            \
					.handle = H_MT,                                                                          \
					.vtable = T_FUTURE,                                                                      \
					BY_TASK(30),                                                                             \
					__VA_ARGS__})
#define END(ms, id, ...)                                                                                                         \
	cb_row(cb, FMT_TASK_END,                                                                                                 \
	       &(struct fmt_task_end){.ts = AT(ms), .thread = 1, .layout = 1, .task = (id), .how = FMT_TASK_DONE, __VA_ARGS__})
#define ALIVE(ms, id, ...)                                                                                                       \
	cb_row(cb, FMT_TASK_ALIVE,                                                                                               \
	       &(struct fmt_task_alive){                                                                                         \
		       .ts = AT(ms), .layout = 1, .task = (id), .handle = H_MT, .vtable = T_OTHER, __VA_ARGS__})
#define BEGIN(ms, thr, id, ...)                                                                                                  \
	cb_row(cb, FMT_TASK_POLL,                                                                                                \
	       &(struct fmt_task_poll){                                                                                          \
		       .ts = AT(ms), .thread = (thr), .layout = 1, .task = (id), .vtable = T_FUTURE, __VA_ARGS__})
#define FINISH(ms, thr) cb_row(cb, FMT_TASK_POLL, &(struct fmt_task_poll){.ts = AT(ms), .thread = (thr), .layout = 1, .end = 1})
#define WAKE(ms, thr, id, ...)                                                                                                   \
	cb_row(cb, FMT_TASK_WAKE,                                                                                                \
	       &(struct fmt_task_wake){                                                                                          \
		       .ts = AT(ms), .thread = (thr), .layout = 1, .task = (id), .vtable = T_FUTURE, __VA_ARGS__})

/* What a thread was doing that woke or spawned. */
#define BY_TASK(id)	.by_task = (id), .budget = CB_BUDGET, .runtime = 1, .entered = 2
#define BY_DRIVER	.by_task = 1, .budget = 0, .runtime = 1, .entered = 2
#define BY_COMPLETION	.by_task = 1, .budget = CB_BUDGET, .runtime = 1, .entered = 2
#define BY_OUTSIDE	.by_task = 0, .budget = 0, .runtime = 2, .entered = 1
#define BY_POOL(id)	.by_task = (id), .budget = 0, .runtime = 2, .entered = 1
#define BY_ROOT		.by_task = 0, .budget = CB_BUDGET, .runtime = 1, .entered = 1
#define BY_IN_PLACE(id) .by_task = (id), .budget = 0, .runtime = 2, .entered = 2

/* Records of a worker of the runtime of two. */
#define OUT_OF(thr, ms, ...)	    OUT(ms, .thread = (thr), .context = (thr) == 1 ? MT_A : MT_B, .core = 0xc0 + (thr), __VA_ARGS__)
#define IN_OF(thr, ms)		    cb_row(cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = AT(ms), .thread = (thr), .cpu = 2})
#define PARK_OF(thr, ms, call, ...) OUT_OF(thr, ms, .budget = 0, .park = 0, .task = 1, .tick = 9, .syscall = (call), __VA_ARGS__)
/* Records of thread 3; a wait of a task, and idle. */
#define OUT_CT(ms, ...) OUT(ms, .thread = 3, .context = CT, .core = 0xc3, .park = 0, .runtime = 0, .task = 70, __VA_ARGS__)
#define IDLE_CT(ms)	OUT_CT(ms, .budget = 0, .task = 0, .tick = 9, .syscall = EPOLL)

static void thread(struct capture_builder *cb, u64 idx)
{
	cb_row(cb, FMT_THREAD, &(struct fmt_thread){.idx = idx, .process = 1, .tid = 1000 + idx, .start = 6});
}

static void context(struct capture_builder *cb, u64 idx, u64 thr, u64 flavor, u64 handle, u64 worker)
{
	cb_row(cb, FMT_CONTEXT,
	       &(struct fmt_context){
		       .idx = idx, .thread = thr, .layout = 1, .flavor = flavor, .handle = handle, .worker = worker});
}

static void probe(struct capture_builder *cb, double ms, const char *group, u64 action)
{
	cb_row(cb, FMT_PROBE,
	       &(struct fmt_probe){.ts = AT(ms),
				   .process = 1,
				   .module = 1,
				   .group = cb_string(cb, group),
				   .action = action,
				   .places = 3,
				   .hits = 7,
				   .cost = 7000});
}

static void type(struct capture_builder *cb, u64 idx, u64 layout)
{
	cb_row(cb, FMT_VTABLE,
	       &(struct fmt_vtable){.idx = idx,
				    .layout = layout,
				    .addr = 0x900000 + 16 * idx,
				    .poll = CB_CODE + 0x100 * idx,
				    .dealloc = CB_CODE + 0x100 * idx + 16,
				    .id_off = 40});
}

/* As cb_setup(), with the threads, runtimes and types above; every wake and poll is seen from the start. */
static int setup(void **state)
{
	struct capture_builder *cb;
	int err = cb_setup(state);

	cb = *state;
	for (u64 i = 2; i <= 4; i++)
		thread(cb, i);
	context(cb, MT_A, 1, FMT_FLAVOR_MULTI_THREAD, H_MT, 1);
	context(cb, MT_B, 2, FMT_FLAVOR_MULTI_THREAD, H_MT, 2);
	context(cb, CT, 3, FMT_FLAVOR_CURRENT_THREAD, H_CT, 0);
	type(cb, T_FUTURE, 1);
	type(cb, T_OTHER, 1);
	type(cb, T_CLOSURE, 1);
	return err;
}

static int setup_exact(void **state)
{
	int err = setup(state);

	probe(*state, 0.001, "schedule", FMT_PROBE_ATTACHED);
	probe(*state, 0.001, "poll", FMT_PROBE_ATTACHED);
	return err;
}

/* ---- lives ---- */

#define TASKS                                                                                                                                        \
	"SELECT task_id, runtime_id, type_id, spawned_by, spawned_from, (ts_spawn - 1000000000) / 1000000, (ts_end - 1000000000) / 1000000, ended, " \
	"alive_at_start, alive_at_end FROM task WHERE id IS NOT NULL ORDER BY task_id"

static void lives(void **state)
{
	struct capture_builder *cb = *state;

	PARK_OF(1, 1, EPOLL);
	IN_OF(1, 2);
	ALIVE(3, 40);
	ALIVE(3, 41);
	SPAWN(10, 50);
	SPAWN(11, 51, BY_COMPLETION);
	SPAWN(12, 52, .thread = 4, .by_task = 0, .budget = 0, .runtime = 2, .entered = 1);
	SPAWN(13, 53, .thread = 4, BY_ROOT);
	SPAWN(14, 54, .thread = 4, BY_POOL(60));
	SPAWN(15, 55, .entered = 0);
	SPAWN(16, 56, BY_DRIVER);
	SPAWN(17, 57, .handle = 0, .vtable = T_CLOSURE, .blocking = 1, BY_IN_PLACE(30));
	END(20, 40, .how = FMT_TASK_CANCELLED);
	END(21, 50);
	END(22, 50, .how = FMT_TASK_FREED); /* a task's first end is its end */
	END(23, 51, .how = FMT_TASK_FREED);
	END(24, 99);			  /* all that was seen of it */
	SPAWN(25, 50, .vtable = T_OTHER); /* ids are not used again: it is the same one told late */
	cb_finish(cb);
	cb_expect(cb, TASKS,
		  "40|4|22|-|-|-|20|cancelled|1|0\n"
		  "41|4|22|-|-|-|-|-|1|1\n"
		  "50|4|21|30|task|10|21|done|0|0\n"
		  "51|4|21|-|driver|11|23|dropped|0|0\n"
		  "52|4|21|-|outside|12|-|-|0|1\n"
		  "53|4|21|-|root|13|-|-|0|1\n"
		  "54|4|21|60|blocking_pool|14|-|-|0|1\n"
		  "55|4|21|-|-|15|-|-|0|1\n"
		  "56|4|21|-|driver|16|-|-|0|1\n"
		  "57|-|23|30|task|17|-|-|0|1\n"
		  "99|-|-|-|-|-|24|done|0|0");
	cb_expect(cb, "SELECT id, kind FROM task_type", "21|future\n22|future\n23|blocking");
	cb_expect(cb, "SELECT task_id, kind FROM task WHERE type_id = 23", "57|blocking");
	cb_expect(cb, "SELECT count(*) FROM loss", "0");
}

/* Functions of a type, and who called spawn, are frames: what names are given to. */
static void frames(void **state)
{
	struct capture_builder *cb = *state;
	u64 file = cb_string(cb, "src/main.rs");

	cb_row(cb, FMT_LOCATION,
	       &(struct fmt_location){.idx = 5, .layout = 1, .addr = 0x77, .file = file, .line = 88, .column = 9});
	cb_row(cb, FMT_LOCATION,
	       &(struct fmt_location){.idx = 6, .layout = 1, .addr = 0x99, .file = file, .line = 88, .column = 9});
	cb_row(cb, FMT_LOCATION,
	       &(struct fmt_location){.idx = 7, .layout = 2, .addr = 0x99, .file = file, .line = 99, .column = 9});
	cb_row(cb, FMT_TASK_NAME, &(struct fmt_task_name){.vtable = T_FUTURE, .name = cb_string(cb, "app::first"), .how = 3});
	cb_row(cb, FMT_TASK_NAME, &(struct fmt_task_name){.vtable = T_FUTURE, .name = cb_string(cb, "app::run"), .how = 1});
	SPAWN(1, 50, .location = 5, .caller = CB_CODE + 0x40);
	SPAWN(2, 51, .location = 6, .caller = CB_CODE + 0x80); /* the same line, compiled twice */
	SPAWN(3, 52, .caller = CB_CODE + 0x40);
	SPAWN(4, 53, .location = 7, .caller = CB_CODE + 0x40); /* of another copy of Tokio: not believed */
	SPAWN(5, 54, .location = 999);
	cb_finish(cb);
	cb_expect(cb, "SELECT task_id, site_id FROM task ORDER BY 1", "50|1\n51|1\n52|2\n53|2\n54|-");
	cb_expect(
		cb,
		"SELECT s.id, s.file, s.line, s.col, s.from_location, f.file_off, f.is_return FROM spawn_site AS s JOIN frame AS f ON "
		"f.id = s.frame_id",
		"1|src/main.rs|88|9|1|4160|1\n2|-|-|-|0|4160|1");
	cb_expect(
		cb,
		"SELECT t.id, t.process_id, t.vtable, t.name, t.name_from, p.file_off - 4096, p.is_return, d.file_off - 4096, p.module_id FROM "
		"task_type AS t JOIN frame AS p ON p.id = t.poll_frame_id JOIN frame AS d ON d.id = t.dealloc_frame_id WHERE t.id = 21",
		"21|1|9437520|app::run|v0|5376|0|5392|1");
	cb_expect(cb, "SELECT tasks, line FROM spawn_site_stats", "2|88\n2|-");
}

/* A place by debug information: the innermost function that is neither Tokio's nor std's. */
static void places_by_names(void **state)
{
	struct capture_builder *cb = *state;
	sqlite3 *db;

	SPAWN(1, 50, .caller = CB_CODE + 0x40);
	cb_finish(cb);
	db = cb_load(cb);
	assert_int_equal(
		sqlite3_exec(
			db,
			"INSERT INTO symbol SELECT frame_id, 0, 'tokio::task::spawn', 'x.rs', 1, 1, 'runtime' FROM _spawn_site;"
			"INSERT INTO symbol SELECT frame_id, 1, 'app::serve', 'src/a.rs', 7, 1, 'user' FROM _spawn_site;"
			"INSERT INTO symbol SELECT frame_id, 2, 'app::main', 'src/a.rs', 3, 0, 'user' FROM _spawn_site;",
			NULL, NULL, NULL),
		SQLITE_OK);
	cb_rows(db, "SELECT file, line, function, from_location FROM spawn_site", "src/a.rs|7|app::serve|0");
	cb_rows(db, "SELECT task_id, spawn_function, spawn_file, spawn_line FROM task", "50|app::serve|src/a.rs|7");
	sqlite3_close(db);
}

/* Two copies of Tokio in a process count their ids each for itself. */
static void equal_ids_of_two_copies(void **state)
{
	struct capture_builder *cb = *state;

	SPAWN(1, 50);
	SPAWN(2, 50, .layout = 2, .handle = 0x7000, .vtable = 0);
	END(3, 50, .layout = 2);
	OUT_OF(1, 10, .task = 50);
	IN_OF(1, 20);
	PARK_OF(1, 21, EPOLL);
	cb_finish(cb);
	cb_expect(cb, "SELECT runtime_id, task_id, layout, ended FROM _task ORDER BY layout", "4|50|1|-\n3|50|2|done");
	cb_expect(cb, "SELECT runtime_id, task_id, type_id, polls, ended FROM task ORDER BY runtime_id",
		  "3|50|-|0|done\n4|50|21|1|-");
	cb_expect(cb, "SELECT runtime_id, task_id, class FROM blocking", "4|50|sleep");
}

/* A block says what its task is. */
static void block_knows_its_task(void **state)
{
	struct capture_builder *cb = *state;

	cb_row(cb, FMT_LOCATION,
	       &(struct fmt_location){.idx = 5, .layout = 1, .addr = 0x77, .file = cb_string(cb, "src/main.rs"), .line = 88});
	cb_row(cb, FMT_TASK_NAME, &(struct fmt_task_name){.vtable = T_FUTURE, .name = cb_string(cb, "app::run"), .how = 9});
	SPAWN(1, 30, .location = 5, .handle = 0); /* its runtime is told by its polls */
	OUT_OF(1, 10);
	IN_OF(1, 20);
	PARK_OF(1, 21, EPOLL);
	cb_finish(cb);
	cb_expect(cb, "SELECT task_id, task_name, spawn_file, spawn_line, spawn_function FROM blocking",
		  "30|app::run|src/main.rs|88|-");
	cb_expect(cb, "SELECT name, name_from, kind FROM task_type WHERE id = 21", "app::run|-|future");
	cb_expect(cb, "SELECT runtime_id, name, polls, busy, ts_first - 1000000000 FROM task", "4|app::run|1|10000000|10000000");
}

/* Of tasks that are over, rows come again from memory only so far: later ones of the same id are no other task. */
static void many_tasks(void **state)
{
	struct capture_builder *cb = *state;
	u64 n = TASK_LATE + 1000;

	for (u64 i = 1; i <= n; i++) {
		SPAWN((double)i / 100, 1000 + i);
		END((double)i / 100 + 0.002, 1000 + i);
		if (i % 4096 == 0)
			cb_flush(cb);
	}
	END((double)n / 100 + 1, 1001, .how = FMT_TASK_FREED);
	BEGIN((double)n / 100 + 2, 1, 1002);
	cb_finish(cb);
	cb_expect(cb, "SELECT count(*), count(DISTINCT task_id), count(ts_end), min(id), max(id) FROM _task",
		  "66536|66536|66536|1|66536");
	cb_expect(cb, "SELECT count(*), count(task_row) FROM task_poll", "1|0");
}

static void wrong_references(void **state)
{
	struct capture_builder *cb = *state;

	SPAWN(1, 50, .layout = 77);
	SPAWN(2, 51, .vtable = 999, .caller = 0xdead000);
	SPAWN(3, 0);
	SPAWN(4, 52, .layout = 2, .vtable = T_FUTURE, .handle = 0); /* a type of another copy */
	END(5, 51, .how = 9);
	ALIVE(6, 53, .vtable = 999, .handle = 0x123);
	BEGIN(7, 1, 54, .vtable = 999);
	BEGIN(8, 1, 55, .layout = 99);
	WAKE(9, 1, 56, .layout = 99);
	cb_row(cb, FMT_TASK_SPAWN, &(struct fmt_task_spawn){.ts = UINT64_MAX, .thread = 1, .layout = 1, .task = 57});
	cb_row(cb, FMT_TASK_WAKE, &(struct fmt_task_wake){.ts = AT(10), .thread = FMT_MAX_ID + 1, .layout = 1, .task = 58});
	probe(cb, 1, "poll", 9);
	cb_row(cb, FMT_PROBE,
	       &(struct fmt_probe){.ts = AT(1), .process = 99, .module = 99, .group = 999, .action = 1, .why = 999});
	cb_row(cb, FMT_VTABLE, &(struct fmt_vtable){.idx = 30, .layout = 99, .addr = UINT64_MAX, .poll = 5});
	cb_finish(cb);
	cb_expect(cb, "SELECT task_id, runtime_id, type_id, ended, ts_end IS NOT NULL FROM _task ORDER BY 1",
		  "51|4|-|-|1\n52|-|-|-|0\n53|-|-|-|0\n54|-|-|-|0");
	cb_expect(cb, "SELECT * FROM loss", "bad_rows|6");
	cb_expect(cb, "SELECT process_id, module_id, grp, action, places, why FROM probe", "-|-|?|attached|0|-");
	cb_expect(cb, "SELECT id, process_id, vtable, poll_frame_id FROM task_type WHERE id = 30", "30|-|-1|-");
}

/* ---- wakes and polls ---- */

#define WAKES "SELECT task_id, waker, waker_task, delay / 1000 FROM task_wake ORDER BY id"

static void wakers(void **state)
{
	struct capture_builder *cb = *state;

	PARK_OF(1, 1, EPOLL); /* the worker's own id is 1 */
	IN_OF(1, 2);
	WAKE(10, 1, 50, BY_TASK(30));
	WAKE(11, 1, 51, BY_COMPLETION);
	WAKE(12, 1, 52, BY_DRIVER);
	WAKE(13, 4, 53, BY_OUTSIDE);
	WAKE(14, 4, 54, BY_POOL(60));
	WAKE(15, 4, 55, BY_ROOT);
	WAKE(16, 1, 56, BY_IN_PLACE(30));
	WAKE(17, 1, 57, .by_task = 30, .runtime = 1, .entered = 2);			 /* a task that opted out of the budget */
	WAKE(18, 4, 58, .by_task = 60, .budget = CB_BUDGET, .runtime = 1, .entered = 1); /* block_on in a closure of the pool */
	WAKE(19, 4, 59, .by_task = 61, .budget = CB_BUDGET, .runtime = 0, .entered = 1); /* a LocalSet's task */
	WAKE(20, 4, 60);								 /* not read */
	BEGIN(30, 1, 50);
	FINISH(31, 1);
	BEGIN(32.5, 2, 51);
	cb_finish(cb);
	cb_expect(
		cb, WAKES,
		"50|task|30|20000\n51|completion|-|21500\n52|driver|-|-\n53|outside|-|-\n54|blocking_pool|60|-\n55|root|-|-\n56|task|30|-\n57|task|30|-\n"
		"58|blocking_pool|60|-\n59|task|61|-\n60|unknown|-|-");
	cb_expect(cb, "SELECT task_id, thread_id, dur / 1000, type_id FROM task_poll", "50|1|1000|21\n51|2|-|21");
	cb_expect(cb, "SELECT task_id, delay / 1000, waker FROM task_delay", "50|20000|task\n51|21500|completion");
}

/* Ends that were not seen: polls that nest keep their own, a worker that parks has none open, and there is room for a few alone. */
static void missing_ends(void **state)
{
	struct capture_builder *cb = *state;

	BEGIN(1, 1, 50);
	BEGIN(2, 1, 51);
	FINISH(3, 1);
	FINISH(5, 1);
	FINISH(6, 1); /* of none */
	BEGIN(10, 1, 52);
	PARK_OF(1, 11, EPOLL);
	IN_OF(1, 12);
	FINISH(13, 1);
	for (u32 i = 0; i < OPEN_POLLS + 1; i++)
		BEGIN(20 + i, 2, 60 + i);
	FINISH(40, 2);
	cb_finish(cb);
	cb_expect(cb, "SELECT task_id, dur / 1000000 FROM task_poll WHERE id < 5", "50|4\n51|1\n52|-\n60|-");
	cb_expect(cb, "SELECT count(*), count(dur), max(task_id * (dur IS NOT NULL)) FROM task_poll WHERE thread_id = 2",
		  "9|1|68");
}

/* Between a wake and a poll with a gap in between there may have been others. */
static void gaps(void **state)
{
	struct capture_builder *cb = *state;

	for (u64 i = 50; i <= 54; i++)
		SPAWN(1, i);
	WAKE(4, 1, 54, BY_TASK(30));
	OUT_OF(1, 5, .tick = 6);
	IN_OF(1, 6);
	WAKE(10, 1, 50, BY_TASK(30));
	WAKE(11, 1, 51, BY_TASK(30));
	BEGIN(12, 1, 51);
	cb_row(cb, FMT_GAP, &(struct fmt_gap){.ts = AT(20), .ts_end = AT(25), .cause = cb_string(cb, "ring_full"), .count = 3});
	WAKE(22, 1, 52, BY_TASK(30)); /* within it */
	BEGIN(23, 2, 52);
	FINISH(30, 1);
	BEGIN(31, 1, 50);
	WAKE(39, 1, 53, BY_TASK(30));
	OUT_OF(1, 40, .tick = 7);
	IN_OF(1, 60);
	BEGIN(61, 2, 53);
	PARK_OF(1, 62, EPOLL);
	cb_finish(cb);
	cb_expect(cb, WAKES, "54|task|30|-\n50|task|30|-\n51|task|30|1000\n52|task|30|-\n53|task|30|22000");
	cb_expect(cb, "SELECT task_id, dur FROM task_poll WHERE task_id = 51", "51|-");
	/* a block whose end was not seen before the gap; one behind it, for which nothing counts that waited before */
	cb_expect(cb, "SELECT (ts - 1000000000) / 1000000, victims, worst_delay / 1000000 FROM poll ORDER BY ts",
		  "5|-|-\n40|1|20");
}

/* ---- who paid ---- */

#define PAID "SELECT victims, worst_delay / 1000 FROM poll ORDER BY ts"

/* Three tasks are woken by the worker that then blocks: one is stolen while it does, one is polled behind, one later by another worker. */
static void block_and_three_tasks(void **state)
{
	struct capture_builder *cb = *state;

	for (u64 i = 50; i <= 57; i++)
		SPAWN(1, i, .thread = 4, BY_OUTSIDE);
	for (u64 i = 50; i <= 57; i++)
		BEGIN(2, 2, i);
	PARK_OF(1, 3, EPOLL);
	IN_OF(1, 4);
	WAKE(5, 1, 50, BY_DRIVER);
	WAKE(6, 1, 54, BY_DRIVER);
	BEGIN(7, 1, 54); /* polled before the block: paid nothing */
	BEGIN(8, 1, 30);
	WAKE(9, 1, 51, BY_TASK(30));
	WAKE(9.5, 1, 52, BY_TASK(30));
	OUT_OF(1, 10);
	WAKE(15, 2, 53, BY_TASK(31)); /* into the other worker's own queue */
	WAKE(16, 4, 56, BY_OUTSIDE);  /* into the injection queue, which the other worker serves, too */
	BEGIN(20, 2, 51);	      /* stolen */
	IN_OF(1, 60);
	FINISH(60.1, 1);
	WAKE(60.2, 1, 55, BY_DRIVER); /* behind the block */
	WAKE(60.3, 1, 57, BY_DRIVER); /* never polled again */
	BEGIN(60.5, 1, 50);
	BEGIN(62, 2, 52);
	BEGIN(63, 2, 53);
	BEGIN(64, 1, 55);
	PARK_OF(1, 70, EPOLL);
	cb_finish(cb);
	cb_expect(cb, PAID, "2|50000");
	cb_expect(
		cb,
		"SELECT v.delayed / 1000, t.task_id, w.id IS NOT NULL FROM block_victim AS v JOIN task AS t ON t.id = v.task_row LEFT JOIN "
		"task_wake AS w ON w.id = v.wake_id AND w.ts = v.ts ORDER BY 2",
		"50000|50|1\n50000|52|1");
	cb_expect(cb, "SELECT victims, worst_delay FROM blocking", "2|50000000");
}

/* A task that is spawned by the block's own task, before it blocks, waits behind it; one that never gets its poll does, too. */
static void spawned_behind(void **state)
{
	struct capture_builder *cb = *state;

	PARK_OF(1, 1, EPOLL);
	IN_OF(1, 2);
	SPAWN(9, 50);
	SPAWN(9.2, 51, .blocking = 1, .handle = 0);
	SPAWN(9.4, 52, .thread = 4, BY_OUTSIDE);
	SPAWN(9.6, 53);
	OUT_OF(1, 10);
	IN_OF(1, 20);
	END(20.5, 53, .how = FMT_TASK_CANCELLED);
	BEGIN(21, 1, 50);
	PARK_OF(1, 30, EPOLL);
	cb_finish(cb);
	cb_expect(cb, PAID, "2|10000");
	cb_expect(cb, "SELECT wake_id, (ts - 1000000000) / 1000 FROM block_victim ORDER BY ts", "-|9000\n-|9600");
}

/* A current_thread runtime has nobody else: whoever wakes its tasks, they wait. So do those of a LocalSet that runs on its thread. */
static void one_thread_runtime(void **state)
{
	struct capture_builder *cb = *state;

	SPAWN(1, 70, .thread = 3, .handle = H_CT, .by_task = 0, .budget = CB_BUDGET, .runtime = 0, .entered = 2);
	SPAWN(1, 71, .thread = 3, .handle = H_CT, .by_task = 0, .budget = CB_BUDGET, .runtime = 0, .entered = 2);
	SPAWN(1, 72, .thread = 3, .handle = H_SET, .by_task = 0, .budget = CB_BUDGET, .runtime = 0, .entered = 2);
	BEGIN(2, 3, 72);
	BEGIN(3, 3, 71);
	BEGIN(4, 3, 70);
	IDLE_CT(5);
	cb_row(cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = AT(6), .thread = 3});
	BEGIN(9, 3, 70);
	OUT_CT(10);
	WAKE(20, 4, 71, BY_OUTSIDE);
	WAKE(30, 4, 72, BY_OUTSIDE);
	cb_row(cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = AT(50), .thread = 3});
	BEGIN(51, 3, 71);
	BEGIN(52, 3, 72);
	IDLE_CT(60);
	cb_finish(cb);
	cb_expect(cb, "SELECT victims, worst_delay / 1000, driver_stalled / 1000 FROM poll", "2|30000|40000");
	cb_expect(cb, "SELECT task_id, runtime_id FROM task ORDER BY 1", "70|5\n71|5\n72|-");
}

/* A LocalSet outside any runtime's threads: its blocks hold only itself, and nobody else's tasks wait for it. */
static void local_set(void **state)
{
	struct capture_builder *cb = *state;

	ALIVE(0, 50);
	SPAWN(1, 80, .thread = 4, .handle = H_SET, BY_ROOT);
	SPAWN(1, 81, .thread = 4, .handle = H_SET, BY_ROOT);
	BEGIN(2, 4, 81);
	BEGIN(9, 4, 80);
	OUT(10, .thread = 4, .context = 0, .runtime = 0, .core = 0, .park = 0, .task = 80);
	WAKE(20, 1, 81, BY_TASK(30));
	WAKE(21, 1, 50, BY_TASK(30));
	cb_row(cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = AT(30), .thread = 4});
	BEGIN(31, 4, 81);
	OUT(32, .thread = 4, .context = 0, .runtime = 2, .core = 0, .park = 0, .task = 0, .budget = 0);
	cb_finish(cb);
	cb_expect(cb, "SELECT holds, runtime_id, victims, worst_delay / 1000, driver_stalled FROM poll", "localset|-|1|10000|-");
	cb_expect(cb, "SELECT task_id, runtime_id, polls FROM task WHERE task_id >= 80 ORDER BY 1", "80|-|1\n81|-|0");
}

/* Spawns before the recording were not seen: a thread is known to poll a LocalSet by a block of it, its tasks by their polls from then on. */
static void local_set_before(void **state)
{
	struct capture_builder *cb = *state;

	for (u32 at = 1; at <= 3; at += 2) {
		OUT(at, .thread = 4, .context = 0, .runtime = 0, .core = 0, .park = 0, .task = at == 1 ? 80 : 0, .budget = 0);
		cb_row(cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = AT(at + 1), .thread = 4});
	}
	BEGIN(6, 4, 81);
	BEGIN(9, 4, 80);
	OUT(10, .thread = 4, .context = 0, .runtime = 0, .core = 0, .park = 0, .task = 80);
	WAKE(20, 1, 81, BY_TASK(30));
	cb_row(cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = AT(30), .thread = 4});
	BEGIN(31, 4, 81);
	OUT(32, .thread = 4, .context = 0, .runtime = 2, .core = 0, .park = 0, .task = 0, .budget = 0);
	cb_finish(cb);
	cb_expect(cb, "SELECT holds, victims, worst_delay / 1000 FROM poll ORDER BY ts DESC LIMIT 1", "localset|1|10000");
}

/*
 * Of a LocalSet's tasks that were there before the recording some were not polled yet: they may be what waits, so nothing is said. One that waited already when
 * the first block was over is known too late; one that is polled behind a later block counts for that.
 */
static void local_set_unheard_of(void **state)
{
	struct capture_builder *cb = *state;

	BEGIN(1, 4, 80);
	OUT(2, .thread = 4, .context = 0, .runtime = 0, .core = 0, .park = 0, .task = 80);
	WAKE(5, 1, 81, BY_TASK(30)); /* nobody has heard of it */
	cb_row(cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = AT(12), .thread = 4});
	BEGIN(13, 4, 81);
	BEGIN(15, 4, 80);
	OUT(16, .thread = 4, .context = 0, .runtime = 0, .core = 0, .park = 0, .task = 80);
	WAKE(20, 1, 82, BY_TASK(30)); /* neither of this one, which is polled at once behind this block */
	cb_row(cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = AT(30), .thread = 4});
	BEGIN(31, 4, 82);
	BEGIN(33, 4, 80);
	OUT(34, .thread = 4, .context = 0, .runtime = 0, .core = 0, .park = 0, .task = 80);
	WAKE(40, 1, 83, BY_TASK(30)); /* and this one is not polled */
	cb_row(cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = AT(50), .thread = 4});
	OUT(51, .thread = 4, .context = 0, .runtime = 2, .core = 0, .park = 0, .task = 0, .budget = 0);
	cb_finish(cb);
	cb_expect(cb, "SELECT holds, victims, worst_delay / 1000 FROM poll WHERE dur > 5000000 ORDER BY ts",
		  "localset|-|-\nlocalset|1|10000\nlocalset|-|-");
}

/* Without probes at every wake and poll nothing is said of victims. */
static void unknown_victims(void **state)
{
	struct capture_builder *cb = *state;

	probe(cb, 5, "schedule", FMT_PROBE_ATTACHED);
	probe(cb, 25, "poll", FMT_PROBE_ATTACHED);
	probe(cb, 60, "poll", FMT_PROBE_TAKEN);
	for (u32 i = 0; i < 4; i++) { /* before, over the begin, within, over the end */
		static const double from[] = {6, 20, 30, 55};

		OUT_OF(1, from[i], .tick = 20 + i);
		IN_OF(1, from[i] + 9);
	}
	PARK_OF(1, 70, EPOLL);
	cb_finish(cb);
	cb_expect(cb, "SELECT (ts - 1000000000) / 1000000, victims FROM poll ORDER BY ts", "6|-\n20|-\n30|0\n55|-");
}

/* Probes of another file say nothing of this copy of Tokio; where one of two was not possible, nothing is known. */
static void not_possible(void **state)
{
	struct capture_builder *cb = *state;

	probe(cb, 0.5, "poll", FMT_PROBE_IMPOSSIBLE);
	OUT_OF(1, 10);
	IN_OF(1, 20);
	PARK_OF(1, 30, EPOLL);
	cb_finish(cb);
	cb_expect(cb, PAID, "-|-");
}

static void more_victims_than_rows(void **state)
{
	struct capture_builder *cb = *state;

	PARK_OF(1, 1, EPOLL);
	IN_OF(1, 2);
	for (u32 i = 0; i < 3000; i++)
		SPAWN(5 + i * 0.001, 1000 + i);
	OUT_OF(1, 10);
	IN_OF(1, 20);
	for (u32 i = 0; i < 3000; i++)
		BEGIN(21 + i * 0.001, 1, 1000 + i);
	PARK_OF(1, 30, EPOLL);
	OUT_OF(1, 40, .tick = 50);
	IN_OF(1, 50);
	PARK_OF(1, 60, EPOLL);
	cb_finish(cb);
	cb_expect(cb, PAID, "3000|10000\n0|-");
	cb_expect(cb, "SELECT count(*), count(DISTINCT task_row) FROM block_victim", "1000|1000");
}

/* ---- queues ---- */

static void queues_before_and_behind(void **state)
{
	struct capture_builder *cb = *state;

	OUT_OF(1, 10, .lifo = 2, .queued = 6, .inject = 8);
	IN_OF(1, 20);
	PARK_OF(1, 25, EPOLL, .lifo = 1, .queued = 1, .inject = 3);
	IN_OF(1, 30);
	OUT_OF(1, 31, .tick = 7, .inject = (1U << 24) + 2);
	IN_OF(1, 40);
	OUT_OF(1, 41, .tick = 8, .core = 0xdd, .queued = 3); /* another Core: no queue of that poll */
	IN_OF(1, 50);
	cb_finish(cb);
	cb_expect(
		cb,
		"SELECT lifo, queued, inject, lifo_end, queued_end, inject_end, (ts_queues_end - 1000000000) / 1000000 FROM poll ORDER BY ts",
		"1|5|7|0|0|2|25\n-|-|-|-|-|-|-\n-|2|-|-|-|-|-");
	cb_expect(cb, "SELECT inject, lifo_end, queued_end, inject_end FROM blocking ORDER BY ts LIMIT 1", "7|0|0|2");
}

/* What a sample reads counts, too: a poll on the cpu never goes out. */
static void queues_of_samples(void **state)
{
	struct capture_builder *cb = *state;

	for (u32 i = 0; i < 5; i++)
		SAMPLE(10 + 2 * i, .context = MT_A, .core = 0xc1, .queued = 10 + i, .lifo = 1);
	SAMPLE(20, .context = MT_A, .core = 0xc1, .tick = 6, .queued = 30);
	cb_finish(cb);
	cb_expect(cb, "SELECT lifo, queued, queued_end, (ts_queues_end - 1000000000) / 1000000 FROM poll ORDER BY ts LIMIT 1",
		  "0|9|29|20");
}

/* ---- the driver ---- */

#define STALLED "SELECT (ts - 1000000000) / 1000000, driver_stalled / 1000 FROM poll ORDER BY ts"

/* Worker 1 waits in the driver, then on the condition variable, then in a block of its own, while worker 0 blocks. */
static void nobody_in_the_driver(void **state)
{
	struct capture_builder *cb = *state;

	PARK_OF(2, 1, EPOLL);
	OUT_OF(1, 10);
	IN_OF(1, 30); /* served all along */
	IN_OF(2, 40);
	PARK_OF(2, 41, FUTEX);
	PARK_OF(1, 45, EPOLL);
	IN_OF(1, 48);
	OUT_OF(1, 50, .tick = 6); /* nobody, until worker 1 runs and blocks */
	IN_OF(2, 60);
	OUT_OF(2, 65, .tick = 6);
	IN_OF(1, 90);
	PARK_OF(1, 91, EPOLL);
	IN_OF(2, 95);
	PARK_OF(2, 96, FUTEX);
	cb_finish(cb);
	cb_expect(cb, STALLED, "10|0\n50|35000\n65|25000");
	cb_expect(cb, "SELECT driver_stalled FROM blocking WHERE dur = 40000000", "35000000");
	/* both polls lie in one stall */
	cb_expect(cb, "SELECT runtime_id, (ts - 1000000000) / 1000, dur / 1000 FROM driver_stall",
		  "4|50000|10000\n4|65000|25000");
}

/* A poll on the cpu keeps its worker from the driver as a wait does; a third worker that nobody saw may serve it. */
static void stalled_on_the_cpu(void **state)
{
	struct capture_builder *cb = *state;

	PARK_OF(1, 1, EPOLL);
	IN_OF(1, 2);
	PARK_OF(2, 3, FUTEX);
	for (u32 i = 0; i <= 10; i++)
		SAMPLE(10 + 2 * i, .context = MT_A, .core = 0xc1);
	PARK_OF(1, 31, EPOLL);
	cb_end(cb, AT(50));
	cb_finish(cb);
	cb_expect(cb, STALLED, "10|20000");
}

static void unseen_worker(void **state)
{
	struct capture_builder *cb = *state;

	context(cb, 14, 4, FMT_FLAVOR_MULTI_THREAD, H_MT, 3);
	PARK_OF(2, 1, EPOLL);
	IN_OF(2, 2);
	PARK_OF(2, 3, FUTEX);
	OUT_OF(1, 10);
	IN_OF(1, 30);
	cb_finish(cb);
	cb_expect(cb, STALLED, "10|0");
}

/* A runtime that was never seen in epoll_wait has no driver to stall. */
static void no_driver(void **state)
{
	struct capture_builder *cb = *state;

	PARK_OF(2, 1, FUTEX);
	OUT_OF(1, 10);
	IN_OF(1, 30);
	PARK_OF(1, 31, FUTEX);
	cb_finish(cb);
	cb_expect(cb, STALLED, "10|-");
}

/* ---- what is not known ---- */

static void verdict_of_detail(void **state)
{
	struct capture_builder *cb = *state;

	cb_total(cb, "probes.taken.poll", 3200000000);
	cb_total(cb, "probes.taken.schedule", 2100000000);
	cb_total(cb, "probes.impossible.poll_end", 2);
	cb_total(cb, "probes.taken.bind", 4000000000);
	cb_total(cb, "tasks.list_unknown", 1);
	OUT_OF(1, 10);
	IN_OF(1, 20);
	PARK_OF(1, 21, EPOLL);
	cb_finish(cb);
	cb_expect(
		cb, "SELECT verdict, verdict_why FROM capture",
		"partial|probes of polls and wakes (schedule, poll) were taken away, the first after 2.10 s, as they cost more than --max-overhead: later ones are missing\n"
		"probes of polls and wakes (poll_end) were not possible in 2 programs (ascope doctor says why): theirs are missing");
	cb_expect(
		cb, "SELECT value FROM meta WHERE key = 'ascope.notes'",
		"probes of spawns and ends (bind) were taken away, the first after 4.00 s, as they cost more than --max-overhead: less is known of later tasks\n"
		"which tasks were alive when the recording began is not known of 1 runtime");
	cb_expect(cb, "SELECT value FROM meta WHERE key = 'ascope.data_lost'", "0");
}

static void verdict_of_notes(void **state)
{
	struct capture_builder *cb = *state;

	cb_total(cb, "probes.impossible.spawn", 1);
	cb_total(cb, "probes.impossible.nonsense", 1);
	OUT_OF(1, 10);
	IN_OF(1, 20);
	PARK_OF(1, 21, EPOLL);
	cb_finish(cb);
	cb_expect(cb, "SELECT verdict, verdict_why FROM capture", "complete|");
	cb_expect(
		cb, "SELECT value FROM meta WHERE key = 'ascope.notes'",
		"probes of spawns and ends (spawn) were not possible in 1 program (ascope doctor says why): less is known of tasks");
}

/* ---- the index ---- */

static void index_forgets(void **state)
{
	struct task_index t = {0};

	(void)state;
	for (u64 round = 0; round < 3; round++) {
		for (u32 i = 1; i <= 3000; i++)
			assert_int_equal(task_index_put(&t, i % 3, i, i), 0);
		for (u32 i = 1; i <= 3000; i += 2)
			task_index_remove(&t, i % 3, i);
		task_index_remove(&t, 9, 9);
		assert_int_equal(t.n, 1500);
		for (u32 i = 1; i <= 3000; i++) {
			assert_int_equal(task_index_get(&t, i % 3, i), i % 2 ? 0 : i);
			assert_int_equal(task_index_get(&t, (i + 1) % 3, i), 0);
		}
		for (u32 i = 2; i <= 3000; i += 2)
			task_index_remove(&t, i % 3, i);
		assert_int_equal(t.n, 0);
	}
	assert_true(t.cap <= 8192);
	task_index_release(&t);
	assert_int_equal(task_index_get(&t, 1, 1), 0);
	task_index_remove(&t, 1, 1);
}

int main(void)
{
#define TEST(f)	 cmocka_unit_test_setup_teardown(f, setup, cb_teardown)
#define EXACT(f) cmocka_unit_test_setup_teardown(f, setup_exact, cb_teardown)
	const struct CMUnitTest tests[] = {
		TEST(lives),
		TEST(frames),
		TEST(places_by_names),
		TEST(equal_ids_of_two_copies),
		TEST(block_knows_its_task),
		TEST(many_tasks),
		TEST(wrong_references),
		EXACT(wakers),
		EXACT(missing_ends),
		EXACT(gaps),
		EXACT(block_and_three_tasks),
		EXACT(spawned_behind),
		EXACT(one_thread_runtime),
		EXACT(local_set),
		EXACT(local_set_before),
		EXACT(local_set_unheard_of),
		TEST(unknown_victims),
		EXACT(not_possible),
		EXACT(more_victims_than_rows),
		TEST(queues_before_and_behind),
		TEST(queues_of_samples),
		TEST(nobody_in_the_driver),
		TEST(stalled_on_the_cpu),
		TEST(unseen_worker),
		TEST(no_driver),
		TEST(verdict_of_detail),
		TEST(verdict_of_notes),
		cmocka_unit_test(index_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
