/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* poll.c: see poll.h. */
#include "report/poll.h"

/* Above these a queue reading is garbage and is dropped (design 35-blocking section 6). */
#define MAX_LIFO	  1
#define MAX_QUEUED	  256	     /* of a multi-thread worker: its queue has a fixed size */
#define MAX_QUEUED_SINGLE 65534	     /* of others it grows; the recorder stops to count here */
#define MAX_INJECT	  (1U << 24) /* more tasks than anybody has memory for */

const char *poll_state_name(enum poll_state s)
{
	static const char *const names[] = {
		[POLL_COMPLETE] = "complete",
		[POLL_OPEN_START] = "open-start",
		[POLL_OPEN_END] = "open-end",
		[POLL_OPEN_BOTH] = "open-both",
	};

	return names[s];
}

const char *poll_join_name(enum poll_join j)
{
	return j == POLL_JOIN_TICK ? "tick" : j == POLL_JOIN_TICK_BUDGET ? "tick+budget" : "interval";
}

void poll_is_open_end(struct poll *p)
{
	p->state = p->state == POLL_OPEN_START ? POLL_OPEN_BOTH : POLL_OPEN_END;
}

static bool key_equal(const struct poll_key *a, const struct poll_key *b)
{
	return a->layout == b->layout && a->core == b->core && a->task == b->task && a->tick == b->tick && a->holds == b->holds;
}

/*
 * The tick alone merges LIFO follow-ups, so evidence on the cpu needs the same budget remainder too; a task that spent budget
 * inside one poll is tied over by a wait, whether or not it was sampled or preempted since. Without a proven tick nothing ties
 * two waits, nor a wait and what ran before it.
 */
bool poll_joins(const struct poll *p, const struct poll_record *r)
{
	if (!p->is_open || p->proven != r->proven || !key_equal(&p->key, &r->key))
		return false;
	if (!p->proven)
		return !p->is_wait_only && !r->is_wait;
	return p->last_budget == r->budget || p->has_waited;
}

static void open_poll(struct poll *p, const struct poll_record *r, u64 prev_instant, struct poll_sink *sink)
{
	*p = (struct poll){
		.is_open = true,
		.id = sink->next_id++,
		.key = r->key,
		.proven = r->proven,
		.is_wait_only = !r->proven && r->is_wait,
		.ts_first = r->ts,
		.ts_last = r->ts,
		.prev_instant = prev_instant < r->ts ? prev_instant : r->ts,
		.runtime_id = r->runtime_id,
		.worker = r->worker,
		.join = r->proven ? POLL_JOIN_TICK_BUDGET : POLL_JOIN_INTERVAL,
	};
}

/* What of a record's readings can be. */
static struct poll_queues sane_queues(const struct poll_record *r)
{
	struct poll_queues q = r->queues;

	if (q.lifo > MAX_LIFO + 1)
		q.lifo = 0;
	if (q.queued > (r->worker ? MAX_QUEUED : MAX_QUEUED_SINGLE) + 1)
		q.queued = 0;
	if (q.inject > MAX_INJECT + 1)
		q.inject = 0;
	return q;
}

static void note_queues(struct poll *p, const struct poll_record *r)
{
	struct poll_queues q;

	if (!r->queues.lifo && !r->queues.queued && !r->queues.inject)
		return;
	q = sane_queues(r);
	if (!p->queues.lifo)
		p->queues.lifo = q.lifo;
	if (!p->queues.queued)
		p->queues.queued = q.queued;
	if (!p->queues.inject)
		p->queues.inject = q.inject;
}

int poll_record(struct poll *p, const struct poll_record *r, u64 prev_instant, struct poll_sink *sink)
{
	if (poll_joins(p, r)) {
		if (r->ts > p->ts_last) {
			p->on_cpu += r->ts - p->ts_last;
			p->ts_last = r->ts;
		}
		if (p->proven && p->last_budget != r->budget)
			p->join = POLL_JOIN_TICK;
	} else {
		int err = poll_close(p, r->ts, r, sink);

		if (err)
			return err;
		open_poll(p, r, prev_instant, sink);
	}
	p->last_budget = r->budget;
	p->has_waited |= r->is_wait;
	p->samples += r->is_sample;
	if (!r->is_wait && !p->sample_ustack)
		p->sample_ustack = r->ustack;
	note_queues(p, r);
	return 0;
}

