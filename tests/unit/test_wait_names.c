/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_wait_names.c: what names of frames say of a wait: a case for each kind of lock, with the stacks that programs really show
 * (recorded with rustc 1.95, debug info and without), each kernel rule, the order of rules. And what system calls say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <string.h>
#include <sys/syscall.h>

#include "report/wait_detail.h"
#include "report/wait_names.h"

#define U	   FRAME_USER
#define L	   FRAME_LIBRARY
#define S	   FRAME_STD
#define R	   FRAME_RUNTIME
#define N	   FRAME_NATIVE
#define REG	   "/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/"
#define STD	   "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/"
#define MAX_FRAMES 8

struct frame_case {
	enum frame_kind kind;
	const char *function, *file;
};

struct stack_case {
	const char *what;
	struct frame_case frames[MAX_FRAMES]; /* innermost first; the first without a function ends them */
	const char *says;		      /* a kind of lock, a detail of network, "lookup"; NULL nothing */
};

#define SYSCALL                                                                                                                  \
	{                                                                                                                        \
		N, "syscall", NULL                                                                                               \
	}
#define FUTEX_WAIT                                                                                                               \
	{                                                                                                                        \
		S, "std::sys::pal::unix::futex::futex_wait", STD "sys/pal/unix/futex.rs"                                         \
	}
#define PARKER                                                                                                                   \
	{                                                                                                                        \
		S, "<std::sys::sync::thread_parking::futex::Parker>::park", STD "sys/sync/thread_parking/futex.rs"               \
	}
#define PARK                                                                                                                     \
	{                                                                                                                        \
		S, "std::thread::functions::park", STD "thread/functions.rs"                                                     \
	}
#define CONDVAR                                                                                                                  \
	{                                                                                                                        \
		S, "<std::sys::sync::condvar::futex::Condvar>::wait", STD "sys/sync/condvar/futex.rs"                            \
	}
#define MUTEX                                                                                                                    \
	{                                                                                                                        \
		S, "<std::sys::sync::mutex::futex::Mutex>::lock_contended", STD "sys/sync/mutex/futex.rs"                        \
	}
#define USER                                                                                                                     \
	{                                                                                                                        \
		U, "orders::get::{async_fn#0}", "src/api.rs"                                                                     \
	}
#define USER_BARE                                                                                                                \
	{                                                                                                                        \
		U, "orders::get::{{closure}}", NULL                                                                              \
	}
#define POLL                                                                                                                     \
	{                                                                                                                        \
		R, "tokio::runtime::task::raw::poll", NULL                                                                       \
	}

