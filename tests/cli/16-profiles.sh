#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Profiles: each format of each question keeps its format's rules and has SQL's total, under any frames in front; runs repeat to the byte; hostile names are inert.
. "$(dirname "$0")/common.inc"
rules() { python3 -B "$root/tests/viewers/profile_rules.py" "$@" || die "$*"; }
sql() { sqlite3 demo.ascope.db "$1"; }
cp "$captures/demo.ascope" demo.ascope
gunzip -c "$captures/demo.names.gz" >names
expect 0 "$ASCOPE" export --folded --target names demo.ascope

end='(SELECT ts_end FROM capture)'
waits="FROM offcpu WHERE state NOT IN ('R', 'X', 'Z') AND role <> 'parked'"
declare -A want=(
	[oncpu]=$(sql 'SELECT count(*) * (SELECT sample_period FROM capture) FROM sample')
	[offcpu]=$(sql "SELECT sum(coalesce(ts_waking, ts + dur, $end) - ts) $waits")
	[blocking]=$(sql 'SELECT sum(off_cpu + on_cpu + runnable) FROM blocking')
)
want[wall]=$((${want[oncpu]} + ${want[offcpu]}))
for kind in oncpu offcpu wall blocking; do
	[ "${want[$kind]}" -gt 0 ]
	for by in thread task class none; do
		expect 0 "$ASCOPE" export --speedscope --$kind --by $by demo.ascope
		equal "$kind $by $(rules speedscope out)" "$kind $by ${want[$kind]}"
		expect 0 "$ASCOPE" export --firefox --$kind --by $by demo.ascope
		equal "$kind $by $(rules firefox out)" "$kind $by ${want[$kind]}"
		expect 0 "$ASCOPE" export --pprof --$kind --by $by demo.ascope
		mv out p.pb.gz
		total=$(rules pprof p.pb.gz)
		equal "$kind $by ${total#* }" "$kind $by ${want[$kind]}"
		expect 0 "$ASCOPE" export --folded --$kind --by $by demo.ascope
		us=$(awk '{ n += $NF } END { printf "%.0f", n }' out)
		if [ $kind = oncpu ]; then equal "$us" "$(sql 'SELECT count(*) FROM sample')"; else equal "$us" $((${want[$kind]} / 1000)); fi
		if [ $kind = offcpu ] && grep -q bpf_prog_ out; then die 'what took the stack is in it'; fi # what took the stack; of a sample it may be what ran
	done
done
equal "$("$ASCOPE" export --pprof demo.ascope | gzip -dc | wc -c)" "$("$ASCOPE" export --pprof demo.ascope | gzip -dc | wc -c)"

# filters are SQL's conditions
ns() { "$ASCOPE" export --speedscope "$@" demo.ascope >filtered || die "$*"; rules speedscope filtered; }
equal "$(ns --blocking --min 10ms)" "$(sql 'SELECT sum(dur) FROM blocking WHERE dur_max >= 10000000 AND held >= 10000000')"
equal "$(ns --blocking --class sleep)" "$(sql "SELECT sum(dur) FROM blocking WHERE class = 'sleep'")"
equal "$(ns --offcpu --class sleep)" "$(sql "SELECT sum(coalesce(ts_waking, ts + dur, $end) - ts) $waits AND class = 'sleep'")"
equal "$(ns --offcpu --min 1ms --max 60ms)" \
	"$(sql "SELECT sum(w) FROM (SELECT coalesce(ts_waking, ts + dur, $end) - ts AS w $waits) WHERE w BETWEEN 1000000 AND 60000000")"
# --min is of a wait's whole length, of which only what lies in the window is weighed; report --offcpu says the same
off=$("$ASCOPE" report --offcpu --json --from 2s --to 2100ms --min 20ms demo.ascope | python3 -c 'import json, sys; print(json.load(sys.stdin)["shown"]["total"])')
equal "$(ns --offcpu --from 2s --to 2100ms --min 20ms)" "$off"
[ "$off" -gt "$(ns --offcpu --from 2s --to 2100ms --min 120ms)" ]
equal "$(ns --offcpu --class sleep --from 2510ms --to 2520ms --min 20ms)" 20000000 # two threads, 10 ms of each
tid=$(sql 'SELECT t.tid FROM sample AS s JOIN thread AS t ON t.id = s.thread_id GROUP BY 1 ORDER BY count(*) DESC LIMIT 1')
equal "$(ns --tid "$tid")" \
	"$(sql "SELECT count(*) * (SELECT sample_period FROM capture) FROM sample AS s JOIN thread AS t ON t.id = s.thread_id WHERE t.tid = $tid")"
task=$(sql 'SELECT task_id FROM blocking WHERE task_id IS NOT NULL GROUP BY 1 ORDER BY sum(dur) DESC LIMIT 1')
equal "$(ns --blocking --task "$task")" "$(sql "SELECT sum(dur) FROM blocking WHERE task_id = $task")"
equal "$(ns --offcpu --wakers)" "${want[offcpu]}"
expect 0 "$ASCOPE" export --folded --offcpu --wakers demo.ascope
has out ';--;'

# the same bytes again, whatever the locale and the time zone
for format in folded speedscope pprof firefox; do
	"$ASCOPE" export --$format --wall demo.ascope >a
	LC_ALL=C.UTF-8 TZ=Asia/Tokyo "$ASCOPE" export --$format --wall --no-cache --target names demo.ascope >b
	cmp a b
done

# names that a stranger chose: escapes, separators, markup
cp "$captures/good/every-kind.ascope" hostile.ascope
for format in speedscope pprof firefox; do
	"$ASCOPE" export --$format --wall --all --by task hostile.ascope >hostile || [ $? = 3 ]
	rules $format hostile >/dev/null
done
sqlite3 hostile.ascope.db "UPDATE thread SET name = char(27) || ']0;x' || char(7) || '<script>;\"' || char(10) || '12'"
for format in folded speedscope pprof firefox; do
	"$ASCOPE" export --$format --wall --all hostile.ascope >hostile || [ $? = 3 ]
	[ $format = folded ] || rules $format hostile >/dev/null
	if [ $format != pprof ] && grep -q $'[\x1b\x07]' hostile; then die "$format: control bytes"; fi
done
