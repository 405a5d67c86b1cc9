#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# run.sh: runs groups of tests, says how long each group took, and ends with 'N passed, N failed, N skipped'.
#
# usage: tests/run.sh OUT GROUP...        groups: lint unit symbols spec golden fuzz reliability long cli viewers live kernels
#
# Every test is one line: 'ok NAME', 'not ok NAME' (its output follows), 'ok NAME # SKIP reason'. The exit status is 1 when one failed or none ran.
set -u
cd "$(dirname "$0")/.."
out=$(realpath "$1")
shift
export ASCOPE=$out/ascope ASCOPE_OUT=$out
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
passed=0 failed=0 skipped=0

ok() { passed=$((passed + 1)); echo "ok $1"; }
skip() { skipped=$((skipped + 1)); echo "ok $1 # SKIP $2"; }
not_ok() { failed=$((failed + 1)); echo "not ok $1"; sed 's/^/    /' "$2" | tail -n 60; }

# One script or program is one test: 0 passed, 77 skipped (last line says why), anything else failed.
single() { # NAME COMMAND...
	local name=$1 code=0
	shift
	"$@" >"$log/out" 2>&1 </dev/null || code=$?
	case $code in
	0) ok "$name" ;;
	77) skip "$name" "$(tail -n 1 "$log/out")" ;;
	*) not_ok "$name" "$log/out" ;;
	esac
}

# A program that prints TAP: each of its lines is a test.
tap() { # PREFIX COMMAND...
	local prefix=$1 code=0 p0=$passed f0=$failed s0=$skipped line
	shift
	"$@" >"$log/tap" 2>"$log/err" </dev/null || code=$?
	while IFS= read -r line; do
		case $line in
		'ok '*'# SKIP'* | 'ok '*'# skip'*) skip "$prefix: $(name_of "${line%%#*}")" "${line#*[Ss][Kk][Ii][Pp] }" ;;
		'not ok '*' # SKIP '*) skip "$prefix: ${line#*# SKIP }" 'it says itself why' ;; # cmocka's skip()
		'not ok '*) cat "$log/err" "$log/tap" >"$log/both"; not_ok "$prefix: $(name_of "${line#not }")" "$log/both" ;;
		'ok '*) ok "$prefix: $(name_of "$line")" ;;
		esac
	done <"$log/tap"
	if [ $code != 0 ] && [ $failed = "$f0" ]; then
		cat "$log/err" "$log/tap" >"$log/both"
		not_ok "$prefix (exit $code)" "$log/both"
	elif [ "$((passed + failed + skipped))" = "$((p0 + f0 + s0))" ]; then
		cat "$log/err" "$log/tap" >"$log/both"
		not_ok "$prefix ran no test" "$log/both"
	fi
}
name_of() { sed -E 's/^ok [0-9]* *-? *//; s/ *$//' <<<"$1"; }

took=
for group in "$@"; do
	begun=$SECONDS
	case $group in
	lint) for t in tests/lint/*.sh; do single "lint: $(basename "$t" .sh)" "$t"; done ;;
	unit) for t in tests/unit/test_*.c; do tap "unit: $(basename "$t" .c)" env CMOCKA_MESSAGE_OUTPUT=TAP "$out/unit/$(basename "$t" .c)"; done ;;
	symbols)
		tap symbols python3 -B tests/symbols/matrix.py "$out/sym_bench"
		tap symbols python3 -B tests/symbols/task_names.py "$out/sym_bench" --out "$out/tasks"
		;;
	spec) tap spec python3 -B tests/spec/compare.py "$out/ascope" format/FORMAT.md fixtures/captures/*.ascope fixtures/captures/good/*.ascope ;;
	golden) tap golden python3 -B tests/golden/goldens.py "$out/ascope" format/FORMAT.md fixtures/captures ;;
	fuzz) for t in $(printf '%s\n' "$out"/fuzz/replay_* | grep -v '\.d$'); do single "fuzz: replay of the corpus of ${t##*_}" "$t" "tests/fuzz/corpus_${t##*_}"; done ;;
	reliability)
		tap damage "$out/reliability/damage" --every 37
		tap inject "$out/reliability/inject_malloc"
		tap inject python3 -B tests/reliability/inject.py "$out/ascope" "$out/reliability/inject.so" fixtures/captures/good/every-kind.ascope --step 211 --sqlite 10007 --ends 8
		;;
	long) # check-long: as reliability, but all of it, and under ASan and UBSan what can be
		tap damage "$out/san/reliability/damage"
		tap inject "$out/san/reliability/inject_malloc"
		tap inject python3 -B tests/reliability/inject.py "$out/ascope" "$out/reliability/inject.so" fixtures/captures/good/every-kind.ascope --sqlite 4999
		;;
	cli) for t in tests/cli/*.sh; do single "cli: $(basename "$t" .sh)" "$t"; done ;;
	viewers) tap viewers tests/viewers/run.sh "$out" ;;
	live)
		single 'live: the scorer itself' tests/live/score.py --self-test
		single 'live: the driver itself' tests/live/tap.py --self-test
		single 'live: the bars of accuracy themselves' tests/accuracy/accuracy.py --self-test
		tap live tests/live/run.sh all
		tap live tests/live/copies.py
		tap live tests/live/wrong_rows.py
		tap live tests/live/embed.py
		tap live tests/live/markers.py
		tap live tests/live/task_lists.py
		tap live tests/live/wakers.py
		tap live tests/live/uprobes.py
		tap live tests/live/states.py all
		tap live tests/live/attach.py
		tap live tests/live/task_life.py
		tap live tests/live/oracles.py
		single 'live: accuracy, in short' tests/accuracy/accuracy.py "$out" --short
		tap layouts tests/live/layouts.sh
		tap tokio python3 -B tests/tokio/run.py --quick --out "$out/tokio" --ascope "$out/ascope"
		tap live tests/live/unwind/run.py
		tap reliability tests/reliability/record_kill.py
		tap reliability tests/reliability/record_ends.py
		;;
	record-long) # check-long: as the last two of live, but all of it
		tap reliability tests/reliability/record_kill.py --kills "${KILLS:-200}"
		tap reliability env ENDS_LONG=1 tests/reliability/record_ends.py
		;;
	kernels) tap kernels tests/kernels/run.sh "$out" ;;
	*) echo "run.sh: no group '$group'" >&2; exit 2 ;;
	esac
	took+="${took:+, }$group $((SECONDS - begun)) s"
done
echo "took: $took"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $((passed + skipped)) -gt 0 ]
