#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Live tests of what never counts as blocking: threads that are stopped, traced, frozen, dying, preempted or out of quota.

    states.py [all | NAME...]    prints TAP, one test per state; exit 1 when one fails

Each test records a fixture (fixtures/scenarios), interrupts it while one of its polls sleeps, and compares the capture with
the fixture's truth log: polls that nobody interrupted by the rules of score.py, the others by the rule that a stop is a part
of the poll that is in no length. When and how long a thread was stopped is taken from the capture, never from a clock here.

Needs root and /sys/kernel/btf/vmlinux; without them, or without what a test is about, it is skipped and counted.
Environment: ASCOPE the program under test (out/ascope); CARGO_TARGET_DIR of the fixtures; KEEP=1 leaves each test's folder.
"""
import ctypes
import itertools
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # leaves no __pycache__ among the sources
import recording as recordings  # noqa: E402  # pylint: disable=wrong-import-position
import score  # noqa: E402  # pylint: disable=wrong-import-position
import tap  # noqa: E402  # pylint: disable=wrong-import-position
from recording import HELD, SCENARIOS, WAIT, Held, asleep, is_asleep  # noqa: E402  # pylint: disable=wrong-import-position
from tap import Failure, Skip, check, stalls  # noqa: E402  # pylint: disable=wrong-import-position

MS = 1_000_000


def read(path):
    return pathlib.Path(path).read_text(encoding="utf-8")


def write(path, text):
    pathlib.Path(path).write_text(text, encoding="utf-8")


# ---- programs ----

class Fixture(recordings.Fixture):
    """Whose sleepers can be asked about."""

    def sleeper(self):
        """The worker that has just begun to sleep in a poll."""
        before = asleep(self.pid)
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            now = asleep(self.pid)
            if new := now - before:
                return new.pop()
            before = now
            time.sleep(0.001)
        raise Failure("no thread of the fixture went to sleep")

    def await_stopped(self, tid):
        """A signal's way takes a moment, and one that is taken back before is none."""
        end = time.monotonic() + WAIT
        while read(f"/proc/{self.pid}/task/{tid}/stat").rsplit(")", 1)[1].split()[0] != "T":
            check(time.monotonic() < end, f"thread {tid} does not stop")
            time.sleep(0.0005)


class Recording(recordings.Recorder):
    """From its first event to its end, after some seconds or when it is told to stop: one that lost nothing."""

    def __init__(self, work, pid, seconds=None):
        super().__init__(work, "-q", "-p", pid, *(["--duration", f"{seconds}s"] if seconds else []))
        self.query, self.value, self.report = self.capture.query, self.capture.value, self.capture.report
        try:
            self.await_begun()
        except BaseException:
            self.__exit__()
            raise

    def finish(self, codes=(0,)):
        super().finish(codes)

    def stop(self, codes=(0,)):
        super().stop(codes)


# ---- judging ----

def spans_of_stops(recording):
    """tid -> [(from, to)] in which the thread was stopped."""
    rows = recording.query("SELECT t.tid, o.ts, coalesce(o.ts_waking, o.ts + o.dur, c.ts_end) AS ts_end FROM offcpu AS o "
                           "JOIN thread AS t ON t.id = o.thread_id, capture AS c WHERE o.state IN ('T', 't')")
    spans = {}
    for row in rows:
        spans.setdefault(row["tid"], []).append((row["ts"], row["ts_end"]))
    return spans


def within(spans, begin, end):
    return sum(max(0, min(end, to) - max(begin, frm)) for frm, to in spans)


