/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * probed.c: a program whose functions stand for those of Tokio that are probed, with tasks that look like Tokio's (>= 1.23), and that knows how often it called
 * each. For tests/live/uprobes.py. Reads commands, one a line, and answers each with a line:
 *
 *     places            name=offset in the file, of all functions
 *     run N THREADS     N tasks on each thread: spawn (which binds), schedule, poll, complete, dealloc; "done NS": cpu time of the first thread
 *     busy THREADS      such tasks without end; "done 0" at once
 *     stop              "done N": tasks since busy
 *     alone NAME N      one function N times; "done NS"
 *     fork N            run N 1 in a child, which then waits until its standard input closes; "done PID", of the child
 *     exec              this program anew, in the same process; "done 0" before
 *     around N M        N times a poll and then the place "behind", M times that place without a poll
 *     panic             a spawn that makes no task, then a task without a spawn
 */
#include <inttypes.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct header;

struct vtable {
	uint64_t fns[7];
	uint64_t trailer_offset, scheduler_offset, id_offset;
};

struct header {
	uint64_t state, queue_next;
	const struct vtable *vtable;
	uint64_t owner;
	uint64_t scheduler, id;
	uint64_t rest[26];
};

struct place {
	const char *file;
	uint64_t file_len;
	uint32_t line, column;
};

/* As it is, with all arguments where the ABI has them, whatever the compiler sees. It begins with a push, as most functions do: the kernel emulates that. */
#define FAKE		__attribute__((noinline, used))
#define BODY(name, ...) __asm__ volatile("# " name ::__VA_ARGS__ : "memory", "rbx")

static const char source[] = "src/main.rs";
const struct place place_of_call = {source, sizeof(source) - 1, 88, 5};
const struct vtable vtable = {.trailer_offset = 200, .scheduler_offset = 32, .id_offset = 40};

void t_bind(void *self, struct header *task);
void t_blocking(void *self, struct header *task);
void t_spawn(struct header *task, const struct place *at, bool panics);
void t_schedule(struct header *task);
void t_poll(struct header *task);
void t_complete(struct header *task);
void t_dealloc(struct header *task);

FAKE void t_bind(void *self, struct header *task)
{
	BODY("bind", "r"(self), "r"(task));
}

FAKE void t_blocking(void *self, struct header *task)
{
	BODY("blocking", "r"(self), "r"(task));
}

FAKE void t_spawn(struct header *task, const struct place *at, bool panics)
{
	BODY("spawn", "r"(task), "r"(at));
	if (!panics)
		t_bind(NULL, task);
	BODY("spawned", "r"(task));
}

FAKE void t_schedule(struct header *task)
{
	BODY("schedule", "r"(task));
}

FAKE void t_poll(struct header *task)
{
	BODY("poll", "r"(task));
}

FAKE void t_complete(struct header *task)
{
	BODY("complete", "r"(task));
}

FAKE void t_dealloc(struct header *task)
{
	/* and this one with an instruction that it steps over elsewhere */
	__asm__ volatile("# dealloc" ::"r"(task) : "memory");
}

/*
 * What is behind a call of poll begins with instructions that are stepped over elsewhere. A little on, at `behind`, is one that is emulated; that is reached without
 * the poll, too.
 */
void t_around(struct header *task, bool polls);
extern char t_behind[];
__asm__(".pushsection .text\n"
	".type t_around,@function\n"
	"t_around:\n"
	"	push %rbx\n"
	"	test %esi,%esi\n"
	"	je 1f\n"
	"	call t_poll\n"
	"	xor %eax,%eax\n"
	"1:	cmp $1,%rbx\n"
	"t_behind:\n"
	"	je 2f\n"
	"2:	pop %rbx\n"
	"	ret\n"
	".size t_around,.-t_around\n"
	".popsection\n");

static const struct {
	const char *name;
	void *fn;
} functions[] = {
	{"spawn", t_spawn},	{"bind", t_bind}, {"blocking", t_blocking}, {"complete", t_complete},
	{"dealloc", t_dealloc}, {"poll", t_poll}, {"schedule", t_schedule}, {"behind", t_behind},
};

enum { FUNCTIONS = sizeof(functions) / sizeof(functions[0]) };

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- what it does ---- */

static uint64_t next_id = 1000;

FAKE static void one_task(void)
{
	struct header h = {.state = 204, .vtable = &vtable, .scheduler = 0x7000};

	h.id = __atomic_add_fetch(&next_id, 1, __ATOMIC_RELAXED);
	t_spawn(&h, &place_of_call, false);
	h.state = 196;
	t_schedule(&h);
	t_poll(&h);
	t_complete(&h);
	h.state = 2;
	t_dealloc(&h);
}

static void *tasks(void *arg)
{
	for (uint64_t n = *(uint64_t *)arg; n; n--)
		one_task();
	return NULL;
}

static void run(uint64_t n, unsigned threads)
{
	pthread_t t[64];

	for (unsigned i = 0; i < threads && i < 64; i++)
		if (pthread_create(&t[i], NULL, tasks, &n))
			abort();
	for (unsigned i = 0; i < threads && i < 64; i++)
		(void)pthread_join(t[i], NULL);
}

