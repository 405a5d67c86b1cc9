/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* probe_side.c: see probe_side.h. */
#include "record/probe_side.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "record/uprobe_link.h"

enum {
	ROUND_CALLS = 50, /* of an own function, in each round of the measurement: short, so that some are not disturbed */
	ROUNDS = 16,
	MAX_TRIES = 64, /* requests that may be refused while places that cannot be probed are sought */
};

/*
 * The own functions. One begins as most do, with an instruction that the kernel emulates; the other with one that it lets the thread execute in a page of its own,
 * by a single step: that is dearer, on a virtual machine by far.
 */
__asm__(".pushsection .text\n"
	".p2align 4\n"
	".type ascope_emulated,@function\n"
	"ascope_emulated:\n"
	"	push %rbp\n"
	"	pop %rbp\n"
	"	ret\n"
	".size ascope_emulated,.-ascope_emulated\n"
	".p2align 4\n"
	".type ascope_stepped,@function\n"
	"ascope_stepped:\n"
	"	mov %rsp,%rax\n"
	"	ret\n"
	".size ascope_stepped,.-ascope_stepped\n"
	".popsection\n");
extern void ascope_emulated(void) __attribute__((visibility("hidden")));
extern void ascope_stepped(void) __attribute__((visibility("hidden")));

typedef void own_fn(void);
static own_fn *const own[] = {ascope_emulated, ascope_stepped};

struct address {
	u64 at, off;
};

static int note_offset(void *ctx, const struct proc_map *m)
{
	struct address *a = ctx;

	if (a->at < m->start || a->at >= m->end)
		return 0;
	a->off = a->at - m->start + m->file_off;
	return 1;
}

/* In this process's program file. */
static int own_offset(own_fn *fn, u64 *ret)
{
	struct address a = {.at = (u64)(uintptr_t)fn};
	int found = proc_maps(NULL, (u32)getpid(), note_offset, &a);

	*ret = a.off;
	return found < 0 ? found : found ? 0 : -ENOENT;
}

static void *call_once(void *arg)
{
	for (u32 f = 0; f < ARRAY_SIZE(own); f++)
		own[f]();
	return arg;
}

/* One call of each, of another thread than the process's first. */
static bool call_in_thread(void)
{
	pthread_t t;

	return pthread_create(&t, NULL, call_once, NULL) == 0 && pthread_join(t, NULL) == 0;
}

static u64 hits_now(const u64 *own_hits)
{
	return __atomic_load_n(own_hits, __ATOMIC_SEQ_CST);
}

/* A call, ns of this thread's cpu time: the least of several rounds. */
static u64 time_calls(own_fn *fn)
{
	u64 least = UINT64_MAX;

	for (u32 r = 0; r < ROUNDS; r++) {
		u64 t = clock_ns(CLOCK_THREAD_CPUTIME_ID);

		for (u32 i = 0; i < ROUND_CALLS; i++)
			fn();
		t = clock_ns(CLOCK_THREAD_CPUTIME_ID) - t;
		least = t < least ? t : least;
	}
	return least / ROUND_CALLS;
}

struct own_probe {
	int fds[ARRAY_SIZE(own)];
	u32 n;
};

static int own_attach(const struct probe_side *s, int prog, const struct uprobe_places *p, struct own_probe *ret)
{
	int err = 0;

	if (s->multi)
		ret->fds[0] = uprobe_link_multi(prog, p);
	else
		err = uprobe_link_single(prog, p, ret->fds);
	if (s->multi && ret->fds[0] < 0)
		err = ret->fds[0];
	ret->n = err ? 0 : s->multi ? 1 : p->n;
	return err;
}

static void own_detach(struct own_probe *o)
{
	for (u32 i = 0; i < o->n; i++)
		(void)close(o->fds[i]);
	o->n = 0;
}

