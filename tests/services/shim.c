/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * shim.c: preloaded into a service by run.py. It makes the service's own file calls slow, and writes down what was called when and by which thread: the truth that
 * ascope is compared with. The service is the binary that its authors' profile builds; nothing in it is changed.
 *
 * What is slow says the path: the letters behind the last "slow-" in it, up to the next '-': o open, s stat, f fstat, r read, p realpath, d readdir.
 * A call that is slow sleeps before it is made, 20 to 60 ms (readdir, of which one listing needs many: 2 to 5 ms), by a raw nanosleep.
 * Calls that end or begin a turn of an event loop (epoll_wait), and new threads, are written down too: they tell whose thread it is (judge.py).
 *
 * The log is a file of struct entry that run.py made (SHIM_LOG), mapped shared, so that writing an entry is no system call. Entry 0 is the head.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { NAME_LEN = 80, MAX_FRAMES = 32, MAX_FDS = 1024, LONG_NS = 500000 };

enum kind { KIND_OPEN = 1, KIND_STAT, KIND_FSTAT, KIND_READ, KIND_REALPATH, KIND_READDIR, KIND_EPOLL, KIND_THREAD };

struct entry {
	uint64_t t0, t1; /* CLOCK_MONOTONIC ns; the sleep and nothing else */
	uint64_t
		run_delay; /* ns that the thread waited for a cpu meanwhile: /proc/thread-self/schedstat; if nothing sleeps: in the call itself */
	uint32_t tid;
	uint16_t kind;	     /* enum kind; 0: not written (yet) */
	uint16_t slow;	     /* 1: slept */
	uint64_t made;	     /* when the call itself, which follows the sleep, had returned */
	uint32_t child;	     /* of a new thread: its tid; tid is its creator's */
	uint32_t cpu;	     /* ns that the thread executed during t0 to t1, the clocks' own reading included */
	char name[NAME_LEN]; /* the end of the path */
	uint32_t frames
		[MAX_FRAMES]; /* return addresses in the program, innermost first, as offsets from where it was loaded; of calls that slept */
};
_Static_assert(sizeof(struct entry) == 256, "judge.py reads entries of 256 bytes");

struct log {
	_Atomic uint64_t next; /* of the entries; starts at 1 */
	uint64_t cap;
	uint8_t rest[240];
};
_Static_assert(sizeof(struct log) == sizeof(struct entry), "the head is one entry");

static struct log *entries;
static uint64_t program_start, program_size;
static char fd_names[MAX_FDS][NAME_LEN];
static _Atomic uint64_t calls;
static int awake; /* SHIM_AWAKE: nothing sleeps; only calls of LONG_NS or more are logged, and each thread's first epoll_wait */
static __thread int schedstat_fd __attribute__((tls_model("initial-exec")));
static __thread int has_waited __attribute__((tls_model("initial-exec")));

static int note_program(struct dl_phdr_info *info, size_t size, void *ctx)
{
	(void)size;
	(void)ctx;
	program_start = info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD)
			program_size = info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
	return 1; /* the first is the program */
}

__attribute__((constructor)) static void map_log(void)
{
	void *warm[2];

	const char *path = getenv("SHIM_LOG");
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0) : -1;
	struct stat st;
	void *p;

	if (fd < 0 || syscall(SYS_fstat, fd, &st) < 0)
		abort(); /* without a log there is no truth */
	p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (p == MAP_FAILED)
		abort();
	syscall(SYS_close, fd);
	awake = getenv("SHIM_AWAKE") != NULL;
	entries = p;
	entries->cap = (uint64_t)st.st_size / sizeof(struct entry);
	atomic_store(&entries->next, 1);
	dl_iterate_phdr(note_program, NULL);
	backtrace(warm, 2); /* which loads libgcc, once */
}

static uint64_t clock_now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t now(void)
{
	return clock_now(CLOCK_MONOTONIC);
}

static uint64_t run_delay(void)
{
	unsigned long long on_cpu, delay;
	char text[96];
	ssize_t n;

	if (!schedstat_fd) {
		int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC, 0);

		schedstat_fd = fd < 0 ? -1 : fd;
	}
	n = schedstat_fd > 0 ? syscall(SYS_pread64, schedstat_fd, text, sizeof(text) - 1, 0) : -1;
	if (n <= 0)
		return 0;
	text[n] = 0;
	return sscanf(text, "%llu %llu", &on_cpu, &delay) == 2 ? delay : 0;
}

/* The end of a path: what tells served files apart stands there. */
static void name_copy(char *to, const char *path)
{
	size_t len = strlen(path);

	memcpy(to, len < NAME_LEN ? path : path + len - NAME_LEN + 1, (len < NAME_LEN ? len : NAME_LEN - 1) + 1);
}

