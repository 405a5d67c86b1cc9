#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The static binary needs no library of the host, records, and its capture is read by the ordinary one (and the other way round).
. "$(dirname "$0")/common.inc"
static=$(dirname "$ASCOPE")/ascope-static
[ -x "$static" ] || { echo 'make static was not run'; exit 77; }
python3 - "$static" <<'PY'
import struct
import sys
elf = open(sys.argv[1], "rb").read(65536)
off, = struct.unpack_from("<Q", elf, 32)
size, n = struct.unpack_from("<HH", elf, 54)
kinds = {struct.unpack_from("<I", elf, off + i * size)[0] for i in range(n)}
assert 3 not in kinds and 2 not in kinds, "it has an interpreter (PT_INTERP) or dynamic section"
PY
cp "$captures/demo.ascope" demo.ascope
gunzip -c "$captures/demo.names.gz" >names
expect 0 "$static" report --no-cache --json --target names demo.ascope
mv out static.json
expect 0 "$ASCOPE" report --no-cache --json --target names demo.ascope
cmp static.json out
if [ "$(id -u)" != 0 ] || [ ! -e /sys/kernel/btf/vmlinux ]; then
	echo 'recording needs root and BTF'
	exit 77
fi
expect 0 env -i "$static" record -q -o fresh.ascope -- /bin/sh -c 'for i in 1 2 3 4 5; do sleep 0.02; done'
expect 0 "$ASCOPE" query --json fresh.ascope 'SELECT count(*) AS n FROM offcpu'
python3 -c 'import json; n = json.load(open("out"))[0]["n"]; assert n >= 10, n'
