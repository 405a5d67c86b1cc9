#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# make.sh: makes the golden captures anew, and what is expected of them. With a second argument it records those of live programs, too.
#
# usage: tests/golden/make.sh OUT [record]
#
# Captures of a declared version are kept for ever: this refuses once the format's version is not 0.
set -eu
cd "$(dirname "$0")/../.."
out=$1
version=$(sed -nE 's/^#define FMT_VERSION[[:space:]]+([0-9]+).*/\1/p' format/fmt_def.h)
if [ "$version" != 0 ]; then
	echo "make goldens: the format's version is $version: its golden captures are frozen; a change that needs new ones needs a new version" >&2
	exit 1
fi
top=fixtures/captures
mkdir -p $top/good $top/bad
"$out/reliability/make_golden" good $top/good
"$out/reliability/make_golden" bad $top/bad
[ -z "${2:-}" ] || tests/golden/record.sh "$out"
python3 -B tests/golden/goldens.py "$out/ascope" format/FORMAT.md $top --write
git status --short $top
echo 'look at `git diff fixtures/captures` before you commit: each line is what a reader is told'
