/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_sandbox.c: see sym_sandbox.h. The numbers of Landlock are written out, because the headers of the build host may be older than the kernel that runs
 * this (linux/landlock.h of Linux 6.12, ABI 6; its documentation for which ABI knows what).
 */
#include "report/sym_sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/parse.h"

/* ---- file descriptors ---- */

#define FIRST_KEPT 3

/* All from `first` on; kernels before 5.9 have no close_range(2). */
static void close_from(u32 first)
{
	struct rlimit r;

	if (syscall(SYS_close_range, first, ~0U, 0) == 0)
		return;
	if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur > 1U << 20)
		r.rlim_cur = 1U << 20;
	for (u32 fd = first; fd < r.rlim_cur; fd++)
		(void)close((int)fd);
}

static void null_std_fds(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; i < FIRST_KEPT; i++)
		if (fd < 0 || dup2(fd, i) < 0)
			(void)close(i);
	if (fd >= FIRST_KEPT)
		(void)close(fd);
}

int sym_sandbox_keep_fds(const int *fds, u32 n)
{
	int high[16];

	if (n > ARRAY_SIZE(high))
		return -EINVAL;
	/* Out of the way of the places they go to. */
	for (u32 i = 0; i < n; i++) {
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FIRST_KEPT + (int)ARRAY_SIZE(high));
		if (high[i] < 0)
			return -errno;
	}
	for (u32 i = 0; i < n; i++)
		if (dup2(high[i], FIRST_KEPT + (int)i) < 0)
			return -errno;
	close_from(FIRST_KEPT + n);
	null_std_fds();
	return 0;
}

/* ---- limits ---- */

/* Bytes of address space mapped now; 0 unknown. */
static u64 mapped_now(void)
{
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	char text[128];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	u64 pages;

	if (fd >= 0)
		(void)close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	text[strcspn(text, " ")] = '\0';
	return parse_u64(text, &pages) ? 0 : pages * (u64)sysconf(_SC_PAGESIZE);
}

static void limit(int what, u64 soft, u64 hard)
{
	struct rlimit r = {0};

	/* A lower limit that is there already stays. */
	if (getrlimit(what, &r) == 0) {
		hard = min_u64(hard, r.rlim_max);
		soft = min_u64(min_u64(soft, hard), r.rlim_cur);
	}
	r = (struct rlimit){.rlim_cur = soft, .rlim_max = hard};
	(void)setrlimit(what, &r);
}

/* Where memory runs out in spite of the limit this process is to go, not the report. */
static void offer_to_oom_killer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)!write(fd, "1000", 4);
	(void)close(fd);
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};

	(void)syscall(SYS_capset, &head, none);
}

static u32 enter_limits(const struct sym_sandbox_limits *l)
{
	u64 mapped = mapped_now();

	offer_to_oom_killer();
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	limit(RLIMIT_CORE, 0, 0);
	limit(RLIMIT_FSIZE, 0, 0);
	limit(RLIMIT_NPROC, 0, 0);
	limit(RLIMIT_NOFILE, l->files, l->files);
	limit(RLIMIT_CPU, l->cpu_s, l->cpu_s + 1);
	if (mapped && l->memory < UINT64_MAX - mapped)
		limit(RLIMIT_AS, mapped + l->memory, mapped + l->memory);
	else if (!mapped) /* no /proc */
		limit(RLIMIT_AS, l->memory, l->memory);
	drop_capabilities();
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? SYM_LAYER_LIMITS : 0;
}

/* ---- Landlock ---- */

enum {
	NR_LANDLOCK_CREATE_RULESET = 444, /* the same on all architectures */
	NR_LANDLOCK_RESTRICT_SELF = 446,
	LANDLOCK_VERSION = 1,
};

/* struct landlock_ruleset_attr; older kernels take a shorter one. */
struct landlock_attr {
	u64 fs, net, scoped;
};

static u32 enter_landlock(void)
{
	long abi = syscall(NR_LANDLOCK_CREATE_RULESET, NULL, 0, LANDLOCK_VERSION), fd;
	/* Bits 0-12 are of ABI 1; REFER, TRUNCATE, IOCTL_DEV came with 2, 3 and 5. */
	struct landlock_attr attr = {.fs = (1 << 13) - 1};
	size_t size = sizeof(attr.fs);
	bool held;

	if (abi < 1)
		return 0;
	if (abi >= 2)
		attr.fs |= 1 << 13;
	if (abi >= 3)
		attr.fs |= 1 << 14;
	if (abi >= 5)
		attr.fs |= 1 << 15;
	if (abi >= 4) { /* bind and connect of TCP */
		attr.net = 3;
		size = offsetof(struct landlock_attr, scoped);
	}
	if (abi >= 6) { /* abstract unix sockets, signals */
		attr.scoped = 3;
		size = sizeof(attr);
	}
	fd = syscall(NR_LANDLOCK_CREATE_RULESET, &attr, size, 0);
	if (fd < 0)
		return 0;
	held = syscall(NR_LANDLOCK_RESTRICT_SELF, (int)fd, 0) == 0;
	(void)close((int)fd);
	return held ? SYM_LAYER_LANDLOCK : 0;
}

