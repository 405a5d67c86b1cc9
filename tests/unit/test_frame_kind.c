/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_frame_kind.c: report/frame_kind.c and report/frame_name.c: whose code a frame is, and how its function is spelled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <string.h>

#include "base/base.h"
#include "report/frame_kind.h"
#include "report/library_table.h"

#define REG "/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/"
#define STD "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/"

static const struct {
	const char *function, *file, *module;
	enum frame_kind kind;
} kinds[] = {
	/* the file decides when it is known */
	{"orders::api::get", "src/api.rs", "/srv/orders", FRAME_USER},
	{"get", "crates/store/src/lib.rs", "/srv/orders", FRAME_USER},
	{"<orders::Store as core::fmt::Debug>::fmt", "/home/u/orders/src/api.rs", "/srv/orders", FRAME_USER},
	{"tokio::helper", "src/tokio.rs", "/srv/orders", FRAME_USER},
	{"orders::api::get", STD "core/src/option.rs", "/srv/orders", FRAME_STD},
	{"core::ptr::drop_in_place<orders::Store>", STD "core/src/ptr/mod.rs", "/srv/orders", FRAME_STD},
	{"x", "/rustc/1.63.0/library/std/src/thread/mod.rs", NULL, FRAME_USER},
	{"x", "/usr/src/rustc-1.63.0/library/std/src/thread/mod.rs", NULL, FRAME_STD},
	{"x", "/root/.rustup/toolchains/stable/lib/rustlib/src/rust/library/std/src/fs.rs", NULL, FRAME_STD},
	{"x", "/rust/deps/hashbrown-0.15.2/src/raw.rs", NULL, FRAME_STD},
	{"x", REG "serde_json-1.0.140/src/de.rs", NULL, FRAME_LIBRARY},
	{"sqlite3_step", REG "libsqlite3-sys-0.30.1/sqlite3/sqlite3.c", NULL, FRAME_LIBRARY},
	{"x", REG "tokio-1.54.1/src/runtime/task/raw.rs", NULL, FRAME_RUNTIME},
	{"x", REG "mio-1.2.4/src/poll.rs", NULL, FRAME_RUNTIME},
	{"x", REG "futures-util-0.3.31/src/future/join_all.rs", NULL, FRAME_RUNTIME},
	{"x", REG "tokio-util-0.7.13/src/task/spawn_pinned.rs", NULL, FRAME_RUNTIME},
	{"x", REG "tokio-util-0.7.13/src/codec/framed.rs", NULL, FRAME_LIBRARY},
	{"x", REG "tokio-postgres-0.7.13/src/client.rs", NULL, FRAME_LIBRARY},
	{"x", REG "tracing-0.1.41/src/instrument.rs", NULL, FRAME_RUNTIME},
	{"x", REG "tracing-0.1.41/src/span.rs", NULL, FRAME_LIBRARY},
	{"x", "/root/.cargo/git/checkouts/tokio-377c595163f99a10/7b6ccb5/tokio/src/time/sleep.rs", NULL, FRAME_RUNTIME},
	{"x", "/root/.cargo/git/checkouts/widget-0123456789abcdef/7b6ccb5/src/lib.rs", NULL, FRAME_LIBRARY},
	{"x", "/usr/share/cargo/registry/tokio-1.24.2/src/park.rs", NULL, FRAME_RUNTIME},
	{"x", "/usr/share/cargo/registry/regex-1.7.1/src/exec.rs", NULL, FRAME_LIBRARY},
	{"x", "vendor/regex/src/exec.rs", NULL, FRAME_LIBRARY},
	{"x", "/build/vendor/tokio/src/park.rs", NULL, FRAME_RUNTIME},
	{"x", "src/vendor/mod.rs", NULL, FRAME_USER},
	{"x", "src/vendor/acme/src/lib.rs", NULL, FRAME_USER},
	{"x", "/nix/store/abc-vendor-cargo-deps/hyper-1.5.0/src/lib.rs", NULL, FRAME_LIBRARY},
	{"write", "../sysdeps/unix/sysv/linux/write.c", "/srv/orders", FRAME_NATIVE},
	{"my_c_code", "csrc/fast.c", "/srv/orders", FRAME_NATIVE},

	/* module first for kernel and system libraries */
	{"do_nanosleep", NULL, "[kernel.kallsyms]", FRAME_KERNEL},
	{"do_nanosleep", "", "[kernel]", FRAME_KERNEL},
	{"clock_gettime", NULL, "[vdso]", FRAME_NATIVE},
	{"std::__cxx11::basic_string::c_str", NULL, "/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30", FRAME_NATIVE},
	{"__nanosleep", NULL, "/lib/x86_64-linux-gnu/libc.so.6", FRAME_NATIVE},

	/* names, where there is no file */
	{"orders::api::get", NULL, "/srv/orders", FRAME_USER},
	{"orders_core::get", NULL, "/srv/orders", FRAME_USER},
	{"hyper::proto::h1::conn::Conn<I,B,T>::poll", NULL, "/srv/orders", FRAME_LIBRARY},
	{"redis::main", NULL, "/srv/redis", FRAME_USER},
	{"std::thread::sleep", NULL, "/srv/orders", FRAME_STD},
	{"<orders::Store as core::fmt::Debug>::fmt", NULL, "/srv/orders", FRAME_USER},
	{"<&mut orders::Store as core::fmt::Debug>::fmt", NULL, "/srv/orders", FRAME_USER},
	{"<T as tokio::util::Wake>::wake", NULL, "/srv/orders", FRAME_RUNTIME},
	{"<F as axum::handler::Handler<(M,T1),S>>::call::{{closure}}", NULL, "/srv/orders", FRAME_LIBRARY},
	{"<[T] as core::slice::Sort<(A, B)>>::sort", NULL, "/srv/orders", FRAME_STD},
	{"<alloc::boxed::Box<F,A> as core::ops::function::FnOnce<Args>>::call_once", NULL, "/srv/orders", FRAME_STD},
	{"<<orders::A as orders::B>::C as core::fmt::Debug>::fmt", NULL, "/srv/orders", FRAME_USER},
	{"core::ptr::drop_in_place<orders::Store>", NULL, "/srv/orders", FRAME_STD},
	{"tokio::runtime::task::raw::poll", NULL, "/srv/orders", FRAME_RUNTIME},
	{"<tokio_util::task::task_tracker::TrackedFuture<F> as core::future::Future>::poll", NULL, "/srv/orders", FRAME_RUNTIME},
	{"<tracing::instrument::Instrumented<T> as core::future::future::Future>::poll", NULL, "/srv/orders", FRAME_RUNTIME},
	{"tracing::span::Span::enter", NULL, "/srv/orders", FRAME_LIBRARY},
	{"<str>::trim_start_matches", NULL, "/srv/orders", FRAME_STD},
	{"main", NULL, "/srv/orders", FRAME_NATIVE},
	{"rust_begin_unwind", NULL, "/srv/orders", FRAME_STD},
	{"__rust_alloc", NULL, "/srv/orders", FRAME_STD},
	{"sqlite3_step", NULL, "/srv/orders", FRAME_NATIVE},
	{"", NULL, NULL, FRAME_NATIVE},
	{NULL, NULL, NULL, FRAME_NATIVE},
	{"<", NULL, NULL, FRAME_NATIVE},
	{"<<<<&'", NULL, NULL, FRAME_NATIVE},
};