static struct entry *entry_new(enum kind kind, const char *name)
{
	uint64_t i = atomic_fetch_add(&entries->next, 1);
	struct entry *e = (struct entry *)entries + i;

	if (i >= entries->cap)
		return NULL; /* judge.py sees that next is beyond the end */
	e->tid = (uint32_t)syscall(SYS_gettid);
	name_copy(e->name, name);
	e->kind = kind;
	return e;
}

static int is_slow(const char *name, char letter)
{
	const char *at = NULL;

	for (const char *p = strstr(name, "slow-"); p; p = strstr(p + 1, "slow-"))
		at = p + 5;
	if (!at)
		return 0;
	for (; *at && *at != '-'; at++)
		if (*at == letter)
			return 1;
	return 0;
}

/* The stack by libgcc's unwinder, which is none of ascope's code. */
static void note_stack(uint32_t *frames)
{
	void *stack[64];
	int n = backtrace(stack, 64), k = 0;

	for (int i = 0; i < n && k < MAX_FRAMES; i++) {
		uint64_t off = (uint64_t)stack[i] - program_start;

		if (off < program_size)
			frames[k++] = (uint32_t)off;
	}
}

/* A call that is being made: written down when it has returned. */
struct call {
	struct entry e;
	uint64_t delay;	  /* run_delay() before it */
	const char *name; /* NULL: a path that is none of run.py's */
};

/* Before the call: sleeps if the path says so. */
static void before(struct call *c, enum kind kind, char letter, const char *name)
{
	uint64_t random = (atomic_fetch_add(&calls, 1) + 1) * 0x9e3779b97f4a7c15ULL >> 32;
	uint64_t ns = kind == KIND_READDIR ? 2000000 + random % 3000000 : 20000000 + random % 40000000;
	struct timespec left = {.tv_sec = 0, .tv_nsec = (long)ns};
	uint64_t delay, cpu;
	int saved = errno;

	c->name = entries && name && (strstr(name, "slow-") || strstr(name, "fast-")) ? name : NULL;
	if (!c->name)
		return;
	c->e.kind = (uint16_t)kind;
	c->e.slow = !awake && is_slow(name, letter);
	if (c->e.slow)
		note_stack(c->e.frames);
	delay = run_delay();
	c->e.t0 = now();
	if (c->e.slow) {
		cpu = clock_now(CLOCK_THREAD_CPUTIME_ID);
		while (syscall(SYS_nanosleep, &left, &left) < 0 && errno == EINTR)
			;
		c->e.cpu = (uint32_t)(clock_now(CLOCK_THREAD_CPUTIME_ID) - cpu);
	}
	c->e.t1 = now();
	if (c->e.slow)
		c->e.run_delay = run_delay() - delay;
	c->delay = delay;
	errno = saved;
}

static void after(const struct call *c)
{
	struct entry *e;
	uint64_t made, delay;

	if (!c->name)
		return;
	made = now();
	if (awake && made - c->e.t1 < LONG_NS)
		return;
	delay = awake ? run_delay() - c->delay : c->e.run_delay;
	e = entry_new(c->e.kind, c->name);
	if (!e)
		return;
	e->t0 = c->e.t0;
	e->t1 = c->e.t1;
	e->made = made;
	e->run_delay = delay;
	e->slow = c->e.slow;
	e->cpu = c->e.cpu;
	memcpy(e->frames, c->e.frames, sizeof(e->frames));
}

static const char *name_of_fd(int fd)
{
	return fd >= 0 && fd < MAX_FDS && fd_names[fd][0] ? fd_names[fd] : NULL;
}

