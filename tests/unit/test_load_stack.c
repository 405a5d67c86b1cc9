/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_load_stack.c: user stacks as the loader makes them: (interrupted address, callers) put together once a pair, how walks
 * ended, guesses, the two ways to look up an interrupted address, and names of perf maps for code without a file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "capture_builder.h"
#include "report/db.h"

#define AT(ms)	 (CB_START + (u64)(ms)*1000000)
#define OFF(off) (CB_CODE + (off)) /* address; 0x1000 + off in the module's file */

static void sample_in(struct capture_builder *cb, u64 ms, u64 mode, u64 pc, u64 ustack, u64 kstack)
{
	cb_row(cb, FMT_SAMPLE,
	       &(struct fmt_sample){.ts = AT(ms), .thread = 1, .mode = mode, .pc = pc, .ustack = ustack, .kstack = kstack});
}

static void sample(struct capture_builder *cb, u64 ms, u64 pc, u64 ustack)
{
	sample_in(cb, ms, 1, pc, ustack, 0);
}

static void wait_at(struct capture_builder *cb, u64 ms, u64 ustack, u64 nr)
{
	cb_row(cb, FMT_SWITCH_OUT,
	       &(struct fmt_switch_out){.ts = AT(ms), .thread = 1, .state = 1, .ustack = ustack, .syscall = nr});
	cb_row(cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = AT(ms + 1), .thread = 1});
}

#define FRAMES_SQL                                                                                                                     \
	"SELECT s.id, group_concat(sf.depth || ':' || printf('%x', f.file_off) || CASE f.is_return WHEN 1 THEN 'r' ELSE '' END, ' ') " \
	"FROM (SELECT DISTINCT stack_id AS id FROM sample WHERE stack_id IS NOT NULL) AS s "                                           \
	"JOIN (SELECT * FROM stack_frame ORDER BY stack_id, depth) AS sf ON sf.stack_id = s.id "                                       \
	"JOIN frame AS f ON f.id = sf.frame_id GROUP BY s.id ORDER BY s.id"

/* Two addresses and two stacks of callers in five samples: four stacks, whose frames are stored four times in all. */
static void pairs(void **state)
{
	struct capture_builder *cb = *state;
	u64 long_way[] = {OFF(0x20), OFF(0x30)}, short_way[] = {OFF(0x40)};
	u64 a = cb_stack(cb, FMT_STACK_USER, long_way, 2), b = cb_stack(cb, FMT_STACK_USER, short_way, 1);
	sqlite3 *db;

	sample(cb, 1, OFF(0x10), a);
	sample(cb, 2, OFF(0x12), a);
	sample(cb, 3, OFF(0x10), b);
	sample(cb, 4, OFF(0x10), a);
	sample(cb, 5, OFF(0x12), b);
	cb_finish(cb);
	db = cb_load(cb);
	cb_rows(db, FRAMES_SQL,
		"3|0:1010 1:1020r 2:1030r\n"
		"4|0:1012 1:1020r 2:1030r\n"
		"5|0:1010 1:1040r\n"
		"6|0:1012 1:1040r");
	cb_rows(db, "SELECT stack_id FROM sample ORDER BY ts", "3\n4\n5\n3\n6");
	cb_rows(db, "SELECT id, process_id, kind, status, depth, fp_from FROM stack",
		"3|1|user|whole|3|-\n4|1|user|whole|3|-\n5|1|user|whole|2|-\n6|1|user|whole|2|-");
	cb_rows(db, "SELECT count(*) FROM frame_list", "5"); /* 2 callers + 1 caller + 2 addresses */
	cb_rows(db, "SELECT count(*) FROM stack_part", "8");
	cb_rows(db, "SELECT * FROM stack_end", "whole|-|5|0|4");
	sqlite3_close(db);
}

/* A capture of an earlier recorder has no pc: its stack is all. */
static void without_pc(void **state)
{
	struct capture_builder *cb = *state;
	u64 addrs[] = {OFF(0x10), OFF(0x20)};
	u64 a = cb_stack(cb, FMT_STACK_USER, addrs, 2);
	sqlite3 *db;

	sample(cb, 1, 0, a);
	sample(cb, 2, 0, 0);
	sample(cb, 3, 0, 77); /* lost */
	cb_finish(cb);
	db = cb_load(cb);
	cb_rows(db, FRAMES_SQL, "1|0:1010 1:1020r");
	cb_rows(db, "SELECT stack_id FROM sample ORDER BY ts", "1\n-\n-");
	cb_rows(db, "SELECT * FROM stack_end", "whole|-|1|0|1");
	sqlite3_close(db);
}

