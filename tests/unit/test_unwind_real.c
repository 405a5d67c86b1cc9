/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_unwind_real.c: the walker on real stacks, against libdwfl. A child runs code that makes all sorts of frames; it is stopped at random instants, then
 * stepped instruction by instruction, and at each stop both walk the same registers and memory. No root, no BPF.
 *
 * They have to agree on every frame, except that libdwfl guesses by frame pointers where no FDE covers an address, and that the walker may say that it cannot go
 * on where a rule does not fit its tables (then what it has is the beginning of what libdwfl has).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <dlfcn.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>

#include "bpf/ascope_wire.h"
#include "record/procfs.h"
#include "record/unwind_walk.h"

enum {
	ROUNDS = 100,
	STEPS = 50, /* instructions a round */
	ROWS = 1 << 20,
	BLOCKS = 1 << 18,
	MAPS = 256,
	PATHS = 64,
};

/* ---- what the child does ---- */

/* Kept in variables that the compiler cannot see through. */
struct work {
	double (*pow)(double, double);
	volatile u64 n;
	volatile double d;
	volatile u32 handled;
	u64 numbers[64];
	char text[256];
};

static struct work *work_of(void)
{
	static struct work work;

	return &work;
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	work_of()->n += x & 1;
	return x < y ? -1 : x > y;
}

__attribute__((noinline)) static u64 deeper(u32 depth, u64 seed)
{
	volatile u8 room[200];
	u64 a = seed * 3, b = seed ^ depth, c = seed + depth;

	room[depth % sizeof(room)] = (u8)seed;
	if (depth) {
		a += deeper(depth - 1, b);
		b += deeper(depth / 3, c) ^ room[depth % sizeof(room)];
	} else {
		struct work *w = work_of();

		for (u32 i = 0; i < ARRAY_SIZE(w->numbers); i++)
			w->numbers[i] = (seed = seed * 6364136223846793005ULL + 1442695040888963407ULL);
		qsort(w->numbers, ARRAY_SIZE(w->numbers), sizeof(u64), compare);
		if (w->pow)
			w->d = w->pow(w->d, 1.0 / 3);
	}
	return a ^ b ^ c;
}

/* More alignment than the stack has: realigned, with a frame pointer whatever the compiler is told. */
__attribute__((noinline)) static u64 realigned(u64 seed)
{
	_Alignas(64) volatile u64 block[16];

	for (u32 i = 0; i < ARRAY_SIZE(block); i++)
		block[i] = seed * i;
	return deeper(2, block[7]) + block[3];
}

static void handler(int sig)
{
	(void)sig;
	work_of()->handled++;
	work_of()->n += deeper(2, work_of()->n);
}

static void *labour(void *arg)
{
	struct work *w = work_of();
	struct timespec ts;

	(void)arg;
	for (u32 round = 0;; round++) {
		w->n += deeper(round % 7 + 1, w->n);
		w->n += realigned(w->n);
		(void)snprintf(w->text, sizeof(w->text), "%.17g %llx %s", w->d, (unsigned long long)w->n, "text");
		w->d = strtod(w->text, NULL) + 1;
		(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* vdso */
		free(malloc(round % 5000));
		if (round % 16 == 0)
			(void)syscall(SYS_getppid);
	}
	return NULL;
}

_Noreturn static void child(bool in_thread, int tell)
{
	static u8 alt_stack[1 << 17];
	stack_t alt = {.ss_sp = alt_stack, .ss_size = sizeof(alt_stack)};
	struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_ONSTACK | SA_RESTART};
	struct itimerval timer = {.it_interval.tv_usec = 20000, .it_value.tv_usec = 20000};
	void *libm = dlopen("libm.so.6", RTLD_NOW);
	struct work *w = work_of();
	pthread_t thread;
	u32 tid = (u32)getpid();

	*(void **)&w->pow = libm ? dlsym(libm, "pow") : NULL;
	w->d = 1.5;
	w->n = 7;
	if (!in_thread) {
		(void)sigaltstack(&alt, NULL);
		(void)sigaction(SIGALRM, &sa, NULL);
		(void)setitimer(ITIMER_REAL, &timer, NULL);
		if (write(tell, &tid, sizeof(tid)) == sizeof(tid))
			labour(NULL);
	}
	if (!pthread_create(&thread, NULL, labour, NULL)) {
		if (write(tell, &tid, sizeof(tid)) == sizeof(tid))
			(void)pthread_join(thread, NULL);
	}
	_exit(1);
}

