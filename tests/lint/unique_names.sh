#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# unique_names.sh: no two C files of the tree have the same name, so that a name in a message or a commit says which file is meant.
# shellcheck source=common.inc
. "$(dirname "$0")/common.inc"

# every C file but what is built or comes from elsewhere
sources() {
	find . \( -path './out*' -o -path "./${out#"$root"/}" -o -name .git -o -name target \) -prune -o \( -name '*.c' -o -name '*.h' \) -print
}

for name in $(sources | sed 's|.*/||' | sort | uniq -d); do
	fail "$name exists more than once: $(sources | grep "/$name\$" | tr '\n' ' ')"
done
finish
