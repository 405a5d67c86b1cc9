/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * classify.c: the predicate and the classes of design 35-blocking, one row of its tables = one row or branch here, in its
 * order: the first match wins. Called by the loader for every record; tests/unit/test_classify.c has a case for each row.
 */
#include "report/classify.h"

#include "format/fmt_def.h"
#include "report/syscall_names.h"

/* Numbers of x86-64, independent of the machine that reads the capture. */
#define SYSCALL_ENUM(nr, name) NR_##name = (nr),
enum syscall_nr { SYSCALL_NAMES_X86_64(SYSCALL_ENUM) };

#define CLONE_VFORK_FLAG 0x00004000ULL

/* S_IFMT >> 12 */
enum fd_type { FD_FIFO = 1, FD_CHR = 2, FD_DIR = 4, FD_BLK = 6, FD_REG = 8, FD_SOCK = 12 };

/* task->__state bits, include/linux/sched.h; the values have been stable since 4.14, FREEZABLE and FROZEN since 6.1. */
enum task_state {
	STATE_S = 0x1,
	STATE_D = 0x2,
	STATE_STOPPED = 0x4,
	STATE_TRACED = 0x8,
	STATE_EXIT_DEAD = 0x10,
	STATE_EXIT_ZOMBIE = 0x20,
	STATE_PARKED = 0x40,
	STATE_DEAD = 0x80,
	STATE_NOLOAD = 0x400,
	STATE_RTLOCK = 0x1000,
	STATE_FROZEN = 0x8000,
};

const char *role_name(enum role r)
{
	static const char *const names[] = {
		[ROLE_UNKNOWN] = "unknown",
		[ROLE_UNREAD] = "unread",
		[ROLE_NONE] = "none",
		[ROLE_PARKED] = "parked",
		[ROLE_SCHEDULER] = "scheduler",
		[ROLE_BLOCK_IN_PLACE] = "block_in_place",
		[ROLE_BLOCKING_POOL] = "blocking_pool",
		[ROLE_IN_POLL] = "in_poll",
	};

	return names[r];
}

const char *holds_name(enum holds h)
{
	static const char *const names[] = {
		[HOLDS_NOTHING] = "nothing",
		[HOLDS_RUNTIME] = "runtime",
		[HOLDS_LOCALSET] = "localset",
		[HOLDS_ROOT] = "root",
	};

	return names[h];
}

const char *wait_class_name(enum wait_class c)
{
	static const char *const names[CLASS_COUNT] = {
		[CLASS_SLEEP] = "sleep", [CLASS_LOCK] = "lock",	  [CLASS_DISK] = "disk",       [CLASS_NETWORK] = "network",
		[CLASS_DNS] = "dns",	 [CLASS_PIPE] = "pipe",	  [CLASS_PROCESS] = "process", [CLASS_FAULT] = "fault",
		[CLASS_CPU] = "cpu",	 [CLASS_OTHER] = "other",
	};

	return names[c];
}

const char *wait_rule_name(enum wait_rule r)
{
	static const char *const names[RULE_COUNT] = {
		[RULE_FAULT] = "fault",	  [RULE_NANOSLEEP] = "nanosleep",
		[RULE_FUTEX] = "futex",	  [RULE_DNS] = "dns",
		[RULE_SOCKET] = "socket", [RULE_IO_URING] = "io-uring",
		[RULE_IOWAIT] = "iowait", [RULE_FILE] = "file",
		[RULE_FSYNC] = "fsync",	  [RULE_PATH] = "path",
		[RULE_PIPE] = "pipe",	  [RULE_DEVICE] = "device",
		[RULE_CHILD] = "child",	  [RULE_EVENT_LOOP] = "event-loop",
		[RULE_OTHER] = "other",	  [RULE_CPU] = "cpu",
	};

	return names[r];
}

const char *syscall_name(u64 syscall)
{
#define SYSCALL_CASE(nr, name)                                                                                                   \
	case (nr) + 1:                                                                                                           \
		return #name;
	switch (syscall) {
		SYSCALL_NAMES_X86_64(SYSCALL_CASE)
	default:
		return NULL;
	}
#undef SYSCALL_CASE
}

/* The system calls in which a runtime's driver waits. */
static bool is_driver_wait(u64 syscall)
{
	switch (syscall ? syscall - 1 : UINT64_MAX) {
	case NR_epoll_wait:
	case NR_epoll_pwait:
	case NR_epoll_pwait2:
	case NR_epoll_wait_old:
	case NR_futex:
	case NR_futex_wait:
	case NR_futex_waitv:
		return true;
	default:
		return false;
	}
}