/* Callers that were not taken, or were lost: one frame is known, and it is said that it is one. */
static void leaf_only(void **state)
{
	struct capture_builder *cb = *state;
	u64 kernel[] = {1};
	u64 k = cb_stack(cb, FMT_STACK_KERNEL, kernel, 1);
	sqlite3 *db;

	sample(cb, 1, OFF(0x10), 0);
	sample(cb, 2, OFF(0x10), 77);
	for (u64 ms = 3; ms <= 10; ms++)
		sample(cb, ms, OFF(0x10), k); /* no user stack */
	cb_finish(cb);
	db = cb_load(cb);
	cb_rows(db, "SELECT DISTINCT stack_id FROM sample", "2");
	cb_rows(db,
		"SELECT s.id, s.process_id, s.status, s.depth, f.module_id, f.file_off FROM stack AS s JOIN stack_frame AS sf ON sf.stack_id = s.id "
		"JOIN frame AS f ON f.id = sf.frame_id",
		"2|1|leaf_only|1|1|4112");
	cb_rows(db, "SELECT * FROM stack_end", "leaf_only|-|10|0|1");
	cb_rows(db, "SELECT verdict, verdict_why FROM capture",
		"partial|of 10 user stacks 10 are not whole (100.0 %): not walked 10"); /* fewer would be a note */
	sqlite3_close(db);
}

/* A walk that ended at once has no frame, but a status. */
static void empty_stacks(void **state)
{
	struct capture_builder *cb = *state;
	u64 none = cb_stack_ended(cb, NULL, 0, FMT_STACK_NO_TABLE, 0), fault = cb_stack_ended(cb, NULL, 0, FMT_STACK_FAULT, 0);
	sqlite3 *db;

	sample(cb, 1, OFF(0x10), none);
	wait_at(cb, 2, fault, 0);
	cb_finish(cb);
	db = cb_load(cb);
	cb_rows(db, "SELECT id, status, depth FROM stack ORDER BY id", "2|fault|0\n3|no_table|1");
	cb_rows(db, "SELECT stack_id, depth FROM stack_frame", "3|0");
	/* the interrupted address is where the walk ended: its module is the culprit */
	cb_rows(db, "SELECT * FROM stack_end ORDER BY status", "fault|-|1|0|1\nno_table|1|1|0|1");
	sqlite3_close(db);
}

/* Every status, how often, and the module of the last frame where that is the cause. */
static void ends(void **state)
{
	static const struct {
		u64 status;
		u64 times;
	} all[] = {{1, 90}, {2, 1}, {3, 2}, {4, 3}, {5, 4}, {6, 5}, {7, 6}, {8, 7}, {9, 50}, {0, 1}, {10, 1}};
	struct capture_builder *cb = *state;
	u64 addrs[] = {OFF(0x10), OFF(0x20)}, outside[] = {OFF(0x10), 0x7f0000000000}, ms = 1;
	sqlite3 *db;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		u64 id = cb_stack_ended(cb, all[i].status == 6 ? outside : addrs, 2, all[i].status, 0);

		for (u64 k = 0; k < all[i].times; k++, ms += 2)
			wait_at(cb, ms, id, SYS_read + 1);
	}
	cb_finish(cb);
	db = cb_load(cb);
	cb_rows(db, "SELECT * FROM stack_end ORDER BY status",
		"bad_rule|1|6|0|1\nbroken|1|7|0|1\nfault|1|3|0|1\nframe_pointers|-|4|0|1\nno_mapping|-|5|0|1\nno_table|1|2|0|1\n"
		"starting|-|50|0|1\ntruncated|-|3|0|3\nwhole|-|90|0|1");
	/* 26 of the 116 whose end is known: weighed by events, not by the 9 of 10 stacks */
	cb_rows(db, "SELECT verdict, verdict_why FROM capture",
		"partial|of 116 user stacks 26 are not whole (22.4 %): stack pointer led nowhere 7, unwind rule that cannot be followed 6, "
		"in no known file 5");
	sqlite3_close(db);
}

