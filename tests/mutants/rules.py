# SPDX-License-Identifier: MIT OR Apache-2.0
"""The mutants: which rule, where it stands, how it is broken, and the unit tests that must notice. Names follow design note 35-blocking."""
from dataclasses import dataclass

CLASSIFY = "report/classify.c"
POLL = "report/poll.c"
INTERVALS = "report/intervals.c"


@dataclass
class Mutant:
    name: str
    file: str
    find: str
    replace: str
    tests: list


def mutants(file, tests, *rows):
    return [Mutant(name, file, find, replace, tests) for name, find, replace in rows]


PREDICATE = mutants(
    CLASSIFY, ["test_classify"],
    ("predicate: parked worker (core.park taken)", "f->flavor == FMT_FLAVOR_MULTI_THREAD && !f->park)", "f->flavor == FMT_FLAVOR_MULTI_THREAD && 0)"),
    ("predicate: in a poll by budget", "if (f->budget || is_unconstrained_poll(f))", "if (is_unconstrained_poll(f))"),
    ("predicate: in a poll without budget (unconstrained, drops)", "if (f->budget || is_unconstrained_poll(f))", "if (f->budget)"),
    ("predicate: unconstrained on current_thread", "return !(f->waiting && is_driver_wait(f->syscall));", "return false;"),
    ("predicate: a park of current_thread is no poll", "return !(f->waiting && is_driver_wait(f->syscall));", "return true;"),
    ("predicate: no task id, no unconstrained poll", "	if (!f->task)\n		return false;", ""),
    ("predicate: local set", "return (struct role_facts){ROLE_IN_POLL, HOLDS_LOCALSET};", "return (struct role_facts){ROLE_PARKED, HOLDS_NOTHING};"),
    ("predicate: root future", "return (struct role_facts){ROLE_IN_POLL, HOLDS_ROOT};", "return (struct role_facts){ROLE_IN_POLL, HOLDS_RUNTIME};"),
    ("predicate: block_in_place is harmless", "return (struct role_facts){ROLE_BLOCK_IN_PLACE, HOLDS_NOTHING};",
     "return (struct role_facts){ROLE_IN_POLL, HOLDS_RUNTIME};"),
    ("predicate: block_on in spawn_blocking is harmless", "	if (in_budget && !f->task)", "	if (in_budget)"),
    ("predicate: blocking pool is harmless", "	if (f->runtime > 1)", "	if (f->runtime > 1 && f->task)"),
    ("predicate: unread is not 'no runtime'", "return (struct role_facts){ROLE_UNREAD, HOLDS_NOTHING};", "return (struct role_facts){ROLE_NONE, HOLDS_NOTHING};"),
    ("predicate: no layout is not 'no runtime'", "return (struct role_facts){ROLE_UNKNOWN, HOLDS_NOTHING};",
     "return (struct role_facts){ROLE_NONE, HOLDS_NOTHING};"),
    ("state: preemption wins", "	if (preempt || state == 0)", "	if (state == 0)"),
    ("state: stopped and frozen are no wait", "	if (state & (STATE_STOPPED | STATE_FROZEN))\n		return 'T';", ""),
    ("state: traced is no wait", "	if (state & STATE_TRACED)\n		return 't';", ""),
    ("state: dying is no wait", "	if (state & (STATE_DEAD | STATE_EXIT_DEAD))\n		return 'X';", ""),
    ("state: D and idle-class waits count", "return state == 'S' || state == 'D' || state == 'I';", "return state == 'S';"),
)

