#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Live tests of what probes say of tasks (fixtures/lives): every spawn, its place, who did it, every poll, wake and end, against what the program knows itself.

    task_life.py [NAME...]     prints TAP; exit 1 when a test fails

Rows are taken from `ascope dump`: what the recorder wrote, before any report has made something of it.
"""
import collections
import json
import os
import signal
import subprocess
import sys

sys.dont_write_bytecode = True  # leaves no __pycache__ among the sources
import tap  # noqa: E402  # pylint: disable=wrong-import-position
from recording import RELEASE, Program, Recorder  # noqa: E402  # pylint: disable=wrong-import-position
from tap import ASCOPE, check  # noqa: E402  # pylint: disable=wrong-import-position

LIVES = RELEASE / "lives"
DONE, CANCELLED, FREED = 1, 2, 3
ATTACHED, IMPOSSIBLE, TAKEN, KEPT = 1, 2, 3, 4
LIFE = {"spawn", "bind", "blocking", "complete"}
STORM_SECONDS = 3


class Rows:
    """Records of a capture, by kind."""

    def __init__(self, capture):
        self.path = capture.path

    def kind(self, name):
        run = subprocess.run([str(ASCOPE), "dump", "--json", "--kind", name, self.path], capture_output=True, text=True, timeout=120, check=True)
        return [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{") and '"kind":' in line]

    def totals(self):
        return {row["key"]: row["value"] for row in self.kind("total")}

    def meta(self):
        return {row["key"]: row["value"] for row in self.kind("meta")}

    def locations(self):
        return {row["idx"]: (row["file"], row["line"], row["column"]) for row in self.kind("location")}

    def probes(self):
        return self.kind("probe")


class Truth:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        self.spawns = {line["spawn"]: line for line in lines if "spawn" in line}
        self.ends = {line["end"]: line for line in lines if "end" in line}
        check(len(self.spawns) > 300 and len(self.ends) > 200, f"too little truth: {len(self.spawns)} spawns, {len(self.ends)} ends")


def play(work, flavor, *args):
    """The program's acts, recorded from before the first to its end."""
    truth = f"{work}/truth"
    with Program(work, [LIVES, flavor], env={**os.environ, "ASCOPE_TRUTH": truth}) as p:
        p.await_line(r"^(ready)")
        with Recorder(work, "--max-overhead", 100, *args, "-p", p.pid) as r:
            r.await_begun()
            p.signal(signal.SIGUSR1)
            p.finish()
            r.finish((0,))
    return Rows(r.capture), Truth(truth)


def only_once(rows, key="task"):
    counts = collections.Counter(row[key] for row in rows)
    return [task for task, n in counts.items() if n > 1]


def compare_spawns(rows, truth, root_enters=False):
    """root_enters: the root future is polled in a scheduler's context, as on a current-thread runtime."""
    spawns = rows.kind("task_spawn")
    by_task = {row["task"]: row for row in spawns}
    check(not only_once(spawns), f"spawned twice: {only_once(spawns)}")
    check(set(by_task) == set(truth.spawns), f"not recorded: {sorted(set(truth.spawns) - set(by_task))}, not spawned: {sorted(set(by_task) - set(truth.spawns))}")
    locations = rows.locations()
    vtables = collections.defaultdict(set)
    for task, wanted in truth.spawns.items():
        row = by_task[task]
        vtables[wanted["how"]].add(row["vtable"])
        place = locations.get(row["location"])
        expected = (wanted["file"], wanted["line"], wanted["column"]) if wanted["location"] else None
        check(place == expected, f"{wanted}: location {place}")
        check(row["by_task"] == wanted["by"], f"{wanted}: {row}")
        in_poll = wanted["how"] not in ("by closure", "foreign", "entered")
        check((row["budget"] > 0) == in_poll, f"{wanted}: {row}")
        check(row["entered"] == (2 if in_poll and (wanted["by"] or root_enters) else 1), f"{wanted}: {row}")
        check(row["blocking"] == (wanted["how"] == "closure"), f"{wanted}: {row}")
        check((row["handle"] != 0) == (wanted["how"] != "closure"), f"{wanted}: {row}")
        check(row["layout"] != 0 and row["caller"] != 0 and row["vtable"] != 0, f"{wanted}: {row}")
    check(all(len(found) == 1 for found in vtables.values()), f"vtables: {vtables}")
    known = {row["idx"]: row for row in rows.kind("vtable")}
    check(all(known[v]["poll"] and known[v]["dealloc"] and known[v]["id_off"] for found in vtables.values() for v in found), f"vtables: {known}")
    return len(spawns)


