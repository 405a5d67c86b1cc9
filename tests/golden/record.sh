#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# record.sh: records the golden captures of live programs, each below 100 kB, into fixtures/captures/good (root, BTF; the fixtures are built by `make check`).
#
# usage: tests/golden/record.sh OUT
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$(realpath "$1")
top=$(realpath fixtures/captures/good)
scenarios=$out/fixtures/release/scenarios
runtimes=$out/fixtures/release/runtimes
work=$(mktemp -d)
pid=
trap 'kill "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT
LIMIT=100000

# record NAME SECONDS ARGS...: keeps it when it is whole and small
keep() {
	local name=$1 size
	size=$(stat -c %s "$work/$name")
	"$out/ascope" info "$work/$name" >"$work/info" || { cat "$work/info"; echo "record.sh: $name is not complete: run again" >&2; exit 1; }
	[ "$size" -le $LIMIT ] || { echo "record.sh: $name has $size bytes, more than $LIMIT" >&2; exit 1; }
	mv "$work/$name" "$top/$name"
	chmod 644 "$top/$name"
	echo "$name: $size bytes"
}

# missing NAME: whether it is to be recorded: what is in FROZEN is kept for ever
missing() {
	! python3 -B tests/golden/goldens.py fixtures/captures --frozen "good/$1" || { echo "$1: kept"; return 1; }
}

# of a running program: NAME SECONDS RECORD_ARGS -- PROGRAM ARGS
attached() {
	local name=$1 seconds=$2 options=()
	missing "$name" || return 0
	shift 2
	while [ "$1" != -- ]; do options+=("$1"); shift; done
	shift
	(cd "$work" && exec "$@") >/dev/null 2>&1 &
	pid=$!
	sleep 0.5
	"$out/ascope" record -q -f -p "$pid" -d "$seconds" -o "$work/$name" ${options[@]+"${options[@]}"}
	kill "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
	keep "$name"
}

attached sleep.ascope 1 -- "$scenarios" sleep --seconds 30 --pace dense
attached markers.ascope 1 --marker marker_begin,marker_end -- "$scenarios" sleep --seconds 30 --pace dense
attached runtimes.ascope 0.5 -- "$scenarios" runtimes --seconds 30
attached all-stacks.ascope 0.4 --stacks all -F 99 -- "$scenarios" mutex --seconds 30
attached waker-stacks.ascope 1 --waker-stacks -- "$scenarios" mutex --seconds 30
strip -o "$work/stripped" "$scenarios"
attached stripped.ascope 1 -- "$work/stripped" sleep --seconds 30 --pace dense
# a launch: the program is started by ascope, and ends by itself
if missing launch.ascope; then
	(cd "$work" && "$out/ascope" record -q -f -o launch.ascope -- "$scenarios" sleep --seconds 1) >/dev/null
	keep launch.ascope
fi
# a shell that starts others: forks, execs, renames, exits
if missing shell.ascope; then
	(cd "$work" && "$out/ascope" record -q -f -o shell.ascope -- sh -c 'for i in 1 2 3; do sleep 0.05; done; true') >/dev/null
	keep shell.ascope
fi
