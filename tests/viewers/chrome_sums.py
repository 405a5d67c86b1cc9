#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""
chrome_sums.py: the slices of a trace (export --chrome, of a whole capture, without --min and --no-idle) add up to what SQL says of every thread: time of waiting
by class, ready, and on a CPU; polls and samples are all there.

usage: chrome_sums.py TRACE DATABASE        prints what differs, a line each; exit code 1 when something does
As a module: differences(trace, database) gives the list.
"""
import json
import sqlite3
import sys
from collections import Counter

# What a row of offcpu is made of: waiting until it was woken, then ready. An open row lasts to the end of the recording, or its thread's.
WAITS = """
SELECT t.tid, w.state, w.role, w.class, sum(waiting) AS waiting, sum(span - waiting) AS ready, count(*) AS n FROM (
  SELECT *, CASE WHEN state = 'R' THEN 0 WHEN ts_waking IS NULL THEN span ELSE max(0, min(span, ts_waking - begins)) END AS waiting FROM (
    SELECT o.*, max(o.ts, c.ts_start) AS begins,
      min(coalesce(o.ts + o.dur, c.ts_end), c.ts_end, coalesce(t.ts_end, c.ts_end)) - max(o.ts, c.ts_start) AS span
    FROM offcpu AS o JOIN thread AS t ON t.id = o.thread_id, capture AS c) WHERE span > 0) AS w
JOIN thread AS t ON t.id = w.thread_id GROUP BY 1, 2, 3, 4
"""
LIVES = """
SELECT t.tid, sum(min(coalesce(t.ts_end, c.ts_end), c.ts_end) - max(coalesce(t.ts_start, 0), c.ts_start))
FROM thread AS t, capture AS c GROUP BY 1
"""
STATES = {"cpu", "runnable", "park", "idle", "stopped", "exited", "unseen"}


def ns(us):
    return int(us * 1000 + 0.5)


def is_state(cat):
    return cat in STATES or cat.startswith(("blocked.", "wait."))


def of_sql(db):
    """(tid, kind) -> ns. Parked and idle threads are one kind with other waiting of their class here: which it is takes names of frames to tell."""
    sums = Counter()
    for tid, state, role, class_name, waiting, ready, _ in db.execute(WAITS):
        sums[tid, "runnable"] += ready
        if state in "Tt":
            kind = "stopped"
        elif state in "XZ":
            kind = "exited"
        elif role == "in_poll":
            kind = "blocked." + (class_name or "other")
        elif role == "parked":
            kind = "park"
        else:
            kind = "waiting"
        sums[tid, kind] += waiting
    for tid, life in db.execute(LIVES):
        sums[tid, "cpu"] = life - sum(v for (t, _), v in sums.items() if t == tid)
    return +sums


def of_trace(events):
    sums = Counter()
    for e in events:
        if e["ph"] != "X" or not is_state(e["cat"]):
            continue
        cat = e["cat"]
        kind = "waiting" if cat == "idle" or cat.startswith("wait.") else "cpu" if cat == "unseen" else cat
        sums[e["tid"], kind] += ns(e["dur"])
    return +sums


def differences(trace, db):
    wrong = []
    events = trace["traceEvents"]
    a, b = of_sql(db), of_trace(events)
    for key in sorted(set(a) | set(b)):
        if a[key] != b[key]:
            wrong.append(f"thread {key[0]}, {key[1]}: {a[key]} ns by SQL, {b[key]} ns in the trace")
    if not any(k.startswith("blocked.") for _, k in b):
        wrong.append("nothing blocks in the trace: nothing was compared")
    ids = Counter(e["args"]["poll_id"] for e in events if e["ph"] == "X" and e["cat"] in ("poll", "unclassified") and "poll_id" in e.get("args", {}))
    polls = {i for (i,) in db.execute("SELECT id FROM poll")}
    if set(ids) != polls or any(n != 1 for n in ids.values()):
        wrong.append(f"{len(polls)} polls by SQL, {len(ids)} in the trace; differ: {sorted(set(ids) ^ polls)[:10]}")
    blocked = db.execute("SELECT coalesce(sum(off_cpu), 0) FROM poll").fetchone()[0]
    drawn = sum(v for (_, k), v in b.items() if k.startswith("blocked."))
    if blocked != drawn:
        wrong.append(f"{blocked} ns of waiting in polls by SQL, {drawn} in the trace")
    exact = db.execute("SELECT count(*) FROM _task_poll WHERE type_id IS NULL OR type_id NOT IN (SELECT id FROM task_type WHERE kind = 'worker')").fetchone()[0]
    if exact:
        slices = sum(e["ph"] == "X" and e["cat"] == "poll" and "task" in e.get("args", {}) for e in events)
        if slices < exact:
            wrong.append(f"{exact} polls by probes, {slices} in the trace")
    samples = db.execute("SELECT count(*) FROM sample WHERE stack_id IS NOT NULL").fetchone()[0]
    shown = sum(e.get("args", {}).get("samples", 0) for e in events if e["ph"] == "X" and e["cat"] not in ("poll", "unclassified") and not is_state(e["cat"]))
    if shown != samples:
        wrong.append(f"{samples} samples with a stack by SQL, {shown} in the trace")
    return wrong


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as f:
        bad = differences(json.load(f), sqlite3.connect(f"file:{sys.argv[2]}?mode=ro", uri=True))
    print("\n".join(bad), end="\n" if bad else "")
    sys.exit(1 if bad else 0)
