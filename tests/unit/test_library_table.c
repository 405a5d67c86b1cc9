/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_library_table.c: the table of libraries: its format and hostile texts, which rule counts, the built-in rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "report/classify.h"
#include "report/library_rules.h"

#define REG "/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/"
#define STD "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/"

/* Of a user's text alone. */
static struct library_table *table_of(const char *text)
{
	struct library_table *t;
	struct library_error why;

	assert_int_equal(library_table_new(&t), 0);
	if (library_table_add(t, text, strlen(text), &why) < 0)
		fail_msg("line %u: %s", why.line, why.what);
	assert_int_equal(library_table_finish(t), 0);
	return t;
}

static const char *name_of(const struct library_table *t, const char *function, const char *file, enum frame_kind kind)
{
	static char buf[256]; /* statics.sh: of a test */
	const char *name = library_table_name(t, function, file, kind, buf, sizeof(buf));

	return name ? name : "-";
}

static void test_matches(void **state)
{
	(void)state;
	assert_true(library_function_matches("std::fs::read", "std::fs"));
	assert_true(library_function_matches("<std::fs::File as std::io::Read>::read", "std::fs"));
	assert_true(library_function_matches("<&std::net::TcpStream as std::io::Read>::read", "std::net"));
	assert_true(library_function_matches("bcrypt::bcrypt", "bcrypt"));
	assert_true(library_function_matches("<T as rusqlite::ToSql>::to_sql", "rusqlite"));
	assert_false(library_function_matches("std::fsx::read", "std::fs"));
	assert_false(library_function_matches("tokio_postgres::connect", "postgres"));
	assert_false(library_function_matches("orders::postgres::connect", "postgres"));
	/* whose arguments they are says nothing of whose code it is */
	assert_false(library_function_matches("my_regex::wrap<regex::Regex>", "regex"));
	assert_false(library_function_matches("core::ptr::drop_in_place<rusqlite::Connection>", "rusqlite"));
	assert_false(library_function_matches("", "std::fs"));
	assert_false(library_function_matches("<", "std::fs"));
}

static void test_files(void **state)
{
	(void)state;
	assert_true(library_file_matches(STD "sync/mpsc/mod.rs", "std::sync::mpsc"));
	assert_true(library_file_matches(STD "sync/mpsc.rs", "std::sync::mpsc"));
	assert_false(library_file_matches(STD "sync/mpscx.rs", "std::sync::mpsc"));
	assert_false(library_file_matches(STD "sync", "std::sync::mpsc"));
	assert_false(library_file_matches("src/sync/mpsc.rs", "std::sync::mpsc"));
	assert_true(library_file_matches(REG "regex-automata-0.4.1/src/x.rs", "regex_automata"));
	assert_true(library_file_matches(REG "reqwest-0.12.9/src/blocking/client.rs", "reqwest::blocking"));
	assert_false(library_file_matches(REG "reqwest-0.12.9/src/async_impl/client.rs", "reqwest::blocking"));
	assert_false(library_file_matches(REG "regex-automata-0.4.1/src/x.rs", "regex"));
	assert_false(library_file_matches("/root/.cargo/registry/src/index-1", "regex"));
	assert_false(library_file_matches("src/regex-0.1/x.rs", "regex"));
	assert_false(library_file_matches("", "regex"));
}

struct bad_text {
	const char *text;
	u32 line;
	const char *what;
};

