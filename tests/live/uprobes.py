#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Live tests of probes in programs' code: the recorder's kernel side and its helper (tests/probes/driver.c) against a program that knows its calls (probed.c).

    uprobes.py [NAME...]        prints TAP, one test per name (default: all); exit 1 when one fails

Counts are exact: a hit for each call, and a record for each hit. Needs root and /sys/kernel/btf/vmlinux; without them every test is skipped and counted.
Environment: ASCOPE (out/ascope); probe_driver and probe_target lie beside it.
"""
import os
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # leaves no __pycache__ among the sources
import tap  # noqa: E402  # pylint: disable=wrong-import-position
from tap import ASCOPE, Skip, check  # noqa: E402  # pylint: disable=wrong-import-position

DRIVER, TARGET = ASCOPE.parent / "probe_driver", ASCOPE.parent / "probe_target"
TASK = ("spawn", "bind", "schedule", "poll", "complete", "dealloc")  # what one task of the target calls, once each
EPERM, ESRCH, EINVAL, E2BIG, EOPNOTSUPP = 1, 3, 22, 7, 95
INVOKER = 65534  # what root becomes without sudo


class Talk:
    """A program that answers each line with one."""

    def __init__(self, *argv):
        self.program = subprocess.Popen(list(map(str, argv)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # pylint: disable=consider-using-with
        self.pid = self.program.pid

    def __call__(self, *words):
        self.program.stdin.write(" ".join(map(str, words)) + "\n")
        self.program.stdin.flush()
        return self.line()

    def line(self):
        line = self.program.stdout.readline()
        check(line, f"{self.program.args[0]} ended: {self.program.poll()}")
        return line.strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.program.stdin.close()
        try:
            self.program.wait(20)
        except subprocess.TimeoutExpired:
            self.program.kill()
            self.program.wait()
        self.program.stdout.close()


def fields(line):
    return {key: int(value) for key, value in (word.split("=") for word in line.split() if "=" in word)}


class Target(Talk):
    def __init__(self):
        super().__init__(TARGET)
        self.places = fields(self("places"))

    def run(self, count, threads=1):
        check(self("run", count, threads).startswith("done"), "the target ran")


class Driver(Talk):
    def __init__(self, groups="all"):
        super().__init__(DRIVER)
        answer = self("load", groups)
        if answer.startswith("none"):
            raise Skip(answer[5:])
        word, kind, by, cost, step = answer.split()
        check(word == "ok" and 0 < int(cost) <= int(step), f"load: {answer}")
        self.multi, self.by_process, self.cost, self.step = kind == "multi", by == "by_process", int(cost), int(step)

    def ok(self, *words):
        answer = self(*words)
        check(answer.split()[0] == "ok", f"{' '.join(map(str, words))[:200]}: {answer}")
        return [int(word) for word in answer.split()[1:]]

    def target(self, pid):
        self.ok("target", pid)

    def drop(self):
        uid, helper = self.ok("drop")
        check(uid == INVOKER or "SUDO_UID" in os.environ, f"privileges were given up: uid {uid}")
        return helper

    def probe(self, target, *groups):
        """{group: id of its links}"""
        ids = {}
        for group in groups:
            ids[group], links, places, refused, stepped = self.ok("probe", target.pid, group, target.places[group])
            check((links, places, refused) == (1, 1, 0), f"{group}: {links} links, {places} places, {refused} refused")
            same(stepped, int(group == "dealloc"), f"{group}: dearer places")
        return ids

    def hits(self):
        return fields(self("hits"))

    def records(self):
        """[(what, fields)]"""
        count = int(self("records").split()[1])
        lines = [self.line() for _ in range(count)]
        return [(line.split()[0], fields(line)) for line in lines]


def same(got, want, text):
    check(got == want, f"{text}: {got}, should be {want}")


def counted(driver, wanted, text):
    """Hits since loading, of groups; 0 where nothing is said."""
    hits = driver.hits()
    same({group: hits[group] for group in TASK + ("blocking", "poll_end") if hits[group] or wanted.get(group)},
         {group: count for group, count in wanted.items() if count}, text)
    lost = sum(hits[f"lost{kind}"] for kind in range(4))
    same(lost, 0, f"{text}: records lost")
    return hits


def executable_start(pid, offset, path):
    """Address at which this offset of a file lies in a process."""
    for start, end, off in executable(pid, path):
        if off <= offset < off + end - start:
            return start + offset - off
    raise tap.Failure(f"{path} is not mapped")


def executable(pid, path):
    with open(f"/proc/{pid}/maps", encoding="ascii") as file:
        for line in file:
            words = line.split()
            if len(words) > 5 and words[5] == str(path) and "x" in words[1]:
                yield int(words[0].split("-")[0], 16), int(words[0].split("-")[1], 16), int(words[2], 16)


def offset_of(pid, address, path):
    for start, end, off in executable(pid, path):
        if start <= address < end:
            return address - start + off
    raise tap.Failure(f"{address:#x} is not in {path}")


# ---- tests ----

def every_call_of_every_thread_is_a_hit(_):
    """in-process, before privileges are given up, and by the helper after it; nothing before and nothing behind"""
    with Target() as target, Driver() as driver:
        driver.target(target.pid)
        target.run(100, 2)
        counted(driver, {}, "before")
        ids = driver.probe(target, *TASK[:3])
        target.run(2000, 4)
        driver.drop()
        ids |= driver.probe(target, *TASK[3:])
        target.run(1500, 3)
        for links in ids.values():
            driver.ok("unprobe", links)
        target.run(100, 2)
        early, late = 2000 * 4, 1500 * 3
        hits = counted(driver, {group: late + (early if group in TASK[:3] else 0) for group in TASK}, "hits")
        same([hits[f"seen{kind}"] for kind in range(4)], [early + late, 2 * late, late, early + late], "records of spawns, ends, polls, wakes")
        same(hits["others"], 0, "hits in others")
        same({group: hits[f"{group}_stepped"] for group in TASK}, dict.fromkeys(TASK, 0) | {"dealloc": late}, "hits at dearer places")
        return f"{'uprobe_multi' if driver.multi else 'single uprobes'}, {'by process' if driver.by_process else 'of all processes'}; " \
               f"a hit costs {driver.cost} ns beside the program, {driver.step} ns at dearer places"


def records_say_what_a_task_is(_):
    """header, vtable, id, state, handle, Location, caller, where a poll returns to"""
    with Target() as target, Driver() as driver:
        driver.target(target.pid)
        driver.drop()
        driver.probe(target, *TASK)
        target.run(5)
        records = driver.records()
        same([what for what, _ in records], ["spawn", "schedule", "poll", "complete", "dealloc"] * 5, "records, in order")
        for first in range(0, 25, 5):
            of_one = [row for _, row in records[first:first + 5]]
            same({row["tgid"] for row in of_one}, {target.pid}, "process")
            same({row["module"] for row in of_one}, {7}, "module")
            same(len({row["tid"] for row in of_one}), 1, "one thread")
            same([row["task"] for row in of_one], [1001 + first // 5] * 5, "id")
            same({row["vtable"] for row in of_one}, {target.places["vtable"]}, "vtable")
            same(len({row["header"] for row in of_one}), 1, "header")
            same([row["state"] for row in of_one], [204, 196, 196, 196, 2], "state")
            check(sorted(row["ts"] for row in of_one) == [row["ts"] for row in of_one], "times rise")
        spawns = [row for what, row in records if what == "spawn"]
        same({row["handle"] for row in spawns}, {0x7000}, "handle")
        same({(row["location"], row["location2"]) for row in spawns}, {(target.places["location"], 0)}, "Location")
        same(len({row["caller"] for row in spawns}), 1, "one caller")
        offset_of(target.pid, spawns[0]["caller"], TARGET)
        for what, row in records:
            if what in ("spawn", "schedule"):
                same((row["by_task"], row["by_status"], row["entered"]), (0, 0, 0), "no layout: what the thread did is not known")


def without_a_spawn_the_caller_of_bind_is_told(_):
    """and a spawn that made no task gives its Location to no other"""
    with Target() as target, Driver() as driver:
        driver.target(target.pid)
        driver.probe(target, "spawn", "bind", "blocking")
        target("panic")
        target("alone bind 1")
        target("alone blocking 1")
        (_, after_panic), (_, bind), (what, blocking) = driver.records()
        for row in (after_panic, bind, blocking):
            same((row["location"], row["location2"]), (0, 0), "Location")
            offset_of(target.pid, row["caller"], TARGET)
        same(what, "blocking", "the last")
        same((bind["handle"], blocking["handle"]), (0x7000, 0), "handle, which the blocking pool has not")


def ends_of_polls_are_learned(_):
    """returns_to until it is known, then a probe there; forgotten when the process is"""
    with Target() as target, Driver() as driver:
        driver.target(target.pid)
        driver.drop()
        driver.probe(target, "poll")
        target.run(3)
        (_, first), *_ = polls = driver.records()
        same({row["returns_to"] for _, row in polls}, {first["returns_to"]}, "one place")
        check(first["returns_to"], "it is told")
        driver.ok("probe", target.pid, "poll_end", offset_of(target.pid, first["returns_to"], TARGET))
        driver.ok("know", target.pid, first["returns_to"])
        driver.ok("know", target.pid + 1, first["returns_to"])
        target.run(1000, 4)
        records = driver.records()
        same({row["returns_to"] for what, row in records if what == "poll"}, {0}, "known ends")
        by_thread = {}
        for what, row in records:
            by_thread.setdefault(row["tid"], []).append(what)
        same(list(by_thread.values()), [["poll", "poll_end"] * 1000] * 4, "each thread: begin, end, begin, ...")
        counted(driver, {"poll": 4003, "poll_end": 4000}, "hits")
        target("alone poll 1")
        check(driver.records()[0][1]["returns_to"] not in (0, first["returns_to"]), "another place is told")
        driver.ok("forget", target.pid)
        target.run(1)
        same(driver.records()[0][1]["returns_to"], first["returns_to"], "forgotten: told again")


def an_end_that_came_by_a_jump_is_none(_):
    """the place lies a little behind the call, and is reached without a poll as well"""
    with Target() as target, Driver() as driver:
        driver.target(target.pid)
        driver.drop()
        driver.probe(target, "poll")
        _, _, places, refused, stepped = driver.ok("probe", target.pid, "poll_end", target.places["behind"])
        same((places, refused, stepped), (1, 0, 0), "places, refused, dearer ones")
        target("around 300 500")
        same([what for what, _ in driver.records()], ["poll", "poll_end"] * 300, "records")
        counted(driver, {"poll": 300, "poll_end": 800}, "hits")


def the_table_of_ends_is_bounded(_):
    """what does not fit is refused, and what does is kept"""
    with Driver() as driver:
        answers = [driver("know", 1 + n % 50, 0x5555_0000_0000 + n * 7) for n in range(2000)]
        full = answers.count("error 28")
        same(answers.count("ok") + full, 2000, "ok, or ENOSPC")
        check(600 < answers.count("ok") <= 1024, f"{answers.count('ok')} of 1024")
        again = [driver("know", 1 + n % 50, 0x5555_0000_0000 + n * 7) for n in range(2000)]
        same(again, answers, "the same again")


def only_targets_count(_):
    """another process of the same program, and a request for a process that is no target"""
    with Target() as target, Target() as other, Driver() as driver:
        driver.target(target.pid)
        same(driver("probe", other.pid, "bind", other.places["bind"]), f"error {EPERM}", "no target, in-process")
        driver.drop()
        same(driver("probe", other.pid, "bind", other.places["bind"]), f"error {EPERM}", "no target, by the helper")
        same(driver("probe", 2 ** 22 + 5, "bind", 5), f"error {EPERM}", "no process")
        driver.probe(target, *TASK)
        other.run(1000)
        target.run(1000)
        hits = counted(driver, dict.fromkeys(TASK, 1000), "hits")
        same(hits["others"], 0 if driver.by_process else 1000 * len(TASK), "hits in others")


def two_targets_of_one_program(_):
    """each with its own links: taking one away leaves the other"""
    with Target() as one, Target() as two, Driver() as driver:
        for target in (one, two):
            driver.target(target.pid)
        driver.drop()
        if not driver.by_process:
            raise Skip("this kernel's probes are for all processes")
        ids = driver.probe(one, "bind")
        driver.probe(two, "bind")
        one.run(500)
        two.run(300)
        counted(driver, {"bind": 800}, "both")
        driver.ok("unprobe", ids["bind"])
        one.run(500)
        two.run(300)
        counted(driver, {"bind": 1100}, "the second only")


def a_child_is_not_probed(_):
    """fork copies the breakpoints: the child runs on, and is not counted until it is probed itself"""
    with Target() as target, Driver() as driver:
        driver.target(target.pid)
        driver.drop()
        driver.probe(target, *TASK)
        check(target("fork 500").startswith("done"), "the child ran")
        target.run(100)
        hits = driver.hits()
        if driver.by_process:
            same({group: hits[group] for group in TASK}, dict.fromkeys(TASK, 100), "hits")
        else:
            same({group: hits[group] for group in TASK}, dict.fromkeys(TASK, 600), "hits, the child's too: it is a target")
        same(sum(hits[f"lost{kind}"] for kind in range(4)), 0, "records lost")


def exec_takes_probes_along(_):
    """the same program in the same process, probed anew after the old links are closed"""
    with Target() as target, Driver() as driver:
        driver.target(target.pid)
        driver.drop()
        ids = driver.probe(target, "bind", "poll")
        target.run(10)
        target("exec")
        target.places = fields(target("places"))
        for links in ids.values():
            driver.ok("unprobe", links)
        target.run(10)
        driver.probe(target, "bind", "poll")
        target.run(5)
        counted(driver, {"bind": 15, "poll": 15}, "hits")


def places_that_cannot_be_probed(_):
    """are left out and counted; the others work"""
    with Target() as target, Driver() as driver:
        driver.target(target.pid)
        driver.drop()
        size = TARGET.stat().st_size
        good = [target.places[name] for name in ("bind", "poll", "complete")]
        offsets = [good[0], size + 5, good[1], size + 4096, good[2]]
        _, links, places, refused, _ = driver.ok("probe", target.pid, "complete", *offsets)
        same((places, refused), (3, 2), "places, refused")
        check(1 <= links <= 3, f"{links} links")
        target.run(70)
        counted(driver, {"complete": 210}, "hits of three places")
        same(driver("probe", target.pid, "poll", size + 5), f"error {EINVAL}", "none is good")
        most = 65536 if driver.multi else 512
        same(driver("probe", target.pid, "poll", *[good[0]] * (most + 1)), f"error {E2BIG}", "too many")


def many_places(_):
    """more than one request has room for: each byte of a stretch of functions' starts, by several links"""
    with Target() as target, Driver() as driver:
        driver.target(target.pid)
        driver.drop()
        count = 2500 if driver.multi else 300
        began = time.monotonic()
        ident, links, places, refused, _ = driver.ok("probe", target.pid, "bind", *[target.places["bind"]] * count)
        took = time.monotonic() - began
        same((places, refused), (count, 0), "places, refused")
        same(links, 3 if driver.multi else 300, "links")
        target.run(2)
        counted(driver, {"bind": 2 * count}, "hits")
        ns = driver.ok("unprobe", ident)[0]
        return f"{count} places attached in {took * 1000:.0f} ms, taken away in {ns // 1_000_000} ms"


