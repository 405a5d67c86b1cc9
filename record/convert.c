/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* convert.c: see convert.h. One function per kind of record. */
#include "record/convert.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "record/copies.h"

/* convert_ctx() fills FMT_CTX_COLS as an array */
#define CTX_COLUMNS 8
_Static_assert(offsetof(struct fmt_switch_out, tick) - offsetof(struct fmt_switch_out, ctx_status) ==
		       (CTX_COLUMNS - 1) * sizeof(u64),
	       "context columns");
_Static_assert(offsetof(struct fmt_sample, tick) - offsetof(struct fmt_sample, ctx_status) == (CTX_COLUMNS - 1) * sizeof(u64),
	       "context columns");
_Static_assert((int)WIRE_CTX_READ == (int)FMT_CTX_READ && (int)WIRE_CTX_UNREAD == (int)FMT_CTX_UNREAD, "same numbers");
_Static_assert((int)WIRE_FLAVOR_MULTI_THREAD == (int)FMT_FLAVOR_MULTI_THREAD, "same numbers");
_Static_assert((int)UW_WHOLE == (int)FMT_STACK_WHOLE && (int)UW_TRUNCATED == (int)FMT_STACK_TRUNCATED &&
		       (int)UW_NO_TABLE == (int)FMT_STACK_NO_TABLE && (int)UW_FAULT == (int)FMT_STACK_FAULT &&
		       (int)UW_NO_MAPPING == (int)FMT_STACK_NO_MAPPING && (int)UW_BAD_RULE == (int)FMT_STACK_BAD_RULE &&
		       (int)UW_BROKEN == (int)FMT_STACK_BROKEN && (int)UW_STARTING == (int)FMT_STACK_STARTING &&
		       (int)UW_STATUSES == (int)FMT_STACK_STATUS_END,
	       "same numbers");

void convert_ctx(struct catalog *cat, struct cat_process *p, u32 thread, const struct wire_ctx *x, u64 *cols)
{
	bool is_ours = x->status == WIRE_CTX_NO_LAYOUT || copies_by_gen(p, x->gen);
	u32 context = is_ours && x->status == WIRE_CTX_READ ? catalog_context(cat, p, thread, x) : 0;
	/*
	 * inside a scheduler context that cannot be told apart from others: say "unread" rather than "not in a runtime". Read with a layout that is none of its
	 * process's, such as its parent's until it execs, or its old image's that user space told the kernel side of when it did not know of the exec yet, it
	 * says nothing; nor does that there was nothing to read at that place
	 */
	u64 status = !is_ours ? FMT_CTX_NO_LAYOUT : x->sched && !context ? FMT_CTX_UNREAD : x->status;
	const u64 values[CTX_COLUMNS] = {status, context, x->budget, x->runtime, x->core, x->park, x->task, x->tick};

	memcpy(cols, values, sizeof(values));
}

bool convert_is_idle(const struct wire_ctx *x)
{
	if (x->status != WIRE_CTX_READ || x->budget)
		return false;
	if (!x->sched)
		return x->runtime == 2 && !x->task;
	return x->core && (x->flavor == WIRE_FLAVOR_MULTI_THREAD ? !x->park : !x->task);
}

static u32 stack_of(struct convert *cv, u64 hash)
{
	u32 idx = catalog_stack_known(cv->cat, hash);

	/* another cpu sent it just now, in a ring of its own */
	if (hash && !idx && cv->find_stack && cv->find_stack(cv->find_ctx, hash))
		idx = catalog_stack_known(cv->cat, hash);
	cv->stacks_missing += hash && !idx;
	return idx;
}

void convert_release(struct convert *cv)
{
	free(cv->threads);
	cv->threads = NULL;
	cv->cap_threads = 0;
}

/* NULL when out of memory. */
static struct convert_thread *thread_of(struct convert *cv, u64 idx)
{
	return ARRAY_ROOM(cv->threads, idx, &cv->cap_threads) < 0 ? NULL : &cv->threads[idx];
}

