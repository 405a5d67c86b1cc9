/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * snapshot.c: every thread as it is when recording begins, when a runtime is found, or when mappings became known that stacks had missed: workers that are parked,
 * polls that are blocked already. The kernel's task iterator gives state and registers, /proc/PID/mem the Tokio context and the stack. A thread that did not
 * switch between two passes of the iterator was looked at while it stood still.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"

#include "base/array.h"
#include "base/u64map.h"
#include "record/convert.h"
#include "record/copies.h"
#include "record/discover.h"
#include "record/unwind_walk.h"

enum { DWARF_RDI = 5 }; /* System V ABI AMD64 1.0 figure 3.36 */

/* x86-64: arch/x86/entry/syscalls/syscall_64.tbl */
enum { NR_poll = 7, NR_ppoll = 271 };

struct looked_at {
	struct wire_task task;
	struct wire_ctx ctx;
	struct fmt_snapshot row;
	u32 n_frames, fp_from;
	enum uw_status status;
	u64 frames[WIRE_MAX_FRAMES];
};

struct snapshot {
	struct discover *d;
	struct looked_at *list;
	u32 n;
	size_t cap;
	struct u64map by_tid; /* tid -> index in list */
};

/* As the kernel side does it. The thread may run meanwhile: then what comes out is nonsense, and thrown away (check_stood_still()). */
static void walk(const struct catalog *cat, struct cat_process *p, struct looked_at *l)
{
	const struct unwind_arrays *a = catalog_unwind(cat);
	const struct unwind_regs regs = {.ip = l->task.ip,
					 .sp = l->task.sp,
					 .fp = l->task.bp,
					 .after_call = l->task.wait.syscall >= 0,
					 .known = 1 << DWARF_RDI,
					 .other = {[DWARF_RDI] = l->task.wait.arg0}};
	struct unwind_stack s = {.frames = l->frames, .max = ARRAY_SIZE(l->frames)};

	if (!a || !l->task.ip)
		return;
	unwind_walk(a, p->slice, &regs, cat_process_read, p, &s);
	l->n_frames = s.n;
	l->fp_from = s.fp_from;
	l->status = s.status;
}

/* The kind of the first file that a thread polls, S_IFMT >> 12; 0 unknown. The iterator cannot read it, for it is in the process's memory. */
static u16 polled_type(struct cat_process *p, const struct wire_task *t)
{
	s32 fd;

	if ((t->wait.syscall != NR_poll && t->wait.syscall != NR_ppoll) || cat_process_read(p, t->wait.arg0, &fd, sizeof(fd)))
		return 0;
	return proc_fd_type(t->tgid, fd);
}

static int look_at(void *ctx, const struct wire_task *t)
{
	struct snapshot *s = ctx;
	struct cat_process *p = catalog_process(s->d->cat, t->tgid);
	struct looked_at *l;
	char comm[WIRE_COMM_LEN + 1] = "";

	if (!p)
		return -ENOMEM;
	if (ARRAY_ROOM(s->list, s->n, &s->cap) < 0)
		return -ENOMEM;
	memcpy(comm, t->comm, WIRE_COMM_LEN);
	l = &s->list[s->n];
	*l = (struct looked_at){.task = *t};
	if (t->fsbase)
		copies_read_ctx(p, t->fsbase, &l->ctx);
	else /* no thread-locals, none of its own (bpf/outside.bpf.h), or no memory any more */
		l->ctx = (struct wire_ctx){.status = WIRE_CTX_READ, .runtime = WIRE_NOT_ENTERED};
	l->row = (struct fmt_snapshot){
		.ts = clock_ns(CLOCK_MONOTONIC),
		.thread = catalog_thread(s->d->cat, t->tgid, t->tid, comm, t->start),
		.on_cpu = t->state == 0,
		.state = t->state,
		.iowait = t->wait.iowait,
		.fd_type = t->wait.fd_type ? t->wait.fd_type : polled_type(p, t),
		.fd_family = t->wait.fd_family,
	};
	if (t->wait.syscall >= 0 && t->wait.syscall < 1024) {
		l->row.syscall = (u64)t->wait.syscall + 1;
		l->row.arg0 = t->wait.arg0;
	}
	if (t->state && !convert_is_idle(&l->ctx))
		walk(s->d->cat, p, l);
	if (u64map_put(&s->by_tid, t->tid, s->n) < 0)
		return -ENOMEM;
	s->n++;
	return 0;
}

