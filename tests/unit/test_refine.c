/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_refine.c: what names add to a database: details of waits and polls, classes that only names tell, polls classified again
 * once, libraries and advice, another table of libraries; and that none of it changes when it is done again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <stdio.h>
#include <string.h>

#include "capture_builder.h"
#include "report/db.h"
#include "report/refine.h"
#include "report_fixture.h"

/* Frames 1..: one symbol each, but frame 3, where std's mutex and serde_json are inlined into the user's function. */
static const char names_sql[] =
	"INSERT INTO process (id, pid, ns_pid, ppid, name, exe, ts_start, ts_end) VALUES (1, 1, NULL, 0, 'orders', '/srv/orders', 0, NULL);"
	"INSERT INTO thread (id, process_id, tid, ns_tid, name, ts_start, ts_end) VALUES (1, 1, 1, NULL, 'w', 0, NULL);"
	"INSERT INTO module VALUES (1, '/srv/orders', NULL, NULL, NULL, NULL, NULL), (2, '[kernel]', NULL, NULL, NULL, NULL, NULL);"
	"INSERT INTO frame SELECT value, iif(value >= 50, 2, 1), value * 16, 1 FROM generate;"
	"INSERT INTO symbol VALUES "
	"(1, 0, 'syscall', NULL, NULL, 0, 'native'),"
	"(2, 0, '<std::sys::sync::mutex::futex::Mutex>::lock_contended', NULL, NULL, 0, 'std'),"
	"(3, 0, 'lock', '/rustc/0123456789/library/std/src/sync/rwlock.rs', 7, 1, 'std'),"
	"(3, 1, 'serde_json::de::from_reader', '/r/.cargo/registry/src/i-1/serde_json-1.0.1/src/de.rs', 8, 1, 'library'),"
	"(3, 2, 'orders::load', 'src/load.rs', 9, 0, 'user'),"
	"(4, 0, 'orders::get', 'src/get.rs', 3, 0, 'user'),"
	"(5, 0, 'rusqlite::Statement::query', '/r/.cargo/registry/src/i-1/rusqlite-0.31.0/src/statement.rs', 8, 0, 'library'),"
	"(6, 0, 'tokio::runtime::task::raw::poll', NULL, NULL, 0, 'runtime'),"
	"(7, 0, 'std::fs::read', '/rustc/0123456789/library/std/src/fs.rs', 5, 0, 'std'),"
	"(8, 0, 'getaddrinfo', NULL, NULL, 0, 'native'),"
	"(9, 0, 'orders_core::wait', NULL, NULL, 0, 'user'),"
	"(50, 0, 'schedule', NULL, NULL, 0, 'kernel'), (51, 0, 'asm_exc_page_fault', NULL, NULL, 0, 'kernel'),"
	"(52, 0, 'eventfd_read', NULL, NULL, 0, 'kernel');"
	/* lists: 1 mutex, 2 inlined, 3 rusqlite, 4 getaddrinfo, 5 user's own wait, 6 no user, 10.. kernel */
	"INSERT INTO frame_list VALUES (1, 0, 1), (1, 1, 2), (1, 2, 4), (1, 3, 6), (2, 0, 1), (2, 1, 3), (2, 2, 6),"
	"(3, 0, 1), (3, 1, 2), (3, 2, 7), (3, 3, 5), (3, 4, 4), (4, 0, 1), (4, 1, 8), (4, 2, 4), (5, 0, 1), (5, 1, 4), (5, 2, 5),"
	"(6, 0, 7), (6, 1, 5), (6, 2, 6), (6, 3, 2), (7, 0, 9), (8, 0, 5), (9, 0, 7), (9, 1, 4),"
	"(10, 0, 50), (11, 0, 50), (11, 1, 51), (12, 0, 52);"
	"INSERT INTO stack (id, process_id, kind, status, depth, fp_from) SELECT value, iif(value >= 10 AND value < 20, NULL, 1), iif(value >= 10 AND value < 20, 'kernel', 'user'), "
	"'whole', 1, NULL FROM generate WHERE value < 30;"
	"INSERT INTO stack_part SELECT value, 0, value FROM generate WHERE value < 13;"
	/* a sample: interrupted in rusqlite, called by std::fs::read, called by the user */
	"INSERT INTO stack_part VALUES (20, 0, 8), (20, 1, 9);";

static sqlite3 *open_names(void **state)
{
	sqlite3 *db = fixture_open_empty();

	(void)state;
	fixture_exec(
		db, "CREATE TEMP TABLE generate (value INTEGER); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
		    "WHERE i < 60) INSERT INTO generate SELECT i FROM n;");
	fixture_exec(db, names_sql);
	return db;
}