def judge(name, recording, fixture, stops_are_exact=True):
    """Rows against truth. Returns (rows that were interrupted, score of the rest). A stop that is not exact took a part of a poll that is not known."""
    entries = score.read_truth(fixture.truth)
    rows = recording.query("SELECT * FROM blocking")
    (window,) = recording.query("SELECT ts_start, ts_end FROM capture")
    spans = spans_of_stops(recording)
    stopped = {id(entry): within(spans.get(entry.tid, []), entry.t0, entry.t1) for entry in entries}
    cut = [entry for entry in entries if stopped[id(entry)]]
    inside = [entry for entry in cut if window["ts_start"] <= entry.t0 and entry.t1 <= window["ts_end"]]
    touched = []
    for entry in cut:
        mine = [row for row in rows if row["tid"] == entry.tid and row["ts"] < entry.t1 and entry.t0 < row["ts"] + row["dur"] + row["stopped"]]
        for row in mine:
            rows.remove(row)
        if entry in inside:
            touched += mine
            judge_interrupted(entry, mine, stopped[id(entry)], stops_are_exact)
    result = score.score(name, [entry for entry in entries if not stopped[id(entry)]], rows,
                         (window["ts_start"], window["ts_end"]), score.Rules(stalls=stalls()))
    check(result.agrees(), "\n".join([result.line(), *result.details()]))
    return touched, result, inside


def judge_interrupted(entry, rows, stopped, stops_are_exact):
    own = entry.length - stopped
    check(len(rows) <= 1, f"{len(rows)} rows of one poll: {entry}")
    for row in rows:
        parts = f"dur {row['dur'] / MS:.3f} stopped {row['stopped'] / MS:.3f} of which {stopped / MS:.3f} here: {entry}"
        check(row["off_cpu"] + row["on_cpu"] + row["runnable"] == row["dur"], f"parts do not add up: {parts}")
        check(row["dur"] <= own + score.TOLERANCE, f"a stop counts: {parts}")
        if not row["waits"] and not stops_are_exact:
            continue
        error = abs(row["dur"] + row["stopped"] - entry.length)
        check(error <= score.TOLERANCE + entry.run_delay_ns, f"wrong length: {parts}")
        # What is left of a wait that a stop cut short can be less than the cpu time around it: the larger part gives the class.
        right = (entry.classes, entry.syscall) if row["waits"] and row["off_cpu"] >= row["on_cpu"] else (["cpu"], [None])
        check(row["class"] in right[0] and row["syscall"] in right[1],
              f"{row['class']} ({row['syscall']}), should be {right}, with off_cpu {row['off_cpu']}, on_cpu {row['on_cpu']}: {parts}")
        waited = own - entry.run_delay_ns - entry.cpu_ns
        check(not stops_are_exact or row["off_cpu"] >= waited - score.TOLERANCE,
              f"off the cpu for {row['off_cpu'] / MS:.3f} ms, should be {waited / MS:.3f}: {parts}")
    must = stops_are_exact and own - entry.run_delay_ns >= score.THRESHOLD + score.TOLERANCE
    check(not must or rows, f"no row, though {own / MS:.2f} ms of it were no stop: {entry}")


def no_quota(recording):
    check(recording.value("SELECT count(*) FROM throttle") == 0, "throttled without a quota")
    check(recording.value("SELECT total(throttled) FROM poll") == 0, "polls throttled without a quota")


def interrupted(work, name, interrupt, times=4, stops_are_exact=True):
    """
    Records `sleep`, and calls interrupt(fixture, tid) each time that a poll has begun to sleep, until that many were still asleep when they were stopped,
    which interrupt() returns.
    """
    with Fixture(work, "sleep") as fixture, Recording(work, fixture.pid) as recording:
        time.sleep(0.5)
        done = 0
        for _ in range(5 * times):
            done += interrupt(fixture, fixture.sleeper())
            time.sleep(0.15)
            if done == times:
                break
        time.sleep(1)
        recording.stop()
        fixture.leave()
        check(done == times, f"of {5 * times} stops {done} came while the poll slept")
        touched, result, cut = judge(name, recording, fixture, stops_are_exact)
        no_quota(recording)
        check(len(cut) >= times, f"of {times} stops {len(cut)} fell into a poll of the recording")
        check(result.must >= 3, f"{result.must} other polls: too few")
        stops = recording.value("SELECT count(*) FROM poll WHERE stopped > 0")
        check(stops >= times, f"{stops} polls were stopped")
        return f"{len(cut)} interrupted polls, {len(touched)} rows of them; {result.line()}"


