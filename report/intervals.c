/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * intervals.c: see intervals.h. Times of one thread never go back here: an event from the past is counted and taken as of the
 * thread's latest instant.
 */
#include "report/intervals.h"

#define NR_RESTART_SYSCALL 219

/* poll.h's sink with the thread it is for. */
struct poll_target {
	struct intervals *iv;
	struct thread_run *t;
};

static int emit_poll(void *ctx, const struct poll_row *row)
{
	const struct poll_target *pt = ctx;

	return pt->iv->sink.poll(pt->iv->sink.ctx, pt->t->thread_id, row);
}

/*
 * Whether a thread may have been in its poll since before the recording: no record of it has told of anything else, and it comes soon enough that a sample
 * would not have told before.
 */
static bool may_have_begun_before(const struct intervals *iv, const struct thread_run *t, u64 ts)
{
	return !t->placed && iv->sample_period && ts - (t->seen ? t->last : iv->ts_start) <= 2 * iv->sample_period;
}

static int add_record(struct intervals *iv, struct thread_run *t, const struct poll_record *r)
{
	struct poll_target pt = {iv, t};
	struct poll_sink sink = {emit_poll, &pt, iv->next_poll_id};
	bool is_open = may_have_begun_before(iv, t, r->ts);
	int err = poll_record(&t->poll, r, t->seen && !is_open ? t->last : iv->ts_start, &sink);

	if (is_open)
		t->poll.state = POLL_OPEN_START;
	iv->next_poll_id = sink.next_id;
	return err;
}

static int close_poll(struct intervals *iv, struct thread_run *t, u64 next_instant, const struct poll_record *next)
{
	struct poll_target pt = {iv, t};
	struct poll_sink sink = {emit_poll, &pt, iv->next_poll_id};

	return poll_close(&t->poll, next_instant, next, &sink);
}

/* Pairing cannot go on from here; next_instant is the first thing known again. */
static int forget(struct intervals *iv, struct thread_run *t, u64 next_instant)
{
	t->state = RUN_UNKNOWN;
	t->on_since = 0;
	return close_poll(iv, t, next_instant, NULL);
}

/* True when events of this thread may be missing between its latest instant and ts. */
static bool crosses_gap(const struct intervals *iv, struct thread_run *t, u64 ts)
{
	while (t->gap_at < iv->n_gaps && iv->gaps[t->gap_at].ts_end <= t->last)
		t->gap_at++;
	return t->seen && t->gap_at < iv->n_gaps && iv->gaps[t->gap_at].ts < ts;
}

static void go_on(struct thread_run *t, u64 ts, u64 cpu)
{
	if (t->state != RUN_ON || !t->on_since) {
		t->on_since = ts;
		t->on_cpu = 1 + cpu;
	}
	t->state = RUN_ON;
}

/* Its time on the cpu ends, and no row of offcpu will tell of it. */
static void end_on(struct thread_run *t, u64 ts)
{
	if (t->state != RUN_ON || !t->on_since)
		return;
	t->last_in = t->on_since;
	t->last_out = ts;
	t->last_cpu = t->on_cpu;
	t->on_since = 0;
}

/* Common begin of a thread's event; *ts is brought to the thread's latest instant when it is before it. */
static int begin_event(struct intervals *iv, struct thread_run *t, u64 *ts)
{
	if (t->seen && *ts < t->last) {
		iv->out_of_order++;
		*ts = t->last;
	}
	if (crosses_gap(iv, t, *ts))
		return forget(iv, t, *ts);
	return 0;
}

static void end_event(struct thread_run *t, u64 ts)
{
	t->last = ts;
	t->seen = true;
}

/* A multi-thread worker lives in a task, so that its id is never 0; where ids are not kept, any will do for the predicate. */
#define CONTEXT_FACTS(e, ci, call, waits)                                                                                        \
	((struct context_facts){.status = (e)->ctx_status,                                                                       \
				.has_scheduler = (e)->context != 0,                                                              \
				.flavor = (ci) ? (ci)->flavor : 0,                                                               \
				.budget = (e)->budget,                                                                           \
				.runtime = (e)->runtime,                                                                         \
				.core = (e)->core,                                                                               \
				.park = (e)->park,                                                                               \
				.task = (ci) && (ci)->no_ids ? (ci)->flavor == FMT_FLAVOR_MULTI_THREAD : (e)->task,              \
				.syscall = (call),                                                                               \
				.waiting = (waits)})

#define POLL_RECORD(e, at, ci, hold)                                                                                             \
	((struct poll_record){.ts = (at),                                                                                        \
			      .key = {(ci) ? (ci)->layout : 0, (e)->core, (e)->task, (e)->tick, (hold)},                         \
			      .proven = (ci) && (ci)->tick_from && (at) >= (ci)->tick_from,                                      \
			      .budget = (e)->budget,                                                                             \
			      .runtime_id = (ci) ? (ci)->runtime_id : 0,                                                         \
			      .worker = (ci) ? (ci)->worker : 0,                                                                 \
			      .ustack = (e)->ustack})

