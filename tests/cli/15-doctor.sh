#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# ascope doctor: what it says of this host and of itself, as root and as nobody; mistakes.
. "$(dirname "$0")/common.inc"
field() { python3 -c "import json; d = json.load(open('out')); print($1)"; } # EXPRESSION of the JSON object in out

# the two forms say the same, and the exit code follows
code=0
"$ASCOPE" doctor --json >out 2>err || code=$?
states=$(field '" ".join(sorted(set(c["state"] for c in d["host"]["checks"])))')
case " $states " in
*" no "*) equal "$code" 1 ;;
*" less "* | *" unknown "*) equal "$code" 3 ;;
*) equal "$code" 0 ;;
esac
equal "$(field 'd["host"]["can_record"]')" "$([ "$code" = 1 ] && echo False || echo True)"
equal "$(field 'all(c["state"] == "ok" or c["fix"] for c in d["host"]["checks"] if c["state"] != "unknown")')" True
equal "$(field 'd["processes"]')" '[]'
n=$(field 'len(d["host"]["checks"])')
expect "$code" "$ASCOPE" doctor
equal "$(grep -cE '^  (ok|less|unknown|no) ' out)" "$n"

# a process without Tokio
sleep 60 &
sleeper=$!
code=0
"$ASCOPE" doctor --json -p "$sleeper" >out 2>err || code=$?
[ "$code" = 3 ] || [ "$code" = 1 ] || die "exit code $code"
equal "$(field 'd["processes"][0]["comm"]')" sleep
equal "$(field 'sum(c["version"] is not None for c in d["processes"][0]["copies"])')" 0
kill "$sleeper"
wait "$sleeper" || true

# without rights: the same words as the recorder's
if [ "$(id -u)" = 0 ]; then
	cp "$ASCOPE" ./ascope
	chmod 755 . ./ascope
	expect 1 setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all ./ascope doctor
	has out '^  no +rights +not permitted to load BPF programs: needs root, or the capabilities CAP_BPF and CAP_PERFMON$'
	has out 'fix: sudo ascope record'
	cp out as_nobody
	expect 1 setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all ./ascope record -o /dev/null -f --quiet -- true
	has err 'not permitted to load BPF programs: needs root, or the capabilities CAP_BPF and CAP_PERFMON'
	expect 1 setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all ./ascope doctor -p $$
	has out 'cannot be looked at: .*needs root or CAP_SYS_PTRACE'
fi

# mistakes
expect 2 "$ASCOPE" doctor 4711
has err "'4711'\? say -p PID"
expect 2 "$ASCOPE" doctor -p nothing
expect 2 "$ASCOPE" doctor -p 4194304
has err 'no process 4194304'