static void test_mistakes(void **state)
{
	static const struct bad_text bad[] = {
		{"nonsense\n", 1, "begins with"},
		{"# fine\n\nlibrary\n", 3, "a path is"},
		{"library my-crate database\n", 1, "a path is"},
		{"library a: database\n", 1, "a path is"},
		{"library a:: database\n", 1, "a path is"},
		{"library ::a database\n", 1, "a path is"},
		{"library 1a database\n", 1, "a path is"},
		{"library a\n", 1, "category"},
		{"library a Database\n", 1, "category"},
		{"library a abcdefghijklmnopqrstuvwxyzabcdefg\n", 1, "category"},
		{"library a database b c\n", 1, "too many"},
		{"library a database b-c\n", 1, "name to show"},
		{"code a\n", 1, "code is"},
		{"code a std\n", 1, "code is"},
		{"code a user b\n", 1, "too many"},
		{"try\n", 1, "class is"},
		{"try mutex * x\n", 1, "class is"},
		{"try lock: * x\n", 1, "detail"},
		{"try lock:Mutex * x\n", 1, "detail"},
		{"try lock @ x\n", 1, "behind the class"},
		{"try lock a-b x\n", 1, "behind the class"},
		{"try lock a\n", 1, "nothing to try"},
		{"try lock a   \t\n", 1, "nothing to try"},
		{"try lock * \033[31mred\n", 1, "no text"},
		{"try lock * caf\xe9\n", 1, "no text"},
		{"try lock * \xc2\x9b\n", 1, "no text"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_library_table_ struct library_table *t = NULL;
		struct library_error why = {0};

		assert_int_equal(library_table_new(&t), 0);
		assert_int_equal(library_table_add(t, bad[i].text, strlen(bad[i].text), &why), -EINVAL);
		if (why.line != bad[i].line || !strstr(why.what, bad[i].what))
			fail_msg("%s: line %u: %s", bad[i].text, why.line, why.what);
	}
}

/* Texts of every size limit, and NULs. */
static void test_hostile(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct library_table *t;
	struct library_error why;

	(void)state;
	assert_int_equal(library_table_new(&t), 0);
	assert_int_equal(library_table_add(t, "library a x\0\n", 13, &why), -EINVAL);
	(void)library_table_free(t);

	for (u32 i = 0; i < LIBRARY_MAX_LINE; i++)
		buf_putc(&b, '#');
	assert_int_equal(library_table_new(&t), 0);
	assert_int_equal(library_table_add(t, (const char *)b.data, b.len, &why),
			 0); /* as long as it may be, without a newline */
	buf_putc(&b, '#');
	assert_int_equal(library_table_add(t, (const char *)b.data, b.len, &why), -EINVAL);
	assert_non_null(strstr(why.what, "1024"));
	(void)library_table_free(t);

	buf_reset(&b);
	for (u32 i = 0; i <= LIBRARY_MAX_RULES; i++)
		buf_printf(&b, "library c%u x\n", i);
	assert_int_equal(library_table_new(&t), 0);
	assert_int_equal(library_table_add(t, (const char *)b.data, b.len, &why), -EINVAL);
	assert_int_equal(why.line, LIBRARY_MAX_RULES + 1);
	(void)library_table_free(t);

	buf_reset(&b);
	buf_puts(&b, "library a");
	for (u32 i = 0; i < LIBRARY_MAX_PREFIX; i++)
		buf_putc(&b, 'a');
	buf_puts(&b, " x\n");
	assert_int_equal(library_table_new(&t), 0);
	assert_int_equal(library_table_add(t, (const char *)b.data, b.len, &why), -EINVAL);
	(void)library_table_free(t);

	buf_reset(&b);
	for (u32 i = 0; i <= LIBRARY_MAX_TEXT; i++)
		buf_putc(&b, '\n');
	assert_int_equal(library_table_new(&t), 0);
	assert_int_equal(library_table_add(t, (const char *)b.data, b.len, &why), -EINVAL);
	assert_non_null(strstr(why.what, "1 MiB"));
	(void)library_table_free(t);
}

static void test_names(void **state)
{
	_cleanup_library_table_ struct library_table *t = NULL;

	(void)state;
	assert_int_equal(library_table_builtin(&t), 0);
	assert_string_equal(name_of(t, "rusqlite::statement::Statement::query", NULL, FRAME_LIBRARY), "rusqlite");
	assert_string_equal(name_of(t, "reqwest::blocking::client::Client::execute", NULL, FRAME_LIBRARY), "reqwest::blocking");
	assert_string_equal(name_of(t, "reqwest::async_impl::Client::execute", NULL, FRAME_LIBRARY), "reqwest");
	assert_string_equal(name_of(t, "execute", REG "reqwest-0.12.9/src/blocking/client.rs", FRAME_LIBRARY),
			    "reqwest::blocking");
	assert_string_equal(name_of(t, "poll", REG "acme-widget-0.12.9/src/lib.rs", FRAME_LIBRARY), "acme_widget");
	assert_string_equal(name_of(t, "md5::compute", REG "md-5-0.10.6/src/lib.rs", FRAME_LIBRARY), "md_5");
	assert_string_equal(name_of(t, "s3::bucket::get", REG "rust-s3-0.34.0/src/bucket.rs", FRAME_LIBRARY), "s3");
	assert_string_equal(name_of(t, "<std::fs::File as std::io::Read>::read", NULL, FRAME_STD), "std::fs");
	assert_string_equal(name_of(t, "<std::sys::fs::unix::File>::read", NULL, FRAME_STD), "std::fs");
	assert_string_equal(name_of(t, "wait_until", STD "sync/mpmc/context.rs", FRAME_STD), "std::sync::mpsc");
	assert_string_equal(name_of(t, "<std::sys::sync::mutex::futex::Mutex>::lock_contended", NULL, FRAME_STD), "std::sync");
	assert_string_equal(name_of(t, "std::thread::functions::sleep", NULL, FRAME_STD), "std::thread");
	assert_string_equal(name_of(t, "<std::process::Command>::output", NULL, FRAME_STD), "std::process");
	assert_string_equal(name_of(t, "core::fmt::write", NULL, FRAME_STD), "-");
	assert_string_equal(name_of(t, "std::io::Read::read_to_end<std::fs::File>", NULL, FRAME_STD), "-");
	assert_string_equal(name_of(t, "futures_executor::local_pool::block_on", NULL, FRAME_RUNTIME), "futures::executor");
	assert_string_equal(name_of(t, "futures_util::future::Map::poll", NULL, FRAME_RUNTIME), "-");
	assert_string_equal(
		name_of(t, "<tracing::instrument::Instrumented<T> as core::future::Future>::poll", NULL, FRAME_RUNTIME), "-");
	assert_string_equal(name_of(t, "rusqlite::open", "src/rusqlite.rs", FRAME_USER), "-");
	assert_string_equal(name_of(t, "read", NULL, FRAME_NATIVE), "-");
	assert_string_equal(name_of(t, NULL, NULL, FRAME_LIBRARY), "-");
}

static void test_own_rules(void **state)
{
	struct library_table *t = table_of("# comment\r\n\n"
					   "library\tacme_sdk::storage  storage   acme\r\n"
					   "code acme_sdk library\n"
					   "code vendored_thing user\n"
					   "try lock:rwlock acme ours # and more\n"
					   "try cpu @storage by category\n"
					   "try sleep orders::legacy our own module\n"
					   "try lock std::sync do not hide mpsc\n"
					   "library std::sync::mpsc channel\n");
	enum frame_kind kind;

	(void)state;
	assert_true(library_table_code(t, "acme_sdk::put", "crates/sdk/src/lib.rs", &kind));
	assert_int_equal(kind, FRAME_LIBRARY);
	assert_int_equal(frame_kind_of(t, "acme_sdk::put", "crates/sdk/src/lib.rs", "/srv/orders"), FRAME_LIBRARY);
	assert_int_equal(frame_kind_of(t, "x", REG "vendored-thing-0.1.0/src/lib.rs", "/srv/orders"), FRAME_USER);
	assert_int_equal(frame_kind_of(t, "acme_sdk::put", NULL, "[kernel]"), FRAME_KERNEL);
	assert_false(library_table_code(t, "acme_sdkx::put", NULL, &kind));
	assert_string_equal(name_of(t, "acme_sdk::storage::put", "crates/sdk/src/storage.rs", FRAME_LIBRARY), "acme");
	assert_string_equal(name_of(t, "acme_sdk::other", "crates/sdk/src/other.rs", FRAME_LIBRARY), "acme_sdk");
	assert_string_equal(library_table_try(t, "lock", "rwlock", "acme\n"), "ours # and more");
	assert_null(library_table_try(t, "lock", "mutex", "acme\n"));
	assert_string_equal(library_table_try(t, "cpu", NULL, "acme\n"), "by category");
	/* the module of a `try` is a library by that, the program's crate is not */
	assert_string_equal(name_of(t, "orders::legacy::wait", "src/legacy.rs", FRAME_USER), "orders::legacy");
	assert_string_equal(name_of(t, "orders::new::wait", "src/new.rs", FRAME_USER), "-");
	assert_false(library_table_has_crate(t, "orders", 6));
	assert_string_equal(library_table_try(t, "sleep", NULL, "orders::legacy\n"), "our own module");
	/* what a `try` names generally does not take the place of finer rules */
	assert_string_equal(name_of(t, "std::sync::mpsc::Receiver<T>::recv", NULL, FRAME_STD), "std::sync::mpsc");
	assert_string_equal(library_table_try(t, "lock", "channel", "std::sync::mpsc\n"), "do not hide mpsc");
	(void)library_table_free(t);
}

/* Own rules go before built-in ones; the outermost library before those further in; `-` is silence. */
static void test_order(void **state)
{
	_cleanup_library_table_ struct library_table *t = NULL;
	char dir[] = "/tmp/ascope-libraries-XXXXXX", path[64], config[64];
	const char *files[1] = {path};

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/ascope", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(config, sizeof(config), "%s/ascope/libraries", dir);
	(void)snprintf(path, sizeof(path), "%s/own", dir);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	(void)fputs("try * rusqlite first\ntry disk * -\ntry lock:mutex @sync second\n", f);
	assert_int_equal(fclose(f), 0);
	f = fopen(config, "we");
	assert_non_null(f);
	(void)fputs("try * rusqlite from the configuration\ntry network * configured\n", f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(setenv("XDG_CONFIG_HOME", dir, 1), 0);

	assert_int_equal(library_table_load(files, 1, &t), 0);
	assert_string_equal(library_table_try(t, "lock", "mutex", "rusqlite\nstd::sync\n"), "first");
	assert_string_equal(library_table_try(t, "lock", "mutex", "serde_json\nstd::sync\n"), "second");
	assert_null(library_table_try(t, "disk", "read", "std::fs\n"));
	assert_string_equal(library_table_try(t, "network", "read", ""), "configured");
	/* the built-in rule for the library still stands before one for all */
	assert_non_null(strstr(library_table_try(t, "network", "read", "std::net\n"), "tokio::net"));
	(void)unlink(path);
	(void)unlink(config);
	assert_int_equal(library_table_load(files, 1, &t), -ENOENT);
	(void)snprintf(path, sizeof(path), "%s/ascope", dir);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void test_hash(void **state)
{
	static const char *const texts[] = {"", "#\n", "library a x\n", "library a y\n", "try lock a b\n"};
	u64 hashes[ARRAY_SIZE(texts)];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct library_table *t = table_of(texts[i]), *again = table_of(texts[i]);

		hashes[i] = library_table_hash(t);
		assert_int_equal(library_table_hash(again), hashes[i]);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(hashes[i], hashes[j]);
		(void)library_table_free(t);
		(void)library_table_free(again);
	}
}

/* ---- the built-in rules ---- */

static const struct {
	const char *cls, *detail, *names, *has; /* has: NULL nothing at all */
} tries[] = {
	{"lock", "channel", "std::sync::mpsc\n", "tokio::sync::mpsc"},
	{"lock", "channel", "flume\nstd::thread\n", "recv_async"},
	{"lock", "join", "std::thread\n", "JoinHandle"},
	{"lock", "join", "std::thread::scoped\n", "thread::scope"},
	{"lock", "barrier", "std::sync\n", "tokio::sync::Barrier"},
	{"lock", "condvar", "std::sync\n", "Notify"},
	{"lock", "once", "once_cell\n", "OnceCell"},
	{"lock", "mutex", "std::sync\n", "hold the lock for less"},
	{"lock", "mutex", "rusqlite\nstd::sync\n", "spawn_blocking around rusqlite"},
	{"lock", "mutex", "tokio::runtime\n", NULL},
	{"lock", "condvar", "r2d2\nparking_lot::condvar\n", "bb8"},
	{"lock", "block_on", "futures::executor\n", ".await in place of futures::executor::block_on"},
	{"lock", "block_on", "reqwest::blocking\ntokio::runtime\n", "reqwest::Client (async)"},
	{"lock", "allocator", "", "another allocator"},
	{"lock", "dynamic loader", "", "load libraries before"},
	{"lock", NULL, "", "the async form of what it waits for"},
	{"sleep", NULL, "std::thread\n", "tokio::time::sleep"},
	{"disk", "read", "std::fs\n", "tokio::fs"},
	{"disk", "lock", "std::fs\n", "file lock"},
	{"disk", "write", "tracing\ntracing_appender::rolling\nstd::fs\n", "non_blocking"},
	{"disk", "read", "serde_json\nstd::fs\n", "read(..).await first"},
	{"network", "read", "std::net\n", "tokio::net in place of std::net"},
	{"network", "tls", "ureq\nrustls\nstd::net\n", "ureq"},
	{"network", "read", "postgres\ntokio::runtime\n", "tokio-postgres in place"},
	{"dns", NULL, "std::net\n", "lookup_host"},
	{"pipe", "pipe", "std::process\n", "tokio::process"},
	{"process", "wait", "std::process\n", "tokio::process"},
	{"fault", NULL, "memmap2\n", "madvise"},
	{"cpu", NULL, "bcrypt\n", "slow by design"},
	{"cpu", NULL, "serde_json\n", "large documents"},
	{"cpu", NULL, "zstd\n", "async-compression"},
	{"cpu", NULL, "", "yield_now"},
	{"other", "event loop", "", "event loop"},
	{"other", "eventfd", "", "AsyncFd"},
	{"other", NULL, "", NULL},
	{"other", "memory map", "std::thread\n", NULL},
	{"no such class", NULL, "", NULL},
};

static void test_builtin_tries(void **state)
{
	_cleanup_library_table_ struct library_table *t = NULL;

	(void)state;
	assert_int_equal(library_table_builtin(&t), 0);
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		const char *text = library_table_try(t, tries[i].cls, tries[i].detail, tries[i].names);

		if (tries[i].has ? !text || !strstr(text, tries[i].has) : !!text)
			fail_msg("%s %s %s: %s", tries[i].cls, tries[i].detail ? tries[i].detail : "-", tries[i].names,
				 text ? text : "-");
	}
}

/* No rule that can never count: each prefix is found, each target and category is some library's. */
static void test_builtin_is_sound(void **state)
{
	_cleanup_library_table_ struct library_table *t = NULL;

	(void)state;
	assert_int_equal(library_table_builtin(&t), 0);
	assert_true(t->n_libraries > 400 && t->n_tries > 150);
	for (u32 i = 0; i < t->n_libraries; i++) {
		const struct library_rule *r = &t->libraries[i];
		enum frame_kind kind = !strncmp(r->prefix, "std::", 5) ? FRAME_STD : FRAME_LIBRARY;
		char function[256];

		(void)snprintf(function, sizeof(function), "%s::f", r->prefix);
		if (strcmp(name_of(t, function, NULL, kind), r->name) != 0)
			fail_msg("library %s is hidden by one before it", r->prefix);
		for (u32 j = 0; j < i; j++)
			if (strcmp(t->libraries[j].prefix, r->prefix) == 0)
				fail_msg("library %s is there twice", r->prefix);
	}
	for (u32 i = 0; i < t->n_tries; i++) {
		const struct try_rule *r = &t->tries[i];
		bool found = strcmp(r->target, "*") == 0;

		for (u32 j = 0; j < t->n_libraries && !found; j++)
			found = r->target[0] == '@' ? !strcmp(r->target + 1, t->libraries[j].category)
						    : !strncmp(t->libraries[j].name, r->target, strlen(r->target));
		if (!found)
			fail_msg("try: nothing is called %s", r->target);
		for (u32 j = 0; j < i; j++)
			if (!strcmp(t->tries[j].target, r->target) &&
			    (!t->tries[j].cls || (r->cls && !strcmp(t->tries[j].cls, r->cls))) &&
			    (!t->tries[j].detail || (r->detail && !strcmp(t->tries[j].detail, r->detail))))
				fail_msg("try %s:%s %s is hidden by one before it", r->cls ? r->cls : "*",
					 r->detail ? r->detail : "", r->target);
	}
}

/* Every class of the schema but `other` has something to say, whatever the library. */
static void test_every_class(void **state)
{
	_cleanup_library_table_ struct library_table *t = NULL;

	(void)state;
	assert_int_equal(library_table_builtin(&t), 0);
	for (int c = 0; c < CLASS_COUNT; c++)
		if (c != CLASS_OTHER)
			assert_non_null(library_table_try(t, wait_class_name((enum wait_class)c), NULL, "acme\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches),	      cmocka_unit_test(test_files),
		cmocka_unit_test(test_mistakes),      cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_names),	      cmocka_unit_test(test_own_rules),
		cmocka_unit_test(test_order),	      cmocka_unit_test(test_hash),
		cmocka_unit_test(test_builtin_tries), cmocka_unit_test(test_builtin_is_sound),
		cmocka_unit_test(test_every_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
