#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Records one small program (program.rs) built with many versions of Tokio, as people build and ship it, and checks what ascope says against what the program says.

  tests/tokio/run.py [--quick] [--only TEXT]... [--update] [--out DIR]

Each case is a release, a build, a choice of cargo features and what the program does: pairs of these are covered, not all of them (CASES). Each is recorded for some
seconds as by default, then with --polls and --wakes. Wanted of all: the runtimes are found, each sleep that was injected is a row of the right length, and nothing else
blocks for 10 ms. Of tasks: what ascope says of id, name, where and by whom it was spawned, when and how it ended, how often it was polled and woken is never
wrong; how much of that it can say of a build is a promise, the table of doc/tokio.md, which must be kept (--update writes it).

Prints TAP and the table. Needs root, cargo and, without --quick, half an hour: `make check-tokio`.
"""
import argparse
import fcntl
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PROMISE = ROOT / "doc" / "tokio.md"
NEWEST = "newest"  # of crates.io today
BUILDS = {  # name -> profile of Cargo.toml, flags of rustc
    "release": ("release", ""),
    "lto-abort": ("ltoabort", ""),
    "v0": ("release", "-Csymbol-mangling-version=v0"),
    "stripped": ("ltoabort", ""),  # and then strip(1): the report is given what it was made of, too
    "debug1": ("debug1", ""),
}
# Every release with two or three of the others; every build with both choices of features and with every mode.
CASES = [(version, *rest.split()) for version, rest in [
    ("1.20.6", "release full workers"), ("1.20.6", "lto-abort rt current"),
    ("1.24.2", "v0 rt current"), ("1.24.2", "stripped full workers"),
    ("1.29.1", "lto-abort full two"), ("1.29.1", "debug1 rt localset"),
    ("1.36.0", "release rt localset"), ("1.36.0", "stripped full two"),
    ("1.40.0", "v0 full workers"), ("1.40.0", "lto-abort rt current"),
    ("1.43.4", "stripped rt current"), ("1.43.4", "release full two"),
    ("1.47.5", "debug1 full workers"), ("1.47.5", "lto-abort full localset"),
    ("1.51.0", "release full current"), ("1.51.0", "v0 rt localset"),
    ("1.53.1", "lto-abort full workers"), ("1.53.1", "stripped rt two"),
    (NEWEST, "release full workers"), (NEWEST, "debug1 full two"), (NEWEST, "v0 full localset"), (NEWEST, "lto-abort full current"), (NEWEST, "stripped full workers"),
]]
QUICK = [(NEWEST, "release", "full", "workers"), ("1.36.0", "stripped", "full", "two"), ("1.24.2", "v0", "rt", "current")]
SECONDS, DETAIL_SECONDS = 3, 2
MS = 1_000_000  # ns
MIN_BLOCK = 10 * MS
SLACK = 3 * MS  # the machine may be slow to run a thread again; the program's own clock says when it was
SOON = 100 * MS  # after the begin of a recording

MANIFEST = """[package]
name = "program"
version = "0.1.0"
edition = "2021"
rust-version = "1.85"

[[bin]]
name = "program"
path = "{here}/program.rs"

[features]
workers = ["tokio/full"]

[dependencies]
libc = "0.2"
tokio = {{ version = "{version}", features = ["rt", "time"] }}

[profile.ltoabort]
inherits = "release"
lto = "fat"
codegen-units = 1
panic = "abort"

[profile.debug1]
inherits = "release"
debug = 1