static const struct stack_case stacks[] = {
	{"std mutex", {SYSCALL, FUTEX_WAIT, MUTEX, USER}, "mutex"},
	{"std mutex, without debug info",
	 {SYSCALL, {S, "<std::sys::sync::mutex::futex::Mutex>::lock_contended", NULL}, USER_BARE},
	 "mutex"},
	{"std mutex of 1.63", {SYSCALL, {S, "std::sys::unix::locks::futex_mutex::Mutex::lock_contended", NULL}, USER}, "mutex"},
	{"std rwlock", {SYSCALL, {S, "<std::sys::sync::rwlock::futex::RwLock>::read_contended", NULL}, USER}, "rwlock"},
	{"std rwlock of 1.63",
	 {SYSCALL, {S, "std::sys::unix::locks::futex_rwlock::RwLock::write_contended", NULL}, USER},
	 "rwlock"},
	{"std condvar", {SYSCALL, FUTEX_WAIT, CONDVAR, {S, "std::sync::poison::condvar::Condvar::wait", NULL}, USER}, "condvar"},
	{"condvar that takes its mutex again", {SYSCALL, MUTEX, CONDVAR, USER}, "mutex"},
	{"std condvar, inlined into its caller", {SYSCALL, FUTEX_WAIT, CONDVAR, USER}, "condvar"},
	{"join alone", {SYSCALL, {S, "<std::thread::JoinHandle<()>>::join", STD "thread/mod.rs"}, USER}, "join"},
	{"std barrier, made of a condvar", {SYSCALL, CONDVAR, {S, "<std::sync::barrier::Barrier>::wait", NULL}, USER}, "barrier"},
	{"std once", {SYSCALL, {S, "<std::sys::sync::once::futex::Once>::call", NULL}, USER}, "once"},
	{"once of 1.63", {SYSCALL, {S, "std::sys_common::once::futex::Once::call", NULL}, USER}, "once"},
	{"once_lock by file", {SYSCALL, {S, "initialize<u32>", STD "sync/once_lock.rs"}, USER}, "once"},
	{"lazy_lock", {SYSCALL, {S, "std::sync::lazy_lock::LazyLock<T,F>::force", NULL}, USER}, "once"},
	{"mutex that the initialiser of a once takes",
	 {SYSCALL, MUTEX, USER, {S, "<std::sys::sync::once::futex::Once>::call", NULL}, USER},
	 "mutex"},
	{"something the initialiser waits for, unknown",
	 {SYSCALL, USER, {S, "<std::sys::sync::once::futex::Once>::call", NULL}},
	 NULL},
	{"mpsc, made of parking",
	 {SYSCALL,
	  PARKER,
	  {S, "wait_until", STD "sync/mpmc/context.rs"},
	  {S, "std::sync::mpmc::list::Channel<T>::recv", NULL},
	  USER},
	 "channel"},
	{"mpsc send", {SYSCALL, {S, "std::sync::mpmc::zero::Channel<T>::send::{{closure}}", NULL}, USER_BARE}, "channel"},
	{"crossbeam",
	 {SYSCALL, PARK, {L, "crossbeam_channel::flavors::array::Channel<T>::recv::{{closure}}", NULL}, USER_BARE},
	 "channel"},
	{"flume by file", {SYSCALL, PARK, {L, "wait_recv<i32>", REG "flume-0.11.1/src/signal.rs"}, USER}, "channel"},
	{"kanal", {SYSCALL, PARK, {L, "kanal::signal::Signal<T>::wait", REG "kanal-0.1.1/src/signal.rs"}, USER}, "channel"},
	{"async_channel",
	 {SYSCALL,
	  CONDVAR,
	  {L, "parking::Inner::park", NULL},
	  {L, "<event_listener_strategy::Blocking as event_listener_strategy::Strategy>::poll", NULL},
	  {L, "async_channel::Receiver<T>::recv_blocking", NULL},
	  USER},
	 "channel"},
	{"tokio blocking_recv",
	 {SYSCALL,
	  CONDVAR,
	  {R, "tokio::runtime::park::CachedParkThread::block_on", NULL},
	  {R, "tokio::future::block_on::block_on", NULL},
	  {R, "tokio::sync::oneshot::Receiver<T>::blocking_recv", NULL},
	  USER},
	 "channel"},
	{"join",
	 {{N, "pthread_join", NULL},
	  {S, "<std::sys::thread::unix::Thread>::join", NULL},
	  {S, "std::thread::lifecycle::JoinInner<T>::join", NULL},
	  USER},
	 "join"},
	{"join of glibc, internal name", {{N, "__pthread_clockjoin_ex", NULL}, USER}, "join"},
	{"scope", {SYSCALL, PARKER, {S, "std::thread::scoped::scope", NULL}, USER}, "join"},
	{"rayon", {SYSCALL, CONDVAR, {L, "rayon_core::latch::LockLatch::wait_and_reset", NULL}, USER}, "join"},
	{"park", {SYSCALL, FUTEX_WAIT, PARKER, PARK, USER}, "park"},
	{"park, inlined into its caller", {SYSCALL, FUTEX_WAIT, PARKER, USER}, "park"},
	{"park_timeout", {SYSCALL, {S, "std::thread::functions::park_timeout", STD "thread/functions.rs"}, USER}, "park"},
	{"parking below what was inlined and has no names", {SYSCALL, PARK, USER_BARE}, NULL},
	{"parking below an unknown library's nameless callers",
	 {SYSCALL, PARK, {L, "acme::queue::Queue<T>::pop", NULL}, USER_BARE},
	 NULL},
	{"parking that an unknown library asked for",
	 {SYSCALL, PARK, {L, "acme::queue::Queue<T>::pop", REG "acme-0.1.0/src/queue.rs"}, USER},
	 "park"},
	{"parking_lot mutex",
	 {SYSCALL,
	  {L, "park", REG "parking_lot_core-0.9.12/src/parking_lot.rs"},
	  {L, "parking_lot::raw_mutex::RawMutex::lock_slow", NULL},
	  {L, "lock_api::mutex::Mutex<R,T>::lock", NULL},
	  USER},
	 "mutex"},
	{"parking_lot rwlock",
	 {SYSCALL, {L, "parking_lot::raw_rwlock::RawRwLock::lock_exclusive_slow", NULL}, USER_BARE},
	 "rwlock"},
	{"parking_lot condvar", {SYSCALL, {L, "parking_lot::condvar::Condvar::wait_until_internal", NULL}, USER_BARE}, "condvar"},
	{"parking_lot once", {SYSCALL, {L, "parking_lot::once::Once::call_once_slow", NULL}, USER}, "once"},
	{"dashmap",
	 {SYSCALL,
	  {L, "parking_lot_core::parking_lot::park::{{closure}}", NULL},
	  {L, "dashmap::lock::RawRwLock::lock_shared_slow", NULL},
	  USER_BARE},
	 "rwlock"},
	{"once_cell", {SYSCALL, PARK, {L, "once_cell::imp::initialize_or_wait", NULL}, USER_BARE}, "once"},
	{"futures block_on", {SYSCALL, PARK, {R, "futures_executor::local_pool::block_on", NULL}, USER}, "block_on"},
	{"pollster", {SYSCALL, CONDVAR, {L, "pollster::Signal::wait", REG "pollster-0.4.0/src/lib.rs"}, USER}, "block_on"},
	{"tokio block_on",
	 {SYSCALL,
	  {L, "parking_lot::condvar::Condvar::wait_until_internal", NULL},
	  {R, "tokio::loom::std::parking_lot::Condvar::wait", NULL},
	  {R, "tokio::runtime::park::Inner::park", NULL},
	  {R, "tokio::runtime::handle::Handle::block_on", NULL},
	  USER},
	 "block_on"},
	{"mutex of a future that block_on polls",
	 {SYSCALL, MUTEX, {L, "acme::Fut::poll", NULL}, {R, "futures_executor::local_pool::block_on", NULL}, USER},
	 "mutex"},
	{"mutex of the runtime",
	 {SYSCALL, MUTEX, {R, "tokio::runtime::scheduler::inject::Inject<T>::push", NULL}, USER},
	 "mutex"},
	{"stdout",
	 {SYSCALL,
	  MUTEX,
	  {S, "<&std::io::stdio::Stdout as std::io::Write>::write_fmt", NULL},
	  {S, "std::io::stdio::_print", NULL},
	  USER},
	 "stdio"},
	{"C's stdout", {{N, "__lll_lock_wait_private", NULL}, {N, "_IO_puts", NULL}, USER}, "stdio"},
	{"malloc's arena",
	 {{N, "__lll_lock_wait_private", NULL},
	  {N, "_int_malloc", NULL},
	  {N, "__libc_malloc", NULL},
	  {S, "__rust_alloc", NULL},
	  USER},
	 "allocator"},
	{"jemalloc", {SYSCALL, {N, "pthread_mutex_lock", NULL}, {N, "_rjem_je_malloc_mutex_lock_slow", NULL}, USER}, "allocator"},
	{"not free()", {SYSCALL, {N, "freeaddrinfo", NULL}, USER}, NULL},
	{"the loader", {{N, "___pthread_mutex_lock", NULL}, {N, "__dl_iterate_phdr", NULL}, USER}, "dynamic loader"},
	{"C mutex", {{N, "pthread_mutex_lock", NULL}, USER_BARE}, "mutex"},
	{"C rwlock", {{N, "__pthread_rwlock_wrlock_full64", NULL}, USER}, "rwlock"},
	{"C condvar", {{N, "__pthread_cond_wait_common", NULL}, USER}, "condvar"},
	{"C semaphore", {{N, "__new_sem_wait_slow64.constprop.0", NULL}, USER}, "semaphore"},
	{"a system call by hand", {SYSCALL, USER}, NULL},
	{"nothing of what runs the task",
	 {SYSCALL, POLL, {S, "<std::sys::sync::mutex::futex::Mutex>::lock_contended", NULL}},
	 NULL},
	{"a type among the arguments says nothing",
	 {SYSCALL, {S, "core::ops::function::FnOnce::call_once<std::sync::mpsc::Receiver<u8>>", NULL}, USER},
	 NULL},
	{"connect_timeout",
	 {{N, "poll", NULL}, {S, "std::sys::net::connection::socket::unix::Socket::connect_timeout", NULL}, USER},
	 "connect"},
	{"tls",
	 {{N, "recv", NULL},
	  {S, "std::net::tcp::TcpStream::read", NULL},
	  {L, "rustls::conn::Connection::complete_io", NULL},
	  {L, "ureq::get", NULL},
	  USER},
	 "tls"},
	{"tls of C", {{N, "read", NULL}, {N, "SSL_read", NULL}, USER}, "tls"},
	{"name lookup",
	 {{N, "poll", NULL},
	  {N, "__res_context_send", NULL},
	  {N, "getaddrinfo", NULL},
	  {S, "<std::sys::net::LookupHost as core::convert::TryFrom<&str>>::try_from", NULL},
	  USER},
	 "lookup"},
};

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static void stack_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(stacks); i++) {
		const struct stack_case *c = &stacks[i];
		struct name_scan s = {0};

		for (u32 f = 0; f < MAX_FRAMES && c->frames[f].function; f++) {
			const struct frame_case *fc = &c->frames[f];

			name_scan_frame(&s, &(struct scan_frame){.file = fc->file,
								 .kind = fc->kind,
								 .hint = name_hint_of(fc->function, fc->file, fc->kind),
								 .is_lookup = name_is_lookup(fc->function, fc->kind),
								 .is_task_poll = fc->kind == R &&
										 frame_is_task_poll(fc->function, fc->file)});
		}
		if (!same(s.is_lookup ? "lookup" : s.lock ? s.lock : s.network, c->says))
			fail_msg("%s: lock %s, network %s, lookup %d", c->what, s.lock ? s.lock : "-",
				 s.network ? s.network : "-", s.is_lookup);
	}
}