/* One stack of a thousand that is not whole is no reason to doubt, however many distinct ones there are. */
static void rare_ends(void **state)
{
	struct capture_builder *cb = *state;
	u64 addrs[] = {OFF(0x10), OFF(0x20)};
	u64 good = cb_stack(cb, FMT_STACK_USER, addrs, 2), bad = cb_stack_ended(cb, addrs, 2, FMT_STACK_NO_TABLE, 0);

	for (u64 i = 0; i < 1000; i++)
		wait_at(cb, 10 + 2 * i, i == 500 ? bad : good, 0);
	cb_expect(cb, "SELECT verdict, verdict_why FROM capture", "complete|");
}

/* fp_from counts from the first address of its list; in a stack of two lists that is one further out. */
static void guesses(void **state)
{
	struct capture_builder *cb = *state;
	u64 addrs[] = {OFF(0x10), OFF(0x20), OFF(0x30)};
	u64 a = cb_stack_ended(cb, addrs, 3, FMT_STACK_WHOLE, 2), first = cb_stack_ended(cb, addrs, 3, FMT_STACK_WHOLE, 1),
	    wild = cb_stack_ended(cb, addrs, 3, FMT_STACK_WHOLE, 99);
	sqlite3 *db;

	wait_at(cb, 1, a, 0);
	sample(cb, 5, OFF(0x40), a);
	sample(cb, 6, OFF(0x40), first);
	wait_at(cb, 7, wild, 0);
	cb_finish(cb);
	db = cb_load(cb);
	cb_rows(db,
		"SELECT stack_id, group_concat(guessed, '') FROM (SELECT * FROM stack_text ORDER BY stack_id, depth) GROUP BY stack_id",
		"1|011\n3|000\n4|0011\n5|0111");
	cb_rows(db, "SELECT id, fp_from FROM stack ORDER BY id", "1|1\n3|-\n4|2\n5|1");
	cb_rows(db, "SELECT * FROM stack_end", "whole|-|4|3|4");
	sqlite3_close(db);
}

/*
 * In user mode the address is the instruction that was interrupted; in a system call it is behind it, which the kernel stack
 * tells; a page fault is at its instruction, and nothing is known without a kernel stack.
 */
static void interrupted_in_the_kernel(void **state)
{
	struct capture_builder *cb = *state;
	u64 call[] = {1, 2}, fault[] = {1, 3};
	u64 in_call = cb_stack(cb, FMT_STACK_KERNEL, call, 2), in_fault = cb_stack(cb, FMT_STACK_KERNEL, fault, 2);
	sqlite3 *db;

	cb_row(cb, FMT_KSYM, &(struct fmt_ksym){.addr = 1, .name = cb_string(cb, "do_something")});
	cb_row(cb, FMT_KSYM, &(struct fmt_ksym){.addr = 2, .name = cb_string(cb, "entry_SYSCALL_64_after_hwframe")});
	cb_row(cb, FMT_KSYM, &(struct fmt_ksym){.addr = 3, .name = cb_string(cb, "asm_exc_page_fault")});
	sample_in(cb, 1, 1, OFF(0x10), 0, 0);
	sample_in(cb, 2, 2, OFF(0x10), 0, in_call);
	sample_in(cb, 3, 2, OFF(0x10), 0, in_fault);
	sample_in(cb, 4, 2, OFF(0x10), 0, 0);
	sample_in(cb, 5, 1, OFF(0x10), 0, in_call); /* cannot be, but mode tells */
	cb_finish(cb);
	db = cb_load(cb);
	cb_rows(db,
		"SELECT f.is_return FROM sample AS s JOIN stack_frame AS sf USING (stack_id) JOIN frame AS f ON f.id = sf.frame_id ORDER BY s.ts",
		"0\n1\n0\n0\n0");
	sqlite3_close(db);
}

#define NAMES_SQL                                                                                                                \
	"SELECT t.stack_id, t.depth, coalesce(t.function, '?'), t.file, t.line, t.kind FROM stack_text AS t ORDER BY t.stack_id, t.depth"

