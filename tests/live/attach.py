#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Live tests of attaching at any moment, and of leaving nothing behind (fixtures/held, fixtures/scenarios).

    attach.py [NAME...]        prints TAP; exit 1 when a test fails

Environment: ATTACH_ROUNDS  attach-detach rounds (15); `make check-attach` runs 200
"""
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # leaves no __pycache__ among the sources
import score  # noqa: E402  # pylint: disable=wrong-import-position
import tap  # noqa: E402  # pylint: disable=wrong-import-position
from recording import HELD, SCENARIOS, Capture, Fixture, Held, Program, Recorder, agree, record, record_while  # noqa: E402  # pylint: disable=wrong-import-position
from tap import ASCOPE, Failure, Skip, check  # noqa: E402  # pylint: disable=wrong-import-position

MS = score.MS
PERIOD = score.PERIOD
WORKERS = Held.WORKERS
THREADS = 5  # of `held check` that stay: main, workers, the pool's, the file's
SECONDS = 3
ROUNDS = int(os.environ.get("ATTACH_ROUNDS", "15"))
# of bpf/ascope.bpf.c: whatever else uses BPF on this machine is no business of these tests
PROGRAMS = {"on_sched_switch", "on_sample", "waking_exact", "waking_guess", "wakeup_new_exact", "wakeup_new_guess", "on_fork", "on_exec", "on_exit", "on_rename",
            "list_threads"}
MAPS = {"rings", "stats", "targets"}


def runtimes(capture):
    return [(row["flavor"], row["workers"]) for row in capture.query("SELECT flavor, workers FROM runtime")]


# ---- the state that a program is in ----


def idle(work):
    """All workers are parked and nothing wakes them: the runtime is found all the same, and there is nothing to report."""
    with Program(work, [HELD, "parked"]) as p:
        p.await_line(r"^(ready)")
        capture = record(work, p.pid, 1.5)
        check(p.process.poll() is None, "the program ended")
    check(runtimes(capture) == [("multi_thread", 2)], f"runtimes: {runtimes(capture)}")
    check(not capture.rows(), f"rows: {capture.rows()}")
    verdict = capture.query("SELECT verdict, verdict_why FROM capture")[0]
    check(verdict["verdict"] == "complete", f"verdict: {verdict}")


def full_load(work):
    """Polls of 100 us on every worker."""
    with Fixture(work, "cooperative") as p:
        time.sleep(0.5)
        capture = record(work, p.pid, SECONDS)
    check(runtimes(capture) == [("multi_thread", 4)], f"runtimes: {runtimes(capture)}")
    # n samples tell of n + 1 periods at most: where the cpu's clock did not fire, the host of this machine had taken the cpu
    long = [r for r in capture.rows() if min(r["dur"] - r["runnable"], (r["samples"] + 1) * PERIOD) >= score.THRESHOLD]
    check(not long, f"rows: {long}")
    valid = capture.query("SELECT tick_valid FROM runtime")
    check(valid == [{"tick_valid": 1}], "the tick was not proven")


def held(work, how):
    """Every worker is inside a long poll when recording begins, and again when it ends: the program, its truth and the capture."""
    with Held(work, how) as p:
        p.await_inside("ready")

        def go_through():
            time.sleep(0.5)
            p.go_on()
            p.await_inside("last")
            time.sleep(0.5)

        capture = record_while(work, p.pid, go_through)
        p.go_on()
        p.finish()
    check(runtimes(capture) == [("multi_thread", WORKERS)], f"runtimes: {runtimes(capture)}")
    line = agree(how, capture, [p.truth], 4)
    window = capture.window()
    rows = {state: [r for r in capture.rows() if r["state"] == state] for state in ("open-start", "open-end", "open-both")}
    entries = score.read_truth(p.truth)
    first = [e for e in entries if e.function == f"{how}_first"]
    last = [e for e in entries if e.function == f"{how}_last"]
    check(len(first) == WORKERS and len(last) == WORKERS and all(e.t0 < window[0] < e.t1 for e in first),
          f"the program was not in the state that is meant: {window} {first}")
    check(all(e.t0 < window[1] < e.t1 for e in last), f"the recording did not end in the last polls: {window} {[str(e) for e in last]}")
    compare_open(rows["open-start"], first, [(window[0], e.t1) for e in first], how)
    compare_open(rows["open-end"], last, [(e.t0, window[1]) for e in last], how)
    check(not rows["open-both"], f"open-both: {rows['open-both']}")
    return line


def compare_open(rows, entries, spans, how):
    """One row for each entry, of the right place, that claims no more than the part of the entry that lies in the recording."""
    slack = 2 * PERIOD + 2 * MS if how == "spin" else 2 * MS
    check(sorted(r["tid"] for r in rows) == sorted(e.tid for e in entries), f"rows {rows}, should be of {[str(e) for e in entries]}")
    for entry, (begin, end) in zip(entries, spans):
        row = next(r for r in rows if r["tid"] == entry.tid)
        check(score.own_name(row["function"]) == entry.function and row["line"] and entry.line <= row["line"] <= entry.last_line, f"{row}: should be {entry}")
        check(row["class"] in entry.classes and row["task_id"] == entry.task, f"{row}: should be {entry}")
        delay = entry.run_delay_ns
        check(end - begin - slack - delay <= row["dur"] <= end - begin + MS, f"{row['dur'] / MS} ms proven, should be {(end - begin) / MS}: {row}")
        check(row["dur_max"] >= end - begin - MS or how == "sleep", f"possible length {row['dur_max'] / MS} ms, should be {(end - begin) / MS}: {row}")


def every_worker_sleeps(work):
    return held(work, "sleep")


def every_worker_spins(work):
    return held(work, "spin")


def longer_than_the_recording(work):
    """Polls that began before and end after: a wait is reported as such; of a computation the tick cannot be proven, and the verdict says so."""
    for how in ("sleep", "spin"):
        with Held(work, how) as p:
            p.await_inside("ready")
            capture = record_while(work, p.pid, lambda: time.sleep(1.5))
        check(runtimes(capture) == [("multi_thread", WORKERS)], f"{how}: runtimes: {runtimes(capture)}")
        rows = capture.rows()
        why = capture.query("SELECT verdict, verdict_why FROM capture")[0]
        (begin, end) = capture.window()
        if how == "sleep":
            check([r["state"] for r in rows] == ["open-both"] * 2, f"rows: {rows}")
            check(all(score.own_name(r["function"]) == "sleep_first" and abs(r["dur"] - (end - begin)) < MS for r in rows), f"rows: {rows}")
        else:
            check(not rows, f"rows without a proven tick: {rows}")
            check(why["verdict"] == "partial" and "unclassified" in why["verdict_why"], f"verdict: {why}")
            open_rows = capture.query("SELECT state, classified, function FROM poll WHERE dur > 1000000000")
            check(sorted(open_rows, key=str) == [{"state": "open-both", "classified": 0, "function": "held::hold::spin_first"}] * 2, f"polls: {open_rows}")
            text = capture.report("--blocking")
            check("unclassified" in text and "tick not proven" in text, f"the report does not tell of them:\n{text}")


# ---- what stays behind ----


def bpftool(*args):
    tool = shutil.which("bpftool", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if not tool:
        raise Skip("no bpftool")
    return json.loads(subprocess.run([tool, "-j", *args], capture_output=True, text=True, check=True).stdout)


def kernel_objects():
    """What ascope could leave in the kernel: programs, links to them, maps by id; and the uprobes of everybody."""
    programs = {p["id"] for p in bpftool("prog", "list") if p.get("name", "") in {name[:15] for name in PROGRAMS} | PROGRAMS}
    links = {link["id"] for link in bpftool("link", "list") if link.get("prog_id") in programs}
    maps = {m["id"] for m in bpftool("map", "list") if m.get("name", "") in MAPS}
    return programs, links, maps, uprobes()


def uprobes():
    for place in ("/sys/kernel/tracing", "/sys/kernel/debug/tracing"):
        events = pathlib.Path(place) / "uprobe_events"
        if events.exists():
            return events.read_text()
    return ""


def recorders():
    """Processes, helpers included, and threads of the program under test."""
    found = []
    for pid in (p for p in os.listdir("/proc") if p.isdigit()):
        try:
            if os.path.samefile(f"/proc/{pid}/exe", ASCOPE) and int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]) != 0:
                found.append(pid)
        except OSError:
            continue
    return found


def expect_threads(pid):
    """Those that stay, and no other; of those that come and go there are moments without."""
    end = time.monotonic() + 10
    while (n := len(os.listdir(f"/proc/{pid}/task"))) != THREADS:
        check(time.monotonic() < end, f"the program has {n} threads, should be {THREADS}")
        time.sleep(0.005)


def in_use():
    """Programs, links and maps that a process has open: another build's recorder may run on this machine. What is left behind nobody has."""
    ids = {"prog_id": set(), "link_id": set(), "map_id": set()}
    for info in pathlib.Path("/proc").glob("[0-9]*/fdinfo/*"):
        try:
            fields = [line.partition(":") for line in info.read_text(encoding="utf-8").splitlines()]
        except OSError:
            continue  # it was closed meanwhile
        for key, _, value in fields:
            if key in ids:
                ids[key].add(int(value))
    return list(ids.values())


