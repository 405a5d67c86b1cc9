#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Live tests of `ascope record --waker-stacks`: who ended a wait, and where in its code it stood.

    wakers.py [NAME...]        prints TAP, one test per name (default: all); exit 1 when one fails

The scenario `mutex` is the truth: what `reserve` waits for is given free by `count_stock`, on a thread that runs no task, and by nothing else.

Needs root and /sys/kernel/btf/vmlinux; without them every test is skipped and counted. Environment: ASCOPE (out/ascope), KEEP=1 leaves each test's folder.
"""
import json
import pathlib
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # leaves no __pycache__ among the sources
import tap  # noqa: E402  # pylint: disable=wrong-import-position
from recording import SCENARIOS, Fixture, record, record_while  # noqa: E402  # pylint: disable=wrong-import-position
from tap import check  # noqa: E402  # pylint: disable=wrong-import-position

# waits in reserve() that were ended while recording
LOCKS = ("SELECT o.id, o.ts, o.ts_waking, o.waker_tid, o.waker_task, o.waker_stack_id, o.waker_kstack_id, t.tid FROM offcpu AS o "
         "JOIN thread AS t ON t.id = o.thread_id WHERE o.role = 'in_poll' AND o.class = 'lock' AND o.ts_waking IS NOT NULL")


def functions(capture, stack_id):
    """Names, innermost first."""
    return [row["function"] or "?" for row in
            capture.query(f"SELECT function FROM stack_text WHERE stack_id = {stack_id} ORDER BY depth, inline_depth")]


def mutex(work, *args):
    with Fixture(work, "mutex") as fixture:
        capture = record(work, fixture.pid, "3s", *args)
        fixture.leave()
    return capture


def who_ends_a_lock(work):
    capture = mutex(work, "--waker-stacks")
    locks = capture.query(LOCKS)
    check(len(locks) >= 10, f"too few waits for the lock: {locks}")
    for wait in locks:
        check(wait["waker_tid"] not in (0, wait["tid"]) and wait["waker_task"] is None, f"not woken by its holder: {wait}")
        check(wait["waker_stack_id"] and wait["waker_kstack_id"], f"no stack of its waker: {wait}")
    stacks = capture.stacks(f"id IN (SELECT waker_stack_id FROM ({LOCKS}))")
    for stack in stacks.values():
        names = [frame["function"] or "?" for frame in stack["frames"]]
        check(stack["status"] == "whole" and any(name.endswith("mutex::count_stock") for name in names), f"not the holder's stack: {stack}")
        # it stands behind the futex call that it wakes by, and gives the lock free there
        check(names.index(next(name for name in names if name.endswith("mutex::count_stock"))) > names.index("syscall"), f"order: {names}")
        check("reserve" not in " ".join(names), f"the waiter's own stack: {names}")
    for kstack in {wait["waker_kstack_id"] for wait in locks}:
        names = functions(capture, kstack)
        check("futex_wake" in names and "do_syscall_64" in names, f"kernel stack of the waker: {names}")
    interrupts, taken = capture.query("SELECT count(*) AS n, count(waker_stack_id) + count(waker_kstack_id) AS taken FROM offcpu WHERE waker_tid = 0")[0].values()
    check(interrupts and not taken, f"{taken} stacks of {interrupts} wakes by interrupts")
    return f"{len(locks)} waits, {len(stacks)} stacks; {interrupts} wakes by interrupts have none"


def what_a_task_wakes(work):
    """The pool's thread, when it spawns a closure; the thread that waits in the driver, when it begins to sleep."""
    capture = mutex(work, "--waker-stacks")
    rows = capture.query("SELECT waker_task, waker_stack_id FROM offcpu WHERE waker_task IS NOT NULL")
    check(len(rows) >= 5 and all(row["waker_stack_id"] for row in rows), f"wakes by the task: {rows}")
    for stack_id in {row["waker_stack_id"] for row in rows}:
        names = functions(capture, stack_id)
        check(any("mutex::order_loop" in name for name in names), f"not the task's stack: {names}")
    return f"{len(rows)} wakes"


