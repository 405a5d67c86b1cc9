#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Live tests of `ascope record --marker` and `ascope report --markers`: what markers and the scheduler see of the scenarios' blocks.

    markers.py [NAME...]        prints TAP, one test per name (default: all); exit 1 when one fails

Needs root and /sys/kernel/btf/vmlinux; without them every test is skipped and counted. Environment: ASCOPE (out/ascope), KEEP=1 leaves each test's folder.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # leaves no __pycache__ among the sources
import tap  # noqa: E402  # pylint: disable=wrong-import-position
from recording import SCENARIOS, WAIT, Capture, Fixture, Program  # noqa: E402  # pylint: disable=wrong-import-position
from tap import ASCOPE, Skip, check  # noqa: E402  # pylint: disable=wrong-import-position

PAIR = "marker_begin,marker_end"  # of the crate truth
MIN_NS = 10_000_000


def record(work, *args, target=(), seconds=3.0):
    """Records into WORK/capture.ascope; its stderr."""
    argv = [str(ASCOPE), "record", "--force", "-o", f"{work}/capture.ascope", "--duration", str(seconds), *map(str, args), *map(str, target)]
    run = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    check(run.returncode == 0, f"{argv}: exit code {run.returncode}: {run.stderr[:2000]}")
    return run.stderr


def record_scenario(work, scenario, *args, program=SCENARIOS):
    with Fixture(work, scenario, program) as fixture:
        record(work, *args, target=("-p", fixture.pid))
        fixture.leave()


def report(work):
    argv = [str(ASCOPE), "report", "--markers", "--json", f"{work}/capture.ascope"]
    run = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    check(run.returncode == 0, f"{argv}: exit code {run.returncode}: {run.stderr[:2000]}")
    return json.loads(run.stdout)


def query(work, sql):
    return Capture(work).query(sql)


def open_polls(work, state):
    """Blocked polls that the recording cut: their markers are cut, too."""
    return {row["poll_id"] for row in query(work, f"SELECT poll_id FROM blocking WHERE state = '{state}' AND held >= {MIN_NS}")}


def say(condition, text, got):
    """check() with what was got instead."""
    check(condition, f"{text}: {json.dumps(got)[:3000]}")


def check_lengths(got):
    difference = got["both"]["difference"]
    say(difference["compared"] == got["both"]["intervals"], "not every pair's lengths were compared", difference)
    say(difference["median"] <= 200_000, "lengths differ by more than 0.2 ms in the median", difference)
    return f"{difference['compared']} lengths differ by {difference['median'] / 1e3:.0f} us in the median, {difference['max'] / 1e3:.0f} us at most"


def test_sleep(work):
    """every block of scenario sleep is seen by both, and equally long"""
    record_scenario(work, "sleep", "--marker", PAIR)
    got = report(work)
    both, cut = got["both"], open_polls(work, "open-start")
    say(both["intervals"] >= 10, "too few intervals", both)
    say(both["intervals"] == both["polls"] == got["intervals"], "not all intervals are polls", got)
    say(got["marker_only"]["intervals"] == 0, "there are some by the marker only", got["marker_only"])
    alone = {row["poll_id"] for row in got["scheduler_only"]["list"]}
    say(alone <= cut, "there are some by the scheduler only", got["scheduler_only"])
    say(got["in_part"]["polls"] <= len(open_polls(work, "open-end")), "there are some in part", got["in_part"])
    say({row["class"] for row in both["list"]} == {"sleep"}, "wrong classes", both)
    say(all(row["task_id"] for row in both["list"]), "intervals without task", both)
    for row in both["list"]:
        text = query(work, f"SELECT function FROM stack_text WHERE stack_id = {row['stack_id']} ORDER BY depth, inline_depth LIMIT 3")
        say(any((f["function"] or "").endswith("back_off") for f in text), "START's callers lack the function that blocks", text)
    say(got["verdict"]["stacks_whole"] == got["verdict"]["stacks"], "the probes cost whole stacks", got["verdict"])
    return check_lengths(got)