/* ---- the two walkers ---- */

struct subject {
	u32 pid, tid;
	int mem_fd;
	/* ours */
	struct unwind_arrays a;
	struct unwind_tables *t;
	struct unwind_mapping list[MAPS];
	u32 n_list, n_paths;
	char paths[PATHS][256];
	struct unwind_slice slice;
	/* theirs */
	Dwfl *dwfl;
	u64 theirs[WIRE_MAX_FRAMES];
	bool theirs_exact[WIRE_MAX_FRAMES]; /* looked up as it is, not a byte back */
	u32 n_theirs;
	/* verdicts */
	u32 same, cut, guessed, differ, longest, with_signal;
	u32 by_status[UW_STATUSES];
};

static int read_subject(void *ctx, u64 addr, void *buf, size_t n)
{
	return proc_read_mem(((struct subject *)ctx)->mem_fd, addr, buf, n);
}

static void add_table(struct subject *s, const struct proc_map *m, u32 module)
{
	struct unwind_module u = {0};
	_cleanup_close_ int fd = -1;

	if (!strcmp(m->path, "[vdso]")) {
		_cleanup_free_ u8 *image = malloc(m->end - m->start);

		assert_non_null(image);
		assert_int_equal(read_subject(s, m->start, image, m->end - m->start), 0);
		assert_int_equal(unwind_module_read_image(image, m->end - m->start, &u), 0);
	} else {
		fd = proc_open_mapped(NULL, s->pid, m);
		assert_true(fd >= 0);
		assert_int_equal(unwind_module_read(fd, &u), 0);
	}
	assert_int_equal(unwind_tables_add(s->t, module, &u), 0);
	unwind_module_release(&u);
}

static int add_mapping(void *ctx, const struct proc_map *m)
{
	struct subject *s = ctx;
	u32 module = 0;

	if (!m->exec || !strcmp(m->path, "[vsyscall]"))
		return 0;
	assert_true(s->n_list < MAPS);
	if (m->path[0]) {
		while (module < s->n_paths && strcmp(s->paths[module], m->path) != 0)
			module++;
		if (module == s->n_paths) {
			assert_true(s->n_paths < PATHS);
			(void)snprintf(s->paths[s->n_paths++], sizeof(s->paths[0]), "%s", m->path);
			add_table(s, m, module + 1);
		}
		module++;
	}
	s->list[s->n_list++] =
		(struct unwind_mapping){.start = m->start, .end = m->end, .file_off = m->file_off, .module = module};
	return 0;
}

static void begin_ours(struct subject *s)
{
	s->a = (struct unwind_arrays){
		.rows = calloc(ROWS, 8),
		.idx = calloc(BLOCKS, 8),
		.maps = calloc(MAPS * 2, sizeof(struct uw_map)),
		.n_rows = ROWS,
		.n_idx = BLOCKS,
		.n_maps = MAPS * 2,
	};
	assert_true(s->a.rows && s->a.idx && s->a.maps);
	assert_int_equal(unwind_tables_new(&s->a, &s->t), 0);
	assert_int_equal(proc_maps(NULL, s->pid, add_mapping, s), 0);
	assert_int_equal(unwind_tables_set(s->t, s->list, s->n_list, NSEC_PER_SEC, &s->slice), 0);
}

static int no_debuginfo(Dwfl_Module *m, void **u, const char *name, Dwarf_Addr base, const char *file, const char *link,
			GElf_Word crc, char **ret)
{
	(void)m, (void)u, (void)name, (void)base, (void)file, (void)link, (void)crc, (void)ret;
	return -1;
}

static const Dwfl_Callbacks *callbacks(void)
{
	static const Dwfl_Callbacks cb = {.find_elf = dwfl_linux_proc_find_elf,
					  .find_debuginfo = no_debuginfo,
					  .section_address = dwfl_offline_section_address};

	return &cb;
}

