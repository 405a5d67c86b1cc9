#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# record: mistakes and refusals say what, where and what to do; disk full and targets that vanish lose nothing that was written.
. "$(dirname "$0")/common.inc"
expect 0 "$ASCOPE" record --help || exit 77
has out '^Usage: ascope record'
expect 2 "$ASCOPE" record
has err '-p PID'
expect 2 "$ASCOPE" record -p 1x
expect 2 "$ASCOPE" record --stacks most -p 1
expect 2 "$ASCOPE" record --max-size 1k -p 1
has err 'at least 128k'
expect 2 "$ASCOPE" record --compress 20 -p 1
has err '1 to 19'
expect 2 "$ASCOPE" record --
if [ "$(id -u)" != 0 ] || [ ! -e /sys/kernel/btf/vmlinux ]; then
	echo 'the rest needs root and BTF'
	exit 77
fi
gone=$(bash -c 'echo $$')
code=0
"$ASCOPE" record -p "$gone" -o x.ascope 2>err || code=$?
[ $code = 1 ] || [ $code = 2 ] || die "exit $code for a pid that is gone"
has err "no process $gone"
[ ! -e x.ascope ] || die 'a capture of nothing was left'
code=0
"$ASCOPE" record --comm no-such-name -o x.ascope 2>err || code=$?
has err "no process is named 'no-such-name'"
# not permitted: which capability
chmod 755 "$work"
cp "$ASCOPE" ./ascope-copy && chmod 755 ascope-copy
mkdir open && chmod 777 open
sleep 60 &
sleeper=$!
trap 'kill $sleeper 2>/dev/null; rm -rf "$work"' EXIT
code=0
setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all ./ascope-copy record -p $sleeper -d 1 -o open/x.ascope 2>err || code=$?
equal $code 1
has err 'CAP_BPF'
# no BTF
mkdir nothing
code=0
unshare -m --propagation unchanged bash -c "mount --make-rprivate /sys && mount --bind nothing /sys/kernel/btf && exec '$ASCOPE' record -p $sleeper -d 1 -o x.ascope" 2>err || code=$?
equal $code 1
has err 'BTF'
# the output exists, is a link, is a terminal's
echo precious >kept.ascope
expect 1 "$ASCOPE" record -p $sleeper -d 1 -o kept.ascope
has err 'kept.ascope exists.*--force'
equal "$(cat kept.ascope)" precious
ln -s kept.ascope link.ascope
for force in '' --force; do
	# shellcheck disable=SC2086 # none or one word
	expect 1 "$ASCOPE" record -p $sleeper -d 1 $force -o link.ascope
	has err 'symbolic link'
	# shellcheck disable=SC2086
	expect 1 "$ASCOPE" record -p $sleeper -d 1 $force -o /dev/null
	has err 'no regular file'