static void jit_names(void **state)
{
	static const char map[] = "7f0000000000 100 JS:~old /srv/a.js:1:1\n"
				  "7f0000000000 40 JS:*get total /srv/js dir/a.js:10:3\n"
				  "garbage\n"
				  "7f0000000200 10 \033[31mevil\"\x80;\x01name\n"
				  "10000 10 covers a file, which knows better\n";
	struct capture_builder *cb = *state;
	u64 addrs[] = {0x7f0000000000, 0x7f0000000040, 0x7f0000000050, 0x7f0000000208, 0x7f0000000300, OFF(2)};
	u64 a = cb_stack(cb, FMT_STACK_USER, addrs, ARRAY_SIZE(addrs));
	sqlite3 *db;

	cb_perfmap(cb, 1, map, 7);
	wait_at(cb, 1, a, 0);
	cb_finish(cb);
	db = cb_load(cb);
	/* 40 is a return address: the call is in front of it, in the other function */
	cb_rows(db, NAMES_SQL,
		"1|0|JS:*get total|/srv/js dir/a.js|10|jit\n"
		"1|1|JS:*get total|/srv/js dir/a.js|10|jit\n"
		"1|2|JS:~old|/srv/a.js|1|jit\n"
		"1|3|?[31mevil\"?;?name|-|-|jit\n"
		"1|4|?|-|-|-\n"
		"1|5|?|-|-|-");
	cb_rows(db, "SELECT key, value FROM meta WHERE key LIKE 'ascope.perfmap%' ORDER BY key",
		"ascope.perfmap.malformed|1\nascope.perfmap.names|4");
	cb_rows(db, "SELECT function, file, line, kind FROM stack_place", "JS:*get total|/srv/js dir/a.js|10|jit");
	sqlite3_close(db);
}

/* The same address is other code in another process; a mapping without a file, or with one that is gone, is JIT code. */
static void jit_by_process(void **state)
{
	struct capture_builder *cb = *state;
	u64 addrs[] = {0x50000010, 0x60000010, 0x70000010};
	u64 a = cb_stack(cb, FMT_STACK_USER, addrs, 3), b;
	sqlite3 *db;

	cb_row(cb, FMT_PROCESS, &(struct fmt_process){.idx = 2, .pid = 2000});
	cb_row(cb, FMT_THREAD, &(struct fmt_thread){.idx = 2, .process = 2, .tid = 2001});
	b = cb->next_stack++;
	assert_int_equal(
		fmt_writer_row(cb->w, FMT_STACK, &(struct fmt_stack){.idx = b, .process = 2, .kind = 1, .status = 1}, addrs, 3),
		0);
	cb_row(cb, FMT_MODULE, &(struct fmt_module){.idx = 2, .path = cb_string(cb, "/memfd:doublemapper (deleted)")});
	cb_row(cb, FMT_MAPPING, &(struct fmt_mapping){.process = 1, .module = 2, .start = 0x60000000, .end = 0x60001000});
	cb_row(cb, FMT_MAPPING, &(struct fmt_mapping){.process = 1, .module = 99, .start = 0x70000000, .end = 0x70001000});
	cb_perfmap(cb, 2, "50000000 100 two\n", 4096);
	cb_perfmap(cb, 1, "50000000 100 one\n60000000 100 doubled\n70000000 100 lost\n", 4096);
	sample(cb, 1, 0, a);
	cb_row(cb, FMT_SAMPLE, &(struct fmt_sample){.ts = AT(2), .thread = 2, .mode = 1, .ustack = b});
	sample(cb, 3, 0x50000010, 0);
	cb_row(cb, FMT_SAMPLE, &(struct fmt_sample){.ts = AT(4), .thread = 2, .mode = 1, .pc = 0x50000010});
	cb_finish(cb);
	db = cb_load(cb);
	cb_rows(db,
		"SELECT stack_id, group_concat(coalesce(function, '-'), ' ') FROM (SELECT * FROM stack_text ORDER BY stack_id, depth) GROUP BY stack_id",
		"1|one doubled lost\n2|two - -\n3|one\n4|two");
	sqlite3_close(db);
}

