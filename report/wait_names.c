/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wait_names.c: see wait_names.h. */
#include "report/wait_names.h"

#include <string.h>

#include "report/library_table.h"

/* ---- user frames ---- */

/*
 * Levels. A thread that waits for a channel is parked, parking waits for a futex; a barrier is a condvar and its mutex: of frames
 * without strangers between them the highest level tells what the user waits for, of equal ones the innermost.
 */
enum {
	L_GLUE,	 /* belongs to a lock's code */
	L_PARK,	 /* a thread's parking: anything may be built on it */
	L_PLAIN, /* mutex, rwlock, condvar */
	L_PARKER,
	L_BUILT, /* made of those */
	L_OUTER, /* made of those in turn */
};

struct hint_rule {
	const char *prefix;   /* of the function's own path, or of its file */
	const char *function; /* its last part begins so; NULL any */
	struct name_hint hint;
};

#define LOCK(detail, level)                                                                                                      \
	{                                                                                                                        \
		"lock", (detail), (level)                                                                                        \
	}

static const struct hint_rule std_hints[] = {
	{"std::io::stdio", NULL, LOCK("stdio", L_BUILT)},
	{"std::sync::mpsc", NULL, LOCK("channel", L_BUILT)},
	{"std::sync::mpmc", NULL, LOCK("channel", L_BUILT)},
	{"std::sync::barrier", NULL, LOCK("barrier", L_BUILT)},
	{"std::sync::nonpoison::barrier", NULL, LOCK("barrier", L_BUILT)},
	{"std::sync::once", NULL, LOCK("once", L_BUILT)},
	{"std::sync::poison::once", NULL, LOCK("once", L_BUILT)},
	{"std::sync::once_lock", NULL, LOCK("once", L_BUILT)},
	{"std::sync::lazy_lock", NULL, LOCK("once", L_BUILT)},
	{"std::sys::sync::once", NULL, LOCK("once", L_BUILT)},
	{"std::sys_common::once", NULL, LOCK("once", L_BUILT)},
	{"std::thread::scoped", NULL, LOCK("join", L_BUILT)},
	{"std::thread", "join", LOCK("join", L_BUILT)},
	{"std::sys::thread", "join", LOCK("join", L_BUILT)},
	{"std::sys::pal::unix::thread", "join", LOCK("join", L_BUILT)},
	{"std::sys::unix::thread", "join", LOCK("join", L_BUILT)},
	{"std::sys::sync::mutex", NULL, LOCK("mutex", L_PLAIN)},
	{"std::sys::unix::locks::futex_mutex", NULL, LOCK("mutex", L_PLAIN)},
	{"std::sync::mutex", NULL, LOCK("mutex", L_PLAIN)},
	{"std::sync::poison::mutex", NULL, LOCK("mutex", L_PLAIN)},
	{"std::sync::nonpoison::mutex", NULL, LOCK("mutex", L_PLAIN)},
	{"std::sync::reentrant_lock", NULL, LOCK("mutex", L_PLAIN)},
	{"std::sys_common::remutex", NULL, LOCK("mutex", L_PLAIN)},
	{"std::sys::sync::rwlock", NULL, LOCK("rwlock", L_PLAIN)},
	{"std::sys::unix::locks::futex_rwlock", NULL, LOCK("rwlock", L_PLAIN)},
	{"std::sync::rwlock", NULL, LOCK("rwlock", L_PLAIN)},
	{"std::sync::poison::rwlock", NULL, LOCK("rwlock", L_PLAIN)},
	{"std::sync::nonpoison::rwlock", NULL, LOCK("rwlock", L_PLAIN)},
	{"std::sys::sync::condvar", NULL, LOCK("condvar", L_PLAIN)},
	{"std::sys::unix::locks::futex_condvar", NULL, LOCK("condvar", L_PLAIN)},
	{"std::sync::condvar", NULL, LOCK("condvar", L_PLAIN)},
	{"std::sync::poison::condvar", NULL, LOCK("condvar", L_PLAIN)},
	{"std::sync::nonpoison::condvar", NULL, LOCK("condvar", L_PLAIN)},
	{"std::sys::sync::thread_parking", NULL, LOCK("park", L_PARK)},
	{"std::sys_common::thread_parking", NULL, LOCK("park", L_PARK)},
	{"std::sys_common::thread_parker", NULL, LOCK("park", L_PARK)},
	{"std::thread", "park", LOCK("park", L_PARK)},
	{"std::net", "connect_timeout", {"network", "connect", L_PLAIN}},
	{"std::sys::net", "connect_timeout", {"network", "connect", L_PLAIN}},
	{"std::sys::pal::unix::net", "connect_timeout", {"network", "connect", L_PLAIN}},
	{"std::sys::unix::net", "connect_timeout", {"network", "connect", L_PLAIN}},
};

