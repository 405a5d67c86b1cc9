#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Compares what ascope reports of a program with what the program knows of itself.

    score.py TRUTH BLOCKING [--capture FILE] [--runtime FILE --flavor NAME --workers N] [--name NAME] [--min-must N]
             [--min MS] [--only waits|computes] [--without-names] [--stalls FILE] [--append FILE]
    score.py --self-test

TRUTH is a fixture's truth log (fixtures/truth: a head, then one JSON object per poll that blocked). The others are what
`ascope query CAPTURE "SELECT * FROM blocking" --json` printed, and likewise for the tables `capture` and `runtime`.

The log holds raw facts; what must, may or must never be reported is decided here (expect()), so that one log can be scored
at several thresholds. Every row of --min (10 ms) or more is matched with at most one entry, by process, thread and overlap in
time. Then
  - an entry that must be reported and has no row is a miss; a row without an entry is false;
  - a matched row must agree in class, system call, task, function, file and line, in detail and holds where the log
    has them, and its parts must add up;
  - a wait's length must be right to 1 ms. If the thread queued for a CPU for more than 0.5 ms meanwhile, the lengths may
    be compared without the queueing instead, on both sides, and the entry is counted as `delayed`; queueing before and
    behind the block, which the log does not see, is no error;
  - a row with a switch-in that the kernel did not report (`derived`, if the caller says so) is counted apart;
  - a computation is known by samples: its length lies in [dur_min, dur_max] and within one period of dur_min + period;
  - entries that the capture holds only a part of are ignored, except that a row which says so itself (`open-start`,
    `open-end`) must name the right place. With --cut, where every entry is one wait, each of them that can be seen for
    more than twice the threshold must have such a row, of the right side and length, and there must be some of either side.
Entries that only may be reported may lack a row, and need not agree in class. With --only, entries of the other kind become
such, and rows of the other kind without an entry are left to the other scoring.

The host of a virtual machine can stop it, for milliseconds, which looks like running or like a longer wait and is in no clock of the
thread's. With --stalls (what host_stalls.c printed meanwhile) this excuses exactly as much as the stalls that lie there add up to:
  - an entry during which there were more than 0.5 ms is `disturbed`. It may lack a row, or have another class, if without them it
    would be too short, or if they and its CPU time could be the larger part;
  - its length may be off by the stalls between its begin and the row's, and between its end and the row's;
  - a row without an entry is no false one if it would be too short without the stalls during it.

