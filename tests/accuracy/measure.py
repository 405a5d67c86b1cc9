# SPDX-License-Identifier: MIT OR Apache-2.0
"""One recording of one scenario, scored. Called by accuracy.py.

A run is a plain dict, so that it can be kept as JSON and be judged again (bars.py):
    scenario, build, quiet, seconds, rows_at_ms, verdict ('complete', ...), losses {cause: count}, complaints [text],
    off, cpu: what score.py says of waits at 1 ms and of computations at 10 ms (score_dict()).
"""
import contextlib
import fcntl
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/live"))
import score  # noqa: E402
from tap import TRIES, Watcher, long_stall, stolen  # noqa: E402

POLLS = """SELECT p.*, t.tid, pr.pid FROM poll AS p JOIN thread AS t ON t.id = p.thread_id JOIN process AS pr ON pr.id = t.process_id
WHERE p.classified = 1 AND (p.waits > 0 OR p.dur > 0)"""
# What the thread of a missed entry did meanwhile, for whoever has to explain the miss.
AROUND = """SELECT 'off the cpu' AS what, o.ts, o.dur, o.state, o.role, o.class FROM offcpu AS o JOIN thread AS t ON t.id = o.thread_id
WHERE t.tid = {tid} AND o.ts < {t1} AND o.ts + coalesce(o.dur, 0) > {t0}
UNION ALL SELECT 'poll', p.ts, p.dur, p.state, p.joined_by, p.class FROM poll AS p JOIN thread AS t ON t.id = p.thread_id
WHERE t.tid = {tid} AND p.ts < {t1} AND p.ts + p.dur > {t0} ORDER BY 2 LIMIT 12"""
STOLEN = 20_000_000  # ns from which on a run was disturbed: two ticks of /proc/stat, of which one may have been stolen before it
READY_SECONDS = 20
LEAVE_SECONDS = 20


class Skipped(Exception):
    """What the scenario needs is not here."""


class Failed(Exception):
    """A run that says nothing: the fixture or ascope did not do what it was told."""


def scenarios(binary):
    """[(name, flavor, kind)] as the program lists them, those whose truth log holds all that happens."""
    text = subprocess.run([binary, "--list"], check=True, capture_output=True, text=True).stdout
    return [(name, flavor, kind) for name, flavor, kind, _ in (line.split("\t") for line in text.splitlines()) if kind != "unlogged"]


class Turns:
    """The machine for ourselves, where several share it and agreed on a file to lock: for up to HOLD seconds in a row."""

    HOLD = 58

    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8") if path else None
        self.until = 0

    def take(self, seconds):
        """What follows will take that long."""
        if not self.file or time.monotonic() + seconds <= self.until:
            return
        self.end()
        fcntl.flock(self.file, fcntl.LOCK_EX)
        self.until = time.monotonic() + self.HOLD

    def end(self):
        if self.file:
            fcntl.flock(self.file, fcntl.LOCK_UN)
            self.until = 0


@contextlib.contextmanager
def locked(path):
    turns = Turns(path)
    turns.take(0)
    try:
        yield
    finally:
        turns.end()


