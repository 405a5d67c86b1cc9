#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# report --tasks, --workers, --wakers, --cascade of the demo, which is recorded with its wakes: their options are checked; JSON is JSON; --chrome --tasks has tracks
# of what was caught.
. "$(dirname "$0")/common.inc"
cp "$captures/demo.ascope" demo.ascope
gunzip -c "$captures/demo.names.gz" >names
for kind in tasks workers wakers cascade; do
	expect 0 "$ASCOPE" report --$kind --target names demo.ascope
	has out '^demo.ascope '
	hasnt out $'\033'
	expect 0 "$ASCOPE" report --$kind --json --target names demo.ascope
	python3 -c 'import json; r = json.load(open("out")); assert r["schema_version"] == 1 and r["verdict"]["state"] and r["capture"]["workers"] == 4'
	[ "$kind" = cascade ] || expect 0 "$ASCOPE" report --$kind --from 1s --to 2s demo.ascope
done
expect 0 "$ASCOPE" report --tasks --target names demo.ascope
has out 'orders::checkout::send_receipt'
expect 0 "$ASCOPE" report --workers --target names demo.ascope
has out '^  worker 3 '
# parts of a worker's time add up to it
expect 0 "$ASCOPE" report --workers --json demo.ascope
python3 - <<'PY'
import json
for r in json.load(open("out"))["runtimes"]:
    assert r["workers"]
    for w in r["workers"]:
        assert w["wall"] == sum(w[k] for k in ("on_cpu", "blocked", "runnable", "parked", "idle", "other")), w
PY
# a graph: every node of an edge is there (17-dot.sh has it drawn)
expect 0 "$ASCOPE" report --wakers --dot --top 0 demo.ascope
python3 - <<'PY'
import re
text = open("out").read()
nodes = set(re.findall(r"^  (n\d+) \[", text, re.M))
edges = re.findall(r"^  (n\d+) -> (n\d+) \[", text, re.M)
assert edges and all(a in nodes and b in nodes for a, b in edges)
PY
# block #2 of the report is block #2 here
expect 0 "$ASCOPE" report --target names demo.ascope
grep '^#2 ' out >title
expect 0 "$ASCOPE" report --cascade 2 --target names demo.ascope
grep -qxFf title out || die "--cascade 2 is not block #2 of the report"
expect 0 "$ASCOPE" report --cascade 9999 demo.ascope
has out 'There is no block number 9999'
for wrong in "--tasks --wakers" "--dot" "--wakers --dot --json" "--cascade 0" "--cascade two" "--tasks 3"; do
	expect 2 "$ASCOPE" report $wrong demo.ascope
done
expect 2 "$ASCOPE" export --folded --max-flows 3 demo.ascope
expect 2 "$ASCOPE" export --folded --tasks demo.ascope
expect 0 "$ASCOPE" export --chrome --tasks demo.ascope
python3 - <<'PY'
import json
t = json.load(open("out"))
tasks = {(e["pid"], e["tid"]) for e in t["traceEvents"] if e.get("cat") == "task_poll"}
assert tasks and t["metadata"]["task_tracks"] == len(tasks), (len(tasks), t["metadata"]["task_tracks"])
PY
