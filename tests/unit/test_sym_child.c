/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_sym_child.c: names read in a child, and what such a child can and cannot do (60-reliability.md W8): other bodies than the reader run in the same
 * sandbox, misbehave, and tell what they were refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "report/sym_child.h"
#include "report/sym_serve.h"
#include "tests/unit/own_code.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#else
#define HAS_ASAN 0
#endif

/* Functions of this program whose names are asked for. */
enum { KNOWN_LINE = __LINE__ };
__attribute__((noinline)) static int known_function(int x)
{
	return x * 5 + 1;
}

static int open_self(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* Runs a child to its end. */
static struct sym_child *run_lookups(const struct sym_child_opts *o, const struct sym_input *in,
				     const struct sym_wire_lookup *lookups, u64 n)
{
	struct sym_child *c = NULL;

	assert_int_equal(sym_child_start(o, in, lookups, n, &c), 0);
	while (sym_child_outcome(c) == SYM_CHILD_RUNNING)
		assert_int_equal(sym_child_step(&c, 1, 100), 0);
	assert_int_equal(sym_child_pid(c), 0);
	return c;
}

static struct sym_child *run(const struct sym_child_opts *o)
{
	static const struct sym_wire_lookup lookup = {.file_off = 1};
	_cleanup_close_ int fd = open_self();
	struct sym_input in = {.fd = fd, .debug_fd = -1, .alt_fd = -1};

	return run_lookups(o, &in, &lookup, 1);
}

/* Runs a body: this outcome, these words. */
static void expect(const struct sym_child_opts *o, enum sym_outcome outcome, const char *why)
{
	struct sym_child *c = run(o);

	assert_string_equal(sym_child_why(c), why);
	assert_int_equal(sym_child_outcome(c), outcome);
	(void)sym_child_close(c);
}

/* ---- the reader ---- */

static void check_known(const struct sym_child *c, u64 i)
{
	const struct sym_answers *a = sym_child_answers(c);
	u32 n;
	const struct sym_answer *f = sym_answers_frames(a, i, &n);

	assert_string_equal(sym_child_why(c), "");
	assert_int_equal(sym_child_outcome(c), SYM_CHILD_OK);
	assert_int_equal(a->opened.source, SYM_DWARF);
	assert_int_equal(n, 1);
	assert_string_equal(sym_answers_string(a, f->function), "known_function");
	assert_string_equal(sym_answers_string(a, f->file), "tests/unit/test_sym_child.c");
	assert_in_range(f->line, KNOWN_LINE + 1, KNOWN_LINE + 4);
}

/* The layers that this kernel and container allow; those of a plain host when asked for. */
static u32 layers_here(void)
{
	struct sym_child *c = run(NULL);
	u32 layers = sym_child_answers(c)->opened.layers;

	(void)sym_child_close(c);
	return layers;
}

static void names(void **state)
{
	struct sym_wire_lookup lookups[3] = {{0}, {own_file_off(known_function) + 1, 0}, {own_file_off(known_function) + 2, 1}};
	_cleanup_close_ int fd = open_self();
	struct sym_input in = {.fd = fd, .debug_fd = -1, .alt_fd = -1};
	u32 n;

	(void)state;
	for (u32 without = 0; without <= SYM_LAYERS_ALL; without++) {
		struct sym_child *c =
			run_lookups(&(struct sym_child_opts){.without = without}, &in, lookups, ARRAY_SIZE(lookups));

		assert_int_equal(sym_child_answers(c)->opened.layers & without, 0);
		assert_null(sym_answers_frames(sym_child_answers(c), 0, &n));
		check_known(c, 1);
		check_known(c, 2);
		(void)sym_child_close(c);
	}
}

/* More than fits into any socket buffer, both ways, with two at a time. */
static void many_lookups(void **state)
{
	enum { N = 200000 };
	struct sym_wire_lookup *lookups = calloc(N, sizeof(*lookups));
	_cleanup_close_ int fd = open_self();
	struct sym_input in = {.fd = fd, .debug_fd = -1, .alt_fd = -1};
	struct sym_child *two[2];
	u64 known = own_file_off(known_function);

	(void)state;
	assert_non_null(lookups);
	for (u32 i = 0; i < N; i++)
		lookups[i].file_off = known - (i % 50000 ? i : 0) + 1;
	for (int i = 0; i < 2; i++)
		assert_int_equal(sym_child_start(NULL, &in, lookups, N, &two[i]), 0);
	while (sym_child_outcome(two[0]) == SYM_CHILD_RUNNING || sym_child_outcome(two[1]) == SYM_CHILD_RUNNING)
		assert_int_equal(sym_child_step(two, 2, 1000), 0);
	for (int i = 0; i < 2; i++) {
		check_known(two[i], 0);
		check_known(two[i], 150000);
		assert_int_equal(sym_child_answers(two[i])->n_lookups_done, N);
		(void)sym_child_close(two[i]);
	}
	free(lookups);
}

static void no_lookups(void **state)
{
	_cleanup_close_ int fd = open_self();
	struct sym_input in = {.fd = fd, .debug_fd = -1, .alt_fd = -1};
	struct sym_child *c = run_lookups(NULL, &in, NULL, 0);

	(void)state;
	assert_int_equal(sym_child_outcome(c), SYM_CHILD_OK);
	(void)sym_child_close(c);
}

static void not_a_program(void **state)
{
	_cleanup_close_ int fd = open(__FILE__, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int passwd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	struct sym_input in = {.fd = fd >= 0 ? fd : passwd, .debug_fd = -1, .alt_fd = -1};
	struct sym_child *c = run_lookups(NULL, &in, NULL, 0);

	(void)state;
	assert_int_equal(sym_child_outcome(c), SYM_CHILD_REFUSED);
	assert_string_equal(sym_child_why(c), "not an ELF file");
	(void)sym_child_close(c);
}

static void closed_while_it_runs(void **state)
{
	_cleanup_close_ int fd = open_self();
	struct sym_input in = {.fd = fd, .debug_fd = -1, .alt_fd = -1};
	struct sym_child *c;
	pid_t pid;

	(void)state;
	assert_int_equal(sym_child_start(NULL, &in, NULL, 0, &c), 0);
	pid = sym_child_pid(c);
	assert_true(pid > 0 && kill(pid, 0) == 0);
	(void)sym_child_close(c);
	assert_int_equal(kill(pid, 0), -1);
	assert_null(sym_child_close(NULL));
}

/* Where SIGCHLD is ignored, children leave no status. */
static void sigchld_ignored(void **state)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, old;

	(void)state;
	assert_int_equal(sigaction(SIGCHLD, &ignore, &old), 0);
	names(state);
	assert_int_equal(sigaction(SIGCHLD, &old, NULL), 0);
}

/* ---- readers that fail ---- */

static int body_segv(const struct sym_serve *s)
{
	(void)s;
	(void)raise(SIGSEGV);
	return 0;
}

static int body_abort(const struct sym_serve *s)
{
	(void)s;
	abort();
}

static int body_ends(const struct sym_serve *s)
{
	(void)s;
	return 0;
}

static int body_spins(const struct sym_serve *s)
{
	for (volatile u64 i = 1; i; i++)
		(void)s;
	return 0;
}

/* Sleeps for longer than any test. */
static int body_sleeps(const struct sym_serve *s)
{
	int word = 0;

	(void)s;
	while (!word)
		(void)syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL);
	return 0;
}

