/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* evidence.bpf.h: what a thread waits for, as far as the kernel knows: system call, argument, kind of file. No verdicts here. */
#pragma once

#include "emit.bpf.h"

/* x86-64 system call numbers: arch/x86/entry/syscalls/syscall_64.tbl */
enum {
	NR_poll = 7,
	NR_ppoll = 271,
};

#define S_IFSOCK_TYPE 0xc
#define S_IFREG_TYPE  0x8

/* include/uapi/linux/magic.h. Since 6.16 (anonymous inodes) and 6.9 (pidfds) they say that they are regular files, and lie on no disk. */
#define ANON_INODE_FS_MAGIC 0x09041934
#define PID_FS_MAGIC	    0x50494446

static __always_inline bool is_no_file(struct file *file)
{
	u64 magic = BPF_CORE_READ(file, f_inode, i_sb, s_magic);

	return magic == ANON_INODE_FS_MAGIC || magic == PID_FS_MAGIC;
}

/* System calls whose first argument is a file descriptor that can be waited on; one bit per number below 64, the rest by name. */
static __always_inline bool arg0_is_fd(s64 nr)
{
	/* read write fstat lseek ioctl pread64 pwrite64 readv writev sendfile connect accept sendto recvfrom sendmsg recvmsg */
	const u64 low = 1ULL << 0 | 1ULL << 1 | 1ULL << 5 | 1ULL << 8 | 1ULL << 16 | 1ULL << 17 | 1ULL << 18 | 1ULL << 19 |
			1ULL << 20 | 1ULL << 40 | 1ULL << 42 | 1ULL << 43 | 1ULL << 44 | 1ULL << 45 | 1ULL << 46 | 1ULL << 47;

	if (nr >= 0 && nr < 64)
		return low >> nr & 1;
	switch (nr) {
	case 72:  /* fcntl */
	case 73:  /* flock */
	case 74:  /* fsync */
	case 75:  /* fdatasync */
	case 77:  /* ftruncate */
	case 78:  /* getdents */
	case 187: /* readahead */
	case 217: /* getdents64 */
	case 221: /* fadvise64 */
	case 275: /* splice */
	case 277: /* sync_file_range */
	case 285: /* fallocate */
	case 288: /* accept4 */
	case 295: /* preadv */
	case 296: /* pwritev */
	case 299: /* recvmmsg */
	case 306: /* syncfs */
	case 307: /* sendmmsg */
	case 326: /* copy_file_range */
	case 327: /* preadv2 */
	case 328: /* pwritev2 */
		return true;
	}
	return false;
}

static __always_inline void file_evidence(struct task_struct *t, u32 fd, struct wire_wait *w)
{
	struct file **table, *file = 0;
	u32 max = BPF_CORE_READ(t, files, fdt, max_fds);
	u16 mode;

	if (fd >= max)
		return;
	table = BPF_CORE_READ(t, files, fdt, fd);
	if (bpf_probe_read_kernel(&file, sizeof(file), table + fd) || !file)
		return;
	mode = BPF_CORE_READ(file, f_inode, i_mode);
	w->fd_type = mode >> 12;
	if (w->fd_type == S_IFREG_TYPE && is_no_file(file))
		w->fd_type = 0;
	if (w->fd_type == S_IFSOCK_TYPE) {
		struct socket *sock = BPF_CORE_READ(file, private_data);

		w->fd_family = (u16)(1 + BPF_CORE_READ(sock, sk, __sk_common.skc_family));
	}
}

/* Of the current thread, t, with its registers. */
static __always_inline void wait_evidence(struct wire_wait *w, struct task_struct *t, struct pt_regs *regs)
{
	s64 nr = (s64)regs->orig_ax;

	w->iowait = BPF_CORE_READ_BITFIELD(t, in_iowait);
	w->syscall = -1;
	if (nr < 0 || nr > 1024)
		return;
	w->syscall = (s32)nr;
	w->arg0 = regs->di;
}

/* The file of the current thread's system call, which w tells. A global function, so that the verifier looks at it once (unwind.bpf.h). */
__attribute__((noinline)) int wait_file(struct wire_wait *w)
{
	struct task_struct *t = bpf_get_current_task_btf();
	u32 fd;

	if (!w || w->syscall < 0)
		return 0;
	if (arg0_is_fd(w->syscall))
		file_evidence(t, (u32)w->arg0, w);
	else if ((w->syscall == NR_poll || w->syscall == NR_ppoll) && !bpf_probe_read_user(&fd, sizeof(fd), (void *)w->arg0))
		file_evidence(t, fd, w);
	return 0;
}
