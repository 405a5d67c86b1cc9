#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# run.sh: boots other kernels under qemu (TCG, no KVM), records a fixture there with the static ascope and checks what its report says: blocks, whole stacks, cpu quota and
# freezing by cgroup v2; who woke whom; and that probes in a program are hit as often as it calls what they are on.
#
# usage: tests/kernels/run.sh OUT [PACKAGE...]        `make check-kernels`
#
# PACKAGE is a Debian kernel package, e.g. linux-image-6.1.0-56-cloud-amd64; without one, the newest cloud kernel of each series that the package sources
# offer. Prints TAP. Needs apt-get, qemu-system-x86_64, busybox (static) and cpio; says so and skips where they are missing. Nothing is installed.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$(realpath "$1")
shift
for tool in apt-get qemu-system-x86_64 cpio busybox; do
	command -v $tool >/dev/null || { echo "ok 1 - kernels # SKIP needs $tool (Debian: qemu-system-x86 busybox-static cpio)"; exit 0; }
done
if [ $# = 0 ]; then
	mapfile -t offered < <(apt-cache search --names-only '^linux-image-[0-9.]+(-|[+]deb)[0-9a-z.+-]*cloud-amd64$' | cut -d' ' -f1 | sort -V)
	for series in $(printf '%s\n' "${offered[@]}" | sed -E 's/linux-image-([0-9]+\.[0-9]+).*/\1/' | sort -Vu); do
		set -- "$@" "$(printf '%s\n' "${offered[@]}" | grep -E "linux-image-$series[.]" | tail -n 1)"
	done
fi
[ $# -gt 0 ] || { echo 'ok 1 - kernels # SKIP the package sources offer no cloud kernel'; exit 0; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fixtures=${CARGO_TARGET_DIR:-$out/fixtures}
program=$fixtures/release/scenarios
(cd fixtures && CARGO_TARGET_DIR=$fixtures cargo build --release --locked --quiet -p scenarios)

# a root file system of one shell, one program and its libraries
root=$work/root
mkdir -p "$root"/{bin,proc,sys,dev,tmp,lib64,lib/x86_64-linux-gnu}
cp "$(command -v busybox)" "$root/bin/busybox"
cp "$out/ascope-static" "$root/bin/ascope"
cp "$out/probe_driver-static" "$root/bin/probe_driver"
cp "$out/probe_target-static" "$root/bin/probe_target"
cp "$program" "$root/bin/scenarios"
ldd "$program" | grep -oE '/[^ ]+' | while read -r lib; do cp -L "$lib" "$root/lib/x86_64-linux-gnu/"; done
cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
cat >"$root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
ip link set lo up
mkdir -p /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
cd /tmp
for scenario in sleep spin; do
	marker=
	[ $scenario = sleep ] && marker='--marker marker_begin,marker_end'
	ASCOPE_TRUTH=/tmp/truth /bin/scenarios $scenario --seconds 20 >/dev/null &
	fixture=$!
	sleep 3
	/bin/ascope record -q --comm scenarios -d 4 $marker -o $scenario.ascope 2>&1
	echo "@record $?"
	kill $fixture
	/bin/ascope query --no-cache --target /bin/scenarios $scenario.ascope --json \
		"SELECT '$scenario' AS scenario, verdict,
		 (SELECT count(*) FROM blocking WHERE dur >= 10000000) AS blocks,
		 (SELECT count(*) FROM blocking WHERE dur >= 10000000 AND (class = 'sleep' AND function LIKE '%back_off' OR class = 'cpu' AND line > 0)) AS expected,
		 (SELECT group_concat(found_by || ' ' || tick_valid) FROM runtime) AS found,
		 (SELECT value FROM meta WHERE key = 'waker.interrupts') AS wakers,
		 (SELECT value FROM meta WHERE key = 'recorder.privileges') AS privileges,
		 (SELECT count(*) FROM sample) AS samples,
		 (SELECT count(dur) FROM marker WHERE task_id IS NOT NULL AND stack_id IS NOT NULL) AS markers,
		 (SELECT sum(events) FROM stack_end WHERE status = 'whole') AS whole, (SELECT sum(events) FROM stack_end) AS stacks,
		 (SELECT max(depth) FROM stack WHERE kind = 'user') AS depth,
		 (SELECT value FROM total WHERE key = 'cost.verified_insns') AS insns FROM capture" 2>/dev/null | tr -d '\n'
	echo " @query"
done
# a fifth of a cpu, for the cgroup above the program's own
mkdir -p /sys/fs/cgroup/limited
echo +cpu >/sys/fs/cgroup/cgroup.subtree_control
echo +cpu >/sys/fs/cgroup/limited/cgroup.subtree_control
mkdir /sys/fs/cgroup/limited/app
echo '20000 100000' >/sys/fs/cgroup/limited/cpu.max
/bin/scenarios spin --seconds 20 >/dev/null &
fixture=$!
sleep 1
echo $fixture >/sys/fs/cgroup/limited/app/cgroup.procs
/bin/ascope record -q --comm scenarios -d 3 -o quota.ascope 2>&1
kill $fixture
grep -E 'nr_throttled|throttled_usec' /sys/fs/cgroup/limited/cpu.stat
/bin/ascope query --no-cache --target /bin/scenarios quota.ascope --json \
	"SELECT (SELECT cgroup FROM process) AS cgroup, (SELECT group_concat(DISTINCT cgroup) FROM throttle) AS of,
	 (SELECT total(periods) FROM throttle) AS periods, (SELECT total(dur) FROM throttle) AS dur,
	 (SELECT count(*) FROM poll WHERE throttled) AS throttled, (SELECT max(runnable) FROM poll) AS longest" 2>/dev/null | tr -d '\n'
echo " @quota"
# frozen by cgroup v2, and by nobody
/bin/scenarios sleep --seconds 20 >/dev/null &
fixture=$!
sleep 2
mkdir /sys/fs/cgroup/frozen
echo $fixture >/sys/fs/cgroup/frozen/cgroup.procs
(for i in 1 2 3 4; do sleep 0.8; echo 1 >/sys/fs/cgroup/frozen/cgroup.freeze; sleep 0.4; echo 0 >/sys/fs/cgroup/frozen/cgroup.freeze; done) &
/bin/ascope record -q --comm scenarios -d 5 -o frozen.ascope 2>&1
kill $fixture
/bin/ascope query --no-cache --target /bin/scenarios frozen.ascope --json \
	"SELECT (SELECT count(*) FROM blocking WHERE dur >= 10000000) AS blocks, (SELECT max(dur - runnable) FROM blocking) AS longest,
	 (SELECT count(*) FROM offcpu WHERE state = 'T' AND dur > 200000000) AS frozen, (SELECT count(*) FROM throttle) AS throttled" 2>/dev/null | tr -d '\n'
echo " @frozen"
# who gives a lock free, and where it stood
/bin/scenarios mutex --seconds 20 >/dev/null &
fixture=$!
sleep 3
/bin/ascope record -q --comm scenarios -d 4 --waker-stacks -o wakers.ascope 2>&1
kill $fixture
/bin/ascope query --no-cache --target /bin/scenarios wakers.ascope --json \
	"SELECT count(*) AS locks, count(k.stack_id) AS in_kernel, total(s.status = 'whole' AND p.function LIKE '%count_stock') AS by_holder,
	 (SELECT value FROM total WHERE key = 'cost.verified_insns') AS insns FROM offcpu AS o
	 LEFT JOIN stack AS s ON s.id = o.waker_stack_id LEFT JOIN stack_place AS p ON p.stack_id = o.waker_stack_id
	 LEFT JOIN stack_text AS k ON k.stack_id = o.waker_kstack_id AND k.function = 'futex_wake'
	 WHERE o.role = 'in_poll' AND o.class = 'lock' AND o.waker_tid IS NOT NULL" 2>/dev/null | tr -d '\n'
echo " @wakers"
# probes in a program that knows its calls: tests/probes
mkfifo ti to di do
/bin/probe_target <ti >to &
/bin/probe_driver <di >do 2>&1 &
exec 3>ti 4<to 5>di 6<do
target=$(pidof probe_target)
tell() { echo "$*" >&3; read -r answer <&4; }
ask() { echo "$*" >&5; read -r answer <&6; echo "# $1: $answer"; }
tell places
places=$answer
ask load all
mode=$answer
ask target $target
ask drop
for place in $places; do
	case $place in location=*|vtable=*|behind=*) ;; *) ask probe $target ${place%=*} ${place#*=} ;; esac
done
tell run 300 3
ask hits
echo "{\"load\": \"$mode\", \"hits\": \"$answer\"} @probes"
poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc 2>/dev/null | gzip -1) >"$work/initrd"

