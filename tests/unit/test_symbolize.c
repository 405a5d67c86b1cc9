/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_symbolize.c: names in the database, by the test program itself: a capture whose module is this file (its build-id,
 * real offsets of its functions), opened through capture_db_open() as the commands do. Reuse, --target, damage and the places
 * where a database may go are tested here, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "capture_builder.h"
#include "report/capture_db.h"
#include "report/db.h"
#include "report/frame_kind.h"
#include "report/sym.h"
#include "report/wait_names.h"
#include "tests/unit/own_code.h"

#define AT(ms) (CB_START + (u64)(ms)*1000000)

/* Functions of this program whose names the frames must get. */
__attribute__((noinline)) static int user_code(int x)
{
	return x * 3 + 1;
}

__attribute__((noinline)) static int getaddrinfo_like(int x)
{
	return user_code(x) + 5;
}

struct fixture {
	struct capture_builder cb;
	char self[256];
	char build_id[2 * SYM_BUILD_ID_MAX + 1];
	char db[80];
	u64 stack;
};

/* Module 2 is this program, at the path given, mapped so that address = file offset + 0x40000000. */
static void add_module(struct fixture *fx, const char *path)
{
	struct capture_builder *cb = &fx->cb;
	u64 base = 0x40000000, addrs[] = {base + own_file_off(user_code) + 1, base + own_file_off(getaddrinfo_like) + 1};

	cb_row(cb, FMT_MODULE,
	       &(struct fmt_module){.idx = 2, .path = cb_string(cb, path), .build_id = cb_string(cb, fx->build_id)});
	cb_row(cb, FMT_MAPPING, &(struct fmt_mapping){.process = 1, .module = 2, .start = base, .end = base + 0x10000000});
	fx->stack = cb_stack(cb, FMT_STACK_USER, addrs, 2);
}

/* A poll of task `task`: a wait in `nr` of 50 ms, then 1 ms on the cpu. */
static void add_poll(struct fixture *fx, u64 ms, u64 task, u64 nr)
{
	struct fmt_switch_out out = {.ts = AT(ms),
				     .thread = 1,
				     .state = 1,
				     .ctx_status = FMT_CTX_READ,
				     .context = CB_CONTEXT_MT,
				     .budget = CB_BUDGET,
				     .runtime = 1,
				     .core = 9,
				     .park = 1,
				     .task = task,
				     .tick = task,
				     .syscall = nr + 1,
				     .ustack = fx->stack};

	cb_row(&fx->cb, FMT_SWITCH_OUT, &out);
	cb_row(&fx->cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = AT(ms + 50), .thread = 1});
}

static int setup(void **state)
{
	struct fixture *fx = calloc(1, sizeof(*fx));
	struct sym_module *m;
	ssize_t n;

	assert_non_null(fx);
	n = readlink("/proc/self/exe", fx->self, sizeof(fx->self) - 1);
	assert_true(n > 0);
	assert_int_equal(sym_module_open(fx->self, &m, NULL), 0);
	assert_int_equal(sym_module_build_id(m, fx->build_id), 0);
	sym_module_close(m);
	cb_init(&fx->cb);
	(void)snprintf(fx->db, sizeof(fx->db), "%s.db", fx->cb.path);
	*state = fx;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fx = *state;

	cb_release(&fx->cb);
	free(fx);
	return 0;
}

static struct capture_db *open_ok(const struct capture_opts *o)
{
	struct capture_db *db = NULL;

	assert_int_equal(capture_db_open(o, &db), 0);
	return db;
}

static void expect(const struct capture_opts *o, const char *sql, const char *rows)
{
	struct capture_db *db = open_ok(o);

	assert_string_equal(cb_text(capture_db_handle(db), sql), rows);
	capture_db_close(db);
}

#define NAMES "SELECT function, kind FROM stack_text ORDER BY depth, inline_depth"