def compare_ends(rows, truth):
    ends = rows.kind("task_end")
    by_task = {row["task"]: row for row in ends}
    check(not only_once(ends), f"ended twice: {only_once(ends)}")
    check(set(by_task) >= set(truth.ends) | set(truth.spawns), f"no end: {sorted((set(truth.ends) | set(truth.spawns)) - set(by_task))}")
    for task in set(truth.ends) | set(truth.spawns):
        wanted = truth.ends.get(task, {"how": "done"})
        check(by_task[task]["how"] == {"done": DONE, "cancelled": CANCELLED}[wanted["how"]], f"task {task}: {wanted} {truth.spawns.get(task)}: {by_task[task]}")
    return len(ends)


def compare_polls(rows, truth):
    """As many as the program counted; one more where a task is polled only to learn that it was cancelled."""
    polls = rows.kind("task_poll")
    counts = collections.Counter(row["task"] for row in polls if not row["end"])
    for task, wanted in truth.ends.items():
        if task not in truth.spawns:
            continue  # polled before the recording, too
        how = truth.spawns[task]["how"]
        more = {"aborted": (1,), "aborted at once": (0, 1)}.get(how, (0,))
        check(counts[task] - wanted["polls"] in more, f"{how}, task {task}: polled {wanted['polls']} times, recorded {counts[task]}")
    check(all(row["vtable"] for row in polls if not row["end"]), "a poll without a vtable")
    return polls


def compare_poll_ends(rows, polls):
    """From when it is known where polls end, each ends on its thread before the next begins. A worker's own main loop is a poll, too, which began before."""
    known = max(row["ts"] for row in rows.probes() if row["group"] == "poll_end" and row["action"] == ATTACHED)
    is_open, unbegun = collections.defaultdict(bool), 0
    for row in sorted(polls, key=lambda row: row["ts"]):
        if row["ts"] <= known:
            continue
        thread = row["thread"]
        check(row["end"] or not is_open[thread], f"{row}: the poll before has not ended")
        unbegun += row["end"] and not is_open[thread]
        is_open[thread] = not row["end"]
    check(not any(is_open.values()), f"polls without an end on {is_open}")
    check(unbegun <= 2 + 1, f"{unbegun} ends without a begin")  # two workers, and one in which it became known
    ends = sum(row["end"] for row in polls)
    check(ends > len(polls) / 3, f"{ends} ends of {len(polls)} rows")
    return ends


def compare_wakes(rows, truth):
    wakes = rows.kind("task_wake")
    counts = collections.Counter(row["task"] for row in wakes)
    compared = 0
    for task, wanted in truth.ends.items():
        if not wanted["exact_wakes"] or task not in truth.spawns:
            continue
        how = truth.spawns[task]["how"]
        expected = wanted["polls"] - 1 + (how == "aborted")  # an abort wakes
        check(counts[task] == expected, f"{how}, task {task}: {wanted['polls']} polls, {counts[task]} wakes recorded, should be {expected}")
        compared += 1
    check(compared > 150, f"{compared} tasks compared")
    return len(wakes)


def compare_probes(rows, groups):
    probes = rows.probes()
    check({p["group"] for p in probes if p["action"] == ATTACHED} == groups, f"attached: {probes}")
    check({p["group"] for p in probes if p["action"] == KEPT} == groups, f"at the end: {probes}")
    check(not any(p["action"] in (IMPOSSIBLE, TAKEN) for p in probes), f"probes: {probes}")
    check(all(p["places"] > 0 for p in probes if p["action"] == ATTACHED), f"probes: {probes}")
    totals = rows.totals()
    for p in probes:
        if p["action"] == KEPT:
            check(p["hits"] == totals[f"probes.hits.{p['group']}"] and p["cost"] >= p["hits"] * int(rows.meta()["probes.trap_ns"]), f"{p}, {totals}")
    check(totals["probes.hits.bind"] + totals["probes.hits.blocking"] == totals["sent.task_spawn"], f"{totals}")
    check(totals["tasks.bad_vtables"] == 0 and totals["tasks.no_room"] == 0 and totals["tasks.learned"] == 0, f"{totals}")
    return ", ".join(f"{p['group']} {p['hits']}" for p in probes if p["action"] == KEPT)


def life(work, flavor):
    rows, truth = play(work, flavor)
    spawns, ends = compare_spawns(rows, truth, flavor == "current_thread"), compare_ends(rows, truth)
    check(not rows.kind("task_poll") and not rows.kind("task_wake"), "polls or wakes that nobody asked for")
    return f"{spawns} spawns, {ends} ends; hits: {compare_probes(rows, LIFE)}"