static const struct hint_rule library_hints[] = {
	{"parking_lot::raw_mutex", NULL, LOCK("mutex", L_PLAIN)},
	{"parking_lot::mutex", NULL, LOCK("mutex", L_PLAIN)},
	{"parking_lot::raw_fair_mutex", NULL, LOCK("mutex", L_PLAIN)},
	{"parking_lot::fair_mutex", NULL, LOCK("mutex", L_PLAIN)},
	{"parking_lot::remutex", NULL, LOCK("mutex", L_PLAIN)},
	{"parking_lot::raw_rwlock", NULL, LOCK("rwlock", L_PLAIN)},
	{"parking_lot::rwlock", NULL, LOCK("rwlock", L_PLAIN)},
	{"parking_lot::condvar", NULL, LOCK("condvar", L_PLAIN)},
	{"parking_lot::once", NULL, LOCK("once", L_BUILT)},
	{"parking_lot_core", NULL, LOCK("park", L_PARK)},
	{"lock_api", NULL, LOCK(NULL, L_GLUE)},
	{"dashmap", NULL, LOCK("rwlock", L_PLAIN)},
	{"once_cell", NULL, LOCK("once", L_BUILT)},
	{"lazy_static", NULL, LOCK("once", L_BUILT)},
	{"crossbeam_channel", NULL, LOCK("channel", L_BUILT)},
	{"crossbeam_utils::sync::parker", NULL, LOCK("park", L_PARKER)},
	{"crossbeam_utils::sync::wait_group", NULL, LOCK("barrier", L_BUILT)},
	{"crossbeam_utils::sync::sharded_lock", NULL, LOCK("rwlock", L_BUILT)},
	{"crossbeam_utils::thread", NULL, LOCK("join", L_BUILT)},
	{"flume", NULL, LOCK("channel", L_BUILT)},
	{"kanal", NULL, LOCK("channel", L_BUILT)},
	{"loole", NULL, LOCK("channel", L_BUILT)},
	{"event_listener", NULL, LOCK("park", L_PARKER)},
	{"event_listener_strategy", NULL, LOCK(NULL, L_GLUE)},
	{"parking", NULL, LOCK("park", L_PARKER)},
	{"async_channel", NULL, LOCK("channel", L_BUILT)},
	{"async_lock::mutex", NULL, LOCK("mutex", L_BUILT)},
	{"async_lock::rwlock", NULL, LOCK("rwlock", L_BUILT)},
	{"async_lock::semaphore", NULL, LOCK("semaphore", L_BUILT)},
	{"async_lock::barrier", NULL, LOCK("barrier", L_BUILT)},
	{"async_lock::once_cell", NULL, LOCK("once", L_BUILT)},
	{"rayon_core", NULL, LOCK("join", L_BUILT)},
	{"rayon", NULL, LOCK("join", L_BUILT)},
	{"threadpool", "join", LOCK("join", L_BUILT)},
	{"pollster", NULL, LOCK("block_on", L_BUILT)},
	{"futures_lite::future", NULL, LOCK("block_on", L_BUILT)},
	{"async_io", NULL, LOCK("block_on", L_BUILT)},
	{"async_std::task", NULL, LOCK("block_on", L_BUILT)},
	{"async_global_executor", NULL, LOCK("block_on", L_BUILT)},
	{"smol", NULL, LOCK("block_on", L_BUILT)},
	{"rustls", NULL, {"network", "tls", L_BUILT}},
	{"native_tls", NULL, {"network", "tls", L_BUILT}},
	{"openssl", NULL, {"network", "tls", L_BUILT}},
	{"boring", NULL, {"network", "tls", L_BUILT}},
	{"s2n_tls", NULL, {"network", "tls", L_BUILT}},
};

