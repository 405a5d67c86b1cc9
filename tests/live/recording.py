# SPDX-License-Identifier: MIT OR Apache-2.0
"""Programs under test, recordings of them, and what the recordings hold. Used by all live tests in Python."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import score
from tap import ASCOPE, TARGET, Failure, check, stalls

RELEASE = TARGET / "release"
SCENARIOS = RELEASE / "scenarios"
HELD = RELEASE / "held"
WAIT = 20  # seconds: no step takes longer unless something is wrong
HEADER_SIZE = 64  # FMT_HEADER_SIZE of format/fmt_def.h
CLOCK_NANOSLEEP = "230"  # on x86-64


class Program:
    """A started program whose output is read line by line."""

    def __init__(self, work, argv, **how):
        self.argv = [str(arg) for arg in argv]
        self.out = pathlib.Path(work) / f"program{len(list(pathlib.Path(work).iterdir()))}.out"
        self.err = self.out.with_suffix(".err")
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, **how)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def said(self, pattern):
        return re.findall(pattern, self.out.read_text(errors="replace"), re.MULTILINE)

    def await_line(self, pattern):
        """First group of the pattern, once the program has printed it."""
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            found = self.said(pattern)
            if found:
                return found[0]
            check(self.process.poll() is None or self.said(pattern), f"{self.argv} ended without '{pattern}': {self.err.read_text()[:2000]}")
            time.sleep(0.01)
        raise Failure(f"{self.argv} did not say '{pattern}' within {WAIT} s")

    def signal(self, number):
        self.process.send_signal(number)

    def finish(self, codes=(0,)):
        try:
            code = self.process.wait(WAIT)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.argv} did not end within {WAIT} s") from None
        check(code in codes, f"{self.argv}: exit code {code}: {self.err.read_text()[:4000]}")


class Fixture(Program):
    """A scenario that runs until it is told to leave, with its truth log, which is whole only then."""

    def __init__(self, work, scenario, program=SCENARIOS, prefix=(), **how):
        self.truth = f"{work}/truth"
        argv = [*prefix, program, scenario, "--seconds", "120", "--dir", work]
        super().__init__(work, argv, env={**os.environ, "ASCOPE_TRUTH": self.truth}, **how)
        try:
            self.await_line(r"^(ready)")
        except BaseException:
            self.__exit__()
            raise

    def leave(self):
        self.signal(signal.SIGTERM)
        self.finish()


class Held(Program):
    """fixtures/held: every worker is inside one poll until it is told; then some short blocks; then one poll again until it is told."""

    WORKERS = 2

    def __init__(self, work, how, **more):
        self.how, self.truth = how, f"{work}/truth"
        super().__init__(work, [HELD, how, 9], env={**os.environ, "ASCOPE_TRUTH": self.truth}, **more)

    def await_inside(self, word):
        """`ready`: the first polls; `last`: the last ones. Who sleeps is in the system call, too."""
        self.await_line(rf"^({word})")
        end = time.monotonic() + WAIT
        while self.how == "sleep" and len(asleep(self.pid)) < self.WORKERS:
            check(time.monotonic() < end, "the workers do not sleep")
            time.sleep(0.005)

    def go_on(self):
        self.signal(signal.SIGUSR1)


def is_asleep(pid, tid):
    """A worker, in its sleep; whether it is stopped there does not matter. Between polls workers are in futex and epoll."""
    task = pathlib.Path(f"/proc/{pid}/task/{tid}")
    try:
        return (task / "comm").read_text().startswith("tokio-") and (task / "syscall").read_text().startswith(CLOCK_NANOSLEEP + " ")
    except OSError:
        return False  # it has ended


def asleep(pid):
    return {int(tid) for tid in os.listdir(f"/proc/{pid}/task") if is_asleep(pid, tid)}


class Capture:
    """What WORK/capture.ascope holds."""

    def __init__(self, work, *args):
        self.path, self.args = f"{work}/capture.ascope", args

    def run(self, command, *args):
        argv = [str(ASCOPE), command, self.path, *args]
        run = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        check(run.returncode in (0, 3), f"{argv}: exit code {run.returncode}: {run.stderr[:2000]}")
        return run.stdout

    def query(self, sql):
        """Rows as objects."""
        return json.loads(self.run("query", sql, "--json", *self.args))

    def value(self, sql):
        (row,) = self.query(sql)
        (value,) = row.values()
        return value

    def report(self, *args):
        return self.run("report", *args)

    def rows(self):
        return self.query("SELECT * FROM blocking ORDER BY ts")

    def window(self):
        (row,) = self.query("SELECT ts_start, ts_end FROM capture")
        return row["ts_start"], row["ts_end"]

    def stacks(self, where="1"):
        """id -> its row of table stack, with `frames`: innermost first, inlined functions as frames of their own."""
        stacks = {row["id"]: {**row, "frames": []} for row in self.query(f"SELECT * FROM stack WHERE {where}")}
        for row in self.query(f"SELECT * FROM stack_text WHERE stack_id IN (SELECT id FROM stack WHERE {where}) "
                              "ORDER BY stack_id, depth, inline_depth"):
            stacks[row["stack_id"]]["frames"].append(row)
        return stacks

    def waits(self):
        """Switch-outs that were no preemption, with thread and stacks, in order."""
        return self.query("SELECT o.ts, o.dur, o.stack_id, o.kstack_id, o.syscall, t.tid, t.name AS thread, p.pid, p.id AS process_id, "
                          "s.status, s.depth, s.fp_from FROM offcpu AS o JOIN thread AS t ON t.id = o.thread_id "
                          "JOIN process AS p ON p.id = t.process_id LEFT JOIN stack AS s ON s.id = o.stack_id "
                          "WHERE o.state IN ('S', 'D') ORDER BY o.ts")

    def ends(self):
        """How user stacks ended: status -> events."""
        return {row["status"]: row["n"]
                for row in self.query("SELECT status, sum(events) AS n FROM stack_end GROUP BY status ORDER BY 2 DESC")}


class Recorder(Program):
    """`ascope record` into WORK/capture.ascope. What it ends with besides 0: 3, it lost events."""

    def __init__(self, work, *args):
        self.capture = Capture(work)
        pathlib.Path(self.capture.path).unlink(missing_ok=True)
        super().__init__(work, [ASCOPE, "record", "--force", "-o", self.capture.path, *args])

    def await_begun(self):
        """Everything is attached: the first block is written then. What was before it in the file is its header."""
        capture = pathlib.Path(self.capture.path)
        end = time.monotonic() + WAIT
        while not capture.exists() or capture.stat().st_size <= HEADER_SIZE:
            check(self.process.poll() is None, f"{self.argv} ended at once: {self.err.read_text()[:2000]}")
            check(time.monotonic() < end, f"{self.argv} did not begin within {WAIT} s")
            time.sleep(0.01)

    def stop(self, codes=(0, 3)):
        self.signal(signal.SIGINT)
        self.finish(codes)

    def finish(self, codes=(0, 3)):
        super().finish(codes)


def record(work, pid, seconds, *args):
    """A recording of a program that runs, for that long."""
    with Recorder(work, "--duration", seconds, *args, "-p", pid) as r:
        r.finish()
    return r.capture


def record_while(work, pid, do, *args):
    """A recording that begins before `do` does, and ends when it has: its length is whatever that takes."""
    with Recorder(work, *args, "-p", pid) as r:
        r.await_begun()
        do()
        r.stop()
    return r.capture


def agree(name, capture, truths, min_must, within=False):
    """The capture's rows agree with the truth logs; returns the score's line."""
    entries = [entry for path in truths for entry in score.read_truth(path)]
    window = capture.window()
    proven = score.proven_from(capture.query("SELECT tick_from FROM runtime"), window)
    result = score.score(name, entries, capture.rows(), window, score.Rules(within=within, proven=proven, stalls=stalls()))
    # which poll is whose is what is tested here; the length of one that queued for a cpu depends on who else is on this machine
    result.wrong["duration"] = [text for text in result.wrong["duration"] if float(re.search(r"run delay ([0-9.]+) ms", text)[1]) < 1]
    check(result.agrees(), "\n".join([result.line(), *result.details()]))
    check(result.must >= min_must, f"too little truth: {result.line()}")
    return result.line()