/* No scheduler context: a block_on thread of a multi-thread runtime, a blocking-pool thread, or one outside any runtime. */
static struct role_facts classify_without_scheduler(const struct context_facts *f)
{
	bool in_budget = f->budget != 0;

	if (f->runtime > 1)
		return (struct role_facts){f->task ? ROLE_BLOCKING_POOL : ROLE_NONE, HOLDS_NOTHING};
	/* LocalSet::block_on turns block_in_place off, hence runtime 0; its root future has no id. */
	if (in_budget && f->runtime == 0)
		return (struct role_facts){ROLE_IN_POLL, HOLDS_LOCALSET};
	if (in_budget && !f->task)
		return (struct role_facts){ROLE_IN_POLL, HOLDS_ROOT};
	/* An unconstrained task of a local set; a second block_on of a current_thread runtime parks like that, with a closure's id. */
	if (f->runtime == 0 && f->task && !(f->waiting && is_driver_wait(f->syscall)))
		return (struct role_facts){ROLE_IN_POLL, HOLDS_LOCALSET};
	/* Handle::block_on inside spawn_blocking keeps the id of the closure. */
	if (f->task)
		return (struct role_facts){ROLE_BLOCKING_POOL, HOLDS_NOTHING};
	return (struct role_facts){f->waiting ? ROLE_PARKED : ROLE_SCHEDULER, HOLDS_NOTHING};
}

/*
 * Outside any budget a set task id means an unconstrained task or a drop, but only while the driver is not being waited for:
 * multi-thread has core.park for that; current_thread has nothing of the kind, so there a wait in the driver's own system
 * calls is a park.
 */
static bool is_unconstrained_poll(const struct context_facts *f)
{
	if (!f->task)
		return false;
	if (f->flavor == FMT_FLAVOR_CURRENT_THREAD)
		return !(f->waiting && is_driver_wait(f->syscall));
	return f->park != 0;
}

/*
 * A worker's core is out of its place while it does something else than run a task: in block_in_place, which leaves the runtime, and in the worker's own loop,
 * which does not. A wait there with a task's id is a destructor: the runtime ends and drops its tasks. block_on within block_in_place enters the
 * runtime again; its polls have a budget, and it parks in a futex, for which a destructor that locks is taken, too. A current_thread runtime has no block_in_place.
 */
static bool is_drop_at_shutdown(const struct context_facts *f)
{
	bool entered = f->flavor == FMT_FLAVOR_CURRENT_THREAD || f->runtime == 1;

	return f->waiting && f->task && !f->budget && entered && !is_driver_wait(f->syscall);
}

struct role_facts classify_context(const struct context_facts *f)
{
	if (f->status == FMT_CTX_UNREAD)
		return (struct role_facts){ROLE_UNREAD, HOLDS_NOTHING};
	if (f->status != FMT_CTX_READ)
		return (struct role_facts){ROLE_UNKNOWN, HOLDS_NOTHING};
	if (!f->has_scheduler)
		return classify_without_scheduler(f);
	if (!f->core && is_drop_at_shutdown(f))
		return (struct role_facts){ROLE_IN_POLL, HOLDS_RUNTIME};
	if (!f->core) {
		/* current_thread has no block_in_place: its core is out only in the scheduler's own code */
		if (f->flavor == FMT_FLAVOR_CURRENT_THREAD)
			return (struct role_facts){f->waiting ? ROLE_PARKED : ROLE_SCHEDULER, HOLDS_NOTHING};
		return (struct role_facts){ROLE_BLOCK_IN_PLACE, HOLDS_NOTHING};
	}
	if (f->flavor == FMT_FLAVOR_MULTI_THREAD && !f->park)
		return (struct role_facts){ROLE_PARKED, HOLDS_NOTHING};
	if (f->budget || is_unconstrained_poll(f))
		return (struct role_facts){ROLE_IN_POLL, HOLDS_RUNTIME};
	return (struct role_facts){f->waiting ? ROLE_PARKED : ROLE_SCHEDULER, HOLDS_NOTHING};
}

char classify_state(u64 state, bool preempt)
{
	if (preempt || state == 0)
		return 'R';
	if (state & (STATE_DEAD | STATE_EXIT_DEAD))
		return 'X';
	if (state & STATE_EXIT_ZOMBIE)
		return 'Z';
	if (state & STATE_TRACED)
		return 't';
	if (state & (STATE_STOPPED | STATE_FROZEN))
		return 'T';
	if (state & STATE_PARKED)
		return 'P';
	if (state & (STATE_D | STATE_RTLOCK))
		return state & STATE_NOLOAD ? 'I' : 'D';
	if (state & STATE_S)
		return 'S';
	return '?';
}

