#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Where the database goes, when it is made again, and what is left behind.
. "$(dirname "$0")/common.inc"
cp "$captures/demo.ascope" demo.ascope
q() { expect 0 "$ASCOPE" query "$@" demo.ascope 'SELECT count(*) FROM poll'; }

q
[ -e demo.ascope.db ] || die 'no database beside the capture'
equal "$(stat -c %a demo.ascope.db)" 600
before=$(stat -c %i:%Y demo.ascope.db)
q
equal "$(stat -c %i:%Y demo.ascope.db)" "$before"
# the capture changed: the database is made again
touch -d '2001-01-01' demo.ascope
q
[ "$(stat -c %i demo.ascope.db)" != "${before%%:*}" ] || die 'a stale database was used'
# another ascope made it: its columns or its results may be others
before=$(stat -c %i demo.ascope.db)
python3 -c 'import sqlite3; db = sqlite3.connect("demo.ascope.db"); db.execute("UPDATE meta SET value = value || 1 WHERE key = \"ascope.maker\""); assert db.total_changes == 1; db.commit()'
q
[ "$(stat -c %i demo.ascope.db)" != "$before" ] || die 'the database of another ascope was used'
rm demo.ascope.db
q --no-cache
[ ! -e demo.ascope.db ] || die '--no-cache left a database'
q --db elsewhere.db
[ -e elsewhere.db ] && [ ! -e demo.ascope.db ] || die '--db was not heard'
# somebody else's file is not overwritten
echo 'not a database' >mine.db
expect 1 "$ASCOPE" query --db mine.db demo.ascope 'SELECT 1'
equal "$(cat mine.db)" 'not a database'
# a folder that cannot be written sends it to the cache
mkdir locked && cp demo.ascope locked/ && chmod 555 locked
if [ "$(id -u)" = 0 ]; then
	chmod 755 "$work"
	mkdir -p cache && chmod 777 cache
	cp "$ASCOPE" ascope-copy && chmod 755 ascope-copy # the checkout may lie where only root can go
	setpriv --reuid 65534 --regid 65534 --clear-groups env XDG_CACHE_HOME="$work/cache" HOME=/nonexistent ./ascope-copy query locked/demo.ascope 'SELECT 1' >out 2>err ||
		{ cat err; die 'a read-only folder is no reason to fail'; }
else
	"$ASCOPE" query locked/demo.ascope 'SELECT 1' >out
fi
[ -n "$(ls cache/ascope/*.db)" ] || die 'no database in the cache'
[ -z "$(find . -name '*.tmp*')" ] || die "temporary files are left: $(find . -name '*.tmp*')"
chmod 755 locked
