/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_task_name.c: types of futures as linkers' names and debug info spell them, and what is made of them. All spellings are those of real programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <string.h>

#include "report/task_name.h"

static struct task_text text(const char *s)
{
	return (struct task_text){s, strlen(s)};
}

static void check_text(bool found, struct task_text t, const char *want)
{
	assert_int_equal(found, want != NULL);
	if (!want)
		return;
	assert_int_equal(t.n, strlen(want));
	assert_memory_equal(t.s, want, t.n);
}

static void type_of_drop(void **state)
{
	static const struct {
		const char *function, *want;
	} cases[] = {
		{"core::ptr::drop_in_place<tokio::runtime::task::core::Stage<names::echo::{{closure}}>>",
		 "names::echo::{{closure}}"},
		{"core::ptr::drop_in_place<tokio::runtime::task::core::CoreStage<a::B<u8,C>>>", "a::B<u8,C>"},
		{"core::ptr::drop_in_place<alloc::boxed::Box<tokio::runtime::task::core::Cell<<a::B as a::C>::run::{{closure}},alloc::sync::Arc<"
		 "tokio::runtime::scheduler::current_thread::Handle>>>>",
		 "<a::B as a::C>::run::{{closure}}"},
		{"core::ptr::drop_in_place::<tokio::runtime::task::core::Cell<fn() -> u64, S0>>", "fn() -> u64"},
		{"core::ptr::drop_in_place<tokio::runtime::task::core::Trailer>", NULL},
		{"core::ptr::drop_in_place<names::echo::{{closure}}>", NULL},
		{"core::ptr::drop_in_place<tokio::runtime::task::core::Cell<", NULL},
		{"core::ptr::drop_in_place<tokio::runtime::task::core::Cell<<<<", NULL},
		{"core::ptr::drop_in_place", NULL},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct task_text t = {0};
		bool found = task_name_of_drop(cases[i].function, &t);

		check_text(found, t, cases[i].want);
	}
}