/* A lost piece costs the lines that it cut, and no half of them becomes another name or address. */
static void jit_pieces(void **state)
{
	static const char *const pieces[] = {"50000000 10 first\n500", "00010 10 second\n50000020 10 thi",
					     "rd\n50000030 10 fourth\n5000", "0040 10 fifth\n50000050 10 sixth"};
	static const u64 kept[] = {0, 1, 3, 1, 0}; /* piece 2 is lost; checkpoints repeat some */
	struct capture_builder *cb = *state;
	/* the last one is where half of the fifth line would be */
	u64 addrs[] = {0x50000001, 0x50000011, 0x50000021, 0x50000031, 0x50000041, 0x50000051, 0x41};
	u64 a = cb_stack(cb, FMT_STACK_USER, addrs, ARRAY_SIZE(addrs));

	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		struct fmt_perfmap row = {.process = 1, .chunk = kept[i]};

		assert_int_equal(fmt_writer_row(cb->w, FMT_PERFMAP, &row, pieces[kept[i]], strlen(pieces[kept[i]])), 0);
		cb_flush(cb);
	}
	/* above the limit: as if it were not there */
	assert_int_equal(fmt_writer_row(cb->w, FMT_PERFMAP, &(struct fmt_perfmap){.process = 1, .chunk = FMT_MAX_PERFMAP},
					"50000030 10 x\n", 14),
			 0);
	sample(cb, 1, 0, a);
	cb_expect(cb, "SELECT group_concat(coalesce(function, '-'), ' ') FROM (SELECT * FROM stack_text ORDER BY depth)",
		  "first second - - - sixth -");
}

/* The place of a stack of two lists: the best frame of both, the inner one among equals. */
static void places(void **state)
{
	struct capture_builder *cb = *state;
	u64 callers[] = {OFF(0x20), OFF(0x30)};
	u64 a = cb_stack(cb, FMT_STACK_USER, callers, 2);
	static const char *const kinds[][3] = {
		{"user", "user", "user"},  {"std", "library", "user"}, {"library", "std", "library"},
		{"runtime", "std", "std"}, {"jit", "user", "std"},     {"std", "library", "jit"},
	};
	static const char *const want[] = {"f0", "f2", "f0", "f1", "f1", "f2"};
	sqlite3 *db;

	sample(cb, 1, OFF(0x10), a);
	cb_finish(cb);
	db = cb_load(cb);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		assert_int_equal(db_exec(db, "DELETE FROM symbol"), 0);
		for (int k = 0; k < 3; k++) {
			char sql[256];

			(void)snprintf(
				sql, sizeof(sql),
				"INSERT INTO symbol SELECT frame_id, 0, 'f%d', NULL, NULL, 0, '%s' FROM stack_frame WHERE depth = %d",
				k, kinds[i][k], k);
			assert_int_equal(db_exec(db, sql), 0);
		}
		cb_refine(db);
		assert_string_equal(cb_text(db, "SELECT function FROM stack_place"), want[i]);
	}
	sqlite3_close(db);
}