# ---- stopped, traced, frozen ----

def stop(work):
    """SIGSTOP and SIGCONT, for longer and for shorter than the sleeps take."""
    lengths = itertools.cycle([0.2, 0.005, 0.1, 0.3, 0.003, 0.25])

    def interrupt(fixture, tid):
        fixture.signal(signal.SIGSTOP)
        fixture.await_stopped(tid)
        time.sleep(next(lengths))
        was_asleep = is_asleep(fixture.pid, tid)
        fixture.signal(signal.SIGCONT)
        return was_asleep

    return interrupted(work, "stop", interrupt, times=6)


def gdb(work):
    """A debugger attaches, looks and goes."""
    if not shutil.which("gdb"):
        raise Skip("no gdb")
    with Fixture(work, "sleep") as fixture, Recording(work, fixture.pid) as recording:
        time.sleep(0.5)
        threads = len(os.listdir(f"/proc/{fixture.pid}/task"))
        for _ in range(2):
            subprocess.run(["gdb", "-nx", "-batch", "-p", str(fixture.pid), "-ex", "bt 1", "-ex", "detach"], stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=30)
        time.sleep(1.5)
        recording.stop()
        fixture.leave()
        _, result, cut = judge("gdb", recording, fixture)
        # by ptrace, or by the SIGSTOP with which gdb attaches: which comes first is up to both
        stopped = recording.value("SELECT count(*) FROM offcpu WHERE state IN ('t', 'T')")
        traced = recording.value("SELECT count(*) FROM offcpu WHERE state = 't'")
        check(stopped >= 2 * threads and traced, f"{stopped} stops by gdb of {threads} threads, {traced} by ptrace: should be two of each thread")
        check(result.must >= 3, f"{result.must} polls that gdb left alone: too few")
        return f"{stopped} stops, {len(cut)} interrupted polls; {result.line()}"


def traced(work):
    """One thread alone is stopped, by ptrace(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_ulong, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_void_p]
    seize, interrupt_it, detach, wall = 0x4206, 0x4207, 17, 0x40000000

    def ptrace(request, tid):
        if libc.ptrace(request, tid, None, None) < 0:
            raise Skip(f"ptrace: {os.strerror(ctypes.get_errno())}")

    def interrupt(fixture, tid):
        ptrace(seize, tid)
        ptrace(interrupt_it, tid)
        os.waitpid(tid, wall)
        time.sleep(0.15)
        was_asleep = is_asleep(fixture.pid, tid)
        ptrace(detach, tid)
        return was_asleep

    return interrupted(work, "traced", interrupt)


class Cgroup:
    """A cgroup below the root of a hierarchy; removed at the end, with what is in it moved out."""

    def __init__(self, hierarchy, *names):
        self.root = pathlib.Path(hierarchy)
        self.paths = []
        for name in names:
            self.paths.append((self.paths[-1] if self.paths else self.root) / name)

    def __enter__(self):
        for path in self.paths:
            path.mkdir()
        return self

    def __exit__(self, *_):
        for path in reversed(self.paths):
            for end in range(50):
                for pid in read(path / "cgroup.procs").split():
                    try:
                        write(self.root / "cgroup.procs", pid)
                    except OSError:
                        pass  # it has ended
                try:
                    path.rmdir()
                    break
                except OSError:
                    time.sleep(0.02 * (end > 0))

    def add(self, pid):
        write(self.paths[-1] / "cgroup.procs", str(pid))

    def set(self, name, value, depth=-1):
        write(self.paths[depth] / name, value)

    def get(self, name, depth=-1):
        return read(self.paths[depth] / name)


def hierarchies():
    """Where cgroup v2 is, and the v1 hierarchy of each controller."""
    found = {}
    for line in read("/proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind == "cgroup2":
            found.setdefault("v2", left.split(" ")[4])
        elif kind == "cgroup":
            for option in options.split(","):
                found.setdefault(option, left.split(" ")[4])
    return found


def frozen_v2(work):
    """cgroup.freeze: threads sleep in the kernel's freezer, in a state like any other."""
    root = hierarchies().get("v2")
    if not root:
        raise Skip("no cgroup v2")
    with Cgroup(root, f"ascope-states-{os.getpid()}") as group:
        if not (group.paths[0] / "cgroup.freeze").exists():
            raise Skip("no cgroup.freeze")

        def interrupt(fixture, tid):
            group.add(fixture.pid)
            group.set("cgroup.freeze", "1")
            time.sleep(0.15)
            was_asleep = is_asleep(fixture.pid, tid)
            group.set("cgroup.freeze", "0")
            return was_asleep

        return interrupted(work, "frozen_v2", interrupt)


