#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# bundle: what it says and refuses, and that nothing is changed by it but names. What names it finds is tests/unit/test_bundle.c's and tests/live/embed.py's business.
. "$(dirname "$0")/common.inc"

demo=$captures/demo.ascope

# whatever of its files this machine has: the records are the same, and it stays sound
cp "$demo" named
expect 0 "$ASCOPE" bundle named
has err '^ascope: named: (carries the names of [0-9,]+ of [0-9,]+ addresses|nothing to add)'
expect 0 "$ASCOPE" check named
"$ASCOPE" dump --json "$demo" | grep -v '"kind":"\(index\|kind_total\)"' | sed 's/"block":[0-9]*,//' >before
"$ASCOPE" dump --json named | grep -v '"kind":"\(index\|kind_total\|symbol\|frame\|module_names\|task_name\)"' | sed 's/"block":[0-9]*,//' >after
head -n "$(wc -l <before)" after | cmp - before || die 'records changed'
! tail -n "+$(($(wc -l <before) + 1))" after | grep -v '"kind":"string"' || die 'new records of other kinds'
cp named twice
expect 0 "$ASCOPE" bundle twice
has err 'nothing to add'
cmp named twice || die 'bundling again changed the file'
expect 0 "$ASCOPE" bundle --quiet twice
[ ! -s out ] || die '--quiet prints'
hasnt err 'nothing to add'

# the second reader, written from FORMAT.md alone, reads the new kinds as well
python3 -B "$root/tests/spec/read_capture.py" "$root/format/FORMAT.md" named >second
"$ASCOPE" dump --json named | cmp - second || die 'the second reader disagrees'

# -o
expect 0 "$ASCOPE" bundle -o other "$demo"
expect 0 "$ASCOPE" check other
equal "$(stat -c %a other)" 600
expect 1 "$ASCOPE" bundle -o other "$demo"
has err 'other exists; .*--force'
expect 0 "$ASCOPE" bundle --force -o other "$demo"
expect 1 "$ASCOPE" bundle --force -o twice twice
has err 'is twice itself'
cmp named twice || die 'a refused bundle changed the file'
ln -s other link
expect 1 "$ASCOPE" bundle --force -o link "$demo"
has err 'symbolic link'

# a link is followed, and stays one; what it leads to keeps its mode
cp "$demo" real
chmod 640 real
ln -sf real link
expect 0 "$ASCOPE" bundle link
[ -L link ] || die 'the link is gone'
equal "$(stat -c %a real)" 640
[ -z "$(ls real.bundle.* 2>/dev/null)" ] || die 'a temporary file is left'

# what it refuses, the file as it was
head -c 20000 "$demo" >cut
cp cut cut.before
expect 1 "$ASCOPE" bundle cut
has err 'ascope check --repair OUT cut'
cmp cut cut.before || die 'a refused bundle changed the file'
expect 1 "$ASCOPE" bundle --target "$ASCOPE" named
has err 'was not recorded'
expect 1 "$ASCOPE" bundle nothing-there
expect 1 "$ASCOPE" bundle "$ASCOPE"
expect 2 "$ASCOPE" bundle
expect 2 "$ASCOPE" bundle named twice
expect 2 "$ASCOPE" bundle --modules some named
has err 'libs or all'
expect 2 "$ASCOPE" bundle --force named
cmp named twice || die 'a refused bundle changed the file'

# no room for the new file: the old one stays
if [ "$(id -u)" = 0 ] && mkdir small && mount -t tmpfs -o size=96k none small 2>/dev/null; then
	trap 'umount "$work/small"; rm -rf "$work"' EXIT
	cp "$demo" small/full
	dd if=/dev/zero of=small/rest bs=1k 2>/dev/null || true
	code=0
	"$ASCOPE" bundle -q -o small/out "$demo" 2>err || code=$?
	equal "$code" 1
	has err 'No space left'
	[ ! -e small/out ] || die 'half a file is left'
	cmp small/full "$demo" || die 'the capture changed'
fi

# a file that carries names says so; JSON as well
"$ASCOPE" info --json named | python3 -c 'import json, sys; i = json.load(sys.stdin); assert i["kernel_names"] is True and isinstance(i["names"], list), i'
expect 2 "$ASCOPE" record --embed some -- true
has err 'none, libs or all'
expect 2 "$ASCOPE" record --embed all -o - -- true
has err 'ascope bundle'
mkfifo pipe
expect 2 "$ASCOPE" record --embed libs -o pipe -- true
has err 'FIFO'