static void begin_theirs(struct subject *s)
{
	s->dwfl = dwfl_begin(callbacks());
	assert_non_null(s->dwfl);
	assert_int_equal(dwfl_linux_proc_report(s->dwfl, (pid_t)s->pid), 0);
	assert_int_equal(dwfl_report_end(s->dwfl, NULL, NULL), 0);
	assert_int_equal(dwfl_linux_proc_attach(s->dwfl, (pid_t)s->pid, true), 0);
}

static int take_frame(Dwfl_Frame *f, void *ctx)
{
	struct subject *s = ctx;
	bool exact;
	Dwarf_Addr pc;

	if (s->n_theirs == WIRE_MAX_FRAMES || !dwfl_frame_pc(f, &pc, &exact))
		return DWARF_CB_ABORT;
	s->theirs[s->n_theirs] = pc;
	s->theirs_exact[s->n_theirs++] = exact;
	return DWARF_CB_OK;
}

/* Whether an FDE covers what libdwfl looked up for its frame i. */
static bool has_fde(struct subject *s, u32 i)
{
	Dwarf_Addr pc = s->theirs[i] - !s->theirs_exact[i], bias;
	Dwfl_Module *m = dwfl_addrmodule(s->dwfl, pc);
	Dwarf_CFI *cfi = m ? dwfl_module_eh_cfi(m, &bias) : NULL;
	Dwarf_Frame *frame = NULL;
	bool found = cfi && dwarf_cfi_addrframe(cfi, pc - bias, &frame) == 0;

	free(frame);
	return found;
}

static void show(struct subject *s, const struct unwind_stack *ours)
{
	print_message("ours: %u frames, status %d, guesses from %u; theirs: %u frames\n", ours->n, ours->status, ours->fp_from,
		      s->n_theirs);
	for (u32 i = 0; i < ours->n || i < s->n_theirs; i++) {
		u64 a = i < ours->n ? ours->frames[i] : 0, b = i < s->n_theirs ? s->theirs[i] : 0;
		Dwfl_Module *m = dwfl_addrmodule(s->dwfl, a);

		print_message("  %2u %14llx %14llx %s %s\n", i, (unsigned long long)a, (unsigned long long)b,
			      i < s->n_theirs && has_fde(s, i) ? "fde" : "   ", m ? dwfl_module_addrname(m, a - 1) : "?");
	}
}

static void compare_walks(struct subject *s, const struct user_regs_struct *r)
{
	const struct unwind_regs regs = {.ip = r->rip, .sp = r->rsp, .fp = r->rbp, .after_call = (s64)r->orig_rax >= 0};
	u64 frames[WIRE_MAX_FRAMES];
	struct unwind_stack ours = {.frames = frames, .max = ARRAY_SIZE(frames)};
	u32 equal = 0;

	unwind_walk(&s->a, s->slice, &regs, read_subject, s, &ours);
	s->n_theirs = 0;
	(void)dwfl_getthread_frames(s->dwfl, (pid_t)s->tid, take_frame, s);
	s->by_status[ours.status]++;
	s->longest = ours.n > s->longest ? ours.n : s->longest;
	for (u32 i = 1; i < s->n_theirs; i++)
		if (s->theirs_exact[i]) {
			s->with_signal++;
			break;
		}
	while (equal < ours.n && equal < s->n_theirs && frames[equal] == s->theirs[equal])
		equal++;
	if (equal == ours.n && equal == s->n_theirs && ours.status == UW_WHOLE) {
		s->same++;
	} else if (equal && equal <= s->n_theirs && !has_fde(s, equal - 1)) {
		s->guessed++; /* from here on neither has a table to go by */
	} else if (equal == ours.n && (ours.status == UW_BAD_RULE || ours.status == UW_NO_TABLE)) {
		s->cut++;
	} else {
		if (!s->differ++)
			show(s, &ours);
	}
}

/* ---- stopping ---- */

