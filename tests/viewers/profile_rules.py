# SPDX-License-Identifier: MIT OR Apache-2.0
"""Holds files of profiles to the rules of their formats and prints their total in ns.

python3 profile_rules.py speedscope FILE | pprof FILE: one line "COUNT NS" (speedscope: NS alone).
speedscope: file-format-schema.json of its package; pprof: comments and CheckValid() of github.com/google/pprof (proto/profile.proto, profile/profile.go).
"""
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
    {"speedscope": speedscope, "pprof": pprof}[sys.argv[1]](sys.argv[2])