def a_group_that_was_not_loaded(_):
    """is refused, and the others work"""
    with Target() as target, Driver("bind complete") as driver:
        driver.target(target.pid)
        same(driver("probe", target.pid, "poll", target.places["poll"]), f"error {EOPNOTSUPP}", "in-process")
        driver.drop()
        same(driver("probe", target.pid, "poll", target.places["poll"]), f"error {EOPNOTSUPP}", "by the helper")
        driver.probe(target, "bind", "complete")
        target.run(10)
        counted(driver, {"bind": 10, "complete": 10}, "hits")


def breakpoint_bytes(target, *names):
    """First byte of each function, as it is in the process's memory."""
    with open(f"/proc/{target.pid}/mem", "rb") as memory:
        found = []
        for name in names:
            memory.seek(executable_start(target.pid, target.places[name], TARGET))
            found.append(memory.read(1)[0])
    return found


def nothing_stays_after_kill(_):
    """kill -9 of the recorder: its helper ends, the target's code is as before, and it runs on"""
    with Target() as target:
        before = breakpoint_bytes(target, *TASK)
        with Driver() as driver:
            driver.target(target.pid)
            helper = driver.drop()
            driver.probe(target, *TASK)
            target.run(100)
            same(breakpoint_bytes(target, *TASK), [0xcc] * len(TASK), "breakpoints")
            target("busy 2")
            os.kill(driver.pid, signal.SIGKILL)
            driver.program.wait()
            for _ in range(200):
                if not os.path.exists(f"/proc/{helper}") and breakpoint_bytes(target, *TASK) == before:
                    break
                time.sleep(0.05)
            check(not os.path.exists(f"/proc/{helper}"), "the helper ended")
            same(breakpoint_bytes(target, *TASK), before, "the target's code")
        check(int(target("stop").split()[1]) > 0, "the target ran on")