bool classify_state_waits(char state)
{
	return state == 'S' || state == 'D' || state == 'I';
}

/* What kind of system call: decides which facts about a wait mean something (arg0 is an fd only in some). */
enum call_kind {
	CALL_OTHER,
	CALL_NONE,
	CALL_SLEEP,
	CALL_FUTEX,
	CALL_SOCKET, /* only ever on sockets */
	CALL_FD,
	CALL_POLL,
	CALL_FSYNC,
	CALL_PATH,
	CALL_CHILD,
	CALL_CLONE,
	CALL_EPOLL,
	CALL_IO_URING,
};

static const u8 call_kinds[] = {[NR_nanosleep] = CALL_SLEEP,
				[NR_clock_nanosleep] = CALL_SLEEP,
				[NR_futex] = CALL_FUTEX,
				[NR_futex_wait] = CALL_FUTEX,
				[NR_futex_waitv] = CALL_FUTEX,
				[NR_futex_wake] = CALL_FUTEX,
				[NR_futex_requeue] = CALL_FUTEX,
				[NR_connect] = CALL_SOCKET,
				[NR_accept] = CALL_SOCKET,
				[NR_accept4] = CALL_SOCKET,
				[NR_recvfrom] = CALL_SOCKET,
				[NR_recvmsg] = CALL_SOCKET,
				[NR_recvmmsg] = CALL_SOCKET,
				[NR_sendto] = CALL_SOCKET,
				[NR_sendmsg] = CALL_SOCKET,
				[NR_sendmmsg] = CALL_SOCKET,
				[NR_shutdown] = CALL_SOCKET,
				[NR_bind] = CALL_SOCKET,
				[NR_listen] = CALL_SOCKET,
				[NR_read] = CALL_FD,
				[NR_write] = CALL_FD,
				[NR_readv] = CALL_FD,
				[NR_writev] = CALL_FD,
				[NR_pread64] = CALL_FD,
				[NR_pwrite64] = CALL_FD,
				[NR_preadv] = CALL_FD,
				[NR_pwritev] = CALL_FD,
				[NR_preadv2] = CALL_FD,
				[NR_pwritev2] = CALL_FD,
				[NR_sendfile] = CALL_FD,
				[NR_splice] = CALL_FD,
				[NR_tee] = CALL_FD,
				[NR_vmsplice] = CALL_FD,
				[NR_copy_file_range] = CALL_FD,
				[NR_close] = CALL_FD,
				[NR_ioctl] = CALL_FD,
				[NR_fcntl] = CALL_FD,
				[NR_flock] = CALL_FD,
				[NR_fallocate] = CALL_FD,
				[NR_ftruncate] = CALL_FD,
				[NR_lseek] = CALL_FD,
				[NR_readahead] = CALL_FD,
				[NR_getdents] = CALL_FD,
				[NR_getdents64] = CALL_FD,
				[NR_fadvise64] = CALL_FD,
				[NR_fstat] = CALL_FD,
				[NR_poll] = CALL_POLL,
				[NR_ppoll] = CALL_POLL,
				[NR_select] = CALL_POLL,
				[NR_pselect6] = CALL_POLL,
				[NR_fsync] = CALL_FSYNC,
				[NR_fdatasync] = CALL_FSYNC,
				[NR_sync] = CALL_FSYNC,
				[NR_syncfs] = CALL_FSYNC,
				[NR_sync_file_range] = CALL_FSYNC,
				[NR_msync] = CALL_FSYNC,
				[NR_open] = CALL_PATH,
				[NR_openat] = CALL_PATH,
				[NR_openat2] = CALL_PATH,
				[NR_creat] = CALL_PATH,
				[NR_stat] = CALL_PATH,
				[NR_lstat] = CALL_PATH,
				[NR_newfstatat] = CALL_PATH,
				[NR_statx] = CALL_PATH,
				[NR_access] = CALL_PATH,
				[NR_faccessat] = CALL_PATH,
				[NR_faccessat2] = CALL_PATH,
				[NR_readlink] = CALL_PATH,
				[NR_readlinkat] = CALL_PATH,
				[NR_rename] = CALL_PATH,
				[NR_renameat] = CALL_PATH,
				[NR_renameat2] = CALL_PATH,
				[NR_unlink] = CALL_PATH,
				[NR_unlinkat] = CALL_PATH,
				[NR_mkdir] = CALL_PATH,
				[NR_mkdirat] = CALL_PATH,
				[NR_rmdir] = CALL_PATH,
				[NR_link] = CALL_PATH,
				[NR_linkat] = CALL_PATH,
				[NR_symlink] = CALL_PATH,
				[NR_symlinkat] = CALL_PATH,
				[NR_truncate] = CALL_PATH,
				[NR_chmod] = CALL_PATH,
				[NR_fchmodat] = CALL_PATH,
				[NR_chown] = CALL_PATH,
				[NR_fchownat] = CALL_PATH,
				[NR_utimensat] = CALL_PATH,
				[NR_statfs] = CALL_PATH,
				[NR_execve] = CALL_PATH,
				[NR_execveat] = CALL_PATH,
				[NR_wait4] = CALL_CHILD,
				[NR_waitid] = CALL_CHILD,
				[NR_vfork] = CALL_CHILD,
				[NR_clone3] = CALL_CHILD,
				[NR_clone] = CALL_CLONE,
				[NR_epoll_wait] = CALL_EPOLL,
				[NR_epoll_pwait] = CALL_EPOLL,
				[NR_epoll_pwait2] = CALL_EPOLL,
				[NR_epoll_wait_old] = CALL_EPOLL,
				[NR_io_uring_enter] = CALL_IO_URING};