done
# a recording that cannot begin leaves what is to be replaced as it is
expect 1 "$ASCOPE" record --force -o kept.ascope -- ./no-such-program
equal "$(cat kept.ascope)" precious
equal "$(ls -d kept.ascope*)" kept.ascope
expect 0 "$ASCOPE" record -p $sleeper -d 0.3 -f -o kept.ascope
expect 0 "$ASCOPE" info kept.ascope
expect 0 "$ASCOPE" record -p $sleeper -d 0.3 -o fresh.ascope
equal "$(stat -c %a fresh.ascope)" 600
# no Tokio: recorded all the same, and said
has err '' && expect 0 "$ASCOPE" record -d 1 -o shell.ascope -- sh -c 'for i in 1 2 3; do sleep 0.05; done'
has err 'no Tokio runtime was found'
expect 0 "$ASCOPE" query --json shell.ascope 'SELECT (SELECT count(*) FROM offcpu) AS n, (SELECT count(DISTINCT pid) FROM process) AS pids'
python3 -c 'import json; r = json.load(open("out"))[0]; assert r["n"] >= 3 and r["pids"] >= 4, r'
expect 0 "$ASCOPE" report --blocking shell.ascope
has out 'no Tokio'
# a command that does not exist; a target that is gone at once
expect 1 "$ASCOPE" record -o y.ascope -- ./no-such-program
has err 'no-such-program.*No such file'
[ ! -e y.ascope ] || die 'a capture of nothing was left'
expect 0 "$ASCOPE" record -o true.ascope -- true
# through a pipe
"$ASCOPE" record -q -d 0.3 -o - -p $sleeper | cat >piped.ascope
expect 0 "$ASCOPE" info piped.ascope
# SIGTERM and SIGINT end it with everything drained; kill -9 leaves what was written
# A command tells its pid, to be ended by it (a bare system has no pkill), and ends by itself in any case.
loop() { # BODY
	echo "echo \$\$ >loop.pid; i=0; while [ \$i -lt 20000 ]; do i=\$((i + 1)); $1; done"
}
# two processes that wake each other without pause, and start no others: their stacks can all be walked
talk='echo $$ >loop.pid; rm -f ask answer; mkfifo ask answer; exec 3<>ask 4<>answer
while read -r x <&3; do echo y >&4; done & while echo x >&3; do read -r x <&4; done'
end_loop() { kill -9 -- "-$(cat loop.pid)" 2>/dev/null || kill -9 "$(cat loop.pid)" 2>/dev/null || true; }
for signal in TERM INT KILL; do
	"$ASCOPE" record -q -o $signal.ascope -- sh -c "$(loop 'sleep 0.01')" 2>err &
	pid=$!
	sleep 2.5
	kill -$signal $pid
	code=0
	wait $pid 2>/dev/null || code=$?
	end_loop
	if [ $signal = KILL ]; then
		expect 3 "$ASCOPE" info $signal.ascope
		expect 3 "$ASCOPE" query --json $signal.ascope 'SELECT count(*) AS n FROM offcpu'
	else
		equal $code 0
		expect 0 "$ASCOPE" info $signal.ascope
		expect 0 "$ASCOPE" query --json $signal.ascope 'SELECT count(*) AS n FROM offcpu'
	fi
	python3 -c 'import json; n = json.load(open("out"))[0]["n"]; assert n > 50, n'
done
# --max-size: closed, and never larger
code=0
timeout 60 "$ASCOPE" record --stacks all -d 30 --max-size 256k -o sized.ascope -- setsid sh -c "$talk" 2>err || code=$?
end_loop
equal $code 0
has err 'stopped at --max-size'
[ "$(stat -c %s sized.ascope)" -le 262144 ] || die "$(stat -c %s sized.ascope) bytes with --max-size 256k"
expect 0 "$ASCOPE" info sized.ascope
has out 'closed cleanly'
# a full disk is noticed in time: the file is closed, exit 3
mkdir small
mount -t tmpfs -o size=256k none small
trap 'end_loop; kill $sleeper 2>/dev/null; umount -l small 2>/dev/null; rm -rf "$work"' EXIT
code=0
timeout 60 "$ASCOPE" record -q --stacks all -d 30 -o small/full.ascope -- setsid sh -c "$talk" 2>err || code=$?
end_loop
equal $code 3
has err 'the disk is full'
cp small/full.ascope full.ascope
expect 3 "$ASCOPE" info full.ascope
has out 'it stopped early: the disk was full after [0-9.]+ m?s'
has out '[1-9][0-9]* blocks intact, 0 damaged'
has out 'recording.stopped_by +disk full'
expect 3 "$ASCOPE" report --no-cache full.ascope
has out 'PARTIAL'
has out '^  - it stopped early: the disk was full after'
expect 3 "$ASCOPE" report --no-cache --json full.ascope
has out '"stopped_by": ?"disk full"'
expect 3 "$ASCOPE" query --no-cache full.ascope "SELECT count(*) FROM sample"
has err 'incomplete.*it stopped early: the disk was full after'
expect 0 "$ASCOPE" report --no-cache sized.ascope
has out '^  it ended at --max-size after'
expect 0 "$ASCOPE" info sized.ascope
has out 'note +it ended at --max-size after'