static int body_closes_and_sleeps(const struct sym_serve *s)
{
	(void)close(s->sock);
	return body_sleeps(s);
}

/* Takes memory until there is no more; what libdw does then is exit(1) (elfutils 0.188). */
static int body_eats(const struct sym_serve *s)
{
	(void)s;
	for (;;) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return errno == ENOMEM ? 1 : 0;
		memset(p, 1, 1 << 20);
	}
}

/* As a reader that follows entries which refer to each other. */
__attribute__((noinline)) static int recurse(volatile int *depth)
{
	volatile char room[1024];

	room[0] = (char)++*depth;
	return *depth ? recurse(depth) + room[0] : 0;
}

static int body_recurses(const struct sym_serve *s)
{
	volatile int depth = 0;

	(void)s;
	return recurse(&depth);
}

static void crashes(void **state)
{
	(void)state;
	if (!HAS_ASAN) { /* it catches signals and ends with a code, and what it maps runs into the limit of memory */
		expect(&(struct sym_child_opts){.body = body_segv}, SYM_CHILD_CRASHED, "the reader crashed: Segmentation fault");
		expect(&(struct sym_child_opts){.body = body_abort}, SYM_CHILD_CRASHED, "the reader crashed: Aborted");
		expect(&(struct sym_child_opts){.body = body_recurses}, SYM_CHILD_CRASHED,
		       "the reader crashed: Segmentation fault");
	}
	expect(&(struct sym_child_opts){.body = body_ends}, SYM_CHILD_CRASHED, "the reader ended too early");
}