static const struct hint_rule runtime_hints[] = {
	{"futures_executor", NULL, LOCK("block_on", L_BUILT)},
	{"tokio::loom", NULL, LOCK(NULL, L_GLUE)},
	{"tokio::runtime::park", NULL, LOCK("block_on", L_BUILT)},
	{"tokio::park::thread", NULL, LOCK("block_on", L_BUILT)},
	{"tokio::runtime::context", NULL, LOCK("block_on", L_BUILT)},
	{"tokio::runtime::enter", NULL, LOCK("block_on", L_BUILT)},
	{"tokio::runtime::handle", "block_on", LOCK("block_on", L_BUILT)},
	{"tokio::runtime::runtime", "block_on", LOCK("block_on", L_BUILT)},
	{"tokio::future::block_on", NULL, LOCK("block_on", L_BUILT)},
	{"tokio::sync::mpsc", NULL, LOCK("channel", L_OUTER)},
	{"tokio::sync::oneshot", NULL, LOCK("channel", L_OUTER)},
	{"tokio::sync::broadcast", NULL, LOCK("channel", L_OUTER)},
	{"tokio::sync::mutex", NULL, LOCK("mutex", L_OUTER)},
	{"tokio::sync::rwlock", NULL, LOCK("rwlock", L_OUTER)},
};

