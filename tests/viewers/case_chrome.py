#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""case_chrome.py: Chrome's traces by the rules of their viewers (chrome_rules.py) and by SQL (chrome_sums.py): of the demo, of every golden capture, of names that mean harm."""
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from chrome_rules import rules
from chrome_sums import differences

ASCOPE, FOLDER, DEMO = os.environ["ASCOPE"], os.environ["VIEWERS"], os.environ["DEMO"]
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOSTILE = (b"<script>alert(1)</script>", b'"},{"ph":"B"', b"a;b\nc\x1b[31m", b"\xff\xfe\xed\xa0\x80", "\U0001f600".encode(), b"../../%n", b"'); DROP TABLE poll;--", b"\\u0000\\", b"")
n = 0


def ok(good, what, why=()):
    global n
    n += 1
    print(f"{'ok' if good else 'not ok'} {n} - {what}", flush=True)
    for line in [] if good else list(why)[:10]:
        print("# " + str(line)[:400])


def export(capture, *options, env=None):
    """The text of a trace; bytes that are no UTF-8 end it."""
    r = subprocess.run([ASCOPE, "export", "--chrome", *options, capture], capture_output=True, env={**os.environ, **(env or {})})
    if r.returncode not in (0, 3):
        raise RuntimeError(f"exit code {r.returncode}: {r.stderr.decode(errors='replace')}")
    return r.stdout.decode("utf-8")


def demo():
    export(DEMO)  # which loads what the database of other cases does not need
    db = sqlite3.connect(f"file:{DEMO}.db?mode=ro", uri=True)
    for options in ([], ["--tasks"], ["--no-args"], ["--min", "100us"], ["--no-idle", "--tasks"], ["--from", "1s", "--to", "2s"],
                    ["--max-events", "3000"], ["--max-flows", "7"]):
        text = export(DEMO, *options)
        wrong = rules(text)
        ok(not wrong, f"the demo {' '.join(options)}: by the rules of viewers", wrong)
        if not options:
            whole = json.loads(text)
            wrong = differences(whole, db)
            ok(not wrong, "slices add up to SQL's", wrong)
            ok(text == export(DEMO, env={"LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo"}), "a second export is the same to the byte")
    events = whole["traceEvents"]
    names = [e["args"]["name"] for e in events if e["name"] == "thread_name"]
    ok(sum(bool(re.fullmatch(r"worker \d \(tid \d+\)", x)) for x in names) == 4, "tracks of workers", names)
    calls = {(e["cat"], e["name"]) for e in events if e["ph"] == "X"}
    wanted = {("user", "hash_password"), ("blocked.sleep", "blocked: sleep wait_before_retry"), ("user", "wait_before_retry"), ("park", "parked"), ("files", "std::fs")}
    ok(wanted <= calls, "functions and categories", wanted - calls)
    polls = [e for e in events if e["cat"] == "poll" and "send_receipt" in e["name"]]
    ok(polls and all(e["args"]["spawn_file"].endswith(".rs") and e["args"]["spawn_line"] for e in polls), "polls tell where their tasks were spawned", polls[:2])
    unended(events, db)
    counters = {e["name"] for e in events if e["ph"] == "C"}
    ok(counters == {"running workers", "blocked workers", "runnable threads", "ready tasks", "events lost"}, "counters", counters)
    flows = {e["name"] for e in events if e["ph"] == "s"}
    ok(flows == {"thread wake", "wake", "spawn"}, "arrows", flows)
    workers(events, db)


def unended(events, db):
    """A poll whose return the probes did not see ends with what follows on its thread, not with the recording."""
    start = db.execute("SELECT ts_start FROM capture").fetchone()[0]
    wrong, rows = [], db.execute(
        "SELECT t.tid, p.ts, k.task_id, (SELECT min(ts) FROM (SELECT ts FROM task_poll AS n WHERE n.thread_id = p.thread_id AND n.ts > p.ts UNION ALL "
        "SELECT ts FROM offcpu AS o WHERE o.thread_id = p.thread_id AND o.ts > p.ts AND o.role = 'parked')) "
        "FROM task_poll AS p JOIN task AS k ON k.id = p.task_row JOIN thread AS t ON t.id = p.thread_id WHERE p.dur IS NULL").fetchall()
    for tid, ts, task, ends in rows:
        found = [e for e in events if e["cat"] == "poll" and e["tid"] == tid and round(e["ts"] * 1000) == ts - start]
        if len(found) != 1 or found[0]["args"]["task"] != task or round((found[0]["ts"] + found[0]["dur"]) * 1000) != ends - start:
            wrong.append((tid, ts, task, ends, found))
    ok(rows and not wrong, "a poll whose return was not seen ends with what follows", wrong)


