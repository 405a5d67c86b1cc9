# SPDX-License-Identifier: MIT OR Apache-2.0
"""Threads that wait at depths 0 to 180 in eight ways: the last stack that was recorded of each is the one gdb sees."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

from recording import Capture, Recorder
from stacks import fixture, let_go
from tap import Failure, Skip, check

THREADS = 61


def thread_states(pid):
    return [stat.read_text().rsplit(")", 1)[1].split()[0] for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/stat")]


def await_parked(pid):
    """All of them sleep, and go on doing so."""
    quiet = 0
    for _ in range(500):
        states = thread_states(pid)
        quiet = quiet + 1 if len(states) == THREADS + 1 and set(states) == {"S"} else 0
        if quiet == 10:
            return
        time.sleep(0.02)
    raise Failure(f"the threads do not sleep: {thread_states(pid)}")


def mappings(pid):
    """(start, end, file offset, path) of file mappings."""
    found = []
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        addresses, _, offset, _, inode, *path = line.split(None, 5)
        start, end = (int(a, 16) for a in addresses.split("-"))
        if inode != "0":
            found.append((start, end, int(offset, 16), path[0]))
    return found


def gdb_stacks(pid, maps):
    script = pathlib.Path(__file__).with_name("gdb_stacks.py")
    run = subprocess.run(["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-ex", "set backtrace past-main on",
                          "-ex", "set backtrace past-entry on", "-ex", "set backtrace limit unlimited", "-p", str(pid), "-x", str(script)],
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    lines = [line for line in run.stdout.splitlines() if line.startswith("STACKS ")]
    check(lines, f"gdb: {run.stdout[-1000:]}{run.stderr[-2000:]}")

    def place(pc):
        for start, end, offset, path in maps:
            if start <= pc < end:
                return path, pc - start + offset
        return "", pc

    return {int(tid): [place(pc) for pc in pcs] for tid, pcs in json.loads(lines[0][7:]).items()}


def recorded_stacks(capture):
    """tid -> (status, places) of the last stack of each thread."""
    rows = capture.query("""
        SELECT t.tid, s.status, m.path, f.file_off
        FROM thread AS t
        JOIN stack AS s ON s.id = (SELECT stack_id FROM offcpu WHERE thread_id IN (SELECT id FROM thread WHERE tid = t.tid) ORDER BY ts DESC LIMIT 1)
        JOIN stack_frame AS sf ON sf.stack_id = s.id
        JOIN frame AS f ON f.id = sf.frame_id
        LEFT JOIN module AS m ON m.id = f.module_id
        WHERE t.id = (SELECT max(id) FROM thread WHERE tid = t.tid)
        ORDER BY t.tid, sf.depth""")
    stacks = {}
    for row in rows:
        stacks.setdefault(row["tid"], (row["status"], []))[1].append((row["path"] or "", row["file_off"]))
    return stacks


def against_gdb(work):
    """last recorded stack of 61 parked threads and the main thread, against gdb"""
    if not shutil.which("gdb"):
        raise Skip("no gdb")
    argv = [fixture("stacks"), "--go", "parked", str(THREADS)]
    with Recorder(work, "--stacks", "all", "--freq", 99, "--", *argv) as record:
        let_go(record)
        pid = int(record.await_line(r"^ready (\d+)$"))
        try:
            await_parked(pid)
            record.stop()
            expected = gdb_stacks(pid, mappings(pid))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    recorded = recorded_stacks(Capture(work))
    check(set(recorded) == set(expected), f"threads: {sorted(recorded)}, gdb has {sorted(expected)}")
    wrong = []
    for tid, frames in expected.items():
        status, places = recorded[tid]
        if places != frames:
            same = next((i for i, (a, b) in enumerate(zip(places, frames)) if a != b), min(len(places), len(frames)))
            wrong.append(f"thread {tid}: {status}, {len(places)} frames, gdb has {len(frames)}; frame {same} on: "
                         f"{places[same:same + 3]}, gdb has {frames[same:same + 3]}")
        elif status != "whole":
            wrong.append(f"thread {tid}: {status}, though its frames are gdb's")
    check(not wrong, "\n".join(wrong))
    depths = sorted(len(frames) for frames in expected.values())
    return f"{len(expected)} of {len(expected)} equal, {depths[0]} to {depths[-1]} frames"


TESTS = [against_gdb]