[workspace]
"""


def run(args, **more):
    done = subprocess.run(args, capture_output=True, text=True, check=False, **more)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, args))}: exit {done.returncode}\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return done.stdout


def build(out, version, kind, features):
    """The program, and the release of Tokio in it."""
    profile, flags = BUILDS[kind]
    folder = out / f"src-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    binary = out / f"program-{version}-{features}-{kind}"
    manifest, lock = folder / "Cargo.toml", folder / "Cargo.lock"
    text = MANIFEST.format(here=HERE, version="1" if version == NEWEST else "=" + version)
    if not manifest.exists() or manifest.read_text() != text:
        manifest.write_text(text)
    if not binary.exists() or binary.stat().st_mtime < max(manifest.stat().st_mtime, (HERE / "program.rs").stat().st_mtime):
        env = dict(os.environ, CARGO_TARGET_DIR=str(out / "target"), CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS="fallback", RUSTFLAGS=flags)
        run(["nice", "-n", "19", "cargo", "build", "--quiet", "-j1", "--profile", profile] + (["--features", "workers"] if features == "full" else []), cwd=folder, env=env)
        binary.unlink(missing_ok=True)
        if kind == "stripped":
            run(["cp", out / "target" / profile / "program", whole_of(binary)])
            run(["strip", "-o", binary, whole_of(binary)])
        else:
            os.link(out / "target" / profile / "program", binary)
    return binary, re.search(r'name = "tokio"\nversion = "([^"]+)"', lock.read_text())[1]


def whole_of(binary):
    """The file with symbols that a stripped one was made of."""
    return binary.with_name(binary.name + ".whole")


def query(ascope, capture, binary, sql):
    return json.loads(run([ascope, "query", "--target", binary, capture, sql, "--json"]))


def numbers(line):
    return list(map(int, line.split()[1:]))


def read_truth(text):
    truth = {"sleeps": [], "spawns": {}, "ends": {}}
    for line in text.splitlines():
        word = line.split()
        if word[0] == "sleep":
            truth["sleeps"].append(tuple(numbers(line)))
        elif word[0] == "spawn":
            k, source_line, parent, begin, end = map(int, word[1:6])
            truth["spawns"][k] = {"k": k, "line": source_line, "parent": parent, "begin": begin, "end": end, "type": word[6]}
        elif word[0] in ("end", "abort"):
            truth["ends"][int(word[1])] = (int(word[2]), "done" if word[0] == "end" else "cancelled")
    return truth


def record(ascope, binary, mode, work, detail):
    """Truth, and the answers of the capture; of a stripped program with its symbols at hand, and `bare` without."""
    whole = whole_of(binary) if whole_of(binary).exists() else binary
    capture = work / "capture.ascope"
    seconds = DETAIL_SECONDS if detail else SECONDS
    with (work / "truth").open("w") as out:
        program = subprocess.Popen([binary, mode, str(seconds + 60)], stdout=out)
        try:
            time.sleep(0.7)
            run([ascope, "record", "-p", str(program.pid), "-o", capture, "--duration", str(seconds), "--max-overhead", "100"] + (["--polls", "--wakes"] if detail else []), timeout=60)
        finally:
            program.kill()  # each line of its truth was written at once
            program.wait(timeout=30)

    def rows(sql):
        return query(ascope, capture, whole, sql)

    return {
        "truth": read_truth((work / "truth").read_text()),
        "rows": rows("SELECT * FROM blocking"),
        "runtimes": rows("SELECT * FROM runtime"),
        "tasks": rows("SELECT * FROM task"),
        "bare": query(ascope, capture, binary, "SELECT * FROM task") if whole != binary and not detail else None,
        "polls": rows("SELECT task_id, count(*) AS n, count(dur) AS ended FROM task_poll GROUP BY task_id") if detail else [],
        "wakes": rows("SELECT task_id, waker, count(*) AS n, count(delay) AS polled FROM task_wake GROUP BY task_id, waker") if detail else [],
        "span": rows("SELECT ts_start, ts_end FROM capture")[0],
        "unpaired": rows("SELECT coalesce(sum(count), 0) AS n FROM loss WHERE cause = 'unpaired'")[0]["n"],
    }


# ---- runtimes and blocking ----

def judge_runtimes(seen, version, kind, features, mode, wrong):
    one = "multi_thread" if features == "full" else "current_thread"
    want = {"workers": [one], "two": sorted(["current_thread", one])}.get(mode, ["current_thread"])
    found = sorted(r["flavor"] for r in seen["runtimes"])
    if found != want:
        wrong.append(f"runtimes: {found}, not {want}")
    for r in seen["runtimes"]:
        if r["tokio_version"] != version:
            wrong.append(f"version {r['tokio_version']}, not {version}")
        if r["flavor"] == "multi_thread" and r["workers"] != 2:
            wrong.append(f"{r['workers']} workers, not 2")
        if r["found_by"] != ("scan" if kind == "stripped" else "symbol+scan"):
            wrong.append(f"found by {r['found_by']}")


def judge_blocking(seen, wrong):
    """How many of the sleeps were found; the id of the task that sleeps."""
    rows = [r for r in seen["rows"] if r["dur"] >= MIN_BLOCK]
    start, end = seen["span"]["ts_start"], seen["span"]["ts_end"]
    sleeps = seen["truth"]["sleeps"]
    must = [s for s in sleeps if s[0] > start + SOON and s[1] < end - 10 * MS]
    found, free = 0, list(rows)
    for begin, stop in must:
        hit = [r for r in free if r["class"] == "sleep" and r["holds"] == "runtime" and r["ts"] < stop and r["ts"] + r["dur"] > begin]
        if not hit:
            wrong.append(f"sleep at {begin} is missing")
            continue
        free.remove(hit[0])
        found += 1
        if abs(hit[0]["dur"] - (stop - begin)) > SLACK:
            wrong.append(f"a length is wrong by {abs(hit[0]['dur'] - (stop - begin)) / MS:.1f} ms")
    edge = [s for s in sleeps if s not in must]
    for r in free:
        if not any(r["ts"] < s[1] and r["ts"] + r["dur"] > s[0] for s in edge):
            wrong.append(f"not injected: {r['dur'] / MS:.1f} ms {r['class']} holds {r['holds']} task {r['task_id']}")
    if len(must) < 10:
        wrong.append(f"only {len(must)} sleeps in the recording")
    ids = {r["task_id"] for r in rows if r["class"] == "sleep"}
    if len(ids) > 1:
        wrong.append(f"one task sleeps, which is said to be {sorted(map(str, ids))}")
    return f"{found}/{len(must)}", next(iter(ids), None)


# ---- tasks ----

class Level:
    """How much is known of a thing, over all tasks: nothing wrong may be said of any, and of how many it was said."""

    def __init__(self, what, wrong):
        self.what, self.wrong, self.known, self.asked = what, wrong, 0, 0

    def tell(self, right, said, want):
        """right: None, nothing was said."""
        self.asked += 1
        self.known += right is True
        if right is False:
            self.wrong.append(f"{self.what}: {said!r}, should be {want!r}")

    def share(self):
        return self.known / self.asked if self.asked else 0.0

    def word(self):
        """Lost records and edges of the recording may cost a few."""
        return "yes" if self.share() >= 0.97 else "no" if not self.known else "some"


def own_function(type_name):
    """program::parent::{{closure}}::{{closure}} -> parent."""
    return type_name.split("::")[1]


def is_for_the_pool(type_name):
    return own_function(type_name) == "pool" and type_name.count("closure") > 1


def named_right(name, type_name):
    if name is None:
        return None
    candidates = name.split(" | ")
    right = [c for c in candidates if re.search(rf"\b{own_function(type_name)}\b", c)]
    return bool(right) and (True if len(candidates) == 1 else None)


def id_offset(truth, blocker_id):
    """What to add to a task's number for its id. Of two runtimes, either may spawn first."""
    blocker = next((k for k, spawn in truth["spawns"].items() if own_function(spawn["type"]) == "blocker"), None)
    return None if blocker_id is None or blocker is None else blocker_id - blocker


