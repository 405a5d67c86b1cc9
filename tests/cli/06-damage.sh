#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# What is intact of a truncated or damaged capture is read, what is not is named, and the exit code is 3.
. "$(dirname "$0")/common.inc"
size=$(stat -c %s "$captures/demo.ascope")

check() { # FILE
	for command in 'info --scan' dump report; do # what info reads of a closed file are names and footer
		expect 3 "$ASCOPE" $command "$1"
		[ -s out ] || die "$command printed nothing of $1"
	done
	expect 3 "$ASCOPE" query "$1" 'SELECT verdict FROM capture'
	has out 'partial|untrustworthy'
	expect 3 "$ASCOPE" query "$1" --json 'SELECT (SELECT count(*) FROM offcpu) AS switches, (SELECT sum(count) FROM loss) AS lost'
	python3 -c 'import json; r = json.load(open("out"))[0]; assert r["switches"] > 100 and r["lost"] >= 1, r'
	expect 3 "$ASCOPE" info --scan --json "$1"
}
head -c $((size * 3 / 4)) "$captures/demo.ascope" >cut.ascope
check cut.ascope
python3 -c 'import json; r = json.load(open("out")); assert r["blocks"]["intact"] > 2, r["blocks"]'
# one flipped bit in the middle
cp "$captures/demo.ascope" flipped.ascope
python3 - "$size" <<'PY'
import sys
with open("flipped.ascope", "r+b") as f:
    at = int(sys.argv[1]) // 2
    f.seek(at)
    byte = f.read(1)[0] ^ 4
    f.seek(at)
    f.write(bytes([byte]))
PY
check flipped.ascope
expect 3 "$ASCOPE" info --scan flipped.ascope
has out '1 damaged'
# rubbish behind the end
{ cat "$captures/demo.ascope"; head -c 1000 /dev/urandom; } >tail.ascope
expect 3 "$ASCOPE" info tail.ascope