static int check_stood_still(void *ctx, const struct wire_task *t)
{
	struct snapshot *s = ctx;
	u64 i;

	if (u64map_get(&s->by_tid, t->tid, &i) && s->list[i].task.nvcsw == t->nvcsw && s->list[i].task.nivcsw == t->nivcsw &&
	    t->state && s->list[i].task.state)
		s->list[i].row.coherent = 1;
	return 0;
}

/* With the process's generation of mappings: behind another, the same addresses are other code. */
static u64 hash_stack(const struct cat_process *p, const struct looked_at *l)
{
	u64 h = 0xcbf29ce484222325ULL ^ p->pid ^ (u64)l->status << 32;

	h = (h ^ p->map_gen) * 0x9e3779b97f4a7c15ULL;
	for (u32 i = 0; i < l->n_frames; i++)
		h = (h ^ l->frames[i]) * 0x9e3779b97f4a7c15ULL ^ (h >> 31);
	return h;
}

static u32 stack_of(struct catalog *cat, struct cat_process *p, const struct looked_at *l)
{
	const struct cat_stack s = {
		.frames = l->frames, .n = l->n_frames, .fp_from = l->fp_from, .status = (enum fmt_stack_status)l->status};

	return catalog_stack(cat, hash_stack(p, l), p, &s, l->row.ts);
}

static int keep_row(struct discover *d, const struct cat_process *p, const struct fmt_snapshot *row)
{
	if (ARRAY_ROOM(d->rows, d->n_rows, &d->cap_rows) < 0)
		return -ENOMEM;
	d->rows[d->n_rows++] = (struct snapshot_row){.row = *row, .p = p};
	return 0;
}

static int keep_rows(struct snapshot *s)
{
	int err = 0;

	for (u32 i = 0; i < s->n && !err; i++) {
		struct looked_at *l = &s->list[i];
		struct cat_process *p = catalog_process(s->d->cat, l->task.tgid);

		if (!p)
			return -ENOMEM;
		if (l->n_frames && l->row.coherent)
			l->row.ustack = stack_of(s->d->cat, p, l);
		/* What was read of a thread that ran meanwhile may be half of one context and half of another: a runtime that there never was. */
		if (!l->row.coherent)
			l->ctx = (struct wire_ctx){.status = WIRE_CTX_NO_LAYOUT}; /* says nothing */
		convert_ctx(s->d->cat, p, (u32)l->row.thread, &l->ctx, &l->row.ctx_status);
		err = keep_row(s->d, p, &l->row);
	}
	return err;
}

int discover_snapshot(struct discover *d)
{
	struct snapshot s = {.d = d};
	int err;

	d->want_snapshot = false;
	err = kernel_side_each_thread(d->kernel, look_at, &s);

	if (!err)
		err = kernel_side_each_thread(d->kernel, check_stood_still, &s);
	if (!err)
		err = keep_rows(&s);
	free(s.list);
	u64map_release(&s.by_tid);
	return err;
}

int discover_put_snapshot(struct discover *d, struct fmt_writer *w, u64 until)
{
	int err = 0;

	while (!err && d->first_row < d->n_rows && d->rows[d->first_row].row.ts < until) {
		const struct snapshot_row *r = &d->rows[d->first_row++];

		/* the exec or exit was before, but its record still in the ring: what memory there was to read is not the thread's any more */
		if (!r->p->gone)
			err = fmt_writer_row(w, FMT_SNAPSHOT, &r->row, NULL, 0);
	}
	if (d->first_row == d->n_rows)
		discover_release(d);
	return err;
}

void discover_release(struct discover *d)
{
	free(d->rows);
	d->rows = NULL;
	d->n_rows = d->first_row = 0;
	d->cap_rows = 0;
}