/* Divides [out.ts, end) of a thread that is back or whose wait ends otherwise, and writes its row. */
static int finish_out(struct intervals *iv, struct thread_run *t, u64 end, bool has_end)
{
	struct offcpu_row *o = &t->out;
	u64 dur = end - o->ts;
	struct poll_interval i = {.ts_end = end,
				  .is_wait = o->is_wait,
				  .verdict = o->verdict,
				  .syscall = o->syscall,
				  .ustack = o->ustack,
				  .kstack = o->kstack};

	o->dur = dur;
	o->has_end = has_end;
	o->ts_waking = min_u64(o->ts_waking, end); /* events out of order */
	if (o->state == 'R') {
		i.runnable = dur;
	} else {
		u64 woken = o->ts_waking ? max_u64(o->ts_waking, o->ts) : end;

		*(o->is_wait ? &i.off : &i.stopped) = woken - o->ts;
		i.runnable = end - woken;
	}
	if (o->poll_id)
		poll_interval(&t->poll, &i);
	t->state = RUN_UNKNOWN;
	if (o->state == 'X' || o->state == 'Z')
		return 0;			    /* the end of a thread is no time off the cpu */
	t->last_in = t->last_out = t->last_cpu = 0; /* told by this row */
	return iv->sink.offcpu(iv->sink.ctx, o);
}

/* A switch-in without a switch-out before it, or one that is missing, where no gap says that events are missing. */
static int lose_counterpart(struct intervals *iv, struct thread_run *t, u64 ts)
{
	iv->unpaired++;
	return forget(iv, t, ts);
}

/*
 * The thread was out, and runs at ts without having come back: its switch-in is missing. A wait lasted until the waking at
 * least; the rest it may have run. Where no waking was seen, only the same poll on both sides says that the time between
 * belongs to it.
 */
static int miss_switch_in(struct intervals *iv, struct thread_run *t, u64 ts, bool is_same_poll)
{
	const struct offcpu_row *o = &t->out;

	if (!(o->is_wait && o->ts_waking) && !is_same_poll)
		return lose_counterpart(iv, t, ts);
	iv->unpaired++;
	return finish_out(iv, t, o->is_wait && o->ts_waking ? min_u64(o->ts_waking, ts) : ts, true);
}

static bool is_stop(char state)
{
	return state == 'T' || state == 't';
}

static struct role_facts role_at(struct intervals *iv, const struct thread_run *t, const struct context_facts *f, char state)
{
	if (t->exited || state == 'X' || state == 'Z') /* its memory is gone, or going */
		return (struct role_facts){ROLE_NONE, HOLDS_NOTHING};
	if (f->status == FMT_CTX_UNREAD)
		iv->unread++;
	return classify_context(f);
}

/* The facts of a wait; a restarted system call is the one that was interrupted. */
static struct wait_facts wait_facts_of(struct thread_run *t, struct wait_facts f)
{
	if (f.syscall == NR_RESTART_SYSCALL + 1 && t->last_call.syscall) {
		f.syscall = t->last_call.syscall;
		f.arg0 = t->last_call.arg0;
		f.fd_type = t->last_call.fd_type;
		f.fd_family = t->last_call.fd_family;
	} else if (f.syscall) {
		t->last_call = f;
	}
	return f;
}

/* The thread went out of its open poll, and this record is of that poll, too. */
static bool is_same_poll(const struct thread_run *t, const struct poll_record *r, enum role role)
{
	return role == ROLE_IN_POLL && t->out.poll_id == t->poll.id && t->poll.proven && poll_joins(&t->poll, r);
}

/*
 * Enters a switch-out into the poll it is in, or ends the poll it is not in. t->out is filled but for poll_id.
 *
 * Stopped, traced and frozen time never counts as blocking (design 35-blocking section 3), but the poll goes on afterwards, in the middle of what it did: a
 * sleep that a signal interrupted is restarted by the kernel. So a stop is a part of the poll that is in no length (poll.h, stopped): one poll, one row,
 * of the length that it would have without the stop. Where the tick is not proven nothing ties the two sides together, and the stop ends it.
 */
static int out_to_poll(struct intervals *iv, struct thread_run *t, const struct poll_record *r, enum role role)
{
	int err;

	if (role != ROLE_IN_POLL)
		return close_poll(iv, t, r->ts, r);
	err = add_record(iv, t, r);
	if (err)
		return err;
	if (!r->is_wait && t->out.state != 'R' && !(is_stop(t->out.state) && t->poll.proven))
		return close_poll(iv, t, r->ts, NULL);
	t->out.poll_id = t->poll.id;
	return 0;
}

