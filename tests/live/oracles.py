#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Compares captures with witnesses that share nothing with ascope: the kernel's own counters, perf, and Tokio's hooks.

    oracles.py [--seconds N] [NAME...]       prints TAP, one test per oracle; exit 1 when one fails

  counters      each thread's switches against its context switch counts, and its time runnable against its run delay
                (/proc/PID/task/TID/status and schedstat, read by this test while ascope records)
  conservation  per thread: time on the cpu as the kernel has it + runnable + off the cpu = wall time; rows never overlap;
                a poll's parts are those of its rows
  perf          every switch of every thread against `perf record --switch-events` of the same run
  hooks         polls that waited for 1 ms or more against Tokio's own before-poll and after-poll hooks, and their voluntary
                context switches (fixtures/hooks)

No instant is this test's own: all are CLOCK_MONOTONIC, read beside the thing that is compared. Environment: ASCOPE, ASCOPE_OUT
(where ascope and the hooks' fixture are built; out/), CARGO_TARGET_DIR of the other fixtures, ASCOPE_LOCK (a file to lock during each
recording, on a shared machine), KEEP=1 leaves each test's folder.
"""
import argparse
import bisect
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # leaves no __pycache__ among the sources
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "accuracy"))
from bars import quantile  # noqa: E402
from measure import Ascope, Failed, Fixture, locked  # noqa: E402
import tap  # noqa: E402
from recording import SCENARIOS  # noqa: E402
from tap import ASCOPE, OUT, ROOT, Failure, Skip, check, stolen  # noqa: E402

US, MS = 1_000, 1_000_000
TICK = 4 * MS  # a running thread's cpu time in /proc is up to one tick old (CONFIG_HZ=250; shorter at more)
# The kernel counts a switch a few us before ascope and perf do, and the hypervisor may take the cpu between the two.
EDGE = 50 * US
LATE = 1 * MS
STEAL_READING = 20 * MS  # two ticks of /proc/stat, in which time stolen is read before and after
MARGIN = MS // 10  # as in score.py: how well a wait's own length is known from run delay and cpu time
OFF = """SELECT t.tid, o.ts, o.dur, o.ts_waking, o.state, o.role, o.poll_id FROM offcpu AS o JOIN thread AS t ON t.id = o.thread_id
ORDER BY t.tid, o.ts"""
POLLS = """SELECT t.tid, p.id, p.ts, p.dur, p.off_cpu, p.on_cpu, p.runnable, p.task_id, p.state FROM poll AS p
JOIN thread AS t ON t.id = p.thread_id WHERE p.classified = 1"""


def fixture_command(scenario, folder, seconds):
    return [SCENARIOS, scenario, "--seconds", str(seconds + 40), "--dir", folder, "--pace", "dense"]


@contextlib.contextmanager
def recording(ascope, pid, path):
    """Recorded is what happens inside; callers check that by the capture's ts_start and ts_end."""
    recorder = subprocess.Popen([ascope.path, "record", "-q", "-p", str(pid), "-o", path], stdin=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 20
        # The first block is written within a second after everything is attached.
        while not (path.exists() and path.stat().st_size > 1000) and recorder.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.2)
        yield
        time.sleep(0.1)
    finally:
        recorder.terminate()
        recorder.wait(30)


class Capture:
    """What a capture holds, by thread."""

    def __init__(self, ascope, path):
        (facts,) = ascope.query(path, "SELECT ts_start, ts_end, verdict, verdict_why FROM capture")
        self.start, self.end, self.verdict = facts["ts_start"], facts["ts_end"], facts["verdict"]
        self.losses = {row["cause"]: row["count"] for row in ascope.query(path, "SELECT cause, count FROM loss")}
        self.lost = sum(self.losses.values())
        self.off = {}
        for row in ascope.query(path, OFF):
            self.off.setdefault(row["tid"], []).append(row)
        self.polls = ascope.query(path, POLLS)
        proven = [row["tick_from"] for row in ascope.query(path, "SELECT tick_from FROM runtime")]
        # from here on polls are told apart by tick; a tick that lies where the table has it is good from before the first record on
        self.tick_from = max(self.start, *proven) if proven and None not in proven else None