static void names_by_recorded_path(void **state)
{
	struct fixture *fx = *state;
	struct capture_opts o = {.capture = fx->cb.path};

	add_module(fx, fx->self);
	add_poll(fx, 10, 30, SYS_clock_nanosleep);
	cb_finish(&fx->cb);
	expect(&o, "SELECT function FROM stack_text ORDER BY depth, inline_depth", "user_code\ngetaddrinfo_like");
	expect(&o, "SELECT function, file LIKE '%test_symbolize.c', line > 20 FROM blocking", "user_code|1|1");
	expect(&o, "SELECT symbols, symbols_from = path FROM module WHERE id = 2", "dwarf|1");
}

static void target_adds_names_to_an_old_database(void **state)
{
	struct fixture *fx = *state;
	struct capture_opts o = {.capture = fx->cb.path}, with = {.capture = fx->cb.path, .targets = {fx->self}, .n_targets = 1};
	struct stat before, after;

	add_module(fx, "/nowhere/program (deleted)");
	add_poll(fx, 10, 30, SYS_clock_nanosleep);
	cb_finish(&fx->cb);
	expect(&o, "SELECT function, line FROM blocking", "-|-");
	expect(&o, "SELECT note LIKE 'no names: %' || build_id || '%--target%' FROM module WHERE id = 2", "1");
	assert_int_equal(stat(fx->db, &before), 0);
	assert_int_equal(before.st_mode & 0777, 0600);
	expect(&with, "SELECT function FROM blocking", "user_code");
	expect(&o, "SELECT function FROM blocking", "user_code"); /* and they stay */
	expect(&o, "SELECT note FROM module WHERE id = 2", "-");
	assert_int_equal(stat(fx->db, &after), 0);
	assert_true(before.st_ino == after.st_ino); /* nothing was loaded again */
}

/* A thread that waits outside of polls, in code that no poll was seen in. */
static void add_idle_wait(struct fixture *fx, u64 ms)
{
	u64 addr = 0x40000000 + own_file_off(add_poll) + 1;
	struct fmt_switch_out out = {
		.ts = AT(ms), .thread = 2, .state = 1, .ctx_status = FMT_CTX_READ, .syscall = SYS_clock_nanosleep + 1};

	out.ustack = cb_stack(&fx->cb, FMT_STACK_USER, &addr, 1);
	cb_row(&fx->cb, FMT_SWITCH_OUT, &out);
	cb_row(&fx->cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = AT(ms + 1), .thread = 2});
}

/* A database with more rows is made without the file that the names came from: it takes them over, and the file's others when it is there again. */
static void names_for_more_rows(void **state)
{
	struct fixture *fx = *state;
	struct capture_opts o = {.capture = fx->cb.path}, with = {.capture = fx->cb.path, .targets = {fx->self}, .n_targets = 1};
	static const char named[] = "SELECT count(*), count(s.frame_id) FROM frame AS f "
				    "LEFT JOIN symbol AS s ON s.frame_id = f.id AND s.depth = 0 WHERE f.module_id = 2";

	add_module(fx, "/nowhere/program (deleted)");
	add_poll(fx, 10, 30, SYS_clock_nanosleep);
	add_idle_wait(fx, 100);
	cb_meta(&fx->cb, "ascope.unreadable.2", "says the capture");
	cb_finish(&fx->cb);
	expect(&with, named, "2|2");
	o.rows = with.rows = CAPTURE_ROWS_ALL;
	expect(&o, named, "3|2");
	expect(&o, "SELECT function FROM blocking", "user_code");
	expect(&o, "SELECT symbols, symbols_from LIKE '%, in part' FROM module WHERE id = 2", "dwarf|1");
	expect(&o, "SELECT note LIKE 'names are missing: %--target' FROM module WHERE id = 2", "1");
	expect(&with, named, "3|3");
	expect(&o, "SELECT symbols, note FROM module WHERE id = 2", "dwarf|-");
	expect(&o, "SELECT count(*) FROM meta WHERE key GLOB 'ascope.unreadable.*'", "0"); /* only the loader says so */
}

