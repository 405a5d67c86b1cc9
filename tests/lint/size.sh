#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# size.sh: names files above 600 lines and functions above 80. A report, not a gate: it never fails. (The house numbers are 600 and 60; 80 leaves room for a
# table or a switch.)
# shellcheck source=common.inc
. "$(dirname "$0")/common.inc"

for file in $(c_files . base format bpf record report tests/unit); do
	awk -v file="$file" '
		/^[a-z_].*[a-z0-9_]\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
		/^\{/ { start = NR }
		/^\}/ { if (start && NR - start - 1 > 80) printf "%s:%d: %s() has %d lines\n", file, start, name, NR - start - 1; start = 0 }
		END { if (NR > 600) printf "%s has %d lines\n", file, NR }' "$file"
done
exit 0
