#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# docs.sh: what users are promised is written down: every command is in doc/ascope.1, every long option of a command's --help in doc/ascope-CMD.1, and every
# record kind and column of fmt_def.h in format/FORMAT.md. Skips, saying so, what is not there yet.
# shellcheck source=common.inc
. "$(dirname "$0")/common.inc"

binary=$out/ascope
case $binary in /*) ;; *) binary=./$binary ;; esac

# the names in the "commands:" part of `ascope --help`
commands() {
	"$binary" --help | awk '/^[a-zA-Z].*:$/ { on = ($0 == "commands:"); next } /^$/ { on = 0 } on && /^  [a-z]/ { print $1 }'
}

# mentions PAGE WORD: as a word of its own; a man page writes `\-` for a dash
mentions() {
	sed -e 's/\\-/-/g' -e 's/\\&//g' "$1" | grep -qE -- "(^|[^a-z0-9-])$2(\$|[^a-z0-9-])"
}

check_commands() {
	names=$(commands)
	[ -n "$names" ] || fail "docs.sh: $binary --help lists no commands"
	for name in $names; do
		page=doc/ascope-$name.1
		[ ! -f doc/ascope.1 ] || mentions doc/ascope.1 "$name" || fail "doc/ascope.1 does not mention the command $name"
		if [ ! -f "$page" ]; then
			skip "options of $name (no $page)"
			continue
		fi
		options=$("$binary" "$name" --help | sed -nE 's/^ {2,6}(-[A-Za-z], )?(--[a-z][a-z0-9-]*).*/\2/p' | sort -u)
		[ -n "$options" ] || fail "docs.sh: $binary $name --help lists no options"
		for option in $options; do
			mentions "$page" "$option" || fail "$page does not mention $option"
		done
	done
}

# "KIND" and "KIND COLUMN" lines of fmt_def.h; columns of FMT_CTX_COLS belong to the kind CTX
record_names() {
	awk '
		/^#define FMT_KINDS\(X\)/ { in_kinds = 1; next }
		/^#define FMT_[A-Z_]+_COLS\(X\)/ { kind = $2; sub(/^FMT_/, "", kind); sub(/_COLS\(X\)/, "", kind); in_cols = 1 }
		in_kinds && match($0, /X\([A-Z_]+, [a-z_]+, [0-9]+/) { split(substr($0, RSTART + 2, RLENGTH - 2), part, ", "); print part[2] }
		in_cols { line = $0; while (match(line, /X\([a-z0-9_]+, [A-Z]+,/)) {
			column = substr(line, RSTART + 2, RLENGTH - 2); sub(/,.*/, "", column); print tolower(kind), column
			line = substr(line, RSTART + RLENGTH) } }
		!/\\$/ { in_kinds = 0; in_cols = 0 }' format/fmt_def.h
}

check_format() {
	names=$(record_names)
	[ "$(echo "$names" | wc -l)" -gt 100 ] || fail "docs.sh: cannot read the kinds and columns of format/fmt_def.h"
	echo "$names" | sed 's/.* //' | sort -u | while read -r name; do
		grep -qE "(^|[^a-z0-9_])$name(\$|[^a-z0-9_])" format/FORMAT.md || echo "format/FORMAT.md does not mention $name"
	done
}

if [ -x "$binary" ]; then
	check_commands
else
	skip "commands and options ($binary is not built)"
fi
if [ -f format/FORMAT.md ]; then
	missing=$(check_format)
	[ -z "$missing" ] || fail "$missing"
else
	skip 'kinds and columns (no format/FORMAT.md)'
fi
finish