static void another_build_is_refused(void **state)
{
	struct fixture *fx = *state;
	struct capture_opts o = {.capture = fx->cb.path, .targets = {fx->self}, .n_targets = 1};
	struct capture_db *db = NULL;

	fx->build_id[0] = fx->build_id[0] == 'a' ? 'b' : 'a';
	add_module(fx, fx->self);
	add_poll(fx, 10, 30, SYS_clock_nanosleep);
	cb_finish(&fx->cb);
	assert_int_equal(capture_db_open(&o, &db), -EINVAL);
	o.n_targets = 0;
	expect(&o, "SELECT function FROM blocking", "-"); /* the recorded path is not that build either */
	expect(&o, "SELECT note LIKE '%is another build%' FROM module WHERE id = 2", "1");
}

static void missing_target(void **state)
{
	struct fixture *fx = *state;
	struct capture_opts o = {.capture = fx->cb.path, .targets = {"/nowhere/at/all"}, .n_targets = 1};
	struct capture_db *db = NULL;

	cb_finish(&fx->cb);
	assert_true(capture_db_open(&o, &db) < 0);
}

static void stale_database_is_made_anew(void **state)
{
	struct fixture *fx = *state;
	struct capture_opts o = {.capture = fx->cb.path};
	struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	struct stat before, after;

	add_module(fx, fx->self);
	cb_finish(&fx->cb);
	expect(&o, "SELECT count(*) FROM poll", "0");
	assert_int_equal(stat(fx->db, &before), 0);
	assert_int_equal(utimensat(AT_FDCWD, fx->cb.path, times, 0), 0);
	expect(&o, "SELECT mtime FROM capture", "1000000000000");
	assert_int_equal(stat(fx->db, &after), 0);
	assert_true(before.st_ino != after.st_ino || before.st_mtim.tv_nsec != after.st_mtim.tv_nsec);
}

static void private_database_leaves_nothing(void **state)
{
	struct fixture *fx = *state;
	struct capture_opts o = {.capture = fx->cb.path, .no_cache = true};

	add_module(fx, fx->self);
	cb_finish(&fx->cb);
	expect(&o, "SELECT count(*) FROM capture", "1");
	assert_int_equal(access(fx->db, F_OK), -1);
}

static void foreign_file_is_left_alone(void **state)
{
	struct fixture *fx = *state;
	char own[96];
	struct capture_opts o = {.capture = fx->cb.path, .db = own};
	struct capture_db *db = NULL;
	struct stat st;
	FILE *f;

	(void)snprintf(own, sizeof(own), "%s.notes", fx->cb.path);
	f = fopen(own, "w");
	assert_non_null(f);
	assert_true(fputs("my notes", f) >= 0);
	assert_int_equal(fclose(f), 0);
	cb_finish(&fx->cb);
	assert_true(capture_db_open(&o, &db) < 0);
	assert_int_equal(stat(own, &st), 0);
	assert_int_equal(st.st_size, 8);
	assert_int_equal(unlink(own), 0);
	expect(&o, "SELECT count(*) FROM capture", "1"); /* --db where there is nothing yet */
	assert_int_equal(access(fx->db, F_OK), -1);
	assert_int_equal(unlink(own), 0);
}

static void damage_makes_it_partial(void **state)
{
	struct fixture *fx = *state;
	struct capture_opts o = {.capture = fx->cb.path};
	struct capture_db *db;

	add_module(fx, fx->self);
	add_poll(fx, 10, 30, SYS_clock_nanosleep);
	cb_abandon(&fx->cb);
	db = open_ok(&o);
	assert_true(capture_db_is_partial(db));
	assert_int_equal(cb_int(capture_db_handle(db), "SELECT count(*) FROM blocking"), 1);
	assert_true(db_exec(capture_db_handle(db), "DELETE FROM poll") < 0); /* read-only */
	capture_db_close(db);
}

static void no_capture(void **state)
{
	struct fixture *fx = *state;
	struct capture_opts o = {.capture = fx->self};
	struct capture_db *db = NULL;

	cb_finish(&fx->cb);
	assert_true(capture_db_open(&o, &db) < 0);
	o.capture = "/nowhere/at/all";
	assert_int_equal(capture_db_open(&o, &db), -ENOENT);
}

