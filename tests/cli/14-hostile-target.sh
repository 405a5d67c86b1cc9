#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# A file with the right build-id whose debug info cannot be read costs its names, is named, and sets the exit code; the report is there (60-reliability.md W8).
. "$(dirname "$0")/common.inc"
cp "$captures/demo.ascope" demo.ascope

# make_bomb FILE BUILD_ID: an ELF file whose .debug_info says that it is 2.5 GiB when decompressed (libelf refuses what claims to be more than 1032 times as large)
make_bomb() {
	python3 - "$1" "$2" <<'PY'
import struct, sys
path, build_id = sys.argv[1], bytes.fromhex(sys.argv[2])
note = struct.pack('<III', 4, len(build_id), 3) + b'GNU\0' + build_id
names = b'\0.text\0.debug_info\0.debug_abbrev\0.shstrtab\0'
info = struct.pack('<IIQQ', 1, 0, 5 << 29, 1) + bytes(3 << 20)
note_off, abbrev_off = 0x200, 0x1000
info_off = 0x2000
names_off = info_off + len(info)
shoff = (names_off + len(names) + 7) & ~7
def section(name, kind, flags, off, size):
    return struct.pack('<IIQQQQIIQQ', names.index(name) if name else 0, kind, flags, 0, off, size, 0, 0, 1, 0)
image = bytearray(shoff)
image[0:64] = struct.pack('<16sHHIQQQIHHHHHH', b'\x7fELF\2\1\1', 3, 62, 1, 0, 64, shoff, 0, 64, 56, 2, 64, 5, 4)
image[64:120] = struct.pack('<IIQQQQQQ', 1, 5, 0, 0, 0, info_off, info_off, 0x1000)
image[120:176] = struct.pack('<IIQQQQQQ', 4, 4, note_off, note_off, note_off, len(note), len(note), 4)
image[note_off:note_off + len(note)] = note
image[info_off:info_off + len(info)] = info
image[names_off:names_off + len(names)] = names
image += section(b'', 0, 0, 0, 0) + section(b'.text', 1, 4, 0x240, 16) + section(b'.debug_info', 1, 1 << 11, info_off, len(info))
image += section(b'.debug_abbrev', 1, 0, abbrev_off, 16) + section(b'.shstrtab', 3, 0, names_off, len(names))
open(path, 'wb').write(image)
PY
}

expect 0 "$ASCOPE" query demo.ascope --csv "SELECT build_id FROM module WHERE path LIKE '%/orders'"
make_bomb bomb.elf "$(tr -d '\r' <out | tail -n 1)"
expect 3 "$ASCOPE" report --no-cache --target bomb.elf demo.ascope
has out 'no names: the debug info of bomb\.elf could not be read \(the reader needed more than 2 GiB of memory\)'
has out 'worker'
expect 3 "$ASCOPE" report --no-cache --json --target bomb.elf demo.ascope
python3 -c 'import json; json.load(open("out"))'
expect 3 "$ASCOPE" query --db bomb.db --target bomb.elf --csv demo.ascope "SELECT symbols, value FROM module AS m JOIN meta ON key = 'ascope.unreadable.' || m.id"
has out '^,the reader needed more than 2 GiB of memory'
# it is not tried again, and still told
expect 3 "$ASCOPE" query --db bomb.db --target bomb.elf --csv demo.ascope "SELECT note FROM module WHERE path LIKE '%/orders'"
has out '^no names: the debug info of bomb\.elf could not be read'
# others keep their names
expect 3 "$ASCOPE" query --db bomb.db --target bomb.elf --csv demo.ascope "SELECT count(*) > 0 FROM symbol WHERE kind = 'kernel'"
has out '^1'