Exit: 0 all agrees; 1 something does not; 2 usage, unreadable input; 4 too few entries that must be reported, so that
agreement would prove nothing; 6 too few because of stalls.
"""
import argparse
import dataclasses
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
SOON = 1000 * MS  # after its begin a capture should be able to tell polls apart
ROUNDING = 1_000  # of a row's parts, which add up to dur
# Run delay is read from a file, before the first clock and behind the last one, so a wait's own length is known to this.
MARGIN = MS // 10
FORGOTTEN = 20  # and to one part in so many of that run delay: of a wake-up the kernel forgets what is before the thread is queued (doc/accuracy.md)

CUT = ["open-start", "open-end", "open-both"]
PLACE = ["function", "file", "line"]
CHECKS = ["duration", "parts", "class", "syscall", "detail", "holds", "task", "state"] + PLACE


class Stalls:
    """When the host stopped this machine. On whichever CPU: which one a thread was on, or waited for, is not known here."""

    def __init__(self, pairs=()):
        self.spans = []  # in order, none overlaps another
        for begin, end in sorted(pairs):
            if self.spans and begin <= self.spans[-1][1]:
                self.spans[-1][1] = max(self.spans[-1][1], end)
            else:
                self.spans.append([begin, end])

    def within(self, begin, end):
        """Their ns in [begin, end]."""
        return sum(max(0, min(end, b) - max(begin, a)) for a, b in self.spans)

    def between(self, a, b):
        """Their ns between two instants, whichever is the earlier."""
        return self.within(min(a, b), max(a, b))


@dataclasses.dataclass(frozen=True)
class Rules:
    """How to score."""
    min: int = THRESHOLD
    only: str = ""  # "waits" or "computes": the entries that count; "": both
    names: bool = True  # compare what takes symbols: a stripped binary has none
    within: bool = False  # the blocks are parts of their polls (a service's handler does more than block): what a row has
    #                       before and behind its block is not compared, but for being short
    cut: bool = False  # rows of what the capture holds a part of must be there
    proven: int = 0  # polls on the cpu can be told apart from this instant on; while that is found out, they are not reported
    stalls: Stalls = Stalls()


class Entry:
    """One poll that blocked, as the fixture logged it. Times in nanoseconds."""

    def __init__(self, pid, fields):
        self.__dict__.update(fields)
        self.pid = pid
        self.length = self.t1 - self.t0
        self.own = self.length - self.run_delay_ns  # what is left without the queueing for a CPU
        self.classes = [self.__dict__["class"]] if isinstance(self.__dict__["class"], str) else self.__dict__["class"]
        self.expect = None
        self.row = None

    def __str__(self):
        return (f"{self.kind} {self.length / MS:.2f} ms at {self.t0} tid {self.tid} task {self.task} "
                f"{self.function} {self.file}:{self.line} (run delay {self.run_delay_ns / MS:.2f} ms)")


def mostly_computes(entry, stalled=0):
    """The largest part gives the class. Well under half, so that the class is not a matter of luck."""
    return entry.cpu_ns + stalled > entry.own * 2 // 5


def expect(entry, rules, stalled=0):
    """
    Whether the reports must, may or must never have it, if it was stopped for so long. What happened decides, not what was intended:
    a file that came from a cache, or a wait that was mostly a queue for the CPU, proves nothing and is only "may".
    """
    if entry.cost == "harmless":
        return "never"
    if entry.cost == "computes":
        if entry.length < rules.min:
            return "never"
        # Two sampling periods above the threshold a computation is proven by its samples alone.
        short = entry.own - stalled < rules.min + 2 * PERIOD
        return "may" if short or entry.t0 < rules.proven or rules.only == "waits" else "must"
    if entry.cost == "waits":
        short = entry.own - stalled < rules.min + MARGIN + entry.run_delay_ns // FORGOTTEN
        return "may" if short or mostly_computes(entry, stalled) or rules.only == "computes" else "must"
    raise ValueError(f"an entry that costs {entry.cost!r}: {entry}")


class Score:
    """The outcome of one scenario."""

    def __init__(self, name):
        self.name = name
        self.must = self.found = self.may = self.delayed = self.ignored = 0
        self.disturbed = self.excused = 0  # entries during which the host stopped the machine; those of them that else must be reported
        self.matched = 0  # rows with an entry of the kind that is scored
        self.placed = self.placed_right = 0  # rows whose function, file and line were compared, and were right
        self.band = self.band_found = 0  # computations less than two periods above the threshold
        self.missed = []  # entries
        self.false = []  # rows
        self.cut = dict.fromkeys(CUT, 0)  # rows of entries that the capture holds a part of
        self.wrong = {check: [] for check in CHECKS}  # sentences
        self.errors = []  # of matched rows' lengths, ns, absolute
        self.mended = []  # the same of rows with an instant that the kernel did not report and ascope derived
        self.complaints = []  # about the capture as a whole

    def agrees(self):
        return not (self.missed or self.false or self.complaints or any(self.wrong.values()))

    def line(self):
        errors = self.errors or [0]
        wrong = ", ".join(f"{check} {len(found)}" for check, found in self.wrong.items() if found)
        return (f"{self.name:<15} truth {self.must:3}  found {self.found:3}  missed {len(self.missed)}  "
                f"false {len(self.false)}  error median {statistics.median(errors) / MS:.3f} worst "
                f"{max(errors) / MS:.3f} ms  wrong {wrong or 'none'}  "
                f"({self.may} may, {self.delayed} delayed, {self.disturbed} disturbed, {self.ignored} ignored)")

    def details(self):
        yield from self.complaints
        yield from (f"missed: {entry}" for entry in self.missed)
        yield from (f"false: {describe(row)}" for row in self.false)
        for check, sentences in self.wrong.items():
            yield from (f"wrong {check}: {sentence}" for sentence in sentences)

    def as_dict(self):
        errors = self.errors or [0]
        return {"name": self.name, "truth": self.must, "found": self.found, "missed": len(self.missed),
                "matched": self.matched, "false": len(self.false), "error_median_ns": int(statistics.median(errors)),
                "error_worst_ns": max(errors), "wrong": {check: len(found) for check, found in self.wrong.items()},
                "placed": self.placed, "placed_right": self.placed_right, "band": self.band,
                "band_found": self.band_found, "delayed": self.delayed, "ignored": self.ignored, "ok": self.agrees()}


def describe(row):
    return (f"{row.get('class')} {row['dur'] / MS:.2f} ms at {row['ts']} tid {row['tid']} task {row.get('task_id')} "
            f"{row.get('function')} {row.get('file')}:{row.get('line')} ({row.get('state')})")


def own_of(row):
    """Its length without the time spent waiting for a cpu."""
    return row["dur"] - row["runnable"]


def stalled_at_edges(entry, row, rules):
    """What the two may differ by: the stalls between their begins and between their ends."""
    return rules.stalls.between(entry.t0, row["ts"]) + rules.stalls.between(entry.t1, row["ts"] + row["dur"])


def score(name, entries, rows, window=None, rules=Rules()):
    """window = the capture's first and last instant; None: everything was recorded. Writes expect and row of each entry."""
    result = Score(name)
    for entry in entries:
        entry.stalled = rules.stalls.within(entry.t0, entry.t1)
        entry.disturbed = entry.stalled > JITTER
        entry.expect, entry.row = expect(entry, rules), None
    # as the reports do: time spent waiting for a cpu is contention, not blocking
    rows = [row for row in rows if own_of(row) >= rules.min]
    left = match([entry for entry in entries if entry.expect != "never"], rows)
    left = [row for row in left if rules.only in ("", "computes" if row["class"] == "cpu" else "waits")]
    result.false = [row for row in left if own_of(row) - rules.stalls.within(row["ts"], row["ts"] + row["dur"]) >= rules.min]
    result.disturbed = len(left) - len(result.false)
    for entry in entries:
        if entry.disturbed and (not entry.row or entry.row["class"] not in entry.classes):
            entry.expect = expect(entry, rules, entry.stalled)  # an excuse, for what needs one: an idle cpu is stopped often, and what is right all the same counts
        if window and not (window[0] <= entry.t0 and entry.t1 <= window[1]):
            result.ignored += 1
            if entry.kind == "fault-in-call" and entry.t0 < window[0]:
                entry.expect = "may"  # only the kernel's stack tells it from its call, which is not known of a wait that had begun
            if entry.row and str(entry.row.get("state")).startswith("open-"):
                compare_place(result, entry, rules)
            if rules.cut:
                compare_cut(result, entry, window, rules)
            continue
        if rules.only not in ("", entry.cost):
            continue
        result.may += entry.expect == "may"
        result.must += entry.expect == "must"
        result.disturbed += entry.disturbed
        result.excused += entry.expect != expect(entry, rules)
        in_band = entry.cost == "computes" and rules.min <= entry.own < rules.min + 2 * PERIOD
        result.band += in_band
        if entry.row:
            result.matched += 1
            result.found += entry.expect == "must"
            result.band_found += in_band
            compare_place(result, entry, rules)
            if entry.cost != "computes" or entry.t0 >= rules.proven:  # else the row may have only what came after
                compare_length(result, entry, rules)
        elif entry.expect == "must":
            result.missed.append(entry)
    if rules.cut:
        result.complaints += [f"no row is {side}" for side in CUT if not result.cut[side]]
    return result