def frozen_v1(work):
    """freezer.state: since 6.1 a sleeper is frozen where it sleeps, and how long it had slept before is not known."""
    root = hierarchies().get("freezer")
    if not root:
        raise Skip("no v1 freezer")
    with Cgroup(root, f"ascope-states-{os.getpid()}") as group:
        def interrupt(fixture, tid):
            group.add(fixture.pid)
            group.set("freezer.state", "FROZEN")
            time.sleep(0.15)
            was_asleep = is_asleep(fixture.pid, tid)
            group.set("freezer.state", "THAWED")
            return was_asleep

        return interrupted(work, "frozen_v1", interrupt, stops_are_exact=False)


def attach_while(work, name, hold, release):
    """The program is stopped already when recording begins, in the middle of a sleep, and goes on a second later."""
    with Fixture(work, "sleep") as fixture:
        tid = fixture.sleeper()
        hold(fixture)
        with Recording(work, fixture.pid, 4) as recording:
            time.sleep(1)
            release(fixture)
            recording.finish()
            fixture.leave()
            _, result, _ = judge(name, recording, fixture)
            held = recording.query("SELECT t.tid, o.ts, o.dur FROM offcpu AS o JOIN thread AS t ON t.id = o.thread_id "
                                   "WHERE o.state IN ('T', 't') AND o.ts <= (SELECT ts_start FROM capture)")
            check(any(row["tid"] == tid and row["dur"] > 500 * MS for row in held), f"thread {tid} was not seen stopped from the beginning: {held}")
            rows = recording.query("SELECT * FROM blocking WHERE state = 'open-start'")
            for row in rows:
                check(row["dur"] - row["runnable"] <= 81 * MS, f"a stop counts: {score.describe(row)}")
            check(result.must >= 3, f"{result.must} other polls: too few")
            return f"{len(held)} threads stopped at attach, {len(rows)} rows; {result.line()}"


def attached_stopped(work):
    """SIGSTOP before the recording, SIGCONT in it."""
    def hold(fixture):
        fixture.signal(signal.SIGSTOP)
        fixture.await_stopped(fixture.pid)

    return attach_while(work, "attached_stopped", hold, lambda fixture: fixture.signal(signal.SIGCONT))


def attached_frozen(work):
    """Frozen by cgroup v2 before the recording: the state of its threads is that of sleepers."""
    root = hierarchies().get("v2")
    if not root:
        raise Skip("no cgroup v2")
    with Cgroup(root, f"ascope-states-{os.getpid()}") as group:
        def hold(fixture):
            group.add(fixture.pid)
            group.set("cgroup.freeze", "1")

        return attach_while(work, "attached_frozen", hold, lambda _: group.set("cgroup.freeze", "0"))


# ---- the end ----

def ended(work, end_it, **how):
    """Short sleeps, and then sleeps that only the program's end ends, which end_it(program) brings: the recording, and what there is to say."""
    with Held(work, "sleep", **how) as program:
        program.await_inside("ready")
        with Recording(work, program.pid) as recording:
            program.go_on()
            program.await_inside("last")
            time.sleep(0.1)
            end_it(program)
            recording.finish()
            return recording, judge_end(recording, program)


