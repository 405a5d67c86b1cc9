#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Bad input gets a message that says what and where, and exit 1: no file, not a capture, a newer version, features unknown, a cut header.
. "$(dirname "$0")/common.inc"

head -c 5000 /dev/urandom >noise
: >empty
head -c 40 "$captures/demo.ascope" >cut
mkdir folder
for command in info dump report query export; do
	tail=()
	[ $command = query ] && tail=('SELECT 1')
	[ $command = export ] && tail=(--folded)
	run() { expect 1 "$ASCOPE" $command "$1" "${tail[@]}"; equal "$(wc -c <out)" 0; has err "error: .*$1"; }
	run missing
	has err 'no such file'
	run noise
	has err 'not an ascope capture'
	run empty
	has err 'not an ascope capture'
	run cut
	run folder
	cp "$captures/bad/newer-version.ascope" newer
	run newer
	has err 'newer'
	cp "$captures/bad/version-zero.ascope" zero
	run zero
	has err 'record again'
	cp "$captures/bad/unknown-feature.ascope" feature
	run feature
	has err 'feature'
done
