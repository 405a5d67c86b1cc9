#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# make.sh: makes golden captures that are not there yet, and what is expected of all anew. With a second argument it records those of live programs, too.
#
# usage: tests/golden/make.sh OUT [record]
#
# What is in fixtures/captures/FROZEN is never made again: captures of a declared version are kept for ever. A new kind or column gets a new capture, under a
# new name (make_golden.c). Only before the version is released may the list be removed, and then all are made anew.
set -eu
cd "$(dirname "$0")/../.."
out=$1
top=fixtures/captures
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p $top/good $top/bad "$work/good" "$work/bad"
"$out/reliability/make_golden" good "$work/good"
"$out/reliability/make_golden" bad "$work/bad"
for path in "$work"/*/*.ascope; do
	name=${path#"$work/"}
	python3 -B tests/golden/goldens.py $top --frozen "$name" || cp "$path" "$top/$name"
done
[ -z "${2:-}" ] || tests/golden/record.sh "$out"
python3 -B tests/golden/goldens.py "$out/ascope" format/FORMAT.md $top --write
git status --short $top
echo 'look at `git diff fixtures/captures` before you commit: each line is what a reader is told'