def test_pool(work):
    """what sleeps on the blocking pool is seen by the marker only, and the report says why; another process of the same file is left out"""
    with Fixture(work, "spawn-blocking") as other:
        record_scenario(work, "spawn-blocking", "--marker", PAIR)
        other.leave()
    got = report(work)
    only = got["marker_only"]
    pids = [row["pid"] for row in query(work, "SELECT DISTINCT pid FROM process")]
    check(len(pids) == 1 and pids[0] != other.pid, f"processes {pids}, of which {other.pid} was not to be recorded")
    say(got["polls"] == 0 and got["both"]["intervals"] == 0, "there are blocked polls", got)
    say(only["intervals"] >= 2 and [r["reason"] for r in only["reasons"]] == ["blocking_pool"], "wrong reasons", only)
    for row in only["list"]:
        asleep = sum(part["ns"] for part in row["off_cpu"] if part["role"] == "blocking_pool" and part["class"] == "sleep")
        say(asleep >= 999_000_000, "the parts do not hold the sleep of 1 s", row)
        say(sum(part["ns"] for part in row["off_cpu"]) + row["runnable"] + row["on_cpu"] == row["dur"], "parts do not add up", row)
    return f"{only['intervals']} intervals"


def test_in_place(work):
    """block_in_place is seen by the marker only, and the report says why"""
    record_scenario(work, "block-in-place", "--marker", PAIR)
    got = report(work)
    only = got["marker_only"]
    say(got["polls"] == 0 and only["intervals"] >= 2, "there are blocked polls, or no intervals", got)
    say([r["reason"] for r in only["reasons"]] == ["block_in_place"], "wrong reasons", only)
    return f"{only['intervals']} intervals"


def ends_with(row, name):
    return (row["function"] or "").split("::{")[0].endswith(f"::{name}")


def test_mixed(work):
    """blocks without marker, marked in part, and markers over an await are told apart; functions are found by readable path"""
    second = "scenarios::markers::marked,scenarios::markers::unmarked"
    record_scenario(work, "markers", "--marker", PAIR, "--marker", second)
    got = report(work)
    both, only, alone = got["both"], got["marker_only"], got["scheduler_only"]
    cut = open_polls(work, "open-start") | open_polls(work, "open-end")  # of which the marker may not be in the recording
    say(both["intervals"] >= 5 and all(ends_with(row, "marked") for row in both["list"]), "by both: not those that are marked", both)
    say(only["intervals"] >= 5 and all(ends_with(row, "across") for row in only["list"]), "by the marker only: not those over an await", only)
    say([r["reason"] for r in only["reasons"]] == ["await"], "wrong reasons", only)
    say(alone["polls"] >= 5 and all(ends_with(row, "unmarked") or row["poll_id"] in cut for row in alone["list"]),
        "by the scheduler only: not those that are unmarked", alone)
    part = query(work, f"SELECT count(*) AS n FROM blocking WHERE function LIKE '%::partly_marked' AND held >= {MIN_NS} AND state = 'complete'")
    ends = len(open_polls(work, "open-end"))
    say(part[0]["n"] >= 5 and part[0]["n"] <= got["in_part"]["polls"] <= part[0]["n"] + ends + len(cut), "in part: not those marked in part",
        [got["in_part"], part])
    pairs = got["pairs"]
    say([p["text"] for p in pairs] == [PAIR, second], "not the pairs that were asked for", pairs)
    say(pairs[1]["count"] >= 5 and pairs[1]["no_end"] == pairs[1]["count"], "two tasks' functions were taken for one interval", pairs)
    say(pairs[0]["no_end"] <= 2, "intervals whose task moved have lost their END", pairs)
    moved = query(work, "SELECT count(*) AS n FROM marker WHERE end_thread_id <> thread_id")[0]["n"]
    return f"{check_lengths(got)}; {moved} of {only['intervals']} intervals over an await moved to another thread"


def address_of(program, name):
    out = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
    return next("0x" + line.split()[0] for line in out.splitlines() if line.endswith(f" {name}"))