/* Whoever entered the runtime is not to blame for what a task does, be his the only code of the user's in the stack. */
static void places_within_the_task(void **state)
{
	static const char poll[] = "tokio::runtime::task::raw::poll";
	static const struct {
		const char *function, *kind;
	} stacks[][4] = {
		{{"read", "native"}, {"hyper::serve", "library"}, {poll, "runtime"}, {"app::main", "user"}},
		{{"read", "native"}, {"app::handle", "user"}, {poll, "runtime"}, {"app::main", "user"}},
		{{"read", "native"}, {"std::fs::read", "std"}, {poll, "runtime"}, {"app::main", "user"}},
		{{poll, "runtime"},
		 {"tokio::run", "runtime"},
		 {"tokio::block_on", "runtime"},
		 {"app::main", "user"}}, /* the interrupted one itself */
		{{"epoll_wait", "native"},
		 {"tokio::park", "runtime"},
		 {"tokio::block_on", "runtime"},
		 {"app::main", "user"}}, /* no task */
	};
	static const char *const want[] = {"hyper::serve", "app::handle", "read", "tokio::runtime::task::raw::poll", "app::main"};
	struct capture_builder *cb = *state;
	u64 callers[] = {OFF(0x20), OFF(0x30), OFF(0x40)}, all[] = {OFF(0x10), OFF(0x20), OFF(0x30), OFF(0x40)};
	u64 a = cb_stack(cb, FMT_STACK_USER, callers, 3), b = cb_stack(cb, FMT_STACK_USER, all, 4);
	sqlite3 *db;

	sample(cb, 1, OFF(0x10), a); /* of two lists */
	wait_at(cb, 2, b, 0);	     /* of one */
	cb_finish(cb);
	db = cb_load(cb);
	for (size_t i = 0; i < ARRAY_SIZE(stacks); i++) {
		assert_int_equal(db_exec(db, "DELETE FROM symbol"), 0);
		for (int k = 0; k < 4; k++) {
			char sql[256];

			(void)snprintf(
				sql, sizeof(sql),
				"INSERT INTO symbol SELECT DISTINCT frame_id, 0, '%s', NULL, NULL, 0, '%s' FROM stack_frame WHERE depth = %d",
				stacks[i][k].function, stacks[i][k].kind, k);
			assert_int_equal(db_exec(db, sql), 0);
		}
		cb_refine(db);
		assert_int_equal(cb_int(db, "SELECT count(*) FROM stack_place"), 2);
		assert_string_equal(cb_text(db, "SELECT DISTINCT function FROM stack_place"), want[i]);
	}
	sqlite3_close(db);
}

/* More pairs than the table begins with; every one keeps its id. */
static void many_pairs(void **state)
{
	struct capture_builder *cb = *state;
	u64 callers[] = {OFF(0x20)};
	u64 a = cb_stack(cb, FMT_STACK_USER, callers, 1);
	sqlite3 *db;

	for (u64 round = 0; round < 2; round++)
		for (u64 i = 0; i < 5000; i++)
			sample(cb, 1 + round * 5000 + i, OFF(0x100 + i), i % 3 ? a : 0);
	cb_finish(cb);
	db = cb_load(cb);
	cb_rows(db, "SELECT count(DISTINCT stack_id), min(stack_id), max(stack_id) FROM sample", "5000|2|5001");
	cb_rows(db, "SELECT count(*) FROM sample AS x JOIN sample AS y ON y.id = x.id + 5000 WHERE x.stack_id <> y.stack_id",
		"0");
	cb_rows(db,
		"SELECT count(*) FROM sample AS s JOIN stack_frame AS sf ON sf.stack_id = s.stack_id AND sf.depth = 0 "
		"JOIN frame AS f ON f.id = sf.frame_id WHERE f.file_off = 4096 + 256 + (s.id - 1) % 5000",
		"10000");
	sqlite3_close(db);
}

/* What tells two pairs apart is each of their parts: one address under many callers, and in many processes. */
static void pairs_of_one_address(void **state)
{
	enum { MANY = 3000 };
	struct capture_builder *cb = *state;

	for (u64 i = 0; i < MANY; i++) {
		u64 caller = OFF(0x100 + i), process = 2 + i;
		u64 a = cb_stack(cb, FMT_STACK_USER, &caller, 1);

		sample(cb, 1, OFF(0x10), a);
		cb_row(cb, FMT_PROCESS, &(struct fmt_process){.idx = process, .pid = process});
		cb_row(cb, FMT_THREAD, &(struct fmt_thread){.idx = process, .process = process, .tid = process});
		cb_row(cb, FMT_SAMPLE, &(struct fmt_sample){.ts = AT(2), .thread = process, .mode = 1, .pc = OFF(0x10)});
	}
	cb_expect(cb, "SELECT count(*), count(DISTINCT stack_id) FROM sample", "6000|6000");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, cb_setup, cb_teardown)
	const struct CMUnitTest tests[] = {
		TEST(pairs),
		TEST(without_pc),
		TEST(leaf_only),
		TEST(empty_stacks),
		TEST(ends),
		TEST(rare_ends),
		TEST(guesses),
		TEST(interrupted_in_the_kernel),
		TEST(jit_names),
		TEST(jit_by_process),
		TEST(jit_pieces),
		TEST(places),
		TEST(many_pairs),
		TEST(pairs_of_one_address),
		TEST(places_within_the_task),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