def judge_tasks(seen, blocker_id, wrong):
    truth, (start, end) = seen["truth"], (seen["span"]["ts_start"], seen["span"]["ts_end"])
    names = ["spawn seen", "location", "function", "spawned by", "name", "end", "alive at start"]
    levels = {name: Level(name, wrong) for name in names}
    offset = id_offset(truth, blocker_id)
    by_id = {r["task_id"]: r for r in seen["tasks"] if r["task_id"] is not None}
    if offset is None:
        return {name: "no" for name in names}
    for k, spawn in truth["spawns"].items():
        row = by_id.get(k + offset)
        ended, how = truth["ends"].get(k, (None, None))
        if spawn["begin"] < start:
            if (ended is None or ended > start + SOON) and not is_for_the_pool(spawn["type"]):
                levels["alive at start"].tell(True if row and row["alive_at_start"] else None, None, None)
            continue
        if spawn["begin"] < start + SOON or spawn["end"] > end - 20 * MS:
            continue
        row = row or {}
        ts = row.get("ts_spawn")
        levels["spawn seen"].tell(None if ts is None else spawn["begin"] - MS <= ts <= spawn["end"] + MS, ts, spawn)
        line = row.get("spawn_line")
        levels["location"].tell(None if line is None else line == spawn["line"] and row["spawn_file"].endswith("program.rs"), (row.get("spawn_file"), line), spawn["line"])
        function = row.get("spawn_function")
        levels["function"].tell(True if function else None, function, None)
        by, origin = row.get("spawned_by"), row.get("spawned_from")
        if origin is not None:
            want = spawn["parent"] + offset if spawn["parent"] else None
            levels["spawned by"].tell(by == want and origin == ("task" if want else "root"), (by, origin), want)
        else:
            levels["spawned by"].tell(None, None, None)
        levels["name"].tell(named_right(row.get("name"), spawn["type"]), row.get("name"), spawn["type"])
        if ended and ended < end - 20 * MS:
            got = row.get("ended")
            levels["end"].tell(None if got is None else got in (how, "dropped"), (got, row.get("ts_end")), (how, ended))
    return {name: level.word() for name, level in levels.items()}