static void hangs(void **state)
{
	struct sym_child_opts o = {.seconds = 1};

	(void)state;
	o.body = body_spins;
	expect(&o, SYM_CHILD_TIME, "the reader took longer than 1 s");
	o.body = body_sleeps;
	expect(&o, SYM_CHILD_TIME, "the reader took longer than 1 s");
	o.body = body_closes_and_sleeps;
	expect(&o, SYM_CHILD_CRASHED, "the reader ended too early");
}

static void memory_bomb(void **state)
{
	(void)state;
	if (HAS_ASAN) /* whose own address space is what the limit would be of */
		return;
	expect(&(struct sym_child_opts){.body = body_eats, .memory = 64 << 20}, SYM_CHILD_MEMORY,
	       "the reader needed more than 64 MiB of memory");
}

/* Whether there is room for `size` bytes; none of it is used. */
static int has_room(u64 size)
{
	return mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED ? SYM_SERVE_NO_MEMORY
													     : 0;
}

static int body_has_3_gib(const struct sym_serve *s)
{
	(void)s;
	return has_room((u64)3 << 30);
}

static int body_has_12_gib(const struct sym_serve *s)
{
	(void)s;
	return has_room((u64)12 << 30);
}

/* With a file of this size for each of the three. */
static void expect_with_file(u64 size, const struct sym_child_opts *o, enum sym_outcome outcome)
{
	int fd = memfd_create("sparse", MFD_CLOEXEC), fd2 = fcntl(fd, F_DUPFD_CLOEXEC, 0), fd3 = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct sym_input in = {.fd = fd, .debug_fd = fd2, .alt_fd = fd3};
	struct sym_child *c = NULL;

	assert_true(fd >= 0 && fd2 >= 0 && fd3 >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(sym_child_start(o, &in, NULL, 0, &c), 0);
	while (sym_child_outcome(c) == SYM_CHILD_RUNNING)
		assert_int_equal(sym_child_step(&c, 1, 1000), 0);
	assert_int_equal(sym_child_outcome(c), outcome);
	(void)sym_child_close(c);
	(void)close(fd);
	(void)close(fd2);
	(void)close(fd3);
}

/* Files add room to be mapped, sparse ones of any size not. */
static void sparse_files(void **state)
{
	(void)state;
	expect_with_file(0, &(struct sym_child_opts){.body = body_has_3_gib, .memory = 64 << 20}, SYM_CHILD_MEMORY);
	expect_with_file((u64)1 << 30, &(struct sym_child_opts){.body = body_has_3_gib, .memory = 64 << 20}, SYM_CHILD_CRASHED);
	expect_with_file((u64)1 << 40, &(struct sym_child_opts){.body = body_has_12_gib, .memory = 64 << 20}, SYM_CHILD_MEMORY);
}

/* ---- readers that lie ---- */

static int say(const struct sym_serve *s, enum sym_wire_kind kind, const void *p, u32 n)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	sym_wire_put(&b, kind, p, n);
	return fd_write_full(s->sock, b.data, b.len);
}

static int body_garbage(const struct sym_serve *s)
{
	return fd_write_full(s->sock, "not a record at all, not a record at all", 40);
}

static int body_done_at_once(const struct sym_serve *s)
{
	struct sym_wire_opened o = {0};
	struct sym_wire_done d = {0};

	(void)say(s, SYM_WIRE_OPENED, &o, sizeof(o));
	(void)say(s, SYM_WIRE_DONE, &d, sizeof(d));
	return 0;
}

static int body_floods(const struct sym_serve *s)
{
	struct sym_wire_opened o = {0};
	char text[8000];

	memset(text, 'x', sizeof(text));
	(void)say(s, SYM_WIRE_OPENED, &o, sizeof(o));
	while (!say(s, SYM_WIRE_STRING, text, sizeof(text)))
		;
	return 0;
}

