#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Live tests of a wrong table: ascope built with one field of record/layout_rows.h changed in every row records a program that blocks (fixtures/scenarios).

    wrong_rows.py [NAME...]        prints TAP; exit 1 when a test fails

A layout that the program's threads contradict must not tell anything: the recorder, `ascope info` and `ascope doctor -p` say "runtime context not usable", no row says
what blocked, and who ran and waited when is recorded all the same.
"""
import os
import pathlib
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # leaves no __pycache__ among the sources
import tap  # noqa: E402  # pylint: disable=wrong-import-position
from recording import SCENARIOS, Fixture, agree  # noqa: E402  # pylint: disable=wrong-import-position
import recording  # noqa: E402  # pylint: disable=wrong-import-position
from tap import ASCOPE, OUT, ROOT, check  # noqa: E402  # pylint: disable=wrong-import-position

SAID = "runtime context not usable"
SECONDS = 2
NO_FIELD = "WIRE_NO_FIELD"
# Each is 8 bytes off; a field that then lies on another makes the row one that is never used.
FIELDS = {"park": 8, "queue": 8, "lifo": 16, "mt_core": -8, "mt_owner": 8, "sched": -8, "id": -24, "budget": 8, "handle": 8}


def changed(text, field, by):
    """The table with that field moved in every row that has it."""
    def move(found):
        return found[0] if found[1] == NO_FIELD else f".{field} = {int(found[1]) + by}"

    moved = re.sub(rf"\.{field} = (\w+)\b", move, text)
    # what cannot be negative is far off instead
    moved = re.sub(rf"\.{field} = -\d+", f".{field} = 72", moved)
    check(moved != text, f"the table has no {field}")
    return moved


def built(name, table):
    """An ascope with that table."""
    folder = OUT / "wrong" / name
    header = folder / "record/layout_rows.h"
    header.parent.mkdir(parents=True, exist_ok=True)
    if not header.exists() or header.read_text() != table:
        header.write_text(table)
    subprocess.run(["make", "--no-print-directory", f"OUT={os.path.relpath(OUT, ROOT)}", f"{os.path.relpath(folder, ROOT)}/ascope"], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL, env={**os.environ, "MAKEFLAGS": ""})
    return folder / "ascope"


def run(program, *args):
    done = subprocess.run([program, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout, done.stderr


def recorded(work, program, pid):
    """(the capture, what the recorder said)"""
    capture = recording.Capture(work)
    _, said = run(program, "record", "--force", "-o", capture.path, "--duration", SECONDS, "-p", pid)
    return capture, said


def expect_nothing_told(name, capture, said, doctor):
    check(SAID in said, f"{name}: the recorder said: {said}")
    check(SAID in capture.run("info"), f"{name}: info: {capture.run('info')}")
    check(SAID in doctor, f"{name}: doctor: {doctor}")
    rows = capture.rows()
    check(not rows, f"{name}: {len(rows)} rows, the first: {rows[:1]}")
    for table in ("runtime", "worker", "poll"):
        n = capture.value(f"SELECT count(*) FROM {table}")
        check(n == 0, f"{name}: {n} rows in table {table}")
    roles = capture.query("SELECT DISTINCT role FROM offcpu")
    check(all(row["role"] in (None, "unknown", "none") for row in roles), f"{name}: roles {roles}")
    waits = capture.value("SELECT count(*) FROM offcpu WHERE dur >= 10000000 AND state = 'S'")
    check(waits >= 10, f"{name}: {waits} waits")
    samples = capture.value("SELECT count(*) FROM offcpu WHERE stack_id IS NOT NULL")
    check(samples >= 10, f"{name}: {samples} waits with a stack")
    return waits


def wrong(field, by):
    def test(work):
        table = changed((ROOT / "record/layout_rows.h").read_text(), field, by)
        program = built(field, table)
        with Fixture(work, "sleep") as p:
            time.sleep(0.3)
            doctor, quiet = run(program, "doctor", "-p", p.pid)
            check(SAID not in quiet, f"{field}: doctor says it twice: {quiet}")
            capture, said = recorded(work, program, p.pid)
        return f"{expect_nothing_told(field, capture, said, doctor)} waits recorded, none of them told to be a task's"
    test.__doc__ = f"{field} {by:+d}"
    return test


def right_table(work):
    """the same program by the table as it is"""
    with Fixture(work, "sleep") as p:
        time.sleep(0.3)
        doctor, _ = run(ASCOPE, "doctor", "-p", p.pid)
        capture, said = recorded(work, ASCOPE, p.pid)
        p.leave()
    check(SAID not in said + doctor + capture.run("info"), f"the recorder said: {said}; doctor: {doctor}")
    return agree("right table", capture, [p.truth], 5)


TESTS = {"right_table": right_table, **{field: wrong(field, by) for field, by in FIELDS.items()}}

if __name__ == "__main__":
    sys.exit(tap.main(tap.Suite("wrong rows:", TESTS, tap.title_with_doc, (SCENARIOS,)), sys.argv[1:]))
