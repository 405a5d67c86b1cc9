#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Compares what ascope reports of a program with what the program knows of itself.

    score.py TRUTH BLOCKING [--capture FILE] [--runtime FILE --flavor NAME --workers N] [--name NAME] [--min-must N]
             [--append FILE]
    score.py --self-test

TRUTH is a fixture's truth log (fixtures/truth: a head, then one JSON object per poll that blocked). The others are what
`ascope query CAPTURE "SELECT * FROM blocking" --json` printed, and likewise for the tables `capture` and `runtime`.

Every row of 10 ms or more is matched with at most one entry, by process, thread and overlap in time. Then
  - an entry that must be reported and has no row is a miss; a row without an entry is false;
  - a matched row must agree in class, system call, task, function, file and line, and its parts must add up;
  - a wait's length must be right to 1 ms. If the thread queued for a CPU for more than 0.5 ms meanwhile, the lengths may
    be compared without the queueing instead, on both sides, and the entry is counted as `delayed`;
  - a computation is known by samples: its length lies in [dur_min, dur_max] and within one period of dur_min + period;
  - entries that the capture holds only a part of are ignored, except that a row which says so itself (`open-start`,
    `open-end`) must name the right place.
Entries marked `may` (see fixtures/truth/src/kind.rs) may lack a row, and need not agree in class.

