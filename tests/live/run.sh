#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Records real programs with ascope and compares the capture with what they know of themselves (score.py, fixtures/).
#
#   tests/live/run.sh all | SCENARIO...        prints TAP, one test per scenario; exit 1 when one fails
#
# Needs root and /sys/kernel/btf/vmlinux; without them, or without a built ascope, every test is skipped and counted.
# Environment: ASCOPE       the program under test (out/ascope)
#              ASCOPE_OUT   where live/host_stalls is built (out); without it, what the host of a virtual machine does is no excuse
#              ASCOPE_SCORES file that gets one JSON line per scored scenario, for `make accuracy`
#              KEEP=1       leaves each scenario's folder (capture, truth log, rows) and says where it is
# One scenario after the other, never two at once: they would disturb each other's durations on a small machine.
set -u -o pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
ascope=${ASCOPE:-$root/out/ascope}
[[ $ascope == /* ]] || ascope=$PWD/$ascope
fixtures=${CARGO_TARGET_DIR:-$root/out/fixtures}/release
host_stalls=${ASCOPE_OUT:-$root/out}/live/host_stalls

# A scenario's line: name, what it runs, the runtime that ascope must find (any: also_NAME looks), the fewest entries that prove something, and options for
# score.py.
scenarios='
sleep           attach    multi_thread    10
mutex           attach    multi_thread    10
file            attach    multi_thread    10
pipe            attach    multi_thread    10
spin            attach    multi_thread    10
many-waits      attach    multi_thread    10
inlined         attach    multi_thread    10
root            attach    multi_thread    10
current-thread  attach    current_thread  10
localset        attach    multi_thread    10
locks           attach    multi_thread    100
sockets         attach    multi_thread    70
dns             attach    multi_thread    10
children        attach    multi_thread    40
devices         attach    multi_thread    20
storage         attach    multi_thread    30
faults          attach    multi_thread    20
waits           attach    multi_thread    60
compute         attach    multi_thread    20
unconstrained   attach    multi_thread    40
unconstrained-ct attach   current_thread  30
abort           attach    multi_thread    10
shutdown        attach    any             10
tasks           attach    multi_thread    60
runtimes        attach    any             40
cut             attach    multi_thread    4     --cut
rt-only-blocks  rtonly    current_thread  20
rt-only-cooperative rtonly current_thread 0
harmless        attach    multi_thread    0
ping-pong       attach    multi_thread    0
cooperative-ct  attach    current_thread  0
idle            attach    multi_thread    0
cooperative     attach    multi_thread    0
spawn-blocking  attach    multi_thread    0
block-in-place  attach    multi_thread    0
launch          launch    multi_thread    10
moved           moved     multi_thread    10
demo            demo      multi_thread    10
'
record_seconds=4
fixture_seconds=12 # an upper bound: each fixture is told to leave once it was recorded

repeated=$(mktemp)     # what runs that were repeated had to say
declare -A children=() # pids that were started and not yet waited for
watcher=               # the pid of host_stalls, where it is built
work=

cleanup() {
	local pid
	for pid in "${!children[@]}"; do
		kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	children=()
	if [[ -n $work ]]; then
		if [[ -n ${KEEP:-} ]]; then
			echo "# kept: $work"
		else
			rm -rf "$work"
		fi
	fi
	work=
}
trap 'cleanup; rm -f "$repeated"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Says why a step failed; the test's output ends with it.
fail() {
	echo "$1"
	shift
	local file
	for file in "$@"; do
		[[ -s $file ]] && head -n 20 "$file"
	done
	return 1
}

# start NAME COMMAND...: in the background, output in $work/NAME.{out,err}, pid in $pid.
start() {
	local name=$1
	shift
	: >"$work/$name.out" # await_line may look before the program is there
	"$@" >"$work/$name.out" 2>"$work/$name.err" </dev/null &
	pid=$!
	children[$pid]=$name
}

# await_line NAME PATTERN: the program of that name has printed it.
await_line() {
	local _
	for _ in $(seq 100); do
		grep -q "$2" "$work/$1.out" && return 0
		sleep 0.05
	done
	grep '^skip: ' "$work/$1.err" && return 5 # what it needs is not here
	fail "$1 did not say '$2' within 5 s" "$work/$1.err"
}

# leave NAME PID: SIGTERM, and it must leave well, for its truth log is complete only then.
leave() {
	kill -TERM "$2" 2>/dev/null
	finish "$1" "$2" "after SIGTERM"
}

# finish NAME PID WHEN: within 5 s, with exit code 0.
finish() {
	local _ code
	for _ in $(seq 100); do
		kill -0 "$2" 2>/dev/null || break
		sleep 0.05
	done
	if kill -KILL "$2" 2>/dev/null; then
		fail "$1 was still there 5 s $3" "$work/$1.err"
		return
	fi
	wait "$2"
	code=$?
	unset "children[$2]"
	[[ $code == 0 ]] || fail "$1 exit code $code" "$work/$1.err"
}

# run_ascope NAME ARGS...: bounded, stdout in $work/NAME.json.
run_ascope() {
	local name=$1 code
	shift
	timeout -k 2 60 "$ascope" "$@" >"$work/$name.json" 2>"$work/$name.err" </dev/null
	code=$?
	[[ $code == 0 ]] || fail "ascope $* exit code $code" "$work/$name.err"
}

record() {
	run_ascope record record -p "$1" -o "$work/capture.ascope" --duration "$record_seconds"
}

# watch: from now on, when the host stops this machine.
watch() {
	watcher=
	[[ -x $host_stalls ]] || return 0
	start stalls "$host_stalls"
	watcher=$pid
}

# Whether it did so for 10 ms in a row, which is the least that the reports show. What score.py compares is excused there, exactly.
was_stalled() {
	[[ -n $watcher ]] && awk -F '[:,}]' '/"from"/ && $6 - $4 >= 1e7 { found = 1 } END { exit !found }' "$work/stalls.out"
}

# compare NAME FLAVOR MINIMUM [OPTION...]: the capture against the truth log; then what also_NAME asks, if there is one.
compare() {
	local runtime=(--runtime "$work/runtime.json" --flavor "$2") within=() stalls=()
	[[ $2 == multi_thread ]] && runtime+=(--workers 4)
	[[ $2 == any ]] && runtime=()
	[[ $1 == demo ]] && within=(--within)
	if [[ -n $watcher ]]; then
		leave stalls "$watcher" || return
		stalls=(--stalls "$work/stalls.out")
	fi
	run_ascope blocking query "$work/capture.ascope" "SELECT * FROM blocking" --json || return
	run_ascope capture query "$work/capture.ascope" "SELECT ts_start, ts_end FROM capture" --json || return
	run_ascope runtime query "$work/capture.ascope" "SELECT flavor, workers, tick_from FROM runtime" --json || return
	python3 -B "$here/score.py" "$work/truth" "$work/blocking.json" --capture "$work/capture.json" \
		"${runtime[@]}" "${within[@]}" "${stalls[@]}" --name "$1" --min-must "$3" "${@:4}" \
		${ASCOPE_SCORES:+--append "$ASCOPE_SCORES"} || return
	if declare -F "also_$1" >/dev/null; then
		"also_$1"
	fi
}

# Each of the four runtimes blocks in its own way, and is told from the others by it.
also_runtimes() {
	run_ascope also query --csv "$work/capture.ascope" \
		"SELECT b.syscall, r.flavor, r.workers, t.name, count(DISTINCT r.runtime_id)
		FROM blocking AS b JOIN runtime AS r USING (runtime_id) JOIN thread AS t ON t.tid = b.tid
		WHERE b.dur >= 10000000 GROUP BY 1, 2, 3, 4 ORDER BY 1, 4" || return
	tr -d '\r' <"$work/also.json" | tail -n +2 | diff - <(printf '%s\n' \
		clock_nanosleep,multi_thread,3,orders,1 epoll_wait,current_thread,1,orders,1 \
		futex,multi_thread,2,billing,1 poll,current_thread,1,ticker,1) && return
	fail "which runtime blocked how (<: found, >: should be)"
	was_stalled && return 6
	return 1
}

# Attach to a running program.
run_attach() {
	start "$1" env ASCOPE_TRUTH="$work/truth" "$fixtures/scenarios" "$1" --seconds "$fixture_seconds" --dir "$work"
	local fixture=$pid
	await_line "$1" ready || return
	record "$fixture" || return
	leave "$1" "$fixture" || return
	compare "$@"
}

# The same of a Tokio built with feature rt alone.
run_rtonly() {
	start "$1" env ASCOPE_TRUTH="$work/truth" "$fixtures/rtonly" "${1#rt-only-}" --seconds "$fixture_seconds"
	local fixture=$pid
	await_line "$1" ready || return
	record "$fixture" || return
	leave "$1" "$fixture" || return
	compare "$@"
}

# The recorder starts the program itself, and ends with it.
run_launch() {
	ASCOPE_TRUTH=$work/truth run_ascope record record -o "$work/capture.ascope" -- \
		"$fixtures/scenarios" sleep --seconds "$record_seconds" --dir "$work" || return
	compare "$@"
}

# A service under load.
run_demo() {
	start orders env ASCOPE_TRUTH="$work/truth" "$fixtures/orders" --dir "$work"
	local orders=$pid
	await_line orders "listening on" || return
	start load "$fixtures/orders-load" --port "$(grep -oE '[0-9]+$' "$work/orders.out")" --mode mixed \
		--seconds $((record_seconds + 2))
	local load=$pid
	record "$orders" || return
	finish load "$load" "after the recording" || return
	leave orders "$orders" || return
	compare "$@"
}

# Recorded in one folder, read in another, with the binary at a third place and the originals gone.
run_moved() {
	mkdir "$work/first" "$work/second" "$work/symbols"
	cp "$fixtures/scenarios" "$work/first/"
	start moved env ASCOPE_TRUTH="$work/truth" "$work/first/scenarios" sleep --seconds "$fixture_seconds"
	local fixture=$pid
	await_line moved ready || return
	run_ascope record record -p "$fixture" -o "$work/first/capture.ascope" --duration "$record_seconds" || return
	leave moved "$fixture" || return
	run_ascope before report --blocking --json "$work/first/capture.ascope" || return

	mv "$work/first/capture.ascope" "$work/second/"
	mv "$work/first/scenarios" "$work/symbols/"
	rm -rf "$work/first"
	run_ascope after report --blocking --json --target "$work/symbols/scenarios" "$work/second/capture.ascope" || return
	python3 -B "$here/same_rows.py" "$work/before.json" "$work/after.json" --min-rows "$3"
}

# Why no test can run here, or nothing.
obstacle() {
	if [[ $(id -u) != 0 ]]; then
		echo "not root"
	elif [[ ! -r /sys/kernel/btf/vmlinux ]]; then
		echo "no /sys/kernel/btf/vmlinux"
	elif [[ ! -x $ascope ]]; then
		echo "$ascope is not built"
	elif ! command -v cargo >/dev/null && [[ ! -x $fixtures/scenarios || ! -x $fixtures/orders || ! -x $fixtures/rtonly ]]; then
		echo "no cargo to build the fixtures"
	fi
}

build_fixtures() {
	command -v cargo >/dev/null || return 0
	# From inside the folder, so that its .cargo/config.toml applies.
	(cd "$root/fixtures" && export CARGO_TARGET_DIR=${fixtures%/release} && cargo build --release --locked --quiet &&
		cargo build --release --locked --quiet -p rtonly) # by itself: Cargo.toml
}

# Some kernels in virtual machines skip scheduler tracepoints now and then (a switch from idle is reported neither to BPF nor to perf). ascope counts
# switches without a counterpart as `unpaired`; only a run with such a hole may be repeated, and says so.
kernel_skipped() {
	local skipped_switches
	skipped_switches=$("$ascope" query "$work/capture.ascope" --csv "SELECT count FROM loss WHERE cause = 'unpaired'" 2>/dev/null | tail -n +2 | tr -d '\r')
	[[ ${skipped_switches:-0} -gt 0 ]] || return 1
	{ echo "repeated: the kernel did not report $skipped_switches of the switches of this run, which had:"; cat "$work/outcome"; } >>"$repeated"
}

# Nor can a program tell when the host stops the machine. score.py knows it and takes nothing for wrong that this explains (--stalls); only when so much was
# stopped that the rest proves nothing, the run may be repeated (its exit code 6). tap.py has rules of its own.
too_stalled() { # CODE
	[[ $1 == 6 ]] || return 1
	{ echo "repeated: the host stopped this machine too often:"; cat "$work/outcome"; } >>"$repeated"
}

usage() {
	echo "usage: run.sh all | SCENARIO..." >&2
	awk 'NF { line = line " " $1 } END { print "scenarios:" line }' <<<"$scenarios" >&2
	exit 2
}

[[ $# -gt 0 ]] || usage
names=("$@")
[[ $1 == all ]] && mapfile -t names < <(awk 'NF { print $1 }' <<<"$scenarios")
for name in "${names[@]}"; do
	awk -v name="$name" '$1 == name { found = 1 } END { exit !found }' <<<"$scenarios" || usage
done

reason=$(obstacle)
if [[ -z $reason ]] && ! build_fixtures; then
	echo "Bail out! the fixtures do not build"
	exit 1
fi
passed=0 failed=0 skipped=0 number=0
echo "1..${#names[@]}"
for name in "${names[@]}"; do
	number=$((number + 1))
	if [[ -n $reason ]]; then
		echo "ok $number - live $name # SKIP $reason"
		skipped=$((skipped + 1))
		continue
	fi
	read -r _ how flavor minimum options < <(awk -v name="$name" '$1 == name' <<<"$scenarios")
	: >"$repeated"
	for try in 1 2 3; do
		# Beside the build, not in /tmp, which may be a tmpfs: the scenario `file` must be able to wait for a disk.
		work=$(mktemp -d "$root/out/live.XXXXXX") || exit 1
		watch
		# shellcheck disable=SC2086 # the options are words
		"run_$how" "$name" "$flavor" "$minimum" $options >"$work/outcome" 2>&1
		code=$?
		[[ $code != 0 && $code != 5 && $try -lt 3 ]] || break
		kernel_skipped || too_stalled "$code" || break
		cleanup
	done
	if [[ $code == 0 ]]; then
		echo "ok $number - live $name"
		passed=$((passed + 1))
	elif [[ $code == 5 ]]; then
		echo "ok $number - live $name # SKIP $(grep -h '^skip: ' "$work/outcome" | head -n 1)"
		skipped=$((skipped + 1))
	elif [[ $code == 4 && $name == file ]]; then
		echo "ok $number - live $name # SKIP reads of this disk are too fast to wait for"
		skipped=$((skipped + 1))
	else
		echo "not ok $number - live $name"
		failed=$((failed + 1))
	fi
	sed 's/^/# /' "$repeated" "$work/outcome"
	cleanup
done
echo "$passed passed, $failed failed, $skipped skipped"
[[ $failed == 0 ]]
