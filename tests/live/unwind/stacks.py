# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the tests of the unwinder share: programs of fixtures/c and fixtures/stacks, recordings with all stacks, and what is asked of a stack."""
import os
import signal
import time

from recording import Program, Recorder
from tap import TARGET, Skip, check

FIXTURES = TARGET / "unwind"


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


def record_launched(work, *argv, args=()):
    """A recording that starts the program, so that it misses nothing of it, and lasts as long as it does."""
    with Recorder(work, "--stacks", "all", *args, "--", *argv) as r:
        r.finish()
        return r


def let_go(record):
    """For a program started with --go: once the recorder knows it well. The instant, ns of CLOCK_MONOTONIC."""
    pid = int(record.await_line(r"^waiting (\d+)$"))
    time.sleep(0.2)
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    os.kill(pid, signal.SIGUSR1)
    return now


def record_attached(work, pid, seconds=1.0, args=()):
    with Recorder(work, "--stacks", "all", "--duration", seconds, *args, "-p", pid) as r:
        r.finish()


def record_running(work, *argv, seconds=1.0, args=()):
    """A recording of a program that runs already, and is ended afterwards."""
    with Program(work, argv) as p:
        p.await_line(r"^ready")
        record_attached(work, p.pid, seconds, args)


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
