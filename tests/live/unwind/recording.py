# SPDX-License-Identifier: MIT OR Apache-2.0
"""Programs under test, recordings of them, and what the recordings hold. Used by the tests beside this file."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
ASCOPE = pathlib.Path(os.environ.get("ASCOPE", ROOT / "out/ascope")).resolve()
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "out/fixtures")).resolve()
FIXTURES = TARGET / "unwind"
WAIT = 20  # seconds: no step takes longer unless something is wrong
HEADER_SIZE = 64  # FMT_HEADER_SIZE of format/fmt_def.h


class Failure(Exception):
    """What a test found."""


class Skip(Exception):
    """Why a test cannot run here."""


def check(condition, text):
    if not condition:
        raise Failure(text)


def allowed(n):
    """How many of n walks may end early: one in a thousand, where n is large enough for that to mean something (C has some 0.3 per thousand: longjmp, and
    the first instructions of functions that realign their stack)."""
    return max(3, n // 1000)


def fixture(name):
    """Path of a program that fixtures/c/build.sh made; skips where it could not."""
    missing = FIXTURES / "missing"
    for line in missing.read_text().splitlines() if missing.exists() else []:
        if line.split(" ", 1)[0] == name:
            raise Skip(line)
    return str(FIXTURES / name)


class Program:
    """A started program whose output is read line by line."""

    def __init__(self, work, argv, **how):
        self.argv = argv
        self.out = pathlib.Path(work) / f"program{len(list(pathlib.Path(work).iterdir()))}.out"
        self.err = self.out.with_suffix(".err")
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, **how)

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

    def finish(self, codes=(0,)):
        try:
            code = self.process.wait(WAIT)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.argv} did not end within {WAIT} s") from None
        check(code in codes, f"{self.argv}: exit code {code}: {self.err.read_text()[:4000]}")


def recorder(work, *args):
    """ascope record, into WORK/capture.ascope."""
    pathlib.Path(work, "capture.ascope").unlink(missing_ok=True)
    return Program(work, [str(ASCOPE), "record", "--force", "-o", f"{work}/capture.ascope", *map(str, args)])


def await_begun(work, record):
    """Once everything is attached: the first block is written then. What was before it in the file is its header."""
    capture = pathlib.Path(work, "capture.ascope")
    end = time.monotonic() + WAIT
    while not capture.exists() or capture.stat().st_size <= HEADER_SIZE:
        check(record.process.poll() is None, f"{record.argv} ended at once: {record.err.read_text()[:2000]}")
        check(time.monotonic() < end, f"{record.argv} did not begin within {WAIT} s")
        time.sleep(0.01)


def record_launched(work, *argv, args=()):
    """A recording that starts the program, so that it misses nothing of it, and lasts as long as it does."""
    with recorder(work, "--stacks", "all", *args, "--", *argv) as r:
        r.finish((0, 3))
        return r


def let_go(record):
    """For a program started with --go: once the recorder knows it well. The instant, ns of CLOCK_MONOTONIC."""
    pid = int(record.await_line(r"^waiting (\d+)$"))
    time.sleep(0.2)
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    os.kill(pid, signal.SIGUSR1)
    return now


def record_attached(work, pid, seconds=1.0, args=()):
    with recorder(work, "--stacks", "all", "--duration", seconds, *args, "-p", pid) as r:
        r.finish((0, 3))


def record_running(work, *argv, seconds=1.0, args=()):
    """A recording of a program that runs already, and is ended afterwards."""
    with Program(work, argv) as p:
        p.await_line(r"^ready")
        record_attached(work, p.process.pid, seconds, args)


class Capture:
    """What WORK/capture.ascope holds."""

    def __init__(self, work, *args):
        self.work, self.args = work, args

    def query(self, sql):
        """Rows as objects."""
        argv = [str(ASCOPE), "query", f"{self.work}/capture.ascope", sql, "--json", *self.args]
        run = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        check(run.returncode in (0, 3), f"{argv}: exit code {run.returncode}: {run.stderr[:2000]}")
        return json.loads(run.stdout)

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


def sleeps(waits):
    return [w for w in waits if "nanosleep" in (w["syscall"] or "")]


def settled(waits):
    """Without those of the first moments of a program, in which it was not known yet."""
    first = next((w["ts"] for w in waits if w["status"] == "whole"), None)
    check(first is not None, f"none of {len(waits)} stacks is whole")
    check(first - waits[0]["ts"] < 50_000_000, f"the first whole stack is {(first - waits[0]['ts']) / 1e6:.1f} ms after the first")
    return [w for w in waits if w["ts"] >= first]


def functions(stack):
    return [frame["function"] or "?" for frame in stack["frames"]]


def text(stack):
    """For messages."""
    lines = [f"  stack {stack['id']}: {stack['status']}, {stack['depth']} frames, fp_from {stack['fp_from']}"]
    lines += [f"    {f['depth']:3} {f['function']} {f['file']}:{f['line']} {f['module']}+{f['file_off']:#x}" for f in stack["frames"]]
    return "\n".join(lines[:60])


def has_chain(stack, names):
    """Whether the functions are in the stack in this order, innermost first, perhaps with others between them."""
    rest = iter(functions(stack))
    return all(any(name in function for function in rest) for name in names)


def interrupt(program):
    program.process.send_signal(signal.SIGINT)