def judge_end(recording, fixture):
    """No row lasts beyond its thread's end, or begins as another; the sleeps that death cut short are rows until then."""
    entries = score.read_truth(fixture.truth)
    (window,) = recording.query("SELECT ts_start, ts_end FROM capture")
    rows = recording.query("SELECT b.*, t.ts_end FROM blocking AS b JOIN thread AS t USING (tid) WHERE b.held >= 10000000")
    ends = [row for row in rows if not any(row["tid"] == e.tid and row["ts"] < e.t1 and e.t0 < row["ts"] + row["dur"] for e in entries)]
    check(len(ends) == Held.WORKERS, f"{len(ends)} rows that no entry tells of, should be {Held.WORKERS}: the sleeps that were cut short")
    dying = {row["tid"]: row["ts"] for row in recording.query(DYING)}
    for row in ends:
        check(row["class"] == "sleep" and row["syscall"] == "clock_nanosleep", f"{score.describe(row)}: only a sleep was cut short")
        check(row["ts_end"] is not None and row["ts"] + row["dur"] <= row["ts_end"], f"{score.describe(row)}: longer than its thread lived")
        check(row["ts"] + row["dur"] <= dying.get(row["tid"], row["ts_end"]), f"{score.describe(row)}: longer than until its thread began to die")
    window = (window["ts_start"], window["ts_end"])
    result = score.score("end", entries, [row for row in rows if row not in ends], window, score.Rules(stalls=stalls()))
    check(result.agrees(), "\n".join([result.line(), *result.details()]))
    check(result.must >= 2, f"{result.must} polls before the end: too few")
    return f"{len(ends)} cut short; {result.line()}"


# Threads that waited while they died, and since when.
DYING = """SELECT t.tid, min(o.ts) AS ts, count(*) AS n FROM offcpu AS o JOIN thread AS t ON t.id = o.thread_id
WHERE o.role = 'none' AND EXISTS (SELECT 1 FROM stack_text AS s WHERE s.stack_id = o.kstack_id
AND s.function IN ('coredump_task_exit', 'do_exit', 'vfs_coredump', 'do_coredump')) GROUP BY t.tid"""


def killed(work):
    """SIGKILL while polls sleep."""
    return ended(work, lambda program: program.signal(signal.SIGKILL))[1]


def core_dump(work):
    """SIGABRT: all threads wait until the core is written. Their polls ended where they began to die."""
    if read("/proc/sys/kernel/core_pattern").startswith("|"):
        raise Skip("core dumps go to a program here")
    def unlimited():
        resource.setrlimit(resource.RLIMIT_CORE, (1 << 30, 1 << 30))

    def abort(program):
        program.signal(signal.SIGABRT)
        program.process.wait(WAIT)
        if program.process.returncode != -signal.SIGABRT or not any("core" in name.name for name in pathlib.Path(work).iterdir()):
            raise Skip("no core was dumped")

    recording, said = ended(work, abort, cwd=work, preexec_fn=unlimited)
    dying = sum(row["n"] for row in recording.query(DYING))
    check(dying >= 1, "no thread was seen to wait while it died")
    return f"{dying} waits of the dying; {said}"


# ---- cpus ----

