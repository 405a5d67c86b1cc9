#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# record --marker: what is no pair, missing, ambiguous or dangerous is refused with what to do, before anything is attached; report --markers without markers.
. "$(dirname "$0")/common.inc"
expect 0 "$ASCOPE" report --markers --no-cache "$captures/demo.ascope"
has out 'recorded without --marker START,END'
expect 0 "$ASCOPE" report --markers --json --no-cache "$captures/demo.ascope"
python3 -c 'import json; r = json.load(open("out")); assert r["pairs"] == [] and r["intervals"] == 0 and r["scheduler_only"]["polls"] == r["polls"] > 0, r'
expect 2 "$ASCOPE" report --markers --blocking "$captures/demo.ascope"
has err 'ask for one'
expect 0 "$ASCOPE" record --help || exit 77

# START,END: two names, of which each is something
for bad in begin begin, ,end begin,end,more 'file:,end' ':begin,end' 0x12g,end 0x,end; do
	expect 2 "$ASCOPE" record --marker "$bad" -- true
	has err "--marker '$bad'.*START,END"
done
# a comma of generic arguments does not part them, and a name may have blanks
expect 1 "$ASCOPE" record --marker '<a::B<c, d> as e::F<g, h>>::begin,end' -o x.ascope -- "$ASCOPE" --version
has err "START '<a::B<c, d> as e::F<g, h>>::begin'"
for same in begin,begin 'begin, begin' lib:begin,lib:begin; do
	expect 2 "$ASCOPE" record --marker "$same" -- true
	has err 'the same function'
done
nine=()
for i in 1 2 3 4 5 6 7 8 9; do nine+=(--marker "begin$i,end$i"); done
expect 2 "$ASCOPE" record "${nine[@]}" -- true
has err 'more than 8'

# a program with known functions
cat >prog.c <<'C'
#include <unistd.h>
__attribute__((noinline)) void work_begin(void) { __asm__ volatile(""); }
__attribute__((noinline)) void work_end(void) { __asm__ volatile("nop"); }
void work_alias(void) __attribute__((alias("work_begin")));
__attribute__((noinline)) void _ZN6orders8checkout5begin17h0123456789abcdefE(void) { __asm__ volatile("nop; nop"); }
__attribute__((noinline)) void _ZN6orders5stock5begin17h0123456789abcde0E(void) { __asm__ volatile("nop; nop; nop"); }
__attribute__((noinline)) void _ZN6orders5stock5begin17h0123456789abcde1E(void) { __asm__ volatile("nop; nop; nop; nop"); }
int main(int argc, char **argv)
{
	work_begin();
	work_end();
	_ZN6orders8checkout5begin17h0123456789abcdefE();
	_ZN6orders5stock5begin17h0123456789abcde0E();
	_ZN6orders5stock5begin17h0123456789abcde1E();
	(void)argv;
	return argc > 1 ? (int)sleep(60) : 0;
}
C
${CC:-cc} -O1 -o prog prog.c || exit 77
pair() { expect 1 "$ASCOPE" record --marker "$1" -o x.ascope -- ./prog; [ ! -e x.ascope ] || die 'a capture of nothing was left'; }
pair work_begun,work_end
has err "START 'work_begun': no such function in ./prog; it has:"
has err '^  work_begin$'
pair work_begin,wrok_end
has err "END 'wrok_end': no such function"
has err '^  work_end$'
pair begin,work_end
has err '^  orders::checkout::begin$'
pair checkout::begin,work_end
equal "$(sed -n 2p err)" '  orders::checkout::begin'
pair work_begin,work_alias
has err 'the same function'
pair xyzzy,work_end
has err 'nor one of a near name'
pair orders::stock::begin,work_end
has err 'has 2 functions of this name; take one by its address:'
has err '^  ./prog:0x[0-9a-f]+  _ZN6orders5stock5begin17h0123456789abcde1E$'
address=$(nm prog | awk '$3 == "work_begin" { print $1 }')
inside=$(nm prog | awk '$3 == "main" { print $1 }')
pair "$(printf '0x%x' $((16#$inside + 1))),work_end"
has err 'in the middle of an instruction'
pair "./prog:0x$address,work_begin"
has err 'the same function'
pair nolib:begin,work_end
has err 'name the file by its path'
pair ./missing:begin,work_end
has err 'cannot read ./missing: No such file'
printf '#!/bin/sh\n' >script && chmod +x script
expect 1 "$ASCOPE" record --marker work_begin,work_end -o x.ascope -- ./script
has err 'a script'
strip -o stripped prog
expect 1 "$ASCOPE" record --marker work_begin,work_end -o x.ascope -- ./stripped
has err 'stripped: give 0xADDRESS'
./prog wait &
sleeper=$!
trap 'kill $sleeper 2>/dev/null; rm -rf "$work"' EXIT
expect 1 "$ASCOPE" record --marker nolib:begin,work_end -o x.ascope -p $sleeper
has err 'no target has mapped a file of this name'
expect 1 "$ASCOPE" record --marker libc:sleeq,work_end -o x.ascope -p $sleeper
has err '^  .*sleep'

if [ "$(id -u)" != 0 ] || [ ! -e /sys/kernel/btf/vmlinux ]; then
	echo 'the rest needs root and BTF'
	exit 77
fi
events=$(cat /sys/kernel/tracing/uprobe_events 2>/dev/null || true)
readable=$(nm prog | awk '/8checkout5begin/ { print $1 }')
expect 0 "$ASCOPE" record --marker work_begin,work_end --marker "./prog:0x$address , orders::checkout::begin" --marker "0x$readable,work_begin" -o y.ascope -- ./prog
expect 0 "$ASCOPE" query --json y.ascope 'SELECT pair, name, dur IS NOT NULL AS ended, depth, task_id, thread_id = end_thread_id AS same FROM marker ORDER BY pair'
python3 -c 'import json; r = json.load(open("out")); assert [(m["pair"], m["ended"], m["depth"], m["task_id"]) for m in r] == [(1, 1, 0, None), (2, 1, 0, None), (3, 0, 0, None)], r
assert [m["same"] for m in r] == [1, 1, None] and r[0]["name"] == "work_begin,work_end", r'
expect 0 "$ASCOPE" report --markers --json --no-cache y.ascope
python3 -c 'import json; r = json.load(open("out")); assert [(p["count"], p["no_end"]) for p in r["pairs"]] == [(1, 0), (1, 0), (1, 1)] and r["ends_alone"] == 1, r'
expect 0 "$ASCOPE" dump y.ascope
has out 'marker'
# a library of a running process, by the name that it has mapped
expect 0 "$ASCOPE" record --marker libc:malloc,libc.so.6:free -d 0.3 -o z.ascope -p $sleeper
equal "$(cat /sys/kernel/tracing/uprobe_events 2>/dev/null || true)" "$events"
