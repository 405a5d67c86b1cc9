# SPDX-License-Identifier: MIT OR Apache-2.0
"""Holds files of profiles to the rules of their formats and prints their total in ns.

python3 profile_rules.py speedscope FILE | pprof FILE | firefox FILE: one line "COUNT NS" (speedscope, firefox: NS alone).
speedscope: file-format-schema.json of its package; pprof: comments and CheckValid() of github.com/google/pprof (proto/profile.proto, profile/profile.go);
firefox: src/types/profile.ts and docs-developer/CHANGELOG-formats.md of firefox-devtools/profiler, as of version 55, and the crate fxprof-processed-profile 0.8.1.
"""
import decimal
import gzip
import json
import sys


def printable(text):
    return not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text)


def speedscope(path):
    doc = json.load(open(path, encoding="utf-8"))
    assert set(doc) <= {"$schema", "shared", "profiles", "name", "activeProfileIndex", "exporter"}, doc.keys()
    assert doc["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = doc["shared"]["frames"]
    for f in frames:
        assert set(f) <= {"name", "file", "line", "col"} and isinstance(f["name"], str), f
    keys = [(f["name"], f.get("file")) for f in frames]
    total = 0
    assert 0 <= doc["activeProfileIndex"] < len(doc["profiles"])
    for p in doc["profiles"]:
        assert set(p) == {"type", "name", "unit", "startValue", "endValue", "samples", "weights"}, p.keys()
        assert p["type"] == "sampled" and p["unit"] == "nanoseconds" and isinstance(p["name"], str)
        assert len(p["samples"]) == len(p["weights"])
        assert all(isinstance(i, int) and 0 <= i < len(frames) for s in p["samples"] for i in s)
        assert all(isinstance(w, int) and w >= 0 for w in p["weights"])
        assert p["endValue"] - p["startValue"] == sum(p["weights"])
        total += sum(p["weights"])
    assert len(set(keys)) >= len(keys) - 1, "frames of one name and file would not add up"
    print(total)


META = {"version", "preprocessedProfileVersion", "product", "importedFrom", "interval", "startTime", "profilingStartTime", "profilingEndTime", "processType",
        "stackwalk", "debug", "symbolicated", "usesOnlyOneStackType", "sourceCodeIsNotOnSearchfox", "markerSchema", "categories"}
THREAD = {"processType", "processName", "name", "isMainThread", "pid", "tid", "processStartupTime", "processShutdownTime", "registerTime", "unregisterTime",
          "pausedRanges", "stringArray"}
TABLES = {
    "samples": {"weightType", "stack", "time", "weight"},
    "stackTable": {"prefix", "frame"},
    "frameTable": {"address", "inlineDepth", "category", "subcategory", "func", "nativeSymbol", "innerWindowID", "line", "column"},
    "funcTable": {"name", "isJS", "relevantForJS", "resource", "fileName", "lineNumber", "columnNumber"},
    "resourceTable": {"lib", "name", "host", "type"},
    "nativeSymbols": {"address", "functionSize", "libIndex", "name"},
    "markers": {"category", "data", "endTime", "name", "phase", "startTime"},
}
COLORS = {"transparent", "purple", "green", "orange", "yellow", "lightblue", "blue", "brown", "magenta", "red", "lightred", "darkgrey", "grey"}
NS_OF_MS = 1000000


def whole(value, end, none=False, low=0):
    """Is it a position before `end` (or null)?"""
    return value is None if none and value is None else type(value) is int and low <= value < end


def firefox_thread(t, meta, libs):
    """Its ns."""
    assert set(t) == THREAD | set(TABLES), set(t) ^ (THREAD | set(TABLES))
    assert isinstance(t["pid"], str) and int(t["pid"]) > 0 and t["tid"] > 0 and isinstance(t["name"], str) and isinstance(t["processName"], str)
    for name, columns in TABLES.items():
        table = t[name]
        assert set(table) == columns | {"length"}, (name, set(table))
        for column in columns - {"weightType"}:
            assert len(table[column]) == table["length"], (name, column, len(table[column]), table["length"])
    strings, funcs, frames, stacks, samples, resources = (t[k] for k in ("stringArray", "funcTable", "frameTable", "stackTable", "samples", "resourceTable"))
    assert all(isinstance(s, str) for s in strings) and len(set(strings)) == len(strings), "strings more than once"
    assert all(whole(i, len(strings)) for i in funcs["name"] + resources["name"])
    assert all(whole(i, len(strings), none=True) for i in funcs["fileName"])
    assert all(whole(i, resources["length"], low=-1) for i in funcs["resource"]) and all(whole(i, len(libs)) for i in resources["lib"])
    assert set(resources["type"]) <= {1} and set(resources["host"]) <= {None}
    assert all(whole(i, funcs["length"]) for i in frames["func"]) and all(whole(i, len(meta["categories"])) for i in frames["category"])
    assert set(frames["subcategory"]) <= {0} and set(frames["address"]) <= {-1} and set(frames["nativeSymbol"]) <= {None}
    assert all(line is None or line > 0 for line in frames["line"])
    assert all(whole(i, frames["length"]) for i in stacks["frame"])
    assert all(whole(p, i, none=True) for i, p in enumerate(stacks["prefix"])), "a prefix that is not before its stack"
    for name, columns in (("frameTable", ("func", "line", "category")), ("stackTable", ("prefix", "frame")), ("funcTable", ("name", "fileName", "resource")),
                          ("resourceTable", ("lib",))):
        rows = list(zip(*(t[name][c] for c in columns)))
        assert len(set(rows)) == len(rows), f"{name}: a row more than once"
    used = set(frames["func"])
    assert used == set(range(funcs["length"])) and set(stacks["frame"]) == set(range(frames["length"])), "rows that nothing uses"
    assert samples["length"] > 0 and all(whole(i, stacks["length"], none=True) for i in samples["stack"])
    assert samples["weightType"] in ("samples", "tracing-ms")
    counts = samples["weightType"] == "samples"
    assert not counts or all(type(w) is int for w in samples["weight"])
    at = 0
    for time, weight in zip(samples["time"], samples["weight"]):
        assert time * NS_OF_MS == at and weight >= 0, (time, at)
        at += int(weight * NS_OF_MS * (meta["interval"] if counts else 1))
    return at


def firefox(path):
    text = open(path, encoding="utf-8").read()
    assert printable(text[:-1])
    doc = json.loads(text, parse_float=decimal.Decimal)
    assert set(doc) == {"meta", "libs", "pages", "counters", "threads"}, doc.keys()
    meta, libs = doc["meta"], doc["libs"]
    assert set(meta) == META, set(meta) ^ META
    assert meta["preprocessedProfileVersion"] == 55 and meta["symbolicated"] is True and meta["interval"] > 0
    assert meta["categories"][0]["color"] == "grey" and all(c["color"] in COLORS and c["subcategories"] == ["Other"] for c in meta["categories"])
    assert len({c["name"] for c in meta["categories"]}) == len(meta["categories"])
    for lib in libs:
        assert set(lib) == {"arch", "name", "path", "debugName", "debugPath", "breakpadId", "codeId"}
        code, guid = lib["codeId"], lib["breakpadId"]
        assert not guid or bytes.fromhex(guid[6:8] + guid[4:6] + guid[2:4] + guid[:2] + guid[10:12] + guid[8:10] + guid[14:16] + guid[12:14] + guid[16:32]) == \
            bytes.fromhex(code)[:16] and guid[32:] == "0", lib
    assert len({(lib["path"], lib["codeId"]) for lib in libs}) == len(libs)
    times = [firefox_thread(t, meta, libs) for t in doc["threads"]]
    assert [t["tid"] for t in doc["threads"]] == list(range(1, len(times) + 1))
    assert len({(t["processName"], t["name"]) for t in doc["threads"]}) == len(times), "a thread more than once"
    assert len({(t["processName"], t["pid"]) for t in doc["threads"]}) == len({t["pid"] for t in doc["threads"]}), "a process of two names"
    assert meta["profilingEndTime"] * NS_OF_MS == max(times, default=0)
    print(sum(times))


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
        shift += 7


def fields(data):
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            value, at = varint(data, at)
        else:
            assert tag & 7 == 2, f"wire type {tag & 7}"
            n, at = varint(data, at)
            value, at = data[at:at + n], at + n
        yield tag >> 3, value


def packed(data):
    at, values = 0, []
    while at < len(data):
        value, at = varint(data, at)
        values.append(value)
    return values


def pprof(path):
    message = {}
    for field, value in fields(gzip.open(path).read()):
        message.setdefault(field, []).append(value)
    texts = [t.decode("utf-8") for t in message[6]]
    assert texts[0] == "" and len(set(texts)) == len(texts)
    assert all(printable(t) for t in texts), "a text would reach the terminal as it is"

    def rows(field):
        return [dict((k, v) for k, v in fields(row)) for row in message.get(field, [])]

    kinds = [(texts[t[1]], texts[t[2]]) for t in rows(1)]
    assert len(kinds) == 2 and kinds[0][1] == "count" and kinds[1][1] == "nanoseconds", kinds
    assert texts[message[14][0]] == kinds[1][0]
    mappings, functions = {m[1]: m for m in rows(3)}, {f[1]: f for f in rows(5)}
    assert sorted(mappings) == list(range(1, len(mappings) + 1)) and 0 not in functions
    for f in functions.values():
        assert texts[f[2]] and texts[f[4]] is not None
    locations = set()
    for row in message.get(4, []):
        one, lines = {}, 0
        for k, v in fields(row):
            if k == 4:
                lines += 1
                assert dict(fields(v))[1] in functions
            one[k] = v
        assert lines and one[1] and one[1] not in locations
        locations.add(one[1])
        if 2 in one:
            m = mappings[one[2]]
            assert m[2] <= one[3] < m[3], (one, m)
    count = ns = 0
    for row in message.get(2, []):
        labels, values = [], None
        for k, v in fields(row):
            if k == 1:
                assert all(i in locations for i in packed(v)) and v
            elif k == 2:
                values = packed(v)
            else:
                label = dict(fields(v))
                labels.append(texts[label[1]])
                assert texts[label[2]]
        assert len(values) == 2 and len(set(labels)) == len(labels), (values, labels)
        count, ns = count + values[0], ns + values[1]
    print(count, ns)


if __name__ == "__main__":
    {"speedscope": speedscope, "pprof": pprof, "firefox": firefox}[sys.argv[1]](sys.argv[2])
