# SPDX-License-Identifier: MIT OR Apache-2.0
"""The mutants: which rule, where it stands, how it is broken, and the unit tests that must notice. Names follow design note 35-blocking."""
from dataclasses import dataclass

CLASSIFY = "report/classify.c"
POLL = "report/poll.c"
INTERVALS = "report/intervals.c"
WAKE = "report/load_wake.c"
STALL = "report/driver_stall.c"


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
    ("predicate: local set", "if (in_budget && f->runtime == 0)\n\t\treturn (struct role_facts){ROLE_IN_POLL, HOLDS_LOCALSET};", "if (0)\n\t\treturn (struct role_facts){ROLE_IN_POLL, HOLDS_LOCALSET};"),
    ("predicate: root future", "return (struct role_facts){ROLE_IN_POLL, HOLDS_ROOT};", "return (struct role_facts){ROLE_IN_POLL, HOLDS_RUNTIME};"),
    ("predicate: unconstrained task of a local set", "	if (f->runtime == 0 && f->task && !(f->waiting && is_driver_wait(f->syscall)))", "	if (0)"),
    ("predicate: drops while a runtime ends", "	if (!f->core && is_drop_at_shutdown(f))", "	if (0)"),
    ("predicate: block_in_place has left the runtime, a drop has not", "f->flavor == FMT_FLAVOR_CURRENT_THREAD || f->runtime == 1;", "true;"),
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
    ("class: fault", "	if (kind == CALL_NONE && (asleep_in_kernel || f->state == 'S'))", "	if (0)"),
    ("class: fault in state S (userfaultfd)", "	if (kind == CALL_NONE && (asleep_in_kernel || f->state == 'S'))", "	if (kind == CALL_NONE && asleep_in_kernel)"),
    ("class: sleep", "	if (kind == CALL_SLEEP)", "	if (0)"),
    ("class: lock", "	if (kind == CALL_FUTEX)", "	if (0)"),
    ("class: network", "	if (is_on_socket(f, kind))", "	if (0)"),
    ("class: disk by iowait", "	if (f->iowait)", "	if (0)"),
    ("class: disk by file", "	if (kind == CALL_FD && (f->fd_type == FD_REG || f->fd_type == FD_BLK || f->fd_type == FD_DIR))", "	if (0)"),
    ("class: poll on a file is none", "	if (kind == CALL_FD && (f->fd_type == FD_REG", "	if (fd_call && (f->fd_type == FD_REG"),
    ("class: io_uring", "	if (kind == CALL_IO_URING)", "	if (0)"),
    ("class: disk by fsync", "	if (kind == CALL_FSYNC)", "	if (0)"),
    ("class: disk by path, in D only", "	if (kind == CALL_PATH && asleep_in_kernel)", "	if (kind == CALL_PATH)"),
    ("class: pipe", "	if (fd_call && f->fd_type == FD_FIFO)", "	if (0)"),
    ("class: tty and other devices", "	if (fd_call && f->fd_type == FD_CHR)", "	if (0)"),
    ("class: process", "	if (kind == CALL_CHILD || (kind == CALL_CLONE", "	if ((kind == CALL_CLONE"),
    ("class: process by clone with CLONE_VFORK only", "(f->arg0 & CLONE_VFORK_FLAG))", "true)"),
    ("class: event loop in a poll", "	if (kind == CALL_EPOLL || kind == CALL_POLL)", "	if (0)"),
)

POLLS = mutants(
    POLL, ["test_poll", "test_intervals"],
    ("poll: another task is another poll", " && a->task == b->task", ""),
    ("poll: another tick is another poll", " && a->tick == b->tick", ""),
    ("poll: another core is another poll", " && a->core == b->core", ""),
    ("poll: LIFO follow-ups share a tick, not a budget", "	return p->last_budget == r->budget || p->has_waited;", "	return true;"),
    ("poll: a wait ties what spent budget", "	return p->last_budget == r->budget || p->has_waited;", "	return p->last_budget == r->budget;"),
    ("poll: a wait ties over what ran since", "	p->has_waited |= r->is_wait;", "	p->has_waited = r->is_wait;"),
    ("poll: without a proven tick nothing ties two waits", "		return !p->is_wait_only && !r->is_wait;", "		return true;"),
    ("poll: unproven on-cpu evidence is unclassified", ".classified = p->proven || p->is_wait_only,", ".classified = true,"),
    ("poll: the largest part gives the class", "p->by_class[c].off > p->by_class[best].off)", "p->by_class[c].off < p->by_class[best].off)"),
    ("poll: mostly executing is cpu", "p->by_class[c].off >= p->on_cpu", "true"),
    ("poll: possible length is bounded by the neighbours", "		row.dur_max = next_instant - p->prev_instant - p->stopped;", "		row.dur_max = row.dur;"),
    ("poll: queue depths that make no sense are dropped", "q.queued > (r->worker ? MAX_QUEUED : MAX_QUEUED_SINGLE) + 1", "false"),
)

