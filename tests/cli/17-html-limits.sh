#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# export --html of more than it holds: what is left out is counted in the file, totals count everything, and the file stays small.
. "$(dirname "$0")/common.inc"
cp "$captures/demo.ascope" demo.ascope
gunzip -c "$captures/demo.names.gz" >names
expect 0 "$ASCOPE" query --load --target names demo.ascope
limit() { sed -nE "s/^#define HTML_MAX_$1[[:space:]]+([0-9]+).*/\1/p" "$root/report/html_limits.h"; }
# Each blocked poll of one thread 400 times over, each time on a thread of its own.
python3 - 400 <<'PY'
import sqlite3, sys
n = int(sys.argv[1])
db = sqlite3.connect("demo.ascope.db")
db.execute("PRAGMA foreign_keys = OFF")
def columns(table):
    return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
def copy(table, where, **change):
    cols = columns(table)
    db.execute(f"INSERT INTO {table} ({', '.join(cols)}) SELECT {', '.join(change.get(c, c) for c in cols)} FROM {table} WHERE {where}")
thread, = db.execute("SELECT thread_id FROM poll WHERE dur_max > 10000000 GROUP BY 1 ORDER BY count(*) DESC LIMIT 1").fetchone()
top = {t: db.execute(f"SELECT max(id) FROM {t}").fetchone()[0] for t in ("thread", "poll", "_offcpu")}
for i in range(1, n + 1):
    by = {t: i * (m + 1) for t, m in top.items()}
    copy("thread", f"id = {thread}", id=f"id + {by['thread']}", tid=f"tid + {100000 + i}")
    copy("poll", f"thread_id = {thread} AND id <= {top['poll']}", id=f"id + {by['poll']}", thread_id=f"thread_id + {by['thread']}")
    copy("_offcpu", f"thread_id = {thread} AND id <= {top['_offcpu']}", id=f"id + {by['_offcpu']}", thread_id=f"thread_id + {by['thread']}",
         poll_id=f"poll_id + {by['poll']}")
db.commit()
PY
expect 0 "$ASCOPE" export --html -o after.html demo.ascope
THREADS=$(limit THREADS) BLOCKS=$(limit BLOCKS) python3 - <<'PY'
import json, os, re, sqlite3
db = sqlite3.connect("demo.ascope.db")
text = open("after.html", encoding="utf-8").read()
data = json.loads(re.search(r'<script[^>]*id="data"[^>]*>(.*?)</script>', text, re.S).group(1))
limit = {k: int(os.environ[k]) for k in ("THREADS", "BLOCKS")}
n, ns = db.execute("SELECT count(*), sum(dur) FROM blocking WHERE dur_max >= 10000000 AND held >= 10000000 AND holds = 'runtime'").fetchone()
assert (data["totals"]["runtime"]["count"], data["totals"]["runtime"]["total"]) == (n, ns), (data["totals"], n, ns)
threads, = db.execute("SELECT count(*) FROM thread").fetchone()
drawn = sum("seg" in t for t in data["threads"])
assert threads > limit["THREADS"] == drawn, (threads, drawn)
assert f'"without_segments":{threads - drawn}' in text
count, = db.execute("SELECT count(*) FROM blocking WHERE dur_max >= 10000000 AND held >= 10000000").fetchone()
assert len(data["blocks"]) == limit["BLOCKS"] and data["left"]["blocks"] == count - limit["BLOCKS"] > 0, (len(data["blocks"]), data["left"], count)
# the longest ones are there
worst = [d for d, in db.execute("SELECT dur FROM blocking WHERE dur_max >= 10000000 AND held >= 10000000 ORDER BY dur DESC LIMIT 100")]
at = data["block_columns"].index("dur")
assert sorted((b[at] for b in data["blocks"]), reverse=True)[:100] == worst
assert len(text) < 4_000_000, len(text)
PY