int intervals_switch_out(struct intervals *iv, struct thread_run *t, const struct fmt_switch_out *e,
			 const struct context_info *ci, enum out_kind kind)
{
	char state = kind == OUT_STOPPED && !e->preempt ? 'T' : classify_state(e->state, e->preempt);
	bool waits = classify_state_waits(state);
	struct wait_facts wf = {state, e->syscall, e->arg0, e->iowait != 0, e->fd_type, e->fd_family};
	struct context_facts cf = CONTEXT_FACTS(e, ci, e->syscall, waits);
	struct role_facts rf;
	struct poll_record r;
	u64 ts = e->ts;
	int err = begin_event(iv, t, &ts);

	t->exited |= kind == OUT_DYING;
	rf = role_at(iv, t, &cf, state);
	r = POLL_RECORD(e, ts, ci, rf.holds);
	r.is_wait = waits;
	r.queues = (struct poll_queues){e->lifo, e->queued, e->inject};
	if (!err && t->state == RUN_OFF)
		err = miss_switch_in(iv, t, ts, is_same_poll(t, &r, rf.role));
	if (err)
		return err;
	if (waits || is_stop(state)) /* a stop may have interrupted a call that is restarted later */
		wf = wait_facts_of(t, wf);
	if (state == 'X' || state == 'Z')
		end_on(t, ts);
	t->out = (struct offcpu_row){
		.thread_id = t->thread_id,
		.ts = ts,
		.cpu = e->cpu,
		.has_cpu = true,
		.has_ran = t->state == RUN_ON && t->on_since,
		.ran = ts - t->on_since,
		.state = state,
		.role = rf.role,
		.is_wait = waits,
		.syscall = wf.syscall,
		.ustack = e->ustack,
		.kstack = e->kstack,
	};
	if (waits)
		t->out.verdict = classify_wait(&wf);
	err = out_to_poll(iv, t, &r, rf.role);
	t->placed = true;
	t->state = RUN_OFF;
	t->on_since = 0;
	end_event(t, ts);
	return err;
}

void intervals_begin(struct thread_run *t)
{
	t->placed = true;
}

int intervals_switch_in(struct intervals *iv, struct thread_run *t, const struct fmt_switch_in *e)
{
	u64 ts = e->ts;
	int err = begin_event(iv, t, &ts);

	if (!err && t->state == RUN_OFF)
		err = finish_out(iv, t, ts, true);
	else if (!err && t->state == RUN_ON)
		err = lose_counterpart(iv, t, ts);
	go_on(t, ts, e->cpu);
	end_event(t, ts);
	return err;
}

int intervals_waking(struct intervals *iv, struct thread_run *t, const struct fmt_waking *e)
{
	if (crosses_gap(iv, t, e->ts))
		return forget(iv, t, e->ts);
	if (t->state != RUN_OFF || t->out.ts_waking)
		return 0;
	if (t->out.is_wait && classify_state(e->state, false) == 'T') {
		/*
		 * Cgroup v1's freezer turns a sleeper to stone where it sleeps, without a switch. Woken out of that, it was frozen for an unknown part
		 * of the wait, and what is not known to be blocking is none.
		 */
		t->out.is_wait = false;
		t->out.state = 'T';
	}
	t->out.ts_waking = max_u64(e->ts, t->out.ts);
	t->out.has_waker = true;
	t->out.waker_tid = e->source ? 0 : e->waker_tid;
	/* outside a poll the id is the worker's own (launch) task */
	t->out.waker_task = !e->source && e->waker_context && e->waker_budget ? e->waker_task : 0;
	t->out.waker_ustack = e->waker_ustack;
	t->out.waker_kstack = e->waker_kstack;
	return 0;
}

int intervals_sample(struct intervals *iv, struct thread_run *t, const struct fmt_sample *e, const struct context_info *ci)
{
	struct context_facts cf = CONTEXT_FACTS(e, ci, 0, false);
	struct sample_row row = {.thread_id = t->thread_id, .ustack = e->ustack, .kstack = e->kstack};
	struct role_facts rf;
	struct poll_record r;
	u64 ts = e->ts;
	int err = begin_event(iv, t, &ts);

	rf = role_at(iv, t, &cf, 'R');
	r = POLL_RECORD(e, ts, ci, rf.holds);
	r.is_sample = true;
	r.queues = (struct poll_queues){e->lifo, e->queued, e->inject};
	if (!err && t->state == RUN_OFF)
		err = miss_switch_in(iv, t, ts, is_same_poll(t, &r, rf.role));
	if (!err)
		err = rf.role == ROLE_IN_POLL ? add_record(iv, t, &r) : close_poll(iv, t, ts, &r);
	if (err)
		return err;
	row.ts = ts;
	row.cpu = e->cpu;
	row.in_kernel = e->mode == 2;
	row.role = rf.role;
	row.poll_id = rf.role == ROLE_IN_POLL ? t->poll.id : 0;
	t->placed = true;
	go_on(t, ts, e->cpu);
	end_event(t, ts);
	return iv->sink.sample(iv->sink.ctx, &row);
}