def expect_nothing_left(before, what):
    end = time.monotonic() + 10  # the kernel frees programs after a grace period
    while True:
        *objects, probes = kernel_objects()
        left = [now - then - used for now, then, used in zip(objects, before, in_use())] + [probes if probes != before[3] else ""]
        alive = recorders()
        if not any(left) and not alive:
            return
        if time.monotonic() > end:
            raise Failure(f"{what}: left behind: programs, links, maps, uprobes {left}, processes {alive}")
        time.sleep(0.1)


def expect_something_there(work, pid, before):
    """That nothing is left proves something only if it can be seen while it is there."""
    with Recorder(work, "-p", pid) as r:
        r.await_begun()
        programs, links, maps = (now - then for now, then in zip(kernel_objects()[:3], before))
        check(len(programs) >= 8 and len(links) >= 8 and len(maps) >= len(MAPS) and recorders(),
              f"a recording is not seen: programs {programs}, links {links}, maps {maps}, processes {recorders()}")
        r.stop()


def whole_round(work, pid, number):
    with Recorder(work, "--duration", f"{random.uniform(0.2, 0.5):.3f}", "-p", pid) as r:
        r.finish()
    rows = Capture(work).query("SELECT count(*) AS n FROM runtime")
    check(rows[0]["n"] == 1, f"round {number}: {rows[0]['n']} runtimes")


