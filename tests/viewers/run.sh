#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# run.sh: what ascope exports, opened in the real viewers. Each case_NAME.mjs (node, with viewer.mjs) or case_NAME.py beside it is a program that prints TAP.
#
# usage: tests/viewers/run.sh OUT [NAME...]        without names: all cases
#
# Needs node, npm and chromium (apt); playwright-core and the viewers are installed from npm into OUT/viewers, as package-lock.json has them. A case finds
# in its environment: ASCOPE; VIEWERS, the folder for what it writes (screenshots, exports: they stay, to be looked at); DEMO, a capture of the demo service
# with the names of its functions; CHROMIUM; NODE_MODULES.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$(realpath "$1")
shift
export ASCOPE=${ASCOPE:-$out/ascope} VIEWERS=$out/viewers NODE_MODULES=$out/viewers/npm/node_modules
export XDG_CACHE_HOME=$VIEWERS/cache XDG_CONFIG_HOME=$VIEWERS/config DEMO=$VIEWERS/demo.ascope

skip_all() { echo "ok 1 - viewers # SKIP $*"; exit 0; }

CHROMIUM=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip_all 'no chromium here (Debian: apt-get install chromium)'
export CHROMIUM
for tool in node npm; do
	command -v $tool >/dev/null || skip_all "no $tool here (Debian: apt-get install nodejs npm)"
done

mkdir -p "$VIEWERS/npm"
if ! cmp -s "$here/package-lock.json" "$VIEWERS/npm/installed.json"; then
	cp "$here/package.json" "$here/package-lock.json" "$VIEWERS/npm/"
	(cd "$VIEWERS/npm" && nice npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) >"$VIEWERS/npm.log" 2>&1 ||
		skip_all "npm cannot install playwright-core and speedscope: $(tail -n 1 "$VIEWERS/npm.log")"
	cp "$here/package-lock.json" "$VIEWERS/npm/installed.json"
fi

# The database is made once, here: by this ascope, with names.
cp "$root/fixtures/captures/demo.ascope" "$DEMO"
gunzip -c "$root/fixtures/captures/demo.names.gz" >"$VIEWERS/demo.names"
rm -f "$DEMO.db"
"$ASCOPE" query --target "$VIEWERS/demo.names" "$DEMO" 'SELECT 1' >/dev/null

# One series of numbers for all cases.
code=0 n=0
for name in "${@:-*}"; do
	for case in "$here"/case_$name.mjs "$here"/case_$name.py; do
		[ -e "$case" ] || continue
		title=$(basename "${case%.*}") done=0 bad=0
		title=${title#case_}
		case $case in
		*.py) run=(python3 -B "$case") ;;
		*) run=(node "$case") ;;
		esac
		while IFS= read -r line; do
			if [[ $line =~ ^(not\ )?ok\ [0-9]*\ *-?\ *(.*)$ ]]; then
				n=$((n + 1)) done=$((done + 1))
				[ -z "${BASH_REMATCH[1]}" ] || bad=1
				echo "${BASH_REMATCH[1]}ok $n - $title: ${BASH_REMATCH[2]}"
			elif [[ $line =~ ^exit:([1-9][0-9]*)$ ]] && [ $bad = 0 ]; then
				n=$((n + 1)) bad=1
				echo "not ok $n - $title: ended with exit code ${BASH_REMATCH[1]}"
			elif [[ $line != exit:* ]]; then
				echo "$line"
			fi
		done < <(timeout --kill-after=10 300 "${run[@]}" </dev/null 2>&1; echo "exit:$?")
		[ $done -gt 0 ] || [ $bad = 1 ] || { n=$((n + 1)) bad=1; echo "not ok $n - $title: ran no test"; }
		[ $bad = 0 ] || code=1
	done
done
[ $n -gt 0 ] || { echo "not ok 1 - there is no such case"; code=1; }
exit $code