/* Whether every call is seen, once: of this thread and of another. What that costs is measured, too. */
static int own_try(struct probe_side *s, int prog, const struct uprobe_places *p, const u64 *own_hits)
{
	const u64 wanted = ARRAY_SIZE(own) * (ROUNDS * ROUND_CALLS + 1);
	u64 before = hits_now(own_hits), ns[ARRAY_SIZE(own)];
	struct own_probe o;
	int err = own_attach(s, prog, p, &o);
	bool right;

	if (err)
		return err;
	for (u32 f = 0; f < ARRAY_SIZE(own); f++)
		ns[f] = time_calls(own[f]);
	right = call_in_thread() && hits_now(own_hits) - before == wanted;
	own_detach(&o);
	for (u32 f = 0; f < ARRAY_SIZE(own); f++) {
		u64 bare = time_calls(own[f]);

		ns[f] = ns[f] > bare ? ns[f] - bare : 1;
	}
	s->emulated_ns = ns[0];
	s->stepped_ns = ns[1] > ns[0] ? ns[1] : ns[0];
	return right ? 0 : -ENOTSUP;
}

static const char *why_not(int err)
{
	switch (err) {
	case -EPERM:
	case -EACCES:
		return "not permitted to put probes on programs (needs CAP_BPF and CAP_PERFMON, or root)";
	case -ENOTSUP:
		return "this kernel's probes on programs do not work: one on ascope's own code was not hit as often as it ran";
	default:
		return "this kernel puts no probe on ascope's own code (uprobes; CONFIG_UPROBE_EVENTS)";
	}
}

bool probe_side_multi(struct probe_side *s)
{
	s->multi = uprobe_link_has_multi();
	return s->multi;
}

/* Single probes are a descriptor each: as many as may be had without asking. */
static void allow_descriptors(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &l);
	}
}

void probe_side_try(struct probe_side *s, const struct helper_programs *programs, int own_prog, const u64 *own_hits)
{
	_cleanup_close_ int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	u64 offsets[ARRAY_SIZE(own)];
	struct uprobe_places p = {.file = exe, .pid = (u32)getpid(), .offsets = offsets, .n = ARRAY_SIZE(own)};
	int err = exe < 0 ? -errno : 0;

	if (!s->multi && !uprobe_link_has_single()) {
		s->why = "this kernel has no uprobes as perf events (CONFIG_UPROBE_EVENTS), or /sys is not mounted";
		return;
	}
	for (u32 f = 0; f < ARRAY_SIZE(own) && !err; f++)
		err = own_offset(own[f], &offsets[f]);
	if (!err)
		err = own_try(s, own_prog, &p, own_hits);
	if (err == -ENOTSUP) {
		p.pid = 0;
		err = own_try(s, own_prog, &p, own_hits);
	}
	if (err) {
		s->why = why_not(err);
		return;
	}
	s->helper->programs = *programs;
	s->helper->programs.multi = s->multi;
	s->helper->programs.by_process = p.pid != 0;
	if (!s->multi)
		allow_descriptors();
}

/* ---- attaching ---- */

struct attaching {
	struct probe_side *s;
	const struct kernel_probe *p;
	const u64 *offsets; /* those of *p whose price is that of cookie */
	u64 cookie;
	struct kernel_probe_links *links;
	size_t room; /* in links->fds */
	u32 tries;
};

/* Of one place: the instruction there cannot be stepped over, or it is no place in the file. ENOTSUPP (524) is the kernel's own. */
static bool is_refusal(int err)
{
	return err == -EINVAL || err == -EIO || err == -EOPNOTSUPP || err == -524 || err == -ENOEXEC;
}

static int attach_some(struct attaching *a, u32 from, u32 n)
{
	const struct helper_probe hp = {.file = &a->p->file,
					.tgid = a->p->tgid,
					.group = a->p->group,
					.cookie = a->cookie,
					.offsets = a->offsets + from,
					.n = n};
	struct kernel_probe_links *l = a->links;
	u32 most = a->s->multi ? 1 : n;
	int got;

	if (ARRAY_ROOM(l->fds, l->n + most, &a->room) < 0)
		return -ENOMEM;
	got = helper_probe(a->s->helper, &hp, l->fds + l->n);
	if (got < 0)
		return got;
	l->n += (u32)got;
	l->places += n;
	return 0;
}