/* C functions; underscores in front and what glibc and compilers put behind are not looked at. */
static const struct hint_rule native_hints[] = {
	{NULL, "pthread_mutex_", LOCK("mutex", L_PLAIN)},
	{NULL, "pthread_rwlock_", LOCK("rwlock", L_PLAIN)},
	{NULL, "pthread_cond_", LOCK("condvar", L_PLAIN)},
	{NULL, "pthread_join", LOCK("join", L_BUILT)},
	{NULL, "pthread_timedjoin", LOCK("join", L_BUILT)},
	{NULL, "pthread_clockjoin", LOCK("join", L_BUILT)},
	{NULL, "pthread_barrier_wait", LOCK("barrier", L_BUILT)},
	{NULL, "pthread_once", LOCK("once", L_BUILT)},
	{NULL, "sem_wait", LOCK("semaphore", L_PLAIN)},
	{NULL, "sem_timedwait", LOCK("semaphore", L_PLAIN)},
	{NULL, "sem_clockwait", LOCK("semaphore", L_PLAIN)},
	{NULL, "new_sem_wait", LOCK("semaphore", L_PLAIN)},
	{NULL, "lll_lock_wait", LOCK("mutex", L_PLAIN)},
	{NULL, "malloc", LOCK("allocator", L_BUILT)},
	{NULL, "calloc", LOCK("allocator", L_BUILT)},
	{NULL, "realloc", LOCK("allocator", L_BUILT)},
	{NULL, "free", LOCK("allocator", L_BUILT)},
	{NULL, "cfree", LOCK("allocator", L_BUILT)},
	{NULL, "posix_memalign", LOCK("allocator", L_BUILT)},
	{NULL, "aligned_alloc", LOCK("allocator", L_BUILT)},
	{NULL, "memalign", LOCK("allocator", L_BUILT)},
	{NULL, "int_malloc", LOCK("allocator", L_BUILT)},
	{NULL, "int_free", LOCK("allocator", L_BUILT)},
	{NULL, "int_realloc", LOCK("allocator", L_BUILT)},
	{NULL, "arena_get", LOCK("allocator", L_BUILT)},
	{NULL, "rjem_", LOCK("allocator", L_BUILT)},
	{NULL, "je_", LOCK("allocator", L_BUILT)},
	{NULL, "mi_", LOCK("allocator", L_BUILT)},
	{NULL, "tc_malloc", LOCK("allocator", L_BUILT)},
	{NULL, "dl_", LOCK("dynamic loader", L_BUILT)},
	{NULL, "dlopen", LOCK("dynamic loader", L_BUILT)},
	{NULL, "dlclose", LOCK("dynamic loader", L_BUILT)},
	{NULL, "dlsym", LOCK("dynamic loader", L_BUILT)},
	{NULL, "tls_get_addr", LOCK("dynamic loader", L_BUILT)},
	{NULL, "flockfile", LOCK("stdio", L_BUILT)},
	{NULL, "IO_puts", LOCK("stdio", L_BUILT)},
	{NULL, "IO_fputs", LOCK("stdio", L_BUILT)},
	{NULL, "IO_fwrite", LOCK("stdio", L_BUILT)},
	{NULL, "IO_fflush", LOCK("stdio", L_BUILT)},
	{NULL, "fflush", LOCK("stdio", L_BUILT)},
	{NULL, "fwrite", LOCK("stdio", L_BUILT)},
	{NULL, "fputs", LOCK("stdio", L_BUILT)},
	{NULL, "puts", LOCK("stdio", L_BUILT)},
	{NULL, "vfprintf", LOCK("stdio", L_BUILT)},
	{NULL, "SSL_", {"network", "tls", L_BUILT}},
	{NULL, "gnutls_", {"network", "tls", L_BUILT}},
};

/* Without underscores in front, and without the GI_ and libc_ that glibc puts there. */
static const char *c_name(const char *function)
{
	function += strspn(function, "_");
	if (strncmp(function, "GI_", 3) == 0)
		function += 3;
	function += strspn(function, "_");
	if (strncmp(function, "libc_", 5) == 0)
		function += 5;
	return function;
}

/* A short C name stands for itself ("free" is not "freeaddrinfo"); one that ends in '_' begins a family. */
static bool c_name_is(const char *name, const char *rule)
{
	size_t n = strlen(rule);

	if (strncmp(name, rule, n) != 0)
		return false;
	return rule[n - 1] == '_' || !(name[n] >= 'a' && name[n] <= 'z');
}

static bool rule_matches(const struct hint_rule *r, const char *function, const char *file)
{
	char name[FRAME_NAME_LEN];

	if (!r->prefix)
		return function && c_name_is(c_name(function), r->function);
	if (!(function && library_function_matches(function, r->prefix)) && !(file && library_file_matches(file, r->prefix)))
		return false;
	if (!r->function)
		return true;
	(void)frame_function_name(function ? function : "", name, sizeof(name));
	return strncmp(name, r->function, strlen(r->function)) == 0;
}

static const struct name_hint *find_hint(const struct hint_rule *rules, size_t n, const char *function, const char *file)
{
	for (size_t i = 0; i < n; i++)
		if (rule_matches(&rules[i], function, file))
			return &rules[i].hint;
	return NULL;
}

const struct name_hint *name_hint_of(const char *function, const char *file, enum frame_kind kind)
{
	switch (kind) {
	case FRAME_STD:
		return find_hint(std_hints, ARRAY_SIZE(std_hints), function, file);
	case FRAME_LIBRARY:
		return find_hint(library_hints, ARRAY_SIZE(library_hints), function, file);
	case FRAME_RUNTIME:
		return find_hint(runtime_hints, ARRAY_SIZE(runtime_hints), function, file);
	case FRAME_NATIVE:
		return find_hint(native_hints, ARRAY_SIZE(native_hints), function, file);
	default:
		return NULL;
	}
}