/* ---- what names change ---- */

static void name_symbols(sqlite3 *db, const char *const *names, const char *const *kinds, u32 n)
{
	sqlite3_stmt *s;

	assert_int_equal(db_exec(db, "DELETE FROM symbol"), 0);
	assert_int_equal(db_prepare(db, "INSERT INTO symbol VALUES (?, 0, ?, 'x.rs', ?, 0, ?)", &s), 0);
	for (u32 i = 0; i < n; i++)
		assert_int_equal(
			db_run(s, (struct db_val[]){DB_INT(i + 1), db_text(names[i]), DB_INT(10 + i), db_text(kinds[i])}, 4), 0);
	sqlite3_finalize(s);
	cb_refine(db);
}

static void lookups_become_dns(void **state)
{
	static const char *const names[] = {"__poll", "__GI___getaddrinfo", "app::resolve"}, *const kinds[] = {"native", "native",
													       "user"};
	struct fixture *fx = *state;
	u64 addrs[] = {CB_CODE + 1, CB_CODE + 2, CB_CODE + 3}, other[] = {CB_CODE + 4};
	sqlite3 *db;

	fx->stack = cb_stack(&fx->cb, FMT_STACK_USER, addrs, 3);
	add_poll(fx, 10, 30, SYS_poll);	 /* 10..60 */
	add_poll(fx, 61, 30, SYS_futex); /* same poll: 50 ms of each, 1 ms of cpu */
	fx->stack = cb_stack(&fx->cb, FMT_STACK_USER, other, 1);
	add_poll(fx, 112, 30, SYS_clock_nanosleep); /* and 50 ms asleep */
	add_poll(fx, 200, 31, SYS_futex);
	cb_finish(&fx->cb);
	db = cb_load(&fx->cb);
	name_symbols(db, names, kinds, 3);
	assert_string_equal(cb_text(db, "SELECT task_id, class, rule, syscall, function, line FROM poll ORDER BY ts"),
			    "30|dns|dns|poll|app::resolve|12\n31|lock|futex|futex|-|-");
	assert_string_equal(cb_text(db, "SELECT class FROM offcpu ORDER BY ts"), "dns\ndns\nsleep\nlock");
	sqlite3_close(db);
}

static void own_function_is_found_by_kind(void **state)
{
	static const char *const names[] = {"read", "std::fs::read", "dep::load::<T>", "app::load::{async_fn#0}", "tokio::run"};
	static const char *const user[] = {"native", "std", "library", "user", "runtime"},
				 *const library[] = {"native", "std", "library", "runtime", "runtime"},
				 *const native[] = {"std", "native", "std", "runtime", "runtime"};
	struct fixture *fx = *state;
	u64 addrs[] = {CB_CODE + 1, CB_CODE + 2, CB_CODE + 3, CB_CODE + 4, CB_CODE + 5};
	sqlite3 *db;

	fx->stack = cb_stack(&fx->cb, FMT_STACK_USER, addrs, 5);
	add_poll(fx, 10, 30, SYS_read);
	cb_finish(&fx->cb);
	db = cb_load(&fx->cb);
	assert_string_equal(cb_text(db, "SELECT function FROM poll"), "-");
	name_symbols(db, names, user, 5);
	assert_string_equal(cb_text(db, "SELECT function, file, line FROM poll"), "app::load::{async fn}|x.rs|13");
	name_symbols(db, names, library, 5);
	assert_string_equal(cb_text(db, "SELECT function FROM poll"), "dep::load");
	name_symbols(db, names, native, 5);
	assert_string_equal(cb_text(db, "SELECT function FROM poll"), "std::fs::read");
	sqlite3_close(db);
}