EDGES = mutants(
    INTERVALS, ["test_intervals", "test_poll"],
    ("edge: a wait ends at the waking, the rest is runnable", "		i.runnable = end - woken;", "		i.off = end - o->ts;\n		i.runnable = 0;"),
    ("edge: the first waking counts", "	if (t->state != RUN_OFF || t->out.ts_waking)", "	if (t->state != RUN_OFF)"),
    ("edge: death ends a block", "	t->exited = true;", "	t->exited = false;"),
    ("edge: nothing is paired across a gap", "	return t->seen && t->gap_at < iv->n_gaps && iv->gaps[t->gap_at].ts < ts;", "	(void)ts;\n	return false;"),
    ("edge: still blocked at the end", "		err = finish_out(iv, t, ts, false);\n		poll_is_open_end(&t->poll);", "		err = finish_out(iv, t, ts, false);"),
    ("edge: blocked since before the start", "		t->poll.state = POLL_OPEN_START;\n	t->placed = true;", "	t->placed = true;"),
    ("edge: running since before the start", "	if (is_open)\n		t->poll.state = POLL_OPEN_START;", ""),
    ("edge: a stop is in no length", "		*(o->is_wait ? &i.off : &i.stopped) = woken - o->ts;", "		i.off = woken - o->ts;"),
    ("edge: a stop does not end its poll", "	if (!r->is_wait && t->out.state != 'R' && !(is_stop(t->out.state) && t->poll.proven))", "	if (!r->is_wait && t->out.state != 'R')"),
    ("edge: a dying thread is in no runtime", "	t->exited |= kind == OUT_DYING;", "	(void)kind;"),
    ("edge: a moving thread's snapshot is not believed", "	if (t->exited || e->on_cpu || !e->coherent || state == 'R')", "	if (t->exited || e->on_cpu || state == 'R')"),
    ("edge: an interrupt is no waker", "t->out.waker_tid = e->source ? 0 : e->waker_tid;", "t->out.waker_tid = e->waker_tid;"),
)

NAMES = [
    Mutant("name: dns", "report/wait_names.c", "\"getaddrinfo\"", "\"no_such_name\"", ["test_wait_names", "test_refine"]),
    Mutant("name: a fault within a system call", "report/wait_names.c", "\"handle_mm_fault\"", "\"no_such_name\"", ["test_wait_names", "test_refine"]),
    *[Mutant(f"name: {what}", "report/wait_names.c", f"{{\"{prefix}\", NULL,", "{\"no::such\", NULL,", ["test_wait_names"])
      for what, prefix in (("mutex", "std::sys::sync::mutex"), ("rwlock", "std::sys::sync::rwlock"), ("condvar", "std::sys::sync::condvar"),
                           ("channel", "std::sync::mpmc"), ("once", "std::sys::sync::once"), ("barrier", "std::sync::barrier"),
                           ("park", "std::sys::sync::thread_parking"), ("stdio", "std::io::stdio"), ("block_on", "futures_executor"))],
    Mutant("name: join", "report/wait_names.c", "{\"std::thread\", \"join\",", "{\"no::such\", \"join\",", ["test_wait_names"]),
]

VICTIMS = mutants(
    WAKE, ["test_load_task"],
    ("victims: not what was ready behind the block, and waits still", "i && ready_at(ws, i)->ts >= b->to;", "i && 0;"),
    ("victims: not what was ready behind the block", "ready_at(ws, i)->ts < b->to && ready_at(ws, i)->ts_gone > b->to)", "ready_at(ws, i)->ts_gone > b->to)"),
    ("victims: a task that was stolen paid nothing", "ready_at(ws, i)->ts < b->to && ready_at(ws, i)->ts_gone > b->to)", "ready_at(ws, i)->ts < b->to)"),
    ("victims: what left the queue behind the block paid", "	if (ts && may_wait_for_poll(q)) {", "	if (0) {"),
    ("victims: everybody's task waits for the one thread that there is", "	if (x->is_single) {", "	if (0) {"),
    ("victims: a worker's own queue", "	if (is_local && t->ci && t->ci->worker", "	if (0 && t->ci && t->ci->worker"),
    ("victims: nothing is known to wait across a gap", "	if (q->epoch == ws->epoch)\n		return;", "	if (1)\n		return;"),
    ("victims: a block over a gap says nothing", "is_whole(tl, p) && ", ""),
    ("victims: only where every wake and poll is recorded", " && load_exact_holds(tl, t, p);", ";"),
    ("victims: they pay from the block's begin", "b->to - max_u64(r->ts, b->from)", "b->to - r->ts"),
) + [
    Mutant("victims: a spawned task is ready", "report/load_task.c", "	return err || k->blocking ? err : ready_spawned(tl, t, k, e);", "	return err;", ["test_load_task"]),
    Mutant("victims: a closure of the pool waits for no worker", "report/load_task.c", "	return err || k->blocking ? err :", "	return err ? err :", ["test_load_task"]),
    Mutant("victims: until the probes are taken away", "report/load_exact.c", "			x->to = min_u64(x->to, p->ts);", "			;", ["test_load_task"]),
    Mutant("victims: not where a probe was not possible", "report/load_exact.c", "			x->to = 0;", "			;", ["test_load_task"]),
    Mutant("delay: not across a gap", WAKE, "	is_known = r->epoch == ws->epoch && !(ws->epoch & 1) && ts;", "	is_known = ts != 0;", ["test_load_task"]),
]

