#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# query: table, CSV, JSON, from stdin; documented; read-only; mistakes are shown where they are.
. "$(dirname "$0")/common.inc"
cp "$captures/demo.ascope" demo.ascope

expect 0 "$ASCOPE" query demo.ascope 'SELECT count(*) AS n, min(dur) >= 0 AS ok FROM blocking'
has out '^ *n +ok'
expect 0 "$ASCOPE" query --csv demo.ascope "SELECT 'a,b' AS x, 1 AS y, NULL AS z"
equal "$(tr -d '\r' <out)" $'x,y,z\n"a,b",1,'
expect 0 "$ASCOPE" query demo.ascope "SELECT 'é\"' AS x, 9007199254740993 AS y, NULL AS z" --json
python3 -c 'import json; assert json.load(open("out")) == [{"x": "é\"", "y": 9007199254740993, "z": None}]'
"$ASCOPE" query demo.ascope --csv >out <<<'SELECT 2 + 2 AS four'
equal "$(tr -d '\r' <out | tail -n 1)" 4
expect 1 "$ASCOPE" query demo.ascope 'SELECT * FROM blocing'
has err 'no such table: blocing'
expect 1 "$ASCOPE" query demo.ascope 'SELECT FROM'
has err '\^'
for sql in 'DELETE FROM poll' 'DROP VIEW blocking' "ATTACH 'x.db' AS x" 'CREATE TABLE t (x)' 'PRAGMA writable_schema = 1'; do
	expect 1 "$ASCOPE" query demo.ascope "$sql"
done
[ ! -e x.db ] || die 'ATTACH made a file'
# names that scripts rely on
expect 0 "$ASCOPE" query demo.ascope --json 'SELECT ts, dur, dur_min, dur_max, off_cpu, on_cpu, runnable, waits, class, syscall, pid, tid, ns_pid, ns_tid, worker,
	runtime_id, task_id, function, file, line, stack_id, state FROM blocking LIMIT 1'
expect 0 "$ASCOPE" query demo.ascope --json 'SELECT runtime_id, pid, tokio_version, flavor, workers, module, found_by, tick_valid FROM runtime'
python3 -c '
import json
r, = json.load(open("out"))
assert (r["tokio_version"], r["flavor"], r["workers"], r["tick_valid"]) == ("1.54.1", "multi_thread", 4, 1), r'
# --schema has a sentence for every table and view
expect 0 "$ASCOPE" query demo.ascope --schema
for table in $(sqlite3 demo.ascope.db "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"); do
	has out "$table"
done
# the database opens in plain sqlite3, and its parts add up
equal "$(sqlite3 demo.ascope.db 'PRAGMA integrity_check')" ok
equal "$(sqlite3 demo.ascope.db 'PRAGMA foreign_key_check')" ''
equal "$(sqlite3 demo.ascope.db 'SELECT count(*) FROM poll WHERE off_cpu + on_cpu + runnable <> dur')" 0