def attaching_to_a_busy_program(_):
    """put on and taken away 25 times while four threads call: no call is missed while it is there, the target counts right"""
    with Target() as target, Driver() as driver:
        driver.target(target.pid)
        driver.drop()
        driver.ok("quiet")
        target("busy 4")
        for _ in range(25):
            for links in driver.probe(target, "bind", "poll", "complete").values():
                driver.ok("unprobe", links)
        tasks = int(target("stop").split()[1])
        before = driver.hits()
        check(all(0 < before[group] < tasks for group in ("bind", "poll", "complete")), f"{before} of {tasks} tasks")
        driver.probe(target, *TASK)
        target.run(1000, 4)
        hits = driver.hits()
        same({group: hits[group] - before[group] for group in TASK}, dict.fromkeys(TASK, 4000), "hits")
        return f"{tasks} tasks meanwhile, {before['bind']} of them seen"


TESTS = tap.named([every_call_of_every_thread_is_a_hit, records_say_what_a_task_is, without_a_spawn_the_caller_of_bind_is_told, ends_of_polls_are_learned,
                   an_end_that_came_by_a_jump_is_none, the_table_of_ends_is_bounded, only_targets_count, two_targets_of_one_program, a_child_is_not_probed, exec_takes_probes_along,
                   places_that_cannot_be_probed, many_places, a_group_that_was_not_loaded, nothing_stays_after_kill, attaching_to_a_busy_program])
SUITE = tap.Suite("uprobes:", TESTS, title=tap.title_in_words, programs=(DRIVER, TARGET), also_build=lambda: None)

if __name__ == "__main__":
    sys.exit(tap.main(SUITE, sys.argv[1:]))
