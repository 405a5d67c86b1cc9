/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* uprobe_link.c: see uprobe_link.h. */
#include "record/uprobe_link.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/parse.h"

/* What BPF_LINK_CREATE takes of a uprobe_multi link; Debian 12's header predates it. */
struct uprobe_multi_attr {
	u32 prog_fd, target_fd, attach_type, flags;
	u64 path, offsets, ref_ctr_offsets, cookies;
	u32 cnt, multi_flags, pid;
	u32 zero; /* the kernel looks at what it is given of its own, larger struct */
};

#define UPROBE_TYPE "/sys/bus/event_source/devices/uprobe/type"

struct file_path {
	char text[32];
};

/* The very file that is open, whatever name it has, or none; both system calls take a path. */
static struct file_path path_of(int file)
{
	struct file_path p;

	(void)snprintf(p.text, sizeof(p.text), "/proc/self/fd/%d", file);
	return p;
}

static u64 address_of(const void *at)
{
	return (u64)(uintptr_t)at;
}

/* Whoever asks may have been taken over by a hostile file: nothing but places of the file goes to the kernel. */
static bool are_in_file(const struct uprobe_places *p, u32 most)
{
	struct stat st;

	if (!p->n || p->n > most || p->file < 0 || !p->offsets || fstat(p->file, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	for (u32 i = 0; i < p->n; i++)
		if (p->offsets[i] >= (u64)st.st_size)
			return false;
	return true;
}

static int link_multi(int prog_fd, const struct uprobe_places *p)
{
	struct file_path path = path_of(p->file);
	_cleanup_free_ u64 *cookies = NULL;
	struct uprobe_multi_attr a = {
		.prog_fd = (u32)prog_fd,
		.attach_type = UPROBE_MULTI_ATTACH_TYPE,
		.path = address_of(path.text),
		.offsets = address_of(p->offsets),
		.cnt = p->n,
		.pid = p->pid,
	};
	int fd;

	cookies = malloc(p->n * sizeof(*cookies));
	if (!cookies)
		return -ENOMEM;
	for (u32 i = 0; i < p->n; i++)
		cookies[i] = p->cookie;
	a.cookies = address_of(cookies);
	fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &a, sizeof(a));
	return fd < 0 ? -errno : fd;
}

int uprobe_link_multi(int prog_fd, const struct uprobe_places *p)
{
	return are_in_file(p, UPROBE_MULTI_MAX) ? link_multi(prog_fd, p) : -EINVAL;
}

static int read_type(u32 *ret)
{
	char text[16] = "";
	_cleanup_close_ int fd = open(UPROBE_TYPE, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	u64 type;

	if (n <= 0)
		return -EOPNOTSUPP;
	text[strcspn(text, "\n")] = 0;
	if (parse_u64(text, &type) < 0 || type > UINT32_MAX)
		return -EOPNOTSUPP;
	*ret = (u32)type;
	return 0;
}

/*
 * The event stays disabled: the kernel puts the breakpoint in when it is opened, filters by its process, and runs the programs that are on it whether or not
 * it is enabled; an enabled one would be put on and off the cpu with the thread at each switch, with all others of its kind. probe_side.c tries whether that
 * is so. Of cpu and pid one must be given.
 */
static int open_event(u32 type, const char *path, const struct uprobe_places *p, u32 i)
{
	struct perf_event_attr attr = {
		.type = type,
		.size = sizeof(attr),
		.uprobe_path = address_of(path),
		.probe_offset = p->offsets[i],
		.disabled = 1,
	};
	int fd;

	fd = (int)syscall(SYS_perf_event_open, &attr, p->pid ? (pid_t)p->pid : -1, p->pid ? -1 : 0, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int link_single(int prog_fd, u32 type, const char *path, const struct uprobe_places *p, u32 i)
{
	LIBBPF_OPTS(bpf_link_create_opts, o, .perf_event.bpf_cookie = p->cookie);
	_cleanup_close_ int event = open_event(type, path, p, i);
	int link;

	if (event < 0)
		return event;
	link = bpf_link_create(prog_fd, event, BPF_PERF_EVENT, &o); /* keeps the event (5.15 and later) */
	return link < 0 ? -errno : link;
}

int uprobe_link_single(int prog_fd, const struct uprobe_places *p, int *fds)
{
	struct file_path path = path_of(p->file);
	u32 type;
	int err;

	if (!are_in_file(p, UPROBE_SINGLE_MAX))
		return -EINVAL;
	err = read_type(&type);
	if (err)
		return err;
	for (u32 i = 0; i < p->n; i++) {
		fds[i] = link_single(prog_fd, type, path.text, p, i);
		if (fds[i] < 0) {
			err = fds[i];
			while (i--)
				(void)close(fds[i]);
			return err;
		}
	}
	return 0;
}

/* A program that does nothing; fd or negative errno. */
static int load_nothing(void)
{
	static const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, o, .expected_attach_type = (enum bpf_attach_type)UPROBE_MULTI_ATTACH_TYPE);
	int fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "nothing", "Dual MIT/GPL", insns, ARRAY_SIZE(insns), &o);

	return fd < 0 ? -errno : fd;
}

bool uprobe_link_has_multi(void)
{
	u64 offset = 0;
	_cleanup_close_ int prog = load_nothing();
	_cleanup_close_ int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct uprobe_places p = {.file = dir, .offsets = &offset, .n = 1};

	/* -EINVAL: link_create does not know the type. That a directory is no file is found by the code that does. */
	return prog >= 0 && dir >= 0 && link_multi(prog, &p) == -EBADF;
}

bool uprobe_link_has_single(void)
{
	u32 type;

	return read_type(&type) == 0;
}

bool uprobe_is_emulated(const u8 *insn, size_t n)
{
	if (!n)
		return false;
	if ((insn[0] >= 0x50 && insn[0] <= 0x57) || (insn[0] >= 0x70 && insn[0] <= 0x7f)) /* push, jcc */
		return true;
	if (insn[0] == 0xe8 || insn[0] == 0xe9 || insn[0] == 0xeb || insn[0] == 0x90) /* call, jmp, nop */
		return true;
	if (n < 2)
		return false;
	return (insn[0] == 0x41 && insn[1] >= 0x50 && insn[1] <= 0x57) || /* push r8 - r15 */
	       (insn[0] == 0x0f && insn[1] >= 0x80 && insn[1] <= 0x8f);	  /* jcc rel32 */
}