static void test_kinds(void **state)
{
	_cleanup_library_table_ struct library_table *t = NULL;

	(void)state;
	assert_int_equal(library_table_builtin(&t), 0);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		enum frame_kind kind = frame_kind_of(t, kinds[i].function, kinds[i].file, kinds[i].module);

		if (kind != kinds[i].kind)
			fail_msg("%s in %s: %s, not %s", kinds[i].function, kinds[i].file ? kinds[i].file : "-",
				 frame_kind_name(kind), frame_kind_name(kinds[i].kind));
	}
}

static void test_crates(void **state)
{
	_cleanup_library_table_ struct library_table *t = NULL;
	char buf[16];

	(void)state;
	assert_int_equal(library_table_builtin(&t), 0);
	assert_int_equal(frame_kind_of(t, "acme_corasick::build", NULL, "/srv/orders"), FRAME_USER);
	assert_string_equal(frame_path_crate(REG "futures-util-0.3.31/src/lib.rs", buf, sizeof(buf)), "futures_util");
	assert_string_equal(frame_path_crate(REG "futures-util-0.3.31/src/lib.rs", buf, 5), "futu");
	assert_string_equal(frame_path_crate("src/lib.rs", buf, sizeof(buf)), "");
}

static void test_kind_names(void **state)
{
	(void)state;
	assert_string_equal(frame_kind_name(FRAME_USER), "user");
	assert_string_equal(frame_kind_name(FRAME_KERNEL), "kernel");
}

