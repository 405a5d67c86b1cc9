#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Records one small program (program.rs) built with many versions of Tokio, with symbols and as people ship it, and checks what ascope says against what the program says.

  tests/versions/run.py [--versions 1.20.6,1.54.1] [--builds release,shipped] [--table FILE] [--out DIR]

Each version is built for workers (`rt-multi-thread`) and for current_thread alone (`rt`), as plain release and as `shipped`: fat LTO, panic=abort, stripped. Each of these
is recorded for 3 s. Wanted: its runtime is found, each sleep it injected is a row of the right length, and nothing else blocks for 10 ms. Prints TAP and a table;
needs root, cargo and some minutes: `make check-versions`, not a part of `make check`.
"""
import argparse
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VERSIONS = "1.20.6,1.21.2,1.22.0,1.25.3,1.28.2,1.29.1,1.36.0,1.43.4,1.47.5,1.51.0,1.53.3,1.54.1"
SECONDS = 3
MIN_BLOCK = 10_000_000  # ns
SLACK = 3_000_000  # the machine may be slow to run a thread again; the program's own clock says when it was

MANIFEST = """[package]
name = "program"
version = "0.1.0"
edition = "2021"
rust-version = "1.85"

[[bin]]
name = "program"
path = "{here}/program.rs"

[features]
workers = ["tokio/rt-multi-thread"]

[dependencies]
libc = "0.2"
tokio = {{ version = "={version}", features = ["rt", "time"] }}

[profile.shipped]
inherits = "release"
lto = "fat"
codegen-units = 1
panic = "abort"
strip = true

[workspace]
"""


def run(args, **more):
    done = subprocess.run(args, capture_output=True, text=True, **more)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, args))}: exit {done.returncode}\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return done.stdout


def build(out, version, workers, profile):
    folder = out / "src"
    folder.mkdir(parents=True, exist_ok=True)
    binary = out / f"program-{version}-{'workers' if workers else 'current'}-{profile}"
    if binary.exists() and binary.stat().st_mtime > (HERE / "program.rs").stat().st_mtime:
        return binary
    (folder / "Cargo.toml").write_text(MANIFEST.format(here=HERE, version=version))
    (folder / "Cargo.lock").unlink(missing_ok=True)
    env = dict(os.environ, CARGO_TARGET_DIR=str(out / "target"), CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS="fallback")
    run(["nice", "-n", "19", "cargo", "build", "--quiet", "-j1", "--profile", profile] + (["--features", "workers"] if workers else []), cwd=folder, env=env)
    binary.unlink(missing_ok=True)
    os.link(out / "target" / profile / "program", binary)
    return binary


def query(ascope, capture, sql):
    return json.loads(run([ascope, "query", capture, sql, "--json"]))


def record(ascope, binary, workers, work):
    """Truth, and the answers of the capture."""
    capture = work / "capture.ascope"
    with (work / "truth").open("w") as truth:
        program = subprocess.Popen([binary, "workers" if workers else "current", str(SECONDS + 3)], stdout=truth)
        try:
            time.sleep(0.7)
            run([ascope, "record", "-p", str(program.pid), "-o", capture, "--duration", str(SECONDS)], timeout=60)
        finally:
            program.kill()  # each line of its truth was written at once
            program.wait(timeout=30)
    sleeps = [tuple(map(int, line.split()[1:])) for line in (work / "truth").read_text().splitlines() if line.startswith("sleep ")]
    return {
        "sleeps": sleeps,
        "rows": query(ascope, capture, "SELECT * FROM blocking"),
        "runtimes": query(ascope, capture, "SELECT * FROM runtime"),
        "span": query(ascope, capture, "SELECT ts_start, ts_end FROM capture")[0],
        "unpaired": query(ascope, capture, "SELECT coalesce(sum(count), 0) AS n FROM loss WHERE cause = 'unpaired'")[0]["n"],
    }


def judge(seen, version, workers, shipped):
    """Mistakes, and the figures of the table's line."""
    flavor = "multi_thread" if workers else "current_thread"
    wrong = []
    runtime = [r for r in seen["runtimes"] if r["flavor"] == flavor]
    if len(seen["runtimes"]) != 1 or not runtime:
        wrong.append(f"runtimes: {[(r['flavor'], r['workers']) for r in seen['runtimes']]}, not one {flavor}")
    elif runtime[0]["tokio_version"] != version:
        wrong.append(f"version {runtime[0]['tokio_version']}, not {version}")
    elif workers and runtime[0]["workers"] != 2:
        wrong.append(f"{runtime[0]['workers']} workers, not 2")
    if runtime and runtime[0]["found_by"] != ("scan" if shipped else "symbol+scan"):
        wrong.append(f"found by {runtime[0]['found_by']}")
    rows = [r for r in seen["rows"] if r["dur"] >= MIN_BLOCK]
    start, end = seen["span"]["ts_start"], seen["span"]["ts_end"]
    must = [s for s in seen["sleeps"] if s[0] > start + 100_000_000 and s[1] < end - 10_000_000]
    found, worst, free = 0, 0, list(rows)
    for begin, stop in must:
        hit = [r for r in free if r["class"] == "sleep" and r["holds"] == "runtime" and r["ts"] < stop and r["ts"] + r["dur"] > begin]
        if not hit:
            wrong.append(f"sleep at {begin} is missing")
            continue
        free.remove(hit[0])
        found += 1
        worst = max(worst, abs(hit[0]["dur"] - (stop - begin)))
    edge = [s for s in seen["sleeps"] if s not in must]
    extra = [r for r in free if not any(r["ts"] < s[1] and r["ts"] + r["dur"] > s[0] for s in edge)]
    for r in extra:
        wrong.append(f"not injected: {r['dur'] / 1e6:.1f} ms {r['class']} holds {r['holds']} task {r['task_id']}")
    if len(must) < 10:
        wrong.append(f"only {len(must)} sleeps in the recording")
    if worst > SLACK:
        wrong.append(f"a length is wrong by {worst / 1e6:.1f} ms")
    tick = runtime[0]["tick_valid"] if runtime else 0
    return wrong, {"found": f"{found}/{len(must)}", "else": len(extra), "by": runtime[0]["found_by"] if runtime else "-", "tick": "yes" if tick else "no",
                   "tasks": "yes" if any(r["task_id"] for r in rows) else "no", "worst": f"{worst / 1e6:.2f}"}


