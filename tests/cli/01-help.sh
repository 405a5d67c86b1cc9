#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Every command explains itself, and refuses what it does not know with exit 2.
. "$(dirname "$0")/common.inc"

expect 0 "$ASCOPE" --help
for command in record report export query info check dump; do
	has out "^  $command "
done
for command in report export query info check dump; do
	expect 0 "$ASCOPE" $command --help
	has out "^Usage: ascope $command"
	has out '^ *-h, --help'
	expect 2 "$ASCOPE" $command --no-such-option
	has err 'no-such-option'
	expect 2 "$ASCOPE" $command
	[ -s err ] || die "$command without operands says nothing"
done
expect 2 "$ASCOPE"
expect 2 "$ASCOPE" frobnicate
has err "'frobnicate' is not an ascope command"
expect 0 "$ASCOPE" --version
has out '^ascope [0-9]+\.[0-9]+'