/* ---- seccomp ---- */

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef OWN_ARCH

#define MAX_INSNS 128

struct filter {
	struct sock_filter v[MAX_INSNS];
	u16 n;
};

static void put(struct filter *f, u16 code, u8 if_true, u8 if_false, u32 k)
{
	BUG_ON(f->n == MAX_INSNS);
	f->v[f->n++] = (struct sock_filter){code, if_true, if_false, k};
}

static void put_load(struct filter *f, size_t off)
{
	put(f, BPF_LD | BPF_W | BPF_ABS, 0, 0, (u32)off);
}

static void put_return(struct filter *f, u32 action)
{
	put(f, BPF_RET | BPF_K, 0, 0, action);
}

/* The low half of an argument; both architectures are little-endian. */
static size_t arg_off(u32 i)
{
	return offsetof(struct seccomp_data, args) + 8 * (size_t)i;
}

static void put_if_nr(struct filter *f, u32 nr, u32 action)
{
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, nr);
	put_return(f, action);
}

/* Allowed when argument `arg` is one of two values. */
static void put_if_arg_is(struct filter *f, u32 nr, u32 arg, u32 a, u32 b)
{
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 5, nr);
	put_load(f, arg_off(arg));
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, a);
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, b);
	put_return(f, SECCOMP_RET_ALLOW);
	put_return(f, SECCOMP_RET_ERRNO | EPERM);
}

/* Allowed when argument `arg` has none of `bits`. */
static void put_unless_bits(struct filter *f, u32 nr, u32 arg, u32 bits)
{
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 4, nr);
	put_load(f, arg_off(arg));
	put(f, BPF_JMP | BPF_JSET | BPF_K, 1, 0, bits);
	put_return(f, SECCOMP_RET_ALLOW);
	put_return(f, SECCOMP_RET_ERRNO | EPERM);
}

static void put_allowed(struct filter *f)
{
	static const u32 allowed[] = {
		SYS_read,	  SYS_write,	     SYS_pread64,	 SYS_close,	  SYS_fstat,
		SYS_lseek,	  SYS_munmap,	     SYS_mremap,	 SYS_brk,	  SYS_madvise,
		SYS_futex,	  SYS_recvmsg,	     SYS_sendmsg,	 SYS_exit,	  SYS_exit_group,
		SYS_rt_sigreturn, SYS_rt_sigaction,  SYS_rt_sigprocmask, SYS_getpid,	  SYS_gettid,
		SYS_getrandom,	  SYS_clock_gettime, SYS_sysinfo,	 SYS_sched_yield, SYS_restart_syscall,
	};

	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		put_if_nr(f, allowed[i], SECCOMP_RET_ALLOW);
}

/*
 * What libc needs of the calls that can do more: its fstat() is newfstatat() of an empty path, abort() is tgkill() of itself. newfstatat() could still tell
 * whether a file exists; nobody could be told.
 */
static void put_conditional(struct filter *f)
{
	put_unless_bits(f, SYS_mmap, 2, PROT_EXEC);
	put_unless_bits(f, SYS_mprotect, 2, PROT_EXEC);
	put_if_arg_is(f, SYS_newfstatat, 3, AT_EMPTY_PATH, AT_EMPTY_PATH);
	put_if_arg_is(f, SYS_fcntl, 1, F_GETFL, F_DUPFD_CLOEXEC);
	put_if_arg_is(f, SYS_tgkill, 0, (u32)getpid(), (u32)getpid());
}

static u32 enter_seccomp(void)
{
	struct filter f = {.n = 0};
	struct sock_fprog prog;

	put_load(&f, offsetof(struct seccomp_data, arch));
	put(&f, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, OWN_ARCH);
	put_return(&f, SECCOMP_RET_KILL_PROCESS);
	put_load(&f, offsetof(struct seccomp_data, nr));
	put_allowed(&f);
#ifdef SYS_open
	put_if_nr(&f, SYS_open, SECCOMP_RET_ERRNO | EACCES);
#endif
	put_if_nr(&f, SYS_openat, SECCOMP_RET_ERRNO | EACCES);
	put_if_nr(&f, SYS_openat2, SECCOMP_RET_ERRNO | EACCES);
	put_conditional(&f);
	put_return(&f, SECCOMP_RET_ERRNO | EPERM);
	prog = (struct sock_fprog){.len = f.n, .filter = f.v};
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) == 0 ? SYM_LAYER_SECCOMP : 0;
}

#else

static u32 enter_seccomp(void)
{
	return 0;
}

#endif

u32 sym_sandbox_enter(const struct sym_sandbox_limits *l)
{
	u32 layers = l->without & SYM_LAYER_LIMITS ? 0 : enter_limits(l);

	if (!(l->without & SYM_LAYER_LANDLOCK))
		layers |= enter_landlock();
	if (!(l->without & SYM_LAYER_SECCOMP))
		layers |= enter_seccomp();
	return layers;
}