/* A poll, and its waits as "(class, rule, syscall, detail, ms, stack, kstack), ...". */
static void add_poll(sqlite3 *db, u64 id, const char *cls, u64 on_cpu_ms, u64 stack, const char *waits)
{
	char sql[2048];

	(void)snprintf(
		sql, sizeof(sql),
		"INSERT INTO poll (id, ts, dur, dur_min, dur_max, off_cpu, on_cpu, runnable, waits, samples, class, rule, holds, "
		"thread_id, joined_by, classified, state, stack_id) VALUES (%llu, 0, 100000000, 0, 0, 0, %llu, 0, 1, 0, '%s', "
		"'?', 'runtime', 1, 'tick', 1, 'complete', %llu)",
		(unsigned long long)id, (unsigned long long)on_cpu_ms * 1000000, cls, (unsigned long long)stack);
	fixture_exec(db, sql);
	if (!waits)
		return;
	(void)snprintf(
		sql, sizeof(sql),
		"INSERT INTO offcpu (thread_id, ts, dur, state, role, poll_id, class, rule, syscall, detail, stack_id, kstack_id) "
		"SELECT 1, 1000000000000, column5 * 1000000, 'S', 'in_poll', %llu, column1, column2, column3, column4, column6, "
		"column7 FROM (VALUES %s)",
		(unsigned long long)id, waits);
	fixture_exec(db, sql);
}

static void refine_twice(sqlite3 *db, const char *sql, const char *rows)
{
	cb_refine(db);
	cb_rows(db, sql, rows);
	cb_refine(db);
	cb_rows(db, sql, rows);
}

static void test_details(void **state)
{
	sqlite3 *db = open_names(state);

	add_poll(db, 1, "lock", 0, 1, "('lock', 'futex', 'futex', NULL, 30, 1, 10)");
	add_poll(db, 2, "lock", 0, 2, "('lock', 'futex', 'futex', NULL, 30, 2, 10)");
	add_poll(db, 3, "lock", 0, 3, "('lock', 'futex', 'futex', NULL, 30, 3, NULL)");
	add_poll(db, 4, "lock", 0, 5, "('lock', 'futex', 'futex', NULL, 30, 5, 10)");
	add_poll(db, 5, "other", 0, 5, "('other', 'other', 'read', NULL, 30, 5, 12)");
	fixture_exec(db, "UPDATE poll SET rule = 'other', kstack_id = 12 WHERE id = 5");
	refine_twice(db, "SELECT id, class, rule, detail, library FROM poll",
		     "1|lock|?|mutex|std::sync\n"
		     "2|lock|?|rwlock|serde_json\n"
		     "3|lock|?|mutex|rusqlite\n"
		     "4|lock|?|-|-\n"
		     "5|other|anon-inode|eventfd|-");
	cb_rows(db, "SELECT poll_id, class, rule, detail FROM offcpu",
		"1|lock|futex|mutex\n2|lock|futex|rwlock\n3|lock|futex|mutex\n"
		"4|lock|futex|-\n5|other|anon-inode|eventfd");
	(void)fixture_close(db);
}

/* One poll of many classes is classified once, by what its waits are now. */
static void test_classes(void **state)
{
	sqlite3 *db = open_names(state);

	/* 50 disk, 40 of them faults: fault */
	add_poll(db, 1, "disk", 0, 7,
		 "('disk', 'iowait', 'read', 'read', 10, 7, 10), ('disk', 'iowait', 'read', 'read', 40, 1, 11)");
	/* a lookup waits for a lock and a socket, together more than the file */
	add_poll(db, 2, "disk", 0, 7,
		 "('disk', 'file', 'read', 'read', 30, 7, 10), ('lock', 'futex', 'futex', NULL, 20, 4, 10), "
		 "('network', 'socket', 'poll', 'poll', 15, 4, 10)");
	/* the cpu is the largest part, once the lock is not one class with the fault */
	add_poll(db, 3, "lock", 30, 1,
		 "('lock', 'futex', 'futex', NULL, 20, 1, 10), ('lock', 'futex', 'futex', NULL, 20, 1, 11)");
	/* nothing changes but the detail */
	add_poll(db, 4, "lock", 0, 1, "('lock', 'futex', 'futex', NULL, 20, 1, 10), ('disk', 'file', 'read', 'read', 1, 7, 10)");
	refine_twice(db, "SELECT id, class, rule, syscall, detail, stack_id, kstack_id FROM poll WHERE id <> 4",
		     "1|fault|fault-stack|read|-|1|11\n2|dns|dns|futex|-|4|10\n3|cpu|cpu|-|-|1|-");
	cb_rows(db, "SELECT class, detail FROM poll WHERE id = 4", "lock|mutex");
	cb_rows(db, "SELECT class, rule, count(*) FROM offcpu GROUP BY 1, 2",
		"disk|file|2\ndisk|iowait|1\ndns|dns|2\nfault|fault-stack|2\nlock|futex|2");
	(void)fixture_close(db);
}