/*
 * Some machines (seen in virtual ones, 6.18) now and then report a switch from idle to nobody: not to BPF, not to perf. The thread's run time at its next
 * switch-out tells when it must have come back; without that a block would lose its end. Its count of switches tells that from records that were lost:
 * then nothing can be said of the time between.
 */
static int note_switch_out(struct convert *cv, const struct wire_switch_out *e, u64 thread)
{
	struct convert_thread *t = thread_of(cv, thread);
	u64 ran;
	int err = 0;

	if (!t)
		return -ENOMEM;
	if (t->is_out && e->switches == t->switches + 1 && e->exec >= t->exec && e->h.ts >= t->ts) {
		ran = min_u64(e->exec - t->exec, e->h.ts - t->ts);
		err = fmt_writer_row(
			cv->w, FMT_SWITCH_IN,
			&(struct fmt_switch_in){.ts = e->h.ts - ran, .thread = thread, .cpu = e->h.cpu, .derived = 1}, NULL, 0);
	}
	*t = (struct convert_thread){.ts = e->h.ts, .exec = e->exec, .switches = e->switches, .is_out = true};
	return err;
}

static int put_switch_out(struct convert *cv, const struct wire_switch_out *e)
{
	struct cat_process *p = catalog_process(cv->cat, e->h.tgid);
	struct fmt_switch_out row = {
		.ts = e->h.ts,
		.thread = catalog_thread(cv->cat, e->h.tgid, e->h.tid, NULL, 0),
		.cpu = e->h.cpu,
		.state = e->state,
		.preempt = e->preempt,
		.iowait = e->wait.iowait,
		.fd_type = e->wait.fd_type,
		.fd_family = e->wait.fd_family,
		.ustack = stack_of(cv, e->ustack),
		.kstack = stack_of(cv, e->kstack),
		.lifo = e->lifo,
		.queued = e->queued,
		.inject = e->inject,
	};
	int err;

	if (!p)
		return -ENOMEM;
	err = note_switch_out(cv, e, row.thread);
	if (err)
		return err;
	if (e->wait.syscall >= 0) {
		row.syscall = (u64)e->wait.syscall + 1;
		row.arg0 = e->wait.arg0;
	}
	convert_ctx(cv->cat, p, (u32)row.thread, &e->ctx, &row.ctx_status);
	return fmt_writer_row(cv->w, FMT_SWITCH_OUT, &row, NULL, 0);
}

static int put_switch_in(struct convert *cv, const struct wire_switch_in *e)
{
	struct fmt_switch_in row = {.ts = e->h.ts, .cpu = e->h.cpu};
	struct convert_thread *t;

	row.thread = catalog_thread(cv->cat, e->h.tgid, e->h.tid, NULL, 0);
	t = thread_of(cv, row.thread);
	if (!t)
		return -ENOMEM;
	t->is_out = false;
	return fmt_writer_row(cv->w, FMT_SWITCH_IN, &row, NULL, 0);
}

static int put_waking(struct convert *cv, const struct wire_waking *e)
{
	struct fmt_waking row = {.ts = e->h.ts,
				 .cpu = e->h.cpu,
				 .source = e->irq != 0,
				 .waker_pid = e->waker_tgid,
				 .waker_tid = e->waker_tid,
				 .state = e->state,
				 .waker_ustack = stack_of(cv, e->waker_ustack),
				 .waker_kstack = stack_of(cv, e->waker_kstack)};
	struct cat_process *p;

	row.thread = catalog_thread(cv->cat, e->h.tgid, e->h.tid, NULL, 0);
	row.waker = e->irq ? 0 : catalog_thread_known(cv->cat, e->waker_tgid, e->waker_tid);
	if (row.waker && e->waker_ctx.status == WIRE_CTX_READ) {
		p = catalog_process(cv->cat, e->waker_tgid);
		if (!p)
			return -ENOMEM;
		row.waker_context = catalog_context_known(cv->cat, (u32)row.waker, &e->waker_ctx);
		row.waker_budget = e->waker_ctx.budget;
		row.waker_task = e->waker_ctx.task;
	}
	return fmt_writer_row(cv->w, FMT_WAKING, &row, NULL, 0);
}