n=0 failed=0
for package in "$@"; do
	n=$((n + 1))
	mkdir "$work/$n"
	(cd "$work/$n" && apt-get download -qq "$package" >/dev/null 2>&1 && dpkg -x ./*.deb .) || { echo "ok $n - kernel ${package#linux-image-} # SKIP cannot be downloaded"; continue; }
	# Emulated, a kernel now and then dies of its own patching of jumps: a trap in the middle of an instruction that was just replaced. Then once more, and told;
	# what we do to a kernel kills it each time.
	for try in 1 2; do
		timeout 300 qemu-system-x86_64 -accel tcg -cpu max -m 1024 -smp 2 -nographic -nic none -no-reboot -kernel "$work/$n"/boot/vmlinuz-* -initrd "$work/initrd" \
			-append 'console=ttyS0 quiet panic=-1' >"$work/$n.log" 2>&1 </dev/null || true
		grep -aq 'Kernel panic' "$work/$n.log" || break
		echo "# ${package#linux-image-}: the kernel panicked, try $try of 2: $(grep -am1 RIP: "$work/$n.log" || true)"
	done
	grep -aoE '\[?\{.*\}\]? *@query' "$work/$n.log" | sed 's/ *@query//' >"$work/$n.answers" || true
	for what in quota frozen wakers; do
		grep -aoE "\[?\{.*\}\]? *@$what" "$work/$n.log" | sed "s/ *@$what//" >"$work/$n.$what" || true
	done
	grep -aoE '\{.*\} *@probes' "$work/$n.log" | sed 's/ *@probes//' >"$work/$n.probes" || true
	if [ "$(grep -ac '@record 0' "$work/$n.log")" = 2 ] && python3 - "$work/$n.answers" "$work/$n.probes" "$work/$n.quota" "$work/$n.frozen" "$work/$n.wakers" <<'PY'; then
import json
import sys
rows = {row["scenario"]: row for line in open(sys.argv[1]) for row in json.loads(line)}
for row in rows.values():
    print("#", row)
    assert row["verdict"] == "complete" and row["blocks"] == row["expected"], row
    assert row["found"] == "symbol+scan 1" and row["privileges"] == "dropped", row
    assert row["whole"] >= 0.999 * row["stacks"] and row["depth"] >= 15, row
    assert 0 < row["insns"] < 50000, row
assert rows["sleep"]["markers"] >= rows["sleep"]["blocks"] - 2 and rows["spin"]["markers"] == 0, rows
probes = json.load(open(sys.argv[2]))
print("#", probes)
hits = {key: int(value) for key, value in (word.split("=") for word in probes["hits"].split())}
wanted = {group: 0 if group in ("blocking", "poll_end") else 900 for group in ("spawn", "bind", "blocking", "complete", "dealloc", "poll", "poll_end", "schedule")}
assert {group: hits[group] for group in wanted} == wanted and probes["load"].startswith("ok"), probes
assert [hits[f"seen{kind}"] for kind in range(4)] == [900, 1800, 900, 900] and not any(hits[f"lost{kind}"] for kind in range(4)), probes
for path in sys.argv[3:]:
    (row,) = json.load(open(path))
    print("#", row)
    rows[path.rsplit(".", 1)[1]] = row
quota, frozen = rows["quota"], rows["frozen"]
assert quota["cgroup"] == "/limited/app" and quota["of"] == "/limited", quota
assert quota["periods"] >= 5 and quota["dur"] > 0 and quota["throttled"] >= 1 and quota["longest"] > 10e6, quota
wakers = rows["wakers"]
assert wakers["locks"] >= 3 and wakers["locks"] == wakers["in_kernel"] == wakers["by_holder"] and wakers["insns"] < 50000, wakers
assert frozen["blocks"] >= 3 and frozen["frozen"] >= 5 and frozen["longest"] < 200e6 and frozen["throttled"] == 0, frozen
assert rows["sleep"]["blocks"] >= 5 and rows["spin"]["blocks"] >= 1 and rows["spin"]["samples"] >= 50, rows
PY
		echo "ok $n - kernel ${package#linux-image-}"
	else
		echo "not ok $n - kernel ${package#linux-image-}"
		tail -n 30 "$work/$n.log" | sed 's/^/# /'
		failed=1
	fi
done
exit $failed