def test_launched(work):
    """a command that is started, its functions by address; of a stripped program, too"""
    program = f"{work}/stripped"
    subprocess.run(["objcopy", "--strip-all", SCENARIOS, program], check=True)
    begin, end = (address_of(SCENARIOS, name) for name in PAIR.split(","))
    with Fixture(work, "sleep", program) as fixture:
        record(work, "--marker", f"{begin},{program}:{end}", target=("-p", fixture.pid), seconds=1.5)
        stripped = report(work)["pairs"]
        argv = [str(ASCOPE), "record", "-o", f"{work}/x.ascope", "-p", str(fixture.pid), "--marker", PAIR]
        run = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        check(run.returncode == 1 and "stripped" in run.stderr and not os.path.exists(f"{work}/x.ascope"), f"{argv}: {run.returncode} {run.stderr}")
        fixture.leave()
    check(stripped[0]["count"] >= 3, f"the stripped program's functions were not entered: {stripped}")
    os.environ["ASCOPE_TRUTH"] = f"{work}/truth"
    record(work, "--marker", PAIR, target=("--", SCENARIOS, "sleep", "--seconds", "2"), seconds=10)
    del os.environ["ASCOPE_TRUTH"]
    got = report(work)
    say(got["both"]["intervals"] >= 3 and got["marker_only"]["intervals"] == 0, "a launched program's intervals", got)
    truth = [json.loads(line) for line in open(f"{work}/truth", encoding="utf-8")][1:]
    say(got["pairs"][0]["count"] == len(truth) and got["ends_alone"] == 0, f"not the {len(truth)} entries of the truth log", got["pairs"])
    return f"{stripped[0]['count']} intervals of the stripped program; {len(truth)} of the launched one, all there"


def bpf_links():
    if not shutil.which("bpftool"):
        raise Skip("no bpftool")
    out = subprocess.run(["bpftool", "link", "-j"], capture_output=True, text=True, check=True).stdout
    return [link for link in json.loads(out or "[]") if link.get("type") == "perf_event"]


def uprobe_events():
    for path in ("/sys/kernel/tracing/uprobe_events", "/sys/kernel/debug/tracing/uprobe_events"):
        if os.path.exists(path):
            return pathlib.Path(path).read_text(encoding="utf-8")
    return ""


def links_of(pid):
    return [link for link in bpf_links() if any(p.get("pid") == pid for p in link.get("pids", []))]


def text_of(pid, address):
    """The bytes of the function as the process has them: a probe is an int3 there."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        base = next(int(line.split("-")[0], 16) for line in maps if str(SCENARIOS) in line)
    with open(f"/proc/{pid}/mem", "rb") as mem:
        mem.seek(base + int(address, 16))
        return mem.read(8)


def test_nothing_left(work):
    """nothing is left behind, neither by a recording that ends nor by one that is killed"""
    begin = address_of(SCENARIOS, "marker_begin")
    with Fixture(work, "sleep") as fixture:
        events, before = uprobe_events(), text_of(fixture.pid, begin)
        check(before[0] != 0xCC, "somebody else has a probe there")
        record(work, "--marker", PAIR, target=("-p", fixture.pid), seconds=0.5)
        check(text_of(fixture.pid, begin) == before, "the probe is still in the program")
        argv = [str(ASCOPE), "record", "-q", "--force", "-o", f"{work}/killed.ascope", "--marker", PAIR, "-p", str(fixture.pid)]
        with Program(work, argv) as recorder:
            end = time.monotonic() + WAIT
            while text_of(fixture.pid, begin)[0] != 0xCC:
                check(time.monotonic() < end, "the probe never appeared")
                time.sleep(0.02)
            check(len(links_of(recorder.pid)) >= 2 or not bpf_links() or "pids" not in bpf_links()[0], "the probes are no links")
            check(uprobe_events() == events, "a probe is in uprobe_events")
            recorder.process.kill()
            recorder.process.wait()
        end = time.monotonic() + WAIT
        while text_of(fixture.pid, begin) != before:
            check(time.monotonic() < end, "the probe outlived the recorder")
            time.sleep(0.02)
        check(not links_of(recorder.pid), "links are left")
        fixture.leave()
    return "int3 seen while recording, gone after it"


TESTS = {test.__name__.removeprefix("test_"): test for test in (test_sleep, test_pool, test_in_place, test_mixed, test_launched, test_nothing_left)}

if __name__ == "__main__":
    sys.exit(tap.main(tap.Suite("markers", TESTS, tap.title_with_doc, (SCENARIOS,)), sys.argv[1:]))