Exit: 0 all agrees; 1 something does not; 2 usage, unreadable input; 4 too few entries that must be reported, so that
agreement would prove nothing.
"""
import argparse
import json
import re
import statistics
import sys

MS = 1_000_000
THRESHOLD = 10 * MS  # the reports' default --min
TOLERANCE = 1 * MS  # of a wait's length
JITTER = MS // 2  # of a sample's instant; run delays below it are not worth a second comparison
PERIOD = 1_000_000_000 // 499  # the recorder's default --freq
AROUND = 5 * MS  # what a handler's poll may do besides its block
ROUNDING = 1_000  # of a row's parts, which add up to dur

CHECKS = ["duration", "parts", "class", "syscall", "task", "function", "file", "line"]


class Entry:
    """One poll that blocked, as the fixture logged it. Times in nanoseconds."""

    def __init__(self, pid, fields):
        self.__dict__.update(fields)
        self.pid = pid
        self.length = self.t1 - self.t0
        self.classes = [self.__dict__["class"]] if isinstance(self.__dict__["class"], str) else self.__dict__["class"]
        self.row = None

    def __str__(self):
        return (f"{self.kind} {self.length / MS:.2f} ms at {self.t0} tid {self.tid} task {self.task} "
                f"{self.function} {self.file}:{self.line} (run delay {self.run_delay_ns / MS:.2f} ms)")


class Score:
    """The outcome of one scenario."""

    def __init__(self, name):
        self.name = name
        self.must = self.found = self.may = self.delayed = self.ignored = 0
        self.missed = []  # entries
        self.false = []  # rows
        self.wrong = {check: [] for check in CHECKS}  # sentences
        self.errors = []  # of matched rows' lengths, ns, absolute
        self.complaints = []  # about the capture as a whole

    def agrees(self):
        return not (self.missed or self.false or self.complaints or any(self.wrong.values()))

    def line(self):
        errors = self.errors or [0]
        wrong = ", ".join(f"{check} {len(found)}" for check, found in self.wrong.items() if found)
        return (f"{self.name:<15} truth {self.must:3}  found {self.found:3}  missed {len(self.missed)}  "
                f"false {len(self.false)}  error median {statistics.median(errors) / MS:.3f} worst "
                f"{max(errors) / MS:.3f} ms  wrong {wrong or 'none'}  "
                f"({self.may} may, {self.delayed} delayed, {self.ignored} ignored)")

    def details(self):
        yield from self.complaints
        yield from (f"missed: {entry}" for entry in self.missed)
        yield from (f"false: {describe(row)}" for row in self.false)
        for check, sentences in self.wrong.items():
            yield from (f"wrong {check}: {sentence}" for sentence in sentences)

    def as_dict(self):
        errors = self.errors or [0]
        return {"name": self.name, "truth": self.must, "found": self.found, "missed": len(self.missed),
                "false": len(self.false), "error_median_ns": int(statistics.median(errors)),
                "error_worst_ns": max(errors), "wrong": {check: len(found) for check, found in self.wrong.items()},
                "delayed": self.delayed, "ignored": self.ignored, "ok": self.agrees()}


def describe(row):
    return (f"{row.get('class')} {row['dur'] / MS:.2f} ms at {row['ts']} tid {row['tid']} task {row.get('task_id')} "
            f"{row.get('function')} {row.get('file')}:{row.get('line')} ({row.get('state')})")


def score(name, entries, rows, window=None, within=False):
    """
    window = the capture's first and last instant; None: everything was recorded. within = the blocks are parts of their polls (a service's handler does
    more than block): what a row has before and behind its block is not compared, but for being short.
    """
    result = Score(name)
    # as the reports do: time spent waiting for a cpu is contention, not blocking
    rows = [row for row in rows if row["dur"] - row["runnable"] >= THRESHOLD]
    false = match([entry for entry in entries if entry.expect != "never"], rows)
    for entry in entries:
        if window and not (window[0] <= entry.t0 and entry.t1 <= window[1]):
            result.ignored += 1
            if entry.row and str(entry.row.get("state")).startswith("open-"):
                compare_place(result, entry)
            continue
        result.may += entry.expect == "may"
        result.must += entry.expect == "must"
        if entry.row:
            result.found += entry.expect == "must"
            compare_place(result, entry)
            compare_length(result, entry, within)
        elif entry.expect == "must":
            result.missed.append(entry)
    result.false = false
    return result


def match(entries, rows):
    """Gives every entry the row that overlaps it most, one to one; returns the rows that are left."""
    pairs = []
    for entry in entries:
        for index, row in enumerate(rows):
            overlap = min(entry.t1, row["ts"] + row["dur"]) - max(entry.t0, row["ts"])
            if overlap > 0 and (row["pid"], row["tid"]) == (entry.pid, entry.tid):
                pairs.append((overlap, entry.t0, entry, index))
    taken = set()
    for _, _, entry, index in sorted(pairs, key=lambda pair: pair[:2], reverse=True):
        if entry.row is None and index not in taken:
            entry.row = rows[index]
            taken.add(index)
    return [row for index, row in enumerate(rows) if index not in taken]


def compare_place(result, entry):
    row = entry.row

    def wrong(check, got, want):
        result.wrong[check].append(f"{got}, should be {want}: {entry}")

    if entry.expect == "must" and row["class"] not in entry.classes:
        wrong("class", row["class"], entry.classes)
    if entry.expect == "must" and entry.syscall and row.get("syscall") not in entry.syscall:
        wrong("syscall", row.get("syscall"), entry.syscall)
    if row["task_id"] != entry.task:
        wrong("task", row["task_id"], entry.task)
    if own_name(row["function"]) != entry.function:
        wrong("function", row["function"], entry.function)
    if not ("/" + (row["file"] or "")).endswith("/" + entry.file):
        wrong("file", row["file"], entry.file)
    if row["line"] is None or not entry.line <= row["line"] <= entry.last_line:
        wrong("line", row["line"], f"{entry.line} to {entry.last_line}")
    parts = row["off_cpu"] + row["on_cpu"] + row["runnable"]
    if abs(parts - row["dur"]) > ROUNDING:
        wrong("parts", f"off_cpu + on_cpu + runnable = {parts}", f"dur = {row['dur']}")


def compare_length(result, entry, within):
    """Lengths as they are, or what is left of either when the time spent waiting for a cpu is taken out."""
    row = entry.row
    held, own = row["dur"] - row["runnable"], entry.length - entry.run_delay_ns
    result.delayed += entry.run_delay_ns > JITTER
    if entry.cost == "computes":
        # The first and the last sample lie up to a period inside the poll.
        error = min(abs(row["dur_min"] + PERIOD - entry.length), abs(held + PERIOD - own))
        proven = row["dur_min"] - JITTER <= entry.length or held - JITTER <= own
        right = error <= PERIOD + JITTER and proven and entry.length <= row["dur_max"] + JITTER
    else:
        error = min(abs(row["dur"] - entry.length), abs(held - own))
        if row["dur"] < entry.length and entry.cpu_ns > JITTER:
            # It ran (or the hypervisor took the cpu away) before its first wait: time that no record proves.
            result.delayed += 1
            error = max(0, error - entry.cpu_ns)
        if within:
            inside = min(entry.t1, row["ts"] + row["dur"]) - max(entry.t0, row["ts"])
            if row["dur"] - inside <= AROUND + row["runnable"]:
                error = min(error, abs(inside - entry.length))
        right = error <= TOLERANCE
    result.errors.append(error)
    if not right:
        result.wrong["duration"].append(
            f"{row['dur'] / MS:.3f} ms [{row['dur_min'] / MS:.3f}, {row['dur_max'] / MS:.3f}] runnable "
            f"{row['runnable'] / MS:.3f} at {row['ts']}: {entry}")


def own_name(function):
    """The last named segment: `app::pay::<T>::back_off::{{closure}}::h0123456789abcdef` is `back_off`."""
    name = re.sub(r"::h[0-9a-f]{16}$", "", function or "")
    segments, depth, segment = [], 0, ""
    for char in name:
        depth += (char in "<{") - (char in ">}")
        segment += char
        if depth == 0 and segment.endswith("::"):
            segments.append(segment[:-2])
            segment = ""
    named = [s for s in segments + [segment] if s and s[0] not in "<{"]
    return re.sub(r"<.*", "", named[-1]) if named else ""


def check_runtime(result, rows, flavor, workers):
    """That nothing blocked is worth something only if the runtime was seen at all."""
    found = [(row["flavor"], row["workers"]) for row in rows]
    if len(found) != 1 or found[0][0] != flavor or workers not in (None, found[0][1]):
        wanted = flavor if workers is None else f"{flavor} with {workers} workers"
        result.complaints.append(f"wrong runtimes: {found}, should be one {wanted}")


def read_truth(path):
    with open(path, encoding="utf-8") as file:
        head, *entries = [json.loads(line) for line in file]
    return [Entry(head["pid"], entry) for entry in entries]


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def read_window(path):
    (row,) = read_json(path)
    return row["ts_start"], row["ts_end"]


def main(argv):
    if argv == ["--self-test"]:
        sys.dont_write_bytecode = True  # leaves no __pycache__ among the sources
        import score_selftest
        return score_selftest.run()
    parser = argparse.ArgumentParser(description="Score a capture against a truth log.")
    parser.add_argument("truth")
    parser.add_argument("blocking")
    parser.add_argument("--capture")
    parser.add_argument("--runtime")
    parser.add_argument("--flavor", default="multi_thread")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--name", default="scenario")
    parser.add_argument("--within", action="store_true", help="the blocks are parts of longer polls")
    parser.add_argument("--min-must", type=int, default=0)
    parser.add_argument("--append", help="add the outcome to FILE, as one line of JSON", metavar="FILE")
    args = parser.parse_args(argv)
    try:
        entries, rows = read_truth(args.truth), read_json(args.blocking)
        window = read_window(args.capture) if args.capture else None
        runtimes = read_json(args.runtime) if args.runtime else None
        result = score(args.name, entries, rows, window, args.within)
        if runtimes is not None:
            check_runtime(result, runtimes, args.flavor, args.workers)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"score.py: cannot score: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(result.line())
    for detail in result.details():
        print("  " + detail)
    if args.append:
        with open(args.append, "a", encoding="utf-8") as file:
            file.write(json.dumps(result.as_dict()) + "\n")
    if not result.agrees():
        return 1
    if result.must < args.min_must:
        print(f"  too little truth: {result.must} entries must be reported, {args.min_must} wanted ({result.may} may)")
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