def compare_cut(result, entry, window, rules):
    """An entry of which the window holds a part: one wait, so that the row has exactly that part."""
    visible = min(entry.t1, window[1]) - max(entry.t0, window[0])
    if entry.expect != "must" or visible - (0 if entry.row else entry.stalled) < 2 * rules.min:
        return
    if not entry.row:
        result.missed.append(entry)
        return
    state = entry.row.get("state")
    before, behind = entry.t0 < window[0], entry.t1 > window[1]
    want = "open-both" if before and behind else "open-start" if before else "open-end"
    result.cut[state] = result.cut.get(state, 0) + 1
    if state != want:
        result.wrong["state"].append(f"{state}, should be {want}: {entry}")
    if abs(entry.row["dur"] - visible) > TOLERANCE + entry.run_delay_ns + stalled_at_edges(entry, entry.row, rules):
        result.wrong["duration"].append(f"{entry.row['dur'] / MS:.3f} ms, of which {visible / MS:.3f} was recorded: {entry}")


def match(entries, rows):
    """Gives every entry the row that overlaps it most, one to one; returns the rows that are left."""
    of_thread = {}
    for index, row in enumerate(rows):
        of_thread.setdefault((row["pid"], row["tid"]), []).append(index)
    pairs = []
    for entry in entries:
        for index in of_thread.get((entry.pid, entry.tid), []):
            row = rows[index]
            overlap = min(entry.t1, row["ts"] + row["dur"]) - max(entry.t0, row["ts"])
            if overlap > 0:
                pairs.append((overlap, entry.t0, entry, index))
    taken = set()
    for _, _, entry, index in sorted(pairs, key=lambda pair: pair[:2], reverse=True):
        if entry.row is None and index not in taken:
            entry.row = rows[index]
            taken.add(index)
    return [row for index, row in enumerate(rows) if index not in taken]


