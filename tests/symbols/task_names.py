#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Names of types of tasks beside what the program itself says of them. TAP.

    task_names.py SYM_BENCH [--versions 1.54.1] [--builds release,lto] [--out DIR] [--show]

Builds tasks/main.rs with each version of Tokio in each way, runs it - it prints of each task the functions in its vtable and its type - and asks the symbolizer
for the same types by these functions alone. A name that is sure must be right. One that is not lists candidates: the right one must be among them, unless the
list is open ("| ..."), as the linker dropped names. --show: each type that is not named exactly.

In linkers' names an async block of a plain function looks as the function itself, if it is one that is async, and what bodies a body is in is not told: a name
counts as right when it is but for these.
"""
import argparse
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LEAST_TYPES = 30
# what each way of building must give at least of 100 types: (exact or right, those and closed lists)
LEAST = {"release": (60, 100), "v0": (100, 100), "debug1": (90, 100), "debug2": (90, 100), "lto": (45, 45), "abort": (40, 40)}

MANIFEST = """[package]
name = "names"
version = "0.1.0"
edition = "2021"

[[bin]]
name = "names"
path = "{here}/tasks/main.rs"

[dependencies]
futures-util = {{ version = "0.3", default-features = false, features = ["alloc"] }}
tokio = {{ version = "={version}", features = ["full"] }}
tracing = {{ version = "0.1", default-features = false, features = ["std"] }}

[profile.release]
debug = {debug}
lto = {lto}
codegen-units = {units}
panic = "{panic}"

[workspace]
"""
BUILDS = {  # debug, lto, codegen-units, panic, options of rustc
    "release": (0, "false", 16, "unwind", ""),
    "v0": (0, "false", 16, "unwind", "-Csymbol-mangling-version=v0"),
    "debug1": (1, "false", 16, "unwind", ""),
    "debug2": (2, "false", 16, "unwind", ""),
    "lto": (0, '"fat"', 1, "unwind", ""),
    "abort": (0, '"fat"', 1, "abort", ""),
}


class Failed(Exception):
    pass


def run(argv, **more):
    done = subprocess.run(argv, capture_output=True, text=True, **more)
    if done.returncode:
        raise Failed(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    return done.stdout


def build(out, version, how):
    source, binary = os.path.join(out, "src"), os.path.join(out, f"names-{version}-{how}")
    newest = max(os.path.getmtime(p) for p in (os.path.join(HERE, "tasks", "main.rs"), os.path.abspath(__file__)))
    if os.path.exists(binary) and os.path.getmtime(binary) > newest:
        return binary
    os.makedirs(source, exist_ok=True)
    debug, lto, units, panic, flags = BUILDS[how]
    with open(os.path.join(source, "Cargo.toml"), "w") as f:
        f.write(MANIFEST.format(here=HERE, version=version, debug=debug, lto=lto, units=units, panic=panic))
    if os.path.exists(os.path.join(source, "Cargo.lock")):
        os.unlink(os.path.join(source, "Cargo.lock"))
    env = dict(os.environ, CARGO_TARGET_DIR=os.path.join(out, "target"), RUSTFLAGS=flags, CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS="fallback")
    run(["nice", "-n", "19", "cargo", "build", "--release", "--quiet"], cwd=source, env=env)
    if os.path.exists(binary):
        os.unlink(binary)
    os.link(os.path.join(out, "target", "release", "names"), binary)
    os.utime(binary)
    return binary


def truth(binary):
    """One row for each vtable: poll, dealloc, names that are right. Several types may have come to share one."""
    rows = {}
    for line in run([binary], timeout=60).splitlines():
        if line.startswith("task "):
            functions, name, kind = line.split("\t")
            poll, dealloc, vtable = functions.split()[1:]
            rows.setdefault(vtable, (poll, dealloc, {}))[2][name] = kind
    return list(rows.values())


def loose(name):
    return re.sub(r"::\{\{?[^}]*\}\}?", "", name)


def judge(how, name, wanted):
    if how == "none":
        return "none"
    if how != "candidates":
        return "exact" if name in wanted else "right" if loose(name) in map(loose, wanted) else "WRONG"
    names = name.split(" | ")
    if set(map(loose, names)) & set(map(loose, wanted)):
        return "open, with it" if names[-1] == "..." else "candidates"
    return "open, without" if names[-1] == "..." else "WRONG"


def compare(tool, binary, show):
    rows = truth(binary)
    if len(rows) < LEAST_TYPES:
        raise Failed(f"only {len(rows)} types of tasks")
    answers = run([tool, "tasks", binary], input="".join(f"{poll} {dealloc}\n" for poll, dealloc, _ in rows)).splitlines()
    if len(answers) != len(rows):
        raise Failed(f"{len(answers)} answers to {len(rows)} questions")
    counts, notes, wrong = {"exact": 0, "right": 0, "candidates": 0, "open, with it": 0, "open, without": 0, "none": 0, "WRONG": 0}, [], []
    for (poll, dealloc, wanted), answer in zip(rows, answers):
        how, kind, name = answer.split("\t")
        verdict = judge(how, name, wanted)
        blocking = any("blocking" in w or w in ("names::hash_one", "fn() -> u64") for w in wanted)
        counts[verdict] += 1
        if verdict != "exact" and show:
            notes.append(f"{verdict}: {name or '-'} ({how}), not {' or '.join(wanted)}")
        if verdict == "WRONG":
            wrong.append(f"{poll} {dealloc}: {name} ({how}), not {' or '.join(wanted)}: {' or '.join(wanted.values())}")
        if name and (kind == "blocking") != blocking and how != "candidates":
            wrong.append(f"{name} is {kind}")
    return counts, notes, wrong


def too_few(counts, how):
    total, sure = sum(counts.values()), counts["exact"] + counts["right"]
    named, closed = LEAST[how]
    if sure * 100 < named * total:
        return [f"only {sure} of {total} types have a name that is sure, not {named} %"]
    if (sure + counts["candidates"]) * 100 < closed * total:
        return [f"only {sure + counts['candidates']} of {total} types have a name or all that it can be, not {closed} %"]
    return []


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("tool")
    p.add_argument("--versions", default="1.54.1")
    p.add_argument("--builds", default="release,lto")
    p.add_argument("--out", default=os.path.join(ROOT, "out", "tasks"))
    p.add_argument("--show", action="store_true")
    options = p.parse_args()
    cases = [(v, b) for v in options.versions.split(",") for b in options.builds.split(",")]
    os.makedirs(options.out, exist_ok=True)
    table, failed = [], 0
    for n, (version, how) in enumerate(cases, 1):
        counts, notes = None, []
        try:
            counts, notes, wrong = compare(options.tool, build(os.path.abspath(options.out), version, how), options.show)
            wrong += too_few(counts, how)
        except (Failed, OSError, subprocess.TimeoutExpired) as e:
            wrong = [str(e)]
        failed += bool(wrong)
        print(f"{'not ok' if wrong else 'ok'} {n} - names of types of tasks: tokio {version}, {how}", flush=True)
        for line in wrong + notes:
            print("# " + line.replace("\n", "\n# "), flush=True)
        if counts:
            table.append((version, how, counts))
    if table:
        print("# | Tokio | build | " + " | ".join(table[0][2]) + " |")
    for version, how, counts in table:
        print(f"# | {version} | {how} | " + " | ".join(map(str, counts.values())) + " |")
    print(f"1..{len(cases)}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