CLASSES = mutants(
    CLASSIFY, ["test_classify"],
    ("class: fault", "	if (kind == CALL_NONE && asleep_in_kernel)", "	if (0)"),
    ("class: sleep", "	if (kind == CALL_SLEEP)", "	if (0)"),
    ("class: lock", "	if (kind == CALL_FUTEX)", "	if (0)"),
    ("class: network", "	if (is_on_socket(f, kind))", "	if (0)"),
    ("class: disk by iowait", "	if (f->iowait)", "	if (0)"),
    ("class: disk by file", "	if (fd_call && (f->fd_type == FD_REG || f->fd_type == FD_BLK))", "	if (0)"),
    ("class: disk by fsync", "	if (kind == CALL_FSYNC)", "	if (0)"),
    ("class: disk by path, in D only", "	if (kind == CALL_PATH && asleep_in_kernel)", "	if (kind == CALL_PATH)"),
    ("class: pipe and tty", "	if (fd_call && (f->fd_type == FD_FIFO || f->fd_type == FD_CHR))", "	if (0)"),
    ("class: process", "	if (kind == CALL_CHILD || (kind == CALL_CLONE", "	if ((kind == CALL_CLONE"),
    ("class: process by clone with CLONE_VFORK only", "(f->arg0 & CLONE_VFORK_FLAG))", "true)"),
    ("class: event loop in a poll", "	if (kind == CALL_EPOLL || kind == CALL_POLL)", "	if (0)"),
)

POLLS = mutants(
    POLL, ["test_poll", "test_intervals"],
    ("poll: another task is another poll", " && a->task == b->task", ""),
    ("poll: another tick is another poll", " && a->tick == b->tick", ""),
    ("poll: another core is another poll", " && a->core == b->core", ""),
    ("poll: LIFO follow-ups share a tick, not a budget", "	return p->last_budget == r->budget || p->last_is_wait;", "	return true;"),
    ("poll: a wait ties what spent budget", "	return p->last_budget == r->budget || p->last_is_wait;", "	return p->last_budget == r->budget;"),
    ("poll: without a proven tick nothing ties two waits", "		return !p->is_wait_only && !r->is_wait;", "		return true;"),
    ("poll: unproven on-cpu evidence is unclassified", ".classified = p->proven || p->is_wait_only,", ".classified = true,"),
    ("poll: the largest part gives the class", "p->by_class[c].off > p->by_class[best].off)", "p->by_class[c].off < p->by_class[best].off)"),
    ("poll: mostly executing is cpu", "p->by_class[c].off >= p->on_cpu", "true"),
    ("poll: possible length is bounded by the neighbours", "		row.dur_max = next_instant - p->prev_instant;", "		row.dur_max = row.dur;"),
    ("poll: queue depths that make no sense are dropped", "r->queued <= MAX_QUEUED + 1", "true"),
)

EDGES = mutants(
    INTERVALS, ["test_intervals", "test_poll"],
    ("edge: a wait ends at the waking, the rest is runnable", "		i.runnable = end - woken;", "		i.off = end - o->ts;\n		i.runnable = 0;"),
    ("edge: the first waking counts", "	if (t->state != RUN_OFF || t->out.ts_waking)", "	if (t->state != RUN_OFF)"),
    ("edge: death ends a block", "	t->exited = true;", "	t->exited = false;"),
    ("edge: nothing is paired across a gap", "	return t->seen && t->gap_at < iv->n_gaps && iv->gaps[t->gap_at].ts < ts;", "	(void)ts;\n	return false;"),
    ("edge: still blocked at the end", "		t->poll.state = POLL_OPEN_END;\n	} else", "	} else"),
    ("edge: blocked since before the start", "		t->poll.state = POLL_OPEN_START;\n	t->state = RUN_OFF;", "		t->poll.state = POLL_COMPLETE;\n	t->state = RUN_OFF;"),
    ("edge: a moving thread's snapshot is not believed", "	if (t->exited || e->on_cpu || !e->coherent || state == 'R')", "	if (t->exited || e->on_cpu || state == 'R')"),
    ("edge: an interrupt is no waker", "t->out.waker_tid = e->source ? 0 : e->waker_tid;", "t->out.waker_tid = e->waker_tid;"),
)

MUTANTS = PREDICATE + CLASSES + POLLS + EDGES