def what_is_told(work):
    """Profiles and report --offcpu tell what SQL does."""
    capture = mutex(work, "--waker-stacks")
    times, ns = capture.query(f"SELECT count(*) AS n, sum(ts_waking - ts) AS ns FROM ({LOCKS})")[0].values()
    wakers = json.loads(capture.report("--offcpu", "--json"))["wakers"]
    told = [row for row in wakers if (row["function"] or "").endswith("mutex::count_stock")]
    check((sum(row["count"] for row in told), sum(row["total"] for row in told)) == (times, ns), f"{times} waits, {ns} ns, but wakers are {told}")
    check("mutex::count_stock" in capture.report("--offcpu", "--top", "0"), "the text does not say where the waker was")
    lines = capture.run("export", "--folded", "--offcpu", "--wakers", "-o", "-").splitlines()
    folded = [line for line in lines if "mutex::reserve" in line and ";--;" in line]
    check(folded, f"no wait of reserve() with a waker: {lines}")
    for line in folded:
        behind = line.rsplit(" ", 1)[0].split(";--;")[1].split(";")
        holder = next(i for i, name in enumerate(behind) if name.endswith("mutex::count_stock_[w]"))
        check(behind.index("futex_wake_[w]") < behind.index("syscall_[w]") < holder < len(behind) - 1, f"order of the waker's frames: {behind}")
        check(not behind[-1].endswith("_[w]") and all(name.endswith("_[w]") for name in behind[:-1]), f"the thread stands last: {behind}")
    total = sum(int(line.rsplit(" ", 1)[1]) for line in folded)
    check(abs(total - ns // 1000) <= len(folded), f"{total} us in the profile, {ns} ns in the database")
    events = json.loads(capture.run("export", "--chrome", "-o", "-"))["traceEvents"]
    named = [event for event in events if event.get("cat") == "blocked.lock" and event["args"].get("waker_function") == "count_stock"]
    check(len(named) == times, f"{times} waits, {len(named)} slices of --chrome name their waker's function")
    trace = pathlib.Path(work, "trace.perfetto")
    capture.run("export", "--perfetto", "-o", str(trace))
    check(b"waker_function" in trace.read_bytes(), "--perfetto does not name the wakers' functions")
    return f"{times} waits, {ns / 1e6:.0f} ms, {len(folded)} stacks"


def who_is_no_target(work):
    """Of another process only the kernel's stack is told: what its code is is not known."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, bufsize=0) as cat:
        def feed():
            for _ in range(20):
                cat.stdin.write(b"x")
                time.sleep(0.02)
        capture = record_while(work, cat.pid, feed, "--waker-stacks")
        cat.stdin.close()
    rows = capture.query("SELECT waker_tid, waker_stack_id, waker_kstack_id FROM offcpu WHERE ts_waking IS NOT NULL AND waker_tid <> 0")
    check(len(rows) >= 15, f"too few waits were ended: {rows}")
    for row in rows:
        check(row["waker_stack_id"] is None and row["waker_kstack_id"], f"stacks of the waker: {row}")
        names = functions(capture, row["waker_kstack_id"])
        check(any("pipe_write" in name for name in names), f"kernel stack of who writes: {names}")
    return f"{len(rows)} wakes"


def without_the_option(work):
    capture = mutex(work)
    n = capture.value("SELECT count(waker_stack_id) + count(waker_kstack_id) FROM offcpu")
    check(n == 0 and capture.value("SELECT value FROM meta WHERE key = 'option.waker_stacks'") == "no", f"{n} stacks of wakers that nobody asked for")
    check(capture.value(f"SELECT count(*) FROM ({LOCKS})") >= 10, "too few waits")


TESTS = tap.named([who_ends_a_lock, what_a_task_wakes, what_is_told, who_is_no_target, without_the_option])

if __name__ == "__main__":
    sys.exit(tap.main(tap.Suite("live: waker stacks:", TESTS, tap.title_in_words, programs=(SCENARIOS,)), sys.argv[1:]))
