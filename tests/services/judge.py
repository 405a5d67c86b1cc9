# SPDX-License-Identifier: MIT OR Apache-2.0
"""Compares a capture of a service with the log of shim.c. Used by run.py.

Whose thread a call was made on is decided from the log alone:
  FIRST_CREATED  a multi-thread runtime of N workers: its builder starts them before anything else makes a thread, so the first N
                 threads are the workers; any thread that waits in epoll_wait must be one of them (the pool's threads never do).
  LOOPS          current_thread runtimes: a thread that waits in epoll_wait runs an event loop; the pool's threads wait for a condition.
What such a thread does to a served file it does inside a poll: the services touch them only from requests' futures (their
sources; doc/services.md), and no poll begins or ends between two calls that no epoll_wait or other file's call separates.

Both are checked against the call's own stack, taken by libgcc's unwinder in the service: the outermost frames of loops' and pool threads differ.

A slow call on a loop's thread must lie in a row of that thread; a slow call on any other thread must not.
"""
import statistics
import struct

MS = 1_000_000
PERIOD = 1_000_000_000 // 499  # the recorder's default --freq
THRESHOLD = 10 * MS  # the reports' default --min
TOLERANCE = MS
ENOUGH = 100  # slow calls in polls, below which agreement proves nothing
MAX_FIGURES = 20
AT_ONCE = 2 * MS  # a client may ask again so soon that the poll that answered finds the next request
OUTERMOST = 5  # frames of the thread's start that tell what it runs
AROUND = 5 * MS  # what a handler's poll may do besides its slow calls
NEXT = 5 * MS  # between two readdir of one listing
ENTRY = struct.Struct("<QQQIHHQII80s128s")
ENTRY_SIZE = ENTRY.size
KINDS = {1: "open", 2: "stat", 3: "fstat", 4: "read", 5: "realpath", 6: "readdir", 7: "epoll", 8: "thread"}
FIRST_CREATED, LOOPS = "first created", "loops"


class Call:
    """One entry of the log."""

    def __init__(self, fields):
        self.t0, self.t1, self.run_delay, self.tid, kind, slow, self.made, self.child, self.cpu, name, frames = fields
        self.kind, self.slow = KINDS[kind], bool(slow)
        self.frames = [offset for offset in struct.unpack("<32I", frames) if offset]
        self.name = name.split(b"\0")[0].decode(errors="replace")


class Block:
    """A call that slept, or the readdir calls of one listing: what must be within one row."""

    def __init__(self, call):
        self.calls = [call]
        self.tid, self.kind, self.name = call.tid, call.kind, call.name

    @property
    def t0(self):
        return self.calls[0].t0

    @property
    def t1(self):
        return self.calls[-1].t1

    @property
    def slept(self):
        """Without the time spent executing and waiting for a cpu."""
        return sum(c.t1 - c.t0 - c.cpu - c.run_delay for c in self.calls)

    @property
    def asleep(self):
        """Until it had a cpu again."""
        return sum(c.t1 - c.t0 - c.cpu for c in self.calls)

    def __str__(self):
        return f"{len(self.calls)} {self.kind} {self.slept / MS:.2f} ms at {self.t0} tid {self.tid} {self.name[-24:]}"