static int body_bad_request(const struct sym_serve *s)
{
	struct iovec iov = {.iov_base = (char[]){'x'}, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	(void)sendmsg(s->files < 0 ? 4 : s->files, &msg, MSG_NOSIGNAL);
	return body_sleeps(s);
}

static void lies(void **state)
{
	(void)state;
	expect(&(struct sym_child_opts){.body = body_garbage}, SYM_CHILD_BROKEN, "the reader sent a record that is too long");
	expect(&(struct sym_child_opts){.body = body_done_at_once}, SYM_CHILD_BROKEN,
	       "the reader sent an end before all was answered");
	expect(&(struct sym_child_opts){.body = body_floods}, SYM_CHILD_BROKEN, "the reader sent too much text");
	expect(&(struct sym_child_opts){.body = body_bad_request}, SYM_CHILD_BROKEN,
	       "the reader sent a request that makes no sense");
}

/* ---- the sandbox ---- */

/* Ends a body by telling the parent a text. */
static int tell(const struct sym_serve *s, const char *text)
{
	struct {
		struct sym_wire_failed f;
		char text[200];
	} out = {.f = {.err = -ENOEXEC}};

	(void)snprintf(out.text, sizeof(out.text), "%s", text);
	(void)say(s, SYM_WIRE_FAILED, &out, (u32)(sizeof(out.f) + strlen(out.text)));
	return 0;
}

/* Appends " NAME" to what was not refused with this error; -1: with any. */
static void must_fail(char *out, size_t n, const char *name, long rc, int err)
{
	int got = errno;

	if (rc == -1 && (err < 0 || got == err))
		return;
	(void)snprintf(out + strlen(out), n - strlen(out), " %s=%ld/%d", name, rc, rc == -1 ? got : 0);
}

#define MUST_FAIL(call, err) must_fail(out, sizeof(out), #call, (long)(call), err)

static int body_opens(const struct sym_serve *s)
{
	char out[200] = "not refused:";

	MUST_FAIL(open("/etc/passwd", O_RDONLY), EACCES);
	MUST_FAIL(syscall(SYS_open, "/etc/passwd", O_RDONLY), EACCES);
	MUST_FAIL(open("/proc/self/maps", O_RDONLY), EACCES);
	MUST_FAIL(open("/tmp/ascope-test-sandbox", O_RDWR | O_CREAT, 0600), EACCES);
	MUST_FAIL(mkdir("/tmp/ascope-test-sandbox", 0700), -1);
	MUST_FAIL(unlink("/tmp/ascope-test-sandbox"), -1);
	return tell(s, out);
}

static int body_talks(const struct sym_serve *s)
{
	char out[200] = "not refused:";

	MUST_FAIL(socket(AF_INET, SOCK_STREAM, 0), EPERM);
	MUST_FAIL(socket(AF_INET6, SOCK_DGRAM, 0), EPERM);
	MUST_FAIL(socket(AF_UNIX, SOCK_STREAM, 0), EPERM);
	MUST_FAIL(socket(AF_NETLINK, SOCK_RAW, 0), EPERM);
	MUST_FAIL(connect(s->sock, NULL, 0), EPERM);
	return tell(s, out);
}

static int body_acts(const struct sym_serve *s)
{
	char out[200] = "not refused:", *const none[] = {NULL};
	struct rlimit r = {RLIM_INFINITY, RLIM_INFINITY};

	MUST_FAIL(execve("/bin/true", none, none), EPERM);
	MUST_FAIL(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), EPERM);
	MUST_FAIL(kill(getppid(), 0), EPERM);
	MUST_FAIL(ptrace(PTRACE_TRACEME, 0, 0, 0), EPERM);
	MUST_FAIL(setrlimit(RLIMIT_AS, &r), EPERM);
	MUST_FAIL(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), EPERM);
	MUST_FAIL(syscall(SYS_tgkill, 1, 1, 0), EPERM);
	MUST_FAIL((long)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EPERM);
	MUST_FAIL(mprotect((void *)((uintptr_t)out & ~4095UL), 4096, PROT_READ | PROT_WRITE | PROT_EXEC), EPERM);
	MUST_FAIL(fcntl(s->sock, F_SETOWN, 1), EPERM);
	return tell(s, out);
}

