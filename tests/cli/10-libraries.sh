#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Rules about libraries: built in, from files, from the configuration; mistakes; a database that was made with others.
. "$(dirname "$0")/common.inc"
cp "$captures/demo.ascope" demo.ascope
gzip -dc "$captures/demo.names.gz" >demo.names
q() { "$ASCOPE" query "${@:1:$#-1}" demo.ascope "${@: -1}" --csv | tr -d '\r' | tail -n +2; } # [OPTIONS] SQL
q_try() { q "$@" "SELECT DISTINCT advice FROM blocking WHERE function LIKE '%::wait_before_retry' AND class = 'sleep'"; }

# by themselves
expect 0 "$ASCOPE" query --target demo.names demo.ascope "SELECT 1"
has <(q_try) 'tokio::time::sleep'
equal "$(q "SELECT DISTINCT library FROM blocking WHERE function LIKE '%::wait_before_retry' AND class = 'sleep'")" std::thread
equal "$(q "SELECT DISTINCT detail FROM blocking WHERE function LIKE '%::count_items' AND class = 'lock'")" mutex

# a file, twice: the first counts; the database follows
echo 'try sleep std::thread ask Ada' >ada
printf '# Grace\r\n\r\ntry\tsleep  *   ask Grace\r\n' >grace
equal "$(q_try --libraries ada)" 'ask Ada'
equal "$(q_try --libraries grace --libraries ada)" 'ask Ada'
equal "$(q_try --libraries grace)" 'ask Grace'
expect 0 "$ASCOPE" report --libraries ada demo.ascope
has out 'try +ask Ada'
expect 0 "$ASCOPE" report --libraries ada --json demo.ascope
python3 -c '
import json
b = [b for b in json.load(open("out"))["blocks"] if b["class"] == "sleep"]
assert b and all(x["advice"] == "ask Ada" for x in b if x["library"] == "std::thread"), b
assert all("detail" in x for x in b)'
expect 0 "$ASCOPE" export --folded --libraries ada demo.ascope
# silence
echo 'try sleep * -' >silent
equal "$(q_try --libraries silent)" ''
# without it the built-in rules are back
has <(q_try) 'tokio::time::sleep'

# the configuration, which comes after files that are named
mkdir -p config/ascope
cp grace config/ascope/libraries
equal "$(q_try)" 'ask Grace'
equal "$(q_try --libraries ada)" 'ask Ada'
mkdir -p .config/ascope
cp ada .config/ascope/libraries
equal "$(XDG_CONFIG_HOME='' HOME=$work q_try)" 'ask Ada'
rm -r .config
# code that is not to be blamed
crate=$(q "SELECT DISTINCT function FROM blocking WHERE function LIKE '%::wait_before_retry'" | sed 's/::.*//')
echo "code $crate library" >blameless
equal "$(q --libraries blameless "SELECT count(*) FROM symbol WHERE kind = 'user' AND function LIKE '$crate::%'")" 0
[ "$(q "SELECT count(*) FROM symbol WHERE kind = 'user' AND function LIKE '$crate::%'")" -gt 0 ] || die 'kinds stayed those of another table'

# mistakes are told with file and line; nothing is printed
printf 'library a x\n\nlibrary b-c x\n' >wrong
for cmd in 'report demo.ascope' 'query demo.ascope SELECT' 'export --folded demo.ascope'; do
	# shellcheck disable=SC2086
	expect 1 "$ASCOPE" $cmd --libraries wrong
	has err '^ascope: error: wrong:3: '
	[ ! -s out ] || die "$cmd printed something"
done
expect 1 "$ASCOPE" report --libraries nothing-there demo.ascope
has err 'nothing-there: No such file'
expect 1 "$ASCOPE" report --libraries . demo.ascope
printf 'library b-c x\n' >config/ascope/libraries
expect 1 "$ASCOPE" report demo.ascope
has err 'config/ascope/libraries:1: '
rm config/ascope/libraries
head -c 2000000 /dev/zero >zeros
expect 1 "$ASCOPE" report --libraries zeros demo.ascope
has err '1 MiB'
many=()
for _ in $(seq 17); do many+=(--libraries ada); done
expect 2 "$ASCOPE" report "${many[@]}" demo.ascope
has err 'more than 16'
