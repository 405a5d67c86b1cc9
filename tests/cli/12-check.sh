#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# check: sound captures are sound, damage is named, what is repaired is sound and says what was lost. info says the same with and without reading events.
. "$(dirname "$0")/common.inc"

for file in "$captures"/*.ascope "$captures"/good/*.ascope; do
	[ -e "$file" ] || continue
	# some of the good ones ended abruptly: what is said of them is tests/golden's business
	[ ! -e "${file%.ascope}.expected" ] || [ "$(grep -x -A1 '\$ ascope check' "${file%.ascope}.expected" | tail -n 1)" = 'exit 0' ] || continue
	expect 0 "$ASCOPE" check "$file"
	has out '^sound: '
	code=0
	"$ASCOPE" info "$file" | grep -v '^read  ' >quick || code=$?
	"$ASCOPE" info --scan "$file" | grep -v '^read  ' >full || code=$?
	cmp quick full || die "info of $file differs from info --scan"
	code=0
	"$ASCOPE" report --json --no-cache "$file" >report.json 2>/dev/null || code=$?
	[ "$code" = 0 ] || [ "$code" = 3 ] || die "report of $file exited with $code"
	"$ASCOPE" info --json "$file" >info.json || true
	python3 - "$file" <<'PY'
import json, sys
report, info = json.load(open("report.json")), json.load(open("info.json"))
# polls that could not be told apart are a reason of the report alone: info knows no polls
reasons = [r for r in report["verdict"]["reasons"] if "unclassified" not in r]
assert reasons == info["reasons"], (sys.argv[1], reasons, info["reasons"])
PY
done

demo=$captures/demo.ascope
size=$(stat -c %s "$demo")

# mended WHAT: ./bad is damaged; repaired it is sound, readable, and not complete
mended() {
	expect 3 "$ASCOPE" check bad
	hasnt out '^sound'
	has out 'check --repair OUT bad. writes what is intact'
	expect 3 "$ASCOPE" check --json bad
	python3 -c 'import json; c = json.load(open("out")); assert not c["sound"] and c["damage"] and c["schema_version"] == 1, c'
	rm -f good
	expect 3 "$ASCOPE" check --repair good bad
	has err 'wrote good: '
	equal "$(stat -c %a good)" 600
	expect 0 "$ASCOPE" check good
	has out 'note: this capture was repaired'
	expect 3 "$ASCOPE" info good
	has out 'PARTIAL|UNTRUSTWORTHY'
	has out "$1"
	expect 3 "$ASCOPE" report --no-cache good
	has out "$1"
	expect 0 "$ASCOPE" dump good
	equal "$("$ASCOPE" info --scan --json bad | python3 -c 'import json, sys; print(json.load(sys.stdin)["events"])' | sed 's/, .gap.: [0-9]*//')" \
		"$("$ASCOPE" info --scan --json good | python3 -c 'import json, sys; print(json.load(sys.stdin)["events"])' | sed 's/, .gap.: [0-9]*//')"
}

head -c $((size * 3 / 4)) "$demo" >bad
mended 'it was repaired: of [0-9]+ blocks 1 were|before it was repaired, it was not closed'

# a byte in the middle of the largest block of events
cp "$demo" bad
python3 - <<'PY'
import re, struct
data = bytearray(open("bad", "rb").read())
blocks = []
off = 64
while data[off:off + 4] == b"ABLK":
    kind, = struct.unpack_from("<H", data, off + 4)
    size, = struct.unpack_from("<I", data, off + 16)
    blocks.append((kind == 1, size, off))
    off += 80 + size
_, size, off = max(blocks)
data[off + 80 + size // 2] ^= 4
open("bad", "wb").write(data)
open("where", "w").write(str(off))
PY
expect 3 "$ASCOPE" check bad
has out "offset $(cat where), .*, block [0-9]+ \(events\): payload checksum"
has out 'events between \+[0-9.]+ s and \+[0-9.]+ s are missing \([0-9,]+ records\)$'
has out '^no name is lost'
mended 'it was repaired: of [0-9]+ blocks 1 were damaged or missing'

# what may not be
expect 1 "$ASCOPE" check --repair bad bad
has err 'exists'
expect 1 "$ASCOPE" check --repair bad --force bad
has err 'itself'
expect 1 "$ASCOPE" check nothing-there
expect 1 "$ASCOPE" check "$ASCOPE"
expect 2 "$ASCOPE" check

# the events of a time, and no others
"$ASCOPE" dump --json "$demo" >all
"$ASCOPE" dump --json --from 1s --to 1500ms "$demo" >part
python3 - <<'PY'
import json
all = [json.loads(line) for line in open("all")]
start = next(int(r["value"]) for r in all if r["kind"] == "meta" and r["key"] == "recording.start_ns")
events = [r for r in all if "ts" in r and r["kind"] not in ("mapping", "layout")]
want = [r for r in events if start + 10**9 <= r["ts"] <= start + 1500 * 10**6]
part = [json.loads(line) for line in open("part")]
assert part == want and want, (len(part), len(want))
PY
expect 2 "$ASCOPE" dump --from 2s --to 1s "$demo"
expect 2 "$ASCOPE" dump --from 2s --block 1 "$demo"