class Capture:
    """What ascope says."""

    def __init__(self, query):
        (head,) = query("SELECT * FROM capture")
        self.start, self.end, self.verdict, self.why = head["ts_start"], head["ts_end"], head["verdict"], head["verdict_why"]
        self.rows = query("SELECT * FROM blocking")
        self.runtimes = query("SELECT * FROM runtime")
        self.tick_from = max([row["tick_from"] or self.end for row in self.runtimes], default=self.end)
        self.loss = {row["cause"]: row["count"] for row in query("SELECT * FROM loss")}
        self.totals = {row["key"]: row["value"] for row in query("SELECT * FROM total")}
        self.sleeps = {row["poll_id"]: (row["slept"], row["out"]) for row in query(
            "SELECT poll_id, sum(coalesce(ts_waking, ts + dur) - ts) AS slept, sum(dur) AS out FROM offcpu WHERE class = 'sleep' AND poll_id IS NOT NULL "
            "AND dur IS NOT NULL GROUP BY poll_id")}
        self.unclassified = query("SELECT count(*) AS n FROM poll WHERE classified = 0")[0]["n"]
        self.stacks = {}
        for frame in query("SELECT stack_id, module, file_off, function FROM stack_text WHERE stack_id IN (SELECT stack_id FROM blocking "
                           "UNION SELECT kstack_id FROM blocking) ORDER BY stack_id, depth, inline_depth"):
            where = frame["function"] or f"{(frame['module'] or '?').rsplit('/', 1)[-1]}+{frame['file_off']:#x}"
            self.stacks.setdefault(frame["stack_id"], []).append(where)

    def joined_from(self, blocks):
        """35-blocking section 2: until the tick is proven, waits are not joined, so that blocks of many waits are cut."""
        return self.tick_from if any(len(b.calls) > 1 for b in blocks) else 0

    def place(self, row):
        """Class, system call and the innermost frames: what rows are told apart by where there are no names."""
        user = self.stacks.get(row["stack_id"], [])[:8]
        kernel = [name for name in self.stacks.get(row["kstack_id"], []) if not name.startswith(("bpf_", "__schedule", "schedule"))][:3]
        return f"{row['class']} {row['syscall'] or '-'} {row['holds']}: {' < '.join(user)} | {' < '.join(kernel)}"

    def describe(self, row):
        # a running thread is sampled: one that was not for many periods did not run, whatever the kernel thought
        stolen = " NEVER SAMPLED: the host took the cpu away" if row["class"] == "cpu" and not row["samples"] and row["on_cpu"] > 4 * PERIOD else ""
        return (f"{row['dur'] / MS:.2f} ms (cpu {row['on_cpu'] / MS:.2f}, runnable {row['runnable'] / MS:.2f}, {row['waits']} waits) at "
                f"{row['ts']} tid {row['tid']} task {row['task_id']} {row['state']}{stolen}: {self.place(row)}")


class Result:
    def __init__(self):
        self.figures, self.wrong = [], []
        self.score, self.unpaired = {}, 0


def read_log(path):
    with open(path, "rb") as file:
        data = file.read()
    (n, cap) = struct.unpack_from("<QQ", data)
    if n > cap:
        raise RuntimeError("the log was too small")
    calls = (ENTRY.unpack_from(data, i * ENTRY_SIZE) for i in range(1, n))
    return [Call(fields) for fields in calls if fields[4] and (fields[1] or KINDS.get(fields[4]) == "thread")]


def loop_threads(service, capture, calls, result):
    """The threads that run event loops, and a complaint where two ways of telling them differ."""
    waiting = {c.tid for c in calls if c.kind == "epoll" and c.t0 <= capture.end}
    if service.loop_threads == LOOPS:
        return waiting
    created = [c.child for c in calls if c.kind == "thread"]
    workers = set(created[:sum(workers for _, workers in service.runtimes)])
    if not waiting <= workers:
        result.wrong.append(f"the log contradicts itself: {waiting - workers} wait in epoll_wait, but are not the first threads, "
                            f"which are (tid, creator): {[(c.child, c.tid) for c in calls if c.kind == 'thread'][:12]}")
    return workers


def blocks_of(calls, loops):
    """Slow calls of loop threads; the readdir calls of one listing (which begins with an open) are one."""
    blocks, last = [], {}
    for call in sorted((c for c in calls if c.tid in loops and (c.slow or c.kind in ("epoll", "open"))), key=lambda c: c.t0):
        if not call.slow:
            last.pop(call.tid, None)
            continue
        previous = last.get(call.tid)
        if call.kind == "readdir" and previous and previous.kind == "readdir" and previous.name == call.name and call.t0 - previous.t1 < NEXT:
            previous.calls.append(call)
            continue
        last[call.tid] = Block(call)
        blocks.append(last[call.tid])
    return blocks


def covers(row, block):
    return row["tid"] == block.tid and row["ts"] <= block.t0 + TOLERANCE and row["ts"] + row["dur"] >= block.t1 - TOLERANCE


def overlaps(row, tid, t0, t1):
    return row["tid"] == tid and min(t1, row["ts"] + row["dur"]) > max(t0, row["ts"])