def compare_place(result, entry, rules):
    """Everything but the length."""
    row = entry.row
    # Of the poll, not of the entry alone: what stopped it behind the entry may be its larger part, too.
    stalled = rules.stalls.within(min(entry.t0, row["ts"]), max(entry.t1, row["ts"] + row["dur"]))
    swayed = stalled > JITTER and entry.cost == "waits" and mostly_computes(entry, stalled) and not mostly_computes(entry)
    must = entry.expect == "must" and not swayed

    def wrong(check, got, want):
        result.wrong[check].append(f"{got}, should be {want}: {entry}")

    if must and row["class"] not in entry.classes:
        wrong("class", row["class"], entry.classes)
    if must and entry.syscall and row.get("syscall") not in entry.syscall:
        wrong("syscall", row.get("syscall"), entry.syscall)
    if row["task_id"] != entry.task:
        wrong("task", row["task_id"], entry.task)
    for check in ("detail", "holds"):
        want = entry.__dict__.get(check)
        if must and want and check in row and (rules.names or check != "detail"):
            if row[check] not in ([want] if isinstance(want, str) else want):
                wrong(check, row[check], want)
    parts = row["off_cpu"] + row["on_cpu"] + row["runnable"]
    if abs(parts - row["dur"]) > ROUNDING:
        wrong("parts", f"off_cpu + on_cpu + runnable = {parts}", f"dur = {row['dur']}")
    # a computation that need not be reported has next to no samples: where it was preempted, perhaps behind its end, is no place to hold it to
    if not rules.names or swayed or (entry.cost == "computes" and entry.expect != "must"):
        return
    before = sum(len(result.wrong[check]) for check in PLACE)
    if own_name(row["function"]) != entry.function:
        wrong("function", row["function"], entry.function)
    if not ("/" + (row["file"] or "")).endswith("/" + entry.file):
        wrong("file", row["file"], entry.file)
    if row["line"] is None or not entry.line <= row["line"] <= entry.last_line:
        wrong("line", row["line"], f"{entry.line} to {entry.last_line}")
    result.placed += 1
    result.placed_right += before == sum(len(result.wrong[check]) for check in PLACE)