def end_of(row):
    return None if row["dur"] is None else row["ts"] + row["dur"]


# ---- the kernel's counters ----


def read_counters(pid):
    """{tid: facts}: counters of every thread that is there, with the instants just before and just after they were read."""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            before = time.monotonic_ns()
            status = (task / "status").read_text(encoding="utf-8")
            middle = time.monotonic_ns()
            run, delay, count = map(int, (task / "schedstat").read_text(encoding="utf-8").split())
            after = time.monotonic_ns()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it left meanwhile
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        switches = int(fields["voluntary_ctxt_switches"]) + int(fields["nonvoluntary_ctxt_switches"])
        found[int(task.name)] = {"before": before, "middle": middle, "after": after, "switches": switches, "run": run, "delay": delay,
                                 "count": count, "running": fields["State"].startswith("R")}
    return found


def record_with_counters(ascope, folder, scenario, seconds):
    """(capture, counters near its begin, near its end, ns that the host may have taken meanwhile)"""
    path = folder / "capture.ascope"
    with locked(os.environ.get("ASCOPE_LOCK")), Fixture(fixture_command(scenario, folder, seconds), folder) as fixture:
        with recording(ascope, fixture.pid, path):
            steal = stolen()
            first = read_counters(fixture.pid)
            time.sleep(seconds)
            last = read_counters(fixture.pid)
            steal = stolen() - steal
        fixture.leave()
    capture = Capture(ascope, path)
    begin, end = min(f["before"] for f in first.values()), max(f["after"] for f in last.values())
    if not capture.start < begin < end < capture.end:
        raise Failed(f"the counters were not read while ascope recorded: {capture.start} {begin} {end} {capture.end}")
    return capture, first, last, steal and steal + STEAL_READING


def taken(steal):
    return f"; {steal / MS:.0f} ms allowed for what the host took" if steal else ""


def between(instants, low, high):
    """How many of the sorted instants lie in [low, high]."""
    return max(0, bisect.bisect_right(instants, high) - bisect.bisect_left(instants, low))


def runnable_within(rows, low, high):
    """(runnable, blocked) ns of a thread's rows that fall into [low, high]."""
    runnable = blocked = 0
    for row in rows:
        begin, end = row["ts"], end_of(row)
        end = high if end is None else end
        woken = begin if row["state"] == "R" else row["ts_waking"] if row["ts_waking"] is not None else end
        clip = lambda instant: min(max(instant, low), high)  # noqa: E731
        runnable += clip(end) - clip(woken)
        blocked += clip(woken) - clip(begin)
    return runnable, blocked


def counters(ascope, folder, seconds):
    """Switches exactly; run delay to some us a switch."""
    wrong, notes, threads, switches, differences = [], [], 0, 0, []
    for scenario in ("mutex", "cooperative"):
        (folder / scenario).mkdir()
        capture, first, last, steal = record_with_counters(ascope, folder / scenario, scenario, seconds)
        for tid in sorted(first.keys() & last.keys()):
            a, b = first[tid], last[tid]
            rows = capture.off.get(tid, [])
            outs, backs = [row["ts"] for row in rows], [end_of(row) for row in rows if row["dur"] is not None]
            threads += 1
            # every switch surely between the two readings was counted, and none that is not possibly between them
            for what, instants, field, x, y in [("switches out", outs, "switches", ("before", "middle"), ("before", "middle")),
                                                ("switches in", backs, "count", ("middle", "after"), ("middle", "after"))]:
                count = b[field] - a[field]
                least = between(instants, a[x[1]] + EDGE, b[y[0]] - EDGE) - capture.lost
                most = between(instants, a[x[0]] - EDGE, b[y[1]] + EDGE) + capture.lost
                switches += count
                if not least <= count <= most:
                    wrong.append(f"{scenario} tid {tid}: the kernel counted {count} {what}, ascope has {least} to {most}")
            runnable, _ = runnable_within(rows, a["after"], b["middle"])
            count, delay = b["count"] - a["count"], b["delay"] - a["delay"]
            if count:
                differences.append((runnable - delay) / count)
            # At either edge a reading may fall into a time of waiting, which schedstat counts when it is over. On a cpu that the host took a thread that is
            # woken is queued only later, and no run delay until then.
            slack = EDGE * (count + 2) + 2 * edge_wait(rows, a, b)
            if not -slack <= runnable - delay <= slack + steal:
                wrong.append(f"{scenario} tid {tid}: {delay / MS:.3f} ms run delay, ascope has {runnable / MS:.3f} ms runnable in {count} switches")
        notes.append(f"{scenario}: {capture.verdict}, losses {capture.losses}{taken(steal)}")
    differences.sort()
    notes.append(f"{threads} threads, {switches} switches; runnable - run delay per switch: median {quantile(differences, 0.5) / US:.1f} us, "
                 f"{quantile(differences, 0) / US:.1f} to {quantile(differences, 1) / US:.1f} us")
    if switches < 1000:
        wrong.append(f"too little to compare: {switches} switches")
    return wrong, notes


