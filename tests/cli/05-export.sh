#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# export: the Chrome trace is valid, nests and says where workers blocked; collapsed stacks count what was sampled; runs repeat to the byte.
. "$(dirname "$0")/common.inc"
cp "$captures/demo.ascope" demo.ascope
gunzip -c "$captures/demo.names.gz" >names

expect 0 "$ASCOPE" export --chrome --target names demo.ascope
cp out trace.json
python3 -B "$here/../viewers/chrome_rules.py" trace.json
python3 -B "$here/../viewers/chrome_sums.py" trace.json demo.ascope.db
python3 - <<'PY'
import json
from collections import defaultdict
lines = open("trace.json").read().splitlines()
t = json.loads("\n".join(lines))
assert list(t)[0] == "traceEvents"
tracks, names = defaultdict(list), {}
for e in t["traceEvents"]:
    assert e["ph"] in ("X", "M", "i", "s", "f", "C"), e
    if e["ph"] == "M" and e["name"] == "thread_name":
        names[e["pid"], e["tid"]] = e["args"]["name"]
    if e["ph"] == "X":
        assert isinstance(e.get("args", {}), dict) and e["dur"] >= 0
        tracks[e["pid"], e["tid"]].append((round(e["ts"] * 1000), -round(e["dur"] * 1000), e["name"]))
assert sum(n.startswith("worker ") for n in names.values()) == 4, names
for track, slices in tracks.items():
    ends = []
    for start, minus_dur, name in sorted(slices):
        while ends and ends[-1] <= start:
            ends.pop()
        assert not ends or start - minus_dur <= ends[-1], f"slices overlap in part on {names[track]}: {name} at {start}"
        ends.append(start - minus_dur)
assert any("sleep" in e["name"] and "wait_before_retry" in json.dumps(e) for e in t["traceEvents"] if e["ph"] == "X")
PY
for kind in --oncpu --offcpu; do
	expect 0 "$ASCOPE" export --folded $kind --target names demo.ascope
	python3 -c '
import re, sys
rows = open("out").read().splitlines()
assert rows and all(re.fullmatch(r".+ \d+", r) for r in rows), rows[:3]'
	cp out "folded$kind"
done
samples=$(awk '{n += $NF} END {print n}' <folded--oncpu)
equal "$samples" "$(sqlite3 demo.ascope.db 'SELECT count(*) FROM sample WHERE stack_id IS NOT NULL OR kstack_id IS NOT NULL')"
has folded--oncpu 'hash_password'
has folded--offcpu 'wait_before_retry'
# to a file: not over an existing one, nothing half-written; the same bytes again
expect 0 "$ASCOPE" export --chrome --target names -o t2.json demo.ascope
cmp trace.json t2.json
expect 1 "$ASCOPE" export --chrome -o t2.json demo.ascope
has err 't2.json'
LC_ALL=C.UTF-8 TZ=Asia/Tokyo "$ASCOPE" export --chrome --no-cache --target names demo.ascope >t3.json
cmp trace.json t3.json
expect 2 "$ASCOPE" export demo.ascope