def judge_detail(seen, blocker_id, wrong):
    """Each leaf is polled twice and woken once in between, by the timer."""
    truth, (start, end) = seen["truth"], (seen["span"]["ts_start"], seen["span"]["ts_end"])
    polls = {r["task_id"]: r for r in seen["polls"]}
    wakes = {r["task_id"]: r for r in seen["wakes"]}
    offset = id_offset(truth, blocker_id)
    if offset is None:
        return {"polls": "no", "wakes": "no"}
    polled, woken = Level("polls", wrong), Level("wakes", wrong)
    for k, spawn in truth["spawns"].items():
        ended = truth["ends"].get(k)
        if own_function(spawn["type"]) != "leaf" or not ended or spawn["begin"] < start + 500 * MS or ended[0] > end - 20 * MS:
            continue
        got = polls.get(k + offset)
        polled.tell(got and got["n"] == 2 and got["ended"] == 2, got, "2 polls")
        got = wakes.get(k + offset)
        woken.tell(got and got["n"] == 1 and got["waker"] == "driver", got, "1 wake by the driver")
    return {"polls": polled.word(), "wakes": woken.word()}


# ---- all of it ----

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


def one(args, turn, case, binary, release):
    _, kind, features, mode = case
    for _ in range(3):
        wrong, line = [], {"version": release}
        turn.take()
        with tempfile.TemporaryDirectory(dir=args.out) as work:
            seen = record(args.ascope, binary, mode, Path(work), False)
        with tempfile.TemporaryDirectory(dir=args.out) as work:
            detail = record(args.ascope, binary, mode, Path(work), True)
        judge_runtimes(seen, release, kind, features, mode, wrong)
        line["sleeps"], blocker_id = judge_blocking(seen, wrong)
        line["ids"] = "no" if blocker_id is None else "yes"
        line["tick"] = "yes" if all(r["tick_valid"] for r in seen["runtimes"]) else "no"
        if seen["bare"] is not None:  # it can say less, and nothing wrong either
            judge_tasks(dict(seen, tasks=seen["bare"]), blocker_id, wrong)
        line.update(judge_tasks(seen, blocker_id, wrong))
        ids = {r["task_id"] for r in detail["rows"] if r["class"] == "sleep" and r["dur"] >= MIN_BLOCK}
        line.update(judge_detail(detail, next(iter(ids), None), wrong))
        if not wrong or not seen["unpaired"] + detail["unpaired"]:  # only a run in which the kernel left out switches may be repeated
            break
    return wrong, line