def contended(work):
    """Four busy threads for each CPU. What polls waited for a CPU is what the scheduler counted (schedstat), poll by poll."""
    with Fixture(work, "contended") as fixture, Recording(work, fixture.pid, 4) as recording:
        recording.finish()
        fixture.leave()
        entries = score.read_truth(fixture.truth)
        rows = recording.query("SELECT b.* FROM blocking AS b WHERE held >= 10000000")
        slow = [entry for entry in entries if entry.length - entry.run_delay_ns >= score.THRESHOLD]
        for row in rows:  # a hypervisor that takes the cpu away is neither waiting nor preemption to this kernel
            check(any(row["tid"] == e.tid and row["ts"] < e.t1 and e.t0 < row["ts"] + row["dur"] for e in slow), f"false: {score.describe(row)}")
        long = recording.value("SELECT count(*) FROM poll WHERE classified AND dur_min >= 10000000 AND off_cpu + on_cpu < 10000000")
        check(long >= 20, f"{long} polls took 10 ms or more: no contention")
        check(f"contention: {long:,} polls lasted" .replace(",", " ") in recording.report("--blocking").replace(",", " "), "the report does not count them")
        (window,) = recording.query("SELECT ts_start, ts_end FROM capture")
        entries = [e for e in entries if window["ts_start"] <= e.t0 and e.t1 <= window["ts_end"]]
        waits = {}
        for row in recording.query("SELECT t.tid, iif(o.state = 'R', o.ts, o.ts_waking) AS ts, o.ts + o.dur AS ts_end FROM offcpu AS o "
                                   "JOIN thread AS t ON t.id = o.thread_id WHERE o.dur IS NOT NULL AND (o.state = 'R' OR o.ts_waking IS NOT NULL)"):
            waits.setdefault(row["tid"], []).append((row["ts"], row["ts_end"]))
        pairs = [(e, within(waits.get(e.tid, []), e.t0, e.t1)) for e in entries]
        ours, theirs = sum(runnable for _, runnable in pairs), sum(e.run_delay_ns for e, _ in pairs)
        worst = max(abs(runnable - e.run_delay_ns) for e, runnable in pairs)
        check(len(pairs) >= 50, f"{len(pairs)} polls to compare")
        check(abs(ours - theirs) <= 0.03 * theirs, f"runnable {ours / MS:.1f} ms, run delay {theirs / MS:.1f} ms in {len(pairs)} polls")
        no_quota(recording)
        return (f"{long} polls of 10 ms or more, {len(rows)} rows; runnable {ours / MS:.1f} ms, schedstat {theirs / MS:.1f} ms "
                f"({(ours - theirs) / theirs * 100:+.2f} %) in {len(pairs)} polls, worst {worst / MS:.3f} ms")