def workers(events, db):
    """The counters at each of their instants are what SQL says."""
    step = 1_000_000
    start = db.execute("SELECT ts_start FROM capture").fetchone()[0]
    changes = [(round(e["ts"] * 1000), e["args"]["workers"]) for e in events if e["ph"] == "C" and e["name"] == "blocked workers"]
    waits = db.execute("SELECT ts, coalesce(ts_waking, ts + dur) FROM offcpu WHERE role = 'in_poll' AND state NOT IN ('R', 'T', 't') "
                       "AND thread_id IN (SELECT thread_id FROM worker)").fetchall()
    wrong, value, at = [], None, dict(changes)
    for t in range(0, max(at) + 1, step):
        value = at.get(t, value)
        sql = sum(a <= start + t < b for a, b in waits)
        if sql != value:
            wrong.append(f"at {t} ns: {value}, by SQL {sql}")
    ok(not wrong and len(changes) > 10, "blocked workers at each instant, by SQL", wrong)


def goldens():
    folder = os.path.join(ROOT, "fixtures", "captures", "good")
    for name in sorted(os.listdir(folder)):
        if name.endswith(".ascope"):
            copy = os.path.join(FOLDER, "golden-" + name)
            shutil.copy(os.path.join(folder, name), copy)
            for options in ([], ["--tasks", "--min", "1us"]):
                wrong = rules(export(copy, "--no-cache", *options))
                ok(not wrong, f"{name} {' '.join(options)}: by the rules of viewers", wrong)


def hostile():
    """All names in a database that a capture's text gets into, by others."""
    copy = os.path.join(FOLDER, "hostile.ascope")
    shutil.copy(DEMO, copy)
    shutil.copystat(DEMO, copy)
    shutil.copy(DEMO + ".db", copy + ".db")
    db = sqlite3.connect(copy + ".db")
    db.create_function("harm", 1, lambda i: HOSTILE[i % len(HOSTILE)])
    for table, columns in (("process", ("name", "exe")), ("thread", ("name",)), ("task_type", ("name",)), ("_spawn_site", ("file",)), ("symbol", ("function", "file")),
                           ("poll", ("function", "file", "library", "syscall", "detail")), ("_wait", ("syscall", "role")), ("module", ("path",)), ("gap", ("cause",))):
        key = "frame_id + depth" if table == "symbol" else "rowid"
        for i, column in enumerate(columns):
            null = "" if table == "module" else f" WHERE {column} IS NOT NULL"
            db.execute(f"UPDATE {table} SET {column} = CAST(harm({key} + {i}) AS TEXT){null}")
    db.execute("INSERT INTO gap SELECT ts_start + 1000, ts_start + 5000000, CAST(harm(0) AS TEXT), 7 FROM capture")
    db.commit()
    db.close()
    for options in ([], ["--tasks"], ["--no-args"]):
        text = export(copy, *options)
        wrong = rules(text)
        ok(not wrong, f"hostile names {' '.join(options)}: by the rules of viewers", wrong)
        ok("<script>" in text, "hostile names are there, as text")


def selftest():
    """The rules see what they are for."""
    text = export(DEMO)
    lines = text.split("\n")
    slices = [i for i, line in enumerate(lines) if line.startswith('{"ph":"X"')]
    k = next(i for i in slices if '"cat":"poll"' in lines[i])
    breaks = {
        "a slice that is too long": (k + 1, lambda s: re.sub(r'"dur":[\d.]+', '"dur":99999999.0', s)),
        "a phase of another kind": (k, lambda s: s.replace('"ph":"X"', '"ph":"B"')),
        "a surrogate": (k, lambda s: s.replace('"name":"', '"name":"\\ud83d\\ude00')),
        "no category": (k, lambda s: re.sub(r'"cat":"[^"]*",', "", s)),
        "args that are a list": (k, lambda s: re.sub(r'"args":\{.*\}\}', '"args":[]}', s)),
        "a number that is none": (k, lambda s: re.sub(r'"dur":[\d.]+', '"dur":NaN', s)),
        "a track without a name": (1, lambda s: s.replace('"tid":', '"tid":9')),
        "an arrow from nowhere": (next(i for i, line in enumerate(lines) if line.startswith('{"ph":"s"')), lambda s: re.sub(r'"tid":\d+', '"tid":77', s)),
    }
    for what, (i, change) in breaks.items():
        broken = lines[:i] + [change(lines[i])] + lines[i + 1:]
        ok(broken[i] != lines[i] and rules("\n".join(broken)), f"the rules see {what}")


demo()
goldens()
hostile()
selftest()
print(f"1..{n}")