def edge_wait(rows, a, b):
    """The longest wait for a cpu that one of the two readings cuts."""
    cut = 0
    for row in rows:
        end = end_of(row)
        if end is not None and any(row["ts"] <= instant <= end + EDGE for instant in (a["middle"], a["after"], b["middle"], b["after"])):
            cut = max(cut, runnable_within([row], row["ts"], end)[0])
    return cut


# ---- conservation ----


def conservation(ascope, folder, seconds):
    """Only the kernel knows time on the cpu independently; all else must leave room for exactly that."""
    wrong, notes, errors = [], [], []
    capture, first, last, steal = record_with_counters(ascope, folder, "mutex", seconds)
    for tid in sorted(first.keys() & last.keys()):
        a, b = first[tid], last[tid]
        rows = capture.off.get(tid, [])
        if a["running"] or b["running"]:
            slack = 2 * TICK
        else:
            slack = 0
        runnable, blocked = runnable_within(rows, a["after"], b["middle"])
        wall, run = b["middle"] - a["after"], b["run"] - a["run"]
        count = b["count"] - a["count"]
        error = run + runnable + blocked - wall
        if not rows:
            continue  # it did nothing, all the time
        errors.append(abs(error))
        slack += EDGE * (count + 2)
        if not -slack - steal <= error <= slack:  # what the host took is no time of the thread's clock
            wrong.append(f"tid {tid}: on {run / MS:.3f} + runnable {runnable / MS:.3f} + blocked {blocked / MS:.3f} is not "
                         f"{wall / MS:.3f} ms, by {error / MS:.3f} ms ({count} switches)")
    for tid, rows in capture.off.items():
        for this, following in zip(rows, rows[1:]):
            end = end_of(this)
            if end is None or end > following["ts"]:
                wrong.append(f"tid {tid}: the row at {this['ts']} ends at {end}, behind the next one's begin at {following['ts']}")
        for row in rows:
            end = end_of(row)
            if row["ts_waking"] is not None and not row["ts"] <= row["ts_waking"] <= (end or row["ts_waking"]):
                wrong.append(f"tid {tid}: woken at {row['ts_waking']}, out from {row['ts']} to {end}")
    parts = {}
    for rows in capture.off.values():
        for row in rows:
            if row["poll_id"] is not None and row["dur"] is not None:
                sums = parts.setdefault(row["poll_id"], [0, 0])
                runnable, blocked = runnable_within([row], row["ts"], end_of(row))
                sums[0] += runnable
                sums[1] += blocked
    for poll in capture.polls:
        if poll["state"] == "complete":
            runnable, blocked = parts.get(poll["id"], (0, 0))
            if (runnable, blocked) != (poll["runnable"], poll["off_cpu"]) or poll["off_cpu"] + poll["on_cpu"] + poll["runnable"] != poll["dur"]:
                wrong.append(f"poll {poll['id']}: {poll}, its rows: runnable {runnable}, blocked {blocked}")
    errors.sort()
    notes.append(f"{len(errors)} threads, {len(capture.polls)} polls; |on + runnable + blocked - wall| of {seconds} s: median "
                 f"{quantile(errors, 0.5) / US:.0f} us, worst {quantile(errors, 1) / US:.0f} us; {capture.verdict}, losses {capture.losses}{taken(steal)}")
    if len(errors) < 4 or len(capture.polls) < 20:
        wrong.append("too little to compare")
    return wrong, notes