struct words_case {
	const char *what;
	struct wait_words before;
	const char *lock, *network;
	bool is_lookup;
	const char *kernel;
	struct wait_words after;
};

static const struct words_case words[] = {
	{"fault in a read", {"disk", "iowait", "read"}, NULL, NULL, false, "asm_exc_page_fault", {"fault", "fault-stack", NULL}},
	{"fault in a futex", {"lock", "futex", NULL}, "mutex", NULL, false, "exc_page_fault", {"fault", "fault-stack", NULL}},
	{"fault in a sleep",
	 {"sleep", "nanosleep", NULL},
	 NULL,
	 NULL,
	 false,
	 "do_user_addr_fault",
	 {"fault", "fault-stack", NULL}},
	{"fault, S, no call", {"other", "other", NULL}, NULL, NULL, false, "handle_userfault", {"fault", "fault-stack", NULL}},
	{"fault for direct I/O", {"disk", "file", "read"}, NULL, NULL, false, "handle_mm_fault", {"fault", "fault-stack", NULL}},
	{"fault within a lookup",
	 {"network", "socket", "poll"},
	 NULL,
	 NULL,
	 true,
	 "do_page_fault",
	 {"fault", "fault-stack", NULL}},
	{"fault by its state stays", {"fault", "fault", NULL}, NULL, NULL, true, "asm_exc_page_fault", {"fault", "fault", NULL}},
	{"lookup by socket", {"network", "socket", "poll"}, NULL, NULL, true, NULL, {"dns", "dns", NULL}},
	{"lookup by lock", {"lock", "futex", NULL}, "mutex", NULL, true, NULL, {"dns", "dns", NULL}},
	{"sleep within a lookup", {"sleep", "nanosleep", NULL}, NULL, NULL, true, NULL, {"sleep", "nanosleep", NULL}},
	{"lock", {"lock", "futex", NULL}, "rwlock", NULL, false, NULL, {"lock", "futex", "rwlock"}},
	{"lock, names do not tell", {"lock", "futex", NULL}, NULL, NULL, false, NULL, {"lock", "futex", NULL}},
	{"no lock", {"disk", "file", "read"}, "mutex", "tls", false, NULL, {"disk", "file", "read"}},
	{"tls", {"network", "socket", "read"}, NULL, "tls", false, NULL, {"network", "socket", "tls"}},
	{"eventfd", {"other", "other", NULL}, NULL, NULL, false, "eventfd_read", {"other", "anon-inode", "eventfd"}},
	{"eventfd that says it is a file",
	 {"disk", "file", "read"},
	 NULL,
	 NULL,
	 false,
	 "eventfd_read",
	 {"other", "anon-inode", "eventfd"}},
	{"timerfd", {"other", "other", NULL}, NULL, NULL, false, "timerfd_read_iter", {"other", "anon-inode", "timerfd"}},
	{"inotify", {"other", "other", NULL}, NULL, NULL, false, "inotify_read", {"other", "anon-inode", "inotify"}},
	{"signalfd", {"other", "other", NULL}, NULL, NULL, false, "signalfd_dequeue", {"other", "anon-inode", "signalfd"}},
	{"not a lock", {"lock", "futex", NULL}, NULL, NULL, false, "eventfd_read", {"lock", "futex", NULL}},
	{"open of a FIFO", {"other", "other", NULL}, NULL, NULL, false, "wait_for_partner", {"pipe", "fifo-open", "open"}},
	{"tty", {"pipe", "device", "device"}, NULL, NULL, false, "n_tty_read", {"pipe", "device", "tty"}},
	{"fcntl", {"other", "other", NULL}, NULL, NULL, false, "fcntl_setlk", {"disk", "file-lock", "lock"}},
	{"flock is disk already", {"disk", "file", "lock"}, NULL, NULL, false, "locks_lock_inode_wait", {"disk", "file", "lock"}},
	{"open on FUSE", {"other", "other", NULL}, NULL, NULL, false, "request_wait_answer", {"disk", "file-system", NULL}},
	{"open on NFS",
	 {"other", "other", NULL},
	 NULL,
	 NULL,
	 false,
	 "rpc_wait_bit_killable.part.0",
	 {"disk", "file-system", NULL}},
};

