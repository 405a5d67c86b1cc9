#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Live tests of what a runtime keeps of its tasks: those that are alive when it is met, and how many wait in its queues (fixtures/listed).

    task_lists.py [NAME...]        prints TAP; exit 1 when a test fails

Needs root and /sys/kernel/btf/vmlinux; without them it is skipped and counted. Environment: KEEP=1 leaves each test's folder.
"""
import collections
import json
import pathlib
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True  # leaves no __pycache__ among the sources
import recording  # noqa: E402  # pylint: disable=wrong-import-position
import tap  # noqa: E402  # pylint: disable=wrong-import-position
from tap import ASCOPE, OUT, ROOT, Skip, check  # noqa: E402  # pylint: disable=wrong-import-position

LISTED = recording.RELEASE / "listed"
OWN, FROM_OUTSIDE = 5, 3  # as the fixture has them
NOTIFIED, RUNNING = 4, 1


class Dump:
    """The records of a capture that these tests are about, as the file has them."""

    def __init__(self, path):
        self.rows = collections.defaultdict(list)
        for kind in ("task_alive", "total", "meta", "switch_out", "sample", "vtable", "context"):
            done = subprocess.run([ASCOPE, "dump", "--json", "--kind", kind, path], capture_output=True, text=True, timeout=60, check=False)
            check(done.returncode == 0, f"dump: {done.stderr[:1000]}")
            self.rows[kind] = [json.loads(line) for line in done.stdout.splitlines()]
        self.totals = {row["key"]: row["value"] for row in self.rows["total"]}

    def alive(self):
        """Handle -> task ids, in order; a task twice would be there twice."""
        out = collections.defaultdict(list)
        for row in self.rows["task_alive"]:
            out[row["handle"]].append(row["task"])
        return {handle: sorted(ids) for handle, ids in out.items()}

    def unknown(self):
        return [row["value"] for row in self.rows["meta"] if row["key"] == "tasks.list_unknown"]


def record(work, *args, seconds="1s", ascope=None):
    """A recording of a fixture that is ready: its dump, and what the fixture said."""
    with recording.Program(work, [LISTED, *args]) as p:
        p.await_line("^(ready)")
        path = f"{work}/capture.ascope"
        argv = [str(ascope or ASCOPE), "record", "-q", "--force", "-o", path, "--duration", seconds, "-p", str(p.pid)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        check(done.returncode in (0, 3), f"{argv}: exit code {done.returncode}: {done.stderr[:2000]}")
        return Dump(path), p.out.read_text()


def runtimes(said):
    """The fixture's word: name -> ids."""
    parts = re.split(r"^runtime (\w+)\n", said, flags=re.MULTILINE)
    return {name: sorted(map(int, re.findall(r"^task (\d+)$", text, re.MULTILINE))) for name, text in zip(parts[1::2], parts[2::2])}


def expect_all(dump, said, extra=0):
    """Each runtime's tasks, neither more nor fewer; `extra`: of those that the fixture does not name."""
    want, got = runtimes(said), dump.alive()
    check(not dump.unknown(), f"not walked: {dump.unknown()}")
    check(dump.totals["tasks.runtimes"] == len(want) and dump.totals["tasks.list_unknown"] == 0, f"{dump.totals}")
    check(len(got) == len(want), f"{len(got)} runtimes with tasks, should be {len(want)}")
    for name, ids in want.items():
        found = [tasks for tasks in got.values() if set(ids) & set(tasks)]
        check(len(found) == 1, f"runtime {name}: its tasks are in {len(found)} lists")
        check(len(set(found[0])) == len(found[0]), f"runtime {name}: a task is there twice")
        check(not set(ids) - set(found[0]), f"runtime {name}: {len(set(ids) - set(found[0]))} of {len(ids)} tasks are missing")
        more = set(found[0]) - set(ids)
        check(len(more) <= extra, f"runtime {name}: {len(more)} tasks that it does not have: {sorted(more)[:5]}")
    check(dump.totals["tasks.alive"] == sum(map(len, got.values())), f"{dump.totals}")


def one_type(dump):
    """All tasks that wait for ever are of one type, whose functions are known."""
    of = {row["vtable"] for row in dump.rows["task_alive"]}
    known = {row["idx"]: row for row in dump.rows["vtable"]}
    check(len(of) == 1 and known[of.pop()]["poll"], f"types {of} of {known}")


def many(work):
    """10,000 tasks of one runtime: each once, with its type, idle."""
    dump, said = record(work, "many", 10000)
    expect_all(dump, said)
    one_type(dump)
    busy = [row for row in dump.rows["task_alive"] if row["state"] & (RUNNING | NOTIFIED)]
    check(not busy, f"{len(busy)} idle tasks are called busy: {busy[:2]}")
    times = [row["ts"] for row in dump.rows["task_alive"]]
    return f"{len(times)} tasks seen within {(max(times) - min(times)) / 1e6:.0f} ms"


def current_thread(work):
    """A current-thread runtime's tasks; those of its LocalSet are in no list, and not said."""
    dump, said = record(work, "current", 300)
    expect_all(dump, said)
    local = set(map(int, re.findall(r"^local (\d+)$", said, re.MULTILINE)))
    check(len(local) == 7 and not local & {row["task"] for row in dump.rows["task_alive"]}, f"{local}")


def two_runtimes(work):
    """Two runtimes of one program: each has its own."""
    dump, said = record(work, "two", 50, 70)
    expect_all(dump, said)
    handles = {row["handle"] for row in dump.rows["context"]}
    check(set(dump.alive()) <= handles, f"lists of handles {set(dump.alive())}, contexts of {handles}")


