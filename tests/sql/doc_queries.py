#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""doc_queries.py: runs every query of doc/sql.md on the kept capture and compares what it prints with what stands below it there.

usage: doc_queries.py ASCOPE DOC CAPTURE NAMES [--update]

A query is a ```sql block. Below it stands a ```text block: the whole output of `ascope query`, or, where its last line is "...", the beginning. Each query
must print a row at least. --update writes the ```text blocks. Prints TAP.
"""
import re
import subprocess
import sys

BLOCK = re.compile(r"(^### (\d+)\. ([^\n]*)\n\n```sql\n(.*?)\n```\n)(\n```text\n(.*?)```\n)?", re.S | re.M)
MOST_ROWS = 12
LEAST_QUERIES = 20


def run(ascope, capture, names, sql):
    """Output lines of the query, or a sentence that says why there are none."""
    r = subprocess.run([ascope, "query", "--target", names, capture, sql], capture_output=True, text=True, timeout=60)
    if r.returncode != 0:
        return None, r.stderr
    return r.stdout.splitlines(), None


def check(lines, expected):
    """What is wrong with the output; None when nothing is."""
    if len(lines) < 2:
        return "no row"
    if expected is None:
        return "the document does not show its output: doc_queries.py --update"
    want = expected.splitlines()
    if want and want[-1] == "...":
        want = want[:-1]
        if len(want) < 2 or len(lines) <= len(want):
            return "fewer rows than shown"
        lines = lines[: len(want)]
    for i, (a, b) in enumerate(zip(want, lines)):
        if a.rstrip() != b.rstrip():
            return f"line {i + 1} is\n{b}\nand not\n{a}"
    return None if len(want) == len(lines) else f"{len(lines) - 1} rows, not {len(want) - 1}"


def main():
    args = [a for a in sys.argv[1:] if a != "--update"]
    if len(args) != 4:
        sys.exit(__doc__)
    ascope, doc, capture, names = args
    update = "--update" in sys.argv
    text = open(doc, encoding="utf-8").read()
    failed = 0
    outputs = {}
    found = list(BLOCK.finditer(text))
    numbers = [int(m.group(2)) for m in found]
    for m in found:
        number, title, sql, expected = int(m.group(2)), m.group(3), m.group(4), m.group(6)
        lines, why = run(ascope, capture, names, sql)
        if lines is not None:
            shown = lines if len(lines) <= MOST_ROWS + 1 else lines[: MOST_ROWS + 1] + ["..."]
            outputs[number] = "".join(line.rstrip() + "\n" for line in shown)
            why = ("no row" if len(lines) < 2 else None) if update else check(lines, expected)
        print(f"{'not ' if why else ''}ok {number} - {title}")
        if why:
            failed += 1
            print("\n".join("# " + line for line in why.splitlines()))
    if numbers != list(range(1, len(found) + 1)) or len(found) < LEAST_QUERIES or text.count("```sql\n") != len(found):
        failed += 1
        print(f"not ok {len(found) + 1} - the queries are numbered, at least {LEAST_QUERIES}, and under a heading each: {numbers}")
    if update and not failed:
        with open(doc, "w", encoding="utf-8") as f:
            f.write(BLOCK.sub(lambda m: m.group(1) + "\n```text\n" + outputs[int(m.group(2))] + "```\n", text))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