static void words_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const struct words_case *c = &words[i];
		struct wait_words w = c->before;
		struct wait_says s = {c->lock, c->network, c->is_lookup, c->kernel ? kernel_hint_of(c->kernel) : 0};
		bool changed;

		if (c->kernel)
			assert_int_not_equal(s.kernel, 0);
		changed = wait_words_refine(&w, &s);
		if (!same(w.cls, c->after.cls) || !same(w.rule, c->after.rule) || !same(w.detail, c->after.detail))
			fail_msg("%s: %s by %s: %s", c->what, w.cls, w.rule, w.detail ? w.detail : "-");
		assert_int_equal(changed, !same(c->before.cls, w.cls) || !same(c->before.rule, w.rule) ||
						  !same(c->before.detail, w.detail));
		if (wait_words_refine(&w, &s))
			fail_msg("%s: applied twice it changes again", c->what);
	}
}

static void kernel_names(void **state)
{
	(void)state;
	assert_int_equal(kernel_hint_of("schedule"), 0);
	assert_int_equal(kernel_hint_of(""), 0);
	assert_int_equal(kernel_hint_of("eventfd_readx"), 0);
	assert_int_equal(kernel_hint_of("eventfd_read.isra.0"), kernel_hint_of("eventfd_read"));
	/* a page fault counts more than what it happened in */
	assert_true(kernel_hint_of("asm_exc_page_fault") < kernel_hint_of("eventfd_read"));
	assert_true(kernel_hint_of("handle_mm_fault") < kernel_hint_of("n_tty_read"));
}