static void type_of_generic(void **state)
{
	static const struct {
		const char *function, *want;
	} cases[] = {
		{"tokio::runtime::task::raw::poll::<a::run::{closure#0}, alloc::sync::Arc<tokio::runtime::scheduler::current_thread::Handle>>",
		 "a::run::{closure#0}"},
		{"poll<a::run::{async_fn_env#0}<alloc::vec::Vec<u8, alloc::alloc::Global>>, S>",
		 "a::run::{async_fn_env#0}<alloc::vec::Vec<u8, alloc::alloc::Global>>"},
		{"<tokio::runtime::task::harness::Harness<a::Job, S>>::complete", "a::Job"},
		{"tokio::runtime::task::harness::Harness<T,S>::poll", NULL}, /* a parameter, no type */
		{"tokio::runtime::task::raw::poll", NULL},
		{"tokio::runtime::task::raw::schedule::<alloc::sync::Arc<S>>", NULL},
		{"poll", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct task_text t = {0};
		bool found = task_name_of_generic(cases[i].function, &t);

		check_text(found, t, cases[i].want);
	}
}

static void bodies(void **state)
{
	struct task_text t = {0};

	(void)state;
	check_text(task_name_of_body("orders::serve::{{closure}}", &t), t, "orders::serve::{{closure}}");
	check_text(task_name_of_body("<orders::Job as core::future::future::Future>::poll", &t), t, "orders::Job");
	check_text(task_name_of_body("<orders::Store as orders::Job>::run::{{closure}}", &t), t,
		   "<orders::Store as orders::Job>::run::{{closure}}");
	assert_false(task_name_of_body("orders::serve", &t));
	assert_false(task_name_of_body("tokio::fs::read::{{closure}}", &t));
	assert_false(task_name_of_body("<futures_util::future::Map<F,G> as core::future::future::Future>::poll", &t));
	assert_true(task_name_is_way("<futures_util::future::Map<F,G> as core::future::future::Future>::poll"));
	assert_true(task_name_is_way("tokio::runtime::task::harness::Harness<T,S>::poll"));
	assert_false(task_name_is_way("orders::serve::{{closure}}"));
}

/* Type, kind and name. */
static void names(void **state)
{
	static const struct {
		const char *type, *want;
		enum task_kind kind;
	} cases[] = {
		{"orders::api::handle_upload::{{closure}}", "orders::api::handle_upload", TASK_FUTURE},
		{"orders::api::handle_upload::{closure#0}", "orders::api::handle_upload", TASK_FUTURE},
		{"orders::api::handle_upload::{async_fn_env#0}", "orders::api::handle_upload", TASK_FUTURE},
		{"orders::serve::{{closure}}::{{closure}}", "orders::serve::{async block}", TASK_FUTURE},
		{"orders::serve::{closure#0}::{closure#3}", "orders::serve::{async block}", TASK_FUTURE},
		{"orders::serve::{closure#1}", "orders::serve::{async block}", TASK_FUTURE},
		{"orders::serve::{async_fn#0}::{async_block_env#3}", "orders::serve::{async block}", TASK_FUTURE},
		{"orders::serve::{async_block_env#0}", "orders::serve::{async block}", TASK_FUTURE},
		{"a::all::{async_fn#0}::{closure#2}::{async_block_env#0}", "a::all::{closure}::{async block}", TASK_FUTURE},
		{"a::all::{{closure}}::{{closure}}::{{closure}}", "a::all::{{closure}}::{async block}", TASK_FUTURE},
		{"a::go::{closure#0}::{closure#1}::{closure#0}<i16>", "a::go::{closure}::{async block}", TASK_FUTURE},
		{"a::generic<alloc::string::String>::{{closure}}", "a::generic<String>", TASK_FUTURE},
		{"a::generic::<alloc::string::String>::{closure#0}", "a::generic<String>", TASK_FUTURE},
		{"a::generic::{async_fn_env#0}<alloc::vec::Vec<core::option::Option<u8>, alloc::alloc::Global>>",
		 "a::generic<Vec<Option<u8>>>", TASK_FUTURE},
		{"<orders::Store as orders::Job>::run::{{closure}}", "orders::Store::run", TASK_FUTURE},
		{"<orders::Store<u8>>::run::{closure#0}", "orders::Store<u8>::run", TASK_FUTURE},
		{"orders::{impl#1}::run::{async_fn_env#0}", "orders::{impl#1}::run", TASK_FUTURE},
		{"orders::Actor<mail::Mail,'a,a::serve::{{closure}}>", "orders::Actor<Mail, serve>", TASK_FUTURE},
		{"orders::Actor<a::A,a::B,a::C,a::D>", "orders::Actor<A, B, C, ..>", TASK_FUTURE},
		{"orders::Actor<a::AVeryLongNameIndeedOfAType,a::AnotherVeryLongNameOfAType>", "orders::Actor<..>", TASK_FUTURE},
		{"core::pin::Pin<alloc::boxed::Box<dyn core::future::future::Future<Output = u32> + core::marker::Send>>",
		 "dyn Future", TASK_FUTURE},
		{"core::pin::Pin<alloc::boxed::Box<(dyn core::future::future::Future<Output=u32> + core::marker::Send), alloc::alloc::Global>>",
		 "dyn Future", TASK_FUTURE},
		{"core::pin::Pin<alloc::boxed::Box<tracing::instrument::Instrumented<a::f::{{closure}}>>>", "a::f", TASK_FUTURE},
		{"futures_util::future::future::Map<a::f::{{closure}},a::g::{{closure}}>", "a::f", TASK_FUTURE},
		{"futures_util::future::try_join::TryJoin<A,B>", "futures_util::future::try_join::TryJoin<A, B>", TASK_FUTURE},
		{"tokio::task::task_local::TaskLocalFuture<u32,a::f::{{closure}}>", "a::f", TASK_FUTURE},
		{"tokio::runtime::blocking::task::BlockingTask<a::f::{{closure}}::{{closure}}>", "a::f::{closure}",
		 TASK_BLOCKING},
		{"tokio::runtime::blocking::task::BlockingTask<a::f::{{closure}}>", "a::f::{closure}", TASK_BLOCKING},
		{"tokio::runtime::blocking::task::BlockingTask<a::f::{async_fn#0}::{closure_env#0}>", "a::f::{closure}",
		 TASK_BLOCKING},
		{"tokio::runtime::blocking::task::BlockingTask<a::hash>", "a::hash", TASK_BLOCKING},
		{"tokio::runtime::blocking::task::BlockingTask<fn() -> u64>", "fn() -> u64", TASK_BLOCKING},
		{"tokio::runtime::blocking::task::BlockingTask<tokio::runtime::scheduler::multi_thread::worker::Launch::launch::{{closure}}>",
		 "tokio::runtime::scheduler::multi_thread::worker::Launch::launch::{closure}", TASK_WORKER},
		{"tokio::runtime::blocking::task::BlockingTask<tokio::runtime::scheduler::multi_thread::worker::block_in_place<F,R>::{{closure}}>",
		 "tokio::runtime::scheduler::multi_thread::worker::block_in_place<F, R>::{closure}", TASK_WORKER},
		{"mine::Launch::launch::{{closure}}", "mine::Launch::launch", TASK_FUTURE},
		{"", "", TASK_FUTURE},
		{"<<<<", "", TASK_FUTURE},
		{"a::b<c", "a::b", TASK_FUTURE},
		{"::::", "", TASK_FUTURE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char name[TASK_NAME_MAX];
		enum task_kind kind;
		struct task_text t = task_name_peel(text(cases[i].type), &kind);

		task_name_print(t, kind, name, sizeof(name));
		assert_string_equal(name, cases[i].want);
		assert_int_equal(kind, cases[i].kind);
	}
}

static void keys(void **state)
{
	static const char *const same[][2] = {
		{"a::generic<u32>::{{closure}}", "a::generic::{{closure}}"},
		{"a::generic::<u32>::{closure#0}", "a::generic::{async_fn_env#0}<u32>"},
		{"<a::B as a::C<u8>>::run::{{closure}}", "a::B::run::{closure#1}"},
	};
	char a[TASK_NAME_MAX], b[TASK_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		task_name_key(text(same[i][0]), a, sizeof(a));
		task_name_key(text(same[i][1]), b, sizeof(b));
		assert_string_equal(a, b);
	}
	task_name_key(text("a::f"), a, sizeof(a));
	task_name_key(text("a::f::{{closure}}"), b, sizeof(b));
	assert_string_not_equal(a, b);
}

/* Whatever is cut off, a name ends, and within its room; a character is not cut. */
static void cut(void **state)
{
	static const char type[] = "a\xc3\xa4::f<b::\xe2\x82\xac<u8>,[u8; 4],(a,b),&mut c::D>::{async_fn#0}::{closure#1}<x::Y>";
	char name[64], copy[sizeof(type)];

	(void)state;
	for (size_t n = 0; n < sizeof(type); n++) {
		for (size_t room = 1; room < sizeof(name); room++) {
			enum task_kind kind;
			struct task_text t;

			memcpy(copy, type, n);
			t = task_name_peel((struct task_text){copy, n}, &kind);
			memset(name, 'x', sizeof(name));
			task_name_print(t, kind, name, room);
			assert_true(strlen(name) < room);
			task_name_key(t, name, room);
			assert_true(strlen(name) < room);
		}
	}
	for (size_t room = 1; room < 5; room++) {
		task_name_print(text("a\xe2\x82\xac"), TASK_FUTURE, name, room);
		assert_string_equal(name, room < 2 ? "" : room < 5 ? "a" : "a\xe2\x82\xac");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(type_of_drop), cmocka_unit_test(type_of_generic),
		cmocka_unit_test(bodies),	cmocka_unit_test(names),
		cmocka_unit_test(keys),		cmocka_unit_test(cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