class Fixture:
    """A scenario that runs; `with` ends it."""

    def __init__(self, command, folder, env=None):
        self.errors = open(folder / "fixture.err", "w+", encoding="utf-8")
        env = {**os.environ, "ASCOPE_TRUTH": str(folder / "truth"), **(env or {})}
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=self.errors, stdin=subprocess.DEVNULL, text=True)
        self.pid = self.process.pid

    def __enter__(self):
        limit = threading.Timer(READY_SECONDS, self.process.kill)
        limit.start()
        line = self.process.stdout.readline()
        limit.cancel()
        if line.strip() != "ready":
            text = self.error_text()
            self.__exit__()
            raise (Skipped if text.startswith("skip: ") else Failed)(f"the fixture did not say ready: {line!r} {text}")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def error_text(self):
        self.errors.seek(0)
        return self.errors.read(500)

    def leave(self):
        """SIGTERM, and it must leave well, for its truth log is complete only then."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failed(f"the fixture was still there {LEAVE_SECONDS} s after SIGTERM") from None
        if code != 0:
            raise Failed(f"the fixture ended with {code}: {self.error_text()}")


class Ascope:
    """The program under test."""

    def __init__(self, path):
        self.path = path

    def run(self, *args, timeout=300):
        done = subprocess.run([self.path, *map(str, args)], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        if done.returncode not in (0, 3):  # 3: done, but events were lost; the verdict says so
            raise Failed(f"ascope {args[0]} exit code {done.returncode}: {done.stderr[:500]}")
        return done.stdout

    def query(self, capture, sql, target=None):
        return json.loads(self.run("query", capture, sql, "--json", *(["--target", target] if target else [])) or "[]")


def mark_derived(ascope, capture, rows):
    """Notes in each row whether a switch-in within it was not reported by the kernel, but derived by ascope."""
    derived = {}
    for line in ascope.run("dump", capture).splitlines():
        if "switch_in " in line and "derived=1" in line:
            fields = dict(field.split("=", 1) for field in line.split() if "=" in field)
            derived.setdefault(int(fields["thread"]), []).append(int(fields["ts"]))
    for row in rows:
        row["derived"] = any(row["ts"] <= ts <= row["ts"] + row["dur"] for ts in derived.get(row["thread_id"], []))
    return sum(map(len, derived.values()))


def score_dict(result):
    """What bars.py needs of a Score; errors in ns."""
    return {"must": result.must, "found": result.found, "may": result.may, "matched": result.matched, "false": len(result.false),
            "errors": sorted(result.errors), "mended": sorted(result.mended), "delayed": result.delayed, "ignored": result.ignored, "placed": result.placed,
            "placed_right": result.placed_right, "band": result.band, "band_found": result.band_found,
            "wrong": {check: len(found) for check, found in result.wrong.items() if found}, "details": list(result.details())}


def explain(ascope, capture, result):
    """A miss is followed by what is known of it."""
    for entry in result.missed:
        for row in ascope.query(capture, AROUND.format(tid=entry.tid, t0=entry.t0, t1=entry.t1)):
            result.complaints.append(f"    around the miss at {entry.t0}: {row['what']} +{(row['ts'] - entry.t0) / 1e6:.3f} ms for "
                                     f"{(row['dur'] or 0) / 1e6:.3f} ms, {row['state']} {row['role']} {row['class']}")


def measure(ascope, binary, scenario, folder, *, build, seconds, turns, names=True, target=None):
    """Records one scenario and scores it. folder is empty, on a disk, and gets everything that was recorded."""
    name, flavor, kind = scenario
    quiet = kind == "quiet"
    capture = folder / "capture.ascope"
    command = [binary, name, "--seconds", str(seconds + READY_SECONDS), "--dir", folder, "--pace", "usual" if quiet else "dense"]
    turns.take(min(seconds + 4, turns.HOLD))
    steal, watcher = stolen(), Watcher()
    try:
        with Fixture(command, folder) as fixture:
            time.sleep(0.1)
            ascope.run("record", "-q", "-p", fixture.pid, "-o", capture, "--duration", seconds)
            fixture.leave()
    finally:
        watcher.end()
    steal = stolen() - steal
    rows = ascope.query(capture, POLLS, target)
    derived = mark_derived(ascope, capture, rows)
    (facts,) = ascope.query(capture, "SELECT ts_start, ts_end, verdict, verdict_why FROM capture", target)
    runtimes = ascope.query(capture, "SELECT flavor, workers FROM runtime", target)
    losses = {row["cause"]: row["count"] for row in ascope.query(capture, "SELECT cause, count FROM loss", target)}
    entries, window = score.read_truth(folder / "truth"), (facts["ts_start"], facts["ts_end"])
    off = score.score(name, entries, rows, window, score.Rules(min=score.THRESHOLD if kind == "coarse" else score.MS, only="waits", names=names))
    explain(ascope, capture, off)
    cpu = score.score(name, entries, rows, window, score.Rules(only="computes", names=names))
    explain(ascope, capture, cpu)
    if quiet:  # what it logs are no blocks: they excuse a row, and are asked for nothing
        for result in (off, cpu):
            result.must = result.found = result.matched = result.placed = result.placed_right = result.band = result.band_found = 0
            result.missed, result.errors, result.mended, result.wrong = [], [], [], {check: [] for check in result.wrong}
    run = {"scenario": name, "build": build, "quiet": quiet, "seconds": seconds, "verdict": facts["verdict"], "losses": losses, "stolen": steal, "derived": derived,
           "why": facts["verdict_why"], "disturbed": long_stall(score.Stalls(watcher.pairs)) or taken(steal), "off": score_dict(off), "cpu": score_dict(cpu), "complaints": []}
    if flavor != "any" and flavor not in [row["flavor"] for row in runtimes]:
        run["complaints"].append(f"runtimes found: {runtimes}, {flavor} wanted")  # else that nothing blocked is worth nothing
    if not quiet and off.must + cpu.must == 0:
        run["complaints"].append("nothing was injected")
    return run


def taken(steal):
    """Of ns that the host took, for people, or "": two ticks of /proc/stat, of which one may have been before it, are none."""
    return f"the host took {steal // score.MS} ms of cpu time" if steal >= STOLEN else ""


def disagrees(run):
    """Whether anything in it is not as it should be."""
    return bool(run["complaints"]) or any(run[part]["false"] or run[part]["found"] < run[part]["must"] or any(run[part]["wrong"].values()) for part in ("off", "cpu"))


def undisturbed(record, folder, quiet_only):
    """
    A run; one that disagrees is repeated, as any live test (tap.py), while the host stopped the machine so long that a short poll may have seemed long.
    quiet_only: of figures that are quoted only quiet runs are, and when the host says itself that it took so much.
    """
    for number in range(1, TRIES + 1):
        empty = folder / str(number)
        empty.mkdir()
        run = record(empty)
        why = run["disturbed"] if not quiet_only else run["quiet"] and taken(run["stolen"])
        if not why or not disagrees(run):
            break
        print(f"{run['scenario']}: disagrees, and {why}{': repeated' if number < TRIES else ''}", flush=True)
    return run