static enum call_kind call_kind(u64 syscall)
{
	if (!syscall)
		return CALL_NONE;
	return syscall - 1 < ARRAY_SIZE(call_kinds) ? call_kinds[syscall - 1] : CALL_OTHER;
}

static bool is_on_socket(const struct wait_facts *f, enum call_kind kind)
{
	if (kind == CALL_SOCKET)
		return true;
	return (kind == CALL_FD || kind == CALL_POLL) && (f->fd_type == FD_SOCK || f->fd_family != 0);
}

struct wait_verdict classify_wait(const struct wait_facts *f)
{
	enum call_kind kind = call_kind(f->syscall);
	bool fd_call = kind == CALL_FD || kind == CALL_POLL;
	bool asleep_in_kernel = f->state == 'D' || f->state == 'I';

	/* a thread that entered the kernel without a system call and sleeps there does so in a page fault; in state S with userfaultfd(2) */
	if (kind == CALL_NONE && (asleep_in_kernel || f->state == 'S'))
		return (struct wait_verdict){CLASS_FAULT, RULE_FAULT};
	if (kind == CALL_SLEEP)
		return (struct wait_verdict){CLASS_SLEEP, RULE_NANOSLEEP};
	if (kind == CALL_FUTEX)
		return (struct wait_verdict){CLASS_LOCK, RULE_FUTEX};
	if (is_on_socket(f, kind))
		return (struct wait_verdict){CLASS_NETWORK, RULE_SOCKET};
	if (kind == CALL_IO_URING)
		return (struct wait_verdict){CLASS_OTHER, RULE_IO_URING};
	if (f->iowait)
		return (struct wait_verdict){CLASS_DISK, RULE_IOWAIT};
	/* poll() never waits for either: a first fd of that kind is of the pid file system, or stands beside others */
	if (kind == CALL_FD && (f->fd_type == FD_REG || f->fd_type == FD_BLK || f->fd_type == FD_DIR))
		return (struct wait_verdict){CLASS_DISK, RULE_FILE};
	if (kind == CALL_FSYNC)
		return (struct wait_verdict){CLASS_DISK, RULE_FSYNC};
	if (kind == CALL_PATH && asleep_in_kernel)
		return (struct wait_verdict){CLASS_DISK, RULE_PATH};
	if (fd_call && f->fd_type == FD_FIFO)
		return (struct wait_verdict){CLASS_PIPE, RULE_PIPE};
	if (fd_call && f->fd_type == FD_CHR)
		return (struct wait_verdict){CLASS_PIPE, RULE_DEVICE};
	if (kind == CALL_CHILD || (kind == CALL_CLONE && (f->arg0 & CLONE_VFORK_FLAG)))
		return (struct wait_verdict){CLASS_PROCESS, RULE_CHILD};
	if (kind == CALL_EPOLL || kind == CALL_POLL)
		return (struct wait_verdict){CLASS_OTHER, RULE_EVENT_LOOP};
	return (struct wait_verdict){CLASS_OTHER, RULE_OTHER};
}