/*
 * The runtime was found while this thread waited: what its switch-out could not say, because no layout was known then, or only that of another copy of Tokio,
 * is seen now and held all along.
 */
static int learn_role(struct intervals *iv, struct thread_run *t, const struct fmt_snapshot *e, const struct context_info *ci)
{
	struct context_facts cf = CONTEXT_FACTS(e, ci, e->syscall, true);
	struct role_facts rf = role_at(iv, t, &cf, t->out.state);
	struct poll_record r = POLL_RECORD(e, t->out.ts, ci, rf.holds);
	int err;

	t->out.role = rf.role;
	if (rf.role != ROLE_IN_POLL)
		return 0;
	r.is_wait = true;
	r.ustack = t->out.ustack;
	r.proven = ci && ci->tick_from && e->ts >= ci->tick_from;
	err = out_to_poll(iv, t, &r, rf.role);
	if (!t->out.has_cpu && t->out.poll_id) /* an earlier snapshot's: the wait began before the recording */
		t->poll.state = POLL_OPEN_START;
	return err;
}

int intervals_snapshot(struct intervals *iv, struct thread_run *t, const struct fmt_snapshot *e, const struct context_info *ci)
{
	char state = classify_state(e->state, false);
	bool waits = classify_state_waits(state);
	struct wait_facts wf = {state, e->syscall, e->arg0, e->iowait != 0, e->fd_type, e->fd_family};
	struct context_facts cf = CONTEXT_FACTS(e, ci, e->syscall, waits);
	struct role_facts rf;
	struct poll_record r;
	u64 ts = min_u64(iv->ts_start, e->ts);
	int err;

	if (t->exited || e->on_cpu || !e->coherent || state == 'R')
		return 0; /* its memory moved while it was read */
	if (t->state == RUN_OFF && t->out.is_wait && (t->out.role == ROLE_UNKNOWN || t->out.role == ROLE_NONE) &&
	    e->ctx_status == FMT_CTX_READ)
		return learn_role(iv, t, e, ci);
	if (t->seen)
		return 0; /* its own events say it better */
	rf = role_at(iv, t, &cf, state);
	if (waits || is_stop(state)) /* a stop may have interrupted a call that is restarted later */
		wf = wait_facts_of(t, wf);
	t->out = (struct offcpu_row){
		.thread_id = t->thread_id,
		.ts = ts,
		.state = state,
		.role = rf.role,
		.is_wait = waits,
		.syscall = wf.syscall,
		.ustack = e->ustack,
	};
	if (waits)
		t->out.verdict = classify_wait(&wf);
	r = POLL_RECORD(e, ts, ci, rf.holds);
	r.is_wait = waits;
	/* one wait and its end: what was read at e->ts held since before, so its tick counts as of then */
	r.proven = ci && ci->tick_from && e->ts >= ci->tick_from;
	err = out_to_poll(iv, t, &r, rf.role);
	if (t->out.poll_id)
		t->poll.state = POLL_OPEN_START;
	t->placed = true;
	t->state = RUN_OFF;
	end_event(t, ts);
	return err;
}

void intervals_retake(struct thread_run *t, const struct fmt_snapshot *e)
{
	if (t->state == RUN_OFF && t->out.is_wait && e->coherent && !e->on_cpu)
		t->out.ustack = e->ustack;
}

int intervals_exit(struct intervals *iv, struct thread_run *t, u64 ts)
{
	int err = begin_event(iv, t, &ts);

	if (!err && t->state == RUN_OFF)
		err = finish_out(iv, t, ts, true);
	if (!err)
		err = close_poll(iv, t, ts, NULL);
	end_on(t, ts);
	t->state = RUN_UNKNOWN;
	t->exited = true;
	end_event(t, ts);
	return err;
}

int intervals_finish(struct intervals *iv, struct thread_run *t)
{
	u64 ts = max_u64(iv->ts_end, t->last);
	int err = 0;

	if (crosses_gap(iv, t, ts))
		return forget(iv, t, ts);
	if (t->state == RUN_OFF) {
		err = finish_out(iv, t, ts, false);
		poll_is_open_end(&t->poll);
	} else if (t->state == RUN_ON && iv->sample_period && ts - t->poll.ts_last <= 2 * iv->sample_period) {
		poll_is_open_end(&t->poll); /* caught so shortly before the end that nothing else can have been seen since */
	}
	if (err)
		return err;
	end_on(t, ts);
	return close_poll(iv, t, ts, NULL);
}