static const struct {
	const char *in, *path, *name, *display;
} spellings[] = {
	{"orders::api::process_large_file", "orders::api::process_large_file", "process_large_file", "process_large_file"},
	{"orders::api::handle_upload::{async_fn#0}", "orders::api::handle_upload::{async fn}", "handle_upload",
	 "handle_upload::{async fn}"},
	{"orders::api::up::{async_fn_env#0}", "orders::api::up::{async fn}", "up", "up::{async fn}"},
	{"orders::main::{{closure}}", "orders::main::{{closure}}", "main", "main::{{closure}}"},
	{"orders::main::{async_block#2}::{closure#1}", "orders::main::{async block}::{closure}", "main",
	 "main::{async block}::{closure}"},
	{"{async_fn#0}", "{async fn}", "{async fn}", "{async fn}"},
	{"{closure#0}<alloc::string::String>", "{closure}", "{closure}", "{closure}"},
	{"get", "get", "get", "get"},
	{"store<alloc::string::String, u32>", "store", "store", "store"},
	{"orders::sum::<alloc::string::String>", "orders::sum", "sum", "sum"},
	{"orders::Cache<K,V>::get", "orders::Cache::get", "get", "Cache::get"},
	{"<orders::api::Store>::get", "<orders::api::Store>::get", "get", "Store::get"},
	{"<orders::api::Store<alloc::string::String> as orders::Get>::get::{closure#0}",
	 "<orders::api::Store<alloc::string::String> as orders::Get>::get::{closure}", "get", "Store::get::{closure}"},
	{"<&mut orders::Store as core::fmt::Debug>::fmt", "<&mut orders::Store as core::fmt::Debug>::fmt", "fmt", "Store::fmt"},
	{"<F as axum::handler::Handler<(M,T1),S>>::call::{async_block#0}",
	 "<F as axum::handler::Handler<(M,T1),S>>::call::{async block}", "call", "F::call::{async block}"},
	{"orders::{impl#2}::from_args", "orders::{impl#2}::from_args", "from_args", "from_args"},
	{"orders::_::<impl serde::Serialize for orders::Order>::serialize", "orders::_::serialize", "serialize", "serialize"},
	{"core::ops::function::FnOnce::call_once{{vtable.shim}}", "core::ops::function::FnOnce::call_once{{vtable.shim}}",
	 "call_once{{vtable.shim}}", "FnOnce::call_once{{vtable.shim}}"},
	{"core::ptr::drop_in_place<fn(u32) -> orders::Store>", "core::ptr::drop_in_place", "drop_in_place", "drop_in_place"},
	{"clock_nanosleep", "clock_nanosleep", "clock_nanosleep", "clock_nanosleep"},
	{"", "", "", ""},
	{"::", "", "", ""},
	{"a::", "a", "a", "a"},
	{"<<<", "<<<", "<<<", "<<<"},
	{">>>", ">>>", ">>>", ">>>"},
	{"a<b", "a", "a", "a"},
};

static void test_spellings(void **state)
{
	char buf[FRAME_NAME_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(spellings); i++) {
		assert_string_equal(frame_function_path(spellings[i].in, buf, sizeof(buf)), spellings[i].path);
		assert_string_equal(frame_function_name(spellings[i].in, buf, sizeof(buf)), spellings[i].name);
		assert_string_equal(frame_display_function(spellings[i].in, buf, sizeof(buf)), spellings[i].display);
	}
}