static pthread_t busy_threads[64];
static uint64_t busy_count[64];
static unsigned n_busy;
static bool stopped;

static void *tasks_until_stop(void *arg)
{
	uint64_t *n = arg;

	for (; !__atomic_load_n(&stopped, __ATOMIC_RELAXED); ++*n)
		one_task();
	return NULL;
}

static void busy(unsigned threads)
{
	stopped = false;
	for (n_busy = 0; n_busy < threads && n_busy < 64; n_busy++) {
		busy_count[n_busy] = 0;
		if (pthread_create(&busy_threads[n_busy], NULL, tasks_until_stop, &busy_count[n_busy]))
			abort();
	}
}

static uint64_t stop(void)
{
	uint64_t all = 0;

	__atomic_store_n(&stopped, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < n_busy; i++) {
		(void)pthread_join(busy_threads[i], NULL);
		all += busy_count[i];
	}
	return all;
}

static void alone(const char *name, uint64_t n)
{
	struct header h = {.state = 204, .vtable = &vtable, .scheduler = 0x7000, .id = 77};

	if (!strcmp(name, "poll")) /* by a call that is the only one of its place */
		for (; n; n--)
			t_poll(&h);
	else if (!strcmp(name, "spawn"))
		for (; n; n--)
			t_spawn(&h, &place_of_call, true);
	else if (!strcmp(name, "bind"))
		for (; n; n--)
			t_bind(NULL, &h);
	else if (!strcmp(name, "blocking"))
		for (; n; n--)
			t_blocking(NULL, &h);
	else if (!strcmp(name, "schedule"))
		for (; n; n--)
			t_schedule(&h);
	else if (!strcmp(name, "complete"))
		for (; n; n--)
			t_complete(&h);
	else if (!strcmp(name, "dealloc"))
		for (; n; n--)
			t_dealloc(&h);
	else
		abort();
}

static void around(uint64_t polls, uint64_t others)
{
	struct header h = {.state = 204, .vtable = &vtable, .scheduler = 0x7000, .id = 78};

	for (; polls || others; polls -= polls > 0, others -= others > 0) {
		if (polls)
			t_around(&h, true);
		if (others)
			t_around(&h, false);
	}
}

/* ---- where its functions lie ---- */

static int file_offset(struct dl_phdr_info *info, size_t size, void *arg)
{
	uint64_t *addr = arg;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + p->p_vaddr;

		if (p->p_type == PT_LOAD && *addr >= start && *addr - start < p->p_filesz) {
			*addr = *addr - start + p->p_offset;
			return 1;
		}
	}
	return 0;
}

static void places(void)
{
	for (int i = 0; i < FUNCTIONS; i++) {
		uint64_t at = (uint64_t)(uintptr_t)functions[i].fn;

		if (!dl_iterate_phdr(file_offset, &at))
			abort();
		printf("%s=%" PRIu64 " ", functions[i].name, at);
	}
	printf("location=%" PRIu64 " vtable=%" PRIu64 "\n", (uint64_t)(uintptr_t)&place_of_call, (uint64_t)(uintptr_t)&vtable);
}

static void in_a_child(uint64_t n)
{
	int up[2];
	char c;
	pid_t pid;

	if (pipe(up) < 0)
		abort();
	pid = fork();
	if (pid == 0) {
		run(n, 1);
		(void)!write(up[1], "x", 1);
		_exit(0);
	}
	(void)!read(up[0], &c, 1);
	(void)waitpid(pid, NULL, 0);
	(void)close(up[0]);
	(void)close(up[1]);
	printf("done %d\n", (int)pid);
}

int main(int argc, char **argv)
{
	char line[256], name[32];
	uint64_t n;
	unsigned threads;

	(void)argc;
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		uint64_t t = now_ns();

		if (!strcmp(line, "places\n")) {
			places();
			continue;
		}
		if (!strcmp(line, "exec\n")) {
			printf("done 0\n"); /* before anything else is sent, which this image would take along */
			(void)execv("/proc/self/exe", argv);
			abort();
		}
		if (sscanf(line, "fork %" SCNu64, &n) == 1) {
			in_a_child(n);
			continue;
		}
		if (sscanf(line, "busy %u", &threads) == 1) {
			busy(threads);
			printf("done 0\n");
			continue;
		}
		if (!strcmp(line, "stop\n")) {
			printf("done %" PRIu64 "\n", stop());
			continue;
		}
		if (sscanf(line, "around %" SCNu64 " %u", &n, &threads) == 2) {
			around(n, threads);
		} else if (sscanf(line, "run %" SCNu64 " %u", &n, &threads) == 2) {
			run(n, threads);
		} else if (sscanf(line, "alone %31s %" SCNu64, name, &n) == 2) {
			alone(name, n);
		} else if (!strcmp(line, "panic\n")) {
			struct header h = {.state = 204, .vtable = &vtable, .scheduler = 0x7000, .id = 5};

			t_spawn(&h, &place_of_call, true);
			t_bind(NULL, &h);
		} else {
			abort();
		}
		printf("done %" PRIu64 "\n", now_ns() - t);
	}
	return 0;
}
