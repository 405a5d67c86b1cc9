#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# A report of blocking loads the rows of reported polls; what reads more completes the database, and reports stay what they were.
. "$(dirname "$0")/common.inc"
cp "$captures/demo.ascope" demo.ascope
rows() { sqlite3 demo.ascope.db "SELECT value FROM meta WHERE key = 'ascope.rows'"; }
count() { sqlite3 demo.ascope.db "SELECT count(*) FROM $1"; }

expect 0 "$ASCOPE" report demo.ascope
cp out first.txt
equal "$(rows)" polls
few=$(count _offcpu)
# what is the same at any depth needs no more
expect 0 "$ASCOPE" query demo.ascope 'SELECT count(*) FROM blocking JOIN capture'
expect 0 "$ASCOPE" query demo.ascope 'SELECT value FROM meta UNION ALL SELECT name FROM thread'
equal "$(rows)" polls
# another reader keeps the one it has open
exec {held}<demo.ascope.db
expect 0 "$ASCOPE" query --json demo.ascope 'SELECT count(*) AS n FROM offcpu'
equal "$(rows)" all
all=$(count _offcpu)

[ "$all" -gt "$few" ] || die "$few rows of reported polls, $all of all"
[ "$(stat -Lc %i /proc/$$/fd/$held)" != "$(stat -c %i demo.ascope.db)" ] || die 'the database was changed in place'
exec {held}<&-
expect 0 "$ASCOPE" report demo.ascope
cmp out first.txt || die 'the report is another one now that all rows are loaded'
equal "$(rows)" all

# --load loads all and says where
rm demo.ascope.db
expect 0 "$ASCOPE" query demo.ascope --load
equal "$(cat out)" demo.ascope.db
equal "$(rows) $(count _offcpu)" "all $all"
expect 2 "$ASCOPE" query demo.ascope --load 'SELECT 1'
expect 2 "$ASCOPE" query demo.ascope --load --no-cache