def compare_length(result, entry, rules):
    """Lengths as they are, or what is left of either when the time spent waiting for a cpu is taken out."""
    row = entry.row
    held, own = own_of(row), entry.own
    stalled = stalled_at_edges(entry, row, rules)
    inside = min(entry.t1, row["ts"] + row["dur"]) - max(entry.t0, row["ts"])
    # A poll goes on when its block is over, and may be preempted then, where the log does not count any more: what the row has
    # before and behind the entry is an error only as far as it is more than its time spent waiting for a cpu.
    beyond = max(0, row["dur"] - inside - row["runnable"])
    delayed = entry.run_delay_ns > JITTER
    if entry.cost == "computes":
        # The first and the last sample lie up to a period inside the poll.
        error = min(abs(row["dur_min"] + PERIOD - entry.length), abs(held + PERIOD - own))
        error = max(0, error - stalled)
        proven = row["dur_min"] - JITTER - stalled <= entry.length or held - JITTER - stalled <= own
        if not proven and beyond <= JITTER:
            proven, delayed, error = True, True, min(error, abs(inside + PERIOD - entry.length))
        right = error <= PERIOD + JITTER and proven and entry.length <= row["dur_max"] + JITTER + stalled
    else:
        # The hypervisor's share of a page fault (its own faults, the disk's doorbell) is on the cpu and in no clock of the thread's, so that what the
        # row holds of the entry's cpu time cannot be taken off.
        known = 0 if "fault" in entry.classes else max(0, row["on_cpu"] - rules.stalls.within(row["ts"], row["ts"] + row["dur"]))
        unproven = min(entry.cpu_ns - known, row["ts"] - entry.t0 - rules.stalls.within(entry.t0, row["ts"]))
        if unproven > JITTER:
            # It ran (or the hypervisor took the cpu away) before its first wait: time that no record proves, by which the row may be short.
            delayed = True
        else:
            unproven = 0
        error = min(max(0, short - unproven) if short > 0 else -short for short in (entry.length - row["dur"], own - held))
        if error > JITTER:
            delayed, error = True, min(error, abs(inside - entry.length) + beyond)
        if rules.within and row["dur"] - inside <= AROUND + row["runnable"]:
            error = min(error, abs(inside - entry.length))
        error = max(0, error - stalled)
        right = error <= TOLERANCE
    if row.get("derived"):
        # counted apart: such an instant is off by whatever the hypervisor took from the thread
        result.mended.append(error)
        return
    result.delayed += delayed
    result.errors.append(error)
    if not right:
        result.wrong["duration"].append(
            f"{row['dur'] / MS:.3f} ms [{row['dur_min'] / MS:.3f}, {row['dur_max'] / MS:.3f}] off {row['off_cpu'] / MS:.3f} on "
            f"{row['on_cpu'] / MS:.3f} runnable {row['runnable'] / MS:.3f} at {row['ts']}: {entry} cpu {entry.cpu_ns / MS:.2f} ms")


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


def proven_from(rows, window):
    """When the last runtime's ticks were proven. Later than the first part of the capture, that excuses nothing."""
    instant = max([row.get("tick_from") or 0 for row in rows], default=0)
    return min(instant, window[0] + SOON) if window else 0


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


def stall_pairs(file):
    """What host_stalls printed: its stalls, and then what it has seen in all."""
    return [(line["from"], line["to"]) for line in map(json.loads, file) if "from" in line]


def read_stalls(path):
    with open(path, encoding="utf-8") as file:
        return Stalls(stall_pairs(file))


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
    parser.add_argument("--min", type=float, default=10, help="the reports' threshold", metavar="MS")
    parser.add_argument("--only", choices=["waits", "computes"], default="")
    parser.add_argument("--without-names", action="store_true", help="the binary is stripped")
    parser.add_argument("--cut", action="store_true", help="rows of what the capture holds a part of must be there")
    parser.add_argument("--min-must", type=int, default=0)
    parser.add_argument("--stalls", help="when the host stopped this machine", metavar="FILE")
    parser.add_argument("--append", help="add the outcome to FILE, as one line of JSON", metavar="FILE")
    args = parser.parse_args(argv)
    try:
        entries, rows = read_truth(args.truth), read_json(args.blocking)
        window = read_window(args.capture) if args.capture else None
        runtimes = read_json(args.runtime) if args.runtime else None
        rules = Rules(int(args.min * MS), args.only, not args.without_names, args.within, args.cut,
                      proven_from(runtimes or [], window), read_stalls(args.stalls) if args.stalls else Stalls())
        result = score(args.name, entries, rows, window, rules)
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
        print(f"  too little truth: {result.must} entries must be reported, {args.min_must} wanted ({result.may} may, {result.excused} for stalls)")
        return 6 if result.must + result.excused >= args.min_must else 4
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
