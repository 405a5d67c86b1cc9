# SPDX-License-Identifier: MIT OR Apache-2.0
"""Bytes an event: the demo service under its `busy` load, recorded by ascope and by perf, one after another, at the same rate of requests.

Counts are the kernel's: of ascope's run, how many records its programs sent (totals sent.*: what the recorder could lose is counted, too); of perf's,
the switches of the service's threads by /proc while it ran. So events that perf loses count for it, not against it.
"""
import json
import os
import re
import subprocess
import time

from harness import Failed, Recorder, Running, ascope_on, switches

SECONDS = {"ascope": 12, "ascope --stacks=all": 12, "perf dwarf": 4, "perf -g": 6}
FREQ = 499
EVENTS = ("switch_out", "switch_in", "waking", "sample")


def perf_all(place, pid, *options):
    """cpu-clock by frequency, each switch and waking. With -p, perf sees a switch as the thread leaves, and the wakings that its threads do."""
    file = place.file("perf.data")
    argv = [place.perf, "record", "-z", *options, "-e", f"cpu-clock/freq={FREQ}/", "-e", "sched:sched_switch", "-e",
            "sched:sched_waking", "-o", file, "-p", str(pid)]
    return Recorder(place, argv, file, settle=0)


RECORDERS = {
    "ascope": lambda place, pid: ascope_on(place, pid, "--freq", str(FREQ)),
    "ascope --stacks=all": lambda place, pid: ascope_on(place, pid, "--freq", str(FREQ), "--stacks", "all"),
    "perf dwarf": lambda place, pid: perf_all(place, pid, "--call-graph", "dwarf"),
    "perf -g": lambda place, pid: perf_all(place, pid, "-g"),
}


def lines_of(argv):
    run = subprocess.run(argv, capture_output=True, text=True, check=False)
    if run.returncode:
        raise Failed(f"{' '.join(argv)}: {run.stderr.strip()[-200:]}")
    return run.stdout.splitlines()


def in_capture(place, codec, file):
    """{kind: (kernel's count, bytes of its records in blocks)}, and bytes of all else: dictionaries, their copies, headers, footer."""
    sent, stored = {}, {}
    for line in lines_of([place.ascope, "dump", "--json", file]):
        if '"kind":"total"' in line and '"sent.' in line:
            total = json.loads(line)
            sent[total["key"].removeprefix("sent.")] = total["value"]
    for line in lines_of([codec, "columns", file])[1:]:
        kind, column, _, _, _, size, _ = line.split("\t")
        if column == "*" and kind != "all":
            stored[kind] = float(size)
    kinds = {kind: (sent[kind], stored.get(kind, 0.0)) for kind in EVENTS}
    return kinds, os.path.getsize(file) - sum(size for _, size in kinds.values())


def one(place, codec, name, pid):
    with RECORDERS[name](place, pid) as recorder:
        before, start = sum(switches(pid)), time.monotonic()
        time.sleep(SECONDS[name])
        n, took = sum(switches(pid)) - before, time.monotonic() - start
        size = recorder.stop()
        row = {"switches": n, "rate": n / took, "bytes": size, "each": size / n, "said": " ".join(recorder.said().split())}
        if name.startswith("ascope"):
            row["kinds"], row["rest"] = in_capture(place, codec, recorder.file)
            row["each"] = size / row["kinds"]["switch_out"][0]
    return row


class Demo:
    """The demo service and its load, while the `with` block lasts."""

    def __init__(self, fixtures):
        self.fixtures = fixtures

    def __enter__(self):
        self.service = Running([os.path.join(self.fixtures, "orders")])
        try:
            port = re.search(r"\d+$", self.service.line())
            if not port:
                raise Failed("the demo service did not come up")
            self.load = Running([os.path.join(self.fixtures, "orders-load"), "--port", port[0], "--mode", "busy", "--seconds", "300"])
        except Failed:
            self.service.__exit__()
            raise
        time.sleep(1)
        return self.service.pid

    def __exit__(self, *_):
        self.load.__exit__()
        self.service.__exit__()


def measure(place, codec, fixtures):
    with Demo(fixtures) as pid:
        return {name: one(place, codec, name, pid) for name in RECORDERS}


def record_only(place, fixtures):
    """A capture of the load, some seconds long."""
    with Demo(fixtures) as pid, ascope_on(place, pid, "--stacks", "all") as recorder:
        time.sleep(8)
        recorder.stop()
    return recorder.file


def figures(row):
    """Bytes a switch-out, a switch-out with its switch-in and waking, and a sample; dictionaries and the like count with the switch-outs."""
    kinds = row["kinds"]
    outs = kinds["switch_out"][0]
    out = (kinds["switch_out"][1] + row["rest"]) / outs
    return out, out + (kinds["switch_in"][1] + kinds["waking"][1]) / outs, kinds["sample"][1] / max(1, kinds["sample"][0])