static void test_small_buffers(void **state)
{
	char buf[8];

	(void)state;
	for (size_t n = 1; n <= sizeof(buf); n++) {
		for (size_t i = 0; i < ARRAY_SIZE(spellings); i++) {
			assert_true(strlen(frame_function_path(spellings[i].in, buf, n)) < n);
			assert_true(strlen(frame_function_name(spellings[i].in, buf, n)) < n);
			assert_true(strlen(frame_display_function(spellings[i].in, buf, n)) < n);
		}
	}
	/* "ä" is two bytes: it is whole or absent */
	assert_string_equal(frame_function_path("abc\xc3\xa4", buf, 6), "abc\xc3\xa4");
	assert_string_equal(frame_function_path("abc\xc3\xa4", buf, 5), "abc");
}

static void test_deep_path(void **state)
{
	char in[2000] = "", buf[FRAME_NAME_LEN];

	(void)state;
	for (size_t i = 0; i < 300; i++)
		memcpy(in + 5 * i, "abc::", 5);
	memcpy(in + 1500, "last", 5);
	assert_string_equal(frame_function_name(in, buf, sizeof(buf)), "last");
	assert_memory_equal(frame_function_path(in, buf, sizeof(buf)), "...::abc::", 10);
}

/* The poll of a task and nothing else of tokio's, by file and by name; as tokio 1.54 with and without debug info has them. */
static void task_polls(void **state)
{
#define REGISTRY "/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/"
	static const struct {
		const char *function, *file;
		bool is_poll;
	} cases[] = {
		{"tokio::runtime::task::core::{impl#6}::poll::{closure#0}", REGISTRY "tokio-1.54.1/src/runtime/task/core.rs",
		 true},
		{"tokio::runtime::task::harness::Harness<T,S>::poll", REGISTRY "tokio-1.54.1/src/runtime/task/harness.rs", true},
		{"poll_inner<F, alloc::sync::Arc<H>>", REGISTRY "tokio-1.54.1/src/runtime/task/harness.rs", true},
		{"poll_future<F>", "vendor/tokio/src/runtime/task/harness.rs", true},
		{"poll", REGISTRY "tokio-1.54.1/src/runtime/task/raw.rs", true},
		{"tokio::runtime::task::raw::poll", NULL, true},
		{"tokio::runtime::task::harness::Harness<T,S>::poll", "", true},
		{"<tokio::runtime::task::core::Core<T,S>>::poll", NULL, true},
		{"<tokio::runtime::task::join::JoinHandle<T> as core::future::future::Future>::poll", NULL, false},
		{"poll", REGISTRY "tokio-1.54.1/src/runtime/task/join.rs", false},
		{"try_read_output", REGISTRY "tokio-1.54.1/src/runtime/task/harness.rs", false},
		{"tokio::runtime::task::waker::wake_by_val", NULL, false},
		{"poll", REGISTRY "tokio-1.54.1/src/runtime/blocking/task.rs", false},
		{"poll", REGISTRY "other-1.0.0/src/runtime/task/raw.rs", false},
		{"poll", "/rustc/0123456789/library/core/src/future/future.rs", false},
		{"orders::call::<tokio::runtime::task::raw::poll>", NULL, false},
		{"tokio::runtime::task::raw_poll", NULL, false},
		{"tokio::runtime::task::raw::poll", "src/main.rs", false}, /* the file decides */
		{NULL, REGISTRY "tokio-1.54.1/src/runtime/task/raw.rs", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (frame_is_task_poll(cases[i].function, cases[i].file) != cases[i].is_poll)
			fail_msg("%s in %s", cases[i].function ? cases[i].function : "(null)",
				 cases[i].file ? cases[i].file : "(null)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(task_polls),	  cmocka_unit_test(test_kinds),	    cmocka_unit_test(test_kind_names),
		cmocka_unit_test(test_crates),	  cmocka_unit_test(test_spellings), cmocka_unit_test(test_small_buffers),
		cmocka_unit_test(test_deep_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
