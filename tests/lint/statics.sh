#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# statics.sh: no mutable statics and no mutable globals outside base/log.c. Kernel-side code is not looked at: maps and .rodata are its way to hold anything.
#
# A heuristic on the first line of a declaration: constant is what has `const` behind its last `*`, or has no `*` and a `const`. What is behind `=`, `[` or
# in parentheses does not matter; a line with `name(` is a function. Where a library's interface leaves no other way, the line says so in a comment that
# begins with `statics.sh:` and gives the reason.
# shellcheck source=common.inc
. "$(dirname "$0")/common.inc"

for file in $(c_files . base format record report); do
	[ "$file" = base/log.c ] && continue
	found=$(strip_c "$file" | awk -v file="$file" '
		# at file level: anything that is stored; inside functions: what says static
		/^(static|_Thread_local)[ \t]/ || /^[ \t]+(static|_Thread_local)[ \t]/ || /^[a-z_][a-zA-Z0-9_ ]*[ *][a-z_][a-z0-9_]*(\[[^]]*\])*[ \t]*(=|;)/ {
			if ($0 ~ /^[ \t]*(extern|typedef|return|goto|else|struct [a-z_0-9]+;|enum [a-z_0-9]+;|union [a-z_0-9]+;)/)
				next
			decl = $0
			sub(/=.*/, "", decl)
			if (decl ~ /[a-z0-9_]\(/ && decl !~ /\(\*/)
				next
			pointer_to_function = decl ~ /\(\*/
			gsub(/\[[^]]*\]?/, "", decl)
			tail = decl
			sub(/.*\*/, "", tail)
			if (tail ~ /(^|[^a-z_])const([^a-z_]|$)/ && (tail != decl || !pointer_to_function))
				next
			if (decl ~ /inline|\{[ \t]*$/ && decl ~ /^(static )?(inline|const)?[ \t]*(struct|enum|union)[ \t]*[a-z_0-9]*[ \t]*\{/)
				next
			printf "%s:%d: mutable static: %s\n", file, NR, $0
		}')
	for line in $(echo "$found" | sed -nE 's/^[^:]*:([0-9]+):.*/\1/p'); do
		sed -n "${line}p" "$file" | grep -q 'statics\.sh: .' || fail "$(echo "$found" | grep "^$file:$line:")"
	done
done
finish