def competitors(work):
    """Sleeps among busy programs of the same, a lower and the idle class: delays are told apart from sleeps."""
    other = []
    try:
        for prefix in ([], ["nice", "-n", "19"], ["chrt", "--idle", "0"]):
            if shutil.which((prefix or ["true"])[0]):
                other.append(subprocess.Popen([*prefix, str(SCENARIOS), "cooperative", "--seconds", "30"], stdin=subprocess.DEVNULL,
                                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        with Fixture(work, "sleep") as fixture, Recording(work, fixture.pid, 4) as recording:
            recording.finish()
            fixture.leave()
            _, result, _ = judge("competitors", recording, fixture)
            check(result.must >= 5, f"{result.must} polls: too few")
            return result.line()
    finally:
        for process in other:
            process.terminate()
        for process in other:
            process.wait()


def starved(work):
    """A program of the idle class among busy ones: its polls are preempted for hundreds of milliseconds."""
    if not shutil.which("chrt"):
        raise Skip("no chrt")
    other = subprocess.Popen([str(SCENARIOS), "contended", "--seconds", "30"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    try:
        with Fixture(work, "cooperative", prefix=["chrt", "--idle", "0"]) as fixture, Recording(work, fixture.pid, 4) as recording:
            recording.finish()
            fixture.process.kill()
            rows = recording.query("SELECT * FROM blocking WHERE held >= 10000000")
            check(not rows, "false: " + "; ".join(score.describe(row) for row in rows))
            longest = recording.value("SELECT max(runnable) FROM poll")
            check(longest and longest >= 20 * MS, f"the longest wait for a cpu was {longest} ns: not starved")
            return f"the longest wait for a cpu took {longest / MS:.1f} ms"
    finally:
        other.terminate()
        other.wait()


# ---- quota ----

def quota_group(*names):
    """A cgroup with 20 % of a cpu on its outermost level, whichever version has the controller."""
    found = hierarchies()
    names = [f"ascope-states-{os.getpid()}", *names]
    if "cpu" in found:
        return Cgroup(found["cpu"], *names), "v1"
    root = found.get("v2")
    if not root or "cpu" not in read(f"{root}/cgroup.controllers").split():
        raise Skip("no cpu controller")
    write(f"{root}/cgroup.subtree_control", "+cpu")
    return Cgroup(root, *names), "v2"


def give_quota(group, version):
    if version == "v1":
        group.set("cpu.cfs_period_us", "100000", 0)
        group.set("cpu.cfs_quota_us", "20000", 0)
    else:
        group.set("cpu.max", "20000 100000", 0)


def periods_of(group):
    for line in group.get("cpu.stat", 0).splitlines():
        if line.startswith("nr_throttled "):
            return int(line.split()[1])
    raise Failure("no nr_throttled in cpu.stat")


def judge_quota(recording, name):
    rows = recording.query("SELECT * FROM blocking WHERE held >= 10000000")
    check(not rows, "false: " + "; ".join(score.describe(row) for row in rows))
    (told,) = recording.query("SELECT count(*) AS n, total(periods) AS periods, total(dur) AS dur, min(cgroup) AS first, max(cgroup) AS last FROM throttle")
    check(told["n"] >= 5 and told["periods"] >= 5 and told["dur"] > 0, f"hardly throttled: {told}")
    check(told["first"] == told["last"] == name, f"another cgroup than {name}: {told}")
    (polls,) = recording.query("SELECT count(*) AS n, total(throttled) AS throttled FROM poll WHERE classified AND dur_min >= 10000000 "
                               "AND ts >= (SELECT min(ts) FROM throttle)")
    check(polls["n"] >= 10, f"{polls['n']} long polls")
    check(polls["throttled"] >= 0.9 * polls["n"], f"only {polls['throttled']} of {polls['n']} long polls say that they may have been throttled")
    check("maybe throttled" in recording.report("--blocking"), "the report does not say so")
    check(f"cgroup {name} ran out of it in" in recording.report("--summary"), "the summary does not name the cgroup")
    return f"{polls['n']} polls of 10 ms or more, {told['periods']:.0f} periods"


def quota(work):
    """A fifth of a cpu for the cgroup above the program's own: contention, and it says why it may be."""
    group, version = quota_group("inner")
    with group:
        give_quota(group, version)
        with Fixture(work, "cooperative") as fixture:
            group.add(fixture.pid)
            time.sleep(0.3)
            before = periods_of(group)
            with Recording(work, fixture.pid, 4) as recording:
                recording.finish()
                counted = periods_of(group) - before
                fixture.process.kill()
                said = judge_quota(recording, f"/{group.paths[0].name}")
                where = recording.value("SELECT cgroup FROM process")
                check(where == f"/{group.paths[0].name}/inner", f"the process is in {where}")
                periods = recording.value("SELECT total(periods) FROM throttle")
                check(counted - 10 <= periods <= counted, f"{periods} periods, the kernel counted {counted} from a second before it")
                return f"{said} of {counted} ({version})"


def quota_moved(work):
    """The program is put into such a cgroup while it is recorded; so is a wait that is no throttling."""
    group, version = quota_group()
    with group:
        give_quota(group, version)
        with Fixture(work, "cooperative") as fixture, Recording(work, fixture.pid, 4) as recording:
            time.sleep(1)
            group.add(fixture.pid)
            recording.finish()
            fixture.process.kill()
            said = judge_quota(recording, f"/{group.paths[0].name}")
            early = recording.value("SELECT total(throttled) FROM poll WHERE ts + dur < (SELECT min(ts) FROM throttle) - 1000000000")
            check(early == 0, f"{early} polls were throttled before there was a quota")
            return said


TESTS = tap.named([stop, traced, gdb, frozen_v2, frozen_v1, attached_stopped, attached_frozen, killed, core_dump, contended, competitors, starved, quota,
                   quota_moved])

if __name__ == "__main__":
    sys.exit(tap.main(tap.Suite("states", TESTS, programs=(SCENARIOS, HELD)), sys.argv[1:]))
