/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * convert_task.c: what probes say of tasks, to rows of the kinds task_* (convert.h). Which copy of Tokio it is about says the module that the probe is in; what
 * is at the addresses that it sends, task_catalog.h.
 */
#include "record/convert.h"

#include <errno.h>

#include "record/probe_group.h"
#include "record/task_catalog.h"

/* tokio/src/runtime/task/state.rs: RUNNING, CANCELLED; INITIAL_STATE (three references, JOIN_INTEREST, NOTIFIED), since 1.9 */
#define STATE_RUNNING	1U
#define STATE_CANCELLED 32U
#define STATE_NEW	0xccU

struct whose {
	struct cat_process *p;
	struct cat_copy *copy; /* NULL: it has none there */
	u64 layout;	       /* 0 then */
};

static int find_whose(struct convert *cv, const struct wire_hdr *h, const struct wire_task_ref *ref, struct whose *ret)
{
	ret->p = catalog_process(cv->cat, h->tgid);
	if (!ret->p)
		return -ENOMEM;
	ret->copy = task_catalog_copy(ret->p, ref->module);
	ret->layout = ret->copy ? task_catalog_layout(cv->cat, ret->p, ret->copy) : 0;
	return 0;
}

static u32 thread_of(struct convert *cv, const struct wire_hdr *h)
{
	return catalog_thread(cv->cat, h->tgid, h->tid, NULL, 0);
}

/* Whether what the thread was doing could be read: else the fields about it are 0. */
static bool is_read(const struct wire_task_by *by)
{
	return by->status == WIRE_CTX_READ;
}

/*
 * Whether a hit of a probe is what it should be. Where a name said so it is; where the code did (code_shape.h), the state of the task must fit, and its vtable be
 * one.
 */
static bool is_believed(struct convert *cv, const struct whose *w, u32 group, const struct wire_task_ref *ref)
{
	if (!w->copy || !(w->copy->by_shape >> group & 1))
		return true;
	if (group == PROBE_BIND ? ref->state != STATE_NEW : !(ref->state & STATE_RUNNING))
		return false;
	return task_catalog_vtable(cv->cat, w->p, w->copy, ref->vtable) != 0;
}

static int not_a_task(struct convert *cv)
{
	catalog_task_counts(cv->cat)->not_tasks++;
	return 0;
}

static u32 location_of(struct convert *cv, const struct whose *w, const struct wire_task_spawn *e)
{
	u32 idx = 0;

	for (u32 i = 0; i < ARRAY_SIZE(e->location) && !idx; i++)
		idx = task_catalog_location(cv->cat, w->p, w->copy, e->location[i]);
	return idx;
}

static bool is_watched(const struct cat_copy *copy, u64 ts)
{
	return copy && copy->spawn_from && ts >= copy->spawn_from && ts < copy->spawn_until;
}

static int put_spawn(struct convert *cv, const struct wire_task_spawn *e)
{
	struct fmt_task_spawn row = {
		.ts = e->h.ts,
		.thread = thread_of(cv, &e->h),
		.cpu = e->h.cpu,
		.task = e->ref.task,
		.handle = e->handle,
		.caller = e->caller,
		.blocking = e->blocking != 0,
	};
	struct whose w;
	int err = find_whose(cv, &e->h, &e->ref, &w);

	if (err)
		return err;
	if (!e->blocking && !is_believed(cv, &w, PROBE_BIND, &e->ref))
		return not_a_task(cv);
	row.layout = w.layout;
	row.vtable = task_catalog_vtable(cv->cat, w.p, w.copy, e->ref.vtable);
	row.location = task_catalog_learn(cv->cat, w.p, (u32)row.vtable, location_of(cv, &w, e), is_watched(w.copy, e->h.ts));
	if (is_read(&e->by)) {
		row.by_task = e->by.task;
		row.budget = e->by.budget;
		row.runtime = e->by.runtime;
		row.entered = 1 + (e->by.entered != 0);
	}
	return fmt_writer_row(cv->w, FMT_TASK_SPAWN, &row, NULL, 0);
}

static int put_end(struct convert *cv, const struct wire_task_end *e)
{
	struct fmt_task_end row = {.ts = e->h.ts, .thread = thread_of(cv, &e->h), .task = e->ref.task};
	struct whose w;
	int err = find_whose(cv, &e->h, &e->ref, &w);

	if (err)
		return err;
	if (!e->freed && !is_believed(cv, &w, PROBE_COMPLETE, &e->ref))
		return not_a_task(cv);
	row.layout = w.layout;
	row.how = e->freed ? FMT_TASK_FREED : e->ref.state & STATE_CANCELLED ? FMT_TASK_CANCELLED : FMT_TASK_DONE;
	return fmt_writer_row(cv->w, FMT_TASK_END, &row, NULL, 0);
}

static int put_poll(struct convert *cv, const struct wire_task_poll *e)
{
	struct fmt_task_poll row = {.ts = e->h.ts, .thread = thread_of(cv, &e->h), .end = e->end != 0};
	struct whose w;
	int err = find_whose(cv, &e->h, &e->ref, &w);

	if (err)
		return err;
	row.layout = w.layout;
	if (!row.end) {
		row.task = e->ref.task;
		row.vtable = task_catalog_vtable(cv->cat, w.p, w.copy, e->ref.vtable);
		if (e->returns_to && cv->poll_returns)
			cv->poll_returns(cv->returns_ctx, e->h.tgid, e->ref.module, e->returns_to);
	}
	return fmt_writer_row(cv->w, FMT_TASK_POLL, &row, NULL, 0);
}

static int put_wake(struct convert *cv, const struct wire_task_wake *e)
{
	struct fmt_task_wake row = {.ts = e->h.ts, .thread = thread_of(cv, &e->h), .task = e->ref.task};
	struct whose w;
	int err = find_whose(cv, &e->h, &e->ref, &w);

	if (err)
		return err;
	row.layout = w.layout;
	row.vtable = task_catalog_vtable(cv->cat, w.p, w.copy, e->ref.vtable);
	if (is_read(&e->by)) {
		row.by_task = e->by.task;
		row.budget = e->by.budget;
		row.runtime = e->by.runtime;
		row.entered = 1 + (e->by.entered != 0);
	}
	return fmt_writer_row(cv->w, FMT_TASK_WAKE, &row, NULL, 0);
}

int convert_task(struct convert *cv, const struct wire_hdr *h)
{
	const void *e = h;

	switch (h->kind) {
	case WIRE_TASK_SPAWN:
		return put_spawn(cv, e);
	case WIRE_TASK_END:
		return put_end(cv, e);
	case WIRE_TASK_POLL:
		return put_poll(cv, e);
	case WIRE_TASK_WAKE:
		return put_wake(cv, e);
	default:
		return 0;
	}
}