class Turn:
    """Holds the lock for a while at a time: others record on this machine, too."""

    LONGEST = 50  # s

    def __init__(self, path):
        self.file, self.since = path.open("w"), None

    def take(self):
        if self.since and time.monotonic() - self.since > self.LONGEST:
            fcntl.flock(self.file, fcntl.LOCK_UN)
            time.sleep(0.5)
            self.since = None
        if not self.since:
            fcntl.flock(self.file, fcntl.LOCK_EX)
            self.since = time.monotonic()


def one(args, turn, binary, version, workers, profile):
    for _ in range(3):
        turn.take()
        with tempfile.TemporaryDirectory(dir=args.out) as work:
            seen = record(args.ascope, binary, workers, Path(work))
        wrong, line = judge(seen, version, workers, profile == "shipped")
        if not wrong or not seen["unpaired"]:  # only a run in which the kernel left out switches may be repeated
            break
    return wrong, line


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--versions", default=VERSIONS)
    p.add_argument("--builds", default="release,shipped")
    p.add_argument("--flavors", default="workers,current")
    p.add_argument("--table", type=Path)
    p.add_argument("--out", type=Path, default=ROOT / "out" / "versions")
    p.add_argument("--lock", type=Path, default=Path(os.devnull), help="hold this file's lock while recording")
    p.add_argument("--ascope", type=Path, default=Path(os.environ.get("ASCOPE", ROOT / "out" / "ascope")))
    args = p.parse_args()
    args.out = args.out.resolve()
    args.out.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        print("1..0 # SKIP not root")
        return 77
    cases = [(v, f == "workers", b) for v in args.versions.split(",") for f in args.flavors.split(",") for b in args.builds.split(",")]
    print(f"1..{len(cases)}")
    table, failed, binaries = [], 0, {}
    for case in cases:
        try:
            binaries[case] = build(args.out, *case)
        except RuntimeError as e:
            binaries[case] = e
    turn = Turn(args.lock)
    for i, (version, workers, profile) in enumerate(cases, 1):
        name = f"tokio {version} {'rt-multi-thread' if workers else 'rt'} {profile}"
        try:
            binary = binaries[version, workers, profile]
            if isinstance(binary, RuntimeError):
                raise binary
            wrong, line = one(args, turn, binary, version, workers, profile)
        except (RuntimeError, subprocess.TimeoutExpired) as e:
            wrong, line = [str(e)], None
        print(f"{'not ok' if wrong else 'ok'} {i} - {name}", flush=True)
        for w in wrong:
            print("# " + w.replace("\n", "\n# "), flush=True)
        failed += bool(wrong)
        if line:
            table.append((version, "rt-multi-thread" if workers else "rt", profile, line, not wrong))
    text = ["| Tokio | features | build | found by | sleeps reported | worst length error, ms | anything else ≥ 10 ms | task ids | tick proven | |", "|---|---|---|---|---|---|---|---|---|---|"]
    text += [f"| {v} | {f} | {b} | {l['by']} | {l['found']} | {l['worst']} | {l['else']} | {l['tasks']} | {l['tick']} | {'ok' if good else 'FAILED'} |" for v, f, b, l, good in table]
    if args.table:
        args.table.write_text("\n".join(text) + "\n")
    print("\n".join("# " + t for t in text))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
