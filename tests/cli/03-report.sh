#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# report on the kept capture: every mistake of the demo service with its class, function and line, in text and JSON, and nothing else.
. "$(dirname "$0")/common.inc"
cp "$captures/demo.ascope" demo.ascope
gunzip -c "$captures/demo.names.gz" >names

expect 0 "$ASCOPE" report --blocking --target names demo.ascope
has out 'COMPLETE'
has out 'wait_before_retry +demo/src/checkout.rs:[0-9]+ +sleep'
has out 'count_items +demo/src/inventory.rs:[0-9]+ +lock'
has out 'sample_orders +demo/src/report.rs:[0-9]+ +disk'
has out 'hash_password +demo/src/login.rs:[0-9]+ +cpu'
has out '^#1 +[0-9.]+ ms '
hasnt out $'\033'
expect 0 "$ASCOPE" report --blocking --json --target names demo.ascope
cp out blocking.json
python3 - <<'PY'
import json
r = json.load(open("blocking.json"))
assert r["schema_version"] == 1 and r["verdict"]["state"] == "complete", r["verdict"]
assert {b["class"] for b in r["blocks"]} == {"sleep", "lock", "disk", "cpu"}, {b["class"] for b in r["blocks"]}
assert {p["function"].split("::")[-1] for p in r["places"]} == {"wait_before_retry", "count_items", "sample_orders", "hash_password"}, r["places"]
for b in r["blocks"]:
    assert b["off_cpu"] + b["on_cpu"] + b["runnable"] == b["dur"], b
    assert b["dur_min"] <= b["dur"] <= b["dur_max"], b
    assert any(f["function"] == b["function"] or f["function"].endswith(b["function"].split("::")[-1]) for f in b["frames"]), b
PY
# the threshold is the report's
expect 0 "$ASCOPE" report --blocking --min 10s --target names demo.ascope
has out 'no poll blocked for >= 10.*s'
expect 2 "$ASCOPE" report --min 10parsecs demo.ascope
# a part of the time
expect 0 "$ASCOPE" report --blocking --json --from 1s --to 2s demo.ascope
python3 - <<'PY'
import json
part, whole = json.load(open("out")), json.load(open("blocking.json"))
assert 0 < len(part["blocks"]) < len(whole["blocks"]), (len(part["blocks"]), len(whole["blocks"]))
PY
expect 0 "$ASCOPE" report --summary demo.ascope
has out '^  worker 3 '
has out '1\.54\.1'
# another build's binary is refused, with both ids
expect 1 "$ASCOPE" report --no-cache --target "$ASCOPE" demo.ascope
has err 'build-id'
expect 1 "$ASCOPE" report --no-cache --target nowhere demo.ascope
has err 'nowhere'
# how the walks of user stacks ended: the same in the report, its JSON, info and the database, weighed by what was recorded
expect 0 "$ASCOPE" report --blocking --target names demo.ascope
has out '^STACKS  '
expect 0 "$ASCOPE" report --blocking --json --target names demo.ascope
cp out blocking.json
expect 0 "$ASCOPE" info --json demo.ascope
cp out info.json
sqlite3 -json demo.ascope.db 'SELECT status, sum(events) AS events FROM stack_end GROUP BY status' >ends.json
python3 - <<'PY'
import json
verdict, info, ends = json.load(open("blocking.json"))["verdict"], json.load(open("info.json"))["stacks"], json.load(open("ends.json"))
assert info["total"] > 100 and ends, info
assert {e["status"]: e["events"] for e in ends} == {k: n for k, n in info.items() if n and k not in ("total", "guessed")}, (ends, info)
assert verdict["stacks"] + verdict["stacks_frame_pointers"] == info["total"] == sum(e["events"] for e in verdict["stack_ends"]), (verdict, info)
assert verdict["stacks_whole"] == info["whole"] and verdict["stacks_guessed"] == info["guessed"], (verdict, info)
PY
