# SPDX-License-Identifier: MIT OR Apache-2.0
"""Whose stacks are cut short: two threads that wait some 60 frames of 200 bytes deep, recorded by each profiler in turn.

A stack is whole when it reaches the function that the program or the thread began with. perf says so by its frames, ascope by the
status of each walk, which tests/live compares with other unwinders.
"""
import json
import subprocess
import time

from harness import Failed, Running, ascope_on, perf_on

DEPTH, SECONDS, ENOUGH = 60, 0.3, 1000
OUTERMOST = ("main", "_start", "__libc_start_main", "thread_start", "clone3", "__clone3", "clone")


def perf_stacks(place, file):
    """(stacks looked at, those that end early) of the first ENOUGH in a perf.data."""
    script = subprocess.Popen([place.perf, "script", "-i", file, "-F", "ip,sym"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, errors="replace")
    stacks = cut = 0
    names = []
    try:
        for line in script.stdout:
            if line.strip():
                names.append(line.split(maxsplit=1)[-1].strip())
                continue
            if names:
                stacks += 1
                cut += not any(name.split("+")[0].rsplit("::", 1)[-1] in OUTERMOST for name in names)
            names = []
            if stacks >= ENOUGH:
                break
    finally:
        script.kill()
        script.communicate()
    if not stacks:
        raise Failed("perf script shows no stack")
    return stacks, cut


def ascope_stacks(place, file):
    query = "SELECT status, SUM(events) AS events FROM stack_end GROUP BY status"
    out = subprocess.run([place.ascope, "query", file, query, "--json", "--no-cache"], capture_output=True, text=True, check=False)
    if out.returncode not in (0, 3):
        raise Failed(f"ascope query: {out.stderr.strip()}")
    by = {row["status"]: row["events"] for row in json.loads(out.stdout)}
    if not by:
        raise Failed("the capture has no user stack")
    return sum(by.values()), sum(by.values()) - by.get("whole", 0)


def measure(place):
    """{recorder: (stacks, of these cut short)}"""
    found = {}
    with Running([place.program("depth"), str(DEPTH)], place.cpu, polite=True) as target:
        for name, option in {"perf dwarf": ("--call-graph", "dwarf"), "perf -g": ("-g",)}.items():
            with perf_on(place, target.pid, *option) as recorder:
                time.sleep(SECONDS)
                recorder.stop()
            found[name] = perf_stacks(place, recorder.file)
        with ascope_on(place, target.pid, "--stacks", "all") as recorder:
            time.sleep(SECONDS)
            recorder.stop()
        found["ascope"] = ascope_stacks(place, recorder.file)
    return found
