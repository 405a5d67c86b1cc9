#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""plans.py: what people ask first finds its rows by a key: no query below may scan the rows of off-CPU intervals, samples or stacks.

usage: plans.py DATABASE
"""
import re
import sqlite3
import sys

# the query; what its plan must have
QUERIES = [
    ("SELECT * FROM offcpu WHERE thread_id = 3 AND ts BETWEEN 1 AND 2", r"SEARCH o USING PRIMARY KEY \(thread_id=\? AND ts>\? AND ts<\?\)"),
    ("SELECT sum(dur) FROM offcpu WHERE poll_id = 1", r"SEARCH o USING INDEX offcpu_by_poll"),
    ("SELECT * FROM sample WHERE thread_id = 3 AND ts > 5", r"SEARCH s USING PRIMARY KEY \(thread_id=\? AND ts>\?\)"),
    ("SELECT * FROM sample WHERE poll_id = 5", r"SEARCH s USING INDEX sample_by_poll"),
    ("SELECT * FROM slice WHERE poll_id = 5", r"SEARCH o USING INDEX offcpu_by_poll \(poll_id=\?\)"),
    ("SELECT * FROM thread_state WHERE utid = 3 AND ts > 5", r"SEARCH o USING PRIMARY KEY \(thread_id=\?"),
    ("SELECT * FROM sched_slice WHERE utid = 3", r"SEARCH o USING PRIMARY KEY \(thread_id=\?"),
    ("SELECT * FROM flow", r"SEARCH p USING COVERING INDEX poll_by_thread \(thread_id=\? AND ts<\?\)"),
    ("SELECT * FROM stack_text WHERE stack_id = 5", r"SEARCH l USING PRIMARY KEY \(list_id=\?\)"),
    ("SELECT b.ts, s.function FROM blocking AS b JOIN stack_text AS s USING (stack_id) WHERE b.poll_id = 1", r"SEARCH p USING PRIMARY KEY \(stack_id=\?\)"),
    ("SELECT * FROM perf_sample WHERE utid = 3", r"SEARCH c USING PRIMARY KEY \(stack_id=\? AND kstack_id=\?\)"),
    ("SELECT * FROM wakeup WHERE thread_id = 2", r"SEARCH o USING PRIMARY KEY \(thread_id=\?"),
    ("SELECT * FROM blocking WHERE dur > 10000000 ORDER BY dur DESC LIMIT 5", r"SEARCH p USING INDEX poll_by_dur"),
    ("SELECT * FROM v_utilisation_ts", r"SEARCH o USING PRIMARY KEY \(thread_id=\?\)"),
    ("SELECT ts, dur FROM _offcpu WHERE thread_id = 3 AND ts >= coalesce((SELECT max(ts) FROM _offcpu WHERE thread_id = 3 AND ts <= 9), 9) ORDER BY ts, id",
     r"SEARCH _offcpu USING PRIMARY KEY \(thread_id=\? AND ts>\?\)"),  # report --offcpu, --oncpu, --timeline
    ("SELECT s.stack_id FROM _sample AS s LEFT JOIN _sample_kind AS k ON k.id = s.kind_id WHERE s.thread_id = 3 AND s.ts BETWEEN 1 AND 9",
     r"SEARCH s USING PRIMARY KEY \(thread_id=\? AND ts>\? AND ts<\?\)"),  # report --oncpu
    ("SELECT * FROM stack_profile_frame WHERE id = 5", r"SEARCH s USING PRIMARY KEY \(frame_id=\?\)"),
    ("SELECT * FROM v_blocking_ts AS v JOIN offcpu AS o USING (poll_id) WHERE v.dur_ms > 10", r"SEARCH o USING INDEX offcpu_by_poll"),
]
# aliases of _offcpu, _sample, frame_list, frame and symbol in the views
SCAN = re.compile(r"SCAN (_offcpu|_sample|frame_list|symbol|frame|o|s|l|f)\b(?! USING INDEX offcpu_by_poll)")

db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
failed = 0
for number, (sql, must) in enumerate(QUERIES, 1):
    plan = "\n".join(row[3] for row in db.execute("EXPLAIN QUERY PLAN " + sql))
    bad = None if re.search(must, plan) else f"has no {must}"
    scan = SCAN.search(plan)
    bad = bad or (scan and f"has {scan.group(0)}")
    print(f"{'not ' if bad else ''}ok {number} - {sql}")
    if bad:
        failed += 1
        print("# the plan " + bad + "\n# " + plan.replace("\n", "\n# "))
sys.exit(1 if failed else 0)
