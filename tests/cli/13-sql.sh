#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The queries of doc/sql.md print what it says; common ones find their rows by a key; the database tells what is in it; what is asked of a hostile one.
. "$(dirname "$0")/common.inc"
cp "$captures/demo.ascope" demo.ascope
gunzip -c "$captures/demo.names.gz" >names

python3 -B "$root/tests/sql/doc_queries.py" "$ASCOPE" "$root/doc/sql.md" demo.ascope names >queries || { grep -A20 '^not ok' queries >&2; die 'doc/sql.md'; }
[ "$(grep -c '^ok' queries)" -ge 20 ] || die 'fewer than 20 queries'
python3 -B "$root/tests/sql/plans.py" demo.ascope.db >plans || { grep -A20 '^not ok' plans >&2; die 'a query scans'; }

# the database's own words are those of the program
expect 0 "$ASCOPE" query --schema
mv out schema
expect 0 "$ASCOPE" query demo.ascope --schema
cmp -s out schema || die 'another schema with the file than without it'
has schema '^view thread_state$'
has schema '^    dur_min +INTEGER +proven length$'
expect 0 "$ASCOPE" query --csv demo.ascope "SELECT text FROM ascope_doc WHERE name = 'task' AND \"column\" = 'busy'"
has out 'a lower bound'
expect 2 "$ASCOPE" query demo.ascope --schema 'SELECT 1'

# every view can be read to its end, of any capture
for file in demo.ascope "$captures"/good/*.ascope; do
	base=$(basename "$file")
	[ -e "$base" ] || cp "$file" .
	code=0
	"$ASCOPE" query "$base" 'SELECT count(*) FROM thread_state, (SELECT count(*) FROM perf_sample)' >out 2>err || code=$?
	case $code in 0 | 3) ;; *) cat err >&2; die "$base: exit $code" ;; esac
	python3 - "$base.db" <<'PY' || die "$base: views"
import sqlite3, sys
db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
views = [r[0] for r in db.execute("SELECT name FROM sqlite_schema WHERE type = 'view'")]
assert len(views) >= 29, views
for v in views:
    db.execute(f"SELECT * FROM {v}").fetchall()
assert db.execute("PRAGMA foreign_key_check").fetchall() == []
# the time of a thread is given out once: what it ran, waited and wanted to run does not overlap
bad = db.execute("""SELECT utid, ts FROM (SELECT utid, ts, dur, lead(ts) OVER (PARTITION BY utid ORDER BY ts, id) AS next FROM thread_state WHERE dur > 0)
                    WHERE ts + dur > next""").fetchall()
assert not bad or "extremes" in sys.argv[1], bad[:3]
PY
done

# output: exact CSV, NUL, an output that takes no more
expect 0 "$ASCOPE" query --csv-exact demo.ascope "SELECT '=1+1' AS f, '' AS e, NULL AS n"
equal "$(tr -d '\r' <out)" $'f,e,n\n=1+1,"",'
expect 0 "$ASCOPE" query --csv demo.ascope "SELECT '=1+1' AS f, 'a' || char(0) || 'b' AS t"
equal "$(tr -d '\r' <out)" $'f,t\n"\'=1+1",a\xef\xbf\xbdb'
expect 0 "$ASCOPE" query demo.ascope "SELECT 'a' || char(0) || 'b' AS t"
equal "$(tail -n 1 out)" 'a?b'
code=0
"$ASCOPE" query demo.ascope 'WITH RECURSIVE x (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x) SELECT i FROM x' >/dev/full 2>err || code=$?
equal "$code" 1
has err 'standard output'
"$ASCOPE" query --csv demo.ascope 'WITH RECURSIVE x (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x) SELECT i FROM x' 2>err | head -n 2 >out || true
equal "$(tr -d '\r' <out | tail -n 1)" 1
equal "$(cat err)" ''
# errors say where, in long statements, too
printf 'SELECT 1,\n  2,\n\tnocolumn\nFROM poll' >q.sql
code=0
"$ASCOPE" query demo.ascope - <q.sql >out 2>err || code=$?
equal "$code" 1
has err 'no such column: nocolumn \(line 3\)'
equal "$(tail -n 1 err)" $'  \t^'
expect 1 "$ASCOPE" query demo.ascope "SELECT $(printf '1 + %.0s' $(seq 500)) nocolumn, $(printf '1 + %.0s' $(seq 500)) 1"
[ "$(wc -L <err)" -lt 140 ] || die 'an error shows all of a long line'
has err 'nocolumn'
code=0
printf 'SELECT 1\0, 2' | "$ASCOPE" query demo.ascope - >out 2>err || code=$?
equal "$code" 1
has err 'NUL'
# what takes too much ends
expect 1 "$ASCOPE" query demo.ascope "SELECT hex(zeroblob(100000000))"
has err 'too big'
expect 1 "$ASCOPE" query demo.ascope "SELECT $(printf '(%.0s' $(seq 3000))1$(printf ')%.0s' $(seq 3000))"
expect 1 "$ASCOPE" query --timeout 100ms demo.ascope 'WITH RECURSIVE x (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x) SELECT max(i) FROM x'
has err '--timeout'
# a database that somebody else changed is not believed: its views may say or do anything
expect 0 "$ASCOPE" query demo.ascope 'SELECT 1'
for change in 'DROP VIEW blocking; CREATE VIEW blocking AS SELECT 42 AS n' 'CREATE TRIGGER x AFTER INSERT ON symbol BEGIN DELETE FROM loss; END' 'CREATE TABLE extra (a)'; do
	before=$(stat -c %i demo.ascope.db)
	sqlite3 demo.ascope.db "$change"
	expect 0 "$ASCOPE" query --csv demo.ascope 'SELECT count(*) > 42 FROM blocking'
	equal "$(tail -n 1 out | tr -d '\r')" 1
	[ "$(stat -c %i demo.ascope.db)" != "$before" ] || die "used after: $change"
	equal "$(sqlite3 demo.ascope.db "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' OR name = 'extra'")" 0
done