bool name_is_lookup(const char *function, enum frame_kind kind)
{
	/* glibc and musl */
	static const char *const native[] = {"getaddrinfo", "gethostbyname", "gethostbyaddr", "getnameinfo",
					     "gaih_inet",   "res_query",     "res_search",    "res_nquery",
					     "res_nsearch", "res_nsend",     "res_send",      "res_context_",
					     "res_msend",   "nss_dns_",	     "lookup_name",   "name_from_dns"};

	if (kind == FRAME_STD)
		return strstr(function, "::lookup_host") || strstr(function, "::LookupHost");
	if (kind != FRAME_NATIVE)
		return false;
	function = c_name(function);
	for (size_t i = 0; i < ARRAY_SIZE(native); i++)
		if (strncmp(function, native[i], strlen(native[i])) == 0)
			return true;
	return false;
}

static void scan_hint(struct name_scan *s, const struct name_hint *h)
{
	if (strcmp(h->cls, "network") == 0) {
		if (!s->network || strcmp(h->detail, "tls") == 0)
			s->network = h->detail;
		return;
	}
	if (s->lock_ended || !h->detail || (s->lock && h->level <= s->level))
		return;
	s->lock = h->detail;
	s->level = h->level;
	s->is_weak = h->level == L_PARK || h->level == L_PARKER;
}

void name_scan_frame(struct name_scan *s, const struct scan_frame *f)
{
	s->is_lookup |= f->is_lookup;
	if (s->ended)
		return;
	if (f->kind == FRAME_USER || f->kind == FRAME_JIT || f->is_task_poll) {
		/* Without debug info inlined callers are not seen, and what parks directly below the user may be any of them. */
		if (s->is_weak && !f->file)
			s->lock = NULL;
		s->ended = true;
		return;
	}
	if (f->hint) {
		scan_hint(s, f->hint);
		return;
	}
	/* std's and C's own frames may stand between those of a lock, others' began it */
	if (s->lock && (f->kind == FRAME_LIBRARY || f->kind == FRAME_RUNTIME)) {
		if (s->is_weak && !s->lock_ended && !f->file)
			s->lock = NULL;
		s->lock_ended = true;
	}
}

/* ---- kernel frames ---- */

struct kernel_rule {
	const char *function;
	const char *from; /* classes that it changes, a blank around each; NULL all */
	const char *cls;  /* NULL: only the detail */
	const char *rule;
	const char *detail;
};

