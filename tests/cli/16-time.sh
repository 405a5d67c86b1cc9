#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# report --offcpu, --oncpu, --timeline of the demo: totals are those of SQL to the nanosecond, filters and widths are checked, two runs and two locales give the same.
. "$(dirname "$0")/common.inc"
cp "$captures/demo.ascope" demo.ascope
gunzip -c "$captures/demo.names.gz" >names
expect 0 "$ASCOPE" report --offcpu --json --target names demo.ascope
cp out off.json
expect 0 "$ASCOPE" report --oncpu --json demo.ascope
cp out on.json
expect 0 "$ASCOPE" report --timeline --json --width 160 demo.ascope
cp out line.json
python3 - <<'PY'
import json, sqlite3
off, on, line = (json.load(open(f + ".json")) for f in ("off", "on", "line"))
db = sqlite3.connect("demo.ascope.db")
(start, end), = db.execute("SELECT ts_start, ts_end FROM capture")
life = {i: (max(a or 0, start), min(b or end, end)) for i, a, b in db.execute("SELECT id, ts_start, ts_end FROM thread")}
parts = {}
for utid, state, ts, dur in db.execute("SELECT utid, state, ts, dur FROM thread_state"):
    lo, hi = life[utid]
    ns = max(0, min(hi, ts + dur if dur >= 0 else hi) - max(lo, ts))
    key = "on_cpu" if state == "Running" else "runnable" if state in ("R", "R+") else "off"
    parts[key] = parts.get(key, 0) + ns
time = off["time"]
assert time["on_cpu"] == parts["on_cpu"] == on["on_cpu"] > 0, (time, parts)
assert time["runnable"] == parts["runnable"] > 0
assert time["waiting"] + time["idle"] == parts["off"] > 0
assert time["wall"] == sum(hi - lo for lo, hi in life.values())
assert time["wall"] == sum(time[k] for k in ("on_cpu", "runnable", "waiting", "idle", "unknown"))
for t in off["threads"]:
    assert t["wall"] == sum(t[k] for k in ("on_cpu", "runnable", "waiting", "idle", "unknown")), t
for key in ("syscalls", "stacks", "threads", "wakers"):
    assert sum(x["total"] for x in off[key]) == time["waiting"] == off["shown"]["total"], key
# view coverage has the same of each thread
for tid, cpu, out, unknown in db.execute("SELECT tid, on_cpu, off_cpu, unknown FROM coverage"):
    t, = [t for t in off["threads"] if t["tid"] == tid]
    assert (t["on_cpu"], t["runnable"] + t["waiting"] + t["idle"], t["unknown"]) == (cpu, out, unknown), t
states = {s["state"]: s for s in off["states"]}
assert {"sleep", "disk", "lock", "woken", "preempted", "parked", "driver"} <= set(states), states
for name in ("sleep", "disk", "lock"):
    n, ns = db.execute("SELECT count(*), sum(coalesce(ts_waking, ts + dur, ?) - ts) FROM offcpu WHERE class = ? AND role <> 'parked'", (end, name)).fetchone()
    assert (n, ns) == (states[name]["count"], states[name]["total"]), name
# samples
assert on["samples"] == db.execute("SELECT count(*) FROM sample").fetchone()[0] > 0
assert on["sampled"] == on["samples"] * on["sample_period"]
for key, n in (("categories", "self"), ("categories", "with_called"), ("functions", "self")):
    assert sum(x[n] for x in on[key]) == on["samples"] - on["without_stack"], key
assert any(f["function"].endswith("hash_password") and f["total"] > on["samples"] // 4 for f in on["functions"])
# the picture's cells are the same time again
assert len(line["rows"]) == 4 and line["columns"] == 124 and len(line["bounds"]) == 125
assert line["bounds"][0] == start and line["bounds"][-1] == end
for key in ("on_cpu", "runnable", "waiting", "idle", "unknown"):
    assert sum(sum(r[key]) for r in line["rows"] + line["groups"]) == time[key], key
blocked = db.execute("SELECT class, sum(dur + stopped) FROM blocking WHERE held >= 10000000 AND dur_max >= 10000000 GROUP BY class").fetchall()
assert {c: sum(sum(r["blocked"].get(c, [])) for r in line["rows"] + line["groups"]) for c, _ in blocked} == dict(blocked), blocked
PY
# text: no line of the picture is wider than asked for; ASCII is ASCII; the locale changes nothing in a file
for width in 60 80 160 400; do
	for kind in "" --ascii; do
		expect 0 "$ASCOPE" report --timeline --width $width $kind demo.ascope
		has out '^worker 3 '
		has out ' [0-9.]+ s'
		hasnt out $'\033'
		python3 - $width "$kind" <<'PY'
import sys
lines = open("out", encoding="utf-8").read().split("\n")
grid = [l for l in lines if "│" in l or "|" in l]
assert len(grid) >= 8 and max(map(len, grid)) <= int(sys.argv[1]), max(map(len, grid))
if sys.argv[2]:
    assert all(l.isascii() for l in lines)
PY
	done
done
for kind in offcpu oncpu timeline; do
	expect 0 "$ASCOPE" report --$kind demo.ascope
	cp out once
	expect 0 env LC_ALL=C TZ=Asia/Tokyo "$ASCOPE" report --$kind demo.ascope
	cmp -s once out || die "--$kind: two runs differ"
	expect 0 "$ASCOPE" report --$kind --from 1s --to 2s --pid 492 demo.ascope
	expect 0 "$ASCOPE" report --$kind --json --tid 550 demo.ascope
	expect 0 "$ASCOPE" report --$kind --comm nobody demo.ascope
done
# one class, by length: what is left out is told, and the sum stays
expect 0 "$ASCOPE" report --offcpu --class lock --min 10ms demo.ascope
has out 'are left out by what was asked for'
has out '^  lock '
hasnt out '^  sleep '
expect 0 "$ASCOPE" report --offcpu --class lock --min 10ms --max 1s --json demo.ascope
python3 - <<'PY'
import json, sqlite3
r = json.load(open("out"))
n, ns = sqlite3.connect("demo.ascope.db").execute("SELECT count(*), sum(ts_waking - ts) FROM offcpu WHERE class = 'lock' AND role <> 'parked' AND ts_waking - ts BETWEEN 10000000 AND 1000000000").fetchone()
assert (r["shown"]["count"], r["shown"]["total"]) == (n, ns) and n > 0, (r["shown"], n, ns)
assert r["left_out"]["total"] + r["shown"]["total"] == sum(r["time"][k] for k in ("runnable", "waiting", "idle"))
PY
expect 0 "$ASCOPE" report --offcpu --target names demo.ascope
has out 'wait_before_retry +demo/src/checkout.rs:[0-9]+'
has out 'refresh \(tid [0-9]+\) +lock'
expect 0 "$ASCOPE" report --oncpu --target names demo.ascope
has out 'hash_password +demo/src/login.rs:[0-9]+'
has out '^  hash +[0-9.]+ %'
for wrong in "--offcpu --oncpu" "--blocking --pid 1" "--timeline --task 3" "--oncpu --class lock" "--oncpu --min 1ms" "--offcpu --min 2s --max 1s" \
	"--timeline --width 20" "--timeline --width 4000" "--offcpu --class locks" "--summary --all"; do
	expect 2 "$ASCOPE" report $wrong demo.ascope
done
