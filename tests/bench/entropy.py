#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""What a sample says that is not known already: the conditional entropy of each column, in bytes a sample.

    entropy.py ASCOPE FILE

Each column is foreseen from the switches and the earlier samples of the same block, and from the columns of the sample above it in the table. How often
what comes true is counted over the whole file and taken for known beforehand, for nothing: no code can have that, so no code that foresees by the same
means takes less. (Stacks and addresses are taken as numbers of a dictionary that costs nothing either.) Numbers are counted by their highest three bits;
those below count as they are. `codec columns FILE` says what the file takes.
"""
import bisect
import collections
import json
import math
import subprocess
import sys


class Count:
    """Occurrences of values in contexts, and bits that were not looked at."""

    def __init__(self):
        self.of, self.bits = collections.defaultdict(collections.Counter), 0

    def value(self, context, value):
        self.of[context][value] += 1

    def number(self, context, value):
        zigzag = 2 * value if value >= 0 else -2 * value - 1
        low = max(0, zigzag.bit_length() - 3)
        self.of[context][zigzag >> low, low] += 1
        self.bits += low

    def total(self):
        return self.bits - sum(n * math.log2(n / sum(c.values())) for c in self.of.values() for n in c.values())


def read(ascope, file):
    """(period, {block: {kind: rows}})"""
    period, blocks = 0, collections.defaultdict(lambda: collections.defaultdict(list))
    with subprocess.Popen([ascope, "dump", "--json", file], stdout=subprocess.PIPE, text=True) as dump:
        for line in dump.stdout:
            row = json.loads(line)
            if row["kind"] in ("sample", "switch_out", "switch_in"):
                blocks[row["block"]][row["kind"]].append(row)
            elif row["kind"] == "meta" and row["key"] == "sample.period_ns":
                period = int(row["value"])
    return period, blocks


class Switches:
    """Of one block: who runs where, and each thread's last switch before and next one behind a time."""

    def __init__(self, kinds):
        self.outs, self.cpus = collections.defaultdict(list), collections.defaultdict(list)
        for row in kinds["switch_out"]:
            self.outs[row["thread"]].append(row)
            self.cpus[row["cpu"]].append((row["ts"], 0))
        for row in kinds["switch_in"]:
            self.cpus[row["cpu"]].append((row["ts"], row["thread"]))
        for rows in self.outs.values():
            rows.sort(key=lambda row: row["ts"])
        for rows in self.cpus.values():
            rows.sort()

    def running(self, cpu, ts):
        at = bisect.bisect_right(self.cpus[cpu], (ts, 1 << 64))
        return self.cpus[cpu][at - 1][1] if at else None

    def around(self, thread, ts):
        rows = self.outs[thread]
        at = bisect.bisect_right(rows, ts, key=lambda row: row["ts"])
        return rows[at - 1] if at else None, rows[at] if at < len(rows) else None


def count_times(counts, points, row, before, period):
    """The timer's period is known: how many periods since the last sample of the cpu, and how late this one is beside those before."""
    if row["cpu"] not in points:
        counts["time"].number("first", row["ts"] - (before["ts"] if before else 0))
        points[row["cpu"]] = row["ts"]
        return
    since = row["ts"] - points[row["cpu"]]
    periods = round(since / period)
    late = since - periods * period
    counts["periods"].number("", periods - 1)
    counts["time"].number("late", late)
    points[row["cpu"]] += periods * period + (late // 16 if late > 0 else -(-late // 4))


def count_tick(counts, row, known, after):
    """Between what the thread's last record said and what the next switch says, in proportion to the time."""
    start = known["tick"] if known else 0
    growth = after["tick"] - start if known and after else -1
    if growth < 0:
        counts["tick"].number("alone", row["tick"] - start)
        return
    foreseen = start + growth * (row["ts"] - known["ts"]) // max(1, after["ts"] - known["ts"])
    counts["tick"].number(growth.bit_length(), row["tick"] - foreseen)


def count_block(counts, kinds, period):
    switches, points, last, before = Switches(kinds), {}, {}, None
    for row in kinds["sample"]:
        thread = row["thread"]
        counts["cpu"].value(before and before["cpu"], row["cpu"])
        count_times(counts, points, row, before, period)
        counts["thread"].value(switches.running(row["cpu"], row["ts"]), thread)
        out, after = switches.around(thread, row["ts"])
        known = max((r for r in (out, last.get(thread)) if r), key=lambda r: r["ts"], default=None)
        counts["mode"].value(None, row["mode"])
        for column, by in (("budget", "mode"), ("park", "budget"), ("ustack", "budget"), ("pc", "ustack")):
            counts[column].value(row[by], row[column])
        counts["kstack"].value((row["mode"], row["ustack"]), row["kstack"])
        for column in ("ctx_status", "context", "runtime", "core", "task"):
            then, now = (r[column] if r else None for r in (known, after))
            guess = now if after else then
            counts[column].value(("as foreseen", then == now, row["park"]), row[column] == guess)
            if row[column] != guess:
                counts[column].value("else", row[column])
        count_tick(counts, row, known, after)
        last[thread] = before = row


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    period, blocks = read(*sys.argv[1:])
    counts = collections.defaultdict(Count)
    with_samples = [kinds for kinds in blocks.values() if kinds["sample"]]
    for kinds in with_samples:
        count_block(counts, kinds, period)
    samples = sum(len(kinds["sample"]) for kinds in with_samples)
    if not samples or not period:
        print("no samples", file=sys.stderr)
        return 1
    print(f"column\tbytes a sample ({samples} samples in {len(with_samples)} blocks)")
    for name, count in counts.items():
        print(f"{name}\t{count.total() / 8 / samples:.3f}")
    print(f"all\t{sum(count.total() for count in counts.values()) / 8 / samples:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