/* Waits for the next stop; the signal to be delivered when it goes on. */
static int wait_stop(const struct subject *s)
{
	int status, sig;

	assert_int_equal(waitpid((pid_t)s->tid, &status, __WALL), s->tid);
	assert_true(WIFSTOPPED(status));
	sig = WSTOPSIG(status);
	return sig == SIGTRAP || status >> 16 ? 0 : sig;
}

/* Lets it run for a moment; most often not just to the next signal. */
static int run_on(const struct subject *s, int sig, u32 usec, bool to_signal)
{
	assert_int_equal(ptrace(PTRACE_CONT, s->tid, 0, sig), 0);
	(void)usleep(usec);
	(void)ptrace(PTRACE_INTERRUPT, s->tid, 0, 0); /* fails when it stopped for a signal */
	sig = wait_stop(s);
	if (sig && !to_signal)
		return run_on(s, sig, usec, true);
	return sig;
}

static u64 random_next(u64 *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed >> 11;
}

static u32 other_task(u32 pid)
{
	for (u32 tid = pid + 1; tid < pid + 1000; tid++) {
		struct proc_status st;

		if (proc_status(NULL, tid, &st) == 0 && st.tgid == pid)
			return tid;
	}
	return 0;
}

static void one_subject(bool in_thread, struct subject *s)
{
	u64 seed = 88172645463325252ULL;
	int fds[2], sig = 0;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		child(in_thread, fds[1]);
	*s = (struct subject){.pid = (u32)pid};
	assert_int_equal(read(fds[0], &s->tid, sizeof(s->tid)), sizeof(s->tid));
	if (in_thread)
		s->tid = other_task(s->pid);
	assert_true(s->tid);
	s->mem_fd = proc_open_mem(NULL, s->pid);
	if (s->mem_fd < 0 || ptrace(PTRACE_SEIZE, s->tid, 0, 0) < 0) {
		(void)kill(pid, SIGKILL);
		skip(); /* not allowed here */
	}
	assert_int_equal(ptrace(PTRACE_INTERRUPT, s->tid, 0, 0), 0);
	sig = wait_stop(s);
	begin_ours(s);
	begin_theirs(s);
	for (u32 round = 0; round < ROUNDS; round++) {
		sig = run_on(s, sig, (u32)(random_next(&seed) % 2000), random_next(&seed) % 4 == 0);
		for (u32 step = 0; step < STEPS; step++) {
			struct user_regs_struct regs;

			assert_int_equal(ptrace(PTRACE_GETREGS, s->tid, 0, &regs), 0);
			compare_walks(s, &regs);
			assert_int_equal(ptrace(PTRACE_SINGLESTEP, s->tid, 0, sig), 0);
			sig = wait_stop(s);
		}
	}
	(void)kill(pid, SIGKILL);
	if (in_thread) /* a tracer's to bury, before the process can be */
		assert_int_equal(waitpid((pid_t)s->tid, NULL, __WALL), s->tid);
	assert_int_equal(waitpid(pid, NULL, __WALL), pid);
	(void)close(fds[0]);
	(void)close(fds[1]);
	(void)close(s->mem_fd);
	dwfl_end(s->dwfl);
	unwind_tables_free(s->t);
	free(s->a.rows);
	free(s->a.idx);
	free(s->a.maps);
}

static void agree(bool in_thread)
{
	static struct subject s;

	one_subject(in_thread, &s);
	print_message(
		"[   INFO   ] %u stops: %u the same, %u cut short, %u without an FDE, %u differ; up to %u frames, %u through a signal\n",
		ROUNDS * STEPS, s.same, s.cut, s.guessed, s.differ, s.longest, s.with_signal);
	assert_int_equal(s.same + s.cut + s.guessed + s.differ, ROUNDS * STEPS);
	assert_int_equal(s.differ, 0);
	assert_true(s.same * 100ULL >= ROUNDS * STEPS * 99ULL);
	assert_true(s.longest >= 8);
	if (!in_thread)
		assert_true(s.with_signal > 0);
}

static void the_main_thread_and_signals(void **state)
{
	(void)state;
	agree(false);
}

static void another_thread(void **state)
{
	(void)state;
	agree(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_main_thread_and_signals),
		cmocka_unit_test(another_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
