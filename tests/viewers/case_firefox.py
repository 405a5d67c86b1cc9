#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""case_firefox.py: export --firefox, read by the format's rules and by Perfetto's importer, which reads Firefox's profiles, too: totals are SQL's, stacks those
of --speedscope.

profiler.firefox.com itself is no package: it needs the network.
"""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from case_perfetto import ASCOPE, DEMO, HERE, VIEWERS, Tests, imported, importer, sql

WAITS = ("SELECT sum(coalesce(ts_waking, ts + dur, (SELECT ts_end FROM capture)) - ts) AS n FROM offcpu WHERE state NOT IN ('R', 'X', 'Z') "
         "AND role <> 'parked'")
SAMPLES = "SELECT count(*) * (SELECT sample_period FROM capture) AS n FROM sample"
TOTALS = {
    "oncpu": lambda: sql(SAMPLES)[0]["n"],
    "wall": lambda: sql(SAMPLES)[0]["n"] + sql(WAITS)[0]["n"],
    "blocking": lambda: sql("SELECT sum(off_cpu + on_cpu + runnable) AS n FROM blocking")[0]["n"],
}
QUERIES = (
    "SELECT name, value FROM stats WHERE severity <> 'info' AND value > 0",
    "SELECT t.tid, t.name, s.ts, s.callsite_id FROM cpu_profile_stack_sample s JOIN thread t USING (utid) ORDER BY t.tid, s.ts, s.id",
    "SELECT c.id, c.parent_id, f.name FROM stack_profile_callsite c JOIN stack_profile_frame f ON f.id = c.frame_id",
)


def export(kind, form):
    file = os.path.join(VIEWERS, f"demo.{kind}.{form}.json")
    subprocess.run([ASCOPE, "export", f"--{form}", f"--{kind}", "--force", "-o", file, DEMO], check=True, capture_output=True)
    return file


def speedscope_samples(kind):
    """(thread's name, when it begins in its thread, functions from the outermost) of each of the file's samples."""
    with open(export(kind, "speedscope"), encoding="utf-8") as f:
        doc = json.load(f)
    names = [frame["name"] for frame in doc["shared"]["frames"]]
    last, at, found = None, 0, []
    for stack, weight in zip(doc["profiles"][0]["samples"], doc["profiles"][0]["weights"]):
        at = at if stack[:2] == last else 0
        found.append((names[stack[1]], at, [names[i] for i in stack[2:]]))
        last, at = stack[:2], at + weight
    return found


def perfetto_samples(samples, callsites):
    parent = {callsite: (above, name) for callsite, above, name in callsites}
    found = []
    for _, thread, at, callsite in samples:
        names = []
        while callsite is not None:
            callsite, name = parent[callsite]
            names.append(name)
        found.append((thread, at, names[::-1]))
    return found


def main():
    t = Tests()
    folder, why = importer()
    for kind, total in TOTALS.items():
        file = export(kind, "firefox")
        rules = subprocess.run([sys.executable, "-B", os.path.join(HERE, "profile_rules.py"), "firefox", file], capture_output=True, text=True)
        t.check(f"{kind}: the format's rules hold", rules.returncode == 0, rules.stderr)
        t.equal(f"{kind}: its total is SQL's", rules.stdout.strip(), str(total()))
        if not folder:
            t.skip(f"{kind}: Perfetto's importer reads it", why)
            continue
        complaints, samples, callsites = imported(folder, file, QUERIES)
        got, want = perfetto_samples(samples, callsites), speedscope_samples(kind)
        t.equal(f"{kind}: Perfetto's importer has nothing to complain of", complaints, [])
        t.equal(f"{kind}: Perfetto reads as many samples as the profile has stacks", len(got), len(want))
        different = [(a, b) for a, b in zip(got, want) if (a[0], a[2]) != (b[0], b[2])]
        t.check(f"{kind}: of the same threads and functions", got and not different, different[:2])
        # ms as a double, cut to ns.
        t.check(f"{kind}: one behind the other, as long as they weigh", all(abs(a[1] - b[1]) <= 1 for a, b in zip(got, want)),
                [(a[1], b[1]) for a, b in zip(got, want) if abs(a[1] - b[1]) > 1][:5])
    print(f"1..{t.n}")
    sys.exit(t.failed > 0)


if __name__ == "__main__":
    main()