static void add_wait(struct poll *p, const struct poll_interval *i)
{
	struct poll_wait *w = &p->by_class[i->verdict.cls];
	bool is_longest = !w->count || i->off > w->longest;

	p->waits++;
	w->count++;
	w->off += i->off;
	if (is_longest) {
		w->longest = i->off;
		w->rule = i->verdict.rule;
		w->syscall = i->syscall;
	}
	if (i->ustack && (!w->ustack || i->off > w->stack_longest)) {
		w->stack_longest = i->off;
		w->ustack = i->ustack;
		w->kstack = i->kstack;
	} else if (is_longest && !w->ustack) {
		w->kstack = i->kstack;
	}
}

void poll_interval(struct poll *p, const struct poll_interval *i)
{
	if (!p->is_open)
		return;
	p->off_cpu += i->off;
	p->runnable += i->runnable;
	p->stopped += i->stopped;
	p->ts_last += i->off + i->runnable + i->stopped;
	if (i->is_wait)
		add_wait(p, i);
}

/* The class with most time among the waits; CLASS_CPU when executing took longer, or nothing waited. */
static enum wait_class largest_class(const struct poll *p)
{
	enum wait_class best = CLASS_CPU;

	for (u32 c = 0; c < CLASS_COUNT; c++) {
		if (!p->by_class[c].count)
			continue;
		if (best == CLASS_CPU ? p->by_class[c].off >= p->on_cpu : p->by_class[c].off > p->by_class[best].off)
			best = c;
	}
	return best;
}

static void note_queues_end(struct poll_row *row, const struct poll *p, const struct poll_record *next)
{
	struct poll_queues q;

	if (!next || next->key.core != p->key.core || next->key.layout != p->key.layout || !p->key.core)
		return;
	q = sane_queues(next);
	if (!q.lifo && !q.queued && !q.inject)
		return;
	row->queues_end = q;
	row->ts_queues_end = next->ts;
}

int poll_close(struct poll *p, u64 next_instant, const struct poll_record *next, struct poll_sink *sink)
{
	struct poll_row row;
	const struct poll_wait *w;

	if (!p->is_open)
		return 0;
	p->is_open = false;
	row = (struct poll_row){
		.id = p->id,
		.ts = p->ts_first,
		.dur = p->ts_last - p->ts_first - p->stopped,
		.off_cpu = p->off_cpu,
		.on_cpu = p->on_cpu,
		.runnable = p->runnable,
		.stopped = p->stopped,
		.waits = p->waits,
		.samples = p->samples,
		.cls = largest_class(p),
		.rule = RULE_CPU,
		.holds = p->key.holds,
		.runtime_id = p->runtime_id,
		.worker = p->worker,
		.task = p->key.task,
		.tick = p->key.tick,
		.proven = p->proven,
		.classified = p->proven || p->is_wait_only,
		.join = p->join,
		.state = p->state,
		.ustack = p->sample_ustack,
		.queues = p->queues,
	};
	note_queues_end(&row, p, next);
	BUG_ON(row.off_cpu + row.on_cpu + row.runnable != row.dur);
	row.dur_max = row.dur;
	if (row.cls != CLASS_CPU) {
		w = &p->by_class[row.cls];
		row.rule = w->rule;
		row.syscall = w->syscall;
		row.ustack = w->ustack;
		row.kstack = w->kstack;
	} else if (next_instant > p->ts_last) {
		row.dur_max = next_instant - p->prev_instant - p->stopped;
	} else {
		row.dur_max = p->ts_last - p->prev_instant - p->stopped;
	}
	return sink->emit(sink->ctx, &row);
}