# ---- perf ----


def perf_switches(path):
    """{tid: [(ts, 'IN' or 'OUT')]}"""
    text = subprocess.run(["perf", "script", "-i", path, "--show-switch-events", "--ns", "-F", "tid,time,event"], check=True,
                          capture_output=True, text=True).stdout
    found = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 4 and fields[2] == "PERF_RECORD_SWITCH":
            whole, part = fields[1].rstrip(":").split(".")
            found.setdefault(int(fields[0]), []).append((int(whole) * 1_000_000_000 + int(part), fields[3]))
    return found


def perf(ascope, folder, seconds):
    """Every switch that perf saw is ours, and the other way round, in the same order."""
    path, data = folder / "capture.ascope", folder / "perf.data"
    with locked(os.environ.get("ASCOPE_LOCK")), Fixture(fixture_command("mutex", folder, seconds), folder) as fixture:
        with recording(ascope, fixture.pid, path):
            done = subprocess.run(["perf", "record", "-e", "dummy", "--switch-events", "-k", "CLOCK_MONOTONIC", "-p", str(fixture.pid), "-o", data,
                                   "--", "sleep", str(seconds)], capture_output=True, text=True, check=False)
        fixture.leave()
    if done.returncode != 0:
        raise Failed(f"perf record: {done.stderr[-500:]}")
    capture, theirs = Capture(ascope, path), perf_switches(data)
    wrong, outs, ins, intervals = [], [], [], []
    missing = 0
    for tid, events in sorted(theirs.items()):
        ours = [(row["ts"], "OUT") for row in capture.off.get(tid, [])]
        ours += [(end_of(row), "IN") for row in capture.off.get(tid, []) if row["dur"] is not None]
        # perf attaches to one thread after the other: what each of its threads' events span is what it saw
        if events[0][1] == "IN":
            events = events[1:]  # an interval begins with an OUT: a new thread's first IN ends none
        if not events:
            continue
        low, high = events[0][0] - LATE // 2, events[-1][0] + LATE // 2
        ours = sorted(event for event in ours if low <= event[0] <= high)
        ours = ours[1:] if ours and ours[0][1] == "IN" else ours
        mine, his = [kind for _, kind in ours], [kind for _, kind in events]
        lost = abs(len(mine) - len(his))
        missing += lost
        if mine != his:
            if lost <= 2 * capture.lost and capture.lost:
                continue  # counted
            wrong.append(f"tid {tid}: perf has {len(his)} switches, ascope {len(mine)}{first_difference(ours, events)}")
            continue
        begun = None
        for (our_ts, kind), (their_ts, _) in zip(ours, events):
            (outs if kind == "OUT" else ins).append(our_ts - their_ts)
            if abs(our_ts - their_ts) > LATE:
                wrong.append(f"tid {tid}: {kind} at {our_ts}, perf {their_ts}: {(our_ts - their_ts) / US:.0f} us apart")
            if kind == "OUT":
                begun = our_ts, their_ts
            elif begun:
                intervals.append((our_ts - begun[0]) - (their_ts - begun[1]))
    notes = [f"{len(theirs)} threads; {missing} switches missing; {capture.verdict}, losses {capture.losses}"]
    for what, values in [("out", outs), ("in", ins), ("interval", intervals)]:
        values.sort()
        shown = ", ".join(f"{name} {quantile(values, q) / US:.1f}" for name, q in [("least", 0), ("1 %", .01), ("median", .5), ("99 %", .99), ("most", 1)])
        notes.append(f"ascope - perf, {what}: {len(values)} compared, us: {shown}")
    if len(intervals) < 200:
        wrong.append(f"too little to compare: {len(intervals)} intervals")
    elif not all(abs(quantile(values, 0.5)) <= 20 * US for values in (outs, ins, intervals)):
        wrong.append("the medians are not within 20 us")
    elif quantile(sorted(map(abs, intervals)), 0.99) > 200 * US:
        wrong.append("more than one interval in a hundred differs by more than 200 us")
    return wrong, notes


