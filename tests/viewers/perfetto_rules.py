#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""perfetto_rules.py: the rules of Perfetto's trace format (50-outputs.md, A2) for a file that ascope wrote.

usage: perfetto_rules.py FILE        prints what is wrong, a line each; exit code 1 when anything is
"""
import struct
import sys

# What of a message is itself one, by path of field numbers from TracePacket.
PACKET = {"ftrace": 1, "clocks": 6, "ts": 8, "sequence": 10, "event": 11, "interned": 12, "flags": 13, "defaults": 59, "track": 60, "sample": 66,
          "first": 87, "state": 117}
INTERNED = {1: "category", 2: "name", 3: "key", 5: "function", 6: "frame", 7: "callstack", 16: "build id", 17: "path", 18: "source", 19: "mapping",
            29: "value"}
BEGIN, END, INSTANT, COUNTER = 1, 2, 3, 4


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a varint of more than 10 bytes")


def fields(data, at=0, end=None):
    """Yields (number, value) of a message; values are integers or memoryviews."""
    end = len(data) if end is None else end
    while at < end:
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = varint(data, at)
        elif wire == 1:
            value = struct.unpack_from("<Q", data, at)[0]
            at += 8
        elif wire == 2:
            size, at = varint(data, at)
            value = data[at:at + size]
            at += size
        else:
            raise ValueError(f"wire type {wire}")
        if at > end:
            raise ValueError("a field ends behind its message")
        yield number, value


def grouped(data):
    found = {}
    for number, value in fields(data):
        found.setdefault(number, []).append(value)
    return found


class Rules:
    def __init__(self):
        self.wrong = []
        self.defined = {kind: set() for kind in INTERNED.values()}
        self.tracks = {}  # uuid -> parent
        self.counter_tracks = set()
        self.tids = {}
        self.events = {}  # uuid -> [(ts, order, type)]
        self.flows_out, self.flows_in = {}, {}
        self.packets = self.begun = self.samples = self.states = 0
        self.names = {}  # interned texts
        self.slices = {}  # category iid -> begun

    def say(self, text):
        if len(self.wrong) < 50:
            self.wrong.append(f"packet {self.packets}: {text}")

    def use(self, kind, iid):
        if iid not in self.defined[kind]:
            self.say(f"{kind} {iid} is not defined")

    def intern(self, data):
        for number, value in fields(data):
            kind = INTERNED.get(number)
            if not kind:
                self.say(f"interned data of field {number}")
                continue
            entry = grouped(value)
            iid = entry.get(1, [0])[0]
            if not iid:
                self.say(f"{kind} without an iid")
            if iid in self.defined[kind]:
                self.say(f"{kind} {iid} is defined twice")
            self.defined[kind].add(iid)
            if kind == "frame":
                for field, of in ((2, "function"), (3, "mapping"), (5, "source")):
                    if field in entry:
                        self.use(of, entry[field][0])
                if 2 not in entry or 3 not in entry:
                    self.say(f"frame {iid} without function or mapping")
            elif kind == "callstack":
                for frame in entry.get(2, []):
                    self.use("frame", frame)
                if 2 not in entry:
                    self.say(f"callstack {iid} without frames")
            elif kind == "mapping":
                for path in entry.get(7, []):
                    self.use("path", path)
            elif kind != "build id":
                bytes(entry[2][0]).decode()  # raises when it is no UTF-8
                self.names[kind, iid] = bytes(entry[2][0]).decode()

    def track(self, data):
        t = grouped(data)
        uuid = t.get(1, [0])[0]
        if not uuid or uuid in self.tracks:
            self.say(f"track uuid {uuid} is 0 or not unique")
        self.tracks[uuid] = t.get(5, [0])[0]
        if self.tracks[uuid] and self.tracks[uuid] not in self.tracks:
            self.say(f"the parent of track {uuid} is not described before it")
        if 8 in t:
            self.counter_tracks.add(uuid)
        if 4 in t:
            thread = grouped(t[4][0])
            self.tids[uuid] = thread[2][0]
        if not {2, 3, 4} & t.keys():
            self.say(f"track {uuid} has no name")

    def event(self, data, ts):
        e = grouped(data)
        kind, uuid = e[9][0], e[11][0]
        if ts is None:
            self.say("an event without a time")
        if uuid not in self.tracks:
            self.say(f"an event on track {uuid}, which is not described before it")
        if (kind == COUNTER) != (uuid in self.counter_tracks):
            self.say(f"an event of type {kind} on track {uuid}")
        self.events.setdefault(uuid, []).append((ts, self.packets, kind))
        for iid in e.get(3, []):
            self.use("category", iid)
            if kind == BEGIN:
                self.slices[iid] = self.slices.get(iid, 0) + 1
        for iid in e.get(10, []):
            self.use("name", iid)
        for iid in e.get(56, []):
            self.use("callstack", iid)
        for annotation in e.get(4, []):
            a = grouped(annotation)
            self.use("key", a[1][0])
            for iid in a.get(17, []):
                self.use("value", iid)
            if len({3, 6, 17} & a.keys()) != 1:
                self.say("an annotation without a value, or with two")
        if kind in (BEGIN, INSTANT) and not ({10, 23} & e.keys() and 3 in e):
            self.say("an event without name or category")
        for flow in e.get(47, []):
            if flow in self.flows_out:
                self.say(f"flow {flow:#x} begins twice")
            self.flows_out[flow] = ts
        for flow in e.get(48, []):
            if flow in self.flows_in:
                self.say(f"flow {flow:#x} ends twice")
            self.flows_in[flow] = ts
        self.begun += kind == BEGIN

    def packet(self, data):
        p = grouped(data)
        ts = p.get(PACKET["ts"], [None])[0]
        self.packets += 1
        if p.get(PACKET["sequence"]) != [1]:
            self.say("not of sequence 1")
        want = 1 if self.packets == 1 else 2
        if p.get(PACKET["flags"]) != [want]:
            self.say(f"sequence_flags {p.get(PACKET['flags'])}, not {want}")
        if self.packets == 1 and not {PACKET["clocks"], PACKET["defaults"], PACKET["first"]} <= p.keys():
            self.say("the first packet has no clocks or defaults")
        for data in p.get(PACKET["interned"], []):
            self.intern(data)
        for data in p.get(PACKET["track"], []):
            self.track(data)
        for data in p.get(PACKET["event"], []):
            self.event(data, ts)
        for data in p.get(PACKET["sample"], []):
            self.samples += 1
            for iid in grouped(data).get(4, []):
                self.use("callstack", iid)
        self.states += len(p.get(PACKET["state"], []))
        unknown = p.keys() - set(PACKET.values())
        if unknown:
            self.say(f"fields {sorted(unknown)}")

    def finish(self):
        for uuid, events in self.events.items():
            depth, sorted_events = 0, sorted(events)  # as the importer sorts: by time, then by place in the file
            if [e for e in events if e[2] in (BEGIN, END)] != [e for e in sorted_events if e[2] in (BEGIN, END)]:
                self.say(f"track {uuid}: slices are not in the order of time")
            for ts, where, kind in sorted_events:
                depth += (kind == BEGIN) - (kind == END)
                if depth < 0:
                    self.say(f"track {uuid}: an end at {ts} (packet {where}) of nothing")
                    depth = 0
            if depth:
                self.say(f"track {uuid}: {depth} slices do not end")
        if self.flows_out.keys() != self.flows_in.keys():
            self.say(f"{len(self.flows_out.keys() ^ self.flows_in.keys())} flows have one end")
        for flow in self.flows_out.keys() & self.flows_in.keys():
            if self.flows_out[flow] > self.flows_in[flow]:
                self.say(f"flow {flow:#x} ends before it begins")
        if len(set(self.tids.values())) != len(self.tids):
            self.say("two tracks of one thread")

    def slices_by_category(self):
        return {self.names["category", iid]: n for iid, n in self.slices.items()}


def check(path):
    """The rules after they saw the file."""
    with open(path, "rb") as f:
        data = memoryview(f.read())
    rules = Rules()
    try:
        for number, value in fields(data):
            if number != 1:
                rules.say(f"field {number} of Trace")
            else:
                rules.packet(value)
    except (ValueError, IndexError, KeyError, struct.error) as e:
        rules.say(f"cannot be read: {e!r}")
    rules.finish()
    return rules


if __name__ == "__main__":
    found = check(sys.argv[1])
    print("\n".join(found.wrong) or f"ok: {found.packets} packets, {found.begun} slices, {found.samples} samples, {len(found.flows_out)} flows")
    sys.exit(bool(found.wrong))