static void sample(struct fixture *fx, u64 ms, u64 stack)
{
	cb_row(&fx->cb, FMT_SAMPLE,
	       &(struct fmt_sample){.ts = AT(ms),
				    .thread = 1,
				    .mode = 1,
				    .ctx_status = FMT_CTX_READ,
				    .context = CB_CONTEXT_MT,
				    .budget = CB_BUDGET,
				    .runtime = 1,
				    .core = 9,
				    .park = 1,
				    .task = 30,
				    .tick = 5,
				    .ustack = stack});
}

static void cpu_poll_shows_its_commonest_function(void **state)
{
	static const char *const names[] = {"app::rare", "app::hot", "app::hot"}, *const kinds[] = {"user", "user", "user"};
	struct fixture *fx = *state;
	u64 rare[] = {CB_CODE + 1}, hot[] = {CB_CODE + 2}, hot2[] = {CB_CODE + 3};
	u64 s1 = cb_stack(&fx->cb, FMT_STACK_USER, rare, 1), s2 = cb_stack(&fx->cb, FMT_STACK_USER, hot, 1),
	    s3 = cb_stack(&fx->cb, FMT_STACK_USER, hot2, 1);
	sqlite3 *db;

	sample(fx, 10, s1);
	sample(fx, 12, s1);
	sample(fx, 14, s2);
	sample(fx, 16, s3);
	sample(fx, 18, s3);
	cb_finish(&fx->cb);
	db = cb_load(&fx->cb);
	name_symbols(db, names, kinds, 3);
	assert_string_equal(cb_text(db, "SELECT class, function, line, stack_id FROM poll"), "cpu|app::hot|12|3");
	sqlite3_close(db);
}

static void return_addresses(void **state)
{
	struct fixture *fx = *state;
	u64 addrs[] = {CB_CODE + 1, CB_CODE + CB_CODE_SIZE, 0x10}; /* a call at the very end of the mapping; nowhere */
	sqlite3 *db;

	fx->stack = cb_stack(&fx->cb, FMT_STACK_USER, addrs, 3);
	add_poll(fx, 10, 30, SYS_read); /* in a system call: frame 0 lies behind its instruction */
	sample(fx, 70, cb_stack(&fx->cb, FMT_STACK_USER, addrs, 1));
	cb_finish(&fx->cb);
	db = cb_load(&fx->cb);
	assert_string_equal(cb_text(db, "SELECT sf.stack_id, module_id, file_off, is_return FROM stack_frame AS sf "
					"JOIN frame AS f ON f.id = frame_id ORDER BY 1, sf.depth"),
			    "1|1|4097|1\n1|1|1052672|1\n1|-|16|1\n2|1|4097|0");
	sqlite3_close(db);
}

static void lookup_names(void **state)
{
	(void)state;
	assert_true(name_is_lookup("getaddrinfo", FRAME_NATIVE));
	assert_true(name_is_lookup("__GI_getaddrinfo", FRAME_NATIVE));
	assert_true(name_is_lookup("__res_context_query", FRAME_NATIVE));
	assert_true(name_is_lookup("_nss_dns_gethostbyname4_r", FRAME_NATIVE));
	assert_true(name_is_lookup("<std::sys::net::LookupHost as core::convert::TryFrom<&str>>::try_from", FRAME_STD));
	assert_false(name_is_lookup("getaddrinfo", FRAME_USER));
	assert_false(name_is_lookup("poll", FRAME_NATIVE));
	assert_false(name_is_lookup("tokio::net::addr::lookup_host", FRAME_RUNTIME));
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(names_by_recorded_path),
		TEST(target_adds_names_to_an_old_database),
		TEST(names_for_more_rows),
		TEST(another_build_is_refused),
		TEST(missing_target),
		TEST(stale_database_is_made_anew),
		TEST(private_database_leaves_nothing),
		TEST(foreign_file_is_left_alone),
		TEST(damage_makes_it_partial),
		TEST(no_capture),
		TEST(lookups_become_dns),
		TEST(own_function_is_found_by_kind),
		TEST(cpu_poll_shows_its_commonest_function),
		TEST(return_addresses),
		cmocka_unit_test(lookup_names),
	};

	assert_int_equal(getaddrinfo_like(1), 9);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