def first_difference(ours, theirs):
    for index, (mine, his) in enumerate(zip(ours, theirs)):
        if mine[1] != his[1]:
            return f"; number {index} is {mine} here, {his} there"
    return ""


# ---- Tokio's hooks ----


def build_hooks():
    target = OUT / "fixtures-unstable"
    env = {**os.environ, "CARGO_TARGET_DIR": str(target), "RUSTFLAGS": "--cfg tokio_unstable"}
    if shutil.which("cargo"):
        subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "-p", "hooks"], cwd=ROOT / "fixtures", check=True, env=env)
    return target / "release/hooks"


def hooks(ascope, folder, seconds):
    """One to one, by thread, task and time."""
    program = build_hooks()
    wrong, notes = [], []
    for flavor in ("multi_thread", "current_thread"):
        (folder / flavor).mkdir()
        more_wrong, more_notes = hooks_of(ascope, program, folder / flavor, seconds, flavor)
        wrong += [f"{flavor}: {text}" for text in more_wrong]
        notes += [f"{flavor}: {text}" for text in more_notes]
    return wrong, notes


def hooks_of(ascope, program, folder, seconds, flavor):
    path, log = folder / "capture.ascope", folder / "polls"
    with locked(os.environ.get("ASCOPE_LOCK")), Fixture([program, log, str(seconds + 2), flavor], folder) as fixture:
        steal = stolen()
        ascope.run("record", "-q", "-p", fixture.pid, "-o", path, "--duration", seconds)
        steal = stolen() - steal
        if fixture.process.wait(30) != 0:
            raise Failed(f"the fixture failed: {fixture.error_text()}")
    capture = Capture(ascope, path)
    if capture.tick_from is None:
        return ["the tick was not proven"], []
    found = ascope.query(path, "SELECT DISTINCT found_by FROM runtime")
    if found != [{"found_by": "symbol+scan"}]:
        return [f"the runtime was found by {found}"], []
    judged = JudgedByHooks(capture)
    for poll in map(json.loads, log.read_text(encoding="utf-8").splitlines()):
        judged.add(poll)
    return judged.outcome(flavor, steal)