/* ---- system calls ---- */

#define CALL(name) (SYS_##name + 1)

static const struct {
	enum wait_class cls;
	enum wait_rule rule;
	u64 syscall;
	const char *detail;
} calls[] = {
	{CLASS_NETWORK, RULE_SOCKET, CALL(connect), "connect"},
	{CLASS_NETWORK, RULE_SOCKET, CALL(accept4), "accept"},
	{CLASS_NETWORK, RULE_SOCKET, CALL(recvfrom), "read"},
	{CLASS_NETWORK, RULE_SOCKET, CALL(read), "read"},
	{CLASS_NETWORK, RULE_SOCKET, CALL(sendmsg), "write"},
	{CLASS_NETWORK, RULE_SOCKET, CALL(ppoll), "poll"},
	{CLASS_NETWORK, RULE_SOCKET, CALL(shutdown), "close"},
	{CLASS_DISK, RULE_FILE, CALL(pread64), "read"},
	{CLASS_DISK, RULE_IOWAIT, CALL(write), "write"},
	{CLASS_DISK, RULE_FSYNC, CALL(fdatasync), "fsync"},
	{CLASS_DISK, RULE_PATH, CALL(openat), "open"},
	{CLASS_DISK, RULE_PATH, CALL(newfstatat), "stat"},
	{CLASS_DISK, RULE_FILE, CALL(getdents64), "readdir"},
	{CLASS_DISK, RULE_FILE, CALL(flock), "lock"},
	{CLASS_DISK, RULE_PATH, CALL(rename), "rename"},
	{CLASS_DISK, RULE_PATH, CALL(unlinkat), "unlink"},
	{CLASS_DISK, RULE_FILE, CALL(copy_file_range), "copy"},
	{CLASS_DISK, RULE_IOWAIT, CALL(mmap), NULL},
	{CLASS_DISK, RULE_IOWAIT, 0, NULL},
	{CLASS_PROCESS, RULE_CHILD, CALL(wait4), "wait"},
	{CLASS_PROCESS, RULE_CHILD, CALL(vfork), "spawn"},
	{CLASS_PIPE, RULE_PIPE, CALL(read), "pipe"},
	{CLASS_PIPE, RULE_DEVICE, CALL(poll), "device"},
	{CLASS_OTHER, RULE_EVENT_LOOP, CALL(epoll_wait), "event loop"},
	{CLASS_OTHER, RULE_EVENT_LOOP, CALL(pselect6), "event loop"},
	{CLASS_OTHER, RULE_IO_URING, 426 + 1, "io_uring"},
	{CLASS_OTHER, RULE_OTHER, CALL(rt_sigtimedwait), "signal"},
	{CLASS_OTHER, RULE_OTHER, CALL(munmap), "memory map"},
	{CLASS_OTHER, RULE_OTHER, CALL(ptrace), NULL},
	{CLASS_LOCK, RULE_FUTEX, CALL(futex), NULL},
	{CLASS_SLEEP, RULE_NANOSLEEP, CALL(nanosleep), NULL},
	{CLASS_FAULT, RULE_FAULT, 0, NULL},
	{CLASS_CPU, RULE_CPU, 0, NULL},
	{CLASS_OTHER, RULE_OTHER, UINT64_MAX, NULL},
};

static void call_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		const char *detail = wait_detail_of_call((struct wait_verdict){calls[i].cls, calls[i].rule}, calls[i].syscall);

		if (!same(detail, calls[i].detail))
			fail_msg("%s: %s, not %s", syscall_name(calls[i].syscall), detail ? detail : "-",
				 calls[i].detail ? calls[i].detail : "-");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stack_rows),
		cmocka_unit_test(words_rows),
		cmocka_unit_test(kernel_names),
		cmocka_unit_test(call_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