static int put_sample(struct convert *cv, const struct wire_sample *e)
{
	struct cat_process *p = catalog_process(cv->cat, e->h.tgid);
	struct fmt_sample row = {
		.ts = e->h.ts,
		.thread = catalog_thread(cv->cat, e->h.tgid, e->h.tid, NULL, 0),
		.cpu = e->h.cpu,
		.mode = e->user_mode ? 1 : 2,
		.ustack = stack_of(cv, e->ustack),
		.kstack = stack_of(cv, e->kstack),
		.pc = e->pc,
		.lifo = e->lifo,
		.queued = e->queued,
		.inject = e->inject,
	};

	if (!p)
		return -ENOMEM;
	convert_ctx(cv->cat, p, (u32)row.thread, &e->ctx, &row.ctx_status);
	return fmt_writer_row(cv->w, FMT_SAMPLE, &row, NULL, 0);
}

/* A stack without frames says how the walk from a sample's own address ended. */
static int put_stack(struct convert *cv, const struct wire_stack *e, size_t size)
{
	struct cat_stack s = {.frames = (const u64 *)e->frames, .n = e->n, .fp_from = e->fp_from, .status = e->status};
	struct cat_process *p = NULL;

	if (e->n > WIRE_MAX_FRAMES || size < offsetof(struct wire_stack, frames) + e->n * sizeof(u64) || e->status == UW_MORE ||
	    e->status >= UW_STATUSES || e->fp_from > e->n) {
		cv->bad_records++;
		return 0;
	}
	if (!e->kernel) {
		p = catalog_process(cv->cat, e->h.tgid);
		if (!p)
			return -ENOMEM;
	}
	(void)catalog_stack(cv->cat, e->hash, p, &s, e->h.ts);
	return catalog_err(cv->cat);
}

static int put_thread_start(struct convert *cv, const struct wire_thread_start *e)
{
	struct fmt_thread_start row = {.ts = e->h.ts};
	char comm[WIRE_COMM_LEN + 1] = "";

	memcpy(comm, e->comm, WIRE_COMM_LEN);
	if (e->h.tid == e->h.tgid && !catalog_process_start(cv->cat, e->h.tgid))
		return -ENOMEM;
	row.thread = catalog_thread_start(cv->cat, e->h.tgid, e->h.tid, comm, e->start);
	row.parent = catalog_thread_known(cv->cat, e->parent_tgid, e->parent_tid);
	return fmt_writer_row(cv->w, FMT_THREAD_START, &row, NULL, 0);
}

static int put_thread_exit(struct convert *cv, const struct wire_thread_exit *e)
{
	struct fmt_thread_exit row = {.ts = e->h.ts, .group_dead = e->group_dead != 0};

	row.thread = catalog_thread(cv->cat, e->h.tgid, e->h.tid, NULL, 0);
	if (e->group_dead)
		catalog_process_exit(cv->cat, e->h.tgid, e->cpu_ns);
	return fmt_writer_row(cv->w, FMT_THREAD_EXIT, &row, NULL, 0);
}

static int put_rename(struct convert *cv, const struct wire_rename *e)
{
	struct fmt_rename row = {.ts = e->h.ts};
	char comm[WIRE_COMM_LEN + 1] = "";

	memcpy(comm, e->comm, WIRE_COMM_LEN);
	row.thread = catalog_thread(cv->cat, e->h.tgid, e->h.tid, comm, 0);
	row.comm = catalog_string(cv->cat, comm);
	catalog_thread_rename(cv->cat, (u32)row.thread, (u32)row.comm);
	return fmt_writer_row(cv->w, FMT_RENAME, &row, NULL, 0);
}

