#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# banned.sh: functions that have a safer sibling; `//` comments; exit() outside ascope.c; talking in base/ and format/.
# shellcheck source=common.inc
. "$(dirname "$0")/common.inc"

word='(^|[^A-Za-z0-9_])'
code=$(mktemp) || exit 1
trap 'rm -f "$code"' EXIT

# ban REGEX WHY: no line of $file's code may match
ban() {
	found=$(grep -nE "$1" "$code" | sed "s|^|$file:|; s|\$|  <- $2|")
	[ -z "$found" ] || fail "$found"
}

for file in $(c_files . base format bpf record report tests/unit tests/fuzz); do
	strip_c "$file" >"$code"
	ban "$word(strcpy|strcat|stpcpy|sprintf|vsprintf|gets)[[:space:]]*\(" 'unbounded: use base/buf.h or snprintf'
	ban "$word(atoi|atol|atoll|atof)[[:space:]]*\(" 'no errors: use base/parse.h'
	ban "$word(strtok|gmtime|localtime|ctime|asctime)[[:space:]]*\(" 'hidden state: use the _r form'
	ban "$word(alloca|strdupa)[[:space:]]*\(" 'unbounded stack'
	ban '@LINE_COMMENT@' 'comments are /* */'
	case $file in
	./ascope.c | tests/*) ;;
	*) ban "${word}exit[[:space:]]*\(" 'return an error: only ascope.c ends the program' ;;
	esac
	case $file in
	base/log.* | base/opts.c) ;; # opts.c names mistakes of usage
	base/* | format/*) ban "$word((printf|puts|putchar|perror|log_[a-z]+)[[:space:]]*\(|(stderr|stdout)(\$|[^A-Za-z0-9_]))" 'base/ and format/ do not speak' ;;
	esac
done
finish
