#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""
chrome_rules.py: what Chrome's trace JSON must be so that Perfetto, catapult (chrome://tracing) and speedscope load it without a warning, as far as their
sources and trials tell (design notes, outputs A1 and appendix 2). Neither of the first two can be run here.

usage: chrome_rules.py FILE...        prints what is wrong, a line each; exit code 1 when something is
As a module: rules(text) gives the list of what is wrong, load(text) the trace.
"""
import json
import re
import sys
from collections import defaultdict

PHASES = set("MXsfCi")
KEYS = {
    "M": {"ph", "pid", "tid", "cat", "ts", "name", "args"},
    "X": {"ph", "pid", "tid", "cat", "ts", "dur", "name", "args"},
    "s": {"ph", "pid", "tid", "cat", "ts", "name", "id"},
    "f": {"ph", "pid", "tid", "cat", "ts", "name", "id", "bp"},
    "C": {"ph", "pid", "tid", "cat", "ts", "name", "args"},
    "i": {"ph", "pid", "tid", "cat", "ts", "name", "s", "args"},
}
METADATA = {"process_name": "name", "thread_name": "name", "process_sort_index": "sort_index", "thread_sort_index": "sort_index"}
LONGEST_STRING = 2**29 - 24  # V8: a viewer that reads the file as one string
EXACT_NS = 2**53  # a double holds whole ns up to here
MS = 1_000_000


def ns(us):
    """As Perfetto does: llround(x * 1000)."""
    return int(us * 1000 + 0.5)


class Rules:
    def __init__(self, text):
        self.wrong, self.text = [], text
        self.tracks, self.named, self.series = defaultdict(list), {}, defaultdict(list)
        self.flows = defaultdict(list)

    def say(self, what, event=None):
        if len(self.wrong) < 50:
            self.wrong.append(what + (": " + json.dumps(event)[:300] if event is not None else ""))

    def form(self):
        """The object form, traceEvents first, an event a line, no escapes that Perfetto's reader stops at."""
        text = self.text
        if len(text) > LONGEST_STRING:
            self.say("longer than a string of V8")
        lines = text.split("\n")
        if lines[0] != '{"traceEvents":[':
            self.say("does not begin with traceEvents: " + lines[0][:80])
        if lines[-1] != "" or not lines[-2].startswith("],"):
            self.say("does not end in a line with the rest of the object")
        for i, line in enumerate(lines[1:-2]):
            last = i == len(lines) - 4
            if not line.startswith('{"ph":"') or line.endswith("},") == last or not (last or line.endswith("},")):
                self.say(f"line {i + 2} is not one event: {line[:120]}")
        if re.search(r"\\u[dD][89a-fA-F]", text):
            self.say("an escape of a surrogate: Perfetto refuses the whole file")
        if re.search(r"(?<!\\)(?:\\\\)*\\[^bfnrtu\"\\/]", text):
            self.say("an escape that is none")
        if re.search(r"[\x00-\x09\x0b-\x1f]", text):
            self.say("a raw control character")
        if re.search(r'[:,\[](NaN|-?Infinity)', text):
            self.say("a number that is none")

    def event(self, e):
        ph = e.get("ph")
        if ph not in PHASES:
            self.say("a phase that is not written here", e)
            return
        if set(e) - KEYS[ph] or KEYS[ph] - set(e) - ({"args"} if ph in "Xi" else set()):
            self.say(f"keys of {ph}", e)
        for key in ("pid", "tid"):
            if type(e.get(key)) is not int or not 0 <= e[key] < 2**32:
                self.say(f"{key} is not a number of 32 bits", e)
        if not isinstance(e.get("cat"), str) or not e["cat"]:
            self.say("no category", e)
        if not isinstance(e.get("name"), str) or not e["name"]:
            self.say("no name", e)
        if not isinstance(e.get("ts"), (int, float)) or not 0 <= e["ts"] < EXACT_NS / 1000:
            self.say("a time that is none, or beyond what a double tells exactly", e)
        if "args" in e and not isinstance(e["args"], dict):
            self.say("args that are no object", e)

    def metadata(self, e, i, first_other):
        if first_other is not None and i > first_other:
            self.say("metadata behind other events", e)
        key = METADATA.get(e["name"])
        if key is None or set(e["args"]) != {key} or e["ts"] != 0:
            self.say("metadata that viewers ignore", e)
            return
        if e["name"] == "thread_name":
            if (e["pid"], e["tid"]) in self.named:
                self.say("two names of one track", e)
            self.named[e["pid"], e["tid"]] = e["args"]["name"]
        if key == "sort_index" and not -(2**31) <= e["args"][key] < 2**31:
            self.say("an index of more than 32 bits", e)

    def nesting(self):
        """No two slices of a track overlap partially: in whole ns, and as JavaScript adds doubles. An outer slice comes before inner ones in the file."""
        for track, slices in self.tracks.items():
            if track not in self.named:
                self.say(f"track {track} has no name")
            order = sorted(range(len(slices)), key=lambda i: (ns(slices[i]["ts"]), -ns(slices[i]["dur"]), i))
            for unit in (ns, float):
                open_ = []
                for i in order:
                    e = slices[i]
                    ts, end = unit(e["ts"]), unit(e["ts"]) + unit(e["dur"])
                    while open_ and open_[-1][1] <= ts:
                        open_.pop()
                    if open_ and end > open_[-1][1]:
                        self.say(f"{track}: a slice overlaps the one around it", e)
                    elif open_ and e["dur"] and open_[-1][2] > i:
                        self.say(f"{track}: a slice comes before the one around it", e)
                    open_.append((ts, end, i))

    def enclosed(self, e, kind):
        """Both ends of an arrow lie in a slice of their track."""
        at, best = ns(e["ts"]), None
        for s, end in self.spans.get((e["pid"], e["tid"]), {}).get(at // self.cell, ()):
            if s <= at < end:
                return
        self.say(f"{kind} of an arrow lies in no slice", e)

    def arrows(self):
        if not self.flows:
            return
        ends = [e for pair in self.flows.values() for e in pair]
        # Slices by cells of time, those alone that an arrow's end may lie in.
        span = max(ns(e["ts"]) for e in ends) + 1
        self.cell = max(span // 20000, 1)
        wanted = defaultdict(set)
        for e in ends:
            wanted[e["pid"], e["tid"]].add(ns(e["ts"]) // self.cell)
        self.spans = {}
        for track, cells in wanted.items():
            by_cell = defaultdict(list)
            for x in self.tracks.get(track, ()):
                a, b = ns(x["ts"]), ns(x["ts"]) + ns(x["dur"])
                for cell in range(a // self.cell, b // self.cell + 1):
                    if cell in cells:
                        by_cell[cell].append((a, b))
            self.spans[track] = by_cell
        for id_, pair in self.flows.items():
            if [e["ph"] for e in pair] != ["s", "f"] or pair[0]["name"] != pair[1]["name"] or pair[0]["cat"] != pair[1]["cat"]:
                self.say(f"arrow {id_} is no pair of s and f of one name", pair)
                continue
            if pair[0]["ts"] > pair[1]["ts"]:
                self.say(f"arrow {id_} ends before it begins", pair)
            self.enclosed(pair[0], "the beginning")
            self.enclosed(pair[1], "the end")

    def counters(self):
        for name, values in self.series.items():
            for (a, x), (b, y) in zip(values, values[1:]):
                if b - a < MS:
                    self.say(f"counter {name} changes twice within 1 ms, at {a} and {b} ns")
                if x == y:
                    self.say(f"counter {name} is repeated at {b} ns")

    def all(self):
        self.form()
        try:
            trace = json.loads(self.text, parse_constant=lambda c: self.say("a number that is none: " + c))
        except ValueError as e:
            self.say(f"no JSON: {e}")
            return self.wrong
        if list(trace)[0] != "traceEvents" or set(trace) != {"traceEvents", "displayTimeUnit", "metadata"}:
            self.say("keys of the file: " + ", ".join(trace))
        events = trace["traceEvents"]
        first_other = next((i for i, e in enumerate(events) if e["ph"] != "M"), None)
        for i, e in enumerate(events):
            before = len(self.wrong)
            self.event(e)
            if len(self.wrong) > before:
                continue
            if e["ph"] == "M":
                self.metadata(e, i, first_other)
            elif e["ph"] == "X":
                if not isinstance(e["dur"], (int, float)) or e["dur"] < 0:
                    self.say("a slice without a length", e)
                else:
                    self.tracks[e["pid"], e["tid"]].append(e)
            elif e["ph"] in "sf":
                if not re.fullmatch("0x[0-9a-f]{1,16}", str(e["id"])) or (e["ph"] == "f" and e["bp"] != "e"):
                    self.say("an arrow's id or binding", e)
                self.flows[e["id"]].append(e)
            elif e["ph"] == "C":
                if len(e["args"]) != 1 or any(type(v) not in (int, float) for v in e["args"].values()):
                    self.say("a counter has one series of numbers", e)
                self.series[e["pid"], e["name"]].append((ns(e["ts"]), list(e["args"].values())[0]))
            elif e["s"] not in ("g", "p", "t"):
                self.say("the scope of an instant", e)
        self.nesting()
        self.arrows()
        self.counters()
        self.summary(trace)
        return self.wrong

    def summary(self, trace):
        m = trace["metadata"]
        for key in ("tool", "time_base", "truncated", "max_events", "flows", "flows_left_out", "capture", "verdict"):
            if key not in m:
                self.say(f"metadata does not tell {key}")
        slices = sum(len(s) for s in self.tracks.values())
        if m.get("events") != slices:
            self.say(f"metadata tells of {m.get('events')} slices, there are {slices}")
        if m.get("flows") != len(self.flows):
            self.say(f"metadata tells of {m.get('flows')} arrows, there are {len(self.flows)}")


def load(text):
    return json.loads(text)


def rules(text):
    return Rules(text).all()


if __name__ == "__main__":
    bad = 0
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8", errors="strict") as f:
            for what in rules(f.read()):
                print(f"{path}: {what}")
                bad = 1
    sys.exit(bad)