/* The new image is a process entry of its own; its one thread, too, for it has another stack and no runtime. */
static int put_exec(struct convert *cv, const struct wire_exec *e)
{
	struct fmt_exec row = {.ts = e->h.ts};
	struct cat_process *p;

	row.thread = catalog_thread(cv->cat, e->h.tgid, e->old_tid, NULL, 0);
	p = catalog_process_exec(cv->cat, e->h.tgid);
	if (!p)
		return -ENOMEM;
	row.process = p->idx;
	(void)catalog_thread_start(cv->cat, e->h.tgid, e->h.tid, NULL, 0);
	return fmt_writer_row(cv->w, FMT_EXEC, &row, NULL, 0);
}

static int put_marker(struct convert *cv, const struct wire_marker *e)
{
	struct fmt_marker row = {
		.ts = e->h.ts,
		.thread = catalog_thread(cv->cat, e->h.tgid, e->h.tid, NULL, 0),
		.cpu = e->h.cpu,
		.pair = 1 + (u64)e->pair,
		.end = e->end != 0,
		.task = e->task,
		.ustack = stack_of(cv, e->ustack),
	};

	return fmt_writer_row(cv->w, FMT_MARKER, &row, NULL, 0);
}

static const size_t wire_sizes[WIRE_KINDS] = {
	[WIRE_SWITCH_OUT] = sizeof(struct wire_switch_out),
	[WIRE_SWITCH_IN] = sizeof(struct wire_switch_in),
	[WIRE_WAKING] = sizeof(struct wire_waking),
	[WIRE_SAMPLE] = sizeof(struct wire_sample),
	[WIRE_STACK] = offsetof(struct wire_stack, frames),
	[WIRE_THREAD_START] = sizeof(struct wire_thread_start),
	[WIRE_THREAD_EXIT] = sizeof(struct wire_thread_exit),
	[WIRE_RENAME] = sizeof(struct wire_rename),
	[WIRE_EXEC] = sizeof(struct wire_exec),
	[WIRE_MARKER] = sizeof(struct wire_marker),
	[WIRE_TASK_SPAWN] = sizeof(struct wire_task_spawn),
	[WIRE_TASK_END] = sizeof(struct wire_task_end),
	[WIRE_TASK_POLL] = sizeof(struct wire_task_poll),
	[WIRE_TASK_WAKE] = sizeof(struct wire_task_wake),
	[WIRE_CORE] = sizeof(struct wire_core),
};

int convert_record(struct convert *cv, const struct wire_hdr *h, size_t size)
{
	const void *e = h;

	if (size < sizeof(*h) || h->kind == 0 || h->kind >= WIRE_KINDS || size < wire_sizes[h->kind]) {
		cv->bad_records++;
		return 0;
	}
	cv->last_ts = max_u64(cv->last_ts, h->ts);
	switch ((enum wire_kind)h->kind) {
	case WIRE_SWITCH_OUT:
		return put_switch_out(cv, e);
	case WIRE_SWITCH_IN:
		return put_switch_in(cv, e);
	case WIRE_WAKING:
		return put_waking(cv, e);
	case WIRE_SAMPLE:
		return put_sample(cv, e);
	case WIRE_STACK:
		return put_stack(cv, e, size);
	case WIRE_THREAD_START:
		return put_thread_start(cv, e);
	case WIRE_THREAD_EXIT:
		return put_thread_exit(cv, e);
	case WIRE_RENAME:
		return put_rename(cv, e);
	case WIRE_EXEC:
		return put_exec(cv, e);
	case WIRE_MARKER:
		return put_marker(cv, e);
	case WIRE_TASK_SPAWN:
	case WIRE_TASK_END:
	case WIRE_TASK_POLL:
	case WIRE_TASK_WAKE:
		return convert_task(cv, h);
	case WIRE_CORE:
	case WIRE_KINDS:
		break;
	}
	return 0;
}