/* Only the sockets and the file are open; what libdw prints goes to /dev/null. */
static int body_lists_files(const struct sym_serve *s)
{
	char out[200] = "open:";
	struct stat st;

	for (int i = 0; i < 3; i++)
		if (fstat(i, &st) || !S_ISCHR(st.st_mode) || st.st_rdev != 0x103)
			(void)snprintf(out + strlen(out), sizeof(out) - strlen(out), " %d is not /dev/null", i);
	for (int i = 3; i < 2000; i++)
		if (fstat(i, &st) == 0)
			(void)snprintf(out + strlen(out), sizeof(out) - strlen(out), " %d%s", i,
				       S_ISREG(st.st_mode) ? " file" : "");
	if (getenv("DEBUGINFOD_URLS"))
		(void)snprintf(out + strlen(out), sizeof(out) - strlen(out), " DEBUGINFOD_URLS");
	return tell(s, out);
}

static void refused(void **state)
{
	u32 layers = layers_here();
	struct sym_child_opts o = {0};

	(void)state;
	assert_true(layers & SYM_LAYER_LIMITS);
	if (!(layers & SYM_LAYER_SECCOMP)) {
		print_message("# no seccomp here: skipped\n");
		skip();
	}
	o.body = body_opens;
	expect(&o, SYM_CHILD_REFUSED, "not refused:");
	o.body = body_talks;
	expect(&o, SYM_CHILD_REFUSED, "not refused:");
	o.body = body_acts;
	expect(&o, SYM_CHILD_REFUSED, "not refused:");
	if (!(layers & SYM_LAYER_LANDLOCK)) {
		print_message("# no Landlock here: skipped\n");
		skip();
	}
	/* Each of the two is enough against opening files. */
	o = (struct sym_child_opts){.without = SYM_LAYER_LANDLOCK, .body = body_opens};
	expect(&o, SYM_CHILD_REFUSED, "not refused:");
	o.without = SYM_LAYER_SECCOMP;
	expect(&o, SYM_CHILD_REFUSED, "not refused:");
}

static void files_and_environment(void **state)
{
	_cleanup_close_ int other = open("/etc/passwd", O_RDONLY), high = fcntl(other, F_DUPFD, 1500);

	(void)state;
	assert_true(high >= 1500);
	assert_int_equal(setenv("DEBUGINFOD_URLS", "http://127.0.0.1:1/", 1), 0);
	expect(&(struct sym_child_opts){.body = body_lists_files}, SYM_CHILD_REFUSED, "open: 3 4 5 file");
	assert_non_null(getenv("DEBUGINFOD_URLS"));
	assert_int_equal(unsetenv("DEBUGINFOD_URLS"), 0);
}

/* What the kernel says of a child: `name` of /proc/PID/status. */
static void status_of(pid_t pid, const char *name, char *ret, size_t n)
{
	char path[64], line[256];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	ret[0] = '\0';
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
			(void)snprintf(ret, n, "%.*s", (int)strcspn(line + strlen(name) + 2, "\n"), line + strlen(name) + 2);
	(void)fclose(f);
}

static void kernel_agrees(void **state)
{
	struct sym_child_opts o = {.body = body_sleeps, .seconds = 5};
	bool seccomp = layers_here() & SYM_LAYER_SECCOMP;
	_cleanup_close_ int fd = open_self();
	struct sym_input in = {.fd = fd, .debug_fd = -1, .alt_fd = -1};
	struct sym_child *c;
	char text[64] = "";

	(void)state;
	assert_int_equal(sym_child_start(&o, &in, NULL, 0, &c), 0);
	for (int i = 0; i < 200 && strcmp(text, seccomp ? "2" : "1") != 0; i++) {
		assert_int_equal(sym_child_step(&c, 1, 10), 0);
		status_of(sym_child_pid(c), seccomp ? "Seccomp" : "NoNewPrivs", text, sizeof(text));
	}
	assert_string_equal(text, seccomp ? "2" : "1");
	status_of(sym_child_pid(c), "NoNewPrivs", text, sizeof(text));
	assert_string_equal(text, "1");
	status_of(sym_child_pid(c), "CapEff", text, sizeof(text));
	assert_string_equal(text, "0000000000000000");
	status_of(sym_child_pid(c), "CapPrm", text, sizeof(text));
	assert_string_equal(text, "0000000000000000");
	(void)sym_child_close(c);
}

/* As somebody without rights, who could not even start with a filter if no_new_privs were missing. */
static void plain_user(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		u32 layers;

		if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(100);
		layers = layers_here();
		names(NULL);
		_exit((int)layers);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), layers_here());
}