class JudgedByHooks:
    """
    A capture's polls against those of the hooks. The host of a virtual machine can take the cpu away, which the thread's cpu clock leaves out like a wait:
    no witness in the machine tells the two apart by time. But a poll without a voluntary context switch waited for nothing, however long it looks off
    the cpu; and of the others, what the hooks have more than the capture must for no thread add up to more than what was stolen while it was recorded.
    """

    def __init__(self, capture):
        self.capture, self.rows = capture, {}
        for row in capture.polls:
            if row["off_cpu"]:
                self.rows.setdefault(row["tid"], []).append(row)
        self.used, self.errors, self.wrong = set(), [], []
        self.beyond = {}  # tid -> [(ns, text)] of polls that the hooks saw off the cpu for longer
        self.awake = []  # ns that polls which never slept look off the cpu

    def add(self, poll):
        around = [row for row in self.rows.get(poll["tid"], []) if row["ts"] < poll["t1"] and poll["t0"] < row["ts"] + row["dur"]]
        self.used.update(row["id"] for row in around)
        cut = not self.capture.tick_from <= poll["t0"] <= poll["t1"] <= self.capture.end - 2 * TICK  # by the capture, or before ticks could be read
        if cut or any(row["state"] != "complete" for row in around):
            return
        off = poll["t1"] - poll["t0"] - poll["cpu_ns"] - poll["run_delay_ns"]
        mine = [row for row in around if row["off_cpu"] >= MS]
        text = f"poll of task {poll['task']} at {poll['t0']} tid {poll['tid']}, {(poll['t1'] - poll['t0']) / MS:.3f} ms, {off / MS:.3f} off the cpu"
        if not poll["sleeps"]:
            if mine:
                self.wrong.append(f"it never went off the cpu by itself, but has {mine}: {text}")
            elif off >= MS:
                self.awake.append(off)
        elif len(mine) > 1:
            self.wrong.append(f"{len(mine)} rows, should be 1: {text}: {mine}")
        elif mine or off >= MS + MARGIN:  # else too short to tell
            # what is less than a millisecond here may be a little more to the hooks
            mine = mine or [row for row in around if row["task_id"] == poll["task"]]
            self.compare(poll, off, max(mine, key=lambda row: row["off_cpu"], default=None), text)

    def compare(self, poll, off, row, text):
        if row and row["task_id"] != poll["task"]:
            self.wrong.append(f"task {row['task_id']}: {text}")
        if row and (row["ts"] < poll["t0"] - EDGE or row["ts"] + row["dur"] > poll["t1"] + EDGE):
            self.wrong.append(f"a row from {row['ts']} for {row['dur'] / MS:.3f} ms reaches beyond it: {text}")
        ours = row["off_cpu"] if row else 0
        text = f"{ours / MS:.3f} ms off the cpu{'' if row else ', having no row'}: {text}"
        # the clocks are read one after the other: what the thread waited for a cpu between two of them is in run_delay_ns, but not in t0 to t1
        self.errors.append(max(off - ours, ours - off - poll["run_delay_ns"], 0))
        if ours - off - poll["run_delay_ns"] > MS:
            self.wrong.append(text)
        elif off - ours > MS:
            self.beyond.setdefault(poll["tid"], []).append((off - ours, text))

    def outcome(self, flavor, steal):
        """(what is wrong, what there is to say)"""
        wrong, compared = self.wrong, len(self.errors)
        false = [row for of_thread in self.rows.values() for row in of_thread
                 if row["off_cpu"] >= MS and row["id"] not in self.used and row["task_id"] is not None and row["ts"] >= self.capture.tick_from]
        wrong += [f"Tokio polled nothing then: {row}" for row in false]
        self.errors.sort()
        notes = [f"{compared} polls of 1 ms and more off the cpu; |off cpu - Tokio's|: median {quantile(self.errors, 0.5) / US:.0f} us, "
                 f"99 % {quantile(self.errors, 0.99) / US:.0f}, worst {quantile(self.errors, 1) / US:.0f} us; {self.capture.verdict}, losses {self.capture.losses}"]
        told = []
        for tid, polls in self.beyond.items():
            beyond = sum(length for length, _ in polls)
            if beyond > steal + STEAL_READING:
                wrong += [f"{beyond / MS:.1f} ms of tid {tid} are more than the host took, {steal / MS:.0f} ms: {text}" for _, text in polls]
            else:
                told += [f"the host took the cpu: {text}" for _, text in polls]
        notes += told[:10] + ([f"and {len(told) - 10} more polls"] if len(told) > 10 else [])
        if self.awake or steal:
            notes.append(f"the host took {steal / MS:.0f} ms; {len(self.awake)} polls that never slept look off the cpu for {sum(self.awake) / MS:.1f} ms")
        if compared < 100:
            wrong.append(f"too little to compare: {compared} polls")
        return wrong, notes


ORACLES = {"counters": counters, "conservation": conservation, "perf": perf, "hooks": hooks}


def test_of(name, oracle, seconds):
    """As tap.py has it: what is to say is returned, or comes before what is wrong."""
    def test(work):
        if name == "perf" and not shutil.which("perf"):
            raise Skip("no perf")
        if name == "hooks" and not shutil.which("cargo") and not (OUT / "fixtures-unstable/release/hooks").exists():
            raise Skip("no cargo to build the fixture")
        try:
            wrong, notes = oracle(Ascope(ASCOPE), pathlib.Path(work), seconds)
        except Failed as error:
            raise Failure(str(error)) from None
        check(not wrong, "\n".join([*notes, *wrong[:30]] + ([f"and {len(wrong) - 30} more"] if len(wrong) > 30 else [])))
        return "\n".join(notes)

    return test


def main(argv):
    parser = argparse.ArgumentParser(description="Compare captures with independent witnesses.")
    parser.add_argument("name", nargs="*", help=", ".join(ORACLES))
    parser.add_argument("--seconds", type=int, default=5)
    args = parser.parse_args(argv)
    tests = {name: test_of(name, oracle, args.seconds) for name, oracle in ORACLES.items()}
    return tap.main(tap.Suite("oracle", tests, programs=(SCENARIOS,)), args.name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