COLUMNS = ["ids", "tick", "spawn seen", "location", "function", "spawned by", "name", "end", "alive at start", "polls", "wakes"]
HEAD = "| Tokio | build | features | mode | sleeps found | " + " | ".join(COLUMNS) + " |"


def table_line(case, line):
    version = f"{line['version']} (newest)" if case[0] == NEWEST else case[0]
    return f"| {version} | {' | '.join(case[1:])} | {line['sleeps']} | " + " | ".join(line[c] for c in COLUMNS) + " |"


def table_lines():
    """(release, build, features, mode) -> line of the document's table."""
    kept = {}
    for line in PROMISE.read_text().splitlines() if PROMISE.exists() else ():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if len(cells) == 5 + len(COLUMNS) and re.match(r"\d", cells[0]):
            version = NEWEST if cells[0].endswith("(newest)") else cells[0]
            kept[(version, *cells[1:4])] = line
    return kept


def promises():
    """(release, build, features, mode) -> {column: word}."""
    return {case: dict(zip(COLUMNS, [c.strip() for c in line.strip("|").split("|")][5:])) for case, line in table_lines().items()}


def update(ran):
    """Writes the lines of the cases that ran; those of others stay."""
    kept = {**table_lines(), **ran}
    lines = [kept[case] for case in CASES if case in kept]
    text = PROMISE.read_text()
    begin, end = "<!-- tests/tokio/run.py --update -->\n", "<!-- end -->\n"
    head, rest = text.split(begin)
    table = "\n".join([HEAD, "|" + "---|" * (5 + len(COLUMNS))] + lines) + "\n"
    PROMISE.write_text(head + begin + "\n" + table + "\n" + end + rest.split(end)[1])


def broken_promises(case, line, kept):
    worth = {"no": 0, "some": 1, "yes": 2}
    for column, word in kept.get(case, {}).items():
        if worth[line[column]] < worth[word]:
            yield f"{column}: {line[column]}, promised is {word}"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="three cases")
    p.add_argument("--only", action="append", default=[], metavar="TEXT", help="cases whose name has it")
    p.add_argument("--update", action="store_true", help="write the lines of these cases into the table of doc/tokio.md")
    p.add_argument("--build-only", action="store_true")
    p.add_argument("--out", type=Path, default=ROOT / "out" / "tokio")
    p.add_argument("--lock", type=Path, default=Path(os.devnull), help="hold this file's lock while recording")
    p.add_argument("--ascope", type=Path, default=Path(os.environ.get("ASCOPE", ROOT / "out" / "ascope")))
    args = p.parse_args()
    args.out = args.out.resolve()
    args.out.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        print("1..0 # SKIP not root")
        return 77
    cases = [c for c in (QUICK if args.quick else CASES) if all(text in " ".join(c) for text in args.only)]
    print(f"1..{len(cases)}")
    binaries = {}
    for case in cases:
        try:
            binaries[case] = build(args.out, *case[:3])
        except RuntimeError as e:
            binaries[case] = e
    if args.build_only:
        return 0
    lines, failed, turn, kept = {}, 0, Turn(args.lock), promises()
    for i, case in enumerate(cases, 1):
        try:
            if isinstance(binaries[case], RuntimeError):
                raise binaries[case]
            wrong, line = one(args, turn, case, *binaries[case])
        except (RuntimeError, subprocess.TimeoutExpired) as e:
            wrong, line = [str(e)], None
        if line:
            lines[case] = table_line(case, line)
            if not args.update:
                wrong += broken_promises(case, line, kept)
        print(f"{'not ok' if wrong else 'ok'} {i} - tokio {' '.join(case)}", flush=True)
        for w in wrong[:12]:
            print("# " + w.replace("\n", "\n# "), flush=True)
        if line:
            print("# " + "  ".join(f"{c}: {line[c]}" for c in ["sleeps"] + COLUMNS), flush=True)
        failed += bool(wrong)
    if args.update and not failed:
        update(lines)
    print("\n".join("# " + t for t in [HEAD] + list(lines.values())))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