/* The next definition of the function that is being wrapped. */
#define NEXT(name)                                                                                                               \
	static typeof(&name) next_##name;                                                                                        \
	if (!next_##name)                                                                                                        \
		next_##name = (typeof(&name))dlsym(RTLD_NEXT, #name);                                                            \
	if (!next_##name)                                                                                                        \
	abort()

/* The value of `made`, a call of the function that is being wrapped, which the path may make slow. */
#define CALL(kind, letter, path, made)                                                                                           \
	({                                                                                                                       \
		struct call call_ = {};                                                                                          \
		before(&call_, kind, letter, path);                                                                              \
		typeof(made) ret_ = (made);                                                                                      \
		after(&call_);                                                                                                   \
		ret_;                                                                                                            \
	})

static mode_t mode_argument(int flags, va_list ap)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

static int named_fd(int fd, const char *path)
{
	if (fd >= 0 && fd < MAX_FDS && path)
		name_copy(fd_names[fd], path);
	return fd;
}

#define OPEN(name)                                                                                                               \
	int name(const char *path, int flags, ...)                                                                               \
	{                                                                                                                        \
		NEXT(name);                                                                                                      \
		va_list ap;                                                                                                      \
		va_start(ap, flags);                                                                                             \
		mode_t mode = mode_argument(flags, ap);                                                                          \
		va_end(ap);                                                                                                      \
		return named_fd(CALL(KIND_OPEN, 'o', path, next_##name(path, flags, mode)), path);                               \
	}
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                                             \
	int name(int dir, const char *path, int flags, ...)                                                                      \
	{                                                                                                                        \
		NEXT(name);                                                                                                      \
		va_list ap;                                                                                                      \
		va_start(ap, flags);                                                                                             \
		mode_t mode = mode_argument(flags, ap);                                                                          \
		va_end(ap);                                                                                                      \
		return named_fd(CALL(KIND_OPEN, 'o', path, next_##name(dir, path, flags, mode)), path);                          \
	}
OPENAT(openat)
OPENAT(openat64)

int close(int fd)
{
	NEXT(close);
	if (fd >= 0 && fd < MAX_FDS)
		fd_names[fd][0] = 0;
	return next_close(fd);
}

#define STAT(name, type)                                                                                                         \
	int name(const char *path, type *st)                                                                                     \
	{                                                                                                                        \
		NEXT(name);                                                                                                      \
		return CALL(KIND_STAT, 's', path, next_##name(path, st));                                                        \
	}
STAT(stat, struct stat)
STAT(stat64, struct stat64)
STAT(lstat, struct stat)
STAT(lstat64, struct stat64)

int fstat64(int fd, struct stat64 *st)
{
	NEXT(fstat64);
	return CALL(KIND_FSTAT, 'f', name_of_fd(fd), next_fstat64(fd, st));
}

/* Rust's std asks with NULL whether there is statx at all, though the header says "nonnull": hence by a detour. */
static int has_text(const char *path)
{
	const char *volatile p = path;

	return p && *p;
}

int statx(int dir, const char *restrict path, int flags, unsigned int mask, struct statx *restrict st)
{
	NEXT(statx);
	if (has_text(path))
		return CALL(KIND_STAT, 's', path, next_statx(dir, path, flags, mask, st));
	return CALL(KIND_FSTAT, 'f', name_of_fd(dir), next_statx(dir, path, flags, mask, st));
}

char *realpath(const char *restrict path, char *restrict resolved)
{
	NEXT(realpath);
	return CALL(KIND_REALPATH, 'p', path, next_realpath(path, resolved));
}

ssize_t read(int fd, void *buf, size_t n)
{
	NEXT(read);
	return CALL(KIND_READ, 'r', name_of_fd(fd), next_read(fd, buf, n));
}

ssize_t pread64(int fd, void *buf, size_t n, off64_t off)
{
	NEXT(pread64);
	return CALL(KIND_READ, 'r', name_of_fd(fd), next_pread64(fd, buf, n, off));
}

DIR *opendir(const char *path)
{
	NEXT(opendir);
	DIR *d = CALL(KIND_OPEN, 'o', path, next_opendir(path));

	if (d)
		named_fd(dirfd(d), path);
	return d;
}

int closedir(DIR *d)
{
	NEXT(closedir);
	int fd = dirfd(d);

	if (fd >= 0 && fd < MAX_FDS)
		fd_names[fd][0] = 0;
	return next_closedir(d);
}

struct dirent64 *readdir64(DIR *d)
{
	NEXT(readdir64);
	return CALL(KIND_READDIR, 'd', name_of_fd(dirfd(d)), next_readdir64(d));
}

int epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
	NEXT(epoll_wait);
	struct entry *e = entries && !(awake && has_waited) ? entry_new(KIND_EPOLL, "") : NULL;
	int ret, saved;

	if (e)
		e->t0 = now();
	has_waited = 1;
	ret = next_epoll_wait(fd, events, n, timeout);
	saved = errno;
	if (e)
		e->t1 = e->made = now();
	errno = saved;
	return ret;
}

struct start {
	void *(*fn)(void *);
	void *arg;
	struct entry *entry;
};

static void *begin(void *arg)
{
	struct start s = *(struct start *)arg;

	free(arg);
	if (s.entry)
		s.entry->child = (uint32_t)syscall(SYS_gettid);
	return s.fn(s.arg);
}

/* Entries of new threads stand in the order in which they were asked for. */
int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attr, void *(*fn)(void *), void *restrict arg)
{
	NEXT(pthread_create);
	struct start *s = malloc(sizeof(*s));
	int err;

	if (!s)
		return EAGAIN;
	*s = (struct start){.fn = fn, .arg = arg, .entry = entries ? entry_new(KIND_THREAD, "") : NULL};
	err = next_pthread_create(thread, attr, begin, s);
	if (err)
		free(s);
	return err;
}