/* The child goes when the report is killed. */
static void parent_dies(void **state)
{
	struct sym_child_opts o = {.body = body_sleeps};
	int out[2], status;
	pid_t parent, child = 0;
	u64 until;

	(void)state;
	assert_int_equal(pipe(out), 0);
	parent = fork();
	assert_true(parent >= 0);
	if (!parent) {
		int fd = open("/proc/self/exe", O_RDONLY);
		struct sym_input in = {.fd = fd, .debug_fd = -1, .alt_fd = -1};
		struct sym_child *c;

		if (sym_child_start(&o, &in, NULL, 0, &c))
			_exit(1);
		if (sym_child_step(&c, 1, 50))
			_exit(1);
		child = sym_child_pid(c);
		(void)!write(out[1], &child, sizeof(child));
		(void)raise(SIGKILL);
	}
	(void)close(out[1]);
	assert_int_equal(read(out[0], &child, sizeof(child)), sizeof(child));
	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_true(child > 0);
	until = clock_ns(CLOCK_MONOTONIC) + 10 * NSEC_PER_SEC;
	for (;;) {
		char state_text[64] = "Z";

		/* it may stay as a zombie where nobody reaps orphans */
		if (kill(child, 0))
			break;
		status_of(child, "State", state_text, sizeof(state_text));
		if (state_text[0] == 'Z' || state_text[0] == 'X')
			break;
		assert_true(clock_ns(CLOCK_MONOTONIC) < until);
		(void)usleep(1000);
	}
	(void)close(out[0]);
}

/* ---- files of split DWARF ---- */

static const struct sym_split_want wants[] = {
	{.comp_dir = "/src", .name = "elf", .dwo_id = 7, .nth = 1},
	{.name = "text"},
	{.name = "dir"},
	{.name = "none"},
	{.name = NULL},
};

static int test_open_split(void *ctx, const struct sym_split_want *w)
{
	u32 *calls = ctx;

	if (w->name && !strcmp(w->name, "elf")) {
		assert_string_equal(w->comp_dir, "/src");
		assert_int_equal(w->dwo_id, 7);
		assert_int_equal(w->nth, 1);
	} else {
		assert_null(w->comp_dir);
	}
	(*calls)++;
	if (!w->name)
		return -ENAMETOOLONG;
	if (!strcmp(w->name, "elf"))
		return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (!strcmp(w->name, "text"))
		return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	if (!strcmp(w->name, "dir"))
		return open("/", O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	return -ENOENT;
}

static int body_asks(const struct sym_serve *s)
{
	char out[200] = "got", magic[4];

	for (u32 i = 0; i < ARRAY_SIZE(wants); i++) {
		int fd = sym_serve_open_split((void *)(uintptr_t)s, &wants[i]);

		if (fd < 0)
			(void)snprintf(out + strlen(out), sizeof(out) - strlen(out), " %d", fd);
		else
			(void)snprintf(out + strlen(out), sizeof(out) - strlen(out), " %s",
				       pread(fd, magic, 4, 0) == 4 && !memcmp(magic, "\177ELF", 4) ? "elf" : "other");
	}
	return tell(s, out);
}

static void split_files(void **state)
{
	struct sym_child_opts o = {.body = body_asks};
	_cleanup_close_ int fd = open_self();
	u32 calls = 0;
	struct sym_input in = {.fd = fd, .debug_fd = -1, .alt_fd = -1, .open_split = test_open_split, .ctx = &calls};
	struct sym_child *c = run_lookups(&o, &in, NULL, 0);
	char want[64];

	(void)state;
	(void)snprintf(want, sizeof(want), "got elf %d %d %d %d", -ENOEXEC, -ENOEXEC, -ENOENT, -ENAMETOOLONG);
	assert_string_equal(sym_child_why(c), want);
	assert_int_equal(calls, ARRAY_SIZE(wants));
	(void)sym_child_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(many_lookups),
		cmocka_unit_test(no_lookups),
		cmocka_unit_test(not_a_program),
		cmocka_unit_test(closed_while_it_runs),
		cmocka_unit_test(sigchld_ignored),
		cmocka_unit_test(crashes),
		cmocka_unit_test(hangs),
		cmocka_unit_test(memory_bomb),
		cmocka_unit_test(sparse_files),
		cmocka_unit_test(lies),
		cmocka_unit_test(refused),
		cmocka_unit_test(files_and_environment),
		cmocka_unit_test(kernel_agrees),
		cmocka_unit_test(plain_user),
		cmocka_unit_test(parent_dies),
		cmocka_unit_test(split_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