def judge(service, capture, calls, idle):
    result = Result()
    result.unpaired = capture.loss.get("unpaired", 0)
    check_runtimes(service, capture, result)
    if idle:
        result.wrong += [f"it was idle: {capture.describe(row)}" for row in capture.rows if row["dur"] >= MS]
    elif not all(row["tick_valid"] for row in capture.runtimes):
        result.wrong.append("a tick is unproven")
    rows = [row for row in capture.rows if row["dur"] - row["runnable"] >= THRESHOLD]
    if calls is not None:
        loops = loop_threads(service, capture, calls, result)
        others = judge_calls(capture, calls, loops, rows, result)
        judge_real_calls(capture, calls, loops, result)
    else:
        others = rows
    for row in others:
        if len(result.figures) < MAX_FIGURES:
            result.figures.append("row without a slow call: " + capture.describe(row))
        if row["class"] == "sleep":
            result.wrong.append("nothing slept there: " + capture.describe(row))
    if not idle and not result.score.get("blocks"):
        small = [row for row in capture.rows if MS <= row["dur"] - row["runnable"] < THRESHOLD]
        result.figures.append(f"{len(small)} rows of 1 to 10 ms")
        places = {}
        for row in small:
            places.setdefault(capture.place(row), []).append(row["dur"])
        result.figures += [f"  {len(lengths)} up to {max(lengths) / MS:.2f} ms: {place}"
                           for place, lengths in sorted(places.items(), key=lambda item: -len(item[1]))[:8]]
    figures_of_recorder(capture, result)
    return result


def judge_calls(capture, calls, loops, rows, result):
    """Both ways; returns the rows that have nothing to do with a slow call."""
    blocks = blocks_of(calls, loops)
    whole = [b for b in blocks if capture.start <= b.t0 and b.t1 <= capture.end]
    must = [b for b in whole if b.slept >= THRESHOLD]
    missed = [b for b in must if not any(covers(row, b) for row in rows)]
    early = [b for b in missed if b.t0 < capture.joined_from([b])]
    missed = [b for b in missed if b not in early]
    result.wrong += [f"missed: {b}" for b in missed]
    if any(c.slow for c in calls) and len(must) < ENOUGH:
        result.wrong.append(f"too little truth: {len(must)} slow calls inside polls, {ENOUGH} wanted")
    check_stacks(calls, loops, result)
    pool = [c for c in calls if c.slow and c.tid not in loops and capture.start <= c.t0 and c.t1 <= capture.end]
    for call in pool:
        result.wrong += [f"on the pool: {capture.describe(row)}" for row in capture.rows if overlaps(row, call.tid, call.t0, call.t1)]
    turns = {}
    for call in calls:
        if call.kind == "epoll":
            turns.setdefault(call.tid, []).append(call.t0)
    errors, lengths, others, several = [], [], [], 0
    for row in rows:
        mine = [b for b in blocks if overlaps(row, b.tid, b.t0, b.t1)]
        if not mine:
            others.append(row)
            continue
        several += len(mine) > 1
        judge_row(capture, row, mine, turns.get(row["tid"], []), errors, lengths, result)
    result.score = {"blocks": len(must), "missed": len(missed), "pool": len(pool), "rows": len(rows), "others": len(others)}
    result.figures.append(
        f"{len(must)} slow calls of 10 ms or more inside polls, {len(missed)} missed, {len(early)} of many waits before the tick was proven; {len(pool)} on the pool; {len(blocks) - len(whole)} "
        f"before or after the recording; {len(rows)} rows ({several} with several calls, {len(others)} with none); error of the sleep "
        f"median {statistics.median(errors or [0]) / 1000:.0f} us, worst {max(errors or [0]) / 1000:.0f} us; of the length "
        f"median {statistics.median(lengths or [0]) / 1000:.0f} us, worst {max(lengths or [0]) / 1000:.0f} us")
    return others


def check_stacks(calls, loops, result):
    """Whose thread it is, by the outermost frames of the slow calls' stacks: no names are needed to see that they are two kinds."""
    on_loops = {tuple(c.frames[-OUTERMOST:]) for c in calls if c.slow and c.tid in loops}
    on_pool = {tuple(c.frames[-OUTERMOST:]) for c in calls if c.slow and c.tid not in loops}
    if on_loops & on_pool:
        result.wrong.append(f"the log contradicts itself: stacks of loops and of the pool begin alike: {on_loops & on_pool}")
    if on_loops or on_pool:
        result.figures.append(f"stacks of slow calls begin in {len(on_loops)} ways on loops' threads, in {len(on_pool)} other ways on the pool's")


