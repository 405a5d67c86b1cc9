#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""SIGKILL of `ascope record` at random moments, 0.2 to 3 s after its first block: everything older than 1 s must be readable, complete, and have its names.

    record_kill.py [--kills N] [--first K]        prints TAP; exit 1 when a kill fails

Kill number k is drawn from k alone, so that one that failed can be repeated: --first K --kills 1. Default: 10 kills, from number 1 on.

Three witnesses that ascope has no part in say what "everything" is, for the time until 1 s before the kill:
  - the kernel's count of how often each thread was given a cpu (third number of /proc/PID/task/TID/schedstat), read every 50 ms: between two readings the
    capture must have exactly as many switch-ins, but for those that the capture itself says the kernel did not report (`unpaired`);
  - the program's own log of its blocking calls (fixtures/truth): each that took 10 ms must be a row of the blocking report under its function's name;
  - /proc/PID/task/TID/comm: each thread must have its name.
"""
import argparse
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "live"))
import score  # noqa: E402
import tap  # noqa: E402
from recording import SCENARIOS, Capture, Program, Recorder  # noqa: E402
from tap import ASCOPE, Failure, check  # noqa: E402

MS = score.MS
SECOND = 1_000_000_000
WARM_UP = 50 * MS  # attaching takes a moment: what began before is the attach tests' business
HEADER = 64  # bytes of a capture before its first block


def now():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def read(path):
    try:
        return pathlib.Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


class Witness:
    """How often each thread was given a cpu, and what it is called, as the kernel says."""

    def __init__(self, pid):
        self.pid = pid
        self.readings = {}  # tid: [(clock before, count, clock behind)]
        self.names = {}

    def look(self):
        for tid in os.listdir(f"/proc/{self.pid}/task"):
            before = now()
            fields = read(f"/proc/{self.pid}/task/{tid}/schedstat").split()
            behind = now()
            if len(fields) == 3:
                self.readings.setdefault(int(tid), []).append((before, int(fields[2]), behind))
                self.names[int(tid)] = read(f"/proc/{self.pid}/task/{tid}/comm").strip()

    def spans(self, begin, end):
        """tid, first and last reading inside of begin..end."""
        for tid, readings in self.readings.items():
            inside = [r for r in readings if begin <= r[0] and r[2] <= end]
            if len(inside) > 1:
                yield tid, inside[0], inside[-1]


def record_and_kill(work, pid, delay):
    """The witness and the instant of the kill."""
    file = pathlib.Path(work) / "capture.ascope"
    for old in (file, file.with_name(file.name + ".db")):
        old.unlink(missing_ok=True)
    with Recorder(work, "-p", pid) as r:
        end = time.monotonic() + 20
        while not file.exists() or file.stat().st_size <= HEADER:
            check(r.process.poll() is None and time.monotonic() < end, f"did not begin: {r.err.read_text()}")
            time.sleep(0.005)
        witness = Witness(pid)
        end = time.monotonic() + delay
        while time.monotonic() < end:
            witness.look()
            time.sleep(min(0.05, max(0, end - time.monotonic())))
        killed = now()
        r.process.send_signal(signal.SIGKILL)
        r.process.wait()
    return witness, killed


def compare_counts(capture, witness, begin, end):
    """Sum of the switch-ins compared."""
    missing = sum(row["count"] for row in capture.query("SELECT count FROM loss WHERE cause = 'unpaired'"))
    ins = {}
    for row in capture.query("SELECT t.tid, o.ts + o.dur AS ts FROM offcpu AS o JOIN thread AS t ON t.id = o.thread_id WHERE o.dur IS NOT NULL"):
        ins.setdefault(row["tid"], []).append(row["ts"])
    total = 0
    for tid, first, last in witness.spans(begin, end):
        counted = last[1] - first[1]
        least = sum(first[2] < ts < last[0] for ts in ins.get(tid, []))
        most = sum(first[0] <= ts <= last[2] for ts in ins.get(tid, []))
        check(least <= counted, f"thread {tid}: {least} switch-ins, the kernel counted {counted}")
        short = max(0, counted - most)
        check(short <= missing, f"thread {tid}: {most} switch-ins, the kernel counted {counted}, and {missing} are known to be missing")
        missing -= short
        total += counted
    return total


def compare_truth(capture, truth, begin, end):
    """How many of the program's own entries were compared."""
    rows = capture.query("SELECT tid, ts, dur, function FROM blocking")
    n = 0
    for entry in score.read_truth(truth):
        if entry.t0 < begin or entry.t1 > end or score.expect(entry, score.Rules()) != "must":
            continue
        found = [r for r in rows if r["tid"] == entry.tid and r["ts"] < entry.t1 and r["ts"] + r["dur"] > entry.t0]
        check(found, f"nothing of {entry}")
        check(any(score.own_name(r["function"] or "") == entry.function for r in found), f"{entry}: should be its name: {found}")
        n += 1
    return n