def life_multi_thread(work):
    return life(work, "multi_thread")


def life_current_thread(work):
    return life(work, "current_thread")


def polls_multi_thread(work):
    rows, truth = play(work, "multi_thread", "--polls")
    compare_spawns(rows, truth)
    compare_ends(rows, truth)
    polls = compare_polls(rows, truth)
    check(not rows.kind("task_wake"), "wakes that nobody asked for")
    return f"{len(polls)} rows, {compare_poll_ends(rows, polls)} ends; hits: {compare_probes(rows, LIFE | {'poll', 'poll_end'})}"


def detail(work, flavor):
    rows, truth = play(work, flavor, "--wakes")
    compare_spawns(rows, truth, flavor == "current_thread")
    compare_ends(rows, truth)
    polls = compare_polls(rows, truth)
    wakes = compare_wakes(rows, truth)
    hits = compare_probes(rows, LIFE | {"poll", "poll_end", "schedule"})
    return f"{len(polls)} rows of polls, {compare_poll_ends(rows, polls)} ends, {wakes} wakes; hits: {hits}"


def wakes_multi_thread(work):
    return detail(work, "multi_thread")


def wakes_current_thread(work):
    return detail(work, "current_thread")


def tasks_off(work):
    """Nothing of the target's code is touched, and no list of its tasks is walked."""
    rows, _ = play(work, "multi_thread", "--tasks", "off")
    kinds = ("task_spawn", "task_end", "task_poll", "task_wake", "task_alive", "probe", "vtable", "location")
    check(not any(rows.kind(kind) for kind in kinds), "rows of tasks")
    check(rows.meta()["option.tasks"] == "off" and "tasks.list_unknown" not in rows.meta(), f"{rows.meta()}")
    check("tasks.list_unknown" not in rows.totals(), f"{rows.totals()}")


# ---- the governor ----


def storm(work, tasks, *args):
    """A recording of so many tasks a second: (rows, tasks made, what the recorder said)."""
    with Program(work, [LIVES, "storm", tasks, STORM_SECONDS]) as p:
        p.await_line(r"^(ready)")
        with Recorder(work, *args, "-p", p.pid) as r:
            r.await_begun()
            p.signal(signal.SIGUSR1)
            p.finish()
            r.finish((0,))
        made = int(p.await_line(r"^made (\d+)"))
    return Rows(r.capture), made, r.err.read_text()


def storm_is_too_dear(work):
    """Above the budget probes go away, the least worth first; the capture, its totals and the recorder say so."""
    rows, made, said = storm(work, 20_000, "--wakes")
    taken = {p["group"]: p for p in rows.probes() if p["action"] == TAKEN}
    check({"poll", "poll_end", "schedule"} <= set(taken), f"taken away: {taken}")
    check(all("more than 2 %" in taken[group]["why"] for group in ("poll", "schedule")), f"{taken}")
    check("were taken away" in said and "--max-overhead" in said, f"the recorder said: {said}")
    totals = rows.totals()
    spawns = len(rows.kind("task_spawn"))
    for group, row in taken.items():
        check((row["hits"] > 0 and row["cost"] > 0 or group == "poll_end") and totals[f"probes.taken.{group}"] > 0, f"{row} {totals}")
    check(spawns < made, f"{spawns} of {made} tasks were recorded, though the probes cost too much")
    order = ["poll", "schedule", "bind"]
    times = [taken[g]["ts"] for g in order if g in taken]
    check(times == sorted(times), f"{taken}")
    return f"{spawns} of {made} tasks; {said.strip()}"


def storm_at_any_price(work):
    """With --max-overhead 100 they stay, and every task is there."""
    rows, made, said = storm(work, 5000, "--wakes", "--max-overhead", 100)
    check(not any(p["action"] == TAKEN for p in rows.probes()) and "taken away" not in said, f"{rows.probes()} {said}")
    spawned, ended = {row["task"] for row in rows.kind("task_spawn")}, {row["task"] for row in rows.kind("task_end")}
    check(len(spawned) == made + 1 and spawned <= ended, f"{made} made, {len(spawned)} recorded, {len(spawned - ended)} without end")
    return f"{made} tasks"


TESTS = [life_multi_thread, life_current_thread, polls_multi_thread, wakes_multi_thread, wakes_current_thread, tasks_off, storm_is_too_dear, storm_at_any_price]

if __name__ == "__main__":
    sys.exit(tap.main(tap.Suite("task_life:", tap.named(TESTS), tap.title_in_words, (LIVES,)), sys.argv[1:]))