DRIVER = mutants(
    STALL, ["test_load_task"],
    ("driver: who parks in it serves it", "	if (in_driver || !ci->worker", "	if (!ci->worker"),
    ("driver: every worker must be away", "u64 workers = ds->runtimes->runtimes[s->runtime_id - 1].n_workers;", "u64 workers = 1;"),
    ("driver: of current_thread all of a block", "*ret_now = flavor == FMT_FLAVOR_CURRENT_THREAD ? p->dur : 0;", "*ret_now = 0;"),
    ("driver: a runtime without one", "		if (seen & SEEN_IN_DRIVER ||", "		if (1 ||"),
)

TASKS = mutants(
    STALL, ["test_load_task"],
    ("reports: two polls in one stall are one stall", "	return err ? err : write_spans(ins, s->runtime_id, stalled, n_stalled);", "	return err;"),
) + mutants(
    "report/cascade.c", ["test_view_cascade"],
    ("reports: what was made ready last was in the LIFO slot", "(!last || v[i].step.ready >= last->step.ready)", "(!last || v[i].step.ready <= last->step.ready)"),
    ("reports: who was in the slot ran first", "	else if (ran_first(l, &last->step))", "	else"),
    ("reports: of one alone the slot's reading decides", "		return k->lifo ? PLACE_LIFO : PLACE_LOCAL;", "		return PLACE_LIFO;"),
    ("reports: the slot only where all victims are known", "	if (!knows_all)", "	if (0)"),
    ("reports: what a delayed task woke in its poll comes behind it", "l->wakes[i].ts <= s.ran + s.dur; i++)", "l->wakes[i].ts <= s.ran; i++)"),
    ("reports: a task polled on another thread was taken", "			v[i].step.place = PLACE_TAKEN;", "			v[i].step.place = PLACE_LOCAL;"),
) + mutants(
    "report/worker_stats.c", ["test_view_workers"],
    ("reports: polls of a worker by when they were", "min_u64(p->to, to) - max_u64(p->from, from);", "p->to - p->from;"),
    ("reports: a move is to another worker", "		if (from->t->worker != to->t->worker) {", "		if (1) {"),
    ("reports: stalls of the driver are cut to the window", "max(min(ts + dur, ?2) - max(ts, ?1)) FROM driver_stall", "max(dur) FROM driver_stall"),
) + mutants(
    "report/task_stats.c", ["test_view_tasks", "test_view_wakers"],
    ("reports: a wake without its poll has no delay", "		if (sql_is_null(st, 2))", "		if (0)"),
) + mutants(
    "report/task_reader.c", ["test_view_tasks"],
    ("reports: alive is not known of all", "	else if (!sql_is_null(st, COL_SPAWN) || sql_u64(st, COL_AT_START) == 1)", "	else"),
) + mutants(
    "report/wakers.c", ["test_view_wakers"],
    ("reports: percentiles by nearest rank", "	s.p99 = w[(s.delays * 99 + 99) / 100 - 1].delay;", "	s.p99 = w[s.delays * 99 / 100].delay;"),
    ("reports: edges of one woken stand together", "		return p != q ? (p > q ? -1 : 1) : x->to < y->to ? -1 : 1;", "		return p > q ? -1 : 1;"),
    ("reports: --dot draws no edge below the least", "			n += w->edges[i].sum.n >= mid;", "			n += w->edges[i].sum.n > mid;"),
) + mutants(
    "report/view_wakers.c", ["test_view_wakers"],
    ("reports: a quote in a name does not end Graphviz's string", "		if (*s == '\"' || *s == '\\\\')", "		if (*s == '\\\\')"),
    ("reports: an entity of HTML in a name is none to Graphviz", "(void)fputs(\"&amp;\", out);", "(void)fputc(*s, out);"),
)

MUTANTS = PREDICATE + CLASSES + NAMES + POLLS + EDGES + VICTIMS + DRIVER + TASKS