/* Whose code called it, whatever list of a sample's stack it is in; nothing outside the user's code, or the task's poll, counts. */
static void test_libraries(void **state)
{
	sqlite3 *db = open_names(state);

	add_poll(db, 1, "cpu", 100, 20, NULL);
	add_poll(db, 2, "disk", 0, 6, "('disk', 'file', 'read', 'read', 30, 6, 10)");
	add_poll(db, 3, "disk", 0, 9, "('disk', 'file', 'read', 'read', 30, 9, 10)");
	add_poll(db, 4, "cpu", 100, 7, NULL);
	add_poll(db, 5, "cpu", 100, 5, NULL);
	fixture_exec(db, "UPDATE poll SET dur = 0, waits = 0 WHERE id = 5");
	refine_twice(db, "SELECT p.id, p.library, a.text IS NOT NULL FROM poll AS p LEFT JOIN advice AS a ON a.id = p.advice_id",
		     "1|std::fs|1\n2|rusqlite|1\n3|std::fs|1\n4|-|1\n5|-|0");
	cb_rows(db, "SELECT function, kind FROM stack_place WHERE stack_id = 20", "orders::get|user");
	cb_rows(db, "SELECT text LIKE '%around rusqlite%' FROM poll JOIN advice AS a ON a.id = advice_id WHERE poll.id = 2", "1");
	cb_rows(db, "SELECT advice LIKE 'tokio::fs%' FROM blocking WHERE poll_id = 3", "1");
	cb_rows(db, "SELECT count(*) = count(DISTINCT text) FROM advice", "1");
	(void)fixture_close(db);
}

/* Another table: kinds, places, libraries and advice follow it, and follow it back. */
static void test_other_table(void **state)
{
	static const char own[] = "code orders_core library\ntry * rusqlite ask the database team\ntry disk * -\n";
	_cleanup_library_table_ struct library_table *builtin = NULL, *mine = NULL;
	struct library_error why;
	sqlite3 *db = open_names(state);

	assert_int_equal(library_table_builtin(&builtin), 0);
	assert_int_equal(library_table_new(&mine), 0);
	assert_int_equal(library_table_add(mine, own, strlen(own), &why), 0);
	assert_int_equal(library_table_finish(mine), 0);
	add_poll(db, 1, "disk", 0, 6, "('disk', 'file', 'read', 'read', 30, 6, 10)");
	add_poll(db, 2, "cpu", 100, 7, NULL);
	add_poll(db, 3, "disk", 0, 9, "('disk', 'file', 'read', 'read', 30, 9, 10)");
	assert_int_equal(refine_is_needed(db, builtin), 1);
	assert_int_equal(refine_run(db, builtin), 0);
	assert_int_equal(refine_is_needed(db, builtin), 0);
	assert_int_equal(refine_is_needed(db, mine), 1);
	cb_rows(db, "SELECT kind FROM symbol WHERE frame_id = 9", "user");
	assert_int_equal(refine_run(db, mine), 0);
	assert_int_equal(refine_is_needed(db, mine), 0);
	assert_int_equal(refine_is_needed(db, builtin), 1);
	cb_rows(db, "SELECT poll_id, library, advice FROM blocking ORDER BY 1",
		"1|rusqlite|ask the database team\n2|orders_core|-\n3|-|-");
	cb_rows(db, "SELECT kind FROM symbol WHERE frame_id = 9", "library");
	cb_rows(db, "SELECT kind FROM stack_place WHERE stack_id = 7", "library");
	assert_int_equal(refine_run(db, builtin), 0);
	cb_rows(db, "SELECT kind FROM symbol WHERE frame_id = 9", "user");
	cb_rows(db, "SELECT library, advice IS NOT NULL FROM blocking ORDER BY poll_id", "rusqlite|1\n-|1\nstd::fs|1");
	(void)fixture_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_details),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_libraries),
		cmocka_unit_test(test_other_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
