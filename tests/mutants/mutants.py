#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Breaks each rule of what blocking is, one at a time, and demands that a test notices.

    mutants.py OUT [--list] [--doc] [NAME...]

A mutant is one replacement in one source file, of text that occurs there exactly once. For each, the file is changed in a copy of the tree (never in the
tree itself), the unit tests named with it are built and run there, and at least one must fail: by a test's own verdict, not because it does not compile.
A mutant that no test notices survives, and makes this exit with 1. Names are the rows of design note 35-blocking.

What it needs is a built tree: OUT holds objects of the same sources, so that each mutant costs one file and one link.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys

from rules import MUTANTS

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))


def copy_tree(out):
    """The tracked files and the built objects, with their times, so that make builds only what a mutant changes."""
    tree = os.path.join(out, "mutants")
    shutil.rmtree(tree, ignore_errors=True)
    files = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], check=True, capture_output=True).stdout.decode().split("\0")
    for name in filter(None, files):
        source, target = os.path.join(ROOT, name), os.path.join(tree, name)
        if not os.path.isfile(source) or name.startswith("fixtures/captures/"):
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(source, target)
    for part in ("obj", "gen"):
        shutil.copytree(os.path.join(out, part), os.path.join(tree, "out", part), copy_function=shutil.copy2)
    shutil.copy2(os.path.join(out, "libascope.a"), os.path.join(tree, "out"))
    return tree


def make(tree, targets):
    return subprocess.run(["make", "-C", tree, "--no-print-directory", "OUT=out", "WERROR=0", *targets], capture_output=True, text=True)


def run_tests(tree, tests):
    """Names of the test functions that fail; None when something did not even build."""
    built = make(tree, [f"out/unit/{name}" for name in tests])
    if built.returncode:
        return None, built.stderr.strip().splitlines()[-5:]
    failed = []
    for name in tests:
        run = subprocess.run([os.path.join(tree, "out", "unit", name)], cwd=tree, capture_output=True, text=True, timeout=120)
        failed += sorted({f"{name}: {test}" for test in re.findall(r"\[  FAILED  \] (\w+)", run.stdout + run.stderr) if not test.isdigit()})
        if run.returncode and not failed:
            failed.append(f"{name}: exit {run.returncode}")
    return failed, []


def try_mutant(tree, mutant):
    path = os.path.join(tree, mutant.file)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if text.count(mutant.find) != 1:
        return "stale", [f"its text occurs {text.count(mutant.find)} times in {mutant.file}"]
    times = os.stat(path)
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(mutant.find, mutant.replace))
        failed, said = run_tests(tree, mutant.tests)
    finally:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        forget(tree, mutant)
    if failed is None:
        return "does not build", said
    return ("killed", failed) if failed else ("SURVIVED", [])


def forget(tree, mutant):
    """What was built of the mutant is older than the restored file nowhere: remove it, so that the next one starts clean."""
    obj = os.path.join(tree, "out", "obj", os.path.splitext(mutant.file)[0] + ".o")
    if mutant.file.endswith(".c") and os.path.exists(obj):
        os.remove(obj)
    for name in os.listdir(os.path.join(tree, "out", "unit")) if os.path.isdir(os.path.join(tree, "out", "unit")) else []:
        os.remove(os.path.join(tree, "out", "unit", name))


def write_doc(rows):
    table = ["| rule | in | tests that fail when it is broken |", "|---|---|---|"]
    table += [f"| {mutant.name} | `{mutant.file}` | {', '.join(f'`{d}`' for d in details)} |" for mutant, details in rows]
    path = os.path.join(ROOT, "doc", "accuracy.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    new, n = re.subn(r"(<!-- mutants: make [^\n]*-->\n).*?(<!-- mutants: end -->)", lambda m: m[1] + "\n".join(table) + "\n" + m[2], text, flags=re.S)
    if n != 1:
        raise SystemExit(f"{path}: no place for the table")
    with open(path, "w", encoding="utf-8") as file:
        file.write(new)


def main():
    parser = argparse.ArgumentParser(description="Break each rule once; a test must notice.")
    parser.add_argument("out")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--doc", action="store_true", help="write the table of rules and the tests that hold them into doc/accuracy.md")
    args = parser.parse_args()
    wanted = [m for m in MUTANTS if not args.names or any(name in m.name for name in args.names)]
    if args.list:
        print("\n".join(f"{m.name}\t{m.file}" for m in wanted))
        return 0
    tree = copy_tree(os.path.realpath(args.out))
    tests = sorted({test for mutant in wanted for test in mutant.tests})
    failed, said = run_tests(tree, tests)
    if failed or failed is None:
        print("mutants: the tests fail before anything is broken:", *(failed or said), sep="\n  ", file=sys.stderr)
        return 1
    rows, bad = [], 0
    for number, mutant in enumerate(wanted, 1):
        outcome, details = try_mutant(tree, mutant)
        bad += outcome != "killed"
        rows.append((mutant, details))
        print(f"[{number}/{len(wanted)}] {outcome:<8} {mutant.name}: {'; '.join(details)}", flush=True)
    print(f"{len(wanted) - bad} of {len(wanted)} broken rules were noticed")
    if args.doc and not bad and not args.names:
        write_doc(rows)
    shutil.rmtree(tree, ignore_errors=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