def judge_row(capture, row, mine, turns, errors, lengths, result):
    end = row["ts"] + row["dur"]
    mine.sort(key=lambda b: b.t0)
    partial = str(row["state"]).startswith("open-") or mine[0].t0 < max(capture.start, capture.joined_from(mine)) \
        or mine[-1].t1 > capture.end
    text = f"{capture.describe(row)}, should be {'; '.join(str(b) for b in mine)}"
    slept = sum(b.slept for b in mine)
    if row["class"] != "sleep" and slept > row["dur"] / 2:
        result.wrong.append(f"class: {text}")
    if row["class"] == "sleep" and row["syscall"] not in ("nanosleep", "clock_nanosleep"):
        result.wrong.append(f"system call: {text}")
    if any(b.name != a.name and b.t0 - a.t1 > AT_ONCE for a, b in zip(mine, mine[1:])):
        result.wrong.append(f"several requests in one row: {text}")
    if any(row["ts"] < t < end - TOLERANCE for t in turns):
        result.wrong.append(f"the loop turned within: {text}")
    if partial:
        return
    # as score.py: lengths as they are, or without the time spent waiting for a cpu on both sides
    without, out = capture.sleeps.get(row["poll_id"], (0, 0))
    error = min(abs(without - slept), abs(out - sum(b.asleep for b in mine)))
    errors.append(error)
    if error > TOLERANCE:
        result.wrong.append(f"slept {slept / MS:.3f}, not {without / MS:.3f} ms: {text}")
    span = mine[-1].t1 - mine[0].t0
    inside = min(end, mine[-1].t1) - max(row["ts"], mine[0].t0)
    error = min(abs(row["dur"] - span), abs(inside - span) if row["dur"] - inside <= AROUND + row["runnable"] else row["dur"])
    lengths.append(error)
    if error > TOLERANCE:
        result.wrong.append(f"length {span / MS:.3f} ms: {text}")


def judge_real_calls(capture, calls, loops, result):
    """Calls that took long by themselves, without the shim's sleep."""
    if any(c.slow for c in calls):
        return
    long = [c for c in calls if c.kind not in ("epoll", "thread") and c.tid in loops and c.made - c.t1 - c.run_delay >= THRESHOLD
            and capture.start <= c.t0 and c.made <= capture.end]
    missed = [c for c in long if not any(overlaps(row, c.tid, c.t1, c.made) for row in capture.rows)]
    result.figures.append(f"file calls in polls that held the thread for 10 ms or more by themselves: {len(long)}, missed: {len(missed)}")
    result.wrong += [f"missed: {c.kind} {(c.made - c.t1) / MS:.2f} ms tid {c.tid} {c.name}" for c in missed]


def check_runtimes(service, capture, result):
    found = sorted((row["flavor"], row["workers"]) for row in capture.runtimes)
    text = ", ".join(f"{row['flavor']} {row['workers']} workers {row['tokio_version']} by {row['found_by']} tick "
                     f"{'proven' if row['tick_valid'] else 'unproven'}"
                     + (f" from {max(0, row['tick_from'] - capture.start) / MS:.0f} ms" if row["tick_from"] else "") for row in capture.runtimes)
    result.figures.append(f"runtimes: {text}")
    result.figures.append(f"verdict: {capture.verdict} ({capture.why.strip()}); unclassified polls: {capture.unclassified}; loss {capture.loss}")
    if found != sorted(service.runtimes):
        result.wrong.append(f"wrong runtimes: {found}, should be {sorted(service.runtimes)}")
    result.wrong += [f"found by {row['found_by']}" for row in capture.runtimes if row["found_by"] != "scan"]

def figures_of_recorder(capture, result):
    result.figures.append("recorder: " + ", ".join(f"{key} {value}" for key, value in sorted(capture.totals.items()) if key in ("cost.user_ns", "cost.sys_ns", "cost.max_rss_bytes")))
