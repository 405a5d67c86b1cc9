#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# layers.sh: who may include whom: base <- format <- {record, report}; bpf/ is included by bpf/ and record/ only; the commands' headers by ascope.c and the
# commands themselves; and each folder keeps to its own system libraries.
# shellcheck source=common.inc
. "$(dirname "$0")/common.inc"

# "FILE:LINE:PATH" of every #include "PATH" (quoted) or #include <PATH> (angle) in a folder
includes() {
	c_files "$2" | while read -r file; do
		grep -nE "^[[:space:]]*#[[:space:]]*include[[:space:]]*$1" "$file" | sed -E "s|^([0-9]+):.*include[[:space:]]*[<\"]([^>\"]*).*|$file:\\1:\\2|"
	done
}

# allow FOLDER REGEX: quoted includes of a folder must match; the rest is named
allow() {
	includes '"' "$1" | grep -vE ":[0-9]+:($2)\$" | sed 's/$/: this folder may not include it (tests\/lint\/layers.sh)/'
}

# forbid FOLDER REGEX: system headers that the folder must not use
forbid() {
	includes '<' "$1" | grep -E ":[0-9]+:($2)" | sed 's/$/: this folder may not use this library (tests\/lint\/layers.sh)/'
}

# "version.h" and the skeleton are generated
wrong=$(
	allow base 'base/.*'
	allow format '(base|format)/.*'
	allow report '(base|format|report)/.*|version\.h'
	allow record '(base|format|record|bpf)/.*|version\.h|ascope\.skel\.h'
	allow bpf '[a-z_]+(\.bpf)?\.h|bpf/.*'
	allow . '(base|report|record)/.*|version\.h'
	forbid base 'bpf/|linux/bpf|sqlite3|elfutils/|libelf|gelf|dwarf|zstd'
	forbid format 'bpf/|linux/bpf|sqlite3|elfutils/|libelf|gelf|dwarf'
	forbid report 'bpf/|linux/bpf'
	forbid record 'sqlite3'
	for dir in base format report record; do
		includes '"' "$dir" | grep -E ':(report/cmds|record/record_cmd)\.h$' | grep -vE '^[a-z]+/[a-z]+_cmd\.[ch]:' |
			sed 's/$/: for ascope.c and the commands only (tests\/lint\/layers.sh)/'
	done
)
[ -z "$wrong" ] || fail "$wrong"
finish
