# SPDX-License-Identifier: MIT OR Apache-2.0
"""How the recorder fares when every cpu switches threads as fast as it can."""
import contextlib
import os
import time

from harness import Running, ascope_on
from kernel import info

KINDS = ("switch_out", "switch_in", "waking", "sample")


def measure(place, seconds):
    """A pair of threads on each cpu that wake each other without pause. What the recorder took, and what it took for that."""
    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(Running([place.program("depth"), "5"], cpu)) for cpu in sorted(os.sched_getaffinity(0))]
        others = [word for p in pairs[1:] for word in ("-p", str(p.pid))]
        recorder = stack.enter_context(ascope_on(place, pairs[0].pid, *others))
        time.sleep(seconds)
        recorder.stop()
        told = info(place, recorder.file)
    totals = {row["key"]: row["value"] for row in told["totals"]}
    meta = {row["key"]: int(row["value"]) for row in told["meta"] if row["key"].startswith("recording.") and row["key"].endswith("_ns")}
    taken = (meta["recording.end_ns"] - meta["recording.start_ns"]) / 1e9
    events = sum(totals["sent." + kind] for kind in KINDS)
    return {
        "rate": events / taken,
        "lost": sum(v for k, v in totals.items() if k.startswith("lost.ring_full")),
        "rss": totals["cost.max_rss_bytes"],
        "cpu_ns": (totals["cost.user_ns"] + totals["cost.sys_ns"]) / events,
        "rings": totals["rings.n"],
        "most": totals["rings.most"] / (totals["rings.bytes"] / totals["rings.n"]),
        "late": totals["rings.late"],
    }