def one(work, pid, truth, number):
    """Kills once; (ms between the last event and the kill, switch-ins, entries compared, bytes that stay set aside)."""
    delay = random.Random(number).uniform(0.2, 3)
    witness, killed = record_and_kill(work, pid, delay)
    info = subprocess.run([str(ASCOPE), "info", f"{work}/capture.ascope"], capture_output=True, text=True, timeout=60, check=False)
    check(info.returncode == 3, f"info: exit code {info.returncode}: {info.stdout}{info.stderr}")
    capture = Capture(work)
    (about,) = capture.query("SELECT ts_start, ts_end, verdict, verdict_why FROM capture")
    check(about["verdict"] == "partial" and "not closed" in about["verdict_why"], f"verdict: {about}")
    st = os.stat(f"{work}/capture.ascope")
    beyond = st.st_blocks * 512 - st.st_size
    age = killed - about["ts_end"]
    check(age <= SECOND, f"the last event is {age / MS:.0f} ms older than the kill")
    names = {row["tid"]: row["name"] for row in capture.query("SELECT tid, name FROM thread")}
    for tid, name in witness.names.items():
        check(names.get(tid) == name, f"thread {tid} is {name}, not {names.get(tid)}")
    begin, end = about["ts_start"] + WARM_UP, killed - SECOND
    if end <= begin:
        return age / MS, 0, 0, beyond
    return age / MS, compare_counts(capture, witness, begin, end), compare_truth(capture, truth, begin, end), beyond


class Kills:
    def __init__(self, first, n):
        self.first, self.n = first, n

    def test(self, work):
        truth = f"{work}/truth"
        ages, switches, entries, beyond = [], 0, 0, 0
        with Program(work, [str(SCENARIOS), "tasks", "--seconds", "3600"], env={**os.environ, "ASCOPE_TRUTH": truth}) as p:
            p.await_line(r"^(ready)")
            for number in range(self.first, self.first + self.n):
                try:
                    age, s, e, b = one(work, p.process.pid, truth, number)
                except Failure as failure:
                    raise Failure(f"kill number {number}, {len(ages)} were good before: {failure}") from None
                ages.append(age)
                beyond = max(beyond, b)
                switches += s
                entries += e
                check(p.process.poll() is None, f"kill number {number}: the program ended")
        return (f"{len(ages)} of {self.n} kills; last event before the kill: at most {max(ages):.0f} ms; compared {switches} switch-ins, "
                f"{entries} blocking calls; stays set aside behind the file: at most {beyond / 1048576:.1f} MiB")


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--kills", type=int, default=10)
    args.add_argument("--first", type=int, default=1)
    args = args.parse_args()
    kills = Kills(args.first, args.kills)

    def killed_at_random_moments(work):
        return kills.test(work)

    return tap.main(tap.Suite("record:", tap.named([killed_at_random_moments]), tap.title_in_words, (SCENARIOS,)), [])


if __name__ == "__main__":
    sys.exit(main())