/* One place that is refused costs the whole request: the rest of it is found by halving. */
static int attach_range(struct attaching *a, u32 from, u32 n)
{
	int err = attach_some(a, from, n);

	if (!err || !is_refusal(err))
		return err;
	if (n == 1 || a->tries >= MAX_TRIES) {
		a->links->refused += n;
		return 0;
	}
	a->tries++;
	err = attach_range(a, from, n / 2);
	return err ? err : attach_range(a, from + n / 2, n - n / 2);
}

/* Those at which the kernel emulates the instruction go first in *ret (room for p->n). Whatever cannot be read counts as the dearer. Returns how many. */
static u32 sort_by_price(const struct probe_side *s, const struct kernel_probe *p, u64 *ret)
{
	_cleanup_close_ int file = helper_open(s->helper, &p->file);
	u32 cheap = 0, dear = p->n;

	for (u32 i = 0; i < p->n; i++) {
		u8 insn[2];
		bool emulated = file >= 0 && fd_pread_full(file, insn, sizeof(insn), p->offsets[i]) == (ssize_t)sizeof(insn) &&
				uprobe_is_emulated(insn, sizeof(insn));

		ret[emulated ? cheap++ : --dear] = p->offsets[i];
	}
	return cheap;
}

static int attach_all(struct attaching *a, u32 n)
{
	u32 step = helper_probe_max(a->s->helper);
	int err = 0;

	for (u32 from = 0; !err && from < n; from += step)
		err = attach_range(a, from, n - from < step ? n - from : step);
	return err;
}

int probe_side_attach(struct probe_side *s, const struct kernel_probe *p, struct kernel_probe_links *ret)
{
	_cleanup_free_ u64 *offsets = NULL;
	struct attaching a = {.s = s, .p = p, .links = ret, .cookie = PROBE_COOKIE(p->group, p->module, p->task)};
	u32 cheap;
	int err;

	*ret = (struct kernel_probe_links){.fds = NULL};
	if (s->why || p->group >= PROBE_GROUPS || !(s->helper->programs.groups >> p->group & 1))
		return -EOPNOTSUPP;
	if (!p->n)
		return -EINVAL;
	if (p->n > (s->multi ? KERNEL_PROBE_MAX : KERNEL_PROBE_MAX_SINGLE))
		return -E2BIG;
	offsets = reallocarray(NULL, p->n, sizeof(*offsets));
	if (!offsets)
		return -ENOMEM;
	cheap = sort_by_price(s, p, offsets);
	a.offsets = offsets;
	err = attach_all(&a, cheap);
	if (!err) {
		u32 places = ret->places;

		a.offsets += cheap;
		a.cookie |= WIRE_COOKIE_STEPPED;
		err = attach_all(&a, p->n - cheap);
		ret->stepped = ret->places - places;
	}
	if (!err && !ret->places)
		err = -EINVAL;
	if (err) {
		for (u32 i = 0; i < ret->n; i++)
			(void)close(ret->fds[i]);
		free(ret->fds);
		*ret = (struct kernel_probe_links){.fds = NULL};
	}
	return err;
}

/* ---- ends of polls ---- */

int probe_side_know_end(struct probe_side *s, u32 tgid, u64 address)
{
	u64 key = WIRE_END_KEY(tgid, address);
	u32 first = (u32)WIRE_END_SET(key) * WIRE_END_WAYS, at = UINT32_MAX;

	for (u32 i = first; i < first + WIRE_END_WAYS; i++) {
		if (s->ends[i].tgid == tgid && s->ends[i].address == address)
			return 0;
		if (!s->ends[i].tgid && at == UINT32_MAX)
			at = i;
	}
	if (at == UINT32_MAX)
		return -ENOSPC;
	s->ends[at] = (struct probe_end){.tgid = tgid, .address = address};
	__atomic_store_n(&s->keys[at], key, __ATOMIC_RELAXED);
	return 0;
}

void probe_side_forget_ends(struct probe_side *s, u32 tgid)
{
	for (u32 i = 0; i < ARRAY_SIZE(s->ends); i++) {
		if (s->ends[i].tgid != tgid)
			continue;
		s->ends[i].tgid = 0;
		__atomic_store_n(&s->keys[i], 0, __ATOMIC_RELAXED);
	}
}