def churn(work):
    """Thousands of tasks a second come and go meanwhile: those that stay are all there, and few of the others."""
    dump, said = record(work, "churn", 3000)
    expect_all(dump, said, extra=400)
    return f"{dump.totals['tasks.alive']} rows of 3000 that stay"


# ---- queues ----

def depths(dump, kind):
    """(lifo, queued, inject) -> records in a poll that have them; None: not read."""
    def value(n):
        return n - 1 if n else None
    return collections.Counter((value(row["lifo"]), value(row["queued"]), value(row["inject"])) for row in dump.rows[kind] if row["budget"])


def expect_depths(found, wanted):
    """What is wanted was seen at least twice, and nothing but it where it was read; the last is not known until the runtime was looked at."""
    for depth in wanted:
        check(found[depth] >= 2, f"{depth} was seen {found[depth]} times: {found}")
    allowed = set(wanted) | {(*depth[:2], None) for depth in wanted} | {(None, None, None)}
    check(set(found) <= allowed, f"seen {found}, should be of {allowed}")
    return ", ".join(f"{depth}: {n}" for depth, n in found.most_common())


def queues_of_a_worker(work):
    """Behind a sleeping poll: one task in the LIFO slot, four in the worker's queue; then three in the injection queue, too."""
    dump, _ = record(work, "queued", seconds="2s")
    return expect_depths(depths(dump, "switch_out"), [(1, OWN - 1, 0), (1, OWN - 1, FROM_OUTSIDE)])


def queues_of_a_computing_poll(work):
    """The same behind a poll that computes, by its samples."""
    dump, _ = record(work, "queued-spin", seconds="3s")
    found = depths(dump, "sample")
    wanted = [(1, OWN - 1, 0), (1, OWN - 1, FROM_OUTSIDE)]
    # a sample may fall between two of the spawns
    for depth in [d for d in found if d[1] is not None and d[1] < OWN - 1 and found[d] <= 2]:
        del found[depth]
    return expect_depths(found, wanted)


def queues_of_current_thread(work):
    """The current-thread scheduler has one queue of its own and one for what comes from outside."""
    dump, _ = record(work, "queued-current", seconds="2s")
    found = depths(dump, "switch_out")
    own = {d[1] for d in found if d[1] is not None}
    check(own, f"{found}")
    # the task that the poll's own timer woke may be queued, too
    check(own <= {OWN, OWN + 1}, f"{found}")
    n = max(own, key=lambda k: sum(found[d] for d in found if d[1] == k))
    return expect_depths(found, [(None, n, 0), (None, n, FROM_OUTSIDE)])


# ---- a wrong table ----

def wrong_rows(work):
    """A recorder whose rows are all 8 bytes off says unknown, and tells no task and no depth of the injection queue; all else is as ever."""
    if not shutil.which("cc") or not shutil.which("make") or not (OUT / "libascope.a").exists():
        raise Skip("nothing to build with")
    ascope = shifted_ascope(work)
    dump, _ = record(work, "many", 500, ascope=ascope)
    check(not dump.rows["task_alive"], f"{len(dump.rows['task_alive'])} tasks of a list that is not there")
    check(dump.totals["tasks.runtimes"] == 1 and dump.totals["tasks.list_unknown"] == 1, f"{dump.totals}")
    check(any("no known layout fits" in why or "could be told" in why for why in dump.unknown()), f"{dump.unknown()}")
    dump, _ = record(work, "queued", ascope=ascope)
    found = depths(dump, "switch_out")
    check(found and all(depth[2] is None for depth in found), f"depths by wrong rows: {found}")
    check(found[(1, OWN - 1, None)] >= 2, f"the worker's own queues, which these rows are not about: {found}")
    return dump.unknown()[0]


def shifted_ascope(work):
    """Only owned_row.c has the table: it is compiled anew and linked in front of the objects that are there."""
    table = (ROOT / "record/runtime_rows.h").read_text(encoding="utf-8")
    wrong = re.sub(r"\.(owned_id|owned_closed|shards|shards_len|shard_mask|inject_len|inject_head|inject_tail|tasks_len) = (\d+)",
                   lambda m: f".{m[1]} = {int(m[2]) + 8}", table)
    check(wrong != table, "nothing to shift")
    folder = pathlib.Path(work) / "src/record"
    folder.mkdir(parents=True)
    (folder / "runtime_rows.h").write_text(wrong, encoding="utf-8")
    shutil.copy(ROOT / "record/owned_row.c", folder)
    libs = run(["make", "-s", f"OUT={OUT}", "--eval=print-libs: ; @echo $(LIBS)", "print-libs"]).split()
    run(["cc", "-std=gnu11", "-O2", "-D_GNU_SOURCE", f"-I{folder.parent}", f"-I{ROOT}", f"-I{OUT}/gen", "-c", f"{folder}/owned_row.c", "-o", f"{work}/row.o"])
    run(["cc", "-o", f"{work}/ascope", f"{OUT}/obj/ascope.o", f"{work}/row.o", f"{OUT}/libascope.a", *libs])
    return f"{work}/ascope"


def run(argv):
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    check(done.returncode == 0, f"{argv}: {done.stderr[-2000:]}")
    return done.stdout


SUITE = tap.Suite(prefix="task_lists:", title=tap.title_with_doc, programs=(LISTED,),
                  tests=tap.named([many, current_thread, two_runtimes, churn, queues_of_a_worker, queues_of_a_computing_poll,
                                   queues_of_current_thread, wrong_rows]))

if __name__ == "__main__":
    sys.exit(tap.main(SUITE, sys.argv[1:]))
