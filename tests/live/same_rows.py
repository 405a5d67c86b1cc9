#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Says whether two outputs of `ascope report --blocking --json` hold the same blocks, frames included.

    same_rows.py BEFORE AFTER [--min-rows N]

Used for a capture that was moved together with its binary: nothing in the report may depend on where either lay, except a
frame's module, which is a path. Exit: 0 the same; 1 not, or fewer than N rows, or rows without names to compare.
"""
import argparse
import json
import sys


def blocks(path):
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    for block in report["blocks"]:
        for frame in block["frames"]:
            frame.pop("module", None)
    return report["blocks"]


def main():
    parser = argparse.ArgumentParser(description="Compare the blocks of two reports.")
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--min-rows", type=int, default=1)
    args = parser.parse_args()
    before, after = blocks(args.before), blocks(args.after)
    if len(before) < args.min_rows:
        print(f"only {len(before)} rows, {args.min_rows} wanted")
        return 1
    unnamed = [block for block in before if not block["function"] or not block["line"]]
    if unnamed:
        print(f"{len(unnamed)} of {len(before)} rows have no function or line, the first: {unnamed[0]}")
        return 1
    if before != after:
        pairs = [(b, a) for b, a in zip(before, after) if a != b]
        print(f"{len(before)} rows before, {len(after)} after; the first difference:")
        print(*pairs[:1] or ["one more row"], sep="\n")
        return 1
    print(f"{len(before)} rows, the same before and after")
    return 0


if __name__ == "__main__":
    sys.exit(main())