/* In the order in which they count. */
static const struct kernel_rule kernel_rules[] = {
	/* arch/x86/mm/fault.c, mm/memory.c, fs/userfaultfd.c, arch/arm64/mm/fault.c */
	{"asm_exc_page_fault", NULL, "fault", "fault-stack", NULL},
	{"exc_page_fault", NULL, "fault", "fault-stack", NULL},
	{"do_user_addr_fault", NULL, "fault", "fault-stack", NULL},
	{"handle_mm_fault", NULL, "fault", "fault-stack", NULL},
	{"__handle_mm_fault", NULL, "fault", "fault-stack", NULL},
	{"handle_userfault", NULL, "fault", "fault-stack", NULL},
	{"do_page_fault", NULL, "fault", "fault-stack", NULL},
	{"do_mem_abort", NULL, "fault", "fault-stack", NULL},
	/* anonymous inodes: since 6.16 they say that they are regular files */
	{"eventfd_read", " disk other ", "other", "anon-inode", "eventfd"},
	{"eventfd_write", " disk other ", "other", "anon-inode", "eventfd"},
	{"timerfd_read", " disk other ", "other", "anon-inode", "timerfd"},
	{"timerfd_read_iter", " disk other ", "other", "anon-inode", "timerfd"},
	{"signalfd_read", " disk other ", "other", "anon-inode", "signalfd"},
	{"signalfd_read_iter", " disk other ", "other", "anon-inode", "signalfd"},
	{"signalfd_dequeue", " disk other ", "other", "anon-inode", "signalfd"},
	{"inotify_read", " disk other ", "other", "anon-inode", "inotify"},
	{"fanotify_read", " disk other ", "other", "anon-inode", "fanotify"},
	{"userfaultfd_read", " disk other ", "other", "anon-inode", "userfaultfd"},
	{"userfaultfd_read_iter", " disk other ", "other", "anon-inode", "userfaultfd"},
	/* fs/pipe.c: opening a FIFO waits for the other end */
	{"fifo_open", " disk other ", "pipe", "fifo-open", "open"},
	{"wait_for_partner", " disk other ", "pipe", "fifo-open", "open"},
	/* drivers/tty */
	{"n_tty_read", " pipe ", NULL, NULL, "tty"},
	{"n_tty_write", " pipe ", NULL, NULL, "tty"},
	{"tty_read", " pipe ", NULL, NULL, "tty"},
	{"tty_write", " pipe ", NULL, NULL, "tty"},
	{"file_tty_write", " pipe ", NULL, NULL, "tty"},
	/* fs/locks.c: locks on files, of which fcntl's were not known to be on one */
	{"fcntl_setlk", " other ", "disk", "file-lock", "lock"},
	{"locks_lock_inode_wait", " other ", "disk", "file-lock", "lock"},
	{"__break_lease", " other ", "disk", "file-lock", "lock"},
	/* fs/fuse, net/sunrpc: file systems that wait interruptibly, so that state D does not tell */
	{"request_wait_answer", " other ", "disk", "file-system", NULL},
	{"__fuse_simple_request", " other ", "disk", "file-system", NULL},
	{"fuse_simple_request", " other ", "disk", "file-system", NULL},
	{"rpc_wait_bit_killable", " other ", "disk", "file-system", NULL},
};

u32 kernel_hint_of(const char *function)
{
	size_t n = strcspn(function, "."); /* ".isra.0", ".constprop.0" */

	for (u32 i = 0; i < ARRAY_SIZE(kernel_rules); i++)
		if (strlen(kernel_rules[i].function) == n && strncmp(kernel_rules[i].function, function, n) == 0)
			return i + 1;
	return 0;
}

/* ---- waits ---- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool has_word(const char *list, const char *word)
{
	const char *at = strstr(list, word);

	return at && at > list && at[-1] == ' ' && at[strlen(word)] == ' ';
}

static void apply_kernel(struct wait_words *w, const struct kernel_rule *k)
{
	if (k->from && !has_word(k->from, w->cls))
		return;
	if (k->cls) {
		w->cls = k->cls;
		w->rule = k->rule;
	}
	w->detail = k->detail;
}

/* Classes in the order of the design's table: a page fault, sleep and futex by their call, then name lookups. */
static void refine(struct wait_words *w, const struct wait_says *s)
{
	const struct kernel_rule *k = s->kernel && s->kernel <= ARRAY_SIZE(kernel_rules) ? &kernel_rules[s->kernel - 1] : NULL;

	if (strcmp(w->cls, "fault") == 0)
		return;
	if (k && !k->from) {
		apply_kernel(w, k);
		return;
	}
	if (s->is_lookup && strcmp(w->cls, "sleep") != 0) {
		*w = (struct wait_words){"dns", "dns", NULL};
		return;
	}
	if (k)
		apply_kernel(w, k);
	if (strcmp(w->cls, "lock") == 0)
		w->detail = s->lock;
	else if (strcmp(w->cls, "network") == 0 && s->network)
		w->detail = s->network;
}

bool wait_words_refine(struct wait_words *w, const struct wait_says *s)
{
	struct wait_words before = *w;

	refine(w, s);
	return !same_text(before.cls, w->cls) || !same_text(before.rule, w->rule) || !same_text(before.detail, w->detail);
}