def killed_round(work, pid):
    """The recorder is killed at any moment, while it loads and attaches, too."""
    with Recorder(work, "-p", pid) as r:
        time.sleep(random.uniform(0.02, 0.7))
        r.signal(signal.SIGKILL)
        r.process.wait()
    if os.path.exists(f"{work}/capture.ascope"):
        run = subprocess.run([str(ASCOPE), "info", f"{work}/capture.ascope"], capture_output=True, text=True, timeout=60, check=False)
        check(run.returncode in (0, 1, 2, 3), f"info of a capture that ended abruptly: {run.returncode}: {run.stderr}")


def await_no_recorder():
    """A test before this one that failed has killed its recorder, which takes a moment to go."""
    end = time.monotonic() + 10
    while alive := recorders():
        check(time.monotonic() < end, f"another recorder of this build runs: {alive}")
        time.sleep(0.05)


def rounds(work, kill):
    random.seed(7)
    await_no_recorder()
    before = kernel_objects()
    with Program(work, [HELD, "check"]) as p:
        p.await_line(r"^(ready)")
        expect_threads(p.pid)
        expect_something_there(work, p.pid, before)
        for number in range(ROUNDS):
            if kill:
                killed_round(work, p.pid)
            else:
                whole_round(work, p.pid, number)
            check(p.process.poll() is None, f"round {number}: the program ended: {p.process.poll()}")
        expect_nothing_left(before, f"{ROUNDS} rounds")
        expect_threads(p.pid)
        tracer = next(line for line in pathlib.Path(f"/proc/{p.pid}/status").read_text().splitlines() if line.startswith("TracerPid"))
        check(tracer.split()[1] == "0", tracer)
        p.signal(signal.SIGTERM)
        done = p.await_line(r"^(work .*)$")
        p.finish()
    check(done.endswith(" wrong 0") and not any(f"{part} 0 " in done for part in ("work", "socket", "file", "pool", "thread")), done)
    return f"{ROUNDS} rounds: {done}"


def attach_and_detach(work):
    """Again and again on a busy program, which goes on to be right."""
    return rounds(work, False)


def recorder_killed(work):
    return rounds(work, True)


TESTS = [idle, full_load, every_worker_sleeps, every_worker_spins, longer_than_the_recording, attach_and_detach, recorder_killed]

if __name__ == "__main__":
    sys.exit(tap.main(tap.Suite("attach:", tap.named(TESTS), tap.title_in_words, (HELD, SCENARIOS)), sys.argv[1:]))
